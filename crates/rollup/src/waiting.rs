//! What waits on its way to finality, and for what.
//!
//! Invariant: an operation, queue entry or batch that is not final is in one of the waits of
//! [`Rollup::waits`], so that nothing stands still without a word.

use batcher::StageError;
use batcher::{History, OperationId, Verdict};
use l1::SubmissionRight;
use ledger::operation::L1Op;

use crate::error::RollupError;
use crate::rollup::Rollup;
use crate::wait::Wait;

impl Rollup {
    /// What waits, in the order of its way.
    ///
    /// # Errors
    /// If L1 or the batcher cannot be read.
    pub fn waits(&self) -> Result<Vec<Wait>, RollupError> {
        let (status, head) = (self.batcher.status(), self.l1.head()?);
        let (operations, batches) = (status.waiting, status.sealed - status.finalized);
        if head.frozen {
            let entries = head.queue_tail - head.queue_head;
            let nothing = operations == 0 && batches == 0 && entries == 0;
            let wait = Wait::Nothing {
                operations,
                batches,
                entries,
            };
            return Ok((!nothing).then_some(wait).into_iter().collect());
        }
        let stranded = self.batcher.stranded();
        let mut waits = Vec::new();
        let confirmed = self.confirmed_tail()?.max(status.queue);
        if confirmed < head.queue_tail {
            waits.push(Wait::Confirmations {
                entries: confirmed..head.queue_tail,
                blocks: self.blocks_on(confirmed)?,
                needed: self.confirmations(),
            });
        }
        let rest_on = self.batcher.reopened_queue_end();
        let rest_on = rest_on.map_or(0, |end| end.min(head.queue_tail));
        let entries = confirmed - status.queue;
        if confirmed < rest_on {
            waits.push(Wait::Deposits {
                operations,
                entries: confirmed..rest_on,
            });
        } else if operations > stranded || entries > 0 {
            waits.push(Wait::Sealing {
                entries,
                operations: operations - stranded,
            });
        }
        if stranded > 0 {
            waits.push(Wait::Nonces {
                operations: stranded,
            });
        }
        let unproved = self.batcher.unproved().map_err(StageError::from)?;
        let first_unproved = unproved.first().copied().unwrap_or(status.sealed + 1);
        let proven = first_unproved - status.finalized - 1;
        if proven > 0 {
            waits.push(Wait::Submission {
                batches: proven,
                first: status.finalized + 1,
                operator: head.operator,
                anybody_from: match self.l1.submission_right(head.time)? {
                    SubmissionRight::Operator { opens_at } => opens_at,
                    SubmissionRight::OperatorsHour { until } => Some(until + 1),
                    SubmissionRight::Anybody { .. } => Some(head.time),
                    SubmissionRight::Nobody => None,
                },
            });
        }
        if let Some(first) = unproved.first() {
            waits.push(Wait::Proving {
                batches: unproved.len() as u64,
                first: *first,
            });
        }
        Ok(waits)
    }

    /// What an operation waits for, none if it is final or was rejected.
    ///
    /// # Errors
    /// As [`Self::waits`].
    pub fn wait_of(
        &self,
        id: &OperationId,
        operation: &History,
    ) -> Result<Option<Wait>, RollupError> {
        let is_stranded = self.batcher.missing_nonce(id).is_some();
        let on_its_way = |wait: &Wait| match (&operation.verdict, operation.proven) {
            (Verdict::Finalized { .. } | Verdict::Rejected { .. }, _) => false,
            (_, _) if matches!(wait, Wait::Nothing { .. }) => true,
            (Verdict::Pending, _) if is_stranded => matches!(wait, Wait::Nonces { .. }),
            (Verdict::Pending, _) => matches!(wait, Wait::Deposits { .. } | Wait::Sealing { .. }),
            (Verdict::Sealed { .. }, None) => matches!(wait, Wait::Proving { .. }),
            (Verdict::Sealed { .. }, Some(_)) => matches!(wait, Wait::Submission { .. }),
        };
        Ok(self.waits()?.into_iter().find(on_its_way))
    }

    /// What the deposit of an account waits for, none if a batch has it.
    ///
    /// # Errors
    /// As [`Self::waits`].
    pub fn wait_of_deposit(&self, index: u32) -> Result<Option<Wait>, RollupError> {
        let from = self.batcher.status().queue;
        let queue = self.l1.queue(from, usize::MAX)?;
        let mut creates = queue.iter().filter(|entry| match entry.op {
            L1Op::Create { index: made, .. } => made == index,
            _ => false,
        });
        let Some(number) = creates.next().map(|entry| entry.number) else {
            return Ok(None);
        };
        let has = |wait: &Wait| match wait {
            Wait::Confirmations { entries, .. } => entries.contains(&number),
            Wait::Sealing { .. } | Wait::Nothing { .. } => true,
            _ => false,
        };
        Ok(self.waits()?.into_iter().find(has))
    }

    /// Blocks on top of an entry of the queue.
    fn blocks_on(&self, entry: u64) -> Result<u64, l1::StoreError> {
        let entry = self.l1.queue(entry, 1)?.pop();
        match entry {
            Some(entry) => self.link.blocks_on(&self.l1, entry.height),
            None => Ok(0),
        }
    }
}
