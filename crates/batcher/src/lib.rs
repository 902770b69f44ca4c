//! From signed operations to sealed batches: mempool, sealing, durable state, reopening of batches
//! that did not make it to L1, application of batches that others submitted, and restoration from
//! L1's data.

#![allow(missing_docs, reason = "what a name says is not said again")]

mod acknowledged;
mod apply;
mod audit;
mod batch;
mod batcher;
mod class;
mod create;
mod error;
mod fill;
mod history;
mod intake;
mod mempool;
mod operation;
mod proofs;
pub mod records;
mod reopen;
mod restore;
mod role;
mod rows;
mod sealing;
mod settings;
mod stages;
pub mod store;
mod tables;
mod undo;
mod witness_codec;

pub use acknowledged::{Acknowledged, acknowledged};
pub use apply::{Applied, ApplyError};
pub use audit::AuditError;
pub use batch::{FinalizedBatch, ProvedBatch, SealedBatch, StoredBatch};
pub use batcher::{Batcher, Status};
pub use error::{BuildError, OpenError, SealError, SettingsError, StageError, StoreError};
pub use fill::{Due, Fill, QueueEntry};
pub use history::{History, Verdict};
pub use mempool::{Limits, Mempool, Ready, Refusal, replacing_fee};
pub use operation::{NotAnId, OperationId, SignedOperation};
pub use proofs::Proofs;
pub use reopen::{ReopenError, Reopened};
pub use restore::{HistoryError, RestoreError, RestoredBatch};
pub use role::Role;
pub use rows::BatchTimes;
pub use sealing::SealSummary;
pub use settings::Settings;
pub use storage::CodecError;
