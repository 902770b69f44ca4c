//! The text of a private key, as other libraries write it.

use base64ct::{Base64, Encoding};
use ledger::eddsa::PrivateKey;
use zeroize::Zeroizing;

use crate::error::SeedError;
use crate::format::{KEY_BYTES, MAX_SEED_BYTES};

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedFormat {
    /// 32 bytes as 64 hexadecimal digits, with or without `0x`.
    Hex,
    /// 32 bytes in base64, with padding.
    Base64,
    /// The characters are the key; one line break at the end is left out.
    Text,
}

/// The bytes of a private key from its text.
///
/// # Errors
/// If the text is not one of the format.
pub fn decode_seed(text: &[u8], format: SeedFormat) -> Result<Zeroizing<Vec<u8>>, SeedError> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (seed, allowed, fault) = match format {
        SeedFormat::Text => {
            let seed = Some(Zeroizing::new(line.to_vec()));
            (seed, 1..=MAX_SEED_BYTES, SeedError::Text)
        }
        SeedFormat::Hex => {
            let line = line.trim_ascii();
            let seed = from_hex(line.strip_prefix(b"0x").unwrap_or(line));
            (seed, KEY_BYTES..=KEY_BYTES, SeedError::Hex)
        }
        SeedFormat::Base64 => {
            let text = std::str::from_utf8(line.trim_ascii()).ok();
            let seed = text.and_then(|text| Base64::decode_vec(text).ok());
            let seed = seed.map(Zeroizing::new);
            (seed, KEY_BYTES..=KEY_BYTES, SeedError::Base64)
        }
    };
    let seed = seed.filter(|seed| allowed.contains(&seed.len()));
    seed.ok_or(fault)
}

/// The bytes of hexadecimal digits, a secret: in one piece of memory, which is wiped.
pub(crate) fn from_hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut seed = Zeroizing::new(vec![0; digits.len() / 2]);
    hex::decode_to_slice(digits, &mut seed).ok()?;
    Some(seed)
}

/// A private key as a line of text, a secret: 64 hexadecimal digits, or the characters themselves where
/// the key is a text of another length.
pub fn encode_seed(key: &PrivateKey) -> Zeroizing<Vec<u8>> {
    let seed = key.seed();
    // Why at once: a text that grows leaves its beginning in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + seed.len() + 2));
    match seed.len() {
        KEY_BYTES => {
            text.resize(2 * KEY_BYTES, 0);
            hex::encode_to_slice(seed, &mut text).expect("two digits a byte");
        }
        _ => text.extend_from_slice(seed),
    }
    // Why: who reads takes "\r\n" for one line break, and the key's own "\r" with it.
    if text.last() == Some(&b'\r') {
        text.push(b'\r');
    }
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn spellings_of_one_key_are_one_key() {
        let bytes = [0x5a; 32];
        let hex = hex::encode(bytes);
        for (text, format) in [
            (hex.clone(), SeedFormat::Hex),
            (format!("0x{}\r\n", hex.to_uppercase()), SeedFormat::Hex),
            (Base64::encode_string(&bytes) + "\n", SeedFormat::Base64),
            ("Z".repeat(32) + "\n", SeedFormat::Text),
        ] {
            assert_eq!(
                *decode_seed(text.as_bytes(), format).unwrap(),
                bytes,
                "{text}"
            );
        }
        for (text, format) in [
            (&hex[2..], SeedFormat::Hex),
            ("zz", SeedFormat::Hex),
            ("Wlpa", SeedFormat::Base64),
            ("", SeedFormat::Text),
            ("\n", SeedFormat::Text),
        ] {
            assert!(decode_seed(text.as_bytes(), format).is_err(), "{text:?}");
        }
        assert!(decode_seed(&[b'x'; MAX_SEED_BYTES + 1], SeedFormat::Text).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (seed, format) in [
            (&[7; KEY_BYTES][..], SeedFormat::Hex),
            (b"a text", SeedFormat::Text),
            (b"a text\r", SeedFormat::Text),
            (b"a text\r\n", SeedFormat::Text),
            (b"a text\n", SeedFormat::Text),
            (b"\r", SeedFormat::Text),
        ] {
            let text = encode_seed(&PrivateKey::from_seed(seed));
            assert_eq!(*decode_seed(&text, format).unwrap(), seed);
        }
    }
}
