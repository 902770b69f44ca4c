//! Deployments by `init`, and batches listed, shown and exported.

use std::process::Stdio;

use l1::Submission;

use crate::fixture::{Quire, error_of, text, tiny_keys};

#[test]
fn a_deployment_is_as_it_was_planned() {
    let quire = Quire::new();
    let usdc = "USDC:6=0x00000000000000000000000000000000000000aa";
    let made = quire.json(&[
        "init",
        "--shape",
        "tiny",
        "--token",
        usdc,
        "--fee-token",
        "usdc",
        "--l1-fee",
        "20gwei",
    ]);
    assert_eq!(
        (&made["tokens"][1]["symbol"], &made["tokens"][1]["decimals"]),
        (&"USDC".into(), &6.into())
    );
    assert_eq!(made["l1_fee"], "20000000000");
    assert_eq!(made["operator_protection"], "none");
    let fees = serde_json::json!([{"token": 0, "account": 1}, {"token": 1, "account": 2}]);
    assert_eq!(made["fee_accounts"], fees);
    quire.json(&["wallet", "new", "alice", "--no-passphrase"]);
    let into = [
        "deposit", "--wallet", "alice", "--amount", "100", "--token", "USDC",
    ];
    assert_eq!(quire.json(&into)["account"], 3);
    quire.json(&into);
    quire.json(&["seal", "--all"]);
    quire.json(&[
        "transfer", "--wallet", "alice", "--from", "3", "--to", "4", "--amount", "10", "--fee", "5",
    ]);
    quire.json(&["seal", "--all"]);
    assert_eq!(
        quire.json(&["account", "2"])[0]["balance"],
        "5",
        "fees in USDC have an account"
    );

    let message = quire.fails_with(1, &["init", "--shape", "tiny"]);
    assert!(message.contains("has a deployment already"), "{message}");
    let other = Quire::new();
    for (args, status, expected) in [
        (
            &["init", "--token", "USDC:6"][..],
            2,
            "SYMBOL:DECIMALS=ADDRESS",
        ),
        (
            &["init", "--token", "TOK:6=0x00"],
            2,
            "SYMBOL:DECIMALS=ADDRESS",
        ),
        (&["init", "--token", "X=0x00"], 2, "how many decimals"),
        (&["init", "--fee-token", "X"], 2, "no token"),
        (&["init", "--fee-token", "ETH"], 2, "a fee account already"),
        (&["init", "--l1-fee", "x"], 2, "not an amount"),
        (&["init", "--operator", "nobody"], 4, "no wallet"),
        (
            &["init", "--shape", "tiny", "--l1", "/elsewhere"],
            2,
            "leave --l1 out",
        ),
        (
            &[
                "init",
                "--shape",
                "tiny",
                "--token",
                ":6=0x00000000000000000000000000000000000000aa",
            ],
            2,
            "1 to 16 characters",
        ),
        (
            &[
                "init",
                "--shape",
                "tiny",
                "--token",
                "E\u{1b}:6=0x00000000000000000000000000000000000000aa",
            ],
            2,
            "letters and digits",
        ),
    ] {
        let message = other.fails_with(status, args);
        assert!(
            message.contains(expected) && !message.contains('\u{1b}'),
            "{args:?}: {message}"
        );
        assert!(!other.path("rollup").exists(), "nothing was made");
    }
}

#[test]
fn a_batch_is_shown_decoded_and_exported_whole() {
    let quire = Quire::with_accounts();
    quire.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "0.25eth",
        "--fee", "20gwei",
    ]);
    quire.json(&[
        "withdraw", "--wallet", "bob", "--from", "3", "--amount", "5",
    ]);
    quire.json(&["seal", "--all"]);
    let listed = quire.json(&["batch", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["l1_ops"], 2);
    assert_eq!(
        (&listed[1]["stage"], &listed[1]["transfers"]),
        (&"sealed".into(), &1.into())
    );
    let some = quire.json(&["batch", "list", "--from", "2", "--limit", "5"]);
    assert_eq!(
        some.as_array().unwrap()[..],
        listed.as_array().unwrap()[1..]
    );
    assert_eq!(
        quire.json(&["batch", "list", "--from", "3"]),
        serde_json::json!([])
    );

    let first = quire.json(&["batch", "show", "1"]);
    assert_eq!(first["l1_ops"][0]["kind"], "create");
    assert_eq!(first["l1_ops"][0]["amount"], "2000000000000000000");
    let second = quire.json(&["batch", "show", "2"]);
    assert_eq!(second["old_root"], first["new_root"]);
    let transfer = serde_json::json!(
        {"slot": 0, "from": 2, "to": 3, "token": 0, "symbol": "ETH", "decimals": 18,
         "amount": "250000000000000000", "fee": "20000000000"});
    assert_eq!(second["transfers"][0], transfer);
    assert_eq!(second["withdrawals"][0]["amount"], "5");
    assert_eq!(second["payouts"][0]["account"], 3);
    assert_eq!(second["fee_accounts"], serde_json::json!([1]));
    let output = quire.command(&["batch", "show", "2"]).output().unwrap();
    let said = text(&output.stdout);
    assert!(
        said.contains("0.25 ETH") && said.contains("0.00000002 ETH"),
        "{said}"
    );
    for missing in ["0", "3", "18446744073709551615"] {
        let message = quire.fails_with(1, &["batch", "show", missing]);
        assert!(message.contains("from 1 to 2"), "{message}");
    }

    let (folder, file) = (quire.path("export"), quire.path("export.bin"));
    let (folder, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
    let message = quire.fails_with(1, &["batch", "export", "1", folder]);
    assert!(message.contains("no proof yet"), "{message}");
    quire.json(&["prove", "--max-batches", "1"]);
    assert_eq!(quire.json(&["batch", "show", "1"])["proof_bytes"], 256);
    let neighbour = quire.path(".export.new");
    std::fs::create_dir(&neighbour).unwrap();
    quire.json(&["batch", "export", "1", folder]);
    assert!(neighbour.exists(), "somebody else's folder was removed");
    let key = tiny_keys().join("tiny.vk");
    let verified = quire.json(&["verify", folder, "--vk", key.to_str().unwrap()]);
    assert_eq!(verified["new_root"], first["new_root"]);
    let single = quire.json(&["batch", "export", "1", file, "--single-file"]);
    let bytes = std::fs::read(file).unwrap();
    assert_eq!(single["bytes"], bytes.len());
    let submission = Submission::from_bytes(&bytes).unwrap();
    let data = std::fs::read(format!("{folder}/data.bin")).unwrap();
    assert_eq!(submission.data, data);
    for args in [
        &["batch", "export", "1", folder][..],
        &["batch", "export", "1", file, "--single-file"],
    ] {
        assert!(quire.fails_with(1, args).contains("not replaced"));
    }
}

/// Proving takes minutes, and what others write meanwhile is served and becomes final.
#[test]
fn others_write_while_a_process_proves() {
    let quire = Quire::with_accounts();
    // While a process proves, others write.
    quire.json(&["wallet", "new", "carol", "--no-passphrase"]);
    for nonce in 0..6 {
        let nonce = nonce.to_string();
        quire.json(&[
            "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "1",
            "--nonce", &nonce,
        ]);
    }
    quire.json(&["seal", "--all"]);
    let mut first = quire.command(&["run", "-v"]);
    let mut first = first
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = std::io::BufReader::new(first.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("other commands may write") {
        line.clear();
        assert!(
            std::io::BufRead::read_line(&mut told, &mut line).unwrap() > 0,
            "it never proved"
        );
    }
    let signal = |name: &str| {
        let id = first.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        assert!(sent.unwrap().success());
    };
    let deposit = [
        "deposit", "--wallet", "carol", "--amount", "1", "--wait", "0",
    ];
    loop {
        // Stopped where it is; for a moment after each proof it has the files.
        signal("-STOP");
        let output = quire.command(&deposit).output().unwrap();
        if output.status.success() {
            break;
        }
        signal("-CONT");
    }
    assert!(first.try_wait().unwrap().is_none(), "it still proves");
    let status = quire.json(&["status"]);
    assert_eq!(status["finalized"], 0);
    assert_ne!(status["unproved"], 0);
    let sealed = quire.json(&["seal", "--all"]);
    assert_eq!(
        (&sealed["batches"], &sealed["l1_ops"]),
        (&1.into(), &1.into())
    );
    let signal = std::process::Command::new("kill")
        .args(["-CONT", &first.id().to_string()])
        .status();
    assert!(signal.unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut told, &mut rest).unwrap();
    assert!(first.wait().unwrap().success(), "{rest}");
    let status = quire.json(&["status"]);
    assert_eq!(status["finalized"], status["sealed"]);
    let missing = ["status"];
    let mut elsewhere = quire.command(&missing);
    let elsewhere = elsewhere.arg("--l1").arg("/nonexistent/l1.redb");
    assert!(error_of(elsewhere, &missing).contains("/nonexistent/l1.redb"));
}
