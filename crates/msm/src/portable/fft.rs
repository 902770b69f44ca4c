//! From values on a domain to values on its odd coset, in place and without reordering.
//!
//! With `ω` of order `n` and `g² = ω`: the inverse transform decimates in frequency, natural order in
//! and bit-reversed order out; each coefficient `k` is then multiplied by `g^k/n`; the transform
//! decimates in time, bit-reversed order in and natural order out. No step permutes anything, the
//! powers of `ω` are computed once for all transforms of a size, and blocks of [`BLOCK`] elements
//! finish all their levels while they are in the cache.
//!
//! Invariant: equals an inverse transform on the domain followed by a transform on the coset.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field};
use rayon::prelude::*;

use super::lean::Lean;

/// Elements that one thread transforms by itself.
const BLOCK: usize = 1 << 13;
/// Butterflies that one thread does at a time within a level.
const BUTTERFLIES: usize = 1 << 10;

/// The tables for one domain size.
pub(crate) struct CosetTransform {
    /// `roots[k][j] = ω_m^j` for `m = 2^(k+1)` and `j < m/2`.
    roots: Vec<Vec<Fr>>,
    /// `g^k/n` at the bit-reversed place of `k`.
    shift: Vec<Fr>,
}

impl CosetTransform {
    /// Tables for `size` elements, or `None` if `size` is no power of two or has no odd coset.
    pub(crate) fn new(size: usize) -> Option<Self> {
        if !size.is_power_of_two() {
            return None;
        }
        let order = u64::try_from(size).ok()?;
        let coset_root = Fr::get_root_of_unity(order.checked_mul(2)?)?;
        let mut roots = Vec::new();
        let mut level = powers(coset_root.square(), size / 2);
        while !level.is_empty() {
            let halved = level
                .iter()
                .copied()
                .step_by(2)
                .take(level.len() / 2)
                .collect();
            roots.push(std::mem::replace(&mut level, halved));
        }
        roots.reverse();
        let shift = reversed_powers(coset_root, Fr::from(order).inverse()?, size);
        Some(Self { roots, shift })
    }

    /// Replaces values on the domain by values on the odd coset.
    ///
    /// # Panics
    /// If there are not as many values as the tables are for.
    pub(crate) fn run(&self, values: &mut [Fr]) {
        assert_eq!(
            values.len(),
            self.shift.len(),
            "one value for each point of the domain"
        );
        self.inverse(values);
        let shift = self.shift.par_iter().with_min_len(BUTTERFLIES);
        values
            .par_iter_mut()
            .with_min_len(BUTTERFLIES)
            .zip(shift)
            .for_each(|(value, power)| *value *= power);
        self.forward(values);
    }

    fn roots_of(&self, size: usize) -> &[Fr] {
        &self.roots[size.ilog2() as usize - 1]
    }

    /// Decimation in frequency with `ω⁻¹`, unscaled.
    fn inverse(&self, values: &mut [Fr]) {
        let size = values.len();
        if size < 2 {
            return;
        }
        let (low, high) = values.split_at_mut(size / 2);
        let roots = self.roots_of(size);
        if size <= BLOCK {
            inverse_level(low, high, roots, 0);
            self.inverse(low);
            self.inverse(high);
            return;
        }
        let chunks = low
            .par_chunks_mut(BUTTERFLIES)
            .zip(high.par_chunks_mut(BUTTERFLIES))
            .enumerate();
        chunks.for_each(|(k, (low, high))| inverse_level(low, high, roots, k * BUTTERFLIES));
        rayon::join(|| self.inverse(low), || self.inverse(high));
    }

    /// Decimation in time with `ω`.
    fn forward(&self, values: &mut [Fr]) {
        let size = values.len();
        if size < 2 {
            return;
        }
        let (low, high) = values.split_at_mut(size / 2);
        let roots = self.roots_of(size);
        if size <= BLOCK {
            self.forward(low);
            self.forward(high);
            forward_level(low, high, roots);
            return;
        }
        rayon::join(|| self.forward(low), || self.forward(high));
        let chunks = low
            .par_chunks_mut(BUTTERFLIES)
            .zip(high.par_chunks_mut(BUTTERFLIES));
        chunks
            .zip(roots.par_chunks(BUTTERFLIES))
            .for_each(|((low, high), roots)| forward_level(low, high, roots));
    }
}

/// Butterflies `start ..` of a level: `(u, v) → (u + v, (u - v)·ω⁻ʲ)`.
///
/// With `m` the size of the level, `ω⁻ʲ = -ω^(m/2-j)`, so the same table serves: `(v - u)·ω^(m/2-j)`.
fn inverse_level(low: &mut [Fr], high: &mut [Fr], roots: &[Fr], start: usize) {
    let mut pairs = low.iter_mut().zip(high).zip(start..);
    if start == 0
        && let Some(((u, v), _)) = pairs.next()
    {
        (*u, *v) = (u.plus(v), u.minus(v));
    }
    for ((u, v), j) in pairs {
        let difference = v.minus(u);
        *u = u.plus(v);
        *v = difference * roots[roots.len() - j];
    }
}

/// `(u, v) → (u + v·ωʲ, u - v·ωʲ)`.
fn forward_level(low: &mut [Fr], high: &mut [Fr], roots: &[Fr]) {
    for ((u, v), root) in low.iter_mut().zip(high).zip(roots) {
        let product = *v * root;
        *v = u.minus(&product);
        *u = u.plus(&product);
    }
}

/// `base^0, base^1, …`
fn powers(base: Fr, count: usize) -> Vec<Fr> {
    let mut out = vec![Fr::ONE; count];
    out.par_chunks_mut(BUTTERFLIES)
        .enumerate()
        .for_each(|(k, chunk)| {
            let mut power = base.pow([(k * BUTTERFLIES) as u64]);
            for value in chunk {
                *value = power;
                power *= base;
            }
        });
    out
}

/// `scale·base^k` at the bit-reversed place of `k < size`: place `2^i + q` is place `q` with
/// `size/2^(i+1)` added to `k`.
fn reversed_powers(base: Fr, scale: Fr, size: usize) -> Vec<Fr> {
    let mut out = vec![Fr::ZERO; size];
    out[0] = scale;
    let mut filled = 1;
    while filled < size {
        let step = base.pow([(size / (2 * filled)) as u64]);
        let (done, rest) = out.split_at_mut(filled);
        let next = rest[..filled].par_iter_mut().with_min_len(BUTTERFLIES);
        next.zip(done.par_iter())
            .for_each(|(new, old)| *new = step * *old);
        filled *= 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::UniformRand;
    use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn equals_the_reference_for_every_size() {
        let mut rng = StdRng::seed_from_u64(7);
        for log_size in (0..16).chain([17]) {
            let size = 1 << log_size;
            let values: Vec<Fr> = (0..size).map(|_| Fr::rand(&mut rng)).collect();
            let domain = Radix2EvaluationDomain::<Fr>::new(size).unwrap();
            let root = Fr::get_root_of_unity(2 * size as u64).unwrap();
            let coset = domain.get_coset(root).unwrap();
            let expected = coset.fft(&domain.ifft(&values));
            let mut got = values;
            CosetTransform::new(size).unwrap().run(&mut got);
            assert_eq!(got, expected, "2^{log_size}");
        }
    }

    #[test]
    fn sizes_without_an_odd_coset_are_refused() {
        assert!(CosetTransform::new(3).is_none());
        assert!(CosetTransform::new(0).is_none());
    }
}
