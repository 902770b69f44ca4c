//! The transform to the odd coset against `ark-poly`, on every path that the processor has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ark_bn254::Fr;
use ark_ff::{FftField, Field, UniformRand, Zero};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use msm::{OddCoset, Path};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn check(values: &[Fr]) {
    let size = values.len();
    let domain = Radix2EvaluationDomain::<Fr>::new(size).unwrap();
    let root = Fr::get_root_of_unity(2 * u64::try_from(size).unwrap()).unwrap();
    let expected = domain.get_coset(root).unwrap().fft(&domain.ifft(values));
    for path in [Path::Portable, Path::Ifma] {
        if path.is_supported() {
            let mut got = values.to_vec();
            OddCoset::new(path, size).unwrap().run(&mut got);
            assert_eq!(got, expected, "{path:?}, {size} values");
        }
    }
}

#[test]
fn every_size() {
    let mut rng = StdRng::seed_from_u64(1);
    for log_size in 0..=18 {
        let values: Vec<Fr> = (0..1 << log_size).map(|_| Fr::rand(&mut rng)).collect();
        check(&values);
    }
}

/// Values at the edges of the field, whose sums and differences leave the range most.
#[test]
fn edges_of_the_field() {
    let edges = [Fr::zero(), -Fr::ONE, Fr::ONE, -Fr::from(2u64)];
    for size in [64, 128, 256, 4_096, 1 << 16] {
        check(&vec![-Fr::ONE; size]);
        check(&vec![Fr::zero(); size]);
        let alternating =
            |period: usize| (0..size).map(|i| edges[i / period % 4]).collect::<Vec<_>>();
        check(&alternating(1));
        check(&alternating(8));
        check(&alternating(size / 4));
        let mut single = vec![Fr::zero(); size];
        single[size - 1] = -Fr::ONE;
        check(&single);
    }
}

#[test]
fn any_number_of_threads() {
    let mut rng = StdRng::seed_from_u64(2);
    let values: Vec<Fr> = (0..1 << 17).map(|_| Fr::rand(&mut rng)).collect();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| check(&values));
    }
}

#[test]
fn sizes_without_an_odd_coset_are_refused() {
    for path in [Path::Portable, Path::Ifma] {
        if path.is_supported() {
            assert!(OddCoset::new(path, 0).is_none());
            assert!(OddCoset::new(path, 3).is_none());
            assert!(OddCoset::new(path, 65).is_none());
            assert!(OddCoset::new(path, 1 << 28).is_none());
        }
    }
}

#[test]
#[should_panic(expected = "one value for each point")]
fn another_number_of_values_panics() {
    OddCoset::new(msm::path(), 128)
        .unwrap()
        .run(&mut [Fr::zero(); 64]);
}
