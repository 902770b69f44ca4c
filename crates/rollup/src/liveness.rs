//! Whether L1 goes on: open, freezable or frozen, and what waits for how long.

use std::fmt;

use l1::{NativeL1, StoreError};
use ledger::field::to_hex;
use ledger::time::{Span, Utc};
use serde::Serialize;

/// How far L1 is from being frozen. Times are L1's, in seconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct Liveness {
    frozen: bool,
    /// True if anybody may freeze L1 now.
    freezable: bool,
    /// From when on anybody may; none if nothing waits, or L1 is frozen.
    freeze_from: Option<u64>,
    /// The oldest entry of the L1 queue that no batch has executed, and since when it waits.
    oldest_entry: Option<u64>,
    oldest_since: Option<u64>,
    /// The last final batch and the root after it, with which L1 is frozen.
    final_batch: u64,
    final_root: String,
    #[serde(skip)]
    now: u64,
}

impl Liveness {
    /// Of an L1 whose clock says `now`.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn of(l1: &NativeL1, now: u64) -> Result<Self, StoreError> {
        let head = l1.head()?;
        let after = l1.deployment().parameters().freeze_after;
        let oldest = l1.pending(1)?.pop();
        let since = oldest.as_ref().map(|entry| entry.time);
        let freeze_from = since.filter(|_| !head.frozen);
        let freeze_from = freeze_from.map(|time| time.saturating_add(after).saturating_add(1));
        Ok(Self {
            frozen: head.frozen,
            freezable: freeze_from.is_some_and(|time| time <= now),
            freeze_from,
            oldest_entry: oldest.map(|entry| entry.number),
            oldest_since: since,
            final_batch: head.next_batch - 1,
            final_root: to_hex(&head.root),
            now,
        })
    }

    /// From when on anybody may freeze L1; none if nothing waits, or it is frozen.
    pub fn freeze_from(&self) -> Option<u64> {
        self.freeze_from
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            final_batch,
            final_root,
            now,
            ..
        } = self;
        if self.frozen {
            return write!(
                f,
                "FROZEN for good, after batch {final_batch} with root {final_root}: leave with `quire exit plan ACCOUNT`, `quire exit execute PLAN` and `quire claim`"
            );
        }
        let waits = self.oldest_entry.zip(self.oldest_since);
        let Some(((entry, since), freeze_from)) = waits.zip(self.freeze_from) else {
            return f.write_str("open; nothing waits in its queue, so nobody may freeze it");
        };
        let (date, waited) = (Utc(since), Span(now.saturating_sub(since)));
        if self.freezable {
            return write!(
                f,
                "FREEZABLE since {}: entry {entry} of its queue has waited since {date}, {waited}; anybody may freeze it with `quire freeze`",
                Utc(freeze_from)
            );
        }
        write!(
            f,
            "open; entry {entry} of its queue has waited since {date}, {waited}; unless a batch executes it, anybody may freeze L1 from {} on, in {}",
            Utc(freeze_from),
            Span(freeze_from.saturating_sub(*now))
        )
    }
}
