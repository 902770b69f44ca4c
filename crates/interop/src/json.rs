//! Verifying keys, proofs and public inputs in the JSON of snarkjs, which other programs write too.
//!
//! Written as snarkjs writes it: decimal numbers in quotes, points with a last coordinate of 1
//! (`["x", "y", "1"]`), in the second group each coordinate a pair with the real part first. Read as
//! snarkjs reads it: numbers in decimal or `0x` hexadecimal, in quotes or not; points with two
//! coordinates or three; `curve` as `bn128`, `bn254` or `altbn128`; `protocol`, `curve` and `nPublic` may be
//! missing.
//!
//! Invariant: what is read is on its curve, in its subgroup, finite, and spelled below its modulus.
//! There this reader is stricter than snarkjs, which reduces coordinates and takes points at
//! infinity; and where a text means different things to different programs: a name that occurs twice,
//! a number beyond 2^53 without quotes, a last coordinate other than 1.

use std::fmt;

use ark_bn254::{Bn254, Fq, Fq2, Fq6, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use ark_ff::{BigInteger256, Field, PrimeField};
use prover::bounded::FileKind;
use prover::key::MAX_IC_POINTS;
use prover::proof::Proof;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::{FormatError, PointFault};

type Result<T> = std::result::Result<T, FormatError>;
type G1Text = [String; 3];
type Fq2Text = [String; 2];
type Fq6Text = [Fq2Text; 3];
type G2Text = [Fq2Text; 3];

/// Greatest length of a text: a verifying key with the most inputs has about 700 KiB.
pub const MAX_JSON_BYTES: usize = 1 << 20;
/// Files of these texts.
pub const FILE: FileKind = FileKind {
    name: "a key, a proof or public inputs in JSON",
    most: MAX_JSON_BYTES as u64,
};
const KEY: &str = "verification_key.json";
const PROOF: &str = "proof.json";
const PUBLIC: &str = "public.json";
/// Greatest whole number up to which JavaScript tells all apart.
const MAX_BARE_NUMBER: u64 = (1 << 53) - 1;
/// Spellings of the curve's name, in capitals, without other characters than letters and digits.
const CURVES: [&str; 3] = ["BN128", "BN254", "ALTBN128"];

#[derive(Serialize)]
struct KeyText {
    protocol: &'static str,
    curve: &'static str,
    #[serde(rename = "nPublic")]
    public: usize,
    vk_alpha_1: G1Text,
    vk_beta_2: G2Text,
    vk_gamma_2: G2Text,
    vk_delta_2: G2Text,
    vk_alphabeta_12: [Fq6Text; 2],
    #[serde(rename = "IC")]
    ic: Vec<G1Text>,
}

#[derive(Serialize)]
struct ProofText {
    pi_a: G1Text,
    pi_b: G2Text,
    pi_c: G1Text,
    protocol: &'static str,
    curve: &'static str,
}

/// The text of a verifying key.
pub fn verifying_key(key: &ark_groth16::VerifyingKey<Bn254>) -> String {
    let text = KeyText {
        protocol: "groth16",
        curve: "bn128",
        public: key.gamma_abc_g1.len().saturating_sub(1),
        vk_alpha_1: g1_text(&key.alpha_g1),
        vk_beta_2: g2_text(&key.beta_g2),
        vk_gamma_2: g2_text(&key.gamma_g2),
        vk_delta_2: g2_text(&key.delta_g2),
        vk_alphabeta_12: pairing_text(key.alpha_g1, key.beta_g2),
        ic: key.gamma_abc_g1.iter().map(g1_text).collect(),
    };
    pretty(&text)
}

/// Reads a verifying key, every point checked. Its degeneracies are not: `prover::key::VerifyingKey`
/// refuses them. `vk_alphabeta_12` follows from the rest and is not read.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read_verifying_key(text: &[u8]) -> Result<ark_groth16::VerifyingKey<Bn254>> {
    let key = Object::parse(KEY, text)?;
    key.check_head()?;
    let ic = key.field("IC")?;
    let ic = list(KEY, "IC", ic, "a list of points")?;
    if ic.is_empty() || ic.len() > MAX_IC_POINTS {
        return Err(FormatError::OutOfRange {
            kind: KEY,
            what: "the number of IC points",
            got: ic.len() as u64,
            allowed: format!("1 to {MAX_IC_POINTS}"),
        });
    }
    key.check_public(ic.len() - 1)?;
    let ic = (0..).zip(ic).map(|(index, point)| {
        let name = format!("IC[{index}]");
        g1(KEY, &name, point)
    });
    Ok(ark_groth16::VerifyingKey {
        gamma_abc_g1: ic.collect::<Result<_>>()?,
        alpha_g1: g1(KEY, "vk_alpha_1", key.field("vk_alpha_1")?)?,
        beta_g2: g2(KEY, "vk_beta_2", key.field("vk_beta_2")?)?,
        gamma_g2: g2(KEY, "vk_gamma_2", key.field("vk_gamma_2")?)?,
        delta_g2: g2(KEY, "vk_delta_2", key.field("vk_delta_2")?)?,
    })
}

/// The text of a proof.
pub fn proof(proof: &Proof) -> String {
    let text = ProofText {
        pi_a: g1_text(proof.a()),
        pi_b: g2_text(proof.b()),
        pi_c: g1_text(proof.c()),
        protocol: "groth16",
        curve: "bn128",
    };
    pretty(&text)
}

/// Reads a proof, every point checked.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read_proof(text: &[u8]) -> Result<Proof> {
    let proof = Object::parse(PROOF, text)?;
    proof.check_head()?;
    let a = g1(PROOF, "pi_a", proof.field("pi_a")?)?;
    let b = g2(PROOF, "pi_b", proof.field("pi_b")?)?;
    let c = g1(PROOF, "pi_c", proof.field("pi_c")?)?;
    Ok(Proof::new(a, b, c).expect("the points are finite, on their curves and in their groups"))
}

/// The text of public inputs, the constant 1 not among them.
pub fn public(inputs: &[Fr]) -> String {
    // Why: serde_json writes no line break into what is empty, and snarkjs does.
    if inputs.is_empty() {
        return "[\n]".to_owned();
    }
    let texts: Vec<String> = inputs.iter().map(decimal).collect();
    pretty(&texts)
}

/// Reads public inputs.
///
/// # Errors
/// [`FormatError`] with what is wrong.
pub fn read_public(text: &[u8]) -> Result<Vec<Fr>> {
    let inputs: Vec<Value> = parse(PUBLIC, text)?;
    let inputs = (0..).zip(&inputs);
    inputs
        .map(|(index, input): (usize, _)| {
            let what = format!("public input [{index}]");
            number(PUBLIC, what, input, "is not below the scalar modulus")
        })
        .collect()
}

/// Indented by one space, and without a line break at the end: byte for byte as snarkjs.
fn pretty<T: Serialize>(value: &T) -> String {
    let mut bytes = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut out = serde_json::Serializer::with_formatter(&mut bytes, indent);
    value
        .serialize(&mut out)
        .expect("strings and lists are JSON");
    String::from_utf8(bytes).expect("JSON is UTF-8")
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

/// Names with their values, each name once.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        input.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with their values in braces")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("{name:?} occurs twice")));
            }
            if fields.len() == MAX_FIELDS {
                return Err(A::Error::custom(format!(
                    "it has more than {MAX_FIELDS} names"
                )));
            }
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

/// More than any of these files has.
const MAX_FIELDS: usize = 64;

/// A text that is an object.
struct Object {
    kind: &'static str,
    fields: Fields,
}

impl Object {
    fn parse(kind: &'static str, text: &[u8]) -> Result<Self> {
        let fields = parse(kind, text)?;
        Ok(Self { kind, fields })
    }

    /// A value that may be missing; `null` counts as missing.
    fn optional(&self, name: &str) -> Option<&Value> {
        let mut fields = self.fields.0.iter();
        let (_, value) = fields.find(|(known, _)| known == name)?;
        (!value.is_null()).then_some(value)
    }

    fn field(&self, name: &str) -> Result<&Value> {
        let found = self.optional(name);
        found.ok_or_else(|| form(self.kind, name, &Value::Null, "there"))
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        let text = |value: &'_ Value| form(self.kind, name, value, "text in quotes");
        self.optional(name)
            .map(|value| value.as_str().ok_or_else(|| text(value)))
            .transpose()
    }

    /// Refuses other proof systems and curves.
    fn check_head(&self) -> Result<()> {
        let kind = self.kind;
        match self.text("protocol")? {
            Some(protocol) if !protocol.eq_ignore_ascii_case("groth16") => {
                let got = short(protocol);
                return Err(FormatError::Protocol { kind, got });
            }
            _ => {}
        }
        let Some(curve) = self.text("curve")? else {
            return Ok(());
        };
        let letters = curve.chars().filter(char::is_ascii_alphanumeric);
        let spelling: String = letters.collect::<String>().to_ascii_uppercase();
        if CURVES.contains(&spelling.as_str()) {
            return Ok(());
        }
        Err(FormatError::Disagree {
            kind,
            what: "curve",
            expected: "bn128".to_owned(),
            got: short(curve),
        })
    }

    /// Refuses a number of public inputs that is not that of the IC points.
    fn check_public(&self, expected: usize) -> Result<()> {
        let kind = self.kind;
        let Some(value) = self.optional("nPublic") else {
            return Ok(());
        };
        let got: Fr = number(kind, "nPublic".to_owned(), value, "is no count")?;
        if got == Fr::from(expected as u64) {
            return Ok(());
        }
        Err(FormatError::Disagree {
            kind,
            what: "nPublic",
            expected: expected.to_string(),
            got: got.to_string(),
        })
    }
}

/// As much of a text as an error shows.
fn short(text: &str) -> String {
    match text.char_indices().nth(90) {
        None if text.is_empty() => "\"\"".to_owned(),
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn form(kind: &'static str, what: &str, got: &Value, expected: &'static str) -> FormatError {
    let got = match got {
        Value::Null => "missing".to_owned(),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object in braces".to_owned(),
        other => short(&other.to_string()),
    };
    FormatError::Form {
        kind,
        what: what.to_owned(),
        got,
        expected,
    }
}

fn list<'v>(
    kind: &'static str,
    what: &str,
    value: &'v Value,
    expected: &'static str,
) -> Result<&'v [Value]> {
    let list = value.as_array().map(Vec::as_slice);
    list.ok_or_else(|| form(kind, what, value, expected))
}

/// A field element; `beyond` is the fault of one that is not below the modulus.
fn number<F: PrimeField<BigInt = BigInteger256>>(
    kind: &'static str,
    what: String,
    value: &Value,
    beyond: &'static str,
) -> Result<F> {
    let read = match value {
        Value::String(text) => of_text(text, beyond),
        Value::Number(number) => match number.as_u64() {
            Some(number) if number <= MAX_BARE_NUMBER => Ok(BigInteger256::from(number)),
            Some(_) => Err("other programs round: write it in quotes"),
            None => Err(
                "is no whole number from 0 on, or one that other programs round: write it in quotes, in decimal",
            ),
        },
        _ => return Err(form(kind, &what, value, "a number in quotes")),
    };
    let read = read.and_then(|integer| F::from_bigint(integer).ok_or(beyond));
    read.map_err(|fault| FormatError::Number {
        kind,
        what,
        got: short(&value.to_string()),
        fault,
    })
}

/// A number of decimal digits, or of `0x` and hexadecimal ones.
fn of_text(text: &str, beyond: &'static str) -> std::result::Result<BigInteger256, &'static str> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("is neither decimal digits alone nor 0x with hexadecimal digits");
    }
    let digits = digits.trim_start_matches('0');
    // Why: so many digits are less than 2^256, and one more is more than any modulus.
    if digits.len() > (if radix == 16 { 64 } else { 77 }) {
        return Err(beyond);
    }
    let mut limbs = [0u64; 4];
    for digit in digits.chars().filter_map(|digit| digit.to_digit(radix)) {
        let mut carry = u128::from(digit);
        for limb in &mut limbs {
            let wide = u128::from(*limb) * u128::from(radix) + carry;
            *limb = u64::try_from(wide & u128::from(u64::MAX)).expect("masked");
            carry = wide >> 64;
        }
    }
    Ok(BigInteger256::new(limbs))
}

fn decimal<F: PrimeField>(value: &F) -> String {
    value.into_bigint().to_string()
}

fn pair(value: &Fq2) -> Fq2Text {
    [decimal(&value.c0), decimal(&value.c1)]
}

fn g1_text(point: &G1Affine) -> G1Text {
    match point.xy() {
        None => ["0", "1", "0"].map(str::to_owned),
        Some((x, y)) => [decimal(&x), decimal(&y), "1".to_owned()],
    }
}

fn g2_text(point: &G2Affine) -> G2Text {
    let (zero, one) = (pair(&Fq2::from(0u64)), pair(&Fq2::from(1u64)));
    match point.xy() {
        None => [zero.clone(), one, zero],
        Some((x, y)) => [pair(&x), pair(&y), one],
    }
}

/// `e(α, β)`. The final exponentiation of arkworks is that of snarkjs (Fuentes-Castañeda, Knapp,
/// Rodríguez-Henríquez, SAC 2011).
fn pairing_text(alpha: G1Affine, beta: G2Affine) -> [Fq6Text; 2] {
    let value = Bn254::pairing(alpha, beta).0;
    let half = |value: &Fq6| [pair(&value.c0), pair(&value.c1), pair(&value.c2)];
    [half(&value.c0), half(&value.c1)]
}

fn point_error(kind: &'static str, name: &str, fault: PointFault) -> FormatError {
    FormatError::Point {
        kind,
        what: name.to_owned(),
        fault,
    }
}

/// Two coordinates, and a third if there is one.
fn coordinates<'v>(
    kind: &'static str,
    name: &str,
    value: &'v Value,
) -> Result<(&'v Value, &'v Value, Option<&'v Value>)> {
    let expected = "a list of two coordinates, or three of which the last is 1";
    match list(kind, name, value, expected)? {
        [x, y] => Ok((x, y, None)),
        [x, y, z] => Ok((x, y, Some(z))),
        _ => Err(form(kind, name, value, expected)),
    }
}

fn base(kind: &'static str, what: String, value: &Value) -> Result<Fq> {
    number(kind, what, value, "is not below the base modulus")
}

/// Whether a last coordinate is 1; 0 stands for infinity.
fn check_last<F: Field>(kind: &'static str, name: &str, z: F, spelled: &Value) -> Result<()> {
    if z.is_zero() {
        return Err(point_error(kind, name, PointFault::Infinity));
    }
    if z.is_one() {
        return Ok(());
    }
    Err(FormatError::Number {
        kind,
        what: format!("coordinate z of {name}"),
        got: short(&spelled.to_string()),
        fault: "is not 1: write the point with affine coordinates",
    })
}

fn g1(kind: &'static str, name: &str, value: &Value) -> Result<G1Affine> {
    let (x, y, z) = coordinates(kind, name, value)?;
    let element = |axis: &str, value| base(kind, format!("coordinate {axis} of {name}"), value);
    if let Some(z) = z {
        check_last(kind, name, element("z", z)?, z)?;
    }
    let point = G1Affine::new_unchecked(element("x", x)?, element("y", y)?);
    // (0, 0) is how arkworks writes the point at infinity.
    if point.is_zero() {
        return Err(point_error(kind, name, PointFault::Infinity));
    }
    match point.is_on_curve() {
        true => Ok(point),
        false => Err(point_error(kind, name, PointFault::NotOnCurve)),
    }
}

fn g2(kind: &'static str, name: &str, value: &Value) -> Result<G2Affine> {
    let (x, y, z) = coordinates(kind, name, value)?;
    let element = |axis: &str, value| -> Result<Fq2> {
        let what = format!("coordinate {axis} of {name}");
        let expected = "a list of two numbers, the real part first";
        let [real, imaginary] = list(kind, &what, value, expected)? else {
            return Err(form(kind, &what, value, expected));
        };
        let c0 = base(kind, format!("the real part of {what}"), real)?;
        let c1 = base(kind, format!("the imaginary part of {what}"), imaginary)?;
        Ok(Fq2::new(c0, c1))
    };
    if let Some(z) = z {
        check_last(kind, name, element("z", z)?, z)?;
    }
    let point = G2Affine::new_unchecked(element("x", x)?, element("y", y)?);
    if point.is_zero() {
        return Err(point_error(kind, name, PointFault::Infinity));
    }
    if !point.is_on_curve() {
        return Err(point_error(kind, name, PointFault::NotOnCurve));
    }
    match point.is_in_correct_subgroup_assuming_on_curve() {
        true => Ok(point),
        false => Err(point_error(kind, name, PointFault::NotInSubgroup)),
    }
}
