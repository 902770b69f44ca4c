//! What a node that lags, limits itself or exaggerates does to the mirror: nothing.

use super::*;

/// A truthful node that has nothing after a block.
fn stale(block: Value) -> impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static {
    let last = number(&block["number"]);
    move |method, params, answer| {
        if method == "eth_getBlockByNumber" {
            if params[0] == "latest" {
                answer["result"] = block.clone();
            } else if number(&params[0]) > last {
                answer["result"] = Value::Null;
            }
        }
        Fate::Arrives
    }
}

fn number(text: &Value) -> u64 {
    u64::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn a_node_that_lags_undoes_nothing() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    let old = life.control("eth_getBlockByNumber", json!(["latest", false]));
    life.deposit(4, 700_000).unwrap();
    life.seal_and_prove();
    life.pay(2, 4, 1_000, 0);
    let before = (life.standing(), life.rollup.batcher.status());
    wire.set(stale(old));
    let error = life.rollup.follow(0).unwrap_err();
    assert!(
        matches!(follow_error(&error), ChainError::Behind { .. }),
        "{error}"
    );
    let after = (life.standing(), life.rollup.batcher.status());
    assert_eq!(after, before);
    wire.set(faithful);
    life.finish();
    assert_eq!(life.balance(4), 701_000);
    // Of several nodes behind one address, one has the last block and another does not.
    let mut asked = 0;
    wire.set(move |method, params, answer| {
        if method == "eth_getBlockByNumber" && params[0] != "latest" {
            asked += 1;
            if asked < 3 {
                answer["result"] = Value::Null;
            }
        }
        Fate::Arrives
    });
    let before = life.standing();
    life.rollup.follow(0).unwrap();
    assert_eq!(life.standing(), before);
}

#[test]
fn a_shorter_chain_of_other_blocks_is_a_reorganization() {
    let mut life = Life::with_accounts();
    let before = life.control("evm_snapshot", json!([]));
    life.deposit(4, 7).unwrap();
    life.control("anvil_mine", json!([5]));
    life.rollup.follow(0).unwrap();
    assert_eq!(life.standing().1, 4);
    life.control("evm_revert", json!([before]));
    // As long as nothing stands in the deposit's place, the node may only lag.
    let error = life.rollup.follow(0).unwrap_err();
    assert!(
        matches!(follow_error(&error), ChainError::Behind { .. }),
        "{error}"
    );
    assert_eq!(life.standing().1, 4);
    life.control("anvil_mine", json!([1]));
    life.rollup.follow(0).unwrap();
    assert_eq!(life.standing().1, 3);
}

const OTHER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

/// The wire says that blocks have no events, the first `times` that it is asked once something was sent.
fn hides_events(times: u32) -> impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static {
    let (mut sent, mut asked) = (false, 0);
    move |method, _, answer| {
        sent |= method == "eth_sendRawTransaction";
        if sent && method == "eth_getLogs" && asked < times {
            asked += 1;
            answer["result"] = json!([]);
        }
        Fate::Arrives
    }
}

#[test]
fn an_index_of_events_that_lags_is_asked_again() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    wire.set(hides_events(2));
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
}

#[test]
fn what_an_index_of_events_hid_is_found_later() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    let contract = life.found.parameters.contract.unwrap();
    let token = contract_of(&life, "PlainToken");
    life.rollup.follow(0).unwrap();
    let add = l1::evm::abi::add_token(&token);
    send(&life, &contract, &add, 0);
    // Events and the number of tokens are hidden: as of a node whose answers are of different ages.
    wire.set(move |method, params, answer| {
        if method == "eth_getLogs" {
            answer["result"] = json!([]);
        }
        let count = hex(&l1::evm::abi::call("tokenCount()", &[]));
        if method == "eth_call" && params[0]["input"] == json!(count) {
            answer["result"] = json!(format!("0x{:064x}", 1));
        }
        Fate::Arrives
    });
    life.rollup.follow(0).unwrap();
    assert_eq!(life.rollup.l1.tokens().unwrap().len(), 1, "it was hidden");
    // From then on the node tells what there is.
    wire.set(faithful);
    life.control("anvil_mine", json!([3]));
    life.rollup.follow(0).unwrap();
    assert_eq!(life.rollup.l1.tokens().unwrap().len(), 2);
    // Hidden for longer than blocks are read again: the contract's number of tokens gives it away.
    let another = contract_of(&life, "PlainToken");
    let add = l1::evm::abi::add_token(&another);
    send(&life, &contract, &add, 0);
    wire.set(|method, _, answer| {
        if method == "eth_getLogs" {
            answer["result"] = json!([]);
        }
        Fate::Arrives
    });
    let error = life.rollup.follow(0).unwrap_err();
    assert!(error.to_string().contains("tokens"), "{error}");
    wire.set(faithful);
    life.rollup.follow(0).unwrap();
    assert_eq!(life.rollup.l1.tokens().unwrap().len(), 3);
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Deploys a compiled contract of the repository by somebody else.
fn contract_of(life: &Life, name: &str) -> l1::Address {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/l1/contracts/artifacts"
    );
    let artifact = std::fs::read(format!("{folder}/{name}.json")).unwrap();
    let artifact: Value = serde_json::from_slice(&artifact).unwrap();
    let create = json!({ "from": OTHER, "data": artifact["bytecode"] });
    let hash = life.control("eth_sendTransaction", json!([create]));
    life.control("evm_mine", json!([]));
    let made = life.control("eth_getTransactionReceipt", json!([hash]));
    serde_json::from_value(made["contractAddress"].clone()).unwrap()
}

/// A call by somebody else, in a block.
fn send(life: &Life, to: &l1::Address, data: &[u8], value: u128) {
    let call =
        json!({ "from": OTHER, "to": to, "value": format!("{value:#x}"), "data": hex(data) });
    life.control("eth_sendTransaction", json!([call]));
    life.control("evm_mine", json!([]));
}

#[test]
fn a_fee_account_that_the_chain_lost_takes_no_fees() {
    let mut life = Life::begin(0);
    let before = life.control("evm_snapshot", json!([]));
    life.deposit(1, 0).unwrap();
    life.rollup.follow(0).unwrap();
    let fee_accounts = |life: &Life| life.rollup.batcher.settings().fee_accounts.clone();
    assert_eq!(fee_accounts(&life), BTreeMap::from([(0, 1)]));
    life.replace_since(&before);
    let key = key_of(9).public_key();
    let data = l1::evm::abi::deposit(0, 5, &key, &cofactor_inverse_point(&key));
    let contract = life.found.parameters.contract.unwrap();
    send(&life, &contract, &data, L1_FEE + 5);
    life.rollup.follow(0).unwrap();
    assert_eq!(life.standing().1, 1, "the index is somebody else's");
    assert_eq!(fee_accounts(&life), BTreeMap::new());
}

#[test]
fn a_node_that_answers_for_few_blocks_is_asked_for_few() {
    let mut life = Life::with_accounts();
    life.control("anvil_mine", json!([100]));
    life.deposit(4, 7).unwrap();
    let wire = Wire::to(&life.node, |method, params, answer| {
        if method == "eth_getLogs" {
            let (from, to) = (
                number(&params[0]["fromBlock"]),
                number(&params[0]["toBlock"]),
            );
            if to - from > 10 {
                *answer =
                    json!({ "jsonrpc": "2.0", "id": 1, "error": error("block range is too wide") });
            }
        }
        Fate::Arrives
    });
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &life.found);
    let genesis = NativeL1::open(&l1_file(folder.path()), AllowDevKeys::Yes).unwrap();
    let access = Access::new(&wire.url, None, None, folder.path()).unwrap();
    let mut mirror = genesis;
    let mut chain = Chain::open(access, &l1_file(folder.path()), &mirror).unwrap();
    chain.sync(&mut mirror).unwrap();
    assert_eq!(mirror.head().unwrap().queue_tail, 4);
    let access = Access::new(&wire.url, None, None, folder.path()).unwrap();
    let contract = life.found.parameters.contract.unwrap();
    let info = keys().key.verifying_key().info().clone();
    let found = access.find(contract, &[(shape(), info)], 0).unwrap();
    assert_eq!(found.block, life.found.block);
}

#[test]
fn limits_of_a_node_are_waited_for() {
    let mut life = Life::with_accounts();
    let mut asked = 0;
    let wire = Wire::to(&life.node, move |method, _, answer| {
        if method == "eth_getLogs" || method == "eth_sendRawTransaction" {
            asked += 1;
            if asked % 2 == 1 {
                let error = json!({ "code": -32005, "message": "daily request count exceeded, request rate limited" });
                *answer = json!({ "jsonrpc": "2.0", "id": 1, "error": error });
            }
        }
        Fate::Arrives
    });
    life.reopen_over(&wire.url).unwrap();
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    life.rollup.follow(0).unwrap();
    assert_eq!(life.standing().1, 4);
}

#[test]
fn absurd_answers_are_refused() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    for field in ["number", "timestamp"] {
        for value in ["0xffffffffffffffff", "0x20000000000"] {
            wire.set(move |method, params, answer| {
                if method == "eth_getBlockByNumber" && params[0] == "latest" {
                    answer["result"][field] = json!(value);
                }
                Fate::Arrives
            });
            let error = life.rollup.follow(0).unwrap_err();
            assert!(
                matches!(follow_error(&error), ChainError::Answer { .. }),
                "{error}"
            );
            // Not only since the hash is another header's.
            assert!(error.to_string().contains(" of time "), "{error}");
        }
    }
    wire.set(|method, _, answer| {
        if method == "eth_getBlockByNumber" {
            answer["padding"] = json!("x".repeat(65 << 20));
        }
        Fate::Arrives
    });
    let error = life.rollup.follow(0).unwrap_err();
    assert!(error.to_string().contains("more than 64 MiB"), "{error}");
    wire.set(faithful);
    life.rollup.follow(0).unwrap();
}
