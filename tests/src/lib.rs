//! Whole-system stories are in `tests/`; here is what they share with each other and the fuzzer.
//!
//! - [`decoders`]: every decoder of bytes from outside, each with what must hold of any input.
//! - [`seeds`]: valid encodings for each of them.
//! - [`world`]: a small deployment with real proofs.

pub mod decoders;
pub mod seeds;
pub mod world;
