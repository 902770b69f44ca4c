//! What waits on its way to finality, and for what, in words.

use std::ops::Range;

use ledger::time::Utc;
use rollup::Wait;

use crate::ui::count;

/// A line for each, after what stands before.
pub fn lines(waits: &[Wait]) -> String {
    waits
        .iter()
        .map(|wait| format!("\n{}", line(wait)))
        .collect()
}

/// One in words.
pub fn line(wait: &Wait) -> String {
    match wait {
        Wait::Confirmations {
            entries,
            blocks,
            needed,
        } => format!(
            "waiting for confirmations: {}, the oldest with {blocks} of {needed} blocks on top",
            of_queue(entries)
        ),
        Wait::Deposits {
            operations,
            entries,
        } => format!(
            "waiting for deposits to be confirmed again ({}): {} operations of batches that were reopened",
            of_queue(entries),
            count(*operations)
        ),
        Wait::Sealing {
            entries,
            operations,
        } => format!(
            "waiting for the operator's next batch: {} entries of the L1 queue, {} operations",
            count(*entries),
            count(*operations)
        ),
        Wait::Nonces { operations } => format!(
            "waiting for a nonce that no operation has: {} operations; `quire mempool list` says which",
            count(*operations)
        ),
        Wait::Proving { batches, first } => format!(
            "waiting for a proof (`quire prove`): {} batches from batch {first} on",
            count(*batches)
        ),
        Wait::Submission {
            batches,
            first,
            operator,
            anybody_from,
        } => {
            let others = anybody_from.map_or_else(String::new, |time| {
                format!("; anybody may from {} on", Utc(time))
            });
            format!(
                "waiting for the operator, {operator}, who may submit (`quire submit`): {} proven batches from batch {first} on{others}",
                count(*batches)
            )
        }
        Wait::Nothing {
            operations,
            batches,
            entries,
        } => format!(
            "L1 is frozen and takes no batch: {} operations, {} batches and {} entries of its queue will not become final; leave with `quire exit plan`",
            count(*operations),
            count(*batches),
            count(*entries)
        ),
    }
}

/// Entries of the queue by their numbers.
fn of_queue(entries: &Range<u64>) -> String {
    let last = entries.end.saturating_sub(1);
    match entries.start == last {
        true => format!("entry {last} of the L1 queue"),
        false => format!("entries {} to {last} of the L1 queue", entries.start),
    }
}

/// Operations that were acknowledged and never execute; nothing if there are none.
pub fn dropped(operations: usize) -> String {
    match operations {
        0 => String::new(),
        _ => format!(
            "\n{} operations were dropped as invalid: `quire tx ID` says why for each",
            count(operations)
        ),
    }
}
