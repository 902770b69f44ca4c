//! Who has to act on the errors of the chain and of its file.

use files::{Class, Classified};

use crate::error::{L1Error, OpenError, Refusal, StoreError};

impl Classified for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Database(_) | Self::ReadOnly => Class::Environment,
            Self::Record(error) => error.class(),
            Self::Missing { .. }
            | Self::Inconsistent { .. }
            | Self::Key { .. }
            | Self::Batch { .. } => Class::Damaged,
        }
    }
}

impl Classified for OpenError {
    fn class(&self) -> Class {
        match self {
            Self::Database(error) => error.class(),
            Self::OtherGenesis { .. } => Class::Environment,
            Self::Genesis(_) => Class::Refused,
            Self::Store { source, .. } => source.class(),
        }
    }
}

impl Classified for L1Error {
    fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => refusal.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for Refusal {
    /// L1's rules are the only reason why it refuses a call.
    fn class(&self) -> Class {
        Class::Refused
    }
}
