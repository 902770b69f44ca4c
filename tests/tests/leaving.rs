//! The operator is gone for good: L1 is frozen, everybody leaves with L1's data alone, and the
//! escrow is zero to the last unit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use l1::{Address, L1Error, NativeL1, Refusal};
use ledger::state::State;
use prover::key::AllowDevKeys;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rollup::{Depth, ExitPlan, LeaveError, PlanError, RollupError, SealLimit, final_state};
use tests::world::{
    FREEZE_AFTER, GENESIS, Keys, L1_FEE, OPENING, OPERATOR, START, create, deposit, finish,
    l1_file, owner_of, sign, token_of, transfer, withdraw,
};

const TOKENS: [u32; 2] = [0, 1];

/// What every account, and every waiting deposit, is owed, by owner and token.
fn owed(l1: &NativeL1, state: &State) -> BTreeMap<(Address, u32), u128> {
    let mut owed: BTreeMap<(Address, u32), u128> = BTreeMap::new();
    let mut add = |owner, token, amount| *owed.entry((owner, token)).or_default() += amount;
    for (index, account) in state.accounts() {
        let owner = l1.registered(index).unwrap().unwrap().owner;
        add(owner, account.token, account.balance);
    }
    for entry in l1.pending(usize::MAX).unwrap() {
        add(entry.payer, entry.op.token(), entry.op.amount());
    }
    for (owner, token, amount) in l1.claims().unwrap() {
        add(owner, token, amount);
    }
    owed.retain(|_, amount| *amount > 0);
    owed
}

#[test]
fn everybody_leaves_without_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut rollup = create(folder.path(), &keys, 0).unwrap();

    // A good day: a deposit, payments, a withdrawal and a forced exit.
    let newcomer = rollup
        .l1
        .deposit(&deposit(GENESIS + 1, 0, 777_777), START)
        .unwrap();
    for index in 2..=GENESIS {
        let to = if token_of(index) == 0 { 2 } else { GENESIS };
        let op = transfer(index, to, 1_000 * u128::from(index), 0, token_of(index));
        let signed = sign(op, index, &rollup).into();
        rollup.batcher.submit(signed, START).unwrap().unwrap();
    }
    let op = sign(withdraw(3, 12_345, 1, 0), 3, &rollup).into();
    rollup.batcher.submit(op, START).unwrap().unwrap();
    rollup
        .l1
        .request_exit(owner_of(4), 4, L1_FEE, START)
        .unwrap();
    finish(&mut rollup, &keys, START, &mut rng).unwrap();

    // The last day: a payment and a batch that never become final, a deposit, a top-up and an exit
    // request that no batch consumes.
    let op = sign(transfer(5, 2, 999_999, 1, 0), 5, &rollup).into();
    rollup.batcher.submit(op, START).unwrap().unwrap();
    let sealed = rollup
        .seal(SealLimit::Batches(1), START, |_| {})
        .unwrap()
        .batches;
    assert_eq!(sealed, 1);
    let unborn = rollup
        .l1
        .deposit(&deposit(GENESIS + 2, 1, 424_242), START)
        .unwrap();
    rollup
        .l1
        .top_up(owner_of(6), 2, 55_555, L1_FEE, START)
        .unwrap();
    rollup
        .l1
        .request_exit(owner_of(5), 5, L1_FEE, START)
        .unwrap();

    // The operator is gone, with everything that only the operator had.
    drop(rollup);
    std::fs::remove_file(folder.path().join(batcher::store::FILE_NAME)).unwrap();
    let l1 = NativeL1::open(&l1_file(folder.path()), AllowDevKeys::Yes).unwrap();
    let state = final_state(&l1, |_| {}).unwrap();
    let owed = owed(&l1, &state);
    assert!(owed.len() > 8, "{owed:?}");

    // Plans can be made before the freeze; they cannot be executed.
    let early = ExitPlan::new(&l1, &state, 2).unwrap();
    assert!(matches!(
        early.execute(&l1, START),
        Err(LeaveError::L1(L1Error::Refused(Refusal::NotFrozen)))
    ));
    l1.advance_time(FREEZE_AFTER).unwrap();
    assert!(matches!(
        l1.freeze(START),
        Err(L1Error::Refused(Refusal::NotOverdue { .. }))
    ));
    l1.advance_time(1).unwrap();
    l1.freeze(START).unwrap();

    // Everybody leaves: plans go through their file format; executing one twice changes nothing.
    let indices: Vec<u32> = (1..=unborn).collect();
    for index in &indices {
        let plan = ExitPlan::new(&l1, &state, *index).unwrap();
        let plan = ExitPlan::from_json(&plan.to_json()).unwrap();
        plan.execute(&l1, START).unwrap();
        let again = plan.execute(&l1, START).unwrap();
        assert_eq!((again.exited, again.cancelled), (None, Vec::new()));
        let after = ExitPlan::new(&l1, &state, *index).unwrap();
        assert_eq!(after.leaf, None);
        // Whoever paid for somebody else takes that back alone.
        for deposit in after.waiting {
            assert_ne!(deposit.payer, after.owner);
            l1.cancel_deposit(deposit.entry, START).unwrap();
        }
    }
    let mut paid = BTreeMap::new();
    for (owner, token, _) in l1.claims().unwrap() {
        paid.insert((owner, token), l1.claim(owner, token, START).unwrap());
    }
    assert_eq!(paid, owed);
    for (token, totals) in l1.audit().unwrap() {
        assert_eq!(
            (totals.escrow, totals.claimable, totals.pending),
            (0, 0, 0),
            "token {token}"
        );
    }
    assert_eq!(l1.audit().unwrap().len(), TOKENS.len());
    assert!(l1.claims().unwrap().is_empty());
    assert!(l1.collect_fees(OPERATOR, START).unwrap() > 0);
    assert!(l1.exited(newcomer).unwrap() && !l1.exited(unborn).unwrap());

    // Frozen is for ever, across restarts.
    drop(l1);
    let l1 = NativeL1::open(&l1_file(folder.path()), AllowDevKeys::Yes).unwrap();
    assert!(matches!(
        l1.deposit(&deposit(40, 0, 1), START),
        Err(L1Error::Refused(Refusal::Frozen))
    ));
    assert!(matches!(
        ExitPlan::new(&l1, &state, unborn + 1),
        Err(PlanError::Unregistered { .. })
    ));
}

#[test]
fn money_adds_up_after_a_freeze_over_batches_that_never_became_final() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    let (l1, state) = (&rollup.l1, final_state(&rollup.l1, |_| {}).unwrap());
    l1.request_exit(owner_of(5), 5, L1_FEE, START).unwrap();
    let plan = ExitPlan::new(l1, &state, 2).unwrap();
    assert!(plan.waiting.is_empty());
    l1.advance_time(FREEZE_AFTER + 1).unwrap();
    // A batch moves money and is never submitted; then more is paid in, and L1 is frozen.
    let op = sign(transfer(2, 3, 999_999, 0, 0), 2, &rollup).into();
    rollup.batcher.submit(op, START).unwrap().unwrap();
    assert_eq!(
        rollup
            .seal(SealLimit::Batches(1), START, |_| {})
            .unwrap()
            .batches,
        1
    );
    let (owner, stranger) = (owner_of(2), owner_of(7));
    let top_up = |payer, amount| rollup.l1.top_up(payer, 2, amount, L1_FEE, START).unwrap();
    let first = top_up(stranger, 1);
    top_up(owner, 55_555);
    for _ in 0..40 {
        top_up(stranger, 1);
    }
    rollup.l1.freeze(START).unwrap();
    assert!(rollup.audit(Depth::Books).unwrap().is_clean());

    // The plan is older than the top-ups: the root is the same, and all that is the owner's leaves. What
    // a stranger paid in costs the owner nothing, and the stranger gets it.
    let before = rollup.l1.head().unwrap().height;
    let left = plan.execute(&rollup.l1, START).unwrap();
    assert_eq!(left.exited, Some(OPENING.to_string()));
    assert_eq!((left.cancelled.len(), left.of_others), (1, 41));
    assert_eq!(rollup.l1.head().unwrap().height, before + 2, "two calls");
    let owed = OPENING + 55_555;
    assert_eq!(rollup.l1.claimable(owner, 0).unwrap(), owed);
    rollup.l1.cancel_deposit(first, START).unwrap();
    assert_eq!(rollup.l1.claimable(stranger, 0).unwrap(), 1);
    let audit = rollup.audit(Depth::Books).unwrap();
    assert!(audit.is_clean(), "{audit:?}");

    // Nothing more is sealed that could never be final.
    assert!(matches!(
        rollup.seal(SealLimit::Batches(1), START, |_| {}),
        Err(RollupError::L1(L1Error::Refused(Refusal::Frozen)))
    ));
}

#[test]
fn plans_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::make().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let mut rollup = create(folder.path(), &keys, 0).unwrap();
    let state = final_state(&rollup.l1, |_| {}).unwrap();
    let plan = ExitPlan::new(&rollup.l1, &state, 3).unwrap();

    // Not a plan, another version, a bad number, another deployment.
    let text = String::from_utf8(plan.to_json()).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        ExitPlan::from_json(text.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    assert!(matches!(refused("{", "["), LeaveError::Json(_)));
    let changed = |change: fn(&mut ExitPlan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        ExitPlan::from_json(&plan.to_json()).unwrap_err()
    };
    let version = changed(|plan| plan.version = 1);
    assert!(matches!(version, LeaveError::Version { got: 1 }));
    let negative = changed(|plan| plan.leaf.as_mut().unwrap().balance.insert(0, '-'));
    assert!(matches!(
        negative,
        LeaveError::Field {
            field: "balance",
            ..
        }
    ));
    let unknown = refused("\"version\": 2", "\"version\": 2, \"more\": 1");
    assert!(matches!(unknown, LeaveError::Json(_)));
    let large = ExitPlan::from_json(&vec![b' '; rollup::leave::MAX_PLAN_BYTES + 1]);
    assert!(matches!(large, Err(LeaveError::TooLarge { .. })));
    // Another account of the same owner would be another plan: whatever bit is flipped, it is none.
    let good = plan.to_json();
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = ExitPlan::from_json(&bad) {
            assert_eq!(read, plan, "bit {bit}");
        }
    }
    let mut foreign = plan.clone();
    foreign.contract = owner_of(1);
    let foreign = foreign.execute(&rollup.l1, START);
    // Who is told to be paid is who is paid.
    for change in [
        |plan: &mut ExitPlan| plan.owner = owner_of(4),
        |plan: &mut ExitPlan| plan.token = 1,
        |plan: &mut ExitPlan| plan.account = 200,
    ] {
        let mut other = plan.clone();
        change(&mut other);
        let refused = other.execute(&rollup.l1, START);
        assert!(
            matches!(refused, Err(LeaveError::OtherRegistration { .. })),
            "{refused:?}"
        );
    }
    assert!(matches!(foreign, Err(LeaveError::OtherDeployment { .. })));

    // A plan is for one root.
    let op = sign(transfer(3, 2, 5, 0, 0), 3, &rollup).into();
    rollup.batcher.submit(op, START).unwrap().unwrap();
    finish(&mut rollup, &keys, START, &mut rng).unwrap();
    let moved = plan.execute(&rollup.l1, START);
    assert!(matches!(moved, Err(LeaveError::RootMoved { batch: 0, .. })));
    let stale = ExitPlan::new(&rollup.l1, &state, 3);
    assert!(matches!(stale, Err(PlanError::Root { .. })));
}
