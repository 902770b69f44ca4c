//! How points lie in memory and in key files: packed coordinates on cache lines.
//!
//! **Packed form.** A coordinate `x` in Fq is `x·2^260 mod p`, reduced, in four limbs of 64 bits, lowest
//! first: Montgomery form for the vector kernels, whose radix is 2^52. `x·2^260` is ark's `x·2^256`
//! doubled four times. A coordinate in Fq2 is its two parts, real part first. A point is its `x` and
//! then its `y`; infinity is all zeros, which is no finite point because `b ≠ 0`.
//!
//! A [`Line`] is 64 bytes, aligned: a point of G1, or one coordinate of a point of G2.
//!
//! Invariant: the same on every processor. Only this form is ever written to files.

use ark_bn254::{Fq, Fq2};
use ark_ff::{BigInteger256, Fp, MontBackend, MontConfig};

use crate::portable::lean::Lean;
use crate::portable::msm::Point;

/// An element of the prime field `T`.
pub(crate) type Element<T> = Fp<MontBackend<T, 4>, 4>;

/// Eight limbs on one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line(pub(crate) [u64; 8]);

impl Line {
    pub(crate) const ZERO: Self = Self([0; 8]);
    /// Bytes of a line.
    pub(crate) const BYTES: usize = 64;

    /// Whether all limbs are zero.
    #[inline(always)]
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().fold(0, |bits, limb| bits | limb) == 0
    }

    /// The bytes of lines, limb by limb as this processor keeps them.
    #[allow(
        unsafe_code,
        reason = "lines are plain bytes, which only a cast can say"
    )]
    pub(crate) fn bytes(lines: &[Self]) -> &[u8] {
        // SAFETY: a line is 64 bytes without padding, any alignment suits bytes, and the result
        // borrows what the lines borrow.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), Self::BYTES * lines.len()) }
    }

    /// As [`Line::bytes`], to be written.
    #[allow(
        unsafe_code,
        reason = "lines are plain bytes, which only a cast can say"
    )]
    pub(crate) fn bytes_mut(lines: &mut [Self]) -> &mut [u8] {
        let length = Self::BYTES * lines.len();
        // SAFETY: as in `bytes`, and every 64 bytes are a valid line.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), length) }
    }
}

/// A coordinate with a packed form.
pub trait Coordinate: Lean {
    /// Limbs of the packed form.
    const LIMBS: usize;
    /// Writes the packed form.
    fn pack(&self, limbs: &mut [u64]);
    /// Reads it; values beyond the modulus are reduced.
    fn unpack(limbs: &[u64]) -> Self;
    /// Whether these limbs are the packed form of a coordinate.
    fn is_packed(limbs: &[u64]) -> bool;
}

impl Coordinate for Fq {
    const LIMBS: usize = 4;

    fn pack(&self, limbs: &mut [u64]) {
        limbs.copy_from_slice(&pack_one(self));
    }

    fn unpack(limbs: &[u64]) -> Self {
        unpack_one(&four(limbs))
    }

    fn is_packed(limbs: &[u64]) -> bool {
        BigInteger256::new(four(limbs)) < <ark_bn254::FqConfig as MontConfig<4>>::MODULUS
    }
}

impl Coordinate for Fq2 {
    const LIMBS: usize = 8;

    fn pack(&self, limbs: &mut [u64]) {
        let (real, other) = limbs.split_at_mut(4);
        self.c0.pack(real);
        self.c1.pack(other);
    }

    fn unpack(limbs: &[u64]) -> Self {
        Self::new(Fq::unpack(&limbs[..4]), Fq::unpack(&limbs[4..]))
    }

    fn is_packed(limbs: &[u64]) -> bool {
        Fq::is_packed(&limbs[..4]) && Fq::is_packed(&limbs[4..])
    }
}

fn four(limbs: &[u64]) -> [u64; 4] {
    [limbs[0], limbs[1], limbs[2], limbs[3]]
}

/// Lines of a point with coordinates in `F`.
pub(crate) const fn stride<F: Coordinate>() -> usize {
    F::LIMBS / 4
}

/// The packed form of a point.
pub(crate) fn pack_point<F: Coordinate>(point: &Point<F>, lines: &mut [Line]) {
    let mut limbs = [0; 16];
    let (x, y) = limbs.split_at_mut(F::LIMBS);
    point.x.pack(x);
    point.y.pack(&mut y[..F::LIMBS]);
    for (line, limbs) in lines.iter_mut().zip(limbs.chunks_exact(8)) {
        line.0.copy_from_slice(limbs);
    }
}

fn limbs_of(lines: &[Line]) -> [u64; 16] {
    let mut limbs = [0; 16];
    for (limbs, line) in limbs.chunks_exact_mut(8).zip(lines) {
        limbs.copy_from_slice(&line.0);
    }
    limbs
}

/// The point that lines hold.
pub(crate) fn unpack_point<F: Coordinate>(lines: &[Line]) -> Point<F> {
    let limbs = limbs_of(lines);
    Point {
        x: F::unpack(&limbs[..F::LIMBS]),
        y: F::unpack(&limbs[F::LIMBS..2 * F::LIMBS]),
    }
}

/// Whether lines hold the packed form of two coordinates, on the curve or not.
pub(crate) fn is_packed_point<F: Coordinate>(lines: &[Line]) -> bool {
    let limbs = limbs_of(lines);
    F::is_packed(&limbs[..F::LIMBS]) && F::is_packed(&limbs[F::LIMBS..2 * F::LIMBS])
}

/// `value·2^count mod p` for a reduced value.
pub(crate) const fn doubled<T: MontConfig<4>>(mut value: [u64; 4], count: u32) -> [u64; 4] {
    let p = T::MODULUS.0;
    let mut k = 0;
    while k < count {
        let twice = [
            value[0] << 1,
            value[1] << 1 | value[0] >> 63,
            value[2] << 1 | value[1] >> 63,
            value[3] << 1 | value[2] >> 63,
        ];
        let mut less = [0; 4];
        let mut borrow = false;
        let mut i = 0;
        while i < 4 {
            let (a, x) = twice[i].overflowing_sub(p[i]);
            let (b, y) = a.overflowing_sub(borrow as u64);
            less[i] = b;
            borrow = x || y;
            i += 1;
        }
        value = if borrow { twice } else { less };
        k += 1;
    }
    value
}

/// The element that four packed limbs stand for, whatever multiple of `p` they contain.
pub(crate) fn unpack_one<T: MontConfig<4>>(packed: &[u64; 4]) -> Element<T> {
    let mut limbs = *packed;
    while BigInteger256::new(limbs) >= T::MODULUS {
        subtract(&mut limbs, &T::MODULUS.0);
    }
    // `x·2^260` read as `y·2^256` is `y = 16x`.
    Element::<T>::new_unchecked(BigInteger256::new(limbs))
        * Element::<T>::new_unchecked(inverse_of_16())
}

/// An element in packed form, reduced.
pub(crate) fn pack_one<T: MontConfig<4>>(element: &Element<T>) -> [u64; 4] {
    doubled::<T>(element.0.0, 4)
}

/// `2^252 mod p`, the Montgomery form of 1/16.
const fn inverse_of_16() -> BigInteger256 {
    // 2^252 is below both moduli of the curve, which have 254 bits.
    BigInteger256::new([0, 0, 0, 1 << 60])
}

pub(crate) fn subtract(limbs: &mut [u64; 4], other: &[u64; 4]) {
    let mut borrow = false;
    for (limb, other) in limbs.iter_mut().zip(other) {
        let (a, x) = limb.overflowing_sub(*other);
        let (b, y) = a.overflowing_sub(u64::from(borrow));
        *limb = b;
        borrow = x || y;
    }
}
