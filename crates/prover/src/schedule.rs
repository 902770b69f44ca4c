//! Many proofs under one key: how many at once, and what overlaps what.
//!
//! One proof on all threads leaves some of them idle where a stage is narrow or ends unevenly. Two
//! remedies cost memory: whole proofs side by side, which share the threads of the pool and fill one
//! another's gaps, and, with one proof at a time, making the next one's witness and matrix products
//! meanwhile. [`Plan::new`] chooses before anything starts, from an estimate of what each takes.
//!
//! Invariant: at no time is more under way than fits the bound by that estimate, and proofs are handed
//! over in order. What is proven, and what becomes of the proofs, is left to the caller.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use ark_bn254::Fr;
use r1cs::R1cs;
use rand::rngs::OsRng;

use crate::key::ProvingKey;
use crate::proof::Proof;
use crate::prove::{Clock, Products, ProveError, Stage, Watch, finish};

/// Bytes of a field element.
const ELEMENT_BYTES: usize = 32;
/// Bytes of a scalar's digits and reference.
const DIGITS_BYTES: usize = 42;
/// Scalars whose digits exist at once.
const DIGITS_AT_ONCE: usize = 1 << 20;
/// Bytes of the buckets of all windows and of the space to fill them.
const BUCKETS_BYTES: usize = 96 << 20;
/// Share of a proof's work, witness and matrix products left out, that one thread does while the
/// others wait. Assumed, as the two below; `quire bench schedule` measures what comes of it.
const NARROW_PROOF: f64 = 0.04;
/// Share of a proof's work that is making the witness and the matrix products.
const BEFORE_SUMS: f64 = 0.06;
/// The part of [`BEFORE_SUMS`] that one thread does while the others wait.
const NARROW_WITNESS: f64 = 0.02;

/// Why no proof was started.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Not even one proof fits.
    #[error(
        "one proof needs about {needed} bytes besides its key, the limit is {limit}; raise the limit or take a smaller shape"
    )]
    MemoryLimit {
        /// Estimate for one proof.
        needed: usize,
        /// The bound on memory that was given, in bytes.
        limit: usize,
    },
}

/// Why not all proofs were made and handed over.
#[derive(Debug, thiserror::Error)]
pub enum ManyError<E> {
    /// There is no proof.
    #[error("proof {index}: {source}")]
    Prove {
        /// Which one, from 0.
        index: usize,
        /// Why the proof could not be made.
        source: ProveError,
    },
    /// The caller's part failed: a witness, or taking over a proof.
    #[error("{0}")]
    Caller(E),
}

/// Estimate of the memory in bytes that a proof needs at its peak besides key and circuit.
pub fn bytes_per_proof(key: &ProvingKey) -> usize {
    bytes_for(key.domain_size(), key.num_variables())
}

/// [`bytes_per_proof`] from sizes alone: the assignment, and three vectors and two tables over the domain
/// or one vector, its digits and buckets.
pub fn bytes_for(domain: usize, variables: usize) -> usize {
    let transforms = 5 * domain * ELEMENT_BYTES;
    let largest = domain.max(variables);
    let sums = domain * ELEMENT_BYTES + largest.min(DIGITS_AT_ONCE) * DIGITS_BYTES + BUCKETS_BYTES;
    variables * ELEMENT_BYTES + transforms.max(sums)
}

/// Estimate of the memory in bytes of a proof that waits for its sums: assignment and two products.
pub fn bytes_ahead(key: &ProvingKey) -> usize {
    (key.num_variables() + 2 * key.domain_size()) * ELEMENT_BYTES
}

/// One way to run proofs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Proofs under way at once.
    pub side_by_side: usize,
    /// Whether the next proof's witness and matrix products are made meanwhile.
    pub ahead: bool,
    /// Estimated memory in bytes.
    pub bytes: usize,
    /// Estimated time for all proofs, in that of one proof on one thread.
    pub time: f64,
    /// Whether it fits the memory bound.
    pub fits: bool,
}

/// How proofs will be run, and what else was considered.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The way that was chosen for the machine and the memory.
    pub way: Way,
    /// All ways, those with more memory later.
    pub considered: Vec<Way>,
    /// Number of proofs that are to be made.
    pub count: usize,
    /// Threads of the pool.
    pub threads: usize,
}

impl Plan {
    /// The way that is estimated to take the least time for `count` proofs within the bound; of
    /// equals, the one with the least memory.
    ///
    /// # Errors
    /// [`ScheduleError::MemoryLimit`] when one proof alone exceeds the bound.
    pub fn new(
        key: &ProvingKey,
        count: usize,
        memory_limit_bytes: usize,
    ) -> Result<Self, ScheduleError> {
        let threads = rayon::current_num_threads();
        let needs = [bytes_per_proof(key), bytes_ahead(key)];
        Self::choose(needs, threads, count, memory_limit_bytes)
    }

    fn choose(
        [proof, ahead]: [usize; 2],
        threads: usize,
        count: usize,
        limit: usize,
    ) -> Result<Self, ScheduleError> {
        if proof > limit {
            return Err(ScheduleError::MemoryLimit {
                needed: proof,
                limit,
            });
        }
        let way = |side_by_side: usize, is_ahead: bool| {
            let extra = if is_ahead { ahead } else { 0 };
            let bytes = side_by_side.saturating_mul(proof).saturating_add(extra);
            Way {
                side_by_side,
                ahead: is_ahead,
                bytes,
                time: estimated_time(threads, count, side_by_side, is_ahead),
                fits: bytes <= limit,
            }
        };
        let mut considered = vec![way(1, false), way(1, true)];
        considered.extend((2..=threads.min(count)).map(|width| way(width, false)));
        considered.sort_by_key(|way| way.bytes);
        let fitting = considered.iter().filter(|way| way.fits);
        let best = fitting.min_by(|a, b| a.time.total_cmp(&b.time));
        Ok(Self {
            way: *best.expect("one proof at a time fits"),
            considered,
            count,
            threads,
        })
    }

    /// What was chosen and why, for people: a line for each way.
    pub fn explain(&self) -> String {
        let mut text = format!(
            "{} proofs, {} threads: {}\n",
            self.count,
            self.threads,
            name(&self.way)
        );
        for way in &self.considered {
            let verdict = match (way.fits, way == &self.way) {
                (false, _) => "does not fit the memory bound",
                (true, true) => "chosen",
                (true, false) => "not faster",
            };
            text.push_str(&format!(
                "  {:<44} about {:>6} MiB, {:>6.2} times one proof on one thread: {verdict}\n",
                name(way),
                way.bytes >> 20,
                way.time,
            ));
        }
        text
    }
}

fn name(way: &Way) -> String {
    match (way.side_by_side, way.ahead) {
        (1, false) => "one at a time on all threads".to_owned(),
        (1, true) => "one at a time, the next one's witness ahead".to_owned(),
        (width, _) => format!("{width} side by side"),
    }
}

/// Time for `count` proofs, in that of one proof on one thread; see the constants.
///
/// Proofs side by side fill one another's gaps until the last one is alone.
fn estimated_time(threads: usize, count: usize, side_by_side: usize, ahead: bool) -> f64 {
    let number = |value: usize| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let (threads, count) = (number(threads), number(count));
    let narrow = NARROW_PROOF + NARROW_WITNESS;
    let busy = 1.0 / threads;
    let alone = narrow + (1.0 - narrow) / threads;
    if side_by_side > 1 && count > 1.0 {
        return count * busy + (alone - busy);
    }
    // What is made ahead fills gaps, as far as there are any.
    let hidden = if ahead {
        (alone - busy).min(BEFORE_SUMS / threads + NARROW_WITNESS * (1.0 - busy))
    } else {
        0.0
    };
    count * alone - (count - 1.0).max(0.0) * hidden
}

/// How a caller follows and stops many proofs.
#[derive(Clone, Copy, Default)]
pub struct Follow<'a> {
    /// Called as each stage of each proof begins.
    pub on_stage: Option<&'a (dyn Fn(usize, Stage) + Sync)>,
    /// Proofs stop once this is true; see [`Watch::cancel`].
    pub cancel: Option<&'a AtomicBool>,
}

/// Makes `count` proofs as `plan` says, all with the threads of the global pool; blinding comes from
/// the operating system.
///
/// `witness(i)` makes the assignment of proof `i` when its turn comes. `finished(i, proof)` is called in
/// order. After the first error nothing new is begun; what is under way ends, and proofs before the
/// failed one are still handed over.
///
/// # Errors
/// The first error of a witness, a proof or `finished`.
pub fn prove_many<E: Send>(
    (key, r1cs): (&ProvingKey, &R1cs),
    plan: &Plan,
    witness: impl Fn(usize) -> Result<Vec<Fr>, E> + Sync,
    follow: Follow<'_>,
    finished: impl FnMut(usize, Proof) -> Result<(), E> + Send,
) -> Result<(), ManyError<E>> {
    let run = Run {
        key,
        r1cs,
        follow,
        witness,
        next: AtomicUsize::new(0),
        count: plan.count,
        failed: AtomicBool::new(false),
        out: Mutex::new(Out {
            finished,
            waiting: BTreeMap::new(),
            next: 0,
            error: None,
        }),
    };
    // Why threads and not tasks of the pool: a task that waits may pick up another proof, and more
    // would be under way than was planned.
    if plan.way.ahead {
        run.ahead();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..plan.way.side_by_side {
                scope.spawn(|| run.lane());
            }
        });
    }
    let out = run.out.into_inner().unwrap_or_else(PoisonError::into_inner);
    out.error.map_or(Ok(()), Err)
}

/// Where proofs go.
struct Out<F, E> {
    finished: F,
    /// Proofs that wait for earlier ones.
    waiting: BTreeMap<usize, Proof>,
    /// The next proof to hand over.
    next: usize,
    error: Option<ManyError<E>>,
}

struct Run<'a, W, F, E> {
    key: &'a ProvingKey,
    r1cs: &'a R1cs,
    follow: Follow<'a>,
    witness: W,
    next: AtomicUsize,
    count: usize,
    failed: AtomicBool,
    out: Mutex<Out<F, E>>,
}

impl<W, F, E> Run<'_, W, F, E>
where
    W: Fn(usize) -> Result<Vec<Fr>, E> + Sync,
    F: FnMut(usize, Proof) -> Result<(), E> + Send,
    E: Send,
{
    /// The next proof to begin, if there is one and nothing has failed.
    fn take(&self) -> Option<usize> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.count).then_some(index)
    }

    fn lane(&self) {
        while let Some(index) = self.take() {
            self.watched(index, |watch| {
                let (assignment, products) = self.begin(index, watch)?;
                self.end(index, &assignment, products, watch)
            });
        }
    }

    /// One thread makes assignments and products, one proof ahead of the other thread's sums.
    fn ahead(&self) {
        let (give, get) = sync_channel::<(usize, Vec<Fr>, Products)>(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while let Some(index) = self.take() {
                    self.watched(index, |watch| {
                        let (assignment, products) = self.begin(index, watch)?;
                        // Nobody receives any more only after a failure, which is noted already.
                        give.send((index, assignment, products)).unwrap_or(());
                        Ok(())
                    });
                }
            });
            scope.spawn(move || {
                for (index, assignment, products) in get {
                    self.watched(index, |watch| self.end(index, &assignment, products, watch));
                    if self.failed.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        });
    }

    /// Everything before the sums.
    fn begin(&self, index: usize, watch: Watch<'_>) -> Result<(Vec<Fr>, Products), ManyError<E>> {
        let assignment = (self.witness)(index).map_err(ManyError::Caller)?;
        let mut clock = Clock::new(watch);
        let products = Products::of(self.key, self.r1cs, &assignment, &mut clock)
            .map_err(|source| ManyError::Prove { index, source })?;
        Ok((assignment, products))
    }

    /// The rest.
    fn end(
        &self,
        index: usize,
        assignment: &[Fr],
        products: Products,
        watch: Watch<'_>,
    ) -> Result<(), ManyError<E>> {
        let clock = Clock::new(watch);
        let proved = finish(self.key, self.r1cs, assignment, products, &mut OsRng, clock)
            .map_err(|source| ManyError::Prove { index, source })?;
        self.hand_over(index, proved.proof)
            .map_err(ManyError::Caller)
    }

    /// Does something for a proof and notes its error if it is the first.
    fn watched(&self, index: usize, work: impl FnOnce(Watch<'_>) -> Result<(), ManyError<E>>) {
        let on_stage = |stage| {
            if let Some(on_stage) = self.follow.on_stage {
                on_stage(index, stage);
            }
        };
        let watch = Watch {
            on_stage: Some(&on_stage),
            cancel: self.follow.cancel,
        };
        if let Err(error) = work(watch) {
            self.failed.store(true, Ordering::Relaxed);
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            out.error.get_or_insert(error);
        }
    }

    fn hand_over(&self, index: usize, proof: Proof) -> Result<(), E> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.waiting.insert(index, proof);
        loop {
            let next = out.next;
            let Some(proof) = out.waiting.remove(&next) else {
                return Ok(());
            };
            out.next += 1;
            (out.finished)(next, proof)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_takes_the_fastest_way_that_fits() {
        let choose = |threads, count, limit| Plan::choose([100, 20], threads, count, limit);
        let way = |threads, count, limit| {
            let plan = choose(threads, count, limit).unwrap();
            (plan.way.side_by_side, plan.way.ahead)
        };
        assert_eq!(
            choose(4, 3, 99),
            Err(ScheduleError::MemoryLimit {
                needed: 100,
                limit: 99
            })
        );
        assert_eq!(way(4, 8, 100), (1, false));
        assert_eq!(way(4, 8, 119), (1, false));
        assert_eq!(way(4, 8, 120), (1, true));
        assert_eq!(way(4, 8, 200), (2, false));
        // Nothing to overlap with: one proof takes all threads, whatever the memory.
        assert_eq!(way(4, 1, 1_000), (1, false));
        // One thread is never idle.
        assert_eq!(way(1, 8, 1_000), (1, false));
        let plan = choose(2, 5, 150).unwrap();
        let text = plan.explain();
        assert!(text.contains("5 proofs, 2 threads: one at a time, the next one's witness ahead"));
        assert!(text.contains("2 side by side") && text.contains("does not fit"));
    }

    #[test]
    fn estimated_times_are_between_all_and_one_thread() {
        for threads in 1..9 {
            for count in 1..20 {
                let all: f64 = f64::from(u32::try_from(count).unwrap())
                    / f64::from(u32::try_from(threads).unwrap());
                let alone = estimated_time(threads, count, 1, false);
                let ahead = estimated_time(threads, count, 1, true);
                let side = estimated_time(threads, count, threads, false);
                assert!(all <= side + 1e-9 && side <= ahead + 1e-9 && ahead <= alone + 1e-9);
            }
        }
    }
}
