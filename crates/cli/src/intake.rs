//! `quire bench intake`: real transfers accepted, verified, executed and sealed, durably.
//!
//! Signing is the wallets' work and done beforehand. The clock runs from the first operation handed
//! to the batcher until the last batch is on disk: signatures are checked, each group of operations
//! is committed before it is acknowledged, and each batch with its witness before it counts.

use std::time::Instant;

use anyhow::{Context, Result};
use batcher::SignedOperation;
use rollup::Draft;
use rollup::SealLimit;
use rollup::clock::now;
use rollup::shape::shapes_by_name;
use serde::Serialize;

use crate::args::BenchIntakeArgs;
use crate::import::WORKLOAD;
use crate::interrupt::remove_on_interrupt;
use crate::pipeline::seal;
use crate::settings::Settings;
use crate::ui::seconds;
use rollup::history::{History, SUBMIT_AT_ONCE, Source};
use rollup::text::count;

/// What `bench intake` measures.
#[derive(Serialize)]
struct Figures {
    shapes: Vec<String>,
    threads: usize,
    transfers: usize,
    batches: u64,
    accept_seconds: f64,
    seal_seconds: f64,
    seconds: f64,
    transfers_per_second: f64,
}

/// Measures intake in a temporary data directory.
///
/// # Errors
/// If the file is not a table of transfers, or something is refused.
pub fn run(settings: &Settings, args: &BenchIntakeArgs) -> Result<()> {
    let ui = settings.ui;
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    remove_on_interrupt(folder.path());
    let mut settings = settings.clone();
    settings.use_data_dir(folder.path());
    let source = match &args.file {
        Some(path) => Source::File(path.clone()),
        None => Source::Workload(WORKLOAD),
    };
    let shapes = shapes_by_name(&args.shape, "t20")?;
    let history = History::read(&source, args.limit, shapes, &[0; 32])?;
    let mut draft = Draft::new(&settings, &history.plan([0; 32])?)?;
    let deployment = &mut draft.deployment;
    let task = ui.task("signing", None);
    let signed = history.import.signed(deployment.l1.domain());
    let operations: Vec<_> = signed.map(SignedOperation::from).collect();
    task.done();
    let started = Instant::now();
    for chunk in operations.chunks(SUBMIT_AT_ONCE) {
        for verdict in deployment.batcher.submit_many(chunk, now()?)? {
            verdict.context("the batcher refused an imported transfer")?;
        }
    }
    let accepted = started.elapsed();
    let sealed = seal(&settings, deployment, SealLimit::All)?;
    let whole = started.elapsed();
    let figures = Figures {
        shapes: history
            .shapes
            .iter()
            .map(rollup::shape::shape_name)
            .collect(),
        threads: rayon::current_num_threads(),
        transfers: sealed.transfers,
        batches: sealed.batches,
        accept_seconds: seconds(accepted),
        seal_seconds: seconds(whole - accepted),
        seconds: seconds(whole),
        transfers_per_second: (sealed.transfers as f64 / whole.as_secs_f64()).round(),
    };
    let text = format!(
        "{} transfers in {} batches, {} threads\naccepted {:8.2} s\nsealed   {:8.2} s\n{} transfers a second",
        count(figures.transfers),
        count(figures.batches),
        figures.threads,
        figures.accept_seconds,
        figures.seal_seconds,
        figures.transfers_per_second,
    );
    ui.result(&figures, text)
}
