//! `quire status`, `account`, `audit` and `verify`: looking without changing anything, while another
//! command may write.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use l1::submission::BatchFolder;
use ledger::field::{from_hex, to_hex};
use ledger::time::Utc;
use prover::key::VerifyingKey;
use rollup::clock::now;
use rollup::{Audit, Depth, Wait};
use serde::Serialize;

use crate::args::{AccountArgs, AuditArgs, VerifyArgs};
use crate::fault::Fault;
use crate::settings::Settings;
use crate::takeover::RightFacts;
use crate::ui::{Style, paint, table};
use crate::waits;
use crate::wallet::find;
use rollup::Deployment;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::keys::shape_of;
use rollup::liveness::Liveness;
use rollup::shape::shape_name;
use rollup::text::count;
use rollup::text::right_text;

/// Rows of a listing for people.
const SHOWN: usize = 20;

/// What `status` prints.
#[derive(Serialize)]
struct StatusFacts {
    domain: String,
    contract: String,
    operator: String,
    offered_operator: Option<String>,
    submission: RightFacts,
    shapes: Vec<ShapeStatus>,
    accounts: usize,
    tokens: usize,
    waiting: usize,
    queue_head: u64,
    queue_sealed: u64,
    queue_tail: u64,
    sealed: u64,
    unproved: usize,
    finalized: u64,
    confirmations: u64,
    l1_height: u64,
    l1_time: u64,
    #[serde(flatten)]
    liveness: Liveness,
    /// What waits, and for what.
    waits: Vec<Wait>,
    state_root: String,
    finalized_root: String,
}

/// A listed shape.
#[derive(Serialize)]
struct ShapeStatus {
    shape: String,
    fingerprint: String,
    verifying_key: Option<String>,
}

/// `quire status`.
///
/// # Errors
/// If the deployment cannot be read.
pub fn status(settings: &Settings) -> Result<()> {
    let deployment = Deployment::look(settings)?;
    let (status, head) = (deployment.batcher.status(), deployment.l1.head()?);
    // Why L1's word on what is final: what is only read may be behind it.
    let on_l1 = head.next_batch - 1;
    let right = deployment.submission_right(now()?)?;
    let genesis = deployment.l1.deployment();
    let parameters = genesis.parameters();
    let facts = StatusFacts {
        domain: to_hex(&deployment.l1.domain()),
        contract: genesis.contract().to_string(),
        operator: head.operator.to_string(),
        offered_operator: head.offered_operator.map(|offered| offered.to_string()),
        submission: RightFacts::of(right),
        shapes: (parameters.shapes.iter())
            .map(|listed| ShapeStatus {
                shape: shape_name(&listed.shape),
                fingerprint: listed.fingerprint.to_string(),
                verifying_key: deployment.l1.key(listed.shape.id).map(VerifyingKey::id_hex),
            })
            .collect(),
        accounts: deployment.batcher.state().accounts().count(),
        tokens: deployment.l1.token_count()?,
        waiting: status.waiting,
        queue_head: head.queue_head,
        queue_sealed: deployment.queue_not_sealed()?,
        queue_tail: head.queue_tail,
        sealed: status.sealed.max(on_l1),
        unproved: deployment.batcher.unproved()?.len(),
        finalized: on_l1,
        confirmations: settings.confirmations,
        l1_height: head.height,
        l1_time: head.time,
        liveness: Liveness::of(&deployment.l1, deployment.l1_time(now()?)?)?,
        waits: deployment.waits()?,
        state_root: to_hex(&status.state_root),
        finalized_root: to_hex(&head.root),
    };
    let shapes: Vec<String> = (facts.shapes.iter())
        .map(|shape| match &shape.verifying_key {
            Some(id) => format!("{} (key {})", shape.shape, &id[..16]),
            None => format!("{} (no key yet)", shape.shape),
        })
        .collect();
    let text = format!(
        "deployment   {}  shapes {}\n\
         accounts     {} of {} tokens\n\
         waiting      {} signed operations, {} entries of the L1 queue\n\
         batches      {} sealed, {} without a proof, {} final\n\
         L1           block {}, {}\nL1 state     {}\nsubmits      {}\n\
         state root   {}\nfinal root   {}{}",
        facts.contract,
        shapes.join(", "),
        count(facts.accounts),
        count(facts.tokens),
        count(facts.waiting),
        count(facts.queue_tail.saturating_sub(facts.queue_sealed)),
        count(facts.sealed),
        count(facts.unproved),
        count(facts.finalized),
        count(facts.l1_height),
        Utc(facts.l1_time),
        facts.liveness,
        right_text(right),
        facts.state_root,
        facts.finalized_root,
        waits::lines(&facts.waits),
    );
    settings.ui.result(&facts, text)
}

/// What `account` prints.
#[derive(Serialize)]
struct AccountFacts {
    account: u32,
    owner: Option<String>,
    #[serde(flatten)]
    token: TokenFacts,
    balance: Amount,
    /// Whether it left a frozen L1, with the balance of its leaf.
    exited: bool,
    nonce: u64,
    next_nonce: u64,
    key: [String; 2],
    leaf: String,
    state_root: String,
    siblings: Vec<[String; 3]>,
}

/// `quire account`.
///
/// # Errors
/// If there is no such account.
pub fn account(settings: &Settings, args: &AccountArgs) -> Result<()> {
    let deployment = Deployment::read(settings)?;
    let mut indices = args.index.clone();
    if let Some(name) = &args.wallet {
        let key = find(settings, name)?.public;
        let own = deployment.batcher.state().accounts();
        let own = own.filter(|(_, account)| account.key == key);
        indices.extend(own.map(|(index, _)| index));
        ensure!(
            !indices.is_empty(),
            "no account is signed for by the wallet {name}; a deposit makes one once a batch executes it"
        );
    }
    let tokens = Tokens::of(&deployment.l1)?;
    let all: Vec<AccountFacts> = indices
        .iter()
        .map(|index| facts_of(&deployment, &tokens, *index))
        .collect::<Result<_>>()?;
    let heading = ["account", "balance", "nonce", "L1 owner"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for facts in &all {
        rows.push(vec![
            facts.account.to_string(),
            match facts.exited {
                true => format!("{}, left by an exit", facts.balance),
                false => facts.balance.to_string(),
            },
            facts.nonce.to_string(),
            facts.owner.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table(&rows);
    if args.proof {
        all.iter()
            .for_each(|facts| text.push_str(&path_text(facts)));
    }
    settings.ui.result(&all, text)
}

/// The Merkle path of an account for people.
fn path_text(facts: &AccountFacts) -> String {
    let heading = format!("account {}", facts.account);
    let mut text = format!(
        "\n{}\nleaf   {}\n",
        paint(Style::Bold, &heading),
        facts.leaf
    );
    for (level, siblings) in facts.siblings.iter().enumerate() {
        for (place, sibling) in siblings.iter().enumerate() {
            let start = if place == 0 {
                format!("{level:>5}")
            } else {
                " ".repeat(5)
            };
            text.push_str(&format!("{start}  {sibling}\n"));
        }
    }
    text.push_str(&format!("root   {}\n", facts.state_root));
    text
}

fn facts_of(deployment: &Deployment, tokens: &Tokens, index: u32) -> Result<AccountFacts> {
    let account = deployment.account(index)?;
    let proof = deployment.batcher.state().prove(index)?;
    let owner = deployment
        .l1
        .registered(index)?
        .map(|registered| registered.owner.to_string());
    let exited = deployment.l1.exited(index)?;
    // Why not the leaf's: L1 has paid it out, and no batch follows that would empty the leaf.
    let balance = if exited { 0 } else { account.balance };
    Ok(AccountFacts {
        account: index,
        owner,
        token: tokens.get(account.token).facts(),
        balance: tokens.amount(account.token, balance),
        exited,
        nonce: account.nonce,
        next_nonce: deployment
            .batcher
            .next_nonce(index)
            .unwrap_or(account.nonce),
        key: [to_hex(&account.key.x), to_hex(&account.key.y)],
        leaf: to_hex(&account.leaf()),
        state_root: to_hex(&deployment.batcher.status().state_root),
        siblings: proof
            .siblings
            .iter()
            .map(|level| level.map(|node| to_hex(&node)))
            .collect(),
    })
}

/// What `audit` prints, by token id.
#[derive(Serialize)]
struct AuditFacts {
    ok: bool,
    tokens: BTreeMap<u32, TokenFacts>,
    /// Sum of all balances after the last sealed batch.
    supply: BTreeMap<u32, Amount>,
    /// What L1 holds.
    escrow: BTreeMap<u32, Escrow>,
    /// Every batch starts from the root that the one before left, from genesis to both heads.
    roots_chain: bool,
    batches: u64,
    replayed: bool,
    state_root: String,
    finalized_root: String,
    faults: Vec<String>,
}

/// What L1 holds of a token.
#[derive(Serialize)]
pub struct Escrow {
    escrow: Amount,
    balances: Amount,
    claimable: Amount,
    pending: Amount,
}

impl Escrow {
    /// What L1 holds of a token.
    pub fn of(tokens: &Tokens, token: u32, totals: &l1::TokenTotals) -> Self {
        let amount = |value: u128| tokens.amount(token, value);
        Self {
            escrow: amount(totals.escrow),
            balances: amount(totals.balances()),
            claimable: amount(totals.claimable),
            pending: amount(totals.pending),
        }
    }

    /// The amounts for people.
    pub fn cells(&self) -> [String; 4] {
        [&self.escrow, &self.balances, &self.claimable, &self.pending].map(ToString::to_string)
    }
}

/// `quire audit`.
///
/// # Errors
/// If something does not add up, after printing what.
pub fn audit(settings: &Settings, args: &AuditArgs) -> Result<()> {
    let deployment = Deployment::read(settings)?;
    let depth = match args.replay {
        true => Depth::Replay,
        false => Depth::Books,
    };
    let Audit {
        supply,
        totals,
        money,
        roots,
    } = deployment.audit(depth)?;
    let roots_chain = roots.is_empty();
    let faults = [money, roots].concat();
    let status = deployment.batcher.status();
    let tokens = Tokens::of(&deployment.l1)?;
    let facts = AuditFacts {
        ok: faults.is_empty(),
        tokens: (supply.keys().chain(totals.keys()))
            .map(|token| (*token, tokens.get(*token).facts()))
            .collect(),
        supply: (supply.iter())
            .map(|(token, sum)| (*token, tokens.amount(*token, *sum)))
            .collect(),
        escrow: (totals.iter())
            .map(|(token, totals)| (*token, Escrow::of(&tokens, *token, totals)))
            .collect(),
        roots_chain,
        batches: status.sealed,
        replayed: args.replay,
        state_root: to_hex(&status.state_root),
        finalized_root: to_hex(&deployment.l1.head()?.root),
        faults,
    };
    settings.ui.result(&facts, describe(&tokens, &facts))?;
    ensure!(
        facts.ok,
        Fault::damaged(format!("the audit found {} faults", facts.faults.len()))
    );
    Ok(())
}

fn describe(tokens: &Tokens, facts: &AuditFacts) -> String {
    let heading = [
        "token",
        "supply",
        "escrow",
        "balances",
        "claimable",
        "pending",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (token, escrow) in facts.escrow.iter().take(SHOWN) {
        let none = tokens.amount(*token, 0);
        let held = facts.supply.get(token).unwrap_or(&none);
        let name = tokens.get(*token).to_string();
        let cells = [vec![name, held.to_string()], escrow.cells().to_vec()];
        rows.push(cells.concat());
    }
    let mut text = table(&rows);
    if facts.escrow.len() > SHOWN {
        text.push_str(&format!("and {} more tokens\n", facts.escrow.len() - SHOWN));
    }
    let chain = if facts.roots_chain {
        "chain"
    } else {
        "DO NOT CHAIN"
    };
    let how = if facts.replayed {
        ", each rebuilt from published bytes alone"
    } else {
        ""
    };
    text.push_str(&format!(
        "roots of {} batches {chain}{how}\n",
        count(facts.batches)
    ));
    for fault in &facts.faults {
        text.push_str(&format!("{} {fault}\n", paint(Style::Bad, "FAULT:")));
    }
    if facts.ok {
        text.push_str(&paint(Style::Good, "everything adds up"));
    }
    text
}

/// What `verify` prints.
#[derive(Serialize)]
struct Verified {
    verifying_key: String,
    shape: String,
    domain: String,
    batch: u64,
    old_root: String,
    new_root: String,
    timestamp: u64,
    /// First entry of the L1 queue that the batch consumes, and the one after the last: where they
    /// stand in the queue is known to L1 alone.
    queue_from: u64,
    queue_to: u64,
    transfers: usize,
    withdrawals: usize,
    l1_ops: usize,
    data_bytes: usize,
}

/// `quire verify`.
///
/// # Errors
/// If the folder, the key, the proof or the data do not hold.
pub fn verify(settings: &Settings, args: &VerifyArgs) -> Result<()> {
    let context = || format!("cannot use the verifying key {}", args.vk.display());
    let key = VerifyingKey::load(&args.vk, settings.dev_keys).with_context(context)?;
    let shape = shape_of(&key).with_context(context)?;
    let refused = || format!("{} does not verify", args.batch_dir.display());
    let folder = BatchFolder::load(&args.batch_dir).with_context(refused)?;
    let verified = folder.verify(&shape, &key).with_context(refused)?;
    let header = &verified.words.header;
    if let Some(text) = &args.old_root {
        let expected = from_hex(text)
            .with_context(|| Fault::usage(format!("--old-root {text:?} is not a root")))?;
        if expected != header.old_root {
            let (expected, got) = (to_hex(&expected), to_hex(&header.old_root));
            bail!("the batch starts from root {got}, not from {expected}");
        }
    }
    let used = |slots: usize, unused: usize| slots - unused;
    let transfers = &verified.words.transfers;
    let withdrawals = &verified.words.withdrawals;
    let facts = Verified {
        verifying_key: key.id_hex(),
        shape: key.info().name.clone(),
        domain: to_hex(&header.domain),
        batch: header.batch_number,
        old_root: to_hex(&header.old_root),
        new_root: to_hex(&header.new_root),
        timestamp: header.timestamp,
        queue_from: folder.summary.queue_from,
        queue_to: folder
            .summary
            .queue_from
            .saturating_add(folder.summary.queue_entries),
        transfers: used(
            transfers.len(),
            transfers.iter().filter(|slot| slot.is_unused()).count(),
        ),
        withdrawals: used(
            withdrawals.len(),
            withdrawals.iter().filter(|slot| slot.is_unused()).count(),
        ),
        l1_ops: verified.words.l1_ops.len(),
        data_bytes: folder.submission.data.len(),
    };
    let text = format!(
        "proof and data of batch {} hold\nverifying key  {} (shape {})\ndomain         {}\n\
         old root       {}\nnew root       {}\nL1 queue       {} to {}\n\
         {} transfers, {} withdrawals, {} L1 operations, {} bytes of data",
        facts.batch,
        facts.verifying_key,
        facts.shape,
        facts.domain,
        facts.old_root,
        facts.new_root,
        facts.queue_from,
        facts.queue_to,
        facts.transfers,
        facts.withdrawals,
        facts.l1_ops,
        facts.data_bytes,
    );
    settings.ui.result(&facts, text)
}
