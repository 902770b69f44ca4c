//! Constraint systems, `.r1cs` (version 1).
//!
//! Wires are the variables in this project's own order: the constant 1, public inputs, witnesses.
//! Outputs count as public inputs. On writing there are no outputs and no declared private inputs:
//! which witnesses somebody chooses and which follow is not told by the constraints. On reading there
//! may be more private inputs than wires, since compilers remove those that no constraint needs.
//!
//! A constraint system in memory has one order of terms; a file has any, and zeros, and keys made of it
//! repeat them. [`Circuit`] keeps both.

use std::io::{Read, Seek, Write};

use ark_bn254::Fr;
use ark_ff::Zero;
use r1cs::{Matrix, R1cs, Rows};

use crate::container::{Container, Kind, Section, Writer};
use crate::error::FormatError;
use crate::points::{FIELD_BYTES, scalar, scalar_bytes};

static KIND: Kind = Kind {
    name: "r1cs",
    version: 1,
    sections: &[
        (1, "the header"),
        (2, "the constraints"),
        (3, "the map of labels"),
        (GATES, "the list of custom gates"),
        (GATE_USES, "the uses of custom gates"),
    ],
};

const GATES: u32 = 4;
const GATE_USES: u32 = 5;

const HEADER_BYTES: u64 = 4 + FIELD_BYTES as u64 + 4 * 4 + 8 + 4;
/// Bytes of a constraint without terms.
const EMPTY_ROW_BYTES: u64 = 3 * 4;
const TERM_BYTES: u64 = 4 + FIELD_BYTES as u64;

/// The counts of a constraint system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Wires, the constant 1 included.
    pub wires: u32,
    /// Number of public outputs; their wires come first after the constant.
    pub outputs: u32,
    /// Number of public inputs; their wires follow the outputs.
    pub public_inputs: u32,
    /// Number of private inputs that the circuit declares.
    pub private_inputs: u32,
    /// Labels of the source program.
    pub labels: u64,
    /// Number of rank-1 constraints.
    pub constraints: u32,
}

impl Counts {
    fn read<R: Read>(header: &mut Section<'_, R>) -> Result<Self, FormatError> {
        header.scalar_field()?;
        let counts = Self {
            wires: header.u32()?,
            outputs: header.u32()?,
            public_inputs: header.u32()?,
            private_inputs: header.u32()?,
            labels: header.u64()?,
            constraints: header.u32()?,
        };
        header.end()?;
        let public = u64::from(counts.outputs) + u64::from(counts.public_inputs);
        if public >= u64::from(counts.wires) {
            return Err(FormatError::OutOfRange {
                kind: KIND.name,
                what: "the number of outputs and public inputs",
                got: public,
                allowed: format!("less than its {} wires", counts.wires),
            });
        }
        Ok(counts)
    }
}

/// A constraint system as a file has it.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// The constraint system, in canonical form.
    pub r1cs: R1cs,
    /// Rows of A and of B whose terms the file has in another form, in ascending order.
    given: [Vec<GivenRow>; 2],
}

/// A row with its terms in the file's order.
#[derive(Clone, Debug)]
struct GivenRow {
    row: usize,
    terms: Vec<(u32, Fr)>,
}

impl From<R1cs> for Circuit {
    fn from(r1cs: R1cs) -> Self {
        let given = Default::default();
        Self { r1cs, given }
    }
}

/// A constraint system with the order of its terms: the canonical one, or that of a file.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    pub(crate) r1cs: &'a R1cs,
    given: [&'a [GivenRow]; 2],
}

impl<'a> From<&'a R1cs> for Ordered<'a> {
    fn from(r1cs: &'a R1cs) -> Self {
        let given = [&[][..]; 2];
        Self { r1cs, given }
    }
}

impl<'a> From<&'a Circuit> for Ordered<'a> {
    fn from(circuit: &'a Circuit) -> Self {
        Self {
            r1cs: &circuit.r1cs,
            given: circuit.given.each_ref().map(Vec::as_slice),
        }
    }
}

impl Ordered<'_> {
    fn matrix(&self, matrix: usize) -> &Matrix {
        match matrix {
            0 => self.r1cs.a(),
            _ => self.r1cs.b(),
        }
    }

    fn given(&self, matrix: usize, row: usize) -> Option<&[(u32, Fr)]> {
        let rows = self.given[matrix];
        let found = rows.binary_search_by_key(&row, |given| given.row).ok()?;
        Some(&rows[found].terms)
    }

    /// The terms of a row of A (0) or B (1).
    pub(crate) fn terms(&self, matrix: usize, row: usize) -> Vec<(u32, Fr)> {
        if let Some(terms) = self.given(matrix, row) {
            return terms.to_vec();
        }
        let value = |id: u32| self.r1cs.coefficients()[id as usize];
        let entries = self.matrix(matrix).row(row).iter();
        entries
            .map(|entry| (entry.column, value(entry.coefficient)))
            .collect()
    }

    /// Number of terms of A and B.
    pub(crate) fn num_terms(&self) -> usize {
        let of = |matrix: usize| {
            let canonical = self.matrix(matrix);
            let more = self.given[matrix].iter();
            // Why only more: in another form a row has zeros that the canonical one leaves out.
            let zeros = more.map(|given| given.terms.len() - canonical.row(given.row).len());
            canonical.non_zeros() + zeros.sum::<usize>()
        };
        of(0) + of(1)
    }
}

/// Reads a constraint system with the counts of its header.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read(input: impl Read + Seek) -> Result<(Circuit, Counts), FormatError> {
    let mut file = Container::open(input, &KIND)?;
    check_no_gates(&mut file)?;
    let counts = Counts::read(&mut file.section(1)?)?;
    // Why: it holds the number of wires to the file's size.
    file.expect_size(3, 8 * u64::from(counts.wires))?;
    let mut section = file.section(2)?;
    let fewest = EMPTY_ROW_BYTES * u64::from(counts.constraints);
    if section.left() < fewest {
        return Err(FormatError::Size {
            kind: KIND.name,
            name: "the constraints",
            expected: fewest,
            got: section.left(),
        });
    }
    let instance = 1 + counts.outputs as usize + counts.public_inputs as usize;
    let mut rows = Rows::new(instance, counts.wires as usize - instance)?;
    let mut terms: [Vec<(u32, Fr)>; 3] = Default::default();
    let mut given: [Vec<GivenRow>; 2] = Default::default();
    for row in 0..counts.constraints as usize {
        for terms in &mut terms {
            read_terms(&mut section, row as u64, counts.wires, terms)?;
        }
        for (given, terms) in given.iter_mut().zip(&terms) {
            if !is_canonical(terms) {
                let terms = terms.clone();
                given.push(GivenRow { row, terms });
            }
        }
        rows.push(terms.each_ref().map(Vec::as_slice))?;
    }
    section.end()?;
    let r1cs = rows.finish()?;
    Ok((Circuit { r1cs, given }, counts))
}

/// Refuses a circuit with custom gates. A compiler writes their sections, empty, wherever a source
/// file allows them.
fn check_no_gates<R: Read + Seek>(file: &mut Container<R>) -> Result<(), FormatError> {
    for id in [GATES, GATE_USES] {
        if !file.has(id) {
            continue;
        }
        let mut section = file.section(id)?;
        let count = section.u32()?;
        if count > 0 {
            return Err(FormatError::CustomGates { count });
        }
        section.end()?;
    }
    Ok(())
}

fn is_canonical(terms: &[(u32, Fr)]) -> bool {
    let ascending = terms.is_sorted_by_key(|(wire, _)| *wire);
    ascending && terms.iter().all(|(_, value)| !value.is_zero())
}

fn read_terms<R: Read>(
    section: &mut Section<'_, R>,
    row: u64,
    wires: u32,
    terms: &mut Vec<(u32, Fr)>,
) -> Result<(), FormatError> {
    let count = u64::from(section.u32()?);
    if count > section.left() / TERM_BYTES {
        return Err(FormatError::Size {
            kind: KIND.name,
            name: "a linear combination",
            expected: count * TERM_BYTES,
            got: section.left(),
        });
    }
    terms.clear();
    for _ in 0..count {
        let wire = section.u32()?;
        let refused = |fault| FormatError::Row { row, wire, fault };
        if wire >= wires {
            return Err(refused("does not exist"));
        }
        let value = scalar(&section.array()?);
        let value = value.ok_or_else(|| refused("has a coefficient not below the modulus"))?;
        terms.push((wire, value));
    }
    if terms.is_sorted_by(|left, right| left.0 < right.0) {
        return Ok(());
    }
    let mut wires: Vec<u32> = terms.iter().map(|(wire, _)| *wire).collect();
    wires.sort_unstable();
    // Why: of two terms of one wire some programs take the sum, and others the last.
    match wires.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(FormatError::Row {
            row,
            wire: pair[0],
            fault: "occurs twice in a linear combination",
        }),
    }
}

/// The counts that [`write()`] gives a constraint system.
///
/// # Errors
/// [`FormatError::OutOfRange`] for 2^32 constraints or more.
pub fn counts(r1cs: &R1cs) -> Result<Counts, FormatError> {
    let to_u32 = |what, value: usize| {
        u32::try_from(value).map_err(|_| FormatError::OutOfRange {
            kind: KIND.name,
            what,
            got: value as u64,
            allowed: "below 2^32".to_owned(),
        })
    };
    Ok(Counts {
        wires: to_u32("the number of wires", r1cs.num_variables())?,
        outputs: 0,
        public_inputs: to_u32("the number of public inputs", r1cs.num_instance() - 1)?,
        private_inputs: 0,
        labels: r1cs.num_variables() as u64,
        constraints: to_u32("the number of constraints", r1cs.num_constraints())?,
    })
}

/// Writes a constraint system; each wire has its own number as label.
///
/// # Errors
/// [`FormatError::Io`], and as [`counts`].
pub fn write(out: impl Write, r1cs: &R1cs) -> Result<(), FormatError> {
    let counts = counts(r1cs)?;
    let matrices = [r1cs.a(), r1cs.b(), r1cs.c()];
    let terms: usize = matrices.iter().map(|matrix| matrix.non_zeros()).sum();
    let mut file = Writer::new(out, &KIND, 3)?;
    file.begin(1, HEADER_BYTES)?;
    file.scalar_field()?;
    for count in [
        counts.wires,
        counts.outputs,
        counts.public_inputs,
        counts.private_inputs,
    ] {
        file.u32(count)?;
    }
    file.put(&counts.labels.to_le_bytes())?;
    file.u32(counts.constraints)?;

    let rows = EMPTY_ROW_BYTES * u64::from(counts.constraints);
    file.begin(2, rows + TERM_BYTES * terms as u64)?;
    let coefficients: Vec<_> = r1cs.coefficients().iter().map(scalar_bytes).collect();
    let mut buffer = Vec::new();
    for row in 0..r1cs.num_constraints() {
        buffer.clear();
        for matrix in matrices {
            put_terms(&mut buffer, matrix, row, &coefficients);
        }
        file.put(&buffer)?;
    }
    file.begin(3, 8 * u64::from(counts.wires))?;
    for label in 0..counts.labels {
        file.put(&label.to_le_bytes())?;
    }
    file.finish()
}

fn put_terms(
    buffer: &mut Vec<u8>,
    matrix: &Matrix,
    row: usize,
    coefficients: &[[u8; FIELD_BYTES]],
) {
    let entries = matrix.row(row);
    let count = u32::try_from(entries.len()).expect("a matrix has fewer than 2^32 entries");
    buffer.extend_from_slice(&count.to_le_bytes());
    for entry in entries {
        buffer.extend_from_slice(&entry.column.to_le_bytes());
        buffer.extend_from_slice(&coefficients[entry.coefficient as usize]);
    }
}
