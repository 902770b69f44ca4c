//! Comparing the mirror with the contract's views.

use std::iter;

use l1::NativeL1;

use super::bookkeeping::{Mirror, disagree};
use crate::contract::{Contract, ContractState};
use crate::error::ChainError;
use crate::rpc::{BlockId, Rpc};

impl Mirror {
    /// Checks that contract and mirror agree after a block: their heads, and the totals of tokens that moved.
    pub(super) fn compare(
        &self,
        rpc: &Rpc,
        mirror: &NativeL1,
        block: BlockId,
    ) -> Result<(), ChainError> {
        let contract = Contract {
            rpc,
            address: self.contract,
            at: Some(block.hash),
        };
        let ours = ContractState::of(mirror)?;
        if let Some(difference) = ours.difference(&contract.standing()?) {
            return Err(disagree(block, "where it stands", difference));
        }
        let moved = self.unchecked.range(1..).copied();
        for token in iter::once(0).chain(moved) {
            let (ours, theirs) = (mirror.totals(token)?, contract.totals(token)?);
            if ours != theirs {
                let reason = format!("computed {ours:?}, the contract has {theirs:?}");
                return Err(disagree(
                    block,
                    format!("the money of token {token}"),
                    reason,
                ));
            }
        }
        Ok(())
    }
}
