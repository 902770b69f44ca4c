//! Synthesis, proving against ark-groth16 on the same circuit in the same run, and verification.
//!
//! `QUIRE_BENCH_SHAPES=t18,t20` chooses the shapes of the proving part (default `t16`).
#![allow(missing_docs)]

use std::hint::black_box;

use ark_bn254::Bn254;
use ark_groth16::Groth16;
use ark_snark::SNARK;
use circuits::{
    shapes::{by_name, compile, padding},
    transition::{BatchCircuit, assignment},
};
use criterion::{Criterion, criterion_group, criterion_main};
use measuring::sample::full_values;
use prover::{
    prove::prove,
    setup::setup_insecure_dev,
    verify::{verify, verify_many},
};
use rand::rngs::OsRng;

fn shapes() -> Vec<String> {
    let chosen = std::env::var("QUIRE_BENCH_SHAPES").unwrap_or_else(|_| "t16".to_owned());
    chosen.split(',').map(str::to_owned).collect()
}

fn proving(c: &mut Criterion) {
    for name in shapes() {
        let shape = by_name(&name).expect("a named shape");
        let r1cs = compile(&shape).expect("named shapes compile").r1cs;
        let key = setup_insecure_dev(&r1cs, &name, &[], 7).expect("setup");
        let ark_key = Groth16::<Bn254>::generate_random_parameters_with_reduction(
            BatchCircuit(padding(&shape)),
            &mut OsRng,
        )
        .expect("setup");
        let values = full_values(&shape).expect("the tree has room for the accounts");
        let mut group = c.benchmark_group(format!("prove_{name}"));
        group.sample_size(10);
        group.bench_function("synthesis", |b| b.iter(|| assignment(black_box(&values))));
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a thread pool");
            group.bench_function(format!("quire_{threads}_threads"), |b| {
                b.iter(|| {
                    pool.install(|| {
                        prove(&key, &r1cs, &assignment(&values), &mut OsRng).expect("satisfied")
                    })
                });
            });
            group.bench_function(format!("ark_groth16_{threads}_threads"), |b| {
                b.iter(|| {
                    pool.install(|| {
                        Groth16::<Bn254>::prove(&ark_key, BatchCircuit(values.clone()), &mut OsRng)
                            .expect("satisfied")
                    })
                });
            });
        }
        group.finish();
    }
}

fn verification(c: &mut Criterion) {
    let shape = by_name("tiny").expect("named");
    let r1cs = compile(&shape).expect("named shapes compile").r1cs;
    let key = setup_insecure_dev(&r1cs, "tiny", &[], 7).expect("setup");
    let values = padding(&shape);
    let inputs = values.public_inputs();
    let proof = prove(&key, &r1cs, &assignment(&values), &mut OsRng).expect("satisfied");
    c.bench_function("verify/1", |b| {
        b.iter(|| verify(key.verifying_key(), &inputs, &proof).expect("a true proof"));
    });
    for count in [8, 64] {
        let statements = vec![(inputs, proof.clone()); count];
        c.bench_function(&format!("verify/{count}"), |b| {
            b.iter(|| verify_many(key.verifying_key(), &statements).expect("true proofs"));
        });
    }
}

criterion_group!(benches, verification, proving);
criterion_main!(benches);
