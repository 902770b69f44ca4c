//! Everything about the key files of a shape that can be checked.
//!
//! What cannot: who made the keys, and whether the setup's secrets were forgotten.

use std::path::{Path, PathBuf};

use circuits::shapes;
use circuits::transition::assignment;
use files::{Class, Classified};
use l1::NativeL1;
use ledger::shape::Shape;
use prover::key::{AllowDevKeys, KeyError, ProvingKey, VerifyingKey};
use prover::prove::{ProveError, prove};
use prover::verify::{VerifyError, verify};
use r1cs::R1cs;
use rand::rngs::OsRng;
use thiserror::Error;

use crate::error::DeploymentError;
use crate::event::{Doing, Work};
use crate::keys::{KeysError, check_exists, compiled, key_path, shape_of};
use crate::open::L1;
use crate::place::Place;
use crate::shape::{ShapesError, named, shape_name};

/// Which check a key fails.
#[derive(Debug, Error)]
pub enum KeyCheckError {
    /// There is no such shape.
    #[error(transparent)]
    Shape(#[from] ShapesError),
    /// There is no key, or no circuit.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// L1 cannot be asked.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// A file breaks its form, or is for another circuit.
    #[error("{} does not hold", path.display())]
    Unusable { path: PathBuf, source: KeyError },
    /// A key is for another shape.
    #[error("{} says that it is for another shape than {shape}: {described}", path.display())]
    OtherShape {
        path: PathBuf,
        /// Name of the shape.
        shape: String,
        /// The shape that the key names.
        described: String,
    },
    /// A proving key has other sizes than its circuit.
    #[error(
        "{} has {variables} variables and a domain of {domain}, the circuit has {expected_variables} and {expected_domain}; repeat the setup",
        path.display()
    )]
    Sizes {
        path: PathBuf,
        variables: usize,
        domain: usize,
        expected_variables: usize,
        expected_domain: usize,
    },
    /// The two files are of different setups.
    #[error(
        "{} holds verifying key {held}, {} is {got}: they are not of one setup; copy both files of one",
        proving.display(), verifying.display()
    )]
    TwoSetups {
        proving: PathBuf,
        /// Id of the key in it.
        held: String,
        verifying: PathBuf,
        /// Id of that key.
        got: String,
    },
    /// L1 has no batches of the shape.
    #[error("the deployment of this L1 does not list shape {shape}")]
    NotListed {
        /// Name of the shape.
        shape: String,
    },
    /// L1 verifies with another key.
    #[error(
        "L1 verifies shape {shape} with key {expected}, the file has {got}: it proves nothing for this deployment; ask for a copy of the former"
    )]
    NotOfL1 {
        /// Name of the shape.
        shape: String,
        /// Id of L1's key.
        expected: String,
        /// Id of the key in the file.
        got: String,
    },
    /// No proof can be made.
    #[error("{} makes no good proof", path.display())]
    NoProof { path: PathBuf, source: ProveError },
    /// A proof was made that does not verify.
    #[error("the trial proof")]
    TrialProof { source: VerifyError },
}

impl Classified for KeyCheckError {
    fn class(&self) -> Class {
        match self {
            Self::Shape(error) => error.class(),
            Self::Keys(error) => error.class(),
            Self::Deployment(error) => error.class(),
            Self::Unusable { source, .. } => source.class(),
            Self::NotListed { .. } => Class::Usage,
            Self::OtherShape { .. }
            | Self::Sizes { .. }
            | Self::TwoSetups { .. }
            | Self::NotOfL1 { .. } => Class::Input,
            Self::NoProof { source, .. } => match source.class() {
                Class::Environment => Class::Environment,
                Class::Refused | Class::Usage | Class::Input | Class::Damaged | Class::Bug => {
                    Class::Input
                }
            },
            Self::TrialProof { source } => source.class(),
        }
    }
}

/// A pair of key files that holds.
pub struct Checked {
    pub proving_path: PathBuf,
    pub verifying_path: PathBuf,
    pub key: VerifyingKey,
    /// Of the circuit.
    pub fingerprint: [u8; 32],
    /// Points that were checked.
    pub points: usize,
    /// Whether L1 verifies batches with this key; none if there is no L1, or it has no key yet.
    pub on_l1: Option<bool>,
    /// What was checked, in words.
    pub checks: Vec<&'static str>,
}

/// Checks the key files of a shape, with a proof of an empty batch if that is wanted.
///
/// # Errors
/// With the first check that fails.
pub fn check(place: &Place, name: &str, trial_proof: bool) -> Result<Checked, KeyCheckError> {
    let shape = named(name)?;
    let path = |extension| key_path(&place.keys_dir, name, extension);
    let (proving_path, verifying_path) = (path("pk"), path("vk"));
    let unusable = |path: &Path, source| KeyCheckError::Unusable {
        path: path.to_owned(),
        source,
    };
    check_exists(&proving_path, name)?;
    let mut checks = Vec::new();
    let shape_named = || name.to_owned();
    let work = Work::ReadKeys {
        shape: shape_named(),
    };
    let task = place.task(&work, None);
    // Why: looking closely at a key marked as insecure is not using it.
    let allow = AllowDevKeys::Yes;
    let verifying = VerifyingKey::load(&verifying_path, allow)
        .map_err(|source| unusable(&verifying_path, source))?;
    checks.push("verifying key: form, checksum, points, degeneracy");
    let described = shape_of(&verifying)?;
    if described != shape {
        return Err(KeyCheckError::OtherShape {
            path: verifying_path,
            shape: shape_named(),
            described: format!("{described:?}"),
        });
    }
    checks.push("shape");
    task.doing(&Doing::Compile {
        shape: shape_named(),
    });
    let r1cs = compiled(&shape)?.r1cs;
    let fingerprint = r1cs.fingerprint();
    verifying
        .check_circuit(&fingerprint)
        .map_err(|source| unusable(&verifying_path, source))?;
    checks.push("circuit, compiled afresh");
    task.doing(&Doing::LoadProvingKey);
    let proving = ProvingKey::load(&proving_path, &fingerprint, allow)
        .map_err(|source| unusable(&proving_path, source))?;
    checks.push("proving key: form, checksum, counts");
    check_sizes(&proving_path, &proving, &r1cs)?;
    checks.push("sizes of the circuit");
    if *proving.verifying_key() != verifying {
        return Err(KeyCheckError::TwoSetups {
            proving: proving_path,
            held: proving.verifying_key().id_hex(),
            verifying: verifying_path,
            got: verifying.id_hex(),
        });
    }
    checks.push("both files of one setup");
    let on_l1 = on_l1(place, &shape, &verifying)?;
    if on_l1.is_some() {
        checks.push("the key that L1 verifies batches with");
    }
    task.doing(&Doing::CheckPoints);
    let points = proving
        .check_points()
        .map_err(|error| unusable(&proving_path, error.into()))?;
    checks.push("every point on its curve and in its subgroup");
    if trial_proof {
        task.doing(&Doing::TrialProof);
        try_proof(&proving_path, &proving, &r1cs, &shape)?;
        checks.push("a proof of an empty batch verifies");
    }
    task.done();
    Ok(Checked {
        proving_path,
        verifying_path,
        key: verifying,
        fingerprint,
        points,
        on_l1,
        checks,
    })
}

fn check_sizes(path: &Path, proving: &ProvingKey, r1cs: &R1cs) -> Result<(), KeyCheckError> {
    let counted = (proving.num_variables(), proving.domain_size());
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let expected = (r1cs.num_variables(), rows.next_power_of_two());
    if counted == expected {
        return Ok(());
    }
    Err(KeyCheckError::Sizes {
        path: path.to_owned(),
        variables: counted.0,
        domain: counted.1,
        expected_variables: expected.0,
        expected_domain: expected.1,
    })
}

/// Proves an empty batch, and verifies the proof with the verifying key.
fn try_proof(
    path: &Path,
    proving: &ProvingKey,
    r1cs: &R1cs,
    shape: &Shape,
) -> Result<(), KeyCheckError> {
    let assignment = assignment(&shapes::padding(shape));
    let proof = prove(proving, r1cs, &assignment, &mut OsRng).map_err(|source| {
        let path = path.to_owned();
        KeyCheckError::NoProof { path, source }
    })?;
    let inputs = &assignment[1..r1cs.num_instance()];
    verify(proving.verifying_key(), inputs, &proof)
        .map_err(|source| KeyCheckError::TrialProof { source })
}

/// Whether the key is the one of L1, if there is an L1 that has one.
fn on_l1(place: &Place, shape: &Shape, key: &VerifyingKey) -> Result<Option<bool>, KeyCheckError> {
    if !place.l1_file.exists() && place.connect.is_none() {
        return Ok(None);
    }
    let l1 = L1::look(place)?;
    Ok(check_on_l1(&l1, shape, key)?.then_some(true))
}

/// Refuses a key that is not the one that L1 verifies the shape with, and says whether L1 has one.
///
/// # Errors
/// If L1 does not list the shape or has another key.
pub fn check_on_l1(
    l1: &NativeL1,
    shape: &Shape,
    key: &VerifyingKey,
) -> Result<bool, KeyCheckError> {
    let name = shape_name(shape);
    let listed = l1.deployment().shape(shape.id);
    if listed.is_none_or(|listed| listed.shape != *shape) {
        return Err(KeyCheckError::NotListed { shape: name });
    }
    let Some(registered) = l1.key(shape.id) else {
        return Ok(false);
    };
    // Why the points: what a mirror's key says of itself may not be on the chain.
    if registered.ark() != key.ark() {
        return Err(KeyCheckError::NotOfL1 {
            shape: name,
            expected: registered.id_hex(),
            got: key.id_hex(),
        });
    }
    Ok(true)
}
