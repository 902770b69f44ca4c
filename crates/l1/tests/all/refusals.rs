//! Every refusal of a user's and the operator's call, by name, with nothing changed afterwards.

use l1::bytes::Bytes;
use l1::{L1Error, Refusal};
use ledger::babyjubjub::{KeyError as PointFault, Point, cofactor_inverse_point};
use ledger::field::Fr;
use ledger::operation::L1Op;
use prover::key::{AllowDevKeys, KeyError, VerifyingKey};

use crate::fixture::*;

#[test]
fn wrong_fee() {
    let chain = story_chain();
    for fee in [0, FEE - 1, FEE + 1, u128::MAX] {
        let deposit = l1::Deposit {
            fee,
            ..deposit_of(CAROL, "carol", 0, 1)
        };
        let of_deposit = refused(&chain, |l1| l1.deposit(&deposit, T0));
        let of_top_up = refused(&chain, |l1| l1.top_up(ALICE, 1, 5, fee, T0));
        let of_exit = refused(&chain, |l1| l1.request_exit(ALICE, 1, fee, T0));
        for refusal in [of_deposit, of_top_up, of_exit] {
            let Refusal::WrongFee { expected, got } = refusal else {
                panic!("{refusal}");
            };
            assert_eq!((expected, got), (FEE, fee));
        }
    }
}

#[test]
fn unknown_token() {
    let chain = story_chain();
    for token in [2, u32::MAX] {
        let refusal = refused(&chain, |l1| {
            l1.deposit(&deposit_of(CAROL, "carol", token, 1), T0)
        });
        assert!(matches!(refusal, Refusal::UnknownToken { token: got, tokens: 2 } if got == token));
    }
}

#[test]
fn bad_key() {
    let chain = story_chain();
    let good = deposit_of(CAROL, "carol", 0, 1);
    let identity = Point::identity();
    let minus_two = Point {
        x: Fr::from(0u64),
        y: -Fr::from(1u64),
    };
    let off_curve = Point {
        x: Fr::from(5u64),
        y: Fr::from(7u64),
    };
    let bent = good.key.add(&minus_two);
    for (key, q) in [
        (identity, identity),
        (identity, minus_two),
        (minus_two, minus_two),
        (good.key, good.key),
        (good.key, off_curve),
        (off_curve, good.q),
        (bent, good.q),
        (bent, cofactor_inverse_point(&bent)),
    ] {
        let deposit = l1::Deposit { key, q, ..good };
        let refusal = refused(&chain, |l1| l1.deposit(&deposit, T0));
        assert!(matches!(refusal, Refusal::BadKey(_)), "{refusal}");
    }
    let deposit = l1::Deposit {
        key: identity,
        q: identity,
        ..good
    };
    let refusal = refused(&chain, |l1| l1.deposit(&deposit, T0));
    assert!(matches!(refusal, Refusal::BadKey(PointFault::Identity)));
}

#[test]
fn tree_full() {
    let chain = chain(&genesis());
    let free = 255 - accounts().len();
    let all = vec![deposit_of(CAROL, "carol", 1, 2); free];
    let indices = chain.deposit_all(&all, T0).unwrap();
    assert_eq!(indices, (4..=255).collect::<Vec<u32>>());
    let refusal = refused(&chain, |l1| l1.deposit(&deposit_of(BOB, "bob", 0, 1), T0));
    assert!(matches!(refusal, Refusal::TreeFull { leaves: 256 }));
    chain.top_up(BOB, 255, 1, FEE, T0).unwrap();
    chain.request_exit(CAROL, 255, FEE, T0).unwrap();
}

#[test]
fn bulk_deposits_are_all_or_nothing() {
    let chain = chain(&genesis());
    let too_many = vec![deposit_of(CAROL, "carol", 1, 2); 253];
    let refusal = refused(&chain, |l1| l1.deposit_all(&too_many, T0));
    assert!(matches!(refusal, Refusal::TreeFull { leaves: 256 }));
    let mut one_bad = vec![deposit_of(CAROL, "carol", 1, 2); 3];
    one_bad[2].fee = 0;
    let refusal = refused(&chain, |l1| l1.deposit_all(&one_bad, T0));
    assert!(matches!(refusal, Refusal::WrongFee { got: 0, .. }));
}

#[test]
fn zero_top_up() {
    let chain = story_chain();
    let refusal = refused(&chain, |l1| l1.top_up(ALICE, 1, 0, FEE, T0));
    assert!(matches!(refusal, Refusal::ZeroTopUp));
}

#[test]
fn unregistered() {
    let chain = story_chain();
    for index in [0, 5, 255, 256, u32::MAX] {
        let of_top_up = refused(&chain, |l1| l1.top_up(ALICE, index, 1, FEE, T0));
        let of_exit = refused(&chain, |l1| l1.request_exit(ALICE, index, FEE, T0));
        for refusal in [of_top_up, of_exit] {
            assert!(matches!(refusal, Refusal::Unregistered { index: got } if got == index));
        }
    }
}

#[test]
fn exit_by_somebody_else() {
    let chain = story_chain();
    for caller in [BOB, OPERATOR, Bytes([0; 20])] {
        let refusal = refused(&chain, |l1| l1.request_exit(caller, 1, FEE, T0));
        assert!(matches!(
            refusal,
            Refusal::NotOwner {
                index: 1,
                owner: ALICE,
                ..
            }
        ));
    }
}

#[test]
fn second_pending_exit() {
    let chain = story_chain();
    let refusal = refused(&chain, |l1| l1.request_exit(BOB, 2, FEE, T0));
    assert!(matches!(
        refusal,
        Refusal::ExitPending { index: 2, entry: 2 }
    ));
    let Story { first, second, .. } = story();
    chain.submit_batch(OPERATOR, &first.submission, T2).unwrap();
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    assert_eq!(chain.request_exit(BOB, 2, FEE, T0).unwrap(), 3);
}

#[test]
fn too_many_pending_deposits_but_never_too_many_exits() {
    let chain = chain(&genesis_with(|parameters| parameters.pending_cap = 2));
    chain
        .deposit(&deposit_of(CAROL, "carol", 0, 1), T0)
        .unwrap();
    chain.top_up(ALICE, 1, 1, FEE, T0).unwrap();
    let of_deposit = refused(&chain, |l1| {
        l1.deposit(&deposit_of(CAROL, "carol", 0, 1), T0)
    });
    let of_top_up = refused(&chain, |l1| l1.top_up(ALICE, 1, 1, FEE, T0));
    for refusal in [of_deposit, of_top_up] {
        assert!(matches!(
            refusal,
            Refusal::TooManyPending { pending: 2, cap: 2 }
        ));
    }
    chain.request_exit(ALICE, 1, FEE, T0).unwrap();
    chain.request_exit(BOB, 2, FEE, T0).unwrap();
    chain.request_exit(ALICE, 3, FEE, T0).unwrap();
}

#[test]
fn a_batch_makes_room_under_the_cap() {
    let chain = chain_with_key(&genesis_with(|parameters| parameters.pending_cap = 2));
    fill_queue(&chain);
    assert_eq!(chain.head().unwrap().pending_deposits, 2);
    let domain = chain.domain();
    let [create, ..] = queue_ops().map(ledger::transition::Operation::L1);
    let batch = proven(&genesis().state(), domain, 1, T1, &[create]);
    chain.submit_batch(OPERATOR, &batch.submission, T1).unwrap();
    assert_eq!(chain.head().unwrap().pending_deposits, 1);
    chain.top_up(ALICE, 1, 1, FEE, T0).unwrap();
}

#[test]
fn full_escrow() {
    let chain = chain(&genesis());
    let room = u128::MAX - 77;
    let over = deposit_of(CAROL, "carol", 1, room + 1);
    let of_deposit = refused(&chain, |l1| l1.deposit(&over, T0));
    let of_top_up = refused(&chain, |l1| l1.top_up(ALICE, 3, room + 1, FEE, T0));
    for refusal in [of_deposit, of_top_up] {
        assert!(
            matches!(refusal, Refusal::EscrowFull { token: 1, escrow: 77, amount } if amount == room + 1)
        );
    }
    chain.top_up(ALICE, 3, room, FEE, T0).unwrap();
    assert_eq!(chain.totals(1).unwrap().escrow, u128::MAX);
    chain.top_up(ALICE, 1, 1, FEE, T0).unwrap();
}

#[test]
fn full_fees() {
    let chain = chain(&genesis_with(|parameters| parameters.l1_fee = u128::MAX));
    chain.request_exit(ALICE, 1, u128::MAX, T0).unwrap();
    let refusal = refused(&chain, |l1| l1.request_exit(BOB, 2, u128::MAX, T0));
    assert!(matches!(
        refusal,
        Refusal::FeesFull {
            fees: u128::MAX,
            ..
        }
    ));
    assert_eq!(chain.collect_fees(OPERATOR, T0).unwrap(), u128::MAX);
    chain.request_exit(BOB, 2, u128::MAX, T0).unwrap();
}

#[test]
fn fees_are_kept_outside_escrow_for_the_operator_alone() {
    let chain = story_chain();
    assert_eq!(chain.head().unwrap().operator_fees, 3 * FEE);
    assert_eq!(chain.totals(0).unwrap().escrow, 1_500_000 + 5_000 + 100);
    let refusal = refused(&chain, |l1| l1.collect_fees(ALICE, T0));
    assert!(matches!(
        refusal,
        Refusal::NotOperator {
            operator: OPERATOR,
            caller: ALICE
        }
    ));
    assert_eq!(chain.collect_fees(OPERATOR, T0).unwrap(), 3 * FEE);
    assert_eq!(chain.collect_fees(OPERATOR, T0).unwrap(), 0);
}

#[test]
fn nothing_to_claim() {
    let chain = story_chain();
    for (caller, token) in [(ALICE, 0), (BOB, 1), (OPERATOR, 7)] {
        let refusal = refused(&chain, |l1| l1.claim(caller, token, T0));
        assert!(matches!(refusal, Refusal::NothingToClaim { .. }));
    }
}

#[test]
fn entries_are_queued_whole_with_their_payer() {
    let chain = story_chain();
    let entries = chain.pending(10).unwrap();
    let payers: Vec<_> = entries.iter().map(|entry| entry.payer).collect();
    assert_eq!(payers, [CAROL, ALICE, BOB]);
    let key = wallet("carol").public_key();
    let expected = [
        L1Op::Create {
            index: 4,
            token: 0,
            amount: 5_000,
            key,
        },
        L1Op::TopUp {
            index: 2,
            token: 0,
            amount: 100,
        },
        L1Op::ForcedExit { index: 2, token: 0 },
    ];
    assert_eq!(
        entries.iter().map(|entry| entry.op).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(chain.registered(4).unwrap().unwrap().owner, CAROL);
    assert_eq!(chain.queue(1, 1).unwrap()[0].number, 1);
}

/// A call that needs the chain mutably, refused without a trace.
fn register(chain: &mut Chain, caller: l1::Address, id: u16, key: &VerifyingKey) -> Refusal {
    let before = picture(&chain.l1);
    let Err(L1Error::Refused(refusal)) = chain.l1.register_key(caller, id, key, T0) else {
        panic!("the key was registered");
    };
    assert_eq!(picture(&chain.l1), before);
    refusal
}

#[test]
fn keys_are_registered_once_by_the_operator_for_their_circuit() {
    let mut chain = chain(&genesis());
    let key = setup().key.verifying_key();
    let refusal = register(&mut chain, ALICE, TINY.id, key);
    assert!(matches!(refusal, Refusal::NotOperator { .. }));
    let refusal = register(&mut chain, OPERATOR, 3, key);
    assert!(matches!(refusal, Refusal::UnknownShape { shape_id: 3 }));
    let refusal = register(&mut chain, OPERATOR, OTHER.id, key);
    assert!(
        matches!(refusal, Refusal::Key(error) if matches!(*error, KeyError::WrongCircuit { .. }))
    );
    chain.l1.register_key(OPERATOR, TINY.id, key, T0).unwrap();
    let refusal = register(&mut chain, OPERATOR, TINY.id, key);
    assert!(matches!(
        refusal,
        Refusal::KeyRegistered { shape_id: 1, .. }
    ));
}

#[test]
fn development_keys_are_refused_unless_allowed() {
    let Chain { l1, folder } = chain(&genesis());
    drop(l1);
    let path = folder.path().join("l1.redb");
    let l1 = l1::NativeL1::open(&path, AllowDevKeys::No).unwrap();
    let mut chain = Chain { l1, folder };
    let refusal = register(&mut chain, OPERATOR, TINY.id, setup().key.verifying_key());
    assert!(matches!(refusal, Refusal::Key(error) if matches!(*error, KeyError::DevKey { .. })));
}

#[test]
fn a_registered_development_key_is_not_used_unless_allowed() {
    let Chain { l1, folder } = story_chain();
    drop(l1);
    let path = folder.path().join("l1.redb");
    let l1 = l1::NativeL1::open(&path, AllowDevKeys::No).unwrap();
    let batch = &story().first.submission;
    let refusal = refused(&l1, |l1| l1.submit_batch(OPERATOR, batch, T1));
    assert!(matches!(refusal, Refusal::Key(error) if matches!(*error, KeyError::DevKey { .. })));
}
