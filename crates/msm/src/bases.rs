//! Points that are summed again and again, kept as the inner loop of a path reads them.
//!
//! The vector path reads packed points (`packed`), the portable one ark's coordinates. Files have
//! packed points, so the vector path takes them as they are and the portable one converts them once.
//!
//! Invariant: stored coordinates are reduced. That points lie on the curve is left to whoever gives
//! them; sums of others are meaningless, and nothing worse.

use std::ops::Range;

use ark_bn254::Fr;
use ark_ec::AffineRepr;
use ark_ec::short_weierstrass::{Affine, Projective};
use ark_ff::Zero;
use rayon::prelude::*;

use crate::group::Group;
#[cfg(target_arch = "x86_64")]
use crate::ifma::{self, msm::Query};
use crate::packed::{Line, is_packed_point, pack_point, stride, unpack_point};
use crate::path::Path;
use crate::portable::msm::{self as portable, Point};
use crate::stop::Stop;

/// Points that a thread converts or checks at a time.
const POINTS_PER_TASK: usize = 1 << 12;

/// Memory for packed points, to be filled from a file.
pub struct Records(Vec<Line>);

impl Records {
    /// Zeros for `count` points of `P`.
    pub fn zeroed<P: Group>(count: usize) -> Self {
        Self(vec![Line::ZERO; count * stride::<P::BaseField>()])
    }

    /// The bytes to fill: one record of [`Bases::RECORD`] bytes for each point.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        Line::bytes_mut(&mut self.0)
    }
}

/// A record that is no packed point: a coordinate is not below the base modulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Place of the record among those that were read, from 0.
    pub index: usize,
}

/// Points for sums on one path.
pub struct Bases<P: Group>(Store<P>);

enum Store<P: Group> {
    Portable(Vec<Point<P::BaseField>>),
    #[cfg(target_arch = "x86_64")]
    Ifma(Vec<Line>),
}

impl<P: Group> Clone for Bases<P> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Store::Portable(points) => Store::Portable(points.clone()),
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(lines) => Store::Ifma(lines.clone()),
        })
    }
}

impl<P: Group> std::fmt::Debug for Bases<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} points for {:?}", self.len(), self.path())
    }
}

/// Equal points; on which path they are to be summed does not matter.
impl<P: Group> PartialEq for Bases<P> {
    fn eq(&self, other: &Self) -> bool {
        let same = |i| self.point(i) == other.point(i);
        self.len() == other.len() && (0..self.len()).into_par_iter().all(same)
    }
}

impl<P: Group> Bases<P> {
    /// Bytes of a packed point.
    pub const RECORD: usize = Line::BYTES * stride::<P::BaseField>();

    /// Takes points over for `path`.
    ///
    /// # Panics
    /// If the processor does not support `path`.
    pub fn new(path: Path, points: &[Affine<P>]) -> Self {
        assert!(path.is_supported(), "this processor lacks {path:?}");
        let point = |point: &Affine<P>| match point.is_zero() {
            true => Point::INFINITY,
            false => Point {
                x: point.x,
                y: point.y,
            },
        };
        match path {
            #[cfg(target_arch = "x86_64")]
            Path::Ifma => {
                let stride = stride::<P::BaseField>();
                let mut lines = vec![Line::ZERO; points.len() * stride];
                lines
                    .par_chunks_exact_mut(stride)
                    .with_min_len(POINTS_PER_TASK)
                    .zip(points)
                    .for_each(|(lines, affine)| pack_point(&point(affine), lines));
                Self(Store::Ifma(lines))
            }
            _ => {
                let points = points.par_iter().with_min_len(POINTS_PER_TASK);
                Self(Store::Portable(points.map(point).collect()))
            }
        }
    }

    /// Takes packed points over for `path`, each checked to have reduced coordinates.
    ///
    /// # Errors
    /// The first record that has not.
    ///
    /// # Panics
    /// If the processor does not support `path`.
    pub fn from_records(path: Path, records: Records) -> Result<Self, BadRecord> {
        assert!(path.is_supported(), "this processor lacks {path:?}");
        let mut lines = records.0;
        if cfg!(target_endian = "big") {
            lines
                .iter_mut()
                .for_each(|line| line.0 = line.0.map(u64::from_le));
        }
        let stride = stride::<P::BaseField>();
        let records = lines.par_chunks_exact(stride).with_min_len(POINTS_PER_TASK);
        let bad = records
            .clone()
            .position_first(|lines| !is_packed_point::<P::BaseField>(lines));
        if let Some(index) = bad {
            return Err(BadRecord { index });
        }
        Ok(match path {
            #[cfg(target_arch = "x86_64")]
            Path::Ifma => Self(Store::Ifma(lines)),
            _ => Self(Store::Portable(records.map(unpack_point).collect())),
        })
    }

    /// Packed points that a kernel made, reduced.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn from_lines(lines: Vec<Line>) -> Self {
        Self(Store::Ifma(lines))
    }

    pub(crate) fn from_points(points: Vec<Point<P::BaseField>>) -> Self {
        Self(Store::Portable(points))
    }

    /// The path that they are for.
    pub fn path(&self) -> Path {
        match &self.0 {
            Store::Portable(_) => Path::Portable,
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(_) => Path::Ifma,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Store::Portable(points) => points.len(),
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(lines) => lines.len() / stride::<P::BaseField>(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the records of a range of points.
    ///
    /// # Panics
    /// If the range goes beyond the points.
    pub fn append_records(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let stride = stride::<P::BaseField>();
        let mut put = |lines: &[Line]| {
            let limbs = lines.iter().flat_map(|line| line.0);
            limbs.for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
        };
        match &self.0 {
            Store::Portable(points) => {
                let mut lines = [Line::ZERO; 2];
                for point in &points[range] {
                    pack_point(point, &mut lines[..stride]);
                    put(&lines[..stride]);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(lines) => {
                let lines = &lines[range.start * stride..range.end * stride];
                if cfg!(target_endian = "little") {
                    out.extend_from_slice(Line::bytes(lines));
                } else {
                    put(lines);
                }
            }
        }
    }

    /// A point.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn point(&self, index: usize) -> Affine<P> {
        let point = match &self.0 {
            Store::Portable(points) => points[index],
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(lines) => {
                let stride = stride::<P::BaseField>();
                unpack_point(&lines[index * stride..(index + 1) * stride])
            }
        };
        if point.x.is_zero() && point.y.is_zero() {
            return Affine::zero();
        }
        Affine::new_unchecked(point.x, point.y)
    }

    /// All points, for other libraries.
    pub fn to_affine(&self) -> Vec<Affine<P>> {
        let points = (0..self.len()).into_par_iter();
        points
            .with_min_len(POINTS_PER_TASK)
            .map(|i| self.point(i))
            .collect()
    }

    /// `Σ scalar(i)·point i`, or `None` once `stop` is wanted.
    ///
    /// `scalar` is called at least once for every point, from several threads. The result is exact
    /// for all points of the curve and all scalars.
    pub fn sum<S>(&self, stop: Stop<'_>, scalar: S) -> Option<Projective<P>>
    where
        S: Fn(usize) -> Fr + Sync,
    {
        self.all().sum(stop, scalar)
    }

    /// All points.
    pub fn all(&self) -> Chosen<'_, P> {
        self.range(0..self.len())
    }

    /// The points of a range.
    ///
    /// # Panics
    /// If the range goes beyond the points.
    pub fn range(&self, range: Range<usize>) -> Chosen<'_, P> {
        Chosen(match &self.0 {
            Store::Portable(points) => Source::Portable(&points[range], None),
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(lines) => {
                let stride = stride::<P::BaseField>();
                Source::Ifma(Query::all(&lines[range.start * stride..range.end * stride]))
            }
        })
    }

    /// The points at places, in their order; sums panic if there are not so many points.
    pub fn at<'a>(&'a self, places: &'a [u32]) -> Chosen<'a, P> {
        Chosen(match &self.0 {
            Store::Portable(points) => Source::Portable(points, Some(places)),
            #[cfg(target_arch = "x86_64")]
            Store::Ifma(lines) => Source::Ifma(Query::at(lines, places)),
        })
    }
}

/// Some points of [`Bases`], to be summed.
pub struct Chosen<'a, P: Group>(Source<'a, P>);

enum Source<'a, P: Group> {
    /// With places, if not all are meant.
    Portable(&'a [Point<P::BaseField>], Option<&'a [u32]>),
    #[cfg(target_arch = "x86_64")]
    Ifma(Query<'a, P>),
}

impl<P: Group> Chosen<'_, P> {
    /// As [`Bases::sum`], where point `i` is the `i`-th chosen one.
    ///
    /// # Panics
    /// If a place is beyond the points.
    pub fn sum<S>(&self, stop: Stop<'_>, scalar: S) -> Option<Projective<P>>
    where
        S: Fn(usize) -> Fr + Sync,
    {
        let sum = match &self.0 {
            Source::Portable(points, places) => portable::msm(points, *places, stop, scalar),
            #[cfg(target_arch = "x86_64")]
            Source::Ifma(query) => ifma::msm::msm(query, stop, scalar),
        };
        (!stop.is_wanted()).then_some(sum)
    }

    /// The sums of these points and of as many others with the same scalars, for which the vector path cuts
    /// scalars into digits and makes its schedule once.
    ///
    /// # Panics
    /// If there are more of the one than of the other, or a place is beyond the points.
    pub fn sum_with<Q: Group, S>(
        &self,
        other: &Chosen<'_, Q>,
        stop: Stop<'_>,
        scalar: S,
    ) -> Option<(Projective<P>, Projective<Q>)>
    where
        S: Fn(usize) -> Fr + Sync,
    {
        #[cfg(target_arch = "x86_64")]
        if let (Source::Ifma(first), Source::Ifma(second)) = (&self.0, &other.0) {
            let sums = ifma::msm::msm(&(first, second), stop, scalar);
            return (!stop.is_wanted()).then_some(sums);
        }
        Some((self.sum(stop, &scalar)?, other.sum(stop, &scalar)?))
    }
}
