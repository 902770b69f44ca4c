//! Batches that L1 has finalized and that this database did not seal.
//!
//! Another submitter may continue the rollup, and a copy of the database may be older than L1. Such
//! batches are executed from what they published, on top of the accounts that are here. Invariant:
//! every operation that was acknowledged here and whose nonce such a batch used has a verdict
//! afterwards: it is part of the batch, or it is rejected, since another operation used its nonce.
//! One durable transaction for all batches given: all of it or nothing.
//!
//! L1 publishes an operation without nonce and expiry. The nonce follows from the order. Two
//! operations that differ in their expiry alone cannot be told apart; if neither had expired at the
//! batch's timestamp they do the same, so either counts as executed.

use std::collections::{BTreeMap, BTreeSet};

use ledger::account::Account;
use ledger::operation::{Fields, Signable, Transfer, Withdraw};
use ledger::reject::Reject;
use ledger::replay::{Replayed, replay_many};
use ledger::words::PublicWords;
use thiserror::Error;

use crate::batcher::Batcher;
use crate::error::StoreError;
use crate::restore::{HistoryError, RestoredBatch};
use crate::rows::{Head, Outcome};
use crate::tables::{Changes, NewOutcome};
use crate::undo::Undo;

/// What applying batches came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Batches that were executed.
    pub batches: u64,
    /// Operations acknowledged here that are part of them.
    pub executed: usize,
    /// Operations acknowledged here that they made invalid, each with its reason.
    pub rejected: usize,
}

/// Why batches were not applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Batches of this database stand in their place.
    #[error(
        "batch {number} is sealed here and not finalized: it is reopened before another batch takes its number"
    )]
    Open {
        /// The first such batch.
        number: u64,
    },
    /// The batches do not continue the history of this database.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Applied {
    /// Both together.
    pub fn and(self, more: Self) -> Self {
        Self {
            batches: self.batches + more.batches,
            executed: self.executed + more.executed,
            rejected: self.rejected + more.rejected,
        }
    }
}

impl Batcher {
    /// Executes batches that L1 has finalized after the last batch of this database, all of whose
    /// batches are finalized. What it takes to undo them is kept as for its own.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was applied.
    pub fn apply_finalized(&mut self, batches: &[RestoredBatch]) -> Result<Applied, ApplyError> {
        self.check_running()?;
        let Head {
            sealed, finalized, ..
        } = self.head;
        if sealed > finalized {
            let number = finalized + 1;
            return Err(ApplyError::Open { number });
        }
        let mut heads = vec![self.head];
        for batch in batches {
            let last = heads.last().unwrap_or(&self.head);
            heads.push(batch.follows(last, &self.settings)?);
        }
        let list: Vec<_> = (batches.iter())
            .map(|batch| (&batch.words, &batch.shape))
            .collect();
        let replayed = replay_many(&list, &mut self.state)
            .map_err(|error| HistoryError::replay(sealed, error))?;
        let result = self.write_applied(batches, &heads, replayed);
        // Why: memory has moved already, disk may not have.
        self.stopped |= result.is_err();
        result
    }

    /// Takes the operations concerned out of the mempool, then writes everything. `heads` are where the
    /// batcher stands before the first batch and after each.
    fn write_applied(
        &mut self,
        batches: &[RestoredBatch],
        heads: &[Head],
        replayed: Vec<Replayed>,
    ) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        let mut writes = Vec::with_capacity(batches.len());
        for ((batch, of_batch), before) in batches.iter().zip(replayed).zip(heads) {
            let mut undo = Undo {
                timestamp: before.timestamp,
                accounts: of_batch.before,
                operations: Vec::new(),
            };
            let outcomes = self.take_out_concerned(&batch.words, &mut undo);
            let executed =
                |(_, _, stored): &&NewOutcome| matches!(stored.outcome, Outcome::Sealed { .. });
            let executed = outcomes.iter().filter(executed).count();
            applied = applied.and(Applied {
                batches: 1,
                executed,
                rejected: outcomes.len() - executed,
            });
            let batch = batch.clone();
            writes.push(batch.writes(of_batch.payouts, undo, outcomes)?);
        }
        let touched = writes.iter().flat_map(|writes| &writes.undo.accounts);
        let touched: BTreeSet<u32> = touched.map(|(index, _)| *index).collect();
        for index in &touched {
            if let Some(account) = self.state.account(*index) {
                self.pool.advance(*index, account.nonce);
            }
        }
        let head = heads.last().copied().unwrap_or(self.head);
        let changes = Changes::of(&self.state, &touched);
        let window = self.settings.undo_window;
        self.store.add_finalized(&writes, window, &changes, &head)?;
        self.head = head;
        self.queue_seen = None;
        self.oldest = None;
        Ok(applied)
    }

    /// Takes the operations out of the mempool whose nonces the batch used, those that the keys of
    /// accounts which it created did not sign, and those that expired before its timestamp. All of
    /// them are noted in `undo`: they wait again if L1 loses the batch.
    fn take_out_concerned(&mut self, words: &PublicWords, undo: &mut Undo) -> Vec<NewOutcome> {
        let foreign = self.signed_by_others(&undo.accounts);
        let mut outcomes = self.take_out(rejected(foreign), undo);
        let used = self.published(words, &undo.accounts);
        let used = used.into_iter().filter_map(|published| {
            let place = self.pool.place_of(published.from, published.nonce)?;
            let waiting = &self.pool.entry(place)?.fields;
            Some((place, outcome_of(waiting, &published, words)))
        });
        let used = used.collect();
        outcomes.extend(self.take_out(used, undo));
        let expired = self.expired(words.header.timestamp);
        outcomes.extend(self.take_out(rejected(expired), undo));
        outcomes
    }

    /// The operations of a batch in the order of execution, which expire as soon as they can have; `before`
    /// are the accounts before it.
    fn published(&self, words: &PublicWords, before: &[(u32, Option<Account>)]) -> Vec<Fields> {
        let nonce = |account: &Option<Account>| account.map_or(0, |account| account.nonce);
        let mut nonces: BTreeMap<u32, u64> = (before.iter())
            .map(|(index, account)| (*index, nonce(account)))
            .collect();
        let transfers = words.transfers.iter().map(|data| {
            let amounts = (data.amount, data.fee);
            (Transfer::KIND, (data.from, data.to), amounts)
        });
        let withdrawals = words.withdrawals.iter().map(|data| {
            let amounts = (data.amount, data.fee);
            (Withdraw::KIND, (data.index, 0), amounts)
        });
        let used = transfers.chain(withdrawals);
        let used = used.filter(|(_, (from, _), _)| *from != 0);
        let published = used.filter_map(|(kind, (from, to), (amount, fee))| {
            let token = self.state.account(from)?.token;
            let next = nonces.entry(from).or_default();
            let nonce = *next;
            *next += 1;
            Some(Fields {
                kind,
                from,
                to,
                amount,
                fee,
                nonce,
                valid_until: words.header.timestamp,
                token,
            })
        });
        published.collect()
    }

    fn take_out(&mut self, outcomes: Vec<(u64, Outcome)>, undo: &mut Undo) -> Vec<NewOutcome> {
        let outcome = |(place, outcome): (u64, Outcome)| {
            let (operation, outcome) = self.pool.take_out(place, outcome)?;
            undo.operations.push(operation);
            Some(outcome)
        };
        outcomes.into_iter().filter_map(outcome).collect()
    }
}

/// What becomes of an operation that waits, and whose nonce a published one used.
fn outcome_of(waiting: &Fields, published: &Fields, words: &PublicWords) -> Outcome {
    let (batch, timestamp) = (words.header.batch_number, words.header.timestamp);
    let as_published = Fields {
        valid_until: published.valid_until,
        ..*waiting
    };
    if as_published == *published && waiting.valid_until >= timestamp {
        return Outcome::Sealed { batch };
    }
    let Fields { nonce, from, .. } = waiting;
    let reason = format!(
        "batch {batch}, which another submitter made, executed another operation with nonce {nonce} of account {from}"
    );
    Outcome::Rejected { reason }
}

fn rejected(operations: Vec<(u64, Reject)>) -> Vec<(u64, Outcome)> {
    let outcome = |(place, reject): (u64, Reject)| {
        let reason = reject.to_string();
        (place, Outcome::Rejected { reason })
    };
    operations.into_iter().map(outcome).collect()
}
