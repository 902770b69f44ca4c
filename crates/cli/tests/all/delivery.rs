//! What is acknowledged reaches the operator: a mirror signs into files, and the operator accepts them.

use serde_json::Value;

use crate::fixture::{Quire, text};

const PAY: [&str; 9] = [
    "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "1gwei",
];

/// The data directory of an operator with two accounts on L1, and another directory with alice's wallet.
fn operator_and_user() -> (Quire, Quire, String) {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let user = Quire::new();
    std::fs::create_dir(user.path("wallets")).unwrap();
    for name in ["alice", "bob"] {
        let wallet = format!("wallets/{name}.json");
        std::fs::copy(operator.path(&wallet), user.path(&wallet)).unwrap();
    }
    let l1 = operator.path("rollup/l1.redb");
    let l1 = l1.to_str().unwrap().to_owned();
    (operator, user, l1)
}

fn balance(quire: &Quire, account: &str) -> u128 {
    let facts = quire.json(&["account", account]);
    facts[0]["balance"].as_str().unwrap().parse().unwrap()
}

/// The commands of the operator are refused on a mirror, with nothing changed, before a wallet is opened.
fn check_refuses(mirror: &Quire, more: &[&str], signed: &str) {
    let commands: [&[&str]; 7] = [
        &PAY,
        &[
            "withdraw", "--wallet", "bob", "--from", "3", "--amount", "1",
        ],
        &["accept", signed],
        &["seal", "--all"],
        &["prove"],
        &["submit"],
        &["run"],
    ];
    for command in commands {
        let message = mirror.fails_with(1, &[command, more].concat());
        assert!(message.contains("is a mirror"), "{command:?}: {message}");
        let signs = ["transfer", "withdraw"].contains(&command[0]);
        assert_eq!(message.contains("--out FILE"), signs, "{message}");
    }
}

#[test]
fn a_mirror_acknowledges_nothing_and_what_it_signs_reaches_the_operator() {
    let (operator, user, l1) = operator_and_user();
    let at = ["--l1", l1.as_str()];
    let on_l1 = |args: &[&str]| user.json(&[args, &at[..]].concat());

    // Without a database: signed against L1's data alone.
    let json = user.path("pay.json");
    let json = json.to_str().unwrap();
    let signed = on_l1(&[&PAY[..], &["--out", json]].concat());
    assert_eq!(
        (
            &signed["acknowledged"],
            &signed["nonce"],
            &signed["written"]
        ),
        (&false.into(), &0.into(), &json.into())
    );
    let message = user.fails_with(1, &[&PAY[..], &["--out", json], &at].concat());
    assert!(message.contains("is not replaced"), "{message}");

    // With one, restored without the operator's wallet.
    let restored = on_l1(&["restore"]);
    assert_eq!(restored["mirror"], true);
    check_refuses(&user, &[], json);
    let before = user.json(&["status"]);
    assert_eq!(before["waiting"], 0);
    let binary = user.path("pay.bin");
    let binary = binary.to_str().unwrap();
    let second = [&PAY[..], &["--nonce", "1", "--out", binary]].concat();
    user.json(&second);
    let out = user.path("leave.bin");
    let out = out.to_str().unwrap();
    user.json(&[
        "withdraw", "--wallet", "bob", "--from", "3", "--amount", "0.5eth", "--out", out,
    ]);
    assert_eq!(std::fs::read(binary).unwrap().len(), 126);
    assert_eq!(user.json(&["status"]), before);

    // The operator takes both forms, and several files.
    let accepted = operator.json(&["accept", json, binary, out]);
    assert_eq!(accepted.as_array().unwrap().len(), 3);
    assert_eq!(accepted[0]["id"], signed["id"]);
    assert!(
        accepted
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["refused"].is_null()),
        "{accepted}"
    );
    assert_eq!(accepted[0]["status"], "received");
    operator.json(&["run"]);
    let id = signed["id"].as_str().unwrap();
    assert_eq!(operator.json(&["tx", id])["status"], "finalized");
    // What is final is said to be so when it is handed in again, and nothing of it waits.
    let again = operator.json(&["accept", json]);
    let batch = &operator.json(&["tx", id])["batch"];
    let known = (&again[0]["status"], &again[0]["batch"], &again[0]["id"]);
    assert_eq!(known, (&"finalized".into(), batch, &signed["id"]));
    let said = text(&operator.command(&["accept", json]).output().unwrap().stdout);
    assert!(said.contains("0 operations wait for a batch"), "{said}");
    let known = format!("1 were handed in before and are final in batch {batch}");
    assert!(said.contains(&known), "{said}");
    assert_eq!(balance(&operator, "2"), 1_999_999_998_000_000_000);
    assert_eq!(balance(&operator, "3"), 500_000_002_000_000_000);
}

#[test]
fn the_operator_signs_without_acknowledging_and_files_hold_many_operations() {
    let quire = Quire::with_accounts();
    let name = |name: &str| quire.path(name).to_str().unwrap().to_owned();
    let mut written = Vec::new();
    for nonce in ["0", "1", "2", "3"] {
        let file = name(&format!(
            "{nonce}.{}",
            if nonce < "2" { "json" } else { "bin" }
        ));
        let signed = quire.json(&[&PAY[..], &["--nonce", nonce, "--out", &file]].concat());
        assert_eq!(signed["acknowledged"], false);
        written.push(std::fs::read(&file).unwrap());
    }
    assert_eq!(quire.json(&["status"])["waiting"], 0);

    // JSON texts and records one after the other; a list as well.
    let list: Value = serde_json::from_slice(&written[0]).unwrap();
    let texts = quire.write("texts.json", [&written[0][..], &written[1]].concat());
    let records = quire.write("records.bin", [&written[2][..], &written[3]].concat());
    let list = quire.write("list.json", serde_json::to_vec(&vec![list]).unwrap());
    for (file, waiting) in [(texts, 2), (records, 4), (list, 4)] {
        quire.json(&["accept", &file]);
        assert_eq!(quire.json(&["status"])["waiting"], waiting, "{file}");
    }

    let twice = String::from_utf8(written[0].clone()).unwrap();
    let twice = twice.replacen("\"kind\": 1,", "\"kind\": 1, \"kind\": 1,", 1);
    let bad: [(&str, Vec<u8>, &str); 6] = [
        ("empty.json", Vec::new(), "no operation in it"),
        ("none.json", b"[]".to_vec(), "no operation in it"),
        ("short.bin", written[2][..125].to_vec(), "125 are left"),
        ("tail.json", [&written[0][..], b"{"].concat(), "EOF"),
        ("twice.json", twice.into_bytes(), "duplicate field `kind`"),
        (
            "text.json",
            b"signed".to_vec(),
            "holds no signed operations",
        ),
    ];
    for (file, bytes, expected) in bad {
        let file = quire.write(file, bytes);
        let message = quire.fails_with(3, &["accept", &file]);
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(quire.json(&["status"])["waiting"], 4);
}
