//! Escrow: what L1 holds of each token, and what of it may be claimed.
//!
//! Invariant: `escrow = balances + claimable + pending` for each token, all below 2^128; so no
//! balance in the rollup can reach 2^128. `balances` is not stored: it is what the rest leaves, and
//! no batch may pay out more (docs/protocol.md, section 6).

use redb::ReadableTable;
use storage::{CodecError, Reader, Writer};

use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::store::Tx;

/// What L1 holds of a token, in its smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenTotals {
    /// Everything that L1 holds.
    pub escrow: u128,
    /// What owners may claim.
    pub claimable: u128,
    /// Deposits and top-ups that wait in the queue.
    pub pending: u128,
}

impl TokenTotals {
    /// What all accounts of the rollup have together.
    ///
    /// Every change keeps `claimable + pending` at most `escrow`, and reading checks it.
    pub fn balances(&self) -> u128 {
        self.escrow - self.claimable - self.pending
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self {
            escrow,
            claimable,
            pending,
        } = self;
        let mut record = Writer::default();
        let out = record.u128(escrow);
        out.u128(claimable).u128(pending).finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new("the totals of a token", bytes);
        let totals = Self {
            escrow: reader.u128()?,
            claimable: reader.u128()?,
            pending: reader.u128()?,
        };
        let Self {
            escrow,
            claimable,
            pending,
        } = totals;
        let rest = escrow.checked_sub(claimable);
        if rest.and_then(|rest| rest.checked_sub(pending)).is_none() {
            return Err(reader.invalid("escrow", escrow));
        }
        reader.end()?;
        Ok(totals)
    }
}

/// The totals of a token, all 0 if it was never deposited.
pub(crate) fn totals(
    table: &impl ReadableTable<u32, &'static [u8]>,
    token: u32,
) -> Result<TokenTotals, StoreError> {
    let record = table.get(token)?;
    let read = record.map(|record| TokenTotals::from_bytes(record.value()));
    Ok(read.transpose()?.unwrap_or_default())
}

/// What `owner` may claim of `token`.
pub(crate) fn claimable(
    table: &impl ReadableTable<(&'static [u8; 20], u32), u128>,
    owner: &Address,
    token: u32,
) -> Result<u128, StoreError> {
    let record = table.get((&owner.0, token))?;
    Ok(record.map_or(0, |record| record.value()))
}

impl Tx<'_> {
    fn set_totals(&mut self, token: u32, totals: TokenTotals) -> Result<(), StoreError> {
        self.totals.insert(token, totals.to_bytes().as_slice())?;
        Ok(())
    }

    /// Takes a deposit or top-up that will wait in the queue.
    pub(crate) fn take_pending(&mut self, token: u32, amount: u128) -> Result<(), L1Error> {
        let mut totals = self.take(token, amount)?;
        totals.pending += amount;
        Ok(self.set_totals(token, totals)?)
    }

    /// Takes the opening balance of an account.
    pub(crate) fn take_balance(&mut self, token: u32, amount: u128) -> Result<(), L1Error> {
        let totals = self.take(token, amount)?;
        Ok(self.set_totals(token, totals)?)
    }

    /// The totals with a larger escrow.
    fn take(&self, token: u32, amount: u128) -> Result<TokenTotals, L1Error> {
        let totals = totals(&*self.totals, token)?;
        let escrow = totals.escrow.checked_add(amount);
        let escrow = escrow.ok_or(Refusal::EscrowFull {
            token,
            escrow: totals.escrow,
            amount,
        })?;
        Ok(TokenTotals { escrow, ..totals })
    }

    /// A deposit or top-up left the queue for an account.
    pub(crate) fn pending_to_balances(
        &mut self,
        token: u32,
        amount: u128,
    ) -> Result<(), StoreError> {
        let totals = self.less_pending(token, amount)?;
        self.set_totals(token, totals)
    }

    /// A deposit or top-up was cancelled: its payer may claim.
    pub(crate) fn pending_to_claimable(
        &mut self,
        payer: &Address,
        token: u32,
        amount: u128,
    ) -> Result<(), StoreError> {
        let totals = self.less_pending(token, amount)?;
        self.credit(payer, token, amount, totals)
    }

    /// The totals with a smaller pending amount.
    fn less_pending(&self, token: u32, amount: u128) -> Result<TokenTotals, StoreError> {
        let mut totals = totals(&*self.totals, token)?;
        let pending = totals.pending.checked_sub(amount);
        totals.pending = pending.ok_or_else(|| StoreError::Inconsistent {
            what: format!("the pending amount of token {token}"),
            expected: format!("{amount} or more"),
            got: totals.pending.to_string(),
        })?;
        Ok(totals)
    }

    /// Money left an account: its owner may claim it. Refused with the balances of all accounts
    /// if they are less.
    ///
    /// Sound because: proofs conserve value, so the check against all balances never strikes; it
    /// bounds the damage if one did not.
    pub(crate) fn balances_to_claimable(
        &mut self,
        owner: &Address,
        token: u32,
        amount: u128,
    ) -> Result<Result<(), u128>, StoreError> {
        let totals = totals(&*self.totals, token)?;
        let balances = totals.balances();
        if amount > balances {
            return Ok(Err(balances));
        }
        self.credit(owner, token, amount, totals).map(Ok)
    }

    /// Fees, which are outside escrow, become claimable by an operator that hands its role over.
    pub(crate) fn fees_to_claimable(&mut self, owner: &Address, fees: u128) -> Result<(), L1Error> {
        /// Fees are paid in ETH.
        const ETH: u32 = 0;
        let totals = self.take(ETH, fees)?;
        Ok(self.credit(owner, ETH, fees, totals)?)
    }

    /// Adds to a claim, with totals from which the amount is already taken, escrow aside.
    fn credit(
        &mut self,
        owner: &Address,
        token: u32,
        amount: u128,
        mut totals: TokenTotals,
    ) -> Result<(), StoreError> {
        if amount == 0 {
            return Ok(());
        }
        totals.claimable += amount;
        self.set_totals(token, totals)?;
        let before = claimable(&*self.claimable, owner, token)?;
        self.claimable.insert((&owner.0, token), before + amount)
    }

    /// Pays everything that `owner` may claim of `token`.
    pub(crate) fn claim(&mut self, owner: &Address, token: u32) -> Result<u128, L1Error> {
        let amount = claimable(&*self.claimable, owner, token)?;
        if amount == 0 {
            let owner = *owner;
            return Err(Refusal::NothingToClaim { owner, token }.into());
        }
        self.claimable.remove((&owner.0, token))?;
        let mut totals = totals(&*self.totals, token)?;
        let claimable = totals.claimable.checked_sub(amount);
        totals.claimable = claimable.ok_or_else(|| StoreError::Inconsistent {
            what: format!("the claimable total of token {token}"),
            expected: format!("{amount} or more"),
            got: totals.claimable.to_string(),
        })?;
        totals.escrow -= amount;
        self.set_totals(token, totals)?;
        Ok(amount)
    }
}
