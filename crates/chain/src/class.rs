//! Who has to act on a [`ChainError`].

use files::{Class, Classified};

use crate::error::ChainError;

impl Classified for ChainError {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. } | Self::NoKey => Class::Usage,
            Self::Key { .. } => Class::Input,
            Self::Io { .. }
            | Self::InUse { .. }
            | Self::Unreachable { .. }
            | Self::Answer { .. }
            | Self::OtherChain { .. }
            | Self::NotTheContract { .. }
            | Self::DeploymentGone { .. }
            | Self::Behind { .. }
            | Self::Unsteady { .. }
            | Self::NotMined { .. }
            | Self::WouldFail { .. }
            | Self::Gap { .. }
            | Self::Crowded { .. }
            | Self::Earlier { .. } => Class::Environment,
            Self::File { .. } | Self::Disagree { .. } => Class::Damaged,
            Self::Node { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. }
            | Self::TooDear { .. }
            | Self::Replaced { .. }
            | Self::VerifyingKey(_) => Class::Refused,
            Self::Encode(error) => error.class(),
            Self::Mirror(error) => error.class(),
            Self::Open(error) => error.class(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_passed_on_keeps_its_class() {
        let refused = l1::Refusal::QueueEmpty;
        assert_eq!(ChainError::from(refused).class(), Class::Refused);
        let damaged = l1::StoreError::Missing { what: "x".into() };
        assert_eq!(ChainError::from(damaged).class(), Class::Damaged);
        let unreadable = l1::StoreError::ReadOnly;
        assert_eq!(ChainError::from(unreadable).class(), Class::Environment);
        assert_eq!(ChainError::NoKey.class(), Class::Usage);
    }
}
