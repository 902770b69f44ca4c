//! `quire exit` and `quire freeze`: leaving, with or without the operator.
//!
//! Everything here reads and calls L1 alone: it works when the operator and its database are gone.

use std::path::PathBuf;

use anyhow::Result;
use l1::Address;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::exits::{self, append_owned, rebuild, write_plan};
use rollup::liveness::Liveness;
use rollup::place::make_folder;
use rollup::{Call, ExitPlan, L1};
use serde::Serialize;

use crate::args::{ExitExecuteArgs, ExitPlanArgs, ExitRequestArgs};
use crate::deployment::caller;
use crate::fault::message;
use crate::settings::Settings;
use crate::ui::{complain, table};
use crate::wallet;

/// What an exit request prints.
#[derive(Serialize)]
struct Requested {
    account: u32,
    queue_entry: u64,
    freeze_from: Option<u64>,
    earlier: bool,
}

/// What is printed of a plan.
#[derive(Serialize)]
struct Planned {
    plan: PathBuf,
    account: u32,
    owner: String,
    #[serde(flatten)]
    token: TokenFacts,
    /// None if the account has no leaf: its deposit waits, or it has left.
    balance: Option<Amount>,
    nonce: Option<u64>,
    waiting: usize,
    batch: u64,
    root: String,
}

/// What executing a plan prints.
#[derive(Serialize)]
struct Executed {
    plan: PathBuf,
    account: u32,
    #[serde(flatten)]
    token: TokenFacts,
    exited: Option<Amount>,
    cancelled: Vec<u64>,
    /// Deposits that others paid, and that wait on.
    of_others: usize,
}

/// What a freeze prints.
#[derive(Serialize)]
struct Frozen {
    height: u64,
    time: u64,
    batch: u64,
    root: String,
}

/// `quire exit request`.
///
/// # Errors
/// If L1 refuses.
pub fn request(settings: &Settings, args: &ExitRequestArgs) -> Result<()> {
    request_exit(settings, args.wallet.as_deref(), args.account)
}

/// Asks for the whole balance of an account.
///
/// # Errors
/// If L1 refuses.
pub fn request_exit(settings: &Settings, wallet: Option<&str>, account: u32) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = caller(&l1, settings, wallet)?;
    let call = Call::RequestExit {
        caller,
        index: account,
    };
    let (entry, earlier) = l1.queue_entry(settings, call)?;
    let queue_entry = entry.number;
    let liveness = Liveness::of(&l1, l1.time_now()?)?;
    let facts = Requested {
        account,
        queue_entry,
        freeze_from: liveness.freeze_from(),
        earlier,
    };
    let text = format!(
        "the whole balance of account {account} leaves with entry {queue_entry} of the L1 queue; then claim it\n\
         if no batch executes it in time, `quire freeze` and `quire exit plan {account}` do without the operator\n\
         L1 is {liveness}"
    );
    settings.ui.result(&facts, text)?;
    Ok(l1.acknowledge()?)
}

/// `quire freeze`.
///
/// # Errors
/// If L1 refuses: nothing waits, or not long enough.
pub fn freeze(settings: &Settings) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    l1.call(Call::Freeze)?;
    let head = l1.head()?;
    let facts = Frozen {
        height: head.height,
        time: head.time,
        batch: head.next_batch - 1,
        root: ledger::field::to_hex(&head.root),
    };
    let text = format!(
        "L1 is frozen for good, after batch {} with root {}\n\
         leave with `quire exit plan ACCOUNT`, `quire exit execute PLAN` and `quire claim`",
        facts.batch, facts.root
    );
    settings.ui.result(&facts, text)
}

/// `quire exit plan`.
///
/// # Errors
/// If an account is not registered, or a file cannot be written.
pub fn plan(settings: &Settings, args: &ExitPlanArgs) -> Result<()> {
    let l1 = L1::look(settings)?;
    let mut indices = args.account.clone();
    let wallet = match &args.wallet {
        Some(name) => Some(crate::wallet::load(settings, name)?.address),
        None => None,
    };
    for owner in args.owner.into_iter().chain(wallet) {
        append_owned(&l1, owner, &mut indices)?;
    }
    let state = rebuild(settings, &l1)?;
    let plans = indices
        .iter()
        .map(|index| ExitPlan::new(&l1, &state, *index));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    make_folder(&args.out)?;
    let tokens = Tokens::of(&l1)?;
    let mut all = Vec::new();
    let heading = ["plan", "account", "balance", "waiting deposits"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for plan in plans {
        let path = args.out.join(format!("exit-{}.json", plan.account));
        write_plan(&path, &plan)?;
        let facts = facts_of(&tokens, path, &plan)?;
        rows.push(vec![
            facts.plan.display().to_string(),
            facts.account.to_string(),
            (facts.balance.as_ref()).map_or_else(|| "none".to_owned(), ToString::to_string),
            facts.waiting.to_string(),
        ]);
        all.push(facts);
    }
    let mut text = table(&rows);
    let liveness = Liveness::of(&l1, l1.time_now()?)?;
    text.push_str(&format!("L1 is {liveness}"));
    settings.ui.result(&all, text)
}

fn facts_of(tokens: &Tokens, plan: PathBuf, of: &ExitPlan) -> Result<Planned> {
    let balance = of.exit()?.map(|exit| exit.account.balance);
    Ok(Planned {
        plan,
        account: of.account,
        owner: of.owner.to_string(),
        token: tokens.get(of.token).facts(),
        balance: balance.map(|balance| tokens.amount(of.token, balance)),
        nonce: of.leaf.as_ref().map(|leaf| leaf.nonce),
        waiting: of.waiting.len(),
        batch: of.batch,
        root: of.root.clone(),
    })
}

/// `quire exit execute`: every account is paid out before the first deposit is given back. A plan that
/// fails does not keep the others from being executed.
///
/// # Errors
/// If a plan cannot be read, L1 is not frozen, or a plan is not for its root; the others are
/// executed and shown.
pub fn execute(settings: &Settings, args: &ExitExecuteArgs) -> Result<()> {
    let mut l1 = L1::open(settings)?;
    let caller = caller_of(settings, &l1, args.wallet.as_deref())?;
    let (executed, failed) = exits::execute(&mut l1, &args.plan, caller);
    let mut text: String = executed.iter().map(paid_out_text).collect();
    text.extend(executed.iter().map(|each| taken_back_text(&l1, each)));
    let all: Vec<Executed> = executed.into_iter().map(Executed::of).collect();
    if !all.is_empty() {
        text.push_str(match l1.link.is_remote() {
            true => "collect it with `quire claim --eth-key-file FILE`",
            false => "collect it with `quire claim --wallet W`",
        });
        settings.ui.result(&all, text)?;
    }
    let mut failed = failed.into_iter().rev();
    let Some(last) = failed.next() else {
        return Ok(());
    };
    failed
        .rev()
        .for_each(|error| complain(&message(&error.into())));
    Err(last.into())
}

impl Executed {
    fn of(of: exits::Executed) -> Self {
        Self {
            plan: of.path,
            account: of.account,
            token: of.token.facts(),
            exited: of.exited,
            cancelled: of.taken_back.iter().map(|deposit| deposit.entry).collect(),
            of_others: of.of_others,
        }
    }
}

/// What paying out an account came to.
fn paid_out_text(of: &exits::Executed) -> String {
    let came_to = match &of.exited {
        Some(amount) => format!("{amount} can be claimed by {}", of.owner),
        None if of.left_before => "it has left before".to_owned(),
        None => "the plan has no leaf, since no batch executed its deposit".to_owned(),
    };
    format!("account {}: {came_to}\n", of.account)
}

/// Who executes plans, if that is told.
fn caller_of(settings: &Settings, l1: &L1, wallet: Option<&str>) -> Result<Option<Address>> {
    if l1.link.is_remote() {
        // None if there is no key: then there is nothing to call with either.
        return Ok(l1.caller_on_chain().ok());
    }
    let wallet = wallet
        .map(|name| wallet::load(settings, name))
        .transpose()?;
    Ok(wallet.map(|wallet| wallet.address))
}

/// What became of the deposits of a plan.
fn taken_back_text(l1: &L1, of: &exits::Executed) -> String {
    let account = of.account;
    let taken_back = of.taken_back.iter().map(|deposit| {
        format!(
            "account {account}: deposit {} of {} can be claimed by {}\n",
            deposit.entry, deposit.amount, deposit.payer
        )
    });
    let mut text: String = taken_back.collect();
    if of.of_others != 0 {
        text.push_str(&format!(
            "account {account}: {} deposits that others paid wait on: each gets its own back with a plan of this account and {}\n",
            of.of_others,
            match l1.link.is_remote() {
                true => "its own Ethereum key",
                false => "--wallet",
            }
        ));
    }
    text
}
