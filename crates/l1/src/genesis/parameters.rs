//! What a deployment is fixed to besides its accounts, and the limits of it.

use ledger::shape::Shape;
use serde::{Deserialize, Serialize};

use crate::bytes::{Address, Bytes, decimal};

/// Seconds for which an operator that returned is alone.
pub const OPERATORS_HOUR: u64 = 3_600;
/// Default of [`Parameters::timestamp_slack`]: a day.
pub const DEFAULT_TIMESTAMP_SLACK: u64 = 24 * 60 * 60;
/// Default of [`Parameters::takeover_after`]: three days.
pub const DEFAULT_TAKEOVER_AFTER: u64 = 3 * 24 * 60 * 60;
/// Least [`Parameters::takeover_after`]: an operator that returns as often as it may leaves everybody
/// else at least half of the time.
pub const LEAST_TAKEOVER_AFTER: u64 = 2 * OPERATORS_HOUR;
/// Default of [`Parameters::freeze_after`]: seven days.
pub const DEFAULT_FREEZE_AFTER: u64 = 7 * 24 * 60 * 60;
/// Greatest [`Parameters::freeze_after`]: 90 days.
pub const MOST_FREEZE_AFTER: u64 = 90 * 24 * 60 * 60;
/// Greatest length of an operator's or token's name in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The first operator, who submits batches and collects fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// For people: 1 to 64 bytes without control characters.
    pub name: String,
    /// The address that calls.
    pub address: Address,
}

/// A shape that the deployment accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedShape {
    /// The sizes; the id is what batches name.
    pub shape: Shape,
    /// Fingerprint of the circuit, which the verifying key must have.
    pub fingerprint: Bytes<32>,
}

/// A token. Its id is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// For people: 1 to 64 bytes without control characters. What passes [`crate::token::check_symbol`] is shown
    /// as the token's symbol.
    pub name: String,
    /// Decimal places, for people; none if they are not known, and of ETH, which has 18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Address of the token on the chain that it comes from, zero for ETH.
    pub address: Address,
}

/// What a deployment is fixed to, accounts aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// 0 for a native L1, else the id of the chain that the contract is on (EIP-155).
    pub chain_id: u64,
    /// Address of the contract; none for a native L1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Address>,
    /// Tells deployments apart that agree in all else.
    pub salt: Bytes<32>,
    /// The first operator; L1 says who is it now.
    pub operator: Operator,
    /// The accepted shapes: distinct ids, one depth, at least one with L1 slots.
    pub shapes: Vec<ListedShape>,
    /// Price of a deposit, top-up or exit request in ETH's smallest unit.
    #[serde(with = "decimal")]
    pub l1_fee: u128,
    /// Most deposits and top-ups that may wait for a batch; exits are not counted.
    pub pending_cap: u64,
    /// Δ: seconds that a batch's timestamp may lie before the L1's time.
    pub timestamp_slack: u64,
    /// Seconds that the oldest queue entry may wait for a batch before anyone may submit batches: more
    /// than `timestamp_slack`, at least [`LEAST_TAKEOVER_AFTER`].
    pub takeover_after: u64,
    /// Seconds that the oldest queue entry may wait for a batch before anyone may freeze L1: at least
    /// twice `takeover_after`, at most [`MOST_FREEZE_AFTER`].
    pub freeze_after: u64,
    /// All tokens by id, the first ETH with address zero; addresses distinct.
    pub tokens: Vec<Token>,
}

impl Token {
    /// The coin of the chain, which every deployment has first.
    pub fn eth() -> Self {
        Self {
            name: "ETH".to_owned(),
            decimals: None,
            address: Bytes([0; 20]),
        }
    }
}
