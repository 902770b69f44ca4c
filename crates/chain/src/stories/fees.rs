//! What is offered for gas, and how a transaction is replaced by one that offers more.

use super::*;
use crate::script::{Act, faithful};

const GWEI: u128 = 1_000_000_000;

impl Life {
    /// Fees and tips of the transactions of a nonce that arrived, in order.
    fn offers(&self, nonce: u64) -> Vec<(u128, u128)> {
        let shown = self.node.shown();
        let ours = shown.arrived.iter().filter(|sent| sent.nonce == nonce);
        ours.map(|sent| (sent.max_fee, sent.tip)).collect()
    }
}

/// What nodes ask of a replacement: a tenth more of both.
fn each_offers_more(offers: &[(u128, u128)]) -> bool {
    offers
        .windows(2)
        .all(|pair| pair[1].0 * 10 >= pair[0].0 * 11 && pair[1].1 * 10 >= pair[0].1 * 11)
}

#[test]
fn when_blocks_cost_more_than_it_offers_a_transaction_is_replaced_at_once() {
    let mut life = Life::with_accounts();
    life.mining(Mining::EachSlot);
    let nonce = life.nonce();
    life.node.set(|shown, method, _, _| {
        if method == "eth_sendRawTransaction" && shown.base_fee == GWEI {
            shown.base_fee = 30 * GWEI;
            shown.mine(&[]);
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    let offers = life.offers(nonce);
    assert_eq!(offers.len(), 2, "{offers:?}");
    assert!(offers[0].0 < 30 * GWEI && offers[1].0 >= 60 * GWEI);
    assert!(each_offers_more(&offers), "{offers:?}");
    assert!(life.paused().as_secs() < 60, "no minute of silence");
    assert_eq!(
        (life.nonce(), life.entries()),
        (nonce + 1, 3),
        "one of them"
    );
}

#[test]
fn after_a_minute_of_silence_a_transaction_is_replaced_in_both_fees() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    life.node.shown().tip = 100 * GWEI;
    let (nonce, begun) = (life.nonce(), life.paused());
    let waits = chain_error(life.deposit(4, 7));
    assert!(matches!(waits, ChainError::NotMined { .. }), "{waits}");
    let offers = life.offers(nonce);
    assert_eq!(offers[0].1, 50 * GWEI, "bounded at first");
    assert!(offers.len() > 2 && each_offers_more(&offers), "{offers:?}");
    assert!(offers.last().unwrap().1 <= 200 * GWEI);
    let waited = (life.paused() - begun).as_secs();
    assert!(waited >= 60 * offers.len() as u64, "{waited} s");
    // The next command waits for the same.
    life.mining(Mining::EachSlot);
    let (entry, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert_eq!((entry.number, earlier, life.nonce()), (2, true, nonce + 1));
}

/// The block's builder takes the transaction that was replaced, not its replacement.
#[test]
fn whichever_replacement_a_block_has_is_the_calls() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    let nonce = life.nonce();
    life.node.set(move |shown, method, _, _| {
        let sent: Vec<_> = shown
            .arrived
            .iter()
            .filter(|sent| sent.nonce == nonce)
            .cloned()
            .collect();
        if method == "eth_sendRawTransaction"
            && sent.len() == 3
            && shown.nonce(sent[0].from) == nonce
        {
            shown.waiting = vec![sent[1].clone()];
            shown.mine(&[]);
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    assert_eq!(life.offers(nonce).len(), 3);
    assert_eq!(life.entries(), 3, "it happened once");
}

#[test]
fn words_about_fees_raise_no_offer_before_a_minute_of_silence() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    life.node.set(refusing(
        "eth_sendRawTransaction",
        "transaction underpriced: max fee",
    ));
    let (nonce, begun) = (life.nonce(), life.paused());
    let waits = chain_error(life.deposit(4, 7));
    assert!(matches!(waits, ChainError::NotMined { .. }), "{waits}");
    let offers = life.offers(nonce);
    assert!(offers.len() > 1);
    let waited = (life.paused() - begun).as_secs();
    assert!(waited >= 60 * (offers.len() as u64 - 1), "{waited} s");
}

#[test]
fn an_underpriced_transaction_is_offered_more() {
    let mut life = Life::with_accounts();
    life.mining(Mining::EachSlot);
    let nonce = life.nonce();
    life.node.shown().base_fee = 4 * GWEI;
    // At first the fees seem to be next to nothing.
    life.node.set(move |shown, method, params, answer| {
        let first = !shown.arrived.iter().any(|sent| sent.nonce == nonce);
        if method == "eth_getBlockByNumber" && params[0] == "latest" && first {
            change_header(answer, |header| header.base_fee_per_gas = Some(1));
        }
        if method == "eth_maxPriorityFeePerGas" && first {
            answer["result"] = json!("0x1");
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
    let offers = life.offers(nonce);
    assert!(offers.len() > 1 && each_offers_more(&offers), "{offers:?}");
}

#[test]
fn gas_that_is_too_dear_is_not_paid() {
    let mut life = Life::with_accounts();
    let sent = life.arrived();
    {
        let mut shown = life.node.shown();
        shown.base_fee = 1_500 * GWEI;
        shown.mine(&[]);
    }
    let dear = chain_error(life.deposit(4, 7));
    assert!(matches!(dear, ChainError::TooDear { .. }), "{dear}");
    assert!(life.in_outbox().is_empty());
    assert_eq!(life.arrived(), sent);
}

#[test]
fn a_base_fee_that_is_not_its_headers_is_refused() {
    let mut life = Life::with_accounts();
    let sent = life.arrived();
    life.node.set(|_, method, params, answer| {
        if method == "eth_getBlockByNumber" && params[0] == "latest" {
            answer["result"]["baseFeePerGas"] = json!("0x1");
        }
        Fate::Arrives
    });
    let refused = chain_error(life.deposit(4, 7));
    assert!(
        refused.to_string().contains("where its header has"),
        "{refused}"
    );
    assert_eq!(life.arrived(), sent);
    assert!(life.in_outbox().is_empty());
}

#[test]
fn an_absurd_estimate_of_gas_is_refused() {
    let mut life = Life::with_accounts();
    let sent = life.arrived();
    for gas in [u64::MAX, 0x100_0001] {
        life.node.shown().gas = gas;
        let refused = chain_error(life.deposit(4, 7));
        assert!(matches!(refused, ChainError::Answer { .. }), "{refused}");
    }
    assert_eq!(life.arrived(), sent);
    life.node.shown().gas = 100_000;
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
}

#[test]
fn a_waiting_transaction_that_would_fail_is_not_offered_more() {
    let mut life = Life::with_accounts();
    life.mining(Mining::Stopped);
    let (mut simulated, nonce) = (0, life.nonce());
    life.node.set(move |_, method, params, answer| {
        let call = method == "eth_call" && params[0]["from"].is_string();
        simulated += u32::from(call);
        if call && simulated > 1 {
            *answer = error("execution reverted");
        }
        Fate::Arrives
    });
    let fails = chain_error(life.deposit(4, 7));
    assert!(matches!(fails, ChainError::WouldFail { .. }), "{fails}");
    assert_eq!(life.offers(nonce).len(), 1);
    life.node.set(faithful);
    life.mining(Mining::EachSlot);
    assert_eq!(life.deposit(4, 7).unwrap().number, 2);
}

/// Twenty commands in a row, fees that rise and fall, blocks that come or not.
#[test]
fn whatever_fees_do_each_call_happens_once() {
    let mut life = Life::with_accounts();
    life.mining(Mining::EachSlot);
    let fees = [1, 40, 3, 700, 20, 90, 1];
    for number in 0..20_u8 {
        let fee = fees[usize::from(number) % fees.len()] * GWEI;
        life.node.set(move |shown, method, _, _| {
            if method == "eth_sendRawTransaction" {
                shown.base_fee = fee;
                shown.mine(&[Act::TopUp(1, 1)]);
            }
            Fate::Arrives
        });
        let nonce = life.nonce();
        let entry = life.deposit(10 + number, u128::from(number)).unwrap();
        assert_eq!(entry.op.amount(), number.into());
        assert_eq!(life.nonce(), nonce + 1);
        assert!(each_offers_more(&life.offers(nonce)));
    }
    assert!(life.in_outbox().is_empty());
}
