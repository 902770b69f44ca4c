//! Scalars to signed digits.
//!
//! A scalar above `(r-1)/2` is replaced by its negative, and the base's sign by the other. A short
//! scalar, with fewer bits than a window, has only a lowest digit; scalars 0 disappear.
//!
//! Digits are signed without a carry chain: `2^(c-1)` is added at every window but the highest, and a
//! digit is the window's bits less `2^(c-1)`. The highest window stays unsigned. Sound because a
//! scalar is below `2^253`, so with all that is added it is below `2^254` and its highest digit at
//! most `2^(c-1)`.
//!
//! Invariant: `Σ (digit_w - middle_w)·2^(cw)` with the sign is the scalar.

use ark_bn254::Fr;
use ark_ff::{BigInteger, BigInteger256, PrimeField, Zero};
use zeroize::Zeroize;

/// Bits of a scalar, at most, once it is negated where that is shorter and recoded.
pub(crate) const SCALAR_BITS: usize = 254;
/// Sign of a base in its reference.
pub(crate) const NEGATIVE: u32 = 1 << 30;
/// Widths of a window.
const WIDTHS: std::ops::RangeInclusive<usize> = 6..=16;
/// Scalars that are looked at to choose the width.
const SAMPLES: usize = 1024;

/// The digits of up to 2^29 scalars.
pub(crate) struct Recoded {
    /// Number of the base and sign, for scalars with more than one digit.
    references: Vec<u32>,
    /// Column by column: digits of window 0, then of window 1, …
    digits: Vec<u16>,
    short_references: Vec<u32>,
    short_digits: Vec<u16>,
}

impl Recoded {
    /// Overwrites everything.
    pub(crate) fn wipe(&mut self) {
        self.references.zeroize();
        self.digits.zeroize();
        self.short_references.zeroize();
        self.short_digits.zeroize();
    }

    /// References and digits, as stored, of the long scalars in a window.
    pub(crate) fn long(&self, window: usize) -> (&[u32], &[u16]) {
        let count = self.references.len();
        (
            &self.references,
            &self.digits[window * count..(window + 1) * count],
        )
    }

    /// The same of the short ones, in window 0.
    pub(crate) fn short(&self) -> (&[u32], &[u16]) {
        (&self.short_references, &self.short_digits)
    }
}

/// The scalar or its negative, whichever is shorter, and [`NEGATIVE`] or 0.
fn shorter(scalar: Fr) -> (BigInteger256, u32) {
    let plain = scalar.into_bigint();
    if plain <= Fr::MODULUS_MINUS_ONE_DIV_TWO {
        return (plain, 0);
    }
    let mut negated = Fr::MODULUS;
    negated.sub_with_borrow(&plain);
    (negated, NEGATIVE)
}

/// Digits of scalars for windows of `width` bits, `6 ≤ width ≤ 16`.
pub(crate) fn recode(scalars: impl ExactSizeIterator<Item = Fr>, width: usize) -> Recoded {
    let count = scalars.len();
    let mut long = Vec::with_capacity(count);
    let mut out = Recoded {
        references: Vec::with_capacity(count),
        digits: Vec::new(),
        short_references: Vec::new(),
        short_digits: Vec::new(),
    };
    let middle = 1u64 << (width - 1);
    for (scalar, number) in scalars.zip(0u32..) {
        if scalar.is_zero() {
            continue;
        }
        let (value, sign) = shorter(scalar);
        if (value.num_bits() as usize) < width {
            out.short_references.push(number | sign);
            out.short_digits.push(low_bits(value.0[0] + middle));
        } else {
            out.references.push(number | sign);
            long.push(value);
        }
    }
    out.digits = columns(&mut long, width);
    long.zeroize();
    out
}

fn low_bits(value: u64) -> u16 {
    u16::try_from(value & 0xffff).expect("16 bits")
}

/// The digits of all windows, column by column.
fn columns(values: &mut [BigInteger256], width: usize) -> Vec<u16> {
    let windows = SCALAR_BITS.div_ceil(width);
    let mut middles = BigInteger256::zero();
    for window in 0..windows - 1 {
        let bit = window * width + width - 1;
        middles.0[bit / 64] |= 1 << (bit % 64);
    }
    for value in values.iter_mut() {
        value.add_with_carry(&middles);
    }
    let mask = (1u64 << width) - 1;
    let mut digits = Vec::with_capacity(windows * values.len());
    for window in 0..windows {
        let (limb, shift) = (window * width / 64, window * width % 64);
        let crossing = shift + width > 64 && limb < 3;
        digits.extend(values.iter().map(|value| {
            let high = if crossing {
                value.0[limb + 1] << 1 << (63 - shift)
            } else {
                0
            };
            low_bits((value.0[limb] >> shift | high) & mask)
        }));
    }
    digits
}

/// The width with the least work for the scalars, where summing a bucket up costs `per_bucket`
/// additions of a point.
pub(crate) fn window_width(count: usize, scalar: &impl Fn(usize) -> Fr, per_bucket: f64) -> usize {
    let step = count.div_ceil(SAMPLES).max(1);
    let sampled = (0..count).step_by(step);
    let long = |i: &usize| shorter(scalar(*i)).0.num_bits() as usize >= *WIDTHS.start();
    let terms = (sampled.filter(long).count() * step).max(1);
    let work = |width: usize| {
        let windows = SCALAR_BITS.div_ceil(width);
        let buckets = 1u32 << (width - 1);
        let terms = f64::from(u32::try_from(terms).unwrap_or(u32::MAX));
        let windows = f64::from(u32::try_from(windows).unwrap_or(u32::MAX));
        windows * (terms + per_bucket * f64::from(buckets))
    };
    WIDTHS
        .min_by(|a, b| work(*a).total_cmp(&work(*b)))
        .expect("the range is not empty")
}
