//! The node: its blocks, its clock, its answers, and what a test makes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::consensus::proofs::{
    calculate_receipt_root, calculate_transaction_root, ordered_trie_root_encoded,
};
use alloy::consensus::{Header, ReceiptEnvelope, TxEnvelope};
use alloy::primitives::{B256, Bytes as Data, U256, keccak256};
use alloy::rpc::types::{Block, BlockTransactions, Log};
use l1::evm::artifacts::ROLLUP;
use l1::{Address, NativeL1};
use serde_json::{Value, json};

use super::contract::{Act, CONTRACT, Fixed, Sent, State};
use super::transactions::{Receipt, Transaction, foreign, shown_foreign};
use crate::backend::{Backend, Response};
use crate::contract::ContractState;
use crate::rpc::Rpc;

/// Seconds between blocks.
const SLOT: u64 = 12;
/// Number of the block before the deployment, and its time.
const START: u64 = 100;
const BEGUN: u64 = 1_700_000_000;
/// A gwei, in wei.
const GWEI: u128 = 1_000_000_000;

/// When a block takes what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mining {
    /// As soon as a transaction arrives.
    AtOnce,
    /// Each twelve seconds of pauses.
    EachSlot,
    /// Only if the test says so.
    Stopped,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives as the node gave it, or as it was changed.
    Arrives,
    /// The connection is cut before it arrives.
    Lost,
    /// Another response arrives: its status, and its body unless that is too long.
    Instead(u16, Option<&'static str>),
}

/// What a test makes of the answers: it sees the chain, the method, its arguments and the answer.
type Hook = Box<dyn FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send>;

/// Nothing happens to answers.
pub(crate) fn faithful(_: &mut Shown, _: &str, _: &Value, _: &mut Value) -> Fate {
    Fate::Arrives
}

/// A block, and where the contract stands after it.
#[derive(Clone)]
struct Made {
    header: Header,
    hash: B256,
    logs: Vec<Log>,
    /// Whether its first transaction is of a type that is none of Ethereum's.
    foreign: bool,
    receipts: Vec<Receipt>,
    state: State,
}

/// A chain as one node shows it.
#[derive(Clone)]
pub(crate) struct Shown {
    fixed: Fixed,
    blocks: BTreeMap<u64, Made>,
    /// Tells blocks of the same number apart.
    fork: u64,
    /// The system's clock.
    pub(crate) now: u64,
    /// How long was paused, altogether and since the last block.
    paused: (Duration, Duration),
    lost: Option<u64>,
    /// Has a block of every number below its last.
    invented: bool,
    /// How often each method was asked; calls of the contract by view.
    pub(crate) asked: BTreeMap<String, u64>,
    pub(crate) mining: Mining,
    /// Transactions that wait, in the order in which they arrived.
    pub(crate) waiting: Vec<Transaction>,
    /// Every transaction that arrived and was taken, in order.
    pub(crate) arrived: Vec<Transaction>,
    /// What the next blocks take for a unit of gas, and what the node suggests to offer to their builder.
    pub(crate) base_fee: u128,
    pub(crate) tip: u128,
    pub(crate) gas: u64,
    /// Whether the next blocks begin with a transaction of a type that is none of Ethereum's, as those of some
    /// other chains do.
    pub(crate) foreign: bool,
    /// Transactions of others that do nothing here, which the next block has before those that wait.
    pub(crate) others: Vec<TxEnvelope>,
}

/// A node that shows a chain.
#[derive(Clone)]
pub(crate) struct Node {
    shown: Arc<Mutex<Shown>>,
    hook: Arc<Mutex<Hook>>,
}

impl Node {
    /// A chain with the contract in its second block.
    pub(crate) fn new(mirror: &NativeL1) -> Self {
        let mut shown = Shown {
            fixed: Fixed::of(mirror),
            blocks: BTreeMap::new(),
            fork: 0,
            now: BEGUN,
            paused: (Duration::ZERO, Duration::ZERO),
            lost: None,
            invented: false,
            asked: BTreeMap::new(),
            mining: Mining::AtOnce,
            waiting: Vec::new(),
            arrived: Vec::new(),
            base_fee: GWEI,
            tip: GWEI,
            gas: 100_000,
            foreign: false,
            others: Vec::new(),
        };
        let first = Made {
            header: Header::default(),
            hash: B256::ZERO,
            logs: Vec::new(),
            foreign: false,
            receipts: Vec::new(),
            state: State::new(mirror),
        };
        shown.put(first, START, B256::ZERO, BEGUN);
        Self::showing(shown)
    }

    fn showing(shown: Shown) -> Self {
        Self {
            shown: Arc::new(Mutex::new(shown)),
            hook: Arc::new(Mutex::new(Box::new(faithful))),
        }
    }

    /// Another node with the same chain, and truthful.
    pub(crate) fn copy(&self) -> Self {
        Self::showing(self.shown().clone())
    }

    pub(crate) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rpc(&self) -> Rpc {
        Rpc::over(self.clone(), "a script".to_owned())
    }

    /// Changes what becomes of answers from now on.
    pub(crate) fn set(
        &self,
        hook: impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send + 'static,
    ) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(hook);
    }
}

impl Shown {
    fn last(&self) -> &Made {
        self.blocks.values().next_back().unwrap()
    }

    /// Number of the last block.
    pub(crate) fn head(&self) -> u64 {
        self.last().header.number
    }

    pub(crate) fn hash(&self, number: u64) -> B256 {
        self.blocks[&number].hash
    }

    /// Where the contract stands after the last block, and what waits of each token.
    pub(crate) fn standing(&self) -> (ContractState, BTreeMap<u32, u128>) {
        let state = &self.last().state;
        (state.standing, state.pending.clone())
    }

    /// Transactions of an account that blocks have.
    pub(crate) fn nonce(&self, of: Address) -> u64 {
        self.last().state.nonce(of)
    }

    /// How long was paused, altogether.
    pub(crate) fn paused(&self) -> Duration {
        self.paused.0
    }

    fn put(&mut self, mut made: Made, number: u64, parent: B256, time: u64) {
        made.foreign = self.foreign;
        made.header = Header {
            number,
            parent_hash: parent,
            timestamp: time,
            base_fee_per_gas: Some(u64::try_from(self.base_fee).unwrap()),
            extra_data: Data::copy_from_slice(&self.fork.to_be_bytes()),
            transactions_root: made.transactions_root(number),
            receipts_root: made.receipts_root(),
            ..Header::default()
        };
        made.hash = made.header.hash_slow();
        for log in &mut made.logs {
            (log.block_number, log.block_hash) = (Some(number), Some(made.hash));
        }
        self.blocks.insert(number, made);
        self.now = self.now.max(time);
        self.paused.1 = Duration::ZERO;
    }

    /// The next block: what others do, then what waits.
    pub(crate) fn mine(&mut self, acts: &[Act]) {
        let time = self.last().header.timestamp + SLOT;
        self.mine_at(time, acts);
    }

    /// The next block, at a time.
    pub(crate) fn mine_at(&mut self, time: u64, acts: &[Act]) {
        let last = self.last();
        let (number, parent) = (last.header.number + 1, last.hash);
        let mut made = after(last, acts, time);
        let others = std::mem::take(&mut self.others).into_iter();
        made.receipts.extend(others.map(Receipt::of_another));
        while let Some(place) = self.next_waiting(&made.state) {
            let transaction = self.waiting.remove(place);
            let Made { state, logs, .. } = &mut made;
            let receipt = transaction.execute(state, time, logs);
            made.receipts.push(receipt);
        }
        let used =
            |transaction: &Transaction| transaction.nonce < made.state.nonce(transaction.from);
        self.waiting.retain(|transaction| !used(transaction));
        self.put(made, number, parent, time);
    }

    /// The transaction that the block's builder takes next.
    fn next_waiting(&self, state: &State) -> Option<usize> {
        self.waiting.iter().position(|transaction| {
            transaction.nonce == state.nonce(transaction.from)
                && transaction.max_fee >= self.base_fee
        })
    }

    /// Blocks far ahead whose last does this: nothing leads to them.
    pub(crate) fn invent(&mut self, blocks: u64, acts: &[Act]) {
        let last = self.last();
        let (number, time) = (last.header.number + blocks, last.header.timestamp + SLOT);
        let nothing = after(last, &[], time);
        self.invented = true;
        self.put(nothing, number - 1, B256::repeat_byte(7), time);
        self.mine(acts);
    }

    /// Drops the last blocks; what comes instead is of another fork. Their transactions are gone.
    pub(crate) fn fork(&mut self, blocks: u64) {
        let last = self.head() - blocks;
        self.blocks.retain(|number, _| *number <= last);
        self.fork += 1;
    }

    /// Drops the last blocks, whose transactions wait again.
    pub(crate) fn fork_and_keep(&mut self, blocks: u64) {
        let dropped = self.blocks.range(self.head() - blocks + 1..);
        let receipts = dropped.flat_map(|(_, made)| made.receipts.clone());
        let transactions: Vec<_> = receipts.map(|receipt| receipt.transaction).collect();
        self.fork(blocks);
        self.waiting.splice(0..0, transactions);
    }

    /// Changes a block without those after it.
    pub(crate) fn tamper(&mut self, number: u64, change: impl FnOnce(&mut Header)) {
        if let Some(made) = self.blocks.get_mut(&number) {
            change(&mut made.header);
            made.hash = made.header.hash_slow();
        }
    }

    /// Shows the last block under a hash that is not its header's.
    pub(crate) fn lie_about_hash(&mut self) {
        let last = self.head();
        if let Some(made) = self.blocks.get_mut(&last) {
            made.hash = B256::repeat_byte(9);
        }
    }

    /// Does not know a block, whose events it tells.
    pub(crate) fn lose(&mut self, number: u64) {
        self.lost = Some(number);
    }

    fn pause(&mut self, time: Duration) {
        self.paused.0 += time;
        self.paused.1 += time;
        if self.mining == Mining::EachSlot && self.paused.1 >= Duration::from_secs(SLOT) {
            self.mine(&[]);
        }
    }

    /// The answer to a question, as nodes spell it.
    pub(crate) fn answer(&mut self, method: &str, params: &Value) -> Value {
        let mut asked = method.to_owned();
        let answered = self.result(method, params, &mut asked);
        *self.asked.entry(asked).or_default() += 1;
        match answered {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": 1, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": 1, "error": error }),
        }
    }

    fn result(&mut self, method: &str, params: &Value, asked: &mut String) -> Result<Value, Value> {
        match method {
            "eth_chainId" => Ok(json!("0x7a69")),
            "eth_getBlockByNumber" => {
                let number = number(&params[0]).unwrap_or_else(|| self.head());
                let made = self.blocks.get(&number);
                let made = made.filter(|_| self.lost != Some(number));
                let filler = || (self.invented && number < self.head()).then(|| filler(number));
                let shown = made.map(|made| shown(made, params[1] == true));
                Ok(shown.or_else(filler).unwrap_or(Value::Null))
            }
            "eth_getBlockReceipts" => {
                let made = number(&params[0]).and_then(|number| self.blocks.get(&number));
                Ok(json!(made.map(Made::shown_receipts)))
            }
            "eth_getRawTransactionByHash" => {
                let hash: B256 = read(&params[0]);
                let blocks = self.blocks.iter();
                let mut raw = blocks.flat_map(|(number, made)| made.encoded(*number));
                Ok(json!(raw.find(|raw| keccak256(raw) == hash)))
            }
            "eth_getLogs" => {
                let range = ["fromBlock", "toBlock"].map(|end| number(&params[0][end]).unwrap());
                let blocks = self.blocks.range(range[0]..=range[1]);
                let logs: Vec<&Log> = blocks.flat_map(|(_, made)| &made.logs).collect();
                Ok(json!(logs))
            }
            "eth_getCode" => match read::<Address>(&params[0]) {
                CONTRACT => Ok(json!(Data::from(ROLLUP.deployed_bytecode()))),
                _ => Ok(json!("0x")),
            },
            "eth_getTransactionCount" => {
                let of: Address = read(&params[0]);
                let mut nonce = self.nonce(of);
                if params[1] == "pending" {
                    let ours = |nonce| {
                        (self.waiting.iter()).any(|waits| (waits.from, waits.nonce) == (of, nonce))
                    };
                    while ours(nonce) {
                        nonce += 1;
                    }
                }
                Ok(json!(U256::from(nonce)))
            }
            "eth_maxPriorityFeePerGas" => Ok(json!(U256::from(self.tip))),
            "eth_getTransactionReceipt" => Ok(self.receipt(read(&params[0]))),
            "eth_sendRawTransaction" => self.send(&read::<Data>(&params[0])),
            "eth_estimateGas" => {
                let made = self.last();
                made.call(&self.fixed, &params[0], &mut String::new())?;
                Ok(json!(U256::from(self.gas)))
            }
            "eth_call" => {
                let made = match params[1].as_str() {
                    Some(_) => Some(self.last()),
                    None => {
                        let hash: B256 = read(&params[1]["blockHash"]);
                        self.blocks.values().find(|made| made.hash == hash)
                    }
                };
                let made = made.ok_or_else(|| error("unknown block"))?;
                made.call(&self.fixed, &params[0], asked)
            }
            other => Err(error(&format!("{other} is not in the script"))),
        }
    }

    fn receipt(&self, hash: B256) -> Value {
        let receipts = self.blocks.values().flat_map(Made::shown_receipts);
        let hash = json!(hash);
        let mut receipts = receipts.filter(|receipt| receipt["transactionHash"] == hash);
        receipts.next().unwrap_or(Value::Null)
    }

    /// Takes a transaction, as nodes do.
    fn send(&mut self, raw: &[u8]) -> Result<Value, Value> {
        let transaction = Transaction::read(raw);
        let hash = transaction.hash;
        if self.waiting.iter().any(|waits| waits.hash == hash) {
            return Err(error("already known"));
        }
        if transaction.nonce < self.nonce(transaction.from) {
            return Err(error("nonce too low"));
        }
        let of = |waits: &Transaction| (waits.from, waits.nonce);
        let same = (self.waiting.iter()).position(|waits| of(waits) == of(&transaction));
        if let Some(place) = same {
            let before = &self.waiting[place];
            let enough = |new: u128, old: u128| new * 10 >= old * 11;
            if !enough(transaction.max_fee, before.max_fee) || !enough(transaction.tip, before.tip)
            {
                return Err(error("replacement transaction underpriced"));
            }
            self.waiting.remove(place);
        }
        self.waiting.push(transaction.clone());
        self.arrived.push(transaction);
        if self.mining == Mining::AtOnce {
            self.mine(&[]);
        }
        Ok(json!(hash))
    }
}

/// What acts make of a block.
fn after(last: &Made, acts: &[Act], time: u64) -> Made {
    let mut made = Made {
        logs: Vec::new(),
        receipts: Vec::new(),
        ..last.clone()
    };
    for act in acts {
        made.state.act(*act, time, &mut made.logs);
    }
    made
}

impl Made {
    /// Its transactions, as its root has them.
    fn encoded(&self, number: u64) -> Vec<Data> {
        let first = self.foreign.then(|| foreign(number)).into_iter();
        let others = self.receipts.iter();
        let others = others.map(|receipt| receipt.transaction.encoded());
        first.chain(others).collect()
    }

    /// The root of its transactions.
    fn transactions_root(&self, number: u64) -> B256 {
        let receipts = self.receipts.iter();
        let signed: Vec<&TxEnvelope> = receipts
            .map(|receipt| &receipt.transaction.signed)
            .collect();
        match self.foreign {
            true => ordered_trie_root_encoded(&self.encoded(number)),
            false => calculate_transaction_root(&signed),
        }
    }

    /// The root of its receipts. That of a transaction of another type has a place and, as nobody checks it here,
    /// no receipt.
    fn receipts_root(&self) -> B256 {
        let receipts = self.numbered();
        let receipts: Vec<ReceiptEnvelope> = receipts
            .map(|(place, receipt)| receipt.encoded(place))
            .collect();
        calculate_receipt_root(&receipts)
    }

    /// Receipts with their places in the block.
    fn numbered(&self) -> impl Iterator<Item = (u64, &Receipt)> {
        (u64::from(self.foreign)..).zip(&self.receipts)
    }

    /// Receipts as nodes show them.
    fn shown_receipts(&self) -> Vec<Value> {
        let first = self.foreign.then(|| json!({ "type": "0x7e" }));
        let (number, hash) = (self.header.number, self.hash);
        let others = self.numbered();
        let others = others.map(|(place, receipt)| receipt.shown(number, hash, place));
        first.into_iter().chain(others).collect()
    }

    /// What a call returns in the state after this block, which `asked` names if it is a view.
    fn call(&self, fixed: &Fixed, call: &Value, asked: &mut String) -> Result<Value, Value> {
        let input: Data = read(&call["input"]);
        let Some(to) = call.get("to").map(read::<Address>) else {
            return Ok(json!("0x"));
        };
        if let Some((view, words)) = self.state.view(fixed, to, &input) {
            view.clone_into(asked);
            return Ok(json!(Data::from(words.concat())));
        }
        let sent = Sent {
            from: call.get("from").map_or(CONTRACT, read),
            to,
            value: u128::try_from(read::<U256>(&call["value"])).unwrap(),
            data: &input,
        };
        let time = self.header.timestamp;
        let ran = self.state.clone().run(&sent, time, &mut Vec::new());
        ran.map(|()| json!("0x")).map_err(|returned| {
            let data = Data::from(returned);
            json!({ "code": 3, "message": "execution reverted", "data": data })
        })
    }
}

/// A block as nodes show it, with the hashes of its transactions or with all of them.
fn shown(made: &Made, full: bool) -> Value {
    let (number, hash) = (made.header.number, made.hash);
    let mut header = alloy::rpc::types::Header::new(made.header.clone());
    header.hash = hash;
    let mut shown = block(header);
    shown["transactions"] = match full {
        false => json!(
            made.encoded(number)
                .iter()
                .map(keccak256)
                .collect::<Vec<_>>()
        ),
        true => {
            let first = made.foreign.then(|| shown_foreign(number)).into_iter();
            let others = made.numbered();
            let others =
                others.map(|(place, receipt)| receipt.transaction.shown(number, hash, place));
            first.chain(others).collect()
        }
    };
    shown
}

/// A block that nobody made.
fn filler(number: u64) -> Value {
    block(alloy::rpc::types::Header::new(Header {
        number,
        timestamp: BEGUN,
        ..Header::default()
    }))
}

fn block(header: alloy::rpc::types::Header) -> Value {
    let block: Block = Block::new(header, BlockTransactions::Hashes(Vec::new()));
    serde_json::to_value(block).unwrap()
}

fn number(text: &Value) -> Option<u64> {
    let digits = text.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// An error as nodes spell it.
fn error(message: &str) -> Value {
    json!({ "code": -32000, "message": message })
}

impl Backend for Node {
    fn request(&self, body: &str) -> Result<Response, String> {
        let question: Value = serde_json::from_str(body).unwrap();
        let (method, params) = (question["method"].as_str().unwrap(), &question["params"]);
        let mut shown = self.shown();
        let mut answer = shown.answer(method, params);
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        match hook(&mut shown, method, params, &mut answer) {
            Fate::Lost => Err("the connection failed".to_owned()),
            Fate::Instead(status, body) => Ok(Response {
                status,
                body: body.map(|body| body.as_bytes().to_vec()),
            }),
            Fate::Arrives => Ok(Response {
                status: 200,
                body: Some(answer.to_string().into_bytes()),
            }),
        }
    }

    fn pause(&self, time: Duration) {
        self.shown().pause(time);
    }

    fn elapsed(&self) -> Duration {
        self.shown().paused()
    }

    fn now(&self) -> u64 {
        self.shown().now
    }
}
