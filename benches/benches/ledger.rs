//! The ledger's primitives and a whole `apply_batch`.
#![allow(missing_docs)]

use std::{collections::BTreeMap, hint::black_box};

use benches::World;
use circuits::shapes::by_name;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ledger::{
    eddsa::{PrivateKey, verify},
    field::Fr,
    poseidon::{compress4, hash},
    transition::{BatchContext, Operation, apply_batch},
    tree::{LeafUpdate, Tree},
};

fn poseidon(c: &mut Criterion) {
    let x: [Fr; 5] = std::array::from_fn(|i| Fr::from(i as u64 + 7));
    let four: [Fr; 4] = std::array::from_fn(|i| x[i]);
    c.bench_function("poseidon/compress4", |b| {
        b.iter(|| compress4(black_box(&four)))
    });
    c.bench_function("poseidon/hash_2", |b| b.iter(|| hash(black_box(&x[..2]))));
    c.bench_function("poseidon/hash_5", |b| b.iter(|| hash(black_box(&x))));
}

fn eddsa(c: &mut Criterion) {
    let key = PrivateKey::derive("quire benchmark account", b"eddsa");
    let (public, message) = (key.public_key(), Fr::from(42u64));
    let signature = key.sign(&message);
    c.bench_function("eddsa/sign", |b| b.iter(|| key.sign(black_box(&message))));
    c.bench_function("eddsa/verify", |b| {
        b.iter(|| verify(&public, black_box(&message), &signature).expect("a true signature"));
    });
}

fn tree(c: &mut Criterion) {
    let world = World::new(12);
    let tree: &Tree = world.state.tree();
    c.bench_function("tree/update", |b| {
        b.iter_batched(
            || tree.clone(),
            |mut tree| tree.update(17, Fr::from(3u64)).expect("within the tree"),
            BatchSize::LargeInput,
        );
    });
    let updates: Vec<LeafUpdate> = (2..142u32)
        .map(|index| LeafUpdate {
            index,
            old_leaf: tree.leaf(index),
            new_leaf: Fr::from(index),
        })
        .collect();
    let mut group = c.benchmark_group("tree");
    group.throughput(Throughput::Elements(updates.len() as u64));
    group.bench_function("batch_140_updates", |b| {
        b.iter(|| tree.batch(black_box(&updates), 3).expect("within the tree"));
    });
    group.finish();
}

fn transition(c: &mut Criterion) {
    let shape = by_name("t20").expect("named");
    let mut world = World::new(shape.depth);
    let ops: Vec<Operation> = world
        .transfers(u32::from(shape.transfers))
        .into_iter()
        .map(Operation::Transfer)
        .collect();
    let context = BatchContext {
        domain: world.domain,
        batch_number: 1,
        timestamp: 0,
        fee_accounts: BTreeMap::from([(0, 1)]),
    };
    let mut group = c.benchmark_group("transition");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(ops.len() as u64));
    group.bench_function("apply_batch_t20", |b| {
        b.iter_batched(
            || world.state.clone(),
            |mut state| apply_batch(&mut state, &shape, context.clone(), &ops).expect("valid"),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, poseidon, eddsa, tree, transition);
criterion_main!(benches);
