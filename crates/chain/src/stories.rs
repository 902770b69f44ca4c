//! What happens to calls between a program and a chain, told over a node in memory: transactions are replaced,
//! lost, dropped and cut off, nodes lag and lie, and each call happens once.
//!
//! `tests/tests/on_a_chain` tells the same of a real node and the real contract.

mod deploying;
mod fees;
mod nodes;
mod receipts;
mod sending;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use alloy::consensus::Header;
use alloy::rpc::types::Block;
use l1::{Address, Deposit, NativeL1, QueueEntry};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::eddsa::PrivateKey;
use prover::key::AllowDevKeys;
use rollup::{Call, Called, Outcome, SettleError, Settlement, TransactionStatus};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::Access;
use crate::chain::Chain;
use crate::error::ChainError;
use crate::mirror::create_mirror;
use crate::outbox::tests::key;
use crate::script::{Fate, L1_FEE, Mining, Node, Shown, genesis};

/// A deployment, its mirror, and a program that calls it.
struct Life {
    folder: TempDir,
    node: Node,
    /// None while no program runs.
    program: Option<(NativeL1, Chain)>,
}

fn l1_file(folder: &TempDir) -> PathBuf {
    folder.path().join("l1.redb")
}

fn access(folder: &TempDir, node: &Node) -> Result<Access, ChainError> {
    let place = folder.path().join("ethereum");
    Access::over(node.rpc(), None, Some(key(folder.path())), &place)
}

impl Life {
    fn begin() -> Self {
        let (folder, draft) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let genesis = genesis();
        let empty = NativeL1::create(&l1_file(&draft), &genesis, AllowDevKeys::Yes).unwrap();
        let node = Node::new(&empty);
        let before = node.rpc().latest().unwrap();
        drop(create_mirror(&l1_file(&folder), &genesis, &BTreeMap::new(), before).unwrap());
        node.shown().mine(&[]);
        let mut life = Self {
            folder,
            node,
            program: None,
        };
        life.reopen().unwrap();
        life
    }

    /// The same with accounts 1 and 2, both of the caller.
    fn with_accounts() -> Self {
        let mut life = Self::begin();
        for number in 1..=2_u8 {
            assert_eq!(
                life.deposit(number, 1_000).unwrap().op.index(),
                u32::from(number)
            );
        }
        life
    }

    /// A new program goes on where the last one ended, as after a kill.
    fn reopen(&mut self) -> Result<(), SettleError> {
        self.close();
        let file = l1_file(&self.folder);
        let mut mirror = NativeL1::open(&file, AllowDevKeys::Yes).unwrap();
        let mut chain = Chain::open(access(&self.folder, &self.node)?, &file, &mirror)?;
        chain.sync(&mut mirror)?;
        self.program = Some((mirror, chain));
        Ok(())
    }

    fn close(&mut self) {
        self.program = None;
    }

    fn mirror(&self) -> &NativeL1 {
        &self.program.as_ref().unwrap().0
    }

    fn chain(&mut self) -> &mut Chain {
        &mut self.program.as_mut().unwrap().1
    }

    fn sync(&mut self) -> Result<(), SettleError> {
        let (mirror, chain) = self.program.as_mut().unwrap();
        chain.sync(mirror)
    }

    fn caller(&self) -> Address {
        self.program.as_ref().unwrap().1.caller().unwrap()
    }

    /// Makes a call and acknowledges what it came to.
    fn call(&mut self, call: Call<'_>) -> Result<Outcome, SettleError> {
        let called = self.call_only(call)?;
        self.chain().acknowledge()?;
        Ok(called.outcome)
    }

    /// Makes a call and ends before its outcome is acknowledged.
    fn call_only(&mut self, call: Call<'_>) -> Result<Called, SettleError> {
        let (mirror, chain) = self.program.as_mut().unwrap();
        chain.call(mirror, call)
    }

    fn deposit(&mut self, number: u8, amount: u128) -> Result<QueueEntry, SettleError> {
        let (entry, _) = self.deposit_only(number, 0, amount)?;
        self.chain().acknowledge()?;
        Ok(entry)
    }

    /// A deposit whose outcome is not acknowledged, and whether an earlier program had made it.
    fn deposit_only(
        &mut self,
        number: u8,
        token: u32,
        amount: u128,
    ) -> Result<(QueueEntry, bool), SettleError> {
        let key = PrivateKey::derive("quire chain stories", &[number]).public_key();
        let deposit = Deposit {
            caller: self.caller(),
            token,
            amount,
            key,
            q: cofactor_inverse_point(&key),
            fee: L1_FEE,
        };
        let Called { outcome, earlier } = self.call_only(Call::Deposit(&deposit))?;
        let Outcome::Entry(entry) = outcome else {
            panic!("a deposit makes an entry");
        };
        Ok((self.mirror().queue(entry, 1).unwrap().remove(0), earlier))
    }

    fn request_exit(&mut self, index: u32) -> Result<Outcome, SettleError> {
        let caller = self.caller();
        self.call(Call::RequestExit { caller, index })
    }

    /// Entries of the queue, consumed or not, as the mirror has them.
    fn entries(&self) -> u64 {
        self.mirror().head().unwrap().queue_tail
    }

    /// Transactions that arrived at the node and were taken.
    fn arrived(&self) -> usize {
        self.node.shown().arrived.len()
    }

    /// How long the programs paused, altogether.
    fn paused(&self) -> Duration {
        self.node.shown().paused()
    }

    /// Transactions that blocks have of the key.
    fn nonce(&self) -> u64 {
        self.node.shown().nonce(self.caller())
    }

    fn mining(&self, mining: Mining) {
        self.node.shown().mining = mining;
    }

    fn in_outbox(&mut self) -> Vec<(String, TransactionStatus)> {
        let records = self.chain().unacknowledged().into_iter();
        records.map(|record| (record.what, record.status)).collect()
    }

    /// What `quire l1 cancel` does.
    fn cancel(&mut self) -> Result<Vec<TransactionStatus>, ChainError> {
        self.close();
        let mut access = access(&self.folder, &self.node)?;
        let ended = access.cancel()?;
        drop(access);
        self.reopen().unwrap();
        Ok(ended.into_iter().map(|record| record.status).collect())
    }
}

/// The error of the chain in what a call returned.
fn chain_error<T: std::fmt::Debug>(called: Result<T, SettleError>) -> ChainError {
    match called.unwrap_err() {
        SettleError::Chain(error) => *error.into_inner().downcast().unwrap(),
        other => panic!("not an error of the chain: {other}"),
    }
}

/// Everything is lost from the `count`th transaction on that is sent; it arrives.
fn cut_after(count: u32) -> impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send {
    let mut sent = 0;
    move |_, method, _, _| {
        sent += u32::from(method == "eth_sendRawTransaction");
        match sent >= count {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    }
}

/// Changes the header of a block in an answer, and its hash with it.
fn change_header(answer: &mut Value, change: impl FnOnce(&mut Header)) {
    let mut block: Block = serde_json::from_value(answer["result"].take()).unwrap();
    change(&mut block.header.inner);
    block.header.hash = block.header.inner.hash_slow();
    answer["result"] = json!(block);
}

/// Receipts are changed wherever the node shows them.
fn changing_receipts(
    mut change: impl FnMut(&mut Value) + Send,
) -> impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send {
    move |_, method, _, answer| {
        match (method, &mut answer["result"]) {
            ("eth_getTransactionReceipt", receipt @ Value::Object(_)) => change(receipt),
            ("eth_getBlockReceipts", Value::Array(receipts)) => {
                receipts.iter_mut().for_each(&mut change);
            }
            _ => {}
        }
        Fate::Arrives
    }
}

/// The node's answer to a method is an error.
fn refusing(
    refused: &'static str,
    words: &'static str,
) -> impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send {
    move |_, method, _, answer| {
        if method == refused {
            *answer = error(words);
        }
        Fate::Arrives
    }
}

fn error(words: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32000, "message": words } })
}
