//! Groth16 proofs from a key, a constraint system and an assignment.
//!
//! With `w` the assignment, `r, s` random and the quotient values of `qap`:
//! `A = α + Σ wᵢAᵢ + rδ`, `B = β + Σ wᵢBᵢ + sδ`, `C = Σ wᵢLᵢ + Σ Pᵢ·Hᵢ + sA + rB₁ - rsδ`
//! (ePrint 2016/260, section 3.2).
//!
//! Invariant: a proof that is returned has been verified against the key's own verifying key, for
//! the public inputs of the assignment. So neither an assignment that violates a constraint, nor a
//! damaged key, nor a fault of the machine gives a bad proof: each is an error.
//! Making the assignment, and choosing which proofs run when, is left to others.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, UniformRand};
use ark_poly::Radix2EvaluationDomain;
use msm::Stop;
use r1cs::R1cs;
use rand::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::key::{KeyError, ProvingKey};
use crate::proof::{DecodeError, Proof};
use crate::qap;
use crate::verify::{VerifyError, verify};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The key belongs to another circuit.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The assignment has another length than the circuit has variables.
    #[error("the circuit has {expected} variables, the assignment has {got}")]
    AssignmentLength {
        /// Variables of the circuit.
        expected: usize,
        /// Length of the assignment.
        got: usize,
    },
    /// The first value of the assignment is not the constant 1.
    #[error("the first value of an assignment is the constant 1, got {got}")]
    NotOne {
        /// The first value of the assignment.
        got: String,
    },
    /// The key's parts do not have the sizes that the circuit asks for.
    #[error("the key's {what} has {got} points, the circuit needs {expected}; repeat the setup")]
    KeySize {
        /// Part of the key.
        what: &'static str,
        /// Number of points that the circuit needs.
        expected: usize,
        /// Number of points that the key has.
        got: usize,
    },
    /// The assignment violates a constraint.
    #[error("the assignment violates constraint {row}")]
    Unsatisfied {
        /// The first violated row.
        row: usize,
    },
    /// The assignment is good and the proof is not: the key is damaged or inconsistent.
    #[error(
        "the proof of a satisfied circuit does not verify ({0}): the key is inconsistent; repeat the setup"
    )]
    SelfCheck(VerifyError),
    /// A point of the proof cannot be encoded, which no honest key causes.
    #[error("the proof has an unusable point ({0}): the key is inconsistent; repeat the setup")]
    Point(#[from] DecodeError),
    /// The caller asked to stop.
    #[error(
        "proving was cancelled before the end of stage {stage:?}; nothing of the proof is kept"
    )]
    Cancelled {
        /// The stage that was not finished.
        stage: Stage,
    },
}

/// The stages of a proof, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Products of the matrices A and B with the assignment.
    Rows,
    /// Fourier transforms of the quotient.
    Quotient,
    /// Multiplication with the H query.
    H,
    /// Multiplication with the L and the A query, which have most scalars in common.
    LAndA,
    /// Multiplication with the B query in G1 and G2.
    B,
    /// Verification of the finished proof.
    SelfCheck,
}

/// Number of stages.
const STAGES: usize = 6;

/// Time spent in each stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageTimings(Vec<(Stage, Duration)>);

impl StageTimings {
    /// Stages with their durations, in order.
    pub fn stages(&self) -> &[(Stage, Duration)] {
        &self.0
    }

    /// Sum over all stages.
    pub fn total(&self) -> Duration {
        self.0.iter().map(|(_, duration)| *duration).sum()
    }
}

/// A proof and how long its stages took.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The proof, which was verified under the key.
    pub proof: Proof,
    /// Duration of each stage.
    pub timings: StageTimings,
}

/// How a caller follows and stops a proof.
#[derive(Clone, Copy, Default)]
pub struct Watch<'a> {
    /// Called as each stage begins.
    pub on_stage: Option<&'a (dyn Fn(Stage) + Sync)>,
    /// Proving stops once this is true: before the next stage, and within sums and transforms.
    pub cancel: Option<&'a AtomicBool>,
}

/// Proves that `assignment` (instance first, `assignment[0] = 1`) satisfies `r1cs`.
///
/// `rng` blinds the proof; pass the operating system's.
///
/// # Errors
/// [`ProveError`]; [`ProveError::Unsatisfied`] names the first violated constraint.
pub fn prove(
    key: &ProvingKey,
    r1cs: &R1cs,
    assignment: &[Fr],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Proof, ProveError> {
    prove_watched(key, r1cs, assignment, rng, Watch::default()).map(|proved| proved.proof)
}

/// [`prove`], reporting stages and their durations, and stopping when asked to.
///
/// # Errors
/// As [`prove`], and [`ProveError::Cancelled`].
pub fn prove_watched(
    key: &ProvingKey,
    r1cs: &R1cs,
    assignment: &[Fr],
    rng: &mut (impl RngCore + CryptoRng),
    watch: Watch<'_>,
) -> Result<Proved, ProveError> {
    let mut clock = Clock::new(watch);
    let products = Products::of(key, r1cs, assignment, &mut clock)?;
    finish(key, r1cs, assignment, products, rng, clock)
}

/// The first stage of a proof: `A_i·w` and `B_i·w`, for an assignment that fits the key.
pub(crate) struct Products {
    a: Vec<Fr>,
    b: Vec<Fr>,
}

impl Products {
    pub(crate) fn of(
        key: &ProvingKey,
        r1cs: &R1cs,
        assignment: &[Fr],
        clock: &mut Clock<'_>,
    ) -> Result<Self, ProveError> {
        let domain = check_fit(key, r1cs, assignment)?;
        let (a, b) = clock.run(Stage::Rows, || {
            Some(qap::row_products(r1cs, assignment, &domain))
        })?;
        Ok(Self { a, b })
    }
}

/// All stages after the first.
pub(crate) fn finish(
    key: &ProvingKey,
    r1cs: &R1cs,
    assignment: &[Fr],
    products: Products,
    rng: &mut (impl RngCore + CryptoRng),
    mut clock: Clock<'_>,
) -> Result<Proved, ProveError> {
    let blinding = Zeroizing::new([Fr::rand(rng), Fr::rand(rng)]);
    let sums = Sums::compute(key, r1cs, assignment, products, &mut clock)?;
    let proof = sums.blind(key, &blinding)?;
    let inputs = &assignment[1..r1cs.num_instance()];
    clock.run(Stage::SelfCheck, || {
        Some(self_check(key, r1cs, assignment, inputs, &proof))
    })??;
    Ok(Proved {
        proof,
        timings: clock.timings,
    })
}

fn self_check(
    key: &ProvingKey,
    r1cs: &R1cs,
    assignment: &[Fr],
    inputs: &[Fr],
    proof: &Proof,
) -> Result<(), ProveError> {
    verify(key.verifying_key(), inputs, proof).map_err(|error| {
        match r1cs.is_satisfied(assignment) {
            Err(row) => ProveError::Unsatisfied { row },
            Ok(()) => ProveError::SelfCheck(error),
        }
    })
}

/// The domain of a circuit whose key and assignment these are.
fn check_fit(
    key: &ProvingKey,
    r1cs: &R1cs,
    assignment: &[Fr],
) -> Result<Radix2EvaluationDomain<Fr>, ProveError> {
    key.check_circuit(&r1cs.fingerprint())?;
    let (expected, got) = (r1cs.num_variables(), assignment.len());
    if expected != got {
        return Err(ProveError::AssignmentLength { expected, got });
    }
    if assignment[0] != Fr::ONE {
        return Err(ProveError::NotOne {
            got: assignment[0].to_string(),
        });
    }
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let domain_size = rows.next_power_of_two().max(2);
    let sizes = [
        ("H query", domain_size, key.h.len()),
        ("L query", r1cs.num_witness(), key.l.len()),
        (
            "input combination",
            r1cs.num_instance(),
            key.verifying_key().num_inputs() + 1,
        ),
        ("variable count", r1cs.num_variables(), key.num_variables),
    ];
    match sizes.into_iter().find(|(_, expected, got)| expected != got) {
        Some((what, expected, got)) => Err(ProveError::KeySize {
            what,
            expected,
            got,
        }),
        None => qap::domain_of(r1cs).ok_or(ProveError::KeySize {
            what: "H query",
            expected: domain_size,
            got: key.h.len(),
        }),
    }
}

/// Times stages, announces them and checks for cancellation.
pub(crate) struct Clock<'a> {
    watch: Watch<'a>,
    timings: StageTimings,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(watch: Watch<'a>) -> Self {
        Self {
            watch,
            timings: StageTimings(Vec::with_capacity(STAGES)),
        }
    }

    fn stop(&self) -> Stop<'a> {
        Stop(self.watch.cancel)
    }

    /// Does a stage, which gives nothing if it was cancelled.
    fn run<T>(&mut self, stage: Stage, work: impl FnOnce() -> Option<T>) -> Result<T, ProveError> {
        let cancelled = ProveError::Cancelled { stage };
        if self.stop().is_wanted() {
            return Err(cancelled);
        }
        if let Some(on_stage) = self.watch.on_stage {
            on_stage(stage);
        }
        let start = Instant::now();
        let result = work();
        self.timings.0.push((stage, start.elapsed()));
        result.ok_or(cancelled)
    }
}

/// The sums over the L and the A query: together for witness variables that occur in A.
fn l_and_a(
    key: &ProvingKey,
    r1cs: &R1cs,
    assignment: &[Fr],
    stop: Stop<'_>,
) -> Option<(G1Projective, G1Projective)> {
    let (instance, variables) = (r1cs.num_instance(), &key.a.variables);
    let in_instance = variables.partition_point(|variable| (*variable as usize) < instance);
    let (before, common) = variables.split_at(in_instance);
    let mut missing = vec![true; key.l.len()];
    let mut places = Vec::with_capacity(common.len());
    for variable in common {
        let place = *variable as usize - instance;
        missing[place] = false;
        places.push(u32::try_from(place).ok()?);
    }
    let others: Vec<u32> = (0..)
        .zip(missing)
        .filter_map(|(place, missing)| missing.then_some(place))
        .collect();
    let witness = &assignment[instance..];
    let (l, a) = key.l.at(&places).sum_with(
        &key.a.points.range(in_instance..variables.len()),
        stop,
        |i| witness[places[i] as usize],
    )?;
    let rest_of_l = key
        .l
        .at(&others)
        .sum(stop, |i| witness[others[i] as usize])?;
    let rest_of_a = key
        .a
        .points
        .range(0..in_instance)
        .sum(stop, |i| assignment[before[i] as usize])?;
    Some((l + rest_of_l, a + rest_of_a))
}

/// The scalar sums.
struct Sums {
    h: G1Projective,
    l: G1Projective,
    a: G1Projective,
    b_g1: G1Projective,
    b_g2: G2Projective,
}

impl Sums {
    /// One sum after the other: each uses all threads, and the quotient is gone before the others
    /// need memory.
    fn compute(
        key: &ProvingKey,
        r1cs: &R1cs,
        assignment: &[Fr],
        products: Products,
        clock: &mut Clock<'_>,
    ) -> Result<Self, ProveError> {
        let stop = clock.stop();
        let Products { a, b } = products;
        let quotient = clock.run(Stage::Quotient, || qap::quotient(stop, a, b))?;
        let h = clock.run(Stage::H, || key.h.sum(stop, |i| quotient[i]))?;
        drop(quotient);
        let (l, a) = clock.run(Stage::LAndA, || l_and_a(key, r1cs, assignment, stop))?;
        let b = &key.b.variables;
        let (b_g1, b_g2) = clock.run(Stage::B, || {
            let (first, second) = (key.b.points.all(), key.b_g2.all());
            first.sum_with(&second, stop, |i| assignment[b[i] as usize])
        })?;
        Ok(Self {
            h,
            l,
            a,
            b_g1,
            b_g2,
        })
    }

    fn blind(self, key: &ProvingKey, blinding: &[Fr; 2]) -> Result<Proof, DecodeError> {
        let [r, s] = blinding;
        let ark = key.verifying_key().ark();
        let a = self.a + ark.alpha_g1 + key.delta_g1 * r;
        let b_g1 = self.b_g1 + key.beta_g1 + key.delta_g1 * s;
        let b = self.b_g2 + ark.beta_g2 + ark.delta_g2.into_group() * s;
        let c = self.l + self.h + a * s + b_g1 * r - key.delta_g1 * (*r * s);
        Proof::new(a.into_affine(), b.into_affine(), c.into_affine())
    }
}
