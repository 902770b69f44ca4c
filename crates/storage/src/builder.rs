//! How `redb` is used: who may open a file, and which commit of it holds.
//!
//! Invariant: a commit that returned is not taken back. Sound because: every commit is in two phases, so its
//! pages are on the disk before the file's head says that it holds. A last commit with damaged pages was
//! therefore not torn by a power failure, and a repair that would go on with the commit before it is aborted.

use redb::{Builder, ConcurrencyMode, Database, RepairSession, TransactionError, WriteTransaction};

/// How far redb says that a repair is when it has found damaged pages in the last commit and would go on with
/// the commit before it.
const LAST_COMMIT_IS_DAMAGED: f64 = 0.3;

/// For a file that one process writes, while others may read beside it.
pub(crate) fn file_builder() -> Builder {
    let mut builder = backend_builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// For storage that no other process opens.
pub(crate) fn backend_builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_repair_callback(|session: &mut RepairSession| {
        if (session.progress() - LAST_COMMIT_IS_DAMAGED).abs() < f64::EPSILON {
            session.abort();
        }
    });
    builder
}

/// A transaction whose commit is in two phases. redb makes it so by itself only where other processes may
/// read.
pub(crate) fn begin_write(database: &Database) -> Result<WriteTransaction, TransactionError> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}
