//! The published words in constraints: twin of `ledger::words`.
//!
//! The circuit holds the same list of field elements as L1, commits to it with a chain of
//! `compress4` (`c`), and evaluates it at the challenge (`y`).

use ark_ff::Field;
use ledger::field::Fr;

use crate::{
    account::power_of_two,
    num::{Cs, Num},
    poseidon::compress4,
};

/// Fee indices that fit the fourth header word.
const FEES_IN_HEADER: usize = 4;
/// Fee indices that fit each further header word.
const FEES_IN_EXTRA_WORD: usize = 7;

/// The header as the circuit holds it.
#[derive(Clone, Debug)]
pub struct HeaderVar {
    /// The deployment's domain.
    pub domain: Num,
    /// The root before the batch.
    pub old_root: Num,
    /// The root after the batch.
    pub new_root: Num,
    /// The shape id, a constant of the circuit.
    pub shape_id: u16,
    /// The batch number, below `2^40`.
    pub batch_number: Num,
    /// The timestamp, below `2^40`.
    pub timestamp: Num,
    /// Index of each fee slot's account.
    pub fee_indices: Vec<Num>,
}

/// The header's words: four, and one more for every seven fee slots beyond the fourth.
pub fn header_words(header: &HeaderVar) -> Vec<Num> {
    let HeaderVar {
        domain,
        old_root,
        new_root,
        shape_id,
        batch_number,
        timestamp,
        fee_indices,
    } = header;
    let (first, rest) = fee_indices.split_at(fee_indices.len().min(FEES_IN_HEADER));
    let shape = Num::constant(Fr::from(*shape_id));
    let mut fields = vec![
        (&shape, power_of_two(208)),
        (batch_number, power_of_two(168)),
        (timestamp, power_of_two(128)),
    ];
    fields.extend(
        first
            .iter()
            .enumerate()
            .map(|(i, index)| (index, power_of_two(96 - 32 * i))),
    );
    let mut words = vec![
        domain.clone(),
        old_root.clone(),
        new_root.clone(),
        Num::linear(fields),
    ];
    words.extend(rest.chunks(FEES_IN_EXTRA_WORD).map(|chunk| {
        Num::linear(
            chunk
                .iter()
                .enumerate()
                .map(|(i, index)| (index, power_of_two(192 - 32 * i))),
        )
    }));
    words
}

/// Words of two slots each, the first of a pair in the high bits.
pub fn pair_words(slots: &[Num], bits: usize) -> Vec<Num> {
    slots
        .chunks_exact(2)
        .map(|pair| Num::linear([(&pair[0], power_of_two(bits)), (&pair[1], Fr::ONE)]))
        .collect()
}

/// `c`: `h₀` = shape id, `hᵢ₊₁ = compress4(hᵢ, three words)`, the last triple zero-padded.
pub fn commitment(cs: &Cs, shape_id: u16, words: &[Num]) -> Num {
    let _scope = cs.rule("commitment");
    words
        .chunks(3)
        .fold(Num::constant(Fr::from(shape_id)), |state, triple| {
            let word = |i: usize| triple.get(i).cloned().unwrap_or_else(Num::zero);
            compress4(cs, &[state, word(0), word(1), word(2)])
        })
}

/// `y = Σ wᵢ·zⁱ` by Horner's rule from the last word.
pub fn evaluation(cs: &Cs, words: &[Num], z: &Num) -> Num {
    let _scope = cs.rule("evaluation");
    words
        .iter()
        .rev()
        .fold(Num::zero(), |sum, word| &cs.mul(&sum, z) + word)
}
