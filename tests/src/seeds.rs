//! Valid encodings for every decoder, the same in every run: what the fuzzer begins with.
//!
//! `tests/fuzz/corpus/TARGET/` holds them; the test `seeds_of_the_fuzzer_are_valid` keeps the files
//! equal to what this module makes.
#![allow(
    clippy::unwrap_used,
    reason = "a seed that cannot be made fails the test"
)]

use std::collections::BTreeMap;

use ark_relations::gr1cs::{ConstraintSystem, LinearCombination, Variable};
use ark_relations::lc;
use circuits::r1cs::R1cs;
use l1::bytes::Bytes;
use l1::genesis::{ACCOUNTS_FILE, GENESIS_FILE, ListedShape, Operator, Token};
use l1::submission::{BatchFolder, DATA_FILE, PROOF_FILE, SUMMARY_FILE};
use l1::{Genesis, GenesisAccount, Parameters, Submission};
use ledger::account::Account;
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::eddsa::PrivateKey;
use ledger::field::{Fr, to_be_bytes, to_decimal, to_hex};
use ledger::float::{Float16, Float40};
use ledger::operation::{L1Op, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{BatchContext, Operation, apply_batch};
use ledger::words::PublicWords;
use prover::key::ProvingKey;
use prover::proof::Proof;
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::decoders::{SHAPES, join, proof_tree};

/// Inputs of one decoder, by file name.
pub type Seeds = BTreeMap<&'static str, Vec<u8>>;

/// The seeds of every decoder, by its name.
pub fn all() -> BTreeMap<&'static str, Seeds> {
    let (key, proof) = key_and_proof();
    let folder = tempfile::tempdir().unwrap();
    let submission = submission(&proof);
    BTreeMap::from([
        ("batch_folder", batch_folder(folder.path(), &submission)),
        ("genesis", genesis(folder.path())),
        ("import_csv", import_csv()),
        ("merkle_proof", merkle_proof()),
        ("points", points()),
        ("proof", proofs(&proof)),
        ("proving_key", proving_key(folder.path(), &key)),
        ("published_words", published_words()),
        ("signed_operation", signed_operation()),
        ("signed_operation_json", signed_operation_json()),
        ("submission", Seeds::from([("tiny", submission.to_bytes())])),
        ("texts", texts()),
        (
            "verifying_key",
            Seeds::from([("small", key.verifying_key().to_bytes())]),
        ),
    ])
}

fn key(index: u32) -> PrivateKey {
    PrivateKey::derive("quire fuzz seeds", &index.to_be_bytes())
}

fn domain() -> Fr {
    ledger::operation::domain(0, &[1; 20], &[2; 32])
}

fn transfer(from: u32, to: u32, nonce: u64) -> Transfer {
    Transfer {
        from,
        to,
        amount: Float40::exact(1_200).unwrap(),
        fee: Float16::exact(3).unwrap(),
        nonce,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

fn withdraw(from: u32, nonce: u64) -> Withdraw {
    Withdraw {
        from,
        amount: Float40::from_parts(3, 5).unwrap(),
        fee: Float16::from_parts(31, 0).unwrap(),
        nonce,
        valid_until: 1_000,
        token: 0,
    }
}

fn signed_operation() -> Seeds {
    let transfer = transfer(1, 2, 7).sign(&key(1), &domain());
    let withdraw = withdraw(3, 1 << 39).sign(&key(3), &domain());
    Seeds::from([
        ("transfer", transfer.to_bytes().unwrap().to_vec()),
        ("withdraw", withdraw.to_bytes().unwrap().to_vec()),
    ])
}

fn signed_operation_json() -> Seeds {
    let transfer = transfer(1, 2, 7).sign(&key(1), &domain());
    let withdraw = withdraw(3, 1 << 39).sign(&key(3), &domain());
    Seeds::from([
        ("transfer", serde_json::to_vec(&transfer).unwrap()),
        ("withdraw", serde_json::to_vec(&withdraw).unwrap()),
    ])
}

/// A batch with an operation of every kind that the shape has slots for.
fn batch(shape: &Shape) -> PublicWords {
    let mut state = State::new(shape.depth);
    let account = |index: u32| (index, Account::new(key(index).public_key(), 0, 1 << 40));
    state.insert_genesis((1..5).map(account)).unwrap();
    let create = L1Op::Create {
        index: 5,
        token: 0,
        amount: 9,
        key: key(5).public_key(),
    };
    let exit = L1Op::ForcedExit { index: 4, token: 0 };
    let mut operations = Vec::new();
    let slots = usize::from(shape.l1_ops);
    operations.extend([create, exit].map(Operation::L1).into_iter().take(slots));
    if shape.transfers > 0 {
        let signed = transfer(1, 2, 0).sign(&key(1), &domain());
        let verified = signed.verify(&key(1).public_key(), &domain()).unwrap();
        operations.push(Operation::Transfer(verified));
    }
    if shape.withdrawals > 0 {
        let signed = withdraw(3, 0).sign(&key(3), &domain());
        let verified = signed.verify(&key(3).public_key(), &domain()).unwrap();
        operations.push(Operation::Withdraw(verified));
    }
    let context = BatchContext {
        domain: domain(),
        batch_number: 1,
        timestamp: 1_000,
        fee_accounts: BTreeMap::from([(0, 2)]),
    };
    let applied = apply_batch(&mut state, shape, context, &operations);
    applied.unwrap().words
}

fn published_words() -> Seeds {
    let names = ["tiny", "transfers", "mixed", "nothing", "many_fees"];
    let list_names = [
        "tiny_words",
        "transfers_words",
        "mixed_words",
        "nothing_words",
        "many_fees_words",
    ];
    let mut seeds = Seeds::new();
    for (place, shape) in (0u8..).zip(&SHAPES) {
        let words = batch(shape);
        let mut bytes = vec![place];
        bytes.extend(words.to_bytes(shape).unwrap());
        seeds.insert(names[usize::from(place)], bytes);
        let mut list = vec![place];
        list.extend(words.encode(shape).unwrap().iter().flat_map(to_be_bytes));
        seeds.insert(list_names[usize::from(place)], list);
    }
    seeds
}

/// A circuit of three rows with the three public inputs of a batch, its key and a proof.
fn key_and_proof() -> (ProvingKey, Proof) {
    let cs = ConstraintSystem::<Fr>::new_ref();
    let values = [9u64, 27, 81].map(Fr::from);
    let inputs = values.map(|value| cs.new_input_variable(|| Ok(value)).unwrap());
    let root = cs.new_witness_variable(|| Ok(Fr::from(3u64))).unwrap();
    let rows = [
        (root, root, inputs[0]),
        (root, inputs[0], inputs[1]),
        (root, inputs[1], inputs[2]),
    ];
    for (a, b, c) in rows {
        let linear = |variable: Variable| -> LinearCombination<Fr> { lc!() + variable };
        cs.enforce_r1cs_constraint(|| linear(a), || linear(b), || linear(c))
            .unwrap();
    }
    let r1cs = R1cs::from_constraint_system(&cs).unwrap();
    let key = setup_insecure_dev(&r1cs, "small", &[1, 2, 3], 1).unwrap();
    let assignment = [1u64, 9, 27, 81, 3].map(Fr::from);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let proof = prove(&key, &r1cs, &assignment, &mut rng).unwrap();
    (key, proof)
}

fn proofs(proof: &Proof) -> Seeds {
    Seeds::from([
        ("input", to_be_bytes(&domain()).to_vec()),
        ("proof", proof.to_bytes().to_vec()),
    ])
}

fn proving_key(folder: &std::path::Path, key: &ProvingKey) -> Seeds {
    let path = folder.join("small.pk");
    key.save(&path).unwrap();
    Seeds::from([("small", std::fs::read(path).unwrap())])
}

/// A batch with the proof of another circuit: well-formed, and refused only by verification.
fn submission(proof: &Proof) -> Submission {
    let words = batch(&SHAPES[0]);
    let c = ledger::words::commitment(1, &words.encode(&SHAPES[0]).unwrap());
    Submission::new(&words, &SHAPES[0], &c, proof).unwrap()
}

fn batch_folder(folder: &std::path::Path, submission: &Submission) -> Seeds {
    let saved = BatchFolder::new(submission.clone(), &SHAPES[0], 4).unwrap();
    saved.save(folder).unwrap();
    let [summary, data, proof] =
        [SUMMARY_FILE, DATA_FILE, PROOF_FILE].map(|name| std::fs::read(folder.join(name)).unwrap());
    Seeds::from([("tiny", join(&[&summary, &data, &proof]))])
}

fn genesis(folder: &std::path::Path) -> Seeds {
    let account = |index: u32| {
        let key = key(index).public_key();
        GenesisAccount {
            owner: Bytes([7; 20]),
            token: index % 2,
            key,
            q: cofactor_inverse_point(&key),
            balance: 1_000,
        }
    };
    let token = |name: &str, byte: u8| Token {
        name: name.to_owned(),
        address: Bytes([byte; 20]),
    };
    let parameters = Parameters {
        chain_id: 0,
        salt: Bytes([7; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: Bytes([0xee; 20]),
        },
        shapes: vec![ListedShape {
            shape: SHAPES[0],
            fingerprint: Bytes([3; 32]),
        }],
        l1_fee: 10,
        pending_cap: 100,
        timestamp_slack: 86_400,
        freeze_after: 604_800,
        tokens: vec![token("ETH", 0), token("TOK", 1)],
    };
    let genesis = Genesis::new(parameters, (1..4).map(account).collect()).unwrap();
    genesis.save(folder).unwrap();
    let [json, accounts] =
        [GENESIS_FILE, ACCOUNTS_FILE].map(|name| std::fs::read(folder.join(name)).unwrap());
    Seeds::from([("three_accounts", join(&[&json, &accounts]))])
}

fn merkle_proof() -> Seeds {
    let tree = proof_tree();
    let bytes = |index: u32| {
        let proof = tree.prove(index).unwrap();
        let mut bytes = index.to_be_bytes().to_vec();
        bytes.extend(to_be_bytes(&tree.leaf(index)));
        bytes.extend(proof.siblings.iter().flatten().flat_map(to_be_bytes));
        bytes
    };
    Seeds::from([("leaf", bytes(7)), ("empty", bytes(0))])
}

fn import_csv() -> Seeds {
    let address = |digit: char| format!("0x{}", digit.to_string().repeat(40));
    let (a, b, c) = (address('a'), address('b'), address('C'));
    let text = format!(
        "block,tx_index,token,from,to,amount,gas_price,nonce\n\
         1,0,ETH,{a},{b},1000000,7,1\n\
         1,1,{c},{b},{b},340282366920938463463374607431768211455,7,\n\
         2,0,ETH,{b},{a},12x,7,1\n"
    );
    Seeds::from([("three_rows", text.into_bytes())])
}

fn points() -> Seeds {
    let signature = key(1).sign(&Fr::from(5u64));
    Seeds::from([
        ("point", key(1).public_key().pack().to_vec()),
        ("signature", signature.pack().to_vec()),
    ])
}

fn texts() -> Seeds {
    Seeds::from([
        ("address", Bytes([0xab; 20]).to_string().into_bytes()),
        ("decimal", to_decimal(&domain()).into_bytes()),
        ("hex", to_hex(&domain()).into_bytes()),
        ("shape", serde_json::to_vec(&SHAPES[0]).unwrap()),
    ])
}
