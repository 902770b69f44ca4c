//! What the batcher does when L1 moved without it.
//!
//! L1 may have finalized batches that the batcher was cut off from noting, may have lost blocks in
//! a reorganization, or may have let a batch grow older than Δ; a clock that was ahead may have left
//! batches from the future. Invariant: after [`Rollup::follow`], the batcher's final batches are L1's,
//! every open batch starts where the one before ended, consumes the queue as L1 has it and has a
//! timestamp that L1 accepts now or within [`WAIT`] (as far as the clock is believed), or there is an
//! error that says what to do. Nothing that was acknowledged is dropped here: operations of reopened
//! batches wait again.

use batcher::batcher::StageError;
use batcher::{ReopenError, Reopened, StoredBatch};
use l1::FinalizedBatch;
use thiserror::Error;

use crate::clock::ClockError;
use crate::rollup::{Rollup, fee_accounts};
use crate::settlement::SettleError;

/// Seconds that a batch may be ahead of L1's time: to wait is cheaper than to prove it again. A chain
/// that reorganized, or a clock that was set back a little, catches up within it.
pub const WAIT: u64 = 60;

/// Why L1 and batcher do not go together.
#[derive(Debug, Error)]
pub enum FollowError {
    /// L1's file cannot be read.
    #[error(transparent)]
    L1(#[from] l1::StoreError),
    /// A batch of the batcher cannot be read or moved.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A batch cannot be reopened.
    #[error(transparent)]
    Reopen(#[from] ReopenError),
    /// A contract's chain cannot be followed.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// L1 has batches that the batcher never sealed.
    #[error(
        "L1 has finalized {on_l1} batches, the batcher has sealed {sealed}: its database is older than L1; keep it, move it away and make another with `quire restore`: what only it knew (operations that were accepted and are not final) has to be sent again"
    )]
    Behind {
        /// Batches on L1.
        on_l1: u64,
        /// Batches of the batcher.
        sealed: u64,
    },
    /// L1 has another batch under this number.
    #[error(
        "L1 finalized another batch {number} than the batcher sealed: another operator has been at work, or the database is of another history; keep it, move it away and make another with `quire restore`: what only it knew (operations that were accepted and are not final) has to be sent again"
    )]
    Diverged {
        /// The first batch that differs.
        number: u64,
    },
}

/// Why batches were reopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopening {
    /// The batch consumed queue entries that L1 no longer has in this place.
    QueueChanged {
        /// The first batch concerned.
        batch: u64,
    },
    /// The batch is older than Δ: L1 would refuse its timestamp, which its proof fixes.
    Outlived {
        /// The first batch concerned.
        batch: u64,
        /// Its timestamp.
        timestamp: u64,
        /// The earliest that L1 accepts.
        earliest: u64,
    },
    /// The batch is from the future: it was sealed by a clock that was ahead, and L1 would refuse its
    /// timestamp, which its proof fixes, until that time.
    AheadOfTime {
        /// The first batch concerned.
        batch: u64,
        /// Its timestamp.
        timestamp: u64,
        /// L1's time: the latest that it accepts.
        latest: u64,
    },
}

impl Reopening {
    /// The first batch concerned.
    pub fn batch(&self) -> u64 {
        match self {
            Self::QueueChanged { batch }
            | Self::Outlived { batch, .. }
            | Self::AheadOfTime { batch, .. } => *batch,
        }
    }
}

/// What following L1 changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Batches that L1 had finalized and the batcher had not noted.
    pub finalized: u64,
    /// Batches that were final and that L1 has lost: they are to be submitted again.
    pub lost: u64,
    /// Batches that were reopened, and why.
    pub reopened: Option<(Reopening, Reopened)>,
}

impl Rollup {
    /// Brings the batcher in line with L1, and before that a mirror with its contract. To be called
    /// after opening and whenever L1 may have moved: before sealing and before submitting.
    ///
    /// # Errors
    /// [`FollowError`], which says what to do.
    pub fn follow(&mut self, now: u64) -> Result<Followed, FollowError> {
        self.link.sync(&mut self.l1)?;
        // Why anew: a reorganization may have given a fee account's index to somebody else.
        self.batcher.set_fee_accounts(fee_accounts(&self.l1)?);
        let mut followed = Followed {
            lost: self.roll_back()?,
            ..Followed::default()
        };
        followed.finalized = self.catch_up()?;
        let stale = match self.changed_queue()? {
            Some(stale) => Some(stale),
            None => self.untimely(now)?,
        };
        if let Some(reason) = stale {
            followed.reopened = Some((reason, self.batcher.reopen(reason.batch())?));
        }
        Ok(followed)
    }

    /// Number of the last batch that L1 has finalized.
    fn last_on_l1(&self) -> Result<u64, l1::StoreError> {
        Ok(self.l1.head()?.next_batch - 1)
    }

    /// True if L1 and batcher have the same batch under this number.
    fn same(&self, number: u64) -> Result<bool, FollowError> {
        let on_l1 = self.l1.batch(number)?;
        let ours = self.batcher.batch(number)?;
        let data = on_l1.map(|batch| batch.submission.data);
        Ok(data.as_deref() == Some(ours.batch().bytes()))
    }

    /// Takes back finality that L1 has lost and returns for how many batches.
    ///
    /// Why the last common batch is compared: roots chain, so if it is the same, all before are.
    fn roll_back(&mut self) -> Result<u64, FollowError> {
        let (on_l1, finalized) = (self.last_on_l1()?, self.batcher.status().finalized);
        let common = on_l1.min(finalized);
        if common > 0 && !self.same(common)? {
            let mut number = common;
            while number > 1 && !self.same(number - 1)? {
                number -= 1;
            }
            return Err(FollowError::Diverged { number });
        }
        match finalized > on_l1 {
            true => Ok(self.batcher.roll_back_finalized(on_l1)?),
            false => Ok(0),
        }
    }

    /// Notes batches that L1 has finalized and returns how many.
    fn catch_up(&mut self) -> Result<u64, FollowError> {
        let on_l1 = self.last_on_l1()?;
        let status = self.batcher.status();
        if on_l1 > status.sealed {
            let sealed = status.sealed;
            return Err(FollowError::Behind { on_l1, sealed });
        }
        for number in status.finalized + 1..=on_l1 {
            match self.l1.batch(number)? {
                Some(batch) if self.same(number)? => self.note_final(&batch)?,
                _ => return Err(FollowError::Diverged { number }),
            }
        }
        Ok(on_l1 - status.finalized)
    }

    fn note_final(&mut self, on_l1: &FinalizedBatch) -> Result<(), FollowError> {
        let proved = match self.batcher.batch(on_l1.number)? {
            StoredBatch::Proved(proved) => proved,
            StoredBatch::Sealed(batch) => {
                // Why: a copy of the database may be older than the proof. L1 verified its own.
                let proof = on_l1.submission.proof.to_vec();
                self.batcher.record_proof(batch, proof, on_l1.time)?
            }
            StoredBatch::Finalized(_) => return Ok(()),
        };
        self.batcher.record_finalized(proved, on_l1.time)?;
        Ok(())
    }

    /// The first open batch that consumed other queue entries than L1 has.
    fn changed_queue(&self) -> Result<Option<Reopening>, FollowError> {
        let status = self.batcher.status();
        for number in status.finalized + 1..=status.sealed {
            let stored = self.batcher.batch(number)?;
            let (queue, words) = (stored.batch().queue(), stored.batch().words());
            let count = words.l1_ops.len();
            let on_l1 = self.l1.queue(queue.start, count)?;
            let mine = words.l1_ops.iter().map(|entry| entry.op);
            if !mine.eq(on_l1.iter().map(|entry| entry.op)) {
                return Ok(Some(Reopening::QueueChanged { batch: number }));
            }
        }
        Ok(None)
    }

    /// The first open batch whose timestamp L1 does not accept: the oldest if it is too old, else the
    /// first from the future. None if the clock jumped: no proof is thrown away for a wrong clock.
    fn untimely(&self, now: u64) -> Result<Option<Reopening>, FollowError> {
        let time = match self.time_to_keep(now) {
            Ok(time) => time,
            Err(ClockError::L1(error)) => return Err(error.into()),
            Err(ClockError::Jumped { .. } | ClockError::BlockAhead { .. }) => return Ok(None),
        };
        let slack = self.l1.deployment().parameters().timestamp_slack;
        let earliest = time.saturating_sub(slack);
        let status = self.batcher.status();
        for batch in status.finalized + 1..=status.sealed {
            let timestamp = self.batcher.batch(batch)?.batch().words().header.timestamp;
            if timestamp < earliest {
                return Ok(Some(Reopening::Outlived {
                    batch,
                    timestamp,
                    earliest,
                }));
            }
            if timestamp > time.saturating_add(WAIT) {
                return Ok(Some(Reopening::AheadOfTime {
                    batch,
                    timestamp,
                    latest: time,
                }));
            }
        }
        Ok(None)
    }
}
