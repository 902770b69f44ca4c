//! The calls that users make, and the collection of fees.
//!
//! Each is one block and one durable transaction. What it does to the queue and to escrow stands in
//! [`crate::queue`] and `escrow`.

use crate::bytes::Address;
use crate::error::L1Error;
use crate::native::NativeL1;
use crate::queue::{Deposit, check_deposit};
use crate::store::transact;

impl NativeL1 {
    /// Deposits into a new account that the caller owns, and returns its index.
    ///
    /// # Errors
    /// [`crate::Refusal`]: wrong fee, unknown token, bad key, full tree, too many pending, full escrow.
    pub fn deposit(&self, deposit: &Deposit, now: u64) -> Result<u32, L1Error> {
        self.not_frozen()?;
        check_deposit(self.deployment.parameters(), self.token_count()?, deposit)?;
        transact(&self.db, now, |tx| tx.deposit(&self.deployment, deposit))
    }

    /// Many deposits in one transaction, all or nothing; returns their indices.
    ///
    /// # Errors
    /// As [`Self::deposit`], for the first that is refused.
    pub fn deposit_all(&self, deposits: &[Deposit], now: u64) -> Result<Vec<u32>, L1Error> {
        self.not_frozen()?;
        let tokens = self.token_count()?;
        for deposit in deposits {
            check_deposit(self.deployment.parameters(), tokens, deposit)?;
        }
        transact(&self.db, now, |tx| {
            let each = deposits.iter();
            each.map(|deposit| tx.deposit(&self.deployment, deposit))
                .collect()
        })
    }

    /// Adds to an account, whoever owns it, and returns the number of the queue entry.
    ///
    /// # Errors
    /// [`crate::Refusal`]: wrong fee, unregistered index, nothing added, too many pending, full escrow.
    pub fn top_up(
        &self,
        caller: Address,
        index: u32,
        amount: u128,
        fee: u128,
        now: u64,
    ) -> Result<u64, L1Error> {
        transact(&self.db, now, |tx| {
            tx.top_up(&self.deployment, caller, index, amount, fee)
        })
    }

    /// Asks for the whole balance of the caller's account and returns the number of the queue
    /// entry. Never refused for the number of pending entries.
    ///
    /// # Errors
    /// [`crate::Refusal`]: wrong fee, unregistered index, another owner, an exit that is pending already.
    pub fn request_exit(
        &self,
        caller: Address,
        index: u32,
        fee: u128,
        now: u64,
    ) -> Result<u64, L1Error> {
        transact(&self.db, now, |tx| {
            tx.request_exit(&self.deployment, caller, index, fee)
        })
    }

    /// Pays the caller everything claimable of a token and returns the amount. Once: then the
    /// claim is zero.
    ///
    /// # Errors
    /// [`crate::Refusal::NothingToClaim`].
    pub fn claim(&self, caller: Address, token: u32, now: u64) -> Result<u128, L1Error> {
        transact(&self.db, now, |tx| tx.claim(&caller, token))
    }

    /// Pays the operator all fees kept so far and returns their amount in ETH's smallest unit.
    ///
    /// # Errors
    /// [`crate::Refusal::NotOperator`].
    pub fn collect_fees(&self, caller: Address, now: u64) -> Result<u128, L1Error> {
        transact(&self.db, now, |tx| {
            tx.head.only_operator(caller)?;
            Ok(std::mem::take(&mut tx.head.operator_fees))
        })
    }
}
