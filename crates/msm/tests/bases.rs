//! Stored points and multiples of one point, on every path that the processor has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ark_bn254::{Fq, Fr, g1, g2};
use ark_ec::short_weierstrass::{Affine, Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{Field, PrimeField, UniformRand, Zero};
use msm::{BadRecord, Bases, FixedBase, Group, Path, Records, Stop};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn paths() -> impl Iterator<Item = Path> {
    [Path::Portable, Path::Ifma]
        .into_iter()
        .filter(|path| path.is_supported())
}

fn points<P: Group>(rng: &mut StdRng, count: usize) -> Vec<Affine<P>>
where
    Projective<P>: UniformRand,
{
    (0..count)
        .map(|i| match i % 9 {
            4 => Affine::zero(),
            _ => Projective::<P>::rand(rng).into_affine(),
        })
        .collect()
}

fn records<P: Group>(bytes: &[u8]) -> Records {
    let mut records = Records::zeroed::<P>(bytes.len() / Bases::<P>::RECORD);
    records.bytes_mut().copy_from_slice(bytes);
    records
}

fn all_records<P: Group>(bases: &Bases<P>) -> Vec<u8> {
    let mut bytes = Vec::new();
    bases.append_records(0..bases.len(), &mut bytes);
    bytes
}

/// Points come back from each path, and their bytes are the same on all.
fn round_trip<P: Group>()
where
    Projective<P>: UniformRand,
{
    let mut rng = StdRng::seed_from_u64(1);
    let points = points::<P>(&mut rng, 40);
    let bytes = all_records(&Bases::new(Path::Portable, &points));
    assert_eq!(bytes.len(), 40 * Bases::<P>::RECORD);
    for path in paths() {
        let bases = Bases::new(path, &points);
        assert_eq!((bases.len(), bases.path()), (40, path));
        assert_eq!(bases.to_affine(), points);
        assert_eq!(all_records(&bases), bytes);
        let loaded = Bases::<P>::from_records(path, records::<P>(&bytes)).unwrap();
        assert_eq!(loaded.to_affine(), points);
        assert_eq!(loaded, Bases::new(Path::Portable, &points));
        let mut part = Vec::new();
        loaded.append_records(3..7, &mut part);
        let record = Bases::<P>::RECORD;
        assert_eq!(part, bytes[3 * record..7 * record]);
        let empty = Bases::<P>::from_records(path, records::<P>(&[])).unwrap();
        assert!(empty.is_empty() && empty != loaded);
    }
}

#[test]
fn points_come_back_in_g1() {
    round_trip::<g1::Config>();
}

#[test]
fn points_come_back_in_g2() {
    round_trip::<g2::Config>();
}

/// The documented form: `x·2^260 mod p`, four little-endian limbs.
#[test]
fn records_have_the_documented_form() {
    let point = Projective::<g1::Config>::generator().into_affine();
    let bases = Bases::new(Path::Portable, &[point, Affine::zero()]);
    let scaled = |coordinate: Fq| {
        let value = (coordinate * Fq::from(2u64).pow([260])).into_bigint();
        value.0.iter().flat_map(|limb| limb.to_le_bytes()).collect()
    };
    let parts: [Vec<u8>; 3] = [scaled(point.x), scaled(point.y), vec![0; 64]];
    assert_eq!(all_records(&bases), parts.concat());
}

/// The base modulus in place of any coordinate is refused, and one less is not.
#[test]
fn records_that_are_not_reduced_are_refused() {
    let modulus: Vec<u8> = (Fq::MODULUS.0.iter())
        .flat_map(|limb| limb.to_le_bytes())
        .collect();
    let mut below = modulus.clone();
    below[0] -= 1;
    for path in paths() {
        let mut rng = StdRng::seed_from_u64(2);
        let bytes = all_records(&Bases::new(path, &points::<g2::Config>(&mut rng, 30)));
        for (index, part) in [(0, 0), (7, 1), (29, 2), (29, 3)] {
            let at = 128 * index + 32 * part;
            let mut edited = bytes.clone();
            edited[at..at + 32].copy_from_slice(&modulus);
            let bad = Bases::<g2::Config>::from_records(path, records::<g2::Config>(&edited));
            assert_eq!(bad.unwrap_err(), BadRecord { index });
            edited[at..at + 32].copy_from_slice(&below);
            let good = Bases::<g2::Config>::from_records(path, records::<g2::Config>(&edited));
            assert!(good.is_ok());
        }
    }
}

fn multiples_equal_the_reference<P: Group>(sizes: &[usize])
where
    Projective<P>: UniformRand,
{
    let mut rng = StdRng::seed_from_u64(3);
    let base = Projective::<P>::rand(&mut rng);
    let one = Fr::from(1u64);
    let half = Fr::from(Fr::MODULUS_MINUS_ONE_DIV_TWO);
    let mut edges = vec![Fr::zero(), one, -one, half, half + one, -half];
    for bit in 0..254u64 {
        let power = Fr::from(2u64).pow([bit]);
        edges.extend([power, -power, power - one, one - power]);
    }
    for &count in sizes {
        let scalars: Vec<Fr> = (0..count)
            .map(|i| match i % 4 {
                0 => Fr::rand(&mut rng),
                1 => Fr::from(rng.r#gen::<u32>() >> rng.gen_range(0..32)),
                _ => edges[(i + i / 7) % edges.len()],
            })
            .collect();
        let expected: Vec<Projective<P>> = scalars.iter().map(|scalar| base * scalar).collect();
        let expected = Projective::<P>::normalize_batch(&expected);
        for path in paths() {
            let table = FixedBase::new(path, base, count);
            assert_eq!(table.multiply(&scalars).to_affine(), expected, "{path:?}");
        }
    }
}

#[test]
fn multiples_in_g1() {
    multiples_equal_the_reference::<g1::Config>(&[0, 1, 7, 8, 1_500, 17_000]);
}

#[test]
fn multiples_in_g2() {
    multiples_equal_the_reference::<g2::Config>(&[0, 9, 1_500]);
}

/// Each width that the table of a size can have.
#[test]
fn multiples_with_every_width() {
    let mut rng = StdRng::seed_from_u64(4);
    let base = Projective::<g1::Config>::generator();
    let scalars: Vec<Fr> = (0..60).map(|_| Fr::rand(&mut rng)).collect();
    let expected: Vec<Projective<g1::Config>> = scalars.iter().map(|s| base * s).collect();
    let expected = Projective::normalize_batch(&expected);
    for path in paths() {
        for log_count in 4..20 {
            let table = FixedBase::new(path, base, 1 << log_count);
            assert_eq!(table.multiply(&scalars).to_affine(), expected);
        }
    }
}

/// A wish to stop is heard before all of the work is done.
#[test]
fn a_sum_stops_when_asked_to() {
    let mut rng = StdRng::seed_from_u64(5);
    let base = Projective::<g1::Config>::generator();
    let scalars: Vec<Fr> = (0..1 << 15).map(|_| Fr::rand(&mut rng)).collect();
    for path in paths() {
        let bases = FixedBase::new(path, base, 1 << 15).multiply(&scalars);
        let flag = AtomicBool::new(false);
        let stop = Stop(Some(&flag));
        assert!(bases.sum(stop, |i| scalars[i]).is_some());
        let seen = AtomicUsize::new(0);
        let stopping = |i: usize| {
            if seen.fetch_add(1, Ordering::Relaxed) == 20_000 {
                flag.store(true, Ordering::Relaxed);
            }
            scalars[i]
        };
        assert!(bases.sum(stop, stopping).is_none());
    }
}
