//! Verification of one proof, or of many in one multi-pairing.
//!
//! Invariant: `Ok(())` means that for each proof `e(A, B) = e(α, β)·e(L, γ)·e(C, δ)` with
//! `L = IC₀ + Σ inputⱼ·ICⱼ₊₁` (Groth, "On the Size of Pairing-based Non-interactive Arguments", ePrint
//! 2016/260, section 3.2), for many proofs up to a chance of 2^-127. Sound because a
//! [`VerifyingKey`] exists only with its key checked, and a [`Proof`] only with its points checked.
//! What the inputs mean, and whether a proof is still wanted, is left to the caller.

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{One, Zero};
use rand::RngCore;
use rand::rngs::OsRng;
use rayon::prelude::*;

use crate::key::VerifyingKey;
use crate::proof::Proof;

/// Why a proof was not accepted.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    /// Another number of public inputs than the key has.
    #[error("proof {index}: the key takes {expected} public inputs, got {got}")]
    InputCount {
        /// Position of the proof; 0 for a single one.
        index: usize,
        /// Public inputs of the key.
        expected: usize,
        /// Number of public inputs that were given.
        got: usize,
    },
    /// The pairing equation does not hold.
    #[error("the proof does not verify for these public inputs under key {key_id}")]
    Rejected {
        /// The key's id, in hexadecimal.
        key_id: String,
    },
    /// The combined pairing equation does not hold: at least one proof is bad.
    #[error(
        "at least one of {count} proofs does not verify under key {key_id}; verify them one by one to find it"
    )]
    BatchRejected {
        /// Number of proofs that were given.
        count: usize,
        /// The key's id, in hexadecimal.
        key_id: String,
    },
    /// An empty list, which proves nothing.
    #[error("there is no proof to verify")]
    Nothing,
}

/// Verifies `proof` for `inputs` (without the constant 1).
///
/// # Errors
/// [`VerifyError::InputCount`] or [`VerifyError::Rejected`].
pub fn verify(key: &VerifyingKey, inputs: &[Fr], proof: &Proof) -> Result<(), VerifyError> {
    check_count(key, 0, inputs)?;
    let sum = input_sum(key, inputs).into_affine();
    let [gamma, delta] = key.negated_prepared();
    let left = Bn254::multi_miller_loop(
        [*proof.a(), sum, *proof.c()],
        [(*proof.b()).into(), gamma.clone(), delta.clone()],
    );
    match Bn254::final_exponentiation(left) {
        Some(product) if product.0 == key.alpha_beta() => Ok(()),
        _ => Err(VerifyError::Rejected {
            key_id: key.id_hex(),
        }),
    }
}

/// Verifies every `(inputs, proof)` with `n + 3` pairings and one final exponentiation.
///
/// Each equation is raised to its own non-zero 128-bit power from the operating system's randomness,
/// so errors in different proofs cannot be made to cancel.
///
/// # Errors
/// [`VerifyError::Nothing`] for an empty list, [`VerifyError::InputCount`] naming the proof, and
/// [`VerifyError::BatchRejected`] when at least one proof is bad.
pub fn verify_many<I: AsRef<[Fr]> + Sync>(
    key: &VerifyingKey,
    proofs: &[(I, Proof)],
) -> Result<(), VerifyError> {
    // Why: pairings are compiled here once, not in every crate that calls this.
    let proofs = proofs
        .iter()
        .map(|(inputs, proof)| (inputs.as_ref(), proof));
    verify_all(key, &proofs.collect::<Vec<_>>())
}

fn verify_all(key: &VerifyingKey, proofs: &[(&[Fr], &Proof)]) -> Result<(), VerifyError> {
    if proofs.is_empty() {
        return Err(VerifyError::Nothing);
    }
    for (index, (inputs, _)) in proofs.iter().enumerate() {
        check_count(key, index, inputs)?;
    }
    let powers: Vec<Fr> = proofs.iter().map(|_| random_power()).collect();
    let (mut left, mut right): (Vec<G1Affine>, Vec<G2Affine>) = proofs
        .par_iter()
        .zip(&powers)
        .map(|((_, proof), power)| ((*proof.a() * power).into_affine(), *proof.b()))
        .unzip();

    let ark = key.ark();
    let total: Fr = powers.iter().sum();
    let combined_inputs = combine_inputs(key, proofs, &powers);
    let cs: Vec<G1Affine> = proofs.iter().map(|(_, proof)| *proof.c()).collect();
    let combined_c = G1Projective::msm(&cs, &powers).expect("one power for each proof");
    let fixed =
        [ark.alpha_g1 * total, combined_inputs, combined_c].map(|point| (-point).into_affine());
    left.extend(fixed);
    right.extend([ark.beta_g2, ark.gamma_g2, ark.delta_g2]);

    match Bn254::final_exponentiation(Bn254::multi_miller_loop(left, right)) {
        Some(product) if product.0.is_one() => Ok(()),
        _ => Err(VerifyError::BatchRejected {
            count: proofs.len(),
            key_id: key.id_hex(),
        }),
    }
}

fn check_count(key: &VerifyingKey, index: usize, inputs: &[Fr]) -> Result<(), VerifyError> {
    let (expected, got) = (key.num_inputs(), inputs.len());
    if expected == got {
        Ok(())
    } else {
        Err(VerifyError::InputCount {
            index,
            expected,
            got,
        })
    }
}

fn input_sum(key: &VerifyingKey, inputs: &[Fr]) -> G1Projective {
    let ic = &key.ark().gamma_abc_g1;
    // Why: a parallel sum of so few terms gains nothing, and callers may be parallel themselves.
    let terms = ic[1..].iter().zip(inputs);
    terms.fold(ic[0].into_group(), |sum, (point, input)| {
        sum + *point * input
    })
}

/// `Σ powerⱼ·Lⱼ` with one scalar for each point of the key.
fn combine_inputs(key: &VerifyingKey, proofs: &[(&[Fr], &Proof)], powers: &[Fr]) -> G1Projective {
    let mut scalars = vec![Fr::zero(); key.num_inputs() + 1];
    for ((inputs, _), power) in proofs.iter().zip(powers) {
        scalars[0] += power;
        for (scalar, input) in scalars[1..].iter_mut().zip(*inputs) {
            *scalar += *power * input;
        }
    }
    G1Projective::msm(&key.ark().gamma_abc_g1, &scalars).expect("one scalar for each point")
}

/// A non-zero 128-bit exponent.
fn random_power() -> Fr {
    let mut bytes = [0; 16];
    loop {
        OsRng.fill_bytes(&mut bytes);
        let power = Fr::from(u128::from_le_bytes(bytes));
        if !power.is_zero() {
            return power;
        }
    }
}
