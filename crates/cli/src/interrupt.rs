//! Ctrl-C and termination.
//!
//! Everything that is kept is written whole or not at all, so a command may end at any point.
//! Invariant: while a [`Shield`] lives the program does not end, so that files which are being put
//! in place leave no drafts behind; the request is obeyed when the last shield goes. Long work that
//! holds a shield looks at [`is_wanted`]'s flag and stops early.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::ui::{complain, tell};

/// Exit status after Ctrl-C, as shells report it.
pub const EXIT_INTERRUPTED: i32 = 130;

struct State {
    shields: usize,
    requested: bool,
    temporary: Vec<PathBuf>,
}

static STATE: Mutex<State> = Mutex::new(State {
    shields: 0,
    requested: false,
    temporary: Vec::new(),
});

/// Whether an end was asked for.
static WANTED: AtomicBool = AtomicBool::new(false);

/// True once an end was asked for.
pub fn is_wanted() -> &'static AtomicBool {
    &WANTED
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts listening for Ctrl-C.
///
/// # Errors
/// If the operating system refuses the handler.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        let mut state = state();
        state.requested = true;
        WANTED.store(true, Ordering::Relaxed);
        if state.shields == 0 {
            leave(&state);
        }
        tell("\nquire: interrupted; stopping at the next safe point");
    })
    .context("cannot listen for Ctrl-C")
}

/// Ends the program. The lock is held, so nothing starts writing meanwhile.
fn leave(state: &State) -> ! {
    for path in &state.temporary {
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

/// Keeps the program alive while it exists.
pub struct Shield(());

/// Holds back Ctrl-C until the returned value is dropped.
#[must_use]
pub fn shield() -> Shield {
    state().shields += 1;
    Shield(())
}

impl Drop for Shield {
    fn drop(&mut self) {
        let mut state = state();
        state.shields -= 1;
        if state.shields == 0 && state.requested {
            leave(&state);
        }
    }
}

/// Has a folder or file removed when the program is interrupted.
pub fn remove_on_interrupt(path: &Path) {
    state().temporary.push(path.to_owned());
}
