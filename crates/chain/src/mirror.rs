//! The mirror: a native L1 to which everything that the contract did is applied, in the chain's order.
//!
//! Beside the mirror's file lies another with checkpoints: blocks of the chain and the mirror's height
//! after each. It never says more than the mirror has: after a crash the mirror goes back to the last
//! checkpoint. When the chain has another block in the place of a checkpoint's, the mirror goes back to the
//! last that still is, and forward again; further back than it can, it is made anew, being only a copy.
//!
//! A node's word for a block is kept only as long as its chain has the block. What a node does not have
//! undoes nothing that was applied while the node may only lag: its last block is old, or the block was seen
//! a short while ago. A block without events is dropped at once.
//!
//! A block of the chain with events is one of the mirror's. Many become durable together, and each can be
//! undone by itself: a reorganization is undone block by block, and a program that was killed goes on at the
//! last border of blocks that is on disk.
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
