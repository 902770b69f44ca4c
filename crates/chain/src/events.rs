//! The contract's events.

use alloy::primitives::B256;
use alloy::rpc::types::Log;
use l1::Address;
use l1::evm::abi::{Word, keccak};
use ledger::babyjubjub::Point;
use ledger::operation::L1Op;

use crate::words::Words;

/// An event that changes the mirror or is the outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    TokenAdded {
        token: u32,
        erc20: Address,
    },
    Queued {
        number: u64,
        op: L1Op,
        payer: Address,
        time: u64,
    },
    BatchFinalized {
        number: u64,
        position: u16,
    },
    Credited,
    Claimed {
        owner: Address,
        token: u32,
        amount: u128,
    },
    Frozen,
    Exited {
        index: u32,
        amount: u128,
    },
    DepositCancelled {
        number: u64,
        amount: u128,
    },
    FeesCollected {
        amount: u128,
    },
    OperatorReturned {
        until: u64,
    },
    OperatorOffered {
        to: Address,
    },
    OperatorChanged {
        from: Address,
        to: Address,
        fees: u128,
    },
}

/// The signature of the first event of every deployment.
pub(crate) const TOKEN_ADDED: &str = "TokenAdded(uint32,address)";
pub(crate) const QUEUED: &str =
    "Queued(uint40,uint32,address,uint8,uint32,uint128,uint40,uint256,uint256)";
const BATCH_FINALIZED: &str = "BatchFinalized(uint40,bytes32,uint40,uint16)";
const CREDITED: &str = "Credited(address,uint32,uint32,uint128)";
const CLAIMED: &str = "Claimed(address,uint32,address,uint256)";
const FROZEN: &str = "Frozen(bytes32,uint40)";
const EXITED: &str = "Exited(uint32,uint128)";
const DEPOSIT_CANCELLED: &str = "DepositCancelled(uint40,uint128)";
const FEES_COLLECTED: &str = "FeesCollected(address,uint256)";
const OPERATOR_RETURNED: &str = "OperatorReturned(address,uint256)";
const OPERATOR_OFFERED: &str = "OperatorOffered(address)";
const OPERATOR_CHANGED: &str = "OperatorChanged(address,address,uint256)";

/// The topic of a signature.
pub(crate) fn topic(signature: &str) -> B256 {
    B256::from(keccak(signature.as_bytes()))
}

impl Event {
    /// Reads a log of the contract; `None` if it is not one of its events.
    pub(crate) fn decode(log: &Log) -> Option<Self> {
        let signature = *log.topics().first()?;
        let mut words: Vec<Word> = log.topics()[1..].iter().map(|topic| topic.0).collect();
        let data = &log.inner.data.data;
        if data.len() % 32 != 0 {
            return None;
        }
        words.extend(
            data.chunks_exact(32)
                .filter_map(|word| Word::try_from(word).ok()),
        );
        let mut words = Words(words.into_iter());
        let is = |text: &str| topic(text) == signature;
        if is(TOKEN_ADDED) {
            let (token, erc20) = (words.small()?, words.address()?);
            return Some(Self::TokenAdded { token, erc20 });
        }
        if is(QUEUED) {
            return queued(&mut words);
        }
        if is(BATCH_FINALIZED) {
            let number = words.small()?;
            let (_root, _queue_head) = (words.word()?, words.word()?);
            let position = words.small()?;
            return Some(Self::BatchFinalized { number, position });
        }
        if is(CREDITED) {
            return Some(Self::Credited);
        }
        if is(CLAIMED) {
            let (owner, token, _to) = (words.address()?, words.small()?, words.word()?);
            let amount = words.uint()?;
            return Some(Self::Claimed {
                owner,
                token,
                amount,
            });
        }
        if is(FROZEN) {
            return Some(Self::Frozen);
        }
        if is(EXITED) {
            let (index, amount) = (words.small()?, words.uint()?);
            return Some(Self::Exited { index, amount });
        }
        if is(DEPOSIT_CANCELLED) {
            let (number, amount) = (words.small()?, words.uint()?);
            return Some(Self::DepositCancelled { number, amount });
        }
        if is(FEES_COLLECTED) {
            let (_to, amount) = (words.word()?, words.uint()?);
            return Some(Self::FeesCollected { amount });
        }
        if is(OPERATOR_RETURNED) {
            let (_operator, until) = (words.word()?, words.small()?);
            return Some(Self::OperatorReturned { until });
        }
        if is(OPERATOR_OFFERED) {
            let to = words.address()?;
            return Some(Self::OperatorOffered { to });
        }
        if is(OPERATOR_CHANGED) {
            let (from, to, fees) = (words.address()?, words.address()?, words.uint()?);
            return Some(Self::OperatorChanged { from, to, fees });
        }
        None
    }
}

fn queued(words: &mut Words) -> Option<Event> {
    let (number, index, payer) = (words.small()?, words.small()?, words.address()?);
    let (kind, token, amount) = (words.small::<u8>()?, words.small()?, words.uint()?);
    let time = words.small()?;
    let key = Point {
        x: words.field()?,
        y: words.field()?,
    };
    let op = L1Op::from_parts(kind, index, token, amount, key)?;
    Some(Event::Queued {
        number,
        op,
        payer,
        time,
    })
}
