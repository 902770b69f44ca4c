//! The chain's file and the batch folder: what survives, what is refused and what is said.

use std::path::Path;

use ::files::{Class, Classified};
use l1::submission::{BatchFolder, DATA_FILE, FolderError, PROOF_FILE, SUMMARY_FILE};
use l1::{BatchFault, Genesis, L1Error, NativeL1, OpenError, Refusal, StoreError};
use prover::key::AllowDevKeys;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use redb::{Database, ReadableTable, TableDefinition};
use storage::OpenError as Fault;

use crate::fixture::*;

fn open(path: &Path) -> Result<NativeL1, OpenError> {
    NativeL1::open(path, AllowDevKeys::Yes)
}

/// The story's chain after its first batch, closed; and what it said.
fn closed_chain() -> (tempfile::TempDir, std::path::PathBuf, Picture) {
    let Chain { l1, folder } = story_chain();
    l1.submit_batch(OPERATOR, &story().first.submission, T1)
        .unwrap();
    let path = folder.path().join("l1.redb");
    let before = picture(&l1);
    (folder, path, before)
}

#[test]
fn everything_survives_a_restart() {
    let (_folder, path, before) = closed_chain();
    let l1 = open(&path).unwrap();
    assert_eq!(picture(&l1), before);
    assert_eq!(l1.deployment(), genesis().deployment());
    l1.submit_batch(OPERATOR, &story().second.submission, T2)
        .unwrap();
    assert_conserved(&l1, &story().second.state);
}

#[test]
fn a_second_user_of_the_file_is_told_so() {
    let chain = story_chain();
    let path = chain.folder.path().join("l1.redb");
    let error = open(&path).err().unwrap();
    assert!(
        matches!(error, OpenError::Database(Fault::InUse { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("wait until it has ended"));
}

/// Readers stand beside the writer; each sees one moment, and none changes anything.
#[test]
fn readers_see_one_moment_while_another_process_writes() {
    let chain = story_chain();
    let path = chain.folder.path().join("l1.redb");
    let read = || NativeL1::open_to_read(&path, AllowDevKeys::Yes).unwrap();
    let (mut reader, before) = (read(), picture(&chain));
    assert_eq!(picture(&reader), before);
    chain.top_up(ALICE, 2, 1, FEE, T0).unwrap();
    assert_eq!(picture(&reader), before);
    assert_eq!(picture(&read()), picture(&chain));
    let refused = reader.top_up(ALICE, 2, 1, FEE, T0);
    assert!(matches!(refused, Err(L1Error::Store(StoreError::ReadOnly))));
    assert!(reader.advance_time(1).is_err() && reader.reorg(1).is_err());
    reader.renew().unwrap();
    assert_eq!(picture(&reader), picture(&chain));

    // The writer was killed: the next reader mends what it left.
    let left = chain.folder.path().join("left.redb");
    std::fs::copy(&path, &left).unwrap();
    let mended = NativeL1::open_to_read(&left, AllowDevKeys::Yes).unwrap();
    assert_eq!(picture(&mended), picture(&chain));
}

#[test]
fn a_missing_file_or_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l1.redb");
    let error = open(&path).err().unwrap();
    assert!(
        matches!(error, OpenError::Database(Fault::Missing { .. })),
        "{error}"
    );
    let nowhere = folder.path().join("no/such/l1.redb");
    let error = NativeL1::create(&nowhere, &genesis(), AllowDevKeys::No);
    let error = error.err().unwrap();
    assert!(
        matches!(error, OpenError::Database(Fault::Io { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("writable"), "{error}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn a_folder_where_nothing_can_be_made_is_refused() {
    let path = Path::new("/proc/l1.redb");
    let error = NativeL1::create(path, &genesis(), AllowDevKeys::No);
    let error = error.err().unwrap();
    assert!(
        matches!(error, OpenError::Database(Fault::Io { .. })),
        "{error}"
    );
}

#[test]
fn an_existing_chain_is_not_overwritten() {
    let (_folder, path, before) = closed_chain();
    let error = NativeL1::create(&path, &genesis(), AllowDevKeys::Yes);
    let error = error.err().unwrap();
    assert!(
        matches!(error, OpenError::Database(Fault::Exists { .. })),
        "{error}"
    );
    assert_eq!(picture(&open(&path).unwrap()), before);
}

#[test]
fn foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l1.redb");
    for contents in [&b""[..], b"hello", &[0; 10_000], &[0xff; 100_000]] {
        std::fs::write(&path, contents).unwrap();
        let error = open(&path).err().unwrap();
        assert!(
            matches!(
                error,
                OpenError::Database(Fault::NotADatabase { .. } | Fault::Damaged { .. })
            ),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), contents);
    }
    let error = open(folder.path()).err().unwrap();
    assert!(
        matches!(
            error,
            OpenError::Database(Fault::NotADatabase { .. } | Fault::Damaged { .. })
        ),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    drop(Database::create(&path).unwrap());
    let error = open(&path).err().unwrap();
    assert!(
        matches!(
            error,
            OpenError::Database(Fault::NotADatabase { .. } | Fault::Damaged { .. })
        ),
        "{error}"
    );
}

#[test]
fn truncated_files_are_refused() {
    let (_folder, path, _) = closed_chain();
    let whole = std::fs::read(&path).unwrap();
    for part in [1, 9, 100, 511, 4096, 5000] {
        std::fs::write(&path, &whole[..part]).unwrap();
        let error = open(&path).err().unwrap();
        assert!(
            matches!(
                error,
                OpenError::Database(Fault::NotADatabase { .. } | Fault::Damaged { .. })
            ),
            "{error}"
        );
    }
    for sixteenths in 1..16 {
        std::fs::write(&path, &whole[..whole.len() * sixteenths / 16]).unwrap();
        let error = open(&path).err().unwrap();
        assert!(
            matches!(
                error,
                OpenError::Database(Fault::NotADatabase { .. } | Fault::Damaged { .. })
            ),
            "{error}"
        );
    }
}

/// The story's chain after its first batch, closed, as bytes; and what it said after each call.
fn history() -> (Vec<u8>, Vec<Picture>) {
    let Chain { l1, folder } = chain_with_key(&genesis());
    let mut pictures = vec![picture(&l1)];
    l1.deposit(&deposit_of(CAROL, "carol", 0, 5_000), T0)
        .unwrap();
    pictures.push(picture(&l1));
    l1.top_up(ALICE, 2, 100, FEE, T0).unwrap();
    pictures.push(picture(&l1));
    l1.submit_batch(OPERATOR, &story().first.submission, T1)
        .unwrap();
    pictures.push(picture(&l1));
    drop(l1);
    let whole = std::fs::read(folder.path().join("l1.redb")).unwrap();
    (whole, pictures)
}

/// Opens damaged contents: true if they are refused, else they say what the chain once said.
fn is_refused(path: &Path, contents: &[u8], said: &[Picture], damage: &str) -> bool {
    std::fs::write(path, contents).unwrap();
    match open(path) {
        Ok(l1) => {
            assert!(said.contains(&picture(&l1)), "{damage}");
            assert_eq!(l1.genesis_accounts().unwrap(), accounts(), "{damage}");
            false
        }
        Err(error) => {
            assert!(
                !matches!(error, OpenError::Database(Fault::Missing { .. })),
                "{error}"
            );
            true
        }
    }
}

/// H4: one flipped bit in the header of the file and of each page in use, and at 300 other places.
#[test]
fn h4_flipped_bits_are_refused_or_rolled_back() {
    const PAGE: usize = 4096;
    let (whole, said) = history();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l1.redb");
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut places: Vec<usize> = (0..320).collect();
    let pages = whole.chunks(PAGE).enumerate();
    for (page, _) in pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0)) {
        places.extend((0..8).map(|at| page * PAGE + at));
    }
    places.extend((0..300).map(|_| used[rng.gen_range(0..used.len())]));
    let mut refused = 0;
    for at in &places {
        let mut altered = whole.clone();
        altered[*at] ^= 1 << rng.gen_range(0..8);
        let damage = format!("byte {at}");
        refused += usize::from(is_refused(&path, &altered, &said, &damage));
    }
    assert!(3 * refused > places.len(), "{refused} of {}", places.len());
}

/// H4: the end is missing, from some bytes to all of the file, at page borders and beside them.
#[test]
fn h4_truncated_files_are_refused_or_rolled_back() {
    let (whole, said) = history();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l1.redb");
    let lengths = (0..whole.len()).step_by(7 * 4096);
    let lengths = lengths.flat_map(|length| [length, length + 1, length + 4095]);
    let near_the_end = (1..40).map(|missing| whole.len() - missing * missing);
    let mut refused = 0;
    for length in lengths.chain(near_the_end) {
        let damage = format!("{length} bytes");
        let kept = &whole[..length.min(whole.len() - 1)];
        refused += usize::from(is_refused(&path, kept, &said, &damage));
    }
    assert!(refused > 40, "{refused}");
}

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// Overwrites a record of the closed database.
fn overwrite(path: &Path, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let db = Database::open(path).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(META).unwrap();
        let record = table.get(name).unwrap().unwrap().value().to_vec();
        table.insert(name, change(record).as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn another_version_is_refused() {
    let (_folder, path, _) = closed_chain();
    overwrite(&path, "version", |_| u32::MAX.to_be_bytes().to_vec());
    let error = open(&path).err().unwrap();
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

#[test]
fn records_that_contradict_each_other_are_refused() {
    // The last byte of the root, the height, and what follows the time.
    let numbers = [31, 39, 55, 63, 71, 79, 87, 95, 96];
    for (name, at) in numbers.map(|at| ("head", at)) {
        let (_folder, path, _) = closed_chain();
        overwrite(&path, name, |mut record| {
            record[at] += 1;
            record
        });
        let error = open(&path).err().unwrap();
        assert!(matches!(error, OpenError::Store { .. }), "{at}: {error}");
    }
    let (_folder, path, _) = closed_chain();
    overwrite(&path, "head", |mut record| {
        record.pop();
        record
    });
    assert!(matches!(open(&path).err(), Some(OpenError::Store { .. })));
}

/// The checksums of its pages hold, and still no genesis can be read from its record.
#[test]
fn a_damaged_deployment_is_told_as_damage() {
    let with_a_space = |record: Vec<u8>| [record, vec![b' ']].concat();
    let of_no_tokens = |record: Vec<u8>| {
        let text = String::from_utf8(record).unwrap();
        text.replacen("\"tokens\":[", "\"tokens\":[],\"more\":[", 1)
            .into_bytes()
    };
    let cut_short = |mut record: Vec<u8>| {
        record.pop();
        record
    };
    let changes: [fn(Vec<u8>) -> Vec<u8>; 3] = [with_a_space, of_no_tokens, cut_short];
    for change in changes {
        let (_folder, path, _) = closed_chain();
        overwrite(&path, "deployment", change);
        let error = open(&path).err().unwrap();
        let is_damaged = matches!(error, OpenError::Database(Fault::Damaged { .. }));
        assert!(is_damaged && error.class() == Class::Damaged, "{error}");
    }
}

#[test]
fn a_registered_key_survives_and_stays_the_only_one() {
    let (_folder, path, _) = closed_chain();
    let mut l1 = open(&path).unwrap();
    let key = setup().key.verifying_key();
    assert_eq!(l1.key(TINY.id), Some(key));
    let again = l1.register_key(OPERATOR, TINY.id, key, T0);
    assert!(matches!(
        again,
        Err(L1Error::Refused(Refusal::KeyRegistered { .. }))
    ));
}

/// Prints how long a chain with 2^20 genesis accounts takes to open, and the bytes it needs.
/// `cargo test --release -p l1 a_million_accounts -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: makes a file of 200 MB"]
fn a_million_accounts_open_quickly() {
    let accounts = vec![account(ALICE, "alice", 0, 1); 1 << 20];
    let mut parameters = parameters();
    for listed in &mut parameters.shapes {
        listed.shape.depth = 12;
    }
    let genesis = Genesis::new(parameters, accounts).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l1.redb");
    drop(NativeL1::create(&path, &genesis, AllowDevKeys::Yes).unwrap());
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("{bytes} bytes, {} an account", bytes / (1 << 20));
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let l1 = open(&path).unwrap();
        let opened = start.elapsed();
        l1.top_up(ALICE, 7, 1, FEE, T0).unwrap();
        println!("opened in {opened:?}");
        assert!(opened.as_millis() < 5_000);
    }
}

/// A folder with the story's first batch.
fn batch_folder() -> (tempfile::TempDir, BatchFolder) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = BatchFolder::new(story().first.submission.clone(), &TINY, 0).unwrap();
    folder.save(temporary.path()).unwrap();
    (temporary, folder)
}

#[test]
fn a_batch_folder_is_read_back_and_verified() {
    let (temporary, folder) = batch_folder();
    let read = BatchFolder::load(temporary.path()).unwrap();
    assert_eq!(read, folder);
    let verified = read.verify(&TINY, setup().key.verifying_key()).unwrap();
    assert_eq!(verified.words, story().first.words);
    assert_eq!(
        (read.summary.queue_from, read.summary.queue_entries),
        (0, 2)
    );
}

#[test]
fn f1_every_single_bit_change_of_a_batch_folder_is_refused() {
    let (temporary, _) = batch_folder();
    let key = setup().key.verifying_key();
    for name in [SUMMARY_FILE, DATA_FILE, PROOF_FILE] {
        let whole = std::fs::read(temporary.path().join(name)).unwrap();
        let positions: Vec<usize> = (0..whole.len()).collect();
        let accepted = find_accepted(&positions, |at| {
            let copy = tempfile::tempdir().unwrap();
            for other in [SUMMARY_FILE, DATA_FILE, PROOF_FILE] {
                let from = temporary.path().join(other);
                std::fs::copy(from, copy.path().join(other)).unwrap();
            }
            (0..8).any(|bit| {
                let mut changed = whole.clone();
                changed[*at] ^= 1 << bit;
                std::fs::write(copy.path().join(name), changed).unwrap();
                let loaded = BatchFolder::load(copy.path());
                loaded.is_ok_and(|folder| folder.verify(&TINY, key).is_ok())
            })
        });
        assert_eq!(accepted, None, "byte of {name}");
    }
}

#[test]
fn a_summary_that_says_something_else_is_refused() {
    let (_temporary, folder) = batch_folder();
    let key = setup().key.verifying_key();
    let disagrees = |change: &dyn Fn(&mut BatchFolder)| {
        let mut changed = folder.clone();
        change(&mut changed);
        match changed.verify(&TINY, key) {
            Err(FolderError::Disagree { field }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(disagrees(&|f| f.summary.batch_number += 1), "batch_number");
    assert_eq!(disagrees(&|f| f.summary.domain.0[0] ^= 1), "domain");
    assert_eq!(disagrees(&|f| f.summary.old_root.0[0] ^= 1), "old_root");
    assert_eq!(disagrees(&|f| f.summary.new_root.0[0] ^= 1), "new_root");
    assert_eq!(disagrees(&|f| f.summary.timestamp += 1), "timestamp");
    assert_eq!(
        disagrees(&|f| f.summary.queue_entries += 1),
        "queue_entries"
    );
    assert_eq!(disagrees(&|f| f.summary.c.0[31] ^= 1), "c");
    assert_eq!(disagrees(&|f| f.summary.shape_id += 1), "shape_id");
}

#[test]
fn broken_batch_folders_are_refused() {
    let (temporary, folder) = batch_folder();
    let path = |name: &str| temporary.path().join(name);
    let load = || BatchFolder::load(temporary.path()).unwrap_err();
    let rewrite = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).unwrap();

    rewrite(PROOF_FILE, &[0; 257]);
    assert!(matches!(load(), FolderError::Length { expected: 256, .. }));
    rewrite(PROOF_FILE, &[0; 255]);
    assert!(matches!(load(), FolderError::Length { expected: 256, .. }));
    std::fs::remove_file(path(PROOF_FILE)).unwrap();
    assert!(matches!(load(), FolderError::Io { .. }));
    folder.save(temporary.path()).unwrap();

    rewrite(DATA_FILE, &[]);
    assert!(matches!(load(), FolderError::Checksum { .. }));
    folder.save(temporary.path()).unwrap();

    let text = std::fs::read_to_string(path(SUMMARY_FILE)).unwrap();
    rewrite(SUMMARY_FILE, text.trim().as_bytes());
    assert!(matches!(load(), FolderError::Layout { .. }));
    rewrite(
        SUMMARY_FILE,
        text.replace("\"version\": 1", "\"version\": 2").as_bytes(),
    );
    assert!(matches!(load(), FolderError::Version { got: 2, .. }));
    rewrite(SUMMARY_FILE, b"{}");
    assert!(matches!(load(), FolderError::Json { .. }));

    let mut damaged = story().first.submission.clone();
    damaged.proof = [0; 256];
    let error = BatchFolder::new(damaged, &TINY, 0).unwrap_err();
    assert!(matches!(error, BatchFault::Proof(_)));
}
