//! Access to a chain: a node, and a key that signs; and what is fixed by a contract on the chain.
//!
//! Invariant: a node of another chain is refused before anything is asked or sent.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::B256;
use l1::evm::abi;
use l1::genesis::Parameters;
use l1::{Address, Genesis};
use prover::key::VerifyingKey;
use rollup::Unacknowledged;

use crate::blocks::Mined;
use crate::contract::Contract;
use crate::error::ChainError;
use crate::key::EthKey;
use crate::outbox::Intent;
use crate::rpc::{BlockId, Rpc};
use crate::sender::{Included, Patience, Sender};

/// A mirror begins this many blocks before the block before its deployment, so that a reorganization of the last
/// blocks before the deployment leaves its first checkpoint.
pub const ANCHOR: u64 = 64;

/// How often a receipt that says that a call failed is queried while what the node says is no proof of it.
const QUERIES: u32 = 4;

/// Access to a chain: one of its nodes, and the sender of a key if there is one.
pub struct Access {
    pub(crate) rpc: Rpc,
    pub(crate) chain_id: u64,
    pub(crate) sender: Option<Sender>,
}

/// A contract that was deployed or found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What its constructor fixed.
    pub parameters: Parameters,
    /// Its verifying keys by shape id.
    pub keys: BTreeMap<u16, VerifyingKey>,
    /// The block at which its mirror begins, [`ANCHOR`] blocks before the one before its deployment.
    pub before: BlockId,
    /// Number of the block with its deployment.
    pub block: u64,
}

impl Access {
    /// Connects to a node. `key` signs transactions, which are recorded in the folder `outbox`.
    ///
    /// # Errors
    /// [`ChainError`] if the node does not answer, or is on another chain than `expected`.
    pub fn new(
        url: &str,
        expected: Option<u64>,
        key: Option<EthKey>,
        outbox: &Path,
    ) -> Result<Self, ChainError> {
        Self::over(Rpc::new(url)?, expected, key, outbox)
    }

    /// The same over any backend.
    pub(crate) fn over(
        rpc: Rpc,
        expected: Option<u64>,
        key: Option<EthKey>,
        outbox: &Path,
    ) -> Result<Self, ChainError> {
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

    /// Changes how long the sender waits.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.rpc.set_pace(patience.pace);
        if let Some(sender) = &mut self.sender {
            sender.patience = patience;
        }
        self
    }

    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

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

    /// The node and the sender.
    pub(crate) fn sending(&mut self) -> Result<(&Rpc, &mut Sender), ChainError> {
        let sender = self.sender.as_mut().ok_or(ChainError::NoKey)?;
        Ok((&self.rpc, sender))
    }

    /// Waits for the same transaction if it was sent before, and sends it if not.
    pub(crate) fn send(&mut self, intent: &Intent<'_>) -> Result<Included, ChainError> {
        let (rpc, sender) = self.sending()?;
        let included = match sender.resume(rpc, intent)? {
            Some(included) => included,
            None => {
                sender.wait_for_earlier(rpc, u64::MAX)?;
                sender.send(rpc, intent)?
            }
        };
        self.check_success(included, intent.what, |_, included| Ok((included, false)))
    }

    /// Checks that a transaction did not fail. Each receipt is examined, which may bring a later one and says
    /// whether something refutes it; one that says that the call failed is queried again. The failure is reported,
    /// and the record dropped, once two queries in a row say that the transaction failed in one block and nothing
    /// refutes either.
    pub(crate) fn check_success(
        &mut self,
        mut included: Included,
        what: &'static str,
        mut examine: impl FnMut(&mut Self, Included) -> Result<(Included, bool), ChainError>,
    ) -> Result<Included, ChainError> {
        let mut confirmed = None;
        for query in 1..=QUERIES {
            let (examined, refuted) = examine(self, included)?;
            let Mined {
                number,
                hash: block,
                ref receipt,
                ..
            } = examined.mined;
            if receipt.status() {
                return Ok(examined);
            }
            let hash = receipt.transaction_hash.to_string();
            let (rpc, sender) = self.sending()?;
            if !refuted && confirmed == Some(block) {
                sender.drop_record(examined.id)?;
                let block = number;
                return Err(ChainError::Failed { what, block, hash });
            }
            if refuted && query == QUERIES {
                let reason = format!("the failure of {hash}, which has events in block {number}");
                return Err(rpc.bad_answer("eth_getTransactionReceipt", reason));
            }
            confirmed = (!refuted).then_some(block);
            rpc.pause(sender.patience.poll.1);
            included = sender.recheck_inclusion(rpc, examined.id, what)?;
        }
        Err(ChainError::Unsteady { attempts: QUERIES })
    }

    /// Cancels every pending transaction: an empty one replaces it, unless a block includes it first. The record of
    /// a transaction is dropped if another program's has its nonce.
    ///
    /// # Errors
    /// [`ChainError`]; the records of those that are still pending stay.
    pub fn cancel(&mut self) -> Result<Vec<Unacknowledged>, ChainError> {
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

    /// The block at which a contract's mirror begins.
    pub(crate) fn anchor(&self, contract: Address, deployed: u64) -> Result<BlockId, ChainError> {
        let number = deployed.saturating_sub(1 + ANCHOR);
        let block = self.rpc().block(number)?;
        block.ok_or(ChainError::DeploymentGone { contract, number })
    }
}

/// The configuration that the constructor is given.
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
