//! The state rebuilt from published data alone.
//!
//! What L1 finalized has a proof; replay needs neither signatures nor witnesses: nonces follow
//! from order, tokens and keys from the accounts (docs/protocol.md, section 5). It serves audits
//! and restoring. Invariant: the state moves only if the words lead from its root to the root
//! that they name.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::account::Account;
use crate::field::Fr;
use crate::reject::{DoesNotFit, L1Violation, Reject};
use crate::rules::{Change, FeeSlots, Overlay, l1_effect, transfer_effect, withdraw_effect};
use crate::shape::{Shape, leaves};
use crate::state::State;
use crate::transition::Payout;
use crate::words::{PublicWords, WordsError};

/// Why published data do not describe a transition of the state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// The words are not those of a batch of the shape.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// Shape and state differ in depth.
    #[error("the shape has depth {shape}, the state has depth {state}")]
    Depth {
        /// Depth of the shape.
        shape: u8,
        /// Depth of the state.
        state: u8,
    },
    /// The batch starts from another root.
    #[error("the batch starts from root {expected}, the state has root {got}")]
    OldRoot {
        /// The root in the words.
        expected: Fr,
        /// The root of the state that the batch was to be replayed on.
        got: Fr,
    },
    /// An L1 operation cannot execute.
    #[error("L1 slot {slot}: {source}")]
    L1 {
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// What L1 never lets into its queue.
        source: L1Violation,
    },
    /// An L1 slot pays out another amount than the account had.
    #[error("L1 slot {slot} pays out {got}, the account had {expected}")]
    PaidOut {
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// The account's whole balance, 0 for anything but a ForcedExit.
        expected: u128,
        /// The amount in the words.
        got: u128,
    },
    /// A transfer or withdrawal breaks a rule.
    #[error("{section} slot {slot}: {source}")]
    Rejected {
        /// Name of the section.
        section: &'static str,
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// The rule that the operation breaks.
        source: Reject,
    },
    /// A fee goes nowhere.
    #[error("{section} slot {slot}: {source}")]
    Fee {
        /// Name of the section.
        section: &'static str,
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// Why no fee slot takes the fee.
        source: DoesNotFit,
    },
    /// A used fee slot names an account that does not exist.
    #[error("fee slot {slot} names account {index}, which does not exist")]
    NoFeeAccount {
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// Index of the account's leaf.
        index: u32,
    },
    /// Two used fee slots have accounts of one token.
    #[error("fee slot {slot} is the second for token {token}")]
    FeeTokenTwice {
        /// The second of the two slots.
        slot: usize,
        /// Id of the token in L1's registry.
        token: u32,
    },
    /// The operations lead to another root.
    #[error("the batch names new root {expected}, its data lead to {got}")]
    NewRoot {
        /// The root in the words.
        expected: Fr,
        /// The root that the data lead to.
        got: Fr,
    },
}

/// What replaying one of several batches came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What became claimable on L1, in the order of the batch.
    pub payouts: Vec<Payout>,
    /// The accounts that the batch names, as they were before it; `None` is one that it created.
    pub before: Vec<(u32, Option<Account>)>,
}

/// The first of several batches that cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("batch {position} of those given: {source}")]
pub struct BatchError {
    /// Its place among them, from 0.
    pub position: usize,
    /// Why it cannot be replayed.
    pub source: Box<ReplayError>,
}

/// Executes what the words of a batch say and returns what became claimable. All or nothing: on
/// an error the state is unchanged.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(
    words: &PublicWords,
    shape: &Shape,
    state: &mut State,
) -> Result<Vec<Payout>, ReplayError> {
    let (overlay, payouts) = execute(words, shape, (state, state.root()), Overlay::default())?;
    commit(words, overlay, state)?;
    Ok(payouts)
}

/// Executes batches that follow one another, as [`replay`] of one after the other does, but hashes
/// the tree once: roots chain by the batches' headers, and the last one is compared with the tree. That the roots between are those of the
/// data is left to the proofs that L1 checked. All or nothing: on an error the state is unchanged.
///
/// # Errors
/// [`BatchError`], which names the first bad batch; to find it after a wrong last root, every
/// batch is hashed.
pub fn replay_many(
    batches: &[(&PublicWords, &Shape)],
    state: &mut State,
) -> Result<Vec<Replayed>, BatchError> {
    let Some((last, _)) = batches.last() else {
        return Ok(Vec::new());
    };
    let (mut overlay, mut root) = (Overlay::default(), state.root());
    let mut replayed = Vec::with_capacity(batches.len());
    for (position, (words, shape)) in batches.iter().enumerate() {
        let content = |index: u32| (index, overlay.get(state, index).copied());
        let before = touched(words).into_iter().map(content).collect();
        match execute(words, shape, (state, root), overlay) {
            Ok((next, payouts)) => {
                overlay = next;
                replayed.push(Replayed { payouts, before });
                root = words.header.new_root;
            }
            // Why: an earlier batch may have led elsewhere than its header says.
            Err(source) => {
                let found = first_bad(&batches[..position], state);
                let source = Box::new(source);
                return Err(found.unwrap_or(BatchError { position, source }));
            }
        }
    }
    commit(last, overlay, state).map_err(|source| {
        let (position, source) = (batches.len() - 1, Box::new(source));
        first_bad(batches, state).unwrap_or(BatchError { position, source })
    })?;
    Ok(replayed)
}

/// The first batch that does not lead to its root; the state is as before.
fn first_bad(batches: &[(&PublicWords, &Shape)], state: &mut State) -> Option<BatchError> {
    let mut before = Vec::new();
    let bad = batches
        .iter()
        .enumerate()
        .find_map(|(position, (words, shape))| {
            let old = touched(words).into_iter();
            before.extend(old.map(|index| (index, state.account(index).copied())));
            let source = Box::new(replay(words, shape, state).err()?);
            Some(BatchError { position, source })
        });
    let leaves = leaves(state.depth());
    before.retain(|(index, _)| u64::from(*index) < leaves);
    state
        .put_back(before)
        .expect("these are accounts of the state");
    bad
}

/// The indices of all accounts that a batch changes, created ones included.
pub fn touched(words: &PublicWords) -> BTreeSet<u32> {
    let l1 = words.l1_ops.iter().map(|entry| entry.op.index());
    let transfers = words.transfers.iter().flat_map(|data| [data.from, data.to]);
    let withdrawals = words.withdrawals.iter().map(|data| data.index);
    let fees = words.header.fee_indices.iter().copied();
    let all = l1.chain(transfers).chain(withdrawals).chain(fees);
    all.filter(|index| *index != 0).collect()
}

/// Executes one batch over a state and the accounts that batches before it changed. `root` is
/// that of both together.
fn execute(
    words: &PublicWords,
    shape: &Shape,
    (state, root): (&State, Fr),
    overlay: Overlay,
) -> Result<(Overlay, Vec<Payout>), ReplayError> {
    words.check(shape)?;
    if shape.depth != state.depth() {
        return Err(ReplayError::Depth {
            shape: shape.depth,
            state: state.depth(),
        });
    }
    let (expected, got) = (words.header.old_root, root);
    if expected != got {
        return Err(ReplayError::OldRoot { expected, got });
    }
    let mut run = Replay::new(words, state, overlay);
    run.l1_ops(words)?;
    run.transfers(words)?;
    run.withdrawals(words)?;
    run.collect_fees()?;
    Ok((run.overlay, run.payouts))
}

/// Hashes the changed accounts and moves the state if it then has the root that the words name.
fn commit(words: &PublicWords, overlay: Overlay, state: &mut State) -> Result<(), ReplayError> {
    let delta = state.replaced(overlay.accounts());
    let (expected, got) = (words.header.new_root, delta.root());
    if expected != got {
        return Err(ReplayError::NewRoot { expected, got });
    }
    state.commit(overlay.into_accounts(), delta);
    Ok(())
}

/// A replay under way.
struct Replay<'a> {
    state: &'a State,
    overlay: Overlay,
    fees: FeeSlots,
    payouts: Vec<Payout>,
}

impl<'a> Replay<'a> {
    fn new(words: &PublicWords, state: &'a State, overlay: Overlay) -> Self {
        Self {
            state,
            overlay,
            fees: FeeSlots::fixed(&words.header.fee_indices),
            payouts: Vec::new(),
        }
    }

    fn l1_ops(&mut self, words: &PublicWords) -> Result<(), ReplayError> {
        for (slot, entry) in words.l1_ops.iter().enumerate() {
            let index = entry.op.index();
            let old = self.overlay.get(self.state, index);
            let (new, expected) = l1_effect(old, &entry.op, self.state.depth())
                .map_err(|source| ReplayError::L1 { slot, source })?;
            let got = entry.paid_out;
            if got != expected {
                return Err(ReplayError::PaidOut {
                    slot,
                    expected,
                    got,
                });
            }
            if entry.op.kind() == crate::operation::L1Op::FORCED_EXIT {
                self.pay_out(index, new.token, got);
            }
            self.overlay.set(index, new);
        }
        Ok(())
    }

    fn transfers(&mut self, words: &PublicWords) -> Result<(), ReplayError> {
        for (slot, data) in words.transfers.iter().enumerate() {
            if data.is_unused() {
                continue;
            }
            let at = ("transfer", slot);
            let base = (&self.overlay, self.state);
            let effect = transfer_effect(base, (data.from, data.to), data.amount, data.fee)
                .map_err(|source| rejected(at, source))?;
            self.write(at, effect.fee, &[effect.sender, effect.receiver])?;
        }
        Ok(())
    }

    fn withdrawals(&mut self, words: &PublicWords) -> Result<(), ReplayError> {
        for (slot, data) in words.withdrawals.iter().enumerate() {
            if data.is_unused() {
                continue;
            }
            let at = ("withdrawal", slot);
            let base = (&self.overlay, self.state);
            let effect = withdraw_effect(base, data.index, data.amount, data.fee)
                .map_err(|source| rejected(at, source))?;
            self.write(at, effect.fee, &[effect.account])?;
            self.pay_out(data.index, effect.account.after.token, effect.amount);
        }
        Ok(())
    }

    /// Writes what an operation changes and collects its fee.
    fn write(
        &mut self,
        at: (&'static str, usize),
        fee: u128,
        changes: &[Change],
    ) -> Result<(), ReplayError> {
        let base = (&self.overlay, self.state);
        let token = changes[0].before.token;
        let credit = self.fees.credit(base, token, fee);
        let (section, slot) = at;
        let credit = credit.map_err(|source| ReplayError::Fee {
            section,
            slot,
            source,
        })?;
        let in_range = self.fees.in_range(base, credit.as_ref(), changes);
        in_range.map_err(|source| rejected(at, source))?;
        self.fees.set(credit);
        for change in changes {
            self.overlay.set(change.index, change.after);
        }
        Ok(())
    }

    fn pay_out(&mut self, index: u32, token: u32, amount: u128) {
        self.payouts.push(Payout {
            index,
            token,
            amount,
        });
    }

    fn collect_fees(&mut self) -> Result<(), ReplayError> {
        let mut tokens = BTreeMap::new();
        for (slot, fee) in self.fees.slots.iter().enumerate() {
            let index = fee.index;
            if index == 0 {
                continue;
            }
            let account = self.overlay.get(self.state, index).copied();
            let account = account.ok_or(ReplayError::NoFeeAccount { slot, index })?;
            let token = account.token;
            if tokens.insert(token, slot).is_some() {
                return Err(ReplayError::FeeTokenTwice { slot, token });
            }
            let balance = account.balance.checked_add(fee.credited);
            let after = Account {
                balance: balance.expect("every operation left the fee account in range"),
                ..account
            };
            self.overlay.set(index, after);
        }
        Ok(())
    }
}

fn rejected((section, slot): (&'static str, usize), source: Reject) -> ReplayError {
    ReplayError::Rejected {
        section,
        slot,
        source,
    }
}
