//! The accounts of a genesis, and their file.

use ledger::babyjubjub::Point;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use storage::{CodecError, Reader, Writer};

use crate::bytes::{Address, Bytes};

/// Version of the JSON and of the accounts' file.
pub const GENESIS_VERSION: u32 = 3;
const ACCOUNTS_LABEL: &[u8; 8] = b"QUIRE-GA";
/// Label, version and count.
pub(super) const ACCOUNTS_HEAD_BYTES: usize = 8 + 4 + 4;
pub(super) const RECORD_BYTES: usize = 20 + 4 + 4 * 32 + 16;
const ACCOUNTS: &str = "the genesis accounts";

/// An account that exists from the start. Account `i` of the list has index `i + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Who owns it on L1.
    pub owner: Address,
    pub token: u32,
    /// `A`, the key that signs.
    pub key: Point,
    /// `Q` with `A = 8·Q`.
    pub q: Point,
    /// Opening balance.
    pub balance: u128,
}

/// The accounts, by number and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountsDigest {
    /// G, the number of accounts.
    pub count: u32,
    /// BLAKE3 of the accounts' file.
    pub blake3: Bytes<32>,
}

pub(super) fn digest(accounts: &[GenesisAccount], bytes: &[u8]) -> AccountsDigest {
    AccountsDigest {
        count: u32::try_from(accounts.len()).expect("the number of accounts was checked"),
        blake3: Bytes(*blake3::hash(bytes).as_bytes()),
    }
}

/// The bytes of the accounts' file.
pub(crate) fn accounts_to_bytes(accounts: &[GenesisAccount]) -> Vec<u8> {
    let count = u32::try_from(accounts.len()).expect("the number of accounts was checked");
    let mut record = Writer::default();
    let header = record.put(ACCOUNTS_LABEL);
    let start = header.u32(GENESIS_VERSION).u32(count);
    let records = accounts.iter().fold(start, |out, account| {
        let GenesisAccount {
            owner,
            token,
            key,
            q,
            balance,
        } = account;
        let out = out.put(&owner.0).u32(*token).point(key);
        out.point(q).u128(*balance)
    });
    records.finish()
}

/// Reads the bytes of the accounts' file: label, version, exact length, canonical coordinates.
pub(crate) fn accounts_from_bytes(bytes: &[u8]) -> Result<Vec<GenesisAccount>, CodecError> {
    let mut reader = Reader::new(ACCOUNTS, bytes);
    reader.label(ACCOUNTS_LABEL)?;
    reader.label(&GENESIS_VERSION.to_be_bytes())?;
    let count = usize::try_from(reader.u32()?).expect("32 bits fit usize");
    let records = reader.slice(count.saturating_mul(RECORD_BYTES))?;
    reader.end()?;
    records
        .par_chunks_exact(RECORD_BYTES)
        .map(account_from_bytes)
        .collect()
}

fn account_from_bytes(bytes: &[u8]) -> Result<GenesisAccount, CodecError> {
    let mut reader = Reader::new(ACCOUNTS, bytes);
    let account = GenesisAccount {
        owner: reader.bytes()?,
        token: reader.u32()?,
        key: reader.coordinates("A")?,
        q: reader.coordinates("Q")?,
        balance: reader.u128()?,
    };
    reader.end()?;
    Ok(account)
}
