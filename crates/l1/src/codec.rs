//! Big-endian records of the database and of files.
//!
//! Invariant: a record is read only if writing it again would give the same bytes: exact length,
//! field elements below the order, numbers in range.

use ledger::babyjubjub::Point;
use ledger::field::{Fr, from_be_bytes, to_be_bytes};
use thiserror::Error;

use crate::bytes::Bytes;

/// Why bytes are not the record that they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes end early.
    #[error("{what} ends early: {needed} bytes needed, {left} left")]
    Truncated {
        /// The record.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
    /// Bytes follow the record.
    #[error("{left} bytes follow {what}")]
    Trailing {
        /// The record.
        what: &'static str,
        /// Bytes left.
        left: usize,
    },
    /// A field element is not below the order of the scalar field.
    #[error("{what}: {field} is not below the order of the scalar field")]
    NotCanonical {
        /// The record.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("{what}: {field} is {got}, which it cannot be")]
    Value {
        /// The record.
        what: &'static str,
        /// The field.
        field: &'static str,
        /// The value.
        got: String,
    },
    /// The bytes start with another label or version.
    #[error("{what}: expected the label {expected}, got {got}")]
    Label {
        /// The record.
        what: &'static str,
        /// Label of this version, in hexadecimal.
        expected: String,
        /// The label found.
        got: String,
    },
}

/// A record under construction.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn put(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.put(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn u128(self, value: u128) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn fr(self, value: &Fr) -> Self {
        self.put(&to_be_bytes(value))
    }

    pub(crate) fn point(self, point: &Point) -> Self {
        self.fr(&point.x).fr(&point.y)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A record being read.
pub(crate) struct Reader<'a> {
    what: &'static str,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, left: bytes }
    }

    pub(crate) fn slice(&mut self, needed: usize) -> Result<&'a [u8], CodecError> {
        let (head, tail) = self
            .left
            .split_at_checked(needed)
            .ok_or(CodecError::Truncated {
                what: self.what,
                needed,
                left: self.left.len(),
            })?;
        self.left = tail;
        Ok(head)
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let head = self.slice(N)?;
        Ok(head.try_into().expect("a slice of N bytes"))
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<Bytes<N>, CodecError> {
        self.take().map(Bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CodecError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, CodecError> {
        self.take().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CodecError> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CodecError> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, CodecError> {
        self.take().map(u128::from_be_bytes)
    }

    pub(crate) fn fr(&mut self, field: &'static str) -> Result<Fr, CodecError> {
        let what = self.what;
        from_be_bytes(&self.take()?).map_err(|_| CodecError::NotCanonical { what, field })
    }

    pub(crate) fn point(&mut self, field: &'static str) -> Result<Point, CodecError> {
        Ok(Point {
            x: self.fr(field)?,
            y: self.fr(field)?,
        })
    }

    pub(crate) fn label(&mut self, expected: &[u8]) -> Result<(), CodecError> {
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

    pub(crate) fn value(&self, field: &'static str, got: impl ToString) -> CodecError {
        CodecError::Value {
            what: self.what,
            field,
            got: got.to_string(),
        }
    }

    pub(crate) fn end(self) -> Result<(), CodecError> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(CodecError::Trailing {
            what: self.what,
            left: self.left.len(),
        })
    }
}
