//! What a deployment and its operator fix.

use std::collections::{BTreeMap, BTreeSet};

use ledger::field::Fr;
use ledger::operation::{Signable, Transfer, Withdraw};
use ledger::shape::Shape;

use crate::error::SettingsError;
use crate::mempool::Limits;
use crate::rows::Identity;

/// What a deployment and its operator fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Number of the deployment, see [`ledger::operation::domain`].
    pub domain: Fr,
    /// Digest of the genesis: a database of another one is refused.
    pub genesis: [u8; 32],
    /// The shapes that L1 lists: at least one, of one depth, their ids distinct.
    pub shapes: Vec<Shape>,
    /// Token → account that takes its fees. A fee in another token is refused at intake.
    pub fee_accounts: BTreeMap<u32, u32>,
    /// How much waits at most.
    pub limits: Limits,
    /// Seconds after which a ready operation makes a batch due.
    pub max_age: u64,
    /// L1's Δ: seconds that a batch's timestamp may be behind L1's time when it is submitted.
    pub timestamp_slack: u64,
    /// Finalized batches that can still be undone after L1 lost them in a reorganization: as many
    /// as its longest one can lose.
    pub undo_window: u64,
}

impl Settings {
    /// Levels of the account tree.
    pub(crate) fn depth(&self) -> Result<u8, SettingsError> {
        let mut ids = BTreeSet::new();
        let first = self.shapes.first().ok_or(SettingsError::NoShape)?;
        let expected = first.depth;
        for shape in &self.shapes {
            let (id, got) = (shape.id, shape.depth);
            shape
                .validate()
                .map_err(|source| SettingsError::Shape { id, source })?;
            if got != expected {
                return Err(SettingsError::Depth { id, expected, got });
            }
            if !ids.insert(id) {
                return Err(SettingsError::ShapeTwice { id });
            }
        }
        Ok(expected)
    }

    pub(crate) fn identity(&self, depth: u8) -> Identity {
        Identity {
            domain: self.domain,
            genesis: self.genesis,
            depth,
        }
    }

    /// Kinds of signed operations for which some shape has slots.
    pub(crate) fn kinds(&self) -> BTreeSet<u8> {
        let has = |slots: fn(&Shape) -> u16| self.shapes.iter().any(|shape| slots(shape) > 0);
        let transfers = has(|shape| shape.transfers).then_some(Transfer::KIND);
        let withdrawals = has(|shape| shape.withdrawals).then_some(Withdraw::KIND);
        transfers.into_iter().chain(withdrawals).collect()
    }
}
