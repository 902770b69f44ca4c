//! Waiting until a block includes a transaction.
//!
//! The outbox may have several signed transactions of a call: the first and its replacements, of one nonce. The
//! chain includes one of them, and each is looked for.

use alloy::eips::BlockNumberOrTag;

use crate::blocks::Mined;
use crate::error::ChainError;
use crate::outbox::{Id, KnownOutcome, NonceFloor, Record};
use crate::replies::{Refusal, meaning};
use crate::rpc::{Broadcast, Rpc};
use crate::sender::{Inclusion, ReceiptQuery, Sender};

/// How often a transaction is replaced in one command.
const REPLACEMENTS: u32 = 6;

impl Sender {
    /// Sends the transaction of a record and waits for its inclusion, replacing it if need be.
    pub(crate) fn wait_for_inclusion(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Inclusion, ChainError> {
        if let Some(inclusion) = self.known_inclusion(rpc, id, what)? {
            return Ok(inclusion);
        }
        for replaced in 0..=REPLACEMENTS {
            let refused = match self.broadcast(rpc, id)? {
                Broadcast::Accepted => None,
                Broadcast::Refused(message) => Some((meaning(&message), message)),
            };
            let hopeless = matches!(refused, Some((Refusal::Final, _)));
            let found = self.poll_receipt(rpc, id, hopeless)?;
            if let Some(inclusion) = self.record_query(rpc, id, what, found)? {
                return Ok(inclusion);
            }
            if let Some((Refusal::Final | Refusal::Unclear, said)) = refused
                && !self.fees_rose(rpc, id)?
            {
                return Err(self.not_mined(id, what, &said));
            }
            self.check_gap(rpc, id, what)?;
            if replaced == REPLACEMENTS || !self.replace(rpc, id, what)? {
                break;
            }
        }
        Err(self.not_mined(id, what, "nothing"))
    }

    /// Whether the node knows a receipt of the transaction now; none if a block may still include it.
    fn known_inclusion(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Option<Inclusion>, ChainError> {
        let found = self.query_receipt(rpc, id)?;
        let known = self.outbox.get(id).and_then(|record| record.outcome);
        match (found, known) {
            // Why at once: an earlier command has waited for the receipt already.
            (ReceiptQuery::NonceUsed, Some(KnownOutcome::NonceUsed)) => {
                self.record_query(rpc, id, what, ReceiptQuery::NonceUsed)
            }
            (ReceiptQuery::NonceUsed | ReceiptQuery::Pending, _) => {
                self.outbox.change(id, |record| record.outcome = None)?;
                Ok(None)
            }
            (found, _) => self.record_query(rpc, id, what, found),
        }
    }

    /// Records the result of a receipt query.
    pub(crate) fn record_query(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
        found: ReceiptQuery,
    ) -> Result<Option<Inclusion>, ChainError> {
        match found {
            ReceiptQuery::Included(mined) => {
                self.record_inclusion(rpc, id, &mined)?;
                Ok(Some(Inclusion::Included(mined)))
            }
            ReceiptQuery::Emptied(mined) => {
                // Why twice: the same call is sent anew once its record is dropped.
                rpc.pause(self.patience.poll.1);
                match self.query_receipt(rpc, id)? {
                    ReceiptQuery::Emptied(again) if again.hash == mined.hash => {}
                    _ => return Err(ChainError::Unsteady { attempts: 1 }),
                }
                self.record_inclusion(rpc, id, &mined)?;
                self.outbox.remove(id)?;
                Ok(Some(Inclusion::Cancelled))
            }
            ReceiptQuery::NonceUsed => {
                let (from, record) = (self.address(), self.outbox.get(id));
                let nonce = record.map_or(0, |record| record.call.nonce);
                if !record.is_some_and(Record::needs_acknowledgement) {
                    // Why: the same call may be sent again, it does no harm twice.
                    self.outbox.remove(id)?;
                    return Err(ChainError::Cancelled { what });
                }
                self.outbox
                    .change(id, |record| record.outcome = Some(KnownOutcome::NonceUsed))?;
                Err(ChainError::Replaced { what, from, nonce })
            }
            ReceiptQuery::Pending => Ok(None),
        }
    }

    pub(crate) fn record_inclusion(
        &mut self,
        rpc: &Rpc,
        id: Id,
        mined: &Mined,
    ) -> Result<(), ChainError> {
        let outcome = KnownOutcome::InBlock {
            number: mined.number,
            success: mined.receipt.status(),
        };
        let nonce = self.outbox.get(id).map_or(0, |record| record.call.nonce);
        let (next, number) = (nonce + 1, mined.number);
        let known = self.outbox.nonce_floor();
        let known = known.is_some_and(|floor| (floor.number, floor.nonce) >= (number, next));
        if !known {
            self.outbox.set_nonce_floor(Some(NonceFloor {
                nonce: next,
                number,
                hash: mined.hash,
                seen: rpc.now(),
            }))?;
        }
        self.outbox
            .change(id, |record| record.outcome = Some(outcome))
    }

    /// Sends the last of the transactions, which offers most.
    pub(crate) fn broadcast(&self, rpc: &Rpc, id: Id) -> Result<Broadcast, ChainError> {
        match self.outbox.get(id).and_then(Record::last) {
            Some(attempt) => rpc.send(&attempt.raw),
            None => Ok(Broadcast::Accepted),
        }
    }

    /// Queries the receipts of the transaction and its replacements once.
    pub(crate) fn query_receipt(&self, rpc: &Rpc, id: Id) -> Result<ReceiptQuery, ChainError> {
        let Some(record) = self.outbox.get(id) else {
            return Ok(ReceiptQuery::Pending);
        };
        // Why before the receipts: if the nonce is used now, its receipt exists when it is queried.
        let next = rpc.nonce(self.address(), BlockNumberOrTag::Latest)?;
        for attempt in record.attempts.iter().rev() {
            if let Some(mined) = rpc.mined(attempt.hash)? {
                return Ok(match attempt.empty {
                    true => ReceiptQuery::Emptied(mined),
                    false => ReceiptQuery::Included(mined),
                });
            }
        }
        Ok(match next > record.call.nonce {
            true => ReceiptQuery::NonceUsed,
            false => ReceiptQuery::Pending,
        })
    }

    /// Queries the receipts until there is one or it is time for a replacement; once if it is `hopeless`.
    fn poll_receipt(&self, rpc: &Rpc, id: Id, hopeless: bool) -> Result<ReceiptQuery, ChainError> {
        let (mut pause, most) = self.patience.poll;
        let begun = rpc.elapsed();
        let mut used_since = None;
        loop {
            match self.query_receipt(rpc, id)? {
                ReceiptQuery::NonceUsed => {
                    let since = *used_since.get_or_insert_with(|| rpc.elapsed());
                    if rpc.elapsed() - since >= self.patience.nonce_used {
                        return Ok(ReceiptQuery::NonceUsed);
                    }
                }
                ReceiptQuery::Pending => {
                    used_since = None;
                    let rose = || self.fees_rose(rpc, id);
                    if hopeless || rpc.elapsed() - begun >= self.patience.silence || rose()? {
                        return Ok(ReceiptQuery::Pending);
                    }
                }
                found => return Ok(found),
            }
            rpc.pause(pause);
            pause = (pause * 2).min(most);
        }
    }

    fn not_mined(&self, id: Id, what: &'static str, said: &str) -> ChainError {
        let last = self.outbox.get(id).and_then(Record::last);
        ChainError::NotMined {
            what,
            hash: last.map_or_else(String::new, |attempt| attempt.hash.to_string()),
            fee: last.map_or(0, |attempt| attempt.max_fee),
            said: said.to_owned(),
        }
    }
}
