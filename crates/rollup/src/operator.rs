//! Who submits in a data directory: the operator with its wallet, its successor, or somebody else while L1
//! lets anybody.
//!
//! Invariant: whoever may not submit is told so before anything is proven or sent, with who may and from
//! when on; no wallet is lost when another takes its place.

use std::path::{Path, PathBuf};

use batcher::store::FILE_NAME;
use batcher::{Batcher, Role};
use files::{Class, Classified, FileError, Readers};
use l1::{Address, NOBODY, NativeL1};
use thiserror::Error;
use wallet::{Locked, WalletError, read_secret};

use crate::amount::Tokens;
use crate::deployment::{Deployment, OPERATOR_FILE, batcher_settings, check_not_bare};
use crate::error::{DeploymentError, NoFolder};
use crate::event::Note;
use crate::open::L1;
use crate::place::{Place, make_folder};
use crate::rollup::fee_accounts;
use crate::settlement::Call;

/// Why a data directory is not the operator's, or does not become so.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// The data directory has no wallet of the operator.
    #[error("only the operator does this, with its wallet in the data directory")]
    NotHere { source: WalletError },
    /// The operator's wallet is missing or damaged.
    #[error("the operator's wallet, without which nothing can be submitted")]
    Unusable { source: WalletError },
    /// The wallet in the operator's place is somebody else's.
    #[error(
        "{} is the wallet of {address}, the operator of this deployment is {operator}; restore it from a backup",
        path.display()
    )]
    OtherWallet {
        path: PathBuf,
        /// Whose wallet it is.
        address: Address,
        operator: Address,
    },
    /// The wallet that is to be kept is not that of whoever takes the role.
    #[error(
        "{} is the wallet of {address}, and {caller} takes the operator's role: name its wallet",
        path.display()
    )]
    NotTheCallers {
        path: PathBuf,
        /// Whose wallet it is.
        address: Address,
        caller: Address,
    },
    /// The deployment cannot be opened, or a call of L1 was not made.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
    /// The batcher's database cannot be written.
    #[error(transparent)]
    Batcher(#[from] batcher::StoreError),
    /// A wallet cannot be read.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The folder of the deployment cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// A wallet cannot be put in place.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Classified for OperatorError {
    fn class(&self) -> Class {
        match self {
            Self::NotHere { .. } => Class::Environment,
            Self::Unusable { source } => match source.class() {
                Class::Environment => Class::Environment,
                Class::Refused | Class::Usage | Class::Input | Class::Damaged | Class::Bug => {
                    Class::Damaged
                }
            },
            Self::OtherWallet { .. } => Class::Damaged,
            Self::NotTheCallers { .. } => Class::Input,
            Self::Deployment(error) => error.class(),
            Self::L1Store(error) => error.class(),
            Self::Batcher(error) => error.class(),
            Self::Wallet(error) => error.class(),
            Self::Folder(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// The operator's wallet in the folder of a deployment.
pub fn operator_file(folder: &Path) -> PathBuf {
    folder.join(OPERATOR_FILE)
}

/// Opens the deployment of a data directory, with its operator's wallet or as what it is without.
///
/// # Errors
/// If there is none, another process has it open, or a file is damaged or foreign.
pub fn open(place: &Place) -> Result<Deployment, OperatorError> {
    let mut deployment = Deployment::open(place)?;
    operator_wallet(place, &deployment)?;
    deployment.catch_up(place)?;
    Ok(deployment)
}

/// As [`open`], for what the operator alone does: acknowledging, sealing, proving, submitting.
///
/// # Errors
/// Also if the data directory is a mirror.
pub fn open_operators(place: &Place) -> Result<Deployment, OperatorError> {
    check_not_bare(place)?;
    let deployment = open(place)?;
    deployment.check_operators(place)?;
    Ok(deployment)
}

/// The operator's wallet. On a native L1 it is who may submit; on a contract that is the Ethereum key, and
/// the wallet may be elsewhere. A mirror has none, nor has an operator that handed its role over.
///
/// # Errors
/// If there should be one and is not, or it is not the operator's.
pub fn operator_wallet(
    place: &Place,
    deployment: &Deployment,
) -> Result<Option<Locked>, OperatorError> {
    let (l1, role) = (&deployment.l1, deployment.role());
    let (file, on_chain) = (
        operator_file(&place.rollup_dir()),
        l1.deployment().is_on_chain(),
    );
    if !file.exists() && (on_chain || role != Role::Operator) {
        return Ok(None);
    }
    if on_chain {
        return Ok(Some(Locked::read(&file)?));
    }
    let wallet = Locked::read(&file).map_err(|source| OperatorError::Unusable { source })?;
    let (operator, own) = (l1.operator()?, deployment.own_operator());
    if wallet.address != operator && (role != Role::Operator || own != operator) {
        return Ok(None);
    }
    if wallet.address != operator {
        return Err(OperatorError::OtherWallet {
            path: wallet.path,
            address: wallet.address,
            operator,
        });
    }
    Ok(Some(wallet))
}

/// The wallet of a native L1's operator, for calls that it alone makes.
///
/// # Errors
/// [`OperatorError::NotHere`].
pub fn wallet_to_call_with(place: &Place) -> Result<Locked, OperatorError> {
    let file = operator_file(&place.rollup_dir());
    Locked::read(&file).map_err(|source| OperatorError::NotHere { source })
}

/// Begins to submit for somebody who is not the operator.
///
/// # Errors
/// If that one may not submit now, or L1 cannot be followed.
pub fn take_over(
    place: &Place,
    deployment: &mut Deployment,
    submitter: Address,
) -> Result<(), DeploymentError> {
    deployment.work_for(submitter);
    deployment.follow_l1(place)?;
    deployment.check_turn()?;
    if deployment.batcher.role() == Some(Role::Mirror) {
        deployment.batcher.set_role(Role::Taker)?;
    }
    tell_fees(place, deployment)
}

/// Says which operations whoever submits here does not take.
fn tell_fees(place: &Place, deployment: &Deployment) -> Result<(), DeploymentError> {
    let named = Tokens::of(&deployment.l1)?;
    let fees = &deployment.batcher.settings().fee_accounts;
    let tokens = fees.keys().map(|token| named.get(*token).to_string());
    let tokens = tokens.collect();
    place.note(&Note::FeesTaken { tokens });
    Ok(())
}

/// Says in which tokens an operator that took the role over takes no fees yet.
///
/// # Errors
/// If L1 cannot be read.
pub fn tell_missing_fees(place: &Place, l1: &NativeL1) -> Result<(), l1::StoreError> {
    let operator = l1.operator()?;
    if operator == l1.deployment().parameters().operator.address {
        return Ok(());
    }
    let (named, fees) = (Tokens::of(l1)?, fee_accounts(l1, operator)?);
    let missing = named.iter().filter(|token| !fees.contains_key(&token.id));
    let tokens: Vec<String> = missing.map(ToString::to_string).collect();
    if !tokens.is_empty() {
        place.note(&Note::NoFees { tokens });
    }
    Ok(())
}

/// Has the operator return to a rollup that others continued.
///
/// # Errors
/// If L1 refuses.
pub fn give_back(l1: &mut L1, caller: Address) -> Result<(), DeploymentError> {
    l1.call(Call::ReturnOperator { caller })?;
    Ok(())
}

/// Offers the operator's role to somebody, or to nobody; returns to whom.
///
/// # Errors
/// If L1 refuses.
pub fn offer(
    l1: &mut L1,
    caller: Address,
    to: Option<Address>,
) -> Result<Option<Address>, DeploymentError> {
    // L1 takes the address of zeros as nobody.
    let to = to.filter(|to| *to != NOBODY);
    l1.call(Call::OfferOperator { caller, to })?;
    Ok(to)
}

/// Takes the operator's role that was offered, with a wallet that is kept here if there is one. Returns the
/// fees, in wei, that the former operator may claim; none if the role was taken before.
///
/// # Errors
/// If the wallet is not the caller's, L1 refuses, or files cannot be written.
pub fn accept(
    place: &Place,
    l1: &mut L1,
    caller: Address,
    wallet: Option<&Locked>,
) -> Result<Option<u128>, OperatorError> {
    if let Some(wallet) = wallet.filter(|wallet| wallet.address != caller) {
        return Err(OperatorError::NotTheCallers {
            path: wallet.path.clone(),
            address: wallet.address,
            caller,
        });
    }
    let call = Call::AcceptOperator { caller };
    // Why: an interrupted command has made the call, and not what follows.
    let is_done = l1.operator()? == caller && !l1.link.is_unacknowledged(&l1.native, call);
    let mut before = None;
    if !is_done {
        before = Some(l1.head()?.operator_fees);
        l1.call(call)?;
    }
    if let Some(wallet) = wallet {
        keep_wallet(place, wallet)?;
    }
    let folder = place.rollup_dir();
    if folder.join(FILE_NAME).exists() {
        let configured = batcher_settings(l1)?;
        let mut batcher = place.for_turn(|| {
            let batcher = Batcher::open(&folder, configured.clone());
            batcher.map_err(|source| DeploymentError::Batcher { source })
        })?;
        batcher.set_operator(caller.0)?;
    }
    Ok(before)
}

/// Makes a wallet that of the operator here; the one before stays beside it.
fn keep_wallet(place: &Place, wallet: &Locked) -> Result<(), OperatorError> {
    let folder = place.rollup_dir();
    let file = operator_file(&folder);
    make_folder(&folder)?;
    let _shield = place.stop.shield();
    if file.exists() {
        let former = Locked::read(&file)?.address;
        if former == wallet.address {
            return Ok(());
        }
        let kept = folder.join(format!("operator-{former}.json"));
        // Why first: killed between the two, no wallet is lost.
        files::replace(&kept, Readers::Owner, &read_secret(&file, "wallet")?)?;
    }
    let secret = read_secret(&wallet.path, "wallet")?;
    Ok(files::replace(&file, Readers::Owner, &secret)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use wallet::{KeyEncryption, Wallet, encode};

    use super::*;
    use crate::create::{Draft, OperatorKey, Plan};
    use crate::shape::named;

    /// The role would be one wallet's on L1, and the directory have another.
    #[test]
    fn the_role_is_not_taken_with_somebody_elses_wallet() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path());
        let [operator, heir, other] = [(); 3].map(|()| Wallet::random());
        let key = OperatorKey::of(&operator, &KeyEncryption::Plain).unwrap();
        let plan = Plan::empty(vec![named("tiny").unwrap()], key);
        let draft = Draft::new(&place, &plan).unwrap();
        draft.keep(&place).unwrap();
        let locked = |wallet: &Wallet, name: &str| {
            let path = folder.path().join(name);
            let text = encode(wallet, &KeyEncryption::Plain).unwrap();
            files::write_new(&path, Readers::Owner, &text).unwrap();
            Locked::read(&path).unwrap()
        };
        let (heirs, others) = (locked(&heir, "heir.json"), locked(&other, "other.json"));
        let mut l1 = L1::open(&place).unwrap();
        offer(&mut l1, operator.address, Some(heir.address)).unwrap();
        let refused = accept(&place, &mut l1, heir.address, Some(&others)).unwrap_err();
        assert!(
            matches!(refused, OperatorError::NotTheCallers { .. }),
            "{refused}"
        );
        assert_eq!(l1.operator().unwrap(), operator.address);
        let kept = || {
            Locked::read(&operator_file(&place.rollup_dir()))
                .unwrap()
                .address
        };
        assert_eq!(kept(), operator.address);
        assert!(
            accept(&place, &mut l1, heir.address, Some(&heirs))
                .unwrap()
                .is_some()
        );
        assert_eq!(
            (l1.operator().unwrap(), kept()),
            (heir.address, heir.address)
        );
    }
}
