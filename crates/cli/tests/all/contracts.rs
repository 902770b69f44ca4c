//! `gas` and `verifier`.

use crate::fixture::{Quire, tiny_keys};

#[test]
fn gas_has_the_cases_and_their_figures() {
    let quire = Quire::new();
    let rows = quire.json(&["gas"]);
    let rows = rows.as_array().unwrap();
    for case in [
        "batch_fixed",
        "data_per_transfer",
        "t20_calldata",
        "aggregated_8x2^20_calldata",
        "t22_calldata",
        "deposit_create_eth",
        "claim_eth",
        "exit_frozen",
        "plain_eth_transfer",
        "plain_erc20_transfer",
    ] {
        let row = rows.iter().find(|row| row["case"] == case).unwrap();
        assert!(row["gas"].as_u64().unwrap() > 5_000, "{row}");
    }
}

#[test]
fn a_verifier_is_written_for_a_key_and_never_over_a_file() {
    let quire = Quire::new();
    let key = tiny_keys().join("tiny.vk");
    let key = key.to_str().unwrap();
    let out = quire.path("Tiny.sol");
    let out = out.to_str().unwrap();
    let args = ["verifier", "solidity", key, "--name", "Tiny", "--out", out];
    let facts = quire.json(&args);
    assert_eq!(facts["public_inputs"], 3);
    let source = std::fs::read_to_string(out).unwrap();
    assert_eq!(facts["source"], source.as_str());
    assert!(source.contains("contract Tiny {") && source.contains("uint256[3] calldata inputs"));
    let message = quire.fails_with(1, &args);
    assert!(message.contains("is not replaced"), "{message}");
    let args = ["verifier", "solidity", key, "--name", "1"];
    quire.fails_with(2, &args);
    quire.fails_with(3, &["verifier", "solidity", key, "--arkworks"]);
}
