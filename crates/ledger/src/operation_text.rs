//! Signed operations as JSON.
//!
//! Amounts and the signature are decimal strings, so that no reader rounds them; the float
//! spelling, which is what was signed, stands beside each amount in hex. Invariant: a text is read
//! only if every field is present once, nothing else is, and amounts and spellings agree. The
//! bytes for network and disk are those of [`Signed::to_bytes`].

use ark_ff::PrimeField;
use num_bigint::BigUint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::babyjubjub::Point;
use crate::eddsa::Signature;
use crate::field::{from_decimal, to_decimal};
use crate::float::{Float16, Float40};
use crate::operation::{Fields, OperationError, Signable, Signed};

/// The fields as they stand in JSON, of either kind, not checked yet.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedText {
    kind: u8,
    from: u32,
    to: u32,
    amount: String,
    amount_packed: String,
    fee: String,
    fee_packed: String,
    nonce: u64,
    valid_until: u64,
    token: u32,
    r8: [String; 2],
    s: String,
}

impl<T: Signable> Serialize for Signed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SignedText::from_signed(self).serialize(serializer)
    }
}

impl<'de, T: Signable> Deserialize<'de> for Signed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SignedText::deserialize(deserializer)?;
        text.to_signed().map_err(serde::de::Error::custom)
    }
}

impl SignedText {
    /// The kind that it says it has.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    fn from_signed<T: Signable>(signed: &Signed<T>) -> Self {
        let Fields {
            kind,
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        } = signed.op.fields();
        let Signature { r8, s } = &signed.signature;
        Self {
            kind,
            from,
            to,
            amount: amount.value().to_string(),
            amount_packed: format!("{:010x}", amount.packed()),
            fee: fee.value().to_string(),
            fee_packed: format!("{:04x}", fee.packed()),
            nonce,
            valid_until,
            token,
            r8: [to_decimal(&r8.x), to_decimal(&r8.y)],
            s: BigUint::from(s.into_bigint()).to_string(),
        }
    }

    /// The operation, if it is one of this kind.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn to_signed<T: Signable>(&self) -> Result<Signed<T>, OperationError> {
        let packed = hex_digits("amount_packed", &self.amount_packed, 10)?;
        let amount = Float40::from_packed(packed).expect("ten hex digits are 40 bits");
        agree("amount", &self.amount, &amount.value())?;
        let packed = hex_digits("fee_packed", &self.fee_packed, 4)?;
        let fee = Float16::from_packed(packed).expect("four hex digits are 16 bits");
        agree("fee", &self.fee, &fee.value())?;
        let fields = Fields {
            kind: self.kind,
            from: self.from,
            to: self.to,
            amount,
            fee,
            nonce: self.nonce,
            valid_until: self.valid_until,
            token: self.token,
        };
        fields.check_width()?;
        let [x, y] = &self.r8;
        let coordinate = |text: &str| from_decimal(text).map_err(|_| malformed("r8", text));
        let r8 = Point {
            x: coordinate(x)?,
            y: coordinate(y)?,
        };
        Ok(Signed {
            op: T::from_fields(fields)?,
            signature: Signature::from_raw(r8, &integer("s", &self.s)?)?,
        })
    }
}

fn malformed(field: &'static str, text: &str) -> OperationError {
    OperationError::Text {
        field,
        text: text.chars().take(100).collect(),
    }
}

fn agree(field: &'static str, text: &str, value: &BigUint) -> Result<(), OperationError> {
    let expected = value.to_string();
    if text == expected {
        return Ok(());
    }
    Err(OperationError::Disagree {
        field,
        expected,
        got: text.chars().take(100).collect(),
    })
}

/// Exactly `digits` lower-case hex digits, at most 16.
fn hex_digits(field: &'static str, text: &str, digits: usize) -> Result<u64, OperationError> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(is_hex) {
        return Err(malformed(field, text));
    }
    u64::from_str_radix(text, 16).map_err(|_| malformed(field, text))
}

/// A canonical decimal integer below the field's order, which is above the scalars'.
fn integer(field: &'static str, text: &str) -> Result<BigUint, OperationError> {
    let element = from_decimal(text).map_err(|_| malformed(field, text))?;
    Ok(element.into_bigint().into())
}
