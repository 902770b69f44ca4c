//! Batches that are undone and sealed again, sealing that pauses, and times.

use std::ops::Range;

use crate::world::UNDO_WINDOW;
use batcher::SealError;
use batcher::SealedBatch;
use batcher::{
    BatchTimes, Batcher, Due, Fill, History, QueueEntry, ReopenError, Reopened, SignedOperation,
    Status, Verdict,
};
use ledger::field::Fr;
use ledger::operation::L1Op;
use ledger::replay::replay;
use ledger::state::State;
use ledger::words::{L1Entry, TransferData, WithdrawalData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::world::*;

/// What must be the same whether a batch was sealed once, or undone and sealed again.
type Essence = (
    u64,
    u16,
    Vec<L1Entry>,
    Vec<TransferData>,
    Vec<WithdrawalData>,
    Range<u64>,
    Fr,
);

fn essence(batch: &SealedBatch) -> Essence {
    let words = batch.words().clone();
    (
        batch.number(),
        batch.shape().id,
        words.l1_ops,
        words.transfers,
        words.withdrawals,
        batch.queue(),
        batch.new_root(),
    )
}

fn restart(folder: &TempDir, batcher: Batcher) -> Batcher {
    drop(batcher);
    Batcher::open(folder.path(), settings()).unwrap()
}

fn finalize(batcher: &mut Batcher, number: u64, time: u64) {
    let batch = batcher.batch(number).unwrap().batch().clone();
    let proved = batcher.record_proof(batch, vec![7; 9], time).unwrap();
    batcher.record_finalized(proved, time).unwrap();
}

fn create(index: u32) -> L1Op {
    L1Op::Create {
        index,
        token: token(index),
        amount: 5000,
        key: key(index).public_key(),
    }
}

/// A batcher under random load, with everything that it should have kept.
struct Load {
    rng: ChaCha8Rng,
    folder: TempDir,
    batcher: Option<Batcher>,
    queue: Vec<QueueEntry>,
    submitted: Vec<SignedOperation>,
    nonces: Vec<u64>,
    /// State, status and the operations that wait after each batch.
    after: Vec<(State, Status)>,
    batches: Vec<SealedBatch>,
}

impl Load {
    fn new(seed: u64) -> Self {
        let (folder, batcher) = world();
        let after = vec![(batcher.state().clone(), batcher.status())];
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            folder,
            batcher: Some(batcher),
            queue: Vec::new(),
            submitted: Vec::new(),
            nonces: vec![0; 32],
            after,
            batches: Vec::new(),
        }
    }

    fn batcher(&mut self) -> &mut Batcher {
        self.batcher.as_mut().unwrap()
    }

    fn restart(&mut self) {
        let batcher = self.batcher.take().unwrap();
        self.batcher = Some(restart(&self.folder, batcher));
    }

    /// New entries of the L1 queue: accounts, balances, exits.
    fn grow_queue(&mut self) {
        let created = self
            .queue
            .iter()
            .filter(|entry| entry.op.kind() == L1Op::CREATE);
        let next = 11 + u32::try_from(created.count()).unwrap();
        let index = self.rng.gen_range(2..next);
        let op = match self.rng.gen_range(0..4) {
            0 if next < 20 => create(next),
            1 => L1Op::ForcedExit {
                index,
                token: token(index),
            },
            _ => L1Op::TopUp {
                index,
                token: token(index),
                amount: self.rng.gen_range(0..1000),
            },
        };
        let number = u64::try_from(self.queue.len()).unwrap();
        self.queue.push(QueueEntry { number, op });
    }

    /// An operation of an account that exists, now and then with a gap before its nonce.
    fn submit(&mut self) {
        let accounts = self.batcher().state().accounts().map(|(index, _)| index);
        let accounts: Vec<u32> = accounts.collect();
        let from = accounts[self.rng.gen_range(0..accounts.len())];
        let to = accounts[self.rng.gen_range(0..accounts.len())];
        let amount = self.rng.gen_range(0..2000);
        let slot = usize::try_from(from).unwrap();
        let nonce = self.nonces[slot];
        let operation = match self.rng.gen_range(0..4) {
            0 => withdraw(from, amount, nonce),
            _ => transfer(from, to, amount, nonce),
        };
        let verdict = self.batcher().submit(operation, NOW).unwrap();
        if verdict.is_ok() {
            self.nonces[slot] += 1;
            self.submitted.push(operation);
        }
    }

    fn seal(&mut self, now: u64) -> bool {
        let queue = self.queue.clone();
        let Some(batch) = self.batcher().seal(&queue, now).unwrap() else {
            return false;
        };
        self.batches.push(batch);
        let batcher = self.batcher();
        let after = (batcher.state().clone(), batcher.status());
        self.after.push(after);
        true
    }

    fn step(&mut self) {
        match self.rng.gen_range(0..10) {
            0..6 => self.submit(),
            6 => self.grow_queue(),
            7 if self.rng.gen_bool(0.2) => self.restart(),
            _ => {
                self.seal(NOW);
            }
        }
    }

    /// Undoes the batches from a random one on, and seals them again.
    fn reopen_and_seal(&mut self, now: u64) {
        let (sealed, finalized) = (
            self.batcher().status().sealed,
            self.batcher().status().finalized,
        );
        if sealed == finalized {
            return;
        }
        let from = self.rng.gen_range(finalized + 1..=sealed);
        let at = usize::try_from(from - 1).unwrap();
        let waiting = self.batcher().mempool().len();
        let verdicts = self.verdicts();
        let undone = self.batches.split_off(at);
        let operations: usize = undone
            .iter()
            .map(|batch| batch.counts()[1] + batch.counts()[2])
            .sum();
        let reopened = self.batcher().reopen(from).unwrap();
        assert_eq!(reopened.batches, sealed - from + 1);
        assert_eq!(reopened.returned, operations);
        self.after.truncate(at + 1);
        let (state, status) = self.after[at].clone();
        for _ in 0..2 {
            let batcher = self.batcher();
            assert!(
                batcher.state() == &state,
                "the accounts before batch {from}"
            );
            let expected = Status {
                waiting: waiting + operations,
                finalized,
                ..status
            };
            assert_eq!(batcher.status(), expected);
            assert_eq!(batcher.seal_due(&[], now).unwrap(), Some(Due::Reopened));
            assert!(batcher.check_tree().is_ok());
            self.restart();
        }
        for batch in &undone {
            assert!(self.seal(now));
            assert_eq!(essence(self.batches.last().unwrap()), essence(batch));
            assert_eq!(self.batches.last().unwrap().words().header.timestamp, now);
            if self.rng.gen_bool(0.3) {
                self.restart();
            }
        }
        assert_eq!(self.verdicts(), verdicts);
        assert_eq!(self.batcher().mempool().len(), waiting);
    }

    fn verdicts(&mut self) -> Vec<Option<Verdict>> {
        let submitted = self.submitted.clone();
        let batcher = self.batcher();
        let verdict = |operation| batcher.verdict(&id(operation)).unwrap();
        submitted.iter().map(verdict).collect()
    }
}

#[test]
fn a_reopened_batch_never_was_and_is_sealed_again_the_same() {
    for seed in 0..12 {
        let mut load = Load::new(seed);
        let mut now = NOW;
        for _ in 0..4 {
            for _ in 0..40 {
                load.step();
            }
            now += 100;
            load.reopen_and_seal(now);
            if load.rng.gen_bool(0.5) && !load.batches.is_empty() {
                let next = load.batcher().status().finalized + 1;
                finalize(load.batcher(), next, now);
            }
        }
        let verdicts = load.verdicts();
        assert!(
            verdicts.iter().all(Option::is_some),
            "seed {seed}: nothing is lost"
        );
        load.restart();
        let batcher = load.batcher();
        let roots = batcher.audit(genesis()).unwrap();
        assert_eq!(roots.len(), load.batches.len() + 1);
        let mut state = State::new(TRANSFERS.depth);
        state.insert_genesis(genesis()).unwrap();
        for batch in &load.batches {
            replay(batch.words(), batch.shape(), &mut state).unwrap();
        }
        assert!(&state == load.batcher().state(), "seed {seed}");
    }
}

#[test]
fn what_expired_meanwhile_waits_and_the_rest_is_kept() {
    let (folder, mut batcher) = world();
    let expiring = signed(ledger::operation::Transfer {
        valid_until: NOW + 50,
        ..plain(2, 3, 5, 0)
    });
    let after = transfer(2, 3, 6, 1);
    let other = transfer(4, 5, 7, 0);
    accept(&mut batcher, &[expiring, after, other]);
    assert_eq!(batcher.seal(&[], NOW).unwrap().unwrap().counts(), [0, 3, 0]);
    let reopened = batcher.reopen(1).unwrap();
    let expected = Reopened {
        batches: 1,
        returned: 3,
        l1_ops: 0,
    };
    assert_eq!(reopened, expected);
    assert!(batcher.state().account(2).unwrap().nonce == 0);
    let mut batcher = restart(&folder, batcher);
    let sealed = batcher.seal(&[], NOW + 51).unwrap().unwrap();
    assert_eq!((sealed.number(), sealed.counts()), (1, [0, 1, 0]));
    let verdict = |batcher: &Batcher, operation| batcher.verdict(&id(operation)).unwrap().unwrap();
    assert_eq!(verdict(&batcher, &expiring), Verdict::Pending);
    assert_eq!(verdict(&batcher, &other), Verdict::Sealed { batch: 1 });
    assert_eq!(verdict(&batcher, &after), Verdict::Pending);
    finalize(&mut batcher, 1, NOW + 52);
    let rejected = verdict(&batcher, &expiring);
    assert!(
        matches!(&rejected, Verdict::Rejected { reason } if reason.contains("valid")),
        "{rejected:?}"
    );
    accept(&mut batcher, &[transfer(2, 3, 1, 0)]);
    let sealed = batcher.seal(&[], NOW + 52).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 2, 0]);
    assert_eq!(verdict(&batcher, &after), Verdict::Sealed { batch: 2 });
    assert_eq!(batcher.audit(genesis()).unwrap().len(), 3);
}

#[test]
fn what_rests_on_a_deposit_that_l1_lost_is_rejected() {
    let (folder, mut batcher) = world();
    let entries = queue(&[create(11)]);
    batcher.seal(&entries, NOW).unwrap().unwrap();
    // Account 11 is of token 1, as are 9 and 10.
    let (from_lost, to_lost) = (transfer(11, 9, 5, 0), transfer(9, 11, 5, 0));
    let (kept, waiting) = (transfer(2, 3, 5, 0), transfer(11, 9, 5, 2));
    accept(&mut batcher, &[from_lost, to_lost, kept, waiting]);
    let sealed = batcher.seal(&entries, NOW).unwrap().unwrap();
    assert_eq!(sealed.counts(), [0, 3, 0]);
    batcher.reopen(1).unwrap();
    assert_eq!(batcher.status().queue, 0);
    assert!(batcher.state().account(11).is_none());
    let mut batcher = restart(&folder, batcher);
    assert_eq!(batcher.mempool().len(), 4);
    let sealed = batcher.seal(&[], NOW + 10).unwrap().unwrap();
    assert_eq!((sealed.number(), sealed.counts()), (1, [0, 1, 0]));
    for (operation, word) in [
        (&from_lost, "account 11"),
        (&to_lost, "account 11"),
        (&waiting, "account 11"),
    ] {
        let verdict = batcher.verdict(&id(operation)).unwrap().unwrap();
        let Verdict::Rejected { reason } = &verdict else {
            panic!("{verdict:?}");
        };
        assert!(reason.contains("11"), "{word}: {reason}");
    }
    assert!(batcher.mempool().is_empty());
    let verdict = batcher.verdict(&id(&kept)).unwrap();
    assert_eq!(verdict, Some(Verdict::Sealed { batch: 1 }));
    let batcher = restart(&folder, batcher);
    assert_eq!(batcher.audit(genesis()).unwrap().len(), 2);
}

/// After a reorg L1 has the same entries in another order: a deposit that the batch before had is
/// in the batch of its first transfer, or in a later one.
#[test]
fn operations_wait_for_deposits_that_moved_in_the_queue() {
    let top_up = L1Op::TopUp {
        index: 2,
        token: token(2),
        amount: 1,
    };
    for (after, sealed_in) in [
        ([top_up, create(11), top_up], 2),
        ([top_up, top_up, create(11)], 3),
    ] {
        let (folder, mut batcher) = world();
        let before = queue(&[create(11), top_up, top_up]);
        batcher.seal(&before[..1], NOW).unwrap().unwrap();
        let (from, to) = (transfer(11, 9, 5, 0), transfer(9, 11, 5, 0));
        accept(&mut batcher, &[from, to]);
        let sealed = batcher.seal(&before[..2], NOW).unwrap().unwrap();
        assert_eq!(sealed.counts(), [1, 2, 0]);
        let last = transfer(4, 5, 7, 0);
        accept(&mut batcher, &[last]);
        batcher.seal(&before, NOW).unwrap().unwrap();
        batcher.reopen(1).unwrap();
        let mut batcher = restart(&folder, batcher);
        let after = queue(&after);
        while batcher.seal(&after, NOW + 10).unwrap().is_some() {}
        for (operation, expected) in [(from, sealed_in), (to, sealed_in), (last, 3)] {
            let verdict = batcher.verdict(&id(&operation)).unwrap().unwrap();
            let Verdict::Sealed { batch } = verdict else {
                panic!("{verdict:?}");
            };
            assert!((expected..=4).contains(&batch), "{batch} {expected}");
        }
        assert_eq!(batcher.status().queue, 3);
        let roots = batcher.audit(genesis()).unwrap();
        assert!(roots.len() >= 4);
    }
}

#[test]
fn places_are_not_given_again_to_later_operations() {
    let (folder, mut batcher) = world();
    accept(&mut batcher, &[transfer(2, 3, 5, 0), transfer(4, 3, 5, 0)]);
    batcher.seal(&[], NOW).unwrap().unwrap();
    let mut batcher = restart(&folder, batcher);
    accept(&mut batcher, &[transfer(5, 3, 5, 0)]);
    batcher.reopen(1).unwrap();
    assert_eq!(batcher.mempool().len(), 3);
    let mut batcher = restart(&folder, batcher);
    assert_eq!(batcher.mempool().len(), 3);
    let summary = batcher
        .seal_all(&[], NOW, Fill::WhateverFits, |_| {})
        .unwrap();
    assert_eq!(
        (summary.batches, summary.transfers, summary.waiting),
        (2, 3, 0)
    );
}

#[test]
fn only_what_is_sealed_and_not_finalized_is_reopened() {
    let (_folder, mut batcher) = world();
    let no_batch = |error: Result<Reopened, ReopenError>| match error {
        Err(ReopenError::NoBatch { number, sealed }) => (number, sealed),
        other => panic!("{other:?}"),
    };
    assert_eq!(no_batch(batcher.reopen(1)), (1, 0));
    accept(&mut batcher, &[transfer(2, 3, 5, 0)]);
    batcher.seal(&[], NOW).unwrap().unwrap();
    assert_eq!(no_batch(batcher.reopen(0)), (0, 1));
    assert_eq!(no_batch(batcher.reopen(2)), (2, 1));
    finalize(&mut batcher, 1, NOW);
    assert!(matches!(
        batcher.reopen(1),
        Err(ReopenError::Finalized {
            number: 1,
            finalized: 1
        })
    ));
    assert!(matches!(
        batcher.roll_back_finalized(2),
        Err(ReopenError::NotFinalized {
            number: 2,
            finalized: 1
        })
    ));
}

#[test]
fn finalized_batches_are_rolled_back_and_finalized_again_or_reopened() {
    let (folder, mut batcher) = world();
    for nonce in 0..3 {
        accept(&mut batcher, &[transfer(2, 3, 5, nonce)]);
        batcher.seal(&[], NOW).unwrap().unwrap();
        finalize(&mut batcher, nonce + 1, NOW + 5);
    }
    let state = batcher.state().clone();
    assert_eq!(batcher.roll_back_finalized(1).unwrap(), 2);
    let mut batcher = restart(&folder, batcher);
    assert_eq!(batcher.status().finalized, 1);
    assert!(batcher.unproved().unwrap().is_empty(), "proofs are kept");
    let times = batcher.times(2).unwrap();
    assert_eq!((times.proven, times.finalized), (Some(NOW + 5), None));
    let verdict = batcher.verdict(&id(&transfer(2, 3, 5, 1))).unwrap();
    assert_eq!(verdict, Some(Verdict::Sealed { batch: 2 }));
    let batcher::StoredBatch::Proved(proved) = batcher.batch(2).unwrap() else {
        panic!("batch 2 has its proof");
    };
    batcher.record_finalized(proved, NOW + 9).unwrap();
    assert_eq!(batcher.times(2).unwrap().finalized, Some(NOW + 9));
    let reopened = batcher.reopen(3).unwrap();
    assert_eq!((reopened.batches, reopened.returned), (1, 1));
    batcher.seal(&[], NOW + 10).unwrap().unwrap();
    assert!(batcher.state() == &state);
}

#[test]
fn undoing_reaches_back_sixty_four_finalized_batches() {
    let (folder, mut batcher) = world();
    let last = UNDO_WINDOW + 2;
    let mut states = Vec::new();
    for nonce in 0..last {
        accept(&mut batcher, &[transfer(2, 3, 5, nonce)]);
        batcher.seal(&[], NOW).unwrap().unwrap();
        finalize(&mut batcher, nonce + 1, NOW);
        states.push(batcher.state().clone());
    }
    assert_eq!(batcher.roll_back_finalized(0).unwrap(), last);
    let error = batcher.reopen(2).unwrap_err();
    assert!(
        matches!(
            error,
            ReopenError::NotKept {
                number: 2,
                window: UNDO_WINDOW
            }
        ),
        "{error}"
    );
    drop(batcher);
    let mut batcher = Batcher::open(folder.path(), settings()).unwrap();
    assert_eq!(batcher.reopen(3).unwrap().batches, UNDO_WINDOW);
    assert!(batcher.state() == &states[1]);
}

#[test]
fn sealing_pauses_when_the_oldest_batch_is_older_than_three_quarters_of_the_slack() {
    let (folder, mut batcher) = world();
    let operations: Vec<_> = (0..40).map(|nonce| transfer(2, 3, 1, nonce)).collect();
    accept(&mut batcher, &operations);
    let limit = SLACK / 4 * 3;
    batcher.seal(&[], NOW).unwrap().unwrap();
    batcher.seal(&[], NOW + 10).unwrap().unwrap();
    assert_eq!(batcher.seal_due(&[], NOW + limit).unwrap(), Some(Due::Size));
    batcher.seal(&[], NOW + limit).unwrap().unwrap();
    let mut batcher = restart(&folder, batcher);
    assert_eq!(batcher.seal_due(&[], NOW + limit + 1).unwrap(), None);
    let error = batcher.seal(&[], NOW + limit + 1).unwrap_err();
    let SealError::Paused {
        batch,
        age,
        limit: told,
        slack,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((batch, age, told, slack), (1, limit + 1, limit, SLACK));
    assert!(error.to_string().contains("reopen"), "{error}");
    let all = batcher.seal_all(&[], NOW + limit + 1, Fill::WhateverFits, |_| {});
    assert!(matches!(all, Err(SealError::Paused { .. })));
    assert_eq!(batcher.status().sealed, 3);
    // The second batch is ten seconds younger.
    finalize(&mut batcher, 1, NOW + limit);
    batcher.seal(&[], NOW + limit + 10).unwrap().unwrap();
    let error = batcher.seal(&[], NOW + limit + 11).unwrap_err();
    assert!(
        matches!(error, SealError::Paused { batch: 2, .. }),
        "{error}"
    );
    batcher.reopen(2).unwrap();
    let sealed = batcher.seal(&[], NOW + limit + 11).unwrap().unwrap();
    assert_eq!(
        (sealed.number(), sealed.words().header.timestamp),
        (2, NOW + limit + 11)
    );
    assert_eq!(batcher.roll_back_finalized(0).unwrap(), 1);
    let error = batcher.seal(&[], NOW + limit + 11).unwrap_err();
    assert!(
        matches!(error, SealError::Paused { batch: 1, .. }),
        "{error}"
    );
}

#[test]
fn the_history_of_an_operation_survives_restarts() {
    let (folder, mut batcher) = world();
    let operation = transfer(2, 3, 5, 0);
    let bad = transfer(4, 30, 5, 0);
    let id = id(&operation);
    assert_eq!(batcher.history(&id).unwrap(), None);
    batcher
        .submit_many(&[operation, bad], NOW + 1)
        .unwrap()
        .into_iter()
        .for_each(|verdict| {
            verdict.unwrap();
        });
    let mut expected = History {
        verdict: Verdict::Pending,
        withdrawn_from: None,
        received: Some(NOW + 1),
        sealed: None,
        proven: None,
        finalized: None,
    };
    let same = |batcher: Batcher, expected: &History| {
        assert_eq!(batcher.history(&id).unwrap().as_ref(), Some(expected));
        let batcher = restart(&folder, batcher);
        assert_eq!(batcher.history(&id).unwrap().as_ref(), Some(expected));
        batcher
    };
    let mut batcher = same(batcher, &expected);
    let sealed = batcher.seal(&[], NOW + 2).unwrap().unwrap();
    expected.verdict = Verdict::Sealed { batch: 1 };
    expected.sealed = Some(NOW + 2);
    let rejected = batcher.history(&crate::world::id(&bad)).unwrap().unwrap();
    assert!(matches!(rejected.verdict, Verdict::Rejected { .. }));
    assert_eq!((rejected.received, rejected.sealed), (Some(NOW + 1), None));
    let mut batcher = same(batcher, &expected);
    let proved = batcher.record_proof(sealed, vec![1], NOW + 3).unwrap();
    expected.proven = Some(NOW + 3);
    let mut batcher = same(batcher, &expected);
    batcher.record_finalized(proved, NOW + 4).unwrap();
    expected.verdict = Verdict::Finalized { batch: 1 };
    expected.finalized = Some(NOW + 4);
    let mut batcher = same(batcher, &expected);
    batcher.roll_back_finalized(0).unwrap();
    batcher.reopen(1).unwrap();
    let expected = History {
        verdict: Verdict::Pending,
        withdrawn_from: None,
        received: Some(NOW + 1),
        sealed: None,
        proven: None,
        finalized: None,
    };
    let batcher = same(batcher, &expected);
    assert_eq!(batcher.times(1).unwrap(), BatchTimes::default());
}
