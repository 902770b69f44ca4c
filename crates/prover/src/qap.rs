//! From R1CS to a quadratic arithmetic program, evaluated on the odd coset.
//!
//! Let `ω` generate the domain `H` of order `n = 2^N ≥ constraints + instance variables`, `N ≥ 1`, and let
//! `A(X)`, `B(X)`, `C(X)` of degree below `n` interpolate the rows `A_i·w`, `B_i·w`, `C_i·w` on `H`.
//! Rows `constraints + j` hold `A = w_j`, `B = C = 0` for each instance variable `j`; they make the
//! instance part of `A` linearly independent, so a public input cannot drop out. The assignment
//! satisfies the system exactly if `Z(X) = X^n - 1` divides `P = A·B - C`; the prover needs
//! `h = P/Z` in the exponent.
//!
//! Let `g` be a 2n-th root of unity with `g² = ω`. On the coset `gH` (the odd powers of `g`)
//! `Z` is the constant `g^n - 1 = -2`, so `h(gω^i) = P(gω^i) / -2`. `h` has degree below `n - 1`, so
//! those `n` values determine it: with `Lᵢ` the Lagrange basis of `gH`,
//!
//! ```text
//! h(τ)·Z(τ)/δ = Σᵢ P(gω^i) · Hᵢ,    Hᵢ = Lᵢ(τ) · Z(τ) / (-2δ).
//! ```
//!
//! The key holds `[Hᵢ]₁`, and the prover multiplies them by the values `P(gω^i)` themselves: three
//! inverse transforms and three transforms, no seventh. (`Lᵢ·Z/-2` is the Lagrange polynomial of
//! the odd point `gω^i` among all 2n-th roots of unity; in that form snarkjs and rapidsnark use it,
//! and keys are interchangeable.) On `H` itself a satisfied system has `C = A·B` pointwise, so
//! `C_i·w` is not evaluated; an unsatisfied one gives a proof that does not verify.
//!
//! Invariant: the prover's own `quotient` and [`OddCosetReduction`] agree, the latter being the same
//! reduction in the terms of `ark-groth16`. Randomness and keys are left to `setup` and `prove`.

use ark_bn254::Fr;
use ark_ff::{FftField, Field, PrimeField, Zero};
use ark_groth16::r1cs_to_qap::{LibsnarkReduction, R1CSToQAP, evaluate_constraint};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use ark_relations::gr1cs::{ConstraintSystemRef, Matrix, SynthesisError};
use msm::{OddCoset, Stop, path};
use r1cs::R1cs;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Rows that a thread takes at a time.
const ROWS_PER_TASK: usize = 512;

/// The domain of `r1cs`: the smallest power of two that holds its constraints and instance rows, at least
/// 2, as snarkjs has it, or `None` above 2^27 (the odd coset needs the 2n-th roots of unity).
pub fn domain_of(r1cs: &R1cs) -> Option<Radix2EvaluationDomain<Fr>> {
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let domain = Radix2EvaluationDomain::new(rows.max(2))?;
    odd_coset(&domain).map(|_| domain)
}

/// `domain` shifted by a square root of its generator.
fn odd_coset<F: FftField, D: EvaluationDomain<F>>(domain: &D) -> Option<D> {
    let doubled = u64::try_from(domain.size()).ok()?.checked_mul(2)?;
    let root = F::get_root_of_unity(doubled)?;
    // Sound because a 2n-th primitive root's n-th power is -1, whichever root it is.
    domain.get_coset(root)
}

/// `A_i·w` and `B_i·w` on `domain`, instance rows included.
pub(crate) fn row_products(
    r1cs: &R1cs,
    assignment: &[Fr],
    domain: &Radix2EvaluationDomain<Fr>,
) -> (Vec<Fr>, Vec<Fr>) {
    let products = |matrix: &r1cs::Matrix| {
        let mut out = vec![Fr::zero(); domain.size()];
        out[..r1cs.num_constraints()]
            .par_iter_mut()
            .with_min_len(ROWS_PER_TASK)
            .enumerate()
            .for_each(|(row, value)| *value = r1cs.evaluate_row(matrix.row(row), assignment));
        out
    };
    let mut a = products(r1cs.a());
    let b = products(r1cs.b());
    let start = r1cs.num_constraints();
    a[start..start + r1cs.num_instance()].copy_from_slice(&assignment[..r1cs.num_instance()]);
    (a, b)
}

/// The values `P(gω^i)` from `A` and `B` on the domain, `C` taken as their product; `None` once `stop` is
/// wanted.
///
/// # Panics
/// If the vectors are not equally long, or there is no odd coset of their length.
pub(crate) fn quotient(stop: Stop<'_>, mut a: Vec<Fr>, mut b: Vec<Fr>) -> Option<Vec<Fr>> {
    let transform =
        OddCoset::new(path(), a.len()).expect("the domain was chosen to have an odd coset");
    let mut c: Vec<Fr> = a.par_iter().zip(&b).map(|(a, b)| *a * b).collect();
    for values in [&mut a, &mut b, &mut c] {
        if stop.is_wanted() {
            return None;
        }
        transform.run(values);
    }
    combine(&mut a, &b, &c);
    Some(a)
}

/// `a ← a·b - c`, pointwise.
fn combine<F: Field>(a: &mut [F], b: &[F], c: &[F]) {
    a.par_iter_mut().zip(b).zip(c).for_each(|((a, b), c)| {
        *a *= b;
        *a -= c;
    });
}

/// The scalars `Lᵢ(τ)·Z(τ)/(-2δ)` of the H query, or `None` where there is no odd coset or it has `τ`.
pub(crate) fn h_scalars<F: FftField, D: EvaluationDomain<F>>(
    domain: &D,
    tau: F,
    vanishing_over_delta: F,
) -> Option<Zeroizing<Vec<F>>> {
    let scale = vanishing_over_delta * (-F::ONE.double()).inverse()?;
    lagrange_at(&odd_coset(domain)?, tau, scale)
}

/// `scale·Lᵢ(τ)` for the Lagrange basis of the coset `g·ω^i`, in parallel; `None` if `τ` is on it.
///
/// `Lᵢ(τ) = (τ^n - g^n)·gω^i / (n·g^n·(τ - gω^i))`.
pub(crate) fn lagrange_at<F: FftField, D: EvaluationDomain<F>>(
    coset: &D,
    tau: F,
    scale: F,
) -> Option<Zeroizing<Vec<F>>> {
    let order = u64::try_from(coset.size()).ok()?;
    let (offset, root) = (coset.coset_offset(), coset.group_gen());
    let constant = offset.pow([order]);
    let vanishing = tau.pow([order]) - constant;
    let scale = scale * vanishing * (F::from(order) * constant).inverse()?;
    let mut values = Zeroizing::new(vec![F::ZERO; coset.size()]);
    if vanishing.is_zero() {
        return None;
    }
    values
        .par_chunks_mut(ROWS_PER_TASK)
        .enumerate()
        .for_each(|(chunk, values)| {
            let first = offset * root.pow([(chunk * ROWS_PER_TASK) as u64]);
            let mut before = Zeroizing::new(Vec::with_capacity(values.len()));
            let (mut point, mut product) = (first, F::ONE);
            for value in values.iter_mut() {
                before.push((product, point));
                *value = tau - point;
                product *= *value;
                point *= root;
            }
            let mut inverse = product.inverse().expect("tau is not on the coset") * scale;
            for (value, (before, point)) in values.iter_mut().zip(before.iter()).rev() {
                let next = inverse * *value;
                *value = inverse * before * point;
                inverse = next;
            }
        });
    Some(values)
}

/// The module's reduction for `ark_groth16::Groth16<Bn254, OddCosetReduction>`.
pub struct OddCosetReduction;

impl R1CSToQAP for OddCosetReduction {
    fn instance_map_with_evaluation<F: PrimeField, D: EvaluationDomain<F>>(
        cs: ConstraintSystemRef<F>,
        t: &F,
    ) -> Result<(Vec<F>, Vec<F>, Vec<F>, F, usize, usize), SynthesisError> {
        // The column polynomials do not depend on where the quotient is evaluated.
        LibsnarkReduction::instance_map_with_evaluation::<F, D>(cs, t)
    }

    fn witness_map_from_matrices<F: PrimeField, D: EvaluationDomain<F>>(
        matrices: &[Matrix<F>],
        num_inputs: usize,
        num_constraints: usize,
        full_assignment: &[F],
    ) -> Result<Vec<F>, SynthesisError> {
        let domain =
            D::new(num_constraints + num_inputs).ok_or(SynthesisError::PolynomialDegreeTooLarge)?;
        let coset = odd_coset(&domain).ok_or(SynthesisError::PolynomialDegreeTooLarge)?;
        let products = |matrix: &Matrix<F>| {
            let mut out = vec![F::zero(); domain.size()];
            out.par_iter_mut()
                .zip(matrix)
                .for_each(|(value, row)| *value = evaluate_constraint(row, full_assignment));
            out
        };
        let mut a = products(&matrices[0]);
        let mut b = products(&matrices[1]);
        a[num_constraints..num_constraints + num_inputs]
            .copy_from_slice(&full_assignment[..num_inputs]);
        let mut c: Vec<F> = a.par_iter().zip(&b).map(|(a, b)| *a * b).collect();
        for values in [&mut a, &mut b, &mut c] {
            domain.ifft_in_place(values);
            coset.fft_in_place(values);
        }
        combine(&mut a, &b, &c);
        Ok(a)
    }

    fn h_query_scalars<F: PrimeField, D: EvaluationDomain<F>>(
        max_power: usize,
        t: F,
        zt: F,
        delta_inverse: F,
    ) -> Result<Vec<F>, SynthesisError> {
        let domain = D::new(max_power + 1).ok_or(SynthesisError::PolynomialDegreeTooLarge)?;
        let scalars = h_scalars(&domain, t, zt * delta_inverse);
        scalars
            .map(|scalars| scalars.to_vec())
            .ok_or(SynthesisError::PolynomialDegreeTooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::UniformRand;
    use ark_poly::univariate::DensePolynomial;
    use ark_poly::{DenseUVPolynomial, Polynomial};
    use rand::{SeedableRng, rngs::StdRng};

    /// `Σ P(gω^i)·Hᵢ = h(τ)·Z(τ)/δ`, with `h` from polynomial division.
    #[test]
    fn the_quotient_equals_polynomial_division() {
        let mut rng = StdRng::seed_from_u64(4);
        let domain = Radix2EvaluationDomain::<Fr>::new(64).unwrap();
        let mut random = || (0..64).map(|_| Fr::rand(&mut rng)).collect::<Vec<_>>();
        let (a, b) = (random(), random());
        let c: Vec<Fr> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
        let interpolate =
            |values: &[Fr]| DensePolynomial::from_coefficients_vec(domain.ifft(values));
        let product = &interpolate(&a) * &interpolate(&b);
        let (h, remainder) = (&product - &interpolate(&c)).divide_by_vanishing_poly(domain);
        assert!(remainder.coeffs.is_empty());

        let (tau, delta) = (Fr::from(123_456_789u64), Fr::from(987_654_321u64));
        let vanishing = domain.evaluate_vanishing_polynomial(tau);
        let delta_inverse = delta.inverse().unwrap();
        let query = h_scalars(&domain, tau, vanishing * delta_inverse).unwrap();
        let values = quotient(Stop::default(), a, b).unwrap();
        let sum: Fr = query.iter().zip(&values).map(|(x, y)| *x * y).sum();
        assert_eq!(sum, h.evaluate(&tau) * vanishing * delta_inverse);
    }

    #[test]
    fn lagrange_values_equal_the_reference() {
        let mut rng = StdRng::seed_from_u64(5);
        for log_size in [0, 1, 6, 12] {
            let domain = Radix2EvaluationDomain::<Fr>::new(1 << log_size).unwrap();
            let coset = odd_coset(&domain).unwrap();
            let (tau, scale) = (Fr::rand(&mut rng), Fr::rand(&mut rng));
            for domain in [domain, coset] {
                let mut expected = domain.evaluate_all_lagrange_coefficients(tau);
                expected.iter_mut().for_each(|value| *value *= scale);
                assert_eq!(*lagrange_at(&domain, tau, scale).unwrap(), expected);
                let on_it = domain.element(domain.size() / 2);
                assert!(lagrange_at(&domain, on_it, scale).is_none());
            }
        }
    }
}
