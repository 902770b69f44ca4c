//! Why batches did not go on their way: sealed, proven, submitted, final.

use std::path::PathBuf;

use batcher::StageError;
use files::FileError;
use l1::submission::FolderError;
use prover::prove::ProveError;
use prover::schedule::ScheduleError;
use thiserror::Error;

use crate::clock::ClockError;
use crate::error::{DeploymentError, NoFolder, RollupError};
use crate::keys::KeysError;
use crate::text::bytes;

/// Why work on batches ended before it was done. What was done before stays done.
#[derive(Debug, Error)]
pub enum WorkError {
    /// A batch was not proven.
    #[error("batch {batch} was not proven")]
    NotProven {
        /// Number of the batch.
        batch: u64,
        source: ProveError,
    },
    /// Not even one proof fits into the memory that was given.
    #[error("--memory is too small for shape {shape}, which needs {}", bytes(*needed))]
    Memory {
        /// Name of the shape.
        shape: String,
        /// Bytes that one proof needs.
        needed: u64,
        source: ScheduleError,
    },
    /// L1 did not take batches.
    #[error("L1 refused batch {batch} or a later one")]
    NotSubmitted {
        /// The first batch that was submitted.
        batch: u64,
        source: RollupError,
    },
    /// A batch folder would have no name.
    #[error("{} does not name a folder", path.display())]
    NoName {
        /// Where it should be.
        path: PathBuf,
    },
    /// A key is not there or not used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The deployment cannot be used, or whoever works here may not submit.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// A step was not taken.
    #[error(transparent)]
    Step(#[from] RollupError),
    /// A batch folder does not hold, or cannot be written.
    #[error(transparent)]
    BatchFolder(#[from] FolderError),
    /// A folder cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// A file or folder cannot be put in place.
    #[error(transparent)]
    File(#[from] FileError),
    /// The clock jumped, or cannot be read.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A batch does not take its next step.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
}
