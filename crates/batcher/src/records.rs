//! The records of the database one by one, for the fuzzer.
//!
//! Invariant of each kind: what decodes encodes to the same bytes again.

use ledger::field::Fr;
use ledger::shape::Shape;
use storage::{CHECKSUM_BYTES, Writer, checksum};

use crate::batch::SealedBatch;
use crate::rows::{
    BatchTimes, Head, StoredOutcome, account_from_bytes, account_to_bytes, group_from_bytes,
    group_to_bytes, stored_operation,
};
use crate::undo::{Returned, Undo};
use crate::witness_codec;

/// Names of the tables that have records, and `head`, the record of that name in `meta`.
pub const KINDS: [&str; 10] = [
    "head",
    "accounts",
    "nodes",
    "pending",
    "verdicts",
    "batches",
    "witnesses",
    "times",
    "undo",
    "returned",
];

/// Decodes a record of a kind, by its place in [`KINDS`], of the first batch of a deployment with
/// this shape; true if it is one. Where a checksum guards the record, the right one is put in place.
///
/// # Panics
/// If what decodes encodes to other bytes.
pub fn check(kind: usize, record: &[u8], shape: &Shape, domain: &Fr) -> bool {
    let guarded = summed(record);
    let (given, encoded) = match KINDS[kind % KINDS.len()] {
        "head" => (record, Head::from_bytes(record).ok().map(Head::to_bytes)),
        "accounts" => {
            let account = account_from_bytes(record).ok();
            (record, account.map(|account| account_to_bytes(&account)))
        }
        "nodes" => {
            let group = group_from_bytes(record).ok();
            (record, group.map(|group| group_to_bytes(&group).to_vec()))
        }
        "pending" => {
            let operation = stored_operation(0, record).ok();
            let encoded = operation.map(|operation| {
                let mut out = Writer::default();
                operation.write(&mut out);
                out.finish()
            });
            (record, encoded)
        }
        "verdicts" => {
            let outcome = StoredOutcome::from_bytes(record).ok();
            (record, outcome.map(|outcome| outcome.to_bytes()))
        }
        "times" => {
            let times = BatchTimes::from_bytes(record).ok();
            (record, times.map(BatchTimes::to_bytes))
        }
        "batches" => {
            let batch = SealedBatch::from_record(&guarded, 1, domain, &[*shape]).ok();
            (&*guarded, batch.map(|batch| batch.to_record()))
        }
        "witnesses" => {
            let witness = witness_codec::decode(&guarded, shape).ok();
            (
                &*guarded,
                witness.map(|witness| witness_codec::encode(&witness)),
            )
        }
        "undo" => {
            let undo = Undo::from_record(&guarded).ok();
            (&*guarded, undo.map(|undo| undo.to_record()))
        }
        _ => {
            let returned = Returned::from_record(&guarded).ok();
            (&*guarded, returned.map(|returned| returned.to_record()))
        }
    };
    if let Some(encoded) = &encoded {
        assert!(encoded == given, "kind {kind} has another encoding");
    }
    encoded.is_some()
}

/// The record with the checksum that it should have.
fn summed(record: &[u8]) -> Vec<u8> {
    let kept = record.len().saturating_sub(CHECKSUM_BYTES);
    let mut bytes = record[..kept].to_vec();
    bytes.extend_from_slice(&checksum(&record[..kept]));
    bytes
}
