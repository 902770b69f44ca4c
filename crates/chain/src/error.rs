//! Why a contract's chain could not be read, or a transaction not be sent.
//!
//! What the contract refuses ([`ChainError::Refused`]), what the network does
//! ([`ChainError::Unreachable`], [`ChainError::Node`]) and what must never be
//! ([`ChainError::Disagree`]) are kept apart. No message repeats a key, or an address of a node beyond
//! its host: it may hold a password.

use std::path::PathBuf;

use files::AnyClassified;
use l1::Address;
use thiserror::Error;

/// Why something about the chain failed.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The text is not the address of a node.
    #[error(
        "the address of the node is not valid: {reason}; write http://HOST:PORT or https://HOST/PATH"
    )]
    Url { reason: String },
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}; check that the path exists and is accessible", path.display())]
    Io {
        path: PathBuf,
        action: &'static str,
        source: std::io::Error,
    },
    /// A file beside the mirror is not what this program wrote.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// Another process sends with the same key from the same directory.
    #[error("{}: another process sends with this key; wait until it has ended", path.display())]
    InUse { path: PathBuf },
    /// The key file holds no key.
    #[error("{}: {reason}; an Ethereum key file holds 64 hexadecimal digits and only its owner may read it (chmod 600)", path.display())]
    Key {
        path: PathBuf,
        /// What is wrong; nothing of the content.
        reason: String,
    },
    /// No key was named.
    #[error(
        "a transaction has to be signed: name the file of the Ethereum key with --eth-key-file or QUIRE_ETH_KEY_FILE"
    )]
    NoKey,
    /// The node does not answer.
    #[error(
        "the node {node} does not answer {method} after {attempts} attempts: {reason}; check that it runs, then give the same command again: it finds what was sent and sends nothing twice"
    )]
    Unreachable {
        node: String,
        method: &'static str,
        attempts: u32,
        reason: String,
    },
    /// The node answers with an error.
    #[error("the node {node} refuses {method}: {message}")]
    Node {
        node: String,
        method: &'static str,
        message: String,
    },
    /// The node's answer breaks a rule.
    #[error(
        "the node {node} answers {method} with {reason}; it is faulty or no Ethereum node: use another"
    )]
    Answer {
        node: String,
        method: &'static str,
        reason: String,
    },
    /// The node is on another chain.
    #[error(
        "the node is on chain {got}, not on chain {expected}, which is the deployment's or that of --chain-id: name a node of chain {expected} with --l1"
    )]
    OtherChain {
        /// The deployment's chain, or the one that is meant.
        expected: u64,
        got: u64,
    },
    /// There is no rollup at the address.
    #[error(
        "there is no rollup at {contract} on chain {chain_id}: {reason}; check the address, the node and that it is synchronised"
    )]
    NotTheContract {
        contract: Address,
        chain_id: u64,
        reason: String,
    },
    /// The deployment is no longer on the chain.
    #[error(
        "the chain of this node does not have block {number}, from which the contract {contract} is followed and which lies before its deployment: the node was reset, is not synchronised, or the deployment was reorganized away with many blocks before it; wait, or make another deployment"
    )]
    DeploymentGone {
        contract: Address,
        /// The block from which it is followed, some way before its deployment.
        number: u64,
    },
    /// The node does not have blocks that were seen before.
    #[error(
        "the last block of the node is {got}, block {seen} was seen before: the node is not synchronised, its chain was reset, or a node that was asked before has invented the block; nothing was changed: wait, or name another node with --l1; once a node's last block is new and it still lacks block {seen} ten minutes after that was seen, the block is dropped; on a chain that was reset, begin in another --data-dir"
    )]
    Behind { got: u64, seen: u64 },
    /// Blocks changed while they were read, again and again.
    #[error(
        "the chain changed {attempts} times while it was read, or the node contradicts itself; wait a little and repeat the command, or name another node with --l1"
    )]
    Unsteady { attempts: u32 },
    /// The contract refuses a call. Nothing was sent.
    #[error("the contract refuses {what}: {reason}")]
    Refused { what: &'static str, reason: String },
    /// A block includes the transaction, and the call failed there although its simulation had not.
    #[error(
        "{what} failed in block {block}, transaction {hash}: the state of the chain changed between simulation and execution, and only gas was paid; repeat the command"
    )]
    Failed {
        what: &'static str,
        block: u64,
        hash: String,
    },
    /// No block included a transaction in time.
    #[error(
        "{what} is not in a block, transaction {hash}, offering {fee} wei a unit of gas (the node says {said}): repeat the command later, it waits for the same transaction and sends no second one; `quire l1 cancel` cancels it"
    )]
    NotMined {
        what: &'static str,
        hash: String,
        fee: u128,
        said: String,
    },
    /// A pending transaction would fail now, so it is not replaced.
    #[error(
        "{what} is pending, transaction {hash}, and would fail now: {reason}; it is not replaced by one with a higher fee: wait, or cancel it with `quire l1 cancel`"
    )]
    WouldFail {
        what: &'static str,
        hash: String,
        reason: String,
    },
    /// A pending transaction has a nonce, and a lower one is free.
    #[error(
        "{what} has nonce {nonce} of {from}, and no block has the transaction of nonce {next}: another program has sent it, or the node has lost it; wait, or fill the gap with `quire l1 cancel`"
    )]
    Gap {
        what: &'static str,
        from: Address,
        nonce: u64,
        next: u64,
    },
    /// Too many transactions of the key are pending.
    #[error(
        "{waiting} transactions of {from} are pending: wait until blocks include them, or use a key that no other program sends with"
    )]
    Crowded { from: Address, waiting: u64 },
    /// A transaction was not included, and the same call may be sent again.
    #[error(
        "another transaction has the nonce of {what}, or the node has lost its receipt: repeat the command; what has happened is not done again"
    )]
    Cancelled { what: &'static str },
    /// Gas costs more than this program offers.
    #[error(
        "a unit of gas costs {fee} wei, and this program offers at most {limit}: wait until gas is cheaper"
    )]
    TooDear { fee: u128, limit: u128 },
    /// The nonce is used, and none of the call's transactions has a receipt.
    #[error(
        "another transaction of {from} has nonce {nonce}, or the node has lost the receipt of {what}: it is not sent again, since it may have happened; check whether it did (`quire l1 status`, another node), and if not, `quire l1 cancel` drops its record; use a key that no other program sends with"
    )]
    Replaced {
        what: &'static str,
        from: Address,
        nonce: u64,
    },
    /// An earlier transaction of the key is pending, and no other is sent.
    #[error(
        "an earlier transaction of {from}, {what}, is pending as {hash} ({why}); repeat the command once a block includes it, or cancel it with `quire l1 cancel`"
    )]
    Earlier {
        from: Address,
        what: String,
        hash: String,
        why: String,
    },
    /// Contract and mirror do not agree. One of the two is wrong, or the node is.
    #[error(
        "the contract and this program do not agree in block {block}, {what}: {reason}; ask another node with --l1, and report this if it says the same"
    )]
    Disagree {
        block: u64,
        what: String,
        reason: String,
    },
    /// A batch cannot be encoded for the contract.
    #[error(transparent)]
    Encode(#[from] l1::evm::calldata::EncodeError),
    /// The mirror's file.
    #[error(transparent)]
    Mirror(#[from] l1::L1Error),
    /// The mirror cannot be made.
    #[error(transparent)]
    Open(#[from] l1::OpenError),
    /// A verifying key of the contract is not one.
    #[error(transparent)]
    VerifyingKey(#[from] prover::key::KeyError),
}

impl From<l1::StoreError> for ChainError {
    fn from(error: l1::StoreError) -> Self {
        Self::Mirror(error.into())
    }
}

impl From<l1::Refusal> for ChainError {
    fn from(refusal: l1::Refusal) -> Self {
        Self::Mirror(refusal.into())
    }
}

impl From<ChainError> for rollup::SettleError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Mirror(error) => Self::L1(error),
            other => Self::Chain(AnyClassified::new(other)),
        }
    }
}
