//! Baby Jubjub in constraints: twin of `ledger::babyjubjub`.
//!
//! Long chains of additions run on the birationally equivalent Montgomery curve
//! `v² = u³ + 168698·u² + u` (three constraints an addition, incomplete); the few additions that
//! could meet an exceptional case use the complete twisted Edwards formulas (six constraints).
//!
//! Sound because: an incomplete addition leaves its slope free only for two equal points, and has
//! no solution for opposite ones. Every caller of `Montgomery::add` says why its two points are
//! neither; where that is not a matter of integers it uses `Montgomery::add_guarded`, which
//! proves the denominator non-zero.

use std::sync::OnceLock;

use ark_ff::{BigInteger, BigInteger256, Field};
use ledger::{
    babyjubjub::{Point, Scalar},
    field::Fr,
};
use num_bigint::BigUint;

use crate::{
    compare::{enforce_at_least, enforce_at_most},
    num::{Bit, Cs, Num, bilinear},
};

/// Coefficient `a` of circomlib's twisted Edwards form.
const A: u64 = 168_700;
/// Coefficient `d` of circomlib's twisted Edwards form.
const D: u64 = 168_696;
/// Coefficient of `u²` in the Montgomery form, `2(a + d)/(a − d)`.
const MONTGOMERY_A: u64 = 168_698;
/// Three-bit windows of the fixed-base multiplication; the two top bits are added on their own.
const WINDOWS: usize = 83;
/// Bits of the challenge that steer additions; its shifted form has one more, always set.
const CHALLENGE_BITS: usize = 254;
/// The first step of the variable-base multiplication whose multiples can reach `l/2`.
const FIRST_GUARDED_STEP: usize = 248;

/// A point in circomlib's twisted Edwards coordinates.
#[derive(Clone, Debug)]
pub struct Edwards {
    /// The first coordinate of the point.
    pub x: Num,
    /// The second coordinate of the point.
    pub y: Num,
}

/// A finite point of the Montgomery form, neither the identity nor of order two.
#[derive(Clone, Debug)]
pub struct Montgomery {
    u: Num,
    v: Num,
}

impl Edwards {
    /// The complete twisted Edwards addition (Bernstein, Birkner, Joye, Lange, Peters 2008).
    ///
    /// Sound because: `a` is a square and `d` is not, so no denominator vanishes for two points on
    /// the curve.
    pub fn add(&self, cs: &Cs, other: &Self) -> Self {
        let a = Fr::from(A);
        let beta = cs.mul(&self.x, &other.y);
        let gamma = cs.mul(&self.y, &other.x);
        let delta = cs.mul(&self.y.add_scaled(&self.x, -a), &(&other.x + &other.y));
        let tau = cs.mul(&beta, &gamma).scale(Fr::from(D));
        let x = cs.quotient(&(&beta + &gamma), &(&Num::one() + &tau));
        let y_numerator = Num::linear([(&delta, Fr::ONE), (&beta, a), (&gamma, -Fr::ONE)]);
        let y = cs.quotient(&y_numerator, &(&Num::one() - &tau));
        Self { x, y }
    }

    /// To the Montgomery form: `u = (1 + y)/(1 − y)`, `v = u/x`.
    ///
    /// Sound because: callers pass points of the prime subgroup other than the identity, for which
    /// `y ≠ 1` and `x ≠ 0`.
    pub fn to_montgomery(&self, cs: &Cs) -> Montgomery {
        let one = Num::one();
        let u = cs.quotient(&(&one + &self.y), &(&one - &self.y));
        let v = cs.quotient(&u, &self.x);
        Montgomery { u, v }
    }
}

impl Montgomery {
    /// To twisted Edwards coordinates: `x = u/v`, `y = (u − 1)/(u + 1)`.
    ///
    /// Sound because: `v = 0` only at the point of order two, and `u = −1` would make
    /// `v² = 168696`, which is not a square.
    pub fn to_edwards(&self, cs: &Cs) -> Edwards {
        let one = Num::one();
        let x = cs.quotient(&self.u, &self.v);
        let y = cs.quotient(&(&self.u - &one), &(&self.u + &one));
        Edwards { x, y }
    }

    /// The tangent rule; four constraints.
    ///
    /// Sound because: `v ≠ 0` for a point of odd order.
    fn double(&self, cs: &Cs) -> Self {
        let square = cs.mul(&self.u, &self.u);
        let numerator = Num::linear([
            (&square, Fr::from(3u64)),
            (&self.u, Fr::from(2 * MONTGOMERY_A)),
            (&Num::one(), Fr::ONE),
        ]);
        let slope = cs.quotient(&numerator, &self.v.scale(Fr::from(2u64)));
        self.third_point(cs, &slope, &self.u)
    }

    /// The chord rule, for points known to be neither equal nor opposite; three constraints.
    fn add(&self, cs: &Cs, other: &Self) -> Self {
        let slope = cs.quotient(&(&other.v - &self.v), &(&other.u - &self.u));
        self.third_point(cs, &slope, &other.u)
    }

    /// The chord rule that proves its denominator non-zero; four constraints.
    fn add_guarded(&self, cs: &Cs, other: &Self) -> Self {
        enforce_unexceptional(cs, &(&other.u - &self.u));
        self.add(cs, other)
    }

    fn third_point(&self, cs: &Cs, slope: &Num, other_u: &Num) -> Self {
        let u = third_u(cs, slope, &self.u, other_u);
        let v = &cs.mul(&(&self.u - &u), slope) - &self.v;
        Self { u, v }
    }

    fn neg(&self) -> Self {
        Self {
            u: self.u.clone(),
            v: self.v.scale(-Fr::ONE),
        }
    }
}

/// Shows a chord's denominator to be non-zero.
fn enforce_unexceptional(cs: &Cs, denominator: &Num) {
    let _scope = cs.rule("step_is_not_exceptional");
    cs.enforce_nonzero(denominator);
}

/// `slope² − A − u₁ − u₂`.
fn third_u(cs: &Cs, slope: &Num, u1: &Num, u2: &Num) -> Num {
    let value = slope.value() * slope.value() - Fr::from(MONTGOMERY_A) - u1.value() - u2.value();
    let u = cs.witness(value);
    cs.enforce_with(slope, slope, || {
        Num::sum([&u, u1, u2]).plus(Fr::from(MONTGOMERY_A))
    });
    u
}

/// A scalar `s < 2^251` as the witness's digits: 83 windows of three bits as signed odd digits,
/// and the two top bits.
///
/// A window's value `m` stands for the digit `2m − 7`: a sign (set for positive) and a magnitude
/// `2u + 1` with `u = m − 4` for positive and `u = 3 − m` for negative digits.
#[derive(Clone, Debug)]
pub struct ScalarDigits {
    windows: Vec<Window>,
    top: [Bit; 2],
}

#[derive(Clone, Debug)]
struct Window {
    /// Lowest bit first.
    magnitude: [Bit; 2],
    positive: Bit,
}

impl ScalarDigits {
    /// The digits of `s`, constrained to stand for an integer below the order `l`.
    ///
    /// Sound because: a window's sign is the top bit of `m`, and its low bits are those of `u`,
    /// complemented under a negative sign. The comparison complements them where the *constant's*
    /// sign is negative: where the signs agree these are the true bits, and where they differ the
    /// order is decided by the sign and the lower bits do not matter.
    pub fn below_the_order(cs: &Cs, s: &BigInteger256) -> Self {
        let windows: Vec<Window> = (0..WINDOWS)
            .map(|j| {
                let positive = s.get_bit(3 * j + 2);
                let magnitude = [0, 1].map(|i| cs.bit(s.get_bit(3 * j + i) == positive));
                Window {
                    magnitude,
                    positive: cs.bit(positive),
                }
            })
            .collect();
        let top = [0, 1].map(|i| cs.bit(s.get_bit(3 * WINDOWS + i)));
        let largest = subgroup_order() - 1u8;
        let mut bits = Vec::with_capacity(3 * WINDOWS + 2);
        for (j, window) in windows.iter().enumerate() {
            let positive = largest.bit(3 * j as u64 + 2);
            bits.extend(
                window
                    .magnitude
                    .iter()
                    .map(|b| if positive { b.clone() } else { b.not() }),
            );
            bits.push(window.positive.clone());
        }
        bits.extend(top.iter().cloned());
        enforce_at_most(cs, &bits, &largest);
        Self { windows, top }
    }
}

/// `s·Base8`: five constraints for three bits.
///
/// Sound because: the digits are odd multiples of half the base point, so the sum of the windows
/// below `j` is `k` with `|k| < 8^j`, less than any digit `d·8^j` of window `j`, and `k ± d·8^j`
/// is a non-zero integer below `8^83 = 2^249 < l` in absolute value: no chord meets equal or
/// opposite points. The constant and the top bits are added completely.
pub fn mul_base8(cs: &Cs, scalar: &ScalarDigits) -> Edwards {
    let tables = fixed_base();
    let mut sum: Option<Montgomery> = None;
    for (window, table) in scalar.windows.iter().zip(&tables.windows) {
        let [low, high] = &window.magnitude;
        let both = cs.mul(low.num(), high.num());
        let u = bilinear(&table.map(|p| p.0), low.num(), high.num(), &both);
        let v = bilinear(&table.map(|p| p.1), low.num(), high.num(), &both);
        let sign = window.positive.num().scale(Fr::from(2u64)).plus(-Fr::ONE);
        let point = Montgomery {
            u,
            v: cs.mul(&v, &sign),
        };
        sum = Some(match sum {
            None => point,
            Some(sum) => sum.add(cs, &point),
        });
    }
    let [low, high] = &scalar.top;
    let both = cs.mul(low.num(), high.num());
    let correction = Edwards {
        x: bilinear(
            &tables.corrections.map(|p| p.x),
            low.num(),
            high.num(),
            &both,
        ),
        y: bilinear(
            &tables.corrections.map(|p| p.y),
            low.num(),
            high.num(),
            &both,
        ),
    };
    sum.expect("there are 83 windows")
        .to_edwards(cs)
        .add(cs, &correction)
}

struct FixedBase {
    /// `(2u + 1)·8^j·Base8/2` for `u` in 0..4, as Montgomery `(u, v)`.
    windows: Vec<[(Fr, Fr); 4]>,
    /// What the windows lack for each value of the two top bits.
    corrections: [Point; 4],
}

fn fixed_base() -> &'static FixedBase {
    static TABLES: OnceLock<FixedBase> = OnceLock::new();
    TABLES.get_or_init(|| {
        let half = Scalar::from(2u64)
            .inverse()
            .expect("2 is invertible modulo the odd order");
        let mut scale = half;
        let windows = (0..WINDOWS)
            .map(|_| {
                let one = Point::base8().mul(&scale);
                let two = one.double();
                let three = two.add(&one);
                let five = three.add(&two);
                let seven = five.add(&two);
                scale *= Scalar::from(8u64);
                [one, three, five, seven].map(|p| montgomery(&p))
            })
            .collect();
        // Σ (2m − 7)·8^j/2 = s_low − (8^83 − 1)/2, and 8^83 is the weight of the lower top bit.
        let top = scale * Scalar::from(2u64);
        let missing = (top - Scalar::ONE) * half;
        let corrections =
            [0u64, 1, 2, 3].map(|m| Point::base8().mul(&(missing + top * Scalar::from(m))));
        FixedBase {
            windows,
            corrections,
        }
    })
}

fn montgomery(p: &Point) -> (Fr, Fr) {
    let u = (Fr::ONE + p.y) * (Fr::ONE - p.y).inverse().expect("not the identity");
    (u, u * p.x.inverse().expect("of odd order"))
}

/// `challenge·8·key` for a key of the prime subgroup other than the identity, and the canonical
/// integer behind `challenge`.
///
/// Let `T = 4·key` and `H = challenge + 11·l`, which has 255 bits and the top one set for every
/// canonical challenge. Its lower bits, as digits ±1, give `(2H + 1)·T = challenge·8·key + T` by
/// 254 steps `R ← 2R ± T = (R ± T) + R` from `R = 3T`, six constraints each.
///
/// Sound because: before step `j`, `R = k·T` with `3 ≤ k < 2^(j+2)`. The two chords of a step are
/// exceptional only when `k ≡ ±1` or `2k ± 1 ≡ 0` modulo `l`; up to step 247 these are integers
/// strictly between 0 and `l`, and from step 248 on the denominators are proven non-zero.
///
/// Not complete: for the 63 challenges (of `r`) under which some multiple from step 248 on is 0, 1
/// or −1 modulo `l`, multiples of `l` among them, no witness exists. The challenge is a hash, so
/// nobody can aim at them; `tests/twins.rs` lists them.
pub fn mul_by_challenge(cs: &Cs, key: &Edwards, challenge: &Num) -> Montgomery {
    let bits = shifted_challenge_bits(cs, challenge);
    let t = key.to_montgomery(cs).double(cs).double(cs);
    let mut r = t.double(cs).add(cs, &t);
    for (step, bit) in bits.iter().rev().enumerate() {
        let sign = bit.num().scale(Fr::from(2u64)).plus(-Fr::ONE);
        let signed_v = cs.mul(&t.v, &sign);
        if step >= FIRST_GUARDED_STEP {
            enforce_unexceptional(cs, &(&t.u - &r.u));
        }
        let first = cs.quotient(&(&signed_v - &r.v), &(&t.u - &r.u));
        let middle_u = third_u(cs, &first, &r.u, &t.u);
        let gap = &r.u - &middle_u;
        if step >= FIRST_GUARDED_STEP {
            enforce_unexceptional(cs, &gap);
        }
        // The slope of the second chord is 2v/gap − first; no ordinate of the middle point.
        let total = cs.quotient(&r.v.scale(Fr::from(2u64)), &gap);
        let second = &total - &first;
        r = r.third_point(cs, &second, &middle_u);
    }
    r.add_guarded(cs, &t.neg())
}

/// The 254 bits (lowest first) of `challenge + 11·l − 2^254`, for the canonical challenge.
///
/// Sound because: the integer is held within `[11l − 2^254, 11l − 2^254 + r)`, exactly `r`
/// consecutive integers, of which one is congruent to the challenge modulo `r`.
fn shifted_challenge_bits(cs: &Cs, challenge: &Num) -> Vec<Bit> {
    let _scope = cs.rule("challenge_is_canonical");
    let lowest = BigUint::from(11u8) * subgroup_order() - (BigUint::from(1u8) << CHALLENGE_BITS);
    let highest = &lowest + field_order() - 1u8;
    let shifted = BigUint::from(challenge.value()) + &lowest;
    cs.named("challenge");
    let bits: Vec<Bit> = (0..CHALLENGE_BITS)
        .map(|i| cs.bit(shifted.bit(i as u64)))
        .collect();
    cs.enforce_equal(
        &Num::from_bits(&bits),
        &challenge.plus(Fr::from(lowest.clone())),
    );
    enforce_at_least(cs, &bits, &lowest);
    enforce_at_most(cs, &bits, &highest);
    bits
}

/// The order `l` of the prime subgroup.
pub fn subgroup_order() -> BigUint {
    use ark_ff::PrimeField;
    BigUint::from(Scalar::MODULUS)
}

fn field_order() -> BigUint {
    use ark_ff::PrimeField;
    BigUint::from(Fr::MODULUS)
}

impl Montgomery {
    /// Twisted Edwards coordinates of the negative.
    pub fn negated_edwards(&self, cs: &Cs) -> Edwards {
        self.neg().to_edwards(cs)
    }
}
