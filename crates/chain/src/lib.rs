//! The rollup's contract on a real chain, through one of the chain's nodes.
//!
//! - [`chain`]: deploying a contract, and calling it.
//! - [`found`]: finding one that somebody else deployed.
//! - [`rpc`]: a node, asked over HTTP, again if the network fails.
//! - [`key`]: the secp256k1 key that signs transactions.
//! - [`error`]: what can go wrong.
//!
//! Inside, the mirror applies what the contract did to a native L1, block by block and back over
//! reorganizations, and the sender writes transactions down before they leave. Nothing that a node says is
//! believed about rules: every batch's proof is verified again, every call executed again, and the result
//! compared with the contract's. That a node shows the chain that the world agrees on is left to the
//! choice of the node (docs/soundness.md).

pub mod chain;
mod contract;
pub mod error;
pub mod found;
pub mod key;
mod mirror;
mod outbox;
pub mod rpc;
#[cfg(test)]
mod script;
mod sender;

pub use chain::{Access, Chain, genesis_of};
pub use error::ChainError;
pub use found::Found;
pub use key::EthKey;
pub use mirror::create_mirror;
pub use rpc::{BlockId, Rpc};
pub use sender::Patience;
