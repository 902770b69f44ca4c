//! EdDSA-Poseidon on Baby Jubjub as circomlibjs 0.1.7 signs and verifies it (`signPoseidon`,
//! `verifyPoseidon`).
//!
//! A signature `(R8, S)` of the message `M` under the key `A` is good when R8 is on the curve,
//! `S < l` and `S·Base8 = R8 + h·8·A`, `h = Poseidon(R8x, R8y, Ax, Ay, M)` as an integer below `r`.
//! The equation is taken as written, not multiplied by 8, so torsion on R8 is refused.
//!
//! Invariant: [`verify`] accepts exactly these, and a [`Signature`] holds a canonical S, so that no
//! second S passes for the same R8 and message. Torsion on `A` cancels in `8·A` but changes `h`;
//! that account keys have none is the duty of [`crate::babyjubjub::deposit_key_is_good`]. What is
//! signed is the duty of the operations.
//!
//! Signing takes time that depends on the key (see [`crate::babyjubjub`]).

use ark_ff::{BigInteger, PrimeField};
use blake_hash::{Blake512, Digest};
use num_bigint::BigUint;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    babyjubjub::{self, Point, PointError, Scalar},
    field::{self, Fr},
    poseidon,
};

/// A private key: the bytes from which circomlibjs derives the secret scalar and the nonces, of any
/// length, though keys made here have 32. Wiped on drop; its `Debug` form shows no byte.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey(Vec<u8>);

/// A signature. Its `S` is below `l` by type; that `R8` is on the curve is checked by [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// The nonce's point `r·Base8`.
    pub r8: Point,
    /// `S = r + h·s mod l`.
    pub s: Scalar,
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// `S` is not below the order of the prime subgroup.
    #[error("S is not canonical: expected less than {order}, got {got}")]
    ScalarNotCanonical {
        /// The order `l` of the prime subgroup, which S must be below.
        order: BigUint,
        /// The S that was given.
        got: BigUint,
    },
    /// The packed R8 is not a point.
    #[error("packed R8: {0}")]
    PackedR8(#[from] PointError),
    /// R8 is not a point of the curve.
    #[error("R8 = ({}, {}) is not on the curve", .0.x, .0.y)]
    R8NotOnCurve(Point),
    /// The key is not a point of the curve.
    #[error("key = ({}, {}) is not on the curve", .0.x, .0.y)]
    KeyNotOnCurve(Point),
    /// `S·Base8 ≠ R8 + h·8·A`.
    #[error("S·Base8 − h·8·A is not R8: expected ({}, {}), got ({}, {})", expected.x, expected.y, got.x, got.y)]
    Equation {
        /// The point R8 that the signature has.
        expected: Box<Point>,
        /// The point that R8 should be, `S·Base8 − h·8·A`.
        got: Box<Point>,
    },
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// What a private key expands to: BLAKE-512 of it, the first half pruned.
struct Expanded {
    /// The pruned first half as a scalar; a multiple of 8 before it is reduced modulo `l`.
    secret: Zeroizing<Scalar>,
    /// The second half, which seeds the nonces.
    nonce_seed: Zeroizing<[u8; 32]>,
}

impl PrivateKey {
    /// A key from secret `material` by BLAKE3's `derive_key` mode. `context` is a fixed, globally
    /// unique text that says what the key is for; the material can be of any length and holds at
    /// least 256 bits of entropy where money depends on it.
    #[must_use]
    pub fn derive(context: &str, material: &[u8]) -> Self {
        Self(blake3::derive_key(context, material).to_vec())
    }

    /// The key whose bytes are `seed`, as circomlibjs and zk-kit take it: 32 random bytes, or any
    /// text that holds at least 256 bits of entropy where money depends on it.
    #[must_use]
    pub fn from_seed(seed: &[u8]) -> Self {
        Self(seed.to_vec())
    }

    /// The bytes of the key: a secret.
    #[must_use]
    pub fn seed(&self) -> &[u8] {
        &self.0
    }

    /// The public key `A = (s >> 3)·Base8`, `s` the pruned secret.
    #[must_use]
    pub fn public_key(&self) -> Point {
        self.expand().public_key()
    }

    /// Signs a message. The nonce is BLAKE-512 of the key's second half and the message, so the
    /// same key and message give the same signature.
    #[must_use]
    pub fn sign(&self, message: &Fr) -> Signature {
        let expanded = self.expand();
        let nonce = expanded.nonce(message);
        let r8 = babyjubjub::mul_base8(&nonce);
        let h = to_scalar(&challenge(&r8, &expanded.public_key(), message));
        Signature {
            r8,
            s: *nonce + h * *expanded.secret,
        }
    }

    fn expand(&self) -> Expanded {
        let hash = blake512(&self.0);
        let mut pruned = Zeroizing::new([0; 32]);
        let mut nonce_seed = Zeroizing::new([0; 32]);
        pruned.copy_from_slice(&hash[..32]);
        nonce_seed.copy_from_slice(&hash[32..]);
        pruned[0] &= 0xf8;
        pruned[31] &= 0x7f;
        pruned[31] |= 0x40;
        Expanded {
            secret: Zeroizing::new(Scalar::from_le_bytes_mod_order(&*pruned)),
            nonce_seed,
        }
    }
}

impl Expanded {
    fn public_key(&self) -> Point {
        // Why: the pruned secret is a multiple of 8, so its shift by 3 is its eighth modulo l.
        let shifted = Zeroizing::new(*self.secret * babyjubjub::cofactor_inverse());
        babyjubjub::mul_base8(&shifted)
    }

    fn nonce(&self, message: &Fr) -> Zeroizing<Scalar> {
        let mut input = Zeroizing::new([0; 64]);
        input[..32].copy_from_slice(&*self.nonce_seed);
        input[32..].copy_from_slice(&field::to_le_bytes(message));
        Zeroizing::new(Scalar::from_le_bytes_mod_order(&*blake512(&*input)))
    }
}

impl Signature {
    /// A signature from R8 and the integer S.
    ///
    /// # Errors
    /// [`SignatureError::ScalarNotCanonical`] when `s ≥ l`, [`SignatureError::R8NotOnCurve`].
    pub fn from_raw(r8: Point, s: &BigUint) -> Result<Self, SignatureError> {
        let order = BigUint::from(Scalar::MODULUS);
        if *s >= order {
            return Err(SignatureError::ScalarNotCanonical {
                order,
                got: s.clone(),
            });
        }
        if !r8.is_on_curve() {
            return Err(SignatureError::R8NotOnCurve(r8));
        }
        Ok(Self {
            r8,
            s: Scalar::from(s.clone()),
        })
    }

    /// Circomlibjs's `packSignature`: packed R8, then S in 32 little-endian bytes.
    #[must_use]
    pub fn pack(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r8.pack());
        bytes[32..].copy_from_slice(&self.s.into_bigint().to_bytes_le());
        bytes
    }

    /// Reads [`Signature::pack`]'s form, the only one of the signature.
    ///
    /// # Errors
    /// [`SignatureError::PackedR8`] when the first half is no canonical packing of a curve point,
    /// [`SignatureError::ScalarNotCanonical`] when `S ≥ l`.
    pub fn unpack(bytes: &[u8; 64]) -> Result<Self, SignatureError> {
        let mut r8 = [0; 32];
        r8.copy_from_slice(&bytes[..32]);
        Self::from_raw(Point::unpack(&r8)?, &BigUint::from_bytes_le(&bytes[32..]))
    }
}

/// `h = Poseidon(R8x, R8y, Ax, Ay, M)`.
#[must_use]
pub fn challenge(r8: &Point, key: &Point, message: &Fr) -> Fr {
    poseidon::hash(&[r8.x, r8.y, key.x, key.y, *message])
}

/// Checks `S·Base8 = R8 + h·8·A` for a key `A` and an R8 on the curve.
///
/// # Errors
/// [`SignatureError`] naming what does not hold.
pub fn verify(key: &Point, message: &Fr, signature: &Signature) -> Result<(), SignatureError> {
    if !key.is_on_curve() {
        return Err(SignatureError::KeyNotOnCurve(*key));
    }
    let expected = signature.r8;
    if !expected.is_on_curve() {
        return Err(SignatureError::R8NotOnCurve(expected));
    }
    // Sound because: 8·A is in the prime subgroup, so h acts on it modulo l.
    let h = to_scalar(&challenge(&expected, key, message));
    let got = babyjubjub::mul_base8_add(&signature.s, &-h, &key.mul_by_cofactor());
    if got != expected {
        return Err(SignatureError::Equation {
            expected: Box::new(expected),
            got: Box::new(got),
        });
    }
    Ok(())
}

/// The element's integer modulo `l`.
fn to_scalar(element: &Fr) -> Scalar {
    Scalar::from_le_bytes_mod_order(&field::to_le_bytes(element))
}

/// BLAKE-512, the SHA-3 finalist.
fn blake512(input: &[u8]) -> Zeroizing<[u8; 64]> {
    Zeroizing::new(Blake512::digest(input).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{One, UniformRand, Zero};
    use proptest::prelude::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    struct Signed {
        secret: PrivateKey,
        key: Point,
        message: Fr,
        signature: Signature,
    }

    fn signed(seed: u64) -> Signed {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let secret = PrivateKey::derive("ledger eddsa tests", &seed.to_le_bytes());
        let message = Fr::rand(&mut rng);
        Signed {
            key: secret.public_key(),
            signature: secret.sign(&message),
            secret,
            message,
        }
    }

    /// The seven points of order 2, 4 and 8.
    fn torsion() -> Vec<Point> {
        let generator = (2_u64..)
            .filter_map(|y| Point::unpack(&field::to_le_bytes(&Fr::from(y))).ok())
            .map(|p| p.mul(&-Scalar::one()).add(&p))
            .find(|t| t.double().double() != Point::identity())
            .unwrap();
        std::iter::successors(Some(generator), |t| Some(t.add(&generator)))
            .take(7)
            .collect()
    }

    fn order() -> BigUint {
        BigUint::from(Scalar::MODULUS)
    }

    fn refused_by_equation(outcome: &Result<(), SignatureError>) -> bool {
        matches!(outcome, Err(SignatureError::Equation { .. }))
    }

    #[test]
    fn s_plus_the_order_is_refused() {
        let Signed { signature, .. } = signed(1);
        let s = BigUint::from(signature.s.into_bigint());
        assert_eq!(Signature::from_raw(signature.r8, &s), Ok(signature));
        for got in [&s + order(), order(), &s + order() * 2_u8] {
            let refused = Err(SignatureError::ScalarNotCanonical {
                order: order(),
                got: got.clone(),
            });
            assert_eq!(Signature::from_raw(signature.r8, &got), refused);
            let mut bytes = signature.pack();
            let mut tail = got.to_bytes_le();
            tail.resize(32, 0);
            bytes[32..].copy_from_slice(&tail);
            assert_eq!(Signature::unpack(&bytes), refused);
        }
    }

    #[test]
    fn torsion_on_r8_is_refused() {
        let signed = signed(2);
        assert_eq!(torsion().len(), 7);
        for small in torsion() {
            let r8 = signed.signature.r8.add(&small);
            // The signer can answer the challenge of the bent R8: only the torsion is wrong.
            let expanded = signed.secret.expand();
            let h = to_scalar(&challenge(&r8, &signed.key, &signed.message));
            let s = *expanded.nonce(&signed.message) + h * *expanded.secret;
            for s in [s, signed.signature.s] {
                let bent = Signature { r8, s };
                assert_eq!(Signature::unpack(&bent.pack()), Ok(bent));
                assert!(refused_by_equation(&verify(
                    &signed.key,
                    &signed.message,
                    &bent
                )));
            }
        }
    }

    #[test]
    fn torsion_on_the_key_is_refused() {
        let Signed {
            key,
            message,
            signature,
            ..
        } = signed(3);
        for small in torsion() {
            assert!(refused_by_equation(&verify(
                &key.add(&small),
                &message,
                &signature
            )));
        }
    }

    #[test]
    fn other_keys_and_messages_are_refused() {
        let Signed {
            key,
            message,
            signature,
            ..
        } = signed(4);
        assert_eq!(verify(&key, &message, &signature), Ok(()));
        for other in [signed(5).key, key.neg(), key.double(), Point::identity()] {
            assert!(refused_by_equation(&verify(&other, &message, &signature)));
        }
        for other in [message + Fr::one(), -message, Fr::zero()] {
            assert!(refused_by_equation(&verify(&key, &other, &signature)));
        }
        let Signature { r8, s } = signature;
        for bent in [
            Signature { r8: r8.neg(), s },
            Signature { r8, s: -s },
            Signature {
                r8: r8.neg(),
                s: -s,
            },
            Signature {
                r8,
                s: s + Scalar::one(),
            },
            Signature {
                r8: Point::identity(),
                s: Scalar::zero(),
            },
        ] {
            assert!(refused_by_equation(&verify(&key, &message, &bent)));
        }
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let Signed {
            key,
            message,
            signature,
            ..
        } = signed(6);
        let off = |point: Point| Point {
            x: point.x + Fr::one(),
            y: point.y,
        };
        let bent = Signature {
            r8: off(signature.r8),
            s: signature.s,
        };
        let refused = SignatureError::R8NotOnCurve(bent.r8);
        assert_eq!(verify(&key, &message, &bent), Err(refused.clone()));
        assert_eq!(Signature::from_raw(bent.r8, &BigUint::ZERO), Err(refused));
        let refused = SignatureError::KeyNotOnCurve(off(key));
        assert_eq!(verify(&off(key), &message, &signature), Err(refused));
    }

    #[test]
    fn other_packings_of_r8_are_refused() {
        let mut bytes = signed(7).signature.pack();
        let modulus = BigUint::from(Fr::MODULUS) + 1_u8;
        bytes[..32].copy_from_slice(&modulus.to_bytes_le());
        assert!(matches!(
            Signature::unpack(&bytes),
            Err(SignatureError::PackedR8(PointError::NotCanonical(_)))
        ));
        bytes[..32].copy_from_slice(&Point::identity().pack());
        bytes[31] |= 0x80;
        assert!(matches!(
            Signature::unpack(&bytes),
            Err(SignatureError::PackedR8(PointError::NegativeZero { .. }))
        ));
    }

    #[test]
    fn debug_form_shows_no_secret() {
        assert_eq!(format!("{:?}", signed(8).secret), "PrivateKey(..)");
    }

    #[test]
    fn derived_keys_depend_on_context_and_material() {
        let key =
            |context: &str, material: &[u8]| PrivateKey::derive(context, material).seed().to_vec();
        assert_eq!(key("a", b"m"), blake3::derive_key("a", b"m"));
        assert_ne!(key("a", b"m"), key("b", b"m"));
        assert_ne!(key("a", b"m"), key("a", b"n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_verifies_and_packs(seed: u64) {
            let Signed { secret, key, message, signature } = signed(seed);
            prop_assert!(key.in_prime_subgroup());
            prop_assert_eq!(verify(&key, &message, &signature), Ok(()));
            prop_assert_eq!(secret.sign(&message), signature);
            prop_assert_eq!(Signature::unpack(&signature.pack()), Ok(signature));
        }

        #[test]
        fn no_flipped_bit_passes(seed: u64, bit in 0_usize..512) {
            let Signed { key, message, signature, .. } = signed(seed);
            let mut bytes = signature.pack();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(bent) = Signature::unpack(&bytes) {
                prop_assert!(verify(&key, &message, &bent).is_err());
            }
        }
    }
}
