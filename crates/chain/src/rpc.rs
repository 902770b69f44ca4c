//! Requests to a node of the chain, and what has to hold of its answers.
//!
//! Invariant: a request is repeated only if the network failed or the node named one of its limits, with growing
//! pauses and at most six times. Every request is safe to repeat, also one that sends a signed transaction: a
//! node that has it says so. A block is taken only if its hash is that of its header, events only if they were
//! asked for. What has to hold of a receipt is in `blocks`.

use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{B256, Bytes as Data, U256};
use alloy::rpc::types::{Block, Header, Log, Transaction};
use l1::Address;
use l1::evm::calldata::MAX_GAS;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::backend::{Backend, Http, MAX_ANSWER, Response};
use crate::error::ChainError;
use crate::replies::{is_known, is_limit, is_revert, revert_data};

/// How often a request is sent before the node counts as unreachable.
const ATTEMPTS: u32 = 6;
/// Pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Gas of a view of a token, which may be behind a proxy: far more than it needs, and not much for a node.
const VIEW_GAS: u64 = 200_000;
/// Greatest number and timestamp of a block, so that no sum overflows and no loop is endless.
const MAX_BLOCK: u64 = 1 << 40;
/// Seconds by which one node may lag behind another.
const LAG: u64 = 600;

/// The parts of a block's header that this crate uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    pub number: u64,
    /// Its hash, which is that of its header.
    pub hash: B256,
    /// Hash of the block before it.
    pub parent: B256,
    /// Its timestamp, seconds since 1970.
    pub time: u64,
}

/// A connection to a node.
pub struct Rpc {
    backend: Box<dyn Backend>,
    /// The host of the node, for messages.
    node: String,
    /// By how much pauses are divided.
    pace: u32,
}

/// A call or transaction to be simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) from: Option<Address>,
    pub(crate) to: Option<Address>,
    pub(crate) value: u128,
    pub(crate) data: &'a [u8],
}

/// Blocks whose events are asked for at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    blocks: u64,
    most: u64,
}

impl Range {
    /// What nodes answer as a rule.
    const USUAL: u64 = 2_000;
    /// Most, where a node answers more than that.
    const MOST: u64 = 16 * Self::USUAL;

    pub(crate) fn new() -> Self {
        Self {
            blocks: Self::USUAL,
            most: Self::MOST,
        }
    }

    fn narrow(&mut self) {
        self.blocks = (self.blocks / 4).max(1);
        self.most = self.blocks;
    }
}

/// What became of a simulated call.
pub(crate) enum Simulated {
    Returned(Vec<u8>),
    /// With the returned bytes, or the node's words.
    Reverted(Result<Vec<u8>, String>),
}

/// The answer to a signed transaction that was sent.
pub(crate) enum Broadcast {
    Accepted,
    /// With the node's words.
    Refused(String),
}

/// A response of JSON-RPC 2.0.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<ReplyError<'a>>,
}

#[derive(Deserialize)]
struct ReplyError<'a> {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Rpc {
    /// Takes the address of a node. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ChainError::Url`].
    pub fn new(url: &str) -> Result<Self, ChainError> {
        let (http, node) = Http::new(url)?;
        Ok(Self::over(http, node))
    }

    /// Any backend; `node` names it in messages.
    pub(crate) fn over(backend: impl Backend + 'static, node: String) -> Self {
        Self {
            backend: Box::new(backend),
            node,
            pace: 1,
        }
    }

    /// Asks, again if the network fails.
    pub(crate) fn ask<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<R, ChainError> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let question = question.to_string();
        let (mut pause, mut attempt) = (FIRST_PAUSE, 1);
        loop {
            match self.once(method, &question) {
                Err(ChainError::Unreachable { .. }) if attempt < ATTEMPTS => {
                    tracing::debug!(method, attempt, "repeating a request");
                    self.pause(pause);
                    pause *= 2;
                    attempt += 1;
                }
                Err(ChainError::Unreachable { reason, .. }) => {
                    return Err(self.unreachable(method, attempt, reason));
                }
                answered => return answered,
            }
        }
    }

    fn unreachable(&self, method: &'static str, attempts: u32, reason: String) -> ChainError {
        ChainError::Unreachable {
            node: self.node.clone(),
            method,
            attempts,
            reason,
        }
    }

    /// The error of an answer that breaks a rule.
    pub(crate) fn bad_answer(&self, method: &'static str, reason: impl Into<String>) -> ChainError {
        ChainError::Answer {
            node: self.node.clone(),
            method,
            reason: reason.into(),
        }
    }

    fn once<R: DeserializeOwned>(
        &self,
        method: &'static str,
        question: &str,
    ) -> Result<R, ChainError> {
        let failed = |reason: &str| self.unreachable(method, 1, reason.to_owned());
        let answered = self.backend.request(question);
        let Response { status, body } = answered.map_err(|reason| failed(&reason))?;
        if (500..600).contains(&status) || status == 429 {
            return Err(failed(&format!("HTTP status {status}")));
        }
        let body = body.ok_or_else(|| {
            self.bad_answer(method, format!("more than {} MiB", MAX_ANSWER >> 20))
        })?;
        let reply: Reply<'_> = match serde_json::from_slice(&body) {
            Ok(reply) => reply,
            Err(_) if !(200..300).contains(&status) => {
                return Err(self.bad_answer(method, format!("HTTP status {status}")));
            }
            Err(error) => {
                return Err(self.bad_answer(method, format!("what is no JSON-RPC ({error})")));
            }
        };
        if let Some(ReplyError {
            code,
            message,
            data,
        }) = reply.error
        {
            if is_limit(code, &message) {
                return Err(failed(&message));
            }
            // Why the data: a reverted call's error is there.
            let data = data.map_or("", RawValue::get);
            return Err(ChainError::Node {
                node: self.node.clone(),
                method,
                message: format!("{message} {data}").trim_end().to_owned(),
            });
        }
        let result = reply.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(|error| match result {
            "null" => self.bad_answer(method, "nothing"),
            _ => self.bad_answer(method, format!("something else than expected ({error})")),
        })
    }

    pub(crate) fn set_pace(&mut self, pace: u32) {
        self.pace = pace.max(1);
    }

    pub(crate) fn pause(&self, time: Duration) {
        self.backend.pause(time / self.pace);
    }

    /// A clock that only goes forward, since any moment.
    pub(crate) fn elapsed(&self) -> Duration {
        self.backend.elapsed()
    }

    /// The system's clock, seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.backend.now()
    }

    /// Whether a node with this last block may only lag if it does not have a block that was seen before: its last
    /// block is old, or the other was seen a short while ago. If not, the chain does not have that block.
    ///
    /// A block that was seen more than [`LAG`] seconds in the future does not count as seen a short while ago: the
    /// clock was ahead then, or was set back since, and nothing tells the two apart. Of the two errors the other
    /// one would be worse: each node would be refused until the clock has come that far again.
    pub(crate) fn may_lag(&self, head: BlockId, seen: u64) -> bool {
        let now = self.now();
        now.abs_diff(seen) < LAG || head.time.saturating_add(LAG) < now
    }

    /// Id of the node's chain (EIP-155).
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn chain_id(&self) -> Result<u64, ChainError> {
        let id: U256 = self.ask("eth_chainId", json!([]))?;
        self.small("eth_chainId", id)
    }

    fn small(&self, method: &'static str, value: U256) -> Result<u64, ChainError> {
        u64::try_from(value).map_err(|_| self.bad_answer(method, format!("the number {value}")))
    }

    /// The last block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn latest(&self) -> Result<BlockId, ChainError> {
        let block: Block = self.ask("eth_getBlockByNumber", json!(["latest", false]))?;
        self.block_id(&block.header)
    }

    /// The block with this number, if the chain is that long.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn block(&self, number: u64) -> Result<Option<BlockId>, ChainError> {
        let params = json!([BlockNumberOrTag::Number(number), false]);
        let block: Option<Block> = self.ask("eth_getBlockByNumber", params)?;
        let block = block.map(|block| self.numbered(&block.header, number));
        block.transpose()
    }

    /// A block that was asked for by its number.
    pub(crate) fn numbered(&self, header: &Header, number: u64) -> Result<BlockId, ChainError> {
        let block = self.block_id(header)?;
        match block.number == number {
            true => Ok(block),
            false => {
                let reason = format!("block {} instead of {number}", block.number);
                Err(self.bad_answer("eth_getBlockByNumber", reason))
            }
        }
    }

    fn block_id(&self, header: &Header) -> Result<BlockId, ChainError> {
        let (number, time) = (header.number, header.timestamp);
        if number.max(time) > MAX_BLOCK {
            let reason = format!("block {number} of time {time}");
            return Err(self.bad_answer("eth_getBlockByNumber", reason));
        }
        let (hash, computed) = (header.hash, header.inner.hash_slow());
        if hash != computed {
            let reason = format!(
                "block {number} of hash {hash}, where its header has {computed} (or fields that this version does not know)"
            );
            return Err(self.bad_answer("eth_getBlockByNumber", reason));
        }
        Ok(BlockId {
            number,
            hash,
            parent: header.inner.parent_hash,
            time,
        })
    }

    /// The base fee of the last block, in wei for a unit of gas.
    pub(crate) fn base_fee(&self) -> Result<u128, ChainError> {
        let block: Block = self.ask("eth_getBlockByNumber", json!(["latest", false]))?;
        self.block_id(&block.header)?;
        Ok(block.header.base_fee_per_gas.unwrap_or(0).into())
    }

    /// The priority fee that the node suggests, in wei for a unit of gas.
    pub(crate) fn tip(&self) -> Result<u128, ChainError> {
        let tip: U256 = self.ask("eth_maxPriorityFeePerGas", json!([]))?;
        Ok(u128::try_from(tip).unwrap_or(u128::MAX))
    }

    /// The events of a contract from block `from` to at most `last`, in as many blocks as the node answers for, and
    /// the number of the last of these blocks.
    pub(crate) fn logs(
        &self,
        contract: Address,
        (from, last): (u64, u64),
        topic: Option<B256>,
        range: &mut Range,
    ) -> Result<(Vec<Log>, u64), ChainError> {
        loop {
            let to = last.min(from.saturating_add(range.blocks - 1));
            match self.logs_in(contract, (from, to), topic) {
                // Why: nodes limit the size of an answer.
                Err(ChainError::Node { .. } | ChainError::Answer { .. }) if range.blocks > 1 => {
                    range.narrow();
                }
                // Why: gateways cut off requests that take long.
                Err(ChainError::Unreachable { .. }) if range.blocks > Range::USUAL => {
                    range.narrow();
                }
                logs => {
                    range.blocks = range.blocks.saturating_mul(2).min(range.most);
                    return Ok((logs?, to));
                }
            }
        }
    }

    fn logs_in(
        &self,
        contract: Address,
        (from, to): (u64, u64),
        topic: Option<B256>,
    ) -> Result<Vec<Log>, ChainError> {
        let method = "eth_getLogs";
        let topics: Vec<B256> = topic.into_iter().collect();
        let logs: Vec<Log> = self.ask(
            method,
            json!([{
                "address": contract,
                "fromBlock": BlockNumberOrTag::Number(from),
                "toBlock": BlockNumberOrTag::Number(to),
                "topics": topics,
            }]),
        )?;
        let asked = |log: &Log| {
            let same = log.topics().first() == topics.first();
            log.address().into_array() == contract.0 && (topics.is_empty() || same)
        };
        match logs.iter().all(asked) {
            true => Ok(logs),
            false => Err(self.bad_answer(method, "events that were not asked for")),
        }
    }

    pub(crate) fn transaction(&self, hash: B256) -> Result<Option<Transaction>, ChainError> {
        self.ask("eth_getTransactionByHash", json!([hash]))
    }

    /// The nonce of an account: after the last block, or after the pending transactions.
    pub(crate) fn nonce(&self, of: Address, at: BlockNumberOrTag) -> Result<u64, ChainError> {
        let count: U256 = self.ask("eth_getTransactionCount", json!([of, at]))?;
        self.small("eth_getTransactionCount", count)
    }

    pub(crate) fn code(&self, of: Address) -> Result<Vec<u8>, ChainError> {
        let code: Data = self.ask("eth_getCode", json!([of, "latest"]))?;
        Ok(code.to_vec())
    }

    /// Simulates a call in the state after a block, or after the last one.
    pub(crate) fn simulate(
        &self,
        message: Message<'_>,
        at: Option<B256>,
    ) -> Result<Simulated, ChainError> {
        let block = match at {
            Some(hash) => json!({ "blockHash": hash, "requireCanonical": true }),
            None => json!("latest"),
        };
        match self.ask::<Data>("eth_call", json!([call_object(message), block])) {
            Ok(returned) => Ok(Simulated::Returned(returned.to_vec())),
            Err(ChainError::Node { message, .. }) if is_revert(&message) => {
                Ok(Simulated::Reverted(revert_data(&message).ok_or(message)))
            }
            Err(error) => Err(error),
        }
    }

    /// What a view of any contract returns with little gas; nothing if it fails.
    pub(crate) fn bounded_view(&self, to: Address, data: &[u8]) -> Result<Vec<u8>, ChainError> {
        let call = json!({
            "to": to,
            "input": Data::copy_from_slice(data),
            "gas": U256::from(VIEW_GAS),
        });
        match self.ask::<Data>("eth_call", json!([call, "latest"])) {
            Ok(returned) => Ok(returned.to_vec()),
            Err(ChainError::Node { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn estimate_gas(&self, message: Message<'_>) -> Result<u64, ChainError> {
        let gas: U256 = self.ask("eth_estimateGas", json!([call_object(message)]))?;
        let gas = self.small("eth_estimateGas", gas)?;
        if gas > MAX_GAS {
            let reason = format!("{gas} gas, where a transaction may ask for {MAX_GAS}");
            return Err(self.bad_answer("eth_estimateGas", reason));
        }
        Ok(gas)
    }

    /// Sends a signed transaction. A node that knows it already accepts it.
    pub(crate) fn send(&self, raw: &[u8]) -> Result<Broadcast, ChainError> {
        let raw = Data::copy_from_slice(raw);
        match self.ask::<B256>("eth_sendRawTransaction", json!([raw])) {
            Ok(_) => Ok(Broadcast::Accepted),
            Err(ChainError::Node { message, .. }) if is_known(&message) => Ok(Broadcast::Accepted),
            Err(ChainError::Node { message, .. }) => Ok(Broadcast::Refused(message)),
            Err(error) => Err(error),
        }
    }

    /// Any request, for tests: `anvil_…`, `evm_…`.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn control(&self, method: &'static str, params: Value) -> Result<Value, ChainError> {
        self.ask(method, params)
    }
}

fn call_object(message: Message<'_>) -> Value {
    let Message {
        from,
        to,
        value,
        data,
    } = message;
    let mut object = json!({
        "value": U256::from(value),
        "input": Data::copy_from_slice(data),
    });
    if let Some(from) = from {
        object["from"] = json!(from);
    }
    if let Some(to) = to {
        object["to"] = json!(to);
    }
    object
}
