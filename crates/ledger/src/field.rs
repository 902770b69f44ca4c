//! The scalar field of BN254, named once, and its outside spellings.
//!
//! Invariant: every decoder is canonical — one field element has exactly one accepted spelling as
//! 32 bytes and one as decimal digits, and no integer at or above the modulus is accepted. Integers
//! are big-endian. Circomlib's little-endian packings belong to [`crate::babyjubjub`] and
//! [`crate::eddsa`].

use ark_ff::{BigInt, PrimeField};
use num_bigint::BigUint;

/// A field element: an integer modulo
/// `r = 21888242871839275222246405745257275088548364400416034343698204186575808495617`, the order
/// of BN254's groups.
pub type Fr = ark_bn254::Fr;

/// Most hexadecimal digits that [`from_hex`] reads: 32 bytes.
const HEX_DIGITS: usize = 64;

/// Most decimal digits of a canonical element.
const DECIMAL_DIGITS: usize = 77;

/// Why a text or a byte string is not a field element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The integer is not below the modulus.
    #[error("integer is not below the field modulus: expected less than {modulus}, got {got}")]
    NotCanonical {
        /// The order `r` of the scalar field, which elements are below.
        modulus: BigUint,
        /// The integer that was given.
        got: BigUint,
    },
    /// The text has no digits or more than an element can have.
    #[error("expected 1 to {most} digits, got {got}")]
    Length {
        /// The greatest number of digits that is read.
        most: usize,
        /// Bytes in the text.
        got: usize,
    },
    /// A byte of the text is not a digit of its base.
    #[error("byte {position} of the text is not a base-{base} digit")]
    Digit {
        /// The base of the digits, 10 or 16.
        base: u32,
        /// Offset of the byte.
        position: usize,
    },
    /// The decimal text starts with a zero that is not its only digit.
    #[error("decimal text of {digits} digits starts with a zero")]
    LeadingZero {
        /// Digits in the text.
        digits: usize,
    },
}

/// The element as 32 big-endian bytes, the integer below `r`.
#[must_use]
pub fn to_be_bytes(element: &Fr) -> [u8; 32] {
    let mut bytes = to_le_bytes(element);
    bytes.reverse();
    bytes
}

/// The element as 32 little-endian bytes, circomlibjs's `toRprLE`.
#[must_use]
pub fn to_le_bytes(element: &Fr) -> [u8; 32] {
    let mut bytes = [0; 32];
    let limbs = element.into_bigint().0;
    for (bytes, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limbs) {
        *bytes = limb.to_le_bytes();
    }
    bytes
}

/// Reads 32 big-endian bytes.
///
/// # Errors
/// [`FieldError::NotCanonical`] when the integer is at or above `r`.
pub fn from_be_bytes(bytes: &[u8; 32]) -> Result<Fr, FieldError> {
    let mut bytes = *bytes;
    bytes.reverse();
    from_le_bytes(&bytes)
}

/// Reads 32 little-endian bytes.
///
/// # Errors
/// [`FieldError::NotCanonical`] when the integer is at or above `r`.
pub fn from_le_bytes(bytes: &[u8; 32]) -> Result<Fr, FieldError> {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    let element = Fr::from_bigint(BigInt::new(limbs));
    element.ok_or_else(|| FieldError::NotCanonical {
        modulus: BigUint::from(Fr::MODULUS),
        got: BigUint::from_bytes_le(bytes),
    })
}

/// Reads an integer.
///
/// # Errors
/// [`FieldError::NotCanonical`] when it is at or above `r`.
pub fn from_integer(integer: &BigUint) -> Result<Fr, FieldError> {
    let modulus = BigUint::from(Fr::MODULUS);
    if *integer >= modulus {
        return Err(FieldError::NotCanonical {
            modulus,
            got: integer.clone(),
        });
    }
    Ok(Fr::from(integer.clone()))
}

/// The element as decimal digits without leading zeros.
#[must_use]
pub fn to_decimal(element: &Fr) -> String {
    BigUint::from(element.into_bigint()).to_string()
}

/// Reads decimal digits: no sign, no separator, no leading zero.
///
/// # Errors
/// [`FieldError`] when the text is not the one spelling of an element.
pub fn from_decimal(text: &str) -> Result<Fr, FieldError> {
    let integer = digits(text, 10, DECIMAL_DIGITS)?;
    if text.len() > 1 && text.starts_with('0') {
        return Err(FieldError::LeadingZero { digits: text.len() });
    }
    from_integer(&integer)
}

/// The element as `0x` and 64 lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(element: &Fr) -> String {
    format!("0x{:064x}", BigUint::from(element.into_bigint()))
}

/// Reads a big-endian hexadecimal integer of 1 to 64 digits in either case, with or without `0x`.
///
/// # Errors
/// [`FieldError`] when the text is not such a number or the number is at or above `r`.
pub fn from_hex(text: &str) -> Result<Fr, FieldError> {
    let bare = text.strip_prefix("0x").unwrap_or(text);
    from_integer(&digits(bare, 16, HEX_DIGITS)?)
}

/// The integer that `text` spells in `base`, of 1 to `most` digits and nothing else.
fn digits(text: &str, base: u32, most: usize) -> Result<BigUint, FieldError> {
    if text.is_empty() || text.len() > most {
        return Err(FieldError::Length {
            most,
            got: text.len(),
        });
    }
    if let Some(position) = text.bytes().position(|b| !char::from(b).is_digit(base)) {
        return Err(FieldError::Digit { base, position });
    }
    Ok(BigUint::parse_bytes(text.as_bytes(), base).expect("every byte is a digit of the base"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{UniformRand, Zero};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn modulus() -> BigUint {
        BigUint::from(Fr::MODULUS)
    }

    fn be(integer: &BigUint) -> [u8; 32] {
        let bytes = integer.to_bytes_be();
        let mut out = [0; 32];
        out[32 - bytes.len()..].copy_from_slice(&bytes);
        out
    }

    #[test]
    fn every_spelling_round_trips() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let random = std::iter::repeat_with(|| Fr::rand(&mut rng)).take(200);
        for element in random.chain([Fr::zero(), Fr::from(1), -Fr::from(1)]) {
            assert_eq!(from_be_bytes(&to_be_bytes(&element)), Ok(element));
            assert_eq!(from_le_bytes(&to_le_bytes(&element)), Ok(element));
            assert_eq!(from_decimal(&to_decimal(&element)), Ok(element));
            assert_eq!(from_hex(&to_hex(&element)), Ok(element));
        }
    }

    #[test]
    fn bytes_are_big_endian() {
        assert_eq!(to_be_bytes(&Fr::from(0x0102_u64))[30..], [1, 2]);
        assert_eq!(to_le_bytes(&Fr::from(0x0102_u64))[..2], [2, 1]);
    }

    #[test]
    fn integers_at_or_above_the_modulus_are_refused() {
        for got in [
            modulus(),
            modulus() + 1_u8,
            (BigUint::from(1_u8) << 256) - 1_u8,
        ] {
            let refused = Err(FieldError::NotCanonical {
                modulus: modulus(),
                got: got.clone(),
            });
            let mut little = be(&got);
            little.reverse();
            assert_eq!(from_be_bytes(&be(&got)), refused);
            assert_eq!(from_le_bytes(&little), refused);
            assert_eq!(from_hex(&got.to_str_radix(16)), refused);
        }
        assert!(from_decimal(&modulus().to_string()).is_err());
        assert_eq!(from_be_bytes(&be(&(modulus() - 1_u8))), Ok(-Fr::from(1)));
    }

    #[test]
    fn texts_that_are_not_numbers_are_refused() {
        for text in [
            "", "+1", "-1", "1_0", " 1", "1 ", "01", "00", "a", "0x1", "١",
        ] {
            assert!(from_decimal(text).is_err(), "{text:?}");
        }
        for text in ["", "0x", "+1", "0x0x1", "1_0", "g", &"0".repeat(65)] {
            assert!(from_hex(text).is_err(), "{text:?}");
        }
        assert_eq!(from_decimal("0"), Ok(Fr::zero()));
        assert_eq!(from_hex("0xfF"), Ok(Fr::from(255)));
    }
}
