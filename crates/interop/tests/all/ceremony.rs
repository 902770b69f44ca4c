//! Keys made by several parties, and everything that a bad participant may try.

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AdditiveGroup, AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{FftField, Field, Zero};
use interop::FormatError;
use interop::ceremony::{CeremonyError, beacon, contribute, new_key, verify};
use interop::ptau::Ptau;
use interop::transcript::{Contribution, Source, Stream, Transcript, challenge_point};
use interop::zkey::Zkey;
use prover::key::{Degenerate, KeyError, KeyInfo, Origin, ProvingKey};
use prover::prove::prove;
use r1cs::{Matrix, Rows};

use crate::forger::{
    DELTA, contributed, map, point, record, scaled, section, sections, with_transcript,
};
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

/// Bytes of the sections that a prepared file ends with.
fn lagrange_bytes(n: usize) -> usize {
    (4 * n - 1) * 64 + (2 * n - 1) * (128 + 2 * 64) + 4 * 12
}

/// A prepared file and one that is not give the same key.
#[test]
fn bases_are_computed_where_the_file_is_not_prepared() {
    let prepared = powers(4);
    // The last four sections go, and their number in the head.
    let mut bare = prepared.clone();
    bare.truncate(prepared.len() - lagrange_bytes(1 << 4));
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

/// Sections of one length, each with the contents of the other.
#[test]
fn exchanged_sections_are_refused() {
    let powers = powers(3);
    let good = final_key(&powers);
    let all = sections(&good);
    let mut exchanged = 0;
    for (at, &(left, start, end)) in all.iter().enumerate() {
        for &(right, from, to) in &all[at + 1..] {
            if end - start != to - from {
                continue;
            }
            let mut bad = good.clone();
            bad[start..end].copy_from_slice(&good[from..to]);
            bad[from..to].copy_from_slice(&good[start..end]);
            assert!(check(&powers, &bad).is_err(), "{left} and {right}");
            exchanged += 1;
        }
    }
    assert_eq!(exchanged, 2, "A and B in G1, the input combination and L");
}

/// Any other point in a query or the fixed part is noticed, by its name. H has one dimension more than
/// the quotients of honest provers need; a change there is noticed too.
#[test]
fn any_other_point_is_refused() {
    let powers = powers(3);
    let good = final_key(&powers);
    let parts = [
        (3, "the input combination"),
        (5, "the A query"),
        (6, "the B query in G1"),
        (7, "the B query in G2"),
        (8, "the L query"),
        (9, "the H query"),
    ];
    let mut places = Vec::new();
    for (id, part) in parts {
        let (start, end) = section(&good, id);
        let (step, second) = if id == 7 { (128, true) } else { (64, false) };
        places.extend((start..end).step_by(step).map(|at| (at, second, part)));
    }
    let header = section(&good, 2).0;
    places.extend([
        (header + DELTA - 384, false, "alpha"),
        (header + DELTA - 320, false, "beta in G1"),
        (header + DELTA - 256, true, "beta in G2"),
        (header + DELTA - 128, true, "gamma"),
        (header + DELTA, false, "delta"),
        (header + DELTA + 64, true, "delta"),
    ]);
    let five = Fr::from(5u64);
    for (at, second, expected) in places {
        let mut bad = good.clone();
        match second {
            false => map(&mut bad, at, at + 64, |_| {
                (G1Affine::generator() * five).into_affine()
            }),
            true => map(&mut bad, at, at + 128, |_| {
                (G2Affine::generator() * five).into_affine()
            }),
        }
        let error = check(&powers, &bad).unwrap_err();
        assert!(
            matches!(error, CeremonyError::Differs { part } if part == expected),
            "{expected} at {at}: {error}"
        );
    }
    // A coefficient of another row.
    let mut bad = good.clone();
    bad[section(&good, 4).0 + 4 + 4] ^= 1;
    let error = check(&powers, &bad).unwrap_err();
    assert!(error.to_string().contains("coefficient"), "{error}");
    // All points of H move along the direction that no quotient sees.
    let (start, end) = section(&good, 9);
    let mut bad = good.clone();
    let count = (end - start) / 64;
    let root = <Fr as FftField>::get_root_of_unity(2 * count as u64).unwrap();
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

/// The coefficients of H: what a quotient's `j`-th coefficient is multiplied with.
fn coefficients(key: &[u8]) -> Vec<G1Projective> {
    let (start, end) = section(key, 9);
    let points: Vec<G1Affine> = (start..end)
        .step_by(64)
        .map(|at| point(&key[at..]))
        .collect();
    let odd = odd_points(points.len());
    (0..points.len() as u64)
        .map(|j| points.iter().zip(&odd).map(|(p, g)| *p * g.pow([j])).sum())
        .collect()
}

/// The key with the H of other coefficients.
fn with_coefficients(key: &[u8], coefficients: &[G1Projective]) -> Vec<u8> {
    let mut changed = key.to_vec();
    let (start, end) = section(key, 9);
    let n = Fr::from(coefficients.len() as u64).inverse().unwrap();
    let odd = odd_points(coefficients.len());
    for (at, g) in (start..end).step_by(64).zip(odd) {
        let inverse = g.inverse().unwrap();
        let terms = (0u64..).zip(coefficients);
        let sum: G1Projective = terms.map(|(j, c)| *c * (inverse.pow([j]) * n)).sum();
        map(&mut changed, at, at + 64, |_: G1Affine| sum.into_affine());
    }
    changed
}

/// The odd points of the domain of twice the size.
fn odd_points(n: usize) -> Vec<Fr> {
    let root = <Fr as FftField>::get_root_of_unity(2 * n as u64).unwrap();
    (0..n as u64).map(|i| root.pow([2 * i + 1])).collect()
}

/// What a way through bellman's form leaves of a key.
fn through_bellman(key: &[u8]) -> Vec<u8> {
    let mut coefficients = coefficients(key);
    *coefficients.last_mut().unwrap() = G1Projective::zero();
    with_coefficients(key, &coefficients)
}

fn contribution_to(key: &[u8], seed: u64) -> Vec<u8> {
    let mut next = Vec::new();
    let mut from = Zkey::open(open(key)).unwrap();
    contribute(&mut from, &mut next, None, &mut rng(seed)).unwrap();
    next
}

/// Bellman's form has all coefficients of H but the last, at any step of a ceremony.
#[test]
fn contributions_in_bellmans_form_are_accepted() {
    let powers = powers(4);
    let start = initial_key(&powers);
    let first = contribution_to(&start, 1);
    assert_eq!(with_coefficients(&first, &coefficients(&first)), first);
    let after = through_bellman(&first);
    assert_ne!(after, first);
    check(&powers, &after).unwrap();
    assert_eq!(through_bellman(&after), after, "nothing is left to lose");
    let before = contribution_to(&through_bellman(&start), 1);
    assert_eq!(before, after, "exporting and contributing commute");
    let last = through_bellman(&contribution_to(&after, 2));
    check(&powers, &contribution_to(&last, 3)).unwrap();
    prove(
        &import(&after).unwrap(),
        &circuit(),
        &assignment(),
        &mut rng(9),
    )
    .unwrap();
}

/// Two values of the last coefficient are accepted, the one of the powers and 0, and of every other
/// coefficient one.
#[test]
fn nothing_else_of_h_is_free() {
    let powers = powers(3);
    let good = contribution_to(&initial_key(&powers), 1);
    let honest = coefficients(&good);
    let last = honest.len() - 1;
    let generator = G1Projective::generator();
    let refused = |coefficients: &[G1Projective], what: &str| {
        let error = check(&powers, &with_coefficients(&good, coefficients)).unwrap_err();
        assert!(
            matches!(
                error,
                CeremonyError::Differs {
                    part: "the H query"
                }
            ),
            "{what}: {error}"
        );
    };
    let two = Fr::from(2u64);
    for value in [
        honest[last].double(),
        honest[last] * two.inverse().unwrap(),
        -honest[last],
        generator,
        honest[last - 1],
        honest[last] + generator,
    ] {
        let mut changed = honest.clone();
        changed[last] = value;
        refused(&changed, "the last coefficient");
    }
    for whole in [honest[last], G1Projective::zero()] {
        let mut kept = honest.clone();
        kept[last] = whole;
        check(&powers, &with_coefficients(&good, &kept)).unwrap();
        for place in 0..last {
            for value in [G1Projective::zero(), -kept[place], kept[place] + generator] {
                let mut changed = kept.clone();
                changed[place] = value;
                refused(&changed, "another coefficient");
            }
        }
        // Of another delta, in another order, and none at all.
        let scaled: Vec<_> = kept.iter().map(|c| *c * two).collect();
        refused(&scaled, "scaled");
        let turned: Vec<_> = kept.iter().rev().copied().collect();
        refused(&turned, "turned");
        let mut rotated = kept.clone();
        rotated.rotate_left(1);
        refused(&rotated, "rotated");
    }
    refused(&vec![G1Projective::zero(); honest.len()], "zero");
    // Each single point of the H after bellman counts.
    let after = through_bellman(&good);
    let (start, end) = section(&after, 9);
    for at in (start..end).step_by(64) {
        let mut bad = after.clone();
        map(&mut bad, at, at + 64, |p: G1Affine| {
            (p + generator).into_affine()
        });
        let error = check(&powers, &bad).unwrap_err();
        assert!(error.to_string().contains("the H query"), "{error}");
        bad[at..at + 64].copy_from_slice(&good[at..at + 64]);
        assert!(check(&powers, &bad).is_err(), "one point of the H before");
    }
}

/// Records that their maker hashed again, so that the hash shows nothing.
#[test]
fn every_part_of_a_record_is_checked() {
    let powers = powers(3);
    let start = initial_key(&powers);
    let mut honest = Vec::new();
    let mut from = Zkey::open(open(&start)).unwrap();
    contribute(&mut from, &mut honest, None, &mut rng(1)).unwrap();
    let zkey = Zkey::open(open(&honest)).unwrap();
    let (before, delta) = (zkey.transcript().clone(), zkey.header().delta_g1);
    let (x, other) = (Fr::from(77u64), Fr::from(78u64));
    let s = (G1Affine::generator() * Fr::from(9u64)).into_affine();
    let added = |key: &[u8], record: Contribution| {
        let mut transcript = before.clone();
        transcript.contributions.push(record);
        with_transcript(key, &transcript)
    };
    let refused = |key: &[u8], expected: &str| {
        let error = check(&powers, key).unwrap_err();
        let CeremonyError::Contribution { index, fault } = error else {
            panic!("{expected}: {error}");
        };
        assert_eq!(index, 2);
        assert!(fault.contains(expected), "{expected}: {fault}");
    };
    let forged = scaled(&honest, x);
    let good = record(&before, delta, x, s);
    check(&powers, &added(&forged, good.clone())).unwrap();

    // δ without the secrets before: s·y and p·y know y.
    let mut alone = record(&before, delta, other, s);
    alone.delta_after = (G1Affine::generator() * other).into_affine();
    refused(&added(&scaled(&start, other), alone), "delta");
    // p of another exponent than s, and than δ.
    let mut unknown = good.clone();
    unknown.p_x = (challenge_point(&good.transcript) * other).into_affine();
    refused(&added(&forged, unknown), "secret was known");
    let mut unlike = record(&before, delta, other, s);
    unlike.delta_after = good.delta_after;
    refused(&added(&forged, unlike), "delta");
    // s·x of another exponent, hashed.
    let mut copied = good.clone();
    copied.s_x = (s * other).into_affine();
    copied.transcript = before.next_hash(&copied.s, &copied.s_x);
    copied.p_x = (challenge_point(&copied.transcript) * x).into_affine();
    refused(&added(&forged, copied), "secret was known");
    // A hash of the maker's choice, and all that follows from it.
    let mut chosen = good.clone();
    chosen.transcript = [7; 64];
    chosen.p_x = (challenge_point(&chosen.transcript) * x).into_affine();
    refused(&added(&forged, chosen), "its hash");
    // A beacon's s with another secret, and its secret with another s.
    let source = Source::Beacon {
        iterations_exp: 10,
        value: vec![4],
    };
    let mut stream = Stream::of_beacon(&[4], 10);
    let (beacon_x, beacon_s) = (stream.scalar(), stream.g1());
    for (x, s) in [(x, beacon_s), (beacon_x, s)] {
        refused(&contributed(&honest, x, s, source.clone()), "beacon");
    }
    check(&powers, &contributed(&honest, beacon_x, beacon_s, source)).unwrap();
    // The hash of another circuit, from the beginning.
    let empty = Transcript {
        circuit: [1; 64],
        contributions: Vec::new(),
    };
    let foreign = contributed(&with_transcript(&start, &empty), x, s, Source::Person);
    let error = check(&powers, &foreign).unwrap_err();
    assert!(error.to_string().contains("circuit's hash"), "{error}");
    // δ = -1 = -γ, with a proof of knowledge.
    let error = check(&powers, &contributed(&start, -Fr::ONE, s, Source::Person)).unwrap_err();
    let known = Degenerate::Related {
        first: "gamma",
        second: "delta",
    };
    assert!(
        matches!(error, CeremonyError::Degenerate(ref fault) if *fault == known),
        "{error}"
    );
}

/// Powers with τ, α or β of ±1, consistent otherwise: what everybody begins with.
#[test]
fn powers_that_nobody_contributed_to_are_refused() {
    let mut good = powers(3);
    good.truncate(good.len() - lagrange_bytes(8));
    good[8] = 7;
    let [tau, tau_g2, alpha, beta, beta_g2] = [2, 3, 4, 5, 6].map(|id| section(&good, id));
    let powers_g1 = good[tau.0..tau.0 + 8 * 64].to_vec();
    let first = |bytes: &mut [u8], (start, end): (usize, usize)| {
        let first: G1Affine = point(&bytes[start..]);
        map(bytes, start, end, |_: G1Affine| first);
    };
    let sign = |bytes: &mut [u8], (start, end): (usize, usize)| {
        map(bytes, start, end, |p: G1Affine| -p);
    };
    let mut one = good.clone();
    for part in [tau, alpha, beta] {
        first(&mut one, part);
    }
    map(&mut one, tau_g2.0, tau_g2.1, |_| G2Affine::generator());
    let mut alpha_one = good.clone();
    alpha_one[alpha.0..alpha.1].copy_from_slice(&powers_g1);
    let mut alpha_minus = alpha_one.clone();
    sign(&mut alpha_minus, alpha);
    let mut beta_one = good.clone();
    beta_one[beta.0..beta.1].copy_from_slice(&powers_g1);
    map(&mut beta_one, beta_g2.0, beta_g2.1, |_| {
        G2Affine::generator()
    });
    let mut beta_minus = beta_one.clone();
    sign(&mut beta_minus, beta);
    map(&mut beta_minus, beta_g2.0, beta_g2.1, |p: G2Affine| -p);
    for (bytes, expected) in [
        (one, "tau"),
        (alpha_one, "alpha"),
        (alpha_minus, "alpha"),
        (beta_one, "beta"),
        (beta_minus, "beta"),
    ] {
        let error = Ptau::open(open(&bytes)).unwrap_err();
        assert!(
            matches!(error, FormatError::Uncontributed { what } if what == expected),
            "{expected}: {error}"
        );
    }
}

/// The smallest circuit: a wire, no constraint, a domain of two points, since snarkjs has none of one.
#[test]
fn a_circuit_without_constraints_has_a_ceremony() {
    let empty = Rows::new(1, 0).unwrap().finish().unwrap();
    let powers = powers(1);
    let mut ptau = Ptau::open(open(&powers)).unwrap();
    let (mut key, mut next) = (Vec::new(), Vec::new());
    new_key(&empty, &mut ptau, &mut key).unwrap();
    assert_eq!(Zkey::open(open(&key)).unwrap().header().domain, 2);
    let mut from = Zkey::open(open(&key)).unwrap();
    contribute(&mut from, &mut next, None, &mut rng(1)).unwrap();
    verify(&empty, &mut ptau, &mut Zkey::open(open(&next)).unwrap()).unwrap();
}

/// A name is one line of a report.
#[test]
fn names_that_do_not_print_are_refused() {
    let key = initial_key(&powers(3));
    let mut from = Zkey::open(open(&key)).unwrap();
    for name in ["ann\n2 bob", "\u{1b}[2J", "ann\u{202e}", "\0"] {
        let error = contribute(&mut from, Vec::new(), Some(name), &mut rng(1)).unwrap_err();
        assert!(
            matches!(error, CeremonyError::Name { .. }),
            "{name:?}: {error}"
        );
    }
    for name in ["Ann O'Brien \"a\\b\"", "アン", "Zoë"] {
        contribute(&mut from, Vec::new(), Some(name), &mut rng(1)).unwrap();
    }
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
