//! Transactions that are cut off, refused, replaced, outbid or forgotten: each happens once, and whoever
//! asked for it hears of it.

use l1::evm::abi;
use rollup::TransactionStatus;

use super::*;

/// Everything is lost from the `count`th transaction on that is sent; it arrives.
fn cut_after(count: u32) -> impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static {
    let mut sent = 0;
    move |method, _, _| {
        sent += u32::from(method == "eth_sendRawTransaction");
        match sent >= count {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    }
}

fn fail(receipt: &mut Value) {
    receipt["status"] = json!("0x0");
    receipt["logs"] = json!([]);
}

/// The node's answer to a method is an error.
fn refusing(
    refused: &'static str,
    words: &'static str,
) -> impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static {
    move |method, _, answer| {
        if method == refused {
            *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error(words) });
        }
        Fate::Arrives
    }
}

impl Life {
    fn over_a_wire() -> (Self, Wire) {
        let mut life = Self::with_accounts();
        let wire = Wire::to(&life.node, faithful);
        life.reopen_over(&wire.url).unwrap();
        (life, wire)
    }

    fn caller(&self) -> l1::Address {
        self.rollup.link.caller(Bytes([0; 20])).unwrap()
    }

    /// Transactions that the chain's blocks have of the key.
    fn nonce(&self) -> u64 {
        let count = self.control("eth_getTransactionCount", json!([self.caller(), "latest"]));
        u64::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    fn unacknowledged(&self) -> Vec<(String, TransactionStatus)> {
        let unacknowledged = self.rollup.link.unacknowledged().into_iter();
        unacknowledged
            .map(|record| (record.what, record.status))
            .collect()
    }

    /// Sends a transaction by the node's own key, and returns its receipt.
    fn send(&self, transaction: Value) -> Value {
        let hash = self.control("eth_sendTransaction", json!([transaction]));
        self.control("evm_mine", json!([]));
        self.control("eth_getTransactionReceipt", json!([hash]))
    }

    /// Deploys a token by the name of its artifact and lists it.
    fn token(&mut self, name: &str) -> l1::Address {
        let root = env!("CARGO_MANIFEST_DIR");
        let path = format!("{root}/../crates/l1/contracts/artifacts/{name}.json");
        let artifact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let made = self.send(json!({ "from": self.caller(), "data": artifact["bytecode"] }));
        let token = serde_json::from_value(made["contractAddress"].clone()).unwrap();
        self.call(Call::AddToken(token)).unwrap();
        token
    }

    /// What `quire l1 cancel` does.
    fn cancel(&mut self) -> Vec<TransactionStatus> {
        self.close();
        let mut access = access(&self.node.url, self.folder.path(), None).unwrap();
        let ended = access.cancel().unwrap();
        drop(access);
        self.reopen();
        ended.into_iter().map(|record| record.status).collect()
    }

    fn mining(&self, on: bool) {
        self.control("evm_setAutomine", json!([on]));
        if on {
            self.control("evm_mine", json!([]));
        }
    }
}

#[test]
fn a_deposit_whose_end_nobody_heard_is_not_made_twice() {
    let mut life = Life::with_accounts();
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert!(!earlier);
    // As after a kill between the receipt and the program's output.
    life.reopen();
    let (again, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert!(earlier);
    assert_eq!((again, life.standing().1), (entry, entry.number + 1));
    life.rollup.link.acknowledge().unwrap();
    assert_eq!(life.deposit(4, 7).unwrap().number, entry.number + 1);
    assert!(life.unacknowledged().is_empty());
}

#[test]
fn a_deposit_that_another_command_settled_is_told_to_its_own() {
    let (mut life, wire) = Life::over_a_wire();
    wire.set(cut_after(1));
    life.deposit(4, 7).unwrap_err();
    life.reopen();
    let caller = life.caller();
    life.call(Call::RequestExit { caller, index: 2 }).unwrap();
    assert_eq!(life.standing().1, 5);
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (3, true));
    assert_eq!(life.standing().1, 5, "nothing was sent");
}

#[test]
fn an_erc20_is_deposited_once_wherever_the_wire_is_cut() {
    let (mut life, wire) = Life::over_a_wire();
    let token = life.token("PlainToken");
    let from = json!(life.caller());
    let send = |life: &Life, transaction: Value| life.send(transaction);
    let mint = abi::call(
        "mint(address,uint256)",
        &[abi::address(&life.caller()), abi::uint(100)],
    );
    let mint = format!("0x{}", hex(&mint));
    send(&life, json!({ "from": from, "to": token, "data": mint }));
    // The approval, then the deposit, then neither is cut.
    for (cut, amount) in [(1, 7), (2, 8), (9, 9)] {
        let before = (life.standing().1, life.nonce());
        wire.set(cut_after(cut));
        let first = life.deposit_untold(5, 1, amount);
        assert_eq!(first.is_err(), cut < 9);
        life.reopen();
        let (entry, earlier) = life.deposit_untold(5, 1, amount).unwrap();
        assert_eq!((entry.number, earlier), (before.0, cut > 1));
        life.rollup.link.acknowledge().unwrap();
        assert_eq!(life.standing().1, before.0 + 1);
        assert_eq!(life.nonce(), before.1 + 2, "one approval, one deposit");
        assert_eq!(entry.op.amount(), amount);
        life.reopen_over(&wire.url).unwrap_or_else(|_| {
            wire.set(faithful);
            life.reopen_over(&wire.url).unwrap();
        });
    }
    assert_eq!(life.rollup.l1.totals(1).unwrap().pending, 24);
    // Some tokens refuse to change an allowance that is not 0.
    let contract = abi::address(&life.found.parameters.contract.unwrap());
    let left = abi::call("approve(address,uint256)", &[contract, abi::uint(3)]);
    send(
        &life,
        json!({ "from": from, "to": token, "data": format!("0x{}", hex(&left)) }),
    );
    let before = life.nonce();
    life.deposit_untold(5, 1, 10).unwrap();
    life.rollup.link.acknowledge().unwrap();
    assert_eq!(life.nonce(), before + 3, "0, the approval, the deposit");
}

/// Tokens credit more than was sent, or less; whose entry it is, its transaction says.
#[test]
fn a_deposit_of_which_more_or_less_arrives_is_told_and_stands_in_nobodys_way() {
    let mut life = Life::with_accounts();
    let token = life.token("HostileToken");
    let run = |life: &Life, data: Vec<u8>| {
        let data = format!("0x{}", hex(&data));
        life.send(json!({ "from": life.caller(), "to": token, "data": data }))
    };
    let mint = [abi::address(&life.caller()), abi::uint(1_000)];
    run(&life, abi::call("mint(address,uint256)", &mint));
    // HostileToken.Mode: 13 credits a unit more, 1 a tenth less.
    for (mode, arrives) in [(13, 101), (1, 90)] {
        let set = [abi::uint(mode), [0; 32], abi::uint(96), [0; 32]];
        run(&life, abi::call("set(uint8,address,bytes)", &set));
        let before = life.standing().1;
        let (entry, earlier) = life.deposit_untold(5, 1, 100).unwrap();
        assert_eq!((entry.number, entry.op.amount()), (before, arrives));
        assert!(!earlier);
        // As after a kill: the same call tells the same entry, and sends nothing.
        life.reopen();
        let (again, earlier) = life.deposit_untold(5, 1, 100).unwrap();
        assert_eq!((again, earlier), (entry, true));
        life.rollup.link.acknowledge().unwrap();
        assert!(life.unacknowledged().is_empty());
        // A top-up of the same account, too.
        let call = Call::TopUp {
            caller: life.caller(),
            index: entry.op.index(),
            amount: 100,
        };
        assert_eq!(life.call(call).unwrap(), Outcome::Entry(before + 1));
        assert_eq!(life.standing().1, before + 2, "each once");
    }
    life.finish();
    assert_eq!((life.balance(4), life.balance(5)), (202, 180));
}

/// Eight of sixty random bits sent a deposit of this kind twice before records were read from what was
/// signed.
#[test]
fn whatever_bit_of_the_outbox_is_flipped_a_deposit_is_made_once() {
    let mut life = Life::with_accounts();
    let deposit = (4, 0, 3_000_000_000_000_000_000);
    let (entry, _) = life
        .deposit_untold(deposit.0, deposit.1, deposit.2)
        .unwrap();
    let caller = life.caller();
    let sent = |life: &Life| life.control("eth_getTransactionCount", json!([caller, "pending"]));
    life.close();
    let folder = life.folder.path().join("ethereum");
    let mut files = std::fs::read_dir(folder).unwrap();
    let is_outbox = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "json");
    let file = files
        .find_map(|file| Some(file.unwrap().path()).filter(is_outbox))
        .unwrap();
    let good = std::fs::read(&file).unwrap();
    let (before, mut refused) = (sent(&life), 0);
    for place in 0..40 {
        let bit = place * 8 * good.len() / 40 + place % 8;
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, bad).unwrap();
        match open(life.folder.path(), &life.node.url, 0) {
            Err(error) => {
                let message = error.to_string();
                assert!(
                    message.contains("move the file away"),
                    "bit {bit}: {message}"
                );
                refused += 1;
            }
            Ok(rollup) => {
                life.rollup = rollup;
                let again = life
                    .deposit_untold(deposit.0, deposit.1, deposit.2)
                    .unwrap();
                assert_eq!(again, (entry, true), "bit {bit}");
                life.close();
            }
        }
        assert_eq!(sent(&life), before, "bit {bit}: nothing was sent");
    }
    assert!(refused > 20, "{refused}");
    std::fs::write(&file, &good).unwrap();
    life.reopen();
    assert_eq!(life.unacknowledged().len(), 1);
}

/// A receipt that says that the call failed, where its block has another.
#[test]
fn a_failure_that_its_block_refutes_is_not_believed() {
    let (mut life, wire) = Life::over_a_wire();
    wire.set(changing_receipts(fail));
    let refused = life.deposit(4, 7).unwrap_err();
    let words = "other receipts than block";
    assert!(refused.to_string().contains(words), "{refused}");
    wire.set(faithful);
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (3, true));
    assert_eq!(life.standing().1, 4, "one deposit");
}

/// The receipt says that the call failed, in a block that the chain has and that does not have the transaction.
#[test]
fn a_failure_in_a_block_that_does_not_have_the_transaction_is_not_believed() {
    let (mut life, wire) = Life::over_a_wire();
    let block = life.control("eth_getBlockByNumber", json!(["latest", false]));
    let nonce = life.nonce();
    wire.set(changing_receipts(move |receipt| {
        fail(receipt);
        receipt["blockNumber"] = block["number"].clone();
        receipt["blockHash"] = block["hash"].clone();
    }));
    let refused = life.deposit(4, 7).unwrap_err();
    let words = "which does not have transaction";
    assert!(refused.to_string().contains(words), "{refused}");
    wire.set(faithful);
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (3, true));
    assert_eq!(
        (life.standing().1, life.nonce()),
        (4, nonce + 1),
        "one deposit"
    );
}

/// What a real node shows of its blocks gives the roots in their headers.
#[test]
fn a_block_with_transactions_of_many_types_proves_a_receipt() {
    let (mut life, wire) = Life::over_a_wire();
    let url = life.node.url.clone();
    let contract = life.found.parameters.contract.unwrap();
    let other = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    for (number, manner) in (4..).zip(0..3) {
        life.control("evm_setAutomine", json!([false]));
        let price = "0x2540be400";
        for transaction in [
            json!({ "type": "0x0", "to": other, "gas": "0x5208", "gasPrice": price }),
            json!({ "type": "0x1", "to": other, "gas": "0x8000", "gasPrice": price, "accessList": [{ "address": contract, "storageKeys": [] }] }),
            json!({ "type": "0x2", "to": other, "gas": "0x5208", "maxFeePerGas": price, "maxPriorityFeePerGas": price }),
            // It fails: the contract has no such call.
            json!({ "to": contract, "gas": "0x30000", "input": "0xdeadbeef", "maxFeePerGas": price, "maxPriorityFeePerGas": price }),
        ] {
            let mut transaction = transaction;
            transaction["from"] = json!(other);
            life.control("eth_sendTransaction", json!([transaction]));
        }
        // The node shows the receipts of the block, then each alone, then a type that nobody knows.
        let url = url.clone();
        wire.set(move |method, params, answer| {
            if method == "eth_sendRawTransaction" {
                let rpc = chain::Rpc::new(&url).unwrap();
                rpc.control("evm_mine", json!([])).unwrap();
            }
            if method == "eth_getBlockReceipts" && manner == 1 {
                *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error("none") });
            }
            if method == "eth_getBlockByNumber" && params[1] == true && manner == 2 {
                answer["result"]["transactions"][0]["type"] = json!("0x7e");
            }
            Fate::Arrives
        });
        assert_eq!(life.deposit(number, 7).unwrap().op.index(), number);
        let block = life.control("eth_getBlockByNumber", json!(["latest", true]));
        let transactions = block["transactions"].as_array().unwrap();
        let mut types: Vec<&str> = transactions
            .iter()
            .map(|transaction| transaction["type"].as_str().unwrap())
            .collect();
        types.sort_unstable();
        assert_eq!(types, ["0x0", "0x1", "0x2", "0x2", "0x2"]);
        life.control("evm_setAutomine", json!([true]));
    }
}

/// A batch asks for the gas that it can take at most, not for what the node estimates at the moment.
#[test]
fn a_batch_asks_for_gas_that_no_call_of_others_uses_up() {
    let (mut life, wire) = Life::over_a_wire();
    let signed = sign(withdraw(3, 300_000, 0, 0), 3, &life.rollup);
    let accepted = life.rollup.batcher.submit(signed.into(), 0);
    accepted.unwrap().unwrap();
    life.seal_and_prove();
    // At the moment of the estimate everything seems to be a bargain.
    wire.set(|method, _, answer| {
        if method == "eth_estimateGas" {
            answer["result"] = json!("0x5208");
        }
        Fate::Arrives
    });
    assert_eq!(life.submit().unwrap(), 1);
    let block = life.control("eth_getBlockByNumber", json!(["latest", true]));
    let gas = block["transactions"][0]["gas"].as_str().unwrap();
    let gas = u64::from_str_radix(gas.trim_start_matches("0x"), 16).unwrap();
    assert!(gas > l1::evm::calldata::gas_bound(1, 0), "{gas}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_error_of_a_gateway_is_not_believed() {
    let (mut life, wire) = Life::over_a_wire();
    wire.set(refusing("eth_sendRawTransaction", "internal error"));
    // The node behind it took the transaction.
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.standing().1, 4);
    life.mining(false);
    let waits = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&waits), ChainError::NotMined { .. }),
        "{waits}"
    );
    assert!(waits.to_string().contains("internal error"), "{waits}");
    life.mining(true);
    wire.set(faithful);
    assert_eq!(life.deposit(4, 7).unwrap().number, 4);
    assert_eq!(life.standing().1, 5, "each once");
}

#[test]
fn words_of_one_of_several_nodes_are_not_final() {
    let (mut life, wire) = Life::over_a_wire();
    life.mining(false);
    // A gateway hands it to two nodes: one takes it, the other lags behind the payment of the gas.
    wire.set(refusing(
        "eth_sendRawTransaction",
        "insufficient funds for gas * price + value: balance 0",
    ));
    let waits = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&waits), ChainError::NotMined { .. }),
        "{waits}"
    );
    assert!(waits.to_string().contains("insufficient funds"), "{waits}");
    wire.set(faithful);
    life.mining(true);
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.standing().1, 4, "it happened once");
    // What no node takes is refused before it is signed.
    life.control("anvil_setBalance", json!([life.caller(), "0x0"]));
    life.deposit(4, 7).unwrap_err();
    assert!(life.unacknowledged().is_empty());
}

#[test]
fn a_transaction_that_failed_in_its_block_is_told_to_its_own_command() {
    let (mut life, wire) = Life::over_a_wire();
    let caller = life.caller();
    life.call(Call::RequestExit { caller, index: 2 }).unwrap();
    life.mining(false);
    wire.set(cut_after(1));
    life.deposit(4, 7).unwrap_err();
    // Before it in the block: somebody freezes the rollup.
    let data = hex(&abi::freeze());
    life.control("evm_increaseTime", json!([FREEZE_AFTER + 10]));
    let freeze = json!({
        "from": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "to": life.found.parameters.contract.unwrap(),
        "data": format!("0x{data}"),
        "gas": "0x40000",
        "maxFeePerGas": "0x746a528800",
        "maxPriorityFeePerGas": "0x746a528800",
    });
    life.control("eth_sendTransaction", json!([freeze]));
    life.mining(true);
    life.reopen();
    assert!(life.rollup.l1.head().unwrap().frozen);
    // A call of another kind settles it and does not tell its end.
    let refused = life
        .call(Call::RequestExit { caller, index: 2 })
        .unwrap_err();
    assert!(refused.to_string().contains("IsFrozen"), "{refused}");
    assert!(matches!(
        life.unacknowledged()[..],
        [(_, TransactionStatus::Failed(_))]
    ));
    let failed = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&failed), ChainError::Failed { .. }),
        "{failed}"
    );
    assert!(life.unacknowledged().is_empty());
    let refused = life.deposit(4, 7).unwrap_err();
    assert!(refused.to_string().contains("IsFrozen"), "{refused}");
}

#[test]
fn what_a_reorganization_dropped_is_cancelled_or_comes_again_in_order() {
    let mut life = Life::with_accounts();
    let before = life.control("evm_snapshot", json!([]));
    life.deposit_untold(4, 0, 7).unwrap();
    life.deposit_untold(5, 0, 8).unwrap();
    life.replace_since(&before);
    life.reopen();
    // The second comes into no block before the first.
    let (entry, earlier) = life.deposit_untold(5, 0, 8).unwrap();
    assert_eq!((entry.number, entry.op.amount(), earlier), (4, 8, true));
    life.rollup.link.acknowledge().unwrap();
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (3, true));
    // Cancelled, it does not come again with the next command.
    let before = life.control("evm_snapshot", json!([]));
    life.deposit_untold(6, 0, 9).unwrap();
    life.rollup.link.acknowledge().unwrap();
    life.deposit_untold(6, 0, 9).unwrap();
    life.replace_since(&before);
    assert!(life.cancel().contains(&TransactionStatus::Cancelled));
    let tail = life.standing().1;
    let caller = life.caller();
    life.call(Call::RequestExit { caller, index: 2 }).unwrap();
    assert_eq!(life.standing().1, tail + 1);
}

#[test]
fn cancel_believes_no_nonce_of_long_ago() {
    let (mut life, wire) = Life::over_a_wire();
    life.control("anvil_setNonce", json!([life.caller(), "0x12c"]));
    life.mining(false);
    life.deposit(4, 7).unwrap_err();
    wire.set(|method, params, answer| {
        if method == "eth_getTransactionCount" && params[1] == "latest" {
            answer["result"] = json!("0x0");
        }
        Fate::Arrives
    });
    life.close();
    let mut over = access(&wire.url, life.folder.path(), None).unwrap();
    let crowded = over.cancel().unwrap_err();
    assert!(matches!(crowded, ChainError::Crowded { .. }), "{crowded}");
    drop(over);
    life.mining(true);
    life.reopen();
    assert_eq!(life.unacknowledged().len(), 1, "no flood");
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
}

#[test]
fn an_offer_is_raised_in_both_fees_whatever_tip_the_node_named() {
    let (mut life, wire) = Life::over_a_wire();
    wire.set(|method, _, answer| {
        if method == "eth_maxPriorityFeePerGas" {
            answer["result"] = json!("0x174876e800");
        }
        Fate::Arrives
    });
    life.mining(false);
    life.deposit(4, 7).unwrap_err();
    let folder = life.folder.path().join("ethereum");
    let mut files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let file = files.find(|file| file.extension().is_some_and(|kind| kind == "json"));
    let outbox: Value = serde_json::from_slice(&std::fs::read(file.unwrap()).unwrap()).unwrap();
    let attempts = outbox["content"]["records"][0]["attempts"]
        .as_array()
        .unwrap();
    // EIP-1559: chain, nonce, tip, fee and more in a list after the type.
    let offers: Vec<(u64, u64)> = attempts
        .iter()
        .map(|raw| {
            let fields = rlp_numbers(raw.as_str().unwrap());
            (fields[3], fields[2])
        })
        .collect();
    assert_eq!(offers[0].1, 50_000_000_000, "bounded at first");
    assert!(offers.len() > 2);
    for pair in offers.windows(2) {
        // What nodes ask of a replacement: a tenth more of both.
        assert!(pair[1].0 * 10 >= pair[0].0 * 11 && pair[1].1 * 10 >= pair[0].1 * 11);
    }
    assert!(offers.last().unwrap().1 <= 200_000_000_000);
}

/// The first numbers of a transaction of type 2 (RLP).
fn rlp_numbers(raw: &str) -> Vec<u64> {
    let digits = raw.trim_start_matches("0x02");
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|place| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    let mut at = match bytes[0] {
        long @ 0xf8.. => usize::from(long - 0xf7) + 1,
        _ => 1,
    };
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let length = usize::from(bytes[at].saturating_sub(0x80));
        let number = match bytes[at] {
            small @ ..0x80 => small.into(),
            _ => bytes[at + 1..=at + length]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        numbers.push(number);
        at += 1 + length;
    }
    numbers
}

#[test]
fn a_node_that_lags_gives_no_nonce_that_is_used() {
    let (mut life, wire) = Life::over_a_wire();
    life.deposit(4, 7).unwrap();
    // A new program, and a node that does not know of the deposit yet.
    life.reopen_over(&wire.url).unwrap();
    let used = life.nonce();
    let mut sent = false;
    wire.set(move |method, _, answer| {
        if method == "eth_getTransactionCount" && !sent {
            answer["result"] = json!(format!("{:#x}", used - 1));
        }
        sent |= method == "eth_sendRawTransaction";
        Fate::Arrives
    });
    assert_eq!(life.deposit(5, 8).unwrap().number, 4);
}

#[test]
fn a_receipt_of_a_block_that_was_dropped_is_none() {
    let (mut life, wire) = Life::over_a_wire();
    // Of two nodes one is on a fork: its receipts name blocks that the other does not have.
    let mut asked = 0;
    wire.set(move |method, _, answer| {
        if method == "eth_getTransactionReceipt" && answer["result"].is_object() {
            asked += 1;
            if asked < 4 {
                answer["result"]["blockHash"] = json!(format!("0x{}", "ee".repeat(32)));
                answer["result"]["logs"] = json!([]);
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    // If there is no other, there is none.
    wire.set(changing_receipts(|receipt| {
        receipt["blockHash"] = json!(format!("0x{}", "ee".repeat(32)));
    }));
    let none = life.deposit(4, 7).unwrap_err();
    let none = chain_error(&none);
    assert!(matches!(none, ChainError::Replaced { .. }), "{none}");
}

#[test]
fn what_a_receipt_tells_is_proven_by_its_block() {
    let (mut life, wire) = Life::over_a_wire();
    // The receipt's event is of an entry that somebody else has.
    wire.set(changing_receipts(|receipt| {
        for log in receipt["logs"].as_array_mut().unwrap() {
            log["topics"][1] = json!(format!("0x{:064x}", 1));
        }
    }));
    let refused = life.deposit(4, 7).unwrap_err();
    let words = "other receipts than block";
    assert!(refused.to_string().contains(words), "{refused}");
    wire.set(faithful);
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (3, true));
}

#[test]
fn a_nonce_that_another_program_used_is_told_and_nothing_is_sent_again() {
    let mut life = Life::with_accounts();
    life.mining(false);
    let waits = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&waits), ChainError::NotMined { .. }),
        "{waits}"
    );
    life.control("anvil_dropAllTransactions", json!([]));
    let caller = json!(life.caller());
    life.control(
        "eth_sendTransaction",
        json!([{ "from": caller, "to": caller }]),
    );
    life.mining(true);
    let sent = life.nonce();
    for _ in 0..2 {
        let replaced = life.deposit(4, 7).unwrap_err();
        assert!(
            matches!(chain_error(&replaced), ChainError::Replaced { .. }),
            "{replaced}"
        );
    }
    assert_eq!(
        (life.nonce(), life.standing().1),
        (sent, 3),
        "nothing was sent"
    );
    // Another call is not kept.
    let caller = life.caller();
    life.call(Call::RequestExit { caller, index: 2 }).unwrap();
    assert_eq!(
        life.unacknowledged(),
        [("the deposit".to_owned(), TransactionStatus::NonceUsed)]
    );
    assert_eq!(life.cancel(), [TransactionStatus::NonceUsed]);
    assert_eq!(life.deposit(4, 7).unwrap().number, 4);
}

#[test]
fn a_batch_whose_nonce_another_program_used_is_submitted_again() {
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    life.seal_and_prove();
    life.mining(false);
    life.submit().unwrap_err();
    life.control("anvil_dropAllTransactions", json!([]));
    let caller = json!(life.caller());
    life.control(
        "eth_sendTransaction",
        json!([{ "from": caller, "to": caller }]),
    );
    life.mining(true);
    assert_eq!(life.cancel(), [TransactionStatus::NonceUsed]);
    assert!(life.unacknowledged().is_empty());
    assert_eq!(life.submit().unwrap(), 1);
    assert_eq!(life.standing().0, 3);
}

#[test]
fn a_receipt_that_comes_late_is_not_taken_for_another_transaction() {
    let (mut life, wire) = Life::over_a_wire();
    let mut asked = 0;
    wire.set(move |method, _, answer| {
        if method == "eth_getTransactionReceipt" {
            asked += 1;
            if asked < 5 {
                answer["result"] = Value::Null;
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    // A receipt without a block is none.
    let mut asked = 0;
    wire.set(move |method, _, answer| {
        if method == "eth_getTransactionReceipt" {
            asked += u32::from(answer["result"].is_object());
            if asked < 5 && answer["result"].is_object() {
                answer["result"]["blockNumber"] = Value::Null;
                answer["result"]["blockHash"] = Value::Null;
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 4);
    assert_eq!(life.standing().1, 5);
}

#[test]
fn gas_that_is_too_dear_is_not_paid() {
    let mut life = Life::with_accounts();
    let before = life.nonce();
    life.control("anvil_setNextBlockBaseFeePerGas", json!(["0x2ba7def3000"]));
    life.control("anvil_mine", json!([1]));
    let dear = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&dear), ChainError::TooDear { .. }),
        "{dear}"
    );
    assert!(life.unacknowledged().is_empty());
    assert_eq!(life.nonce(), before);
}

#[test]
fn words_about_fees_do_not_raise_an_offer_at_once() {
    let (mut life, wire) = Life::over_a_wire();
    life.mining(false);
    let offers = std::sync::Arc::new(AtomicU32::new(0));
    let counter = offers.clone();
    wire.set(move |method, _, answer| {
        if method == "eth_sendRawTransaction" {
            counter.fetch_add(1, Ordering::SeqCst);
            *answer = json!({ "jsonrpc": "2.0", "id": 1, "error": error("transaction underpriced: max fee") });
        }
        Fate::Arrives
    });
    let begun = std::time::Instant::now();
    let waits = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&waits), ChainError::NotMined { .. }),
        "{waits}"
    );
    let offers = offers.load(Ordering::SeqCst);
    assert!(offers > 1);
    assert!(
        begun.elapsed() >= HURRIED.silence * (offers - 1),
        "a silence before each"
    );
}

#[test]
fn a_gap_of_nonces_is_told_and_cancel_frees_the_key() {
    let (mut life, wire) = Life::over_a_wire();
    let before = life.nonce();
    // The node knows of a transaction that it then loses.
    wire.set(move |method, params, answer| {
        if method == "eth_getTransactionCount" && params[1] == "pending" {
            answer["result"] = json!(format!("{:#x}", before + 1));
        }
        Fate::Arrives
    });
    let gap = life.deposit(4, 7).unwrap_err();
    let ChainError::Gap { nonce, next, .. } = chain_error(&gap) else {
        panic!("{gap}");
    };
    assert_eq!((*nonce, *next), (before + 1, before));
    // It stands in the way of everything else of the key, which says so.
    let caller = life.caller();
    let gap = life
        .call(Call::RequestExit { caller, index: 2 })
        .unwrap_err();
    assert!(matches!(chain_error(&gap), ChainError::Gap { .. }), "{gap}");
    assert!(life.cancel().contains(&TransactionStatus::Cancelled));
    assert_eq!(life.nonce(), before + 2, "both nonces are taken");
    assert!(life.unacknowledged().is_empty());
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.standing().1, 4, "the cancelled one never happened");
}

#[test]
fn what_a_block_has_before_it_is_cancelled_is_told_to_its_own_command() {
    let (mut life, wire) = Life::over_a_wire();
    wire.set(cut_after(1));
    life.deposit(4, 7).unwrap_err();
    let ended = life.cancel();
    assert!(
        matches!(ended[..], [TransactionStatus::InBlock(_)]),
        "{ended:?}"
    );
    let (entry, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (3, true));
    life.rollup.link.acknowledge().unwrap();
    // One that waits is cancelled, though it was offered first.
    life.mining(false);
    life.deposit(4, 9).unwrap_err();
    life.control("evm_setIntervalMining", json!([1]));
    assert_eq!(life.cancel(), [TransactionStatus::Cancelled]);
    assert_eq!(life.standing().1, 4);
}

#[test]
fn a_waiting_transaction_that_would_fail_is_not_offered_more() {
    let (mut life, wire) = Life::over_a_wire();
    life.mining(false);
    let (mut simulated, mut offers) = (0, 0);
    let offered = std::sync::Arc::new(AtomicU32::new(0));
    let counter = offered.clone();
    wire.set(move |method, params, answer| {
        let call = method == "eth_call" && params[0]["from"].is_string();
        simulated += u32::from(call);
        if call && simulated > 1 {
            *answer = json!({ "jsonrpc": "2.0", "id": 1, "error": error("execution reverted") });
        }
        offers += u32::from(method == "eth_sendRawTransaction");
        counter.store(offers, Ordering::SeqCst);
        Fate::Arrives
    });
    let fails = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&fails), ChainError::WouldFail { .. }),
        "{fails}"
    );
    assert_eq!(offered.load(Ordering::SeqCst), 1);
    wire.set(faithful);
    life.mining(true);
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.standing().1, 4);
}

#[test]
fn of_a_deposit_in_a_block_that_was_dropped_the_right_entry_is_told() {
    let (mut life, wire) = Life::over_a_wire();
    let before = life.control("evm_snapshot", json!([]));
    let (url, contract) = (
        life.node.url.clone(),
        life.found.parameters.contract.unwrap(),
    );
    // Between the receipt and the mirror the block is replaced by one with somebody else's deposit.
    let key = key_of(9).public_key();
    let data = hex(&abi::deposit(0, 5, &key, &cofactor_inverse_point(&key)));
    let (mut receipts, mut done) = (0, false);
    wire.set(move |method, _, answer| {
        receipts += u32::from(method == "eth_getTransactionReceipt" && answer["result"].is_object());
        if receipts == 0 || done || method != "eth_getBlockByNumber" {
            return Fate::Arrives;
        }
        // The first look at the receipt's block is let through.
        receipts += 1;
        if receipts < 4 {
            return Fate::Arrives;
        }
        done = true;
        let rpc = chain::Rpc::new(&url).unwrap();
        rpc.control("evm_revert", json!([before])).unwrap();
        let other = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
        let call = json!({ "from": other, "to": contract, "value": format!("{:#x}", L1_FEE + 5), "data": format!("0x{data}") });
        rpc.control("eth_sendTransaction", json!([call])).unwrap();
        rpc.control("anvil_mine", json!([2])).unwrap();
        Fate::Arrives
    });
    let (entry, _) = life.deposit_untold(4, 0, 7).unwrap();
    assert_eq!((entry.number, entry.op.amount()), (4, 7));
    assert_eq!(entry.payer, life.caller());
    let other = life.rollup.l1.queue(3, 1).unwrap().remove(0);
    assert_ne!(other.payer, life.caller());
    life.finish();
    assert_eq!((life.balance(4), life.balance(5)), (5, 7));
}

#[test]
fn a_claim_that_was_cut_leaves_nothing_behind() {
    let mut life = Life::with_accounts();
    let withdrawn = |life: &mut Life, nonce: u64| {
        let signed = sign(withdraw(3, 100_000, nonce, 0), 3, &life.rollup);
        let accepted = life.rollup.batcher.submit(signed.into(), 0);
        accepted.unwrap().unwrap();
        life.finish();
    };
    withdrawn(&mut life, 0);
    let caller = life.caller();
    let claim = Call::Claim { caller, token: 0 };
    let first = life.call_untold(claim).unwrap();
    assert_eq!(first.outcome, Outcome::Amount(100_000));
    life.reopen();
    withdrawn(&mut life, 1);
    assert!(life.rollup.link.is_unacknowledged(&life.rollup.l1, claim));
    let again = life.call_untold(claim).unwrap();
    assert!(again.earlier);
    assert_eq!(again.outcome, Outcome::Amount(100_000));
    life.rollup.link.acknowledge().unwrap();
    assert!(!life.rollup.link.is_unacknowledged(&life.rollup.l1, claim));
    assert_eq!(life.rollup.l1.claimable(caller, 0).unwrap(), 100_000);
    assert_eq!(life.call(claim).unwrap(), Outcome::Amount(100_000));
}

#[test]
fn a_deployment_that_was_cut_is_finished_by_the_same_again() {
    let node = Anvil::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let keys = || BTreeMap::from([(shape().id, keys().key.verifying_key().clone())]);
    let wire = Wire::to(&node, faithful);
    let sent = |expected: u64| {
        let rpc = chain::Rpc::new(&node.url).unwrap();
        let caller = access(&node.url, folder.path(), None)
            .unwrap()
            .caller()
            .unwrap();
        let count = rpc.control("eth_getTransactionCount", json!([caller, "latest"]));
        assert_eq!(count.unwrap(), json!(format!("{expected:#x}")));
    };
    for count in [1, 1] {
        let mut over = access(&wire.url, folder.path(), None).unwrap();
        let parameters = parameters(&over);
        wire.set(cut_after(count));
        over.deploy(parameters, keys()).unwrap_err();
        wire.set(faithful);
    }
    sent(2);
    let mut over = access(&wire.url, folder.path(), None).unwrap();
    let found = over.deploy(parameters(&over), keys()).unwrap();
    let again = over.deploy(parameters(&over), keys()).unwrap();
    assert_eq!(found.parameters, again.parameters);
    over.acknowledge_deployment().unwrap();
    drop(over);
    sent(2);
}

#[test]
fn a_deployment_that_was_told_forgets_no_deposit() {
    let mut life = Life::with_accounts();
    life.deposit_untold(4, 0, 7).unwrap();
    life.close();
    let mut over = access(&life.node.url, life.folder.path(), None).unwrap();
    over.acknowledge_deployment().unwrap();
    drop(over);
    life.reopen();
    let (_, earlier) = life.deposit_untold(4, 0, 7).unwrap();
    assert!(earlier);
}

#[test]
fn two_processes_do_not_send_with_one_key_from_one_directory() {
    let life = Life::begin(0);
    let refused = access(&life.node.url, life.folder.path(), None)
        .err()
        .unwrap();
    assert!(matches!(refused, ChainError::InUse { .. }), "{refused}");
}
