//! From signed operations to sealed batches: mempool, sealing, durable state, reopening of batches
//! that did not make it to L1, application of batches that others submitted, restoration from L1's
//! data, and the import of transfer histories.

mod acknowledged;
mod apply;
pub mod batch;
pub mod batcher;
mod codec;
pub mod import;
pub mod mempool;
pub mod operation;
mod proofs;
pub mod records;
mod reopen;
mod restore;
pub mod seal;
pub mod store;
mod undo;
mod witness_codec;

pub use acknowledged::{Acknowledged, acknowledged};
pub use apply::{Applied, ApplyError};
pub use batch::{FinalizedBatch, ProvedBatch, SealedBatch, StoredBatch};
pub use batcher::{AuditError, Batcher, History, Role, SealSummary, Settings, Status, Verdict};
pub use codec::CodecError;
pub use mempool::{Limits, Refusal};
pub use operation::{OperationId, SignedOperation};
pub use proofs::Proofs;
pub use reopen::{ReopenError, Reopened};
pub use restore::{HistoryError, RestoreError, RestoredBatch};
pub use seal::{Due, Fill, QueueEntry};
pub use store::{BatchTimes, OpenError, StoreError};
