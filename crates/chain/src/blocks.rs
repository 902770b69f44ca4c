//! What a block has: its transactions and their receipts, proven by the roots in its header.
//!
//! Invariant: a receipt is believed only if the block that the node's chain has at its number has the transaction
//! under its transactions' root, and what the receipt says only if it is under the block's receipts' root.
//!
//! One exception: blocks of other chains may have transactions of types that this version does not know, as every
//! block of the OP stack and of Arbitrum has. Nodes do not show the receipts of these as the chain hashes them, so
//! that the receipts' root cannot be computed. Then the node is asked for the bytes of such a transaction, the
//! transactions' root is computed all the same, and what our receipt says is the node's word. No node can choose
//! that of a block that the chain has: the types are proven with the transactions. A block that the chain does not
//! have proves nothing: whoever invents one can give it any transactions and receipts.
//!
//! What a node answers about one block is bounded, however many answers that takes.

use alloy::consensus::TxType;
use alloy::consensus::proofs::ordered_trie_root_encoded;
use alloy::eips::BlockNumberOrTag;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{B256, Bytes as Data, keccak256};
use alloy::rpc::types::{Header, Transaction, TransactionReceipt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::backend::MAX_ANSWER;
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
    /// The block's timestamp.
    pub(crate) time: u64,
    /// Whether the block's root proves the receipt; if not, what it says is the node's word.
    pub(crate) proven: bool,
}

/// A block with its transactions, as a node shows it.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    header: Header,
    transactions: Vec<Value>,
}

/// Transactions or receipts of a block as its root has them.
#[derive(Default)]
struct Items {
    encoded: Vec<Data>,
    bytes: usize,
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
        let Some(transactions) = self.transactions(&header, &transactions)? else {
            return Ok(None);
        };
        let hashes: Vec<B256> = transactions.iter().map(keccak256).collect();
        let Some(place) = hashes.iter().position(|there| *there == hash) else {
            let reason = format!("block {number}, which does not have transaction {hash}");
            return Err(self.bad_answer(RECEIPT, reason));
        };
        let proven = transactions.iter().all(|bytes| is_known(bytes));
        let receipt = match proven {
            true => self.proven_receipt(&header, &hashes, place)?,
            false => Some(receipt),
        };
        Ok(receipt.map(|receipt| Mined {
            receipt,
            number,
            hash: block,
            time: header.timestamp,
            proven,
        }))
    }

    /// The transactions of a block as its header's root has them; none if the chain no longer has the block.
    fn transactions(
        &self,
        header: &Header,
        shown: &[Value],
    ) -> Result<Option<Vec<Data>>, ChainError> {
        let mut items = Items::default();
        for shown in shown {
            let encoded = match <Transaction>::deserialize(shown) {
                Ok(transaction) => Some(transaction.inner.encoded_2718().into()),
                Err(_) => self.raw(header, &shown["hash"])?,
            };
            let Some(encoded) = encoded else {
                return Ok(None);
            };
            self.add(&mut items, header, encoded)?;
        }
        match ordered_trie_root_encoded(&items.encoded) == header.transactions_root {
            true => Ok(Some(items.encoded)),
            false => {
                let reason = format!("other transactions than block {} has", header.number);
                Err(self.bad_answer(BLOCK, reason))
            }
        }
    }

    /// The bytes of a transaction of a block by its hash, whose type this version does not know; none if the chain
    /// no longer has the block.
    fn raw(&self, header: &Header, hash: &Value) -> Result<Option<Data>, ChainError> {
        let number = header.number;
        let unknown =
            format!("of block {number}, which has a type that this version does not know");
        let hash = B256::deserialize(hash)
            .map_err(|_| self.bad_answer(BLOCK, format!("no hash of a transaction {unknown}")))?;
        match self.ask::<Option<Data>>(RAW, json!([hash]))? {
            Some(raw) if keccak256(&raw) == hash => Ok(Some(raw)),
            Some(_) => {
                let reason = format!("other bytes than those of transaction {hash} {unknown}");
                Err(self.bad_answer(RAW, reason))
            }
            None if self.block(number)?.map(|block| block.hash) == Some(header.hash) => {
                let reason = format!("nothing for transaction {hash} {unknown}");
                Err(self.bad_answer(RAW, reason))
            }
            None => Ok(None),
        }
    }

    /// A receipt of a block as its header's root has it; none if the node does not have all of them (yet).
    fn proven_receipt(
        &self,
        header: &Header,
        hashes: &[B256],
        place: usize,
    ) -> Result<Option<Box<TransactionReceipt>>, ChainError> {
        let number = BlockNumberOrTag::Number(header.number);
        let together: Result<Option<Vec<TransactionReceipt>>, _> =
            self.ask(RECEIPTS, json!([number]));
        // Why whatever the reason: not all nodes show them together, and these may be too long for one answer.
        let together = together.unwrap_or_default();
        let together = together.filter(|receipts| receipts.len() == hashes.len());
        let mut together = together.map(Vec::into_iter);
        let (mut items, mut ours) = (Items::default(), None);
        for (at, hash) in hashes.iter().enumerate() {
            let receipt: Option<TransactionReceipt> = match &mut together {
                Some(receipts) => receipts.next(),
                None => self.ask(RECEIPT, json!([hash]))?,
            };
            // Why not an error: the chain may have been reorganized since, and nodes at one address may differ.
            let there = |receipt: &TransactionReceipt| receipt.block_hash == Some(header.hash);
            let Some(receipt) = receipt.filter(there) else {
                return Ok(None);
            };
            if at == place {
                ours = Some(Box::new(receipt.clone()));
            }
            let encoded = receipt.into_primitives_receipt().inner.encoded_2718();
            self.add(&mut items, header, encoded.into())?;
        }
        let root = ordered_trie_root_encoded(&items.encoded);
        let of = Some((hashes[place], header.hash));
        let ours = ours.filter(|receipt| {
            let mut logs = receipt.inner.logs().iter();
            receipt.transaction_hash == hashes[place]
                && logs.all(|log| log.transaction_hash.zip(log.block_hash) == of)
        });
        match ours {
            Some(receipt) if root == header.receipts_root => Ok(Some(receipt)),
            _ => {
                let reason = format!("other receipts than block {} has", header.number);
                Err(self.bad_answer(RECEIPTS, reason))
            }
        }
    }

    /// Adds to the transactions or receipts of a block, which in all are as long as one answer at most.
    fn add(&self, items: &mut Items, header: &Header, encoded: Data) -> Result<(), ChainError> {
        items.bytes += encoded.len();
        if items.bytes > MAX_ANSWER {
            let reason = format!(
                "more than {} MiB of block {}",
                MAX_ANSWER >> 20,
                header.number
            );
            return Err(self.bad_answer(BLOCK, reason));
        }
        items.encoded.push(encoded);
        Ok(())
    }
}

/// Whether a transaction is of a type of Ethereum's; those before types begin as a list does.
fn is_known(bytes: &[u8]) -> bool {
    let first = bytes.first().copied().unwrap_or(0);
    first >= 0xc0 || TxType::try_from(first).is_ok()
}
