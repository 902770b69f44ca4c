//! Every gadget against its native twin: the same values, and a witness that satisfies the gadget
//! exactly when the native check passes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ark_ff::{AdditiveGroup, BigInteger256, Field, PrimeField, UniformRand};
use circuits::{
    account::{Fields, lane, leaves},
    babyjubjub::{ScalarDigits, mul_base8, mul_by_challenge},
    compare::{enforce_at_least, enforce_at_most},
    eddsa::{self, SignatureValues},
    float::{FLOAT16_MANTISSA, FLOAT40_MANTISSA, decode},
    num::{Bit, Cs, Num},
    poseidon,
    tree::{Written, root_of, update},
    words::{HeaderVar, commitment, evaluation, header_words, pair_words},
};
use common::{
    field, fields, holds, inputs, modulus, order, point, power, random_below, record, rng, torsion,
    values,
};
use ledger::{
    account::Account,
    babyjubjub::{Point, Scalar},
    eddsa::{PrivateKey, Signature, challenge, verify},
    field::Fr,
    float::{Float16, Float40},
    tree::Tree,
    words::{self, Header, PublicWords, TransferData, WithdrawalData},
};
use num_bigint::BigUint;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Holds exactly for the right output.
#[track_caller]
fn assert_value(expected: Fr, gadget: impl Fn(&Cs) -> Num) {
    for offset in [Fr::ZERO, Fr::ONE] {
        let recorded = record(|cs| {
            let out = gadget(cs);
            cs.enforce_equal(&out, &cs.input(expected + offset));
            out
        });
        assert_eq!(recorded.output.value(), expected);
        assert_eq!(recorded.holds(), offset == Fr::ZERO);
    }
}

/// Each value a constant of the circuit or an input, as the mask says.
fn mixed(cs: &Cs, values: &[Fr], constants: usize) -> Vec<Num> {
    let num = |(i, value): (usize, &Fr)| {
        if constants >> i & 1 == 1 {
            Num::constant(*value)
        } else {
            cs.input(*value)
        }
    };
    values.iter().enumerate().map(num).collect()
}

#[test]
fn poseidon_hash_of_every_width() {
    let mut rng = rng(1);
    for count in 1..=8 {
        for constants in [0, 1, (1 << count) >> 1, rng.gen_range(0..(1 << count) - 1)] {
            let x = fields(&mut rng, count);
            let expected = ledger::poseidon::hash(&x);
            assert_value(expected, |cs| poseidon::hash(cs, &mixed(cs, &x, constants)));
        }
    }
}

#[test]
fn compress4_with_any_inputs_constant() {
    let mut rng = rng(2);
    for round in 0..3 {
        for constants in 0..15 {
            let x: [Fr; 4] = if round == 0 {
                [Fr::ZERO; 4]
            } else {
                std::array::from_fn(|_| field(&mut rng))
            };
            let expected = ledger::poseidon::compress4(&x);
            assert_value(expected, |cs| {
                let x = mixed(cs, &x, constants).try_into().unwrap();
                poseidon::compress4(cs, &x)
            });
        }
    }
}

#[test]
fn leaves_of_an_account() {
    let mut rng = rng(3);
    for _ in 0..4 {
        let key = Point::base8().mul(&Scalar::rand(&mut rng));
        let old = Account {
            nonce: rng.gen_range(0..1 << 40),
            ..Account::new(key, rng.r#gen(), rng.r#gen())
        };
        let new = Account {
            nonce: old.nonce + 1,
            balance: rng.r#gen(),
            ..old
        };
        let same_lane = Account {
            balance: new.balance,
            ..old
        };
        for new in [new, same_lane] {
            let recorded = record(|cs| {
                let lanes = [old, new].map(|account| {
                    lane(
                        &cs.input(Fr::from(account.token)),
                        &cs.input(Fr::from(account.nonce)),
                    )
                });
                let balances = [old, new].map(|account| cs.input(Fr::from(account.balance)));
                let before = Fields {
                    lane: &lanes[0],
                    balance: &balances[0],
                };
                let after = Fields {
                    lane: &lanes[usize::from(new.nonce != old.nonce)],
                    balance: &balances[1],
                };
                leaves(cs, &point(cs, &key), before, after)
            });
            let (before, after) = &recorded.output;
            assert_eq!((before.value(), after.value()), (old.leaf(), new.leaf()));
            assert!(recorded.holds());
        }
    }
}

fn bits(cs: &Cs, value: &BigUint, width: usize) -> Vec<Bit> {
    (0..width).map(|i| cs.bit(value.bit(i as u64))).collect()
}

#[track_caller]
fn compare(value: &BigUint, constant: &BigUint, width: usize) {
    let at_most = holds(|cs| enforce_at_most(cs, &bits(cs, value, width), constant));
    assert_eq!(at_most, value <= constant, "{value} <= {constant}");
    let at_least = holds(|cs| enforce_at_least(cs, &bits(cs, value, width), constant));
    assert_eq!(at_least, value >= constant, "{value} >= {constant}");
}

#[test]
fn comparisons_of_small_widths_exhaustively() {
    for width in 1..=5 {
        for constant in 0..1u32 << width {
            for value in 0..1u32 << width {
                compare(&value.into(), &constant.into(), width);
            }
        }
    }
}

#[test]
fn comparisons_at_the_edges_of_wide_constants() {
    let mut rng = rng(4);
    let eleven = order() * 11u8 - power(254);
    let top = &eleven + modulus() - 1u8;
    for (width, constant) in [
        (251, order() - 1u8),
        (254, modulus() - 1u8),
        (254, eleven),
        (254, top),
        (254, power(253)),
        (254, power(253) - 1u8),
    ] {
        let limit = power(width);
        let mut tried = vec![BigUint::ZERO, &limit - 1u8];
        tried.extend([&constant - 1u8, constant.clone(), &constant + 1u8]);
        // The constant with one bit changed, whatever is below it.
        for i in 0..width {
            let flipped = &constant ^ power(i);
            tried.push((flipped >> i << i) + random_below(&mut rng, &power(i)));
        }
        for value in tried {
            compare(&value, &constant, width);
        }
    }
}

#[test]
fn floats_of_every_exponent() {
    let mut rng = rng(5);
    for exponent in 0..32u64 {
        for (bits, mantissas) in [
            (
                FLOAT40_MANTISSA,
                [0, 1, (1 << 35) - 1, rng.gen_range(0..1 << 35)],
            ),
            (
                FLOAT16_MANTISSA,
                [0, 1, (1 << 11) - 1, rng.gen_range(0..1 << 11)],
            ),
        ] {
            for mantissa in mantissas {
                let packed = exponent << bits | mantissa;
                let expected = if bits == FLOAT40_MANTISSA {
                    Float40::from_packed(packed).unwrap().value()
                } else {
                    Float16::from_packed(packed).unwrap().value()
                };
                let recorded = record(|cs| decode(cs, Fr::from(packed), bits));
                assert_eq!(recorded.output.value.value(), Fr::from(expected));
                assert_eq!(recorded.output.packed.value(), Fr::from(packed));
                assert!(recorded.holds());
                assert_value(Fr::from(packed), |cs| {
                    decode(cs, Fr::from(packed), bits).packed
                });
            }
        }
    }
}

/// Scalars around every boundary of the signed windows, some of them above `l`.
fn scalars() -> Vec<BigUint> {
    let mut rng = rng(6);
    let (l, limit) = (order(), power(251));
    let mut scalars: Vec<BigUint> = (0..9u8).map(BigUint::from).collect();
    for edge in [
        &l,
        &(&l >> 1),
        &power(249),
        &power(250),
        &(power(249) + power(250)),
    ] {
        scalars.extend((0..9u8).map(|d| edge + d));
        scalars.extend((1..9u8).map(|d| edge - d));
    }
    for i in (0..251).step_by(7) {
        scalars.push(power(i));
        scalars.push(power(i) - 1u8);
        // The largest scalar with one bit changed and anything below.
        let flipped = ((&l - 1u8) ^ power(i)) >> i << i;
        scalars.push(flipped + random_below(&mut rng, &power(i)));
    }
    // Windows that are all 0 or all 7, digits −7 and +7.
    scalars.push(power(249) - 1u8);
    scalars.push(&limit - 1u8);
    scalars.extend((0..10).map(|_| random_below(&mut rng, &limit)));
    scalars.retain(|s| *s < limit);
    scalars
}

#[test]
fn fixed_base_multiplication_below_the_order_only() {
    let (mut below, mut above) = (0, 0);
    for s in scalars() {
        let digits = BigInteger256::try_from(s.clone()).unwrap();
        if s >= order() {
            assert!(
                !holds(|cs| ScalarDigits::below_the_order(cs, &digits)),
                "{s}"
            );
            above += 1;
            continue;
        }
        let recorded = record(|cs| {
            let digits = ScalarDigits::below_the_order(cs, &digits);
            mul_base8(cs, &digits)
        });
        let expected = Point::base8().mul(&Scalar::from(s.clone()));
        assert_eq!(values(&recorded.output), expected, "{s}");
        assert!(recorded.holds(), "{s}");
        below += 1;
    }
    assert!(below > 50 && above > 20, "{below} {above}");
}

#[test]
fn edwards_addition_is_complete() {
    let mut rng = rng(7);
    let p = Point::base8().mul(&Scalar::rand(&mut rng));
    let q = Point::base8().mul(&Scalar::rand(&mut rng));
    let mut points = vec![p, p.neg(), p.double(), q];
    for t in torsion() {
        points.extend([t, p.add(&t), p.neg().add(&t)]);
    }
    for a in &points {
        for b in &points {
            let recorded = record(|cs| point(cs, a).add(cs, &point(cs, b)));
            assert_eq!(values(&recorded.output), a.add(b));
            assert!(recorded.holds());
        }
    }
}

/// The challenges that no witness satisfies: before some step the multiple of `4·key`,
/// `2·(H >> (254 − step)) + 1`, is 0, 1 or −1 modulo `l`. The native check knows no such exception.
fn exceptional_challenges() -> Vec<BigUint> {
    let l = order();
    let shift = &l * 11u8;
    let mut found: Vec<BigUint> = Vec::new();
    for step in 248..=254usize {
        let rest = 254 - step;
        for m in 1..=43u8 {
            let near = [&l * m - 1u8, &l * m, &l * m + 1u8];
            for k in near.iter().filter(|k| k.bit(0)) {
                let prefix: BigUint = k >> 1;
                let start = prefix << rest;
                found.extend((0..1u32 << rest).map(|low| &start + low));
            }
        }
    }
    found.retain(|h| *h >= shift && *h < &shift + modulus());
    let mut challenges: Vec<BigUint> = found.iter().map(|h| h - &shift).collect();
    challenges.sort();
    challenges.dedup();
    challenges
}

#[test]
fn variable_base_multiplication_for_canonical_challenges() {
    let mut rng = rng(8);
    let l = order();
    let mut tried: Vec<BigUint> = (1..5u8).map(BigUint::from).collect();
    tried.extend((1..4u8).map(|d| modulus() - d));
    for i in (1..254)
        .step_by(11)
        .chain([247, 248, 249, 250, 251, 252, 253])
    {
        tried.extend([power(i), power(i) - 1u8]);
    }
    tried.extend([&l >> 1, (&l >> 1) + 1u8, &l + 1u8, &l - 2u8]);
    tried.extend((0..20).map(|_| random_below(&mut rng, &modulus())));
    let exceptional = exceptional_challenges();
    tried.retain(|h| *h < modulus() && !exceptional.contains(h));
    assert!(tried.len() > 60);
    for h in tried {
        let key = Point::base8().mul(&Scalar::rand(&mut rng));
        let recorded = record(|cs| {
            mul_by_challenge(cs, &point(cs, &key), &cs.input(Fr::from(h.clone())))
                .negated_edwards(cs)
        });
        let expected = key.mul_by_cofactor().mul(&Scalar::from(h.clone())).neg();
        assert_eq!(values(&recorded.output), expected, "{h}");
        assert!(recorded.holds(), "{h}");
    }
}

#[test]
fn exceptional_challenges_are_refused() {
    let exceptional = exceptional_challenges();
    for h in (0..8u8).map(|m| order() * m) {
        assert!(exceptional.contains(&h));
        assert!(h == BigUint::ZERO || exceptional.contains(&(h - 1u8)));
    }
    assert_eq!(exceptional.len(), 63);
    let key = Point::base8();
    for h in &exceptional {
        let challenge = Fr::from(h.clone());
        assert!(
            !holds(|cs| mul_by_challenge(cs, &point(cs, &key), &cs.input(challenge))),
            "{h}"
        );
    }
}

/// The circuit's verdict, for `S` as any integer of 256 bits.
fn circuit_accepts(key: &Point, message: &Fr, r8: &Point, s: &BigUint) -> bool {
    let signature = SignatureValues {
        r8: (r8.x, r8.y),
        s: s.clone().try_into().unwrap(),
    };
    holds(|cs| eddsa::verify(cs, &point(cs, key), &cs.input(*message), &signature))
}

fn native_accepts(key: &Point, message: &Fr, r8: &Point, s: &BigUint) -> bool {
    Signature::from_raw(*r8, s).is_ok_and(|signature| verify(key, message, &signature).is_ok())
}

#[track_caller]
fn same_verdict(key: &Point, message: &Fr, r8: &Point, s: &BigUint) -> bool {
    let native = native_accepts(key, message, r8, s);
    assert_eq!(
        circuit_accepts(key, message, r8, s),
        native,
        "R8 {r8:?} S {s} for {message} under {key:?}"
    );
    native
}

/// Signs with a chosen nonce and a point added to R8, as only the key's holder can.
fn sign_bent(secret: &Scalar, nonce: &Scalar, bend: &Point, message: &Fr) -> (Point, BigUint) {
    let key = Point::base8().mul(secret);
    let r8 = Point::base8().mul(nonce).add(bend);
    let h = challenge(&r8, &key, message);
    let h = Scalar::from(BigUint::from(h.into_bigint()));
    let s = *nonce + h * *secret * Scalar::from(8u64);
    (r8, BigUint::from(s.into_bigint()))
}

#[test]
fn signatures_have_one_verdict() {
    let mut rng = rng(9);
    let (mut accepted, mut refused) = (0, 0);
    let mut count = |verdict: bool| if verdict { accepted += 1 } else { refused += 1 };
    for seed in 0..4u8 {
        let secret = PrivateKey::derive("twins", &[seed]);
        let (key, message) = (secret.public_key(), field(&mut rng));
        let Signature { r8, s } = secret.sign(&message);
        let s = BigUint::from(s.into_bigint());
        count(same_verdict(&key, &message, &r8, &s));
        assert!(native_accepts(&key, &message, &r8, &s));
        let other = PrivateKey::derive("twins", &[seed, 1]).public_key();
        count(same_verdict(&other, &message, &r8, &s));
        count(same_verdict(&key.neg(), &message, &r8, &s));
        count(same_verdict(&key, &(message + Fr::ONE), &r8, &s));
        count(same_verdict(&key, &message, &r8.neg(), &s));
        count(same_verdict(&key, &message, &r8, &((&s + 1u8) % order())));
        let off = Point {
            x: r8.x + Fr::ONE,
            y: r8.y,
        };
        count(same_verdict(&key, &message, &off, &s));
        // S + l where the circuit has the bits for it.
        if (&s + order()).bits() <= 251 {
            count(same_verdict(&key, &message, &r8, &(&s + order())));
        }
    }
    // The key's holder may take any nonce, 0 too; R8 is the identity then.
    for nonce in [
        Scalar::ZERO,
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::rand(&mut rng),
    ] {
        let secret = Scalar::rand(&mut rng);
        let message = field(&mut rng);
        let (r8, s) = sign_bent(&secret, &nonce, &Point::identity(), &message);
        let verdict = same_verdict(&Point::base8().mul(&secret), &message, &r8, &s);
        assert!(verdict);
        count(verdict);
    }
    for bend in &torsion()[1..] {
        let secret = Scalar::rand(&mut rng);
        let message = field(&mut rng);
        let nonce = Scalar::rand(&mut rng);
        let (r8, s) = sign_bent(&secret, &nonce, bend, &message);
        let verdict = same_verdict(&Point::base8().mul(&secret), &message, &r8, &s);
        assert!(!verdict, "R8 with torsion was accepted");
        count(verdict);
    }
    for _ in 0..10 {
        let key = Point::base8().mul(&Scalar::rand(&mut rng));
        let r8 = Point::base8().mul(&Scalar::rand(&mut rng));
        let s = random_below(&mut rng, &order());
        count(same_verdict(&key, &field(&mut rng), &r8, &s));
    }
    assert!(accepted >= 8 && refused >= 40, "{accepted} {refused}");
}

/// Small trees, every index, every number of cached levels, both ways to write.
#[test]
fn tree_updates_at_every_index() {
    let mut rng = rng(10);
    for (depth, cached, written) in [
        (2, 0, Written::Fresh),
        (2, 1, Written::Fresh),
        (2, 1, Written::Combined),
        (3, 0, Written::Combined),
        (3, 1, Written::Fresh),
        (3, 2, Written::Combined),
        (3, 2, Written::Fresh),
    ] {
        let mut tree = Tree::new(depth);
        let count = 1u32 << (2 * depth);
        for index in (0..count).filter(|i| i % 3 != 1) {
            tree.update(index, Fr::rand(&mut rng)).unwrap();
        }
        let step = if depth == 2 { 1 } else { 3 };
        for index in (0..count).step_by(step).chain([count - 1]) {
            let old = tree.leaf(index);
            let new = if rng.gen_bool(0.2) {
                old
            } else {
                Fr::rand(&mut rng)
            };
            update_twice(&mut tree, index, (old, new), cached, written);
        }
    }
}

/// The update holds for the old leaf and the right index; not for another leaf or another index.
fn update_twice(tree: &mut Tree, index: u32, (old, new): (Fr, Fr), cached: u8, written: Written) {
    let roots = tree.subtrees(cached).unwrap();
    let old_root = tree.root();
    let depth = tree.depth();
    let mut path = tree.path(index).unwrap();
    path.truncate(usize::from(depth - cached));
    let run = |index: u32, old: Fr, path: &[[Fr; 4]]| {
        record(|cs| {
            let bits = cs.bits_of(Fr::from(index), 2 * usize::from(depth));
            let mut roots = inputs(cs, &roots);
            assert_eq!(root_of(cs, &roots).value(), old_root);
            let leaves = (&cs.input(old), &cs.input(new));
            update(cs, &bits, path, leaves, &mut roots, written);
            let root = root_of(cs, &roots).value();
            (roots.iter().map(Num::value).collect::<Vec<Fr>>(), root)
        })
    };
    let honest = run(index, old, &path);
    assert!(honest.holds());
    assert!(!run(index, old + Fr::ONE, &path).holds());
    let other = index ^ 1;
    if tree.leaf(other) != old {
        assert!(!run(other, old, &path).holds());
    }
    let other = index ^ 1 << (2 * depth - 1);
    assert!(
        !run(other, old, &path).holds() || tree.path(other).unwrap() == tree.path(index).unwrap()
    );
    for level in 0..path.len() {
        let mut path = path.clone();
        path[level][rand_child(index, level)] += Fr::ONE;
        assert!(!run(index, old, &path).holds());
    }
    tree.update(index, new).unwrap();
    let (roots, root) = honest.output;
    assert_eq!(roots, tree.subtrees(cached).unwrap());
    assert_eq!(root, tree.root());
}

/// Some child of a level, a different one for each index.
fn rand_child(index: u32, level: usize) -> usize {
    (index as usize + level) % 4
}

fn random_words(rng: &mut ChaCha8Rng, fee_slots: u8) -> (ledger::shape::Shape, PublicWords) {
    let shape = ledger::shape::Shape {
        id: rng.gen_range(0..u16::MAX),
        depth: 16,
        l1_ops: 0,
        transfers: 6,
        withdrawals: 4,
        fee_slots,
        cached_levels: 3,
    };
    let index = |rng: &mut ChaCha8Rng| match rng.gen_range(0..3) {
        0 => 1,
        1 => u32::MAX,
        _ => rng.gen_range(1..u32::MAX),
    };
    let amount = |rng: &mut ChaCha8Rng| Float40::from_packed(rng.gen_range(0..1 << 40)).unwrap();
    let fee = |rng: &mut ChaCha8Rng| Float16::from_packed(rng.gen_range(0..1 << 16)).unwrap();
    let words = PublicWords {
        header: Header {
            domain: field(rng),
            old_root: field(rng),
            new_root: field(rng),
            shape_id: shape.id,
            batch_number: rng.gen_range(1..1 << 40),
            timestamp: rng.gen_range(0..1 << 40),
            fee_indices: (0..fee_slots).map(|_| index(rng)).collect(),
        },
        l1_ops: Vec::new(),
        transfers: (0..6)
            .map(|_| TransferData {
                from: index(rng),
                to: index(rng),
                amount: amount(rng),
                fee: fee(rng),
            })
            .collect(),
        withdrawals: (0..4)
            .map(|_| WithdrawalData {
                index: index(rng),
                amount: amount(rng),
                fee: fee(rng),
            })
            .collect(),
    };
    (shape, words)
}

/// Sums of `field · 2^shift` as inputs.
fn packed(cs: &Cs, fields: &[(u64, usize)]) -> Num {
    let power = |shift: usize| Fr::from(2u64).pow([shift as u64]);
    cs.input(
        fields
            .iter()
            .map(|(x, shift)| Fr::from(*x) * power(*shift))
            .sum(),
    )
}

#[test]
fn words_of_any_number_of_fee_slots() {
    let mut rng = rng(11);
    for fee_slots in [1, 2, 4, 5, 11, 12, 25] {
        let (shape, expected) = random_words(&mut rng, fee_slots);
        let encoded = expected.encode(&shape).unwrap();
        let c = words::commitment(shape.id, &encoded);
        let z = words::challenge(&c, &encoded);
        let y = words::evaluation(&encoded, &z);
        for wrong in [None, Some(0), Some(1)] {
            let recorded = record(|cs| {
                let words = circuit_words(cs, &shape, &expected);
                let [c, y] = [c, y].map(|value| cs.input(value));
                let shift = |i| Fr::from(wrong == Some(i));
                let committed = commitment(cs, shape.id, &words);
                cs.enforce_equal(&committed.plus(shift(0)), &c);
                let evaluated = evaluation(cs, &words, &cs.input(z));
                cs.enforce_equal(&evaluated.plus(shift(1)), &y);
                words.iter().map(Num::value).collect::<Vec<Fr>>()
            });
            assert_eq!(recorded.output, encoded);
            assert_eq!(recorded.holds(), wrong.is_none());
        }
    }
}

fn circuit_words(cs: &Cs, shape: &ledger::shape::Shape, words: &PublicWords) -> Vec<Num> {
    let header = &words.header;
    let mut all = header_words(&HeaderVar {
        domain: cs.input(header.domain),
        old_root: cs.input(header.old_root),
        new_root: cs.input(header.new_root),
        shape_id: shape.id,
        batch_number: cs.input(Fr::from(header.batch_number)),
        timestamp: cs.input(Fr::from(header.timestamp)),
        fee_indices: (header.fee_indices.iter())
            .map(|index| cs.input(Fr::from(*index)))
            .collect(),
    });
    let transfers: Vec<Num> = (words.transfers.iter())
        .map(|t| {
            let fields = [(t.from.into(), 88), (t.to.into(), 56)];
            let floats = [(t.amount.packed(), 16), (t.fee.packed(), 0)];
            packed(cs, &[fields, floats].concat())
        })
        .collect();
    all.extend(pair_words(&transfers, 120));
    let withdrawals: Vec<Num> = (words.withdrawals.iter())
        .map(|w| {
            let fields = [
                (w.index.into(), 56),
                (w.amount.packed(), 16),
                (w.fee.packed(), 0),
            ];
            packed(cs, &fields)
        })
        .collect();
    all.extend(pair_words(&withdrawals, 88));
    all
}

/// No witness satisfies the gadget at an exceptional challenge even without the rows that show
/// denominators to be non-zero: the first row that fails is the second chord of a step,
/// `0·slope = 2v` with `v ≠ 0`, before which nothing was the prover's to choose.
#[test]
fn exceptional_challenges_have_no_witness_whatever_slopes_are_chosen() {
    let key = Point::base8();
    for h in exceptional_challenges() {
        let challenge = Fr::from(h.clone());
        let recorded = record(|cs| mul_by_challenge(cs, &point(cs, &key), &cs.input(challenge)));
        let (r1cs, assignment) = (&recorded.compiled.r1cs, &recorded.assignment);
        let is_guard = |row: usize| {
            let rule = recorded.compiled.rules.rule_of(row);
            rule.ends_with("step_is_not_exceptional")
        };
        let value = |matrix: &r1cs::Matrix, row| r1cs.evaluate_row(matrix.row(row), assignment);
        let first = (0..r1cs.num_constraints())
            .find(|&row| !is_guard(row) && !recorded.compiled.row_holds(row, assignment))
            .unwrap();
        assert_eq!(value(r1cs.a(), first), Fr::ZERO, "{h}");
        assert_ne!(value(r1cs.c(), first), Fr::ZERO, "{h}");
        // No slope was free before: no row 0·x = 0 between variables.
        let free = (0..first).find(|&row| {
            !r1cs.a().row(row).is_empty()
                && r1cs.b().row(row).len() == 1
                && !r1cs.c().row(row).is_empty()
                && recorded.compiled.rules.rule_of(row).is_empty()
                && value(r1cs.a(), row) == Fr::ZERO
                && value(r1cs.c(), row) == Fr::ZERO
        });
        assert_eq!(free, None, "{h}");
    }
}
