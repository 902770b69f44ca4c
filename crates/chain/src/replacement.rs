//! Replacing a transaction by one of the same nonce that offers more.

use crate::error::ChainError;
use crate::fees::{MAX_RAISED_TIP, Offer, offer};
use crate::outbox::{Id, Intent, Record, SignedCall};
use crate::rpc::{Message, Rpc};
use crate::sender::{Found, Sender};

/// Gas of a transaction that does nothing.
pub(crate) const EMPTY_GAS: u64 = 21_000;

impl Sender {
    /// Offers more for the same, if it still does what it was to do. `false` if no more is paid.
    pub(crate) fn raise(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<bool, ChainError> {
        let Some(record) = self.outbox.get(id) else {
            return Ok(false);
        };
        let empty = record.is_empty();
        if !empty {
            let message = Message {
                from: Some(self.address()),
                to: record.call.to,
                value: record.call.value,
                data: &record.call.data,
            };
            let hash = record.shown().hash;
            if let Err(reason) = self.simulate(rpc, message)? {
                // Why once more: it may be in a block meanwhile, and fail a second time for that.
                return match self.look(rpc, id)? {
                    Found::Nothing => Err(ChainError::WouldFail { what, hash, reason }),
                    _ => Ok(true),
                };
            }
        }
        self.attempt(rpc, id, empty)
    }

    /// Adds a spelling that offers more, and writes it down. `false` if no more is paid.
    pub(crate) fn attempt(&mut self, rpc: &Rpc, id: Id, empty: bool) -> Result<bool, ChainError> {
        let Some(record) = self.outbox.get(id) else {
            return Ok(false);
        };
        let last = record.last().map(|last| Offer {
            max_fee: last.max_fee,
            tip: last.tip,
        });
        let offer = match offer(rpc, last) {
            Err(ChainError::TooDear { .. }) if !empty => return Ok(false),
            Ok(offer) if offer.tip > MAX_RAISED_TIP && !empty => return Ok(false),
            offer => offer?,
        };
        let call = match empty {
            true => SignedCall::new(&self.empty_intent(""), record.call.nonce, EMPTY_GAS),
            false => record.call.clone(),
        };
        let attempt = self.sign(&call, offer);
        self.outbox
            .change(id, |record| record.attempts.push(attempt))?;
        Ok(true)
    }

    /// What takes a nonce and does nothing.
    pub(crate) fn empty_intent(&self, what: &'static str) -> Intent<'static> {
        Intent {
            what,
            to: Some(self.address()),
            value: 0,
            data: &[],
            keep: false,
            gas_bound: EMPTY_GAS,
        }
    }

    /// True if blocks cost more than what the last spelling offers: it will not come into one.
    pub(crate) fn fees_rose(&self, rpc: &Rpc, id: Id) -> Result<bool, ChainError> {
        let base = rpc.base_fee()?;
        let last = self.outbox.get(id).and_then(Record::last);
        Ok(last.is_some_and(|last| base > last.max_fee))
    }
}
