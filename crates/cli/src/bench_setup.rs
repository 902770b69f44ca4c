//! `quire bench setup | schedule`: making keys beside ark-groth16, and many proofs in every way.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use circuits::shapes;
use circuits::transition::assignment;
use measuring::groth16::setup_time;
use measuring::primitives::simd;
use measuring::sample::full_values;
use prover::prove::ProveError;
use prover::schedule::{Follow, ManyError, Plan, prove_many};
use prover::setup::{setup, setup_insecure_dev};
use serde::Serialize;

use crate::args::{BenchScheduleArgs, BenchSetupArgs};
use crate::pipeline::memory;
use crate::settings::Settings;
use crate::ui::{seconds, table};
use rollup::shape::named;
use rollup::text::count;

/// What `bench setup` measures; times are medians in seconds.
#[derive(Serialize)]
struct SetupFigures {
    shape: String,
    constraints: usize,
    threads: usize,
    simd: &'static str,
    pairs: u16,
    /// From the circuit to the key, matrices included.
    seconds: f64,
    /// The part of `seconds` that makes the matrices.
    compile_seconds: f64,
    /// `Groth16::circuit_specific_setup`, from the circuit too.
    ark_seconds: f64,
    /// ark-groth16 ÷ ours.
    ratio: f64,
}

/// Measures setups from circuit to key, in interleaved pairs.
///
/// # Errors
/// If the shape is unknown or a setup fails.
pub fn run_setup(settings: &Settings, args: &BenchSetupArgs) -> Result<()> {
    let shape = named(&args.shape)?;
    let task = settings.ui.task(
        format!("setups of shape {}", args.shape),
        Some(args.pairs.into()),
    );
    let [mut ours, mut compiling, mut theirs] = [const { Vec::new() }; 3];
    let mut constraints = 0;
    for pair in 0..args.pairs {
        let started = Instant::now();
        let r1cs = shapes::compile(&shape)
            .context("cannot compile the circuit")?
            .r1cs;
        compiling.push(started.elapsed().as_secs_f64());
        black_box(setup(&r1cs, "", b"")?);
        ours.push(started.elapsed().as_secs_f64());
        constraints = r1cs.num_constraints();
        drop(r1cs);
        theirs.push(setup_time(&shape)?.as_secs_f64());
        task.at(u64::from(pair) + 1);
    }
    task.done();
    let [ours, compiling, theirs] = [ours, compiling, theirs].map(median);
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let figures = SetupFigures {
        shape: args.shape.clone(),
        constraints,
        threads: rayon::current_num_threads(),
        simd: simd(),
        pairs: args.pairs,
        seconds: rounded(ours),
        compile_seconds: rounded(compiling),
        ark_seconds: rounded(theirs),
        ratio: rounded(theirs / ours),
    };
    let text = format!(
        "shape {}: {} constraints, {} threads, {}, medians of {}\n\
         quire       {:8.2} s   (matrices {:.2} s of it)\n\
         ark-groth16 {:8.2} s   ratio {:.2}",
        figures.shape,
        count(constraints),
        figures.threads,
        figures.simd,
        figures.pairs,
        figures.seconds,
        figures.compile_seconds,
        figures.ark_seconds,
        figures.ratio,
    );
    settings.ui.result(&figures, text)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// One way to make the proofs.
#[derive(Serialize)]
struct WayFigures {
    side_by_side: usize,
    ahead: bool,
    chosen: bool,
    memory_bytes: usize,
    /// Median time for all proofs.
    seconds: f64,
    proofs_per_second: f64,
}

/// What `bench schedule` measures.
#[derive(Serialize)]
struct ScheduleFigures {
    shape: String,
    threads: usize,
    simd: &'static str,
    proofs: u16,
    rounds: u16,
    ways: Vec<WayFigures>,
}

/// Makes some proofs in every way that fits the memory bound, ways interleaved.
///
/// # Errors
/// If the shape is unknown, the bound too small, or a proof fails.
pub fn run_schedule(settings: &Settings, args: &BenchScheduleArgs) -> Result<()> {
    let shape = named(&args.shape)?;
    let task = settings.ui.task(
        format!("shape {}: circuit, key and a full batch", args.shape),
        Some(args.rounds.into()),
    );
    let r1cs = shapes::compile(&shape)
        .context("cannot compile the circuit")?
        .r1cs;
    let key = setup_insecure_dev(&r1cs, &args.shape, b"", 1)?;
    let values = full_values(&shape)?;
    let plan = Plan::new(&key, args.proofs.into(), memory(&settings.memory)?)?;
    settings.ui.note(plan.explain().trim_end());
    let ways: Vec<_> = plan.considered.iter().filter(|way| way.fits).collect();
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..args.rounds {
        task.doing(format!("round {}", round + 1));
        for (way, times) in ways.iter().zip(&mut times) {
            let plan = Plan {
                way: **way,
                ..plan.clone()
            };
            let started = Instant::now();
            let made = prove_many::<ProveError>(
                (&key, &r1cs),
                &plan,
                |_| Ok(assignment(&values)),
                Follow::default(),
                |_, proof| {
                    black_box(proof);
                    Ok(())
                },
            );
            made.map_err(|error| match error {
                ManyError::Prove { source, .. } | ManyError::Caller(source) => source,
            })?;
            times.push(started.elapsed().as_secs_f64());
        }
        task.at(u64::from(round) + 1);
    }
    task.done();
    let ways = ways.into_iter().zip(times).map(|(way, times)| {
        let time = median(times);
        WayFigures {
            side_by_side: way.side_by_side,
            ahead: way.ahead,
            chosen: *way == plan.way,
            memory_bytes: way.bytes,
            seconds: seconds(std::time::Duration::from_secs_f64(time)),
            proofs_per_second: (f64::from(args.proofs) / time * 1e3).round() / 1e3,
        }
    });
    let figures = ScheduleFigures {
        shape: args.shape.clone(),
        threads: rayon::current_num_threads(),
        simd: simd(),
        proofs: args.proofs,
        rounds: args.rounds,
        ways: ways.collect(),
    };
    let heading = ["side by side", "ahead", "chosen", "s", "proofs/s"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(figures.ways.iter().map(|way| {
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        vec![
            way.side_by_side.to_string(),
            yes(way.ahead),
            yes(way.chosen),
            format!("{:.2}", way.seconds),
            format!("{:.3}", way.proofs_per_second),
        ]
    }));
    settings.ui.result(&figures, table(&rows))
}
