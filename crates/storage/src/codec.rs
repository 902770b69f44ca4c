//! The bytes of records: fixed-width big-endian numbers, LEB128 counts, canonical field elements.
//!
//! Invariant: a reader accepts exactly what the writer makes, never reads past the end and never
//! allocates more than the bytes it was given can fill. What the records mean is left to the crates
//! whose records they are.

use ledger::babyjubjub::Point;
use ledger::bytes::Bytes;
use ledger::field::{Fr, from_be_bytes, to_be_bytes};
use thiserror::Error;

use files::{Class, Classified};

/// Bytes of a checksum: the first half of BLAKE3.
pub const CHECKSUM_BYTES: usize = 16;

/// Why stored bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes end early.
    #[error("{what} ends early: {needed} bytes needed, {left} left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
    /// Bytes follow the record.
    #[error("{left} bytes follow {what}")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// Bytes left.
        left: usize,
    },
    /// The checksum is another's.
    #[error("the checksum of {what} does not match its {bytes} bytes")]
    Checksum {
        /// What was being read.
        what: &'static str,
        /// Length of the record.
        bytes: usize,
    },
    /// The record begins with another label or version.
    #[error("{what}: expected the label {expected}, got {got}")]
    Label {
        /// What was being read.
        what: &'static str,
        /// The label of this version, in hexadecimal.
        expected: String,
        /// The label found.
        got: String,
    },
    /// A field does not have a legal value.
    #[error("{field} of {what} is not valid: {text}")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Why.
        text: String,
    },
}

impl Classified for CodecError {
    /// Whatever was stored and does not decode is damaged.
    fn class(&self) -> Class {
        match self {
            Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::Checksum { .. }
            | Self::Label { .. }
            | Self::Invalid { .. } => Class::Damaged,
        }
    }
}

/// A record under construction.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn u8(&mut self, number: u8) -> &mut Self {
        self.put(&[number])
    }

    pub fn u16(&mut self, number: u16) -> &mut Self {
        self.put(&number.to_be_bytes())
    }

    pub fn u32(&mut self, number: u32) -> &mut Self {
        self.put(&number.to_be_bytes())
    }

    pub fn u64(&mut self, number: u64) -> &mut Self {
        self.put(&number.to_be_bytes())
    }

    pub fn u128(&mut self, number: u128) -> &mut Self {
        self.put(&number.to_be_bytes())
    }

    pub fn fr(&mut self, element: &Fr) -> &mut Self {
        self.put(&to_be_bytes(element))
    }

    /// Both coordinates.
    pub fn point(&mut self, point: &Point) -> &mut Self {
        self.fr(&point.x).fr(&point.y)
    }

    /// A count or a place, in groups of seven bits, the lowest first.
    pub fn count(&mut self, count: usize) -> &mut Self {
        let mut rest = u64::try_from(count).expect("a count has at most 64 bits");
        loop {
            let [low, ..] = (rest & 0x7f).to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                return self.u8(low);
            }
            self.u8(low | 0x80);
        }
    }

    /// The record; the writer is empty afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// The record followed by its checksum; the writer is empty afterwards.
    pub fn finish_with_checksum(&mut self) -> Vec<u8> {
        let sum = checksum(&self.0);
        self.put(&sum).finish()
    }
}

/// A record being read.
pub struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of a record; `what` names it in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes }
    }

    /// A reader of a record that ends with its checksum, which is checked first.
    pub fn with_checksum(what: &'static str, bytes: &'a [u8]) -> Result<Self, CodecError> {
        let Some((record, sum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(CodecError::Truncated {
                what,
                needed: CHECKSUM_BYTES,
                left: bytes.len(),
            });
        };
        if &checksum(record) != sum {
            return Err(CodecError::Checksum {
                what,
                bytes: record.len(),
            });
        }
        Ok(Self::new(what, record))
    }

    /// So many bytes.
    pub fn slice(&mut self, needed: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(needed)
            .ok_or(CodecError::Truncated {
                what: self.what,
                needed,
                left: self.bytes.len(),
            })?;
        self.bytes = rest;
        Ok(taken)
    }

    /// An array of bytes.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let taken = self.slice(N)?;
        Ok(taken.try_into().expect("the slice has N bytes"))
    }

    /// A byte string of fixed length.
    pub fn bytes<const N: usize>(&mut self) -> Result<Bytes<N>, CodecError> {
        self.take().map(Bytes)
    }

    pub fn u8(&mut self) -> Result<u8, CodecError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, CodecError> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, CodecError> {
        self.take().map(u64::from_be_bytes)
    }

    pub fn u128(&mut self) -> Result<u128, CodecError> {
        self.take().map(u128::from_be_bytes)
    }

    pub fn fr(&mut self, field: &'static str) -> Result<Fr, CodecError> {
        let bytes = self.take()?;
        from_be_bytes(&bytes).map_err(|error| self.invalid(field, error))
    }

    /// Two coordinates, which need not be those of a point on the curve: for records whose caller checks
    /// keys by rules of its own, or that have zeros where there is no key.
    pub fn coordinates(&mut self, field: &'static str) -> Result<Point, CodecError> {
        Ok(Point {
            x: self.fr(field)?,
            y: self.fr(field)?,
        })
    }

    /// A point on the curve.
    pub fn point_on_curve(&mut self, field: &'static str) -> Result<Point, CodecError> {
        let point = self.coordinates(field)?;
        if point.is_on_curve() {
            Ok(point)
        } else {
            Err(self.invalid(field, "not on the curve"))
        }
    }

    /// A count as [`Writer::count`] writes it, and in no more bytes.
    pub fn count(&mut self, field: &'static str) -> Result<usize, CodecError> {
        let mut count = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = self.u8()?;
            count |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.invalid(field, "longer than needed"));
                }
                return usize::try_from(count).map_err(|error| self.invalid(field, error));
            }
        }
        Err(self.invalid(field, "more than 63 bits"))
    }

    /// The label that begins every record of this kind and version.
    pub fn label(&mut self, expected: &[u8]) -> Result<(), CodecError> {
        let got = self.slice(expected.len())?;
        if got == expected {
            return Ok(());
        }
        Err(CodecError::Label {
            what: self.what,
            expected: hex::encode(expected),
            got: hex::encode(got),
        })
    }

    /// The number of bytes that are left.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), CodecError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(CodecError::Trailing {
                what: self.what,
                left,
            }),
        }
    }

    /// The error of a field without a legal value.
    pub fn invalid(&self, field: &'static str, why: impl ToString) -> CodecError {
        CodecError::Invalid {
            what: self.what,
            field,
            text: why.to_string(),
        }
    }
}

/// The first half of BLAKE3.
pub fn checksum(record: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = blake3::hash(record);
    let (first, _) = hash
        .as_bytes()
        .split_first_chunk()
        .expect("BLAKE3 has 32 bytes");
    *first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_one_encoding() {
        for count in [0, 1, 127, 128, 16_383, 16_384, 1 << 40] {
            let mut writer = Writer::default();
            writer.count(count);
            let bytes = writer.finish();
            let mut reader = Reader::new("count", &bytes);
            assert_eq!(reader.count("n"), Ok(count));
            assert_eq!(reader.end(), Ok(()));
        }
        for bytes in [&[0x80, 0x00][..], &[0xff; 10], &[0x80]] {
            assert!(Reader::new("count", bytes).count("n").is_err());
        }
    }

    #[test]
    fn every_flipped_bit_changes_the_checksum() {
        let mut writer = Writer::default();
        writer.u64(77);
        let good = writer.finish_with_checksum();
        assert!(Reader::with_checksum("number", &good).is_ok());
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Reader::with_checksum("number", &bad).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(Reader::with_checksum("number", &good[..length]).is_err());
        }
    }
}
