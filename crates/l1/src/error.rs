//! Why L1 does not do what it is asked.
//!
//! [`Refusal`]: the call breaks a rule; nothing changed, and the contract gives the same verdict.
//! [`StoreError`] and [`OpenError`]: the file or the machine is at fault. The two are never mixed.

use std::path::PathBuf;

use ledger::babyjubjub::KeyError as PointFault;
use ledger::time::{Span, Utc};
use ledger::tree::ProofError;
use ledger::words::WordsError;
use prover::key::KeyError;
use prover::proof::DecodeError;
use prover::verify::VerifyError;
use storage::{BeginError, CodecError};
use thiserror::Error;

use crate::bytes::Address;
use crate::genesis::GenesisError;

/// Why a call did not happen.
#[derive(Debug, Error)]
pub enum L1Error {
    /// The call breaks a rule of L1.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The chain's file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rule that a call breaks. The state is as before.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The fee sent is not the deployment's fee for an L1 operation.
    #[error("an L1 operation costs a fee of exactly {expected} wei, got {got} wei")]
    WrongFee {
        /// The deployment's fee.
        expected: u128,
        got: u128,
    },
    /// There is no such token.
    #[error("token {token} does not exist, ids go from 0 to below {tokens}")]
    UnknownToken { token: u32, tokens: usize },
    /// The tokens of a native L1 are those of its genesis.
    #[error(
        "the tokens of a native L1 are those of its genesis: make a deployment that lists {token}"
    )]
    TokensFixed { token: Address },
    /// The token has an id.
    #[error("{address} is token {token} already")]
    TokenKnown { token: usize, address: Address },
    /// The account key of a deposit fails a check.
    #[error("the account key is refused: {0}")]
    BadKey(#[from] PointFault),
    /// Every index is assigned.
    #[error("the tree is full: all {leaves} indices but 0 are assigned")]
    TreeFull {
        /// `4^depth`.
        leaves: u64,
    },
    /// A top-up of nothing.
    #[error("a top-up must be more than 0")]
    ZeroTopUp,
    /// No account was ever assigned this index.
    #[error("account {index} is not registered")]
    Unregistered { index: u32 },
    /// Somebody else's account.
    #[error("account {index} belongs to {owner}, the caller is {caller}")]
    NotOwner {
        index: u32,
        owner: Address,
        caller: Address,
    },
    /// The account's exit is in the queue already.
    #[error("account {index} has a pending exit, queue entry {entry}")]
    ExitPending {
        index: u32,
        /// Number of the queue entry.
        entry: u64,
    },
    /// As many deposits and top-ups wait as may.
    #[error("{pending} deposits and top-ups wait for a batch, at most {cap} may; try again later")]
    TooManyPending {
        pending: u64,
        /// The deployment's limit.
        cap: u64,
    },
    /// The escrow of a token would reach 2^128.
    #[error("the escrow of token {token} is {escrow} units, {amount} more would reach 2^128")]
    EscrowFull {
        token: u32,
        escrow: u128,
        amount: u128,
    },
    /// The fees kept for the operator would reach 2^128.
    #[error("the operator's fees are {fees} wei, {amount} more would reach 2^128")]
    FeesFull { fees: u128, amount: u128 },
    /// Batches are not open to anybody.
    #[error(
        "only the operator {operator} may submit batches now, the caller is {caller}; {}",
        opens(*opens_at)
    )]
    NotOpen {
        operator: Address,
        caller: Address,
        /// The first second from which anybody may, if no batch comes before; none if nothing waits.
        opens_at: Option<u64>,
    },
    /// The operator has returned and is alone for an hour.
    #[error(
        "the operator {operator} has returned and alone may submit batches until {}; try again afterwards", Utc(*.until)
    )]
    OperatorsHour {
        operator: Address,
        /// The last second of its hour.
        until: u64,
    },
    /// The operator returns although it alone may submit batches.
    #[error(
        "only the operator may submit batches now, so there is nothing to return to: submit batches; {}",
        opens(*opens_at)
    )]
    NothingToReturnTo {
        /// The first second from which anybody may submit; none if nothing waits.
        opens_at: Option<u64>,
    },
    /// The operator has returned not long ago.
    #[error(
        "the operator returned at {} and may return again from {} on; until then it may submit as anybody may", Utc(*.last), Utc(*.again)
    )]
    ReturnTooSoon {
        /// When it returned last.
        last: u64,
        /// From when on it may again.
        again: u64,
    },
    /// The operator offers the operator role to itself.
    #[error("{operator} is the operator already: offer the operator role to another address")]
    OfferedToItself { operator: Address },
    /// The operator role was not offered to the caller.
    #[error(
        "the operator role is offered to {}, the caller is {caller}; the operator has to offer it first",
        offered.map_or_else(|| "nobody".to_owned(), |offered| offered.to_string())
    )]
    NotOffered {
        /// Whom it is offered.
        offered: Option<Address>,
        caller: Address,
    },
    /// Only the operator may make this call.
    #[error("only the operator {operator} may do this, the caller is {caller}")]
    NotOperator { operator: Address, caller: Address },
    /// The caller has nothing to claim.
    #[error("{owner} has nothing to claim of token {token}")]
    NothingToClaim {
        /// Who called.
        owner: Address,
        token: u32,
    },
    /// The deployment does not list the shape.
    #[error("shape {shape_id} is not one of this deployment")]
    UnknownShape { shape_id: u16 },
    /// The shape has its key.
    #[error("shape {shape_id} has its verifying key {id}, which nothing changes")]
    KeyRegistered { shape_id: u16, id: String },
    /// The shape has no key yet.
    #[error("shape {shape_id} has no verifying key yet; the operator registers it once")]
    NoKey { shape_id: u16 },
    /// The key is for another circuit, degenerate, or from a development setup.
    #[error(transparent)]
    Key(#[from] Box<KeyError>),
    /// The key takes another number of public inputs than `c`, `z`, `y`.
    #[error("a batch has {expected} public inputs, the key takes {got}")]
    KeyInputs {
        /// Public inputs of a batch.
        expected: usize,
        /// Public inputs of the key.
        got: usize,
    },
    /// A submission of nothing.
    #[error("there is no batch in the submission")]
    NoBatch,
    /// Batches verified together have one key.
    #[error("batch {position} has shape {got}, the first has {expected}: submit them separately")]
    MixedShapes {
        /// Position in the submission, from 0.
        position: usize,
        expected: u16,
        got: u16,
    },
    /// A batch is not the next one, or its data are not well-formed.
    #[error("batch {position} of the submission: {fault}")]
    Batch {
        /// Position in the submission, from 0.
        position: usize,
        /// What is wrong with it.
        fault: BatchFault,
    },
    /// The proofs do not hold for the published data.
    #[error(transparent)]
    Proof(#[from] VerifyError),
    /// The chain is frozen: only exits, cancelled deposits, claims and the operator's fees are left.
    #[error("L1 is frozen; exit with a Merkle proof, cancel waiting deposits and claim")]
    Frozen,
    /// Exits by Merkle proof and cancelled deposits need a frozen chain.
    #[error("L1 is not frozen; ask for an exit through the queue instead")]
    NotFrozen,
    /// Nothing waits, so nobody is kept waiting.
    #[error("no queue entry waits for a batch, so L1 cannot be frozen")]
    QueueEmpty,
    /// The oldest queue entry has not waited long enough.
    #[error(
        "queue entry {entry} has waited {}; L1 can be frozen once it waited more than {}", Span(*.waited), Span(*.freeze_after)
    )]
    NotOverdue {
        /// Number of the oldest queue entry.
        entry: u64,
        /// Seconds of L1's time that it has waited.
        waited: u64,
        /// The deployment's limit in seconds.
        freeze_after: u64,
    },
    /// The leaf is not in the tree at that index under the last root, or the path has another
    /// length.
    #[error("the exit does not match the last finalized root: {0}; make it again from L1's data")]
    NotInTree(#[from] ProofError),
    /// The account has another token than it was registered with.
    #[error("account {index} is registered with token {expected}, the exit says {got}")]
    OtherToken { index: u32, expected: u32, got: u32 },
    /// A nonce that no account can have.
    #[error("a nonce is below {limit}, the exit says {got}")]
    NonceOutOfRange {
        /// The first number that is not a nonce.
        limit: u64,
        got: u64,
    },
    /// The account has left.
    #[error("account {index} has exited already, with {amount} units")]
    AlreadyExited {
        index: u32,
        /// What its owner was credited.
        amount: u128,
    },
    /// The exit exceeds what the accounts can have.
    #[error("the exit pays {amount} units of token {token}, all accounts together have {balances}")]
    ExitTooLarge {
        token: u32,
        /// Escrow that is neither claimable nor pending.
        balances: u128,
        amount: u128,
    },
    /// The entry was consumed, or does not exist.
    #[error("queue entry {number} does not wait; those from {head} to below {tail} do")]
    NotWaiting {
        number: u64,
        /// The oldest entry that waits.
        head: u64,
        /// Number of the next entry.
        tail: u64,
    },
    /// The entry brought no money.
    #[error("queue entry {number} is an exit request; only deposits and top-ups can be cancelled")]
    NotADeposit { number: u64 },
    /// The deposit was paid back.
    #[error("queue entry {number} is cancelled already")]
    AlreadyCancelled { number: u64 },
    /// More blocks than the journal has.
    #[error("a reorg of {blocks} blocks is deeper than the {window} that can be undone")]
    ReorgTooDeep {
        blocks: u64,
        /// Blocks that can be undone.
        window: u64,
    },
    /// The height would reach 2^63.
    #[error("{blocks} blocks more than {height} would reach 2^63: mine fewer")]
    TooManyBlocks { height: u64, blocks: u64 },
    /// The system's clock is beyond every timestamp.
    #[error(
        "a block now would have the time {}, timestamps end before {}: set the system's clock", Utc(*.time), Utc(*.limit)
    )]
    TimeTooFar {
        time: u64,
        /// The first number that is not a timestamp.
        limit: u64,
    },
    /// The clock would leave the range of a batch's timestamp.
    #[error(
        "the clock is {} ahead, and {} more would reach the limit of {limit} s", Span(*.offset), Span(*.seconds)
    )]
    ClockTooFar {
        /// Seconds that it is ahead.
        offset: u64,
        seconds: u64,
        /// Seconds that it is never ahead.
        limit: u64,
    },
}

/// When batches open to anybody, in words.
fn opens(at: Option<u64>) -> String {
    match at {
        Some(at) => format!(
            "anybody may from {} on, if the oldest queue entry still waits then",
            Utc(at)
        ),
        None => {
            "anybody may once a queue entry has waited too long, and no entry waits now".to_owned()
        }
    }
}

/// What is wrong with a batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchFault {
    /// The published data are not those of a batch of the shape.
    #[error("published data: {0}")]
    Data(#[from] WordsError),
    /// `c` is not below the order of the scalar field.
    #[error("the commitment c is not below the order of the scalar field")]
    CommitmentNotCanonical,
    /// The bytes are not a proof.
    #[error(transparent)]
    Proof(#[from] DecodeError),
    /// The batch was made for another deployment.
    #[error("the batch is for domain {got}, this deployment is {expected}")]
    Domain {
        /// This deployment, in hexadecimal.
        expected: String,
        got: String,
    },
    /// Another batch is next.
    #[error("the next batch is number {expected}, got {got}")]
    Number { expected: u64, got: u64 },
    /// The batch starts from another root than the current one.
    #[error("the current root is {expected}, the batch starts from {got}")]
    OldRoot {
        /// The current root, in hexadecimal.
        expected: String,
        got: String,
    },
    /// The timestamp is before the last batch's, too old, or in the future.
    #[error("the timestamp must be {} to {}, got {}", Utc(*.earliest), Utc(*.latest), Utc(*.got))]
    Timestamp {
        earliest: u64,
        /// The latest: now.
        latest: u64,
        got: u64,
    },
    /// A batch of somebody else than the operator is older than the moment from which anybody may submit.
    #[error(
        "at its timestamp, {}, only the operator might submit: the oldest queue entry was not overdue; seal the batch again", Utc(*.timestamp)
    )]
    NotOpen { timestamp: u64 },
    /// A batch of somebody else than the operator leaves an overdue entry for which it had a slot.
    #[error(
        "the batch leaves queue entry {entry} behind, which is overdue, and uses {used} of its {slots} L1 slots: while entries are overdue, a batch by anybody but the operator has to fill all L1 slots of its shape, and the shape has to have some"
    )]
    OverdueLeftBehind {
        entry: u64,
        /// L1 slots of the shape.
        slots: usize,
        /// Those that the batch uses.
        used: usize,
    },
    /// The batch has more queue entries than wait.
    #[error("the batch has {got} queue entries, {pending} wait")]
    QueueTooShort { pending: u64, got: usize },
    /// An L1 slot says something else than the queue.
    #[error("L1 slot {slot} is not queue entry {entry}")]
    NotTheQueueEntry {
        slot: usize,
        /// Number of the entry that comes next.
        entry: u64,
    },
    /// A withdrawal of more than any balance.
    #[error("withdrawal slot {slot} pays out 2^128 or more")]
    WithdrawalTooLarge { slot: usize },
    /// A withdrawal from an index that no account has.
    #[error("withdrawal slot {slot}: account {index} is not registered")]
    WithdrawalUnregistered { slot: usize, index: u32 },
    /// The payouts of a token exceed what the accounts can have.
    #[error(
        "the batch pays out {amount} units of token {token}, all accounts together have {balances}"
    )]
    PaysTooMuch {
        token: u32,
        /// Escrow that is neither claimable nor pending.
        balances: u128,
        /// The payout that exceeds it.
        amount: u128,
    },
    /// The proof does not hold for the published data.
    #[error(transparent)]
    NotProven(#[from] VerifyError),
}

/// Why a batch was not checked or applied, before its position is known.
#[derive(Debug)]
pub(crate) enum BatchError {
    Fault(BatchFault),
    Store(StoreError),
}

impl BatchError {
    pub(crate) fn at(self, position: usize) -> L1Error {
        match self {
            Self::Fault(fault) => Refusal::Batch { position, fault }.into(),
            Self::Store(error) => error.into(),
        }
    }
}

impl<E: Into<BatchFault>> From<E> for BatchError {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<StoreError> for BatchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why the chain's file cannot be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the L1 database failed: {0}; check free space and permissions, then try again")]
    Database(#[source] Box<redb::Error>),
    /// The database was opened for reading.
    #[error("the L1 database was opened for reading only")]
    ReadOnly,
    /// A record is not one that this program writes.
    #[error("the L1 database is damaged: {0}; restore it from a backup")]
    Record(#[from] CodecError),
    /// A record that must be there is not.
    #[error("the L1 database is damaged: {what} is missing; restore it from a backup")]
    Missing { what: String },
    /// Two records contradict each other.
    #[error(
        "the L1 database is damaged: {what} should be {expected} and is {got}; restore it from a backup"
    )]
    Inconsistent {
        what: String,
        /// What other records say.
        expected: String,
        /// What the record says.
        got: String,
    },
    /// A stored verifying key does not decode.
    #[error(
        "the L1 database is damaged: verifying key of shape {shape_id}: {source}; restore it from a backup"
    )]
    Key {
        shape_id: u16,
        source: Box<KeyError>,
    },
    /// A finalized batch does not decode.
    #[error("the L1 database is damaged: batch {number}: {source}; restore it from a backup")]
    Batch { number: u64, source: BatchFault },
}

/// Why a chain cannot be made or opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is none, or one already, or it is in use, something else, or damaged.
    #[error(transparent)]
    Database(#[from] storage::OpenError),
    /// The genesis breaks a rule.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Store { path: PathBuf, source: StoreError },
}

impl OpenError {
    /// True if another process has the file open for writing.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Database(storage::OpenError::InUse { .. }))
    }
}

impl From<BeginError> for StoreError {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::ReadOnly => Self::ReadOnly,
            BeginError::Database(error) => error.into(),
        }
    }
}

impl From<BeginError> for L1Error {
    fn from(error: BeginError) -> Self {
        Self::Store(error.into())
    }
}

macro_rules! database_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
        impl From<$error> for L1Error {
            fn from(error: $error) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}

database_errors!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

impl From<ProofError> for L1Error {
    fn from(error: ProofError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<CodecError> for L1Error {
    fn from(error: CodecError) -> Self {
        Self::Store(error.into())
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::Key(Box::new(error))
    }
}
