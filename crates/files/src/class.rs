//! Who has to act on a failure.

use std::error::Error;
use std::fmt;
use std::io;

use crate::error::FileError;

/// Kinds of failures, by who has to act. Every error of a library has one; programs end with a status for
/// each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A rule or a safeguard says no, and nothing changed: ask for something else, or later.
    Refused,
    /// Arguments, environment or configuration are wrong.
    Usage,
    /// A file or passphrase that was handed in is not what it should be.
    Input,
    /// The world outside the program fails: something is missing, not accessible, full, in use by another
    /// process, or cannot be reached.
    Environment,
    /// Data that are kept do not hold.
    Damaged,
    /// The program contradicts itself.
    Bug,
}

/// An error that says who has to act on it, by an exhaustive match: a new variant does not compile until
/// somebody has decided.
pub trait Classified: Error {
    /// The class of this error. One that only passes another error on has that error's class.
    fn class(&self) -> Class;
}

impl Classified for FileError {
    fn class(&self) -> Class {
        let Self {
            path: _,
            action: _,
            source,
        } = self;
        source.class()
    }
}

impl Classified for io::Error {
    fn class(&self) -> Class {
        Class::Environment
    }
}

impl<E: Classified> Classified for Box<E> {
    fn class(&self) -> Class {
        self.as_ref().class()
    }
}

/// An error of any type that knows its class, for libraries that cannot name the type.
pub struct AnyClassified(Box<dyn Classified + Send + Sync>);

impl AnyClassified {
    /// Takes an error of any type.
    pub fn new(error: impl Classified + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// The error itself, for whoever knows its type.
    pub fn get(&self) -> &(dyn Error + 'static) {
        self.0.as_ref()
    }

    /// The error itself, for whoever knows its type.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl fmt::Debug for AnyClassified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for AnyClassified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for AnyClassified {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl Classified for AnyClassified {
    fn class(&self) -> Class {
        self.0.class()
    }
}
