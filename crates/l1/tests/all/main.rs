//! Tests of the native L1 from outside: refusals, batches with real proofs, files, attacks.

#![allow(clippy::unwrap_used)]

mod attacks;
mod batches;
mod files;
mod fixture;
mod genesis;
mod refusals;
