//! `quire import`: a history of transfers becomes a deployment with its operations waiting.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use batcher::SignedOperation;
use histories::{Import, ImportOptions, ImportSummary};
use l1::bytes::Bytes;
use l1::genesis::{DEFAULT_FREEZE_AFTER, DEFAULT_TAKEOVER_AFTER, DEFAULT_TIMESTAMP_SLACK, Token};
use ledger::eddsa::PrivateKey;
use ledger::shape::Shape;
use rayon::prelude::*;
use rollup::Draft;
use rollup::Plan;
use rollup::Rollup;
use rollup::clock::now;
use rollup::create::PENDING_CAP;
use rollup::create::check_absent;
use rollup::create::genesis_account;
use rollup::shape::shapes_by_name;
use serde::Serialize;
use wallet::{Sealing, Wallet, read_secret};
use zeroize::Zeroizing;

use crate::args::ImportArgs;
use crate::fault::Fault;
use crate::init::declared;
use crate::settings::Settings;
use crate::ui::seconds;
use rollup::OperatorKey;
use rollup::operator::open;
use rollup::text::count;

/// Transfers of Ethereum mainnet that come with the program, packed with gzip.
pub const WORKLOAD: &[u8] = include_bytes!("../../../benches/workloads/ethereum_transfers.csv.gz");
/// Operations that are handed to the batcher at a time, in one transaction.
pub const SUBMIT_AT_ONCE: usize = 1024;

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

/// Rejected rows that are listed for people.
const SHOWN: usize = 10;

/// A row that was not imported.
#[derive(Serialize)]
struct Rejection {
    line: u64,
    reason: String,
}

/// Where transfers are read from.
pub enum Source {
    /// A CSV file, perhaps packed.
    File(PathBuf),
    /// The workload that comes with the program.
    Workload,
}

/// A history with the deployment that it is imported into.
pub struct History {
    pub import: Import,
    pub shapes: Vec<Shape>,
    /// Tokens of the file whose symbol and decimals were declared.
    declared: Vec<Token>,
    seed: Zeroizing<Vec<u8>>,
}

impl History {
    /// Reads rows, at most `limit` of them.
    ///
    /// # Errors
    /// If the file is not a table of transfers, or none of its rows can be imported.
    pub fn read(
        source: &Source,
        limit: Option<u64>,
        shapes: Vec<Shape>,
        seed: &[u8],
    ) -> Result<Self> {
        let operator = imported_operator(seed);
        let options = ImportOptions {
            seed,
            depth: shapes[0].depth,
            operator: operator.address.0,
            limit,
        };
        let import = match source {
            Source::File(path) => Import::read(path, &options)?,
            Source::Workload => {
                let path = Path::new("the workload that comes with the program");
                Import::parse(WORKLOAD, path, &options)?
            }
        };
        ensure!(
            import.summary().imported > 0,
            nothing_imported(source, &import)
        );
        Ok(Self {
            import,
            shapes,
            declared: Vec::new(),
            seed: Zeroizing::new(seed.to_vec()),
        })
    }

    /// Names tokens of the file, and returns those that it does not have.
    pub fn declare(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        let listed = |token: &Token| {
            let token = histories::Token::Erc20(token.address.0);
            self.import.tokens().contains(&token)
        };
        let (declared, foreign) = tokens.into_iter().partition(listed);
        self.declared = declared;
        foreign
    }

    /// The deployment in which the history plays out.
    ///
    /// # Errors
    /// If there are more tokens than ids.
    pub fn plan(&self, salt: [u8; 32]) -> Result<Plan> {
        let mut tokens = vec![Token::eth()];
        for token in self.import.tokens().iter().skip(1) {
            let histories::Token::Erc20(address) = token else {
                bail!("ETH is listed twice");
            };
            let address = Bytes(*address);
            let declared = self.declared.iter().find(|token| token.address == address);
            tokens.push(declared.cloned().unwrap_or_else(|| Token {
                name: token.to_string(),
                decimals: None,
                address,
            }));
        }
        let accounts = self.import.genesis();
        let accounts = accounts
            .par_iter()
            .map(|account| {
                let owner = Bytes(account.owner);
                genesis_account(owner, account.token, &account.key, account.balance)
            })
            .collect();
        Ok(Plan {
            shapes: self.shapes.clone(),
            tokens,
            accounts,
            operator: OperatorKey::of(&imported_operator(&self.seed), &Sealing::Plain)?,
            salt,
            l1_fee: 0,
            pending_cap: PENDING_CAP,
            timestamp_slack: DEFAULT_TIMESTAMP_SLACK,
            takeover_after: DEFAULT_TAKEOVER_AFTER,
            freeze_after: DEFAULT_FREEZE_AFTER,
        })
    }

    /// Signs every transfer and hands it to the batcher, durably.
    ///
    /// # Errors
    /// If the batcher refuses an operation or cannot write.
    pub fn submit(&self, rollup: &mut Rollup, mut on_progress: impl FnMut(u64)) -> Result<()> {
        let domain = rollup.l1.domain();
        let mut operations = self.import.signed(domain).map(SignedOperation::from);
        let mut done: usize = 0;
        loop {
            let chunk: Vec<_> = operations.by_ref().take(SUBMIT_AT_ONCE).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            for verdict in rollup.batcher.submit_many(&chunk, now()?)? {
                verdict.with_context(|| {
                    let line = self.import.line(done).unwrap_or_default();
                    format!("the batcher refused the transfer of line {line}")
                })?;
                done += 1;
            }
            on_progress(done as u64);
        }
    }
}

/// The operator of an import, the same for the same seed: whoever knows the seed has its key, so
/// its wallet is kept plain.
fn imported_operator(seed: &[u8]) -> Wallet {
    Wallet::of(PrivateKey::derive("quire 1 operator of an import", seed))
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

/// The failure of an import of which nothing is left.
fn nothing_imported(source: &Source, import: &Import) -> Fault {
    let file = match source {
        Source::File(path) => path.display().to_string(),
        Source::Workload => "the workload".to_owned(),
    };
    let ImportSummary { rows, .. } = import.summary();
    if rows == 0 {
        return Fault::input(format!("{file} has no rows that could be imported"));
    }
    let first = import.rejected().iter().take(SHOWN);
    let lines = first.map(|row| format!("\n  line {}: {}", row.line, row.reason));
    Fault::input(format!(
        "none of the {} rows of {file} can be imported, and no deployment was made:{}",
        count(rows),
        lines.collect::<String>()
    ))
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
