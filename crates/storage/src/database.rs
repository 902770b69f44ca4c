//! Opening a database.
//!
//! Invariants: one process writes at a time, and any number read beside it; a reader sees the file as it was
//! at one moment; a file that is something else, of another version, or with damaged pages is refused, but for
//! the exceptions that [`Pages`] and [`Database::open_to_read`] name. A commit that returned is not taken back:
//! if its pages are damaged, the file is refused. The exception: redb keeps one byte of a file without a
//! checksum, which says which of the last two commits holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    StorageError, TransactionError, WriteTransaction,
};

use crate::builder::{backend_builder, begin_write, file_builder};
use crate::error::{BeginError, Contents, OpenError};
use crate::pages::begin_read_verified;

/// Whether the checksums of all pages are verified when a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Every page is read.
    Verified,
    /// Only pages that are needed are read: the database was verified not long ago.
    Trusted,
}

/// An open database.
pub struct Database {
    access: Access,
    path: PathBuf,
    contents: &'static Contents,
}

/// What may be done with the file.
enum Access {
    /// This process alone writes.
    Writer(redb::Database),
    /// The file as it was at one moment, whatever another process writes meanwhile.
    Reader {
        /// Why first: fields are dropped in order, and it has to end before its database.
        transaction: Arc<ReadTransaction>,
        database: ReadOnlyDatabase,
    },
}

impl Database {
    /// Opens a file for writing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, contents: &'static Contents, pages: Pages) -> Result<Self, OpenError> {
        check_file(path, contents)?;
        let mut builder = file_builder();
        builder.set_check_integrity_on_open(pages == Pages::Verified);
        let opened = builder.open(path);
        let database = opened.map_err(|error| OpenError::of(path, contents, error))?;
        Ok(Self::written(path, contents, database))
    }

    /// Opens a file to read it as it is now, beside a process that may write it. Every page is verified, unless
    /// the file is longer than 1 GiB or another process, which verified them, commits to it all the while. A
    /// file whose writer was killed is repaired first, for which this process needs the right to write it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_to_read(path: &Path, contents: &'static Contents) -> Result<Self, OpenError> {
        check_file(path, contents)?;
        let database = match file_builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => {
                repair(path, contents)?;
                file_builder().open_read_only(path)
            }
            opened => opened,
        };
        let database = database.map_err(|error| match error {
            // Another process wrote it meanwhile, and was killed.
            DatabaseError::RepairAborted => OpenError::Unclean { path: path.into() },
            error => OpenError::of(path, contents, error),
        })?;
        let transaction = begin_read_verified(path, &database)
            .map_err(|error| OpenError::of(path, contents, error))?;
        Ok(Self {
            access: Access::Reader {
                transaction: Arc::new(transaction),
                database,
            },
            path: path.into(),
            contents,
        })
    }

    /// [`Self::open`] on other storage, for tests with storage that fails; `path` is for messages.
    ///
    /// # Errors
    /// [`OpenError`].
    #[doc(hidden)]
    pub fn open_on(
        storage: impl StorageBackend,
        path: &Path,
        contents: &'static Contents,
    ) -> Result<Self, OpenError> {
        let mut builder = backend_builder();
        builder.set_check_integrity_on_open(true);
        let opened = builder.create_with_backend(storage);
        let database = opened.map_err(|error| OpenError::of(path, contents, error))?;
        Ok(Self::written(path, contents, database))
    }

    pub(crate) fn written(
        path: &Path,
        contents: &'static Contents,
        database: redb::Database,
    ) -> Self {
        Self {
            access: Access::Writer(database),
            path: path.into(),
            contents,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if this process may write it.
    pub fn is_writable(&self) -> bool {
        matches!(self.access, Access::Writer(_))
    }

    /// What is in the database now; if it was opened to be read, what was in it then, or when it was
    /// [renewed](Self::renew) last.
    ///
    /// # Errors
    /// [`TransactionError`].
    pub fn begin_read(&self) -> Result<Arc<ReadTransaction>, TransactionError> {
        Ok(match &self.access {
            Access::Writer(database) => Arc::new(database.begin_read()?),
            Access::Reader { transaction, .. } => Arc::clone(transaction),
        })
    }

    /// A transaction that is durable once it is committed, all of it or nothing.
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin_write(&self) -> Result<WriteTransaction, BeginError> {
        match &self.access {
            Access::Writer(database) => Ok(begin_write(database)?),
            Access::Reader { .. } => Err(BeginError::ReadOnly),
        }
    }

    /// If the database was opened to be read, it is from now on what is in the file now.
    ///
    /// # Errors
    /// [`TransactionError`]: it is what it was.
    pub fn renew(&mut self) -> Result<(), TransactionError> {
        if let Access::Reader {
            transaction,
            database,
        } = &mut self.access
        {
            *transaction = Arc::new(database.begin_read()?);
        }
        Ok(())
    }

    /// Compares the version that the database says it has, four bytes, with this program's.
    ///
    /// # Errors
    /// [`OpenError::Version`]; [`OpenError::Damaged`] if these are not four bytes.
    pub fn check_version(&self, record: &[u8]) -> Result<(), OpenError> {
        let found = <[u8; 4]>::try_from(record);
        let found = found.map_err(|_| self.damaged("its version is not four bytes"))?;
        let found = u32::from_be_bytes(found);
        if found == self.contents.version {
            return Ok(());
        }
        Err(OpenError::Version {
            path: self.path.clone(),
            contents: self.contents,
            found,
        })
    }

    /// The error of a record that is not what was written.
    pub fn damaged(&self, detail: impl ToString) -> OpenError {
        OpenError::Damaged {
            path: self.path.clone(),
            contents: self.contents,
            detail: detail.to_string(),
        }
    }

    /// The error of a file without what every database of its kind has.
    pub fn not_a_database(&self, detail: impl ToString) -> OpenError {
        OpenError::NotADatabase {
            path: self.path.clone(),
            contents: self.contents,
            detail: detail.to_string(),
        }
    }
}

/// Repairs a file whose writer was killed.
fn repair(path: &Path, contents: &'static Contents) -> Result<(), OpenError> {
    let repaired = file_builder().open(path);
    repaired.map(drop).map_err(|error| match error {
        DatabaseError::Storage(StorageError::Io(refused)) if is_not_allowed(&refused) => {
            OpenError::Unclean { path: path.into() }
        }
        error => OpenError::of(path, contents, error),
    })
}

/// True if this process may not write.
fn is_not_allowed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// A file that can be a database.
fn check_file(path: &Path, contents: &'static Contents) -> Result<(), OpenError> {
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing {
            path: path.into(),
            contents,
        },
        _ => OpenError::io(path.into(), "read its size", error),
    })?;
    let detail = match (found.is_file(), found.len()) {
        (true, 1..) => return Ok(()),
        (true, 0) => "the file is empty",
        (false, _) => "not a plain file",
    };
    Err(OpenError::NotADatabase {
        path: path.into(),
        contents,
        detail: detail.to_owned(),
    })
}
