//! Cheating provers that depart from the honest witness and let everything after it follow, the
//! public inputs included; and gadgets whose witness is locally unique.
//!
//! A deviation that satisfies the circuit is harmless only if it publishes the same words (another
//! witness of the same statement), words that L1 refuses because it holds its own (domain, old
//! root, batch number, queue), or another timestamp, which is the operator's choice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use ark_ff::{BigInteger256, Field, PrimeField, UniformRand};
use attacks::{
    forged_assignment,
    samples::{full, half, open_dimensions, wide_full},
};
use circuits::{
    account::{Fields, leaves},
    babyjubjub::{ScalarDigits, mul_base8, mul_by_challenge},
    eddsa::{self, SignatureValues},
    float::{FLOAT16_MANTISSA, FLOAT40_MANTISSA, decode},
    inspect::rank,
    num::{Change, Cs, Deviation},
    poseidon,
    shapes::{Compiled, compile},
    transition::{BatchCircuit, BatchValues},
    tree::{Written, update},
};
use common::{inputs, point, record, rng};
use ledger::{
    babyjubjub::{Point, Scalar},
    eddsa::PrivateKey,
    field::Fr,
    tree::Tree,
};
use rand::Rng;
use rayon::prelude::*;

/// What becomes of a deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// The circuit notices.
    Violated,
    /// Another witness of the same words.
    SameWords,
    /// L1 notices: it holds these words itself.
    RefusedByL1,
    /// Only the timestamp differs, and operations that are still valid under it.
    OtherTimestamp,
    /// None of these: money moved.
    Theft,
}

fn judge(
    compiled: &Compiled,
    circuit: &BatchCircuit,
    honest: &[Fr],
    deviation: Deviation,
) -> Verdict {
    let values = &circuit.0;
    let cs = Cs::values_deviating(&[deviation]);
    let words = circuit.record(&cs);
    // With the honest public inputs first: rows outside `words` do not see them.
    let mut assignment = vec![Fr::ONE, values.c, values.z, values.y];
    assignment.extend(cs.into_values());
    let counts = |row: usize| !compiled.rules.rule_of(row).starts_with("words");
    let rows = compiled.r1cs.num_constraints();
    if (0..rows).any(|row| counts(row) && !compiled.row_holds(row, &assignment)) {
        return Verdict::Violated;
    }
    let assignment = forged_assignment(values, &[deviation]);
    if !compiled.violated_rules(&assignment).is_empty() {
        return Verdict::Violated;
    }
    if words == honest {
        return Verdict::SameWords;
    }
    let header = values.shape.header_words();
    let mut held = vec![0, 1];
    for slot in 0..usize::from(values.shape.l1_ops) {
        held.extend((0..3).map(|word| header + 4 * slot + word));
    }
    let number = |words: &[Fr]| words[3].into_bigint() >> 168;
    if number(&words) != number(honest) || held.iter().any(|&i| words[i] != honest[i]) {
        return Verdict::RefusedByL1;
    }
    let fee_indices = |words: &[Fr]| words[3].into_bigint() << 128;
    if fee_indices(&words) == fee_indices(honest)
        && words[2] == honest[2]
        && words[4..] == honest[4..]
    {
        Verdict::OtherTimestamp
    } else {
        Verdict::Theft
    }
}

/// The variables that first occur in each rule, as allocation numbers.
fn variables_by_rule(compiled: &Compiled) -> BTreeMap<String, Vec<usize>> {
    let r1cs = &compiled.r1cs;
    let mut seen = BTreeSet::new();
    let mut by_rule: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in 0..r1cs.num_constraints() {
        for matrix in [r1cs.a(), r1cs.b(), r1cs.c()] {
            for entry in matrix.row(row) {
                let column = entry.column as usize;
                if column >= r1cs.num_instance() && seen.insert(column) {
                    let rule = compiled.rules.rule_of(row).to_owned();
                    by_rule
                        .entry(rule)
                        .or_default()
                        .push(column - r1cs.num_instance());
                }
            }
        }
    }
    assert_eq!(seen.len(), r1cs.num_witness(), "a variable in no row");
    by_rule
}

/// Deviates at `per_rule` variables of each rule (`DEVIATIONS` times as many if that is set) and
/// counts verdicts by rule.
fn sweep(values: &BatchValues, per_rule: usize, seed: u64) -> BTreeMap<(Verdict, String), usize> {
    let compiled = compile(&values.shape).unwrap();
    assert!(
        compiled
            .violated_rules(&forged_assignment(values, &[]))
            .is_empty()
    );
    let factor = std::env::var("DEVIATIONS").map_or(1, |factor| factor.parse().unwrap());
    let per_rule = per_rule * factor;
    let circuit = BatchCircuit(values.clone());
    let honest = circuit.record(&Cs::values_only());
    let mut rng = rng(seed);
    let offsets = [Fr::ONE, -Fr::ONE, Fr::rand(&mut rng)];
    let mut deviations = Vec::new();
    for (rule, variables) in variables_by_rule(&compiled) {
        for i in 0..per_rule.min(3 * variables.len()) {
            let variable = variables[rng.gen_range(0..variables.len())];
            let offset = offsets[i % 3];
            let change = Change::Add(offset);
            deviations.push((rule.clone(), Deviation { variable, change }));
        }
    }
    assert!(deviations.len() > 40 * per_rule);
    let verdicts: Vec<((Verdict, String), Deviation)> = deviations
        .into_par_iter()
        .map(|(rule, deviation)| {
            let verdict = judge(&compiled, &circuit, &honest, deviation);
            ((verdict, rule), deviation)
        })
        .collect();
    let mut counts = BTreeMap::new();
    for (key, deviation) in verdicts {
        assert_ne!(key.0, Verdict::Theft, "{deviation:?} in {}", key.1);
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

/// The rules in which deviations got a verdict.
fn rules(counts: &BTreeMap<(Verdict, String), usize>, verdict: Verdict) -> BTreeSet<&str> {
    let keys = counts.keys().filter(|(v, _)| *v == verdict);
    keys.map(|(_, rule)| rule.as_str()).collect()
}

/// The header's numbers and L1's queue are the only variables that can be chosen.
#[test]
fn b1_deviations_of_a_full_batch_do_not_satisfy_the_circuit() {
    let counts = sweep(&full(), 9, 30);
    assert!(rules(&counts, Verdict::SameWords).is_empty(), "{counts:?}");
    let of_l1 = rules(&counts, Verdict::RefusedByL1);
    assert!(of_l1.iter().all(|rule| ["header", "l1_op"].contains(rule)));
    let timestamps = rules(&counts, Verdict::OtherTimestamp);
    assert!(timestamps.iter().all(|rule| *rule == "header"));
}

/// The same with three cached levels, four fee slots and more slots of each kind.
#[test]
fn b1_deviations_of_a_wide_batch_do_not_satisfy_the_circuit() {
    let counts = sweep(&wide_full(), 2, 35);
    assert!(rules(&counts, Verdict::SameWords).is_empty(), "{counts:?}");
    let of_l1 = rules(&counts, Verdict::RefusedByL1);
    assert!(of_l1.iter().all(|rule| ["header", "l1_op"].contains(rule)));
}

/// Unused slots have variables that nothing depends on, such as the key of a leaf that is not
/// written; whatever they hold, the same words are published.
#[test]
fn b1_deviations_of_a_half_empty_batch_move_no_money() {
    let counts = sweep(&half(), 6, 31);
    assert!(!rules(&counts, Verdict::SameWords).is_empty(), "{counts:?}");
}

/// Witness variables minus rank: the dimensions in which the witness can move while the gadget's
/// inputs stay.
fn freedom(gadget: impl FnOnce(&Cs)) -> usize {
    let recorded = record(gadget);
    assert!(recorded.holds());
    recorded.compiled.r1cs.num_witness() - rank(&recorded.compiled.r1cs, &recorded.assignment)
}

#[test]
fn b2_witnesses_of_gadgets_are_locally_unique() {
    let mut rng = rng(32);
    let x: [Fr; 9] = std::array::from_fn(|_| Fr::rand(&mut rng));
    assert_eq!(
        freedom(|cs| {
            poseidon::compress4(cs, &inputs(cs, &x[..4]).try_into().unwrap());
        }),
        0
    );
    for count in [2, 5, 8] {
        assert_eq!(
            freedom(|cs| {
                poseidon::hash(cs, &inputs(cs, &x[..count]));
            }),
            0
        );
    }
    assert_eq!(
        freedom(|cs| {
            decode(cs, Fr::from(0xab_cdef_0123u64), FLOAT40_MANTISSA);
            decode(cs, Fr::from(0x1234u64), FLOAT16_MANTISSA);
        }),
        0
    );
    let [p, q] = [0; 2].map(|_| Point::base8().mul(&Scalar::rand(&mut rng)));
    assert_eq!(
        freedom(|cs| {
            point(cs, &p).add(cs, &point(cs, &q));
        }),
        0
    );
    assert_eq!(
        freedom(|cs| {
            let [lane, old, new] = [x[0], x[1], x[2]].map(|x| cs.input(x));
            let fields = |balance| Fields {
                lane: &lane,
                balance,
            };
            leaves(cs, &point(cs, &p), fields(&old), fields(&new));
        }),
        0
    );
    // Hints of a comparison are free where all higher ones of the constant are met: not here.
    let s = BigInteger256::from(0x0123_4567_89ab_cdefu64);
    assert_eq!(
        freedom(|cs| {
            mul_base8(cs, &ScalarDigits::below_the_order(cs, &s));
        }),
        0
    );
}

#[test]
fn b2_witnesses_of_signatures_are_locally_unique() {
    let mut rng = rng(33);
    let secret = PrivateKey::derive("deviations", &[1]);
    let key = secret.public_key();
    for _ in 0..2 {
        let challenge = Fr::rand(&mut rng);
        let multiple = freedom(|cs| {
            mul_by_challenge(cs, &point(cs, &key), &cs.input(challenge));
        });
        let message = Fr::rand(&mut rng);
        let signed = secret.sign(&message);
        let signature = SignatureValues {
            r8: (signed.r8.x, signed.r8.y),
            s: signed.s.into_bigint(),
        };
        let whole =
            freedom(|cs| eddsa::verify(cs, &point(cs, &key), &cs.input(message), &signature));
        assert_eq!((multiple, whole), (0, 0));
    }
}

/// Siblings are the prover's, one old root holds them: 3 a level, minus 1.
#[test]
fn b2_a_tree_update_leaves_only_the_siblings_open() {
    let mut rng = rng(34);
    for depth in 1..=3u8 {
        for index in [0, 1, 2, 3] {
            let mut tree = Tree::new(depth);
            for i in 0..1u32 << (2 * depth) {
                tree.update(i, Fr::rand(&mut rng)).unwrap();
            }
            let [old, new] = [tree.leaf(index), Fr::rand(&mut rng)];
            let open = freedom(|cs| {
                let bits = cs.bits_of(Fr::from(index), 2 * usize::from(depth));
                let mut roots = inputs(cs, &[tree.root()]);
                let path = tree.path(index).unwrap();
                let leaves = (&cs.input(old), &cs.input(new));
                update(cs, &bits, &path, leaves, &mut roots, Written::Fresh);
            });
            assert_eq!(open, 3 * usize::from(depth) - 1);
        }
    }
}

/// While the public inputs stay, a full batch moves in as many dimensions as the prover's field
/// elements have, less one for each equation that ties them together; no gadget adds any.
#[test]
fn b2_a_batch_leaves_only_the_provers_own_numbers_open() {
    let values = full();
    let compiled = compile(&values.shape).unwrap();
    let assignment = forged_assignment(&values, &[]);
    let open = compiled.r1cs.num_witness() - rank(&compiled.r1cs, &assignment);
    assert_eq!(open, open_dimensions());
}
