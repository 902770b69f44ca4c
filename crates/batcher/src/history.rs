//! What became of an operation, and when.

use ledger::operation::Fields;

use crate::batcher::Batcher;
use crate::error::StoreError;
use crate::operation::OperationId;
use crate::rows::{BatchTimes, Outcome, StoredOutcome};

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It waits.
    Pending,
    /// It is part of a batch that is not finalized.
    Sealed {
        /// Number of the batch.
        batch: u64,
    },
    /// It was acknowledged and found invalid when it was to execute.
    Rejected {
        /// The rule that did not hold.
        reason: String,
    },
    /// It is part of a finalized batch.
    Finalized {
        /// Number of the batch.
        batch: u64,
    },
}

/// What became of an operation, and when, in seconds since 1970; `None` where it has not happened
/// or nobody here knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Where it stands.
    pub verdict: Verdict,
    /// The account that pays, if the operation is a withdrawal.
    pub withdrawn_from: Option<u32>,
    /// When it was acknowledged first.
    pub received: Option<u64>,
    /// When its batch was sealed.
    pub sealed: Option<u64>,
    /// When its batch was proven.
    pub proven: Option<u64>,
    /// When L1 accepted its batch.
    pub finalized: Option<u64>,
}

impl Batcher {
    /// What became of an operation; `None` if it was never acknowledged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn verdict(&self, id: &OperationId) -> Result<Option<Verdict>, StoreError> {
        Ok(self.history(id)?.map(|history| history.verdict))
    }

    /// What became of an operation and when; `None` if it was never acknowledged here. Times
    /// survive restarts; a database restored from L1 knows no operation that it did not receive
    /// itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn history(&self, id: &OperationId) -> Result<Option<History>, StoreError> {
        if let Some(entry) = self.pool.get(id) {
            let known = (entry.received, entry.withdrawn_from());
            let history = history(Verdict::Pending, known, BatchTimes::default());
            return Ok(Some(history));
        }
        let Some(stored) = self.store.outcome(id)? else {
            return Ok(None);
        };
        let StoredOutcome {
            received,
            withdrawn_from,
            outcome,
        } = stored;
        let finalized = self.head.finalized;
        let (verdict, times) = match outcome {
            Outcome::Sealed { batch } if batch <= finalized => {
                (Verdict::Finalized { batch }, self.store.times(batch)?)
            }
            Outcome::Sealed { batch } => {
                let times = BatchTimes {
                    finalized: None,
                    ..self.store.times(batch)?
                };
                (Verdict::Sealed { batch }, times)
            }
            Outcome::Rejected { reason } => (Verdict::Rejected { reason }, BatchTimes::default()),
        };
        Ok(Some(history(verdict, (received, withdrawn_from), times)))
    }

    /// The nonce for which an operation that waits has to wait, because no operation has it; `None` if
    /// it waits for a batch alone, or does not wait.
    pub fn missing_nonce(&self, id: &OperationId) -> Option<u64> {
        let Fields { from, nonce, .. } = self.pool.get(id)?.fields;
        let next = self.next_nonce(from)?;
        (next < nonce).then_some(next)
    }

    /// How many operations wait for a nonce that no operation has: no batch takes them before.
    pub fn stranded(&self) -> usize {
        let next = |index| self.state.account(index).map_or(0, |account| account.nonce);
        self.pool.stranded(next)
    }

    /// When a batch took its steps; all `None` if there is no such batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn times(&self, number: u64) -> Result<BatchTimes, StoreError> {
        self.store.times(number)
    }
}

fn history(
    verdict: Verdict,
    (received, withdrawn_from): (u64, Option<u32>),
    times: BatchTimes,
) -> History {
    let BatchTimes {
        sealed,
        proven,
        finalized,
    } = times;
    History {
        verdict,
        withdrawn_from,
        received: Some(received),
        sealed,
        proven,
        finalized,
    }
}
