//! The public suite of malicious witnesses, and that it leaves no rule out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use circuits::attacks::{self, Attack, UNBREAKABLE_ALONE, Workbench};
use rayon::prelude::*;

#[test]
fn every_attack_is_caught_by_its_rule_alone() {
    let bench = Workbench::new().unwrap();
    let failures: Vec<String> = attacks::all()
        .par_iter()
        .filter_map(|attack| {
            let verdict = bench.run(attack);
            (!verdict.caught).then(|| format!("{} ({}): {verdict:?}", attack.name, attack.rule))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_has_an_attack() {
    let bench = Workbench::new().unwrap();
    assert_eq!(bench.rules_without(&attacks::all()), [""; 0]);
    // Nor does the list of exceptions name what does not exist.
    let rules = bench.rules();
    for (rule, _) in UNBREAKABLE_ALONE {
        assert!(rules.iter().any(|known| known == rule), "{rule}");
    }
}

#[test]
fn names_are_distinct_and_stand_in_their_rows() {
    let all = attacks::all();
    let names: BTreeSet<&str> = all.iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), all.len());
    let soundness = include_str!("../../docs/soundness.md");
    let stands_in = |row: &str, attack: &Attack| {
        let head = format!("| {row} |");
        let line = soundness.lines().find(|line| line.starts_with(&head));
        let twin = attack.name.replace("withdrawal-", "transfer-");
        line.is_some_and(|line| line.contains(&format!("`{twin}`")) || line.contains(attack.name))
    };
    let missing: Vec<(&str, &str)> = (all.iter())
        .flat_map(|attack| attack.rows.iter().map(move |row| (attack, *row)))
        .filter(|(attack, row)| !stands_in(row, attack))
        .map(|(attack, row)| (attack.name, row))
        .collect();
    assert_eq!(missing, []);
}
