//! Attacks on proofs, verification and verifying keys.

use ark_bn254::{Bn254, Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::short_weierstrass::Affine;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{BigInteger, One, PrimeField, UniformRand, Zero};
use ark_groth16::{Groth16, VerifyingKey as ArkKey};
use ark_serialize::CanonicalSerialize;
use num_bigint::BigUint;
use prover::key::{AllowDevKeys, Degenerate, KeyError, KeyInfo, Origin, VerifyingKey};
use prover::proof::{DecodeError, PROOF_BYTES, Proof, decode_public_input, encode_public_input};
use prover::setup::{setup, setup_insecure_dev};
use prover::verify::{VerifyError, verify, verify_many};
use r1cs::R1cs;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::fixture::{CHAIN, Fixture, fixture};

fn info() -> KeyInfo {
    KeyInfo {
        name: "attack".to_owned(),
        shape: Vec::new(),
        fingerprint: [0; 32],
        origin: Origin::Dev,
    }
}

fn degenerate(ark: ArkKey<Bn254>) -> Degenerate {
    match VerifyingKey::new(ark, info()) {
        Err(KeyError::Degenerate(fault)) => fault,
        other => panic!("expected a degenerate key, got {other:?}"),
    }
}

fn ark_accepts(key: &ArkKey<Bn254>, inputs: &[Fr], proof: (G1Affine, G2Affine, G1Affine)) -> bool {
    let prepared = ark_groth16::prepare_verifying_key(key);
    let proof = ark_groth16::Proof {
        a: proof.0,
        b: proof.1,
        c: proof.2,
    };
    Groth16::<Bn254>::verify_proof(&prepared, &proof, inputs).expect("the pairing is computed")
}

fn input_sum(key: &ArkKey<Bn254>, inputs: &[Fr]) -> G1Projective {
    let terms = inputs
        .iter()
        .zip(&key.gamma_abc_g1[1..])
        .map(|(input, point)| *point * input);
    terms.fold(key.gamma_abc_g1[0].into_group(), |sum, term| sum + term)
}

fn affine(point: G1Projective) -> G1Affine {
    point.into_affine()
}

/// For each pair of related points: the forgery works on a verifier that does not look, for inputs
/// never proven, and the key is refused here.
#[test]
fn a1_keys_with_related_points_forge_and_are_refused() {
    let fixture = fixture(CHAIN);
    let honest = fixture.key.verifying_key().ark().clone();
    let lies = [Fr::from(1u64), Fr::from(2u64), Fr::from(3u64)];
    let sum = input_sum(&honest, &lies);
    let (alpha, t) = (honest.alpha_g1, Fr::from(7u64));

    let mut unfinished = honest.clone();
    unfinished.delta_g2 = honest.gamma_g2;
    let forged = (alpha, honest.beta_g2, affine(-sum));
    assert!(ark_accepts(&unfinished, &lies, forged));
    assert_eq!(
        degenerate(unfinished),
        Degenerate::Related {
            first: "gamma",
            second: "delta"
        }
    );
    assert!(!ark_accepts(&honest, &lies, forged));

    let mut negated = honest.clone();
    negated.delta_g2 = -honest.gamma_g2;
    assert!(ark_accepts(
        &negated,
        &lies,
        (alpha, honest.beta_g2, affine(sum))
    ));
    assert_eq!(
        degenerate(negated),
        Degenerate::Related {
            first: "gamma",
            second: "delta"
        }
    );

    let mut beta_delta = honest.clone();
    beta_delta.delta_g2 = honest.beta_g2;
    assert!(ark_accepts(
        &beta_delta,
        &lies,
        (affine(sum), honest.gamma_g2, -alpha)
    ));
    assert_eq!(
        degenerate(beta_delta),
        Degenerate::Related {
            first: "beta",
            second: "delta"
        }
    );

    let mut beta_gamma = honest.clone();
    beta_gamma.gamma_g2 = honest.beta_g2;
    let a = sum + alpha;
    let b = honest.delta_g2 * t + honest.beta_g2;
    assert!(ark_accepts(
        &beta_gamma,
        &lies,
        (affine(a), b.into_affine(), affine(a * t))
    ));
    assert_eq!(
        degenerate(beta_gamma),
        Degenerate::Related {
            first: "beta",
            second: "gamma"
        }
    );
}

/// With a known `δ` anything verifies: `C = (A·B - α·β - L·γ)/δ` in the exponent is within reach
/// as soon as `A` and `B` are multiples of known points.
#[test]
fn a1_a_key_whose_delta_is_the_generator_is_refused() {
    let honest = fixture(CHAIN).key.verifying_key().ark().clone();
    for sign in [Fr::one(), -Fr::one()] {
        let mut known = honest.clone();
        known.delta_g2 = (G2Projective::generator() * sign).into_affine();
        assert_eq!(degenerate(known), Degenerate::Generator { point: "delta" });
        let mut known = honest.clone();
        known.beta_g2 = (G2Projective::generator() * sign).into_affine();
        assert_eq!(degenerate(known), Degenerate::Generator { point: "beta" });
        let mut known = honest.clone();
        known.alpha_g1 = (G1Projective::generator() * sign).into_affine();
        assert_eq!(degenerate(known), Degenerate::Generator { point: "alpha" });
    }
    let mut snarkjs_like = honest;
    snarkjs_like.gamma_g2 = G2Affine::generator();
    assert!(VerifyingKey::new(snarkjs_like, info()).is_ok());
}

#[test]
fn a2_infinite_points_are_refused() {
    let honest = fixture(CHAIN).key.verifying_key().ark().clone();
    let infinity = |what| Degenerate::Point(DecodeError::Infinity { what });
    let with = |edit: &dyn Fn(&mut ArkKey<Bn254>)| {
        let mut key = honest.clone();
        edit(&mut key);
        degenerate(key)
    };
    assert_eq!(
        with(&|key| key.alpha_g1 = G1Affine::identity()),
        infinity("alpha")
    );
    assert_eq!(
        with(&|key| key.beta_g2 = G2Affine::identity()),
        infinity("beta")
    );
    assert_eq!(
        with(&|key| key.gamma_g2 = G2Affine::identity()),
        infinity("gamma")
    );
    assert_eq!(
        with(&|key| key.delta_g2 = G2Affine::identity()),
        infinity("delta")
    );
    for i in 0..honest.gamma_abc_g1.len() {
        assert_eq!(
            with(&|key| key.gamma_abc_g1[i] = G1Affine::identity()),
            infinity("IC")
        );
    }
}

#[test]
fn a2_repeated_or_missing_ic_points_are_refused() {
    let honest = fixture(CHAIN).key.verifying_key().ark().clone();
    let count = honest.gamma_abc_g1.len();
    for first in 0..count {
        for second in first + 1..count {
            for sign in [Fr::one(), -Fr::one()] {
                let mut key = honest.clone();
                key.gamma_abc_g1[second] = affine(honest.gamma_abc_g1[first] * sign);
                assert_eq!(degenerate(key), Degenerate::RepeatedIc { first, second });
            }
        }
    }
    let mut none = honest.clone();
    none.gamma_abc_g1.clear();
    assert!(matches!(
        degenerate(none),
        Degenerate::IcCount { got: 0, .. }
    ));
    let mut many = honest;
    many.gamma_abc_g1 = vec![G1Affine::generator(); 5_000];
    assert!(matches!(
        degenerate(many),
        Degenerate::IcCount { got: 5_000, .. }
    ));
}

#[test]
fn a2_key_points_off_the_curve_or_subgroup_are_refused() {
    let honest = fixture(CHAIN).key.verifying_key().ark().clone();
    let mut off = honest.clone();
    off.alpha_g1.x += Fq::one();
    assert_eq!(
        degenerate(off),
        Degenerate::Point(DecodeError::NotOnCurve { what: "alpha" })
    );
    let mut outside = honest;
    outside.delta_g2 = twist_point_outside_the_subgroup();
    assert_eq!(
        degenerate(outside),
        Degenerate::Point(DecodeError::NotInSubgroup { what: "delta" })
    );
}

#[test]
fn a3_each_public_input_is_bound_even_where_no_constraint_mentions_it() {
    let fixture = fixture(CHAIN);
    let (key, proof) = (fixture.key.verifying_key(), fixture.prove());
    for i in 0..fixture.inputs().len() {
        for change in [Fr::one(), -Fr::one(), Fr::from(1u64 << 40)] {
            let mut inputs = fixture.inputs().to_vec();
            inputs[i] += change;
            assert!(matches!(
                verify(key, &inputs, &proof),
                Err(VerifyError::Rejected { .. })
            ));
        }
    }
    let mut swapped = fixture.inputs().to_vec();
    swapped.swap(0, 2);
    assert!(verify(key, &swapped, &proof).is_err());
}

#[test]
fn a4_public_inputs_have_one_spelling() {
    let r: BigUint = Fr::MODULUS.into();
    let word = |value: &BigUint| {
        let bytes = value.to_bytes_be();
        let mut word = [0; 32];
        word[32 - bytes.len()..].copy_from_slice(&bytes);
        word
    };
    let x = BigUint::from(123_456u64);
    assert_eq!(decode_public_input(&word(&x)), Ok(Fr::from(123_456u64)));
    let all_ones = (BigUint::from(1u64) << 256) - 1u64;
    for alias in [&x + &r, &x + &r * 2u64, r.clone(), all_ones] {
        let refused = Err(DecodeError::ScalarNotCanonical {
            what: "public input",
        });
        assert_eq!(decode_public_input(&word(&alias)), refused);
    }
    let greatest = word(&(r - 1u64));
    assert_eq!(decode_public_input(&greatest), Ok(-Fr::one()));
    assert_eq!(encode_public_input(&-Fr::one()), greatest);
    for length in [0, 31, 33] {
        assert!(
            matches!(decode_public_input(&vec![0; length]), Err(DecodeError::Length { got, .. }) if got == length)
        );
    }
}

#[test]
fn a5_another_number_of_inputs_is_a_typed_error() {
    let fixture = fixture(CHAIN);
    let (key, proof) = (fixture.key.verifying_key(), fixture.prove());
    let expected = fixture.inputs().len();
    for got in [0, expected - 1, expected + 1] {
        let mut inputs = fixture.inputs().to_vec();
        inputs.resize(got, Fr::zero());
        let error = Err(VerifyError::InputCount {
            index: 0,
            expected,
            got,
        });
        assert_eq!(verify(key, &inputs, &proof), error);
        let many = [
            (fixture.inputs().to_vec(), proof.clone()),
            (inputs, proof.clone()),
        ];
        assert_eq!(
            verify_many(key, &many),
            Err(VerifyError::InputCount {
                index: 1,
                expected,
                got
            })
        );
    }
    assert_eq!(verify_many::<Vec<Fr>>(key, &[]), Err(VerifyError::Nothing));
}

/// A point of the twist, found by its x-coordinate, that is not in the subgroup of order r.
fn twist_point_outside_the_subgroup() -> G2Affine {
    let candidates = (1u64..).filter_map(|x| {
        Affine::get_point_from_x_unchecked(Fq2::new(Fq::from(x), Fq::zero()), false)
    });
    let outside = |point: &G2Affine| !point.is_in_correct_subgroup_assuming_on_curve();
    candidates
        .into_iter()
        .find(outside)
        .expect("the twist has such points")
}

#[test]
fn a6_points_off_curve_subgroup_or_infinite_are_refused() {
    let proof = fixture(CHAIN).prove();
    let (a, b, c) = (*proof.a(), *proof.b(), *proof.c());
    let outside = twist_point_outside_the_subgroup();
    assert!(outside.is_on_curve());
    let refused = Proof::new(a, outside, c);
    assert_eq!(
        refused,
        Err(DecodeError::NotInSubgroup {
            what: "proof point B"
        })
    );

    let mut bytes = proof.to_bytes();
    for (k, part) in [outside.x.c1, outside.x.c0, outside.y.c1, outside.y.c0]
        .iter()
        .enumerate()
    {
        bytes[64 + 32 * k..96 + 32 * k].copy_from_slice(&part.into_bigint().to_bytes_be());
    }
    assert_eq!(
        Proof::from_bytes(&bytes),
        Err(DecodeError::NotInSubgroup {
            what: "proof point B"
        })
    );

    let mut off = a;
    off.x += Fq::one();
    assert_eq!(
        Proof::new(off, b, c),
        Err(DecodeError::NotOnCurve {
            what: "proof point A"
        })
    );
    let infinity = G1Affine::identity();
    assert_eq!(
        Proof::new(a, b, infinity),
        Err(DecodeError::Infinity {
            what: "proof point C"
        })
    );
    assert_eq!(
        Proof::from_bytes(&[0; PROOF_BYTES]),
        Err(DecodeError::Infinity {
            what: "proof point A"
        })
    );
    for range in [0..64, 64..192, 192..256] {
        let mut bytes = proof.to_bytes();
        bytes[range].fill(0);
        assert!(matches!(
            Proof::from_bytes(&bytes),
            Err(DecodeError::Infinity { .. })
        ));
    }
}

#[test]
fn a7_a_proof_has_one_encoding() {
    let proof = fixture(CHAIN).prove();
    let bytes = proof.to_bytes();
    let p: BigUint = Fq::MODULUS.into();
    for word in 0..PROOF_BYTES / 32 {
        let place = 32 * word..32 * (word + 1);
        let plus_p = (BigUint::from_bytes_be(&bytes[place.clone()]) + &p).to_bytes_be();
        let mut alias = bytes;
        alias[place].copy_from_slice(&plus_p);
        assert!(matches!(
            Proof::from_bytes(&alias),
            Err(DecodeError::CoordinateNotCanonical { .. })
        ));
    }
    for bit in 0..8 * PROOF_BYTES {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Proof::from_bytes(&flipped).is_err(), "bit {bit}");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    for wrong in [&bytes[..PROOF_BYTES - 1], &longer, &[]] {
        let length = DecodeError::Length {
            what: "proof",
            expected: PROOF_BYTES,
            got: wrong.len(),
        };
        assert_eq!(Proof::from_bytes(wrong), Err(length));
    }
    let mut compressed = Vec::new();
    proof
        .to_ark()
        .serialize_compressed(&mut compressed)
        .unwrap();
    compressed.resize(PROOF_BYTES, 0);
    assert!(Proof::from_bytes(&compressed).is_err());
}

/// Proofs are malleable by nature: other bytes verify for the same statement, and never for another.
#[test]
fn a8_mauled_proofs_prove_the_same_statement_only() {
    let fixture = fixture(CHAIN);
    let (key, proof) = (fixture.key.verifying_key(), fixture.prove());
    let mut rng = StdRng::seed_from_u64(8);
    let rerandomised = Groth16::<Bn254>::rerandomize_proof(key.ark(), &proof.to_ark(), &mut rng);
    let mauled = [
        Proof::from_ark(&rerandomised).unwrap(),
        Proof::new(-*proof.a(), -*proof.b(), *proof.c()).unwrap(),
    ];
    let mut other = fixture.inputs().to_vec();
    other[1] += Fr::one();
    for mauled in mauled {
        assert_ne!(mauled.to_bytes(), proof.to_bytes());
        assert_eq!(verify(key, fixture.inputs(), &mauled), Ok(()));
        assert!(verify(key, &other, &mauled).is_err());
    }
    for broken in [
        Proof::new(-*proof.a(), *proof.b(), *proof.c()),
        Proof::new(*proof.a(), *proof.b(), -*proof.c()),
        Proof::new(*proof.c(), *proof.b(), *proof.a()),
    ] {
        assert!(verify(key, fixture.inputs(), &broken.unwrap()).is_err());
    }
}

#[test]
fn a15_production_setups_differ_and_seeded_ones_are_marked() {
    let r1cs = R1cs::of(CHAIN).unwrap();
    let ids = [(); 2].map(|()| setup(&r1cs, "chain", b"").unwrap().verifying_key().id());
    assert_ne!(ids[0], ids[1]);
    let [one, same, other] =
        [1, 1, 2].map(|seed| setup_insecure_dev(&r1cs, "chain", b"", seed).unwrap());
    assert_eq!(one.verifying_key().id(), same.verifying_key().id());
    assert_ne!(one.verifying_key().id(), other.verifying_key().id());

    let bytes = one.verifying_key().to_bytes();
    let refused = VerifyingKey::from_bytes(&bytes, AllowDevKeys::No);
    assert!(
        matches!(refused, Err(KeyError::DevKey { .. })),
        "{refused:?}"
    );
    let key = VerifyingKey::from_bytes(&bytes, AllowDevKeys::Yes).unwrap();
    assert_eq!(
        (&key, key.info()),
        (one.verifying_key(), one.verifying_key().info())
    );
    assert_eq!(key.info().origin, Origin::Dev);

    let production = setup(&r1cs, "chain", b"").unwrap();
    let bytes = production.verifying_key().to_bytes();
    assert!(VerifyingKey::from_bytes(&bytes, AllowDevKeys::No).is_ok());
}

fn two_proofs(fixture: &Fixture) -> [(Vec<Fr>, Proof); 2] {
    [(); 2].map(|()| (fixture.inputs().to_vec(), fixture.prove()))
}

#[test]
fn a18_errors_that_cancel_are_found() {
    let fixture = fixture(CHAIN);
    let key = fixture.key.verifying_key();
    let honest = two_proofs(&fixture);
    assert_eq!(verify_many(key, &honest), Ok(()));
    let mut rng = StdRng::seed_from_u64(18);
    for _ in 0..20 {
        let shift = G1Projective::rand(&mut rng);
        let [mut first, mut second] = honest.clone();
        let move_c = |proof: &Proof, by: G1Projective| {
            Proof::new(*proof.a(), *proof.b(), affine(by + proof.c())).unwrap()
        };
        first.1 = move_c(&first.1, shift);
        second.1 = move_c(&second.1, -shift);
        assert!(matches!(
            verify_many(key, &[first, second]),
            Err(VerifyError::BatchRejected { count: 2, .. })
        ));
    }
    // Errors in the inputs that cancel in the sum.
    let [mut first, mut second] = honest;
    first.0[0] += Fr::one();
    second.0[0] -= Fr::one();
    assert!(verify_many(key, &[first, second]).is_err());
}

#[test]
fn a18_one_bad_proof_among_many_is_found() {
    let fixture = fixture(CHAIN);
    let key = fixture.key.verifying_key();
    let good = (fixture.inputs().to_vec(), fixture.prove());
    for bad in 0..5 {
        let mut proofs = vec![good.clone(); 5];
        assert_eq!(verify_many(key, &proofs), Ok(()));
        proofs[bad].0[2] += Fr::one();
        assert!(verify_many(key, &proofs).is_err());
    }
}
