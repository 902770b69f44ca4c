//! A node of the chain, asked over HTTP.
//!
//! Invariant: only what the network did is tried again, with growing pauses and an end; what the node
//! answers is an answer. Every question is safe to ask twice, that for sending a signed transaction
//! included: a node that has it says so.

use std::borrow::Cow;
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{B256, Bytes as Data, U256};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::RpcRecv;
use alloy::rpc::types::{Block, Log, Transaction, TransactionReceipt};
use alloy::transports::RpcError;
use l1::Address;
use l1::evm::calldata::MAX_GAS;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::error::ChainError;

/// How often a question is asked before the node counts as unreachable.
const ATTEMPTS: u32 = 6;
/// Pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A block, as far as it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its timestamp, seconds since 1970.
    pub time: u64,
}

/// A connection to a node.
pub struct Rpc {
    runtime: Runtime,
    client: RpcClient,
    /// Host of the node, for messages.
    node: String,
}

/// A call or transaction to be simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) from: Option<Address>,
    pub(crate) to: Option<Address>,
    pub(crate) value: u128,
    pub(crate) data: &'a [u8],
}

/// What became of a simulated call.
pub(crate) enum Simulated {
    Returned(Vec<u8>),
    /// With what was returned, or the node's words.
    Reverted(Result<Vec<u8>, String>),
}

impl Rpc {
    /// Takes the address of a node. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ChainError::Url`].
    pub fn new(url: &str) -> Result<Self, ChainError> {
        let bad = |reason: String| ChainError::Url { reason };
        let parsed: alloy::transports::http::reqwest::Url =
            url.parse().map_err(|error| bad(format!("{error}")))?;
        if !["http", "https"].contains(&parsed.scheme()) {
            return Err(bad(format!("{}:// is not spoken here", parsed.scheme())));
        }
        let host = parsed.host_str().unwrap_or("without a host");
        let node = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.map_err(|error| bad(format!("no event loop: {error}")))?,
            client: RpcClient::new_http(parsed),
            node,
        })
    }

    /// Asks, again if the network fails.
    fn ask<R: RpcRecv>(&self, method: &'static str, params: Value) -> Result<R, ChainError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self.once(method, params.clone()) {
                Err(ChainError::Unreachable { .. }) if attempt < ATTEMPTS => {
                    tracing::debug!(method, attempt, "asking the node again");
                    self.pause(pause);
                    pause *= 2;
                    attempt += 1;
                }
                Err(ChainError::Unreachable {
                    node,
                    method,
                    reason,
                    ..
                }) => {
                    return Err(ChainError::Unreachable {
                        node,
                        method,
                        attempts: attempt,
                        reason,
                    });
                }
                answered => return answered,
            }
        }
    }

    fn once<R: RpcRecv>(&self, method: &'static str, params: Value) -> Result<R, ChainError> {
        let request = self
            .client
            .request::<Value, R>(Cow::Borrowed(method), params);
        let timed = async { tokio::time::timeout(PATIENCE, request).await };
        let node = self.node.clone();
        let unreachable = |node, reason| ChainError::Unreachable {
            node,
            method,
            attempts: 1,
            reason,
        };
        let answer = match self.runtime.block_on(timed) {
            Err(_) => return Err(unreachable(node, format!("no answer in {PATIENCE:?}"))),
            Ok(answer) => answer,
        };
        answer.map_err(|error| match error {
            RpcError::ErrorResp(payload) => {
                // Why the data: a reverted call's error is there.
                let data = payload.data.as_ref().map_or("", |data| data.get());
                ChainError::Node {
                    node,
                    method,
                    message: format!("{} {data}", payload.message).trim_end().to_owned(),
                }
            }
            // Why without its text: that of the library holds the whole address of the node.
            RpcError::Transport(kind) => unreachable(node, transport_reason(&kind)),
            RpcError::NullResp => ChainError::Answer {
                node,
                method,
                reason: "nothing".to_owned(),
            },
            RpcError::DeserError { err, .. } => ChainError::Answer {
                node,
                method,
                reason: format!("something else than expected ({err})"),
            },
            _ => ChainError::Answer {
                node,
                method,
                reason: "what cannot be used".to_owned(),
            },
        })
    }

    /// Lets time pass.
    pub(crate) fn pause(&self, time: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }

    /// Id of the node's chain (EIP-155).
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn chain_id(&self) -> Result<u64, ChainError> {
        let id: U256 = self.ask("eth_chainId", json!([]))?;
        self.small("eth_chainId", id)
    }

    pub(crate) fn strange(&self, method: &'static str, reason: impl Into<String>) -> ChainError {
        ChainError::Answer {
            node: self.node.clone(),
            method,
            reason: reason.into(),
        }
    }

    fn small(&self, method: &'static str, value: U256) -> Result<u64, ChainError> {
        u64::try_from(value).map_err(|_| ChainError::Answer {
            node: self.node.clone(),
            method,
            reason: format!("the number {value}"),
        })
    }

    /// The last block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn latest(&self) -> Result<BlockId, ChainError> {
        let block: Block = self.ask("eth_getBlockByNumber", json!(["latest", false]))?;
        Ok(block_id(&block))
    }

    /// The block with this number, if the chain is that long.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn block(&self, number: u64) -> Result<Option<BlockId>, ChainError> {
        let params = json!([BlockNumberOrTag::Number(number), false]);
        let block: Option<Block> = self.ask("eth_getBlockByNumber", params)?;
        let block = block.map(|block| block_id(&block));
        if let Some(got) = block.filter(|block| block.number != number) {
            return Err(ChainError::Answer {
                node: self.node.clone(),
                method: "eth_getBlockByNumber",
                reason: format!("block {} instead of {number}", got.number),
            });
        }
        Ok(block)
    }

    /// What the fees of a new transaction follow from: the last block's base fee and the tip that the
    /// node suggests, in wei.
    pub(crate) fn fees(&self) -> Result<(u128, u128), ChainError> {
        let block: Block = self.ask("eth_getBlockByNumber", json!(["latest", false]))?;
        let base = block.header.base_fee_per_gas.unwrap_or(0);
        let tip: U256 = self.ask("eth_maxPriorityFeePerGas", json!([]))?;
        Ok((base.into(), u128::try_from(tip).unwrap_or(u128::MAX)))
    }

    /// Events of a contract in blocks `from` to `to`.
    pub(crate) fn logs(
        &self,
        contract: Address,
        from: u64,
        to: u64,
        topic: Option<B256>,
    ) -> Result<Vec<Log>, ChainError> {
        let (from, to) = (BlockNumberOrTag::Number(from), BlockNumberOrTag::Number(to));
        let topics: Vec<B256> = topic.into_iter().collect();
        self.ask(
            "eth_getLogs",
            json!([{ "address": contract, "fromBlock": from, "toBlock": to, "topics": topics }]),
        )
    }

    pub(crate) fn transaction(&self, hash: B256) -> Result<Option<Transaction>, ChainError> {
        self.ask("eth_getTransactionByHash", json!([hash]))
    }

    pub(crate) fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        self.ask("eth_getTransactionReceipt", json!([hash]))
    }

    /// Transactions of an account, those that wait included if `pending`.
    pub(crate) fn nonce(&self, of: Address, at: BlockNumberOrTag) -> Result<u64, ChainError> {
        let count: U256 = self.ask("eth_getTransactionCount", json!([of, at]))?;
        self.small("eth_getTransactionCount", count)
    }

    /// What an account has, in wei.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn balance(&self, of: Address) -> Result<U256, ChainError> {
        self.ask("eth_getBalance", json!([of, "latest"]))
    }

    pub(crate) fn code(&self, of: Address) -> Result<Vec<u8>, ChainError> {
        let code: Data = self.ask("eth_getCode", json!([of, "latest"]))?;
        Ok(code.to_vec())
    }

    /// Runs a call without sending it, in the state after a block, or after the last.
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

    pub(crate) fn estimate_gas(&self, message: Message<'_>) -> Result<u64, ChainError> {
        let gas: U256 = self.ask("eth_estimateGas", json!([call_object(message)]))?;
        let gas = self.small("eth_estimateGas", gas)?;
        if gas > MAX_GAS {
            return Err(ChainError::Answer {
                node: self.node.clone(),
                method: "eth_estimateGas",
                reason: format!("{gas} gas, where a transaction may ask for {MAX_GAS}"),
            });
        }
        Ok(gas)
    }

    /// Sends a signed transaction. A node that has it already is content.
    pub(crate) fn send(&self, raw: &[u8]) -> Result<(), ChainError> {
        let raw = Data::copy_from_slice(raw);
        match self.ask::<B256>("eth_sendRawTransaction", json!([raw])) {
            Ok(_) => Ok(()),
            Err(ChainError::Node { message, .. }) if is_known(&message) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Any question, for trials: `anvil_…`, `evm_…`.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn control(&self, method: &'static str, params: Value) -> Result<Value, ChainError> {
        self.ask(method, params)
    }
}

fn transport_reason(kind: &alloy::transports::TransportErrorKind) -> String {
    match kind {
        alloy::transports::TransportErrorKind::HttpError(error) => {
            format!("HTTP status {}", error.status)
        }
        _ => "the connection failed".to_owned(),
    }
}

fn block_id(block: &Block) -> BlockId {
    BlockId {
        number: block.header.number,
        hash: block.header.hash,
        time: block.header.timestamp,
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

/// True if the words are those of nodes for a call that reverted.
fn is_revert(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["revert", "invalid opcode", "out of gas"]
        .iter()
        .any(|word| message.contains(word))
}

/// The returned bytes in a node's words: the last run of `0x` and hexadecimal digits in quotes.
fn revert_data(message: &str) -> Option<Vec<u8>> {
    let start = message.rfind("\"0x")?;
    let digits = message[start + 3..].split('"').next()?;
    hex::decode(digits).ok()
}

fn is_known(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("already known") || message.contains("already imported")
}
