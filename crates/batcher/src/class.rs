//! Who has to act on each of the batcher's errors.

use files::{Class, Classified};

use crate::apply::ApplyError;
use crate::audit::AuditError;
use crate::error::{BuildError, OpenError, SealError, SettingsError, StageError, StoreError};
use crate::mempool::Refusal;
use crate::operation::NotAnId;
use crate::reopen::ReopenError;
use crate::restore::{HistoryError, RestoreError};

impl Classified for SettingsError {
    fn class(&self) -> Class {
        match self {
            Self::NoShape | Self::Shape { .. } | Self::Depth { .. } | Self::ShapeTwice { .. } => {
                Class::Refused
            }
        }
    }
}

impl Classified for OpenError {
    fn class(&self) -> Class {
        match self {
            Self::Database(error) => error.class(),
            Self::OtherDeployment { .. } => Class::Environment,
            Self::Genesis(_) => Class::Refused,
            Self::Settings(error) => error.class(),
        }
    }
}

impl Classified for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Database { .. } | Self::ReadOnly { .. } | Self::Stopped { .. } => {
                Class::Environment
            }
            Self::Record { source, .. } => source.class(),
        }
    }
}

impl Classified for BuildError {
    fn class(&self) -> Class {
        match self {
            Self::QueueGap { .. } | Self::Begin(_) => Class::Refused,
            Self::Queue { .. } | Self::Finish(_) => Class::Damaged,
            Self::State(_) => Class::Bug,
        }
    }
}

impl Classified for SealError {
    fn class(&self) -> Class {
        match self {
            Self::Paused { .. } | Self::Mirror => Class::Refused,
            Self::Build(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for StageError {
    fn class(&self) -> Class {
        match self {
            Self::NoBatch { .. }
            | Self::OtherBatch { .. }
            | Self::NoWitness { .. }
            | Self::OutOfOrder { .. } => Class::Refused,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for AuditError {
    fn class(&self) -> Class {
        match self {
            Self::Genesis(_) | Self::Batch { .. } | Self::Root { .. } => Class::Damaged,
            Self::Stage(StageError::Store(error)) => error.class(),
            // Why damaged: the audit asks for batches that the database says that it has.
            Self::Stage(
                StageError::NoBatch { .. }
                | StageError::OtherBatch { .. }
                | StageError::NoWitness { .. }
                | StageError::OutOfOrder { .. },
            ) => Class::Damaged,
        }
    }
}

impl Classified for ReopenError {
    fn class(&self) -> Class {
        match self {
            Self::NoBatch { .. }
            | Self::Finalized { .. }
            | Self::NotFinalized { .. }
            | Self::NotKept { .. }
            | Self::Root { .. } => Class::Damaged,
            Self::Stage(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for HistoryError {
    fn class(&self) -> Class {
        match self {
            Self::Order { .. } | Self::Words { .. } | Self::Replay { .. } => Class::Damaged,
        }
    }
}

impl<E: Classified> Classified for RestoreError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Open(error) => error.class(),
            Self::History(error) => error.class(),
        }
    }
}

impl Classified for ApplyError {
    fn class(&self) -> Class {
        match self {
            Self::Open { .. } => Class::Damaged,
            Self::History(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for Refusal {
    fn class(&self) -> Class {
        match self {
            Self::Rejected(_)
            | Self::NonceTaken { .. }
            | Self::NonceTooFarAhead { .. }
            | Self::AccountFull { .. }
            | Self::Full { .. }
            | Self::FeeTokenNotTaken { .. }
            | Self::KindNotTaken { .. }
            | Self::Mirror => Class::Refused,
        }
    }
}

impl Classified for NotAnId {
    fn class(&self) -> Class {
        Class::Usage
    }
}
