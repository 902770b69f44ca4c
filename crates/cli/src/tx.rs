//! `quire tx`: what became of a signed operation, and when.

use anyhow::{Context, Result};
use batcher::{OperationId, Verdict};
use ledger::time::Utc;
use rollup::Wait;
use serde::Serialize;

use crate::args::TxArgs;
use crate::fault::Fault;
use crate::settings::Settings;
use rollup::Deployment;
use rollup::amount::{Amount, TokenFacts, Tokens, rule_text};

/// What `tx` prints. Times are seconds since 1970, by L1's clock.
#[derive(Serialize)]
struct TxFacts {
    id: String,
    status: &'static str,
    batch: Option<u64>,
    reason: Option<String>,
    /// What it waits for until it is final.
    waits: Option<Wait>,
    /// The nonce that the operation waits for, because no operation has it.
    missing_nonce: Option<u64>,
    received: Option<u64>,
    sealed: Option<u64>,
    proven: Option<u64>,
    finalized: Option<u64>,
    /// What the owner may claim of the account's token, once a withdrawal is final.
    claimable: Option<Amount>,
    #[serde(flatten)]
    token: Option<TokenFacts>,
}

/// `quire tx`.
///
/// # Errors
/// If the operation was never acknowledged.
pub fn run(settings: &Settings, args: &TxArgs) -> Result<()> {
    let id: OperationId = args
        .id
        .parse()
        .map_err(|error| Fault::usage(format!("{error}")))?;
    let deployment = Deployment::read(settings)?;
    let history = deployment.batcher.history(&id)?.with_context(|| {
        format!("operation {id} was never acknowledged here, or was final before the batcher was restored from L1")
    })?;
    let (status, batch, reason) = match history.verdict.clone() {
        Verdict::Pending => ("received", None, None),
        Verdict::Sealed { batch } if history.proven.is_some() => ("proven", Some(batch), None),
        Verdict::Sealed { batch } => ("sealed", Some(batch), None),
        Verdict::Finalized { batch } => ("finalized", Some(batch), None),
        Verdict::Rejected { reason } => ("rejected", None, Some(reason)),
    };
    let claimable = match (&history.verdict, history.withdrawn_from) {
        (Verdict::Finalized { .. }, Some(index)) => claimable(&deployment, index)?,
        _ => None,
    };
    let facts = TxFacts {
        id: id.to_string(),
        status,
        batch,
        reason,
        waits: deployment.wait_of(&id, &history)?,
        missing_nonce: deployment.batcher.missing_nonce(&id),
        received: history.received,
        sealed: history.sealed,
        proven: history.proven,
        finalized: history.finalized,
        token: claimable.as_ref().map(Amount::facts),
        claimable,
    };
    let mut text = format!("operation {id}\nstatus     {status}");
    if let Some(batch) = facts.batch {
        text.push_str(&format!(" in batch {batch}"));
    }
    if let Some(reason) = &facts.reason {
        let reason = rule_text(&deployment.l1, reason)?;
        text.push_str(&format!(": {reason}"));
    }
    if let Some(nonce) = facts.missing_nonce {
        text.push_str(&format!(
            "\nwaits for  nonce {nonce} of the same account, which no operation has: sign one with --nonce {nonce}"
        ));
    }
    let times = [
        ("received", facts.received),
        ("sealed", facts.sealed),
        ("proven", facts.proven),
        ("finalized", facts.finalized),
    ];
    for (stage, time) in times {
        if let Some(time) = time {
            text.push_str(&format!("\n{stage:10} {}", Utc(time)));
        }
    }
    if let Some(wait) = &facts.waits {
        text.push_str(&format!("\n{}", wait));
    }
    if let Some(amount) = &facts.claimable {
        text.push_str(&format!(
            "\nclaimable  {amount} by the account's owner, `quire claim`"
        ));
    }
    settings.ui.result(&facts, text)
}

/// What the owner of an account may claim of its token.
fn claimable(deployment: &Deployment, index: u32) -> Result<Option<Amount>> {
    let Some(registered) = deployment.l1.registered(index)? else {
        return Ok(None);
    };
    let l1::Registration { owner, token } = registered;
    let claimable = deployment.l1.claimable(owner, token)?;
    Ok(Some(Tokens::of(&deployment.l1)?.amount(token, claimable)))
}
