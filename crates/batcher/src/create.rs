//! A database that is being made: whole or not at all.

use std::path::PathBuf;

use files::FolderDraft;
use ledger::state::State;
use redb::{Builder, Database, WriteTransaction};

use crate::error::{OpenError, StoreError};
use crate::rows::{Head, Identity};
use crate::store::{FILE_NAME, Place, Store, builder, open_error, store_to_open_error};
use crate::tables::{FinalizedWrites, put_finalized, store_state};

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
        Ok(Store::written(self.path.clone(), database))
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
