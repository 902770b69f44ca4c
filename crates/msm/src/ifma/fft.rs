//! From values on a domain to values on its odd coset, eight elements at a time.
//!
//! **Data.** A [`Block`] is four lines: line `k` holds limb `k` of eight consecutive elements. The
//! transform is linear, so elements stay in ark's form (`x·2^256`) and only the factors are in that of
//! the kernels (`t·2^260`); a product of both is in ark's form again. Between passes elements lie in
//! `[0, 3.5r)`.
//!
//! **Order.** The first transform takes natural order and gives bit-reversed order; the second takes
//! that and gives natural order, and is the first one transposed: the same butterflies, each
//! transposed, in the opposite order. Nothing is permuted.
//!
//! **Factors.** A level has blocks of `2h` elements. Block `b` has the one factor
//! `t_b = ω^rev(b)`, with `rev` reversing the bits of a number below `n/2`: `(u, v) → (u + t·v, u - t·v)`
//! in the first transform, `(u + v, (u - v)·t)` in the second. All levels use the beginning of the same table of
//! `n/2` factors, and large levels only a few of them. With `g² = ω`, `t_b = g^rev(b)` where `rev` is over
//! `n`: the same table has the powers that shift to the odd coset.
//!
//! **Inverse.** The first transform should use `ω⁻¹`. It uses `ω` on the values in the order `0, n-1,
//! n-2, …, 1`, which gives the same; they are copied into blocks anyway. The `1/n` is part of the shift.
//!
//! **Passes.** Two levels at a time, over all data while it exceeds a thread's share, then depth first, so that the
//! rest happens in the cache. The last six levels are done on 64 elements in registers: three between vectors,
//! and after a transposition three more.
//!
//! Invariant: equals the portable transform, element by element.

use std::arch::x86_64::*;

use ark_bn254::{Fr, FrConfig};
use ark_ff::{BigInteger256, FftField, Field};
use rayon::prelude::*;

use super::field::{
    Modulus, V, canonical, lift, minus, mul, mul_raw, normal, pack, pack_one, plus, plus_p, settle,
    splat, split, unpack,
};
use super::lines::{Line, load, store, transpose};
use super::processor::supported;

/// Eight elements, limb by limb.
type Block = [Line; 4];

/// The smallest transform: 64 elements.
pub(crate) const LEAST: usize = 64;
/// Blocks that one thread transforms by itself.
const SHARE: usize = 1 << 12;
/// Blocks of a quarter that a thread takes at a time in a pass over all data.
const STRIP: usize = 1 << 7;

/// The tables for one size.
pub(crate) struct OddCoset {
    size: usize,
    /// `ω^rev(b)` for `b < size/2`, eight at a time.
    factors: Vec<V>,
    /// `1/n` and `g/n`, for the two halves of the coefficients.
    shifts: [Fr; 2],
}

impl OddCoset {
    /// Tables for `size` elements, a power of two from [`LEAST`] on; `None` without an odd coset.
    pub(crate) fn new(size: usize) -> Option<Self> {
        assert!(supported(), "the vector path needs AVX-512 IFMA");
        let order = u64::try_from(size).ok()?;
        let root = Fr::get_root_of_unity(order.checked_mul(2)?)?;
        let scale = Fr::from(order).inverse()?;
        Some(Self {
            size,
            factors: factors(root.square(), size / 2),
            shifts: [scale, scale * root],
        })
    }

    /// Values on the domain to values on the odd coset.
    pub(crate) fn run(&self, values: &mut [Fr]) {
        assert_eq!(
            values.len(),
            self.size,
            "one value for each point of the domain"
        );
        let mut data = import(values);
        self.level::<true>(&mut data, 0);
        self.shift(&mut data);
        self.level::<false>(&mut data, 0);
        export(&mut data, values);
    }

    /// Block `number` of its level and all below it; downwards first to last, else the transposed.
    #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
    fn level<const DOWN: bool>(&self, data: &mut [Block], number: usize) {
        if data.len() <= SHARE {
            // SAFETY: `new` checked that the processor has the features.
            return unsafe { self.share::<DOWN>(data, number) };
        }
        if DOWN {
            self.pass::<DOWN>(data, number);
        }
        let quarter = data.len() / 4;
        data.par_chunks_mut(quarter)
            .enumerate()
            .with_max_len(1)
            .for_each(|(k, part)| self.level::<DOWN>(part, 4 * number + k));
        if !DOWN {
            self.pass::<DOWN>(data, number);
        }
    }

    /// Two levels of a large block, strips of it in parallel.
    #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
    fn pass<const DOWN: bool>(&self, data: &mut [Block], number: usize) {
        let (low, high) = data.split_at_mut(data.len() / 2);
        let ((a, b), (c, d)) = (
            low.split_at_mut(low.len() / 2),
            high.split_at_mut(high.len() / 2),
        );
        a.par_chunks_mut(STRIP)
            .zip(b.par_chunks_mut(STRIP))
            .zip(c.par_chunks_mut(STRIP).zip(d.par_chunks_mut(STRIP)))
            .for_each(|((a, b), (c, d))| {
                // SAFETY: `new` checked that the processor has the features.
                unsafe { self.quarters::<DOWN>([a, b, c, d], number) }
            });
    }

    #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
    fn shift(&self, data: &mut [Block]) {
        let (low, high) = data.split_at_mut(data.len() / 2);
        for (half, factor) in [low, high].into_iter().zip(&self.shifts) {
            half.par_chunks_mut(STRIP)
                .zip(self.factors.par_chunks(STRIP))
                .for_each(|(blocks, factors)| {
                    // SAFETY: `new` checked that the processor has the features.
                    unsafe { multiply(blocks, factors, factor) }
                });
        }
    }

    /// The factor of a block in all lanes.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn factor(&self, number: usize) -> V {
        let lane = _mm512_set1_epi64(i64::try_from(number % 8).unwrap_or(0));
        let eight = &self.factors[number / 8];
        V(eight.0.map(|limb| _mm512_permutexvar_epi64(lane, limb)))
    }

    /// [`Self::level`] by one thread.
    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn share<const DOWN: bool>(&self, data: &mut [Block], number: usize) {
        if let Ok(eight) = <&mut [Block; 8]>::try_from(&mut *data) {
            return self.sixty_four::<DOWN>(eight, number);
        }
        // Two levels at a time, but one where the number of levels above the last six is odd.
        let single = (data.len() / 8).ilog2() % 2 == 1;
        let parts = if single { 2 } else { 4 };
        let length = data.len() / parts;
        if DOWN {
            self.above::<DOWN>(data, number, single);
        }
        for (k, part) in data.chunks_exact_mut(length).enumerate() {
            self.share::<DOWN>(part, parts * number + k);
        }
        if !DOWN {
            self.above::<DOWN>(data, number, single);
        }
    }

    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn above<const DOWN: bool>(&self, data: &mut [Block], number: usize, single: bool) {
        let (low, high) = data.split_at_mut(data.len() / 2);
        if !single {
            let ((a, b), (c, d)) = (
                low.split_at_mut(low.len() / 2),
                high.split_at_mut(high.len() / 2),
            );
            return self.quarters::<DOWN>([a, b, c, d], number);
        }
        let factor = self.factor(number);
        for (low, high) in low.iter_mut().zip(high) {
            let (u, v) = butterfly::<DOWN>(get(low), get(high), &factor);
            put(low, u);
            put(high, v);
        }
    }

    /// Two levels between the quarters of a block, an even number of [`Block`]s each.
    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn quarters<const DOWN: bool>(&self, quarters: [&mut [Block]; 4], number: usize) {
        let [first, second, third] =
            [number, 2 * number, 2 * number + 1].map(|number| self.factor(number));
        let [(qa, _), (qb, _), (qc, _), (qd, _)] = quarters.map(|part| part.as_chunks_mut::<2>());
        for (((pa, pb), pc), pd) in qa.iter_mut().zip(qb).zip(qc).zip(qd) {
            // Two fours side by side: each butterfly has three others that do not wait for it.
            let mut fours =
                [0, 1].map(|k: usize| [&pa[k], &pb[k], &pc[k], &pd[k]].map(|block| get(block)));
            if DOWN {
                for [a, b, c, d] in &mut fours {
                    (*a, *c) = butterfly::<DOWN>(*a, *c, &first);
                    (*b, *d) = butterfly::<DOWN>(*b, *d, &first);
                }
            }
            for [a, b, c, d] in &mut fours {
                (*a, *b) = butterfly::<DOWN>(*a, *b, &second);
                (*c, *d) = butterfly::<DOWN>(*c, *d, &third);
            }
            if !DOWN {
                for [a, b, c, d] in &mut fours {
                    (*a, *c) = butterfly::<DOWN>(*a, *c, &first);
                    (*b, *d) = butterfly::<DOWN>(*b, *d, &first);
                }
            }
            for (k, [a, b, c, d]) in fours.into_iter().enumerate() {
                put(&mut pa[k], a);
                put(&mut pb[k], b);
                put(&mut pc[k], c);
                put(&mut pd[k], d);
            }
        }
    }

    /// The last six levels of a block of 64 elements.
    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn sixty_four<const DOWN: bool>(&self, data: &mut [Block; 8], number: usize) {
        let mut x = [get(&data[0]); 8];
        for (value, block) in x.iter_mut().zip(&*data).skip(1) {
            *value = get(block);
        }
        if DOWN {
            self.between_vectors::<DOWN>(&mut x, number);
        }
        turn(&mut x);
        self.within_vectors::<DOWN>(&mut x, number);
        turn(&mut x);
        if !DOWN {
            self.between_vectors::<DOWN>(&mut x, number);
        }
        for (block, value) in data.iter_mut().zip(x) {
            put(block, value);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn between_vectors<const DOWN: bool>(&self, x: &mut [V; 8], number: usize) {
        let two = [0, 1].map(|k| self.factor(2 * number + k));
        let four = [0, 1, 2, 3].map(|k| self.factor(4 * number + k));
        three_levels::<DOWN>(x, &self.factor(number), &two, &four);
    }

    /// Lanes are blocks of eight elements, which lie in the eight vectors.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
    fn within_vectors<const DOWN: bool>(&self, x: &mut [V; 8], number: usize) {
        let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
        let part = |index, a: &V, b: &V| {
            let mut out = *a;
            for (limb, other) in out.0.iter_mut().zip(b.0) {
                *limb = _mm512_permutex2var_epi64(*limb, index, other);
            }
            out
        };
        let at = |k: usize| &self.factors[k];
        let (a, b) = (at(2 * number), at(2 * number + 1));
        let two = [part(even, a, b), part(odd, a, b)];
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| at(4 * number + k));
        let (evens, more_evens) = (part(even, a, b), part(even, c, d));
        let (odds, more_odds) = (part(odd, a, b), part(odd, c, d));
        let four = [
            part(even, &evens, &more_evens),
            part(even, &odds, &more_odds),
            part(odd, &evens, &more_evens),
            part(odd, &odds, &more_odds),
        ];
        three_levels::<DOWN>(x, at(number), &two, &four);
    }
}

/// Three levels on eight vectors, which are a block whose parts have these factors.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn three_levels<const DOWN: bool>(x: &mut [V; 8], one: &V, two: &[V; 2], four: &[V; 4]) {
    if DOWN {
        for i in 0..4 {
            (x[i], x[i + 4]) = butterfly::<DOWN>(x[i], x[i + 4], one);
        }
    } else {
        for i in 0..4 {
            (x[2 * i], x[2 * i + 1]) = butterfly::<DOWN>(x[2 * i], x[2 * i + 1], &four[i]);
        }
    }
    for i in [0, 1, 4, 5] {
        (x[i], x[i + 2]) = butterfly::<DOWN>(x[i], x[i + 2], &two[i / 4]);
    }
    if DOWN {
        for i in 0..4 {
            (x[2 * i], x[2 * i + 1]) = butterfly::<DOWN>(x[2 * i], x[2 * i + 1], &four[i]);
        }
    } else {
        for i in 0..4 {
            (x[i], x[i + 4]) = butterfly::<DOWN>(x[i], x[i + 4], one);
        }
    }
}

/// `(u + t·v, u - t·v)`, or transposed `(u + v, (u - v)·t)`; `[0, 3.5r)` to the same.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn butterfly<const DOWN: bool>(u: V, v: V, factor: &V) -> (V, V) {
    if DOWN {
        let product = mul_raw::<FrConfig>(&v, factor);
        // Up to 4.6r less 2r.
        let sum = minus(plus(u, product), splat(&FrConfig::P[2]));
        let difference = minus(u, product);
        (
            normal(lift::<FrConfig>(sum)),
            normal(lift::<FrConfig>(difference)),
        )
    } else {
        let sum = minus(plus(u, v), splat(&FrConfig::P[4]));
        let difference = normal(plus_p::<FrConfig, 4>(minus(u, v)));
        (
            settle::<FrConfig>(sum),
            mul::<FrConfig>(&difference, factor),
        )
    }
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn get(block: &Block) -> V {
    unpack([
        load(&block[0]),
        load(&block[1]),
        load(&block[2]),
        load(&block[3]),
    ])
}

#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn put(block: &mut Block, value: V) {
    let [a, b, c, d] = pack(value);
    *block = [store(a), store(b), store(c), store(d)];
}

/// Swaps lanes and vectors.
#[inline]
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn turn(x: &mut [V; 8]) {
    for limb in 0..5 {
        let rows = [0, 1, 2, 3, 4, 5, 6, 7].map(|j: usize| x[j].0[limb]);
        for (value, row) in x.iter_mut().zip(transpose(rows)) {
            value.0[limb] = row;
        }
    }
}

/// Multiplies element by element with `factors` and all with `scale`.
#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn multiply(blocks: &mut [Block], factors: &[V], scale: &Fr) {
    let scale = splat(&split(pack_one::<FrConfig>(scale)));
    for (block, factor) in blocks.iter_mut().zip(factors) {
        let factor = mul::<FrConfig>(factor, &scale);
        put(block, mul::<FrConfig>(&get(block), &factor));
    }
}

/// The values in the order 0, n-1, n-2, …, 1.
fn import(values: &[Fr]) -> Vec<Block> {
    let size = values.len();
    (0..size / 8)
        .into_par_iter()
        .with_min_len(STRIP)
        .map(|k| {
            let mut block = [Line::ZERO; 4];
            for j in 0..8 {
                let value = &values[(size - 8 * k - j) & (size - 1)];
                for (line, limb) in block.iter_mut().zip(value.0.0) {
                    line.0[j] = limb;
                }
            }
            block
        })
        .collect()
}

/// Reduced values, in order.
#[allow(unsafe_code, reason = "kernels are compiled for vectors")]
fn export(data: &mut [Block], values: &mut [Fr]) {
    data.par_chunks_mut(STRIP)
        .zip(values.par_chunks_mut(8 * STRIP))
        .for_each(|(blocks, values)| {
            // SAFETY: `OddCoset::new` checked that the processor has the features.
            unsafe { finish(blocks) };
            for (block, values) in blocks.iter().zip(values.chunks_exact_mut(8)) {
                for (j, value) in values.iter_mut().enumerate() {
                    let limbs = block.map(|line| line.0[j]);
                    *value = Fr::new_unchecked(BigInteger256::new(limbs));
                }
            }
        });
}

#[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
fn finish(blocks: &mut [Block]) {
    for block in blocks {
        put(block, canonical::<FrConfig>(get(block)));
    }
}

/// `root^rev(b)` for `b < count`, eight at a time.
fn factors(root: Fr, count: usize) -> Vec<V> {
    let mut plain = vec![Fr::ONE; count];
    let mut filled = 1;
    while filled < count {
        // Place `filled + q` is place `q` with `count/(2·filled)` added to the exponent.
        let step = root.pow([u64::try_from(count / (2 * filled)).expect("64 bits suffice")]);
        let (done, rest) = plain.split_at_mut(filled);
        rest[..filled]
            .par_iter_mut()
            .with_min_len(STRIP)
            .zip(done)
            .for_each(|(new, old)| *new = *old * step);
        filled *= 2;
    }
    plain
        .par_chunks(8)
        .with_min_len(STRIP)
        .map(gather)
        .collect()
}

/// Up to eight elements in the form of the kernels; lanes beyond them are zero.
fn gather(elements: &[Fr]) -> V {
    let mut lines = [Line::ZERO; 5];
    for (j, element) in elements.iter().enumerate() {
        for (line, limb) in lines.iter_mut().zip(split(pack_one::<FrConfig>(element))) {
            line.0[j] = limb;
        }
    }
    V(lines.each_ref().map(load))
}
