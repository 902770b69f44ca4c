//! A request to end work early, and what is finished or removed before.
//!
//! Everything that is kept is written whole or not at all, so work may end at any point. Invariant: while a
//! [`Shield`] lives, what the caller wants done at the end is not done, so that files which are being put in
//! place leave no drafts behind; it is done when the last shield goes. Long work that holds a shield looks
//! at [`Stop::is_wanted`]'s flag and stops early.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is done once nothing is left that must be finished. It is told the drafts to be removed.
type End = dyn Fn(&[PathBuf]) + Send + Sync;

/// A cancellation token: all copies of it are one.
#[derive(Clone, Default)]
pub struct Stop(Arc<Token>);

#[derive(Default)]
struct Token {
    wanted: AtomicBool,
    held: Mutex<Held>,
    end: Option<Box<End>>,
}

#[derive(Default)]
struct Held {
    shields: usize,
    drafts: Vec<PathBuf>,
}

impl Stop {
    /// A token with something to do at the end, such as ending the process. It is called with the token
    /// locked: nobody begins to write meanwhile.
    pub fn with_end(end: impl Fn(&[PathBuf]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Token {
            end: Some(Box::new(end)),
            ..Token::default()
        }))
    }

    /// True once an end was asked for.
    pub fn is_wanted(&self) -> &AtomicBool {
        &self.0.wanted
    }

    /// Asks for an end: at once, or when the last shield goes.
    pub fn request(&self) {
        let held = self.held();
        self.0.wanted.store(true, Ordering::Relaxed);
        self.end_if_free(&held);
    }

    /// Holds the end back until the returned value is dropped.
    #[must_use]
    pub fn shield(&self) -> Shield {
        self.held().shields += 1;
        Shield(self.clone())
    }

    /// Has a folder or file removed if an end is asked for.
    pub fn remove_at_end(&self, draft: &Path) {
        self.held().drafts.push(draft.to_owned());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_if_free(&self, held: &Held) {
        let wanted = self.0.wanted.load(Ordering::Relaxed);
        if let Some(end) = &self.0.end
            && wanted
            && held.shields == 0
        {
            end(&held.drafts);
        }
    }
}

/// Holds the end back while it exists.
pub struct Shield(Stop);

impl Drop for Shield {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.shields -= 1;
        self.0.end_if_free(&held);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_for_the_last_shield_and_is_told_the_drafts() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&ended);
        let stop = Stop::with_end(move |drafts| told.lock().unwrap().push(drafts.to_vec()));
        stop.remove_at_end(Path::new("draft"));
        let (first, second) = (stop.shield(), stop.clone().shield());
        stop.request();
        assert!(stop.is_wanted().load(Ordering::Relaxed));
        drop(first);
        assert!(ended.lock().unwrap().is_empty());
        drop(second);
        assert_eq!(*ended.lock().unwrap(), [[PathBuf::from("draft")]]);
    }

    #[test]
    fn a_shield_without_a_request_ends_nothing() {
        let stop = Stop::with_end(|_| panic!("nobody asked for the end"));
        drop(stop.shield());
        assert!(!stop.is_wanted().load(Ordering::Relaxed));
    }
}
