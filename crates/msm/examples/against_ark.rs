//! Times this crate against arkworks, in interleaved pairs.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p msm --example against_ark -- [g1|g2|fft] [log2 of the
//! size] [pairs]`. Prints medians. Times are of the processor as this process used it, where the system
//! tells (Linux), so that other work on the machine disturbs them less. `fft` is an inverse transform and a
//! transform to the odd coset.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use ark_bn254::Fr;
use ark_ec::VariableBaseMSM;
use ark_ec::short_weierstrass::{Affine, Projective};
use ark_ff::{FftField, UniformRand};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use common::points;
use msm::{Group, OddCoset, Path};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A measurement takes at least so long.
const LEAST_SECONDS: f64 = 0.4;

const PATHS: [Path; 2] = [Path::Portable, Path::Ifma];

/// Why there are no figures.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("g1", String::as_str);
    let log_size: u32 = arguments.get(1).map_or(Ok(16), |text| text.parse())?;
    let pairs: usize = arguments.get(2).map_or(Ok(5), |text| text.parse())?;
    match what {
        "g1" => msms::<ark_bn254::g1::Config>(log_size, pairs),
        "g2" => msms::<ark_bn254::g2::Config>(log_size, pairs),
        "fft" => transforms(log_size, pairs),
        _ => Err("expected g1, g2 or fft".into()),
    }
}

fn msms<P: Group>(log_size: u32, pairs: usize) -> Result<(), Failure>
where
    Projective<P>: VariableBaseMSM<MulBase = Affine<P>, ScalarField = Fr> + UniformRand,
{
    let mut rng = StdRng::seed_from_u64(1);
    let bases = points::<P>(&mut rng, 1 << log_size);
    let scalars: Vec<Fr> = bases.iter().map(|_| Fr::rand(&mut rng)).collect();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..pairs {
        let (expected, time) = timed(|| Projective::<P>::msm_unchecked(&bases, &scalars));
        times[0].push(time);
        for (path, times) in PATHS.into_iter().zip(&mut times[1..]) {
            if path.is_supported() {
                let (sum, time) = timed(|| msm::msm(path, &bases, |i| scalars[i]));
                assert!(sum == expected, "{path:?} differs from ark-ec");
                times.push(time);
            }
        }
    }
    report(times);
    Ok(())
}

/// From values on the domain to values on its odd coset: an inverse transform and a transform.
fn transforms(log_size: u32, pairs: usize) -> Result<(), Failure> {
    let mut rng = StdRng::seed_from_u64(1);
    let values: Vec<Fr> = (0..1 << log_size).map(|_| Fr::rand(&mut rng)).collect();
    let domain = Radix2EvaluationDomain::<Fr>::new(values.len()).ok_or("too large")?;
    let root = Fr::get_root_of_unity(2 * domain.size).ok_or("too large")?;
    let coset = domain.get_coset(root).ok_or("too large")?;
    let tables = PATHS.map(|path| {
        path.is_supported()
            .then(|| OddCoset::new(path, values.len()))
            .flatten()
    });
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..pairs {
        let mut work = values.clone();
        let ((), time) = timed(|| {
            domain.ifft_in_place(&mut work);
            coset.fft_in_place(&mut work);
        });
        times[0].push(time);
        for (tables, times) in tables.iter().zip(&mut times[1..]) {
            if let Some(tables) = tables {
                let mut work = values.clone();
                let ((), time) = timed(|| tables.run(&mut work));
                times.push(time);
            }
        }
    }
    report(times);
    Ok(())
}

fn report(times: [Vec<f64>; 3]) {
    let medians = times.map(median);
    let Some(ark) = medians[0] else { return };
    println!("arkworks {:.1} ms", ark * 1e3);
    for (name, time) in ["portable", "ifma"].iter().zip(&medians[1..]) {
        if let Some(time) = time {
            println!(
                "{name} {:.1} ms, arkworks ÷ ours {:.2}",
                time * 1e3,
                ark / time
            );
        }
    }
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// The result of `work` and the seconds of processor time that it took, from as many repetitions as
/// make the clock's ticks of 10 ms small.
fn timed<T>(mut work: impl FnMut() -> T) -> (T, f64) {
    let (clock, processor) = (Instant::now(), processor_seconds());
    let mut repetitions = 0.0;
    loop {
        let result = work();
        repetitions += 1.0;
        let spent = match (processor, processor_seconds()) {
            (Some(before), Some(after)) => after - before,
            _ => clock.elapsed().as_secs_f64(),
        };
        if spent >= LEAST_SECONDS {
            return (result, spent / repetitions);
        }
    }
}

/// Processor time of this process so far.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}
