//! What a block has: its transactions and their receipts, proven by the roots in its header.
//!
//! Invariant: a receipt is believed only if the block that the node's chain has at its number has the transaction
//! under its transactions' root, and what the receipt says only if it is under the block's receipts' root.
//!
//! One exception: blocks of other chains may have transactions of types that this version does not know. Nodes do
//! not show the receipts of these as the chain hashes them, so that the receipts' root cannot be computed. Then the
//! node is asked for the bytes of such a transaction, the transactions' root is computed all the same, and what our
//! receipt says is the node's word. No node can choose that: the types are proven with the transactions.

use alloy::consensus::TxType;
use alloy::consensus::proofs::{calculate_receipt_root, ordered_trie_root_encoded};
use alloy::eips::BlockNumberOrTag;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{B256, Bytes as Data, keccak256};
use alloy::rpc::types::{Header, Transaction, TransactionReceipt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ChainError;
use crate::rpc::Rpc;

const BLOCK: &str = "eth_getBlockByNumber";
const RECEIPT: &str = "eth_getTransactionReceipt";
const RECEIPTS: &str = "eth_getBlockReceipts";
const RAW: &str = "eth_getRawTransactionByHash";

/// The receipt of a transaction, and the block that has it.
#[derive(Clone, Debug)]
pub(crate) struct Mined {
    pub(crate) receipt: Box<TransactionReceipt>,
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// A block with its transactions, as a node shows it.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    header: Header,
    transactions: Vec<Value>,
}

impl Rpc {
    /// The receipt of a transaction, if the node's chain has its block.
    pub(crate) fn mined(&self, hash: B256) -> Result<Option<Mined>, ChainError> {
        let receipt: Option<Box<TransactionReceipt>> = self.ask(RECEIPT, json!([hash]))?;
        let Some(receipt) = receipt else {
            return Ok(None);
        };
        if receipt.transaction_hash != hash {
            return Err(self.bad_answer(RECEIPT, "the receipt of another transaction"));
        }
        let (Some(number), Some(block)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(None);
        };
        let params = json!([BlockNumberOrTag::Number(number), true]);
        let shown: Option<Shown> = self.ask(BLOCK, params)?;
        let Some(Shown {
            header,
            transactions,
        }) = shown
        else {
            return Ok(None);
        };
        if self.numbered(&header, number)?.hash != block {
            return Ok(None);
        }
        let transactions = self.proven(&header, &transactions)?;
        let hashes: Vec<B256> = transactions.iter().map(keccak256).collect();
        let Some(place) = hashes.iter().position(|there| *there == hash) else {
            let reason = format!("block {number}, which does not have transaction {hash}");
            return Err(self.bad_answer(RECEIPT, reason));
        };
        let receipt = match transactions.iter().all(|bytes| is_known(bytes)) {
            true => self.proven_receipt(&header, &hashes, place)?,
            false => Some(receipt),
        };
        Ok(receipt.map(|receipt| Mined {
            receipt,
            number,
            hash: block,
        }))
    }

    /// The transactions of a block as its header's root has them.
    fn proven(&self, header: &Header, shown: &[Value]) -> Result<Vec<Data>, ChainError> {
        let encoded = shown.iter().map(|shown| self.encoded(header, shown));
        let encoded = encoded.collect::<Result<Vec<Data>, ChainError>>()?;
        let root = ordered_trie_root_encoded(&encoded);
        match root == header.transactions_root {
            true => Ok(encoded),
            false => {
                let reason = format!("other transactions than block {} has", header.number);
                Err(self.bad_answer(BLOCK, reason))
            }
        }
    }

    fn encoded(&self, header: &Header, shown: &Value) -> Result<Data, ChainError> {
        if let Ok(transaction) = <Transaction>::deserialize(shown) {
            return Ok(transaction.inner.encoded_2718().into());
        }
        let raw: Option<Data> = match B256::deserialize(&shown["hash"]) {
            Ok(hash) => self.ask(RAW, json!([hash]))?,
            Err(_) => None,
        };
        raw.ok_or_else(|| {
            let reason = format!(
                "nothing for a transaction of block {}, which has a type that this version does not know",
                header.number
            );
            self.bad_answer(RAW, reason)
        })
    }

    /// A receipt of a block as its header's root has it; none if the node does not have all of them (yet).
    fn proven_receipt(
        &self,
        header: &Header,
        hashes: &[B256],
        place: usize,
    ) -> Result<Option<Box<TransactionReceipt>>, ChainError> {
        let Some(receipts) = self.receipts(header.number, hashes)? else {
            return Ok(None);
        };
        // Why not an error: the chain may have been reorganized since, and nodes at one address may differ.
        let there = |receipt: &TransactionReceipt| receipt.block_hash == Some(header.hash);
        if !receipts.iter().all(there) {
            return Ok(None);
        }
        let encoded = receipts.iter().cloned();
        let encoded = encoded.map(|receipt| receipt.into_primitives_receipt().inner);
        let root = calculate_receipt_root(&encoded.collect::<Vec<_>>());
        let receipt = receipts.into_iter().nth(place);
        let of = Some((hashes[place], header.hash));
        let receipt = receipt.filter(|receipt| {
            let mut logs = receipt.inner.logs().iter();
            receipt.transaction_hash == hashes[place]
                && logs.all(|log| log.transaction_hash.zip(log.block_hash) == of)
        });
        match receipt {
            Some(receipt) if root == header.receipts_root => Ok(Some(Box::new(receipt))),
            _ => {
                let reason = format!("other receipts than block {} has", header.number);
                Err(self.bad_answer(RECEIPTS, reason))
            }
        }
    }

    /// The receipts of a block, one by one where the node does not show them together.
    fn receipts(
        &self,
        number: u64,
        hashes: &[B256],
    ) -> Result<Option<Vec<TransactionReceipt>>, ChainError> {
        match self.ask(RECEIPTS, json!([BlockNumberOrTag::Number(number)])) {
            Err(ChainError::Node { .. }) => {}
            shown => return shown,
        }
        let receipts = hashes.iter().map(|hash| self.ask(RECEIPT, json!([hash])));
        receipts.collect()
    }
}

/// Whether a transaction is of a type of Ethereum's; those before types begin as a list does.
fn is_known(bytes: &[u8]) -> bool {
    let first = bytes.first().copied().unwrap_or(0);
    first >= 0xc0 || TxType::try_from(first).is_ok()
}
