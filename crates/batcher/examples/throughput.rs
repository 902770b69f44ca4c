//! Measures the way from signed transfers to sealed batches on disk, a start, and restoring from
//! what L1 has then, over the committed workload:
//! `cargo run --release -p batcher --example throughput [FOLDER]`. The folder must not exist; it
//! is removed at the end.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use batcher::store::FILE_NAME;
use batcher::{Batcher, Fill, Limits, RestoredBatch, Settings, SignedOperation};
use histories::{Import, ImportOptions};
use ledger::account::Account;
use ledger::operation;
use ledger::shape::Shape;

const SHAPE: Shape = Shape {
    id: 1,
    depth: 12,
    l1_ops: 0,
    transfers: 70,
    withdrawals: 0,
    fee_slots: 2,
    cached_levels: 3,
};

/// Operations of one intake call.
const INTAKE: usize = 2048;

const NOW: u64 = 1_700_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from("data/throughput"));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path) -> Result<(), Box<dyn Error>> {
    let options = ImportOptions {
        seed: b"throughput",
        depth: SHAPE.depth,
        operator: [1; 20],
        limit: None,
    };
    let workload = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../benches/workloads/ethereum_transfers.csv.gz");
    let start = Instant::now();
    let import = Import::read(&workload, &options)?;
    println!("parse      {:?} {:?}", start.elapsed(), import.summary());
    let start = Instant::now();
    let genesis: Vec<(u32, Account)> = import
        .genesis()
        .iter()
        .map(|account| (account.index, account.account()))
        .collect();
    println!("keys       {:?}", start.elapsed());
    let settings = Settings {
        domain: operation::domain(0, &[7; 20], &[0; 32]),
        genesis: [9; 32],
        shapes: vec![SHAPE],
        fee_accounts: import.fee_accounts(),
        limits: Limits::default(),
        max_age: 60,
        timestamp_slack: 3600,
        undo_window: 64,
    };
    let start = Instant::now();
    let signed: Vec<SignedOperation> = import
        .signed(settings.domain)
        .map(SignedOperation::from)
        .collect();
    println!("sign       {:?}", start.elapsed());
    let start = Instant::now();
    let mut batcher = Batcher::create(folder, settings.clone(), genesis.iter().copied())?;
    println!("create     {:?}", start.elapsed());

    let start = Instant::now();
    for operations in signed.chunks(INTAKE) {
        let verdicts = batcher.submit_many(operations, NOW)?;
        verdicts.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let intake = start.elapsed();
    let start = Instant::now();
    let summary = batcher.seal_all(&[], NOW, Fill::UntilNextDoesNotFit, |_| {})?;
    let seal = start.elapsed();
    let rate = |seconds: f64| f64::from(u32::try_from(signed.len()).unwrap_or(u32::MAX)) / seconds;
    println!("intake     {intake:?}, {:.0}/s", rate(intake.as_secs_f64()));
    println!("seal       {seal:?}, {:.0}/s", rate(seal.as_secs_f64()));
    let both = (intake + seal).as_secs_f64();
    println!("both       {both:.3} s, {:.0} transfers/s", rate(both));
    println!("{summary:?}");
    println!("witnesses  {} bytes", batcher.witness_bytes()?);
    let start = Instant::now();
    batcher.witness(1)?;
    println!("witness(1) {:?}", start.elapsed());
    let start = Instant::now();
    batcher.audit(genesis.iter().copied())?;
    println!("audit      {:?}", start.elapsed());
    let history = finalize(&mut batcher)?;
    let root = batcher.status().state_root;
    drop(batcher);
    let start = Instant::now();
    Batcher::open(folder, settings.clone())?;
    println!("open       {:?}", start.elapsed());
    std::fs::remove_file(folder.join(FILE_NAME))?;
    let start = Instant::now();
    let batches = history.into_iter().map(Ok::<_, Infallible>);
    let restored = Batcher::restore(folder, settings, genesis, batches, |_| {})?;
    assert_eq!(restored.status().state_root, root);
    let restore = start.elapsed();
    println!(
        "restore    {restore:?}, {:.0}/s",
        rate(restore.as_secs_f64())
    );
    Ok(())
}

/// Finalizes all batches and returns what L1 then has.
fn finalize(batcher: &mut Batcher) -> Result<Vec<RestoredBatch>, Box<dyn Error>> {
    let mut history = Vec::new();
    for number in 1..=batcher.status().sealed {
        let batch = batcher.batch(number)?.batch().clone();
        let proof = vec![1; 256];
        history.push(RestoredBatch {
            words: batch.words().clone(),
            shape: *batch.shape(),
            queue: batch.queue(),
            proof: proof.clone(),
            time: NOW,
        });
        let proved = batcher.record_proof(batch, proof, NOW)?;
        batcher.record_finalized(proved, NOW)?;
    }
    Ok(history)
}
