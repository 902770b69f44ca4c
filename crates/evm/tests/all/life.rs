//! What honest people do: deposit, pay, withdraw, claim, leave.

use std::collections::BTreeMap;

use circuits::shapes::by_name;
use evm::sample::{OPERATOR, World, address, transfer, withdraw};
use l1::Exit;
use ledger::shape::Shape;

const FEE: u128 = 1_000;

fn tiny() -> Shape {
    by_name("tiny").unwrap()
}

#[test]
fn a_payment_from_deposit_to_claim() {
    let shape = tiny();
    let mut world = World::new(&[shape], FEE);
    let (alice, bob) = (address(1), address(2));
    assert_eq!(world.deposit(alice, 0, 1_000_000).0, 1);
    assert_eq!(world.deposit(bob, 0, 500).0, 2);
    world.fee_accounts = BTreeMap::from([(0, 2)]);
    let domain = world.domain();
    let ops = [
        transfer(&domain, 1, (1, 2), (0, 300, 10), 0),
        withdraw(&domain, 1, 1, (0, 1_000, 10), 1),
    ];
    let batch = world.seal(&shape, 2, &ops);
    world.submit(&shape, batch);
    let state = world.rollup.state(&mut world.chain);
    assert_eq!(state.root, world.state.root());
    assert_eq!(
        (state.next_batch, state.queue_head, state.queue_tail),
        (2, 2, 2)
    );
    let totals = world.rollup.totals(&mut world.chain, 0);
    assert_eq!(
        (totals.escrow, totals.claimable, totals.pending),
        (1_000_500, 1_000, 0)
    );
    let before = world.chain.balance(&alice);
    world.rollup.claim(&mut world.chain, &alice, 0).unwrap();
    assert_eq!(world.chain.balance(&alice), before + 1_000);
    assert_eq!(world.rollup.totals(&mut world.chain, 0).escrow, 999_500);
    assert_eq!(world.rollup.operator_fees(&mut world.chain), 2 * FEE);
    assert_eq!(
        world.chain.balance(&world.rollup.address),
        999_500 + 2 * FEE
    );
    assert!(world.rollup.claim(&mut world.chain, &alice, 0).is_err());
}

#[test]
fn several_batches_in_one_call() {
    let shape = tiny();
    let mut world = World::new(&[shape], FEE);
    for who in 1..=6 {
        world.deposit(address(who), 0, 1_000);
    }
    let first = world.seal(&shape, 2, &[]);
    world.submit(&shape, first);
    let domain = world.domain();
    let pay = |nonce| transfer(&domain, 1, (1, 2), (0, 10, 0), nonce);
    let one = world.seal(&shape, 2, &[pay(0)]);
    let two = world.seal_after(&one, 3, &shape, &[pay(1), pay(2)]);
    let three = world.seal_after(&two, 4, &shape, &[pay(3)]);
    world.submit_all(&shape, &[one, two, three]);
    let state = world.rollup.state(&mut world.chain);
    assert_eq!(state.root, world.state.root());
    assert_eq!((state.next_batch, state.queue_head), (5, 4));
    let alone = world.seal(&shape, 2, &[]);
    world.submit_all(&shape, &[alone]);
    assert_eq!(
        world.rollup.state(&mut world.chain).root,
        world.state.root()
    );
}

#[test]
fn everybody_leaves_after_a_freeze() {
    let shape = tiny();
    let mut world = World::new(&[shape], FEE);
    let (alice, bob) = (address(1), address(2));
    world.deposit(alice, 0, 1_000);
    world.deposit(bob, 0, 500);
    let batch = world.seal(&shape, 2, &[]);
    world.submit(&shape, batch);
    world.deposit(bob, 0, 77);
    let oldest = world.queue[2];
    world.chain.set_time(world.chain.time() + 7 * 86_400);
    assert!(world.rollup.freeze(&mut world.chain, &alice).is_err());
    world.chain.set_time(world.chain.time() + 1);
    world.rollup.freeze(&mut world.chain, &alice).unwrap();
    for index in [1, 2] {
        let exit = Exit {
            index,
            account: *world.state.account(index).unwrap(),
            siblings: world.state.prove(index).unwrap().siblings,
        };
        world.rollup.exit(&mut world.chain, &alice, &exit).unwrap();
        assert!(world.rollup.exit(&mut world.chain, &alice, &exit).is_err());
    }
    world
        .rollup
        .cancel_deposit(&mut world.chain, &alice, 2, &oldest)
        .unwrap();
    assert!(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &alice, 2, &oldest)
            .is_err()
    );
    assert_eq!(world.rollup.claimable(&mut world.chain, &alice, 0), 1_000);
    assert_eq!(world.rollup.claimable(&mut world.chain, &bob, 0), 577);
    world.rollup.claim(&mut world.chain, &alice, 0).unwrap();
    world.rollup.claim(&mut world.chain, &bob, 0).unwrap();
    assert_eq!(world.chain.balance(&world.rollup.address), 3 * FEE);
    let data = l1::evm::abi::collect_fees(&OPERATOR);
    world
        .rollup
        .send(&mut world.chain, &OPERATOR, 0, data)
        .unwrap();
    assert_eq!(world.chain.balance(&world.rollup.address), 0);
}
