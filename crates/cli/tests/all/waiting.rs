//! Whatever is not final says what it waits for, and what was dropped is told, as text and as JSON.

use serde_json::json;

use crate::fixture::{Quire, text};

/// What a command prints for people.
fn said(quire: &Quire, args: &[&str]) -> String {
    let output = quire.command(args).output().unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[test]
fn a_deposit_without_enough_blocks_on_top_is_told_by_whoever_passes_it_over() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    quire.json(&["deposit", "--wallet", "alice", "--amount", "1eth"]);
    for blocks in [0, 5] {
        if blocks > 0 {
            quire.json(&["l1", "mine", "5", "--trial"]);
        }
        for command in ["run", "seal", "status"] {
            let args = [command, "--confirmations", "12"];
            let wait = json!({
                "waits_for": "confirmations",
                "entries": { "start": 2, "end": 3 },
                "blocks": blocks,
                "needed": 12,
            });
            assert_eq!(quire.json(&args)["waits"], json!([wait]), "{command}");
            let text = said(&quire, &args);
            let expected =
                format!("entry 2 of the L1 queue, the oldest with {blocks} of 12 blocks");
            assert!(text.contains(&expected), "{command}: {text}");
        }
    }
    let account = ["account", "4", "--confirmations", "12"];
    let refused = quire.fails_with(1, &account);
    assert!(refused.contains("5 of 12 blocks"), "{refused}");
    quire.json(&["l1", "mine", "7", "--trial"]);
    let ready = quire.json(&["status", "--confirmations", "12"]);
    assert_eq!(ready["waits"][0]["waits_for"], "sealing");
    assert_eq!(ready["waits"][0]["entries"], 1);
    let ran = quire.json(&["run", "--confirmations", "12"]);
    assert_eq!((&ran["batches"], &ran["waits"]), (&json!(1), &json!([])));
    assert!(!said(&quire, &["status"]).contains("waiting for"));
}

#[test]
fn an_operation_says_what_it_waits_for_at_each_step() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let sent = quire.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "1gwei",
    ]);
    let id = sent["id"].as_str().unwrap();
    let steps = [
        (None, "sealing", "the operator's next batch"),
        (
            Some(&["seal", "--all"][..]),
            "proving",
            "waiting for a proof",
        ),
        (Some(&["prove"][..]), "submission", "who may submit"),
    ];
    for (command, waits_for, words) in steps {
        if let Some(command) = command {
            quire.json(command);
        }
        assert_eq!(quire.json(&["tx", id])["waits"]["waits_for"], waits_for);
        let status = quire.json(&["status"]);
        assert_eq!(status["waits"][0]["waits_for"], waits_for);
        for command in [&["tx", id][..], &["status"]] {
            let text = said(&quire, command);
            assert!(text.contains(words), "{command:?}: {text}");
        }
    }
    quire.json(&["submit"]);
    assert!(quire.json(&["tx", id])["waits"].is_null());
    assert_eq!(quire.json(&["status"])["waits"], json!([]));
}

#[test]
fn what_was_dropped_is_told_in_text_as_in_json() {
    for json in [true, false] {
        let quire = Quire::with_accounts();
        quire.json(&["run"]);
        let sent = quire.json(&[
            "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "5eth",
        ]);
        if json {
            assert_eq!(quire.json(&["run"])["dropped"], 1);
        } else {
            let text = said(&quire, &["run"]);
            assert!(text.contains("1 operations were dropped"), "{text}");
        }
        let tx = quire.json(&["tx", sent["id"].as_str().unwrap()]);
        assert_eq!(
            (&tx["status"], &tx["waits"]),
            (&json!("rejected"), &json!(null))
        );
    }
}
