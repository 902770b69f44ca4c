//! Waiting for a turn: one process at a time writes a deployment's files.
//!
//! Invariant: nobody waits without having been told for what, nor longer than `--wait`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::settings::Settings;

/// Seconds that a command waits unless it is told otherwise.
pub const DEFAULT_WAIT: u64 = 60;

/// How often the file is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens what another process may have open, waiting for it as long as `--wait` allows.
///
/// # Errors
/// As `open`; that another process has it open only once the time is up.
pub fn for_turn<T>(settings: &Settings, mut open: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let mut said = false;
    loop {
        let error = match open() {
            Err(error) if is_in_use(&error) && began.elapsed() < settings.wait => error,
            opened => return opened,
        };
        if !said {
            said = true;
            settings.ui.note(format!(
                "waiting at most {} s (--wait): {error:#}",
                settings.wait.as_secs()
            ));
        }
        sleep(PAUSE);
    }
}

/// True if another process has a file open.
fn is_in_use(error: &anyhow::Error) -> bool {
    let l1 = error.downcast_ref().is_some_and(l1::OpenError::is_in_use);
    let batcher = (error.downcast_ref()).is_some_and(batcher::OpenError::is_in_use);
    l1 || batcher || is_key_in_use(error)
}

#[cfg(feature = "chain")]
fn is_key_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(chain::ChainError::InUse { .. }))
}

#[cfg(not(feature = "chain"))]
fn is_key_in_use(_: &anyhow::Error) -> bool {
    false
}
