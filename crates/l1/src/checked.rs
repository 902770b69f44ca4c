//! Small durable files: JSON with a checksum.
//!
//! A file is `{"checksum": …, "content": …}`; the checksum is BLAKE3 of the content as compact JSON, as
//! this program writes it. Invariant: what opens means what was written: spaces and line breaks may
//! change, and nothing else. A checksum is no signature: it finds damage, not an adversary.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bytes::Bytes;

/// A file as it is written.
#[derive(Serialize)]
struct Sealed<'c, T> {
    checksum: Bytes<32>,
    content: &'c T,
}

/// A file as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<T> {
    checksum: Bytes<32>,
    content: T,
}

/// Why a file is not what was written.
#[derive(Debug, Error)]
pub enum CheckedError {
    /// It is no JSON of this form.
    #[error("it is not a file of this version: {0}")]
    Json(#[from] serde_json::Error),
    /// It was changed.
    #[error("it is damaged: its checksum is {expected}, its content has {got}")]
    Damaged {
        /// The checksum in the file.
        expected: Bytes<32>,
        got: Bytes<32>,
    },
}

/// The bytes of a file.
///
/// # Errors
/// If the content cannot be written as JSON.
pub fn seal<T: Serialize>(content: &T) -> Result<Vec<u8>, CheckedError> {
    let checksum = checksum(content)?;
    let mut bytes = serde_json::to_vec_pretty(&Sealed { checksum, content })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The content of a file.
pub fn open<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CheckedError> {
    let Read {
        checksum: expected,
        content,
    } = serde_json::from_slice::<Read<T>>(bytes)?;
    let got = checksum(&content)?;
    match expected == got {
        true => Ok(content),
        false => Err(CheckedError::Damaged { expected, got }),
    }
}

fn checksum<T: Serialize>(content: &T) -> Result<Bytes<32>, CheckedError> {
    let text = serde_json::to_vec(content)?;
    Ok(Bytes(*blake3::hash(&text).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        number: u64,
        on: bool,
        maybe: Option<u128>,
    }

    #[test]
    fn whatever_bit_is_flipped_the_meaning_is_the_same_or_none() {
        let sample = Sample {
            name: "a name with a \u{20ac}".to_owned(),
            number: 1_000,
            on: true,
            maybe: Some(u128::MAX),
        };
        let good = seal(&sample).unwrap();
        assert_eq!(open::<Sample>(&good).unwrap(), sample);
        let mut refused = 0;
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match open::<Sample>(&bad) {
                Ok(same) => assert_eq!(same, sample, "bit {bit}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 6 * good.len(), "{refused} of {}", 8 * good.len());
        for length in 0..good.len() - 2 {
            assert!(open::<Sample>(&good[..length]).is_err(), "{length} bytes");
        }
    }
}
