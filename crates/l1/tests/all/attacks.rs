//! Attacks on batch submission. The names begin with the attack's number in the project's list.

use ark_bn254::{Fq, Fr as Scalar, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::PrimeField;
use l1::bytes::Bytes;
use l1::evm::calldata::{MAX_GAS, carried, gas_bound, gas_limit};
use l1::{Address, BatchFault, NativeL1, Refusal, Submission, verify_batch};
use ledger::field::to_be_bytes;
use ledger::operation::L1Op;
use ledger::words::WordsError;
use num_bigint::BigUint;
use prover::key::{KeyError, VerifyingKey};
use prover::proof::{DecodeError, Proof};
use rand::RngCore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::fixture::*;

/// Bytes before the L1 slots: header, fee indices, counts.
const BEFORE_SLOTS: usize = 96 + 12 + 4 * 2 + 6;

/// `value + times·modulus` as 32 bytes, if it fits.
fn alias(value: &[u8], modulus: BigUint, times: u8) -> Option<[u8; 32]> {
    let bytes = (BigUint::from_bytes_be(value) + modulus * times).to_bytes_be();
    let mut out = [0; 32];
    out.get_mut(32_usize.checked_sub(bytes.len())?..)?
        .copy_from_slice(&bytes);
    Some(out)
}

/// All submissions that differ from `of` in one bit of data, `c`, proof or shape id.
fn single_bit_changes(of: &Submission) -> Vec<Submission> {
    let mut changed = Vec::new();
    let mut change = |flip: &dyn Fn(&mut Submission)| {
        let mut submission = of.clone();
        flip(&mut submission);
        changed.push(submission);
    };
    for bit in 0..8 * of.data.len() {
        change(&|submission| submission.data[bit / 8] ^= 1 << (bit % 8));
    }
    for bit in 0..8 * of.c.len() {
        change(&|submission| submission.c[bit / 8] ^= 1 << (bit % 8));
    }
    for bit in 0..8 * of.proof.len() {
        change(&|submission| submission.proof[bit / 8] ^= 1 << (bit % 8));
    }
    for bit in 0..16 {
        change(&|submission| submission.shape_id ^= 1 << bit);
    }
    changed
}

fn is_refused(l1: &NativeL1, submission: &Submission) -> bool {
    let now = T1 + SLACK / 2;
    let result = l1.submit_batch(OPERATOR, submission, now);
    matches!(result, Err(l1::L1Error::Refused(_)))
}

#[test]
fn a3_every_public_input_binds() {
    let verified = verify_batch(
        &story().first.submission,
        &TINY,
        setup().key.verifying_key(),
    );
    let inputs = verified.unwrap().public_inputs;
    let proof = Proof::from_bytes(&story().first.submission.proof).unwrap();
    let key = setup().key.verifying_key();
    assert_eq!(prover::verify::verify(key, &inputs, &proof), Ok(()));
    for position in 0..inputs.len() {
        let mut changed = inputs;
        changed[position] += Scalar::from(1u64);
        assert!(prover::verify::verify(key, &changed, &proof).is_err());
    }
}

#[test]
fn a4_aliases_of_field_elements_are_refused() {
    let chain = story_chain();
    let first = &story().first.submission;
    let (r, p) = (BigUint::from(Scalar::MODULUS), BigUint::from(Fq::MODULUS));
    for times in 1..=5 {
        let Some(bytes) = alias(&first.c, r.clone(), times) else {
            continue;
        };
        let submission = Submission {
            c: bytes,
            ..first.clone()
        };
        let got = fault(&chain, &submission, T1);
        assert_eq!(got, BatchFault::CommitmentNotCanonical);
    }
    let all_ones = Submission {
        c: [0xff; 32],
        ..first.clone()
    };
    let got = fault(&chain, &all_ones, T1);
    assert_eq!(got, BatchFault::CommitmentNotCanonical);
    for (at, field) in [
        (0, "domain"),
        (32, "old root"),
        (64, "new root"),
        (BEFORE_SLOTS + 25, "Ax"),
        (BEFORE_SLOTS + 57, "Ay"),
    ] {
        let mut submission = first.clone();
        let value = &mut submission.data[at..at + 32];
        value.copy_from_slice(&alias(value, r.clone(), 1).unwrap());
        let expected = BatchFault::Data(WordsError::NotCanonical { field });
        assert_eq!(fault(&chain, &submission, T1), expected);
    }
    for at in (0..256).step_by(32) {
        let mut submission = first.clone();
        let value = &mut submission.proof[at..at + 32];
        value.copy_from_slice(&alias(value, p.clone(), 1).unwrap());
        let got = fault(&chain, &submission, T1);
        assert!(
            matches!(
                got,
                BatchFault::Proof(DecodeError::CoordinateNotCanonical { .. })
            ),
            "{got}"
        );
    }
    chain.submit_batch(OPERATOR, first, T1).unwrap();
}

#[test]
fn a4_a_payout_plus_the_modulus_has_no_encoding() {
    let chain = story_chain();
    chain
        .submit_batch(OPERATOR, &story().first.submission, T1)
        .unwrap();
    let second = &story().second.submission;
    let paid_at = BEFORE_SLOTS + 25 + 64;
    let paid = &second.data[paid_at..paid_at + 16];
    assert_eq!(
        u128::from_be_bytes(paid.try_into().unwrap()),
        498_390 + 1_000
    );
    let plus_r = alias(paid, BigUint::from(Scalar::MODULUS), 1).unwrap();
    let mut wide = second.clone();
    wide.data.splice(paid_at..paid_at + 16, plus_r);
    let got = fault(&chain, &wide, T2);
    assert_eq!(got, BatchFault::Data(WordsError::TrailingBytes(16)));
    let mut cut = second.clone();
    cut.data[paid_at..paid_at + 16].copy_from_slice(&plus_r[16..]);
    let got = fault(&chain, &cut, T2);
    assert!(
        matches!(
            got,
            BatchFault::NotProven(_) | BatchFault::PaysTooMuch { .. }
        ),
        "{got}"
    );
    chain.submit_batch(OPERATOR, second, T2).unwrap();
}

#[test]
fn a5_a_key_with_another_number_of_inputs_is_refused() {
    let mut chain = chain(&genesis());
    let good = setup().key.verifying_key();
    for inputs in [0, 2, 4] {
        let mut points = good.ark().clone();
        points.gamma_abc_g1.truncate(inputs + 1);
        if inputs == 4 {
            let more = G1Affine::generator() * Scalar::from(12_345u64);
            points.gamma_abc_g1.push(more.into_affine());
        }
        let key = VerifyingKey::new(points, good.info().clone()).unwrap();
        let refusal = chain
            .l1
            .register_key(OPERATOR, TINY.id, &key, T0)
            .unwrap_err();
        assert!(
            matches!(
                refusal,
                l1::L1Error::Refused(Refusal::KeyInputs { expected: 3, got }) if got == inputs
            ),
            "{refusal}"
        );
    }
    assert_eq!(chain.key(TINY.id), None);
}

/// Another proof of the same statement: `-A, -B, C`.
fn negated(proof: &[u8; 256]) -> [u8; 256] {
    let proof = Proof::from_bytes(proof).unwrap();
    Proof::new(-*proof.a(), -*proof.b(), *proof.c())
        .unwrap()
        .to_bytes()
}

/// Another proof of the same statement: `A/x, x·B, C`.
fn rerandomised(proof: &[u8; 256]) -> [u8; 256] {
    use ark_ff::Field;
    let proof = Proof::from_bytes(proof).unwrap();
    let x = Scalar::from(987_654_321u64);
    let a = *proof.a() * x.inverse().unwrap();
    let b = *proof.b() * x;
    Proof::new(a.into_affine(), b.into_affine(), *proof.c())
        .unwrap()
        .to_bytes()
}

#[test]
fn a8_a_second_proof_of_a_finalized_batch_changes_nothing() {
    let first = &story().first.submission;
    for other in [negated(&first.proof), rerandomised(&first.proof)] {
        let malleated = Submission {
            proof: other,
            ..first.clone()
        };
        assert_ne!(malleated.proof, first.proof);
        let moved = BatchFault::Number {
            expected: 2,
            got: 1,
        };
        for (earlier, later) in [(first, &malleated), (&malleated, first)] {
            let chain = story_chain();
            chain.submit_batch(OPERATOR, earlier, T1).unwrap();
            assert_eq!(fault(&chain, later, T1), moved);
        }
    }
}

#[test]
fn a9_replayed_batches_are_refused() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    let replayed = |expected, got| BatchFault::Number { expected, got };
    assert_eq!(fault(&chain, &first.submission, T1), replayed(2, 1));
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    assert_eq!(fault(&chain, &first.submission, T2), replayed(3, 1));
    assert_eq!(fault(&chain, &second.submission, T2), replayed(3, 2));
    let mut renumbered = second.submission.clone();
    let mut words = second.words.clone();
    words.header.batch_number = 3;
    renumbered.data = words.to_bytes(&TINY).unwrap();
    let got = fault(&chain, &renumbered, T2);
    assert!(matches!(got, BatchFault::OldRoot { .. }), "{got}");
}

#[test]
fn a10_a_batch_of_another_deployment_is_refused() {
    let first = &story().first;
    let changes: [&dyn Fn(&mut l1::Parameters); 3] = [
        &|parameters| parameters.salt = Bytes([6; 32]),
        &|parameters| parameters.operator.name.push('2'),
        &|parameters| parameters.l1_fee = FEE,
    ];
    for (change, same) in changes.into_iter().zip([false, false, true]) {
        let chain = chain_with_key(&genesis_with(change));
        fill_queue(&chain);
        assert_eq!(chain.domain() == first.words.header.domain, same);
        assert_eq!(chain.head().unwrap().root, first.words.header.old_root);
        if same {
            chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
            continue;
        }
        let got = fault(&chain, &first.submission, T1);
        assert!(matches!(got, BatchFault::Domain { .. }), "{got}");
        let mut relabelled = first.submission.clone();
        relabelled.data[..32].copy_from_slice(&to_be_bytes(&chain.domain()));
        let got = fault(&chain, &relabelled, T1);
        assert!(matches!(got, BatchFault::NotProven(_)), "{got}");
    }
}

#[test]
fn a12_shapes_and_keys_cannot_be_mixed_up() {
    let mut chain = story_chain();
    let first = &story().first;
    let mut labelled = first.submission.clone();
    labelled.shape_id = 3;
    let refusal = refused(&chain, |l1| l1.submit_batch(OPERATOR, &labelled, T1));
    assert!(matches!(refusal, Refusal::UnknownShape { shape_id: 3 }));
    labelled.shape_id = OTHER.id;
    let mut words = first.words.clone();
    words.header.shape_id = OTHER.id;
    labelled.data = words.to_bytes(&OTHER).unwrap();
    let refusal = refused(&chain, |l1| l1.submit_batch(OPERATOR, &labelled, T1));
    assert!(matches!(refusal, Refusal::NoKey { shape_id: 2 }));
    let tiny_key = setup().key.verifying_key();
    let error = chain
        .l1
        .register_key(OPERATOR, OTHER.id, tiny_key, T0)
        .unwrap_err();
    let l1::L1Error::Refused(Refusal::Key(error)) = error else {
        panic!("{error}");
    };
    assert!(matches!(*error, KeyError::WrongCircuit { .. }));
    labelled.shape_id = TINY.id;
    let got = fault(&chain, &labelled, T1);
    let shapes = WordsError::ShapeId {
        expected: 1,
        got: 2,
    };
    assert_eq!(got, BatchFault::Data(shapes));
    let got = verify_batch(&labelled, &OTHER, tiny_key).unwrap_err();
    assert!(matches!(got, BatchFault::Data(_)));
    labelled.shape_id = OTHER.id;
    let got = verify_batch(&labelled, &OTHER, tiny_key).unwrap_err();
    assert!(matches!(got, BatchFault::NotProven(_)), "{got}");
}

#[test]
fn f1_every_single_bit_change_of_a_batch_is_refused() {
    let chain = story_chain();
    let first = &story().first.submission;
    let before = picture(&chain);
    let changes = single_bit_changes(first);
    assert_eq!(changes.len(), 8 * (first.data.len() + 32 + 256 + 2));
    let accepted = find_accepted(&changes, |submission| !is_refused(&chain, submission));
    assert_eq!(accepted, None, "position of an accepted change");
    assert_eq!(picture(&chain), before);
    assert!(!is_refused(&chain, first));
}

#[test]
fn f1_every_single_bit_change_fails_verification_by_itself() {
    let first = &story().first.submission;
    let key = setup().key.verifying_key();
    let verifies = |submission: &Submission| verify_batch(submission, &TINY, key).is_ok();
    assert!(verifies(first));
    let accepted = find_accepted(&single_bit_changes(first), verifies);
    assert_eq!(accepted, None, "position of an accepted change");
}

#[test]
fn f2_there_is_one_encoding_of_a_batch() {
    let chain = story_chain();
    let first = &story().first.submission;
    for tail in [1, 15, 30, 105] {
        let mut longer = first.clone();
        longer.data.extend(vec![0; tail]);
        let got = fault(&chain, &longer, T1);
        assert_eq!(got, BatchFault::Data(WordsError::TrailingBytes(tail)));
    }
    let counts = BEFORE_SLOTS - 6;
    for (section, bytes) in [(0, 105), (1, 30), (2, 22)] {
        let mut padded = first.clone();
        padded.data[counts + 2 * section + 1] += 1;
        padded.data.extend(vec![0; bytes]);
        let got = fault(&chain, &padded, T1);
        assert!(matches!(got, BatchFault::Data(_)), "{got}");
    }
    let bytes = first.to_bytes();
    assert_eq!(Submission::from_bytes(&bytes).unwrap(), *first);
    for length in 0..bytes.len() {
        assert!(Submission::from_bytes(&bytes[..length]).is_err());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(Submission::from_bytes(&longer).is_err());
}

#[test]
fn f5_empty_or_partial_data_are_refused() {
    let chain = story_chain();
    let first = &story().first.submission;
    for length in 0..first.data.len() {
        let mut partial = first.clone();
        partial.data.truncate(length);
        let refusal = chain.submit_batch(OPERATOR, &partial, T1);
        let Err(l1::L1Error::Refused(Refusal::Batch { fault, .. })) = refusal else {
            panic!("{length} bytes were not refused");
        };
        assert!(
            matches!(fault, BatchFault::Data(WordsError::Truncated { .. })),
            "{fault}"
        );
    }
    let mut blank = story().first.words.clone();
    blank.transfers.clear();
    blank.withdrawals.clear();
    let mut submission = first.clone();
    submission.data = blank.to_bytes(&TINY).unwrap();
    let got = fault(&chain, &submission, T1);
    assert!(matches!(got, BatchFault::NotProven(_)), "{got}");
}

#[test]
fn f7_batches_are_finalized_in_order() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    let number = |expected, got| BatchFault::Number { expected, got };
    assert_eq!(fault(&chain, &second.submission, T2), number(1, 2));
    let mut renumbered = second.submission.clone();
    let mut words = second.words.clone();
    words.header.batch_number = 1;
    renumbered.data = words.to_bytes(&TINY).unwrap();
    let got = fault(&chain, &renumbered, T2);
    assert!(matches!(got, BatchFault::OldRoot { .. }), "{got}");
    words.header.old_root = first.words.header.old_root;
    words.l1_ops = first.words.l1_ops.clone();
    renumbered.data = words.to_bytes(&TINY).unwrap();
    let got = fault(&chain, &renumbered, T2);
    assert!(matches!(got, BatchFault::NotProven(_)), "{got}");
    chain.submit_batch(OPERATOR, &first.submission, T2).unwrap();
    assert_eq!(fault(&chain, &first.submission, T2), number(2, 1));
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
}

#[test]
fn f8_of_two_batches_on_one_root_the_first_wins() {
    let Story {
        first,
        second,
        fork,
    } = story();
    assert_eq!(first.words.header.old_root, fork.words.header.old_root);
    let moved = BatchFault::Number {
        expected: 2,
        got: 1,
    };
    for (winner, loser) in [(first, fork), (fork, first)] {
        let chain = story_chain();
        chain
            .submit_batch(OPERATOR, &winner.submission, T1)
            .unwrap();
        assert_eq!(fault(&chain, &loser.submission, T1), moved);
        assert_conserved(&chain, &winner.state);
    }
    let chain = story_chain();
    chain.submit_batch(OPERATOR, &fork.submission, T1).unwrap();
    let got = fault(&chain, &second.submission, T2);
    assert!(matches!(got, BatchFault::OldRoot { .. }), "{got}");
}

#[test]
fn f9_random_bytes_are_refused_without_a_panic() {
    let chain = story_chain();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let first = &story().first.submission;
    for _ in 0..2_000 {
        let mut submission = first.clone();
        let [start, length, how] = [0; 3].map(|_: u8| rng.next_u32());
        let start = usize::try_from(start).unwrap() % submission.data.len();
        let end = start + usize::try_from(length).unwrap() % 8 + 1;
        let end = end.min(submission.data.len());
        match how % 3 {
            0 => rng.fill_bytes(&mut submission.data[start..end]),
            1 => submission.data.truncate(start),
            _ => submission.data[start..end].fill(0xff),
        }
        assert!(submission.data == first.data || is_refused(&chain, &submission));
        let mut encoded = submission.to_bytes();
        rng.fill_bytes(&mut encoded[start..end]);
        if let Ok(decoded) = Submission::from_bytes(&encoded) {
            assert_eq!(decoded.to_bytes(), encoded);
        }
    }
}

#[test]
fn f10_hostile_length_prefixes_are_bounded() {
    let first = &story().first.submission;
    let bytes = first.to_bytes();
    let length_at = bytes.len() - first.data.len() - 4;
    for length in [u32::MAX, 1 << 31, 1 << 24, 0] {
        let mut hostile = bytes.clone();
        hostile[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        assert!(Submission::from_bytes(&hostile).is_err(), "{length}");
    }
}

#[test]
fn d3_value_is_conserved_whatever_waits_and_whoever_claims() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    let mut paid = 0;
    let total = |l1: &NativeL1, paid: u128| l1.totals(0).unwrap().escrow + paid;
    let deposited = total(&chain, paid);
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    assert_conserved(&chain, &first.state);
    paid += chain.claim(BOB, 0, T0).unwrap();
    assert_conserved(&chain, &first.state);
    chain.top_up(CAROL, 3, 23, FEE, T0).unwrap();
    assert_conserved(&chain, &first.state);
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    assert_conserved(&chain, &second.state);
    paid += chain.claim(BOB, 0, T0).unwrap();
    assert_conserved(&chain, &second.state);
    assert_eq!(total(&chain, paid), deposited);
    assert_eq!(chain.totals(1).unwrap().pending, 23);
}

#[test]
fn d7_an_index_is_given_once_and_stays() {
    let chain = story_chain();
    let before: Vec<_> = (1..=4).map(|i| chain.registered(i).unwrap()).collect();
    let mallory: Address = Bytes([0x66; 20]);
    let same_key_as_carol = deposit_of(mallory, "carol", 0, 1);
    assert_eq!(chain.deposit(&same_key_as_carol, T0).unwrap(), 5);
    assert_eq!(chain.deposit(&same_key_as_carol, T0).unwrap(), 6);
    for index in [5, 6] {
        assert_eq!(chain.registered(index).unwrap().unwrap().owner, mallory);
    }
    let after: Vec<_> = (1..=4).map(|i| chain.registered(i).unwrap()).collect();
    assert_eq!(before, after);
    let entries = chain.queue(0, 10).unwrap();
    let creates = entries.iter().filter(|e| e.op.kind() == L1Op::CREATE);
    let indices: Vec<u32> = creates.map(|entry| entry.op.index()).collect();
    assert_eq!(indices, [4, 5, 6]);
}

#[test]
fn d12_a_claim_is_paid_once_across_batches_and_restarts() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    assert_eq!(chain.claim(BOB, 0, T0).unwrap(), 1_000);
    let Chain { l1, folder } = chain;
    drop(l1);
    let path = folder.path().join("l1.redb");
    let l1 = NativeL1::open(&path, prover::key::AllowDevKeys::Yes).unwrap();
    let chain = Chain { l1, folder };
    let nothing = |refusal| matches!(refusal, Refusal::NothingToClaim { .. });
    assert!(nothing(refused(&chain, |l1| l1.claim(BOB, 0, T0))));
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    assert_eq!(chain.claim(BOB, 0, T0).unwrap(), 499_390);
    assert!(nothing(refused(&chain, |l1| l1.claim(BOB, 0, T0))));
}

#[test]
fn g8_what_one_transaction_carries_stays_below_its_limits() {
    let full = |name| {
        let shape = circuits::shapes::by_name(name).unwrap();
        let credits = usize::from(shape.l1_ops + shape.withdrawals);
        let bytes = 400 + 13 * usize::from(shape.transfers) + 131 * credits;
        (credits, bytes)
    };
    for (name, at_once) in [("t20", 32), ("t22", 31), ("m18", 8), ("m20", 1), ("m22", 1)] {
        assert_eq!(carried([full(name); 32]), at_once, "{name}");
    }
    // Nodes refuse transactions of more than 128 KiB.
    assert_eq!(carried([(0, 60_000); 3]), 2);
}

#[test]
fn g8_the_gas_that_is_asked_for_covers_what_others_change() {
    // Three slots that others empty, where a quarter is less than they cost.
    assert_eq!(gas_limit(100_000, 0), 152_115);
    assert!(gas_limit(100_000, 0) >= 100_000 + 3 * 17_100);
    assert_eq!(gas_limit(1_000_000, 0), 1_250_000);
    // A batch of 32 credits whose owners all take their claims before it: 17,100 for each claim and each
    // token's total, far beyond a quarter of the estimate.
    let bound = gas_bound(32, 8_000);
    let cheapest = bound - 32 * 2 * 17_100;
    assert!(cheapest + cheapest / 4 < bound);
    assert_eq!(gas_limit(cheapest, bound), bound);
    assert_eq!(gas_limit(u64::MAX, 0), MAX_GAS);
    assert_eq!(gas_limit(0, u64::MAX), MAX_GAS);
}
