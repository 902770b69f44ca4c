//! The EVM side of L1: what a client and the contract in `contracts/` agree on.
//!
//! - [`artifacts`]: the compiled contracts, as committed.
//! - [`calldata`]: batches as `submitBatch` and `submitBatches` take them, and queue entries.
//! - [`abi`]: every other call and the constructor, encoded; words that come back, decoded.
//! - [`keccak`]: the hash, and selectors.
//! - [`verifier`]: a Solidity verifier for a verifying key.
//! - [`path_hasher`]: the generated contract that hashes tree paths.
//!
//! Invariant: one batch has one calldata and what the contract reads from it is what
//! [`calldata::decode`] reads. Running the contract is left to the crate `evm` and to nodes.

pub mod abi;
pub mod artifacts;
pub mod calldata;
pub mod keccak;
pub mod path_hasher;
pub mod verifier;
