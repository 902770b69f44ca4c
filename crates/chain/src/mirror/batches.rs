//! Applying the batches of a transaction, from its call data.

use alloy::primitives::B256;
use l1::evm::calldata;
use l1::{Calls, L1Error};

use super::bookkeeping::{Mirror, Stop, disagree};
use crate::rpc::{BlockId, Rpc};

impl Mirror {
    /// Applies the batches of a transaction, decoded from its call data.
    pub(super) fn apply_batches(
        &mut self,
        rpc: &Rpc,
        calls: &mut Calls<'_, '_>,
        block: BlockId,
        hash: B256,
        (number, count): (u64, usize),
    ) -> Result<(), Stop> {
        use alloy::consensus::Transaction as _;
        let what = || format!("batch {number} in transaction {hash}");
        let transaction = rpc.transaction(hash)?.ok_or(Stop::Moved)?;
        if transaction.block_hash != Some(block.hash) {
            return Err(Stop::Moved);
        }
        let from = l1::bytes::Bytes(transaction.inner.signer().into_array());
        let deployment = calls.deployment();
        let shape_of = |id| deployment.shape(id).map(|listed| &listed.shape);
        let (domain, root) = (deployment.domain(), calls.head().root);
        let batches = calldata::decode(transaction.input(), shape_of, &domain, &root)
            .map_err(|error| disagree(block, what(), error))?;
        if batches.len() != count || calls.head().next_batch != number {
            let reason = format!("{count} batches from {number} on are announced");
            return Err(disagree(block, what(), reason).into());
        }
        let submissions: Vec<_> = batches.into_iter().map(|batch| batch.submission).collect();
        let finalized = match calls.submit_batches(from, &submissions) {
            Err(L1Error::Refused(refusal)) => {
                return Err(disagree(block, what(), refusal).into());
            }
            finalized => finalized?,
        };
        for batch in finalized {
            for entry in &batch.words.l1_ops {
                self.unchecked.insert(entry.op.token());
            }
            for withdrawal in &batch.words.withdrawals {
                if let Some(registered) = calls.registered(withdrawal.index)? {
                    self.unchecked.insert(registered.token);
                }
            }
        }
        Ok(())
    }
}
