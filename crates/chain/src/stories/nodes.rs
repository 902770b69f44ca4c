//! Nodes that lag, lie, limit themselves or contradict one another.

use super::*;
use crate::script::{erc20, faithful};

/// The node answers as another does that has an older chain.
fn lagging(older: Node) -> impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send {
    move |_, method, params, answer| {
        *answer = older.shown().answer(method, params);
        Fate::Arrives
    }
}

#[test]
fn a_node_that_lags_undoes_nothing_and_nothing_is_sent_through_it() {
    let mut life = Life::with_accounts();
    let older = life.node.copy();
    let entry = life.deposit(4, 7).unwrap();
    let now = life.node.shown().now;
    let sent = life.arrived();
    older.shown().now = now;
    life.node.set(lagging(older.clone()));
    let behind = chain_error(life.sync());
    assert!(matches!(behind, ChainError::Behind { .. }), "{behind}");
    let behind = chain_error(life.deposit(5, 8));
    assert!(matches!(behind, ChainError::Behind { .. }), "{behind}");
    assert_eq!((life.entries(), life.arrived()), (entry.number + 1, sent));
    assert!(older.shown().arrived.len() < sent, "nothing was sent to it");
    life.node.set(faithful);
    assert_eq!(life.deposit(5, 8).unwrap().number, entry.number + 1);
}

/// Behind one address are two nodes, and now and then the one answers that has heard of nothing since. If it is
/// asked rarely, the call gets through; if it is asked often, the call says so, and is not made twice.
#[test]
fn of_two_nodes_behind_one_address_one_may_lag() {
    for (every, through) in [(16, true), (7, false), (5, false), (2, false)] {
        let mut life = Life::with_accounts();
        let older = life.node.copy();
        let mut asked = 0;
        life.node.set(move |shown, method, params, answer| {
            asked += 1;
            older.shown().now = shown.now;
            // Whatever is sent reaches both, as it does in a network.
            if asked % every == 0 && method != "eth_sendRawTransaction" {
                *answer = older.shown().answer(method, params);
            }
            Fate::Arrives
        });
        let sent = life.arrived();
        if !through {
            for _ in 0..3 {
                let lags = chain_error(life.deposit_only(4, 0, 7));
                let said = match every {
                    2 => matches!(lags, ChainError::Replaced { .. }),
                    _ => matches!(lags, ChainError::Unsteady { .. }),
                };
                assert!(said, "{every}: {lags}");
            }
            life.node.set(faithful);
        }
        let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
        assert_eq!((entry.number, earlier), (2, !through));
        assert_eq!((life.arrived(), life.entries()), (sent + 1, 3), "once");
    }
}

#[test]
fn an_error_of_a_gateway_whose_node_took_the_transaction_is_not_believed() {
    let mut life = Life::with_accounts();
    life.node
        .set(refusing("eth_sendRawTransaction", "internal error"));
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    life.mining(Mining::Stopped);
    let waits = chain_error(life.deposit(4, 7));
    assert!(matches!(waits, ChainError::NotMined { .. }), "{waits}");
    assert!(waits.to_string().contains("internal error"), "{waits}");
    life.mining(Mining::AtOnce);
    life.node.shown().mine(&[]);
    life.node.set(faithful);
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.entries(), 4, "each once");
}

#[test]
fn what_one_of_several_nodes_refuses_for_good_stays_in_the_outbox() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    life.node.set(refusing(
        "eth_sendRawTransaction",
        "insufficient funds for gas * price + value: balance 0",
    ));
    let waits = chain_error(life.deposit(4, 7));
    assert!(matches!(waits, ChainError::NotMined { .. }), "{waits}");
    assert!(waits.to_string().contains("insufficient funds"), "{waits}");
    assert_eq!(life.in_outbox().len(), 1);
    life.node.set(faithful);
    life.mining(Mining::AtOnce);
    life.node.shown().mine(&[]);
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.entries()), (2, true, 3));
}

/// Where its block does not prove what a receipt says ([`crate::blocks`]), a receipt alone that says that the call
/// failed is not enough to make a deposit a second time.
#[test]
fn a_failure_that_its_own_events_refute_is_not_believed() {
    let mut life = Life::with_accounts();
    life.node.shown().foreign = true;
    life.node.set(failing(u32::MAX));
    let refused = chain_error(life.deposit(4, 7));
    assert!(matches!(refused, ChainError::Answer { .. }), "{refused}");
    life.node.set(faithful);
    let sent = life.arrived();
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.arrived()), (2, true, sent));
}

/// The node hides the events of the block as well, or says that they are another transaction's, once the mirror has
/// executed them.
#[test]
fn a_failure_that_the_mirror_refutes_is_not_believed() {
    let hide = |logs: &mut Value| *logs = json!([]);
    let ascribe = |logs: &mut Value| {
        for log in logs.as_array_mut().unwrap() {
            log["transactionHash"] = json!(format!("0x{:064x}", 1));
        }
    };
    let lies: [fn(&mut Value); 2] = [hide, ascribe];
    for lie in lies {
        let mut life = Life::with_accounts();
        life.node.shown().foreign = true;
        life.node.set(failing_in_its_block(lie));
        let sent = life.arrived();
        for _ in 0..2 {
            let refused = chain_error(life.deposit(4, 7));
            assert!(matches!(refused, ChainError::Answer { .. }), "{refused}");
        }
        life.node.set(faithful);
        let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
        assert_eq!((entry.number, earlier), (2, true));
        assert_eq!((life.arrived(), life.entries()), (sent + 1, 3));
    }
}

/// Not every call makes an entry of the queue.
#[test]
fn events_that_the_node_hides_later_refute_a_failure() {
    let mut life = Life::with_accounts();
    life.node.shown().foreign = true;
    life.node
        .set(failing_in_its_block(|logs| *logs = json!([])));
    let refused = chain_error(life.call(Call::AddToken(erc20(1))));
    assert!(matches!(refused, ChainError::Answer { .. }), "{refused}");
}

/// Each receipt says that the call failed, and a lie is told to whoever asks for the events of one block alone.
fn failing_in_its_block(
    lie: fn(&mut Value),
) -> impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send {
    let mut fail = failing(u32::MAX);
    move |shown, method, params, answer| {
        if method == "eth_getLogs" && params[0]["fromBlock"] == params[0]["toBlock"] {
            lie(&mut answer["result"]);
        }
        fail(shown, method, params, answer)
    }
}

/// One of several nodes has the call in a fork in which it failed: the same command asks again.
#[test]
fn a_failure_that_one_of_several_nodes_reports_is_checked_again() {
    for count in 1..=3 {
        let mut life = Life::with_accounts();
        life.node.shown().foreign = true;
        life.node.set(failing(count));
        let sent = life.arrived();
        let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
        assert_eq!(
            (entry.number, earlier, life.arrived()),
            (2, false, sent + 1)
        );
    }
}

/// The first receipts say that the call failed.
fn failing(count: u32) -> impl FnMut(&mut Shown, &str, &Value, &mut Value) -> Fate + Send {
    let mut told = 0;
    move |_, method, _, answer| {
        if method == "eth_getTransactionReceipt" && answer["result"].is_object() {
            told += 1;
            if told <= count {
                answer["result"]["status"] = json!("0x0");
                answer["result"]["logs"] = json!([]);
            }
        }
        Fate::Arrives
    }
}

#[test]
fn what_a_receipt_says_is_compared_with_the_queue() {
    let mut life = Life::with_accounts();
    life.node.shown().foreign = true;
    // The receipt's event is of an entry that another call made.
    life.node.set(|_, method, _, answer| {
        if method == "eth_getTransactionReceipt" && answer["result"].is_object() {
            for log in answer["result"]["logs"].as_array_mut().unwrap() {
                log["topics"][1] = json!(format!("0x{:064x}", 1));
            }
        }
        Fate::Arrives
    });
    let dropped = life.deposit(4, 7).unwrap_err();
    assert!(matches!(dropped, SettleError::Dropped { .. }), "{dropped}");
    life.node.set(faithful);
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (2, true));
}

#[test]
fn a_node_that_hides_events_or_changes_them_is_caught() {
    let mut life = Life::with_accounts();
    life.node.set(|_, method, _, answer| {
        if method == "eth_getLogs" {
            answer["result"] = json!([]);
        }
        Fate::Arrives
    });
    let differs = chain_error(life.deposit(4, 7));
    assert!(matches!(differs, ChainError::Disagree { .. }), "{differs}");
    // One more unit than was paid.
    life.node.set(|_, method, _, answer| {
        if method == "eth_getLogs" {
            let (amount, more) = (format!("{:064x}", 7), format!("{:064x}", 8));
            for log in answer["result"].as_array_mut().unwrap() {
                let data = log["data"].as_str().unwrap();
                log["data"] = json!(data.replacen(&amount, &more, 1));
            }
        }
        Fate::Arrives
    });
    let differs = chain_error(life.sync());
    assert!(matches!(differs, ChainError::Disagree { .. }), "{differs}");
    // A node that says what there is: nothing of the lies stayed.
    life.node.set(faithful);
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, entry.op.amount(), earlier), (2, 7, true));
}

/// A node's index of events lags behind its blocks for a moment.
#[test]
fn events_that_a_node_has_only_later_are_read_then() {
    let mut life = Life::with_accounts();
    let mut asked = 0;
    life.node.set(move |_, method, _, answer| {
        if method == "eth_getLogs" {
            asked += 1;
            if asked <= 2 {
                answer["result"] = json!([]);
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
}

#[test]
fn a_node_that_answers_for_few_blocks_is_asked_for_few() {
    let mut life = Life::with_accounts();
    for _ in 0..200 {
        life.node.shown().mine(&[]);
    }
    life.node.set(|_, method, params, answer| {
        let number = |text: &Value| {
            let digits = text.as_str().unwrap().trim_start_matches("0x").to_owned();
            u64::from_str_radix(&digits, 16).unwrap()
        };
        if method == "eth_getLogs" {
            let [from, to] = ["fromBlock", "toBlock"].map(|end| number(&params[0][end]));
            if to - from > 9 {
                *answer = error("block range is too wide");
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
}

#[test]
fn limits_of_a_node_are_waited_for() {
    let mut life = Life::with_accounts();
    let mut asked = 0;
    life.node.set(move |_, method, _, answer| {
        if method == "eth_getLogs" || method == "eth_sendRawTransaction" {
            asked += 1;
            if asked % 2 == 1 {
                let limit = "daily request count exceeded, request rate limited";
                let limit = json!({ "code": -32005, "message": limit });
                *answer = json!({ "jsonrpc": "2.0", "id": 1, "error": limit });
            }
        }
        Fate::Arrives
    });
    life.reopen().unwrap();
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    assert_eq!(life.entries(), 3);
}

#[test]
fn absurd_numbers_are_refused() {
    let mut life = Life::with_accounts();
    for number in [true, false] {
        for value in [u64::MAX, 1 << 41] {
            life.node.set(move |_, method, params, answer| {
                if method == "eth_getBlockByNumber" && params[0] == "latest" {
                    change_header(answer, |header| match number {
                        true => header.number = value,
                        false => header.timestamp = value,
                    });
                }
                Fate::Arrives
            });
            let error = chain_error(life.sync());
            assert!(matches!(error, ChainError::Answer { .. }), "{error}");
            let words = match number {
                true => format!("block {value} of time"),
                false => format!("of time {value}"),
            };
            assert!(error.to_string().contains(&words), "{error}");
        }
    }
    life.node.set(faithful);
    life.sync().unwrap();
}

#[test]
fn a_chain_that_was_reset_is_not_followed() {
    let mut life = Life::with_accounts();
    {
        let mut shown = life.node.shown();
        let blocks = shown.head() - 100;
        // The block before the deployment is another, too.
        shown.tamper(100, |header| header.timestamp += 1);
        shown.fork(blocks);
        shown.mine(&[]);
    }
    let gone = chain_error(life.sync());
    assert!(matches!(gone, ChainError::DeploymentGone { .. }), "{gone}");
    assert_eq!(life.entries(), 2, "nothing was dropped");
}

#[test]
fn a_node_of_another_chain_or_without_the_contract_is_refused_at_start() {
    let mut life = Life::begin();
    life.close();
    life.node.set(|_, method, _, answer| {
        if method == "eth_chainId" {
            answer["result"] = json!("0x5");
        }
        Fate::Arrives
    });
    let other = chain_error(life.reopen());
    assert!(matches!(other, ChainError::OtherChain { .. }), "{other}");
    for code in ["0x", "0x00"] {
        life.node.set(move |_, method, _, answer| {
            if method == "eth_getCode" {
                answer["result"] = json!(code);
            }
            Fate::Arrives
        });
        let none = chain_error(life.reopen());
        assert!(matches!(none, ChainError::NotTheContract { .. }), "{none}");
    }
    life.node.set(faithful);
    life.reopen().unwrap();
}
