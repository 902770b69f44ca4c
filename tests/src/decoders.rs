//! Every decoder that takes bytes from outside, with what must hold of any input.
//!
//! Invariant: whatever decodes encodes to the same bytes again (for JSON: to the one text of the
//! value, which decodes to the value), and nothing panics. Where a checksum guards a format, the
//! input's own is replaced by the right one, so that what lies behind it is reached. Memory is
//! bounded by the fuzzer's limit.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

use std::fmt::Debug;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use batcher::SignedOperation;
use histories::{Import, ImportOptions};
use interop::ceremony::contribute;
use interop::groth16::CircuitKey;
use interop::json;
use interop::ptau::Ptau;
use interop::zkey::Zkey;
use l1::bytes::Bytes;
use l1::genesis::{ACCOUNTS_FILE, Deployment, GENESIS_FILE, GenesisError};
use l1::submission::{BatchFolder, DATA_FILE, FolderError, PROOF_FILE, SUMMARY_FILE};
use l1::{Genesis, Submission};
use ledger::babyjubjub::Point;
use ledger::eddsa::Signature;
use ledger::field::{Fr, from_be_bytes, from_decimal, from_hex, to_be_bytes, to_decimal, to_hex};
use ledger::operation::{Signable, Signed, Transfer, Withdraw};
use ledger::shape::Shape;
use ledger::tree::{MerkleProof, Tree, verify_proof};
use ledger::words::PublicWords;
use prover::key::{AllowDevKeys, ProvingKey, VerifyingKey};
use prover::proof::{Proof, decode_public_input, encode_public_input};
use r1cs::R1cs;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rollup::ExitPlan;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::seeds::small_genesis;

/// Wires of the largest circuit for whose key a proof is tried.
const MOST_WIRES: usize = 64;

/// A decoder with its checks.
#[derive(Clone, Copy)]
pub struct Decoder {
    /// Name of the fuzz target and of its folder of seeds.
    pub name: &'static str,
    /// Panics if something does not hold; true if the input decoded.
    pub check: fn(&[u8]) -> bool,
}

impl Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All decoders.
pub const DECODERS: [Decoder; 27] = [
    decoder("batch_folder", batch_folder),
    decoder("batcher_records", batcher_records),
    decoder("circuit_key", circuit_key),
    decoder("config", cli::decoders::config),
    decoder("exit_plan", exit_plan),
    decoder("genesis", genesis),
    decoder("iden3_json", iden3_json),
    decoder("iden3_ptau", iden3_ptau),
    decoder("iden3_r1cs", iden3_r1cs),
    decoder("iden3_sym", iden3_sym),
    decoder("iden3_wtns", iden3_wtns),
    decoder("iden3_zkey", iden3_zkey),
    decoder("import_csv", import_csv),
    decoder("l1_records", l1_records),
    decoder("matrices", matrices),
    decoder("merkle_proof", merkle_proof),
    decoder("points", points),
    decoder("proof", proof),
    decoder("proving_key", proving_key),
    decoder("published_words", published_words),
    decoder("signed_operation", signed_operation),
    decoder("signed_operation_json", signed_operation_json),
    decoder("signed_operations", cli::decoders::operations),
    decoder("submission", submission),
    decoder("texts", texts),
    decoder("verifying_key", verifying_key),
    decoder("wallet", cli::decoders::wallet),
];

const fn decoder(name: &'static str, check: fn(&[u8]) -> bool) -> Decoder {
    Decoder { name, check }
}

/// Shapes whose published data are decoded; the first byte of an input chooses.
pub const SHAPES: [Shape; 5] = [
    shape(1, 4, [2, 2, 2], 2),
    shape(2, 12, [0, 16, 0], 4),
    shape(3, 12, [4, 0, 2], 5),
    shape(4, 2, [0, 0, 0], 1),
    shape(5, 16, [1, 2, 4], 12),
];

const fn shape(id: u16, depth: u8, slots: [u16; 3], fee_slots: u8) -> Shape {
    let [l1_ops, transfers, withdrawals] = slots;
    Shape {
        id,
        depth,
        l1_ops,
        transfers,
        withdrawals,
        fee_slots,
        cached_levels: 1,
    }
}

/// `count` parts of an input: each but the last has its length before it, as 4 big-endian bytes.
fn parts<const N: usize>(data: &[u8]) -> Option<[&[u8]; N]> {
    let mut rest = data;
    let mut out: [&[u8]; N] = [&[]; N];
    for part in &mut out[..N - 1] {
        let (length, tail) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (*part, rest) = tail.split_at_checked(length)?;
    }
    out[N - 1] = rest;
    Some(out)
}

/// The input that has these parts.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    let (last, first) = parts.split_last().expect("there is a part");
    let mut out = Vec::new();
    for part in first {
        let length = u32::try_from(part.len()).expect("parts are small");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    out.extend_from_slice(last);
    out
}

thread_local! {
    /// A folder of this thread, in memory or among the temporary files: checks run side by side.
    static FOLDER: tempfile::TempDir = {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        folder.expect("there is a place for temporary files")
    };
}

fn folder() -> PathBuf {
    FOLDER.with(|folder| folder.path().to_owned())
}

/// What decodes from JSON has one text, which decodes to it.
fn one_text<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_vec(value).unwrap();
    let back: T = serde_json::from_slice(&text).unwrap();
    assert_eq!(&back, value);
    assert_eq!(serde_json::to_vec(&back).unwrap(), text);
}

/// A signed operation as bytes.
pub fn signed_operation(data: &[u8]) -> bool {
    let kinds = [
        signed_as::<Transfer>(data).is_some(),
        signed_as::<Withdraw>(data).is_some(),
    ];
    assert_ne!(kinds, [true; 2], "bytes of two kinds");
    let either = SignedOperation::from_bytes(data);
    assert_eq!(either.is_ok(), kinds[0] || kinds[1]);
    if let Ok(either) = &either {
        assert_eq!(either.to_bytes().unwrap(), data);
    }
    either.is_ok()
}

fn signed_as<T: Signable + PartialEq + Debug>(data: &[u8]) -> Option<()> {
    let signed = Signed::<T>::from_bytes(data).ok()?;
    assert_eq!(signed.to_bytes().unwrap(), data);
    one_text(&signed);
    Some(())
}

/// A signed operation as JSON.
pub fn signed_operation_json(data: &[u8]) -> bool {
    json_as::<Transfer>(data) | json_as::<Withdraw>(data)
}

fn json_as<T: Signable + PartialEq + Debug>(data: &[u8]) -> bool {
    let Ok(signed) = serde_json::from_slice::<Signed<T>>(data) else {
        return false;
    };
    one_text(&signed);
    let bytes = signed.to_bytes().expect("numbers of 40 bits were checked");
    assert_eq!(Signed::from_bytes(&bytes).unwrap(), signed);
    true
}

/// The published data of a batch: a byte that chooses the shape, then the data, as bytes or as
/// words of 32 bytes.
pub fn published_words(data: &[u8]) -> bool {
    let Some((choice, data)) = data.split_first() else {
        return false;
    };
    let shape = &SHAPES[usize::from(*choice) % SHAPES.len()];
    if let Ok(words) = PublicWords::from_bytes(data, shape) {
        assert_eq!(words.to_bytes(shape).unwrap(), data);
        let list = words.encode(shape).unwrap();
        assert_eq!(list.len(), shape.word_count());
        assert_eq!(PublicWords::decode(&list, shape).unwrap(), words);
        return true;
    }
    let list: Option<Vec<Fr>> = data
        .chunks(32)
        .map(|chunk| from_be_bytes(chunk.try_into().ok()?).ok())
        .collect();
    let decoded = list.and_then(|list| Some((PublicWords::decode(&list, shape).ok()?, list)));
    let Some((words, list)) = decoded else {
        return false;
    };
    assert_eq!(words.encode(shape).unwrap(), list);
    let bytes = words.to_bytes(shape).unwrap();
    assert_eq!(PublicWords::from_bytes(&bytes, shape).unwrap(), words);
    true
}

/// `genesis.json` and the accounts' file, whose digest is put in place.
pub fn genesis(data: &[u8]) -> bool {
    let Some([json, accounts]) = parts(data) else {
        return false;
    };
    let Ok(deployment) = Deployment::from_json(json) else {
        return false;
    };
    let canonical = deployment.canonical_bytes();
    let back = Deployment::from_json(&canonical).unwrap();
    assert_eq!(back, deployment);
    assert_eq!(back.canonical_bytes(), canonical);
    let mut json = canonical;
    if let Err(GenesisError::OtherAccounts { got, .. }) = Genesis::from_bytes(&json, accounts) {
        let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        value["accounts"] = serde_json::to_value(got).unwrap();
        json = serde_json::to_vec(&value).unwrap();
    }
    let Ok(genesis) = Genesis::from_bytes(&json, accounts) else {
        return false;
    };
    genesis.save(&folder()).unwrap();
    assert_eq!(
        std::fs::read(folder().join(ACCOUNTS_FILE)).unwrap(),
        accounts
    );
    assert_eq!(Genesis::load(&folder()).unwrap(), genesis);
    let parameters = genesis.deployment().parameters().clone();
    let made = Genesis::new(parameters, genesis.accounts().to_vec());
    assert_eq!(made.unwrap(), genesis);
    let text = std::fs::read(folder().join(GENESIS_FILE)).unwrap();
    assert_eq!(Deployment::from_json(&text).unwrap(), *genesis.deployment());
    true
}

/// A proof, or a public input.
pub fn proof(data: &[u8]) -> bool {
    if let Ok(input) = decode_public_input(data) {
        assert_eq!(encode_public_input(&input), data);
        return true;
    }
    let Ok(proof) = Proof::from_bytes(data) else {
        return false;
    };
    assert_eq!(proof.to_bytes(), data);
    assert_eq!(Proof::from_ark(&proof.to_ark()).unwrap(), proof);
    true
}

/// A verifying key, whose checksum is put in place.
pub fn verifying_key(data: &[u8]) -> bool {
    let mut bytes = data[..data.len().saturating_sub(32)].to_vec();
    let digest = blake3::hash(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    let Ok(key) = VerifyingKey::from_bytes(&bytes, AllowDevKeys::Yes) else {
        return false;
    };
    assert_eq!(key.to_bytes(), bytes);
    assert_eq!(key.check(), Ok(()));
    true
}

/// Where a proving-key file has the circuit's fingerprint.
const FINGERPRINT_AT: usize = 16;

/// A proving-key file, whose checksum is put in place; the fingerprint asked for is the file's.
pub fn proving_key(data: &[u8]) -> bool {
    let mut bytes = data[..data.len().saturating_sub(32)].to_vec();
    let digest = blake3::hash(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    let fingerprint = bytes.get(FINGERPRINT_AT..).and_then(<[u8]>::first_chunk);
    let Some(fingerprint) = fingerprint else {
        return false;
    };
    let path = folder().join("fuzzed.pk");
    std::fs::write(&path, &bytes).unwrap();
    let Ok(key) = ProvingKey::load(&path, fingerprint, AllowDevKeys::Yes) else {
        return false;
    };
    let again = folder().join("again.pk");
    key.save(&again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), bytes);
    true
}

/// A key with the matrices of its circuit, with the right checksum at its end.
pub fn circuit_key(data: &[u8]) -> bool {
    let mut bytes = data[..data.len().saturating_sub(32)].to_vec();
    let length = bytes.get(12..).and_then(<[u8]>::first_chunk);
    let length = length.and_then(|length| usize::try_from(u64::from_le_bytes(*length)).ok());
    let key = length.and_then(|length| bytes.get(length.checked_add(20)?..));
    let Some(key) = key else {
        return false;
    };
    let digest = blake3::hash(key);
    bytes.extend_from_slice(digest.as_bytes());
    let size = bytes.len() as u64;
    let Ok(key) = CircuitKey::read(&mut bytes.as_slice(), size, Path::new("fuzzed.qk")) else {
        return false;
    };
    let mut again = Vec::new();
    key.write(&mut again).unwrap();
    assert_eq!(again, bytes);
    // Whatever the points are, proving ends with a proof or an error.
    if key.wires() <= MOST_WIRES {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let _any = key.prove(&vec![Fr::from(1u64); key.wires()], &mut rng);
    }
    true
}

/// Matrices as a circuit key holds them.
pub fn matrices(data: &[u8]) -> bool {
    let Ok(system) = R1cs::from_bytes(data) else {
        return false;
    };
    assert_eq!(system.to_bytes(), data);
    true
}

/// Names of wires; true if a line has one that is asked for.
pub fn iden3_sym(data: &[u8]) -> bool {
    let found = interop::sym::names(data, &[1, 2, 3]);
    found.is_ok_and(|names| !names.is_empty())
}

/// A constraint system of iden3; terms may stand in another order, labels may be others.
pub fn iden3_r1cs(data: &[u8]) -> bool {
    let Ok((circuit, counts)) = interop::r1cs::read(Cursor::new(data)) else {
        return false;
    };
    let mut bytes = Vec::new();
    interop::r1cs::write(&mut bytes, &circuit.r1cs).unwrap();
    let (back, again) = interop::r1cs::read(Cursor::new(&bytes)).unwrap();
    assert_eq!(back.r1cs.fingerprint(), circuit.r1cs.fingerprint());
    assert_eq!(
        (again.wires, again.constraints),
        (counts.wires, counts.constraints)
    );
    true
}

/// A witness of iden3. Sections may stand in either order.
pub fn iden3_wtns(data: &[u8]) -> bool {
    let Ok(values) = interop::wtns::read(Cursor::new(data)) else {
        return false;
    };
    let mut bytes = Vec::new();
    interop::wtns::write(&mut bytes, &values).unwrap();
    assert_eq!(bytes.len(), data.len());
    assert_eq!(interop::wtns::read(Cursor::new(&bytes)).unwrap(), values);
    true
}

/// A key of iden3 with its transcript; a contribution to it can be read again.
pub fn iden3_zkey(data: &[u8]) -> bool {
    let Ok(mut zkey) = Zkey::open(Cursor::new(data)) else {
        return false;
    };
    if zkey.coefficients(|_| Ok(())).is_err() {
        return false;
    }
    let Ok(key) = zkey.proving_key() else {
        return false;
    };
    assert_eq!(
        key.a_query.len().to_string(),
        zkey.header().wires.to_string()
    );
    let (mut next, mut rng) = (Vec::new(), ChaCha8Rng::seed_from_u64(1));
    let made = contribute(&mut zkey, &mut next, Some("fuzz"), &mut rng).unwrap();
    let after = Zkey::open(Cursor::new(&next)).unwrap();
    let transcript = after.transcript();
    assert_eq!(transcript.contributions.last(), Some(&made));
    let before = transcript.contributions.len() - 1;
    assert_eq!(
        zkey.transcript().contributions,
        transcript.contributions[..before]
    );
    true
}

/// Powers of tau of iden3, as far as a key would be made from them.
pub fn iden3_ptau(data: &[u8]) -> bool {
    let Ok(mut ptau) = Ptau::open(Cursor::new(data)) else {
        return false;
    };
    // A circuit may be as small as one point.
    [0, ptau.power().min(3)].into_iter().all(|power| {
        let Ok(bases) = ptau.bases(power) else {
            return false;
        };
        assert_eq!(bases.tau_g1.len(), 1 << power);
        ptau.fixed().is_ok() && ptau.check(power, &bases).is_ok()
    })
}

/// A verifying key, a proof or public inputs in snarkjs' JSON.
pub fn iden3_json(data: &[u8]) -> bool {
    if let Ok(inputs) = json::read_public(data) {
        let text = json::public(&inputs);
        assert_eq!(json::read_public(text.as_bytes()).unwrap(), inputs);
        return true;
    }
    if let Ok(proof) = json::read_proof(data) {
        let text = json::proof(&proof);
        assert_eq!(json::read_proof(text.as_bytes()).unwrap(), proof);
        return true;
    }
    let Ok(key) = json::read_verifying_key(data) else {
        return false;
    };
    let text = json::verifying_key(&key);
    assert_eq!(json::read_verifying_key(text.as_bytes()).unwrap(), key);
    true
}

/// A submission.
pub fn submission(data: &[u8]) -> bool {
    let Ok(submission) = Submission::from_bytes(data) else {
        return false;
    };
    assert_eq!(submission.to_bytes(), data);
    for shape in &SHAPES {
        // Opens the contents: what opens says the same in a folder's summary.
        if let Ok(folder) = BatchFolder::new(submission.clone(), shape, 0) {
            assert_eq!(folder.submission, submission);
            let words = PublicWords::from_bytes(&submission.data, shape).unwrap();
            assert_eq!(
                folder.summary.new_root.0,
                to_be_bytes(&words.header.new_root)
            );
            assert_eq!(folder.summary.shape_id, words.header.shape_id);
        }
    }
    true
}

/// The three files of a batch folder, the summary's checksum put in place.
pub fn batch_folder(data: &[u8]) -> bool {
    let Some([summary, words, proof]) = parts(data) else {
        return false;
    };
    let read = folder().join("read");
    std::fs::create_dir_all(&read).unwrap();
    for (name, bytes) in [
        (SUMMARY_FILE, summary),
        (DATA_FILE, words),
        (PROOF_FILE, proof),
    ] {
        std::fs::write(read.join(name), bytes).unwrap();
    }
    let mut loaded = BatchFolder::load(&read);
    if let Err(FolderError::Checksum { expected, got }) = &loaded {
        let text = std::str::from_utf8(summary).unwrap();
        let text = text.replace(&expected.to_string(), &got.to_string());
        std::fs::write(read.join(SUMMARY_FILE), text).unwrap();
        loaded = BatchFolder::load(&read);
    }
    let Ok(loaded) = loaded else { return false };
    let again = folder().join("again");
    loaded.save(&again).unwrap();
    for name in [SUMMARY_FILE, DATA_FILE, PROOF_FILE] {
        let [before, after] = [&read, &again].map(|at| std::fs::read(at.join(name)).unwrap());
        assert_eq!(before, after, "{name}");
    }
    assert_eq!(BatchFolder::load(&again).unwrap(), loaded);
    true
}

/// Levels of the tree of [`merkle_proof`].
const PROOF_DEPTH: u8 = 3;

/// The tree whose proofs are fuzzed.
pub(crate) fn proof_tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let mut tree = Tree::new(PROOF_DEPTH);
        for index in [1u32, 2, 7, 40, 63] {
            tree.update(index, Fr::from(index + 100)).unwrap();
        }
        tree
    })
}

/// A proof's index (4 bytes), leaf and siblings (32 bytes each): it holds only for the tree's own
/// leaf with the tree's own siblings.
pub fn merkle_proof(data: &[u8]) -> bool {
    let Some((index, rest)) = data.split_first_chunk() else {
        return false;
    };
    let index = u32::from_be_bytes(*index);
    let (chunks, []) = rest.as_chunks::<32>() else {
        return false;
    };
    let values: Option<Vec<Fr>> = chunks
        .iter()
        .map(|chunk| from_be_bytes(chunk).ok())
        .collect();
    let Some((leaf, siblings)) = values.as_deref().and_then(<[Fr]>::split_first) else {
        return false;
    };
    let (siblings, []) = siblings.as_chunks::<3>() else {
        return false;
    };
    let siblings = siblings.to_vec();
    let (tree, proof) = (proof_tree(), MerkleProof { index, siblings });
    let holds = verify_proof(tree.root(), PROOF_DEPTH, *leaf, &proof).is_ok();
    let own = tree.prove(index).is_ok_and(|own| own == proof) && tree.leaf(index) == *leaf;
    assert_eq!(holds, own);
    holds
}

/// A record of the batcher's database: a byte that chooses the kind, then the record.
pub fn batcher_records(data: &[u8]) -> bool {
    let Some((kind, record)) = data.split_first() else {
        return false;
    };
    let on = small_deployment();
    batcher::records::check((*kind).into(), record, &SHAPES[0], &on.domain())
}

/// A record of L1's database: a byte that chooses the kind, then the record.
pub fn l1_records(data: &[u8]) -> bool {
    let Some((kind, record)) = data.split_first() else {
        return false;
    };
    l1::records::check((*kind).into(), record, small_deployment())
}

/// The deployment that records are of.
fn small_deployment() -> &'static Deployment {
    static DEPLOYMENT: OnceLock<Deployment> = OnceLock::new();
    DEPLOYMENT.get_or_init(|| small_genesis().deployment().clone())
}

/// An exit plan. Its checksum is replaced by the right one.
pub fn exit_plan(data: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct File {
        content: ExitPlan,
    }
    let Ok(File { content }) = serde_json::from_slice(data) else {
        return false;
    };
    let Ok(plan) = ExitPlan::from_json(&content.to_json()) else {
        return false;
    };
    one_text(&plan);
    assert_eq!(plan, content);
    assert_eq!(plan.exit().unwrap().is_some(), plan.leaf.is_some());
    true
}

/// A history of transfers, plain or gzip.
pub fn import_csv(data: &[u8]) -> bool {
    let read = |depth| {
        let options = ImportOptions {
            seed: b"fuzz",
            depth,
            operator: [7; 20],
            limit: None,
        };
        Import::parse(data, Path::new("fuzzed.csv"), &options)
    };
    let Ok(small) = read(2) else { return false };
    let summary = small.summary();
    assert_eq!(read(2).unwrap().summary(), summary);
    assert!(summary.accounts < 16);
    let rejected = u64::try_from(small.rejected().len()).unwrap();
    assert!(summary.rows >= rejected + summary.imported);
    assert_eq!(
        small.transfers().len().to_string(),
        summary.imported.to_string()
    );
    for transfer in small.transfers() {
        assert!((1..16).contains(&transfer.from) && (1..16).contains(&transfer.to));
    }
    summary.imported > 0
}

/// A packed point, a packed signature, or a signature as numbers.
pub fn points(data: &[u8]) -> bool {
    if let Ok(bytes) = <&[u8; 32]>::try_from(data) {
        let Ok(point) = Point::unpack(bytes) else {
            return false;
        };
        assert!(point.is_on_curve());
        assert_eq!(point.pack(), *bytes);
        return true;
    }
    let Ok(bytes) = <&[u8; 64]>::try_from(data) else {
        return false;
    };
    let Ok(signature) = Signature::unpack(bytes) else {
        return false;
    };
    assert_eq!(signature.pack(), *bytes);
    true
}

/// Numbers, byte strings and shapes as text.
pub fn texts(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let mut decoded = false;
    if let Ok(element) = from_decimal(text) {
        assert_eq!(to_decimal(&element), text);
        decoded = true;
    }
    if let Ok(element) = from_hex(text) {
        // Leading zeros, the prefix and the case of digits are free.
        let bare = text.strip_prefix("0x").unwrap_or(text);
        assert_eq!(format!("0x{:0>64}", bare.to_lowercase()), to_hex(&element));
        decoded = true;
    }
    if let Ok(bytes) = text.parse::<Bytes<20>>() {
        assert_eq!(bytes.to_string(), text.to_lowercase());
        decoded = true;
    }
    if let Ok(shape) = serde_json::from_str::<Shape>(text) {
        one_text(&shape);
        assert_eq!(shape.validate(), Ok(()));
        decoded = true;
    }
    decoded
}
