//! The making of a chain: a genesis, written into a new database.

use std::collections::BTreeMap;
use std::path::Path;

use prover::key::AllowDevKeys;
use storage::NewDatabase;

use crate::error::{L1Error, OpenError, StoreError};
use crate::genesis::{Genesis, GenesisAccount, accounts_to_bytes};
use crate::head::Head;
use crate::native::NativeL1;
use crate::registry::Registration;
use crate::store::{CONTENTS, DATABASE_VERSION, DEPLOYMENT_RECORD, Tx, VERSION_RECORD, initialize};

/// Genesis accounts in one record of the database, which then fills a page of 512 KiB.
const ACCOUNTS_IN_RECORD: usize = 3100;

impl NativeL1 {
    /// Makes a chain from a genesis in a new file, whole or not at all, and opens it.
    ///
    /// # Errors
    /// [`storage::OpenError::Exists`] if there is a file already; other [`OpenError`]s if it cannot be
    /// made.
    pub fn create(
        path: &Path,
        genesis: &Genesis,
        dev_keys: AllowDevKeys,
    ) -> Result<Self, OpenError> {
        let new = NewDatabase::begin(path, &CONTENTS)?;
        write_block_0(&new, path, genesis)?;
        Self::on(path, new.finish()?, dev_keys)
    }
}

/// Writes a genesis into a new database.
fn write_block_0(new: &NewDatabase, path: &Path, genesis: &Genesis) -> Result<(), OpenError> {
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
    let written = initialize(new.transaction(), head, |tx| write_genesis(tx, genesis));
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
