//! A node of a chain that is in memory alone, for tests: it counts what it is asked, lags, lies and
//! reorganizes, and no time passes while it is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::consensus::Header;
use alloy::primitives::{Address as EthAddress, B256, Bytes as Data, LogData};
use alloy::rpc::types::{Block, BlockTransactions, Log};
use l1::bytes::Bytes;
use l1::evm::abi::{self, Word};
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Address, Genesis, NativeL1, Parameters};
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::field::to_be_bytes;
use ledger::shape::Shape;
use serde_json::{Value, json};

use crate::backend::{Backend, Response};
use crate::contract::ContractState;
use crate::events::{QUEUED, TOKEN_ADDED, topic};
use crate::rpc::Rpc;

/// Seconds between blocks.
const SLOT: u64 = 12;
/// Number of the block before the deployment, and its time.
const START: u64 = 100;
const BEGUN: u64 = 1_700_000_000;
pub(crate) const L1_FEE: u128 = 3;
const CONTRACT: Address = Bytes([0xcc; 20]);
const PAYER: Address = Bytes([0xaa; 20]);

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Lists the next token.
    AddToken,
    /// A deposit of a token into the next account.
    Deposit(u32, u128),
    /// A top-up of an account.
    TopUp(u32, u128),
}

/// A block, and where the contract stands after it.
#[derive(Clone)]
struct Made {
    header: Header,
    hash: B256,
    logs: Vec<Log>,
    standing: ContractState,
    /// Token of each account, from index 1.
    accounts: Vec<u32>,
    pending: BTreeMap<u32, u128>,
}

/// A chain as one node shows it.
#[derive(Clone)]
pub(crate) struct Shown {
    blocks: BTreeMap<u64, Made>,
    /// Tells blocks of the same number apart.
    fork: u64,
    /// The system's clock.
    pub(crate) now: u64,
    lost: Option<u64>,
    /// Has a block of every number below its last.
    invented: bool,
    /// How often each method was asked; calls of the contract by view.
    pub(crate) asked: BTreeMap<String, u64>,
}

/// A node that shows a chain.
#[derive(Clone)]
pub(crate) struct Node(Arc<Mutex<Shown>>);

impl Node {
    /// A chain with the contract in its second block.
    pub(crate) fn new(mirror: &NativeL1) -> Self {
        let mut shown = Shown {
            blocks: BTreeMap::new(),
            fork: 0,
            lost: None,
            invented: false,
            now: BEGUN,
            asked: BTreeMap::new(),
        };
        let mut standing = ContractState::of(mirror).unwrap();
        standing.tokens = 1;
        let first = Made {
            header: Header::default(),
            hash: B256::ZERO,
            logs: Vec::new(),
            standing,
            accounts: Vec::new(),
            pending: BTreeMap::new(),
        };
        shown.put(first, START, B256::ZERO, BEGUN);
        Self(Arc::new(Mutex::new(shown)))
    }

    /// Another node with the same chain.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.shown().clone())))
    }

    pub(crate) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rpc(&self) -> Rpc {
        Rpc::over(self.clone(), "a script".to_owned())
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
        (self.last().standing, self.last().pending.clone())
    }

    fn put(&mut self, mut made: Made, number: u64, parent: B256, time: u64) {
        made.header = Header {
            number,
            parent_hash: parent,
            timestamp: time,
            extra_data: Data::copy_from_slice(&self.fork.to_be_bytes()),
            ..Header::default()
        };
        made.hash = made.header.hash_slow();
        for log in &mut made.logs {
            (log.block_number, log.block_hash) = (Some(number), Some(made.hash));
        }
        self.blocks.insert(number, made);
        self.now = self.now.max(time);
    }

    /// The next block.
    pub(crate) fn mine(&mut self, acts: &[Act]) {
        let time = self.last().header.timestamp + SLOT;
        self.mine_at(time, acts);
    }

    /// The next block, at a time.
    pub(crate) fn mine_at(&mut self, time: u64, acts: &[Act]) {
        let last = self.last();
        let (number, parent) = (last.header.number + 1, last.hash);
        let made = after(last, acts, time);
        self.put(made, number, parent, time);
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

    /// Drops the last blocks; what comes instead is of another fork.
    pub(crate) fn fork(&mut self, blocks: u64) {
        let last = self.head() - blocks;
        self.blocks.retain(|number, _| *number <= last);
        self.fork += 1;
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

    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        let mut asked = method.to_owned();
        let answer = match method {
            "eth_getBlockByNumber" => {
                let number = number(&params[0]).unwrap_or_else(|| self.head());
                let made = self
                    .blocks
                    .get(&number)
                    .filter(|_| self.lost != Some(number));
                let filler = || (self.invented && number < self.head()).then(|| filler(number));
                Ok(made.map(shown).or_else(filler).unwrap_or(Value::Null))
            }
            "eth_getLogs" => {
                let range = ["fromBlock", "toBlock"].map(|end| number(&params[0][end]).unwrap());
                let blocks = self.blocks.range(range[0]..=range[1]);
                let logs: Vec<&Log> = blocks.flat_map(|(_, made)| &made.logs).collect();
                Ok(json!(logs))
            }
            "eth_getCode" => Ok(json!("0x00")),
            "eth_call" => {
                let hash: B256 = serde_json::from_value(params[1]["blockHash"].clone()).unwrap();
                let input: Data = serde_json::from_value(params[0]["input"].clone()).unwrap();
                let mut blocks = self.blocks.values();
                let made = blocks.find(|made| made.hash == hash);
                let made = made.ok_or_else(|| "unknown block".to_owned())?;
                let (view, words) = made.view(&input);
                asked = view.to_owned();
                let bytes: Vec<u8> = words.into_iter().flatten().collect();
                Ok(json!(Data::from(bytes)))
            }
            other => Err(format!("{other} is not in the script")),
        };
        *self.asked.entry(asked).or_default() += 1;
        answer
    }
}

/// What acts make of a block.
fn after(last: &Made, acts: &[Act], time: u64) -> Made {
    let mut made = Made {
        logs: Vec::new(),
        ..last.clone()
    };
    for act in acts {
        let standing = &mut made.standing;
        let (kind, index, token, amount) = match *act {
            Act::AddToken => {
                let token = u32::try_from(standing.tokens).unwrap();
                standing.tokens += 1;
                let topics = [number_word(token.into()), abi::address(&erc20(token))];
                made.log(TOKEN_ADDED, &topics, &[]);
                continue;
            }
            Act::Deposit(token, amount) => {
                made.accounts.push(token);
                standing.next_index += 1;
                (
                    1,
                    u32::try_from(standing.next_index - 1).unwrap(),
                    token,
                    amount,
                )
            }
            Act::TopUp(index, amount) => {
                let place = usize::try_from(index - 1).unwrap();
                (2, index, made.accounts[place], amount)
            }
        };
        let number = standing.queue_tail;
        standing.queue_tail += 1;
        standing.pending_deposits += 1;
        standing.operator_fees += L1_FEE;
        *made.pending.entry(token).or_default() += amount;
        let topics = [
            number_word(number.into()),
            number_word(index.into()),
            abi::address(&PAYER),
        ];
        let mut data: Vec<Word> = [kind, token.into(), amount, time.into()]
            .map(number_word)
            .to_vec();
        let key = key();
        let key = match act {
            Act::Deposit(..) => [to_be_bytes(&key.x), to_be_bytes(&key.y)],
            _ => [[0; 32]; 2],
        };
        data.extend(key);
        made.log(QUEUED, &topics, &data);
    }
    made
}

impl Made {
    fn log(&mut self, event: &str, indexed: &[Word], data: &[Word]) {
        let topics = std::iter::once(topic(event)).chain(indexed.iter().map(B256::from));
        let index = self.logs.len() as u64;
        let data = LogData::new_unchecked(topics.collect(), data.concat().into());
        let inner = alloy::primitives::Log {
            address: EthAddress::from(CONTRACT.0),
            data,
        };
        self.logs.push(Log {
            inner,
            transaction_hash: Some(B256::repeat_byte(1)),
            log_index: Some(index),
            ..Log::default()
        });
    }

    /// What a view returns.
    fn view(&self, input: &[u8]) -> (&'static str, Vec<Word>) {
        let is = |signature: &str| input.starts_with(&abi::selector(signature));
        let standing = &self.standing;
        let words = |numbers: &[u128]| numbers.iter().copied().map(number_word).collect();
        if is("root()") {
            return ("root", vec![to_be_bytes(&standing.root)]);
        }
        if is("operatorFees()") {
            return ("operatorFees", words(&[standing.operator_fees]));
        }
        if is("operator()") {
            return ("operator", vec![abi::address(&standing.operator)]);
        }
        if is("offeredOperator()") {
            return ("offeredOperator", words(&[0]));
        }
        if is("operatorBackAt()") {
            return ("operatorBackAt", words(&[standing.operator_back_at.into()]));
        }
        if is("tokenCount()") {
            return ("tokenCount", words(&[standing.tokens.into()]));
        }
        if is("head()") {
            let numbers = [
                standing.next_batch,
                standing.timestamp,
                standing.queue_head,
                standing.queue_tail,
                standing.next_index,
                standing.pending_deposits,
                standing.frozen.into(),
                standing.taken_over.into(),
            ];
            return ("head", words(&numbers.map(u128::from)));
        }
        assert!(is("totals(uint32)"), "{input:?}");
        let token = u32::from_be_bytes(input[32..36].try_into().unwrap());
        let pending = self.pending.get(&token).copied().unwrap_or(0);
        ("totals", words(&[0, 0, pending]))
    }
}

/// A block as nodes show it.
fn shown(made: &Made) -> Value {
    let mut header = alloy::rpc::types::Header::new(made.header.clone());
    header.hash = made.hash;
    block(header)
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

fn number_word(number: u128) -> Word {
    abi::uint(number)
}

/// The address of a token.
fn erc20(token: u32) -> Address {
    let mut address = [0xee; 20];
    address[16..].copy_from_slice(&token.to_be_bytes());
    Bytes(address)
}

fn key() -> Point {
    PrivateKey::derive("quire chain tests", b"1").public_key()
}

impl Backend for Node {
    fn request(&self, body: &str) -> Result<Response, String> {
        let question: Value = serde_json::from_str(body).unwrap();
        let method = question["method"].as_str().unwrap();
        let answer = match self.shown().answer(method, &question["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": 1, "result": result }),
            Err(message) => {
                json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32000, "message": message } })
            }
        };
        Ok(Response {
            status: 200,
            body: Some(answer.to_string().into_bytes()),
        })
    }

    fn pause(&self, _: Duration) {}

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn now(&self) -> u64 {
        self.shown().now
    }
}

/// The deployment that the script's chain has.
pub(crate) fn genesis() -> Genesis {
    let shape = Shape {
        id: 17,
        depth: 12,
        fee_slots: 3,
        l1_ops: 4,
        transfers: 0,
        withdrawals: 2,
        cached_levels: 3,
    };
    let parameters = Parameters {
        chain_id: 31_337,
        contract: Some(CONTRACT),
        salt: Bytes([7; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: Bytes([0x0a; 20]),
        },
        shapes: vec![ListedShape {
            shape,
            fingerprint: Bytes([0; 32]),
        }],
        l1_fee: L1_FEE,
        pending_cap: 1 << 32,
        timestamp_slack: 3_600,
        takeover_after: 259_200,
        freeze_after: 604_800,
        tokens: vec![Token::eth()],
    };
    Genesis::new(parameters, Vec::new()).unwrap()
}
