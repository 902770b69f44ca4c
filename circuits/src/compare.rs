//! Canonical bit decompositions: bits compared with a constant, one constraint for each run of
//! zeros in the constant.
//!
//! Reading from the top, `bits > constant` exactly when at the first difference the bit is 1 and
//! the constant 0. Let `d` count the constant's ones above a run of zeros that the bits do not
//! have, and `s` the bits set within the run. The integer is at most the constant iff for every
//! run `d = 0 ⇒ s = 0`, which the constraint `q · d = s` says with a free hint `q = s/d`.
//!
//! Sound because: `d ≤ 254 < r`, so `d = 0` in the field means that all ones above were matched;
//! then `s = 0`, and `s`, a sum of at most 254 bits, is 0 in the field only when every bit is 0.

use ark_ff::{AdditiveGroup, Field};
use ledger::field::Fr;
use num_bigint::BigUint;

use crate::num::{Bit, Cs, Num};

/// Constrains the integer behind `bits` (lowest first) to be at most `constant`.
pub fn enforce_at_most(cs: &Cs, bits: &[Bit], constant: &BigUint) {
    assert!(
        constant.bits() <= bits.len() as u64,
        "the comparison would hold for any bits"
    );
    let mut missing: Vec<Bit> = Vec::new();
    let mut run: Vec<&Bit> = Vec::new();
    for i in (0..bits.len()).rev() {
        if constant.bit(i as u64) {
            close_run(cs, &missing, &mut run);
            missing.push(bits[i].not());
        } else {
            run.push(&bits[i]);
        }
    }
    close_run(cs, &missing, &mut run);
}

fn close_run(cs: &Cs, missing: &[Bit], run: &mut Vec<&Bit>) {
    if run.is_empty() {
        return;
    }
    let d = Num::sum(missing.iter().map(Bit::num));
    let s = Num::sum(run.drain(..).map(Bit::num));
    if missing.is_empty() {
        cs.enforce_zero(&s);
        return;
    }
    let q = cs.witness(s.value() * d.value().inverse().unwrap_or(Fr::ZERO));
    cs.enforce(&q, &d, &s);
}

/// Constrains the integer behind `bits` (lowest first) to be at least `constant`.
///
/// The complement of an integer of `n` bits is `2^n − 1 −` it, which turns the order around.
pub fn enforce_at_least(cs: &Cs, bits: &[Bit], constant: &BigUint) {
    let all_ones = (BigUint::from(1u8) << bits.len()) - 1u8;
    let complement: Vec<Bit> = bits.iter().map(Bit::not).collect();
    enforce_at_most(cs, &complement, &(all_ones - constant));
}
