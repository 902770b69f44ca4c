//! The prover from outside: proofs, key files, and attacks on both.

mod attacks;
mod chain;
mod circuits;
mod fixture;
mod key_files;
mod proofs;
