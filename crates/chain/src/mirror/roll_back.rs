//! Rolling the mirror back: to a checkpoint that the chain still has, or to the beginning.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use files::FolderDraft;
use l1::{Genesis, L1Error, NativeL1, Refusal};
use prover::key::{AllowDevKeys, VerifyingKey};

use super::bookkeeping::{Mirror, Stop, moved_since};
use super::checkpoints::{Checkpoint, Checkpoints};
use super::create::create_mirror;
use crate::disk::refused;
use crate::error::ChainError;
use crate::rpc::{BlockId, Rpc};

/// Name of the new mirror in its draft.
const DRAFT: &str = "mirror.redb";

impl Mirror {
    /// Rolls back to the last checkpoint that the chain still has. The block of a later one is dropped if the chain
    /// has another of its number, or if the node does not have it and does not lag.
    pub(super) fn roll_back(
        &mut self,
        rpc: &Rpc,
        mirror: &mut NativeL1,
        head: BlockId,
    ) -> Result<(), Stop> {
        let blocks = &self.checkpoints.blocks;
        let (mut kept, mut replaced) = (blocks.len(), false);
        while let Some(last) = kept.checked_sub(1).and_then(|place| blocks.get(place)) {
            if last.number <= head.number {
                // Why: a node that has a block has those before it, unless the chain is reorganized meanwhile.
                let there = rpc.block(last.number)?.ok_or(Stop::Moved)?;
                if there.hash == last.hash {
                    break;
                }
                replaced = true;
            }
            kept -= 1;
        }
        let mut missing = blocks[kept..].iter();
        let lags = |block: &Checkpoint| block.events > 0 && rpc.may_lag(head, block.seen);
        if !replaced && (kept == 0 || missing.any(lags)) {
            let (got, seen) = (head.number, self.checkpoints.last().number);
            return Err(ChainError::Behind { got, seen }.into());
        }
        if kept == 0 {
            return Err(self.deployment_gone().into());
        }
        if kept < blocks.len() {
            let last = blocks[kept - 1].number;
            tracing::info!(
                block = last,
                "rolling back: the chain does not have later blocks that were seen"
            );
            return Ok(self.drop_after(mirror, kept)?);
        }
        Ok(self.align(mirror)?)
    }

    /// Rolls back to the last checkpoint that is not after this block, or to the first one: what the node said of
    /// later blocks may be false, although they exist.
    pub(super) fn roll_back_to(
        &mut self,
        mirror: &mut NativeL1,
        last: u64,
    ) -> Result<(), ChainError> {
        let blocks = &self.checkpoints.blocks;
        let kept = blocks.iter().skip(1).filter(|block| block.number <= last);
        self.drop_after(mirror, 1 + kept.count())
    }

    /// Keeps the first checkpoints, this many, and rolls the mirror back to the last of them.
    fn drop_after(&mut self, mirror: &mut NativeL1, kept: usize) -> Result<(), ChainError> {
        self.checkpoints.blocks.truncate(kept);
        let last = self.checkpoints.last().number;
        self.checkpoints.verified = self.checkpoints.verified.min(last);
        self.save()?;
        self.align(mirror)
    }

    /// Rolls the mirror back to the last checkpoint.
    fn align(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        let (height, last) = (mirror.head()?.height, self.checkpoints.last().height);
        if height == last {
            return Ok(());
        }
        self.state = None;
        self.unchecked.extend(moved_since(mirror, last)?);
        match height.checked_sub(last) {
            Some(blocks) => match mirror.reorg(blocks) {
                Ok(_) => Ok(()),
                Err(L1Error::Refused(Refusal::ReorgTooDeep { .. })) => self.rebuild(mirror),
                Err(error) => Err(error.into()),
            },
            // Why: the mirror's file is older than its checkpoints if it was restored from a backup.
            None => self.rebuild(mirror),
        }
    }

    /// Makes the mirror anew from the deployment: it is only a copy of what the chain has.
    fn rebuild(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        tracing::info!("making the mirror anew from the deployment");
        let first = self.checkpoints.blocks[0];
        let deployment = mirror.deployment().clone();
        let keys = deployment.parameters().shapes.iter().filter_map(|listed| {
            let id = listed.shape.id;
            Some((id, mirror.key(id)?.clone()))
        });
        let keys: BTreeMap<u16, VerifyingKey> = keys.collect();
        let genesis = Genesis::new(deployment.parameters().clone(), Vec::new());
        let genesis = genesis.map_err(l1::OpenError::from)?;
        let draft = FolderDraft::begin(&self.file).map_err(refused)?;
        let file = draft.path().join(DRAFT);
        let before = BlockId {
            number: first.number,
            hash: first.hash,
            parent: B256::ZERO,
            time: 0,
        };
        drop(create_mirror(&file, &genesis, &keys, before)?);
        // Why in this order: checkpoints must never say more than the mirror has.
        let fresh = Checkpoints::load(&file)?;
        fresh.save(&self.file)?;
        draft.replace_with_file(DRAFT).map_err(refused)?;
        *mirror = NativeL1::open(&self.file, AllowDevKeys::Yes)?;
        self.reached.clone_from(&fresh);
        self.checkpoints = fresh;
        Ok(())
    }
}
