//! `quire mempool`: signed operations that wait for a batch.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use batcher::replacing_fee;
use batcher::store::FILE_NAME;
use batcher::{Acknowledged, OperationId, SignedOperation, Verdict, acknowledged};
use ledger::float::{Float16, Float40};
use ledger::operation::{Fields, NO_EXPIRY, Signable, Transfer};
use ledger::time::Utc;
use rollup::clock::now;
use serde::Serialize;

use crate::args::{MempoolCancelArgs, MempoolCommand, MempoolExportArgs, MempoolListArgs};
use crate::fault::Fault;
use crate::files::{Readers, write_new};
use crate::settings::Settings;
use crate::ui::table;
use rollup::amount::{Amount, TokenFacts, Tokens, rule_text};
use rollup::operator::open_operators;
use rollup::text::count;
use rollup::{Deployment, Wait};

/// Rows of a listing for people.
const SHOWN: usize = 50;

/// An operation that waits, for `mempool list`.
#[derive(Serialize)]
struct Waiting {
    id: String,
    kind: &'static str,
    from: u32,
    to: Option<u32>,
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    fee: Amount,
    nonce: u64,
    valid_until: u64,
    received: u64,
    missing_nonce: Option<u64>,
    expired: bool,
    waits: Option<Wait>,
}

/// An operation that `mempool export` wrote.
#[derive(Serialize)]
struct Exported {
    id: String,
    status: &'static str,
    batch: Option<u64>,
    received: u64,
}

/// What `mempool cancel` prints.
#[derive(Serialize)]
struct Cancelled {
    cancelled: String,
    by: String,
    account: u32,
    nonce: u64,
    #[serde(flatten)]
    token: TokenFacts,
    fee: Amount,
}

/// What `mempool export` prints.
#[derive(Serialize)]
struct Exports {
    file: PathBuf,
    operations: Vec<Exported>,
}

/// `quire mempool …`.
///
/// # Errors
/// As the command.
pub fn run(settings: &Settings, command: &MempoolCommand) -> Result<()> {
    match command {
        MempoolCommand::List(args) => list(settings, args),
        MempoolCommand::Cancel(args) => cancel(settings, args),
        MempoolCommand::Export(args) => export(settings, args),
    }
}

fn kind_of(fields: &Fields) -> &'static str {
    match fields.kind {
        Transfer::KIND => "transfer",
        _ => "withdrawal",
    }
}

/// What an operation moves.
fn amount_of(tokens: &Tokens, fields: &Fields) -> Amount {
    let value = fields.amount.value_u128().unwrap_or(u128::MAX);
    tokens.amount(fields.token, value)
}

/// A fee in the token of an operation.
fn fee_of(tokens: &Tokens, fields: &Fields, fee: Float16) -> Amount {
    tokens.amount(fields.token, fee.value_u128().unwrap_or(u128::MAX))
}

fn list(settings: &Settings, args: &MempoolListArgs) -> Result<()> {
    let deployment = Deployment::read(settings)?;
    let (time, tokens) = (deployment.l1_time(now()?)?, Tokens::of(&deployment.l1)?);
    let waits = deployment.waits()?;
    let wanted = |fields: &Fields| args.account.is_none_or(|account| account == fields.from);
    let operations = deployment.batcher.mempool().iter();
    let waiting: Vec<Waiting> = operations
        .map(|(id, operation, received)| (id, operation.fields(), received))
        .filter(|(_, fields, _)| wanted(fields))
        .map(|(id, fields, received)| (id, fields, received, fields.valid_until < time))
        .map(|(id, fields, received, expired)| Waiting {
            id: id.to_string(),
            kind: kind_of(&fields),
            from: fields.from,
            to: (fields.kind == Transfer::KIND).then_some(fields.to),
            token: tokens.get(fields.token).facts(),
            amount: amount_of(&tokens, &fields),
            fee: fee_of(&tokens, &fields, fields.fee),
            nonce: fields.nonce,
            valid_until: fields.valid_until,
            received,
            missing_nonce: deployment.batcher.missing_nonce(&id),
            expired,
            waits: match expired {
                true => None,
                false => deployment.wait_of_pending(&id, &waits).cloned(),
            },
        })
        .collect();
    let heading = [
        "operation",
        "from",
        "nonce",
        "what",
        "amount",
        "fee",
        "waits for",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for one in waiting.iter().take(SHOWN) {
        let waits_for = match (&one.waits, one.missing_nonce) {
            (None, _) => "nothing: it expired".to_owned(),
            (Some(Wait::Nonces { .. }), Some(nonce)) => format!("nonce {nonce}"),
            (Some(wait), _) => wait.cell().to_owned(),
        };
        rows.push(vec![
            one.id.clone(),
            one.from.to_string(),
            one.nonce.to_string(),
            one.kind.to_owned(),
            one.amount.to_string(),
            one.fee.to_string(),
            waits_for,
        ]);
    }
    let mut text = table(&rows);
    if waiting.len() > SHOWN {
        text.push_str(&format!("and {} more\n", count(waiting.len() - SHOWN)));
    }
    let without_batch =
        |wait: &&Wait| matches!(wait, Wait::HandingIn { .. } | Wait::Nothing { .. });
    if let Some(wait) = waits.iter().find(without_batch) {
        text.push_str(&format!("{wait}\n"));
    }
    settings.ui.result(&waiting, text)
}

/// Where an operation is that does not wait.
fn where_it_is(deployment: &Deployment, verdict: Option<Verdict>) -> Result<String> {
    Ok(match verdict {
        // Also of one that was cancelled, which names what replaced it.
        Some(Verdict::Rejected { reason }) => {
            format!("it was dropped, {}", rule_text(&deployment.l1, &reason)?)
        }
        Some(Verdict::Sealed { batch } | Verdict::Finalized { batch }) => {
            format!("it is in batch {batch}")
        }
        Some(Verdict::Pending) | None => "it was never acknowledged here".to_owned(),
    })
}

/// Replaces an operation by one that does nothing but use its nonce, which its signer signs.
fn cancel(settings: &Settings, args: &MempoolCancelArgs) -> Result<()> {
    let id: OperationId = (args.id.parse()).map_err(|error| Fault::usage(format!("{error}")))?;
    let wallet = crate::wallet::load(settings, &args.wallet)?;
    let mut deployment = open_operators(settings)?;
    deployment.check_not_frozen()?;
    let found = deployment
        .batcher
        .mempool()
        .iter()
        .find(|(of, ..)| *of == id);
    let Some((_, operation, _)) = found else {
        let history = deployment.batcher.history(&id)?;
        bail!(
            "operation {id} does not wait, so it cannot be cancelled: {}",
            where_it_is(&deployment, history.map(|history| history.verdict))?
        );
    };
    let waits = operation.fields();
    ensure!(
        deployment.account(waits.from)?.key == wallet.public,
        "account {} is signed for by another key than this wallet's",
        waits.from
    );
    let fees = &deployment.batcher.settings().fee_accounts;
    let fee = match fees.contains_key(&waits.token) {
        true => replacing_fee(&waits).context(
            "no fee that can be signed is high enough: wait until the operation expires",
        )?,
        false => Float16::default(),
    };
    let nothing = Transfer {
        from: waits.from,
        to: waits.from,
        amount: Float40::default(),
        fee,
        nonce: waits.nonce,
        valid_until: NO_EXPIRY,
        token: waits.token,
    };
    let signed = nothing.sign(&wallet.key, &deployment.l1.domain());
    let tokens = Tokens::of(&deployment.l1)?;
    let time = deployment.time_to_keep(now()?)?;
    let verdict = deployment.batcher.submit(signed.into(), time)?;
    let facts = Cancelled {
        cancelled: id.to_string(),
        by: verdict.context("the batcher refuses")?.to_string(),
        account: waits.from,
        nonce: waits.nonce,
        token: tokens.get(waits.token).facts(),
        fee: fee_of(&tokens, &waits, fee),
    };
    let text = format!(
        "operation {id} is cancelled: operation {} takes its nonce {}, for a fee of {}",
        facts.by, facts.nonce, facts.fee
    );
    settings.ui.result(&facts, text)
}

fn export(settings: &Settings, args: &MempoolExportArgs) -> Result<()> {
    let (file, on_l1) = match &args.database {
        Some(file) => (file.clone(), None),
        None => (settings.rollup_dir().join(FILE_NAME), final_on_l1(settings)),
    };
    let all = acknowledged(&file, args.since, on_l1)?;
    let signed = all.iter().map(|one| text_of(&one.operation));
    let signed = signed.collect::<serde_json::Result<Vec<_>>>();
    let signed = signed.context("cannot write the operations as JSON")?;
    write_new(&args.out, Readers::Everybody, |out| {
        Ok(serde_json::to_writer_pretty(out, &signed).map_err(std::io::Error::from)?)
    })?;
    let heading = ["operation", "status", "received"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let mut operations = Vec::with_capacity(all.len());
    for one in &all {
        let exported = exported(one);
        let status = match exported.batch {
            Some(batch) => format!("{} in batch {batch}", exported.status),
            None => exported.status.to_owned(),
        };
        if rows.len() <= SHOWN {
            rows.push(vec![
                exported.id.clone(),
                status,
                Utc(one.received).to_string(),
            ]);
        }
        operations.push(exported);
    }
    let (rows, out) = (table(&rows), args.out.display());
    let text = match all.len() {
        0 => format!("no operation waits, so {out} has none, and there is nothing to hand in"),
        many => format!(
            "{rows}{} operations in {out}; `quire accept` takes the file",
            count(many)
        ),
    };
    let file = args.out.clone();
    settings.ui.result(&Exports { file, operations }, text)
}

/// The last batch of the database that L1 has as final, if both can be read: L1 may have lost what the database
/// noted as final.
fn final_on_l1(settings: &Settings) -> Option<u64> {
    match Deployment::read(settings) {
        Ok(deployment) => Some(deployment.batcher.status().finalized),
        Err(error) => {
            let note =
                "what is final is what the database noted, since L1 could not be compared with it";
            settings
                .ui
                .note(format!("{note}: {:#}", anyhow::Error::from(error)));
            None
        }
    }
}

fn text_of(operation: &SignedOperation) -> serde_json::Result<serde_json::Value> {
    match operation {
        SignedOperation::Transfer(signed) => serde_json::to_value(signed),
        SignedOperation::Withdraw(signed) => serde_json::to_value(signed),
    }
}

fn exported(one: &Acknowledged) -> Exported {
    let (status, batch) = match one.verdict {
        Verdict::Sealed { batch } => ("sealed", Some(batch)),
        Verdict::Finalized { batch } => ("finalized", Some(batch)),
        Verdict::Pending | Verdict::Rejected { .. } => ("received", None),
    };
    Exported {
        id: one.id.to_string(),
        status,
        batch,
        received: one.received,
    }
}
