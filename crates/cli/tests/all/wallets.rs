//! Wallets: encryption, import of other libraries' keys, and what never leaves them.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use ledger::eddsa::PrivateKey;

use crate::fixture::{Quire, failure_of, text};

#[path = "../../../ledger/tests/vectors_folder/mod.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod vectors_folder;

const PASSPHRASE: &str = "correct horse battery staple";

/// The command with the passphrase in the environment.
fn unlocked(quire: &Quire, args: &[&str]) -> Command {
    let mut command = quire.command(args);
    command.env("QUIRE_PASSPHRASE", PASSPHRASE);
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn an_encrypted_wallet_serves_with_its_passphrase_only() {
    let quire = Quire::new();
    quire.json(&["init", "--shape", "tiny"]);
    done(&mut unlocked(
        &quire,
        &["wallet", "new", "alice", "--kdf-cost", "light"],
    ));
    let file = quire.path("wallets/alice.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = quire.json(&["wallet", "show", "alice"]);
    assert_eq!(
        shown["protection"], "passphrase",
        "seen without the passphrase"
    );

    let deposit = ["deposit", "--wallet", "alice", "--amount", "1eth"];
    let message = quire.fails_with(4, &deposit);
    assert!(
        message.contains("--passphrase-file or QUIRE_PASSPHRASE"),
        "{message}"
    );
    let mut wrong = quire.command(&deposit);
    let (status, message) = failure_of(wrong.env("QUIRE_PASSPHRASE", "incorrect"), &deposit);
    assert_eq!(status, 3);
    assert!(
        message.contains("passphrase is wrong") && message.contains("alice.json"),
        "{message}"
    );
    assert!(!message.contains("incorrect"), "{message}");
    done(&mut unlocked(&quire, &deposit));
    // A file goes before the environment; its first line is the passphrase.
    let pass = quire.write("pass", format!("{PASSPHRASE}\r\nand more\n"));
    let mut both = quire.command(&[&deposit[..], &["--passphrase-file", &pass]].concat());
    done(both.env("QUIRE_PASSPHRASE", "incorrect"));
    for (contents, expected) in [
        ("", "empty"),
        ("\nx", "empty"),
        (&"x".repeat(2000), "more than"),
    ] {
        let bad = quire.write("bad", contents);
        let message = quire.fails_with(3, &[&deposit[..], &["--passphrase-file", &bad]].concat());
        assert!(message.contains(expected), "{message}");
    }
    quire.fails_with(
        4,
        &[&deposit[..], &["--passphrase-file", "/nonexistent"]].concat(),
    );
    assert_eq!(
        quire.json(&["status"])["queue_tail"],
        2,
        "two deposits and no more"
    );
}

/// Neither passphrase nor private key in anything that is printed or written, however much is told.
#[test]
fn secrets_are_in_no_output() {
    let quire = Quire::new();
    let args = ["-vvv", "wallet", "new", "alice", "--kdf-cost", "light"];
    let output = done(&mut unlocked(&quire, &args));
    let mut seen = [output.stdout, output.stderr].concat();
    let export = quire.path("secret");
    let args = [
        "-vvv",
        "wallet",
        "show",
        "alice",
        "--json",
        "--export-private-key",
    ];
    let output = done(unlocked(&quire, &args).arg(&export));
    seen.extend([output.stdout, output.stderr].concat());
    seen.extend(std::fs::read(quire.path("wallets/alice.json")).unwrap());
    let secret = std::fs::read_to_string(&export).unwrap();
    let seen = text(&seen);
    assert!(
        seen.contains("wallet read"),
        "tracing tells of the wallet: {seen}"
    );
    assert!(
        !seen.contains(secret.trim()) && !seen.contains(PASSPHRASE),
        "{seen}"
    );
    let key = PrivateKey::from_seed(&hex::decode(secret.trim()).unwrap());
    let shown = quire.json(&["wallet", "show", "alice"]);
    assert_eq!(shown["public_key"], hex::encode(key.public_key().pack()));
}

/// Keys of circomlibjs 0.1.7, from its vectors (`VECTORS_DIR` names another set): an imported key has the public key that circomlibjs
/// gives it, and makes its signatures.
#[test]
fn keys_of_circomlib_vectors_are_imported() {
    let vectors = vectors_folder::read_vectors("eddsa_poseidon.json").unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&vectors).unwrap();
    let quire = Quire::new();
    let import = |name: &str, format: &str, input: &str| {
        let args = [
            "wallet",
            "import",
            name,
            "--format",
            format,
            "--no-passphrase",
            "--json",
        ];
        let output = with_input(quire.command(&args), input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        facts
    };
    let good = |case: &&serde_json::Value| case["valid"] == true;
    let cases = vectors["cases"].as_array().unwrap();
    for (number, case) in cases.iter().filter(good).take(3).enumerate() {
        let field = |name: &str| case[name].as_str().unwrap();
        let name = format!("vector-{number}");
        let imported = import(&name, "hex", field("private_key_hex"));
        assert_eq!(imported["public_key"], field("public_key_packed_hex"));
        let export = quire.path(&format!("{name}.secret"));
        let to = export.to_str().unwrap();
        quire.json(&["wallet", "show", &name, "--export-private-key", to]);
        let seed = std::fs::read_to_string(&export).unwrap();
        let key = PrivateKey::from_seed(&hex::decode(seed.trim()).unwrap());
        let message = ledger::field::from_decimal(field("message")).unwrap();
        let signature = hex::encode(key.sign(&message).pack());
        assert_eq!(signature, field("signature_packed_hex"));
    }
    let hex = "3761befa9bda4d33fa46146d88c3ba3911287a5f2685e70bc20e0b66db120e0a";
    let packed = "8dfacca6e5ba55cdaac3b68165825e944a7b249feeca83490cf23548a5a738a7";
    assert_eq!(import("hex", "hex", hex)["public_key"], packed);
    assert_eq!(
        import("prefixed", "hex", &format!("0x{hex}\n"))["public_key"],
        packed
    );
    let base64 = "N2G++pvaTTP6RhRtiMO6OREoel8mhecLwg4LZtsSDgo=";
    assert_eq!(import("base64", "base64", base64)["public_key"], packed);

    // zk-kit takes a text as its bytes, of any length.
    let imported = import("seed", "text", "a seed of other than thirty-two bytes");
    let key = PrivateKey::from_seed(b"a seed of other than thirty-two bytes");
    assert_eq!(imported["public_key"], hex::encode(key.public_key().pack()));
    let export = quire.path("exported");
    let args = [
        "wallet",
        "show",
        "seed",
        "--export-private-key",
        export.to_str().unwrap(),
    ];
    quire.json(&args);
    let exported = std::fs::read_to_string(&export).unwrap();
    assert_eq!(exported, "a seed of other than thirty-two bytes\n");

    let file = quire.write("key", "not a key, and secret");
    let message = quire.fails_with(
        3,
        &["wallet", "import", "x", "--file", &file, "--no-passphrase"],
    );
    assert!(
        message.contains("64 hexadecimal digits") && !message.contains("secret"),
        "{message}"
    );
    quire.fails_with(4, &["wallet", "import", "x", "--file", "/nonexistent"]);
    assert!(!quire.path("wallets/x.json").exists());
}

#[test]
fn wallets_are_listed_with_their_protection_and_faults() {
    let quire = Quire::new();
    assert_eq!(quire.json(&["wallet", "list"]), serde_json::json!([]));
    quire.json(&["wallet", "new", "bob", "--no-passphrase"]);
    done(&mut unlocked(
        &quire,
        &["wallet", "new", "alice", "--kdf-cost", "light"],
    ));
    std::fs::write(quire.path("wallets/evil\u{1b}[2J.json"), "{}").unwrap();
    let listed = quire.json(&["wallet", "list"]);
    let names: Vec<&str> = (listed.as_array().unwrap().iter())
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["alice", "bob", "evil\u{1b}[2J"]);
    assert_eq!(listed[0]["protection"], "passphrase");
    assert_eq!(listed[1]["protection"], "none");
    assert!(
        listed[2]["error"]
            .as_str()
            .unwrap()
            .contains("not a wallet")
    );
    let shown = text(&done(&mut quire.command(&["wallet", "list"])).stdout);
    assert!(
        shown.contains("NOT ENCRYPTED") && shown.contains("evil\\u{1b}[2J"),
        "{shown}"
    );
    assert!(
        !shown.contains('\u{1b}'),
        "no control character reaches a terminal: {shown}"
    );
}

#[test]
fn names_do_not_leave_their_folder() {
    let quire = Quire::new();
    for name in ["..", ".", "a\u{1b}[31m", "a b", "", "é", &"a".repeat(65)] {
        let message = quire.fails_with(2, &["wallet", "new", name, "--no-passphrase"]);
        assert!(
            message.contains("wallet name") && !message.contains('\u{1b}'),
            "{message}"
        );
    }
    assert!(!quire.path("wallets").exists());
}

/// The operator's wallet can be encrypted: then only submitting needs the passphrase.
#[test]
fn an_operator_with_a_passphrase_is_asked_for_it_when_it_submits() {
    let quire = Quire::new();
    let pass = quire.write("pass", PASSPHRASE);
    let made = quire.json(&["init", "--shape", "tiny", "--passphrase-file", &pass]);
    assert_eq!(made["operator_protection"], "passphrase");
    quire.json(&["wallet", "new", "alice", "--no-passphrase"]);
    quire.json(&["deposit", "--wallet", "alice", "--amount", "1eth"]);
    quire.json(&["seal", "--all"]);
    quire.json(&["prove"]);
    for command in ["submit", "run"] {
        let message = quire.fails_with(4, &[command]);
        assert!(message.contains("passphrase is needed"), "{message}");
    }
    assert_eq!(quire.json(&["status"])["finalized"], 0);
    let submitted = quire.json(&["submit", "--passphrase-file", &pass]);
    assert_eq!(submitted["batches"], 1);
}
