//! Who may submit batches: take-over, return, hand-over, and the attacks on them.

use std::sync::OnceLock;

use l1::{Address, BatchFault, NativeL1, OPERATORS_HOUR, Refusal, SubmissionRight};
use ledger::transition::Operation;

use crate::fixture::*;

/// The first second at which the queue of the story is overdue.
const LATE: u64 = T0 + TAKEOVER_AFTER + 1;
/// Nobody's but an attacker's.
const MALLORY: Address = l1::bytes::Bytes([0x66; 20]);

/// Batches for the story's queue, all of a time at which it is overdue but for the first.
struct Batches {
    /// The two oldest entries, at a time at which they have waited exactly as long as they may.
    early: Proven,
    /// No entry, though two would have place.
    none: Proven,
    /// One entry, though two would have place.
    one: Proven,
    /// The two oldest entries; the third stays.
    full: Proven,
    /// After `full`: the third.
    rest: Proven,
    /// After `full`: none.
    spoil: Proven,
    /// After `rest`: none, and none waits.
    empty: Proven,
    /// After `rest`: a transfer.
    pays: Proven,
}

fn batches() -> &'static Batches {
    static BATCHES: OnceLock<Batches> = OnceLock::new();
    BATCHES.get_or_init(|| {
        let genesis = genesis();
        let (state, domain) = (genesis.state(), genesis.deployment().domain());
        let [create, top_up, exit] = queue_ops().map(Operation::L1);
        let first = |timestamp, ops: &[Operation]| proven(&state, domain, 1, timestamp, ops);
        let full = first(LATE, &[create, top_up]);
        let rest = proven(&full.state, domain, 2, LATE, &[exit]);
        let pays = transfer(&domain, "carol", (4, 1), 2_000, 0);
        Batches {
            early: first(LATE - 1, &[create, top_up]),
            none: first(LATE, &[]),
            one: first(LATE, &[create]),
            spoil: proven(&full.state, domain, 2, LATE, &[]),
            empty: proven(&rest.state, domain, 3, LATE, &[]),
            pays: proven(&rest.state, domain, 3, LATE, &[pays]),
            full,
            rest,
        }
    })
}

fn right(l1: &NativeL1, now: u64) -> SubmissionRight {
    l1.submission_right(now).unwrap()
}

fn open_since(entry: u64, taken_over: bool) -> SubmissionRight {
    SubmissionRight::Anybody {
        since_entry: Some(entry),
        taken_over,
    }
}

/// The story's chain after somebody else's batch with its first two entries.
fn taken_over() -> Chain {
    let chain = story_chain();
    let full = &batches().full.submission;
    chain.submit_batch(MALLORY, full, LATE).unwrap();
    chain
}

/// As [`taken_over`], with nothing that waits.
fn served() -> Chain {
    let chain = taken_over();
    let rest = &batches().rest.submission;
    chain.submit_batch(ALICE, rest, LATE).unwrap();
    chain
}

#[test]
fn anybody_may_submit_once_the_oldest_entry_has_waited_longer_than_it_may() {
    let chain = chain_with_key(&genesis());
    let own = |opens_at| SubmissionRight::Operator { opens_at };
    assert_eq!(right(&chain, u64::MAX), own(None), "nothing waits");
    fill_queue(&chain);
    let Batches { early, full, .. } = batches();
    for now in [T0, LATE - 1] {
        assert_eq!(right(&chain, now), own(Some(LATE)));
        let refusal = refused(&chain, |l1| l1.submit_batch(ALICE, &early.submission, now));
        let expected = format!(
            "only the operator {OPERATOR} may submit batches now, the caller is {ALICE}; anybody may from 2023-11-17T22:03:21Z on, if the oldest queue entry still waits then"
        );
        assert_eq!(refusal.to_string(), expected);
    }
    assert_eq!(right(&chain, LATE), open_since(0, false));
    // What counts is the batch's own time, which its proof fixes.
    assert_eq!(
        faults(&chain, ALICE, &early.submission, LATE),
        BatchFault::NotOpen {
            timestamp: LATE - 1
        }
    );
    let batch = chain.submit_batch(ALICE, &full.submission, LATE).unwrap();
    assert_eq!(batch.submitter, ALICE);
    assert_eq!(chain.batch(1).unwrap().unwrap().submitter, ALICE);
    assert!(chain.head().unwrap().taken_over);
    assert_eq!(right(&chain, LATE), open_since(2, true));
    assert_conserved(&chain, &full.state);
}

/// The fault of a batch of this caller.
fn faults(l1: &NativeL1, caller: Address, batch: &l1::Submission, now: u64) -> BatchFault {
    match refused(l1, |l1| l1.submit_batch(caller, batch, now)) {
        Refusal::Batch { position: 0, fault } => fault,
        other => panic!("refused for {other}"),
    }
}

#[test]
fn a_stranger_that_leaves_overdue_entries_behind_is_refused() {
    let chain = story_chain();
    let Batches {
        none,
        one,
        full,
        spoil,
        ..
    } = batches();
    let left = |entry, used| BatchFault::OverdueLeftBehind {
        entry,
        slots: 2,
        used,
    };
    assert_eq!(faults(&chain, ALICE, &none.submission, LATE), left(0, 0));
    assert_eq!(faults(&chain, ALICE, &one.submission, LATE), left(1, 1));
    // What its slots cannot hold may stay, and the next batch is bound by it again.
    chain.submit_batch(ALICE, &full.submission, LATE).unwrap();
    assert_eq!(faults(&chain, ALICE, &spoil.submission, LATE), left(2, 0));
    // The operator decides itself; batches stay open while it leaves something overdue.
    chain
        .submit_batch(OPERATOR, &spoil.submission, LATE)
        .unwrap();
    assert_eq!(right(&chain, LATE), open_since(2, true));
}

#[test]
fn nobody_spoils_a_batch_by_queuing_a_fresh_entry() {
    let chain = taken_over();
    chain
        .deposit(&deposit_of(MALLORY, "mallory", 0, 0), LATE)
        .unwrap();
    let rest = &batches().rest.submission;
    chain.submit_batch(ALICE, rest, LATE).unwrap();
    assert_eq!(chain.pending(9).unwrap().len(), 1);
}

#[test]
fn once_taken_over_batches_are_open_until_the_operator_is_back() {
    let chain = served();
    let Batches { empty, pays, .. } = batches();
    let open = SubmissionRight::Anybody {
        since_entry: None,
        taken_over: true,
    };
    assert_eq!(right(&chain, LATE), open, "nothing waits");
    chain.submit_batch(BOB, &pays.submission, LATE).unwrap();
    assert_eq!(right(&chain, LATE), open);

    let chain = served();
    chain
        .submit_batch(OPERATOR, &empty.submission, LATE)
        .unwrap();
    let head = chain.head().unwrap();
    assert!(!head.taken_over);
    let own = SubmissionRight::Operator { opens_at: None };
    assert_eq!(right(&chain, LATE), own);
    chain.request_exit(ALICE, 1, FEE, LATE).unwrap();
    let opens_at = Some(LATE + TAKEOVER_AFTER + 1);
    assert_eq!(right(&chain, LATE), SubmissionRight::Operator { opens_at });
}

#[test]
fn a_race_and_a_copy_serve_the_queue_and_gain_nothing() {
    let chain = story_chain();
    let Batches { full, .. } = batches();
    // Mallory copies Alice's transaction and comes first.
    chain.submit_batch(MALLORY, &full.submission, LATE).unwrap();
    let after = BatchFault::Number {
        expected: 2,
        got: 1,
    };
    assert_eq!(faults(&chain, ALICE, &full.submission, LATE), after);
    assert_eq!(chain.head().unwrap().operator_fees, 3 * FEE);
    assert_eq!(chain.claims().unwrap(), []);
    let refusal = refused(&chain, |l1| l1.collect_fees(MALLORY, LATE));
    assert!(matches!(refusal, Refusal::NotOperator { .. }), "{refusal}");
    assert_conserved(&chain, &full.state);
}

#[test]
fn the_rule_holds_for_each_batch_of_a_call() {
    let chain = story_chain();
    let Batches {
        full,
        rest,
        empty,
        spoil,
        ..
    } = batches();
    let of = |batches: &[&Proven]| {
        let each = batches.iter();
        each.map(|batch| batch.submission.clone())
            .collect::<Vec<_>>()
    };
    let bad = of(&[full, spoil]);
    let refusal = refused(&chain, |l1| l1.submit_batches(ALICE, &bad, LATE));
    let Refusal::Batch { position: 1, fault } = refusal else {
        panic!("{refusal}");
    };
    assert!(matches!(fault, BatchFault::OverdueLeftBehind { .. }));
    let good = of(&[full, rest, empty]);
    chain.submit_batches(ALICE, &good, LATE).unwrap();
    assert!(chain.head().unwrap().taken_over);
}

#[test]
fn an_operator_that_returns_is_alone_for_an_hour() {
    let chain = taken_over();
    let Batches { rest, .. } = batches();
    let until = LATE + OPERATORS_HOUR;
    chain.return_operator(OPERATOR, LATE).unwrap();
    for now in [LATE, until] {
        assert_eq!(right(&chain, now), SubmissionRight::OperatorsHour { until });
        let refusal = refused(&chain, |l1| l1.submit_batch(MALLORY, &rest.submission, now));
        assert!(
            matches!(refusal, Refusal::OperatorsHour { until: u, .. } if u == until),
            "{refusal}"
        );
    }
    assert_eq!(right(&chain, until + 1), open_since(2, true));
    // A batch of its own that leaves nothing overdue is the end of it.
    chain
        .submit_batch(OPERATOR, &rest.submission, until)
        .unwrap();
    let own = SubmissionRight::Operator { opens_at: None };
    assert_eq!(right(&chain, until + 1), own);

    // An operator that lets its hour pass stands where everybody does.
    let chain = taken_over();
    chain.return_operator(OPERATOR, LATE).unwrap();
    chain
        .submit_batch(MALLORY, &rest.submission, until + 1)
        .unwrap();
}

#[test]
fn an_operator_returns_to_something_and_not_too_often() {
    let chain = story_chain();
    let refusal = refused(&chain, |l1| l1.return_operator(OPERATOR, LATE - 1));
    assert!(
        matches!(refusal, Refusal::NothingToReturnTo { opens_at } if opens_at == Some(LATE)),
        "{refusal}"
    );
    for stranger in [ALICE, MALLORY] {
        let refusal = refused(&chain, |l1| l1.return_operator(stranger, LATE));
        assert!(matches!(refusal, Refusal::NotOperator { .. }), "{refusal}");
    }
    chain.return_operator(OPERATOR, LATE).unwrap();
    let again = LATE + TAKEOVER_AFTER;
    for now in [LATE, LATE + OPERATORS_HOUR + 1, again - 1] {
        let refusal = refused(&chain, |l1| l1.return_operator(OPERATOR, now));
        assert!(
            matches!(refusal, Refusal::ReturnTooSoon { last: LATE, again: a } if a == again),
            "{refusal}"
        );
    }
    chain.return_operator(OPERATOR, again).unwrap();
    let until = again + OPERATORS_HOUR;
    assert_eq!(
        right(&chain, again),
        SubmissionRight::OperatorsHour { until }
    );
}

#[test]
fn the_operator_role_is_handed_over_in_two_steps() {
    let chain = story_chain();
    assert_eq!(chain.operator().unwrap(), OPERATOR);
    let refusal = refused(&chain, |l1| l1.offer_operator(ALICE, Some(ALICE), T0));
    assert!(matches!(refusal, Refusal::NotOperator { .. }), "{refusal}");
    let refusal = refused(&chain, |l1| l1.offer_operator(OPERATOR, Some(OPERATOR), T0));
    assert!(
        matches!(refusal, Refusal::OfferedToItself { .. }),
        "{refusal}"
    );
    let not_offered = |chain: &Chain, caller| {
        let refusal = refused(chain, |l1| l1.accept_operator(caller, T0));
        assert!(matches!(refusal, Refusal::NotOffered { .. }), "{refusal}");
    };
    not_offered(&chain, ALICE);
    not_offered(&chain, l1::bytes::Bytes([0; 20]));
    for to in [None, Some(l1::bytes::Bytes([0; 20]))] {
        chain.offer_operator(OPERATOR, Some(ALICE), T0).unwrap();
        chain.offer_operator(OPERATOR, to, T0).unwrap();
        assert_eq!(chain.offered_operator().unwrap(), None);
        not_offered(&chain, ALICE);
    }
    chain.offer_operator(OPERATOR, Some(ALICE), T0).unwrap();
    chain.offer_operator(OPERATOR, Some(BOB), T0).unwrap();
    not_offered(&chain, ALICE);
    not_offered(&chain, OPERATOR);
    assert_eq!(chain.operator().unwrap(), OPERATOR, "an offer is no more");

    // Fees from before belong to the operator before, from then on to the new one.
    assert_eq!(chain.accept_operator(BOB, T0).unwrap(), 3 * FEE);
    assert_eq!(chain.operator().unwrap(), BOB);
    assert_eq!(chain.offered_operator().unwrap(), None);
    not_offered(&chain, BOB);
    chain.request_exit(ALICE, 1, FEE, T0).unwrap();
    let refusal = refused(&chain, |l1| l1.collect_fees(OPERATOR, T0));
    assert!(matches!(refusal, Refusal::NotOperator { .. }), "{refusal}");
    assert_eq!(chain.claim(OPERATOR, 0, T0).unwrap(), 3 * FEE);
    assert_eq!(chain.collect_fees(BOB, T0).unwrap(), FEE);

    let first = &story().first;
    let refusal = refused(&chain, |l1| {
        l1.submit_batch(OPERATOR, &first.submission, T1)
    });
    assert!(matches!(refusal, Refusal::NotOpen { .. }), "{refusal}");
    chain.submit_batch(BOB, &first.submission, T1).unwrap();
    assert_conserved(&chain, &first.state);
}

#[test]
fn a_hand_over_gives_no_further_hour_and_closes_nothing() {
    let chain = taken_over();
    chain.return_operator(OPERATOR, LATE).unwrap();
    chain.offer_operator(OPERATOR, Some(MALLORY), LATE).unwrap();
    chain.accept_operator(MALLORY, LATE).unwrap();
    let until = LATE + OPERATORS_HOUR;
    assert_eq!(
        right(&chain, until),
        SubmissionRight::OperatorsHour { until }
    );
    let after = LATE + TAKEOVER_AFTER - 1;
    let refusal = refused(&chain, |l1| l1.return_operator(MALLORY, after));
    assert!(
        matches!(refusal, Refusal::ReturnTooSoon { .. }),
        "{refusal}"
    );
    assert_eq!(right(&chain, after), open_since(2, true));
    let rest = &batches().rest.submission;
    chain.submit_batch(CAROL, rest, until + 1).unwrap();
}

#[test]
fn a_reorg_takes_take_over_return_and_hand_over_back() {
    let mut chain = story_chain();
    let mut pictures = vec![picture(&chain)];
    let Batches { full, rest, .. } = batches();
    let calls: [&dyn Fn(&NativeL1); 5] = [
        &|l1| drop(l1.submit_batch(ALICE, &full.submission, LATE).unwrap()),
        &|l1| l1.return_operator(OPERATOR, LATE).unwrap(),
        &|l1| l1.offer_operator(OPERATOR, Some(BOB), LATE).unwrap(),
        &|l1| assert_eq!(l1.accept_operator(BOB, LATE).unwrap(), 3 * FEE),
        &|l1| drop(l1.submit_batch(BOB, &rest.submission, LATE).unwrap()),
    ];
    for call in calls {
        call(&chain);
        pictures.push(picture(&chain));
    }
    for before in pictures.iter().rev().skip(1) {
        chain.l1.reorg(1).unwrap();
        assert_eq!(picture(&chain), *before);
    }
    // Other blocks: the operator was there in time, and the offer was to somebody else.
    let first = &story().first.submission;
    chain.submit_batch(OPERATOR, first, T1).unwrap();
    assert!(!chain.head().unwrap().taken_over);
    chain.offer_operator(OPERATOR, Some(CAROL), T1).unwrap();
    let refusal = refused(&chain, |l1| l1.accept_operator(BOB, T1));
    assert!(matches!(refusal, Refusal::NotOffered { .. }), "{refusal}");
}

#[test]
fn a_frozen_chain_has_nobody_who_submits() {
    for chain in [story_chain(), taken_over()] {
        chain.offer_operator(OPERATOR, Some(ALICE), LATE).unwrap();
        freeze(&chain);
        let rest = &batches().rest.submission;
        assert_eq!(right(&chain, LATE), SubmissionRight::Nobody);
        let frozen = |refusal| assert!(matches!(refusal, Refusal::Frozen), "{refusal}");
        frozen(refused(&chain, |l1| l1.submit_batch(MALLORY, rest, LATE)));
        frozen(refused(&chain, |l1| l1.return_operator(OPERATOR, LATE)));
        frozen(refused(&chain, |l1| {
            l1.offer_operator(OPERATOR, None, LATE)
        }));
        frozen(refused(&chain, |l1| l1.accept_operator(ALICE, LATE)));
        assert_eq!(chain.collect_fees(OPERATOR, LATE).unwrap(), 3 * FEE);
    }
}

#[test]
fn times_of_a_deployment_are_bounded() {
    let check = |change: &dyn Fn(&mut l1::Parameters)| {
        let mut parameters = parameters();
        change(&mut parameters);
        parameters.check().map_err(|error| error.to_string())
    };
    let takeover = |least, got| {
        format!(
            "takeover_after is {got} s: it must be at least {least} s, that is two hours and more than timestamp_slack"
        )
    };
    let freeze = |least, got| {
        format!(
            "freeze_after is {got} s: it must be at least {least} s, twice takeover_after, and at most 7776000 s, 90 days"
        )
    };
    let refused = [
        (
            takeover(TAKEOVER_AFTER + 1, TAKEOVER_AFTER),
            check(&|p| p.timestamp_slack = TAKEOVER_AFTER),
        ),
        (
            takeover(u64::MAX, TAKEOVER_AFTER),
            check(&|p| p.timestamp_slack = u64::MAX),
        ),
        (
            takeover(7_200, 7_199),
            check(&|p| (p.timestamp_slack, p.takeover_after) = (0, 7_199)),
        ),
        (
            freeze(2 * TAKEOVER_AFTER, 2 * TAKEOVER_AFTER - 1),
            check(&|p| p.freeze_after = 2 * TAKEOVER_AFTER - 1),
        ),
        (
            freeze(2 * TAKEOVER_AFTER, 7_776_001),
            check(&|p| p.freeze_after = 7_776_001),
        ),
        (
            freeze(u64::MAX, u64::MAX),
            check(&|p| (p.takeover_after, p.freeze_after) = (u64::MAX, u64::MAX)),
        ),
    ];
    for (expected, got) in refused {
        assert_eq!(got, Err(expected));
    }
    check(&|p| p.timestamp_slack = TAKEOVER_AFTER - 1).unwrap();
    check(&|p| p.freeze_after = 2 * TAKEOVER_AFTER).unwrap();
    check(&|p| p.freeze_after = 7_776_000).unwrap();
    check(&|p| (p.timestamp_slack, p.takeover_after) = (0, 7_200)).unwrap();
}
