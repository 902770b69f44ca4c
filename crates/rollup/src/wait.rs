//! What an operation, queue entry or batch waits for on its way to finality.

use std::fmt;
use std::ops::Range;

use l1::Address;
use ledger::time::Utc;
use serde::Serialize;

use crate::text::count;

/// What waits, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "waits_for", rename_all = "snake_case")]
pub enum Wait {
    /// Entries of the L1 queue, for blocks on top of them.
    Confirmations {
        /// Their numbers.
        entries: Range<u64>,
        /// Blocks on top of the oldest.
        blocks: u64,
        /// Blocks that are needed.
        needed: u64,
    },
    /// Operations of batches that were reopened, for entries that they rest on to be confirmed again.
    Deposits {
        /// How many operations.
        operations: usize,
        /// Numbers of the entries.
        entries: Range<u64>,
    },
    /// Confirmed entries of the L1 queue and acknowledged operations, for a batch.
    Sealing {
        /// How many entries.
        entries: u64,
        /// How many operations.
        operations: usize,
        /// Whether anybody may submit it, not the operator alone.
        anybody: bool,
    },
    /// Operations that were acknowledged here, in a directory that serves nobody now: for somebody to hand
    /// them to whoever does.
    HandingIn {
        /// How many operations.
        operations: usize,
    },
    /// Acknowledged operations, for a nonce of their account that no operation has.
    Nonces {
        /// How many operations.
        operations: usize,
    },
    /// Sealed batches, for a proof.
    Proving {
        batches: u64,
        /// Number of the first.
        first: u64,
    },
    /// Proven batches, for whoever has the right to submit them.
    Submission {
        batches: u64,
        /// Number of the first.
        first: u64,
        /// Who always may.
        operator: Address,
        /// L1's time from which anybody may, if no batch comes before; none if nothing waits that can
        /// become overdue.
        anybody_from: Option<u64>,
    },
    /// Everything that is not final: L1 is frozen and takes no batch any more.
    Nothing {
        /// Operations that were acknowledged and no batch has.
        operations: usize,
        /// Batches that were sealed.
        batches: u64,
        /// Entries of the L1 queue.
        entries: u64,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmations {
                entries,
                blocks,
                needed,
            } => write!(
                f,
                "waiting for confirmations: {}, the oldest with {blocks} of {needed} blocks on top",
                of_queue(entries)
            ),
            Self::Deposits {
                operations,
                entries,
            } => write!(
                f,
                "waiting for deposits to be confirmed again ({}): {} operations of batches that were reopened",
                of_queue(entries),
                count(*operations)
            ),
            Self::Sealing {
                entries,
                operations,
                anybody,
            } => write!(
                f,
                "waiting for {} next batch: {} entries of the L1 queue, {} operations",
                if *anybody { "the" } else { "the operator's" },
                count(*entries),
                count(*operations)
            ),
            Self::HandingIn { operations } => write!(
                f,
                "waiting to be handed in: {} operations that were acknowledged here, where nothing is sealed now; `quire mempool export FILE` writes them, the operator's `quire accept FILE` takes them",
                count(*operations)
            ),
            Self::Nonces { operations } => write!(
                f,
                "waiting for a nonce that no operation has: {} operations; `quire mempool list` says which",
                count(*operations)
            ),
            Self::Proving { batches, first } => write!(
                f,
                "waiting for a proof (`quire prove`): {} batches from batch {first} on",
                count(*batches)
            ),
            Self::Submission {
                batches,
                first,
                operator,
                anybody_from,
            } => {
                write!(
                    f,
                    "waiting for the operator, {operator}, who may submit (`quire submit`): {} proven batches from batch {first} on",
                    count(*batches)
                )?;
                match anybody_from {
                    Some(time) => write!(f, "; anybody may from {} on", Utc(*time)),
                    None => Ok(()),
                }
            }
            Self::Nothing {
                operations,
                batches,
                entries,
            } => write!(
                f,
                "L1 is frozen and takes no batch: {} operations, {} batches and {} entries of its queue will not become final; leave with `quire exit plan`",
                count(*operations),
                count(*batches),
                count(*entries)
            ),
        }
    }
}

impl Wait {
    /// True if it is that of every operation which is not final, whatever its stage.
    pub(crate) fn is_for_all(&self) -> bool {
        matches!(self, Self::HandingIn { .. } | Self::Nothing { .. })
    }

    /// What an operation of this wait waits for, in a cell of a table.
    pub fn cell(&self) -> &'static str {
        match self {
            Self::Confirmations { .. } | Self::Deposits { .. } => "confirmations",
            Self::Sealing { .. } => "a batch",
            Self::HandingIn { .. } => "being handed in",
            Self::Nonces { .. } => "a nonce",
            Self::Proving { .. } => "a proof",
            Self::Submission { .. } => "its submission",
            Self::Nothing { .. } => "nothing: L1 is frozen",
        }
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
