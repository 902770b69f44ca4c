//! One forgery for each rule: a cheating prover breaks it, and only it, and the circuit notices.

use std::{collections::BTreeSet, sync::OnceLock};

use ark_ff::{AdditiveGroup, Field};
use circuits::{
    operation::L1Values,
    shapes::{Compiled, by_name, compile},
    testkit::{Forged, Forger, Start, forged_assignment, leaf_hash},
    transition::BatchValues,
};
use ledger::{
    field::Fr,
    float::{Float16, Float40},
    operation::NO_EXPIRY,
    shape::Shape,
};

fn tiny() -> Shape {
    by_name("tiny").expect("the tiny shape is named")
}

fn compiled() -> &'static Compiled {
    static TINY: OnceLock<Compiled> = OnceLock::new();
    TINY.get_or_init(|| compile(&tiny()).expect("the tiny shape compiles"))
}

/// Accounts 1 (fees), 2 and 3 in token 0, 4 and 5 in token 7.
fn forger() -> Forger {
    let start = |index, token, balance| Start {
        index,
        token,
        nonce: 5,
        balance,
    };
    let accounts = [
        start(1, 0, 10),
        start(2, 0, 1_000),
        start(3, 0, 500),
        start(4, 7, 1_000),
        start(5, 7, 500),
    ];
    Forger::new(&tiny(), &accounts, &[1, 4])
}

fn pay(from: u32, to: u32, amount: u128) -> Forged {
    let amount = Float40::exact(amount).expect("the amount is a float40");
    Forged {
        from,
        to,
        amount,
        fee: Float16::from_packed(0).expect("zero"),
        valid_until: NO_EXPIRY,
        fee_slot: None,
    }
}

/// With a fee for a slot.
fn with_fee(fee: u128, slot: usize, forged: Forged) -> Forged {
    let fee = Float16::exact(fee).expect("the fee is a float16");
    Forged {
        fee,
        fee_slot: Some(slot),
        ..forged
    }
}

fn violated(values: &BatchValues) -> BTreeSet<String> {
    compiled().violated_rules(&forged_assignment(values, None))
}

/// The batch satisfies the circuit: a forgery that differs in one thing fails for that thing.
#[track_caller]
fn assert_accepted(values: &BatchValues) {
    assert_eq!(violated(values), BTreeSet::new());
}

/// Every violated rule's path contains `rule`, and there is one.
#[track_caller]
fn assert_breaks(values: &BatchValues, rule: &str) {
    let violated = violated(values);
    assert!(
        !violated.is_empty(),
        "the forgery against {rule} was accepted"
    );
    assert!(
        violated.iter().all(|path| path.contains(rule)),
        "expected {rule}, got {violated:?}"
    );
}

#[test]
fn honest_batches_are_accepted() {
    assert_accepted(&Forger::new(&tiny(), &[], &[]).finish());
    let mut batch = forger();
    batch.transfer(&with_fee(3, 0, pay(2, 3, 100)));
    batch.transfer(&with_fee(2, 1, pay(5, 4, 100)));
    batch.withdraw(&with_fee(1, 0, pay(3, 0, 599)));
    assert_accepted(&batch.finish());
}

#[test]
fn overlapping_accounts_are_accepted() {
    let mut batch = forger();
    batch.transfer(&with_fee(1, 0, pay(2, 2, 999)));
    batch.transfer(&with_fee(1, 0, pay(1, 1, 9)));
    batch.withdraw(&with_fee(1, 0, pay(1, 0, 8)));
    assert_accepted(&batch.finish());
}

#[test]
fn sender_can_pay() {
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 1_000));
    assert_accepted(&batch.finish());
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 1_001));
    assert_breaks(&batch.finish(), "transfer/sender/sender_can_pay");
    let mut batch = forger();
    batch.transfer(&with_fee(1, 0, pay(2, 3, 1_000)));
    assert_breaks(&batch.finish(), "transfer/sender/sender_can_pay");
    let mut batch = forger();
    batch.withdraw(&pay(2, 0, 1_001));
    assert_breaks(&batch.finish(), "withdraw/sender/sender_can_pay");
}

#[test]
fn a_balance_cannot_wrap_around_the_field() {
    // The largest float40 below 2^128, the next one above it, and the largest of all.
    let top = (1u64 << 40) - 1;
    for packed in [
        (28 << 35) + 34_028_236_692,
        (28 << 35) + 34_028_236_693,
        top,
    ] {
        let mut batch = forger();
        let amount = Float40::from_packed(packed).expect("40 bits");
        batch.transfer(&Forged {
            amount,
            ..pay(2, 3, 0)
        });
        assert_breaks(&batch.finish(), "sender_can_pay");
    }
}

#[test]
fn signature_is_valid() {
    let rule = "signature_is_valid";
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 100)).debit.signature.s.0[0] ^= 1;
    assert_breaks(&batch.finish(), rule);
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 100)).debit.signature.r8.0 += Fr::ONE;
    assert_breaks(&batch.finish(), rule);
    // Another account's signature of the same message.
    let mut batch = forger();
    let other = batch.transfer(&pay(3, 2, 100)).debit.signature;
    batch.transfer(&pay(2, 3, 100)).debit.signature = other;
    assert_breaks(&batch.finish(), rule);
}

#[test]
fn every_signed_field_is_bound() {
    let rule = "signature_is_valid";
    let mut batch = forger();
    let slot = batch.transfer(&pay(2, 3, 100));
    slot.debit.valid_until = Fr::from(NO_EXPIRY - 1);
    assert_breaks(&batch.finish(), rule);
    // The receiver's leaf follows the published index, the signature does not.
    let mut batch = forger();
    let signature = batch.transfer(&pay(2, 3, 100)).debit.signature;
    let mut batch = forger();
    batch.transfer(&pay(2, 1, 100)).debit.signature = signature;
    assert_breaks(&batch.finish(), rule);
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 101)).debit.signature = signature;
    assert_breaks(&batch.finish(), rule);
    // The same operation as a withdrawal, and on another deployment.
    let mut batch = forger();
    batch.withdraw(&pay(2, 0, 100)).signature = signature;
    assert_breaks(&batch.finish(), rule);
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 100));
    let mut values = batch.finish();
    values.domain += Fr::ONE;
    assert_breaks(&values, rule);
}

#[test]
fn a_nonce_is_used_once() {
    let mut batch = forger();
    let first = batch.transfer(&pay(2, 3, 100)).debit.signature;
    batch.transfer(&pay(2, 3, 100)).debit.signature = first;
    assert_breaks(&batch.finish(), "signature_is_valid");
}

#[test]
fn s_is_below_the_order() {
    use circuits::babyjubjub::subgroup_order;
    use num_bigint::BigUint;
    // S + l is the same point for every S; only those below 2^251 can be written in the circuit.
    let mut tried = 0;
    for amount in 1..40 {
        let mut batch = forger();
        let signature = &mut batch.transfer(&pay(2, 3, amount)).debit.signature;
        let malleated = BigUint::from(signature.s) + subgroup_order();
        if malleated.bits() > 251 {
            continue;
        }
        signature.s = malleated.try_into().expect("251 bits fit");
        assert_breaks(&batch.finish(), "s_is_below_the_order");
        tried += 1;
    }
    assert!(tried > 0, "no signature had a second spelling below 2^251");
}

#[test]
fn nonce_has_successor() {
    let last = (1u64 << 40) - 1;
    for (nonce, accepted) in [(last - 1, true), (last, false)] {
        let start = |index| Start {
            index,
            token: 0,
            nonce,
            balance: 1_000,
        };
        let mut batch = Forger::new(&tiny(), &[start(2), start(3)], &[]);
        batch.transfer(&pay(2, 3, 100));
        let values = batch.finish();
        if accepted {
            assert_accepted(&values);
        } else {
            assert_breaks(&values, "nonce_has_successor");
        }
    }
}

#[test]
fn not_expired() {
    // The batch's timestamp is 1,000.
    let mut batch = forger();
    batch.transfer(&Forged {
        valid_until: 1_000,
        ..pay(2, 3, 100)
    });
    assert_accepted(&batch.finish());
    let mut batch = forger();
    batch.transfer(&Forged {
        valid_until: 999,
        ..pay(2, 3, 100)
    });
    assert_breaks(&batch.finish(), "not_expired");
}

#[test]
fn an_expired_operation_cannot_borrow_from_the_nonce() {
    // (nonce, valid_until + 2^40) packs like (nonce + 1, valid_until).
    let mut batch = forger();
    batch.leaf(2).nonce += Fr::ONE;
    let later = batch
        .transfer(&Forged {
            valid_until: 500,
            ..pay(2, 3, 100)
        })
        .debit
        .signature;
    let mut batch = forger();
    let slot = batch.transfer(&pay(2, 3, 100));
    slot.debit.signature = later;
    slot.debit.valid_until = Fr::from(500u64) + Fr::from(1u64 << 40);
    assert!(!violated(&batch.finish()).is_empty());
}

#[test]
fn same_token() {
    let mut batch = forger();
    batch.transfer(&pay(2, 4, 100));
    let violated = violated(&batch.finish());
    assert!(
        violated.contains("transfer/receiver/leaf_is_in_tree"),
        "{violated:?}"
    );
}

#[test]
fn a_lane_opens_with_one_token_only() {
    // (token', nonce + (token − token')·2^40) opens the same leaf; here token 7 as token 0.
    let shift = Fr::from(7u64) * Fr::from(1u64 << 40);
    let mut batch = forger();
    batch.leaf(4).token = Fr::ZERO;
    batch.leaf(4).nonce += shift;
    batch.transfer(&pay(4, 3, 100));
    assert!(!violated(&batch.finish()).is_empty());
    let mut batch = forger();
    batch.leaf(4).token = Fr::ZERO;
    batch.leaf(4).nonce += shift;
    batch.transfer(&pay(2, 4, 100));
    assert!(!violated(&batch.finish()).is_empty());
    let mut batch = forger();
    batch.leaf(4).token = Fr::ZERO;
    batch.leaf(4).nonce += shift;
    batch.transfer(&with_fee(3, 1, pay(2, 3, 100)));
    assert!(!violated(&batch.finish()).is_empty());
}

#[test]
fn fee_is_credited_once() {
    let rule = "fee_is_credited_once";
    let paying = with_fee(3, 0, pay(2, 3, 100));
    // To nobody.
    let mut batch = forger();
    batch.transfer(&Forged {
        fee_slot: None,
        ..paying.clone()
    });
    assert_breaks(&batch.finish(), rule);
    // To the slot of another token.
    let mut batch = forger();
    batch.transfer(&Forged {
        fee_slot: Some(1),
        ..paying.clone()
    });
    assert_breaks(&batch.finish(), rule);
    // To an unused slot.
    let accounts = [2, 3].map(|index| Start {
        index,
        token: 0,
        nonce: 5,
        balance: 1_000,
    });
    let mut batch = Forger::new(&tiny(), &accounts, &[0, 0]);
    batch.transfer(&paying);
    let values = batch.finish();
    let violated = violated(&values);
    assert!(
        violated.iter().any(|path| path.contains(rule)),
        "got {violated:?}"
    );
    // Twice.
    let mut batch = forger();
    batch.transfer(&paying).debit.fee_choice = vec![true, true];
    let violated = crate::violated(&batch.finish());
    assert!(
        violated.iter().any(|path| path.contains(rule)),
        "got {violated:?}"
    );
}

#[test]
fn fee_tokens_are_distinct() {
    let accounts = [1, 2, 3].map(|index| Start {
        index,
        token: 0,
        nonce: 5,
        balance: 1_000,
    });
    let mut batch = Forger::new(&tiny(), &accounts, &[1, 3]);
    batch.transfer(&with_fee(3, 1, pay(2, 3, 100)));
    assert_breaks(&batch.finish(), "fee_tokens_are_distinct");
}

#[test]
fn unused_slot_is_zero() {
    for tamper in [
        (|slot: &mut BatchValues| slot.transfers[0].to = Fr::ONE) as fn(&mut BatchValues),
        |slot| slot.transfers[0].debit.amount = Fr::ONE,
        |slot| slot.transfers[0].debit.fee = Fr::ONE,
        |slot| slot.withdrawals[0].amount = Fr::ONE,
        |slot| slot.withdrawals[0].fee = Fr::ONE,
        |slot| slot.l1_ops[0].index = Fr::ONE,
        |slot| slot.l1_ops[0].token = Fr::ONE,
        |slot| slot.l1_ops[0].amount = Fr::ONE,
    ] {
        let mut values = forger().finish();
        tamper(&mut values);
        let violated = violated(&values);
        assert!(
            violated
                .iter()
                .any(|path| path.contains("unused_slot_is_zero")),
            "{violated:?}"
        );
    }
    // An unused L1 slot cannot publish a key either.
    let mut values = forger().finish();
    values.l1_ops[0].published_key.0 = Fr::ONE;
    assert_breaks(&values, "create_writes_published_leaf");
}

fn create(index: u32, token: u64, amount: u64) -> L1Values {
    let (zero, key) = (Fr::ZERO, (Fr::from(11u64), Fr::from(12u64)));
    L1Values {
        kind: [true, false, false],
        index: Fr::from(index),
        token: Fr::from(token),
        amount: Fr::from(amount),
        published_key: key,
        key,
        lane: Fr::from(token) * Fr::from(1u64 << 40),
        balance: zero,
        path: Vec::new(),
    }
}

fn hash_of(values: &L1Values, balance: Fr) -> Fr {
    ledger::poseidon::compress4(&[values.key.0, values.key.1, values.lane, balance])
}

#[test]
fn l1_create() {
    let honest = create(9, 7, 250);
    let mut batch = forger();
    let written = hash_of(&honest, honest.amount);
    batch.l1(9, honest.clone(), written);
    assert_accepted(&batch.finish());

    let rule = "create_writes_published_leaf";
    for tamper in [
        (|slot: &mut L1Values| slot.key.0 += Fr::ONE) as fn(&mut L1Values),
        |slot| slot.key.1 += Fr::ONE,
        |slot| slot.lane += Fr::ONE,
        |slot| slot.balance += Fr::ONE,
    ] {
        let mut forged = honest.clone();
        tamper(&mut forged);
        let mut batch = forger();
        let written = hash_of(&forged, forged.balance + forged.amount);
        batch.l1(9, forged, written);
        assert_breaks(&batch.finish(), rule);
    }
    // Over an account that exists: leaf_was_empty.
    let mut batch = forger();
    batch.l1(
        2,
        create(2, 0, 250),
        hash_of(&create(2, 0, 250), Fr::from(250u64)),
    );
    assert_breaks(&batch.finish(), "leaf_is_in_tree");
}

fn existing(batch: &mut Forger, index: u32, kind: [bool; 3], amount: u64) -> L1Values {
    let leaf = *batch.leaf(index);
    L1Values {
        kind,
        index: Fr::from(index),
        token: leaf.token,
        amount: Fr::from(amount),
        published_key: (Fr::ZERO, Fr::ZERO),
        key: (leaf.ax, leaf.ay),
        lane: leaf.token * Fr::from(1u64 << 40) + leaf.nonce,
        balance: leaf.balance,
        path: Vec::new(),
    }
}

#[test]
fn l1_top_up_and_exit() {
    let top_up = [false, true, false];
    let exit = [false, false, true];
    let mut batch = forger();
    let slot = existing(&mut batch, 2, top_up, 50);
    let written = hash_of(&slot, slot.balance + slot.amount);
    batch.l1(2, slot, written);
    let slot = existing(&mut batch, 3, exit, 0);
    let written = hash_of(&slot, Fr::ZERO);
    batch.l1(3, slot, written);
    assert_accepted(&batch.finish());

    // A TopUp that credits more than its amount, or an exit that leaves something behind.
    for (kind, amount, left) in [(top_up, 50, 1_051), (exit, 0, 1)] {
        let mut batch = forger();
        let slot = existing(&mut batch, 2, kind, amount);
        let written = hash_of(&slot, Fr::from(left as u64));
        batch.l1(2, slot, written);
        batch.transfer(&pay(3, 2, 1));
        assert!(!violated(&batch.finish()).is_empty());
    }
    // An exit that also claims a deposited amount.
    let mut batch = forger();
    let slot = existing(&mut batch, 2, exit, 50);
    let written = hash_of(&slot, slot.amount);
    batch.l1(2, slot, written);
    assert_breaks(&batch.finish(), "exit_pays_the_whole_balance");
    // A TopUp that publishes a key.
    let mut batch = forger();
    let mut slot = existing(&mut batch, 2, top_up, 50);
    slot.published_key = slot.key;
    let written = hash_of(&slot, slot.balance + slot.amount);
    batch.l1(2, slot, written);
    assert_breaks(&batch.finish(), "create_writes_published_leaf");
    // Two kinds at once: deposit and pay out.
    let mut batch = forger();
    let slot = existing(&mut batch, 2, [false, true, true], 0);
    let written = hash_of(&slot, Fr::ZERO);
    batch.l1(2, slot, written);
    let violated = violated(&batch.finish());
    assert!(violated.contains("l1_op"), "{violated:?}");
}

#[test]
fn leaf_is_in_tree() {
    for level in 0..3 {
        for child in 0..4 {
            let mut batch = forger();
            batch.transfer(&pay(2, 3, 100));
            let mut values = batch.finish();
            values.transfers[0].debit.path[level][child] += Fr::ONE;
            let violated = violated(&values);
            assert!(
                !violated.is_empty(),
                "child {child} of level {level} was free"
            );
        }
    }
    // Somebody else's leaf under the published index.
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 100));
    let mut values = batch.finish();
    values.transfers[0].debit.account.balance += Fr::from(1_000u64);
    let violated = violated(&values);
    assert!(
        violated.iter().any(|path| path.contains("leaf_is_in_tree")),
        "{violated:?}"
    );
}

/// arkworks' rollup tutorial and gnark's example recompute old and new root from two paths: a
/// prover can then replace everybody else's account. Here the new root must come from the old
/// path: giving the next update a tree in which a bystander's leaf has changed is refused.
#[test]
fn one_set_of_siblings_two_roots() {
    let mut batch = forger();
    batch.transfer(&pay(2, 3, 100));
    let mut robbed = *batch.leaf(5);
    robbed.balance = Fr::from(1_000_000u64);
    // The prover's own tree: account 5 is richer from here on.
    *batch.leaf(5) = robbed;
    batch.rewrite_leaf(5, leaf_hash(&robbed));
    batch.transfer(&pay(5, 4, 1_000));
    let violated = violated(&batch.finish());
    assert!(
        violated
            .iter()
            .any(|path| path.contains("leaf_is_in_tree") || path.contains("cached_root")),
        "got {violated:?}"
    );
}

/// Every witness variable, changed alone, breaks a constraint.
#[test]
fn no_wire_is_free() {
    let mut batch = forger();
    let slot = existing(&mut batch, 2, [false, true, false], 50);
    let written = hash_of(&slot, slot.balance + slot.amount);
    batch.leaf(2).balance += Fr::from(50u64);
    batch.l1(2, slot, written);
    let slot = create(9, 7, 250);
    let written = hash_of(&slot, slot.amount);
    batch.l1(9, slot, written);
    batch.transfer(&with_fee(3, 0, pay(2, 3, 100)));
    batch.transfer(&with_fee(2, 1, pay(5, 4, 100)));
    batch.withdraw(&with_fee(1, 0, pay(3, 0, 599)));
    batch.withdraw(&with_fee(1, 1, pay(4, 0, 17)));
    let values = batch.finish();
    assert_accepted(&values);
    let assignment = forged_assignment(&values, None);
    let compiled = compiled();
    let free: Vec<(usize, &str)> = compiled.free_variables(&assignment);
    assert!(
        free.is_empty(),
        "{} free variables: {:?}",
        free.len(),
        &free[..free.len().min(40)]
    );
}
