//! The worked examples of `docs/protocol.md`. Every number is computed here; the same numbers are
//! published in `docs/vectors/*.json` for other implementations and shown in the text. The test
//! fails if either differs. `UPDATE_EXAMPLES=1` rewrites the JSON files; the text is edited by hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ark_ff::PrimeField;
use ledger::account::Account;
use ledger::babyjubjub::{Point, cofactor_inverse_point, deposit_key_is_good};
use ledger::eddsa::{PrivateKey, challenge as signature_challenge};
use ledger::field::{Fr, to_be_bytes, to_hex};
use ledger::float::{Float, Float16, Float40};
use ledger::operation::{L1Op, NO_EXPIRY, Signable, Signed, Transfer, Withdraw, domain};
use ledger::replay::replay;
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{AppliedBatch, BatchContext, Operation, apply_batch};
use ledger::tree::{empty_root, verify_proof};
use ledger::words::{L1Entry, PublicWords, challenge, commitment, evaluation};
use num_bigint::BigUint;
use serde::Serialize;
use serde_json::{Value, json};

const CONTRACT: [u8; 20] = [0x11; 20];
const SALT: [u8; 32] = [0x22; 32];
const ETH: u128 = 1_000_000_000_000_000_000;
/// The time of the example batch, and the last second at which its transfer is valid.
const TIMESTAMP: u64 = 1_800_000_000;
const VALID_UNTIL: u64 = 1_800_003_600;
/// The smallest shape that comes with the project, `tiny`.
const SHAPE: Shape = Shape {
    id: 1,
    depth: 4,
    l1_ops: 2,
    transfers: 2,
    withdrawals: 2,
    fee_slots: 2,
    cached_levels: 1,
};
/// Index, token, opening balance.
const ACCOUNTS: [(u32, u32, u128); 4] = [
    (1, 0, 2 * ETH),
    (2, 0, ETH / 2),
    (3, 0, 0),
    (4, 7, 42_000_000),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn example_domain() -> Fr {
    domain(0, &CONTRACT, &SALT)
}

/// The private key of an account: BLAKE3's `derive_key`, so that other languages can make it too.
fn key(index: u32) -> PrivateKey {
    PrivateKey::derive("quire/1 example accounts", &index.to_be_bytes())
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn hexes(elements: &[Fr]) -> Vec<String> {
    elements.iter().map(to_hex).collect()
}

fn point(point: &Point) -> Value {
    json!([to_hex(&point.x), to_hex(&point.y)])
}

fn example_transfer() -> Transfer {
    Transfer {
        from: 1,
        to: 2,
        amount: Float40::round_down(ETH / 4),
        fee: Float16::round_down(21_000_000_000_000),
        nonce: 0,
        valid_until: VALID_UNTIL,
        token: 0,
    }
}

fn example_withdrawal() -> Withdraw {
    Withdraw {
        from: 2,
        amount: Float40::round_down(ETH / 10),
        fee: Float16::default(),
        nonce: 0,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

fn genesis() -> State {
    let mut state = State::new(SHAPE.depth);
    let account = |(index, token, balance): (u32, u32, u128)| {
        (index, Account::new(key(index).public_key(), token, balance))
    };
    state.insert_genesis(ACCOUNTS.map(account)).unwrap();
    state
}

fn l1_operations() -> [L1Op; 2] {
    [
        L1Op::Create {
            index: 5,
            token: 7,
            amount: 1_000_000,
            key: key(5).public_key(),
        },
        L1Op::ForcedExit { index: 4, token: 7 },
    ]
}

fn example_batch() -> (State, AppliedBatch) {
    let mut state = genesis();
    let domain = example_domain();
    let transfer = example_transfer().sign(&key(1), &domain);
    let withdrawal = example_withdrawal().sign(&key(2), &domain);
    let [create, exit] = l1_operations().map(Operation::L1);
    let operations = [
        create,
        exit,
        Operation::Transfer(transfer.verify(&key(1).public_key(), &domain).unwrap()),
        Operation::Withdraw(withdrawal.verify(&key(2).public_key(), &domain).unwrap()),
    ];
    let context = BatchContext {
        domain,
        batch_number: 1,
        timestamp: TIMESTAMP,
        fee_accounts: BTreeMap::from([(0, 3)]),
    };
    let applied = apply_batch(&mut state, &SHAPE, context, &operations).unwrap();
    (state, applied)
}

fn domain_example() -> Value {
    json!({
        "chain_id": 0,
        "contract": hex_of(&CONTRACT),
        "salt": hex_of(&SALT),
        "domain": to_hex(&example_domain()),
    })
}

fn float_example() -> Value {
    fn entry<const MANTISSA_BITS: u32>(float: Float<MANTISSA_BITS>) -> Value {
        let digits = usize::try_from(Float::<MANTISSA_BITS>::BITS / 4).unwrap();
        json!({
            "exponent": float.exponent(),
            "mantissa": float.mantissa(),
            "packed": format!("0x{:0digits$x}", float.packed()),
            "value": float.value().to_string(),
        })
    }
    let spelling = |exponent, mantissa| entry(Float40::from_parts(exponent, mantissa).unwrap());
    json!({
        "float40": [
            entry(Float40::round_down(ETH / 4)),
            entry(Float40::round_down(1)),
            // Two spellings of 10: both legal, each signed as it is spelled.
            spelling(0, 10),
            spelling(1, 1),
            entry(Float40::round_down(123_456_789_012_345_678)),
            // The largest value that an account can hold, rounded down, and the largest float.
            entry(Float40::round_down(u128::MAX)),
            spelling(31, (1 << 35) - 1),
        ],
        "float16": [
            entry(Float16::round_down(21_000_000_000_000)),
            entry(Float16::round_down(2_049)),
            entry(Float16::from_parts(31, 2_047).unwrap()),
        ],
    })
}

fn transfer_example() -> Value {
    let domain = example_domain();
    let private = key(1);
    let signed = example_transfer().sign(&private, &domain);
    let message = signed.op.message(&domain);
    let key = private.public_key();
    let q = cofactor_inverse_point(&key);
    deposit_key_is_good(&key, &q).unwrap();
    signed.verify(&key, &domain).unwrap();
    let bytes = signed.to_bytes().unwrap();
    assert_eq!(Signed::<Transfer>::from_bytes(&bytes).unwrap(), signed);
    let s = BigUint::from(signed.signature.s.into_bigint());
    json!({
        "private_key": hex_of(private.seed()),
        "public_key": point(&key),
        "public_key_packed": hex_of(&key.pack()),
        "deposit_q": point(&q),
        "domain": to_hex(&domain),
        "operation": signed,
        "packed": hex_of(&to_be_bytes(&signed.op.packed())[2..]),
        "message": to_hex(&message),
        "r8": point(&signed.signature.r8),
        "h": to_hex(&signature_challenge(&signed.signature.r8, &key, &message)),
        "s": format!("0x{s:064x}"),
        "signed_bytes": hex_of(&bytes),
        "operation_id": hex_of(&signed.op.id(&domain)),
    })
}

fn leaf_example() -> Value {
    let account = genesis().account(4).copied().unwrap();
    let account = Account {
        nonce: 3,
        ..account
    };
    json!({
        "key": point(&account.key),
        "token": account.token,
        "nonce": account.nonce,
        "balance": account.balance.to_string(),
        "lane": to_hex(&account.lane()),
        "leaf": to_hex(&account.leaf()),
    })
}

fn tree_example() -> Value {
    let state = genesis();
    let index = 2;
    let proof = state.prove(index).unwrap();
    let leaf = state.account(index).unwrap().leaf();
    verify_proof(state.root(), SHAPE.depth, leaf, &proof).unwrap();
    let leaves: Vec<Value> = state
        .accounts()
        .map(|(index, account)| json!({"index": index, "leaf": to_hex(&account.leaf())}))
        .collect();
    let siblings: Vec<Vec<String>> = proof.siblings.iter().map(|level| hexes(level)).collect();
    json!({
        "depth": SHAPE.depth,
        "empty_subtree_roots": hexes(&[0, 1, 2, 3, 4].map(empty_root)),
        "leaves": leaves,
        "proof_of_index_2": siblings,
        "root": to_hex(&state.root()),
    })
}

fn batch_example() -> Value {
    let (state, applied) = example_batch();
    let words = applied.words.encode(&SHAPE).unwrap();
    let published = applied.words.to_bytes(&SHAPE).unwrap();
    assert_eq!(
        PublicWords::from_bytes(&published, &SHAPE).unwrap(),
        applied.words
    );
    let mut replayed = genesis();
    assert_eq!(
        replay(&applied.words, &SHAPE, &mut replayed).unwrap(),
        applied.payouts
    );
    assert_eq!(replayed.root(), applied.new_root);
    let c = commitment(SHAPE.id, &words);
    let z = challenge(&c, &words);
    let accounts: Vec<Value> = state
        .accounts()
        .map(|(index, account)| {
            json!({
                "index": index,
                "token": account.token,
                "nonce": account.nonce,
                "balance": account.balance.to_string(),
                "leaf": to_hex(&account.leaf()),
            })
        })
        .collect();
    let payouts: Vec<Value> = applied
        .payouts
        .iter()
        .map(|payout| {
            json!({
                "index": payout.index,
                "token": payout.token,
                "amount": payout.amount.to_string(),
            })
        })
        .collect();
    json!({
        "shape": SHAPE,
        "domain": to_hex(&example_domain()),
        "timestamp": TIMESTAMP,
        "old_root": to_hex(&applied.words.header.old_root),
        "l1_slots": applied.words.l1_ops.iter().map(l1_slot).collect::<Vec<_>>(),
        "transfer": example_transfer().sign(&key(1), &example_domain()),
        "withdrawal": example_withdrawal().sign(&key(2), &example_domain()),
        "accounts_after": accounts,
        "payouts": payouts,
        "new_root": to_hex(&applied.new_root),
        "words": hexes(&words),
        "published": hex_of(&published),
        "c": to_hex(&c),
        "z": to_hex(&z),
        "y": to_hex(&evaluation(&words, &z)),
    })
}

fn l1_slot(entry: &L1Entry) -> Value {
    json!({
        "kind": entry.op.kind(),
        "index": entry.op.index(),
        "token": entry.op.token(),
        "amount": entry.op.amount().to_string(),
        "key": hexes(&entry.op.key_words()),
        "paid_out": entry.paid_out.to_string(),
    })
}

/// File names and contents.
fn examples() -> [(&'static str, Value); 6] {
    [
        ("domain.json", domain_example()),
        ("float.json", float_example()),
        ("transfer.json", transfer_example()),
        ("leaf.json", leaf_example()),
        ("tree.json", tree_example()),
        ("batch.json", batch_example()),
    ]
}

fn text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

/// Every hexadecimal number of a vector, without `0x`.
fn hex_strings(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            out.extend(text.strip_prefix("0x").map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| hex_strings(item, out)),
        Value::Object(fields) => fields.values().for_each(|field| hex_strings(field, out)),
        _ => {}
    }
}

fn vector_numbers() -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for (_, value) in examples() {
        hex_strings(&value, &mut numbers);
    }
    numbers
}

/// What is wrong with a text that should show these numbers, each on one line unless it is longer
/// than a word.
fn faults(text: &str, numbers: &BTreeSet<String>) -> Vec<String> {
    let squeezed: String = text.split_whitespace().collect();
    let runs: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_hexdigit()).collect();
    let shown = |number: &str| match number.len() <= 64 {
        true => runs.contains(number),
        false => squeezed.contains(number),
    };
    let missing = numbers.iter().filter(|number| !shown(number));
    let missing = missing.map(|number| format!("the text does not show 0x{number}"));
    let is_hex = |run: &&&str| run.len() >= 16 && !run.bytes().all(|byte| byte.is_ascii_digit());
    let foreign = runs
        .iter()
        .filter(is_hex)
        .filter(|run| !numbers.iter().any(|number| number.contains(**run)))
        .map(|run| format!("the text shows {run}, which is in no vector"));
    missing.chain(foreign).collect()
}

#[test]
fn vectors_are_what_the_ledger_computes() {
    for (name, value) in examples() {
        let path = folder().join("vectors").join(name);
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            std::fs::write(&path, text(&value)).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap();
        assert!(
            published == text(&value),
            "{} differs; UPDATE_EXAMPLES=1 rewrites it",
            path.display()
        );
    }
    let files = std::fs::read_dir(folder().join("vectors")).unwrap().count();
    assert_eq!(files, examples().len(), "docs/vectors has another file");
}

/// The protocol's text without the example of calldata, which the contract's tests write and check
/// (`crates/evm/tests/all/documents.rs`).
fn protocol() -> String {
    let text = std::fs::read_to_string(folder().join("protocol.md")).unwrap();
    let example = text.find("### Example: the calldata of a batch").unwrap();
    let end = example + text[example..].find("\n## ").unwrap();
    format!("{}{}", &text[..example], &text[end..])
}

#[test]
fn the_protocol_text_shows_the_vectors() {
    let text = protocol();
    let faults = faults(&text, &vector_numbers());
    assert!(faults.is_empty(), "docs/protocol.md: {faults:#?}");
}

#[test]
fn a_wrong_digit_in_the_text_is_noticed() {
    let text = protocol();
    let numbers = vector_numbers();
    for number in numbers.iter().filter(|number| number.len() == 64) {
        let last = if number.ends_with('0') { "1" } else { "0" };
        let wrong = format!("{}{last}", &number[..63]);
        let tampered = text.replace(number.as_str(), &wrong);
        assert_ne!(tampered, text, "0x{number} is not on one line of the text");
        assert!(!faults(&tampered, &numbers).is_empty(), "0x{number}");
    }
}

/// The text between `open` and `close`, for each `open` in `source`.
fn between<'a>(source: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    source
        .split(open)
        .skip(1)
        .map(move |rest| rest.split(close).next().unwrap())
}

#[test]
fn the_protocol_text_names_every_rule() {
    let text = std::fs::read_to_string(folder().join("protocol.md")).unwrap();
    let mut rules = BTreeSet::new();
    for file in std::fs::read_dir(folder().join("../circuits/src")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        rules.extend(between(&source, "cs.rule(\"", '"').map(str::to_owned));
    }
    assert!(rules.len() > 20, "the circuit's rules were not found");
    let reject = folder().join("../crates/ledger/src/reject.rs");
    let source = std::fs::read_to_string(reject).unwrap();
    let named = between(&source, "/// `", '`').filter(|name| name.contains('_'));
    rules.extend(named.map(str::to_owned));
    let absent: Vec<&String> = rules
        .iter()
        .filter(|rule| !text.contains(&format!("`{rule}`")))
        .collect();
    assert!(absent.is_empty(), "docs/protocol.md lacks {absent:?}");
}
