//! Following the chain: which blocks are read, and when reading begins again.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::rpc::types::Log;
use l1::NativeL1;

use super::bookkeeping::{Mirror, Stop};
use crate::error::ChainError;
use crate::rpc::{BlockId, Range, Rpc};

/// How often reading begins again if the chain is reorganized meanwhile.
const ATTEMPTS: u32 = 8;

/// The first pause before reading begins again; each further one is longer by as much.
const PAUSE: Duration = Duration::from_millis(300);

/// How often a lagging node is asked again for its last block.
const BEHIND: u32 = 4;

/// Blocks whose events are read once more: a node's index of events may lag behind its blocks, and then the node
/// says that a block has none.
const REREAD: u64 = 32;

/// How often mirror and contract are found to differ before this is an error.
const DISAGREEMENTS: u32 = 4;

/// Blocks that are committed together.
pub(super) const GROUP: usize = 128;

impl Mirror {
    /// Brings the mirror in line with the chain.
    pub(crate) fn sync(&mut self, rpc: &Rpc, mirror: &mut NativeL1) -> Result<(), ChainError> {
        let mut disagreements = 0;
        for attempt in 0..ATTEMPTS {
            match self.sync_once(rpc, mirror) {
                Ok(()) => return Ok(()),
                Err(Stop::Failed(error @ ChainError::Disagree { .. })) => {
                    disagreements += 1;
                    if disagreements == DISAGREEMENTS {
                        // Why from the beginning: what the node said at the last comparison may have been false, too.
                        self.roll_back_to(mirror, 0)?;
                        return Err(error);
                    }
                    tracing::info!(%error, "mirror and contract differ: reading the last blocks again");
                    self.roll_back_to(mirror, self.checkpoints.verified)?;
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Incomplete(last)) => self.roll_back_to(mirror, last)?,
                Err(Stop::Moved) => {}
            }
            rpc.pause(PAUSE * (attempt + 1));
        }
        Err(ChainError::Unsteady { attempts: ATTEMPTS })
    }

    fn sync_once(&mut self, rpc: &Rpc, mirror: &mut NativeL1) -> Result<(), Stop> {
        let head = self.latest(rpc)?;
        self.roll_back(rpc, mirror, head)?;
        self.read(rpc, mirror, head)?;
        if rpc.block(head.number)? != Some(head) {
            return Err(Stop::Moved);
        }
        match self.compare(rpc, mirror, head) {
            // Why: nodes drop the state after older blocks, and after blocks of another fork; and of several nodes
            // at one address one may not have the block yet.
            Err(error @ ChainError::Node { .. }) => {
                tracing::info!(%error, "the node does not tell the state after its last block: reading again");
                return Err(Stop::Moved);
            }
            Err(ChainError::NotTheContract { .. }) if rpc.code(self.contract)?.is_empty() => {
                return Err(self.deployment_gone().into());
            }
            compared => compared?,
        }
        self.unchecked.clear();
        self.checkpoints
            .push(head, rpc.now(), mirror.head()?.height, 0);
        if self.checkpoints.verified != head.number {
            self.checkpoints.verified = head.number;
            self.save()?;
        }
        (self.head, self.time) = (head.number, head.time);
        Ok(())
    }

    /// The last block, whose parent the node has to have. If it is older than the last checkpoint, the node is asked
    /// again: of several nodes at one address some may lag.
    fn latest(&self, rpc: &Rpc) -> Result<BlockId, Stop> {
        let mut head = rpc.latest()?;
        for attempt in 0..BEHIND {
            if head.number >= self.checkpoints.last().number {
                break;
            }
            rpc.pause(PAUSE * (attempt + 1));
            head = rpc.latest()?;
        }
        match head.number.checked_sub(1) {
            Some(before) if rpc.block(before)?.map(|block| block.hash) != Some(head.parent) => {
                Err(Stop::Moved)
            }
            _ => Ok(head),
        }
    }

    /// Applies the events after the last checkpoint, up to a block.
    fn read(&mut self, rpc: &Rpc, mirror: &NativeL1, head: BlockId) -> Result<(), Stop> {
        let read = self.read_events(rpc, mirror, head);
        if read.is_err() {
            // Why: blocks that were not committed are not in the mirror.
            self.checkpoints.clone_from(&self.reached);
        }
        read
    }

    fn read_events(&mut self, rpc: &Rpc, mirror: &NativeL1, head: BlockId) -> Result<(), Stop> {
        let (first, last) = (self.checkpoints.blocks[0].number, self.checkpoints.last());
        let unread = last.number + 1;
        let mut before = (last.number, last.hash);
        let mut from = unread.saturating_sub(REREAD).max(first + 1);
        let (mut range, mut group, mut grouped) = (Range::new(), mirror.begin_blocks()?, 0);
        while from <= head.number {
            let (logs, to) = rpc.logs(self.contract, (from, head.number), None, &mut range)?;
            for (number, logs) in by_block(logs, from, to).ok_or(Stop::Moved)? {
                if number < unread {
                    if logs.len() as u64 > self.checkpoints.events(number) {
                        tracing::info!(
                            number,
                            "the node has more events of this block than before"
                        );
                        return Err(Stop::Incomplete(number - 1));
                    }
                    continue;
                }
                let block = rpc.block(number)?.ok_or(Stop::Moved)?;
                let follows = number != before.0 + 1 || block.parent == before.1;
                if !follows || logs.iter().any(|log| log.block_hash != Some(block.hash)) {
                    return Err(Stop::Moved);
                }
                before = (number, block.hash);
                let height;
                (group, height) = self.apply(rpc, mirror, group, (block, &logs))?;
                self.checkpoints.push(block, rpc.now(), height, logs.len());
                grouped += 1;
                if grouped == GROUP {
                    group.commit()?;
                    self.save()?;
                    (group, grouped) = (mirror.begin_blocks()?, 0);
                }
            }
            if to >= unread && to < head.number {
                let block = rpc.block(to)?.ok_or(Stop::Moved)?;
                group.commit()?;
                self.checkpoints
                    .push(block, rpc.now(), mirror.head()?.height, 0);
                self.save()?;
                (group, grouped) = (mirror.begin_blocks()?, 0);
            }
            from = to + 1;
        }
        if grouped > 0 {
            group.commit()?;
            self.reached.clone_from(&self.checkpoints);
        }
        Ok(())
    }
}

/// Events of each block in order; none if they are not of these blocks, or were removed.
fn by_block(logs: Vec<Log>, from: u64, to: u64) -> Option<BTreeMap<u64, Vec<Log>>> {
    let mut blocks: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
    for log in logs {
        let number = log.block_number?;
        if log.removed || !(from..=to).contains(&number) {
            return None;
        }
        blocks.entry(number).or_default().push(log);
    }
    for logs in blocks.values_mut() {
        logs.sort_by_key(|log| log.log_index);
    }
    Some(blocks)
}
