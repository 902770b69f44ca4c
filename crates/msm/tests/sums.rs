//! Multi-scalar multiplication against `ark-ec`, on every path that the processor has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ark_bn254::{Fr, g1, g2};
use ark_ec::short_weierstrass::{Affine, Projective};
use ark_ec::{AffineRepr, VariableBaseMSM};
use ark_ff::{Field, PrimeField, UniformRand, Zero};
use common::points;
use msm::{Bases, Group, Path, Stop};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn paths() -> impl Iterator<Item = Path> {
    [Path::Portable, Path::Ifma]
        .into_iter()
        .filter(|path| path.is_supported())
}

fn check<P: Group>(bases: &[Affine<P>], scalars: &[Fr])
where
    Projective<P>: VariableBaseMSM<MulBase = Affine<P>, ScalarField = Fr>,
{
    let expected = Projective::<P>::msm(bases, scalars).unwrap();
    for path in paths() {
        let got = msm::msm(path, bases, |i| scalars[i]);
        assert_eq!(got, expected, "{path:?}, {} points", bases.len());
    }
}

/// Mostly uniform, with zeros, ones, minus ones and short scalars of both signs.
fn mixed(rng: &mut StdRng, count: usize) -> Vec<Fr> {
    let one = Fr::from(1u64);
    (0..count)
        .map(|i| match i % 8 {
            0 => Fr::zero(),
            1 => one,
            2 => -one,
            3 => Fr::from(rng.r#gen::<u64>() >> rng.gen_range(0..64)),
            4 => -Fr::from(rng.r#gen::<u64>() >> rng.gen_range(0..64)),
            _ => Fr::rand(rng),
        })
        .collect()
}

const SIZES: [usize; 15] = [
    0, 1, 2, 3, 7, 8, 9, 127, 128, 129, 1_000, 4_096, 16_384, 32_769, 70_001,
];

fn every_size<P: Group>(largest: usize)
where
    Projective<P>: VariableBaseMSM<MulBase = Affine<P>, ScalarField = Fr> + UniformRand,
{
    let mut rng = StdRng::seed_from_u64(1);
    for count in SIZES.into_iter().filter(|count| *count <= largest) {
        let bases = points::<P>(&mut rng, count);
        check(&bases, &mixed(&mut rng, count));
        let uniform: Vec<Fr> = (0..count).map(|_| Fr::rand(&mut rng)).collect();
        check(&bases, &uniform);
    }
}

#[test]
fn g1_of_every_size() {
    every_size::<g1::Config>(usize::MAX);
}

#[test]
fn g2_of_every_size() {
    every_size::<g2::Config>(20_000);
}

/// Few different points, their negatives and infinity, so that buckets hold equal and opposite ones.
fn few_points<P: Group>(count: usize)
where
    Projective<P>: VariableBaseMSM<MulBase = Affine<P>, ScalarField = Fr> + UniformRand,
{
    let mut rng = StdRng::seed_from_u64(2);
    let few = points::<P>(&mut rng, 3);
    let bases: Vec<Affine<P>> = (0..count)
        .map(|_| match rng.gen_range(0..8) {
            0 => Affine::zero(),
            k if rng.r#gen() => few[k % 3],
            k => -few[k % 3],
        })
        .collect();
    let scalars = mixed(&mut rng, count);
    check(&bases, &scalars);
    // Every window has one bucket in use, and opposite points cancel out in it.
    check(&bases, &vec![scalars[5]; count]);
    check(&bases, &vec![Fr::from(1u64); count]);
    let equal = vec![few[0]; count];
    check(&equal, &scalars);
    check(&equal, &vec![scalars[5]; count]);
    check(&equal, &vec![Fr::from(1u64); count]);
    check(&equal, &vec![-Fr::from(1u64); count]);
    check(&vec![Affine::<P>::zero(); count], &scalars);
    check(&equal, &vec![Fr::zero(); count]);
    let alternating: Vec<_> = (0..count)
        .map(|i| if i % 2 == 0 { few[1] } else { -few[1] })
        .collect();
    check(&alternating, &vec![scalars[6]; count]);
    check(&alternating, &vec![Fr::from(3u64); count]);
}

#[test]
fn equal_and_opposite_points_in_g1() {
    few_points::<g1::Config>(200);
    few_points::<g1::Config>(3_001);
}

#[test]
fn equal_and_opposite_points_in_g2() {
    few_points::<g2::Config>(1_001);
}

/// Nobody checks that bases are on their curve: sums of others mean nothing and end all the same. A point with
/// `y = 0` is its own opposite, so that an even number of it is infinite.
fn points_of_order_two<P: Group>(count: usize)
where
    Projective<P>: UniformRand,
{
    let mut rng = StdRng::seed_from_u64(6);
    let point = |x: u64| Affine::<P>::new_unchecked(x.into(), P::BaseField::zero());
    let equal = vec![point(5); count];
    let good = points::<P>(&mut rng, 2);
    let few: Vec<_> = (0..count)
        .map(|i| match i % 8 {
            0 | 1 => good[i % 2],
            k => point(k as u64 / 2),
        })
        .collect();
    let scalars = mixed(&mut rng, count);
    let scalar = Fr::rand(&mut rng);
    for path in paths() {
        let even = msm::msm(path, &equal, |_| Fr::from(1u64));
        assert!(even.is_zero(), "{path:?}, {count} points");
        for bases in [&equal, &few] {
            let _any = msm::msm(path, bases, |i| scalars[i]);
            let _any = msm::msm(path, bases, |_| scalar);
        }
    }
}

#[test]
fn points_of_order_two_end_no_sum() {
    points_of_order_two::<g1::Config>(2);
    points_of_order_two::<g1::Config>(200);
    points_of_order_two::<g1::Config>(3_000);
    points_of_order_two::<g2::Config>(1_000);
}

/// A bucket that becomes infinite in one part of the bases is filled again by the next.
#[test]
fn buckets_that_cancel_are_used_again() {
    let mut rng = StdRng::seed_from_u64(3);
    let count = 1 << 17;
    let first = points::<g1::Config>(&mut rng, count / 4);
    let mut bases = first.clone();
    bases.extend(first.iter().map(|point| -*point));
    bases.extend_from_slice(&first);
    bases.extend(points::<g1::Config>(&mut rng, count / 4));
    let scalars: Vec<Fr> = (0..count / 4).map(|_| Fr::rand(&mut rng)).collect();
    check(&bases, &scalars.repeat(4));
}

/// Digits at both ends of their range, in all windows, for all widths that sizes lead to.
#[test]
fn scalars_at_the_edges_of_the_digits() {
    let mut rng = StdRng::seed_from_u64(4);
    let one = Fr::from(1u64);
    let two = Fr::from(2u64);
    let half = Fr::from(Fr::MODULUS_MINUS_ONE_DIV_TWO);
    let mut edges = vec![half, -half, half + one, half - one, -one, -two];
    for bit in 0..254u64 {
        let power = two.pow([bit]);
        edges.extend([power, power - one, -power, one - power]);
    }
    for width in 5..=16u64 {
        // All digits equal to the largest and to the smallest.
        let step = two.pow([width]);
        let repeated = (0..253 / width).fold(Fr::zero(), |sum, _| sum * step + one);
        let middle = two.pow([width - 1]);
        edges.extend([
            repeated * middle,
            repeated * (middle - one),
            -repeated * middle,
        ]);
    }
    for count in [200, edges.len(), 5_000, 40_000, 140_000] {
        let all: Vec<Fr> = edges.iter().copied().cycle().take(count).collect();
        check(&points::<g1::Config>(&mut rng, count), &all);
    }
}

/// Only short scalars: nothing has more than one digit.
#[test]
fn only_short_scalars() {
    let mut rng = StdRng::seed_from_u64(5);
    for bits in [1, 5, 6, 15] {
        let scalars: Vec<Fr> = (0..3_000)
            .map(|_| Fr::from(rng.gen_range(0..1u64 << bits)))
            .collect();
        check(&points::<g1::Config>(&mut rng, 3_000), &scalars);
        check(&points::<g2::Config>(&mut rng, 3_000), &scalars);
    }
}

/// As many threads as windows and more, and one.
#[test]
fn any_number_of_threads() {
    let mut rng = StdRng::seed_from_u64(6);
    let bases = points::<g1::Config>(&mut rng, 3_000);
    let scalars = mixed(&mut rng, 3_000);
    for threads in [1, 2, 3, 40] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| check(&bases, &scalars));
    }
}

/// Equal and opposite points here and there, among many that differ: batches of the vector path have one
/// such pair, or some, or only such.
#[test]
fn some_equal_points_among_many() {
    let mut rng = StdRng::seed_from_u64(7);
    for one_in in [2, 50, 3_000] {
        let mut bases = points::<g1::Config>(&mut rng, 20_000);
        for i in 1..bases.len() {
            if rng.gen_range(0..one_in) == 0 {
                bases[i] = if rng.r#gen() {
                    bases[i - 1]
                } else {
                    -bases[i - 1]
                };
            }
        }
        let mut scalars = mixed(&mut rng, bases.len());
        for i in 1..bases.len() {
            if rng.r#gen() {
                scalars[i] = scalars[i - 1];
            }
        }
        check(&bases, &scalars);
    }
}

/// Multiples of one point such that a bucket's tree doubles at every level, or cancels at a chosen one.
#[test]
fn chains_of_doublings_and_cancellations() {
    let mut rng = StdRng::seed_from_u64(8);
    let one = points::<g1::Config>(&mut rng, 1)[0];
    for count in [256, 4_096, 40_000] {
        let equal = vec![one; count];
        let signs = |level: u32| -> Vec<Affine<g1::Config>> {
            (0..count)
                .map(|i| if i >> level & 1 == 0 { one } else { -one })
                .collect()
        };
        for scalar in [Fr::from(1u64), Fr::from(40u64), Fr::rand(&mut rng)] {
            check(&equal, &vec![scalar; count]);
            for level in [0, 1, 2, 5] {
                check(&signs(level), &vec![scalar; count]);
            }
        }
        // The stand-in for infinity and the points that fill up batches are multiples of the generator.
        let generator = Affine::<g1::Config>::generator();
        let few = [generator, -generator, (generator + generator).into()];
        let bases: Vec<_> = (0..count).map(|i| few[i % 3]).collect();
        check(&bases, &mixed(&mut rng, count));
        check(&bases, &vec![Fr::from(2u64); count]);
    }
}

/// Two sums with the same scalars, of all points, of a range and of some.
fn check_two(first: &[Affine<g1::Config>], second: &[Affine<g2::Config>], rng: &mut StdRng) {
    let count = first.len();
    let scalars = mixed(rng, count);
    let places: Vec<u32> = (0u32..).take(count).filter(|_| rng.r#gen()).collect();
    let chosen: Vec<_> = places.iter().map(|place| first[*place as usize]).collect();
    for path in paths() {
        let (one, two) = (Bases::new(path, first), Bases::new(path, second));
        let sums = one
            .all()
            .sum_with(&two.all(), Stop::default(), |i| scalars[i]);
        let expected = (
            Projective::<g1::Config>::msm(first, &scalars).unwrap(),
            Projective::<g2::Config>::msm(second, &scalars).unwrap(),
        );
        assert_eq!(sums.unwrap(), expected, "{path:?}, {count} points");
        let (from, length) = (count - chosen.len(), chosen.len());
        let sums = two
            .range(from..count)
            .sum_with(&one.at(&places), Stop::default(), |i| scalars[i]);
        let expected = (
            Projective::<g2::Config>::msm(&second[from..], &scalars[..length]).unwrap(),
            Projective::<g1::Config>::msm(&chosen, &scalars[..length]).unwrap(),
        );
        assert_eq!(
            sums.unwrap(),
            expected,
            "{path:?}, {length} of {count} points"
        );
    }
}

#[test]
fn two_sums_with_the_same_scalars() {
    let mut rng = StdRng::seed_from_u64(9);
    for count in [0, 1, 127, 300, 20_000] {
        let (mut first, mut second) = (points(&mut rng, count), points(&mut rng, count));
        check_two(&first, &second, &mut rng);
        // Infinity in both, in the first, in the second; opposite points in one of them.
        for i in 1..count {
            match rng.gen_range(0..40) {
                0 => (first[i], second[i]) = (Affine::zero(), Affine::zero()),
                1 => first[i] = Affine::zero(),
                2 => second[i] = Affine::zero(),
                3 => first[i] = -first[i - 1],
                4 => second[i] = second[i - 1],
                _ => {}
            }
        }
        check_two(&first, &second, &mut rng);
        let few = points::<g1::Config>(&mut rng, 1);
        let same: Vec<_> = (0..count)
            .map(|i| if i % 4 < 2 { few[0] } else { -few[0] })
            .collect();
        check_two(&same, &second, &mut rng);
    }
}
