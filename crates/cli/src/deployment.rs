//! A deployment with the operator's wallet, as a person at a terminal uses it.
//!
//! Everything else of it is [`rollup::Deployment`]; here are the wallets, which are files of people with
//! names and passphrases.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use l1::Address;
use rollup::operator::operator_wallet;
use rollup::{Deployment, L1};

use crate::fault::Fault;
use crate::settings::Settings;
use crate::wallet::{load, unlock};
use rollup::amount::{Token as AmountToken, Tokens};

/// Asks a token of a contract for its symbol and decimals, unless they are known.
///
/// # Errors
/// If the chain cannot be reached.
pub fn learn_token(l1: &L1, token: &AmountToken) -> Result<()> {
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
pub fn token_named(l1: &L1, text: &str) -> Result<Arc<AmountToken>> {
    let token = Tokens::of(l1)?.named(text)?;
    learn_token(l1, &token)?;
    if let Some(address) = token.address
        && let Some(said) = l1.link.token_display(address)?
        && let Some(kept) = l1.native.token_display(address)?
    {
        ensure!(
            said == kept,
            "{address} was {kept} when it was asked first, and says now that it is {said}: a node or the token lies about what amounts mean; once you know which, `quire l1 add-token {address}` keeps what it says"
        );
    }
    Ok(Tokens::of(l1)?.get(token.id))
}

/// Who calls: the wallet's address on a native L1, the Ethereum key's on a contract.
///
/// # Errors
/// If neither is named.
pub fn caller(l1: &L1, settings: &Settings, wallet: Option<&str>) -> Result<Address> {
    if l1.link.is_remote() {
        return Ok(l1.caller_on_chain()?);
    }
    let name = wallet
        .with_context(|| Fault::usage("name the wallet of the account's owner with --wallet"))?;
    Ok(load(settings, name)?.address)
}

/// Unlocks the operator's wallet, asking for its passphrase if it has one.
///
/// # Errors
/// If the passphrase is missing or wrong.
pub fn unlock_operator(settings: &Settings, deployment: &mut Deployment) -> Result<()> {
    if !deployment.link.is_remote()
        && let Some(locked) = operator_wallet(settings, deployment)?
    {
        deployment.act_as(unlock(settings, &locked)?.address);
    }
    deployment.operator()?;
    Ok(())
}
