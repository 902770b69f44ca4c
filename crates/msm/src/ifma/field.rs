//! Eight elements of a prime field at a time.
//!
//! **Layout.** A [`V`] has five vectors of eight 64-bit lanes. Lane `j` of vector `i` is limb `i`, in
//! radix 2^52, of element `j`. An element `x` is stored as `x·2^260 mod p` (Montgomery form), not
//! always fully reduced. In memory elements are packed to four limbs of 64 bits.
//!
//! **Three kinds of limbs.** *Normal*: every limb is below 2^52 and the value is not negative; the
//! multiplier reads only 52 bits, so its operands must be normal. *Raw*: limbs are signed 64-bit
//! numbers of less than 2^57 in magnitude, the value may be negative; sums and differences of normal
//! values are raw. [`normal`] carries raw limbs through, for values that are not negative.
//! *Canonical*: normal and below `p`.
//!
//! **Ranges.** 2^260 is more than 84 p, so products of values of several p come out below 1.5 p
//! without a final subtraction: for operands below `αp` and `βp` the result is below
//! `(αβ/84 + 1)p`. Stored values lie in `[0, 3.5p)`, which fits 256 bits. [`settle`] brings a raw sum
//! of a few values back there.
//!
//! Invariant: each function states the ranges it takes and gives.

use std::arch::x86_64::*;

use ark_bn254::FqConfig;
use ark_ff::MontConfig;

#[cfg(test)]
pub(crate) use crate::packed::Element;
use crate::packed::subtract;
pub(crate) use crate::packed::{pack_one, unpack_one};

/// Mask of a limb.
const MASK: u64 = (1 << 52) - 1;
/// `r_4` of a raw value differs from the value's own top limb by less than this.
const BLUR: i64 = 64;

/// Five limbs of 52 bits.
pub(crate) type Limbs = [u64; 5];

/// Constants of a prime field whose modulus has 254 bits.
pub(crate) trait Modulus: MontConfig<4> {
    /// The modulus times 1, 2, 3 and 4.
    const P: [Limbs; 5] = {
        let p = split(Self::MODULUS.0);
        [[0; 5], p, times(p, 2), times(p, 3), times(p, 4)]
    };
    /// `-p⁻¹ mod 2^52`.
    const NEGATIVE_INVERSE: u64 = Self::INV & MASK;
}

impl<T: MontConfig<4>> Modulus for T {}

/// Four limbs of 64 bits as five of 52.
pub(crate) const fn split(w: [u64; 4]) -> Limbs {
    [
        w[0] & MASK,
        (w[0] >> 52 | w[1] << 12) & MASK,
        (w[1] >> 40 | w[2] << 24) & MASK,
        (w[2] >> 28 | w[3] << 36) & MASK,
        w[3] >> 16,
    ]
}

const fn times(limbs: Limbs, factor: u64) -> Limbs {
    let mut out = limbs;
    let mut carry = 0;
    let mut i = 0;
    while i < 5 {
        let sum = limbs[i] * factor + carry;
        out[i] = sum & MASK;
        carry = sum >> 52;
        i += 1;
    }
    out
}

/// `2p - packed` for a packed element of Fq, reduced.
pub(crate) fn negated(packed: [u64; 4]) -> [u64; 4] {
    let mut carry = 0;
    let mut out = FqConfig::MODULUS.0.map(|limb| {
        let twice = limb << 1 | carry;
        carry = limb >> 63;
        twice
    });
    subtract(&mut out, &packed);
    out
}

/// Eight elements: lane `j` of vector `i` is limb `i` of element `j`.
#[derive(Clone, Copy)]
pub struct V(pub(crate) [__m512i; 5]);

/// A product before reduction: ten raw limbs.
pub(crate) type Wide = [__m512i; 10];

/// The same limbs in every lane.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn splat(limbs: &Limbs) -> V {
    V(limbs.map(|limb| _mm512_set1_epi64(limb.cast_signed())))
}

/// Four packed limbs to five, normal; any 256-bit value.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn unpack(w: [__m512i; 4]) -> V {
    let mask = _mm512_set1_epi64(MASK.cast_signed());
    V([
        _mm512_and_si512(w[0], mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<52>(w[0], w[1]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<40>(w[1], w[2]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<28>(w[2], w[3]), mask),
        _mm512_srli_epi64::<16>(w[3]),
    ])
}

/// Five normal limbs of a value below 2^256 to four packed ones.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn pack(v: V) -> [__m512i; 4] {
    let [a, b, c, d, e] = v.0;
    let or = |x, y| _mm512_or_si512(x, y);
    [
        or(a, _mm512_slli_epi64::<52>(b)),
        or(_mm512_srli_epi64::<12>(b), _mm512_slli_epi64::<40>(c)),
        or(_mm512_srli_epi64::<24>(c), _mm512_slli_epi64::<28>(d)),
        or(_mm512_srli_epi64::<36>(d), _mm512_slli_epi64::<16>(e)),
    ]
}

/// Limb by limb; raw.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn plus(a: V, b: V) -> V {
    V(std::array::from_fn(|i| _mm512_add_epi64(a.0[i], b.0[i])))
}

/// Limb by limb; raw.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn minus(a: V, b: V) -> V {
    V(std::array::from_fn(|i| _mm512_sub_epi64(a.0[i], b.0[i])))
}

/// `a + k·p` for `k ≤ 4`; raw.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn plus_p<M: Modulus, const K: usize>(a: V) -> V {
    plus(a, splat(&M::P[K]))
}

/// In the lanes of `mask`: `b`, elsewhere `a`.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn select(mask: __mmask8, a: V, b: V) -> V {
    V(std::array::from_fn(|i| {
        _mm512_mask_blend_epi64(mask, a.0[i], b.0[i])
    }))
}

/// In the lanes of `mask`: `4p - a`, elsewhere `a`; raw, `[0, 3.5p)` to `[0, 4p]`.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn negate_where<M: Modulus>(mask: __mmask8, a: V) -> V {
    let four = splat(&M::P[4]);
    V(std::array::from_fn(|i| {
        _mm512_mask_sub_epi64(a.0[i], mask, four.0[i], a.0[i])
    }))
}

/// Raw limbs of a value in `[0, 2^260)` to normal ones.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn normal(raw: V) -> V {
    let mask = _mm512_set1_epi64(MASK.cast_signed());
    let mut out = raw.0;
    for i in 0..4 {
        out[i + 1] = _mm512_add_epi64(out[i + 1], _mm512_srai_epi64::<52>(out[i]));
        out[i] = _mm512_and_si512(out[i], mask);
    }
    V(out)
}

/// Adds `3p` where the raw value may be negative: `(-3p, 3.5p)` to `[0, 3.5p)`, raw.
///
/// The top limb alone decides; a value a little above zero is raised as well.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn lift<M: Modulus>(raw: V) -> V {
    let low = _mm512_cmplt_epi64_mask(raw.0[4], _mm512_set1_epi64(BLUR));
    add_three::<M>(raw, low)
}

/// `(-6p, 3.5p)` raw to `[0, 3.5p)` normal.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn settle<M: Modulus>(raw: V) -> V {
    let limit = BLUR - M::P[3][4].cast_signed();
    let lower = _mm512_cmplt_epi64_mask(raw.0[4], _mm512_set1_epi64(limit));
    normal(add_three::<M>(lift::<M>(raw), lower))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn add_three<M: Modulus>(raw: V, mask: __mmask8) -> V {
    let three = splat(&M::P[3]);
    V(std::array::from_fn(|i| {
        _mm512_mask_add_epi64(raw.0[i], mask, raw.0[i], three.0[i])
    }))
}

/// The product of two normal values as raw limbs, none negative.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn wide(a: &V, b: &V) -> Wide {
    let mut t = [_mm512_setzero_si512(); 10];
    for i in 0..5 {
        for j in 0..5 {
            t[i + j] = _mm512_madd52lo_epu64(t[i + j], a.0[i], b.0[j]);
            t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], a.0[i], b.0[j]);
        }
    }
    t
}

/// The square of a normal value as raw limbs, none negative.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn wide_square(a: &V) -> Wide {
    let mut t = [_mm512_setzero_si512(); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            t[i + j] = _mm512_madd52lo_epu64(t[i + j], a.0[i], a.0[j]);
            t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], a.0[i], a.0[j]);
        }
    }
    for i in 0..5 {
        t[2 * i] = _mm512_add_epi64(t[2 * i], t[2 * i]);
        t[2 * i + 1] = _mm512_add_epi64(t[2 * i + 1], t[2 * i + 1]);
    }
    for i in 0..5 {
        t[2 * i] = _mm512_madd52lo_epu64(t[2 * i], a.0[i], a.0[i]);
        t[2 * i + 1] = _mm512_madd52hi_epu64(t[2 * i + 1], a.0[i], a.0[i]);
    }
    t
}

/// `t/2^260 mod p`: for `t` in `(-αp², αp²)` a raw value in `(-αp/84, (1 + α/84)p)`.
///
/// Each round makes the lowest limb zero by adding `q·p` and carries the rest on. That limb's low 52
/// bits and those of `q·p₀` cancel, so their sum's carry is the limb divided by 2^52, rounded up, and
/// the low product need not be computed.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn reduce<M: Modulus>(mut t: Wide) -> V {
    let p = splat(&M::P[1]);
    let inverse = _mm512_set1_epi64(M::NEGATIVE_INVERSE.cast_signed());
    let mask = _mm512_set1_epi64(MASK.cast_signed());
    let zero = _mm512_setzero_si512();
    for i in 0..5 {
        let q = _mm512_madd52lo_epu64(zero, t[i], inverse);
        let carry = _mm512_srai_epi64::<52>(_mm512_add_epi64(t[i], mask));
        t[i + 1] = _mm512_add_epi64(t[i + 1], carry);
        t[i + 1] = _mm512_madd52hi_epu64(t[i + 1], q, p.0[0]);
        for j in 1..5 {
            t[i + j] = _mm512_madd52lo_epu64(t[i + j], q, p.0[j]);
            t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], q, p.0[j]);
        }
    }
    V([t[5], t[6], t[7], t[8], t[9]])
}

/// `a·b`: normal operands to a raw value in `[0, (αβ/84 + 1)p)`.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn mul_raw<M: Modulus>(a: &V, b: &V) -> V {
    reduce::<M>(wide(a, b))
}

/// `a·b`: normal operands to a normal value in `[0, (αβ/84 + 1)p)`.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn mul<M: Modulus>(a: &V, b: &V) -> V {
    normal(mul_raw::<M>(a, b))
}

/// `a²`, raw, as [`mul_raw`].
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn square_raw<M: Modulus>(a: &V) -> V {
    reduce::<M>(wide_square(a))
}

/// A normal value below `4p` to its canonical form.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn canonical<M: Modulus>(a: V) -> V {
    let mut out = a;
    for k in [2, 1] {
        let less = normal(minus(out, splat(&M::P[k])));
        let negative = _mm512_cmplt_epi64_mask(less.0[4], _mm512_setzero_si512());
        out = select(negative, less, out);
    }
    out
}
