//! Transactions that make contracts.

use l1::Parameters;
use l1::bytes::Bytes;

use super::*;
use crate::access::Found;
use crate::script::{CONTRACT, faithful};

/// What `quire l1 deploy` does, of a rollup without shapes.
fn deploy(folder: &TempDir, node: &Node) -> Result<Found, ChainError> {
    access(folder, node)?.deploy(parameters(), BTreeMap::new())
}

fn parameters() -> Parameters {
    genesis().deployment().parameters().clone()
}

/// A chain that is long enough to have blocks before a deployment.
fn long() -> Life {
    let mut life = Life::begin();
    life.close();
    (0..100).for_each(|_| life.node.shown().mine(&[]));
    life
}

#[test]
fn a_deployment_that_was_cut_is_finished_by_the_same_again() {
    let life = long();
    // The first transaction is cut, then the second.
    for sent in 1..=2 {
        life.node.set(cut_after(1));
        let cut = deploy(&life.folder, &life.node).unwrap_err();
        assert!(matches!(cut, ChainError::Unreachable { .. }), "{cut}");
        assert_eq!(life.node.shown().arrived.len(), sent);
    }
    life.node.set(faithful);
    let found = deploy(&life.folder, &life.node).unwrap();
    let again = deploy(&life.folder, &life.node).unwrap();
    assert_eq!(found.parameters, again.parameters);
    assert_eq!(life.node.shown().arrived.len(), 2, "two contracts");
    let mut access = access(&life.folder, &life.node).unwrap();
    let from = alloy::primitives::Address::from(access.caller().unwrap().0);
    let contract = Bytes(from.create(1).into_array());
    assert_eq!(found.parameters.contract, Some(contract));
    // Acknowledged, the same deployment is another one.
    access.acknowledge_deployment().unwrap();
    drop(access);
    let other = deploy(&life.folder, &life.node).unwrap();
    assert_ne!(other.parameters.contract, found.parameters.contract);
    assert_eq!(life.node.shown().arrived.len(), 4);
}

/// No root of a block covers the address that a receipt names.
#[test]
fn a_contract_that_is_not_at_the_address_which_its_transaction_makes_is_refused() {
    let life = long();
    let caller = access(&life.folder, &life.node).unwrap().caller().unwrap();
    let made = |nonce: u64| alloy::primitives::Address::from(caller.0).create(nonce);
    // First the path hasher, then the rollup's contract.
    for nonce in 0..=1 {
        for told in [json!(CONTRACT), Value::Null] {
            let truth = json!(made(nonce));
            life.node.set(changing_receipts(move |receipt| {
                if receipt["contractAddress"] == truth {
                    receipt["contractAddress"] = told.clone();
                }
            }));
            let refused = deploy(&life.folder, &life.node).unwrap_err();
            assert!(matches!(refused, ChainError::Answer { .. }), "{refused}");
            let words = format!("whose transaction makes {}", made(nonce));
            assert!(refused.to_string().contains(&words), "{refused}");
        }
    }
    life.node.set(faithful);
    let found = deploy(&life.folder, &life.node).unwrap();
    let contract = Bytes(made(1).into_array());
    assert_eq!(found.parameters.contract, Some(contract));
    assert_eq!(life.node.shown().arrived.len(), 2, "nothing was sent twice");
}

#[test]
fn a_deployment_that_a_reorganization_dropped_comes_again_with_the_same_address() {
    let life = long();
    let found = deploy(&life.folder, &life.node).unwrap();
    {
        let mut shown = life.node.shown();
        shown.fork(2);
        (0..3).for_each(|_| shown.mine(&[]));
    }
    let again = deploy(&life.folder, &life.node).unwrap();
    assert_eq!(found.parameters.contract, again.parameters.contract);
    assert_ne!(found.block, again.block);
}

#[test]
fn a_deployment_that_was_acknowledged_forgets_no_deposit() {
    let mut life = Life::with_accounts();
    life.deposit_only(4, 0, 7).unwrap();
    life.close();
    let mut access = access(&life.folder, &life.node).unwrap();
    access.acknowledge_deployment().unwrap();
    drop(access);
    life.reopen().unwrap();
    let (_, earlier) = life.deposit_only(4, 0, 7).unwrap();
    assert!(earlier);
}
