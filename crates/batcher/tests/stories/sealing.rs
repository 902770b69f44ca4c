//! What becomes a batch, and when.

use batcher::BuildError;
use batcher::{Due, Fill, QueueEntry, StoredBatch, Verdict};
use batcher::{SealError, StageError};
use ledger::float::Float16;
use ledger::operation::{L1Op, Transfer};
use ledger::reject::L1Violation;
use ledger::shape::Shape;
use ledger::transition::Payout;

use crate::world::*;

fn create(index: u32, amount: u128) -> L1Op {
    L1Op::Create {
        index,
        token: 0,
        amount,
        key: key(index).public_key(),
    }
}

#[test]
fn an_invalid_operation_in_the_middle_blocks_nothing() {
    let (_folder, mut batcher) = world();
    let poor = transfer(3, 4, 2 * OPENING, 0);
    let nobody = transfer(5, 99, 1, 0);
    let after = transfer(3, 4, 1, 1);
    accept(
        &mut batcher,
        &[
            transfer(2, 4, 1, 0),
            poor,
            nobody,
            transfer(4, 2, 1, 0),
            after,
        ],
    );
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 2, 0]);
    let verdict = |operation| batcher.verdict(&id(operation)).unwrap();
    assert_eq!(
        verdict(&poor),
        Some(Verdict::Rejected {
            reason: "sender 3 has 1000000 units, needs 2000000 units and a fee of 0 units"
                .to_owned()
        })
    );
    assert_eq!(
        verdict(&nobody),
        Some(Verdict::Rejected {
            reason: "receiver 99 does not exist".to_owned()
        })
    );
    // The dropped operation used no nonce: another one can take its place.
    assert_eq!(verdict(&after), Some(Verdict::Pending));
    accept(&mut batcher, &[transfer(3, 4, 7, 0)]);
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 2, 0]);
    // What was rejected once can be sent again while its nonce is free.
    assert!(batcher.submit(nobody, NOW).unwrap().is_ok());
}

#[test]
fn operations_of_all_kinds_share_a_batch_in_order() {
    let (_folder, mut batcher) = world();
    let fee = Float16::exact(3).unwrap();
    accept(
        &mut batcher,
        &[
            withdraw(2, 5, 0),
            signed(Transfer {
                fee,
                ..plain(3, 4, 10, 0)
            }),
            transfer(2, 4, 1, 1),
            withdraw(3, 6, 1),
        ],
    );
    let queue = queue(&[create(11, 50), L1Op::ForcedExit { index: 5, token: 0 }]);
    let sealed = batcher.seal(&queue, NOW).unwrap().unwrap();
    assert_eq!(sealed.shape(), &MIXED);
    // The transfer of account 2 follows its withdrawal, so it is for the next batch.
    assert_eq!(sealed.counts(), [2, 1, 2]);
    assert_eq!(sealed.queue(), 0..2);
    let payout = |index, amount| Payout {
        index,
        token: 0,
        amount,
    };
    assert_eq!(
        sealed.payouts(),
        [payout(5, OPENING), payout(2, 5), payout(3, 6)]
    );
    assert_eq!(balance(&batcher, 1), OPENING + 3);
    assert_eq!(balance(&batcher, 11), 50);
    let next = batcher.seal(&queue, NOW).unwrap().unwrap();
    assert_eq!((next.counts(), next.queue()), ([0, 1, 0], 2..2));
    assert_eq!(next.shape(), &MIXED, "the smallest that takes everything");
    let roots = batcher.audit(genesis()).unwrap();
    assert_eq!(roots[1..], [sealed.new_root(), next.new_root()]);
    assert_eq!(batcher.supply()[&0], 8 * OPENING + 50 - OPENING - 11);
}

#[test]
fn the_shape_fits_what_waits() {
    let (_folder, mut batcher) = world();
    let shape_of = |batcher: &mut batcher::Batcher, queue: &[QueueEntry]| -> Shape {
        *batcher.seal(queue, NOW).unwrap().unwrap().shape()
    };
    accept(&mut batcher, &[transfer(2, 3, 1, 0), transfer(2, 3, 1, 1)]);
    assert_eq!(shape_of(&mut batcher, &[]), MIXED);
    let three: Vec<_> = (2..5).map(|nonce| transfer(2, 3, 1, nonce)).collect();
    accept(&mut batcher, &three);
    assert_eq!(shape_of(&mut batcher, &[]), TRANSFERS);
    let four: Vec<_> = (5..9).map(|nonce| transfer(2, 3, 1, nonce)).collect();
    accept(&mut batcher, &four);
    let queue = queue(&[create(11, 50)]);
    assert_eq!(shape_of(&mut batcher, &queue), MIXED, "L1 operations wait");
    assert_eq!(batcher.mempool().len(), 2);
}

#[test]
fn a_withdrawal_is_not_starved_by_transfers() {
    let (_folder, mut batcher) = world();
    let old = withdraw(3, 5, 0);
    accept(&mut batcher, &[old]);
    let many: Vec<_> = (0..20).map(|nonce| transfer(2, 4, 1, nonce)).collect();
    accept(&mut batcher, &many);
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 2, 1]);
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!((sealed.shape(), sealed.counts()), (&TRANSFERS, [0, 4, 0]));
}

#[test]
fn file_order_closes_a_batch_at_the_first_that_does_not_fit() {
    let in_order = |fill| {
        let (_folder, mut batcher) = world();
        accept(
            &mut batcher,
            &[
                transfer(2, 3, 1, 0),
                withdraw(3, 1, 0),
                transfer(4, 3, 1, 0),
                transfer(5, 3, 1, 0),
            ],
        );
        let mut counts = Vec::new();
        let summary = batcher
            .seal_all(&[], NOW, fill, |batch| counts.push(batch.counts()))
            .unwrap();
        assert_eq!((summary.transfers, summary.withdrawals), (3, 1));
        counts
    };
    let strict = in_order(Fill::UntilNextDoesNotFit);
    assert_eq!(strict, [[0, 1, 1], [0, 2, 0]]);
    let loose = in_order(Fill::WhateverFits);
    assert_eq!(loose, [[0, 2, 1], [0, 1, 0]]);
}

#[test]
fn a_batch_is_due_by_size_or_by_age() {
    let (_folder, mut batcher) = world();
    assert_eq!(batcher.seal_due(&[], NOW), Ok(None));
    accept(&mut batcher, &[transfer(2, 3, 1, 1)]);
    assert_eq!(
        batcher.seal_due(&[], NOW + 1000),
        Ok(None),
        "it is not ready"
    );
    accept(&mut batcher, &[transfer(2, 3, 1, 0)]);
    assert_eq!(batcher.seal_due(&[], NOW + 29), Ok(None));
    assert_eq!(batcher.seal_due(&[], NOW + 30), Ok(Some(Due::Age)));
    accept(&mut batcher, &[transfer(4, 3, 1, 0), transfer(5, 3, 1, 0)]);
    assert_eq!(batcher.seal_due(&[], NOW), Ok(Some(Due::Size)));
    batcher.seal(&[], NOW).unwrap().unwrap();
    let one = queue(&[create(11, 50)]);
    assert_eq!(batcher.seal_due(&one, NOW), Ok(None));
    assert_eq!(batcher.seal_due(&one, NOW + 30), Ok(Some(Due::Age)));
    let two = queue(&[create(11, 50), create(12, 50)]);
    assert_eq!(batcher.seal_due(&two, NOW), Ok(Some(Due::Size)));
}

#[test]
fn timestamps_never_go_back() {
    let (_folder, mut batcher) = world();
    accept(&mut batcher, &[transfer(2, 3, 1, 0)]);
    batcher.seal(&[], NOW + 5).unwrap().unwrap();
    accept(&mut batcher, &[transfer(2, 3, 1, 1)]);
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(sealed.words().header.timestamp, NOW + 5);
}

#[test]
fn a_queue_with_a_gap_or_a_violation_is_an_alarm() {
    let (_folder, mut batcher) = world();
    let late = [QueueEntry {
        number: 1,
        op: create(11, 5),
    }];
    assert!(matches!(
        batcher.seal(&late, NOW),
        Err(SealError::Build(BuildError::QueueGap {
            expected: 0,
            got: 1
        }))
    ));
    let taken = queue(&[create(2, 5)]);
    assert!(matches!(
        batcher.seal(&taken, NOW),
        Err(SealError::Build(BuildError::Queue {
            number: 0,
            source: L1Violation::LeafOccupied { index: 2 }
        }))
    ));
    assert_eq!(batcher.status().sealed, 0);
    let good = queue(&[create(11, 5)]);
    assert!(batcher.seal(&good, NOW).unwrap().is_some());
    assert!(batcher.seal(&good, NOW).unwrap().is_none(), "consumed once");
}

#[test]
fn a_batch_takes_its_stages_in_order() {
    let (_folder, mut batcher) = world();
    let operation = transfer(2, 3, 1, 0);
    accept(&mut batcher, &[operation]);
    let first = batcher.seal(&[], NOW).unwrap().unwrap();
    accept(&mut batcher, &[transfer(2, 3, 1, 1)]);
    let second = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(batcher.unproved().unwrap(), [1, 2]);
    let witness = batcher.witness(1).unwrap();
    assert_eq!(witness.header, first.words().header);

    let second = batcher.record_proof(second, vec![2], NOW).unwrap();
    assert_eq!(batcher.unproved().unwrap(), [1]);
    assert!(matches!(
        batcher.record_finalized(second.clone(), NOW),
        Err(StageError::OutOfOrder {
            number: 2,
            expected: 1
        })
    ));
    let first = batcher.record_proof(first, vec![1], NOW).unwrap();
    assert_eq!(
        batcher.verdict(&id(&operation)).unwrap(),
        Some(Verdict::Sealed { batch: 1 })
    );
    batcher.record_finalized(first.clone(), NOW).unwrap();
    assert!(matches!(
        batcher.record_finalized(first, NOW),
        Err(StageError::OutOfOrder { .. })
    ));
    assert_eq!(
        batcher.verdict(&id(&operation)).unwrap(),
        Some(Verdict::Finalized { batch: 1 })
    );
    assert!(matches!(
        batcher.witness(1),
        Err(StageError::NoWitness { number: 1 })
    ));
    assert!(batcher.witness(2).is_ok());
    assert!(matches!(
        batcher.batch(1).unwrap(),
        StoredBatch::Finalized(_)
    ));
    assert_eq!(batcher.batch(2).unwrap(), StoredBatch::Proved(second));
    assert!(matches!(
        batcher.batch(3),
        Err(StageError::NoBatch {
            number: 3,
            sealed: 2
        })
    ));
}

#[test]
fn a_batch_of_another_batcher_is_not_taken() {
    let (_folder, mut ours) = world();
    let (_other_folder, mut theirs) = world();
    accept(&mut ours, &[transfer(2, 3, 1, 0)]);
    accept(&mut theirs, &[transfer(2, 3, 2, 0)]);
    ours.seal(&[], NOW).unwrap().unwrap();
    let foreign = theirs.seal(&[], NOW).unwrap().unwrap();
    assert!(matches!(
        ours.record_proof(foreign, vec![1], NOW),
        Err(StageError::OtherBatch { number: 1 })
    ));
}
