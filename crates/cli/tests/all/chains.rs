//! `quire l1 deploy` and `quire l1 connect` before anything is sent: the chain that is meant,
//! and keys that nothing is deployed with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use circuits::shapes::SHAPES;
use l1::bytes::Bytes;
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Genesis, NativeL1, Parameters};
use prover::key::{AllowDevKeys, KeyInfo, Origin, VerifyingKey};
use serde_json::{Value, json};

use crate::fixture::{Quire, failure_of, program, tiny_keys};

/// A node that says that it is on chain 5 and refuses everything else. Returns its address, and the
/// questions that it was asked.
fn node_of_chain_5() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let questions = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that ends early is no fault of the node.
            drop(answer(stream, &questions));
        }
    });
    (url, asked)
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let question: Value = serde_json::from_slice(&body)?;
    let method = question["method"].as_str().unwrap().to_owned();
    let mut answer = json!({ "jsonrpc": "2.0", "id": question["id"] });
    match method.as_str() {
        "eth_chainId" => answer["result"] = json!("0x5"),
        _ => answer["error"] = json!({ "code": -32601, "message": "not answered here" }),
    }
    asked.lock().unwrap().push(method);
    let answer = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    )
}

/// The file of an Ethereum key.
fn eth_key(quire: &Quire) -> String {
    let key = quire.write("op.key", "5b".repeat(32));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    key
}

#[test]
fn a_node_of_another_chain_than_the_one_that_is_meant_is_refused() {
    let quire = Quire::new();
    let key = eth_key(&quire);
    let contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    let commands: [&[&str]; 2] = [
        &["l1", "connect", contract],
        &["l1", "deploy", "--shape", "tiny", "--eth-key-file", &key],
    ];
    for command in commands {
        let (url, asked) = node_of_chain_5();
        let args = [command, &["--l1", &url]].concat();
        let meant = [&args[..], &["--chain-id", "1"]].concat();
        let message = quire.fails_with(4, &meant);
        assert!(
            message.contains("is on chain 5, not on chain 1") && message.contains("--chain-id"),
            "{message}"
        );
        assert_eq!(*asked.lock().unwrap(), ["eth_chainId"], "{command:?}");
        // The chain that is meant, and whichever the node is on: then more is asked.
        for args in [[&args[..], &["--chain-id", "5"]].concat(), args.clone()] {
            let message = quire.fails_with(1, &args);
            assert!(message.contains("not answered here"), "{message}");
        }
        assert!(!quire.path("rollup").exists());
    }
}

/// The mirror of a contract can be made again from the chain, and what is there is never replaced.
#[test]
fn a_damaged_mirror_is_to_be_moved_away() {
    let quire = Quire::new();
    std::fs::create_dir_all(quire.path("rollup")).unwrap();
    std::fs::write(quire.path("rollup/l1.redb"), b"no database").unwrap();
    let (url, asked) = node_of_chain_5();
    let contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    let connect = ["l1", "connect", contract, "--l1", &url];
    let message = quire.fails_with(5, &connect);
    let advice = format!("move {} away", quire.path("rollup").display());
    assert!(message.contains(&advice), "{message}");
    // A deployment that was begun is to be finished first, whatever else there is.
    std::fs::create_dir_all(quire.path("deploying")).unwrap();
    let message = quire.fails_with(1, &connect);
    assert!(message.contains("deploying"), "{message}");
    assert!(asked.lock().unwrap().is_empty());
}

/// What is there is shown, and a note says that nothing is made.
#[test]
fn connecting_again_says_that_the_deployment_is_there() {
    let quire = Quire::new();
    let contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    let parameters = Parameters {
        chain_id: 5,
        contract: Some(contract.parse().unwrap()),
        salt: Bytes([7; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: Bytes([0x0a; 20]),
        },
        shapes: vec![ListedShape {
            shape: SHAPES[0].1,
            fingerprint: Bytes([0; 32]),
        }],
        l1_fee: 1,
        pending_cap: 1 << 32,
        timestamp_slack: 3_600,
        takeover_after: 259_200,
        freeze_after: 2_592_000,
        tokens: vec![Token::eth()],
    };
    let genesis = Genesis::new(parameters, Vec::new()).unwrap();
    let file = quire.path("rollup/l1.redb");
    std::fs::create_dir_all(quire.path("rollup")).unwrap();
    drop(NativeL1::create(&file, &genesis, AllowDevKeys::Yes).unwrap());
    let (url, _asked) = node_of_chain_5();
    let connect = ["l1", "connect", contract, "--l1", &url];
    let is_there = "this directory has the contract's deployment already: nothing is made";
    let unused = "--from-block is not used";
    let again = quire.fails(&connect);
    assert!(
        again.contains(is_there) && !again.contains(unused),
        "{again}"
    );
    let again = quire.fails(&[&connect[..], &["--from-block", "7"]].concat());
    assert!(
        again.contains(is_there) && again.contains(unused),
        "{again}"
    );
    // Another contract is not made beside it.
    let other = "0x00000000000000000000000000000000000000aa";
    let refused = quire.fails_with(1, &["l1", "connect", other, "--l1", &url]);
    assert!(refused.contains("has a deployment already"), "{refused}");
}

/// A verifying key as `quire l1 connect` finds it says of itself that nobody knows how it was made, and
/// neither a contract nor a native L1 gets it.
#[test]
fn a_key_that_was_found_on_a_chain_is_shown_as_such_and_deploys_nothing() {
    let quire = Quire::with_accounts();
    let made = VerifyingKey::load(&tiny_keys().join("tiny.vk"), AllowDevKeys::Yes).unwrap();
    let info = KeyInfo {
        origin: Origin::Unknown,
        ..made.info().clone()
    };
    let found = VerifyingKey::new(made.ark().clone(), info).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiny.vk");
    found.save(&file).unwrap();

    let shown = &quire.json(&["keys", "info", file.to_str().unwrap()])[0];
    assert_eq!(
        (&shown["origin"], &shown["insecure_dev"]),
        (&json!("unknown"), &json!(false))
    );
    quire.json(&["prove"]);
    let (url, asked) = node_of_chain_5();
    let (elsewhere, key) = (folder.path().join("data"), eth_key(&quire));
    let deploy = ["l1", "deploy", "--shape", "tiny", "--l1", &url];
    let deploy = [&deploy[..], &["--eth-key-file", &key]].concat();
    for (data, args) in [
        (elsewhere.as_path(), &deploy[..]),
        (quire.dir(), &["submit"]),
    ] {
        let mut command = program();
        command.arg("--data-dir").arg(data);
        command.arg("--keys-dir").arg(folder.path());
        let command = command.arg("--allow-dev-keys").args(args);
        let (status, message) = failure_of(command, args);
        assert_eq!(status, 1, "{message}");
        assert!(message.contains("is of unknown origin"), "{message}");
    }
    assert_eq!(*asked.lock().unwrap(), ["eth_chainId"]);
    // With the key that was made it is taken.
    quire.json(&["submit"]);
}
