//! Sending: simulated first, written down before it leaves, then waited for.
//!
//! A signed transaction is in the outbox, a file, before it is sent, and leaves the file when a block has
//! it. Invariant: the same call made again after any interruption waits for the same transaction, and no
//! second one is sent while the first may still come into a block; a transaction that stays behind is
//! replaced only by one of the same nonce, of which the chain takes one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address as EthAddress, B256, Bytes as Data, TxKind, U256};
use alloy::rpc::types::TransactionReceipt;
use l1::Address;
use l1::bytes::Bytes;
use l1::evm::abi::keccak;
use l1::evm::calldata::MAX_GAS;
use serde::{Deserialize, Serialize};

use crate::contract::reason;
use crate::error::ChainError;
use crate::key::EthKey;
use crate::rpc::{Message, Rpc, Simulated};

/// Most that is paid for a unit of gas, in wei: 2,000 gwei.
pub const MAX_FEE: u128 = 2_000_000_000_000;
/// Most that is offered to the block's builder for a unit of gas, in wei, whatever the node says: 50
/// gwei.
const MAX_TIP: u128 = 50_000_000_000;
/// Pause between questions for a receipt, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// Questions for a receipt before the fee is raised: about a minute.
const POLLS: u32 = 26;
/// How often the fee is raised.
const RAISES: u32 = 6;
/// Questions after which a nonce that is used up counts as another transaction's.
const GRACE: u32 = 5;
/// Version of the outbox' file.
const VERSION: u32 = 1;

/// A transaction to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'a> {
    /// For messages.
    pub(crate) what: &'static str,
    /// The contract; none to make one.
    pub(crate) to: Option<Address>,
    /// Wei.
    pub(crate) value: u128,
    /// The call.
    pub(crate) data: &'a [u8],
}

/// A transaction that was signed and may be on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    version: u32,
    chain_id: u64,
    from: Address,
    what: String,
    to: Option<Address>,
    value: String,
    data_hash: Bytes<32>,
    nonce: u64,
    gas: u64,
    /// The data, to sign again with a higher fee.
    data: Data,
    /// Every spelling that was sent, the last offers most.
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempt {
    hash: B256,
    max_fee: u128,
    tip: u128,
    raw: Data,
}

/// Sends the transactions of one key on one chain.
pub(crate) struct Sender {
    key: EthKey,
    chain_id: u64,
    file: PathBuf,
}

/// Whether a node may have a transaction.
#[derive(Clone, Copy, Debug)]
enum Sent {
    NotYet,
    Perhaps,
}

/// Fees that are offered, in wei a unit of gas.
#[derive(Clone, Copy, Debug)]
struct Offer {
    max_fee: u128,
    tip: u128,
}

impl Sender {
    /// A sender whose outbox is in this folder.
    pub(crate) fn new(key: EthKey, chain_id: u64, folder: &Path) -> Self {
        let file = folder.join(format!("outbox-{chain_id}-{}.json", key.address()));
        Self {
            key,
            chain_id,
            file,
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// Sends a transaction, or finds the same one sent before, and waits until a block has it.
    pub(crate) fn send(
        &self,
        rpc: &Rpc,
        intent: Intent<'_>,
    ) -> Result<TransactionReceipt, ChainError> {
        if let Some(earlier) = self.load()? {
            let same = earlier.is(&intent);
            tracing::info!(what = earlier.what, same, "found in the outbox");
            match self.settle(rpc, earlier, intent.what, Sent::Perhaps) {
                Ok(receipt) if same => return succeeded(intent.what, receipt),
                Ok(_) => {}
                // Why not the same call: its caller decides, who knows what else sends with the key.
                Err(ChainError::Replaced { .. }) if !same => {}
                Err(ChainError::NotMined { hash, .. }) if !same => {
                    let from = self.address();
                    let what = "of another command".to_owned();
                    return Err(ChainError::Earlier { from, what, hash });
                }
                Err(error) => return Err(error),
            }
        }
        self.simulate(rpc, &intent)?;
        let pending = self.prepare(rpc, &intent)?;
        let receipt = self.settle(rpc, pending, intent.what, Sent::NotYet)?;
        succeeded(intent.what, receipt)
    }

    /// Runs the call without sending it.
    fn simulate(&self, rpc: &Rpc, intent: &Intent<'_>) -> Result<(), ChainError> {
        match rpc.simulate(self.message(intent), None)? {
            Simulated::Returned(_) => Ok(()),
            Simulated::Reverted(returned) => Err(ChainError::Refused {
                what: intent.what,
                reason: reason(&returned),
            }),
        }
    }

    fn message<'a>(&self, intent: &Intent<'a>) -> Message<'a> {
        Message {
            from: Some(self.address()),
            to: intent.to,
            value: intent.value,
            data: intent.data,
        }
    }

    /// Signs the transaction and writes it down.
    fn prepare(&self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Pending, ChainError> {
        let estimated = rpc.estimate_gas(self.message(intent))?;
        // Why more: other transactions of the same block may change what a call costs.
        let gas = (estimated + estimated / 4).min(MAX_GAS);
        let mut pending = Pending {
            version: VERSION,
            chain_id: self.chain_id,
            from: self.address(),
            what: intent.what.to_owned(),
            to: intent.to,
            value: intent.value.to_string(),
            data_hash: Bytes(keccak(intent.data)),
            nonce: rpc.nonce(self.address(), BlockNumberOrTag::Pending)?,
            gas,
            data: Data::copy_from_slice(intent.data),
            attempts: Vec::new(),
        };
        let offer = offer(rpc, None)?;
        self.attempt(&mut pending, offer, intent.value)?;
        Ok(pending)
    }

    /// Adds a spelling with these fees and keeps it.
    fn attempt(&self, pending: &mut Pending, offer: Offer, value: u128) -> Result<(), ChainError> {
        let Offer { max_fee, tip } = offer;
        let to = pending.to.map(|to| EthAddress::from(to.0));
        let signed = self.key.sign(TxEip1559 {
            chain_id: self.chain_id,
            nonce: pending.nonce,
            gas_limit: pending.gas,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: to.map_or(TxKind::Create, TxKind::Call),
            value: U256::from(value),
            access_list: Vec::new().into(),
            input: pending.data.clone(),
        });
        pending.attempts.push(Attempt {
            hash: signed.hash,
            max_fee,
            tip,
            raw: signed.raw.into(),
        });
        self.save(pending)
    }

    /// Sends what is pending and waits for it, with more for gas if need be.
    fn settle(
        &self,
        rpc: &Rpc,
        mut pending: Pending,
        what: &'static str,
        mut sent: Sent,
    ) -> Result<TransactionReceipt, ChainError> {
        let value = pending.value.parse().unwrap_or(0);
        for raise in 0..=RAISES {
            let refused = self.push(rpc, &pending)?;
            if let Some(receipt) = self.wait(rpc, &pending, what, refused.is_some())? {
                self.clear()?;
                return Ok(receipt);
            }
            if let Some(reason) = refused.filter(|message| !concerns_fee(message)) {
                return Err(match sent {
                    Sent::NotYet => {
                        self.clear()?;
                        ChainError::Refused { what, reason }
                    }
                    // Why kept: another node may have it, or an earlier spelling of it.
                    Sent::Perhaps => waits(&pending, what),
                });
            }
            sent = Sent::Perhaps;
            if raise < RAISES {
                let last = pending.attempts.last().map(|attempt| Offer {
                    max_fee: attempt.max_fee,
                    tip: attempt.tip,
                });
                self.attempt(&mut pending, offer(rpc, last)?, value)?;
            }
        }
        Err(waits(&pending, what))
    }

    /// Sends the last spelling; `Some` with the node's words if it is refused.
    fn push(&self, rpc: &Rpc, pending: &Pending) -> Result<Option<String>, ChainError> {
        let Some(attempt) = pending.attempts.last() else {
            return Ok(None);
        };
        match rpc.send(&attempt.raw) {
            Ok(()) => Ok(None),
            Err(ChainError::Node { message, .. }) => Ok(Some(message)),
            Err(error) => Err(error),
        }
    }

    /// Waits for a receipt of any spelling. `None` if none came in time; at once if the node refused
    /// the last one and has none.
    fn wait(
        &self,
        rpc: &Rpc,
        pending: &Pending,
        what: &'static str,
        refused: bool,
    ) -> Result<Option<TransactionReceipt>, ChainError> {
        let (mut pause, most) = POLL;
        let mut used_up = 0;
        for _ in 0..POLLS {
            for attempt in pending.attempts.iter().rev() {
                if let Some(receipt) = rpc.receipt(attempt.hash)? {
                    return Ok(Some(receipt));
                }
            }
            if rpc.nonce(self.address(), BlockNumberOrTag::Latest)? > pending.nonce {
                used_up += 1;
                if used_up >= GRACE {
                    self.clear()?;
                    return Err(ChainError::Replaced {
                        what,
                        from: self.address(),
                        nonce: pending.nonce,
                    });
                }
            } else if refused {
                return Ok(None);
            }
            rpc.pause(pause);
            pause = (pause * 2).min(most);
        }
        Ok(None)
    }

    fn load(&self) -> Result<Option<Pending>, ChainError> {
        let bytes = match std::fs::read(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io(&self.file, "read it"))?,
        };
        let bad = |reason: String| ChainError::File {
            path: self.file.clone(),
            reason,
        };
        let pending: Pending =
            serde_json::from_slice(&bytes).map_err(|error| bad(format!("no outbox: {error}")))?;
        let whose = (pending.version, pending.chain_id, pending.from);
        if whose != (VERSION, self.chain_id, self.address()) {
            return Err(bad("the outbox of another key, chain or version".to_owned()));
        }
        Ok(Some(pending))
    }

    fn save(&self, pending: &Pending) -> Result<(), ChainError> {
        let json = serde_json::to_vec_pretty(pending).expect("text and numbers are JSON");
        write_whole(&self.file, &json)
    }

    fn clear(&self) -> Result<(), ChainError> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(io(&self.file, "remove it")),
        }
    }
}

impl Pending {
    fn is(&self, intent: &Intent<'_>) -> bool {
        self.to == intent.to
            && self.value == intent.value.to_string()
            && self.data_hash == Bytes(keccak(intent.data))
    }
}

fn waits(pending: &Pending, what: &'static str) -> ChainError {
    let last = pending.attempts.last();
    ChainError::NotMined {
        what,
        hash: last.map_or_else(String::new, |attempt| attempt.hash.to_string()),
        fee: last.map_or(0, |attempt| attempt.max_fee),
    }
}

/// The fees to offer: twice the base fee and the tip, and an eighth and more above the last offer, so
/// that nodes take it in its place.
fn offer(rpc: &Rpc, last: Option<Offer>) -> Result<Offer, ChainError> {
    let (base, tip) = rpc.fees()?;
    let raised = |fee: u128| fee.saturating_add(fee / 4).saturating_add(1);
    let (least_max, least_tip) =
        last.map_or((0, 0), |last| (raised(last.max_fee), raised(last.tip)));
    let tip = tip.max(least_tip).min(MAX_TIP);
    let max_fee = base.saturating_mul(2).saturating_add(tip).max(least_max);
    if max_fee > MAX_FEE {
        return Err(ChainError::TooDear {
            fee: max_fee,
            limit: MAX_FEE,
        });
    }
    Ok(Offer { max_fee, tip })
}

/// True if a higher fee helps against what the node says, or a new try does.
fn concerns_fee(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["underpriced", "fee", "nonce too low", "known", "imported"]
        .iter()
        .any(|word| message.contains(word))
}

fn succeeded(
    what: &'static str,
    receipt: TransactionReceipt,
) -> Result<TransactionReceipt, ChainError> {
    if receipt.status() {
        return Ok(receipt);
    }
    Err(ChainError::Failed {
        what,
        block: receipt.block_number.unwrap_or(0),
        hash: receipt.transaction_hash.to_string(),
    })
}

pub(crate) fn io<'p>(
    path: &'p Path,
    action: &'static str,
) -> impl Fn(std::io::Error) -> ChainError + 'p {
    move |source| ChainError::Io {
        path: path.into(),
        action,
        source,
    }
}

/// Writes a file whole or not at all, readable by its owner alone, and makes it durable.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ChainError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(io(folder, "make the folder"))?;
    let written = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    written().map_err(io(path, "write it"))
}
