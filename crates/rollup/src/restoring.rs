//! A data directory gets the batcher's database back, from L1's data alone: the operator's or a mirror's.
//!
//! Invariant: the database is put in place whole, after everything else, and never over another one; an
//! interrupted restoration can be repeated.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use batcher::store::FILE_NAME;
use batcher::{Batcher, Role};
use files::{Class, Classified, FileError, FolderDraft, Readers};
use l1::{Address, NativeL1};
use ledger::field::to_hex;
use thiserror::Error;
use wallet::{Locked, WalletError, read_secret};

use crate::deployment::{OPERATOR_FILE, batcher_settings};
use crate::error::{DeploymentError, NoFolder};
use crate::event::{Note, Work};
use crate::open::L1;
use crate::place::{Place, make_folder};
use crate::restore::{RestoreError, restore};

/// Why a data directory did not get its database back.
#[derive(Debug, Error)]
pub enum RestoringError {
    /// There is a database.
    #[error(
        "{} exists and is not replaced; what it knows beyond L1 would be lost: `quire status` says where it stands; to make it again, move it away first",
        path.display()
    )]
    Exists { path: PathBuf },
    /// The data directory has the operator's wallet, and another one is named.
    #[error("{} is the operator's wallet already; leave --operator out", path.display())]
    HasWallet { path: PathBuf },
    /// A wallet is named, and a contract knows its operator by an Ethereum key.
    #[error(
        "the operator of this deployment is {operator}: name its Ethereum key with --eth-key-file, or leave --operator out for a mirror"
    )]
    NeedsKey { operator: Address },
    /// The named wallet is somebody else's.
    #[error("{} is the wallet of {address}, the operator of this deployment is {operator}", path.display())]
    OtherWallet {
        path: PathBuf,
        /// Whose wallet it is.
        address: Address,
        operator: Address,
    },
    /// A wallet was put into the data directory meanwhile.
    #[error("{} exists and is not replaced; choose another name", path.display())]
    WalletTaken { path: PathBuf },
    /// The database has another root than L1.
    #[error("the restored root is not that of L1")]
    Root,
    /// L1 cannot be asked.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
    /// L1's data do not hold.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The database cannot be written.
    #[error(transparent)]
    Batcher(#[from] batcher::StoreError),
    /// A wallet cannot be read.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The folder of the deployment cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// A file cannot be put in place.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Classified for RestoringError {
    fn class(&self) -> Class {
        match self {
            Self::Exists { .. } | Self::WalletTaken { .. } => Class::Refused,
            Self::HasWallet { .. } | Self::NeedsKey { .. } => Class::Usage,
            Self::OtherWallet { .. } => Class::Input,
            Self::Root => Class::Damaged,
            Self::Deployment(error) => error.class(),
            Self::L1Store(error) => error.class(),
            Self::Restore(error) => error.class(),
            Self::Batcher(error) => error.class(),
            Self::Wallet(error) => error.class(),
            Self::Folder(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// Whose database is made.
pub enum Owner {
    /// That of the operator with this address; with its wallet, if that is to be copied.
    Operator(Address, Option<Locked>),
    /// Anybody's who follows L1.
    Mirror,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Totals {
    pub batches: u64,
    pub transfers: usize,
    pub withdrawals: usize,
    pub l1_ops: usize,
    pub accounts: usize,
    /// Entries of the L1 queue that wait for a batch.
    pub pending_queue: u64,
    /// The root, L1's as well, in hexadecimal.
    pub state_root: String,
    /// How long it took.
    pub time: Duration,
}

/// A database being restored: dropped without [`Restoring::keep`], it is gone.
pub struct Restoring {
    pub owner: Owner,
    pub totals: Totals,
    folder: FolderDraft,
}

/// Nothing is restored over a database.
///
/// # Errors
/// [`RestoringError::Exists`].
pub fn check_absent(place: &Place) -> Result<(), RestoringError> {
    let path = place.rollup_dir().join(FILE_NAME);
    files::remove_drafts(&path);
    match path.exists() {
        true => Err(RestoringError::Exists { path }),
        false => Ok(()),
    }
}

/// True if calls of a contract are signed with its operator's Ethereum key.
///
/// # Errors
/// If the key cannot be used, or L1 cannot be read.
pub fn acts_as_operator(l1: &L1) -> Result<bool, DeploymentError> {
    Ok(l1.link.is_remote() && l1.caller_on_chain()? == l1.operator()?)
}

impl Owner {
    /// Whose database is made: the operator's with its wallet, named or kept, or with its Ethereum key. A kept
    /// wallet of somebody else makes a mirror, and a note says so: each former operator's directory has one.
    ///
    /// # Errors
    /// If the named wallet is not the operator's, or a wallet cannot be read.
    pub fn find(
        place: &Place,
        l1: &L1,
        named: Option<Locked>,
        has_key: bool,
    ) -> Result<Self, RestoringError> {
        let kept = place.rollup_dir().join(OPERATOR_FILE);
        let (operator, is_named) = (l1.operator()?, named.is_some());
        let (wallet, copied) = match named {
            Some(named) if kept.exists() => (same_wallet(&named, &kept)?, false),
            Some(named) => (named, true),
            None if kept.exists() => (Locked::read(&kept)?, false),
            None if has_key => return Ok(Self::Operator(operator, None)),
            None => return Ok(Self::Mirror),
        };
        let first = l1.deployment().parameters().operator.address;
        let address = match l1.deployment().is_on_chain() {
            true if has_key => operator,
            // The wallet of the fee accounts says nothing of the operator, but where `l1 deploy` has put it.
            true if !copied => first,
            true => return Err(RestoringError::NeedsKey { operator }),
            false => wallet.address,
        };
        if address == operator {
            return Ok(Self::Operator(operator, copied.then_some(wallet)));
        }
        let (path, address) = (wallet.path, wallet.address);
        if is_named {
            return Err(RestoringError::OtherWallet {
                path,
                address,
                operator,
            });
        }
        place.note(&Note::OthersWallet {
            path,
            address,
            operator,
        });
        Ok(Self::Mirror)
    }
}

/// The wallet that is kept, if the named one is the same.
fn same_wallet(named: &Locked, kept: &Path) -> Result<Locked, RestoringError> {
    let kept = Locked::read(kept)?;
    // Why the same is taken: an interrupted restoration has put it there.
    match read_secret(&named.path, "wallet")? == read_secret(&kept.path, "wallet")? {
        true => Ok(kept),
        false => Err(RestoringError::HasWallet { path: kept.path }),
    }
}

impl Restoring {
    /// Makes the database in a draft folder beside the place where it is to be.
    ///
    /// # Errors
    /// If L1's data do not hold, or files cannot be made.
    pub fn new(place: &Place, l1: &NativeL1, owner: Owner) -> Result<Self, RestoringError> {
        let folder = place.rollup_dir();
        make_folder(&folder)?;
        let folder = FolderDraft::begin(&folder.join(FILE_NAME))?;
        place.stop.remove_at_end(folder.path());
        let totals = rebuild(place, l1, folder.path(), &owner)?;
        Ok(Self {
            owner,
            totals,
            folder,
        })
    }

    /// Puts the operator's wallet in place, has the caller put there what else belongs to the data
    /// directory, and then puts the database in place.
    ///
    /// # Errors
    /// If something has one of the names, or cannot be written, and those of `also`.
    pub fn keep<E: From<RestoringError>>(
        self,
        place: &Place,
        also: impl FnOnce() -> Result<(), E>,
    ) -> Result<(Owner, Totals), E> {
        let Self {
            owner,
            totals,
            folder,
        } = self;
        // Why the database last: until it is there, the same command can be given again.
        let _shield = place.stop.shield();
        if let Owner::Operator(_, Some(wallet)) = &owner {
            copy_wallet(wallet, &place.rollup_dir().join(OPERATOR_FILE))?;
        }
        also()?;
        folder
            .put_file_new(FILE_NAME)
            .map_err(RestoringError::File)?;
        Ok((owner, totals))
    }
}

/// Writes a wallet to a new file that its owner alone can read.
fn copy_wallet(wallet: &Locked, to: &Path) -> Result<(), RestoringError> {
    let secret = read_secret(&wallet.path, "wallet")?;
    files::write_new(to, Readers::Owner, &secret).map_err(|error| match error.is_taken() {
        true => RestoringError::WalletTaken {
            path: to.to_owned(),
        },
        false => error.into(),
    })
}

fn rebuild(
    place: &Place,
    l1: &NativeL1,
    draft: &Path,
    owner: &Owner,
) -> Result<Totals, RestoringError> {
    let began = Instant::now();
    let head = l1.head()?;
    let task = place.task(&Work::Restore, Some(head.next_batch - 1));
    let (mut batches, mut counts) = (0, [0usize; 3]);
    let mut batcher = restore(l1, draft, batcher_settings(l1)?, |batch| {
        batches += 1;
        let of_batch = batch.counts();
        counts = [0, 1, 2].map(|kind| counts[kind] + of_batch[kind]);
        task.at(batches);
    })?;
    task.done();
    own(&mut batcher, owner)?;
    let status = batcher.status();
    if status.state_root != head.root {
        return Err(RestoringError::Root);
    }
    let [l1_ops, transfers, withdrawals] = counts;
    Ok(Totals {
        batches,
        transfers,
        withdrawals,
        l1_ops,
        accounts: batcher.state().accounts().count(),
        pending_queue: head.queue_tail - status.queue,
        state_root: to_hex(&status.state_root),
        time: began.elapsed(),
    })
}

/// Notes in a database whose it is.
fn own(batcher: &mut Batcher, owner: &Owner) -> Result<(), batcher::StoreError> {
    match owner {
        Owner::Operator(address, _) => batcher.set_operator(address.0),
        Owner::Mirror => batcher.set_role(Role::Mirror),
    }
}
