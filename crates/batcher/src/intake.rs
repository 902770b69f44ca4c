//! Operations that are handed in.
//!
//! Invariant: what is acknowledged is on disk.

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
        // Why everything is read first: were a read to fail later, what the mempool took before would
        // be acknowledged when it is handed in again, and is not on disk.
        let screened = operations
            .par_iter()
            .map(|operation| self.looked_up(self.pool.screen(operation, &around)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let mut taken = Taken::default();
        let mut verdicts = Vec::with_capacity(operations.len());
        for (operation, screened) in operations.iter().zip(screened) {
            let admitted =
                screened.and_then(|screened| self.admit(operation, screened, now, &mut taken));
            verdicts.push(admitted);
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
    ) -> Result<OperationId, Refusal> {
        let (id, operation) = match screened {
            Screened::Known(id) => return Ok(id),
            Screened::Used(_, reject) => return Err(reject.into()),
            Screened::New(id, operation) => (id, operation),
        };
        if self.pool.contains(&id) {
            return Ok(id);
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
        if let Some(place) = self.pool.room_for(&entry.fields, &room)? {
            self.replace(place, &id, taken);
        }
        let place = self.pool.insert(entry, next);
        taken.rows.push(StoredOperation {
            place,
            received: now,
            operation: *signed,
        });
        Ok(id)
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

    /// An operation whose nonce is used is known if a batch has it: another may have used the nonce.
    fn looked_up(
        &self,
        screened: Result<Screened, Refusal>,
    ) -> Result<Result<Screened, Refusal>, StoreError> {
        let Ok(Screened::Used(id, _)) = &screened else {
            return Ok(screened);
        };
        let outcome = self.store.outcome(id)?.map(|stored| stored.outcome);
        Ok(match outcome {
            Some(Outcome::Sealed { .. }) => Ok(Screened::Known(*id)),
            Some(Outcome::Rejected { .. }) | None => screened,
        })
    }
}
