//! What the batcher does when L1 moved without it.
//!
//! L1 may have finalized batches that the batcher was cut off from noting, or that somebody else
//! submitted (foreign batches); it may have lost blocks in a reorganization, or may have let a
//! batch grow older than Δ; a clock that was ahead may have left batches from the future. A copy of
//! the database that is older than L1 is the same case as a foreign batch. Invariant: after
//! [`Rollup::follow`], the batcher's final batches are L1's, every open batch starts where the one
//! before ended, consumes the queue as L1 has it and has a timestamp that L1 accepts now or within
//! [`WAIT`] (as far as the clock is believed), or there is an error that says what to do. Nothing
//! that was acknowledged is dropped here: operations of reopened batches wait again, unless a
//! foreign batch executed them, used their nonces or came after their expiry, which settles them
//! with a verdict. Each step is one durable transaction and leaves a database that the next call
//! continues from.

use batcher::StageError;
use batcher::{Applied, ApplyError, ReopenError, Reopened, StoredBatch};
use l1::operator::leaves_behind;
use l1::{FinalizedBatch, SubmissionRight};

use crate::clock::ClockError;
use crate::error::FollowError;
use crate::restore::batches_from;
use crate::rollup::{Rollup, fee_accounts};

/// Foreign batches that are read and executed at once.
const AT_ONCE: usize = 64;

/// Seconds that a batch may be ahead of L1's time: to wait is cheaper than to prove it again. A chain
/// that reorganized, or a clock that was set back a little, catches up within it.
pub const WAIT: u64 = 60;

/// Why batches were reopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopening {
    /// L1 has another batch under this number.
    Replaced {
        /// The first batch concerned.
        batch: u64,
    },
    /// The batch consumed queue entries that L1 no longer has in this place.
    QueueChanged {
        /// The first batch concerned.
        batch: u64,
    },
    /// The batch is older than Δ: L1 would refuse its timestamp, which its proof fixes.
    Outlived {
        /// The first batch concerned.
        batch: u64,
        timestamp: u64,
        /// The earliest that L1 accepts.
        earliest: u64,
    },
    /// Somebody who is not the operator sealed the batch when only the operator might submit: its proof
    /// fixes its timestamp, so L1 would refuse it ever after.
    BeforeOpen {
        /// The first batch concerned.
        batch: u64,
        timestamp: u64,
        /// The earliest that L1 accepts of anybody.
        from: u64,
    },
    /// The batch is not the operator's and leaves an entry behind that was overdue at its timestamp,
    /// though its shape has a slot for it or has none: L1 would refuse it ever after.
    OverdueLeftBehind {
        /// The first batch concerned.
        batch: u64,
        /// The entry that it leaves behind.
        entry: u64,
    },
    /// The batch is from the future: it was sealed by a clock that was ahead, and L1 would refuse its
    /// timestamp, which its proof fixes, until that time.
    AheadOfTime {
        /// The first batch concerned.
        batch: u64,
        timestamp: u64,
        /// L1's time: the latest that it accepts.
        latest: u64,
    },
}

impl Reopening {
    /// The first batch concerned.
    pub fn batch(&self) -> u64 {
        match self {
            Self::Replaced { batch }
            | Self::QueueChanged { batch }
            | Self::Outlived { batch, .. }
            | Self::BeforeOpen { batch, .. }
            | Self::OverdueLeftBehind { batch, .. }
            | Self::AheadOfTime { batch, .. } => *batch,
        }
    }
}

/// What following L1 changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Batches that L1 had finalized and the batcher had not noted.
    pub finalized: u64,
    /// Batches that were final and that L1 has lost. They are to be submitted again, or L1 has
    /// others in their place.
    pub lost: u64,
    /// Foreign batches that were executed, and what they did to operations acknowledged here.
    pub applied: Applied,
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
        let submitter = match self.submitter {
            Some(submitter) => submitter,
            None => self.l1.operator()?,
        };
        let fee_accounts = fee_accounts(&self.l1, submitter)?;
        self.batcher.set_fee_accounts(fee_accounts);
        let mut followed = Followed::default();
        self.agree_on_finality(&mut followed)?;
        if let Some(reason) = self.stale(now)? {
            followed.reopened = Some((reason, self.batcher.reopen(reason.batch())?));
        }
        Ok(followed)
    }

    /// Why the open batches from some number on will never be final.
    fn stale(&self, now: u64) -> Result<Option<Reopening>, FollowError> {
        if let Some(changed) = self.changed_queue()? {
            return Ok(Some(changed));
        }
        if let Some(early) = self.before_open(now)? {
            return Ok(Some(early));
        }
        if let Some(left) = self.left_behind()? {
            return Ok(Some(left));
        }
        self.untimely(now)
    }

    /// Makes the batcher's final batches those of L1.
    fn agree_on_finality(&mut self, followed: &mut Followed) -> Result<(), FollowError> {
        let (on_l1, before) = (self.last_on_l1()?, self.batcher.status());
        let still_final = self.last_still_final(on_l1)?;
        let common = self.last_common(on_l1, still_final)?;
        followed.lost = before.finalized.saturating_sub(common);
        followed.finalized = common.saturating_sub(before.finalized);
        if before.finalized > still_final {
            self.batcher.roll_back_finalized(still_final)?;
        }
        for number in still_final + 1..=common {
            if let Some(batch) = self.l1.batch(number)? {
                self.note_final(&batch)?;
            }
        }
        if on_l1 == common {
            return Ok(());
        }
        let number = common + 1;
        if before.sealed > common {
            let reopened = self.batcher.reopen(number);
            let reopened = reopened.map_err(|source| match source {
                ReopenError::NotKept { .. } | ReopenError::Root { .. } => {
                    FollowError::Diverged { number, source }
                }
                other => other.into(),
            })?;
            followed.reopened = Some((Reopening::Replaced { batch: number }, reopened));
        }
        followed.applied = self.apply(number)?;
        Ok(())
    }

    /// Number of the last batch that L1 has finalized.
    fn last_on_l1(&self) -> Result<u64, l1::StoreError> {
        Ok(self.l1.head()?.next_batch - 1)
    }

    /// The last final batch that L1 has unchanged since it was noted here.
    ///
    /// Why its time counts: two histories may lead to the same batch, but L1 accepts it at one time.
    fn last_still_final(&self, on_l1: u64) -> Result<u64, FollowError> {
        let mut number = on_l1.min(self.batcher.status().finalized);
        while number > 0 {
            let noted = self.batcher.times(number).map_err(StageError::from)?;
            let batch = self.l1.batch(number)?;
            let unmoved = batch.is_some_and(|batch| Some(batch.time) == noted.finalized);
            if unmoved && self.same(number)? {
                break;
            }
            number -= 1;
        }
        Ok(number)
    }

    /// Where what is only read says that batches are final which L1 lost, or has others for, takes them for not
    /// final. Gives how many batches of L1 are not in what is read.
    pub(crate) fn take_l1s_word(&mut self) -> Result<u64, FollowError> {
        let on_l1 = self.last_on_l1()?;
        let still_final = self.last_still_final(on_l1)?;
        self.batcher.finalized_at_most(still_final);
        Ok(on_l1 - still_final)
    }

    /// The last batch of those after `still_final` up to which L1 and batcher have the same ones.
    fn last_common(&self, on_l1: u64, still_final: u64) -> Result<u64, FollowError> {
        let end = on_l1.min(self.batcher.status().sealed);
        let mut common = still_final;
        while common < end && self.same(common + 1)? {
            common += 1;
        }
        Ok(common)
    }

    /// The last batch from here that is final: L1 may have more of them than were noted here yet.
    pub(crate) fn last_final(&self) -> Result<u64, FollowError> {
        self.last_common(self.last_on_l1()?, self.batcher.status().finalized)
    }

    /// True if L1 and batcher have the same batch under this number.
    fn same(&self, number: u64) -> Result<bool, FollowError> {
        let on_l1 = self.l1.batch(number)?;
        let stored = self.batcher.batch(number)?;
        let ours = stored.batch();
        Ok(on_l1.is_some_and(|batch| {
            batch.submission.data.as_slice() == ours.bytes() && batch.queue == ours.queue()
        }))
    }

    /// Executes L1's batches from a number on.
    fn apply(&mut self, from: u64) -> Result<Applied, FollowError> {
        let (mut applied, mut number) = (Applied::default(), from);
        loop {
            let batches = batches_from(&self.l1, number, AT_ONCE)?;
            if batches.is_empty() {
                return Ok(applied);
            }
            let more = self.batcher.apply_finalized(&batches);
            let more = more.map_err(|source| match source {
                ApplyError::Store(error) => StageError::from(error).into(),
                source => FollowError::Unexplained { number, source },
            })?;
            number += more.batches;
            applied = applied.and(more);
        }
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

    /// The first open batch, if it is not the operator's and was sealed before anybody might submit.
    /// Those after it are open to anybody once it is final.
    fn before_open(&self, now: u64) -> Result<Option<Reopening>, FollowError> {
        let status = self.batcher.status();
        if status.finalized == status.sealed || !self.is_strangers()? {
            return Ok(None);
        }
        let SubmissionRight::Anybody {
            since_entry: Some(entry),
            taken_over: false,
        } = self.submission_right(now)?
        else {
            return Ok(None);
        };
        let since = self
            .l1
            .queue(entry, 1)?
            .first()
            .map_or(0, |entry| entry.time);
        let wait = self.l1.deployment().parameters().takeover_after;
        let from = since.saturating_add(wait).saturating_add(1);
        let batch = status.finalized + 1;
        let timestamp = self.batcher.batch(batch)?.batch().words().header.timestamp;
        Ok((timestamp < from).then_some(Reopening::BeforeOpen {
            batch,
            timestamp,
            from,
        }))
    }

    /// The first open batch, of somebody who is not the operator, that leaves an overdue entry behind for
    /// which its shape has a slot. The operator may have sealed it, or before the entry had its
    /// confirmations.
    fn left_behind(&self) -> Result<Option<Reopening>, FollowError> {
        if !self.is_strangers()? {
            return Ok(None);
        }
        let status = self.batcher.status();
        for batch in status.finalized + 1..=status.sealed {
            let stored = self.batcher.batch(batch)?;
            let (sealed, words) = (stored.batch(), stored.batch().words());
            let (slots, used) = (usize::from(sealed.shape().l1_ops), words.l1_ops.len());
            let next = self.l1.queue(sealed.queue().end, 1)?;
            let left = |entry: &&l1::QueueEntry| {
                let overdue = self.is_overdue(entry, words.header.timestamp);
                leaves_behind((slots, used), overdue)
            };
            if let Some(left) = next.first().filter(left) {
                let entry = left.number;
                return Ok(Some(Reopening::OverdueLeftBehind { batch, entry }));
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
            Err(
                ClockError::Jumped { .. } | ClockError::BlockAhead { .. } | ClockError::NotSet(_),
            ) => return Ok(None),
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
