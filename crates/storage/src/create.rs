//! A database that is being created: whole or not at all.
//!
//! Invariant: under its name there is nothing, or the whole database, on disk; a file that came to be under
//! the name meanwhile stays.

use std::path::{Path, PathBuf};

use files::FolderDraft;
use redb::{DatabaseError, StorageBackend, WriteTransaction};

use crate::builder::{backend_builder, begin_write, file_builder};
use crate::database::Database;
use crate::error::{Contents, OpenError};

/// Name of the file in its draft's folder.
const DRAFT: &str = "database.redb";

/// A database that is being created, in one transaction and under another name until it is whole and on
/// disk. Dropped before [`Self::finish`], it leaves nothing behind.
pub struct NewDatabase {
    /// Why first: a transaction ends before its database, and that before its folder is removed.
    transaction: WriteTransaction,
    database: redb::Database,
    draft: Option<FolderDraft>,
    path: PathBuf,
    contents: &'static Contents,
}

impl NewDatabase {
    /// An empty database in an existing folder, under another name.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn begin(path: &Path, contents: &'static Contents) -> Result<Self, OpenError> {
        if path.exists() {
            return Err(taken(path, contents));
        }
        let draft = FolderDraft::begin(path)?;
        let created = file_builder().create(draft.path().join(DRAFT));
        Self::of(created, Some(draft), path, contents)
    }

    /// [`Self::begin`] on other storage, for tests with storage that fails; `path` is for messages.
    ///
    /// # Errors
    /// [`OpenError`].
    #[doc(hidden)]
    pub fn begin_on(
        storage: impl StorageBackend,
        path: &Path,
        contents: &'static Contents,
    ) -> Result<Self, OpenError> {
        let created = backend_builder().create_with_backend(storage);
        Self::of(created, None, path, contents)
    }

    fn of(
        created: Result<redb::Database, DatabaseError>,
        draft: Option<FolderDraft>,
        path: &Path,
        contents: &'static Contents,
    ) -> Result<Self, OpenError> {
        let database = created.map_err(|error| OpenError::of(path, contents, error))?;
        let transaction = begin_write(&database);
        let failed =
            |error: redb::TransactionError| OpenError::of_first_use(path, contents, error.into());
        Ok(Self {
            transaction: transaction.map_err(failed)?,
            database,
            draft,
            path: path.into(),
            contents,
        })
    }

    /// The transaction that writes everything.
    pub fn transaction(&self) -> &WriteTransaction {
        &self.transaction
    }

    /// The error of a write that failed.
    pub fn failed(&self, error: redb::Error) -> OpenError {
        OpenError::of_first_use(&self.path, self.contents, error)
    }

    /// Writes the database to disk, gives it its name, and returns it, open for writing.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::Exists`] if there is a file of the name by now, which stays.
    pub fn finish(self) -> Result<Database, OpenError> {
        // Why in this order: on an error the last one bound is dropped first, and the database has to be
        // closed before its folder is removed.
        let Self {
            draft,
            path,
            contents,
            database,
            transaction,
        } = self;
        let committed = transaction.commit();
        committed.map_err(|error| OpenError::of_first_use(&path, contents, error.into()))?;
        if let Some(draft) = draft {
            let put = draft.put_file_new(DRAFT);
            put.map_err(|error| match error.is_taken() {
                true => taken(&path, contents),
                false => error.into(),
            })?;
        }
        Ok(Database::written(&path, contents, database))
    }
}

fn taken(path: &Path, contents: &'static Contents) -> OpenError {
    OpenError::Exists {
        path: path.into(),
        contents,
    }
}
