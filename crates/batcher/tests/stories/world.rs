//! A small deployment: accounts 1 to 8 of token 0, accounts 9 and 10 of token 1, account 1 takes
//! the fees in token 0.

use std::collections::BTreeMap;

use batcher::{
    Batcher, Limits, OperationId, QueueEntry, RestoredBatch, Settings, SignedOperation, StoredBatch,
};
use ledger::account::Account;
use ledger::eddsa::PrivateKey;
use ledger::float::{Float16, Float40};
use ledger::operation::{self, L1Op, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::shape::Shape;
use tempfile::TempDir;

pub const NOW: u64 = 1_700_000_000;
/// Finalized batches that can be undone.
pub const UNDO_WINDOW: u64 = 64;
/// L1's Δ; sealing pauses after 3/4 of it.
pub const SLACK: u64 = 3600;
pub const OPENING: u128 = 1_000_000;

/// Transfers only, four of them.
pub const TRANSFERS: Shape = Shape {
    id: 1,
    depth: 6,
    l1_ops: 0,
    transfers: 4,
    withdrawals: 0,
    fee_slots: 2,
    cached_levels: 2,
};

/// Two of everything, and fewer updates than [`TRANSFERS`].
pub const MIXED: Shape = Shape {
    id: 2,
    l1_ops: 2,
    transfers: 2,
    withdrawals: 2,
    fee_slots: 1,
    ..TRANSFERS
};

pub fn key(index: u32) -> PrivateKey {
    PrivateKey::derive("batcher tests", &index.to_be_bytes())
}

pub fn token(index: u32) -> u32 {
    u32::from(index >= 9)
}

pub fn genesis() -> Vec<(u32, Account)> {
    let account = |index| Account::new(key(index).public_key(), token(index), OPENING);
    (1..=10).map(|index| (index, account(index))).collect()
}

pub fn settings() -> Settings {
    Settings {
        domain: operation::domain(0, &[3; 20], &[0; 32]),
        genesis: [5; 32],
        shapes: vec![TRANSFERS, MIXED],
        fee_accounts: BTreeMap::from([(0, 1)]),
        limits: Limits::default(),
        max_age: 30,
        timestamp_slack: SLACK,
        undo_window: UNDO_WINDOW,
    }
}

pub fn world() -> (TempDir, Batcher) {
    world_with(settings())
}

pub fn world_with(settings: Settings) -> (TempDir, Batcher) {
    let folder = TempDir::new().unwrap();
    let batcher = Batcher::create(folder.path(), settings, genesis()).unwrap();
    (folder, batcher)
}

/// A transfer without a fee that never expires.
pub fn plain(from: u32, to: u32, amount: u128, nonce: u64) -> Transfer {
    Transfer {
        from,
        to,
        amount: Float40::exact(amount).unwrap(),
        fee: Float16::default(),
        nonce,
        valid_until: NO_EXPIRY,
        token: token(from),
    }
}

pub fn signed<T: Signable>(op: T) -> SignedOperation
where
    SignedOperation: From<operation::Signed<T>>,
{
    op.sign(&key(op.fields().from), &settings().domain).into()
}

pub fn transfer(from: u32, to: u32, amount: u128, nonce: u64) -> SignedOperation {
    signed(plain(from, to, amount, nonce))
}

pub fn withdraw(from: u32, amount: u128, nonce: u64) -> SignedOperation {
    signed(Withdraw {
        from,
        amount: Float40::exact(amount).unwrap(),
        fee: Float16::default(),
        nonce,
        valid_until: NO_EXPIRY,
        token: token(from),
    })
}

pub fn id(operation: &SignedOperation) -> OperationId {
    operation.id(&settings().domain)
}

/// Submits operations that are all acknowledged.
pub fn accept(batcher: &mut Batcher, operations: &[SignedOperation]) {
    let verdicts = batcher.submit_many(operations, NOW).unwrap();
    for (operation, verdict) in operations.iter().zip(verdicts) {
        assert_eq!(verdict, Ok(id(operation)));
    }
}

pub fn balance(batcher: &Batcher, index: u32) -> u128 {
    batcher.state().account(index).unwrap().balance
}

pub fn queue(ops: &[L1Op]) -> Vec<QueueEntry> {
    let entry = |(number, op): (u64, &L1Op)| QueueEntry { number, op: *op };
    (0..).zip(ops).map(entry).collect()
}

/// What L1 has of a finalized batch.
pub fn on_l1(batcher: &Batcher, number: u64) -> RestoredBatch {
    let StoredBatch::Finalized(batch) = batcher.batch(number).unwrap() else {
        panic!("batch {number} is finalized");
    };
    RestoredBatch {
        words: batch.batch().words().clone(),
        shape: *batch.batch().shape(),
        queue: batch.batch().queue(),
        proof: batch.proof().to_vec(),
        time: batcher.times(number).unwrap().finalized.unwrap(),
    }
}

/// Seals what waits, if anything does, and notes the batch as final at `now`.
pub fn seal_final(batcher: &mut Batcher, queue: &[QueueEntry], now: u64) -> Option<RestoredBatch> {
    let batch = batcher.seal(queue, now).unwrap()?;
    let number = batch.number();
    let proof = number.to_be_bytes().to_vec();
    let proved = batcher.record_proof(batch, proof, now).unwrap();
    batcher.record_finalized(proved, now).unwrap();
    Some(on_l1(batcher, number))
}

/// Brings a batcher in line with the batches that L1 has: finality is rolled back, batches of its
/// own are opened, the others' are executed.
pub fn follow(batcher: &mut Batcher, on_l1: &[RestoredBatch]) -> Result<(), String> {
    let text_of = |error: &dyn ToString| error.to_string();
    let place = |number: u64| usize::try_from(number).unwrap() - 1;
    let last = u64::try_from(on_l1.len()).unwrap();
    let end = last.min(batcher.status().sealed);
    let same = |number: &u64| {
        let stored = batcher.batch(*number).unwrap();
        stored.batch().words() == &on_l1[place(*number)].words
    };
    let common = (1..=end).take_while(same).last().unwrap_or(0);
    if batcher.status().finalized > common {
        let rolled = batcher.roll_back_finalized(common);
        rolled.map_err(|error| text_of(&error))?;
    }
    for number in batcher.status().finalized + 1..=common {
        let RestoredBatch { proof, time, .. } = on_l1[place(number)].clone();
        let batch = batcher.batch(number).unwrap().batch().clone();
        let proved = batcher.record_proof(batch, proof, time);
        let proved = proved.map_err(|error| text_of(&error))?;
        let finalized = batcher.record_finalized(proved, time);
        finalized.map_err(|error| text_of(&error))?;
    }
    if last == common {
        return Ok(());
    }
    if batcher.status().sealed > common {
        let reopened = batcher.reopen(common + 1);
        reopened.map_err(|error| text_of(&error))?;
    }
    let applied = batcher.apply_finalized(&on_l1[place(common + 1)..]);
    applied.map(drop).map_err(|error| text_of(&error))
}
