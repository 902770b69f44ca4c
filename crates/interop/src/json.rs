//! Verifying keys, proofs and public inputs as snarkjs writes them: JSON with decimal strings.
//!
//! Points are projective with a last coordinate of 1 (`["x", "y", "1"]`); in the second group a
//! coordinate is a pair, real part first. `vk_alphabeta_12`, which snarkjs adds to verifying keys and
//! does not read, is neither written nor read.

use ark_bn254::{Bn254, Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger256, PrimeField};
use prover::key::MAX_IC_POINTS;
use prover::proof::Proof;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{FormatError, PointFault};

type Result<T> = std::result::Result<T, FormatError>;
type G1Text = [String; 3];
type G2Text = [[String; 2]; 3];

/// Greatest length of a text: a verifying key with the most inputs has about 700 KiB.
pub const MAX_JSON_BYTES: usize = 1 << 20;
const KEY: &str = "verification_key.json";
const PROOF: &str = "proof.json";
const PUBLIC: &str = "public.json";

#[derive(Serialize, Deserialize)]
struct KeyText {
    protocol: String,
    curve: String,
    #[serde(rename = "nPublic")]
    public: usize,
    vk_alpha_1: G1Text,
    vk_beta_2: G2Text,
    vk_gamma_2: G2Text,
    vk_delta_2: G2Text,
    #[serde(rename = "IC")]
    ic: Vec<G1Text>,
}

#[derive(Serialize, Deserialize)]
struct ProofText {
    pi_a: G1Text,
    pi_b: G2Text,
    pi_c: G1Text,
    protocol: String,
    curve: String,
}

/// The text of a verifying key.
pub fn verifying_key(key: &ark_groth16::VerifyingKey<Bn254>) -> String {
    let text = KeyText {
        protocol: "groth16".to_owned(),
        curve: "bn128".to_owned(),
        public: key.gamma_abc_g1.len().saturating_sub(1),
        vk_alpha_1: g1_text(&key.alpha_g1),
        vk_beta_2: g2_text(&key.beta_g2),
        vk_gamma_2: g2_text(&key.gamma_g2),
        vk_delta_2: g2_text(&key.delta_g2),
        ic: key.gamma_abc_g1.iter().map(g1_text).collect(),
    };
    pretty(&text)
}

/// Reads a verifying key, every point checked. Its degeneracies are not: `prover::key::VerifyingKey`
/// refuses them.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read_verifying_key(text: &[u8]) -> Result<ark_groth16::VerifyingKey<Bn254>> {
    let key: KeyText = parse(KEY, text)?;
    expect(KEY, "protocol", "groth16", &key.protocol)?;
    expect(KEY, "curve", "bn128", &key.curve)?;
    if key.ic.is_empty() || key.ic.len() > MAX_IC_POINTS {
        return Err(FormatError::OutOfRange {
            kind: KEY,
            what: "the number of IC points",
            got: key.ic.len() as u64,
            allowed: format!("1 to {MAX_IC_POINTS}"),
        });
    }
    let public = (key.ic.len() - 1).to_string();
    expect(KEY, "nPublic", &public, &key.public.to_string())?;
    let ic = key.ic.iter().map(|point| g1(KEY, "IC", point));
    Ok(ark_groth16::VerifyingKey {
        alpha_g1: g1(KEY, "vk_alpha_1", &key.vk_alpha_1)?,
        beta_g2: g2(KEY, "vk_beta_2", &key.vk_beta_2)?,
        gamma_g2: g2(KEY, "vk_gamma_2", &key.vk_gamma_2)?,
        delta_g2: g2(KEY, "vk_delta_2", &key.vk_delta_2)?,
        gamma_abc_g1: ic.collect::<Result<_>>()?,
    })
}

/// The text of a proof.
pub fn proof(proof: &Proof) -> String {
    let text = ProofText {
        pi_a: g1_text(proof.a()),
        pi_b: g2_text(proof.b()),
        pi_c: g1_text(proof.c()),
        protocol: "groth16".to_owned(),
        curve: "bn128".to_owned(),
    };
    pretty(&text)
}

/// Reads a proof, every point checked.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read_proof(text: &[u8]) -> Result<Proof> {
    let proof: ProofText = parse(PROOF, text)?;
    expect(PROOF, "protocol", "groth16", &proof.protocol)?;
    expect(PROOF, "curve", "bn128", &proof.curve)?;
    let a = g1(PROOF, "pi_a", &proof.pi_a)?;
    let b = g2(PROOF, "pi_b", &proof.pi_b)?;
    let c = g1(PROOF, "pi_c", &proof.pi_c)?;
    Ok(Proof::new(a, b, c).expect("the points were checked"))
}

/// The text of public inputs, the constant 1 not among them.
pub fn public(inputs: &[Fr]) -> String {
    let texts: Vec<String> = inputs
        .iter()
        .map(|input| decimal(&input.into_bigint()))
        .collect();
    pretty(&texts)
}

/// Reads public inputs.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read_public(text: &[u8]) -> Result<Vec<Fr>> {
    let texts: Vec<String> = parse(PUBLIC, text)?;
    let mut inputs = texts
        .iter()
        .map(|text| number(PUBLIC, "a public input", text));
    inputs.by_ref().collect()
}

fn pretty<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("strings and lists are JSON");
    text.push('\n');
    text
}

fn parse<T: DeserializeOwned>(kind: &'static str, text: &[u8]) -> Result<T> {
    if text.len() > MAX_JSON_BYTES {
        return Err(FormatError::OutOfRange {
            kind,
            what: "the length",
            got: text.len() as u64,
            allowed: format!("at most {MAX_JSON_BYTES} bytes"),
        });
    }
    serde_json::from_slice(text).map_err(|source| FormatError::Json { kind, source })
}

fn expect(kind: &'static str, what: &'static str, expected: &str, got: &str) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(FormatError::Disagree {
        kind,
        what,
        expected: expected.to_owned(),
        got: got.chars().take(64).collect(),
    })
}

fn decimal(value: &BigInteger256) -> String {
    value.to_string()
}

/// A field element from its shortest decimal spelling.
fn number<F: PrimeField<BigInt = BigInteger256>>(
    kind: &'static str,
    what: &'static str,
    text: &str,
) -> Result<F> {
    let refused = FormatError::Decimal { kind, what };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    if text.is_empty() || text.len() > 77 || !digits || !shortest {
        return Err(refused);
    }
    // Why: 77 digits are less than 2^256.
    let mut limbs = [0u64; 4];
    for digit in text.bytes().map(|byte| u64::from(byte - b'0')) {
        let mut carry = u128::from(digit);
        for limb in &mut limbs {
            let wide = u128::from(*limb) * 10 + carry;
            *limb = u64::try_from(wide & u128::from(u64::MAX)).expect("masked");
            carry = wide >> 64;
        }
    }
    F::from_bigint(BigInteger256::new(limbs)).ok_or(refused)
}

fn g1_text(point: &G1Affine) -> G1Text {
    match point.xy() {
        None => ["0", "1", "0"].map(str::to_owned),
        Some((x, y)) => [
            decimal(&x.into_bigint()),
            decimal(&y.into_bigint()),
            "1".to_owned(),
        ],
    }
}

fn pair(value: &Fq2) -> [String; 2] {
    [
        decimal(&value.c0.into_bigint()),
        decimal(&value.c1.into_bigint()),
    ]
}

fn g2_text(point: &G2Affine) -> G2Text {
    let (zero, one) = (pair(&Fq2::from(0u64)), pair(&Fq2::from(1u64)));
    match point.xy() {
        None => [zero.clone(), one, zero],
        Some((x, y)) => [pair(&x), pair(&y), one],
    }
}

fn point_error(kind: &'static str, name: &'static str, fault: PointFault) -> FormatError {
    FormatError::Point {
        kind,
        name,
        index: 0,
        fault,
    }
}

fn g1(kind: &'static str, name: &'static str, text: &G1Text) -> Result<G1Affine> {
    if text[2] == "0" {
        return Err(point_error(kind, name, PointFault::Infinity));
    }
    expect(kind, name, "1", &text[2])?;
    let (x, y) = (
        number::<Fq>(kind, name, &text[0])?,
        number(kind, name, &text[1])?,
    );
    let point = G1Affine::new_unchecked(x, y);
    match point.is_on_curve() {
        true => Ok(point),
        false => Err(point_error(kind, name, PointFault::NotOnCurve)),
    }
}

fn g2(kind: &'static str, name: &'static str, text: &G2Text) -> Result<G2Affine> {
    if text[2] == ["0", "0"] {
        return Err(point_error(kind, name, PointFault::Infinity));
    }
    expect(kind, name, "1 0", &text[2].join(" "))?;
    let element = |pair: &[String; 2]| -> Result<Fq2> {
        let c0 = number::<Fq>(kind, name, &pair[0])?;
        Ok(Fq2::new(c0, number(kind, name, &pair[1])?))
    };
    let point = G2Affine::new_unchecked(element(&text[0])?, element(&text[1])?);
    if !point.is_on_curve() {
        return Err(point_error(kind, name, PointFault::NotOnCurve));
    }
    match point.is_in_correct_subgroup_assuming_on_curve() {
        true => Ok(point),
        false => Err(point_error(kind, name, PointFault::NotInSubgroup)),
    }
}
