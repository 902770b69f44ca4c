//! What an assignment violates, and what a circuit leaves free: for those who search it for faults.

use std::collections::{BTreeMap, BTreeSet};

use ark_ff::{AdditiveGroup, Field};
use ark_relations::gr1cs::{ConstraintSystem, SynthesisMode};
use ledger::{field::Fr, shape::Shape};
use r1cs::{R1cs, R1csError};
use rayon::prelude::*;

use crate::{
    num::Cs,
    shapes::{Compiled, padding},
    transition::BatchCircuit,
};

impl Compiled {
    /// Every rule that the full assignment violates; empty when it satisfies the circuit.
    pub fn violated_rules(&self, assignment: &[Fr]) -> BTreeSet<String> {
        let r1cs = &self.r1cs;
        (0..r1cs.num_constraints())
            .into_par_iter()
            .filter(|&row| !self.row_holds(row, assignment))
            .map(|row| self.rules.rule_of(row).to_owned())
            .collect()
    }

    /// Witness variables that can be changed alone (by 1 and by a large number) without violating a
    /// row, each with the rule of the first row that it occurs in.
    pub fn free_variables(&self, assignment: &[Fr]) -> Vec<(usize, &str)> {
        let r1cs = &self.r1cs;
        let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); assignment.len()];
        for row in 0..r1cs.num_constraints() {
            for entry in [r1cs.a(), r1cs.b(), r1cs.c()]
                .iter()
                .flat_map(|m| m.row(row))
            {
                rows_of[entry.column as usize].push(row);
            }
        }
        let offsets = [
            Fr::ONE,
            Fr::from(0x0123_4567_89ab_cdefu64).square().square(),
        ];
        (r1cs.num_instance()..assignment.len())
            .into_par_iter()
            .map_init(
                || assignment.to_vec(),
                |changed, variable| {
                    let honest = changed[variable];
                    let free = offsets.iter().any(|offset| {
                        changed[variable] = honest + offset;
                        rows_of[variable]
                            .iter()
                            .all(|&row| self.row_holds(row, changed))
                    });
                    changed[variable] = honest;
                    (variable, free)
                },
            )
            .filter_map(|(variable, free)| free.then_some(variable))
            .map(|v| {
                (
                    v,
                    rows_of[v]
                        .first()
                        .map_or("no row", |row| self.rules.rule_of(*row)),
                )
            })
            .collect()
    }

    /// Whether one row holds.
    pub fn row_holds(&self, row: usize, assignment: &[Fr]) -> bool {
        let r1cs = &self.r1cs;
        let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()]
            .map(|matrix| r1cs.evaluate_row(matrix.row(row), assignment));
        a * b == c
    }
}

/// Rank of the constraints' derivative by the witness at the assignment `w`.
pub fn rank(r1cs: &R1cs, w: &[Fr]) -> usize {
    r1cs.num_witness() - open_variables(r1cs, w).len()
}

/// Witness variables that the constraints do not determine from older ones, to first order at the
/// assignment `w`: while these stay, no other moves.
///
/// Rows are reduced by their newest variable: nearly every row brings one of its own.
pub fn open_variables(r1cs: &R1cs, w: &[Fr]) -> Vec<u32> {
    let mut pivots: BTreeMap<u32, BTreeMap<u32, Fr>> = BTreeMap::new();
    for row in 0..r1cs.num_constraints() {
        let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()].map(|matrix| matrix.row(row));
        let (a_value, b_value) = (r1cs.evaluate_row(a, w), r1cs.evaluate_row(b, w));
        let mut derivative: BTreeMap<u32, Fr> = BTreeMap::new();
        for (entries, factor) in [(a, b_value), (b, a_value), (c, -Fr::ONE)] {
            for entry in entries {
                if entry.column as usize >= r1cs.num_instance() {
                    let term = r1cs.coefficients()[entry.coefficient as usize] * factor;
                    *derivative.entry(entry.column).or_insert(Fr::ZERO) += term;
                }
            }
        }
        derivative.retain(|_, value| *value != Fr::ZERO);
        while let Some((&column, &value)) = derivative.last_key_value() {
            let Some(pivot) = pivots.get(&column) else {
                let inverse = value.inverse().expect("zeros are not kept");
                derivative.values_mut().for_each(|x| *x *= inverse);
                pivots.insert(column, derivative);
                break;
            };
            for (column, x) in pivot {
                let entry = derivative.entry(*column).or_insert(Fr::ZERO);
                *entry -= value * x;
                if *entry == Fr::ZERO {
                    derivative.remove(column);
                }
            }
        }
    }
    let all = (r1cs.num_instance()..r1cs.num_variables()).map(u32::try_from);
    let all = all.map(|column| column.expect("variables have 32 bits"));
    all.filter(|column| !pivots.contains_key(column)).collect()
}

/// The matrices of a shape's circuit, recorded by a recorder of the caller's making: with the
/// places of its rows, or with a number that has one bit more.
///
/// # Errors
/// As [`compile`](crate::shapes::compile).
pub fn compile_with(shape: &Shape, recorder: impl FnOnce(Cs) -> Cs) -> Result<Compiled, R1csError> {
    let rows = ConstraintSystem::<Fr>::new_ref();
    rows.set_mode(SynthesisMode::Setup);
    let cs = recorder(Cs::with_rows(rows.clone()));
    BatchCircuit(padding(shape)).record(&cs);
    Ok(Compiled {
        r1cs: R1cs::from_constraint_system(&rows)?,
        rules: cs.rule_map(),
    })
}
