//! Proving keys of snarkjs, `.zkey` (Groth16), with the transcript of their ceremony.
//!
//! Sections: protocol (1), header (2), input combination (3), coefficients of A and B with the rows
//! that tie the public inputs (4), queries A (5), B in G1 (6), B in G2 (7), L (8), H (9),
//! contributions (10). The H query is over the odd coset, as in `prover::qap`, so keys are
//! interchangeable. C is not in the file.
//!
//! Invariant: an open [`Zkey`] has all sections with the sizes that its header asks for, and its
//! fixed points and contributions are decoded with every check. Queries are read and checked in
//! chunks as they are asked for.

use std::io::{Read, Seek, Write};

use ark_bn254::{Bn254, Fr, G1Affine, G2Affine};
use circuits::r1cs::{Matrix, R1cs};
use prover::key::ProvingKey;

use crate::container::{Container, Kind, Section, Writer};
use crate::error::FormatError;
use crate::points::{FIELD_BYTES, Infinity, coefficient, coefficient_bytes};
use crate::transcript::{Contribution, HASH_BYTES, MAX_PARAMETER_BYTES, Source, Transcript};

type Result<T> = std::result::Result<T, FormatError>;

pub(crate) static KIND: Kind = Kind {
    name: "zkey",
    version: 1,
    sections: &[
        (1, "the protocol"),
        (2, "the header"),
        (IC, "the input combination"),
        (COEFFICIENTS, "the coefficients"),
        (A, "the A query"),
        (B_G1, "the B query in G1"),
        (B_G2, "the B query in G2"),
        (L, "the L query"),
        (H, "the H query"),
        (CONTRIBUTIONS, "the contributions"),
    ],
};

pub(crate) const IC: u32 = 3;
pub(crate) const COEFFICIENTS: u32 = 4;
pub(crate) const A: u32 = 5;
pub(crate) const B_G1: u32 = 6;
pub(crate) const B_G2: u32 = 7;
pub(crate) const L: u32 = 8;
pub(crate) const H: u32 = 9;
pub(crate) const CONTRIBUTIONS: u32 = 10;

const SECTIONS: u32 = 10;
const GROTH16: u32 = 1;
const HEADER_BYTES: u64 = 2 * (4 + FIELD_BYTES as u64) + 3 * 4 + 3 * 64 + 3 * 128;
const COEFFICIENT_BYTES: u64 = 3 * 4 + FIELD_BYTES as u64;
/// Bytes of a contribution without parameters.
const CONTRIBUTION_BYTES: u64 = 3 * 64 + 128 + HASH_BYTES as u64 + 2 * 4;
/// Greatest logarithm of a domain: its odd coset needs roots of unity of twice the order.
const MAX_POWER: u32 = 27;

/// The fixed part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Wires of the circuit, the constant 1 included.
    pub wires: u32,
    /// Public inputs, the constant 1 not counted.
    pub public: u32,
    /// Size of the domain, a power of two.
    pub domain: u32,
    /// `α` in G1.
    pub alpha_g1: G1Affine,
    /// `β` in G1.
    pub beta_g1: G1Affine,
    /// `β` in G2.
    pub beta_g2: G2Affine,
    /// `γ` in G2.
    pub gamma_g2: G2Affine,
    /// `δ` in G1.
    pub delta_g1: G1Affine,
    /// `δ` in G2.
    pub delta_g2: G2Affine,
}

impl Header {
    fn read<R: Read>(section: &mut Section<'_, R>) -> Result<Self> {
        section.base_field()?;
        section.scalar_field()?;
        let (wires, public, domain) = (section.u32()?, section.u32()?, section.u32()?);
        let refused = Infinity::Refused;
        let header = Self {
            wires,
            public,
            domain,
            alpha_g1: section.point(0, refused)?,
            beta_g1: section.point(1, refused)?,
            beta_g2: section.point(2, refused)?,
            gamma_g2: section.point(3, refused)?,
            delta_g1: section.point(4, refused)?,
            delta_g2: section.point(5, refused)?,
        };
        section.end()?;
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let refused = |what, got: u32, allowed: String| {
            Err(FormatError::OutOfRange {
                kind: KIND.name,
                what,
                got: u64::from(got),
                allowed,
            })
        };
        if self.public >= self.wires {
            let allowed = format!("less than its {} wires", self.wires);
            return refused("the number of public inputs", self.public, allowed);
        }
        if !self.domain.is_power_of_two() || self.domain.trailing_zeros() > MAX_POWER {
            let allowed = format!("powers of two up to 2^{MAX_POWER}");
            return refused("the domain", self.domain, allowed);
        }
        Ok(())
    }

    fn write<W: Write>(&self, file: &mut Writer<W>) -> Result<()> {
        file.begin(1, 4)?;
        file.u32(GROTH16)?;
        file.begin(2, HEADER_BYTES)?;
        file.base_field()?;
        file.scalar_field()?;
        for count in [self.wires, self.public, self.domain] {
            file.u32(count)?;
        }
        file.points(&[self.alpha_g1, self.beta_g1])?;
        file.points(&[self.beta_g2, self.gamma_g2])?;
        file.points(&[self.delta_g1])?;
        file.points(&[self.delta_g2])
    }
}

/// One non-zero of A or B, or a row that ties a public input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coefficient {
    /// 0 for A, 1 for B.
    pub matrix: u32,
    /// The row.
    pub row: u32,
    /// The wire.
    pub wire: u32,
    /// The value.
    pub value: Fr,
}

/// A key file whose head was read and checked.
#[derive(Debug)]
pub struct Zkey<R> {
    file: Container<R>,
    header: Header,
    transcript: Transcript,
}

impl<R: Read + Seek> Zkey<R> {
    /// Opens a key file and checks everything but its queries and coefficients.
    ///
    /// # Errors
    /// [`FormatError`] with what is wrong.
    pub fn open(input: R) -> Result<Self> {
        let mut file = Container::open(input, &KIND)?;
        let mut section = file.section(1)?;
        let protocol = section.u32()?;
        section.end()?;
        if protocol != GROTH16 {
            return Err(FormatError::Protocol { got: protocol });
        }
        let header = Header::read(&mut file.section(2)?)?;
        let wires = u64::from(header.wires);
        let inputs = u64::from(header.public) + 1;
        for (id, points, bytes) in [
            (IC, inputs, 64),
            (A, wires, 64),
            (B_G1, wires, 64),
            (B_G2, wires, 128),
            (L, wires - inputs, 64),
            (H, u64::from(header.domain), 64),
        ] {
            file.expect_size(id, points * bytes)?;
        }
        let count = file.section(COEFFICIENTS)?.u32()?;
        file.expect_size(COEFFICIENTS, 4 + COEFFICIENT_BYTES * u64::from(count))?;
        let transcript = read_transcript(&mut file.section(CONTRIBUTIONS)?)?;
        Ok(Self {
            file,
            header,
            transcript,
        })
    }

    /// The fixed part.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The contributions.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The verifying key, unchecked for degeneracies: `prover::key::VerifyingKey::new` refuses them,
    /// and with them a key whose ceremony nobody contributed to.
    ///
    /// # Errors
    /// [`FormatError::Point`] for a bad point of the input combination.
    pub fn verifying_key(&mut self) -> Result<ark_groth16::VerifyingKey<Bn254>> {
        let header = &self.header;
        Ok(ark_groth16::VerifyingKey {
            alpha_g1: header.alpha_g1,
            beta_g2: header.beta_g2,
            gamma_g2: header.gamma_g2,
            delta_g2: header.delta_g2,
            gamma_abc_g1: self.file.section(IC)?.points(Infinity::Refused)?,
        })
    }

    /// The whole key, every point checked.
    ///
    /// # Errors
    /// [`FormatError::Point`] with the first bad point.
    pub fn proving_key(&mut self) -> Result<ark_groth16::ProvingKey<Bn254>> {
        let vk = self.verifying_key()?;
        let allowed = Infinity::Allowed;
        let file = &mut self.file;
        Ok(ark_groth16::ProvingKey {
            vk,
            beta_g1: self.header.beta_g1,
            delta_g1: self.header.delta_g1,
            a_query: file.section(A)?.points(allowed)?,
            b_g1_query: file.section(B_G1)?.points(allowed)?,
            b_g2_query: file.section(B_G2)?.points(allowed)?,
            l_query: file.section(L)?.points(allowed)?,
            h_query: file.section(H)?.points(allowed)?,
        })
    }

    /// Hands every coefficient to `each`, in the file's order.
    ///
    /// # Errors
    /// [`FormatError`] for a wire, row, matrix or value out of range, and those of `each`.
    pub fn coefficients(&mut self, mut each: impl FnMut(Coefficient) -> Result<()>) -> Result<()> {
        let header = self.header.clone();
        let mut section = self.file.section(COEFFICIENTS)?;
        let count = section.u32()?;
        for index in 0..u64::from(count) {
            let [matrix, row, wire] = [section.u32()?, section.u32()?, section.u32()?];
            for (what, got, limit) in [
                ("the matrix of a coefficient", matrix, 2),
                ("the row of a coefficient", row, header.domain),
                ("the wire of a coefficient", wire, header.wires),
            ] {
                if got >= limit {
                    return Err(FormatError::OutOfRange {
                        kind: KIND.name,
                        what,
                        got: u64::from(got),
                        allowed: format!("below {limit}"),
                    });
                }
            }
            let value = coefficient(&section.array()?).ok_or(FormatError::NotCanonical {
                kind: KIND.name,
                name: "the coefficients",
                index,
            })?;
            each(Coefficient {
                matrix,
                row,
                wire,
                value,
            })?;
        }
        section.end()
    }

    /// Refuses the key unless its counts and coefficients are those of `r1cs`.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] or [`FormatError::Disagree`] with the first difference.
    pub fn check_circuit(&mut self, r1cs: &R1cs) -> Result<()> {
        let rows = r1cs.num_constraints() + r1cs.num_instance();
        for (what, got, expected) in [
            (
                "the number of wires",
                self.header.wires,
                r1cs.num_variables(),
            ),
            (
                "the number of public inputs",
                self.header.public,
                r1cs.num_instance() - 1,
            ),
            ("the domain", self.header.domain, rows.next_power_of_two()),
        ] {
            if got as usize != expected {
                return Err(FormatError::OutOfRange {
                    kind: KIND.name,
                    what,
                    got: u64::from(got),
                    allowed: format!("{expected}, as the circuit has it"),
                });
            }
        }
        let mut expected = coefficients_of(r1cs);
        let differs = |expected: Option<Coefficient>, got: Option<Coefficient>| {
            let text = |coefficient: Option<Coefficient>| match coefficient {
                None => "none".to_owned(),
                Some(Coefficient {
                    matrix, row, wire, ..
                }) => {
                    format!("matrix {matrix}, row {row}, wire {wire}")
                }
            };
            let (expected, got) = (text(expected), text(got));
            FormatError::Disagree {
                kind: KIND.name,
                what: "a coefficient",
                expected,
                got,
            }
        };
        self.coefficients(|got| match expected.next() {
            Some(expected) if expected == got => Ok(()),
            other => Err(differs(other, Some(got))),
        })?;
        match expected.next() {
            None => Ok(()),
            other => Err(differs(other, None)),
        }
    }

    pub(crate) fn section(&mut self, id: u32) -> Result<Section<'_, R>> {
        self.file.section(id)
    }

    /// Copies the file with new `δ`s, the L and H queries mapped chunk by chunk, and a new transcript.
    pub(crate) fn copy_with(
        &mut self,
        out: impl Write,
        header: &Header,
        transcript: &Transcript,
        map: impl Fn(&[G1Affine]) -> Vec<G1Affine>,
    ) -> Result<()> {
        let mut to = Writer::new(out, &KIND, SECTIONS)?;
        header.write(&mut to)?;
        for id in [IC, COEFFICIENTS, A, B_G1, B_G2] {
            let mut from = self.file.section(id)?;
            to.begin(id, from.left())?;
            let mut buffer = vec![0; 1 << 16];
            while from.left() > 0 {
                let size = usize::try_from(from.left())
                    .map_or(buffer.len(), |left| left.min(buffer.len()));
                from.fill(&mut buffer[..size])?;
                to.put(&buffer[..size])?;
            }
        }
        for id in [L, H] {
            let mut from = self.file.section(id)?;
            to.begin(id, from.left())?;
            from.each_chunk(Infinity::Allowed, |chunk| to.points(&map(&chunk)))?;
        }
        write_transcript(&mut to, transcript)?;
        to.finish()
    }
}

/// The coefficients of a circuit in the order of snarkjs: A and B of each row, then the rows that
/// tie the public inputs.
fn coefficients_of(r1cs: &R1cs) -> impl Iterator<Item = Coefficient> + '_ {
    let to_u32 = |value: usize| u32::try_from(value).expect("variables and rows have 32 bits");
    let rows = r1cs.num_constraints();
    let of = move |matrix: u32, entries: &Matrix, row: usize| -> Vec<Coefficient> {
        let entries = entries.row(row).iter();
        let one = |entry: &circuits::r1cs::Entry| Coefficient {
            matrix,
            row: to_u32(row),
            wire: entry.column,
            value: r1cs.coefficients()[entry.coefficient as usize],
        };
        entries.map(one).collect()
    };
    let of_rows = (0..rows).flat_map(move |row| {
        let mut both = of(0, r1cs.a(), row);
        both.extend(of(1, r1cs.b(), row));
        both
    });
    let ties = (0..r1cs.num_instance()).map(move |wire| Coefficient {
        matrix: 0,
        row: to_u32(rows + wire),
        wire: to_u32(wire),
        value: Fr::from(1u64),
    });
    of_rows.chain(ties)
}

/// A key's points in the order of its sections.
pub(crate) struct Queries<'a> {
    pub ic: &'a [G1Affine],
    pub a: &'a [G1Affine],
    pub b_g1: &'a [G1Affine],
    pub b_g2: &'a [G2Affine],
    pub l: &'a [G1Affine],
    pub h: &'a [G1Affine],
}

/// Writes a whole key file.
pub(crate) fn write_parts(
    out: impl Write,
    header: &Header,
    r1cs: &R1cs,
    queries: &Queries<'_>,
    transcript: &Transcript,
) -> Result<()> {
    let mut file = Writer::new(out, &KIND, SECTIONS)?;
    header.write(&mut file)?;
    file.point_section(IC, queries.ic)?;
    let entries = r1cs.a().non_zeros() + r1cs.b().non_zeros() + r1cs.num_instance();
    let count = u32::try_from(entries).map_err(|_| FormatError::OutOfRange {
        kind: KIND.name,
        what: "the number of coefficients",
        got: entries as u64,
        allowed: "below 2^32".to_owned(),
    })?;
    file.begin(COEFFICIENTS, 4 + COEFFICIENT_BYTES * u64::from(count))?;
    file.u32(count)?;
    for coefficient in coefficients_of(r1cs) {
        let mut record = [0; 44];
        for (k, word) in [coefficient.matrix, coefficient.row, coefficient.wire]
            .into_iter()
            .enumerate()
        {
            record[4 * k..4 * (k + 1)].copy_from_slice(&word.to_le_bytes());
        }
        record[12..].copy_from_slice(&coefficient_bytes(&coefficient.value));
        file.put(&record)?;
    }
    file.point_section(A, queries.a)?;
    file.point_section(B_G1, queries.b_g1)?;
    file.point_section(B_G2, queries.b_g2)?;
    file.point_section(L, queries.l)?;
    file.point_section(H, queries.h)?;
    write_transcript(&mut file, transcript)?;
    file.finish()
}

/// Writes this project's own key of a one-party setup as a key file without contributions.
///
/// `r1cs` is its circuit. The transcript's circuit hash is all zeros: the key comes from no ceremony.
///
/// # Errors
/// [`FormatError::Io`], and [`FormatError::OutOfRange`] for a circuit other than the key's.
pub fn write(out: impl Write, key: &ProvingKey, r1cs: &R1cs) -> Result<()> {
    let ark = key.to_ark();
    let counts = crate::r1cs::counts(r1cs)?;
    if r1cs.num_variables() != ark.a_query.len() || key.check_circuit(&r1cs.fingerprint()).is_err()
    {
        return Err(FormatError::OutOfRange {
            kind: KIND.name,
            what: "the number of wires",
            got: ark.a_query.len() as u64,
            allowed: format!(
                "those of the key's own circuit, not of one with {}",
                counts.wires
            ),
        });
    }
    let header = Header {
        wires: counts.wires,
        public: counts.public_inputs,
        domain: u32::try_from(ark.h_query.len()).expect("domains are at most 2^27"),
        alpha_g1: ark.vk.alpha_g1,
        beta_g1: ark.beta_g1,
        beta_g2: ark.vk.beta_g2,
        gamma_g2: ark.vk.gamma_g2,
        delta_g1: ark.delta_g1,
        delta_g2: ark.vk.delta_g2,
    };
    let queries = Queries {
        ic: &ark.vk.gamma_abc_g1,
        a: &ark.a_query,
        b_g1: &ark.b_g1_query,
        b_g2: &ark.b_g2_query,
        l: &ark.l_query,
        h: &ark.h_query,
    };
    let transcript = Transcript {
        circuit: [0; HASH_BYTES],
        contributions: Vec::new(),
    };
    write_parts(out, &header, r1cs, &queries, &transcript)
}

fn read_transcript<R: Read>(section: &mut Section<'_, R>) -> Result<Transcript> {
    let circuit = section.array()?;
    let count = section.u32()?;
    if u64::from(count) > section.left() / CONTRIBUTION_BYTES {
        return Err(FormatError::Size {
            kind: KIND.name,
            name: "the contributions",
            expected: u64::from(count) * CONTRIBUTION_BYTES,
            got: section.left(),
        });
    }
    let contributions = (1..=count as usize).map(|index| read_contribution(section, index));
    let contributions = contributions.collect::<Result<_>>()?;
    section.end()?;
    Ok(Transcript {
        circuit,
        contributions,
    })
}

fn read_contribution<R: Read>(section: &mut Section<'_, R>, index: usize) -> Result<Contribution> {
    let at = index as u64;
    let refused = Infinity::Refused;
    let [delta_after, s, s_x] = [
        section.point(at, refused)?,
        section.point(at, refused)?,
        section.point(at, refused)?,
    ];
    let p_x = section.point(at, refused)?;
    let transcript = section.array()?;
    let kind = section.u32()?;
    let bad = |fault| FormatError::Contribution { index, fault };
    let length = section.u32()? as usize;
    if length > 2 * (2 + MAX_PARAMETER_BYTES) + 2 {
        return Err(bad("has parameters that are too long"));
    }
    let mut bytes = vec![0; length];
    section.fill(&mut bytes)?;
    let (name, iterations, value) = parameters(&bytes).map_err(bad)?;
    let source = match (kind, iterations, value) {
        (0, None, None) => Source::Person,
        (1, Some(iterations_exp), Some(value)) => Source::Beacon {
            iterations_exp,
            value,
        },
        _ => return Err(bad("is neither a person's nor a beacon's")),
    };
    Ok(Contribution {
        delta_after,
        s,
        s_x,
        p_x,
        transcript,
        source,
        name,
    })
}

type Parameters = (Option<String>, Option<u8>, Option<Vec<u8>>);

/// `1 length name`, `2 exponent`, `3 length beacon`, each at most once, in this order.
fn parameters(mut bytes: &[u8]) -> std::result::Result<Parameters, &'static str> {
    let cut = "has parameters that are cut off";
    let (mut name, mut iterations, mut value) = (None, None, None);
    let mut last = 0;
    while let Some((&tag, rest)) = bytes.split_first() {
        if tag <= last {
            return Err("has parameters out of order");
        }
        last = tag;
        let (&length, rest) = rest.split_first().ok_or(cut)?;
        if tag == 2 {
            iterations = Some(length);
            bytes = rest;
            continue;
        }
        let (text, rest) = rest.split_at_checked(usize::from(length)).ok_or(cut)?;
        bytes = rest;
        match tag {
            _ if text.is_empty() => return Err("has an empty parameter"),
            1 => {
                let text = std::str::from_utf8(text).map_err(|_| "has a name that is not UTF-8")?;
                name = Some(text.to_owned());
            }
            3 => value = Some(text.to_vec()),
            _ => return Err("has an unknown parameter"),
        }
    }
    Ok((name, iterations, value))
}

fn parameter_bytes(contribution: &Contribution) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).expect("parameters have at most 255 bytes");
    let mut bytes = Vec::new();
    if let Some(name) = &contribution.name {
        bytes.extend_from_slice(&[1, length(name.as_bytes())]);
        bytes.extend_from_slice(name.as_bytes());
    }
    if let Source::Beacon {
        iterations_exp,
        value,
    } = &contribution.source
    {
        bytes.extend_from_slice(&[2, *iterations_exp, 3, length(value)]);
        bytes.extend_from_slice(value);
    }
    bytes
}

fn write_transcript<W: Write>(file: &mut Writer<W>, transcript: &Transcript) -> Result<()> {
    let parameters: Vec<Vec<u8>> = (transcript.contributions.iter())
        .map(parameter_bytes)
        .collect();
    let lengths: u64 = parameters.iter().map(|bytes| bytes.len() as u64).sum();
    let records = CONTRIBUTION_BYTES * parameters.len() as u64;
    file.begin(CONTRIBUTIONS, HASH_BYTES as u64 + 4 + records + lengths)?;
    file.put(&transcript.circuit)?;
    file.u32(u32::try_from(parameters.len()).expect("a file has fewer contributions"))?;
    for (contribution, parameters) in transcript.contributions.iter().zip(&parameters) {
        file.points(&[contribution.delta_after, contribution.s, contribution.s_x])?;
        file.points(&[contribution.p_x])?;
        file.put(&contribution.transcript)?;
        file.u32(match contribution.source {
            Source::Person => 0,
            Source::Beacon { .. } => 1,
        })?;
        file.u32(u32::try_from(parameters.len()).expect("parameters are short"))?;
        file.put(parameters)?;
    }
    Ok(())
}
