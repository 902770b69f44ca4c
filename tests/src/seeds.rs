//! Valid encodings for every decoder, the same in every run: what the fuzzer begins with.
//!
//! `tests/fuzz/corpus/TARGET/` holds them; the test `seeds_of_the_fuzzer_are_valid` keeps the files
//! equal to what this module makes.
#![allow(
    clippy::unwrap_used,
    reason = "a seed that cannot be made fails the test"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;

use ark_relations::gr1cs::{ConstraintSystem, LinearCombination, Variable};
use ark_relations::lc;
use batcher::{Batcher, Limits, SignedOperation};
use flate2::Compression;
use flate2::write::GzEncoder;
use interop::ceremony::{beacon, contribute, new_key};
use interop::groth16::CircuitKey;
use interop::json;
use interop::ptau::{Ptau, write_trial};
use interop::zkey::Zkey;
use l1::bytes::Bytes;
use l1::genesis::{ACCOUNTS_FILE, GENESIS_FILE, ListedShape, Operator, Token};
use l1::submission::{BatchFolder, DATA_FILE, PROOF_FILE, SUMMARY_FILE};
use l1::{Deposit, Genesis, GenesisAccount, NativeL1, Parameters, Submission};
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
use prover::key::{AllowDevKeys, KeyInfo, Origin, ProvingKey, VerifyingKey};
use prover::proof::Proof;
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use r1cs::R1cs;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use redb::{ReadableDatabase, ReadableTable};
use rollup::{Rollup, SealLimit, genesis_accounts};

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
        ("batcher_records", batcher_records()),
        ("circuit_key", circuit_key()),
        ("config", config()),
        ("exit_plan", exit_plan()),
        ("genesis", genesis(folder.path())),
        ("iden3_json", iden3_json(&key, &proof)),
        ("iden3_ptau", Seeds::from([("power_2", powers(2))])),
        ("iden3_r1cs", iden3_r1cs()),
        ("iden3_sym", iden3_sym()),
        ("iden3_wtns", Seeds::from([("small", witness())])),
        ("iden3_zkey", iden3_zkey()),
        ("import_csv", import_csv()),
        ("l1_records", l1_records(&submission)),
        ("matrices", Seeds::from([("small", small().to_bytes())])),
        ("merkle_proof", merkle_proof()),
        ("points", points()),
        ("proof", proofs(&proof)),
        ("proving_key", proving_key(folder.path(), &key)),
        ("published_words", published_words()),
        ("signed_operation", signed_operation()),
        ("signed_operation_json", signed_operation_json()),
        ("signed_operations", signed_operations()),
        ("submission", Seeds::from([("tiny", submission.to_bytes())])),
        ("texts", texts()),
        ("verifying_key", verifying_keys(key.verifying_key())),
        ("wallet", wallets()),
    ])
}

/// One from a seed, and the same as it would be found on a chain.
fn verifying_keys(key: &VerifyingKey) -> Seeds {
    let info = KeyInfo {
        origin: Origin::Unknown,
        ..key.info().clone()
    };
    let found = VerifyingKey::new(key.ark().clone(), info).unwrap();
    Seeds::from([("found", found.to_bytes()), ("small", key.to_bytes())])
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

/// Files of several operations: records, and JSON in lists and by themselves.
fn signed_operations() -> Seeds {
    let transfer = transfer(1, 2, 7).sign(&key(1), &domain());
    let withdraw = withdraw(3, 1 << 39).sign(&key(3), &domain());
    let records = [transfer.to_bytes().unwrap(), withdraw.to_bytes().unwrap()].concat();
    let [one, other] = [
        serde_json::to_string(&transfer).unwrap(),
        serde_json::to_string(&withdraw).unwrap(),
    ];
    Seeds::from([
        ("records", records),
        ("list", format!("[{one},{other}]").into_bytes()),
        ("texts", format!("{one}\n[{other}]\n").into_bytes()),
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

/// An assignment of [`small`].
fn assignment() -> [Fr; 5] {
    [1u64, 9, 27, 81, 3].map(Fr::from)
}

/// A circuit of three rows with the three public inputs of a batch.
fn small() -> R1cs {
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
    R1cs::from_constraint_system(&cs).unwrap()
}

/// Its key and a proof.
fn key_and_proof() -> (ProvingKey, Proof) {
    let r1cs = small();
    let key = setup_insecure_dev(&r1cs, "small", &[1, 2, 3], 1).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let proof = prove(&key, &r1cs, &assignment(), &mut rng).unwrap();
    (key, proof)
}

fn constraints() -> Vec<u8> {
    let mut bytes = Vec::new();
    interop::r1cs::write(&mut bytes, &small()).unwrap();
    bytes
}

fn witness() -> Vec<u8> {
    let mut bytes = Vec::new();
    interop::wtns::write(&mut bytes, &assignment()).unwrap();
    bytes
}

fn powers(power: u32) -> Vec<u8> {
    let (mut bytes, mut rng) = (Vec::new(), ChaCha8Rng::seed_from_u64(2));
    write_trial(&mut bytes, power, &mut rng).unwrap();
    bytes
}

/// A circuit of ours, and one of circom with terms out of order.
fn iden3_r1cs() -> Seeds {
    let unsorted = include_bytes!("../../crates/interop/tests/data/unsorted_wires.r1cs");
    Seeds::from([("small", constraints()), ("unsorted", unsorted.to_vec())])
}

/// A key that nobody and one that a person and a beacon contributed to.
fn iden3_zkey() -> Seeds {
    let powers = powers(3);
    let mut ptau = Ptau::open(Cursor::new(&powers)).unwrap();
    let [mut begun, mut first, mut last] = [(); 3].map(|()| Vec::new());
    new_key(&small(), &mut ptau, &mut begun).unwrap();
    let mut from = Zkey::open(Cursor::new(&begun)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    contribute(&mut from, &mut first, Some("first"), &mut rng).unwrap();
    let mut from = Zkey::open(Cursor::new(&first)).unwrap();
    beacon(&mut from, &mut last, None, &[1, 2, 3], 10).unwrap();
    Seeds::from([("begun", begun), ("finished", last)])
}

/// The finished key, converted with its circuit and without.
fn circuit_key() -> Seeds {
    let finished = &iden3_zkey()["finished"];
    let convert = |circuit: Option<R1cs>| {
        let (mut zkey, mut bytes) = (Zkey::open(Cursor::new(finished)).unwrap(), Vec::new());
        let key = CircuitKey::convert(&mut zkey, circuit, Origin::Dev).unwrap();
        key.write(&mut bytes).unwrap();
        bytes
    };
    Seeds::from([("bare", convert(None)), ("whole", convert(Some(small())))])
}

/// Names as circom writes them, of a wire, of two wires, and of one that was removed.
fn iden3_sym() -> Seeds {
    let text = "1,1,0,main.out\n2,2,0,main.in[0]\n3,-1,0,main.in[1]\n4,2,1,main.t.in\n";
    Seeds::from([("small", text.as_bytes().to_vec())])
}

fn iden3_json(key: &ProvingKey, proof: &Proof) -> Seeds {
    let inputs = &assignment()[1..4];
    Seeds::from([
        ("proof", json::proof(proof).into_bytes()),
        ("public", json::public(inputs).into_bytes()),
        (
            "verifying_key",
            json::verifying_key(key.verifying_key().ark()).into_bytes(),
        ),
    ])
}

fn proofs(proof: &Proof) -> Seeds {
    Seeds::from([
        ("input", to_be_bytes(&domain()).to_vec()),
        ("proof", proof.to_bytes().to_vec()),
    ])
}

fn proving_key(folder: &Path, key: &ProvingKey) -> Seeds {
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

fn batch_folder(folder: &Path, submission: &Submission) -> Seeds {
    let saved = BatchFolder::new(submission.clone(), &SHAPES[0], 4).unwrap();
    saved.save(folder).unwrap();
    let [summary, data, proof] =
        [SUMMARY_FILE, DATA_FILE, PROOF_FILE].map(|name| std::fs::read(folder.join(name)).unwrap());
    Seeds::from([("tiny", join(&[&summary, &data, &proof]))])
}

/// A deployment with three accounts.
pub(crate) fn small_genesis() -> Genesis {
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
        decimals: None,
        name: name.to_owned(),
        address: Bytes([byte; 20]),
    };
    let parameters = Parameters {
        chain_id: 0,
        contract: None,
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
        takeover_after: 259_200,
        freeze_after: 604_800,
        tokens: vec![token("ETH", 0), token("TOK", 1)],
    };
    Genesis::new(parameters, (1..4).map(account).collect()).unwrap()
}

fn genesis(folder: &Path) -> Seeds {
    small_genesis().save(folder).unwrap();
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
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(text.as_bytes()).unwrap();
    Seeds::from([
        ("three_rows", text.into_bytes()),
        ("three_rows_gz", packed.finish().unwrap()),
    ])
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

/// Seconds since 1970 of everything that happens to the small deployment.
const NOW: u64 = 1_800_000_000;

/// The small deployment with entries in its queue.
fn small_l1(folder: &Path) -> NativeL1 {
    let (file, owner) = (folder.join("l1.redb"), Bytes([7; 20]));
    let l1 = NativeL1::create(&file, &small_genesis(), AllowDevKeys::Yes).unwrap();
    let public = key(4).public_key();
    let deposit = Deposit {
        caller: owner,
        token: 1,
        amount: 5,
        key: public,
        q: cofactor_inverse_point(&public),
        fee: 10,
    };
    l1.deposit(&deposit, NOW).unwrap();
    l1.top_up(owner, 2, 6, 10, NOW).unwrap();
    l1.request_exit(owner, 3, 10, NOW).unwrap();
    l1
}

/// The rows of a table of bytes as inputs: the place of the kind, then the record.
fn rows<K: redb::Key + 'static>(file: &Path, table: &str, kind: usize) -> Vec<Vec<u8>> {
    let database = redb::Database::open(file).unwrap();
    let transaction = database.begin_read().unwrap();
    let definition = redb::TableDefinition::<K, &[u8]>::new(table);
    let rows = transaction.open_table(definition).unwrap();
    let rows = rows
        .iter()
        .unwrap()
        .map(|row| row.unwrap().1.value().to_vec());
    rows.map(|record| record_input(kind, &record)).collect()
}

fn record_input(kind: usize, record: &[u8]) -> Vec<u8> {
    let mut input = vec![u8::try_from(kind).unwrap()];
    input.extend_from_slice(record);
    input
}

/// The first row of a table, which `kinds` lists.
fn first<K: redb::Key + 'static>(file: &Path, kinds: &[&str], table: &str) -> Vec<u8> {
    let rows = rows::<K>(file, table, place(kinds, table));
    rows.into_iter()
        .next()
        .unwrap_or_else(|| panic!("{table} is empty"))
}

fn place(kinds: &[&str], name: &str) -> usize {
    kinds.iter().position(|kind| *kind == name).unwrap()
}

/// A row of `meta`.
fn head(file: &Path, kinds: &[&str]) -> Vec<u8> {
    let database = redb::Database::open(file).unwrap();
    let transaction = database.begin_read().unwrap();
    let definition = redb::TableDefinition::<&str, &[u8]>::new("meta");
    let table = transaction.open_table(definition).unwrap();
    let record = table.get("head").unwrap().unwrap().value().to_vec();
    record_input(place(kinds, "head"), &record)
}

fn l1_records(submission: &Submission) -> Seeds {
    use l1::records::KINDS;
    let folder = tempfile::tempdir().unwrap();
    drop(small_l1(folder.path()));
    let file = folder.path().join("l1.redb");
    let mut batch = Vec::new();
    for number in [1, NOW, 0, 2] {
        batch.extend(u64::to_be_bytes(number));
    }
    // Who submitted it.
    batch.extend([7; 20]);
    batch.extend(submission.to_bytes());
    let queue = rows::<u64>(&file, "queue", place(&KINDS, "queue"));
    let [create, top_up, exit] = queue.try_into().unwrap();
    Seeds::from([
        ("head", head(&file, &KINDS)),
        ("registration", first::<u32>(&file, &KINDS, "registry")),
        ("create", create),
        ("top_up", top_up),
        ("exit", exit),
        ("totals", first::<u32>(&file, &KINDS, "totals")),
        ("batch", record_input(place(&KINDS, "batches"), &batch)),
        ("journal", first::<u64>(&file, &KINDS, "journal")),
        (
            "token_display",
            record_input(place(&KINDS, "token displays"), b"\x06USDC"),
        ),
    ])
}

fn batcher_records() -> Seeds {
    use batcher::records::KINDS;
    let folder = tempfile::tempdir().unwrap();
    let l1 = small_l1(folder.path());
    let settings = rollup::settings(&l1, Limits::default(), 0).unwrap();
    let accounts = genesis_accounts(&l1).unwrap();
    let batcher = Batcher::create(folder.path(), settings, accounts).unwrap();
    let domain = l1.domain();
    let mut rollup = Rollup::new(l1, batcher, 0);
    rollup.follow(NOW).unwrap();
    // The second payment is more than there is: it is rejected.
    let signed = [(0, 100), (1, 5_000)].map(|(nonce, amount)| {
        let amount = Float40::exact(amount).unwrap();
        let fee = Float16::exact(0).unwrap();
        let op = Transfer {
            amount,
            fee,
            token: 1,
            ..transfer(1, 3, nonce)
        };
        op.sign(&key(1), &domain).into()
    });
    let withdraw = Withdraw {
        amount: Float40::exact(9).unwrap(),
        fee: Float16::exact(0).unwrap(),
        valid_until: NO_EXPIRY,
        ..withdraw(2, 0)
    };
    let later = Withdraw {
        nonce: 1,
        ..withdraw
    };
    let sign = |op: Withdraw| SignedOperation::from(op.sign(&key(2), &domain));
    for operation in signed.into_iter().chain([sign(withdraw)]) {
        rollup.batcher.submit(operation, NOW).unwrap().unwrap();
    }
    rollup.seal(SealLimit::All, NOW, |_| {}).unwrap();
    rollup.batcher.submit(sign(later), NOW).unwrap().unwrap();
    drop(rollup);
    let file = folder.path().join(batcher::store::FILE_NAME);
    // Shape 1, the queue up to entry 3, two places; then room for the checksum.
    let mut returned = vec![0, 1];
    returned.extend(3u64.to_be_bytes());
    returned.push(2);
    returned.extend([7u64, 8].map(u64::to_be_bytes).concat());
    returned.extend([0; 16]);
    let verdicts = rows::<&[u8; 32]>(&file, "verdicts", place(&KINDS, "verdicts"));
    let verdict = |tag| verdicts.iter().find(|row| row[1] == tag).unwrap().clone();
    Seeds::from([
        ("head", head(&file, &KINDS)),
        ("account", first::<u32>(&file, &KINDS, "accounts")),
        ("node", first::<u64>(&file, &KINDS, "nodes")),
        ("pending", first::<u64>(&file, &KINDS, "pending")),
        ("sealed", verdict(1)),
        ("rejected", verdict(2)),
        ("batch", first::<u64>(&file, &KINDS, "batches")),
        ("witness", first::<u64>(&file, &KINDS, "witnesses")),
        ("times", first::<u64>(&file, &KINDS, "times")),
        ("undo", first::<u64>(&file, &KINDS, "undo")),
        (
            "returned",
            record_input(place(&KINDS, "returned"), &returned),
        ),
    ])
}

fn exit_plan() -> Seeds {
    let folder = tempfile::tempdir().unwrap();
    let l1 = small_l1(folder.path());
    let state = rollup::final_state(&l1, |_| {}).unwrap();
    let plan = rollup::ExitPlan::new(&l1, &state, 2).unwrap();
    Seeds::from([("account_2", plan.to_json())])
}

fn config() -> Seeds {
    let text = "keys_dir = \"keys\"\nconfirmations = 12\nthreads = 2\nmemory = \"4GiB\"\n";
    Seeds::from([("some", text.as_bytes().to_vec())])
}

/// Files of both versions, of one key. What is encrypted is not looked at before a passphrase is.
fn wallets() -> Seeds {
    let plain = cli::decoders::plain_wallet(b"quire fuzz seeds").unwrap();
    let mut file: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    file.as_object_mut().unwrap().remove("private_key").unwrap();
    file["version"] = 2.into();
    file["crypto"] = serde_json::json!({
        "kdf": "argon2id",
        "memory_kib": 65536,
        "passes": 3,
        "lanes": 1,
        "salt": "00".repeat(16),
        "cipher": "xchacha20poly1305",
        "nonce": "00".repeat(24),
        "ciphertext": "00".repeat(48),
    });
    Seeds::from([
        ("plain", plain.to_vec()),
        ("encrypted", serde_json::to_vec(&file).unwrap()),
    ])
}
