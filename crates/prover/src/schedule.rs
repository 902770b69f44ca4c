//! Several proofs side by side under a memory bound.
//!
//! A single proof leaves threads idle where its stages are narrow, so small proofs finish sooner
//! together than one after the other. How many run at once is decided beforehand from an estimate of
//! what one proof needs besides its key.
//!
//! Invariant: at no time do more proofs run than fit the bound by that estimate, and results are in
//! the order of the jobs. Which jobs exist, and what becomes of the proofs, is left to the caller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ark_bn254::Fr;
use circuits::r1cs::R1cs;
use rand::rngs::OsRng;

use crate::key::ProvingKey;
use crate::proof::Proof;
use crate::prove::{ProveError, prove};

/// Bytes of a scalar, recoded for multiplication.
const TERM_BYTES: usize = 40;
/// Bytes of a field element.
const ELEMENT_BYTES: usize = 32;
/// Bytes that one thread needs for the buckets of a window and the points of a part, in G2.
const THREAD_BYTES: usize = 24 << 20;

/// One proof to make.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Key of the circuit.
    pub key: &'a ProvingKey,
    /// The circuit.
    pub r1cs: &'a R1cs,
    /// Its assignment, instance first.
    pub assignment: &'a [Fr],
}

/// Why no proof was started.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Not even one proof fits.
    #[error(
        "one proof needs about {needed} bytes besides its key, the limit is {limit}; raise the limit or take a smaller shape"
    )]
    MemoryLimit {
        /// Estimate for the largest job.
        needed: usize,
        /// The bound given.
        limit: usize,
    },
}

/// Estimate of the memory in bytes that a proof needs at its peak, besides key, circuit and
/// assignment: three vectors and two tables over the domain, or one vector with recoded scalars.
pub fn bytes_per_proof(key: &ProvingKey) -> usize {
    let domain = key.domain_size();
    let transforms = 5 * domain * ELEMENT_BYTES;
    let multiplication = domain.max(key.num_variables()) * (ELEMENT_BYTES + 2 * TERM_BYTES);
    transforms.max(multiplication) + rayon::current_num_threads() * THREAD_BYTES
}

/// How many of the jobs may run at once within `memory_limit_bytes`.
///
/// # Errors
/// [`ScheduleError::MemoryLimit`] when the largest job alone exceeds the limit.
pub fn width(jobs: &[Job<'_>], memory_limit_bytes: usize) -> Result<usize, ScheduleError> {
    let needed = jobs
        .iter()
        .map(|job| bytes_per_proof(job.key))
        .max()
        .unwrap_or(0);
    if needed > memory_limit_bytes {
        return Err(ScheduleError::MemoryLimit {
            needed,
            limit: memory_limit_bytes,
        });
    }
    let fitting = memory_limit_bytes.checked_div(needed).unwrap_or(1);
    Ok(fitting
        .min(jobs.len())
        .min(rayon::current_num_threads())
        .max(1))
}

/// Makes all proofs, as many at once as [`width`] allows; all of them share the threads of the
/// global pool. Blinding comes from the operating system.
///
/// # Errors
/// [`ScheduleError`] before anything starts; each job's own outcome is in the list, in order.
pub fn prove_many(
    jobs: &[Job<'_>],
    memory_limit_bytes: usize,
) -> Result<Vec<Result<Proof, ProveError>>, ScheduleError> {
    let lanes = width(jobs, memory_limit_bytes)?;
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Proof, ProveError>>>> =
        jobs.iter().map(|_| Mutex::new(None)).collect();
    let lane = || {
        while let Some((job, place)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            jobs.get(index).zip(results.get(index))
        } {
            let result = prove(job.key, job.r1cs, job.assignment, &mut OsRng);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    // Why threads and not tasks of the pool: a task that waits may pick up another proof, and more
    // than `lanes` would be under way.
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(lane);
        }
    });
    let taken = results
        .into_iter()
        .map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(taken
        .map(|result| result.expect("every job was taken by a lane"))
        .collect())
}
