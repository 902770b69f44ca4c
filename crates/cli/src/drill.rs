//! `quire drill`: the days without the operator, rehearsed with everything real.
//!
//! Mainnet transfers are batched, proven and finalized by an operator who runs as a process of its
//! own and is killed at work, with operations that it had acknowledged. Once a queue entry is
//! overdue, a stranger restores from L1 in an empty directory, checks the published proving key
//! against L1's, takes over and finalizes three batches. The operator returns, and every operation
//! that it had acknowledged is final or rejected with a reason. Then its database, wallet and keys
//! are deleted: L1 is frozen, every account leaves with a plan made from L1's data alone, and what
//! is left in escrow is counted. Invariant: only what the drill made itself is deleted; its keys lie
//! in its data directory, not where the settings have others.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use batcher::store::FILE_NAME;
use batcher::{OperationId, SignedOperation, Verdict};
use l1::{Address, Deposit, NativeL1, TokenTotals};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::time::Span;
use rollup::Draft;
use rollup::L1;
use rollup::clock::now;
use rollup::create::check_absent;
use rollup::create::random_salt;
use rollup::shape::shapes_by_name;
use rollup::{ExitPlan, SealLimit};
use serde::Serialize;
use wallet::Wallet;

use crate::args::DrillArgs;
use crate::fault::Fault;
use crate::import::WORKLOAD;
use crate::interrupt::remove_on_interrupt;
use crate::pipeline::seal;
use crate::settings::Settings;
use crate::ui::seconds;
use rollup::amount::{Amount, ETH, TokenFacts, Tokens};
use rollup::exits::rebuild;
use rollup::history::{History, Source};
use rollup::keys;
use rollup::operator::{open, operator_file};
use rollup::place::make_folder;
use rollup::shape::named;
use rollup::text::count;

/// What a newcomer deposits on the last day.
const DEPOSIT: u128 = 1_000_000_000_000_000_000;
/// What others add to an account.
const TOP_UP: u128 = 1_000_000_000;

/// Batches that the stranger finalizes.
const TAKEN_OVER: u64 = 3;
/// Name of the stranger's wallet.
const STRANGER: &str = "stranger";

/// What the drill came to.
#[derive(Serialize)]
struct Facts {
    final_batches: u64,
    /// Batches that the stranger submitted.
    taken_over_batches: u64,
    /// Operations that the operator had acknowledged when it was killed, and what became of them.
    acknowledged: usize,
    finalized: usize,
    rejected: usize,
    accounts: usize,
    exits: usize,
    cancelled: usize,
    claims: usize,
    tokens: usize,
    /// What is left of each token, by id.
    escrow_left: Vec<Left>,
    seconds: f64,
}

/// What is left in escrow of a token.
#[derive(Serialize)]
struct Left {
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
}

impl Left {
    fn of(totals: &BTreeMap<u32, TokenTotals>, tokens: &Tokens) -> Vec<Self> {
        let amounts = totals
            .iter()
            .map(|(token, totals)| tokens.amount(*token, totals.escrow));
        let left = amounts.map(|amount| Self {
            token: amount.facts(),
            amount,
        });
        left.collect()
    }
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
    let own = ["keys", "batches", "published", "aside", "gone", STRANGER];
    for folder in own.map(|name| settings.data_dir.join(name)) {
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

/// What the operator knew when it was killed.
struct Known {
    /// Batches that it had sealed.
    sealed: u64,
    acknowledged: Vec<OperationId>,
}

/// A process that was to succeed.
fn succeeded(status: std::io::Result<ExitStatus>, failure: &str) -> Result<()> {
    let status = status.context("cannot start this program")?;
    ensure!(
        status.success(),
        Fault::damaged(format!("{failure}: {status}"))
    );
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
        let known = self.good_days(args)?;
        self.publish_keys()?;
        self.last_day(known.sealed)?;
        self.users_queue(args)?;
        let taken_over_batches = self.stranger_takes_over(args)?;
        let (finalized, rejected) = self.operator_returns(&known.acknowledged)?;
        let l1 = self.operator_is_gone()?;
        self.freeze(&l1)?;
        let (exits, cancelled) = self.everybody_leaves(&l1)?;
        let claims = self.everybody_claims(&l1)?;
        let totals = l1.audit()?;
        let escrow_left = Left::of(&totals, &Tokens::of(&l1)?);
        let left = escrow_left.iter().filter(|left| left.amount.value() != 0);
        let left: Vec<String> = left.map(|left| left.amount.to_string()).collect();
        let facts = Facts {
            final_batches: l1.head()?.next_batch - 1,
            taken_over_batches,
            acknowledged: known.acknowledged.len(),
            finalized,
            rejected,
            accounts: exits,
            exits,
            cancelled,
            claims,
            tokens: totals.len(),
            escrow_left,
            seconds: seconds(started.elapsed()),
        };
        let text = format!(
            "\n{} of {} acknowledged operations are final, {} were rejected with a reason, none is lost\n\
             left in escrow: {}\n{} accounts left without the operator, {:.1} s in all",
            count(finalized),
            count(facts.acknowledged),
            count(rejected),
            if left.is_empty() {
                "nothing".to_owned()
            } else {
                left.join(", ")
            },
            count(exits),
            facts.seconds
        );
        self.settings.ui.result(&facts, text)?;
        ensure!(
            left.is_empty(),
            Fault::damaged(format!("left in escrow: {}", left.join(", ")))
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

    /// Imports, seals and makes keys.
    fn good_days(&mut self, args: &DrillArgs) -> Result<Known> {
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
        let history = History::read(&Source::Workload(WORKLOAD), rows, shapes, &random_salt())?;
        let mut draft = Draft::new(&self.settings, &history.plan(random_salt())?)?;
        history.submit(&mut draft.deployment, |_| ())?;
        draft.keep(&self.settings)?;
        let mut deployment = open(&self.settings)?;
        let domain = deployment.l1.domain();
        let signed = history.import.signed(domain).map(SignedOperation::from);
        let acknowledged = signed.map(|operation| operation.id(&domain)).collect();
        let sealed = seal(&self.settings, &mut deployment, SealLimit::All)?;
        self.say(format!(
            "{} transfers of {} accounts in {} batches of shape {}",
            count(sealed.transfers),
            count(history.import.summary().accounts),
            count(sealed.batches),
            args.shape
        ))?;
        let task = self.settings.ui.task("making keys", None);
        let compiled = circuits::shapes::compile(&shape)?;
        keys::make(&self.settings, &args.shape, &shape, &compiled.r1cs, None)?;
        task.done();
        Ok(Known {
            sealed: sealed.batches,
            acknowledged,
        })
    }

    fn publish_keys(&mut self) -> Result<()> {
        self.heading("The operator publishes its proving keys")?;
        let folder = self.published();
        let done = self
            .quire(&self.settings, &["keys", "export"])
            .arg(&folder)
            .status();
        succeeded(done, "the keys could not be exported")?;
        self.say(format!(
            "{} has them with checksums: public data, which any mirror may keep",
            folder.display()
        ))
    }

    /// Where the operator's keys are for everybody.
    fn published(&self) -> PathBuf {
        self.settings.data_dir.join("published")
    }

    /// Where the operator's files are while it is away.
    fn aside(&self) -> PathBuf {
        self.settings.data_dir.join("aside")
    }

    /// The operator finalizes half of the batches, goes on, and is killed while it proves.
    fn last_day(&mut self, sealed: u64) -> Result<()> {
        self.heading("The operator proves and submits, and is killed at work")?;
        let half = (sealed / 2).max(1).to_string();
        let run = |more: &[&str]| {
            let mut command = self.quire(&self.settings, &["run"]);
            command.args(more).stderr(Stdio::piped());
            command.spawn().context("cannot start the operator")
        };
        let done = run(&["--max-batches", &half])?.wait_with_output();
        let done = done.context("cannot wait for the operator")?;
        ensure!(
            done.status.success(),
            "the operator failed before it was to be killed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        let mut operator = run(&[])?;
        let errors = operator.stderr.take().context("its messages are read")?;
        let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
        let at_work = lines.any(|line| line.starts_with("proving"));
        operator.kill().context("cannot kill the operator")?;
        operator.wait().context("cannot wait for the operator")?;
        ensure!(at_work, "the operator did not get to work");
        self.move_operator(&self.settings.data_dir, &self.aside())?;
        self.say("its database, wallet, keys and batches are put aside: L1 and the published keys are left")
    }

    /// Moves what only the operator has: its database, wallet, keys and batches.
    fn move_operator(&self, from: &Path, to: &Path) -> Result<()> {
        let folder = Path::new("rollup");
        let files = [folder.join(FILE_NAME), operator_file(folder)];
        let folders = ["keys", "batches"].map(PathBuf::from);
        make_folder(&to.join(folder))?;
        for moved in files.iter().chain(&folders) {
            let (from, to) = (from.join(moved), to.join(moved));
            std::fs::rename(&from, &to)
                .with_context(|| format!("cannot move {} to {}", from.display(), to.display()))?;
        }
        Ok(())
    }

    /// This program, to work in the place of these settings and on the drill's L1.
    fn quire(&self, place: &Settings, arguments: &[&str]) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("quire"));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(&place.data_dir)
            .arg("--keys-dir")
            .arg(&place.keys_dir)
            .arg("--l1")
            .arg(&self.settings.l1_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// A newcomer deposits, an owner asks to leave, others add to their accounts: more entries than
    /// two batches take.
    fn users_queue(&mut self, args: &DrillArgs) -> Result<()> {
        self.heading("Users queue deposits and an exit on L1; the operator does not answer")?;
        let l1 = L1::open(&self.settings)?;
        self.deposit_and_exit(&l1, 2)?;
        let slots = u64::from(named(&args.shape)?.l1_ops);
        let account = l1.genesis_accounts()?.into_iter().zip(1..);
        let account = account.skip(2).find(|(account, _)| account.token == ETH);
        let (owner, index) = account
            .map(|(account, index)| (account.owner, index))
            .context("the workload has accounts in ETH")?;
        let fee = l1.deployment().parameters().l1_fee;
        while l1.head()?.queue_tail <= (TAKEN_OVER - 1) * slots {
            l1.top_up(owner, index, TOP_UP, fee, now()?)?;
        }
        let wait = l1.deployment().parameters().takeover_after;
        l1.advance_time(wait + 1)?;
        self.say(format!(
            "{} entries wait; {} of L1's time pass: batches are open to anybody",
            l1.head()?.queue_tail,
            Span(wait + 1)
        ))
    }

    fn deposit_and_exit(&self, l1: &NativeL1, exiting: u32) -> Result<()> {
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
        l1.deposit(&deposit, now()?)?;
        let owner = l1.registered(exiting)?.map(|account| account.owner);
        let owner = owner.with_context(|| format!("account {exiting} is registered"))?;
        l1.request_exit(owner, exiting, fee, now()?)?;
        Ok(())
    }

    /// Somebody with an empty directory, L1 and the published keys continues the rollup.
    fn stranger_takes_over(&mut self, args: &DrillArgs) -> Result<u64> {
        self.heading("A stranger in an empty directory restores from L1 and takes over")?;
        let mut stranger = self.settings.clone();
        stranger.use_alone(&self.settings.data_dir.join(STRANGER));
        stranger.use_keys(&self.published());
        let most = TAKEN_OVER.to_string();
        let steps: [(&[&str], &str); 4] = [
            (&["restore"], "the stranger could not restore"),
            (
                &["keys", "verify", "--shape", &args.shape],
                "the published key is not L1's",
            ),
            (
                &["wallet", "new", STRANGER, "--no-passphrase"],
                "the stranger has no wallet",
            ),
            (
                &[
                    "run",
                    "--take-over",
                    "--wallet",
                    STRANGER,
                    "--max-batches",
                    &most,
                ],
                "the stranger could not take over",
            ),
        ];
        let before = L1::open(&self.settings)?.head()?.next_batch;
        for (arguments, failure) in steps {
            succeeded(self.quire(&stranger, arguments).status(), failure)?;
        }
        let l1 = L1::open(&self.settings)?;
        let (head, operator) = (l1.head()?, l1.operator()?);
        let batches = l1.batches(before, usize::MAX)?;
        let foreign = batches.iter().filter(|batch| batch.submitter != operator);
        let foreign = foreign.count() as u64;
        ensure!(
            foreign == TAKEN_OVER && head.queue_head == head.queue_tail,
            Fault::damaged(format!(
                "the stranger finalized {foreign} batches instead of {TAKEN_OVER}, and entries {} to {} of the queue wait",
                head.queue_head, head.queue_tail
            ))
        );
        self.say(format!(
            "it verified the published key against L1's and finalized {foreign} batches; {} queue entries of users were in them",
            head.queue_tail
        ))?;
        Ok(foreign)
    }

    /// The operator comes back with its database and finishes. Returns how many of the operations
    /// that it had acknowledged are final, and how many were rejected.
    fn operator_returns(&mut self, acknowledged: &[OperationId]) -> Result<(usize, usize)> {
        self.heading("The operator returns with the operations that it had acknowledged")?;
        self.move_operator(&self.aside(), &self.settings.data_dir)?;
        succeeded(
            self.quire(&self.settings, &["run"]).status(),
            "the operator could not go on",
        )?;
        let deployment = open(&self.settings)?;
        let (mut finalized, mut rejected) = (0, 0);
        for id in acknowledged {
            match deployment.batcher.verdict(id)? {
                Some(Verdict::Finalized { .. }) => finalized += 1,
                Some(Verdict::Rejected { .. }) => rejected += 1,
                other => bail!(Fault::damaged(format!(
                    "operation {id} was acknowledged and is neither final nor rejected: {other:?}"
                ))),
            }
        }
        ensure!(
            matches!(
                deployment.submission_right(now()?)?,
                l1::SubmissionRight::Operator { .. }
            ),
            Fault::damaged("the right to submit is not the operator's again")
        );
        self.say(format!(
            "{} operations were acknowledged: {finalized} are final, {rejected} were rejected with a reason, none is lost",
            acknowledged.len()
        ))?;
        Ok((finalized, rejected))
    }

    /// The operator's files are deleted. A newcomer deposits and an owner asks to leave; nobody
    /// executes it.
    fn operator_is_gone(&mut self) -> Result<L1> {
        self.heading("The operator is gone for good, and nobody takes over")?;
        let gone = self.settings.data_dir.join("gone");
        self.move_operator(&self.settings.data_dir, &gone)?;
        for folder in [gone, self.aside(), self.settings.data_dir.join(STRANGER)] {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let l1 = L1::open(&self.settings)?;
        self.deposit_and_exit(&l1, 3)?;
        self.say("its database, wallet, keys and batches are deleted; a deposit and an exit wait in the queue")?;
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
            "{} of L1's time; the last final batch is {}",
            Span(deadline + 1),
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
        let tokens = Tokens::of(l1)?;
        for (owner, token, expected) in l1.claims()? {
            let amount = l1.claim(owner, token, now()?)?;
            ensure!(
                amount == expected && paid.insert((owner, token), amount).is_none(),
                Fault::damaged(format!(
                    "{owner} was paid {} instead of {}",
                    tokens.amount(token, amount),
                    tokens.amount(token, expected)
                ))
            );
        }
        self.say(format!("{} claims paid", count(paid.len())))?;
        Ok(paid.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use l1::bytes::Bytes;
    use l1::genesis::Token;

    #[test]
    fn what_is_left_is_told_of_each_token_apart() {
        let usdc = Token {
            name: "USDC".to_owned(),
            decimals: Some(6),
            address: Bytes([1; 20]),
        };
        let tokens = Tokens::listed(&[Token::eth(), usdc]);
        let escrow = |escrow| TokenTotals {
            escrow,
            ..TokenTotals::default()
        };
        // Together they would be more than 128 bits.
        let totals = BTreeMap::from([(0, escrow(u128::MAX)), (1, escrow(7))]);
        let json = serde_json::to_value(Left::of(&totals, &tokens)).unwrap();
        let expected = serde_json::json!([
            {"token": 0, "symbol": "ETH", "decimals": 18, "amount": u128::MAX.to_string()},
            {"token": 1, "symbol": "USDC", "decimals": 6, "amount": "7"},
        ]);
        assert_eq!(json, expected);
    }
}
