//! iden3's file formats for Groth16 over BN254, and the second phase of a setup by many parties.
//!
//! `.r1cs`, `.wtns`, `.zkey`, `.ptau` and the JSON of snarkjs are read and written here, so that
//! circuits, keys and proofs can be checked by programs that share no code with this one.
//!
//! Invariant: a reader takes any bytes. It allocates a small multiple of the file's length, refuses what it
//! does not understand with a reason, and returns only canonical field elements and points that are
//! on their curve and in their subgroup; the one reader that checks less of a key, for provers that verify
//! what they prove, says so. What a key proves, and whether a ceremony's participants
//! forgot their secrets, is left to others.

pub mod calldata;
pub mod ceremony;
mod class;
mod container;
pub mod error;
pub mod groth16;
pub mod json;
pub mod points;
pub mod ptau;
pub mod r1cs;
pub mod sym;
pub mod transcript;
pub mod wtns;
pub mod zkey;

pub use error::FormatError;
