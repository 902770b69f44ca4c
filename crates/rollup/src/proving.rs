//! Sealed batches become proven ones, many side by side, while others use the deployment's files.
//!
//! Invariant: no file of the deployment is open while proofs are made; each proof is kept as soon as those
//! before it are kept, in the batch's folder and then in the database, unless the batch was reopened
//! meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use batcher::StageError;
use batcher::{Proofs, StoredBatch};
use files::FolderDraft;
use l1::Submission;
use l1::submission::{BatchFolder, FolderError};
use ledger::witness::BatchWitness;
use prover::proof::Proof;
use prover::schedule::{Follow, ManyError, Plan, bytes_per_proof, prove_many};

use crate::clock::now;
use crate::deployment::{Deployment, Paused};
use crate::error::{DeploymentError, RollupError};
use crate::event::{Doing, Note, Task, Work};
use crate::keys::{self, Prepared, check_got, check_registered};
use crate::place::{Place, make_folder};
use crate::rollup::{SUBMIT_AT_ONCE, ToProve, to_keep};
use crate::shape::shape_name;
use crate::stop::Stop;
use crate::work::WorkError;

/// How long a finished proof waits for its turn at least: it cost more than that.
const PATIENCE: Duration = Duration::from_secs(600);

/// How batches are to be proven.
#[derive(Clone, Copy)]
pub struct Order {
    /// Batches at most.
    pub limit: u64,
    /// Memory that proofs may take besides keys, in bytes.
    pub memory: usize,
    /// Whether to say which way was chosen, and why.
    pub explain: bool,
}

/// Keys that were loaded, by shape id.
pub type Keys = BTreeMap<u16, Prepared>;

/// What proving came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proven {
    /// Batches proven.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// Time for witnesses and proofs.
    pub proving: Duration,
    /// Proofs made side by side.
    pub side_by_side: usize,
    /// Whether witnesses were made ahead of the proof before.
    pub ahead: bool,
}

/// A batch to be proven, with all that its proof takes.
struct Pending {
    number: u64,
    shape_id: u16,
    witness: BatchWitness,
}

/// Proves sealed batches, oldest first; [`Place::stop`] stops within a stage. Other processes write the
/// deployment's files while proofs are made: the deployment is given back as it is then.
///
/// # Errors
/// If a key is missing or wrong, a proof fails, or files cannot be written. Proofs made before are
/// kept.
pub fn prove(
    place: &Place,
    mut deployment: Deployment,
    order: Order,
    keys: &mut Keys,
) -> Result<(Deployment, Proven), WorkError> {
    let unproved = deployment.batcher.unproved().map_err(StageError::from)?;
    let limit = usize::try_from(order.limit).unwrap_or(usize::MAX);
    let mut rest = &unproved[..unproved.len().min(limit)];
    let mut proven = Proven::default();
    let patient = place.waiting_at_least(PATIENCE);
    load_keys(place, &deployment, rest, keys)?;
    let task = place.task(&Work::Prove, Some(rest.len() as u64));
    loop {
        let (pending, later) = take_pending(&deployment, rest)?;
        rest = later;
        let Some(first) = pending.first() else {
            break;
        };
        load_keys(place, &deployment, &[first.number], keys)?;
        let prepared = &keys[&first.shape_id];
        let plan = plan(prepared, order.memory, pending.len())?;
        if order.explain {
            place.note(&Note::ProofPlan {
                shape: prepared.name.clone(),
                text: plan.explain().trim_end().to_owned(),
            });
        }
        proven.side_by_side = proven.side_by_side.max(plan.way.side_by_side);
        proven.ahead |= plan.way.ahead;
        let clock = Instant::now();
        let keeper = Keeper {
            place: &patient,
            time: deployment.l1_time(now()?)?,
            since: clock,
            paused: deployment.pause(),
        };
        tracing::info!(
            batches = pending.len(),
            "proving; other commands may write meanwhile"
        );
        prove_pending(&keeper, prepared, (&pending, &plan), &task, &mut proven)?;
        proven.proving += clock.elapsed();
        deployment = keeper.paused.resume(&patient)?;
    }
    Ok((deployment, proven))
}

/// The first of these batches that have one shape, a bounded number, and those that are left. A batch
/// that is not there any more, or has a proof, was dealt with by another process meanwhile.
fn take_pending<'n>(
    deployment: &Deployment,
    numbers: &'n [u64],
) -> Result<(Vec<Pending>, &'n [u64]), StageError> {
    let mut pending: Vec<Pending> = Vec::new();
    for (place, number) in numbers.iter().enumerate() {
        if *number > deployment.batcher.status().sealed {
            return Ok((pending, &[]));
        }
        let StoredBatch::Sealed(batch) = deployment.batcher.batch(*number)? else {
            continue;
        };
        let shape_id = batch.shape().id;
        let other_shape = pending
            .first()
            .is_some_and(|first| first.shape_id != shape_id);
        if other_shape || pending.len() == SUBMIT_AT_ONCE {
            return Ok((pending, &numbers[place..]));
        }
        pending.push(Pending {
            number: *number,
            shape_id,
            witness: deployment.batcher.witness(*number)?,
        });
    }
    Ok((pending, &[]))
}

/// Loads the keys of the batches' shapes and checks them against those that L1 has.
fn load_keys(
    place: &Place,
    deployment: &Deployment,
    numbers: &[u64],
    keys: &mut Keys,
) -> Result<(), WorkError> {
    for number in numbers {
        let shape = *deployment.batcher.batch(*number)?.batch().shape();
        if keys.contains_key(&shape.id) {
            continue;
        }
        check_got(place, &deployment.l1, &shape)?;
        let name = shape_name(&shape);
        let work = Work::LoadKey {
            shape: name.clone(),
        };
        let task = place.task(&work, None);
        let prepared = keys::load(place, &shape)?;
        let took = task.done().as_secs_f64();
        tracing::info!(shape = name, seconds = took, "proving key loaded");
        check_registered(&deployment.l1, &prepared)?;
        keys.insert(shape.id, prepared);
    }
    Ok(())
}

/// How so many proofs are made within the memory bound.
fn plan(prepared: &Prepared, memory: usize, count: usize) -> Result<Plan, WorkError> {
    Plan::new(&prepared.key, count, memory).map_err(|source| WorkError::Memory {
        shape: prepared.name.clone(),
        needed: bytes_per_proof(&prepared.key) as u64,
        source,
    })
}

/// Proves batches of one shape and keeps each proof as soon as those before it are kept.
fn prove_pending(
    keeper: &Keeper<'_>,
    prepared: &Prepared,
    (pending, plan): (&[Pending], &Plan),
    task: &Task<'_>,
    proven: &mut Proven,
) -> Result<(), WorkError> {
    let stop = &keeper.place.stop;
    // Why a shield: a request to end then stops the proofs, which keeps those that are finished.
    let _shield = stop.shield();
    let begun = Mutex::new(BTreeMap::new());
    let begun = || begun.lock().unwrap_or_else(PoisonError::into_inner);
    let witness = |index: usize| {
        let Pending {
            number, witness, ..
        } = &pending[index];
        let mut of = ToProve::of(*number, witness)?;
        let assignment = std::mem::take(&mut of.assignment);
        begun().insert(index, of);
        Ok(assignment)
    };
    let on_stage = |index: usize, stage| {
        let batch = pending[index].number;
        task.doing(&Doing::Stage { batch, stage });
    };
    let mut done = proven.batches;
    let finished = |index: usize, proof: Proof| {
        let of = begun().remove(&index);
        let of = of.expect("a proof that is finished was begun");
        if let Some(transfers) = keeper.keep(&of, &proof)? {
            proven.transfers += transfers;
            proven.batches += 1;
        }
        tracing::info!(batch = of.number, "proven");
        done += 1;
        task.at(done);
        Ok(())
    };
    let follow = Follow {
        on_stage: Some(&on_stage),
        cancel: Some(stop.is_wanted()),
    };
    let result = prove_many(
        (&prepared.key, &prepared.r1cs),
        plan,
        witness,
        follow,
        finished,
    );
    result.map_err(|error| match error {
        ManyError::Prove { index, source } => WorkError::NotProven {
            batch: pending[index].number,
            source,
        },
        ManyError::Caller(error) => error,
    })
}

/// Keeps proofs while the deployment's files are closed.
struct Keeper<'a> {
    place: &'a Place,
    /// L1's time when the files were closed.
    time: u64,
    since: Instant,
    paused: Paused,
}

impl Keeper<'_> {
    /// Writes the batch's folder, then notes the proof; returns the transfers in it. None if the batch
    /// was opened again or became final meanwhile: then the proof is of no use.
    fn keep(&self, of: &ToProve, proof: &Proof) -> Result<Option<usize>, WorkError> {
        let (place, number) = (self.place, of.number);
        let folder = place.rollup_dir();
        let proofs = place.for_turn(|| {
            let proofs = Proofs::open(&folder, &self.paused.batcher);
            proofs.map_err(|source| DeploymentError::Batcher { source })
        })?;
        let time = self.time.saturating_add(self.since.elapsed().as_secs());
        let batch = match to_keep(&proofs, of) {
            Ok(batch) => batch,
            Err(RollupError::Stage(StageError::NoBatch { .. } | StageError::OtherBatch { .. })) => {
                place.note(&Note::ProofNotKept { batch: number });
                return Ok(None);
            }
            Err(RollupError::Stage(StageError::OutOfOrder { .. })) => {
                place.note(&Note::FinalWhileProven { batch: number });
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let submission = Submission::new(batch.words(), batch.shape(), &of.c, proof);
        let submission = submission.map_err(|source| RollupError::Words { number, source })?;
        let folder = BatchFolder::new(submission, batch.shape(), batch.queue().start);
        let folder = folder.map_err(FolderError::from)?;
        put_folder(&place.stop, &folder, &place.batch_folder(number))?;
        proofs.record(&batch, &proof.to_bytes(), time)?;
        Ok(Some(batch.counts()[1]))
    }
}

/// Puts a batch folder in place whole, in the stead of what is there.
///
/// # Errors
/// If files cannot be written.
pub fn put_folder(stop: &Stop, folder: &BatchFolder, target: &Path) -> Result<(), WorkError> {
    if target.file_name().is_none() {
        return Err(WorkError::NoName {
            path: target.to_owned(),
        });
    }
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(parent)?;
    let _shield = stop.shield();
    let draft = FolderDraft::begin(target)?;
    folder.save(draft.path())?;
    Ok(draft.replace()?)
}
