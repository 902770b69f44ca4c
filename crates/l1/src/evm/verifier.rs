//! A Solidity verifier for a Groth16 verifying key over BN254, with any number of public inputs.
//!
//! The rollup does not use it: it keeps its keys as code and checks them when it is deployed. The
//! generated contract is for whoever verifies proofs of another circuit, made with arkworks or with
//! this prover, on chain. Invariant: `verify` answers true only if the call data are exactly proof
//! and inputs, every input is below `r`, no point is infinite and the pairing product is 1 (Groth,
//! ePrint 2016/260, section 3.2; EIP-196, EIP-197); every precompile's success and output length is
//! checked. It answers false only if the proof does not hold: with too little gas to tell, it reverts. The key itself was checked when it was decoded (`prover::key`).

use std::fmt::Write;

use ark_bn254::Bn254;
use ark_ec::AffineRepr;
use ark_serialize::CanonicalDeserialize;
use prover::key::{KeyError, KeyInfo, Origin, VerifyingKey};
use prover::proof::{encode_g1, encode_g2};
use thiserror::Error;

/// Most public inputs of a generated verifier: its code stays below the limit of EIP-170.
pub const MAX_INPUTS: usize = 128;

/// Why no verifier is generated.
#[derive(Debug, Error)]
pub enum VerifierError {
    /// The name is not one of a contract.
    #[error("{0:?} is not a name of a contract: letters and digits, a letter first, at most 64")]
    Name(String),
    /// More public inputs than code has room for.
    #[error("the key has {got} public inputs, a verifier has room for {MAX_INPUTS}")]
    Inputs {
        /// Public inputs of the key.
        got: usize,
    },
    /// Not a verifying key of arkworks.
    #[error(
        "not a verifying key of ark-groth16 over BN254 in arkworks' bytes, compressed or not: {0}"
    )]
    Arkworks(String),
    /// A key that may not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Reads a verifying key of ark-groth16 as `CanonicalSerialize` writes it, compressed or not, with
/// every check that a key of this project passes.
///
/// # Errors
/// [`VerifierError::Arkworks`] or [`VerifierError::Key`].
pub fn from_arkworks(bytes: &[u8]) -> Result<VerifyingKey, VerifierError> {
    let mut compressed = bytes;
    let read = ark_groth16::VerifyingKey::<Bn254>::deserialize_compressed(&mut compressed);
    let ark = match read {
        Ok(key) if compressed.is_empty() => key,
        _ => {
            let mut rest = bytes;
            let key = ark_groth16::VerifyingKey::deserialize_uncompressed(&mut rest);
            let key = key.map_err(|error| VerifierError::Arkworks(error.to_string()))?;
            if !rest.is_empty() {
                return Err(VerifierError::Arkworks(format!(
                    "{} bytes follow it",
                    rest.len()
                )));
            }
            key
        }
    };
    let info = KeyInfo {
        name: String::new(),
        shape: Vec::new(),
        fingerprint: [0; 32],
        origin: Origin::Unknown,
    };
    Ok(VerifyingKey::new(ark, info)?)
}

/// The source of a contract `name` that verifies proofs under `key`.
///
/// # Errors
/// [`VerifierError::Name`] or [`VerifierError::Inputs`].
pub fn solidity(key: &VerifyingKey, name: &str) -> Result<String, VerifierError> {
    let good = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    if !good {
        return Err(VerifierError::Name(name.to_owned()));
    }
    let inputs = key.num_inputs();
    if inputs == 0 || inputs > MAX_INPUTS {
        return Err(VerifierError::Inputs { got: inputs });
    }
    let ark = key.ark();
    // e(A, B)·e(-alpha, beta)·e(L, -gamma)·e(C, -delta) = 1.
    let alpha = encode_g1(&(-ark.alpha_g1));
    let beta = encode_g2(&ark.beta_g2);
    let gamma = encode_g2(&(-ark.gamma_g2.into_group()).into());
    let delta = encode_g2(&(-ark.delta_g2.into_group()).into());
    let mut sum = String::new();
    for (input, point) in ark.gamma_abc_g1.iter().skip(1).enumerate() {
        let place = 260 + 32 * input;
        stores(&mut sum, 64, &encode_g1(point));
        line(
            &mut sum,
            &format!("mstore(add(m, 128), calldataload({place}))"),
        );
        line(
            &mut sum,
            "if iszero(staticcall(gas(), 7, add(m, 64), 96, add(m, 64), 64)) { revert(0, 0) }",
        );
        line(
            &mut sum,
            "if iszero(staticcall(gas(), 6, m, 128, m, 64)) { revert(0, 0) }",
        );
    }
    let mut start = String::new();
    stores(&mut start, 0, &encode_g1(&ark.gamma_abc_g1[0]));
    let mut pairs = String::new();
    stores(&mut pairs, 192, &[alpha.as_slice(), &beta].concat());
    stores(&mut pairs, 448, &gamma);
    stores(&mut pairs, 640, &delta);
    Ok(HEAD
        .replace("START\n", &start)
        .replace("SUM\n", &sum)
        .replace("PAIRS\n", &pairs)
        .replace("NAME", name)
        .replace("KEY_ID", &key.id_hex())
        .replace("INPUTS", &inputs.to_string())
        .replace("LENGTH", &(260 + 32 * inputs).to_string()))
}

const HEAD: &str = r#"// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title Verifies Groth16 proofs over BN254 under the key KEY_ID
/// @notice Generated by `quire verifier solidity`. A proof's bytes identify nothing: anybody can make
/// other bytes that prove the same.
contract NAME {
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

    /// The call data have another length than a proof and INPUTS inputs.
    error BadLength();
    /// A public input is not below the order of the scalar field.
    error NotCanonical();

    /// @param proof A.x A.y B.x1 B.x0 B.y1 B.y0 C.x C.y (EIP-197: the imaginary part first).
    /// @param inputs The public inputs, each below R.
    /// @return good True if and only if the proof holds for the inputs. With too little gas to tell, the
    /// call reverts.
    function verify(uint256[8] calldata proof, uint256[INPUTS] calldata inputs) external view returns (bool good) {
        if (msg.data.length != LENGTH) revert BadLength();
        for (uint256 i = 0; i < INPUTS; i++) {
            if (inputs[i] >= R) revert NotCanonical();
        }
        // No honest proof has a point at infinity.
        if (proof[0] | proof[1] == 0 || proof[6] | proof[7] == 0) return false;
        if (proof[2] | proof[3] | proof[4] | proof[5] == 0) return false;
        assembly ("memory-safe") {
            let m := mload(0x40)
            // Points of the key are good, so these calls fail for want of gas alone.
            // The combination of the inputs at m; a term and its factor after it.
START
SUM
            // Four pairs: (A, B), (-alpha, beta), (combination, -gamma), (C, -delta).
            mcopy(add(m, 384), m, 64)
            calldatacopy(m, 4, 192)
            calldatacopy(add(m, 576), 196, 64)
PAIRS
            // A pairing fails on points that are none, and for want of gas: at the prices of EIP-1108
            // it takes 181,000. With less than twice as much a failure says nothing about the proof.
            let enough := gt(gas(), 370000)
            good := staticcall(gas(), 8, m, 768, 0, 32)
            if iszero(or(good, enough)) { revert(0, 0) }
            good := and(good, and(eq(returndatasize(), 32), eq(mload(0), 1)))
        }
    }
}
"#;

/// Stores words one after the other, `from` bytes after `m`.
fn stores(out: &mut String, from: usize, bytes: &[u8]) {
    for (position, word) in bytes.chunks(32).enumerate() {
        let place = from + 32 * position;
        let text = format!("mstore(add(m, {place}), 0x{})", hex::encode(word));
        line(out, &text);
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "            {text}").expect("writing to a string does not fail");
}
