//! The rollup's contract on a real chain, through one of the chain's nodes.
//!
//! Calls, from the top down:
//!
//! - `chain`: a contract and its mirror; a call is sent, followed until the mirror has executed its block, and its
//!   outcome read. `calls` encodes it, `approval` lets the contract take what it pays in, `outcome` reads its events.
//! - `access`: a node and a key; `deploy` makes a contract, `find` finds one that somebody else deployed.
//! - `sending`: a transaction is simulated, written into the `outbox`, sent, and waited for (`inclusion`); one that
//!   stays behind is replaced by one that offers more (`replacement`, `fees`) or does nothing (`cancel`); `nonces`
//!   says which nonces are free.
//! - `mirror`: applies what the contract did to a native L1, block by block and back over reorganizations.
//! - `contract`, `events`, `reverts`: what the contract's views, events and errors say.
//! - `blocks`: a transaction's receipt, proven by the header of its block.
//! - `rpc`: a node, asked again if the network fails; `backend` carries the questions, `replies` reads what a node
//!   says in words.
//! - `key`: the secp256k1 key that signs transactions. `error`: what can go wrong.
//!
//! Nothing that a node says is believed about rules: every batch's proof is verified again, every call
//! executed again, and the result compared with the contract's. That a node shows the chain that the world
//! agrees on is left to the choice of the node (docs/soundness.md).

#![allow(
    missing_docs,
    reason = "the crate serves this workspace alone; names of fields and getters say what they are"
)]

mod access;
mod approval;
mod backend;
mod blocks;
mod calls;
mod cancel;
mod chain;
mod class;
mod contract;
mod deploy;
mod disk;
pub mod error;
mod events;
mod fees;
mod find;
mod inclusion;
pub mod key;
mod mirror;
mod nonces;
mod outbox;
mod outcome;
mod replacement;
mod replies;
mod reverts;
pub mod rpc;
#[cfg(test)]
mod script;
mod sender;
mod sending;
#[cfg(test)]
mod stories;
mod words;

pub use access::{ANCHOR, Access, Found, genesis_of};
pub use chain::Chain;
pub use error::ChainError;
pub use key::EthKey;
pub use mirror::create_mirror;
pub use rpc::{BlockId, Rpc};
pub use sender::Patience;
