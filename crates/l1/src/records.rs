//! The records of the database one by one, for the fuzzer.
//!
//! Invariant of each kind: what decodes encodes to the same bytes again, symbols aside that are not shown any
//! more. Verifying keys and genesis, which are records too, are public types with checks of their own.

use crate::batch::FinalizedBatch;
use crate::escrow::TokenTotals;
use crate::genesis::Deployment;
use crate::head::Head;
use crate::journal::Block;
use crate::queue::QueueEntry;
use crate::registry::Registration;
use crate::token::TokenDisplay;

/// Names of the tables that have records, and `head`, the record of that name in `meta`.
pub const KINDS: [&str; 7] = [
    "head",
    "registry",
    "queue",
    "totals",
    "batches",
    "journal",
    "token displays",
];

/// Decodes a record of a kind, by its place in [`KINDS`], of number 1 on a deployment; true if it
/// is one.
///
/// # Panics
/// If what decodes encodes to other bytes.
pub fn check(kind: usize, record: &[u8], on: &Deployment) -> bool {
    let encoded = match KINDS[kind % KINDS.len()] {
        "head" => Head::from_bytes(record).ok().map(Head::to_bytes),
        "registry" => Registration::from_bytes(record)
            .ok()
            .map(Registration::to_bytes),
        "queue" => QueueEntry::from_bytes(1, record)
            .ok()
            .map(QueueEntry::to_bytes),
        "totals" => TokenTotals::from_bytes(record)
            .ok()
            .map(TokenTotals::to_bytes),
        "batches" => {
            let batch = FinalizedBatch::from_bytes(1, record, on).ok();
            batch.map(|batch| batch.to_bytes())
        }
        "token displays" => {
            let display = TokenDisplay::from_record(record).ok();
            display.map(|display| token_record(record, &display))
        }
        _ => Block::from_bytes(record).ok().map(|block| block.to_bytes()),
    };
    if let Some(encoded) = &encoded {
        assert!(
            encoded == record,
            "a record of kind {kind} that decodes encodes to other bytes"
        );
    }
    encoded.is_some()
}

/// The record of a token's display. Of one without a symbol it is `record` itself, since a symbol that only
/// earlier versions kept is read as none.
fn token_record(record: &[u8], display: &TokenDisplay) -> Vec<u8> {
    let encoded = display.to_record();
    if display.symbol().is_some() {
        return encoded;
    }
    assert!(
        TokenDisplay::from_record(&encoded).as_ref() == Ok(display),
        "what a token is shown as is encoded to something else"
    );
    record.to_vec()
}
