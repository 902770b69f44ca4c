//! Why a step of a rollup was not taken, or L1 and batcher cannot be brought in line.
//!
//! Each variant says what was expected, what was found, and what to do. Errors of one file alone stay
//! with it ([`crate::clock`], [`crate::leave`], [`mod@crate::restore`], [`crate::settlement`]).

use batcher::{ApplyError, ReopenError};
use batcher::{SealError, StageError};
use l1::L1Error;
use ledger::time::{Span, Utc};
use ledger::words::WordsError;
use prover::proof::DecodeError;
use thiserror::Error;

use crate::clock::ClockError;
use crate::restore::RestoreError;
use crate::settlement::SettleError;

/// Why a step was not taken.
#[derive(Debug, Error)]
pub enum RollupError {
    /// L1 refuses, or its file cannot be read or written.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
    /// A contract refuses, or its chain cannot be reached.
    #[error(transparent)]
    Settle(SettleError),
    /// The batcher's database cannot be opened.
    #[error(transparent)]
    Open(#[from] batcher::OpenError),
    /// No batch was sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A batch does not take its next step.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The state cannot be rebuilt from L1.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// L1 and batcher do not agree.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The clock jumped, so nothing is decided by it.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The next batch cannot be submitted yet.
    #[error(
        "batch {batch} has the timestamp {}, which is {} ahead of L1's time: submit it then",
        Utc(*.timestamp), Span(timestamp - time)
    )]
    Early {
        /// The batch.
        batch: u64,
        /// Its timestamp, seconds since 1970.
        timestamp: u64,
        /// L1's time.
        time: u64,
    },
    /// Batches are to be sealed again, and queue entries that they rest on are too young.
    #[error(
        "batches that were reopened rest on entries of the L1 queue up to {needed}, of which those \
         from {confirmed} on have less than {confirmations} blocks on top of them: wait for these, \
         or operations would be rejected for want of a deposit that L1 has"
    )]
    Unconfirmed {
        /// The entry after the last one that is needed.
        needed: u64,
        /// The first entry that is not confirmed.
        confirmed: u64,
        /// Blocks on top of an entry before it is executed.
        confirmations: u64,
    },
    /// Somebody who is not the operator is to seal, and an overdue queue entry is too young.
    #[error(
        "entry {entry} of the L1 queue is overdue and has less than {confirmations} blocks on top of it: \
         L1 takes no batch without it but the operator's; wait for these blocks"
    )]
    OverdueUnconfirmed {
        /// The entry.
        entry: u64,
        /// Blocks on top of an entry before it is executed.
        confirmations: u64,
    },
    /// A witness does not fit its shape.
    #[error(
        "the witness of batch {number} does not fit its shape: {reason}: restore the batcher from L1"
    )]
    Witness {
        /// Number of the batch.
        number: u64,
        /// What does not fit.
        reason: String,
    },
    /// A stored proof is not one.
    #[error("the stored proof of batch {number}: {source}: restore the batcher from L1")]
    Proof {
        /// Number of the batch.
        number: u64,
        /// What is wrong.
        source: DecodeError,
    },
    /// A stored batch's words are not those of its shape.
    #[error("the words of batch {number}: {source}: restore the batcher from L1")]
    Words {
        /// Number of the batch.
        number: u64,
        /// What is wrong.
        source: WordsError,
    },
}

impl From<SettleError> for RollupError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::L1(error) => Self::L1(error),
            other => Self::Settle(other),
        }
    }
}

/// Why L1 and batcher do not go together.
#[derive(Debug, Error)]
pub enum FollowError {
    /// L1's file cannot be read.
    #[error(transparent)]
    L1(#[from] l1::StoreError),
    /// A batch of the batcher cannot be read or moved.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A batch cannot be reopened.
    #[error(transparent)]
    Reopen(#[from] ReopenError),
    /// A contract's chain cannot be followed.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// A batch of L1 is not one of the deployment.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// L1 has another batch, and this database cannot undo its own.
    #[error(
        "L1 finalized another batch {number} than this database has, and {source}; keep the database, move it away and make another with `quire restore`: operations that only it knew (accepted and not final) have to be sent again"
    )]
    Diverged {
        /// The first batch that differs.
        number: u64,
        /// Why it cannot be undone.
        source: ReopenError,
    },
    /// L1's batches do not lead on from the accounts of this database.
    #[error(
        "the batches of L1 from {number} on do not follow from the accounts of this database: {source}: check it with `quire audit`, then move it away and make another with `quire restore`"
    )]
    Unexplained {
        /// The first batch that was to be executed.
        number: u64,
        /// What does not hold.
        source: ApplyError,
    },
}
