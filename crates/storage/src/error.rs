//! Why a database cannot be created, opened or written.

use std::io;
use std::path::{Path, PathBuf};

use files::{Class, Classified, FileError};
use redb::{DatabaseError, StorageError, TransactionError};
use thiserror::Error;

/// What redb calls the records of the last two commits at a file's head, where it says that they are damaged.
const COMMIT_RECORDS: [&str; 2] = ["Primary", "commit slot"];

/// What a program keeps in a database, for messages.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the database is called, such as "batcher database".
    pub name: &'static str,
    /// The version of tables and records that this program reads and writes.
    pub version: u32,
    /// What to do where there is none.
    pub if_missing: &'static str,
    /// What to do where there is one already.
    pub if_taken: &'static str,
    /// What to do if its version is another.
    pub if_other_version: &'static str,
    /// What to do if it is damaged.
    pub if_damaged: &'static str,
}

/// Why a database cannot be created or opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no file.
    #[error("{}: there is no {} here: {}", path.display(), contents.name, contents.if_missing)]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should be.
        contents: &'static Contents,
    },
    /// There is a file already.
    #[error("{}: there is a {} here already: {}", path.display(), contents.name, contents.if_taken)]
    Exists {
        /// The file.
        path: PathBuf,
        /// What it should become.
        contents: &'static Contents,
    },
    /// Another process has it open for writing.
    #[error("{}: in use by another process: wait until it has ended, or stop it", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The process that wrote it was killed, and only a process that may write can repair that.
    #[error("{}: the process that wrote it was killed: run a command that writes, such as `quire seal`, as a user who may write it", path.display())]
    Unclean {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{}: this is no {} ({detail}): check the data directory", path.display(), contents.name)]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What it should be.
        contents: &'static Contents,
        /// What was found.
        detail: String,
    },
    /// The file was made by another version of the program.
    #[error("{}: format {found}, this program reads format {}: {}", path.display(), contents.version, contents.if_other_version)]
    Version {
        /// The file.
        path: PathBuf,
        /// What it should be; its version is this program's.
        contents: &'static Contents,
        /// Version of the file.
        found: u32,
    },
    /// Bytes of the file were changed or lost.
    #[error("{}: damaged ({detail}): {}", path.display(), contents.if_damaged)]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        contents: &'static Contents,
        /// What does not hold.
        detail: String,
    },
    /// The operating system refused.
    #[error("{source}: check that the folder exists, is writable and has space")]
    Io {
        /// What it refused, and why.
        source: FileError,
    },
}

impl OpenError {
    /// What the database library says of a file when it opens it.
    pub(crate) fn of(path: &Path, contents: &'static Contents, error: DatabaseError) -> Self {
        let path = path.to_owned();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse { path }
            }
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                let detail = error.to_string();
                Self::NotADatabase {
                    path,
                    contents,
                    detail,
                }
            }
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() != io::ErrorKind::UnexpectedEof =>
            {
                Self::io(path, "open it", source)
            }
            DatabaseError::UpgradeRequired(version) => Self::NotADatabase {
                path,
                contents,
                detail: format!("file format {version} of redb is too old"),
            },
            DatabaseError::RepairAborted => Self::Damaged {
                path,
                contents,
                detail: "pages of the last commit are not what was written".to_owned(),
            },
            DatabaseError::Storage(StorageError::Corrupted(said))
                if COMMIT_RECORDS.iter().any(|record| said.contains(record)) =>
            {
                Self::Damaged {
                    path,
                    contents,
                    detail: "the record of its last commit is not what was written".to_owned(),
                }
            }
            other => Self::Damaged {
                path,
                contents,
                detail: other.to_string(),
            },
        }
    }

    /// What the database library says of a file when it reads or writes it for the first time.
    pub(crate) fn of_first_use(
        path: &Path,
        contents: &'static Contents,
        error: redb::Error,
    ) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::Io(source) => Self::io(path, "use it", source),
            other => Self::Damaged {
                path,
                contents,
                detail: other.to_string(),
            },
        }
    }

    pub(crate) fn io(path: PathBuf, action: &'static str, source: io::Error) -> Self {
        let source = FileError {
            path,
            action,
            source,
        };
        Self::Io { source }
    }
}

impl From<FileError> for OpenError {
    fn from(source: FileError) -> Self {
        Self::Io { source }
    }
}

impl Classified for OpenError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::InUse { .. }
            | Self::Unclean { .. }
            | Self::Version { .. }
            | Self::Io { .. } => Class::Environment,
            Self::NotADatabase { .. } | Self::Damaged { .. } => Class::Damaged,
        }
    }
}

/// Why no write transaction begins.
#[derive(Debug, Error)]
pub enum BeginError {
    /// The database was opened for reading.
    #[error("opened for reading only")]
    ReadOnly,
    /// The database library refused.
    #[error(transparent)]
    Database(#[from] TransactionError),
}

impl Classified for BeginError {
    fn class(&self) -> Class {
        match self {
            Self::ReadOnly | Self::Database(_) => Class::Environment,
        }
    }
}
