//! The schedule of a multi-scalar multiplication: which points are added when.
//!
//! A scalar is negated where that makes it shorter and cut into signed digits of `c` bits; window `w`
//! puts each point into the bucket of its `w`-th digit. Bases are taken in blocks, and a block in
//! parts of [`PART_LINES`], small enough for the second-level cache. For each window and part:
//!
//! 1. The points are sorted by bucket (counting sort of *references*, not of points). A bucket that
//!    already holds a sum joins its own run as first member.
//! 2. Level by level, neighbours of a run are added in pairs, until one point is left, whose place is
//!    the bucket. All additions of a level are independent of one another, so that no batch has two
//!    additions into one bucket, whatever the scalars are.
//! 3. [`BATCH`] additions share an inversion. The points of the next batch are fetched meanwhile.
//!
//! Windows run in parallel and keep their buckets from part to part and block to block; what remains
//! at the end is one weighted sum per window. Windows that do not come out even for the threads are cut
//! into shares of the parts, each with buckets of its own, so that no thread waits for a whole window.
//!
//! A batch that has two points with the same x (equal or opposite ones) is found by its product of
//! differences being zero, and done again by the portable code, which can tell the cases apart; sums
//! that have become infinite leave their runs.
//!
//! Invariant: the result equals the plain sum for all points of the curve and all scalars.

use ark_bn254::{Fr, g1, g2};
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::{AdditiveGroup, PrimeGroup};
use ark_ff::{Field, Zero};
use rayon::prelude::*;

use super::field::negated;
use super::kernels::{self, Job, NEGATIVE, Space, WORK};
use super::lines::{Line, prefetch};
use super::processor::supported;
use crate::packed::{Coordinate, pack_point, stride, unpack_point};
use crate::portable::msm::{self, Adder, Point};
use crate::recode::{Recoded, SCALAR_BITS, recode, window_width};
use crate::shares::{Share, shares};
use crate::stop::Stop;

/// Lines of a part: they fit the second-level cache, or nearly, next to the buckets of a window.
const PART_LINES: usize = 1 << 15;
/// Bases that are recoded at a time, for bounded memory.
const BLOCK: usize = 1 << 20;
/// Additions that share an inversion, a multiple of eight.
const BATCH: usize = 1024;
/// Copies between asking for a point and using it.
const COPIES_AHEAD: usize = 16;
/// Smaller sums are left to the portable code.
const SMALL: usize = 128;

/// A group with kernels.
pub trait Curve: SWCurveConfig<ScalarField = Fr, BaseField: Coordinate> {
    /// Lines of a point.
    const STRIDE: usize = stride::<Self::BaseField>();
    /// Bases in a part.
    const PART: usize = PART_LINES / Self::STRIDE;
    /// Space for the products of a batch.
    type Before: Default + Send;

    /// Replaces a packed point by its negative.
    fn negate(lines: &mut [Line]);
    /// Kernel: fetches the points of a batch.
    fn fetch(space: &Space<'_>, jobs: &[[Job; 8]]);
    /// Kernel: does a batch, or gives false.
    fn add(space: &mut Space<'_>, jobs: &[[Job; 8]], before: &mut Self::Before) -> bool;
    /// Kernel: from `[0, 3.5p)` to packed form, a multiple of eight points.
    fn reduce(lines: &mut [Line]);
    /// Kernel: weighted sums of the eighths of the buckets.
    fn weighted_sums(buckets: &[Line], b3: &Self::BaseField) -> [[[Self::BaseField; 3]; 2]; 8];
}

macro_rules! curve {
    ($config:ty, $module:ident, $field:ident, $negate:expr) => {
        impl Curve for $config {
            type Before = Vec<super::$field::F>;

            fn negate(lines: &mut [Line]) {
                $negate(lines);
            }

            fn fetch(space: &Space<'_>, jobs: &[[Job; 8]]) {
                kernels::$module::fetch(space, jobs);
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn add(space: &mut Space<'_>, jobs: &[[Job; 8]], before: &mut Self::Before) -> bool {
                // SAFETY: `msm` and `FixedBase::new` checked that the processor has the features.
                unsafe { kernels::$module::add(space, jobs, before) }
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn reduce(lines: &mut [Line]) {
                // SAFETY: `FixedBase::new` checked that the processor has the features.
                unsafe { kernels::$module::reduce_points(lines) }
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn weighted_sums(
                buckets: &[Line],
                b3: &Self::BaseField,
            ) -> [[[Self::BaseField; 3]; 2]; 8] {
                // SAFETY: `msm` checked that the processor has the features.
                unsafe { kernels::$module::weighted_sums(buckets, b3) }
            }
        }
    };
}

curve!(g1::Config, g1, fq, |lines: &mut [Line]| {
    let [a, b, c, d, y @ ..] = lines[0].0;
    lines[0] = join([a, b, c, d], negated(y));
});

curve!(g2::Config, g2, fq2, |lines: &mut [Line]| {
    let [a, b, c, d, high @ ..] = lines[1].0;
    lines[1] = join(negated([a, b, c, d]), negated(high));
});

/// Two coordinates of four limbs each on a line.
fn join(low: [u64; 4], high: [u64; 4]) -> Line {
    let [a, b, c, d] = low;
    let [e, f, g, h] = high;
    Line([a, b, c, d, e, f, g, h])
}

/// `Σ scalar(i)·point i` over packed points; see [`crate::Bases::sum`]. Without meaning once `stop` is
/// wanted.
///
/// # Panics
/// If the processor lacks the instructions.
pub(crate) fn msm<P, S>(lines: &[Line], stop: Stop<'_>, scalar: S) -> Projective<P>
where
    P: Curve,
    S: Fn(usize) -> Fr + Sync,
{
    assert!(supported(), "the vector path needs AVX-512 IFMA");
    let count = lines.len() / P::STRIDE;
    if count < SMALL {
        let points: Vec<_> = lines.chunks_exact(P::STRIDE).map(unpack_point).collect();
        return msm::msm::<P, S>(&points, stop, scalar);
    }
    let width = window_width(count, &scalar, WORK_PER_BUCKET);
    let shares = shares(SCALAR_BITS.div_ceil(width), rayon::current_num_threads());
    let last = shares[shares.len() - 1].window;
    let mut windows: Vec<(Share, Window<P>)> = shares
        .into_par_iter()
        .with_max_len(1)
        .map(|share| (share, Window::new(width)))
        .collect();
    let blocks = lines.chunks(BLOCK * P::STRIDE);
    for (block, start) in blocks.zip((0..).step_by(BLOCK)) {
        let load = |(number, lines)| {
            let start = start + number * P::PART;
            Part::load::<P>(lines, |i| scalar(start + i), width)
        };
        let parts: Vec<Part<'_>> = block
            .par_chunks(P::PART * P::STRIDE)
            .enumerate()
            .map(load)
            .collect();
        let fill = |(share, window): &mut (Share, Window<P>)| {
            for part in share.of(&parts) {
                if !stop.is_wanted() {
                    part.fill(window, share.window, share.window == last);
                }
            }
        };
        // In order, whole windows first, as threads come free.
        windows.iter_mut().par_bridge().for_each(fill);
        if stop.is_wanted() {
            return Projective::zero();
        }
    }
    let sums: Vec<(usize, Projective<P>)> = windows
        .par_iter_mut()
        .with_max_len(1)
        .map(|(share, window)| (share.window, window.sum()))
        .collect();
    let mut by_window = vec![Projective::zero(); last + 1];
    for (window, sum) in sums {
        by_window[window] += sum;
    }
    horner(&by_window, width)
}

/// Work of summing up a bucket, in additions of a point.
const WORK_PER_BUCKET: f64 = 2.2;

fn horner<P: SWCurveConfig>(sums: &[Projective<P>], width: usize) -> Projective<P> {
    sums.iter()
        .rev()
        .fold(Projective::zero(), |mut total, sum| {
            for _ in 0..width {
                total.double_in_place();
            }
            total + sum
        })
}

/// Up to [`Curve::PART`] bases with their digits.
struct Part<'a> {
    lines: &'a [Line],
    digits: Recoded,
}

impl<'a> Part<'a> {
    fn load<P: Curve>(lines: &'a [Line], scalar: impl Fn(usize) -> Fr, width: usize) -> Self {
        let points = lines.chunks_exact(P::STRIDE);
        let scalars = points.enumerate().map(|(i, point)| {
            // Infinity adds nothing, and the kernels do not know it.
            match point.iter().all(Line::is_zero) {
                true => Fr::ZERO,
                false => scalar(i),
            }
        });
        Self {
            lines,
            digits: recode(scalars, width),
        }
    }

    fn fill<P: Curve>(&self, window: &mut Window<P>, number: usize, last: bool) {
        let middle = if last { 0 } else { window.middle() };
        let (references, digits) = self.digits.long(number);
        window.add(self.lines, references, digits, middle);
        if number == 0 {
            let (references, digits) = self.digits.short();
            window.add(self.lines, references, digits, middle);
        }
    }
}

/// Buckets of one window with the space to fill them.
struct Window<P: Curve> {
    /// Points below `3.5p`: the buckets, sums on the way there, and [`SPARE`].
    work: Vec<Line>,
    buckets: usize,
    /// Points in use among the sums on the way.
    used: u32,
    /// By magnitude of the digit: how many points, then where the next one goes.
    places: Vec<u32>,
    level: Level,
    next: Level,
    jobs: Vec<Job>,
    /// Single points and the buckets that they go to.
    copies: Vec<(u32, u32)>,
    before: P::Before,
}

/// Points at the end of the work space that fill up a batch: two of different x, and their sum.
pub(crate) const SPARE: usize = 3;

/// References to points, in runs that belong to one bucket each.
#[derive(Default)]
struct Level {
    references: Vec<u32>,
    /// Bucket and number of points.
    runs: Vec<(u32, u32)>,
}

pub(crate) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a part has fewer than 2^30 points")
}

impl<P: Curve> Window<P> {
    fn new(width: usize) -> Self {
        let buckets = 1 << (width - 1);
        let mut work = vec![Line::ZERO; (buckets + P::PART + SPARE) * P::STRIDE];
        write_spare::<P>(&mut work[(buckets + P::PART) * P::STRIDE..]);
        Self {
            work,
            buckets,
            used: 0,
            places: vec![0; buckets + 1],
            level: Level::default(),
            next: Level::default(),
            jobs: Vec::new(),
            copies: Vec::new(),
            before: P::Before::default(),
        }
    }

    fn middle(&self) -> i32 {
        i32::try_from(self.buckets).expect("at most 2^15 buckets")
    }

    /// Adds bases to the buckets of their digits, which are stored with `middle` added.
    fn add(&mut self, lines: &[Line], references: &[u32], digits: &[u16], middle: i32) {
        self.sort(references, digits, middle);
        self.used = small(self.buckets);
        while !self.level.runs.is_empty() {
            self.pair_up();
            self.copy(lines);
            if self.run_jobs(lines) {
                self.drop_infinite();
            }
            std::mem::swap(&mut self.level, &mut self.next);
        }
    }

    /// Counting sort of references by bucket; a bucket in use comes first in its run.
    fn sort(&mut self, references: &[u32], digits: &[u16], middle: i32) {
        self.places.fill(0);
        for digit in digits {
            self.places[(i32::from(*digit) - middle).unsigned_abs() as usize] += 1;
        }
        let level = &mut self.level;
        level.runs.clear();
        let mut start = 0;
        level
            .references
            .resize(digits.len() + digits.len().min(self.buckets), 0);
        for ((place, lines), bucket) in self.places[1..]
            .iter_mut()
            .zip(self.work.chunks_exact(P::STRIDE))
            .zip(0..)
        {
            if *place > 0 {
                let filled = u32::from(lines.iter().any(|line| !line.is_zero()));
                level.references[start as usize] = WORK | bucket;
                level.runs.push((bucket, *place + filled));
                start += filled;
                start += std::mem::replace(place, start);
            }
        }
        for (reference, digit) in references.iter().zip(digits) {
            // Without a branch: signs are as good as random.
            let digit = i32::from(*digit) - middle;
            let negative = (digit >> 31).cast_unsigned();
            if digit != 0 {
                let place = &mut self.places[digit.unsigned_abs() as usize];
                level.references[*place as usize] = reference ^ (negative & NEGATIVE);
                *place += 1;
            }
        }
    }

    /// Makes jobs of the pairs of each run, and the next level of what is left then.
    fn pair_up(&mut self) {
        self.jobs.clear();
        self.copies.clear();
        self.next.references.clear();
        self.next.runs.clear();
        let mut at = 0;
        for k in 0..self.level.runs.len() {
            let (bucket, length) = self.level.runs[k];
            let run = &self.level.references[at..at + length as usize];
            at += length as usize;
            match *run {
                [only] => self.copies.push((only, bucket)),
                [left, right] => self.jobs.push(Job {
                    left,
                    right,
                    out: bucket,
                }),
                _ => {
                    self.next.runs.push((bucket, length.div_ceil(2)));
                    let pairs = run.chunks_exact(2);
                    let odd = pairs.remainder();
                    for pair in pairs {
                        self.jobs.push(Job {
                            left: pair[0],
                            right: pair[1],
                            out: self.used,
                        });
                        self.next.references.push(WORK | self.used);
                        self.used += 1;
                    }
                    self.next.references.extend_from_slice(odd);
                }
            }
        }
    }

    /// Puts single points into their buckets.
    fn copy(&mut self, lines: &[Line]) {
        for (k, (reference, bucket)) in self.copies.iter().enumerate() {
            if let Some((ahead, _)) = self.copies.get(k + COPIES_AHEAD)
                && ahead & WORK == 0
            {
                prefetch(&lines[(ahead & kernels::INDEX) as usize * P::STRIDE]);
            }
            let from = (reference & kernels::INDEX) as usize * P::STRIDE;
            let to = *bucket as usize * P::STRIDE;
            if reference & WORK != 0 {
                self.work.copy_within(from..from + P::STRIDE, to);
                continue;
            }
            let target = &mut self.work[to..to + P::STRIDE];
            target.copy_from_slice(&lines[from..from + P::STRIDE]);
            if reference & NEGATIVE != 0 {
                P::negate(target);
            }
        }
    }

    /// Does all jobs; true if a sum may be infinite.
    fn run_jobs(&mut self, lines: &[Line]) -> bool {
        let mut space = Space {
            bases: lines,
            work: &mut self.work,
        };
        let spare = small(self.buckets + P::PART);
        run_jobs::<P>(&mut space, &mut self.jobs, spare, &mut self.before)
    }

    /// Takes infinite sums out of the next level; a run of which nothing is left empties its bucket,
    /// which held what the run began with.
    fn drop_infinite(&mut self) {
        let place = |number: u32| {
            let start = number as usize * P::STRIDE;
            start..start + P::STRIDE
        };
        let is_finite = |work: &[Line], reference: u32| {
            let lines = place(reference & kernels::INDEX);
            reference & WORK == 0 || work[lines].iter().any(|line| !line.is_zero())
        };
        let mut references = self.next.references.iter();
        for (bucket, length) in &mut self.next.runs {
            let run = references.by_ref().take(*length as usize);
            let finite = run.filter(|reference| is_finite(&self.work, **reference));
            *length = small(finite.count());
            if *length == 0 {
                self.work[place(*bucket)].fill(Line::ZERO);
            }
        }
        self.next.runs.retain(|&(_, length)| length > 0);
        let work = &self.work;
        self.next
            .references
            .retain(|reference| is_finite(work, *reference));
    }

    /// `Σ (i + 1)·bucket i`.
    fn sum(&self) -> Projective<P> {
        let b3 = P::COEFF_B.double() + P::COEFF_B;
        let eighths = P::weighted_sums(&self.work[..self.buckets * P::STRIDE], &b3);
        let mut running = Projective::<P>::zero();
        let mut shifted = Projective::<P>::zero();
        let mut total = Projective::<P>::zero();
        for (number, [plain, weighted]) in eighths.iter().enumerate().rev() {
            total += from_homogeneous::<P>(weighted);
            running += from_homogeneous::<P>(plain);
            if number > 0 {
                shifted += running;
            }
        }
        for _ in 0..(self.buckets / 8).ilog2() {
            shifted.double_in_place();
        }
        total + shifted
    }
}

/// `(X/Z, Y/Z)` in Jacobian coordinates: `(XZ, YZ², Z)`.
fn from_homogeneous<P: SWCurveConfig>([x, y, z]: &[P::BaseField; 3]) -> Projective<P> {
    if z.is_zero() {
        return Projective::zero();
    }
    Projective::new_unchecked(*x * z, *y * z.square(), *z)
}

/// Does all jobs, filled up with additions of the [`SPARE`] points from number `spare` on in the work
/// space; true if a sum may be infinite, which then is zeros.
pub(crate) fn run_jobs<P: Curve>(
    space: &mut Space<'_>,
    jobs: &mut Vec<Job>,
    spare: u32,
    before: &mut P::Before,
) -> bool {
    let filler = Job {
        left: WORK | spare,
        right: WORK | (spare + 1),
        out: spare + 2,
    };
    jobs.resize(jobs.len().next_multiple_of(8), filler);
    let (jobs, _) = jobs.as_chunks::<8>();
    let mut infinite = false;
    let mut batches = jobs.chunks(BATCH / 8).peekable();
    while let Some(batch) = batches.next() {
        if let Some(next) = batches.peek() {
            P::fetch(space, next);
        }
        if !P::add(space, batch, before) {
            add_special::<P>(space, batch.as_flattened());
            infinite = true;
        }
    }
    infinite
}

/// The points of [`SPARE`], packed, but for the sum, whose place is left as it is.
pub(crate) fn write_spare<P: Curve>(lines: &mut [Line]) {
    let generator = Projective::<P>::generator();
    let points = [generator, generator.double()];
    for (point, lines) in points.into_iter().zip(lines.chunks_exact_mut(P::STRIDE)) {
        let Affine { x, y, .. } = point.into();
        pack_point(&Point { x, y }, lines);
    }
}

/// A batch in which points may be equal or opposite, by the portable code.
fn add_special<P: Curve>(space: &mut Space<'_>, jobs: &[Job]) {
    let point = |reference: u32| {
        let lines = if reference & WORK == 0 {
            space.bases
        } else {
            &*space.work
        };
        let start = (reference & kernels::INDEX) as usize * P::STRIDE;
        let Point { x, y } = unpack_point::<P::BaseField>(&lines[start..start + P::STRIDE]);
        let y = if reference & NEGATIVE == 0 { y } else { -y };
        Point { x, y }
    };
    let left: Vec<_> = jobs.iter().map(|job| point(job.left)).collect();
    let right: Vec<_> = jobs.iter().map(|job| point(job.right)).collect();
    let mut sums = vec![Point::INFINITY; left.len()];
    let mut adder = Adder::new();
    for k in 0..small(left.len()) {
        adder.jobs.push(msm::Job {
            left: k,
            right: k,
            target: k,
        });
    }
    // Infinite sums are recognised by their zeros.
    let _any = adder.run(&left, &right, &mut sums);
    for (sum, job) in sums.iter().zip(jobs) {
        let start = job.out as usize * P::STRIDE;
        pack_point(sum, &mut space.work[start..start + P::STRIDE]);
    }
}
