//! The rollup outlives its operator: somebody else continues it, and the operator comes back.
//!
//! Operator and strangers are rollups of their own, with a database each, over one L1. Nothing that
//! was acknowledged is lost, no race keeps the operator out, and nobody gains by copying.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use batcher::{OperationId, Verdict};
use l1::{Address, BatchFault, L1Error, NativeL1, Refusal, SubmissionRight};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rollup::right::Return;
use rollup::{Depth, Reopening, Rollup, RollupError, SealLimit, SettleError, restore};
use tempfile::TempDir;
use tests::world::{
    GENESIS, Keys, L1_FEE, OPERATOR, START, TAKEOVER_AFTER, create, deposit, owner_of, prove_batch,
    settings, shape, sign, transfer,
};

/// One of those who submit, with a database of its own. L1 is with whoever acts.
struct Party {
    address: Address,
    rollup: Rollup,
    /// Where its files are, until it is dropped.
    _folder: TempDir,
}

/// The operator, the first, and strangers, over one L1.
struct World {
    keys: Keys,
    parties: Vec<Party>,
    /// Who has L1.
    turn: usize,
    now: u64,
    rng: ChaCha20Rng,
}

const STRANGER: usize = 1;
const OTHER: usize = 2;

fn address_of(party: usize) -> Address {
    match party {
        0 => OPERATOR,
        party => owner_of(u32::try_from(1_000 + party).unwrap()),
    }
}

impl World {
    /// An operator that has finalized a payment, and strangers who restored from L1.
    fn new(strangers: usize) -> Self {
        let keys = Keys::make().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rollup = create(folder.path(), &keys, 0).unwrap();
        let mut world = Self {
            keys,
            parties: vec![Party {
                address: OPERATOR,
                rollup,
                _folder: folder,
            }],
            turn: 0,
            now: START,
            rng: ChaCha20Rng::seed_from_u64(20),
        };
        world.pay(0, 2, 3);
        assert_eq!(world.work(0).unwrap(), 1);
        for _ in 0..strangers {
            world.join(0);
        }
        world
    }

    /// Another party restores from L1's data alone, and executes entries under so many blocks.
    fn join(&mut self, confirmations: u64) {
        let (folder, party) = (tempfile::tempdir().unwrap(), self.parties.len());
        let l1 = self.l1();
        let known = settings(l1).unwrap();
        let batcher = restore(l1, folder.path(), known, |_| {}).unwrap();
        // Why: each has an L1 by itself, which is changed for the real one at its turn.
        let spare = folder.path().join("spare");
        std::fs::create_dir(&spare).unwrap();
        let Rollup { l1, .. } = create(&spare, &self.keys, 0).unwrap();
        let mut rollup = Rollup::new(l1, batcher, confirmations);
        rollup.work_for(address_of(party));
        self.parties.push(Party {
            address: address_of(party),
            rollup,
            _folder: folder,
        });
        self.follow(party);
    }

    /// Gives L1 to a party.
    fn at(&mut self, party: usize) -> &mut Rollup {
        if party != self.turn {
            let (low, high) = (party.min(self.turn), party.max(self.turn));
            let (left, right) = self.parties.split_at_mut(high);
            std::mem::swap(&mut left[low].rollup.l1, &mut right[0].rollup.l1);
            self.turn = party;
        }
        &mut self.parties[party].rollup
    }

    fn l1(&self) -> &NativeL1 {
        &self.parties[self.turn].rollup.l1
    }

    /// A payment without a fee, handed to a party.
    fn pay(&mut self, party: usize, from: u32, to: u32) -> OperationId {
        let now = self.now;
        let rollup = self.at(party);
        let nonce = rollup.batcher.next_nonce(from).unwrap();
        let mut payment = transfer(from, to, 1_000 + u128::from(to), nonce, 0);
        payment.fee = Default::default();
        let signed = sign(payment, from, rollup);
        rollup.batcher.submit(signed.into(), now).unwrap().unwrap()
    }

    fn verdict(&self, party: usize, id: &OperationId) -> Verdict {
        let batcher = &self.parties[party].rollup.batcher;
        batcher.verdict(id).unwrap().unwrap()
    }

    fn top_up(&mut self, index: u32) {
        let now = self.now;
        let l1 = self.l1();
        l1.top_up(owner_of(index), index, 5_000, L1_FEE, now)
            .unwrap();
    }

    /// Lets the entries that wait become overdue.
    fn wait_until_open(&mut self) {
        self.now += TAKEOVER_AFTER + 1;
        self.l1().mine(1, self.now).unwrap();
    }

    fn right(&self) -> SubmissionRight {
        self.l1().submission_right(self.now).unwrap()
    }

    /// Seals and proves one batch.
    fn prepare(&mut self, party: usize) -> Result<u64, RollupError> {
        let now = self.now;
        let rollup = self.at(party);
        rollup.follow(now)?;
        let sealed = rollup.seal(SealLimit::Batches(1), now, |_| {})?.batches;
        let unproved = rollup.batcher.unproved().unwrap();
        for number in unproved {
            let (keys, rng) = (&self.keys, &mut self.rng);
            let rollup = &mut self.parties[party].rollup;
            prove_batch(rollup, keys, number, now, rng).unwrap();
        }
        Ok(sealed)
    }

    fn submit(&mut self, party: usize) -> Result<usize, RollupError> {
        let (now, address) = (self.now, self.parties[party].address);
        let submitted = self.at(party).submit(address, usize::MAX, now)?;
        Ok(submitted.len())
    }

    /// Seals, proves and submits one batch.
    fn work(&mut self, party: usize) -> Result<usize, RollupError> {
        self.prepare(party)?;
        self.submit(party)
    }

    fn follow(&mut self, party: usize) -> rollup::Followed {
        let now = self.now;
        self.at(party).follow(now).unwrap()
    }

    /// Everybody has the same accounts and a clean audit.
    fn assert_agree(&mut self) {
        for party in 0..self.parties.len() {
            self.follow(party);
            let audit = self.at(party).audit(Depth::Replay).unwrap();
            assert!(audit.is_clean(), "party {party}: {audit:?}");
        }
    }
}

fn refusal(error: RollupError) -> Refusal {
    match error {
        RollupError::L1(L1Error::Refused(refusal)) => refusal,
        RollupError::Settle(SettleError::L1(L1Error::Refused(refusal))) => refusal,
        other => panic!("{other}"),
    }
}

fn fault(error: RollupError) -> BatchFault {
    match refusal(error) {
        Refusal::Batch { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

/// A stranger restores, takes over, and serves the queue; the operator comes back with operations
/// that it had acknowledged, sealed and proven: each is final, or rejected with a reason.
#[test]
fn a_stranger_continues_and_the_operator_comes_back_with_what_it_acknowledged() {
    let mut world = World::new(1);
    // Acknowledged, sealed, proven and not submitted; and one that only waits.
    let proven: Vec<_> = (2..=5).map(|from| world.pay(0, from, from + 1)).collect();
    world.prepare(0).unwrap();
    let waiting = world.pay(0, 6, 7);
    world.top_up(2);
    let opens_at = START + TAKEOVER_AFTER + 1;
    let right = SubmissionRight::Operator {
        opens_at: Some(opens_at),
    };
    assert_eq!(world.right(), right);

    // Before that a stranger is refused, before it proves anything and when it sends.
    world.now = opens_at - 1;
    world.l1().mine(1, opens_at - 1).unwrap();
    let (now, stranger) = (world.now, address_of(STRANGER));
    let early = world.at(STRANGER).check_right(stranger, now).unwrap_err();
    let L1Error::Refused(early) = early else {
        panic!("{early}");
    };
    assert!(matches!(early, Refusal::NotOpen { opens_at: Some(at), .. } if at == opens_at));
    world.prepare(STRANGER).unwrap();
    let refused = refusal(world.submit(STRANGER).unwrap_err());
    assert!(matches!(refused, Refusal::NotOpen { .. }), "{refused}");

    // A batch that was sealed too early stays refused, whenever it is sent: its proof fixes its time.
    world.now = opens_at;
    let early = fault(world.submit(STRANGER).unwrap_err());
    assert!(matches!(early, BatchFault::NotOpen { .. }), "{early}");
    let reopened = world.follow(STRANGER).reopened.unwrap();
    assert!(matches!(reopened.0, Reopening::BeforeOpen { batch: 2, .. }));
    assert_eq!(world.work(STRANGER).unwrap(), 1);
    assert_eq!(world.l1().batch(2).unwrap().unwrap().submitter, stranger);
    assert_eq!(world.l1().head().unwrap().queue_head, 1);
    // Nothing is overdue any more; batches stay open until the operator is back. The stranger was
    // handed a payment that the operator had acknowledged, and another that takes a nonce.
    let same = world.pay(STRANGER, 2, 3);
    assert_eq!(same, proven[0]);
    let mut taken = transfer(3, 9 - 2, 77, 0, 0);
    taken.fee = Default::default();
    let taken = sign(taken, 3, world.at(STRANGER));
    let now = world.now;
    let taken = world.at(STRANGER).batcher.submit(taken.into(), now);
    taken.unwrap().unwrap();
    while world.work(STRANGER).unwrap() > 0 {}
    let head = world.l1().head().unwrap();
    assert!(head.taken_over && head.next_batch > 3);

    // The operator is back: it has its hour, and seals what it had acknowledged on top.
    let applied = world.follow(0).applied;
    assert_eq!((applied.executed, applied.rejected), (1, 1));
    assert!(matches!(
        world.verdict(0, &proven[0]),
        Verdict::Finalized { .. }
    ));
    let Verdict::Rejected { reason } = world.verdict(0, &proven[1]) else {
        panic!("{:?}", world.verdict(0, &proven[1]));
    };
    assert!(reason.contains("nonce 0 of account 3"), "{reason}");
    let now = world.now;
    // An hour without a batch would be lost.
    let returned = world.at(0).return_operator(OPERATOR, now).unwrap();
    assert_eq!(returned, Return::NoBatch);
    world.prepare(0).unwrap();
    let returned = world.at(0).return_operator(OPERATOR, now).unwrap();
    let until = now + l1::OPERATORS_HOUR;
    assert_eq!(returned, Return::Called { until });
    world.pay(STRANGER, 7, 2);
    let kept_out = refusal(world.work(STRANGER).unwrap_err());
    assert!(
        matches!(kept_out, Refusal::OperatorsHour { .. }),
        "{kept_out}"
    );
    while world.work(0).unwrap() > 0 {}
    for id in proven[2..].iter().chain([&waiting]) {
        let verdict = world.verdict(0, id);
        assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    }
    assert!(!world.l1().head().unwrap().taken_over);
    assert_eq!(world.right(), SubmissionRight::Operator { opens_at: None });
    world.assert_agree();
}

/// Somebody who has a batch in every block makes each proof of the operator worthless. The operator's
/// return rests on no root, so it comes back all the same.
#[test]
fn a_batch_in_each_block_does_not_keep_the_operator_out() {
    let mut world = World::new(1);
    world.top_up(2);
    world.wait_until_open();
    world.work(STRANGER).unwrap();
    let payment = world.pay(0, 4, 5);
    for _ in 0..3 {
        world.prepare(0).unwrap();
        world.pay(STRANGER, 2, 3);
        assert_eq!(world.work(STRANGER).unwrap(), 1);
        let late = fault(world.submit(0).unwrap_err());
        assert!(matches!(late, BatchFault::Number { .. }), "{late}");
        world.now += 12;
    }
    world.pay(STRANGER, 3, 2);
    world.prepare(STRANGER).unwrap();
    let now = world.now;
    let returned = world.at(0).return_operator(OPERATOR, now).unwrap();
    assert!(matches!(returned, Return::Called { .. }));
    let kept_out = refusal(world.submit(STRANGER).unwrap_err());
    assert!(
        matches!(kept_out, Refusal::OperatorsHour { .. }),
        "{kept_out}"
    );
    while world.work(0).unwrap() > 0 {}
    assert!(matches!(
        world.verdict(0, &payment),
        Verdict::Finalized { .. }
    ));
    let after = refusal(world.submit(STRANGER).unwrap_err());
    assert!(matches!(after, Refusal::NotOpen { .. }), "{after}");
    // Nor can the operator keep everybody else out by it.
    world.top_up(3);
    world.wait_until_open();
    world.work(STRANGER).unwrap();
    let now = world.now;
    world.pay(0, 6, 7);
    world.prepare(0).unwrap();
    let again = world.at(0).return_operator(OPERATOR, now).unwrap();
    assert!(matches!(again, Return::Called { .. }));
    world.now += l1::OPERATORS_HOUR + 1;
    world.pay(STRANGER, 4, 3);
    assert_eq!(world.work(STRANGER).unwrap(), 1);
    let now = world.now;
    world.follow(0);
    let early = world.at(0).return_operator(OPERATOR, now).unwrap();
    assert!(matches!(early, Return::TooSoon { .. }), "{early:?}");
    world.assert_agree();
}

/// Two strangers race: the loser's proofs are for nothing, its operations are sealed again, and the
/// queue is served whoever wins. Whoever copies the winner's batch gains nothing.
#[test]
fn two_strangers_race_and_the_queue_is_served() {
    let mut world = World::new(2);
    for index in 2..=7 {
        world.top_up(index);
    }
    world.wait_until_open();
    let slots = u64::from(shape().l1_ops);
    let mut waits = Vec::new();
    let (mut winner, mut loser) = (STRANGER, OTHER);
    while world.l1().head().unwrap().queue_head < 6 {
        let before = world.l1().head().unwrap().queue_head;
        let from = u32::try_from(before % 5).unwrap() + 4;
        if from < GENESIS - 1 {
            waits.push((loser, world.pay(loser, from, 2)));
        }
        for party in [loser, winner] {
            world.prepare(party).unwrap();
        }
        world.submit(winner).unwrap();
        let head = world.l1().head().unwrap();
        assert_eq!(
            head.queue_head,
            (before + slots).min(6),
            "a race serves the queue"
        );
        // The same data with the same proof, sent by the other: L1 has moved.
        let copied = world.l1().batch(head.next_batch - 1).unwrap().unwrap();
        let now = world.now;
        let address = address_of(loser);
        let copied = world
            .l1()
            .submit_batches(address, &[copied.submission], now);
        assert!(copied.is_err());
        assert!(world.submit(loser).is_err());
        assert!(world.follow(loser).applied.batches > 0);
        (winner, loser) = (loser, winner);
    }
    for party in [STRANGER, OTHER] {
        while world.work(party).unwrap() > 0 {}
    }
    for (party, id) in &waits {
        let verdict = world.verdict(*party, id);
        assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    }
    assert!(!waits.is_empty());
    // What the entries paid stays the operator's; nobody is paid for having submitted.
    for party in [STRANGER, OTHER] {
        assert_eq!(world.l1().claimable(address_of(party), 0).unwrap(), 0);
    }
    assert_eq!(world.l1().head().unwrap().operator_fees, 6 * L1_FEE);
    world.assert_agree();
}

/// A stranger may leave out whatever operation it likes, but no queue entry while one is overdue: a
/// batch without them, which would only spoil other people's proofs, is refused.
#[test]
fn a_stranger_that_censors_has_to_serve_the_queue() {
    let mut world = World::new(1);
    let censored = world.pay(0, 5, 6);
    world.now += 10;
    let now = world.now;
    world
        .l1()
        .request_exit(owner_of(7), 7, L1_FEE, now)
        .unwrap();
    world.wait_until_open();
    // A batch of payments alone, made by a program that leaves the queue out.
    world.pay(STRANGER, 2, 3);
    let now = world.now;
    let rollup = world.at(STRANGER);
    rollup.follow(now).unwrap();
    rollup.batcher.seal(&[], now).unwrap().unwrap();
    let (keys, rng) = (&world.keys, &mut world.rng);
    prove_batch(&mut world.parties[STRANGER].rollup, keys, 2, now, rng).unwrap();
    let spoils = fault(world.submit(STRANGER).unwrap_err());
    assert!(
        matches!(
            spoils,
            BatchFault::OverdueLeftBehind {
                entry: 0,
                used: 0,
                ..
            }
        ),
        "{spoils}"
    );
    // Following sees that L1 will never take it. Sealed again it takes the queue first.
    let reopened = world.follow(STRANGER).reopened.unwrap();
    let expected = Reopening::OverdueLeftBehind { batch: 2, entry: 0 };
    assert_eq!(reopened.0, expected);
    assert_eq!(world.work(STRANGER).unwrap(), 1);
    assert_eq!(world.l1().head().unwrap().queue_head, 1);
    assert!(world.l1().claimable(owner_of(7), 0).unwrap() > 0);
    // What it censors is the operator's to seal, or its owner's to ask for on L1.
    while world.work(0).unwrap() > 0 {}
    assert!(matches!(
        world.verdict(0, &censored),
        Verdict::Finalized { .. }
    ));
    world.assert_agree();
}

/// An overdue entry with too few blocks on top of it is not executed yet, and a batch without it is what
/// L1 takes from the operator alone: nothing is sealed until it is confirmed.
#[test]
fn a_stranger_waits_for_the_confirmations_of_an_overdue_entry() {
    let confirmations = 3;
    let mut world = World::new(0);
    world.join(confirmations);
    world.top_up(2);
    world.wait_until_open();
    let payment = world.pay(STRANGER, 3, 4);
    let early = world.prepare(STRANGER).unwrap_err();
    let expected = RollupError::OverdueUnconfirmed {
        entry: 0,
        confirmations,
    };
    assert_eq!(early.to_string(), expected.to_string());
    assert_eq!(world.at(STRANGER).batcher.status().sealed, 1);
    world.l1().mine(confirmations, world.now).unwrap();
    assert_eq!(world.work(STRANGER).unwrap(), 1);
    let verdict = world.verdict(STRANGER, &payment);
    assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    world.assert_agree();
}

/// An entry that somebody else executed under fewer blocks is left behind by nobody: whoever wants more
/// of them seals on.
#[test]
fn an_overdue_entry_that_is_consumed_holds_no_stranger_up() {
    let mut world = World::new(0);
    world.join(50);
    world.join(0);
    world.top_up(2);
    world.wait_until_open();
    world.pay(OTHER, 5, 6);
    assert_eq!(world.work(OTHER).unwrap(), 1);
    assert_eq!(world.l1().head().unwrap().queue_head, 1);
    let payment = world.pay(STRANGER, 3, 4);
    assert_eq!(world.work(STRANGER).unwrap(), 1);
    let verdict = world.verdict(STRANGER, &payment);
    assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    world.assert_agree();
}

/// What an operator sealed and proved it may submit even if it leaves overdue entries behind. Once it is
/// the operator no more it may not: such batches are sealed again, with the queue first.
#[test]
fn a_former_operators_batches_take_the_queue_like_everybodys() {
    let mut world = World::new(1);
    let payment = world.pay(0, 3, 4);
    let now = world.now;
    world.top_up(2);
    world.wait_until_open();
    let late = world.now;
    let operator = world.at(0);
    operator.follow(late).unwrap();
    operator.batcher.seal(&[], late).unwrap().unwrap();
    assert!(world.follow(0).reopened.is_none());
    let heir = address_of(STRANGER);
    world
        .l1()
        .offer_operator(OPERATOR, Some(heir), now)
        .unwrap();
    world.l1().accept_operator(heir, now).unwrap();
    world.at(0).work_for(OPERATOR);
    let reopened = world.follow(0).reopened.unwrap();
    let expected = Reopening::OverdueLeftBehind { batch: 2, entry: 0 };
    assert_eq!(reopened.0, expected);
    assert_eq!(world.work(0).unwrap(), 1);
    assert_eq!(world.l1().head().unwrap().queue_head, 1);
    let verdict = world.verdict(0, &payment);
    assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
}

/// L1 loses the blocks in which somebody else's batches were. Whatever comes in their place, nobody
/// loses what was acknowledged, and a right that was lost with the blocks is not used.
#[test]
fn a_reorganization_at_the_boundary_loses_nothing() {
    let mut world = World::new(1);
    let ours: Vec<_> = (3..=6).map(|from| world.pay(0, from, 2)).collect();
    world.prepare(0).unwrap();
    world.now += 10;
    let deposited = deposit(GENESIS + 1, 0, 900);
    world.l1().deposit(&deposited, world.now).unwrap();
    let height = world.l1().head().unwrap().height;
    world.wait_until_open();
    let mut theirs = vec![world.pay(STRANGER, 3, 4)];
    while world.work(STRANGER).unwrap() > 0 {}
    theirs.push(world.pay(STRANGER, 7, 4));
    while world.work(STRANGER).unwrap() > 0 {}
    assert_eq!(world.follow(0).applied.rejected, 1);
    assert!(matches!(
        world.verdict(0, &ours[0]),
        Verdict::Rejected { .. }
    ));

    // The last batch is lost: the stranger may submit it again.
    world.at(STRANGER).l1.reorg(1).unwrap();
    assert_eq!(world.follow(STRANGER).lost, 1);
    world.submit(STRANGER).unwrap();
    world.follow(0);

    // Everything is lost, the deposit too: nothing is overdue, and the right is the operator's again.
    let blocks = world.l1().head().unwrap().height - height + 1;
    world.at(STRANGER).l1.reorg(blocks).unwrap();
    world.l1().mine(1, world.now).unwrap();
    assert!(world.follow(STRANGER).lost > 1);
    let (now, stranger) = (world.now, address_of(STRANGER));
    assert!(world.at(STRANGER).check_right(stranger, now).is_err());
    let refused = refusal(world.submit(STRANGER).err().unwrap_or_else(|| {
        world.prepare(STRANGER).unwrap();
        world.submit(STRANGER).unwrap_err()
    }));
    assert!(matches!(refused, Refusal::NotOpen { .. }), "{refused}");

    // The operator's own are sealed again, the rejected one too, and are final.
    let followed = world.follow(0);
    assert!(followed.lost > 1, "{followed:?}");
    while world.work(0).unwrap() > 0 {}
    for id in &ours {
        let verdict = world.verdict(0, id);
        assert!(matches!(verdict, Verdict::Finalized { .. }), "{verdict:?}");
    }
    world.follow(STRANGER);
    let lost = world.verdict(STRANGER, &theirs[0]);
    assert!(matches!(lost, Verdict::Rejected { .. }), "{lost:?}");
    world.assert_agree();
}

/// Fees go to accounts of whoever submits. Without one, operations with a fee wait.
#[test]
fn a_stranger_takes_fees_only_into_accounts_of_its_own() {
    let mut world = World::new(1);
    let now = world.now;
    let fee = transfer(2, 3, 1_000, 1, 0);
    let signed = sign(fee, 2, world.at(STRANGER));
    let refused = world.at(STRANGER).batcher.submit(signed.into(), now);
    assert!(matches!(
        refused.unwrap(),
        Err(batcher::Refusal::FeeTokenNotTaken { token: 0 })
    ));
    let mut own = deposit(GENESIS + 1, 0, 900);
    own.caller = address_of(STRANGER);
    let index = world.l1().deposit(&own, now).unwrap();
    world.wait_until_open();
    while world.work(STRANGER).unwrap() > 0 {}
    world.follow(STRANGER);
    let now = world.now;
    let id = world.at(STRANGER).batcher.submit(signed.into(), now);
    let id = id.unwrap().unwrap();
    while world.work(STRANGER).unwrap() > 0 {}
    assert!(matches!(
        world.verdict(STRANGER, &id),
        Verdict::Finalized { .. }
    ));
    let account = *world.at(STRANGER).batcher.state().account(index).unwrap();
    assert_eq!(account.balance, 901);
    world.assert_agree();
}
