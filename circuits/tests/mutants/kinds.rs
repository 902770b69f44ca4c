//! The kinds of rows of a circuit: one place in the source under one rule, and of the booleans of
//! numbers and flags one name each.

use std::collections::BTreeMap;

use attacks::{Position, Workbench};
use r1cs::R1cs;

/// What rows have in common that are the same thing in another slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Path of the rule.
    pub rule: String,
    /// File and line that record the row.
    pub place: (String, u32),
    /// Of a boolean with a name: the name, and which of those with this name in a slot.
    pub bit: Option<(&'static str, usize)>,
}

impl Kind {
    /// The kind as people read it.
    pub fn text(&self) -> String {
        let (file, line) = &self.place;
        let file = file.rsplit('/').next().unwrap_or(file);
        match self.bit {
            Some((name, nth)) => format!("{} {name} {nth} ({file}:{line})", self.rule),
            None => format!("{} ({file}:{line})", self.rule),
        }
    }
}

/// Rows of a kind, slot after slot.
pub type Kinds = BTreeMap<Kind, Vec<Vec<usize>>>;

/// All rows of a circuit by their kinds.
pub fn kinds(bench: &Workbench) -> Kinds {
    let compiled = bench.compiled();
    let r1cs = &compiled.r1cs;
    let mut names: BTreeMap<String, Vec<(&'static str, usize)>> = BTreeMap::new();
    let mut all: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
    for row in 0..r1cs.num_constraints() {
        let rule = compiled.rules.rule_of(row).to_owned();
        let place = compiled.rules.place_of(row).expect("recorded with places");
        let named = names
            .entry(rule.clone())
            .or_insert_with(|| compiled.rules.names(&rule));
        let slots = bench.slots(&rule);
        let bit = boolean(r1cs, row).and_then(|variable| {
            let last = named.partition_point(|(_, first)| *first <= variable);
            let (name, _) = named.get(last.checked_sub(1)?)?;
            let same = |(other, _): &&(&str, usize)| other == name;
            let each = named.iter().filter(same).count() / slots;
            let before = named[..last].iter().filter(same).count() - 1;
            Some((*name, before % each))
        });
        let place = (place.file().to_owned(), place.line());
        all.entry(Kind { rule, place, bit }).or_default().push(row);
    }
    let by_slot = |(kind, rows): (Kind, Vec<usize>)| {
        let slots = bench.slots(&kind.rule);
        assert!(rows.len().is_multiple_of(slots), "{kind:?}");
        let each = rows.len() / slots;
        let rows = rows.chunks(each).map(<[usize]>::to_vec).collect();
        (kind, rows)
    };
    all.into_iter().map(by_slot).collect()
}

/// The witness variable `b` of a row `b·(1 − b) = 0`.
fn boolean(r1cs: &R1cs, row: usize) -> Option<usize> {
    let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()].map(|matrix| matrix.row(row));
    let ([a], [one, minus], []) = (a, b, c) else {
        return None;
    };
    let complement = one.column == 0 && one.coefficient == 0 && minus.coefficient == 1;
    (complement && a.coefficient == 0 && a.column == minus.column)
        .then(|| a.column as usize - r1cs.num_instance())
}

/// How a row is weakened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weakening {
    /// The row is gone.
    Removed,
    /// The left factor is a number of the prover's choice.
    LeftFreed,
    /// The right factor is.
    RightFreed,
}

impl Weakening {
    pub const ALL: [Self; 3] = [Self::Removed, Self::LeftFreed, Self::RightFreed];

    /// Whether this would change nothing: the factor is a variable that no other row has.
    pub fn changes_nothing(self, r1cs: &R1cs, rows_of: &[u32], row: usize) -> bool {
        let factor = match self {
            Self::Removed => return false,
            Self::LeftFreed => r1cs.a().row(row),
            Self::RightFreed => r1cs.b().row(row),
        };
        matches!(factor, [entry] if rows_of[entry.column as usize] == 1)
    }

    /// Whether the weakened row takes an assignment.
    pub fn takes(self, r1cs: &R1cs, row: usize, assignment: &[ledger::field::Fr]) -> bool {
        let zero = ledger::field::Fr::from(0u64);
        let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()]
            .map(|matrix| r1cs.evaluate_row(matrix.row(row), assignment));
        match self {
            Self::Removed => true,
            Self::LeftFreed => b != zero || c == zero,
            Self::RightFreed => a != zero || c == zero,
        }
    }
}

/// One row of a kind, in the first, a middle or the last slot where it occurs: there the first, a
/// middle or the last of its kind.
#[derive(Clone, Debug)]
pub struct Target {
    pub kind: Kind,
    pub position: Position,
    pub row: usize,
    /// The rows of its kind in its slot.
    pub slot: Vec<usize>,
}

pub fn targets(kinds: &Kinds) -> Vec<Target> {
    let mut all: Vec<Target> = Vec::new();
    for (kind, slots) in kinds {
        for position in Position::ALL {
            let slot = slots[position.of(slots.len())].clone();
            let row = slot[position.of(slot.len())];
            if all.last().is_some_and(|last| last.row == row) {
                continue;
            }
            let kind = kind.clone();
            all.push(Target {
                kind,
                position,
                row,
                slot,
            });
        }
    }
    all
}

/// In how many rows each variable is.
pub fn rows_of(r1cs: &R1cs) -> Vec<u32> {
    let mut counts = vec![0; r1cs.num_variables()];
    for row in 0..r1cs.num_constraints() {
        let columns: std::collections::BTreeSet<u32> = [r1cs.a(), r1cs.b(), r1cs.c()]
            .iter()
            .flat_map(|matrix| matrix.row(row))
            .map(|entry| entry.column)
            .collect();
        for column in columns {
            counts[column as usize] += 1;
        }
    }
    counts
}
