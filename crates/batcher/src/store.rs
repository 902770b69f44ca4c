//! The batcher's durable state: one `redb` file.
//!
//! Invariants: what a call acknowledges is on disk when it returns, one transaction a call however
//! many operations it brings (group commit); a file is made whole or not at all; a file of another
//! program, version or deployment, or with damaged pages, is refused when it is opened. What the
//! records mean is left to their modules.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `domain`, `genesis`, `depth`, `head` |
//! | `accounts` | index | key 64, token 4, nonce 8, balance 16 |
//! | `pending` | place in order of arrival | received 8, signed operation 126 |
//! | `verdicts` | operation id | 1 and batch number, or 2 and the reason |
//! | `batches` | batch number | the sealed batch |
//! | `witnesses` | batch number | its witness, until it is finalized |
//! | `proofs` | batch number | its proof |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledger::account::Account;
use ledger::field::Fr;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, StorageError, TableDefinition, WriteTransaction,
};
use thiserror::Error;

use crate::batch::SealedBatch;
use crate::codec::{CodecError, Reader, Writer};
use crate::operation::{OperationId, SignedOperation};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "batcher.redb";

/// Name under which a new file is made before it is whole.
const PARTIAL_NAME: &str = "batcher.redb.partial";

/// Version of the tables and records.
pub const FORMAT: u32 = 1;

type Bytes = &'static [u8];
const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
const ACCOUNTS: TableDefinition<'_, u32, Bytes> = TableDefinition::new("accounts");
const PENDING: TableDefinition<'_, u64, Bytes> = TableDefinition::new("pending");
const VERDICTS: TableDefinition<'_, &[u8; 32], Bytes> = TableDefinition::new("verdicts");
const BATCHES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("batches");
const WITNESSES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("witnesses");
const PROOFS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("proofs");

/// Why a database cannot be made or opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no database.
    #[error("{}: no batcher database there: create or import one first", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is a database already.
    #[error("{}: a batcher database exists there: choose another data directory or open it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{}: in use by another process: stop that process first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{}: not a batcher database ({detail}): check the data directory", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file was made by another version.
    #[error("{}: format {found}, this program reads format {expected}: use the program that made it, or restore from L1", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Format of this program.
        expected: u32,
        /// Format of the file.
        found: u32,
    },
    /// The file is of another deployment.
    #[error("{}: {what} is {found}, this deployment has {expected}: use the data directory of this deployment", path.display())]
    OtherDeployment {
        /// The file.
        path: PathBuf,
        /// Domain, genesis or depth.
        what: &'static str,
        /// This deployment's, in hex.
        expected: String,
        /// The file's, in hex.
        found: String,
    },
    /// Bytes of the file were changed or lost.
    #[error("{}: damaged ({detail}): restore from a copy or from L1", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        detail: String,
    },
    /// The operating system refused.
    #[error("{}: {source}: check that the folder exists and is writable", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The accounts at the beginning do not make a state.
    #[error(transparent)]
    Genesis(#[from] ledger::state::GenesisError),
    /// The settings contradict themselves.
    #[error(transparent)]
    Settings(#[from] crate::batcher::SettingsError),
}

/// Why an open database failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database could not read or write.
    #[error("{}: {source}: nothing that was acknowledged is lost; check the disk and start again", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: Box<redb::Error>,
    },
    /// A record is not what was written.
    #[error("{}: {table} {key}: {source}: restore from a copy or from L1", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Name of the table.
        table: &'static str,
        /// Key of the record.
        key: String,
        /// What is wrong.
        source: CodecError,
    },
    /// An earlier write failed, so memory and disk may differ.
    #[error("{}: an earlier write failed: start again, nothing that was acknowledged is lost", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
}

/// Which deployment a database belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) domain: Fr,
    pub(crate) genesis: [u8; 32],
    pub(crate) depth: u8,
}

/// Where the batcher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Root of the accounts table.
    pub(crate) root: Fr,
    /// Last sealed batch, 0 at the beginning.
    pub(crate) sealed: u64,
    /// Last finalized batch.
    pub(crate) finalized: u64,
    /// Timestamp of the last sealed batch.
    pub(crate) timestamp: u64,
    /// Next entry of the L1 queue to be consumed.
    pub(crate) queue: u64,
}

/// What became of an operation that does not wait any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sealed { batch: u64 },
    Rejected { reason: String },
}

/// Everything that sealing one batch changes on disk.
#[derive(Default)]
pub(crate) struct SealWrites {
    pub(crate) batch: Option<(SealedBatch, Vec<u8>)>,
    pub(crate) accounts: Vec<(u32, Account)>,
    pub(crate) outcomes: Vec<(u64, OperationId, Outcome)>,
}

/// An operation that waited when the database was closed.
pub(crate) struct StoredOperation {
    pub(crate) place: u64,
    pub(crate) received: u64,
    pub(crate) operation: SignedOperation,
}

/// The open file.
pub(crate) struct Store {
    database: Database,
    path: PathBuf,
}

impl Head {
    fn to_bytes(self) -> Vec<u8> {
        let Self {
            root,
            sealed,
            finalized,
            timestamp,
            queue,
        } = self;
        let mut out = Writer::default();
        out.fr(&root);
        for number in [sealed, finalized, timestamp, queue] {
            out.u64(number);
        }
        out.finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("the head", bytes);
        let head = Self {
            root: input.fr("root")?,
            sealed: input.u64()?,
            finalized: input.u64()?,
            timestamp: input.u64()?,
            queue: input.u64()?,
        };
        input.end().map(|()| head)
    }
}

impl Outcome {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Sealed { batch } => {
                out.u8(1);
                out.u64(*batch);
            }
            Self::Rejected { reason } => {
                out.u8(2);
                out.put(reason.as_bytes());
            }
        }
        out.finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("a verdict", bytes);
        match input.u8()? {
            1 => {
                let batch = input.u64()?;
                input.end().map(|()| Self::Sealed { batch })
            }
            2 => {
                let reason = String::from_utf8(input.slice(input.left())?.to_vec());
                let reason = reason.map_err(|error| input.invalid("reason", error))?;
                Ok(Self::Rejected { reason })
            }
            tag => Err(input.invalid("kind", tag)),
        }
    }
}

fn account_to_bytes(account: &Account) -> Vec<u8> {
    let Account {
        key,
        token,
        nonce,
        balance,
    } = account;
    let mut out = Writer::default();
    out.point(key);
    out.u32(*token);
    out.u64(*nonce);
    out.u128(*balance);
    out.finish()
}

fn account_from_bytes(bytes: &[u8]) -> Result<Account, CodecError> {
    let mut input = Reader::new("an account", bytes);
    let account = Account {
        key: input.point("key")?,
        token: input.u32()?,
        nonce: input.u64()?,
        balance: input.u128()?,
    };
    input.end().map(|()| account)
}

impl Store {
    /// Makes the file with its first accounts: under another name until it is whole and on disk.
    pub(crate) fn create<'a>(
        folder: &Path,
        identity: &Identity,
        root: Fr,
        accounts: impl Iterator<Item = (u32, &'a Account)>,
    ) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        if path.exists() {
            return Err(OpenError::Exists { path });
        }
        let partial = folder.join(PARTIAL_NAME);
        let io_error = |source| OpenError::Io {
            path: partial.clone(),
            source,
        };
        if partial.exists() {
            fs::remove_file(&partial).map_err(io_error)?;
        }
        let database = Builder::new().create(&partial);
        let database = database.map_err(|error| open_error(&partial, error))?;
        let store = Self { database, path };
        store
            .write(|tx| store_genesis(tx, identity, root, accounts))
            .map_err(|error| store_to_open_error(&partial, error))?;
        // Why: a hard link, unlike a rename, never replaces a file that came into being meanwhile.
        fs::hard_link(&partial, &store.path)
            .and_then(|()| fs::remove_file(&partial))
            .and_then(|()| fs::File::open(folder)?.sync_all())
            .map_err(io_error)?;
        Ok(store)
    }

    /// Opens the file, checks all of its pages and that it is this deployment's.
    pub(crate) fn open(folder: &Path, identity: &Identity) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Missing { path });
            }
            Err(source) => return Err(OpenError::Io { path, source }),
            Ok(found) if found.len() == 0 => {
                let detail = "the file is empty".to_owned();
                return Err(OpenError::NotADatabase { path, detail });
            }
            Ok(_) => {}
        }
        let database = Builder::new().set_check_integrity_on_open(true).open(&path);
        let database = database.map_err(|error| open_error(&path, error))?;
        let store = Self { database, path };
        store.check_identity(identity)?;
        Ok(store)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn check_identity(&self, identity: &Identity) -> Result<(), OpenError> {
        let meta = |name: &'static str| self.meta(name);
        let format = meta("format")?;
        let found = <[u8; 4]>::try_from(format.as_slice());
        let found = found.map_err(|_| self.damaged("format is not four bytes"))?;
        let found = u32::from_be_bytes(found);
        let (path, expected) = (self.path.clone(), FORMAT);
        if found != expected {
            return Err(OpenError::Version {
                path,
                expected,
                found,
            });
        }
        for (what, expected) in identity_rows(identity) {
            let found = meta(what)?;
            if found != expected {
                return Err(OpenError::OtherDeployment {
                    path,
                    what,
                    expected: hex::encode(expected),
                    found: hex::encode(found),
                });
            }
        }
        Ok(())
    }

    /// A row of `meta`, which every batcher database has.
    fn meta(&self, name: &str) -> Result<Vec<u8>, OpenError> {
        let row = self.read(|tx| {
            let row = tx.open_table(META)?.get(name)?;
            Ok(row.map(|row| row.value().to_vec()))
        });
        let missing = || OpenError::NotADatabase {
            path: self.path.clone(),
            detail: format!("it has no {name}"),
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
        OpenError::Damaged {
            path: self.path.clone(),
            detail: detail.to_string(),
        }
    }

    pub(crate) fn head(&self) -> Result<Head, OpenError> {
        Head::from_bytes(&self.meta("head")?).map_err(|error| self.damaged(error))
    }

    /// All accounts, by index.
    pub(crate) fn accounts(&self) -> Result<Vec<(u32, Account)>, OpenError> {
        let rows = self.read(|tx| {
            let table = tx.open_table(ACCOUNTS)?;
            let rows = table.iter()?.map(|row| {
                let (index, account) = row?;
                Ok((index.value(), account_from_bytes(account.value())))
            });
            rows.collect::<Result<Vec<_>, StorageError>>()
                .map_err(redb::Error::from)
        });
        rows.map_err(|error| self.damaged(error))?
            .into_iter()
            .map(|(index, account)| {
                let account =
                    account.map_err(|error| self.damaged(format!("account {index}: {error}")))?;
                Ok((index, account))
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

    /// Writes operations that are to be acknowledged.
    pub(crate) fn add_pending(
        &self,
        rows: &[(u64, u64, SignedOperation)],
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut table = tx.open_table(PENDING)?;
            for (place, received, operation) in rows {
                let mut out = Writer::default();
                out.u64(*received);
                let bytes = operation.to_bytes();
                out.put(&bytes.expect("the fields of a verified operation have 40 bits"));
                table.insert(place, out.finish().as_slice())?;
            }
            Ok(())
        })
    }

    /// Writes sealed batches and what became of operations, with the head that results.
    pub(crate) fn add_seals(&self, seals: &[SealWrites], head: &Head) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut accounts = tx.open_table(ACCOUNTS)?;
            let mut pending = tx.open_table(PENDING)?;
            let mut verdicts = tx.open_table(VERDICTS)?;
            let mut batches = tx.open_table(BATCHES)?;
            let mut witnesses = tx.open_table(WITNESSES)?;
            for seal in seals {
                for (index, account) in &seal.accounts {
                    accounts.insert(index, account_to_bytes(account).as_slice())?;
                }
                for (place, id, outcome) in &seal.outcomes {
                    pending.remove(place)?;
                    verdicts.insert(&id.0, outcome.to_bytes().as_slice())?;
                }
                if let Some((batch, witness)) = &seal.batch {
                    batches.insert(batch.number(), batch.to_record().as_slice())?;
                    witnesses.insert(batch.number(), witness.as_slice())?;
                }
            }
            put_head(tx, head)
        })
    }

    pub(crate) fn add_proof(&self, number: u64, proof: &[u8]) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.open_table(PROOFS)?.insert(number, proof)?;
            Ok(())
        })
    }

    /// Writes the head after a batch was finalized; its witness is of no use any more.
    pub(crate) fn finalize(&self, number: u64, head: &Head) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.open_table(WITNESSES)?.remove(number)?;
            put_head(tx, head)
        })
    }

    pub(crate) fn outcome(&self, id: &OperationId) -> Result<Option<Outcome>, StoreError> {
        let bytes = self.get(|tx| Ok(value(tx.open_table(VERDICTS)?.get(&id.0)?)))?;
        let outcome = bytes.map(|bytes| Outcome::from_bytes(&bytes)).transpose();
        outcome.map_err(|error| self.record("verdict", id, error))
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
            path: self.path.clone(),
            table,
            key: key.to_string(),
            source,
        }
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        body(&self.database.begin_read()?)
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
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            body(&transaction)?;
            Ok(transaction.commit()?)
        };
        write().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: redb::Error) -> StoreError {
        StoreError::Database {
            path: self.path.clone(),
            source: Box::new(source),
        }
    }
}

fn value(guard: Option<redb::AccessGuard<'_, Bytes>>) -> Option<Vec<u8>> {
    guard.map(|guard| guard.value().to_vec())
}

fn put_head(tx: &WriteTransaction, head: &Head) -> Result<(), redb::Error> {
    tx.open_table(META)?
        .insert("head", head.to_bytes().as_slice())?;
    Ok(())
}

fn identity_rows(identity: &Identity) -> [(&'static str, Vec<u8>); 3] {
    let Identity {
        domain,
        genesis,
        depth,
    } = identity;
    let domain = ledger::field::to_be_bytes(domain).to_vec();
    [
        ("domain", domain),
        ("genesis", genesis.to_vec()),
        ("depth", vec![*depth]),
    ]
}

fn store_genesis<'a>(
    tx: &WriteTransaction,
    identity: &Identity,
    root: Fr,
    accounts: impl Iterator<Item = (u32, &'a Account)>,
) -> Result<(), redb::Error> {
    let mut meta = tx.open_table(META)?;
    meta.insert("format", FORMAT.to_be_bytes().as_slice())?;
    for (name, bytes) in identity_rows(identity) {
        meta.insert(name, bytes.as_slice())?;
    }
    drop(meta);
    let mut table = tx.open_table(ACCOUNTS)?;
    for (index, account) in accounts {
        table.insert(index, account_to_bytes(account).as_slice())?;
    }
    drop(table);
    let tables = [BATCHES, WITNESSES, PROOFS, PENDING];
    tables
        .into_iter()
        .try_for_each(|table| tx.open_table(table).map(drop))?;
    tx.open_table(VERDICTS).map(drop)?;
    let head = Head {
        root,
        sealed: 0,
        finalized: 0,
        timestamp: 0,
        queue: 0,
    };
    put_head(tx, &head)
}

fn stored_operation(place: u64, bytes: &[u8]) -> Result<StoredOperation, CodecError> {
    let mut input = Reader::new("an operation", bytes);
    let received = input.u64()?;
    let operation = SignedOperation::from_bytes(input.slice(input.left())?)
        .map_err(|error| input.invalid("bytes", error))?;
    Ok(StoredOperation {
        place,
        received,
        operation,
    })
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path }
        }
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            let detail = error.to_string();
            OpenError::NotADatabase { path, detail }
        }
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != io::ErrorKind::UnexpectedEof =>
        {
            OpenError::Io { path, source }
        }
        DatabaseError::UpgradeRequired(version) => OpenError::NotADatabase {
            path,
            detail: format!("file format {version} of redb is too old"),
        },
        other => OpenError::Damaged {
            path,
            detail: other.to_string(),
        },
    }
}

fn store_to_open_error(path: &Path, error: StoreError) -> OpenError {
    match error {
        StoreError::Database { source, .. } => match *source {
            redb::Error::Io(source) => OpenError::Io {
                path: path.to_owned(),
                source,
            },
            other => OpenError::Damaged {
                path: path.to_owned(),
                detail: other.to_string(),
            },
        },
        other => OpenError::Damaged {
            path: path.to_owned(),
            detail: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_outcomes_round_trip() {
        let head = Head {
            root: Fr::from(7u64),
            sealed: 1,
            finalized: 2,
            timestamp: 3,
            queue: 4,
        };
        assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        for outcome in [
            Outcome::Sealed { batch: 9 },
            Outcome::Rejected {
                reason: "no".to_owned(),
            },
        ] {
            assert_eq!(Outcome::from_bytes(&outcome.to_bytes()), Ok(outcome));
        }
        assert!(Outcome::from_bytes(&[3]).is_err());
        assert!(Outcome::from_bytes(&[]).is_err());
    }
}
