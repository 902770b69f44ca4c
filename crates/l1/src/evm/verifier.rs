//! A Solidity verifier for a Groth16 verifying key over BN254, with any number of public inputs.
//!
//! The rollup does not use it: it keeps its keys as code and checks them when it is deployed. The
//! generated contract is for whoever verifies proofs of another circuit, made with arkworks or with
//! this prover, on chain. Invariant: `verify` returns true only if every input is below `r`, the
//! call data are exactly proof and inputs, and the pairing product is 1; every precompile's success
//! and output length is checked. The key was checked when it was decoded (`prover::key`).


use prover::key::VerifyingKey;
use prover::proof::{encode_g1, encode_g2};

/// The key as the contract's constructor takes it: `α β γ δ IC…`, points as in proofs.
pub fn key_bytes(key: &VerifyingKey) -> Vec<u8> {
    let ark = key.ark();
    let mut bytes = encode_g1(&ark.alpha_g1).to_vec();
    for point in [&ark.beta_g2, &ark.gamma_g2, &ark.delta_g2] {
        bytes.extend(encode_g2(point));
    }
    for point in &ark.gamma_abc_g1 {
        bytes.extend(encode_g1(point));
    }
    bytes
}
