//! From a wallet to a claim, and from a file of transfers to finality.

use std::io::Write;

use crate::fixture::{Quire, text, tiny_keys};

/// A small history: amounts that round, a zero amount, a self-transfer, a hot account.
pub const HISTORY: &str = "block,tx_index,token,from,to,amount,gas_price,nonce
1,0,ETH,0x00000000000000000000000000000000000000a1,0x00000000000000000000000000000000000000b2,1000000000000000000,1,0
1,1,ETH,0x00000000000000000000000000000000000000b2,0x00000000000000000000000000000000000000c3,500000000000000123,1,7
2,0,0x00000000000000000000000000000000000000ff,0x00000000000000000000000000000000000000a1,0x00000000000000000000000000000000000000b2,42,1,1
2,1,ETH,0x00000000000000000000000000000000000000c3,0x00000000000000000000000000000000000000c3,0,1,0
3,0,ETH,0x00000000000000000000000000000000000000a1,0x00000000000000000000000000000000000000b2,7,1,2
";

#[test]
fn a_deposit_becomes_a_claim() {
    let quire = Quire::with_accounts();
    let first = quire.json(&["run"]);
    assert_eq!(first["batches"], 1);

    let sent = quire.json(&[
        "transfer", "--wallet", "alice", "--from", "2", "--to", "3", "--amount", "0.25eth",
        "--fee", "20gwei",
    ]);
    assert_eq!(sent["nonce"], 0);
    let out = quire.json(&[
        "withdraw", "--wallet", "bob", "--from", "3", "--amount", "0.5eth",
    ]);
    assert_eq!(out["amount"], "500000000000000000");
    let waiting = quire.json(&["status"]);
    assert_eq!(waiting["waiting"], 2);

    let sealed = quire.json(&["seal", "--all"]);
    assert_eq!(
        (&sealed["batches"], &sealed["transfers"], &sealed["dropped"]),
        (&1.into(), &1.into(), &0.into())
    );
    assert!(
        quire
            .fails_with(1, &["claim", "--wallet", "bob"])
            .contains("nothing to claim")
    );
    let midway = quire.json(&["audit", "--replay"]);
    assert_eq!(
        midway["ok"], true,
        "money adds up before a batch is final: {midway}"
    );
    assert_eq!(quire.json(&["prove"])["batches"], 1);
    let submitted = quire.json(&["submit"]);
    assert_eq!(submitted["finalized_root"], sealed["state_root"]);
    let claimed = quire.json(&["claim", "--wallet", "bob"]);
    assert_eq!(claimed[0]["amount"], "500000000000000000");

    let accounts = quire.json(&["account", "1", "2", "3"]);
    let balance = |place: usize| accounts[place]["balance"].as_str().unwrap().to_owned();
    assert_eq!(balance(0), "20000000000");
    assert_eq!(balance(1), "1749999980000000000");
    assert_eq!(balance(2), "750000000000000000");
    let own = quire.json(&["account", "--wallet", "alice"]);
    assert_eq!(own[0]["account"], 2);

    quire.json(&[
        "deposit",
        "--wallet",
        "bob",
        "--amount",
        "1gwei",
        "--account",
        "2",
    ]);
    quire.json(&["withdraw", "--wallet", "alice", "--from", "2", "--force"]);
    let last = quire.json(&["run"]);
    assert_eq!(last["batches"], 1);
    let claimed = quire.json(&["withdraw", "--wallet", "alice", "--claim"]);
    assert_eq!(claimed[0]["amount"], "1749999981000000000");

    let audit = quire.json(&["audit", "--replay"]);
    assert_eq!(audit["ok"], true);
    assert_eq!(audit["roots_chain"], true);
    assert_eq!(audit["supply"]["0"], "750000020000000000");
    assert_eq!(audit["escrow"]["0"]["escrow"], "750000020000000000");
    assert_eq!(audit["state_root"], last["finalized_root"]);
}

#[test]
fn a_history_is_imported_sealed_proven_and_verified() {
    let quire = Quire::new();
    let file = quire.path("history.csv.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(HISTORY.as_bytes()).unwrap();
    gzip.write_all(b"not,a,row\n").unwrap();
    std::fs::write(&file, gzip.finish().unwrap()).unwrap();
    let file = file.to_str().unwrap();

    let imported = quire.json(&["import", file, "--shape", "tiny"]);
    let numbers = [
        "rows", "imported", "rejected", "rounded", "accounts", "tokens",
    ];
    let got = numbers.map(|key| imported[key].as_u64().unwrap());
    assert_eq!(got, [6, 5, 1, 1, 5, 2]);
    assert!(
        imported["rejections"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("columns")
    );

    let sealed = quire.json(&["seal", "--all"]);
    assert_eq!(
        (&sealed["batches"], &sealed["transfers"]),
        (&3.into(), &5.into())
    );
    let proven = quire.json(&["prove", "--max-batches", "2"]);
    assert_eq!(proven["batches"], 2);
    let ran = quire.json(&["run"]);
    assert_eq!((&ran["batches"], &ran["transfers"]), (&3.into(), &5.into()));
    assert_eq!(ran["finalized_root"], sealed["state_root"]);

    let key = tiny_keys().join("tiny.vk");
    let key = key.to_str().unwrap();
    let mut root = None;
    for number in ["1", "2", "3"] {
        let folder = quire.path("batches").join(number);
        let folder = folder.to_str().unwrap();
        let verified = quire.json(&["verify", folder, "--vk", key]);
        if let Some(root) = root {
            let verified = quire.json(&["verify", folder, "--vk", key, "--old-root", root]);
            assert_eq!(verified["old_root"], root);
        }
        let new_root = verified["new_root"].as_str().unwrap().to_owned();
        root = Some(&*Box::leak(new_root.into_boxed_str()));
        let wrong_root = format!("0x{:064x}", 5);
        let message = quire.fails(&["verify", folder, "--vk", key, "--old-root", &wrong_root]);
        assert!(message.contains("starts from root"), "{message}");
    }
    assert_eq!(root.unwrap(), ran["finalized_root"].as_str().unwrap());
    assert_eq!(quire.json(&["audit", "--replay"])["ok"], true);
}

/// The same file and seed give the same roots, another seed gives others.
#[test]
fn an_import_is_reproducible() {
    let root = |seed: &str| {
        let quire = Quire::new();
        let file = quire.write("history.csv", HISTORY);
        let seed = quire.write("seed", seed);
        quire.json(&["import", &file, "--shape", "tiny", "--seed-file", &seed]);
        quire.json(&["seal", "--all"])["state_root"].clone()
    };
    let (first, second) = ("11".repeat(32), "22".repeat(32));
    assert_eq!(root(&first), root(&first));
    assert_ne!(root(&first), root(&second));
}

/// One bit in any file of a batch, or another key, and it does not verify.
#[test]
fn a_changed_batch_does_not_verify() {
    let quire = Quire::new();
    let file = quire.write("history.csv", HISTORY);
    quire.json(&["import", &file, "--shape", "tiny"]);
    quire.json(&["run", "--max-batches", "1"]);
    let folder = quire.path("batches/1");
    let key = tiny_keys().join("tiny.vk");
    let args = [
        "verify",
        folder.to_str().unwrap(),
        "--vk",
        key.to_str().unwrap(),
    ];
    quire.json(&args);
    for name in ["data.bin", "proof.bin", "batch.json"] {
        let path = folder.join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        quire.fails(&args);
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        quire.fails(&args);
        std::fs::remove_file(&path).unwrap();
        let message = quire.fails(&args);
        assert!(message.contains(name), "{message}");
        std::fs::write(&path, &good).unwrap();
    }
    quire.json(&args);

    // The key is never the folder's.
    std::fs::copy(&key, folder.join("tiny.vk")).unwrap();
    let missing = [
        "verify",
        folder.to_str().unwrap(),
        "--vk",
        "/nonexistent/tiny.vk",
    ];
    assert!(quire.fails(&missing).contains("/nonexistent/tiny.vk"));
    let mut strict = crate::fixture::program();
    let refused = strict.args(args).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("insecure"),
        "{}",
        text(&refused.stderr)
    );
}

/// The address of zeros is ETH's; a row that is rejected is named with its line; of a file of which no row
/// can be imported nothing is left.
#[test]
fn an_import_says_what_it_left_out_and_leaves_nothing_of_nothing() {
    let quire = Quire::new();
    let [a, b, zeros] = [1, 2, 0].map(|byte| format!("0x{}", format!("{byte:02}").repeat(20)));
    let header = "token,from,to,amount\n";
    let mixed = quire.write(
        "mixed.csv",
        format!("{header}ETH,{a},{b},1000\n{zeros},{a},{b},500\n0x00,{a},{b},1\nETH,{a},{b},-1\n"),
    );
    let all_bad = quire.write("bad.csv", format!("{header}{}", "ETH,a,b,1\n".repeat(12)));
    let empty = quire.write("empty.csv", header);
    let args = |file: &str| {
        [
            "import".to_owned(),
            file.to_owned(),
            "--shape".to_owned(),
            "tiny".to_owned(),
        ]
    };
    let fails = |file: &str| {
        let args = args(file);
        let message = quire.fails_with(3, &args.each_ref().map(String::as_str));
        assert!(!quire.path("rollup").exists(), "{message}");
        assert!(!std::fs::read_dir(quire.dir()).unwrap().any(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with(".rollup")
        }));
        message
    };
    let message = fails(&all_bad);
    assert!(
        message.contains("none of the 12 rows") && message.contains("line 2: from is not"),
        "{message}"
    );
    assert!(
        message.contains("line 11:") && !message.contains("line 12:"),
        "{message}"
    );
    assert!(fails(&empty).contains("no rows"));

    let args = args(&mixed);
    let imported = quire.json(&args.each_ref().map(String::as_str));
    let counts =
        ["rows", "imported", "rejected", "tokens"].map(|field| imported[field].as_u64().unwrap());
    assert_eq!(counts, [4, 2, 2, 1]);
    let lines: Vec<u64> = imported["rejections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [4, 5]);
}

/// Tokens of a file are shown in the units that were declared for them.
#[test]
fn an_import_takes_symbols_and_decimals_of_its_tokens() {
    let quire = Quire::new();
    let [a, b, usdc] = [1, 2, 3].map(|byte| format!("0x{}", format!("{byte:02}").repeat(20)));
    let file = quire.write(
        "usdc.csv",
        format!("token,from,to,amount\n{usdc},{a},{b},1500000\n"),
    );
    let declared = format!("USDC:6={usdc}");
    quire.json(&["import", &file, "--shape", "tiny", "--token", &declared]);
    let sender = &quire.json(&["account", "2"])[0];
    assert_eq!(
        (&sender["symbol"], &sender["decimals"], &sender["balance"]),
        (&"USDC".into(), &6.into(), &"1500000".into())
    );
    let output = quire.command(&["account", "2"]).output().unwrap();
    assert!(crate::fixture::text(&output.stdout).contains("1.5 USDC"));
}
