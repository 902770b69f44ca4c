//! The native L1: a chain of calls in one database file.
//!
//! Every call is one block in one durable transaction: it returns after the file is on disk, and an
//! error leaves everything as it was. Callers and the system's time are arguments; the embedding
//! program vouches for them. `now` is in seconds since 1970; L1's own time, which all rules use, is
//! never before the last block (see [`crate::blocks`]).
//! Invariant: the root moves only in [`NativeL1::submit_batches`], to the root that a verified
//! batch names, and with it the queue and the claims (docs/protocol.md, section 6).

use std::collections::BTreeMap;

use ledger::field::Fr;
use prover::key::{AllowDevKeys, VerifyingKey};
use storage::Database;

use crate::batch::FinalizedBatch;
use crate::bytes::{Address, Bytes};
use crate::checks;
use crate::error::{L1Error, StoreError};
use crate::escrow::{self, TokenTotals};
use crate::genesis::{Deployment, GenesisAccount, accounts_from_bytes, accounts_to_bytes};
use crate::head::Head;
use crate::queue::{self, QueueEntry};
use crate::registry::{self, Registration};
use crate::store::Snapshot;

/// The embedded L1.
pub struct NativeL1 {
    pub(crate) db: Database,
    pub(crate) deployment: Deployment,
    pub(crate) domain: Fr,
    pub(crate) keys: BTreeMap<u16, VerifyingKey>,
    pub(crate) dev_keys: AllowDevKeys,
}

impl NativeL1 {
    /// What the chain was made from, accounts aside.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// What operations of this deployment are signed for.
    pub fn domain(&self) -> Fr {
        self.domain
    }

    /// The accounts that genesis made, index 1 first.
    ///
    /// # Errors
    /// [`StoreError`], also if they are not those that the deployment names.
    pub fn genesis_accounts(&self) -> Result<Vec<GenesisAccount>, StoreError> {
        let table = Snapshot::begin(&self.db)?.genesis_accounts()?;
        let mut accounts = Vec::new();
        for record in table.range::<u32>(..)? {
            accounts.extend(accounts_from_bytes(record?.1.value())?);
        }
        let expected = self.deployment.accounts().blake3;
        let got = Bytes(*blake3::hash(&accounts_to_bytes(&accounts)).as_bytes());
        checks::agree("the digest of the genesis accounts", &expected, &got)?;
        Ok(accounts)
    }

    /// Where the chain stands: root, next batch, queue, fees.
    pub fn head(&self) -> Result<Head, StoreError> {
        Snapshot::begin(&self.db)?.head()
    }

    /// Up to `limit` queue entries from number `from` on, consumed or not.
    pub fn queue(&self, from: u64, limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        let (tail, table) = (snapshot.head()?.queue_tail, snapshot.queue()?);
        let numbers = (from..tail).take(limit);
        numbers.map(|number| queue::entry(&table, number)).collect()
    }

    /// Up to `limit` queue entries that no batch has consumed, oldest first.
    pub fn pending(&self, limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.queue(self.head()?.queue_head, limit)
    }

    /// Owner and token of an account, if the index is assigned.
    pub fn registered(&self, index: u32) -> Result<Option<Registration>, StoreError> {
        registry::registration(&Snapshot::begin(&self.db)?.registry()?, index)
    }

    /// For each token the first account that a deposit of this owner opened. Those that genesis made are
    /// not among them.
    pub fn deposited(&self, owner: Address) -> Result<BTreeMap<u32, u32>, StoreError> {
        let table = Snapshot::begin(&self.db)?.deposited()?;
        let mut accounts = BTreeMap::new();
        for record in table.range((&owner.0, 0)..=(&owner.0, u32::MAX))? {
            let (key, index) = record?;
            accounts.insert(key.value().1, index.value());
        }
        Ok(accounts)
    }

    /// The finalized batch with this number.
    pub fn batch(&self, number: u64) -> Result<Option<FinalizedBatch>, StoreError> {
        let table = Snapshot::begin(&self.db)?.batches()?;
        let record = table.get(number)?;
        let read = |bytes: &[u8]| FinalizedBatch::from_bytes(number, bytes, &self.deployment);
        record.map(|record| read(record.value())).transpose()
    }

    /// Up to `limit` finalized batches from number `from` on, in order.
    pub fn batches(&self, from: u64, limit: usize) -> Result<Vec<FinalizedBatch>, StoreError> {
        let table = Snapshot::begin(&self.db)?.batches()?;
        let mut batches = Vec::new();
        for record in table.range(from..)?.take(limit) {
            let (number, record) = record?;
            let (number, bytes) = (number.value(), record.value());
            batches.push(FinalizedBatch::from_bytes(number, bytes, &self.deployment)?);
        }
        Ok(batches)
    }

    /// The verifying key of a shape, if one is registered.
    pub fn key(&self, shape_id: u16) -> Option<&VerifyingKey> {
        self.keys.get(&shape_id)
    }

    /// Everything that may be claimed: owner, token, amount, in this order.
    pub fn claims(&self) -> Result<Vec<(Address, u32, u128)>, StoreError> {
        let table = Snapshot::begin(&self.db)?.claimable()?;
        let mut claims = Vec::new();
        for record in table.range::<(&[u8; 20], u32)>(..)? {
            let (key, amount) = record?;
            let (owner, token) = key.value();
            claims.push((Bytes(*owner), token, amount.value()));
        }
        Ok(claims)
    }

    /// What an owner may claim of a token.
    pub fn claimable(&self, owner: Address, token: u32) -> Result<u128, StoreError> {
        escrow::claimable(&Snapshot::begin(&self.db)?.claimable()?, &owner, token)
    }

    /// Escrow, claimable and pending of a token.
    pub fn totals(&self, token: u32) -> Result<TokenTotals, StoreError> {
        escrow::totals(&Snapshot::begin(&self.db)?.totals()?, token)
    }

    /// Escrow, claimable and pending of every token that was ever deposited. Claims and waiting
    /// entries that are not cancelled are added up and compared with the totals kept; `balances()`
    /// of each is to be compared with the accounts that have not exited. What [`Self::deposited`] tells
    /// is compared with the registry.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] if the sums differ from the totals.
    pub fn audit(&self) -> Result<BTreeMap<u32, TokenTotals>, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        checks::audit_deposited(&snapshot, &self.deployment)?;
        checks::audit(&snapshot)
    }

    /// Refuses a frozen chain before anything costly is done. The transaction checks it again.
    pub(crate) fn not_frozen(&self) -> Result<(), L1Error> {
        Ok(self.head()?.not_frozen()?)
    }
}
