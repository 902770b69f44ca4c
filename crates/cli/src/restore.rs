//! `quire restore`: the batcher's database from L1's data alone, the operator's or a mirror.
//!
//! L1's file may lie in the data directory or elsewhere (`--l1`); the data directory may be empty.
//! Invariant: the database is put in place whole, and never over another one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use batcher::Role;
use batcher::store::FILE_NAME;
use files::{FolderDraft, Readers};
use l1::{Address, NativeL1};
use ledger::field::to_hex;
use rollup::L1;
use rollup::batcher_settings;
use serde::Serialize;
use wallet::{Locked, read_secret};

use crate::args::RestoreArgs;
use crate::config;
use crate::deployment::{caller, operator_file};
use crate::fault::Fault;
use crate::interrupt::{remove_on_interrupt, shield};
use crate::settings::Settings;
use crate::ui::seconds;
use crate::wallet::{find, write_secret};
use rollup::place::make_folder;
use rollup::text::count;

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

/// Whose database is made.
enum Owner {
    /// That of the operator with this address; with its wallet, if that is to be copied.
    Operator(Address, Option<Locked>),
    /// Anybody's who follows L1.
    Mirror,
}

/// `quire restore`.
///
/// # Errors
/// If there is a database already, a wallet is not the operator's, or L1's data do not hold.
pub fn run(settings: &Settings, args: &RestoreArgs) -> Result<()> {
    let folder = settings.rollup_dir();
    let target = folder.join(FILE_NAME);
    ensure!(
        !target.exists(),
        "{} exists and is not replaced; what it knows beyond L1 would be lost; move it away first",
        target.display()
    );
    check_named(settings)?;
    let l1 = L1::open(settings)?;
    let owner = owner(settings, args, &folder, &l1)?;
    make_folder(&folder)?;
    let draft = FolderDraft::begin(&target)?;
    remove_on_interrupt(draft.path());
    let facts = rebuild(settings, &l1, draft.path(), &owner)?;
    {
        // Why the database last: until it is there, the same command can be given again.
        let _shield = shield();
        if let Owner::Operator(_, Some(wallet)) = &owner {
            write_secret(
                &operator_file(&folder),
                &read_secret(&wallet.path, "wallet")?,
            )?;
        }
        name_l1(settings)?;
        draft.put_file_new(FILE_NAME)?;
    }
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

fn rebuild(settings: &Settings, l1: &NativeL1, draft: &Path, owner: &Owner) -> Result<Restored> {
    let started = Instant::now();
    let head = l1.head()?;
    let what = "restoring from L1's data";
    let task = settings.ui.task(what, Some(head.next_batch - 1));
    let (mut batches, mut counts) = (0, [0usize; 3]);
    let mut batcher = rollup::restore(l1, draft, batcher_settings(l1)?, |batch| {
        batches += 1;
        let of_batch = batch.counts();
        counts = [0, 1, 2].map(|kind| counts[kind] + of_batch[kind]);
        task.at(batches);
    })?;
    task.done();
    match owner {
        Owner::Operator(address, _) => batcher.set_operator(address.0)?,
        Owner::Mirror => batcher.set_role(Role::Mirror)?,
    }
    let status = batcher.status();
    ensure!(
        status.state_root == head.root,
        Fault::damaged("the restored root is not that of L1")
    );
    let [l1_ops, transfers, withdrawals] = counts;
    let time = started.elapsed();
    Ok(Restored {
        batches,
        transfers,
        withdrawals,
        l1_ops,
        accounts: batcher.state().accounts().count(),
        pending_queue: head.queue_tail - status.queue,
        mirror: matches!(owner, Owner::Mirror),
        state_root: to_hex(&status.state_root),
        seconds: seconds(time),
        transfers_per_second: transfers as f64 / time.as_secs_f64().max(1e-3),
    })
}

/// Whose database is made: the operator's with its wallet, named or kept, or with its Ethereum key.
fn owner(settings: &Settings, args: &RestoreArgs, folder: &Path, l1: &L1) -> Result<Owner> {
    let kept = operator_file(folder);
    let (named, has_key) = (l1.operator()?, has_operators_key(settings, l1)?);
    let (wallet, copied) = match &args.operator {
        Some(name) if kept.exists() => {
            let (named, kept) = (find(settings, name)?, Locked::read(&kept)?);
            // Why the same is taken: an interrupted restoration has put it there.
            ensure!(
                read_secret(&named.path, "wallet")? == read_secret(&kept.path, "wallet")?,
                Fault::usage(format!(
                    "{} is the operator's wallet already; leave --operator out",
                    kept.path.display()
                ))
            );
            (kept, false)
        }
        Some(name) => (find(settings, name)?, true),
        None if kept.exists() => (Locked::read(&kept)?, false),
        None if has_key => return Ok(Owner::Operator(named, None)),
        None => return Ok(Owner::Mirror),
    };
    let first = l1.deployment().parameters().operator.address;
    let address = match l1.deployment().is_on_chain() {
        true if has_key => named,
        // The wallet of the fee accounts says nothing of the operator, but where `l1 deploy` has put it.
        true if !copied => first,
        true => bail!(Fault::usage(format!(
            "the operator of this deployment is {named}: name its Ethereum key with --eth-key-file, or leave --operator out for a mirror"
        ))),
        false => wallet.address,
    };
    // A former operator's directory has its wallet still.
    if address != named && address == first && !copied {
        return Ok(Owner::Mirror);
    }
    ensure!(
        address == named,
        Fault::input(format!(
            "{} is the wallet of {}, the operator of this deployment is {named}",
            wallet.path.display(),
            wallet.address
        ))
    );
    Ok(Owner::Operator(named, copied.then_some(wallet)))
}

/// True if the Ethereum key that was named is that of a contract's operator.
fn has_operators_key(settings: &Settings, l1: &L1) -> Result<bool> {
    if !l1.link.is_remote() || settings.eth_key_file.is_none() {
        return Ok(false);
    }
    Ok(caller(l1, settings, None)? == l1.operator()?)
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
