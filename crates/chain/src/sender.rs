//! Who signs the transactions of one key on one chain, and what is known of them.

use std::path::Path;
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::primitives::{Address as EthAddress, TxKind, U256};
use l1::Address;
use rollup::Unsettled;

use crate::error::ChainError;
use crate::fees::{Offer, offer};
use crate::key::EthKey;
use crate::outbox::{Attempt, Id, Intent, Outbox, Record, SignedCall};
use crate::reverts::reason;
use crate::rpc::{Message, Mined, Rpc, Simulated};

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Pause between questions for a receipt, at first and at most.
    pub poll: (Duration, Duration),
    /// Without a receipt, until a higher fee is offered.
    pub silence: Duration,
    /// Without a receipt although the nonce is used up, until this is told.
    pub nonce_used: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            poll: (Duration::from_millis(100), Duration::from_secs(3)),
            silence: Duration::from_secs(60),
            nonce_used: Duration::from_secs(150),
        }
    }
}

/// A transaction that a block has. Whether it did what it was to do, [`Sender::checked`] tells.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
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

/// What came of waiting.
pub(crate) enum Found {
    /// A block has it.
    Mined(Mined),
    /// A block has the empty transaction in its place.
    Empty(Mined),
    /// The nonce is used up, and there is no receipt.
    NonceUsed,
    /// Nothing in time.
    Nothing,
}

/// How a transaction ended.
pub(crate) enum Ended {
    Mined(Mined),
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

    /// True if the same call was sent before and its end was not told.
    pub(crate) fn has(&self, intent: &Intent<'_>) -> bool {
        self.outbox.find(intent).is_some()
    }

    /// Records, for people.
    pub(crate) fn shown(&self) -> Vec<Unsettled> {
        let mut shown: Vec<Unsettled> = self.outbox.records().iter().map(Record::shown).collect();
        shown.sort_by_key(|record| record.nonce);
        shown
    }

    /// Forgets a transaction whose end was told.
    pub(crate) fn forget(&mut self, id: Id) -> Result<(), ChainError> {
        self.outbox.remove(id)
    }

    /// Forgets the contracts that were made: their addresses were told.
    pub(crate) fn creations_told(&mut self) -> Result<(), ChainError> {
        for id in self.outbox.ids(u64::MAX) {
            let record = self.outbox.get(id);
            if record.is_some_and(|record| record.call.to.is_none() && record.end.is_some()) {
                self.outbox.remove(id)?;
            }
        }
        Ok(())
    }

    /// Runs a call without sending it; the reason if it would fail.
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

    /// Signs the first spelling of a call and writes it down.
    pub(crate) fn write_down(
        &mut self,
        rpc: &Rpc,
        intent: &Intent<'_>,
        call: SignedCall,
    ) -> Result<Id, ChainError> {
        let first = self.sign(&call, offer(rpc, None)?);
        self.outbox.add(Record {
            what: intent.what.to_owned(),
            keep: intent.keep,
            call,
            attempts: vec![first],
            end: None,
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
