//! What is written is read back, and means the same.

use ::r1cs::{Rows, assignment_of};
use ark_bn254::{Fq, Fr, G2Affine};
use ark_ff::{BigInteger, Field, PrimeField, UniformRand};
use circuits::shapes::{by_name, compile, padding};
use circuits::transition::BatchCircuit;
use interop::zkey::Zkey;
use interop::{FormatError, json, points, r1cs, wtns};
use prover::key::{KeyInfo, Origin, ProvingKey};
use prover::proof::Proof;
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use prover::verify::verify;
use serde_json::Value;

use crate::sample::{assignment, circuit, open, rng};

#[test]
fn the_tiny_circuit_keeps_its_fingerprint_through_r1cs() {
    let compiled = compile(&by_name("tiny").unwrap()).unwrap();
    let mut bytes = Vec::new();
    r1cs::write(&mut bytes, &compiled.r1cs).unwrap();
    let (back, counts) = r1cs::read(open(&bytes)).unwrap();
    assert_eq!(back.r1cs.fingerprint(), compiled.r1cs.fingerprint());
    assert_eq!(counts, r1cs::counts(&compiled.r1cs).unwrap());
    assert_eq!(counts.public_inputs, 3);
    let witness = assignment_of(BatchCircuit(padding(&by_name("tiny").unwrap()))).unwrap();
    let mut file = Vec::new();
    wtns::write(&mut file, &witness).unwrap();
    let read = wtns::read(open(&file)).unwrap();
    assert_eq!(read, witness);
    assert_eq!(back.r1cs.is_satisfied(&read), Ok(()));
}

/// Terms in another order are the same system; a wire twice or beyond the last is not.
#[test]
fn rows_are_canonical_or_refused() {
    let (one, two) = (Fr::ONE, Fr::from(2u64));
    let system = |a: &[(u32, Fr)]| {
        let mut rows = Rows::new(1, 2).unwrap();
        rows.push([a, &[(0, one)], &[(2, two)]]).unwrap();
        rows.finish().unwrap()
    };
    let sorted = system(&[(1, two), (2, one)]);
    let turned = system(&[(2, one), (1, one), (1, one)]);
    assert_eq!(sorted.fingerprint(), turned.fingerprint());
    let mut bytes = Vec::new();
    r1cs::write(&mut bytes, &sorted).unwrap();
    // The head, the header's section, the section's head, the count of A's terms.
    let first = 12 + 12 + 64 + 12 + 4;
    assert_eq!(bytes[first..first + 4], 1u32.to_le_bytes());
    let with = |at: usize, new: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + new.len()].copy_from_slice(new);
        r1cs::read(open(&changed))
    };
    let second = first + 36;
    let mut swapped = bytes.clone();
    let (left, right) = swapped[first..].split_at_mut(36);
    left.swap_with_slice(&mut right[..36]);
    let (swapped, _) = r1cs::read(open(&swapped)).unwrap();
    assert_eq!(swapped.r1cs.fingerprint(), sorted.fingerprint());
    for (at, new, fault) in [
        (second, &1u32.to_le_bytes()[..], "twice"),
        (second, &3u32.to_le_bytes()[..], "does not exist"),
        (second + 4, &[0xff; 32][..], "not below the modulus"),
    ] {
        let error = with(at, new).unwrap_err();
        assert!(error.to_string().contains(fault), "{error}");
    }
}

/// The prover's own key as a key file, and back: it proves, and the proof verifies under the JSON.
#[test]
fn a_key_survives_the_way_out_and_back() {
    let r1cs = circuit();
    let key = setup_insecure_dev(&r1cs, "small", &[], 3).unwrap();
    let mut bytes = Vec::new();
    interop::zkey::write(&mut bytes, &key, &r1cs).unwrap();
    let mut zkey = Zkey::open(open(&bytes)).unwrap();
    zkey.check_circuit(&r1cs).unwrap();
    assert!(zkey.transcript().contributions.is_empty());
    let info = KeyInfo {
        name: "small".to_owned(),
        shape: Vec::new(),
        fingerprint: r1cs.fingerprint(),
        origin: Origin::Dev,
    };
    let back = ProvingKey::from_ark(zkey.proving_key().unwrap(), info).unwrap();
    assert_eq!(back.to_ark(), key.to_ark());
    let assignment = assignment();
    let proof = prove(&back, &r1cs, &assignment, &mut rng(4)).unwrap();

    let text = json::verifying_key(key.verifying_key().ark());
    let read = json::read_verifying_key(text.as_bytes()).unwrap();
    assert_eq!(read, *key.verifying_key().ark());
    let read = json::read_proof(json::proof(&proof).as_bytes()).unwrap();
    assert_eq!(read, proof);
    // As snarkjs writes it.
    assert_eq!(json::public(&[]), "[\n]");
    assert_eq!(json::read_public(b"[\n]").unwrap(), []);
    let inputs = json::read_public(json::public(&assignment[1..3]).as_bytes()).unwrap();
    assert_eq!(inputs, assignment[1..3]);
    verify(key.verifying_key(), &inputs, &read).unwrap();
    // Another circuit's key is not taken for this one's.
    let mut rows = Rows::new(3, 3).unwrap();
    for _ in 0..3 {
        rows.push([&[(3, Fr::ONE)], &[(3, Fr::ONE)], &[(4, Fr::ONE)]])
            .unwrap();
    }
    let other = rows.finish().unwrap();
    assert!(zkey.check_circuit(&other).is_err());
    assert!(interop::zkey::write(Vec::new(), &key, &other).is_err());
}

#[test]
fn coefficients_are_twice_in_montgomery_form() {
    let mut rng = rng(5);
    for value in [Fr::ONE, -Fr::ONE, Fr::rand(&mut rng)] {
        let bytes = points::coefficient_bytes(&value);
        assert_eq!(points::coefficient(&bytes), Some(value));
        let squared = value * Fr::from(2u64).pow([512]);
        assert_eq!(bytes, points::scalar_bytes(&squared));
    }
    assert_eq!(points::coefficient(&[0xff; 32]), None);
}

const SCALAR_MODULUS: &str =
    "21888242871839275222246405745257275088548364400416034343698204186575808495617";

/// Spellings that snarkjs reads too.
#[test]
fn json_numbers_are_read_in_every_spelling_of_snarkjs() {
    let ten = Fr::from(10u64);
    for good in [
        "\"10\"",
        "10",
        "\"0xa\"",
        "\"0xA\"",
        "\"0x000a\"",
        "\"0010\"",
        " \"10\" ",
    ] {
        let text = format!("[{good}]");
        assert_eq!(json::read_public(text.as_bytes()).unwrap(), [ten], "{good}");
    }
    let padded = format!("[\"0x{}\", \"{}\"]", "0".repeat(80), "0".repeat(99));
    assert_eq!(
        json::read_public(padded.as_bytes()).unwrap(),
        [Fr::from(0u64); 2]
    );
    let most = json::public(&[-Fr::ONE]);
    assert_eq!(json::read_public(most.as_bytes()).unwrap(), [-Fr::ONE]);
    assert!(most.contains(&SCALAR_MODULUS[..76]), "{most}");
    let bare = (1u64 << 53) - 1;
    let text = format!("[{bare}]");
    assert_eq!(
        json::read_public(text.as_bytes()).unwrap(),
        [Fr::from(bare)]
    );
    assert_eq!(json::read_public(b"[]").unwrap(), []);
}

/// What is refused is named: which number, how it is spelled, and why.
#[test]
fn json_numbers_of_other_spellings_are_refused() {
    let hexadecimal = "\"0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001\"";
    let decimal = format!("\"{SCALAR_MODULUS}\"");
    let (nines, fs) = (
        format!("\"{}\"", "9".repeat(78)),
        format!("\"0x{}\"", "f".repeat(65)),
    );
    let spelling = "neither decimal digits";
    let beyond = "not below the scalar modulus";
    for (bad, fault) in [
        ("\"\"", spelling),
        ("\"0x\"", spelling),
        ("\"+1\"", spelling),
        ("\"-1\"", spelling),
        ("\" 1\"", spelling),
        ("\"0X1\"", spelling),
        ("\"1e3\"", spelling),
        ("\"0xg\"", spelling),
        ("\"１\"", spelling),
        (&decimal, beyond),
        (hexadecimal, beyond),
        (&nines, beyond),
        (&fs, beyond),
        ("9007199254740992", "in quotes"),
        ("18446744073709551616", "in quotes"),
        ("-1", "no whole number"),
        ("1.5", "no whole number"),
        ("1e3", "no whole number"),
    ] {
        let text = format!("[\"1\", {bad}]");
        let error = json::read_public(text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, FormatError::Number { .. }),
            "{bad}: {error}"
        );
        let message = error.to_string();
        assert!(message.contains("public input [1]"), "{bad}: {message}");
        assert!(message.contains(fault), "{bad}: {message}");
    }
    for bad in ["null", "true", "[]", "{}", "[\"1\"]"] {
        let text = format!("[{bad}]");
        let error = json::read_public(text.as_bytes()).unwrap_err();
        assert!(matches!(error, FormatError::Form { .. }), "{bad}: {error}");
    }
    for bad in ["{}", "[", "", "[\"1\",]", "\"1\"", "\u{feff}[]"] {
        let error = json::read_public(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, FormatError::Json { .. }), "{bad}: {error}");
    }
    let long = format!("[{}]", " ".repeat(json::MAX_JSON_BYTES));
    assert!(json::read_public(long.as_bytes()).is_err());
    let deep = "[".repeat(100_000);
    assert!(json::read_public(deep.as_bytes()).is_err());
}

/// The text of a proof, and the proof.
fn proof_text() -> (Value, Proof) {
    let key = setup_insecure_dev(&circuit(), "small", &[], 3).unwrap();
    let proof = prove(&key, &circuit(), &assignment(), &mut rng(4)).unwrap();
    (serde_json::from_str(&json::proof(&proof)).unwrap(), proof)
}

fn read_proof(value: &Value) -> Result<Proof, FormatError> {
    json::read_proof(value.to_string().as_bytes())
}

/// Proofs without what says itself, with two coordinates, and with numbers in hexadecimal.
#[test]
fn json_proofs_are_read_in_every_form_of_snarkjs() {
    let (text, proof) = proof_text();
    let check = |change: &dyn Fn(&mut Value)| {
        let mut changed = text.clone();
        change(&mut changed);
        assert_eq!(read_proof(&changed).unwrap(), proof, "{changed}");
    };
    check(&|_| {});
    for name in ["protocol", "curve"] {
        check(&|text| drop(text.as_object_mut().unwrap().remove(name)));
        check(&|text| text[name] = Value::Null);
    }
    for curve in ["bn254", "BN254", "bn-128", "alt_bn128", "ALT-BN128"] {
        check(&|text| text["curve"] = curve.into());
    }
    check(&|text| text["protocol"] = "Groth16".into());
    check(&|text| text["more"] = "ignored".into());
    check(&|text| {
        for name in ["pi_a", "pi_b", "pi_c"] {
            text[name].as_array_mut().unwrap().truncate(2);
        }
    });
    check(&|text| {
        text["pi_a"][2] = 1.into();
        text["pi_b"][2] = serde_json::json!(["0x1", 0]);
    });
    let x = proof.a().x.into_bigint();
    let hexadecimal = format!("0x{}", hex::encode(x.to_bytes_be()));
    check(&|text| text["pi_a"][0] = hexadecimal.clone().into());
}

/// Every way in which a point is none says which coordinate of which point.
#[test]
fn json_points_are_checked() {
    let (text, proof) = proof_text();
    let beyond = Fq::MODULUS.to_string();
    let mut aliased = proof.a().x.into_bigint();
    aliased.add_with_carry(&Fq::MODULUS);
    let aliased = aliased.to_string();
    let refused = |pointer: &str, value: Value, expected: &str| {
        let mut changed = text.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let error = read_proof(&changed).unwrap_err().to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    };
    refused(
        "/pi_a/0",
        "1".into(),
        "pi_a in the proof.json file is not on the curve",
    );
    refused(
        "/pi_c/1",
        "1".into(),
        "pi_c in the proof.json file is not on the curve",
    );
    refused(
        "/pi_b/0/1",
        "1".into(),
        "pi_b in the proof.json file is not on the curve",
    );
    refused(
        "/pi_a/2",
        "0".into(),
        "pi_a in the proof.json file is at infinity",
    );
    // The point at infinity as arkworks writes it, with the last coordinate and without.
    let zeros = || serde_json::json!(["0", "0"]);
    let one = serde_json::json!(["1", "0"]);
    for (name, point) in [
        ("/pi_a", serde_json::json!(["0", "0", "1"])),
        ("/pi_a", zeros()),
        ("/pi_c", zeros()),
        ("/pi_b", serde_json::json!([zeros(), zeros(), one])),
        ("/pi_b", serde_json::json!([zeros(), zeros()])),
    ] {
        refused(name, point, "in the proof.json file is at infinity");
    }
    refused(
        "/pi_b/2/0",
        "0".into(),
        "pi_b in the proof.json file is at infinity",
    );
    refused(
        "/pi_a/2",
        "2".into(),
        "coordinate z of pi_a in the proof.json is \"2\"",
    );
    refused("/pi_b/2/1", "1".into(), "coordinate z of pi_b");
    refused("/pi_a/0", beyond.into(), "coordinate x of pi_a");
    refused("/pi_a/0", aliased.into(), "is not below the base modulus");
    refused(
        "/pi_b/1/0",
        "x".into(),
        "the real part of coordinate y of pi_b",
    );
    refused(
        "/pi_b/1/1",
        "x".into(),
        "the imaginary part of coordinate y of pi_b",
    );
    refused(
        "/pi_b/1",
        "7".into(),
        "coordinate y of pi_b in the proof.json is \"7\"",
    );
    refused("/pi_a", "7".into(), "a list of two coordinates");
    refused(
        "/pi_a",
        serde_json::json!([1]),
        "pi_a in the proof.json is a list of 1",
    );
    refused("/pi_c", serde_json::json!([1, 2, 1, 1]), "a list of 4");
    refused("/pi_c", Value::Null, "pi_c in the proof.json is missing");
    refused("/protocol", "plonk".into(), "is for plonk");
    refused("/protocol", "".into(), "is for \"\"");
    refused("/protocol", 5.into(), "text in quotes");
    refused("/curve", "bls12381".into(), "bls12381");
    // A point of the twist outside the subgroup.
    let (x, y) = outside();
    refused("/pi_b", serde_json::json!([x, y]), "not in the subgroup");
}

/// A point of the second curve that is not in the group, as coordinates in text.
fn outside() -> ([String; 2], [String; 2]) {
    let points = (1u64..)
        .filter_map(|x| G2Affine::get_point_from_x_unchecked(ark_bn254::Fq2::from(x), false));
    let mut outside = points.filter(|p| !p.is_in_correct_subgroup_assuming_on_curve());
    let point = outside.next().unwrap();
    let text = |value: ark_bn254::Fq2| [value.c0.to_string(), value.c1.to_string()];
    (text(point.x), text(point.y))
}

/// Verifying keys: what contradicts itself, and which point of many is none.
#[test]
fn json_keys_are_checked() {
    let key = setup_insecure_dev(&circuit(), "small", &[], 3).unwrap();
    let text = json::verifying_key(key.verifying_key().ark());
    let good: Value = serde_json::from_str(&text).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        json::read_verifying_key(changed.to_string().as_bytes())
    };
    for (pointer, value) in [
        ("/nPublic", "2".into()),
        ("/nPublic", Value::Null),
        ("/vk_alphabeta_12", Value::Null),
        ("/curve", Value::Null),
        ("/protocol", Value::Null),
    ] {
        let read = with(pointer, value).unwrap();
        assert_eq!(read, *key.verifying_key().ark(), "{pointer}");
    }
    for (pointer, value, expected) in [
        ("/nPublic", 3.into(), "nPublic"),
        ("/IC", serde_json::json!([]), "the number of IC points"),
        ("/IC", "text".into(), "a list of points"),
        (
            "/IC/2/0",
            "1".into(),
            "IC[2] in the verification_key.json file is not on the curve",
        ),
        ("/IC/1/1", "x".into(), "coordinate y of IC[1]"),
        (
            "/IC/0",
            serde_json::json!(["0", "1", "0"]),
            "IC[0] in the verification_key.json file is at infinity",
        ),
        ("/vk_gamma_2/0/0", "1".into(), "vk_gamma_2"),
    ] {
        let error = with(pointer, value).unwrap_err().to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    }
    let twice = text.replacen("{", "{\"nPublic\": 2,", 1);
    let error = json::read_verifying_key(twice.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"nPublic\" occurs twice"), "{error}");
    let many = (0..100)
        .map(|n| format!("\"{n}\": 0"))
        .collect::<Vec<_>>()
        .join(",");
    let error = json::read_verifying_key(format!("{{{many}}}").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("more than 64 names"), "{error}");
    for bad in ["[]", "[\"groth16\", \"bn128\"]", "5", "null"] {
        let error = json::read_verifying_key(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, FormatError::Json { .. }), "{bad}: {error}");
    }
}
