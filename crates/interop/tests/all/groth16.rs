//! Proofs under keys of snarkjs, whole and converted: a good witness gives one, and nothing else does.

use std::path::Path;

use ark_bn254::Fr;
use ark_ff::Field;
use interop::groth16::{CircuitKey, Groth16Error, Proved, setup_alone, setup_from_powers};
use interop::ptau::Ptau;
use interop::zkey::Zkey;
use interop::{calldata, json, r1cs};
use prover::key::{Origin, VerifyingKey};
use prover::verify::verify;

use crate::forger::{DELTA, section};
use crate::sample::{assignment, circuit, final_key, open, powers, rng};

fn key(zkey: &[u8], whole: bool) -> Result<CircuitKey, Groth16Error> {
    CircuitKey::of_zkey(&mut Zkey::open(open(zkey))?, whole.then(circuit))
}

fn verifying_key(zkey: &[u8]) -> VerifyingKey {
    let ark = Zkey::open(open(zkey)).unwrap().verifying_key().unwrap();
    interop::groth16::foreign_verifying_key(ark).unwrap()
}

fn file_of(key: &CircuitKey) -> Vec<u8> {
    let mut file = Vec::new();
    key.write(&mut file).unwrap();
    file
}

fn read(file: &[u8]) -> Result<CircuitKey, Groth16Error> {
    CircuitKey::read(&mut &file[..], file.len() as u64, Path::new("k.qk"))
}

fn check(proved: &Proved, zkey: &[u8]) {
    verify(&verifying_key(zkey), &proved.public, &proved.proof).unwrap();
}

/// Every form of one key: with the circuit and without, from the `.zkey` and converted.
fn forms(zkey: &[u8]) -> Vec<CircuitKey> {
    let convert = |whole: bool| {
        let mut zkey = Zkey::open(open(zkey)).unwrap();
        CircuitKey::convert(&mut zkey, whole.then(circuit), Origin::Dev).unwrap()
    };
    let later = read(&file_of(&convert(false))).unwrap();
    vec![
        key(zkey, false).unwrap(),
        key(zkey, true).unwrap(),
        read(&file_of(&convert(false))).unwrap(),
        read(&file_of(&convert(true))).unwrap(),
        later.with_circuit(circuit()).unwrap(),
    ]
}

#[test]
fn a_good_witness_is_proven_and_no_other() {
    let zkey = final_key(&powers(4));
    let good = assignment();
    for (form, key) in forms(&zkey).iter().enumerate() {
        let proved = key.prove(&good, &mut rng(3)).unwrap();
        assert_eq!(proved.public, good[1..3]);
        check(&proved, &zkey);
        assert_eq!(key.circuit().is_some(), [1, 3, 4].contains(&form));
        for wire in 0..good.len() {
            let mut forged = good.clone();
            forged[wire] += Fr::ONE;
            let error = key.prove(&forged, &mut rng(3)).unwrap_err();
            let expected = match (wire, key.circuit()) {
                (0, _) => matches!(error, Groth16Error::NotOne),
                (_, None) => matches!(error, Groth16Error::Unproven),
                (_, Some(circuit)) => matches!(error, Groth16Error::Unsatisfied { row }
                    if circuit.is_satisfied(&forged) == Err(row)),
            };
            assert!(expected, "form {form}, wire {wire}: {error}");
            // Nothing of the witness is in the message: the public 5 and the private 11 and 121.
            let text = error.to_string();
            let digits = text.split(|c: char| !c.is_ascii_digit());
            assert!(
                digits.filter(|number| number.len() > 1).count() == 0,
                "{text}"
            );
        }
        for length in [0, good.len() - 1, good.len() + 1] {
            let mut other = good.clone();
            other.resize(length, Fr::ONE);
            let error = key.prove(&other, &mut rng(3)).unwrap_err();
            let expected =
                matches!(error, Groth16Error::WitnessLength { got, .. } if got == length);
            assert!(expected, "{error}");
        }
    }
}

#[test]
fn a_violated_constraint_has_its_wires() {
    let key = key(&final_key(&powers(4)), true).unwrap();
    assert_eq!(key.wires_of(0), [3, 4]);
    assert_eq!(key.wires_of(2), [5, 3, 1, 2]);
}

#[test]
fn the_circuit_has_to_be_the_keys() {
    let zkey = final_key(&powers(4));
    let one = Fr::ONE;
    let mut rows = ::r1cs::Rows::new(3, 3).unwrap();
    for _ in 0..3 {
        rows.push([&[(3, one)], &[(3, one)], &[(4, one)]]).unwrap();
    }
    let other = rows.finish().unwrap();
    let error = CircuitKey::of_zkey(&mut Zkey::open(open(&zkey)).unwrap(), Some(other.clone()));
    assert!(matches!(error, Err(Groth16Error::OtherCircuit)));
    for key in forms(&zkey) {
        let error = key.with_circuit(other.clone());
        assert!(matches!(error, Err(Groth16Error::OtherCircuit)));
    }
}

/// Keys that snarkjs made of circom's circuits, one of them of a circuit that has nothing but the constant.
#[test]
fn keys_of_snarkjs_are_taken_as_they_are() {
    let keys = [
        include_bytes!("../data/plain.snarkjs.zkey").as_slice(),
        include_bytes!("../data/plain.bellman.zkey"),
        include_bytes!("../data/pragma_only.snarkjs.zkey"),
        include_bytes!("../data/unsorted_wires.snarkjs.zkey"),
    ];
    for zkey in keys {
        let key = key(zkey, false).unwrap();
        // Ones satisfy each of them.
        let mut witness = vec![Fr::ONE; key.wires()];
        check(&key.prove(&witness, &mut rng(1)).unwrap(), zkey);
        witness[2] += Fr::ONE;
        let error = key.prove(&witness, &mut rng(1)).unwrap_err();
        assert!(matches!(error, Groth16Error::Unproven), "{error}");
    }
    let constant = include_bytes!("../data/unused_private.snarkjs.zkey");
    let (whole, _) = r1cs::read(open(include_bytes!("../data/unused_private.r1cs"))).unwrap();
    let mut zkey = Zkey::open(open(constant)).unwrap();
    let key = CircuitKey::of_zkey(&mut zkey, Some(whole.r1cs)).unwrap();
    let proved = key.prove(&[Fr::ONE], &mut rng(1)).unwrap();
    check(&proved, constant);
    check(
        &read(&file_of(&key))
            .unwrap()
            .prove(&[Fr::ONE], &mut rng(1))
            .unwrap(),
        constant,
    );
}

#[test]
fn a_key_of_one_party_proves() {
    let whole: r1cs::Circuit = circuit().into();
    let [mut alone, mut from_powers] = [(); 2].map(|()| Vec::new());
    let made = setup_alone(&whole, &mut alone).unwrap();
    assert_eq!(made.id(), verifying_key(&alone).id());
    let powers = powers(4);
    let mut ptau = Ptau::open(open(&powers)).unwrap();
    setup_from_powers(&whole, &mut ptau, &mut from_powers, &mut rng(2)).unwrap();
    let mut zkey = Zkey::open(open(&from_powers)).unwrap();
    interop::ceremony::verify(&whole, &mut ptau, &mut zkey).unwrap();
    assert_eq!(zkey.transcript().contributions.len(), 1);
    for zkey in [alone, from_powers] {
        let key = key(&zkey, true).unwrap();
        check(&key.prove(&assignment(), &mut rng(1)).unwrap(), &zkey);
    }
}

/// The order of coefficients is nobody's concern, unlike the rows that tie the public inputs.
#[test]
fn coefficients_in_any_order_and_ties_in_their_place() {
    const RECORD: usize = 12 + 32;
    let zkey = final_key(&powers(4));
    let (start, end) = section(&zkey, 4);
    let mut turned = zkey.clone();
    let records: Vec<&[u8]> = zkey[start + 4..end].chunks(RECORD).rev().collect();
    turned[start + 4..end].copy_from_slice(&records.concat());
    check(
        &key(&turned, true)
            .unwrap()
            .prove(&assignment(), &mut rng(1))
            .unwrap(),
        &zkey,
    );
    // The last record ties the last public input: of another wire, in B, twice its value.
    let last = end - RECORD;
    for (at, value) in [(8, 1), (0, 1), (12, 7)] {
        let mut untied = zkey.clone();
        untied[last + at] ^= value;
        let error = key(&untied, false).unwrap_err();
        assert!(matches!(error, Groth16Error::Untied), "{error}");
    }
}

/// Points that are on no curve are not noticed when a `.zkey` is loaded for one proof. There is none.
#[test]
fn a_damaged_key_gives_no_proof() {
    let zkey = final_key(&powers(4));
    for id in [5, 6, 7, 8, 9] {
        let (start, end) = section(&zkey, id);
        // A point that this witness needs.
        let at = (start..end)
            .step_by(64)
            .find(|at| zkey[*at..at + 64] != [0; 64]);
        let mut bad = zkey.clone();
        bad[at.unwrap()] ^= 1;
        let error = Zkey::open(open(&bad)).unwrap().proving_key().unwrap_err();
        assert!(error.to_string().contains("is not on the curve"), "{error}");
        for whole in [false, true] {
            let error = key(&bad, whole)
                .unwrap()
                .prove(&assignment(), &mut rng(1))
                .unwrap_err();
            let expected = match whole {
                false => matches!(error, Groth16Error::Unproven),
                true => matches!(error, Groth16Error::BadKey),
            };
            assert!(expected, "section {id}: {error}");
        }
    }
}

/// Each byte of a converted key is under its checksum, or under the fingerprint of its matrices.
#[test]
fn a_damaged_converted_key_is_refused() {
    let zkey = final_key(&powers(4));
    let file = file_of(&forms(&zkey)[3]);
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1;
        assert!(read(&bad).is_err(), "byte {at}");
    }
    for cut in (0..file.len()).step_by(7) {
        assert!(read(&file[..cut]).is_err(), "{cut} bytes");
    }
}

/// A key that would not blind its proofs is refused, and no proof is a function of the witness alone.
#[test]
fn a_key_that_would_not_blind_is_refused() {
    let zkey = final_key(&powers(4));
    let (header, _) = section(&zkey, 2);
    // In G1, δ is put in the place of β, and β in that of δ.
    let beta = header + 2 * 36 + 12 + 64;
    let delta = header + DELTA;
    for (from, to) in [(beta, delta), (delta, beta)] {
        let mut bad = zkey.clone();
        bad.copy_within(from..from + 64, to);
        let error = key(&bad, false).unwrap_err().to_string();
        assert!(error.contains("could reveal the witness"), "{error}");
    }
    for key in forms(&zkey) {
        let [first, second] = [1, 2].map(|seed| key.prove(&assignment(), &mut rng(seed)).unwrap());
        assert_ne!(first.proof.a(), second.proof.a());
        assert_ne!(first.proof.b(), second.proof.b());
        assert_ne!(first.proof.c(), second.proof.c());
    }
}

/// Points with `y = 0`, which are their own opposites, make no proof and end no program.
#[test]
fn a_key_of_points_of_order_two_gives_no_proof() {
    let zkey = final_key(&powers(4));
    let mut bad = zkey.clone();
    for id in [5, 6, 8, 9] {
        let (start, end) = section(&zkey, id);
        for at in (start..end).step_by(64) {
            bad[at..at + 64].fill(0);
            bad[at] = 5;
        }
    }
    let error = key(&bad, true)
        .unwrap()
        .prove(&assignment(), &mut rng(1))
        .unwrap_err();
    assert!(matches!(error, Groth16Error::BadKey), "{error}");
}

/// What a file announces is not believed: neither a length, nor counts that make one, nor terms in a hole.
#[test]
fn announced_lengths_need_no_memory() {
    let file = file_of(&forms(&final_key(&powers(4)))[3]);
    let announce = |length: u64, coefficients: u32| {
        let mut bad = file.clone();
        bad[12..20].copy_from_slice(&length.to_le_bytes());
        bad[32..36].copy_from_slice(&coefficients.to_le_bytes());
        let error = CircuitKey::read(&mut &bad[..], 1 << 50, Path::new("k.qk")).unwrap_err();
        assert!(matches!(error, Groth16Error::KeyFile { .. }), "{error}");
        error.to_string()
    };
    let matrices = u64::from_le_bytes(file[12..20].try_into().unwrap());
    let coefficients = u32::from_le_bytes(file[32..36].try_into().unwrap());
    assert!(announce(1 << 49, coefficients).contains("damaged"));
    assert!(announce(27, coefficients).contains("damaged"));
    assert!(announce(matrices, coefficients + 1).contains("damaged"));
    // Counts that agree with the length: there is no memory, or the file ends.
    announce(matrices + (1 << 36), coefficients + (1 << 31));
    announce(matrices + (1 << 32), coefficients + (1 << 27));
}

/// A wire twice in a row of A or B is refused, next to itself and not.
#[test]
fn terms_that_occur_twice_are_refused() {
    const RECORD: usize = 12 + 32;
    let zkey = final_key(&powers(4));
    let (start, _) = section(&zkey, 4);
    let first = start + 4;
    for to in [first + RECORD, first + 4 * RECORD] {
        let mut twice = zkey.clone();
        twice.copy_within(first..first + RECORD, to);
        let error = key(&twice, false).unwrap_err().to_string();
        assert!(error.contains("terms of one wire"), "{error}");
    }
}

/// What snarkjs prints of its own example.
#[test]
fn calldata_are_those_of_snarkjs() {
    let proof = json::read_proof(include_bytes!("../data/pr.json")).unwrap();
    let inputs = json::read_public(include_bytes!("../data/pu.json")).unwrap();
    let expected = include_str!("../data/calldata.txt");
    assert_eq!(calldata::calldata(&proof, &inputs), expected.trim_end());
}
