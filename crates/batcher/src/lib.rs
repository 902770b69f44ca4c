//! From signed operations to sealed batches: mempool, sealing, durable state, and the import of
//! transfer histories.

pub mod batch;
pub mod batcher;
mod codec;
pub mod import;
pub mod mempool;
pub mod operation;
pub mod seal;
pub mod store;
mod witness_codec;

pub use batch::{FinalizedBatch, ProvedBatch, SealedBatch, StoredBatch};
pub use batcher::{Batcher, SealSummary, Settings, Status, Verdict};
pub use codec::CodecError;
pub use mempool::{Limits, Refusal};
pub use operation::{OperationId, SignedOperation};
pub use seal::{Due, Fill, QueueEntry};
pub use store::{OpenError, StoreError};
