//! The vector field against `ark-ff`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ark_bn254::{FqConfig, FrConfig};
use ark_ff::{Field, UniformRand};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::field::*;
use super::lines::{Line, load, store, transpose};
use super::supported;

/// Runs a check where the processor has what it needs; elsewhere the vector path does not exist.
#[allow(unsafe_code, reason = "the check is compiled for vectors")]
fn run(check: unsafe fn()) {
    if supported() {
        // SAFETY: the processor has the features.
        unsafe { check() }
    }
}

/// Packed values: edges of the ranges, and random ones below `3.5p`.
fn values<M: Modulus>(rng: &mut StdRng) -> Vec<[u64; 4]> {
    let p = M::MODULUS.0;
    let times = |k: u64, add: i64| {
        let mut carry = 0u128;
        let mut out = p.map(|limb| {
            let sum = u128::from(limb) * u128::from(k) + carry;
            carry = sum >> 64;
            u64::try_from(sum & u128::from(u64::MAX)).unwrap()
        });
        assert_eq!(carry, 0);
        out[0] = out[0].checked_add_signed(add).unwrap();
        out
    };
    let mut all = vec![[0; 4], [1, 0, 0, 0], [2, 0, 0, 0]];
    for k in 1..=3 {
        all.extend([times(k, -1), times(k, 0), times(k, 1)]);
    }
    // Just below 2^254, and limbs full of ones.
    all.push([u64::MAX, u64::MAX, u64::MAX, (1 << 62) - 1]);
    all.push([u64::MAX, 0, u64::MAX, (1 << 62) - 1]);
    all.push([0, u64::MAX, 0, (1 << 62) - 2]);
    all.push([u64::MAX - 1, u64::MAX, u64::MAX, (1 << 62) - 1]);
    for k in 0..24 {
        let base = times(k % 3, 0);
        let random = Element::<M>::rand(rng).0.0;
        let mut carry = 0u128;
        all.push(std::array::from_fn(|i| {
            let sum = u128::from(base[i]) + u128::from(random[i]) + carry;
            carry = sum >> 64;
            u64::try_from(sum & u128::from(u64::MAX)).unwrap()
        }));
    }
    all
}

#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn gather(values: [[u64; 4]; 8]) -> V {
    let limb = |i: usize| load(&Line(values.map(|value| value[i])));
    unpack([limb(0), limb(1), limb(2), limb(3)])
}

#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn scatter(v: V) -> [[u64; 4]; 8] {
    for (i, limb) in v.0.iter().enumerate() {
        let bound = if i == 4 { 1u64 << 48 } else { 1 << 52 };
        assert!(
            store(*limb).0.iter().all(|limb| *limb < bound),
            "normal limbs"
        );
    }
    let packed = pack(v).map(|w| store(w).0);
    std::array::from_fn(|lane| std::array::from_fn(|i| packed[i][lane]))
}

/// All pairs of values, eight different pairs at a time, so a lane that saw another's would show.
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn check_operations<M: Modulus>() {
    let mut rng = StdRng::seed_from_u64(1);
    let all = values::<M>(&mut rng);
    for offset in 0..all.len() {
        for start in (0..all.len()).step_by(8) {
            let a: [[u64; 4]; 8] = std::array::from_fn(|j| all[(start + j) % all.len()]);
            let b: [[u64; 4]; 8] =
                std::array::from_fn(|j| all[(start + offset + 3 * j) % all.len()]);
            check_lanes::<M>(a, b, rng.r#gen());
        }
    }
}

#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn check_lanes<M: Modulus>(a: [[u64; 4]; 8], b: [[u64; 4]; 8], mask: u8) {
    let (va, vb) = (gather(a), gather(b));
    assert_eq!(scatter(va), a);
    let one = unpack_one::<M>;
    let results = [
        scatter(mul::<M>(&va, &vb)),
        scatter(normal(square_raw::<M>(&va))),
        scatter(settle::<M>(minus(va, vb))),
        scatter(settle::<M>(minus(plus(va, vb), splat(&M::P[4])))),
        // `a - b + 4p` may exceed 256 bits: it only goes into products.
        scatter(mul::<M>(
            &normal(plus_p::<M, 4>(minus(va, vb))),
            &splat(&split(pack_one::<M>(&Element::<M>::ONE))),
        )),
        scatter(normal(negate_where::<M>(mask, va))),
        scatter(canonical::<M>(va)),
        scatter(canonical::<M>(mul::<M>(&va, &splat(&split(M::R.0))))),
    ];
    for j in 0..8 {
        let (x, y) = (one(&a[j]), one(&b[j]));
        let negated = if mask >> j & 1 == 1 { -x } else { x };
        let expected = [x * y, x.square(), x - y, x + y, x - y, negated, x];
        for (k, expected) in expected.into_iter().enumerate() {
            assert_eq!(one(&results[k][j]), expected, "operation {k}, lane {j}");
        }
        assert_eq!(results[6][j], pack_one(&x), "canonical");
        assert_eq!(results[7][j], x.0.0, "to ark's form");
        for (k, result) in results.iter().enumerate() {
            let bound = if k == 5 { 8 } else { 7 };
            assert!(
                result[j][3] <= bound * (M::MODULUS.0[3] / 2) + bound,
                "operation {k}, lane {j} is out of range"
            );
        }
    }
}

#[test]
fn operations_equal_the_reference() {
    run(check_operations::<FqConfig>);
    run(check_operations::<FrConfig>);
}

#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn check_conversions<M: Modulus>() {
    let mut rng = StdRng::seed_from_u64(2);
    let raw: [[u64; 4]; 8] = std::array::from_fn(|_| Element::<M>::rand(&mut rng).0.0);
    let plain = scatter(canonical::<M>(mul::<M>(
        &gather(raw),
        &splat(&[16, 0, 0, 0, 0]),
    )));
    for j in 0..8 {
        let element = Element::<M>::new_unchecked(ark_ff::BigInt(raw[j]));
        assert_eq!(unpack_one::<M>(&pack_one(&element)), element);
        assert_eq!(plain[j], M::into_bigint(element).0);
    }
    let one = scatter(splat(&split(pack_one::<M>(&Element::<M>::ONE))));
    assert_eq!(unpack_one::<M>(&one[5]), Element::<M>::ONE);
}

#[test]
fn conversions_equal_the_reference() {
    run(check_conversions::<FqConfig>);
    run(check_conversions::<FrConfig>);
}

#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn check_transpose() {
    let rows: [Line; 8] =
        std::array::from_fn(|i| Line(std::array::from_fn(|j| u64::try_from(8 * i + j).unwrap())));
    let columns = transpose(rows.each_ref().map(load)).map(store);
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            assert_eq!(row.0[j], column.0[i]);
        }
    }
}

#[test]
fn a_transpose_swaps_rows_and_columns() {
    run(check_transpose);
}
