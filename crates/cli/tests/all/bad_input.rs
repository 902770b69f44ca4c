//! Whatever is wrong with the input, the program says what and where, and nothing is lost.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use l1::NativeL1;
use prover::key::AllowDevKeys;
use serde_json::Value;

use crate::fixture::{Quire, text, tiny_keys};
use crate::path::HISTORY;

/// Commands that fail on a deployment with two accounts, and what the message says.
#[test]
fn bad_arguments_are_refused() {
    let quire = Quire::with_accounts();
    let before = quire.json(&["status"]);
    let transfer = |rest: &'static [&'static str]| {
        let start = [
            "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount",
        ];
        [&start[..], rest].concat()
    };
    let garbage = quire.write("garbage.json", "{\"version\": 1, \"private_key\": \"00\"");
    let (seed, digits) = (quire.write("seed", "12"), "12".repeat(32));
    let table: Vec<(Vec<&str>, &str)> = vec![
        (transfer(&["x"]), "not an amount"),
        (transfer(&["-1"]), "unexpected argument"),
        (transfer(&["1.5"]), "whole number"),
        (
            transfer(&["340282366920938463463374607431768211456"]),
            "2^128",
        ),
        (transfer(&["34359738375"]), "0.00000003435973837 ETH"),
        (transfer(&["1", "--fee", "2049"]), "11 bits"),
        (transfer(&["1", "--nonce", "1099511627776"]), "2^40"),
        (transfer(&["1", "--nonce", "99999999"]), "nonce"),
        (
            transfer(&["1", "--valid-until", "1"]),
            "valid until 1970-01-01T00:00:01Z,",
        ),
        (
            vec![
                "transfer", "--wallet", "alice", "--from", "3", "--to", "2", "--amount", "1",
            ],
            "another key",
        ),
        (
            vec![
                "transfer", "--wallet", "alice", "--from", "9", "--to", "2", "--amount", "1",
            ],
            "no account 9",
        ),
        (
            vec![
                "transfer", "--wallet", "alice", "--from", "2", "--to", "9", "--amount", "1",
            ],
            "no account 9",
        ),
        (
            vec![
                "transfer",
                "--wallet",
                "alice",
                "--from",
                "4294967296",
                "--to",
                "2",
                "--amount",
                "1",
            ],
            "4294967296",
        ),
        (
            vec![
                "transfer", "--wallet", "carol", "--from", "2", "--to", "3", "--amount", "1",
            ],
            "carol",
        ),
        (
            vec![
                "transfer", "--wallet", &garbage, "--from", "2", "--to", "3", "--amount", "1",
            ],
            "garbage.json",
        ),
        (
            vec![
                "withdraw", "--wallet", "bob", "--from", "2", "--amount", "1",
            ],
            "another key",
        ),
        (
            vec!["withdraw", "--wallet", "bob", "--from", "2", "--force"],
            "belongs to",
        ),
        (
            vec![
                "withdraw", "--wallet", "bob", "--from", "3", "--force", "--fee", "1",
            ],
            "cannot be used with",
        ),
        (
            vec!["withdraw", "--wallet", "bob", "--claim", "--nonce", "1"],
            "cannot be used with",
        ),
        (
            vec!["withdraw", "--wallet", "bob", "--from", "3"],
            "--amount",
        ),
        (
            vec!["withdraw", "--wallet", "bob", "--claim"],
            "nothing to claim",
        ),
        (
            vec![
                "deposit", "--wallet", "bob", "--amount", "1", "--token", "DOGE",
            ],
            "DOGE",
        ),
        (
            vec![
                "deposit", "--wallet", "bob", "--amount", "1", "--token", "1",
            ],
            "no token",
        ),
        (
            vec![
                "deposit",
                "--wallet",
                "bob",
                "--amount",
                "1",
                "--account",
                "77",
            ],
            "no account 77",
        ),
        (
            vec![
                "deposit",
                "--wallet",
                "bob",
                "--amount",
                "0",
                "--account",
                "2",
            ],
            "more than 0",
        ),
        (
            vec![
                "deposit", "--wallet", "bob", "--amount", "1", "--shape", "tiny",
            ],
            "--shape",
        ),
        (
            vec!["wallet", "new", "alice", "--no-passphrase"],
            "alice.json exists",
        ),
        (vec!["wallet", "new", "a b"], "not a wallet name"),
        (vec!["wallet", "show", "carol"], "wallet new carol"),
        (vec!["account", "0"], "no account 0"),
        (vec!["account"], "required"),
        (vec!["import", "x.csv"], "has a deployment already"),
        (vec!["import", "x.csv", "--shape", "t17"], "tiny, t16"),
        (
            vec!["import", "x.csv", "--shape", "tiny", "--shape", "t16"],
            "one depth",
        ),
        (
            vec!["import", "x.csv", "--seed-file", &seed],
            "64 hexadecimal digits",
        ),
        (
            vec!["import", "x.csv", "--seed-file", "/dev/zero"],
            "this is not a seed",
        ),
        (vec!["import", "x.csv", "--seed", &digits], "--seed"),
        (vec!["prove", "--memory", "lots"], "not an amount of memory"),
        (vec!["prove", "--memory", "1MiB"], "too small"),
        (vec!["circuit", "stats", "--transfers", "3"], "even, got 3"),
        (vec!["circuit", "stats", "--depth", "17"], "got 17"),
        (vec!["circuit", "stats", "--shape", "none"], "tiny, t16"),
        (vec!["keys", "setup", "--shape", "tiny"], "--force"),
        (
            vec!["verify", "/nonexistent", "--vk", "/nonexistent.vk"],
            "/nonexistent.vk",
        ),
        (vec!["frobnicate"], "unrecognized"),
        (vec![], "Usage"),
    ];
    for (args, expected) in table {
        let message = quire.fails(&args);
        assert!(
            message.contains(expected),
            "{args:?} should say {expected:?}: {message}"
        );
    }
    assert_eq!(quire.json(&["status"]), before, "nothing changed");
}

#[test]
fn a_used_nonce_is_refused_and_the_same_operation_is_acknowledged_again() {
    let quire = Quire::with_accounts();
    let args = [
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "5",
    ];
    let first = quire.json(&args);
    let again = quire.json(&[&args[..], &["--nonce", "0"]].concat());
    assert_eq!(first["id"], again["id"]);
    let other = [
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "6", "--nonce",
        "0",
    ];
    assert!(quire.fails(&other).contains("taken"));
    quire.json(&["seal", "--all"]);
    assert!(quire.fails(&other).contains("nonce"));
    assert_eq!(quire.json(&["status"])["waiting"], 0);
}

#[test]
fn an_operation_that_cannot_pay_is_dropped_and_blocks_nobody() {
    let quire = Quire::with_accounts();
    let mut send = quire.command(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "3eth",
    ]);
    let output = send.output().unwrap();
    assert!(output.status.success());
    let warning = crate::fixture::text(&output.stderr);
    assert!(warning.contains("account 2 has 2 ETH"), "{warning}");
    quire.json(&[
        "transfer", "--wallet", "bob", "--from", "3", "--to", "2", "--amount", "5",
    ]);
    let sealed = quire.json(&["seal", "--all"]);
    assert_eq!(
        (&sealed["transfers"], &sealed["dropped"], &sealed["waiting"]),
        (&1.into(), &1.into(), &0.into())
    );
}

#[test]
fn bad_rows_are_counted_and_bad_files_refused() {
    let row = |token: &str, from: &str, amount: &str| {
        format!("1,0,{token},{from},0x00000000000000000000000000000000000000b2,{amount},1,0\n")
    };
    let address = "0x00000000000000000000000000000000000000a1";
    let bad = [
        row("ETH", address, "-1"),
        row("ETH", address, "0x10"),
        row("ETH", address, "340282366920938463463374607431768211456"),
        row("ETH", "0x00", "1"),
        row("ETH", "00000000000000000000000000000000000000000a", "1"),
        row("BTC", address, "1"),
        "1,2,3\n".to_owned(),
        "\u{fffd},\u{0},,,,,,\n".to_owned(),
    ];
    let quire = Quire::new();
    let file = quire.write("history.csv", format!("{HISTORY}{}", bad.concat()));
    let imported = quire.json(&["import", &file, "--shape", "tiny"]);
    assert_eq!(
        (
            &imported["rows"],
            &imported["imported"],
            &imported["rejected"]
        ),
        (&13.into(), &5.into(), &8.into())
    );
    assert_eq!(quire.json(&["audit"])["ok"], true);

    let quire = Quire::new();
    let header = quire.write("header.csv", "a,b,c\n1,2,3\n");
    let gzip = quire.write("cut.csv.gz", [0x1f, 0x8b, 8, 0, 1, 2]);
    let missing = quire.path("missing.csv");
    for (file, expected) in [
        (
            header.as_str(),
            "line 1 has to name the columns token, from, to, amount",
        ),
        (gzip.as_str(), "cut.csv.gz"),
        (missing.to_str().unwrap(), "missing.csv"),
    ] {
        let message = quire.fails(&["import", file, "--shape", "tiny"]);
        assert!(message.contains(expected), "{message}");
        assert!(!quire.path("rollup").exists(), "nothing was made");
    }
}

#[test]
fn a_missing_or_unwritable_directory_is_said() {
    let quire = Quire::new();
    for command in ["status", "seal", "run", "audit", "prove", "submit"] {
        let message = quire.fails(&[command]);
        assert!(message.contains("no deployment in"), "{message}");
    }
    // Not writable for anybody, whoever runs this.
    let file = quire.write("file", "not a folder");
    let history = quire.write("history.csv", HISTORY);
    let inside = format!("{file}/data");
    let mut import = crate::fixture::program();
    import.args(["--data-dir", &inside, "import", &history, "--shape", "tiny"]);
    let message = crate::fixture::error_of(&mut import, &["import"]);
    assert!(message.contains(&inside), "{message}");
    let mut setup = crate::fixture::program();
    setup.args(["--data-dir", &inside, "keys", "setup", "--shape", "tiny"]);
    let message = crate::fixture::error_of(&mut setup, &["keys", "setup"]);
    assert!(message.contains(&inside), "{message}");
}

#[test]
fn a_second_writer_waits_and_readers_do_not() {
    let quire = Quire::with_accounts();
    let file = quire.path("rollup/l1.redb");
    let held = NativeL1::open(&file, AllowDevKeys::Yes).unwrap();
    let before = std::fs::read(&file).unwrap();
    let pay = [
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "1", "--wait",
    ];
    let message = quire.fails_with(4, &[&pay[..], &["0"]].concat());
    assert!(message.contains("another process"), "{message}");
    // Who only looks is served, and changes nothing.
    let l1 = quire.json(&["l1", "status"]);
    assert_eq!(quire.json(&["status"])["l1_height"], l1["height"]);
    quire.json(&["account", "2"]);
    quire.json(&["batch", "list"]);
    quire.json(&["audit"]);
    quire.json(&["keys", "verify", "--shape", "tiny", "--no-proof"]);
    let public = quire.path("public");
    quire.json(&["keys", "export", public.to_str().unwrap()]);
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // Who writes waits for its turn, and says for what.
    let mut waiting = quire.command(&[&pay[..], &["600"]].concat());
    let mut waiting = waiting.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let line = said.find_map(|line| line.ok().filter(|line| line.contains("waiting at most")));
    assert!(line.unwrap().contains("l1.redb"));
    drop(held);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(quire.json(&["status"])["waiting"], 1);
}

/// Both prove the same batch, and one of them makes it final first.
#[test]
fn two_processes_that_run_at_once_both_end() {
    let quire = Quire::with_accounts();
    let runs = [(), ()].map(|()| {
        let mut run = quire.command(&["run", "--json"]);
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run.spawn().unwrap()
    });
    let outputs = runs.map(|run| run.wait_with_output().unwrap());
    let mut batches = 0;
    for output in &outputs {
        assert!(output.status.success(), "{}", text(&output.stderr));
        let ran: Value = serde_json::from_slice(&output.stdout).unwrap();
        batches += ran["batches"].as_u64().unwrap();
    }
    assert_eq!(batches, 1);
    assert_eq!(quire.json(&["audit", "--replay"])["ok"], true);
}

/// Who only reads checks what it reads: it shows what was written, or nothing.
#[test]
fn a_flipped_bit_is_refused_by_those_that_only_look() {
    let quire = Quire::with_accounts();
    let path = quire.path("rollup/l1.redb");
    let looks: [&[&str]; 2] = [&["account", "2", "3"], &["l1", "status"]];
    let expected = looks.map(|args| quire.json(args)["totals"].clone());
    let owners = |shown: &Value| {
        let shown = shown.as_array().into_iter().flatten();
        shown.map(|one| one["owner"].clone()).collect::<Vec<_>>()
    };
    let account = owners(&quire.json(looks[0]));
    let good = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let mut refused = 0;
    for (turn, at) in used.iter().step_by(used.len() / 60).enumerate() {
        let mut bad = good.clone();
        bad[*at] ^= 1 << (turn % 8);
        std::fs::write(&path, bad).unwrap();
        for (args, expected) in looks.iter().zip(&expected) {
            let output = quire.command(args).arg("--json").output().unwrap();
            let said = text(&output.stderr);
            if output.status.success() {
                let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(shown["totals"], *expected, "byte {at}");
                assert!(shown.is_object() || owners(&shown) == account, "byte {at}");
            } else {
                let code = output.status.code().unwrap();
                assert!((1..=5).contains(&code), "byte {at}: {code}: {said}");
                refused += 1;
            }
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn damaged_databases_are_refused() {
    let quire = Quire::with_accounts();
    for name in ["l1.redb", "batcher.redb", "operator.json"] {
        let path = quire.path("rollup").join(name);
        // Who only looks does not need the operator's wallet.
        let args = match name {
            "operator.json" => &["seal"][..],
            _ => &["status"],
        };
        let good = std::fs::read(&path).unwrap();
        for bad in [
            b"garbage".to_vec(),
            Vec::new(),
            good[..good.len() / 2].to_vec(),
        ] {
            std::fs::write(&path, bad).unwrap();
            for args in [args, &["seal"]] {
                let message = quire.fails(args);
                assert!(message.contains(name), "{message}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        let message = quire.fails(args);
        assert!(message.contains(name), "{message}");
        std::fs::write(&path, good).unwrap();
        quire.json(&["status"]);
    }
    let other = Quire::with_accounts();
    std::fs::copy(
        other.path("rollup/batcher.redb"),
        quire.path("rollup/batcher.redb"),
    )
    .unwrap();
    let message = quire.fails(&["status"]);
    assert!(message.contains("this deployment has"), "{message}");
}

/// Keys that are missing, cut, changed, of another version, another kind or another circuit.
#[test]
fn keys_that_cannot_be_used_are_refused() {
    let quire = Quire::with_accounts();
    let folder = quire.path("other-keys");
    std::fs::create_dir(&folder).unwrap();
    let (proving, verifying) = (folder.join("tiny.pk"), folder.join("tiny.vk"));
    let keys_dir = ["--keys-dir", folder.to_str().unwrap()];
    let fails = |args: &[&str]| {
        let mut command = crate::fixture::program();
        command
            .arg("--data-dir")
            .arg(quire.dir())
            .arg("--allow-dev-keys");
        crate::fixture::error_of(command.args(args).args(keys_dir), args)
    };
    assert!(fails(&["prove"]).contains("quire keys setup --shape tiny"));

    let good = std::fs::read(tiny_keys().join("tiny.pk")).unwrap();
    let small = std::fs::read(tiny_keys().join("tiny.vk")).unwrap();
    let patched = |bytes: &[u8], at: usize, value: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let huge = u64::MAX.to_le_bytes();
    let files = [
        (Vec::new(), "bytes"),
        (b"not a key".to_vec(), "bytes"),
        (good[..good.len() - 1].to_vec(), "damaged or incomplete"),
        (small.clone(), "not a Quire proving key"),
        (patched(&good, 8, &[9]), "version 9"),
        (patched(&good, 16, &[0xff; 32]), "another circuit"),
        (patched(&good, 48, &huge), ""),
        (patched(&good, 64, &huge), ""),
        (
            patched(&good, good.len() / 2, &[good[good.len() / 2] ^ 1]),
            "damaged",
        ),
    ];
    for (bytes, expected) in files {
        std::fs::write(&proving, bytes).unwrap();
        let message = fails(&["prove"]);
        assert!(
            message.contains("tiny.pk") && message.contains(expected),
            "{expected:?}: {message}"
        );
    }

    let mut strict = crate::fixture::program();
    std::fs::write(&proving, &good).unwrap();
    strict
        .arg("--data-dir")
        .arg(quire.dir())
        .arg("prove")
        .args(keys_dir);
    let message = crate::fixture::error_of(&mut strict, &["prove"]);
    assert!(message.contains("insecure"), "{message}");

    quire.json(&["prove"]);
    let files = [
        (Vec::new(), ""),
        (small[..small.len() - 1].to_vec(), "incomplete"),
        (good[..200].to_vec(), "not a Quire verifying key"),
        (patched(&small, 8, &[9]), "version 9"),
        (patched(&small, 48, &[0xff; 4]), "name"),
        (patched(&small, small.len() - 40, &[7]), ""),
    ];
    for (bytes, expected) in files {
        std::fs::write(&verifying, bytes).unwrap();
        let message = fails(&["submit"]);
        assert!(
            message.contains("tiny.vk") && message.contains(expected),
            "{expected:?}: {message}"
        );
        assert!(fails(&["keys", "info"]).contains("tiny.vk"));
    }
    assert_eq!(quire.json(&["submit"])["batches"], 1, "nothing was lost");
}

#[test]
fn a_private_key_is_never_shown() {
    use std::os::unix::fs::PermissionsExt;
    let quire = Quire::new();
    quire.json(&["wallet", "new", "alice", "--no-passphrase"]);
    let file = quire.path("wallets/alice.json");
    let wallet: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let secret = wallet["private_key"].as_str().unwrap().to_owned();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    for args in [
        &["wallet", "show", "alice"][..],
        &["wallet", "show", "alice", "--json"],
    ] {
        let output = quire.command(args).output().unwrap();
        assert!(output.status.success());
        let shown = crate::fixture::text(&[output.stdout, output.stderr].concat());
        assert!(!shown.contains(&secret));
    }
    let export = quire.path("secret.txt");
    let args = [
        "wallet",
        "show",
        "alice",
        "--export-private-key",
        export.to_str().unwrap(),
    ];
    assert!(!quire.json(&args).to_string().contains(&secret));
    assert_eq!(std::fs::read_to_string(&export).unwrap().trim(), secret);
    assert_eq!(mode(&export), 0o600);
    assert!(quire.fails(&args).contains("secret.txt exists"));
    // A wallet whose parts do not belong together, and one cut inside its key.
    let other = format!("{:064x}", 5);
    let changed = std::fs::read_to_string(&file)
        .unwrap()
        .replace(&secret, &other);
    let changed = quire.write("changed.json", changed);
    assert!(
        quire
            .fails(&["wallet", "show", &changed])
            .contains("belongs to")
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let cut = quire.write("cut.json", &text[..text.find(&secret).unwrap() + 20]);
    let message = quire.fails(&["wallet", "show", &cut]);
    assert!(
        message.contains("cut.json") && !message.contains(&secret[..16]),
        "{message}"
    );
}

/// What has no end or no size is not read whole, and pasted arguments steer no terminal.
#[cfg(target_os = "linux")]
#[test]
fn endless_files_are_refused() {
    let quire = Quire::new();
    for (arguments, expected) in [
        (vec!["wallet", "show", "/dev/zero"], "not a wallet"),
        (
            vec!["--config", "/dev/zero", "config", "show"],
            "no configuration",
        ),
    ] {
        let error = quire.fails(&arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let error = quire.fails(&["\u{9b}31mfoo"]);
    assert!(!error.contains('\u{9b}'), "{error:?}");
}
