//! Plain arkworks circuits through the public interface.

use ark_bn254::{Bn254, Fr};
use ark_groth16::Groth16;
use ark_snark::SNARK;
use prover::circuit::{CircuitError, CircuitProver};
use prover::prove::ProveError;
use prover::qap::OddCosetReduction;
use r1cs::R1csError;
use rand::SeedableRng;
use rand::rngs::StdRng;

#[path = "../../examples/foreign.rs"]
mod foreign;

use foreign::Ledger;

#[test]
fn the_example_runs() {
    assert!(foreign::run(vec![1, 2, 65_535, 0]).unwrap() > 4 * 16);
}

#[test]
fn a_wrong_witness_gives_no_proof() {
    let prover = CircuitProver::setup(Ledger::of(vec![0; 3])).unwrap();
    let mut wrong = Ledger::of(vec![5, 6, 7]);
    wrong.sum += Fr::from(1u64);
    let error = prover.prove(wrong).unwrap_err();
    assert!(
        matches!(error, CircuitError::Prove(ProveError::Unsatisfied { .. })),
        "{error}"
    );
    let longer = prover.prove(Ledger::of(vec![5; 4])).unwrap_err();
    assert!(
        matches!(
            longer,
            CircuitError::Prove(ProveError::AssignmentLength { .. })
        ),
        "{longer}"
    );
}

#[test]
fn a_key_of_ark_groth16_serves_and_one_of_another_reduction_does_not() {
    let circuit = Ledger::of(vec![9, 8]);
    let inputs = [circuit.sum, circuit.digest];
    let mut rng = StdRng::seed_from_u64(7);
    let (key, _) =
        Groth16::<Bn254, OddCosetReduction>::circuit_specific_setup(circuit.clone(), &mut rng)
            .unwrap();
    let prover = CircuitProver::with_key(Ledger::of(vec![0; 2]), key.clone()).unwrap();
    assert_eq!(prover.verifying_key(), &key.vk);
    assert_eq!(prover.key().to_ark(), key);
    let proof = prover.prove(circuit.clone()).unwrap();
    assert!(Groth16::<Bn254>::verify(&key.vk, &inputs, &proof).unwrap());

    let (other, _) = Groth16::<Bn254>::circuit_specific_setup(circuit.clone(), &mut rng).unwrap();
    match CircuitProver::with_key(Ledger::of(vec![0; 2]), other) {
        Err(error) => assert!(matches!(error, CircuitError::Key(_)), "{error}"),
        Ok(prover) => assert!(matches!(
            prover.prove(circuit),
            Err(CircuitError::Prove(ProveError::SelfCheck(_)))
        )),
    }
}

/// A circuit that fails to make its values is named as such.
#[test]
fn a_circuit_that_fails_is_an_error() {
    use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};
    struct Failing;
    impl ConstraintSynthesizer<Fr> for Failing {
        fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
            cs.new_witness_variable(|| Err(SynthesisError::AssignmentMissing))
                .map(|_| ())
        }
    }
    let prover = CircuitProver::setup(Ledger::of(vec![0])).unwrap();
    assert!(matches!(
        prover.prove(Failing),
        Err(CircuitError::Circuit(R1csError::Synthesis(
            SynthesisError::AssignmentMissing
        )))
    ));
}
