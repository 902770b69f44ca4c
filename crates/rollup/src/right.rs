//! Who may submit batches, as the caller of this rollup sees it.
//!
//! L1 decides ([`l1::operator`]); here is asked before work is done that L1 would refuse. Invariant:
//! nothing is sent to L1 for a caller who may not submit at its time, as far as it is known here, and
//! an operator that came back to a rollup which others continue calls for its hour before it proves,
//! since every batch of somebody else makes its own proofs worthless, and only once it has sealed a batch,
//! since an hour without one is lost and the next is days away.

use l1::operator::is_overdue;
use l1::{Address, L1Error, SubmissionRight};

use crate::rollup::Rollup;
use crate::settlement::{Call, SettleError};

/// What an operator that is back has to do before it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Nothing: batches are its own, or nobody else has submitted any.
    NotNeeded,
    /// It has called, and alone may submit until this second of L1's time.
    Called {
        /// The last second of its hour.
        until: u64,
    },
    /// It may not call again yet, and submits as anybody may.
    TooSoon {
        /// From when on it may.
        again: u64,
    },
    /// It has no batch to submit, and calls once it has: its hour would pass for nothing.
    NoBatch,
}

impl Rollup {
    /// True if somebody else than the operator submits here.
    pub(crate) fn is_strangers(&self) -> Result<bool, l1::StoreError> {
        let operator = self.l1.operator()?;
        Ok(self
            .submitter
            .is_some_and(|submitter| submitter != operator))
    }

    /// Whether an entry of the queue has waited longer than it may at a time.
    pub(crate) fn is_overdue(&self, entry: &l1::QueueEntry, at: u64) -> bool {
        let wait = self.l1.deployment().parameters().takeover_after;
        is_overdue(entry.time, wait, at)
    }

    /// Who submits here, if that is not the operator.
    pub fn submitter(&self) -> Option<Address> {
        self.submitter
    }

    /// Who may submit now.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn submission_right(&self, now: u64) -> Result<SubmissionRight, l1::StoreError> {
        self.l1.submission_right(self.right_time(now)?)
    }

    /// Refuses if this caller may not submit now.
    ///
    /// # Errors
    /// [`l1::Refusal::NotOpen`], [`l1::Refusal::OperatorsHour`], [`l1::Refusal::Frozen`], or L1 cannot
    /// be read.
    pub fn check_right(&self, caller: Address, now: u64) -> Result<(), L1Error> {
        self.l1.check_right(caller, self.right_time(now)?)
    }

    /// What the native L1 takes as the system's time: a mirror's chain keeps its own.
    fn right_time(&self, now: u64) -> Result<u64, l1::StoreError> {
        match self.link.is_remote() {
            true => self.l1_time(now),
            false => Ok(now),
        }
    }

    /// Calls for the operator's hour if somebody else's batch was final, the operator is not back, and it
    /// has a batch that is sealed and not final.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn return_operator(&mut self, operator: Address, now: u64) -> Result<Return, SettleError> {
        let right = self.submission_right(now)?;
        let SubmissionRight::Anybody {
            taken_over: true, ..
        } = right
        else {
            return Ok(Return::NotNeeded);
        };
        let last = self.l1.head()?.operator_back_at;
        let wait = self.l1.deployment().parameters().takeover_after;
        let again = last.saturating_add(wait);
        if last != 0 && self.l1_time(now)? < again {
            return Ok(Return::TooSoon { again });
        }
        let status = self.batcher.status();
        if status.sealed == status.finalized {
            return Ok(Return::NoBatch);
        }
        let call = Call::ReturnOperator { caller: operator };
        self.link.call(&mut self.l1, call, now)?;
        let until = self.l1.head()?.operator_back_at;
        let until = until.saturating_add(l1::OPERATORS_HOUR);
        Ok(Return::Called { until })
    }
}
