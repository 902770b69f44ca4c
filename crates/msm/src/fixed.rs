//! Many multiples of one point, for setups.
//!
//! A table has, for each window `w` of a scalar's signed digits, the multiples `1 … 2^(c-1)` of
//! `2^(cw)·base`. A chunk of scalars goes through the windows one after the other: each window adds one
//! point of its table to each sum, and all these additions are independent, so they share inversions as
//! in a multi-scalar multiplication.
//!
//! Invariant: the results equal the plain multiples for all scalars. Digits and other traces of the
//! scalars are overwritten; the scalars themselves are the caller's.

use ark_bn254::Fr;
use ark_ec::short_weierstrass::Projective;
use ark_ec::{AdditiveGroup, CurveGroup};
use rayon::prelude::*;
use zeroize::Zeroize;

use crate::bases::Bases;
use crate::group::Group;
use crate::packed::{Line, pack_point, stride};
use crate::path::Path;
use crate::portable::msm::{Adder, Job, Point};
use crate::recode::{NEGATIVE, Recoded, SCALAR_BITS, recode};

/// Widths of a window; a table of the widest has 33 MB in G1.
const WIDTHS: std::ops::RangeInclusive<usize> = 6..=15;
/// Scalars that a thread takes through all windows at a time.
const CHUNK: usize = 1 << 14;

/// Tables of the multiples of one point.
pub struct FixedBase<P: Group> {
    width: usize,
    tables: Tables<P>,
}

/// The multiples for each window.
enum Tables<P: Group> {
    Portable(Vec<Vec<Point<P::BaseField>>>),
    #[cfg(target_arch = "x86_64")]
    Ifma(Vec<Vec<Line>>),
}

/// The width with the fewest additions for `count` scalars.
fn width_for(count: usize) -> usize {
    let work = |width: &usize| SCALAR_BITS.div_ceil(*width) * (count + (1 << (width - 1)));
    WIDTHS.min_by_key(work).expect("the range is not empty")
}

impl<P: Group> FixedBase<P> {
    /// Tables of `base` for about `count` multiplications.
    ///
    /// # Panics
    /// If the processor does not support `path`, or `base` is infinite.
    pub fn new(path: Path, base: Projective<P>, count: usize) -> Self {
        assert!(path.is_supported(), "this processor lacks {path:?}");
        assert!(base.z != P::BaseField::ZERO, "infinity has no multiples");
        let width = width_for(count);
        let mut firsts = vec![base];
        for _ in 1..SCALAR_BITS.div_ceil(width) {
            let mut next = firsts[firsts.len() - 1];
            (0..width).for_each(|_| {
                next.double_in_place();
            });
            firsts.push(next);
        }
        let firsts = Projective::normalize_batch(&firsts);
        let multiples = firsts.par_iter().map(|first| {
            let first = Point {
                x: first.x,
                y: first.y,
            };
            multiples(first, 1 << (width - 1))
        });
        let tables = match path {
            #[cfg(target_arch = "x86_64")]
            Path::Ifma => Tables::Ifma(multiples.map(|points| packed(&points)).collect()),
            _ => Tables::Portable(multiples.collect()),
        };
        Self { width, tables }
    }

    /// `scalar·base` for each scalar.
    pub fn multiply(&self, scalars: &[Fr]) -> Bases<P> {
        match &self.tables {
            Tables::Portable(tables) => {
                let mut out = vec![Point::INFINITY; scalars.len()];
                out.par_chunks_mut(CHUNK)
                    .zip(scalars.par_chunks(CHUNK))
                    .for_each(|(out, scalars)| self.portable(tables, out, scalars));
                Bases::from_points(out)
            }
            #[cfg(target_arch = "x86_64")]
            Tables::Ifma(tables) => {
                let stride = stride::<P::BaseField>();
                let mut out = vec![Line::ZERO; stride * scalars.len()];
                out.par_chunks_mut(stride * CHUNK)
                    .zip(scalars.par_chunks(CHUNK))
                    .for_each(|(out, scalars)| self.vectors(tables, out, scalars));
                Bases::from_lines(out)
            }
        }
    }

    /// Calls `visit` for every digit of a window that is not zero: number of the scalar, place in the
    /// window's table, and whether the multiple is to be negated.
    fn digits(
        &self,
        recoded: &Recoded,
        window: usize,
        windows: usize,
        mut visit: impl FnMut(u32, usize, bool),
    ) {
        let middle = match window + 1 == windows {
            true => 0,
            false => 1i32 << (self.width - 1),
        };
        let mut all = |(references, digits): (&[u32], &[u16])| {
            for (reference, digit) in references.iter().zip(digits) {
                let digit = i32::from(*digit) - middle;
                if digit != 0 {
                    let negative = (digit < 0) != (reference & NEGATIVE != 0);
                    let place = digit.unsigned_abs() as usize - 1;
                    visit(reference & !NEGATIVE, place, negative);
                }
            }
        };
        all(recoded.long(window));
        if window == 0 {
            all(recoded.short());
        }
    }

    fn portable(
        &self,
        tables: &[Vec<Point<P::BaseField>>],
        sums: &mut [Point<P::BaseField>],
        scalars: &[Fr],
    ) {
        let mut recoded = recode(scalars.iter().copied(), self.width);
        let (mut adder, mut right) = (Adder::new(), Vec::new());
        let mut next = sums.to_vec();
        for (window, table) in tables.iter().enumerate() {
            right.clear();
            self.digits(&recoded, window, tables.len(), |number, place, negative| {
                let Point { x, y } = table[place];
                let multiple = Point {
                    x,
                    y: if negative { -y } else { y },
                };
                let sum = &mut sums[number as usize];
                if sum.is_infinity() {
                    *sum = multiple;
                    return;
                }
                adder.jobs.push(Job {
                    left: number,
                    right: u32::try_from(right.len()).expect("a chunk has fewer points"),
                    target: number,
                });
                right.push(multiple);
            });
            next.copy_from_slice(sums);
            // Infinity is all zeros here as everywhere.
            let _any = adder.run(sums, &right, &mut next);
            sums.copy_from_slice(&next);
        }
        recoded.wipe();
        for point in next.iter_mut().chain(&mut right) {
            point.x.zeroize();
            point.y.zeroize();
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn vectors(&self, tables: &[Vec<Line>], out: &mut [Line], scalars: &[Fr]) {
        use crate::ifma::kernels::{self, Space, WORK};
        use crate::ifma::msm::{run_jobs, wipe, write_spare};
        use crate::ifma::schedule::{SPARE, filler, small};

        let stride = stride::<P::BaseField>();
        let mut recoded = recode(scalars.iter().copied(), self.width);
        let places = scalars.len().next_multiple_of(8);
        let mut sums = vec![Line::ZERO; stride * (places + SPARE)];
        write_spare::<P>(&mut sums[stride * places..]);
        let (mut jobs, mut before) = (Vec::new(), P::Before::default());
        let (spare, mut infinite) = (small(places), Vec::new());
        for (window, table) in tables.iter().enumerate() {
            jobs.clear();
            self.digits(&recoded, window, tables.len(), |number, place, negative| {
                let start = number as usize * stride;
                let sum = &mut sums[start..start + stride];
                if sum.iter().all(Line::is_zero) {
                    sum.copy_from_slice(&table[place * stride..(place + 1) * stride]);
                    if negative {
                        P::negate(sum);
                    }
                    return;
                }
                let sign = if negative { kernels::NEGATIVE } else { 0 };
                jobs.push(kernels::Job {
                    left: WORK | number,
                    right: small(place) | sign,
                    out: number,
                    bucket: 0,
                });
            });
            let mut space = Space {
                bases: table,
                work: &mut sums,
            };
            jobs.resize(jobs.len().next_multiple_of(8), filler(spare));
            // A sum that became infinite is all zeros, and starts anew.
            run_jobs::<P>(&mut space, &jobs, spare, &mut before, &mut infinite);
            wipe(&mut infinite);
            infinite.clear();
        }
        P::reduce(&mut sums[..stride * places]);
        out.copy_from_slice(&sums[..out.len()]);
        recoded.wipe();
        wipe(&mut jobs);
    }
}

/// `1·first, …, count·first`, `count` a power of two.
fn multiples<F: crate::packed::Coordinate>(first: Point<F>, count: usize) -> Vec<Point<F>> {
    let mut all = vec![first];
    let mut adder = Adder::new();
    while all.len() < count {
        let half = all.len();
        for k in 0..half {
            let at = |k: usize| u32::try_from(k).expect("a table has fewer points");
            adder.jobs.push(Job {
                left: at(k),
                right: at(half - 1),
                target: at(k),
            });
        }
        let mut more = vec![Point::INFINITY; half];
        // No multiple below the group's order is infinite.
        let _none = adder.run(&all, &all, &mut more);
        all.append(&mut more);
    }
    all
}

#[cfg(target_arch = "x86_64")]
fn packed<F: crate::packed::Coordinate>(points: &[Point<F>]) -> Vec<Line> {
    let mut lines = vec![Line::ZERO; stride::<F>() * points.len()];
    for (point, lines) in points.iter().zip(lines.chunks_exact_mut(stride::<F>())) {
        pack_point(point, lines);
    }
    lines
}
