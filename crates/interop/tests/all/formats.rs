//! What is written is read back, and means the same.

use ark_bn254::{Fr, G1Affine};
use ark_ff::{Field, UniformRand};
use circuits::r1cs::{Rows, assignment_of};
use circuits::shapes::{by_name, compile, padding};
use circuits::transition::BatchCircuit;
use interop::zkey::Zkey;
use interop::{FormatError, json, points, r1cs, wtns};
use prover::key::{KeyInfo, Origin, ProvingKey};
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use prover::verify::verify;

use crate::sample::{assignment, circuit, open, rng};

#[test]
fn the_tiny_circuit_keeps_its_fingerprint_through_r1cs() {
    let compiled = compile(&by_name("tiny").unwrap()).unwrap();
    let mut bytes = Vec::new();
    r1cs::write(&mut bytes, &compiled.r1cs).unwrap();
    let (back, counts) = r1cs::read(open(&bytes)).unwrap();
    assert_eq!(back.fingerprint(), compiled.r1cs.fingerprint());
    assert_eq!(counts, r1cs::counts(&compiled.r1cs).unwrap());
    assert_eq!(counts.public_inputs, 3);
    let witness = assignment_of(BatchCircuit(padding(&by_name("tiny").unwrap()))).unwrap();
    let mut file = Vec::new();
    wtns::write(&mut file, &witness).unwrap();
    let read = wtns::read(open(&file)).unwrap();
    assert_eq!(read, witness);
    assert_eq!(back.is_satisfied(&read), Ok(()));
}

/// Terms in another order are the same system; a wire twice, a zero or a wire beyond the last is not.
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
    assert_eq!(swapped.fingerprint(), sorted.fingerprint());
    for (at, new, fault) in [
        (second, &1u32.to_le_bytes()[..], "twice"),
        (second, &3u32.to_le_bytes()[..], "does not exist"),
        (second + 4, &[0; 32][..], "coefficient 0"),
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

#[test]
fn json_has_one_spelling_of_a_number() {
    let good = json::public(&[Fr::from(10u64), -Fr::ONE]);
    assert!(json::read_public(good.as_bytes()).is_ok());
    let modulus = "21888242871839275222246405745257275088548364400416034343698204186575808495617";
    assert_eq!(good.matches(&modulus[..76]).count(), 1);
    for bad in [
        "",
        "00",
        "07",
        "+1",
        "-1",
        " 1",
        "0x1",
        "1e3",
        modulus,
        &"9".repeat(78),
    ] {
        let text = format!("[{bad:?}]");
        let error = json::read_public(text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, FormatError::Decimal { .. }),
            "{bad}: {error}"
        );
    }
    for bad in ["[1]", "{}", "[", "", "[\"1\",]"] {
        let error = json::read_public(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, FormatError::Json { .. }), "{bad}: {error}");
    }
    let long = format!("[{}]", " ".repeat(json::MAX_JSON_BYTES));
    assert!(json::read_public(long.as_bytes()).is_err());
}

/// Points off the curve, at infinity or unreduced in JSON.
#[test]
fn json_points_are_checked() {
    let key = setup_insecure_dev(&circuit(), "small", &[], 3).unwrap();
    let text = json::verifying_key(key.verifying_key().ark());
    let alpha: G1Affine = key.verifying_key().ark().alpha_g1;
    let x = alpha.x.to_string();
    let swap = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        json::read_verifying_key(text.replacen(from, to, 1).as_bytes())
    };
    assert!(matches!(swap(&x, "1"), Err(FormatError::Point { .. })));
    assert!(matches!(
        swap("groth16", "plonk"),
        Err(FormatError::Disagree { .. })
    ));
    assert!(matches!(
        swap("bn128", "bls12381"),
        Err(FormatError::Disagree { .. })
    ));
    assert!(matches!(
        swap("\"nPublic\": 2", "\"nPublic\": 3"),
        Err(FormatError::Disagree { .. })
    ));
    assert!(matches!(
        swap("\"1\"\n", "\"0\"\n"),
        Err(FormatError::Point { .. })
    ));
    assert!(matches!(
        swap("\"1\"\n", "\"2\"\n"),
        Err(FormatError::Disagree { .. })
    ));
}
