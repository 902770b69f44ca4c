//! Field arithmetic for inner loops: without unpredictable branches, and inlined.
//!
//! A random sum exceeds the modulus about half the time, so the usual comparison and branch costs
//! more than the arithmetic. Here the correction is masked instead. A product that is inlined is
//! compiled for the instructions of its caller.
//! Invariant: results are reduced and equal to the field's own operators.

use ark_bn254::{Fq, Fq2, Fr};
use ark_ff::{
    AdditiveGroup, BigInteger, BigInteger256, Field, Fp, MontBackend, MontConfig, PrimeField,
};

use crate::inverse::inverse;

/// Fields with branch-free arithmetic.
pub trait Lean: Field {
    /// `self + other`.
    fn plus(&self, other: &Self) -> Self;
    /// `self - other`.
    fn minus(&self, other: &Self) -> Self;
    /// `self · other`.
    fn times(&self, other: &Self) -> Self;
    /// `self²`.
    fn squared(&self) -> Self;
    /// `1/self`, or `None` of zero.
    fn inverted(&self) -> Option<Self>;
}

/// Montgomery's product by operand scanning, a limb of `b` at a time, without a last carry because
/// the moduli leave two bits free.
#[inline(always)]
fn times<T: MontConfig<4>>(a: &BigInteger256, b: &BigInteger256) -> Fp<MontBackend<T, 4>, 4> {
    let modulus = <Fp<MontBackend<T, 4>, 4> as PrimeField>::MODULUS.0;
    let mut sum = [0u64; 4];
    for &digit in &b.0 {
        let (low, mut carry) = a.0[0].carrying_mul_add(digit, sum[0], 0);
        let factor = low.wrapping_mul(T::INV);
        let (_zero, mut back) = factor.carrying_mul_add(modulus[0], low, 0);
        for i in 1..4 {
            let (limb, next) = a.0[i].carrying_mul_add(digit, sum[i], carry);
            carry = next;
            let (limb, next) = factor.carrying_mul_add(modulus[i], limb, back);
            back = next;
            sum[i - 1] = limb;
        }
        sum[3] = carry + back;
    }
    let mut sum = BigInteger256::new(sum);
    let below = sum.sub_with_borrow(&modulus_if::<T>(true));
    let _back = sum.add_with_carry(&modulus_if::<T>(below));
    Fp::new_unchecked(sum)
}

/// `limb & mask` for each limb of the modulus; the mask is all ones if `keep`.
#[inline(always)]
fn modulus_if<T: MontConfig<4>>(keep: bool) -> BigInteger256 {
    let mask = u64::from(keep).wrapping_neg();
    let modulus = <Fp<MontBackend<T, 4>, 4> as PrimeField>::MODULUS.0;
    BigInteger256::new(modulus.map(|limb| limb & mask))
}

#[inline(always)]
fn plus<T: MontConfig<4>>(a: &BigInteger256, b: &BigInteger256) -> Fp<MontBackend<T, 4>, 4> {
    let mut sum = *a;
    // Sound because both moduli are below 2^254: the sum fits.
    let _carry = sum.add_with_carry(b);
    let below = sum.sub_with_borrow(&modulus_if::<T>(true));
    let _back = sum.add_with_carry(&modulus_if::<T>(below));
    Fp::new_unchecked(sum)
}

#[inline(always)]
fn minus<T: MontConfig<4>>(a: &BigInteger256, b: &BigInteger256) -> Fp<MontBackend<T, 4>, 4> {
    let mut difference = *a;
    let below = difference.sub_with_borrow(b);
    let _back = difference.add_with_carry(&modulus_if::<T>(below));
    Fp::new_unchecked(difference)
}

macro_rules! lean_prime_field {
    ($field:ty) => {
        impl Lean for $field {
            #[inline(always)]
            fn plus(&self, other: &Self) -> Self {
                plus(&self.0, &other.0)
            }

            #[inline(always)]
            fn minus(&self, other: &Self) -> Self {
                minus(&self.0, &other.0)
            }

            #[inline(always)]
            fn times(&self, other: &Self) -> Self {
                times(&self.0, &other.0)
            }

            #[inline(always)]
            fn squared(&self) -> Self {
                times(&self.0, &self.0)
            }

            fn inverted(&self) -> Option<Self> {
                inverse(self)
            }
        }
    };
}

lean_prime_field!(Fq);
lean_prime_field!(Fr);

impl Lean for Fq2 {
    #[inline(always)]
    fn plus(&self, other: &Self) -> Self {
        Fq2::new(self.c0.plus(&other.c0), self.c1.plus(&other.c1))
    }

    #[inline(always)]
    fn minus(&self, other: &Self) -> Self {
        Fq2::new(self.c0.minus(&other.c0), self.c1.minus(&other.c1))
    }

    #[inline(always)]
    fn times(&self, other: &Self) -> Self {
        // i² = -1 (Karatsuba).
        let low = self.c0.times(&other.c0);
        let high = self.c1.times(&other.c1);
        let all = self.c0.plus(&self.c1).times(&other.c0.plus(&other.c1));
        Fq2::new(low.minus(&high), all.minus(&low).minus(&high))
    }

    #[inline(always)]
    fn squared(&self) -> Self {
        let product = self.c0.times(&self.c1);
        let real = self.c0.plus(&self.c1).times(&self.c0.minus(&self.c1));
        Fq2::new(real, product.plus(&product))
    }

    fn inverted(&self) -> Option<Self> {
        // The conjugate over the norm, which is zero for zero alone.
        let norm = self.c0.squared().plus(&self.c1.squared());
        let inverse = norm.inverted()?;
        let other = Fq::ZERO.minus(&self.c1);
        Some(Fq2::new(self.c0.times(&inverse), other.times(&inverse)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::UniformRand;
    use rand::{SeedableRng, rngs::StdRng};

    fn check<F: Lean + UniformRand>() {
        let mut rng = StdRng::seed_from_u64(6);
        let mut values = vec![
            F::ZERO,
            F::ONE,
            -F::ONE,
            F::ONE + F::ONE,
            -(F::ONE + F::ONE),
        ];
        values.extend((0..40).map(|_| F::rand(&mut rng)));
        for a in &values {
            assert_eq!(a.inverted(), a.inverse());
            for b in &values {
                assert_eq!((a.plus(b), a.minus(b)), (*a + b, *a - b));
                assert_eq!((a.times(b), a.squared()), (*a * b, a.square()));
            }
        }
    }

    #[test]
    fn equals_the_fields_own_operators() {
        check::<Fq>();
        check::<Fr>();
        check::<Fq2>();
    }
}
