//! Tables of the chain's database and the transactions over them.
//!
//! Every call of L1 is one block and one write transaction: [`Tx`] holds its tables and the chain's
//! head, and is dropped without a trace unless the call succeeds. Invariants: all records are
//! written by this module's neighbours with `codec` and read back with its checks, and what a
//! block changes is in the journal; one process writes at a time, and any number read beside it.
//!
//! | table | key | record, big-endian |
//! |---|---|---|
//! | `meta` | `version`, `deployment`, `clock` | version 4; canonical genesis; the clock's offset 8 |
//! | | `head` | root 32, then 8 each: height, time, next batch, timestamp, queue head, queue tail, next index, pending deposits, last return of the operator; frozen 1, taken over 1, operator's fees 16, operator 20, to whom the operator role is offered 20 (zeros: nobody) |
//! | `genesis_accounts` | number of the record | up to 3,100 accounts as in the accounts' file |
//! | `registry` | index | owner 20, token 4 |
//! | `queue` | number | height 8, time 8, kind 1, index 4, token 4, amount 16, `Ax` 32, `Ay` 32, payer 20 |
//! | `pending_exits` | index | number of the queue entry |
//! | `totals` | token | escrow 16, claimable 16, pending 16 |
//! | `claimable` | owner, token | amount |
//! | `batches` | number | height 8, time 8, queue from 8, queue to 8, submitter 20, submission |
//! | `keys` | shape id | verifying key |
//! | `exited` | index | amount paid out |
//! | `cancelled` | number of the queue entry | amount paid back |
//! | `deposited` | owner, token | index of the first account that a deposit of the owner opened in the token |
//! | `tokens` | id | address of a token that was added to a contract |
//! | `token displays` | address | decimals 1 (255 none), symbol: what a token said of itself; no part of the chain |
//! | `journal` | height | what the block changed |

use std::sync::Arc;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    TableError, WriteTransaction,
};
use storage::{Contents, Database, Reader};

use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::head::Head;
use crate::journal::{Block, Logged, REORG_WINDOW, Undo};

/// Version of the database; another version is refused.
pub(crate) const DATABASE_VERSION: u32 = 3;

/// What the file is, for messages.
pub(crate) static CONTENTS: Contents = Contents {
    name: "L1 database",
    version: DATABASE_VERSION,
    if_missing: "create it from a genesis first, or correct the path",
    if_taken: "open it, or choose another directory",
    if_other_version: "use the program that made it",
    if_damaged: "restore it from a backup",
};

/// Heights that [`Tx::mine`] skips to stay below, so that no later block can pass 64 bits.
const HEIGHT_LIMIT: u64 = 1 << 63;

/// The first number of seconds that is no batch's timestamp: no block has such a time.
pub(crate) const TIME_LIMIT: u64 = 1 << 40;

/// Key and value types of every table but where said: a number and a record.
type Records<K> = TableDefinition<'static, K, &'static [u8]>;
/// An owner's address and a token.
type ClaimKey = (&'static [u8; 20], u32);

const META: Records<&str> = TableDefinition::new("meta");
const GENESIS_ACCOUNTS: Records<u32> = TableDefinition::new("genesis_accounts");
const REGISTRY: Records<u32> = TableDefinition::new("registry");
const QUEUE: Records<u64> = TableDefinition::new("queue");
const PENDING_EXITS: TableDefinition<u32, u64> = TableDefinition::new("pending_exits");
const TOTALS: Records<u32> = TableDefinition::new("totals");
const CLAIMABLE: TableDefinition<ClaimKey, u128> = TableDefinition::new("claimable");
const BATCHES: Records<u64> = TableDefinition::new("batches");
const KEYS: Records<u16> = TableDefinition::new("keys");
const EXITED: TableDefinition<u32, u128> = TableDefinition::new("exited");
const CANCELLED: TableDefinition<u64, u128> = TableDefinition::new("cancelled");
const DEPOSITED: TableDefinition<ClaimKey, u32> = TableDefinition::new("deposited");
const TOKENS: Records<u32> = TableDefinition::new("tokens");
const TOKEN_DISPLAYS: Records<&[u8; 20]> = TableDefinition::new("token displays");
const JOURNAL: Records<u64> = TableDefinition::new("journal");

/// Place of the table of totals among those of [`Tx::logged`].
pub(crate) const TOTALS_PLACE: u8 = 3;

/// Names of the records in the table `meta`.
pub(crate) const VERSION_RECORD: &str = "version";
pub(crate) const DEPLOYMENT_RECORD: &str = "deployment";
const HEAD_RECORD: &str = "head";
const CLOCK_RECORD: &str = "clock";

/// The tables of a write transaction, and the head that it will leave.
pub(crate) struct Tx<'t> {
    pub(crate) head: Head,
    before: Head,
    pub(crate) meta: Table<'t, &'static str, &'static [u8]>,
    pub(crate) genesis_accounts: Table<'t, u32, &'static [u8]>,
    pub(crate) registry: Logged<'t, u32, &'static [u8]>,
    pub(crate) queue: Logged<'t, u64, &'static [u8]>,
    pub(crate) pending_exits: Logged<'t, u32, u64>,
    pub(crate) totals: Logged<'t, u32, &'static [u8]>,
    pub(crate) claimable: Logged<'t, ClaimKey, u128>,
    pub(crate) batches: Logged<'t, u64, &'static [u8]>,
    pub(crate) keys: Logged<'t, u16, &'static [u8]>,
    pub(crate) exited: Logged<'t, u32, u128>,
    pub(crate) cancelled: Logged<'t, u64, u128>,
    pub(crate) tokens: Logged<'t, u32, &'static [u8]>,
    pub(crate) deposited: Logged<'t, ClaimKey, u32>,
    journal: Table<'t, u64, &'static [u8]>,
}

impl<'t> Tx<'t> {
    /// Opens all tables, making those that do not exist.
    fn begin(txn: &'t WriteTransaction, head: Head, logs: bool) -> Result<Self, StoreError> {
        Ok(Self {
            head,
            before: head,
            meta: txn.open_table(META)?,
            genesis_accounts: txn.open_table(GENESIS_ACCOUNTS)?,
            registry: Logged::new(txn.open_table(REGISTRY)?, logs),
            queue: Logged::new(txn.open_table(QUEUE)?, logs),
            pending_exits: Logged::new(txn.open_table(PENDING_EXITS)?, logs),
            totals: Logged::new(txn.open_table(TOTALS)?, logs),
            claimable: Logged::new(txn.open_table(CLAIMABLE)?, logs),
            batches: Logged::new(txn.open_table(BATCHES)?, logs),
            keys: Logged::new(txn.open_table(KEYS)?, logs),
            exited: Logged::new(txn.open_table(EXITED)?, logs),
            cancelled: Logged::new(txn.open_table(CANCELLED)?, logs),
            tokens: Logged::new(txn.open_table(TOKENS)?, logs),
            deposited: Logged::new(txn.open_table(DEPOSITED)?, logs),
            journal: txn.open_table(JOURNAL)?,
        })
    }

    /// Opens all tables and reads the head.
    fn resume(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        let head = read_head(&txn.open_table(META)?)?;
        Self::begin(txn, head, true)
    }

    /// As [`Self::resume`], in the next block, which is made at `now` by the system's clock.
    pub(crate) fn next<E>(txn: &'t WriteTransaction, now: u64) -> Result<Self, E>
    where
        E: From<StoreError> + From<Refusal>,
    {
        let mut tx = Self::resume(txn)?;
        let time = l1_time(&tx.head, tx.clock()?, now);
        if time >= TIME_LIMIT {
            let limit = TIME_LIMIT;
            return Err(Refusal::TimeTooFar { time, limit }.into());
        }
        tx.head.time = time;
        tx.head.height += 1;
        Ok(tx)
    }

    /// Seconds that L1's clock is ahead of the system's.
    fn clock(&self) -> Result<u64, StoreError> {
        read_clock(&self.meta)
    }

    /// All logged tables. Their order is part of the format; see [`TOTALS_PLACE`].
    fn logged(&mut self) -> [&mut dyn Undo; 11] {
        [
            &mut self.registry,
            &mut self.queue,
            &mut self.pending_exits,
            &mut self.totals,
            &mut self.claimable,
            &mut self.batches,
            &mut self.keys,
            &mut self.exited,
            &mut self.cancelled,
            &mut self.tokens,
            &mut self.deposited,
        ]
    }

    /// Writes the block into the journal, and drops the block that leaves the window.
    fn seal_block(&mut self) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for (number, table) in (0..).zip(self.logged()) {
            let of_table = table.take().into_iter();
            changes.extend(of_table.map(|(key, before)| (number, key, before)));
        }
        let head = self.before;
        let record = Block { head, changes }.to_bytes();
        let height = self.head.height;
        self.journal.insert(height, record.as_slice())?;
        let outside = height.saturating_sub(REORG_WINDOW);
        while let Some(oldest) = self.oldest_block()?.filter(|oldest| *oldest <= outside) {
            self.journal.remove(oldest)?;
        }
        Ok(())
    }

    /// Height of the oldest block in the journal.
    fn oldest_block(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.journal.first()?.map(|(height, _)| height.value()))
    }

    /// Lets `more` empty blocks precede this one.
    pub(crate) fn mine(&mut self, more: u64) -> Result<(), L1Error> {
        let height = self.head.height;
        let sum = height.checked_add(more);
        if sum.is_none_or(|sum| sum >= HEIGHT_LIMIT) {
            return Err(Refusal::TooManyBlocks {
                height,
                blocks: more,
            }
            .into());
        }
        let skipped = more.saturating_sub(REORG_WINDOW);
        self.before.height += skipped;
        self.head.height += skipped;
        for _ in skipped..more {
            self.seal_block()?;
            self.before = self.head;
            self.head.height += 1;
        }
        Ok(())
    }

    /// Undoes the last block; false if the journal does not have it.
    fn undo_block(&mut self) -> Result<bool, StoreError> {
        let removed = self.journal.remove(self.head.height)?;
        let Some(record) = removed.map(|record| record.value().to_vec()) else {
            return Ok(false);
        };
        let Block { head, changes } = Block::from_bytes(&record)?;
        for (number, key, before) in changes {
            let mut tables = self.logged();
            let table = tables.get_mut(usize::from(number));
            let table = table.ok_or_else(|| StoreError::Missing {
                what: format!("table {number} of a journal record"),
            })?;
            table.put_back(&key, before.as_deref())?;
        }
        self.head = head;
        Ok(true)
    }

    /// Ends the block. The transaction is still to be committed.
    pub(crate) fn end_block(mut self) -> Result<(), StoreError> {
        self.seal_block()?;
        self.finish()
    }

    /// Writes the head. The transaction is still to be committed.
    fn finish(mut self) -> Result<(), StoreError> {
        let head = self.head.to_bytes();
        self.meta.insert(HEAD_RECORD, head.as_slice())?;
        Ok(())
    }
}

/// L1's time by the system's clock: never before the last block.
pub(crate) fn l1_time(head: &Head, offset: u64, now: u64) -> u64 {
    head.time.max(now.saturating_add(offset))
}

/// A record of `meta`, which every chain has.
fn read_record(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &'static str,
) -> Result<Vec<u8>, StoreError> {
    let record = meta.get(name)?.map(|record| record.value().to_vec());
    record.ok_or_else(|| StoreError::Missing {
        what: format!("the record {name:?}"),
    })
}

fn read_head(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Head, StoreError> {
    Ok(Head::from_bytes(&read_record(meta, HEAD_RECORD)?)?)
}

fn read_clock(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<u64, StoreError> {
    let record = read_record(meta, CLOCK_RECORD)?;
    let mut reader = Reader::new("the clock", &record);
    let offset = reader.u64()?;
    reader.end()?;
    Ok(offset)
}

/// Runs a call in one durable transaction, which is one block; an error leaves no trace.
pub(crate) fn transact<T, E: From<StoreError> + From<Refusal>>(
    db: &Database,
    now: u64,
    call: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let txn = db.begin_write().map_err(StoreError::from)?;
    let mut tx = Tx::next::<E>(&txn, now)?;
    let result = call(&mut tx)?;
    tx.end_block()?;
    txn.commit().map_err(StoreError::from)?;
    Ok(result)
}

/// Runs a call as [`transact`] does and undoes it.
pub(crate) fn rehearse<T, E: From<StoreError> + From<Refusal>>(
    db: &Database,
    now: u64,
    call: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let txn = db.begin_write().map_err(StoreError::from)?;
    let result = Tx::next(&txn, now).and_then(|mut tx| call(&mut tx));
    txn.abort().map_err(StoreError::from)?;
    result
}

/// Fills a database without a head: block 0, which is not in the journal. The transaction is still to be
/// committed.
pub(crate) fn initialize<E: From<StoreError>>(
    txn: &WriteTransaction,
    head: Head,
    call: impl FnOnce(&mut Tx<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut tx = Tx::begin(txn, head, false)?;
    let clock = 0_u64.to_be_bytes();
    let written = tx.meta.insert(CLOCK_RECORD, clock.as_slice()).map(drop);
    written.map_err(StoreError::from)?;
    call(&mut tx)?;
    tx.finish()?;
    Ok(())
}

/// Undoes the last blocks, as many as asked for or none, and returns the head.
pub(crate) fn undo(db: &Database, blocks: u64) -> Result<Head, L1Error> {
    let txn = db.begin_write()?;
    let mut tx = Tx::resume(&txn)?;
    let window = tx.journal.len()?;
    if blocks > window {
        return Err(Refusal::ReorgTooDeep { blocks, window }.into());
    }
    for _ in 0..blocks {
        let height = tx.head.height;
        if !tx.undo_block()? {
            let what = format!("block {height} of the journal");
            return Err(StoreError::Missing { what }.into());
        }
    }
    let head = tx.head;
    tx.finish()?;
    txn.commit()?;
    Ok(head)
}

/// Moves the clock's offset forward. Not a block; a reorg does not move it back.
pub(crate) fn advance(db: &Database, seconds: u64, limit: u64) -> Result<(), L1Error> {
    let txn = db.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        let offset = read_clock(&meta)?;
        let sum = offset.checked_add(seconds).filter(|sum| *sum < limit);
        let sum = sum.ok_or(Refusal::ClockTooFar {
            offset,
            seconds,
            limit,
        })?;
        meta.insert(CLOCK_RECORD, sum.to_be_bytes().as_slice())?;
    }
    txn.commit()?;
    Ok(())
}

/// A consistent view of the database for reading.
pub(crate) struct Snapshot(Arc<ReadTransaction>);

impl Snapshot {
    pub(crate) fn begin(db: &Database) -> Result<Self, StoreError> {
        Ok(Self(db.begin_read()?))
    }

    pub(crate) fn meta(&self, name: &'static str) -> Result<Vec<u8>, StoreError> {
        read_record(&self.0.open_table(META)?, name)
    }

    pub(crate) fn head(&self) -> Result<Head, StoreError> {
        read_head(&self.0.open_table(META)?)
    }

    /// Seconds that L1's clock is ahead of the system's.
    pub(crate) fn clock(&self) -> Result<u64, StoreError> {
        read_clock(&self.0.open_table(META)?)
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

    pub(crate) fn pending_exits(&self) -> Result<ReadOnlyTable<u32, u64>, StoreError> {
        Ok(self.0.open_table(PENDING_EXITS)?)
    }

    pub(crate) fn totals(&self) -> Result<RecordTable<u32>, StoreError> {
        Ok(self.0.open_table(TOTALS)?)
    }

    pub(crate) fn claimable(&self) -> Result<ReadOnlyTable<ClaimKey, u128>, StoreError> {
        Ok(self.0.open_table(CLAIMABLE)?)
    }

    pub(crate) fn batches(&self) -> Result<RecordTable<u64>, StoreError> {
        Ok(self.0.open_table(BATCHES)?)
    }

    pub(crate) fn keys(&self) -> Result<RecordTable<u16>, StoreError> {
        Ok(self.0.open_table(KEYS)?)
    }

    pub(crate) fn exited(&self) -> Result<ReadOnlyTable<u32, u128>, StoreError> {
        Ok(self.0.open_table(EXITED)?)
    }

    pub(crate) fn cancelled(&self) -> Result<ReadOnlyTable<u64, u128>, StoreError> {
        Ok(self.0.open_table(CANCELLED)?)
    }

    pub(crate) fn tokens(&self) -> Result<RecordTable<u32>, StoreError> {
        Ok(self.0.open_table(TOKENS)?)
    }

    pub(crate) fn deposited(&self) -> Result<ReadOnlyTable<ClaimKey, u32>, StoreError> {
        Ok(self.0.open_table(DEPOSITED)?)
    }

    /// None in a file in which none was kept.
    pub(crate) fn token_displays(
        &self,
    ) -> Result<Option<RecordTable<&'static [u8; 20]>>, StoreError> {
        match self.0.open_table(TOKEN_DISPLAYS) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn journal(&self) -> Result<RecordTable<u64>, StoreError> {
        Ok(self.0.open_table(JOURNAL)?)
    }
}

/// Keeps what a token is shown as, in no block.
pub(crate) fn put_token_display(
    db: &Database,
    token: &Address,
    record: &[u8],
) -> Result<(), StoreError> {
    let txn = db.begin_write()?;
    txn.open_table(TOKEN_DISPLAYS)?.insert(&token.0, record)?;
    txn.commit()?;
    Ok(())
}

/// A table of records, for reading.
pub(crate) type RecordTable<K> = ReadOnlyTable<K, &'static [u8]>;
