//! Inverses in prime fields, by division steps.
//!
//! A division step takes a pair `(f, g)`, `f` odd, to a pair with the same greatest common divisor, and
//! looks at no more than the lowest bit of `g` to choose how. So 62 steps depend on the lowest 62 bits
//! alone: they are done on words, which gives a matrix with entries of at most 2^62, and the matrix is then
//! applied to `(f, g)`, divided by 2^62, and to `(d, e)` modulo `p`, where `f = d·x` and `g = e·x` up to a
//! constant. Once `g` is zero, `f` is 1 or -1. Several steps with the same choice are done at once.
//!
//! Bernstein and Yang, "Fast constant-time gcd computation and modular inversion" (ePrint 2019/266), with
//! the starting value and the grouping of steps of libsecp256k1 (`doc/safegcd_implementation.md`, by
//! Peter Dettman and Pieter Wuille).
//!
//! Invariant: equals the field's own inverse. Running time depends on the element, as it does with
//! `ark-ff`; elements whose inverse is secret are not inverted here.

use ark_ff::{BigInteger256, Fp, MontBackend, MontConfig};

/// An element of the prime field `T`.
type Element<T> = Fp<MontBackend<T, 4>, 4>;

/// Steps between two looks at whole numbers, and bits of a limb.
const STEPS: u32 = 62;
const MASK: u64 = (1 << STEPS) - 1;

/// A number in radix 2^62, all limbs but the highest in `[0, 2^62)`.
type Signed = [i64; 5];

/// What [`STEPS`] steps do: `2^62·(f, g) ← (f·u + g·v, f·q + g·r)`.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// A prime field's constants.
trait Prime: MontConfig<4> {
    const P: Signed = signed(Self::MODULUS.0);
    /// `R²` with Montgomery's `R`: the inverse of `x·R` times this is `x⁻¹·R`.
    const START: Signed = signed(Self::R2.0);
    /// `p⁻¹ mod 2^62`.
    const INVERSE: u64 = Self::INV.wrapping_neg() & MASK;
}

impl<T: MontConfig<4>> Prime for T {}

/// The inverse, or `None` of zero.
pub(crate) fn inverse<T: MontConfig<4>>(element: &Element<T>) -> Option<Element<T>> {
    if element.0.0 == [0; 4] {
        return None;
    }
    let (mut f, mut g) = (T::P, signed(element.0.0));
    let (mut d, mut e) = ([0; 5], T::START);
    let mut eta = -1;
    let mut length = 5;
    while g[..length].iter().any(|limb| *limb != 0) {
        let steps;
        (eta, steps) = divide(eta, f[0].cast_unsigned(), g[0].cast_unsigned());
        update_modulo::<T>(&mut d, &mut e, &steps);
        update(&mut f[..length], &mut g[..length], &steps);
        // A highest limb that is but the sign is joined with the one below.
        let (top_f, top_g) = (f[length - 1], g[length - 1]);
        if length > 1 && matches!(top_f, 0 | -1) && matches!(top_g, 0 | -1) {
            f[length - 2] |= top_f << STEPS;
            g[length - 2] |= top_g << STEPS;
            length -= 1;
        }
    }
    let limbs = unsigned(reduced::<T>(d, f[length - 1] < 0));
    Some(Element::<T>::new_unchecked(BigInteger256::new(limbs)))
}

/// [`STEPS`] steps on the lowest bits of `f` and `g`; `eta` counts how much longer `g` is than `f`.
#[inline]
fn divide(mut eta: i64, mut f: u64, mut g: u64) -> (i64, Steps) {
    let (mut u, mut v, mut q, mut r) = (1u64, 0u64, 0u64, 1u64);
    let mut left = STEPS;
    loop {
        // Halve `g` while it is even.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        // A multiple of `f` that clears as many low bits of `g` as steps would before the next swap.
        let swap = eta < 0;
        if swap {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        let limit = u32::try_from(eta + 1).map_or(left, |limit| limit.min(left));
        let bits = u64::MAX >> (64 - limit);
        let factor = if swap {
            // `f(f² - 2)` is `-1/f` modulo 2^6.
            let minus_inverse = f.wrapping_mul(f.wrapping_mul(f).wrapping_sub(2));
            g.wrapping_mul(minus_inverse) & bits & 63
        } else {
            // After no swap fewer bits are usual: `1/f` modulo 2^4.
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            inverse.wrapping_neg().wrapping_mul(g) & bits & 15
        };
        g = g.wrapping_add(f.wrapping_mul(factor));
        q = q.wrapping_add(u.wrapping_mul(factor));
        r = r.wrapping_add(v.wrapping_mul(factor));
    }
    let [u, v, q, r] = [u, v, q, r].map(u64::cast_signed);
    (eta, Steps { u, v, q, r })
}

fn product(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// The lowest 62 bits, and the rest carried on.
#[inline(always)]
fn carry(sum: &mut i128) -> i64 {
    let limb = low(*sum) & MASK;
    *sum >>= STEPS;
    limb.cast_signed()
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the lowest 64 bits are meant"
)]
fn low(sum: i128) -> u64 {
    sum as u64
}

#[allow(clippy::cast_possible_truncation, reason = "what is left fits a limb")]
fn last(sum: i128) -> i64 {
    sum as i64
}

/// Applies steps to `f` and `g`; the lowest 62 bits of both come out zero and are dropped.
#[inline]
fn update(f: &mut [i64], g: &mut [i64], steps: &Steps) {
    let Steps { u, v, q, r } = *steps;
    let (mut sum_f, mut sum_g) = (0, 0);
    for i in 0..f.len() {
        sum_f += product(u, f[i]) + product(v, g[i]);
        sum_g += product(q, f[i]) + product(r, g[i]);
        let (limb_f, limb_g) = (carry(&mut sum_f), carry(&mut sum_g));
        if i > 0 {
            (f[i - 1], g[i - 1]) = (limb_f, limb_g);
        }
    }
    if let (Some(f), Some(g)) = (f.last_mut(), g.last_mut()) {
        (*f, *g) = (last(sum_f), last(sum_g));
    }
}

/// Applies steps to `d` and `e` modulo `p`: `(-2p, p)` to the same.
///
/// A multiple of `p` makes the lowest 62 bits zero; another is added first for negative numbers.
#[inline]
fn update_modulo<T: Prime>(d: &mut Signed, e: &mut Signed, steps: &Steps) {
    let Steps { u, v, q, r } = *steps;
    let (sign_d, sign_e) = (d[4] >> 63, e[4] >> 63);
    let multiple = |a: i64, b: i64| {
        let start = (a & sign_d) + (b & sign_e);
        let lowest = low(product(a, d[0]) + product(b, e[0]));
        let excess = T::INVERSE
            .wrapping_mul(lowest)
            .wrapping_add(start.cast_unsigned());
        start - (excess & MASK).cast_signed()
    };
    let (times_d, times_e) = (multiple(u, v), multiple(q, r));
    let (mut sum_d, mut sum_e) = (0, 0);
    for i in 0..5 {
        sum_d += product(u, d[i]) + product(v, e[i]) + product(T::P[i], times_d);
        sum_e += product(q, d[i]) + product(r, e[i]) + product(T::P[i], times_e);
        let (limb_d, limb_e) = (carry(&mut sum_d), carry(&mut sum_e));
        if i > 0 {
            (d[i - 1], e[i - 1]) = (limb_d, limb_e);
        }
    }
    (d[4], e[4]) = (last(sum_d), last(sum_e));
}

/// A number in `(-2p, p)`, or its negative, modulo `p`.
fn reduced<T: Prime>(mut number: Signed, negate: bool) -> Signed {
    let raise = |number: &mut Signed| {
        if number[4] < 0 {
            for (limb, p) in number.iter_mut().zip(T::P) {
                *limb += p;
            }
        }
    };
    let settle = |number: &mut Signed| {
        for i in 0..4 {
            number[i + 1] += number[i] >> STEPS;
            number[i] &= MASK.cast_signed();
        }
    };
    raise(&mut number);
    if negate {
        number = number.map(|limb| -limb);
    }
    settle(&mut number);
    raise(&mut number);
    settle(&mut number);
    number
}

const fn signed(limbs: [u64; 4]) -> Signed {
    let [a, b, c, d] = limbs;
    [
        (a & MASK).cast_signed(),
        ((a >> 62 | b << 2) & MASK).cast_signed(),
        ((b >> 60 | c << 4) & MASK).cast_signed(),
        ((c >> 58 | d << 6) & MASK).cast_signed(),
        (d >> 56).cast_signed(),
    ]
}

fn unsigned(number: Signed) -> [u64; 4] {
    let [a, b, c, d, e] = number.map(i64::cast_unsigned);
    [
        a | b << 62,
        b >> 2 | c << 60,
        c >> 4 | d << 58,
        d >> 6 | e << 56,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{FqConfig, FrConfig};
    use ark_ff::{AdditiveGroup, BigInteger, Field, UniformRand};
    use rand::{SeedableRng, rngs::StdRng};

    fn check<T: MontConfig<4>>(element: Element<T>) {
        assert_eq!(inverse(&element), element.inverse(), "{element}");
    }

    fn edges<T: MontConfig<4>>() {
        let one = Element::<T>::ONE;
        let mut values = vec![Element::<T>::ZERO, one, one.double()];
        // Powers of two and their neighbours, as numbers and as they are stored.
        let mut power = one;
        for bit in 0..256u32 {
            values.extend([power, power - one, power + one]);
            power.double_in_place();
            let mut limbs = [0u64; 4];
            limbs[(bit / 64) as usize] = 1 << (bit % 64);
            let power = BigInteger256::new(limbs);
            let (mut below, mut from_top) = (power, T::MODULUS);
            below.sub_with_borrow(&1u64.into());
            from_top.sub_with_borrow(&power);
            for number in [power, below, from_top] {
                if number < T::MODULUS {
                    values.push(Element::<T>::new_unchecked(number));
                }
            }
        }
        for number in 0..200u64 {
            values.push(Element::<T>::from(number));
            values.push(Element::<T>::new_unchecked(number.into()));
        }
        values.push(one.double().inverse().unwrap_or(one));
        for value in values {
            check(value);
            check(-value);
        }
    }

    #[test]
    fn edges_equal_arkworks() {
        edges::<FqConfig>();
        edges::<FrConfig>();
    }

    #[test]
    fn random_elements_equal_arkworks() {
        let mut rng = StdRng::seed_from_u64(7);
        for _ in 0..20_000 {
            check(Element::<FqConfig>::rand(&mut rng));
            check(Element::<FrConfig>::rand(&mut rng));
        }
    }

    /// Inverses as inputs: what comes out after few steps went in after many.
    #[test]
    fn an_inverse_of_an_inverse_is_the_element() {
        let mut element = Element::<FqConfig>::from(3u64);
        for _ in 0..2_000 {
            let there = inverse(&element).expect("not zero");
            assert_eq!(inverse(&there), Some(element));
            element = element.square() + there;
        }
    }
}
