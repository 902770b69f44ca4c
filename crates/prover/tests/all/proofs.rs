//! Proofs from end to end, against `ark-groth16` with the same key and reduction.

use crate::chain::Chain;
use crate::fixture::{CHAIN, fixture};
use ark_bn254::{Bn254, Fr};
use ark_groth16::Groth16;
use ark_snark::SNARK;
use circuits::r1cs::{R1cs, assignment_of};
use prover::key::{KeyError, KeyInfo, Origin, ProvingKey};
use prover::proof::Proof;
use prover::prove::{ProveError, Stage, Watch, prove, prove_watched};
use prover::qap::OddCosetReduction;
use prover::schedule::{Job, ScheduleError, bytes_per_proof, prove_many, width};
use prover::setup::setup;
use prover::verify::{VerifyError, verify, verify_many};
use rand::SeedableRng;
use rand::rngs::{OsRng, StdRng};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

type Ark = Groth16<Bn254, OddCosetReduction>;

#[test]
fn proofs_verify_and_are_blinded() {
    for steps in [1, 2, 40, 700] {
        let fixture = fixture(Chain { steps, ..CHAIN });
        let (first, second) = (fixture.prove(), fixture.prove());
        assert_ne!(first, second);
        for proof in [first, second] {
            assert_eq!(
                verify(fixture.key.verifying_key(), fixture.inputs(), &proof),
                Ok(())
            );
            assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof));
        }
    }
}

#[test]
fn a_production_key_proves_and_verifies() {
    let r1cs = R1cs::of(CHAIN).unwrap();
    let key = setup(&r1cs, "chain", b"").unwrap();
    assert_eq!(key.verifying_key().info().origin, Origin::Production);
    let assignment = assignment_of(CHAIN).unwrap();
    let proof = prove(&key, &r1cs, &assignment, &mut OsRng).unwrap();
    assert_eq!(
        verify(key.verifying_key(), &assignment[1..4], &proof),
        Ok(())
    );
}

#[test]
fn ark_groth16_verifies_our_proofs_and_we_verify_its() {
    let fixture = fixture(CHAIN);
    let ark_key = fixture.key.to_ark();
    assert!(Ark::verify(&ark_key.vk, fixture.inputs(), &fixture.prove().to_ark()).unwrap());
    let theirs = Ark::prove(&ark_key, CHAIN, &mut StdRng::seed_from_u64(2)).unwrap();
    let theirs = Proof::from_ark(&theirs).unwrap();
    assert_eq!(
        verify(fixture.key.verifying_key(), fixture.inputs(), &theirs),
        Ok(())
    );
}

#[test]
fn a_key_of_ark_groth16_works_and_converts_back_unchanged() {
    let r1cs = R1cs::of(CHAIN).unwrap();
    let (ark_key, _) = Ark::circuit_specific_setup(CHAIN, &mut StdRng::seed_from_u64(3)).unwrap();
    let info = KeyInfo {
        name: "chain".to_owned(),
        shape: Vec::new(),
        fingerprint: r1cs.fingerprint(),
        origin: Origin::Dev,
    };
    let key = ProvingKey::from_ark(ark_key.clone(), info).unwrap();
    assert_eq!(key.to_ark(), ark_key);
    let assignment = assignment_of(CHAIN).unwrap();
    let proof = prove(&key, &r1cs, &assignment, &mut OsRng).unwrap();
    assert!(Ark::verify(&ark_key.vk, &assignment[1..4], &proof.to_ark()).unwrap());
}

#[test]
fn a_violated_constraint_is_named() {
    let mut fixture = fixture(CHAIN);
    let rows = fixture.r1cs.num_constraints();
    let honest = fixture.assignment.clone();
    for (variable, value) in honest.iter().enumerate().skip(4).step_by(7) {
        fixture.assignment[variable] += Fr::from(1u64);
        let expected = fixture.r1cs.is_satisfied(&fixture.assignment).unwrap_err();
        let error =
            prove(&fixture.key, &fixture.r1cs, &fixture.assignment, &mut OsRng).unwrap_err();
        assert!(
            matches!(error, ProveError::Unsatisfied { row } if row == expected && row < rows),
            "{error}"
        );
        fixture.assignment[variable] = *value;
    }
}

#[test]
fn an_unfit_assignment_or_key_is_refused() {
    let fixture = fixture(CHAIN);
    let attempt =
        |assignment: &[Fr]| prove(&fixture.key, &fixture.r1cs, assignment, &mut OsRng).unwrap_err();
    let length = fixture.assignment.len();
    let error = attempt(&fixture.assignment[..length - 1]);
    assert!(
        matches!(error, ProveError::AssignmentLength { expected, got } if (expected, got) == (length, length - 1))
    );
    let mut not_one = fixture.assignment.clone();
    not_one[0] = Fr::from(2u64);
    assert!(matches!(attempt(&not_one), ProveError::NotOne { .. }));

    let other = Chain { steps: 41, ..CHAIN };
    let (r1cs, assignment) = (R1cs::of(other).unwrap(), assignment_of(other).unwrap());
    let error = prove(&fixture.key, &r1cs, &assignment, &mut OsRng).unwrap_err();
    assert!(
        matches!(error, ProveError::Key(KeyError::WrongCircuit { .. })),
        "{error}"
    );
}

#[test]
fn an_inconsistent_key_gives_an_error_and_no_proof() {
    let fixture = fixture(CHAIN);
    let mut ark_key = fixture.key.to_ark();
    ark_key.h_query.swap(0, 1);
    let key = ProvingKey::from_ark(ark_key, fixture.key.verifying_key().info().clone()).unwrap();
    let error = prove(&key, &fixture.r1cs, &fixture.assignment, &mut OsRng).unwrap_err();
    assert!(
        matches!(error, ProveError::SelfCheck(VerifyError::Rejected { .. })),
        "{error}"
    );
}

#[test]
fn stages_are_reported_and_a_cancelled_proof_stops() {
    let fixture = fixture(CHAIN);
    let seen = Mutex::new(Vec::new());
    let cancel = AtomicBool::new(false);
    let note = |stage| {
        seen.lock().unwrap().push(stage);
    };
    let run = |on_stage: &(dyn Fn(Stage) + Sync)| {
        let watch = Watch {
            on_stage: Some(on_stage),
            cancel: Some(&cancel),
        };
        prove_watched(
            &fixture.key,
            &fixture.r1cs,
            &fixture.assignment,
            &mut OsRng,
            watch,
        )
    };
    let proved = run(&note).unwrap();
    let timed: Vec<Stage> = proved
        .timings
        .stages()
        .iter()
        .map(|(stage, _)| *stage)
        .collect();
    assert_eq!(*seen.lock().unwrap(), timed);
    assert_eq!(
        (timed.len(), timed[0], timed[7]),
        (8, Stage::Rows, Stage::SelfCheck)
    );

    let cancel_at_l = |stage| {
        if stage == Stage::L {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    assert!(matches!(
        run(&cancel_at_l),
        Err(ProveError::Cancelled { before: Stage::A })
    ));
}

#[test]
fn many_proofs_run_within_the_memory_limit_and_in_order() {
    let fixture = fixture(CHAIN);
    let mut bad = fixture.assignment.clone();
    bad[10] += Fr::from(1u64);
    let job = |assignment| Job {
        key: &fixture.key,
        r1cs: &fixture.r1cs,
        assignment,
    };
    let jobs: Vec<Job<'_>> = [
        &fixture.assignment,
        &bad,
        &fixture.assignment,
        &fixture.assignment,
    ]
    .into_iter()
    .map(|a| job(a))
    .collect();
    let one = bytes_per_proof(&fixture.key);
    assert_eq!(width(&jobs, one), Ok(1));
    assert_eq!(
        width(&jobs, 3 * one),
        Ok(3.min(rayon::current_num_threads()))
    );
    assert_eq!(
        width(&jobs, one - 1),
        Err(ScheduleError::MemoryLimit {
            needed: one,
            limit: one - 1
        })
    );
    let results = prove_many(&jobs, 2 * one).unwrap();
    let verdicts: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true, true]);
    let proofs: Vec<_> = results
        .into_iter()
        .flatten()
        .map(|proof| (fixture.inputs(), proof))
        .collect();
    assert_eq!(verify_many(fixture.key.verifying_key(), &proofs), Ok(()));
    assert!(prove_many(&[], 0).unwrap().is_empty());
}
