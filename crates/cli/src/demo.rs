//! `quire demo`: the whole path on real mainnet transfers, told as it happens.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use batcher::StoredBatch;
use l1::Deposit;
use l1::submission::BatchFolder;
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::field::to_hex;
use ledger::float::{Float16, Float40};
use ledger::operation::{NO_EXPIRY, Signable, Withdraw};
use ledger::words::TRANSFER_BYTES;
use prover::key::VerifyingKey;
use rollup::Draft;
use rollup::SealLimit;
use rollup::clock::now;
use rollup::create::random_salt;
use rollup::shape::shapes_by_name;
use serde::Serialize;
use wallet::Wallet;

use crate::args::DemoArgs;
use crate::deployment::unlock_operator;
use crate::import::WORKLOAD;
use crate::interrupt::remove_on_interrupt;
use crate::pipeline::{prove, seal, submit};
use crate::settings::Settings;
use crate::ui::seconds;
use rollup::Deployment;
use rollup::amount::{Amount, ETH};
use rollup::history::{History, Source};
use rollup::keys;
use rollup::operator::open;
use rollup::proving::{Keys, Order};
use rollup::shape::named;
use rollup::shape::shape_name;
use rollup::text::{bytes, count};

/// Shape of the batches of transfers.
const TRANSFERS: &str = "t18";
/// Shape of the batches with the deposit and the withdrawal.
const MIXED: &str = "m16";
/// Memory that proofs may take besides keys.
const MEMORY: usize = 2 << 30;
/// What Alice deposits: one ETH.
const DEPOSIT: u128 = 1_000_000_000_000_000_000;
/// What she withdraws.
const WITHDRAWAL: u128 = 400_000_000_000_000_000;

/// What the demo came to.
#[derive(Serialize)]
struct Facts {
    batches: u64,
    transfers: usize,
    finalized_root: String,
    state_root: String,
    roots_agree: bool,
    bytes_per_transfer: usize,
    setup_seconds: f64,
    proving_seconds: f64,
    setup_and_proving_seconds: f64,
    seconds: f64,
}

/// Runs the demo.
///
/// # Errors
/// If any step does not do what it should.
pub fn run(settings: &Settings, args: &DemoArgs) -> Result<()> {
    let mut settings = settings.clone();
    let temporary = match &settings.chosen_data_dir {
        Some(_) => None,
        None => {
            let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
            remove_on_interrupt(folder.path());
            settings.use_data_dir(folder.path());
            Some(folder)
        }
    };
    let played = Demo { settings, step: 0 }.play(args);
    drop(temporary);
    played
}

/// The demo under way.
struct Demo {
    settings: Settings,
    step: u32,
}

impl Demo {
    fn play(mut self, args: &DemoArgs) -> Result<()> {
        let started = Instant::now();
        self.say("Quire: a payments rollup. Real Ethereum transfers in batches, each batch proven with\nGroth16 and checked on L1 with its published data.")?;
        let mut deployment = self.import(args)?;
        let alice = self.deposit(&deployment)?;
        self.seal(&mut deployment, &alice)?;
        let setup_seconds = self.setup()?;
        let (mut deployment, proving_seconds) = self.prove(deployment)?;
        self.verify(&deployment)?;
        self.finalize(&mut deployment)?;
        self.claim(&deployment, &alice)?;
        self.end(&deployment, started, setup_seconds, proving_seconds)
    }

    fn say(&self, text: impl AsRef<str>) -> Result<()> {
        self.settings.ui.say(text)
    }

    fn heading(&mut self, text: &str) -> Result<()> {
        self.step += 1;
        self.say(format!("\n{}. {text}", self.step))
    }

    fn import(&mut self, args: &DemoArgs) -> Result<Deployment> {
        let transfers = named(TRANSFERS)?;
        let rows = u64::from(args.batches) * u64::from(transfers.transfers);
        self.heading(&format!(
            "Import {} transfers of Ethereum mainnet, from the first in block 46147 on",
            count(rows)
        ))?;
        let shapes = shapes_by_name(&[TRANSFERS.to_owned(), MIXED.to_owned()], TRANSFERS)?;
        let history = History::read(
            &Source::Workload(WORKLOAD),
            Some(rows),
            shapes,
            &random_salt(),
        )?;
        let mut draft = Draft::new(&self.settings, &history.plan(random_salt())?)?;
        history.submit(&mut draft.deployment, |_| ())?;
        draft.keep(&self.settings)?;
        let deployment = open(&self.settings)?;
        let summary = history.import.summary();
        self.say(format!(
            "   {} rows, {} accounts of {} tokens, {} amounts rounded down; a key for each account,\n   \
             each transfer signed with EdDSA, each signature checked, each written to disk",
            count(summary.imported),
            count(summary.accounts),
            count(summary.tokens),
            count(summary.rounded)
        ))?;
        Ok(deployment)
    }

    fn deposit(&mut self, deployment: &Deployment) -> Result<(Wallet, u32)> {
        self.heading("Alice deposits on L1")?;
        let alice = Wallet::random();
        let account = deployment.l1.deposit(
            &Deposit {
                caller: alice.address,
                token: ETH,
                amount: DEPOSIT,
                key: alice.public,
                q: cofactor_inverse_point(&alice.public),
                fee: deployment.l1.deployment().parameters().l1_fee,
            },
            now()?,
        )?;
        self.say(format!(
            "   {} from {} into account {account}: it waits in the queue of L1",
            Amount::wei(DEPOSIT),
            alice.address
        ))?;
        Ok((alice, account))
    }

    fn seal(&mut self, deployment: &mut Deployment, alice: &(Wallet, u32)) -> Result<()> {
        self.heading("Execute everything and seal batches")?;
        let first = seal(&self.settings, deployment, SealLimit::All)?;
        ensure!(
            first.dropped == 0,
            "{} operations were dropped",
            first.dropped
        );
        let (wallet, account) = alice;
        let withdraw = Withdraw {
            from: *account,
            amount: Float40::round_down(WITHDRAWAL),
            fee: Float16::round_down(0),
            nonce: 0,
            valid_until: NO_EXPIRY,
            token: ETH,
        };
        let signed = withdraw.sign(&wallet.key, &deployment.l1.domain());
        deployment
            .batcher
            .submit(signed.into(), now()?)?
            .context("the batcher refuses the withdrawal")?;
        let second = seal(&self.settings, deployment, SealLimit::All)?;
        self.say(format!(
            "   Alice's account exists now; she signs a withdrawal of {}",
            Amount::wei(WITHDRAWAL)
        ))?;
        for number in 1..=first.batches + second.batches {
            let stored = deployment.batcher.batch(number)?;
            let batch = stored.batch();
            let [l1_ops, transfers, withdrawals] = batch.counts();
            self.say(format!(
                "   batch {number}  shape {}  {transfers:2} transfers, {l1_ops} deposits, {withdrawals} withdrawals  {:4} bytes of data  root {}…",
                shape_name(batch.shape()),
                batch.bytes().len(),
                &to_hex(&batch.new_root())[..18]
            ))?;
        }
        self.say(format!(
            "   a transfer publishes {TRANSFER_BYTES} bytes; signatures, keys and nonces are not published"
        ))
    }

    fn setup(&mut self) -> Result<f64> {
        self.heading("Set up proving keys, with randomness of the operating system")?;
        let mut total = 0.0;
        for name in [TRANSFERS, MIXED] {
            let shape = named(name)?;
            let existing = self.settings.keys_dir.join(format!("{name}.pk"));
            if existing.exists() {
                self.say(format!("   shape {name}: {} is used", existing.display()))?;
                continue;
            }
            let task = self
                .settings
                .ui
                .task(format!("setup of shape {name}"), None);
            let started = Instant::now();
            let compiled = circuits::shapes::compile(&shape)?;
            keys::make(&self.settings, name, &shape, &compiled.r1cs, None)?;
            total += seconds(started.elapsed());
            task.done();
            let size = std::fs::metadata(&existing)
                .context("the key was written")?
                .len();
            self.say(format!(
                "   shape {name}: {} constraints, key of {}, {:.1} s",
                count(compiled.r1cs.num_constraints()),
                bytes(size),
                seconds(started.elapsed())
            ))?;
        }
        self.say("   One party made these keys, this program: you trust that it forgot their secrets.\n   That is not trustless; a deployment with real money needs a ceremony of many parties.")?;
        Ok(total)
    }

    fn prove(&mut self, deployment: Deployment) -> Result<(Deployment, f64)> {
        self.heading("Prove every batch")?;
        let mut loaded = Keys::new();
        let order = Order {
            limit: u64::MAX,
            memory: MEMORY,
            explain: false,
        };
        let (deployment, proved) = prove(&self.settings, deployment, order, &mut loaded)?;
        self.say(format!(
            "   {} proofs of 256 bytes, {} at once, {:.1} s: {:.1} s each, checked before they are kept",
            proved.batches,
            proved.side_by_side,
            proved.proving_seconds,
            proved.proving_seconds / proved.batches.max(1) as f64
        ))?;
        Ok((deployment, proved.proving_seconds))
    }

    fn verify(&mut self, deployment: &Deployment) -> Result<()> {
        self.heading("Verify each batch from its folder alone: proof, data and verifying key")?;
        let started = Instant::now();
        let sealed = deployment.batcher.status().sealed;
        for number in 1..=sealed {
            let stored = deployment.batcher.batch(number)?;
            let shape = stored.batch().shape();
            let name = shape_name(shape);
            let path = self.settings.keys_dir.join(format!("{name}.vk"));
            let key = VerifyingKey::load(&path, self.settings.dev_keys)?;
            let folder = BatchFolder::load(&self.settings.batch_folder(number))?;
            folder.verify(shape, &key)?;
        }
        let milliseconds = 1e3 * started.elapsed().as_secs_f64();
        self.say(format!(
            "   {sealed} batches hold, {milliseconds:.0} ms for all"
        ))
    }

    fn finalize(&mut self, deployment: &mut Deployment) -> Result<()> {
        self.heading("Submit to L1, which derives z from c and all words, recomputes y and checks the proofs")?;
        unlock_operator(&self.settings, deployment)?;
        let submitted = submit(&self.settings, deployment, u64::MAX)?;
        let status = deployment.batcher.status();
        ensure!(
            status.finalized == status.sealed,
            "L1 finalized {} of {} batches",
            status.finalized,
            status.sealed
        );
        let last = deployment.batcher.batch(status.finalized)?;
        ensure!(
            matches!(last, StoredBatch::Finalized(_)),
            "the last batch is not final"
        );
        self.say(format!(
            "   {} batches with {} transfers are final, {:.0} ms",
            submitted.batches,
            count(submitted.transfers),
            1e3 * submitted.seconds
        ))
    }

    fn claim(&mut self, deployment: &Deployment, (alice, account): &(Wallet, u32)) -> Result<()> {
        self.heading("Alice claims her withdrawal on L1")?;
        let paid = deployment.l1.claim(alice.address, ETH, now()?)?;
        let left = deployment.account(*account)?.balance;
        ensure!(
            paid == WITHDRAWAL && left == DEPOSIT - WITHDRAWAL,
            "L1 paid {}, the account has {}",
            Amount::wei(paid),
            Amount::wei(left)
        );
        self.say(format!(
            "   L1 paid {} to {}; account {account} keeps {}",
            Amount::wei(paid),
            alice.address,
            Amount::wei(left)
        ))
    }

    fn end(
        &self,
        deployment: &Deployment,
        started: Instant,
        setup_seconds: f64,
        proving_seconds: f64,
    ) -> Result<()> {
        let status = deployment.batcher.status();
        let finalized = deployment.l1.head()?.root;
        let transfers = (1..=status.finalized)
            .map(|number| Ok(deployment.batcher.batch(number)?.batch().counts()[1]))
            .sum::<Result<usize>>()?;
        let facts = Facts {
            batches: status.finalized,
            transfers,
            finalized_root: to_hex(&finalized),
            state_root: to_hex(&status.state_root),
            roots_agree: finalized == status.state_root,
            bytes_per_transfer: TRANSFER_BYTES,
            setup_seconds,
            proving_seconds,
            setup_and_proving_seconds: (1e3 * (setup_seconds + proving_seconds)).round() / 1e3,
            seconds: seconds(started.elapsed()),
        };
        let agreement = if facts.roots_agree {
            "they agree"
        } else {
            "THEY DIFFER"
        };
        let text = format!(
            "\n{} transfers final in {:.1} s, of which setup {:.1} s and proving {:.1} s\n\n\
             finalized root  {}  (L1)\nstate root      {}  (batcher)\n{agreement}",
            count(facts.transfers),
            facts.seconds,
            facts.setup_seconds,
            facts.proving_seconds,
            facts.finalized_root,
            facts.state_root,
        );
        self.settings.ui.result(&facts, text)?;
        ensure!(facts.roots_agree, "L1 and batcher disagree about the root");
        Ok(())
    }
}
