//! ark-groth16 on the circuits of this project.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ark_bn254::Bn254;
use ark_ff::UniformRand;
use ark_groth16::{Groth16, ProvingKey};
use ark_relations::gr1cs::{
    ConstraintSystem, Matrix, OptimizationGoal, R1CS_PREDICATE_LABEL, SynthesisError, SynthesisMode,
};
use ark_snark::SNARK;
use circuits::shapes::padding;
use circuits::transition::{BatchCircuit, BatchValues};
use ledger::field::Fr;
use ledger::shape::Shape;
use r1cs::R1cs;
use rand::rngs::OsRng;

use crate::error::ComparisonError;

/// ark-groth16 with what it keeps between proofs of a shape. It has its default QAP reduction.
pub struct Ark {
    key: ProvingKey<Bn254>,
    matrices: Vec<Matrix<Fr>>,
}

/// The time of `Groth16::circuit_specific_setup`.
///
/// # Errors
/// [`ComparisonError::Groth16`].
pub fn setup_time(shape: &Shape) -> Result<Duration, ComparisonError> {
    let circuit = BatchCircuit(padding(shape));
    let started = Instant::now();
    black_box(Groth16::<Bn254>::circuit_specific_setup(
        circuit, &mut OsRng,
    )?);
    Ok(started.elapsed())
}

impl Ark {
    /// Makes a key.
    ///
    /// # Errors
    /// [`ComparisonError::Groth16`].
    pub fn setup(shape: &Shape) -> Result<Self, ComparisonError> {
        let circuit = BatchCircuit(padding(shape));
        let cs = ConstraintSystem::<Fr>::new_ref();
        cs.set_optimization_goal(OptimizationGoal::Constraints);
        cs.set_mode(SynthesisMode::Setup);
        circuit.synthesize(cs.clone());
        cs.finalize();
        let matrices = cs.to_matrices()?.remove(R1CS_PREDICATE_LABEL);
        let matrices = matrices.ok_or(SynthesisError::MissingCS)?;
        drop(cs);
        let (key, _) = Groth16::<Bn254>::circuit_specific_setup(circuit, &mut OsRng)?;
        Ok(Self { key, matrices })
    }

    /// The time of `Groth16::prove`: synthesis with matrices, then the proof.
    ///
    /// # Errors
    /// [`ComparisonError`]; the proof is verified.
    pub fn prove(&self, values: &BatchValues) -> Result<Duration, ComparisonError> {
        let circuit = BatchCircuit(values.clone());
        let started = Instant::now();
        let proof = Groth16::<Bn254>::prove(&self.key, circuit, &mut OsRng)?;
        let time = started.elapsed();
        let inputs = [values.c, values.z, values.y];
        match Groth16::<Bn254>::verify(&self.key.vk, &inputs, &proof)? {
            true => Ok(time),
            false => Err(ComparisonError::Differs {
                what: "a proof".to_owned(),
            }),
        }
    }

    /// The time of a proof from matrices and a witness that are there already.
    ///
    /// # Errors
    /// [`ComparisonError::Groth16`].
    pub fn prove_cached(
        &self,
        r1cs: &R1cs,
        assignment: &[Fr],
    ) -> Result<Duration, ComparisonError> {
        let started = Instant::now();
        let proof = Groth16::<Bn254>::create_proof_with_reduction_and_matrices(
            &self.key,
            Fr::rand(&mut OsRng),
            Fr::rand(&mut OsRng),
            &self.matrices,
            r1cs.num_instance(),
            r1cs.num_constraints(),
            assignment,
        );
        black_box(proof?);
        Ok(started.elapsed())
    }
}
