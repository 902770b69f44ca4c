//! Genesis: what a deployment is fixed to at its start.
//!
//! [`Parameters`] name operator, shapes with the fingerprints of their circuits, tokens and limits;
//! [`GenesisAccount`]s are accounts 1 to G with every check of a deposit applied. Invariant: a
//! [`Genesis`] or [`Deployment`] exists only if all rules hold, and `contract`, the first 20 bytes
//! of BLAKE3 of the canonical genesis, binds every byte of both (docs/protocol.md, sections 3, 6).
//!
//! On disk a genesis is two files of one folder: `genesis.json`, in any layout of JSON, and
//! `genesis.accounts`, which the JSON names by count and BLAKE3 digest. Accounts are binary because
//! a million of them as text would be half a gigabyte: `"QUIRE-GA" ‖ version u32 ‖ count u32`, then
//! 168 bytes each, in index order: `owner 20 ‖ token 4 ‖ Ax ‖ Ay ‖ Qx ‖ Qy ‖ balance 16`,
//! big-endian. The canonical genesis is the JSON without white space, fields in this order.
//!
//! A deployment on an EVM has the same parameters with the chain's id and the contract's address, which
//! then is the address of the deployment. It starts empty: no accounts, and tokens get their ids from
//! the contract. A [`crate::NativeL1`] made from it is a mirror of the contract.
//!
//! Verifying keys are not part of genesis: a deployment can be imported and batches sealed before a
//! key exists. The fingerprint of each circuit is, and the operator registers one key a shape that
//! must match it. (The contract's constructor takes the keys themselves.)

mod accounts;
mod deployment;
mod error;
mod parameters;
mod rules;

use std::path::Path;

use ledger::account::Account;
use ledger::state::State;
use prover::bounded::{self, FileKind, ReadError};

use self::accounts::{ACCOUNTS_HEAD_BYTES, RECORD_BYTES, digest};
pub use self::accounts::{AccountsDigest, GENESIS_VERSION, GenesisAccount};
pub(crate) use self::accounts::{accounts_from_bytes, accounts_to_bytes};
pub use self::deployment::Deployment;
pub use self::error::GenesisError;
pub use self::parameters::{
    DEFAULT_FREEZE_AFTER, DEFAULT_TAKEOVER_AFTER, DEFAULT_TIMESTAMP_SLACK, LEAST_TAKEOVER_AFTER,
    ListedShape, MAX_NAME_BYTES, MOST_FREEZE_AFTER, OPERATORS_HOUR, Operator, Parameters, Token,
};
use self::rules::check_accounts;

/// Name of the file with the parameters.
pub const GENESIS_FILE: &str = "genesis.json";
/// Name of the file with the accounts.
pub const ACCOUNTS_FILE: &str = "genesis.accounts";

const GENESIS: FileKind = FileKind {
    name: "a genesis",
    most: 1 << 24,
};

/// A deployment with its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    deployment: Deployment,
    accounts: Vec<GenesisAccount>,
}

impl Genesis {
    /// A genesis from its parts, keys checked in parallel.
    ///
    /// # Errors
    /// [`GenesisError`] with a rule that does not hold.
    pub fn new(
        parameters: Parameters,
        accounts: Vec<GenesisAccount>,
    ) -> Result<Self, GenesisError> {
        parameters.check()?;
        check_accounts(&parameters, &accounts)?;
        let digest = digest(&accounts, &accounts_to_bytes(&accounts));
        Ok(Self {
            deployment: Deployment::new(parameters, digest)?,
            accounts,
        })
    }

    /// A genesis from JSON and the bytes of the accounts' file.
    pub fn from_bytes(json: &[u8], accounts: &[u8]) -> Result<Self, GenesisError> {
        let deployment = Deployment::from_json(json)?;
        let list = accounts_from_bytes(accounts)?;
        let (expected, got) = (deployment.accounts(), digest(&list, accounts));
        if expected != got {
            return Err(GenesisError::OtherAccounts { expected, got });
        }
        check_accounts(deployment.parameters(), &list)?;
        Ok(Self {
            deployment,
            accounts: list,
        })
    }

    /// Reads `genesis.json` and `genesis.accounts` of a folder.
    pub fn load(folder: &Path) -> Result<Self, GenesisError> {
        let read = |name: &str, kind: FileKind| {
            bounded::read(&folder.join(name), kind).map_err(|error| match error {
                ReadError::Io { path, source } => GenesisError::Io {
                    path,
                    action: "read it",
                    source,
                },
                long @ ReadError::TooLong { .. } => GenesisError::TooLong(long),
            })
        };
        let json = read(GENESIS_FILE, GENESIS)?;
        let listed = Deployment::from_json(&json)?.accounts().count;
        let accounts = FileKind {
            name: "the accounts of this genesis",
            most: (ACCOUNTS_HEAD_BYTES + listed as usize * RECORD_BYTES) as u64,
        };
        Self::from_bytes(&json, &read(ACCOUNTS_FILE, accounts)?)
    }

    /// Writes `genesis.accounts`, then `genesis.json`, into a folder that exists.
    ///
    /// # Errors
    /// [`GenesisError::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), GenesisError> {
        let mut json = serde_json::to_vec_pretty(&self.deployment)?;
        json.push(b'\n');
        let accounts = accounts_to_bytes(&self.accounts);
        for (name, bytes) in [(ACCOUNTS_FILE, accounts), (GENESIS_FILE, json)] {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|source| GenesisError::Io {
                path,
                action: "write it",
                source,
            })?;
        }
        Ok(())
    }

    /// Parameters and digest of the accounts.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The accounts, index 1 first.
    pub fn accounts(&self) -> &[GenesisAccount] {
        &self.accounts
    }

    /// The state before the first batch, hashed in parallel.
    pub fn state(&self) -> State {
        genesis_state(self.deployment.depth(), &self.accounts)
    }
}

/// The state that genesis accounts make.
pub(crate) fn genesis_state(depth: u8, accounts: &[GenesisAccount]) -> State {
    let mut state = State::new(depth);
    let accounts = (1..).zip(accounts).map(|(index, account)| {
        let GenesisAccount {
            key,
            token,
            balance,
            ..
        } = *account;
        (index, Account::new(key, token, balance))
    });
    state
        .insert_genesis(accounts)
        .expect("the indices 1 to G were checked to fit the tree");
    state
}
