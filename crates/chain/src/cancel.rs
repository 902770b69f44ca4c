//! Giving up what waits: empty transactions take the nonces.

use alloy::eips::BlockNumberOrTag;
use rollup::{Standing, Unsettled};

use crate::error::ChainError;
use crate::nonces::MAX_WAITING;
use crate::outbox::{Id, Record, SignedCall};
use crate::replacement::EMPTY_GAS;
use crate::rpc::Rpc;
use crate::sender::{Ended, Found, Sender};

impl Sender {
    /// Takes the nonces of everything that waits, and those before them that are free, by empty
    /// transactions, and tells what came of each. What another transaction's nonce keeps out is forgotten.
    pub(crate) fn cancel(&mut self, rpc: &Rpc) -> Result<Vec<Unsettled>, ChainError> {
        let (what, from) = ("the empty transaction", self.address());
        let mut ended = Vec::new();
        for id in self.outbox.ids(u64::MAX) {
            let shown = self.outbox.get(id).map(Record::shown);
            let as_ = |standing| shown.map(|record| Unsettled { standing, ..record });
            match self.look(rpc, id)? {
                // A reorganization may have dropped it since it was seen in a block.
                Found::Nothing => self.outbox.change(id, |record| record.end = None)?,
                found @ Found::Empty(_) => {
                    self.end(rpc, id, what, found)?;
                    ended.extend(as_(Standing::Cancelled));
                }
                Found::Mined(mined) => {
                    self.note(rpc, id, &mined)?;
                    ended.extend(self.in_block(id)?);
                }
                // Why settled: the receipt may only be late.
                Found::NonceUsed => match self.settle(rpc, id, what) {
                    Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {
                        self.outbox.remove(id)?;
                        ended.extend(as_(Standing::NonceUsed));
                    }
                    Ok(Ended::Cancelled) => ended.extend(as_(Standing::Cancelled)),
                    Ok(Ended::Mined(_)) => ended.extend(self.in_block(id)?),
                    Err(error) => return Err(error),
                },
            }
        }
        let waiting = self.outbox.records().iter();
        let waiting = waiting.filter(|record| record.end.is_none());
        let nonces: Vec<u64> = waiting.map(|record| record.call.nonce).collect();
        let (Some(first), Some(last)) = (nonces.iter().min(), nonces.iter().max()) else {
            return Ok(ended);
        };
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let (next, last) = (next.max(self.least_nonce(rpc)?).min(*first), *last);
        // Why bounded: a node that is not synchronised tells of a nonce long ago.
        let waiting = last.saturating_sub(next);
        if waiting > MAX_WAITING {
            return Err(ChainError::Crowded { from, waiting });
        }
        let mut taken = Vec::new();
        for nonce in next..=last {
            taken.push(match self.outbox.waiting(nonce) {
                Some(id) => {
                    if !self.outbox.get(id).is_some_and(Record::is_empty) {
                        self.attempt(rpc, id, true)?;
                    }
                    id
                }
                None => self.prepare_empty(rpc, what, nonce)?,
            });
        }
        // Why the last first: once a gap is filled, what waits behind it would come into the same block.
        for id in taken.iter().rev() {
            self.push(rpc, *id)?;
        }
        for id in taken {
            let shown = self.outbox.get(id).map(Record::shown);
            let as_ = |standing| shown.map(|record| Unsettled { standing, ..record });
            ended.extend(match self.settle(rpc, id, what) {
                Ok(Ended::Mined(_)) => self.in_block(id)?,
                Ok(Ended::Cancelled) => as_(Standing::Cancelled),
                Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {
                    self.outbox.remove(id)?;
                    as_(Standing::NonceUsed)
                }
                Err(error) => return Err(error),
            });
        }
        Ok(ended)
    }

    /// A transaction that a block had before it was cancelled, for people. It is forgotten, unless whoever
    /// asked for it has to hear more of it.
    pub(crate) fn in_block(&mut self, id: Id) -> Result<Option<Unsettled>, ChainError> {
        let record = self.outbox.get(id);
        let (shown, keep) = (
            record.map(Record::shown),
            record.is_some_and(Record::is_kept),
        );
        if !keep {
            self.outbox.remove(id)?;
        }
        Ok(shown)
    }

    /// Signs an empty transaction for a nonce that nothing here takes, and writes it down.
    pub(crate) fn prepare_empty(
        &mut self,
        rpc: &Rpc,
        what: &'static str,
        nonce: u64,
    ) -> Result<Id, ChainError> {
        let intent = self.empty_intent(what);
        let call = SignedCall::new(&intent, nonce, EMPTY_GAS);
        self.write_down(rpc, &intent, call)
    }
}
