//! Take-over, return and hand-over on the deployed bytecode, and the attacks on them.

use circuits::shapes::by_name;
use evm::chain::{CallError, Receipt};
use evm::sample::{OPERATOR, Sealed, World, address, transfer};
use l1::Address;
use l1::OPERATORS_HOUR;
use l1::bytes::Bytes;
use l1::evm::abi;
use l1::evm::calldata::{encode_batch, encode_batches};
use ledger::shape::Shape;

use crate::attacks::refused;

const FEE: u128 = 1_000;
const TAKEOVER_AFTER: u64 = 3 * 86_400;

fn tiny() -> Shape {
    by_name("tiny").unwrap()
}

fn slotless() -> Shape {
    Shape {
        id: 2,
        l1_ops: 0,
        ..tiny()
    }
}

fn alice() -> Address {
    address(1)
}

fn mallory() -> Address {
    address(6)
}

/// Two accounts; three entries wait: two top-ups and, five seconds later, an exit of account 2.
fn story() -> World {
    let mut world = World::new(&[tiny(), slotless()], FEE);
    world.deposit(alice(), 0, 1_000_000);
    world.deposit(address(2), 0, 500);
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit(&tiny(), batch);
    world.top_up(alice(), 2, 7);
    world.top_up(alice(), 1, 5);
    let later = world.chain.time() + 5;
    world.chain.set_time(later);
    world.request_exit(2);
    world
}

/// The first second at which an entry is overdue.
fn overdue_from(world: &World, entry: usize) -> u64 {
    world.queue[entry].time + TAKEOVER_AFTER + 1
}

/// The story when all three entries are overdue.
fn overdue() -> World {
    let mut world = story();
    let late = overdue_from(&world, 4);
    world.chain.set_time(late);
    world
}

/// After Mallory took the two oldest of the three.
fn taken_over() -> World {
    let mut world = overdue();
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit_by(&mallory(), &tiny(), batch);
    world
}

fn send(
    world: &mut World,
    caller: &Address,
    shape: &Shape,
    sealed: &Sealed,
) -> Result<Receipt, CallError> {
    let data = encode_batch(&sealed.submission, shape, &sealed.entries).unwrap();
    world.rollup.send(&mut world.chain, caller, 0, data)
}

fn give_back(world: &mut World, caller: &Address) -> Result<Receipt, CallError> {
    world.rollup.return_operator(&mut world.chain, caller)
}

fn offer(world: &mut World, caller: &Address, to: Option<Address>) -> Result<Receipt, CallError> {
    (world.rollup).offer_operator(&mut world.chain, caller, to.as_ref())
}

fn accept(world: &mut World, caller: &Address) -> Result<Receipt, CallError> {
    world.rollup.accept_operator(&mut world.chain, caller)
}

fn is_taken_over(world: &mut World) -> bool {
    world.rollup.state(&mut world.chain).taken_over
}

#[test]
fn anybody_may_submit_from_the_second_at_which_the_oldest_entry_is_overdue() {
    let mut world = story();
    let late = overdue_from(&world, 2);
    world.chain.set_time(late - 1);
    let early = world.seal(&tiny(), 2, &[]);
    refused(send(&mut world, &alice(), &tiny(), &early), "NotOpen()");
    world.chain.set_time(late);
    // What counts is the batch's own time.
    refused(send(&mut world, &alice(), &tiny(), &early), "NotOpen()");
    let batch = world.seal(&tiny(), 2, &[]);
    assert!(!is_taken_over(&mut world));
    world.submit_by(&alice(), &tiny(), batch);
    assert!(is_taken_over(&mut world));
    assert_eq!(
        world.rollup.state(&mut world.chain).root,
        world.state.root()
    );
}

#[test]
fn a_stranger_that_censors_is_refused() {
    let mut world = overdue();
    for entries in [0, 1] {
        let batch = world.seal(&tiny(), entries, &[]);
        refused(
            send(&mut world, &mallory(), &tiny(), &batch),
            "OverdueLeftBehind(uint40)",
        );
    }
    let domain = world.domain();
    let pays = [transfer(&domain, 1, (1, 2), (0, 1, 0), 0)];
    let batch = world.seal(&slotless(), 0, &pays);
    refused(
        send(&mut world, &mallory(), &slotless(), &batch),
        "OverdueLeftBehind(uint40)",
    );
    // The operator decides itself; batches stay open while it leaves something overdue.
    let data = encode_batch(&batch.submission, &slotless(), &[]).unwrap();
    world
        .rollup
        .send(&mut world.chain, &OPERATOR, 0, data)
        .unwrap();
    world.accepted(&[batch]);
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit_by(&mallory(), &tiny(), batch);
    // One entry is overdue still: a batch without it only spoils other people's proofs.
    let spoils = world.seal(&tiny(), 0, &[]);
    refused(
        send(&mut world, &mallory(), &tiny(), &spoils),
        "OverdueLeftBehind(uint40)",
    );
    let batch = world.seal(&tiny(), 1, &[]);
    world.submit_by(&alice(), &tiny(), batch);
    // Nothing is overdue: now it may, and pays for it.
    let batch = world.seal(&slotless(), 0, &[]);
    world.submit_by(&mallory(), &slotless(), batch);
}

#[test]
fn what_is_overdue_is_counted_at_the_time_of_the_batch() {
    let mut world = story();
    // The two top-ups are overdue, the exit is not yet; at the time of sending it is.
    let late = overdue_from(&world, 4) - 1;
    world.chain.set_time(late);
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit_by(&alice(), &tiny(), batch);
    let none = world.seal(&tiny(), 0, &[]);
    world.chain.set_time(late + 1);
    world.submit_by(&mallory(), &tiny(), none);
    let none = world.seal(&tiny(), 0, &[]);
    refused(
        send(&mut world, &mallory(), &tiny(), &none),
        "OverdueLeftBehind(uint40)",
    );
}

#[test]
fn a_fresh_entry_spoils_no_batch() {
    let mut world = taken_over();
    let rest = world.seal(&tiny(), 1, &[]);
    // In front of it, in the same block.
    world.deposit(mallory(), 0, 0);
    world.submit_by(&alice(), &tiny(), rest);
    let state = world.rollup.state(&mut world.chain);
    assert_eq!((state.queue_head, state.queue_tail), (5, 6));
}

#[test]
fn two_strangers_and_a_copied_transaction() {
    let mut world = overdue();
    let batch = world.seal(&tiny(), 2, &[]);
    let fees = world.rollup.operator_fees(&mut world.chain);
    send(&mut world, &mallory(), &tiny(), &batch).unwrap();
    refused(
        send(&mut world, &alice(), &tiny(), &batch),
        "WrongBatchNumber(uint40,uint40)",
    );
    world.accepted(&[batch]);
    // Whoever copies gets nothing: fees are the operator's, claims those of the owners.
    assert_eq!(world.rollup.operator_fees(&mut world.chain), fees);
    assert_eq!(world.rollup.claimable(&mut world.chain, &mallory(), 0), 0);
    let collect = abi::collect_fees(&mallory());
    let collected = (world.rollup).send(&mut world.chain, &mallory(), 0, collect);
    refused(collected, "NotOperator()");
}

#[test]
fn the_rule_holds_for_each_batch_of_a_call() {
    let mut world = overdue();
    let first = world.seal(&tiny(), 2, &[]);
    let none = world.seal_after(&first, 3, &tiny(), &[]);
    let bad = [
        (&first.submission, first.entries.as_slice()),
        (&none.submission, &[][..]),
    ];
    let data = encode_batches(&bad, &tiny()).unwrap();
    let sent = (world.rollup).send(&mut world.chain, &mallory(), 0, data);
    refused(sent, "OverdueLeftBehind(uint40)");
    world.submit_by(&alice(), &tiny(), first);
    let rest = world.seal(&tiny(), 1, &[]);
    let none = world.seal_after(&rest, 4, &tiny(), &[]);
    let good = [
        (&rest.submission, rest.entries.as_slice()),
        (&none.submission, &[][..]),
    ];
    let data = encode_batches(&good, &tiny()).unwrap();
    world
        .rollup
        .send(&mut world.chain, &alice(), 0, data)
        .unwrap();
}

#[test]
fn a_batch_in_each_block_does_not_keep_the_operator_out() {
    let mut world = taken_over();
    let rest = world.seal(&tiny(), 1, &[]);
    world.submit_by(&mallory(), &tiny(), rest);
    let nonces = [0, 1, 2];
    for nonce in nonces {
        // What the operator has proven is for a root that Mallory moves before.
        let proven = world.seal(&tiny(), 0, &[]);
        let domain = world.domain();
        let pays = [transfer(&domain, 1, (1, 2), (0, 1, 0), nonce)];
        let spoils = world.seal(&tiny(), 0, &pays);
        world.submit_by(&mallory(), &tiny(), spoils);
        refused(
            send(&mut world, &OPERATOR, &tiny(), &proven),
            "WrongBatchNumber(uint40,uint40)",
        );
        let time = world.chain.time();
        world.chain.set_time(time + 12);
    }
    let returned = world.chain.time();
    give_back(&mut world, &OPERATOR).unwrap();
    let until = returned + OPERATORS_HOUR;
    for time in [returned, until] {
        world.chain.set_time(time);
        let spoils = world.seal(&tiny(), 0, &[]);
        refused(
            send(&mut world, &mallory(), &tiny(), &spoils),
            "OperatorsHour(uint256)",
        );
    }
    let own = world.seal(&tiny(), 0, &[]);
    world.submit(&tiny(), own);
    assert!(!is_taken_over(&mut world));
    world.chain.set_time(until + 1);
    let spoils = world.seal(&tiny(), 0, &[]);
    refused(send(&mut world, &mallory(), &tiny(), &spoils), "NotOpen()");
}

#[test]
fn an_hour_that_passes_unused_is_over() {
    let mut world = taken_over();
    give_back(&mut world, &OPERATOR).unwrap();
    let time = world.chain.time() + OPERATORS_HOUR;
    world.chain.set_time(time);
    let rest = world.seal(&tiny(), 1, &[]);
    refused(
        send(&mut world, &mallory(), &tiny(), &rest),
        "OperatorsHour(uint256)",
    );
    world.chain.set_time(time + 1);
    world.submit_by(&mallory(), &tiny(), rest);
}

#[test]
fn an_operators_batch_that_leaves_something_overdue_closes_nothing() {
    let mut world = taken_over();
    let none = world.seal(&tiny(), 0, &[]);
    world.submit(&tiny(), none);
    assert!(is_taken_over(&mut world));
    // What counts for it is the time of the block: the exit is not overdue yet at the batch's own.
    let mut world = story();
    let late = overdue_from(&world, 4) - 1;
    world.chain.set_time(late);
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit_by(&alice(), &tiny(), batch);
    let none = world.seal(&tiny(), 0, &[]);
    world.chain.set_time(late + 1);
    world.submit(&tiny(), none);
    assert!(is_taken_over(&mut world));
    let rest = world.seal(&tiny(), 1, &[]);
    world.submit(&tiny(), rest);
    assert!(!is_taken_over(&mut world));
}

#[test]
fn an_operator_returns_itself_to_something_and_not_too_often() {
    let mut world = story();
    let late = overdue_from(&world, 2);
    world.chain.set_time(late - 1);
    refused(give_back(&mut world, &OPERATOR), "NothingToReturnTo()");
    world.chain.set_time(late);
    refused(give_back(&mut world, &mallory()), "NotOperator()");
    // Through a contract, or as one.
    let actor = crate::bridge::actor(&mut world.chain);
    let run = crate::bridge::run(&world.rollup.address, 0, &abi::return_operator());
    let through = world.chain.call(&OPERATOR, &actor, 0, run);
    refused(through, "NotPlainAccount()");
    let before = world.chain.snapshot();
    world.chain.delegate(&OPERATOR, &actor);
    refused(give_back(&mut world, &OPERATOR), "NotPlainAccount()");
    world.chain.restore(&before);

    give_back(&mut world, &OPERATOR).unwrap();
    for time in [late, late + TAKEOVER_AFTER - 1] {
        world.chain.set_time(time);
        refused(give_back(&mut world, &OPERATOR), "ReturnTooSoon(uint256)");
    }
    world.chain.set_time(late + TAKEOVER_AFTER);
    give_back(&mut world, &OPERATOR).unwrap();
}

#[test]
fn the_operator_role_is_handed_over_in_two_steps() {
    let mut world = story();
    let (first, second) = (alice(), address(2));
    refused(offer(&mut world, &first, Some(first)), "NotOperator()");
    refused(
        offer(&mut world, &OPERATOR, Some(OPERATOR)),
        "OfferedToItself()",
    );
    refused(accept(&mut world, &first), "NotOffered()");
    offer(&mut world, &OPERATOR, Some(first)).unwrap();
    offer(&mut world, &OPERATOR, None).unwrap();
    refused(accept(&mut world, &first), "NotOffered()");
    offer(&mut world, &OPERATOR, Some(first)).unwrap();
    offer(&mut world, &OPERATOR, Some(second)).unwrap();
    refused(accept(&mut world, &first), "NotOffered()");
    refused(accept(&mut world, &OPERATOR), "NotOffered()");
    let before = world.chain.snapshot();
    accept(&mut world, &second).unwrap();
    let (operator, offered, back_at) = world.rollup.operator(&mut world.chain);
    assert_eq!((operator, offered, back_at), (second, None, 0));
    refused(accept(&mut world, &second), "NotOffered()");
    refused(offer(&mut world, &OPERATOR, None), "NotOperator()");
    let batch = world.seal(&tiny(), 2, &[]);
    refused(send(&mut world, &OPERATOR, &tiny(), &batch), "NotOpen()");
    send(&mut world, &second, &tiny(), &batch).unwrap();
    // A reorganization takes it back.
    world.chain.restore(&before);
    assert_eq!(
        world.rollup.operator(&mut world.chain),
        (OPERATOR, Some(second), 0)
    );
    world.submit(&tiny(), batch);
}

#[test]
fn only_a_plain_account_becomes_the_operator() {
    let mut world = story();
    let actor = crate::bridge::actor(&mut world.chain);
    offer(&mut world, &OPERATOR, Some(actor)).unwrap();
    let run = crate::bridge::run(&world.rollup.address, 0, &abi::accept_operator());
    let accepted = world.chain.call(&mallory(), &actor, 0, run);
    refused(accepted, "NotPlainAccount()");
    offer(&mut world, &OPERATOR, Some(mallory())).unwrap();
    world.chain.delegate(&mallory(), &actor);
    refused(accept(&mut world, &mallory()), "NotPlainAccount()");
}

#[test]
fn fees_from_before_a_hand_over_are_the_operators_before() {
    let mut world = story();
    let heir = address(9);
    let rollup = world.rollup.clone();
    let before = world.chain.balance(&rollup.address);
    assert_eq!(rollup.operator_fees(&mut world.chain), 5 * FEE);
    offer(&mut world, &OPERATOR, Some(heir)).unwrap();
    accept(&mut world, &heir).unwrap();
    assert_eq!(rollup.operator_fees(&mut world.chain), 0);
    assert_eq!(rollup.claimable(&mut world.chain, &OPERATOR, 0), 5 * FEE);
    // All that is held: the accounts' money, what waits, and what may be claimed.
    let totals = rollup.totals(&mut world.chain, 0);
    assert_eq!(totals.claimable, 5 * FEE);
    assert_eq!(totals.escrow, before);
    assert_eq!(world.chain.balance(&rollup.address), before);

    world.top_up(alice(), 1, 9);
    let collect = |caller: &Address| abi::collect_fees(caller);
    refused(
        rollup.send(&mut world.chain, &OPERATOR, 0, collect(&OPERATOR)),
        "NotOperator()",
    );
    let held = world.chain.balance(&rollup.address);
    rollup
        .send(&mut world.chain, &heir, 0, collect(&heir))
        .unwrap();
    assert_eq!(world.chain.balance(&rollup.address), held - FEE);
    rollup.claim(&mut world.chain, &OPERATOR, 0).unwrap();
    assert_eq!(world.chain.balance(&rollup.address), held - 6 * FEE);
    let totals = rollup.totals(&mut world.chain, 0);
    assert_eq!(totals.escrow, held - 6 * FEE);
}

/// An operator that is alone for an hour, then hands over to a key of its own, again and again.
#[test]
fn a_hand_over_gives_no_further_hour() {
    let mut world = taken_over();
    give_back(&mut world, &OPERATOR).unwrap();
    let returned = world.chain.time();
    offer(&mut world, &OPERATOR, Some(mallory())).unwrap();
    accept(&mut world, &mallory()).unwrap();
    assert!(is_taken_over(&mut world), "a hand-over closes nothing");
    refused(give_back(&mut world, &mallory()), "ReturnTooSoon(uint256)");
    world.chain.set_time(returned + OPERATORS_HOUR);
    let rest = world.seal(&tiny(), 1, &[]);
    refused(
        send(&mut world, &alice(), &tiny(), &rest),
        "OperatorsHour(uint256)",
    );
    world.chain.set_time(returned + OPERATORS_HOUR + 1);
    refused(give_back(&mut world, &mallory()), "ReturnTooSoon(uint256)");
    world.submit_by(&alice(), &tiny(), rest);
}

#[test]
fn a_freeze_ends_take_over_return_and_hand_over() {
    for mut world in [overdue(), taken_over()] {
        offer(&mut world, &OPERATOR, Some(alice())).unwrap();
        let time = overdue_from(&world, 4) + world.rollup.config.freeze_after;
        world.chain.set_time(time);
        let entries = world.queue.len() - world.consumed;
        let batch = world.seal(&tiny(), entries.min(2), &[]);
        world.rollup.freeze(&mut world.chain, &mallory()).unwrap();
        for caller in [OPERATOR, mallory()] {
            refused(send(&mut world, &caller, &tiny(), &batch), "IsFrozen()");
        }
        refused(give_back(&mut world, &OPERATOR), "IsFrozen()");
        refused(offer(&mut world, &OPERATOR, None), "IsFrozen()");
        refused(accept(&mut world, &alice()), "IsFrozen()");
    }
}

#[test]
fn an_offer_to_nobody_is_none() {
    let mut world = story();
    offer(&mut world, &OPERATOR, Some(Bytes([0; 20]))).unwrap();
    let (_, offered, _) = world.rollup.operator(&mut world.chain);
    assert_eq!(offered, None);
}
