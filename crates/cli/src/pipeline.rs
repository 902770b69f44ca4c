//! `quire seal`, `prove`, `submit` and `run`: batches from waiting operations to finality.

use std::time::Instant;

use anyhow::{Context, Result};
use ledger::field::to_hex;
use rollup::proving::{self, Keys, Order};
use rollup::running;
use rollup::text::count;
use rollup::{Deployment, SealLimit, Wait};
use serde::Serialize;

use crate::args::{ProveArgs, RunArgs, SealArgs, SubmitArgs};
use crate::deployment::unlock_operator;
use crate::fault::Fault;
use crate::settings::Settings;
use crate::takeover::open_to_take_over;
use crate::ui::seconds;
use crate::waits;
use rollup::operator::{open_operators, tell_missing_fees};

/// What sealing came to.
#[derive(Clone, Debug, Serialize)]
pub struct Sealed {
    /// Batches sealed.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// Withdrawals in them.
    pub withdrawals: usize,
    /// L1 operations in them.
    pub l1_ops: usize,
    /// Operations dropped as invalid.
    pub dropped: usize,
    /// Operations that still wait.
    pub waiting: usize,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
    /// Root after the last batch.
    pub state_root: String,
    /// Time that it took.
    pub seconds: f64,
}

/// What proving came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proved {
    /// Batches proven.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// Time for witnesses and proofs.
    pub proving_seconds: f64,
    /// Time that all of it took, keys included.
    pub seconds: f64,
    /// Proofs made side by side.
    pub side_by_side: usize,
    /// Whether witnesses were made ahead of the proof before.
    pub ahead: bool,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
}

/// What submission came to.
#[derive(Clone, Debug, Serialize)]
pub struct Submitted {
    /// Batches finalized.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// L1's root.
    pub finalized_root: String,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
    /// Time that it took.
    pub seconds: f64,
}

/// What `run` came to.
#[derive(Serialize)]
struct Ran {
    batches: u64,
    transfers: usize,
    finalized_root: String,
    seconds: f64,
    proving_seconds: f64,
    dropped: usize,
    waits: Vec<Wait>,
    side_by_side: usize,
}

/// Seals batches.
///
/// # Errors
/// If the batcher cannot write or the L1 queue does not fit it.
pub fn seal(settings: &Settings, deployment: &mut Deployment, limit: SealLimit) -> Result<Sealed> {
    let running::Sealed {
        summary,
        waits,
        time,
    } = running::seal(settings, deployment, limit)?;
    Ok(Sealed {
        batches: summary.batches,
        transfers: summary.transfers,
        withdrawals: summary.withdrawals,
        l1_ops: summary.l1_ops,
        dropped: summary.dropped,
        waiting: summary.waiting,
        waits,
        state_root: to_hex(&summary.state_root),
        seconds: seconds(time),
    })
}

/// Proves sealed batches, oldest first. Other commands write the deployment's files while proofs are made:
/// the deployment is given back as it is then.
///
/// # Errors
/// If a key is missing or wrong, a proof fails, or files cannot be written. Proofs made before are
/// kept.
pub fn prove(
    settings: &Settings,
    deployment: Deployment,
    order: Order,
    keys: &mut Keys,
) -> Result<(Deployment, Proved)> {
    let started = Instant::now();
    let (deployment, proven) = proving::prove(settings, deployment, order, keys)?;
    let proved = Proved {
        batches: proven.batches,
        transfers: proven.transfers,
        proving_seconds: seconds(proven.proving),
        seconds: seconds(started.elapsed()),
        side_by_side: proven.side_by_side,
        ahead: proven.ahead,
        waits: deployment.waits()?,
    };
    Ok((deployment, proved))
}

/// Submits proven batches, oldest first.
///
/// # Errors
/// If L1 refuses, or a key is missing. Batches finalized before stay so.
pub fn submit(settings: &Settings, deployment: &mut Deployment, limit: u64) -> Result<Submitted> {
    let submitted = running::submit(settings, deployment, limit)?;
    Ok(Submitted {
        batches: submitted.batches,
        transfers: submitted.transfers,
        finalized_root: to_hex(&submitted.root),
        waits: deployment.waits()?,
        seconds: seconds(submitted.time),
    })
}

/// Reads `3GiB`, `512MiB` or a number of bytes.
///
/// # Errors
/// If the text is neither.
pub fn memory(text: &str) -> Result<usize> {
    let units = [
        ("gib", 1usize << 30),
        ("mib", 1 << 20),
        ("kib", 1 << 10),
        ("", 1),
    ];
    let lower = text.trim().to_ascii_lowercase();
    let (name, unit) = units
        .into_iter()
        .find(|(name, _)| lower.ends_with(name))
        .context("the last unit fits every text")?;
    let number: Option<usize> = lower[..lower.len() - name.len()].trim_end().parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .with_context(|| {
            Fault::usage(format!(
                "{text:?} is not an amount of memory: write 3GiB, 512MiB or bytes"
            ))
        })
}

/// `quire seal`.
///
/// # Errors
/// As [`seal`].
pub fn run_seal(settings: &Settings, args: &SealArgs) -> Result<()> {
    let mut deployment = open_operators(settings)?;
    let limit = match (args.all, args.max_batches) {
        (true, None) => SealLimit::All,
        (_, Some(limit)) => SealLimit::Batches(limit),
        (false, None) => SealLimit::Due,
    };
    let sealed = seal(settings, &mut deployment, limit)?;
    let rate = sealed.transfers as f64 / sealed.seconds.max(1e-3);
    let text = format!(
        "{} batches sealed: {} transfers, {} withdrawals, {} L1 operations; {} dropped, {} wait\n\
         state root {}\n{:.1} s, {rate:.0} transfers a second{}{}",
        count(sealed.batches),
        count(sealed.transfers),
        count(sealed.withdrawals),
        count(sealed.l1_ops),
        count(sealed.dropped),
        count(sealed.waiting),
        sealed.state_root,
        sealed.seconds,
        waits::dropped(sealed.dropped),
        waits::lines(&sealed.waits),
    );
    settings.ui.result(&sealed, text)
}

/// `quire prove`.
///
/// # Errors
/// As [`prove`].
pub fn run_prove(settings: &Settings, args: &ProveArgs) -> Result<()> {
    let memory = memory(&settings.memory)?;
    let deployment = open_operators(settings)?;
    let order = Order {
        limit: args.max_batches.unwrap_or(u64::MAX),
        memory,
        explain: args.explain,
    };
    let (_deployment, proved) = prove(settings, deployment, order, &mut Keys::new())?;
    let text = format!(
        "{} batches proven with {} transfers, {} at once, in {:.1} s; folders in {}{}",
        count(proved.batches),
        count(proved.transfers),
        proved.side_by_side,
        proved.proving_seconds,
        settings.data_dir.join("batches").display(),
        waits::lines(&proved.waits),
    );
    settings.ui.result(&proved, text)
}

/// `quire submit`.
///
/// # Errors
/// As [`submit`].
pub fn run_submit(settings: &Settings, args: &SubmitArgs) -> Result<()> {
    let mut deployment = open_operators(settings)?;
    unlock_operator(settings, &mut deployment)?;
    let submitted = submit(
        settings,
        &mut deployment,
        args.max_batches.unwrap_or(u64::MAX),
    )?;
    let text = format!(
        "{} batches finalized with {} transfers\nfinalized root {}{}",
        count(submitted.batches),
        count(submitted.transfers),
        submitted.finalized_root,
        waits::lines(&submitted.waits),
    );
    settings.ui.result(&submitted, text)
}

/// `quire run`.
///
/// # Errors
/// As [`seal`], [`prove`] and [`submit`], and if whoever submits here may not; what was done before
/// stays done.
pub fn run_all(settings: &Settings, args: &RunArgs) -> Result<()> {
    let memory = memory(&settings.memory)?;
    let deployment = match args.take_over {
        true => open_to_take_over(settings, args.wallet.as_deref())?,
        false => {
            let mut deployment = open_operators(settings)?;
            unlock_operator(settings, &mut deployment)?;
            tell_missing_fees(settings, &deployment.l1)?;
            deployment
        }
    };
    let limit = args.prove.max_batches.unwrap_or(u64::MAX);
    let order = Order {
        limit: 0,
        memory,
        explain: args.prove.explain,
    };
    let started = Instant::now();
    let (deployment, ran) = running::run(settings, deployment, limit, order)?;
    let facts = Ran {
        batches: ran.batches,
        transfers: ran.transfers,
        finalized_root: to_hex(&deployment.l1.head()?.root),
        seconds: seconds(started.elapsed()),
        proving_seconds: seconds(ran.proving),
        dropped: ran.dropped,
        waits: deployment.waits()?,
        side_by_side: ran.side_by_side,
    };
    let text = format!(
        "{} batches finalized with {} transfers in {:.1} s, {:.1} s of it proving\nfinalized root {}{}{}",
        count(facts.batches),
        count(facts.transfers),
        facts.seconds,
        facts.proving_seconds,
        facts.finalized_root,
        waits::dropped(facts.dropped),
        waits::lines(&facts.waits),
    );
    settings.ui.result(&facts, text)
}
