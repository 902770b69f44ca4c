//! Contracts that somebody else deployed: what is taken for the rollup, and what only looks like it.

use std::collections::BTreeMap;

use chain::{Access, ChainError, Found, Rpc};
use l1::Address;
use l1::bytes::Bytes;
use l1::evm::abi::{self, keccak};
use l1::genesis::ListedShape;
use ledger::shape::Shape;
use prover::key::{KeyInfo, Origin};
use rollup::Call;
use serde_json::{Value, json};
use tests::world::shape;

use crate::node::{Anvil, Fate, Wire, changing_receipts};
use crate::{Life, access, keys, make, open, parameters};

/// What is said of a key that is found.
fn info() -> KeyInfo {
    KeyInfo {
        origin: Origin::Unknown,
        ..keys().key.verifying_key().info().clone()
    }
}

/// What `quire l1 connect` does, for a program that knows these shapes.
fn connect(
    access: &Access,
    contract: Address,
    known: &[Shape],
    from: u64,
) -> Result<Found, ChainError> {
    let listed = access.listed(contract, known)?;
    let listed: Vec<_> = listed.into_iter().map(|shape| (shape, info())).collect();
    access.find(contract, &listed, from)
}

/// Why a contract is none.
fn refusal(found: Result<Found, ChainError>) -> String {
    match found.unwrap_err() {
        ChainError::NotTheContract { reason, .. } => reason,
        other => panic!("refused for another reason: {other}"),
    }
}

fn control(access: &Access, method: &'static str, params: Value) -> Value {
    access.rpc().control(method, params).unwrap()
}

/// Creation code and arguments of an honest contract.
fn creation_input(access: &Access, contract: Address) -> Vec<u8> {
    let asked = json!([{ "address": contract, "fromBlock": "0x0" }]);
    let logs = control(access, "eth_getLogs", asked);
    let hash = &logs[0]["transactionHash"];
    let transaction = control(access, "eth_getTransactionByHash", json!([hash]));
    bytes(&transaction["input"])
}

fn bytes(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().strip_prefix("0x").unwrap();
    let pairs = digits.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Sends a transaction from the node's first account and returns the address of its first event.
fn first_address(access: &Access, to: Option<Address>, data: &[u8]) -> Address {
    let from = access.caller().unwrap();
    let mut transaction = json!({ "from": from, "gas": "0xf00000", "input": hex(data) });
    if let Some(to) = to {
        transaction["to"] = json!(to);
    }
    let hash = control(access, "eth_sendTransaction", json!([transaction]));
    // Why again and again: the node says the hash before it has made the block.
    let receipt = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let receipt = control(access, "eth_getTransactionReceipt", json!([hash]));
        (!receipt.is_null()).then_some(receipt)
    });
    let receipt = receipt.unwrap();
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    Bytes(bytes(&receipt["logs"][0]["address"]).try_into().unwrap())
}

/// Code that is nowhere else in these tests is put at an address.
fn place(access: &Access, at: Address, code: &[u8]) {
    control(access, "anvil_setCode", json!([at, hex(code)]));
}

fn honest(life: &Life) -> Address {
    life.found.parameters.contract.unwrap()
}

/// Whoever only looks, with an outbox of its own.
fn watching(url: &str) -> Access {
    access(url, tempfile::tempdir().unwrap().path(), None).unwrap()
}

#[test]
fn an_honest_contract_is_found_as_it_was_deployed() {
    let life = Life::begin(0);
    let folder = tempfile::tempdir().unwrap();
    let access = watching(&life.node.url);
    let found = connect(&access, honest(&life), &[shape()], 0).unwrap();
    assert_eq!(found.parameters, life.found.parameters);
    assert_eq!(found.block, life.found.block);
    assert_eq!(found.before, life.found.before);
    let key = &found.keys[&shape().id];
    assert_eq!(key.ark(), keys().key.verifying_key().ark());
    assert_eq!(key.info().origin, Origin::Unknown);
    // Its mirror can be made and opened.
    make(folder.path(), &found);
    open(folder.path(), &life.node.url, 0).unwrap();
}

/// Constructor code of somebody else that runs the honest constructor and puts something more into the
/// storage. The contract's code, views, keys and events are those of an honest one.
#[test]
fn a_foreign_constructor_that_stores_something_else_is_refused() {
    let life = Life::begin(0);
    let access = watching(&life.node.url);
    let helper = Bytes([0xd1; 20]);
    place(&access, helper, &creation_input(&access, honest(&life)));
    // `_claimable[thief][0]`, the mapping at slot 7.
    let thief = Bytes([0xbd; 20]);
    let outer = keccak(&[abi::address(&thief), abi::uint(7)].concat());
    let slot = keccak(&[abi::uint(0), outer].concat());
    let code = [
        // PUSH32 amount, PUSH32 slot, SSTORE
        &[&[0x7f][..], &abi::uint(1 << 80), &[0x7f], &slot, &[0x55]].concat()[..],
        // PUSH0 four times, PUSH20 helper, GAS, DELEGATECALL, POP
        &[&[0x5f, 0x5f, 0x5f, 0x5f, 0x73][..], &helper.0].concat(),
        &[0x5a, 0xf4, 0x50],
        // RETURNDATASIZE, PUSH0, PUSH0, RETURNDATACOPY, RETURNDATASIZE, PUSH0, RETURN
        &[0x3d, 0x5f, 0x5f, 0x3e, 0x3d, 0x5f, 0xf3],
    ];
    let contract = first_address(&access, None, &code.concat());
    let asked = abi::call(
        "claimable(address,uint32)",
        &[abi::address(&thief), abi::uint(0)],
    );
    let call = json!([{ "to": contract, "input": hex(&asked) }, "latest"]);
    let claimable = control(&access, "eth_call", call);
    assert_eq!(bytes(&claimable), abi::uint(1 << 80), "the theft is set up");
    assert_eq!(
        access.listed(contract, &[shape()]).unwrap(),
        [shape()],
        "its code and its shapes are as they should be"
    );
    let reason = refusal(connect(&access, contract, &[shape()], 0));
    assert!(
        reason.contains("other code than this program's"),
        "{reason}"
    );
}

/// Arguments after those that the constructor reads, or others than the contract tells.
#[test]
fn an_input_that_is_longer_than_the_constructor_reads_is_refused() {
    let life = Life::begin(0);
    let access = watching(&life.node.url);
    let mut input = creation_input(&access, honest(&life));
    input.extend([0; 32]);
    let contract = first_address(&access, None, &input);
    let reason = refusal(connect(&access, contract, &[shape()], 0));
    assert!(
        reason.contains("the arguments of its constructor"),
        "{reason}"
    );
}

#[test]
fn a_contract_that_another_contract_made_is_refused() {
    let life = Life::begin(0);
    let access = watching(&life.node.url);
    let input = creation_input(&access, honest(&life));
    // By a constructor: PUSH2 size, PUSH2 start, PUSH0, CODECOPY, PUSH2 size, PUSH0, PUSH0, CREATE,
    // STOP, and the code of the rollup.
    let size = u16::try_from(input.len()).unwrap().to_be_bytes();
    let copy = [&[0x61][..], &size, &[0x61, 0, 15, 0x5f, 0x39]].concat();
    let create = [&[0x61][..], &size, &[0x5f, 0x5f, 0xf0, 0x00]].concat();
    let code = [copy, create, input.clone()].concat();
    let by_constructor = first_address(&access, None, &code);
    // By a call: CALLDATASIZE, PUSH0, PUSH0, CALLDATACOPY, CALLDATASIZE, PUSH0, PUSH0, CREATE, STOP.
    let factory = Bytes([0xfa; 20]);
    let code = [0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0x5f, 0xf0, 0x00];
    place(&access, factory, &code);
    let by_call = first_address(&access, Some(factory), &input);
    for contract in [by_constructor, by_call] {
        assert_eq!(access.listed(contract, &[shape()]).unwrap(), [shape()]);
        let reason = refusal(connect(&access, contract, &[shape()], 0));
        assert!(reason.starts_with("another contract, 0x"), "{reason}");
    }
}

#[test]
fn a_listed_shape_that_is_not_known_is_refused_by_its_id() {
    let (node, folder) = (Anvil::start(&[]), tempfile::tempdir().unwrap());
    let mut access = access(&node.url, folder.path(), None).unwrap();
    let mut parameters = parameters(&access);
    let other = Shape { id: 77, ..shape() };
    parameters.shapes.insert(
        0,
        ListedShape {
            shape: other,
            ..parameters.shapes[0].clone()
        },
    );
    let key = keys().key.verifying_key().clone();
    let keys = BTreeMap::from([(77, key.clone()), (shape().id, key)]);
    let deployed = access.deploy(parameters, keys).unwrap();
    let contract = deployed.parameters.contract.unwrap();
    let reason = refusal(connect(&access, contract, &[shape()], 0));
    assert!(reason.contains("shape 77"), "{reason}");
    // Of other sizes than the known ones: the same.
    let wider = Shape {
        transfers: other.transfers + 2,
        ..other
    };
    let reason = refusal(connect(&access, contract, &[shape(), wider], 0));
    assert!(reason.contains("shape 77"), "{reason}");
    // Who knows both finds them in the constructor's order.
    let found = connect(&access, contract, &[shape(), other], 0).unwrap();
    assert_eq!(found.parameters, deployed.parameters);
}

/// A chain of a hundred blocks with a deployment at its end.
fn late() -> Life {
    let node = Anvil::start(&[]);
    let mined = Rpc::new(&node.url).unwrap();
    mined.control("anvil_mine", json!([100])).unwrap();
    Life::on(node, 0)
}

#[test]
fn a_mirror_begins_some_way_before_the_deployment() {
    let life = late();
    let block = life.found.block;
    assert_eq!((block, life.found.before.number), (102, 101 - 64));
    let access = watching(&life.node.url);
    let found = connect(&access, honest(&life), &[shape()], 0).unwrap();
    assert_eq!((found.block, found.before), (block, life.found.before));
    // From its own block on as well.
    let found = connect(&access, honest(&life), &[shape()], block).unwrap();
    assert_eq!((found.block, found.before), (block, life.found.before));
}

#[test]
fn a_reorganization_of_blocks_before_the_deployment_leaves_the_mirror_usable() {
    let mut life = late();
    let rpc = Rpc::new(&life.node.url).unwrap();
    let raw = |number: u64| {
        let params = json!([format!("{number:#x}"), false]);
        let block = rpc.control("eth_getBlockByNumber", params).unwrap();
        let hash = block["transactions"][0].clone();
        rpc.control("eth_getRawTransactionByHash", json!([hash]))
            .unwrap()
    };
    let block = life.found.block;
    let hash = |number: u64| rpc.block(number).unwrap().unwrap().hash;
    let before = hash(block - 3);
    // The path hasher and the rollup come again, in other blocks.
    let again = json!([[raw(block - 1), 3], [raw(block), 4]]);
    rpc.control("anvil_reorg", json!([6, again])).unwrap();
    assert_ne!(hash(block - 3), before);
    life.rollup.follow(0).unwrap();
    life.deposit(1, 5).unwrap();
    assert_eq!(life.standing(), (0, 1));
}

#[test]
fn a_search_that_begins_too_late_is_refused_with_what_to_do() {
    let mut life = Life::begin(0);
    let access = watching(&life.node.url);
    for from in [1_000, u64::MAX] {
        let reason = refusal(connect(&access, honest(&life), &[shape()], from));
        assert!(
            reason.contains(&format!("from block {from} on")),
            "{reason}"
        );
    }
    let after = life.found.block + 1;
    life.control("anvil_mine", json!([1]));
    let reason = refusal(connect(&access, honest(&life), &[shape()], after));
    assert!(
        reason.contains(&format!("not in blocks {after} to")),
        "{reason}"
    );
    let token = Bytes([0xaa; 20]);
    place(&access, token, &[0x00]);
    life.call(Call::AddToken(token)).unwrap();
    let reason = refusal(connect(&access, honest(&life), &[shape()], after));
    assert!(reason.contains("--from-block"), "{reason}");
}

/// A node answers with events of another contract, of another kind, or of blocks that were not asked for.
#[test]
fn events_that_were_not_asked_for_are_refused() {
    let life = Life::begin(0);
    let other = hex(&[0xee; 32]);
    let lies: [(&[&str], Value); 6] = [
        (&["address"], json!(Bytes([0xee; 20]))),
        (&["topics", "0"], json!(other)),
        (&["blockNumber"], json!("0xffffffffff")),
        (&["blockNumber"], Value::Null),
        (&["transactionHash"], Value::Null),
        (&["removed"], json!(true)),
    ];
    let mut believed = Vec::new();
    for (path, lie) in lies {
        let pointer = format!("/result/0/{}", path.join("/"));
        let told = format!("{path:?} {lie}");
        let wire = Wire::to(&life.node, move |method, _, answer| {
            // Blocks without an event have nothing to lie about.
            let told = (method == "eth_getLogs").then(|| answer.pointer_mut(&pointer));
            if let Some(told) = told.flatten() {
                *told = lie.clone();
            }
            Fate::Arrives
        });
        let access = watching(&wire.url);
        let answer = connect(&access, honest(&life), &[shape()], 0);
        match answer {
            Err(ChainError::Answer {
                method: "eth_getLogs",
                ..
            }) => {}
            other => believed.push((told, other.err().map(|error| error.to_string()))),
        }
    }
    assert_eq!(believed, [], "believed, or refused for another reason");
}

/// A node tells of another creation than the chain has.
#[test]
fn a_creation_that_failed_or_is_in_another_block_is_refused() {
    let life = Life::begin(0);
    let tried = |method: &'static str, name: &'static str, lie: Value| {
        let wire = Wire::to(&life.node, move |asked, _, answer| {
            if asked == method {
                answer["result"][name] = lie.clone();
            }
            Fate::Arrives
        });
        let access = watching(&wire.url);
        connect(&access, honest(&life), &[shape()], 0)
    };
    let moved = tried(
        "eth_getTransactionReceipt",
        "blockHash",
        json!(hex(&[1; 32])),
    );
    assert!(
        matches!(moved, Err(ChainError::Unsteady { .. })),
        "{moved:?}"
    );
    let wire = Wire::to(
        &life.node,
        changing_receipts(|receipt| receipt["status"] = json!("0x0")),
    );
    let failed = connect(&watching(&wire.url), honest(&life), &[shape()], 0);
    assert!(
        matches!(failed, Err(ChainError::Answer { .. })),
        "{failed:?}"
    );
    // What address it made is computed, whatever a receipt says.
    wire.set(changing_receipts(|receipt| {
        receipt["contractAddress"] = json!(Bytes([0xee; 20]))
    }));
    let found = connect(&watching(&wire.url), honest(&life), &[shape()], 0).unwrap();
    assert_eq!(found.parameters, life.found.parameters);
    let input = creation_input(&watching(&life.node.url), honest(&life));
    // The operator's address in the arguments, one bit of it.
    let mut other = input.clone();
    other[l1::evm::artifacts::ROLLUP.bytecode().len() + 31] ^= 1;
    let by_hash = "eth_getTransactionByHash";
    let lie = tried(by_hash, "input", json!(hex(&other)));
    assert!(matches!(lie, Err(ChainError::Answer { .. })), "{lie:?}");
}
