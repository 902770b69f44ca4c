//! What the suite of malicious witnesses (`circuits::attacks`, run by `suite.rs`) has no form for:
//! gadgets, every wire, every word, honest batches. A prefix such as `d8_` is the row of the attack
//! list in `docs/soundness.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeSet, sync::OnceLock};

use ark_ff::{AdditiveGroup, Field, PrimeField};
use attacks::{
    Forged, Forger, Start, forged_assignment,
    samples::{self, wide_full},
};
use circuits::{
    account::power_of_two,
    babyjubjub::mul_by_challenge,
    eddsa::SignatureValues,
    num::{Bit, Change, Cs, Deviation},
    operation::L1Values,
    shapes::{Compiled, by_name, compile},
    transition::{BatchCircuit, BatchValues},
    tree::{Written, update},
};
use common::{holds, inputs, modulus, order, point, power, record, rng};
use ledger::{
    babyjubjub::Point,
    eddsa::Signature,
    field::Fr,
    float::{Float16, Float40},
    operation::NO_EXPIRY,
    poseidon,
    shape::Shape,
    tree::Tree,
    words,
};

fn tiny() -> Shape {
    by_name("tiny").unwrap()
}

fn compiled() -> &'static Compiled {
    static TINY: OnceLock<Compiled> = OnceLock::new();
    TINY.get_or_init(|| compile(&tiny()).unwrap())
}

fn start(index: u32, token: u32, balance: u128) -> Start {
    Start {
        index,
        token,
        nonce: 5,
        balance,
    }
}

/// Accounts 1 (fees), 2 and 3 in token 0, 4 (fees) in token 7.
fn world() -> Forger {
    let accounts = [
        start(1, 0, 10),
        start(2, 0, 1_000),
        start(3, 0, 500),
        start(4, 7, 0),
    ];
    Forger::new(&tiny(), &accounts, &[1, 4])
}

fn pay(from: u32, to: u32, amount: u128) -> Forged {
    Forged {
        from,
        to,
        amount: Float40::exact(amount).unwrap(),
        fee: Float16::default(),
        valid_until: NO_EXPIRY,
        fee_slot: None,
        ..Forged::default()
    }
}

/// The packed message of a transfer of [`world`]: no fee, nonce 5, no expiry, token 0.
fn packed_transfer(from: u64, to: u64, amount: u64) -> Fr {
    [
        (1, 232),
        (from, 200),
        (to, 168),
        (amount, 128),
        (5, 72),
        (NO_EXPIRY, 32),
    ]
    .iter()
    .map(|(field, shift)| Fr::from(*field) * power_of_two(*shift))
    .sum()
}

fn signature_values(signature: &Signature) -> SignatureValues {
    SignatureValues {
        r8: (signature.r8.x, signature.r8.y),
        s: signature.s.into_bigint(),
    }
}

fn violated(values: &BatchValues) -> BTreeSet<String> {
    compiled().violated_rules(&forged_assignment(values, &[]))
}

#[track_caller]
fn assert_accepted(values: &BatchValues) {
    assert_eq!(violated(values), BTreeSet::new());
}

/// Some violated rule's path contains `rule`.
#[track_caller]
fn assert_noticed(values: &BatchValues, rule: &str) {
    let violated = violated(values);
    assert!(
        violated.iter().any(|path| path.contains(rule)),
        "expected {rule}, got {violated:?}"
    );
}

/// The bits of `h + 11·l + r` stand for the same field element; only the comparison refuses them.
#[test]
fn b3_a_challenge_has_one_decomposition() {
    let lowest = order() * 11u8 - power(254);
    for h in [1u8, 200] {
        let recorded = record(|cs| {
            mul_by_challenge(cs, &point(cs, &Point::base8()), &cs.input(Fr::from(h)));
        });
        assert!(recorded.holds());
        let alias = &lowest + h + modulus();
        assert!(alias < power(254), "the alias has its bits");
        let mut assignment = recorded.assignment.clone();
        let (r1cs, rules) = (&recorded.compiled.r1cs, &recorded.compiled.rules);
        let named = rules.named("challenge_is_canonical", "challenge");
        let first = r1cs.num_instance() + named[0];
        let bits = &mut assignment[first..first + 254];
        for (i, bit) in bits.iter_mut().enumerate() {
            assert_eq!(*bit, Fr::from((&lowest + h).bit(i as u64)));
            *bit = Fr::from(alias.bit(i as u64));
        }
        // The hints of the comparisons, as a prover would choose them, cannot help: each row is
        // q·d = s, and one has d = 0 and s ≠ 0.
        let rows = 0..recorded.compiled.r1cs.num_constraints();
        let r1cs = &recorded.compiled.r1cs;
        let hopeless = rows.filter(|&row| {
            recorded.compiled.rules.rule_of(row).contains("canonical")
                && r1cs.evaluate_row(r1cs.b().row(row), &assignment) == Fr::ZERO
                && r1cs.evaluate_row(r1cs.c().row(row), &assignment) != Fr::ZERO
        });
        assert!(hopeless.count() > 0);
    }
}

#[test]
fn b5_amounts_of_field_size_have_no_place() {
    let mut batch = world();
    batch.transfer(&pay(2, 3, 100)).debit.amount = -Fr::ONE;
    assert!(!violated(&batch.finish()).is_empty());
    let mut batch = world();
    batch.leaf(2).balance = -Fr::ONE;
    batch.transfer(&pay(2, 3, 100));
    assert_noticed(&batch.finish(), "sender_can_pay");
}

/// No constraint keeps a credited balance below 2^128: L1's bound on escrow does. Nobody can pay
/// from such a balance either, until what is left is below 2^128 again.
#[test]
fn b6_credits_are_bounded_by_l1() {
    let accounts = [start(2, 0, 2), start(3, 0, u128::MAX), start(1, 0, 0)];
    let mut batch = Forger::new(&tiny(), &accounts, &[]);
    batch.transfer(&pay(2, 3, 2));
    assert_accepted(&batch.finish());
    let mut batch = Forger::new(&tiny(), &accounts, &[]);
    batch.transfer(&pay(2, 3, 2));
    batch.transfer(&pay(3, 1, 1));
    assert_noticed(&batch.finish(), "transfer/sender/sender_can_pay");
}

/// Flag and inverse as a prover likes them: only the right flag, whatever the inverse.
#[test]
fn b7_an_active_flag_says_whether_the_index_is_zero() {
    for index in [0u64, 1, 77] {
        let recorded = record(|cs| {
            cs.named("active").is_nonzero(&cs.input(Fr::from(index)));
        });
        let first = recorded.compiled.rules.named("", "active")[0];
        let [inverse, flag] = [0, 1].map(|i| recorded.compiled.r1cs.num_instance() + first + i);
        let true_inverse = Fr::from(index).inverse().unwrap_or(Fr::ZERO);
        let candidates = [Fr::ZERO, Fr::ONE, Fr::from(2u64), -Fr::ONE, true_inverse];
        for a in candidates {
            for b in candidates {
                let mut assignment = recorded.assignment.clone();
                (assignment[inverse], assignment[flag]) = (a, b);
                let right = b == Fr::from(index != 0) && (index == 0 || a == true_inverse);
                let holds = recorded.compiled.r1cs.is_satisfied(&assignment).is_ok();
                assert_eq!(holds, right, "{index} {a} {b}");
            }
        }
    }
}

#[test]
fn b9_arity_and_order_of_hashed_fields_matter() {
    let [a, b, c, d] = [3u64, 1, 4, 15].map(Fr::from);
    let hashes = [
        poseidon::hash(&[a]),
        poseidon::hash(&[a, Fr::ZERO]),
        poseidon::hash(&[Fr::ZERO, a]),
        poseidon::hash(&[a, Fr::ZERO, Fr::ZERO]),
        poseidon::compress4(&[a, Fr::ZERO, Fr::ZERO, Fr::ZERO]),
        poseidon::compress4(&[a, b, c, d]),
        poseidon::compress4(&[b, a, c, d]),
        poseidon::compress4(&[a, c, b, d]),
        poseidon::compress4(&[a, b, d, c]),
    ];
    let distinct: BTreeSet<Fr> = hashes.into_iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}

#[test]
fn c10_operations_over_nothing_need_a_signature() {
    let mut batch = world();
    batch.transfer(&pay(2, 3, 0));
    batch.withdraw(&pay(2, 0, 0));
    assert_accepted(&batch.finish());
    let mut batch = world();
    batch.transfer(&pay(2, 3, 0)).debit.signature.r8 = (Fr::ZERO, Fr::ONE);
    assert_noticed(&batch.finish(), "signature_is_valid");
    let mut batch = world();
    batch.withdraw(&pay(2, 0, 0)).signature.s.0[0] ^= 2;
    assert_noticed(&batch.finish(), "signature_is_valid");
}

/// Indices 4^D further walk the same path, and are published as the lower ones.
#[test]
fn d4_indices_beyond_the_tree_have_no_place() {
    let beyond = Fr::from(1u64 << 8);
    let honest = {
        let mut batch = world();
        batch.transfer(&pay(2, 3, 100));
        batch.finish()
    };
    for tamper in [
        (|v: &mut BatchValues, b| v.transfers[0].to += b) as fn(&mut BatchValues, Fr),
        |v, b| v.transfers[0].debit.from += b,
        |v, b| v.fees[0].index += b,
        |v, b| v.l1_ops[0].index += b,
        |v, b| v.withdrawals[0].from += b,
    ] {
        let mut values = honest.clone();
        tamper(&mut values, beyond);
        let words = |values: &BatchValues| BatchCircuit(values.clone()).record(&Cs::values_only());
        assert_eq!(words(&values), words(&honest));
    }
    // Signed for a receiver beyond the tree, executed for the one within.
    let mut batch = world();
    let packed = packed_transfer(2, 3 + 256, 100);
    let signature = batch.key(2).sign(&poseidon::hash(&[Fr::ZERO, packed]));
    let slot = batch.transfer(&pay(2, 3, 100));
    slot.debit.signature = signature_values(&signature);
    slot.to += beyond;
    assert_noticed(&batch.finish(), "signature_is_valid");
}

/// Published and not executed, or executed and not published.
#[test]
fn d8_a_used_slot_runs_and_an_unused_one_does_not() {
    let mut batch = world();
    let slot = batch.transfer(&pay(2, 3, 100));
    slot.debit.from = Fr::ZERO;
    assert_noticed(&batch.finish(), "unused_slot_is_zero");
    let mut batch = world();
    let slot = batch.transfer(&pay(2, 3, 100));
    (slot.debit.from, slot.debit.amount, slot.to) = (Fr::ZERO, Fr::ZERO, Fr::ZERO);
    assert!(!violated(&batch.finish()).is_empty());
    let mut batch = world();
    let slot = batch.withdraw(&pay(2, 0, 100));
    (slot.from, slot.amount) = (Fr::ZERO, Fr::ZERO);
    assert!(!violated(&batch.finish()).is_empty());
    // The other way round: the operation is published and the tree stays as it was.
    let mut idle = world().finish();
    let mut batch = world();
    batch.transfer(&pay(2, 3, 100));
    let used = batch.finish();
    idle.transfers[0] = used.transfers[0].clone();
    assert_noticed(&idle, "transfer/sender/cached_root_is_current");
}

#[test]
fn e2_path_bits_are_boolean() {
    let mut tree = Tree::new(2);
    let mut rng = rng(40);
    for index in 0..16 {
        tree.update(index, common::field(&mut rng)).unwrap();
    }
    let index = 6;
    let gadget = |cs: &Cs| {
        let bits = cs.named("index").bits_of(Fr::from(index), 4);
        let mut roots = inputs(cs, &[tree.root()]);
        let leaves = [tree.leaf(index), Fr::from(77u64)].map(|leaf| cs.input(leaf));
        let path = tree.path(index).unwrap();
        let leaves = (&leaves[0], &leaves[1]);
        update(cs, &bits, &path, leaves, &mut roots, Written::Fresh);
    };
    let recorded = record(gadget);
    assert!(recorded.holds());
    let half = Fr::from(2u64).inverse().unwrap();
    let first = recorded.compiled.rules.named("", "index")[0];
    for variable in first..first + 4 {
        for offset in [Fr::ONE, -Fr::ONE, Fr::from(2u64), half, -half] {
            let cs = Cs::values_deviating(&[Deviation {
                variable,
                change: Change::Add(offset),
            }]);
            gadget(&cs);
            let instance = &recorded.assignment[..recorded.compiled.r1cs.num_instance()];
            let assignment = [instance, &cs.into_values()].concat();
            assert!(recorded.compiled.r1cs.is_satisfied(&assignment).is_err());
        }
    }
}

/// L1 computes `c`'s successors from the words it is given: any other word, and the proof is for
/// something else. With `c` kept, `y` differs; with `c` recomputed, `c` does.
#[test]
fn f1_every_word_is_bound() {
    let mut batch = world();
    batch.transfer(&pay(2, 3, 100));
    let values = batch.finish();
    let honest = forged_assignment(&values, &[]);
    let published = BatchCircuit(values).record(&Cs::values_only());
    assert_eq!(published.len(), tiny().word_count());
    let r1cs = &compiled().r1cs;
    let products = (compiled().rules).variables_of("words/evaluation", r1cs.num_witness());
    let products: Vec<usize> = products.iter().map(|at| at + r1cs.num_instance()).collect();
    for place in 0..published.len() {
        for offset in [Fr::ONE, -Fr::ONE, power_of_two(128)] {
            let mut false_words = published.clone();
            false_words[place] += offset;
            let mut assignment = honest.clone();
            for c in [honest[1], words::commitment(tiny().id, &false_words)] {
                let z = words::challenge(&c, &false_words);
                let y = words::evaluation(&false_words, &z);
                assignment[1..4].copy_from_slice(&[c, z, y]);
                // The prover evaluates its own words at the new point.
                for (at, product) in products.iter().zip(evaluation_products(&published, &z)) {
                    assignment[*at] = product;
                }
                let violated = compiled().violated_rules(&assignment);
                assert_eq!(
                    violated,
                    BTreeSet::from(["words".to_owned()]),
                    "word {place}"
                );
            }
        }
    }
}

/// The products of Horner's rule.
fn evaluation_products(published: &[Fr], z: &Fr) -> Vec<Fr> {
    let (last, rest) = published.split_last().unwrap();
    let mut sum = *last;
    rest.iter()
        .rev()
        .map(|word| {
            let product = sum * z;
            sum = product + word;
            product
        })
        .collect()
}

/// [`world`] with money in account 4 and one more account in token 7.
fn crowd() -> Forger {
    samples::world(&[1, 4])
}

/// With a fee for a slot.
fn with_fee(fee: u128, slot: usize, forged: Forged) -> Forged {
    Forged {
        fee: Float16::exact(fee).unwrap(),
        fee_slot: Some(slot),
        ..forged
    }
}

fn hash_of(values: &L1Values, balance: Fr) -> Fr {
    ledger::poseidon::compress4(&[values.key.0, values.key.1, values.lane, balance])
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

#[test]
fn honest_batches_are_accepted() {
    assert_accepted(&Forger::new(&tiny(), &[], &[]).finish());
    let mut batch = crowd();
    batch.transfer(&with_fee(3, 0, pay(2, 3, 100)));
    batch.transfer(&with_fee(2, 1, pay(5, 4, 100)));
    batch.withdraw(&with_fee(1, 0, pay(3, 0, 599)));
    assert_accepted(&batch.finish());
}

#[test]
fn overlapping_accounts_are_accepted() {
    let mut batch = crowd();
    batch.transfer(&with_fee(1, 0, pay(2, 2, 999)));
    batch.transfer(&with_fee(1, 0, pay(1, 1, 9)));
    batch.withdraw(&with_fee(1, 0, pay(1, 0, 8)));
    assert_accepted(&batch.finish());
}

#[test]
fn leaf_is_in_tree() {
    for level in 0..3 {
        for child in 0..4 {
            let mut batch = crowd();
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
    let mut batch = crowd();
    batch.transfer(&pay(2, 3, 100));
    let mut values = batch.finish();
    values.transfers[0].debit.account.balance += Fr::from(1_000u64);
    let violated = violated(&values);
    assert!(
        violated.iter().any(|path| path.contains("leaf_is_in_tree")),
        "{violated:?}"
    );
}

/// Every witness variable, changed alone, breaks a constraint.
#[test]
fn no_wire_is_free() {
    let mut batch = crowd();
    let slot = batch.existing(2, [false, true, false], 50);
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
    let assignment = forged_assignment(&values, &[]);
    let compiled = compiled();
    let free: Vec<(usize, &str)> = compiled.free_variables(&assignment);
    assert!(
        free.is_empty(),
        "{} free variables: {:?}",
        free.len(),
        &free[..free.len().min(40)]
    );
}

/// The same with three cached levels, four fee slots and more slots of each kind.
#[test]
fn no_wire_of_a_wide_batch_is_free() {
    let values = wide_full();
    let compiled = compile(&values.shape).unwrap();
    let assignment = forged_assignment(&values, &[]);
    assert_eq!(compiled.violated_rules(&assignment), BTreeSet::new());
    let free = compiled.free_variables(&assignment);
    assert!(free.is_empty(), "{} free variables", free.len());
}

/// Of three bits any number may be set, and at most one is.
#[test]
fn b7_of_several_bits_at_most_one_is_set() {
    for bits in 0..8u8 {
        let bits = [0, 1, 2].map(|i| bits >> i & 1 == 1);
        let accepted = holds(|cs| {
            Bit::at_most_one(cs, &bits.map(|bit| cs.bit(bit)));
        });
        let set = bits.iter().filter(|bit| **bit).count();
        assert_eq!(accepted, set <= 1, "{bits:?}");
    }
}
