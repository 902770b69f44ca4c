//! Days that are not good: L1 reorganizes, proving falls behind, the batcher's database is lost.
//! Nothing that was acknowledged is lost, nothing runs twice, and the rollup goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use batcher::{OperationId, Verdict};
use batcher::{SealError, StageError};
use l1::{BatchFault, Deposit, Genesis, L1Error, NativeL1, Refusal};
use prover::key::AllowDevKeys;
use prover::prove::prove;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rollup::clock::{Clock, ClockError, JUMP};
use rollup::follow::WAIT;
use rollup::{Depth, FollowError, Reopening, Rollup, RollupError, SealLimit, restore};
use tests::world::{
    GENESIS, Keys, L1_FEE, OPENING, OPERATOR, SLACK, START, create, deposit, finish, genesis,
    key_of, l1_file, open, owner_of, prove_batch, settings, sign, transfer,
};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(9)
}

fn pay(rollup: &mut Rollup, from: u32, to: u32, amount: u128, now: u64) -> OperationId {
    let nonce = rollup.batcher.next_nonce(from).unwrap();
    let signed = sign(transfer(from, to, amount, nonce, 0), from, rollup);
    rollup.batcher.submit(signed.into(), now).unwrap().unwrap()
}

fn verdict(rollup: &Rollup, id: &OperationId) -> Verdict {
    rollup.batcher.verdict(id).unwrap().unwrap()
}

fn open_unfollowed(folder: &Path) -> Rollup {
    let l1 = l1::NativeL1::open(&l1_file(folder), prover::key::AllowDevKeys::Yes).unwrap();
    let settings = settings(&l1).unwrap();
    Rollup::open(l1, folder, settings, 0).unwrap()
}

fn assert_clean(rollup: &Rollup) {
    let audit = rollup.audit(Depth::Replay).unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

fn seal_all(rollup: &mut Rollup, now: u64) -> u64 {
    rollup
        .seal(SealLimit::Batches(u64::MAX), now, |_| {})
        .unwrap()
        .batches
}

#[test]
fn batches_that_outlived_the_slack_are_sealed_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    let ids: Vec<OperationId> = (2..=6)
        .map(|from| pay(&mut rollup, from, from + 1, 1_000, START))
        .collect();
    // One more, which expires on the next day.
    let mut short = transfer(7, 2, 1_000, 0, 0);
    short.valid_until = START + 3_600;
    let short = sign(short, 7, &rollup).into();
    let short = rollup.batcher.submit(short, START).unwrap().unwrap();
    rollup
        .l1
        .top_up(owner_of(2), 2, 5_000, L1_FEE, START)
        .unwrap();
    let sealed = seal_all(&mut rollup, START);
    assert!(sealed >= 3, "{sealed}");
    let before = rollup.batcher.state().clone();
    for number in 1..=2 {
        prove_batch(&mut rollup, &keys, number, START, &mut rng()).unwrap();
    }

    // Proving is behind: sealing pauses before Δ is reached, and nothing is lost by it.
    let late = START + SLACK * 3 / 4 + 1;
    let waits = pay(&mut rollup, 2, 3, 1, late);
    let paused = rollup.seal(SealLimit::Batches(1), late, |_| {});
    assert!(matches!(
        paused,
        Err(RollupError::Seal(SealError::Paused { .. }))
    ));
    assert_eq!(
        rollup.seal(SealLimit::Due, late, |_| {}).unwrap().batches,
        0
    );
    assert_eq!(verdict(&rollup, &waits), Verdict::Pending);

    // The last moment is not too late; the next one is.
    let last = START + SLACK;
    assert_eq!(rollup.follow(last).unwrap().reopened, None);
    let too_late = last + 1;
    let refused = rollup.submit(OPERATOR, 1, too_late);
    assert!(
        matches!(
            &refused,
            Err(RollupError::L1(L1Error::Refused(Refusal::Batch {
                fault: BatchFault::Timestamp { .. },
                ..
            })))
        ),
        "{:?}",
        refused.map(|batches| batches.len())
    );
    let followed = rollup.follow(too_late).unwrap();
    let (reason, reopened) = followed.reopened.unwrap();
    assert!(matches!(reason, Reopening::Outlived { batch: 1, .. }));
    assert_eq!(reopened.batches, sealed);
    assert_eq!(rollup.batcher.status().sealed, 0);
    for id in ids.iter().chain([&short]) {
        assert_eq!(verdict(&rollup, id), Verdict::Pending);
    }
    drop(rollup);

    // It survives a restart, and the same payments become final; the expired one is rejected.
    let mut rollup = open(folder.path(), 0, too_late).unwrap();
    finish(&mut rollup, &keys, too_late, &mut rng()).unwrap();
    for id in ids.iter().chain([&waits]) {
        assert!(matches!(verdict(&rollup, id), Verdict::Finalized { .. }));
    }
    assert!(matches!(verdict(&rollup, &short), Verdict::Rejected { .. }));
    let (seven, now) = (before.account(7).unwrap(), rollup.batcher.state());
    assert_eq!(now.account(7).unwrap().nonce + 1, seven.nonce);
    assert_clean(&rollup);
}

const MONTH: u64 = 30 * 86_400;

/// A batch was sealed, and proven, by a clock that was a month ahead. It does not stand in the way of
/// those after it, and what seemed to have expired has not.
#[test]
fn batches_from_the_future_are_sealed_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let rollup = create(folder.path(), &keys, 0).unwrap();
    let mut rollup = rollup.with_clock(Clock::Trusted);
    let mut short = transfer(7, 2, 1_000, 0, 0);
    short.valid_until = START + 3_600;
    let short = sign(short, 7, &rollup).into();
    let short = rollup.batcher.submit(short, START).unwrap().unwrap();
    let ids: Vec<OperationId> = (2..=5)
        .map(|from| pay(&mut rollup, from, from + 1, 1_000, START))
        .collect();
    let sealed = seal_all(&mut rollup, START + MONTH);
    assert!(sealed >= 2, "{sealed}");
    assert_eq!(verdict(&rollup, &short), Verdict::Pending);
    prove_batch(&mut rollup, &keys, 1, START + MONTH, &mut rng()).unwrap();
    drop(rollup);

    let mut rollup = open_unfollowed(folder.path());
    let followed = rollup.follow(START).unwrap();
    let (reason, reopened) = followed.reopened.unwrap();
    let expected = Reopening::AheadOfTime {
        batch: 1,
        timestamp: START + MONTH,
        latest: START,
    };
    assert_eq!(reason, expected);
    assert_eq!(reopened.batches, sealed);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    for id in ids.iter().chain([&short]) {
        assert!(matches!(verdict(&rollup, id), Verdict::Finalized { .. }));
    }
    assert_clean(&rollup);
}

/// Only what is from the future is sealed again: the batches before it keep their proofs.
#[test]
fn batches_before_one_from_the_future_stay() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let rollup = create(folder.path(), &keys, 0).unwrap();
    let mut rollup = rollup.with_clock(Clock::Trusted);
    pay(&mut rollup, 2, 3, 1_000, START);
    seal_all(&mut rollup, START);
    prove_batch(&mut rollup, &keys, 1, START, &mut rng()).unwrap();
    pay(&mut rollup, 4, 5, 1_000, START);
    assert_eq!(seal_all(&mut rollup, START + 7_200), 1);
    let (reason, reopened) = rollup.follow(START).unwrap().reopened.unwrap();
    assert_eq!((reason.batch(), reopened.batches), (2, 1));
    assert!(rollup.batcher.unproved().unwrap().is_empty());
}

/// A little ahead, a batch waits: to prove it again would take longer.
#[test]
fn a_batch_that_is_a_little_ahead_waits_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    pay(&mut rollup, 2, 3, 1_000, START);
    let ahead = START + WAIT;
    seal_all(&mut rollup, ahead);
    prove_batch(&mut rollup, &keys, 1, ahead, &mut rng()).unwrap();
    assert_eq!(rollup.follow(START).unwrap().reopened, None);
    let waits = rollup.submit(OPERATOR, 8, START);
    let waits = waits.err().unwrap();
    assert!(
        matches!(waits, RollupError::Early { batch: 1, timestamp, time: START } if timestamp == ahead)
    );
    assert!(waits.to_string().contains("1 min"), "{waits}");
    assert_eq!(rollup.submit(OPERATOR, 8, ahead).unwrap().len(), 1);
    assert_clean(&rollup);
}

/// Nothing is sealed, submitted or thrown away by a clock that jumped, until somebody vouches for it.
#[test]
fn a_clock_that_jumps_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    pay(&mut rollup, 2, 3, 1_000, START);
    seal_all(&mut rollup, START);
    prove_batch(&mut rollup, &keys, 1, START, &mut rng()).unwrap();
    pay(&mut rollup, 4, 5, 1_000, START);
    let head = rollup.l1.head().unwrap();
    for jumped in [START + JUMP + 1, START + MONTH, u64::MAX] {
        let is_jump = |error: RollupError| {
            assert!(matches!(
                error,
                RollupError::Clock(ClockError::Jumped { known: START, .. })
            ));
            assert!(error.to_string().contains("--trust-clock"), "{error}");
        };
        // By this clock the batch is older than L1 accepts; its proof is kept all the same.
        assert_eq!(rollup.follow(jumped).unwrap().reopened, None);
        is_jump(rollup.seal(SealLimit::All, jumped, |_| {}).err().unwrap());
        is_jump(rollup.submit(OPERATOR, 8, jumped).err().unwrap());
        assert_eq!(rollup.l1.head().unwrap(), head);
        assert_eq!(rollup.batcher.status().sealed, 1);
    }
    // As much as is no jump is believed, and so is what the operator vouches for.
    let most = START + JUMP;
    assert!(rollup.follow(most).unwrap().reopened.is_some());
    assert_eq!(seal_all(&mut rollup, most), 2);
    let mut rollup = rollup.with_clock(Clock::Trusted);
    assert!(rollup.follow(START + MONTH).unwrap().reopened.is_some());
    assert_eq!(seal_all(&mut rollup, START + MONTH), 2);
}

/// The clock of a trial is moved on purpose: that is no jump.
#[test]
fn a_clock_that_a_trial_moved_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    rollup.l1.advance_time(MONTH).unwrap();
    pay(&mut rollup, 2, 3, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert_eq!(rollup.batcher.status().finalized, 1);
}

#[test]
fn a_proof_of_a_batch_that_was_reopened_meanwhile_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    pay(&mut rollup, 2, 3, 1_000, START);
    seal_all(&mut rollup, START);
    let task = rollup.to_prove(1).unwrap();
    let proof = prove(&keys.key, &keys.r1cs, &task.assignment, &mut rng()).unwrap();
    let late = START + SLACK + 1;
    assert!(rollup.follow(late).unwrap().reopened.is_some());
    seal_all(&mut rollup, late);
    assert!(matches!(
        rollup.keep_proof(&task, &proof, late),
        Err(RollupError::Stage(StageError::OtherBatch { number: 1 }))
    ));
    assert_eq!(rollup.batcher.unproved().unwrap(), [1]);
    finish(&mut rollup, &keys, late, &mut rng()).unwrap();
    assert_clean(&rollup);
}

#[test]
fn a_reorganized_batch_is_submitted_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    let first = pay(&mut rollup, 2, 3, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    let second = pay(&mut rollup, 3, 4, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert_eq!(verdict(&rollup, &second), Verdict::Finalized { batch: 2 });
    let (root, state) = (
        rollup.l1.head().unwrap().root,
        rollup.batcher.state().clone(),
    );

    rollup.l1.reorg(1).unwrap();
    assert_ne!(rollup.l1.head().unwrap().root, root);
    let followed = rollup.follow(START).unwrap();
    assert_eq!((followed.lost, followed.reopened), (1, None));
    assert_eq!(verdict(&rollup, &first), Verdict::Finalized { batch: 1 });
    assert_eq!(verdict(&rollup, &second), Verdict::Sealed { batch: 2 });
    // The proof is still there: no proving, only submitting.
    assert!(rollup.batcher.unproved().unwrap().is_empty());
    assert_eq!(rollup.submit(OPERATOR, 8, START).unwrap().len(), 1);
    assert_eq!(rollup.l1.head().unwrap().root, root);
    assert_eq!(rollup.batcher.state(), &state);
    assert_clean(&rollup);

    // L1 lost it, and the program died before it noticed.
    rollup.l1.reorg(1).unwrap();
    drop(rollup);
    let mut rollup = open(folder.path(), 0, START).unwrap();
    assert_eq!(rollup.submit(OPERATOR, 8, START).unwrap().len(), 1);
    assert_eq!(verdict(&rollup, &second), Verdict::Finalized { batch: 2 });
    assert_clean(&rollup);
}

#[test]
fn an_unconfirmed_deposit_is_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 2).unwrap();
    let index = rollup
        .l1
        .deposit(&deposit(GENESIS + 1, 0, 500), START)
        .unwrap();
    assert_eq!(seal_all(&mut rollup, START), 0);
    rollup.l1.mine(1, START).unwrap();
    assert_eq!(seal_all(&mut rollup, START), 0);
    rollup.l1.mine(1, START).unwrap();
    assert_eq!(seal_all(&mut rollup, START), 1);
    assert_eq!(rollup.batcher.state().account(index).unwrap().balance, 500);
}

/// L1 loses a deposit and takes it again. Until it is confirmed anew nothing is sealed: what was
/// spent of it would be rejected.
#[test]
fn reopened_batches_wait_for_their_deposits_to_be_confirmed_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 2).unwrap();
    let account = deposit(GENESIS + 1, 0, 500);
    let index = rollup.l1.deposit(&account, START).unwrap();
    rollup.l1.mine(2, START).unwrap();
    assert_eq!(seal_all(&mut rollup, START), 1);
    let spent = sign(transfer(index, 4, 300, 0, 0), GENESIS + 1, &rollup);
    let spent = rollup.batcher.submit(spent.into(), START).unwrap().unwrap();
    assert_eq!(seal_all(&mut rollup, START), 1);
    let number = rollup.batcher.status().sealed;
    let stale = rollup.to_prove(number).unwrap();
    let proof = prover::prove::prove(&keys.key, &keys.r1cs, &stale.assignment, &mut rng());

    rollup.l1.reorg(3).unwrap();
    assert!(rollup.follow(START).unwrap().reopened.is_some());
    let other = deposit(GENESIS + 2, 0, 7);
    assert_eq!(rollup.l1.deposit(&account, START).unwrap(), index);
    rollup.l1.deposit(&other, START).unwrap();
    let error = rollup.seal(SealLimit::Batches(1), START, |_| {});
    let waits = matches!(
        error,
        Err(RollupError::Unconfirmed {
            needed: 1,
            confirmed: 0,
            confirmations: 2
        })
    );
    assert!(waits, "{error:?}");
    assert_eq!(verdict(&rollup, &spent), Verdict::Pending);
    rollup.l1.mine(1, START + 5).unwrap();
    assert!(seal_all(&mut rollup, START + 5) >= 2);
    assert_eq!(verdict(&rollup, &spent), Verdict::Sealed { batch: number });
    // A proof of the batch that was reopened is not kept for the one that has its number.
    let kept = rollup.keep_proof(&stale, &proof.unwrap(), START + 5);
    let refused = matches!(
        kept,
        Err(RollupError::Stage(batcher::StageError::OtherBatch { .. }))
    );
    assert!(refused, "{kept:?}");
    finish(&mut rollup, &keys, START + 5, &mut rng()).unwrap();
    assert_clean(&rollup);
}

#[test]
fn a_reorganized_deposit_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    let safe = pay(&mut rollup, 2, 3, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();

    // A deposit is executed at once, spent, and final; then L1 loses both batch and deposit.
    let index = rollup
        .l1
        .deposit(&deposit(GENESIS + 1, 0, 900_000), START)
        .unwrap();
    seal_all(&mut rollup, START);
    let spent = sign(transfer(index, 4, 300_000, 0, 0), GENESIS + 1, &rollup);
    let spent = rollup.batcher.submit(spent.into(), START).unwrap().unwrap();
    let other = pay(&mut rollup, 5, 6, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert!(matches!(
        verdict(&rollup, &spent),
        Verdict::Finalized { .. }
    ));
    let lost = rollup.batcher.status().finalized - 1;
    let (height, deposited) = (rollup.l1.head().unwrap().height, {
        let entry = rollup.l1.queue(0, 1).unwrap();
        entry[0].height
    });
    rollup.l1.reorg(height - deposited + 1).unwrap();
    let followed = rollup.follow(START).unwrap();
    assert_eq!(followed.lost, lost);
    let (reason, _) = followed.reopened.unwrap();
    assert_eq!(reason, Reopening::QueueChanged { batch: 2 });

    // What others signed runs again; what the lost account signed is rejected, its deposit gone.
    assert!(rollup.batcher.state().account(index).is_none());
    assert_eq!(verdict(&rollup, &spent), Verdict::Pending);
    assert_eq!(verdict(&rollup, &other), Verdict::Pending);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert!(matches!(verdict(&rollup, &spent), Verdict::Rejected { .. }));
    assert!(matches!(
        verdict(&rollup, &other),
        Verdict::Finalized { .. }
    ));
    assert_eq!(verdict(&rollup, &safe), Verdict::Finalized { batch: 1 });
    assert_clean(&rollup);

    // Somebody else's deposit now gets the index.
    let again = rollup
        .l1
        .deposit(&deposit(GENESIS + 5, 0, 7), START)
        .unwrap();
    assert_eq!(again, index);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    let account = rollup.batcher.state().account(index).unwrap();
    assert_eq!(account.key, key_of(GENESIS + 5).public_key());
    assert_clean(&rollup);
}

/// After a reorganization an index may be of another key. What the old key signed for later nonces
/// is rejected and does not keep the new owner's operations out; the same key's operations stay.
#[test]
fn operations_of_a_key_that_lost_its_index_are_rejected() {
    let keys = Keys::make().unwrap();
    for (number, keeps) in [(GENESIS + 5, false), (GENESIS + 1, true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut rollup = create(folder.path(), &keys, 0).unwrap();
        let funded = |number| deposit(number, 0, 900_000);
        let index = rollup.l1.deposit(&funded(GENESIS + 1), START).unwrap();
        seal_all(&mut rollup, START);
        let submit = |rollup: &mut Rollup, number, nonce| {
            let signed = sign(transfer(index, 4, 1_000, nonce, 0), number, rollup);
            rollup.batcher.submit(signed.into(), START).unwrap()
        };
        let spent = submit(&mut rollup, GENESIS + 1, 0).unwrap();
        seal_all(&mut rollup, START);
        // Nonce 1 is missing, so this waits.
        let waiting = submit(&mut rollup, GENESIS + 1, 2).unwrap();
        rollup.l1.reorg(1).unwrap();
        assert_eq!(rollup.l1.deposit(&funded(number), START).unwrap(), index);
        rollup.follow(START).unwrap();
        finish(&mut rollup, &keys, START, &mut rng()).unwrap();

        let account = rollup.batcher.state().account(index).unwrap();
        assert_eq!(account.key, key_of(number).public_key());
        if keeps {
            assert_eq!(verdict(&rollup, &waiting), Verdict::Pending);
            assert!(matches!(
                verdict(&rollup, &spent),
                Verdict::Finalized { .. }
            ));
        } else {
            for id in [&spent, &waiting] {
                let Verdict::Rejected { reason } = verdict(&rollup, id) else {
                    panic!("{:?}", verdict(&rollup, id));
                };
                assert!(reason.contains("signature of sender"), "{reason}");
            }
            for nonce in 0..3 {
                let id = submit(&mut rollup, number, nonce).unwrap();
                finish(&mut rollup, &keys, START, &mut rng()).unwrap();
                assert!(matches!(verdict(&rollup, &id), Verdict::Finalized { .. }));
            }
        }
        assert_clean(&rollup);
    }
}

#[test]
fn a_lost_database_is_restored_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    rollup
        .l1
        .deposit(&deposit(GENESIS + 1, 1, 900), START)
        .unwrap();
    for from in 2..=6 {
        pay(&mut rollup, from, from + 1, 1_000, START);
    }
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    rollup
        .l1
        .request_exit(owner_of(3), 3, L1_FEE, START)
        .unwrap();
    let unsealed = sign(transfer(2, 4, 77, 1, 0), 2, &rollup);
    rollup
        .batcher
        .submit(unsealed.into(), START)
        .unwrap()
        .unwrap();
    let (state, queue) = (
        rollup.batcher.state().clone(),
        rollup.waiting_queue().unwrap(),
    );
    drop(rollup);

    // Without its database the batcher says so; with one from L1 it has everything that was final.
    let file = folder.path().join(batcher::store::FILE_NAME);
    std::fs::remove_file(file).unwrap();
    let missing = open(folder.path(), 0, START).err().unwrap();
    assert!(missing.to_string().contains("restore"), "{missing}");
    let l1 = l1::NativeL1::open(&l1_file(folder.path()), prover::key::AllowDevKeys::Yes).unwrap();
    let restored = restore(&l1, folder.path(), settings(&l1).unwrap(), |_| {}).unwrap();
    assert_eq!(restored.state(), &state);
    drop(restored);
    let again = restore(&l1, folder.path(), settings(&l1).unwrap(), |_| {});
    assert!(again.is_err(), "a database is not replaced");
    drop(l1);

    // The signer sends the payment again; it was never final, and runs once.
    let mut rollup = open(folder.path(), 0, START).unwrap();
    assert_eq!(rollup.waiting_queue().unwrap(), queue);
    let id = rollup
        .batcher
        .submit(unsealed.into(), START)
        .unwrap()
        .unwrap();
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert!(matches!(verdict(&rollup, &id), Verdict::Finalized { .. }));
    assert_eq!(rollup.batcher.state().account(3).unwrap().balance, 0);
    let exited = rollup.l1.claim(owner_of(3), 0, START).unwrap();
    assert!(exited < OPENING + 1_000 && exited > OPENING - 1_000);
    assert_clean(&rollup);
}

/// Two batchers of one deployment with a first payment each; L1 has the second one's batch.
fn another_first_batch(ours: &Path, theirs: &Path, keys: &Keys) -> OperationId {
    let mut first = None;
    for (folder, to) in [(ours, 3), (theirs, 4)] {
        let mut rollup = create(folder, keys, 0).unwrap();
        first.get_or_insert(pay(&mut rollup, 2, to, 1_000, START));
        for from in 5..8 {
            pay(&mut rollup, from, to, 1_000, START);
            finish(&mut rollup, keys, START, &mut rng()).unwrap();
        }
    }
    std::fs::copy(l1_file(theirs), l1_file(ours)).unwrap();
    first.unwrap()
}

/// What another submitter finalized is executed. What was final here and is not on L1 any more is
/// sealed again, or rejected with a reason.
#[test]
fn batches_of_another_submitter_take_the_place_of_ours() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = Keys::make().unwrap();
    let first = another_first_batch(ours.path(), theirs.path(), &keys);
    let mut rollup = open(ours.path(), 0, START).unwrap();
    let Verdict::Rejected { reason } = verdict(&rollup, &first) else {
        panic!("{:?}", verdict(&rollup, &first));
    };
    assert!(reason.contains("nonce 0 of account 2"), "{reason}");
    let of_theirs = open(theirs.path(), 0, START).unwrap();
    assert_eq!(rollup.batcher.state(), of_theirs.batcher.state());
    assert_eq!(rollup.follow(START).unwrap(), Default::default());
    assert_clean(&rollup);
    let next = pay(&mut rollup, 2, 3, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert!(matches!(verdict(&rollup, &next), Verdict::Finalized { .. }));
    assert_clean(&rollup);
}

#[test]
fn a_backup_that_is_older_than_l1_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    let waits = pay(&mut rollup, 2, 3, 1_000, START);
    drop(rollup);
    let file = folder.path().join(batcher::store::FILE_NAME);
    let backup = folder.path().join("backup");
    std::fs::copy(&file, &backup).unwrap();
    rollup = open(folder.path(), 0, START).unwrap();
    for from in 4..7 {
        pay(&mut rollup, from, 3, 1_000, START);
        finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    }
    let (state, status) = (rollup.batcher.state().clone(), rollup.batcher.status());
    drop(rollup);
    std::fs::copy(&backup, &file).unwrap();
    let mut rollup = open(folder.path(), 0, START).unwrap();
    assert_eq!(rollup.batcher.state(), &state);
    assert_eq!(rollup.batcher.status(), status);
    assert!(matches!(
        verdict(&rollup, &waits),
        Verdict::Finalized { batch: 1 }
    ));
    assert_clean(&rollup);
    pay(&mut rollup, 2, 3, 1_000, START);
    finish(&mut rollup, &keys, START, &mut rng()).unwrap();
    assert_clean(&rollup);
}

/// L1 has the same last batch, and others before it that lead to the same accounts: which batch an
/// operation is part of is what L1 says.
#[test]
fn a_history_that_leads_to_the_same_accounts_is_still_another() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = Keys::make().unwrap();
    let mut ids = Vec::new();
    for (folder, order) in [(&ours, [2, 4]), (&theirs, [4, 2])] {
        let mut rollup = create(folder.path(), &keys, 0).unwrap();
        for (from, now) in order.into_iter().zip([START, START + 1]) {
            ids.push(pay(&mut rollup, from, 5, 1_000, now));
            finish(&mut rollup, &keys, START, &mut rng()).unwrap();
        }
        pay(&mut rollup, 6, 7, 1_000, START);
        let later = START + u64::from(folder.path() == theirs.path());
        rollup.seal(SealLimit::All, START, |_| {}).unwrap();
        prove_batch(&mut rollup, &keys, 3, START, &mut rng()).unwrap();
        rollup.submit(OPERATOR, 1, later).unwrap();
    }
    std::fs::copy(l1_file(theirs.path()), l1_file(ours.path())).unwrap();
    let rollup = open(ours.path(), 0, START + 1).unwrap();
    for (id, batch) in ids.iter().zip([2, 1]) {
        assert_eq!(verdict(&rollup, id), Verdict::Finalized { batch });
    }
    assert_clean(&rollup);
}

#[test]
fn a_database_of_another_history_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = Keys::make().unwrap();
    another_first_batch(ours.path(), theirs.path(), &keys);
    let follow = |undo_window: u64| {
        let l1 = l1::NativeL1::open(&l1_file(ours.path()), prover::key::AllowDevKeys::Yes);
        let l1 = l1.unwrap();
        let settings = batcher::Settings {
            undo_window,
            ..settings(&l1).unwrap()
        };
        let mut rollup = Rollup::open(l1, ours.path(), settings, 0).unwrap();
        rollup.follow(START)
    };
    // Batches that are too old to be undone, by a program that kept fewer.
    let file = ours.path().join(batcher::store::FILE_NAME);
    std::fs::remove_file(&file).unwrap();
    let l1 = l1::NativeL1::open(&l1_file(ours.path()), prover::key::AllowDevKeys::Yes).unwrap();
    let short = batcher::Settings {
        undo_window: 1,
        ..settings(&l1).unwrap()
    };
    drop(restore(&l1, ours.path(), short, |_| {}).unwrap());
    drop(l1);
    let other = tempfile::tempdir().unwrap();
    let third = tempfile::tempdir().unwrap();
    another_first_batch(other.path(), third.path(), &keys);
    let mut rollup = open(third.path(), 0, START).unwrap();
    rollup.l1.reorg(3).unwrap();
    rollup.follow(START).unwrap();
    rollup.batcher.reopen(1).unwrap();
    pay(&mut rollup, 4, 6, 1_000, START);
    finish(&mut rollup, &keys, START + 9, &mut rng()).unwrap();
    drop(rollup);
    std::fs::copy(l1_file(third.path()), l1_file(ours.path())).unwrap();
    let diverged = follow(1).unwrap_err();
    assert!(
        matches!(diverged, FollowError::Diverged { number: 1, .. }),
        "{diverged}"
    );
    assert!(diverged.to_string().contains("quire restore"), "{diverged}");

    // Accounts that L1's first batch does not start from.
    let folder = tempfile::tempdir().unwrap();
    let rollup = create(folder.path(), &keys, 0).unwrap();
    let mut accounts = rollup::restore::genesis_accounts(&rollup.l1).unwrap();
    let settings = settings(&rollup.l1).unwrap();
    drop(rollup);
    accounts[2].1.balance += 1;
    std::fs::remove_file(folder.path().join(batcher::store::FILE_NAME)).unwrap();
    drop(batcher::Batcher::create(folder.path(), settings, accounts).unwrap());
    std::fs::copy(l1_file(theirs.path()), l1_file(folder.path())).unwrap();
    let unexplained = open(folder.path(), 0, START).err().unwrap();
    assert!(
        matches!(
            unexplained.downcast_ref(),
            Some(FollowError::Unexplained { number: 1, .. })
        ),
        "{unexplained}"
    );
}

/// Whoever takes fees has its accounts at whatever index: nobody takes the places before.
#[test]
fn the_operator_takes_fees_however_many_accounts_others_open_before() {
    let folder = tempfile::tempdir().unwrap();
    let small = genesis([3; 32]).unwrap();
    let mut parameters = small.deployment().parameters().clone();
    parameters.shapes[0].shape.depth = 8;
    parameters.pending_cap = 1_000;
    let genesis = Genesis::new(parameters, Vec::new()).unwrap();
    let mut l1 = NativeL1::create(&l1_file(folder.path()), &genesis, AllowDevKeys::Yes).unwrap();
    let fee_accounts = |l1: &NativeL1| settings(l1).unwrap().fee_accounts;
    let strangers: Vec<_> = (1..=300).map(|number| deposit(number, 1, 0)).collect();
    l1.deposit_all(&strangers, START).unwrap();
    assert_eq!(fee_accounts(&l1), BTreeMap::new());
    let own = Deposit {
        caller: OPERATOR,
        ..deposit(301, 1, 0)
    };
    assert_eq!(l1.deposit(&own, START).unwrap(), 301);
    l1.deposit(&own, START).unwrap();
    assert_eq!(fee_accounts(&l1), BTreeMap::from([(1, 301)]), "the first");
    l1.audit().unwrap();
    // The operator role goes to somebody who has an account; a reorganization takes that back.
    let heir = owner_of(7);
    l1.offer_operator(OPERATOR, Some(heir), START).unwrap();
    l1.accept_operator(heir, START).unwrap();
    assert_eq!(fee_accounts(&l1), BTreeMap::from([(1, 7)]));
    l1.reorg(4).unwrap();
    assert_eq!(fee_accounts(&l1), BTreeMap::new());
    l1.audit().unwrap();
}
