//! Poseidon and EdDSA-Poseidon against circomlibjs, digit by digit.
//!
//! `VECTORS_DIR` names another folder with the same files, with any number of cases; every test then
//! reads that one.

mod vectors_folder;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{
    babyjubjub::Point,
    eddsa::{self, PrivateKey, Signature},
    field::{self, Fr},
    poseidon,
};
use num_bigint::BigUint;
use serde_json::Value;
use vectors_folder::{read_vectors, some_of};

type Case = BTreeMap<String, Value>;
type Outcome = Result<(), String>;

/// The cases of a vector file, after checking all that is not a case.
fn cases(file: &str) -> Result<Vec<Case>, String> {
    let text = read_vectors(file)?;
    let mut top: Case = serde_json::from_str(&text).map_err(|e| format!("{file}: {e}"))?;
    take::<String>(&mut top, "source")?;
    let cases: Vec<Case> = take(&mut top, "cases")?;
    equal("no cases", &cases.is_empty(), &false)?;
    equal("other fields", &top, &Case::new())?;
    Ok(cases)
}

/// Removes a field from a case and reads it.
fn take<T: serde::de::DeserializeOwned>(case: &mut Case, name: &str) -> Result<T, String> {
    let value = case
        .remove(name)
        .ok_or_else(|| format!("no field {name}"))?;
    serde_json::from_value(value).map_err(|e| format!("{name}: {e}"))
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {got:?}"))
}

fn elements(decimals: &[String]) -> Result<Vec<Fr>, String> {
    let read = |d: &String| field::from_decimal(d).map_err(|e| format!("{d}: {e}"));
    decimals.iter().map(read).collect()
}

fn decimals(elements: &[Fr]) -> Vec<String> {
    elements.iter().map(field::to_decimal).collect()
}

fn check_poseidon(mut case: Case) -> Outcome {
    let t: usize = take(&mut case, "t")?;
    let inputs = elements(&take::<Vec<String>>(&mut case, "inputs")?)?;
    equal("t", &t, &(inputs.len() + 1))?;
    let hash = field::to_decimal(&poseidon::hash(&inputs));
    equal("hash", &take(&mut case, "hash")?, &hash)?;
    equal("other fields", &case, &Case::new())
}

fn check_permutation(mut case: Case) -> Outcome {
    let t: usize = take(&mut case, "t")?;
    let mut state = elements(&take::<Vec<String>>(&mut case, "state")?)?;
    equal("t", &t, &state.len())?;
    poseidon::permute(&mut state);
    equal("output", &take(&mut case, "output")?, &decimals(&state))?;
    equal("other fields", &case, &Case::new())
}

fn check_eddsa(mut case: Case) -> Outcome {
    let secret = PrivateKey::from_seed(&take_hex::<32>(&mut case, "private_key_hex")?);
    let key = take_point(&mut case, "public_key")?;
    let packed_key = take_hex(&mut case, "public_key_packed_hex")?;
    let message = elements(&[take(&mut case, "message")?])?[0];
    let r8 = take_point(&mut case, "r8")?;
    let s: String = take(&mut case, "s")?;
    let packed_signature = take_hex(&mut case, "signature_packed_hex")?;
    let valid: bool = take(&mut case, "valid")?;
    equal("other fields", &case, &Case::new())?;

    equal("public_key", &key, &secret.public_key())?;
    equal("public_key_packed_hex", &packed_key, &key.pack())?;
    equal("unpacked key", &Point::unpack(&packed_key), &Ok(key))?;

    let integer: BigUint = s.parse().map_err(|e| format!("s: {e}"))?;
    equal("spelling of s", &s, &integer.to_string())?;
    let signature = Signature::from_raw(r8, &integer).map_err(|e| e.to_string())?;
    equal("packed", &packed_signature, &signature.pack())?;
    equal(
        "unpacked",
        &Signature::unpack(&packed_signature),
        &Ok(signature),
    )?;
    let verdict = eddsa::verify(&key, &message, &signature);
    equal("valid", &valid, &verdict.is_ok())?;
    let same_as_ours = signature == secret.sign(&message);
    equal("valid against our own signature", &valid, &same_as_ours)
}

/// Removes a field of exactly `2·N` lower-case hexadecimal digits and reads it.
fn take_hex<const N: usize>(case: &mut Case, name: &str) -> Result<[u8; N], String> {
    let text: String = take(case, name)?;
    let bytes = hex::decode(&text).map_err(|e| format!("{name}: {e}"))?;
    equal(name, &text, &hex::encode(&bytes))?;
    bytes
        .try_into()
        .map_err(|b: Vec<u8>| format!("{name}: {} bytes", b.len()))
}

fn take_point(case: &mut Case, name: &str) -> Result<Point, String> {
    let [x, y]: [String; 2] = take(case, name)?;
    let coordinates = elements(&[x, y])?;
    Ok(Point {
        x: coordinates[0],
        y: coordinates[1],
    })
}

fn check_all(cases: &[Case], check: fn(Case) -> Outcome) -> Outcome {
    for (i, case) in cases.iter().enumerate() {
        check(case.clone()).map_err(|e| format!("case {i}: {e}"))?;
    }
    Ok(())
}

/// The committed set has every width of Poseidon; another one has what it has.
fn check_widths(cases: &[Case]) -> Outcome {
    let widths: BTreeSet<u64> = (cases.iter())
        .filter_map(|case| case.get("t")?.as_u64())
        .collect();
    let all = std::env::var_os("VECTORS_DIR").is_some() || widths == (2..=9).collect();
    equal("every width occurs", &all, &true)
}

#[test]
fn vectors_poseidon() -> Outcome {
    let cases = cases("poseidon.json")?;
    check_widths(&cases)?;
    check_all(&cases, check_poseidon)
}

#[test]
fn vectors_poseidon_permutation() -> Outcome {
    let cases = cases("poseidon_permutation.json")?;
    check_widths(&cases)?;
    check_all(&cases, check_permutation)
}

#[test]
fn vectors_eddsa_poseidon() -> Outcome {
    check_all(&cases("eddsa_poseidon.json")?, check_eddsa)
}

/// One case is a set, and so are three times as many in any order.
#[test]
fn sets_of_any_size_are_taken() -> Outcome {
    let cases = cases("poseidon.json")?;
    let mut many = [&cases[..], &cases, &cases].concat();
    many.reverse();
    for set in [&cases[..1], &many] {
        check_all(set, check_poseidon)?;
        check_notices_wrong_digits(set, check_poseidon)?;
    }
    equal(
        "all of few",
        &some_of(&[7, 8]).map(|(at, _)| at).collect(),
        &vec![0, 1],
    )?;
    let some: Vec<usize> = some_of(&many).map(|(at, _)| at).collect();
    equal(
        "ends",
        &[some[0], some[some.len() - 1]],
        &[0, many.len() - 1],
    )
}

/// `value` with the digit (decimal or hexadecimal) at one place replaced by the next one, for every
/// place of every text and number in it.
fn with_one_wrong_digit(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => (0..text.len())
            .filter_map(|at| next_digit(text, at).map(Value::from))
            .collect(),
        Value::Number(number) => vec![Value::from(number.as_u64().map(|n| n + 1))],
        Value::Bool(flag) => vec![Value::from(!flag)],
        Value::Array(items) => (0..items.len())
            .flat_map(|at| {
                with_one_wrong_digit(&items[at])
                    .into_iter()
                    .map(move |wrong| {
                        let mut items = items.clone();
                        items[at] = wrong;
                        Value::Array(items)
                    })
            })
            .collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn next_digit(text: &str, at: usize) -> Option<String> {
    let digit = text.as_bytes()[at];
    let next = match digit {
        b'0'..=b'8' | b'a'..=b'e' => digit + 1,
        b'9' => b'0',
        b'f' => b'a',
        _ => return None,
    };
    Some(format!(
        "{}{}{}",
        &text[..at],
        char::from(next),
        &text[at + 1..]
    ))
}

/// Fails if `check` passes a case of the file, or of a large file one of some, that has one digit
/// changed.
fn check_notices_wrong_digits(cases: &[Case], check: fn(Case) -> Outcome) -> Outcome {
    for (i, case) in some_of(cases) {
        let mut tried = 0;
        for (name, value) in case {
            for wrong in with_one_wrong_digit(value) {
                let mut forged = case.clone();
                forged.insert(name.clone(), wrong.clone());
                tried += 1;
                if check(forged).is_ok() {
                    return Err(format!("case {i}: {name} = {wrong} passes"));
                }
            }
        }
        if tried < 40 {
            return Err(format!("case {i}: only {tried} digits tried"));
        }
    }
    Ok(())
}

#[test]
fn vectors_poseidon_notice_every_wrong_digit() -> Outcome {
    let hashes = cases("poseidon.json")?;
    check_notices_wrong_digits(&hashes, check_poseidon)?;
    let permuted = cases("poseidon_permutation.json")?;
    check_notices_wrong_digits(&permuted, check_permutation)
}

#[test]
fn vectors_eddsa_poseidon_notice_every_wrong_digit() -> Outcome {
    let signatures = cases("eddsa_poseidon.json")?;
    check_notices_wrong_digits(&signatures, check_eddsa)
}
