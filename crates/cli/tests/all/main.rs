//! The program as people run it: the whole path, bad input, interruption.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod fixture;
mod help;
mod interruption;
mod path;
