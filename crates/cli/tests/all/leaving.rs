//! Restoring, following L1, and leaving without the operator.

use serde_json::Value;

use crate::fixture::{PROGRAM, Quire, text};

/// A week and a second.
const OVERDUE: &str = "604801";

fn plan_of(quire: &Quire, account: u32) -> String {
    let path = quire.path(&format!("exit-{account}.json"));
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_operation_is_followed_to_its_end() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let sent = quire.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "1gwei",
    ]);
    let id = sent["id"].as_str().unwrap();
    let stages = [
        (None, "received"),
        (Some(&["seal", "--all"][..]), "sealed"),
        (Some(&["prove"][..]), "proven"),
        (Some(&["submit"][..]), "finalized"),
    ];
    let times = ["received", "sealed", "proven", "finalized"];
    for (place, (command, stage)) in stages.into_iter().enumerate() {
        if let Some(command) = command {
            quire.json(command);
        }
        let facts = quire.json(&["tx", id]);
        assert_eq!(facts["status"], stage);
        for (at, time) in times.into_iter().enumerate() {
            assert_eq!(facts[time].is_u64(), at <= place, "{facts}");
        }
    }
    // L1 loses the batch: the operation is final once it was submitted again.
    quire.json(&["l1", "reorg", "1", "--trial"]);
    assert_eq!(quire.json(&["tx", id])["status"], "proven");
    assert_eq!(quire.json(&["submit"])["batches"], 1);
    assert_eq!(quire.json(&["tx", id])["status"], "finalized");

    let unknown = quire.fails_with(1, &["tx", &"ab".repeat(32)]);
    assert!(unknown.contains("never acknowledged"), "{unknown}");
    let short = quire.fails_with(2, &["tx", "ab"]);
    assert!(short.contains("64 hexadecimal digits"), "{short}");
}

#[test]
fn a_withdrawal_shows_what_is_claimable() {
    let quire = Quire::with_accounts();
    let out = quire.json(&[
        "withdraw", "--wallet", "bob", "--from", "3", "--amount", "0.5eth",
    ]);
    let id = out["id"].as_str().unwrap();
    assert!(quire.json(&["tx", id])["claimable"].is_null());
    quire.json(&["run"]);
    assert_eq!(quire.json(&["tx", id])["claimable"], "500000000000000000");
    quire.json(&["claim", "--wallet", "bob"]);
    assert_eq!(quire.json(&["tx", id])["claimable"], "0");
}

#[test]
fn a_rollup_is_restored_elsewhere_and_goes_on() {
    let old = Quire::with_accounts();
    old.json(&["run"]);
    old.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    let before = old.json(&["status"]);
    let message = old.fails_with(1, &["restore"]);
    assert!(message.contains("is not replaced"), "{message}");

    let new = Quire::new();
    let l1 = old.path("rollup/l1.redb");
    let l1 = l1.to_str().unwrap();
    let operator = old.path("rollup/operator.json");
    let operator = operator.to_str().unwrap();
    let alice = old.path("wallets/alice.json");
    let args = ["restore", "--l1", l1, "--operator", alice.to_str().unwrap()];
    let message = new.fails_with(3, &args);
    assert!(
        message.contains("the operator of this deployment"),
        "{message}"
    );
    let restored = new.json(&["restore", "--l1", l1, "--operator", operator]);
    assert_eq!(restored["state_root"], before["finalized_root"]);
    assert_eq!(
        (&restored["accounts"], &restored["pending_queue"]),
        (&3.into(), &1.into())
    );

    // It remembers where L1 is, seals what waits there, proves and finalizes.
    assert_eq!(new.json(&["run"])["batches"], 1);
    let audit = new.json(&["audit", "--replay"]);
    assert_eq!(audit["ok"], true, "{audit}");
    let claimed = new.json(&[
        "claim",
        "--wallet",
        old.path("wallets/bob.json").to_str().unwrap(),
    ]);
    assert_eq!(claimed[0]["amount"], "1000000000000000000");
    // The old database has been overtaken, and takes in what L1 has as soon as a command writes.
    old.json(&["seal", "--all"]);
    assert_eq!(old.json(&["status"])["state_root"], audit["state_root"]);
    std::fs::remove_file(old.path("rollup/batcher.redb")).unwrap();
    let missing = old.fails_with(4, &["status"]);
    let advised = missing.contains("quire restore") && !missing.contains("quire init");
    assert!(advised, "{missing}");
    old.json(&["restore"]);
    let again = old.fails_with(1, &["restore"]);
    assert!(again.contains("quire status"), "{again}");
    assert_eq!(old.json(&["status"])["state_root"], audit["state_root"]);
}

#[test]
fn on_a_frozen_l1_no_operation_waits_for_a_batch() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let sent = quire.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "7",
    ]);
    quire.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    quire.json(&["l1", "advance", OVERDUE, "--trial"]);
    let mirror = Quire::new();
    let l1 = quire.path("rollup/l1.redb");
    mirror.json(&["restore", "--l1", l1.to_str().unwrap()]);
    quire.json(&["freeze"]);
    // A mirror is not sent to the operator, nor to take over: nobody can do anything any more.
    let alice = quire.path("wallets/alice.json");
    let pay = [
        "transfer",
        "--wallet",
        alice.to_str().unwrap(),
        "--from",
        "2",
        "--to",
        "3",
        "--amount",
        "7",
    ];
    for command in [
        &["run"][..],
        &["seal", "--all"],
        &["prove"],
        &["submit"],
        &pay,
    ] {
        let message = mirror.fails_with(1, command);
        assert!(message.contains("L1 is frozen for good"), "{message}");
        assert!(message.contains("quire exit plan"), "{message}");
        assert!(!message.contains("take-over"), "{message}");
    }
    let tx = quire.json(&["tx", sent["id"].as_str().unwrap()]);
    assert_eq!(tx["waits"]["waits_for"], "nothing");
    let listed = quire.json(&["mempool", "list"]);
    assert_eq!(listed[0]["waits"], tx["waits"]);
    let listed = quire.command(&["mempool", "list"]).output().unwrap();
    let listed = text(&listed.stdout);
    assert!(listed.contains("nothing: L1 is frozen"), "{listed}");

    // An account that has left has nothing any more.
    let account = &quire.json(&["account", "2"])[0];
    let before = (&account["balance"], &account["exited"]);
    assert_eq!(before, (&"2000000000000000000".into(), &false.into()));
    let out = quire.dir().to_str().unwrap();
    quire.json(&["exit", "plan", "2", "--out", out]);
    quire.json(&["exit", "execute", &plan_of(&quire, 2)]);
    let account = &quire.json(&["account", "2"])[0];
    let after = (&account["balance"], &account["exited"]);
    assert_eq!(after, (&"0".into(), &true.into()));
    let shown = quire.command(&["account", "2"]).output().unwrap();
    let shown = text(&shown.stdout);
    assert!(shown.contains("0 ETH, left by an exit"), "{shown}");
}

#[test]
fn an_owner_leaves_without_the_operator() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let message = quire.fails_with(1, &["freeze"]);
    assert!(message.contains("queue"), "{message}");
    let requested = quire.json(&["exit", "request", "--wallet", "alice", "--account", "2"]);
    assert_eq!(requested["queue_entry"], 2);
    quire.json(&[
        "deposit",
        "--wallet",
        "bob",
        "--amount",
        "7",
        "--account",
        "3",
    ]);
    let into_bobs = ["--amount", "11", "--account", "3"];
    quire.json(&[&["deposit", "--wallet", "alice"], &into_bobs[..]].concat());
    let out = quire.dir().to_str().unwrap().to_owned();
    let early = quire.json(&["exit", "plan", "2", "--out", &out]);
    assert_eq!(early[0]["balance"], "2000000000000000000");
    let plan = plan_of(&quire, 2);
    let message = quire.fails_with(1, &["exit", "execute", &plan]);
    assert!(message.contains("not frozen"), "{message}");

    let guarded = quire.fails_with(2, &["l1", "advance", OVERDUE]);
    assert!(guarded.contains("--trial"), "{guarded}");
    // The operator is gone with its database; the deadline passes.
    std::fs::remove_file(quire.path("rollup/batcher.redb")).unwrap();
    std::fs::remove_file(quire.path("rollup/operator.json")).unwrap();
    assert_eq!(quire.json(&["l1", "status"])["frozen"], false);
    quire.json(&["l1", "advance", OVERDUE, "--trial"]);
    assert_eq!(quire.json(&["freeze"])["batch"], 1);
    assert_eq!(quire.json(&["l1", "status"])["frozen"], true);
    let planned = quire.json(&["exit", "plan", "--wallet", "bob", "--out", &out]);
    assert_eq!(
        (&planned[0]["account"], &planned[0]["waiting"]),
        (&3.into(), &2.into())
    );
    // A plan that fails keeps nobody else in.
    let bad = quire.write("bad.json", "not a plan");
    let plans = [
        "--json",
        "exit",
        "execute",
        &plan,
        &bad,
        "none.json",
        &plan_of(&quire, 3),
    ];
    let output = quire.command(&plans).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let left: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(left.as_array().unwrap().len(), 2);
    assert_eq!(left[0]["exited"], "2000000000000000000");
    assert_eq!(left[1]["cancelled"][0], 3);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("bad.json") && told.contains("none.json"),
        "{told}"
    );
    let again = quire.json(&["exit", "execute", &plan]);
    assert_eq!(again[0]["exited"], Value::Null);
    // What alice paid into bob's account is hers, and bob's plan gives it back to her.
    assert_eq!(left[1]["of_others"], 1);
    let bobs = plan_of(&quire, 3);
    let hers = quire.json(&["exit", "execute", &bobs, "--wallet", "alice"]);
    assert_eq!(hers[0]["cancelled"], serde_json::json!([4]));
    assert_eq!(hers[0]["of_others"], 0);
    let alice = quire.json(&["claim", "--wallet", "alice"]);
    assert_eq!(alice[0]["amount"], "2000000000000000011");
    let bob = quire.json(&["claim", "--wallet", "bob"]);
    assert_eq!(bob[0]["amount"], "1000000000000000007");
    let on_l1 = quire.json(&["l1", "status"]);
    assert_eq!(
        (&on_l1["symbol"], &on_l1["decimals"]),
        (&"ETH".into(), &18.into())
    );
    let totals = on_l1["totals"].clone();
    assert_eq!(totals[0]["escrow"], "0");
    let message = quire.fails_with(1, &["deposit", "--wallet", "bob", "--amount", "1"]);
    assert!(message.contains("frozen"), "{message}");
}

/// Both statuses say in words and in JSON whether L1 is frozen, can be frozen, or from when on.
#[test]
fn the_status_says_how_far_a_freeze_is() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let said = |expected: &str| {
        for command in [&["status"][..], &["l1", "status"]] {
            let output = quire.command(command).output().unwrap();
            let said = text(&output.stdout);
            assert!(said.contains(expected), "{command:?}: {said}");
        }
    };
    let facts = |fields: [&str; 4]| {
        let [ours, l1s] = [&["status"][..], &["l1", "status"]].map(|command| quire.json(command));
        fields.map(|field| {
            assert_eq!(ours[field], l1s[field], "{field}");
            ours[field].clone()
        })
    };
    let fields = ["frozen", "freezable", "freeze_from", "oldest_entry"];
    assert_eq!(
        facts(fields),
        [false.into(), false.into(), Value::Null, Value::Null]
    );
    said("open; nothing waits in its queue");

    let requested = quire.json(&["exit", "request", "--wallet", "bob", "--account", "3"]);
    let from = requested["freeze_from"].clone();
    let entry = requested["queue_entry"].clone();
    assert_eq!(
        facts(fields),
        [false.into(), false.into(), from.clone(), entry.clone()]
    );
    let since = facts(["oldest_since"; 4])[0].as_u64().unwrap();
    assert_eq!(from, since + 604_801);
    said("anybody may freeze L1 from 20");

    quire.json(&["l1", "advance", OVERDUE, "--trial"]);
    assert_eq!(
        facts(fields),
        [false.into(), true.into(), from, entry.clone()]
    );
    said("FREEZABLE since 20");

    let frozen = quire.json(&["freeze"]);
    assert_eq!(
        facts(fields),
        [true.into(), false.into(), Value::Null, entry]
    );
    let [batch, root, ..] = facts(["final_batch", "final_root", "frozen", "frozen"]);
    assert_eq!((&batch, &root), (&frozen["batch"], &frozen["root"]));
    said("FROZEN for good, after batch 1 with root 0x");
}

#[test]
fn bad_plans_are_refused() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let message = quire.fails_with(1, &["exit", "plan", "40"]);
    assert!(message.contains("not registered"), "{message}");
    let out = quire.dir().to_str().unwrap().to_owned();
    quire.write("exit-2.json", "not a plan");
    let message = quire.fails_with(3, &["exit", "plan", "2", "--out", &out]);
    assert!(message.contains("is not an exit plan"), "{message}");
    assert_eq!(
        std::fs::read(quire.path("exit-2.json")).unwrap(),
        b"not a plan"
    );
    let message = quire.fails_with(3, &["exit", "execute", &plan_of(&quire, 2)]);
    assert!(message.contains("quire exit plan"), "{message}");
    let large = quire.write("large.json", vec![b' '; (1 << 24) + 1]);
    let message = quire.fails_with(3, &["exit", "execute", &large]);
    assert!(message.contains("more than 16777216 bytes"), "{message}");
    quire.fails_with(4, &["exit", "execute", "/nonexistent/plan.json"]);
    // A plan for a root that is no longer the last.
    quire.json(&["exit", "plan", "3", "--out", &out]);
    quire.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "5",
    ]);
    quire.json(&["run"]);
    let message = quire.fails_with(3, &["exit", "execute", &plan_of(&quire, 3)]);
    assert!(message.contains("quire exit plan"), "{message}");
}

/// The whole drill, with a production setup, a process that is killed, and every account.
#[test]
fn the_drill_leaves_nothing_in_escrow() {
    // Keys that somebody has elsewhere are not the drill's to replace or delete.
    let theirs = tempfile::tempdir().unwrap();
    let key = theirs.path().join("tiny.pk");
    std::fs::write(&key, "theirs").unwrap();
    let drill = |more: &[&str]| {
        std::process::Command::new(PROGRAM)
            .args(["drill", "--transfers", "8", "--json"])
            .args(more)
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env("QUIRE_KEYS_DIR", theirs.path())
            .output()
            .unwrap()
    };
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir(here.path().join("keys")).unwrap();
    let refused = drill(&["--data-dir", here.path().to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    let output = drill(&[]);
    assert_eq!(std::fs::read(&key).unwrap(), b"theirs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left = facts["escrow_left"].as_array().unwrap();
    assert!(!left.is_empty() && left.len() as u64 == facts["tokens"].as_u64().unwrap());
    assert_eq!(left[0]["symbol"], "ETH");
    assert!(left.iter().all(|left| left["amount"] == "0"), "{left:?}");
    assert_eq!(facts["cancelled"], 1);
    assert_eq!(facts["taken_over_batches"], 3);
    let count = |name: &str| facts[name].as_u64().unwrap();
    assert_eq!(count("acknowledged"), 8);
    assert_eq!(count("finalized") + count("rejected"), 8);
    assert!(count("finalized") > 4);
    assert!(facts["exits"].as_u64().unwrap() > 8);
}
