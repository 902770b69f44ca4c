//! The published words in constraints: twin of `ledger::words`.
//!
//! The circuit holds the same list of field elements as L1, commits to it with a chain of
//! `compress4` (`c`), and evaluates it at the challenge (`y`).

use ledger::{
    field::Fr,
    shape::{FEE_INDICES_IN_HEADER, FEE_INDICES_PER_EXTRA_WORD},
};

use crate::{
    account::{INDEX_BITS, NONCE_BITS, packed},
    num::{Cs, Num},
    poseidon::compress4,
};

/// Bits of a shape's id.
const SHAPE_ID_BITS: usize = u16::BITS as usize;

/// The header as the circuit holds it.
#[derive(Clone, Debug)]
pub struct HeaderVar {
    /// The deployment's domain, the first word.
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
    let (first, rest) = fee_indices.split_at(fee_indices.len().min(FEE_INDICES_IN_HEADER));
    let (shape, none) = (Num::constant(Fr::from(*shape_id)), Num::zero());
    let mut fields = vec![
        (&shape, SHAPE_ID_BITS),
        (batch_number, NONCE_BITS),
        (timestamp, NONCE_BITS),
    ];
    fields.extend(indices(first, FEE_INDICES_IN_HEADER, &none));
    let mut words = vec![
        domain.clone(),
        old_root.clone(),
        new_root.clone(),
        packed(fields),
    ];
    let extra = rest.chunks(FEE_INDICES_PER_EXTRA_WORD);
    words.extend(extra.map(|chunk| packed(indices(chunk, FEE_INDICES_PER_EXTRA_WORD, &none))));
    words
}

/// Fee indices as fields of a word that has room for `places` of them; what is left of it is `none`.
fn indices<'a>(indices: &'a [Num], places: usize, none: &'a Num) -> Vec<(&'a Num, usize)> {
    let padded = indices.iter().chain(std::iter::repeat(none)).take(places);
    padded.map(|index| (index, INDEX_BITS)).collect()
}

/// Words of two slots each, the first of a pair in the high bits.
pub fn pair_words(slots: &[Num], bits: usize) -> Vec<Num> {
    slots
        .chunks_exact(2)
        .map(|pair| packed([(&pair[0], bits), (&pair[1], bits)]))
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
