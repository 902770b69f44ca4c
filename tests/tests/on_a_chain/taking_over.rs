//! Somebody else continues a contract's rollup, and its operator comes back.

use batcher::Verdict;
use l1::{Refusal, SubmissionRight};
use rollup::right::Return;

use crate::*;

/// Another who has restored from the chain alone, with an Ethereum key of its own.
fn stranger(life: &Life) -> Life {
    let folder = tempfile::tempdir().unwrap();
    let file = l1_file(folder.path());
    let genesis = genesis_of(&life.found).unwrap();
    let mut mirror = create_mirror(&file, &genesis, &life.found.keys, life.found.before).unwrap();
    let key = EthKey::load(&key_file(folder.path(), 1)).unwrap();
    let place = folder.path().join("ethereum");
    let access = Access::new(&life.node.url, None, Some(key), &place).unwrap();
    let access = access.with_patience(HURRIED);
    let address = access.caller().unwrap();
    let chain = Chain::open(access, &file, &mirror).unwrap();
    let mut link = Link::to(Box::new(chain));
    link.sync(&mut mirror).unwrap();
    let known = settings(&mirror).unwrap();
    let batcher = rollup::restore(&mirror, folder.path(), known, |_| {}).unwrap();
    let mut rollup = Rollup::new(mirror, batcher, 0)
        .with_link(link)
        .with_clock(Clock::Trusted);
    rollup.work_for(address);
    rollup.follow(0).unwrap();
    Life {
        node: Anvil::start(&[]),
        found: life.found.clone(),
        rollup,
        folder,
        rng: ChaCha20Rng::seed_from_u64(20),
    }
}

fn refusal(error: RollupError) -> Refusal {
    match error {
        RollupError::L1(l1::L1Error::Refused(refusal)) => refusal,
        other => panic!("{other}"),
    }
}

#[test]
fn a_stranger_takes_a_contract_over_and_the_operator_comes_back() {
    let mut life = Life::with_accounts();
    let payment = sign(transfer(2, 3, 1_000, 0, 0), 2, &life.rollup);
    let payment = life.rollup.batcher.submit(payment.into(), 0).unwrap();
    let payment = payment.unwrap();
    life.seal_and_prove();
    life.deposit(4, 7).unwrap();

    let mut stranger = stranger(&life);
    stranger.seal_and_prove();
    let early = refusal(stranger.submit().unwrap_err());
    assert!(matches!(early, Refusal::NotOpen { .. }), "{early}");

    let wait = json!([TAKEOVER_AFTER + 60]);
    life.control("evm_increaseTime", wait);
    life.control("evm_mine", json!([]));
    let followed = stranger.rollup.follow(0).unwrap();
    assert!(
        followed.reopened.is_some(),
        "what was sealed too early is open again"
    );
    stranger.seal_and_prove();
    assert_eq!(stranger.submit().unwrap(), 1);
    let number = stranger.rollup.batcher.status().finalized;
    let batch = stranger.rollup.l1.batch(number).unwrap().unwrap();
    let address = stranger.rollup.link.caller(Bytes([0; 20])).unwrap();
    assert_eq!(batch.submitter, address);

    // The operator executes it, returns, and seals its payment on top.
    let operator = life.rollup.link.caller(Bytes([0; 20])).unwrap();
    let followed = life.rollup.follow(0).unwrap();
    assert_eq!(followed.applied.batches, 1);
    let verdict = life.rollup.batcher.verdict(&payment).unwrap().unwrap();
    assert_eq!(verdict, Verdict::Pending);
    let early = life.rollup.return_operator(operator, 0).unwrap();
    assert_eq!(early, Return::NoBatch, "its hour would be lost");
    life.seal_and_prove();
    let returned = life.rollup.return_operator(operator, 0).unwrap();
    assert!(matches!(returned, Return::Called { .. }), "{returned:?}");
    life.rollup.link.acknowledge().unwrap();
    life.finish();
    let verdict = life.rollup.batcher.verdict(&payment).unwrap().unwrap();
    assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    let right = life.rollup.submission_right(0).unwrap();
    assert_eq!(right, SubmissionRight::Operator { opens_at: None });
    stranger.rollup.follow(0).unwrap();
    assert_eq!(stranger.rollup.batcher.state(), life.rollup.batcher.state());
}
