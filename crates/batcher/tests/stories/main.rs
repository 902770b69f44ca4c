//! The batcher's stories: intake, sealing, restarts, imports and bad input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod durability;
mod imports;
mod intake;
mod sealing;
mod world;
