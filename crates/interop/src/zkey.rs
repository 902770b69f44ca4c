//! Proving keys of snarkjs, `.zkey` (Groth16), with the transcript of their ceremony.
//!
//! Sections: protocol (1), header (2), input combination (3), coefficients of A and B with the rows
//! that tie the public inputs (4), queries A (5), B in G1 (6), B in G2 (7), L (8), H (9),
//! contributions (10). The H query is over the odd coset, as in `prover::qap`, so keys are
//! interchangeable. Coefficients stand in the order of the circuit's file, zeros included. C is not in
//! the file.
//!
//! Invariant: an open [`Zkey`] has all sections with the sizes that its header asks for, and its
//! fixed points and contributions are decoded with every check. Queries are read and checked in
//! chunks as they are asked for, and only [`Zkey::proving_key_unchecked`] checks less of them than everything.

use std::io::{Read, Seek, Write};

use ark_bn254::{Bn254, Fr, G1Affine, G2Affine};
use prover::bounded::FileKind;
use prover::key::ProvingKey;
use r1cs::R1cs;

use crate::container::{Container, Kind, Section, Writer};
use crate::error::FormatError;
use crate::points::{FIELD_BYTES, Infinity, Point, coefficient, coefficient_bytes};
use crate::r1cs::Ordered;
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
const PLONK: u32 = 2;
const FFLONK: u32 = 10;
const HEADER_BYTES: u64 = 2 * (4 + FIELD_BYTES as u64) + 3 * 4 + 3 * 64 + 3 * 128;
const COEFFICIENT_BYTES: u64 = 3 * 4 + FIELD_BYTES as u64;
/// Greatest length of a transcript where a whole key is read into memory: 70,000 contributions.
pub const MAX_TRANSCRIPT_BYTES: u64 = 1 << 26;
/// Bytes of a contribution without parameters.
const CONTRIBUTION_BYTES: u64 = 3 * 64 + 128 + HASH_BYTES as u64 + 2 * 4;
/// Greatest logarithm of a domain: its odd coset needs roots of unity of twice the order.
const MAX_POWER: u32 = 27;

/// Size of the domain of a circuit's key: room for each constraint and a row for each public input and
/// the constant 1, and at least two points.
pub(crate) fn domain_size(r1cs: &R1cs) -> usize {
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    rows.next_power_of_two().max(2)
}

/// Sections that hold points alone, with their sizes in bytes.
fn point_sections(wires: u64, inputs: u64, domain: u64) -> [(u32, u64); 6] {
    [
        (IC, inputs * 64),
        (A, wires * 64),
        (B_G1, wires * 64),
        (B_G2, wires * 128),
        (L, (wires - inputs) * 64),
        (H, domain * 64),
    ]
}

/// Files of a circuit's keys, with transcripts of up to [`MAX_TRANSCRIPT_BYTES`].
pub fn file_kind<'a>(circuit: impl Into<Ordered<'a>>) -> FileKind {
    let circuit = circuit.into();
    let r1cs = circuit.r1cs;
    let [wires, inputs, domain, terms] = [
        r1cs.num_variables(),
        r1cs.num_instance(),
        domain_size(r1cs),
        circuit.num_terms() + r1cs.num_instance(),
    ]
    .map(|count| count as u64);
    let points = point_sections(wires, inputs, domain);
    let points: u64 = points.iter().map(|(_, size)| size).sum();
    let heads = 12 + u64::from(SECTIONS) * 12 + 4 + HEADER_BYTES + 4;
    FileKind {
        name: "a key of this circuit",
        most: heads + points + terms * COEFFICIENT_BYTES + MAX_TRANSCRIPT_BYTES,
    }
}

/// The fixed part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Wires of the circuit, the constant 1 included.
    pub wires: u32,
    /// Public inputs, the constant 1 not counted.
    pub public: u32,
    /// Size of the domain, a power of two.
    pub domain: u32,
    /// The secret `α` times the generator of G1.
    pub alpha_g1: G1Affine,
    /// The secret `β` times the generator of G1.
    pub beta_g1: G1Affine,
    /// The secret `β` times the generator of G2.
    pub beta_g2: G2Affine,
    /// The secret `γ` times the generator of G2.
    pub gamma_g2: G2Affine,
    /// The secret `δ` times the generator of G1.
    pub delta_g1: G1Affine,
    /// The secret `δ` times the generator of G2.
    pub delta_g2: G2Affine,
}

impl Header {
    fn read<R: Read>(section: &mut Section<'_, R>) -> Result<Self> {
        section.base_field()?;
        section.scalar_field()?;
        let (wires, public, domain) = (section.u32()?, section.u32()?, section.u32()?);
        let header = Self {
            wires,
            public,
            domain,
            alpha_g1: named_point(section, "alpha in G1")?,
            beta_g1: named_point(section, "beta in G1")?,
            beta_g2: named_point(section, "beta in G2")?,
            gamma_g2: named_point(section, "gamma in G2")?,
            delta_g1: named_point(section, "delta in G1")?,
            delta_g2: named_point(section, "delta in G2")?,
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
        if !self.domain.is_power_of_two()
            || !(1..=MAX_POWER).contains(&self.domain.trailing_zeros())
        {
            let allowed = format!("powers of two from 2 to 2^{MAX_POWER}");
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

fn check_protocol<R: Read + Seek>(file: &mut Container<R>) -> Result<()> {
    if !file.has(1) {
        file.check_known()?;
    }
    let mut section = file.section(1)?;
    let protocol = section.u32()?;
    section.end()?;
    let got = match protocol {
        GROTH16 => return Ok(()),
        PLONK => "PLONK".to_owned(),
        FFLONK => "FFLONK".to_owned(),
        other => format!("the proof system with number {other}"),
    };
    let kind = KIND.name;
    Err(FormatError::Protocol { kind, got })
}

/// One term of A or B, or a row that ties a public input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coefficient {
    /// 0 for A, 1 for B.
    pub matrix: u32,
    /// Index of the row, from 0.
    pub row: u32,
    /// Number of the wire that the coefficient stands at.
    pub wire: u32,
    /// The coefficient, as a field element.
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
        let mut file = Container::open_any(input, &KIND)?;
        // Why first: keys of other proof systems have other sections.
        check_protocol(&mut file)?;
        file.check_known()?;
        let header = Header::read(&mut file.section(2)?)?;
        let inputs = u64::from(header.public) + 1;
        for (id, size) in point_sections(header.wires.into(), inputs, header.domain.into()) {
            file.expect_size(id, size)?;
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

    /// The header: sizes and the points that every key has.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The record of the contributions that made the key.
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

    /// The whole key, its verifying key with every check and all else with one: that coordinates are below
    /// the modulus. It is for whoever verifies each proof that is made with it, as `prover::prove` does: a
    /// key with points that are off their curve or outside their subgroup gives no proof that verifies.
    /// Whoever keeps the key takes [`Zkey::proving_key`].
    ///
    /// # Errors
    /// [`FormatError::Point`] with the first bad point.
    pub fn proving_key_unchecked(&mut self) -> Result<ark_groth16::ProvingKey<Bn254>> {
        let vk = self.verifying_key()?;
        let file = &mut self.file;
        Ok(ark_groth16::ProvingKey {
            vk,
            beta_g1: self.header.beta_g1,
            delta_g1: self.header.delta_g1,
            a_query: file.section(A)?.points_unchecked()?,
            b_g1_query: file.section(B_G1)?.points_unchecked()?,
            b_g2_query: file.section(B_G2)?.points_unchecked()?,
            l_query: file.section(L)?.points_unchecked()?,
            h_query: file.section(H)?.points_unchecked()?,
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

    /// Refuses the key unless its counts and coefficients are those of `circuit`, in its order.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] or [`FormatError::Disagree`] with the first difference.
    pub fn check_circuit<'a>(&mut self, circuit: impl Into<Ordered<'a>>) -> Result<()> {
        let circuit = circuit.into();
        self.check_counts(circuit.r1cs)?;
        let mut expected = coefficients_of(circuit);
        self.coefficients(|got| match expected.next() {
            Some(expected) if expected == got => Ok(()),
            other => Err(differs(other, Some(got))),
        })?;
        match expected.next() {
            None => Ok(()),
            other => Err(differs(other, None)),
        }
    }

    /// Refuses the key unless its counts are those of `r1cs`, and with them the sizes of its sections.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] with the first difference.
    pub fn check_counts(&self, r1cs: &R1cs) -> Result<()> {
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
            ("the domain", self.header.domain, domain_size(r1cs)),
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
        Ok(())
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

fn differs(expected: Option<Coefficient>, got: Option<Coefficient>) -> FormatError {
    let text = |coefficient: Option<Coefficient>| match coefficient {
        None => "none".to_owned(),
        Some(coefficient) => {
            let Coefficient {
                matrix,
                row,
                wire,
                value,
            } = coefficient;
            format!("matrix {matrix}, row {row}, wire {wire}, value {value}")
        }
    };
    FormatError::Disagree {
        kind: KIND.name,
        what: "a coefficient",
        expected: text(expected),
        got: text(got),
    }
}

/// The coefficients of a circuit in the order of snarkjs: A and B of each row, then the rows that
/// tie the public inputs.
fn coefficients_of(circuit: Ordered<'_>) -> impl Iterator<Item = Coefficient> + '_ {
    let to_u32 = |value: usize| u32::try_from(value).expect("variables and rows have 32 bits");
    let rows = circuit.r1cs.num_constraints();
    let of = move |matrix: u32, row: usize| {
        let terms = circuit.terms(matrix as usize, row).into_iter();
        terms.map(move |(wire, value)| Coefficient {
            matrix,
            row: to_u32(row),
            wire,
            value,
        })
    };
    let of_rows = (0..rows).flat_map(move |row| of(0, row).chain(of(1, row)));
    let ties = (0..circuit.r1cs.num_instance()).map(move |wire| Coefficient {
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
    circuit: Ordered<'_>,
    queries: &Queries<'_>,
    transcript: &Transcript,
) -> Result<()> {
    let mut file = Writer::new(out, &KIND, SECTIONS)?;
    header.write(&mut file)?;
    file.point_section(IC, queries.ic)?;
    let entries = circuit.num_terms() + circuit.r1cs.num_instance();
    let count = u32::try_from(entries).map_err(|_| FormatError::OutOfRange {
        kind: KIND.name,
        what: "the number of coefficients",
        got: entries as u64,
        allowed: "below 2^32".to_owned(),
    })?;
    file.begin(COEFFICIENTS, 4 + COEFFICIENT_BYTES * u64::from(count))?;
    file.u32(count)?;
    for coefficient in coefficients_of(circuit) {
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
    header.check()?;
    write_parts(out, &header, r1cs.into(), &queries, &transcript)
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

fn named_point<R: Read, P: Point>(
    section: &mut Section<'_, R>,
    what: impl Into<String>,
) -> Result<P> {
    section.point(Infinity::Refused, |fault| FormatError::Point {
        kind: KIND.name,
        what: what.into(),
        fault,
    })
}

fn read_contribution<R: Read>(section: &mut Section<'_, R>, index: usize) -> Result<Contribution> {
    let of = |what: &str| format!("{what} of contribution {index}");
    let delta_after = named_point(section, of("delta"))?;
    let s = named_point(section, of("s"))?;
    let s_x = named_point(section, of("s·x"))?;
    let p_x = named_point(section, of("p·x"))?;
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
