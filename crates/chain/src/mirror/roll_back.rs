//! Going back: to a checkpoint that the chain still has, or to the beginning.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use l1::{Genesis, L1Error, NativeL1, Refusal};
use prover::key::{AllowDevKeys, VerifyingKey};

use super::bookkeeping::{Mirror, Stop, moved_since};
use super::checkpoints::{Checkpoint, Checkpoints, checkpoints_file};
use super::create::create_mirror;
use crate::disk::io;
use crate::error::ChainError;
use crate::rpc::{BlockId, Rpc};

impl Mirror {
    /// Goes back to the last checkpoint that the chain still has, once the chain has another block in the
    /// place of a later one, or does not have it and the node is not behind.
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
                // Why moved: a node that has a block has those before it.
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
            return Err(self.gone().into());
        }
        if kept < blocks.len() {
            let last = blocks[kept - 1].number;
            tracing::info!(block = last, "the chain does not have what was seen after");
            return Ok(self.drop_after(mirror, kept)?);
        }
        Ok(self.align(mirror)?)
    }

    /// Goes back to the last checkpoint that is not after this block, or to the first: what was read since
    /// may be lies, though the blocks exist.
    pub(super) fn forget(&mut self, mirror: &mut NativeL1, last: u64) -> Result<(), ChainError> {
        let blocks = &self.checkpoints.blocks;
        let kept = blocks.iter().skip(1).filter(|block| block.number <= last);
        self.drop_after(mirror, 1 + kept.count())
    }

    /// Keeps this many checkpoints, and takes the mirror back to the last of them.
    pub(super) fn drop_after(
        &mut self,
        mirror: &mut NativeL1,
        kept: usize,
    ) -> Result<(), ChainError> {
        self.checkpoints.blocks.truncate(kept);
        let last = self.checkpoints.last().number;
        self.checkpoints.verified = self.checkpoints.verified.min(last);
        self.save()?;
        self.align(mirror)
    }

    /// Takes the mirror back to the last checkpoint.
    pub(super) fn align(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
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
            // Why: a mirror's file that is older than its checkpoints, a copy from a backup.
            None => self.rebuild(mirror),
        }
    }

    /// Begins again from the deployment: the mirror is only a copy.
    pub(super) fn rebuild(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        tracing::info!("making the mirror anew");
        let first = self.checkpoints.blocks[0];
        let deployment = mirror.deployment().clone();
        let keys = deployment.parameters().shapes.iter().filter_map(|listed| {
            let id = listed.shape.id;
            Some((id, mirror.key(id)?.clone()))
        });
        let keys: BTreeMap<u16, VerifyingKey> = keys.collect();
        let genesis = Genesis::new(deployment.parameters().clone(), Vec::new());
        let genesis = genesis.map_err(l1::OpenError::from)?;
        let draft = self.file.with_extension("again");
        for left in [draft.clone(), checkpoints_file(&draft)] {
            match std::fs::remove_file(&left) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(&left, "remove it")(error));
                }
                _ => {}
            }
        }
        let before = BlockId {
            number: first.number,
            hash: first.hash,
            parent: B256::ZERO,
            time: 0,
        };
        drop(create_mirror(&draft, &genesis, &keys, before)?);
        // Why in this order: checkpoints must never say more than the mirror has.
        let fresh = Checkpoints::load(&draft)?;
        fresh.save(&self.file)?;
        std::fs::rename(&draft, &self.file).map_err(io(&self.file, "replace it"))?;
        let left = checkpoints_file(&draft);
        std::fs::remove_file(&left).map_err(io(&left, "remove it"))?;
        *mirror = NativeL1::open(&self.file, AllowDevKeys::Yes)?;
        self.reached.clone_from(&fresh);
        self.checkpoints = fresh;
        Ok(())
    }
}
