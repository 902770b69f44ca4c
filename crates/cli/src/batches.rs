//! `quire batch`: sealed batches as the batcher has them.
//!
//! What is shown is decoded from published bytes, which the batcher checks when it reads them.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use batcher::StoredBatch;
use l1::submission::BatchFolder;
use ledger::field::to_hex;
use ledger::float::{Float16, Float40};
use ledger::operation::L1Op;
use ledger::time::Utc;
use ledger::words::{PublicWords, TransferData, WithdrawalData};
use rollup::rollup::submission;
use serde::Serialize;

use crate::args::{BatchExportArgs, BatchListArgs, BatchShowArgs};
use crate::fault::Fault;
use crate::settings::Settings;
use crate::ui::table;
use rollup::Deployment;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::proving::put_folder;
use rollup::shape::shape_name;
use rollup::text::count;

/// Rows that are listed for people unless more are asked for.
const SHOWN: u64 = 50;

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Sealed,
    Proved,
    Final,
}

impl Stage {
    fn of(stored: &StoredBatch) -> Self {
        match stored {
            StoredBatch::Sealed(_) => Self::Sealed,
            StoredBatch::Proved(_) => Self::Proved,
            StoredBatch::Finalized(_) => Self::Final,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Proved => "proved",
            Self::Final => "final",
        }
    }
}

/// A row of `batch list`.
#[derive(Serialize)]
struct Row {
    batch: u64,
    stage: Stage,
    shape: String,
    timestamp: u64,
    l1_ops: usize,
    transfers: usize,
    withdrawals: usize,
    data_bytes: usize,
    new_root: String,
}

/// What `batch show` prints.
#[derive(Serialize)]
struct Shown {
    batch: u64,
    stage: Stage,
    shape: String,
    domain: String,
    old_root: String,
    new_root: String,
    timestamp: u64,
    fee_accounts: Vec<u32>,
    queue_from: u64,
    queue_to: u64,
    data_bytes: usize,
    proof_bytes: usize,
    l1_ops: Vec<L1Fact>,
    transfers: Vec<TransferFact>,
    withdrawals: Vec<WithdrawalFact>,
    payouts: Vec<PayoutFact>,
}

/// An operation of the L1 queue.
#[derive(Serialize)]
struct L1Fact {
    kind: &'static str,
    account: u32,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    paid_out: Amount,
}

/// A transfer.
#[derive(Serialize)]
struct TransferFact {
    slot: usize,
    from: u32,
    to: u32,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    fee: Amount,
}

/// A withdrawal.
#[derive(Serialize)]
struct WithdrawalFact {
    slot: usize,
    account: u32,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    fee: Amount,
}

/// What becomes claimable.
#[derive(Serialize)]
struct PayoutFact {
    account: u32,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
}

/// What `batch export` prints.
#[derive(Serialize)]
struct Exported {
    batch: u64,
    written: String,
    bytes: u64,
    single_file: bool,
}

/// A batch by number.
fn stored(deployment: &Deployment, number: u64) -> Result<StoredBatch> {
    let sealed = deployment.batcher.status().sealed;
    ensure!(
        (1..=sealed).contains(&number),
        "there is no batch {number}: {}",
        match sealed {
            0 => "none is sealed yet".to_owned(),
            sealed => format!("they go from 1 to {sealed}"),
        }
    );
    Ok(deployment.batcher.batch(number)?)
}

/// `quire batch list`.
///
/// # Errors
/// If the deployment cannot be read.
pub fn run_list(settings: &Settings, args: &BatchListArgs) -> Result<()> {
    let deployment = Deployment::read(settings)?;
    let sealed = deployment.batcher.status().sealed;
    let limit = args.limit.unwrap_or(u64::MAX);
    let last = sealed.min(args.from.saturating_add(limit).saturating_sub(1));
    let rows: Vec<Row> = (args.from..=last)
        .map(|number| Ok(row(number, &deployment.batcher.batch(number)?)))
        .collect::<Result<_>>()?;
    settings
        .ui
        .result(&rows, describe_list(&rows, args, sealed))
}

fn row(number: u64, stored: &StoredBatch) -> Row {
    let batch = stored.batch();
    let [l1_ops, transfers, withdrawals] = used(batch.words());
    Row {
        batch: number,
        stage: Stage::of(stored),
        shape: shape_name(batch.shape()),
        timestamp: batch.words().header.timestamp,
        l1_ops,
        transfers,
        withdrawals,
        data_bytes: batch.bytes().len(),
        new_root: to_hex(&batch.new_root()),
    }
}

/// Used slots by kind.
fn used(words: &PublicWords) -> [usize; 3] {
    let transfers = words.transfers.iter().filter(|slot| !slot.is_unused());
    let withdrawals = words.withdrawals.iter().filter(|slot| !slot.is_unused());
    [words.l1_ops.len(), transfers.count(), withdrawals.count()]
}

fn describe_list(rows: &[Row], args: &BatchListArgs, sealed: u64) -> String {
    if rows.is_empty() {
        return format!(
            "no batches from {} on; {} are sealed",
            args.from,
            count(sealed)
        );
    }
    let heading = [
        "batch",
        "stage",
        "shape",
        "timestamp",
        "L1 ops",
        "transfers",
        "withdrawals",
        "bytes",
        "new root",
    ];
    let mut cells = vec![heading.map(str::to_owned).to_vec()];
    let most = if args.limit.is_some() {
        u64::MAX
    } else {
        SHOWN
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    for row in rows.iter().take(most) {
        cells.push(vec![
            row.batch.to_string(),
            row.stage.name().to_owned(),
            row.shape.clone(),
            Utc(row.timestamp).to_string(),
            count(row.l1_ops),
            count(row.transfers),
            count(row.withdrawals),
            count(row.data_bytes),
            row.new_root.chars().take(18).collect(),
        ]);
    }
    let mut text = table(&cells);
    if rows.len() > most {
        text.push_str(&format!(
            "and {} more; --limit N lists more\n",
            count(rows.len() - most)
        ));
    }
    text
}

/// `quire batch show`.
///
/// # Errors
/// If there is no such batch.
pub fn run_show(settings: &Settings, args: &BatchShowArgs) -> Result<()> {
    let deployment = Deployment::read(settings)?;
    let stored = stored(&deployment, args.batch)?;
    let facts = shown(&deployment, &stored)?;
    settings.ui.result(&facts, describe(&facts))
}

fn shown(deployment: &Deployment, stored: &StoredBatch) -> Result<Shown> {
    let tokens = Tokens::of(&deployment.l1)?;
    let batch = stored.batch();
    let words = batch.words();
    let header = &words.header;
    let proof_bytes = match stored {
        StoredBatch::Sealed(_) => 0,
        StoredBatch::Proved(proved) => proved.proof().len(),
        StoredBatch::Finalized(finalized) => finalized.proof().len(),
    };
    Ok(Shown {
        batch: header.batch_number,
        stage: Stage::of(stored),
        shape: shape_name(batch.shape()),
        domain: to_hex(&header.domain),
        old_root: to_hex(&header.old_root),
        new_root: to_hex(&header.new_root),
        timestamp: header.timestamp,
        fee_accounts: header
            .fee_indices
            .iter()
            .copied()
            .filter(|index| *index != 0)
            .collect(),
        queue_from: batch.queue().start,
        queue_to: batch.queue().end,
        data_bytes: batch.bytes().len(),
        proof_bytes,
        l1_ops: words
            .l1_ops
            .iter()
            .map(|entry| l1_fact(&tokens, &entry.op, entry.paid_out))
            .collect(),
        transfers: transfers(deployment, &tokens, &words.transfers)?,
        withdrawals: withdrawals(deployment, &tokens, &words.withdrawals)?,
        payouts: (batch.payouts().iter())
            .map(|payout| PayoutFact {
                account: payout.index,
                token: tokens.get(payout.token).facts(),
                amount: tokens.amount(payout.token, payout.amount),
            })
            .collect(),
    })
}

fn l1_fact(tokens: &Tokens, op: &L1Op, paid_out: u128) -> L1Fact {
    let kind = match op {
        L1Op::Create { .. } => "create",
        L1Op::TopUp { .. } => "top-up",
        L1Op::ForcedExit { .. } => "forced exit",
    };
    L1Fact {
        kind,
        account: op.index(),
        token: tokens.get(op.token()).facts(),
        amount: tokens.amount(op.token(), op.amount()),
        paid_out: tokens.amount(op.token(), paid_out),
    }
}

/// Amount and fee of a payment from an account: its token is not published, and never changes.
fn payment(
    deployment: &Deployment,
    tokens: &Tokens,
    from: u32,
    amount: Float40,
    fee: Float16,
) -> Result<[Amount; 2]> {
    let registered = deployment
        .l1
        .registered(from)?
        .map(|registered| registered.token);
    let held = || {
        deployment
            .batcher
            .state()
            .account(from)
            .map(|account| account.token)
    };
    let token = registered.or_else(held).with_context(|| {
        Fault::damaged(format!(
            "account {from} of the batch is not registered on L1"
        ))
    })?;
    let values = [amount.value_u128(), fee.value_u128()];
    Ok(values.map(|value| tokens.amount(token, value.unwrap_or(u128::MAX))))
}

fn transfers(
    deployment: &Deployment,
    tokens: &Tokens,
    slots: &[TransferData],
) -> Result<Vec<TransferFact>> {
    let used = slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| !slot.is_unused());
    used.map(|(slot, transfer)| {
        let (from, to) = (transfer.from, transfer.to);
        let [amount, fee] = payment(deployment, tokens, from, transfer.amount, transfer.fee)?;
        Ok(TransferFact {
            slot,
            from,
            to,
            token: amount.facts(),
            amount,
            fee,
        })
    })
    .collect()
}

fn withdrawals(
    deployment: &Deployment,
    tokens: &Tokens,
    slots: &[WithdrawalData],
) -> Result<Vec<WithdrawalFact>> {
    let used = slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| !slot.is_unused());
    used.map(|(slot, withdrawal)| {
        let account = withdrawal.index;
        let [amount, fee] = payment(
            deployment,
            tokens,
            account,
            withdrawal.amount,
            withdrawal.fee,
        )?;
        Ok(WithdrawalFact {
            slot,
            account,
            token: amount.facts(),
            amount,
            fee,
        })
    })
    .collect()
}

fn describe(facts: &Shown) -> String {
    let fees: Vec<String> = facts.fee_accounts.iter().map(u32::to_string).collect();
    let fees = match fees.is_empty() {
        true => "nobody".to_owned(),
        false => format!("account {}", fees.join(", ")),
    };
    let mut text = format!(
        "batch        {} ({}), shape {}\ntimestamp    {}\nold root     {}\nnew root     {}\n\
         L1 queue     {} to {}\nfees to      {}\nsizes        {} bytes of data, {} of proof\n",
        facts.batch,
        facts.stage.name(),
        facts.shape,
        Utc(facts.timestamp),
        facts.old_root,
        facts.new_root,
        facts.queue_from,
        facts.queue_to,
        fees,
        count(facts.data_bytes),
        facts.proof_bytes,
    );
    let mut section = |heading: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
            text.push('\n');
            text.push_str(&table(&[vec![heading], rows].concat()));
        }
    };
    let row_of_l1 = |op: &L1Fact| {
        [
            op.kind.to_owned(),
            op.account.to_string(),
            op.amount.to_string(),
            op.paid_out.to_string(),
        ]
        .to_vec()
    };
    let row_of_transfer = |transfer: &TransferFact| {
        let numbers = [
            transfer.slot.to_string(),
            transfer.from.to_string(),
            transfer.to.to_string(),
        ];
        [
            numbers.to_vec(),
            vec![transfer.amount.to_string(), transfer.fee.to_string()],
        ]
        .concat()
    };
    let row_of_withdrawal = |withdrawal: &WithdrawalFact| {
        let numbers = [withdrawal.slot.to_string(), withdrawal.account.to_string()];
        [
            numbers.to_vec(),
            vec![withdrawal.amount.to_string(), withdrawal.fee.to_string()],
        ]
        .concat()
    };
    let row_of_payout = |payout: &PayoutFact| {
        let (account, amount) = (payout.account.to_string(), payout.amount.to_string());
        vec!["payout".to_owned(), account, amount]
    };
    section(
        &["L1 operation", "account", "amount", "paid out"],
        facts.l1_ops.iter().map(row_of_l1).collect(),
    );
    section(
        &["transfer", "from", "to", "amount", "fee"],
        facts.transfers.iter().map(row_of_transfer).collect(),
    );
    section(
        &["withdrawal", "account", "amount", "fee"],
        facts.withdrawals.iter().map(row_of_withdrawal).collect(),
    );
    section(
        &["claimable", "account", "amount"],
        facts.payouts.iter().map(row_of_payout).collect(),
    );
    text
}

/// `quire batch export`.
///
/// # Errors
/// If the batch has no proof, or what is to be written exists.
pub fn run_export(settings: &Settings, args: &BatchExportArgs) -> Result<()> {
    let deployment = Deployment::read(settings)?;
    let stored = stored(&deployment, args.batch)?;
    let proof = match &stored {
        StoredBatch::Sealed(_) => bail!(
            "batch {} has no proof yet; `quire prove` makes it",
            args.batch
        ),
        StoredBatch::Proved(proved) => proved.proof(),
        StoredBatch::Finalized(finalized) => finalized.proof(),
    };
    let to = &args.to;
    ensure!(
        !to.exists(),
        "{} exists and is not replaced; name another",
        to.display()
    );
    let batch = stored.batch();
    let submission = submission(batch, proof)?;
    let context = || format!("cannot write {}", to.display());
    let bytes = if args.single_file {
        let bytes = submission.to_bytes();
        files::write_new(to, files::Readers::Everybody, &bytes).with_context(context)?;
        bytes.len() as u64
    } else {
        let folder = BatchFolder::new(submission, batch.shape(), batch.queue().start)?;
        put_folder(&settings.stop, &folder, to).with_context(context)?;
        size_of(to).with_context(context)?
    };
    let facts = Exported {
        batch: args.batch,
        written: to.display().to_string(),
        bytes,
        single_file: args.single_file,
    };
    let text = format!(
        "batch {} in {}, {} bytes",
        args.batch,
        to.display(),
        count(bytes)
    );
    settings.ui.result(&facts, text)
}

/// Bytes of the files in a folder.
fn size_of(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
