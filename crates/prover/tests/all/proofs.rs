//! Proofs from end to end, against `ark-groth16` with the same key and reduction.

use crate::chain::Chain;
use crate::fixture::{CHAIN, Fixture, fixture};
use ark_bn254::{Bn254, Fr};
use ark_groth16::Groth16;
use ark_snark::SNARK;
use prover::key::{KeyError, KeyInfo, Origin, ProvingKey};
use prover::proof::Proof;
use prover::prove::{ProveError, Stage, Watch, prove, prove_watched};
use prover::qap::OddCosetReduction;
use prover::schedule::{
    Follow, ManyError, Plan, ScheduleError, bytes_ahead, bytes_per_proof, prove_many,
};
use prover::setup::setup;
use prover::verify::{VerifyError, verify, verify_many};
use r1cs::{R1cs, assignment_of};
use rand::SeedableRng;
use rand::rngs::{OsRng, StdRng};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
        (timed.len(), timed[0], timed[5]),
        (6, Stage::Rows, Stage::SelfCheck)
    );

    let cancel_at_l = |stage| {
        if stage == Stage::LAndA {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    assert!(matches!(
        run(&cancel_at_l),
        Err(ProveError::Cancelled {
            stage: Stage::LAndA
        })
    ));
}

/// One proof, one with the next one's witness ahead, and all side by side.
fn plans(fixture: &Fixture, count: usize) -> Vec<Plan> {
    let one = bytes_per_proof(&fixture.key);
    let bounds = [one, one + bytes_ahead(&fixture.key), 64 * one];
    let plan = |bound| Plan::new(&fixture.key, count, bound).expect("one proof fits the bound");
    let mut plans: Vec<Plan> = bounds.into_iter().map(plan).collect();
    // Whatever this machine would choose, each way is tried.
    (plans[0].way.side_by_side, plans[0].way.ahead) = (1, false);
    (plans[1].way.side_by_side, plans[1].way.ahead) = (1, true);
    (plans[2].way.side_by_side, plans[2].way.ahead) = (3, false);
    plans
}

#[test]
fn many_proofs_are_handed_over_in_order() {
    let fixture = fixture(CHAIN);
    let error = Plan::new(&fixture.key, 2, bytes_per_proof(&fixture.key) - 1);
    assert!(matches!(error, Err(ScheduleError::MemoryLimit { .. })));
    for plan in plans(&fixture, 7) {
        let stages = Mutex::new(Vec::new());
        let on_stage = |index, stage| stages.lock().unwrap().push((index, stage));
        let follow = Follow {
            on_stage: Some(&on_stage),
            cancel: None,
        };
        let mut proofs = Vec::new();
        prove_many::<()>(
            (&fixture.key, &fixture.r1cs),
            &plan,
            |_| Ok(fixture.assignment.clone()),
            follow,
            |index, proof| {
                assert_eq!(index, proofs.len());
                proofs.push((fixture.inputs().to_vec(), proof));
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(proofs.len(), 7);
        assert_eq!(verify_many(fixture.key.verifying_key(), &proofs), Ok(()));
        let stages = stages.into_inner().unwrap();
        assert_eq!(stages.len(), 7 * 6);
        for index in 0..7 {
            let mut of_one = stages.iter().filter(|(of, _)| *of == index);
            assert_eq!(of_one.next_back(), Some(&(index, Stage::SelfCheck)));
        }
    }
}

#[test]
fn a_failure_stops_what_follows_and_keeps_what_came_before() {
    let fixture = fixture(CHAIN);
    for plan in plans(&fixture, 9) {
        let begun = AtomicUsize::new(0);
        let witness = |index| {
            begun.fetch_add(1, Ordering::Relaxed);
            let mut assignment = fixture.assignment.clone();
            if index == 3 {
                assignment[10] += Fr::from(1u64);
            }
            Ok(assignment)
        };
        let mut kept = Vec::new();
        let result = prove_many::<()>(
            (&fixture.key, &fixture.r1cs),
            &plan,
            witness,
            Follow::default(),
            |index, _| {
                kept.push(index);
                Ok(())
            },
        );
        assert!(matches!(
            result,
            Err(ManyError::Prove {
                index: 3,
                source: ProveError::Unsatisfied { .. }
            })
        ));
        assert_eq!(kept, [0, 1, 2]);
        assert!(begun.into_inner() <= 8);
    }
}

#[test]
fn many_proofs_are_cancelled_within_a_stage() {
    let fixture = fixture(Chain {
        steps: 700,
        ..CHAIN
    });
    for plan in plans(&fixture, 4) {
        let cancel = AtomicBool::new(false);
        let on_stage = |_, stage| {
            if stage == Stage::B {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let follow = Follow {
            on_stage: Some(&on_stage),
            cancel: Some(&cancel),
        };
        let result = prove_many::<()>(
            (&fixture.key, &fixture.r1cs),
            &plan,
            |_| Ok(fixture.assignment.clone()),
            follow,
            |_, _| panic!("no proof is finished"),
        );
        assert!(matches!(
            result,
            Err(ManyError::Prove {
                source: ProveError::Cancelled { .. },
                ..
            })
        ));
    }
}
