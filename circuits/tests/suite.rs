//! The public suite of malicious witnesses, and that it leaves no rule out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use attacks::{Attack, Position, UNBREAKABLE_ALONE, Workbench, samples::wide};
use rayon::prelude::*;

/// Runs attacks, each on its workbench.
fn assert_caught(attacks: &[(Attack, Workbench)]) {
    let failures: Vec<String> = attacks
        .par_iter()
        .filter_map(|(attack, bench)| {
            let verdict = bench.run(attack);
            let position = bench.position();
            (!verdict.caught).then(|| {
                let Attack { name, rule, .. } = attack;
                format!("{name} ({rule}) in the {position:?} slot: {verdict:?}")
            })
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_attack_is_caught_by_its_rule_alone() {
    let bench = Workbench::new().unwrap();
    let all = attacks::all().into_iter();
    assert_caught(
        &all.map(|attack| (attack, bench.clone()))
            .collect::<Vec<_>>(),
    );
}

/// Each attack behind the first slots, which those on `tiny` are in: on a fee slot in the middle and in the
/// last one, else in one of the two; `make mutants` has each in all places.
#[test]
fn every_attack_is_caught_in_other_slots_of_a_shape_like_those_of_production() {
    let bench = Workbench::of(&wide()).unwrap();
    let mut all = Vec::new();
    for (number, attack) in attacks::all().into_iter().enumerate() {
        let is_on_fees = attack.rule.contains("fee");
        for (place, position) in [Position::Middle, Position::Last].into_iter().enumerate() {
            // Neighbours in the list are of one kind, as are every second ones.
            if is_on_fees || (number + number / 2) % 2 == place {
                all.push((attack, bench.at(position)));
            }
        }
    }
    assert_caught(&all);
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
    for document in [
        include_str!("../../README.md"),
        include_str!("../../docs/attacks.md"),
    ] {
        assert!(document.contains(&format!("{} malicious witnesses", all.len())));
    }
}
