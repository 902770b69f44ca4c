//! Short decimal floats of signed amounts (float40) and fees (float16).
//!
//! A float is `exponent ‖ mantissa`, the exponent in the 5 high bits, and stands for
//! `mantissa · 10^exponent`. Invariant: the bits above the packed width are zero. Every bit pattern
//! of the width is legal and one value can have several spellings, since a signature covers the
//! spelling; [`Float::round_down`] makes the canonical one, of the smallest exponent. Values reach
//! above 2^128; that they stay below where money moves is the rule of the operations, not kept here.

use num_bigint::BigUint;

/// Bits of the exponent in every float.
pub const EXPONENT_BITS: u32 = 5;
/// The largest exponent, 31.
pub const MAX_EXPONENT: u32 = (1 << EXPONENT_BITS) - 1;

/// A decimal float of 5 exponent bits above `MANTISSA_BITS` (at most 59) mantissa bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Float<const MANTISSA_BITS: u32>(u64);

/// Amounts: 5 + 35 bits, values up to (2^35 − 1)·10^31.
pub type Float40 = Float<35>;
/// Fees: 5 + 11 bits, values up to (2^11 − 1)·10^31.
pub type Float16 = Float<11>;

/// Why an integer or a pair is not a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FloatError {
    /// The packed integer has bits above the float's width.
    #[error("packed float does not fit: expected below 2^{bits}, got {got}")]
    Packed {
        /// Bits of the float.
        bits: u32,
        /// The integer that was given.
        got: u64,
    },
    /// The mantissa is too large.
    #[error("mantissa does not fit: expected at most {most}, got {got}")]
    Mantissa {
        /// The largest mantissa of this kind of float.
        most: u64,
        /// The mantissa that was given.
        got: u64,
    },
    /// The exponent is too large.
    #[error("exponent does not fit: expected at most {MAX_EXPONENT}, got {got}")]
    Exponent {
        /// The exponent that was given.
        got: u32,
    },
}

impl<const MANTISSA_BITS: u32> Float<MANTISSA_BITS> {
    /// Bits of the packed form.
    pub const BITS: u32 = EXPONENT_BITS + MANTISSA_BITS;
    /// The largest mantissa, `2^MANTISSA_BITS − 1`.
    pub const MAX_MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;

    /// Reads the packed form.
    ///
    /// # Errors
    /// [`FloatError::Packed`] when a bit above [`Self::BITS`] is set.
    pub fn from_packed(packed: u64) -> Result<Self, FloatError> {
        if packed >> Self::BITS != 0 {
            return Err(FloatError::Packed {
                bits: Self::BITS,
                got: packed,
            });
        }
        Ok(Self(packed))
    }

    /// The spelling with this exponent (at most [`MAX_EXPONENT`]) and this mantissa (at most
    /// [`Self::MAX_MANTISSA`]).
    ///
    /// # Errors
    /// [`FloatError::Exponent`] or [`FloatError::Mantissa`] for the one that is too large.
    pub fn from_parts(exponent: u32, mantissa: u64) -> Result<Self, FloatError> {
        if exponent > MAX_EXPONENT {
            return Err(FloatError::Exponent { got: exponent });
        }
        if mantissa > Self::MAX_MANTISSA {
            return Err(FloatError::Mantissa {
                most: Self::MAX_MANTISSA,
                got: mantissa,
            });
        }
        Ok(Self(u64::from(exponent) << MANTISSA_BITS | mantissa))
    }

    /// The packed form, below `2^BITS`.
    #[must_use]
    pub fn packed(self) -> u64 {
        self.0
    }

    /// The mantissa, at most [`Self::MAX_MANTISSA`].
    #[must_use]
    pub fn mantissa(self) -> u64 {
        self.0 & Self::MAX_MANTISSA
    }

    /// The decimal exponent, at most [`MAX_EXPONENT`].
    #[must_use]
    pub fn exponent(self) -> u32 {
        u32::try_from(self.0 >> MANTISSA_BITS).expect("the exponent has five bits")
    }

    /// The value `mantissa · 10^exponent`, below 2^139 for float40 and 2^114 for float16.
    #[must_use]
    pub fn value(self) -> BigUint {
        BigUint::from(self.mantissa()) * BigUint::from(power_of_ten(self.exponent()))
    }

    /// The value when it is below 2^128.
    #[must_use]
    pub fn value_u128(self) -> Option<u128> {
        u128::from(self.mantissa()).checked_mul(power_of_ten(self.exponent()))
    }

    /// The largest representable value that is at most `value`, in the spelling of the smallest
    /// exponent (zero is exponent 0).
    #[must_use]
    pub fn round_down(value: u128) -> Self {
        let most = u128::from(Self::MAX_MANTISSA);
        let Some(exponent) = (0..=MAX_EXPONENT).find(|&e| value / power_of_ten(e) <= most) else {
            return Self::assemble(MAX_EXPONENT, most);
        };
        let mantissa = value / power_of_ten(exponent);
        // Why: just above a full mantissa, the full mantissa of the exponent below is closer than
        // what is left after dropping a digit (2049 as float16 is 2047, not 204·10).
        if exponent > 0 && mantissa * 10 < most {
            return Self::assemble(exponent - 1, most);
        }
        Self::assemble(exponent, mantissa)
    }

    /// The canonical spelling of `value`, or nothing when no float has that value.
    #[must_use]
    pub fn exact(value: u128) -> Option<Self> {
        let float = Self::round_down(value);
        (float.value_u128() == Some(value)).then_some(float)
    }

    /// A spelling whose parts are known to fit.
    fn assemble(exponent: u32, mantissa: u128) -> Self {
        let mantissa = u64::try_from(mantissa).expect("the caller keeps it to MANTISSA_BITS");
        Self::from_parts(exponent, mantissa).expect("the caller keeps both parts in range")
    }
}

/// `10^exponent` for an exponent of five bits: at most 10^31, below 2^103.
fn power_of_ten(exponent: u32) -> u128 {
    10_u128.pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The largest value at most `value` over every spelling's exponent, and its smallest exponent.
    fn round_down_by_search<const M: u32>(value: u128) -> (u128, u32) {
        (0..=MAX_EXPONENT)
            .map(|e| {
                let scale = power_of_ten(e);
                let mantissa = (value / scale).min(u128::from(Float::<M>::MAX_MANTISSA));
                (mantissa * scale, e)
            })
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
            .unwrap()
    }

    fn rounds_down<const M: u32>(value: u128) {
        let float = Float::<M>::round_down(value);
        let got = (float.value_u128().unwrap(), float.exponent());
        assert_eq!(got, round_down_by_search::<M>(value), "{value} in {M} bits");
        assert_eq!(Float::<M>::exact(value).is_some(), got.0 == value);
        assert_eq!(Float::<M>::exact(got.0), Some(float));
    }

    #[test]
    fn round_down_is_largest_below_at_the_edges() {
        let scales = (0..=38).map(power_of_ten);
        let mut edges: Vec<u128> = vec![0, u128::MAX, u128::MAX - 1];
        for scale in scales {
            for full in [(1_u128 << 35) - 1, (1 << 11) - 1, 1, 1 << 11, 1 << 35] {
                let edge = full.saturating_mul(scale);
                edges.extend((0..3).map(|d| edge.saturating_add(d * scale)));
                edges.extend((0..30).map(|d| edge.saturating_add(d)));
                edges.extend((1..30).map(|d| edge.saturating_sub(d)));
            }
        }
        for value in edges {
            rounds_down::<35>(value);
            rounds_down::<11>(value);
        }
        assert_eq!(Float16::round_down(2049).value_u128(), Some(2047));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert_eq!(
            Float16::from_packed(1 << 16),
            Err(FloatError::Packed {
                bits: 16,
                got: 1 << 16
            })
        );
        assert!(Float40::from_packed(1 << 40).is_err());
        assert!(Float40::from_packed(u64::MAX).is_err());
        assert_eq!(
            Float40::from_parts(32, 0),
            Err(FloatError::Exponent { got: 32 })
        );
        let mantissa = FloatError::Mantissa {
            most: 2047,
            got: 2048,
        };
        assert_eq!(Float16::from_parts(0, 2048), Err(mantissa));
    }

    #[test]
    fn large_values_are_decoded_beyond_128_bits() {
        let largest = Float40::from_packed((1 << 40) - 1).unwrap();
        assert_eq!(largest.value_u128(), None);
        assert_eq!(
            largest.value().to_string(),
            "343597383670000000000000000000000000000000"
        );
    }

    proptest! {
        #[test]
        fn packing_round_trips(packed in 0_u64..1 << 40) {
            let float = Float40::from_packed(packed).unwrap();
            prop_assert_eq!(float.packed(), packed);
            prop_assert_eq!(Float40::from_parts(float.exponent(), float.mantissa()), Ok(float));
            match float.value_u128() {
                Some(value) => prop_assert_eq!(float.value(), BigUint::from(value)),
                None => prop_assert!(float.value().bits() > 128),
            }
        }

        #[test]
        fn round_down_is_largest_below(value: u128, shift in 0_u32..128) {
            rounds_down::<35>(value >> shift);
            rounds_down::<11>(value >> shift);
        }
    }
}
