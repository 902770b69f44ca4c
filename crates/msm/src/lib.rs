//! The prover's inner loops over BN254: multi-scalar multiplication in G1 and G2, multiples of
//! one point, and transforms over Fr.
//!
//! Every function takes the [`Path`] it runs on, and [`path`] names the best that this processor has.
//! The portable path is safe code over `ark-bn254`. The vector path (`ifma`) does eight field elements
//! at a time; how it lays them out is said in `packed`, `ifma::field` and `ifma::lines`, how additions of
//! points are scheduled in `ifma::msm`, how they are done in `ifma::kernels`, and how transforms are ordered in
//! `ifma::fft`.
//!
//! Invariant: all paths give equal results, the plain mathematical ones, for all inputs that are points of
//! the curve. Running time depends on scalars and points: this is for provers who keep their machine to
//! themselves. What is summed and why is left to the prover.

use std::sync::OnceLock;

use ark_bn254::{Fr, g1, g2};
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};

mod bases;
mod fixed;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod packed;
mod portable;
mod recode;
mod shares;

pub use bases::{BadRecord, Bases, Records, Stop};
pub use fixed::FixedBase;

/// Which code does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Safe code for every processor.
    Portable,
    /// Eight field elements at a time with AVX-512 IFMA.
    Ifma,
}

impl Path {
    /// Whether this processor can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Ifma => ifma::supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ifma => false,
        }
    }
}

static PATH: OnceLock<Path> = OnceLock::new();

/// The path to use: the one that was chosen, or the fastest that this processor supports, or
/// [`Path::Portable`] if the environment says `QUIRE_SIMD=portable`. Fixed by the first call.
pub fn path() -> Path {
    *PATH.get_or_init(|| {
        let portable = std::env::var_os("QUIRE_SIMD").is_some_and(|value| value == "portable");
        if portable || !Path::Ifma.is_supported() {
            Path::Portable
        } else {
            Path::Ifma
        }
    })
}

/// Chooses the path for the rest of the program; false if the processor does not support it or another
/// one is in use already.
#[must_use]
pub fn choose(path: Path) -> bool {
    path.is_supported() && *PATH.get_or_init(|| path) == path
}

/// A group that this crate can sum in: G1 or G2 of BN254.
pub trait Group:
    SWCurveConfig<ScalarField = Fr, BaseField: packed::Coordinate> + sealed::Kernels
{
}

impl Group for g1::Config {}
impl Group for g2::Config {}

mod sealed {
    #[cfg(target_arch = "x86_64")]
    pub use crate::ifma::msm::Curve as Kernels;

    #[cfg(not(target_arch = "x86_64"))]
    pub trait Kernels {}
    #[cfg(not(target_arch = "x86_64"))]
    impl Kernels for ark_bn254::g1::Config {}
    #[cfg(not(target_arch = "x86_64"))]
    impl Kernels for ark_bn254::g2::Config {}
}

/// `Σ scalar(i)·bases[i]`, for points that are summed once; see [`Bases::sum`].
///
/// # Panics
/// If the processor does not support `path`.
pub fn msm<P: Group, S>(path: Path, bases: &[Affine<P>], scalar: S) -> Projective<P>
where
    S: Fn(usize) -> Fr + Sync,
{
    let sum = Bases::new(path, bases).sum(Stop::default(), scalar);
    sum.expect("nobody wants to stop")
}

/// Transforms between the domain of `size`-th roots of unity and its odd coset, in place and without
/// reordering; the tables for one size.
///
/// With `ω` the domain's generator and `g² = ω`, the odd coset is `g·ω^i`, the roots of `X^size = -1`.
pub struct OddCoset(Tables);

enum Tables {
    Portable(portable::fft::CosetTransform),
    #[cfg(target_arch = "x86_64")]
    Ifma(ifma::fft::OddCoset),
}

impl OddCoset {
    /// Tables for `size` elements, or `None` if `size` is no power of two from 1 to 2^27.
    ///
    /// # Panics
    /// If the processor does not support `path`.
    pub fn new(path: Path, size: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if path == Path::Ifma && size >= ifma::fft::LEAST && size.is_power_of_two() {
            return ifma::fft::OddCoset::new(size).map(|tables| Self(Tables::Ifma(tables)));
        }
        assert!(path.is_supported(), "this processor lacks {path:?}");
        portable::fft::CosetTransform::new(size).map(|tables| Self(Tables::Portable(tables)))
    }

    /// Replaces a polynomial's values at `ω^i` by its values at `g·ω^i`; its degree is below `size`.
    ///
    /// # Panics
    /// If there are not as many values as the tables are for.
    pub fn run(&self, values: &mut [Fr]) {
        match &self.0 {
            Tables::Portable(tables) => tables.run(values),
            #[cfg(target_arch = "x86_64")]
            Tables::Ifma(tables) => tables.run(values),
        }
    }
}
