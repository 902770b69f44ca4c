//! Formats and ceremonies on small circuits, and the exported tiny circuit.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ceremony;
mod forger;
mod formats;
mod groth16;
mod mutations;
mod others;
mod sample;
mod under_constraint;
