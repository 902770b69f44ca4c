//! The program as people run it: the whole path, bad input, interruption.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attack;
mod bad_input;
mod batches;
mod chains;
mod clock;
mod configuration;
mod contracts;
mod delivery;
mod durable;
mod errors;
mod exchange;
mod files;
mod fixture;
mod groth16;
mod help;
mod interruption;
mod keys;
mod leaving;
mod mempool;
mod path;
mod queue;
mod taking_over;
mod terminal;
mod units;
mod waiting;
mod wallets;
