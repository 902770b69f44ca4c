//! The one state transition: operations in, new state, witness and public words out.
//!
//! A [`Transition`] takes operations one by one, in batch order (L1 operations, transfers,
//! withdrawals; fees last), and does only arithmetic over the accounts it touches; hashing happens
//! once, at the end. Invariant: a refused operation leaves no trace, a finished batch is applied
//! whole or not at all, and what is applied is exactly what the witness shows and the words say
//! (docs/protocol.md, sections 3 to 5). Which operations to try, and when to close a batch, is
//! left to the batcher.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use thiserror::Error;

use crate::account::{Account, leaf_or_empty};
use crate::field::Fr;
use crate::operation::{Authorized, FORTY_BITS, L1Op, Signable, Signed, Transfer, Withdraw};
use crate::reject::{DoesNotFit, L1Violation, Reject, SignatureFault};
use crate::rules::{
    Change, FeeSlot, FeeSlots, Overlay, TransferEffect, WithdrawEffect, l1_effect, nonce_is_next,
    not_expired, same_token, transfer_effect, withdraw_effect,
};
use crate::shape::{Shape, ShapeError};
pub use crate::state::State;
use crate::tree::{LeafUpdate, TreeBatch, Update};
use crate::witness::{
    BatchWitness, FeeSlotWitness, L1SlotWitness, TransferSlotWitness, WithdrawalSlotWitness,
    padding_account, padding_transfer, padding_withdrawal, sign_padding,
};
use crate::words::{Header, L1Entry, PublicWords, TransferData, WithdrawalData};

/// What a batch needs to know besides its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchContext {
    /// Number of the deployment, see [`crate::operation::domain`].
    pub domain: Fr,
    /// Number of the batch, 1 to below 2^40.
    pub batch_number: u64,
    /// Seconds since 1970, below 2^40.
    pub timestamp: u64,
    /// For each token in which fees are taken, the account that gets them. A fee slot is used
    /// once an operation pays a fee in its token.
    pub fee_accounts: BTreeMap<u32, u32>,
}

/// An operation of any kind, ready to execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// From the L1 queue.
    L1(L1Op),
    /// A transfer with its verified signature.
    Transfer(Authorized<Transfer>),
    /// A withdrawal with its verified signature.
    Withdraw(Authorized<Withdraw>),
}

/// Why a batch cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BeginError {
    /// The sizes are not a shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Shape and state differ in depth.
    #[error("the shape has depth {shape}, the state has depth {state}")]
    Depth {
        /// Depth of the shape.
        shape: u8,
        /// Depth of the state.
        state: u8,
    },
    /// The batch number is 0 or too large.
    #[error("batch number {0} is not from 1 to below 2^40")]
    BatchNumber(u64),
    /// The timestamp is too large.
    #[error("timestamp {0} is not below 2^40")]
    Timestamp(u64),
    /// Another number of fee indices than fee slots.
    #[error("expected {expected} fee indices, got {got}")]
    FeeIndices {
        /// Fee slots of the shape.
        expected: u8,
        /// Number of fee accounts that were given.
        got: usize,
    },
}

/// Why an operation did not become part of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// The operation is bad: drop it.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// The operation is good but has no place in this batch: keep it for the next.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
    /// The L1 queue holds something that L1 never accepts: alarm.
    #[error(transparent)]
    L1(#[from] L1Violation),
    /// The state is not the one that the batch began on: our mistake.
    #[error(transparent)]
    State(#[from] StateMoved),
}

/// The state's root is not the one that the batch began on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the batch began on root {expected}, the state has root {got}")]
pub struct StateMoved {
    /// Root at the beginning of the batch.
    pub expected: Fr,
    /// Root of the state given.
    pub got: Fr,
}

/// Why a batch could not be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FinishError {
    /// The state is not the one that the batch began on.
    #[error(transparent)]
    State(#[from] StateMoved),
    /// A fixed fee slot names an account that does not exist.
    #[error("fee slot {slot} names account {index}, which does not exist")]
    NoFeeAccount {
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// Index of the account's leaf.
        index: u32,
    },
    /// Two fixed fee slots have accounts of one token.
    #[error("fee slot {slot} is the second for token {token}")]
    FeeTokenTwice {
        /// The second of the two slots.
        slot: usize,
        /// Id of the token in L1's registry.
        token: u32,
    },
}

/// Why a list of operations is not a batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The batch cannot begin.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// An operation did not become part of it.
    #[error("operation {position}: {source}")]
    Operation {
        /// Position in the list, from 0.
        position: usize,
        /// Why the operation was not taken.
        source: PushError,
    },
    /// The batch could not be finished.
    #[error(transparent)]
    Finish(#[from] FinishError),
}

/// An amount that becomes claimable on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payout {
    /// The account that paid; its owner on L1 may claim.
    pub index: u32,
    /// Id of the token in L1's registry.
    pub token: u32,
    /// The amount, possibly 0.
    pub amount: u128,
}

/// A batch that was applied to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedBatch {
    /// What the circuit is shown.
    pub witness: BatchWitness,
    /// What the batch publishes on L1.
    pub words: PublicWords,
    /// The state's root after the batch.
    pub new_root: Fr,
    /// What becomes claimable, in batch order: forced exits, then withdrawals.
    pub payouts: Vec<Payout>,
}

struct L1Step {
    entry: L1Entry,
    old: Option<Account>,
    new: Account,
}

struct TransferStep {
    signed: Signed<Transfer>,
    effect: TransferEffect,
    fee_slot: Option<usize>,
}

struct WithdrawStep {
    signed: Signed<Withdraw>,
    effect: WithdrawEffect,
    fee_slot: Option<usize>,
}

/// A batch under construction. Holds no reference to the state: every call is given the same one,
/// which is checked by its root.
pub struct Transition {
    shape: Shape,
    domain: Fr,
    batch_number: u64,
    timestamp: u64,
    old_root: Fr,
    overlay: Overlay,
    fees: FeeSlots,
    l1_ops: Vec<L1Step>,
    transfers: Vec<TransferStep>,
    withdrawals: Vec<WithdrawStep>,
    payouts: Vec<Payout>,
}

impl Transition {
    /// An empty batch on top of `state`. Fee slots are taken as operations need them.
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin(state: &State, shape: &Shape, context: BatchContext) -> Result<Self, BeginError> {
        shape.validate()?;
        let BatchContext {
            domain,
            batch_number,
            timestamp,
            fee_accounts,
        } = context;
        if shape.depth != state.depth() {
            return Err(BeginError::Depth {
                shape: shape.depth,
                state: state.depth(),
            });
        }
        if !(1..=FORTY_BITS).contains(&batch_number) {
            return Err(BeginError::BatchNumber(batch_number));
        }
        if timestamp > FORTY_BITS {
            return Err(BeginError::Timestamp(timestamp));
        }
        Ok(Self {
            shape: *shape,
            domain,
            batch_number,
            timestamp,
            old_root: state.root(),
            overlay: Overlay::default(),
            fees: FeeSlots::as_needed(shape.fee_slots, fee_accounts),
            l1_ops: Vec::new(),
            transfers: Vec::new(),
            withdrawals: Vec::new(),
            payouts: Vec::new(),
        })
    }

    /// An empty batch whose fee slots are given, used or not: an index a slot, 0 for an unused
    /// one. `context.fee_accounts` is not consulted. The accounts may be created by the batch.
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin_with_fee_indices(
        state: &State,
        shape: &Shape,
        context: BatchContext,
        fee_indices: &[u32],
    ) -> Result<Self, BeginError> {
        if fee_indices.len() != usize::from(shape.fee_slots) {
            return Err(BeginError::FeeIndices {
                expected: shape.fee_slots,
                got: fee_indices.len(),
            });
        }
        let mut transition = Self::begin(state, shape, context)?;
        transition.fees = FeeSlots::fixed(fee_indices);
        Ok(transition)
    }

    /// The shape of the batch.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// L1 operations, transfers and withdrawals so far.
    pub fn counts(&self) -> [usize; 3] {
        [
            self.l1_ops.len(),
            self.transfers.len(),
            self.withdrawals.len(),
        ]
    }

    /// True if no operation is part of the batch.
    pub fn is_empty(&self) -> bool {
        self.counts() == [0; 3]
    }

    /// The indices of all accounts that the batch changes so far, fee accounts included.
    pub fn touched(&self) -> BTreeSet<u32> {
        let fees = self.fees.slots.iter().map(|slot| slot.index);
        let changed = self.overlay.accounts().keys().copied();
        changed.chain(fees.filter(|index| *index != 0)).collect()
    }

    /// The account as the batch has left it so far, fees not yet credited.
    pub fn account<'a>(&'a self, state: &'a State, index: u32) -> Option<&'a Account> {
        self.overlay.get(state, index)
    }

    /// Adds the next entry of the L1 queue.
    ///
    /// # Errors
    /// [`DoesNotFit`] if the slots are full or transfers or withdrawals are already part of the
    /// batch; [`L1Violation`]; [`StateMoved`]. Never [`Reject`].
    pub fn push_l1(&mut self, state: &State, op: &L1Op) -> Result<(), PushError> {
        self.check_state(state)?;
        self.l1_op_fits()?;
        let index = op.index();
        let old = self.overlay.get(state, index).copied();
        let (new, paid_out) = l1_effect(old.as_ref(), op, self.shape.depth)?;
        if let L1Op::ForcedExit { index, token } = *op {
            self.payouts.push(Payout {
                index,
                token,
                amount: paid_out,
            });
        }
        self.overlay.set(index, new);
        self.l1_ops.push(L1Step {
            entry: L1Entry { op: *op, paid_out },
            old,
            new,
        });
        Ok(())
    }

    /// Adds a transfer.
    ///
    /// # Errors
    /// [`DoesNotFit`] if the slots are full, a withdrawal is already part of the batch, or no fee
    /// slot serves the token; [`Reject`]; [`StateMoved`].
    pub fn push_transfer(
        &mut self,
        state: &State,
        transfer: &Authorized<Transfer>,
    ) -> Result<(), PushError> {
        self.check_state(state)?;
        self.transfer_fits()?;
        let op = *transfer.op();
        let base = (&self.overlay, state);
        let effect = transfer_effect(base, (op.from, op.to), op.amount, op.fee)?;
        self.sender_agrees(transfer, &effect.sender)?;
        let credit = self.fees.credit(base, op.token, effect.fee)?;
        let changes = [effect.sender, effect.receiver];
        self.fees.in_range(base, credit.as_ref(), &changes)?;
        let fee_slot = self.fees.set(credit);
        for Change { index, after, .. } in changes {
            self.overlay.set(index, after);
        }
        self.transfers.push(TransferStep {
            signed: *transfer.signed(),
            effect,
            fee_slot,
        });
        Ok(())
    }

    /// Adds a withdrawal.
    ///
    /// # Errors
    /// [`DoesNotFit`] if the slots are full or no fee slot serves the token; [`Reject`];
    /// [`StateMoved`].
    pub fn push_withdraw(
        &mut self,
        state: &State,
        withdraw: &Authorized<Withdraw>,
    ) -> Result<(), PushError> {
        self.check_state(state)?;
        self.withdrawal_fits()?;
        let op = *withdraw.op();
        let base = (&self.overlay, state);
        let effect = withdraw_effect(base, op.from, op.amount, op.fee)?;
        self.sender_agrees(withdraw, &effect.account)?;
        let credit = self.fees.credit(base, op.token, effect.fee)?;
        self.fees
            .in_range(base, credit.as_ref(), &[effect.account])?;
        let fee_slot = self.fees.set(credit);
        self.overlay.set(op.from, effect.account.after);
        self.payouts.push(Payout {
            index: op.from,
            token: op.token,
            amount: effect.amount,
        });
        self.withdrawals.push(WithdrawStep {
            signed: *withdraw.signed(),
            effect,
            fee_slot,
        });
        Ok(())
    }

    /// Adds an operation of any kind.
    ///
    /// # Errors
    /// As the function of its kind.
    pub fn push(&mut self, state: &State, operation: &Operation) -> Result<(), PushError> {
        match operation {
            Operation::L1(op) => self.push_l1(state, op),
            Operation::Transfer(op) => self.push_transfer(state, op),
            Operation::Withdraw(op) => self.push_withdraw(state, op),
        }
    }

    /// Credits the fees, hashes everything and applies the batch to the state. All or nothing:
    /// on an error the state is unchanged.
    ///
    /// # Errors
    /// [`FinishError`]; without fixed fee indices only [`StateMoved`].
    pub fn finish(mut self, state: &mut State) -> Result<AppliedBatch, FinishError> {
        self.check_state(state)?;
        let fees = self.collect_fees(state)?;
        let batch = self.hash(state, &fees);
        let (updates, old_subtrees, delta) = batch.into_parts();
        let new_root = delta.root();
        let header = self.header(new_root);
        let words = self.words(header.clone());
        let witness = self.witness(header, old_subtrees, updates, &fees);
        state.commit(self.overlay.into_accounts(), delta);
        Ok(AppliedBatch {
            witness,
            words,
            new_root,
            payouts: self.payouts,
        })
    }

    fn check_state(&self, state: &State) -> Result<(), StateMoved> {
        let (expected, got) = (self.old_root, state.root());
        if expected == got {
            Ok(())
        } else {
            Err(StateMoved { expected, got })
        }
    }

    fn l1_op_fits(&self) -> Result<(), DoesNotFit> {
        let what = "an L1 operation";
        if !self.withdrawals.is_empty() {
            let after = "a withdrawal";
            return Err(DoesNotFit::OutOfOrder { what, after });
        }
        if !self.transfers.is_empty() {
            let after = "a transfer";
            return Err(DoesNotFit::OutOfOrder { what, after });
        }
        let capacity = self.shape.l1_ops;
        if self.l1_ops.len() >= usize::from(capacity) {
            return Err(DoesNotFit::L1OpsFull { capacity });
        }
        Ok(())
    }

    fn transfer_fits(&self) -> Result<(), DoesNotFit> {
        if !self.withdrawals.is_empty() {
            let (what, after) = ("a transfer", "a withdrawal");
            return Err(DoesNotFit::OutOfOrder { what, after });
        }
        let capacity = self.shape.transfers;
        if self.transfers.len() >= usize::from(capacity) {
            return Err(DoesNotFit::TransfersFull { capacity });
        }
        Ok(())
    }

    fn withdrawal_fits(&self) -> Result<(), DoesNotFit> {
        let capacity = self.shape.withdrawals;
        if self.withdrawals.len() >= usize::from(capacity) {
            return Err(DoesNotFit::WithdrawalsFull { capacity });
        }
        Ok(())
    }

    /// The sender's account is the one that signed: its key, its token, its next nonce, in time.
    fn sender_agrees<T: Signable>(
        &self,
        authorized: &Authorized<T>,
        sender: &Change,
    ) -> Result<(), Reject> {
        let (fields, index) = (authorized.op().fields(), sender.index);
        let fault = if authorized.domain() != &self.domain {
            Some(SignatureFault::OtherDomain)
        } else if authorized.key() != &sender.before.key {
            Some(SignatureFault::OtherKey)
        } else {
            None
        };
        if let Some(reason) = fault {
            return Err(Reject::SignatureIsValid { index, reason });
        }
        same_token(index, &sender.before, fields.token)?;
        nonce_is_next(index, &sender.before, fields.nonce)?;
        not_expired(fields.valid_until, self.timestamp)
    }

    /// Executes the fee slots: for each the account before and after, `None` if unused.
    fn collect_fees(&mut self, state: &State) -> Result<Vec<Option<Change>>, FinishError> {
        let mut tokens = BTreeMap::new();
        let mut changes = Vec::with_capacity(self.fees.slots.len());
        for (slot, fee) in self.fees.slots.iter().enumerate() {
            let index = fee.index;
            if index == 0 {
                changes.push(None);
                continue;
            }
            let before = self.overlay.get(state, index).copied();
            let before = before.ok_or(FinishError::NoFeeAccount { slot, index })?;
            let token = before.token;
            if tokens.insert(token, slot).is_some() {
                return Err(FinishError::FeeTokenTwice { slot, token });
            }
            let balance = before.balance.checked_add(fee.credited);
            let after = Account {
                balance: balance.expect("every operation left the fee account in range"),
                ..before
            };
            self.overlay.set(index, after);
            changes.push(Some(Change {
                index,
                before,
                after,
            }));
        }
        Ok(changes)
    }

    /// All leaf updates of the batch in order, padding included, executed on the tree.
    fn hash(&self, state: &State, fees: &[Option<Change>]) -> TreeBatch {
        let mut writes: Vec<Option<(u32, Account)>> = Vec::with_capacity(self.shape.updates());
        let written = |change: &Change| Some((change.index, change.after));
        writes.extend(
            self.l1_ops
                .iter()
                .map(|step| Some((step.entry.op.index(), step.new))),
        );
        let mut end = usize::from(self.shape.l1_ops);
        writes.resize(end, None);
        for step in &self.transfers {
            writes.push(written(&step.effect.sender));
            writes.push(written(&step.effect.receiver));
        }
        end += 2 * usize::from(self.shape.transfers);
        writes.resize(end, None);
        writes.extend(
            self.withdrawals
                .iter()
                .map(|step| written(&step.effect.account)),
        );
        end += usize::from(self.shape.withdrawals);
        writes.resize(end, None);
        writes.extend(fees.iter().map(|fee| fee.as_ref().and_then(written)));
        let updates = leaf_updates(state, &writes);
        state
            .tree()
            .batch(&updates, self.shape.cached_levels)
            .expect("every index is in range and every update starts from the leaf before it")
    }

    fn header(&self, new_root: Fr) -> Header {
        Header {
            domain: self.domain,
            old_root: self.old_root,
            new_root,
            shape_id: self.shape.id,
            batch_number: self.batch_number,
            timestamp: self.timestamp,
            fee_indices: self.fees.slots.iter().map(|slot| slot.index).collect(),
        }
    }

    fn words(&self, header: Header) -> PublicWords {
        let transfer = |step: &TransferStep| TransferData {
            from: step.signed.op.from,
            to: step.signed.op.to,
            amount: step.signed.op.amount,
            fee: step.signed.op.fee,
        };
        let withdrawal = |step: &WithdrawStep| WithdrawalData {
            index: step.signed.op.from,
            amount: step.signed.op.amount,
            fee: step.signed.op.fee,
        };
        PublicWords {
            header,
            l1_ops: self.l1_ops.iter().map(|step| step.entry).collect(),
            transfers: self.transfers.iter().map(transfer).collect(),
            withdrawals: self.withdrawals.iter().map(withdrawal).collect(),
        }
    }

    fn witness(
        &self,
        header: Header,
        old_subtrees: Vec<Fr>,
        updates: Vec<Update>,
        fees: &[Option<Change>],
    ) -> BatchWitness {
        let mut updates = updates.into_iter();
        BatchWitness {
            shape: self.shape,
            header,
            old_subtrees,
            l1_ops: self.l1_witness(&mut updates),
            transfers: self.transfer_witness(&mut updates),
            withdrawals: self.withdrawal_witness(&mut updates),
            fees: self.fee_witness(&mut updates, fees),
        }
    }

    fn l1_witness(&self, updates: &mut impl Iterator<Item = Update>) -> Vec<L1SlotWitness> {
        let slots = 0..usize::from(self.shape.l1_ops);
        let slot = |(slot, update)| {
            let step: Option<&L1Step> = self.l1_ops.get(slot);
            L1SlotWitness {
                op: step.map(|step| step.entry.op),
                paid_out: step.map_or(0, |step| step.entry.paid_out),
                old: step.and_then(|step| step.old.as_ref().map(Account::preimage)),
                update,
            }
        };
        slots.zip(updates).map(slot).collect()
    }

    fn transfer_witness(
        &self,
        updates: &mut impl Iterator<Item = Update>,
    ) -> Vec<TransferSlotWitness> {
        let capacity = usize::from(self.shape.transfers);
        let padding = padding(
            capacity - self.transfers.len(),
            padding_transfer(),
            &self.domain,
        );
        let mut next = || {
            updates
                .next()
                .expect("the batch has two updates a transfer")
        };
        (0..capacity)
            .map(|slot| {
                let step = self.transfers.get(slot);
                let unused = || padding.expect("made for unused slots");
                let Signed { op, signature } = step.map_or_else(unused, |step| step.signed);
                let account = |change: fn(&TransferEffect) -> Account| {
                    step.map_or_else(padding_account, |step| change(&step.effect))
                };
                TransferSlotWitness {
                    transfer: op,
                    signature,
                    sender: account(|effect| effect.sender.before),
                    sender_update: next(),
                    receiver: account(|effect| effect.receiver.before),
                    receiver_update: next(),
                    fee_slot: step.and_then(|step| step.fee_slot),
                }
            })
            .collect()
    }

    fn withdrawal_witness(
        &self,
        updates: &mut impl Iterator<Item = Update>,
    ) -> Vec<WithdrawalSlotWitness> {
        let capacity = usize::from(self.shape.withdrawals);
        let unused = capacity - self.withdrawals.len();
        let padding = padding(unused, padding_withdrawal(), &self.domain);
        let slot = |(slot, update)| {
            let step: Option<&WithdrawStep> = self.withdrawals.get(slot);
            let unused = || padding.expect("made for unused slots");
            let Signed { op, signature } = step.map_or_else(unused, |step| step.signed);
            WithdrawalSlotWitness {
                withdraw: op,
                signature,
                account: step.map_or_else(padding_account, |step| step.effect.account.before),
                update,
                fee_slot: step.and_then(|step| step.fee_slot),
            }
        };
        (0..capacity).zip(updates).map(slot).collect()
    }

    fn fee_witness(
        &self,
        updates: &mut impl Iterator<Item = Update>,
        fees: &[Option<Change>],
    ) -> Vec<FeeSlotWitness> {
        let slots = self.fees.slots.iter().zip(fees);
        let slot = |((slot, change), update): ((&FeeSlot, &Option<Change>), _)| FeeSlotWitness {
            account: change.map(|change| change.before),
            credited: slot.credited,
            update,
        };
        slots.zip(updates).map(slot).collect()
    }
}

/// A signed padding operation if there are unused slots.
fn padding<T: Signable>(unused: usize, op: T, domain: &Fr) -> Option<Signed<T>> {
    (unused > 0).then(|| sign_padding(op, domain))
}

/// Hashes the written leaves in parallel and chains them: each update starts from the leaf that
/// the one before it left. `None` is padding: index 0, empty before and after.
fn leaf_updates(state: &State, writes: &[Option<(u32, Account)>]) -> Vec<LeafUpdate> {
    let new_leaves: Vec<Fr> = writes
        .par_iter()
        .map(|write| leaf_or_empty(write.as_ref().map(|(_, account)| account)))
        .collect();
    let mut current: BTreeMap<u32, Fr> = BTreeMap::new();
    let mut updates = Vec::with_capacity(writes.len());
    for (write, new_leaf) in writes.iter().zip(new_leaves) {
        let index = write.map_or(0, |(index, _)| index);
        let before = current.insert(index, new_leaf);
        updates.push(LeafUpdate {
            index,
            old_leaf: before.unwrap_or_else(|| state.tree().leaf(index)),
            new_leaf,
        });
    }
    updates
}

/// Executes a whole batch: operations in batch order, fees, hashing. All or nothing: on an error
/// the state is unchanged.
///
/// # Errors
/// [`ApplyError`], which names the first operation that is not part of the batch and why.
pub fn apply_batch(
    state: &mut State,
    shape: &Shape,
    context: BatchContext,
    operations: &[Operation],
) -> Result<AppliedBatch, ApplyError> {
    let mut transition = Transition::begin(state, shape, context)?;
    for (position, operation) in operations.iter().enumerate() {
        transition
            .push(state, operation)
            .map_err(|source| ApplyError::Operation { position, source })?;
    }
    Ok(transition.finish(state)?)
}
