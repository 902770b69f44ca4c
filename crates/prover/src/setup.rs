//! Trusted setup for one circuit, by one party.
//!
//! Five secrets `τ, α, β, γ, δ` are drawn, the key's points are computed from them with the curve's
//! standard generators, and the secrets and everything derived from them are overwritten. Whoever
//! learns them can prove false statements; [`setup`] draws them from the operating system and is
//! different each time, [`setup_insecure_dev`] derives them from a seed and marks the key.
//!
//! Invariant: no secret leaves this module except as exponents of points, and the key passed
//! [`VerifyingKey::check`]. Scalars that the curve library copies to the stack while multiplying are
//! beyond its reach. A ceremony with many parties is left to others.

use ark_bn254::{Bn254, Fr, G1Projective, G2Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{Field, UniformRand, Zero};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use msm::{FixedBase, path};
use r1cs::{Matrix, R1cs};
use rand::rngs::OsRng;
use rand::{CryptoRng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::key::{KeyError, KeyInfo, Origin, ProvingKey, Sparse, VerifyingKey};
use crate::qap;

/// Why a setup failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The circuit exceeds the field's largest domain.
    #[error("{rows} rows (constraints and instance variables) exceed the largest domain of 2^27")]
    TooLarge {
        /// Constraints and instance variables.
        rows: usize,
    },
    /// The key could not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes a production key for `r1cs` from the operating system's randomness.
///
/// `name` and `shape` are stored in the key for its users; see [`KeyInfo`].
///
/// # Errors
/// [`SetupError::TooLarge`], or [`SetupError::Key`] for a name or shape that is too long.
pub fn setup(r1cs: &R1cs, name: &str, shape: &[u8]) -> Result<ProvingKey, SetupError> {
    generate(
        r1cs,
        info(r1cs, name, shape, Origin::Production),
        &mut OsRng,
    )
}

/// Makes a key from `seed`: the same key each time, for which anybody can forge proofs. It is marked
/// [`Origin::Dev`].
///
/// # Errors
/// As [`setup`].
pub fn setup_insecure_dev(
    r1cs: &R1cs,
    name: &str,
    shape: &[u8],
    seed: u64,
) -> Result<ProvingKey, SetupError> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    generate(r1cs, info(r1cs, name, shape, Origin::Dev), &mut rng)
}

fn info(r1cs: &R1cs, name: &str, shape: &[u8], origin: Origin) -> KeyInfo {
    KeyInfo {
        name: name.to_owned(),
        shape: shape.to_vec(),
        fingerprint: r1cs.fingerprint(),
        origin,
    }
}

/// The secrets of a setup.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Toxic {
    tau: Fr,
    alpha: Fr,
    beta: Fr,
    gamma: Fr,
    delta: Fr,
}

impl Toxic {
    fn draw(rng: &mut (impl RngCore + CryptoRng), domain: &Radix2EvaluationDomain<Fr>) -> Self {
        // Neither in the domain nor in its odd coset: τ^(2n) ≠ 1.
        let tau = loop {
            let tau = Fr::rand(rng);
            if tau.pow([2 * domain.size]) != Fr::ONE && !tau.is_zero() {
                break tau;
            }
        };
        let [alpha, beta, gamma, delta] = [(); 4].map(|()| non_zero(rng));
        Self {
            tau,
            alpha,
            beta,
            gamma,
            delta,
        }
    }
}

fn non_zero(rng: &mut (impl RngCore + CryptoRng)) -> Fr {
    loop {
        let value = Fr::rand(rng);
        if !value.is_zero() {
            return value;
        }
    }
}

/// The column polynomials of the three matrices at `τ`, one value for each variable.
struct Columns {
    a: Zeroizing<Vec<Fr>>,
    b: Zeroizing<Vec<Fr>>,
    c: Zeroizing<Vec<Fr>>,
}

impl Columns {
    fn at(r1cs: &R1cs, domain: &Radix2EvaluationDomain<Fr>, tau: Fr) -> Self {
        let lagrange = qap::lagrange_at(domain, tau, Fr::ONE).expect("tau is not in the domain");
        let column = |matrix: &Matrix| Zeroizing::new(column_sums(r1cs, matrix, &lagrange));
        let (mut a, (b, c)) = rayon::join(
            || column(r1cs.a()),
            || rayon::join(|| column(r1cs.b()), || column(r1cs.c())),
        );
        let instance_rows = &lagrange[r1cs.num_constraints()..];
        a.iter_mut()
            .take(r1cs.num_instance())
            .zip(instance_rows)
            .for_each(|(value, row)| *value += row);
        Self { a, b, c }
    }

    /// `(β·a + α·b + c)·scale` for the variables of `range`.
    fn combined(
        &self,
        toxic: &Toxic,
        scale: Fr,
        range: std::ops::Range<usize>,
    ) -> Zeroizing<Vec<Fr>> {
        let value =
            |i: usize| (toxic.beta * self.a[i] + toxic.alpha * self.b[i] + self.c[i]) * scale;
        Zeroizing::new(range.into_par_iter().map(value).collect())
    }
}

fn column_sums(r1cs: &R1cs, matrix: &Matrix, lagrange: &[Fr]) -> Vec<Fr> {
    let mut sums = vec![Fr::zero(); r1cs.num_variables()];
    for (row, weight) in lagrange.iter().enumerate().take(matrix.rows()) {
        for entry in matrix.row(row) {
            let sum = &mut sums[entry.column as usize];
            match entry.coefficient {
                0 => *sum += weight,
                1 => *sum -= weight,
                other => *sum += r1cs.coefficients()[other as usize] * weight,
            }
        }
    }
    sums
}

/// Positions and values of the scalars that are not zero.
fn occurring(scalars: &[Fr]) -> (Vec<u32>, Zeroizing<Vec<Fr>>) {
    let used = scalars
        .iter()
        .zip(0..)
        .filter(|(scalar, _)| !scalar.is_zero());
    let (values, variables): (Vec<Fr>, Vec<u32>) = used.unzip();
    (variables, Zeroizing::new(values))
}

fn generate(
    r1cs: &R1cs,
    info: KeyInfo,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<ProvingKey, SetupError> {
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let domain = qap::domain_of(r1cs).ok_or(SetupError::TooLarge { rows })?;
    let toxic = Toxic::draw(rng, &domain);
    generate_from(r1cs, info, &domain, &toxic)
}

fn generate_from(
    r1cs: &R1cs,
    info: KeyInfo,
    domain: &Radix2EvaluationDomain<Fr>,
    toxic: &Toxic,
) -> Result<ProvingKey, SetupError> {
    let rows = r1cs.num_constraints() + r1cs.num_instance();
    let columns = Columns::at(r1cs, domain, toxic.tau);
    let inverse = |value: Fr| value.inverse().expect("secrets are not zero");
    let (gamma_inverse, delta_inverse) = (inverse(toxic.gamma), inverse(toxic.delta));
    let vanishing = domain.evaluate_vanishing_polynomial(toxic.tau);
    let h_scalars = qap::h_scalars(domain, toxic.tau, vanishing * delta_inverse);
    let h_scalars = h_scalars.ok_or(SetupError::TooLarge { rows })?;

    let (a_variables, a_scalars) = occurring(&columns.a);
    let (b_variables, b_scalars) = occurring(&columns.b);
    let instance = r1cs.num_instance();
    let ic_scalars = columns.combined(toxic, gamma_inverse, 0..instance);
    let l_scalars = columns.combined(toxic, delta_inverse, instance..r1cs.num_variables());
    drop(columns);

    let (g1, g2) = (G1Projective::generator(), G2Projective::generator());
    let b_g2 = FixedBase::new(path(), g2, b_scalars.len()).multiply(&b_scalars);
    let table = FixedBase::new(path(), g1, 4 * domain.size());
    let multiply = |scalars: &[Fr]| table.multiply(scalars);

    let ark = ark_groth16::VerifyingKey::<Bn254> {
        alpha_g1: (g1 * toxic.alpha).into_affine(),
        beta_g2: (g2 * toxic.beta).into_affine(),
        gamma_g2: (g2 * toxic.gamma).into_affine(),
        delta_g2: (g2 * toxic.delta).into_affine(),
        gamma_abc_g1: multiply(&ic_scalars).to_affine(),
    };
    Ok(ProvingKey {
        verifying: VerifyingKey::new(ark, info)?,
        beta_g1: (g1 * toxic.beta).into_affine(),
        delta_g1: (g1 * toxic.delta).into_affine(),
        num_variables: r1cs.num_variables(),
        a: Sparse {
            variables: a_variables,
            points: multiply(&a_scalars),
        },
        b: Sparse {
            variables: b_variables,
            points: multiply(&b_scalars),
        },
        b_g2,
        h: multiply(&h_scalars),
        l: multiply(&l_scalars),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_groth16::Groth16;
    use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};
    use ark_relations::lc;

    /// `x^(2^steps) = out`, with booleans of `x`'s own among the variables, one of them unused in A.
    #[derive(Clone, Copy)]
    struct Squares {
        steps: usize,
    }

    impl ConstraintSynthesizer<Fr> for Squares {
        fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
            let mut value = Fr::from(3u64);
            let mut variable = cs.new_witness_variable(|| Ok(value))?;
            let _unused = cs.new_witness_variable(|| Ok(value))?;
            for step in 0..self.steps {
                let factor = Fr::from(step as u64 + 2);
                let next = (value + factor) * value;
                let new = cs.new_witness_variable(|| Ok(next))?;
                cs.enforce_r1cs_constraint(
                    || lc!() + variable + (factor, ark_relations::gr1cs::Variable::One),
                    || lc!() + variable,
                    || lc!() + new,
                )?;
                (value, variable) = (next, new);
            }
            let out = cs.new_input_variable(|| Ok(value))?;
            cs.enforce_r1cs_constraint(
                || lc!() + variable,
                || lc!() + ark_relations::gr1cs::Variable::One,
                || lc!() + out,
            )
        }
    }

    /// Every point is the one that `ark-groth16` computes from the same secrets.
    #[test]
    fn the_key_equals_that_of_ark_groth16_for_the_same_secrets() {
        for steps in [1, 5, 300] {
            let circuit = Squares { steps };
            let r1cs = R1cs::of(circuit).unwrap();
            let domain = qap::domain_of(&r1cs).unwrap();
            let mut rng = ChaCha20Rng::seed_from_u64(8);
            let toxic = Toxic::draw(&mut rng, &domain);
            // ark-groth16 draws τ itself, from the generator that it is given.
            let mut draws = ChaCha20Rng::seed_from_u64(9);
            let tau = Fr::rand(&mut draws.clone());
            let expected = Groth16::<Bn254, qap::OddCosetReduction>::generate_parameters_with_qap(
                circuit,
                toxic.alpha,
                toxic.beta,
                toxic.gamma,
                toxic.delta,
                G1Projective::generator(),
                G2Projective::generator(),
                &mut draws,
            )
            .unwrap();
            let toxic = Toxic {
                tau,
                alpha: toxic.alpha,
                beta: toxic.beta,
                gamma: toxic.gamma,
                delta: toxic.delta,
            };
            let info = info(&r1cs, "squares", b"", Origin::Dev);
            let key = generate_from(&r1cs, info, &domain, &toxic).unwrap();
            assert_eq!(key.to_ark(), expected, "{steps} steps");
        }
    }
}
