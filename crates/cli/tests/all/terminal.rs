//! The program on a terminal: passphrases are asked there, and not shown.

use std::process::Stdio;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::fixture::Quire;

/// Milliseconds until a test that waits in vain fails; deriving a key takes most of the time.
const PATIENCE: u64 = 60_000;
const PASSPHRASE: &str = "typed by hand";
const NEW: [&str; 5] = ["wallet", "new", "alice", "--kdf-cost", "light"];

/// Starts a command on a terminal of its own.
fn on_terminal(quire: &Quire, args: &[&str]) -> PtySession {
    let mut command = quire.command(args);
    command.stdin(Stdio::inherit());
    spawn_command(command, Some(PATIENCE)).unwrap()
}

/// Types an answer when the prompt appears.
fn answer(session: &mut PtySession, prompt: &str, typed: &str) {
    session.exp_string(prompt).unwrap();
    session.send_line(typed).unwrap();
}

/// Everything printed until the program left, and its exit status.
fn rest(session: &mut PtySession) -> (String, i32) {
    let printed = session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, status) => (printed, status),
        other => panic!("{other:?}: {printed}"),
    }
}

#[test]
fn a_passphrase_typed_twice_encrypts_a_wallet_and_opens_it() {
    let quire = Quire::new();
    quire.json(&["init", "--shape", "tiny"]);
    let mut session = on_terminal(&quire, &NEW);
    answer(&mut session, "new passphrase: ", PASSPHRASE);
    answer(&mut session, "the same again: ", PASSPHRASE);
    let (printed, status) = rest(&mut session);
    assert_eq!(status, 0, "{printed}");
    assert!(!printed.contains(PASSPHRASE), "shown: {printed}");
    assert_eq!(
        quire.json(&["wallet", "show", "alice"])["protection"],
        "passphrase"
    );

    let deposit = ["deposit", "--wallet", "alice", "--amount", "1eth"];
    for (typed, expected) in [("something else", 3), (PASSPHRASE, 0)] {
        let mut session = on_terminal(&quire, &deposit);
        answer(&mut session, "alice.json: ", typed);
        let (printed, status) = rest(&mut session);
        assert_eq!(status, expected, "{printed}");
        assert!(!printed.contains(typed), "shown: {printed}");
    }
    assert_eq!(quire.json(&["status"])["queue_tail"], 1);
}

#[test]
fn two_different_passphrases_write_nothing() {
    let quire = Quire::new();
    let mut session = on_terminal(&quire, &NEW);
    answer(&mut session, "new passphrase: ", PASSPHRASE);
    answer(&mut session, "the same again: ", "typed by hnad");
    let (printed, status) = rest(&mut session);
    assert_ne!(status, 0);
    assert!(printed.contains("nothing was written"), "{printed}");
    assert!(!quire.path("wallets/alice.json").exists());
}
