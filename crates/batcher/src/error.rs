//! Why the batcher or its database fails.

use std::path::PathBuf;

use ledger::reject::L1Violation;
use ledger::shape::ShapeError;
use ledger::time::Span;
use ledger::transition::{BeginError, FinishError, StateMoved};
use storage::CodecError;
use thiserror::Error;

/// Why settings contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// There is no shape.
    #[error("a deployment has at least one shape, got none")]
    NoShape,
    /// A shape is not one.
    #[error("shape {id}: {source}")]
    Shape { id: u16, source: ShapeError },
    /// Two shapes differ in depth.
    #[error("all shapes have one depth: expected {expected}, shape {id} has {got}")]
    Depth {
        /// The second shape's number.
        id: u16,
        /// Depth of the first shape.
        expected: u8,
        /// Depth of this one.
        got: u8,
    },
    /// Two shapes have one number.
    #[error("shape {id} is listed twice")]
    ShapeTwice { id: u16 },
}

/// Why a database cannot be made or opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is none, or one already, or it is in use, something else, or damaged.
    #[error(transparent)]
    Database(#[from] storage::OpenError),
    /// The file is of another deployment.
    #[error("{}: {what} is {found}, this deployment has {expected}: use the data directory of this deployment", path.display())]
    OtherDeployment {
        path: PathBuf,
        /// Domain, genesis or depth.
        what: &'static str,
        /// This deployment's, in hex.
        expected: String,
        /// The file's, in hex.
        found: String,
    },
    /// The accounts at the beginning do not make a state.
    #[error(transparent)]
    Genesis(#[from] ledger::state::GenesisError),
    /// The settings contradict themselves.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl OpenError {
    /// True if another process has the file open for writing.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Database(storage::OpenError::InUse { .. }))
    }
}

/// Why an open database failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database could not read or write.
    #[error("{}: {source}: nothing that was acknowledged is lost; check the disk and start again", path.display())]
    Database {
        path: PathBuf,
        source: Box<redb::Error>,
    },
    /// A record is not what was written.
    #[error("{}: {table} {key}: {source}: restore from a copy or from L1", path.display())]
    Record {
        path: PathBuf,
        /// Name of the table.
        table: &'static str,
        /// Key of the record.
        key: String,
        source: CodecError,
    },
    /// The database was opened for reading.
    #[error("{}: opened for reading only", path.display())]
    ReadOnly { path: PathBuf },
    /// An earlier write failed, so memory and disk may differ.
    #[error("{}: an earlier write failed: start again, nothing that was acknowledged is lost", path.display())]
    Stopped { path: PathBuf },
}

/// Why operations cannot be made into a batch. None of them is an operation's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The entries given do not continue where the last batch stopped.
    #[error("the L1 queue was given from entry {got}, the next to be consumed is {expected}")]
    QueueGap {
        /// The next entry to be consumed.
        expected: u64,
        /// The entry given in its place.
        got: u64,
    },
    /// The L1 queue holds something that L1 never accepts.
    #[error("entry {number} of the L1 queue: {source}")]
    Queue {
        /// Place in the queue.
        number: u64,
        source: L1Violation,
    },
    /// Batch number or time do not fit, or the shape is not one.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The batch could not be finished.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// The state is not the one that the batch began on.
    #[error(transparent)]
    State(#[from] StateMoved),
}

/// Why no batch was sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// The oldest batch that is not finalized is so old that L1 may soon refuse it.
    #[error(
        "sealing pauses: batch {batch} is {} old and not finalized, the limit is {} (3/4 of the {} \
         after which L1 refuses it): finalize it, or reopen it and those after it",
        Span(*.age), Span(*.limit), Span(*.slack)
    )]
    Paused {
        /// The oldest batch that is not finalized.
        batch: u64,
        /// Seconds since its timestamp.
        age: u64,
        /// Seconds until which sealing goes on.
        limit: u64,
        /// L1's Δ in seconds.
        slack: u64,
    },
    /// The database is not the operator's.
    #[error("this database is a mirror and seals no batches: use the operator's")]
    Mirror,
    /// No batch can be made of what is there.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a batch does not take its next step.
#[derive(Debug, Error)]
pub enum StageError {
    /// There is no such batch.
    #[error("batch {number} is not sealed: the last one is {sealed}")]
    NoBatch {
        /// The number asked for.
        number: u64,
        /// The last sealed batch.
        sealed: u64,
    },
    /// The batch is not the one that is stored under its number.
    #[error("batch {number} is not the one that was sealed under this number")]
    OtherBatch { number: u64 },
    /// Its witness was deleted when it was finalized.
    #[error("batch {number} is finalized, its witness is no longer kept")]
    NoWitness { number: u64 },
    /// Batches are finalized in order.
    #[error("batch {number} cannot be finalized now: the next is {expected}")]
    OutOfOrder {
        number: u64,
        /// The next batch.
        expected: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
