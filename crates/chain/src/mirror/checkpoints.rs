//! Checkpoints: blocks of the chain, and the mirror's height after each, in a file beside the mirror.
//!
//! Invariant: the file never has a checkpoint that the mirror on disk has not reached.

use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use l1::{Address, checked};
use serde::{Deserialize, Serialize};

use crate::disk::{read_small, write_whole};
use crate::error::ChainError;
use crate::rpc::BlockId;

/// The version of the file.
pub(super) const VERSION: u32 = 3;

/// How many checkpoints are kept besides the first.
const KEPT: usize = 1024;

/// A block of the chain, and where the mirror stood after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    pub(super) number: u64,
    pub(super) hash: B256,
    /// The mirror's height after it.
    pub(super) height: u64,
    /// How many events of the contract it has; all were applied.
    pub(super) events: u64,
    /// When it was seen, by the system's clock.
    pub(super) seen: u64,
}

/// The file with the checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoints {
    pub(super) version: u32,
    pub(super) chain_id: u64,
    pub(super) contract: Address,
    /// A block before the deployment, then blocks with transactions of the contract, then the last
    /// block that was seen.
    pub(super) blocks: Vec<Checkpoint>,
    /// Number of the last block at which mirror and contract agreed.
    pub(super) verified: u64,
}

/// The file with the checkpoints of a mirror.
pub(super) fn checkpoints_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".chain.json");
    PathBuf::from(name)
}

impl Checkpoints {
    pub(super) fn load(file: &Path) -> Result<Self, ChainError> {
        let path = checkpoints_file(file);
        let bytes = read_small(&path)?;
        Self::decode(&path, &bytes)
    }

    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, ChainError> {
        let bad = |reason: String| ChainError::File {
            path: path.into(),
            reason: format!(
                "{reason}; move the folder of the mirror away and make it again with `quire l1 connect`"
            ),
        };
        let read: Self = checked::open(bytes).map_err(|error| bad(error.to_string()))?;
        let ascend = read
            .blocks
            .is_sorted_by(|a, b| a.number < b.number && a.height <= b.height);
        if read.version != VERSION || read.blocks.is_empty() || !ascend {
            return Err(bad(
                "checkpoints of another version, or out of order".to_owned()
            ));
        }
        Ok(read)
    }

    pub(super) fn save(&self, file: &Path) -> Result<(), ChainError> {
        let json = checked::seal(self).expect("numbers and hashes are JSON");
        write_whole(&checkpoints_file(file), &json)
    }

    pub(super) fn last(&self) -> Checkpoint {
        *self
            .blocks
            .last()
            .expect("the first checkpoint is never dropped")
    }

    /// How many events of this block were applied.
    pub(super) fn events(&self, number: u64) -> u64 {
        let mut blocks = self.blocks.iter();
        let block = blocks.find(|block| block.number == number);
        block.map_or(0, |block| block.events)
    }

    /// The mirror's height after the last checkpoint up to a block.
    pub(super) fn height_at(&self, number: u64) -> u64 {
        let blocks = self.blocks.iter().rev();
        let mut before = blocks.skip_while(|block| block.number > number);
        before
            .next()
            .map_or(self.blocks[0].height, |block| block.height)
    }

    /// Adds a checkpoint. It replaces the one before it if that has no events.
    pub(super) fn push(&mut self, block: BlockId, seen: u64, height: u64, events: usize) {
        if self.last().number >= block.number {
            return;
        }
        if self.blocks.len() > 1 && self.last().events == 0 {
            self.blocks.pop();
        }
        self.blocks.push(Checkpoint {
            number: block.number,
            hash: block.hash,
            height,
            events: events as u64,
            seen,
        });
        if self.blocks.len() > KEPT + 1 {
            self.blocks.remove(1);
        }
    }
}
