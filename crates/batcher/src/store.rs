//! The batcher's durable state: one `redb` file.
//!
//! Invariants: what a call acknowledges is on disk when it returns, one transaction a call however
//! many operations it brings (group commit); a file is made whole or not at all; a file of another
//! program, version or deployment, or with damaged pages, is refused as far as `storage` checks them; a
//! call whose write fails leaves the file as before or as after, never between. One process writes at
//! a time, and any number read beside it: a reader sees the file as it was at one moment. What the
//! records mean is left to their modules.

use std::collections::BTreeMap;
use std::path::Path;

use ledger::account::Account;
use ledger::field::Fr;
use ledger::state::State;
use ledger::tree::Tree;
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, StorageBackend, StorageError,
    WriteTransaction,
};
use storage::{BeginError, CodecError, Contents, Database, Pages};

use crate::error::{OpenError, StoreError};
use crate::operation::OperationId;
use crate::role::Role;
use crate::rows::{
    BatchTimes, Head, Identity, StoredOperation, StoredOutcome, account_from_bytes,
    domain_from_bytes, group_from_bytes, identity_rows, stored_operation,
};
use crate::tables::{
    ACCOUNTS, BATCHES, Bytes, Changes, FORMAT, FinalizedWrites, META, NEXT_PLACE, NODES,
    NewOutcome, OPERATOR, PENDING, PROOFS, RETURNED, ROLE, ReopenWrites, SealWrites, TIMES, UNDO,
    VERDICTS, WITNESSES, add_batch, forget_undo, node_key, put_finalized, put_head, put_meta,
    put_outcomes, put_pending, put_times,
};
use crate::undo::{Returned, Undo};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "batcher.redb";

/// What the file is, for messages.
pub(crate) static CONTENTS: Contents = Contents {
    name: "batcher database",
    version: FORMAT,
    if_missing: "make one with `quire init` or `quire import`, or from L1 with `quire restore`",
    if_taken: "choose another data directory or open it",
    if_other_version: "use the program that made it, or restore from L1",
    if_damaged: "restore from a copy or from L1",
};

/// The open file.
pub(crate) struct Store {
    database: Database,
}

impl Store {
    /// Opens the database in a folder, checks all of its pages and that it is this deployment's.
    pub(crate) fn open(folder: &Path, identity: &Identity) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        Self::of(Database::open(&path, &CONTENTS, Pages::Verified)?).of_deployment(identity)
    }

    /// [`Self::open`] on other storage, for tests with storage that fails.
    pub(crate) fn open_on(
        storage: impl StorageBackend,
        identity: &Identity,
    ) -> Result<Self, OpenError> {
        let database = Database::open_on(storage, Path::new(FILE_NAME), &CONTENTS)?;
        Self::of(database).of_deployment(identity)
    }

    /// As [`Self::open`], without a look at every page: for one write after the database was open.
    pub(crate) fn open_again(folder: &Path, identity: &Identity) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        Self::of(Database::open(&path, &CONTENTS, Pages::Trusted)?).of_deployment(identity)
    }

    /// Opens the database to read it as it is now, beside a process that may write it.
    pub(crate) fn open_to_read(folder: &Path, identity: &Identity) -> Result<Self, OpenError> {
        Self::reader(&folder.join(FILE_NAME))?.of_deployment(identity)
    }

    /// The database in a file, of whatever deployment.
    pub(crate) fn reader(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::of(Database::open_to_read(path, &CONTENTS)?))
    }

    /// A database that is open.
    pub(crate) fn of(database: Database) -> Self {
        Self { database }
    }

    fn of_deployment(self, identity: &Identity) -> Result<Self, OpenError> {
        self.check_identity(identity)?;
        Ok(self)
    }

    /// Refuses what would be written to a database that was opened for reading.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        match self.database.is_writable() {
            true => Ok(()),
            false => Err(self.read_only()),
        }
    }

    fn read_only(&self) -> StoreError {
        let path = self.path().to_owned();
        StoreError::ReadOnly { path }
    }

    pub(crate) fn path(&self) -> &Path {
        self.database.path()
    }

    /// The number of the deployment that the database is of, see [`Identity`].
    pub(crate) fn domain(&self) -> Result<Fr, OpenError> {
        let bytes = self.meta("domain")?;
        domain_from_bytes(&bytes).map_err(|error| self.damaged(error))
    }

    fn check_identity(&self, identity: &Identity) -> Result<(), OpenError> {
        self.check_format()?;
        for (what, expected) in identity_rows(identity) {
            let found = self.meta(what)?;
            if found != expected {
                return Err(OpenError::OtherDeployment {
                    path: self.path().to_owned(),
                    what,
                    expected: hex::encode(expected),
                    found: hex::encode(found),
                });
            }
        }
        Ok(())
    }

    /// Refuses a file of another version.
    pub(crate) fn check_format(&self) -> Result<(), OpenError> {
        Ok(self.database.check_version(&self.meta("format")?)?)
    }

    /// Whose database it is, if that is kept.
    pub(crate) fn role(&self) -> Result<Option<Role>, OpenError> {
        let row = self.meta_row(ROLE).map_err(|error| self.damaged(error))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let role = match row.as_slice() {
            [byte] => Role::from_byte(*byte),
            _ => None,
        };
        let unknown = "the role is none of the operator's, a taker's and a mirror's";
        role.map(Some).ok_or_else(|| self.damaged(unknown))
    }

    /// Keeps whose database it is.
    pub(crate) fn set_role(&self, role: Role) -> Result<(), StoreError> {
        self.write(|tx| put_meta(tx, ROLE, &[role.to_byte()]))
    }

    /// Address of the operator whose database it is, if that is kept.
    pub(crate) fn operator(&self) -> Result<Option<[u8; 20]>, OpenError> {
        let row = self.meta_row(OPERATOR);
        let row = row.map_err(|error| self.damaged(error))?;
        let address = row.map(<[u8; 20]>::try_from).transpose();
        address.map_err(|_| self.damaged("the operator's address is not twenty bytes"))
    }

    /// Keeps that the database is this operator's.
    pub(crate) fn set_operator(&self, address: &[u8; 20]) -> Result<(), StoreError> {
        self.write(|tx| {
            put_meta(tx, ROLE, &[Role::Operator.to_byte()])?;
            put_meta(tx, OPERATOR, address)
        })
    }

    fn meta_row(&self, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        self.read(|tx| {
            let row = tx.open_table(META)?.get(name)?;
            Ok(row.map(|row| row.value().to_vec()))
        })
    }

    /// A row of `meta`, which every batcher database has.
    fn meta(&self, name: &str) -> Result<Vec<u8>, OpenError> {
        let row = self.meta_row(name);
        let missing = || {
            self.database
                .not_a_database(format!("it has no {name}"))
                .into()
        };
        match row {
            Ok(row) => row.ok_or_else(missing),
            Err(redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
                Err(missing())
            }
            Err(error) => Err(self.damaged(error)),
        }
    }

    pub(crate) fn damaged(&self, detail: impl ToString) -> OpenError {
        self.database.damaged(detail).into()
    }

    pub(crate) fn head(&self) -> Result<Head, OpenError> {
        Head::from_bytes(&self.meta("head")?).map_err(|error| self.damaged(error))
    }

    /// Where the next operation to arrive is placed.
    pub(crate) fn next_place(&self) -> Result<u64, OpenError> {
        let bytes = self.meta(NEXT_PLACE)?;
        let bytes = <[u8; 8]>::try_from(bytes.as_slice());
        let bytes = bytes.map_err(|_| self.damaged("next place is not eight bytes"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Accounts and tree; the two tables are read side by side.
    pub(crate) fn state(&self, depth: u8) -> Result<State, OpenError> {
        let (accounts, groups) = rayon::join(|| self.accounts(), || self.groups(depth));
        let state = State::from_stored(depth, accounts?, groups?);
        state.map_err(|error| self.damaged(error))
    }

    fn accounts(&self) -> Result<BTreeMap<u32, Account>, OpenError> {
        let rows = self.read(|tx| {
            let table = tx.open_table(ACCOUNTS)?;
            let rows = table.iter()?.map(|row| {
                let (index, account) = row?;
                let (index, account) = (index.value(), account_from_bytes(account.value()));
                Ok(account
                    .map(|account| (index, account))
                    .map_err(|error| self.damaged(format!("account {index}: {error}"))))
            });
            rows.collect::<Result<Result<_, _>, StorageError>>()
                .map_err(redb::Error::from)
        });
        rows.map_err(|error| self.damaged(error))?
    }

    /// The tree's groups by level, from the leaves to the first level that is hashed.
    fn groups(&self, depth: u8) -> Result<Vec<BTreeMap<u32, [Fr; 4]>>, OpenError> {
        let levels = 0..=Tree::first_hashed_level(depth);
        levels.map(|level| self.level(level)).collect()
    }

    fn level(&self, level: u8) -> Result<BTreeMap<u32, [Fr; 4]>, OpenError> {
        let rows = self.read(|tx| {
            let table = tx.open_table(NODES)?;
            let rows = table.range(node_key(level, 0)..=node_key(level, u32::MAX))?;
            let rows = (rows).map(|row| {
                let (key, group) = row?;
                let group = group_from_bytes(group.value());
                let position = u32::try_from(key.value() - node_key(level, 0));
                let position = position.expect("the key is of the level");
                Ok(group.map(|group| (position, group)).map_err(|error| {
                    self.damaged(format!("group {position} of level {level}: {error}"))
                }))
            });
            rows.collect::<Result<Result<_, _>, StorageError>>()
                .map_err(redb::Error::from)
        });
        rows.map_err(|error| self.damaged(error))?
    }

    /// Batches that were undone and are to be sealed again, in order.
    pub(crate) fn returned(&self) -> Result<Vec<(u64, Returned)>, OpenError> {
        let rows = self.read(|tx| {
            let table = tx.open_table(RETURNED)?;
            let rows = table.iter()?.map(|row| {
                let (key, bytes) = row?;
                Ok((key.value(), bytes.value().to_vec()))
            });
            rows.collect::<Result<Vec<_>, StorageError>>()
                .map_err(redb::Error::from)
        });
        rows.map_err(|error| self.damaged(error))?
            .into_iter()
            .map(|(key, bytes)| {
                let returned = Returned::from_record(&bytes);
                let returned = returned.map_err(|error| self.damaged(error))?;
                Ok((key, returned))
            })
            .collect()
    }

    /// All operations that wait, in order of arrival.
    pub(crate) fn pending(&self) -> Result<Vec<StoredOperation>, OpenError> {
        let rows = self.read(|tx| {
            let table = tx.open_table(PENDING)?;
            let rows = table.iter()?.map(|row| {
                let (place, bytes) = row?;
                Ok((place.value(), bytes.value().to_vec()))
            });
            rows.collect::<Result<Vec<_>, StorageError>>()
                .map_err(redb::Error::from)
        });
        rows.map_err(|error| self.damaged(error))?
            .into_iter()
            .map(|(place, bytes)| {
                stored_operation(place, &bytes)
                    .map_err(|error| self.damaged(format!("operation {place}: {error}")))
            })
            .collect()
    }

    /// Writes operations that are to be acknowledged, what became of those that they replace, and
    /// where the next one is placed.
    pub(crate) fn add_pending(
        &self,
        rows: &[StoredOperation],
        replaced: &[NewOutcome],
        next_place: u64,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            put_outcomes(tx, replaced)?;
            put_pending(tx, rows)?;
            put_meta(tx, NEXT_PLACE, &next_place.to_be_bytes())
        })
    }

    /// Writes sealed batches and what became of operations, with accounts, nodes and head that
    /// result.
    pub(crate) fn add_seals(
        &self,
        seals: &[SealWrites],
        changes: &Changes,
        head: &Head,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            changes.write(tx)?;
            for seal in seals {
                put_outcomes(tx, &seal.outcomes)?;
                if let Some(key) = seal.returned {
                    tx.open_table(RETURNED)?.remove(key)?;
                }
                if let Some(new) = &seal.batch {
                    add_batch(tx, new)?;
                }
            }
            put_head(tx, head)
        })
    }

    /// Writes batches that L1 has finalized and that were not sealed here, and what became of
    /// operations, with accounts, nodes and head that result.
    pub(crate) fn add_finalized(
        &self,
        batches: &[FinalizedWrites],
        kept: u64,
        changes: &Changes,
        head: &Head,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            changes.write(tx)?;
            for writes in batches {
                put_finalized(tx, writes, kept)?;
            }
            put_head(tx, head)
        })
    }

    pub(crate) fn add_proof(
        &self,
        number: u64,
        proof: &[u8],
        times: BatchTimes,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.open_table(PROOFS)?.insert(number, proof)?;
            put_times(tx, number, times)
        })
    }

    /// Writes the head after a batch was finalized, and what became of operations by that. Its
    /// witness is of no use any more, nor is what it takes to undo the batch that leaves the window
    /// of `kept` batches.
    pub(crate) fn finalize(
        &self,
        number: u64,
        kept: u64,
        (times, outcomes): (BatchTimes, &[NewOutcome]),
        head: &Head,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.open_table(WITNESSES)?.remove(number)?;
            forget_undo(tx, number, kept)?;
            put_outcomes(tx, outcomes)?;
            put_times(tx, number, times)?;
            put_head(tx, head)
        })
    }

    /// Writes the head after L1 lost finalized batches.
    pub(crate) fn roll_back(
        &self,
        times: &[(u64, BatchTimes)],
        head: &Head,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            for (number, times) in times {
                put_times(tx, *number, *times)?;
            }
            put_head(tx, head)
        })
    }

    /// Undoes batches.
    pub(crate) fn reopen(&self, writes: &ReopenWrites) -> Result<(), StoreError> {
        self.write(|tx| {
            for number in writes.batches.clone() {
                for table in [BATCHES, TIMES, WITNESSES, PROOFS, UNDO] {
                    tx.open_table(table)?.remove(number)?;
                }
            }
            writes.changes.write(tx)?;
            let mut verdicts = tx.open_table(VERDICTS)?;
            for (id, _) in &writes.operations {
                verdicts.remove(&id.0)?;
            }
            drop(verdicts);
            let operations = writes.operations.iter().map(|(_, operation)| operation);
            put_pending(tx, operations)?;
            let mut returned = tx.open_table(RETURNED)?;
            for (key, batch) in &writes.returned {
                returned.insert(key, batch.to_record().as_slice())?;
            }
            drop(returned);
            put_head(tx, &writes.head)
        })
    }

    pub(crate) fn times(&self, number: u64) -> Result<BatchTimes, StoreError> {
        let bytes = self.get(|tx| Ok(value(tx.open_table(TIMES)?.get(number)?)))?;
        let Some(bytes) = bytes else {
            return Ok(BatchTimes::default());
        };
        BatchTimes::from_bytes(&bytes).map_err(|error| self.record("times", number, error))
    }

    pub(crate) fn undo(&self, number: u64) -> Result<Option<Undo>, StoreError> {
        let bytes = self.get(|tx| Ok(value(tx.open_table(UNDO)?.get(number)?)))?;
        let undo = bytes.map(|bytes| Undo::from_record(&bytes)).transpose();
        undo.map_err(|error| self.record("undo", number, error))
    }

    pub(crate) fn outcome(&self, id: &OperationId) -> Result<Option<StoredOutcome>, StoreError> {
        let bytes = self.get(|tx| Ok(value(tx.open_table(VERDICTS)?.get(&id.0)?)))?;
        let outcome = bytes.map(|bytes| StoredOutcome::from_bytes(&bytes));
        (outcome.transpose()).map_err(|error| self.record("verdict", id, error))
    }

    pub(crate) fn batch(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(|tx| Ok(value(tx.open_table(BATCHES)?.get(number)?)))
    }

    pub(crate) fn witness(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(|tx| Ok(value(tx.open_table(WITNESSES)?.get(number)?)))
    }

    pub(crate) fn proof(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(|tx| Ok(value(tx.open_table(PROOFS)?.get(number)?)))
    }

    /// Batches that have a proof and are not finalized.
    pub(crate) fn proofs_after(&self, finalized: u64) -> Result<Vec<u64>, StoreError> {
        self.get(|tx| {
            let table = tx.open_table(PROOFS)?;
            let rows = table.range(finalized.saturating_add(1)..)?;
            let numbers = rows.map(|row| row.map(|(number, _)| number.value()));
            Ok(numbers.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// What it takes to undo batches from `first` on, by number.
    pub(crate) fn undo_from(&self, first: u64) -> Result<Vec<(u64, Undo)>, StoreError> {
        let rows = self.get(|tx| {
            let table = tx.open_table(UNDO)?;
            let rows = table.range(first..)?;
            let rows =
                rows.map(|row| row.map(|(number, undo)| (number.value(), undo.value().to_vec())));
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        let undo = |(number, bytes): (u64, Vec<u8>)| {
            let undo = Undo::from_record(&bytes);
            let undo = undo.map_err(|error| self.record("undo", number, error))?;
            Ok((number, undo))
        };
        rows.into_iter().map(undo).collect()
    }

    /// Bytes of all witnesses that are held.
    pub(crate) fn witness_bytes(&self) -> Result<u64, StoreError> {
        self.get(|tx| {
            let stats = tx.open_table(WITNESSES)?.stats()?;
            Ok(stats.stored_bytes())
        })
    }

    pub(crate) fn record(
        &self,
        table: &'static str,
        key: impl ToString,
        source: CodecError,
    ) -> StoreError {
        StoreError::Record {
            path: self.path().to_owned(),
            table,
            key: key.to_string(),
            source,
        }
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        body(&*self.database.begin_read()?)
    }

    fn get<T>(
        &self,
        body: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.read(body).map_err(|source| self.failed(source))
    }

    /// One durable transaction: all of it or nothing.
    fn write(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let begun = self.database.begin_write();
        let transaction = begun.map_err(|error| match error {
            BeginError::ReadOnly => self.read_only(),
            BeginError::Database(error) => self.failed(error.into()),
        })?;
        let write = || -> Result<(), redb::Error> {
            body(&transaction)?;
            Ok(transaction.commit()?)
        };
        write().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: redb::Error) -> StoreError {
        StoreError::Database {
            path: self.path().to_owned(),
            source: Box::new(source),
        }
    }
}

fn value(guard: Option<redb::AccessGuard<'_, Bytes>>) -> Option<Vec<u8>> {
    guard.map(|guard| guard.value().to_vec())
}
