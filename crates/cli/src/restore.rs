//! `quire restore`: the batcher's database from L1's data alone, the operator's or a mirror.
//!
//! L1's file may lie in the data directory or elsewhere (`--l1`); the data directory may be empty.
//! Invariant: the database is put in place whole, and never over another one.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use files::Readers;
use rollup::L1;
use rollup::restoring::{Owner, Restoring, Totals, acts_as_operator, check_absent};
use rollup::text::count;
use serde::Serialize;

use crate::args::RestoreArgs;
use crate::config;
use crate::fault::Fault;
use crate::settings::Settings;
use crate::ui::seconds;
use crate::wallet::find;

/// What `restore` prints.
#[derive(Serialize)]
struct Restored {
    batches: u64,
    transfers: usize,
    withdrawals: usize,
    l1_ops: usize,
    accounts: usize,
    pending_queue: u64,
    mirror: bool,
    state_root: String,
    seconds: f64,
    transfers_per_second: f64,
}

/// `quire restore`.
///
/// # Errors
/// If there is a database already, a wallet is not the operator's, or L1's data do not hold.
pub fn run(settings: &Settings, args: &RestoreArgs) -> Result<()> {
    check_absent(settings)?;
    check_named(settings)?;
    let l1 = L1::open(settings)?;
    let has_key = settings.eth_key_file.is_some() && acts_as_operator(&l1)?;
    let named = args.operator.as_deref();
    let named = named.map(|name| find(settings, name)).transpose()?;
    let owner = Owner::find(settings, &l1, named, has_key)?;
    let restoring = Restoring::new(settings, &l1, owner)?;
    let (owner, totals) = restoring.keep(settings, || name_l1(settings))?;
    let facts = Restored::of(&owner, &totals);
    let text = format!(
        "{} batches with {} transfers restored from L1 in {:.1} s, {:.0} transfers a second\n\
         accounts     {}\nstate root   {}, the root of L1\nqueue        {} entries wait\n\
         {}",
        count(facts.batches),
        count(facts.transfers),
        facts.seconds,
        facts.transfers_per_second,
        count(facts.accounts),
        facts.state_root,
        count(facts.pending_queue),
        match owner {
            Owner::Operator(..) =>
                "go on with `quire run`; what was accepted and never final has to be sent again by its signers",
            Owner::Mirror =>
                "this is a mirror: `quire transfer --out FILE` signs for the operator's `quire accept`; in the operator's absence `quire run --take-over` continues the rollup",
        },
    );
    settings.ui.result(&facts, text)
}

impl Restored {
    fn of(owner: &Owner, totals: &Totals) -> Self {
        Self {
            batches: totals.batches,
            transfers: totals.transfers,
            withdrawals: totals.withdrawals,
            l1_ops: totals.l1_ops,
            accounts: totals.accounts,
            pending_queue: totals.pending_queue,
            mirror: matches!(owner, Owner::Mirror),
            state_root: totals.state_root.clone(),
            seconds: seconds(totals.time),
            transfers_per_second: totals.transfers as f64 / totals.time.as_secs_f64().max(1e-3),
        }
    }
}

/// A configuration file that is there has to say where L1 is: it is not changed.
fn check_named(settings: &Settings) -> Result<()> {
    let Some((file, line)) = configuration(settings)? else {
        return Ok(());
    };
    // Why the very line is taken: an interrupted restoration has written it.
    let is_ours = || {
        let text = files::read_at_most(&file, line.len());
        text.is_ok_and(|text| text.as_deref() == Some(line.as_bytes()))
    };
    ensure!(
        !file.exists() || settings.l1_from_file() || is_ours(),
        Fault::usage(format!(
            "{} is there and does not name this L1, so that later commands would not find it; add the line {}",
            file.display(),
            line.trim_end()
        ))
    );
    Ok(())
}

/// Makes the data directory remember where its L1 is, if that is elsewhere.
fn name_l1(settings: &Settings) -> Result<()> {
    match configuration(settings)? {
        Some((file, line)) if !file.exists() => Ok(files::write_new(
            &file,
            Readers::Everybody,
            line.as_bytes(),
        )?),
        _ => Ok(()),
    }
}

/// The configuration file of the data directory and the line that names L1, if L1 is elsewhere.
fn configuration(settings: &Settings) -> Result<Option<(PathBuf, String)>> {
    if settings.l1_file == settings.rollup_dir().join("l1.redb") {
        return Ok(None);
    }
    let place = std::fs::canonicalize(&settings.l1_file)
        .with_context(|| format!("cannot find {}", settings.l1_file.display()))?;
    let place = serde_json::to_string(&place.to_string_lossy()).context("cannot name L1")?;
    let file = settings.data_dir.join(config::FILE_NAME);
    Ok(Some((file, format!("l1 = {place}\n"))))
}
