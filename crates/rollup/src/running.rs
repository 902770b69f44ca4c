//! Batches on their whole way: sealed, proven, submitted, until nothing is left.
//!
//! Invariant: whoever may not submit is told so before anything is sealed or proven, and what L1 did
//! meanwhile is followed before the next step.

use std::time::{Duration, Instant};

use batcher::SealError;
use batcher::SealSummary;
use ledger::field::Fr;

use crate::clock::now;
use crate::deployment::Deployment;
use crate::error::RollupError;
use crate::event::{Doing, Note, Work};
use crate::keys::register;
use crate::place::Place;
use crate::proving::{Keys, Order, prove};
use crate::rollup::{SUBMIT_AT_ONCE, SealLimit};
use crate::text::message;
use crate::wait::Wait;
use crate::work::WorkError;

/// What sealing came to.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// What was sealed, and what still waits.
    pub summary: SealSummary,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
    /// Time that it took.
    pub time: Duration,
}

/// What submission came to.
#[derive(Clone, Copy, Debug)]
pub struct Submitted {
    /// Batches finalized.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// L1's root.
    pub root: Fr,
    /// Time that it took.
    pub time: Duration,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    /// Batches finalized.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// Operations dropped as invalid.
    pub dropped: usize,
    /// Time for witnesses and proofs.
    pub proving: Duration,
    /// Proofs made side by side.
    pub side_by_side: usize,
}

/// Seals batches.
///
/// # Errors
/// If the batcher cannot write or the L1 queue does not fit it.
pub fn seal(
    place: &Place,
    deployment: &mut Deployment,
    limit: SealLimit,
) -> Result<Sealed, WorkError> {
    let began = Instant::now();
    let waiting = deployment.batcher.status().waiting + deployment.waiting_queue()?.len();
    let task = place.task(&Work::Seal, Some(waiting as u64));
    let mut done = 0;
    let summary = deployment.seal(limit, now()?, |batch| {
        done += batch.counts().iter().sum::<usize>() as u64;
        task.at(done);
    })?;
    drop(task);
    Ok(Sealed {
        summary,
        waits: deployment.waits()?,
        time: began.elapsed(),
    })
}

/// Submits proven batches, oldest first.
///
/// # Errors
/// If L1 refuses, or a key is missing. Batches finalized before stay so.
pub fn submit(
    place: &Place,
    deployment: &mut Deployment,
    limit: u64,
) -> Result<Submitted, WorkError> {
    let began = Instant::now();
    let (mut batches, mut transfers) = (0, 0);
    let task = place.task(&Work::Submit, None);
    while batches < limit {
        let at_once = usize::try_from(limit - batches)
            .unwrap_or(SUBMIT_AT_ONCE)
            .min(SUBMIT_AT_ONCE);
        let Some(next) = deployment.next_proved(1)?.pop() else {
            break;
        };
        let shape = next.batch().shape();
        if !deployment.link.is_remote() && deployment.l1.key(shape.id).is_none() {
            let operator = deployment.operator()?;
            let time = deployment.time_to_keep(now()?)?;
            register(place, &mut deployment.l1, shape, (operator, time))?;
        }
        let submitter = deployment.submitter()?;
        let batch = next.batch().number();
        let group = deployment.submit(submitter, at_once, now()?);
        let group = group.map_err(|source| WorkError::NotSubmitted { batch, source })?;
        for proved in &group {
            transfers += proved.batch().counts()[1];
            batches += 1;
        }
        let batch = deployment.batcher.status().finalized;
        tracing::info!(last = batch, "final on L1");
        task.doing(&Doing::Final { batch });
    }
    drop(task);
    Ok(Submitted {
        batches,
        transfers,
        root: deployment.l1.head()?.root,
        time: began.elapsed(),
    })
}

/// Seals, proves and submits until nothing is left, or `limit` batches are final; `order` says how proofs
/// are made.
///
/// # Errors
/// As [`seal`], [`prove`] and [`submit`], and if whoever submits here may not; what was done before stays
/// done.
pub fn run(
    place: &Place,
    deployment: Deployment,
    limit: u64,
    order: Order,
) -> Result<(Deployment, Ran), WorkError> {
    let mut running = Running {
        place,
        limit,
        order,
        keys: Keys::new(),
        ran: Ran::default(),
    };
    let deployment = running.run(deployment)?;
    Ok((deployment, running.ran))
}

/// A run under way.
struct Running<'p> {
    place: &'p Place,
    /// Batches to be finalized at most.
    limit: u64,
    order: Order,
    keys: Keys,
    ran: Ran,
}

impl Running<'_> {
    /// Why a loop: sealing pauses while proving is far behind and goes on once it has caught up, and
    /// somebody else's batch may come before.
    fn run(&mut self, mut deployment: Deployment) -> Result<Deployment, WorkError> {
        while self.left() > 0 {
            deployment.follow_l1(self.place)?;
            deployment.check_turn()?;
            let to_seal = match self.limit {
                u64::MAX => SealLimit::All,
                _ => SealLimit::Batches(self.left().saturating_sub(open_batches(&deployment))),
            };
            match seal(self.place, &mut deployment, to_seal) {
                Ok(sealed) => self.ran.dropped += sealed.summary.dropped,
                Err(error) if is_paused(&error) => self.place.note(&Note::SealingWaits {
                    why: error.to_string(),
                }),
                Err(error) => return Err(error),
            }
            let has_sealed = open_batches(&deployment) > 0;
            deployment.begin_turn(self.place)?;
            if !has_sealed {
                return Ok(deployment);
            }
            while self.left() > 0 && open_batches(&deployment) > 0 {
                deployment = self.prove_and_submit(deployment)?;
            }
        }
        Ok(deployment)
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.ran.batches)
    }

    fn prove_and_submit(&mut self, deployment: Deployment) -> Result<Deployment, WorkError> {
        let limit = self.left().min(SUBMIT_AT_ONCE as u64);
        let order = Order {
            limit,
            ..self.order
        };
        let (mut deployment, proven) = prove(self.place, deployment, order, &mut self.keys)?;
        self.ran.proving += proven.proving;
        self.ran.side_by_side = self.ran.side_by_side.max(proven.side_by_side);
        deployment.follow_l1(self.place)?;
        if open_batches(&deployment) == 0 {
            return Ok(deployment);
        }
        deployment.begin_turn(self.place)?;
        let before = deployment.batcher.status();
        let submitted = match submit(self.place, &mut deployment, limit) {
            Ok(submitted) => submitted,
            Err(error) => {
                deployment.follow_l1(self.place)?;
                if deployment.batcher.status() == before {
                    return Err(error);
                }
                let why = message(&error);
                self.place.note(&Note::Moved { why });
                return Ok(deployment);
            }
        };
        self.ran.batches += submitted.batches;
        self.ran.transfers += submitted.transfers;
        let status = deployment.batcher.status();
        self.place.note(&Note::Final {
            batch: status.finalized,
            sealed: status.sealed,
        });
        Ok(deployment)
    }
}

/// True if sealing waits: for proving to catch up, or for L1 after a reorg.
fn is_paused(error: &WorkError) -> bool {
    matches!(
        error,
        WorkError::Step(
            RollupError::Seal(SealError::Paused { .. })
                | RollupError::Unconfirmed { .. }
                | RollupError::OverdueUnconfirmed { .. }
        )
    )
}

/// Batches that are sealed and not finalized.
fn open_batches(deployment: &Deployment) -> u64 {
    let status = deployment.batcher.status();
    status.sealed - status.finalized
}
