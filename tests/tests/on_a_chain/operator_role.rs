//! Take-over, return and hand-over of the operator role, as they reach the mirror.

use l1::Address;
use l1::evm::abi;
use l1::evm::calldata::{Entry, encode_batch};
use rollup::rollup::submission;

use super::*;

/// The second account of every development chain.
const OTHER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

fn other() -> Address {
    OTHER.parse().unwrap()
}

fn operator(life: &Life) -> Address {
    life.rollup.link.caller(Bytes([0; 20])).unwrap()
}

/// A call of somebody else, in a block; true if it happened.
fn by_other(life: &Life, data: &[u8]) -> bool {
    let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    let call = json!({
        "from": OTHER,
        "to": life.found.parameters.contract.unwrap(),
        "data": format!("0x{digits}"),
        "gas": "0x200000",
    });
    let hash = life.control("eth_sendTransaction", json!([call]));
    life.control("evm_mine", json!([]));
    let receipt = life.control("eth_getTransactionReceipt", json!([hash]));
    receipt["status"] == "0x1"
}

/// The next proven batch as anybody would send it.
fn next_batch(life: &Life) -> Vec<u8> {
    let proved = life.rollup.next_proved(1).unwrap().remove(0);
    let batch = submission(proved.batch(), proved.proof()).unwrap();
    let entries = proved.batch().words().l1_ops.len();
    let entries = life.rollup.l1.pending(entries).unwrap();
    let entries: Vec<Entry> = entries.iter().map(Entry::from).collect();
    encode_batch(&batch, &shape(), &entries).unwrap()
}

#[test]
fn a_stranger_takes_over_and_the_operator_returns() {
    let mut life = Life::with_accounts();
    let caller = operator(&life);
    life.call(Call::RequestExit { caller, index: 2 }).unwrap();
    life.seal_and_prove();
    assert!(!by_other(&life, &next_batch(&life)), "nothing is overdue");
    let last = life.standing().0;
    life.control("evm_increaseTime", json!([TAKEOVER_AFTER + 10]));
    life.control("evm_mine", json!([]));
    // What was sealed is too old by now, and sealed again.
    life.seal_and_prove();
    assert!(by_other(&life, &next_batch(&life)));
    life.rollup.follow(0).unwrap();
    let batch = life.rollup.l1.batch(last + 1).unwrap().unwrap();
    assert_eq!(batch.submitter, other());
    assert!(life.rollup.l1.head().unwrap().taken_over);

    life.call(Call::ReturnOperator { caller }).unwrap();
    assert_ne!(life.rollup.l1.head().unwrap().operator_back_at, 0);
    life.pay(3, 1, 1_000, 0);
    life.seal_and_prove();
    assert!(!by_other(&life, &next_batch(&life)), "the operator's hour");
    life.finish();
    let head = life.rollup.l1.head().unwrap();
    assert_eq!((head.next_batch, head.taken_over), (last + 3, false));
    let audit = life.rollup.audit(rollup::Depth::Replay).unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

#[test]
fn a_hand_over_reaches_the_mirror_and_whoever_connects_later() {
    let mut life = Life::with_accounts();
    let caller = operator(&life);
    let to = Some(other());
    life.call(Call::OfferOperator { caller, to }).unwrap();
    assert_eq!(life.rollup.l1.offered_operator().unwrap(), to);
    let before = life.control("evm_snapshot", json!([]));
    assert!(by_other(&life, &abi::accept_operator()));
    life.rollup.follow(0).unwrap();
    assert_eq!(life.rollup.l1.operator().unwrap(), other());
    // A reorganization takes the acceptance back, and it comes again.
    life.replace_since(&before);
    life.rollup.follow(0).unwrap();
    assert_eq!(life.rollup.l1.operator().unwrap(), caller);
    assert!(by_other(&life, &abi::accept_operator()));
    life.rollup.follow(0).unwrap();
    let head = life.rollup.l1.head().unwrap();
    assert_eq!((head.operator, head.offered_operator), (other(), None));
    let refused = life.call(Call::CollectFees { caller }).unwrap_err();
    assert!(refused.to_string().contains("NotOperator"), "{refused}");
    let claimed = life.call(Call::Claim { caller, token: 0 }).unwrap();
    assert_eq!(claimed, Outcome::Amount(3 * L1_FEE));

    let folder = tempfile::tempdir().unwrap();
    let access = access(&life.node.url, folder.path(), None).unwrap();
    let contract = life.found.parameters.contract.unwrap();
    let info = keys().key.verifying_key().info().clone();
    let found = access.find(contract, &[(shape(), info)], 0).unwrap();
    assert_eq!(found.parameters.operator.address, caller, "the first one");
    let genesis = genesis_of(&found).unwrap();
    let file = l1_file(folder.path());
    let mut mirror = create_mirror(&file, &genesis, &found.keys, found.before).unwrap();
    let mut chain = Chain::open(access, &file, &mirror).unwrap();
    chain.sync(&mut mirror).unwrap();
    assert_eq!(mirror.operator().unwrap(), other());
    assert_eq!(mirror.head().unwrap(), life.rollup.l1.head().unwrap());
}
