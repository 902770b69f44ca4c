//! Proving and verifying keys, and what every key must fulfil before it is used.
//!
//! Invariant: a [`VerifyingKey`] exists only if it passed [`VerifyingKey::check`]: all points are on
//! their curves, in their subgroups and finite; `β`, `γ`, `δ` differ from one another and `α`, `β`,
//! `δ` from the generators, up to sign; and no two points of the input combination (IC) agree up to
//! sign. Each of these faults lets somebody prove false statements: with `γ = δ` the proof
//! `(α, β, -L)` verifies for any inputs, with `δ = β` so does `(L, γ, -α)`, and `ICᵢ = ±ICⱼ` lets two
//! inputs be traded against each other. A [`ProvingKey`] exists only if its `β` and `δ` in G1 are finite points
//! of the curve, in the ratio of its verifying key's: multiples of `δ` blind a proof, so without that somebody
//! could make a key whose proofs verify and reveal the witness. A key from a seeded setup is marked [`Origin::Dev`] and is
//! refused on decoding unless [`AllowDevKeys::Yes`] is said. A key of which nobody knows how it was made,
//! such as one that was found on a chain, is marked [`Origin::Unknown`]; proofs are verified under it, but
//! nothing is deployed with it, and no proving key has it. What a file says of its origin is said by
//! whoever wrote the file.
//!
//! The bytes of a verifying key are, with integers little-endian and points as in `proof`:
//! `"QUIRE-VK" ‖ version u32 ‖ flags u32 ‖ fingerprint 32 ‖ name length u32 ‖ name ‖
//! shape length u32 ‖ shape ‖ IC count u32 ‖ α ‖ β ‖ γ ‖ δ ‖ IC… ‖ BLAKE3 of all before, 32`.
//! Flags are 0 for one party's setup, 1 for a development key, 2 for an unknown origin, and
//! `3 + 256·n` for a ceremony with `n` contributions. The id of a key is BLAKE3 of `α ‖ β ‖ γ ‖ δ ‖ IC…`: the same
//! wherever the key is found. Files of keys are left to `key_file`.

use std::path::PathBuf;

use ark_bn254::{Bn254, Fq12, G1Affine, G2Affine, g1, g2};
use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use ark_ec::short_weierstrass::Affine;
use ark_ff::Zero;
use msm::{Bases, Group, path};
use r1cs::Fingerprint;
use rayon::prelude::*;

use crate::bounded::{FileKind, ReadError};
use crate::proof::{DecodeError, check_g1, check_g2, decode_g1, decode_g2, encode_g1, encode_g2};

/// Version of the verifying key's encoding; another version is refused.
pub const KEY_VERSION: u32 = 1;
/// Greatest length of a key's name in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Greatest length of a key's shape description in bytes.
pub const MAX_SHAPE_BYTES: usize = 1 << 16;
/// Greatest number of points of the input combination.
pub const MAX_IC_POINTS: usize = 1 << 12;
/// Greatest number of contributions that a key can name.
pub const MAX_CONTRIBUTIONS: u32 = (1 << 24) - 1;
/// Greatest length of an encoded verifying key.
pub(crate) const MAX_VK_BYTES: usize = 1 << 20;
/// Files of verifying keys.
pub const VERIFYING_KEY_FILE: FileKind = FileKind {
    name: "a verifying key",
    most: MAX_VK_BYTES as u64,
};

const VK_MAGIC: &[u8; 8] = b"QUIRE-VK";
const FLAG_DEV: u32 = 1;
const FLAG_UNKNOWN: u32 = 2;
const FLAG_CEREMONY: u32 = 3;
/// Where the number of contributions begins.
const CONTRIBUTIONS_SHIFT: u32 = 8;
pub(crate) const CHECKSUM_BYTES: usize = 32;

/// How a key's secrets were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From one party, who drew them from the operating system's randomness and says that they are
    /// forgotten.
    Production,
    /// From a ceremony that was verified from its powers of tau on.
    Ceremony {
        /// Number of contributions, 1 to [`MAX_CONTRIBUTIONS`].
        contributions: u32,
    },
    /// From a known seed: anybody can forge proofs. For tests and local trials.
    Dev,
    /// Found on a chain or in a file of another program: how its secrets were chosen is not known.
    Unknown,
}

/// Whether a key that anybody can forge for may be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowDevKeys {
    /// Accept keys marked [`Origin::Dev`].
    Yes,
    /// Refuse such keys: the right answer outside tests and trials.
    No,
}

/// What a key says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Name of the shape, at most [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// The shape as its owner encodes it, at most [`MAX_SHAPE_BYTES`] bytes.
    pub shape: Vec<u8>,
    /// Fingerprint of the circuit.
    pub fingerprint: Fingerprint,
    /// How the secrets were chosen.
    pub origin: Origin,
}

/// A fault for which no key may be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Degenerate {
    /// A point is off its curve, outside its subgroup or infinite.
    #[error(transparent)]
    Point(#[from] DecodeError),
    /// Two points of the second group agree up to sign; equal `γ` and `δ` mean that the setup was
    /// never finished.
    #[error("{first} = ±{second}: proofs of false statements can be made")]
    Related {
        /// Name of the first point.
        first: &'static str,
        /// Name of the second point.
        second: &'static str,
    },
    /// A point is the generator up to sign, so its secret is known.
    #[error("{point} = ±generator: its secret is known")]
    Generator {
        /// Name of the point.
        point: &'static str,
    },
    /// Two points of the input combination agree up to sign.
    #[error("IC[{first}] = ±IC[{second}]: public inputs can be traded against each other")]
    RepeatedIc {
        /// The lower of the two indices.
        first: usize,
        /// The higher of the two indices.
        second: usize,
    },
    /// `β` and `δ` in G1 are not those of the verifying key: multiples of them blind proofs.
    #[error(
        "beta and delta in G1 are not in the ratio of those in G2: proofs could reveal the witness"
    )]
    Unblinded,
    /// The input combination has no or too many points.
    #[error("IC has {got} points; between 1 and {limit} are allowed")]
    IcCount {
        /// Number of points that the key has.
        got: usize,
        /// The greatest number of points that a key may have.
        limit: usize,
    },
}

/// Why a key could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system refused an operation on a file.
    #[error("{path}: cannot {action}: {source}; check that the path exists and is accessible")]
    Io {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// What was attempted, as a verb with its object.
        action: &'static str,
        /// The reason that the operating system gave.
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("{path}: there is no key file; run the setup first or correct the path")]
    Missing {
        /// Path of the file, as it was given.
        path: PathBuf,
    },
    /// The bytes do not start as this kind of key does.
    #[error("this is not a Quire {kind}: expected it to start with {expected:?}, got {got:?}")]
    ForeignMagic {
        /// Whether it is a verifying or a proving key.
        kind: &'static str,
        /// Bytes that it starts with.
        expected: String,
        /// The bytes that it starts with instead.
        got: String,
    },
    /// Another version of the format.
    #[error(
        "the {kind} has format version {got}, this program reads {expected}; make the key again with `quire keys setup`"
    )]
    Version {
        /// Whether it is a verifying or a proving key.
        kind: &'static str,
        /// Version read by this program.
        expected: u32,
        /// Version that the file has.
        got: u32,
    },
    /// More or fewer bytes than the header announces.
    #[error(
        "the {kind} should have {expected} bytes and has {got}: it is damaged or incomplete; copy it again or repeat the setup"
    )]
    Size {
        /// Whether it is a verifying or a proving key.
        kind: &'static str,
        /// Bytes announced (or needed at least).
        expected: u64,
        /// Number of bytes that there are.
        got: u64,
    },
    /// The digest at the end does not match the contents.
    #[error(
        "the {kind} is damaged: its checksum is {expected}, its contents hash to {got}; copy it again or repeat the setup"
    )]
    Checksum {
        /// Whether it is a verifying or a proving key.
        kind: &'static str,
        /// The digest that is stored, in hexadecimal digits.
        expected: String,
        /// Digest of the contents.
        got: String,
    },
    /// The key belongs to another circuit.
    #[error(
        "the key is for another circuit: expected fingerprint {expected}, got {got}; use the key of this shape or repeat the setup"
    )]
    WrongCircuit {
        /// Fingerprint of the circuit at hand.
        expected: String,
        /// Fingerprint in the key.
        got: String,
    },
    /// A length or count is outside its range.
    #[error("{what} is {got}; allowed is {allowed}")]
    OutOfRange {
        /// What is out of its range.
        what: &'static str,
        /// The value that the key has.
        got: u64,
        /// The allowed range, in words.
        allowed: String,
    },
    /// A flag bit that this version does not know.
    #[error(
        "the {kind} has unknown flags {flags:#x}; make the key again with this version's setup"
    )]
    Flags {
        /// Whether it is a verifying or a proving key.
        kind: &'static str,
        /// All flags that the key has.
        flags: u32,
    },
    /// The name is not UTF-8.
    #[error("the key's name is not valid UTF-8")]
    Name,
    /// A raw point of a section has a coordinate of `p` or more.
    #[error("{section}: point {index} has a coordinate that is not below the base modulus p")]
    RawPoint {
        /// Section of the file.
        section: &'static str,
        /// Position in the section.
        index: usize,
    },
    /// A list of variables is not strictly ascending or goes beyond the circuit's variables.
    #[error("{section}: the variable list is not strictly ascending below {variables}")]
    VariableList {
        /// Section of the file.
        section: &'static str,
        /// Number of variables of the circuit, as the header says.
        variables: usize,
    },
    /// Two parts of a proving-key file contradict each other.
    #[error("header and verifying key disagree on the {what}; repeat the setup")]
    Inconsistent {
        /// What they disagree on.
        what: &'static str,
    },
    /// The key's points permit forgeries.
    #[error("the key must not be used: {0}; repeat the setup")]
    Degenerate(#[from] Degenerate),
    /// The file is longer than any verifying key.
    #[error(transparent)]
    TooLong(ReadError),
    /// A key from a seeded setup where none is allowed.
    #[error(
        "key {id} comes from an insecure development setup: anybody can forge proofs for it; allow development keys only for trials"
    )]
    DevKey {
        /// Id of the verifying key.
        id: String,
    },
    /// A key of unknown origin where one of known origin is needed.
    #[error(
        "key {id} is of unknown origin: how its secrets were chosen is not known, so nothing is deployed with it; use the key file of a setup or ceremony that you trust"
    )]
    UnknownOrigin {
        /// Id of the verifying key.
        id: String,
    },
}

/// A checked verifying key, prepared for pairings.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    ark: ark_groth16::VerifyingKey<Bn254>,
    info: KeyInfo,
    alpha_beta: Fq12,
    negated: [<Bn254 as Pairing>::G2Prepared; 2],
    id: [u8; 32],
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.ark == other.ark && self.info == other.info
    }
}

impl Eq for VerifyingKey {}

impl VerifyingKey {
    /// A key from its points, after [`VerifyingKey::check`].
    ///
    /// # Errors
    /// [`KeyError::Degenerate`], or [`KeyError::OutOfRange`] for a name or shape that is too long or an
    /// impossible number of contributions.
    pub fn new(ark: ark_groth16::VerifyingKey<Bn254>, info: KeyInfo) -> Result<Self, KeyError> {
        at_most("length of the key's name", info.name.len(), MAX_NAME_BYTES)?;
        at_most(
            "length of the key's shape",
            info.shape.len(),
            MAX_SHAPE_BYTES,
        )?;
        check_verifying_points(&ark)?;
        check_contributions(info.origin)?;
        let id = *blake3::hash(&point_bytes(&ark)).as_bytes();
        let negated = [
            (-ark.gamma_g2.into_group()).into(),
            (-ark.delta_g2.into_group()).into(),
        ];
        let alpha_beta = Bn254::pairing(ark.alpha_g1, ark.beta_g2).0;
        Ok(Self {
            ark,
            info,
            alpha_beta,
            negated,
            id,
        })
    }

    /// Checks the key's points for every known degeneracy; see the module's head. Construction and
    /// decoding have done so already.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), Degenerate> {
        check_verifying_points(&self.ark)
    }

    /// Size in bytes of a verifying-key file, from the lengths of its name and shape description and
    /// the points of its input combination.
    pub fn file_bytes(name: usize, shape: usize, ic_points: usize) -> u64 {
        let fixed = VK_MAGIC.len() + 2 * 4 + 32 + 3 * 4 + 64 + 3 * 128 + CHECKSUM_BYTES;
        (fixed + name + shape + 64 * ic_points) as u64
    }

    /// What the key says about itself.
    pub fn info(&self) -> &KeyInfo {
        &self.info
    }

    /// BLAKE3 of the key's points: the same whatever a file says about them.
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    /// The id in hexadecimal.
    pub fn id_hex(&self) -> String {
        to_hex(&self.id)
    }

    /// Number of public inputs, the constant 1 not counted.
    pub fn num_inputs(&self) -> usize {
        self.ark.gamma_abc_g1.len() - 1
    }

    /// `α ‖ β ‖ γ ‖ δ ‖ IC…`, points as in proofs: what the id is of, and what the rollup's constructor
    /// takes.
    pub fn point_bytes(&self) -> Vec<u8> {
        point_bytes(&self.ark)
    }

    /// The key for `ark-groth16`.
    pub fn ark(&self) -> &ark_groth16::VerifyingKey<Bn254> {
        &self.ark
    }

    pub(crate) fn alpha_beta(&self) -> Fq12 {
        self.alpha_beta
    }

    /// `-γ` and `-δ`, prepared.
    pub(crate) fn negated_prepared(&self) -> &[<Bn254 as Pairing>::G2Prepared; 2] {
        &self.negated
    }

    /// Refuses a key marked [`Origin::Dev`] unless `allow` says otherwise. One of unknown origin passes:
    /// it is for whoever uses what others deployed.
    ///
    /// # Errors
    /// [`KeyError::DevKey`].
    pub fn check_origin(&self, allow: AllowDevKeys) -> Result<(), KeyError> {
        match (self.info.origin, allow) {
            (Origin::Dev, AllowDevKeys::No) => Err(KeyError::DevKey { id: self.id_hex() }),
            _ => Ok(()),
        }
    }

    /// Refuses a key marked [`Origin::Unknown`], for whoever deploys or proves.
    ///
    /// # Errors
    /// [`KeyError::UnknownOrigin`].
    pub fn check_origin_known(&self) -> Result<(), KeyError> {
        match self.info.origin {
            Origin::Unknown => Err(KeyError::UnknownOrigin { id: self.id_hex() }),
            Origin::Production | Origin::Ceremony { .. } | Origin::Dev => Ok(()),
        }
    }

    /// Refuses a key for another circuit.
    ///
    /// # Errors
    /// [`KeyError::WrongCircuit`].
    pub fn check_circuit(&self, expected: &Fingerprint) -> Result<(), KeyError> {
        check_fingerprint(expected, &self.info.fingerprint)
    }

    /// The canonical bytes, checksum included.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.body();
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = VK_MAGIC.to_vec();
        let word = |bytes: &mut Vec<u8>, value: usize| {
            let value = u32::try_from(value).expect("every length of a key is bounded");
            bytes.extend_from_slice(&value.to_le_bytes());
        };
        bytes.extend_from_slice(&KEY_VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags_of(self.info.origin).to_le_bytes());
        bytes.extend_from_slice(&self.info.fingerprint);
        word(&mut bytes, self.info.name.len());
        bytes.extend_from_slice(self.info.name.as_bytes());
        word(&mut bytes, self.info.shape.len());
        bytes.extend_from_slice(&self.info.shape);
        word(&mut bytes, self.ark.gamma_abc_g1.len());
        bytes.extend_from_slice(&point_bytes(&self.ark));
        bytes
    }

    /// Decodes canonical bytes with every check: form, checksum, curve, subgroup, degeneracy, origin.
    ///
    /// # Errors
    /// [`KeyError`] naming the first fault.
    pub fn from_bytes(bytes: &[u8], allow: AllowDevKeys) -> Result<Self, KeyError> {
        let kind = "verifying key";
        let mut reader = Reader { kind, bytes, at: 0 };
        reader.magic(VK_MAGIC)?;
        let origin = reader.version_and_origin(KEY_VERSION)?;
        let fingerprint = reader.array::<32>()?;
        let name_length = reader.length("length of the key's name", MAX_NAME_BYTES)?;
        let name = reader.take(name_length)?.to_vec();
        let shape_length = reader.length("length of the key's shape", MAX_SHAPE_BYTES)?;
        let shape = reader.take(shape_length)?.to_vec();
        let ic_count = reader.length("number of IC points", MAX_IC_POINTS)?;
        let points = reader.take(64 + 3 * 128 + 64 * ic_count)?;
        let body = &bytes[..reader.at];
        let stored = reader.array::<CHECKSUM_BYTES>()?;
        reader.end()?;
        check_digest(kind, &stored, blake3::hash(body).as_bytes())?;
        let ark = decode_points(points)?;
        let name = String::from_utf8(name).map_err(|_| KeyError::Name)?;
        let key = Self::new(
            ark,
            KeyInfo {
                name,
                shape,
                fingerprint,
                origin,
            },
        )?;
        key.check_origin(allow)?;
        Ok(key)
    }
}

fn point_bytes(key: &ark_groth16::VerifyingKey<Bn254>) -> Vec<u8> {
    let mut bytes = encode_g1(&key.alpha_g1).to_vec();
    for point in [&key.beta_g2, &key.gamma_g2, &key.delta_g2] {
        bytes.extend_from_slice(&encode_g2(point));
    }
    for point in &key.gamma_abc_g1 {
        bytes.extend_from_slice(&encode_g1(point));
    }
    bytes
}

fn check_contributions(origin: Origin) -> Result<(), KeyError> {
    match origin {
        Origin::Ceremony { contributions }
            if contributions == 0 || contributions > MAX_CONTRIBUTIONS =>
        {
            Err(KeyError::OutOfRange {
                what: "number of contributions to the key",
                got: u64::from(contributions),
                allowed: format!("1 to {MAX_CONTRIBUTIONS}"),
            })
        }
        _ => Ok(()),
    }
}

/// `name` is at most `limit`.
fn at_most(what: &'static str, got: usize, limit: usize) -> Result<(), KeyError> {
    if got <= limit {
        return Ok(());
    }
    Err(KeyError::OutOfRange {
        what,
        got: got as u64,
        allowed: format!("at most {limit}"),
    })
}

pub(crate) fn flags_of(origin: Origin) -> u32 {
    match origin {
        Origin::Production => 0,
        Origin::Ceremony { contributions } => FLAG_CEREMONY | contributions << CONTRIBUTIONS_SHIFT,
        Origin::Dev => FLAG_DEV,
        Origin::Unknown => FLAG_UNKNOWN,
    }
}

fn origin_of(flags: u32) -> Option<Origin> {
    let contributions = flags >> CONTRIBUTIONS_SHIFT;
    match (flags & ((1 << CONTRIBUTIONS_SHIFT) - 1), contributions) {
        (0, 0) => Some(Origin::Production),
        (FLAG_DEV, 0) => Some(Origin::Dev),
        (FLAG_UNKNOWN, 0) => Some(Origin::Unknown),
        (FLAG_CEREMONY, 1..) => Some(Origin::Ceremony { contributions }),
        _ => None,
    }
}

pub(crate) fn check_fingerprint(expected: &Fingerprint, got: &Fingerprint) -> Result<(), KeyError> {
    if expected == got {
        return Ok(());
    }
    Err(KeyError::WrongCircuit {
        expected: to_hex(expected),
        got: to_hex(got),
    })
}

pub(crate) fn check_digest(
    kind: &'static str,
    stored: &[u8; 32],
    computed: &[u8; 32],
) -> Result<(), KeyError> {
    if stored == computed {
        return Ok(());
    }
    Err(KeyError::Checksum {
        kind,
        expected: to_hex(stored),
        got: to_hex(computed),
    })
}

pub(crate) fn to_hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

fn decode_points(bytes: &[u8]) -> Result<ark_groth16::VerifyingKey<Bn254>, Degenerate> {
    let g2 = |k: usize| &bytes[64 + 128 * k..64 + 128 * (k + 1)];
    let ic = bytes[64 + 3 * 128..]
        .chunks_exact(64)
        .map(|point| decode_g1("IC", point));
    Ok(ark_groth16::VerifyingKey {
        alpha_g1: decode_g1("alpha", &bytes[..64])?,
        beta_g2: decode_g2("beta", g2(0))?,
        gamma_g2: decode_g2("gamma", g2(1))?,
        delta_g2: decode_g2("delta", g2(2))?,
        gamma_abc_g1: ic.collect::<Result<_, _>>()?,
    })
}

/// Checks the points of a verifying key for every known degeneracy; see the module's head.
///
/// # Errors
/// The first fault found.
pub fn check_verifying_points(key: &ark_groth16::VerifyingKey<Bn254>) -> Result<(), Degenerate> {
    check_g1("alpha", &key.alpha_g1)?;
    let second = [
        ("beta", &key.beta_g2),
        ("gamma", &key.gamma_g2),
        ("delta", &key.delta_g2),
    ];
    for (name, point) in second {
        check_g2(name, point)?;
    }
    for (k, (first, left)) in second.iter().enumerate() {
        for (second, right) in &second[k + 1..] {
            // Equal x means equal up to sign.
            if left.x == right.x {
                return Err(Degenerate::Related { first, second });
            }
        }
    }
    // γ may be the generator: its secret protects nothing, and snarkjs sets it to 1.
    let generator = G2Affine::generator();
    for (point, candidate) in [second[0], second[2]] {
        if candidate.x == generator.x {
            return Err(Degenerate::Generator { point });
        }
    }
    if key.alpha_g1.x == G1Affine::generator().x {
        return Err(Degenerate::Generator { point: "alpha" });
    }
    check_ic(&key.gamma_abc_g1)
}

/// Checks the points that blind proofs, `β` and `δ` in G1, against those of a checked verifying key: on the
/// curve, finite, and in the same ratio. Their generator is the key's own, which ark-groth16 draws and no key
/// names. Sound because a finite `δ` makes A uniform, and because a proof with `β` and `δ` both of another
/// generator does not verify.
///
/// # Errors
/// The first fault found.
pub(crate) fn check_blinding_points(
    verifying: &VerifyingKey,
    beta: &G1Affine,
    delta: &G1Affine,
) -> Result<(), Degenerate> {
    check_g1("beta in G1", beta)?;
    check_g1("delta in G1", delta)?;
    let ark = verifying.ark();
    let ratio = Bn254::multi_pairing([*beta, -*delta], [ark.delta_g2, ark.beta_g2]);
    match ratio.is_zero() {
        true => Ok(()),
        false => Err(Degenerate::Unblinded),
    }
}

fn check_ic(ic: &[G1Affine]) -> Result<(), Degenerate> {
    if ic.is_empty() || ic.len() > MAX_IC_POINTS {
        return Err(Degenerate::IcCount {
            got: ic.len(),
            limit: MAX_IC_POINTS,
        });
    }
    for point in ic {
        check_g1("IC", point)?;
    }
    let mut by_x: Vec<usize> = (0..ic.len()).collect();
    by_x.sort_by_key(|&i| (ic[i].x, i));
    for pair in by_x.windows(2) {
        if ic[pair[0]].x == ic[pair[1]].x {
            return Err(Degenerate::RepeatedIc {
                first: pair[0],
                second: pair[1],
            });
        }
    }
    Ok(())
}

/// Reads fields from bytes, never beyond their end.
pub(crate) struct Reader<'a> {
    pub(crate) kind: &'static str,
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], KeyError> {
        let rest = &self.bytes[self.at..];
        if rest.len() < count {
            let expected = (self.at as u64).saturating_add(count as u64);
            return Err(KeyError::Size {
                kind: self.kind,
                expected,
                got: self.bytes.len() as u64,
            });
        }
        self.at += count;
        Ok(&rest[..count])
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("exactly N bytes were taken"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, KeyError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, KeyError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn length(&mut self, what: &'static str, limit: usize) -> Result<usize, KeyError> {
        let length = self.u32()? as usize;
        at_most(what, length, limit)?;
        Ok(length)
    }

    pub(crate) fn magic(&mut self, expected: &[u8; 8]) -> Result<(), KeyError> {
        let got = self.array::<8>()?;
        if got == *expected {
            return Ok(());
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Err(KeyError::ForeignMagic {
            kind: self.kind,
            expected: text(expected),
            got: text(&got),
        })
    }

    pub(crate) fn version_and_origin(&mut self, expected: u32) -> Result<Origin, KeyError> {
        let version = self.u32()?;
        if version != expected {
            return Err(KeyError::Version {
                kind: self.kind,
                expected,
                got: version,
            });
        }
        let flags = self.u32()?;
        origin_of(flags).ok_or(KeyError::Flags {
            kind: self.kind,
            flags,
        })
    }

    pub(crate) fn end(&self) -> Result<(), KeyError> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(KeyError::Size {
            kind: self.kind,
            expected: self.at as u64,
            got: self.bytes.len() as u64,
        })
    }
}

/// Points of one query for the variables that occur in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sparse {
    /// Variables in ascending order.
    pub(crate) variables: Vec<u32>,
    /// One point for each variable.
    pub(crate) points: Bases<g1::Config>,
}

/// A proving key in the prover's layout: queries list only the variables that occur in them, and points
/// are kept as the path that this processor takes reads them.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvingKey {
    pub(crate) verifying: VerifyingKey,
    pub(crate) beta_g1: G1Affine,
    pub(crate) delta_g1: G1Affine,
    pub(crate) num_variables: usize,
    pub(crate) a: Sparse,
    /// The same variables as `b_g2`.
    pub(crate) b: Sparse,
    pub(crate) b_g2: Bases<g2::Config>,
    /// One point for each point of the odd coset.
    pub(crate) h: Bases<g1::Config>,
    /// One point for each witness variable.
    pub(crate) l: Bases<g1::Config>,
}

impl ProvingKey {
    /// The verifying key of the same setup.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Number of variables of the circuit: the length of an assignment.
    pub fn num_variables(&self) -> usize {
        self.num_variables
    }

    /// Size of the evaluation domain, a power of two.
    pub fn domain_size(&self) -> usize {
        self.h.len()
    }

    /// Refuses a key for another circuit.
    ///
    /// # Errors
    /// [`KeyError::WrongCircuit`].
    pub fn check_circuit(&self, expected: &Fingerprint) -> Result<(), KeyError> {
        self.verifying.check_circuit(expected)
    }

    /// Checks every point of the proving part: on its curve, in its subgroup, finite where a query
    /// lists it. Loading leaves this out but for `β` and `δ`, see `key_file`; it takes seconds for large circuits.
    ///
    /// Returns how many points were checked, those of the verifying key not counted.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check_points(&self) -> Result<usize, Degenerate> {
        let finite = |what, points: &Bases<g1::Config>| {
            let all = (0..points.len()).into_par_iter();
            all.try_for_each(|i| check_g1(what, &points.point(i)))
        };
        // Infinity is allowed here: a variable may have no share, a coefficient may be 0.
        let any = |what, points: &Bases<g1::Config>| {
            let all = (0..points.len()).into_par_iter().map(|i| points.point(i));
            all.filter(|point| !point.is_zero())
                .try_for_each(|point| check_g1(what, &point))
        };
        finite("A query", &self.a.points)?;
        finite("B query", &self.b.points)?;
        let second = (0..self.b_g2.len()).into_par_iter();
        second.try_for_each(|i| check_g2("B query in G2", &self.b_g2.point(i)))?;
        any("H query", &self.h)?;
        any("L query", &self.l)?;
        let queries = self.a.points.len() + self.b.points.len() + self.b_g2.len();
        Ok(2 + queries + self.h.len() + self.l.len())
    }

    /// The same key for `ark-groth16` (with [`crate::qap::OddCosetReduction`]); a full copy.
    pub fn to_ark(&self) -> ark_groth16::ProvingKey<Bn254> {
        fn spread<P: Group>(count: usize, variables: &[u32], points: &Bases<P>) -> Vec<Affine<P>> {
            let mut all = vec![Affine::identity(); count];
            let pairs = variables.iter().zip(points.to_affine());
            pairs.for_each(|(&variable, point)| all[variable as usize] = point);
            all
        }
        let count = self.num_variables;
        ark_groth16::ProvingKey {
            vk: self.verifying.ark.clone(),
            beta_g1: self.beta_g1,
            delta_g1: self.delta_g1,
            a_query: spread(count, &self.a.variables, &self.a.points),
            b_g1_query: spread(count, &self.b.variables, &self.b.points),
            b_g2_query: spread(count, &self.b.variables, &self.b_g2),
            h_query: self.h.to_affine(),
            l_query: self.l.to_affine(),
        }
    }

    /// Takes over a key that `ark-groth16` made with [`crate::qap::OddCosetReduction`].
    ///
    /// # Errors
    /// [`KeyError::OutOfRange`] when the queries' lengths do not fit together,
    /// [`KeyError::UnknownOrigin`], [`KeyError::Degenerate`] for points that would not blind a proof, and as
    /// [`VerifyingKey::new`].
    pub fn from_ark(key: ark_groth16::ProvingKey<Bn254>, info: KeyInfo) -> Result<Self, KeyError> {
        let num_variables = key.a_query.len();
        let verifying = VerifyingKey::new(key.vk, info)?;
        verifying.check_origin_known()?;
        check_blinding_points(&verifying, &key.beta_g1, &key.delta_g1)?;
        let witnesses = num_variables.saturating_sub(verifying.num_inputs() + 1);
        expect_count(
            "length of the B query in G1",
            key.b_g1_query.len(),
            num_variables,
        )?;
        expect_count(
            "length of the B query in G2",
            key.b_g2_query.len(),
            num_variables,
        )?;
        expect_count("length of the L query", key.l_query.len(), witnesses)?;
        expect_count(
            "length of the H query",
            key.h_query.len(),
            key.h_query.len().next_power_of_two(),
        )?;
        let a = Sparse::of(&key.a_query);
        let b = Sparse::of(&key.b_g1_query);
        let b_g2: Vec<G2Affine> = b
            .variables
            .iter()
            .map(|&variable| key.b_g2_query[variable as usize])
            .collect();
        let b_g2 = Bases::new(path(), &b_g2);
        let (beta_g1, delta_g1) = (key.beta_g1, key.delta_g1);
        let [h, l] = [key.h_query, key.l_query].map(|points| Bases::new(path(), &points));
        Ok(Self {
            verifying,
            beta_g1,
            delta_g1,
            num_variables,
            a,
            b,
            b_g2,
            h,
            l,
        })
    }
}

impl Sparse {
    fn of(points: &[G1Affine]) -> Self {
        let used = points.iter().zip(0..).filter(|(point, _)| !point.is_zero());
        let (points, variables): (Vec<G1Affine>, _) = used.unzip();
        let points = Bases::new(path(), &points);
        Self { variables, points }
    }
}

fn expect_count(what: &'static str, got: usize, expected: usize) -> Result<(), KeyError> {
    if got == expected {
        return Ok(());
    }
    Err(KeyError::OutOfRange {
        what,
        got: got as u64,
        allowed: format!("exactly {expected}"),
    })
}
