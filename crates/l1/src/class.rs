//! Who has to act on each of L1's errors.

use files::{Class, Classified};

use crate::checked::CheckedError;
use crate::error::{BatchFault, L1Error, OpenError, Refusal, StoreError};
use crate::evm::calldata::{CalldataError, EncodeError};
use crate::evm::verifier::VerifierError;
use crate::genesis::GenesisError;
use crate::submission::FolderError;
use crate::token::SymbolError;

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
            Self::Genesis(error) => error.class(),
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

impl Classified for BatchFault {
    /// L1's rules are the only reason why it refuses a batch.
    fn class(&self) -> Class {
        Class::Refused
    }
}

impl Classified for GenesisError {
    fn class(&self) -> Class {
        match self {
            Self::TooLong(_)
            | Self::Json(_)
            | Self::Version { .. }
            | Self::ChainId { .. }
            | Self::NotEmpty { .. }
            | Self::Name { .. }
            | Self::TakeoverAfter { .. }
            | Self::FreezeAfter { .. }
            | Self::ShapeTwice { .. }
            | Self::Depth { .. }
            | Self::Shape { .. }
            | Self::NoL1Slots
            | Self::NotEth
            | Self::Decimals { .. }
            | Self::TooManyTokens(_)
            | Self::TokenTwice { .. }
            | Self::TooManyAccounts { .. }
            | Self::UnknownToken { .. }
            | Self::BadKey { .. }
            | Self::EscrowFull { .. }
            | Self::Accounts(_)
            | Self::OtherAccounts { .. } => Class::Refused,
            Self::Io { .. } => Class::Environment,
        }
    }
}

impl Classified for FolderError {
    fn class(&self) -> Class {
        match self {
            Self::Json { .. }
            | Self::Layout { .. }
            | Self::Version { .. }
            | Self::Length { .. }
            | Self::Checksum { .. }
            | Self::Disagree { .. } => Class::Input,
            Self::Io { .. } => Class::Environment,
            Self::Batch(error) => error.class(),
        }
    }
}

impl Classified for CheckedError {
    fn class(&self) -> Class {
        match self {
            Self::Json(_) | Self::Damaged { .. } => Class::Damaged,
        }
    }
}

impl Classified for SymbolError {
    fn class(&self) -> Class {
        match self {
            Self::Length { .. }
            | Self::Character { .. }
            | Self::Number { .. }
            | Self::LooksLike { .. } => Class::Usage,
        }
    }
}

impl Classified for CalldataError {
    fn class(&self) -> Class {
        match self {
            Self::Selector { .. }
            | Self::NoBatch
            | Self::UnknownShape { .. }
            | Self::MixedShapes { .. }
            | Self::Capacity { .. }
            | Self::Codec(_) => Class::Input,
        }
    }
}

impl Classified for EncodeError {
    fn class(&self) -> Class {
        match self {
            Self::Words(_) | Self::Entries { .. } | Self::Count(_) => Class::Input,
        }
    }
}

impl Classified for VerifierError {
    fn class(&self) -> Class {
        match self {
            Self::Inputs { .. } | Self::Arkworks(_) | Self::Key(_) => Class::Input,
            Self::Name(_) => Class::Usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_passes_another_on_has_its_class() {
        let damaged = || StoreError::Missing {
            what: "a record".to_owned(),
        };
        assert_eq!(L1Error::Refused(Refusal::Frozen).class(), Class::Refused);
        assert_eq!(L1Error::Store(damaged()).class(), Class::Damaged);
        let open = |source| OpenError::Store {
            path: "l1.redb".into(),
            source,
        };
        assert_eq!(open(damaged()).class(), Class::Damaged);
        assert_eq!(open(StoreError::ReadOnly).class(), Class::Environment);
        assert_eq!(
            OpenError::Genesis(GenesisError::NotEth).class(),
            Class::Refused
        );
        let folder = FolderError::Batch(BatchFault::CommitmentNotCanonical);
        assert_eq!(folder.class(), Class::Refused);
        assert_eq!(FolderError::Disagree { field: "c" }.class(), Class::Input);
    }
}
