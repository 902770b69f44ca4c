//! A circuit of any size to prove things about: a chain of fifth powers with boolean witnesses.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, SynthesisError, Variable,
};
use ark_relations::lc;

/// `xᵢ₊₁ = (xᵢ + bᵢ₁ + 2bᵢ₂ + 4bᵢ₃ + i)⁵` from the public `x₀` to the public last value, with a
/// further public input `memo` that no constraint mentions. Six constraints a step, half of the
/// witnesses boolean.
#[derive(Clone, Copy)]
pub struct Chain {
    /// Number of steps.
    pub steps: u64,
    /// The first value.
    pub start: u64,
    /// The unused public input.
    pub memo: u64,
}

/// Constraints of a step.
pub const STEP_CONSTRAINTS: u64 = 6;

impl Chain {
    /// The longest chain whose rows fit a domain of `2^log_size`.
    pub fn filling(log_size: u32) -> Self {
        Self {
            steps: ((1 << log_size) - 6) / STEP_CONSTRAINTS,
            start: 3,
            memo: 77,
        }
    }

    fn bits(&self, step: u64) -> [bool; 3] {
        let mixed = (step ^ self.start).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [1, 2, 3].map(|k| mixed >> (60 - k) & 1 == 1)
    }

    fn last(&self) -> Fr {
        (0..self.steps).fold(Fr::from(self.start), |x, step| {
            let bits = self.bits(step);
            let sum = (0..3).fold(Fr::from(step), |sum, k| {
                sum + Fr::from(u64::from(bits[k]) << k)
            });
            (x + sum).pow([5])
        })
    }
}

impl ConstraintSynthesizer<Fr> for Chain {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        let last = self.last();
        let start = cs.new_input_variable(|| Ok(Fr::from(self.start)))?;
        let end = cs.new_input_variable(|| Ok(last))?;
        // No constraint mentions it: the proof system alone binds it.
        let _memo = cs.new_input_variable(|| Ok(Fr::from(self.memo)))?;
        let (mut x, mut value) = (start, Fr::from(self.start));
        for step in 0..self.steps {
            (x, value) = self.step(&cs, step, x, value)?;
        }
        cs.enforce_r1cs_constraint(|| lc!() + x, || lc!() + Variable::One, || lc!() + end)
    }
}

impl Chain {
    fn step(
        &self,
        cs: &ConstraintSystemRef<Fr>,
        step: u64,
        x: Variable,
        value: Fr,
    ) -> Result<(Variable, Fr), SynthesisError> {
        let mut base: LinearCombination<Fr> = lc!() + x + (Fr::from(step), Variable::One);
        let mut value = value + Fr::from(step);
        for (k, bit) in self.bits(step).into_iter().enumerate() {
            let weight = Fr::from(1u64 << k);
            let wire = cs.new_witness_variable(|| Ok(Fr::from(bit)))?;
            cs.enforce_r1cs_constraint(|| lc!() + wire, || lc!() + wire - Variable::One, || lc!())?;
            base += (weight, wire);
            value += if bit { weight } else { Fr::ZERO };
        }
        let square = cs.new_witness_variable(|| Ok(value.square()))?;
        let fourth = cs.new_witness_variable(|| Ok(value.pow([4])))?;
        let fifth = cs.new_witness_variable(|| Ok(value.pow([5])))?;
        cs.enforce_r1cs_constraint(|| base.clone(), || base.clone(), || lc!() + square)?;
        cs.enforce_r1cs_constraint(|| lc!() + square, || lc!() + square, || lc!() + fourth)?;
        cs.enforce_r1cs_constraint(|| lc!() + fourth, || base.clone(), || lc!() + fifth)?;
        Ok((fifth, value.pow([5])))
    }
}
