//! A deployment with the operator's wallet, as a person at a terminal uses it.
//!
//! Everything else of it is [`rollup::Deployment`]; here are the wallets, which are files of people with
//! names and passphrases.

use anyhow::{Context, Result};
use l1::Address;
use rollup::operator::operator_wallet;
use rollup::{Deployment, L1};

use crate::fault::Fault;
use crate::settings::Settings;
use crate::wallet::{load, unlock};

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
