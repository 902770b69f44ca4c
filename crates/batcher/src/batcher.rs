//! The batcher: mempool, sealing and durable state as one.
//!
//! Invariants: what is acknowledged is on disk; nothing executes twice; the accounts in memory and
//! on disk are those after the last sealed batch, whose root they have; batch `n` starts from the
//! root that batch `n − 1` left; batches are finalized in order. Time is given by the caller.
//! After a failed write every further call that writes is refused: opening the database again
//! continues from what is on disk. An operation is dropped as expired only when L1 has a final batch
//! whose timestamp is after its expiry: timestamps on L1 never go back, a machine's clock may.
//!
//! The witness of a batch is written when the batch is sealed and deleted when it is finalized, so
//! a proof can be made at any time between, whatever was sealed on top and across restarts.
//!
//! L1 refuses a batch whose timestamp is older than Δ. So that not more and more work is piled on
//! a batch that may be refused, nothing is sealed while the oldest batch that is not finalized is
//! older than three quarters of Δ; undoing batches is left to `reopen`.
//!
//! A database is the operator's, that of somebody who continues the rollup in the operator's absence, or a
//! [`Role::Mirror`]. A mirror acknowledges and seals nothing: nobody
//! else would see it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::path::Path;

use ledger::account::Account;
use ledger::field::Fr;
use ledger::operation::{Fields, Signable, Transfer, Withdraw};
use ledger::reject::Reject;
use ledger::replay::{ReplayError, replay};
use ledger::shape::{Shape, ShapeError};
use ledger::state::{CheckError, State};
use ledger::time::Span;
use ledger::witness::BatchWitness;
use rayon::prelude::*;
use thiserror::Error;

use crate::batch::{FinalizedBatch, ProvedBatch, SealedBatch, StoredBatch};
use crate::codec::CodecError;
use crate::mempool::{Entry, Limits, Mempool, Refusal, Room, Screened, Surroundings};
use crate::operation::{OperationId, SignedOperation};
use crate::proofs::Records;
use crate::seal::{BuildError, Demand, Due, Fill, OpenBatch, QueueEntry, context, unconsumed};
use crate::store::{
    BatchTimes, Changes, Head, Identity, NewBatch, NewOutcome, NewStore, OpenError, Outcome, Place,
    SealWrites, Settled, Store, StoreError, StoredOperation,
};
use crate::undo::{Returned, Undo};
use crate::witness_codec;

/// Batches that are written in one transaction when many are sealed in a row.
const SEAL_GROUP: usize = 16;

/// Signatures of stored operations that are checked at once before a batch is filled.
const VERIFY_AHEAD: usize = 1024;

/// What a deployment and its operator fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Number of the deployment, see [`ledger::operation::domain`].
    pub domain: Fr,
    /// Digest of the genesis: a database of another one is refused.
    pub genesis: [u8; 32],
    /// The shapes that L1 lists: at least one, of one depth, their ids distinct.
    pub shapes: Vec<Shape>,
    /// Token → account that takes its fees. A fee in another token is refused at intake.
    pub fee_accounts: BTreeMap<u32, u32>,
    /// How much waits at most.
    pub limits: Limits,
    /// Seconds after which a ready operation makes a batch due.
    pub max_age: u64,
    /// L1's Δ: seconds that a batch's timestamp may be behind L1's time when it is submitted.
    pub timestamp_slack: u64,
    /// Finalized batches that can still be undone after L1 lost them in a reorganization: as many
    /// as its longest one can lose.
    pub undo_window: u64,
}

/// Why settings contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// There is no shape.
    #[error("a deployment has at least one shape, got none")]
    NoShape,
    /// A shape is not one.
    #[error("shape {id}: {source}")]
    Shape {
        /// Its number.
        id: u16,
        /// What is wrong.
        source: ShapeError,
    },
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
    ShapeTwice {
        /// The number.
        id: u16,
    },
}

impl Settings {
    /// Levels of the account tree.
    pub(crate) fn depth(&self) -> Result<u8, SettingsError> {
        let mut ids = BTreeSet::new();
        let first = self.shapes.first().ok_or(SettingsError::NoShape)?;
        let expected = first.depth;
        for shape in &self.shapes {
            let (id, got) = (shape.id, shape.depth);
            shape
                .validate()
                .map_err(|source| SettingsError::Shape { id, source })?;
            if got != expected {
                return Err(SettingsError::Depth { id, expected, got });
            }
            if !ids.insert(id) {
                return Err(SettingsError::ShapeTwice { id });
            }
        }
        Ok(expected)
    }

    pub(crate) fn identity(&self, depth: u8) -> Identity {
        Identity {
            domain: self.domain,
            genesis: self.genesis,
            depth,
        }
    }

    /// Kinds of signed operations for which some shape has slots.
    fn kinds(&self) -> BTreeSet<u8> {
        let has = |slots: fn(&Shape) -> u16| self.shapes.iter().any(|shape| slots(shape) > 0);
        let transfers = has(|shape| shape.transfers).then_some(Transfer::KIND);
        let withdrawals = has(|shape| shape.withdrawals).then_some(Withdraw::KIND);
        transfers.into_iter().chain(withdrawals).collect()
    }
}

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator's: it acknowledges operations and seals batches.
    Operator,
    /// That of somebody who submits batches while L1 lets anybody: it acknowledges and seals as the
    /// operator's does.
    Taker,
    /// That of somebody who follows L1. What it acknowledged would reach nobody.
    Mirror,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It waits.
    Pending,
    /// It is part of a batch that is not finalized.
    Sealed {
        /// Number of the batch.
        batch: u64,
    },
    /// It was acknowledged and found invalid when it was to execute.
    Rejected {
        /// The rule that did not hold.
        reason: String,
    },
    /// It is part of a finalized batch.
    Finalized {
        /// Number of the batch.
        batch: u64,
    },
}

/// What became of an operation, and when, in seconds since 1970; `None` where it has not happened
/// or nobody here knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Where it stands.
    pub verdict: Verdict,
    /// The account that pays, if the operation is a withdrawal.
    pub withdrawn_from: Option<u32>,
    /// When it was acknowledged first.
    pub received: Option<u64>,
    /// When its batch was sealed.
    pub sealed: Option<u64>,
    /// When its batch was proven.
    pub proven: Option<u64>,
    /// When L1 accepted its batch.
    pub finalized: Option<u64>,
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
    OtherBatch {
        /// The number.
        number: u64,
    },
    /// Its witness was deleted when it was finalized.
    #[error("batch {number} is finalized, its witness is no longer kept")]
    NoWitness {
        /// The number.
        number: u64,
    },
    /// Batches are finalized in order.
    #[error("batch {number} cannot be finalized now: the next is {expected}")]
    OutOfOrder {
        /// The number given.
        number: u64,
        /// The next batch.
        expected: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the sealed batches do not follow from the first accounts.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The accounts are not a genesis.
    #[error(transparent)]
    Genesis(#[from] ledger::state::GenesisError),
    /// A batch's published bytes do not lead to its root.
    #[error("batch {number}: {source}")]
    Batch {
        /// Number of the batch.
        number: u64,
        /// Why.
        source: Box<ReplayError>,
    },
    /// The last root is not that of the accounts.
    #[error("the batches lead to root {expected}, the accounts have root {got}")]
    Root {
        /// Root after the last batch.
        expected: Fr,
        /// Root of the accounts.
        got: Fr,
    },
    /// A batch cannot be read.
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// What sealing everything came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealSummary {
    /// Batches sealed.
    pub batches: u64,
    /// L1 operations in them.
    pub l1_ops: usize,
    /// Transfers in them.
    pub transfers: usize,
    /// Withdrawals in them.
    pub withdrawals: usize,
    /// Operations dropped as invalid.
    pub dropped: usize,
    /// Operations that still wait.
    pub waiting: usize,
    /// Root after the last batch.
    pub state_root: Fr,
}

/// Where the batcher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Last sealed batch, 0 if there is none.
    pub sealed: u64,
    /// Last finalized batch, 0 if there is none.
    pub finalized: u64,
    /// Operations that wait.
    pub waiting: usize,
    /// Next entry of the L1 queue to be consumed.
    pub queue: u64,
    /// Root after the last sealed batch.
    pub state_root: Fr,
    /// Timestamp of the last sealed batch.
    pub timestamp: u64,
}

/// What one call of intake changes.
#[derive(Default)]
struct Taken {
    rows: Vec<StoredOperation>,
    replaced: Vec<NewOutcome>,
}

/// One batch, or only drops, on its way to disk.
#[derive(Default)]
struct Built {
    writes: SealWrites,
    dropped: usize,
}

impl Built {
    /// True if another batch may follow.
    fn is_something(&self) -> bool {
        self.writes.batch.is_some() || self.dropped > 0 || self.writes.returned.is_some()
    }
}

/// A batcher over its data directory.
pub struct Batcher {
    pub(crate) settings: Settings,
    kinds: BTreeSet<u8>,
    pub(crate) state: State,
    pub(crate) pool: Mempool,
    pub(crate) store: Store,
    pub(crate) head: Head,
    /// None in a database that was made before roles were kept.
    role: Option<Role>,
    /// Batches that were undone and are to be sealed again, with their keys in the database.
    pub(crate) returned: VecDeque<(u64, Returned)>,
    /// Timestamp of the oldest batch that is not finalized.
    pub(crate) oldest: Option<u64>,
    /// When entries of the L1 queue were first seen waiting.
    pub(crate) queue_seen: Option<u64>,
    pub(crate) stopped: bool,
}

impl Batcher {
    /// Makes the operator's database in an existing folder, with the accounts that exist from the
    /// beginning.
    ///
    /// # Errors
    /// [`OpenError`]; no database is left behind.
    pub fn create(
        folder: &Path,
        settings: Settings,
        genesis: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<Self, OpenError> {
        Self::create_at(Place::Folder(folder), settings, genesis)
    }

    /// Opens a database. Its pages are checked, accounts and the tree's lower nodes are read, the
    /// upper levels are hashed, and the root is the one that was stored.
    ///
    /// # Errors
    /// [`OpenError`], which says what, where and what to do.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, OpenError> {
        Self::open_at(Place::Folder(folder), settings)
    }

    /// [`Self::create`] on other storage, for tests with storage that fails.
    ///
    /// # Errors
    /// [`OpenError`].
    #[doc(hidden)]
    pub fn create_on(
        backend: impl redb::StorageBackend,
        settings: Settings,
        genesis: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<Self, OpenError> {
        Self::create_at(Place::storage(backend), settings, genesis)
    }

    /// [`Self::open`] on other storage, for tests with storage that fails.
    ///
    /// # Errors
    /// [`OpenError`].
    #[doc(hidden)]
    pub fn open_on(
        backend: impl redb::StorageBackend,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        Self::open_at(Place::storage(backend), settings)
    }

    fn create_at(
        place: Place<'_>,
        settings: Settings,
        genesis: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<Self, OpenError> {
        let depth = settings.depth()?;
        let new = NewStore::begin(place)?;
        let mut state = State::new(depth);
        state.insert_genesis(genesis)?;
        let head = Head {
            root: state.root(),
            sealed: 0,
            finalized: 0,
            timestamp: 0,
            queue: 0,
        };
        let store = new.finish(&settings.identity(depth), &state, &head)?;
        Ok(Self::assemble(settings, state, store, head))
    }

    /// Opens a database to read it as it is now, beside a process that may write it: nothing can be
    /// written, and no page is checked beyond those that are read.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_to_read(folder: &Path, settings: Settings) -> Result<Self, OpenError> {
        let depth = settings.depth()?;
        let store = Store::open_to_read(folder, &settings.identity(depth))?;
        Self::load(store, settings, depth)
    }

    /// Takes batches after `on_l1` for not finalized, in memory: L1 has lost them, and what was opened to
    /// be read cannot note that.
    pub fn finalized_at_most(&mut self, on_l1: u64) {
        self.head.finalized = self.head.finalized.min(on_l1);
    }

    fn open_at(place: Place<'_>, settings: Settings) -> Result<Self, OpenError> {
        let depth = settings.depth()?;
        let store = Store::open(place, &settings.identity(depth))?;
        Self::load(store, settings, depth)
    }

    fn load(store: Store, settings: Settings, depth: u8) -> Result<Self, OpenError> {
        let head = store.head()?;
        let state = store.state(depth)?;
        if state.root() != head.root {
            let detail = "the accounts do not have the root of the last batch";
            return Err(store.damaged(detail));
        }
        let mut batcher = Self::assemble(settings, state, store, head);
        batcher.role = batcher.store.role()?;
        batcher.returned = batcher.store.returned()?.into();
        batcher.load_pool()?;
        batcher.check_last_batch()?;
        let oldest = batcher.timestamp_after(head.finalized);
        batcher.oldest = oldest.map_err(|error| batcher.store.damaged(error))?;
        Ok(batcher)
    }

    /// A batcher for which nothing waits.
    pub(crate) fn assemble(settings: Settings, state: State, store: Store, head: Head) -> Self {
        Self {
            kinds: settings.kinds(),
            pool: Mempool::new(settings.limits, 0),
            settings,
            state,
            store,
            head,
            role: Some(Role::Operator),
            returned: VecDeque::new(),
            oldest: None,
            queue_seen: None,
            stopped: false,
        }
    }

    /// The operations that waited when the database was closed.
    fn load_pool(&mut self) -> Result<(), OpenError> {
        self.pool = Mempool::new(self.settings.limits, self.store.next_place()?);
        for stored in self.store.pending()? {
            let (place, entry) = self.entry(&stored);
            let (id, from) = (entry.id, entry.fields.from);
            let account = self.state.account(from);
            // Why: an account may be missing as long as batches wait to be sealed again.
            if account.is_none() && self.returned.is_empty() {
                let detail = format!("operation {id} is of account {from}, which does not exist");
                return Err(self.store.damaged(detail));
            }
            let next = account.map(|account| account.nonce);
            self.pool.insert_at(place, entry, next);
        }
        Ok(())
    }

    /// An operation as the mempool holds it, with its place.
    pub(crate) fn entry(&self, stored: &StoredOperation) -> (u64, Entry) {
        let id = stored.operation.id(&self.settings.domain);
        let entry = Entry::stored(id, stored.operation, stored.received);
        (stored.place, entry)
    }

    /// The last sealed batch is there and left the accounts' root.
    fn check_last_batch(&self) -> Result<(), OpenError> {
        if self.head.sealed == 0 {
            return Ok(());
        }
        let batch = self.batch(self.head.sealed);
        let batch = batch.map_err(|error| self.store.damaged(error))?;
        if batch.batch().new_root() != self.head.root {
            let detail = "the last batch did not leave the root of the accounts";
            return Err(self.store.damaged(detail));
        }
        Ok(())
    }

    /// Whose database it is; none in one that was made before this was kept.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Makes the database the operator's or a mirror.
    ///
    /// # Errors
    /// [`StoreError`]: it is what it was.
    pub fn set_role(&mut self, role: Role) -> Result<(), StoreError> {
        self.check_running()?;
        self.store
            .set_role(role)
            .inspect_err(|_| self.stopped = true)?;
        self.role = Some(role);
        Ok(())
    }

    /// Token → account that takes its fees from now on, in batches that are sealed later.
    pub fn set_fee_accounts(&mut self, fee_accounts: BTreeMap<u32, u32>) {
        self.settings.fee_accounts = fee_accounts;
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Accounts and tree after the last sealed batch.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The operations that wait.
    pub fn mempool(&self) -> &Mempool {
        &self.pool
    }

    /// Where the batcher stands.
    pub fn status(&self) -> Status {
        let Head {
            root,
            sealed,
            finalized,
            timestamp,
            queue,
        } = self.head;
        Status {
            sealed,
            finalized,
            waiting: self.pool.len(),
            queue,
            state_root: root,
            timestamp,
        }
    }

    /// The nonce that an account's next operation should have, those that wait counted; `None` if
    /// there is no such account.
    pub fn next_nonce(&self, index: u32) -> Option<u64> {
        let account = self.state.account(index)?;
        Some(self.pool.next_nonce(index, account.nonce))
    }

    /// The latest time that the database knows: the last batch's timestamp, or when the operation
    /// that arrived last was received.
    pub fn latest_time(&self) -> u64 {
        let received = self.pool.last_received();
        received.unwrap_or(0).max(self.head.timestamp)
    }

    /// For each token the sum of all balances.
    pub fn supply(&self) -> BTreeMap<u32, u128> {
        let mut supply = BTreeMap::new();
        for (_, account) in self.state.accounts() {
            let sum: &mut u128 = supply.entry(account.token).or_default();
            *sum = sum.saturating_add(account.balance);
        }
        supply
    }

    /// Takes signed operations, at `now` seconds since 1970. Signatures are checked in parallel,
    /// acknowledged operations are written in one transaction, and each operation has its own
    /// verdict: its id once it is durable, or why it was refused. An operation that waits or was
    /// executed already is acknowledged again and changes nothing; one that was rejected before is
    /// taken as new.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of this call is acknowledged.
    pub fn submit_many(
        &mut self,
        operations: &[SignedOperation],
        now: u64,
    ) -> Result<Vec<Result<OperationId, Refusal>>, StoreError> {
        self.check_running()?;
        if self.role == Some(Role::Mirror) {
            return Ok(vec![Err(Refusal::Mirror); operations.len()]);
        }
        let around = Surroundings {
            state: &self.state,
            domain: &self.settings.domain,
            fee_accounts: &self.settings.fee_accounts,
            kinds: &self.kinds,
            now,
        };
        let screened: Vec<Result<Screened, Refusal>> = operations
            .par_iter()
            .map(|operation| self.pool.screen(operation, &around))
            .collect();
        let mut taken = Taken::default();
        let mut verdicts = Vec::with_capacity(operations.len());
        for (operation, screened) in operations.iter().zip(screened) {
            let verdict = match screened {
                Ok(screened) => self.admit(operation, screened, now, &mut taken)?,
                Err(refusal) => Err(refusal),
            };
            verdicts.push(verdict);
        }
        let Taken { rows, replaced } = taken;
        if !rows.is_empty() {
            self.store
                .add_pending(&rows, &replaced, self.pool.next_place())
                .inspect_err(|_| self.stopped = true)?;
        }
        Ok(verdicts)
    }

    /// Takes one operation: [`Self::submit_many`] of one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn submit(
        &mut self,
        operation: SignedOperation,
        now: u64,
    ) -> Result<Result<OperationId, Refusal>, StoreError> {
        let mut verdicts = self.submit_many(&[operation], now)?;
        Ok(verdicts.pop().expect("there is one verdict an operation"))
    }

    fn admit(
        &mut self,
        signed: &SignedOperation,
        screened: Screened,
        now: u64,
        taken: &mut Taken,
    ) -> Result<Result<OperationId, Refusal>, StoreError> {
        let (id, operation) = match screened {
            Screened::Known(id) => return Ok(Ok(id)),
            Screened::Used(id, reject) => return self.executed(id, reject),
            Screened::New(id, operation) => (id, operation),
        };
        if self.pool.contains(&id) {
            return Ok(Ok(id));
        }
        let entry = Entry::verified(id, operation, now);
        let account = self.state.account(entry.fields.from);
        let next = account.map_or(0, |account| account.nonce);
        let takes_fees = |token| self.settings.fee_accounts.contains_key(&token);
        let room = Room {
            next,
            now,
            takes_fees: &takes_fees,
        };
        match self.pool.room_for(&entry.fields, &room) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Some(place)) => self.replace(place, &id, taken),
            Ok(None) => {}
        }
        let place = self.pool.insert(entry, next);
        taken.rows.push(StoredOperation {
            place,
            received: now,
            operation: *signed,
        });
        Ok(Ok(id))
    }

    /// Takes the operation at a place out, in favour of another with its nonce.
    fn replace(&mut self, place: u64, by: &OperationId, taken: &mut Taken) {
        let Some(entry) = self.pool.remove(place) else {
            return;
        };
        // One that came with this very call was never written.
        taken.rows.retain(|row| row.place != place);
        let settled = Settled {
            received: entry.received,
            withdrawn_from: withdrawn_from(&entry),
            outcome: Outcome::Rejected {
                reason: format!("replaced by operation {by} of the same nonce"),
            },
        };
        taken.replaced.push((place, entry.id, settled));
    }

    /// The verdict on an operation whose nonce is used: by itself, or by another.
    fn executed(
        &self,
        id: OperationId,
        reject: Reject,
    ) -> Result<Result<OperationId, Refusal>, StoreError> {
        Ok(
            match self.store.settled(&id)?.map(|settled| settled.outcome) {
                Some(Outcome::Sealed { .. }) => Ok(id),
                Some(Outcome::Rejected { .. }) | None => Err(reject.into()),
            },
        )
    }

    /// What became of an operation; `None` if it was never acknowledged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn verdict(&self, id: &OperationId) -> Result<Option<Verdict>, StoreError> {
        Ok(self.history(id)?.map(|history| history.verdict))
    }

    /// What became of an operation and when; `None` if it was never acknowledged here. Times
    /// survive restarts; a database restored from L1 knows no operation that it did not receive
    /// itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn history(&self, id: &OperationId) -> Result<Option<History>, StoreError> {
        if let Some(entry) = self.pool.get(id) {
            let known = (entry.received, withdrawn_from(entry));
            let history = history(Verdict::Pending, known, BatchTimes::default());
            return Ok(Some(history));
        }
        let Some(settled) = self.store.settled(id)? else {
            return Ok(None);
        };
        let Settled {
            received,
            withdrawn_from,
            outcome,
        } = settled;
        let finalized = self.head.finalized;
        let (verdict, times) = match outcome {
            Outcome::Sealed { batch } if batch <= finalized => {
                (Verdict::Finalized { batch }, self.store.times(batch)?)
            }
            Outcome::Sealed { batch } => {
                let times = BatchTimes {
                    finalized: None,
                    ..self.store.times(batch)?
                };
                (Verdict::Sealed { batch }, times)
            }
            Outcome::Rejected { reason } => (Verdict::Rejected { reason }, BatchTimes::default()),
        };
        Ok(Some(history(verdict, (received, withdrawn_from), times)))
    }

    /// The nonce for which an operation that waits has to wait, because no operation has it; `None` if
    /// it waits for a batch alone, or does not wait.
    pub fn missing_nonce(&self, id: &OperationId) -> Option<u64> {
        let Fields { from, nonce, .. } = self.pool.get(id)?.fields;
        let next = self.next_nonce(from)?;
        (next < nonce).then_some(next)
    }

    /// When a batch took its steps; all `None` if there is no such batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn times(&self, number: u64) -> Result<BatchTimes, StoreError> {
        self.store.times(number)
    }

    /// Whether a batch should be sealed now, and why; nothing is due while sealing pauses. `queue`
    /// is what waits in the L1 queue; its entries age from the first call that sees them.
    ///
    /// # Errors
    /// [`BuildError::QueueGap`].
    pub fn seal_due(&mut self, queue: &[QueueEntry], now: u64) -> Result<Option<Due>, BuildError> {
        let queue = unconsumed(queue, self.head.queue)?;
        self.queue_seen = match queue {
            [] => None,
            _ => self.queue_seen.or(Some(now)),
        };
        if self.check_age(now).is_err() {
            return Ok(None);
        }
        self.pool.judge_expiry_at(now, &self.state);
        if !self.returned.is_empty() {
            return Ok(Some(Due::Reopened));
        }
        let demand = Demand::of(queue, &self.pool, &self.settings.shapes);
        if demand.fills_some(&self.settings.shapes) {
            return Ok(Some(Due::Size));
        }
        let oldest = self.pool.oldest_ready().map(|entry| entry.received);
        let since = oldest.into_iter().chain(self.queue_seen).min();
        // Why also from the future: whoever waits by a clock that was ahead would wait for its time.
        let is_old = |since: u64| since > now || now - since >= self.settings.max_age;
        Ok(since.is_some_and(is_old).then_some(Due::Age))
    }

    /// Mirrors seal nothing.
    fn check_operators(&self) -> Result<(), SealError> {
        match self.role {
            Some(Role::Mirror) => Err(SealError::Mirror),
            Some(Role::Operator | Role::Taker) | None => Ok(()),
        }
    }

    /// Sealing goes on while the oldest batch that is not finalized is at most 3/4 of Δ old.
    fn check_age(&self, now: u64) -> Result<(), SealError> {
        let slack = self.settings.timestamp_slack;
        let limit = slack - slack.div_ceil(4);
        let age = now.saturating_sub(self.oldest.unwrap_or(now));
        if age <= limit {
            return Ok(());
        }
        Err(SealError::Paused {
            batch: self.head.finalized + 1,
            age,
            limit,
            slack,
        })
    }

    /// Seals one batch of what is ready and returns it once it is durable; `None` if nothing can
    /// be executed. `queue` are the L1 queue's entries from any consumed one on.
    ///
    /// Batches that were reopened come first, one call a batch: the same operations in the same
    /// order, with as much of `queue` as the batch had consumed before. Of these operations, those
    /// that the queue given here no longer supports are rejected.
    ///
    /// # Errors
    /// [`SealError`]; nothing was sealed.
    pub fn seal(
        &mut self,
        queue: &[QueueEntry],
        now: u64,
    ) -> Result<Option<SealedBatch>, SealError> {
        self.check_running()?;
        self.check_operators()?;
        self.check_age(now)?;
        loop {
            let built = self.build(queue, now, Fill::WhateverFits)?;
            let sealed = built.writes.batch.as_ref().map(|new| new.batch.clone());
            let more = sealed.is_none() && built.writes.returned.is_some();
            self.commit(&[built.writes])?;
            if !more {
                return Ok(sealed);
            }
        }
    }

    /// Seals batches until nothing can be executed, many in one transaction. `on_batch` sees each
    /// batch once it is durable.
    ///
    /// # Errors
    /// [`SealError`]; batches that `on_batch` saw are sealed.
    pub fn seal_all(
        &mut self,
        queue: &[QueueEntry],
        now: u64,
        fill: Fill,
        mut on_batch: impl FnMut(&SealedBatch),
    ) -> Result<SealSummary, SealError> {
        self.check_running()?;
        self.check_operators()?;
        self.check_age(now)?;
        let first = self.head.sealed;
        let (mut counts, mut dropped) = ([0; 3], 0);
        let mut more = true;
        while more {
            let mut group = Vec::with_capacity(SEAL_GROUP);
            while more && group.len() < SEAL_GROUP {
                // Why: what was built before a failure is written before the failure is told.
                let built = match self.build(queue, now, fill) {
                    Ok(built) => built,
                    Err(error) => {
                        self.commit(&group)?;
                        return Err(error.into());
                    }
                };
                more = built.is_something();
                dropped += built.dropped;
                group.push(built.writes);
            }
            self.commit(&group)?;
            for new in group.iter().filter_map(|writes| writes.batch.as_ref()) {
                let of_batch = new.batch.counts();
                counts = [0, 1, 2].map(|kind| counts[kind] + of_batch[kind]);
                on_batch(&new.batch);
            }
        }
        let [l1_ops, transfers, withdrawals] = counts;
        Ok(SealSummary {
            batches: self.head.sealed - first,
            l1_ops,
            transfers,
            withdrawals,
            dropped,
            waiting: self.pool.len(),
            state_root: self.head.root,
        })
    }

    /// Builds one batch on top of the state and moves the state, in memory.
    fn build(&mut self, queue: &[QueueEntry], now: u64, fill: Fill) -> Result<Built, BuildError> {
        let queue = unconsumed(queue, self.head.queue)?;
        let timestamp = now.max(self.head.timestamp);
        self.pool.judge_expiry_at(timestamp, &self.state);
        let open = match self.returned.front().cloned() {
            Some((_, batch)) => self.open_returned(&batch, queue, timestamp)?,
            None => self.open_new(queue, timestamp, fill)?,
        };
        let mut built = match open {
            Some(open) => self.finish(open, now)?,
            None => Built::default(),
        };
        self.end_returned(&mut built);
        Ok(built)
    }

    /// A batch with what waits; `None` if nothing does.
    fn open_new(
        &mut self,
        queue: &[QueueEntry],
        timestamp: u64,
        fill: Fill,
    ) -> Result<Option<OpenBatch>, BuildError> {
        let Some(mut open) = self.open_batch(queue, timestamp)? else {
            return Ok(None);
        };
        open.take_queue(&self.state, queue)?;
        open.take_ready(&self.state, &self.pool, fill)?;
        Ok(Some(open))
    }

    /// A batch with what a batch that was undone had, as far as it is still there; `None` if its
    /// shape is no longer listed.
    fn open_returned(
        &mut self,
        batch: &Returned,
        queue: &[QueueEntry],
        timestamp: u64,
    ) -> Result<Option<OpenBatch>, BuildError> {
        let Settings {
            domain,
            shapes,
            fee_accounts,
            ..
        } = &self.settings;
        let Some(shape) = shapes.iter().find(|shape| shape.id == batch.shape) else {
            return Ok(None);
        };
        let places = batch.places.clone();
        self.pool.verify_at(places, &self.state, domain);
        let context = context(*domain, self.head.sealed + 1, timestamp, fee_accounts);
        let mut open = OpenBatch::begin(&self.state, shape, context, self.head.queue)?;
        let end = queue.partition_point(|entry| entry.number < batch.queue_end);
        open.take_queue(&self.state, &queue[..end])?;
        let more = self.returned.len() > 1;
        open.take_returned(&self.state, &self.pool, &batch.places, more)?;
        Ok(Some(open))
    }

    /// Closes a batch and drops what turned out invalid.
    fn finish(&mut self, mut open: OpenBatch, now: u64) -> Result<Built, BuildError> {
        let dropped = mem::take(&mut open.dropped);
        let included = mem::take(&mut open.included);
        if open.is_empty() {
            return Ok(self.drop_only(dropped));
        }
        let (old, touched) = (self.head, open.touched());
        let before = |index: u32| (index, self.state.account(index).copied());
        let accounts = touched.into_iter().map(before).collect();
        let (batch, witness) = open.seal(&mut self.state)?;
        let undo = Undo {
            timestamp: old.timestamp,
            accounts,
            operations: Vec::new(),
        };
        Ok(self.close((batch, undo, now), &witness, &included, dropped))
    }

    /// The batch that was undone has its successor, or none; once it was the last one, operations
    /// of accounts that did not come back are dropped.
    fn end_returned(&mut self, built: &mut Built) {
        let Some((key, _)) = self.returned.pop_front() else {
            return;
        };
        built.writes.returned = Some(key);
        if self.returned.is_empty() {
            let orphans = self.pool.orphans(&self.state);
            let outcomes = self.drop_operations(orphans);
            built.dropped += outcomes.len();
            built.writes.outcomes.extend(outcomes);
        }
    }

    /// An empty batch of the shape for what waits; `None` if nothing does.
    fn open_batch(
        &mut self,
        queue: &[QueueEntry],
        timestamp: u64,
    ) -> Result<Option<OpenBatch>, BuildError> {
        let Settings {
            domain,
            shapes,
            fee_accounts,
            ..
        } = &self.settings;
        let demand = Demand::of(queue, &self.pool, shapes);
        let Some(shape) = demand.shape(shapes).filter(|_| !demand.is_empty()) else {
            return Ok(None);
        };
        let ahead = VERIFY_AHEAD.max(4 * usize::from(shape.transfers));
        self.pool.verify_stored(ahead, &self.state, domain);
        let context = context(*domain, self.head.sealed + 1, timestamp, fee_accounts);
        OpenBatch::begin(&self.state, shape, context, self.head.queue).map(Some)
    }

    /// Operations that expired before a batch's timestamp, with the reason.
    pub(crate) fn expired(&self, timestamp: u64) -> Vec<(u64, Reject)> {
        let reason = |place: u64| {
            let valid_until = self.pool.entry(place)?.fields.valid_until;
            let reject = Reject::NotExpired {
                valid_until,
                timestamp,
            };
            Some((place, reject))
        };
        let places = self.pool.expired(timestamp);
        places.into_iter().filter_map(reason).collect()
    }

    fn drop_only(&mut self, dropped: Vec<(u64, Reject)>) -> Built {
        let count = dropped.len();
        let outcomes = self.drop_operations(dropped);
        Built {
            writes: SealWrites {
                outcomes,
                ..SealWrites::default()
            },
            dropped: count,
        }
    }

    fn drop_operations(&mut self, dropped: Vec<(u64, Reject)>) -> Vec<NewOutcome> {
        let mut outcomes = Vec::with_capacity(dropped.len());
        for (place, reject) in dropped {
            if let Some(entry) = self.pool.remove(place) {
                let reason = reject.to_string();
                let settled = Settled {
                    received: entry.received,
                    withdrawn_from: withdrawn_from(&entry),
                    outcome: Outcome::Rejected { reason },
                };
                outcomes.push((place, entry.id, settled));
            }
        }
        outcomes
    }

    /// Notes a sealed batch in memory and collects what is to be written.
    fn close(
        &mut self,
        (batch, mut undo, now): (SealedBatch, Undo, u64),
        witness: &BatchWitness,
        included: &[u64],
        dropped: Vec<(u64, Reject)>,
    ) -> Built {
        let mut outcomes = self.drop_operations(dropped);
        let rejected = outcomes.len();
        let number = batch.number();
        for place in included {
            if let Some(entry) = self.pool.remove(*place) {
                let received = entry.received;
                let outcome = Outcome::Sealed { batch: number };
                let settled = Settled {
                    received,
                    withdrawn_from: withdrawn_from(&entry),
                    outcome,
                };
                outcomes.push((*place, entry.id, settled));
                undo.operations.push(StoredOperation {
                    place: *place,
                    received,
                    operation: entry.signed(),
                });
            }
        }
        let strangers = self.drop_operations(self.strangers(&undo.accounts));
        let rejected = rejected + strangers.len();
        outcomes.extend(strangers);
        for (index, _) in &undo.accounts {
            if let Some(account) = self.state.account(*index) {
                self.pool.advance(*index, account.nonce);
            }
        }
        let timestamp = batch.words().header.timestamp;
        self.queue_seen = None;
        self.oldest = self.oldest.or(Some(timestamp));
        self.head = Head {
            root: batch.new_root(),
            sealed: number,
            timestamp,
            queue: batch.queue().end,
            ..self.head
        };
        let new = NewBatch {
            batch,
            witness: witness_codec::encode(witness),
            undo,
            sealed: now,
        };
        Built {
            writes: SealWrites {
                batch: Some(new),
                outcomes,
                returned: None,
            },
            dropped: rejected,
        }
    }

    /// Operations that wait for accounts which the batch created, and which these accounts' keys did
    /// not sign, with the reason. Only an account that was undone has operations before it is
    /// created: L1 may have given its index to another key since.
    pub(crate) fn strangers(&self, before: &[(u32, Option<Account>)]) -> Vec<(u64, Reject)> {
        let created = before.iter().filter(|(_, account)| account.is_none());
        let of_account = |(index, _): &(u32, Option<Account>)| {
            let key = self.state.account(*index)?.key;
            Some(self.pool.strangers(*index, &key, &self.settings.domain))
        };
        created.filter_map(of_account).flatten().collect()
    }

    pub(crate) fn commit(&mut self, group: &[SealWrites]) -> Result<(), StoreError> {
        let is_nothing = |writes: &SealWrites| {
            writes.outcomes.is_empty() && writes.batch.is_none() && writes.returned.is_none()
        };
        if group.iter().all(is_nothing) {
            return Ok(());
        }
        let batches = group.iter().filter_map(|writes| writes.batch.as_ref());
        let touched = batches.flat_map(|new| new.undo.accounts.iter().map(|(index, _)| *index));
        let changes = Changes::of(&self.state, &touched.collect());
        self.store
            .add_seals(group, &changes, &self.head)
            .inspect_err(|_| self.stopped = true)
    }

    /// A batch at the stage that it has reached.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn batch(&self, number: u64) -> Result<StoredBatch, StageError> {
        let batch = self.sealed_record(number)?;
        let proof = self.store.proof(number)?;
        Ok(match proof {
            None => StoredBatch::Sealed(batch),
            Some(proof) if number <= self.head.finalized => {
                StoredBatch::Finalized(FinalizedBatch { batch, proof })
            }
            Some(proof) => StoredBatch::Proved(ProvedBatch { batch, proof }),
        })
    }

    /// Timestamp of the batch after `number`, if it is sealed.
    pub(crate) fn timestamp_after(&self, number: u64) -> Result<Option<u64>, StageError> {
        if number >= self.head.sealed {
            return Ok(None);
        }
        let batch = self.sealed_record(number + 1)?;
        Ok(Some(batch.words().header.timestamp))
    }

    fn records(&self) -> Records<'_> {
        Records {
            settings: &self.settings,
            store: &self.store,
            head: self.head,
        }
    }

    pub(crate) fn sealed_record(&self, number: u64) -> Result<SealedBatch, StageError> {
        self.records().sealed(number)
    }

    /// What the circuit is shown for a batch that is not finalized.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn witness(&self, number: u64) -> Result<BatchWitness, StageError> {
        let batch = self.sealed_record(number)?;
        let bytes = self.store.witness(number)?;
        let bytes = bytes.ok_or(StageError::NoWitness { number })?;
        let witness = witness_codec::decode(&bytes, batch.shape());
        let witness = witness.map_err(|error| self.store.record("witness", number, error))?;
        if witness.header != batch.words().header {
            let source = CodecError::Invalid {
                what: "a witness",
                field: "header",
                text: "not that of the batch".to_owned(),
            };
            return Err(self.store.record("witness", number, source).into());
        }
        Ok(witness)
    }

    /// Sealed batches without a proof, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unproved(&self) -> Result<Vec<u64>, StoreError> {
        let proved: BTreeSet<u64> = self
            .store
            .proofs_after(self.head.finalized)?
            .into_iter()
            .collect();
        let open = self.head.finalized + 1..=self.head.sealed;
        Ok(open.filter(|number| !proved.contains(number)).collect())
    }

    /// Notes the proof of a sealed batch, made by `now`, in seconds since 1970. That it verifies is the
    /// caller's to know. Batches are proved in any order; a proof of a batch that has one replaces it.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn record_proof(
        &mut self,
        batch: SealedBatch,
        proof: Vec<u8>,
        now: u64,
    ) -> Result<ProvedBatch, StageError> {
        self.check_running()?;
        let kept = self.records().record_proof(&batch, &proof, now);
        self.stopped |= matches!(kept, Err(StageError::Store(StoreError::Database { .. })));
        kept.map(|()| ProvedBatch { batch, proof })
    }

    /// Notes that L1 has accepted a proved batch at `time`, in seconds since 1970, deletes its
    /// witness, and drops operations that expired before its timestamp. In order, once each. What it
    /// takes to undo the batch is kept until [`Settings::undo_window`] more are finalized.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn record_finalized(
        &mut self,
        proved: ProvedBatch,
        time: u64,
    ) -> Result<FinalizedBatch, StageError> {
        self.check_running()?;
        let ProvedBatch { batch, proof } = proved;
        self.records().check_same(&batch)?;
        let (number, expected) = (batch.number(), self.head.finalized + 1);
        if number != expected {
            return Err(StageError::OutOfOrder { number, expected });
        }
        let head = Head {
            finalized: number,
            ..self.head
        };
        let times = BatchTimes {
            finalized: Some(time),
            ..self.store.times(number)?
        };
        let oldest = self.timestamp_after(number)?;
        let expired = self.expired(batch.words().header.timestamp);
        let outcomes = self.drop_operations(expired);
        self.store
            .finalize(number, self.settings.undo_window, (times, &outcomes), &head)
            .inspect_err(|_| self.stopped = true)?;
        self.head = head;
        self.oldest = oldest;
        Ok(FinalizedBatch { batch, proof })
    }

    /// Rebuilds the state from the first accounts and the published bytes of all sealed batches
    /// alone, and compares every root. Returns the roots, that of the genesis first.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn audit(
        &self,
        genesis: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<Vec<Fr>, AuditError> {
        let mut state = State::new(self.state.depth());
        state.insert_genesis(genesis)?;
        let mut roots = vec![state.root()];
        for number in 1..=self.head.sealed {
            let batch = self.sealed_record(number)?;
            replay(batch.words(), batch.shape(), &mut state).map_err(|source| {
                let source = Box::new(source);
                AuditError::Batch { number, source }
            })?;
            roots.push(state.root());
        }
        let (expected, got) = (state.root(), self.state.root());
        if state != self.state {
            return Err(AuditError::Root { expected, got });
        }
        Ok(roots)
    }

    /// Hashes all accounts and the whole tree again and compares them with the nodes that are
    /// stored: for audits. Seconds for a million accounts.
    ///
    /// # Errors
    /// [`CheckError`], which names the first leaf or node that is wrong.
    pub fn check_tree(&self) -> Result<(), CheckError> {
        self.state.check()
    }

    /// Bytes of all witnesses that are held.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn witness_bytes(&self) -> Result<u64, StoreError> {
        self.store.witness_bytes()
    }

    pub(crate) fn check_running(&self) -> Result<(), StoreError> {
        self.store.check_writable()?;
        if self.stopped {
            return Err(StoreError::Stopped {
                path: self.store.path().to_owned(),
            });
        }
        Ok(())
    }
}

/// The account that pays, if the operation is a withdrawal.
pub(crate) fn withdrawn_from(entry: &Entry) -> Option<u32> {
    entry.is_withdrawal().then_some(entry.fields.from)
}

fn history(
    verdict: Verdict,
    (received, withdrawn_from): (u64, Option<u32>),
    times: BatchTimes,
) -> History {
    let BatchTimes {
        sealed,
        proven,
        finalized,
    } = times;
    History {
        verdict,
        withdrawn_from,
        received: Some(received),
        sealed,
        proven,
        finalized,
    }
}
