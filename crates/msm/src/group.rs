//! The groups that this crate can sum in.

use ark_bn254::{Fr, g1, g2};
use ark_ec::short_weierstrass::SWCurveConfig;

use crate::packed;

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
