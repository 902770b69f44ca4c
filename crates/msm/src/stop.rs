//! Stopping a sum that takes long.

use std::sync::atomic::{AtomicBool, Ordering};

/// A wish to stop, looked at now and then while a sum is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop<'a>(pub Option<&'a AtomicBool>);

impl Stop<'_> {
    /// Whether somebody wants to stop.
    pub fn is_wanted(self) -> bool {
        self.0.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}
