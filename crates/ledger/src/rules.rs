//! What each operation does to accounts, and when it may.
//!
//! Pure arithmetic over a state and the accounts that a batch has touched so far; one function a
//! rule, named as in [`Reject`]. Used by `transition` (operations with signatures) and `replay`
//! (published data without). Invariant: an effect is computed whole before anything is written,
//! and every effect conserves the supply of its token: what leaves an account arrives in another,
//! in the batch's fees or in a payout.

use std::collections::BTreeMap;

use crate::account::{Account, NONCE_LIMIT};
use crate::float::{Float16, Float40};
use crate::operation::L1Op;
use crate::reject::{DoesNotFit, L1Violation, Reject};
use crate::shape::leaves;
use crate::state::State;

/// The accounts that a batch has changed, over a state that stays as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    accounts: BTreeMap<u32, Account>,
}

impl Overlay {
    /// The account as the batch has left it so far.
    pub(crate) fn get<'a>(&'a self, state: &'a State, index: u32) -> Option<&'a Account> {
        self.accounts.get(&index).or_else(|| state.account(index))
    }

    /// Notes an account's new content.
    pub(crate) fn set(&mut self, index: u32, account: Account) {
        self.accounts.insert(index, account);
    }

    /// The changed accounts.
    pub(crate) fn accounts(&self) -> &BTreeMap<u32, Account> {
        &self.accounts
    }

    /// The changed accounts, to be written.
    pub(crate) fn into_accounts(self) -> BTreeMap<u32, Account> {
        self.accounts
    }
}

/// An account before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) index: u32,
    pub(crate) before: Account,
    pub(crate) after: Account,
}

/// What a transfer does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferEffect {
    pub(crate) sender: Change,
    /// Starts from the sender's new content if it is the same account.
    pub(crate) receiver: Change,
    pub(crate) fee: u128,
}

/// What a withdrawal does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithdrawEffect {
    pub(crate) account: Change,
    pub(crate) amount: u128,
    pub(crate) fee: u128,
}

/// What an L1 operation does: the account after, and the amount paid out.
pub(crate) fn l1_effect(
    old: Option<&Account>,
    op: &L1Op,
    depth: u8,
) -> Result<(Account, u128), L1Violation> {
    let (index, leaves) = (op.index(), leaves(depth));
    if index == 0 || u64::from(index) >= leaves {
        return Err(L1Violation::IndexOutOfRange { index, leaves });
    }
    match *op {
        L1Op::Create {
            index,
            token,
            amount,
            key,
        } => match old {
            None => Ok((Account::new(key, token, amount), 0)),
            Some(_) => Err(L1Violation::LeafOccupied { index }),
        },
        L1Op::TopUp {
            index,
            token,
            amount,
        } => {
            let account = registered(old, index, token)?;
            let balance = account.balance.checked_add(amount);
            let balance = balance.ok_or(L1Violation::BalanceOverflow {
                index,
                balance: account.balance,
                amount,
            })?;
            Ok((Account { balance, ..account }, 0))
        }
        L1Op::ForcedExit { index, token } => {
            let account = registered(old, index, token)?;
            let exited = Account {
                balance: 0,
                ..account
            };
            Ok((exited, account.balance))
        }
    }
}

/// The account of a TopUp or ForcedExit, which L1 has registered with `token`.
fn registered(old: Option<&Account>, index: u32, token: u32) -> Result<Account, L1Violation> {
    let account = *old.ok_or(L1Violation::LeafEmpty { index })?;
    if account.token != token {
        return Err(L1Violation::TokenDiffers {
            index,
            held: account.token,
            registered: token,
        });
    }
    Ok(account)
}

/// What a transfer does; `sender_exists`, `receiver_exists`, `same_token` and the balance rules
/// hold if it returns.
pub(crate) fn transfer_effect(
    (overlay, state): (&Overlay, &State),
    (from, to): (u32, u32),
    amount: Float40,
    fee: Float16,
) -> Result<TransferEffect, Reject> {
    index_in_range(from, state)?;
    index_in_range(to, state)?;
    let sender = sender_exists(overlay, state, from)?;
    let receiver = receiver_exists(overlay, state, to)?;
    same_token(to, &receiver, sender.token)?;
    let (sender_after, amount, fee) = debit(from, &sender, amount, fee)?;
    let receiver = if to == from { sender_after } else { receiver };
    let receiver_after = credit(to, &receiver, amount)?;
    Ok(TransferEffect {
        sender: Change {
            index: from,
            before: sender,
            after: sender_after,
        },
        receiver: Change {
            index: to,
            before: receiver,
            after: receiver_after,
        },
        fee,
    })
}

/// What a withdrawal does; `sender_exists` and the balance rules hold if it returns.
pub(crate) fn withdraw_effect(
    (overlay, state): (&Overlay, &State),
    from: u32,
    amount: Float40,
    fee: Float16,
) -> Result<WithdrawEffect, Reject> {
    index_in_range(from, state)?;
    let before = sender_exists(overlay, state, from)?;
    let (after, amount, fee) = debit(from, &before, amount, fee)?;
    Ok(WithdrawEffect {
        account: Change {
            index: from,
            before,
            after,
        },
        amount,
        fee,
    })
}

fn index_in_range(index: u32, state: &State) -> Result<(), Reject> {
    let leaves = leaves(state.depth());
    if u64::from(index) < leaves {
        Ok(())
    } else {
        Err(Reject::IndexInRange { index, leaves })
    }
}

fn sender_exists(overlay: &Overlay, state: &State, index: u32) -> Result<Account, Reject> {
    let sender = overlay.get(state, index).copied();
    sender.ok_or(Reject::SenderExists { index })
}

fn receiver_exists(overlay: &Overlay, state: &State, index: u32) -> Result<Account, Reject> {
    let receiver = overlay.get(state, index).copied();
    receiver.ok_or(Reject::ReceiverExists { index })
}

/// The account holds the token that the operation moves.
pub(crate) fn same_token(index: u32, account: &Account, signed: u32) -> Result<(), Reject> {
    if account.token == signed {
        Ok(())
    } else {
        Err(Reject::SameToken {
            index,
            held: account.token,
            signed,
        })
    }
}

/// The nonce is the account's.
pub(crate) fn nonce_is_next(index: u32, account: &Account, got: u64) -> Result<(), Reject> {
    if account.nonce == got {
        Ok(())
    } else {
        Err(Reject::NonceIsNext {
            index,
            expected: account.nonce,
            got,
        })
    }
}

/// The batch's timestamp is not after `valid_until`.
pub(crate) fn not_expired(valid_until: u64, timestamp: u64) -> Result<(), Reject> {
    if valid_until >= timestamp {
        Ok(())
    } else {
        Err(Reject::NotExpired {
            valid_until,
            timestamp,
        })
    }
}

/// `nonce_has_successor` and `sender_can_pay`: the sender after, the amount and the fee.
fn debit(
    index: u32,
    sender: &Account,
    amount: Float40,
    fee: Float16,
) -> Result<(Account, u128, u128), Reject> {
    let nonce = sender.nonce + 1;
    if nonce >= NONCE_LIMIT {
        return Err(Reject::NonceHasSuccessor {
            index,
            nonce: sender.nonce,
        });
    }
    let (amount, fee) = (amount.value_u128(), fee_value(fee));
    let balance = amount
        .and_then(|amount| sender.balance.checked_sub(amount))
        .and_then(|rest| rest.checked_sub(fee));
    match (amount, balance) {
        (Some(amount), Some(balance)) => {
            let after = Account {
                nonce,
                balance,
                ..*sender
            };
            Ok((after, amount, fee))
        }
        _ => Err(Reject::SenderCanPay {
            index,
            balance: sender.balance,
            amount,
            fee,
        }),
    }
}

/// `receiver_balance_in_range`: the receiver after.
fn credit(index: u32, receiver: &Account, amount: u128) -> Result<Account, Reject> {
    let balance = receiver.balance.checked_add(amount);
    let balance = balance.ok_or(Reject::ReceiverBalanceInRange {
        index,
        balance: receiver.balance,
        amount,
    })?;
    Ok(Account {
        balance,
        ..*receiver
    })
}

/// The largest float16 is 2047·10^31, below 2^128.
fn fee_value(fee: Float16) -> u128 {
    fee.value_u128().expect("2047·10^31 is below 2^128")
}

/// One fee slot of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeeSlot {
    /// The account, 0 if the slot is unused.
    pub(crate) index: u32,
    /// Fees collected so far.
    pub(crate) credited: u128,
}

/// Where the batch's fees go.
#[derive(Clone, Debug)]
pub(crate) struct FeeSlots {
    pub(crate) slots: Vec<FeeSlot>,
    source: FeeSource,
}

#[derive(Clone, Debug)]
enum FeeSource {
    /// Slots are taken when an operation needs one; token → account.
    AsNeeded(BTreeMap<u32, u32>),
    /// Slots were all given.
    Fixed,
}

/// The slot that an operation credits, not written yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeeCredit {
    slot: usize,
    content: FeeSlot,
}

impl FeeSlots {
    /// Unused slots, taken as operations need them.
    pub(crate) fn as_needed(fee_slots: u8, accounts: BTreeMap<u32, u32>) -> Self {
        Self {
            slots: vec![FeeSlot::default(); usize::from(fee_slots)],
            source: FeeSource::AsNeeded(accounts),
        }
    }

    /// Slots with these accounts.
    pub(crate) fn fixed(indices: &[u32]) -> Self {
        let slot = |index: &u32| FeeSlot {
            index: *index,
            credited: 0,
        };
        Self {
            slots: indices.iter().map(slot).collect(),
            source: FeeSource::Fixed,
        }
    }

    /// The slot that takes `fee` of `token`, as it is afterwards; `None` if the fee is 0.
    pub(crate) fn credit(
        &self,
        (overlay, state): (&Overlay, &State),
        token: u32,
        fee: u128,
    ) -> Result<Option<FeeCredit>, DoesNotFit> {
        if fee == 0 {
            return Ok(None);
        }
        let holds = |index: u32| overlay.get(state, index).is_some_and(|a| a.token == token);
        let used = |slot: &FeeSlot| slot.index != 0 && holds(slot.index);
        let (slot, index) = match self.slots.iter().position(used) {
            Some(slot) => (slot, self.slots[slot].index),
            None => self.take(token, holds)?,
        };
        let before = self.slots[slot].credited;
        let content = FeeSlot {
            index,
            // Why: a sum beyond 2^128 is refused by `fee_account_balance_in_range`.
            credited: before.saturating_add(fee),
        };
        Ok(Some(FeeCredit { slot, content }))
    }

    /// An unused slot and the account that is to have it.
    fn take(&self, token: u32, holds: impl Fn(u32) -> bool) -> Result<(usize, u32), DoesNotFit> {
        let fee_slots = u8::try_from(self.slots.len()).expect("a shape has at most 255 fee slots");
        let full = DoesNotFit::NoFeeSlot { token, fee_slots };
        let FeeSource::AsNeeded(accounts) = &self.source else {
            return Err(full);
        };
        let index = accounts.get(&token).copied();
        let index = index.filter(|index| *index != 0 && holds(*index));
        let index = index.ok_or(DoesNotFit::NoFeeAccount { token })?;
        let slot = self.slots.iter().position(|slot| slot.index == 0);
        Ok((slot.ok_or(full)?, index))
    }

    /// `fee_account_balance_in_range`: every fee account among those that the operation changes,
    /// and the one that it credits, can take its fees at the end of the batch.
    ///
    /// Why: checked at every operation, so that fees never stop a batch that is already full. A
    /// later debit of the fee account is not anticipated; nothing is lost by that, since L1 keeps
    /// the escrow of a token below 2^128 and the rule then always holds.
    pub(crate) fn in_range(
        &self,
        (overlay, state): (&Overlay, &State),
        credit: Option<&FeeCredit>,
        changes: &[Change],
    ) -> Result<(), Reject> {
        let now = |index: u32| {
            let changed = changes.iter().rev().find(|change| change.index == index);
            let account = changed.map(|change| &change.after);
            account.or_else(|| overlay.get(state, index))
        };
        for (place, slot) in self.slots.iter().enumerate() {
            let credited = credit.filter(|credit| credit.slot == place);
            let FeeSlot { index, credited } = credited.map_or(*slot, |credit| credit.content);
            let Some(account) = now(index) else { continue };
            if account.balance.checked_add(credited).is_none() {
                return Err(Reject::FeeAccountBalanceInRange {
                    index,
                    balance: account.balance,
                    fees: credited,
                });
            }
        }
        Ok(())
    }

    /// Writes a credit and names its slot.
    pub(crate) fn set(&mut self, credit: Option<FeeCredit>) -> Option<usize> {
        let FeeCredit { slot, content } = credit?;
        self.slots[slot] = content;
        Some(slot)
    }
}
