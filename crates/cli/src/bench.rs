//! `quire bench prove | verify | keyload`: the figures of provers and keys. Others are in `primitives` and
//! `bench_setup`.
//!
//! Both provers prove the same full batch from the same ledger witness in the same process, in
//! interleaved pairs, each with a key of its own (ark-groth16 has its default QAP reduction); the
//! medians are compared. The keys are made with known secrets and not kept.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use circuits::shapes;
use circuits::transition::{BatchValues, assignment};
use l1::submission::{Submission, verify_batch};
use ledger::shape::Shape;
use ledger::words::{challenge, evaluation};
use measuring::groth16::Ark;
use measuring::primitives::simd;
use measuring::sample::{full_batch, full_values};
use prover::key::{AllowDevKeys, ProvingKey};
use prover::proof::Proof;
use prover::prove::{Stage, StageTimings, Watch, prove, prove_watched};
use prover::setup::setup_insecure_dev;
use prover::verify::verify_many;
use r1cs::R1cs;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};

use crate::args::{BenchKeyArgs, BenchPeakArgs, BenchProveArgs, BenchVerifyArgs, Simd, SimdArgs};
use crate::fault::Fault;
use crate::settings::Settings;
use crate::ui::{Ui, seconds};
use rollup::shape::named;
use rollup::text::{bytes, count};

/// Seed of the keys, which anybody may know.
const SEED: u64 = 1;
/// Key loads that are timed, after one that is not.
const LOADS: usize = 3;
/// Verifications that are timed.
const VERIFICATIONS: usize = 20;

/// A circuit, its key and a full batch.
pub struct Subject {
    pub shape: Shape,
    r1cs: R1cs,
    key: ProvingKey,
    values: BatchValues,
}

impl Subject {
    /// Compiles the circuit, and makes a key and the batch.
    ///
    /// # Errors
    /// If there is no such shape, or the setup fails.
    pub fn make(ui: Ui, name: &str) -> Result<Self> {
        let shape = named(name)?;
        let task = ui.task(format!("shape {name}: circuit, key and a full batch"), None);
        let r1cs = shapes::compile(&shape)
            .context("cannot compile the circuit")?
            .r1cs;
        let key = setup_insecure_dev(&r1cs, name, b"", SEED).context("the setup failed")?;
        let values = full_values(&shape)?;
        task.done();
        Ok(Self {
            shape,
            r1cs,
            key,
            values,
        })
    }

    /// Witness and proof, as a batcher makes them once it has sealed a batch.
    ///
    /// # Errors
    /// If the proof fails.
    pub fn prove(&self) -> Result<Made> {
        let started = Instant::now();
        let assignment = assignment(&self.values);
        let witness = started.elapsed();
        let watch = Watch::default();
        let proved = prove_watched(&self.key, &self.r1cs, &assignment, &mut OsRng, watch)?;
        Ok(Made {
            proof: proved.proof,
            stages: proved.timings,
            witness,
            whole: started.elapsed(),
        })
    }
}

/// A proof and what it took.
pub struct Made {
    proof: Proof,
    stages: StageTimings,
    witness: Duration,
    /// Witness and proof, verified.
    pub whole: Duration,
}

/// Takes the inner loops that were asked for.
///
/// # Errors
/// If the processor does not have them.
pub fn choose_path(args: SimdArgs) -> Result<()> {
    let path = match args.simd {
        None => return Ok(()),
        Some(Simd::Ifma) => msm::Path::Ifma,
        Some(Simd::Portable) => msm::Path::Portable,
    };
    ensure!(
        msm::choose(path),
        Fault::environment(format!("this processor does not support {path:?}"))
    );
    Ok(())
}

/// What `bench prove` measures; times are medians in seconds.
#[derive(Serialize)]
struct ProveFigures {
    shape: String,
    constraints: usize,
    transfers: u16,
    threads: usize,
    simd: &'static str,
    pairs: u16,
    /// Witness and proof, verification of it included.
    seconds: f64,
    /// The part of `seconds` that makes the witness.
    witness_seconds: f64,
    /// The other parts, in order.
    stages: Vec<StageFigure>,
    /// `Groth16::prove`.
    ark_seconds: f64,
    /// The same with matrices and witness given, which `seconds` still has to make.
    ark_cached_seconds: f64,
    /// ark-groth16 ÷ ours.
    ratio_vs_arkworks: f64,
    ratio_vs_arkworks_cached: f64,
    transfers_per_core_second: f64,
    peak_bytes: u64,
    key_bytes: u64,
}

/// Median time of a stage.
#[derive(Serialize)]
struct StageFigure {
    stage: String,
    seconds: f64,
}

/// The median of each stage.
fn stage_medians(all: &[StageTimings]) -> Vec<StageFigure> {
    let first = all.first().map_or(&[][..], StageTimings::stages);
    let median_of = |place: usize| {
        let times = all.iter().filter_map(|one| one.stages().get(place));
        seconds(median(times.map(|(_, time)| *time).collect()))
    };
    let figure = |(place, (stage, _)): (usize, &(Stage, Duration))| StageFigure {
        stage: format!("{stage:?}"),
        seconds: median_of(place),
    };
    first.iter().enumerate().map(figure).collect()
}

/// Measures this prover against ark-groth16.
///
/// # Errors
/// If a proof fails, or the shape is unknown.
pub fn run_prove(settings: &Settings, args: &BenchProveArgs) -> Result<()> {
    let ui = settings.ui;
    let subject = Subject::make(ui, &args.shape)?;
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    crate::interrupt::remove_on_interrupt(folder.path());
    let key_file = folder.path().join("bench.pk");
    subject.key.save(&key_file)?;
    let key_bytes = std::fs::metadata(&key_file)
        .context("cannot read the key's size")?
        .len();
    let peak_bytes = peak_of_child(settings, &args.shape, &key_file)?;
    let task = ui.task("ark-groth16: setup of its own key", None);
    let ark = Ark::setup(&subject.shape)?;
    task.done();
    let task = ui.task("interleaved pairs", Some(args.pairs.into()));
    let [mut ours, mut witnesses, mut theirs, mut cached] = [const { Vec::new() }; 4];
    let mut stages = Vec::new();
    for pair in 0..args.pairs {
        let made = subject.prove()?;
        ours.push(made.whole);
        witnesses.push(made.witness);
        stages.push(made.stages);
        theirs.push(ark.prove(&subject.values)?);
        let assignment = assignment(&subject.values);
        cached.push(ark.prove_cached(&subject.r1cs, &assignment)?);
        task.at(u64::from(pair) + 1);
    }
    task.done();
    let [ours, witness, theirs, cached] = [ours, witnesses, theirs, cached].map(median);
    let figures = ProveFigures {
        shape: args.shape.clone(),
        constraints: subject.r1cs.num_constraints(),
        transfers: subject.shape.transfers,
        threads: rayon::current_num_threads(),
        simd: simd(),
        pairs: args.pairs,
        seconds: seconds(ours),
        witness_seconds: seconds(witness),
        stages: stage_medians(&stages),
        ark_seconds: seconds(theirs),
        ark_cached_seconds: seconds(cached),
        ratio_vs_arkworks: ratio(ours, theirs),
        ratio_vs_arkworks_cached: ratio(ours, cached),
        transfers_per_core_second: {
            let core_seconds = ours.as_secs_f64() * rayon::current_num_threads() as f64;
            (f64::from(subject.shape.transfers) / core_seconds * 1e3).round() / 1e3
        },
        peak_bytes,
        key_bytes,
    };
    let parts: Vec<String> = (figures.stages.iter())
        .map(|part| format!("{} {:.3}", part.stage, part.seconds))
        .collect();
    let text = format!(
        "shape {}: {} constraints, {} transfers, {} threads, {}, medians of {}\n\
         quire                      {:8.3} s   (witness {:.3}, {})\n\
         ark-groth16                {:8.3} s   ratio {:.3}\n\
         ark-groth16, witness given {:8.3} s   ratio {:.3}\n\
         peak memory                {:>10}   key {}",
        figures.shape,
        count(figures.constraints),
        figures.transfers,
        figures.threads,
        figures.simd,
        figures.pairs,
        figures.seconds,
        figures.witness_seconds,
        parts.join(", "),
        figures.ark_seconds,
        figures.ratio_vs_arkworks,
        figures.ark_cached_seconds,
        figures.ratio_vs_arkworks_cached,
        bytes(peak_bytes),
        bytes(key_bytes),
    );
    ui.result(&figures, text)
}

/// Theirs ÷ ours.
fn ratio(ours: Duration, theirs: Duration) -> f64 {
    (1e3 * theirs.as_secs_f64() / ours.as_secs_f64()).round() / 1e3
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Peak memory of a process.
#[derive(Serialize, Deserialize)]
struct Peak {
    peak_bytes: u64,
}

/// Runs `bench peak` in a process of its own.
fn peak_of_child(settings: &Settings, shape: &str, key: &Path) -> Result<u64> {
    let task = settings.ui.task(
        "one proof in a process of its own, for its peak memory",
        None,
    );
    let program = std::env::current_exe().context("cannot find this program")?;
    let threads = rayon::current_num_threads().to_string();
    let output = std::process::Command::new(program)
        .args([
            "bench",
            "peak",
            "--json",
            "--threads",
            &threads,
            "--simd",
            simd(),
            "--shape",
            shape,
            "--key",
        ])
        .arg(key)
        .output()
        .context("cannot start a second process")?;
    task.done();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the second process failed: {error}"
    );
    let peak: Peak = serde_json::from_slice(&output.stdout)
        .context("the second process did not report its peak memory")?;
    Ok(peak.peak_bytes)
}

/// Loads a key, proves once and reports the greatest memory that the process ever had.
///
/// # Errors
/// If the key does not load, the proof fails, or the system does not tell.
pub fn run_peak(settings: &Settings, args: &BenchPeakArgs) -> Result<()> {
    let shape = named(&args.shape)?;
    let r1cs = shapes::compile(&shape)
        .context("cannot compile the circuit")?
        .r1cs;
    let key = ProvingKey::load(&args.key, &r1cs.fingerprint(), AllowDevKeys::Yes)?;
    let values = full_values(&shape)?;
    let assignment = assignment(&values);
    black_box(prove(&key, &r1cs, &assignment, &mut OsRng)?);
    let peak_bytes = peak_memory()?;
    settings.ui.result(&Peak { peak_bytes }, bytes(peak_bytes))
}

/// `VmHWM` of this process.
fn peak_memory() -> Result<u64> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(1024 * kibibytes.with_context(|| format!("{path} does not say VmHWM"))?)
}

/// What `bench verify` measures, in milliseconds.
#[derive(Serialize)]
struct VerifyFigures {
    shape: String,
    public_words: usize,
    data_bytes: usize,
    /// One batch: data decoded, words, challenge and evaluation computed, proof verified.
    milliseconds: f64,
    /// Eight batches, one check of all proofs.
    milliseconds_8: f64,
    /// Sixty-four batches, one check of all proofs.
    milliseconds_64: f64,
}

/// Measures verification of batches with their data.
///
/// # Errors
/// If the shape is unknown or a batch does not verify.
pub fn run_verify(settings: &Settings, args: &BenchVerifyArgs) -> Result<()> {
    let ui = settings.ui;
    let subject = Subject::make(ui, &args.shape)?;
    let words = full_batch(&subject.shape)?.words;
    let proof = subject.prove()?.proof;
    let submission = Submission::new(&words, &subject.shape, &subject.values.c, &proof)?;
    let task = ui.task("verifying", None);
    let one = timed(|| {
        let key = subject.key.verifying_key();
        verify_batch(&submission, &subject.shape, key)
            .map(drop)
            .map_err(Into::into)
    })?;
    let many = [8, 64].map(|batches| timed(|| verify_copies(&subject, &submission, batches)));
    task.done();
    let [eight, sixty_four] = many;
    let figures = VerifyFigures {
        shape: args.shape.clone(),
        public_words: subject.shape.word_count(),
        data_bytes: submission.data.len(),
        milliseconds: milliseconds(one),
        milliseconds_8: milliseconds(eight?),
        milliseconds_64: milliseconds(sixty_four?),
    };
    let text = format!(
        "shape {}: {} words, {} of data\n 1 batch   {:8.2} ms\n 8 batches {:8.2} ms\n64 batches {:8.2} ms",
        figures.shape,
        figures.public_words,
        bytes(figures.data_bytes as u64),
        figures.milliseconds,
        figures.milliseconds_8,
        figures.milliseconds_64
    );
    ui.result(&figures, text)
}

/// Verifies a batch several times over, its proofs in one check.
fn verify_copies(subject: &Subject, submission: &Submission, batches: usize) -> Result<()> {
    let mut proofs = Vec::with_capacity(batches);
    for _ in 0..batches {
        let words = ledger::words::PublicWords::from_bytes(&submission.data, &subject.shape)?;
        let words = words.encode(&subject.shape)?;
        let c = ledger::field::from_be_bytes(&submission.c)?;
        let z = challenge(&c, &words);
        let inputs = [c, z, evaluation(&words, &z)];
        proofs.push((inputs, Proof::from_bytes(&submission.proof)?));
    }
    Ok(verify_many(subject.key.verifying_key(), &proofs)?)
}

fn timed(mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::with_capacity(VERIFICATIONS);
    for _ in 0..VERIFICATIONS {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed());
    }
    Ok(median(times))
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 1e2
}

/// What `bench keyload` measures.
#[derive(Serialize)]
struct KeyFigures {
    shape: String,
    key_bytes: u64,
    seconds: f64,
}

/// Measures loading a proving key from a warm cache, checksum included.
///
/// # Errors
/// If the shape is unknown or the key cannot be made or loaded.
pub fn run_keyload(settings: &Settings, args: &BenchKeyArgs) -> Result<()> {
    let ui = settings.ui;
    let shape = named(&args.shape)?;
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    crate::interrupt::remove_on_interrupt(folder.path());
    let kept = settings.keys_dir.join(format!("{}.pk", args.shape));
    let task = ui.task(format!("circuit of shape {}", args.shape), None);
    let r1cs = shapes::compile(&shape)
        .context("cannot compile the circuit")?
        .r1cs;
    let path = if kept.exists() {
        kept
    } else {
        task.doing(format!("a key for shape {}", args.shape));
        let path = folder.path().join("bench.pk");
        setup_insecure_dev(&r1cs, &args.shape, b"", SEED)?.save(&path)?;
        path
    };
    task.doing("loading the key");
    let fingerprint = r1cs.fingerprint();
    let mut times = Vec::with_capacity(LOADS);
    for load in 0..=LOADS {
        let started = Instant::now();
        black_box(ProvingKey::load(&path, &fingerprint, AllowDevKeys::Yes)?);
        if load > 0 {
            times.push(started.elapsed());
        }
    }
    task.done();
    let figures = KeyFigures {
        shape: args.shape.clone(),
        key_bytes: std::fs::metadata(&path)
            .context("cannot read the key's size")?
            .len(),
        seconds: seconds(median(times)),
    };
    let text = format!(
        "shape {}: {} in {:.3} s",
        figures.shape,
        bytes(figures.key_bytes),
        figures.seconds
    );
    ui.result(&figures, text)
}
