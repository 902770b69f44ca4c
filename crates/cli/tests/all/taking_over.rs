//! Somebody else continues the rollup, the operator comes back, and its role is handed over.

use serde_json::Value;

use crate::fixture::{Quire, text, tiny_keys};

/// Three days, and a second.
const OPEN: &str = "259201";

/// A directory of somebody who has L1 and the published keys.
fn stranger(operator: &Quire) -> (Quire, String) {
    let stranger = Quire::new();
    let l1 = operator.path("rollup/l1.redb");
    let l1 = l1.to_str().unwrap().to_owned();
    let restored = stranger.json(&["restore", "--l1", &l1]);
    assert_eq!(restored["mirror"], true);
    stranger.json(&["wallet", "new", "bob", "--no-passphrase"]);
    (stranger, l1)
}

fn who(quire: &Quire) -> Value {
    quire.json(&["status"])["submission"]["who"].clone()
}

#[test]
fn a_stranger_takes_over_and_the_operator_returns() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let sent = operator.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "7",
    ]);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(who(&operator), "operator");
    operator.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    let status = operator.json(&["status"]);
    assert!(status["submission"]["anybody_from"].as_u64().is_some());
    let said = text(&operator.command(&["status"]).output().unwrap().stdout);
    assert!(said.contains("anybody from"), "{said}");

    let (stranger, l1) = stranger(&operator);
    let run = ["run", "--take-over", "--wallet", "bob"];
    let early = stranger.fails_with(1, &run);
    assert!(
        early.contains("who may: the operator; anybody from"),
        "{early}"
    );
    let mirror = stranger.fails_with(1, &["run"]);
    assert!(mirror.contains("--take-over"), "{mirror}");

    operator.json(&["l1", "advance", "--trial", OPEN]);
    assert_eq!(who(&operator), "anybody");
    let ran = stranger.json(&run);
    assert_eq!(ran["batches"], 1);
    let status = stranger.json(&["l1", "status"]);
    assert_eq!(status["submission"]["taken_over"], true);
    assert_eq!(status["submission"]["overdue_entry"], Value::Null);

    // What is only looked at does not follow L1, says so, and counts no entry that L1 has consumed.
    let looked = operator.command(&["status"]).output().unwrap();
    let (said, notes) = (looked.stdout, looked.stderr);
    let (said, notes) = (text(&said), text(&notes));
    assert!(
        notes.contains("without the last 1 batches of L1"),
        "{notes}"
    );
    assert!(
        said.contains("1 signed operations, 0 entries of the L1 queue"),
        "{said}"
    );
    assert!(
        said.contains("waiting for the next batch: 0 entries of the L1 queue"),
        "{said}"
    );
    let status = operator.json(&["status"]);
    assert_eq!(status["queue_sealed"], status["queue_tail"]);
    assert_eq!(status["finalized"], 2);

    // While anybody may submit, the stranger serves what it acknowledges.
    let file = operator.path("taken.json");
    let file = file.to_str().unwrap();
    let alice = operator.path("wallets/alice.json");
    let alice = alice.to_str().unwrap();
    stranger.json(&[
        "transfer", "--wallet", alice, "--from", "2", "--to", "3", "--amount", "9", "--nonce", "2",
        "--out", file,
    ]);
    let taken = stranger.json(&["accept", file]);
    let taken = taken[0]["id"].as_str().unwrap();
    assert_eq!(waits_for(&stranger, taken), "nonces");

    // A mirror is told of a command that it may give.
    let mirror = Quire::new();
    mirror.json(&["restore", "--l1", &l1]);
    operator.json(&[
        "deposit",
        "--wallet",
        "alice",
        "--amount",
        "5",
        "--account",
        "2",
    ]);
    stranger.json(&run);
    let looked = mirror.command(&["status"]).output().unwrap();
    let notes = text(&looked.stderr);
    assert!(
        notes.contains("`quire transfer` with --out FILE"),
        "{notes}"
    );
    let file = mirror.path("signed.json");
    mirror.json(&[
        "transfer",
        "--wallet",
        alice,
        "--from",
        "2",
        "--to",
        "3",
        "--amount",
        "9",
        "--out",
        file.to_str().unwrap(),
    ]);
    let looked = mirror.command(&["status"]).output().unwrap();
    assert_eq!(text(&looked.stderr), "");

    // The operator's own payment is still there: it returns by itself and is alone again.
    let returned = operator.command(&["run"]).output().unwrap();
    let notes = String::from_utf8(returned.stderr).unwrap();
    assert!(returned.status.success(), "{notes}");
    assert!(notes.contains("2 batches of another submitter"), "{notes}");
    assert!(notes.contains("this operator has returned"), "{notes}");
    let tx = operator.json(&["tx", id]);
    assert_eq!(tx["status"], "finalized");
    assert_eq!(who(&operator), "operator");
    let again = operator.fails_with(1, &["operator", "return"]);
    assert!(again.contains("nothing to return to"), "{again}");
    let late = stranger.fails_with(1, &run);
    assert!(late.contains("the operator"), "{late}");

    // What the stranger acknowledged now would reach nobody.
    let file = operator.path("pay.json");
    let file = file.to_str().unwrap();
    operator.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "8", "--out", file,
    ]);
    let late = stranger.fails_with(1, &["accept", file]);
    assert!(late.contains("operator's again"), "{late}");
    operator.json(&["accept", file]);
    assert_eq!(operator.json(&["run"])["batches"], 1);
    // And what it had acknowledged has to be handed in.
    hands_in(&stranger, taken, &operator);
}

/// An operator that is back and has nothing to submit keeps its hour for when it has: else a rival with a
/// batch in each block could keep it out until it may return again.
#[test]
fn an_operator_without_a_batch_keeps_its_hour() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    operator.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    let (stranger, _l1) = stranger(&operator);
    operator.json(&["l1", "advance", "--trial", OPEN]);
    stranger.json(&["run", "--take-over", "--wallet", "bob"]);
    let idle = operator.command(&["run"]).output().unwrap();
    let notes = text(&idle.stderr);
    assert!(idle.status.success(), "{notes}");
    assert!(notes.contains("it returns once it has one"), "{notes}");
    assert_eq!(who(&operator), "anybody");

    operator.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "7",
    ]);
    let returned = operator.command(&["run"]).output().unwrap();
    let notes = text(&returned.stderr);
    assert!(returned.status.success(), "{notes}");
    assert!(notes.contains("this operator has returned"), "{notes}");
    assert_eq!(who(&operator), "operator");

    // By itself the command returns at once, and says what that costs.
    operator.json(&[
        "deposit",
        "--wallet",
        "alice",
        "--amount",
        "5",
        "--account",
        "2",
    ]);
    operator.json(&["l1", "advance", "--trial", OPEN]);
    let said = operator.command(&["operator", "return"]).output().unwrap();
    let said = text(&said.stdout);
    for part in [
        "the operator has returned",
        "its hour is lost",
        "may return again from",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

/// What waits and who submits are told by one clock, also where it was moved: who may submit is the same in
/// each.
#[test]
fn what_waits_and_who_submits_do_not_contradict_each_other() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    operator.json(&[
        "deposit",
        "--wallet",
        "alice",
        "--amount",
        "5",
        "--account",
        "2",
    ]);
    let agrees = |wanted: &str| {
        let status = operator.json(&["status"]);
        assert_eq!(status["submission"]["who"], wanted);
        let wait = &status["waits"][0];
        assert_eq!(wait["waits_for"], "sealing");
        assert_eq!(wait["anybody"], wanted == "anybody", "{status}");
    };
    agrees("operator");
    // Twice this is more than the three days after which anybody may.
    operator.json(&["l1", "advance", "--trial", "200000"]);
    operator.json(&[
        "deposit",
        "--wallet",
        "alice",
        "--amount",
        "5",
        "--account",
        "2",
    ]);
    agrees("operator");
    // No block is made since.
    operator.json(&["l1", "advance", "--trial", "100000"]);
    agrees("anybody");
}

/// What an operation waits for: everything that shows it says the same.
fn waits_for(quire: &Quire, id: &str) -> String {
    let listed = quire.json(&["mempool", "list"]);
    let listed = listed.as_array().unwrap().iter();
    let of = |list: &Value| list["waits"]["waits_for"].as_str().unwrap().to_owned();
    let waits: Vec<String> = listed.filter(|one| one["id"] == id).map(of).collect();
    let tx = of(&quire.json(&["tx", id]));
    assert_eq!(waits, [tx.as_str()]);
    let all = quire.json(&["status"])["waits"].clone();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|wait| wait["waits_for"] == tx.as_str()),
        "{all}"
    );
    tx
}

/// An operation in a directory that serves nobody any more says what is to be done, and that helps.
fn hands_in(quire: &Quire, id: &str, operator: &Quire) {
    assert_eq!(waits_for(quire, id), "handing_in");
    for command in [&["status"][..], &["tx", id], &["mempool", "list"]] {
        let said = text(&quire.command(command).output().unwrap().stdout);
        for name in ["to be handed in", "quire mempool export", "quire accept"] {
            assert!(said.contains(name), "{command:?}: {said}");
        }
    }
    let file = quire.path("handed.json");
    let file = file.to_str().unwrap();
    quire.json(&["mempool", "export", file]);
    operator.json(&["accept", file]);
    assert_eq!(operator.json(&["run"])["batches"], 1);
    assert_eq!(operator.json(&["tx", id])["status"], "finalized");
}

/// What its operator had acknowledged, sealed and not submitted before it handed the role over.
#[test]
fn what_a_former_operator_acknowledged_waits_to_be_handed_in() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let pay = [
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount",
    ];
    let sealed = operator.json(&[&pay[..], &["7"]].concat());
    let sealed = sealed["id"].as_str().unwrap();
    operator.json(&["seal", "--all"]);
    let waits = operator.json(&[&pay[..], &["8"]].concat());
    let waits = waits["id"].as_str().unwrap();
    assert_eq!(waits_for(&operator, waits), "sealing");
    let (stranger, _l1) = stranger(&operator);
    let wallet = stranger.json(&["wallet", "show", "bob"]);
    operator.json(&["operator", "offer", wallet["address"].as_str().unwrap()]);
    stranger.json(&["operator", "accept", "--wallet", "bob"]);
    let tx = operator.json(&["tx", sealed]);
    assert_eq!(tx["waits"]["waits_for"], "handing_in");
    assert_eq!(tx["waits"]["operations"], 2);
    hands_in(&operator, waits, &stranger);
    assert_eq!(stranger.json(&["tx", sealed])["status"], "finalized");
}

#[test]
fn the_operator_role_is_handed_over_in_two_steps() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let (stranger, l1) = stranger(&operator);
    let wallet = stranger.json(&["wallet", "show", "bob"]);
    let address = wallet["address"].as_str().unwrap();
    let alice = operator.path("wallets/alice.json");
    let alice = alice.to_str().unwrap();
    let early = stranger.fails_with(1, &["operator", "accept", "--wallet", "bob"]);
    assert!(early.contains("offered"), "{early}");
    operator.fails_with(2, &["operator", "offer", "0x12"]);
    let zeros = format!("0x{}", "0".repeat(40));
    let nobody = operator.command(&["operator", "offer", &zeros]).output();
    let nobody = String::from_utf8(nobody.unwrap().stdout).unwrap();
    assert!(nobody.contains("offered to nobody"), "{nobody}");
    let offered = operator.json(&["operator", "offer", address]);
    assert_eq!(offered["offered"], address);
    // As an interrupted command leaves it: L1 knows, the directory does not.
    let bob = stranger.path("wallets/bob.json");
    let bob = bob.to_str().unwrap();
    let other = Quire::new();
    let accepted = other.json(&["operator", "accept", "--wallet", bob, "--l1", &l1]);
    assert_eq!(accepted["operator"], address);
    assert_eq!(accepted["offered"], Value::Null);
    assert_eq!(accepted["symbol"], "ETH");
    stranger.fails_with(1, &["run"]);
    let accept = ["operator", "accept", "--wallet", "bob"];
    assert_eq!(stranger.json(&accept)["operator"], address);
    let notes = text(&stranger.command(&accept).output().unwrap().stderr);
    assert!(
        notes.contains("the operator has no account of ETH"),
        "{notes}"
    );
    is_handed_over(&operator, alice);
    assert_eq!(operator.json(&["status"])["operator"], address);
    operator.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    let ran = stranger.command(&["run"]).output().unwrap();
    let notes = text(&ran.stderr);
    assert!(ran.status.success(), "{notes}");
    // It has no account yet for the fees, and is told how it gets one.
    for advice in [
        "the operator has no account of ETH",
        "quire deposit --wallet",
    ] {
        assert!(notes.contains(advice), "{notes}");
    }
    let finalized = &stranger.json(&["status"])["finalized"];
    assert_eq!(*finalized, 2, "the new operator goes on");
    stranger.json(&["deposit", "--wallet", "bob", "--amount", "5"]);
    let ran = stranger.command(&["run"]).output().unwrap();
    let notes = text(&ran.stderr);
    assert!(!notes.contains("no account of ETH"), "{notes}");

    // Back again: each directory knows whose it is.
    let first = operator.path("rollup/operator.json");
    let first = first.to_str().unwrap();
    let shown = operator.json(&["wallet", "show", first]);
    stranger.json(&["operator", "offer", shown["address"].as_str().unwrap()]);
    operator.json(&["operator", "accept", "--wallet", first]);
    is_handed_over(&stranger, alice);
    operator.json(&[
        "deposit",
        "--wallet",
        "alice",
        "--amount",
        "5",
        "--account",
        "2",
    ]);
    assert_eq!(operator.json(&["run"])["batches"], 1);
    stranger.json(&["account", "2"]);
}

/// The directory acknowledges and seals nothing, and signs into files.
fn is_handed_over(quire: &Quire, alice: &str) {
    let file = quire.path("signed.json");
    let file = file.to_str().unwrap();
    let transfer = [
        "transfer", "--wallet", alice, "--from", "2", "--to", "3", "--amount", "7",
    ];
    quire.json(&[&transfer[..], &["--nonce", "9", "--out", file]].concat());
    for command in [
        &["run"][..],
        &["seal", "--all"],
        &["accept", file],
        &transfer,
    ] {
        let message = quire.fails(command);
        assert!(message.contains("is a mirror"), "{command:?}: {message}");
    }
    std::fs::remove_file(file).unwrap();
    let message = quire.fails_with(1, &["run"]);
    assert!(message.contains("handed over"), "{message}");
}

/// A former operator's directory has its wallet still, and is no operator's for that.
#[test]
fn what_a_former_operator_restores_is_a_mirror() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let (stranger, l1) = stranger(&operator);
    let wallet = stranger.json(&["wallet", "show", "bob"]);
    operator.json(&["operator", "offer", wallet["address"].as_str().unwrap()]);
    stranger.json(&["operator", "accept", "--wallet", "bob"]);
    std::fs::remove_file(operator.path("rollup/batcher.redb")).unwrap();
    assert_eq!(operator.json(&["restore"])["mirror"], true);
    assert!(operator.fails_with(1, &["run"]).contains("is a mirror"));
    std::fs::remove_file(stranger.path("rollup/batcher.redb")).unwrap();
    assert_eq!(stranger.json(&["restore"])["mirror"], false);
    operator.json(&[
        "deposit",
        "--wallet",
        "alice",
        "--amount",
        "5",
        "--account",
        "2",
    ]);
    assert_eq!(stranger.json(&["run"])["batches"], 1);

    // Handed over once more: the second operator's directory becomes a mirror as well, the third goes on.
    let third = Quire::new();
    third.json(&["restore", "--l1", &l1]);
    let carol = third.json(&["wallet", "new", "carol", "--no-passphrase"]);
    stranger.json(&["operator", "offer", carol["address"].as_str().unwrap()]);
    third.json(&["operator", "accept", "--wallet", "carol"]);
    for former in [&operator, &stranger] {
        std::fs::remove_file(former.path("rollup/batcher.redb")).unwrap();
        assert_eq!(former.json(&["restore"])["mirror"], true);
        assert!(former.fails_with(1, &["run"]).contains("is a mirror"));
    }
    std::fs::remove_file(third.path("rollup/batcher.redb")).unwrap();
    assert_eq!(third.json(&["restore"])["mirror"], false);
}

/// The role is the first operator's again: the directory of the one between is no operator's, and says so.
#[test]
fn what_the_operator_between_restores_is_a_mirror() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let (stranger, _l1) = stranger(&operator);
    let wallet = stranger.json(&["wallet", "show", "bob"]);
    let address = wallet["address"].as_str().unwrap();
    operator.json(&["operator", "offer", address]);
    stranger.json(&["operator", "accept", "--wallet", "bob"]);
    let first = operator.path("rollup/operator.json");
    let first = first.to_str().unwrap();
    let firsts = operator.json(&["wallet", "show", first]);
    let firsts = firsts["address"].as_str().unwrap();
    stranger.json(&["operator", "offer", firsts]);
    operator.json(&["operator", "accept", "--wallet", first]);

    std::fs::remove_file(stranger.path("rollup/batcher.redb")).unwrap();
    let named = stranger.fails_with(3, &["restore", "--operator", "bob"]);
    assert!(named.contains(address) && named.contains(firsts), "{named}");
    let restored = stranger.command(&["restore"]).output().unwrap();
    let (said, notes) = (text(&restored.stdout), text(&restored.stderr));
    assert!(said.contains("this is a mirror"), "{said}{notes}");
    let note = format!(
        "is the wallet of {address}, the operator of this deployment is {firsts}: this becomes a mirror"
    );
    assert!(notes.contains(&note), "{notes}");
    assert!(stranger.fails_with(1, &["run"]).contains("is a mirror"));
    std::fs::remove_file(operator.path("rollup/batcher.redb")).unwrap();
    assert_eq!(operator.json(&["restore"])["mirror"], false);
}

/// As a command that was killed leaves it: L1 has the batch, and the directory does not know yet.
#[test]
fn what_is_final_on_l1_is_not_to_be_handed_in() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let (stranger, _l1) = stranger(&operator);
    let pay = [
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount",
    ];
    let sealed = operator.json(&[&pay[..], &["7"]].concat());
    let sealed = sealed["id"].as_str().unwrap();
    operator.json(&["seal", "--all"]);
    let waits = operator.json(&[&pay[..], &["8"]].concat());
    let waits = waits["id"].as_str().unwrap();
    let (database, copy) = (
        operator.path("rollup/batcher.redb"),
        operator.path("copy.redb"),
    );
    std::fs::copy(&database, &copy).unwrap();
    operator.json(&["prove"]);
    operator.json(&["submit"]);
    std::fs::rename(&copy, &database).unwrap();
    let wallet = stranger.json(&["wallet", "show", "bob"]);
    operator.json(&["operator", "offer", wallet["address"].as_str().unwrap()]);
    stranger.json(&["operator", "accept", "--wallet", "bob"]);
    let tx = operator.json(&["tx", sealed]);
    assert_eq!(tx["waits"], Value::Null, "{tx}");
    assert_eq!(waits_for(&operator, waits), "handing_in");
    let tx = operator.json(&["tx", waits]);
    assert_eq!(tx["waits"]["operations"], 1);
}

#[test]
fn published_keys_are_those_of_l1_and_checked_against_it() {
    let operator = Quire::with_accounts();
    operator.json(&["run"]);
    let public = operator.path("public");
    let folder = public.to_str().unwrap();
    let exported = operator.json(&["keys", "export", folder]);
    assert_eq!(exported["files"].as_array().unwrap().len(), 2);
    let sums = std::fs::read_to_string(public.join("SHA256SUMS")).unwrap();
    assert!(
        sums.lines().all(|line| line.split("  ").count() == 2),
        "{sums}"
    );
    for name in ["tiny.pk", "tiny.vk"] {
        let published = std::fs::read(public.join(name)).unwrap();
        assert!(published == std::fs::read(tiny_keys().join(name)).unwrap());
    }
    let again = operator.fails_with(2, &["keys", "export", folder]);
    assert!(again.contains("not replaced"), "{again}");
    // Killed before the list was there, the same command goes on; another file is not replaced.
    std::fs::remove_file(public.join("SHA256SUMS")).unwrap();
    std::fs::remove_file(public.join("tiny.vk")).unwrap();
    assert_eq!(operator.json(&["keys", "export", folder]), exported);
    std::fs::remove_file(public.join("SHA256SUMS")).unwrap();
    std::fs::write(public.join("tiny.vk"), b"another").unwrap();
    let other = operator.fails_with(2, &["keys", "export", folder]);
    assert!(other.contains("not replaced"), "{other}");
    std::fs::remove_dir_all(&public).unwrap();
    operator.json(&["keys", "export", folder]);

    let verify = ["keys", "verify", "--shape", "tiny", "--no-proof"];
    let checked = operator.json(&verify);
    assert_eq!(checked["on_l1"], true);
    assert_eq!(Quire::new().json(&verify)["on_l1"], Value::Null);
    // Another key of the same circuit proves nothing for this deployment.
    let other = tempfile::tempdir().unwrap();
    let place = other.path().to_str().unwrap();
    let setup = [
        "keys",
        "setup",
        "--shape",
        "tiny",
        "--insecure-dev-seed",
        "2",
    ];
    let mut command = crate::fixture::program();
    command.args(setup).args(["--keys-dir", place]);
    assert!(command.output().unwrap().status.success());
    let (stranger, l1) = stranger(&operator);
    // Whoever has none is not sent to make another.
    operator.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    operator.json(&["l1", "advance", "--trial", OPEN]);
    let none = stranger.path("none");
    let run = ["run", "--take-over", "--wallet", "bob", "--keys-dir"];
    let mut command = stranger.command(&[]);
    command.args(run).arg(&none);
    let (status, message) = crate::fixture::failure_of(&mut command, &run);
    assert_eq!(status, 4, "{message}");
    for advice in ["quire keys export", "keys verify --shape tiny"] {
        assert!(message.contains(advice), "{message}");
    }
    assert!(!message.contains("keys setup"), "{message}");
    let mut command = crate::fixture::program();
    command
        .args(verify)
        .args(["--l1", &l1, "--keys-dir", place, "--data-dir"])
        .arg(stranger.dir());
    let (status, message) = crate::fixture::failure_of(&mut command, &verify);
    assert_eq!(status, 3, "{message}");
    assert!(
        message.contains("proves nothing for this deployment"),
        "{message}"
    );
}
