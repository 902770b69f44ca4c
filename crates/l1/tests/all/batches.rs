//! Batches with real proofs: what moves, what is refused, claims.

use l1::{BatchFault, Refusal, verify_batch};
use ledger::words::WordsError;

use crate::fixture::*;

#[test]
fn a_batch_moves_root_queue_and_claims() {
    let chain = story_chain();
    assert_conserved(&chain, &genesis().state());
    let Story { first, second, .. } = story();
    let batch = chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    assert_eq!((batch.number, batch.queue.clone()), (1, 0..2));
    assert_eq!(batch.words, first.words);
    let head = chain.head().unwrap();
    assert_eq!(
        (head.next_batch, head.timestamp, head.queue_head),
        (2, T1, 2)
    );
    assert_eq!(chain.claimable(BOB, 0).unwrap(), 1_000);
    assert_eq!(chain.totals(0).unwrap().pending, 0);
    assert_conserved(&chain, &first.state);

    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    let bobs = 500_000 + 100 + 300 - 1_000 - 10;
    assert_eq!(chain.claimable(BOB, 0).unwrap(), 1_000 + bobs);
    assert_conserved(&chain, &second.state);
    assert!(chain.pending(10).unwrap().is_empty());
    let numbers: Vec<u64> = chain
        .batches(0, 10)
        .unwrap()
        .iter()
        .map(|b| b.number)
        .collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(chain.batch(2).unwrap().unwrap().queue, 2..3);
    assert_eq!(chain.batch(3).unwrap(), None);
}

#[test]
fn finalized_batches_replay_to_the_same_root() {
    let chain = story_chain();
    let submissions = [&story().first, &story().second].map(|batch| batch.submission.clone());
    chain.submit_batches(OPERATOR, &submissions, T2).unwrap();
    let accounts = chain.genesis_accounts().unwrap();
    assert_eq!(accounts, genesis().accounts());
    let mut state = genesis().state();
    for batch in chain.batches(1, 10).unwrap() {
        ledger::replay::replay(&batch.words, &TINY, &mut state).unwrap();
    }
    assert_eq!(state, story().second.state);
    assert_eq!(state.root(), chain.head().unwrap().root);
}

#[test]
fn several_batches_are_all_or_nothing() {
    let chain = story_chain();
    let [first, second] = [&story().first, &story().second].map(|batch| batch.submission.clone());
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &[], T2));
    assert!(matches!(refusal, Refusal::NoBatch));
    let reversed = [second.clone(), first.clone()];
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &reversed, T2));
    let fault = BatchFault::Number {
        expected: 1,
        got: 2,
    };
    assert!(matches!(refusal, Refusal::Batch { position: 0, fault: got } if got == fault));
    let twice = [first.clone(), first.clone()];
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &twice, T2));
    assert!(matches!(refusal, Refusal::Batch { position: 1, .. }));
    let mut bad_proof = [first.clone(), second.clone()];
    bad_proof[1].proof = first.proof;
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &bad_proof, T2));
    assert!(matches!(refusal, Refusal::Proof(_)));
    let mut swapped = [first.clone(), second.clone()];
    (swapped[0].proof, swapped[1].proof) = (second.proof, first.proof);
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &swapped, T2));
    assert!(matches!(refusal, Refusal::Proof(_)));
    let late = [first.clone(), second.clone()];
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &late, T1));
    assert!(matches!(
        refusal,
        Refusal::Batch {
            position: 1,
            fault: BatchFault::Timestamp { .. }
        }
    ));
    let mut mixed = [first.clone(), second.clone()];
    mixed[1].shape_id = OTHER.id;
    let refusal = refused(&chain, |l1| l1.submit_batches(OPERATOR, &mixed, T2));
    assert!(matches!(
        refusal,
        Refusal::MixedShapes {
            position: 1,
            expected: 1,
            got: 2
        }
    ));

    chain
        .submit_batches(OPERATOR, &[first, second], T2)
        .unwrap();
    assert_conserved(&chain, &story().second.state);
}

#[test]
fn only_the_operator_submits() {
    let chain = story_chain();
    for caller in [ALICE, l1::bytes::Bytes([0; 20])] {
        let refusal = refused(&chain, |l1| {
            l1.submit_batch(caller, &story().first.submission, T1)
        });
        assert!(matches!(refusal, Refusal::NotOpen { .. }));
    }
}

#[test]
fn a_batch_without_a_key_is_refused() {
    let chain = chain(&genesis());
    fill_queue(&chain);
    let batch = &story().first.submission;
    let refusal = refused(&chain, |l1| l1.submit_batch(OPERATOR, batch, T1));
    assert!(matches!(refusal, Refusal::NoKey { shape_id: 1 }));
}

#[test]
fn timestamps_are_neither_stale_nor_from_the_future_nor_descending() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    let timestamp = |earliest, latest, got| BatchFault::Timestamp {
        earliest,
        latest,
        got,
    };
    for now in [T0, T1 - 1] {
        assert_eq!(
            fault(&chain, &first.submission, now),
            timestamp(now - SLACK, now, T1)
        );
    }
    let stopped = timestamp(T0 - SLACK, T0, T1);
    assert_eq!(fault(&chain, &first.submission, 0), stopped);
    for now in [T1 + SLACK + 1, (1 << 40) - 1] {
        assert_eq!(
            fault(&chain, &first.submission, now),
            timestamp(now - SLACK, now, T1)
        );
    }
    chain
        .submit_batch(OPERATOR, &first.submission, T1 + SLACK)
        .unwrap();
    let mut earlier = second.words.clone();
    earlier.header.timestamp = T1 - 1;
    let mut submission = second.submission.clone();
    submission.data = earlier.to_bytes(&TINY).unwrap();
    assert_eq!(
        fault(&chain, &submission, T2),
        timestamp(T1, T1 + SLACK, T1 - 1)
    );
}

#[test]
fn the_queue_decides_what_l1_slots_say() {
    let first = &story().first.submission;
    let chain = chain_with_key(&genesis());
    let short = |pending| BatchFault::QueueTooShort { pending, got: 2 };
    assert_eq!(fault(&chain, first, T1), short(0));
    chain
        .deposit(&deposit_of(CAROL, "carol", 0, 5_000), T0)
        .unwrap();
    assert_eq!(fault(&chain, first, T1), short(1));
    chain.top_up(ALICE, 2, 101, FEE, T0).unwrap();
    let other = BatchFault::NotTheQueueEntry { slot: 1, entry: 1 };
    assert_eq!(fault(&chain, first, T1), other);
    let chain = chain_with_key(&genesis());
    chain
        .deposit(&deposit_of(CAROL, "somebody", 0, 5_000), T0)
        .unwrap();
    chain.top_up(ALICE, 2, 100, FEE, T0).unwrap();
    let other = BatchFault::NotTheQueueEntry { slot: 0, entry: 0 };
    assert_eq!(fault(&chain, first, T1), other);
}

#[test]
fn another_number_of_queue_entries_than_proven_is_refused() {
    let chain = story_chain();
    let first = &story().first;
    let mut fewer = first.words.clone();
    fewer.l1_ops.truncate(1);
    let mut submission = first.submission.clone();
    submission.data = fewer.to_bytes(&TINY).unwrap();
    assert!(matches!(
        fault(&chain, &submission, T1),
        BatchFault::NotProven(_)
    ));
    let fork = &story().fork;
    let mut more = fork.words.clone();
    more.l1_ops.push(first.words.l1_ops[1]);
    let mut submission = fork.submission.clone();
    submission.data = more.to_bytes(&TINY).unwrap();
    assert!(matches!(
        fault(&chain, &submission, T1),
        BatchFault::NotProven(_)
    ));
}

#[test]
fn payouts_are_bounded_before_the_proof_is_looked_at() {
    let chain = story_chain();
    let first = &story().first;
    let altered = |change: &dyn Fn(&mut l1::Submission)| {
        let mut submission = first.submission.clone();
        change(&mut submission);
        fault(&chain, &submission, T1)
    };
    let with_withdrawal = |amount: u64, index: u32| {
        altered(&|submission| {
            let mut words = first.words.clone();
            words.withdrawals[0].index = index;
            words.withdrawals[0].amount = ledger::float::Float40::from_packed(amount).unwrap();
            submission.data = words.to_bytes(&TINY).unwrap();
        })
    };
    let largest = (1 << 40) - 1;
    assert_eq!(
        with_withdrawal(largest, 2),
        BatchFault::WithdrawalTooLarge { slot: 0 }
    );
    let unregistered = BatchFault::WithdrawalUnregistered { slot: 0, index: 9 };
    assert_eq!(with_withdrawal(1, 9), unregistered);
    let too_much = with_withdrawal((20 << 35) | 1, 2);
    assert!(
        matches!(too_much, BatchFault::PaysTooMuch { token: 0, amount, .. } if amount == 10_u128.pow(20))
    );
    let paid_on_create = altered(&|submission| submission.data[96 + 12 + 8 + 6 + 104] = 1);
    let not_of_kind = WordsError::NotOfKind {
        slot: 0,
        kind: 1,
        field: "payout",
    };
    assert_eq!(paid_on_create, BatchFault::Data(not_of_kind));
}

#[test]
fn each_claim_is_paid_once_and_leaves_escrow() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    let escrow = chain.totals(0).unwrap().escrow;
    assert_eq!(chain.claim(BOB, 0, T0).unwrap(), 1_000);
    assert_eq!(chain.totals(0).unwrap().escrow, escrow - 1_000);
    let refusal = refused(&chain, |l1| l1.claim(BOB, 0, T0));
    assert!(matches!(
        refusal,
        Refusal::NothingToClaim {
            owner: BOB,
            token: 0
        }
    ));
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    assert_eq!(chain.claim(BOB, 0, T0).unwrap(), 499_390);
    assert_conserved(&chain, &second.state);
}

#[test]
fn a_batch_verifies_by_itself() {
    let Story { first, fork, .. } = story();
    let key = setup().key.verifying_key();
    let verified = verify_batch(&first.submission, &TINY, key).unwrap();
    assert_eq!(verified.words, first.words);
    let mut mixed = first.submission.clone();
    mixed.proof = fork.submission.proof;
    assert!(matches!(
        verify_batch(&mixed, &TINY, key),
        Err(BatchFault::NotProven(_))
    ));
    let error = verify_batch(&first.submission, &OTHER, key).unwrap_err();
    let other_shape = WordsError::ShapeId {
        expected: 2,
        got: 1,
    };
    assert_eq!(error, BatchFault::Data(other_shape));
}
