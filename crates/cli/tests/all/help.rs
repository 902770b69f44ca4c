//! What circuits cost, from outside. That every command explains itself is tested in `shell`.

use crate::fixture::{program, text};

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
