//! How the program ends: classes of failures, their exit statuses, and the message.
//!
//! Invariant: every failure has one class, so scripts can tell them apart, and `docs/errors.md`
//! lists them all; a test compares the two. A cause that says that the machine is at fault decides;
//! then comes what a command says of its own ([`Fault`]); then what the libraries' errors say of
//! themselves ([`Classified`]). Which types are asked is a list here; a test compares it with the sources, so
//! that no error of a library is left out of it.

use std::error::Error;
use std::fmt;
use std::io;

pub use ::files::Class;
use ::files::Classified;

/// Exit status after a fault of this program, `EX_SOFTWARE` of `sysexits.h`.
pub const EXIT_BUG: u8 = 70;

/// Exit status when nobody reads standard output any more, as shells report it of other tools: 128 and
/// the number of SIGPIPE. Nothing is said, and what the command did stays done.
pub const EXIT_CLOSED_PIPE: u8 = 141;

/// The exit status of a class.
pub fn status(class: Class) -> u8 {
    match class {
        Class::Refused => 1,
        Class::Usage => 2,
        Class::Input => 3,
        Class::Environment => 4,
        Class::Damaged => 5,
        Class::Bug => EXIT_BUG,
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

impl Classified for Fault {
    fn class(&self) -> Class {
        self.class
    }
}

/// The class of a failure. A sentence of a command without a cause, and without a class of its own, says
/// that it refuses.
pub fn class_of(error: &anyhow::Error) -> Class {
    let known = || error.chain().filter_map(class_of_cause);
    if known().any(|class| class == Class::Environment) {
        return Class::Environment;
    }
    match error.downcast_ref::<Fault>() {
        Some(fault) => fault.class(),
        None => known().next().unwrap_or(Class::Refused),
    }
}

/// What an error means, if it decides the class.
fn class_of_cause(cause: &(dyn Error + 'static)) -> Option<Class> {
    let of_one_class = || (ONE_CLASS.iter()).find_map(|(is, class)| is(cause).then_some(*class));
    (CLASSIFIED.iter().find_map(|ask| ask(cause))).or_else(of_one_class)
}

/// Asks an error for its class if it is of one type.
type Ask = fn(&(dyn Error + 'static)) -> Option<Class>;

fn ask<E: Classified + 'static>(cause: &(dyn Error + 'static)) -> Option<Class> {
    cause.downcast_ref::<E>().map(Classified::class)
}

/// The types that say their class themselves.
const CLASSIFIED: &[Ask] = &[
    ask::<Fault>,
    ask::<io::Error>,
    ask::<::files::FileError>,
    ask::<wallet::WalletError>,
    ask::<wallet::FileFault>,
    ask::<wallet::PassphraseError>,
    ask::<wallet::SeedError>,
    ask::<prover::bounded::ReadError>,
    ask::<prover::circuit::CircuitError>,
    ask::<prover::key::Degenerate>,
    ask::<prover::key::KeyError>,
    ask::<prover::proof::DecodeError>,
    ask::<prover::prove::ProveError>,
    ask::<prover::schedule::ManyError<prover::prove::ProveError>>,
    ask::<prover::schedule::ScheduleError>,
    ask::<prover::setup::SetupError>,
    ask::<prover::verify::VerifyError>,
    ask::<histories::ImportError>,
    ask::<histories::RowError>,
    ask::<l1::BatchFault>,
    ask::<l1::L1Error>,
    ask::<l1::OpenError>,
    ask::<l1::Refusal>,
    ask::<l1::StoreError>,
    ask::<l1::checked::CheckedError>,
    ask::<l1::evm::calldata::CalldataError>,
    ask::<l1::evm::calldata::EncodeError>,
    ask::<l1::evm::verifier::VerifierError>,
    ask::<l1::genesis::GenesisError>,
    ask::<l1::submission::FolderError>,
    ask::<l1::token::SymbolError>,
    ask::<batcher::ApplyError>,
    ask::<batcher::AuditError>,
    ask::<batcher::BuildError>,
    ask::<batcher::HistoryError>,
    ask::<batcher::NotAnId>,
    ask::<batcher::OpenError>,
    ask::<batcher::Refusal>,
    ask::<batcher::ReopenError>,
    ask::<batcher::RestoreError<Box<rollup::RestoreError>>>,
    ask::<batcher::SealError>,
    ask::<batcher::SettingsError>,
    ask::<batcher::StageError>,
    ask::<batcher::StoreError>,
    ask::<rollup::AmountError>,
    ask::<rollup::ClockError>,
    ask::<rollup::CreateError>,
    ask::<rollup::DeploymentError>,
    ask::<rollup::FollowError>,
    ask::<rollup::KeysError>,
    ask::<rollup::LeaveError>,
    ask::<rollup::LinkError>,
    ask::<rollup::PlanError>,
    ask::<rollup::RestoreError>,
    ask::<rollup::RollupError>,
    ask::<rollup::exits::ExitError>,
    ask::<rollup::history::HistoryError>,
    ask::<rollup::key_check::KeyCheckError>,
    ask::<rollup::key_export::ExportError>,
    ask::<rollup::operator::OperatorError>,
    ask::<rollup::restoring::RestoringError>,
    ask::<rollup::SettleError>,
    ask::<rollup::WorkError>,
    ask::<rollup::error::NoFolder>,
    ask::<rollup::shape::ShapesError>,
    ask::<rollup::user::UserError>,
    #[cfg(feature = "chain")]
    ask::<chain::ChainError>,
    #[cfg(feature = "interop")]
    ask::<interop::FormatError>,
    #[cfg(feature = "interop")]
    ask::<interop::ceremony::CeremonyError>,
    #[cfg(feature = "interop")]
    ask::<interop::error::PointFault>,
    #[cfg(feature = "interop")]
    ask::<interop::groth16::Groth16Error>,
];

/// Tells whether an error is of one type.
type Is = fn(&(dyn Error + 'static)) -> bool;

fn is<E: Error + 'static>(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<E>()
}

/// The types of crates that know of no classes: whatever is wrong, the same person has to act. Where it
/// came from a file, the command says so with a [`Fault`].
const ONE_CLASS: &[(Is, Class)] = &[
    // What commands write is text and numbers of their own.
    (is::<serde_json::Error>, Class::Bug),
    (is::<std::num::TryFromIntError>, Class::Bug),
    (is::<std::string::FromUtf8Error>, Class::Bug),
    (is::<r1cs::R1csError>, Class::Refused),
    (is::<ledger::babyjubjub::PointError>, Class::Refused),
    (is::<ledger::babyjubjub::KeyError>, Class::Refused),
    (is::<ledger::bytes::BytesError>, Class::Usage),
    (is::<ledger::eddsa::SignatureError>, Class::Refused),
    (is::<ledger::field::FieldError>, Class::Usage),
    (is::<ledger::float::FloatError>, Class::Usage),
    (is::<ledger::operation::OperationError>, Class::Input),
    (is::<ledger::reject::DoesNotFit>, Class::Refused),
    (is::<ledger::reject::L1Violation>, Class::Damaged),
    (is::<ledger::reject::Reject>, Class::Refused),
    (is::<ledger::reject::SignatureFault>, Class::Refused),
    (is::<ledger::replay::BatchError>, Class::Damaged),
    (is::<ledger::replay::ReplayError>, Class::Damaged),
    (is::<ledger::shape::ShapeError>, Class::Usage),
    (is::<ledger::state::CheckError>, Class::Damaged),
    (is::<ledger::state::GenesisError>, Class::Refused),
    (is::<ledger::state::StoredError>, Class::Damaged),
    (is::<ledger::transition::ApplyError>, Class::Refused),
    (is::<ledger::transition::BeginError>, Class::Refused),
    (is::<ledger::transition::FinishError>, Class::Damaged),
    (is::<ledger::transition::PushError>, Class::Refused),
    (is::<ledger::transition::StateMoved>, Class::Bug),
    (is::<ledger::tree::GroupsError>, Class::Damaged),
    (is::<ledger::tree::NodeDiffers>, Class::Damaged),
    (is::<ledger::tree::ProofError>, Class::Refused),
    (is::<ledger::tree::TreeError>, Class::Damaged),
    (is::<ledger::words::WordsError>, Class::Input),
    #[cfg(feature = "evm")]
    (is::<evm::chain::CallError>, Class::Refused),
    #[cfg(any(feature = "bench", feature = "interop"))]
    (is::<measuring::ComparisonError>, Class::Refused),
    #[cfg(any(feature = "bench", feature = "interop"))]
    (is::<measuring::sample::SampleError>, Class::Refused),
];

/// The error with its causes; a cause that the text before it tells already is left out.
pub fn message(error: &anyhow::Error) -> String {
    rollup::text::message(error.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use prover::key::KeyError;

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
    fn the_libraries_errors_are_asked_for_their_class() {
        let node = |error: rollup::RollupError| class_of(&failed(error));
        let stopped = || batcher::StoreError::Stopped { path: "b".into() };
        let seal = batcher::SealError::Store(stopped());
        assert_eq!(node(seal.into()), Class::Environment);
        let missing = || l1::StoreError::Missing { what: "x".into() };
        assert_eq!(node(l1::L1Error::Store(missing()).into()), Class::Damaged);
        let refused = l1::L1Error::Refused(l1::Refusal::Frozen);
        assert_eq!(node(refused.into()), Class::Refused);
        let chain = rollup::SettleError::Chain(::files::AnyClassified::new(missing()));
        assert_eq!(node(chain.into()), Class::Damaged);
        let link = rollup::LinkError::Chain(::files::AnyClassified::new(Fault::usage("no client")));
        let link = rollup::DeploymentError::Link(link);
        assert_eq!(class_of(&failed(link)), Class::Usage);
        let leave = rollup::LeaveError::Version { got: 2 };
        assert_eq!(class_of(&failed(leave)), Class::Input);
        let field = ledger::field::FieldError::Length { most: 1, got: 2 };
        assert_eq!(class_of(&failed(field)), Class::Usage);
    }

    #[test]
    fn the_numbers_are_those_of_the_classes() {
        use Class::{Bug, Damaged, Environment, Input, Refused, Usage};
        let statuses = [Refused, Usage, Input, Environment, Damaged, Bug].map(status);
        assert_eq!(statuses, [1, 2, 3, 4, 5, 70]);
    }
}
