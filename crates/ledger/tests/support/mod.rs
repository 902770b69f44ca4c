//! A small world for tests: accounts with known keys, and short ways to make operations.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ledger::account::Account;
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::field::Fr;
use ledger::float::{Float16, Float40};
use ledger::operation::{Authorized, L1Op, NO_EXPIRY, Signable, Transfer, Withdraw, domain};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{BatchContext, Transition};
use num_bigint::BigUint;

pub const SHAPE: Shape = Shape {
    id: 3,
    depth: 4,
    l1_ops: 4,
    transfers: 8,
    withdrawals: 4,
    fee_slots: 2,
    cached_levels: 1,
};

pub fn test_domain() -> Fr {
    domain(31337, &[7; 20], &[9; 32])
}

/// The key of an index.
pub fn key(index: u32) -> PrivateKey {
    PrivateKey::derive("quire/1 test accounts", &index.to_be_bytes())
}

pub fn public(index: u32) -> Point {
    key(index).public_key()
}

pub fn account(index: u32, token: u32, balance: u128) -> Account {
    Account::new(public(index), token, balance)
}

/// A state with accounts given as (index, token, balance).
pub fn state(depth: u8, accounts: &[(u32, u32, u128)]) -> State {
    let mut state = State::new(depth);
    let accounts = accounts.iter();
    state
        .insert_genesis(
            accounts.map(|&(index, token, balance)| (index, account(index, token, balance))),
        )
        .unwrap();
    state
}

pub fn context(fee_accounts: &[(u32, u32)]) -> BatchContext {
    BatchContext {
        domain: test_domain(),
        batch_number: 1,
        timestamp: 1_000,
        fee_accounts: fee_accounts.iter().copied().collect::<BTreeMap<_, _>>(),
    }
}

/// An amount below 2^35.
pub fn amount(value: u64) -> Float40 {
    assert!(value < 1 << 35);
    Float40::from_packed(value).unwrap()
}

/// A fee below 2^11.
pub fn fee(value: u16) -> Float16 {
    assert!(value < 1 << 11);
    Float16::from_packed(u64::from(value)).unwrap()
}

pub fn transfer(from: u32, to: u32, value: u64, fee_value: u16, nonce: u64) -> Transfer {
    Transfer {
        from,
        to,
        amount: amount(value),
        fee: fee(fee_value),
        nonce,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

pub fn withdraw(from: u32, value: u64, fee_value: u16, nonce: u64) -> Withdraw {
    Withdraw {
        from,
        amount: amount(value),
        fee: fee(fee_value),
        nonce,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

/// Signs with the sender's key and verifies.
pub fn authorize<T: Signable>(op: T) -> Authorized<T> {
    authorize_as(op, op.fields().from)
}

/// Signs with another index's key and verifies under that key.
pub fn authorize_as<T: Signable>(op: T, signer: u32) -> Authorized<T> {
    op.sign(&key(signer), &test_domain())
        .verify(&public(signer), &test_domain())
        .unwrap()
}

pub fn create(index: u32, token: u32, amount: u128) -> L1Op {
    L1Op::Create {
        index,
        token,
        amount,
        key: public(index),
    }
}

pub fn begin(state: &State, fee_accounts: &[(u32, u32)]) -> Transition {
    Transition::begin(state, &SHAPE, context(fee_accounts)).unwrap()
}

/// Balances by token. A sum of integers of any size: some states here hold more than L1 would
/// ever let in.
pub fn supply(state: &State) -> BTreeMap<u32, BigUint> {
    let mut supply: BTreeMap<u32, BigUint> = BTreeMap::new();
    for (_, account) in state.accounts() {
        *supply.entry(account.token).or_default() += account.balance;
    }
    supply
}
