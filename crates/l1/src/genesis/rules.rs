//! The rules of a genesis: of its parameters alone, and of its accounts under them.

use std::collections::{BTreeMap, BTreeSet};

use ledger::babyjubjub::deposit_key_is_good;
use ledger::shape::leaves;
use rayon::prelude::*;

use super::accounts::GenesisAccount;
use super::error::GenesisError;
use super::parameters::{
    LEAST_TAKEOVER_AFTER, ListedShape, MAX_NAME_BYTES, MOST_FREEZE_AFTER, Parameters, Token,
};
use crate::token::MAX_DECIMALS;

impl Parameters {
    /// Checks every rule that concerns parameters alone.
    ///
    /// # Errors
    /// The first [`GenesisError`] that applies.
    pub fn check(&self) -> Result<(), GenesisError> {
        let (chain_id, contract) = (self.chain_id, self.contract);
        if (chain_id == 0) != contract.is_none() {
            return Err(GenesisError::ChainId { chain_id, contract });
        }
        check_name("operator", &self.operator.name)?;
        self.check_times()?;
        self.check_shapes()?;
        self.check_tokens()
    }

    fn check_times(&self) -> Result<(), GenesisError> {
        let least = LEAST_TAKEOVER_AFTER.max(self.timestamp_slack.saturating_add(1));
        let got = self.takeover_after;
        if got < least {
            return Err(GenesisError::TakeoverAfter { least, got });
        }
        let (least, got) = (got.saturating_mul(2), self.freeze_after);
        if (least..=MOST_FREEZE_AFTER).contains(&got) {
            return Ok(());
        }
        Err(GenesisError::FreezeAfter { least, got })
    }

    fn check_shapes(&self) -> Result<(), GenesisError> {
        let mut ids = BTreeSet::new();
        for ListedShape { shape, .. } in &self.shapes {
            let id = shape.id;
            shape
                .validate()
                .map_err(|source| GenesisError::Shape { id, source })?;
            if !ids.insert(id) {
                return Err(GenesisError::ShapeTwice { id });
            }
            let (expected, got) = (self.shapes[0].shape.depth, shape.depth);
            if got != expected {
                return Err(GenesisError::Depth { id, expected, got });
            }
        }
        if self.shapes.iter().all(|listed| listed.shape.l1_ops == 0) {
            return Err(GenesisError::NoL1Slots);
        }
        Ok(())
    }

    fn check_tokens(&self) -> Result<(), GenesisError> {
        let eth = self.tokens.first().ok_or(GenesisError::NotEth)?;
        if *eth != Token::eth() {
            return Err(GenesisError::NotEth);
        }
        if u32::try_from(self.tokens.len()).is_err() {
            return Err(GenesisError::TooManyTokens(self.tokens.len()));
        }
        let mut seen = BTreeMap::new();
        for (second, token) in self.tokens.iter().enumerate() {
            check_name("token", &token.name)?;
            if let Some(got) = token.decimals.filter(|decimals| *decimals > MAX_DECIMALS) {
                return Err(GenesisError::Decimals { token: second, got });
            }
            if let Some(first) = seen.insert(token.address, second) {
                return Err(GenesisError::TokenTwice {
                    first,
                    second,
                    address: token.address,
                });
            }
        }
        Ok(())
    }
}

fn check_name(of: &'static str, name: &str) -> Result<(), GenesisError> {
    let length = 1..=MAX_NAME_BYTES;
    if length.contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(GenesisError::Name {
        of,
        got: name.chars().take(MAX_NAME_BYTES).collect(),
    })
}

/// Accounts fit the tree and the tokens, their balances the escrow, and their keys are good.
pub(super) fn check_accounts(
    parameters: &Parameters,
    accounts: &[GenesisAccount],
) -> Result<(), GenesisError> {
    let leaves = leaves(parameters.shapes[0].shape.depth);
    let fits = u32::try_from(accounts.len()).is_ok_and(|count| u64::from(count) < leaves);
    if !fits {
        return Err(GenesisError::TooManyAccounts {
            accounts: accounts.len(),
            leaves,
        });
    }
    let mut escrow: BTreeMap<u32, u128> = BTreeMap::new();
    for (index, account) in (1..).zip(accounts) {
        let token = account.token;
        let tokens = parameters.tokens.len();
        if usize::try_from(token).map_or(true, |token| token >= tokens) {
            return Err(GenesisError::UnknownToken {
                index,
                token,
                tokens,
            });
        }
        let sum = escrow.entry(token).or_default();
        let total = sum.checked_add(account.balance);
        *sum = total.ok_or(GenesisError::EscrowFull { index, token })?;
    }
    let bad_key = |(index, account): (u32, &GenesisAccount)| {
        let fault = deposit_key_is_good(&account.key, &account.q).err()?;
        Some(GenesisError::BadKey {
            index,
            source: fault,
        })
    };
    let indices = (1..).take(accounts.len()).collect::<Vec<u32>>();
    let first = indices
        .into_par_iter()
        .zip(accounts)
        .find_map_first(bad_key);
    first.map_or(Ok(()), Err)
}
