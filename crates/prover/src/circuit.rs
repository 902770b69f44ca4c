//! Proofs for any arkworks circuit, with `ark-groth16`'s types at the borders.
//!
//! [`CircuitProver`] has what is made once for a circuit: its matrices and its key. A circuit's
//! constraints must not depend on its values, as everywhere in Groth16; a value of the circuit without
//! witness serves to make the key.
//!
//! Invariant: what [`CircuitProver::prove`] returns verifies under [`CircuitProver::verifying_key`] for
//! the circuit's own public inputs, in this library and in `ark-groth16`.

use ark_bn254::{Bn254, Fr};
use ark_relations::gr1cs::ConstraintSynthesizer;
use r1cs::{R1cs, R1csError, assignment_of};
use rand::rngs::OsRng;

use crate::key::{KeyError, KeyInfo, Origin, ProvingKey};
use crate::prove::{ProveError, prove};
use crate::setup::{SetupError, setup};

/// Why a circuit was not set up or proven.
#[derive(Debug, thiserror::Error)]
pub enum CircuitError {
    /// The circuit's constraints or its assignment cannot be made.
    #[error(transparent)]
    Circuit(#[from] R1csError),
    /// No key could be made for the circuit.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A key that was handed in cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no proof.
    #[error(transparent)]
    Prove(#[from] ProveError),
}

/// A circuit's matrices and key.
pub struct CircuitProver {
    r1cs: R1cs,
    key: ProvingKey,
}

impl CircuitProver {
    /// Makes a key for `circuit` from the operating system's randomness, by one party.
    ///
    /// # Errors
    /// [`CircuitError::Circuit`], [`CircuitError::Setup`].
    pub fn setup(circuit: impl ConstraintSynthesizer<Fr>) -> Result<Self, CircuitError> {
        let r1cs = R1cs::of(circuit)?;
        let key = setup(&r1cs, "", b"")?;
        Ok(Self { r1cs, key })
    }

    /// Takes over a key that `ark-groth16` made for `circuit` with [`crate::qap::OddCosetReduction`].
    /// A key of another reduction is not recognized here: its proofs do not verify, which is an error
    /// of [`CircuitProver::prove`].
    ///
    /// # Errors
    /// [`CircuitError::Circuit`], or [`CircuitError::Key`] for a key of other sizes or a bad one.
    pub fn with_key(
        circuit: impl ConstraintSynthesizer<Fr>,
        key: ark_groth16::ProvingKey<Bn254>,
    ) -> Result<Self, CircuitError> {
        let r1cs = R1cs::of(circuit)?;
        let info = KeyInfo {
            name: String::new(),
            shape: Vec::new(),
            fingerprint: r1cs.fingerprint(),
            origin: Origin::Production,
        };
        let key = ProvingKey::from_ark(key, info)?;
        Ok(Self { r1cs, key })
    }

    /// Proves `circuit` with its values; blinding comes from the operating system. The public inputs
    /// are those that the circuit allocates, in order.
    ///
    /// # Errors
    /// [`CircuitError::Circuit`] if the circuit cannot make its assignment, [`CircuitError::Prove`] if
    /// it does not satisfy its constraints or is another circuit.
    pub fn prove(
        &self,
        circuit: impl ConstraintSynthesizer<Fr>,
    ) -> Result<ark_groth16::Proof<Bn254>, CircuitError> {
        let assignment = assignment_of(circuit)?;
        let proof = prove(&self.key, &self.r1cs, &assignment, &mut OsRng)?;
        Ok(proof.to_ark())
    }

    /// The key for `ark_groth16::Groth16::verify`.
    pub fn verifying_key(&self) -> &ark_groth16::VerifyingKey<Bn254> {
        self.key.verifying_key().ark()
    }

    /// The key that proofs are made with.
    pub fn key(&self) -> &ProvingKey {
        &self.key
    }

    /// The matrices of the circuit that the key is for.
    pub fn r1cs(&self) -> &R1cs {
        &self.r1cs
    }
}
