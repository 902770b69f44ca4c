//! Sums of scalar multiples and transforms, ours and arkworks'.
//!
//! Both sides get the same points and scalars and must give the same result. Besides wall-clock time the
//! processor time of this process is reported, where the system tells (Linux): other work on the machine
//! disturbs it less.

use std::time::Instant;

use ark_bn254::{g1, g2};
use ark_ec::VariableBaseMSM;
use ark_ec::short_weierstrass::{Affine, Projective};
use ark_ff::{FftField, UniformRand};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use ledger::field::Fr;
use msm::{Bases, FixedBase, Group, OddCoset, Path, Stop, path};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::ComparisonError;

/// Seed of points and scalars.
const SEED: u64 = 1;

/// One primitive at one size; times are medians in seconds.
#[derive(Serialize)]
pub struct Figure {
    pub what: &'static str,
    /// Base-2 logarithm of the number of elements.
    pub log2_size: u32,
    /// Threads of both sides.
    pub threads: usize,
    /// The path of ours.
    pub simd: &'static str,
    /// Repetitions of each side.
    pub pairs: u16,
    pub seconds: f64,
    pub ark_seconds: f64,
    pub ratio: f64,
    /// Ours in processor time, where the system tells.
    pub processor_seconds: Option<f64>,
    /// arkworks' in processor time.
    pub ark_processor_seconds: Option<f64>,
    /// arkworks ÷ ours in processor time.
    pub processor_ratio: Option<f64>,
}

/// The name of the path that this program takes.
pub fn simd() -> &'static str {
    match path() {
        Path::Portable => "portable",
        Path::Ifma => "ifma",
    }
}

fn random_scalars(count: usize) -> Vec<Fr> {
    (0..count)
        .into_par_iter()
        .map_init(
            || None,
            |rng: &mut Option<StdRng>, i| {
                // Why a generator for each element: the same scalars for any number of threads.
                let seed = SEED << 40 | i as u64;
                Fr::rand(rng.insert(StdRng::seed_from_u64(seed)))
            },
        )
        .collect()
}

/// Sums of random multiples in G1.
///
/// # Errors
/// [`ComparisonError::Differs`].
pub fn sums_g1(log2_size: u32, pairs: u16) -> Result<Figure, ComparisonError> {
    sums::<g1::Config>("G1 sum", log2_size, pairs)
}

/// Sums of random multiples in G2.
///
/// # Errors
/// [`ComparisonError::Differs`].
pub fn sums_g2(log2_size: u32, pairs: u16) -> Result<Figure, ComparisonError> {
    sums::<g2::Config>("G2 sum", log2_size, pairs)
}

fn sums<P: Group>(what: &'static str, log2_size: u32, pairs: u16) -> Result<Figure, ComparisonError>
where
    Projective<P>: VariableBaseMSM<MulBase = Affine<P>, ScalarField = Fr> + UniformRand,
{
    let count = 1usize << log2_size;
    let scalars = random_scalars(count);
    let base = Projective::<P>::rand(&mut StdRng::seed_from_u64(SEED));
    let points: Vec<Fr> = scalars.iter().rev().copied().collect();
    let bases: Bases<P> = FixedBase::new(path(), base, count).multiply(&points);
    let affine = bases.to_affine();
    let mut times = Times::default();
    for _ in 0..pairs {
        let ours = times.ours(|| bases.sum(Stop::default(), |i| scalars[i]));
        let theirs = times.theirs(|| Projective::<P>::msm_unchecked(&affine, &scalars));
        same(ours == Some(theirs), || format!("{what} 2^{log2_size}"))?;
    }
    Ok(times.figure(what, log2_size, pairs))
}

/// From values on the domain to values on its odd coset: an inverse transform and a transform.
///
/// # Errors
/// [`ComparisonError`].
pub fn transforms(log2_size: u32, pairs: u16) -> Result<Figure, ComparisonError> {
    let values = random_scalars(1 << log2_size);
    let Some((domain, coset, tables)) = domains(values.len()) else {
        return Err(ComparisonError::Domain { log2_size });
    };
    let mut times = Times::default();
    for _ in 0..pairs {
        let (mut ours, mut theirs) = (values.clone(), values.clone());
        times.ours(|| tables.run(&mut ours));
        times.theirs(|| {
            domain.ifft_in_place(&mut theirs);
            coset.fft_in_place(&mut theirs);
        });
        same(ours == theirs, || format!("the transform 2^{log2_size}"))?;
    }
    Ok(times.figure("domain to odd coset", log2_size, pairs))
}

/// The domain and its odd coset, and our tables for the way between them.
fn domains(
    size: usize,
) -> Option<(
    Radix2EvaluationDomain<Fr>,
    Radix2EvaluationDomain<Fr>,
    OddCoset,
)> {
    let domain = Radix2EvaluationDomain::<Fr>::new(size)?;
    let root = Fr::get_root_of_unity(2 * domain.size)?;
    Some((
        domain,
        domain.get_coset(root)?,
        OddCoset::new(path(), size)?,
    ))
}

fn same(equal: bool, what: impl FnOnce() -> String) -> Result<(), ComparisonError> {
    match equal {
        true => Ok(()),
        false => Err(ComparisonError::Differs { what: what() }),
    }
}

/// Wall-clock and processor time of each repetition.
#[derive(Default)]
struct Times {
    ours: Vec<(f64, Option<f64>)>,
    theirs: Vec<(f64, Option<f64>)>,
}

impl Times {
    fn ours<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (result, time) = timed(work);
        self.ours.push(time);
        result
    }

    fn theirs<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (result, time) = timed(work);
        self.theirs.push(time);
        result
    }

    fn figure(&self, what: &'static str, log2_size: u32, pairs: u16) -> Figure {
        let wall = |times: &[(f64, Option<f64>)]| median(times.iter().map(|time| time.0).collect());
        let processor = |times: &[(f64, Option<f64>)]| {
            let times: Option<Vec<f64>> = times.iter().map(|time| time.1).collect();
            times.map(median).filter(|time| *time > 0.0)
        };
        let (ours, theirs) = (processor(&self.ours), processor(&self.theirs));
        let rounded = |value: f64, unit: f64| (value * unit).round() / unit;
        Figure {
            what,
            log2_size,
            threads: rayon::current_num_threads(),
            simd: simd(),
            pairs,
            seconds: rounded(wall(&self.ours), 1e5),
            ark_seconds: rounded(wall(&self.theirs), 1e5),
            ratio: rounded(wall(&self.theirs) / wall(&self.ours), 1e3),
            processor_seconds: ours,
            ark_processor_seconds: theirs,
            processor_ratio: ours.zip(theirs).map(|(a, b)| rounded(b / a, 1e3)),
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, (f64, Option<f64>)) {
    let (clock, before) = (Instant::now(), processor_seconds());
    let result = work();
    let spent = clock.elapsed().as_secs_f64();
    let processor = before.zip(processor_seconds()).map(|(from, to)| to - from);
    (result, (spent, processor))
}

/// Processor time of this process so far, in seconds; its clock ticks a hundred times a second.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}
