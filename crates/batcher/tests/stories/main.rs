//! The batcher's stories: intake, sealing, restarts, imports and bad input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod applying;
mod durability;
mod faults;
mod imports;
mod intake;
mod reopening;
mod restoring;
mod sealing;
mod world;
