//! Creating a mirror.

use std::collections::BTreeMap;
use std::path::Path;

use l1::{Genesis, NativeL1};
use prover::key::{AllowDevKeys, VerifyingKey};

use super::checkpoints::{Checkpoint, Checkpoints, VERSION};
use crate::error::ChainError;
use crate::rpc::BlockId;

/// Creates a mirror in a new file: it has the verifying keys, and no transaction was applied.
///
/// # Errors
/// [`ChainError`], also if there is a file already.
pub fn create_mirror(
    file: &Path,
    genesis: &Genesis,
    keys: &BTreeMap<u16, VerifyingKey>,
    before: BlockId,
) -> Result<NativeL1, ChainError> {
    let mut mirror = NativeL1::create(file, genesis, AllowDevKeys::Yes)?;
    let parameters = genesis.deployment().parameters();
    for (shape_id, key) in keys {
        mirror.register_key(parameters.operator.address, *shape_id, key, 0)?;
    }
    let checkpoints = Checkpoints {
        version: VERSION,
        chain_id: parameters.chain_id,
        contract: genesis.deployment().contract(),
        blocks: vec![Checkpoint {
            number: before.number,
            hash: before.hash,
            height: mirror.head()?.height,
            events: 0,
            seen: 0,
        }],
        verified: before.number,
    };
    checkpoints.save(file)?;
    Ok(mirror)
}
