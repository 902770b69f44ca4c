//! Coordinates in Fq2 = Fq(u), u² = -1: what the kernels need of a field, over two [`V`]s.
//!
//! A product takes three products in Fq and two reductions: with `T₀ = a₀b₀`, `T₁ = a₁b₁` and
//! `T = (a₀ + a₁)(b₀ + b₁)`, all unreduced, `c₀ = (T₀ - T₁)/2^260` and `c₁ = (T - T₀ - T₁)/2^260`. `T₀ - T₁`
//! may be negative, so `c₀` may be a little below zero; where that must not be, `p` is added.
//!
//! Same functions and ranges as in [`super::fq`]. For operands below `αp` and `βp` with `αβ ≤ 21`, `c₀`
//! lies in `(-0.25p, 1.25p)` and `c₁` in `[0, 1.5p)`.

use std::arch::x86_64::*;

use ark_bn254::{Fq2, FqConfig};

use super::field::{self, V, Wide};
use super::lines::{Line, load, store, transpose};

/// Eight coordinates.
pub(crate) type F = [V; 2];
/// One coordinate.
pub(crate) type Scalar = Fq2;
/// Lines of a point.
pub(crate) const STRIDE: usize = 2;

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn load_two(lines: [&Line; 8]) -> F {
    let [a, b, c, d, e, f, g, h] = transpose(lines.map(load));
    [field::unpack([a, b, c, d]), field::unpack([e, f, g, h])]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn load_x(lines: [&[Line; STRIDE]; 8]) -> F {
    let [a, b, c, d, e, f, g, h] = lines;
    load_two([&a[0], &b[0], &c[0], &d[0], &e[0], &f[0], &g[0], &h[0]])
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn load_point(lines: [&[Line; STRIDE]; 8]) -> (F, F) {
    let [a, b, c, d, e, f, g, h] = lines;
    let y = load_two([&a[1], &b[1], &c[1], &d[1], &e[1], &f[1], &g[1], &h[1]]);
    (load_x(lines), y)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn store_two(value: F) -> [Line; 8] {
    let [[a, b, c, d], [e, f, g, h]] = [field::pack(value[0]), field::pack(value[1])];
    transpose([a, b, c, d, e, f, g, h]).map(store)
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn store_point(x: F, y: F) -> [[Line; STRIDE]; 8] {
    let (x, y) = (store_two(x), store_two(y));
    [
        [x[0], y[0]],
        [x[1], y[1]],
        [x[2], y[2]],
        [x[3], y[3]],
        [x[4], y[4]],
        [x[5], y[5]],
        [x[6], y[6]],
        [x[7], y[7]],
    ]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn splat(value: &Scalar) -> F {
    [super::fq::splat(&value.c0), super::fq::splat(&value.c1)]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn lane(value: F, lane: usize) -> Scalar {
    Fq2::new(
        super::fq::lane(value[0], lane),
        super::fq::lane(value[1], lane),
    )
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn map(value: F, f: impl Fn(__m512i) -> __m512i) -> F {
    [V(value[0].0.map(&f)), V(value[1].0.map(&f))]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn less(a: &Wide, b: &Wide) -> Wide {
    let mut out = *a;
    for (limb, other) in out.iter_mut().zip(b) {
        *limb = _mm512_sub_epi64(*limb, *other);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn mul_raw(a: &F, b: &F) -> F {
    let (first, second) = (field::wide(&a[0], &b[0]), field::wide(&a[1], &b[1]));
    let sums = |v: &F| field::normal(field::plus(v[0], v[1]));
    let both = field::wide(&sums(a), &sums(b));
    [
        field::reduce::<FqConfig>(less(&first, &second)),
        field::reduce::<FqConfig>(less(&less(&both, &first), &second)),
    ]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn mul(a: &F, b: &F) -> F {
    let [c0, c1] = mul_raw(a, b);
    [
        field::normal(field::plus_p::<FqConfig, 1>(c0)),
        field::normal(c1),
    ]
}

/// `c₀ = (a₀ + a₁)(a₀ - a₁ + 4p)`, `c₁ = 2a₀a₁`, for operands below 2.5 p.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn square_raw(a: &F) -> F {
    let sum = field::normal(field::plus(a[0], a[1]));
    let difference = field::normal(field::plus_p::<FqConfig, 4>(field::minus(a[0], a[1])));
    let double = field::normal(field::plus(a[0], a[0]));
    [
        field::mul_raw::<FqConfig>(&sum, &difference),
        field::mul_raw::<FqConfig>(&double, &a[1]),
    ]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn plus(a: F, b: F) -> F {
    [field::plus(a[0], b[0]), field::plus(a[1], b[1])]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn minus(a: F, b: F) -> F {
    [field::minus(a[0], b[0]), field::minus(a[1], b[1])]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn plus_p<const K: usize>(a: F) -> F {
    [
        field::plus_p::<FqConfig, K>(a[0]),
        field::plus_p::<FqConfig, K>(a[1]),
    ]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn normal(a: F) -> F {
    [field::normal(a[0]), field::normal(a[1])]
}

/// `(-6p, 3.5p)` raw to `[0, 3.5p)` normal.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn settle(a: F) -> F {
    [
        field::settle::<FqConfig>(a[0]),
        field::settle::<FqConfig>(a[1]),
    ]
}

/// `(-3p, 3.5p)` raw to `[0, 3.5p)` normal.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn settle_once(a: F) -> F {
    [super::fq::settle_once(a[0]), super::fq::settle_once(a[1])]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn negate_where(mask: __mmask8, a: F) -> F {
    [
        field::negate_where::<FqConfig>(mask, a[0]),
        field::negate_where::<FqConfig>(mask, a[1]),
    ]
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn select(mask: __mmask8, a: F, b: F) -> F {
    [
        field::select(mask, a[0], b[0]),
        field::select(mask, a[1], b[1]),
    ]
}

/// Normal values below `4p`, fully reduced.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn canonical(a: F) -> F {
    [super::fq::canonical(a[0]), super::fq::canonical(a[1])]
}

/// Lanes of a canonical value that are zero.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn zeros(a: F) -> u8 {
    super::fq::zeros(a[0]) & super::fq::zeros(a[1])
}
