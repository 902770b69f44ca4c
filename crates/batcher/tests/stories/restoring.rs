//! A database made again from what L1 has.

use std::convert::Infallible;
use std::path::Path;

use batcher::SealError;
use batcher::store::FILE_NAME;
use batcher::{
    Batcher, Fill, HistoryError, QueueEntry, Refusal, RestoreError, RestoredBatch, Role, Settings,
    SignedOperation,
};
use histories::{Import, ImportOptions};
use ledger::account::Account;
use ledger::float::Float40;
use ledger::operation::L1Op;
use ledger::shape::Shape;
use storage::OpenError as Fault;
use tempfile::TempDir;

use crate::world::*;

fn finalize_all(batcher: &mut Batcher) {
    for number in batcher.unproved().unwrap() {
        let batch = batcher.batch(number).unwrap().batch().clone();
        let proof = number.to_be_bytes().to_vec();
        let proved = batcher.record_proof(batch, proof, NOW + 1).unwrap();
        batcher.record_finalized(proved, NOW + number).unwrap();
    }
}

fn history(batcher: &Batcher) -> Vec<RestoredBatch> {
    let numbers = 1..=batcher.status().finalized;
    numbers.map(|number| on_l1(batcher, number)).collect()
}

type Restored = Result<Batcher, RestoreError<String>>;

fn restore(
    folder: &Path,
    settings: Settings,
    genesis: Vec<(u32, Account)>,
    batches: &[RestoredBatch],
) -> Restored {
    let batches = batches.iter().cloned().map(Ok);
    Batcher::restore(folder, settings, genesis, batches, |_| {})
}

fn assert_same(restored: &Batcher, original: &Batcher) {
    assert!(restored.state() == original.state());
    assert_eq!(restored.status(), original.status());
    for number in 1..=original.status().sealed {
        let same = restored.batch(number).unwrap() == original.batch(number).unwrap();
        assert!(same, "batch {number}");
        let (ours, theirs) = (
            restored.times(number).unwrap(),
            original.times(number).unwrap(),
        );
        assert_eq!(ours.finalized, theirs.finalized);
    }
    assert_eq!(restored.check_tree(), Ok(()));
}

#[test]
fn the_whole_finalized_workload_is_restored_and_goes_on() {
    let shape = Shape {
        id: 1,
        depth: 12,
        l1_ops: 0,
        transfers: 70,
        withdrawals: 0,
        fee_slots: 2,
        cached_levels: 3,
    };
    let options = ImportOptions {
        seed: b"restoring",
        depth: 12,
        operator: [1; 20],
        limit: None,
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../benches/workloads/ethereum_transfers.csv.gz");
    let import = Import::read(&file, &options).unwrap();
    let genesis: Vec<_> = import
        .genesis()
        .iter()
        .map(|a| (a.index, a.account()))
        .collect();
    let settings = Settings {
        shapes: vec![shape],
        fee_accounts: import.fee_accounts(),
        ..settings()
    };
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut original = Batcher::create(folder.path(), settings.clone(), genesis.clone()).unwrap();
    let mut signed: Vec<SignedOperation> = import
        .signed(settings.domain)
        .map(SignedOperation::from)
        .collect();
    let last = signed.split_off(signed.len() - 8);
    for operations in signed.chunks(4096) {
        original.submit_many(operations, NOW).unwrap();
    }
    original
        .seal_all(&[], NOW, Fill::UntilNextDoesNotFit, |_| {})
        .unwrap();
    finalize_all(&mut original);
    let mut restored =
        restore(other.path(), settings.clone(), genesis, &history(&original)).unwrap();
    assert_same(&restored, &original);
    assert!(restored.mempool().is_empty());
    drop(restored);
    restored = Batcher::open(other.path(), settings).unwrap();
    assert_same(&restored, &original);
    let again = restored.submit(signed[0], NOW).unwrap();
    assert!(again.is_err(), "what was executed is not executed again");
    let batches = [&mut restored, &mut original].map(|batcher| {
        let verdicts = batcher.submit_many(&last, NOW).unwrap();
        assert!(verdicts.iter().all(Result::is_ok));
        batcher.seal(&[], NOW + 1).unwrap().unwrap()
    });
    assert_eq!(batches[0], batches[1]);
    assert!(
        restored.witness(batches[0].number()).unwrap()
            == original.witness(batches[1].number()).unwrap()
    );
}

/// A few batches of everything, all finalized.
fn finalized() -> (TempDir, Batcher) {
    let (folder, mut batcher) = world();
    let create = L1Op::Create {
        index: 11,
        token: 1,
        amount: 50,
        key: key(11).public_key(),
    };
    let exit = L1Op::ForcedExit { index: 8, token: 0 };
    let top_up = L1Op::TopUp {
        index: 5,
        token: 0,
        amount: 9,
    };
    let entries = queue(&[create, top_up, exit]);
    let operations: Vec<_> = (0..10).map(|nonce| transfer(2, 3, 5, nonce)).collect();
    accept(&mut batcher, &operations);
    accept(&mut batcher, &[withdraw(4, 7, 0)]);
    while batcher.seal(&entries, NOW).unwrap().is_some() {}
    finalize_all(&mut batcher);
    (folder, batcher)
}

#[test]
fn batches_of_all_kinds_are_restored() {
    let (_folder, original) = finalized();
    let other = TempDir::new().unwrap();
    let mut seen = Vec::new();
    let batches = history(&original).into_iter().map(Ok::<_, Infallible>);
    let restored = Batcher::restore(other.path(), settings(), genesis(), batches, |batch| {
        seen.push(batch.number());
    })
    .unwrap();
    assert_same(&restored, &original);
    assert_eq!(restored.status().queue, 3);
    assert!(seen.len() > 3);
    assert_eq!(seen.last(), Some(&original.status().sealed));
    let empty = TempDir::new().unwrap();
    let restored = restore(empty.path(), settings(), genesis(), &[]).unwrap();
    assert_eq!(restored.status().sealed, 0);
}

/// L1 may lose its last batches after the restoration, and others take their place.
#[test]
fn a_restored_database_undoes_its_last_batches() {
    let (_folder, original) = finalized();
    let history = history(&original);
    let kept = 2;
    let settings = Settings {
        undo_window: kept,
        ..settings()
    };
    let last = original.status().finalized;
    for from in 1..=last {
        let folder = TempDir::new().unwrap();
        let mut restored = restore(folder.path(), settings.clone(), genesis(), &history).unwrap();
        restored.roll_back_finalized(from - 1).unwrap();
        let reopened = restored.reopen(from);
        if from + kept <= last {
            assert!(reopened.is_err(), "batch {from} is out of the window");
            continue;
        }
        assert_eq!(reopened.unwrap().batches, last - from + 1);
        let other = TempDir::new().unwrap();
        let until = &history[..usize::try_from(from - 1).unwrap()];
        let before = restore(other.path(), settings.clone(), genesis(), until).unwrap();
        assert!(restored.state() == before.state(), "before batch {from}");
        assert_eq!(restored.status(), before.status());
        assert_eq!(restored.check_tree(), Ok(()));
    }
    assert!(last > kept + 1);
}

fn refused(batches: &[RestoredBatch]) -> RestoreError<String> {
    let folder = TempDir::new().unwrap();
    let error = restore(folder.path(), settings(), genesis(), batches).err();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "nothing is left behind");
    error.expect("this history is not whole")
}

#[test]
fn the_first_bad_batch_is_named_and_nothing_is_left_behind() {
    let (_folder, original) = finalized();
    let good = history(&original);
    for at in 0..good.len() {
        let number = u64::try_from(at).unwrap() + 1;
        let mut bad = good.clone();
        if let Some(transfer) = bad[at].words.transfers.first_mut() {
            transfer.amount = Float40::exact(6).unwrap();
            let error = refused(&bad);
            let named = matches!(error, RestoreError::History(HistoryError::Replay { number: n, .. }) if n == number);
            assert!(named, "batch {number}: {error}");
        }
        let mut bad = good.clone();
        bad.remove(at);
        if at + 1 < good.len() {
            let error = refused(&bad);
            let named = matches!(error, RestoreError::History(HistoryError::Order { number: n, .. }) if n == number);
            assert!(named, "batch {number} is missing: {error}");
        }
        let mut bad = good.clone();
        bad[at].queue = bad[at].queue.start + 1..bad[at].queue.end + 1;
        let error = refused(&bad);
        assert!(
            matches!(error, RestoreError::History(HistoryError::Order { .. })),
            "{error}"
        );
        let mut bad = good.clone();
        bad[at].words.header.domain += ledger::field::Fr::from(1u64);
        let error = refused(&bad);
        assert!(error.to_string().contains("domain"), "{error}");
        let mut bad = good.clone();
        bad[at].shape.id = 9;
        assert!(matches!(
            refused(&bad),
            RestoreError::History(HistoryError::Order { .. })
        ));
    }
}

#[test]
fn a_source_that_fails_leaves_nothing_behind() {
    let (_folder, original) = finalized();
    let folder = TempDir::new().unwrap();
    let batches = history(&original)
        .into_iter()
        .map(Ok)
        .chain([Err("the disk is gone")]);
    let error = Batcher::restore(folder.path(), settings(), genesis(), batches, |_| {}).err();
    assert!(matches!(
        error,
        Some(RestoreError::Source("the disk is gone"))
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = {
        std::fs::write(folder.path().join(FILE_NAME), b"something").unwrap();
        restore(folder.path(), settings(), genesis(), &[]).err()
    };
    assert!(matches!(
        error,
        Some(RestoreError::Open(batcher::OpenError::Database(
            Fault::Exists { .. }
        )))
    ));
}

#[test]
fn a_mirror_acknowledges_and_seals_nothing() {
    let (_folder, mut original) = world();
    accept(&mut original, &[transfer(2, 3, 5, 0)]);
    original.seal(&[], NOW).unwrap().unwrap();
    finalize_all(&mut original);
    let folder = TempDir::new().unwrap();
    let batches = history(&original);
    let mut mirror = restore(folder.path(), settings(), genesis(), &batches).unwrap();
    assert_eq!(mirror.role(), Some(Role::Operator));
    mirror.set_role(Role::Mirror).unwrap();
    for reopened in [false, true] {
        if reopened {
            drop(mirror);
            mirror = Batcher::open(folder.path(), settings()).unwrap();
        }
        assert_eq!(mirror.role(), Some(Role::Mirror));
        let verdict = mirror.submit(transfer(2, 3, 5, 1), NOW).unwrap();
        assert_eq!(verdict, Err(Refusal::Mirror));
        assert_eq!(mirror.status().waiting, 0);
        let queue = [QueueEntry {
            number: mirror.status().queue,
            op: L1Op::TopUp {
                index: 2,
                token: 0,
                amount: 1,
            },
        }];
        let sealed = mirror.seal(&queue, NOW);
        assert!(matches!(sealed, Err(SealError::Mirror)), "{sealed:?}");
        let sealed = mirror.seal_all(&queue, NOW, Fill::WhateverFits, |_| {});
        assert!(matches!(sealed, Err(SealError::Mirror)), "{sealed:?}");
    }
    // Taken over, it goes on where L1 is.
    mirror.set_role(Role::Operator).unwrap();
    accept(&mut mirror, &[transfer(2, 3, 5, 1)]);
    assert_eq!(mirror.seal(&[], NOW).unwrap().unwrap().number(), 2);
}
