//! The contracts on Ethereum's own machine, in process: for tests and for gas figures.
//!
//! - [`chain`]: an EVM with accounts, blocks, time, snapshots.
//! - [`rollup`]: the committed bytecode deployed on it, with its calls.
//! - [`sample`]: batches of real operations with proofs, real or made with a development key's
//!   trapdoor.
//! - [`gas`]: what each call costs, exactly.
//!
//! Invariant: the code that runs is the committed one, under the rules of the Osaka hard fork, call
//! data floor (EIP-7623) and gas limit of a transaction (EIP-7825) included. What the contracts mean
//! is left to `l1`; nodes and networks to clients.
#![allow(
    missing_docs,
    reason = "the crate serves tests and measurements of this repository"
)]

pub mod chain;
pub mod gas;
pub mod queue;
pub mod rollup;
pub mod sample;

/// The generated Solidity sources, by their path under `crates/l1/contracts`. The sample verifier is
/// for the tests; its key's secrets are known.
///
/// # Panics
/// Never: the sample's name and key are good.
pub fn generated() -> [(&'static str, String); 2] {
    let sample = sample::Trapdoor::new(SAMPLE_VERIFIER_SEED).key([0; 32]);
    let verifier = l1::evm::verifier::solidity(&sample, "SampleVerifier");
    [
        ("src/PathHasher.sol", l1::evm::path_hasher::solidity()),
        (
            "test/SampleVerifier.sol",
            verifier.expect("the sample has three inputs"),
        ),
    ]
}

/// Seed of the secrets behind the sample verifier.
pub const SAMPLE_VERIFIER_SEED: u64 = 42;
