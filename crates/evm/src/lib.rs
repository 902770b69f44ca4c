//! The contracts on Ethereum's own machine, in process: for tests and for gas figures.
//!
//! - [`chain`]: an EVM with accounts, blocks, time, snapshots.
//! - [`rollup`]: the committed bytecode deployed on it, with its calls.
//! - [`sample`]: batches of real operations with proofs, real or made with a development key's
//!   trapdoor.
//! - [`gas`]: what each call costs, exactly.
//!
//! Invariant: the code that runs is the committed one, under the rules of the Osaka hard fork, call
//! data floor (EIP-7623) and gas limit of a transaction (EIP-7825) included. What the contracts mean
//! is left to `l1`; nodes and networks to clients.

pub mod chain;
pub mod gas;
pub mod rollup;
pub mod sample;
