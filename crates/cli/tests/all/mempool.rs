//! Operations that wait: listed, replaced, cancelled, and saved from a database of another history.

use serde_json::Value;

use crate::fixture::Quire;

fn transfer<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let start = ["transfer", "--wallet", "alice", "--from", "2", "--to", "3"];
    [&start[..], rest].concat()
}

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn what_waits_is_listed_cancelled_and_replaced_by_its_signer() {
    let quire = Quire::with_accounts();
    let first = quire.json(&transfer(&["--amount", "7", "--fee", "100"]));
    let behind = quire.json(&transfer(&["--amount", "8", "--nonce", "2"]));
    let (first, behind) = (
        first["id"].as_str().unwrap(),
        behind["id"].as_str().unwrap(),
    );
    let listed = quire.json(&["mempool", "list"]);
    assert_eq!(ids(&listed), [first, behind]);
    assert_eq!(
        (&listed[0]["missing_nonce"], &listed[1]["missing_nonce"]),
        (&Value::Null, &1.into())
    );
    let tx = quire.json(&["tx", behind]);
    assert_eq!(
        (&tx["missing_nonce"], &tx["waits"]["waits_for"]),
        (&1.into(), &"nonces".into())
    );
    let waits = quire.json(&["status"])["waits"].clone();
    assert_eq!(
        (&waits[0]["waits_for"], &waits[0]["operations"]),
        (&"sealing".into(), &1.into())
    );
    assert_eq!(
        (&waits[1]["waits_for"], &waits[1]["operations"]),
        (&"nonces".into(), &1.into())
    );
    assert!(
        quire
            .json(&["mempool", "list", "--account", "3"])
            .as_array()
            .unwrap()
            .is_empty()
    );

    // Only the key cancels, whoever has the data directory.
    let message = quire.fails_with(1, &["mempool", "cancel", first, "--wallet", "bob"]);
    assert!(message.contains("another key"), "{message}");
    let cancelled = quire.json(&["mempool", "cancel", first, "--wallet", "alice"]);
    assert_eq!(cancelled["fee"], "110");
    assert_eq!(
        quire.json(&["tx", cancelled["by"].as_str().unwrap()])["status"],
        "received"
    );
    let rejected = quire.json(&["tx", first]);
    assert_eq!(rejected["status"], "rejected");
    assert!(
        rejected["reason"]
            .as_str()
            .unwrap()
            .contains("replaced by operation")
    );
    let message = quire.fails_with(1, &["mempool", "cancel", first, "--wallet", "alice"]);
    let by = cancelled["by"].as_str().unwrap();
    let says_by_whom = message.contains("does not wait") && message.contains(by);
    assert!(says_by_whom, "{message}");

    // A payment instead, with a fee that is higher again.
    let message = quire.fails_with(
        1,
        &transfer(&["--amount", "5", "--nonce", "0", "--fee", "120"]),
    );
    assert!(message.contains("a fee of at least 121"), "{message}");
    quire.json(&transfer(&[
        "--amount", "5", "--nonce", "0", "--fee", "121",
    ]));
    quire.json(&transfer(&["--amount", "6", "--nonce", "1"]));
    assert_eq!(quire.json(&["seal", "--all"])["transfers"], 3);
    assert_eq!(
        quire.json(&["account", "3"])[0]["balance"],
        "1000000000000000019"
    );
}

/// The batcher's database is of another history than L1: it is only read, and what it acknowledged is
/// handed in again.
#[test]
fn what_a_diverged_database_acknowledged_is_handed_in_again() {
    let quire = Quire::with_accounts();
    let database = quire.path("rollup/batcher.redb");
    quire.json(&transfer(&["--amount", "1"]));
    quire.json(&["seal", "--all"]);
    quire.json(&transfer(&["--amount", "2"]));
    let kept = quire.path("kept.redb");
    std::fs::rename(&database, &kept).unwrap();
    quire.json(&["restore"]);
    quire.json(&["seal", "--all"]);
    quire.json(&transfer(&["--amount", "9"]));
    quire.json(&["run"]);
    let ours = quire.path("ours.redb");
    std::fs::rename(&database, &ours).unwrap();
    std::fs::rename(&kept, &database).unwrap();

    let out = quire.path("operations.json");
    let out = out.to_str().unwrap();
    let exported = quire.json(&["mempool", "export", out]);
    let operations = exported["operations"].as_array().unwrap();
    let status = |place: usize| operations[place]["status"].as_str().unwrap();
    assert_eq!(
        (operations.len(), status(0), status(1)),
        (2, "sealed", "received")
    );
    assert!(
        quire
            .fails_with(1, &["mempool", "export", out])
            .contains("not replaced")
    );

    std::fs::rename(&ours, &database).unwrap();
    let output = quire.command(&["accept", out, "--json"]).output().unwrap();
    let verdicts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        verdicts[0]["refused"].is_string(),
        "its nonce is used: {verdicts}"
    );
    assert_eq!(verdicts[1]["id"], operations[1]["id"]);
    assert_eq!(quire.json(&["seal", "--all"])["transfers"], 1);
}

/// What was final and is not final any more on L1, because L1 lost the batch or has another in its place, is
/// shown as not final by commands that only read, and is exported.
#[test]
fn what_l1_lost_or_replaced_is_not_final_to_who_reads() {
    let quire = Quire::with_accounts();
    let out = |name: &str| quire.path(name).to_str().unwrap().to_owned();
    let exported =
        |name: &str| quire.json(&["mempool", "export", &out(name)])["operations"].clone();
    let files = ["rollup/batcher.redb", "rollup/l1.redb"];
    let keep = |end: &str| {
        for file in files {
            std::fs::copy(quire.path(file), quire.path(&format!("{file}{end}"))).unwrap();
        }
    };
    let put_back = |file: &str, end: &str| {
        std::fs::copy(quire.path(&format!("{file}{end}")), quire.path(file)).unwrap();
    };
    keep(".before");
    let first = quire.json(&transfer(&["--amount", "1"]));
    let first = first["id"].as_str().unwrap();
    quire.json(&["run"]);
    assert_eq!(quire.json(&["tx", first])["status"], "finalized");
    assert_eq!(exported("none"), serde_json::json!([]));
    keep(".first");

    // L1 lost the batch.
    quire.json(&["l1", "reorg", "1", "--trial"]);
    assert_eq!(quire.json(&["tx", first])["status"], "proven");
    let lost = exported("lost");
    assert_eq!(
        (&lost[0]["id"], &lost[0]["status"]),
        (&first.into(), &"sealed".into())
    );

    // L1 has another batch of the same number.
    for file in files {
        put_back(file, ".before");
    }
    let second = quire.json(&transfer(&["--amount", "2"]));
    quire.json(&["run"]);
    assert_eq!(
        quire.json(&["tx", second["id"].as_str().unwrap()])["status"],
        "finalized"
    );
    put_back(files[0], ".first");
    assert_eq!(quire.json(&["tx", first])["status"], "proven");
    assert_eq!(exported("replaced")[0]["id"], first);

    // L1 cannot be read.
    std::fs::remove_file(quire.path(files[1])).unwrap();
    assert_eq!(exported("alone"), serde_json::json!([]));
    let output = quire
        .command(&["mempool", "export", &out("told")])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("could not be compared"), "{told}");
}
