//! Proves a plain arkworks circuit that knows nothing of this project.
//!
//! `cargo run --release -p prover --example foreign`. The circuit is written with `ark-r1cs-std` alone:
//! somebody knows a list of numbers of 16 bits each whose sum and whose MiMC-like digest are public.
//! Setup and proof are this crate's, the verifier is `ark-groth16`'s.

use ark_bn254::{Bn254, Fr};
use ark_ff::{AdditiveGroup, Field};
use ark_groth16::Groth16;
use ark_r1cs_std::alloc::AllocVar;
use ark_r1cs_std::boolean::Boolean;
use ark_r1cs_std::eq::EqGadget;
use ark_r1cs_std::fields::FieldVar;
use ark_r1cs_std::fields::fp::FpVar;
use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};
use ark_snark::SNARK;
use prover::circuit::CircuitProver;

/// Bits of a number.
const BITS: usize = 16;
/// Rounds for each number.
const ROUNDS: u64 = 30;

/// Knows `numbers` with the public `sum` and `digest`.
#[derive(Clone)]
pub struct Ledger {
    /// The secret numbers.
    pub numbers: Vec<u16>,
    /// Their sum.
    pub sum: Fr,
    /// Their digest.
    pub digest: Fr,
}

impl Ledger {
    /// With the sum and digest of these numbers.
    pub fn of(numbers: Vec<u16>) -> Self {
        let sum = numbers.iter().map(|number| Fr::from(*number)).sum();
        let digest = numbers.iter().fold(Fr::ZERO, |state, number| {
            (0..ROUNDS).fold(state + Fr::from(*number), |state, round| {
                (state + Fr::from(round)).pow([5])
            })
        });
        Self {
            numbers,
            sum,
            digest,
        }
    }
}

impl ConstraintSynthesizer<Fr> for Ledger {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        let sum = FpVar::new_input(cs.clone(), || Ok(self.sum))?;
        let digest = FpVar::new_input(cs.clone(), || Ok(self.digest))?;
        let mut total = FpVar::zero();
        let mut state = FpVar::zero();
        for number in self.numbers {
            let bits: Vec<Boolean<Fr>> = (0..BITS)
                .map(|bit| Boolean::new_witness(cs.clone(), || Ok(number >> bit & 1 == 1)))
                .collect::<Result<_, _>>()?;
            let value = Boolean::le_bits_to_fp(&bits)?;
            total += &value;
            state += &value;
            for round in 0..ROUNDS {
                let shifted = &state + Fr::from(round);
                state = shifted.square()?.square()? * &shifted;
            }
        }
        total.enforce_equal(&sum)?;
        state.enforce_equal(&digest)
    }
}

/// Sets up, proves and verifies; gives the number of constraints.
pub fn run(numbers: Vec<u16>) -> Result<usize, Box<dyn std::error::Error>> {
    let empty = Ledger::of(vec![0; numbers.len()]);
    let prover = CircuitProver::setup(empty)?;
    let ledger = Ledger::of(numbers);
    let inputs = [ledger.sum, ledger.digest];
    let proof = prover.prove(ledger)?;
    let holds = Groth16::<Bn254>::verify(prover.verifying_key(), &inputs, &proof)?;
    if !holds {
        return Err("ark-groth16 refuses the proof".into());
    }
    Ok(prover.r1cs().num_constraints())
}

#[allow(dead_code, reason = "tests take this file as a module")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let constraints = run((0..100).map(|k| 37 * k).collect())?;
    println!("a proof about {constraints} constraints was made here and verified by ark-groth16");
    Ok(())
}
