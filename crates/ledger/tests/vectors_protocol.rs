//! `protocol.json`: whole batches computed by an independent implementation. Every section is
//! checked field by field, and each check is shown to notice a wrong digit in any field.
//! `VECTORS_DIR` names another folder with a file of this form, with any number of entries.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod vectors_folder;

use std::fmt::Debug;

use ark_ff::PrimeField;
use ledger::account::Account;
use ledger::babyjubjub::{Point, cofactor_inverse_point, deposit_key_is_good};
use ledger::eddsa::{PrivateKey, Signature};
use ledger::field::{Fr, from_decimal};
use ledger::float::{Float16, Float40};
use ledger::operation::{L1Op, Signable, Signed, Transfer, Withdraw, domain};
use ledger::poseidon::compress4;
use ledger::replay::replay;
use ledger::shape::{MAX_DEPTH, Shape};
use ledger::state::State;
use ledger::transition::{AppliedBatch, BatchContext, Operation, Transition};
use ledger::tree::empty_root;
use ledger::words::{PublicWords, challenge, commitment, evaluation};
use num_bigint::BigUint;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vectors_folder::{read_vectors, some_of};

/// What is wrong with a vector.
type Verdict = Result<(), String>;

fn vectors() -> Value {
    let text = read_vectors("protocol.json").unwrap_or_else(|error| panic!("{error}"));
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let mut sections = vectors.as_object().unwrap().keys();
    assert!(
        sections.all(|section| SECTIONS.contains(&section.as_str())),
        "unknown sections"
    );
    vectors
}

/// All keys of the file, sorted.
const SECTIONS: [&str; 6] = [
    "batches",
    "compress4",
    "empty_subtree_roots",
    "float16",
    "float40",
    "source",
];

/// The entries of a section; the committed set has every one.
fn section(name: &str) -> Vec<Value> {
    let entries = match vectors()[name].take() {
        Value::Array(entries) => entries,
        Value::Null => Vec::new(),
        _ => panic!("{name} is not a list"),
    };
    let given = std::env::var_os("VECTORS_DIR").is_some();
    assert!(given || !entries.is_empty(), "{name} is empty");
    entries
}

fn same<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Verdict {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {got:?}"))
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

fn field(text: &str) -> Result<Fr, String> {
    from_decimal(text).map_err(|error| error.to_string())
}

fn fields(texts: &[String]) -> Result<Vec<Fr>, String> {
    texts.iter().map(|text| field(text)).collect()
}

fn point([x, y]: &[String; 2]) -> Result<Point, String> {
    let (x, y) = (field(x)?, field(y)?);
    Ok(Point { x, y })
}

/// A decimal number, spelled as numbers are printed.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Result<T, String> {
    let number: T = text
        .parse()
        .map_err(|_| format!("{text} is not a number"))?;
    same("spelling", number.to_string().as_str(), text).map(|()| number)
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    bytes
        .try_into()
        .map_err(|_| format!("{text} is not {N} bytes"))
}

fn packed(text: &str, digits: usize) -> Result<u64, String> {
    same("hex digits", text.len(), digits)?;
    u64::from_str_radix(text, 16).map_err(|error| error.to_string())
}

/// Checks a list of vectors, then that the check refuses each, or of a long list some, with any
/// digit of it wrong.
fn check_all(entries: &[Value], check: impl Fn(&Value) -> Verdict) {
    for (place, entry) in entries.iter().enumerate() {
        check(entry).unwrap_or_else(|error| panic!("entry {place}: {error}"));
    }
    for (place, entry) in some_of(entries) {
        let mut broken = entry.clone();
        let mut places = Vec::new();
        digits(entry, &mut Vec::new(), &mut places);
        assert!(!places.is_empty());
        for (path, digit) in places {
            let leaf = path.iter().fold(&mut broken, |value, step| match step {
                Step::Key(key) => &mut value[key],
                Step::At(at) => &mut value[at],
            });
            let original = leaf.clone();
            *leaf = wrong(&original, digit);
            assert!(
                check(&broken).is_err(),
                "entry {place}: {path:?} is not checked"
            );
            let leaf = path.iter().fold(&mut broken, |value, step| match step {
                Step::Key(key) => &mut value[key],
                Step::At(at) => &mut value[at],
            });
            *leaf = original;
        }
        assert_eq!(&broken, entry);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    At(usize),
}

/// The first and the last digit of every number in the vector, names of operations apart.
fn digits(value: &Value, path: &mut Vec<Step>, places: &mut Vec<(Vec<Step>, usize)>) {
    let mut visit = |step, value: &Value| {
        path.push(step);
        digits(value, path, places);
        path.pop();
    };
    match value {
        Value::Object(entries) => entries
            .iter()
            .filter(|(key, _)| *key != "op")
            .for_each(|(key, value)| visit(Step::Key(key.clone()), value)),
        Value::Array(entries) => entries
            .iter()
            .enumerate()
            .for_each(|(at, value)| visit(Step::At(at), value)),
        Value::String(text) => {
            places.push((path.clone(), 0));
            if text.len() > 1 {
                places.push((path.clone(), text.len() - 1));
            }
        }
        _ => places.push((path.clone(), value.to_string().len() - 1)),
    }
}

/// The value with one digit replaced by the next.
fn wrong(value: &Value, digit: usize) -> Value {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let next = match text.as_bytes()[digit] {
        b'9' => "0".to_owned(),
        b'f' => "e".to_owned(),
        byte => char::from(byte + 1).to_string(),
    };
    let mut text = text;
    text.replace_range(digit..=digit, &next);
    match value {
        Value::String(_) => Value::String(text),
        _ => serde_json::from_str(&text).unwrap_or(Value::Null),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compress4 {
    inputs: [String; 4],
    output: String,
}

#[test]
fn compress4_vectors() {
    check_all(&section("compress4"), |value| {
        let vector: Compress4 = read(value)?;
        let inputs: [Fr; 4] = fields(&vector.inputs)?.try_into().map_err(|_| "not four")?;
        same("output", compress4(&inputs), field(&vector.output)?)
    });
}

#[test]
fn empty_subtree_root_vectors() {
    let roots = section("empty_subtree_roots");
    if roots.is_empty() {
        return;
    }
    check_all(&[Value::Array(roots)], |value| {
        let roots: Vec<String> = read(value)?;
        let levels = roots.len() - 1;
        same("levels", levels.min(usize::from(MAX_DEPTH)), levels)?;
        for (level, root) in (0..).zip(fields(&roots)?) {
            same("root", empty_root(level), root)?;
        }
        Ok(())
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FloatVector {
    exponent: u32,
    mantissa: String,
    packed_hex: String,
    value: String,
}

#[test]
fn float40_vectors() {
    check_all(&section("float40"), |value| {
        let vector: FloatVector = read(value)?;
        let packed = packed(&vector.packed_hex, 10)?;
        let float = Float40::from_packed(packed).map_err(|error| error.to_string())?;
        same("exponent", float.exponent(), vector.exponent)?;
        same("mantissa", float.mantissa(), number(&vector.mantissa)?)?;
        let expected: BigUint = number(&vector.value)?;
        same(
            "u128",
            float.value_u128(),
            u128::try_from(expected.clone()).ok(),
        )?;
        same("value", float.value(), expected)
    });
}

#[test]
fn float16_vectors() {
    check_all(&section("float16"), |value| {
        let vector: FloatVector = read(value)?;
        let packed = packed(&vector.packed_hex, 4)?;
        let float = Float16::from_packed(packed).map_err(|error| error.to_string())?;
        same("exponent", float.exponent(), vector.exponent)?;
        same("mantissa", float.mantissa(), number(&vector.mantissa)?)?;
        same("u128", float.value_u128(), Some(number(&vector.value)?))
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchVector {
    shape: ShapeVector,
    chain_id: String,
    contract_hex: String,
    salt_hex: String,
    domain: String,
    batch_number: String,
    timestamp: String,
    fee_indices: Vec<u32>,
    old_root: String,
    operations: Vec<OperationVector>,
    accounts_after: Vec<AccountVector>,
    new_root: String,
    words: Vec<String>,
    c: String,
    z: String,
    y: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShapeVector {
    id: u16,
    depth: u8,
    l1_ops: u16,
    transfers: u16,
    withdrawals: u16,
    fee_slots: u8,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum OperationVector {
    Create {
        index: u32,
        token: u32,
        amount: String,
        private_key_hex: String,
        #[serde(rename = "A")]
        a: [String; 2],
        #[serde(rename = "Q")]
        q: [String; 2],
    },
    Topup {
        index: u32,
        token: u32,
        amount: String,
    },
    ForcedExit {
        index: u32,
        paid_out: String,
    },
    Transfer(SignedVector),
    Withdraw(SignedVector),
}

#[derive(Deserialize)]
struct SignedVector {
    from: u32,
    to: u32,
    amount_packed_hex: String,
    fee_packed_hex: String,
    nonce: String,
    valid_until: String,
    token: u32,
    packed: String,
    message: String,
    r8: [String; 2],
    s: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountVector {
    index: u32,
    token: u32,
    nonce: String,
    balance: String,
    leaf: String,
}

#[test]
fn batch_vectors() {
    check_all(&section("batches"), check_batch);
}

/// The vectors' shapes name no cached levels; the result does not depend on them.
fn shape(vector: &ShapeVector) -> Shape {
    let ShapeVector {
        id,
        depth,
        l1_ops,
        transfers,
        withdrawals,
        fee_slots,
    } = *vector;
    Shape {
        id,
        depth,
        l1_ops,
        transfers,
        withdrawals,
        fee_slots,
        cached_levels: depth.saturating_sub(1).min(3),
    }
}

fn check_batch(value: &Value) -> Verdict {
    let vector: BatchVector = read(value)?;
    let shape = shape(&vector.shape);
    shape.validate().map_err(|error| error.to_string())?;
    let chain_id = number(&vector.chain_id)?;
    let domain = domain(
        chain_id,
        &bytes(&vector.contract_hex)?,
        &bytes(&vector.salt_hex)?,
    );
    same("domain", domain, field(&vector.domain)?)?;
    let mut state = State::new(shape.depth);
    same("old root", state.root(), field(&vector.old_root)?)?;
    let context = BatchContext {
        domain,
        batch_number: number(&vector.batch_number)?,
        timestamp: number(&vector.timestamp)?,
        fee_accounts: [].into(),
    };
    let batch = Transition::begin_with_fee_indices(&state, &shape, context, &vector.fee_indices);
    let batch = batch.map_err(|error| error.to_string())?;
    let (batch, expected_exits) = execute(batch, &vector, &mut state, domain)?;
    let exits: Vec<u128> = batch.payouts.iter().map(|payout| payout.amount).collect();
    same("exits", &exits[..expected_exits.len()], &expected_exits)?;
    check_accounts(&vector, &state)?;
    same("new root", batch.new_root, field(&vector.new_root)?)?;
    check_words(&vector, &shape, &batch, &state)
}

/// Executes the operations; the batch and the amounts that forced exits must have paid out.
fn execute(
    mut batch: Transition,
    vector: &BatchVector,
    state: &mut State,
    domain: Fr,
) -> Result<(AppliedBatch, Vec<u128>), String> {
    let mut exits = Vec::new();
    for operation in &vector.operations {
        let operation = match operation {
            OperationVector::Create { .. } | OperationVector::Topup { .. } => {
                Operation::L1(paid_in(operation)?)
            }
            OperationVector::ForcedExit { index, paid_out } => {
                exits.push(number(paid_out)?);
                let account = batch.account(state, *index).ok_or("no such account")?;
                let (index, token) = (*index, account.token);
                Operation::L1(L1Op::ForcedExit { index, token })
            }
            OperationVector::Transfer(vector) => {
                let op = Transfer {
                    from: vector.from,
                    to: vector.to,
                    amount: amount(vector)?,
                    fee: fee(vector)?,
                    nonce: number(&vector.nonce)?,
                    valid_until: number(&vector.valid_until)?,
                    token: vector.token,
                };
                let signed = signed(op, vector, &domain)?;
                Operation::Transfer(verified(&signed, &batch, state, vector, &domain)?)
            }
            OperationVector::Withdraw(vector) => {
                same("receiver of a withdrawal", vector.to, 0)?;
                let op = Withdraw {
                    from: vector.from,
                    amount: amount(vector)?,
                    fee: fee(vector)?,
                    nonce: number(&vector.nonce)?,
                    valid_until: number(&vector.valid_until)?,
                    token: vector.token,
                };
                let signed = signed(op, vector, &domain)?;
                Operation::Withdraw(verified(&signed, &batch, state, vector, &domain)?)
            }
        };
        batch
            .push(state, &operation)
            .map_err(|error| error.to_string())?;
    }
    check_signing(vector, &domain)?;
    let batch = batch.finish(state).map_err(|error| error.to_string())?;
    Ok((batch, exits))
}

fn paid_in(operation: &OperationVector) -> Result<L1Op, String> {
    match operation {
        OperationVector::Create {
            index,
            token,
            amount,
            private_key_hex,
            a,
            q,
        } => {
            let (key, q) = (point(a)?, point(q)?);
            let secret = PrivateKey::from_seed(&bytes::<32>(private_key_hex)?);
            same("A", secret.public_key(), key)?;
            same("Q", cofactor_inverse_point(&key), q)?;
            deposit_key_is_good(&key, &q).map_err(|error| error.to_string())?;
            Ok(L1Op::Create {
                index: *index,
                token: *token,
                amount: number(amount)?,
                key,
            })
        }
        OperationVector::Topup {
            index,
            token,
            amount,
        } => Ok(L1Op::TopUp {
            index: *index,
            token: *token,
            amount: number(amount)?,
        }),
        _ => Err("not paid in".to_owned()),
    }
}

fn amount(vector: &SignedVector) -> Result<Float40, String> {
    Float40::from_packed(packed(&vector.amount_packed_hex, 10)?).map_err(|error| error.to_string())
}

fn fee(vector: &SignedVector) -> Result<Float16, String> {
    Float16::from_packed(packed(&vector.fee_packed_hex, 4)?).map_err(|error| error.to_string())
}

/// The operation with the vector's signature, packed and message compared.
fn signed<T: Signable>(op: T, vector: &SignedVector, domain: &Fr) -> Result<Signed<T>, String> {
    same("packed", op.packed(), field(&vector.packed)?)?;
    same("message", op.message(domain), field(&vector.message)?)?;
    let s: BigUint = number(&vector.s)?;
    let signature =
        Signature::from_raw(point(&vector.r8)?, &s).map_err(|error| error.to_string())?;
    same("S", BigUint::from(signature.s.into_bigint()), s)?;
    let signed = Signed { op, signature };
    let bytes = signed.to_bytes().map_err(|error| error.to_string())?;
    let read = Signed::<T>::from_bytes(&bytes).map_err(|error| error.to_string())?;
    same("signature in bytes", read.signature, signature)?;
    Ok(signed)
}

fn verified<T: Signable>(
    signed: &Signed<T>,
    batch: &Transition,
    state: &State,
    vector: &SignedVector,
    domain: &Fr,
) -> Result<ledger::operation::Authorized<T>, String> {
    let sender = batch.account(state, vector.from).ok_or("no sender")?;
    signed
        .verify(&sender.key, domain)
        .map_err(|error| error.to_string())
}

/// Our own signatures with the vectors' keys are the vectors' signatures.
fn check_signing(vector: &BatchVector, domain: &Fr) -> Verdict {
    for operation in &vector.operations {
        let (OperationVector::Transfer(signed) | OperationVector::Withdraw(signed)) = operation
        else {
            continue;
        };
        let secret = vector
            .operations
            .iter()
            .find_map(|operation| match operation {
                OperationVector::Create {
                    index,
                    private_key_hex,
                    ..
                } if *index == signed.from => Some(private_key_hex),
                _ => None,
            });
        let secret = PrivateKey::from_seed(&bytes::<32>(secret.ok_or("no key")?)?);
        let signature = secret.sign(&field(&signed.message)?);
        same("R8", signature.r8, point(&signed.r8)?)?;
        same(
            "S",
            BigUint::from(signature.s.into_bigint()),
            number(&signed.s)?,
        )?;
        same("domain", &field(&vector.domain)?, domain)?;
    }
    Ok(())
}

fn check_accounts(vector: &BatchVector, state: &State) -> Verdict {
    same(
        "accounts",
        vector.accounts_after.len(),
        state.accounts().count(),
    )?;
    for expected in &vector.accounts_after {
        let account = state.account(expected.index).ok_or("no such account")?;
        let Account {
            key: _,
            token,
            nonce,
            balance,
        } = *account;
        same("token", token, expected.token)?;
        same("nonce", nonce, number(&expected.nonce)?)?;
        same("balance", balance, number(&expected.balance)?)?;
        same("leaf", account.leaf(), field(&expected.leaf)?)?;
        same(
            "leaf in the tree",
            state.tree().leaf(expected.index),
            account.leaf(),
        )?;
    }
    Ok(())
}

fn check_words(
    vector: &BatchVector,
    shape: &Shape,
    batch: &AppliedBatch,
    state: &State,
) -> Verdict {
    let words = batch
        .words
        .encode(shape)
        .map_err(|error| error.to_string())?;
    same("words", &words, &fields(&vector.words)?)?;
    let read = PublicWords::decode(&words, shape).map_err(|error| error.to_string())?;
    same("decoded words", &read, &batch.words)?;
    let mut replayed = State::new(shape.depth);
    let payouts = replay(&read, shape, &mut replayed).map_err(|error| error.to_string())?;
    same("replayed payouts", &payouts, &batch.payouts)?;
    same("replayed root", replayed.root(), state.root())?;
    let c = commitment(shape.id, &words);
    same("c", c, field(&vector.c)?)?;
    let z = challenge(&c, &words);
    same("z", z, field(&vector.z)?)?;
    same("y", evaluation(&words, &z), field(&vector.y)?)
}
