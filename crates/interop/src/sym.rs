//! Names of wires, `.sym`, as circom writes them: a line `label,wire,component,name` for each signal, with
//! wire -1 for one that the compiler removed.
//!
//! Invariant: of the file only the names that are asked for are kept, and of a line at most
//! [`MAX_LINE_BYTES`].

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use crate::error::FormatError;

/// Greatest length of a line.
pub const MAX_LINE_BYTES: u64 = 1 << 16;

const KIND: &str = "sym";

/// The first name of each of the wires that has one.
///
/// # Errors
/// [`FormatError::Io`], and [`FormatError::Form`] with the first line that is none.
pub fn names(mut input: impl BufRead, wires: &[u32]) -> Result<BTreeMap<u32, String>, FormatError> {
    let mut found = BTreeMap::new();
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = input
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line);
        let length = read.map_err(|source| FormatError::Io {
            kind: KIND,
            action: "read",
            source,
        })?;
        if length == 0 {
            break;
        }
        let whole = line.ends_with(b"\n") || (length as u64) < MAX_LINE_BYTES;
        let parsed = std::str::from_utf8(&line).ok().filter(|_| whole);
        let (wire, name) = parsed.and_then(parse).ok_or_else(|| FormatError::Form {
            kind: KIND,
            what: format!("line {number}"),
            got: "none".to_owned(),
            expected: "label,wire,component,name",
        })?;
        if let Some(wire) = wire.filter(|wire| wires.contains(wire)) {
            found.entry(wire).or_insert_with(|| name.to_owned());
        }
        if found.len() == wires.len() {
            break;
        }
    }
    Ok(found)
}

/// The wire of a line, none if it was removed, and the name.
fn parse(line: &str) -> Option<(Option<u32>, &str)> {
    let mut parts = line.trim_end_matches(['\n', '\r']).splitn(4, ',');
    let label = parts.next()?;
    let (wire, component, name) = (parts.next()?, parts.next()?, parts.next()?);
    label.parse::<u64>().ok()?;
    component.parse::<u64>().ok()?;
    let wire = match wire {
        "-1" => None,
        wire => Some(wire.parse().ok()?),
    };
    (!name.is_empty()).then_some((wire, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_wire_is_found() {
        let text = "1,1,0,main.out\n2,2,0,main.a\n3,-1,0,main.b\n4,2,1,main.t.in\r\n";
        let found = names(text.as_bytes(), &[2, 7]).unwrap();
        assert_eq!(found, BTreeMap::from([(2, "main.a".to_owned())]));
        for bad in [
            "x",
            "1,2,3",
            "1,2,3,",
            "1,-2,3,a",
            "a,2,3,a",
            "1,2,3,\u{0}\n\n",
        ] {
            assert!(names(bad.as_bytes(), &[5]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let error = names(std::io::BufReader::new(std::io::repeat(b'1')), &[1]).unwrap_err();
        assert!(matches!(error, FormatError::Form { .. }), "{error}");
        let error = names(std::io::BufReader::new(std::io::repeat(0xff)), &[1]).unwrap_err();
        assert!(matches!(error, FormatError::Form { .. }), "{error}");
    }
}
