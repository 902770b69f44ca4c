//! `quire exit` and `quire freeze`: leaving, with or without the operator.
//!
//! Everything here reads and calls L1 alone: it works when the operator and its database are gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use l1::bytes::Bytes;
use l1::{Address, NativeL1};
use ledger::state::State;
use prover::bounded::{self, FileKind};
use rollup::L1;
use rollup::{Call, ExitPlan, final_state};
use serde::Serialize;

use crate::args::{ExitExecuteArgs, ExitPlanArgs, ExitRequestArgs};
use crate::deployment::caller;
use crate::fault::{Fault, message};
use crate::files::refuse_byte_order_mark;
use crate::settings::Settings;
use crate::ui::{complain, table};
use crate::wallet;
use rollup::amount::{Amount, Token, TokenFacts, Tokens};
use rollup::liveness::Liveness;
use rollup::place::make_folder;

const PLAN_FILE: FileKind = FileKind {
    name: "an exit plan",
    most: rollup::leave::MAX_PLAN_BYTES as u64,
};

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

/// The state under L1's last root.
///
/// # Errors
/// If L1's data do not lead there.
pub fn rebuild(settings: &Settings, l1: &NativeL1) -> Result<State> {
    let batches = l1.head()?.next_batch - 1;
    let what = "rebuilding the state from L1's data";
    let task = settings.ui.task(what, Some(batches));
    let state = final_state(l1, |number| task.at(number))?;
    task.done();
    Ok(state)
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
        let next = u32::try_from(l1.head()?.next_index).context("indices have 32 bits")?;
        for index in 1..next {
            let registered = l1.registered(index)?;
            if registered.is_some_and(|registered| registered.owner == owner) {
                indices.push(index);
            }
        }
        ensure!(!indices.is_empty(), "{owner} owns no account on this L1");
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

/// Writes a plan whole or not at all. Only a plan is replaced.
fn write_plan(path: &Path, plan: &ExitPlan) -> Result<()> {
    if path.exists() {
        read_plan(path).map_err(|_| {
            let path = path.display();
            Fault::input(format!(
                "{path} exists and is not an exit plan; choose another --out"
            ))
        })?;
    }
    Ok(files::replace(
        path,
        files::Readers::Owner,
        &plan.to_json(),
    )?)
}

fn read_plan(path: &Path) -> Result<ExitPlan> {
    let context = || format!("cannot use the plan {}", path.display());
    let bytes = bounded::read(path, PLAN_FILE).with_context(context)?;
    refuse_byte_order_mark(&bytes, &path.display().to_string())?;
    ExitPlan::from_json(&bytes).with_context(context)
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
    let (mut all, mut text, mut failed) = (Vec::new(), String::new(), Vec::new());
    let mut paid_out = Vec::new();
    for path in &args.plan {
        match pay_out(&mut l1, path, &mut text) {
            Ok(paid) => paid_out.push(paid),
            Err(error) => failed.push(error),
        }
    }
    for (plan, mut executed) in paid_out {
        if let Err(error) = take_back(&mut l1, &plan, caller, &mut executed, &mut text) {
            failed.push(error);
        }
        all.push(executed);
    }
    if !all.is_empty() {
        text.push_str("collect it with `quire claim --wallet W`");
        settings.ui.result(&all, text)?;
    }
    let mut failed = failed.into_iter().rev();
    let Some(last) = failed.next() else {
        return Ok(());
    };
    failed.rev().for_each(|error| complain(&message(&error)));
    Err(last)
}

/// Pays out a plan's account and tells in `text` what it came to.
fn pay_out(l1: &mut L1, path: &Path, text: &mut String) -> Result<(ExitPlan, Executed)> {
    let plan = read_plan(path)?;
    let now = l1.time_to_keep()?;
    let exited = plan
        .pay_out(&mut l1.native, &mut l1.link, now)
        .with_context(|| format!("cannot leave with {}", path.display()))?;
    let token = Tokens::of(l1)?.get(plan.token);
    let exited = exited.map(|text| amount_of(&token, &text)).transpose()?;
    let (account, owner) = (plan.account, plan.owner);
    let came_to = match &exited {
        Some(amount) => format!("{amount} can be claimed by {owner}"),
        None if l1.exited(account)? => "it has left before".to_owned(),
        None => "the plan has no leaf, since no batch executed its deposit".to_owned(),
    };
    text.push_str(&format!("account {account}: {came_to}\n"));
    let executed = Executed {
        plan: path.to_owned(),
        account,
        token: token.facts(),
        exited,
        cancelled: Vec::new(),
        of_others: 0,
    };
    Ok((plan, executed))
}

/// An amount of a token that a plan spells.
fn amount_of(token: &Arc<Token>, text: &str) -> Result<Amount> {
    let value = text.parse().context("L1 told no amount")?;
    Ok(Amount::of(token, value))
}

/// Who executes plans, if that is told.
fn caller_of(settings: &Settings, l1: &L1, wallet: Option<&str>) -> Result<Option<Address>> {
    if l1.link.is_remote() {
        // None if there is no key: then there is nothing to call with either.
        return Ok(l1.link.caller(Bytes([0; 20])).ok());
    }
    let wallet = wallet
        .map(|name| wallet::load(settings, name))
        .transpose()?;
    Ok(wallet.map(|wallet| wallet.address))
}

/// Takes the plan's deposits back that the owner or the caller paid, and tells in `text`.
fn take_back(
    l1: &mut L1,
    plan: &ExitPlan,
    caller: Option<Address>,
    executed: &mut Executed,
    text: &mut String,
) -> Result<()> {
    let now = l1.time_to_keep()?;
    let taken = plan.take_back(&mut l1.native, &mut l1.link, caller, now);
    let (own, of_others) =
        taken.with_context(|| format!("cannot leave with {}", executed.plan.display()))?;
    let (account, token) = (plan.account, Tokens::of(l1)?.get(plan.token));
    for deposit in &own {
        text.push_str(&format!(
            "account {account}: deposit {} of {} can be claimed by {}\n",
            deposit.entry,
            amount_of(&token, &deposit.amount)?,
            deposit.payer
        ));
    }
    if of_others != 0 {
        text.push_str(&format!(
            "account {account}: {of_others} deposits that others paid wait on: each gets its own back with a plan of this account and {}\n",
            match l1.link.is_remote() {
                true => "its own Ethereum key",
                false => "--wallet",
            }
        ));
    }
    executed.cancelled = own.iter().map(|deposit| deposit.entry).collect();
    executed.of_others = of_others;
    Ok(())
}
