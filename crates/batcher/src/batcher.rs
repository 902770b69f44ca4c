//! The batcher: mempool, sealing and durable state as one.
//!
//! Invariants: what is acknowledged is on disk; nothing executes twice; the accounts in memory and
//! on disk are those after the last sealed batch, whose root they have; batch `n` starts from the
//! root that batch `n − 1` left; batches are finalized in order. Time is given by the caller.
//! After a failed write every further call that writes is refused: opening the database again
//! continues from what is on disk. An operation is dropped as expired only when L1 has a final batch
//! whose timestamp is after its expiry: timestamps on L1 never go back, a machine's clock may.
//!
//! A database is the operator's, that of somebody who continues the rollup in the operator's absence, or a
//! [`Role::Mirror`]. A mirror acknowledges and seals nothing: nobody
//! else would see it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use ledger::account::Account;
use ledger::field::Fr;
use ledger::state::State;

use crate::create::NewStore;
use crate::error::{OpenError, StoreError};
use crate::mempool::{Entry, Mempool};
use crate::role::Role;
use crate::rows::{Head, StoredOperation};
use crate::settings::Settings;
use crate::store::Store;
use crate::undo::Returned;

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

/// A batcher over its data directory.
pub struct Batcher {
    pub(crate) settings: Settings,
    pub(crate) kinds: BTreeSet<u8>,
    pub(crate) state: State,
    pub(crate) pool: Mempool,
    pub(crate) store: Store,
    pub(crate) head: Head,
    /// None in a database that was made before roles were kept.
    pub(crate) role: Option<Role>,
    /// Address of the operator whose database it is, where that is not the deployment's first.
    operator: Option<[u8; 20]>,
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
        settings.depth()?;
        Self::create_in(NewStore::begin(folder)?, settings, genesis)
    }

    /// Opens a database. Its pages are checked, accounts and the tree's lower nodes are read, the
    /// upper levels are hashed, and the root is the one that was stored.
    ///
    /// # Errors
    /// [`OpenError`], which says what, where and what to do.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, OpenError> {
        let depth = settings.depth()?;
        let store = Store::open(folder, &settings.identity(depth))?;
        Self::load(store, settings, depth)
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
        settings.depth()?;
        Self::create_in(NewStore::begin_on(backend)?, settings, genesis)
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
        let depth = settings.depth()?;
        let store = Store::open_on(backend, &settings.identity(depth))?;
        Self::load(store, settings, depth)
    }

    fn create_in(
        new: NewStore,
        settings: Settings,
        genesis: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<Self, OpenError> {
        let depth = settings.depth()?;
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
    /// written. Its pages are checked as [`storage::Database::open_to_read`] says.
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

    fn load(store: Store, settings: Settings, depth: u8) -> Result<Self, OpenError> {
        let head = store.head()?;
        let state = store.state(depth)?;
        if state.root() != head.root {
            let detail = "the accounts do not have the root of the last batch";
            return Err(store.damaged(detail));
        }
        let mut batcher = Self::assemble(settings, state, store, head);
        batcher.role = batcher.store.role()?;
        batcher.operator = batcher.store.operator()?;
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
            operator: None,
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

    /// Address of the operator whose database it is; none if it is the deployment's first.
    pub fn operator(&self) -> Option<[u8; 20]> {
        self.operator
    }

    /// Makes the database that of the operator with this address.
    ///
    /// # Errors
    /// [`StoreError`]: it is what it was.
    pub fn set_operator(&mut self, address: [u8; 20]) -> Result<(), StoreError> {
        self.check_running()?;
        self.store
            .set_operator(&address)
            .inspect_err(|_| self.stopped = true)?;
        (self.role, self.operator) = (Some(Role::Operator), Some(address));
        Ok(())
    }

    /// Acknowledges and seals nothing until it is opened again: whoever owns the database may not submit
    /// now. What L1 says of that may be taken back, so it is not kept.
    pub fn rest(&mut self) {
        self.role = Some(Role::Mirror);
    }

    /// Token → account that takes its fees from now on, in batches that are sealed later.
    pub fn set_fee_accounts(&mut self, fee_accounts: BTreeMap<u32, u32>) {
        self.settings.fee_accounts = fee_accounts;
    }

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
