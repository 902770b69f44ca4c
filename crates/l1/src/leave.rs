//! Leaving without the operator: freeze, exit by Merkle proof, cancelled deposits.
//!
//! Once the oldest queue entry has waited longer than the deployment's limit, anyone may freeze the
//! chain, for good. The last root is then final: whoever has an account under it takes the balance
//! with a path to that root, and whoever paid into the queue takes that back. Invariant: each
//! account and each entry is paid once, from the part of escrow that held it, to the owner on
//! record (docs/protocol.md, section 6).

use ledger::account::{Account, NONCE_LIMIT};
use ledger::field::Fr;
use ledger::shape::leaves;
use ledger::tree::{MerkleProof, ProofError, verify_proof};
use redb::ReadableTable;

use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::native::NativeL1;
use crate::queue::{self, is_funded};
use crate::registry::Registration;
use crate::store::{Snapshot, Tx, transact};

/// An account under the last root, with the path that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Where the leaf is; its base-4 digits are the path.
    pub index: u32,
    /// What the leaf commits to.
    pub account: Account,
    /// For each level from the leaf upwards, the three other children of the node above, in order.
    pub siblings: Vec<[Fr; 3]>,
}

/// A deposit or top-up that was paid back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// Who paid it, and may claim it now.
    pub payer: Address,
    pub token: u32,
    /// The amount in the token's smallest unit.
    pub amount: u128,
}

impl NativeL1 {
    /// Freezes the chain, for good: anyone may, once the oldest queue entry has waited longer than
    /// [`crate::Parameters::freeze_after`]. Afterwards only [`Self::exit`],
    /// [`Self::cancel_deposit`], [`Self::claim`] and [`Self::collect_fees`] change anything.
    ///
    /// # Errors
    /// [`Refusal`]: frozen already, nothing waits, or not long enough.
    pub fn freeze(&self, now: u64) -> Result<(), L1Error> {
        let freeze_after = self.deployment().parameters().freeze_after;
        transact(&self.db, now, |tx| tx.freeze(freeze_after))
    }

    /// Pays out an account under the last root and returns its balance, which its registered owner
    /// may then claim. Anyone may call; each index once.
    ///
    /// # Errors
    /// [`Refusal`]: not frozen, not registered, exited already, another token, a nonce out of
    /// range, or a path that does not lead to the last root.
    pub fn exit(&self, exit: &Exit, now: u64) -> Result<u128, L1Error> {
        let depth = self.deployment().depth();
        transact(&self.db, now, |tx| tx.exit(depth, exit))
    }

    /// Pays a waiting deposit or top-up back to its payer, who may then claim it. Anyone may call;
    /// each entry once. The index of a cancelled deposit stays without an account.
    ///
    /// # Errors
    /// [`Refusal`]: not frozen, not waiting, an exit request, or cancelled already.
    pub fn cancel_deposit(&self, number: u64, now: u64) -> Result<Cancelled, L1Error> {
        transact(&self.db, now, |tx| tx.cancel_deposit(number))
    }

    /// True if the account was paid out by [`Self::exit`].
    pub fn exited(&self, index: u32) -> Result<bool, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        Ok(snapshot.exited()?.get(index)?.is_some())
    }

    /// What [`Self::exit`] has paid out so far: index and amount of each account, by index.
    pub fn exits(&self) -> Result<Vec<(u32, u128)>, StoreError> {
        let table = Snapshot::begin(&self.db)?.exited()?;
        let mut exits = Vec::new();
        for record in table.range::<u32>(..)? {
            let (index, amount) = record?;
            exits.push((index.value(), amount.value()));
        }
        Ok(exits)
    }

    /// True if the queue entry was paid back by [`Self::cancel_deposit`].
    pub fn cancelled(&self, number: u64) -> Result<bool, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        Ok(snapshot.cancelled()?.get(number)?.is_some())
    }
}

impl Tx<'_> {
    pub(crate) fn freeze(&mut self, freeze_after: u64) -> Result<(), L1Error> {
        self.head.not_frozen()?;
        let entry = self.head.queue_head;
        if entry == self.head.queue_tail {
            return Err(Refusal::QueueEmpty.into());
        }
        let since = queue::entry(&*self.queue, entry)?.time;
        let waited = self.head.time.saturating_sub(since);
        if waited <= freeze_after {
            return Err(Refusal::NotOverdue {
                entry,
                waited,
                freeze_after,
            }
            .into());
        }
        self.head.frozen = true;
        Ok(())
    }

    pub(crate) fn exit(&mut self, depth: u8, exit: &Exit) -> Result<u128, L1Error> {
        self.head.is_frozen()?;
        let Exit {
            index,
            account,
            siblings,
        } = exit;
        let index = *index;
        let leaves = leaves(depth);
        if u64::from(index) >= leaves {
            return Err(ProofError::IndexOutOfRange { index, leaves }.into());
        }
        let Registration { owner, token } = self.registered(index)?;
        if let Some(amount) = self.exited.get(index)?.map(|amount| amount.value()) {
            return Err(Refusal::AlreadyExited { index, amount }.into());
        }
        check_fields(index, token, account)?;
        let proof = MerkleProof {
            index,
            siblings: siblings.clone(),
        };
        verify_proof(self.head.root, depth, account.leaf(), &proof)?;
        let amount = account.balance;
        self.exited.insert(index, amount)?;
        let credited = self.balances_to_claimable(&owner, token, amount)?;
        credited.map_err(|balances| Refusal::ExitTooLarge {
            token,
            balances,
            amount,
        })?;
        Ok(amount)
    }

    pub(crate) fn cancel_deposit(&mut self, number: u64) -> Result<Cancelled, L1Error> {
        self.head.is_frozen()?;
        let (head, tail) = (self.head.queue_head, self.head.queue_tail);
        if !(head..tail).contains(&number) {
            return Err(Refusal::NotWaiting { number, head, tail }.into());
        }
        let entry = queue::entry(&*self.queue, number)?;
        if !is_funded(&entry.op) {
            return Err(Refusal::NotADeposit { number }.into());
        }
        if self.cancelled.get(number)?.is_some() {
            return Err(Refusal::AlreadyCancelled { number }.into());
        }
        let cancelled = Cancelled {
            payer: entry.payer,
            token: entry.op.token(),
            amount: entry.op.amount(),
        };
        let Cancelled {
            payer,
            token,
            amount,
        } = cancelled;
        self.cancelled.insert(number, amount)?;
        self.head.pending_deposits -= 1;
        self.pending_to_claimable(&payer, token, amount)?;
        Ok(cancelled)
    }
}

/// The typed fields of a leaf are those that an account of this index can have. A key needs no
/// check: its coordinates are field elements, and only the one in the tree hashes to the leaf.
fn check_fields(index: u32, token: u32, account: &Account) -> Result<(), Refusal> {
    if account.token != token {
        return Err(Refusal::OtherToken {
            index,
            expected: token,
            got: account.token,
        });
    }
    if account.nonce >= NONCE_LIMIT {
        return Err(Refusal::NonceOutOfRange {
            limit: NONCE_LIMIT,
            got: account.nonce,
        });
    }
    Ok(())
}
