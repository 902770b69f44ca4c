//! Replacing a transaction by one of the same nonce that offers more.

use crate::error::ChainError;
use crate::fees::{MAX_RAISED_TIP, Offer, offer};
use crate::outbox::{Id, Intent, Record, SignedCall};
use crate::rpc::{Message, Rpc};
use crate::sender::{ReceiptQuery, Sender};

/// Gas of a transaction that does nothing.
pub(crate) const EMPTY_GAS: u64 = 21_000;

impl Sender {
    /// Replaces a transaction by one that offers more, if a simulation says that the call still succeeds. Returns
    /// `false` if this program pays no more.
    pub(crate) fn replace(
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
            let hash = record.summary().hash;
            if let Err(reason) = self.simulate(rpc, message)? {
                // Why the receipt: a block may have it by now, and the simulation fails because of that.
                return match self.query_receipt(rpc, id)? {
                    ReceiptQuery::Pending => Err(ChainError::WouldFail { what, hash, reason }),
                    _ => Ok(true),
                };
            }
        }
        self.sign_replacement(rpc, id, empty)
    }

    /// Signs a replacement that offers more, and records it. Returns `false` if this program pays no more.
    pub(crate) fn sign_replacement(
        &mut self,
        rpc: &Rpc,
        id: Id,
        empty: bool,
    ) -> Result<bool, ChainError> {
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

    /// The intent of a transaction that uses a nonce and does nothing else.
    pub(crate) fn empty_intent(&self, what: &'static str) -> Intent<'static> {
        Intent {
            what,
            to: Some(self.address()),
            value: 0,
            data: &[],
            acknowledge: false,
            gas_bound: EMPTY_GAS,
        }
    }

    /// True if the base fee is above what the last replacement offers: no block can include it.
    pub(crate) fn fees_rose(&self, rpc: &Rpc, id: Id) -> Result<bool, ChainError> {
        let base = rpc.base_fee()?;
        let last = self.outbox.get(id).and_then(Record::last);
        Ok(last.is_some_and(|last| base > last.max_fee))
    }
}
