//! Decimal floats in constraints: twin of `ledger::float`.
//!
//! The packed form is `exponent ‖ mantissa` with a 5-bit exponent, the value `mantissa·10^exponent`.

use ark_ff::Field;
use ledger::field::Fr;

use crate::num::{Bit, Cs, Num};

/// Bits of a float40's mantissa.
pub const FLOAT40_MANTISSA: usize = 35;
/// Bits of a float16's mantissa.
pub const FLOAT16_MANTISSA: usize = 11;
/// Bits of either exponent.
pub const EXPONENT: usize = 5;

/// A float by its bits, with its packed form and its value.
#[derive(Clone, Debug)]
pub struct Float {
    /// `exponent·2^mantissa_bits + mantissa`.
    pub packed: Num,
    /// `mantissa·10^exponent`, below `2^138`.
    pub value: Num,
}

/// Decodes the float packed into the lowest bits of `packed`, as fresh bits.
///
/// `10^exponent` is a product of `1 + bit_i·(10^(2^i) − 1)`.
pub fn decode(cs: &Cs, packed: Fr, mantissa_bits: usize) -> Float {
    let _scope = cs.rule("float_is_in_range");
    let bits = cs.bits_of(packed, mantissa_bits + EXPONENT);
    let (mantissa, exponent) = bits.split_at(mantissa_bits);
    let factor = |i: usize, bit: &Bit| {
        let power = Fr::from(10u64).pow([1u64 << i]);
        bit.num().scale(power - Fr::ONE).plus(Fr::ONE)
    };
    let scale = (1..EXPONENT).fold(factor(0, &exponent[0]), |product, i| {
        cs.mul(&product, &factor(i, &exponent[i]))
    });
    let value = cs.mul(&scale, &Num::from_bits(mantissa));
    Float {
        packed: Num::from_bits(&bits),
        value,
    }
}
