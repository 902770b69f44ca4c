//! Transactions of a chain in memory: those that wait, and the receipts of those that a block has.

use alloy::consensus::{Signed, TxEip1559};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{B256, Bytes as Data};
use alloy::rpc::types::Log;
use l1::Address;
use l1::bytes::Bytes;
use serde_json::{Value, json};

use super::contract::{Sent, State};

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
        }
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
    /// As nodes show it.
    pub(super) fn shown(&self, number: u64, block: B256) -> Value {
        let Transaction {
            hash,
            from,
            nonce,
            to,
            ..
        } = &self.transaction;
        let made = alloy::primitives::Address::from(from.0).create(*nonce);
        let mut logs = self.logs.clone();
        for log in &mut logs {
            (log.block_number, log.block_hash) = (Some(number), Some(block));
        }
        json!({
            "type": "0x2",
            "status": if self.success { "0x1" } else { "0x0" },
            "cumulativeGasUsed": "0x5208",
            "gasUsed": "0x5208",
            "effectiveGasPrice": "0x1",
            "logs": logs,
            "logsBloom": format!("0x{}", "00".repeat(256)),
            "transactionHash": hash,
            "transactionIndex": "0x0",
            "blockHash": block,
            "blockNumber": format!("{number:#x}"),
            "from": from,
            "to": to,
            "contractAddress": to.is_none().then_some(made),
        })
    }
}
