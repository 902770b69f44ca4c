//! Who has to act on each error of files and ceremonies.

use files::{Class, Classified};

use crate::ceremony::CeremonyError;
use crate::error::{FormatError, PointFault};
use crate::groth16::Groth16Error;

impl Classified for FormatError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Class::Environment,
            Self::Magic { .. }
            | Self::Version { .. }
            | Self::UnknownSection { .. }
            | Self::DuplicateSection { .. }
            | Self::MissingSection { .. }
            | Self::Size { .. }
            | Self::Field { .. }
            | Self::Protocol { .. }
            | Self::CustomGates { .. }
            | Self::OutOfRange { .. }
            | Self::NotCanonical { .. }
            | Self::Uncontributed { .. }
            | Self::Point { .. }
            | Self::Row { .. }
            | Self::Contribution { .. }
            | Self::R1cs(_)
            | Self::Json { .. }
            | Self::Form { .. }
            | Self::Number { .. }
            | Self::Disagree { .. } => Class::Input,
        }
    }
}

impl Classified for PointFault {
    /// Bytes that somebody handed in are the only reason.
    fn class(&self) -> Class {
        Class::Input
    }
}

impl Classified for CeremonyError {
    fn class(&self) -> Class {
        match self {
            Self::Format(error) => error.class(),
            Self::Degenerate(error) => error.class(),
            Self::Name { .. } | Self::Parameter { .. } => Class::Usage,
            Self::Power { .. }
            | Self::Differs { .. }
            | Self::Contribution { .. }
            | Self::Unfinished => Class::Input,
        }
    }
}

impl Classified for Groth16Error {
    fn class(&self) -> Class {
        match self {
            Self::Format(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Setup(error) => error.class(),
            Self::Ceremony(error) => error.class(),
            Self::Prove(error) => error.class(),
            Self::Io { .. } => Class::Environment,
            Self::Matrices(_)
            | Self::Untied
            | Self::OtherCircuit
            | Self::KeyFile { .. }
            | Self::BadKey
            | Self::WitnessLength { .. }
            | Self::NotOne => Class::Input,
            // Why refused: the files are what they should be, and the statement is not true.
            Self::Unsatisfied { .. } | Self::Unproven => Class::Refused,
        }
    }
}
