//! Whole-system stories, in `tests/`: what happens to people's money across batcher, prover and L1.
