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

use ark_bn254::Fr;
use ark_ec::short_weierstrass::{Affine, Projective};

mod bases;
mod fixed;
mod group;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod inverse;
mod packed;
mod path;
mod portable;
mod recode;
mod shares;
mod stop;

pub use bases::{BadRecord, Bases, Chosen, Records};
pub use fixed::FixedBase;
pub use group::Group;
pub use path::{Path, choose, path};
pub use stop::Stop;

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
