//! The machine fails: the disk fills up, bits flip, files are cut, two programs want one folder.
//! The answer is a message that names the file, and never another state.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use batcher::{OperationId, Verdict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rollup::Depth;
use tests::world::{Keys, START, create, finish, l1_file, open, sign, transfer};

/// A deployment with a few final batches and something that waits, and the proving key's file.
fn world(folder: &Path) -> (PathBuf, Vec<OperationId>) {
    let keys = Keys::make().unwrap();
    let key = folder.join("tiny.pk");
    keys.key.save(&key).unwrap();
    let mut rollup = create(folder, &keys, 0).unwrap();
    let mut ids = Vec::new();
    for nonce in 0..3 {
        let op = sign(transfer(2, 3, 1_000, nonce, 0), 2, &rollup);
        ids.push(rollup.batcher.submit(op.into(), START).unwrap().unwrap());
        if nonce < 2 {
            let mut rng = ChaCha20Rng::seed_from_u64(nonce);
            finish(&mut rollup, &keys, START, &mut rng).unwrap();
        }
    }
    (key, ids)
}

fn batcher_file(folder: &Path) -> PathBuf {
    folder.join(batcher::store::FILE_NAME)
}

/// Runs a worker that may not make a file larger than so many KiB, until it stops by itself.
/// Returns what it acknowledged and its error.
fn run_with_limit(folder: &Path, key: &Path, kib: u64) -> (Vec<OperationId>, String) {
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
    let mut worker = Command::new("bash")
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_worker")])
        .args([folder.as_os_str(), key.as_os_str()])
        .args(["3".to_owned(), START.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let acknowledged = lines
        .map_while(Result::ok)
        .filter_map(|line| line.split(' ').nth(1)?.parse().ok())
        .collect();
    let output = worker.wait_with_output().unwrap();
    assert!(!output.status.success());
    (acknowledged, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (key, mut ids) = world(folder.path());
    let size = |path: &Path| fs::metadata(path).unwrap().len() / 1024;
    let largest = size(&l1_file(folder.path())).max(size(&batcher_file(folder.path())));
    let mut refused = 0;
    for more in [0, 64, 512] {
        let (acknowledged, error) = run_with_limit(folder.path(), &key, largest + more);
        assert!(
            error.contains(".redb") || error.contains("database"),
            "{error}"
        );
        refused += usize::from(error.contains("too large"));
        ids.extend(acknowledged);
        // There is space again: everything is there, and the program goes on.
        let rollup = open(folder.path(), 0, START).unwrap();
        let audit = rollup.audit(Depth::Replay).unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        for id in &ids {
            assert!(
                rollup.batcher.verdict(id).unwrap().is_some(),
                "{id} is lost"
            );
        }
    }
    assert!(refused > 0, "the limit was never reached");
    assert!(ids.len() > 3, "nothing was acknowledged before the limit");
}

#[test]
fn a_second_program_leaves_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let (key, _) = world(folder.path());
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args([folder.path().as_os_str(), key.as_os_str()])
        .args(["1".to_owned(), START.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(worker.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n");
    let second = open(folder.path(), 0, START).err().unwrap();
    assert!(second.to_string().contains("another process"), "{second}");
    worker.kill().unwrap();
    worker.wait().unwrap();
    drop(out);
    open(folder.path(), 0, START).unwrap();
}

/// The files of a deployment, and what it knows.
struct Original {
    files: [(&'static str, Vec<u8>); 2],
    state: ledger::state::State,
    head: l1::Head,
    claims: Vec<(l1::Address, u32, u128)>,
    verdicts: Vec<(OperationId, Option<Verdict>)>,
}

impl Original {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (_, ids) = world(folder.path());
        let rollup = open(folder.path(), 0, START).unwrap();
        let verdict = |id: OperationId| (id, rollup.batcher.verdict(&id).unwrap());
        let (state, head) = (rollup.batcher.state().clone(), rollup.l1.head().unwrap());
        let claims = rollup.l1.claims().unwrap();
        let verdicts = ids.into_iter().map(verdict).collect();
        drop(rollup);
        let names = ["l1.redb", batcher::store::FILE_NAME];
        Self {
            files: names.map(|name| (name, fs::read(folder.path().join(name)).unwrap())),
            state,
            head,
            claims,
            verdicts,
        }
    }

    /// Opens the files with one of them changed. True if that is refused; else all is as it was.
    fn refused(&self, file: usize, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut files = self.files.clone();
        change(&mut files[file].1);
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let Ok(rollup) = open(folder.path(), 0, START) else {
            return true;
        };
        let audit = rollup.audit(Depth::Replay).unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        assert_eq!(rollup.batcher.state(), &self.state);
        assert_eq!(rollup.l1.head().unwrap(), self.head);
        assert_eq!(rollup.l1.claims().unwrap(), self.claims);
        for (id, verdict) in &self.verdicts {
            assert_eq!(&rollup.batcher.verdict(id).unwrap(), verdict);
        }
        false
    }
}

#[test]
fn flipped_bits_are_refused_or_change_nothing() {
    let original = Original::new();
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let mut refused = 0;
    for file in 0..2 {
        let length = original.files[file].1.len();
        for round in 0..40 {
            // Why: a third of the bits in the headers, where most of the structure is.
            let position = match round % 3 {
                0 => rng.gen_range(0..4_096),
                _ => rng.gen_range(0..length),
            };
            let bit = rng.gen_range(0..8);
            let flip = |bytes: &mut Vec<u8>| bytes[position] ^= 1 << bit;
            refused += usize::from(original.refused(file, flip));
        }
    }
    assert!(refused > 0, "no flip was noticed");
}

#[test]
fn cut_files_are_refused_or_change_nothing() {
    let original = Original::new();
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let mut refused = 0;
    for file in 0..2 {
        let length = original.files[file].1.len();
        let near_the_end = [1, 2, 511, 4_095, 4_096].map(|cut| length - cut);
        let anywhere: Vec<usize> = (0..15).map(|_| rng.gen_range(0..length)).collect();
        for length in near_the_end.into_iter().chain(anywhere) {
            let cut = |bytes: &mut Vec<u8>| bytes.truncate(length);
            refused += usize::from(original.refused(file, cut));
        }
    }
    assert!(refused > 0, "no cut was noticed");
}
