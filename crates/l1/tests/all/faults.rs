//! Storage that fails: every write and every flush of a call in turn, and the machine that dies
//! with it. The chain is then as before the call or as after it, and as after it if the call said
//! so.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use l1::NativeL1;
use prover::key::AllowDevKeys;
use rand::RngCore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use redb::StorageBackend;

use crate::fixture::*;

/// What becomes of writes that were not flushed when the machine dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unflushed {
    /// All are lost.
    Lost,
    /// All reached the disk.
    Kept,
    /// Some did, in any order, and some of those in part.
    Some(u64),
}

#[derive(Clone, Debug)]
enum Write {
    At(usize, Vec<u8>),
    Length(usize),
}

impl Write {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::At(at, bytes) => {
                let end = at + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Debug)]
struct Inside {
    flushed: Vec<u8>,
    current: Vec<u8>,
    unflushed: Vec<Write>,
    /// Changes and flushes until one fails; none fails if there is no number.
    until_fault: Option<u64>,
    /// The machine dies with the first fault: everything fails from then on.
    dies: bool,
    faults: u64,
}

/// A disk in memory.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<Inside>>);

impl Disk {
    fn new(contents: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            flushed: contents.clone(),
            current: contents,
            unflushed: Vec::new(),
            until_fault: None,
            dies: false,
            faults: 0,
        })))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// Lets the `number`-th change or flush from now on fail, and all after it if the machine dies.
    fn fail(&self, number: u64, dies: bool) {
        let mut inside = self.inside();
        inside.until_fault = Some(number - 1);
        inside.dies = dies;
    }

    fn faults(&self) -> u64 {
        self.inside().faults
    }

    /// What is on the disk when the machine starts again.
    fn after_crash(&self, unflushed: Unflushed) -> Vec<u8> {
        let inside = self.inside();
        let mut image = inside.flushed.clone();
        let mut rng = match unflushed {
            Unflushed::Lost => return image,
            Unflushed::Kept => return inside.current.clone(),
            Unflushed::Some(seed) => ChaCha20Rng::seed_from_u64(seed),
        };
        for write in &inside.unflushed {
            match (rng.next_u32() % 4, write) {
                (0, _) => {}
                (1, Write::At(at, bytes)) => {
                    let torn = bytes[..bytes.len() / 2].to_vec();
                    Write::At(*at, torn).apply(&mut image);
                }
                _ => write.apply(&mut image),
            }
        }
        image
    }
}

impl Inside {
    /// Counts a change or flush; an error if it is the one that fails.
    fn step(&mut self) -> Result<(), Error> {
        let dead = self.dies && self.faults > 0;
        match &mut self.until_fault {
            _ if dead => {}
            None => return Ok(()),
            Some(0) => self.until_fault = None,
            Some(left) => {
                *left -= 1;
                return Ok(());
            }
        }
        self.faults += 1;
        Err(Error::new(ErrorKind::StorageFull, "the disk fails"))
    }

    fn change(&mut self, write: Write) -> Result<(), Error> {
        self.step()?;
        write.apply(&mut self.current);
        self.unflushed.push(write);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(u64::try_from(self.inside().current.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let at = usize::try_from(offset).unwrap();
        let inside = self.inside();
        let bytes = inside.current.get(at..at + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let length = usize::try_from(len).unwrap();
        self.inside().change(Write::Length(length))
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut inside = self.inside();
        inside.step()?;
        inside.flushed = inside.current.clone();
        inside.unflushed.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let at = usize::try_from(offset).unwrap();
        self.inside().change(Write::At(at, data.to_vec()))
    }
}

fn open(disk: &Disk) -> NativeL1 {
    NativeL1::open_on(disk.clone(), Path::new("disk"), AllowDevKeys::Yes).unwrap()
}

/// A call, which says whether it succeeded.
type Call = fn(&NativeL1) -> bool;

/// The bytes of a closed chain.
fn closed(chain: Chain) -> Vec<u8> {
    let Chain { l1, folder } = chain;
    drop(l1);
    std::fs::read(folder.path().join("l1.redb")).unwrap()
}

/// Lets each change and flush of the call, and of closing the file, fail in turn.
fn sweep(contents: &[u8], call: Call) {
    let disk = Disk::new(contents.to_vec());
    let l1 = open(&disk);
    let before = picture(&l1);
    assert!(call(&l1));
    let after = picture(&l1);
    drop(l1);
    assert_ne!(before, after);
    let kinds = [
        (false, Unflushed::Kept),
        (true, Unflushed::Kept),
        (true, Unflushed::Lost),
        (true, Unflushed::Some(1)),
        (true, Unflushed::Some(2)),
    ];
    for (dies, unflushed) in kinds {
        let mut number = 0;
        loop {
            number += 1;
            let disk = Disk::new(contents.to_vec());
            let l1 = open(&disk);
            disk.fail(number, dies);
            let succeeded = call(&l1);
            drop(l1);
            let restarted = Disk::new(disk.after_crash(unflushed));
            let l1 = open(&restarted);
            let found = picture(&l1);
            let place = format!("fault {number}, dies: {dies}, unflushed: {unflushed:?}");
            assert!(found == after || (found == before && !succeeded), "{place}");
            // It goes on from there.
            assert!(found == after || call(&l1), "{place}");
            assert_eq!(picture(&l1), after, "{place}");
            if disk.faults() == 0 {
                break;
            }
        }
        assert!(number > 4, "{number} changes and flushes");
    }
}

#[test]
fn h3_every_failing_write_of_a_deposit_leaves_before_or_after() {
    let contents = closed(story_chain());
    sweep(&contents, |l1| {
        l1.deposit(&deposit_of(CAROL, "carol", 0, 9), T1).is_ok()
    });
}

#[test]
fn h3_every_failing_write_of_a_submission_leaves_before_or_after() {
    let contents = closed(story_chain());
    sweep(&contents, |l1| {
        let first = &story().first.submission;
        l1.submit_batch(OPERATOR, first, T1).is_ok()
    });
}

#[test]
fn h3_every_failing_write_of_an_exit_leaves_before_or_after() {
    let chain = story_chain();
    freeze(&chain);
    sweep(&closed(chain), |l1| {
        l1.exit(&exit_of(&genesis().state(), 1), T2).is_ok()
    });
}

/// After a fault the chain says so until it is opened again; it never answers from a torn state.
#[test]
fn h3_a_chain_whose_storage_failed_refuses_until_it_is_opened_again() {
    let disk = Disk::new(closed(story_chain()));
    let l1 = open(&disk);
    let deposit = deposit_of(CAROL, "carol", 0, 9);
    disk.fail(1, false);
    for _ in 0..2 {
        let error = l1.deposit(&deposit, T1).unwrap_err();
        assert!(matches!(error, l1::L1Error::Store(_)), "{error}");
    }
    drop(l1);
    let l1 = open(&disk);
    l1.deposit(&deposit, T1).unwrap();
}
