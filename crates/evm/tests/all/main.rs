//! The contracts' bytecode, run in process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod bridge;
mod documents;
mod life;
mod operator;
mod twins;
mod verdict;
mod verifier;
mod walk;
