//! The making of a chain: a genesis, written into a new database.

use std::collections::BTreeMap;
use std::path::Path;

use files::FolderDraft;
use prover::key::AllowDevKeys;
use redb::Database;

use crate::error::{L1Error, OpenError, StoreError};
use crate::genesis::{Genesis, GenesisAccount, accounts_to_bytes};
use crate::head::Head;
use crate::native::NativeL1;
use crate::open::open_error;
use crate::registry::Registration;
use crate::store::{DATABASE_VERSION, DEPLOYMENT_RECORD, Tx, VERSION_RECORD, found};

/// Name of a new database in its draft.
const DRAFT: &str = "l1.redb";

/// Genesis accounts in one record of the database, which then fills a page of 512 KiB.
const ACCOUNTS_IN_RECORD: usize = 3100;

impl NativeL1 {
    /// Makes a chain from a genesis in a new file, whole or not at all, and opens it.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is a file already; other [`OpenError`]s if it cannot be made.
    pub fn create(
        path: &Path,
        genesis: &Genesis,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        if path.exists() {
            return Err(OpenError::Exists { path: path.into() });
        }
        let folder = FolderDraft::begin(path)?;
        make_database(&folder.path().join(DRAFT), genesis)?;
        folder
            .put_file_new(DRAFT)
            .map_err(|error| match error.is_taken() {
                true => OpenError::Exists { path: path.into() },
                false => error.into(),
            })?;
        Self::open(path, dev_keys)
    }
}

/// Writes a genesis into a new database file and closes it.
fn make_database(path: &Path, genesis: &Genesis) -> Result<(), OpenError> {
    let db = Database::create(path).map_err(|error| open_error(path, error))?;
    let head = Head {
        root: genesis.state().root(),
        height: 0,
        time: 0,
        frozen: false,
        next_batch: 1,
        timestamp: 0,
        queue_head: 0,
        queue_tail: 0,
        next_index: 1,
        pending_deposits: 0,
        operator_fees: 0,
        operator: genesis.deployment().parameters().operator.address,
        offered_operator: None,
        taken_over: false,
        operator_back_at: 0,
    };
    let written = found(&db, head, |tx| write_genesis(tx, genesis));
    written.map_err(|error| {
        let source = match error {
            L1Error::Store(source) => source,
            L1Error::Refused(refusal) => StoreError::Inconsistent {
                what: "the genesis".to_owned(),
                expected: "balances below 2^128".to_owned(),
                got: refusal.to_string(),
            },
        };
        OpenError::Store {
            path: path.into(),
            source,
        }
    })
}

fn write_genesis(tx: &mut Tx<'_>, genesis: &Genesis) -> Result<(), L1Error> {
    let deployment = genesis.deployment().canonical_bytes();
    let version = DATABASE_VERSION.to_be_bytes();
    tx.meta.insert(VERSION_RECORD, version.as_slice())?;
    tx.meta.insert(DEPLOYMENT_RECORD, deployment.as_slice())?;
    for (number, accounts) in (0..).zip(genesis.accounts().chunks(ACCOUNTS_IN_RECORD)) {
        let record = accounts_to_bytes(accounts);
        tx.genesis_accounts.insert(number, record.as_slice())?;
    }
    let mut balances: BTreeMap<u32, u128> = BTreeMap::new();
    for account in genesis.accounts() {
        let GenesisAccount {
            owner,
            token,
            balance,
            ..
        } = *account;
        tx.register(Registration { owner, token })?;
        *balances.entry(token).or_default() += balance;
    }
    for (token, amount) in balances {
        tx.take_balance(token, amount)?;
    }
    Ok(())
}
