//! Ctrl-C and termination end the program as its [`Stop`] allows.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use rollup::stop::{Shield, Stop};

use crate::ui::{complain, tell};

/// Exit status after Ctrl-C, as shells report it.
pub const EXIT_INTERRUPTED: i32 = 130;

static STOP: LazyLock<Stop> = LazyLock::new(|| Stop::with_end(leave));

/// The token of this process.
pub fn stop() -> Stop {
    STOP.clone()
}

/// Starts listening for Ctrl-C.
///
/// # Errors
/// If the operating system refuses the handler.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        STOP.request();
        tell("\nquire: interrupted; stopping at the next safe point");
    })
    .context("cannot listen for Ctrl-C")
}

/// Ends the program.
fn leave(drafts: &[PathBuf]) {
    for path in drafts {
        let removed = match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        };
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => complain(&format!("cannot remove {}: {error}", path.display())),
        }
    }
    tell("\nquire: interrupted; what was finished is kept, run the command again to go on");
    std::process::exit(EXIT_INTERRUPTED)
}

/// Holds back Ctrl-C until the returned value is dropped.
#[must_use]
pub fn shield() -> Shield {
    STOP.shield()
}

/// Has a folder or file removed when the program is interrupted.
pub fn remove_on_interrupt(path: &Path) {
    STOP.remove_at_end(path);
}
