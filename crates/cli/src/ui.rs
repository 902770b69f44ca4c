//! What people and programs see.
//!
//! Results go to standard output, as text or with `--json` as one JSON value; everything about
//! progress goes to standard error, as bars on a terminal and as plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Where results and progress go.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    json: bool,
    bars: bool,
}

impl Ui {
    /// Text or JSON; bars only if standard error is a terminal.
    pub fn new(format: Format) -> Self {
        Self {
            json: format == Format::Json,
            bars: io::stderr().is_terminal(),
        }
    }

    /// Prints the result of a command: `facts` as JSON, or `text`.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn result(&self, facts: &impl Serialize, text: impl AsRef<str>) -> Result<()> {
        let mut out = if self.json {
            serde_json::to_string_pretty(facts).context("cannot write the result as JSON")?
        } else {
            text.as_ref().trim_end().to_owned()
        };
        out.push('\n');
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(out.as_bytes());
        written
            .and_then(|()| stdout.flush())
            .context("cannot write to standard output")
    }

    /// A line for people on standard output, left out with `--json`.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn say(&self, text: impl AsRef<str>) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{}", text.as_ref());
        written
            .and_then(|()| stdout.flush())
            .context("cannot write to standard output")
    }

    /// A line about progress on standard error.
    pub fn note(&self, text: impl AsRef<str>) {
        eprintln!("{}", text.as_ref());
    }

    /// Begins something that takes time; `steps` if it is known how much.
    pub fn task(&self, what: impl Into<String>, steps: Option<u64>) -> Task {
        let what = what.into();
        let bar = if self.bars {
            let bar = match steps {
                Some(steps) => ProgressBar::new(steps).with_style(style(
                    "{spinner} {msg} [{bar:30}] {human_pos}/{human_len} {elapsed}",
                )),
                None => ProgressBar::new_spinner().with_style(style("{spinner} {msg} {elapsed}")),
            };
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            eprintln!("{what} …");
            ProgressBar::with_draw_target(steps, ProgressDrawTarget::hidden())
        };
        Task {
            bar,
            started: Instant::now(),
        }
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are fixed and valid")
}

/// Something that takes time.
pub struct Task {
    bar: ProgressBar,
    started: Instant,
}

impl Task {
    /// Steps done so far.
    pub fn at(&self, steps: u64) {
        self.bar.set_position(steps);
    }

    /// What is being done now.
    pub fn doing(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// The end; returns how long it took.
    pub fn done(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}

/// A table with a heading and aligned columns: the first to the left, others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => line.push_str(&format!("{cell:<width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A count with separators: `1 234 567` is written `1,234,567`.
pub fn count(number: impl TryInto<u128>) -> String {
    let digits = number.try_into().unwrap_or(u128::MAX).to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that suits them.
pub fn bytes(number: u64) -> String {
    match number {
        0..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{:.1} KiB", number as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", number as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", number as f64 / 1_073_741_824.0),
    }
}

/// A duration in seconds, rounded to milliseconds, for JSON.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
