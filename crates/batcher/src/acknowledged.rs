//! Operations that were acknowledged and may have to be handed in again, from a database alone.
//!
//! A database whose history L1 does not have, or no longer has, is of no use to a batcher, but what
//! it acknowledged is still a promise. Invariant: nothing but the file is looked at, neither L1 nor a
//! deployment, so that what is damaged elsewhere hides nothing; and nothing is written.

use std::path::Path;

use crate::error::OpenError;
use crate::history::Verdict;
use crate::operation::{OperationId, SignedOperation};
use crate::rows::StoredOperation;
use crate::store::Store;

/// An operation as a database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its id.
    pub id: OperationId,
    /// The operation with its signature.
    pub operation: SignedOperation,
    /// When it was acknowledged, seconds since 1970.
    pub received: u64,
    /// What became of it, by this database.
    pub verdict: Verdict,
}

/// The operations of a database file, in order of arrival: those that wait, and those of sealed batches
/// from `since` on, by default of all that are not final. Final are those that the database has as final, and
/// of them, where L1 was asked, those up to its batch `on_l1`. Of final batches the operations are kept as
/// long as the batch can be undone, and of batches that were restored from L1 there are none.
///
/// # Errors
/// [`OpenError`].
pub fn acknowledged(
    file: &Path,
    since: Option<u64>,
    on_l1: Option<u64>,
) -> Result<Vec<Acknowledged>, OpenError> {
    let store = Store::reader(file)?;
    store.check_format()?;
    let (head, domain) = (store.head()?, store.domain()?);
    let waiting = store.pending()?.into_iter();
    let mut found: Vec<(StoredOperation, Verdict)> =
        waiting.map(|stored| (stored, Verdict::Pending)).collect();
    let finalized = head.finalized.min(on_l1.unwrap_or(u64::MAX));
    let first = since.unwrap_or(finalized + 1);
    let undo = store.undo_from(first);
    for (batch, undo) in undo.map_err(|error| store.damaged(error))? {
        let verdict = match batch <= finalized {
            true => Verdict::Finalized { batch },
            false => Verdict::Sealed { batch },
        };
        let operations = undo.operations.into_iter();
        found.extend(operations.map(|stored| (stored, verdict.clone())));
    }
    found.sort_by_key(|(stored, _)| stored.place);
    let acknowledged = |(stored, verdict): (StoredOperation, Verdict)| Acknowledged {
        id: stored.operation.id(&domain),
        operation: stored.operation,
        received: stored.received,
        verdict,
    };
    Ok(found.into_iter().map(acknowledged).collect())
}
