//! Whether money and roots add up, across L1 and batcher.
//!
//! For each token, what the accounts have after the last sealed batch is what L1 holds for
//! accounts, plus what open batches took from the queue, less what they pay out; L1's own sums are
//! checked by L1. Every batch starts from the root that the one before left, from genesis to both
//! heads. Asked for a replay, every root is rebuilt from published bytes alone and the stored tree
//! is hashed again.

use std::collections::{BTreeMap, BTreeSet};

use batcher::StoredBatch;
use l1::TokenTotals;
use ledger::field::{Fr, to_hex};

use crate::error::RollupError;
use crate::restore::genesis_state;
use crate::rollup::Rollup;

/// How deep an audit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Sums, and roots as they are stored.
    Books,
    /// The same, and everything is computed again from published bytes.
    Replay,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// For each token the sum of all balances after the last sealed batch.
    pub supply: BTreeMap<u32, u128>,
    /// For each token what L1 holds.
    pub totals: BTreeMap<u32, TokenTotals>,
    /// What does not add up; empty if everything does.
    pub money: Vec<String>,
    /// Where the chain of roots is broken; empty if it is not.
    pub roots: Vec<String>,
}

impl Audit {
    /// True if everything adds up.
    pub fn is_clean(&self) -> bool {
        self.money.is_empty() && self.roots.is_empty()
    }
}

impl Rollup {
    /// Checks that money and roots add up.
    ///
    /// # Errors
    /// If L1 or the batcher cannot be read; what does not add up is in the result.
    pub fn audit(&self, depth: Depth) -> Result<Audit, RollupError> {
        let mut audit = Audit {
            supply: self.batcher.supply(),
            ..Audit::default()
        };
        match self.l1.audit() {
            Ok(totals) => {
                audit.money = self.money_faults(&audit.supply, &totals)?;
                audit.totals = totals;
            }
            Err(error) => audit.money.push(error.to_string()),
        }
        audit.roots = self.root_faults()?;
        if depth == Depth::Replay {
            let genesis = crate::restore::genesis_accounts(&self.l1)?;
            if let Err(error) = self.batcher.audit(genesis) {
                audit.roots.push(format!("replay: {error}"));
            }
            if let Err(error) = self.batcher.check_tree() {
                audit.roots.push(format!("stored tree: {error}"));
            }
        }
        Ok(audit)
    }

    /// Tokens whose balances are not what L1 holds for them.
    fn money_faults(
        &self,
        supply: &BTreeMap<u32, u128>,
        totals: &BTreeMap<u32, TokenTotals>,
    ) -> Result<Vec<String>, RollupError> {
        // What batches that are not final have moved: L1 does not know of it yet.
        let (mut entered, mut left) = (BTreeMap::new(), BTreeMap::new());
        let status = self.batcher.status();
        for number in status.finalized + 1..=status.sealed {
            let stored = self.batcher.batch(number)?;
            let batch = stored.batch();
            for entry in &batch.words().l1_ops {
                add(&mut entered, entry.op.token(), entry.op.amount());
            }
            for payout in batch.payouts() {
                add(&mut left, payout.token, payout.amount);
            }
        }
        let exited = self.exited()?;
        let tokens: BTreeSet<u32> = supply.keys().chain(totals.keys()).copied().collect();
        let mut faults = Vec::new();
        for token in tokens {
            let of = |sums: &BTreeMap<u32, u128>| sums.get(&token).copied().unwrap_or(0);
            // Why: after a freeze, exits are paid from balances that the batcher still counts.
            let frozen_out = of(&exited);
            let held = totals.get(&token).map_or(0, TokenTotals::balances);
            let got = of(supply).checked_add(of(&left));
            let expected = held.checked_add(of(&entered));
            let expected = expected.and_then(|sum| sum.checked_add(frozen_out));
            if got != expected {
                faults.push(format!(
                    "token {token}: accounts have {} units after {} left, L1 holds {held} units for them, {} entered and {frozen_out} were paid out after the freeze",
                    of(supply),
                    of(&left),
                    of(&entered)
                ));
            }
        }
        Ok(faults)
    }

    /// For each token what exits after a freeze have paid, as L1 noted it: the batcher's balances
    /// may be those after batches that never became final.
    fn exited(&self) -> Result<BTreeMap<u32, u128>, RollupError> {
        let mut sums = BTreeMap::new();
        for (index, amount) in self.l1.exits()? {
            if let Some(registered) = self.l1.registered(index)? {
                add(&mut sums, registered.token, amount);
            }
        }
        Ok(sums)
    }

    /// Places at which the chain of roots is broken.
    fn root_faults(&self) -> Result<Vec<String>, RollupError> {
        let mut faults = Vec::new();
        let mut expect = |what: String, expected: Fr, got: Fr| {
            if expected != got {
                let (expected, got) = (to_hex(&expected), to_hex(&got));
                faults.push(format!("{what}: expected root {expected}, got {got}"));
            }
        };
        let (status, head) = (self.batcher.status(), self.l1.head()?);
        let mut root = genesis_state(&self.l1)?.root();
        let mut final_root = root;
        for number in 1..=status.sealed {
            let stored = self.batcher.batch(number)?;
            let header = &stored.batch().words().header;
            expect(format!("batch {number} starts"), root, header.old_root);
            root = header.new_root;
            if let StoredBatch::Finalized(_) = stored {
                final_root = root;
                let on_l1 = self.l1.batch(number)?;
                let on_l1 = on_l1.map_or(Fr::default(), |batch| batch.words.header.new_root);
                expect(format!("batch {number} on L1"), root, on_l1);
            }
        }
        expect("the batcher's state".to_owned(), root, status.state_root);
        expect("L1's head".to_owned(), final_root, head.root);
        Ok(faults)
    }
}

fn add(sums: &mut BTreeMap<u32, u128>, token: u32, amount: u128) {
    let sum = sums.entry(token).or_default();
    *sum = sum.saturating_add(amount);
}
