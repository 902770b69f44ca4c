//! The native L1: the embedded settlement layer, with the rules that the contract has.
//!
//! It holds the deposits, knows who owns which account, and moves the state root only when a proof
//! and the published data of the next batch agree. Invariant: for each token,
//! `escrow = balances + claimable + pending`, and every call either happens whole or leaves no
//! trace (docs/protocol.md, section 6).
//!
//! - [`genesis`]: what a deployment is fixed to at its start.
//! - [`native`]: the persisted chain, and what it says; `create` and `open` make and open it.
//! - `calls`: what users call; [`queue`], [`registry`] and `escrow` have its rules.
//! - `keys`: the verifying keys; `submit`: a batch on its way to its finality, kept by `batch`.
//! - [`blocks`]: heights, time, confirmations, and the reorgs that tests cause.
//! - [`operator`]: who may submit batches, take-over, hand-over.
//! - [`leave`]: freeze, exit by Merkle proof, cancelled deposits.
//! - `store`: the tables and the transactions over them; `head` and `journal` are records of it.
//! - [`evm`]: what clients and the contract agree on; `mirror`: a contract's calls, made here again.
//! - [`checked`]: small durable files with a checksum.
//! - [`token`]: how tokens are shown.
//! - [`submission`]: a proven batch as bytes and as a folder, and its verification.
//!
//! What a batch means is left to `ledger` and `circuits`; ordering operations to the batcher.
#![allow(
    missing_docs,
    reason = "the crate serves this repository; types, names and messages say most of it"
)]

mod batch;
pub mod blocks;
pub mod bytes;
mod calls;
pub mod checked;
mod checks;
mod class;
mod create;
pub mod error;
mod escrow;
pub mod evm;
pub mod genesis;
mod head;
mod journal;
mod keys;
pub mod leave;
mod mirror;
pub mod native;
mod open;
pub mod operator;
pub mod queue;
pub mod records;
pub mod registry;
mod store;
pub mod submission;
mod submit;
pub mod token;
mod token_table;

pub use batch::FinalizedBatch;
pub use blocks::Confirmed;
pub use bytes::{Address, NOBODY};
pub use error::{BatchFault, L1Error, OpenError, Refusal, StoreError};
pub use escrow::TokenTotals;
pub use genesis::{Deployment, Genesis, GenesisAccount, OPERATORS_HOUR, Parameters};
pub use head::Head;
pub use journal::REORG_WINDOW;
pub use leave::{Cancelled, Exit};
pub use mirror::{Blocks, Calls};
pub use native::NativeL1;
pub use operator::SubmissionRight;
pub use queue::{Deposit, QueueEntry};
pub use registry::Registration;
pub use storage::CodecError;
pub use submission::{Submission, VerifiedBatch, verify_batch};
