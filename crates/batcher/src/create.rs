//! A batcher's database that is being made: whole or not at all.

use std::path::Path;

use ledger::state::State;
use redb::StorageBackend;
use storage::NewDatabase;

use crate::error::OpenError;
use crate::rows::{Head, Identity};
use crate::store::{CONTENTS, FILE_NAME, Store};
use crate::tables::{FinalizedWrites, put_finalized, store_state};

/// A database that is being made. Dropped before [`Self::finish`], it leaves nothing behind.
pub(crate) struct NewStore {
    database: NewDatabase,
}

impl NewStore {
    /// An empty database for an existing folder.
    pub(crate) fn begin(folder: &Path) -> Result<Self, OpenError> {
        let database = NewDatabase::begin(&folder.join(FILE_NAME), &CONTENTS)?;
        Ok(Self { database })
    }

    /// [`Self::begin`] on other storage, for tests with storage that fails.
    pub(crate) fn begin_on(storage: impl StorageBackend) -> Result<Self, OpenError> {
        let database = NewDatabase::begin_on(storage, Path::new(FILE_NAME), &CONTENTS)?;
        Ok(Self { database })
    }

    /// Adds a finalized batch; what it takes to undo batches is kept for the last `kept`.
    pub(crate) fn add_finalized(
        &self,
        writes: &FinalizedWrites,
        kept: u64,
    ) -> Result<(), OpenError> {
        let put = put_finalized(self.database.transaction(), writes, kept);
        Ok(put.map_err(|error| self.database.failed(error))?)
    }

    /// Adds accounts, nodes and head, and puts the database in its place.
    pub(crate) fn finish(
        self,
        identity: &Identity,
        state: &State,
        head: &Head,
    ) -> Result<Store, OpenError> {
        let stored = store_state(self.database.transaction(), identity, state, head);
        stored.map_err(|error| self.database.failed(error))?;
        Ok(Store::of(self.database.finish()?))
    }
}
