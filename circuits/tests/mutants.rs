//! Weakened circuits, each noticed by a forgery.
//!
//! A mutant is the circuit of the shape [`wide`] with one row less, with one row of which a factor is
//! the prover's to choose, or with a number that has one bit more. For every kind of row, in the
//! first, a middle and the last slot where it occurs, and for every number, some witness must exist
//! that the true circuit refuses and the mutant accepts: a malicious witness of the public suite
//! (the crate `attacks`), or one that is made for the row (`sweep`). Rows that no such witness needs
//! are listed with their arguments. Nothing is counted, and no key, fingerprint or position is
//! compared: what notices a mutant is money that moves.
//!
//! `MUTANTS=all` (`make mutants`) makes all of them and prints what killed which; without it a sample
//! with a fixed seed is made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "mutants/kinds.rs"]
mod kinds;
#[path = "mutants/sweep.rs"]
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{Arc, Mutex, OnceLock},
};

use attacks::{Attack, Forger, Position, Start, Witness, Workbench, samples::wide};
use circuits::{
    babyjubjub::subgroup_order,
    compare::{enforce_at_least, enforce_at_most},
    inspect::compile_with,
    num::Cs,
};
use common::{modulus, power, record, rng};
use kinds::{Kind, Target, Weakening, kinds, targets};
use ledger::field::Fr;
use num_bigint::BigUint;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use sweep::{Scene, Section, Spot, source_line, violated_rows};

/// A kind of row without which nothing is lost, with the name of the argument in
/// `docs/soundness.md`.
struct Argued {
    /// The end of the rule's path.
    rule: &'static str,
    /// What is in the line that records the row.
    line: &'static str,
    /// Which of the rows of the kind in a slot, if not all.
    nth: Option<usize>,
    argument: &'static str,
}

const ARGUED: [Argued; 7] = [
    argued("fee_is_credited_once", "named(\"choice\")", None, "choices"),
    argued("l1_op", "at_most_one", None, "sum of kinds"),
    argued("l1_op", "named(\"kind\")", Some(0), "a Create's boolean"),
    argued("header", "named(\"batch_number\")", None, "batch number"),
    argued("sender", "is_nonzero", Some(0), "activity"),
    argued("header/fee_slot", "is_nonzero", Some(0), "activity"),
    argued("step_is_not_exceptional", "", None, "exceptional steps"),
];

/// Numbers of which one bit more harms nobody.
const ARGUED_WIDTHS: [(&str, &str, &str); 4] = [
    ("header", "batch_number", "batch number"),
    ("header", "timestamp", "time from above"),
    ("transfer/sender/not_expired", "left", "time from above"),
    ("withdraw/sender/not_expired", "left", "time from above"),
];

const fn argued(
    rule: &'static str,
    line: &'static str,
    nth: Option<usize>,
    argument: &'static str,
) -> Argued {
    Argued {
        rule,
        line,
        nth,
        argument,
    }
}

/// Every number: its rule, its name, and how many of that name are in a slot.
const NUMBERS: [(&str, &str, usize); 26] = [
    ("header", "batch_number", 1),
    ("header", "timestamp", 1),
    ("header/fee_slot", "index", 1),
    ("header/fee_slot", "token", 1),
    ("header/fee_slot", "nonce", 1),
    ("l1_op", "index", 1),
    ("l1_op", "token", 1),
    ("l1_op", "amount", 1),
    ("transfer", "to", 1),
    ("transfer/sender", "from", 1),
    ("transfer/sender/float_is_in_range", "mantissa", 2),
    ("transfer/sender/float_is_in_range", "exponent", 2),
    ("transfer/sender", "token", 1),
    ("transfer/sender/nonce_has_successor", "nonce", 1),
    ("transfer/sender/not_expired", "valid_until", 1),
    ("transfer/sender/not_expired", "left", 1),
    ("transfer/sender/sender_can_pay", "left", 1),
    ("transfer/receiver", "nonce", 1),
    ("withdraw/sender", "from", 1),
    ("withdraw/sender/float_is_in_range", "mantissa", 2),
    ("withdraw/sender/float_is_in_range", "exponent", 2),
    ("withdraw/sender", "token", 1),
    ("withdraw/sender/nonce_has_successor", "nonce", 1),
    ("withdraw/sender/not_expired", "valid_until", 1),
    ("withdraw/sender/not_expired", "left", 1),
    ("withdraw/sender/sender_can_pay", "left", 1),
];

fn bench() -> &'static Workbench {
    static BENCH: OnceLock<Workbench> = OnceLock::new();
    BENCH.get_or_init(|| Workbench::of(&wide()).unwrap())
}

fn everything() -> bool {
    std::env::var_os("MUTANTS").is_some_and(|value| value == "all")
}

fn argument(target: &Target) -> Option<&'static str> {
    let Target {
        kind, row, slot, ..
    } = target;
    let line = source_line(&kind.place.0, kind.place.1);
    let in_slot = slot.iter().position(|at| at == row);
    let nth = kind.bit.map(|(_, nth)| nth).or(in_slot);
    let fits = |argued: &&Argued| {
        let rule = kind.rule == argued.rule || kind.rule.ends_with(&format!("/{}", argued.rule));
        rule && line.contains(argued.line) && (argued.nth.is_none() || argued.nth == nth)
    };
    ARGUED.iter().find(fits).map(|argued| argued.argument)
}

/// What is known about the weakened rows.
#[derive(Default)]
struct Killed(BTreeMap<(usize, Weakening), String>);

impl Killed {
    /// Notes a forgery that only `row` refuses.
    fn note(&mut self, row: usize, assignment: &[Fr], by: &str) {
        let r1cs = &bench().compiled().r1cs;
        for weakening in Weakening::ALL {
            if weakening.takes(r1cs, row, assignment) {
                self.0
                    .entry((row, weakening))
                    .or_insert_with(|| by.to_owned());
            }
        }
    }

    fn has(&self, row: usize, weakening: Weakening) -> bool {
        self.0.contains_key(&(row, weakening))
    }

    fn is_complete(&self, target: &Target) -> bool {
        weakenings(target.row).all(|weakening| self.has(target.row, weakening))
    }
}

/// What weakens a row: a factor that is free already is not freed again.
fn weakenings(row: usize) -> impl Iterator<Item = Weakening> {
    static ROWS_OF: OnceLock<Vec<u32>> = OnceLock::new();
    let r1cs = &bench().compiled().r1cs;
    let rows_of = ROWS_OF.get_or_init(|| kinds::rows_of(r1cs));
    let all = Weakening::ALL.into_iter();
    all.filter(move |weakening| !weakening.changes_nothing(r1cs, rows_of, row))
}

/// Runs attacks where they are told to be; notes those that one row alone refuses, and returns the
/// rows that refused each.
fn run_attacks(attacks: &[(Attack, Position)], killed: &mut Killed) -> Vec<(String, Vec<usize>)> {
    let runs: Vec<(String, Vec<usize>, Vec<Fr>)> = attacks
        .par_iter()
        .map(|(attack, position)| {
            let pair = (attack.make)(&bench().at(*position));
            let accepted = pair.honest.present(|cs| cs).assignment;
            assert_eq!(violated_rows(bench(), &accepted), [0; 0], "{}", attack.name);
            let assignment = pair.forged.present(|cs| cs).assignment;
            let rows = violated_rows(bench(), &assignment);
            let name = attack.name;
            assert_ne!(rows, [0; 0], "{name} is accepted in the {position:?} slot");
            (name.to_owned(), rows, assignment)
        })
        .collect();
    let note = |(name, rows, assignment): (String, Vec<usize>, Vec<Fr>)| {
        if let [row] = rows[..] {
            killed.note(row, &assignment, &name);
        }
        (name, rows)
    };
    runs.into_iter().map(note).collect()
}

/// Two accounts of one token in fee slots `i < j`: only the row about these two refuses them.
fn two_collectors(slots: (usize, usize)) -> Witness {
    let shape = wide();
    let fee_slots = usize::from(shape.fee_slots);
    let mut token = 20;
    let accounts: Vec<Start> = (0..fee_slots)
        .map(|slot| {
            token += 1;
            Start {
                index: u32::try_from(slot + 1).unwrap(),
                token: if slot == slots.1 {
                    21 + u32::try_from(slots.0).unwrap()
                } else {
                    token
                },
                nonce: 0,
                balance: 0,
            }
        })
        .collect();
    let fees: Vec<u32> = accounts.iter().map(|start| start.index).collect();
    let inverses = bench().variables("header/fee_tokens_are_distinct");
    let (first, second) = slots;
    let before: usize = (0..first).map(|slot| fee_slots - 1 - slot).sum();
    let inverse = inverses[before + second - first - 1];
    // The prover says that the inverse of 0 is 1.
    Witness::of(Forger::new(&shape, &accounts, &fees).finish()).set(inverse, Fr::from(1u64))
}

fn fee_slot_pairs(killed: &mut Killed) {
    let fee_slots = usize::from(wide().fee_slots);
    let mut rows = BTreeSet::new();
    for second in 0..fee_slots {
        for first in 0..second {
            let assignment = two_collectors((first, second)).present(|cs| cs).assignment;
            let violated = violated_rows(bench(), &assignment);
            let [row] = violated[..] else {
                panic!("slots {first} and {second}: {violated:?}");
            };
            assert!(
                rows.insert(row),
                "slots {first} and {second} have no row of their own"
            );
            killed.note(row, &assignment, "two collectors of one token");
        }
    }
}

/// Every pair of fee slots, neighbours or not, is refused two accounts of one token by its own row.
#[test]
fn fee_slots_that_are_no_neighbours_collect_different_tokens() {
    fee_slot_pairs(&mut Killed::default());
}

/// The account that a row under a rule is about.
fn section(rule: &str) -> Section {
    match rule.split('/').next() {
        Some("l1_op") => Section::ToppedUp,
        Some("transfer" | "withdraw") if !rule.contains("receiver") => Section::Payer,
        Some("transfer") => Section::Receiver,
        _ => Section::Collector,
    }
}

/// Forges for each target, with its account in one place after the other, until nothing is left of it.
fn sweep_targets(targets: &[&Target], killed: &mut Killed) {
    let scenes: Mutex<BTreeMap<Spot, Arc<Scene>>> = Mutex::default();
    let scene = |spot: Spot| {
        let known = scenes.lock().unwrap().get(&spot).cloned();
        known.unwrap_or_else(|| {
            let scene = Arc::new(Scene::new(bench(), spot));
            scenes.lock().unwrap().insert(spot, scene.clone());
            scene
        })
    };
    let found: Vec<Killed> = targets
        .par_iter()
        .map(|target| {
            let Target { kind, row, .. } = target;
            let mut slot = target.position.of(bench().slots(&kind.rule));
            if kind.rule.starts_with("withdraw") {
                slot += usize::from(wide().transfers);
            }
            let mut found = Killed::default();
            for weakening in Weakening::ALL {
                if killed.has(*row, weakening) {
                    found.0.insert((*row, weakening), String::new());
                }
            }
            for variant in 0..Spot::VARIANTS {
                let section = section(&kind.rule);
                let scene = scene(Spot {
                    section,
                    slot,
                    variant,
                });
                for forgery in scene.forgeries(*row) {
                    let by = match forgery.short_of_r8 {
                        true => "a false multiple, up to R8",
                        false => "a false step",
                    };
                    found.note(*row, &forgery.assignment, by);
                }
                if found.is_complete(target) {
                    break;
                }
            }
            found
        })
        .collect();
    for (key, by) in found.into_iter().flat_map(|found| found.0) {
        killed.0.entry(key).or_insert(by);
    }
}

/// For every run of zeros of a constant, a number that it alone refuses.
fn run_alone(constant: &BigUint, bits: u64, at_least: bool) -> usize {
    let compare = |cs: &Cs, number: &BigUint| {
        let bits: Vec<_> = (0..bits).map(|i| cs.bit(number.bit(i))).collect();
        if at_least {
            enforce_at_least(cs, &bits, constant);
        } else {
            enforce_at_most(cs, &bits, constant);
        }
    };
    let all_ones = power(usize::try_from(bits).unwrap()) - 1u8;
    let bound = if at_least {
        &all_ones - constant
    } else {
        constant.clone()
    };
    let mut runs = 0;
    for at in (0..bits).rev() {
        // The highest zero of a run: there the number is 1, above it is the bound, below it is 0.
        if bound.bit(at) || (at + 1 < bits && !bound.bit(at + 1)) {
            continue;
        }
        runs += 1;
        let number = ((&bound >> (at + 1)) << (at + 1)) + (BigUint::from(1u8) << at);
        let number = if at_least { &all_ones - number } else { number };
        let recorded = record(|cs| compare(cs, &number));
        let r1cs = &recorded.compiled.r1cs;
        let refused = (0..r1cs.num_constraints())
            .filter(|row| !recorded.compiled.row_holds(*row, &recorded.assignment))
            .count();
        assert_eq!(refused, 1, "bit {at}: a number beyond the bound");
    }
    runs
}

/// The bounds of S and both ends of the challenge's window: each run of zeros has its own row, and
/// a number beyond the bound that only this row refuses. Returns the rows of S and of a challenge.
fn runs_of_zeros() -> [usize; 2] {
    let order = subgroup_order();
    let lowest = &order * 11u8 - power(254);
    let highest = &lowest + modulus() - 1u8;
    let s = run_alone(&(&order - 1u8), 251, false);
    let challenge = run_alone(&lowest, 254, true) + run_alone(&highest, 254, false);
    [s, challenge]
}

#[test]
fn every_run_of_zeros_refuses_a_number_alone() {
    let [s, challenge] = runs_of_zeros();
    assert!(s > 1 && challenge > 2);
}

/// Rows of comparisons are attacked on the comparison alone, but for the highest runs of zeros: a
/// challenge with chosen high bits would be a chosen hash.
fn comparisons(targets: &[Target], killed: &mut Killed) {
    let [s, challenge] = runs_of_zeros();
    for target in targets {
        let Kind { rule, place, .. } = &target.kind;
        if !place.0.ends_with("compare.rs") {
            continue;
        }
        let rows = match rule.ends_with("s_is_below_the_order") {
            true => s,
            false => challenge,
        };
        assert_eq!(target.slot.len(), rows, "{rule}");
        for weakening in Weakening::ALL {
            let by = "a number beyond the bound, in the comparison alone".to_owned();
            killed.0.entry((target.row, weakening)).or_insert(by);
        }
    }
}

/// A circuit in which a number has one bit more, and what it is.
struct Widened {
    rule: &'static str,
    name: &'static str,
    nth: usize,
    position: Position,
}

fn all_widened() -> Vec<Widened> {
    let mut all = Vec::new();
    for (rule, name, count) in NUMBERS {
        for nth in 0..count {
            let slots = bench().slots(rule);
            let positions = Position::ALL
                .into_iter()
                .filter(|position| slots > 1 || *position == Position::First);
            all.extend(positions.map(|position| Widened {
                rule,
                name,
                nth,
                position,
            }));
        }
    }
    all
}

/// The attack that a widened circuit accepts and the true one refuses.
fn killer(widened: &Widened) -> Option<&'static str> {
    let Widened {
        rule,
        name,
        nth,
        position,
    } = *widened;
    let bench = bench().at(position);
    let first = bench.wires(rule, name)[nth];
    let mutant = compile_with(bench.shape(), |cs| cs.with_widened(Some(first))).unwrap();
    attacks::all()
        .into_iter()
        .filter(|attack| attack.rule == rule)
        .find(|attack| {
            let forged = (attack.make)(&bench).forged;
            let Some((at, witness)) = forged.beyond() else {
                return false;
            };
            if at != first || bench.violated(&witness).is_empty() {
                return false;
            }
            let presented = witness.present(|cs| cs.with_widened(Some(first)));
            mutant.violated_rules(&presented.assignment).is_empty()
        })
        .map(|attack| attack.name)
}

fn argued_width(widened: &Widened) -> Option<&'static str> {
    ARGUED_WIDTHS
        .iter()
        .find(|(rule, name, _)| *rule == widened.rule && *name == widened.name)
        .map(|(_, _, argument)| *argument)
}

/// Every number is in [`NUMBERS`].
#[test]
fn every_number_is_widened() {
    for rule in bench().rules() {
        for (name, _) in bench().compiled().rules.names(&rule) {
            let number = |(known, named, _): &(&str, &str, usize)| *known == rule && *named == name;
            // A challenge has a window instead: see `every_run_of_zeros_refuses_a_number_alone`.
            let others = [
                "kind",
                "choice",
                "active",
                "used",
                "challenge",
                "children",
                "roots",
                "opened",
                "written",
                "slot_token",
                "credit",
                "paid_out",
            ];
            let known = NUMBERS.iter().any(number) || others.contains(&name);
            assert!(known, "{rule} {name}");
        }
    }
}

/// Every argument stands in the document that people read.
#[test]
fn every_argument_is_written_down() {
    let soundness = include_str!("../../docs/soundness.md");
    let arguments = (ARGUED.iter().map(|argued| argued.argument))
        .chain(ARGUED_WIDTHS.iter().map(|(_, _, argument)| *argument));
    for argument in arguments {
        assert!(soundness.contains(&format!("| {argument} |")), "{argument}");
    }
}

/// A sample, made anew with the same seed each time.
#[test]
fn a_sample_of_mutants_is_killed() {
    if everything() {
        return;
    }
    let all = targets(&kinds(bench()));
    let mut rng = rng(24);
    let sample: Vec<Target> = all
        .choose_multiple(&mut rng, 24)
        .filter(|target| argument(target).is_none())
        .cloned()
        .collect();
    let mut killed = Killed::default();
    let attacks: Vec<(Attack, Position)> = sample
        .iter()
        .flat_map(|target| {
            let of_rule = attacks::all().into_iter();
            of_rule
                .filter(|attack| attack.rule == target.kind.rule)
                .map(|attack| (attack, target.position))
        })
        .collect();
    run_attacks(&attacks, &mut killed);
    comparisons(&sample, &mut killed);
    let rest: Vec<&Target> = sample.iter().filter(|t| !killed.is_complete(t)).collect();
    sweep_targets(&rest, &mut killed);
    assert_eq!(survivors(&sample, &killed), "");
    let widened: Vec<Widened> = all_widened()
        .into_iter()
        .filter(|widened| argued_width(widened).is_none())
        .collect();
    for widened in widened.choose_multiple(&mut rng, 2) {
        let Widened {
            rule,
            name,
            nth,
            position,
        } = widened;
        assert!(
            killer(widened).is_some(),
            "{rule} {name} {nth} in the {position:?} slot"
        );
    }
}

/// The weakened rows that nothing notices, a line each.
fn survivors(targets: &[Target], killed: &Killed) -> String {
    let mut text = String::new();
    for target in targets.iter().filter(|target| argument(target).is_none()) {
        for weakening in weakenings(target.row) {
            if !killed.has(target.row, weakening) {
                let Target {
                    kind,
                    position,
                    row,
                    ..
                } = target;
                let kind = kind.text();
                writeln!(text, "{kind}, {position:?} slot, row {row}: {weakening:?}").unwrap();
            }
        }
    }
    text
}

/// All mutants; `make mutants` runs it.
#[test]
fn every_mutant_is_killed() {
    if !everything() {
        return;
    }
    let kinds = kinds(bench());
    let targets = targets(&kinds);
    let mut killed = Killed::default();
    let everywhere: Vec<(Attack, Position)> = Position::ALL
        .into_iter()
        .flat_map(|position| {
            attacks::all()
                .into_iter()
                .map(move |attack| (attack, position))
        })
        .collect();
    let refused = run_attacks(&everywhere, &mut killed);
    fee_slot_pairs(&mut killed);
    comparisons(&targets, &mut killed);
    let rest: Vec<&Target> = targets
        .iter()
        .filter(|target| !killed.is_complete(target) && argument(target).is_none())
        .collect();
    sweep_targets(&rest, &mut killed);
    let whole = whole_kinds(&kinds, &refused, &killed);
    let widths: Vec<(Widened, Option<&str>)> = all_widened()
        .into_iter()
        .map(|widened| {
            let by = match argued_width(&widened) {
                Some(_) => None,
                None => killer(&widened),
            };
            (widened, by)
        })
        .collect();
    print!("{}", report(&kinds, &targets, &killed, &widths));
    let mut survivors = survivors(&targets, &killed) + &whole;
    for (widened, by) in &widths {
        if by.is_none() && argued_width(widened).is_none() {
            let Widened {
                rule,
                name,
                nth,
                position,
            } = widened;
            writeln!(
                survivors,
                "{rule} {name} {nth}, {position:?} slot: one bit more"
            )
            .unwrap();
        }
    }
    assert!(survivors.is_empty(), "survivors:\n{survivors}");
}

/// Kinds of which all rows of a slot can go at once: `l1_op`'s kinds, of which one row alone has an
/// argument.
fn whole_kinds(kinds: &kinds::Kinds, refused: &[(String, Vec<usize>)], killed: &Killed) -> String {
    let mut text = String::new();
    let booleans: Vec<&Vec<Vec<usize>>> = kinds
        .iter()
        .filter(|(kind, _)| kind.bit.is_some_and(|(name, _)| name == "kind"))
        .map(|(_, slots)| slots)
        .collect();
    for slot in 0..usize::from(wide().l1_ops) {
        let rows: Vec<usize> = booleans
            .iter()
            .flat_map(|slots| slots[slot].clone())
            .collect();
        let by = refused.iter().find(|(_, violated)| {
            violated.len() > 1 && violated.iter().all(|at| rows.contains(at))
        });
        let one = rows.iter().any(|row| killed.has(*row, Weakening::Removed));
        if by.is_none() || !one {
            writeln!(
                text,
                "l1_op, slot {slot}: the booleans of all kinds removed"
            )
            .unwrap();
        }
    }
    text
}

fn report(
    kinds: &kinds::Kinds,
    targets: &[Target],
    killed: &Killed,
    widths: &[(Widened, Option<&str>)],
) -> String {
    let mut text = String::new();
    let rules = bench().rules();
    let mut mutants = 0;
    let mut argued = 0;
    for rule in &rules {
        let of_rule: Vec<&Target> = targets.iter().filter(|t| t.kind.rule == *rule).collect();
        let rows: usize = kinds
            .iter()
            .filter(|(kind, _)| kind.rule == *rule)
            .map(|(_, slots)| slots.iter().map(Vec::len).sum::<usize>())
            .sum();
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        for target in &of_rule {
            for weakening in weakenings(target.row) {
                let name = match (argument(target), killed.0.get(&(target.row, weakening))) {
                    (_, Some(name)) => name.clone(),
                    (Some(name), None) => {
                        argued += 1;
                        format!("argued ({name})")
                    }
                    (None, None) => "NOTHING".to_owned(),
                };
                *by.entry(name).or_default() += 1;
                mutants += 1;
            }
        }
        for (widened, killer) in widths.iter().filter(|(widened, _)| widened.rule == *rule) {
            let name = match (killer, argued_width(widened)) {
                (Some(name), _) => format!("{name} (one bit more)"),
                (None, Some(name)) => {
                    argued += 1;
                    format!("argued ({name})")
                }
                (None, None) => "NOTHING".to_owned(),
            };
            *by.entry(name).or_default() += 1;
            mutants += 1;
        }
        let made: usize = by.values().sum();
        writeln!(text, "{rule}: {rows} rows, {made} mutants").unwrap();
        for (name, count) in by {
            writeln!(text, "    {count:4} {name}").unwrap();
        }
    }
    writeln!(
        text,
        "{} kinds of rows under {} rules; {mutants} mutants, {} killed, {argued} argued",
        kinds.len(),
        rules.len(),
        mutants - argued,
    )
    .unwrap();
    text
}
