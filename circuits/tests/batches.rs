//! Whole batches: what `ledger` executes satisfies the circuit of the shape, with the same words,
//! roots and public inputs; what `ledger` rejects does not, however the witness is made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "../../crates/ledger/tests/support/mod.rs"]
mod support;
#[path = "../../crates/ledger/tests/vectors_folder/mod.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod vectors_folder;

use std::{collections::BTreeSet, sync::OnceLock};

use ark_ff::{AdditiveGroup, Field};
use attacks::{Forged, Forger, Start, forged_assignment};
use circuits::{
    num::Cs,
    shapes::{Compiled, by_name, compile, shape},
    transition::{BatchCircuit, BatchValues, assignment},
};
use common::rng;
use ledger::{
    account::Account,
    babyjubjub::Point,
    eddsa::{PrivateKey, Signature},
    field::{Fr, from_decimal},
    float::{Float16, Float40},
    operation::{L1Op, NO_EXPIRY, Signable, Signed, Transfer, Withdraw, domain},
    shape::Shape,
    state::State,
    transition::{AppliedBatch, BatchContext, Operation, PushError, Transition},
};
use num_bigint::BigUint;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use support::{amount, authorize, context, create, fee, public, transfer, withdraw};
use vectors_folder::read_vectors;

/// Sizes at which something is missing or one more: no cached level, no slots of a kind, one L1
/// slot, fee indices that just fill their words and one more.
const SHAPES: [Shape; 7] = [
    shape(40, 2, 0, [2, 2, 2], 1),
    shape(41, 3, 1, [0, 4, 0], 2),
    shape(42, 3, 2, [1, 0, 2], 4),
    shape(43, 3, 0, [5, 0, 0], 5),
    shape(44, 3, 1, [3, 2, 4], 11),
    shape(45, 4, 3, [1, 2, 0], 12),
    shape(46, 2, 1, [0, 0, 2], 2),
];

/// The circuit accepts the batch, and everything public is the ledger's.
#[track_caller]
fn assert_twin(compiled: &Compiled, batch: &AppliedBatch) {
    let values = BatchValues::of(&batch.witness).unwrap();
    let shape = values.shape;
    let words = batch.words.encode(&shape).unwrap();
    assert_eq!(
        BatchCircuit(values.clone()).record(&Cs::values_only()),
        words
    );
    let c = ledger::words::commitment(shape.id, &words);
    let z = ledger::words::challenge(&c, &words);
    let y = ledger::words::evaluation(&words, &z);
    let sequential = forged_assignment(&values, &[]);
    assert_eq!(sequential[..4], [Fr::ONE, c, z, y]);
    assert_eq!(assignment(&values), sequential);
    assert_eq!(values.public_inputs(), [c, z, y]);
    assert_eq!(compiled.violated_rules(&sequential), BTreeSet::new());
}

fn random_l1(rng: &mut ChaCha8Rng, state: &State, batch: &Transition) -> L1Op {
    let index = rng.gen_range(1..16);
    match batch.account(state, index).map(|account| account.token) {
        None => create(index, index % 3, rng.gen_range(0..1_000)),
        Some(token) if rng.gen_bool(0.4) => L1Op::ForcedExit { index, token },
        Some(token) => L1Op::TopUp {
            index,
            token,
            amount: rng.gen_range(0..1_000),
        },
    }
}

/// Overlapping roles are likely: eight accounts of three tokens, of which some collect fees.
fn random_op(rng: &mut ChaCha8Rng, state: &State, batch: &Transition) -> Operation {
    let from = rng.gen_range(1..9);
    let same_token: Vec<u32> = (1..9).filter(|to| to % 3 == from % 3).collect();
    let to = same_token[rng.gen_range(0..same_token.len())];
    let account = batch.account(state, from).copied().unwrap();
    let most = u64::try_from(account.balance).unwrap();
    let value = [0, 1, most, most / 2][rng.gen_range(0..4)];
    let fee_value = [0, 1, 7][rng.gen_range(0..3)];
    let valid_until = [1_000, 1_001, NO_EXPIRY][rng.gen_range(0..3)];
    if rng.gen_bool(0.7) {
        Operation::Transfer(authorize(Transfer {
            token: account.token,
            valid_until,
            ..transfer(from, to, value, fee_value, account.nonce)
        }))
    } else {
        Operation::Withdraw(authorize(Withdraw {
            token: account.token,
            valid_until,
            ..withdraw(from, value, fee_value, account.nonce)
        }))
    }
}

#[test]
fn random_batches_of_many_shapes_satisfy_their_circuits() {
    let mut rng = rng(20);
    for shape in SHAPES {
        let compiled = compile(&shape).unwrap();
        let accounts: Vec<(u32, u32, u128)> =
            (1..9).map(|index| (index, index % 3, 1_000)).collect();
        let mut state = support::state(shape.depth, &accounts);
        for round in 0..5 {
            let fee_accounts = &[(0, 3), (1, 1), (2, 8)][..rng.gen_range(1..4)];
            let context = context(fee_accounts);
            let mut batch = Transition::begin(&state, &shape, context).unwrap();
            let tries = if round == 0 { 0 } else { 30 };
            for _ in 0..tries {
                let op = match batch.counts() {
                    [_, 0, 0] if rng.gen_bool(0.3) => {
                        Operation::L1(random_l1(&mut rng, &state, &batch))
                    }
                    _ => random_op(&mut rng, &state, &batch),
                };
                match batch.push(&state, &op) {
                    Ok(()) | Err(PushError::Rejected(_) | PushError::DoesNotFit(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(batch.is_empty(), round == 0);
            assert_twin(&compiled, &batch.finish(&mut state).unwrap());
        }
    }
}

/// Every fee slot of the shape used, some for accounts that the batch itself makes, one for
/// nothing; fee accounts send and receive.
#[test]
fn fee_slots_of_every_kind_satisfy_the_circuit() {
    let shape = shape(47, 3, 1, [2, 4, 2], 12);
    let compiled = compile(&shape).unwrap();
    let accounts: Vec<(u32, u32, u128)> = (1..11).map(|i| (i, i, 1_000)).collect();
    let mut state = support::state(3, &accounts);
    let mut indices: Vec<u32> = (1..11).collect();
    indices.extend([40, 0]);
    indices.reverse();
    let mut batch =
        Transition::begin_with_fee_indices(&state, &shape, context(&[]), &indices).unwrap();
    for index in [40, 41] {
        batch.push_l1(&state, &create(index, 77, 500)).unwrap();
    }
    for (from, to, token) in [(41, 40, 77), (40, 41, 77), (5, 5, 5), (9, 9, 9)] {
        let op = Transfer {
            token,
            ..transfer(from, to, 3, 2, 0)
        };
        batch.push_transfer(&state, &authorize(op)).unwrap();
    }
    for (from, nonce, token) in [(40, 1, 77), (5, 1, 5)] {
        let op = Withdraw {
            token,
            ..withdraw(from, 3, 2, nonce)
        };
        batch.push_withdraw(&state, &authorize(op)).unwrap();
    }
    assert_twin(&compiled, &batch.finish(&mut state).unwrap());
    assert_eq!(state.account(40).unwrap().balance, 500 + 3 - 5 - 5 + 3 * 2);
    assert_eq!(state.account(5).unwrap().balance, 1_000 - 3);
}

/// Spellings of zero and of the same value, extreme nonces and balances.
#[test]
fn extreme_accounts_and_spellings_satisfy_the_circuit() {
    let shape = SHAPES[0];
    let compiled = compile(&shape).unwrap();
    let mut state = State::new(shape.depth);
    let account = |index: u32, nonce: u64, balance: u128| Account {
        nonce,
        ..Account::new(public(index), u32::MAX, balance)
    };
    let last = (1 << 40) - 2;
    let accounts = [(1, account(1, last, u128::MAX - 1)), (2, account(2, 0, 0))];
    state.insert_genesis(accounts).unwrap();
    let mut batch = Transition::begin(&state, &shape, context(&[(u32::MAX, 2)])).unwrap();
    let top_up = L1Op::TopUp {
        index: 1,
        token: u32::MAX,
        amount: 1,
    };
    batch.push_l1(&state, &top_up).unwrap();
    let op = Transfer {
        from: 1,
        to: 2,
        // The largest float40 below 2^128, and a fee of 0 spelled 0·10^31.
        amount: Float40::from_packed((28 << 35) + 34_028_236_692).unwrap(),
        fee: Float16::from_packed(31 << 11).unwrap(),
        nonce: last,
        valid_until: NO_EXPIRY,
        token: u32::MAX,
    };
    batch.push_transfer(&state, &authorize(op)).unwrap();
    let op = Transfer {
        from: 2,
        to: 1,
        amount: Float40::from_packed(5 << 35 | 10).unwrap(),
        fee: Float16::from_packed(3 << 11 | 10).unwrap(),
        nonce: 0,
        ..op
    };
    batch.push_transfer(&state, &authorize(op)).unwrap();
    let op = Withdraw {
        token: u32::MAX,
        fee: fee(1),
        ..withdraw(2, 0, 0, 1)
    };
    batch.push_withdraw(&state, &authorize(op)).unwrap();
    assert_twin(&compiled, &batch.finish(&mut state).unwrap());
}

fn tiny() -> &'static (Shape, Compiled) {
    static TINY: OnceLock<(Shape, Compiled)> = OnceLock::new();
    TINY.get_or_init(|| {
        let shape = by_name("tiny").unwrap();
        (shape, compile(&shape).unwrap())
    })
}

/// One account of the forger's world: index, token, balance.
const WORLD: [(u32, u32, u128); 5] = [(1, 0, 10), (2, 0, 100), (3, 0, 50), (4, 7, 100), (5, 7, 9)];

fn forger_key(index: u32) -> PrivateKey {
    PrivateKey::derive("quire testkit account", &index.to_be_bytes())
}

/// The ledger's verdict on one operation.
fn ledger_accepts(forged: &Forged, is_transfer: bool) -> bool {
    let (shape, _) = *tiny();
    let mut state = State::new(shape.depth);
    let accounts = WORLD.map(|(index, token, balance)| {
        let key = forger_key(index).public_key();
        (index, Account::new(key, token, balance))
    });
    state.insert_genesis(accounts).unwrap();
    let context = BatchContext {
        domain: Fr::ZERO,
        batch_number: 1,
        timestamp: 1_000,
        fee_accounts: [(0, 1), (7, 4)].into(),
    };
    let mut batch = Transition::begin(&state, &shape, context).unwrap();
    let Forged {
        from,
        to,
        amount,
        fee,
        valid_until,
        ..
    } = *forged;
    let token = state.account(from).unwrap().token;
    let secret = forger_key(from);
    let (key, domain) = (secret.public_key(), Fr::ZERO);
    let pushed = if is_transfer {
        let op = Transfer {
            from,
            to,
            amount,
            fee,
            nonce: 0,
            valid_until,
            token,
        };
        let signed = op.sign(&secret, &domain).verify(&key, &domain).unwrap();
        batch.push_transfer(&state, &signed)
    } else {
        let op = Withdraw {
            from,
            amount,
            fee,
            nonce: 0,
            valid_until,
            token,
        };
        let signed = op.sign(&secret, &domain).verify(&key, &domain).unwrap();
        batch.push_withdraw(&state, &signed)
    };
    match pushed {
        Ok(()) => true,
        Err(PushError::Rejected(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

/// The circuit's, on what a prover makes who executes whatever it is told.
fn circuit_accepts(forged: &Forged, is_transfer: bool) -> bool {
    let (shape, compiled) = tiny();
    let accounts = WORLD.map(|(index, token, balance)| Start {
        index,
        token,
        nonce: 0,
        balance,
    });
    let mut batch = Forger::new(shape, &accounts, &[1, 4]);
    if is_transfer {
        batch.transfer(forged);
    } else {
        batch.withdraw(forged);
    }
    let assignment = forged_assignment(&batch.finish(), &[]);
    compiled.violated_rules(&assignment).is_empty()
}

#[test]
fn ledger_and_circuit_give_the_same_verdict() {
    let mut rng = rng(21);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..80 {
        let is_transfer = round % 3 != 0;
        let (from, token, balance) = WORLD[rng.gen_range(0..WORLD.len())];
        let to = WORLD[rng.gen_range(0..WORLD.len())].0;
        let most = u64::try_from(balance).unwrap();
        let fee_value = [0, 1, 5][rng.gen_range(0..3)];
        let value = match rng.gen_range(0..4) {
            0 => most + 1,
            1 => most,
            2 => most.saturating_sub(u64::from(fee_value)),
            _ => rng.gen_range(0..most),
        };
        let slot = usize::from(token == 7);
        let forged = Forged {
            from,
            to: if is_transfer { to } else { 0 },
            amount: amount(value),
            fee: fee(fee_value),
            valid_until: [999, 1_000, 1_001, NO_EXPIRY][rng.gen_range(0..4)],
            fee_slot: (fee_value > 0).then_some(slot),
            ..Forged::default()
        };
        let native = ledger_accepts(&forged, is_transfer);
        assert_eq!(circuit_accepts(&forged, is_transfer), native, "{forged:?}");
        if native { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 15 && refused > 15, "{accepted} {refused}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.to_string().parse().unwrap(),
    }
}

fn point(value: &Value) -> Point {
    let [x, y] = [0, 1].map(|i| from_decimal(text(&value[i])).unwrap());
    Point { x, y }
}

fn packed(value: &Value) -> u64 {
    u64::from_str_radix(text(value), 16).unwrap()
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(text(value)).unwrap().try_into().unwrap()
}

fn operation(batch: &Transition, state: &State, domain: &Fr, vector: &Value) -> Operation {
    let index = || number(&vector["index"]);
    let signature = || {
        let s: BigUint = number(&vector["s"]);
        Signature::from_raw(point(&vector["r8"]), &s).unwrap()
    };
    let key = |from: u32| batch.account(state, from).unwrap().key;
    let transfer = || Transfer {
        from: number(&vector["from"]),
        to: number(&vector["to"]),
        amount: Float40::from_packed(packed(&vector["amount_packed_hex"])).unwrap(),
        fee: Float16::from_packed(packed(&vector["fee_packed_hex"])).unwrap(),
        nonce: number(&vector["nonce"]),
        valid_until: number(&vector["valid_until"]),
        token: number(&vector["token"]),
    };
    match text(&vector["op"]) {
        "create" => Operation::L1(L1Op::Create {
            index: index(),
            token: number(&vector["token"]),
            amount: number(&vector["amount"]),
            key: point(&vector["A"]),
        }),
        "topup" => Operation::L1(L1Op::TopUp {
            index: index(),
            token: number(&vector["token"]),
            amount: number(&vector["amount"]),
        }),
        "forced_exit" => Operation::L1(L1Op::ForcedExit {
            index: index(),
            token: batch.account(state, index()).unwrap().token,
        }),
        "transfer" => {
            let (op, signature) = (transfer(), signature());
            let signed = Signed { op, signature };
            Operation::Transfer(signed.verify(&key(op.from), domain).unwrap())
        }
        "withdraw" => {
            let (debit, signature) = (transfer(), signature());
            let op = Withdraw {
                from: debit.from,
                amount: debit.amount,
                fee: debit.fee,
                nonce: debit.nonce,
                valid_until: debit.valid_until,
                token: debit.token,
            };
            let signed = Signed { op, signature };
            Operation::Withdraw(signed.verify(&key(op.from), domain).unwrap())
        }
        other => panic!("{other}"),
    }
}

/// Batches of an independent implementation (`VECTORS_DIR` names another set): the circuit agrees with its words and public inputs.
#[test]
fn batches_of_the_protocol_vectors_satisfy_the_circuit() {
    let vectors = read_vectors("protocol.json").unwrap_or_else(|error| panic!("{error}"));
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let none = Vec::new();
    let batches = vectors["batches"].as_array().unwrap_or(&none);
    assert!(!batches.is_empty() || std::env::var_os("VECTORS_DIR").is_some());
    let mut compiled: Vec<(Shape, Compiled)> = Vec::new();
    for vector in batches {
        let field = |name: &str| from_decimal(text(&vector[name])).unwrap();
        let sizes = &vector["shape"];
        let slots = ["l1_ops", "transfers", "withdrawals"].map(|name| number(&sizes[name]));
        let fee_slots = number(&sizes["fee_slots"]);
        let depth: u8 = number(&sizes["depth"]);
        let shape = shape(
            number(&sizes["id"]),
            depth,
            depth.saturating_sub(1).min(3),
            slots,
            fee_slots,
        );
        let contract = bytes(&vector["contract_hex"]);
        let domain = domain(
            number(&vector["chain_id"]),
            &contract,
            &bytes(&vector["salt_hex"]),
        );
        let mut state = State::new(shape.depth);
        let context = BatchContext {
            domain,
            batch_number: number(&vector["batch_number"]),
            timestamp: number(&vector["timestamp"]),
            fee_accounts: [].into(),
        };
        let fees: Vec<u32> = vector["fee_indices"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let mut batch = Transition::begin_with_fee_indices(&state, &shape, context, &fees).unwrap();
        for vector in vector["operations"].as_array().unwrap() {
            let operation = operation(&batch, &state, &domain, vector);
            batch.push(&state, &operation).unwrap();
        }
        let batch = batch.finish(&mut state).unwrap();
        let values = BatchValues::of(&batch.witness).unwrap();
        assert_eq!(values.public_inputs(), [field("c"), field("z"), field("y")]);
        if compiled.iter().all(|(known, _)| *known != shape) {
            compiled.push((shape, compile(&shape).unwrap()));
        }
        let (_, compiled) = compiled.iter().find(|(known, _)| *known == shape).unwrap();
        assert_twin(compiled, &batch);
    }
}
