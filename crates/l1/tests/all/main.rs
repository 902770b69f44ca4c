//! Tests of the native L1 from outside: refusals, batches with real proofs, files, attacks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod batches;
mod blocks;
mod faults;
mod files;
mod fixture;
mod genesis;
mod leave;
mod operator;
mod queue;
mod refusals;
