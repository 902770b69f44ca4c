//! Undoing batches: those that outlived Δ or lost their place on L1.
//!
//! A reopened batch never was: state, queue position and time go back to before it, its operations
//! wait again at their old places, its number is used again. Invariant: whatever is undone is
//! sealed again before anything else, batch by batch, with the operations in the order in which
//! they were executed, so an operation is lost only if it expired before the next batch is final or
//! L1 took away what it rested on, and then it is rejected with its reason. One durable transaction:
//! all of it or nothing.

use std::mem;

use ledger::field::Fr;
use thiserror::Error;

use crate::batcher::Batcher;
use crate::error::{StageError, StoreError};
use crate::mempool::Mempool;
use crate::rows::{Head, StoredOperation};
use crate::tables::{Changes, ReopenWrites, SealWrites};
use crate::undo::{Returned, Undo};

/// Keys of returned batches grow from here when they go to the end, and shrink at the beginning.
const FIRST_KEY: u64 = 1 << 63;

/// What undoing batches came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reopened {
    /// Batches that were undone.
    pub batches: u64,
    /// Signed operations that wait again.
    pub returned: usize,
    /// Entries of the L1 queue that wait again.
    pub l1_ops: u64,
}

/// Why batches cannot be undone.
#[derive(Debug, Error)]
pub enum ReopenError {
    /// There is no such batch.
    #[error("batch {number} is not sealed: the last one is {sealed}")]
    NoBatch {
        /// The number asked for.
        number: u64,
        /// The last sealed batch.
        sealed: u64,
    },
    /// L1 has accepted the batch.
    #[error(
        "batch {number} is finalized, as all are up to {finalized}: only what L1 lost in a reorg \
         is rolled back"
    )]
    Finalized {
        /// The number asked for.
        number: u64,
        /// The last finalized batch.
        finalized: u64,
    },
    /// The batch is not finalized, so it cannot be rolled back.
    #[error("batch {number} is not finalized: the last one is {finalized}")]
    NotFinalized {
        /// The number asked for.
        number: u64,
        /// The last finalized batch.
        finalized: u64,
    },
    /// What it takes to undo the batch is not kept.
    #[error(
        "batch {number} cannot be undone: this is kept for batches sealed here, until {window} \
         more are finalized; restore from L1 instead"
    )]
    NotKept {
        /// The first batch without a record.
        number: u64,
        /// [`Settings::undo_window`](crate::Settings::undo_window).
        window: u64,
    },
    /// The records do not lead back to the root before the batch.
    #[error(
        "the accounts before batch {number} have root {got}, the batch starts from {expected}: restore from L1"
    )]
    Root {
        /// The first batch to be undone.
        number: u64,
        /// The root that the batch starts from.
        expected: Fr,
        /// Root of the accounts put back.
        got: Fr,
    },
    /// A batch cannot be read.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Batches to be undone, oldest first.
struct Undone {
    from: u64,
    batches: Vec<(Undo, Returned)>,
    /// Where the batcher stands without them.
    head: Head,
}

impl Batcher {
    /// Undoes batch `from`, which is not finalized, and all later ones. Their signed operations
    /// wait again at their old places, their proofs and witnesses are deleted, their numbers are
    /// used again. The next calls of [`Batcher::seal`] seal them again, batch by batch, with the
    /// same operations in the same order; of these, expired ones go on waiting, and those are rejected
    /// that rest on entries that the L1 queue no longer has. Give `seal` the queue as it stands on L1 then.
    ///
    /// # Errors
    /// [`ReopenError`]; nothing was undone.
    pub fn reopen(&mut self, from: u64) -> Result<Reopened, ReopenError> {
        self.check_running()?;
        let undone = self.undone(from)?;
        let result = self.undo(undone);
        // Why: memory may have moved already, disk has not.
        self.stopped |= result.is_err();
        result
    }

    /// The entry of the L1 queue after the last that the batches which are to be sealed again had
    /// consumed; `None` if there are no such batches. Operations are rejected for what [`Self::seal`]
    /// is not given of the entries before it, so what L1 has of them is to be given whole.
    pub fn reopened_queue_end(&self) -> Option<u64> {
        let ends = self.returned.iter().map(|(_, batch)| batch.queue_end);
        ends.max()
    }

    /// Batches that were undone are no longer sealed again one by one as they were: their operations
    /// wait as all others do, and the next batches take the queue first. For whoever is not the
    /// operator, from whom L1 demands that. As long as operations wait for accounts that the undone
    /// batches had created, nothing changes: these batches create them again.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed.
    pub fn release_returned(&mut self) -> Result<(), StoreError> {
        self.check_running()?;
        if !self.pool.without_account(&self.state).is_empty() {
            return Ok(());
        }
        let keys = mem::take(&mut self.returned).into_iter();
        let released = keys.map(|(key, _)| SealWrites {
            returned: Some(key),
            ..SealWrites::default()
        });
        self.commit(&released.collect::<Vec<_>>())
    }

    /// Reads everything that it takes.
    fn undone(&self, from: u64) -> Result<Undone, ReopenError> {
        let Head {
            sealed, finalized, ..
        } = self.head;
        if from == 0 || from > sealed {
            return Err(ReopenError::NoBatch {
                number: from,
                sealed,
            });
        }
        if from <= finalized {
            return Err(ReopenError::Finalized {
                number: from,
                finalized,
            });
        }
        let mut batches = Vec::new();
        for number in from..=sealed {
            let undo = self.store.undo(number)?.ok_or(ReopenError::NotKept {
                number,
                window: self.settings.undo_window,
            })?;
            let batch = self.sealed_record(number)?;
            let returned = Returned {
                shape: batch.shape().id,
                queue_end: batch.queue().end,
                places: undo.operations.iter().map(|op| op.place).collect(),
            };
            batches.push((undo, returned));
        }
        let first = self.sealed_record(from)?;
        let head = Head {
            root: first.words().header.old_root,
            sealed: from - 1,
            timestamp: batches.first().map_or(0, |(undo, _)| undo.timestamp),
            queue: first.queue().start,
            ..self.head
        };
        Ok(Undone {
            from,
            batches,
            head,
        })
    }

    /// Moves memory, then disk.
    fn undo(&mut self, undone: Undone) -> Result<Reopened, ReopenError> {
        let Undone {
            from,
            batches,
            head,
        } = undone;
        let before = batches.iter().flat_map(|(undo, _)| &undo.accounts).copied();
        let touched = before.clone().map(|(index, _)| index).collect();
        let put_back = self.state.put_back(before);
        put_back.expect("these accounts were accounts of this state");
        let (expected, got) = (head.root, self.state.root());
        if expected != got {
            return Err(ReopenError::Root {
                number: from,
                expected,
                got,
            });
        }
        let mut key = self.returned.front().map_or(FIRST_KEY, |(key, _)| *key);
        let mut operations: Vec<StoredOperation> = Vec::new();
        let mut returned = Vec::with_capacity(batches.len());
        for (undo, batch) in batches.into_iter().rev() {
            key -= 1;
            self.returned.push_front((key, batch.clone()));
            returned.push((key, batch));
            operations.extend(undo.operations);
        }
        let entries: Vec<_> = operations.iter().map(|op| self.entry(op)).collect();
        let ids = entries.iter().map(|(_, entry)| entry.id);
        let operations: Vec<_> = ids.zip(operations).collect();
        let waiting = mem::replace(&mut self.pool, Mempool::new(self.settings.limits, 0));
        self.pool = waiting.moved(entries, &self.state);
        let reopened = Reopened {
            batches: self.head.sealed - head.sealed,
            returned: operations.len(),
            l1_ops: self.head.queue - head.queue,
        };
        self.store.reopen(&ReopenWrites {
            batches: from..=self.head.sealed,
            changes: Changes::of(&self.state, &touched),
            operations,
            returned,
            head,
        })?;
        self.head = head;
        self.queue_seen = None;
        self.oldest = self.timestamp_after(head.finalized)?;
        Ok(reopened)
    }

    /// Notes that L1 lost all finalized batches after `to` in a reorg, and says how many: they are
    /// proved batches again, which can be submitted again, or reopened as far as
    /// [`Settings::undo_window`](crate::Settings::undo_window) reaches.
    ///
    /// # Errors
    /// [`ReopenError`]; nothing changed.
    pub fn roll_back_finalized(&mut self, to: u64) -> Result<u64, ReopenError> {
        self.check_running()?;
        let finalized = self.head.finalized;
        if to > finalized {
            return Err(ReopenError::NotFinalized {
                number: to,
                finalized,
            });
        }
        let head = Head {
            finalized: to,
            ..self.head
        };
        let oldest = self.timestamp_after(to)?;
        let mut times = Vec::new();
        for number in to + 1..=finalized {
            let mut of_batch = self.store.times(number)?;
            of_batch.finalized = None;
            times.push((number, of_batch));
        }
        self.store
            .roll_back(&times, &head)
            .inspect_err(|_| self.stopped = true)?;
        self.head = head;
        self.oldest = oldest;
        Ok(finalized - to)
    }
}
