//! `quire drill`: the day the operator is gone for good, rehearsed with everything real.
//!
//! Mainnet transfers are batched, proven and finalized by an operator who runs as a process of its
//! own and is killed at work; its database, wallet and keys are deleted. Then L1 is frozen, every
//! account leaves with a plan made from L1's data alone, and what is left in escrow is counted.
//! Invariant: only what the drill made itself is deleted; its keys lie in its data directory, not
//! where the settings have others.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use batcher::store::FILE_NAME;
use l1::{Address, Deposit, NativeL1};
use ledger::babyjubjub::cofactor_inverse_point;
use node::{ExitPlan, SealLimit};
use serde::Serialize;

use crate::amount::ETH;
use crate::args::DrillArgs;
use crate::deployment::{
    Draft, L1, check_absent, now, open_l1, operator_file, random_salt, rollup_dir, shapes_by_name,
};
use crate::exit::Fault;
use crate::import::{History, Source};
use crate::interrupt::remove_on_interrupt;
use crate::leave::rebuild;
use crate::pipeline::seal;
use crate::settings::Settings;
use crate::stats::named;
use crate::ui::{count, seconds};
use crate::wallet::Wallet;

/// What a newcomer deposits on the last day.
const DEPOSIT: u128 = 1_000_000_000_000_000_000;

/// What the drill came to.
#[derive(Serialize)]
struct Facts {
    final_batches: u64,
    lost_batches: u64,
    accounts: usize,
    exits: usize,
    cancelled: usize,
    claims: usize,
    tokens: usize,
    /// What is left of all tokens together, decimal.
    escrow_left: String,
    seconds: f64,
}

/// `quire drill`.
///
/// # Errors
/// If anything of it does not do what it should.
pub fn run(settings: &Settings, args: &DrillArgs) -> Result<()> {
    let mut settings = settings.clone();
    // Why keys of its own: the drill makes them, and deletes them with all that the operator had.
    let temporary = match settings.chosen_data_dir.clone() {
        Some(folder) => {
            settings.use_alone(&folder);
            check_unused(&settings)?;
            None
        }
        None => {
            let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
            remove_on_interrupt(folder.path());
            settings.use_alone(folder.path());
            Some(folder)
        }
    };
    let drilled = Drill { settings, step: 0 }.run(args);
    drop(temporary);
    drilled
}

/// Nothing is there that the drill would replace or delete.
fn check_unused(settings: &Settings) -> Result<()> {
    check_absent(settings)?;
    for folder in [settings.keys_dir.clone(), settings.data_dir.join("batches")] {
        ensure!(
            !folder.exists(),
            Fault::usage(format!(
                "{} exists, and the drill deletes what its operator had; choose an empty --data-dir",
                folder.display()
            ))
        );
    }
    Ok(())
}

/// The drill under way.
struct Drill {
    settings: Settings,
    step: u32,
}

impl Drill {
    fn run(mut self, args: &DrillArgs) -> Result<()> {
        let started = Instant::now();
        let sealed = self.good_days(args)?;
        self.last_day(sealed)?;
        let l1 = self.users_act()?;
        let lost_batches = sealed - (l1.head()?.next_batch - 1);
        self.freeze(&l1)?;
        let (exits, cancelled) = self.everybody_leaves(&l1)?;
        let claims = self.everybody_claims(&l1)?;
        let totals = l1.audit()?;
        let left: u128 = totals.values().map(|totals| totals.escrow).sum();
        let facts = Facts {
            final_batches: l1.head()?.next_batch - 1,
            lost_batches,
            accounts: exits,
            exits,
            cancelled,
            claims,
            tokens: totals.len(),
            escrow_left: left.to_string(),
            seconds: seconds(started.elapsed()),
        };
        let text = format!(
            "\nescrow left of {} tokens: {left}\n{} accounts left without the operator, {:.1} s in all",
            count(facts.tokens),
            count(exits),
            facts.seconds
        );
        self.settings.ui.result(&facts, text)?;
        ensure!(
            left == 0,
            Fault::damaged(format!("{left} units are left in escrow"))
        );
        Ok(())
    }

    fn heading(&mut self, text: &str) -> Result<()> {
        self.step += 1;
        self.settings.ui.say(format!("{}. {text}", self.step))
    }

    fn say(&self, text: impl AsRef<str>) -> Result<()> {
        self.settings.ui.say(format!("   {}", text.as_ref()))
    }

    /// Imports, seals and makes keys; returns how many batches were sealed.
    fn good_days(&mut self, args: &DrillArgs) -> Result<u64> {
        self.heading("Good days: mainnet transfers are accepted and sealed")?;
        let names = [args.shape.clone()];
        let shapes = shapes_by_name(&names, &args.shape)?;
        let shape = named(&args.shape)?;
        ensure!(
            shape.transfers > 0 && shape.l1_ops > 0,
            Fault::usage(format!(
                "the drill needs a shape with slots for transfers and L1 operations, {} has not both; take tiny or m18",
                args.shape
            ))
        );
        let rows = Some(u64::from(args.transfers));
        let history = History::read(&Source::Workload, rows, shapes, &random_salt())?;
        let mut draft = Draft::new(&self.settings, history.plan(random_salt())?)?;
        history.submit(&mut draft.node, |_| ())?;
        let mut node = draft.keep(&self.settings)?;
        let sealed = seal(&self.settings, &mut node, SealLimit::All)?;
        self.say(format!(
            "{} transfers of {} accounts in {} batches of shape {}",
            count(sealed.transfers),
            count(history.import.summary().accounts),
            count(sealed.batches),
            args.shape
        ))?;
        let task = self.settings.ui.task("making keys", None);
        let compiled = circuits::shapes::compile(&shape)?;
        crate::keys::make(&self.settings, &args.shape, &shape, &compiled.r1cs, None)?;
        task.done();
        Ok(sealed.batches)
    }

    /// The operator finalizes half of the batches, goes on, and is killed while it proves.
    fn last_day(&mut self, sealed: u64) -> Result<()> {
        self.heading("The operator proves and submits, and is killed at work")?;
        let half = (sealed / 2).max(1).to_string();
        let done = self.operator(&["--max-batches", &half])?.wait();
        ensure!(
            done.context("cannot wait for the operator")?.success(),
            "the operator failed before it was to be killed"
        );
        let mut operator = self.operator(&[])?;
        let errors = operator.stderr.take().context("its messages are read")?;
        let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
        let at_work = lines.any(|line| line.starts_with("proving"));
        operator.kill().context("cannot kill the operator")?;
        operator.wait().context("cannot wait for the operator")?;
        ensure!(at_work, "the operator did not get to work");
        let folder = rollup_dir(&self.settings);
        for file in [folder.join(FILE_NAME), operator_file(&folder)] {
            std::fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?;
        }
        for gone in [
            self.settings.keys_dir.clone(),
            self.settings.data_dir.join("batches"),
        ] {
            std::fs::remove_dir_all(&gone)
                .with_context(|| format!("cannot remove {}", gone.display()))?;
        }
        self.say("its database, wallet, keys and batches are deleted: only L1 is left")
    }

    /// Starts `quire run` as a process of its own.
    fn operator(&self, more: &[&str]) -> Result<std::process::Child> {
        let program = std::env::current_exe().context("cannot find this program")?;
        Command::new(program)
            .arg("run")
            .arg("--data-dir")
            .arg(&self.settings.data_dir)
            .arg("--keys-dir")
            .arg(&self.settings.keys_dir)
            .arg("--l1")
            .arg(&self.settings.l1_file)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the operator")
    }

    /// A newcomer deposits and an owner asks to leave; nobody executes it.
    fn users_act(&mut self) -> Result<L1> {
        self.heading("A newcomer deposits, an owner asks to leave; nobody answers")?;
        let l1 = open_l1(&self.settings)?;
        let newcomer = Wallet::random();
        let fee = l1.deployment().parameters().l1_fee;
        let deposit = Deposit {
            caller: newcomer.address,
            token: ETH,
            amount: DEPOSIT,
            key: newcomer.public,
            q: cofactor_inverse_point(&newcomer.public),
            fee,
        };
        let index = l1.deposit(&deposit, now()?)?;
        let owner = l1.registered(2)?.context("account 2 is registered")?.owner;
        let entry = l1.request_exit(owner, 2, fee, now()?)?;
        self.say(format!(
            "the deposit for account {index} and the exit of account 2 wait in the queue, the last is entry {entry}"
        ))?;
        Ok(l1)
    }

    fn freeze(&mut self, l1: &NativeL1) -> Result<()> {
        self.heading("The deadline passes, and anybody freezes L1")?;
        let deadline = l1.deployment().parameters().freeze_after;
        ensure!(
            l1.freeze(now()?).is_err(),
            Fault::damaged("L1 could be frozen before the deadline")
        );
        l1.advance_time(deadline + 1)?;
        l1.freeze(now()?)?;
        self.say(format!(
            "{} days and a second of L1's time; the last final batch is {}",
            deadline / 86_400,
            l1.head()?.next_batch - 1
        ))
    }

    fn everybody_leaves(&mut self, l1: &NativeL1) -> Result<(usize, usize)> {
        self.heading("Everybody leaves with a Merkle proof from L1's data alone")?;
        let state = rebuild(&self.settings, l1)?;
        let next = u32::try_from(l1.head()?.next_index).context("indices have 32 bits")?;
        let task = self.settings.ui.task("leaving", Some(u64::from(next - 1)));
        let (mut exits, mut cancelled) = (0, 0);
        for index in 1..next {
            let plan = ExitPlan::new(l1, &state, index)?;
            let left = plan.execute(l1, now()?)?;
            let again = plan.execute(l1, now()?)?;
            ensure!(
                again.exited.is_none() && again.cancelled.is_empty(),
                Fault::damaged(format!("account {index} left twice"))
            );
            exits += usize::from(left.exited.is_some());
            cancelled += left.cancelled.len();
            task.at(u64::from(index));
        }
        task.done();
        self.say(format!(
            "{} accounts exited, {} deposits given back, each once",
            count(exits),
            count(cancelled)
        ))?;
        Ok((exits, cancelled))
    }

    fn everybody_claims(&mut self, l1: &NativeL1) -> Result<usize> {
        self.heading("Everybody claims")?;
        let mut paid: BTreeMap<(Address, u32), u128> = BTreeMap::new();
        for (owner, token, expected) in l1.claims()? {
            let amount = l1.claim(owner, token, now()?)?;
            ensure!(
                amount == expected && paid.insert((owner, token), amount).is_none(),
                Fault::damaged(format!("{owner} was paid {amount} instead of {expected}"))
            );
        }
        self.say(format!("{} claims paid", count(paid.len())))?;
        Ok(paid.len())
    }
}
