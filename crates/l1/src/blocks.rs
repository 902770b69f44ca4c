//! Blocks and time: heights, confirmations, the clock, and what tests do to them.
//!
//! Every call that changes the chain is one block. Its time is that of the system's clock plus the
//! clock's offset, and never before the last block's. Invariants: dropping the last blocks restores
//! exactly what the chain was before them, registered keys included, only the clock stays moved; no
//! block has a time that a batch's timestamp cannot have.
//!
//! [`NativeL1::mine`], [`NativeL1::advance_time`] and [`NativeL1::reorg`] are controls for tests and
//! drills, as a development chain has them. A deployment that is in use never calls them.

use storage::Reader;

use crate::error::{L1Error, StoreError};
use crate::head::Head;
use crate::native::NativeL1;
use crate::queue;
use crate::store::{Snapshot, TIME_LIMIT, advance, l1_time, transact, undo};

/// The first number of seconds that the clock is never ahead: half of the range of timestamps, so
/// that a system's clock in the other half never makes a block without a timestamp.
const CLOCK_LIMIT: u64 = TIME_LIMIT / 2;

/// How much of the chain has enough blocks on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Number of the first queue entry that is not confirmed yet: the confirmed ones are below.
    pub queue_tail: u64,
    /// Confirmed batches: the number of the last one, 0 if there is none.
    pub batches: u64,
}

impl NativeL1 {
    /// L1's time in seconds since 1970, when the system's clock says `now`: what a block made now
    /// would have.
    pub fn time(&self, now: u64) -> Result<u64, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        Ok(l1_time(&snapshot.head()?, snapshot.clock()?, now))
    }

    /// Seconds that L1's clock was moved ahead of the system's.
    pub fn clock_offset(&self) -> Result<u64, StoreError> {
        Snapshot::begin(&self.db)?.clock()
    }

    /// Makes empty blocks, all at one time, and returns the head.
    ///
    /// # Errors
    /// [`crate::Refusal::TooManyBlocks`] if the height would reach 2^63.
    pub fn mine(&self, blocks: u64, now: u64) -> Result<Head, L1Error> {
        let Some(more) = blocks.checked_sub(1) else {
            return Ok(self.head()?);
        };
        transact(&self.db, now, |tx| {
            tx.mine(more)?;
            Ok(tx.head)
        })
    }

    /// Moves L1's clock forward by some seconds, for this and all later calls. Not a block.
    ///
    /// # Errors
    /// [`crate::Refusal::ClockTooFar`] if the offset reaches half of the range of timestamps.
    pub fn advance_time(&self, seconds: u64) -> Result<(), L1Error> {
        advance(&self.db, seconds, CLOCK_LIMIT)
    }

    /// Drops the last blocks with everything that they did, and returns the head. The clock's
    /// offset stays.
    ///
    /// # Errors
    /// [`crate::Refusal::ReorgTooDeep`] beyond [`crate::REORG_WINDOW`] or genesis; then nothing is
    /// dropped.
    pub fn reorg(&mut self, blocks: u64) -> Result<Head, L1Error> {
        let head = undo(&self.db, blocks)?;
        self.load_keys()?;
        Ok(head)
    }

    /// Queue entries and batches that have at least so many blocks on top of theirs.
    pub fn confirmed(&self, confirmations: u64) -> Result<Confirmed, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        let head = snapshot.head()?;
        let Some(height) = head.height.checked_sub(confirmations) else {
            return Ok(Confirmed {
                queue_tail: 0,
                batches: 0,
            });
        };
        let (entries, batches) = (snapshot.queue()?, snapshot.batches()?);
        let queue_tail = first_above(0..head.queue_tail, height, |number| {
            Ok(queue::entry(&entries, number)?.height)
        })?;
        let next_batch = first_above(1..head.next_batch, height, |number| {
            let record = batches.get(number)?.ok_or_else(|| StoreError::Missing {
                what: format!("batch {number}"),
            })?;
            Ok(Reader::new("a finalized batch", record.value()).u64()?)
        })?;
        Ok(Confirmed {
            queue_tail,
            batches: next_batch - 1,
        })
    }
}

/// The first number whose height is above `height`, or the range's end. Heights do not descend.
fn first_above(
    numbers: std::ops::Range<u64>,
    height: u64,
    height_of: impl Fn(u64) -> Result<u64, StoreError>,
) -> Result<u64, StoreError> {
    let (mut from, mut to) = (numbers.start, numbers.end);
    while from < to {
        let middle = from + (to - from) / 2;
        if height_of(middle)? <= height {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(to)
}
