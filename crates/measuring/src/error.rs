//! What can go wrong in a comparison.

use thiserror::Error;

/// Why nothing can be measured.
#[derive(Debug, Error)]
pub enum ComparisonError {
    /// A result differs from arkworks', or arkworks' does not hold.
    #[error("{what} differs from arkworks'")]
    Differs { what: String },
    /// arkworks has no transform of this size.
    #[error("there is no domain of 2^{log2_size} elements")]
    Domain {
        /// Base-2 logarithm of the size.
        log2_size: u32,
    },
    #[error("ark-groth16 failed")]
    Groth16(#[from] ark_relations::gr1cs::SynthesisError),
}
