//! The opening of a chain, to write it or to read it beside a process that writes.
//!
//! Invariant: a chain that opened has the records that its genesis and its head say; see `checks`.

use std::path::Path;

use prover::key::AllowDevKeys;
use redb::StorageBackend;
use storage::{Database, Pages};

use crate::checks;
use crate::error::{OpenError, StoreError};
use crate::genesis::Deployment;
use crate::keys::load_keys;
use crate::native::NativeL1;
use crate::store::{CONTENTS, DEPLOYMENT_RECORD, Snapshot, VERSION_RECORD};

impl NativeL1 {
    /// Opens a chain, checking the file's integrity and its records.
    ///
    /// # Errors
    /// [`OpenError`], which says what is wrong with the file and what to do.
    pub fn open(path: &Path, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        let db = Database::open(path, &CONTENTS, Pages::Verified)?;
        Self::on(path, db, dev_keys)
    }

    /// Opens a chain to read it as it is now, beside a process that may write it: every call that
    /// changes it fails with [`StoreError::ReadOnly`]. Records are checked as by [`Self::open`], pages as
    /// [`Database::open_to_read`] says.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_read(path: &Path, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        let db = Database::open_to_read(path, &CONTENTS)?;
        Self::on(path, db, dev_keys)
    }

    /// What was opened to be read is from now on what the chain is now.
    pub fn renew(&mut self) -> Result<(), StoreError> {
        Ok(self.db.renew()?)
    }

    /// Opens a chain in storage of the caller's making, with the checks of [`Self::open`]; `path`
    /// is for messages. For tests that let storage fail.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[doc(hidden)]
    pub fn open_on(
        storage: impl StorageBackend,
        path: &Path,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        let db = Database::open_on(storage, path, &CONTENTS)?;
        Self::on(path, db, dev_keys)
    }

    /// Takes an open database for a chain, with the checks of [`Self::open`].
    pub(crate) fn on(path: &Path, db: Database, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_version(&db)?;
        let store_error = |source| OpenError::Store {
            path: path.into(),
            source,
        };
        let snapshot = Snapshot::begin(&db).map_err(store_error)?;
        let record = snapshot.meta(DEPLOYMENT_RECORD).map_err(store_error)?;
        let deployment = Deployment::from_json(&record).map_err(|error| db.damaged(error))?;
        if deployment.canonical_bytes() != record {
            return Err(db.damaged("its genesis is not in canonical form").into());
        }
        checks::check_chain(&snapshot, &deployment).map_err(store_error)?;
        let keys = load_keys(&snapshot, &deployment).map_err(store_error)?;
        Ok(Self {
            domain: deployment.domain(),
            db,
            deployment,
            keys,
            dev_keys,
        })
    }
}

fn check_version(db: &Database) -> Result<(), storage::OpenError> {
    let snapshot = Snapshot::begin(db).map_err(|error| db.not_a_database(error))?;
    let record = snapshot.meta(VERSION_RECORD);
    db.check_version(&record.map_err(|error| db.not_a_database(error))?)
}
