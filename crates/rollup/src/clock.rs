//! Which times may be kept.
//!
//! Whatever takes a time and keeps it outlives a wrong clock: a block of the native L1, a batch's
//! timestamp, an operation that is dropped as expired. A machine that was off for a month and one
//! whose clock is a month ahead look the same from inside, so a jump is not judged but refused until
//! the operator vouches for it. Invariant: no time is kept, and nothing is decided by it, that is more
//! than [`JUMP`] ahead of everything that is known of the time.
//!
//! What is known: on a native L1 the times of its last block, of the last batch and of the operation
//! that arrived last, and how far a trial moved its clock; on a chain the timestamp of the last final batch and the system's clock, which
//! the time of the node's last block is compared with.

use std::time::{SystemTime, SystemTimeError, UNIX_EPOCH};

use l1::{NativeL1, StoreError};
use thiserror::Error;

use crate::settlement::Link;

/// Seconds that a time may be ahead of what is known: three days, so that a weekend is no jump. It is
/// less than the time after which L1 can be frozen.
pub const JUMP: u64 = 3 * DAY;

const DAY: u64 = 24 * 60 * 60;

/// What is believed of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// A jump is refused.
    #[default]
    Checked,
    /// The operator vouches for the time.
    Trusted,
}

/// Why a time is not kept.
#[derive(Debug, Error)]
pub enum ClockError {
    /// The system's clock is far ahead of the last time that was recorded.
    #[error(
        "the system's clock is {} days ahead of the last time that this deployment has recorded: if the clock is wrong, set it; if it is right, run the command again with --trust-clock",
        (time - known) / DAY
    )]
    Jumped {
        /// L1's time by the system's clock, seconds since 1970.
        time: u64,
        /// The last time recorded.
        known: u64,
    },
    /// The node's last block is far ahead of the system's clock.
    #[error(
        "the node's last block is {} days ahead of the system's clock and of the last final batch: one of the two is wrong; set the clock, or name another node with --l1; if the block is right, run the command again with --trust-clock",
        (time - known) / DAY
    )]
    BlockAhead {
        /// Time of the block, seconds since 1970.
        time: u64,
        /// The later one of the clock and of the last final batch's timestamp.
        known: u64,
    },
    /// The system's clock is not set.
    #[error("the clock stands before 1970; set it")]
    NotSet(#[from] SystemTimeError),
    /// L1's file cannot be read.
    #[error(transparent)]
    L1(#[from] StoreError),
}

/// The system's time, seconds since 1970.
///
/// # Errors
/// [`ClockError::NotSet`].
pub fn now() -> Result<u64, ClockError> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

impl Clock {
    /// L1's time when the system's clock says `now`, if it may be kept. `recorded` is the latest time
    /// that the batcher knows, 0 where there is none.
    ///
    /// # Errors
    /// [`ClockError`].
    pub fn time(
        self,
        l1: &NativeL1,
        link: &Link,
        recorded: u64,
        now: u64,
    ) -> Result<u64, ClockError> {
        let (time, head) = (link.time(l1, now)?, l1.head()?);
        // Why a frozen L1 takes any: no batch follows, and no rule looks at the time any more.
        if self == Self::Trusted || head.frozen {
            return Ok(time);
        }
        // Why not a mirror's blocks: they come from the node whose time is in question.
        let known = match link.is_remote() {
            true => head.timestamp.max(now),
            false => head.time.max(recorded).saturating_add(l1.clock_offset()?),
        };
        // Nothing is known of the time before a native L1's first block.
        let is_new = !link.is_remote() && head.time.max(recorded) == 0;
        if is_new || time.saturating_sub(known) <= JUMP {
            return Ok(time);
        }
        Err(match link.is_remote() {
            true => ClockError::BlockAhead { time, known },
            false => ClockError::Jumped { time, known },
        })
    }
}
