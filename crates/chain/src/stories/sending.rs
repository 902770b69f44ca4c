//! Each call happens once, whatever becomes of its transaction.

use super::*;
use crate::script::{Act, erc20, faithful};

#[test]
fn a_call_whose_outcome_was_not_acknowledged_is_not_made_twice() {
    let mut life = Life::with_accounts();
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert!(!earlier);
    assert_eq!(life.in_outbox().len(), 1);
    // As after a kill between the receipt and the program's output.
    life.reopen().unwrap();
    let sent = life.arrived();
    assert_eq!(life.deposit_only(4, 0, 7).unwrap(), (entry, true));
    assert_eq!((life.arrived(), life.entries()), (sent, entry.number + 1));
    // Acknowledged, the same call is another one.
    life.chain().acknowledge().unwrap();
    assert!(life.in_outbox().is_empty());
    assert_eq!(life.deposit(4, 7).unwrap().number, entry.number + 1);
}

#[test]
fn a_transaction_whose_answer_is_lost_is_found_by_the_same_call() {
    let mut life = Life::with_accounts();
    life.node.set(cut_after(1));
    let lost = chain_error(life.deposit(4, 7));
    assert!(matches!(lost, ChainError::Unreachable { .. }), "{lost}");
    let sent = life.arrived();
    life.node.set(faithful);
    life.reopen().unwrap();
    assert_eq!(life.entries(), 3, "it had arrived");
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.arrived()), (2, true, sent));
}

#[test]
fn a_transaction_that_never_arrived_is_sent_by_the_next_call_whatever_it_is() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    let mut cut = cut_after(1);
    life.node.set(move |shown, method, params, answer| {
        shown.waiting.clear();
        cut(shown, method, params, answer)
    });
    let lost = chain_error(life.deposit(4, 7));
    assert!(matches!(lost, ChainError::Unreachable { .. }), "{lost}");
    life.node.set(faithful);
    life.mining(Mining::AtOnce);
    life.reopen().unwrap();
    assert_eq!(life.entries(), 2);
    // Another call waits for what comes before it, and leaves the outcome to the call that asked for it.
    life.request_exit(2).unwrap();
    assert_eq!(life.entries(), 4);
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.entries()), (2, true, 4));
}

#[test]
fn the_wire_may_be_cut_anywhere_and_an_erc20_is_approved_and_deposited_once() {
    let mut life = Life::with_accounts();
    life.node.shown().mine(&[Act::AddToken]);
    life.sync().unwrap();
    // The approval is cut, then the deposit, then neither.
    for (cut, amount) in [(1, 7), (2, 8), (9, 9)] {
        let (entries, nonce) = (life.entries(), life.nonce());
        life.node.set(cut_after(cut));
        let first = life.deposit_only(5, 1, amount);
        assert_eq!(first.is_err(), cut < 9);
        life.node.set(faithful);
        life.reopen().unwrap();
        let (entry, earlier) = life.deposit_only(5, 1, amount).unwrap();
        assert_eq!((entry.number, earlier), (entries, cut > 1));
        life.chain().acknowledge().unwrap();
        assert_eq!(life.entries(), entries + 1);
        assert_eq!(life.nonce(), nonce + 2, "one approval, one deposit");
    }
    assert_eq!(life.mirror().totals(1).unwrap().pending, 24);
}

#[test]
fn a_connection_that_fails_now_and_then_is_tried_again() {
    let mut life = Life::with_accounts();
    let mut asked = 0;
    life.node.set(move |_, _, _, _| {
        asked += 1;
        match asked % 3 {
            0 => Fate::Lost,
            _ => Fate::Arrives,
        }
    });
    life.reopen().unwrap();
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    assert_eq!(life.entries(), 3, "one deposit, though answers were lost");
}

#[test]
fn a_receipt_that_comes_late_is_waited_for() {
    let mut life = Life::with_accounts();
    let mut asked = 0;
    life.node.set(move |_, method, _, answer| {
        if method == "eth_getTransactionReceipt" {
            asked += 1;
            if asked < 9 {
                answer["result"] = Value::Null;
            }
        }
        Fate::Arrives
    });
    let sent = life.arrived();
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    // A receipt that names no block, or one that the chain does not have, is none.
    let mut asked = 0;
    life.node.set(move |_, method, _, answer| {
        if method == "eth_getTransactionReceipt" && answer["result"].is_object() {
            asked += 1;
            if asked < 4 {
                answer["result"]["blockNumber"] = Value::Null;
                answer["result"]["blockHash"] = Value::Null;
            } else if asked < 8 {
                answer["result"]["blockHash"] = json!(format!("0x{}", "ee".repeat(32)));
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.arrived(), sent + 2, "nothing was sent twice");
}

#[test]
fn a_receipt_that_a_node_has_lost_is_missed_for_a_while_then_reported_and_found_later() {
    let mut life = Life::with_accounts();
    life.node.set(|_, method, _, answer| {
        if method == "eth_getTransactionReceipt" {
            answer["result"] = Value::Null;
        }
        Fate::Arrives
    });
    let before = life.paused();
    let replaced = chain_error(life.deposit(4, 7));
    assert!(
        matches!(replaced, ChainError::Replaced { .. }),
        "{replaced}"
    );
    let waited = life.paused() - before;
    assert!(waited.as_secs() >= 150, "{waited:?}");
    // It is told at once afterwards, and nothing is sent.
    let (before, sent) = (life.paused(), life.arrived());
    let replaced = chain_error(life.deposit(4, 7));
    assert!(
        matches!(replaced, ChainError::Replaced { .. }),
        "{replaced}"
    );
    assert_eq!((life.paused(), life.arrived()), (before, sent));
    // A node that has the receipt.
    life.node.set(faithful);
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.arrived()), (2, true, sent));
}

#[test]
fn a_nonce_that_another_program_used_is_reported_and_nothing_is_sent_again() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    let waits = chain_error(life.deposit(4, 7));
    assert!(matches!(waits, ChainError::NotMined { .. }), "{waits}");
    let caller = life.caller();
    life.node.shown().mine(&[Act::UseNonce(caller)]);
    life.mining(Mining::AtOnce);
    let sent = life.arrived();
    for _ in 0..2 {
        let replaced = chain_error(life.deposit(4, 7));
        assert!(
            matches!(replaced, ChainError::Replaced { .. }),
            "{replaced}"
        );
    }
    assert_eq!((life.arrived(), life.entries()), (sent, 2));
    // It stands in the way of no other call.
    life.request_exit(2).unwrap();
    let left = [("the deposit".to_owned(), TransactionStatus::NonceUsed)];
    assert_eq!(life.in_outbox(), left);
    assert_eq!(life.cancel().unwrap(), [TransactionStatus::NonceUsed]);
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
}

#[test]
fn a_call_that_does_no_harm_twice_is_sent_again_after_another_program_used_its_nonce() {
    let mut life = Life::with_accounts();
    let add = Call::AddToken(erc20(1));
    life.mining(Mining::Stopped);
    let waits = chain_error(life.call(add));
    assert!(matches!(waits, ChainError::NotMined { .. }), "{waits}");
    let caller = life.caller();
    life.node.shown().mine(&[Act::UseNonce(caller)]);
    life.mining(Mining::AtOnce);
    let cancelled = chain_error(life.call(add));
    assert!(
        matches!(cancelled, ChainError::Cancelled { .. }),
        "{cancelled}"
    );
    assert!(life.in_outbox().is_empty());
    life.call(add).unwrap();
    assert_eq!(life.mirror().token_count().unwrap(), 2);
}

#[test]
fn a_gap_of_nonces_is_reported_and_cancel_frees_the_key() {
    let mut life = Life::with_accounts();
    let before = life.nonce();
    // The node knows of a transaction that it then loses.
    life.node.set(move |_, method, params, answer| {
        if method == "eth_getTransactionCount" && params[1] == "pending" {
            answer["result"] = json!(format!("{:#x}", before + 1));
        }
        Fate::Arrives
    });
    let gap = chain_error(life.deposit(4, 7));
    let ChainError::Gap { nonce, next, .. } = gap else {
        panic!("{gap}");
    };
    assert_eq!((nonce, next), (before + 1, before));
    // It stands in the way of everything else of the key, which says so.
    let gap = chain_error(life.request_exit(2));
    assert!(matches!(gap, ChainError::Gap { .. }), "{gap}");
    life.node.set(faithful);
    assert!(
        life.cancel()
            .unwrap()
            .contains(&TransactionStatus::Cancelled)
    );
    assert_eq!(life.nonce(), before + 2, "both nonces are taken");
    assert!(life.in_outbox().is_empty());
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    assert_eq!(life.entries(), 3, "the cancelled one never happened");
}

#[test]
fn a_node_that_lags_gives_no_nonce_that_is_used() {
    let mut life = Life::with_accounts();
    life.deposit(4, 7).unwrap();
    // A new program, and a node that does not know of the last transaction yet.
    life.reopen().unwrap();
    let used = life.nonce();
    let mut sent = false;
    life.node.set(move |_, method, _, answer| {
        if method == "eth_getTransactionCount" && !sent {
            answer["result"] = json!(format!("{:#x}", used - 1));
        }
        sent |= method == "eth_sendRawTransaction";
        Fate::Arrives
    });
    assert_eq!(life.deposit(5, 8).unwrap().number, 3);
}

#[test]
fn a_transaction_that_is_stuck_is_cancelled_and_never_happens() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    let stuck = chain_error(life.deposit(4, 7));
    assert!(matches!(stuck, ChainError::NotMined { .. }), "{stuck}");
    // Every other call of the key says what it waits for.
    let earlier = chain_error(life.request_exit(2));
    assert!(matches!(earlier, ChainError::Earlier { .. }), "{earlier}");
    let nonce = life.nonce();
    life.mining(Mining::EachSlot);
    assert_eq!(life.cancel().unwrap(), [TransactionStatus::Cancelled]);
    assert_eq!((life.nonce(), life.entries()), (nonce + 1, 2));
    assert!(life.in_outbox().is_empty());
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
}

/// A reorganization replaces the block with the empty transaction by one with the transaction itself.
#[test]
fn a_cancellation_that_is_gone_when_it_is_queried_again_is_not_reported() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    life.deposit(4, 7).unwrap_err();
    let first = life.node.shown().arrived.last().unwrap().clone();
    life.mining(Mining::EachSlot);
    let mut done = false;
    life.node.set(move |shown, method, _, _| {
        if method == "eth_getBlockReceipts" && !done {
            done = true;
            shown.fork(1);
            shown.waiting = vec![first.clone()];
            shown.mine(&[]);
        }
        Fate::Arrives
    });
    let unsteady = life.cancel().unwrap_err();
    assert!(
        matches!(unsteady, ChainError::Unsteady { .. }),
        "{unsteady}"
    );
    life.reopen().unwrap();
    let sent = life.arrived();
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier), (2, true));
    assert_eq!((life.arrived(), life.entries()), (sent, 3));
}

#[test]
fn what_a_block_has_before_it_is_cancelled_is_returned_to_its_own_call() {
    let mut life = Life::with_accounts();
    life.node.set(cut_after(1));
    life.deposit(4, 7).unwrap_err();
    life.node.set(faithful);
    let ended = life.cancel().unwrap();
    assert!(
        matches!(ended[..], [TransactionStatus::InBlock(_)]),
        "{ended:?}"
    );
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.entries()), (2, true, 3));
}

#[test]
fn cancel_believes_no_nonce_of_long_ago() {
    let mut life = Life::with_accounts();
    let caller = life.caller();
    life.node.shown().mine(&[Act::UseNonce(caller); 300]);
    life.mining(Mining::Stopped);
    life.deposit(4, 7).unwrap_err();
    life.node.set(|_, method, params, answer| {
        if method == "eth_getTransactionCount" && params[1] == "latest" {
            answer["result"] = json!("0x0");
        }
        Fate::Arrives
    });
    let sent = life.arrived();
    let crowded = life.cancel().unwrap_err();
    assert!(matches!(crowded, ChainError::Crowded { .. }), "{crowded}");
    assert_eq!(life.arrived(), sent, "no flood");
    life.node.set(faithful);
    life.mining(Mining::AtOnce);
    life.reopen().unwrap();
    assert_eq!(life.in_outbox().len(), 1);
}

#[test]
fn a_transaction_that_failed_in_its_block_is_reported_to_its_own_call() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    life.node.set(cut_after(1));
    life.deposit(4, 7).unwrap_err();
    life.mining(Mining::AtOnce);
    {
        // Before it in its block somebody freezes the rollup.
        let mut shown = life.node.shown();
        let time = shown.now + 700_000;
        shown.mine_at(time, &[Act::Freeze]);
    }
    life.node.set(faithful);
    life.reopen().unwrap();
    assert!(life.mirror().head().unwrap().frozen);
    // A call of another kind waits for it and leaves its outcome.
    let refused = chain_error(life.request_exit(2));
    assert!(refused.to_string().contains("IsFrozen"), "{refused}");
    assert!(matches!(
        life.in_outbox()[..],
        [(_, TransactionStatus::Failed(_))]
    ));
    let failed = chain_error(life.deposit(4, 7));
    assert!(matches!(failed, ChainError::Failed { .. }), "{failed}");
    assert!(life.in_outbox().is_empty());
    let refused = chain_error(life.deposit(4, 7));
    assert!(matches!(refused, ChainError::Refused { .. }), "{refused}");
}

#[test]
fn a_call_is_refused_with_the_contracts_reason_before_anything_is_sent() {
    let mut life = Life::with_accounts();
    life.request_exit(2).unwrap();
    let sent = life.arrived();
    let refused = chain_error(life.request_exit(2));
    assert!(
        refused.to_string().contains("ExitIsPending (index 2)"),
        "{refused}"
    );
    let refused = chain_error(life.call(Call::Freeze));
    assert!(refused.to_string().contains("NotOverdue"), "{refused}");
    assert_eq!(life.arrived(), sent);
    assert!(life.in_outbox().is_empty());
}

#[test]
fn two_programs_do_not_send_with_one_key_from_one_directory() {
    let life = Life::begin();
    let refused = access(&life.folder, &life.node).err().unwrap();
    assert!(matches!(refused, ChainError::InUse { .. }), "{refused}");
}

/// A reorganization drops the blocks of two transactions that were seen in them.
#[test]
fn what_a_reorganization_dropped_comes_again_in_order() {
    let mut life = Life::with_accounts();
    life.deposit_only(4, 0, 7).unwrap();
    life.deposit_only(5, 0, 8).unwrap();
    {
        let mut shown = life.node.shown();
        shown.fork(2);
        (0..3).for_each(|_| shown.mine(&[]));
    }
    life.reopen().unwrap();
    assert_eq!(life.entries(), 2);
    // The second comes into no block before the first.
    let (entry, earlier) = life.deposit_only(5, 0, 8).unwrap();
    assert_eq!((entry.number, entry.op.amount(), earlier), (3, 8, true));
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, entry.op.amount(), earlier), (2, 7, true));
    assert_eq!(life.entries(), 4);
}

/// Between the receipt and the mirror the block is replaced by one with somebody else's deposit, and the
/// transaction comes after it.
#[test]
fn of_a_deposit_whose_block_was_dropped_the_right_entry_is_returned() {
    let mut life = Life::with_accounts();
    let (mut receipts, mut done) = (0, false);
    life.node.set(move |shown, method, _, answer| {
        receipts +=
            u32::from(method == "eth_getTransactionReceipt" && answer["result"].is_object());
        if receipts > 0 && !done && method == "eth_getBlockByNumber" {
            receipts += 1;
            // The first query of the receipt's block is let through.
            if receipts > 3 {
                done = true;
                shown.fork_and_keep(1);
                shown.mine(&[Act::Deposit(0, 5)]);
                shown.mine(&[]);
            }
        }
        Fate::Arrives
    });
    let (entry, _) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, entry.op.amount()), (3, 7));
    assert_eq!(entry.payer, life.caller());
    let other = life.mirror().queue(2, 1).unwrap().remove(0);
    assert_ne!(other.payer, life.caller());
}
