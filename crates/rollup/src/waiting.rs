//! What waits on its way to finality, and for what.
//!
//! Invariant: an operation, queue entry or batch that is not final is in one of the waits of
//! [`Rollup::waits`] or [`Deployment::waits`], so that nothing stands still without a word, and no wait is
//! for what will not come.

use batcher::StageError;
use batcher::{History, OperationId, Verdict};
use l1::SubmissionRight;
use ledger::operation::L1Op;

use crate::clock::now;
use crate::deployment::Deployment;
use crate::error::{DeploymentError, RollupError};
use crate::rollup::Rollup;
use crate::wait::Wait;

impl Rollup {
    /// What waits where batches are sealed, in the order of its way, when the system's clock says `now`.
    ///
    /// # Errors
    /// If L1 or the batcher cannot be read.
    pub fn waits(&self, now: u64) -> Result<Vec<Wait>, RollupError> {
        self.waits_where(true, now)
    }

    /// What waits, in the order of its way, where batches are sealed or where none is.
    fn waits_where(&self, seals: bool, now: u64) -> Result<Vec<Wait>, RollupError> {
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
        // Batches that are open where none is sealed will not become final.
        let queue = match seals {
            true => self.queue_not_sealed()?,
            false => head.queue_head,
        };
        let confirmed = self.confirmed_tail()?.max(queue);
        if confirmed < head.queue_tail {
            waits.push(Wait::Confirmations {
                entries: confirmed..head.queue_tail,
                blocks: self.blocks_on(confirmed)?,
                needed: self.confirmations(),
            });
        }
        let entries = confirmed - queue;
        let right = self.submission_right(now)?;
        let anybody = matches!(right, SubmissionRight::Anybody { .. });
        if !seals {
            let (operations, none) = (operations + self.operations_in_open_batches()?, 0);
            if entries > 0 {
                waits.push(Wait::Sealing {
                    entries,
                    operations: none,
                    anybody,
                });
            }
            if operations > 0 {
                waits.push(Wait::HandingIn { operations });
            }
            return Ok(waits);
        }
        let rest_on = self.batcher.reopened_queue_end();
        let rest_on = rest_on.map_or(0, |end| end.min(head.queue_tail));
        if confirmed < rest_on {
            waits.push(Wait::Deposits {
                operations,
                entries: confirmed..rest_on,
            });
        } else if operations > stranded || entries > 0 {
            waits.push(Wait::Sealing {
                entries,
                operations: operations - stranded,
                anybody,
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
                anybody_from: match right {
                    SubmissionRight::Operator { opens_at } => opens_at,
                    SubmissionRight::OperatorsHour { until } => Some(until + 1),
                    SubmissionRight::Anybody { .. } => Some(self.l1_time(now)?),
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

    /// The first entry of the L1 queue that no batch has, neither one of L1 nor one that was sealed here.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn queue_not_sealed(&self) -> Result<u64, l1::StoreError> {
        // Why L1's too: what is only read may be behind L1.
        Ok(self.batcher.status().queue.max(self.l1.head()?.queue_head))
    }

    /// Operations of batches that are sealed and not final, here or on L1.
    fn operations_in_open_batches(&self) -> Result<usize, RollupError> {
        let mut operations = 0;
        for number in self.last_final()? + 1..=self.batcher.status().sealed {
            let [_, transfers, withdrawals] = self.batcher.batch(number)?.batch().counts();
            operations += transfers + withdrawals;
        }
        Ok(operations)
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

impl Deployment {
    /// What waits, in the order of its way: as [`Rollup::waits`] where what is acknowledged reaches L1, else
    /// what somebody else has to do.
    ///
    /// # Errors
    /// If L1 or the batcher cannot be read.
    pub fn waits(&self) -> Result<Vec<Wait>, DeploymentError> {
        Ok(self.waits_where(self.may_acknowledge()?, now()?)?)
    }

    /// What an operation waits for, none if it is final or was rejected.
    ///
    /// # Errors
    /// As [`Self::waits`].
    pub fn wait_of(
        &self,
        id: &OperationId,
        operation: &History,
    ) -> Result<Option<Wait>, DeploymentError> {
        let waits = self.waits()?;
        let stage = match (&operation.verdict, operation.proven) {
            (Verdict::Finalized { .. } | Verdict::Rejected { .. }, _) => return Ok(None),
            (Verdict::Sealed { batch }, _) if *batch <= self.last_final()? => return Ok(None),
            (Verdict::Pending, _) => return Ok(self.wait_of_pending(id, &waits).cloned()),
            (Verdict::Sealed { .. }, None) => |wait: &Wait| matches!(wait, Wait::Proving { .. }),
            (Verdict::Sealed { .. }, Some(_)) => {
                |wait: &Wait| matches!(wait, Wait::Submission { .. })
            }
        };
        let mut waits = waits.into_iter();
        Ok(waits.find(|wait| wait.is_for_all() || stage(wait)))
    }

    /// What an operation that no batch has waits for, of [`Self::waits`].
    pub fn wait_of_pending<'w>(&self, id: &OperationId, waits: &'w [Wait]) -> Option<&'w Wait> {
        let is_stranded = self.batcher.missing_nonce(id).is_some();
        waits.iter().find(|wait| match (wait, is_stranded) {
            (Wait::Nonces { .. }, stranded) => stranded,
            (Wait::Deposits { operations, .. } | Wait::Sealing { operations, .. }, stranded) => {
                !stranded && *operations > 0
            }
            (wait, _) => wait.is_for_all(),
        })
    }

    /// What the deposit of an account waits for, none if a batch has it.
    ///
    /// # Errors
    /// As [`Self::waits`].
    pub fn wait_of_deposit(&self, index: u32) -> Result<Option<Wait>, DeploymentError> {
        let from = match self.may_acknowledge()? {
            true => self.queue_not_sealed()?,
            false => self.l1.head()?.queue_head,
        };
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
}
