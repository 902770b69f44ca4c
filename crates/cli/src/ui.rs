//! What people and programs see.
//!
//! Results go to standard output, as text or with `--json` as one JSON value; everything about
//! progress goes to standard error, as bars on a terminal and as plain lines elsewhere.
//!
//! Invariant: control characters that come from files or arguments reach nobody's terminal, and
//! text is coloured only on a terminal and never with `NO_COLOR`. [`paint`] marks text with
//! characters of the private use area, which become colours, or nothing, when it is printed.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style as Ansi};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Where results and progress go.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    json: bool,
    bars: bool,
    colour: bool,
}

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Headings.
    Bold,
    /// What is beside the point.
    Dim,
    /// What holds.
    Good,
    /// What needs attention.
    Warning,
    /// What does not hold.
    Bad,
}

/// Marks of the styles, in their order, and the one that ends them all.
const MARKS: [char; 5] = ['\u{f8e0}', '\u{f8e1}', '\u{f8e2}', '\u{f8e3}', '\u{f8e4}'];
const END_MARK: char = '\u{f8e5}';

/// Text in a style.
pub fn paint(style: Style, text: &str) -> String {
    let mark = match style {
        Style::Bold => MARKS[0],
        Style::Dim => MARKS[1],
        Style::Good => MARKS[2],
        Style::Warning => MARKS[3],
        Style::Bad => MARKS[4],
    };
    format!("{mark}{text}{END_MARK}")
}

/// Text as it is printed: control characters spelled out, marks as colours or left out.
pub fn printable(text: &str, colour: bool) -> String {
    let styles = [
        Ansi::new().bold(),
        Ansi::new().dimmed(),
        Ansi::new().fg_color(Some(AnsiColor::Green.into())),
        Ansi::new().fg_color(Some(AnsiColor::Yellow.into())),
        Ansi::new().fg_color(Some(AnsiColor::Red.into())).bold(),
    ];
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let style = MARKS.iter().position(|mark| *mark == character);
        let written = match (style, character) {
            (Some(style), _) if colour => write!(out, "{}", styles[style]),
            (None, END_MARK) if colour => write!(out, "{}", anstyle::Reset),
            (Some(_), _) | (None, END_MARK) => Ok(()),
            (None, '\n') => out.write_char('\n'),
            (None, other) if is_unprintable(other) => write!(out, "{}", other.escape_default()),
            (None, other) => out.write_char(other),
        };
        written.expect("writing to a string cannot fail");
    }
    out
}

/// Controls, and the characters that change the direction of what follows.
fn is_unprintable(character: char) -> bool {
    let directions = matches!(character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || directions
}

/// Whether a text can be printed as it is.
pub fn is_printable(text: &str) -> bool {
    !text.chars().any(is_unprintable)
}

/// JSON as it is printed: a character that JSON leaves alone and a terminal obeys is escaped.
fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        // Why: JSON has such characters in strings alone, and line breaks outside of them alone.
        let written = match character {
            '\n' => out.write_char('\n'),
            other if is_unprintable(other) => write!(out, "\\u{:04x}", u32::from(other)),
            other => out.write_char(other),
        };
        written.expect("writing to a string cannot fail");
    }
    out
}

/// Whether a stream may be coloured.
fn coloured(is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes a line to standard error. Nothing depends on whether anybody reads it.
pub fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").unwrap_or_default();
}

/// Whoever read standard output does not read on, as `head` does: the command ends.
#[derive(Debug)]
pub struct OutputClosed;

impl fmt::Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads standard output any more")
    }
}

impl std::error::Error for OutputClosed {}

/// What a failure to write to standard output means.
pub fn unwritten(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    }
}

/// Prints why the program fails.
pub fn complain(text: &str) {
    let colour = coloured(io::stderr().is_terminal());
    let text = format!("{} {text}", paint(Style::Bad, "quire:"));
    tell(&printable(&text, colour));
}

impl Ui {
    /// Text or JSON; bars only if standard error is a terminal.
    pub fn new(format: Format) -> Self {
        Self {
            json: format == Format::Json,
            bars: io::stderr().is_terminal(),
            colour: coloured(io::stdout().is_terminal()),
        }
    }

    /// Prints the result of a command: `facts` as JSON, or `text`.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn result(&self, facts: &impl Serialize, text: impl AsRef<str>) -> Result<()> {
        self.print(facts, || printable(text.as_ref().trim_end(), self.colour))
    }

    /// As [`Self::result`], with text of the program's own that is printed byte for byte.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn raw(&self, facts: &impl Serialize, text: &str) -> Result<()> {
        self.print(facts, || text.trim_end().to_owned())
    }

    fn print(&self, facts: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut out = if self.json {
            let json = serde_json::to_string_pretty(facts);
            printable_json(&json.context("cannot write the result as JSON")?)
        } else {
            text()
        };
        out.push('\n');
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(out.as_bytes());
        written.and_then(|()| stdout.flush()).map_err(unwritten)
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
        let written = writeln!(stdout, "{}", printable(text.as_ref(), self.colour));
        written.and_then(|()| stdout.flush()).map_err(unwritten)
    }

    /// A line about progress on standard error.
    pub fn note(&self, text: impl AsRef<str>) {
        tell(&printable(text.as_ref(), false));
    }

    /// Begins something that takes time; `steps` if it is known how much.
    pub fn task(&self, what: impl Into<String>, steps: Option<u64>) -> Task {
        let what = printable(&what.into(), false);
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
            tell(&format!("{what} …"));
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
        self.bar.set_message(printable(&what.into(), false));
    }

    /// The end; returns how long it took.
    pub fn done(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}

/// A table with a heading and aligned columns: the first to the left, others to the right. Cells
/// keep their lines to themselves: control characters are spelled out.
pub fn table(rows: &[Vec<String>]) -> String {
    let printed = |row: &Vec<String>| row.iter().map(|cell| one_line(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(printed).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (place, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => line.push_str(&format!("{cell:<width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        let line = line.trim_end();
        match place {
            0 => out.push_str(&paint(Style::Bold, line)),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Text that stays on its line and carries no style.
fn one_line(text: &str) -> String {
    let escaped = |character: char| match character {
        '\n' => "\\n".chars().collect::<Vec<_>>(),
        other => vec![other],
    };
    printable(&text.chars().flat_map(escaped).collect::<String>(), false)
}

/// A duration in seconds, rounded to milliseconds, for JSON.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out_and_marks_are_colours_or_nothing() {
        let text = format!("a\u{1b}[2Jb\r{}\u{202e}\n", paint(Style::Good, "ok"));
        assert_eq!(printable(&text, false), "a\\u{1b}[2Jb\\rok\\u{202e}\n");
        let coloured = printable(&text, true);
        assert!(coloured.contains("\u{1b}[32mok\u{1b}[0m"), "{coloured:?}");
        assert!(!coloured.contains("[2Jb\r"));
    }

    #[test]
    fn json_steers_no_terminal_and_says_the_same() {
        let facts = ["\u{1b}[2J\n", "\u{9b}31m\u{7f}", "\u{202e}é"];
        let json = serde_json::to_string_pretty(&facts).unwrap();
        let printed = printable_json(&json);
        assert_eq!(printed.lines().count(), 5);
        assert!(printed.lines().all(is_printable), "{printed:?}");
        let read: Vec<String> = serde_json::from_str(&printed).unwrap();
        assert_eq!(read, facts);
    }

    #[test]
    fn a_table_is_aligned_and_its_cells_stay_in_their_lines() {
        let rows = [["name", "n"], ["x\ny", "10"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(printable(&table(&rows), false), "name   n\nx\\ny  10\n");
    }
}
