//! What survives a restart, and which files are refused.

use std::fs;
use std::path::{Path, PathBuf};

use batcher::StageError;
use batcher::store::FILE_NAME;
use batcher::{
    Batcher, OpenError, Proofs, Settings, SignedOperation, StoreError, StoredBatch, Verdict,
    acknowledged,
};
use ledger::state::CheckError;
use redb::{Database, ReadableTable, TableDefinition};
use storage::OpenError as Fault;
use tempfile::TempDir;

use crate::world::*;

fn reopen(folder: &Path) -> Batcher {
    Batcher::open(folder, settings()).unwrap()
}

fn refused(folder: &Path, settings: Settings) -> OpenError {
    match Batcher::open(folder, settings) {
        Err(error) => error,
        Ok(_) => panic!("the file should be refused"),
    }
}

/// Three batches, one of them finalized, and two operations that wait.
fn busy() -> (TempDir, Vec<SignedOperation>) {
    let (folder, mut batcher) = world();
    let operations: Vec<_> = (0..12).map(|nonce| transfer(2, 3, 1, nonce)).collect();
    accept(&mut batcher, &operations);
    for _ in 0..3 {
        batcher.seal(&[], NOW).unwrap().unwrap();
    }
    let first = batcher.batch(1).unwrap().batch().clone();
    let proved = batcher.record_proof(first, vec![9; 40], NOW + 1).unwrap();
    batcher.record_finalized(proved, NOW + 2).unwrap();
    accept(&mut batcher, &[transfer(4, 5, 7, 1), transfer(4, 5, 6, 0)]);
    (folder, operations)
}

#[test]
fn everything_acknowledged_survives_and_nothing_executes_twice() {
    let (folder, operations) = busy();
    let mut batcher = reopen(folder.path());
    assert_eq!(batcher.status().sealed, 3);
    assert_eq!(batcher.status().finalized, 1);
    assert_eq!(batcher.mempool().len(), 2);
    assert_eq!(
        batcher.verdict(&id(&operations[0])).unwrap(),
        Some(Verdict::Finalized { batch: 1 })
    );
    assert_eq!(
        batcher.verdict(&id(&operations[11])).unwrap(),
        Some(Verdict::Sealed { batch: 3 })
    );
    accept(&mut batcher, &operations);
    assert_eq!(batcher.mempool().len(), 2);
    let sealed = batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!((sealed.number(), sealed.counts()), (4, [0, 2, 0]));
    assert_eq!(balance(&batcher, 3), OPENING + 12);
    assert_eq!(balance(&batcher, 5), OPENING + 13);
    let batcher = {
        drop(batcher);
        reopen(folder.path())
    };
    assert!(batcher.mempool().is_empty());
    assert_eq!(batcher.audit(genesis()).unwrap().len(), 5);
}

#[test]
fn a_witness_is_the_same_after_a_restart_and_more_batches() {
    let (folder, mut batcher) = world();
    accept(&mut batcher, &[transfer(2, 3, 1, 0), withdraw(4, 2, 0)]);
    batcher.seal(&[], NOW).unwrap().unwrap();
    let before = batcher.witness(1).unwrap();
    accept(&mut batcher, &[transfer(2, 3, 1, 1)]);
    batcher.seal(&[], NOW).unwrap().unwrap();
    drop(batcher);
    let batcher = reopen(folder.path());
    assert_eq!(batcher.witness(1).unwrap(), before);
    assert_eq!(batcher.unproved().unwrap(), [1, 2]);
    let update = &before.transfers[0].sender_update;
    let old = before.transfers[0].sender.leaf();
    assert_eq!(update.roots(old, old).0, update.old_subtree);
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives() {
    let (folder, batcher) = world();
    let error = refused(folder.path(), settings());
    assert!(
        matches!(error, OpenError::Database(Fault::InUse { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("wait until it has ended"),
        "{error}"
    );
    drop(batcher);
    reopen(folder.path());
}

/// Readers stand beside the writer, and beside one another; each sees what was there when it came.
#[test]
fn readers_see_one_moment_while_another_process_writes() {
    let (folder, mut batcher) = world();
    let read = || Batcher::open_to_read(folder.path(), settings()).unwrap();
    let before = read();
    let first = transfer(2, 3, 1, 0);
    accept(&mut batcher, &[first]);
    let between = read();
    batcher.seal(&[], NOW).unwrap().unwrap();
    let mut after = read();
    let verdict = |batcher: &Batcher| batcher.verdict(&id(&first)).unwrap();
    assert_eq!(verdict(&before), None);
    assert_eq!(verdict(&between), Some(Verdict::Pending));
    assert_eq!(verdict(&after), Some(Verdict::Sealed { batch: 1 }));
    assert_eq!(before.state(), between.state());
    assert_eq!(after.state(), batcher.state());
    assert_eq!(after.batch(1).unwrap(), batcher.batch(1).unwrap());

    // A reader writes nothing, whatever it is asked.
    let refused = after.submit(transfer(4, 5, 1, 0), NOW);
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
    assert!(after.seal(&[], NOW).is_err() && after.reopen(1).is_err());
    assert_eq!(batcher.status(), after.status());
}

/// The program that wrote the file was killed: the next reader mends it and sees what was acknowledged.
#[test]
fn a_reader_mends_what_a_killed_writer_left() {
    let (folder, mut batcher) = world();
    accept(&mut batcher, &[transfer(2, 3, 1, 0)]);
    let left = tempfile::tempdir().unwrap();
    let copy = left.path().join(FILE_NAME);
    std::fs::copy(folder.path().join(FILE_NAME), &copy).unwrap();
    let read = Batcher::open_to_read(left.path(), settings()).unwrap();
    assert_eq!(read.status(), batcher.status());
    assert_eq!(read.mempool().len(), 1);
}

/// A proof is kept while nobody has the database open, for the batch that it was made for alone.
#[test]
fn a_proof_is_kept_without_the_accounts() {
    let (folder, mut batcher) = world();
    let (_other_folder, mut other) = world();
    for (batcher, amount) in [(&mut batcher, 1), (&mut other, 2)] {
        accept(batcher, &[transfer(2, 3, amount, 0)]);
        batcher.seal(&[], NOW).unwrap().unwrap();
    }
    let foreign = other.batch(1).unwrap().batch().clone();
    let in_use = Proofs::open(folder.path(), &settings()).err().unwrap();
    assert!(
        matches!(in_use, OpenError::Database(Fault::InUse { .. })),
        "{in_use}"
    );
    drop(batcher);

    let settings = settings();
    let proofs = Proofs::open(folder.path(), &settings).unwrap();
    let batch = proofs.batch(1).unwrap();
    let refused = proofs.record(&foreign, &[7], NOW);
    assert!(matches!(refused, Err(StageError::OtherBatch { number: 1 })));
    assert!(matches!(proofs.batch(2), Err(StageError::NoBatch { .. })));
    proofs.record(&batch, &[7], NOW).unwrap();
    drop(proofs);
    let mut batcher = reopen(folder.path());
    let StoredBatch::Proved(proved) = batcher.batch(1).unwrap() else {
        panic!("the proof was kept");
    };
    assert_eq!(proved.proof(), [7]);
    batcher.record_finalized(proved, NOW).unwrap();
    drop(batcher);
    let proofs = Proofs::open(folder.path(), &settings).unwrap();
    assert!(matches!(
        proofs.batch(1),
        Err(StageError::OutOfOrder { .. })
    ));
}

/// What was acknowledged is read from the file alone, and can be handed in again.
#[test]
fn acknowledged_operations_are_read_from_the_file_alone() {
    let (folder, mut batcher) = world();
    let operations: Vec<_> = (0..4).map(|nonce| transfer(2, 3, 1, nonce)).collect();
    let (mut finals, mut expected) = (Vec::new(), Vec::new());
    for (number, operation) in (1..).zip(&operations[..2]) {
        accept(&mut batcher, &[*operation]);
        let batch = batcher.seal(&[], NOW).unwrap().unwrap();
        if number == 1 {
            let proved = batcher.record_proof(batch, vec![7], NOW).unwrap();
            batcher.record_finalized(proved, NOW).unwrap();
            finals.push((*operation, Verdict::Finalized { batch: 1 }));
        } else {
            expected.push((*operation, Verdict::Sealed { batch: 2 }));
        }
    }
    accept(&mut batcher, &operations[2..]);
    expected.extend(operations[2..].iter().map(|one| (*one, Verdict::Pending)));
    drop(batcher);
    let file = folder.path().join(FILE_NAME);
    let before = std::fs::read(&file).unwrap();
    let read = |since| -> Vec<_> {
        let all = acknowledged(&file, since, None).unwrap().into_iter();
        all.map(|one| {
            assert_eq!((one.id, one.received), (id(&one.operation), NOW));
            (one.operation, one.verdict)
        })
        .collect()
    };
    assert_eq!(read(None), expected);
    assert_eq!(read(Some(1)), [finals, expected.clone()].concat());
    assert_eq!(read(Some(3)), expected[1..]);
    assert_eq!(std::fs::read(&file).unwrap(), before, "it was only read");
    let (_other_folder, mut other) = world();
    accept(&mut other, &operations);
}

#[test]
fn an_existing_database_is_not_overwritten() {
    let (folder, batcher) = world();
    drop(batcher);
    let error = Batcher::create(folder.path(), settings(), genesis()).err();
    assert!(matches!(
        error,
        Some(OpenError::Database(Fault::Exists { .. }))
    ));
    let leftover = TempDir::new().unwrap();
    let draft = leftover.path().join(".batcher.redb.draft-left");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join(FILE_NAME), b"half a file").unwrap();
    assert!(Batcher::create(leftover.path(), settings(), genesis()).is_ok());
    assert!(!draft.exists());
}

#[test]
fn missing_and_foreign_files_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE_NAME);
    let error = refused(folder.path(), settings());
    assert!(
        matches!(error, OpenError::Database(Fault::Missing { .. })),
        "{error}"
    );
    assert!(error.to_string().contains(&path.display().to_string()));
    for bytes in [&b""[..], b"x", &b"not a database at all ".repeat(500)] {
        fs::write(&path, bytes).unwrap();
        let error = refused(folder.path(), settings());
        let named = matches!(
            error,
            OpenError::Database(Fault::NotADatabase { .. })
                | OpenError::Database(Fault::Damaged { .. })
        );
        assert!(named, "{} bytes: {error}", bytes.len());
    }
    fs::remove_file(&path).unwrap();
    drop(Database::create(&path).unwrap());
    let error = refused(folder.path(), settings());
    assert!(
        matches!(error, OpenError::Database(Fault::NotADatabase { .. })),
        "{error}"
    );
    let nowhere = folder.path().join("nowhere");
    let error = Batcher::create(&nowhere, settings(), genesis()).err();
    assert!(matches!(error, Some(OpenError::Database(Fault::Io { .. }))));
}

#[test]
fn other_deployments_and_versions_are_refused() {
    let (folder, batcher) = world();
    drop(batcher);
    let differs = |settings: Settings| match refused(folder.path(), settings) {
        OpenError::OtherDeployment { what, .. } => what,
        error => panic!("{error}"),
    };
    assert_eq!(
        differs(Settings {
            domain: 1u64.into(),
            ..settings()
        }),
        "domain"
    );
    assert_eq!(
        differs(Settings {
            genesis: [6; 32],
            ..settings()
        }),
        "genesis"
    );
    let deeper = ledger::shape::Shape {
        depth: 7,
        ..TRANSFERS
    };
    assert_eq!(
        differs(Settings {
            shapes: vec![deeper],
            ..settings()
        }),
        "depth"
    );
    edit_meta(folder.path(), "format", &u32::MAX.to_be_bytes());
    let error = refused(folder.path(), settings());
    assert!(
        matches!(
            error,
            OpenError::Database(Fault::Version {
                found: u32::MAX,
                ..
            })
        ),
        "{error}"
    );
}

fn edit_meta(folder: &Path, row: &str, bytes: &[u8]) {
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let database = Database::create(folder.join(FILE_NAME)).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(meta).unwrap().insert(row, bytes).unwrap();
    write.commit().unwrap();
}

/// Adds one to the last byte of a row, as a program with a fault would, checksums and all.
fn edit_row<K>(folder: &Path, table: &str, key: K)
where
    K: for<'a> redb::Key<SelfType<'a> = K> + Copy + 'static,
{
    let table: TableDefinition<'_, K, &[u8]> = TableDefinition::new(table);
    let database = Database::create(folder.join(FILE_NAME)).unwrap();
    let write = database.begin_write().unwrap();
    let mut rows = write.open_table(table).unwrap();
    let mut bytes = rows.get(key).unwrap().unwrap().value().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    rows.insert(key, bytes.as_slice()).unwrap();
    drop(rows);
    write.commit().unwrap();
}

#[test]
fn nodes_that_do_not_have_the_stored_root_are_refused() {
    let (folder, _) = busy();
    edit_row(folder.path(), "nodes", 0u64);
    let error = refused(folder.path(), settings());
    assert!(
        matches!(error, OpenError::Database(Fault::Damaged { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("root"), "{error}");
}

#[test]
fn an_account_that_is_not_its_leaf_is_found_by_an_audit() {
    let (folder, _) = busy();
    let batcher = reopen(folder.path());
    assert_eq!(batcher.check_tree(), Ok(()));
    drop(batcher);
    edit_row(folder.path(), "accounts", 3u32);
    let batcher = reopen(folder.path());
    assert_eq!(batcher.check_tree(), Err(CheckError::Leaf { index: 3 }));
    assert!(batcher.audit(genesis()).is_err());
}

/// A copy of the file with other bytes, in a folder of its own.
fn copy_with(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE_NAME);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn truncated_files_are_refused() {
    let (folder, _) = busy();
    let good = fs::read(folder.path().join(FILE_NAME)).unwrap();
    for length in [1, 100, 320, 4096, good.len() / 4, good.len() / 2] {
        let (copy, _) = copy_with(&good[..length]);
        let error = refused(copy.path(), settings());
        let named = matches!(
            error,
            OpenError::Database(Fault::Damaged { .. })
                | OpenError::Database(Fault::NotADatabase { .. })
        );
        assert!(named, "{length} bytes: {error}");
    }
}

#[test]
fn flipped_bits_are_refused_or_change_nothing() {
    let (folder, operations) = busy();
    let good = fs::read(folder.path().join(FILE_NAME)).unwrap();
    let expected = reopen(folder.path());
    let written = good.iter().rposition(|byte| *byte != 0).unwrap();
    let mut refusals = 0;
    for at in (0..=written).step_by(written / 250) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        let (copy, _) = copy_with(&bad);
        let Ok(batcher) = Batcher::open(copy.path(), settings()) else {
            refusals += 1;
            continue;
        };
        assert_eq!(batcher.status(), expected.status(), "byte {at}");
        assert!(batcher.state() == expected.state(), "byte {at}");
        assert!(batcher.audit(genesis()).is_ok(), "byte {at}");
        let (got, same) = (batcher.witness(2).unwrap(), expected.witness(2).unwrap());
        assert_eq!(got, same, "byte {at}");
        for operation in &operations {
            let id = id(operation);
            let verdict = batcher.verdict(&id).unwrap();
            assert_eq!(verdict, expected.verdict(&id).unwrap(), "byte {at}");
        }
    }
    assert!(refusals > 0);
}
