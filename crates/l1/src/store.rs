//! Tables of the chain's database and the transactions over them.
//!
//! Every call of L1 is one write transaction: [`Tx`] holds its tables and the chain's head, and is
//! dropped without a trace unless the call succeeds. Invariant: all records are written by this
//! module's neighbours with `codec` and read back with its checks.

use ledger::field::Fr;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, WriteTransaction,
};

use crate::codec::{CodecError, Reader, Writer};
use crate::error::StoreError;

/// Version of the database; another version is refused.
pub(crate) const DATABASE_VERSION: u32 = 1;

/// Key and value types of every table but where said: a number and a record.
type Records<K> = TableDefinition<'static, K, &'static [u8]>;

const META: Records<&str> = TableDefinition::new("meta");
const GENESIS_ACCOUNTS: Records<u32> = TableDefinition::new("genesis_accounts");
const REGISTRY: Records<u32> = TableDefinition::new("registry");
const QUEUE: Records<u64> = TableDefinition::new("queue");
const PENDING_EXITS: TableDefinition<u32, u64> = TableDefinition::new("pending_exits");
const TOTALS: Records<u32> = TableDefinition::new("totals");
const CLAIMABLE: TableDefinition<(&[u8], u32), u128> = TableDefinition::new("claimable");
const BATCHES: Records<u64> = TableDefinition::new("batches");
const KEYS: Records<u16> = TableDefinition::new("keys");

/// Names of the records in the table `meta`.
pub(crate) const VERSION_RECORD: &str = "version";
pub(crate) const DEPLOYMENT_RECORD: &str = "deployment";
const HEAD_RECORD: &str = "head";

/// Where the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Root after the last batch.
    pub root: Fr,
    /// Number of the next batch; the first is 1.
    pub next_batch: u64,
    /// Timestamp of the last batch, 0 before the first.
    pub timestamp: u64,
    /// Number of the oldest queue entry that no batch has consumed.
    pub queue_head: u64,
    /// Number that the next queue entry gets; the first is 0.
    pub queue_tail: u64,
    /// Index that the next deposit gets.
    pub next_index: u64,
    /// Creates and TopUps between head and tail.
    pub pending_deposits: u64,
    /// Fees that the operator may collect, in ETH's smallest unit.
    pub operator_fees: u128,
}

impl Head {
    fn to_bytes(self) -> Vec<u8> {
        let Self {
            root,
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits,
            operator_fees,
        } = self;
        let numbers = [
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits,
        ];
        let out = Writer::default().fr(&root);
        let out = numbers.into_iter().fold(out, Writer::u64);
        out.u128(operator_fees).finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new("the head of the chain", bytes);
        let head = Self {
            root: reader.fr("root")?,
            next_batch: reader.u64()?,
            timestamp: reader.u64()?,
            queue_head: reader.u64()?,
            queue_tail: reader.u64()?,
            next_index: reader.u64()?,
            pending_deposits: reader.u64()?,
            operator_fees: reader.u128()?,
        };
        let waiting = head.queue_tail.checked_sub(head.queue_head);
        if waiting.is_none_or(|waiting| head.pending_deposits > waiting) {
            return Err(reader.value("pending deposits", head.pending_deposits));
        }
        reader.end()?;
        Ok(head)
    }
}

/// The tables of a write transaction, and the head that it will leave.
pub(crate) struct Tx<'t> {
    pub(crate) head: Head,
    pub(crate) meta: Table<'t, &'static str, &'static [u8]>,
    pub(crate) genesis_accounts: Table<'t, u32, &'static [u8]>,
    pub(crate) registry: Table<'t, u32, &'static [u8]>,
    pub(crate) queue: Table<'t, u64, &'static [u8]>,
    pub(crate) pending_exits: Table<'t, u32, u64>,
    pub(crate) totals: Table<'t, u32, &'static [u8]>,
    pub(crate) claimable: Table<'t, (&'static [u8], u32), u128>,
    pub(crate) batches: Table<'t, u64, &'static [u8]>,
    pub(crate) keys: Table<'t, u16, &'static [u8]>,
}

impl<'t> Tx<'t> {
    /// Opens all tables, making those that do not exist; `head` is what a new chain starts with.
    pub(crate) fn begin(txn: &'t WriteTransaction, head: Head) -> Result<Self, StoreError> {
        Ok(Self {
            head,
            meta: txn.open_table(META)?,
            genesis_accounts: txn.open_table(GENESIS_ACCOUNTS)?,
            registry: txn.open_table(REGISTRY)?,
            queue: txn.open_table(QUEUE)?,
            pending_exits: txn.open_table(PENDING_EXITS)?,
            totals: txn.open_table(TOTALS)?,
            claimable: txn.open_table(CLAIMABLE)?,
            batches: txn.open_table(BATCHES)?,
            keys: txn.open_table(KEYS)?,
        })
    }

    /// Opens all tables and reads the head.
    fn resume(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        let read = {
            let meta = txn.open_table(META)?;
            let record = meta.get(HEAD_RECORD)?;
            record.map(|record| Head::from_bytes(record.value()))
        };
        let head = read.ok_or_else(|| missing(HEAD_RECORD))??;
        Self::begin(txn, head)
    }

    /// Writes the head. The transaction is still to be committed.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        let head = self.head.to_bytes();
        self.meta.insert(HEAD_RECORD, head.as_slice())?;
        Ok(())
    }
}

/// Runs a call in one durable transaction; an error leaves no trace.
pub(crate) fn transact<T, E: From<StoreError>>(
    db: &Database,
    call: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let txn = db.begin_write().map_err(StoreError::from)?;
    let mut tx = Tx::resume(&txn)?;
    let result = call(&mut tx)?;
    tx.finish()?;
    txn.commit().map_err(StoreError::from)?;
    Ok(result)
}

/// Runs a call as [`transact`] does and undoes it.
pub(crate) fn rehearse<T, E: From<StoreError>>(
    db: &Database,
    call: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let txn = db.begin_write().map_err(StoreError::from)?;
    let result = call(&mut Tx::resume(&txn)?);
    txn.abort().map_err(StoreError::from)?;
    result
}

/// As [`transact`], for a database without a head.
pub(crate) fn run<T, E: From<StoreError>>(
    db: &Database,
    head: Head,
    call: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let txn = db.begin_write().map_err(StoreError::from)?;
    let mut tx = Tx::begin(&txn, head)?;
    let result = call(&mut tx)?;
    tx.finish()?;
    txn.commit().map_err(StoreError::from)?;
    Ok(result)
}

fn missing(record: &str) -> StoreError {
    StoreError::Missing {
        what: format!("the record {record:?}"),
    }
}

/// A consistent view of the database for reading.
pub(crate) struct Snapshot(ReadTransaction);

impl Snapshot {
    pub(crate) fn begin(db: &Database) -> Result<Self, StoreError> {
        Ok(Self(db.begin_read()?))
    }

    pub(crate) fn meta(&self, name: &'static str) -> Result<Vec<u8>, StoreError> {
        let table = self.0.open_table(META)?;
        let record = table.get(name)?.map(|record| record.value().to_vec());
        record.ok_or_else(|| missing(name))
    }

    pub(crate) fn head(&self) -> Result<Head, StoreError> {
        Ok(Head::from_bytes(&self.meta(HEAD_RECORD)?)?)
    }

    pub(crate) fn genesis_accounts(&self) -> Result<RecordTable<u32>, StoreError> {
        Ok(self.0.open_table(GENESIS_ACCOUNTS)?)
    }

    pub(crate) fn registry(&self) -> Result<RecordTable<u32>, StoreError> {
        Ok(self.0.open_table(REGISTRY)?)
    }

    pub(crate) fn queue(&self) -> Result<RecordTable<u64>, StoreError> {
        Ok(self.0.open_table(QUEUE)?)
    }

    pub(crate) fn totals(&self) -> Result<RecordTable<u32>, StoreError> {
        Ok(self.0.open_table(TOTALS)?)
    }

    pub(crate) fn claimable(
        &self,
    ) -> Result<ReadOnlyTable<(&'static [u8], u32), u128>, StoreError> {
        Ok(self.0.open_table(CLAIMABLE)?)
    }

    pub(crate) fn batches(&self) -> Result<RecordTable<u64>, StoreError> {
        Ok(self.0.open_table(BATCHES)?)
    }

    pub(crate) fn keys(&self) -> Result<RecordTable<u16>, StoreError> {
        Ok(self.0.open_table(KEYS)?)
    }
}

/// A table of records, for reading.
pub(crate) type RecordTable<K> = ReadOnlyTable<K, &'static [u8]>;
