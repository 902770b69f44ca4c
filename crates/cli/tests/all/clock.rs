//! A system's clock that jumped: nothing is kept by it until somebody vouches for it.

use std::time::{SystemTime, UNIX_EPOCH};

use l1::NativeL1;
use prover::key::AllowDevKeys;

use crate::fixture::Quire;

const DAY: u64 = 86_400;

/// A deployment whose last block is so many days old, by the clock of the machine.
fn last_used(days: u64) -> Quire {
    let quire = Quire::new();
    quire.json(&["wallet", "new", "alice", "--no-passphrase"]);
    quire.json(&["init", "--shape", "tiny"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let l1 = NativeL1::open(&quire.path("rollup/l1.redb"), AllowDevKeys::Yes).unwrap();
    l1.mine(1, now.as_secs() - days * DAY).unwrap();
    quire
}

#[test]
fn no_time_is_kept_by_a_clock_that_jumped() {
    let quire = last_used(30);
    let before = quire.json(&["l1", "status"]);
    let deposit = ["deposit", "--wallet", "alice", "--amount", "1eth"];
    for command in [
        &deposit[..],
        &["seal", "--all"],
        &["run"],
        &["l1", "mine", "--trial"],
    ] {
        let message = quire.fails_with(1, command);
        assert!(message.contains("30 days ahead"), "{message}");
        assert!(message.contains("--trust-clock"), "{message}");
    }
    assert_eq!(quire.json(&["l1", "status"]), before);
    quire.json(&[&deposit[..], &["--trust-clock"]].concat());
    // The deposit has made a block: now the time is known.
    assert_eq!(quire.json(&["seal", "--all"])["l1_ops"], 1);
}

#[test]
fn a_weekend_is_no_jump() {
    let quire = last_used(2);
    quire.json(&["deposit", "--wallet", "alice", "--amount", "1eth"]);
    assert_eq!(quire.json(&["seal", "--all"])["l1_ops"], 1);
}
