//! The batcher's durable state: one `redb` file.
//!
//! Invariants: what a call acknowledges is on disk when it returns, one transaction a call however
//! many operations it brings (group commit); a file is made whole or not at all; a file of another
//! program, version or deployment, or with damaged pages, is refused when it is opened for writing; a
//! call whose write fails leaves the file as before or as after, never between. One process writes at
//! a time, and any number read beside it: a reader sees the file as it was at one moment. What the
//! records mean is left to their modules.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `domain`, `genesis`, `depth`, `head`, `next place`, `role` |
//! | `accounts` | index | key 64, token 4, nonce 8, balance 16 |
//! | `nodes` | level·2^32 + group | the group's four nodes; the top seven levels are hashed at start |
//! | `pending` | place in order of arrival | received 8, signed operation 126 |
//! | `verdicts` | operation id | 1, received 8, batch number 8; or 2, received 8, the reason |
//! | `batches` | batch number | the sealed batch |
//! | `times` | batch number | when it was sealed, proven, finalized: 0 or 1 and 8 each |
//! | `witnesses` | batch number | its witness, until it is finalized |
//! | `proofs` | batch number | its proof |
//! | `undo` | batch number | what it takes to undo the batch |
//! | `returned` | order of sealing | a batch that was undone and is to be sealed again |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use files::{FileError, FolderDraft};
use ledger::account::Account;
use ledger::field::Fr;
use ledger::operation::SIGNED_BYTES;
use ledger::state::State;
use ledger::tree::Tree;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend, StorageError,
    TableDefinition, WriteTransaction,
};
use thiserror::Error;

use crate::batch::SealedBatch;
use crate::batcher::Role;
use crate::codec::{CodecError, Reader, Writer};
use crate::operation::{OperationId, SignedOperation};
use crate::undo::{Returned, Undo};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "batcher.redb";

/// Version of the tables and records.
pub const FORMAT: u32 = 2;

type Bytes = &'static [u8];
const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
const ACCOUNTS: TableDefinition<'_, u32, Bytes> = TableDefinition::new("accounts");
const PENDING: TableDefinition<'_, u64, Bytes> = TableDefinition::new("pending");
const VERDICTS: TableDefinition<'_, &[u8; 32], Bytes> = TableDefinition::new("verdicts");
const BATCHES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("batches");
const WITNESSES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("witnesses");
const PROOFS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("proofs");
const NODES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("nodes");
const TIMES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("times");
const UNDO: TableDefinition<'_, u64, Bytes> = TableDefinition::new("undo");
const RETURNED: TableDefinition<'_, u64, Bytes> = TableDefinition::new("returned");

/// Why a database cannot be made or opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no database.
    #[error("{}: no batcher database there: make one with `quire init` or `quire import`, or from L1 with `quire restore`", path.display())]
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
    /// Another process has it open for writing.
    #[error("{}: in use by another process: wait until it has ended, or stop it", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The process that wrote it was killed, and only one that may write can mend that.
    #[error("{}: the process that wrote it was killed: run a command that writes, such as `quire seal`, as a user who may write it", path.display())]
    Unclean {
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

impl From<FileError> for OpenError {
    fn from(error: FileError) -> Self {
        Self::Io {
            path: error.path,
            source: error.source,
        }
    }
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
    /// The database was opened for reading.
    #[error("{}: opened for reading only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// An earlier write failed, so memory and disk may differ.
    #[error("{}: an earlier write failed: start again, nothing that was acknowledged is lost", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
}

/// Name of the row of `meta` with the next operation's place.
const NEXT_PLACE: &str = "next place";
/// Name of the row of `meta` with the role, which older files lack.
const ROLE: &str = "role";
const OPERATORS: u8 = 1;
const MIRROR: u8 = 2;
const TAKERS: u8 = 3;

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

/// An outcome, and when the operation was received, in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) received: u64,
    /// The account, if the operation is a withdrawal.
    pub(crate) withdrawn_from: Option<u32>,
    pub(crate) outcome: Outcome,
}

/// When a batch took its steps, in seconds since 1970; `None` if it has not, or if nobody here
/// knows, as after a restoration from L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTimes {
    /// When it was sealed.
    pub sealed: Option<u64>,
    /// When its proof was recorded.
    pub proven: Option<u64>,
    /// When L1 accepted it.
    pub finalized: Option<u64>,
}

/// A sealed batch with what is written beside it.
pub(crate) struct NewBatch {
    pub(crate) batch: SealedBatch,
    pub(crate) witness: Vec<u8>,
    pub(crate) undo: Undo,
    /// Seconds since 1970.
    pub(crate) sealed: u64,
}

/// An operation that does not wait any more: its place, its id, and what became of it.
pub(crate) type NewOutcome = (u64, OperationId, Settled);

/// Everything that sealing one batch changes on disk, apart from accounts and nodes.
#[derive(Default)]
pub(crate) struct SealWrites {
    pub(crate) batch: Option<NewBatch>,
    pub(crate) outcomes: Vec<NewOutcome>,
    /// Key of the returned batch that this was made of.
    pub(crate) returned: Option<u64>,
}

/// A batch that L1 has finalized and that was not sealed here, with what is written beside it.
pub(crate) struct FinalizedWrites {
    pub(crate) batch: SealedBatch,
    pub(crate) proof: Vec<u8>,
    /// When L1 accepted it, in seconds since 1970.
    pub(crate) time: u64,
    pub(crate) undo: Undo,
    pub(crate) outcomes: Vec<NewOutcome>,
}

/// Accounts and nodes as they are after a change; `None` is gone.
#[derive(Default)]
pub(crate) struct Changes {
    accounts: Vec<(u32, Option<Account>)>,
    nodes: Vec<(u64, Option<[Fr; 4]>)>,
}

/// Everything that undoing batches changes on disk.
pub(crate) struct ReopenWrites {
    pub(crate) batches: RangeInclusive<u64>,
    pub(crate) changes: Changes,
    /// Operations that wait again.
    pub(crate) operations: Vec<(OperationId, StoredOperation)>,
    pub(crate) returned: Vec<(u64, Returned)>,
    pub(crate) head: Head,
}

/// An operation with its place in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredOperation {
    pub(crate) place: u64,
    pub(crate) received: u64,
    pub(crate) operation: SignedOperation,
}

/// The open file.
pub(crate) struct Store {
    access: Access,
    path: PathBuf,
}

/// What may be done with the file.
enum Access {
    /// This process alone writes.
    Writer(Database),
    /// The file as it was when it was opened, whatever another process writes meanwhile.
    Reader {
        /// Why first: it ends before its database.
        transaction: ReadTransaction,
        _database: ReadOnlyDatabase,
    },
}

/// One process writes, others may read beside it.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

impl Head {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
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

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
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

impl Settled {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(match self.outcome {
            Outcome::Sealed { .. } => 1,
            Outcome::Rejected { .. } => 2,
        });
        out.u64(self.received);
        out.u32(self.withdrawn_from.unwrap_or(0));
        match &self.outcome {
            Outcome::Sealed { batch } => out.u64(*batch),
            Outcome::Rejected { reason } => out.put(reason.as_bytes()),
        }
        out.finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("a verdict", bytes);
        let tag = input.u8()?;
        let received = input.u64()?;
        // Index 0 is no account.
        let withdrawn_from = Some(input.u32()?).filter(|index| *index != 0);
        let outcome = match tag {
            1 => Outcome::Sealed {
                batch: input.u64()?,
            },
            2 => {
                let reason = String::from_utf8(input.slice(input.left())?.to_vec());
                let reason = reason.map_err(|error| input.invalid("reason", error))?;
                Outcome::Rejected { reason }
            }
            tag => return Err(input.invalid("kind", tag)),
        };
        input.end()?;
        Ok(Self {
            received,
            withdrawn_from,
            outcome,
        })
    }
}

impl BatchTimes {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self {
            sealed,
            proven,
            finalized,
        } = self;
        let mut out = Writer::default();
        for time in [sealed, proven, finalized] {
            out.u8(u8::from(time.is_some()));
            out.u64(time.unwrap_or(0));
        }
        out.finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("a batch's times", bytes);
        let mut time = || match (input.u8()?, input.u64()?) {
            (0, 0) => Ok(None),
            (1, time) => Ok(Some(time)),
            (tag, _) => Err(input.invalid("time", tag)),
        };
        let times = Self {
            sealed: time()?,
            proven: time()?,
            finalized: time()?,
        };
        input.end().map(|()| times)
    }
}

impl StoredOperation {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.received);
        let bytes = self.operation.to_bytes();
        out.put(&bytes.expect("the fields of a verified operation have 40 bits"));
    }
}

impl Changes {
    /// The accounts at these indices and the nodes over them, as the state has them.
    pub(crate) fn of(state: &State, touched: &BTreeSet<u32>) -> Self {
        let accounts = touched
            .iter()
            .map(|index| (*index, state.account(*index).copied()))
            .collect();
        let mut nodes = Vec::new();
        let mut groups: BTreeSet<u32> = touched.iter().map(|index| index >> 2).collect();
        for level in 0..=Tree::first_hashed_level(state.depth()) {
            for group in &groups {
                let stored = state.tree().stored_group(level, *group);
                nodes.push((node_key(level, *group), stored.copied()));
            }
            groups = groups.iter().map(|group| group >> 2).collect();
        }
        Self { accounts, nodes }
    }

    fn write(&self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        let mut accounts = tx.open_table(ACCOUNTS)?;
        for (index, account) in &self.accounts {
            match account {
                Some(account) => accounts.insert(index, account_to_bytes(account).as_slice())?,
                None => accounts.remove(index)?,
            };
        }
        let mut nodes = tx.open_table(NODES)?;
        for (key, group) in &self.nodes {
            match group {
                Some(group) => nodes.insert(key, group_to_bytes(group).as_slice())?,
                None => nodes.remove(key)?,
            };
        }
        Ok(())
    }
}

fn node_key(level: u8, group: u32) -> u64 {
    (u64::from(level) << 32) | u64::from(group)
}

pub(crate) fn group_to_bytes(group: &[Fr; 4]) -> [u8; 128] {
    let mut bytes = [0; 128];
    for (slot, node) in bytes.chunks_exact_mut(32).zip(group) {
        slot.copy_from_slice(&ledger::field::to_be_bytes(node));
    }
    bytes
}

pub(crate) fn group_from_bytes(bytes: &[u8]) -> Result<[Fr; 4], CodecError> {
    let mut input = Reader::new("a tree node", bytes);
    let mut node = || input.fr("child");
    let group = [node()?, node()?, node()?, node()?];
    input.end().map(|()| group)
}

pub(crate) fn account_to_bytes(account: &Account) -> Vec<u8> {
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

pub(crate) fn account_from_bytes(bytes: &[u8]) -> Result<Account, CodecError> {
    let mut input = Reader::new("an account", bytes);
    let account = read_account(&mut input)?;
    input.end().map(|()| account)
}

pub(crate) fn read_account(input: &mut Reader<'_>) -> Result<Account, CodecError> {
    Ok(Account {
        key: input.point("key")?,
        token: input.u32()?,
        nonce: input.u64()?,
        balance: input.u128()?,
    })
}

/// Where a database lies.
pub(crate) enum Place<'a> {
    /// [`FILE_NAME`] in an existing folder.
    Folder(&'a Path),
    /// Storage of the caller's.
    Storage(OpenStorage<'a>),
}

type OpenStorage<'a> = Box<dyn FnOnce(&Builder) -> Result<Database, DatabaseError> + 'a>;

impl Place<'_> {
    /// Storage of the caller's, for tests with storage that fails.
    pub(crate) fn storage(backend: impl StorageBackend) -> Self {
        Self::Storage(Box::new(|builder| builder.create_with_backend(backend)))
    }
}

/// A database that is being made: one transaction, under another name until it is whole and on
/// disk. Dropped before [`Self::finish`], it leaves nothing behind.
pub(crate) struct NewStore {
    /// Why first: a transaction ends before its database, and that before its folder goes.
    transaction: Option<WriteTransaction>,
    database: Option<Database>,
    draft: Option<FolderDraft>,
    path: PathBuf,
}

impl NewStore {
    pub(crate) fn begin(place: Place<'_>) -> Result<Self, OpenError> {
        let (database, draft, path) = match place {
            Place::Folder(folder) => {
                let path = folder.join(FILE_NAME);
                if path.exists() {
                    return Err(OpenError::Exists { path });
                }
                let draft = FolderDraft::begin(&path)?;
                let database = builder().create(draft.path().join(FILE_NAME));
                (database, Some(draft), path)
            }
            Place::Storage(open) => (open(&Builder::new()), None, FILE_NAME.into()),
        };
        let database = database.map_err(|error| open_error(&path, error))?;
        let mut new = Self {
            transaction: None,
            database: None,
            draft,
            path,
        };
        let transaction = database.begin_write();
        new.database = Some(database);
        new.transaction = Some(transaction.map_err(|error| new.failed(error.into()))?);
        Ok(new)
    }

    /// Adds a finalized batch; what it takes to undo batches is kept for the last `kept`.
    pub(crate) fn add_finalized(
        &self,
        writes: &FinalizedWrites,
        kept: u64,
    ) -> Result<(), OpenError> {
        put_finalized(self.transaction(), writes, kept).map_err(|error| self.failed(error))
    }

    /// Adds accounts, nodes and head, and puts the database in its place.
    pub(crate) fn finish(
        mut self,
        identity: &Identity,
        state: &State,
        head: &Head,
    ) -> Result<Store, OpenError> {
        let store = store_state(self.transaction(), identity, state, head);
        store.map_err(|error| self.failed(error))?;
        let transaction = self.transaction.take().expect("it is taken here alone");
        let commit = transaction.commit();
        commit.map_err(|error| self.failed(error.into()))?;
        if let Some(draft) = self.draft.take() {
            draft
                .put_file_new(FILE_NAME)
                .map_err(|error| match error.is_taken() {
                    true => OpenError::Exists {
                        path: self.path.clone(),
                    },
                    false => error.into(),
                })?;
        }
        let database = self.database.take().expect("it is taken here alone");
        Ok(Store {
            access: Access::Writer(database),
            path: self.path.clone(),
        })
    }

    fn transaction(&self) -> &WriteTransaction {
        let transaction = self.transaction.as_ref();
        transaction.expect("there is one until the database is finished")
    }

    fn failed(&self, source: redb::Error) -> OpenError {
        let (path, source) = (self.path.clone(), Box::new(source));
        store_to_open_error(&self.path, StoreError::Database { path, source })
    }
}

impl Store {
    /// Opens the database, checks all of its pages and that it is this deployment's.
    pub(crate) fn open(place: Place<'_>, identity: &Identity) -> Result<Self, OpenError> {
        let (database, path) = match place {
            Place::Folder(folder) => {
                let path = folder.join(FILE_NAME);
                check_file(&path)?;
                let mut builder = builder();
                builder.set_check_integrity_on_open(true);
                (builder.open(&path), path)
            }
            Place::Storage(open) => {
                let mut builder = Builder::new();
                builder.set_check_integrity_on_open(true);
                (open(&builder), FILE_NAME.into())
            }
        };
        Self::writer(path, database)?.of_deployment(identity)
    }

    /// As [`Self::open`], without a look at every page: for one write after the database was open.
    pub(crate) fn open_again(folder: &Path, identity: &Identity) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        check_file(&path)?;
        let database = builder().open(&path);
        Self::writer(path, database)?.of_deployment(identity)
    }

    /// Opens the database to read it as it is now, beside a process that may write it.
    pub(crate) fn open_to_read(folder: &Path, identity: &Identity) -> Result<Self, OpenError> {
        Self::reader(&folder.join(FILE_NAME))?.of_deployment(identity)
    }

    fn writer(path: PathBuf, opened: Result<Database, DatabaseError>) -> Result<Self, OpenError> {
        let access = Access::Writer(opened.map_err(|error| open_error(&path, error))?);
        Ok(Self { access, path })
    }

    /// The database in a file, of whatever deployment.
    pub(crate) fn reader(path: &Path) -> Result<Self, OpenError> {
        check_file(path)?;
        let database = match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => {
                // Opening it for writing mends it.
                let mended = builder().open(path);
                drop(mended.map_err(|error| match error {
                    DatabaseError::DatabaseAlreadyOpen => open_error(path, error),
                    _ => OpenError::Unclean { path: path.into() },
                })?);
                builder().open_read_only(path)
            }
            opened => opened,
        };
        let database = database.map_err(|error| open_error(path, error))?;
        let transaction = database.begin_read().map_err(|error| OpenError::Damaged {
            path: path.into(),
            detail: error.to_string(),
        })?;
        let access = Access::Reader {
            transaction,
            _database: database,
        };
        let path = path.to_owned();
        Ok(Self { access, path })
    }

    fn of_deployment(self, identity: &Identity) -> Result<Self, OpenError> {
        self.check_identity(identity)?;
        Ok(self)
    }

    /// Refuses what would be written to a database that was opened for reading.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        match &self.access {
            Access::Writer(_) => Ok(()),
            Access::Reader { .. } => Err(StoreError::ReadOnly {
                path: self.path.clone(),
            }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the deployment that the database is of, see [`Identity`].
    pub(crate) fn domain(&self) -> Result<Fr, OpenError> {
        let bytes = self.meta("domain")?;
        let mut input = Reader::new("the domain", &bytes);
        input.fr("domain").map_err(|error| self.damaged(error))
    }

    fn check_identity(&self, identity: &Identity) -> Result<(), OpenError> {
        self.check_format()?;
        for (what, expected) in identity_rows(identity) {
            let found = self.meta(what)?;
            if found != expected {
                return Err(OpenError::OtherDeployment {
                    path: self.path.clone(),
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
        let format = self.meta("format")?;
        let found = <[u8; 4]>::try_from(format.as_slice());
        let found = found.map_err(|_| self.damaged("format is not four bytes"))?;
        let found = u32::from_be_bytes(found);
        if found != FORMAT {
            return Err(OpenError::Version {
                path: self.path.clone(),
                expected: FORMAT,
                found,
            });
        }
        Ok(())
    }

    /// Whose database it is, if that is kept.
    pub(crate) fn role(&self) -> Result<Option<Role>, OpenError> {
        let row = self.meta_row(ROLE).map_err(|error| self.damaged(error))?;
        match row.as_deref() {
            None => Ok(None),
            Some([OPERATORS]) => Ok(Some(Role::Operator)),
            Some([MIRROR]) => Ok(Some(Role::Mirror)),
            Some([TAKERS]) => Ok(Some(Role::Taker)),
            Some(_) => {
                Err(self.damaged("the role is none of the operator's, a taker's and a mirror's"))
            }
        }
    }

    /// Keeps whose database it is.
    pub(crate) fn set_role(&self, role: Role) -> Result<(), StoreError> {
        let byte = match role {
            Role::Operator => OPERATORS,
            Role::Mirror => MIRROR,
            Role::Taker => TAKERS,
        };
        self.write(|tx| put_meta(tx, ROLE, &[byte]))
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

    pub(crate) fn settled(&self, id: &OperationId) -> Result<Option<Settled>, StoreError> {
        let bytes = self.get(|tx| Ok(value(tx.open_table(VERDICTS)?.get(&id.0)?)))?;
        let settled = bytes.map(|bytes| Settled::from_bytes(&bytes)).transpose();
        settled.map_err(|error| self.record("verdict", id, error))
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
        match &self.access {
            Access::Writer(database) => body(&database.begin_read()?),
            Access::Reader { transaction, .. } => body(transaction),
        }
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
        let Access::Writer(database) = &self.access else {
            return self.check_writable();
        };
        let write = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
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

fn put_meta(tx: &WriteTransaction, name: &str, bytes: &[u8]) -> Result<(), redb::Error> {
    tx.open_table(META)?.insert(name, bytes)?;
    Ok(())
}

fn put_head(tx: &WriteTransaction, head: &Head) -> Result<(), redb::Error> {
    put_meta(tx, "head", &head.to_bytes())
}

fn put_times(tx: &WriteTransaction, number: u64, times: BatchTimes) -> Result<(), redb::Error> {
    tx.open_table(TIMES)?
        .insert(number, times.to_bytes().as_slice())?;
    Ok(())
}

fn put_outcomes(tx: &WriteTransaction, outcomes: &[NewOutcome]) -> Result<(), redb::Error> {
    let mut pending = tx.open_table(PENDING)?;
    let mut verdicts = tx.open_table(VERDICTS)?;
    for (place, id, settled) in outcomes {
        pending.remove(place)?;
        verdicts.insert(&id.0, settled.to_bytes().as_slice())?;
    }
    Ok(())
}

fn put_pending<'a>(
    tx: &WriteTransaction,
    operations: impl IntoIterator<Item = &'a StoredOperation>,
) -> Result<(), redb::Error> {
    let mut table = tx.open_table(PENDING)?;
    for operation in operations {
        let mut out = Writer::default();
        operation.write(&mut out);
        table.insert(operation.place, out.finish().as_slice())?;
    }
    Ok(())
}

/// Drops what it takes to undo the batch that leaves the window of `kept` finalized ones.
fn forget_undo(tx: &WriteTransaction, finalized: u64, kept: u64) -> Result<(), redb::Error> {
    if let Some(old) = finalized.checked_sub(kept) {
        tx.open_table(UNDO)?.remove(old)?;
    }
    Ok(())
}

fn put_finalized(
    tx: &WriteTransaction,
    writes: &FinalizedWrites,
    kept: u64,
) -> Result<(), redb::Error> {
    let FinalizedWrites {
        batch,
        proof,
        time,
        undo,
        outcomes,
    } = writes;
    let (number, record) = (batch.number(), batch.to_record());
    let times = BatchTimes {
        finalized: Some(*time),
        ..BatchTimes::default()
    };
    put_outcomes(tx, outcomes)?;
    tx.open_table(BATCHES)?.insert(number, record.as_slice())?;
    tx.open_table(PROOFS)?.insert(number, proof.as_slice())?;
    tx.open_table(UNDO)?
        .insert(number, undo.to_record().as_slice())?;
    forget_undo(tx, number, kept)?;
    put_times(tx, number, times)
}

fn add_batch(tx: &WriteTransaction, new: &NewBatch) -> Result<(), redb::Error> {
    let number = new.batch.number();
    let times = BatchTimes {
        sealed: Some(new.sealed),
        ..BatchTimes::default()
    };
    tx.open_table(BATCHES)?
        .insert(number, new.batch.to_record().as_slice())?;
    tx.open_table(WITNESSES)?
        .insert(number, new.witness.as_slice())?;
    tx.open_table(UNDO)?
        .insert(number, new.undo.to_record().as_slice())?;
    put_times(tx, number, times)
}

/// A file that can be a database.
fn check_file(path: &Path) -> Result<(), OpenError> {
    let path = path.to_owned();
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Missing { path }),
        Err(source) => Err(OpenError::Io { path, source }),
        Ok(found) if found.len() == 0 => {
            let detail = "the file is empty".to_owned();
            Err(OpenError::NotADatabase { path, detail })
        }
        Ok(_) => Ok(()),
    }
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

fn store_state(
    tx: &WriteTransaction,
    identity: &Identity,
    state: &State,
    head: &Head,
) -> Result<(), redb::Error> {
    put_meta(tx, "format", &FORMAT.to_be_bytes())?;
    put_meta(tx, NEXT_PLACE, &0u64.to_be_bytes())?;
    put_meta(tx, ROLE, &[OPERATORS])?;
    for (name, bytes) in identity_rows(identity) {
        put_meta(tx, name, &bytes)?;
    }
    let mut table = tx.open_table(ACCOUNTS)?;
    for (index, account) in state.accounts() {
        table.insert(index, account_to_bytes(account).as_slice())?;
    }
    drop(table);
    let mut table = tx.open_table(NODES)?;
    for level in 0..=Tree::first_hashed_level(state.depth()) {
        for (group, nodes) in state.tree().stored_groups(level) {
            let bytes = group_to_bytes(nodes);
            table.insert(node_key(level, group), bytes.as_slice())?;
        }
    }
    drop(table);
    for table in [BATCHES, TIMES, WITNESSES, PROOFS, PENDING, UNDO, RETURNED] {
        tx.open_table(table).map(drop)?;
    }
    tx.open_table(VERDICTS).map(drop)?;
    put_head(tx, head)
}

pub(crate) fn stored_operation(place: u64, bytes: &[u8]) -> Result<StoredOperation, CodecError> {
    let mut input = Reader::new("an operation", bytes);
    let operation = read_operation(place, &mut input)?;
    input.end().map(|()| operation)
}

/// Reads what [`StoredOperation::write`] writes.
pub(crate) fn read_operation(
    place: u64,
    input: &mut Reader<'_>,
) -> Result<StoredOperation, CodecError> {
    let received = input.u64()?;
    let operation = SignedOperation::from_bytes(input.slice(SIGNED_BYTES)?)
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
            detail: format!(
                "file format {version} of redb is too old: use the program that made it, or restore from L1"
            ),
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
            let settled = Settled {
                withdrawn_from: Some(7),
                received: 5,
                outcome,
            };
            assert_eq!(Settled::from_bytes(&settled.to_bytes()), Ok(settled));
        }
        assert!(Settled::from_bytes(&[3; 21]).is_err());
        assert!(Settled::from_bytes(&[]).is_err());
        for times in [
            BatchTimes::default(),
            BatchTimes {
                sealed: Some(0),
                proven: None,
                finalized: Some(u64::MAX),
            },
        ] {
            assert_eq!(BatchTimes::from_bytes(&times.to_bytes()), Ok(times));
        }
        assert!(BatchTimes::from_bytes(&[2; 27]).is_err());
    }
}
