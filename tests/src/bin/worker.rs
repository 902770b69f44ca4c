//! A rollup under load, to be killed: opens the deployment of a folder and accepts, seals, proves
//! and submits for ever, in an order that a seed decides.
//!
//! `worker FOLDER KEY SEED NOW`. Every line on standard output tells of something that is durable:
//! `ready`; `ack ID FROM NONCE KIND TO AMOUNT FEE` for an acknowledged operation; `did WHAT` for
//! anything else.

use std::io::{Write, stdout};
use std::path::Path;

use anyhow::{Context, Result, bail};
use batcher::SignedOperation;
use rand::rngs::OsRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rollup::{Rollup, RollupError, SealLimit};
use tests::world::{
    FEE_ACCOUNT, GENESIS, Keys, L1_FEE, OPERATOR, deposit, open, owner_of, prove_batch, sign,
    token_of, transfer, withdraw,
};

/// Operations that are handed in at once.
const AT_ONCE: usize = 5;
/// Blocks before a deposit is executed.
const CONFIRMATIONS: u64 = 1;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |what| args.next().with_context(|| format!("{what} is missing"));
    let (folder, key) = (next("FOLDER")?, next("KEY")?);
    let (seed, now): (u64, u64) = (next("SEED")?.parse()?, next("NOW")?.parse()?);
    let keys = Keys::load(Path::new(&key))?;
    let mut worker = Worker {
        rollup: open(Path::new(&folder), CONFIRMATIONS, now)?,
        keys,
        rng: ChaCha8Rng::seed_from_u64(seed),
        now,
    };
    say("ready")?;
    loop {
        worker.step()?;
    }
}

fn say(line: impl AsRef<str>) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", line.as_ref())?;
    Ok(out.flush()?)
}

struct Worker {
    rollup: Rollup,
    keys: Keys,
    rng: ChaCha8Rng,
    now: u64,
}

impl Worker {
    fn step(&mut self) -> Result<()> {
        self.now += self.rng.gen_range(0..3);
        match self.rng.gen_range(0..100) {
            0..50 => self.hand_in(),
            50..60 => self.call_l1(),
            60..75 => self.seal(),
            75..88 => self.prove(),
            88..97 => self.submit(),
            97..99 => self.claim(),
            _ => self.reorganize(),
        }
    }

    /// Hands in payments and withdrawals, some of which cannot be paid or expire.
    fn hand_in(&mut self) -> Result<()> {
        let mut signed = Vec::new();
        for _ in 0..self.rng.gen_range(1..=AT_ONCE) {
            signed.extend(self.operation());
        }
        let verdicts = self.rollup.batcher.submit_many(&signed, self.now)?;
        for (operation, verdict) in signed.iter().zip(verdicts) {
            let Ok(id) = verdict else { continue };
            let fields = operation.fields();
            let (kind, to) = match operation {
                SignedOperation::Transfer(signed) => ("transfer", signed.op.to),
                SignedOperation::Withdraw(_) => ("withdraw", 0),
            };
            say(format!(
                "ack {id} {} {} {kind} {to} {} {}",
                fields.from,
                fields.nonce,
                fields.amount.packed(),
                fields.fee.packed()
            ))?;
        }
        Ok(())
    }

    /// A signed operation of a genesis account with one of its next nonces.
    fn operation(&mut self) -> Option<SignedOperation> {
        let from = self.rng.gen_range(FEE_ACCOUNT + 1..=GENESIS);
        let token = token_of(from);
        let same: Vec<u32> = (1..=GENESIS).filter(|to| token_of(*to) == token).collect();
        let to = same[self.rng.gen_range(0..same.len())];
        let balance = self.rollup.batcher.state().account(from)?.balance;
        let nonce = self.rollup.batcher.next_nonce(from)? + self.rng.gen_range(0..8) / 7;
        // Why: one in twelve asks for more than there is and is dropped when its turn comes.
        let amount = match self.rng.gen_range(0..12) {
            0 => balance.saturating_mul(3).saturating_add(5),
            _ => balance / self.rng.gen_range(10..1_000),
        };
        let valid_until = match self.rng.gen_range(0..10) {
            0 => self.now + self.rng.gen_range(0..4),
            _ => ledger::operation::NO_EXPIRY,
        };
        Some(if self.rng.gen_range(0..5) == 0 {
            let mut op = withdraw(from, amount, nonce, token);
            op.valid_until = valid_until;
            sign(op, from, &self.rollup).into()
        } else {
            let mut op = transfer(from, to, amount, nonce, token);
            op.valid_until = valid_until;
            sign(op, from, &self.rollup).into()
        })
    }

    fn call_l1(&mut self) -> Result<()> {
        let l1 = &self.rollup.l1;
        let index = self.rng.gen_range(2..=GENESIS);
        let done = match self.rng.gen_range(0..4) {
            0 => l1.request_exit(owner_of(index), index, L1_FEE, self.now),
            1 => l1.top_up(owner_of(3), index, 1_000_000_007, L1_FEE, self.now),
            2 => {
                let number = u32::try_from(l1.head()?.next_index)?;
                let deposit = deposit(number, number % 2, 5_000_000_011);
                l1.deposit(&deposit, self.now).map(u64::from)
            }
            _ => l1.mine(1, self.now).map(|head| head.height),
        };
        match done {
            Ok(_) => say("did call"),
            Err(l1::L1Error::Refused(_)) => Ok(()),
            Err(error) => bail!(error),
        }
    }

    fn seal(&mut self) -> Result<()> {
        self.rollup.follow(self.now)?;
        let most = SealLimit::Batches(self.rng.gen_range(1..4));
        let mut sealed = Vec::new();
        let done = self
            .rollup
            .seal(most, self.now, |batch| sealed.push(batch.number()));
        sealed
            .iter()
            .try_for_each(|number| say(format!("did seal {number}")))?;
        match done {
            // After a reorg, until a later block confirms the deposits of reopened batches.
            Ok(_) | Err(RollupError::Unconfirmed { .. }) => Ok(()),
            Err(error) => bail!(error),
        }
    }

    fn prove(&mut self) -> Result<()> {
        let unproved = self.rollup.batcher.unproved()?;
        // Why: proofs arrive in any order.
        let Some(number) = unproved.get(self.rng.gen_range(0..2)).or(unproved.first()) else {
            return Ok(());
        };
        prove_batch(&mut self.rollup, &self.keys, *number, self.now, &mut OsRng)?;
        say(format!("did prove {number}"))
    }

    fn submit(&mut self) -> Result<()> {
        self.rollup.follow(self.now)?;
        for proved in self.rollup.submit(OPERATOR, 4, self.now)? {
            say(format!("did finalize {}", proved.batch().number()))?;
        }
        Ok(())
    }

    fn claim(&mut self) -> Result<()> {
        let index = self.rng.gen_range(2..=GENESIS);
        match self
            .rollup
            .l1
            .claim(owner_of(index), token_of(index), self.now)
        {
            Ok(_) => say("did claim"),
            Err(l1::L1Error::Refused(_)) => Ok(()),
            Err(error) => bail!(error),
        }
    }

    /// L1 loses a few blocks: deposits, batches, claims.
    fn reorganize(&mut self) -> Result<()> {
        let blocks = self
            .rng
            .gen_range(1..6)
            .min(self.rollup.l1.head()?.height - 1);
        self.rollup.l1.reorg(blocks)?;
        say("did reorganize")?;
        self.rollup.follow(self.now)?;
        Ok(())
    }
}
