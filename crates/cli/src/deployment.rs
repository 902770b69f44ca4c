//! A deployment with the operator's wallet, as a person at a terminal uses it.
//!
//! Everything else of it is [`rollup::Deployment`]; here are the wallets, which are files of people with
//! names and passphrases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use batcher::Role;
use l1::Address;
use l1::bytes::Bytes;
use rollup::deployment::{OPERATOR_FILE, check_not_bare};
use rollup::{Deployment, L1, OperatorKey};
use wallet::{Locked, Sealing, Wallet, encode};

use crate::fault::Fault;
use crate::settings::Settings;
use crate::wallet::{load, unlock};
use rollup::amount::{Token as AmountToken, Tokens};

/// The operator's wallet in the folder of a deployment.
pub fn operator_file(folder: &Path) -> PathBuf {
    folder.join(OPERATOR_FILE)
}

/// An operator whose wallet is kept as told.
///
/// # Errors
/// If the wallet cannot be encrypted.
pub fn operator_key(wallet: &Wallet, sealing: &Sealing) -> Result<OperatorKey> {
    Ok(OperatorKey {
        public: wallet.public,
        address: wallet.address,
        file: encode(wallet, sealing)?,
    })
}

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
        return Ok(l1.link.caller(Bytes([0; 20]))?);
    }
    let name = wallet
        .with_context(|| Fault::usage("name the wallet of the account's owner with --wallet"))?;
    Ok(load(settings, name)?.address)
}

/// Opens the deployment of the data directory, with its operator's wallet or as what it is without.
///
/// # Errors
/// If there is none, another process has it open, or a file is damaged or foreign.
pub fn open(settings: &Settings) -> Result<Deployment> {
    let mut deployment = Deployment::open(settings)?;
    operator_wallet(settings, &deployment)?;
    deployment.catch_up(settings)?;
    Ok(deployment)
}

/// As [`open`], for what the operator alone does: acknowledging, sealing, proving, submitting.
///
/// # Errors
/// Also if the data directory is a mirror.
pub fn open_operators(settings: &Settings) -> Result<Deployment> {
    check_not_bare(settings)?;
    let deployment = open(settings)?;
    deployment.check_operators(settings)?;
    Ok(deployment)
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

/// The operator's wallet. On a native L1 it is who may submit; on a contract that is the Ethereum key, and
/// the wallet may be elsewhere. A mirror has none, nor has an operator that handed its role over.
///
/// # Errors
/// If there should be one and is not, or it is not the operator's.
pub fn operator_wallet(settings: &Settings, deployment: &Deployment) -> Result<Option<Locked>> {
    let (l1, role) = (&deployment.l1, deployment.role());
    let (file, on_chain) = (
        operator_file(&settings.rollup_dir()),
        l1.deployment().is_on_chain(),
    );
    if !file.exists() && (on_chain || role != Role::Operator) {
        return Ok(None);
    }
    if on_chain {
        return Ok(Some(Locked::read(&file)?));
    }
    let operator = Locked::read(&file).with_context(|| {
        Fault::damaged("the operator's wallet, without which nothing can be submitted")
    })?;
    let (named, own) = (l1.operator()?, deployment.own_operator());
    if operator.address != named && own != named {
        return Ok(None);
    }
    ensure!(
        operator.address == named,
        Fault::damaged(format!(
            "{} is the wallet of {}, the operator of this deployment is {named}; restore it from a backup",
            operator.path.display(),
            operator.address
        ))
    );
    Ok(Some(operator))
}
