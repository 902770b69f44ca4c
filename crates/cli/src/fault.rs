//! How the program ends: classes of failures, their exit statuses, and the message.
//!
//! Invariant: every failure has one class, so scripts can tell them apart, and `docs/errors.md`
//! lists them all; a test compares the two. A cause that says that the machine is at fault decides;
//! then comes what a command says of its own ([`Fault`]); then what the libraries' errors mean.

use std::error::Error;
use std::fmt;
use std::io;

use ::files::Classified;
use batcher::{SealError, StageError};
#[cfg(feature = "interop")]
use interop::{FormatError, ceremony::CeremonyError};
use l1::L1Error;
use prover::bounded::ReadError;
use prover::key::KeyError;
use rollup::shape::ShapesError;
use rollup::{
    ClockError, CreateError, DeploymentError, FollowError, KeysError, LeaveError, LinkError,
    PlanError, RestoreError, RollupError, SettleError, WorkError,
};
use wallet::{FileFault, PassphraseError, SeedError, WalletError};

/// Exit status after a fault of this program, `EX_SOFTWARE` of `sysexits.h`.
pub const EXIT_BUG: u8 = 70;

/// Exit status when nobody reads standard output any more, as shells report it of other tools: 128 and
/// the number of SIGPIPE. Nothing is said, and what the command did stays done.
pub const EXIT_CLOSED_PIPE: u8 = 141;

/// Kinds of failures. The number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A rule of the rollup or a safeguard says no. Nothing changed.
    Refused = 1,
    /// Arguments, environment or configuration file are wrong.
    Usage = 2,
    /// A file or passphrase that was handed in is not what it should be.
    Input = 3,
    /// Something is missing, not accessible, full, or in use by another process.
    Environment = 4,
    /// Data that are kept do not hold.
    Damaged = 5,
    /// The program contradicts itself.
    Bug = EXIT_BUG as isize,
}

impl From<::files::Class> for Class {
    fn from(class: ::files::Class) -> Self {
        match class {
            ::files::Class::Refused => Self::Refused,
            ::files::Class::Usage => Self::Usage,
            ::files::Class::Input => Self::Input,
            ::files::Class::Environment => Self::Environment,
            ::files::Class::Damaged => Self::Damaged,
            ::files::Class::Bug => Self::Bug,
        }
    }
}

impl Class {
    /// The exit status.
    pub fn status(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Environment => 4,
            Self::Damaged => 5,
            Self::Bug => EXIT_BUG,
        }
    }
}

/// A failure that a command found itself, or the context that it gives to one.
#[derive(Debug)]
pub struct Fault {
    class: Class,
    message: String,
}

impl Fault {
    /// A failure of a class. The message says what, where and what to do.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { class, message }
    }

    /// Arguments or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// A file or passphrase.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Class::Input, message)
    }

    /// The machine.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Class::Environment, message)
    }

    /// A command whose part was left out of this build.
    #[cfg(not(all(
        feature = "attacks",
        feature = "bench",
        feature = "chain",
        feature = "evm",
        feature = "interop"
    )))]
    pub fn left_out(part: &str, feature: &str) -> Self {
        Self::usage(format!(
            "this program was built without {part} (feature {feature}); build all of it with \
             `cargo build --release --locked`"
        ))
    }

    /// Kept data.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Class::Damaged, message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

/// The class of a failure.
pub fn class_of(error: &anyhow::Error) -> Class {
    let known = || error.chain().filter_map(class_of_cause);
    if known().any(|class| class == Class::Environment) {
        return Class::Environment;
    }
    match error.downcast_ref::<Fault>() {
        Some(fault) => fault.class,
        None => known().next().unwrap_or(Class::Refused),
    }
}

/// What an error of a library means, if it decides the class.
fn class_of_cause(cause: &(dyn Error + 'static)) -> Option<Class> {
    if let Some(inner) = wrapped(cause) {
        return class_of_cause(inner);
    }
    if let Some(fault) = cause.downcast_ref::<Fault>() {
        return Some(fault.class);
    }
    if let Some(class) = of_rollup(cause) {
        return Some(class);
    }
    if cause.is::<io::Error>() || cause.is::<tempfile::PersistError>() {
        return Some(Class::Environment);
    }
    if let Some(error) = cause.downcast_ref::<l1::OpenError>() {
        return Some(error.class().into());
    }
    #[cfg(feature = "chain")]
    if let Some(error) = cause.downcast_ref::<chain::ChainError>() {
        return Some(error.class().into());
    }
    if let Some(error) = cause.downcast_ref::<batcher::OpenError>() {
        return Some(error.class().into());
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_key(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_wallet(error));
    }
    if cause.is::<PassphraseError>() || cause.is::<SeedError>() {
        return Some(Class::Input);
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_folder(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(match error {
            l1::StoreError::Database(_) | l1::StoreError::ReadOnly => Class::Environment,
            _ => Class::Damaged,
        });
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(match error {
            batcher::StoreError::Record { .. } => Class::Damaged,
            _ => Class::Environment,
        });
    }
    #[cfg(feature = "interop")]
    if let Some(error) = cause.downcast_ref() {
        return Some(match error {
            CeremonyError::Parameter { .. } | CeremonyError::Name { .. } => Class::Usage,
            _ => Class::Input,
        });
    }
    #[cfg(feature = "interop")]
    if cause.is::<FormatError>() {
        return Some(Class::Input);
    }
    if cause.is::<ReadError>() || cause.is::<LeaveError>() || cause.is::<histories::ImportError>() {
        return Some(Class::Input);
    }
    let damaged = cause.is::<batcher::AuditError>()
        || cause.is::<batcher::ReopenError>()
        || cause.is::<FollowError>()
        || cause.is::<RestoreError>()
        || cause.is::<batcher::RestoreError<Box<RestoreError>>>()
        || matches!(
            cause.downcast_ref(),
            Some(
                RollupError::Witness { .. } | RollupError::Proof { .. } | RollupError::Words { .. }
            )
        );
    damaged.then_some(Class::Damaged)
}

/// What an error of the rollup means that has no cause of its own.
fn of_rollup(cause: &(dyn Error + 'static)) -> Option<Class> {
    if let Some(error) = cause.downcast_ref() {
        return match error {
            DeploymentError::Missing { .. }
            | DeploymentError::NoMirror { .. }
            | DeploymentError::NoWallet => Some(Class::Environment),
            DeploymentError::NoChain { .. }
            | DeploymentError::Native { .. }
            | DeploymentError::NotTheOperators => Some(Class::Usage),
            DeploymentError::Mirror { .. }
            | DeploymentError::OtherKey { .. }
            | DeploymentError::MayNotSubmit { .. }
            | DeploymentError::NotFinal { .. }
            | DeploymentError::NotExecuted { .. }
            | DeploymentError::NoAccount { .. } => Some(Class::Refused),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref() {
        return match error {
            CreateError::OnChain | CreateError::OtherL1 { .. } => Some(Class::Usage),
            CreateError::Begun { .. } | CreateError::Exists { .. } => Some(Class::Refused),
            _ => None,
        };
    }
    match cause.downcast_ref() {
        Some(ShapesError::Unknown { .. }) => return Some(Class::Usage),
        Some(ShapesError::Twice { .. } | ShapesError::Depth { .. }) => return Some(Class::Refused),
        None => {}
    }
    if let Some(KeysError::Missing { .. }) = cause.downcast_ref() {
        return Some(Class::Environment);
    }
    if let Some(WorkError::NoName { .. }) = cause.downcast_ref() {
        return Some(Class::Usage);
    }
    None
}

/// The error that an error of the rollup only passes on.
fn passed_on<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(error) = cause.downcast_ref() {
        return match error {
            DeploymentError::Link(inner) => Some(inner),
            DeploymentError::Folder(inner) => Some(inner),
            DeploymentError::Clock(inner) => Some(inner),
            DeploymentError::Settle(inner) => Some(inner),
            DeploymentError::Follow(inner) => Some(inner),
            DeploymentError::Step(inner) => Some(inner),
            DeploymentError::Refused(inner) => Some(inner),
            DeploymentError::L1Store(inner) => Some(inner),
            DeploymentError::BatcherStore(inner) => Some(inner),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref() {
        return match error {
            WorkError::Keys(inner) => Some(inner),
            WorkError::Deployment(inner) => Some(inner),
            WorkError::Step(inner) => Some(inner),
            WorkError::BatchFolder(inner) => Some(inner),
            WorkError::Folder(inner) => Some(inner),
            WorkError::File(inner) => Some(inner),
            WorkError::Clock(inner) => Some(inner),
            WorkError::Stage(inner) => Some(inner),
            WorkError::L1Store(inner) => Some(inner),
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref() {
        return match error {
            CreateError::Keys(inner) => Some(inner),
            CreateError::L1(inner) => Some(inner),
            CreateError::L1Store(inner) => Some(inner),
            CreateError::Batcher(inner) => Some(inner),
            _ => None,
        };
    }
    match cause.downcast_ref()? {
        LinkError::InUse(inner) | LinkError::Chain(inner) => Some(inner.as_ref()),
    }
}

/// The error that an error only passes on: it speaks with the same words, and the chain of causes
/// leaves it out.
fn wrapped<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(inner) = passed_on(cause) {
        return Some(inner);
    }
    if let Some(KeysError::Key(inner)) = cause.downcast_ref() {
        return Some(inner);
    }
    let inner: &(dyn Error + 'static) = if let Some(error) = cause.downcast_ref::<RollupError>() {
        match error {
            RollupError::L1(inner) => inner,
            RollupError::L1Store(inner) => inner,
            RollupError::Open(inner) => inner,
            RollupError::Seal(inner) => inner,
            RollupError::Stage(inner) => inner,
            RollupError::Restore(inner) => inner,
            RollupError::Follow(inner) => inner,
            RollupError::Settle(inner) => inner,
            RollupError::Clock(inner) => inner,
            RollupError::Unconfirmed { .. }
            | RollupError::OverdueUnconfirmed { .. }
            | RollupError::Early { .. }
            | RollupError::Witness { .. }
            | RollupError::Proof { .. }
            | RollupError::Words { .. } => return None,
        }
    } else if let Some(ClockError::L1(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(FollowError::L1(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(FollowError::Settle(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(LeaveError::Settle(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(SettleError::L1(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(SettleError::Chain(inner)) = cause.downcast_ref() {
        inner.as_ref()
    } else if let Some(FollowError::Stage(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(FollowError::Reopen(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(FollowError::Restore(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(RestoreError::L1(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(RestoreError::Batcher(inner)) = cause.downcast_ref() {
        inner.as_ref()
    } else if let Some(batcher::RestoreError::<Box<RestoreError>>::Source(inner)) =
        cause.downcast_ref()
    {
        inner.as_ref()
    } else if let Some(batcher::RestoreError::<Box<RestoreError>>::Open(inner)) =
        cause.downcast_ref()
    {
        inner
    } else if let Some(PlanError::L1(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(LeaveError::L1(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(L1Error::Store(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(L1Error::Refused(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(SealError::Store(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(StageError::Store(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(batcher::ReopenError::Store(inner)) = cause.downcast_ref() {
        inner
    } else if let Some(batcher::ReopenError::Stage(inner)) = cause.downcast_ref() {
        inner
    } else {
        return None;
    };
    Some(inner)
}

fn of_key(error: &KeyError) -> Class {
    match error {
        KeyError::Io { .. } | KeyError::Missing { .. } => Class::Environment,
        KeyError::DevKey { .. } | KeyError::UnknownOrigin { .. } => Class::Refused,
        _ => Class::Input,
    }
}

fn of_wallet(error: &WalletError) -> Class {
    match error {
        WalletError::Read { .. } => Class::Environment,
        WalletError::TooLong { .. }
        | WalletError::ByteOrderMark { .. }
        | WalletError::NotAWallet { .. }
        | WalletError::Unusable { .. } => Class::Input,
        WalletError::Unlock { fault, .. } | WalletError::Encrypt(fault) => match fault {
            FileFault::Derivation(_) => Class::Environment,
            _ => Class::Input,
        },
    }
}

fn of_folder(error: &l1::submission::FolderError) -> Class {
    match error {
        l1::submission::FolderError::Io { .. } => Class::Environment,
        l1::submission::FolderError::Batch(_) => Class::Refused,
        _ => Class::Input,
    }
}

/// The error with its causes; a cause that the text before it tells already is left out.
pub fn message(error: &anyhow::Error) -> String {
    rollup::text::message(error.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn failed(error: impl Into<anyhow::Error>) -> anyhow::Error {
        error.into()
    }

    #[test]
    fn the_machine_decides_then_the_command_then_the_library() {
        let missing = || KeyError::Missing { path: "k".into() };
        let damaged = || KeyError::Name;
        assert_eq!(class_of(&failed(missing())), Class::Environment);
        assert_eq!(class_of(&failed(damaged())), Class::Input);
        let refused =
            |error| Err::<(), KeyError>(error).context(Fault::new(Class::Refused, "refused"));
        assert_eq!(
            class_of(&refused(missing()).unwrap_err()),
            Class::Environment
        );
        assert_eq!(class_of(&refused(damaged()).unwrap_err()), Class::Refused);
        let deeper = refused(damaged()).context("cannot do it").unwrap_err();
        assert_eq!(class_of(&deeper), Class::Refused);
        assert_eq!(
            message(&deeper),
            "cannot do it: refused: the key's name is not valid UTF-8"
        );
        assert_eq!(class_of(&anyhow::anyhow!("no rule")), Class::Refused);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(
            class_of(&failed(full).context("cannot write")),
            Class::Environment
        );
    }

    #[test]
    fn errors_that_are_passed_on_keep_their_class() {
        let path = || std::path::PathBuf::from("b");
        let missing = || batcher::OpenError::OtherDeployment {
            path: path(),
            what: "genesis",
            expected: String::new(),
            found: String::new(),
        };
        let node = |error: RollupError| class_of(&failed(error));
        assert_eq!(node(missing().into()), Class::Environment);
        let stopped = || batcher::StoreError::Stopped { path: path() };
        let seal = SealError::Store(stopped());
        assert_eq!(node(seal.into()), Class::Environment);
        let what = || l1::StoreError::Missing { what: "x".into() };
        assert_eq!(node(L1Error::Store(what()).into()), Class::Damaged);
        let follow = FollowError::L1(what());
        assert_eq!(node(follow.into()), Class::Damaged);
        let diverged = FollowError::Diverged {
            number: 2,
            source: batcher::ReopenError::NotKept {
                number: 2,
                window: 1,
            },
        };
        assert_eq!(class_of(&failed(diverged)), Class::Damaged);
        let stage = FollowError::Stage(StageError::Store(stopped()));
        assert_eq!(class_of(&failed(stage)), Class::Environment);
        let refused = L1Error::Refused(l1::Refusal::Frozen);
        assert_eq!(node(refused.into()), Class::Refused);
        let paused = SealError::Paused {
            batch: 1,
            age: 2,
            limit: 1,
            slack: 2,
        };
        assert_eq!(node(paused.into()), Class::Refused);
        let restore = batcher::RestoreError::Open(missing());
        let restore = RestoreError::Batcher(Box::new(restore));
        assert_eq!(class_of(&failed(restore)), Class::Environment);
        let leave = LeaveError::Version { got: 2 };
        assert_eq!(class_of(&failed(leave)), Class::Input);
        let leave = LeaveError::L1(L1Error::Refused(l1::Refusal::NotFrozen));
        assert_eq!(class_of(&failed(leave)), Class::Refused);
    }

    #[test]
    fn the_numbers_are_those_of_the_classes() {
        use Class::{Bug, Damaged, Environment, Input, Refused, Usage};
        for class in [Refused, Usage, Input, Environment, Damaged, Bug] {
            assert_eq!(i32::from(class.status()), class as i32);
        }
    }
}
