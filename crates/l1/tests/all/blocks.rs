//! Blocks, time, confirmations and reorgs.

use std::path::Path;

use l1::{BatchFault, Confirmed, NativeL1, REORG_WINDOW, Refusal};
use prover::key::AllowDevKeys;
use redb::{Database, Key, ReadableDatabase, ReadableTable, TableDefinition, Value};

use crate::fixture::*;

fn open(path: &Path) -> NativeL1 {
    NativeL1::open(path, AllowDevKeys::Yes).unwrap()
}

/// Where a chain is: height and time.
fn place(l1: &NativeL1) -> (u64, u64) {
    let head = l1.head().unwrap();
    (head.height, head.time)
}

#[test]
fn every_call_is_a_block_and_a_refused_one_is_none() {
    let mut chain = chain(&genesis());
    assert_eq!(place(&chain), (0, 0));
    let key = setup().key.verifying_key();
    chain.l1.register_key(OPERATOR, TINY.id, key, T0).unwrap();
    assert_eq!(place(&chain), (1, T0));
    chain
        .deposit_all(&vec![deposit_of(CAROL, "carol", 0, 1); 3], T0 + 7)
        .unwrap();
    chain.top_up(ALICE, 2, 1, FEE, T0 + 9).unwrap();
    refused(&chain, |l1| l1.top_up(ALICE, 2, 0, FEE, T0 + 10));
    assert_eq!(place(&chain), (3, T0 + 9));
    let blocks: Vec<_> = chain.queue(0, 9).unwrap();
    let blocks: Vec<_> = blocks
        .iter()
        .map(|entry| (entry.height, entry.time))
        .collect();
    assert_eq!(blocks, [(2, T0 + 7), (2, T0 + 7), (2, T0 + 7), (3, T0 + 9)]);

    let chain = story_chain();
    let height = chain.head().unwrap().height;
    let both = [&story().first, &story().second].map(|batch| batch.submission.clone());
    let batches = chain.submit_batches(OPERATOR, &both, T2).unwrap();
    for batch in &batches {
        assert_eq!((batch.height, batch.time), (height + 1, T2));
        assert_eq!(chain.batch(batch.number).unwrap().as_ref(), Some(batch));
    }
    chain.claim(BOB, 0, T2 + 1).unwrap();
    chain.collect_fees(OPERATOR, T2 + 2).unwrap();
    assert_eq!(place(&chain), (height + 3, T2 + 2));
}

#[test]
fn h14_time_never_goes_back() {
    let chain = chain_with_key(&genesis());
    assert_eq!(chain.time(T0 - 5).unwrap(), T0);
    assert_eq!(chain.time(T0 + 5).unwrap(), T0 + 5);
    chain.top_up(ALICE, 2, 1, FEE, 0).unwrap();
    assert_eq!(place(&chain), (2, T0));
    chain.advance_time(100).unwrap();
    assert_eq!(place(&chain), (2, T0), "moving the clock is no block");
    assert_eq!(chain.time(T0).unwrap(), T0 + 100);
    chain.top_up(ALICE, 2, 1, FEE, T0).unwrap();
    assert_eq!(place(&chain), (3, T0 + 100));
    chain.advance_time(1).unwrap();
    let Chain { l1, folder } = chain;
    drop(l1);
    let l1 = open(&folder.path().join("l1.redb"));
    assert_eq!(l1.time(T0).unwrap(), T0 + 101);
    assert_eq!(l1.time(u64::MAX).unwrap(), u64::MAX);
    let limit = 1 << 39;
    for seconds in [limit - 101, u64::MAX] {
        let refusal = refused(&l1, |l1| l1.advance_time(seconds));
        assert!(matches!(refusal, Refusal::ClockTooFar { offset: 101, .. }));
    }
    l1.advance_time(limit - 102).unwrap();
}

/// A time that no batch can have is never a block's: no batch could follow it, for ever.
#[test]
fn no_block_has_a_time_beyond_timestamps() {
    let chain = chain_with_key(&genesis());
    let before = picture(&chain);
    let end = 1 << 40;
    for now in [end, end + 1, u64::MAX] {
        let refusal = refused(&chain, |l1| l1.top_up(ALICE, 2, 1, FEE, now));
        assert!(matches!(refusal, Refusal::TimeTooFar { limit, .. } if limit == end));
        let refusal = refused(&chain, |l1| l1.mine(1, now));
        assert!(matches!(refusal, Refusal::TimeTooFar { .. }));
    }
    assert_eq!(picture(&chain), before);
    // Both at their ends, the system's clock and the offset leave room for a block.
    chain.advance_time((1 << 39) - 1).unwrap();
    chain.mine(1, 1 << 39).unwrap();
    assert_eq!(place(&chain), (2, end - 1));
}

#[test]
fn a_batch_is_judged_by_l1s_time() {
    let chain = story_chain();
    let first = &story().first.submission;
    chain.advance_time(T1 - T0).unwrap();
    chain.submit_batch(OPERATOR, first, T0).unwrap();
    chain.advance_time(2 * SLACK).unwrap();
    let got = fault(&chain, &story().second.submission, T0);
    assert!(
        matches!(got, BatchFault::Timestamp { got: T2, .. }),
        "{got}"
    );
}

#[test]
fn mined_blocks_are_empty_and_can_be_dropped_one_by_one() {
    let mut chain = story_chain();
    let (height, _) = place(&chain);
    let before = picture(&chain);
    assert_eq!(chain.mine(0, T1).unwrap(), chain.head().unwrap());
    assert_eq!(picture(&chain), before);
    assert_eq!(chain.mine(1, T1).unwrap().height, height + 1);
    assert_eq!(chain.mine(5, T1 + 9).unwrap().height, height + 6);
    assert_eq!(place(&chain), (height + 6, T1 + 9));
    let head = chain.l1.reorg(2).unwrap();
    assert_eq!((head.height, head.time), (height + 4, T1 + 9));
    chain.l1.reorg(3).unwrap();
    assert_eq!(place(&chain), (height + 1, T1));
    chain.l1.reorg(1).unwrap();
    assert_eq!(picture(&chain), before);
    // So high that the next block would not fit is too high already.
    let next = place(&chain).0 + 1;
    for blocks in [u64::MAX, u64::MAX - next, (1 << 63) - next + 1] {
        let refusal = refused(&chain, |l1| l1.mine(blocks, T1));
        assert!(matches!(refusal, Refusal::TooManyBlocks { .. }));
    }
    let high = chain.mine((1 << 63) - next, T1).unwrap().height;
    assert_eq!(high, (1 << 63) - 1);
    chain.l1.collect_fees(OPERATOR, T1).unwrap();
    assert_eq!(place(&chain).0, 1 << 63);
}

/// A reorg that must be refused without a trace.
fn too_deep(chain: &mut Chain, blocks: u64, window: u64) {
    let before = picture(&chain.l1);
    let error = chain.l1.reorg(blocks).unwrap_err();
    let l1::L1Error::Refused(Refusal::ReorgTooDeep {
        blocks: b,
        window: w,
    }) = error
    else {
        panic!("{error}");
    };
    assert_eq!((b, w), (blocks, window));
    assert_eq!(picture(&chain.l1), before);
}

#[test]
fn a_reorg_is_bounded_by_the_window_and_by_genesis() {
    let mut chain = story_chain();
    let (height, _) = place(&chain);
    too_deep(&mut chain, height + 1, height);
    too_deep(&mut chain, u64::MAX, height);
    chain.l1.reorg(0).unwrap();
    for blocks in [REORG_WINDOW - 1, 1, 3 * REORG_WINDOW + 5] {
        let mut chain = story_chain();
        let before = picture(&chain);
        chain.mine(blocks, T1).unwrap();
        let kept = REORG_WINDOW.min(height + blocks);
        too_deep(&mut chain, kept + 1, kept);
        if blocks <= kept {
            chain.l1.reorg(blocks).unwrap();
            assert_eq!(picture(&chain), before);
        } else {
            let head = chain.l1.reorg(kept).unwrap();
            assert_eq!(head.height, height + blocks - kept);
            too_deep(&mut chain, 1, 0);
        }
        let Chain { l1, folder } = chain;
        let before = picture(&l1);
        drop(l1);
        assert_eq!(picture(&open(&folder.path().join("l1.redb"))), before);
    }
}

#[test]
fn confirmations_count_the_blocks_on_top() {
    let chain = story_chain();
    let confirmed = |confirmations, queue_tail, batches| {
        let expected = Confirmed {
            queue_tail,
            batches,
        };
        assert_eq!(chain.confirmed(confirmations).unwrap(), expected);
    };
    // Block 1 is the key, 2 to 4 are the queue.
    for (confirmations, queue_tail) in [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0), (u64::MAX, 0)] {
        confirmed(confirmations, queue_tail, 0);
    }
    chain
        .submit_batch(OPERATOR, &story().first.submission, T1)
        .unwrap();
    confirmed(0, 3, 1);
    confirmed(1, 3, 0);
    chain
        .submit_batch(OPERATOR, &story().second.submission, T2)
        .unwrap();
    confirmed(0, 3, 2);
    confirmed(1, 3, 1);
    confirmed(2, 3, 0);
    chain.mine(10, T2).unwrap();
    confirmed(10, 3, 2);
    confirmed(11, 3, 1);
    confirmed(14, 1, 0);
    confirmed(15, 0, 0);
}

/// All records of a table as bytes.
fn records<K: Key + 'static, V: Value + 'static>(
    db: &Database,
    name: &'static str,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let txn = db.begin_read().unwrap();
    let table = txn.open_table(TableDefinition::<K, V>::new(name)).unwrap();
    let each = table.iter().unwrap().map(|record| {
        let (key, value) = record.unwrap();
        let key = K::as_bytes(&key.value()).as_ref().to_vec();
        (key, V::as_bytes(&value.value()).as_ref().to_vec())
    });
    each.collect()
}

/// Every record of the closed file.
fn dump(path: &Path) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let db = Database::open(path).unwrap();
    vec![
        records::<&str, &[u8]>(&db, "meta"),
        records::<u32, &[u8]>(&db, "genesis_accounts"),
        records::<u32, &[u8]>(&db, "registry"),
        records::<u64, &[u8]>(&db, "queue"),
        records::<u32, u64>(&db, "pending_exits"),
        records::<u32, &[u8]>(&db, "totals"),
        records::<(&[u8; 20], u32), u128>(&db, "claimable"),
        records::<u64, &[u8]>(&db, "batches"),
        records::<u16, &[u8]>(&db, "keys"),
        records::<u32, u128>(&db, "exited"),
        records::<u64, u128>(&db, "cancelled"),
        records::<u64, &[u8]>(&db, "journal"),
    ]
}

/// Every kind of call, one block each.
fn calls() -> Vec<fn(&mut NativeL1)> {
    vec![
        |l1| {
            let key = setup().key.verifying_key();
            l1.register_key(OPERATOR, TINY.id, key, T0).unwrap();
        },
        |l1| {
            l1.deposit(&deposit_of(CAROL, "carol", 0, 5_000), T0)
                .unwrap();
        },
        |l1| {
            l1.top_up(ALICE, 2, 100, FEE, T0).unwrap();
        },
        |l1| {
            l1.request_exit(BOB, 2, FEE, T0).unwrap();
        },
        |l1| {
            let first = &story().first.submission;
            l1.submit_batch(OPERATOR, first, T1).unwrap();
        },
        |l1| {
            l1.claim(BOB, 0, T1).unwrap();
        },
        |l1| {
            let second = &story().second.submission;
            l1.submit_batch(OPERATOR, second, T2).unwrap();
        },
        |l1| {
            l1.collect_fees(OPERATOR, T2).unwrap();
        },
        |l1| {
            let deposits = vec![deposit_of(BOB, "bob", 1, 9); 2];
            l1.deposit_all(&deposits, T2).unwrap();
        },
        |l1| {
            l1.request_exit(BOB, 2, FEE, T2).unwrap();
        },
        |l1| {
            l1.mine(1, T2).unwrap();
        },
        |l1| l1.offer_operator(OPERATOR, Some(CAROL), T2).unwrap(),
        |l1| {
            assert_eq!(l1.accept_operator(CAROL, T2).unwrap(), 3 * FEE);
        },
        |l1| l1.return_operator(CAROL, T2 + TAKEOVER_AFTER + 1).unwrap(),
        |l1| l1.freeze(T2 + FREEZE_AFTER + 1).unwrap(),
        |l1| {
            let exit = exit_of(&story().second.state, 4);
            assert_eq!(l1.exit(&exit, T2).unwrap(), 2_990);
        },
        |l1| {
            l1.cancel_deposit(4, T2).unwrap();
        },
        |l1| {
            l1.claim(BOB, 1, T2).unwrap();
        },
    ]
}

/// G4, G5: whatever the dropped blocks did is gone, byte by byte.
#[test]
fn g4_g5_a_reorg_restores_every_record_of_every_table() {
    let Chain { l1, folder } = chain(&genesis());
    let path = folder.path().join("l1.redb");
    drop(l1);
    let mut states = vec![dump(&path)];
    let mut pictures = vec![picture(&open(&path))];
    for call in calls() {
        let mut l1 = open(&path);
        call(&mut l1);
        pictures.push(picture(&l1));
        drop(l1);
        states.push(dump(&path));
    }
    let whole = std::fs::read(&path).unwrap();
    for blocks in 0..states.len() {
        std::fs::write(&path, &whole).unwrap();
        let mut l1 = open(&path);
        l1.reorg(u64::try_from(blocks).unwrap()).unwrap();
        let expected = states.len() - 1 - blocks;
        assert_eq!(picture(&l1), pictures[expected], "after {blocks} blocks");
        drop(l1);
        assert_eq!(dump(&path), states[expected], "after {blocks} blocks");
        // The same calls again lead to the same chain.
        let mut l1 = open(&path);
        for call in &calls()[expected..] {
            call(&mut l1);
        }
        assert_eq!(picture(&l1), *pictures.last().unwrap());
    }
}

#[test]
fn g4_after_a_reorg_other_deposits_take_the_place() {
    let mut chain = story_chain();
    chain.l1.reorg(3).unwrap();
    assert_eq!(chain.queue(0, 9).unwrap(), []);
    assert_eq!(chain.registered(4).unwrap(), None);
    let other = deposit_of(ALICE, "alice", 0, 5_000);
    assert_eq!(chain.deposit(&other, T0).unwrap(), 4);
    chain.top_up(ALICE, 2, 100, FEE, T0).unwrap();
    let got = fault(&chain, &story().first.submission, T1);
    let entry = BatchFault::NotTheQueueEntry { slot: 0, entry: 0 };
    assert_eq!(got, entry, "the batch was made for the lost deposit");
    assert_conserved(&chain, &genesis().state());
}

#[test]
fn g5_a_lost_batch_is_submitted_again_and_pays_once() {
    let mut chain = story_chain();
    let Story { first, second, .. } = story();
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    let once = picture(&chain);
    assert_eq!(chain.claim(BOB, 0, T1).unwrap(), 1_000);
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    chain.l1.reorg(3).unwrap();
    assert_eq!(chain.claims().unwrap(), []);
    assert_conserved(&chain, &genesis().state());
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    assert_eq!(picture(&chain), once);
    assert_eq!(chain.claim(BOB, 0, T1).unwrap(), 1_000);
    refused(&chain, |l1| l1.claim(BOB, 0, T1));
    assert_conserved(&chain, &first.state);
}

#[test]
fn a_reorg_takes_a_key_along() {
    let mut chain = chain_with_key(&genesis());
    chain.l1.reorg(1).unwrap();
    assert_eq!(chain.key(TINY.id), None);
    fill_queue(&chain);
    let batch = &story().first.submission;
    let refusal = refused(&chain, |l1| l1.submit_batch(OPERATOR, batch, T1));
    assert!(matches!(refusal, Refusal::NoKey { shape_id: 1 }));
    let key = setup().key.verifying_key();
    chain.l1.register_key(OPERATOR, TINY.id, key, T1).unwrap();
    chain.submit_batch(OPERATOR, batch, T1).unwrap();
}
