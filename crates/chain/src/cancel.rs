//! Cancelling pending transactions: each is replaced by an empty one.

use alloy::eips::BlockNumberOrTag;
use rollup::{TransactionStatus, Unacknowledged};

use crate::error::ChainError;
use crate::nonces::MAX_WAITING;
use crate::outbox::{Id, Record, SignedCall};
use crate::replacement::EMPTY_GAS;
use crate::rpc::Rpc;
use crate::sender::{Inclusion, ReceiptQuery, Sender};

impl Sender {
    /// Replaces every pending transaction by an empty one, fills free nonces before them with empty ones too,
    /// waits for all of them, and returns what became of each. The record of a transaction is dropped if
    /// another program's has its nonce.
    pub(crate) fn cancel(&mut self, rpc: &Rpc) -> Result<Vec<Unacknowledged>, ChainError> {
        let (what, from) = ("the empty transaction", self.address());
        let mut ended = Vec::new();
        for id in self.outbox.ids(u64::MAX) {
            let shown = self.outbox.get(id).map(Record::summary);
            let as_ = |status| shown.map(|record| Unacknowledged { status, ..record });
            match self.query_receipt(rpc, id)? {
                // A reorganization may have dropped the block in which it was seen.
                ReceiptQuery::Pending => self.outbox.change(id, |record| record.outcome = None)?,
                found @ ReceiptQuery::Emptied(_) => {
                    self.record_query(rpc, id, what, found)?;
                    ended.extend(as_(TransactionStatus::Cancelled));
                }
                ReceiptQuery::Included(mined) => {
                    self.record_inclusion(rpc, id, &mined)?;
                    ended.extend(self.in_block(id)?);
                }
                // Why it is waited for: the receipt may only be late.
                ReceiptQuery::NonceUsed => match self.wait_for_inclusion(rpc, id, what) {
                    Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {
                        self.outbox.remove(id)?;
                        ended.extend(as_(TransactionStatus::NonceUsed));
                    }
                    Ok(Inclusion::Cancelled) => ended.extend(as_(TransactionStatus::Cancelled)),
                    Ok(Inclusion::Included(_)) => ended.extend(self.in_block(id)?),
                    Err(error) => return Err(error),
                },
            }
        }
        let pending = self.outbox.records().iter();
        let pending = pending.filter(|record| record.outcome.is_none());
        let nonces: Vec<u64> = pending.map(|record| record.call.nonce).collect();
        let (Some(first), Some(last)) = (nonces.iter().min(), nonces.iter().max()) else {
            return Ok(ended);
        };
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let (next, last) = (next.max(self.least_nonce(rpc)?).min(*first), *last);
        // Why bounded: a node that is not synchronised may return an old nonce.
        let waiting = last.saturating_sub(next);
        if waiting > MAX_WAITING {
            return Err(ChainError::Crowded { from, waiting });
        }
        let mut empty = Vec::new();
        for nonce in next..=last {
            empty.push(match self.outbox.pending(nonce) {
                Some(id) => {
                    if !self.outbox.get(id).is_some_and(Record::is_empty) {
                        self.sign_replacement(rpc, id, true)?;
                    }
                    id
                }
                None => self.record_empty(rpc, what, nonce)?,
            });
        }
        // Why the last first: once a gap is filled, a block may include what is pending behind it as well.
        for id in empty.iter().rev() {
            self.broadcast(rpc, *id)?;
        }
        for id in empty {
            let shown = self.outbox.get(id).map(Record::summary);
            let as_ = |status| shown.map(|record| Unacknowledged { status, ..record });
            ended.extend(match self.wait_for_inclusion(rpc, id, what) {
                Ok(Inclusion::Included(_)) => self.in_block(id)?,
                Ok(Inclusion::Cancelled) => as_(TransactionStatus::Cancelled),
                Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {
                    self.outbox.remove(id)?;
                    as_(TransactionStatus::NonceUsed)
                }
                Err(error) => return Err(error),
            });
        }
        Ok(ended)
    }

    /// A transaction that a block had included before it was cancelled, as people see it. Its record is dropped,
    /// unless its own call has to acknowledge the outcome.
    fn in_block(&mut self, id: Id) -> Result<Option<Unacknowledged>, ChainError> {
        let record = self.outbox.get(id);
        let (shown, keep) = (
            record.map(Record::summary),
            record.is_some_and(Record::needs_acknowledgement),
        );
        if !keep {
            self.outbox.remove(id)?;
        }
        Ok(shown)
    }

    /// Signs an empty transaction for a nonce of which the outbox has none, and records it.
    fn record_empty(
        &mut self,
        rpc: &Rpc,
        what: &'static str,
        nonce: u64,
    ) -> Result<Id, ChainError> {
        let intent = self.empty_intent(what);
        let call = SignedCall::new(&intent, nonce, EMPTY_GAS);
        self.record_first(rpc, &intent, call)
    }
}
