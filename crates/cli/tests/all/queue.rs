//! The price of a long L1 queue: the defaults of a deployment, and `quire bench queue`.

use crate::fixture::Quire;

/// A queue that nobody pays for, or that one prover cannot empty, would let anybody stop a rollup.
#[test]
fn a_deployment_has_a_fee_and_a_shape_for_the_queue_unless_told_otherwise() {
    let quire = Quire::new();
    let facts = quire.json(&["init"]);
    assert_eq!(facts["shapes"], serde_json::json!(["t18", "q18"]));
    assert_eq!(facts["l1_fee"], "100000000000000");
    let free = Quire::new();
    let facts = free.json(&["init", "--shape", "tiny", "--l1-fee", "0"]);
    assert_eq!(facts["shapes"], serde_json::json!(["tiny"]));
    assert_eq!(facts["l1_fee"], "0");
}

#[test]
fn bench_queue_says_what_a_day_of_entries_costs() {
    let quire = Quire::new();
    let arguments = ["bench", "queue", "--shape", "tiny", "--proofs", "1"];
    let price = |more: &[&str]| {
        let facts = quire.json(&[&arguments[..], more].concat());
        assert_eq!(facts["l1_slots"], 2);
        let entries = facts["entries"].as_array().unwrap().clone();
        let names: Vec<_> = entries
            .iter()
            .map(|entry| entry["entry"].as_str().unwrap())
            .collect();
        let known = [
            "deposit",
            "top_up",
            "exit_request",
            "top_up_many",
            "exit_request_many",
        ];
        assert_eq!(names, known);
        let eth = |entry: &serde_json::Value| entry["eth"].as_f64().unwrap();
        let least = entries.iter().map(eth).fold(f64::INFINITY, f64::min);
        let day = facts["entries_per_second"].as_f64().unwrap() * 86_400.0 * least;
        let said = facts["eth_per_day"].as_f64().unwrap();
        assert!(
            (said - day).abs() <= 1.0 + day / 50.0,
            "{said} is not {day}"
        );
        let gas = entries.iter().map(|entry| entry["gas"].as_u64().unwrap());
        (gas.collect::<Vec<_>>(), least)
    };
    let (gas, paid) = price(&[]);
    // One transaction with many entries pays its 21,000 gas once; an entry still takes a new slot of 22,100.
    assert!(gas[3] < gas[1] && gas[4] < gas[2], "{gas:?}");
    assert!(gas.iter().all(|gas| *gas > 22_100), "{gas:?}");
    let (_, free) = price(&["--l1-fee", "0"]);
    // An entry that carries a fee also moves ETH, which costs a little gas of its own.
    let more = paid - free - 1e-4;
    assert!((0.0..1e-5).contains(&more), "{paid} and {free}");
    let (_, dear) = price(&["--l1-fee", "0", "--gas-price", "10gwei"]);
    assert!((dear - 10.0 * free).abs() < 1e-6, "{dear} and {free}");
    let error = quire.fails_with(2, &["bench", "queue", "--shape", "t16"]);
    assert!(error.contains("takes no entries"), "{error}");
}
