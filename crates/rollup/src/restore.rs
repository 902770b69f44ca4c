//! The state and the batcher's database from L1's data alone.
//!
//! L1 keeps the genesis accounts, every finalized batch with its published data and proof, and the
//! queue. Replaying them gives the accounts, the nonces and the root (docs/protocol.md, sections 5
//! and 6). Invariant: what is returned has L1's root; otherwise there is an error that names the
//! first batch at fault. What only the operator's database had is lost with it: operations that
//! were acknowledged and never finalized. Their signers can send them again; none runs twice.

use std::path::Path;

use batcher::{Batcher, RestoredBatch, SealedBatch, Settings};
use l1::{FinalizedBatch, NativeL1};
use ledger::account::Account;
use ledger::field::to_hex;
use ledger::replay::{ReplayError, replay_many};
use ledger::shape::Shape;
use ledger::state::State;
use thiserror::Error;

/// Batches that are read from L1 and hashed at once.
const AT_ONCE: usize = 256;

/// Why nothing was restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// L1 cannot be read.
    #[error(transparent)]
    L1(#[from] l1::StoreError),
    /// L1 has a batch of a shape that the deployment does not list.
    #[error(
        "batch {number} has shape {shape_id}, which the deployment does not list: L1's file is damaged, take a copy of it"
    )]
    UnknownShape {
        /// Number of the batch.
        number: u64,
        shape_id: u16,
    },
    /// The genesis accounts do not make a state.
    #[error(transparent)]
    Genesis(#[from] ledger::state::GenesisError),
    /// A batch's data do not lead to its root.
    #[error("batch {number} of L1: {source}: L1's file is damaged, take a copy of it")]
    Replay {
        /// Number of the batch.
        number: u64,
        /// What does not hold.
        source: Box<ReplayError>,
    },
    /// The batches lead to another root than L1's.
    #[error(
        "L1's batches lead to root {got}, its head has {expected}: L1's file is damaged, take a copy of it"
    )]
    Root {
        /// The root of L1's head.
        expected: String,
        /// The root that was reached.
        got: String,
    },
    /// The batcher's database cannot be made.
    #[error(transparent)]
    Batcher(Box<batcher::RestoreError<Box<RestoreError>>>),
}

/// The accounts of the genesis as the state has them, index 1 first.
///
/// # Errors
/// If L1 cannot be read.
pub fn genesis_accounts(l1: &NativeL1) -> Result<Vec<(u32, Account)>, l1::StoreError> {
    let accounts = l1.genesis_accounts()?;
    let account =
        |genesis: &l1::GenesisAccount| Account::new(genesis.key, genesis.token, genesis.balance);
    Ok((1..).zip(accounts.iter().map(account)).collect())
}

/// The state that the deployment began with.
///
/// # Errors
/// If L1 cannot be read.
pub fn genesis_state(l1: &NativeL1) -> Result<State, RestoreError> {
    let mut state = State::new(l1.deployment().depth());
    state.insert_genesis(genesis_accounts(l1)?)?;
    Ok(state)
}

/// The state under L1's last root, from L1's data alone. `on_batches` sees how many batches were
/// replayed.
///
/// # Errors
/// [`RestoreError`].
pub fn final_state(l1: &NativeL1, mut on_batches: impl FnMut(u64)) -> Result<State, RestoreError> {
    let mut state = genesis_state(l1)?;
    let mut next = 1;
    loop {
        let batches = l1.batches(next, AT_ONCE)?;
        if batches.is_empty() {
            break;
        }
        let with_shapes = batches
            .iter()
            .map(|batch| Ok((&batch.words, shape_of(l1, batch)?)));
        let with_shapes = with_shapes.collect::<Result<Vec<_>, RestoreError>>()?;
        replay_many(&with_shapes, &mut state).map_err(|error| RestoreError::Replay {
            number: next + error.position as u64,
            source: error.source,
        })?;
        next += batches.len() as u64;
        on_batches(next - 1);
    }
    let (expected, got) = (l1.head()?.root, state.root());
    if expected != got {
        let (expected, got) = (to_hex(&expected), to_hex(&got));
        return Err(RestoreError::Root { expected, got });
    }
    Ok(state)
}

/// Makes the batcher's database in an existing folder from L1's data alone, whole or not at all.
/// The batcher then goes on where L1 stands: the queue entries that no final batch consumed wait
/// to be sealed. `on_batch` sees each batch once it was executed.
///
/// # Errors
/// [`RestoreError`].
pub fn restore(
    l1: &NativeL1,
    folder: &Path,
    settings: Settings,
    on_batch: impl FnMut(&SealedBatch),
) -> Result<Batcher, RestoreError> {
    let genesis = genesis_accounts(l1)?;
    Batcher::restore(folder, settings, genesis, batches(l1), on_batch)
        .map_err(|error| RestoreError::Batcher(Box::new(error)))
}

/// All finalized batches in order, read some at a time.
fn batches(l1: &NativeL1) -> impl Iterator<Item = Result<RestoredBatch, Box<RestoreError>>> + '_ {
    let mut next = 1;
    let mut read = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if read.as_slice().is_empty() {
            match batches_from(l1, next, AT_ONCE) {
                Ok(batches) => read = batches.into_iter(),
                Err(error) => return Some(Err(Box::new(error))),
            }
        }
        next += 1;
        read.next().map(Ok)
    })
}

/// Finalized batches as the batcher takes them, from a number on, at most `limit`.
///
/// # Errors
/// [`RestoreError::L1`], [`RestoreError::UnknownShape`].
pub(crate) fn batches_from(
    l1: &NativeL1,
    number: u64,
    limit: usize,
) -> Result<Vec<RestoredBatch>, RestoreError> {
    let batches = l1.batches(number, limit)?.into_iter();
    batches.map(|batch| restored(l1, batch)).collect()
}

fn restored(l1: &NativeL1, batch: FinalizedBatch) -> Result<RestoredBatch, RestoreError> {
    Ok(RestoredBatch {
        shape: *shape_of(l1, &batch)?,
        queue: batch.queue,
        proof: batch.submission.proof.to_vec(),
        time: batch.time,
        words: batch.words,
    })
}

fn shape_of<'l>(l1: &'l NativeL1, batch: &FinalizedBatch) -> Result<&'l Shape, RestoreError> {
    let shape_id = batch.submission.shape_id;
    let listed = l1.deployment().shape(shape_id);
    let listed = listed.ok_or(RestoreError::UnknownShape {
        number: batch.number,
        shape_id,
    })?;
    Ok(&listed.shape)
}
