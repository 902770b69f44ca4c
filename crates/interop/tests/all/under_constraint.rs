//! The tiny circuit as others see it: read back from its files, is every wire held by a constraint?
//!
//! The public inputs stay; the witness moves. Two searches on a batch that uses every slot: each wire
//! alone, and all together to first order.

use std::collections::BTreeMap;

use ::r1cs::R1cs;
use attacks::forged_assignment;
use attacks::samples::{full, open_dimensions};
use circuits::inspect::open_variables;
use circuits::shapes::{Compiled, by_name, compile};
use interop::{r1cs, wtns};
use ledger::field::Fr;

use crate::sample::open;

/// Wires that may move alone. None: whatever a slot does not need is held at a fixed value.
const MAY_MOVE: [usize; 0] = [];

/// The circuit with its rules, and a witness, both through their files.
fn exported() -> (Compiled, Vec<Fr>) {
    let Compiled { r1cs, rules } = compile(&by_name("tiny").unwrap()).unwrap();
    let (mut circuit, mut witness) = (Vec::new(), Vec::new());
    r1cs::write(&mut circuit, &r1cs).unwrap();
    wtns::write(&mut witness, &forged_assignment(&full(), &[])).unwrap();
    let (circuit, _) = r1cs::read(open(&circuit)).unwrap();
    let r1cs = circuit.r1cs;
    (
        Compiled { r1cs, rules },
        wtns::read(open(&witness)).unwrap(),
    )
}

#[test]
fn every_exported_wire_nudged_alone_breaks_a_constraint() {
    let (compiled, witness) = exported();
    assert_eq!(compiled.r1cs.is_satisfied(&witness), Ok(()));
    let free = compiled.free_variables(&witness);
    let free: Vec<_> = free
        .iter()
        .filter(|(wire, _)| !MAY_MOVE.contains(wire))
        .collect();
    assert!(free.is_empty(), "{free:?}");
}

/// The prover's own numbers that no equation ties to older ones, by the rule that first uses them. Of
/// wires that an equation ties together the newest counts as derived, so a group of three children is
/// three of the four on a level.
#[rustfmt::skip]
const GIVEN: [(&str, &[u32]); 12] = [
    // The domain, which the first message hashes.
    ("transfer/sender/message_hash", &[4]),
    ("header/cached_levels", &[85, 86, 87, 88]),
    // Key, lane and balance of a leaf; the key of a fee account; R8 of a signature.
    ("collect_fees", &[363, 364, 437, 449, 450, 523]),
    ("l1_op/create_writes_published_leaf", &[697, 3002, 3003, 3006, 3007]),
    ("transfer/receiver", &[10881, 10882, 10923, 18796, 18797, 18838]),
    ("transfer/sender/signature_is_valid/challenge_hash", &[5220, 13135]),
    ("withdraw/sender/signature_is_valid/challenge_hash", &[21042, 26781]),
    // Siblings on the way to the root.
    ("l1_op/leaf_is_in_tree", &[
        1225, 1227, 1228, 1758, 1759, 1761, 2292, 2293, 3530, 3531, 3533, 4064, 4065, 4066, 4597, 4598,
    ]),
    ("transfer/sender/leaf_is_in_tree", &[
        9277, 9278, 9280, 9811, 9812, 9813, 10344, 10345,
        17192, 17194, 17195, 17725, 17727, 17728, 18259, 18260,
    ]),
    ("transfer/receiver/leaf_is_in_tree", &[
        11445, 11446, 11447, 11979, 11980, 11981, 12512, 12513,
        19360, 19362, 19363, 19893, 19895, 19896, 20427, 20428,
    ]),
    ("withdraw/sender/leaf_is_in_tree", &[
        25099, 25100, 25101, 25633, 25634, 25635, 26166, 26167,
        30839, 30840, 30841, 31371, 31373, 31374, 31905, 31906,
    ]),
    ("collect_fees/leaf_is_in_tree", &[
        32965, 32967, 32968, 33499, 33500, 33501, 34032, 34033,
        35093, 35094, 35095, 35625, 35627, 35628, 36159,
    ]),
];

/// The rule of the first row in which a wire occurs.
fn first_rule(compiled: &Compiled, wire: u32) -> &str {
    let row = (0..compiled.r1cs.num_constraints()).find(|row| occurs(&compiled.r1cs, *row, wire));
    compiled.rules.rule_of(row.unwrap())
}

fn occurs(r1cs: &R1cs, row: usize, wire: u32) -> bool {
    let matrices = [r1cs.a(), r1cs.b(), r1cs.c()];
    let mut entries = matrices.iter().flat_map(|matrix| matrix.row(row));
    entries.any(|entry| entry.column == wire)
}

/// The derivative of the constraints by all wires that are not in [`GIVEN`] has full column rank, and
/// by no more: a wire that is freed is not made up for by another that is tied.
#[test]
fn derived_wires_of_the_exported_circuit_are_locally_unique() {
    let (compiled, witness) = exported();
    let mut got: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for wire in open_variables(&compiled.r1cs, &witness) {
        let rule = first_rule(&compiled, wire);
        got.entry(rule).or_default().push(wire);
    }
    let given = GIVEN.map(|(rule, wires)| (rule, wires.to_vec()));
    assert_eq!(got, BTreeMap::from(given));
    let count: usize = GIVEN.iter().map(|(_, wires)| wires.len()).sum();
    assert_eq!(count, open_dimensions());
}

/// The searches find what is wrong: a circuit without one of its rows.
#[test]
fn a_missing_row_is_found() {
    let (Compiled { r1cs, rules }, witness) = exported();
    let mut rows = ::r1cs::Rows::new(r1cs.num_instance(), r1cs.num_witness()).unwrap();
    let terms = |matrix: &::r1cs::Matrix, row: usize| -> Vec<(u32, Fr)> {
        let entries = matrix.row(row).iter();
        entries
            .map(|entry| {
                (
                    entry.column,
                    r1cs.coefficients()[entry.coefficient as usize],
                )
            })
            .collect()
    };
    let mut rows_of = vec![Vec::new(); r1cs.num_variables()];
    for row in 0..r1cs.num_constraints() {
        let matrices = [r1cs.a(), r1cs.b(), r1cs.c()];
        for entry in matrices.iter().flat_map(|matrix| matrix.row(row)) {
            rows_of[entry.column as usize].push(row);
        }
    }
    // The row without which the last wire with a single row has none.
    rows_of.iter_mut().for_each(Vec::dedup);
    let wire = rows_of.iter().rposition(|rows| rows.len() == 1).unwrap();
    for row in (0..r1cs.num_constraints()).filter(|row| *row != rows_of[wire][0]) {
        let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()].map(|matrix| terms(matrix, row));
        rows.push([&a, &b, &c]).unwrap();
    }
    let less = Compiled {
        r1cs: rows.finish().unwrap(),
        rules,
    };
    let open = open_variables(&less.r1cs, &witness);
    assert_eq!(open.len(), open_dimensions() + 1);
    let free = less.free_variables(&witness);
    assert!(free.iter().any(|(free, _)| *free == wire), "{free:?}");
}
