//! Every amount is written with its token's decimals and symbol, and every time as a date: all commands in a
//! small deployment with ETH and a token of six decimals.

use std::path::Path;

use serde_json::Value;

use crate::fixture::{Quire, text};

const USDC: &str = "USDC:6=0x00000000000000000000000000000000000000aa";

/// What a command prints, on both streams. It contains no number that could be an amount in the smallest
/// unit or a time in seconds.
fn says(quire: &Quire, args: &[&str]) -> String {
    let output = quire.command(args).output().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?}: {said}");
    no_raw_numbers(args, &said);
    said
}

fn no_raw_numbers(args: &[&str], said: &str) {
    let words = said.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '#');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    for (place, word) in words.iter().enumerate() {
        let word = word.trim_end_matches('.');
        let is_raw = word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        // A rule that knows no tokens says that it counts units.
        let says_so = words.get(place + 1) == Some(&"units");
        assert!(!is_raw || says_so, "{args:?} prints {word}:\n{said}");
    }
}

/// The id of the operation that a command signed.
fn operation_of(said: &str) -> String {
    let id = said.split("\noperation ").nth(1).unwrap();
    id.split_whitespace().next().unwrap().to_owned()
}

/// Two accounts in ETH, 3 and 4, and two in USDC, 5 and 6; 1 and 2 take the fees.
fn deployment() -> Quire {
    let quire = Quire::new();
    let made = says(
        &quire,
        &[
            "init",
            "--shape",
            "tiny",
            "--token",
            USDC,
            "--fee-token",
            "usdc",
            "--l1-fee",
            "1234567gwei",
        ],
    );
    for expected in ["ETH, USDC\n", "0.001234567 ETH", "7 days\n"] {
        assert!(made.contains(expected), "{made}");
    }
    for (wallet, amount, token) in [
        ("alice", "1.234567891 ETH", "ETH"),
        ("bob", "2345678901234gwei", "eth"),
        ("carol", "7654.321USDC", "usdc"),
        ("dave", "123456", "1"),
    ] {
        says(&quire, &["wallet", "new", wallet, "--no-passphrase"]);
        let deposit = [
            "deposit", "--wallet", wallet, "--amount", amount, "--token", token,
        ];
        says(&quire, &deposit);
    }
    says(&quire, &["seal", "--all"]);
    quire
}

#[test]
fn no_command_prints_a_raw_amount_or_time() {
    let quire = deployment();
    let quire = &quire;
    let pay = |wallet, from, to, amount, fee| {
        let sent = says(
            quire,
            &[
                "transfer", "--wallet", wallet, "--from", from, "--to", to, "--amount", amount,
                "--fee", fee,
            ],
        );
        let id = operation_of(&sent);
        (sent, id)
    };
    let (sent, _) = pay("alice", "3", "4", "0.5eth", "20gwei");
    assert!(
        sent.contains("0.5 ETH and a fee of 0.00000002 ETH from account 3"),
        "{sent}"
    );
    let (sent, _) = pay("carol", "5", "6", "1000.5 usdc", "0.25USDC");
    assert!(
        sent.contains("1000.5 USDC and a fee of 0.25 USDC"),
        "{sent}"
    );
    let (short, id) = pay("dave", "6", "5", "1234.567 USDC", "0");
    assert!(short.contains("account 6 has 0.123456 USDC"), "{short}");
    let waits = says(quire, &["mempool", "list"]);
    for expected in ["0.5 ETH", "0.00000002 ETH", "1000.5 USDC", "1234.567 USDC"] {
        assert!(waits.contains(expected), "{expected}: {waits}");
    }
    let out = [
        "withdraw",
        "--wallet",
        "carol",
        "--from",
        "5",
        "--amount",
        "0.654321 USDC",
    ];
    let withdrawn = says(quire, &out);
    let withdrawal = operation_of(&withdrawn);
    for command in [
        &["status"][..],
        &["run"],
        &["status"],
        &["batch", "list"],
        &["audit", "--replay"],
    ] {
        says(quire, command);
    }
    let account = says(quire, &["account", "3", "5", "--proof"]);
    assert!(
        account.contains("0.734567871 ETH") && account.contains("6652.916679 USDC"),
        "{account}"
    );
    let mut all = String::new();
    for number in 1..=quire.json(&["status"])["sealed"].as_u64().unwrap() {
        all.push_str(&says(quire, &["batch", "show", &number.to_string()]));
    }
    for expected in [
        "7654.321 USDC",
        "0.123456 USDC",
        "1000.5 USDC",
        "0.00000002 ETH",
        "0.654321 USDC",
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    let listed = says(quire, &["audit"]);
    assert!(listed.contains("7653.790135 USDC"), "{listed}");
    let tx = says(quire, &["tx", &withdrawal]);
    assert!(
        tx.contains("claimable  0.654321 USDC") && tx.contains("Z\n"),
        "{tx}"
    );
    // A rule knows no tokens, and says that it counts units: text has them in the account's token.
    let said = says(quire, &["tx", &id]);
    assert!(
        said.contains("needs 1234.567 USDC and a fee of 0 USDC"),
        "{said}"
    );
    let rejected = quire.json(&["tx", &id]);
    let reason = rejected["reason"].as_str().unwrap();
    assert!(reason.contains("1234567000 units"), "{reason}");
    let status = says(quire, &["l1", "status"]);
    for expected in [
        "USDC (0x00000000000000000000000000000000000000aa)",
        "0.654321 USDC",
        "0.004938268 ETH",
    ] {
        assert!(status.contains(expected), "{expected}: {status}");
    }
    assert!(says(quire, &["claim", "--wallet", "carol"]).contains("claimed 0.654321 USDC"));
    assert!(says(quire, &["l1", "collect"]).contains("0.004938268 ETH of fees"));
    says(
        quire,
        &[
            "verify",
            quire.path("batches/1").to_str().unwrap(),
            "--vk",
            key().to_str().unwrap(),
        ],
    );

    says(
        quire,
        &["exit", "request", "--wallet", "dave", "--account", "6"],
    );
    says(
        quire,
        &[
            "deposit",
            "--wallet",
            "bob",
            "--amount",
            "1.000001eth",
            "--account",
            "4",
        ],
    );
    says(quire, &["l1", "mine", "--trial"]);
    let out = quire.dir().to_str().unwrap();
    let planned = says(quire, &["exit", "plan", "4", "5", "--out", out]);
    for expected in [
        "2346.178901234 ETH",
        "6652.916679 USDC",
        "anybody may freeze L1 from 20",
    ] {
        assert!(planned.contains(expected), "{expected}: {planned}");
    }
    says(quire, &["status"]);
    says(quire, &["l1", "advance", "604801", "--trial"]);
    says(quire, &["l1", "status"]);
    says(quire, &["status"]);
    says(quire, &["freeze"]);
    says(quire, &["status"]);
    let plans = [4, 5].map(|account| quire.path(&format!("exit-{account}.json")));
    let plans = plans.each_ref().map(|plan| plan.to_str().unwrap());
    let left = says(quire, &["exit", "execute", plans[0], plans[1]]);
    for expected in [
        "2346.178901234 ETH can be claimed",
        "of 1.000001 ETH can be claimed",
    ] {
        assert!(left.contains(expected), "{expected}: {left}");
    }
}

fn key() -> std::path::PathBuf {
    crate::fixture::tiny_keys().join(Path::new("tiny.vk"))
}

#[test]
fn json_has_smallest_units_with_token_symbol_and_decimals() {
    let quire = deployment();
    let is_usdc = |facts: &Value| {
        assert_eq!(
            (&facts["token"], &facts["symbol"], &facts["decimals"]),
            (&1.into(), &"USDC".into(), &6.into()),
            "{facts}"
        );
    };
    let account = &quire.json(&["account", "5"])[0];
    is_usdc(account);
    assert_eq!(account["balance"], "7654321000");
    let sent = quire.json(&[
        "transfer", "--wallet", "carol", "--from", "5", "--to", "6", "--amount", "1.5 USDC",
    ]);
    is_usdc(&sent);
    assert_eq!(sent["amount"], "1500000");
    let waits = &quire.json(&["mempool", "list"])[0];
    is_usdc(waits);
    assert_eq!(
        (&waits["amount"], &waits["fee"]),
        (&"1500000".into(), &"0".into())
    );
    let id = sent["id"].as_str().unwrap();
    let cancel = ["mempool", "cancel", id, "--wallet", "carol"];
    is_usdc(&quire.json(&cancel));
    let pay = [
        "transfer", "--wallet", "carol", "--from", "5", "--to", "6", "--amount", "1.5 USDC",
        "--fee", "0.25USDC",
    ];
    let sent = quire.json(&pay);
    let cancel = [
        "mempool",
        "cancel",
        sent["id"].as_str().unwrap(),
        "--wallet",
        "carol",
    ];
    let cancelled = says(&quire, &cancel);
    assert!(cancelled.contains("for a fee of 0.275 USDC"), "{cancelled}");
    let sealed = quire.json(&["status"])["sealed"].as_u64().unwrap();
    let shown = (1..=sealed).map(|number| quire.json(&["batch", "show", &number.to_string()]));
    let operations: Vec<Value> = shown
        .flat_map(|batch| batch["l1_ops"].as_array().unwrap().clone())
        .collect();
    let carols = operations
        .iter()
        .find(|operation| operation["account"] == 5);
    is_usdc(carols.unwrap());
    let totals = &quire.json(&["l1", "status"])["totals"][1];
    is_usdc(totals);
    assert_eq!(totals["escrow"], "7654444456");
    let audit = quire.json(&["audit"]);
    is_usdc(&audit["tokens"]["1"]);
    assert_eq!(audit["supply"]["1"], "7654444456");
}

#[test]
fn an_amount_of_another_token_is_refused_and_both_are_named() {
    let quire = deployment();
    let deposit = |amount, token| {
        quire.fails_with(
            2,
            &[
                "deposit", "--wallet", "carol", "--amount", amount, "--token", token,
            ],
        )
    };
    let transfer = |amount| {
        quire.fails_with(
            2,
            &[
                "transfer", "--wallet", "carol", "--from", "5", "--to", "6", "--amount", amount,
            ],
        )
    };
    for (message, unit, token) in [
        (deposit("1eth", "USDC"), "\"eth\"", "USDC (0x00"),
        (deposit("20gwei", "1"), "\"gwei\"", "USDC (0x00"),
        (deposit("1 USDC", "ETH"), "\"USDC\"", "token is ETH"),
        (transfer("1eth"), "\"eth\"", "USDC (0x00"),
        (transfer("1 DAI"), "\"DAI\"", "USDC (0x00"),
    ] {
        assert!(
            message.contains(unit) && message.contains(token),
            "{message}"
        );
    }
    let message = deposit("0.1234567USDC", "USDC");
    assert!(message.contains("whole number"), "{message}");
    let message = quire.fails_with(
        1,
        &[
            "deposit",
            "--wallet",
            "alice",
            "--amount",
            "1",
            "--account",
            "5",
        ],
    );
    assert!(
        message.contains("holds USDC") && message.contains("--token is ETH"),
        "{message}"
    );
    let message = quire.fails_with(
        1,
        &[
            "transfer", "--wallet", "carol", "--from", "5", "--to", "3", "--amount", "1",
        ],
    );
    assert!(
        message.contains("holds USDC (0x00") && message.contains("holds ETH"),
        "{message}"
    );
    let message = transfer("34359.738375USDC");
    assert!(message.contains("34359.73837 USDC"), "{message}");
}

#[test]
fn symbols_that_could_be_mistaken_are_refused() {
    let quire = Quire::new();
    let address = "0x00000000000000000000000000000000000000aa";
    for (token, expected) in [
        ("USDC", "decimals"),
        ("ETH:6", "looks like"),
        ("3TH:18", "looks like"),
        ("US DC:6", "letters and digits"),
        ("\u{415}TH:18", "letters and digits"),
        ("1234:6", "number"),
        ("E+18:6", "number"),
        ("x10:6", "number"),
        ("SEVENTEENLETTERS7:6", "1 to 16"),
        ("USDC:78", "at most 77"),
        ("USDC:six", "SYMBOL:DECIMALS"),
    ] {
        let token = format!("{token}={address}");
        let message = quire.fails_with(2, &["init", "--shape", "tiny", "--token", &token]);
        assert!(message.contains(expected), "{token}: {message}");
    }
    let twice = [
        "init",
        "--shape",
        "tiny",
        "--token",
        USDC,
        "--token",
        "usdc:18=0x00000000000000000000000000000000000000bb",
    ];
    let message = quire.fails_with(2, &twice);
    assert!(
        message.contains("two tokens have the symbol usdc"),
        "{message}"
    );
    assert!(!quire.path("rollup").exists());
}
