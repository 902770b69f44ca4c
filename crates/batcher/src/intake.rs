//! Operations that are handed in.
//!
//! Invariant: what is acknowledged is on disk.

use ledger::reject::Reject;
use rayon::prelude::*;

use crate::batcher::Batcher;
use crate::error::StoreError;
use crate::mempool::{Entry, Refusal, Room, Screened, Surroundings};
use crate::operation::{OperationId, SignedOperation};
use crate::role::Role;
use crate::rows::{Outcome, StoredOperation};
use crate::tables::NewOutcome;

/// What one call of intake changes.
#[derive(Default)]
struct Taken {
    rows: Vec<StoredOperation>,
    replaced: Vec<NewOutcome>,
}

impl Batcher {
    /// Takes signed operations, at `now` seconds since 1970. Signatures are checked in parallel,
    /// acknowledged operations are written in one transaction, and each operation has its own
    /// verdict: its id once it is durable, or why it was refused. An operation that waits or was
    /// executed already is acknowledged again and changes nothing; one that was rejected before is
    /// taken as new.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of this call is acknowledged.
    pub fn submit_many(
        &mut self,
        operations: &[SignedOperation],
        now: u64,
    ) -> Result<Vec<Result<OperationId, Refusal>>, StoreError> {
        self.check_running()?;
        if self.role == Some(Role::Mirror) {
            return Ok(vec![Err(Refusal::Mirror); operations.len()]);
        }
        let around = Surroundings {
            state: &self.state,
            domain: &self.settings.domain,
            fee_accounts: &self.settings.fee_accounts,
            kinds: &self.kinds,
            now,
        };
        let screened: Vec<Result<Screened, Refusal>> = operations
            .par_iter()
            .map(|operation| self.pool.screen(operation, &around))
            .collect();
        let mut taken = Taken::default();
        let mut verdicts = Vec::with_capacity(operations.len());
        for (operation, screened) in operations.iter().zip(screened) {
            let verdict = match screened {
                Ok(screened) => self.admit(operation, screened, now, &mut taken)?,
                Err(refusal) => Err(refusal),
            };
            verdicts.push(verdict);
        }
        let Taken { rows, replaced } = taken;
        if !rows.is_empty() {
            self.store
                .add_pending(&rows, &replaced, self.pool.next_place())
                .inspect_err(|_| self.stopped = true)?;
        }
        Ok(verdicts)
    }

    /// Takes one operation: [`Self::submit_many`] of one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn submit(
        &mut self,
        operation: SignedOperation,
        now: u64,
    ) -> Result<Result<OperationId, Refusal>, StoreError> {
        let mut verdicts = self.submit_many(&[operation], now)?;
        Ok(verdicts.pop().expect("there is one verdict an operation"))
    }

    fn admit(
        &mut self,
        signed: &SignedOperation,
        screened: Screened,
        now: u64,
        taken: &mut Taken,
    ) -> Result<Result<OperationId, Refusal>, StoreError> {
        let (id, operation) = match screened {
            Screened::Known(id) => return Ok(Ok(id)),
            Screened::Used(id, reject) => return self.executed(id, reject),
            Screened::New(id, operation) => (id, operation),
        };
        if self.pool.contains(&id) {
            return Ok(Ok(id));
        }
        let entry = Entry::verified(id, operation, now);
        let account = self.state.account(entry.fields.from);
        let next = account.map_or(0, |account| account.nonce);
        let takes_fees = |token| self.settings.fee_accounts.contains_key(&token);
        let room = Room {
            next,
            now,
            takes_fees: &takes_fees,
        };
        match self.pool.room_for(&entry.fields, &room) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Some(place)) => self.replace(place, &id, taken),
            Ok(None) => {}
        }
        let place = self.pool.insert(entry, next);
        taken.rows.push(StoredOperation {
            place,
            received: now,
            operation: *signed,
        });
        Ok(Ok(id))
    }

    /// Takes the operation at a place out, in favour of another with its nonce.
    fn replace(&mut self, place: u64, by: &OperationId, taken: &mut Taken) {
        let outcome = Outcome::Rejected {
            reason: format!("replaced by operation {by} of the same nonce"),
        };
        let Some((_, outcome)) = self.pool.take_out(place, outcome) else {
            return;
        };
        // One that came with this very call was never written.
        taken.rows.retain(|row| row.place != place);
        taken.replaced.push(outcome);
    }

    /// The verdict on an operation whose nonce is used: by itself, or by another.
    fn executed(
        &self,
        id: OperationId,
        reject: Reject,
    ) -> Result<Result<OperationId, Refusal>, StoreError> {
        Ok(
            match self.store.outcome(&id)?.map(|stored| stored.outcome) {
                Some(Outcome::Sealed { .. }) => Ok(id),
                Some(Outcome::Rejected { .. }) | None => Err(reject.into()),
            },
        )
    }
}
