//! What is acknowledged and what is not.

use batcher::{Batcher, Due, Limits, Refusal, SignedOperation, Verdict};
use ledger::babyjubjub::Point;
use ledger::float::{Float16, Float40};
use ledger::operation::{NO_EXPIRY, Signable, Transfer};
use ledger::reject::Reject;

use crate::world::*;

/// Another good signature of the same operation: the signer chose another nonce point.
fn resigned(operation: Transfer) -> SignedOperation {
    let first = operation.sign(&key(operation.from), &settings().domain);
    let other = operation.sign(&key(operation.from + 1), &settings().domain);
    assert_ne!(first.signature, other.signature);
    other.into()
}

#[test]
fn operations_wait_for_the_nonces_before_them() {
    let (_folder, mut batcher) = world();
    accept(
        &mut batcher,
        &[transfer(2, 3, 30, 2), transfer(2, 3, 10, 0)],
    );
    assert_eq!(batcher.next_nonce(2), Some(1));
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 1, 0]);
    assert!(batcher.seal(&[], NOW).unwrap().is_none());
    assert_eq!(balance(&batcher, 3), OPENING + 10);

    accept(&mut batcher, &[transfer(2, 3, 20, 1)]);
    assert_eq!(batcher.next_nonce(2), Some(3));
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    let amounts: Vec<Option<u128>> = sealed
        .words()
        .transfers
        .iter()
        .map(|data| data.amount.value_u128())
        .collect();
    assert_eq!(amounts, [Some(20), Some(30)]);
    assert!(batcher.mempool().is_empty());
}

#[test]
fn limits_are_kept_within_one_call_and_across_calls() {
    let limits = Limits {
        operations: 5,
        per_account: 2,
        look_ahead: 3,
    };
    let (_folder, mut batcher) = world_with(batcher::Settings {
        limits,
        ..settings()
    });
    let operations = [
        transfer(2, 3, 1, 3),
        transfer(2, 3, 1, 2),
        transfer(2, 3, 1, 0),
        transfer(2, 3, 1, 1),
        transfer(3, 2, 1, 0),
        transfer(4, 2, 1, 0),
        transfer(5, 2, 1, 0),
        transfer(6, 2, 1, 0),
    ];
    let verdicts = batcher.submit_many(&operations, NOW).unwrap();
    let refusals: Vec<Option<&Refusal>> = verdicts
        .iter()
        .map(|verdict| verdict.as_ref().err())
        .collect();
    let too_far = Refusal::NonceTooFarAhead {
        index: 2,
        nonce: 3,
        next: 0,
        look_ahead: 3,
    };
    let account_full = Refusal::AccountFull { index: 2, limit: 2 };
    let full = Refusal::Full { limit: 5 };
    let expected = [
        Some(&too_far),
        None,
        None,
        Some(&account_full),
        None,
        None,
        None,
        Some(&full),
    ];
    assert_eq!(refusals, expected);
    assert_eq!(batcher.submit(operations[7], NOW).unwrap(), Err(full));
    batcher.seal(&[], NOW).unwrap().unwrap();
    assert!(batcher.submit(operations[7], NOW).unwrap().is_ok());
}

#[test]
fn one_operation_twice_is_one_operation() {
    let (_folder, mut batcher) = world();
    let operation = transfer(2, 3, 10, 0);
    accept(&mut batcher, &[operation, operation]);
    accept(&mut batcher, &[operation]);
    // Known by its id, so the signature of the second copy plays no part.
    accept(&mut batcher, &[resigned(plain(2, 3, 10, 0))]);
    assert_eq!(batcher.mempool().len(), 1);
    batcher.seal(&[], NOW).unwrap().unwrap();
    accept(&mut batcher, &[operation]);
    assert!(batcher.mempool().is_empty());
    assert!(batcher.seal(&[], NOW).unwrap().is_none());
    assert_eq!(balance(&batcher, 3), OPENING + 10);
}

#[test]
fn the_first_operation_of_a_nonce_stays() {
    let (_folder, mut batcher) = world();
    let (first, second) = (transfer(2, 3, 10, 0), transfer(2, 4, 20, 0));
    let verdicts = batcher.submit_many(&[first, second], NOW).unwrap();
    let taken = Refusal::NonceTaken {
        index: 2,
        nonce: 0,
        by: id(&first),
        least_fee: Some(1),
    };
    assert_eq!(verdicts, [Ok(id(&first)), Err(taken.clone())]);
    assert_eq!(batcher.submit(second, NOW).unwrap(), Err(taken));
    batcher.seal(&[], NOW).unwrap().unwrap();
    let used = Reject::NonceIsNext {
        index: 2,
        expected: 1,
        got: 0,
    };
    let refusal = batcher.submit(second, NOW).unwrap();
    assert_eq!(refusal, Err(Refusal::Rejected(used)));
    assert_eq!(batcher.verdict(&id(&second)).unwrap(), None);
}

/// As wallets know it: the signer replaces what waits by an operation with a fee that is a tenth higher.
#[test]
fn a_higher_fee_replaces_what_waits() {
    let (folder, mut batcher) = world();
    let with_fee = |fee, amount| {
        signed(Transfer {
            fee: Float16::exact(fee).unwrap(),
            ..plain(2, 3, amount, 0)
        })
    };
    let first = with_fee(100, 1);
    let later = transfer(2, 3, 1, 1);
    accept(&mut batcher, &[first, later]);
    let refusal = batcher.submit(with_fee(109, 2), NOW).unwrap().unwrap_err();
    assert_eq!(
        refusal,
        Refusal::NonceTaken {
            index: 2,
            nonce: 0,
            by: id(&first),
            least_fee: Some(110)
        }
    );
    assert!(
        refusal.to_string().contains("a fee of at least 110"),
        "{refusal}"
    );
    let second = with_fee(110, 3);
    accept(&mut batcher, &[second]);
    // Its signature is not the signer's: nothing is replaced.
    let forged = Transfer {
        fee: Float16::exact(200).unwrap(),
        ..plain(2, 3, 4, 0)
    };
    let forged = forged.sign(&key(4), &settings().domain).into();
    assert!(batcher.submit(forged, NOW).unwrap().is_err());
    // Both in one call: the second replaces the first, which was acknowledged for a moment.
    let verdicts = batcher.submit_many(&[with_fee(121, 5), with_fee(134, 6)], NOW);
    assert!(verdicts.unwrap().iter().all(Result::is_ok));
    drop(batcher);
    let mut batcher = Batcher::open(folder.path(), settings()).unwrap();
    assert_eq!(batcher.mempool().len(), 2);
    for replaced in [first, second, with_fee(121, 5)] {
        let Some(Verdict::Rejected { reason }) = batcher.verdict(&id(&replaced)).unwrap() else {
            panic!("it was replaced");
        };
        assert!(reason.contains("replaced by operation"), "{reason}");
    }
    assert_eq!(batcher.seal(&[], NOW).unwrap().unwrap().counts(), [0, 2, 0]);
    assert_eq!(balance(&batcher, 3), OPENING + 6 + 1);
    // What is sealed stays.
    assert!(batcher.submit(with_fee(1_000, 7), NOW).unwrap().is_err());
}

/// What expired is replaced by anything, and where no fee is taken a transfer of nothing cancels.
#[test]
fn what_expired_or_has_no_fee_can_be_replaced() {
    let (_folder, mut batcher) = world();
    let short = signed(Transfer {
        valid_until: NOW + 10,
        ..plain(2, 3, 1, 0)
    });
    accept(&mut batcher, &[short, transfer(9, 10, 1, 0)]);
    let again = transfer(2, 3, 2, 0);
    assert!(batcher.submit(again, NOW + 10).unwrap().is_err());
    assert!(batcher.submit(again, NOW + 11).unwrap().is_ok());

    let refusal = batcher
        .submit(transfer(9, 10, 2, 0), NOW)
        .unwrap()
        .unwrap_err();
    assert!(refusal.to_string().contains("transfer of 0"), "{refusal}");
    accept(&mut batcher, &[transfer(9, 9, 0, 0)]);
    assert!(batcher.submit(transfer(9, 10, 2, 0), NOW).unwrap().is_err());
    assert_eq!(batcher.seal(&[], NOW).unwrap().unwrap().counts(), [0, 2, 0]);
    assert_eq!(
        (balance(&batcher, 9), balance(&batcher, 10)),
        (OPENING, OPENING)
    );
    assert_eq!(batcher.next_nonce(9), Some(1));
}

#[test]
fn an_operation_behind_a_gap_names_the_nonce_that_is_missing() {
    let (_folder, mut batcher) = world();
    let (ready, poor) = (transfer(2, 3, 1, 0), transfer(2, 3, 5 * OPENING, 1));
    let behind = transfer(2, 3, 1, 2);
    accept(&mut batcher, &[ready, poor, behind]);
    assert_eq!(batcher.missing_nonce(&id(&behind)), None);
    batcher.seal(&[], NOW).unwrap().unwrap();
    assert!(matches!(
        batcher.verdict(&id(&poor)).unwrap(),
        Some(Verdict::Rejected { .. })
    ));
    assert_eq!(batcher.missing_nonce(&id(&behind)), Some(1));
    accept(&mut batcher, &[transfer(2, 3, 1, 1)]);
    assert_eq!(batcher.missing_nonce(&id(&behind)), None);
}

#[test]
fn bad_operations_are_refused_each_for_its_reason() {
    let (_folder, mut batcher) = world();
    let good = plain(2, 3, 10, 0);
    let Ok(elsewhere) = SignedOperation::from_bytes(
        &SignedOperation::from(good.sign(&key(2), &7u64.into()))
            .to_bytes()
            .unwrap(),
    ) else {
        panic!("the bytes are those of an operation");
    };
    let fee = Float16::exact(1).unwrap();
    let operations = [
        elsewhere,
        resigned(good),
        signed(Transfer { from: 77, ..good }),
        signed(Transfer { to: 4096, ..good }),
        signed(Transfer { token: 1, ..good }),
        signed(Transfer {
            valid_until: NOW - 1,
            ..good
        }),
        signed(Transfer {
            fee,
            ..plain(9, 10, 5, 0)
        }),
        SignedOperation::Transfer(operation_with_wide_nonce(good)),
    ];
    let verdicts = batcher.submit_many(&operations, NOW).unwrap();
    let rejects: Vec<Refusal> = verdicts.into_iter().map(Result::unwrap_err).collect();
    assert!(matches!(
        rejects[..],
        [
            Refusal::Rejected(Reject::SignatureIsValid { index: 2, .. }),
            Refusal::Rejected(Reject::SignatureIsValid { index: 2, .. }),
            Refusal::Rejected(Reject::SenderExists { index: 77 }),
            Refusal::Rejected(Reject::IndexInRange {
                index: 4096,
                leaves: 4096
            }),
            Refusal::Rejected(Reject::SameToken {
                index: 2,
                held: 0,
                signed: 1
            }),
            Refusal::Rejected(Reject::NotExpired { .. }),
            Refusal::FeeTokenNotTaken { token: 1 },
            Refusal::NonceTooFarAhead { .. },
        ]
    ));
    assert!(batcher.mempool().is_empty());
}

fn operation_with_wide_nonce(good: Transfer) -> ledger::operation::Signed<Transfer> {
    let nonce = 1 << 40;
    Transfer { nonce, ..good }.sign(&key(2), &settings().domain)
}

#[test]
fn a_forged_signature_takes_no_place() {
    let (_folder, mut batcher) = world();
    let good = plain(2, 3, 10, 0);
    let mut forged = good.sign(&key(2), &settings().domain);
    forged.signature.r8 = Point::base8();
    let verdicts = batcher
        .submit_many(&[forged.into(), signed(good)], NOW)
        .unwrap();
    assert!(matches!(
        verdicts[..],
        [
            Err(Refusal::Rejected(Reject::SignatureIsValid { .. })),
            Ok(_)
        ]
    ));
}

#[test]
fn withdrawals_are_refused_where_no_shape_takes_them() {
    let (_folder, mut batcher) = world_with(batcher::Settings {
        shapes: vec![TRANSFERS],
        ..settings()
    });
    let refusal = batcher.submit(withdraw(2, 5, 0), NOW).unwrap();
    assert_eq!(refusal, Err(Refusal::KindNotTaken { kind: 2 }));
}

/// Only a final batch makes an expiry final: a clock that is ahead drops nothing.
#[test]
fn expired_operations_are_dropped_once_a_later_batch_is_final() {
    let (folder, mut batcher) = world();
    let short = signed(Transfer {
        valid_until: NOW + 10,
        ..plain(2, 3, 10, 0)
    });
    let long = signed(Transfer {
        valid_until: NOW + 20,
        ..plain(4, 3, 10, 0)
    });
    accept(&mut batcher, &[short, long, transfer(5, 3, 10, 0)]);
    let verdict = |batcher: &Batcher, operation| batcher.verdict(&id(operation)).unwrap().unwrap();
    let month = NOW + 30 * 86_400;
    let sealed = batcher.seal(&[], month).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 1, 0]);
    assert_eq!(batcher.seal_due(&[], month), Ok(None), "nothing is ready");
    assert!(batcher.seal(&[], month).unwrap().is_none());

    // The clock was wrong: the batch never was, and nothing expired.
    batcher.reopen(1).unwrap();
    drop(batcher);
    let mut batcher = Batcher::open(folder.path(), settings()).unwrap();
    assert_eq!(batcher.mempool().len(), 3);
    let sealed = batcher.seal(&[], NOW + 11).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 1, 0], "as before");
    let sealed = batcher.seal(&[], NOW + 11).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 1, 0]);
    assert_eq!(verdict(&batcher, &long), Verdict::Sealed { batch: 2 });
    assert_eq!(verdict(&batcher, &short), Verdict::Pending);

    let proved = batcher.record_proof(batcher.batch(1).unwrap().batch().clone(), vec![1], NOW);
    batcher.record_finalized(proved.unwrap(), NOW + 12).unwrap();
    for _ in 0..2 {
        let Verdict::Rejected { reason } = verdict(&batcher, &short) else {
            panic!("the operation has expired");
        };
        assert!(
            reason.contains("valid until 2023-11-14T22:13:30Z"),
            "{reason}"
        );
        assert!(batcher.mempool().is_empty());
        drop(batcher);
        batcher = Batcher::open(folder.path(), settings()).unwrap();
    }
}

/// One clock made it expire, the next one did not: it is taken at its place.
#[test]
fn what_a_clock_that_was_ahead_set_aside_is_ready_again() {
    let (_folder, mut batcher) = world();
    let short = signed(Transfer {
        valid_until: NOW + 10,
        ..plain(2, 3, 10, 0)
    });
    accept(&mut batcher, &[short, transfer(2, 3, 10, 1)]);
    assert!(batcher.seal(&[], NOW + 11).unwrap().is_none());
    let sealed = batcher.seal(&[], NOW + 10).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 2, 0]);
}

/// What was received by a clock that was ahead does not wait for its time.
#[test]
fn an_operation_from_the_future_is_due() {
    let (_folder, mut batcher) = world();
    let ahead = NOW + 30 * 86_400;
    batcher
        .submit(transfer(2, 3, 10, 0), ahead)
        .unwrap()
        .unwrap();
    assert_eq!(batcher.latest_time(), ahead);
    assert_eq!(batcher.seal_due(&[], NOW), Ok(Some(Due::Age)));
}

#[test]
fn amounts_beyond_any_balance_are_dropped_when_they_execute() {
    let (_folder, mut batcher) = world();
    let huge = signed(Transfer {
        amount: Float40::from_packed((1 << 40) - 1).unwrap(),
        valid_until: NO_EXPIRY,
        ..plain(2, 3, 1, 0)
    });
    accept(&mut batcher, &[huge]);
    assert!(batcher.seal(&[], NOW).unwrap().is_none());
    let Some(Verdict::Rejected { reason }) = batcher.verdict(&id(&huge)).unwrap() else {
        panic!("nobody has that much");
    };
    assert!(reason.contains("2^128 or more"), "{reason}");
}
