//! Measures start-up, the sealing of one batch and the disk that accounts take, with 2^20 accounts:
//! `cargo run --release -p batcher --example million_accounts [FOLDER]`. The folder must not exist;
//! it is removed at the end.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use batcher::store::FILE_NAME;
use batcher::{Batcher, Limits, Settings, SignedOperation};
use ledger::account::Account;
use ledger::eddsa::PrivateKey;
use ledger::float::{Float16, Float40};
use ledger::operation::{self, NO_EXPIRY, Signable, Transfer};
use ledger::shape::Shape;

/// The named shape `t20`.
const SHAPE: Shape = Shape {
    id: 1,
    depth: 12,
    l1_ops: 0,
    transfers: 70,
    withdrawals: 0,
    fee_slots: 2,
    cached_levels: 3,
};

const ACCOUNTS: u32 = 1 << 20;

/// Batches that are sealed one by one.
const BATCHES: u32 = 20;

/// Starts that are timed.
const STARTS: usize = 5;

const NOW: u64 = 1_700_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from("data/million_accounts"));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path) -> Result<(), Box<dyn Error>> {
    let key = PrivateKey::derive("million accounts", b"one key for all");
    let account = Account::new(key.public_key(), 0, 1_000_000);
    let settings = Settings {
        domain: operation::domain(0, &[7; 20], &[0; 32]),
        genesis: [9; 32],
        shapes: vec![SHAPE],
        fee_accounts: BTreeMap::from([(0, 1)]),
        limits: Limits::default(),
        max_age: 60,
        timestamp_slack: 86_400,
        undo_window: 64,
    };
    let start = Instant::now();
    let genesis = (1..=ACCOUNTS).map(|index| (index, account));
    let mut batcher = Batcher::create(folder, settings.clone(), genesis)?;
    println!("create      {:?}", start.elapsed());
    let disk = std::fs::metadata(folder.join(FILE_NAME))?.len();
    println!(
        "disk        {disk} bytes, {} an account",
        disk / u64::from(ACCOUNTS)
    );
    let mut seals = Vec::new();
    for batch in 0..BATCHES {
        batcher.submit_many(&transfers(&key, &settings, batch), NOW)?;
        let start = Instant::now();
        let sealed = batcher.seal(&[], NOW)?.ok_or("nothing was sealed")?;
        seals.push(start.elapsed());
        assert_eq!(sealed.counts(), [0, 70, 0]);
    }
    print("seal", seals);
    let root = batcher.status().state_root;
    drop(batcher);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let batcher = Batcher::open(folder, settings.clone())?;
        starts.push(start.elapsed());
        assert_eq!(batcher.status().state_root, root);
    }
    print("open", starts);
    let batcher = Batcher::open(folder, settings)?;
    let start = Instant::now();
    batcher.check_tree()?;
    println!("check_tree  {:?}", start.elapsed());
    Ok(())
}

/// Transfers that fill one batch, between accounts all over the tree.
fn transfers(key: &PrivateKey, settings: &Settings, batch: u32) -> Vec<SignedOperation> {
    (0..u32::from(SHAPE.transfers))
        .map(|slot| {
            let transfer = Transfer {
                from: 2 + (batch * 70 + slot) * 7_477 % (ACCOUNTS - 2),
                to: 2 + (batch * 70 + slot) * 7_919 % (ACCOUNTS - 2),
                amount: Float40::exact(5).unwrap_or_default(),
                fee: Float16::exact(1).unwrap_or_default(),
                nonce: 0,
                valid_until: NO_EXPIRY,
                token: 0,
            };
            transfer.sign(key, &settings.domain).into()
        })
        .collect()
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{what:<11} median {middle:?}, longest {last:?}, {} times",
        times.len()
    );
}
