//! Who has to act on each of the prover's errors.

use files::{Class, Classified};

use crate::bounded::ReadError;
use crate::circuit::CircuitError;
use crate::key::{Degenerate, KeyError};
use crate::proof::DecodeError;
use crate::prove::ProveError;
use crate::schedule::{ManyError, ScheduleError};
use crate::setup::SetupError;
use crate::verify::VerifyError;

impl Classified for ReadError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Class::Environment,
            Self::TooLong { .. } => Class::Input,
        }
    }
}

impl Classified for KeyError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Missing { .. } => Class::Environment,
            Self::DevKey { .. } | Self::UnknownOrigin { .. } => Class::Refused,
            Self::Degenerate(error) => error.class(),
            Self::TooLong(error) => error.class(),
            Self::ForeignMagic { .. }
            | Self::Version { .. }
            | Self::Size { .. }
            | Self::Checksum { .. }
            | Self::WrongCircuit { .. }
            | Self::OutOfRange { .. }
            | Self::Flags { .. }
            | Self::Name
            | Self::RawPoint { .. }
            | Self::VariableList { .. }
            | Self::Inconsistent { .. } => Class::Input,
        }
    }
}

impl Classified for Degenerate {
    fn class(&self) -> Class {
        match self {
            Self::Point(error) => error.class(),
            Self::Related { .. }
            | Self::Unblinded
            | Self::Generator { .. }
            | Self::RepeatedIc { .. }
            | Self::IcCount { .. } => Class::Input,
        }
    }
}

impl Classified for DecodeError {
    /// Bytes that somebody handed in are the only reason.
    fn class(&self) -> Class {
        Class::Input
    }
}

impl Classified for VerifyError {
    /// A statement that is not proven is refused, whoever made the proof.
    fn class(&self) -> Class {
        Class::Refused
    }
}

impl Classified for ProveError {
    fn class(&self) -> Class {
        match self {
            Self::Key(error) => error.class(),
            // Why refused: the caller chose assignment and key, and nothing was made of them.
            Self::AssignmentLength { .. }
            | Self::NotOne { .. }
            | Self::KeySize { .. }
            | Self::Unsatisfied { .. }
            | Self::SelfCheck(_)
            | Self::Point(_)
            | Self::Cancelled { .. } => Class::Refused,
        }
    }
}

impl Classified for ScheduleError {
    fn class(&self) -> Class {
        match self {
            Self::MemoryLimit { .. } => Class::Refused,
        }
    }
}

impl<E: Classified> Classified for ManyError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Prove { source, .. } => source.class(),
            Self::Caller(error) => error.class(),
        }
    }
}

impl Classified for CircuitError {
    fn class(&self) -> Class {
        match self {
            // Why refused: the caller chose the circuit, and nothing was made of it.
            Self::Circuit(_) => Class::Refused,
            Self::Setup(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Prove(error) => error.class(),
        }
    }
}

impl Classified for SetupError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. } => Class::Refused,
            Self::Key(error) => error.class(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that passes another one on has its class, however deep it is.
    #[test]
    fn a_passed_on_error_keeps_its_class() {
        let missing = || KeyError::Missing { path: "k".into() };
        assert_eq!(ProveError::Key(missing()).class(), Class::Environment);
        assert_eq!(SetupError::Key(missing()).class(), Class::Environment);
        let related = Degenerate::Related {
            first: "gamma",
            second: "delta",
        };
        assert_eq!(KeyError::Degenerate(related).class(), Class::Input);
        let development = KeyError::DevKey { id: String::new() };
        assert_eq!(development.class(), Class::Refused);
    }
}
