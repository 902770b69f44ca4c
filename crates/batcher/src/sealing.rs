//! When batches are sealed, and how one is closed, in memory and on disk.
//!
//! L1 refuses a batch whose timestamp is older than Δ. So that not more and more work is piled on
//! a batch that may be refused, nothing is sealed while the oldest batch that is not finalized is
//! older than three quarters of Δ; undoing batches is left to `reopen`.

use std::mem;

use ledger::account::Account;
use ledger::field::Fr;
use ledger::reject::Reject;
use ledger::witness::BatchWitness;

use crate::batch::SealedBatch;
use crate::batcher::Batcher;
use crate::error::{BuildError, SealError, StoreError};
use crate::fill::{Demand, Due, Fill, OpenBatch, QueueEntry, context, unconsumed};
use crate::role::Role;
use crate::rows::{Head, Outcome};
use crate::settings::Settings;
use crate::tables::{Changes, NewBatch, NewOutcome, SealWrites};
use crate::undo::{Returned, Undo};
use crate::witness_codec;

/// Batches that are written in one transaction when many are sealed in a row.
const SEAL_GROUP: usize = 16;

/// Signatures of stored operations that are checked at once before a batch is filled.
const VERIFY_AHEAD: usize = 1024;

/// What sealing everything came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealSummary {
    /// Batches sealed.
    pub batches: u64,
    /// L1 operations in them.
    pub l1_ops: usize,
    /// Transfers in them.
    pub transfers: usize,
    /// Withdrawals in them.
    pub withdrawals: usize,
    /// Operations dropped as invalid.
    pub dropped: usize,
    /// Operations that still wait.
    pub waiting: usize,
    /// Root after the last batch.
    pub state_root: Fr,
}

/// One batch, or only drops, on its way to disk.
#[derive(Default)]
struct Built {
    writes: SealWrites,
    dropped: usize,
}

impl Built {
    /// True if another batch may follow.
    fn is_something(&self) -> bool {
        self.writes.batch.is_some() || self.dropped > 0 || self.writes.returned.is_some()
    }
}

impl Batcher {
    /// Whether a batch should be sealed now, and why; nothing is due while sealing pauses. `queue`
    /// is what waits in the L1 queue; its entries age from the first call that sees them.
    ///
    /// # Errors
    /// [`BuildError::QueueGap`].
    pub fn seal_due(&mut self, queue: &[QueueEntry], now: u64) -> Result<Option<Due>, BuildError> {
        let queue = unconsumed(queue, self.head.queue)?;
        self.queue_seen = match queue {
            [] => None,
            _ => self.queue_seen.or(Some(now)),
        };
        if self.check_age(now).is_err() {
            return Ok(None);
        }
        self.pool.judge_expiry_at(now, &self.state);
        if !self.returned.is_empty() {
            return Ok(Some(Due::Reopened));
        }
        let demand = Demand::of(queue, &self.pool, &self.settings.shapes);
        if demand.fills_some(&self.settings.shapes) {
            return Ok(Some(Due::Size));
        }
        let oldest = self.pool.oldest_ready().map(|entry| entry.received);
        let since = oldest.into_iter().chain(self.queue_seen).min();
        // Why also from the future: whoever waits by a clock that was ahead would wait for its time.
        let is_old = |since: u64| since > now || now - since >= self.settings.max_age;
        Ok(since.is_some_and(is_old).then_some(Due::Age))
    }

    /// Whether anything may be sealed now; mirrors seal nothing.
    fn check_sealing(&self, now: u64) -> Result<(), SealError> {
        self.check_running()?;
        match self.role {
            Some(Role::Mirror) => Err(SealError::Mirror),
            Some(Role::Operator | Role::Taker) | None => self.check_age(now),
        }
    }

    /// Sealing goes on while the oldest batch that is not finalized is at most 3/4 of Δ old.
    fn check_age(&self, now: u64) -> Result<(), SealError> {
        let slack = self.settings.timestamp_slack;
        let limit = slack - slack.div_ceil(4);
        let age = now.saturating_sub(self.oldest.unwrap_or(now));
        if age <= limit {
            return Ok(());
        }
        Err(SealError::Paused {
            batch: self.head.finalized + 1,
            age,
            limit,
            slack,
        })
    }

    /// Seals one batch of what is ready and returns it once it is durable; `None` if nothing can
    /// be executed. `queue` are the L1 queue's entries from any consumed one on.
    ///
    /// Batches that were reopened come first, one call a batch: the same operations in the same
    /// order, with as much of `queue` as the batch had consumed before. Of these operations, those
    /// that the queue given here no longer supports are rejected.
    ///
    /// # Errors
    /// [`SealError`]; nothing was sealed.
    pub fn seal(
        &mut self,
        queue: &[QueueEntry],
        now: u64,
    ) -> Result<Option<SealedBatch>, SealError> {
        self.check_sealing(now)?;
        loop {
            let built = self.build(queue, now, Fill::WhateverFits)?;
            let sealed = built.writes.batch.as_ref().map(|new| new.batch.clone());
            let more = sealed.is_none() && built.writes.returned.is_some();
            self.commit(&[built.writes])?;
            if !more {
                return Ok(sealed);
            }
        }
    }

    /// Seals batches until nothing can be executed, many in one transaction. `on_batch` sees each
    /// batch once it is durable.
    ///
    /// # Errors
    /// [`SealError`]; batches that `on_batch` saw are sealed.
    pub fn seal_all(
        &mut self,
        queue: &[QueueEntry],
        now: u64,
        fill: Fill,
        mut on_batch: impl FnMut(&SealedBatch),
    ) -> Result<SealSummary, SealError> {
        self.check_sealing(now)?;
        let first = self.head.sealed;
        let (mut counts, mut dropped) = ([0; 3], 0);
        let mut more = true;
        while more {
            let mut group = Vec::with_capacity(SEAL_GROUP);
            while more && group.len() < SEAL_GROUP {
                // Why: what was built before a failure is written before the failure is returned.
                let built = match self.build(queue, now, fill) {
                    Ok(built) => built,
                    Err(error) => {
                        self.commit(&group)?;
                        return Err(error.into());
                    }
                };
                more = built.is_something();
                dropped += built.dropped;
                group.push(built.writes);
            }
            self.commit(&group)?;
            for new in group.iter().filter_map(|writes| writes.batch.as_ref()) {
                let of_batch = new.batch.counts();
                counts = [0, 1, 2].map(|kind| counts[kind] + of_batch[kind]);
                on_batch(&new.batch);
            }
        }
        let [l1_ops, transfers, withdrawals] = counts;
        Ok(SealSummary {
            batches: self.head.sealed - first,
            l1_ops,
            transfers,
            withdrawals,
            dropped,
            waiting: self.pool.len(),
            state_root: self.head.root,
        })
    }

    /// Builds one batch on top of the state and moves the state, in memory.
    fn build(&mut self, queue: &[QueueEntry], now: u64, fill: Fill) -> Result<Built, BuildError> {
        let queue = unconsumed(queue, self.head.queue)?;
        let timestamp = now.max(self.head.timestamp);
        self.pool.judge_expiry_at(timestamp, &self.state);
        let open = match self.returned.front().cloned() {
            Some((_, batch)) => self.open_returned(&batch, queue, timestamp)?,
            None => self.open_new(queue, timestamp, fill)?,
        };
        let mut built = match open {
            Some(open) => self.finish(open, now)?,
            None => Built::default(),
        };
        self.end_returned(&mut built);
        Ok(built)
    }

    /// A batch with what waits; `None` if nothing does.
    fn open_new(
        &mut self,
        queue: &[QueueEntry],
        timestamp: u64,
        fill: Fill,
    ) -> Result<Option<OpenBatch>, BuildError> {
        let Some(mut open) = self.open_batch(queue, timestamp)? else {
            return Ok(None);
        };
        open.take_queue(&self.state, queue)?;
        open.take_ready(&self.state, &self.pool, fill)?;
        Ok(Some(open))
    }

    /// A batch with what a batch that was undone had, as far as it is still there; `None` if its
    /// shape is no longer listed.
    fn open_returned(
        &mut self,
        batch: &Returned,
        queue: &[QueueEntry],
        timestamp: u64,
    ) -> Result<Option<OpenBatch>, BuildError> {
        let Settings {
            domain,
            shapes,
            fee_accounts,
            ..
        } = &self.settings;
        let Some(shape) = shapes.iter().find(|shape| shape.id == batch.shape) else {
            return Ok(None);
        };
        let places = batch.places.clone();
        self.pool.verify_at(places, &self.state, domain);
        let context = context(*domain, self.head.sealed + 1, timestamp, fee_accounts);
        let mut open = OpenBatch::begin(&self.state, shape, context, self.head.queue)?;
        let end = queue.partition_point(|entry| entry.number < batch.queue_end);
        open.take_queue(&self.state, &queue[..end])?;
        let more = self.returned.len() > 1;
        open.take_returned(&self.state, &self.pool, &batch.places, more)?;
        Ok(Some(open))
    }

    /// Closes a batch and drops what turned out invalid.
    fn finish(&mut self, mut open: OpenBatch, now: u64) -> Result<Built, BuildError> {
        let dropped = mem::take(&mut open.dropped);
        let included = mem::take(&mut open.included);
        if open.is_empty() {
            return Ok(self.drop_only(dropped));
        }
        let (old, touched) = (self.head, open.touched());
        let before = |index: u32| (index, self.state.account(index).copied());
        let accounts = touched.into_iter().map(before).collect();
        let (batch, witness) = open.seal(&mut self.state)?;
        let undo = Undo {
            timestamp: old.timestamp,
            accounts,
            operations: Vec::new(),
        };
        Ok(self.close((batch, undo, now), &witness, &included, dropped))
    }

    /// The batch that was undone has its successor, or none; once it was the last one, operations
    /// of accounts that did not come back are dropped.
    fn end_returned(&mut self, built: &mut Built) {
        let Some((key, _)) = self.returned.pop_front() else {
            return;
        };
        built.writes.returned = Some(key);
        if self.returned.is_empty() {
            let dropped = self.pool.without_account(&self.state);
            let outcomes = self.drop_operations(dropped);
            built.dropped += outcomes.len();
            built.writes.outcomes.extend(outcomes);
        }
    }

    /// An empty batch of the shape for what waits; `None` if nothing does.
    fn open_batch(
        &mut self,
        queue: &[QueueEntry],
        timestamp: u64,
    ) -> Result<Option<OpenBatch>, BuildError> {
        let Settings {
            domain,
            shapes,
            fee_accounts,
            ..
        } = &self.settings;
        let demand = Demand::of(queue, &self.pool, shapes);
        let Some(shape) = demand.shape(shapes).filter(|_| !demand.is_empty()) else {
            return Ok(None);
        };
        let ahead = VERIFY_AHEAD.max(4 * usize::from(shape.transfers));
        self.pool.verify_stored(ahead, &self.state, domain);
        let context = context(*domain, self.head.sealed + 1, timestamp, fee_accounts);
        OpenBatch::begin(&self.state, shape, context, self.head.queue).map(Some)
    }

    /// Operations that expired before a batch's timestamp, with the reason.
    pub(crate) fn expired(&self, timestamp: u64) -> Vec<(u64, Reject)> {
        let reason = |place: u64| {
            let valid_until = self.pool.entry(place)?.fields.valid_until;
            let reject = Reject::NotExpired {
                valid_until,
                timestamp,
            };
            Some((place, reject))
        };
        let places = self.pool.expired(timestamp);
        places.into_iter().filter_map(reason).collect()
    }

    fn drop_only(&mut self, dropped: Vec<(u64, Reject)>) -> Built {
        let count = dropped.len();
        let outcomes = self.drop_operations(dropped);
        Built {
            writes: SealWrites {
                outcomes,
                ..SealWrites::default()
            },
            dropped: count,
        }
    }

    pub(crate) fn drop_operations(&mut self, dropped: Vec<(u64, Reject)>) -> Vec<NewOutcome> {
        let outcome = |(place, reject): (u64, Reject)| {
            let reason = reject.to_string();
            let (_, outcome) = self.pool.take_out(place, Outcome::Rejected { reason })?;
            Some(outcome)
        };
        dropped.into_iter().filter_map(outcome).collect()
    }

    /// Notes a sealed batch in memory and collects what is to be written.
    fn close(
        &mut self,
        (batch, mut undo, now): (SealedBatch, Undo, u64),
        witness: &BatchWitness,
        included: &[u64],
        dropped: Vec<(u64, Reject)>,
    ) -> Built {
        let mut outcomes = self.drop_operations(dropped);
        let rejected = outcomes.len();
        let number = batch.number();
        for place in included {
            let outcome = Outcome::Sealed { batch: number };
            if let Some((operation, outcome)) = self.pool.take_out(*place, outcome) {
                outcomes.push(outcome);
                undo.operations.push(operation);
            }
        }
        let foreign = self.drop_operations(self.signed_by_others(&undo.accounts));
        let rejected = rejected + foreign.len();
        outcomes.extend(foreign);
        for (index, _) in &undo.accounts {
            if let Some(account) = self.state.account(*index) {
                self.pool.advance(*index, account.nonce);
            }
        }
        let timestamp = batch.words().header.timestamp;
        self.queue_seen = None;
        self.oldest = self.oldest.or(Some(timestamp));
        self.head = Head {
            root: batch.new_root(),
            sealed: number,
            timestamp,
            queue: batch.queue().end,
            ..self.head
        };
        let new = NewBatch {
            batch,
            witness: witness_codec::encode(witness),
            undo,
            sealed: now,
        };
        Built {
            writes: SealWrites {
                batch: Some(new),
                outcomes,
                returned: None,
            },
            dropped: rejected,
        }
    }

    /// Operations that wait for accounts which the batch created, and which these accounts' keys did
    /// not sign, with the reason. Only an account that was undone has operations before it is
    /// created: L1 may have given its index to another key since.
    pub(crate) fn signed_by_others(&self, before: &[(u32, Option<Account>)]) -> Vec<(u64, Reject)> {
        let created = before.iter().filter(|(_, account)| account.is_none());
        let of_account = |(index, _): &(u32, Option<Account>)| {
            let key = self.state.account(*index)?.key;
            Some(self.pool.not_signed_by(*index, &key, &self.settings.domain))
        };
        created.filter_map(of_account).flatten().collect()
    }

    pub(crate) fn commit(&mut self, group: &[SealWrites]) -> Result<(), StoreError> {
        let is_nothing = |writes: &SealWrites| {
            writes.outcomes.is_empty() && writes.batch.is_none() && writes.returned.is_none()
        };
        if group.iter().all(is_nothing) {
            return Ok(());
        }
        let batches = group.iter().filter_map(|writes| writes.batch.as_ref());
        let touched = batches.flat_map(|new| new.undo.accounts.iter().map(|(index, _)| *index));
        let changes = Changes::of(&self.state, &touched.collect());
        self.store
            .add_seals(group, &changes, &self.head)
            .inspect_err(|_| self.stopped = true)
    }
}
