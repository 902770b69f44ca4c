//! The mirror: a native L1 to which everything that the contract did is applied, in the chain's order.
//!
//! Beside the mirror's file lies another with checkpoints: blocks of the chain and the mirror's height
//! after each. It never says more than the mirror has: after a crash the mirror goes back to the last
//! checkpoint. If the chain has another block than a checkpoint's of the same number, the mirror is rolled back to
//! the last checkpoint that the chain still has, and follows again; if that is too far back, it is made anew.
//!
//! If a node does not have a block that was seen before, it may only lag: its last block is old, or the other
//! was seen a short while ago. Then nothing is rolled back. A block without events is dropped at once, since
//! nothing depends on it.
//!
//! A block of the chain with events is one block of the mirror. Many are committed together, and each can be
//! rolled back by itself. A program that was killed continues after the last block that is on disk.
//!
//! Invariant: after [`Mirror::sync`] the mirror has executed, under its own rules and with every proof
//! verified, exactly the contract's transactions up to the chain's last block, and head, fees and money
//! are those that the contract tells at that block.

mod apply;
mod batches;
mod bookkeeping;
mod checkpoints;
mod compare;
mod create;
mod follow;
mod roll_back;
#[cfg(test)]
mod tests;

pub(crate) use bookkeeping::Mirror;
pub use create::create_mirror;
