//! The contracts' bytecode, run in process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod life;
mod twins;
mod verdict;
