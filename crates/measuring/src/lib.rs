//! What is measured with: full sample batches, and arkworks beside this prover.
//!
//! - [`sample`]: a batch of a shape with every slot used.
//! - [`groth16`], [`primitives`]: arkworks and this prover on the same inputs, in one process, in
//!   interleaved pairs.
//!
//! Invariant: both sides are compiled in this crate with the same optimisation, and every result of
//! arkworks is checked or compared with ours.

#![allow(
    missing_docs,
    reason = "the crate serves this workspace alone; names of fields say what they are"
)]

mod error;
pub mod groth16;
pub mod primitives;
pub mod sample;

pub use error::ComparisonError;
