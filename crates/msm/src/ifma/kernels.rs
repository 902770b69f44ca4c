//! Point arithmetic on vectors, as one text for both groups.
//!
//! **Affine addition.** With `d = x₂ - x₁` and its inverse: `λ = (y₂ - y₁)/d`, `x₃ = λ² - x₁ - x₂`,
//! `y₃ = λ(x₁ - x₃) - y₁`. The inverses of a batch are found together: a forward pass multiplies all
//! `d` up, one inversion, and a backward pass takes the product apart again (Montgomery's trick).
//! There are eight lanes times [`CHAINS`] chains of products, so that neighbouring multiplications
//! do not wait for one another; the chains and lanes are joined before the inversion.
//!
//! **Complete addition** in homogeneous coordinates for the weighted sums of buckets: algorithms 7
//! and 8 of Renes, Costello, Batina, "Complete addition formulas for prime order elliptic curves"
//! (ePrint 2015/1060), which hold for all points of a curve without a point of order 2; both curves
//! here have odd order.
//!
//! Invariant: points that are stored have coordinates in `[0, 3.5p)`; infinity is stored as zeros,
//! which no finite point is.

/// Independent chains of products in a batch.
pub(crate) const CHAINS: usize = 4;

/// In a reference: the point lies in the work space, not among the bases.
pub(crate) const WORK: u32 = 1 << 31;
/// In a reference to a base: its negative is meant.
pub(crate) const NEGATIVE: u32 = 1 << 30;
/// In a reference: the number of the point.
pub(crate) const INDEX: u32 = NEGATIVE - 1;

/// Instead of a reference: there is no point.
pub(crate) const NONE: u32 = u32::MAX;

/// Where points lie.
pub struct Space<'a> {
    /// Points that are only read.
    pub(crate) bases: &'a [super::lines::Line],
    /// Buckets and sums.
    pub(crate) work: &'a mut [super::lines::Line],
}

/// An addition to do: `out = left + right`.
#[derive(Clone, Copy, Default)]
pub struct Job {
    /// Reference.
    pub(crate) left: u32,
    /// Reference.
    pub(crate) right: u32,
    /// Number of a point in the work space.
    pub(crate) out: u32,
    /// What the sum counts for: the kernels do not look at it.
    pub(crate) bucket: u32,
}

macro_rules! kernels {
    ($field:ident) => {
        use std::arch::x86_64::*;

        use crate::ifma::kernels::{CHAINS, INDEX, Job, NEGATIVE, NONE, Space, WORK};
        use crate::ifma::lines::{Line, prefetch};
        use crate::ifma::$field::*;

        #[inline(always)]
        fn at<'s>(space: &'s Space<'_>, reference: u32) -> &'s [Line; STRIDE] {
            let lines: &[Line] = if reference & WORK != 0 {
                &*space.work
            } else {
                space.bases
            };
            let (points, _) = lines.as_chunks::<STRIDE>();
            &points[(reference & INDEX) as usize]
        }

        #[inline(always)]
        fn eight<'s>(
            space: &'s Space<'_>,
            jobs: &[Job; 8],
            side: impl Fn(&Job) -> u32,
        ) -> [&'s [Line; STRIDE]; 8] {
            let [a, b, c, d, e, f, g, h] = jobs;
            let at = |job| at(space, side(job));
            [at(a), at(b), at(c), at(d), at(e), at(f), at(g), at(h)]
        }

        /// Lanes whose reference is to a negative.
        #[inline(always)]
        fn signs(jobs: &[Job; 8], side: impl Fn(&Job) -> u32) -> u8 {
            let mut mask = 0;
            for (j, job) in jobs.iter().enumerate() {
                mask |= u8::from(side(job) & NEGATIVE != 0) << j;
            }
            mask
        }

        /// Asks for all points.
        #[inline(always)]
        fn fetch(space: &Space<'_>, jobs: &[[Job; 8]]) {
            for job in jobs.as_flattened() {
                for line in at(space, job.left) {
                    prefetch(line);
                }
                for line in at(space, job.right) {
                    prefetch(line);
                }
            }
        }

        /// Does a batch and asks for the points of the next, or does nothing and gives false if two points that are to be added have the same x.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        pub(crate) fn add(
            space: &mut Space<'_>,
            jobs: &[[Job; 8]],
            next: &[[Job; 8]],
            before: &mut Vec<F>,
        ) -> bool {
            let totals = differences(space, jobs, before);
            let Some(inverses) = invert(totals) else {
                return false;
            };
            sums(space, jobs, next, before, inverses);
            true
        }

        /// For each job whether the points have the same x, as a mask for eight.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        pub(crate) fn equal(space: &Space<'_>, jobs: &[[Job; 8]]) -> Vec<u8> {
            let one = splat(&<Scalar as ark_ff::Field>::ONE);
            let of_eight = |jobs: &[Job; 8]| {
                let x1 = load_x(eight(space, jobs, |job| job.left));
                let x2 = load_x(eight(space, jobs, |job| job.right));
                // The product brings the difference, up to 7.5p, below 4p.
                let difference = mul(&normal(plus_p::<4>(minus(x2, x1))), &one);
                zeros(canonical(difference))
            };
            jobs.iter().map(of_eight).collect()
        }

        /// The product of the differences of each chain and lane; `before` gets those before each.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn differences(space: &Space<'_>, jobs: &[[Job; 8]], before: &mut Vec<F>) -> [F; CHAINS] {
            let one = splat(&<Scalar as ark_ff::Field>::ONE);
            let (mut chains, mut factors) = ([one; CHAINS], [one; CHAINS]);
            before.clear();
            before.reserve(jobs.len());
            for jobs in jobs.chunks(CHAINS) {
                for (jobs, factor) in jobs.iter().zip(&mut factors) {
                    let x1 = load_x(eight(space, jobs, |job| job.left));
                    let x2 = load_x(eight(space, jobs, |job| job.right));
                    *factor = normal(plus_p::<4>(minus(x2, x1)));
                }
                before.extend_from_slice(&chains[..jobs.len()]);
                for (chain, factor) in chains.iter_mut().zip(&factors).take(jobs.len()) {
                    *chain = mul(chain, factor);
                }
            }
            chains
        }

        /// The inverses of all lanes, or `None` if one of them is zero.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn invert(chains: [F; CHAINS]) -> Option<[F; CHAINS]> {
            let [a, b, c, d] = chains;
            let (ab, cd) = (mul(&a, &b), mul(&c, &d));
            let lanes = mul(&ab, &cd);
            let turn4 = |v: F| map(v, |limb| _mm512_alignr_epi64::<4>(limb, limb));
            let turn2 = |v: F| map(v, |limb| _mm512_alignr_epi64::<2>(limb, limb));
            let turn1 = |v: F| map(v, |limb| _mm512_alignr_epi64::<1>(limb, limb));
            let halves = mul(&lanes, &turn4(lanes));
            let quarters = mul(&halves, &turn2(halves));
            let total = mul(&quarters, &turn1(quarters));
            let inverse = crate::portable::lean::Lean::inverted(&lane(total, 0))?;
            let of_quarters = mul(&splat(&inverse), &turn1(quarters));
            let of_halves = mul(&of_quarters, &turn2(halves));
            let of_lanes = mul(&of_halves, &turn4(lanes));
            let (of_ab, of_cd) = (mul(&of_lanes, &cd), mul(&of_lanes, &ab));
            Some([
                mul(&of_ab, &b),
                mul(&of_ab, &a),
                mul(&of_cd, &d),
                mul(&of_cd, &c),
            ])
        }

        /// What is known of an addition on the way.
        #[derive(Clone, Copy)]
        struct Addition {
            x1: F,
            y1: F,
            x2: F,
            /// `x₂ - x₁`
            dx: F,
            /// `y₂ - y₁`
            dy: F,
            /// The inverse of `dx`, then the slope.
            slope: F,
            x3: F,
        }

        /// Does the additions, asking for the points of the next batch meanwhile.
        ///
        /// The products of one addition wait for one another. So [`CHAINS`] eights go through them side by
        /// side, step by step: the processor looks too few instructions ahead to find that itself.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn sums(
            space: &mut Space<'_>,
            jobs: &[[Job; 8]],
            next: &[[Job; 8]],
            before: &[F],
            mut chains: [F; CHAINS],
        ) {
            let zero = splat(&<Scalar as ark_ff::AdditiveGroup>::ZERO);
            let mut additions = [Addition {
                x1: zero,
                y1: zero,
                x2: zero,
                dx: zero,
                dy: zero,
                slope: zero,
                x3: zero,
            }; CHAINS];
            let mut ahead = next.chunks(CHAINS);
            for (jobs, before) in jobs.chunks(CHAINS).zip(before.chunks(CHAINS)).rev() {
                fetch(space, ahead.next().unwrap_or_default());
                let additions = &mut additions[..jobs.len()];
                for (jobs, addition) in jobs.iter().zip(&mut *additions) {
                    let (x1, y1) = load_point(eight(space, jobs, |job| job.left));
                    let (x2, y2) = load_point(eight(space, jobs, |job| job.right));
                    let y1 = negate_where(signs(jobs, |job| job.left), y1);
                    let y2 = negate_where(signs(jobs, |job| job.right), y2);
                    (addition.x1, addition.y1, addition.x2) = (x1, y1, x2);
                    addition.dx = normal(plus_p::<4>(minus(x2, x1)));
                    addition.dy = normal(plus_p::<4>(minus(y2, y1)));
                }
                let products = additions.iter_mut().zip(before).zip(&mut chains);
                for ((addition, before), chain) in products {
                    addition.slope = mul(chain, before);
                    *chain = mul(chain, &addition.dx);
                }
                for addition in &mut *additions {
                    addition.slope = mul(&addition.dy, &addition.slope);
                }
                for addition in &mut *additions {
                    let square = plus_p::<2>(square_raw(&addition.slope));
                    addition.x3 = settle(minus(minus(square, addition.x1), addition.x2));
                }
                for (addition, jobs) in additions.iter().zip(jobs) {
                    let Addition {
                        x1, y1, x3, slope, ..
                    } = addition;
                    let product = mul_raw(slope, &normal(plus_p::<4>(minus(*x1, *x3))));
                    let y3 = settle_once(minus(plus_p::<2>(product), *y1));
                    let rows = store_point(*x3, y3);
                    for (job, row) in jobs.iter().zip(rows) {
                        let start = job.out as usize * STRIDE;
                        space.work[start..start + STRIDE].copy_from_slice(&row);
                    }
                }
            }
        }

        /// Reduces the coordinates of stored points, a multiple of eight of them.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        pub(crate) fn reduce_points(lines: &mut [Line]) {
            let (points, _) = lines.as_chunks_mut::<STRIDE>();
            let (eights, _) = points.as_chunks_mut::<8>();
            for eight in eights {
                let (x, y) = load_point(eight.each_ref());
                *eight = store_point(canonical(x), canonical(y));
            }
        }

        /// A point in homogeneous coordinates, `[0, 3.5p)` each.
        #[derive(Clone, Copy)]
        struct Homogeneous {
            x: F,
            y: F,
            z: F,
        }

        #[inline]
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn sum(a: F, b: F) -> F {
            // Up to 7p: less 4p it is in the range of `settle`.
            let four = plus_p::<4>(minus(a, a));
            settle(minus(plus(a, b), four))
        }

        #[inline]
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn difference(a: F, b: F) -> F {
            settle(minus(a, b))
        }

        /// What both additions share, from `x₁x₂`, `y₁y₂`, `3b·z₁z₂` and the mixed products
        /// `x₁y₂ + x₂y₁`, `y₁z₂ + y₂z₁`, `3b(x₁z₂ + x₂z₁)`.
        #[inline]
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn finish(xx: F, yy: F, bzz: F, xy: F, yz: F, bxz: F) -> Homogeneous {
            let triple = sum(sum(xx, xx), xx);
            let (plus, minus) = (sum(yy, bzz), difference(yy, bzz));
            Homogeneous {
                x: difference(mul(&xy, &minus), mul(&yz, &bxz)),
                y: sum(mul(&minus, &plus), mul(&bxz, &triple)),
                z: sum(mul(&plus, &yz), mul(&triple, &xy)),
            }
        }

        #[inline]
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn complete_mixed(p: &Homogeneous, x: F, y: F, b3: &F) -> Homogeneous {
            let (xx, yy) = (mul(&p.x, &x), mul(&p.y, &y));
            let crossed = mul(&sum(x, y), &sum(p.x, p.y));
            let xy = difference(difference(crossed, xx), yy);
            let yz = sum(mul(&y, &p.z), p.y);
            let xz = sum(mul(&x, &p.z), p.x);
            finish(xx, yy, mul(b3, &p.z), xy, yz, mul(b3, &xz))
        }

        #[inline]
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        fn complete(p: &Homogeneous, q: &Homogeneous, b3: &F) -> Homogeneous {
            let (xx, yy, zz) = (mul(&p.x, &q.x), mul(&p.y, &q.y), mul(&p.z, &q.z));
            let cross = |a, b, c, d, e, f| {
                let both = mul(&sum(a, b), &sum(c, d));
                difference(difference(both, e), f)
            };
            let xy = cross(p.x, p.y, q.x, q.y, xx, yy);
            let yz = cross(p.y, p.z, q.y, q.z, yy, zz);
            let xz = cross(p.x, p.z, q.x, q.z, xx, zz);
            finish(xx, yy, mul(b3, &zz), xy, yz, mul(b3, &xz))
        }

        /// For each eighth of the buckets, which `work` has at these references or not at all: the sum of
        /// its points, and the sum weighted with 1, 2, … from its first. Homogeneous coordinates.
        ///
        /// `b3` is three times the curve's constant.
        #[target_feature(enable = "avx512ifma,avx512vbmi2,avx512vl")]
        pub(crate) fn weighted_sums(
            work: &[Line],
            buckets: &[u32],
            b3: &Scalar,
        ) -> [[[Scalar; 3]; 2]; 8] {
            let b3 = splat(b3);
            let zero = splat(&<Scalar as ark_ff::AdditiveGroup>::ZERO);
            let one = splat(&<Scalar as ark_ff::Field>::ONE);
            let infinity = Homogeneous {
                x: zero,
                y: one,
                z: zero,
            };
            let (mut running, mut total) = (infinity, infinity);
            let (points, _) = work.as_chunks::<STRIDE>();
            let length = buckets.len() / 8;
            for i in (0..length).rev() {
                let mut mask = 0;
                let lines: [&[Line; STRIDE]; 8] = std::array::from_fn(|j| {
                    let reference = buckets[j * length + i];
                    let filled = reference != NONE;
                    mask |= u8::from(filled) << j;
                    &points[if filled { reference & INDEX } else { 0 } as usize]
                });
                let (x, y) = load_point(lines);
                let next = complete_mixed(&running, x, y, &b3);
                running = Homogeneous {
                    x: select(mask, running.x, next.x),
                    y: select(mask, running.y, next.y),
                    z: select(mask, running.z, next.z),
                };
                total = complete(&total, &running, &b3);
            }
            std::array::from_fn(|j| {
                [running, total].map(|p| [lane(p.x, j), lane(p.y, j), lane(p.z, j)])
            })
        }
    };
}

pub(crate) mod g1 {
    kernels!(fq);
}

pub(crate) mod g2 {
    kernels!(fq2);
}
