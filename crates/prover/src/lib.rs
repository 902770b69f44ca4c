//! Groth16 over BN254 for any R1CS: setup, keys, proofs, verification, and many proofs at once.
//!
//! Invariant: nothing is accepted that was not checked. Keys are checked when made or read, proofs
//! when decoded, and a new proof is verified before it is handed out.
//! It stands alone, over `r1cs` and `msm`: what a circuit and its public inputs mean is left to the caller.

pub mod bounded;
pub mod circuit;
mod class;
pub mod key;
mod key_file;
pub mod proof;
pub mod prove;
pub mod qap;
pub mod schedule;
pub mod setup;
pub mod verify;
