//! `quire estimate`: what a shape costs, before anyone waits for its keys.
//!
//! Sizes are exact: they follow from the circuit, which is compiled without values. Times are those
//! of shape `tiny` on this machine, measured once, each scaled by the work of its step:
//!
//! | step | work |
//! |---|---|
//! | setup | points to compute, a point in G2 counted as three in G1 |
//! | load | bytes of the proving key |
//! | proof: rows | non-zeros of A and B |
//! | proof: quotient | `n · log2 n`, `n` the domain |
//! | proof: multiplications | `points · windows(points)`, `windows(m) = 254 / min(16, log2 m − 3)` rounded up |
//!
//! Invariant: no key, table or witness of the shape itself is made.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ark_relations::gr1cs::{ConstraintSystem, SynthesisMode};
use circuits::shapes;
use circuits::transition::{BatchCircuit, assignment};
use ledger::field::Fr;
use ledger::shape::Shape;
use ledger::words::{L1_SLOT_BYTES, PublicWords, TRANSFER_BYTES, WITHDRAWAL_BYTES};
use prover::key::{AllowDevKeys, ProvingKey, VerifyingKey};
use prover::prove::{Stage, Watch, prove_watched};
use prover::schedule::bytes_for;
use prover::setup::setup_insecure_dev;
use r1cs::R1cs;
use rand::rngs::OsRng;
use serde::Serialize;

use crate::args::EstimateArgs;
use crate::settings::Settings;
use crate::ui::{seconds, table};
use rollup::keys::shape_bytes;
use rollup::shape::named;
use rollup::text::{bytes, count};

/// The shape that is measured.
const MEASURED: &str = "tiny";
/// Proofs that are timed; the fastest counts.
const PROOFS: usize = 2;
/// Bytes of a field element.
const ELEMENT: u64 = 32;
/// Bytes of a point in memory, in G1 and G2.
const POINT: [u64; 2] = [64, 128];
/// Bytes of the tables of a setup, in G1 and G2.
const TABLES: u64 = 60 << 20;

/// Sizes of a circuit and of what is made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Constraints.
    pub constraints: u64,
    /// Public inputs and the constant 1.
    pub instance: u64,
    /// All variables.
    pub variables: u64,
    /// Variables that occur in A.
    pub in_a: u64,
    /// Variables that occur in B.
    pub in_b: u64,
    /// Non-zeros of A and B.
    pub entries_ab: u64,
    /// Non-zeros of A, B and C.
    pub entries: u64,
    /// Size of the evaluation domain.
    pub domain: u64,
    /// Bytes of the verifying-key file.
    pub verifying_key: u64,
    /// Bytes of the proving-key file.
    pub proving_key: u64,
}

/// Times of the measured shape by step.
struct Calibration {
    sizes: Sizes,
    setup: f64,
    load: f64,
    rows: f64,
    quotient: f64,
    multiplications: f64,
    took: Duration,
}

/// What is said of a shape.
#[derive(Serialize)]
struct Estimate {
    shape: String,
    constraints: u64,
    domain_log2: u32,
    transfers: u16,
    published_bytes: usize,
    proving_key_bytes: u64,
    verifying_key_bytes: u64,
    setup_memory_bytes: u64,
    proving_memory_bytes: u64,
    setup_seconds: f64,
    load_seconds: f64,
    prove_seconds: f64,
    transfers_per_second: f64,
}

/// What `estimate` prints.
#[derive(Serialize)]
struct Facts {
    threads: usize,
    calibration_seconds: f64,
    shapes: Vec<Estimate>,
}

/// `quire estimate`.
///
/// # Errors
/// If a shape is unknown or the measurement fails.
pub fn run(settings: &Settings, args: &EstimateArgs) -> Result<()> {
    let ui = settings.ui;
    let chosen: Vec<(String, Shape)> = (args.shape.iter())
        .map(|name| Ok((name.clone(), named(name)?)))
        .collect::<Result<_>>()?;
    let task = ui.task("measuring shape tiny", None);
    let calibration = Calibration::measure()?;
    let mut estimates = Vec::new();
    for (name, shape) in &chosen {
        task.doing(format!("compiling the circuit of shape {name}"));
        let sizes = sizes(name, shape)?;
        estimates.push(calibration.estimate(name, shape, &sizes));
    }
    task.done();
    let facts = Facts {
        threads: rayon::current_num_threads(),
        calibration_seconds: seconds(calibration.took),
        shapes: estimates,
    };
    ui.result(&facts, describe(&facts))
}

/// The sizes of a shape's circuit and keys.
///
/// # Errors
/// If the circuit is too large for this program.
pub fn sizes(name: &str, shape: &Shape) -> Result<Sizes> {
    let r1cs = r1cs(name, shape)?;
    sizes_of(name, shape, &r1cs)
}

fn r1cs(name: &str, shape: &Shape) -> Result<R1cs> {
    let cs = ConstraintSystem::<Fr>::new_ref();
    cs.set_mode(SynthesisMode::Setup);
    BatchCircuit(shapes::padding(shape)).synthesize(cs.clone());
    R1cs::from_constraint_system(&cs)
        .with_context(|| format!("shape {name} is too large for this program"))
}

fn sizes_of(name: &str, shape: &Shape, r1cs: &R1cs) -> Result<Sizes> {
    // The rows that bind the instance put every instance variable into A.
    let mut in_a = vec![false; r1cs.num_variables()];
    in_a[..r1cs.num_instance()].fill(true);
    let mut in_b = vec![false; r1cs.num_variables()];
    for (matrix, seen) in [(r1cs.a(), &mut in_a), (r1cs.b(), &mut in_b)] {
        for entry in matrix.entries() {
            seen[entry.column as usize] = true;
        }
    }
    let number = |seen: &[bool]| seen.iter().filter(|seen| **seen).count() as u64;
    let (in_a, in_b) = (number(&in_a), number(&in_b));
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let domain = rows.next_power_of_two() as u64;
    let described = shape_bytes(shape)?.len();
    let verifying_key = VerifyingKey::file_bytes(name.len(), described, r1cs.num_instance());
    let witnesses = r1cs.num_witness() as u64;
    let entries_ab = r1cs.a().non_zeros() + r1cs.b().non_zeros();
    Ok(Sizes {
        constraints: r1cs.num_constraints() as u64,
        instance: r1cs.num_instance() as u64,
        variables: r1cs.num_variables() as u64,
        in_a,
        in_b,
        entries_ab: entries_ab as u64,
        entries: (entries_ab + r1cs.c().non_zeros()) as u64,
        domain,
        verifying_key,
        proving_key: ProvingKey::file_bytes(verifying_key, in_a, in_b, domain, witnesses),
    })
}

impl Sizes {
    /// Points of the key in G1 and G2.
    fn points(&self) -> [u64; 2] {
        let witnesses = self.variables - self.instance;
        [self.in_a + self.in_b + self.domain + witnesses, self.in_b]
    }

    /// Points to compute in a setup.
    fn setup_work(&self) -> f64 {
        let [first, second] = self.points();
        (first + 3 * second) as f64
    }

    /// Multiplications of a proof: points times windows, G2 three times as dear.
    fn multiplication_work(&self) -> f64 {
        let witnesses = self.variables - self.instance;
        let work = |points: u64| (points * windows(points)) as f64;
        let first = [self.in_a, self.in_b, self.domain, witnesses].map(work);
        first.iter().sum::<f64>() + 3.0 * work(self.in_b)
    }

    fn quotient_work(&self) -> f64 {
        (self.domain * u64::from(self.domain.trailing_zeros())) as f64
    }

    /// The compact matrices.
    fn matrices(&self) -> u64 {
        8 * self.entries + 12 * self.constraints
    }

    /// Bytes of the key in memory.
    fn key_memory(&self) -> u64 {
        let [first, second] = self.points();
        first * POINT[0] + second * POINT[1] + 4 * (self.in_a + self.in_b)
    }

    /// Peak of a setup: matrices, the key, six vectors over domain and variables, and tables.
    fn setup_memory(&self) -> u64 {
        let vectors = 3 * self.variables.max(self.domain) + 3 * self.domain;
        self.matrices() + self.key_memory() + vectors * ELEMENT + TABLES
    }

    /// Peak of a proof: matrices, the key, and what `prover::schedule` counts.
    fn proving_memory(&self) -> u64 {
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let proof = bytes_for(count(self.domain), count(self.variables));
        self.matrices() + self.key_memory() + proof as u64
    }
}

/// Windows of a multiplication with so many points.
fn windows(points: u64) -> u64 {
    let width = points.max(2).ilog2().saturating_sub(3).clamp(4, 16);
    254_u64.div_ceil(u64::from(width))
}

impl Calibration {
    /// Makes, saves and loads the keys of the smallest shape and proves an empty batch.
    fn measure() -> Result<Self> {
        let started = Instant::now();
        let shape = named(MEASURED)?;
        let r1cs = r1cs(MEASURED, &shape)?;
        let clock = Instant::now();
        let key = setup_insecure_dev(&r1cs, MEASURED, &shape_bytes(&shape)?, 1)?;
        let setup = clock.elapsed().as_secs_f64();
        let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
        crate::interrupt::remove_on_interrupt(folder.path());
        let path = folder.path().join("tiny.pk");
        key.save(&path)?;
        let clock = Instant::now();
        let key = ProvingKey::load(&path, &r1cs.fingerprint(), AllowDevKeys::Yes)?;
        let load = clock.elapsed().as_secs_f64();
        let assignment = assignment(&shapes::padding(&shape));
        let mut fastest = None;
        for _ in 0..PROOFS {
            let made = prove_watched(&key, &r1cs, &assignment, &mut OsRng, Watch::default())?;
            let faster = fastest
                .as_ref()
                .is_none_or(|best: &prover::prove::StageTimings| {
                    made.timings.total() < best.total()
                });
            if faster {
                fastest = Some(made.timings);
            }
        }
        let timings = fastest.context("at least one proof is timed")?;
        let of = |wanted: &[Stage]| {
            let stages = timings.stages().iter();
            let chosen = stages.filter(|(stage, _)| wanted.contains(stage));
            chosen.map(|(_, time)| time.as_secs_f64()).sum::<f64>()
        };
        Ok(Self {
            sizes: sizes_of(MEASURED, &shape, &r1cs)?,
            setup,
            load,
            rows: of(&[Stage::Rows]),
            quotient: of(&[Stage::Quotient]),
            multiplications: of(&[Stage::H, Stage::LAndA, Stage::B]),
            took: started.elapsed(),
        })
    }

    fn estimate(&self, name: &str, shape: &Shape, sizes: &Sizes) -> Estimate {
        let scaled = |time: f64, work: fn(&Sizes) -> f64| time * work(sizes) / work(&self.sizes);
        let prove = scaled(self.rows, |sizes| sizes.entries_ab as f64)
            + scaled(self.quotient, Sizes::quotient_work)
            + scaled(self.multiplications, Sizes::multiplication_work);
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        Estimate {
            shape: name.to_owned(),
            constraints: sizes.constraints,
            domain_log2: sizes.domain.trailing_zeros(),
            transfers: shape.transfers,
            published_bytes: published_bytes(shape),
            proving_key_bytes: sizes.proving_key,
            verifying_key_bytes: sizes.verifying_key,
            setup_memory_bytes: sizes.setup_memory(),
            proving_memory_bytes: sizes.proving_memory(),
            setup_seconds: rounded(scaled(self.setup, Sizes::setup_work)),
            load_seconds: rounded(scaled(self.load, |sizes| sizes.proving_key as f64)),
            prove_seconds: rounded(prove),
            transfers_per_second: rounded(f64::from(shape.transfers) / prove),
        }
    }
}

/// Bytes that a full batch of the shape publishes.
fn published_bytes(shape: &Shape) -> usize {
    let empty = PublicWords {
        header: ledger::words::Header {
            domain: Fr::from(0u64),
            old_root: Fr::from(0u64),
            new_root: Fr::from(0u64),
            shape_id: shape.id,
            batch_number: 1,
            timestamp: 0,
            fee_indices: vec![0; usize::from(shape.fee_slots)],
        },
        l1_ops: Vec::new(),
        transfers: Vec::new(),
        withdrawals: Vec::new(),
    };
    let empty = empty.to_bytes(shape).map_or(0, |bytes| bytes.len());
    empty
        + usize::from(shape.l1_ops) * L1_SLOT_BYTES
        + usize::from(shape.transfers) * TRANSFER_BYTES
        + usize::from(shape.withdrawals) * WITHDRAWAL_BYTES
}

fn describe(facts: &Facts) -> String {
    let heading = ["", "exact or estimated"];
    let mut text = String::new();
    for one in &facts.shapes {
        let about = |seconds: f64| match seconds {
            seconds if seconds < 120.0 => format!("about {seconds:.1} s"),
            seconds => format!("about {:.0} min", seconds / 60.0),
        };
        let title = format!("shape {}", one.shape);
        let rows = [
            [title.as_str(), heading[1]],
            [
                "constraints",
                &format!("{} of 2^{}", count(one.constraints), one.domain_log2),
            ],
            ["transfers in a batch", &count(one.transfers)],
            ["published bytes, full batch", &count(one.published_bytes)],
            ["proving key", &bytes(one.proving_key_bytes)],
            ["verifying key", &bytes(one.verifying_key_bytes)],
            [
                "memory of the setup",
                &format!("about {}", bytes(one.setup_memory_bytes)),
            ],
            [
                "memory of a proof",
                &format!("about {}", bytes(one.proving_memory_bytes)),
            ],
            ["setup", &about(one.setup_seconds)],
            ["loading the key", &about(one.load_seconds)],
            ["a proof", &about(one.prove_seconds)],
            [
                "transfers proven a second",
                &format!("about {:.1}", one.transfers_per_second),
            ],
        ];
        text.push_str(&table(&rows.map(|row| row.map(str::to_owned).to_vec())));
        text.push('\n');
    }
    text.push_str(&format!(
        "measured with {} threads in {:.1} s on shape tiny and scaled",
        facts.threads, facts.calibration_seconds
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of both keys are those of the files that a setup writes.
    #[test]
    fn sizes_are_those_of_the_keys() {
        let shape = named(MEASURED).unwrap();
        let r1cs = r1cs(MEASURED, &shape).unwrap();
        let key = setup_insecure_dev(&r1cs, MEASURED, &shape_bytes(&shape).unwrap(), 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.pk");
        key.save(&path).unwrap();
        let sizes = sizes(MEASURED, &shape).unwrap();
        assert_eq!(sizes.proving_key, std::fs::metadata(&path).unwrap().len());
        assert_eq!(
            sizes.verifying_key,
            key.verifying_key().to_bytes().len() as u64
        );
        assert_eq!(sizes.domain, key.domain_size() as u64);
        assert_eq!(sizes.variables, key.num_variables() as u64);
    }

    #[cfg(feature = "bench")]
    #[test]
    fn published_bytes_are_those_of_a_full_batch() {
        for name in ["tiny", "t16", "m16"] {
            let shape = named(name).unwrap();
            let batch = measuring::sample::full_batch(&shape).unwrap();
            let expected = batch.words.to_bytes(&shape).unwrap().len();
            assert_eq!(published_bytes(&shape), expected, "{name}");
        }
    }

    /// The measured shape is estimated to take what it took.
    #[test]
    fn scaling_by_nothing_changes_nothing() {
        let shape = named(MEASURED).unwrap();
        let calibration = Calibration {
            sizes: sizes(MEASURED, &shape).unwrap(),
            setup: 2.0,
            load: 0.25,
            rows: 0.125,
            quotient: 0.5,
            multiplications: 1.0,
            took: Duration::ZERO,
        };
        let one = calibration.estimate(MEASURED, &shape, &calibration.sizes);
        assert_eq!(
            (one.setup_seconds, one.load_seconds, one.prove_seconds),
            (2.0, 0.25, 1.625)
        );
        let large = Sizes {
            domain: 4 * calibration.sizes.domain,
            in_a: 4 * calibration.sizes.in_a,
            ..calibration.sizes
        };
        let more = calibration.estimate(MEASURED, &shape, &large);
        assert!(more.prove_seconds > one.prove_seconds && more.setup_seconds > one.setup_seconds);
        assert!(windows(1 << 20) < windows(1 << 12));
    }
}
