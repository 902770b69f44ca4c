//! Field addition and subtraction without unpredictable branches.
//!
//! A random sum exceeds the modulus about half the time, so the usual comparison and branch costs
//! more than the arithmetic. Here the correction is masked instead.
//! Invariant: results are reduced and equal to the field's own operators.

use ark_bn254::{Fq, Fq2, Fr};
use ark_ff::{BigInteger, BigInteger256, Field, Fp, MontBackend, MontConfig, PrimeField};

/// Fields with branch-free addition and subtraction.
pub trait Lean: Field {
    /// `self + other`.
    fn plus(&self, other: &Self) -> Self;
    /// `self - other`.
    fn minus(&self, other: &Self) -> Self;
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
            for b in &values {
                assert_eq!((a.plus(b), a.minus(b)), (*a + b, *a - b));
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
