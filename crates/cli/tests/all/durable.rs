//! Files that are handed in and files that are made: marks of editors, commands that were killed, and
//! output that nobody reads.

use std::process::Stdio;

use crate::fixture::{Quire, failure_of, text};
use crate::path::HISTORY;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// A byte order mark would be part of the secret, unseen: whoever types the passphrase could not open the
/// wallet, and the key would be another.
#[test]
fn a_byte_order_mark_is_no_part_of_a_secret() {
    let quire = Quire::new();
    let passphrase = quire.write("passphrase", [MARK, b"correct horse\n"].concat());
    let new = ["wallet", "new", "alice", "--passphrase-file", &passphrase];
    let message = quire.fails_with(3, &new);
    assert!(message.contains("byte order mark"), "{message}");
    let mut command = quire.command(&["wallet", "new", "alice"]);
    let marked = "\u{feff}correct horse";
    let (status, message) = failure_of(command.env("QUIRE_PASSPHRASE", marked), &new[..3]);
    assert!(
        status == 3 && message.contains("byte order mark"),
        "{status}: {message}"
    );
    for marked in [[MARK, b"secret"].concat(), b"\xff\xfes\0".to_vec()] {
        let seed = quire.write("seed", marked);
        let import = [
            "wallet",
            "import",
            "bob",
            "--file",
            &seed,
            "--no-passphrase",
        ];
        for format in ["text", "hex", "base64"] {
            let message = quire.fails_with(3, &[&import[..], &["--format", format]].concat());
            assert!(message.contains("byte order mark"), "{message}");
        }
    }
    // UTF-16 without a mark.
    let wide = quire.write("wide", b"\0s\0e\0c\0r\0e\0t\0\n");
    let import = [
        "wallet",
        "import",
        "bob",
        "--file",
        &wide,
        "--no-passphrase",
        "--format",
        "text",
    ];
    let new = ["wallet", "new", "alice", "--passphrase-file", &wide];
    for args in [&new[..], &import] {
        let message = quire.fails_with(3, args);
        assert!(message.contains("NUL bytes"), "{message}");
    }
    assert!(!quire.path("wallets").exists());
    quire.json(&["wallet", "new", "alice", "--no-passphrase"]);
    let wallet = std::fs::read(quire.path("wallets/alice.json")).unwrap();
    let marked = quire.write("marked.json", [MARK, &wallet].concat());
    let message = quire.fails_with(3, &["wallet", "show", &marked]);
    assert!(message.contains("byte order mark"), "{message}");
}

#[test]
fn a_byte_order_mark_in_other_texts_is_said_or_skipped() {
    let quire = Quire::with_accounts();
    let operations = quire.write("operations.json", [MARK, b"[]"].concat());
    let message = quire.fails_with(3, &["accept", &operations]);
    assert!(message.contains("byte order mark"), "{message}");
    let proof = quire.write("proof.json", [MARK, b"{}"].concat());
    let verify = [
        "verify-proof",
        "--vkey",
        &proof,
        "--public",
        &proof,
        "--proof",
        &proof,
    ];
    let message = quire.fails_with(3, &verify);
    assert!(message.contains("byte order mark"), "{message}");
    // A table of another program: its reader skips the mark.
    let other = Quire::new();
    let history = other.write("history.csv", [MARK, HISTORY.as_bytes()].concat());
    let plain = other.write("plain.csv", HISTORY);
    let dir = |name: &str| other.path(name).to_str().unwrap().to_owned();
    let import = |file: &str, to: &str| {
        let output = crate::fixture::program()
            .args([
                "--json",
                "--data-dir",
                &dir(to),
                "import",
                file,
                "--shape",
                "tiny",
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (facts["imported"].clone(), facts["accounts"].clone())
    };
    assert_eq!(import(&history, "marked"), import(&plain, "plain"));
}

/// A configuration is TOML, whose reader skips the mark of UTF-8; the file of an Ethereum key is not read
/// with one.
#[test]
fn a_byte_order_mark_in_a_configuration_or_an_ethereum_key() {
    let quire = Quire::new();
    let text = b"confirmations = 7\r\nthreads = 2\r\n";
    let marked = quire.write("marked.toml", [MARK, text].concat());
    let shown = quire.json(&["config", "show", "--config", &marked]);
    let settings = shown["settings"].as_array().unwrap();
    let confirmations = settings
        .iter()
        .find(|setting| setting["setting"] == "confirmations");
    assert_eq!(confirmations.unwrap()["value"], "7");
    let wide: Vec<u8> = text.iter().flat_map(|byte| [*byte, 0]).collect();
    let wide = quire.write("wide.toml", [b"\xff\xfe", &wide[..]].concat());
    let message = quire.fails_with(2, &["config", "show", "--config", &wide]);
    assert!(message.contains("is not UTF-8"), "{message}");
    let digits = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let key = quire.write("key", [MARK, digits.as_bytes()].concat());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let only_mine = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, only_mine).unwrap();
    }
    let deploy = [
        "l1",
        "deploy",
        "--l1",
        "http://127.0.0.1:9",
        "--eth-key-file",
        &key,
    ];
    let message = quire.fails_with(3, &deploy);
    assert!(message.contains("byte order mark"), "{message}");
}

/// As other tools end when `head` has read enough: quietly, with the status of SIGPIPE. What the command
/// did stays done.
#[test]
fn output_that_nobody_reads_ends_the_command_quietly() {
    let quire = Quire::with_accounts();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for args in [
        &["--help"][..],
        &["status"],
        &["status", "--json"],
        &["batch", "list"],
        &["seal", "--all"],
    ] {
        let output = quire.command(args).stdout(closed()).output().unwrap();
        assert_eq!(output.status.code(), Some(141), "{args:?}");
        assert!(
            !text(&output.stderr).contains("quire:"),
            "{}",
            text(&output.stderr)
        );
    }
    let pay = [
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "1",
    ];
    let output = quire.command(&pay).stdout(closed()).output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(quire.json(&["status"])["waiting"], 1);
    // Notes that nobody reads end nothing.
    for args in [&["seal", "--all", "-vv"][..], &["run", "--explain"]] {
        let mut command = quire.command(args);
        let output = command.stderr(closed()).stdout(Stdio::null()).output();
        assert_eq!(output.unwrap().status.code(), Some(0), "{args:?}");
    }
    let status = quire.json(&["status"]);
    assert_eq!(
        (&status["sealed"], &status["finalized"]),
        (&2.into(), &2.into())
    );
}

/// Killed before the database had its name, a restoration is given again as it was.
#[test]
fn a_restoration_that_was_killed_is_given_again() {
    let quire = Quire::with_accounts();
    quire.json(&["run"]);
    let (l1, wallet) = (
        quire.path("rollup/l1.redb"),
        quire.path("rollup/operator.json"),
    );
    let (l1, wallet) = (l1.to_str().unwrap(), wallet.to_str().unwrap());
    let other = Quire::new();
    let restore = ["restore", "--l1", l1, "--operator", wallet];
    let first = other.json(&restore);
    std::fs::remove_file(other.path("rollup/batcher.redb")).unwrap();
    let left = other.path("rollup/.batcher.redb.draft-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("batcher.redb"), b"half").unwrap();
    let again = other.json(&restore);
    assert_eq!(again["state_root"], first["state_root"]);
    assert!(!left.exists(), "what the killed one left is gone");
    // Another wallet is still refused.
    std::fs::remove_file(other.path("rollup/batcher.redb")).unwrap();
    other.json(&["wallet", "new", "eve", "--no-passphrase"]);
    let message = other.fails_with(2, &["restore", "--l1", l1, "--operator", "eve"]);
    assert!(message.contains("operator's wallet already"), "{message}");
    other.json(&["restore", "--l1", l1]);
}

/// Killed between its two files, a setup goes on with the key that it made.
#[test]
fn a_setup_that_was_killed_is_finished() {
    let quire = Quire::new();
    let folder = quire.path("keys");
    let mut setup = crate::fixture::program();
    setup.arg("--keys-dir").arg(&folder);
    setup.args([
        "keys",
        "setup",
        "--shape",
        "tiny",
        "--insecure-dev-seed",
        "1",
        "--allow-dev-keys",
    ]);
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(
        crate::fixture::tiny_keys().join("tiny.pk"),
        folder.join("tiny.pk"),
    )
    .unwrap();
    assert!(setup.output().unwrap().status.success());
    let made = std::fs::read(folder.join("tiny.vk")).unwrap();
    assert_eq!(
        made,
        std::fs::read(crate::fixture::tiny_keys().join("tiny.vk")).unwrap()
    );
    assert_eq!(
        setup.output().unwrap().status.code(),
        Some(1),
        "keys are not replaced"
    );
}
