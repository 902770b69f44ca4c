//! The contract's other calls and its constructor, encoded, and words that come back.
//!
//! Only what this contract needs of Ethereum's ABI: static words, one dynamic list a call. Invariant:
//! every selector is one of the committed ABI's.

use ledger::babyjubjub::Point;
use ledger::field::to_be_bytes;
use ledger::shape::Shape;
use prover::key::VerifyingKey;

use super::calldata::Entry;
pub use super::keccak::{Word, keccak, selector};
use crate::bytes::{Address, Bytes};
use crate::leave::Exit;

/// Words of [`Config`] in the constructor's arguments.
pub const CONFIG_WORDS: u8 = 9;

/// What the contract's constructor fixes; see `IRollup.Config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The first operator.
    pub operator: Address,
    /// Tells deployments apart that agree in all else.
    pub salt: Bytes<32>,
    /// Price of a deposit, top-up or exit request in wei.
    pub l1_fee: u128,
    /// Most deposits and top-ups that may wait, below 2^40.
    pub pending_cap: u64,
    /// Seconds that a batch's timestamp may lie before the block's, below 2^40.
    pub timestamp_slack: u64,
    /// Seconds that the oldest entry may wait before anybody may submit batches, below 2^40.
    pub takeover_after: u64,
    /// Seconds that the oldest entry may wait before a freeze, below 2^40.
    pub freeze_after: u64,
    /// Levels of the account tree, 1 to 16.
    pub depth: u8,
    /// Address of a deployed `PathHasher`.
    pub path_hasher: Address,
}

/// A call with static arguments.
pub fn call(signature: &str, words: &[Word]) -> Vec<u8> {
    let mut out = selector(signature).to_vec();
    words.iter().for_each(|word| out.extend(word));
    out
}

/// An unsigned integer as a word.
pub fn uint(value: u128) -> Word {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

/// An address as a word.
pub fn address(address: &Address) -> Word {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    word
}

fn point(point: &Point) -> [Word; 2] {
    [to_be_bytes(&point.x), to_be_bytes(&point.y)]
}

fn entry_words(entry: &Entry) -> [Word; 8] {
    let Entry { op, payer, time } = entry;
    let [ax, ay] = op.key_words();
    [
        uint(op.kind().into()),
        uint(op.index().into()),
        uint(op.token().into()),
        uint(op.amount()),
        address(payer),
        uint((*time).into()),
        to_be_bytes(&ax),
        to_be_bytes(&ay),
    ]
}

/// Type of a queue entry in signatures.
const ENTRY: &str = "(uint8,uint32,uint32,uint128,address,uint40,uint256,uint256)";

pub fn add_token(erc20: &Address) -> Vec<u8> {
    call("addToken(address)", &[address(erc20)])
}

/// `deposit` of `amount` of a token into a new account with key `A` and `Q`, `A = 8·Q`.
pub fn deposit(token: u32, amount: u128, key: &Point, q: &Point) -> Vec<u8> {
    let [[ax, ay], [qx, qy]] = [point(key), point(q)];
    let words = [uint(token.into()), uint(amount), ax, ay, qx, qy];
    call(
        "deposit(uint32,uint128,uint256,uint256,uint256,uint256)",
        &words,
    )
}

pub fn top_up(index: u32, amount: u128) -> Vec<u8> {
    call("topUp(uint32,uint128)", &[uint(index.into()), uint(amount)])
}

pub fn request_exit(index: u32) -> Vec<u8> {
    call("requestExit(uint32)", &[uint(index.into())])
}

pub fn claim(token: u32, to: &Address) -> Vec<u8> {
    call("claim(uint32,address)", &[uint(token.into()), address(to)])
}

pub fn collect_fees(to: &Address) -> Vec<u8> {
    call("collectFees(address)", &[address(to)])
}

pub fn return_operator() -> Vec<u8> {
    call("returnOperator()", &[])
}

/// `offerOperator`; to the address of zeros: the offer is withdrawn.
pub fn offer_operator(to: Option<&Address>) -> Vec<u8> {
    let to = to.map_or([0; 32], address);
    call("offerOperator(address)", &[to])
}

pub fn accept_operator() -> Vec<u8> {
    call("acceptOperator()", &[])
}

pub fn freeze() -> Vec<u8> {
    call("freeze()", &[])
}

pub fn cancel_deposit(number: u64, entry: &Entry) -> Vec<u8> {
    let mut words = vec![uint(number.into())];
    words.extend(entry_words(entry));
    call(&format!("cancelDeposit(uint40,{ENTRY})"), &words)
}

pub fn exit(exit: &Exit) -> Vec<u8> {
    let Exit {
        index,
        account,
        siblings,
    } = exit;
    let [ax, ay] = point(&account.key);
    let nodes: Vec<Word> = siblings.iter().flatten().map(to_be_bytes).collect();
    let mut words = vec![
        uint((*index).into()),
        ax,
        ay,
        uint(account.token.into()),
        uint(account.nonce.into()),
        uint(account.balance),
        // Where the list starts: after these seven words.
        uint(7 * 32),
        uint(u128::try_from(nodes.len()).expect("a length fits 128 bits")),
    ];
    words.extend(nodes);
    let signature = "exit(uint32,(uint256,uint256,uint32,uint40,uint128),uint256[])";
    call(signature, &words)
}

/// The constructor's arguments, which follow the bytecode.
pub fn constructor(config: &Config, shapes: &[(Shape, &VerifyingKey)]) -> Vec<u8> {
    let Config {
        operator,
        salt,
        l1_fee,
        pending_cap,
        timestamp_slack,
        takeover_after,
        freeze_after,
        depth,
        path_hasher,
    } = config;
    let count = |n: usize| uint(u128::try_from(n).expect("a length fits 128 bits"));
    let mut words = vec![
        address(operator),
        salt.0,
        uint(*l1_fee),
        uint((*pending_cap).into()),
        uint((*timestamp_slack).into()),
        uint((*takeover_after).into()),
        uint((*freeze_after).into()),
        uint((*depth).into()),
        address(path_hasher),
        uint(u128::from(CONFIG_WORDS + 1) * 32),
        count(shapes.len()),
    ];
    let keys: Vec<Vec<u8>> = shapes.iter().map(|(_, key)| key.point_bytes()).collect();
    // Each shape: six words, then the key's length and bytes.
    let mut at = 32 * shapes.len();
    for key in &keys {
        words.push(count(at));
        at += 32 * (7 + key.len().div_ceil(32));
    }
    for ((shape, _), key) in shapes.iter().zip(&keys) {
        words.extend([
            uint(shape.id.into()),
            uint(shape.l1_ops.into()),
            uint(shape.transfers.into()),
            uint(shape.withdrawals.into()),
            uint(shape.fee_slots.into()),
            uint(6 * 32),
            count(key.len()),
        ]);
        words.extend(key.chunks(32).map(|chunk| {
            let mut word = [0; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            word
        }));
    }
    words.concat()
}
