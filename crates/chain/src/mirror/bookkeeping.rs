//! The mirror's bookkeeping: its checkpoints, and what was compared with the contract.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use l1::{Address, NativeL1};
use ledger::state::State;

use super::checkpoints::{Checkpoints, checkpoints_file};
use crate::error::ChainError;
use crate::rpc::{BlockId, Rpc};

/// The bookkeeping of a mirror.
pub(crate) struct Mirror {
    pub(super) contract: Address,
    pub(super) file: PathBuf,
    pub(super) checkpoints: Checkpoints,
    /// The checkpoints that are on disk, and which the mirror on disk has reached.
    pub(super) reached: Checkpoints,
    /// Timestamp of the last block.
    pub(super) time: u64,
    /// Number of the last block.
    pub(super) head: u64,
    /// The state under the last root, once somebody leaves.
    pub(super) state: Option<State>,
    /// Tokens whose money was not compared with the contract's since something moved it.
    pub(super) unchecked: BTreeSet<u32>,
}

/// Why following the chain stopped before its last block.
pub(super) enum Stop {
    /// The chain was reorganized meanwhile: begin again.
    Moved,
    /// The node had not returned all events after this block: go back to it and begin again.
    Incomplete(u64),
    Failed(ChainError),
}

impl<E: Into<ChainError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Mirror {
    /// Opens the bookkeeping of a mirror that `create_mirror` made.
    pub(crate) fn open(file: &Path, mirror: &NativeL1) -> Result<Self, ChainError> {
        let contract = mirror.deployment().contract();
        let chain_id = mirror.deployment().parameters().chain_id;
        let checkpoints = Checkpoints::load(file)?;
        if (checkpoints.chain_id, checkpoints.contract) != (chain_id, contract) {
            return Err(ChainError::File {
                path: checkpoints_file(file),
                reason: "the checkpoints of another deployment: restore that of this mirror"
                    .to_owned(),
            });
        }
        let compared = checkpoints.height_at(checkpoints.verified);
        let unchecked = moved_since(mirror, compared)?;
        Ok(Self {
            contract,
            file: file.to_owned(),
            head: checkpoints.last().number,
            reached: checkpoints.clone(),
            checkpoints,
            time: 0,
            state: None,
            unchecked,
        })
    }

    /// Timestamp of the chain's last block.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// The mirror's height after the last block that has at least so many confirmations.
    pub(crate) fn confirmed_height(&self, confirmations: u64) -> Option<u64> {
        let last = self.head.checked_sub(confirmations)?;
        let blocks = self.checkpoints.blocks.iter().rev();
        let mut confirmed = blocks.skip_while(|block| block.number > last);
        confirmed.next().map(|block| block.height)
    }

    /// The confirmations of the chain's block that is the mirror's block of this height.
    pub(crate) fn blocks_on(&self, height: u64) -> u64 {
        let mut blocks = self.checkpoints.blocks.iter();
        let block = blocks.find(|block| block.height >= height);
        block.map_or(0, |block| self.head.saturating_sub(block.number))
    }

    /// Writes the checkpoints, which the mirror on disk has reached.
    pub(super) fn save(&mut self) -> Result<(), ChainError> {
        self.checkpoints.save(&self.file)?;
        self.reached.clone_from(&self.checkpoints);
        Ok(())
    }

    /// The error if the chain does not have the deployment.
    pub(super) fn deployment_gone(&self) -> ChainError {
        ChainError::DeploymentGone {
            contract: self.contract,
            number: self.checkpoints.blocks[0].number,
        }
    }

    /// How many events of this block were applied; none of blocks so old that their checkpoints are dropped.
    pub(crate) fn events(&self, number: u64) -> u64 {
        self.checkpoints.events(number)
    }

    /// Whether the chain has this block and the mirror has executed it; none if the node does not have so many
    /// blocks yet. `events` says that the block has events of the contract.
    pub(crate) fn has_block(
        &self,
        rpc: &Rpc,
        (number, hash): (u64, B256),
        events: bool,
    ) -> Result<Option<bool>, ChainError> {
        if self.head < number {
            return Ok(None);
        }
        let there = rpc.block(number)?.map(|there| there.hash == hash);
        // Checkpoints of old blocks are dropped.
        let kept = self.checkpoints.blocks.get(1);
        let kept = kept.is_some_and(|oldest| oldest.number <= number);
        let missed = events && kept && self.events(number) == 0;
        Ok(there.filter(|there| !(*there && missed)))
    }
}

/// Tokens that the mirror's blocks after a height moved; if it no longer knows, all that were ever moved.
pub(super) fn moved_since(mirror: &NativeL1, height: u64) -> Result<BTreeSet<u32>, ChainError> {
    match mirror.tokens_moved_after(height)? {
        Some(tokens) => Ok(tokens),
        None => Ok(mirror.tokens_ever_moved()?),
    }
}

pub(super) fn disagree(
    block: BlockId,
    what: impl Into<String>,
    reason: impl ToString,
) -> ChainError {
    ChainError::Disagree {
        block: block.number,
        what: what.into(),
        reason: reason.to_string(),
    }
}
