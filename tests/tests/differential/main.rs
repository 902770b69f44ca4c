//! Random operations, good and bad, through four implementations of what they mean: a naive model,
//! the native transition, the circuit, and a restore from published bytes alone.
//!
//! ```sh
//! cargo test --release -p tests --test differential                    # 1,000 steps
//! STEPS=100000 cargo test --release -p tests --test differential -- --nocapture
//! QUIRE_SEED=N STEPS=1 cargo test --release -p tests --test differential   # the trace of seed N
//! ```
//!
//! A failure prints the seed of its trace and the fewest steps that still fail. For every step: the
//! ledger accepts exactly what the model accepts, and names a rule that the model finds broken; a
//! refusal leaves no trace; a rejected operation, forced into a witness, does not satisfy the
//! circuit, and an accepted one does. For every batch: balances, nonces, payouts, roots and trees
//! are the same everywhere, each token is conserved, only named leaves change, and the circuit is
//! satisfied with the public inputs that L1 computes from the published bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod forge;
mod generator;
mod model;
mod run;
mod step;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use generator::Generator;
use model::Planted;
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use prover::verify::verify;
use rand::rngs::OsRng;
use rayon::prelude::*;
use run::{Counts, Provable, Run, Through, Verdict};
use step::{Begin, Step};

/// Steps of a trace.
const TRACE: u64 = 64;
/// Steps when `STEPS` does not say.
const DEFAULT_STEPS: u64 = 1_000;
/// First seed when `QUIRE_SEED` does not say.
const DEFAULT_SEED: u64 = 0;
/// How long a failing trace is shortened.
const SHRINKING: Duration = Duration::from_secs(60);

/// What a trace that agreed everywhere leaves.
struct Explored {
    steps: u64,
    counts: Counts,
    provable: Option<Provable>,
}

/// A trace that did not.
struct Failure {
    seed: u64,
    reason: String,
    first: Begin,
    steps: Vec<Step>,
}

/// A disagreement or a panic.
fn guarded(run: impl FnOnce() -> Verdict) -> Verdict {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Makes and runs the trace of a seed.
fn explore(seed: u64, planted: Planted, through: Through) -> Result<Explored, Box<Failure>> {
    let world = world::of_seed(seed);
    let genesis = world::genesis(seed);
    let mut generator = Generator::new(world, seed);
    let first = generator.begin();
    let mut run = Run::new(world, &genesis, &first, (planted, through));
    let mut steps = Vec::new();
    let verdict = guarded(|| {
        for _ in 0..TRACE {
            let step = generator.step(&run.model);
            steps.push(step.clone());
            run.step(&step)?;
        }
        run.close(&first)
    });
    match verdict {
        Ok(()) => Ok(Explored {
            steps: TRACE,
            counts: run.counts,
            provable: run.provable,
        }),
        Err(reason) => Err(Box::new(shorten(
            Failure {
                seed,
                reason,
                first,
                steps,
            },
            (planted, through),
        ))),
    }
}

/// Why a list of steps fails, if it does.
fn failure(seed: u64, first: &Begin, steps: &[Step], how: (Planted, Through)) -> Option<String> {
    let (world, genesis) = (world::of_seed(seed), world::genesis(seed));
    let verdict = guarded(|| {
        let mut run = Run::new(world, &genesis, first, how);
        for step in steps {
            run.step(step)?;
        }
        run.close(first)
    });
    verdict.err()
}

/// What a reason is about: shortening must not stray to another failure.
fn kind(reason: &str) -> &str {
    reason.split([':', '{']).next().unwrap_or(reason)
}

/// Leaves out steps, many at a time and then fewer, as long as what is left still fails.
///
/// Why: without the circuit a run takes milliseconds, so the circuit is left out if it has no part
/// in the failure.
fn shorten(mut failing: Failure, (planted, through): (Planted, Through)) -> Failure {
    let begin = Instant::now();
    let Failure {
        seed, first, steps, ..
    } = &failing;
    let short = failure(*seed, first, steps, (planted, Through::Ledger));
    let same = short.is_some_and(|reason| kind(&reason) == kind(&failing.reason));
    let through = if same { Through::Ledger } else { through };
    let mut size = failing.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < failing.steps.len() && begin.elapsed() < SHRINKING {
            let mut fewer = failing.steps.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            match failure(failing.seed, &failing.first, &fewer, (planted, through)) {
                Some(reason) if kind(&reason) == kind(&failing.reason) => {
                    (failing.steps, failing.reason) = (fewer, reason);
                }
                _ => at += size,
            }
        }
        size /= 2;
    }
    failing
}

impl Failure {
    fn describe(&self) -> String {
        let Self {
            seed,
            reason,
            first,
            steps,
        } = self;
        let list: String = steps
            .iter()
            .enumerate()
            .map(|(place, step)| format!("\n  {place}: {step:?}"))
            .collect();
        format!(
            "{reason}\nreproduce with QUIRE_SEED={seed} STEPS=1\nfewest steps, after {first:?}:{list}"
        )
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

/// Runs traces until there were `steps` steps, from seed `first` on.
fn explore_many(first: u64, steps: u64) -> Counts {
    world::compile_all();
    let (begin, done) = (Instant::now(), AtomicU64::new(0));
    let traces: Result<Vec<Counts>, Box<Failure>> = (first..first + steps.div_ceil(TRACE))
        .into_par_iter()
        .map(|seed| {
            let explored = explore(seed, Planted::Nothing, Through::Everything)?;
            let before = done.fetch_add(explored.steps, Ordering::Relaxed);
            let now = before + explored.steps;
            if now / 5_000 > before / 5_000 {
                println!(
                    "{now} of {steps} steps, {:.0} s",
                    begin.elapsed().as_secs_f64()
                );
            }
            Ok(explored.counts)
        })
        .collect();
    let traces = traces.unwrap_or_else(|failure| panic!("{}", failure.describe()));
    let mut counts = Counts::new();
    for (what, count) in traces.into_iter().flatten() {
        *counts.entry(what).or_default() += count;
    }
    counts
}

/// What must have happened for the test to mean something.
const EXPECTED: [&str; 40] = [
    "authorised under another key",
    "batches of shape 1",
    "batches of shape 16",
    "batches of shape 17",
    "batches of shape 60",
    "batches of shape 61",
    "batches of shape 62",
    "batches of shape 63",
    "batches of shape 64",
    "batches of shape 65",
    "empty batches",
    "executed: create",
    "executed: forced exit",
    "executed: top-up",
    "executed: transfer",
    "executed: withdraw",
    "forced: accepted",
    "forced: field_in_range",
    "forced: index_in_range",
    "forced: nonce_has_successor",
    "forced: nonce_is_next",
    "forced: not_expired",
    "forced: receiver_exists",
    "forced: same_token",
    "forced: sender_can_pay",
    "forced: sender_exists",
    "forced: signature_is_valid",
    "overlap: receiver is fee account",
    "overlap: self-transfer",
    "overlap: sender created in this batch",
    "overlap: sender is fee account",
    "overlap: sender topped up and exited in this batch",
    "refused: fee_account_exists",
    "refused: fee_slot_is_left",
    "refused: l1_balance_in_range",
    "refused: l1_leaf_exists",
    "refused: l1_leaf_was_empty",
    "refused: order_is_kept",
    "refused: receiver_balance_in_range",
    "refused: slots_are_left",
];

#[test]
fn native_circuit_restore_and_model_agree() {
    let seed = number("QUIRE_SEED");
    let steps = number("STEPS").unwrap_or(DEFAULT_STEPS);
    let counts = explore_many(seed.unwrap_or(DEFAULT_SEED), steps);
    for (what, count) in &counts {
        println!("{count:8} {what}");
    }
    if seed.is_none() && steps >= DEFAULT_STEPS {
        let missing: Vec<&str> = EXPECTED
            .into_iter()
            .filter(|what| !counts.contains_key(*what))
            .collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

/// A batch of the shape `tiny` out of a random trace is proven and verified for real.
#[test]
fn a_random_batch_is_proven() {
    world::compile_all();
    let first = number("QUIRE_SEED").unwrap_or(DEFAULT_SEED);
    let tiny = circuits::shapes::by_name("tiny").unwrap();
    let provable = (first..first + 160)
        .filter(|seed| world::of_seed(*seed).shapes.contains(&tiny))
        .filter_map(|seed| {
            let explored = explore(seed, Planted::Nothing, Through::Batches);
            let explored = explored.unwrap_or_else(|failure| panic!("{}", failure.describe()));
            explored.provable
        })
        .find(|provable| provable.shape == tiny)
        .expect("some trace ends with a transfer in a tiny batch");
    let Provable {
        shape: _,
        assignment,
        public_inputs,
    } = provable;
    let r1cs = &world::compiled(&tiny).r1cs;
    let key = setup_insecure_dev(r1cs, "tiny", &[], 1).unwrap();
    let proof = prove(&key, r1cs, &assignment, &mut OsRng).unwrap();
    verify(key.verifying_key(), &public_inputs, &proof).unwrap();
    let mut other = public_inputs;
    other[2] += other[1];
    verify(key.verifying_key(), &other, &proof).unwrap_err();
}

/// The comparison notices a wrong rule, and its traces are short.
#[test]
fn planted_faults_are_found_and_their_traces_are_short() {
    world::compile_all();
    let faults = BTreeMap::from([
        ("self-transfer", Planted::SelfTransferMints),
        ("last nonce", Planted::NonceWraps),
    ]);
    for (name, planted) in faults {
        let found = (0..40).find_map(|seed| explore(seed, planted, Through::Ledger).err());
        let failure = found.unwrap_or_else(|| panic!("{name}: not found"));
        let steps = failure.steps.len();
        assert!((1..=8).contains(&steps), "{name}: {}", failure.describe());
    }
}
