//! Field elements and points as iden3's binary files have them.
//!
//! Scalars in `.r1cs` and `.wtns` are 32 little-endian bytes. Points are affine coordinates of 32
//! bytes each, little-endian, in Montgomery form (factor 2^256); in the second group the real part
//! comes first; infinity is all zeros. What a ceremony hashes is another encoding: big-endian, not
//! in Montgomery form, imaginary part first ([`uncompressed_g1`], [`uncompressed_g2`]).

use ark_bn254::{Fq, Fq2, FqConfig, Fr, FrConfig, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::short_weierstrass::Affine;
use ark_ff::{BigInteger, BigInteger256, Fp, MontBackend, MontConfig, PrimeField};

use crate::error::PointFault;

/// Bytes of a scalar or a coordinate.
pub const FIELD_BYTES: usize = 32;

/// Whether a point may be at infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Infinity {
    /// It may: a wire that does not occur has no share in a query.
    Allowed,
    /// It must not, and the file is refused.
    Refused,
}

fn integer(bytes: &[u8; FIELD_BYTES]) -> BigInteger256 {
    let (limbs, _) = bytes.as_chunks::<8>();
    BigInteger256::new(std::array::from_fn(|k| u64::from_le_bytes(limbs[k])))
}

fn integer_bytes(value: BigInteger256) -> [u8; FIELD_BYTES] {
    let mut bytes = [0; FIELD_BYTES];
    for (out, limb) in bytes.chunks_exact_mut(8).zip(value.0) {
        out.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}

/// The element whose Montgomery form is `bytes`, `None` if that is not reduced.
pub(crate) fn from_montgomery<C: MontConfig<4>>(
    bytes: &[u8; FIELD_BYTES],
) -> Option<Fp<MontBackend<C, 4>, 4>> {
    let limbs = integer(bytes);
    (limbs < C::MODULUS).then(|| Fp::new_unchecked(limbs))
}

/// A scalar from its 32 little-endian bytes, `None` unless it is below the modulus.
pub fn scalar(bytes: &[u8; FIELD_BYTES]) -> Option<Fr> {
    Fr::from_bigint(integer(bytes))
}

/// The 32 little-endian bytes of a scalar.
pub fn scalar_bytes(value: &Fr) -> [u8; FIELD_BYTES] {
    integer_bytes(value.into_bigint())
}

/// `2^256` as a scalar: keys hold coefficients twice in Montgomery form.
const MONTGOMERY_FACTOR: Fr = Fr::new_unchecked(<FrConfig as MontConfig<4>>::R2);

/// A key's coefficient, stored as `value·2^512`; `None` if that is not reduced.
pub fn coefficient(bytes: &[u8; FIELD_BYTES]) -> Option<Fr> {
    let once: Fr = from_montgomery::<FrConfig>(bytes)?;
    // `once` is value·2^256 as an element; its integer is the Montgomery form of the value.
    Some(Fr::new_unchecked(once.into_bigint()))
}

/// The bytes of a key's coefficient.
pub fn coefficient_bytes(value: &Fr) -> [u8; FIELD_BYTES] {
    integer_bytes((*value * MONTGOMERY_FACTOR).0)
}

/// A point of a query from its bytes.
pub trait Point: AffineRepr<ScalarField = Fr> {
    /// Bytes of the point.
    const BYTES: usize;

    /// Decodes `bytes`, with every check.
    ///
    /// # Errors
    /// [`PointFault`]. `bytes` of another length than [`Point::BYTES`] have a bad coordinate.
    fn decode(bytes: &[u8], infinity: Infinity) -> Result<Self, PointFault>;

    /// Decodes `bytes`, of which only the coordinates are checked, each below the modulus.
    ///
    /// # Errors
    /// [`PointFault::Coordinate`].
    fn decode_unchecked(bytes: &[u8]) -> Result<Self, PointFault>;

    /// Appends the point's bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Appends the bytes that a ceremony hashes.
    fn uncompressed(&self, out: &mut Vec<u8>);
}

fn coordinate(bytes: &[u8], at: usize) -> Result<Fq, PointFault> {
    let chunk = bytes.get(FIELD_BYTES * at..).and_then(<[u8]>::first_chunk);
    let coordinate = chunk.and_then(from_montgomery::<FqConfig>);
    coordinate.ok_or(PointFault::Coordinate)
}

fn finite(bytes: &[u8], infinity: Infinity) -> Result<bool, PointFault> {
    if bytes.iter().any(|&byte| byte != 0) {
        return Ok(true);
    }
    match infinity {
        Infinity::Allowed => Ok(false),
        Infinity::Refused => Err(PointFault::Infinity),
    }
}

// Why: coherence does not see that the aliases `G1Affine` and `G2Affine` are different types.
impl Point for Affine<ark_bn254::g1::Config> {
    const BYTES: usize = 64;

    fn decode(bytes: &[u8], infinity: Infinity) -> Result<Self, PointFault> {
        if !finite(bytes, infinity)? {
            return Ok(Self::identity());
        }
        let point = Self::decode_unchecked(bytes)?;
        // The curve has prime order: on the curve is in the group.
        match point.is_on_curve() {
            true => Ok(point),
            false => Err(PointFault::NotOnCurve),
        }
    }

    fn decode_unchecked(bytes: &[u8]) -> Result<Self, PointFault> {
        if !finite(bytes, Infinity::Allowed)? {
            return Ok(Self::identity());
        }
        let (x, y) = (coordinate(bytes, 0)?, coordinate(bytes, 1)?);
        Ok(Self::new_unchecked(x, y))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self.xy() {
            None => out.extend_from_slice(&[0; Self::BYTES]),
            Some((x, y)) => [x, y].iter().for_each(|coordinate| {
                out.extend_from_slice(&integer_bytes(coordinate.0));
            }),
        }
    }

    fn uncompressed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&uncompressed_g1(self));
    }
}

impl Point for Affine<ark_bn254::g2::Config> {
    const BYTES: usize = 128;

    fn decode(bytes: &[u8], infinity: Infinity) -> Result<Self, PointFault> {
        if !finite(bytes, infinity)? {
            return Ok(Self::identity());
        }
        let point = Self::decode_unchecked(bytes)?;
        if !point.is_on_curve() {
            return Err(PointFault::NotOnCurve);
        }
        match point.is_in_correct_subgroup_assuming_on_curve() {
            true => Ok(point),
            false => Err(PointFault::NotInSubgroup),
        }
    }

    fn decode_unchecked(bytes: &[u8]) -> Result<Self, PointFault> {
        if !finite(bytes, Infinity::Allowed)? {
            return Ok(Self::identity());
        }
        let pair = |at| Ok(Fq2::new(coordinate(bytes, at)?, coordinate(bytes, at + 1)?));
        Ok(Self::new_unchecked(pair(0)?, pair(2)?))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self.xy() {
            None => out.extend_from_slice(&[0; Self::BYTES]),
            Some((x, y)) => [x.c0, x.c1, y.c0, y.c1].iter().for_each(|coordinate| {
                out.extend_from_slice(&integer_bytes(coordinate.0));
            }),
        }
    }

    fn uncompressed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&uncompressed_g2(self));
    }
}

/// The 64 bytes of a point that a ceremony hashes: `x ‖ y`, big-endian; infinity is all zeros.
pub fn uncompressed_g1(point: &G1Affine) -> [u8; 64] {
    let mut bytes = [0; 64];
    if let Some((x, y)) = point.xy() {
        put_big_endian(&mut bytes, &[x, y]);
    }
    bytes
}

/// The 128 bytes of a point that a ceremony hashes: `x₁ ‖ x₀ ‖ y₁ ‖ y₀`, big-endian.
pub fn uncompressed_g2(point: &G2Affine) -> [u8; 128] {
    let mut bytes = [0; 128];
    if let Some((x, y)) = point.xy() {
        put_big_endian(&mut bytes, &[x.c1, x.c0, y.c1, y.c0]);
    }
    bytes
}

fn put_big_endian(out: &mut [u8], coordinates: &[Fq]) {
    for (chunk, coordinate) in out.chunks_exact_mut(FIELD_BYTES).zip(coordinates) {
        chunk.copy_from_slice(&coordinate.into_bigint().to_bytes_be());
    }
}
