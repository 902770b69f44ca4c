//! Coordinates in Fq: what the kernels need of a field, over one [`V`].
//!
//! Same functions as in [`super::fq2`], so that one text serves both groups. Ranges: `load` and
//! `settle` give `[0, 3.5p)`; `mul` takes values whose bounds multiply to at most 42 `p²` and gives
//! a normal value below 2.5 p, `mul_raw` and `square_raw` a raw one in `(-0.5p, 1.5p)`.

use std::arch::x86_64::*;

use ark_bn254::{Fq, FqConfig};

use super::field::{self, V};
use super::lines::{Line, load, store, transpose};

/// Eight coordinates.
pub(crate) type F = V;
/// One coordinate.
pub(crate) type Scalar = Fq;
/// Lines of a point.
pub(crate) const STRIDE: usize = 1;

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn load_x(lines: [&[Line; STRIDE]; 8]) -> F {
    // Rows k and k + 4 side by side.
    let half = |k: usize| {
        let high = _mm512_castsi512_si256(load(&lines[k + 4][0]));
        _mm512_inserti64x4::<1>(load(&lines[k][0]), high)
    };
    let rows = [half(0), half(1), half(2), half(3)];
    let a = _mm512_unpacklo_epi64(rows[0], rows[1]);
    let b = _mm512_unpackhi_epi64(rows[0], rows[1]);
    let c = _mm512_unpacklo_epi64(rows[2], rows[3]);
    let d = _mm512_unpackhi_epi64(rows[2], rows[3]);
    let first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    let second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    field::unpack([
        _mm512_permutex2var_epi64(a, first, c),
        _mm512_permutex2var_epi64(b, first, d),
        _mm512_permutex2var_epi64(a, second, c),
        _mm512_permutex2var_epi64(b, second, d),
    ])
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn load_point(lines: [&[Line; STRIDE]; 8]) -> (F, F) {
    let [a, b, c, d, e, f, g, h] = transpose(lines.map(|line| load(&line[0])));
    (field::unpack([a, b, c, d]), field::unpack([e, f, g, h]))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn store_point(x: F, y: F) -> [[Line; STRIDE]; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (field::pack(x), field::pack(y));
    transpose([a, b, c, d, e, f, g, h]).map(|row| [store(row)])
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn splat(value: &Scalar) -> F {
    field::splat(&field::split(field::pack_one(value)))
}

/// The lowest lane.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn lane(value: F, lane: usize) -> Scalar {
    let packed = field::pack(value).map(|limb| store(limb).0[lane]);
    field::unpack_one(&packed)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn map(value: F, f: impl Fn(__m512i) -> __m512i) -> F {
    V(value.0.map(f))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn mul_raw(a: &F, b: &F) -> F {
    field::mul_raw::<FqConfig>(a, b)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn mul(a: &F, b: &F) -> F {
    field::mul::<FqConfig>(a, b)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn square_raw(a: &F) -> F {
    field::square_raw::<FqConfig>(a)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn plus(a: F, b: F) -> F {
    field::plus(a, b)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn minus(a: F, b: F) -> F {
    field::minus(a, b)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn plus_p<const K: usize>(a: F) -> F {
    field::plus_p::<FqConfig, K>(a)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn normal(a: F) -> F {
    field::normal(a)
}

/// `(-6p, 3.5p)` raw to `[0, 3.5p)` normal.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn settle(a: F) -> F {
    field::settle::<FqConfig>(a)
}

/// `(-3p, 3.5p)` raw to `[0, 3.5p)` normal.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn settle_once(a: F) -> F {
    field::normal(field::lift::<FqConfig>(a))
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn negate_where(mask: __mmask8, a: F) -> F {
    field::negate_where::<FqConfig>(mask, a)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn select(mask: __mmask8, a: F, b: F) -> F {
    field::select(mask, a, b)
}

/// A normal value below `4p`, fully reduced.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn canonical(a: F) -> F {
    field::canonical::<FqConfig>(a)
}

/// Lanes of a canonical value that are zero.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn zeros(a: F) -> u8 {
    let bits = a.0.into_iter().fold(_mm512_setzero_si512(), |bits, limb| {
        _mm512_or_si512(bits, limb)
    });
    _mm512_cmpeq_epi64_mask(bits, _mm512_setzero_si512())
}
