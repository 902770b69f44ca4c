//! `quire attack`: the suite of malicious witnesses, each shown to the circuit of shape `tiny`.

use anyhow::{Context, Result, bail};
use attacks::{Attack, Verdict, Workbench};
use rayon::prelude::*;
use serde::Serialize;

use crate::args::AttackRunArgs;
use crate::ui::Ui;
use rollup::text::count;

/// An attack as `--json` lists it.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    rule: &'static str,
    rows: &'static [&'static str],
    story: &'static str,
}

/// An attack with what the circuit said.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    attack: Listed,
    /// Rules that the honest neighbour violates: none.
    violated_by_neighbour: Vec<String>,
    violated: Vec<String>,
    caught: bool,
}

/// What `attack run --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    attacks: Vec<Outcome>,
    caught: usize,
    not_caught: usize,
    /// Rules of the circuit that the attacks that were run aim at, of all that have rows.
    rules: usize,
    rules_in_circuit: usize,
}

/// Prints every attack.
///
/// # Errors
/// If standard output cannot be written.
pub fn list(ui: Ui) -> Result<()> {
    let attacks: Vec<Listed> = attacks::all().iter().map(listed).collect();
    let heading = ["ATTACK", "BREAKS", "ROWS", "WITHOUT THE RULE"].map(str::to_owned);
    let rows = attacks.iter().map(|attack| {
        [
            attack.name.to_owned(),
            attack.rule.to_owned(),
            attack.rows.join(" "),
            attack.story.to_owned(),
        ]
    });
    let mut text = columns(std::iter::once(heading).chain(rows));
    text.push_str(&format!("\n{} attacks\n", attacks.len()));
    ui.result(&attacks, text)
}

/// Shows the chosen attacks to the circuit.
///
/// # Errors
/// If a name is unknown, nothing is chosen, or an attack is not caught by its rule alone.
pub fn run(ui: Ui, args: &AttackRunArgs) -> Result<()> {
    let chosen = chosen(args)?;
    let task = ui.task("compiling the circuit of shape tiny", None);
    let bench = Workbench::new().context("the circuit of shape tiny does not compile")?;
    task.done();
    let task = ui.task(format!("running {} attacks", chosen.len()), None);
    let verdicts: Vec<Verdict> = chosen.par_iter().map(|attack| bench.run(attack)).collect();
    task.done();
    let report = report(&bench, &chosen, verdicts);
    ui.result(&report, text_of(&report))?;
    if report.not_caught > 0 {
        bail!(
            "{} of {} attacks are not caught by their rule alone: the circuit or the attack is \
             wrong",
            report.not_caught,
            report.attacks.len()
        );
    }
    Ok(())
}

fn chosen(args: &AttackRunArgs) -> Result<Vec<Attack>> {
    let all = attacks::all();
    for name in &args.name {
        if !all.iter().any(|attack| attack.name == name) {
            bail!("there is no attack {name:?}{}", suggestion(name, &all));
        }
    }
    let asked_for = |attack: &Attack| {
        let by_name = args.name.is_empty() || args.name.iter().any(|name| name == attack.name);
        let by_rule = args
            .rule
            .as_ref()
            .is_none_or(|rule| attack.rule.contains(rule));
        by_name && by_rule
    };
    let chosen: Vec<Attack> = all.into_iter().filter(asked_for).collect();
    if chosen.is_empty() {
        let rule = args.rule.as_deref().unwrap_or_default();
        bail!("no attack of these is on a rule like {rule:?}; `quire attack list` shows them all");
    }
    Ok(chosen)
}

/// The attacks that share a word with a name that does not exist.
fn suggestion(name: &str, all: &[Attack]) -> String {
    let words: Vec<&str> = name.split('-').filter(|word| word.len() > 2).collect();
    let similar: Vec<&str> = (all.iter().map(|attack| attack.name))
        .filter(|known| words.iter().any(|word| known.contains(word)))
        .take(8)
        .collect();
    if similar.is_empty() {
        "; `quire attack list` shows them all".to_owned()
    } else {
        format!("; similar ones are {}", similar.join(", "))
    }
}

fn listed(attack: &Attack) -> Listed {
    let Attack {
        name,
        rule,
        rows,
        story,
        ..
    } = *attack;
    Listed {
        name,
        rule,
        rows,
        story,
    }
}

fn report(bench: &Workbench, attacks: &[Attack], verdicts: Vec<Verdict>) -> Report {
    let caught = verdicts.iter().filter(|verdict| verdict.caught).count();
    let rules: std::collections::BTreeSet<&str> =
        attacks.iter().map(|attack| attack.rule).collect();
    let outcomes = attacks
        .iter()
        .zip(verdicts)
        .map(|(attack, verdict)| Outcome {
            attack: listed(attack),
            violated_by_neighbour: verdict.neighbour.into_iter().collect(),
            violated: verdict.violated.into_iter().collect(),
            caught: verdict.caught,
        });
    Report {
        attacks: outcomes.collect(),
        caught,
        not_caught: attacks.len() - caught,
        rules: rules.len(),
        rules_in_circuit: bench.rules().len(),
    }
}

fn text_of(report: &Report) -> String {
    let heading = ["ATTACK", "BREAKS", "VIOLATED", "CAUGHT"].map(str::to_owned);
    let rows = report.attacks.iter().map(|outcome| {
        [
            outcome.attack.name.to_owned(),
            outcome.attack.rule.to_owned(),
            violated(outcome),
            if outcome.caught { "yes" } else { "NO" }.to_owned(),
        ]
    });
    let mut text = columns(std::iter::once(heading).chain(rows));
    text.push_str(&format!(
        "\n{} of {} attacks caught by their rule alone; {} of the circuit's {} rules attacked\n",
        count(report.caught),
        count(report.attacks.len()),
        count(report.rules),
        count(report.rules_in_circuit),
    ));
    text
}

/// What is violated: "that rule alone" is what should be there.
fn violated(outcome: &Outcome) -> String {
    if !outcome.violated_by_neighbour.is_empty() {
        return format!(
            "the honest neighbour: {}",
            outcome.violated_by_neighbour.join(", ")
        );
    }
    match outcome.violated.as_slice() {
        [] => "nothing".to_owned(),
        [rule] if rule == outcome.attack.rule => "that rule alone".to_owned(),
        rules => rules.join(", "),
    }
}

/// Columns aligned to the left.
fn columns(rows: impl Iterator<Item = [String; 4]>) -> String {
    let rows: Vec<[String; 4]> = rows.collect();
    let widths = [0, 1, 2].map(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut out = String::new();
    for [first, second, third, last] in &rows {
        let [a, b, c] = widths;
        let line = format!("{first:<a$}  {second:<b$}  {third:<c$}  {last}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
