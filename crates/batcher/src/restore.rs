//! A database made from L1's data alone.
//!
//! Finalized batches are read one after the other and executed from what they published; the tree
//! is hashed once a group of batches, roots in between are those of the headers, which L1 proved.
//! Memory grows with the accounts, not with the batches. Invariant: a database comes into being
//! whole, with the root of the last batch, or not at all. Signatures are not on L1, so operations
//! are not known by their ids afterwards; nonces keep them from executing twice.

use std::ops::Range;
use std::path::Path;

use ledger::account::Account;
use ledger::replay::{BatchError, ReplayError, replay_many};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::Payout;
use ledger::words::{PublicWords, WordsError};
use thiserror::Error;

use crate::batch::SealedBatch;
use crate::batcher::Batcher;
use crate::create::NewStore;
use crate::error::OpenError;
use crate::rows::Head;
use crate::settings::Settings;
use crate::tables::{FinalizedWrites, NewOutcome};
use crate::undo::Undo;

/// Batches that are executed before the tree is hashed.
const GROUP: usize = 256;

/// A finalized batch as L1 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredBatch {
    /// What was published.
    pub words: PublicWords,
    /// Its shape.
    pub shape: Shape,
    /// Numbers of the L1 queue's entries that it consumed.
    pub queue: Range<u64>,
    /// Its proof.
    pub proof: Vec<u8>,
    /// When L1 accepted it, in seconds since 1970.
    pub time: u64,
}

/// Why nothing was restored; `E` is the source's error.
#[derive(Debug, Error)]
pub enum RestoreError<E> {
    /// The batches could not be read.
    #[error("{0}")]
    Source(E),
    /// The database could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The batches are not one history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Why batches of L1 do not continue a history.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// A batch does not follow the one before it.
    #[error(
        "batch {number}: {field} is {got}, expected {expected}: this is not the history of the deployment"
    )]
    Order {
        /// The number that the batch should have.
        number: u64,
        /// What differs.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A batch's data are not those of its shape.
    #[error("batch {number}: {source}")]
    Words { number: u64, source: WordsError },
    /// A batch's data do not lead to its root.
    #[error("batch {number}: {source}")]
    Replay {
        /// The first such batch.
        number: u64,
        source: Box<ReplayError>,
    },
}

impl Batcher {
    /// Makes a database in an existing folder from the accounts that exist from the beginning and
    /// all finalized batches, in order from batch 1. It has their records and proofs, the accounts
    /// after the last one, its queue position and timestamp; nothing waits. It is the operator's
    /// until [`Self::set_role`] makes it a mirror. `on_batch` sees each batch once it was executed.
    ///
    /// # Errors
    /// [`RestoreError`]; no database is left behind.
    pub fn restore<E>(
        folder: &Path,
        settings: Settings,
        genesis: impl IntoIterator<Item = (u32, Account)>,
        batches: impl IntoIterator<Item = Result<RestoredBatch, E>>,
        mut on_batch: impl FnMut(&SealedBatch),
    ) -> Result<Self, RestoreError<E>> {
        let depth = settings.depth().map_err(OpenError::from)?;
        let new = NewStore::begin(folder)?;
        let mut state = State::new(depth);
        let inserted = state.insert_genesis(genesis);
        inserted.map_err(OpenError::from)?;
        let head = Head {
            root: state.root(),
            sealed: 0,
            finalized: 0,
            timestamp: 0,
            queue: 0,
        };
        let mut run = Run {
            settings: &settings,
            head,
            executed: head,
            state,
            group: Vec::with_capacity(GROUP),
        };
        for batch in batches {
            run.take(batch.map_err(RestoreError::Source)?)?;
            if run.group.len() == GROUP {
                run.execute(&new, &mut on_batch)?;
            }
        }
        run.execute(&new, &mut on_batch)?;
        let Run { state, head, .. } = run;
        let store = new.finish(&settings.identity(depth), &state, &head)?;
        Ok(Self::assemble(settings, state, store, head))
    }
}

/// A restoration under way.
struct Run<'a> {
    settings: &'a Settings,
    /// Accounts after the last group.
    state: State,
    /// After the last group.
    executed: Head,
    /// After the last batch taken.
    head: Head,
    /// Batches taken and not executed.
    group: Vec<RestoredBatch>,
}

impl Run<'_> {
    /// Takes the next batch if it follows.
    fn take(&mut self, batch: RestoredBatch) -> Result<(), HistoryError> {
        self.head = batch.follows(&self.head, self.settings)?;
        self.group.push(batch);
        Ok(())
    }

    /// Executes the batches taken and adds them to the database.
    fn execute<E>(
        &mut self,
        new: &NewStore,
        on_batch: &mut impl FnMut(&SealedBatch),
    ) -> Result<(), RestoreError<E>> {
        let group = std::mem::take(&mut self.group);
        let list: Vec<(&PublicWords, &Shape)> = group
            .iter()
            .map(|batch| (&batch.words, &batch.shape))
            .collect();
        let before = self.executed;
        let replayed = replay_many(&list, &mut self.state)
            .map_err(|error| HistoryError::replay(before.sealed, error))?;
        for (batch, of_batch) in group.into_iter().zip(replayed) {
            let undo = Undo {
                timestamp: self.executed.timestamp,
                accounts: of_batch.before,
                operations: Vec::new(),
            };
            self.executed = batch.head_after();
            let writes = batch.writes(of_batch.payouts, undo, Vec::new())?;
            new.add_finalized(&writes, self.settings.undo_window)?;
            on_batch(&writes.batch);
        }
        Ok(())
    }
}

impl HistoryError {
    /// Of batches that were replayed after batch `last`.
    pub(crate) fn replay(last: u64, error: BatchError) -> Self {
        let position = u64::try_from(error.position).unwrap_or(u64::MAX);
        let number = last.saturating_add(position).saturating_add(1);
        let source = error.source;
        Self::Replay { number, source }
    }
}

impl RestoredBatch {
    /// Where a batcher stands after it, if it follows on where one stands.
    pub(crate) fn follows(&self, head: &Head, settings: &Settings) -> Result<Head, HistoryError> {
        let number = head.sealed + 1;
        let expect = |field, expected: &dyn ToString, got: &dyn ToString| {
            let (expected, got) = (expected.to_string(), got.to_string());
            if expected == got {
                return Ok(());
            }
            Err(HistoryError::Order {
                number,
                field,
                expected,
                got,
            })
        };
        let (header, queue) = (&self.words.header, &self.queue);
        let count = u64::try_from(self.words.l1_ops.len()).unwrap_or(u64::MAX);
        let end = head.queue.saturating_add(count);
        expect("its number", &number, &header.batch_number)?;
        expect("its domain", &settings.domain, &header.domain)?;
        expect("its old root", &head.root, &header.old_root)?;
        expect("the start of its queue entries", &head.queue, &queue.start)?;
        expect("the end of its queue entries", &end, &queue.end)?;
        let timestamp = header.timestamp.max(head.timestamp);
        expect("its timestamp", &timestamp, &header.timestamp)?;
        let listed = settings.shapes.contains(&self.shape);
        expect("whether its shape is listed", &true, &listed)?;
        Ok(self.head_after())
    }

    /// Where a batcher stands once the batch is finalized and is its last.
    fn head_after(&self) -> Head {
        let header = &self.words.header;
        Head {
            root: header.new_root,
            sealed: header.batch_number,
            finalized: header.batch_number,
            timestamp: header.timestamp,
            queue: self.queue.end,
        }
    }

    /// What is written of it. `payouts`, `undo` and `outcomes` are what its execution came to.
    pub(crate) fn writes(
        self,
        payouts: Vec<Payout>,
        undo: Undo,
        outcomes: Vec<NewOutcome>,
    ) -> Result<FinalizedWrites, HistoryError> {
        let Self {
            words,
            shape,
            queue,
            proof,
            time,
        } = self;
        let number = words.header.batch_number;
        let batch = SealedBatch::from_words(shape, words, queue, payouts)
            .map_err(|source| HistoryError::Words { number, source })?;
        Ok(FinalizedWrites {
            batch,
            proof,
            time,
            undo,
            outcomes,
        })
    }
}
