//! The second phase of a setup: from powers of tau to a circuit's key, by many parties.
//!
//! [`new_key`] makes a key with `γ = δ = 1` from public powers alone; each [`contribute`] multiplies
//! `δ` by a secret and divides L and H by it; [`beacon`] does so with a public value, last. If one
//! participant forgot their secret, nobody knows `δ`. Files and hashes are those of snarkjs
//! (Bowe, Gabizon, Miers, ePrint 2017/1050, for one circuit at a time), so that participants may use
//! either program.
//!
//! Invariant: [`verify`] accepts a key only if it follows from the circuit, the powers and the
//! contributions of its transcript. H is compared in all of its `n` dimensions (in a random
//! combination), not only in the `n - 1` that quotients have; the last one is what the powers say, or 0
//! after a contribution in bellman's form, and nothing else. Secrets live in memory that is
//! wiped; copies that field and curve arithmetic leaves on the stack are beyond its reach.

use std::io::{Read, Seek, Write};

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AdditiveGroup, AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{BigInteger, Field, PrimeField, UniformRand};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use blake2::{Blake2b512, Digest};
use prover::key::{Degenerate, check_verifying_points};
use r1cs::{Matrix, R1cs};
use rand::rngs::OsRng;
use rand::{CryptoRng, RngCore};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::error::FormatError;
use crate::points::{Infinity, Point};
use crate::ptau::{Bases, Ptau, invertible, same};
use crate::r1cs::Ordered;
use crate::transcript::{
    Contribution, Hash, MAX_ITERATIONS_EXP, MAX_PARAMETER_BYTES, MIN_ITERATIONS_EXP, Running,
    Source, Stream, Transcript, challenge_point,
};
use crate::zkey::{self, A, B_G1, B_G2, H, Header, IC, L, Queries, Zkey};

/// Points of H that snarkjs hashes at a time; its last chunk is always whole.
const HASHED_CHUNK: u64 = 1 << 14;

/// Why a step of a ceremony was refused.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// A file is not what it should be.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The powers of tau are too few for the circuit.
    #[error(
        "the circuit needs powers of tau of 2^{needed}, the ptau file has 2^{got}: take a file of a larger ceremony"
    )]
    Power {
        /// Base-2 logarithm of the domain that the circuit needs.
        needed: u32,
        /// Power of the file.
        got: u32,
    },
    /// A part of the key does not follow from circuit, powers and transcript.
    #[error("{part} of the zkey does not follow from the circuit and the powers of tau: refuse it")]
    Differs {
        /// Name of the part of the key.
        part: &'static str,
    },
    /// A contribution does not hold.
    #[error("contribution {index}: {fault}; refuse the key")]
    Contribution {
        /// Number of the contribution, from 1.
        index: usize,
        /// What does not hold.
        fault: &'static str,
    },
    /// Only public values went into `δ`: everybody knows it.
    #[error(
        "no person has contributed to the zkey (what a beacon adds is public), so anybody can forge proofs: contribute first"
    )]
    Unfinished,
    /// The key's points permit forgeries.
    #[error("the key must not be used: {0}")]
    Degenerate(#[from] Degenerate),
    /// A name that would not print as it is.
    #[error("character {at} of the name ({character:?}) is not printable: leave it out")]
    Name {
        /// Number of the character, from 1.
        at: usize,
        /// The character that is not allowed.
        character: char,
    },
    /// A name or beacon of an impossible length, or a number of iterations out of bounds.
    #[error("{what} is {got}; allowed is {least} to {most}")]
    Parameter {
        /// Name of what is out of its bounds.
        what: &'static str,
        /// The value, or its length in bytes.
        got: usize,
        /// The least value or length that is allowed.
        least: usize,
        /// The greatest value or length that is allowed.
        most: usize,
    },
}

type Result<T> = std::result::Result<T, CeremonyError>;

/// A key before the first contribution.
struct Initial {
    header: Header,
    ic: Vec<G1Affine>,
    a: Vec<G1Affine>,
    b_g1: Vec<G1Affine>,
    b_g2: Vec<G2Affine>,
    l: Vec<G1Affine>,
    h: Vec<G1Affine>,
    transcript: Transcript,
}

impl Initial {
    fn of<R: Read + Seek>(r1cs: &R1cs, ptau: &mut Ptau<R>) -> Result<Self> {
        let domain = zkey::domain_size(r1cs);
        let power = domain.trailing_zeros();
        // Why: for larger domains the circuit's hash takes in one power more than 2^power has.
        let needed = power + u32::from(domain as u64 > HASHED_CHUNK);
        if ptau.power() < needed {
            let got = ptau.power();
            return Err(CeremonyError::Power { needed, got });
        }
        let bases = ptau.bases(power)?;
        ptau.check(power, &bases)?;
        let counts = crate::r1cs::counts(r1cs)?;
        let (alpha_g1, beta_g1, beta_g2) = ptau.fixed()?;
        let header = Header {
            wires: counts.wires,
            public: counts.public_inputs,
            domain: u32::try_from(domain).expect("a power of the file"),
            alpha_g1,
            beta_g1,
            beta_g2,
            gamma_g2: G2Affine::generator(),
            delta_g1: G1Affine::generator(),
            delta_g2: G2Affine::generator(),
        };
        let mut initial = Self::sums(r1cs, bases, header);
        initial.transcript.circuit = initial.hash(ptau)?;
        Ok(initial)
    }

    fn sums(r1cs: &R1cs, bases: Bases, header: Header) -> Self {
        let columns = [r1cs.a(), r1cs.b(), r1cs.c()].map(|matrix| Columns::of(r1cs, matrix));
        let [a, b, c] = &columns;
        let rows = r1cs.num_constraints();
        let tie = |wire: usize, base: &[G1Affine]| {
            (wire < r1cs.num_instance()).then(|| (base[rows + wire], Fr::ONE))
        };
        let all = 0..r1cs.num_variables();
        let a_query = combined(all.clone(), |wire, terms| {
            a.terms(wire, &bases.tau_g1, terms);
            terms.extend(tie(wire, &bases.tau_g1));
        });
        let b_g1 = combined(all.clone(), |wire, terms| {
            b.terms(wire, &bases.tau_g1, terms)
        });
        let b_g2 = combined(all.clone(), |wire, terms| {
            b.terms(wire, &bases.tau_g2, terms)
        });
        let mut ic = combined(all, |wire, terms| {
            a.terms(wire, &bases.beta, terms);
            terms.extend(tie(wire, &bases.beta));
            b.terms(wire, &bases.alpha, terms);
            c.terms(wire, &bases.tau_g1, terms);
        });
        let l = ic.split_off(r1cs.num_instance());
        Self {
            header,
            ic,
            a: a_query,
            b_g1,
            b_g2,
            l,
            h: bases.odd,
            transcript: Transcript {
                circuit: [0; 64],
                contributions: Vec::new(),
            },
        }
    }

    /// The circuit's hash: fixed points, then each query after its length. H goes in as
    /// `τ^(i+n) - τ^i`.
    fn hash<R: Read + Seek>(&self, ptau: &mut Ptau<R>) -> Result<Hash> {
        let mut hasher = Blake2b512::new();
        let header = &self.header;
        absorb(&mut hasher, &[header.alpha_g1, header.beta_g1]);
        absorb(&mut hasher, &[header.beta_g2, header.gamma_g2]);
        absorb(&mut hasher, &[header.delta_g1]);
        absorb(&mut hasher, &[header.delta_g2]);
        absorb_counted(&mut hasher, &self.ic);
        let n = u64::from(header.domain);
        hasher.update((header.domain - 1).to_be_bytes());
        let hashed = match n > HASHED_CHUNK {
            true => n,
            false => n - 1,
        };
        let mut from = 0;
        while from < hashed {
            let count = HASHED_CHUNK.min(hashed - from);
            let (low, high) = (ptau.tau_g1(from, count)?, ptau.tau_g1(from + n, count)?);
            let pairs = low.par_iter().zip(&high);
            let points: Vec<G1Projective> = pairs.map(|(low, high)| *high - *low).collect();
            absorb(&mut hasher, &G1Projective::normalize_batch(&points));
            from += count;
        }
        absorb_counted(&mut hasher, &self.l);
        absorb_counted(&mut hasher, &self.a);
        absorb_counted(&mut hasher, &self.b_g1);
        absorb_counted(&mut hasher, &self.b_g2);
        Ok(hasher.finalize().into())
    }
}

fn absorb<P: Point>(hasher: &mut Blake2b512, points: &[P]) {
    let mut bytes = Vec::new();
    for chunk in points.chunks(1 << 12) {
        bytes.clear();
        chunk
            .iter()
            .for_each(|point| point.uncompressed(&mut bytes));
        hasher.update(&bytes);
    }
}

fn absorb_counted<P: Point>(hasher: &mut Blake2b512, points: &[P]) {
    let count = u32::try_from(points.len()).expect("wires have 32 bits");
    hasher.update(count.to_be_bytes());
    absorb(hasher, points);
}

/// A matrix by columns.
struct Columns<'a> {
    r1cs: &'a R1cs,
    starts: Vec<u32>,
    /// Row and coefficient.
    entries: Vec<(u32, u32)>,
}

impl<'a> Columns<'a> {
    fn of(r1cs: &'a R1cs, matrix: &Matrix) -> Self {
        let mut starts = vec![0u32; r1cs.num_variables() + 1];
        for entry in matrix.entries() {
            starts[entry.column as usize + 1] += 1;
        }
        for column in 1..starts.len() {
            starts[column] += starts[column - 1];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0); matrix.non_zeros()];
        for (row, index) in (0..matrix.rows()).zip(0u32..) {
            for entry in matrix.row(row) {
                let place = &mut next[entry.column as usize];
                entries[*place as usize] = (index, entry.coefficient);
                *place += 1;
            }
        }
        Self {
            r1cs,
            starts,
            entries,
        }
    }

    /// Appends the column's entries with the bases of their rows.
    fn terms<P: Copy>(&self, column: usize, bases: &[P], out: &mut Vec<(P, Fr)>) {
        let range = self.starts[column] as usize..self.starts[column + 1] as usize;
        let coefficients = self.r1cs.coefficients();
        let terms = self.entries[range].iter();
        out.extend(terms.map(|&(row, id)| (bases[row as usize], coefficients[id as usize])));
    }
}

/// For each wire the sum of its terms.
fn combined<P: Point>(
    wires: std::ops::Range<usize>,
    terms_of: impl Fn(usize, &mut Vec<(P, Fr)>) + Sync,
) -> Vec<P>
where
    P::Group: CurveGroup<Affine = P>,
{
    let sums: Vec<P::Group> = wires
        .into_par_iter()
        .with_min_len(64)
        .map_init(Vec::new, |terms, wire| {
            terms.clear();
            terms_of(wire, terms);
            sum_of(terms)
        })
        .collect();
    P::Group::normalize_batch(&sums)
}

/// `Σ cᵢ·Pᵢ` for a few terms: windows of four bits, doublings shared (Straus). `c` and `-c` cost the
/// same, and small ones little.
fn sum_of<P: Point>(terms: &[(P, Fr)]) -> P::Group
where
    P::Group: CurveGroup<Affine = P>,
{
    const WINDOW: usize = 4;
    let mut sum = P::Group::ZERO;
    let mut tables = Vec::new();
    let mut bits = 0;
    for &(point, value) in terms {
        let (plus, minus) = (value.into_bigint(), (-value).into_bigint());
        let (point, magnitude) = match plus <= minus {
            true => (point.into_group(), plus),
            false => (-point.into_group(), minus),
        };
        if magnitude.num_bits() == 1 {
            sum += point;
            continue;
        }
        bits = bits.max(magnitude.num_bits() as usize);
        let mut table = [point; 1 << WINDOW];
        for k in 2..table.len() {
            table[k] = table[k - 1] + point;
        }
        tables.push((table, magnitude));
    }
    let mut high = P::Group::ZERO;
    for window in (0..bits.div_ceil(WINDOW)).rev() {
        for _ in 0..WINDOW {
            high.double_in_place();
        }
        let (limb, shift) = (window / 16, WINDOW * (window % 16));
        for (table, magnitude) in &tables {
            let digit = (magnitude.0[limb] >> shift) & 0xf;
            if digit > 0 {
                high += table[usize::try_from(digit).expect("four bits")];
            }
        }
    }
    sum + high
}

/// Writes the key of `circuit` before any contribution and returns the circuit's hash.
///
/// `γ = δ = 1`: until somebody contributes, anybody can forge proofs for it.
///
/// # Errors
/// [`CeremonyError::Power`] if the powers are too few, and [`CeremonyError::Format`] if they do not
/// hold.
pub fn new_key<'a, R: Read + Seek>(
    circuit: impl Into<Ordered<'a>>,
    ptau: &mut Ptau<R>,
    out: impl Write,
) -> Result<Hash> {
    let circuit = circuit.into();
    let initial = Initial::of(circuit.r1cs, ptau)?;
    let queries = Queries {
        ic: &initial.ic,
        a: &initial.a,
        b_g1: &initial.b_g1,
        b_g2: &initial.b_g2,
        l: &initial.l,
        h: &initial.h,
    };
    zkey::write_parts(out, &initial.header, circuit, &queries, &initial.transcript)?;
    Ok(initial.transcript.circuit)
}

/// Contributes a secret from `rng`, which should be the operating system's, and returns the record.
///
/// # Errors
/// [`CeremonyError::Parameter`] for a name that is empty or too long, [`CeremonyError::Name`] for one
/// that is not printable, and [`CeremonyError::Format`].
pub fn contribute<R: Read + Seek>(
    from: &mut Zkey<R>,
    out: impl Write,
    name: Option<&str>,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Contribution> {
    let secret = invertible(rng);
    let s = G1Projective::rand(rng).into_affine();
    add(from, out, &secret, s, name, Source::Person)
}

/// Contributes a public value, and returns the record. To be done last, with a value that nobody
/// could know when the contribution before it was made. Takes `2^iterations_exp` hashes.
///
/// # Errors
/// [`CeremonyError::Parameter`], [`CeremonyError::Name`], [`CeremonyError::Unfinished`] before any person contributed, and
/// [`CeremonyError::Format`].
pub fn beacon<R: Read + Seek>(
    from: &mut Zkey<R>,
    out: impl Write,
    name: Option<&str>,
    value: &[u8],
    iterations_exp: u8,
) -> Result<Contribution> {
    let (least, most) = (MIN_ITERATIONS_EXP, MAX_ITERATIONS_EXP);
    in_range(
        "the logarithm of the beacon's iterations",
        usize::from(iterations_exp),
        usize::from(least),
        usize::from(most),
    )?;
    in_range("the beacon's length", value.len(), 1, MAX_PARAMETER_BYTES)?;
    check_finished(from.transcript())?;
    let mut stream = Stream::of_beacon(value, iterations_exp);
    let secret = stream.scalar();
    let inverse = secret.inverse().unwrap_or_default();
    let s = stream.g1();
    let source = Source::Beacon {
        iterations_exp,
        value: value.to_vec(),
    };
    add(
        from,
        out,
        &Zeroizing::new([secret, inverse]),
        s,
        name,
        source,
    )
}

fn in_range(what: &'static str, got: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(CeremonyError::Parameter {
        what,
        got,
        least,
        most,
    })
}

/// Refuses names that could pass as other lines of a report.
fn check_name(name: &str) -> Result<()> {
    in_range("the length of the name", name.len(), 1, MAX_PARAMETER_BYTES)?;
    let printable = |c: char| matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1;
    match (1..).zip(name.chars()).find(|(_, c)| !printable(*c)) {
        None => Ok(()),
        Some((at, character)) => Err(CeremonyError::Name { at, character }),
    }
}

/// Multiplies `δ` by a secret; the second element of `secret` is its inverse.
fn add<R: Read + Seek>(
    from: &mut Zkey<R>,
    out: impl Write,
    secret: &[Fr; 2],
    s: G1Affine,
    name: Option<&str>,
    source: Source,
) -> Result<Contribution> {
    name.map_or(Ok(()), check_name)?;
    let [secret, inverse] = secret;
    let mut header = from.header().clone();
    header.delta_g1 = (header.delta_g1 * secret).into_affine();
    header.delta_g2 = (header.delta_g2 * secret).into_affine();
    let mut transcript = from.transcript().clone();
    let s_x = (s * secret).into_affine();
    let hash = transcript.next_hash(&s, &s_x);
    let contribution = Contribution {
        delta_after: header.delta_g1,
        s,
        s_x,
        p_x: (challenge_point(&hash) * secret).into_affine(),
        transcript: hash,
        source,
        name: name.map(str::to_owned),
    };
    transcript.contributions.push(contribution.clone());
    from.copy_with(out, &header, &transcript, |points| {
        let scaled: Vec<G1Projective> = points.par_iter().map(|point| *point * inverse).collect();
        G1Projective::normalize_batch(&scaled)
    })?;
    Ok(contribution)
}

/// Checks a key against its circuit, the ceremony's powers of tau, and its transcript.
///
/// `ptau` must be the file that the key was made from.
///
/// # Errors
/// [`CeremonyError`] with the first thing that does not hold.
pub fn verify<'a, R: Read + Seek, S: Read + Seek>(
    circuit: impl Into<Ordered<'a>>,
    ptau: &mut Ptau<R>,
    zkey: &mut Zkey<S>,
) -> Result<()> {
    let circuit = circuit.into();
    zkey.check_circuit(circuit)?;
    check_transcript(zkey.header(), zkey.transcript())?;
    check_verifying_points(&zkey.verifying_key()?)?;
    let initial = Initial::of(circuit.r1cs, ptau)?;
    if zkey.transcript().circuit != initial.transcript.circuit {
        return Err(CeremonyError::Differs {
            part: "the circuit's hash",
        });
    }
    let (got, expected) = (zkey.header().clone(), &initial.header);
    let fixed = [
        ("alpha", got.alpha_g1 == expected.alpha_g1),
        ("beta in G1", got.beta_g1 == expected.beta_g1),
        ("beta in G2", got.beta_g2 == expected.beta_g2),
        ("gamma", got.gamma_g2 == expected.gamma_g2),
    ];
    if let Some((part, _)) = fixed.into_iter().find(|(_, equal)| !equal) {
        return Err(CeremonyError::Differs { part });
    }
    expect_equal(zkey, IC, &initial.ic, "the input combination")?;
    expect_equal(zkey, A, &initial.a, "the A query")?;
    expect_equal(zkey, B_G1, &initial.b_g1, "the B query in G1")?;
    expect_equal(zkey, B_G2, &initial.b_g2, "the B query in G2")?;
    if !Scaled::of(zkey, L, &initial.l)?.equals_expected() {
        return Err(CeremonyError::Differs {
            part: "the L query",
        });
    }
    check_h(zkey, &initial.h)
}

/// Some secret is in `δ`.
fn check_finished(transcript: &Transcript) -> Result<()> {
    let mut all = transcript.contributions.iter();
    match all.any(|contribution| contribution.source == Source::Person) {
        true => Ok(()),
        false => Err(CeremonyError::Unfinished),
    }
}

fn check_transcript(header: &Header, transcript: &Transcript) -> Result<()> {
    check_finished(transcript)?;
    let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
    let mut delta = g1;
    let mut running = Running::new(&transcript.circuit);
    for (number, contribution) in transcript.contributions.iter().enumerate() {
        let refused = |fault| CeremonyError::Contribution {
            index: number + 1,
            fault,
        };
        let Contribution { s, s_x, p_x, .. } = contribution;
        if running.next_hash(s, s_x) != contribution.transcript {
            return Err(refused("its hash is not that of what came before"));
        }
        let p = challenge_point(&contribution.transcript);
        if !same(*s, *p_x, *s_x, p) {
            return Err(refused("it does not show that its secret was known"));
        }
        if !same(delta, *p_x, contribution.delta_after, p) {
            return Err(refused("delta does not follow from the delta before"));
        }
        check_beacon(contribution).map_err(refused)?;
        delta = contribution.delta_after;
        running.add(contribution);
    }
    if header.delta_g1 != delta || !same(g1, header.delta_g2, delta, g2) {
        return Err(CeremonyError::Differs { part: "delta" });
    }
    Ok(())
}

fn check_beacon(contribution: &Contribution) -> std::result::Result<(), &'static str> {
    let Source::Beacon {
        iterations_exp,
        value,
    } = &contribution.source
    else {
        return Ok(());
    };
    if *iterations_exp > MAX_ITERATIONS_EXP {
        return Err("its beacon asks for more iterations than 2^32");
    }
    let mut stream = Stream::of_beacon(value, *iterations_exp);
    let secret = stream.scalar();
    let s = stream.g1();
    if s == contribution.s && (s * secret).into_affine() == contribution.s_x {
        return Ok(());
    }
    Err("its key is not that of its beacon")
}

fn expect_equal<R: Read + Seek, P: Point>(
    zkey: &mut Zkey<R>,
    section: u32,
    expected: &[P],
    part: &'static str,
) -> Result<()> {
    let mut at = 0;
    let mut equal = true;
    zkey.section(section)?
        .each_chunk(Infinity::Allowed, |points: Vec<P>| {
            equal &= expected[at..at + points.len()] == points;
            at += points.len();
            Ok(())
        })?;
    match equal {
        true => Ok(()),
        false => Err(CeremonyError::Differs { part }),
    }
}

/// A section and what is expected of it before the division by `δ`, each in one random combination:
/// what holds for both holds for all points, wrong with a chance of 2^-127.
struct Scaled {
    delta: G2Affine,
    got: G1Projective,
    expected: G1Projective,
    weights: Vec<Fr>,
}

impl Scaled {
    fn of<R: Read + Seek>(zkey: &mut Zkey<R>, section: u32, expected: &[G1Affine]) -> Result<Self> {
        let mut sums = Self {
            delta: zkey.header().delta_g2,
            got: G1Projective::ZERO,
            expected: G1Projective::ZERO,
            weights: Vec::with_capacity(expected.len()),
        };
        zkey.section(section)?
            .each_chunk(Infinity::Allowed, |points: Vec<G1Affine>| {
                let weights: Vec<Fr> = points.iter().map(|_| weight()).collect();
                let at = sums.weights.len();
                let expected = &expected[at..at + points.len()];
                sums.got += G1Projective::msm_unchecked(&points, &weights);
                sums.expected += G1Projective::msm_unchecked(expected, &weights);
                sums.weights.extend(weights);
                Ok(())
            })?;
        Ok(sums)
    }

    /// Whether the section is `expected / δ`.
    fn equals_expected(&self) -> bool {
        self.equals(self.expected)
    }

    fn equals(&self, expected: G1Projective) -> bool {
        let (got, expected) = (self.got.into_affine(), expected.into_affine());
        same(got, self.delta, expected, G2Affine::generator())
    }
}

/// Whether H is `expected / δ`, or what is left of that by a contribution in the form of bellman.
///
/// `H = (H₀…Hₙ₋₁)` belongs to the odd points `gᵢ` of the domain of twice the size. A quotient with coefficients
/// `qⱼ` enters a proof by its values `q(gᵢ)`, so H matters by `cⱼ = Σᵢ gᵢʲ·Hᵢ` for each `j < n`, and these
/// determine it: `Hᵢ = 1/n · Σⱼ gᵢ⁻ʲ·cⱼ`. Quotients have degree `n - 2` at most. Bellman's form holds `cⱼ` for
/// `j < n - 1` alone, and on its way back `cₙ₋₁` is 0: `Hᵢ` becomes `Hᵢ - 1/n · gᵢ⁻⁽ⁿ⁻¹⁾·cₙ₋₁`. It stays 0 ever after, for
/// later contributions scale all of H. So there are two H for a `δ`, both determined, and each of them is
/// compared in all of its `n` dimensions.
fn check_h<R: Read + Seek>(zkey: &mut Zkey<R>, expected: &[G1Affine]) -> Result<()> {
    let sums = Scaled::of(zkey, H, expected)?;
    if sums.equals_expected() {
        return Ok(());
    }
    let odd = odd_points(expected.len());
    // gᵢⁿ = -1, so gᵢⁿ⁻¹ = -1/gᵢ and gᵢ⁻⁽ⁿ⁻¹⁾ = -gᵢ.
    let inverses: Vec<Fr> = odd.iter().filter_map(Field::inverse).collect();
    let last = -G1Projective::msm_unchecked(expected, &inverses);
    let along: Fr = odd.iter().zip(&sums.weights).map(|(g, w)| -*g * w).sum();
    let n = Fr::from(expected.len() as u64);
    let share = along * n.inverse().unwrap_or_default();
    match sums.equals(sums.expected - last * share) {
        true => Ok(()),
        false => Err(CeremonyError::Differs {
            part: "the H query",
        }),
    }
}

/// The odd points of the domain of size `2n`.
fn odd_points(n: usize) -> Vec<Fr> {
    let domain = Radix2EvaluationDomain::<Fr>::new(2 * n).expect("at most 2^28 points");
    domain.elements().skip(1).step_by(2).collect()
}

/// A random 128-bit weight.
fn weight() -> Fr {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    Fr::from(u128::from_le_bytes(bytes))
}
