//! Byte strings of fixed length that are written as hexadecimal text: addresses, salts,
//! fingerprints.
//!
//! Invariant: text is `0x` and exactly two digits a byte, written in lower case and read in either.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `N` bytes, in text `0x` and `2·N` hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes<const N: usize>(pub [u8; N]);

/// Who calls L1: 20 bytes, as on Ethereum.
pub type Address = Bytes<20>;

/// Why a text is not a byte string of the length asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected 0x and {digits} hexadecimal digits, got {got:?}")]
pub struct BytesError {
    /// Digits needed.
    pub digits: usize,
    /// The text, at most its first 80 characters.
    pub got: String,
}

impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Bytes<N> {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let mut bytes = [0; N];
        let decoded = text
            .strip_prefix("0x")
            .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok());
        decoded.map(|()| Self(bytes)).ok_or_else(|| BytesError {
            digits: 2 * N,
            got: text.chars().take(80).collect(),
        })
    }
}

impl<const N: usize> TryFrom<String> for Bytes<N> {
    type Error = BytesError;

    fn try_from(text: String) -> Result<Self, BytesError> {
        text.parse()
    }
}

impl<const N: usize> From<Bytes<N>> for String {
    fn from(bytes: Bytes<N>) -> Self {
        bytes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_length_and_no_other_digits() {
        let address = Address::from_str("0xA1e4380a3b1f749673e270229993ee55f35663b4").unwrap();
        assert_eq!(
            address.to_string(),
            "0xa1e4380a3b1f749673e270229993ee55f35663b4"
        );
        for bad in ["", "0x", "a1e4380a3b1f749673e270229993ee55f35663b4", "0x00"] {
            assert!(Address::from_str(bad).is_err(), "{bad}");
        }
        let wrong_digit = "0xg1e4380a3b1f749673e270229993ee55f35663b4";
        assert!(Address::from_str(wrong_digit).is_err());
    }
}
