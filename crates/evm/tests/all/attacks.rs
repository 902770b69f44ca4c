//! Attacks on batches, keys and exits of the deployed bytecode. Names begin with the attack's number
//! in the project's list (docs/soundness.md).

use std::collections::BTreeMap;

use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, One, PrimeField};
use circuits::shapes::{by_name, compile};
use circuits::transition::{BatchValues, assignment};
use evm::chain::{CallError, Chain, Receipt};
use evm::rollup::{deploy, deploy_code};
use evm::sample::{
    self, OPERATOR, START, Sealed, Trapdoor, World, address, inputs_of, prove_again, raw_words,
    transfer, withdraw,
};
use l1::bytes::Bytes;
use l1::evm::abi::{self, call, selector, uint};
use l1::evm::artifacts::PATH_HASHER;
use l1::evm::calldata::{
    Entry, SUBMIT_BATCH, SUBMIT_BATCHES, decode, encode_batch, encode_batches,
};
use l1::{Exit, Submission};
use ledger::field::{Fr, from_be_bytes, to_be_bytes};
use ledger::poseidon::compress4;
use ledger::shape::Shape;
use ledger::transition::{BatchContext, Operation, apply_batch};
use num_bigint::BigUint;
use prover::proof::Proof;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const FEE: u128 = 1_000;
/// Of shape `tiny`, after the selector: new root, `c`, proof, L1 slots.
const NEW_ROOT: usize = 4 + 26;
const C: usize = 4 + 58;
const PROOF: usize = 4 + 90;

fn tiny() -> Shape {
    by_name("tiny").unwrap()
}

/// A change of published data, and the error that meets it.
type Change<'a> = (&'a dyn Fn(&mut Vec<u8>), &'a str);

/// The contract refused with this error.
pub fn refused<T: std::fmt::Debug>(result: Result<T, CallError>, error: &str) {
    let Err(CallError::Reverted { output, .. }) = result else {
        panic!("expected {error}, got {result:?}");
    };
    assert_eq!(
        output[..4],
        selector(error),
        "{error}: 0x{}",
        hex::encode(&output)
    );
}

fn send(world: &mut World, data: &[u8]) -> Result<Receipt, CallError> {
    world
        .rollup
        .send(&mut world.chain, &OPERATOR, 0, data.to_vec())
}

fn encode(sealed: &Sealed) -> Vec<u8> {
    encode_batch(&sealed.submission, &tiny(), &sealed.entries).unwrap()
}

/// Two accounts that wait, a transfer and a withdrawal on top of them.
fn story() -> (World, Sealed) {
    let mut world = World::new(&[tiny()], FEE);
    world.deposit(address(1), 0, 1_000_000);
    world.deposit(address(2), 0, 500);
    let domain = world.domain();
    let ops = [
        transfer(&domain, 1, (1, 2), (0, 300, 0), 0),
        withdraw(&domain, 1, 1, (0, 1_000, 0), 1),
    ];
    let sealed = world.seal(&tiny(), 2, &ops);
    (world, sealed)
}

fn plus(value: &mut [u8], modulus: BigUint, times: u32) {
    let bytes = (BigUint::from_bytes_be(value) + modulus * times).to_bytes_be();
    value.fill(0);
    value[32 - bytes.len()..].copy_from_slice(&bytes);
}

fn constructor_refuses(key: &[u8]) {
    let mut chain = Chain::new(1, START);
    let hasher = chain.deploy(&OPERATOR, PATH_HASHER.bytecode()).unwrap().0;
    let config = abi::Config {
        path_hasher: hasher,
        ..sample::config(4, FEE)
    };
    let good = Trapdoor::new(1).key([0; 32]);
    let mut arguments = abi::constructor(&config, &[(tiny(), &good)]);
    let start = arguments.len() - 704;
    arguments[start..].copy_from_slice(key);
    let mut error = selector("BadVerifyingKey(uint16)").to_vec();
    error.extend(uint(1));
    match deploy_code(&mut chain, &OPERATOR, &arguments) {
        Err(CallError::Reverted { output, .. }) => assert_eq!(output, error),
        // A precompile that gets a bad point keeps its gas.
        Err(CallError::Halted { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a1_a2_bad_verifying_keys_are_refused_at_deployment() {
    let good = Trapdoor::new(1).key([0; 32]).point_bytes();
    let (beta, gamma, delta) = (64..192, 192..320, 320..448);
    let ic = |i: usize| 448 + 64 * i..512 + 64 * i;
    let copy = |from: std::ops::Range<usize>, to: std::ops::Range<usize>| {
        let mut key = good.clone();
        let part = key[from].to_vec();
        key[to].copy_from_slice(&part);
        key
    };
    let put = |bytes: &[u8], to: usize| {
        let mut key = good.clone();
        key[to..to + bytes.len()].copy_from_slice(bytes);
        key
    };
    let g1 = prover::proof::encode_g1(&G1Affine::generator());
    let g2 = prover::proof::encode_g2(&G2Affine::generator());
    let minus_g2 = prover::proof::encode_g2(&(-G2Affine::generator()));
    let mut keys = vec![
        copy(gamma.clone(), delta.clone()),
        copy(beta.clone(), gamma.clone()),
        copy(beta.clone(), delta.clone()),
        copy(ic(1), ic(2)),
        copy(ic(0), ic(3)),
        put(&g1, 0),
        put(&g2, beta.start),
        put(&g2, delta.start),
        put(&minus_g2, delta.start),
        put(&[0; 64], 0),
        put(&[0; 128], beta.start),
        put(&[0; 128], gamma.start),
        put(&[0; 128], delta.start),
        put(&[0; 64], ic(0).start),
        put(&[0; 64], ic(3).start),
    ];
    // Equal up to sign.
    let p = BigUint::from(Fq::MODULUS);
    let negate = |key: &mut Vec<u8>, at: usize| {
        let bytes = (&p - BigUint::from_bytes_be(&key[at..at + 32])).to_bytes_be();
        key[at..at + 32].fill(0);
        key[at + 32 - bytes.len()..at + 32].copy_from_slice(&bytes);
    };
    let mut key = copy(gamma.clone(), delta.clone());
    negate(&mut key, delta.start + 64);
    negate(&mut key, delta.start + 96);
    keys.push(key);
    let mut key = copy(ic(1), ic(2));
    negate(&mut key, ic(2).start + 32);
    keys.push(key);
    // Off the curve, not below p, outside the subgroup.
    for at in [31, ic(2).start + 31, gamma.start + 31] {
        let mut key = good.clone();
        key[at] ^= 1;
        keys.push(key);
    }
    for at in [0, ic(1).start, delta.start] {
        let mut key = good.clone();
        plus(&mut key[at..at + 32], p.clone(), 1);
        keys.push(key);
    }
    keys.push(put(&outside_subgroup(), gamma.start));
    for key in &keys {
        constructor_refuses(key);
    }
}

/// A point of the twist that is not in the subgroup of order r.
fn outside_subgroup() -> [u8; 128] {
    let b = ark_bn254::G2Affine::generator();
    let constant = b.y.square() - b.x.square() * b.x;
    let points = (1u64..).filter_map(|n| {
        let x = Fq2::new(Fq::from(n), Fq::one());
        let y = (x.square() * x + constant).sqrt()?;
        Some(G2Affine::new_unchecked(x, y))
    });
    let mut bad = points.filter(|point| !point.is_in_correct_subgroup_assuming_on_curve());
    let point = bad.next().unwrap();
    assert!(point.is_on_curve());
    prover::proof::encode_g2(&point)
}

#[test]
fn a1_bad_configurations_are_refused_at_deployment() {
    let key = Trapdoor::new(1).key([0; 32]);
    let try_with = |config: abi::Config, shapes: &[Shape], error: &str| {
        let mut chain = Chain::new(1, START);
        let listed: Vec<_> = shapes.iter().map(|shape| (*shape, &key)).collect();
        refused(deploy(&mut chain, &OPERATOR, config, &listed), error);
    };
    let good = sample::config(4, FEE);
    let shape = tiny();
    try_with(good, &[], "BadConfig()");
    try_with(good, &[Shape { l1_ops: 0, ..shape }], "BadConfig()");
    try_with(abi::Config { depth: 0, ..good }, &[shape], "BadConfig()");
    try_with(abi::Config { depth: 17, ..good }, &[shape], "BadConfig()");
    try_with(
        abi::Config {
            operator: Bytes([0; 20]),
            ..good
        },
        &[shape],
        "BadConfig()",
    );
    let with_times = |slack, takeover_after, freeze_after| abi::Config {
        timestamp_slack: slack,
        takeover_after,
        freeze_after,
        ..good
    };
    let (day, most) = (86_400, 90 * 86_400);
    for (slack, takeover_after, freeze_after) in [
        (3 * day, 3 * day, 7 * day),
        (0, 7_199, 7 * day),
        (day, 3 * day, 6 * day - 1),
        (day, 3 * day, most + 1),
        (day, (1 << 40) - 1, (1 << 40) - 1),
        (day, 3 * day, 34_800 * 365 * day),
    ] {
        let config = with_times(slack, takeover_after, freeze_after);
        try_with(config, &[shape], "BadConfig()");
    }
    for (slack, takeover_after, freeze_after) in [(3 * day - 1, 3 * day, 6 * day), (0, 7_200, most)]
    {
        let mut chain = Chain::new(1, START);
        let config = with_times(slack, takeover_after, freeze_after);
        deploy(&mut chain, &OPERATOR, config, &[(shape, &key)]).unwrap();
    }
    try_with(good, &[shape, shape], "BadShape(uint16)");
    try_with(
        good,
        &[Shape {
            transfers: 3,
            ..shape
        }],
        "BadShape(uint16)",
    );
    try_with(
        good,
        &[Shape {
            withdrawals: 1,
            ..shape
        }],
        "BadShape(uint16)",
    );
    try_with(
        good,
        &[Shape {
            fee_slots: 0,
            ..shape
        }],
        "BadShape(uint16)",
    );
    let mut chain = Chain::new(1, START);
    let config = abi::Config {
        path_hasher: address(1),
        ..good
    };
    let arguments = abi::constructor(&config, &[(shape, &key)]);
    refused(
        deploy_code(&mut chain, &OPERATOR, &arguments),
        "BadConfig()",
    );
}

#[test]
fn a_real_proof_verifies_and_binds_every_public_input() {
    let shape = tiny();
    let r1cs = compile(&shape).unwrap().r1cs;
    let key = prover::setup::setup_insecure_dev(&r1cs, "tiny", b"tiny", 7).unwrap();
    let mut chain = Chain::new(5, START);
    chain.fund(&address(1), 1 << 90);
    let rollup = deploy(
        &mut chain,
        &OPERATOR,
        sample::config(4, FEE),
        &[(shape, key.verifying_key())],
    );
    let rollup = rollup.unwrap();
    let deposit = sample::deposit(address(1), 1, 0, 5_000, FEE);
    rollup.deposit(&mut chain, &deposit).unwrap();
    let op = ledger::operation::L1Op::Create {
        index: 1,
        token: 0,
        amount: 5_000,
        key: deposit.key,
    };
    let domain = rollup.domain(&chain);
    let context = BatchContext {
        domain,
        batch_number: 1,
        timestamp: START,
        fee_accounts: BTreeMap::new(),
    };
    let mut state = ledger::state::State::new(4);
    let ops = [Operation::L1(op), withdraw(&domain, 1, 1, (0, 7, 0), 0)];
    let applied = apply_batch(&mut state, &shape, context, &ops).unwrap();
    let values = BatchValues::of(&applied.witness).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let proof = prover::prove::prove(&key, &r1cs, &assignment(&values), &mut rng).unwrap();
    let submission = Submission::new(&applied.words, &shape, &values.c, &proof).unwrap();
    let entries = [Entry {
        op,
        payer: address(1),
        time: START,
    }];
    let data = encode_batch(&submission, &shape, &entries).unwrap();
    // c itself, and through the words z and y.
    for at in [C + 31, NEW_ROOT + 31, data.len() - 12] {
        let mut changed = data.clone();
        changed[at] ^= 1;
        refused(
            chain.call(&OPERATOR, &rollup.address, 0, changed),
            "ProofRejected()",
        );
    }
    chain.call(&OPERATOR, &rollup.address, 0, data).unwrap();
    assert_eq!(rollup.state(&mut chain).root, state.root());
    assert_eq!(rollup.claimable(&mut chain, &address(1), 0), 7);
}

#[test]
fn a4_aliases_of_field_elements_are_refused_even_with_a_proof() {
    let (mut world, sealed) = story();
    let r = BigUint::from(Fr::MODULUS);
    for at in [NEW_ROOT, C] {
        for times in 1..=4 {
            let mut data = encode(&sealed);
            plus(&mut data[at..at + 32], r.clone(), times);
            refused(send(&mut world, &data), "NotCanonical()");
            data[at..at + 32].fill(0xff);
            refused(send(&mut world, &data), "NotCanonical()");
        }
    }
    for coordinate in 0..8 {
        let at = PROOF + 32 * coordinate;
        let mut data = encode(&sealed);
        plus(&mut data[at..at + 32], BigUint::from(Fq::MODULUS), 1);
        refused(send(&mut world, &data), "ProofRejected()");
    }
    send(&mut world, &encode(&sealed)).unwrap();
}

#[test]
fn a5_a14_every_other_length_is_refused() {
    let (mut world, sealed) = story();
    let data = encode(&sealed);
    for length in 4..data.len() {
        let result = send(&mut world, &data[..length]);
        assert!(
            matches!(result, Err(CallError::Reverted { .. })),
            "{length}"
        );
    }
    for more in [1, 22, 30, 32, 130] {
        let mut longer = data.clone();
        longer.extend(vec![0; more]);
        refused(send(&mut world, &longer), "BadLength()");
    }
    for length in 0..4 {
        assert!(send(&mut world, &data[..length]).is_err());
    }
    send(&mut world, &data).unwrap();
}

#[test]
fn a6_points_at_infinity_off_curve_or_outside_the_subgroup_are_refused() {
    let (mut world, sealed) = story();
    let good = encode(&sealed);
    let words = raw_words(&sealed.submission.data, &tiny());
    let c = from_be_bytes(&sealed.submission.c).unwrap();
    let infinite = world.trapdoor.prove_with_infinite_c(&inputs_of(&words, c));
    let mut changes: Vec<(usize, Vec<u8>)> = vec![
        (0, infinite.to_vec()),
        (0, vec![0; 256]),
        (0, vec![0; 64]),
        (64, vec![0; 128]),
        (192, vec![0; 64]),
        (64, outside_subgroup().to_vec()),
    ];
    changes.push((0, vec![0xff; 256]));
    for (at, bytes) in changes {
        let mut data = good.clone();
        data[PROOF + at..PROOF + at + bytes.len()].copy_from_slice(&bytes);
        refused(send(&mut world, &data), "ProofRejected()");
        let mut several = selector("submitBatches()").to_vec();
        several.extend([0, 1]);
        several.extend(&data[4..]);
        refused(send(&mut world, &several), "ProofRejected()");
    }
    send(&mut world, &good).unwrap();
}

#[test]
fn a8_a9_other_bytes_of_an_accepted_proof_change_nothing() {
    let (mut world, sealed) = story();
    let data = encode(&sealed);
    send(&mut world, &data).unwrap();
    refused(send(&mut world, &data), "WrongBatchNumber(uint40,uint40)");
    let again = prove_again(&sealed.submission, &tiny(), &world.trapdoor);
    assert_ne!(again.proof, sealed.submission.proof);
    let data = encode_batch(&again, &tiny(), &sealed.entries).unwrap();
    refused(send(&mut world, &data), "WrongBatchNumber(uint40,uint40)");
}

#[test]
fn a10_a_batch_of_another_deployment_is_refused() {
    let (mut world, sealed) = story();
    let key = world.trapdoor.key([0; 32]);
    let other = deploy(
        &mut world.chain,
        &address(3),
        world.rollup.config,
        &[(tiny(), &key)],
    );
    let other = other.unwrap();
    for (owner, index, amount) in [(1, 1, 1_000_000), (2, 2, 500)] {
        let deposit = sample::deposit(address(owner), index, 0, amount, FEE);
        other.deposit(&mut world.chain, &deposit).unwrap();
    }
    let data = encode(&sealed);
    refused(
        other.send(&mut world.chain, &OPERATOR, 0, data.clone()),
        "ProofRejected()",
    );
    send(&mut world, &data).unwrap();
}

#[test]
fn a11_g7_only_the_operator_itself_may_submit_and_collect() {
    let (mut world, sealed) = story();
    let data = encode(&sealed);
    let rollup = world.rollup.address;
    let stranger = world.chain.call(&address(3), &rollup, 0, data.clone());
    refused(stranger, "NotOpen()");
    refused(
        world
            .chain
            .call(&address(3), &rollup, 0, abi::collect_fees(&address(3))),
        "NotOperator()",
    );
    // A contract that is the operator: its data would not be the transaction's.
    let actor = crate::bridge::actor(&mut world.chain);
    let config = abi::Config {
        operator: actor,
        ..world.rollup.config
    };
    let key = world.trapdoor.key([0; 32]);
    let owned = deploy(&mut world.chain, &OPERATOR, config, &[(tiny(), &key)]).unwrap();
    let run = crate::bridge::run(&owned.address, 0, &data);
    refused(
        world.chain.call(&address(3), &actor, 0, run),
        "NotPlainAccount()",
    );
    // The operator's own key, but delegated to code (EIP-7702).
    let before = world.chain.snapshot();
    world.chain.delegate(&OPERATOR, &actor);
    refused(send(&mut world, &data), "NotPlainAccount()");
    world.chain.restore(&before);
    send(&mut world, &data).unwrap();
}

#[test]
fn a12_a_batch_under_another_shape_id_is_refused() {
    let other = Shape { id: 2, ..tiny() };
    let mut world = World::new(&[tiny(), other], FEE);
    let mut data = encode(&world.seal(&tiny(), 0, &[]));
    data[5] = 2;
    refused(send(&mut world, &data), "ProofRejected()");
    data[5] = 3;
    refused(send(&mut world, &data), "UnknownShape(uint16)");
}

#[test]
fn a14_with_too_little_gas_nothing_happens() {
    let (mut world, sealed) = story();
    let data = encode(&sealed);
    let before = world.rollup.state(&mut world.chain);
    let start = world.chain.snapshot();
    let rollup = world.rollup.address;
    let needed = send(&mut world, &data).unwrap().gas;
    world.chain.restore(&start);
    let (mut refusals, mut starved) = (0, 0);
    for gas in (40_000..needed + 60_000).step_by(997) {
        let result = world
            .chain
            .call_with_gas(&OPERATOR, &rollup, 0, data.clone(), gas);
        if result.is_ok() {
            assert_ne!(world.rollup.state(&mut world.chain).root, before.root);
            world.chain.restore(&start);
            continue;
        }
        assert_eq!(world.rollup.state(&mut world.chain), before);
        refusals += 1;
        // Nobody is told that the proof does not hold.
        if let Err(CallError::Reverted { output, .. }) = result {
            assert_eq!(output, selector("Starved()"), "{gas}");
            starved += 1;
        }
    }
    assert!(refusals > 100 && starved > 0);
}

#[test]
fn a14_with_too_little_gas_no_proof_of_several_and_no_key_is_called_bad() {
    let (mut world, first) = story();
    let second = world.seal_after(&first, 2, &tiny(), &[]);
    let batches = [
        (&first.submission, first.entries.as_slice()),
        (&second.submission, &[][..]),
    ];
    let data = encode_batches(&batches, &tiny()).unwrap();
    let start = world.chain.snapshot();
    let needed = send(&mut world, &data).unwrap().gas;
    let rollup = world.rollup.address;
    let mut starved = 0;
    for gas in (40_000..needed + 80_000).step_by(997) {
        world.chain.restore(&start);
        let sent = world
            .chain
            .call_with_gas(&OPERATOR, &rollup, 0, data.clone(), gas);
        if let Err(CallError::Reverted { output, .. }) = sent {
            assert_eq!(output, selector("Starved()"), "{gas}");
            starved += 1;
        }
    }
    assert!(starved > 0);
    world.chain.restore(&start);
    let key = world.trapdoor.key([0; 32]);
    let config = world.rollup.config;
    let mut code = l1::evm::artifacts::ROLLUP.bytecode();
    code.extend(abi::constructor(&config, &[(tiny(), &key)]));
    let needed = world.chain.deploy(&OPERATOR, code.clone()).unwrap().1.limit;
    for gas in (1_000_000..needed).step_by(39_989) {
        world.chain.restore(&start);
        let deployed = world.chain.deploy_with_gas(&OPERATOR, code.clone(), gas);
        if let Err(CallError::Reverted { output, .. }) = deployed {
            assert_eq!(output, selector("Starved()"), "{gas}");
        }
    }
}

#[test]
fn a17_a18_errors_of_two_proofs_cannot_be_made_to_cancel() {
    let (mut world, first) = story();
    let second = world.seal_after(&first, 2, &tiny(), &[]);
    let shift = |submission: &Submission, by: G1Affine| {
        let proof = Proof::from_bytes(&submission.proof).unwrap();
        let c = (*proof.c() + by).into_affine();
        let proof = Proof::new(*proof.a(), *proof.b(), c).unwrap().to_bytes();
        Submission {
            proof,
            ..submission.clone()
        }
    };
    let d = G1Affine::generator();
    let one = shift(&first.submission, d);
    let two = shift(&second.submission, -d);
    let batches: [(&Submission, &[Entry]); 2] = [(&one, &first.entries), (&two, &[])];
    let data = encode_batches(&batches, &tiny()).unwrap();
    refused(send(&mut world, &data), "ProofRejected()");
    // Proofs of each other's batches.
    let one = Submission {
        proof: second.submission.proof,
        ..first.submission.clone()
    };
    let two = Submission {
        proof: first.submission.proof,
        ..second.submission.clone()
    };
    let batches: [(&Submission, &[Entry]); 2] = [(&one, &first.entries), (&two, &[])];
    let data = encode_batches(&batches, &tiny()).unwrap();
    refused(send(&mut world, &data), "ProofRejected()");
    world.submit_all(&tiny(), &[first, second]);
}

#[test]
fn f1_every_bit_counts() {
    let (mut world, sealed) = story();
    let data = encode(&sealed);
    // Every third bit, so that all positions in a byte are met.
    for bit in (32..8 * data.len()).step_by(3) {
        let mut changed = data.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let result = send(&mut world, &changed);
        assert!(
            matches!(result, Err(CallError::Reverted { .. })),
            "bit {bit}: {result:?}"
        );
    }
    send(&mut world, &data).unwrap();
}

#[test]
fn f2_zero_words_may_not_be_carried() {
    let mut world = World::new(&[tiny()], FEE);
    let data = encode(&world.seal(&tiny(), 0, &[]));
    for (section, bytes) in [(1, 30), (2, 22)] {
        let mut longer = data.clone();
        longer[4 + 20 + 2 * section + 1] = 1;
        longer.extend(vec![0; bytes]);
        refused(send(&mut world, &longer), "ZeroWordCarried()");
    }
    send(&mut world, &data).unwrap();
}

#[test]
fn f6_the_state_is_restored_from_calldata_alone() {
    let (mut world, sealed) = story();
    let domain = world.domain();
    let mut calls = vec![encode(&sealed)];
    world.submit(&tiny(), sealed);
    let one = world.seal(&tiny(), 0, &[transfer(&domain, 2, (2, 1), (0, 20, 0), 0)]);
    let two = world.seal_after(&one, 3, &tiny(), &[withdraw(&domain, 2, 2, (0, 9, 0), 1)]);
    let batches: [(&Submission, &[Entry]); 2] = [(&one.submission, &[]), (&two.submission, &[])];
    calls.push(encode_batches(&batches, &tiny()).unwrap());
    world.submit_all(&tiny(), &[one, two]);
    let mut state = ledger::state::State::new(4);
    for data in calls {
        let shape = tiny();
        let sent = decode(
            &data,
            |id| (id == 1).then_some(&shape),
            &domain,
            &state.root(),
        );
        for batch in sent.unwrap() {
            let words = ledger::words::PublicWords::from_bytes(&batch.submission.data, &shape);
            ledger::replay::replay(&words.unwrap(), &shape, &mut state).unwrap();
        }
    }
    assert_eq!(to_be_bytes(&state.root()), world.root());
    assert_eq!(world.rollup.state(&mut world.chain).root, state.root());
}

#[test]
fn f7_f8_batches_come_in_order_and_once() {
    let (mut world, first) = story();
    let fork = world.seal(&tiny(), 1, &[]);
    let second = world.seal_after(&first, 2, &tiny(), &[]);
    refused(
        send(&mut world, &encode(&second)),
        "WrongBatchNumber(uint40,uint40)",
    );
    world.submit(&tiny(), first);
    refused(
        send(&mut world, &encode(&fork)),
        "WrongBatchNumber(uint40,uint40)",
    );
    // The fork under the next number: its old root is not the contract's.
    let mut moved = encode(&fork);
    moved[4 + 6] = 2;
    refused(send(&mut world, &moved), "QueueTooShort(uint40)");
    world.submit(&tiny(), second);
}

#[test]
fn what_only_l1_knows_is_refused_even_with_a_proof() {
    let (mut world, sealed) = story();
    let reforged = |world: &World, change: &dyn Fn(&mut Vec<u8>)| {
        let mut submission = sealed.submission.clone();
        change(&mut submission.data);
        let submission = prove_again(&submission, &tiny(), &world.trapdoor);
        // The contract's calldata cannot say domain, root or the queue otherwise: only these do.
        let mut data = encode(&sealed);
        let counts = 108 + 8;
        data[4..4 + 20].copy_from_slice(&submission.data[96..counts]);
        data[PROOF..PROOF + 256].copy_from_slice(&submission.proof);
        let paid = counts + 6 + 105 - 16;
        let slot = PROOF + 256 + 114;
        data[slot..slot + 16].copy_from_slice(&submission.data[paid..paid + 16]);
        let end = data.len();
        let tail = submission.data.len() - 22;
        data[end - 22..].copy_from_slice(&submission.data[tail..]);
        data
    };
    let timestamp = |time: u64| {
        move |data: &mut Vec<u8>| data[103..108].copy_from_slice(&time.to_be_bytes()[3..])
    };
    let cases: [Change<'_>; 7] = [
        (
            &timestamp(START + 1),
            "BadTimestamp(uint256,uint256,uint256)",
        ),
        (
            &timestamp(START - 86_401),
            "BadTimestamp(uint256,uint256,uint256)",
        ),
        (&|data| data[102] = 2, "WrongBatchNumber(uint40,uint40)"),
        // A Create that pays out.
        (&|data| data[122 + 104] = 1, "PaysOutWrongly(uint40)"),
        (
            &|data| {
                let at = data.len() - 22;
                data[at + 3] = 9
            },
            "Unregistered(uint32)",
        ),
        (
            &|data| {
                let at = data.len() - 22;
                data[at + 4..at + 9].fill(0xff)
            },
            "WithdrawalTooLarge(uint32)",
        ),
        (
            &|data| {
                let at = data.len() - 22;
                data[at + 4] = 0xf0
            },
            "PaysTooMuch(uint32)",
        ),
    ];
    for (change, error) in cases {
        let data = reforged(&world, change);
        refused(send(&mut world, &data), error);
    }
    let data = reforged(&world, &|_| {});
    send(&mut world, &data).unwrap();
}

/// A frozen rollup with three accounts, an old root, and a deposit that waits.
fn frozen() -> (World, Fr, Entry) {
    let (mut world, sealed) = story();
    world.submit(&tiny(), sealed);
    let old_root = world.state.root();
    let domain = world.domain();
    let pay = transfer(&domain, 1, (1, 2), (0, 1, 0), 2);
    let batch = world.seal(&tiny(), 0, &[pay]);
    world.submit(&tiny(), batch);
    world.deposit(address(3), 0, 77);
    let entry = *world.queue.last().unwrap();
    let later = world.chain.time() + 7 * 86_400 + 1;
    world.chain.set_time(later);
    world.rollup.freeze(&mut world.chain, &address(9)).unwrap();
    (world, old_root, entry)
}

fn exit_of(world: &World, index: u32) -> Exit {
    Exit {
        index,
        account: *world.state.account(index).unwrap(),
        siblings: world.state.prove(index).unwrap().siblings,
    }
}

fn try_exit(world: &mut World, exit: &Exit) -> Result<Receipt, CallError> {
    world.rollup.exit(&mut world.chain, &address(8), exit)
}

#[test]
fn e1_a_node_is_no_leaf() {
    let (mut world, _, _) = frozen();
    let good = exit_of(&world, 1);
    // One level less or more.
    let mut short = good.clone();
    short.siblings.pop();
    refused(try_exit(&mut world, &short), "BadLength()");
    let mut long = good.clone();
    long.siblings.push([Fr::from(0u64); 3]);
    refused(try_exit(&mut world, &long), "BadLength()");
    // The four leaves of the first group as the fields of a leaf: compress4 of them is a node one
    // level up. The lane and the balance are typed, so such fields have no encoding; raw words that
    // do not fit their type are refused.
    let leaves: Vec<[u8; 32]> = (0..4)
        .map(|i| to_be_bytes(&world.state.tree().leaf(i)))
        .collect();
    let mut words = vec![
        uint(1),
        leaves[0],
        leaves[1],
        leaves[2],
        leaves[3],
        uint(0),
        uint(7 * 32),
        uint(12),
    ];
    words.extend(
        exit_of(&world, 1).siblings[1..]
            .iter()
            .flatten()
            .map(to_be_bytes),
    );
    words.extend([uint(0); 3]);
    let data = call(
        "exit(uint32,(uint256,uint256,uint32,uint40,uint128),uint256[])",
        &words,
    );
    assert!(
        world
            .rollup
            .send(&mut world.chain, &address(8), 0, data)
            .is_err()
    );
    try_exit(&mut world, &good).unwrap();
}

#[test]
fn e3_e4_e5_e6_only_the_true_leaf_at_its_own_place_leaves() {
    let (mut world, _, _) = frozen();
    let good = exit_of(&world, 1);
    let neighbour = Exit {
        index: 2,
        ..good.clone()
    };
    refused(try_exit(&mut world, &neighbour), "NotInTree(uint32)");
    let same_path = Exit {
        index: 1 + 256,
        ..good.clone()
    };
    refused(try_exit(&mut world, &same_path), "Unregistered(uint32)");
    // Registered by the deposit that waits, not in the tree.
    let absent = Exit {
        index: 3,
        ..good.clone()
    };
    refused(try_exit(&mut world, &absent), "NotInTree(uint32)");
    for level in 0..4 {
        for place in 0..3 {
            let mut exit = good.clone();
            exit.siblings[level][place] += Fr::from(1u64);
            refused(try_exit(&mut world, &exit), "NotInTree(uint32)");
        }
    }
    let mut exit = good.clone();
    exit.account.balance += 1;
    refused(try_exit(&mut world, &exit), "NotInTree(uint32)");
    let mut exit = good.clone();
    exit.account.nonce += 1;
    refused(try_exit(&mut world, &exit), "NotInTree(uint32)");
    let mut exit = good.clone();
    exit.account.token = 1;
    refused(try_exit(&mut world, &exit), "OtherToken(uint32)");
    // The lane with another token and nonce: the nonce's type has no room for it.
    let mut exit = good.clone();
    exit.account.nonce += 1 << 40;
    let result = try_exit(&mut world, &exit);
    assert!(matches!(result, Err(CallError::Reverted { ref output, .. }) if output.is_empty()));
    try_exit(&mut world, &good).unwrap();
    refused(try_exit(&mut world, &good), "AlreadyExited(uint32)");
}

#[test]
fn e6_a_leaf_of_an_older_root_does_not_leave() {
    let (mut world, sealed) = story();
    world.submit(&tiny(), sealed);
    let old = exit_of(&world, 1);
    let domain = world.domain();
    let batch = world.seal(&tiny(), 0, &[transfer(&domain, 1, (1, 2), (0, 1, 0), 2)]);
    world.submit(&tiny(), batch);
    refused(try_exit(&mut world, &old), "NotFrozen()");
    world.deposit(address(3), 0, 77);
    let later = world.chain.time() + 7 * 86_400 + 1;
    world.chain.set_time(later);
    world.rollup.freeze(&mut world.chain, &address(9)).unwrap();
    refused(try_exit(&mut world, &old), "NotInTree(uint32)");
}

#[test]
fn e_aliases_and_dirty_bits_of_an_exit_are_refused() {
    let (mut world, _, _) = frozen();
    let good = abi::exit(&exit_of(&world, 1));
    let r = BigUint::from(Fr::MODULUS);
    // ax, ay, the first and the last sibling.
    for word in [1, 2, 8, 8 + 11] {
        let mut data = good.clone();
        let at = 4 + 32 * word;
        plus(&mut data[at..at + 32], r.clone(), 1);
        refused(
            world.rollup.send(&mut world.chain, &address(8), 0, data),
            "NotCanonical()",
        );
    }
    // index, token, nonce, balance: bits above the type, so also balance + r.
    for (word, byte) in [(0, 27), (3, 27), (4, 26), (5, 15)] {
        let mut data = good.clone();
        data[4 + 32 * word + byte] = 1;
        assert!(
            world
                .rollup
                .send(&mut world.chain, &address(8), 0, data)
                .is_err()
        );
    }
    let mut data = good.clone();
    plus(&mut data[4 + 32 * 5..4 + 32 * 6], r, 1);
    assert!(
        world
            .rollup
            .send(&mut world.chain, &address(8), 0, data)
            .is_err()
    );
    world
        .rollup
        .send(&mut world.chain, &address(8), 0, good)
        .unwrap();
}

#[test]
fn e_the_path_hasher_agrees_with_the_ledger() {
    let mut chain = Chain::new(1, START);
    let hasher = chain.deploy(&OPERATOR, PATH_HASHER.bytecode()).unwrap().0;
    let root_of = |chain: &mut Chain, index: u32, leaf: [Fr; 4], siblings: &[[Fr; 3]]| {
        let mut words = vec![uint(index.into())];
        words.extend(leaf.iter().map(to_be_bytes));
        words.push(uint(6 * 32));
        words.push(uint(u128::try_from(3 * siblings.len()).unwrap()));
        words.extend(siblings.iter().flatten().map(to_be_bytes));
        let data = call("rootOf(uint256,uint256[4],uint256[])", &words);
        from_be_bytes(&chain.view(&hasher, data).unwrap().try_into().unwrap()).unwrap()
    };
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let mut next = || <Fr as ark_ff::UniformRand>::rand(&mut rng);
    let edges = [Fr::from(0u64), -Fr::from(1u64), Fr::from(1u64)];
    for round in 0u32..60 {
        let leaf = if round < 3 {
            [edges[round as usize % 3]; 4]
        } else {
            [next(), next(), next(), next()]
        };
        assert_eq!(root_of(&mut chain, 0, leaf, &[]), compress4(&leaf));
        let siblings: Vec<[Fr; 3]> = (0..12).map(|_| [next(), next(), next()]).collect();
        let index = round.wrapping_mul(2_654_435_761) % (1 << 24);
        let mut node = compress4(&leaf);
        for (level, others) in (0..).zip(&siblings) {
            let mut children = others.to_vec();
            let position = usize::try_from(index >> (2 * level) & 3).unwrap();
            children.insert(position, node);
            node = compress4(&children.try_into().unwrap());
        }
        assert_eq!(root_of(&mut chain, index, leaf, &siblings), node);
    }
    for depth in 1..=16 {
        let data = call("emptyRoot(uint256)", &[uint(depth.into())]);
        let got = chain.view(&hasher, data).unwrap();
        assert_eq!(got, to_be_bytes(&ledger::tree::empty_root(depth)));
    }
}

#[test]
fn calls_have_the_selectors_of_the_abi() {
    let json: serde_json::Value = serde_json::from_str(l1::evm::artifacts::ROLLUP.json).unwrap();
    fn kind(input: &serde_json::Value) -> String {
        let name = input["type"].as_str().unwrap();
        let Some(rest) = name.strip_prefix("tuple") else {
            return name.to_owned();
        };
        let parts = input["components"].as_array().unwrap();
        let parts: Vec<String> = parts.iter().map(kind).collect();
        format!("({}){rest}", parts.join(","))
    }
    let functions = json["abi"].as_array().unwrap().iter();
    let functions = functions.filter(|item| item["type"] == "function");
    let known: std::collections::BTreeSet<[u8; 4]> = functions
        .map(|item| {
            let inputs: Vec<String> = item["inputs"]
                .as_array()
                .unwrap()
                .iter()
                .map(kind)
                .collect();
            selector(&format!(
                "{}({})",
                item["name"].as_str().unwrap(),
                inputs.join(",")
            ))
        })
        .collect();
    let (world, _, entry) = frozen();
    let point = entry.op.key_words().map(|_| Fr::from(1u64));
    let point = ledger::babyjubjub::Point {
        x: point[0],
        y: point[1],
    };
    for data in [
        abi::add_token(&OPERATOR),
        abi::deposit(0, 0, &point, &point),
        abi::top_up(1, 1),
        abi::request_exit(1),
        abi::claim(0, &OPERATOR),
        abi::collect_fees(&OPERATOR),
        abi::return_operator(),
        abi::offer_operator(Some(&OPERATOR)),
        abi::accept_operator(),
        abi::freeze(),
        abi::cancel_deposit(0, &entry),
        abi::exit(&exit_of(&world, 1)),
        selector(SUBMIT_BATCH).to_vec(),
        selector(SUBMIT_BATCHES).to_vec(),
    ] {
        assert!(known.contains(&data[..4]), "{}", hex::encode(&data[..4]));
    }
}
