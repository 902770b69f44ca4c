//! Sealing, proving and submitting, on L1 and batcher together.
//!
//! Invariants: all times are L1's (its clock may run ahead of the system's), and none is kept that
//! jumped ([`crate::clock`]); only queue entries
//! with enough confirmations are executed; what is submitted comes from the batcher's database and
//! in order. Making a proof from an assignment is left to `prover`.

use std::collections::BTreeMap;
use std::path::Path;

use batcher::{
    Batcher, Fill, Limits, Proofs, ProvedBatch, QueueEntry, SealSummary, SealedBatch, StoredBatch,
};
use batcher::{SealError, StageError};
use circuits::transition::{BatchValues, assignment};
use l1::{Address, L1Error, NativeL1, Refusal, Submission};
use ledger::field::Fr;
use ledger::witness::BatchWitness;
use ledger::words::commitment;
use prover::proof::Proof;

use crate::clock::{Clock, ClockError};
use crate::error::RollupError;
use crate::settlement::Link;

/// Batches that are submitted in one call at most, their proofs checked together.
pub const SUBMIT_AT_ONCE: usize = 32;

/// How many batches are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealLimit {
    /// Batches that are full or old enough.
    Due,
    /// Everything that waits, in at most so many batches.
    Batches(u64),
    /// Everything that waits, in the order of arrival, many batches in one transaction.
    All,
}

/// L1 and batcher of one deployment.
pub struct Rollup {
    /// The L1, or the mirror of a contract.
    pub l1: NativeL1,
    /// Where calls of L1 go.
    pub link: Link,
    pub batcher: Batcher,
    /// Who submits batches here, if that is not the operator.
    pub(crate) submitter: Option<Address>,
    /// Blocks on top of a queue entry before it is executed.
    confirmations: u64,
    /// What is believed of the time.
    clock: Clock,
}

/// What a proof of a batch needs.
pub struct ToProve {
    /// Number of the batch.
    pub number: u64,
    /// The commitment to its words.
    pub c: Fr,
    /// The full assignment of its circuit.
    pub assignment: Vec<Fr>,
}

impl ToProve {
    /// From the witness of batch `number`, which takes no look at any file.
    ///
    /// # Errors
    /// [`RollupError::Witness`] if it is not one of its own shape.
    pub fn of(number: u64, witness: &BatchWitness) -> Result<Self, RollupError> {
        let values = BatchValues::of(witness).map_err(|error| RollupError::Witness {
            number,
            reason: error.to_string(),
        })?;
        Ok(Self {
            number,
            c: values.c,
            assignment: assignment(&values),
        })
    }
}

/// What the batcher has to know of a deployment.
///
/// # Errors
/// If L1 cannot be read.
pub fn settings(
    l1: &NativeL1,
    limits: Limits,
    max_age: u64,
) -> Result<batcher::Settings, l1::StoreError> {
    let deployment = l1.deployment();
    let parameters = deployment.parameters();
    let shapes = parameters.shapes.iter().map(|listed| listed.shape);
    Ok(batcher::Settings {
        domain: l1.domain(),
        genesis: *blake3::hash(&deployment.canonical_bytes()).as_bytes(),
        shapes: shapes.collect(),
        fee_accounts: fee_accounts(l1, l1.operator()?)?,
        limits,
        max_age,
        timestamp_slack: parameters.timestamp_slack,
        undo_window: l1::REORG_WINDOW * SUBMIT_AT_ONCE as u64,
    })
}

/// Token → account that takes fees for `owner`, who submits batches: the first that it owns of each
/// token, among those at the start of the genesis and those that it deposited into, at whatever index.
/// Fees in other tokens are not taken.
pub(crate) fn fee_accounts(
    l1: &NativeL1,
    owner: Address,
) -> Result<BTreeMap<u32, u32>, l1::StoreError> {
    let mut accounts = l1.deposited(owner)?;
    let mut of_genesis = BTreeMap::new();
    for index in 1..=l1.deployment().accounts().count {
        let registered = l1.registered(index)?;
        let Some(account) = registered.filter(|account| account.owner == owner) else {
            break;
        };
        of_genesis.entry(account.token).or_insert(index);
    }
    accounts.extend(of_genesis);
    Ok(accounts)
}

impl Rollup {
    /// Takes an open L1 and opens the batcher's database of the same deployment in `folder`.
    /// [`Rollup::follow`](Self::follow) is to be called next.
    ///
    /// # Errors
    /// [`RollupError::Open`], [`RollupError::L1Store`].
    pub fn open(
        l1: NativeL1,
        folder: &Path,
        settings: batcher::Settings,
        confirmations: u64,
    ) -> Result<Self, RollupError> {
        let batcher = Batcher::open(folder, settings)?;
        Ok(Self::new(l1, batcher, confirmations))
    }

    /// Puts L1 and batcher of one deployment together.
    pub fn new(l1: NativeL1, batcher: Batcher, confirmations: u64) -> Self {
        Self {
            l1,
            link: Link::default(),
            batcher,
            submitter: None,
            confirmations,
            clock: Clock::default(),
        }
    }

    /// Works for somebody who is not the operator: from the next [`Self::follow`](Self::follow) on
    /// its own accounts take the fees, and its batches take the queue before anything else.
    pub fn work_for(&mut self, submitter: Address) {
        self.submitter = Some(submitter);
    }

    /// Believes the time as told.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Sends calls of L1 elsewhere: `l1` is the mirror of a contract.
    pub fn with_link(self, link: Link) -> Self {
        Self { link, ..self }
    }

    /// L1's time when the system's clock says `now`.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn l1_time(&self, now: u64) -> Result<u64, l1::StoreError> {
        self.link.time(&self.l1, now)
    }

    /// L1's time when the system's clock says `now`, for whatever is kept or decided by it.
    ///
    /// # Errors
    /// [`ClockError`] if it jumped.
    pub fn time_to_keep(&self, now: u64) -> Result<u64, ClockError> {
        let recorded = self.batcher.latest_time();
        self.clock.time(&self.l1, &self.link, recorded, now)
    }

    /// The first queue entry that does not have enough confirmations.
    pub(crate) fn confirmed_tail(&self) -> Result<u64, l1::StoreError> {
        Ok(self
            .link
            .confirmed(&self.l1, self.confirmations)?
            .queue_tail)
    }

    /// Confirmed entries of the L1 queue that no sealed batch has consumed.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn waiting_queue(&self) -> Result<Vec<QueueEntry>, l1::StoreError> {
        let from = self.batcher.status().queue;
        let confirmed = self.confirmed_tail()?;
        let count = usize::try_from(confirmed.saturating_sub(from)).unwrap_or(usize::MAX);
        let entries = self.l1.queue(from, count)?;
        let entry = |entry: l1::QueueEntry| QueueEntry {
            number: entry.number,
            op: entry.op,
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// The entries of [`Self::waiting_queue`], which are to be sealed now.
    ///
    /// # Errors
    /// [`RollupError::Unconfirmed`] after a reorg, as long as L1 has entries that reopened batches
    /// rest on and that are not confirmed again.
    pub fn queue_to_seal(&self) -> Result<Vec<QueueEntry>, RollupError> {
        let next = self.batcher.status().queue;
        let end = self.batcher.reopened_queue_end();
        // Why only those after the next: a foreign batch may have consumed the others.
        if let Some(end) = end.filter(|end| *end > next) {
            let confirmations = self.confirmations;
            let confirmed = self.confirmed_tail()?;
            let needed = end.min(self.l1.head()?.queue_tail);
            if confirmed < needed {
                return Err(RollupError::Unconfirmed {
                    needed,
                    confirmed,
                    confirmations,
                });
            }
        }
        Ok(self.waiting_queue()?)
    }

    /// Refuses to seal for somebody who is not the operator while an entry is overdue that is not
    /// confirmed: the batch would leave it behind, and L1 refuse it.
    fn check_overdue_confirmed(&self, time: u64) -> Result<(), RollupError> {
        if !self.is_strangers()? {
            return Ok(());
        }
        // Why not from the confirmed ones on alone: a batch that was sealed or submitted under fewer blocks
        // has consumed others.
        let from = self.confirmed_tail()?.max(self.batcher.status().queue);
        let next = self.l1.queue(from, 1)?;
        let overdue = next.first().filter(|entry| self.is_overdue(entry, time));
        overdue.map_or(Ok(()), |entry| {
            Err(RollupError::OverdueUnconfirmed {
                entry: entry.number,
                confirmations: self.confirmations,
            })
        })
    }

    /// Refuses if L1 is frozen: no batch will ever be final again, so nothing is to be acknowledged
    /// or sealed.
    ///
    /// # Errors
    /// [`Refusal::Frozen`], or L1 cannot be read.
    pub fn check_not_frozen(&self) -> Result<(), L1Error> {
        match self.l1.head()?.frozen {
            true => Err(Refusal::Frozen.into()),
            false => Ok(()),
        }
    }

    /// Seals batches at L1's time; `on_batch` sees each once it is durable.
    ///
    /// # Errors
    /// [`RollupError::Seal`], also if proving is too far behind; [`RollupError::L1`] if L1 is frozen;
    /// [`RollupError::Clock`] if the clock jumped; [`RollupError::OverdueUnconfirmed`] of whoever is not the
    /// operator.
    pub fn seal(
        &mut self,
        limit: SealLimit,
        now: u64,
        mut on_batch: impl FnMut(&SealedBatch),
    ) -> Result<SealSummary, RollupError> {
        self.check_not_frozen()?;
        if self.is_strangers()? {
            self.batcher.release_returned().map_err(SealError::from)?;
        }
        let (queue, time) = (self.queue_to_seal()?, self.time_to_keep(now)?);
        self.check_overdue_confirmed(time)?;
        let most = match limit {
            SealLimit::All => {
                let fill = Fill::UntilNextDoesNotFit;
                return Ok(self.batcher.seal_all(&queue, time, fill, on_batch)?);
            }
            SealLimit::Batches(most) => most,
            SealLimit::Due => u64::MAX,
        };
        let before = self.batcher.status();
        let mut counts = [0; 3];
        for _ in 0..most {
            if limit == SealLimit::Due {
                let due = self.batcher.seal_due(&queue, time);
                if due.map_err(SealError::from)?.is_none() {
                    break;
                }
            }
            let Some(batch) = self.batcher.seal(&queue, time)? else {
                break;
            };
            let of_batch = batch.counts();
            counts = [0, 1, 2].map(|kind| counts[kind] + of_batch[kind]);
            on_batch(&batch);
        }
        let ([l1_ops, transfers, withdrawals], after) = (counts, self.batcher.status());
        Ok(SealSummary {
            batches: after.sealed - before.sealed,
            l1_ops,
            transfers,
            withdrawals,
            dropped: before.waiting - after.waiting - transfers - withdrawals,
            waiting: after.waiting,
            state_root: after.state_root,
        })
    }

    /// The assignment of a sealed batch's circuit.
    ///
    /// # Errors
    /// [`RollupError::Stage`] if there is no such batch or its witness is gone.
    pub fn to_prove(&self, number: u64) -> Result<ToProve, RollupError> {
        ToProve::of(number, &self.batcher.witness(number)?)
    }

    /// Notes the proof of a sealed batch, which the prover has verified.
    ///
    /// # Errors
    /// [`RollupError::Stage`], also if another batch got the number while the proof was made.
    pub fn keep_proof(&mut self, of: &ToProve, proof: &Proof, now: u64) -> Result<(), RollupError> {
        let number = of.number;
        let batch = self.batcher.batch(number)?.batch().clone();
        if commitment_of(&batch)? != of.c {
            return Err(StageError::OtherBatch { number }.into());
        }
        let (bytes, time) = (proof.to_bytes().to_vec(), self.l1_time(now)?);
        self.batcher.record_proof(batch, bytes, time)?;
        Ok(())
    }

    /// Submits the next proved batches of one shape, at most `limit` and [`SUBMIT_AT_ONCE`], in one
    /// call, and notes their finality. Returns them; none if the next batch has no proof.
    ///
    /// # Errors
    /// [`RollupError::L1`] if the caller may not submit now; [`RollupError::Settle`] if L1 refuses; then
    /// none of them is final. [`RollupError::Early`] if the first is not to be submitted yet.
    pub fn submit(
        &mut self,
        caller: Address,
        limit: usize,
        now: u64,
    ) -> Result<Vec<ProvedBatch>, RollupError> {
        let mut group = self.next_proved(limit.min(SUBMIT_AT_ONCE))?;
        let Some(first) = group.first() else {
            return Ok(group);
        };
        self.check_right(caller, now)?;
        let time = self.time_to_keep(now)?;
        let timestamp = |proved: &ProvedBatch| proved.batch().words().header.timestamp;
        if timestamp(first) > time {
            return Err(RollupError::Early {
                batch: first.batch().number(),
                timestamp: timestamp(first),
                time,
            });
        }
        group.retain(|proved| timestamp(proved) <= time);
        let each = group.iter();
        let submissions = each
            .map(|proved| submission(proved.batch(), proved.proof()))
            .collect::<Result<Vec<_>, _>>()?;
        let at_once = self.link.at_once(&self.l1, &submissions);
        group.truncate(at_once);
        let submissions = &submissions[..group.len()];
        let finalized = self.link.submit(&mut self.l1, caller, submissions, now)?;
        for (proved, on_l1) in group.iter().zip(finalized) {
            self.batcher.record_finalized(proved.clone(), on_l1.time)?;
        }
        Ok(group)
    }

    /// The next batches that have a proof and one shape, at most `limit`.
    ///
    /// # Errors
    /// [`RollupError::Stage`].
    pub fn next_proved(&self, limit: usize) -> Result<Vec<ProvedBatch>, RollupError> {
        let status = self.batcher.status();
        let mut group: Vec<ProvedBatch> = Vec::new();
        for number in (status.finalized + 1..=status.sealed).take(limit) {
            let StoredBatch::Proved(proved) = self.batcher.batch(number)? else {
                break;
            };
            let first = group.first().unwrap_or(&proved);
            if first.batch().shape() != proved.batch().shape() {
                break;
            }
            group.push(proved);
        }
        Ok(group)
    }

    /// Blocks on top of a queue entry before it is executed.
    pub fn confirmations(&self) -> u64 {
        self.confirmations
    }
}

/// What is sent to L1 for a batch with its stored proof.
///
/// # Errors
/// [`RollupError::Words`], [`RollupError::Proof`] if what is stored is damaged.
pub fn submission(batch: &SealedBatch, proof: &[u8]) -> Result<Submission, RollupError> {
    let number = batch.number();
    let proof = Proof::from_bytes(proof).map_err(|source| RollupError::Proof { number, source })?;
    let c = commitment_of(batch)?;
    let submission = Submission::new(batch.words(), batch.shape(), &c, &proof);
    submission.map_err(|source| RollupError::Words { number, source })
}

/// The sealed batch that a proof was made for, while nobody has the batcher open.
///
/// # Errors
/// [`RollupError::Stage`] if it is not there any more, or another batch has its number.
pub fn to_keep(proofs: &Proofs<'_>, of: &ToProve) -> Result<SealedBatch, RollupError> {
    let number = of.number;
    let batch = proofs.batch(number)?;
    match commitment_of(&batch)? == of.c {
        true => Ok(batch),
        false => Err(StageError::OtherBatch { number }.into()),
    }
}

/// The commitment to a batch's words.
fn commitment_of(batch: &SealedBatch) -> Result<Fr, RollupError> {
    let number = batch.number();
    let encoded = batch.words().encode(batch.shape());
    let encoded = encoded.map_err(|source| RollupError::Words { number, source })?;
    Ok(commitment(batch.shape().id, &encoded))
}
