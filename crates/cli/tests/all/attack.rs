//! `quire attack`: the suite, by name and by rule.

use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::{PROGRAM, text};

fn attack(args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("attack").args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = attack(args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_attack_is_listed_with_its_rule_and_its_story() {
    let all = json(&["list", "--json"]);
    let all = all.as_array().unwrap();
    assert!(all.len() > 80, "{}", all.len());
    let table = text(&attack(&["list"]).stdout);
    for attack in all {
        for key in ["name", "rule", "story"] {
            assert!(table.contains(attack[key].as_str().unwrap()), "{attack}");
        }
    }
}

#[test]
fn attacks_run_by_name_and_by_rule() {
    let report = json(&["run", "stolen-deposit", "node-as-leaf", "--json"]);
    assert_eq!(
        (&report["caught"], &report["not_caught"]),
        (&2.into(), &0.into())
    );
    assert_eq!(
        report["attacks"][0]["violated"][0],
        "l1_op/create_writes_published_leaf"
    );
    let table = attack(&["run", "--rule", "exit_pays_the_whole_balance"]);
    assert!(table.status.success());
    let table = text(&table.stdout);
    assert!(table.contains("exit-with-everything"), "{table}");
    assert!(table.contains("\n2 of 2 attacks caught"), "{table}");
}

#[test]
fn unknown_names_and_rules_are_explained() {
    let output = attack(&["run", "stolen-bicycle"]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(
        message.contains("stolen-bicycle") && message.contains("stolen-deposit"),
        "{message}"
    );
    let output = attack(&["run", "--rule", "no_such_rule"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("quire attack list"));
}
