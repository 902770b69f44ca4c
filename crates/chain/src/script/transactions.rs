//! Transactions of a chain in memory: those that wait, and the receipts of those that a block has.

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{
    Receipt as Outcome, ReceiptEnvelope, Signed, Transaction as _, TxEip1559, TxEnvelope,
};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{Address as EthAddress, B256, Bytes as Data, Log as Event, keccak256};
use alloy::rpc::types::Log;
use l1::Address;
use l1::bytes::Bytes;
use serde_json::{Value, json};

use super::contract::{Sent, State};

/// What each transaction uses.
const GAS: u64 = 21_000;

/// A signed transaction.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) hash: B256,
    pub(crate) from: Address,
    pub(crate) nonce: u64,
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
    to: Option<Address>,
    value: u128,
    data: Data,
    pub(super) signed: TxEnvelope,
}

/// A receipt, but for its block.
#[derive(Clone)]
pub(super) struct Receipt {
    pub(super) transaction: Transaction,
    success: bool,
    logs: Vec<Log>,
}

impl Transaction {
    pub(super) fn read(raw: &[u8]) -> Self {
        let signed = Signed::<TxEip1559>::decode_2718_exact(raw).unwrap();
        let hash = signed.signature_hash();
        let signer = signed
            .signature()
            .recover_address_from_prehash(&hash)
            .unwrap();
        let inner = signed.tx();
        Self {
            hash: *signed.hash(),
            from: Bytes(signer.into_array()),
            nonce: inner.nonce,
            max_fee: inner.max_fee_per_gas,
            tip: inner.max_priority_fee_per_gas,
            to: inner.to.to().map(|to| Bytes(to.into_array())),
            value: u128::try_from(inner.value).unwrap(),
            data: inner.input.clone(),
            signed: signed.into(),
        }
    }

    /// As its block's root has it.
    pub(super) fn encoded(&self) -> Data {
        self.signed.encoded_2718().into()
    }

    /// As nodes show it.
    pub(super) fn shown(&self, number: u64, block: B256, place: u64) -> Value {
        let signer = EthAddress::from(self.from.0);
        let shown = alloy::rpc::types::Transaction {
            inner: Recovered::new_unchecked(self.signed.clone(), signer),
            block_hash: Some(block),
            block_number: Some(number),
            transaction_index: Some(place),
            effective_gas_price: None,
            block_timestamp: None,
        };
        json!(shown)
    }

    /// Executes it in a block of this time.
    pub(super) fn execute(self, state: &mut State, time: u64, logs: &mut Vec<Log>) -> Receipt {
        state.use_nonce(self.from);
        let (before, first) = (state.clone(), logs.len());
        let success = match self.to {
            None => true,
            Some(to) => {
                let sent = Sent {
                    from: self.from,
                    to,
                    value: self.value,
                    data: &self.data,
                };
                state.run(&sent, time, logs).is_ok()
            }
        };
        if !success {
            *state = before;
            logs.truncate(first);
        }
        for log in &mut logs[first..] {
            log.transaction_hash = Some(self.hash);
        }
        Receipt {
            logs: logs[first..].to_vec(),
            transaction: self,
            success,
        }
    }
}

impl Receipt {
    /// That of a transaction of any type that another account sent, which does nothing here.
    pub(super) fn of_another(signed: TxEnvelope) -> Self {
        let transaction = Transaction {
            hash: *signed.tx_hash(),
            from: Bytes([0xbb; 20]),
            nonce: signed.nonce(),
            max_fee: signed.max_fee_per_gas(),
            tip: 0,
            to: signed.to().map(|to| Bytes(to.into_array())),
            value: 0,
            data: signed.input().clone(),
            signed,
        };
        Self {
            transaction,
            success: true,
            logs: Vec::new(),
        }
    }

    /// As its block's root has it.
    pub(super) fn encoded(&self, place: u64) -> ReceiptEnvelope {
        let logs: Vec<Event> = self.logs.iter().map(|log| log.inner.clone()).collect();
        let outcome = Outcome {
            status: self.success.into(),
            cumulative_gas_used: (place + 1) * GAS,
            logs,
        };
        ReceiptEnvelope::from_typed(self.transaction.signed.tx_type(), outcome.with_bloom())
    }

    /// As nodes show it.
    pub(super) fn shown(&self, number: u64, block: B256, place: u64) -> Value {
        let Transaction {
            hash,
            from,
            nonce,
            to,
            ..
        } = &self.transaction;
        let made = EthAddress::from(from.0).create(*nonce);
        let encoded = self.encoded(place);
        let mut logs = self.logs.clone();
        for log in &mut logs {
            (log.block_number, log.block_hash) = (Some(number), Some(block));
        }
        json!({
            "type": encoded.tx_type(),
            "status": if self.success { "0x1" } else { "0x0" },
            "cumulativeGasUsed": format!("{:#x}", encoded.cumulative_gas_used()),
            "gasUsed": format!("{GAS:#x}"),
            "effectiveGasPrice": "0x1",
            "logs": logs,
            "logsBloom": encoded.logs_bloom(),
            "transactionHash": hash,
            "transactionIndex": format!("{place:#x}"),
            "blockHash": block,
            "blockNumber": format!("{number:#x}"),
            "from": from,
            "to": to,
            "contractAddress": to.is_none().then_some(made),
        })
    }
}

/// A transaction of a type that is none of Ethereum's, as its block's root has it.
pub(super) fn foreign(number: u64) -> Data {
    [&[0x7e_u8][..], &number.to_be_bytes()].concat().into()
}

/// The same as nodes show it.
pub(super) fn shown_foreign(number: u64) -> Value {
    json!({ "type": "0x7e", "hash": keccak256(foreign(number)), "mint": "0x0" })
}
