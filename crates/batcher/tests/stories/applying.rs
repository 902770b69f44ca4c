//! Batches that somebody else submitted: executed here, and what they do to what waits.

use batcher::{
    Applied, ApplyError, Batcher, HistoryError, QueueEntry, RestoredBatch, SignedOperation, Verdict,
};
use ledger::account::Account;
use ledger::operation::{L1Op, Signable, Transfer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::world::*;

fn restart(folder: &TempDir, batcher: Batcher) -> Batcher {
    drop(batcher);
    let batcher = Batcher::open(folder.path(), settings()).unwrap();
    assert_eq!(batcher.check_tree(), Ok(()));
    batcher
}

fn verdict(batcher: &Batcher, operation: &SignedOperation) -> Verdict {
    batcher.verdict(&id(operation)).unwrap().unwrap()
}

fn reason(batcher: &Batcher, operation: &SignedOperation) -> String {
    match verdict(batcher, operation) {
        Verdict::Rejected { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// A batch of another submitter who has executed `batches` and was handed these operations.
fn foreign(
    batches: &[RestoredBatch],
    operations: &[SignedOperation],
    queue: &[QueueEntry],
    now: u64,
) -> RestoredBatch {
    let (_folder, mut other) = world();
    other.apply_finalized(batches).unwrap();
    accept(&mut other, operations);
    seal_final(&mut other, queue, now).unwrap()
}

#[test]
fn a_foreign_batch_settles_the_operations_whose_nonces_it_used() {
    let same = [transfer(2, 3, 5, 0), withdraw(4, 7, 0)];
    let lost = [
        transfer(2, 3, 6, 1),
        transfer(5, 6, 8, 0),
        withdraw(7, 1, 0),
    ];
    let free = [transfer(2, 3, 7, 2), transfer(8, 3, 1, 0)];
    let (folder, mut ours) = world();
    for operations in [&same[..], &lost, &free] {
        accept(&mut ours, operations);
    }
    while ours.seal(&[], NOW).unwrap().is_some() {}
    assert!(ours.mempool().is_empty());
    let before = ours.state().clone();

    // Theirs executes the first two, and others with the nonces of the next three: another amount,
    // another receiver, another kind.
    let theirs = [
        transfer(2, 3, 9, 1),
        transfer(5, 8, 8, 0),
        transfer(7, 8, 1, 0),
    ];
    let all: Vec<_> = same.iter().chain(&theirs).copied().collect();
    let (_folder, mut other) = world();
    accept(&mut other, &all);
    let mut on_l1 = Vec::new();
    while let Some(batch) = seal_final(&mut other, &[], NOW + 5) {
        on_l1.push(batch);
    }
    let open = ours.apply_finalized(&on_l1).unwrap_err();
    assert!(matches!(open, ApplyError::Open { number: 1 }), "{open}");
    ours.reopen(1).unwrap();
    let mut ours = restart(&folder, ours);
    let applied = ours.apply_finalized(&on_l1).unwrap();
    let batches = u64::try_from(on_l1.len()).unwrap();
    let expected = Applied {
        batches,
        executed: 2,
        rejected: 3,
    };
    assert_eq!(applied, expected);
    let mut ours = restart(&folder, ours);
    assert!(ours.state() == other.state());
    assert_eq!(ours.status().finalized, batches);
    for operation in &same {
        let verdict = verdict(&ours, operation);
        assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    }
    for (operation, account) in lost.iter().zip(["account 2", "account 5", "account 7"]) {
        let reason = reason(&ours, operation);
        assert!(
            reason.contains(account) && reason.contains("another submitter"),
            "{reason}"
        );
    }
    for operation in &free {
        assert_eq!(verdict(&ours, operation), Verdict::Pending);
    }
    // The rest is sealed on top, in its old order.
    while seal_final(&mut ours, &[], NOW + 10).is_some() {}
    for operation in &free {
        let verdict = verdict(&ours, operation);
        assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    }
    assert_eq!(
        ours.audit(genesis()).unwrap().len(),
        ours.mempool().len() + 1 + at(&ours)
    );

    // L1 loses all of it: everything that was acknowledged waits again, and is what it was.
    ours.roll_back_finalized(0).unwrap();
    ours.reopen(1).unwrap();
    let mut ours = restart(&folder, ours);
    for operation in same.iter().chain(&lost).chain(&free) {
        assert_eq!(verdict(&ours, operation), Verdict::Pending);
    }
    while seal_final(&mut ours, &[], NOW + 20).is_some() {}
    assert!(ours.state() == &before);
}

fn at(batcher: &Batcher) -> usize {
    usize::try_from(batcher.status().sealed).unwrap()
}

#[test]
fn an_operation_that_had_expired_was_not_the_one_that_executed() {
    let until = |valid_until| {
        signed(Transfer {
            valid_until,
            ..plain(2, 3, 5, 0)
        })
    };
    let batch = foreign(&[], &[transfer(2, 3, 5, 0)], &[], NOW + 100);
    for (valid_until, executed) in [(NOW + 100, true), (NOW + 99, false)] {
        let (_folder, mut ours) = world();
        accept(&mut ours, &[until(valid_until)]);
        let applied = ours.apply_finalized(std::slice::from_ref(&batch)).unwrap();
        assert_eq!(applied.executed, usize::from(executed), "{valid_until}");
        assert_eq!(applied.rejected, usize::from(!executed));
    }
}

fn create(key_of: u32, token: u32) -> L1Op {
    L1Op::Create {
        index: 11,
        token,
        amount: 500,
        key: key(key_of).public_key(),
    }
}

/// After a reorganization an index may be of another key, or of the same key in another token. What
/// was signed for the old account is not what a foreign batch executed, whatever its amounts.
#[test]
fn operations_of_an_account_that_lost_its_index_were_not_executed() {
    for (key_of, token_of) in [(12, 1), (11, 0)] {
        let (_folder, mut ours) = world();
        ours.seal(&queue(&[create(11, 1)]), NOW).unwrap().unwrap();
        let theirs = transfer(11, 9, 5, 0);
        let later = transfer(11, 9, 5, 1);
        accept(&mut ours, &[theirs, later]);
        ours.seal(&[], NOW).unwrap().unwrap();
        ours.reopen(1).unwrap();

        let (_folder, mut other) = world();
        let entries = queue(&[create(key_of, token_of)]);
        let first = seal_final(&mut other, &entries, NOW).unwrap();
        let to = if token_of == 1 { 9 } else { 2 };
        let op = Transfer {
            from: 11,
            to,
            token: token_of,
            ..plain(9, 9, 5, 0)
        };
        let op = op.sign(&key(key_of), &settings().domain).into();
        accept(&mut other, &[op]);
        let second = seal_final(&mut other, &entries, NOW).unwrap();
        let applied = ours.apply_finalized(&[first, second]).unwrap();
        assert_eq!(applied.executed, 0);
        assert!(!reason(&ours, &theirs).is_empty());
        // Of the same key, what it signed for a later nonce is left to sealing, which rejects it.
        while ours.seal(&entries, NOW + 1).unwrap().is_some() {}
        assert!(!reason(&ours, &later).is_empty());
        assert!(ours.mempool().is_empty());
    }
}

#[test]
fn a_copy_of_the_database_that_is_older_than_l1_catches_up() {
    let (_folder, mut original) = world();
    let (folder, mut old) = world();
    let mut on_l1 = Vec::new();
    for nonce in 0..70 {
        let operation = transfer(2, 3, 5, nonce);
        accept(&mut original, &[operation]);
        if !(3..=60).contains(&nonce) {
            accept(&mut old, &[operation]);
        }
        on_l1.extend(seal_final(&mut original, &[], NOW + nonce));
    }
    accept(&mut old, &[transfer(4, 3, 1, 0)]);
    let applied = old.apply_finalized(&on_l1).unwrap();
    assert_eq!((applied.batches, applied.executed), (70, 12));
    assert_eq!(applied.rejected, 0);
    let mut old = restart(&folder, old);
    assert!(old.state() == original.state());
    assert_eq!(old.mempool().len(), 1);
    for number in 1..=70 {
        assert!(old.batch(number).unwrap() == original.batch(number).unwrap());
        assert_eq!(
            old.times(number).unwrap().finalized,
            original.times(number).unwrap().finalized
        );
    }
    // As far back as for its own batches.
    old.roll_back_finalized(0).unwrap();
    assert!(old.reopen(70 - UNDO_WINDOW).is_err());
    old.reopen(70 - UNDO_WINDOW + 1).unwrap();
}

#[test]
fn batches_that_do_not_follow_change_nothing() {
    let first = foreign(&[], &[transfer(2, 3, 5, 0)], &[], NOW);
    let second = foreign(
        std::slice::from_ref(&first),
        &[transfer(2, 3, 5, 1)],
        &[],
        NOW,
    );
    let mut wrong = second.clone();
    wrong.words.header.new_root = first.words.header.new_root;
    let mut early = second.clone();
    early.words.header.timestamp = NOW - 1;
    let mut unlisted = second.clone();
    unlisted.shape.id = 9;
    for batches in [
        vec![second.clone()],
        vec![first.clone(), first.clone()],
        vec![first.clone(), wrong],
        vec![first.clone(), early],
        vec![first.clone(), unlisted],
    ] {
        let (folder, mut ours) = world();
        accept(&mut ours, &[transfer(2, 3, 5, 0)]);
        let (state, status) = (ours.state().clone(), ours.status());
        let error = ours.apply_finalized(&batches).unwrap_err();
        let named = matches!(
            error,
            ApplyError::History(HistoryError::Order { .. } | HistoryError::Replay { .. })
        );
        assert!(named, "{error}");
        for _ in 0..2 {
            assert!(ours.state() == &state);
            assert_eq!(ours.status(), status);
            ours = restart(&folder, ours);
        }
        assert_eq!(
            ours.apply_finalized(&[first.clone(), second.clone()])
                .unwrap()
                .batches,
            2
        );
    }
}

/// Two submitters of one rollup, and the list of batches that L1 has.
struct Race {
    rng: ChaCha8Rng,
    folders: [TempDir; 2],
    batchers: [Option<Batcher>; 2],
    acknowledged: [Vec<SignedOperation>; 2],
    on_l1: Vec<RestoredBatch>,
    now: u64,
}

impl Race {
    fn new(seed: u64) -> Self {
        let (ours, first) = world();
        let (theirs, second) = world();
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            folders: [ours, theirs],
            batchers: [Some(first), Some(second)],
            acknowledged: [Vec::new(), Vec::new()],
            on_l1: Vec::new(),
            now: NOW,
        }
    }

    fn batcher(&mut self, who: usize) -> &mut Batcher {
        self.batchers[who].as_mut().unwrap()
    }

    /// An operation for one of them, or for both.
    fn submit(&mut self) {
        let from = self.rng.gen_range(2..=8);
        let to = self.rng.gen_range(2..=8);
        let amount = self.rng.gen_range(0..3);
        let who = self.rng.gen_range(0..2);
        let nonce = self.batcher(who).next_nonce(from).unwrap();
        let operation = match self.rng.gen_range(0..4) {
            0 => withdraw(from, amount, nonce),
            _ => transfer(from, to, amount, nonce),
        };
        let both = self.rng.gen_bool(0.3);
        for who in 0..2 {
            let taken = |batcher: &mut Batcher| batcher.submit(operation, NOW).unwrap().is_ok();
            if (both || self.acknowledged[who].is_empty() || self.rng.gen_bool(0.5))
                && taken(self.batcher(who))
            {
                self.acknowledged[who].push(operation);
            }
        }
    }

    /// One of them is first, and L1 has its next batch.
    fn finalize(&mut self) {
        let who = self.rng.gen_range(0..2);
        self.now += 1;
        let now = self.now;
        self.follow(who);
        if self.rng.gen_bool(0.5) {
            self.batcher(who).seal(&[], now).unwrap();
        }
        let batcher = self.batcher(who);
        let next = batcher.status().finalized + 1;
        if next > batcher.status().sealed && batcher.seal(&[], now).unwrap().is_none() {
            return;
        }
        let batch = batcher.batch(next).unwrap().batch().clone();
        let proved = batcher.record_proof(batch, vec![9; 8], now).unwrap();
        batcher.record_finalized(proved, now).unwrap();
        let batch = on_l1(batcher, next);
        self.on_l1.push(batch);
    }

    fn lose(&mut self) {
        let kept = self.on_l1.len() - self.rng.gen_range(0..=self.on_l1.len().min(3));
        self.on_l1.truncate(kept);
    }

    fn follow(&mut self, who: usize) {
        let batcher = self.batchers[who].as_mut().unwrap();
        follow(batcher, &self.on_l1).unwrap();
        if self.rng.gen_bool(0.3) {
            let batcher = self.batchers[who].take().unwrap();
            self.batchers[who] = Some(restart(&self.folders[who], batcher));
        }
    }

    /// Every acknowledged operation waits, is in the place of a batch that has it, or was rejected.
    fn check(&mut self, who: usize) {
        let batcher = self.batchers[who].as_ref().unwrap();
        let mut accounts: Vec<(u32, Account)> = Vec::new();
        accounts.extend(genesis());
        batcher.audit(accounts).unwrap();
        let mut published: Vec<Vec<(u64, u32, u64)>> = vec![Vec::new(); 16];
        for number in 1..=batcher.status().sealed {
            let stored = batcher.batch(number).unwrap();
            let words = stored.batch().words();
            for data in &words.transfers {
                let from = usize::try_from(data.from).unwrap();
                published[from].push((number, data.to, data.amount.packed()));
            }
            for data in &words.withdrawals {
                let from = usize::try_from(data.index).unwrap();
                published[from].push((number, 0, data.amount.packed()));
            }
        }
        for operation in &self.acknowledged[who] {
            let fields = operation.fields();
            let slots = &published[usize::try_from(fields.from).unwrap()];
            let slot = slots.get(usize::try_from(fields.nonce).unwrap());
            match verdict(batcher, operation) {
                Verdict::Pending => assert_eq!(slot, None, "{fields:?}"),
                Verdict::Sealed { batch } | Verdict::Finalized { batch } => {
                    let expected = (batch, fields.to, fields.amount.packed());
                    assert_eq!(slot, Some(&expected));
                }
                Verdict::Rejected { reason } => assert!(!reason.is_empty()),
            }
        }
    }
}

#[test]
fn two_submitters_and_reorganizations_lose_nothing() {
    let mut ended = [0; 2];
    for seed in 0..10 {
        let mut race = Race::new(seed);
        for _ in 0..60 {
            match race.rng.gen_range(0..8) {
                0..4 => race.submit(),
                4..6 => race.finalize(),
                6 if race.rng.gen_bool(0.3) => race.lose(),
                _ => {
                    let who = race.rng.gen_range(0..2);
                    race.follow(who);
                    race.check(who);
                }
            }
        }
        for who in 0..2 {
            race.follow(who);
            race.check(who);
            let operations = race.acknowledged[who].clone();
            for operation in &operations {
                match verdict(race.batcher(who), operation) {
                    Verdict::Finalized { .. } => ended[0] += 1,
                    Verdict::Rejected { .. } => ended[1] += 1,
                    _ => {}
                }
            }
        }
        let last = u64::try_from(race.on_l1.len()).unwrap();
        for who in 0..2 {
            assert_eq!(race.batcher(who).status().finalized, last);
        }
    }
    assert!(ended[0] > 100 && ended[1] > 10, "{ended:?}");
}
