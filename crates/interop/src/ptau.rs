//! Powers of tau, `.ptau`: the first phase of a setup, common to all circuits.
//!
//! Sections: header (1), `τⁱ` in G1 (2) and G2 (3), `ατⁱ` (4), `βτⁱ` (5), `β` in G2 (6),
//! contributions (7), and in a *prepared* file the Lagrange polynomials at `τ` of every domain up to
//! the file's power: in G1 (12, one level more), in G2 (13), times `α` (14), times `β` (15).
//!
//! Invariant: an open [`Ptau`] has the sections that its power asks for, and none of `τ`, `α`, `β` is
//! ±1. Points are checked as they are read. That the powers are powers of one number is checked by
//! [`Ptau::check`] for as many as a circuit needs; who contributed to them is not checked here: take a
//! file whose ceremony you trust, or check it with `snarkjs powersoftau verify`.

use std::io::{Read, Seek, Write};

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{Field, UniformRand, Zero};
use ark_poly::domain::DomainCoeff;
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rand::rngs::OsRng;
use rand::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::container::{Container, Kind, Writer};
use crate::error::FormatError;
use crate::points::{FIELD_BYTES, Infinity, Point};

type Result<T> = std::result::Result<T, FormatError>;

static KIND: Kind = Kind {
    name: "ptau",
    version: 1,
    sections: &[
        (1, "the header"),
        (TAU_G1, "the powers in G1"),
        (TAU_G2, "the powers in G2"),
        (ALPHA_TAU, "the powers times alpha"),
        (BETA_TAU, "the powers times beta"),
        (BETA_G2, "beta in G2"),
        (7, "the contributions"),
        (12, "the Lagrange basis in G1"),
        (13, "the Lagrange basis in G2"),
        (14, "the Lagrange basis times alpha"),
        (15, "the Lagrange basis times beta"),
    ],
};

const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
const ALPHA_TAU: u32 = 4;
const BETA_TAU: u32 = 5;
const BETA_G2: u32 = 6;
const PREPARED: [u32; 4] = [12, 13, 14, 15];
/// Greatest power of a file.
pub const MAX_POWER: u32 = 28;
/// Greatest power for which a Lagrange basis is computed from a file that is not prepared.
pub const MAX_UNPREPARED: u32 = 16;

/// An open file of powers.
#[derive(Debug)]
pub struct Ptau<R> {
    file: Container<R>,
    power: u32,
}

/// What a circuit's key is made of: the bases of one domain.
#[derive(Clone, Debug)]
pub struct Bases {
    /// Lagrange polynomials at `τ` in G1.
    pub tau_g1: Vec<G1Affine>,
    /// The same in G2.
    pub tau_g2: Vec<G2Affine>,
    /// The same in G1, times `α`.
    pub alpha: Vec<G1Affine>,
    /// The same in G1, times `β`.
    pub beta: Vec<G1Affine>,
    /// Lagrange polynomials of the odd points of the domain of twice the size: the H query.
    pub odd: Vec<G1Affine>,
}

impl<R: Read + Seek> Ptau<R> {
    /// Opens a file, checks its sizes, and that none of `τ`, `α`, `β` is ±1.
    ///
    /// # Errors
    /// [`FormatError`] with what is wrong.
    pub fn open(input: R) -> Result<Self> {
        let mut file = Container::open(input, &KIND)?;
        let mut header = file.section(1)?;
        header.base_field()?;
        let (power, ceremony) = (header.u32()?, header.u32()?);
        header.end()?;
        if power == 0 || power > ceremony || ceremony > MAX_POWER {
            return Err(FormatError::OutOfRange {
                kind: KIND.name,
                what: "the power",
                got: u64::from(power),
                allowed: format!("1 to that of its ceremony ({ceremony}), at most {MAX_POWER}"),
            });
        }
        let n = 1u64 << power;
        let (g1, g2) = (G1Affine::BYTES as u64, G2Affine::BYTES as u64);
        let mut sizes = vec![
            (TAU_G1, (2 * n - 1) * g1),
            (TAU_G2, n * g2),
            (ALPHA_TAU, n * g1),
            (BETA_TAU, n * g1),
            (BETA_G2, g2),
        ];
        if PREPARED.iter().any(|id| file.has(*id)) {
            sizes.push((12, (4 * n - 1) * g1));
            sizes.push((13, (2 * n - 1) * g2));
            sizes.extend([14, 15].map(|id| (id, (2 * n - 1) * g1)));
        }
        for (id, size) in sizes {
            file.expect_size(id, size)?;
        }
        let mut ptau = Self { file, power };
        ptau.check_contributed()?;
        Ok(ptau)
    }

    fn check_contributed(&mut self) -> Result<()> {
        let tau = self.tau_g1(1, 1)?[0];
        let (alpha, beta, _) = self.fixed()?;
        for (what, point) in [("tau", tau), ("alpha", alpha), ("beta", beta)] {
            // Equal x means equal up to sign.
            if point.x == G1Affine::generator().x {
                return Err(FormatError::Uncontributed { what });
            }
        }
        Ok(())
    }

    /// The file holds `τⁱ` for `i < 2^power` in both groups, and in G1 for twice as many.
    pub fn power(&self) -> u32 {
        self.power
    }

    /// Whether the file has Lagrange bases.
    pub fn is_prepared(&self) -> bool {
        self.file.has(PREPARED[0])
    }

    fn read<P: Point>(&mut self, id: u32, from: u64, count: u64) -> Result<Vec<P>> {
        let size = P::BYTES as u64;
        let mut part = self.file.part(id, from * size, count * size)?;
        part.points(Infinity::Refused)
    }

    /// `τⁱ` in G1 for `count` exponents from `from` on.
    ///
    /// # Errors
    /// [`FormatError::Size`] for exponents that the file does not have, or a bad point.
    pub fn tau_g1(&mut self, from: u64, count: u64) -> Result<Vec<G1Affine>> {
        self.read(TAU_G1, from, count)
    }

    /// `α` and `β` in G1, `β` in G2.
    ///
    /// # Errors
    /// [`FormatError::Point`] for a bad point.
    pub fn fixed(&mut self) -> Result<(G1Affine, G1Affine, G2Affine)> {
        let alpha = self.read(ALPHA_TAU, 0, 1)?;
        let beta = self.read(BETA_TAU, 0, 1)?;
        let beta_g2 = self.read(BETA_G2, 0, 1)?;
        Ok((alpha[0], beta[0], beta_g2[0]))
    }

    /// The bases of the domain of size `2^power`.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] for a power beyond the file's, or beyond [`MAX_UNPREPARED`] in a
    /// file that is not prepared; a bad point.
    pub fn bases(&mut self, power: u32) -> Result<Bases> {
        let limit = match self.is_prepared() {
            true => self.power,
            false => self.power.min(MAX_UNPREPARED),
        };
        if power > limit {
            return Err(FormatError::OutOfRange {
                kind: KIND.name,
                what: "the power that the circuit needs",
                got: u64::from(power),
                allowed: match self.is_prepared() {
                    true => format!("at most {limit}: take a file of a larger ceremony"),
                    false => format!(
                        "at most {limit}: take a larger file, and above {MAX_UNPREPARED} a prepared one (`snarkjs powersoftau prepare phase2`)"
                    ),
                },
            });
        }
        match self.is_prepared() {
            true => self.prepared_bases(power),
            false => self.computed_bases(power),
        }
    }

    fn prepared_bases(&mut self, power: u32) -> Result<Bases> {
        let n = 1u64 << power;
        let doubled: Vec<G1Affine> = self.level(12, 2 * n)?;
        Ok(Bases {
            tau_g1: self.level(12, n)?,
            tau_g2: self.level(13, n)?,
            alpha: self.level(14, n)?,
            beta: self.level(15, n)?,
            odd: doubled.into_iter().skip(1).step_by(2).collect(),
        })
    }

    /// The basis of a domain of size `n`: those of all smaller domains lie before it.
    fn level<P: Point>(&mut self, id: u32, n: u64) -> Result<Vec<P>> {
        self.read(id, n - 1, n)
    }

    fn computed_bases(&mut self, power: u32) -> Result<Bases> {
        let n = 1u64 << power;
        let in_file = (2u64 << self.power) - 1;
        // Why: the quotient has no term of degree 2n - 1, so a missing last power counts as zero.
        let mut tau = self.tau_g1(0, (2 * n).min(in_file))?;
        let odd = lagrange::<G1Projective>(&tau, 2 * n);
        tau.truncate(usize::try_from(n).expect("at most 2^16"));
        let tau_g2: Vec<G2Affine> = self.read(TAU_G2, 0, n)?;
        let alpha: Vec<G1Affine> = self.read(ALPHA_TAU, 0, n)?;
        let beta: Vec<G1Affine> = self.read(BETA_TAU, 0, n)?;
        Ok(Bases {
            tau_g1: lagrange::<G1Projective>(&tau, n),
            tau_g2: lagrange::<G2Projective>(&tau_g2, n),
            alpha: lagrange::<G1Projective>(&alpha, n),
            beta: lagrange::<G1Projective>(&beta, n),
            odd: odd.into_iter().skip(1).step_by(2).collect(),
        })
    }

    /// Checks, up to a chance of 2^-127, that what a circuit of size `2^power` uses are powers of one
    /// number with one `α` and one `β`, and that `bases` are their Lagrange bases.
    ///
    /// # Errors
    /// [`FormatError::Disagree`] naming what does not fit, and as [`Ptau::bases`].
    pub fn check(&mut self, power: u32, bases: &Bases) -> Result<()> {
        let n = 1u64 << power;
        let in_file = (2u64 << self.power) - 1;
        let tau = self.tau_g1(0, (2 * n).min(in_file))?;
        // Why: τ itself is needed even for a single point.
        let tau_g2: Vec<G2Affine> = self.read(TAU_G2, 0, n.max(2))?;
        let alpha: Vec<G1Affine> = self.read(ALPHA_TAU, 0, n)?;
        let beta: Vec<G1Affine> = self.read(BETA_TAU, 0, n)?;
        let (_, _, beta_g2) = self.fixed()?;
        let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
        let start = tau[0] == g1 && tau_g2[0] == g2;
        let tau_in_g2 = tau_g2[1];
        let steps = |points: &[G1Affine]| {
            let weights = weights(points.len() - 1);
            let (low, high) = (sum(points, &weights), sum(&points[1..], &weights));
            same(low, tau_in_g2, high, g2)
        };
        let second = {
            let weights = weights(tau_g2.len());
            let low = G2Projective::msm_unchecked(&tau_g2, &weights);
            same(sum(&tau, &weights), g2, g1, low.into_affine())
        };
        let in_beta = same(beta[0], g2, g1, beta_g2);
        let odd = [&tau[..], &[G1Affine::identity()]].concat();
        let odd: Vec<G1Affine> = odd.into_iter().take(2 * bases.odd.len()).collect();
        let held = [
            ("the powers in G1", start && steps(&tau)),
            ("the powers in G2", second),
            ("the powers times alpha", steps(&alpha)),
            ("the powers times beta", steps(&beta)),
            ("beta in G2", in_beta),
            (
                "the Lagrange basis in G1",
                evaluates(&bases.tau_g1, &tau, 1),
            ),
            (
                "the Lagrange basis in G2",
                evaluates(&bases.tau_g2, &tau_g2, 1),
            ),
            (
                "the Lagrange basis times alpha",
                evaluates(&bases.alpha, &alpha, 1),
            ),
            (
                "the Lagrange basis times beta",
                evaluates(&bases.beta, &beta, 1),
            ),
            (
                "the Lagrange basis of twice the size",
                evaluates(&bases.odd, &odd, 2),
            ),
        ];
        match held.into_iter().find(|(_, holds)| !holds) {
            None => Ok(()),
            Some((what, _)) => Err(FormatError::Disagree {
                kind: KIND.name,
                what,
                expected: "powers of one number".to_owned(),
                got: "others".to_owned(),
            }),
        }
    }
}

/// Random 128-bit weights.
fn weights(count: usize) -> Vec<Fr> {
    let weight = |_| {
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        Fr::from(u128::from_le_bytes(bytes))
    };
    (0..count).map(weight).collect()
}

fn sum(points: &[G1Affine], weights: &[Fr]) -> G1Affine {
    G1Projective::msm_unchecked(points, weights).into_affine()
}

/// `e(a, b) = e(c, d)`.
pub(crate) fn same(a: G1Affine, b: G2Affine, c: G1Affine, d: G2Affine) -> bool {
    Bn254::multi_pairing([a, -c], [b, d]).is_zero()
}

/// Whether `basis` are the Lagrange polynomials of every `step`-th point (the odd ones for 2) of the
/// domain of `step·basis.len()` points at the number whose powers are given.
fn evaluates<P: Point>(basis: &[P], powers: &[P], step: usize) -> bool {
    let size = step * basis.len();
    let domain = Radix2EvaluationDomain::<Fr>::new(size).expect("at most 2^28 points");
    let weights = weights(basis.len());
    // Σ wᵢ·Lᵢ is the polynomial with values wᵢ, whose coefficients weigh the powers.
    let mut values = vec![Fr::zero(); size];
    let places = values.iter_mut().skip(step - 1).step_by(step);
    places
        .zip(&weights)
        .for_each(|(value, weight)| *value = *weight);
    domain.ifft_in_place(&mut values);
    let powers = &powers[..size.min(powers.len())];
    P::Group::msm_unchecked(basis, &weights) == P::Group::msm_unchecked(powers, &values)
}

/// The Lagrange basis of a domain from the powers; missing last powers count as zero.
fn lagrange<G>(powers: &[G::Affine], size: u64) -> Vec<G::Affine>
where
    G: CurveGroup<ScalarField = Fr> + DomainCoeff<Fr>,
{
    let size = usize::try_from(size).expect("at most 2^17");
    let domain = Radix2EvaluationDomain::<Fr>::new(size).expect("at most 2^17");
    let mut points: Vec<G> = powers.iter().map(|point| point.into_group()).collect();
    points.resize(size, G::zero());
    domain.ifft_in_place(&mut points);
    G::normalize_batch(&points)
}

/// Writes a prepared file from secrets that `rng` draws and that are forgotten: the first phase by
/// one party, for trials and tests. It has no contributions, so `snarkjs powersoftau verify` has
/// nothing to verify; `zkey` commands take it.
///
/// # Errors
/// [`FormatError::OutOfRange`] unless `power` is 1 to [`MAX_UNPREPARED`] + 1, and
/// [`FormatError::Io`].
pub fn write_trial(
    out: impl Write,
    power: u32,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<()> {
    if power == 0 || power > MAX_UNPREPARED + 1 {
        return Err(FormatError::OutOfRange {
            kind: KIND.name,
            what: "the power",
            got: u64::from(power),
            allowed: format!(
                "1 to {}: above that, take a public ceremony's",
                MAX_UNPREPARED + 1
            ),
        });
    }
    let secrets = Zeroizing::new([Fr::rand(rng), Fr::rand(rng), Fr::rand(rng)]);
    let [tau, alpha, beta] = &*secrets;
    let n = 1usize << power;
    let mut powers = Zeroizing::new(vec![Fr::from(1u64); 2 * n]);
    for i in 1..powers.len() {
        powers[i] = powers[i - 1] * tau;
    }
    let levels = levels(&powers, power);
    let small = &levels[..2 * n - 1];
    let times = |scalars: &[Fr], factor: &Fr| {
        Zeroizing::new(
            scalars
                .iter()
                .map(|scalar| *scalar * factor)
                .collect::<Vec<_>>(),
        )
    };
    let g1 = BatchMulPreprocessing::new(G1Projective::generator(), 8 * n);
    let g2 = BatchMulPreprocessing::new(G2Projective::generator(), 2 * n);

    let mut file = Writer::new(out, &KIND, 11)?;
    file.begin(1, 4 + FIELD_BYTES as u64 + 8)?;
    file.base_field()?;
    file.u32(power)?;
    file.u32(power)?;
    file.point_section(TAU_G1, &g1.batch_mul(&powers[..2 * n - 1]))?;
    file.point_section(TAU_G2, &g2.batch_mul(&powers[..n]))?;
    file.point_section(ALPHA_TAU, &g1.batch_mul(&times(&powers[..n], alpha)))?;
    file.point_section(BETA_TAU, &g1.batch_mul(&times(&powers[..n], beta)))?;
    file.point_section(BETA_G2, &[(G2Projective::generator() * beta).into_affine()])?;
    file.begin(7, 4)?;
    file.u32(0)?;
    file.point_section(12, &g1.batch_mul(&levels))?;
    file.point_section(13, &g2.batch_mul(small))?;
    file.point_section(14, &g1.batch_mul(&times(small, alpha)))?;
    file.point_section(15, &g1.batch_mul(&times(small, beta)))?;
    file.finish()
}

/// The Lagrange polynomials of every domain up to twice the file's at the number with these powers.
fn levels(powers: &[Fr], power: u32) -> Zeroizing<Vec<Fr>> {
    // Why: reserved whole, since a vector that grows leaves copies behind.
    let mut all = Zeroizing::new(Vec::with_capacity((4usize << power) - 1));
    for level in 0..=power + 1 {
        let size = 1usize << level;
        let domain = Radix2EvaluationDomain::<Fr>::new(size).expect("at most 2^18 points");
        let mut values = Zeroizing::new(powers[..size].to_vec());
        if level == power + 1 {
            // The file does not hold this power, so whoever prepares one counts it as zero.
            values[size - 1] = Fr::zero();
        }
        domain.ifft_in_place(&mut values);
        all.extend_from_slice(&values);
    }
    all
}

/// Whether a number has an inverse, for callers that draw secrets.
pub(crate) fn invertible(rng: &mut (impl RngCore + CryptoRng)) -> Zeroizing<[Fr; 2]> {
    loop {
        let mut secret = Zeroizing::new([Fr::rand(rng), Fr::zero()]);
        if let Some(inverse) = secret[0].inverse() {
            secret[1] = inverse;
            return secret;
        }
    }
}
