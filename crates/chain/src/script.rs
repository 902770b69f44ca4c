//! A node of a chain that is in memory alone, for tests: the second [`Backend`](crate::backend::Backend).
//!
//! It has blocks with hashes, transactions that wait, accounts with nonces, and as much of the contract as the
//! sender and the mirror need: deposits, top-ups, exits that are asked for, tokens, approvals, the freeze. It counts
//! what it is asked, lags, lies and reorganizes as a test tells it to. Time passes only while a program pauses, and
//! then at once.

mod contract;
mod node;
mod transactions;

pub(crate) use contract::{Act, CONTRACT, L1_FEE, erc20, genesis};
pub(crate) use node::{Fate, Mining, Node, Shown, faithful};
