//! Sending: simulated first, written down before it leaves, then waited for, and forgotten once told.
//!
//! A signed transaction is in the [`Outbox`] before it is sent, and leaves it when its end was told to
//! whoever asked for it. Invariant: the same call made again after any interruption waits for the same
//! transaction, or tells its end, and no second one is sent while the first may still come into a block;
//! what stays behind is replaced only by one of the same nonce, of which the chain takes one. No refusal
//! by a node removes anything: another node may have the transaction.

use alloy::eips::BlockNumberOrTag;
use l1::evm::calldata::gas_limit;

use crate::error::ChainError;
use crate::nonces::MAX_WAITING;
use crate::outbox::{Id, Intent, SignedCall};
use crate::rpc::Rpc;
use crate::sender::{Ended, Sender, Settled};

impl Sender {
    /// The end of the same call, if it was sent before and its end was not told. It is waited for.
    pub(crate) fn resume(
        &mut self,
        rpc: &Rpc,
        intent: &Intent<'_>,
    ) -> Result<Option<Settled>, ChainError> {
        let Some(id) = self.outbox.find(intent) else {
            return Ok(None);
        };
        tracing::info!(what = intent.what, "found in the outbox");
        // Why first: it comes into no block before those that a reorganization dropped with it.
        self.settle_before(
            rpc,
            self.outbox.get(id).map_or(0, |record| record.call.nonce),
        )?;
        match self.settle(rpc, id, intent.what)? {
            Ended::Mined(mined) => Ok(Some(Settled { id, mined })),
            Ended::Cancelled => Ok(None),
        }
    }

    /// Sends a transaction and waits until a block has it. That it was not sent before, and nothing else
    /// waits, is the caller's to see to: [`Self::resume`], [`Self::settle_before`].
    pub(crate) fn send(&mut self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Settled, ChainError> {
        self.simulate(rpc, self.message(intent))?
            .map_err(|reason| ChainError::Refused {
                what: intent.what,
                reason,
            })?;
        let id = self.prepare(rpc, intent)?;
        self.again(rpc, id, intent.what)
    }

    /// Waits for a transaction of the outbox, perhaps not for the first time: a reorganization may have
    /// dropped its block.
    pub(crate) fn again(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Settled, ChainError> {
        match self.settle(rpc, id, what)? {
            Ended::Mined(mined) => Ok(Settled { id, mined }),
            Ended::Cancelled => Err(ChainError::Cancelled { what }),
        }
    }

    /// A transaction that did what it was to do. One that failed in its block is asked for once more, told,
    /// and forgotten.
    pub(crate) fn checked(
        &mut self,
        rpc: &Rpc,
        settled: Settled,
        what: &'static str,
    ) -> Result<Settled, ChainError> {
        if settled.mined.receipt.status() {
            return Ok(settled);
        }
        rpc.pause(self.patience.poll.1);
        let settled = self.again(rpc, settled.id, what)?;
        if settled.mined.receipt.status() {
            return Ok(settled);
        }
        self.outbox.remove(settled.id)?;
        Err(ChainError::Failed {
            what,
            block: settled.mined.number,
            hash: settled.mined.receipt.transaction_hash.to_string(),
        })
    }

    /// Waits for everything that was sent before with a nonce below `end`. Ends that nobody asked for are
    /// kept.
    pub(crate) fn settle_before(&mut self, rpc: &Rpc, end: u64) -> Result<(), ChainError> {
        for id in self.outbox.ids(end) {
            let Some(record) = self.outbox.get(id) else {
                continue;
            };
            let (keep, shown) = (record.is_kept(), record.shown());
            match self.settle(rpc, id, "an earlier transaction") {
                Ok(Ended::Mined(_)) if !keep => self.outbox.remove(id)?,
                Ok(Ended::Mined(_) | Ended::Cancelled)
                | Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {}
                Err(ChainError::NotMined { hash, said, .. }) => {
                    let why = format!("the node says {said}");
                    return Err(self.earlier(shown.what, hash, why));
                }
                Err(ChainError::WouldFail { hash, reason, .. }) => {
                    let why = format!("it would fail by now: {reason}");
                    return Err(self.earlier(shown.what, hash, why));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Signs the transaction and writes it down.
    pub(crate) fn prepare(&mut self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Id, ChainError> {
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
        self.write_down(rpc, intent, call)
    }

    pub(crate) fn earlier(&self, what: String, hash: String, why: String) -> ChainError {
        let from = self.address();
        ChainError::Earlier {
            from,
            what,
            hash,
            why,
        }
    }
}
