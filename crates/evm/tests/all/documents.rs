//! The example of calldata in `docs/protocol.md` shows what the encoder writes. `UPDATE_EXAMPLES=1` rewrites
//! it.

use std::fmt::Write;
use std::path::Path;

use circuits::shapes::by_name;
use evm::sample::{Trapdoor, inputs_of, raw_words};
use l1::Submission;
use l1::bytes::Bytes;
use l1::evm::abi::selector;
use l1::evm::calldata::{Entry, SUBMIT_BATCH, SUBMIT_BATCHES, decode, encode_batch};
use ledger::field::from_be_bytes;
use ledger::words::PublicWords;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

fn docs(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file)
}

/// Bytes of a hexadecimal string of the example.
fn hexadecimal(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

/// The batch of `docs/vectors/batch.json`, its queue entries, and its calldata.
fn example() -> (Submission, Vec<Entry>, Vec<u8>) {
    let shape = by_name("tiny").unwrap();
    let text = std::fs::read_to_string(docs("vectors/batch.json")).unwrap();
    let vector: Value = serde_json::from_str(&text).unwrap();
    let (data, c) = (hexadecimal(&vector["published"]), hexadecimal(&vector["c"]));
    let c: [u8; 32] = c.try_into().unwrap();
    let inputs = inputs_of(&raw_words(&data, &shape), from_be_bytes(&c).unwrap());
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let proof = Trapdoor::new(evm::SAMPLE_VERIFIER_SEED).prove(&inputs, &mut rng);
    let words = PublicWords::from_bytes(&data, &shape).unwrap();
    let entry = |(slot, byte): (&ledger::words::L1Entry, u8)| Entry {
        op: slot.op,
        payer: Bytes([byte; 20]),
        time: 1_799_999_900,
    };
    let entries: Vec<Entry> = words.l1_ops.iter().zip([0x33, 0x44]).map(entry).collect();
    let submission = Submission {
        shape_id: shape.id,
        data,
        c,
        proof: proof.to_bytes(),
    };
    let calldata = encode_batch(&submission, &shape, &entries).unwrap();
    (submission, entries, calldata)
}

const FIELDS: [(usize, &str); 43] = [
    (4, "selector of `submitBatch()`"),
    (2, "shape id 1"),
    (5, "batch number 1"),
    (5, "timestamp 1,800,000,000"),
    (4, "first fee account: index 3"),
    (4, "second fee slot, unused"),
    (2, "2 L1 slots carried"),
    (2, "1 transfer word carried"),
    (2, "1 withdrawal word carried"),
    (32, "new root"),
    (32, "`c`"),
    (32, "proof: `A.x`"),
    (32, "`A.y`"),
    (32, "`B.x₁`"),
    (32, "`B.x₀`"),
    (32, "`B.y₁`"),
    (32, "`B.y₀`"),
    (32, "`C.x`"),
    (32, "`C.y`"),
    (1, "first queue entry: kind 1, Create"),
    (4, "index 5"),
    (4, "token 7"),
    (16, "amount 1,000,000"),
    (20, "payer"),
    (5, "time 1,799,999,900"),
    (32, "`Ax`"),
    (32, "`Ay`"),
    (16, "paid out: 0"),
    (1, "second queue entry: kind 3, ForcedExit"),
    (4, "index 4"),
    (4, "token 7"),
    (16, "amount 0"),
    (20, "payer"),
    (5, "time 1,799,999,900"),
    (32, "no key"),
    (32, "no key"),
    (16, "paid out: 42,000,000"),
    (8, "transfer from 1 to 2"),
    (7, "amount and fee, floats"),
    (15, "unused transfer slot"),
    (4, "withdrawal from index 2"),
    (7, "amount and fee, floats"),
    (11, "unused withdrawal slot"),
];

fn document() -> String {
    let (_, entries, calldata) = example();
    let mut text = String::from(HEAD);
    let mut at = 0;
    for (bytes, meaning) in FIELDS {
        let field = hex::encode(&calldata[at..at + bytes]);
        writeln!(text, "| {at} | {bytes} | `{field}` | {meaning} |").unwrap();
        at += bytes;
    }
    assert_eq!(at, calldata.len());
    writeln!(
        text,
        "\n{at} bytes. While they wait the contract keeps of the two entries the first 27 bytes of their Keccak-256, then their time:\n"
    )
    .unwrap();
    for entry in &entries {
        writeln!(
            text,
            "- `{}`: of `0x{}`",
            entry.kept(),
            hex::encode(entry.to_bytes())
        )
        .unwrap();
    }
    let several = hex::encode(selector(SUBMIT_BATCHES));
    writeln!(text, "\n`submitBatches()` has the selector `{several}`, then the number of batches as 2 bytes, then the batches, each from its shape id to its end as above.").unwrap();
    text
}

const HEAD: &str = "\
### Example: the calldata of a batch

One call, field by field, written and checked by `cargo test --release -p evm --test all calldata_example` (`UPDATE_EXAMPLES=1` rewrites it). The batch is that of [section 5](#example-a-batch-vectorsbatchjson): shape `tiny`, a Create, a ForcedExit, a transfer, a withdrawal. The domain and the old root of its words are not sent: the contract puts its own. The proof is a sample.

| offset | bytes | value | meaning |
|---|---|---|---|
";

#[test]
fn calldata_example() {
    let path = docs("protocol.md");
    let published = std::fs::read_to_string(&path).unwrap();
    let heading = HEAD.lines().next().unwrap();
    let (before, rest) = published.split_once(heading).unwrap();
    let end = rest.find("\n## ").unwrap();
    let text = format!("{before}{}{}", document(), &rest[end..]);
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    assert!(
        published == text,
        "the example in docs/protocol.md differs; UPDATE_EXAMPLES=1 rewrites it"
    );
}

#[test]
fn calldata_decode_to_what_was_encoded() {
    let (submission, entries, calldata) = example();
    let shape = by_name("tiny").unwrap();
    let words = PublicWords::from_bytes(&submission.data, &shape).unwrap();
    let header = &words.header;
    let read = |bytes: &[u8]| {
        decode(
            bytes,
            |id| (id == 1).then_some(&shape),
            &header.domain,
            &header.old_root,
        )
    };
    let sent = read(&calldata).unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (&sent[0].submission, &sent[0].entries),
        (&submission, &entries)
    );
    assert_eq!(calldata[..4], selector(SUBMIT_BATCH));
    for length in 0..calldata.len() {
        assert!(read(&calldata[..length]).is_err(), "{length}");
    }
    // Whatever is read from changed bytes is written as them.
    for at in 4..calldata.len() {
        let mut changed = calldata.clone();
        changed[at] ^= 1;
        let Ok(sent) = read(&changed) else { continue };
        let again = encode_batch(&sent[0].submission, &shape, &sent[0].entries);
        assert!(again.is_err() || again.as_ref() == Ok(&changed), "{at}");
    }
}

/// An integer with a comma every three digits.
fn commas(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups
        .iter()
        .map(|group| String::from_utf8_lossy(group))
        .collect::<Vec<_>>()
        .join(",")
}

#[test]
fn the_documents_show_the_gas_that_is_measured() {
    let table = std::fs::read_to_string(docs("gas.md")).unwrap();
    let readme = std::fs::read_to_string(docs("../README.md")).unwrap();
    let report = evm::gas::measure();
    // What the figures are held to.
    let most: [(&str, f64); 7] = [
        ("batch_fixed", 270_000.0),
        ("data_per_transfer", 60.0),
        ("t20_calldata", 4_800.0),
        ("aggregated_8x2^20_calldata", 1_550.0),
        ("t22_calldata", 1_700.0),
        ("deposit_create_eth", 140_000.0),
        ("exit_frozen", 700_000.0),
    ];
    let mut wrong = Vec::new();
    for row in &report.rows {
        let shown = match row.gas_per_transfer {
            Some(each) if row.case == "data_per_transfer" => format!("{each:.2}"),
            _ => commas(row.gas),
        };
        let unnamed = ["m20_32_creates", "m20_top_up_and_exit", "add_token"];
        if !unnamed.contains(&row.case.as_str()) {
            let named = table.contains(&row.case) && table.contains(&shown);
            wrong.extend((!named).then(|| format!("{} is {shown}", row.case)));
        }
        if row.case == "t22_calldata" && !readme.contains(&shown) {
            wrong.push(format!("README lacks {shown} of {}", row.case));
        }
        let figure = row
            .gas_per_transfer
            .unwrap_or(f64::from(u32::try_from(row.gas).unwrap()));
        for (case, limit) in most {
            assert!(row.case != case || figure <= limit, "{case}: {figure}");
        }
    }
    for (name, bytes) in &report.code_bytes {
        let bytes = commas(u64::try_from(*bytes).unwrap());
        let named = table.contains(&bytes);
        wrong.extend((!named).then(|| format!("{name} has {bytes} bytes")));
    }
    assert!(wrong.is_empty(), "docs/gas.md: {}", wrong.join("; "));
}
