//! Closing a batch: which shape, which operations, in which order.
//!
//! First the L1 queue's next entries, then transfers, then withdrawals, then fees. Among the
//! operations that are ready the one that arrived first goes first, and executing one makes its
//! account's next one ready. Invariant: an operation that turns out invalid is dropped with its
//! reason and never blocks a batch; one that merely does not fit stays where it is. What is
//! executed is decided by `ledger::transition` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ledger::field::Fr;
use ledger::operation::L1Op;
use ledger::reject::{DoesNotFit, Reject};
use ledger::shape::Shape;
use ledger::transition::{BatchContext, Operation, PushError, State, Transition};
use ledger::witness::BatchWitness;

use crate::batch::SealedBatch;
use crate::error::BuildError;
use crate::mempool::{Mempool, Ready};

/// A withdrawal slot looks at this many candidates, so that bad ones do not leave it empty.
const CANDIDATES_PER_WITHDRAWAL: usize = 4;

/// An entry of the L1 queue with its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Place in the queue; the first is 0.
    pub number: u64,
    /// What is to be done.
    pub op: L1Op,
}

/// What a batch is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Everything that has a slot: an operation without one is passed over for this batch.
    WhateverFits,
    /// Operations in the order of arrival up to the first that does not fit.
    UntilNextDoesNotFit,
}

/// Why a batch is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The ready operations fill the slots of some kind.
    Size,
    /// The oldest ready operation has waited for the longest time allowed.
    Age,
    /// Batches were reopened and are to be sealed again.
    Reopened,
}

/// The entries that no batch has consumed yet, in order.
pub(crate) fn unconsumed(entries: &[QueueEntry], next: u64) -> Result<&[QueueEntry], BuildError> {
    let first = entries.iter().position(|entry| entry.number >= next);
    let rest = first.map_or(&[][..], |first| &entries[first..]);
    for (expected, entry) in (next..).zip(rest) {
        if entry.number != expected {
            let got = entry.number;
            return Err(BuildError::QueueGap { expected, got });
        }
    }
    Ok(rest)
}

/// What waits for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) l1_ops: usize,
    pub(crate) ready: Ready,
    /// The oldest ready operation is a withdrawal; `None` if nothing is ready.
    pub(crate) oldest_is_withdrawal: Option<bool>,
}

impl Demand {
    /// What waits, counted up to the largest capacities.
    pub(crate) fn of(queue: &[QueueEntry], pool: &Mempool, shapes: &[Shape]) -> Self {
        let [l1_ops, transfers, withdrawals] = largest(shapes);
        let most = Ready {
            transfers: transfers + 1,
            withdrawals: withdrawals + 1,
        };
        Self {
            l1_ops: queue.len().min(l1_ops + 1),
            ready: pool.ready(most),
            oldest_is_withdrawal: pool.oldest_ready().map(|entry| entry.is_withdrawal()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.l1_ops == 0 && self.oldest_is_withdrawal.is_none()
    }

    /// True if the slots of some kind would all be used.
    pub(crate) fn fills_some(&self, shapes: &[Shape]) -> bool {
        let [l1_ops, transfers, withdrawals] = largest(shapes);
        let fills = |waiting, capacity| capacity > 0 && waiting >= capacity;
        fills(self.l1_ops, l1_ops)
            || fills(self.ready.transfers, transfers)
            || fills(self.ready.withdrawals, withdrawals)
    }

    /// The shape for what waits: the smallest that takes all of it, else the one that takes most.
    /// It has slots for L1 operations if any wait, else for the oldest ready operation, so that no
    /// kind waits for ever.
    pub(crate) fn shape<'a>(&self, shapes: &'a [Shape]) -> Option<&'a Shape> {
        let urgent = |shape: &&Shape| match (self.l1_ops, self.oldest_is_withdrawal) {
            (1.., _) => shape.l1_ops > 0,
            (0, Some(true)) => shape.withdrawals > 0,
            (0, _) => shape.transfers > 0,
        };
        let best = |shape: &&Shape| (usize::MAX - self.taken(shape), shape.updates(), shape.id);
        let suitable = shapes.iter().filter(urgent).min_by_key(best);
        suitable.or_else(|| shapes.iter().min_by_key(best))
    }

    /// How much of it a shape takes.
    fn taken(&self, shape: &Shape) -> usize {
        self.l1_ops.min(usize::from(shape.l1_ops))
            + self.ready.transfers.min(usize::from(shape.transfers))
            + self.ready.withdrawals.min(usize::from(shape.withdrawals))
    }
}

/// The largest capacity of each kind.
fn largest(shapes: &[Shape]) -> [usize; 3] {
    let most = |capacity: fn(&Shape) -> u16| {
        shapes
            .iter()
            .map(|shape| usize::from(capacity(shape)))
            .max()
            .unwrap_or(0)
    };
    [
        most(|shape| shape.l1_ops),
        most(|shape| shape.transfers),
        most(|shape| shape.withdrawals),
    ]
}

/// Ready operations in order of arrival, those that become ready on the way included.
struct Candidates<'a> {
    pool: &'a Mempool,
    next_ready: u64,
    unlocked: BTreeSet<u64>,
}

impl<'a> Candidates<'a> {
    fn new(pool: &'a Mempool) -> Self {
        Self {
            pool,
            next_ready: 0,
            unlocked: BTreeSet::new(),
        }
    }

    fn next(&mut self) -> Option<u64> {
        let ready = self.pool.first_ready(self.next_ready);
        let unlocked = self.unlocked.first().copied();
        match (ready, unlocked) {
            (Some(ready), unlocked) if unlocked.is_none_or(|unlocked| ready < unlocked) => {
                self.next_ready = ready + 1;
                Some(ready)
            }
            _ => self.unlocked.pop_first(),
        }
    }

    /// The account's operation with this nonce can follow now.
    fn unlock(&mut self, index: u32, nonce: u64) {
        self.unlocked.extend(self.pool.place_of(index, nonce));
    }
}

/// A batch that still takes operations.
pub struct OpenBatch {
    transition: Transition,
    domain: Fr,
    /// Places in the mempool of operations that are part of the batch.
    pub(crate) included: Vec<u64>,
    /// Places of operations that are not and never will be, with the reason.
    pub(crate) dropped: Vec<(u64, Reject)>,
    queue: Range<u64>,
}

impl OpenBatch {
    /// A batch with nothing in it, of a shape, on top of a state. `next` is the next entry of the
    /// L1 queue to be consumed.
    ///
    /// # Errors
    /// [`BuildError::Begin`].
    pub(crate) fn begin(
        state: &State,
        shape: &Shape,
        context: BatchContext,
        next: u64,
    ) -> Result<Self, BuildError> {
        let domain = context.domain;
        Ok(Self {
            transition: Transition::begin(state, shape, context)?,
            domain,
            included: Vec::new(),
            dropped: Vec::new(),
            queue: next..next,
        })
    }

    /// True if no operation is part of it.
    pub fn is_empty(&self) -> bool {
        self.transition.is_empty()
    }

    /// Takes entries of the L1 queue as far as there are slots.
    pub(crate) fn take_queue(
        &mut self,
        state: &State,
        entries: &[QueueEntry],
    ) -> Result<(), BuildError> {
        for entry in entries {
            match self.transition.push_l1(state, &entry.op) {
                Ok(()) => self.queue.end = entry.number + 1,
                Err(PushError::DoesNotFit(_)) => break,
                Err(PushError::L1(source)) => {
                    let number = entry.number;
                    return Err(BuildError::Queue { number, source });
                }
                Err(PushError::State(moved)) => return Err(moved.into()),
                Err(PushError::Rejected(reject)) => {
                    unreachable!("L1 operations are never rejected: {reject}")
                }
            }
        }
        Ok(())
    }

    /// Takes operations that are ready.
    pub(crate) fn take_ready(
        &mut self,
        state: &State,
        pool: &Mempool,
        fill: Fill,
    ) -> Result<(), BuildError> {
        match fill {
            Fill::WhateverFits => self.take_whatever_fits(state, pool),
            Fill::UntilNextDoesNotFit => self.take_in_order(state, pool),
        }
    }

    /// Takes the operations at these places, in this order: those of a batch that was undone. One
    /// whose predecessor is missing, or that does not fit, goes on waiting. So does one that an
    /// entry of the L1 queue may still support: `more` batches that were undone follow, and theirs
    /// are not executed yet.
    pub(crate) fn take_returned(
        &mut self,
        state: &State,
        pool: &Mempool,
        places: &[u64],
        more: bool,
    ) -> Result<(), BuildError> {
        let mut candidates = Candidates {
            pool,
            next_ready: u64::MAX,
            unlocked: BTreeSet::new(),
        };
        for place in places {
            let Some(entry) = pool.entry(*place) else {
                continue;
            };
            let account = self.transition.account(state, entry.fields.from);
            if account.is_none_or(|account| entry.fields.nonce <= account.nonce) {
                let _fits = self.take(state, &mut candidates, *place)?;
                if more {
                    let dropped = &mut self.dropped;
                    dropped.pop_if(|(at, reject)| at == place && rests_on_l1(reject));
                }
            }
        }
        Ok(())
    }

    fn take_in_order(&mut self, state: &State, pool: &Mempool) -> Result<(), BuildError> {
        let mut candidates = Candidates::new(pool);
        while let Some(place) = candidates.next() {
            let fits = self.take(state, &mut candidates, place)?;
            // Why: what does not fit an empty batch fits none, and must not stop the others.
            if fits.is_err() && !self.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn take_whatever_fits(&mut self, state: &State, pool: &Mempool) -> Result<(), BuildError> {
        let slots = usize::from(self.transition.shape().withdrawals);
        let enough = pool.withdrawals().min(CANDIDATES_PER_WITHDRAWAL * slots);
        let mut candidates = Candidates::new(pool);
        let mut withdrawals = BTreeSet::new();
        let mut full = self.transition.shape().transfers == 0;
        while !full || withdrawals.len() < enough {
            let Some(place) = candidates.next() else {
                break;
            };
            let Some(entry) = pool.entry(place) else {
                continue;
            };
            if entry.is_withdrawal() {
                withdrawals.insert(place);
            } else if !full {
                let fits = self.take(state, &mut candidates, place)?;
                full = matches!(fits, Err(DoesNotFit::TransfersFull { .. }));
            }
        }
        self.take_withdrawals(state, pool, withdrawals)
    }

    /// Takes withdrawals, and those of the same accounts that directly follow.
    fn take_withdrawals(
        &mut self,
        state: &State,
        pool: &Mempool,
        withdrawals: BTreeSet<u64>,
    ) -> Result<(), BuildError> {
        let mut candidates = Candidates {
            pool,
            next_ready: u64::MAX,
            unlocked: withdrawals,
        };
        while let Some(place) = candidates.next() {
            if !pool.entry(place).is_some_and(|entry| entry.is_withdrawal()) {
                continue;
            }
            let fits = self.take(state, &mut candidates, place)?;
            if matches!(fits, Err(DoesNotFit::WithdrawalsFull { .. })) {
                break;
            }
        }
        Ok(())
    }

    /// Executes one operation: it becomes part of the batch, or is dropped, or does not fit. One that
    /// expired goes on waiting.
    fn take(
        &mut self,
        state: &State,
        candidates: &mut Candidates<'_>,
        place: u64,
    ) -> Result<Result<(), DoesNotFit>, BuildError> {
        let Some(entry) = candidates.pool.entry(place) else {
            return Ok(Ok(()));
        };
        let sender = self.transition.account(state, entry.fields.from);
        let pushed = entry
            .authorized(sender, &self.domain)
            .map_err(PushError::Rejected)
            .and_then(|operation: Operation| self.transition.push(state, &operation));
        match pushed {
            Ok(()) => {
                self.included.push(place);
                candidates.unlock(entry.fields.from, entry.fields.nonce + 1);
            }
            // Why kept: the clock may be ahead. It is dropped once L1 has a batch after its expiry.
            Err(PushError::Rejected(Reject::NotExpired { .. })) => {}
            Err(PushError::Rejected(reject)) => self.dropped.push((place, reject)),
            Err(PushError::DoesNotFit(reason)) => return Ok(Err(reason)),
            Err(PushError::State(moved)) => return Err(moved.into()),
            Err(PushError::L1(violation)) => {
                unreachable!("a signed operation is no L1 operation: {violation}")
            }
        }
        Ok(Ok(()))
    }

    /// The indices of all accounts that it changes.
    pub(crate) fn touched(&self) -> BTreeSet<u32> {
        self.transition.touched()
    }

    /// Credits the fees, moves the state and fixes the batch.
    pub(crate) fn seal(self, state: &mut State) -> Result<(SealedBatch, BatchWitness), BuildError> {
        let shape = *self.transition.shape();
        let applied = self.transition.finish(state)?;
        let sealed = SealedBatch::new(shape, &applied, self.queue);
        Ok((sealed, applied.witness))
    }
}

/// True if a deposit can make good what the operation lacks.
fn rests_on_l1(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::SenderExists { .. } | Reject::ReceiverExists { .. } | Reject::SenderCanPay { .. }
    )
}

/// What a batch needs to know besides its operations.
pub(crate) fn context(
    domain: Fr,
    batch_number: u64,
    timestamp: u64,
    fee_accounts: &BTreeMap<u32, u32>,
) -> BatchContext {
    BatchContext {
        domain,
        batch_number,
        timestamp,
        fee_accounts: fee_accounts.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn shape(id: u16, l1_ops: u16, transfers: u16, withdrawals: u16) -> Shape {
        Shape {
            id,
            depth: 12,
            l1_ops,
            transfers,
            withdrawals,
            fee_slots: 2,
            cached_levels: 3,
        }
    }

    /// A shape for transfers, a small and a large one for the queue.
    const SHAPES: [Shape; 3] = [shape(18, 0, 16, 0), shape(17, 4, 0, 2), shape(25, 36, 0, 2)];

    fn chosen(l1_ops: usize, transfers: usize) -> Option<u16> {
        let demand = Demand {
            l1_ops,
            ready: Ready {
                transfers,
                withdrawals: 0,
            },
            oldest_is_withdrawal: (transfers > 0).then_some(false),
        };
        demand.shape(&SHAPES).map(|shape| shape.id)
    }

    #[test]
    fn a_long_queue_gets_the_shape_that_takes_most_of_it() {
        assert_eq!(chosen(0, 1), Some(18));
        assert_eq!(chosen(1, 0), Some(17));
        assert_eq!(chosen(4, 30), Some(17));
        assert_eq!(chosen(5, 30), Some(25));
        assert_eq!(chosen(37, 30), Some(25));
    }
}
