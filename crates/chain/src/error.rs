//! Why a contract's chain could not be read, or a transaction not be sent.
//!
//! What the contract refuses ([`ChainError::Refused`]), what the network does
//! ([`ChainError::Unreachable`], [`ChainError::Node`]) and what must never be
//! ([`ChainError::Disagree`]) are kept apart. No message repeats a key, or an address of a node beyond
//! its host: it may hold a password.

use std::path::PathBuf;

use l1::Address;
use thiserror::Error;

/// Why something about the chain failed.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The text is no address of a node.
    #[error(
        "the address of the node is not valid: {reason}; write http://HOST:PORT or https://HOST/PATH"
    )]
    Url {
        /// What is wrong.
        reason: String,
    },
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
    /// A file beside the mirror is not what this program wrote.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Another process sends with the same key from the same directory.
    #[error("{}: another process sends with this key; wait until it has ended", path.display())]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// The key file holds no key.
    #[error("{}: {reason}; an Ethereum key file holds 64 hexadecimal digits and only its owner may read it (chmod 600)", path.display())]
    Key {
        /// The file.
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
        /// Host of the node.
        node: String,
        /// What was asked.
        method: &'static str,
        /// How often.
        attempts: u32,
        /// The last reason.
        reason: String,
    },
    /// The node answers with an error.
    #[error("the node {node} refuses {method}: {message}")]
    Node {
        /// Host of the node.
        node: String,
        /// What was asked.
        method: &'static str,
        /// What it says.
        message: String,
    },
    /// The node's answer is not one.
    #[error(
        "the node {node} answers {method} with {reason}; it is faulty or no Ethereum node: use another"
    )]
    Answer {
        /// Host of the node.
        node: String,
        /// What was asked.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The node is on another chain.
    #[error(
        "the node is on chain {got}, not on chain {expected}, which is the deployment's or that of --chain-id: name a node of chain {expected} with --l1"
    )]
    OtherChain {
        /// The deployment's chain, or the one that is meant.
        expected: u64,
        /// The node's.
        got: u64,
    },
    /// There is no rollup at the address.
    #[error(
        "there is no rollup at {contract} on chain {chain_id}: {reason}; check the address, the node and that it is synchronised"
    )]
    NotTheContract {
        /// The address.
        contract: Address,
        /// The chain.
        chain_id: u64,
        /// What differs.
        reason: String,
    },
    /// The deployment is no longer on the chain.
    #[error(
        "the chain of this node does not have block {number}, from which the contract {contract} is followed and which lies before its deployment: the node was reset, is not synchronised, or the deployment was reorganized away with many blocks before it; wait, or make another deployment"
    )]
    DeploymentGone {
        /// The contract.
        contract: Address,
        /// The block from which it is followed, some way before its deployment.
        number: u64,
    },
    /// The node does not have blocks that were seen before.
    #[error(
        "the last block of the node is {got}, block {seen} was seen before: the node is not synchronised, its chain was reset, or a node that was asked before has invented the block; nothing was changed: wait, or name another node with --l1; once a node's last block is new and it still lacks block {seen} ten minutes after that was seen, the block is dropped; on a chain that was reset, begin in another --data-dir"
    )]
    Behind {
        /// Number of the node's last block.
        got: u64,
        /// Number of the last block seen before.
        seen: u64,
    },
    /// Blocks changed while they were read, again and again.
    #[error(
        "the chain changed {attempts} times while it was read, or the node contradicts itself; wait a little and repeat the command, or name another node with --l1"
    )]
    Unsteady {
        /// How often.
        attempts: u32,
    },
    /// The contract refuses a call. Nothing was sent.
    #[error("the contract refuses {what}: {reason}")]
    Refused {
        /// The call.
        what: &'static str,
        /// The contract's error, decoded, and what to do.
        reason: String,
    },
    /// A transaction came into a block and failed there, after a simulation that did not.
    #[error(
        "{what} failed in block {block}, transaction {hash}: the chain moved between simulation and execution, and only gas was paid; repeat the command"
    )]
    Failed {
        /// The call.
        what: &'static str,
        /// Number of the block.
        block: u64,
        /// Hash of the transaction.
        hash: String,
    },
    /// A transaction did not come into a block in time.
    #[error(
        "{what} is not in a block, transaction {hash}, offering {fee} wei a unit of gas (the node says {said}): repeat the command later, it waits for the same transaction and sends no second one; `quire l1 cancel` gives it up"
    )]
    NotMined {
        /// The call.
        what: &'static str,
        /// Hash of the last transaction.
        hash: String,
        /// Its greatest fee.
        fee: u128,
        /// The node's words, if it refuses the transaction.
        said: String,
    },
    /// A transaction waits that would fail by now.
    #[error(
        "{what} waits in the network, transaction {hash}, and would fail by now: {reason}; nothing more is offered for it: wait, or give it up with `quire l1 cancel`"
    )]
    WouldFail {
        /// The call.
        what: &'static str,
        /// Hash of the last transaction.
        hash: String,
        /// The contract's error, decoded.
        reason: String,
    },
    /// A transaction waits for others before it.
    #[error(
        "{what} has nonce {nonce} of {from}, and no block has the transaction of nonce {next}: another program has sent it, or the node has lost it; wait, or free the key with `quire l1 cancel`"
    )]
    Gap {
        /// The call.
        what: &'static str,
        /// Who sends.
        from: Address,
        /// Its nonce.
        nonce: u64,
        /// The nonce of the next transaction that a block may have.
        next: u64,
    },
    /// Many transactions of the key wait.
    #[error(
        "{waiting} transactions of {from} wait in the network: wait until blocks have them, or use a key that no other program sends with"
    )]
    Crowded {
        /// Who sends.
        from: Address,
        /// How many.
        waiting: u64,
    },
    /// A transaction did not happen, and may be sent again.
    #[error(
        "another transaction has the nonce of {what}, or the node has lost what it knew of it: repeat the command; what has happened is not done again"
    )]
    Cancelled {
        /// The call.
        what: &'static str,
    },
    /// Gas is dearer than this program pays.
    #[error(
        "a unit of gas costs {fee} wei, this program pays at most {limit}, and offers no more: wait for a cheaper hour"
    )]
    TooDear {
        /// The fee that would be needed.
        fee: u128,
        /// The limit.
        limit: u128,
    },
    /// Another transaction of the same key took the nonce.
    #[error(
        "another transaction of {from} has nonce {nonce}, or the node has lost what it knew of {what}: it is not sent again, since it may have happened; see whether it did (`quire l1 status`, another node), and if not, `quire l1 cancel` forgets it; use a key that no other program sends with"
    )]
    Replaced {
        /// The call.
        what: &'static str,
        /// Who sends.
        from: Address,
        /// The nonce.
        nonce: u64,
    },
    /// An earlier transaction has to be settled before another is sent.
    #[error(
        "an earlier transaction of {from}, {what}, waits in the network as {hash} ({why}); repeat the command once it is in a block, or give it up with `quire l1 cancel`"
    )]
    Earlier {
        /// Who sends.
        from: Address,
        /// What it was.
        what: String,
        /// Hash of the transaction.
        hash: String,
        /// What the node, or a simulation, says of it.
        why: String,
    },
    /// Contract and mirror do not agree. One of the two is wrong, or the node is.
    #[error(
        "the contract and this program do not agree in block {block}, {what}: {reason}; ask another node with --l1, and report this if it says the same"
    )]
    Disagree {
        /// Number of the block.
        block: u64,
        /// What was compared or applied.
        what: String,
        /// How they differ.
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
            other => Self::Chain(Box::new(other)),
        }
    }
}
