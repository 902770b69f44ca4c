//! How a chain is reached, and what is fixed by a contract on it.
//!
//! Invariant: a node of another chain is refused before anything is asked or sent.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::B256;
use l1::evm::abi;
use l1::genesis::Parameters;
use l1::{Address, Genesis};
use prover::key::VerifyingKey;
use rollup::Unsettled;

use crate::contract::Contract;
use crate::error::ChainError;
use crate::key::EthKey;
use crate::outbox::Intent;
use crate::rpc::{BlockId, Rpc};
use crate::sender::{Patience, Sender, Settled};

/// Blocks between the one before a deployment and the one from which a mirror follows the chain, so that
/// a reorganization of the last blocks before the deployment leaves the mirror where it begins.
pub const ANCHOR: u64 = 64;

/// How a chain is reached.
pub struct Access {
    pub(crate) rpc: Rpc,
    pub(crate) chain_id: u64,
    pub(crate) sender: Option<Sender>,
}

/// A contract that was deployed or found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it fixes.
    pub parameters: Parameters,
    /// Its verifying keys by shape id.
    pub keys: BTreeMap<u16, VerifyingKey>,
    /// A block before its deployment, [`ANCHOR`] blocks before the last such one.
    pub before: BlockId,
    /// Number of the block with its deployment.
    pub block: u64,
}

impl Access {
    /// Connects to a node. `key` signs transactions, which are written down in `outbox`, a folder.
    ///
    /// # Errors
    /// [`ChainError`] if the node does not answer, or is on another chain than `expected`.
    pub fn new(
        url: &str,
        expected: Option<u64>,
        key: Option<EthKey>,
        outbox: &Path,
    ) -> Result<Self, ChainError> {
        let rpc = Rpc::new(url)?;
        let got = rpc.chain_id()?;
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            return Err(ChainError::OtherChain { expected, got });
        }
        let sender = key.map(|key| Sender::new(key, got, outbox)).transpose()?;
        Ok(Self {
            rpc,
            chain_id: got,
            sender,
        })
    }

    /// Changes how long is waited for what.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        if let Some(sender) = &mut self.sender {
            sender.patience = patience;
        }
        self
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Id of the chain.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Address of the key that signs.
    ///
    /// # Errors
    /// [`ChainError::NoKey`].
    pub fn caller(&self) -> Result<Address, ChainError> {
        Ok(self.sender()?.address())
    }

    fn sender(&self) -> Result<&Sender, ChainError> {
        self.sender.as_ref().ok_or(ChainError::NoKey)
    }

    /// The node, and who sends.
    pub(crate) fn sending(&mut self) -> Result<(&Rpc, &mut Sender), ChainError> {
        let sender = self.sender.as_mut().ok_or(ChainError::NoKey)?;
        Ok((&self.rpc, sender))
    }

    /// Waits for the same transaction if it was sent before, and sends it if not.
    pub(crate) fn send(&mut self, intent: &Intent<'_>) -> Result<Settled, ChainError> {
        let (rpc, sender) = self.sending()?;
        let settled = match sender.resume(rpc, intent)? {
            Some(settled) => settled,
            None => {
                sender.settle_before(rpc, u64::MAX)?;
                sender.send(rpc, intent)?
            }
        };
        sender.checked(rpc, settled, intent.what)
    }

    /// Gives up every transaction that waits: an empty one takes its nonce, unless a block has it first.
    /// What another transaction keeps out for good is forgotten.
    ///
    /// # Errors
    /// [`ChainError`]; those that still wait are kept.
    pub fn cancel(&mut self) -> Result<Vec<Unsettled>, ChainError> {
        let (rpc, sender) = self.sending()?;
        sender.cancel(rpc)
    }

    pub(crate) fn not_the_contract(&self, contract: Address, reason: &str) -> ChainError {
        ChainError::NotTheContract {
            contract,
            chain_id: self.chain_id,
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn contract(&self, address: Address, at: Option<B256>) -> Contract<'_> {
        Contract {
            rpc: &self.rpc,
            address,
            at,
        }
    }

    /// The block from which a contract's mirror follows the chain.
    pub(crate) fn anchor(&self, contract: Address, deployed: u64) -> Result<BlockId, ChainError> {
        let number = deployed.saturating_sub(1 + ANCHOR);
        let block = self.rpc().block(number)?;
        block.ok_or(ChainError::DeploymentGone { contract, number })
    }
}

/// What the constructor is given.
pub(crate) fn constructed(parameters: &Parameters, depth: u8, path_hasher: Address) -> abi::Config {
    abi::Config {
        operator: parameters.operator.address,
        salt: parameters.salt,
        l1_fee: parameters.l1_fee,
        pending_cap: parameters.pending_cap,
        timestamp_slack: parameters.timestamp_slack,
        takeover_after: parameters.takeover_after,
        freeze_after: parameters.freeze_after,
        depth,
        path_hasher,
    }
}

/// The genesis of a contract's mirror.
///
/// # Errors
/// [`ChainError`] if its parameters break a rule.
pub fn genesis_of(found: &Found) -> Result<Genesis, ChainError> {
    let genesis = Genesis::new(found.parameters.clone(), Vec::new());
    Ok(genesis.map_err(l1::OpenError::from)?)
}
