//! How eight cache lines become vectors.
//!
//! A [`Line`] holds eight 64-bit limbs: the two coordinates of a point over Fq, or one coordinate over
//! Fq2, four limbs each. Eight lines are an 8 × 8 matrix of limbs; its transpose has in vector `k` limb
//! `k` of each of the eight, which is what the arithmetic wants.
//!
//! Invariant: nothing here depends on what the limbs mean.

use std::arch::x86_64::*;

pub(crate) use crate::packed::Line;

/// The limbs as one vector.
#[inline(always)]
#[allow(unsafe_code, reason = "a vector is made of plain limbs")]
pub(crate) fn load(line: &Line) -> __m512i {
    // SAFETY: both are 64 bytes without padding or invalid values.
    unsafe { std::mem::transmute::<[u64; 8], __m512i>(line.0) }
}

/// The vector's lanes, lowest first.
#[inline(always)]
#[allow(unsafe_code, reason = "a vector is made of plain limbs")]
pub(crate) fn store(vector: __m512i) -> Line {
    // SAFETY: both are 64 bytes without padding or invalid values.
    Line(unsafe { std::mem::transmute::<__m512i, [u64; 8]>(vector) })
}

/// Asks for the line to be brought near; changes nothing.
#[inline(always)]
#[allow(unsafe_code, reason = "the intrinsic takes a pointer")]
pub(crate) fn prefetch(line: &Line) {
    // SAFETY: a prefetch reads nothing, and the address is that of a live reference.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) }
}

/// Transposes an 8 × 8 matrix of 64-bit limbs.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
pub(crate) fn transpose(rows: [__m512i; 8]) -> [__m512i; 8] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    // Pairs of rows, limb by limb.
    let (a0, a1) = (_mm512_unpacklo_epi64(r0, r1), _mm512_unpackhi_epi64(r0, r1));
    let (a2, a3) = (_mm512_unpacklo_epi64(r2, r3), _mm512_unpackhi_epi64(r2, r3));
    let (a4, a5) = (_mm512_unpacklo_epi64(r4, r5), _mm512_unpackhi_epi64(r4, r5));
    let (a6, a7) = (_mm512_unpacklo_epi64(r6, r7), _mm512_unpackhi_epi64(r6, r7));
    // 128-bit blocks: a0 holds limbs 0, 2, 4, 6 of rows 0 and 1.
    let even = |a, b| _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b);
    let odd = |a, b| _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b);
    let (b0, b1) = (even(a0, a2), odd(a0, a2));
    let (b2, b3) = (even(a1, a3), odd(a1, a3));
    let (b4, b5) = (even(a4, a6), odd(a4, a6));
    let (b6, b7) = (even(a5, a7), odd(a5, a7));
    [
        even(b0, b4),
        even(b2, b6),
        even(b1, b5),
        even(b3, b7),
        odd(b0, b4),
        odd(b2, b6),
        odd(b1, b5),
        odd(b3, b7),
    ]
}
