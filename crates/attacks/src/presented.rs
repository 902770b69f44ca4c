//! What a cheating prover presents to a verifier, with everything that follows from its lies.

use ark_ff::Field;
use circuits::{
    num::{Cs, Deviation},
    transition::{BatchCircuit, BatchValues, INSTANCE_VARIABLES},
};
use ledger::{field::Fr, words};

/// What a cheating prover presents: a full assignment, and the words that its circuit computed.
#[derive(Clone, Debug)]
pub struct Presented {
    /// `1, c, z, y`, then the witness.
    pub assignment: Vec<Fr>,
    /// The words within the circuit, which need not be those that are published.
    pub words: Vec<Fr>,
}

/// Commitment and words as L1 sees them.
#[derive(Clone, Debug)]
pub struct Published {
    pub c: Fr,
    pub words: Vec<Fr>,
}

/// The full assignment for `values`, slot after slot. Public inputs are those that L1 derives from
/// what is published; without that, from the words that the circuit itself computes.
pub fn present(
    values: &BatchValues,
    deviations: &[Deviation],
    recorder: impl FnOnce(Cs) -> Cs,
    published: Option<&Published>,
) -> Presented {
    let cs = recorder(Cs::values_deviating(deviations));
    let words = BatchCircuit(values.clone()).record(&cs);
    let own = || Published {
        c: words::commitment(values.shape.id, &words),
        words: words.clone(),
    };
    let Published { c, words: shown } = published.cloned().unwrap_or_else(own);
    let z = words::challenge(&c, &shown);
    let y = words::evaluation(&shown, &z);
    let mut assignment = vec![Fr::ONE, c, z, y];
    assignment.extend(cs.into_values());
    evaluate_again(&mut assignment, &words, &z, deviations);
    Presented { assignment, words }
}

/// The products of Horner's rule, the last variables of the circuit, are the only ones that depend
/// on `z`, which is known once the words are.
fn evaluate_again(assignment: &mut [Fr], words: &[Fr], z: &Fr, deviations: &[Deviation]) {
    let Some((last, rest)) = words.split_last() else {
        return;
    };
    let first = assignment.len() - rest.len();
    let mut sum = *last;
    for (place, word) in (first..).zip(rest.iter().rev()) {
        let mut product = sum * z;
        for deviation in deviations {
            if deviation.variable + INSTANCE_VARIABLES == place {
                deviation.change.apply(&mut product);
            }
        }
        assignment[place] = product;
        sum = product + word;
    }
}

/// The full assignment for `values` with public inputs recomputed from the words that the circuit
/// itself computes: what the best cheating prover would present.
pub fn forged_assignment(values: &BatchValues, deviations: &[Deviation]) -> Vec<Fr> {
    present(values, deviations, |cs| cs, None).assignment
}
