//! Sending a transaction: it is simulated, signed, recorded in the outbox, sent, and waited for.
//!
//! A signed transaction is in the outbox before it is sent, and stays there until the caller has acknowledged
//! its outcome. Invariant: the same call made again after any interruption waits for the same transaction, or
//! returns its outcome, and no second one is sent while a block may still include the first. A transaction is
//! replaced only by one of the same nonce, so that the chain includes at most one of them. If a node refuses a
//! transaction, its record stays: another node may have it.

use alloy::eips::BlockNumberOrTag;
use l1::evm::calldata::gas_limit;

use crate::error::ChainError;
use crate::nonces::MAX_WAITING;
use crate::outbox::{Id, Intent, SignedCall};
use crate::rpc::Rpc;
use crate::sender::{Included, Inclusion, Sender};

impl Sender {
    /// Waits for the transaction of the same call, if the outbox has one.
    pub(crate) fn resume(
        &mut self,
        rpc: &Rpc,
        intent: &Intent<'_>,
    ) -> Result<Option<Included>, ChainError> {
        let Some(id) = self.outbox.find(intent) else {
            return Ok(None);
        };
        tracing::info!(
            what = intent.what,
            "waiting for the transaction in the outbox"
        );
        // Why first: a reorganization may have dropped transactions of lower nonces together with it.
        self.wait_for_earlier(
            rpc,
            self.outbox.get(id).map_or(0, |record| record.call.nonce),
        )?;
        match self.wait_for_inclusion(rpc, id, intent.what)? {
            Inclusion::Included(mined) => Ok(Some(Included { id, mined })),
            Inclusion::Cancelled => Ok(None),
        }
    }

    /// Sends a transaction and waits until a block includes it. The caller has made sure that it was not sent
    /// before ([`Self::resume`]) and that no other is pending ([`Self::wait_for_earlier`]).
    pub(crate) fn send(&mut self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Included, ChainError> {
        self.simulate(rpc, self.message(intent))?
            .map_err(|reason| ChainError::Refused {
                what: intent.what,
                reason,
            })?;
        let id = self.sign_and_record(rpc, intent)?;
        self.recheck_inclusion(rpc, id, intent.what)
    }

    /// Waits for a transaction of the outbox once more: a reorganization may have dropped its block.
    pub(crate) fn recheck_inclusion(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Included, ChainError> {
        match self.wait_for_inclusion(rpc, id, what)? {
            Inclusion::Included(mined) => Ok(Included { id, mined }),
            Inclusion::Cancelled => Err(ChainError::Cancelled { what }),
        }
    }

    /// Waits for every transaction of the outbox with a nonce below `end`. A record whose outcome has to be
    /// acknowledged stays until its own call does so.
    pub(crate) fn wait_for_earlier(&mut self, rpc: &Rpc, end: u64) -> Result<(), ChainError> {
        for id in self.outbox.ids(end) {
            let Some(record) = self.outbox.get(id) else {
                continue;
            };
            let (keep, shown) = (record.needs_acknowledgement(), record.summary());
            match self.wait_for_inclusion(rpc, id, "an earlier transaction") {
                Ok(Inclusion::Included(_)) if !keep => self.outbox.remove(id)?,
                Ok(Inclusion::Included(_) | Inclusion::Cancelled)
                | Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {}
                Err(ChainError::NotMined { hash, said, .. }) => {
                    let why = format!("the node says {said}");
                    return Err(self.blocked_by_earlier(shown.what, hash, why));
                }
                Err(ChainError::WouldFail { hash, reason, .. }) => {
                    let why = format!("it would fail now: {reason}");
                    return Err(self.blocked_by_earlier(shown.what, hash, why));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Chooses nonce and gas, signs the transaction and records it.
    fn sign_and_record(&mut self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Id, ChainError> {
        let from = self.address();
        let estimated = rpc.estimate_gas(self.message(intent))?;
        let gas = gas_limit(estimated, intent.gas_bound);
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let pending = rpc.nonce(from, BlockNumberOrTag::Pending)?;
        let nonce = pending.max(next).max(self.least_nonce(rpc)?);
        if nonce - next > MAX_WAITING {
            let waiting = nonce - next;
            return Err(ChainError::Crowded { from, waiting });
        }
        let call = SignedCall::new(intent, nonce, gas);
        self.record_first(rpc, intent, call)
    }

    fn blocked_by_earlier(&self, what: String, hash: String, why: String) -> ChainError {
        let from = self.address();
        ChainError::Earlier {
            from,
            what,
            hash,
            why,
        }
    }
}
