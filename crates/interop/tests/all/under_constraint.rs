//! The tiny circuit as others see it: read back from its files, is every wire held by a constraint?
//!
//! The public inputs stay; the witness moves. Two searches on a batch that uses every slot: each wire
//! alone, and all together to first order.

use circuits::samples::{full, open_dimensions};
use circuits::shapes::{Compiled, by_name, compile};
use circuits::testkit::{forged_assignment, rank};
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
    let (r1cs, _) = r1cs::read(open(&circuit)).unwrap();
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

/// The derivative of the constraints by the derived wires has full column rank: the witness moves only
/// in the prover's own numbers, which `open_dimensions` lists one by one.
#[test]
fn derived_wires_of_the_exported_circuit_are_locally_unique() {
    let (compiled, witness) = exported();
    let open = compiled.r1cs.num_witness() - rank(&compiled.r1cs, &witness);
    assert_eq!(open, open_dimensions());
}

/// The searches find what is wrong: a circuit without one of its rows.
#[test]
fn a_missing_row_is_found() {
    let (Compiled { r1cs, rules }, witness) = exported();
    let mut rows = circuits::r1cs::Rows::new(r1cs.num_instance(), r1cs.num_witness()).unwrap();
    let terms = |matrix: &circuits::r1cs::Matrix, row: usize| -> Vec<(u32, Fr)> {
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
    // The last row holds the last wire.
    for row in 0..r1cs.num_constraints() - 1 {
        let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()].map(|matrix| terms(matrix, row));
        rows.push([&a, &b, &c]).unwrap();
    }
    let less = Compiled {
        r1cs: rows.finish().unwrap(),
        rules,
    };
    let open = less.r1cs.num_witness() - rank(&less.r1cs, &witness);
    assert_eq!(open, open_dimensions() + 1);
}
