//! A deployment is planned, and made in its data directory.
//!
//! Invariant: `D/rollup` is put in place whole, and never over another.

use std::path::{Path, PathBuf};

use batcher::Batcher;
use files::{FileError, FolderDraft, Readers};
use l1::bytes::Bytes;
use l1::genesis::{
    DEFAULT_FREEZE_AFTER, DEFAULT_TAKEOVER_AFTER, DEFAULT_TIMESTAMP_SLACK, GenesisError,
    ListedShape, Operator, Token,
};
use l1::{Address, Genesis, GenesisAccount, NativeL1, Parameters};
use ledger::babyjubjub::{Point, cofactor_inverse_point};
use ledger::shape::Shape;
use rand::RngCore;
use rand::rngs::OsRng;
use thiserror::Error;
use wallet::{KeyEncryption, Wallet, WalletError, encode};
use zeroize::Zeroizing;

use crate::amount::ETH;
use crate::deployment::{Deployment, OPERATOR_FILE, batcher_settings};
use crate::error::NoFolder;
use crate::event::Work;
use crate::keys::{KeysError, compiled};
use crate::place::{Place, make_folder};
use crate::restore::genesis_accounts;
use crate::shape::shape_name;

/// Deposits that may wait for a batch.
pub const PENDING_CAP: u64 = 1 << 16;
/// What L1 takes for an operation, in wei: 0.0001 ETH.
pub const DEFAULT_L1_FEE: u128 = 100_000_000_000_000;

/// Why no deployment was made. Nothing is left of it.
#[derive(Debug, Error)]
pub enum CreateError {
    /// One was begun on a chain.
    #[error(
        "{} has a deployment on a chain that was begun: finish it with the same `quire l1 deploy`, or choose another --data-dir; moving it away gives it up",
        folder.display()
    )]
    Begun { folder: PathBuf },
    /// There is one.
    #[error(
        "{} has a deployment already, which is whole: `quire status` says where it stands; choose another --data-dir for another one",
        data_dir.display()
    )]
    Exists {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A chain is named, and this makes a native L1.
    #[error(
        "--l1 names a node, and this makes a native L1: leave it out, or use `quire l1 deploy`"
    )]
    OnChain,
    /// A new deployment has its L1 in its own folder.
    #[error(
        "a new deployment has its L1 in {}; leave --l1 out, got {}",
        expected.display(),
        got.display()
    )]
    OtherL1 {
        /// Where it will be.
        expected: PathBuf,
        /// What was named.
        got: PathBuf,
    },
    /// A circuit does not compile.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The genesis breaks a rule.
    #[error("the genesis breaks a rule")]
    Genesis {
        /// Which.
        source: GenesisError,
    },
    /// The genesis cannot be written.
    #[error(transparent)]
    Save(GenesisError),
    /// L1 cannot be made.
    #[error(transparent)]
    L1(#[from] l1::OpenError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1Store(#[from] l1::StoreError),
    /// The batcher's database cannot be made.
    #[error(transparent)]
    Batcher(#[from] batcher::OpenError),
    /// The data directory cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// A file or folder cannot be put in place.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The operator of a deployment to be made.
pub struct OperatorKey {
    /// Public key of the first account.
    pub public: Point,
    /// Who may submit batches.
    pub address: Address,
    /// The wallet file that the deployment gets.
    pub file: Zeroizing<Vec<u8>>,
}

impl OperatorKey {
    /// An operator whose wallet is kept as told.
    ///
    /// # Errors
    /// If the wallet cannot be encrypted.
    pub fn of(wallet: &Wallet, sealing: &KeyEncryption) -> Result<Self, WalletError> {
        Ok(Self {
            public: wallet.public,
            address: wallet.address,
            file: encode(wallet, sealing)?,
        })
    }
}

/// A deployment to be made.
pub struct Plan {
    pub shapes: Vec<Shape>,
    /// Tokens by id, ETH first.
    pub tokens: Vec<Token>,
    /// Accounts from index 1, the first the operator's fee account.
    pub accounts: Vec<GenesisAccount>,
    pub operator: OperatorKey,
    /// Tells deployments apart.
    pub salt: [u8; 32],
    /// What L1 takes for an operation.
    pub l1_fee: u128,
    /// Deposits that may wait for a batch.
    pub pending_cap: u64,
    /// Seconds by which a batch's timestamp may lie before L1's time.
    pub timestamp_slack: u64,
    /// Seconds that the oldest queue entry may wait before anybody may submit batches.
    pub takeover_after: u64,
    /// Seconds that the oldest queue entry may wait before anybody may freeze L1.
    pub freeze_after: u64,
}

/// 32 bytes from the operating system.
pub fn random_salt() -> [u8; 32] {
    let mut salt = [0; 32];
    OsRng.fill_bytes(&mut salt);
    salt
}

/// Nothing is made over a deployment, or beside one that was begun.
///
/// # Errors
/// If the data directory has one.
pub fn check_absent(place: &Place) -> Result<(), CreateError> {
    let folder = place.deploying_dir();
    files::remove_drafts(&folder);
    files::remove_drafts(&place.rollup_dir());
    if folder.exists() {
        return Err(CreateError::Begun { folder });
    }
    match place.has_deployment() {
        false => Ok(()),
        true => Err(CreateError::Exists {
            data_dir: place.data_dir.clone(),
        }),
    }
}

/// The genesis account of a key.
pub fn genesis_account(owner: Address, token: u32, key: &Point, balance: u128) -> GenesisAccount {
    GenesisAccount {
        owner,
        token,
        key: *key,
        q: cofactor_inverse_point(key),
        balance,
    }
}

impl Plan {
    /// A deployment without accounts but the operator's fee account in ETH.
    pub fn empty(shapes: Vec<Shape>, operator: OperatorKey) -> Self {
        Self {
            shapes,
            tokens: vec![Token::eth()],
            accounts: vec![genesis_account(operator.address, ETH, &operator.public, 0)],
            operator,
            salt: random_salt(),
            l1_fee: DEFAULT_L1_FEE,
            pending_cap: PENDING_CAP,
            timestamp_slack: DEFAULT_TIMESTAMP_SLACK,
            takeover_after: DEFAULT_TAKEOVER_AFTER,
            freeze_after: DEFAULT_FREEZE_AFTER,
        }
    }

    fn genesis(&self, place: &Place) -> Result<Genesis, CreateError> {
        let mut listed = Vec::new();
        for shape in &self.shapes {
            let name = shape_name(shape);
            let _task = place.task(&Work::Compile { shape: name }, None);
            let fingerprint = Bytes(compiled(shape)?.r1cs.fingerprint());
            listed.push(ListedShape {
                shape: *shape,
                fingerprint,
            });
        }
        let parameters = Parameters {
            chain_id: 0,
            contract: None,
            salt: Bytes(self.salt),
            operator: Operator {
                name: "operator".to_owned(),
                address: self.operator.address,
            },
            shapes: listed,
            l1_fee: self.l1_fee,
            pending_cap: self.pending_cap,
            timestamp_slack: self.timestamp_slack,
            takeover_after: self.takeover_after,
            freeze_after: self.freeze_after,
            tokens: self.tokens.clone(),
        };
        Genesis::new(parameters, self.accounts.clone())
            .map_err(|source| CreateError::Genesis { source })
    }
}

/// A deployment being made: dropped without [`Draft::keep`], it is gone.
pub struct Draft {
    pub deployment: Deployment,
    folder: FolderDraft,
}

impl Draft {
    /// Makes L1 and batcher in a draft folder of the data directory.
    ///
    /// # Errors
    /// If there is a deployment, or files cannot be made.
    pub fn new(place: &Place, plan: &Plan) -> Result<Self, CreateError> {
        check_absent(place)?;
        if place.connect.is_some() {
            return Err(CreateError::OnChain);
        }
        let expected = l1_file(&place.rollup_dir());
        if place.l1_file != expected {
            let got = place.l1_file.clone();
            return Err(CreateError::OtherL1 { expected, got });
        }
        make_folder(&place.data_dir)?;
        let folder = FolderDraft::begin(&place.rollup_dir())?;
        place.stop.remove_at_end(folder.path());
        let genesis = plan.genesis(place)?;
        genesis.save(folder.path()).map_err(CreateError::Save)?;
        let operator_file = folder.path().join(OPERATOR_FILE);
        files::write_new(&operator_file, Readers::Owner, &plan.operator.file)?;
        let l1 = NativeL1::create(&l1_file(folder.path()), &genesis, place.dev_keys)?;
        let accounts = genesis_accounts(&l1)?;
        let batcher = Batcher::create(folder.path(), batcher_settings(&l1)?, accounts)?;
        let deployment = Deployment::of_new(l1, batcher, place.confirmations);
        Ok(Self { deployment, folder })
    }

    /// Puts the deployment in place, where it can be opened.
    ///
    /// # Errors
    /// If the folder cannot be renamed.
    pub fn keep(self, place: &Place) -> Result<(), CreateError> {
        let Self { deployment, folder } = self;
        drop(deployment);
        let _shield = place.stop.shield();
        Ok(folder.put_new()?)
    }
}

fn l1_file(folder: &Path) -> PathBuf {
    folder.join("l1.redb")
}
