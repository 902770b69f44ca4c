//! What circuits cost, from outside, and that commands which documents show exist. That every command
//! explains itself is tested in `shell`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::fixture::{program, text};

/// The commands of a Markdown text: lines of code, and what stands in back quotes, up to a comment, a
/// redirection or the next command.
fn commands_of(document: &str) -> Vec<Vec<String>> {
    let mut code = false;
    let mut commands = Vec::new();
    for line in document.lines() {
        if line.starts_with("```") {
            code = !code;
            continue;
        }
        let texts: Vec<&str> = match code {
            true => vec![line.split(" #").next().unwrap()],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        for command in texts.iter().flat_map(|text| text.split("&&")) {
            let command = command.split(['|', '<', '>']).next().unwrap();
            let mut words = command.split_whitespace().map(str::to_owned);
            if words.next().as_deref() == Some("quire") {
                commands.push(words.collect());
            }
        }
    }
    commands
}

/// Every subcommand and flag that README and documents show is one of the program. Values may be
/// placeholders.
#[test]
fn commands_in_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documents = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        documents.extend(
            path.extension()
                .is_some_and(|it| it == "md")
                .then_some(path),
        );
    }
    let mut commands = BTreeSet::new();
    for document in documents {
        commands.extend(commands_of(&std::fs::read_to_string(document).unwrap()));
    }
    assert!(commands.len() > 100, "{} commands", commands.len());
    for command in commands {
        // What a document leaves out may be anything.
        let shown = command.iter().take_while(|word| !word.contains('…'));
        let output = program().args(shown).arg("--help").output().unwrap();
        let said = text(&output.stderr);
        for fault in ["unexpected argument", "unrecognized subcommand"] {
            assert!(!said.contains(fault), "quire {}: {said}", command.join(" "));
        }
    }
}

#[test]
fn circuit_stats_have_the_named_keys_and_make_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .args([
            "circuit",
            "stats",
            "--json",
            "--shape",
            "tiny",
            "--data-dir",
        ])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &all[0];
    for key in [
        "shape",
        "depth",
        "transfers",
        "l1_ops",
        "withdrawals",
        "constraints",
        "constraints_per_transfer",
        "constraints_per_transfer_marginal",
        "nonzeros_a",
        "nonzeros_b",
        "nonzeros_c",
        "fingerprint",
    ] {
        assert!(!one[key].is_null(), "{key}");
    }
    let parts = one["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["constraints"].as_u64().unwrap())
        .sum();
    assert_eq!(
        sum,
        one["constraints"].as_u64().unwrap(),
        "the parts add up"
    );
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

/// The marginal cost is what two more transfers really cost.
#[test]
fn the_marginal_cost_is_a_difference() {
    let stats = |transfers: &str| {
        let output = program()
            .args([
                "circuit",
                "stats",
                "--json",
                "--depth",
                "4",
                "--transfers",
                transfers,
            ])
            .output()
            .unwrap();
        let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        all[0].clone()
    };
    let (two, four) = (stats("2"), stats("4"));
    let constraints = |stats: &serde_json::Value| stats["constraints"].as_f64().unwrap();
    let marginal = two["constraints_per_transfer_marginal"].as_f64().unwrap();
    assert_eq!(2.0 * marginal, constraints(&four) - constraints(&two));
}
