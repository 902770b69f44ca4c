//! The border to arkworks' own gadgets: `FpVar` in and out, so that Poseidon, EdDSA or the tree can
//! be used inside any arkworks circuit.
//!
//! A [`Num`] never holds symbolic linear combinations: those behind an `FpVar` are expanded on the
//! way in.

use ark_ff::{AdditiveGroup, Field};
use ark_r1cs_std::fields::fp::{AllocatedFp, FpVar};
use ark_relations::gr1cs::{ConstraintSystemRef, Variable};
use ledger::field::Fr;

use crate::num::{Cs, Num};

impl From<&FpVar<Fr>> for Num {
    /// The same linear combination; its value is 0 where arkworks has none (in setup).
    fn from(var: &FpVar<Fr>) -> Self {
        match var {
            FpVar::Constant(value) => Self::constant(*value),
            FpVar::Var(allocated) => {
                let value = allocated.value().unwrap_or(Fr::ZERO);
                let mut terms = Vec::new();
                // Why: without matrices arkworks keeps no combinations, and nobody reads terms.
                if allocated.cs.should_construct_matrices() {
                    expand(&allocated.cs, allocated.variable, Fr::ONE, &mut terms);
                }
                Self::from_terms(value, terms)
            }
        }
    }
}

/// Appends `factor · variable` with symbolic linear combinations replaced by what they stand for.
fn expand(
    cs: &ConstraintSystemRef<Fr>,
    variable: Variable,
    factor: Fr,
    terms: &mut Vec<(Variable, Fr)>,
) {
    if variable.is_zero() {
        return;
    }
    if !variable.is_lc() {
        terms.push((variable, factor));
        return;
    }
    let lc = cs.borrow().map(|cs| cs.get_lc(variable));
    for (coefficient, inner) in lc.into_iter().flat_map(|lc| lc.0) {
        expand(cs, inner, factor * coefficient, terms);
    }
}

impl Cs {
    /// The number as an `FpVar` of the arkworks system that this records in; `None` where only
    /// values are computed.
    pub fn fp_var(&self, num: &Num) -> Option<FpVar<Fr>> {
        let cs = self.rows()?;
        if num.is_constant() {
            return Some(FpVar::Constant(num.value()));
        }
        let variable = cs
            .new_lc(|| num.lc())
            .expect("a linear combination of existing variables");
        Some(FpVar::Var(AllocatedFp::new(
            Some(num.value()),
            variable,
            cs.clone(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poseidon::compress4;
    use ark_r1cs_std::{alloc::AllocVar, eq::EqGadget};
    use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystem, SynthesisError};
    use r1cs::R1cs;

    /// Somebody else's circuit: knows `a`, `b` with `compress4(ab + 1, a, b, 5) = digest`.
    #[derive(Clone)]
    struct Foreign {
        a: Fr,
        b: Fr,
        digest: Fr,
    }

    impl ConstraintSynthesizer<Fr> for Foreign {
        fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
            let digest = FpVar::new_input(cs.clone(), || Ok(self.digest))?;
            let a = FpVar::new_witness(cs.clone(), || Ok(self.a))?;
            let b = FpVar::new_witness(cs.clone(), || Ok(self.b))?;
            let inputs = [
                &a * &b + Fr::from(1u64),
                a,
                b,
                FpVar::Constant(Fr::from(5u64)),
            ];
            let ours = Cs::with_rows(cs);
            let hash = compress4(&ours, &inputs.each_ref().map(Num::from));
            let hash = ours.fp_var(&hash).expect("rows are recorded");
            hash.enforce_equal(&digest)
        }
    }

    #[test]
    fn our_gadgets_work_inside_an_arkworks_circuit() {
        let (a, b) = (Fr::from(3u64), Fr::from(4u64));
        let inputs = [a * b + Fr::from(1u64), a, b, Fr::from(5u64)];
        let digest = ledger::poseidon::compress4(&inputs);
        for (digest, expected) in [(digest, true), (digest + Fr::from(1u64), false)] {
            let circuit = Foreign { a, b, digest };
            let cs = ConstraintSystem::<Fr>::new_ref();
            circuit.clone().generate_constraints(cs.clone()).unwrap();
            assert_eq!(cs.is_satisfied().unwrap(), expected);
            let assignment = r1cs::assignment_of(circuit.clone()).unwrap();
            let r1cs = R1cs::of(circuit).unwrap();
            assert_eq!(r1cs.is_satisfied(&assignment).is_ok(), expected);
        }
    }
}
