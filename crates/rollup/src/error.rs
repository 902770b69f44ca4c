//! Why a deployment was not opened, a step of a rollup not taken, or L1 and batcher not brought in line.
//!
//! Each variant says what was expected, what was found, and what to do. Errors of one file alone stay
//! with it ([`crate::clock`], [`crate::leave`], [`mod@crate::restore`], [`crate::settlement`]).

use std::io;
use std::path::PathBuf;

use batcher::{ApplyError, ReopenError};
use batcher::{SealError, StageError};
use files::{AnyClassified, FileError};
use l1::{Address, L1Error, SubmissionRight};
use ledger::time::{Span, Utc};
use ledger::words::WordsError;
use prover::key::KeyError;
use prover::proof::DecodeError;
use thiserror::Error;

use crate::clock::ClockError;
use crate::restore::RestoreError;
use crate::settlement::SettleError;
use crate::text::right_text;
use crate::wait::Wait;

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
        source: DecodeError,
    },
    /// A stored batch's words are not those of its shape.
    #[error("the words of batch {number}: {source}: restore the batcher from L1")]
    Words {
        /// Number of the batch.
        number: u64,
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

/// A folder cannot be made.
#[derive(Debug, Error)]
#[error("cannot make the folder {}; check that the place is writable and has space", folder.display())]
pub struct NoFolder {
    pub folder: PathBuf,
    pub source: io::Error,
}

/// Why a mirror is not connected with its contract.
#[derive(Debug, Error)]
pub enum LinkError {
    /// Another process uses what the connection needs.
    #[error(transparent)]
    InUse(AnyClassified),
    /// The chain, or what lies between it and this program.
    #[error(transparent)]
    Chain(AnyClassified),
}

/// Why a deployment was not opened, or does not do what is asked.
#[derive(Debug, Error)]
pub enum DeploymentError {
    /// There is none.
    #[error(
        "there is no deployment in {}; make one with `quire init`, or name its directory with --data-dir",
        data_dir.display()
    )]
    Missing {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A chain is named, and there is no mirror of a contract.
    #[error(
        "there is no mirror of a contract in {}; make it with `quire l1 connect CONTRACT`, or deploy one with `quire l1 deploy`",
        data_dir.display()
    )]
    NoMirror {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// L1 is there, the batcher's database is not.
    #[error(
        "there is no {}, the database of accounts and batches; make it from L1's data with `quire restore`",
        path.display()
    )]
    NoDatabase { path: PathBuf },
    /// L1 cannot be opened.
    #[error("cannot open the L1")]
    L1 { source: l1::OpenError },
    /// The batcher's database cannot be opened.
    #[error("cannot open the batcher")]
    Batcher { source: batcher::OpenError },
    /// The contract cannot be reached.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The deployment is a contract, and no chain is named.
    #[error(
        "this deployment is the contract {contract} on chain {chain_id}: name a node of the chain with --l1 http://HOST"
    )]
    NoChain { contract: Address, chain_id: u64 },
    /// The deployment has a native L1, and a chain is named.
    #[error(
        "the deployment in {} has a native L1, and --l1 names a node: leave it out, or choose another --data-dir",
        data_dir.display()
    )]
    Native {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A key of a seeded setup is registered, and such keys are not allowed.
    #[error(
        "this deployment verifies shape {shape} with an insecure key; for trials add --allow-dev-keys"
    )]
    InsecureKey {
        /// Name of the shape.
        shape: String,
        /// What the key says.
        source: KeyError,
    },
    /// Only the operator does this.
    #[error(
        "{} is a mirror of the deployment{since}, and only its operator accepts, seals, proves and submits: name the operator's --data-dir; in the operator's absence `quire run --take-over` continues the rollup",
        data_dir.display()
    )]
    Mirror {
        /// The data directory.
        data_dir: PathBuf,
        /// Since when, in words.
        since: &'static str,
    },
    /// L1 is frozen, and the data directory is a mirror.
    #[error(
        "L1 is frozen for good and takes no batch any more: leave with `quire exit plan ACCOUNT`, `quire exit execute PLAN` and `quire claim`"
    )]
    Frozen,
    /// Nobody submits from this data directory yet.
    #[error("this directory is not the operator's: submit with `quire run --take-over`")]
    NotTheOperators,
    /// Another Ethereum key than the operator's is named.
    #[error(
        "the Ethereum key is that of {caller}, the operator of this deployment is {operator}: name the operator's with --eth-key-file"
    )]
    OtherKey {
        /// Whose key it is.
        caller: Address,
        operator: Address,
    },
    /// The operator's wallet was not shown.
    #[error(
        "the operator's wallet is not in this data directory: name the operator's --data-dir, or take over with `quire run --take-over`"
    )]
    NoWallet,
    /// Whoever submits here may not now.
    #[error("{submitter} may not submit batches now; who may: {}", right_text(*right))]
    MayNotSubmit {
        /// Who submits.
        submitter: Address,
        /// Who may.
        right: SubmissionRight,
    },
    /// An account is not in the state of a mirror yet.
    #[error("account {account} waits in the L1 queue, until the operator's next batch is final")]
    NotFinal { account: u32 },
    /// An account's deposit is not executed yet.
    #[error(
        "the deposit of account {account} is in no batch yet: {}",
        wait.as_ref().map_or_else(String::new, ToString::to_string)
    )]
    NotExecuted {
        account: u32,
        /// What its deposit waits for.
        wait: Option<Wait>,
    },
    /// There is no such account.
    #[error("there is no account {account}")]
    NoAccount { account: u32 },
    /// A folder cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// The export of a batch that was reopened cannot be removed.
    #[error(transparent)]
    Export(#[from] FileError),
    /// The clock jumped, or cannot be read.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A call of L1 did not happen, or nobody knows whether it did.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// L1 and batcher cannot be brought in line.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// A step was not taken.
    #[error(transparent)]
    Step(#[from] RollupError),
    /// L1 refuses, or its file cannot be read.
    #[error(transparent)]
    Refused(#[from] L1Error),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
    /// The batcher's database cannot be read or written.
    #[error(transparent)]
    BatcherStore(#[from] batcher::StoreError),
}

impl DeploymentError {
    /// True if another process has a file open, so that it may be free later.
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::L1 { source } => source.is_in_use(),
            Self::Batcher { source } => source.is_in_use(),
            Self::Link(LinkError::InUse(_)) => true,
            _ => false,
        }
    }
}
