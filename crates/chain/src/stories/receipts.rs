//! Receipts that are false: what its block's roots do not prove is not believed, and nothing is sent twice.

use alloy::consensus::{
    SignableTransaction, TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy,
};
use alloy::eips::eip7702::Authorization;
use alloy::primitives::{Address as EthAddress, Bytes as Data, Signature, TxKind, U256, keccak256};

use super::*;
use crate::backend::MAX_ANSWER;
use crate::outbox::NonceFloor;
use crate::script::faithful;

/// The receipt of a transaction that arrived says that it failed in the last block but one, which does not have it.
fn in_another_block(shown: &mut Shown, method: &str, params: &Value, answer: &mut Value) -> Fate {
    let arrived = |hash: &Value| shown.arrived.iter().any(|sent| json!(sent.hash) == *hash);
    if method == "eth_getTransactionReceipt" && arrived(&params[0]) {
        let number = shown.head() - 1;
        answer["result"] = json!({
            "type": "0x2",
            "status": "0x0",
            "cumulativeGasUsed": "0x5208",
            "gasUsed": "0x5208",
            "effectiveGasPrice": "0x1",
            "logs": [],
            "logsBloom": format!("0x{}", "00".repeat(256)),
            "transactionHash": params[0],
            "transactionIndex": "0x0",
            "blockHash": shown.hash(number),
            "blockNumber": format!("{number:#x}"),
            "from": "0x00000000000000000000000000000000000000aa",
            "to": null,
            "contractAddress": null,
        });
    }
    Fate::Arrives
}

fn fail(receipt: &mut Value) {
    receipt["status"] = json!("0x0");
    receipt["logs"] = json!([]);
}

impl Life {
    /// What the outbox has seen of the key's nonces.
    fn nonce_floor(&mut self) -> Option<NonceFloor> {
        self.close();
        let access = access(&self.folder, &self.node).unwrap();
        let floor = access.sender.as_ref().unwrap().outbox.nonce_floor();
        drop(access);
        self.reopen().unwrap();
        floor
    }

    /// The same deposit again: it was sent once, and once it happens.
    fn happens_once(&mut self, sent: usize) {
        let (entry, earlier) = self.deposit_only(4, 0, 7).unwrap();
        assert_eq!((entry.number, entry.op.amount(), earlier), (2, 7, true));
        assert_eq!((self.arrived(), self.entries()), (sent, 3));
    }
}

#[track_caller]
fn refused_for(error: &ChainError, words: &str) {
    assert!(matches!(error, ChainError::Answer { .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

/// A block has the transaction, another one than the receipt names, or none has it yet.
#[test]
fn a_failure_in_a_block_that_does_not_have_the_transaction_is_not_believed() {
    for mining in [Mining::AtOnce, Mining::Stopped] {
        let mut life = Life::with_accounts();
        life.mining(mining);
        let (sent, nonce, floor) = (life.arrived(), life.nonce(), life.nonce_floor());
        life.node.set(in_another_block);
        for _ in 0..2 {
            let refused = chain_error(life.deposit(4, 7));
            refused_for(&refused, "which does not have transaction");
        }
        assert_eq!(life.arrived(), sent + 1, "{mining:?}");
        life.node.set(faithful);
        assert_eq!(
            life.nonce_floor(),
            floor,
            "the nonce does not count as used"
        );
        life.mining(Mining::AtOnce);
        life.node.shown().mine(&[]);
        life.happens_once(sent + 1);
        assert_eq!(life.nonce(), nonce + 1);
    }
}

/// A block that the chain has is shown with transactions that it does not have.
#[test]
fn a_block_is_not_believed_to_have_other_transactions_than_its_root_says() {
    let mut life = Life::with_accounts();
    let sent = life.arrived();
    for count in [0, 2] {
        life.node.set(move |_, method, params, answer| {
            if method == "eth_getBlockByNumber" && params[1] == true {
                let first = answer["result"]["transactions"][0].take();
                answer["result"]["transactions"] = vec![first; count].into();
            }
            Fate::Arrives
        });
        let refused = chain_error(life.deposit(4, 7));
        refused_for(&refused, "other transactions than block");
    }
    life.node.set(faithful);
    life.happens_once(sent + 1);
}

#[test]
fn a_receipt_is_not_believed_to_say_what_its_root_does_not() {
    let lies: [fn(&mut Value); 4] = [
        fail,
        |receipt| receipt["logs"] = json!([]),
        |receipt| receipt["logs"][0]["topics"][1] = json!(format!("0x{:064x}", 1)),
        |receipt| receipt["logs"][0]["transactionHash"] = json!(format!("0x{:064x}", 1)),
    ];
    for lie in lies {
        let mut life = Life::with_accounts();
        let sent = life.arrived();
        life.node.set(changing_receipts(lie));
        let refused = chain_error(life.deposit(4, 7));
        refused_for(&refused, "other receipts than block");
        // Nor if the node shows only one at a time.
        let mut change = changing_receipts(lie);
        let mut refuse = refusing("eth_getBlockReceipts", "the method is not available");
        life.node.set(move |shown, method, params, answer| {
            change(shown, method, params, answer);
            refuse(shown, method, params, answer)
        });
        let refused = chain_error(life.deposit(4, 7));
        refused_for(&refused, "other receipts than block");
        life.node.set(faithful);
        life.happens_once(sent + 1);
    }
}

/// The node refuses to show the receipts of a block together, has a gateway that does, shows none, or what it shows
/// is too long for one answer.
#[test]
fn a_node_that_shows_one_receipt_at_a_time_is_believed() {
    let shown = [
        (Fate::Arrives, error("the method is not available")),
        (Fate::Arrives, json!({ "result": null })),
        (Fate::Arrives, json!({ "result": [] })),
        (Fate::Instead(403, Some("Forbidden")), Value::Null),
        (Fate::Instead(200, None), Value::Null),
        (Fate::Instead(504, Some("Gateway Timeout")), Value::Null),
        (Fate::Lost, Value::Null),
    ];
    for (fate, together) in shown {
        let mut life = Life::with_accounts();
        life.node.set(move |_, method, _, answer| {
            if method != "eth_getBlockReceipts" {
                return Fate::Arrives;
            }
            answer.clone_from(&together);
            fate
        });
        assert_eq!(life.deposit(4, 7).unwrap().number, 2, "{fate:?}");
    }
}

/// A transaction of each type that is not the program's own, and of the oldest kind, which names no chain.
fn others() -> Vec<TxEnvelope> {
    fn signed<T: SignableTransaction<Signature>>(transaction: T) -> TxEnvelope
    where
        TxEnvelope: From<alloy::consensus::Signed<T>>,
    {
        let signature = Signature::new(U256::from(5), U256::from(6), true);
        transaction.into_signed(signature).into()
    }
    let to = EthAddress::repeat_byte(0xdd);
    let authorization = Authorization {
        chain_id: U256::from(1),
        address: to,
        nonce: 3,
    };
    let signature = Signature::new(U256::from(7), U256::from(8), false);
    let legacy = |chain_id| TxLegacy {
        chain_id,
        gas_price: 9,
        gas_limit: 21_000,
        to: TxKind::Call(to),
        ..TxLegacy::default()
    };
    let blobs: TxEip4844Variant = TxEip4844 {
        chain_id: 1,
        to,
        blob_versioned_hashes: vec![keccak256("a blob")],
        max_fee_per_blob_gas: 4,
        ..TxEip4844::default()
    }
    .into();
    vec![
        signed(legacy(None)),
        signed(legacy(Some(1))),
        signed(TxEip2930 {
            chain_id: 1,
            to: TxKind::Create,
            input: vec![1, 2, 3].into(),
            ..TxEip2930::default()
        }),
        signed(blobs),
        signed(TxEip7702 {
            chain_id: 1,
            to,
            authorization_list: vec![authorization.into_signed(signature)],
            ..TxEip7702::default()
        }),
    ]
}

#[test]
fn a_block_with_transactions_of_all_types_proves_its_receipts() {
    let mut life = Life::with_accounts();
    life.node.shown().others = others();
    let sent = life.arrived();
    life.node.set(changing_receipts(fail));
    let refused = chain_error(life.deposit(4, 7));
    refused_for(&refused, "other receipts than block");
    life.node.set(faithful);
    life.happens_once(sent + 1);
    let asked = &life.node.shown().asked;
    assert!(!asked.contains_key("eth_getRawTransactionByHash"));
}

#[test]
fn a_receipt_without_a_block_of_the_chain_is_none() {
    let mut life = Life::with_accounts();
    life.deposit(4, 7).unwrap();
    let (rpc, hash) = (life.node.rpc(), life.node.shown().arrived[2].hash);
    let mined = rpc.mined(hash).unwrap().unwrap();
    let there = (mined.number, mined.hash);
    assert_eq!(
        (mined.receipt.transaction_hash, mined.receipt.status()),
        (hash, true)
    );
    let (past, other) = (there.0 + 1, format!("0x{}", "ee".repeat(32)));
    let blocks = [
        (Value::Null, Value::Null),
        (json!(format!("{:#x}", there.0)), Value::Null),
        (json!(format!("{:#x}", there.0)), json!(other)),
        (json!(format!("{past:#x}")), json!(there.1)),
    ];
    for (number, block) in blocks {
        life.node.set(changing_receipts(move |receipt| {
            receipt["blockNumber"] = number.clone();
            receipt["blockHash"] = block.clone();
        }));
        assert!(rpc.mined(hash).unwrap().is_none());
    }
    // Of another block only since the receipt was told: a reorganization.
    life.node.set(|_, method, _, answer| {
        if method == "eth_getBlockReceipts" {
            answer["result"][0]["blockHash"] = json!(format!("0x{}", "ee".repeat(32)));
        }
        Fate::Arrives
    });
    assert!(rpc.mined(hash).unwrap().is_none());
    // Of no block any more.
    let mut asked = 0;
    life.node.set(move |_, method, _, answer| {
        asked += u32::from(method == "eth_getTransactionReceipt");
        match method {
            "eth_getBlockReceipts" => answer["result"] = json!([]),
            "eth_getTransactionReceipt" if asked > 1 => answer["result"] = Value::Null,
            _ => {}
        }
        Fate::Arrives
    });
    assert!(rpc.mined(hash).unwrap().is_none());
    let of_another = move |receipt: &mut Value| receipt["transactionHash"] = json!(other);
    life.node.set(changing_receipts(of_another));
    let refused = rpc.mined(hash).unwrap_err();
    refused_for(&refused, "the receipt of another transaction");
}

/// Other chains have blocks with transactions of types that Ethereum does not have.
#[test]
fn a_block_with_a_transaction_of_an_unknown_type_proves_what_it_has() {
    let mut life = Life::with_accounts();
    let raw = "eth_getRawTransactionByHash";
    life.node.shown().foreign = true;
    life.node.shown().mine(&[]);
    let sent = life.arrived();
    life.node.set(in_another_block);
    let refused = chain_error(life.deposit(4, 7));
    refused_for(&refused, "which does not have transaction");
    life.node.set(refusing(raw, "the method is not available"));
    let refused = chain_error(life.deposit(4, 7));
    assert!(refused.to_string().contains(raw), "{refused}");
    let lies = [
        (Value::Null, "nothing for transaction"),
        (json!("0x7e00"), "other bytes than those of transaction"),
    ];
    for (bytes, words) in lies {
        life.node.set(move |_, method, _, answer| {
            if method == raw {
                answer["result"] = bytes.clone();
            }
            Fate::Arrives
        });
        let refused = chain_error(life.deposit(4, 7));
        refused_for(&refused, words);
    }
    life.node.set(faithful);
    life.happens_once(sent + 1);
    assert!(life.node.shown().asked[raw] > 2);
}

/// A node that shows a transaction as one of an unknown type has to give its bytes, which tell its type.
#[test]
fn no_node_can_choose_that_a_receipt_is_not_proven() {
    let mut life = Life::with_accounts();
    let sent = life.arrived();
    let disguise = |method: &str, params: &Value, answer: &mut Value| {
        if method == "eth_getBlockByNumber" && params[1] == true {
            answer["result"]["transactions"][0]["type"] = json!("0x7e");
        }
    };
    let mut change = changing_receipts(fail);
    life.node.set(move |shown, method, params, answer| {
        disguise(method, params, answer);
        change(shown, method, params, answer)
    });
    let refused = chain_error(life.deposit(4, 7));
    refused_for(&refused, "other receipts than block");
    life.node.set(move |_, method, params, answer| {
        disguise(method, params, answer);
        Fate::Arrives
    });
    life.happens_once(sent + 1);
}

/// The chain is reorganized after the block was shown and before the bytes of its transactions are.
#[test]
fn a_block_that_is_dropped_while_it_is_read_has_no_receipt() {
    let mut life = Life::with_accounts();
    life.node.shown().foreign = true;
    life.deposit(4, 7).unwrap();
    let (rpc, hash) = (life.node.rpc(), life.node.shown().arrived[2].hash);
    life.node.set(|shown, method, _, answer| {
        if method == "eth_getRawTransactionByHash" {
            shown.fork(1);
            answer["result"] = Value::Null;
        }
        Fate::Arrives
    });
    assert!(rpc.mined(hash).unwrap().is_none());
}

/// Each answer is short enough, and the hash is that of its bytes.
#[test]
fn what_a_node_shows_of_a_block_is_bounded() {
    let mut life = Life::with_accounts();
    life.deposit(4, 7).unwrap();
    let (rpc, hash) = (life.node.rpc(), life.node.shown().arrived[2].hash);
    let long = vec![0x7e; MAX_ANSWER / 2];
    let shown = json!({ "type": "0x7e", "hash": keccak256(&long) });
    let raw = json!(Data::from(long));
    life.node.set(move |_, method, params, answer| {
        if method == "eth_getBlockByNumber" && params[1] == true {
            answer["result"]["transactions"] = vec![shown.clone(); 100].into();
        }
        if method == "eth_getRawTransactionByHash" {
            answer["result"] = raw.clone();
        }
        Fate::Arrives
    });
    let refused = rpc.mined(hash).unwrap_err();
    refused_for(&refused, "more than 64 MiB of block");
    assert_eq!(life.node.shown().asked["eth_getRawTransactionByHash"], 3);
}
