//! What the owner of an account does on L1: deposits and claims.
//!
//! Invariant: a call that an interrupted command has made is not made a second time, and what it paid is
//! told.

use std::num::TryFromIntError;
use std::sync::Arc;

use files::{Class, Classified};
use l1::{Address, Deposit, QueueEntry};
use ledger::babyjubjub::cofactor_inverse_point;
use thiserror::Error;
use wallet::Wallet;

use crate::amount::{Amount, AmountError, Token, Tokens};
use crate::error::DeploymentError;
use crate::event::Note;
use crate::open::L1;
use crate::place::Place;
use crate::settlement::{Call, Outcome, SettleError};

/// Why nothing was deposited or claimed.
#[derive(Debug, Error)]
pub enum UserError {
    /// No token is named so.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A token has another symbol or other decimals than before.
    #[error(
        "{address} was {kept} when it was asked first, and says now that it is {said}: a node or the token lies about what amounts mean; once you know which, `quire l1 add-token {address}` keeps what it says"
    )]
    TokenChanged {
        address: Address,
        /// What is kept.
        kept: String,
        /// What it says now.
        said: String,
    },
    /// L1 has no such account.
    #[error("there is no account {index}")]
    NoAccount { index: u32 },
    /// The account holds another token.
    #[error("account {index} holds {held}, and --token is {token}")]
    OtherToken {
        index: u32,
        /// Its token.
        held: String,
        /// The token that was named.
        token: String,
    },
    /// Nobody knows what a claim was paid.
    #[error("the chain told no amount of the claim; look at `quire l1 status`")]
    NoAmount,
    /// L1 owes nothing.
    #[error("{caller} has nothing to claim; a withdrawal is claimable once its batch is final")]
    NothingToClaim { caller: Address },
    /// There are more tokens than ids.
    #[error("token ids have 32 bits")]
    TokenIds { source: TryFromIntError },
    /// L1 cannot be asked, or a call was not made.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// A contract's chain cannot be reached.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
}

impl Classified for UserError {
    fn class(&self) -> Class {
        match self {
            Self::Amount(error) => error.class(),
            Self::TokenChanged { .. }
            | Self::NoAccount { .. }
            | Self::OtherToken { .. }
            | Self::NoAmount
            | Self::NothingToClaim { .. } => Class::Refused,
            Self::TokenIds { .. } => Class::Bug,
            Self::Deployment(error) => error.class(),
            Self::Settle(error) => error.class(),
            Self::L1Store(error) => error.class(),
        }
    }
}

/// Asks a token of a contract for its symbol and decimals, unless they are known.
///
/// # Errors
/// If the chain cannot be reached.
pub fn learn_token(l1: &L1, token: &Token) -> Result<(), SettleError> {
    if let Some(address) = token.address {
        l1.link.learn_token(&l1.native, address)?;
    }
    Ok(())
}

/// The token that a text names, with its symbol and decimals: those that are kept, if the token says the
/// same now. A node or token that lied once could else change what the digits of an amount mean.
///
/// # Errors
/// If there is none, it says something else than before, or the chain cannot be reached.
pub fn token_named(l1: &L1, text: &str) -> Result<Arc<Token>, UserError> {
    let token = Tokens::of(l1)?.named(text)?;
    learn_token(l1, &token)?;
    if let Some(address) = token.address
        && let Some(said) = l1.link.token_display(address)?
        && let Some(kept) = l1.native.token_display(address)?
        && said != kept
    {
        return Err(UserError::TokenChanged {
            address,
            kept: kept.to_string(),
            said: said.to_string(),
        });
    }
    Ok(Tokens::of(l1)?.get(token.id))
}

/// A deposit that was made.
#[derive(Clone, Debug)]
pub struct Deposited {
    /// Its entry of the L1 queue.
    pub entry: QueueEntry,
    /// Whether an earlier command had made it.
    pub earlier: bool,
    /// Who paid.
    pub owner: Address,
    /// What L1 has noted.
    pub amount: Amount,
}

/// Deposits an amount into a new account of a wallet's key, or into one that is there.
///
/// # Errors
/// If the account is not there or holds another token, or L1 refuses.
pub fn deposit(
    place: &Place,
    l1: &mut L1,
    wallet: &Wallet,
    amount: &Amount,
    into: Option<u32>,
) -> Result<Deposited, UserError> {
    let token = Arc::clone(amount.token());
    let owner = l1.link.caller(wallet.address)?;
    let (entry, earlier) = match into {
        Some(index) => {
            check_holds(l1, index, &token)?;
            let call = Call::TopUp {
                caller: owner,
                index,
                amount: amount.value(),
            };
            l1.queue_entry(place, call)?
        }
        None => {
            let deposit = Deposit {
                caller: owner,
                token: token.id,
                amount: amount.value(),
                key: wallet.public,
                q: cofactor_inverse_point(&wallet.public),
                fee: l1.deployment().parameters().l1_fee,
            };
            l1.queue_entry(place, Call::Deposit(&deposit))?
        }
    };
    let amount = Amount::of(&token, entry.op.amount());
    Ok(Deposited {
        entry,
        earlier,
        owner,
        amount,
    })
}

/// Refuses to pay a token into an account of another one.
fn check_holds(l1: &L1, index: u32, token: &Token) -> Result<(), UserError> {
    let registered = l1.registered(index)?;
    let held = registered.ok_or(UserError::NoAccount { index })?.token;
    if held == token.id {
        return Ok(());
    }
    Err(UserError::OtherToken {
        index,
        held: Tokens::of(l1)?.get(held).described(),
        token: token.described(),
    })
}

/// What claims came to.
#[derive(Debug)]
pub struct Claimed {
    /// What was paid, by token.
    pub amounts: Vec<Amount>,
    /// What kept the rest from being paid, or that there is nothing.
    pub failed: Option<UserError>,
}

/// Collects what an address may claim, of one token or of all. A token that refuses does not keep what was
/// paid of others from being told.
///
/// # Errors
/// If L1 cannot be read.
pub fn claim(
    place: &Place,
    l1: &mut L1,
    caller: Address,
    only: Option<u32>,
) -> Result<Claimed, UserError> {
    let tokens = u32::try_from(l1.token_count()?);
    let tokens = tokens.map_err(|source| UserError::TokenIds { source })?;
    let (mut amounts, mut failed) = (Vec::new(), None);
    for token in (0..tokens).filter(|token| only.is_none_or(|only| only == *token)) {
        let (amount, error) = claim_all(place, l1, caller, token);
        failed = failed.or(error);
        if amount != 0 {
            amounts.push(Tokens::of(l1)?.amount(token, amount));
        }
    }
    if amounts.is_empty() && failed.is_none() {
        failed = Some(UserError::NothingToClaim { caller });
    }
    Ok(Claimed { amounts, failed })
}

/// Claims everything of a token, and returns how much was paid before an error, if there was one. What an
/// earlier claim was paid that nobody was told of counts.
fn claim_all(place: &Place, l1: &mut L1, caller: Address, token: u32) -> (u128, Option<UserError>) {
    let mut total: u128 = 0;
    let error = loop {
        match claim_once(place, l1, caller, token, &mut total) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    (total, error)
}

/// One claim; true if it was an earlier one, so that there may be more.
fn claim_once(
    place: &Place,
    l1: &mut L1,
    caller: Address,
    token: u32,
    total: &mut u128,
) -> Result<bool, UserError> {
    let call = Call::Claim { caller, token };
    let earlier = l1.link.is_unacknowledged(&l1.native, call);
    if !earlier && l1.claimable(caller, token)? == 0 {
        return Ok(false);
    }
    learn_token(l1, &Tokens::of(l1)?.get(token))?;
    let Outcome::Amount(amount) = l1.call(call)?.outcome else {
        return Err(UserError::NoAmount);
    };
    *total = total.saturating_add(amount);
    // Why acknowledged here: the earlier claim leaves what came since.
    if earlier {
        let amount = Tokens::of(l1)?.amount(token, amount);
        place.note(&Note::ClaimedEarlier { amount });
        l1.acknowledge()?;
    }
    Ok(earlier)
}
