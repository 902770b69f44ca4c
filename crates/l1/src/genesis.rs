//! Genesis: what a deployment is fixed to at its start.
//!
//! [`Parameters`] name operator, shapes with the fingerprints of their circuits, tokens and limits;
//! [`GenesisAccount`]s are accounts 1 to G with every check of a deposit applied. Invariant: a
//! [`Genesis`] or [`Deployment`] exists only if all rules hold, and `contract`, the first 20 bytes
//! of BLAKE3 of the canonical genesis, binds every byte of both (design: Protocol, sections 3, 6).
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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ledger::account::Account;
use ledger::babyjubjub::{KeyError as PointFault, Point, deposit_key_is_good};
use ledger::field::Fr;
use ledger::shape::{Shape, leaves};
use ledger::state::State;
use prover::bounded::{self, FileKind, ReadError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bytes::{Address, Bytes, decimal};
use crate::codec::{CodecError, Reader, Writer};
use crate::token::MAX_DECIMALS;

/// Name of the file with the parameters.
pub const GENESIS_FILE: &str = "genesis.json";
/// Name of the file with the accounts.
pub const ACCOUNTS_FILE: &str = "genesis.accounts";
/// Default of [`Parameters::timestamp_slack`]: a day.
pub const DEFAULT_TIMESTAMP_SLACK: u64 = 24 * 60 * 60;
/// Default of [`Parameters::takeover_after`]: three days.
pub const DEFAULT_TAKEOVER_AFTER: u64 = 3 * 24 * 60 * 60;
/// Least [`Parameters::takeover_after`]: an operator that returns as often as it may leaves everybody
/// else at least half of the time.
pub const LEAST_TAKEOVER_AFTER: u64 = 2 * crate::operator::OPERATORS_HOUR;
/// Default of [`Parameters::freeze_after`]: seven days.
pub const DEFAULT_FREEZE_AFTER: u64 = 7 * 24 * 60 * 60;
/// Greatest [`Parameters::freeze_after`]: 90 days.
pub const MOST_FREEZE_AFTER: u64 = 90 * 24 * 60 * 60;
/// Version of the JSON and of the accounts' file.
pub const GENESIS_VERSION: u32 = 3;
/// Greatest length of an operator's or token's name in bytes.
pub const MAX_NAME_BYTES: usize = 64;

const ACCOUNTS_LABEL: &[u8; 8] = b"QUIRE-GA";
/// Label, version and count.
const ACCOUNTS_HEAD_BYTES: usize = 8 + 4 + 4;
const RECORD_BYTES: usize = 20 + 4 + 4 * 32 + 16;
const GENESIS: FileKind = FileKind {
    name: "a genesis",
    most: 1 << 24,
};
const ACCOUNTS: &str = "the genesis accounts";

/// The first operator, who submits batches and collects fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// For people: 1 to 64 bytes without control characters.
    pub name: String,
    /// The address that calls.
    pub address: Address,
}

/// A shape that the deployment accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedShape {
    /// The sizes; the id is what batches name.
    pub shape: Shape,
    /// Fingerprint of the circuit, which the verifying key must have.
    pub fingerprint: Bytes<32>,
}

/// A token. Its id is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// For people: 1 to 64 bytes without control characters. What passes [`crate::token::check_symbol`] is shown
    /// as the token's symbol.
    pub name: String,
    /// Decimal places, for people; none if they are not known, and of ETH, which has 18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Address of the token on the chain that it comes from, zero for ETH.
    pub address: Address,
}

/// What a deployment is fixed to, accounts aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// 0 for a native L1, else the id of the chain that the contract is on (EIP-155).
    pub chain_id: u64,
    /// Address of the contract; none for a native L1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Address>,
    /// Tells deployments apart that agree in all else.
    pub salt: Bytes<32>,
    /// The first operator; L1 says who is it now.
    pub operator: Operator,
    /// The accepted shapes: distinct ids, one depth, at least one with L1 slots.
    pub shapes: Vec<ListedShape>,
    /// Price of a deposit, top-up or exit request in ETH's smallest unit.
    #[serde(with = "decimal")]
    pub l1_fee: u128,
    /// Most deposits and top-ups that may wait for a batch; exits are not counted.
    pub pending_cap: u64,
    /// Δ: seconds that a batch's timestamp may lie before the L1's time.
    pub timestamp_slack: u64,
    /// Seconds that the oldest queue entry may wait for a batch before anyone may submit batches: more
    /// than `timestamp_slack`, at least [`LEAST_TAKEOVER_AFTER`].
    pub takeover_after: u64,
    /// Seconds that the oldest queue entry may wait for a batch before anyone may freeze L1: at least
    /// twice `takeover_after`, at most [`MOST_FREEZE_AFTER`].
    pub freeze_after: u64,
    /// All tokens by id, the first ETH with address zero; addresses distinct.
    pub tokens: Vec<Token>,
}

/// An account that exists from the start. Account `i` of the list has index `i + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Who owns it on L1.
    pub owner: Address,
    /// Its token.
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

/// Why something is not a genesis.
#[derive(Debug, Error)]
pub enum GenesisError {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}; check that the path exists and is accessible", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// The reason given.
        source: std::io::Error,
    },
    /// A file is longer than any of its kind.
    #[error(transparent)]
    TooLong(ReadError),
    /// The JSON does not parse or lacks fields.
    #[error("the genesis is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format version.
    #[error("the genesis has version {got}, this program reads {expected}; make it again")]
    Version {
        /// Version of this program.
        expected: u32,
        /// Version found.
        got: u32,
    },
    /// A native L1 has chain id 0 and no contract, a deployment on an EVM has both.
    #[error(
        "a native L1 has chain_id 0 and no contract, a deployment on an EVM has both; got chain_id {chain_id}, contract {}",
        contract.map_or_else(|| "none".to_owned(), |contract| contract.to_string())
    )]
    ChainId {
        /// The chain id.
        chain_id: u64,
        /// The contract.
        contract: Option<Address>,
    },
    /// A contract starts without accounts and with ETH alone.
    #[error(
        "a deployment on an EVM starts empty; got {accounts} accounts and {tokens} tokens besides ETH: deposit and add tokens on the contract"
    )]
    NotEmpty {
        /// Accounts.
        accounts: u32,
        /// Tokens besides ETH.
        tokens: usize,
    },
    /// A name is empty, too long, or not printable.
    #[error("{of}: a name has 1 to {MAX_NAME_BYTES} bytes and no control characters, got {got:?}")]
    Name {
        /// Whose name.
        of: &'static str,
        /// The name.
        got: String,
    },
    /// The rollup could be taken over too soon.
    #[error(
        "takeover_after is {got} s: it must be at least {least} s, that is two hours and more than timestamp_slack"
    )]
    TakeoverAfter {
        /// The least.
        least: u64,
        /// The parameter.
        got: u64,
    },
    /// The rollup could be frozen too soon, or not within a reasonable time.
    #[error(
        "freeze_after is {got} s: it must be at least {least} s, twice takeover_after, and at most {MOST_FREEZE_AFTER} s, 90 days"
    )]
    FreezeAfter {
        /// The least.
        least: u64,
        /// The parameter.
        got: u64,
    },
    /// Two shapes have one id.
    #[error("two shapes have id {id}")]
    ShapeTwice {
        /// The id.
        id: u16,
    },
    /// The shapes differ in depth.
    #[error("shape {id} has depth {got}, the first has {expected}")]
    Depth {
        /// The shape's id.
        id: u16,
        /// Depth of the first shape.
        expected: u8,
        /// Depth of this shape.
        got: u8,
    },
    /// A shape's sizes are not valid.
    #[error("shape {id}: {source}")]
    Shape {
        /// The shape's id.
        id: u16,
        /// The rule that does not hold.
        source: ledger::shape::ShapeError,
    },
    /// No shape could consume the queue.
    #[error("no shape has L1 slots: deposits and exits could never execute")]
    NoL1Slots,
    /// The first token is not ETH.
    #[error("token 0 must be ETH with address 0x00…00 and no decimals")]
    NotEth,
    /// More decimal places than an amount can have.
    #[error("token {token} has {got} decimals, at most {MAX_DECIMALS} are possible")]
    Decimals {
        /// The id.
        token: usize,
        /// Its decimals.
        got: u8,
    },
    /// More tokens than ids.
    #[error("{0} tokens are more than 32-bit ids can name")]
    TooManyTokens(usize),
    /// Two tokens have one address.
    #[error("tokens {first} and {second} have one address, {address}")]
    TokenTwice {
        /// The earlier id.
        first: usize,
        /// The later id.
        second: usize,
        /// The address.
        address: Address,
    },
    /// More accounts than indices.
    #[error(
        "{accounts} accounts do not fit a tree with {leaves} leaves, of which index 0 stays empty"
    )]
    TooManyAccounts {
        /// Accounts.
        accounts: usize,
        /// `4^depth`.
        leaves: u64,
    },
    /// The account's token is not listed.
    #[error("account {index} has token {token}, ids go from 0 to below {tokens}")]
    UnknownToken {
        /// Index of the account.
        index: u32,
        /// Its token.
        token: u32,
        /// Number of tokens.
        tokens: usize,
    },
    /// The account's key is bad.
    #[error("the key of account {index} is refused: {source}")]
    BadKey {
        /// Index of the account.
        index: u32,
        /// The rule that does not hold.
        source: PointFault,
    },
    /// The balances of a token reach 2^128.
    #[error("the balances of token {token} reach 2^128 at account {index}")]
    EscrowFull {
        /// Index of the account with which they do.
        index: u32,
        /// The token.
        token: u32,
    },
    /// The accounts' bytes are not well-formed.
    #[error(transparent)]
    Accounts(#[from] CodecError),
    /// The accounts are not those that the JSON names.
    #[error("the accounts should be {} with digest {}, they are {} with {}; copy both files again",
        expected.count, expected.blake3, got.count, got.blake3)]
    OtherAccounts {
        /// What the JSON names.
        expected: AccountsDigest,
        /// What the accounts are.
        got: AccountsDigest,
    },
}

/// A deployment's parameters with the digest of its accounts: all that L1 needs in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployment {
    version: u32,
    parameters: Parameters,
    accounts: AccountsDigest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedDeployment {
    #[serde(rename = "version")]
    _version: u32,
    parameters: Parameters,
    accounts: AccountsDigest,
}

/// What every version of the JSON has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl Deployment {
    fn new(parameters: Parameters, accounts: AccountsDigest) -> Result<Self, GenesisError> {
        parameters.check()?;
        let (accounts_listed, tokens) = (accounts.count, parameters.tokens.len() - 1);
        if parameters.contract.is_some() && (accounts_listed != 0 || tokens != 0) {
            let accounts = accounts_listed;
            return Err(GenesisError::NotEmpty { accounts, tokens });
        }
        Ok(Self {
            version: GENESIS_VERSION,
            parameters,
            accounts,
        })
    }

    /// Reads JSON in any layout and checks all rules but those about accounts.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn from_json(json: &[u8]) -> Result<Self, GenesisError> {
        let AnyVersion { version: got } = serde_json::from_slice(json)?;
        if got != GENESIS_VERSION {
            return Err(GenesisError::Version {
                expected: GENESIS_VERSION,
                got,
            });
        }
        let raw: UncheckedDeployment = serde_json::from_slice(json)?;
        Self::new(raw.parameters, raw.accounts)
    }

    /// The canonical bytes: JSON without white space, fields in the order of the types.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text keys and numbers are JSON")
    }

    /// The deployment's address: the contract's, or for a native L1 the first 20 bytes of BLAKE3 of
    /// the canonical bytes.
    pub fn contract(&self) -> Address {
        if let Some(contract) = self.parameters.contract {
            return contract;
        }
        let digest = blake3::hash(&self.canonical_bytes());
        let (head, _) = digest
            .as_bytes()
            .split_first_chunk()
            .expect("a digest has 32 bytes");
        Bytes(*head)
    }

    /// What operations are signed for; see [`ledger::operation::domain`].
    pub fn domain(&self) -> Fr {
        let Parameters { chain_id, salt, .. } = &self.parameters;
        ledger::operation::domain(*chain_id, &self.contract().0, &salt.0)
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Number and digest of the accounts.
    pub fn accounts(&self) -> AccountsDigest {
        self.accounts
    }

    /// True if this is a contract on an EVM, so that a native L1 made from it is its mirror.
    pub fn is_on_chain(&self) -> bool {
        self.parameters.contract.is_some()
    }

    /// Depth of the account tree.
    pub fn depth(&self) -> u8 {
        self.parameters.shapes[0].shape.depth
    }

    /// The listed shape with this id.
    pub fn shape(&self, id: u16) -> Option<&ListedShape> {
        let mut shapes = self.parameters.shapes.iter();
        shapes.find(|listed| listed.shape.id == id)
    }
}

impl Parameters {
    /// Checks every rule that concerns parameters alone.
    ///
    /// # Errors
    /// The first [`GenesisError`] that applies.
    pub fn check(&self) -> Result<(), GenesisError> {
        let (chain_id, contract) = (self.chain_id, self.contract);
        if (chain_id == 0) != contract.is_none() {
            return Err(GenesisError::ChainId { chain_id, contract });
        }
        check_name("operator", &self.operator.name)?;
        self.check_times()?;
        self.check_shapes()?;
        self.check_tokens()
    }

    fn check_times(&self) -> Result<(), GenesisError> {
        let least = LEAST_TAKEOVER_AFTER.max(self.timestamp_slack.saturating_add(1));
        let got = self.takeover_after;
        if got < least {
            return Err(GenesisError::TakeoverAfter { least, got });
        }
        let (least, got) = (got.saturating_mul(2), self.freeze_after);
        if (least..=MOST_FREEZE_AFTER).contains(&got) {
            return Ok(());
        }
        Err(GenesisError::FreezeAfter { least, got })
    }

    fn check_shapes(&self) -> Result<(), GenesisError> {
        let mut ids = BTreeSet::new();
        for ListedShape { shape, .. } in &self.shapes {
            let id = shape.id;
            shape
                .validate()
                .map_err(|source| GenesisError::Shape { id, source })?;
            if !ids.insert(id) {
                return Err(GenesisError::ShapeTwice { id });
            }
            let (expected, got) = (self.shapes[0].shape.depth, shape.depth);
            if got != expected {
                return Err(GenesisError::Depth { id, expected, got });
            }
        }
        if self.shapes.iter().all(|listed| listed.shape.l1_ops == 0) {
            return Err(GenesisError::NoL1Slots);
        }
        Ok(())
    }

    fn check_tokens(&self) -> Result<(), GenesisError> {
        let eth = self.tokens.first().ok_or(GenesisError::NotEth)?;
        if *eth != Token::eth() {
            return Err(GenesisError::NotEth);
        }
        if u32::try_from(self.tokens.len()).is_err() {
            return Err(GenesisError::TooManyTokens(self.tokens.len()));
        }
        let mut seen = BTreeMap::new();
        for (second, token) in self.tokens.iter().enumerate() {
            check_name("token", &token.name)?;
            if let Some(got) = token.decimals.filter(|decimals| *decimals > MAX_DECIMALS) {
                return Err(GenesisError::Decimals { token: second, got });
            }
            if let Some(first) = seen.insert(token.address, second) {
                return Err(GenesisError::TokenTwice {
                    first,
                    second,
                    address: token.address,
                });
            }
        }
        Ok(())
    }
}

impl Token {
    /// The coin of the chain, which every deployment has first.
    pub fn eth() -> Self {
        Self {
            name: "ETH".to_owned(),
            decimals: None,
            address: Bytes([0; 20]),
        }
    }
}

fn check_name(of: &'static str, name: &str) -> Result<(), GenesisError> {
    let length = 1..=MAX_NAME_BYTES;
    if length.contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(GenesisError::Name {
        of,
        got: name.chars().take(MAX_NAME_BYTES).collect(),
    })
}

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
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn from_bytes(json: &[u8], accounts: &[u8]) -> Result<Self, GenesisError> {
        let deployment = Deployment::from_json(json)?;
        let list = accounts_from_bytes(accounts)?;
        let (expected, got) = (deployment.accounts, digest(&list, accounts));
        if expected != got {
            return Err(GenesisError::OtherAccounts { expected, got });
        }
        check_accounts(&deployment.parameters, &list)?;
        Ok(Self {
            deployment,
            accounts: list,
        })
    }

    /// Reads `genesis.json` and `genesis.accounts` of a folder.
    ///
    /// # Errors
    /// [`GenesisError`].
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
        let listed = Deployment::from_json(&json)?.accounts.count;
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

fn check_accounts(
    parameters: &Parameters,
    accounts: &[GenesisAccount],
) -> Result<(), GenesisError> {
    let leaves = leaves(parameters.shapes[0].shape.depth);
    let fits = u32::try_from(accounts.len()).is_ok_and(|count| u64::from(count) < leaves);
    if !fits {
        return Err(GenesisError::TooManyAccounts {
            accounts: accounts.len(),
            leaves,
        });
    }
    let mut escrow: BTreeMap<u32, u128> = BTreeMap::new();
    for (index, account) in (1..).zip(accounts) {
        let token = account.token;
        let tokens = parameters.tokens.len();
        if usize::try_from(token).map_or(true, |token| token >= tokens) {
            return Err(GenesisError::UnknownToken {
                index,
                token,
                tokens,
            });
        }
        let sum = escrow.entry(token).or_default();
        let total = sum.checked_add(account.balance);
        *sum = total.ok_or(GenesisError::EscrowFull { index, token })?;
    }
    let bad_key = |(index, account): (u32, &GenesisAccount)| {
        let fault = deposit_key_is_good(&account.key, &account.q).err()?;
        Some(GenesisError::BadKey {
            index,
            source: fault,
        })
    };
    let indices = (1..).take(accounts.len()).collect::<Vec<u32>>();
    let first = indices
        .into_par_iter()
        .zip(accounts)
        .find_map_first(bad_key);
    first.map_or(Ok(()), Err)
}

fn digest(accounts: &[GenesisAccount], bytes: &[u8]) -> AccountsDigest {
    AccountsDigest {
        count: u32::try_from(accounts.len()).expect("the number of accounts was checked"),
        blake3: Bytes(*blake3::hash(bytes).as_bytes()),
    }
}

/// The bytes of the accounts' file.
pub(crate) fn accounts_to_bytes(accounts: &[GenesisAccount]) -> Vec<u8> {
    let count = u32::try_from(accounts.len()).expect("the number of accounts was checked");
    let header = Writer::default().put(ACCOUNTS_LABEL);
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
        key: reader.point("A")?,
        q: reader.point("Q")?,
        balance: reader.u128()?,
    };
    reader.end()?;
    Ok(account)
}
