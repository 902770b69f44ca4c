//! The opening of a chain, to write it or to read it beside a process that writes.
//!
//! Invariant: a chain that opened has the records that its genesis and its head say; see `checks`.

use std::path::Path;

use prover::key::AllowDevKeys;
use redb::{Database, DatabaseError, StorageBackend, StorageError};

use crate::checks;
use crate::error::{OpenError, StoreError};
use crate::genesis::Deployment;
use crate::keys::load_keys;
use crate::native::NativeL1;
use crate::store::{DATABASE_VERSION, DEPLOYMENT_RECORD, Db, Snapshot, VERSION_RECORD, builder};

impl NativeL1 {
    /// Opens a chain, checking the file's integrity and its records.
    ///
    /// # Errors
    /// [`OpenError`], which says what is wrong with the file and what to do.
    pub fn open(path: &Path, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_file(path)?;
        let opened = builder().set_check_integrity_on_open(true).open(path);
        let db = opened.map_err(|error| open_error(path, error))?;
        Self::on(path, Db::Writer(db), dev_keys)
    }

    /// Opens a chain to read it as it is now, beside a process that may write it: every call that
    /// changes it fails with [`StoreError::ReadOnly`]. Records are checked as by [`Self::open`], pages
    /// are not.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_read(path: &Path, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_file(path)?;
        let db = Db::reader(path).map_err(|error| match error {
            DatabaseError::RepairAborted => OpenError::Unclean { path: path.into() },
            error => open_error(path, error),
        })?;
        let store_error = |source| OpenError::Store {
            path: path.into(),
            source,
        };
        Self::on(path, db.map_err(store_error)?, dev_keys)
    }

    /// What was opened to be read is from now on what the chain is now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn renew(&mut self) -> Result<(), StoreError> {
        self.db.renew()
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
        let mut builder = Database::builder();
        let builder = builder.set_check_integrity_on_open(true);
        let db = builder.create_with_backend(storage);
        let db = db.map_err(|error| open_error(path, error))?;
        Self::on(path, Db::Writer(db), dev_keys)
    }

    /// Opens a chain as [`Self::open`] does, if it was made from this deployment.
    ///
    /// # Errors
    /// As [`Self::open`], and [`OpenError::OtherGenesis`].
    pub fn open_expecting(
        path: &Path,
        deployment: &Deployment,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        let chain = Self::open(path, dev_keys)?;
        let (expected, got) = (deployment.contract(), chain.deployment.contract());
        if expected != got {
            return Err(OpenError::OtherGenesis {
                path: path.into(),
                expected,
                got,
            });
        }
        Ok(chain)
    }

    fn on(path: &Path, db: Db, dev_keys: AllowDevKeys) -> Result<Self, OpenError> {
        check_version(path, &db)?;
        let store_error = |source| OpenError::Store {
            path: path.into(),
            source,
        };
        let snapshot = Snapshot::begin(&db).map_err(store_error)?;
        let record = snapshot.meta(DEPLOYMENT_RECORD).map_err(store_error)?;
        let deployment = Deployment::from_json(&record)?;
        if deployment.canonical_bytes() != record {
            return Err(OpenError::NotAnL1 {
                path: path.into(),
                reason: "its genesis is not in canonical form".to_owned(),
            });
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

/// A file that can be a database.
fn check_file(path: &Path) -> Result<(), OpenError> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => OpenError::Missing { path: path.into() },
        _ => io_error(path, "read its size")(source),
    })?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Err(OpenError::NotAnL1 {
            path: path.into(),
            reason: format!("a file of {} bytes or no file", metadata.len()),
        });
    }
    Ok(())
}

fn check_version(path: &Path, db: &Db) -> Result<(), OpenError> {
    let foreign = |reason: String| OpenError::NotAnL1 {
        path: path.into(),
        reason,
    };
    let snapshot = Snapshot::begin(db).map_err(|error| foreign(error.to_string()))?;
    let record = snapshot
        .meta(VERSION_RECORD)
        .map_err(|error| foreign(error.to_string()))?;
    let version: [u8; 4] = record
        .try_into()
        .map_err(|_| foreign("its version record is malformed".to_owned()))?;
    let (expected, got) = (DATABASE_VERSION, u32::from_be_bytes(version));
    if got == expected {
        return Ok(());
    }
    Err(OpenError::Version {
        path: path.into(),
        expected,
        got,
    })
}

fn io_error<'p>(path: &'p Path, action: &'static str) -> impl Fn(std::io::Error) -> OpenError + 'p {
    move |source| OpenError::Io {
        path: path.into(),
        action,
        source,
    }
}

pub(crate) fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path: path.into() }
        }
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(
                source.kind(),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData
            ) =>
        {
            io_error(path, "open it for writing")(source)
        }
        other => OpenError::NotAnL1 {
            path: path.into(),
            reason: other.to_string(),
        },
    }
}
