//! `quire import`: a history of transfers becomes a deployment with its operations waiting.

use std::path::Path;

use anyhow::{Context, Result};
use histories::ImportSummary;
use l1::genesis::Token;
use rollup::Draft;
use rollup::create::check_absent;
use rollup::history::{History, SHOWN, Source};
use rollup::operator::open;
use rollup::shape::shapes_by_name;
use rollup::text::count;
use serde::Serialize;
use wallet::read_secret;
use zeroize::Zeroizing;

use crate::args::ImportArgs;
use crate::fault::Fault;
use crate::init::declared;
use crate::settings::Settings;
use crate::ui::seconds;

/// Transfers of Ethereum mainnet that come with the program, packed with gzip.
pub const WORKLOAD: &[u8] = include_bytes!("../../../benches/workloads/ethereum_transfers.csv.gz");

/// What `import` prints.
#[derive(Serialize)]
struct Facts {
    rows: u64,
    imported: u64,
    rejected: u64,
    rounded: u64,
    accounts: usize,
    tokens: usize,
    shapes: Vec<String>,
    seconds: f64,
    rejections: Vec<Rejection>,
}

/// A row that was not imported.
#[derive(Serialize)]
struct Rejection {
    line: u64,
    reason: String,
}

/// The seed in a file, zeros if none was named. It is never an argument: others see those.
fn seed(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
    let Some(path) = file else {
        return Ok(Zeroizing::new(vec![0; 32]));
    };
    let text = read_secret(path, "seed")?;
    let text = std::str::from_utf8(&text).unwrap_or_default().trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut seed = Zeroizing::new(vec![0; 32]);
    hex::decode_to_slice(digits, &mut seed)
        .ok()
        .with_context(|| {
            Fault::input(format!(
                "{} does not hold a seed: 64 hexadecimal digits on one line",
                path.display()
            ))
        })?;
    Ok(seed)
}

/// Imports a file into a new data directory.
///
/// # Errors
/// If the file is not a table of transfers, none of its rows can be imported, or the directory has a
/// deployment already; nothing is left then.
pub fn run(settings: &Settings, args: &ImportArgs) -> Result<()> {
    let ui = settings.ui;
    let started = std::time::Instant::now();
    let seed = seed(args.seed_file.as_deref())?;
    let shapes = shapes_by_name(&args.shape, "t18")?;
    check_absent(settings)?;
    let source = Source::File(args.file.clone());
    let task = ui.task(format!("reading {}", args.file.display()), None);
    let mut history = History::read(&source, args.limit, shapes, &seed)?;
    task.done();
    for token in history.declare(declared(&args.token)?) {
        let Token { name, address, .. } = token;
        ui.note(format!("no row has the token {name}, {address}"));
    }
    let summary = history.import.summary();
    // Why: the same file and seed give the same deployment.
    let salt = blake3::derive_key("quire 1 salt of an import", &seed);
    let mut draft = Draft::new(settings, &history.plan(salt)?)?;
    let task = ui.task("signing and submitting transfers", Some(summary.imported));
    history.submit(&mut draft.deployment, |done| task.at(done))?;
    task.done();
    draft.keep(settings)?;
    drop(open(settings)?);
    let facts = Facts {
        rows: summary.rows,
        imported: summary.imported,
        rejected: summary.rejected,
        rounded: summary.rounded,
        accounts: summary.accounts,
        tokens: summary.tokens,
        shapes: history
            .shapes
            .iter()
            .map(rollup::shape::shape_name)
            .collect(),
        seconds: seconds(started.elapsed()),
        rejections: (history.import.rejected().iter())
            .map(|row| Rejection {
                line: row.line,
                reason: row.reason.to_string(),
            })
            .collect(),
    };
    ui.result(&facts, describe(settings, &summary, &facts))
}

fn describe(settings: &Settings, summary: &ImportSummary, facts: &Facts) -> String {
    let mut text = format!(
        "{} rows: {} imported, {} rejected; {} amounts rounded down to float40\n\
         {} accounts of {} tokens, shapes {}, in {:.1} s\n",
        count(summary.rows),
        count(summary.imported),
        count(summary.rejected),
        count(summary.rounded),
        count(summary.accounts),
        count(summary.tokens),
        facts.shapes.join(" and "),
        facts.seconds,
    );
    for row in facts.rejections.iter().take(SHOWN) {
        text.push_str(&format!("  line {}: {}\n", row.line, row.reason));
    }
    if facts.rejections.len() > SHOWN {
        text.push_str("  and more; --json lists up to a thousand\n");
    }
    let folder = settings.data_dir.display();
    text.push_str(&format!(
        "signed operations wait in {folder}; go on with `quire seal --all`\n"
    ));
    text
}
