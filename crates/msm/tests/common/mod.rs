//! Points to sum.

use ark_ec::CurveGroup;
use ark_ec::short_weierstrass::{Affine, Projective};
use ark_ff::UniformRand;
use msm::Group;
use rand::rngs::StdRng;

/// Finite points of which one is a random step from the next.
pub fn points<P: Group>(rng: &mut StdRng, count: usize) -> Vec<Affine<P>>
where
    Projective<P>: UniformRand,
{
    let step = Projective::<P>::rand(rng);
    let mut point = Projective::<P>::rand(rng);
    let all: Vec<_> = std::iter::repeat_with(|| {
        point += step;
        point
    })
    .take(count)
    .collect();
    Projective::<P>::normalize_batch(&all)
}
