//! Proofs and public inputs as bytes: one spelling each.
//!
//! A proof is 256 bytes, eight big-endian words in the order of the EVM's pairing precompile:
//! `A.x A.y B.x₁ B.x₀ B.y₁ B.y₀ C.x C.y` (an element of the quadratic extension is `x₀ + x₁·u`, the
//! imaginary part first; EIP-197). A public input is one big-endian word.
//!
//! Invariant: a [`Proof`] holds points on their curves, in their prime-order subgroups, and not at
//! infinity; `decode(bytes)` succeeds only if encoding the result gives `bytes` back. A proof's bytes
//! identify nothing all the same: anyone can re-randomise a valid proof.
//! Whether a proof proves anything is left to `verify`.

use ark_bn254::{Bn254, Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, BigInteger256, PrimeField};

/// Bytes of an encoded proof.
pub const PROOF_BYTES: usize = 256;

/// Why bytes are not a proof, a point or a public input.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Not exactly the number of bytes that the encoding has.
    #[error("{what}: expected {expected} bytes, got {got}")]
    Length {
        /// What the bytes were to be: a proof, a point or a scalar.
        what: &'static str,
        /// Bytes of the encoding.
        expected: usize,
        /// Number of bytes that were given.
        got: usize,
    },
    /// A coordinate is not below BN254's base modulus `p`.
    #[error("{what}: a coordinate is not below the base modulus p")]
    CoordinateNotCanonical {
        /// Name of the point.
        what: &'static str,
    },
    /// A scalar is not below BN254's scalar modulus `r`.
    #[error("{what}: the value is not below the scalar modulus r")]
    ScalarNotCanonical {
        /// Name of the scalar.
        what: &'static str,
    },
    /// The coordinates satisfy no curve equation.
    #[error("{what}: the point is not on the curve")]
    NotOnCurve {
        /// Name of the point.
        what: &'static str,
    },
    /// The point is on the twist but outside its subgroup of order `r`.
    #[error("{what}: the point is not in the subgroup of order r")]
    NotInSubgroup {
        /// Name of the point.
        what: &'static str,
    },
    /// The point at infinity, which no honest encoder writes.
    #[error("{what}: the point at infinity is not allowed")]
    Infinity {
        /// Name of the point.
        what: &'static str,
    },
}

/// A Groth16 proof with checked points; see the module's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    a: G1Affine,
    b: G2Affine,
    c: G1Affine,
}

impl Proof {
    /// A proof from its points, checked as in [`Proof::from_bytes`].
    ///
    /// # Errors
    /// [`DecodeError`] naming the point that is off its curve, outside its subgroup or infinite.
    pub fn new(a: G1Affine, b: G2Affine, c: G1Affine) -> Result<Self, DecodeError> {
        check_g1("proof point A", &a)?;
        check_g2("proof point B", &b)?;
        check_g1("proof point C", &c)?;
        Ok(Self { a, b, c })
    }

    /// Decodes 256 bytes in the module's order.
    ///
    /// # Errors
    /// [`DecodeError`] unless `bytes` is the one encoding of a proof.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        expect_length("proof", bytes, PROOF_BYTES)?;
        Ok(Self {
            a: decode_g1("proof point A", &bytes[..64])?,
            b: decode_g2("proof point B", &bytes[64..192])?,
            c: decode_g1("proof point C", &bytes[192..])?,
        })
    }

    /// Encodes the proof in the module's order.
    pub fn to_bytes(&self) -> [u8; PROOF_BYTES] {
        let mut bytes = [0; PROOF_BYTES];
        bytes[..64].copy_from_slice(&encode_g1(&self.a));
        bytes[64..192].copy_from_slice(&encode_g2(&self.b));
        bytes[192..].copy_from_slice(&encode_g1(&self.c));
        bytes
    }

    /// The point `A`, of the first group.
    pub fn a(&self) -> &G1Affine {
        &self.a
    }

    /// The point `B`, of the second group.
    pub fn b(&self) -> &G2Affine {
        &self.b
    }

    /// The point `C`, of the first group.
    pub fn c(&self) -> &G1Affine {
        &self.c
    }

    /// The same proof for `ark-groth16`.
    pub fn to_ark(&self) -> ark_groth16::Proof<Bn254> {
        ark_groth16::Proof {
            a: self.a,
            b: self.b,
            c: self.c,
        }
    }

    /// Takes a proof from `ark-groth16`, checking its points.
    ///
    /// # Errors
    /// As [`Proof::new`].
    pub fn from_ark(proof: &ark_groth16::Proof<Bn254>) -> Result<Self, DecodeError> {
        Self::new(proof.a, proof.b, proof.c)
    }
}

/// Decodes a public input from 32 big-endian bytes.
///
/// # Errors
/// [`DecodeError::Length`], or [`DecodeError::ScalarNotCanonical`] for a value of `r` or more.
pub fn decode_public_input(bytes: &[u8]) -> Result<Fr, DecodeError> {
    let what = "public input";
    expect_length(what, bytes, 32)?;
    Fr::from_bigint(big_endian(bytes)).ok_or(DecodeError::ScalarNotCanonical { what })
}

/// Encodes a public input as 32 big-endian bytes.
pub fn encode_public_input(value: &Fr) -> [u8; 32] {
    to_word(value.into_bigint())
}

pub(crate) fn expect_length(
    what: &'static str,
    bytes: &[u8],
    expected: usize,
) -> Result<(), DecodeError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(DecodeError::Length {
            what,
            expected,
            got: bytes.len(),
        })
    }
}

/// An integer from 32 big-endian bytes.
fn big_endian(bytes: &[u8]) -> BigInteger256 {
    let limb = |k: usize| {
        let word = bytes[24 - 8 * k..32 - 8 * k]
            .try_into()
            .expect("eight bytes");
        u64::from_be_bytes(word)
    };
    BigInteger256::new([limb(0), limb(1), limb(2), limb(3)])
}

fn to_word(value: BigInteger256) -> [u8; 32] {
    value
        .to_bytes_be()
        .try_into()
        .expect("four limbs are 32 bytes")
}

fn coordinate(what: &'static str, bytes: &[u8]) -> Result<Fq, DecodeError> {
    Fq::from_bigint(big_endian(bytes)).ok_or(DecodeError::CoordinateNotCanonical { what })
}

pub(crate) fn check_g1(what: &'static str, point: &G1Affine) -> Result<(), DecodeError> {
    if point.is_zero() {
        return Err(DecodeError::Infinity { what });
    }
    if !point.is_on_curve() {
        return Err(DecodeError::NotOnCurve { what });
    }
    // The curve has prime order: on the curve is in the group.
    Ok(())
}

pub(crate) fn check_g2(what: &'static str, point: &G2Affine) -> Result<(), DecodeError> {
    if point.is_zero() {
        return Err(DecodeError::Infinity { what });
    }
    if !point.is_on_curve() {
        return Err(DecodeError::NotOnCurve { what });
    }
    if !point.is_in_correct_subgroup_assuming_on_curve() {
        return Err(DecodeError::NotInSubgroup { what });
    }
    Ok(())
}

/// Decodes 64 bytes, checked to be a point of the group; zeros are reported as infinity. `what` names the
/// point in messages.
///
/// # Errors
/// [`DecodeError`].
///
/// # Panics
/// If there are fewer bytes.
pub fn decode_g1(what: &'static str, bytes: &[u8]) -> Result<G1Affine, DecodeError> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Err(DecodeError::Infinity { what });
    }
    let point = G1Affine::new_unchecked(
        coordinate(what, &bytes[..32])?,
        coordinate(what, &bytes[32..])?,
    );
    check_g1(what, &point)?;
    Ok(point)
}

/// Decodes 128 bytes, checked to be a point of the group; zeros are reported as infinity. `what` names the
/// point in messages.
///
/// # Errors
/// [`DecodeError`].
///
/// # Panics
/// If there are fewer bytes.
pub fn decode_g2(what: &'static str, bytes: &[u8]) -> Result<G2Affine, DecodeError> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Err(DecodeError::Infinity { what });
    }
    let word = |k: usize| coordinate(what, &bytes[32 * k..32 * (k + 1)]);
    let (x1, x0, y1, y0) = (word(0)?, word(1)?, word(2)?, word(3)?);
    let point = G2Affine::new_unchecked(Fq2::new(x0, x1), Fq2::new(y0, y1));
    check_g2(what, &point)?;
    Ok(point)
}

/// Encodes a finite point.
pub fn encode_g1(point: &G1Affine) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&to_word(point.x.into_bigint()));
    bytes[32..].copy_from_slice(&to_word(point.y.into_bigint()));
    bytes
}

/// Encodes a finite point.
pub fn encode_g2(point: &G2Affine) -> [u8; 128] {
    let mut bytes = [0; 128];
    for (k, word) in [point.x.c1, point.x.c0, point.y.c1, point.y.c0]
        .into_iter()
        .enumerate()
    {
        bytes[32 * k..32 * (k + 1)].copy_from_slice(&to_word(word.into_bigint()));
    }
    bytes
}
