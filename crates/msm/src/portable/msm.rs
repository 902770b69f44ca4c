//! Multi-scalar multiplication: `Σ sᵢ·Pᵢ` by Pippenger's bucket method with batched affine additions.
//!
//! A scalar is negated where that makes it shorter, then cut into signed digits of `c` bits; window
//! `w` puts each point into the bucket of its `w`-th digit. A bucket's points are summed as a tree:
//! all additions of one level, over all buckets, are independent, so they share inversions
//! (Montgomery's trick) and cost about six multiplications each. A digit 0 costs nothing, hence
//! scalars 0 are dropped at once and short ones (booleans, above all) take part in the lowest window
//! only.
//!
//! Invariant: the result equals the plain sum for all inputs, equal and opposite points and the
//! point at infinity included. Running time depends on the scalars: this is for provers who keep
//! their machine to themselves, not for secrets on shared hardware.
//!
//! Bucket method: Bernstein, Doumen, Lange, Oosterwijk, "Faster batch forgery identification",
//! section 4 (ePrint 2012/549). Which points belong to which scalars is left to the caller.

use ark_bn254::Fr;
use ark_ec::AdditiveGroup;
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ff::{BigInteger, BigInteger256, Field, PrimeField, Zero};
use rayon::prelude::*;

use super::lean::Lean;
use crate::shares::shares;
use crate::stop::Stop;

/// Bases per part: a part's working set stays within the second-level cache.
const PART: usize = 1 << 14;
/// Additions that share one inversion.
const BATCH: usize = 1024;
/// Scalars of at most so many bits do not count towards the window width; any width exceeds this.
const SHORT_BITS: u32 = 4;
/// Bits of a scalar, at most, once it is negated where that is shorter.
const SCALAR_BITS: usize = 254;

/// `Σ scalar(i)·bases[i]`, or of the base at the `i`-th place; without meaning once `stop` is wanted.
///
/// `scalar` is called once for every term, from several threads.
pub(crate) fn msm<P, S>(
    bases: &[Point<P::BaseField>],
    places: Option<&[u32]>,
    stop: Stop<'_>,
    scalar: S,
) -> Projective<P>
where
    P: SWCurveConfig<ScalarField = Fr, BaseField: Lean>,
    S: Fn(usize) -> Fr + Sync,
{
    let count = places.map_or(bases.len(), <[u32]>::len);
    let mut parts = load(count, places, &scalar);
    let long = parts.iter().map(Part::count_long).sum::<usize>();
    let width = window_width(long);
    parts.par_iter_mut().for_each(|part| part.recode(width));
    let windows = if long == 0 {
        1
    } else {
        SCALAR_BITS.div_ceil(width)
    };
    let sums = window_sums(bases, &parts, width, windows, stop);
    sums.iter()
        .rev()
        .fold(Projective::zero(), |mut total, sum| {
            for _ in 0..width {
                total.double_in_place();
            }
            total + sum
        })
}

/// One sum per window, lowest first.
fn window_sums<P: SWCurveConfig<ScalarField = Fr, BaseField: Lean>>(
    bases: &[Point<P::BaseField>],
    parts: &[Part],
    width: usize,
    windows: usize,
    stop: Stop<'_>,
) -> Vec<Projective<P>> {
    let shares = shares(windows, rayon::current_num_threads());
    let sums: Vec<(usize, Projective<P>)> = shares
        .into_iter()
        .par_bridge()
        .map(|share| {
            let sum = window_sum(bases, share.of(parts), width, share.window, stop);
            (share.window, sum)
        })
        .collect();
    let mut by_window = vec![Projective::zero(); windows];
    for (window, sum) in sums {
        by_window[window] += sum;
    }
    by_window
}

/// The scalar of one base, after negation and recoding.
#[derive(Clone, Copy)]
struct Term {
    /// The scalar; after [`Part::recode`] all its digits are shifted up by half their range.
    limbs: [u64; 4],
    /// Index of the base, and in the lowest bit whether it is to be negated.
    base: u32,
}

/// The non-zero scalars of up to [`PART`] consecutive bases.
struct Part {
    terms: Vec<Term>,
    /// Terms from here on have only a lowest digit.
    long: usize,
}

fn load(count: usize, places: Option<&[u32]>, scalar: &(impl Fn(usize) -> Fr + Sync)) -> Vec<Part> {
    let starts: Vec<usize> = (0..count).step_by(PART).collect();
    let load_part = |&start: &usize| {
        let indices = start..count.min(start + PART);
        let place = |i: usize| places.map_or(i, |places| places[i] as usize);
        let terms = indices.filter_map(|i| Term::new(place(i), scalar(i)));
        let terms: Vec<Term> = terms.collect();
        Part {
            long: terms.len(),
            terms,
        }
    };
    starts.par_iter().map(load_part).collect()
}

impl Term {
    fn new(index: usize, scalar: Fr) -> Option<Self> {
        if scalar.is_zero() {
            return None;
        }
        let base = u32::try_from(index).expect("a key has fewer than 2^31 points") << 1;
        let plain = scalar.into_bigint();
        if plain <= Fr::MODULUS_MINUS_ONE_DIV_TWO {
            return Some(Self {
                limbs: plain.0,
                base,
            });
        }
        let mut negated = Fr::MODULUS;
        negated.sub_with_borrow(&plain);
        Some(Self {
            limbs: negated.0,
            base: base | 1,
        })
    }

    fn bits(&self) -> u32 {
        BigInteger256::new(self.limbs).num_bits()
    }

    /// Bits `at .. at + width` as an integer, `width < 32`.
    fn window(&self, at: usize, width: usize) -> usize {
        let (limb, shift) = (at / 64, at % 64);
        let mut bits = self.limbs[limb] >> shift;
        if shift + width > 64 && limb + 1 < 4 {
            bits |= self.limbs[limb + 1] << (64 - shift);
        }
        usize::try_from(bits & ((1 << width) - 1)).expect("fewer than 32 bits")
    }
}

impl Part {
    fn count_long(&self) -> usize {
        self.terms
            .iter()
            .filter(|term| term.bits() > SHORT_BITS)
            .count()
    }

    /// Moves short terms to the end and adds `2^(width-1)` at every window but the highest.
    ///
    /// A digit is then the window's bits minus `2^(width-1)`: signed digits without a carry chain.
    /// The highest window stays unsigned. Sound because a scalar is below `2^253`, so with all
    /// shifts it is below `2^254` and its highest digit at most `2^(width-1)`.
    fn recode(&mut self, width: usize) {
        let is_long = |term: &Term| term.bits() as usize >= width;
        let mut long = 0;
        for i in 0..self.terms.len() {
            if is_long(&self.terms[i]) {
                self.terms.swap(i, long);
                long += 1;
            }
        }
        self.long = long;
        let mut shifts = BigInteger256::zero();
        for window in 0..SCALAR_BITS.div_ceil(width) - 1 {
            let bit = window * width + width - 1;
            shifts.0[bit / 64] |= 1 << (bit % 64);
        }
        for term in &mut self.terms {
            let mut limbs = BigInteger256::new(term.limbs);
            limbs.add_with_carry(&shifts);
            term.limbs = limbs.0;
        }
    }

    fn terms_of(&self, window: usize) -> &[Term] {
        if window == 0 {
            &self.terms
        } else {
            &self.terms[..self.long]
        }
    }
}

/// The width with the least work for `terms` scalars: bucket additions cost about 6
/// multiplications, and summing the buckets up about 27 for each bucket.
fn window_width(terms: usize) -> usize {
    let work = |width: &usize| SCALAR_BITS.div_ceil(*width) * (terms * 6 + (27 << (width - 1)));
    (SHORT_BITS as usize + 1..=16)
        .min_by_key(work)
        .expect("the range is not empty")
}

fn window_sum<'a, P: SWCurveConfig<ScalarField = Fr, BaseField: Lean>>(
    bases: &[Point<P::BaseField>],
    parts: impl Iterator<Item = &'a Part>,
    width: usize,
    window: usize,
    stop: Stop<'_>,
) -> Projective<P> {
    let mut buckets = Buckets::<P>::new(1 << (width - 1));
    let highest = window + 1 == SCALAR_BITS.div_ceil(width);
    let middle = if highest { 0 } else { 1 << (width - 1) };
    for part in parts {
        if stop.is_wanted() {
            return Projective::zero();
        }
        buckets.add_part(bases, part.terms_of(window), |term| {
            let digit = term.window(window * width, width);
            if digit >= middle {
                (digit - middle, 0)
            } else {
                (middle - digit, 1)
            }
        });
    }
    buckets.weighted_sum()
}

/// An affine point without a flag: infinity is `(0, 0)`, which is on no curve with `b ≠ 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<F> {
    pub(crate) x: F,
    pub(crate) y: F,
}

impl<F: Field> Point<F> {
    pub(crate) const INFINITY: Self = Self {
        x: F::ZERO,
        y: F::ZERO,
    };

    pub(crate) fn is_infinity(&self) -> bool {
        self.x.is_zero() && self.y.is_zero()
    }
}

fn fetch<F: Field>(bases: &[Point<F>], base: u32) -> Point<F> {
    let point = &bases[(base >> 1) as usize];
    let y = if base & 1 == 1 { -point.y } else { point.y };
    Point { x: point.x, y }
}

/// The buckets of one window and the space to fill them.
struct Buckets<P: SWCurveConfig> {
    /// Bucket `i` holds the sum of the points with digit `i + 1`.
    sums: Vec<Point<P::BaseField>>,
    ends: Vec<u32>,
    digits: Vec<(u32, u32)>,
    level: Level<P::BaseField>,
    next: Level<P::BaseField>,
    adder: Adder<P::BaseField>,
}

/// A level of the summation trees: runs of finite points, one run for each bucket in use.
struct Level<F> {
    points: Vec<Point<F>>,
    /// Bucket and number of points.
    runs: Vec<(u32, u32)>,
}

impl<F: Field> Level<F> {
    fn new() -> Self {
        Self {
            points: Vec::with_capacity(PART),
            runs: Vec::new(),
        }
    }

    /// Drops points at infinity and runs that have become empty.
    fn compact(&mut self) {
        let mut points = self.points.iter();
        for (_, length) in &mut self.runs {
            let run = points.by_ref().take(*length as usize);
            let infinite = run.filter(|point| point.is_infinity()).count();
            *length -= u32::try_from(infinite).expect("no more than the run has");
        }
        self.runs.retain(|&(_, length)| length > 0);
        self.points.retain(|point| !point.is_infinity());
    }
}

impl<P: SWCurveConfig> Buckets<P>
where
    P::BaseField: Lean,
{
    fn new(count: usize) -> Self {
        Self {
            sums: vec![Point::INFINITY; count],
            ends: vec![0; count],
            digits: Vec::with_capacity(PART),
            level: Level::new(),
            next: Level::new(),
            adder: Adder::new(),
        }
    }

    /// Adds the points of `terms` to their buckets; `digit` gives magnitude and sign (1: negative).
    fn add_part(
        &mut self,
        bases: &[Point<P::BaseField>],
        terms: &[Term],
        digit: impl Fn(&Term) -> (usize, u32),
    ) {
        self.sort(bases, terms, digit);
        while self.level.runs.iter().any(|&(_, length)| length > 1) {
            self.halve();
        }
        self.merge();
    }

    /// Adds points `2k` and `2k + 1` of every run; an odd one is carried over.
    fn halve(&mut self) {
        let (level, next) = (&self.level, &mut self.next);
        next.points.clear();
        next.runs.clear();
        let mut at = 0;
        for &(bucket, length) in &level.runs {
            next.runs.push((bucket, length.div_ceil(2)));
            let end = at + length;
            while at < end {
                if at + 1 < end {
                    self.adder.jobs.push(Job {
                        left: at,
                        right: at + 1,
                        target: index(next.points.len()),
                    });
                }
                next.points.push(level.points[at as usize]);
                at = end.min(at + 2);
            }
        }
        if self
            .adder
            .run(&level.points, &level.points, &mut next.points)
            == Infinities::Possible
        {
            next.compact();
        }
        std::mem::swap(&mut self.level, &mut self.next);
    }

    /// Adds the single point of each run to its bucket.
    fn merge(&mut self) {
        let points = &mut self.next.points;
        points.clone_from(&self.level.points);
        for (&(bucket, _), right) in self.level.runs.iter().zip(0..) {
            if !self.sums[bucket as usize].is_infinity() {
                self.adder.jobs.push(Job {
                    left: bucket,
                    right,
                    target: right,
                });
            }
        }
        // A sum at infinity is what an empty bucket holds.
        let _any = self.adder.run(&self.sums, &self.level.points, points);
        for (&(bucket, _), point) in self.level.runs.iter().zip(points) {
            self.sums[bucket as usize] = *point;
        }
    }

    /// Counting sort of the signed points by bucket, read in the order of the key.
    fn sort(
        &mut self,
        bases: &[Point<P::BaseField>],
        terms: &[Term],
        digit: impl Fn(&Term) -> (usize, u32),
    ) {
        self.digits.clear();
        self.ends.fill(0);
        for term in terms {
            let (magnitude, sign) = digit(term);
            if magnitude > 0 && !bases[(term.base >> 1) as usize].is_infinity() {
                self.ends[magnitude - 1] += 1;
                let bucket = u32::try_from(magnitude - 1).expect("a digit has fewer than 32 bits");
                self.digits.push((bucket, term.base ^ sign));
            }
        }
        self.level.runs.clear();
        let mut start = 0;
        for (end, bucket) in self.ends.iter_mut().zip(0..) {
            let length = std::mem::replace(end, start);
            if length > 0 {
                self.level.runs.push((bucket, length));
            }
            start += length;
        }
        self.level.points.resize(self.digits.len(), Point::INFINITY);
        for &(bucket, base) in &self.digits {
            let place = &mut self.ends[bucket as usize];
            self.level.points[*place as usize] = fetch(bases, base);
            *place += 1;
        }
    }

    /// `Σ (i + 1)·sums[i]` by running sums from the top.
    fn weighted_sum(&self) -> Projective<P> {
        let mut running = Projective::<P>::zero();
        let mut total = Projective::<P>::zero();
        for point in self.sums.iter().rev() {
            if !point.is_infinity() {
                running += &Affine::new_unchecked(point.x, point.y);
            }
            total += &running;
        }
        total
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("a part has fewer than 2^32 points")
}

/// `out[target] = left + right`.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) target: u32,
}

/// Whether a sum can have become infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Infinities {
    None,
    Possible,
}

/// How a slope is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slope {
    Chord,
    Tangent,
    /// Opposite points: the sum is infinite.
    Vertical,
}

/// Additions of finite points, [`BATCH`] of which share an inversion.
pub(crate) struct Adder<F> {
    pub(crate) jobs: Vec<Job>,
    /// For each job of a batch: its denominator, and the product of those before it.
    factors: Vec<(F, F)>,
    slopes: Vec<Slope>,
}

impl<F: Lean> Adder<F> {
    pub(crate) fn new() -> Self {
        Self {
            jobs: Vec::with_capacity(PART),
            factors: Vec::with_capacity(BATCH),
            slopes: Vec::new(),
        }
    }

    /// Does and forgets all jobs.
    pub(crate) fn run(
        &mut self,
        left: &[Point<F>],
        right: &[Point<F>],
        out: &mut [Point<F>],
    ) -> Infinities {
        let jobs = std::mem::take(&mut self.jobs);
        let mut infinities = Infinities::None;
        for batch in jobs.chunks(BATCH) {
            if self.add(batch, left, right, out) == Infinities::Possible {
                infinities = Infinities::Possible;
            }
        }
        self.jobs = jobs;
        self.jobs.clear();
        infinities
    }

    /// [`Adder::add_with`], compiled for multiplications that leave the flags alone where the processor
    /// has them.
    fn add(
        &mut self,
        jobs: &[Job],
        left: &[Point<F>],
        right: &[Point<F>],
        out: &mut [Point<F>],
    ) -> Infinities {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx") {
            #[allow(unsafe_code, reason = "calls code compiled for what was found")]
            // SAFETY: the processor has the instructions.
            return unsafe { self.add_with_bmi2(jobs, left, right, out) };
        }
        self.add_with(jobs, left, right, out)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "bmi2,adx")]
    fn add_with_bmi2(
        &mut self,
        jobs: &[Job],
        left: &[Point<F>],
        right: &[Point<F>],
        out: &mut [Point<F>],
    ) -> Infinities {
        self.add_with(jobs, left, right, out)
    }

    #[inline(always)]
    fn add_with(
        &mut self,
        jobs: &[Job],
        left: &[Point<F>],
        right: &[Point<F>],
        out: &mut [Point<F>],
    ) -> Infinities {
        self.factors.clear();
        let mut product = F::ONE;
        for job in jobs {
            let denominator = right[job.right as usize]
                .x
                .minus(&left[job.left as usize].x);
            self.factors.push((denominator, product));
            product = product.times(&denominator);
        }
        // Only points with equal x make it zero, so that nothing needs a check before.
        let Some(mut inverse) = product.inverted() else {
            return self.add_special(jobs, left, right, out);
        };
        for (job, (denominator, before)) in jobs.iter().zip(&self.factors).rev() {
            let (p, q) = (&left[job.left as usize], &right[job.right as usize]);
            let slope = q.y.minus(&p.y).times(&inverse.times(before));
            inverse = inverse.times(denominator);
            out[job.target as usize] = p.third_point(q, slope);
        }
        Infinities::None
    }

    /// [`Adder::add_with`] where some points are equal or opposite.
    ///
    /// A point with `y = 0` is its own opposite. Neither group has one, both being of odd order, but bases are
    /// not checked to be on their curve.
    fn add_special(
        &mut self,
        jobs: &[Job],
        left: &[Point<F>],
        right: &[Point<F>],
        out: &mut [Point<F>],
    ) -> Infinities {
        self.slopes.clear();
        let mut product = F::ONE;
        for (job, factors) in jobs.iter().zip(&mut self.factors) {
            let (p, q) = (&left[job.left as usize], &right[job.right as usize]);
            let (kind, denominator) = if p.x != q.x {
                (Slope::Chord, q.x.minus(&p.x))
            } else if p.y == q.y && !p.y.is_zero() {
                (Slope::Tangent, p.y.double())
            } else {
                (Slope::Vertical, F::ONE)
            };
            self.slopes.push(kind);
            *factors = (denominator, product);
            product *= denominator;
        }
        let mut inverse = product
            .inverted()
            .expect("a product of non-zero denominators");
        let all = jobs.iter().zip(&self.factors).zip(&self.slopes).rev();
        for ((job, (denominator, before)), kind) in all {
            let (p, q) = (&left[job.left as usize], &right[job.right as usize]);
            let numerator = match kind {
                Slope::Chord => q.y.minus(&p.y),
                Slope::Tangent => p.x.square() * F::from(3u64),
                Slope::Vertical => F::ZERO,
            };
            let slope = numerator * (inverse * before);
            inverse *= denominator;
            out[job.target as usize] = match kind {
                Slope::Vertical => Point::INFINITY,
                _ => p.third_point(q, slope),
            };
        }
        Infinities::Possible
    }
}

impl<F: Lean> Point<F> {
    /// The sum of `self` and `other`, given the slope of the line through them.
    #[inline(always)]
    fn third_point(&self, other: &Self, slope: F) -> Self {
        let x = slope.squared().minus(&self.x).minus(&other.x);
        Self {
            x,
            y: slope.times(&self.x.minus(&x)).minus(&self.y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{G1Projective, G2Projective};
    use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
    use ark_ff::UniformRand;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn scalars(rng: &mut StdRng, count: usize) -> Vec<Fr> {
        let one = Fr::from(1u64);
        let small = |rng: &mut StdRng| Fr::from(rng.r#gen::<u32>() >> rng.gen_range(0..32));
        (0..count)
            .map(|i| match i % 8 {
                0 => Fr::zero(),
                1 => one,
                2 => -one,
                3 => small(rng),
                4 => -small(rng),
                _ => Fr::rand(rng),
            })
            .collect()
    }

    fn compare<P: SWCurveConfig<ScalarField = Fr, BaseField: Lean>>(
        bases: &[Affine<P>],
        scalars: &[Fr],
    ) where
        Projective<P>: VariableBaseMSM<MulBase = Affine<P>, ScalarField = Fr>,
    {
        let expected = Projective::<P>::msm(bases, scalars).expect("equal lengths");
        let points: Vec<Point<P::BaseField>> = (bases.iter())
            .map(|base| match base.is_zero() {
                true => Point::INFINITY,
                false => Point {
                    x: base.x,
                    y: base.y,
                },
            })
            .collect();
        assert_eq!(
            msm::<P, _>(&points, None, Stop::default(), |i| scalars[i]),
            expected,
            "{} points",
            bases.len()
        );
    }

    fn points<G: CurveGroup + UniformRand>(rng: &mut StdRng, count: usize) -> Vec<G::Affine> {
        let step = G::rand(rng);
        let mut point = G::rand(rng);
        let all: Vec<G> = std::iter::repeat_with(|| {
            point += step;
            point
        })
        .take(count)
        .collect();
        G::normalize_batch(&all)
    }

    #[test]
    fn equals_the_reference_for_every_size() {
        let mut rng = StdRng::seed_from_u64(1);
        for count in [0, 1, 2, 3, 7, 32, 33, 500, 4_097, 40_000] {
            let scalars = scalars(&mut rng, count);
            compare(&points::<G1Projective>(&mut rng, count), &scalars);
            if count < 5_000 {
                compare(&points::<G2Projective>(&mut rng, count), &scalars);
            }
        }
    }

    #[test]
    fn equal_opposite_and_infinite_points_add_up() {
        let mut rng = StdRng::seed_from_u64(2);
        let few = points::<G1Projective>(&mut rng, 3);
        let bases: Vec<_> = (0..3_000)
            .map(|_| match rng.gen_range(0..8) {
                0 => Affine::identity(),
                k => {
                    let point = few[k % 3];
                    if rng.r#gen() { point } else { -point }
                }
            })
            .collect();
        let mixed = scalars(&mut rng, bases.len());
        compare(&bases, &mixed);
        compare(&bases, &vec![mixed[5]; bases.len()]);
        compare(&vec![few[0]; 3_000], &vec![mixed[5]; 3_000]);
        compare(&vec![few[0]; 3_000], &vec![Fr::from(1u64); 3_000]);
    }

    #[test]
    fn scalars_at_the_edges_of_the_digits_are_exact() {
        let mut rng = StdRng::seed_from_u64(3);
        let two = Fr::from(2u64);
        let half = Fr::from(Fr::MODULUS_MINUS_ONE_DIV_TWO);
        let mut edges = vec![half, -half, half + Fr::from(1u64), half - Fr::from(1u64)];
        for bit in 0..254u64 {
            let power = two.pow([bit]);
            edges.extend([
                power,
                power - Fr::from(1u64),
                -power,
                Fr::from(1u64) - power,
            ]);
        }
        for count in [edges.len(), 40_000] {
            let all: Vec<Fr> = edges.iter().copied().cycle().take(count).collect();
            compare(&points::<G1Projective>(&mut rng, count), &all);
        }
    }
}
