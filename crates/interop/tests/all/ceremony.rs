//! Keys made by several parties, and everything that a bad participant may try.

use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use circuits::r1cs::{Matrix, Rows};
use interop::ceremony::{CeremonyError, beacon, contribute, new_key, verify};
use interop::ptau::Ptau;
use interop::transcript::{Source, Stream, challenge_point};
use interop::zkey::Zkey;
use prover::key::{Degenerate, KeyError, KeyInfo, Origin, ProvingKey};
use prover::prove::prove;

use crate::forger::contributed;
use crate::sample::{assignment, circuit, final_key, initial_key, open, powers, rng};

fn check(powers: &[u8], key: &[u8]) -> Result<(), CeremonyError> {
    let mut ptau = Ptau::open(open(powers)).unwrap();
    let mut zkey = Zkey::open(open(key))?;
    verify(&circuit(), &mut ptau, &mut zkey)
}

fn import(key: &[u8]) -> Result<ProvingKey, KeyError> {
    let info = KeyInfo {
        name: "small".to_owned(),
        shape: Vec::new(),
        fingerprint: circuit().fingerprint(),
        origin: Origin::Production,
    };
    let ark = Zkey::open(open(key)).unwrap().proving_key().unwrap();
    ProvingKey::from_ark(ark, info)
}

#[test]
fn a_finished_key_verifies_and_proves() {
    let powers = powers(4);
    let key = final_key(&powers);
    check(&powers, &key).unwrap();
    let imported = import(&key).unwrap();
    prove(&imported, &circuit(), &assignment(), &mut rng(9)).unwrap();
    let zkey = Zkey::open(open(&key)).unwrap();
    let contributions = &zkey.transcript().contributions;
    let names: Vec<_> = contributions.iter().map(|c| c.name.as_deref()).collect();
    assert_eq!(names, [Some("first"), None, Some("beacon")]);
    assert!(matches!(
        contributions[2].source,
        Source::Beacon {
            iterations_exp: 10,
            ..
        }
    ));
}

/// γ = δ = 1: neither the ceremony's check nor the prover takes it.
#[test]
fn an_unfinished_key_is_refused() {
    let powers = powers(3);
    let key = initial_key(&powers);
    assert!(matches!(
        check(&powers, &key),
        Err(CeremonyError::Unfinished)
    ));
    let error = import(&key).unwrap_err();
    let related = Degenerate::Related {
        first: "gamma",
        second: "delta",
    };
    assert!(matches!(error, KeyError::Degenerate(fault) if fault == related));
}

/// What a beacon adds is public: alone it makes no finished key, in a record that holds.
#[test]
fn a_key_with_beacons_alone_is_refused() {
    let powers = powers(3);
    let key = initial_key(&powers);
    let mut from = Zkey::open(open(&key)).unwrap();
    let error = beacon(&mut from, Vec::new(), None, &[1], 10).unwrap_err();
    assert!(matches!(error, CeremonyError::Unfinished), "{error}");
    let mut stream = Stream::of_beacon(&[1], 10);
    let (x, s) = (stream.scalar(), stream.g1());
    let source = Source::Beacon {
        iterations_exp: 10,
        value: vec![1],
    };
    let error = check(&powers, &contributed(&key, x, s, source)).unwrap_err();
    assert!(matches!(error, CeremonyError::Unfinished), "{error}");
    // The same record of a person is accepted: nothing else is wrong with it.
    check(&powers, &contributed(&key, x, s, Source::Person)).unwrap();
}

/// A circuit with another C has the same coefficients in its file; its key is told from ours by the
/// powers alone.
#[test]
fn a_key_of_a_circuit_with_another_c_is_refused() {
    let powers = powers(3);
    let ours = circuit();
    let mut rows = Rows::new(ours.num_instance(), ours.num_witness()).unwrap();
    for row in 0..ours.num_constraints() {
        let factor = Fr::from(if row == 0 { 2u64 } else { 1 });
        let terms = |matrix: &Matrix, factor: Fr| -> Vec<(u32, Fr)> {
            let value = |id: u32| ours.coefficients()[id as usize] * factor;
            let entries = matrix.row(row).iter();
            entries.map(|e| (e.column, value(e.coefficient))).collect()
        };
        let one = Fr::from(1u64);
        let [a, b, c] = [(ours.a(), one), (ours.b(), one), (ours.c(), factor)]
            .map(|(matrix, factor)| terms(matrix, factor));
        rows.push([&a, &b, &c]).unwrap();
    }
    let weaker = rows.finish().unwrap();
    let (mut key, mut next) = (Vec::new(), Vec::new());
    let mut ptau = Ptau::open(open(&powers)).unwrap();
    new_key(&weaker, &mut ptau, &mut key).unwrap();
    let mut from = Zkey::open(open(&key)).unwrap();
    contribute(&mut from, &mut next, None, &mut rng(1)).unwrap();
    let mut zkey = Zkey::open(open(&next)).unwrap();
    verify(&weaker, &mut ptau, &mut zkey).unwrap();
    zkey.check_circuit(&ours).unwrap();
    let error = check(&powers, &next).unwrap_err();
    assert!(error.to_string().contains("circuit's hash"), "{error}");
}

/// A prepared file and one that is not give the same key.
#[test]
fn bases_are_computed_where_the_file_is_not_prepared() {
    let prepared = powers(4);
    // The last four sections go, and their number in the head.
    let mut bare = prepared.clone();
    let n = 1usize << 4;
    let lagrange = (4 * n - 1) * 64 + (2 * n - 1) * (128 + 2 * 64) + 4 * 12;
    bare.truncate(prepared.len() - lagrange);
    bare[8] = 7;
    assert!(!Ptau::open(open(&bare)).unwrap().is_prepared());
    assert_eq!(initial_key(&bare), initial_key(&prepared));
    check(&bare, &final_key(&prepared)).unwrap();
}

#[test]
fn too_few_powers_are_refused() {
    let powers = powers(2);
    let mut ptau = Ptau::open(open(&powers)).unwrap();
    let error = new_key(&circuit(), &mut ptau, Vec::new()).unwrap_err();
    assert!(matches!(error, CeremonyError::Power { needed: 3, got: 2 }));
}

/// Powers that are none: each section in turn has a point replaced by the generator.
#[test]
fn powers_that_are_none_are_refused() {
    let good = powers(3);
    let n = 1usize << 3;
    let header = 12 + 12 + 44;
    let g1 = good[header + 12..header + 76].to_vec();
    let tau_g2 = header + 12 + (2 * n - 1) * 64 + 12;
    let g2 = good[tau_g2..tau_g2 + 128].to_vec();
    let alpha = tau_g2 + n * 128 + 12;
    let beta = alpha + n * 64 + 12;
    let beta_g2 = beta + n * 64 + 12;
    let level_g1 = beta_g2 + 128 + 16 + 12;
    let level_g2 = level_g1 + (4 * n - 1) * 64 + 12;
    let level_alpha = level_g2 + (2 * n - 1) * 128 + 12;
    let level_beta = level_alpha + (2 * n - 1) * 64 + 12;
    let places = [
        (header + 12 + 3 * 64, &g1, "powers in G1"),
        (tau_g2 + 3 * 128, &g2, "powers in G2"),
        (alpha + 3 * 64, &g1, "powers times alpha"),
        (beta + 3 * 64, &g1, "powers times beta"),
        (beta_g2, &g2, "beta in G2"),
        (level_g1 + (n - 1) * 64, &g1, "Lagrange basis in G1"),
        (level_g2 + (n - 1) * 128, &g2, "Lagrange basis in G2"),
        (
            level_alpha + (n - 1) * 64,
            &g1,
            "Lagrange basis times alpha",
        ),
        (level_beta + (n - 1) * 64, &g1, "Lagrange basis times beta"),
        (level_g1 + 2 * n * 64, &g1, "Lagrange basis of twice"),
    ];
    for (at, point, expected) in places {
        let mut bad = good.clone();
        bad[at..at + point.len()].copy_from_slice(point);
        let mut ptau = Ptau::open(open(&bad)).unwrap();
        let error = new_key(&circuit(), &mut ptau, Vec::new()).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

/// Each part of a finished key, replaced by that of another ceremony of the same circuit.
#[test]
fn parts_of_another_ceremony_are_refused() {
    let powers = powers(3);
    let mut key = final_key(&powers);
    let mut other = Vec::new();
    let mut from = Zkey::open(open(&key)).unwrap();
    contribute(&mut from, &mut other, None, &mut rng(77)).unwrap();
    // Without the other's transcript, whose record is longer by one.
    let mut refused = 0;
    let ends = sections(&key);
    for (id, start, end) in ends {
        if key[start..end] == other[start..end] || id == 10 {
            continue;
        }
        let honest = key[start..end].to_vec();
        key[start..end].copy_from_slice(&other[start..end]);
        let error = check(&powers, &key).unwrap_err();
        assert!(
            matches!(error, CeremonyError::Differs { .. }),
            "{id}: {error}"
        );
        key[start..end].copy_from_slice(&honest);
        refused += 1;
    }
    assert_eq!(refused, 3, "header, L and H");
    check(&powers, &key).unwrap();
}

/// Number, start and end of each section.
pub fn sections(file: &[u8]) -> Vec<(u32, usize, usize)> {
    let mut at = 12;
    let mut all = Vec::new();
    while at < file.len() {
        let id = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let size = u64::from_le_bytes(file[at + 4..at + 12].try_into().unwrap());
        let end = at + 12 + usize::try_from(size).unwrap();
        all.push((id, at + 12, end));
        at = end;
    }
    all
}

/// Any other point in a query, the record of a contribution or the fixed part is noticed. H has one
/// dimension more than the quotients of honest provers need; a change there is noticed too.
#[test]
fn any_other_point_is_refused() {
    let powers = powers(3);
    let good = final_key(&powers);
    let mut other = Vec::new();
    interop::points::Point::encode(
        &(G1Affine::generator() * Fr::from(5u64)).into_affine(),
        &mut other,
    );
    for (id, start, end) in sections(&good) {
        let points: Vec<usize> = match id {
            3 | 5 | 6 | 8 | 9 => (start..end).step_by(64).collect(),
            // alpha, beta, delta in G1.
            2 => [84, 148, 84 + 2 * 64 + 2 * 128]
                .map(|at| start + at)
                .to_vec(),
            // deltaAfter, s, s·x of the first contribution.
            10 => [68, 132, 196].map(|at| start + at).to_vec(),
            _ => continue,
        };
        for at in points {
            let mut bad = good.clone();
            bad[at..at + 64].copy_from_slice(&other);
            assert!(check(&powers, &bad).is_err(), "section {id} at {at}");
        }
    }
    // All points of H move along the direction that no quotient sees.
    let (_, start, end) = sections(&good)
        .into_iter()
        .find(|(id, ..)| *id == 9)
        .unwrap();
    let mut bad = good.clone();
    let count = (end - start) / 64;
    let root = <Fr as ark_ff::FftField>::get_root_of_unity(2 * count as u64).unwrap();
    let mut weight = root;
    for at in (start..end).step_by(64) {
        use interop::points::{Infinity, Point};
        let point = G1Affine::decode(&bad[at..at + 64], Infinity::Refused).unwrap();
        // Weights g^(2i+1): their sum with the values of any polynomial of degree below n - 1 is 0.
        let moved = (point + G1Affine::generator() * weight).into_affine();
        let mut bytes = Vec::new();
        moved.encode(&mut bytes);
        bad[at..at + 64].copy_from_slice(&bytes);
        weight *= root * root;
    }
    let proving = import(&bad).unwrap();
    prove(&proving, &circuit(), &assignment(), &mut rng(3)).unwrap();
    let error = check(&powers, &bad).unwrap_err();
    assert!(error.to_string().contains("H query"), "{error}");
}

/// A beacon's record that is not its beacon's, and parameters out of range.
#[test]
fn beacons_are_computed_again() {
    let powers = powers(3);
    let good = final_key(&powers);
    let value = good
        .windows(3)
        .rposition(|window| window == [1, 2, 3])
        .unwrap();
    let mut bad = good.clone();
    bad[value] = 9;
    let error = check(&powers, &bad).unwrap_err();
    assert!(error.to_string().contains("beacon"), "{error}");
    let mut many = good.clone();
    many[value - 3] = 63;
    let error = check(&powers, &many).unwrap_err();
    assert!(error.to_string().contains("iterations"), "{error}");
    let mut from = Zkey::open(open(&good)).unwrap();
    for (value, exponent) in [(&[1][..], 9), (&[1], 33), (&[], 10), (&[1; 256], 10)] {
        let error = beacon(&mut from, Vec::new(), None, value, exponent).unwrap_err();
        assert!(matches!(error, CeremonyError::Parameter { .. }), "{error}");
    }
    for name in ["", &"n".repeat(256)] {
        let error = contribute(&mut from, Vec::new(), Some(name), &mut rng(1)).unwrap_err();
        assert!(matches!(error, CeremonyError::Parameter { .. }), "{error}");
    }
}

/// Vectors of snarkjs 0.7.6 (ffjavascript 0.3.1): `tests/interop/vectors.mjs` prints them.
#[test]
fn points_from_hashes_are_those_of_snarkjs() {
    let text = include_str!("vectors.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let decimal = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    for vector in vectors["hash_to_g2"].as_array().unwrap() {
        let byte = u8::try_from(vector["byte"].as_u64().unwrap()).unwrap();
        let point = challenge_point(&[byte; 64]);
        let got = [point.x.c0, point.x.c1, point.y.c0, point.y.c1].map(|c| c.to_string());
        let expected: Vec<String> = (vector["point"].as_array().unwrap().iter())
            .map(decimal)
            .collect();
        assert_eq!(got.to_vec(), expected);
    }
    let beacon = &vectors["beacon"];
    let value = hex::decode(beacon["value"].as_str().unwrap()).unwrap();
    let mut stream = Stream::of_beacon(&value, 10);
    assert_eq!(stream.scalar().to_string(), decimal(&beacon["secret"]));
    let s = stream.g1();
    assert_eq!(
        [s.x.to_string(), s.y.to_string()],
        [0, 1].map(|k| decimal(&beacon["s"][k]))
    );
}
