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
use ledger::replay::{ReplayError, replay_many};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::Payout;
use ledger::words::{PublicWords, WordsError};
use thiserror::Error;

use crate::batch::SealedBatch;
use crate::batcher::{Batcher, Settings};
use crate::store::{Head, NewStore, OpenError, Place};

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
    Words {
        /// Its number.
        number: u64,
        /// What is wrong.
        source: WordsError,
    },
    /// A batch's data do not lead to its root.
    #[error("batch {number}: {source}")]
    Replay {
        /// The first such batch.
        number: u64,
        /// Why.
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
        let new = NewStore::begin(Place::Folder(folder))?;
        let mut state = State::new(depth);
        let inserted = state.insert_genesis(genesis);
        inserted.map_err(OpenError::from)?;
        let mut run = Run {
            settings: &settings,
            head: Head {
                root: state.root(),
                sealed: 0,
                finalized: 0,
                timestamp: 0,
                queue: 0,
            },
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
    /// After the last batch taken.
    head: Head,
    /// Batches taken and not executed.
    group: Vec<RestoredBatch>,
}

impl Run<'_> {
    /// Takes the next batch if it follows.
    fn take<E>(&mut self, batch: RestoredBatch) -> Result<(), RestoreError<E>> {
        let number = self.head.sealed + 1;
        let expect = |field, expected: &dyn ToString, got: &dyn ToString| {
            let (expected, got) = (expected.to_string(), got.to_string());
            if expected == got {
                return Ok(());
            }
            Err(RestoreError::Order {
                number,
                field,
                expected,
                got,
            })
        };
        let (header, shape, queue) = (&batch.words.header, &batch.shape, &batch.queue);
        let end = u64::try_from(batch.words.l1_ops.len()).unwrap_or(u64::MAX);
        let end = self.head.queue.saturating_add(end);
        expect("its number", &number, &header.batch_number)?;
        expect("its domain", &self.settings.domain, &header.domain)?;
        expect("its old root", &self.head.root, &header.old_root)?;
        expect(
            "the start of its queue entries",
            &self.head.queue,
            &queue.start,
        )?;
        expect("the end of its queue entries", &end, &queue.end)?;
        let timestamp = header.timestamp.max(self.head.timestamp);
        expect("its timestamp", &timestamp, &header.timestamp)?;
        let listed = self.settings.shapes.contains(shape);
        expect("whether its shape is listed", &true, &listed)?;
        self.head = Head {
            root: header.new_root,
            sealed: number,
            finalized: number,
            timestamp,
            queue: end,
        };
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
        let numbers = self.head.sealed + 1 - u64::try_from(group.len()).unwrap_or(u64::MAX)..;
        let list: Vec<(&PublicWords, &Shape)> = group
            .iter()
            .map(|batch| (&batch.words, &batch.shape))
            .collect();
        let payouts = replay_many(&list, &mut self.state).map_err(|error| {
            let number = numbers.clone().nth(error.position).unwrap_or_default();
            let source = error.source;
            RestoreError::Replay { number, source }
        })?;
        for ((number, batch), payouts) in numbers.zip(group).zip(payouts) {
            let (proof, time) = (batch.proof.clone(), batch.time);
            let sealed = sealed(batch, payouts);
            let sealed = sealed.map_err(|source| RestoreError::Words { number, source })?;
            new.add_finalized(&sealed, &proof, time)?;
            on_batch(&sealed);
        }
        Ok(())
    }
}

fn sealed(batch: RestoredBatch, payouts: Vec<Payout>) -> Result<SealedBatch, WordsError> {
    let RestoredBatch {
        words,
        shape,
        queue,
        ..
    } = batch;
    SealedBatch::from_words(shape, words, queue, payouts)
}
