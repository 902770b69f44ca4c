//! Decimal floats in constraints: twin of `ledger::float`.
//!
//! The packed form is `exponent ‖ mantissa` with a 5-bit exponent, the value `mantissa·10^exponent`.

use ark_ff::Field;
use ledger::{
    field::Fr,
    float::{EXPONENT_BITS, Float16, Float40},
};

use crate::num::{Bit, Cs, Num};

/// Bits of a float40's mantissa.
pub const FLOAT40_MANTISSA: usize = FLOAT40 - EXPONENT;
/// Bits of a float16's mantissa.
pub const FLOAT16_MANTISSA: usize = FLOAT16 - EXPONENT;
/// Bits of either exponent.
pub const EXPONENT: usize = EXPONENT_BITS as usize;
/// Bits of a packed float40.
pub const FLOAT40: usize = Float40::BITS as usize;
/// Bits of a packed float16.
pub const FLOAT16: usize = Float16::BITS as usize;

/// A float by its bits, with its packed form and its value.
#[derive(Clone, Debug)]
pub struct Float {
    /// The form that is signed and published, `exponent·2^mantissa_bits + mantissa`.
    pub packed: Num,
    /// The number that it stands for, `mantissa·10^exponent`, below `2^138`.
    pub value: Num,
}

/// Decodes the float packed into the lowest bits of `packed`, as fresh bits.
///
/// `10^exponent` is a product of `1 + bit_i·(10^(2^i) − 1)`.
pub fn decode(cs: &Cs, packed: Fr, mantissa_bits: usize) -> Float {
    let _scope = cs.rule("float_is_in_range");
    let bits = cs.named("mantissa").bits_of(packed, mantissa_bits);
    let mantissa = Num::from_bits(&bits);
    let unit = Fr::from(2u64).pow([mantissa_bits as u64]);
    let above = (packed - mantissa.value()) * unit.inverse().expect("powers of 2 are not 0");
    let exponent = cs.named("exponent").bits_of(above, EXPONENT);
    let factor = |i: usize, bit: &Bit| {
        let power = Fr::from(10u64).pow([1u64 << i]);
        bit.num().scale(power - Fr::ONE).plus(Fr::ONE)
    };
    let scale = (1..exponent.len()).fold(factor(0, &exponent[0]), |product, i| {
        cs.mul(&product, &factor(i, &exponent[i]))
    });
    let value = cs.mul(&scale, &mantissa);
    Float {
        packed: mantissa.add_scaled(&Num::from_bits(&exponent), unit),
        value,
    }
}
