//! Whether what is stored holds: batches that lead from the first accounts to those that are there, and
//! a tree that has their hashes.

use ledger::account::Account;
use ledger::field::Fr;
use ledger::replay::{ReplayError, replay};
use ledger::state::{CheckError, State};
use thiserror::Error;

use crate::batcher::Batcher;
use crate::error::StageError;

/// Why the sealed batches do not follow from the first accounts.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The accounts are not a genesis.
    #[error(transparent)]
    Genesis(#[from] ledger::state::GenesisError),
    /// A batch's published bytes do not lead to its root.
    #[error("batch {number}: {source}")]
    Batch {
        /// Number of the batch.
        number: u64,
        source: Box<ReplayError>,
    },
    /// The last root is not that of the accounts.
    #[error("the batches lead to root {expected}, the accounts have root {got}")]
    Root {
        /// Root after the last batch.
        expected: Fr,
        /// Root of the accounts.
        got: Fr,
    },
    /// A batch cannot be read.
    #[error(transparent)]
    Stage(#[from] StageError),
}

impl Batcher {
    /// Rebuilds the state from the first accounts and the published bytes of all sealed batches
    /// alone, and compares every root. Returns the roots, that of the genesis first.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn audit(
        &self,
        genesis: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<Vec<Fr>, AuditError> {
        let mut state = State::new(self.state.depth());
        state.insert_genesis(genesis)?;
        let mut roots = vec![state.root()];
        for number in 1..=self.head.sealed {
            let batch = self.sealed_record(number)?;
            replay(batch.words(), batch.shape(), &mut state).map_err(|source| {
                let source = Box::new(source);
                AuditError::Batch { number, source }
            })?;
            roots.push(state.root());
        }
        let (expected, got) = (state.root(), self.state.root());
        if state != self.state {
            return Err(AuditError::Root { expected, got });
        }
        Ok(roots)
    }

    /// Hashes all accounts and the whole tree again and compares them with the nodes that are
    /// stored: for audits. Seconds for a million accounts.
    ///
    /// # Errors
    /// [`CheckError`], which names the first leaf or node that is wrong.
    pub fn check_tree(&self) -> Result<(), CheckError> {
        self.state.check()
    }
}
