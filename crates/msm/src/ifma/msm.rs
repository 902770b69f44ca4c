//! Multi-scalar multiplications by buckets.
//!
//! A scalar is negated where that makes it shorter and cut into signed digits of `c` bits; window `w`
//! puts each point into the bucket of its `w`-th digit. Terms are taken in blocks, and a block in parts of
//! [`PART`]. For each window and part, `schedule` says which points are added when; [`BATCH`] additions share
//! an inversion, and the points of the next batch are fetched meanwhile. Sums with the same scalars share
//! digits and schedules.
//!
//! Windows run in parallel and keep their buckets from part to part and block to block; what remains
//! at the end is one weighted sum per window. Windows that do not come out even for the threads are cut
//! into shares of the parts, each with buckets of its own, so that no thread waits for a whole window.
//!
//! A batch that has two points with the same x (equal or opposite ones) is found by its product of
//! differences being zero. The pairs in question are then done by the portable code, which can tell the
//! cases apart, and the others again by the kernel. A sum that is infinite is replaced by the generator, whose
//! multiples are taken off the window's sum at the end: so kernels and schedule never see infinity.
//!
//! Invariant: the result equals the plain sum for all points of the curve and all scalars.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Mutex;

use ark_bn254::{Fr, g1, g2};
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::{AdditiveGroup, PrimeGroup};
use ark_ff::{Field, Zero};
use rayon::prelude::*;
use zeroize::Zeroize;

use super::field::negated;
use super::kernels::{self, INDEX, Job, NEGATIVE, NONE, Space, WORK};
use super::lines::{Line, prefetch};
use super::processor::supported;
use super::schedule::{SPARE, Schedule, filler, small};
use crate::packed::{Coordinate, pack_point, stride, unpack_point};
use crate::portable::msm::{self, Adder, Point};
use crate::recode::{Recoded, SCALAR_BITS, recode, window_width};
use crate::shares::{Share, shares};
use crate::stop::Stop;

/// Terms of a part.
const PART: usize = 1 << 14;
/// Bases that are recoded at a time, for bounded memory.
const BLOCK: usize = 1 << 20;
/// Additions that share an inversion, a multiple of eight.
const BATCH: usize = 1024;
/// Copies between asking for a point and using it.
const COPIES_AHEAD: usize = 16;
/// Buckets that are put into rows and columns at a time.
const FOLD: usize = 1 << 12;
/// Narrower windows have too few buckets for rows and columns.
const LEAST_FOLDED: usize = 8;
/// Smaller sums are left to the portable code.
const SMALL: usize = 128;

/// A group with kernels.
pub trait Curve: SWCurveConfig<ScalarField = Fr, BaseField: Coordinate> {
    /// Lines of a point.
    const STRIDE: usize = stride::<Self::BaseField>();
    /// Space for the products of a batch.
    type Before: Default + Send;

    /// Replaces a packed point by its negative.
    fn negate(lines: &mut [Line]);
    /// Kernel: does a batch and fetches the points of the next, or gives false.
    fn add(
        space: &mut Space<'_>,
        jobs: &[[Job; 8]],
        next: &[[Job; 8]],
        before: &mut Self::Before,
    ) -> bool;
    /// Kernel: from `[0, 3.5p)` to packed form, a multiple of eight points.
    fn reduce(lines: &mut [Line]);
    /// Kernel: which jobs have points of the same x.
    fn equal(space: &Space<'_>, jobs: &[[Job; 8]]) -> Vec<u8>;
    /// Kernel: weighted sums of the eighths of the buckets.
    fn weighted_sums(
        work: &[Line],
        buckets: &[u32],
        b3: &Self::BaseField,
    ) -> [[[Self::BaseField; 3]; 2]; 8];
}

macro_rules! curve {
    ($config:ty, $module:ident, $field:ident, $negate:expr) => {
        impl Curve for $config {
            type Before = Vec<super::$field::F>;

            fn negate(lines: &mut [Line]) {
                $negate(lines);
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn add(
                space: &mut Space<'_>,
                jobs: &[[Job; 8]],
                next: &[[Job; 8]],
                before: &mut Self::Before,
            ) -> bool {
                // SAFETY: `msm` and `FixedBase::new` checked that the processor has the features.
                unsafe { kernels::$module::add(space, jobs, next, before) }
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn reduce(lines: &mut [Line]) {
                // SAFETY: `FixedBase::new` checked that the processor has the features.
                unsafe { kernels::$module::reduce_points(lines) }
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn equal(space: &Space<'_>, jobs: &[[Job; 8]]) -> Vec<u8> {
                // SAFETY: `msm` and `FixedBase::new` checked that the processor has the features.
                unsafe { kernels::$module::equal(space, jobs) }
            }

            #[allow(unsafe_code, reason = "kernels are compiled for vectors")]
            fn weighted_sums(
                work: &[Line],
                buckets: &[u32],
                b3: &Self::BaseField,
            ) -> [[[Self::BaseField; 3]; 2]; 8] {
                // SAFETY: `msm` checked that the processor has the features.
                unsafe { kernels::$module::weighted_sums(work, buckets, b3) }
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
pub(crate) fn msm<Q, S>(query: &Q, stop: Stop<'_>, scalar: S) -> Q::Sum
where
    Q: Summands,
    S: Fn(usize) -> Fr + Sync,
{
    assert!(supported(), "the vector path needs AVX-512 IFMA");
    let count = query.len();
    if count < SMALL {
        return query.few(&(0..count).collect::<Vec<_>>(), stop, &scalar);
    }
    let width = window_width(count, &scalar, WORK_PER_BUCKET);
    let shares = shares(SCALAR_BITS.div_ceil(width), rayon::current_num_threads());
    let last = shares[shares.len() - 1].window;
    let mut windows: Vec<(Share, Option<Window<Q>>)> =
        shares.into_iter().map(|share| (share, None)).collect();
    let unused: Mutex<Vec<Window<Q>>> = Mutex::default();
    let (mut sums, mut uneven) = (vec![Q::Sum::ZERO; last + 1], Vec::new());
    for start in (0..count).step_by(BLOCK) {
        let block = start..count.min(start + BLOCK);
        let is_last = block.end == count;
        let starts: Vec<usize> = block.clone().step_by(Q::PART).collect();
        let load = |&start: &usize| {
            Part::load(query, start..block.end.min(start + Q::PART), &scalar, width)
        };
        let parts: Vec<Part> = starts.par_iter().map(load).collect();
        let fill = |(share, kept): &mut (Share, Option<Window<Q>>)| {
            let mut pool = || unused.lock().ok().and_then(|mut unused| unused.pop());
            let window = kept.take().or_else(&mut pool);
            let mut window = window.unwrap_or_else(|| Window::new(width));
            for part in share.of(&parts) {
                if !stop.is_wanted() {
                    part.fill(query, &mut window, share.window, share.window == last);
                }
            }
            if !is_last || stop.is_wanted() {
                *kept = Some(window);
                return None;
            }
            let sum = window.finish(query);
            if let Ok(mut unused) = unused.lock() {
                unused.push(window);
            }
            Some((share.window, sum))
        };
        // In order, whole windows first, as threads come free.
        let done: Vec<_> = windows.iter_mut().par_bridge().filter_map(fill).collect();
        if stop.is_wanted() {
            return Q::Sum::ZERO;
        }
        for (window, sum) in done {
            sums[window].add(&sum);
        }
        uneven.extend(parts.into_iter().flat_map(|part| part.uneven));
    }
    let mut total = horner(&sums, width);
    if !uneven.is_empty() {
        total.add(&query.few(&uneven, stop, &scalar));
    }
    total
}

/// Work of summing up a bucket, in additions of a point.
const WORK_PER_BUCKET: f64 = 2.2;

fn horner<S: Sum>(sums: &[S], width: usize) -> S {
    sums.iter().rev().fold(S::ZERO, |mut total, sum| {
        for _ in 0..width {
            total.double();
        }
        total.add(sum);
        total
    })
}

/// A sum of points, or several.
pub(crate) trait Sum: Clone + Send {
    /// Of no points.
    const ZERO: Self;

    fn add(&mut self, other: &Self);
    fn double(&mut self);
}

impl<P: SWCurveConfig> Sum for Projective<P> {
    const ZERO: Self = <Self as AdditiveGroup>::ZERO;

    fn add(&mut self, other: &Self) {
        *self += other;
    }

    fn double(&mut self) {
        self.double_in_place();
    }
}

impl<A: Sum, B: Sum> Sum for (A, B) {
    const ZERO: Self = (A::ZERO, B::ZERO);

    fn add(&mut self, (a, b): &Self) {
        self.0.add(a);
        self.1.add(b);
    }

    fn double(&mut self) {
        self.0.double();
        self.1.double();
    }
}

/// Points to be multiplied with scalars and added up, or several such sums with the same scalars.
pub(crate) trait Summands: Sync {
    /// Terms in a part.
    const PART: usize;
    /// Where the points of a window are added.
    type Space: Send;
    /// The result.
    type Sum: Sum;

    /// Terms.
    fn len(&self) -> usize;
    /// Whether a term's point is finite: all or none of several sums, or `None` if they differ.
    fn is_finite(&self, term: usize) -> Option<bool>;
    /// Room for what a schedule wants.
    fn space(schedule: &Schedule) -> Self::Space;
    /// Does what was planned for the part that begins with a term.
    fn run(&self, start: usize, schedule: &Schedule, space: &mut Self::Space);
    /// Does what was planned for slots as bases.
    fn fold(slots: &Self::Space, schedule: &Schedule, space: &mut Self::Space);
    /// The sum of the buckets, weighted with 1, 2, …
    fn sum(schedule: &Schedule, space: &Self::Space) -> Self::Sum;
    /// What corrects that for all that was put in the place of infinity; then the space is as new.
    fn correct(space: &mut Self::Space) -> Self::Sum;
    /// The sum of a few terms, whatever their points are.
    fn few(
        &self,
        terms: &[usize],
        stop: Stop<'_>,
        scalar: &(impl Fn(usize) -> Fr + Sync),
    ) -> Self::Sum;
}

/// Packed points, in order or chosen by their places.
pub(crate) struct Query<'a, P> {
    lines: &'a [Line],
    places: Option<&'a [u32]>,
    group: PhantomData<P>,
}

impl<'a, P> Query<'a, P> {
    /// All points.
    pub(crate) fn all(lines: &'a [Line]) -> Self {
        Self {
            lines,
            places: None,
            group: PhantomData,
        }
    }

    /// The points at places, in ascending order.
    pub(crate) fn at(lines: &'a [Line], places: &'a [u32]) -> Self {
        Self {
            lines,
            places: Some(places),
            group: PhantomData,
        }
    }
}

impl<P: Curve> Query<'_, P> {
    fn point(&self, term: usize) -> &[Line] {
        let place = self.places.map_or(term, |places| places[term] as usize);
        &self.lines[place * P::STRIDE..(place + 1) * P::STRIDE]
    }
}

impl<P: Curve> Summands for Query<'_, P> {
    const PART: usize = PART;
    type Space = Buckets<P>;
    type Sum = Projective<P>;

    fn len(&self) -> usize {
        let all = self.lines.len() / P::STRIDE;
        self.places.map_or(all, <[u32]>::len)
    }

    fn is_finite(&self, term: usize) -> Option<bool> {
        Some(self.point(term).iter().any(|line| !line.is_zero()))
    }

    fn space(schedule: &Schedule) -> Buckets<P> {
        Buckets::new(schedule)
    }

    fn run(&self, start: usize, schedule: &Schedule, space: &mut Buckets<P>) {
        match self.places {
            None => space.run(schedule, &self.lines[start * P::STRIDE..], None),
            Some(places) => space.run(schedule, self.lines, Some(&places[start..])),
        }
    }

    fn fold(slots: &Buckets<P>, schedule: &Schedule, space: &mut Buckets<P>) {
        space.run(schedule, &slots.work, None);
    }

    fn sum(schedule: &Schedule, space: &Buckets<P>) -> Projective<P> {
        space.sum(schedule)
    }

    fn correct(space: &mut Buckets<P>) -> Projective<P> {
        let excess = std::mem::take(&mut space.excess);
        -(Projective::<P>::generator() * Fr::from(excess))
    }

    fn few(
        &self,
        terms: &[usize],
        stop: Stop<'_>,
        scalar: &(impl Fn(usize) -> Fr + Sync),
    ) -> Projective<P> {
        let points = terms.iter().map(|term| unpack_point(self.point(*term)));
        let points: Vec<Point<P::BaseField>> = points.collect();
        msm::msm::<P, _>(&points, None, stop, |i| scalar(terms[i]))
    }
}

impl<A: Summands, B: Summands> Summands for (&A, &B) {
    const PART: usize = if A::PART < B::PART { A::PART } else { B::PART };
    type Space = (A::Space, B::Space);
    type Sum = (A::Sum, B::Sum);

    fn len(&self) -> usize {
        assert_eq!(self.0.len(), self.1.len(), "the same scalars");
        self.0.len()
    }

    fn is_finite(&self, term: usize) -> Option<bool> {
        let (a, b) = (self.0.is_finite(term), self.1.is_finite(term));
        if a == b { a } else { None }
    }

    fn space(schedule: &Schedule) -> Self::Space {
        (A::space(schedule), B::space(schedule))
    }

    fn run(&self, start: usize, schedule: &Schedule, (a, b): &mut Self::Space) {
        self.0.run(start, schedule, a);
        self.1.run(start, schedule, b);
    }

    fn fold(slots: &Self::Space, schedule: &Schedule, (a, b): &mut Self::Space) {
        A::fold(&slots.0, schedule, a);
        B::fold(&slots.1, schedule, b);
    }

    fn sum(schedule: &Schedule, (a, b): &Self::Space) -> Self::Sum {
        (A::sum(schedule, a), B::sum(schedule, b))
    }

    fn correct((a, b): &mut Self::Space) -> Self::Sum {
        (A::correct(a), B::correct(b))
    }

    fn few(
        &self,
        terms: &[usize],
        stop: Stop<'_>,
        scalar: &(impl Fn(usize) -> Fr + Sync),
    ) -> Self::Sum {
        let first = self.0.few(terms, stop, scalar);
        (first, self.1.few(terms, stop, scalar))
    }
}

/// The digits of up to [`PART`] terms.
struct Part {
    start: usize,
    digits: Recoded,
    /// Terms that are left out, because they have finite points for some of the sums only.
    uneven: Vec<usize>,
}

impl Part {
    fn load<Q: Summands>(
        query: &Q,
        terms: Range<usize>,
        scalar: impl Fn(usize) -> Fr,
        width: usize,
    ) -> Self {
        let (start, mut uneven) = (terms.start, Vec::new());
        // Infinity adds nothing, and the kernels do not know it.
        let scalars = terms.map(|term| match query.is_finite(term) {
            Some(true) => scalar(term),
            Some(false) => Fr::ZERO,
            None => {
                uneven.push(term);
                Fr::ZERO
            }
        });
        let digits = recode(scalars, width);
        Self {
            start,
            digits,
            uneven,
        }
    }

    fn fill<Q: Summands>(&self, query: &Q, window: &mut Window<Q>, number: usize, last: bool) {
        let middle = if last { 0 } else { window.middle };
        let (references, digits) = self.digits.long(number);
        window.add(query, self.start, references, digits, middle);
        if number == 0 {
            let (references, digits) = self.digits.short();
            window.add(query, self.start, references, digits, middle);
        }
    }
}

/// One window of all sums.
struct Window<Q: Summands> {
    width: usize,
    schedule: Schedule,
    space: Q::Space,
    middle: i32,
}

impl<Q: Summands> Window<Q> {
    fn new(width: usize) -> Self {
        let schedule = Schedule::new(width, Q::PART);
        Self {
            width,
            space: Q::space(&schedule),
            middle: 1 << (width - 1),
            schedule,
        }
    }

    /// Adds bases to the buckets of their digits, which are stored with `middle` added.
    fn add(&mut self, query: &Q, start: usize, references: &[u32], digits: &[u16], middle: i32) {
        self.schedule.plan(references, digits, middle, false);
        query.run(start, &self.schedule, &mut self.space);
    }

    /// The window's sum; then the window is as new.
    fn finish(&mut self, query: &Q) -> Q::Sum {
        self.schedule.plan(&[], &[], 0, true);
        query.run(0, &self.schedule, &mut self.space);
        let mut sum = match self.width {
            LEAST_FOLDED.. => self.folded_sum(),
            _ => Q::sum(&self.schedule, &self.space),
        };
        sum.add(&Q::correct(&mut self.space));
        self.schedule.clear();
        sum
    }

    /// `Σ i·bucket i`. With `i = 2^k·h + l` that is `2^k·Σ h·row h + Σ l·column l`, where a row has the
    /// buckets of an `h`, and a column those of an `l`. So a bucket takes two additions that share
    /// inversions, and only rows and columns take the slower ones of a weighted sum.
    fn folded_sum(&self) -> Q::Sum {
        let bits = self.width / 2;
        let buckets = (1..=u16::MAX).zip(self.schedule.buckets());
        let filled = buckets.filter(|(_, slot)| **slot != NONE);
        let (numbers, slots): (Vec<u16>, Vec<u32>) =
            filled.map(|(number, slot)| (number, slot & INDEX)).unzip();
        let sum_by = |width: usize, digit: &dyn Fn(u16) -> u16| {
            let mut schedule = Schedule::new(width, FOLD);
            let mut space = Q::space(&schedule);
            for (slots, numbers) in slots.chunks(FOLD).zip(numbers.chunks(FOLD)) {
                let digits: Vec<u16> = numbers.iter().map(|number| digit(*number)).collect();
                schedule.plan(slots, &digits, 0, false);
                Q::fold(&self.space, &schedule, &mut space);
            }
            schedule.plan(&[], &[], 0, true);
            Q::fold(&self.space, &schedule, &mut space);
            let mut sum = Q::sum(&schedule, &space);
            sum.add(&Q::correct(&mut space));
            sum
        };
        let mut sum = sum_by(self.width - bits, &|number| number >> bits);
        (0..bits).for_each(|_| sum.double());
        sum.add(&sum_by(bits + 1, &|number| number & ((1 << bits) - 1)));
        sum
    }
}

/// The slots of a schedule for one group.
pub(crate) struct Buckets<P: Curve> {
    /// Points below `3.5p`, the spare ones last.
    work: Vec<Line>,
    /// Space for jobs with the places of chosen bases.
    jobs: Vec<Job>,
    before: P::Before,
    infinite: Vec<Job>,
    /// How often the generator, weighted with the bucket, was put in the place of infinity.
    excess: u64,
}

impl<P: Curve> Buckets<P> {
    fn new(schedule: &Schedule) -> Self {
        let slots = schedule.slots();
        let mut work = vec![Line::ZERO; (slots + SPARE) * P::STRIDE];
        write_spare::<P>(&mut work[slots * P::STRIDE..]);
        Self {
            work,
            jobs: Vec::new(),
            before: P::Before::default(),
            infinite: Vec::new(),
            excess: 0,
        }
    }

    /// Does what was planned; `places` says where among `lines` a base is, if not in order.
    fn run(&mut self, schedule: &Schedule, lines: &[Line], places: Option<&[u32]>) {
        let translated = |reference: u32| match (reference & WORK, places) {
            (0, Some(places)) => reference & NEGATIVE | places[(reference & INDEX) as usize],
            _ => reference,
        };
        let mut translations = std::mem::take(&mut self.jobs);
        translations.clear();
        if places.is_some() {
            translations.extend(schedule.jobs().iter().map(|job| Job {
                left: translated(job.left),
                right: translated(job.right),
                ..*job
            }));
        }
        let jobs = match places {
            None => schedule.jobs(),
            Some(_) => &translations,
        };
        for level in schedule.levels() {
            let mut space = Space {
                bases: lines,
                work: &mut self.work,
            };
            run_jobs::<P>(
                &mut space,
                &jobs[level],
                schedule.spare(),
                &mut self.before,
                &mut self.infinite,
            );
            self.replace_infinite(schedule.spare());
        }
        self.jobs = translations;
        let copies = schedule.copies().iter();
        let copies: Vec<_> = copies
            .map(|(base, slot)| (translated(*base), *slot))
            .collect();
        self.copy(lines, &copies);
    }

    /// Puts the generator in the place of sums that are infinite, and takes note of it.
    fn replace_infinite(&mut self, spare: u32) {
        let from = spare as usize * P::STRIDE;
        for job in self.infinite.drain(..) {
            let to = job.out as usize * P::STRIDE;
            self.work.copy_within(from..from + P::STRIDE, to);
            self.excess += u64::from(job.bucket);
        }
    }

    /// Puts bases into slots.
    fn copy(&mut self, lines: &[Line], copies: &[(u32, u32)]) {
        for (k, (reference, slot)) in copies.iter().enumerate() {
            if let Some((ahead, _)) = copies.get(k + COPIES_AHEAD) {
                prefetch(&lines[(ahead & INDEX) as usize * P::STRIDE]);
            }
            let from = (reference & INDEX) as usize * P::STRIDE;
            let to = *slot as usize * P::STRIDE;
            let target = &mut self.work[to..to + P::STRIDE];
            target.copy_from_slice(&lines[from..from + P::STRIDE]);
            if reference & NEGATIVE != 0 {
                P::negate(target);
            }
        }
    }

    /// `Σ (i + 1)·bucket i`, but for the excess.
    fn sum(&self, schedule: &Schedule) -> Projective<P> {
        let b3 = P::COEFF_B.double() + P::COEFF_B;
        let buckets = schedule.buckets();
        let eighths = P::weighted_sums(&self.work, buckets, &b3);
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
        for _ in 0..(buckets.len() / 8).ilog2() {
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

/// Does jobs, eights of them, with additions of the [`SPARE`] points from number `spare` on in the work
/// space to stand in for others; those whose sum is infinite are given, and their sums are zeros.
pub(crate) fn run_jobs<P: Curve>(
    space: &mut Space<'_>,
    jobs: &[Job],
    spare: u32,
    before: &mut P::Before,
    infinite: &mut Vec<Job>,
) {
    let (jobs, _) = jobs.as_chunks::<8>();
    let mut batches = jobs.chunks(BATCH / 8).peekable();
    let mut special = Vec::new();
    while let Some(batch) = batches.next() {
        let next = batches.peek().copied().unwrap_or_default();
        if P::add(space, batch, next, before) {
            continue;
        }
        let mut others = batch.to_vec();
        for (jobs, equal) in others.iter_mut().zip(P::equal(space, batch)) {
            for (j, job) in jobs.iter_mut().enumerate() {
                if equal >> j & 1 == 1 {
                    special.push(std::mem::replace(job, filler(spare)));
                }
            }
        }
        let done = P::add(space, &others, next, before);
        assert!(done, "no differences are left that are zero");
        wipe(others.as_flattened_mut());
    }
    // No other job has written to their points, see `schedule`.
    if !special.is_empty() {
        add_special::<P>(space, &special, infinite);
        wipe(&mut special);
    }
}

/// Overwrites references, which in setups tell of secret scalars.
pub(crate) fn wipe(jobs: &mut [Job]) {
    jobs.iter_mut().for_each(|job| job.right.zeroize());
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

/// Additions of points that may be equal or opposite, by the portable code.
fn add_special<P: Curve>(space: &mut Space<'_>, jobs: &[Job], infinite: &mut Vec<Job>) {
    let point = |reference: u32| {
        let lines = if reference & WORK == 0 {
            space.bases
        } else {
            &*space.work
        };
        let start = (reference & INDEX) as usize * P::STRIDE;
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
        if sum.is_infinity() {
            infinite.push(*job);
        }
        let start = job.out as usize * P::STRIDE;
        pack_point(sum, &mut space.work[start..start + P::STRIDE]);
    }
}
