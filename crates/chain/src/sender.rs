//! The sender: it signs the transactions of one key on one chain, and has their outbox.

use std::path::Path;
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::primitives::{Address as EthAddress, TxKind, U256};
use l1::Address;
use rollup::Unacknowledged;

use crate::blocks::Mined;
use crate::error::ChainError;
use crate::fees::{Offer, offer};
use crate::key::EthKey;
use crate::outbox::{Attempt, Id, Intent, Outbox, Record, SignedCall};
use crate::reverts::reason;
use crate::rpc::{Message, Rpc, Simulated};

/// How long the sender waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first and the longest pause between two queries of a receipt.
    pub poll: (Duration, Duration),
    /// How long a transaction may have no receipt before a replacement offers more.
    pub silence: Duration,
    /// How long a receipt may be missing although the nonce is used, before this is an error.
    pub nonce_used: Duration,
    /// By how much every pause is divided, those between repeated requests and readings included.
    pub pace: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            poll: (Duration::from_millis(100), Duration::from_secs(3)),
            silence: Duration::from_secs(60),
            nonce_used: Duration::from_secs(150),
            pace: 1,
        }
    }
}

/// A transaction that a block has. `Access::check_success` checks that it did not fail there.
#[derive(Clone, Debug)]
pub(crate) struct Included {
    pub(crate) id: Id,
    pub(crate) mined: Mined,
}

/// Sends the transactions of one key on one chain.
pub(crate) struct Sender {
    pub(crate) key: EthKey,
    pub(crate) chain_id: u64,
    pub(crate) outbox: Outbox,
    pub(crate) patience: Patience,
}

/// The result of a receipt query.
pub(crate) enum ReceiptQuery {
    /// A block has the transaction or one of its replacements.
    Included(Mined),
    /// A block has the empty transaction that replaced it.
    Emptied(Mined),
    /// The nonce is used, and none of the transactions has a receipt.
    NonceUsed,
    /// The nonce is not used.
    Pending,
}

/// How a transaction was included.
pub(crate) enum Inclusion {
    Included(Mined),
    /// The empty transaction that replaced it was included.
    Cancelled,
}

impl Sender {
    /// A sender whose outbox is in this folder.
    pub(crate) fn new(key: EthKey, chain_id: u64, folder: &Path) -> Result<Self, ChainError> {
        Ok(Self {
            outbox: Outbox::open(folder, chain_id, key.address())?,
            key,
            chain_id,
            patience: Patience::default(),
        })
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// True if the outbox has the same call: it was sent before, and its outcome was not acknowledged.
    pub(crate) fn has(&self, intent: &Intent<'_>) -> bool {
        self.outbox.find(intent).is_some()
    }

    /// The records of the outbox by nonce, for people.
    pub(crate) fn summaries(&self) -> Vec<Unacknowledged> {
        let mut records: Vec<Unacknowledged> =
            self.outbox.records().iter().map(Record::summary).collect();
        records.sort_by_key(|record| record.nonce);
        records
    }

    /// Drops the record of a transaction whose outcome was acknowledged.
    pub(crate) fn drop_record(&mut self, id: Id) -> Result<(), ChainError> {
        self.outbox.remove(id)
    }

    /// Drops the records of contracts that were created: their addresses were acknowledged.
    pub(crate) fn drop_creations(&mut self) -> Result<(), ChainError> {
        for id in self.outbox.ids(u64::MAX) {
            let record = self.outbox.get(id);
            if record.is_some_and(|record| record.call.to.is_none() && record.outcome.is_some()) {
                self.outbox.remove(id)?;
            }
        }
        Ok(())
    }

    /// Simulates a call; the reason if it would fail.
    pub(crate) fn simulate(
        &self,
        rpc: &Rpc,
        message: Message<'_>,
    ) -> Result<Result<(), String>, ChainError> {
        Ok(match rpc.simulate(message, None)? {
            Simulated::Returned(_) => Ok(()),
            Simulated::Reverted(returned) => Err(reason(&returned)),
        })
    }

    pub(crate) fn message<'a>(&self, intent: &Intent<'a>) -> Message<'a> {
        Message {
            from: Some(self.address()),
            to: intent.to,
            value: intent.value,
            data: intent.data,
        }
    }

    /// Signs the first transaction of a call and adds the record to the outbox.
    pub(crate) fn record_first(
        &mut self,
        rpc: &Rpc,
        intent: &Intent<'_>,
        call: SignedCall,
    ) -> Result<Id, ChainError> {
        let first = self.sign(&call, offer(rpc, None)?);
        self.outbox.add(Record {
            what: intent.what.to_owned(),
            acknowledge: intent.acknowledge,
            call,
            attempts: vec![first],
            outcome: None,
        })
    }

    pub(crate) fn sign(&self, call: &SignedCall, offer: Offer) -> Attempt {
        let to = call.to.map(|to| EthAddress::from(to.0));
        let raw = self.key.sign(TxEip1559 {
            chain_id: self.chain_id,
            nonce: call.nonce,
            gas_limit: call.gas,
            max_fee_per_gas: offer.max_fee,
            max_priority_fee_per_gas: offer.tip,
            to: to.map_or(TxKind::Create, TxKind::Call),
            value: U256::from(call.value),
            access_list: Vec::new().into(),
            input: call.data.clone(),
        });
        let read = Attempt::read(raw.into(), self.chain_id, self.address());
        read.expect("what this key signed is read as such").1
    }
}
