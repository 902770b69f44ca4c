//! Witness files, `.wtns`: the whole assignment, instance variables first.
//!
//! A witness holds what the proof hides. Who writes one decides who may read it.

use std::io::{Read, Seek, Write};

use ark_bn254::Fr;

use crate::container::{Container, Kind, Writer};
use crate::error::FormatError;
use crate::points::{FIELD_BYTES, scalar, scalar_bytes};

static KIND: Kind = Kind {
    name: "wtns",
    version: 2,
    sections: &[(1, "the header"), (2, "the values")],
};

/// Reads an assignment.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read(input: impl Read + Seek) -> Result<Vec<Fr>, FormatError> {
    let mut file = Container::open(input, &KIND)?;
    let mut header = file.section(1)?;
    header.scalar_field()?;
    let count = header.u32()?;
    header.end()?;
    file.expect_size(2, u64::from(count) * FIELD_BYTES as u64)?;
    let mut section = file.section(2)?;
    (0..u64::from(count))
        .map(|index| {
            scalar(&section.array()?).ok_or(FormatError::NotCanonical {
                kind: KIND.name,
                name: "the values",
                index,
            })
        })
        .collect()
}

/// Writes an assignment.
///
/// # Errors
/// [`FormatError::Io`]; [`FormatError::OutOfRange`] for 2^32 values or more.
pub fn write(out: impl Write, assignment: &[Fr]) -> Result<(), FormatError> {
    let count = u32::try_from(assignment.len()).map_err(|_| FormatError::OutOfRange {
        kind: KIND.name,
        what: "the number of values",
        got: assignment.len() as u64,
        allowed: "below 2^32".to_owned(),
    })?;
    let mut file = Writer::new(out, &KIND, 2)?;
    file.begin(1, 4 + FIELD_BYTES as u64 + 4)?;
    file.scalar_field()?;
    file.u32(count)?;
    file.begin(2, u64::from(count) * FIELD_BYTES as u64)?;
    for value in assignment {
        file.put(&scalar_bytes(value))?;
    }
    file.finish()
}
