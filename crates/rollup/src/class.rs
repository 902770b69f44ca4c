//! Who has to act on each of the rollup's errors.

use files::{Class, Classified};

use crate::clock::ClockError;
use crate::create::CreateError;
use crate::error::{DeploymentError, FollowError, LinkError, NoFolder, RollupError};
use crate::keys::KeysError;
use crate::leave::{LeaveError, PlanError};
use crate::restore::RestoreError;
use crate::settlement::SettleError;
use crate::shape::ShapesError;
use crate::work::WorkError;

impl Classified for NoFolder {
    fn class(&self) -> Class {
        let Self { folder: _, source } = self;
        source.class()
    }
}

impl Classified for ClockError {
    fn class(&self) -> Class {
        match self {
            Self::Jumped { .. } | Self::BlockAhead { .. } | Self::NotSet(_) => Class::Refused,
            Self::L1(error) => error.class(),
        }
    }
}

impl Classified for ShapesError {
    fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } => Class::Usage,
            Self::Twice { .. } | Self::Depth { .. } => Class::Refused,
        }
    }
}

impl Classified for KeysError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::NotGot { .. } => Class::Environment,
            Self::Compile { .. } | Self::Other { .. } | Self::Exists { .. } => Class::Refused,
            Self::NoShape { .. } => Class::Input,
            Self::Description { .. } => Class::Bug,
            Self::Unusable { source, .. } | Self::Unregistered { source, .. } => source.class(),
            Self::Refused { source, .. } => source.class(),
            Self::Setup { source, .. } => source.class(),
            Self::ReadOnly { source, .. } => source.class(),
            Self::Folder(error) => error.class(),
            Self::Key(error) => error.class(),
        }
    }
}

impl Classified for SettleError {
    fn class(&self) -> Class {
        match self {
            Self::L1(error) => error.class(),
            Self::Chain(error) => error.class(),
            Self::Dropped { .. } => Class::Refused,
        }
    }
}

impl Classified for LinkError {
    fn class(&self) -> Class {
        match self {
            Self::InUse(error) | Self::Chain(error) => error.class(),
        }
    }
}

impl Classified for RestoreError {
    fn class(&self) -> Class {
        match self {
            Self::L1(error) => error.class(),
            Self::Batcher(error) => error.class(),
            Self::UnknownShape { .. }
            | Self::Genesis(_)
            | Self::Replay { .. }
            | Self::Root { .. } => Class::Damaged,
        }
    }
}

impl Classified for FollowError {
    fn class(&self) -> Class {
        match self {
            Self::L1(error) => error.class(),
            Self::Stage(error) => error.class(),
            Self::Reopen(error) => error.class(),
            Self::Settle(error) => error.class(),
            Self::Restore(error) => error.class(),
            Self::Diverged { .. } => Class::Damaged,
            Self::Unexplained { source, .. } => source.class(),
        }
    }
}

impl Classified for RollupError {
    fn class(&self) -> Class {
        match self {
            Self::L1(error) => error.class(),
            Self::L1Store(error) => error.class(),
            Self::Settle(error) => error.class(),
            Self::Open(error) => error.class(),
            Self::Seal(error) => error.class(),
            Self::Stage(error) => error.class(),
            Self::Restore(error) => error.class(),
            Self::Follow(error) => error.class(),
            Self::Clock(error) => error.class(),
            Self::Early { .. } | Self::Unconfirmed { .. } | Self::OverdueUnconfirmed { .. } => {
                Class::Refused
            }
            Self::Witness { .. } | Self::Proof { .. } | Self::Words { .. } => Class::Damaged,
        }
    }
}

impl Classified for DeploymentError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. }
            | Self::NoMirror { .. }
            | Self::NoDatabase { .. }
            | Self::NoWallet => Class::Environment,
            Self::NoChain { .. } | Self::Native { .. } | Self::NotTheOperators => Class::Usage,
            Self::Mirror { .. }
            | Self::Frozen
            | Self::OtherKey { .. }
            | Self::MayNotSubmit { .. }
            | Self::NotFinal { .. }
            | Self::NotExecuted { .. }
            | Self::NoAccount { .. } => Class::Refused,
            Self::L1 { source } => source.class(),
            Self::Batcher { source } => source.class(),
            Self::Link(error) => error.class(),
            Self::InsecureKey { source, .. } => source.class(),
            Self::Folder(error) => error.class(),
            Self::Export(error) => error.class(),
            Self::Clock(error) => error.class(),
            Self::Settle(error) => error.class(),
            Self::Follow(error) => error.class(),
            Self::Step(error) => error.class(),
            Self::Refused(error) => error.class(),
            Self::L1Store(error) => error.class(),
            Self::BatcherStore(error) => error.class(),
        }
    }
}

impl Classified for CreateError {
    fn class(&self) -> Class {
        match self {
            Self::Begun { .. } | Self::Exists { .. } => Class::Refused,
            Self::OnChain | Self::OtherL1 { .. } => Class::Usage,
            Self::Keys(error) => error.class(),
            Self::Genesis { source } | Self::Save(source) => source.class(),
            Self::L1(error) => error.class(),
            Self::L1Store(error) => error.class(),
            Self::Batcher(error) => error.class(),
            Self::Folder(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

impl Classified for WorkError {
    fn class(&self) -> Class {
        match self {
            Self::NotProven { source, .. } => source.class(),
            Self::Memory { source, .. } => source.class(),
            Self::NotSubmitted { source, .. } => source.class(),
            Self::NoName { .. } => Class::Usage,
            Self::Keys(error) => error.class(),
            Self::Deployment(error) => error.class(),
            Self::Step(error) => error.class(),
            Self::BatchFolder(error) => error.class(),
            Self::Folder(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Clock(error) => error.class(),
            Self::Stage(error) => error.class(),
            Self::L1Store(error) => error.class(),
        }
    }
}

impl Classified for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::L1(error) => error.class(),
            Self::Unregistered { .. } | Self::Root { .. } | Self::Tree(_) => Class::Refused,
        }
    }
}

impl Classified for LeaveError {
    fn class(&self) -> Class {
        match self {
            Self::L1(error) => error.class(),
            Self::Settle(error) => error.class(),
            Self::Json(_)
            | Self::TooLarge { .. }
            | Self::Version { .. }
            | Self::Field { .. }
            | Self::OtherDeployment { .. }
            | Self::OtherRegistration { .. }
            | Self::RootMoved { .. } => Class::Input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use batcher::{ReopenError, SealError, StageError};
    use l1::{L1Error, Refusal};

    fn stopped() -> batcher::StoreError {
        batcher::StoreError::Stopped { path: "b".into() }
    }

    fn missing() -> l1::StoreError {
        l1::StoreError::Missing { what: "x".into() }
    }

    fn other() -> batcher::OpenError {
        batcher::OpenError::OtherDeployment {
            path: "b".into(),
            what: "genesis",
            expected: String::new(),
            found: String::new(),
        }
    }

    #[test]
    fn a_step_has_the_class_of_what_stopped_it() {
        let class = |error: RollupError| error.class();
        assert_eq!(class(other().into()), Class::Environment);
        assert_eq!(
            class(SealError::Store(stopped()).into()),
            Class::Environment
        );
        assert_eq!(class(L1Error::Store(missing()).into()), Class::Damaged);
        assert_eq!(class(FollowError::L1(missing()).into()), Class::Damaged);
        assert_eq!(
            class(L1Error::Refused(Refusal::Frozen).into()),
            Class::Refused
        );
        let paused = SealError::Paused {
            batch: 1,
            age: 2,
            limit: 1,
            slack: 2,
        };
        assert_eq!(class(paused.into()), Class::Refused);
        let stage = FollowError::Stage(StageError::Store(stopped()));
        assert_eq!(class(stage.into()), Class::Environment);
        let source = ReopenError::NotKept {
            number: 2,
            window: 1,
        };
        let diverged = FollowError::Diverged { number: 2, source };
        assert_eq!(class(diverged.into()), Class::Damaged);
    }

    #[test]
    fn whatever_is_passed_on_keeps_its_class() {
        let restore = RestoreError::Batcher(Box::new(batcher::RestoreError::Open(other())));
        assert_eq!(restore.class(), Class::Environment);
        assert_eq!(LeaveError::Version { got: 2 }.class(), Class::Input);
        let leave = LeaveError::L1(L1Error::Refused(Refusal::NotFrozen));
        assert_eq!(leave.class(), Class::Refused);
        let chain = SettleError::Chain(files::AnyClassified::new(stopped()));
        assert_eq!(chain.class(), Class::Environment);
        let link = LinkError::Chain(files::AnyClassified::new(missing()));
        assert_eq!(DeploymentError::Link(link).class(), Class::Damaged);
    }
}
