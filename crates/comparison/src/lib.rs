//! arkworks beside this prover: the same inputs, in one process, in interleaved pairs.
//!
//! Invariant: both sides are compiled in this crate with the same optimisation, and every result of
//! arkworks is checked or compared with ours.

mod error;
pub mod groth16;
pub mod primitives;

pub use error::ComparisonError;
