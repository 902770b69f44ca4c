//! Storage that fails: at every single write and sync, by being full, by damage.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use batcher::StoredBatch;
use batcher::store::FILE_NAME;
use batcher::{
    Batcher, Due, History, OpenError, RestoredBatch, SignedOperation, Status, StoreError, Verdict,
};
use ledger::operation::L1Op;
use ledger::state::State;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;
use storage::OpenError as Why;
use tempfile::TempDir;

use crate::world::*;

/// How the storage fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// One call fails and does nothing; later ones succeed.
    Once,
    /// One write leaves half of its bytes, and nothing works any more.
    Torn,
    /// Nothing works any more.
    Dead,
}

/// A disk in memory: what was written, and what of it a sync has made durable.
#[derive(Debug, Default)]
struct Platter {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Writes, changes of length and syncs so far.
    calls: u64,
    /// From which call on it fails, and how.
    fault: Option<(u64, Fault)>,
    fired: bool,
    /// Bytes that fit.
    capacity: Option<usize>,
    reads_fail: bool,
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    fn with(bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.with_platter(|platter| {
            platter.bytes = bytes.to_vec();
            platter.durable = bytes.to_vec();
        });
        disk
    }

    fn with_platter<T>(&self, body: impl FnOnce(&mut Platter) -> T) -> T {
        body(&mut self.0.lock().unwrap())
    }

    fn arm(&self, call: u64, fault: Fault) {
        self.with_platter(|platter| platter.fault = Some((platter.calls + call, fault)));
    }

    fn fired(&self) -> bool {
        self.with_platter(|platter| platter.fired)
    }

    fn bytes(&self) -> Vec<u8> {
        self.with_platter(|platter| platter.bytes.clone())
    }

    /// What may be there after a loss of power: everything written, only what was synced, or some
    /// of the writes since.
    fn images(&self, seed: u64) -> [Vec<u8>; 3] {
        self.with_platter(|platter| {
            let mut some = platter.durable.clone();
            some.resize(platter.bytes.len().max(some.len()), 0);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for (at, data) in &platter.unsynced {
                let end = at + data.len();
                if rng.gen_bool(0.5) && end <= some.len() {
                    some[*at..end].copy_from_slice(data);
                }
            }
            [platter.bytes.clone(), platter.durable.clone(), some]
        })
    }
}

impl Platter {
    /// Counts a call and says whether it fails.
    fn call(&mut self) -> Result<(), io::Error> {
        self.calls += 1;
        let fails = self.fault.is_some_and(|(at, fault)| match fault {
            Fault::Once => self.calls == at,
            Fault::Torn | Fault::Dead => self.calls >= at,
        });
        self.fired |= fails;
        match fails {
            true => Err(io::Error::other("the disk failed")),
            false => Ok(()),
        }
    }

    fn fits(&self, length: usize) -> Result<(), io::Error> {
        match self.capacity {
            Some(capacity) if length > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.with_platter(|platter| Ok(u64::try_from(platter.bytes.len()).unwrap()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.with_platter(|platter| {
            if platter.reads_fail {
                return Err(io::Error::other("the disk cannot be read"));
            }
            let from = at(offset);
            let bytes = platter.bytes.get(from..from + out.len());
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        self.with_platter(|platter| {
            platter.call()?;
            platter.fits(at(length))?;
            platter.bytes.resize(at(length), 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.with_platter(|platter| {
            platter.call()?;
            platter.durable.clone_from(&platter.bytes);
            platter.unsynced.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.with_platter(|platter| {
            let first = !platter.fired;
            let called = platter.call();
            let torn = first && matches!(platter.fault, Some((_, Fault::Torn)));
            let written = match &called {
                Ok(()) => data,
                Err(_) if torn => &data[..data.len() / 2],
                Err(_) => &[],
            };
            let (from, end) = (at(offset), at(offset) + written.len());
            platter.fits(end)?;
            if end > platter.bytes.len() {
                platter.bytes.resize(end, 0);
            }
            platter.bytes[from..end].copy_from_slice(written);
            platter.unsynced.push((from, written.to_vec()));
            called
        })
    }
}

/// Everything that anybody can ask a batcher.
#[derive(PartialEq)]
struct Picture {
    status: Status,
    state: State,
    histories: Vec<Option<History>>,
    batches: Vec<StoredBatch>,
    witnesses: Vec<bool>,
    due: Option<Due>,
}

fn picture(batcher: &mut Batcher) -> Picture {
    let numbers = 1..=batcher.status().sealed;
    let history = |operation: &SignedOperation| batcher.history(&id(operation)).unwrap();
    Picture {
        status: batcher.status(),
        state: batcher.state().clone(),
        histories: operations().iter().map(history).collect(),
        batches: numbers
            .clone()
            .map(|number| batcher.batch(number).unwrap())
            .collect(),
        witnesses: numbers
            .map(|number| batcher.witness(number).is_ok())
            .collect(),
        due: batcher.seal_due(&entries(), NOW).unwrap(),
    }
}

fn picture_of(image: &[u8]) -> Picture {
    let mut batcher = Batcher::open_on(Disk::with(image), settings()).unwrap();
    assert_eq!(batcher.check_tree(), Ok(()));
    assert_eq!(
        batcher.audit(genesis()).unwrap().len(),
        at(batcher.status().sealed) + 1
    );
    picture(&mut batcher)
}

/// Twelve operations that are submitted beforehand, and four more.
fn operations() -> Vec<SignedOperation> {
    let mut operations: Vec<_> = (0..10).map(|nonce| transfer(2, 3, 5, nonce)).collect();
    operations.push(withdraw(4, 7, 0));
    operations.push(transfer(5, 3, 9, 1));
    operations.extend((0..4).map(|nonce| transfer(6, 7, 5, nonce)));
    operations
}

fn entries() -> Vec<batcher::QueueEntry> {
    queue(&[
        L1Op::Create {
            index: 11,
            token: 1,
            amount: 50,
            key: key(11).public_key(),
        },
        L1Op::TopUp {
            index: 5,
            token: 0,
            amount: 9,
        },
    ])
}

/// Three sealed batches, the first finalized, the second proved, and operations that wait.
fn busy() -> Vec<u8> {
    let disk = Disk::default();
    let mut batcher = Batcher::create_on(disk.clone(), settings(), genesis()).unwrap();
    accept(&mut batcher, &operations()[..12]);
    for _ in 0..3 {
        batcher.seal(&entries(), NOW).unwrap().unwrap();
    }
    for number in 1..=2 {
        let batch = batcher.batch(number).unwrap().batch().clone();
        let proved = batcher.record_proof(batch, vec![9; 40], NOW + 1).unwrap();
        if number == 1 {
            batcher.record_finalized(proved, NOW + 2).unwrap();
        }
    }
    accept(&mut batcher, &operations()[12..14]);
    drop(batcher);
    disk.bytes()
}

/// Lets the first, second, third … call to the storage fail while `act` runs, until it runs
/// through: what is there afterwards is what was there before or what the call would have left,
/// the latter if the call said that it succeeded.
fn sweep(act: impl Fn(&mut Batcher) -> Result<(), String>) {
    sweep_from(&busy(), act);
}

fn sweep_from(start: &[u8], act: impl Fn(&mut Batcher) -> Result<(), String>) {
    let before = picture_of(start);
    let after = {
        let disk = Disk::with(start);
        let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
        act(&mut batcher).unwrap();
        drop(batcher);
        picture_of(&disk.bytes())
    };
    assert!(before != after, "the call does something");
    let mut failures = 0;
    for fault in [Fault::Once, Fault::Torn, Fault::Dead] {
        for call in 1.. {
            let disk = Disk::with(start);
            let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
            disk.arm(call, fault);
            let result = act(&mut batcher);
            let fired = disk.fired();
            if result.is_err() {
                failures += 1;
                let refused = batcher.submit(operations()[14], NOW);
                assert!(matches!(refused, Err(StoreError::Stopped { .. })));
            }
            let images = disk.images(call);
            drop(batcher);
            for image in images.iter().chain([&disk.bytes()]) {
                let found = picture_of(image);
                let whole = found == after || (result.is_err() && found == before);
                assert!(whole, "{fault:?} at call {call}: {result:?}");
            }
            if !fired {
                assert_eq!(result, Ok(()));
                break;
            }
        }
    }
    assert!(failures > 3, "{failures} calls failed");
}

fn text_of<T, E: ToString>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

#[test]
fn intake_is_whole_whichever_write_fails() {
    sweep(|batcher| text_of(batcher.submit_many(&operations()[14..], NOW)));
}

/// What happened to an executed operation is read from the disk. If that fails, nothing of the call is
/// acknowledged, neither then nor when it is handed in again.
#[test]
fn intake_acknowledges_nothing_when_a_read_fails() {
    let disk = Disk::with(&busy());
    let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
    let (executed, new) = (operations()[0], operations()[14]);
    disk.with_platter(|platter| platter.reads_fail = true);
    let error = batcher.submit_many(&[new, executed], NOW).unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
    disk.with_platter(|platter| platter.reads_fail = false);
    let again = batcher.submit(new, NOW);
    drop(batcher);
    let batcher = Batcher::open_on(Disk::with(&disk.bytes()), settings()).unwrap();
    let is_kept = batcher.verdict(&id(&new)).unwrap().is_some();
    assert_eq!(is_kept, matches!(again, Ok(Ok(_))), "{again:?}");
}

#[test]
fn a_seal_is_whole_whichever_write_fails() {
    sweep(|batcher| text_of(batcher.seal(&entries(), NOW + 5)));
}

#[test]
fn a_proof_is_whole_whichever_write_fails() {
    sweep(|batcher| {
        let batch = batcher.batch(3).unwrap().batch().clone();
        text_of(batcher.record_proof(batch, vec![8; 40], NOW + 5))
    });
}

#[test]
fn finality_is_whole_whichever_write_fails() {
    sweep(|batcher| {
        let StoredBatch::Proved(proved) = batcher.batch(2).unwrap() else {
            panic!("batch 2 is proved");
        };
        text_of(batcher.record_finalized(proved, NOW + 5))
    });
}

#[test]
fn reopening_is_whole_whichever_write_fails() {
    sweep(|batcher| text_of(batcher.reopen(2)));
}

/// What L1 has after another submitter made the second batch, or both.
fn foreign(first: Option<RestoredBatch>) -> Vec<RestoredBatch> {
    let (_folder, mut other) = world();
    let mut on_l1: Vec<_> = first.into_iter().collect();
    other.apply_finalized(&on_l1).unwrap();
    let next = |batcher: &Batcher, index| batcher.next_nonce(index).unwrap();
    let operations = [
        transfer(2, 3, 5, next(&other, 2)),
        transfer(2, 3, 6, next(&other, 2) + 1),
        transfer(6, 7, 5, 0),
    ];
    accept(&mut other, &operations);
    while let Some(batch) = seal_final(&mut other, &entries(), NOW + 9) {
        on_l1.push(batch);
    }
    on_l1
}

/// The first batch of [`busy`], which is final.
fn first_batch() -> RestoredBatch {
    let batcher = Batcher::open_on(Disk::with(&busy()), settings()).unwrap();
    on_l1(&batcher, 1)
}

#[test]
fn applying_foreign_batches_is_whole_whichever_write_fails() {
    let disk = Disk::with(&busy());
    let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
    batcher.reopen(2).unwrap();
    drop(batcher);
    let on_l1 = foreign(Some(first_batch()));
    sweep_from(&disk.bytes(), |batcher| {
        text_of(batcher.apply_finalized(&on_l1[1..]))
    });
}

/// Following another submitter takes several writes. Whichever fails, following again leads where
/// it would have led.
#[test]
fn following_a_foreign_batch_goes_on_after_any_write_that_fails() {
    let start = busy();
    for on_l1 in [foreign(Some(first_batch())), foreign(None)] {
        assert!(on_l1.len() > 1);
        let through = Disk::with(&start);
        let mut batcher = Batcher::open_on(through.clone(), settings()).unwrap();
        follow(&mut batcher, &on_l1).unwrap();
        drop(batcher);
        let after = picture_of(&through.bytes());
        let ended = after.histories.iter().flatten();
        let ended = ended.filter(|history| history.verdict != Verdict::Pending);
        assert!(ended.count() > 2);
        for fault in [Fault::Once, Fault::Torn, Fault::Dead] {
            for call in 1.. {
                let disk = Disk::with(&start);
                let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
                disk.arm(call, fault);
                let result = follow(&mut batcher, &on_l1);
                let (fired, images) = (disk.fired(), disk.images(call));
                drop(batcher);
                for image in images {
                    let again = Disk::with(&image);
                    let mut batcher = Batcher::open_on(again.clone(), settings()).unwrap();
                    follow(&mut batcher, &on_l1).unwrap();
                    drop(batcher);
                    let found = picture_of(&again.bytes());
                    assert!(found == after, "{fault:?} at call {call}: {result:?}");
                }
                if !fired {
                    assert_eq!(result, Ok(()));
                    break;
                }
            }
        }
    }
}

#[test]
fn rolling_back_is_whole_whichever_write_fails() {
    sweep(|batcher| text_of(batcher.roll_back_finalized(0)));
}

#[test]
fn a_start_changes_nothing_whichever_write_fails() {
    let start = busy();
    let before = picture_of(&start);
    for fault in [Fault::Once, Fault::Torn, Fault::Dead] {
        for call in 1.. {
            let disk = Disk::with(&start);
            disk.arm(call, fault);
            drop(Batcher::open_on(disk.clone(), settings()));
            for image in disk.images(call) {
                assert!(picture_of(&image) == before, "{fault:?} at call {call}");
            }
            if !disk.fired() {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_reads_go_on() {
    for room in [0, 1, 5000, 20_000, 100_000] {
        let start = busy();
        let disk = Disk::with(&start);
        let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
        disk.with_platter(|platter| platter.capacity = Some(platter.bytes.len() + room));
        let mut accepted = Vec::new();
        let error = (0u64..)
            .find_map(|nonce| {
                let many: Vec<_> = (0..50)
                    .map(|step| transfer(8, 2, 1, 50 * nonce + step))
                    .collect();
                match batcher.submit_many(&many, NOW) {
                    Ok(verdicts) => {
                        assert!(verdicts.iter().all(Result::is_ok));
                        accepted.extend(many);
                        None
                    }
                    Err(error) => Some(error),
                }
            })
            .unwrap();
        assert!(matches!(error, StoreError::Database { .. }), "{error}");
        assert!(batcher.submit(transfer(7, 2, 1, 0), NOW).is_err());
        assert_eq!(batcher.state().account(2).unwrap().nonce, 10);
        assert_eq!(batcher.status().sealed, 3);
        drop(batcher);
        disk.with_platter(|platter| platter.capacity = None);
        let mut batcher = Batcher::open_on(disk.clone(), settings()).unwrap();
        for operation in &accepted {
            assert!(batcher.verdict(&id(operation)).unwrap().is_some(), "{room}");
        }
        accept(&mut batcher, &[transfer(7, 2, 1, 0)]);
        assert!(batcher.seal(&entries(), NOW).unwrap().is_some());
        assert_eq!(batcher.audit(genesis()).unwrap().len(), 5);
    }
}

/// Opens damaged bytes: true if they are refused; what is not refused is as it was.
fn damaged(bytes: &[u8], expected: &Picture) -> bool {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(FILE_NAME), bytes).unwrap();
    match Batcher::open(folder.path(), settings()) {
        Ok(mut batcher) => {
            assert!(&picture(&mut batcher) == expected, "a wrong state");
            assert_eq!(batcher.check_tree(), Ok(()));
            false
        }
        Err(
            error @ (OpenError::Database(Why::Damaged { .. })
            | OpenError::Database(Why::NotADatabase { .. })
            | OpenError::Database(Why::Io { .. })
            | OpenError::Database(Why::Version { .. })
            | OpenError::OtherDeployment { .. }),
        ) => {
            assert!(error.to_string().contains(FILE_NAME), "{error}");
            true
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    let good = busy();
    let expected = picture_of(&good);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let written = good.iter().rposition(|byte| *byte != 0).unwrap();
    let mut places: Vec<usize> = (0..400).collect();
    // The first bytes of pages, and bytes anywhere.
    places.extend(
        (4096..written)
            .step_by(4096)
            .flat_map(|page| [page, page + 2, page + 5]),
    );
    places.extend((0..400).map(|_| rng.gen_range(0..written)));
    let refusals = places.iter().filter(|place| {
        let mut bad = good.clone();
        bad[**place] ^= 1 << rng.gen_range(0..8);
        damaged(&bad, &expected)
    });
    assert!(refusals.count() > 100);
}

#[test]
fn a_file_cut_anywhere_is_refused_or_whole() {
    let good = busy();
    let expected = picture_of(&good);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut lengths: Vec<usize> = (1..=64).map(|cut| good.len() - cut).collect();
    lengths.extend((1..good.len()).step_by(good.len() / 60));
    lengths.extend((0..100).map(|_| rng.gen_range(1..good.len())));
    let refusals = lengths
        .iter()
        .filter(|length| damaged(&good[..**length], &expected));
    assert!(refusals.count() > 100);
}
