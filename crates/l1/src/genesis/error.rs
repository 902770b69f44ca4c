//! Why something is not a genesis.

use std::path::PathBuf;

use ledger::babyjubjub::KeyError as PointFault;
use prover::bounded::ReadError;
use storage::CodecError;
use thiserror::Error;

use super::accounts::AccountsDigest;
use super::parameters::{MAX_NAME_BYTES, MOST_FREEZE_AFTER};
use crate::bytes::Address;
use crate::token::MAX_DECIMALS;

/// Why something is not a genesis.
#[derive(Debug, Error)]
pub enum GenesisError {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}; check that the path exists and is accessible", path.display())]
    Io {
        path: PathBuf,
        action: &'static str,
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
    Version { expected: u32, got: u32 },
    /// A native L1 has chain id 0 and no contract, a deployment on an EVM has both.
    #[error(
        "a native L1 has chain_id 0 and no contract, a deployment on an EVM has both; got chain_id {chain_id}, contract {}",
        contract.map_or_else(|| "none".to_owned(), |contract| contract.to_string())
    )]
    ChainId {
        chain_id: u64,
        contract: Option<Address>,
    },
    /// A contract starts without accounts and with ETH alone.
    #[error(
        "a deployment on an EVM starts empty; got {accounts} accounts and {tokens} tokens besides ETH: deposit and add tokens on the contract"
    )]
    NotEmpty {
        accounts: u32,
        /// Tokens besides ETH.
        tokens: usize,
    },
    /// A name is empty, too long, or not printable.
    #[error("{of}: a name has 1 to {MAX_NAME_BYTES} bytes and no control characters, got {got:?}")]
    Name { of: &'static str, got: String },
    /// The rollup could be taken over too soon.
    #[error(
        "takeover_after is {got} s: it must be at least {least} s, that is two hours and more than timestamp_slack"
    )]
    TakeoverAfter { least: u64, got: u64 },
    /// The rollup could be frozen too soon, or not within a reasonable time.
    #[error(
        "freeze_after is {got} s: it must be at least {least} s, twice takeover_after, and at most {MOST_FREEZE_AFTER} s, 90 days"
    )]
    FreezeAfter { least: u64, got: u64 },
    /// Two shapes have one id.
    #[error("two shapes have id {id}")]
    ShapeTwice { id: u16 },
    /// The shapes differ in depth.
    #[error("shape {id} has depth {got}, the first has {expected}")]
    Depth {
        id: u16,
        /// Depth of the first shape.
        expected: u8,
        got: u8,
    },
    /// A shape's sizes are not valid.
    #[error("shape {id}: {source}")]
    Shape {
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
    Decimals { token: usize, got: u8 },
    /// More tokens than ids.
    #[error("{0} tokens are more than 32-bit ids can name")]
    TooManyTokens(usize),
    /// Two tokens have one address.
    #[error("tokens {first} and {second} have one address, {address}")]
    TokenTwice {
        first: usize,
        second: usize,
        address: Address,
    },
    /// More accounts than indices.
    #[error(
        "{accounts} accounts do not fit a tree with {leaves} leaves, of which index 0 stays empty"
    )]
    TooManyAccounts {
        accounts: usize,
        /// `4^depth`.
        leaves: u64,
    },
    /// The account's token is not listed.
    #[error("account {index} has token {token}, ids go from 0 to below {tokens}")]
    UnknownToken {
        index: u32,
        token: u32,
        tokens: usize,
    },
    /// The account's key is bad.
    #[error("the key of account {index} is refused: {source}")]
    BadKey {
        index: u32,
        /// The rule that does not hold.
        source: PointFault,
    },
    /// The balances of a token reach 2^128.
    #[error("the balances of token {token} reach 2^128 at account {index}")]
    EscrowFull {
        /// Index of the account with which they do.
        index: u32,
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
