//! A rollup under load is killed with SIGKILL at random moments, again and again, and every time
//! what it had said stays true.
//!
//! The oracle after each kill: both files open; every acknowledged operation waits, is in exactly
//! the place of exactly one batch, or was rejected with a reason; roots chain and follow from the
//! published bytes alone; for each token, escrow = balances + claimable + pending; and what is
//! restored from L1's data alone is what the batcher had when L1's last batch was final.
//!
//! `QUIRE_KILLS=1000 cargo test --release -p tests --test survives_kills -- --nocapture` kills
//! more often; `QUIRE_SEED` changes the moments.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use batcher::{OperationId, StoredBatch, Verdict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rollup::{Depth, Rollup, restore};
use tests::world::{Keys, START, create, finish, open, settings};

/// Kills in one deployment; then a new one is begun, so that replays stay short.
const KILLS_EACH: u64 = 25;
/// Seconds between two lives: more than a life's clock advances by itself.
const BETWEEN: u64 = 600;
/// What a worker says before it may be killed: a number of lines below this one.
const MOST_LINES: usize = 60;
/// Longest time from there to the kill.
const LONGEST: Duration = Duration::from_millis(200);

/// What was acknowledged of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Acknowledged {
    from: u32,
    nonce: u64,
    slot: Slot,
}

/// What is published of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    to: u32,
    amount: u64,
    fee: u64,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn everything_acknowledged_survives_sigkill() {
    let (kills, seed) = (number("QUIRE_KILLS", 25), number("QUIRE_SEED", 1));
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tiny.pk");
    let keys = Keys::make().unwrap();
    keys.key.save(&key).unwrap();
    let (mut done, mut acknowledged, mut batches) = (0, 0, 0);
    while done < kills {
        let count = KILLS_EACH.min(kills - done);
        let world = folder.path().join(format!("world-{done}"));
        std::fs::create_dir(&world).unwrap();
        drop(create(&world, &keys, 1).unwrap());
        let mut said = BTreeMap::new();
        for life in 0..count {
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(done + life);
            kill_one_life(&world, &key, seed, START + BETWEEN * life, &mut said);
            let rollup = open(&world, 1, START + BETWEEN * life).unwrap();
            check(&rollup, &said, &world);
        }
        // What survived can be finished, and nothing is left waiting that can execute.
        let now = START + BETWEEN * count;
        let mut rollup = open(&world, 1, now).unwrap();
        rollup.l1.mine(2, now).unwrap();
        finish(&mut rollup, &keys, now, &mut rand::rngs::OsRng).unwrap();
        check(&rollup, &said, &world);
        (done, acknowledged) = (done + count, acknowledged + said.len());
        batches += rollup.batcher.status().finalized;
        drop(rollup);
        std::fs::remove_dir_all(&world).unwrap();
        println!("{done} kills, {acknowledged} acknowledged, {batches} batches final, none lost");
    }
    // The load was a load.
    assert!(acknowledged as u64 > 2 * kills, "{acknowledged}");
    assert!(batches > kills / 5, "{batches}");
}

/// Starts a worker, lets it work for a random time, kills it, and notes what it said.
fn kill_one_life(
    world: &Path,
    key: &Path,
    seed: u64,
    now: u64,
    said: &mut BTreeMap<OperationId, Acknowledged>,
) {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args([world.as_os_str(), key.as_os_str()])
        .args([seed.to_string(), now.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Why counted in what the worker said: the load is the same on any machine.
    let wanted = rng.gen_range(0..MOST_LINES);
    let mut lines = Vec::new();
    while lines.len() < wanted {
        match receiver.recv() {
            Ok(line) => lines.push(line),
            Err(_) => panic!("the worker failed: {lines:?}"),
        }
    }
    let end = Instant::now() + LONGEST.mul_f64(rng.r#gen());
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the worker failed: {lines:?}"),
        }
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    reader.join().unwrap().unwrap();
    lines.extend(receiver);
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["ack", id, from, nonce, _, to, amount, fee] = words[..] {
            let acknowledged = Acknowledged {
                from: from.parse().unwrap(),
                nonce: nonce.parse().unwrap(),
                slot: Slot {
                    to: to.parse().unwrap(),
                    amount: amount.parse().unwrap(),
                    fee: fee.parse().unwrap(),
                },
            };
            said.insert(id.parse().unwrap(), acknowledged);
        }
    }
}

fn check(rollup: &Rollup, said: &BTreeMap<OperationId, Acknowledged>, world: &Path) {
    let audit = rollup.audit(Depth::Replay).unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    let published = published(rollup);
    for (id, operation) in said {
        let verdict = rollup.batcher.verdict(id).unwrap();
        let verdict = verdict.unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        let account = rollup.batcher.state().account(operation.from).unwrap();
        match verdict {
            Verdict::Pending => assert!(operation.nonce >= account.nonce, "{operation:?}"),
            Verdict::Rejected { reason } => assert!(!reason.is_empty()),
            Verdict::Sealed { batch } | Verdict::Finalized { batch } => {
                let slot = published[&operation.from][usize::try_from(operation.nonce).unwrap()];
                assert_eq!(slot, (batch, operation.slot), "{id}");
            }
        }
    }
    check_restored(rollup, world);
}

/// For each account its published operations in order: the one at place `n` has nonce `n`.
fn published(rollup: &Rollup) -> BTreeMap<u32, Vec<(u64, Slot)>> {
    let mut all: BTreeMap<u32, Vec<(u64, Slot)>> = BTreeMap::new();
    for number in 1..=rollup.batcher.status().sealed {
        let stored = rollup.batcher.batch(number).unwrap();
        let words = stored.batch().words();
        let transfers = words.transfers.iter().map(|data| {
            let (to, amount, fee) = (data.to, data.amount.packed(), data.fee.packed());
            (data.from, Slot { to, amount, fee })
        });
        let withdrawals = words.withdrawals.iter().map(|data| {
            let (amount, fee) = (data.amount.packed(), data.fee.packed());
            (data.index, Slot { to: 0, amount, fee })
        });
        for (from, slot) in transfers.chain(withdrawals).filter(|(from, _)| *from != 0) {
            all.entry(from).or_default().push((number, slot));
        }
    }
    all
}

/// The batcher made again from L1's data alone stands where L1 does.
fn check_restored(rollup: &Rollup, world: &Path) {
    let folder = world.join("restored");
    std::fs::create_dir(&folder).unwrap();
    let restored = restore(&rollup.l1, &folder, settings(&rollup.l1).unwrap(), |_| {}).unwrap();
    let (status, head) = (rollup.batcher.status(), rollup.l1.head().unwrap());
    let of_restored = restored.status();
    assert_eq!(of_restored.state_root, head.root);
    assert_eq!(of_restored.finalized, status.finalized);
    assert_eq!(of_restored.sealed, status.finalized);
    assert_eq!(of_restored.queue, head.queue_head);
    if status.sealed == status.finalized {
        assert_eq!(restored.state(), rollup.batcher.state());
    }
    for number in 1..=status.finalized {
        assert_eq!(
            restored.batch(number).unwrap().batch(),
            rollup.batcher.batch(number).unwrap().batch()
        );
        assert!(matches!(
            rollup.batcher.batch(number).unwrap(),
            StoredBatch::Finalized(_)
        ));
    }
    drop(restored);
    std::fs::remove_dir_all(&folder).unwrap();
}
