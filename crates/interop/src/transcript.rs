//! Contributions to the second phase of a setup, and what is hashed of them.
//!
//! A contribution multiplies `δ` by a secret `x`. Its record says `δ·x` in the first group, a proof
//! of knowledge (`s`, `s·x` and `p·x`, with `p` a point of the second group that is hashed from all
//! that came before), and the hash itself. The hash is BLAKE2b-512 over the circuit's hash, the
//! records before, and `s ‖ s·x` (Bowe, Gabizon, Miers, ePrint 2017/1050; the encoding is snarkjs').

use ark_bn254::{Fq, Fq2, FqConfig, Fr, FrConfig, G1Affine, G2Affine};
use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field, MontConfig};
use blake2::{Blake2b512, Digest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::Sha256;

use crate::points::{FIELD_BYTES, from_montgomery, uncompressed_g1, uncompressed_g2};

/// Bytes of a hash.
pub const HASH_BYTES: usize = 64;
/// A digest by BLAKE2b with 64 bytes.
pub type Hash = [u8; HASH_BYTES];
/// Greatest number of doublings of a beacon's iterations: 2^32 SHA-256 take minutes.
pub const MAX_ITERATIONS_EXP: u8 = 32;
/// Least number of doublings of a beacon's iterations, as snarkjs has it.
pub const MIN_ITERATIONS_EXP: u8 = 10;
/// Greatest length of a contribution's name and of a beacon, in bytes.
pub const MAX_PARAMETER_BYTES: usize = 255;

/// Where a contribution's secret came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From somebody who says that it is forgotten.
    Person,
    /// From a public value that nobody could know beforehand: it adds no secrecy, it takes away the
    /// last contributor's choice.
    Beacon {
        /// SHA-256 is iterated `2^iterations_exp` times.
        iterations_exp: u8,
        /// The public value, at most [`MAX_PARAMETER_BYTES`].
        value: Vec<u8>,
    },
}

/// The record of a contribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// `δ` afterwards, in the first group.
    pub delta_after: G1Affine,
    /// A random point `s`.
    pub s: G1Affine,
    /// The point `s·x`, of which only the participant knows `x`.
    pub s_x: G1Affine,
    /// `p·x`, with `p` hashed from `transcript`.
    pub p_x: G2Affine,
    /// The hash of all that came before, and of `s ‖ s·x`.
    pub transcript: Hash,
    /// Where the secret came from.
    pub source: Source,
    /// A name that the contributor chose, at most [`MAX_PARAMETER_BYTES`].
    pub name: Option<String>,
}

impl Contribution {
    fn absorb(&self, hasher: &mut Blake2b512) {
        hasher.update(uncompressed_g1(&self.delta_after));
        hasher.update(uncompressed_g1(&self.s));
        hasher.update(uncompressed_g1(&self.s_x));
        hasher.update(uncompressed_g2(&self.p_x));
        hasher.update(self.transcript);
    }

    /// The hash that contributors publish.
    pub fn hash(&self) -> Hash {
        let mut hasher = Blake2b512::new();
        self.absorb(&mut hasher);
        hasher.finalize().into()
    }
}

/// The contributions to a key so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Hash of the key before the first contribution.
    pub circuit: Hash,
    /// The contributions, in the order in which they were made.
    pub contributions: Vec<Contribution>,
}

impl Transcript {
    /// What the next contribution has to hash, given its points.
    pub fn next_hash(&self, s: &G1Affine, s_x: &G1Affine) -> Hash {
        let mut running = Running::new(&self.circuit);
        self.contributions.iter().for_each(|one| running.add(one));
        running.next_hash(s, s_x)
    }
}

/// A transcript hashed as far as it was read, so that checking all contributions takes linear time.
pub(crate) struct Running(Blake2b512);

impl Running {
    pub(crate) fn new(circuit: &Hash) -> Self {
        Self(Blake2b512::new_with_prefix(circuit))
    }

    pub(crate) fn add(&mut self, contribution: &Contribution) {
        contribution.absorb(&mut self.0);
    }

    /// What the next contribution has to hash.
    pub(crate) fn next_hash(&self, s: &G1Affine, s_x: &G1Affine) -> Hash {
        let mut hasher = self.0.clone();
        hasher.update(uncompressed_g1(s));
        hasher.update(uncompressed_g1(s_x));
        hasher.finalize().into()
    }
}

/// Random words as iden3's programs draw them: ChaCha20 with counter 0, seeded with eight words.
///
/// Used for public values only: it is not wiped.
pub struct Stream(ChaCha20Rng);

impl Stream {
    /// The stream of a seed's first 32 bytes, read as big-endian words.
    pub fn of(seed: &[u8; 32]) -> Self {
        let mut words = *seed;
        words.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        Self(ChaCha20Rng::from_seed(words))
    }

    /// The stream of a beacon. Takes `2^iterations_exp` hashes.
    pub fn of_beacon(value: &[u8], iterations_exp: u8) -> Self {
        let mut hash = Sha256::digest(value);
        for _ in 1..1u64 << iterations_exp {
            hash = Sha256::digest(hash);
        }
        Self::of(&hash.into())
    }

    /// Montgomery limbs below a modulus of 254 bits.
    fn limbs(&mut self) -> [u8; FIELD_BYTES] {
        let mut bytes = [0; FIELD_BYTES];
        for limb in bytes.chunks_exact_mut(8) {
            let high = u64::from(self.0.next_u32()) << 32;
            let word = high | u64::from(self.0.next_u32());
            limb.copy_from_slice(&word.to_le_bytes());
        }
        bytes[FIELD_BYTES - 1] &= 0x3f;
        bytes
    }

    fn element<C: MontConfig<4>>(&mut self) -> ark_ff::Fp<ark_ff::MontBackend<C, 4>, 4> {
        loop {
            if let Some(element) = from_montgomery::<C>(&self.limbs()) {
                return element;
            }
        }
    }

    /// The next scalar of the stream.
    pub fn scalar(&mut self) -> Fr {
        self.element::<FrConfig>()
    }

    fn point<P: SWCurveConfig>(
        &mut self,
        x: impl Fn(&mut Self) -> P::BaseField,
        is_greater: impl Fn(&P::BaseField) -> bool,
    ) -> Affine<P> {
        loop {
            let x = x(self);
            let greater = self.0.next_u32() & 1 == 1;
            let Some(y) = (x.square() * x + P::COEFF_B).sqrt() else {
                continue;
            };
            let y = if is_greater(&y) == greater { y } else { -y };
            return Affine::new_unchecked(x, y);
        }
    }

    /// A point of the first group.
    pub fn g1(&mut self) -> G1Affine {
        self.point(Self::element::<FqConfig>, is_greater)
    }

    /// A point of the second group.
    pub fn g2(&mut self) -> G2Affine {
        let pair = |stream: &mut Self| {
            let c0 = stream.element::<FqConfig>();
            Fq2::new(c0, stream.element::<FqConfig>())
        };
        let greater = |y: &Fq2| match y.c1 == Fq::ZERO {
            true => is_greater(&y.c0),
            false => is_greater(&y.c1),
        };
        let on_twist: G2Affine = self.point(pair, greater);
        on_twist.mul_by_cofactor_to_group().into_affine()
    }
}

/// Whether a coordinate is the greater one of itself and its negative.
fn is_greater(y: &Fq) -> bool {
    *y > -*y
}

/// The point of the second group in which a contribution shows that it knows its secret.
pub fn challenge_point(transcript: &Hash) -> G2Affine {
    let seed = transcript.first_chunk().expect("64 bytes");
    Stream::of(seed).g2()
}
