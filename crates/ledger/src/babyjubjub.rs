//! Baby Jubjub (EIP-2494): the twisted Edwards curve `a·x² + y² = 1 + d·x²·y²`, `a = 168700`,
//! `d = 168696`, over BN254's scalar field, in circomlib's coordinates and packing.
//!
//! The curve has `8·l` points, `l` the prime of [`Scalar`]; its torsion is cyclic of order 8.
//! Coordinates are canonical by type. [`Point`] holds any two coordinates: the decoders and checks
//! that must know it say so, and [`Point::unpack`] gives only points of the curve. Every operation
//! is total; on coordinates off the curve the outcome has no meaning. Scalars act as integers in
//! `0..l`, so torsion is not lost.
//!
//! The arithmetic is that of `ark-ed-on-bn254`, the same curve with `a = 1`: its x is `√168700`
//! times ours, and either root serves because negating x is an automorphism. The formulas are
//! complete (`a` is a square, `d` is not).
//!
//! Running times depend on the scalars: a signer shares no machine with someone who can time it.

use std::sync::OnceLock;

use ark_ec::{AdditiveGroup, CurveConfig, CurveGroup};
use ark_ed_on_bn254::{EdwardsAffine, EdwardsConfig, EdwardsProjective};
use ark_ff::{BigInteger, Field, MontFp, One, PrimeField, Zero};
use zeroize::Zeroizing;

use crate::field::{self, FieldError, Fr};

/// An integer modulo the order of the prime subgroup,
/// `l = 2736030358979909402780800718157159386076813972158567259200215660948447373041`.
pub type Scalar = ark_ed_on_bn254::Fr;

/// The curve's coefficient `a`.
pub const A: Fr = MontFp!("168700");
/// The curve's coefficient `d`.
pub const D: Fr = MontFp!("168696");

/// A square root of [`A`]: our x times this is the x of the curve with `a = 1`.
const SQRT_A: Fr =
    MontFp!("7214280148105020021932206872019688659210616427216992810330019057549499971851");
/// The inverse of [`SQRT_A`].
const SQRT_A_INV: Fr =
    MontFp!("2957874849018779266517920829765869116077630550401372566248359756137677864698");

/// Bit of the last packed byte that holds the sign of x.
const SIGN_BIT: u8 = 0x80;
/// Bits of a fixed-base window.
const WINDOW_BITS: usize = 4;
/// Non-zero digits of a fixed-base window.
const WINDOW_DIGITS: usize = (1 << WINDOW_BITS) - 1;
/// Odd multiples (1, 3, … 15) held for a variable base.
const ODD_MULTIPLES: usize = 8;

/// Two coordinates, a point of the curve where [`Point::is_on_curve`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    /// The first coordinate, circomlib's x.
    pub x: Fr,
    /// The second coordinate, which with the sign of `x` determines the point.
    pub y: Fr,
}

/// Why 32 bytes are not a packed point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// The 255 low bits are not below the field modulus.
    #[error("packed y: {0}")]
    NotCanonical(#[from] FieldError),
    /// No point of the curve has this y.
    #[error("no curve point has y = {y}")]
    NotOnCurve {
        /// The y that was given.
        y: Fr,
    },
    /// The sign bit is set although x is 0.
    #[error("the sign bit is set for x = 0, y = {y}")]
    NegativeZero {
        /// The y that was given, 1 or −1.
        y: Fr,
    },
}

/// Why a deposit's key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `Q` is not a point of the curve.
    #[error("Q = ({}, {}) is not on the curve", .0.x, .0.y)]
    NotOnCurve(Point),
    /// `A` is not `8·Q`.
    #[error("the key is not 8·Q: expected ({}, {}), got ({}, {})", expected.x, expected.y, got.x, got.y)]
    NotEightTimesQ {
        /// The point `8·Q` that was to be reached.
        expected: Box<Point>,
        /// The key that was given.
        got: Box<Point>,
    },
    /// The key is the neutral element, under which anybody can sign.
    #[error("the key is the identity (0, 1)")]
    Identity,
}

impl Point {
    /// The neutral element `(0, 1)`.
    #[must_use]
    pub fn identity() -> Self {
        Self {
            x: Fr::zero(),
            y: Fr::one(),
        }
    }

    /// Circomlib's `Base8`, which generates the prime subgroup.
    #[must_use]
    pub fn base8() -> Self {
        Self {
            x: MontFp!(
                "5299619240641551281634865583518297030282874472190772894086521144482721001553"
            ),
            y: MontFp!(
                "16950150798460657717958625567821834550301663161624707787222815936182638968203"
            ),
        }
    }

    /// Whether the coordinates satisfy the curve's equation.
    #[must_use]
    pub fn is_on_curve(&self) -> bool {
        let (x2, y2) = (self.x.square(), self.y.square());
        A * x2 + y2 == Fr::one() + D * x2 * y2
    }

    /// Whether this is a point of the curve of order 1 or `l`.
    #[must_use]
    pub fn in_prime_subgroup(&self) -> bool {
        self.is_on_curve() && self.mul(&-Scalar::one()).add(self) == Self::identity()
    }

    /// The sum of two points of the curve; the formula has no exception.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        Self::from_projective(&(self.to_projective() + other.to_affine()))
    }

    /// Twice the point, as the sum of it with itself.
    #[must_use]
    pub fn double(&self) -> Self {
        Self::from_projective(&self.to_projective().double())
    }

    /// The opposite, `(−x, y)`.
    #[must_use]
    pub fn neg(&self) -> Self {
        Self {
            x: -self.x,
            y: self.y,
        }
    }

    /// `scalar · self`, `scalar` as an integer in `0..l`.
    #[must_use]
    pub fn mul(&self, scalar: &Scalar) -> Self {
        Self::from_projective(&mul_variable(&self.to_projective(), scalar))
    }

    /// `8 · self`, by three doublings.
    #[must_use]
    pub fn mul_by_cofactor(&self) -> Self {
        Self::from_projective(&self.to_projective().double().double().double())
    }

    /// Circomlib's packing: y in little endian, the top bit set when x is above `(r − 1)/2`.
    #[must_use]
    pub fn pack(&self) -> [u8; 32] {
        let mut bytes = field::to_le_bytes(&self.y);
        if is_negative(&self.x) {
            bytes[31] |= SIGN_BIT;
        }
        bytes
    }

    /// Reads circomlib's packing. Each point of the curve has exactly one.
    ///
    /// # Errors
    /// [`PointError`] when y is not below `r`, no point has it, or x is 0 with the sign bit set.
    pub fn unpack(bytes: &[u8; 32]) -> Result<Self, PointError> {
        let mut y_bytes = *bytes;
        y_bytes[31] &= !SIGN_BIT;
        let y = field::from_le_bytes(&y_bytes)?;
        let negative = bytes[31] & SIGN_BIT != 0;
        let x = x_from_y(&y).ok_or(PointError::NotOnCurve { y })?;
        if negative && x.is_zero() {
            return Err(PointError::NegativeZero { y });
        }
        let x = if is_negative(&x) == negative { x } else { -x };
        Ok(Self { x, y })
    }

    fn to_affine(self) -> EdwardsAffine {
        EdwardsAffine::new_unchecked(self.x * SQRT_A, self.y)
    }

    fn to_projective(self) -> EdwardsProjective {
        self.to_affine().into()
    }

    /// The affine form. Points of the curve have `z ≠ 0`; other coordinates can lead to `z = 0`,
    /// and then become `(0, 0)`, which is not on the curve either.
    fn from_projective(point: &EdwardsProjective) -> Self {
        let z_inv = point.z.inverse().unwrap_or_else(Fr::zero);
        Self {
            x: point.x * z_inv * SQRT_A_INV,
            y: point.y * z_inv,
        }
    }
}

/// `scalar · Base8` from a table of every window's multiples.
#[must_use]
pub fn mul_base8(scalar: &Scalar) -> Point {
    Point::from_projective(&mul_fixed(scalar))
}

/// `s · Base8 + k · point`, the double-scalar multiplication of signature verification.
#[must_use]
pub fn mul_base8_add(s: &Scalar, k: &Scalar, point: &Point) -> Point {
    Point::from_projective(&(mul_fixed(s) + mul_variable(&point.to_projective(), k)))
}

/// Checks the key of a deposit: `Q` on the curve, `key = 8·Q`, `key ≠ (0, 1)`. The multiples of 8
/// are exactly the prime subgroup, so a key that passes has order `l`.
///
/// # Errors
/// [`KeyError`] with the first rule that does not hold, in that order.
pub fn deposit_key_is_good(key: &Point, q: &Point) -> Result<(), KeyError> {
    if !q.is_on_curve() {
        return Err(KeyError::NotOnCurve(*q));
    }
    let expected = q.mul_by_cofactor();
    if *key != expected {
        return Err(KeyError::NotEightTimesQ {
            expected: Box::new(expected),
            got: Box::new(*key),
        });
    }
    if *key == Point::identity() {
        return Err(KeyError::Identity);
    }
    Ok(())
}

/// `(8⁻¹ mod l) · key`: the `Q` that an honest wallet deposits with its key.
#[must_use]
pub fn cofactor_inverse_point(key: &Point) -> Point {
    key.mul(&cofactor_inverse())
}

/// `8⁻¹ mod l`.
pub(crate) fn cofactor_inverse() -> Scalar {
    EdwardsConfig::COFACTOR_INV
}

/// Circomlib's sign of a coordinate: above `(r − 1)/2`.
fn is_negative(x: &Fr) -> bool {
    x.into_bigint() > Fr::MODULUS_MINUS_ONE_DIV_TWO
}

/// One of the two x with `x² = (1 − y²)/(a − d·y²)`. The denominator is not 0: `a/d` is no square.
fn x_from_y(y: &Fr) -> Option<Fr> {
    let y2 = y.square();
    ((Fr::one() - y2) * (A - D * y2).inverse()?).sqrt()
}

type Windows = Vec<[EdwardsAffine; WINDOW_DIGITS]>;

/// For window `i`, the multiples `1…15` of `16^i · Base8`.
fn base8_windows() -> &'static Windows {
    static WINDOWS: OnceLock<Windows> = OnceLock::new();
    WINDOWS.get_or_init(|| {
        let mut base = Point::base8().to_projective();
        let mut windows = Vec::new();
        for _ in 0..Scalar::MODULUS_BIT_SIZE.div_ceil(4) {
            let mut multiples = [base; WINDOW_DIGITS];
            for i in 1..WINDOW_DIGITS {
                multiples[i] = multiples[i - 1] + base;
            }
            base += multiples[WINDOW_DIGITS - 1];
            // Why not all at once: that would run on rayon's threads, which may wait for this very
            // table, and everything would stand still.
            windows.push(multiples.map(|multiple| multiple.into_affine()));
        }
        windows
    })
}

fn mul_fixed(scalar: &Scalar) -> EdwardsProjective {
    // Why: the scalar can be a signer's nonce or secret, so its heap copy is wiped.
    let bytes = Zeroizing::new(scalar.into_bigint().to_bytes_le());
    let digits = bytes.iter().flat_map(|b| [b & 0x0f, b >> WINDOW_BITS]);
    let mut sum = EdwardsProjective::zero();
    for (digit, window) in digits.zip(base8_windows()) {
        if digit != 0 {
            sum += window[usize::from(digit) - 1];
        }
    }
    sum
}

/// `scalar · point` by the width-5 non-adjacent form.
fn mul_variable(point: &EdwardsProjective, scalar: &Scalar) -> EdwardsProjective {
    let double = point.double();
    let mut odd = [*point; ODD_MULTIPLES];
    for i in 1..ODD_MULTIPLES {
        odd[i] = odd[i - 1] + double;
    }
    let mut sum = EdwardsProjective::zero();
    for digit in non_adjacent_form(scalar).into_iter().rev() {
        sum.double_in_place();
        let multiple = odd[usize::from(digit.unsigned_abs() / 2)];
        match digit.signum() {
            1 => sum += multiple,
            -1 => sum -= multiple,
            _ => {}
        }
    }
    sum
}

/// Digits `0, ±1, ±3, … ±15` of the integer, least significant first: `Σ digitᵢ·2^i`.
fn non_adjacent_form(scalar: &Scalar) -> Vec<i8> {
    let mut rest = scalar.into_bigint();
    let mut digits = Vec::with_capacity(256);
    while !rest.is_zero() {
        let mut digit = 0_i8;
        if rest.is_odd() {
            let low = i8::try_from(rest.0[0] % 32).expect("a remainder of 32");
            digit = if low < 16 { low } else { low - 32 };
            // The integer is below 2^251, so adding up to 15 does not overflow four limbs.
            let size = u64::from(digit.unsigned_abs()).into();
            let overflow = if digit > 0 {
                rest.sub_with_borrow(&size)
            } else {
                rest.add_with_carry(&size)
            };
            debug_assert!(!overflow);
        }
        digits.push(digit);
        rest.div2();
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::twisted_edwards::TECurveConfig;
    use ark_ff::UniformRand;
    use proptest::prelude::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    /// A point of the whole curve, torsion included.
    fn any_point(rng: &mut ChaCha20Rng) -> Point {
        loop {
            let y = Fr::rand(rng);
            if let Some(x) = x_from_y(&y) {
                return Point { x, y };
            }
        }
    }

    /// The eight points of order dividing 8, multiple `i` of a generator at `i`.
    fn torsion() -> Vec<Point> {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let generator = loop {
            let p = any_point(&mut rng);
            let t = p.mul(&-Scalar::one()).add(&p);
            if t.double().double() != Point::identity() {
                break t;
            }
        };
        std::iter::successors(Some(Point::identity()), |t| Some(t.add(&generator)))
            .take(8)
            .collect()
    }

    /// The addition law in circomlib's coordinates.
    fn add_by_formula(p: &Point, q: &Point) -> Point {
        let product = D * p.x * q.x * p.y * q.y;
        let inverse = |z: Fr| z.inverse().unwrap();
        Point {
            x: (p.x * q.y + p.y * q.x) * inverse(Fr::one() + product),
            y: (p.y * q.y - A * p.x * q.x) * inverse(Fr::one() - product),
        }
    }

    #[test]
    fn constants_are_what_they_claim() {
        assert_eq!(SQRT_A.square(), A);
        assert_eq!(SQRT_A * SQRT_A_INV, Fr::one());
        assert_eq!(EdwardsConfig::COEFF_D * A, D);
        assert!(A.legendre().is_qr() && D.legendre().is_qnr());
        assert_eq!(cofactor_inverse() * Scalar::from(8), Scalar::one());
        assert!(Point::base8().in_prime_subgroup());
        assert_ne!(Point::base8(), Point::identity());
    }

    #[test]
    fn torsion_has_eight_points_outside_the_prime_subgroup() {
        let torsion = torsion();
        for (i, point) in torsion.iter().enumerate() {
            assert!(point.is_on_curve());
            assert_eq!(point.mul_by_cofactor(), Point::identity());
            assert_eq!(point.in_prime_subgroup(), i == 0);
            assert!(torsion[..i].iter().all(|earlier| earlier != point));
            assert_eq!(Point::unpack(&point.pack()), Ok(*point));
        }
    }

    #[test]
    fn small_order_keys_are_refused() {
        for small in torsion() {
            assert_eq!(
                deposit_key_is_good(&Point::identity(), &small),
                Err(KeyError::Identity)
            );
            let eighth = cofactor_inverse_point(&small);
            for q in [small, eighth, Point::base8()] {
                assert!(deposit_key_is_good(&small, &q).is_err());
            }
        }
    }

    #[test]
    fn keys_with_torsion_are_refused() {
        let key = mul_base8(&Scalar::from(12_345));
        let q = cofactor_inverse_point(&key);
        assert_eq!(deposit_key_is_good(&key, &q), Ok(()));
        for (i, small) in torsion().iter().enumerate() {
            let (bent_key, bent_q) = (key.add(small), q.add(small));
            assert_eq!(deposit_key_is_good(&key, &bent_q), Ok(()));
            let refused = deposit_key_is_good(&bent_key, &bent_q);
            assert_eq!(refused.is_ok(), i == 0);
            let own_q = cofactor_inverse_point(&bent_key);
            assert_eq!(deposit_key_is_good(&bent_key, &own_q).is_ok(), i == 0);
        }
    }

    #[test]
    fn keys_off_the_curve_are_refused() {
        let off = Point {
            x: Fr::from(5),
            y: Fr::from(7),
        };
        assert!(!off.is_on_curve() && !off.in_prime_subgroup());
        let eight = off.mul_by_cofactor();
        assert_eq!(
            deposit_key_is_good(&eight, &off),
            Err(KeyError::NotOnCurve(off))
        );
        let q = Point::base8();
        let expected = q.mul_by_cofactor();
        for got in [off, q, expected.neg()] {
            let refused = deposit_key_is_good(&got, &q);
            let (expected, got) = (Box::new(expected), Box::new(got));
            assert_eq!(refused, Err(KeyError::NotEightTimesQ { expected, got }));
        }
    }

    #[test]
    fn other_packings_are_refused() {
        let le = |integer: num_bigint::BigUint| -> [u8; 32] {
            let mut bytes = integer.to_bytes_le();
            bytes.resize(32, 0);
            bytes.try_into().unwrap()
        };
        let modulus = num_bigint::BigUint::from(Fr::MODULUS);
        // y = r + 1 would be the identity, y = r a point of order 4.
        for excess in [0_u8, 1, 2] {
            let refused = Point::unpack(&le(&modulus + excess));
            assert!(matches!(refused, Err(PointError::NotCanonical(_))));
        }
        assert!(matches!(
            Point::unpack(&[0xff; 32]),
            Err(PointError::NotCanonical(_))
        ));
        for y in [Fr::one(), -Fr::one()] {
            let mut bytes = Point { x: Fr::zero(), y }.pack();
            assert_eq!(Point::unpack(&bytes), Ok(Point { x: Fr::zero(), y }));
            bytes[31] |= SIGN_BIT;
            assert_eq!(Point::unpack(&bytes), Err(PointError::NegativeZero { y }));
        }
        let missing = (2_u64..100)
            .map(Fr::from)
            .find(|y| x_from_y(y).is_none())
            .unwrap();
        let refused = Point::unpack(&field::to_le_bytes(&missing));
        assert_eq!(refused, Err(PointError::NotOnCurve { y: missing }));
    }

    #[test]
    fn operations_off_the_curve_do_not_panic() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        for (x, y) in [(0, 0), (0, 5), (5, 0), (1, 1)] {
            let off = Point {
                x: Fr::from(x),
                y: Fr::from(y),
            };
            let k = Scalar::rand(&mut rng);
            assert_eq!(
                off.add(&off.neg()).is_on_curve(),
                off.neg().add(&off).is_on_curve()
            );
            assert_eq!(off.mul(&k), mul_base8_add(&Scalar::zero(), &k, &off));
        }
        // d·x²·y² = ±1 makes the addition law divide by zero; no point of the curve has it.
        let x = Fr::from(3);
        let y2 = (D * x.square()).inverse().unwrap();
        for y in [y2.sqrt(), (-y2).sqrt()].into_iter().flatten() {
            let off = Point { x, y };
            assert!(!off.is_on_curve() && !off.double().is_on_curve());
        }
    }

    #[test]
    fn edge_scalars() {
        let base = Point::base8();
        let top = -Scalar::one();
        assert_eq!(mul_base8(&Scalar::zero()), Point::identity());
        assert_eq!(mul_base8(&Scalar::one()), base);
        assert_eq!(mul_base8(&top), base.neg());
        assert_eq!(base.mul(&top), base.neg());
        assert_eq!(base.mul(&Scalar::zero()), Point::identity());
        for i in 0..40_u64 {
            assert_eq!(mul_base8(&Scalar::from(i)), base.mul(&Scalar::from(i)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn addition_laws(seed: u64) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let [p, q, s] = std::array::from_fn(|_| any_point(&mut rng));
            let o = Point::identity();
            prop_assert_eq!(p.add(&q), add_by_formula(&p, &q));
            prop_assert_eq!(p.double(), add_by_formula(&p, &p));
            prop_assert_eq!(p.add(&q), q.add(&p));
            prop_assert_eq!(p.add(&q).add(&s), p.add(&q.add(&s)));
            prop_assert_eq!((p.add(&o), p.add(&p.neg())), (p, o));
            prop_assert!(p.add(&q).is_on_curve());
            let four = p.double().double();
            prop_assert_eq!(p.mul_by_cofactor(), four.add(&four));
            prop_assert!(p.mul_by_cofactor().in_prime_subgroup());
        }

        #[test]
        fn scalar_multiplication_laws(seed: u64) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let [j, k] = std::array::from_fn(|_| Scalar::rand(&mut rng));
            let p = any_point(&mut rng);
            let p8 = p.mul_by_cofactor();
            let bits = k.into_bigint().to_bits_be();
            let by_bits = bits.iter().fold(Point::identity(), |sum, bit| {
                let twice = add_by_formula(&sum, &sum);
                if *bit { add_by_formula(&twice, &p) } else { twice }
            });
            prop_assert_eq!(p.mul(&k), by_bits);
            prop_assert_eq!(p8.mul(&(j + k)), p8.mul(&j).add(&p8.mul(&k)));
            prop_assert_eq!(mul_base8(&k), Point::base8().mul(&k));
            prop_assert_eq!(mul_base8_add(&j, &k, &p), mul_base8(&j).add(&p.mul(&k)));
            let key = mul_base8(&k);
            prop_assert_eq!(deposit_key_is_good(&key, &cofactor_inverse_point(&key)), Ok(()));
        }

        #[test]
        fn packing_round_trips(seed: u64) {
            let p = any_point(&mut ChaCha20Rng::seed_from_u64(seed));
            prop_assert_eq!(Point::unpack(&p.pack()), Ok(p));
            prop_assert_eq!(Point::unpack(&p.neg().pack()), Ok(p.neg()));
        }

        #[test]
        fn whatever_unpacks_packs_to_the_same_bytes(bytes: [u8; 32]) {
            if let Ok(point) = Point::unpack(&bytes) {
                prop_assert!(point.is_on_curve());
                prop_assert_eq!(point.pack(), bytes);
            }
        }
    }
}
