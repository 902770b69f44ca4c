//! Byte strings that are written as hexadecimal text, and amounts that are written as decimal text.

pub use ledger::bytes::{Address, Bytes, BytesError};

/// The address that is nobody's.
pub const NOBODY: Address = Bytes([0; 20]);

/// Amounts in JSON: decimal digits in a string, without sign or leading zeros.
pub(crate) mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &u128, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<u128, D::Error> {
        let text = String::deserialize(input)?;
        let parsed = text.parse::<u128>().ok();
        parsed
            .filter(|value| value.to_string() == text)
            .ok_or_else(|| {
                D::Error::custom(format!("{text:?} is not a decimal amount below 2^128"))
            })
    }
}
