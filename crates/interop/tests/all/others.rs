//! Files that circom 2.2, snarkjs 0.7.6 and rapidsnark wrote, read as they are; and what each of them
//! turns into when it is not right. The files are in `tests/data`.

use ::r1cs::Rows;
use ark_bn254::Fr;
use interop::ceremony::{beacon, contribute, new_key, verify};
use interop::ptau::Ptau;
use interop::zkey::Zkey;
use interop::{FormatError, json, r1cs};
use prover::key::{KeyInfo, Origin, VerifyingKey};

use crate::forger::section;
use crate::sample::{open, rng};

const POWERS: &[u8] = include_bytes!("../data/pot5.ptau");
const BELLMAN: &[u8] = include_bytes!("../data/plain.bellman.zkey");
const PLONK: &[u8] = include_bytes!("../data/plain.plonk.zkey");

macro_rules! circuits {
    ($($name:literal),*) => {
        [$((
            $name,
            include_bytes!(concat!("../data/", $name, ".r1cs")).as_slice(),
            include_bytes!(concat!("../data/", $name, ".snarkjs.zkey")).as_slice(),
        )),*]
    };
}

/// Circuits with the keys that `snarkjs groth16 setup` makes of them.
fn circuits() -> [(&'static str, &'static [u8], &'static [u8]); 4] {
    circuits!["plain", "pragma_only", "unsorted_wires", "unused_private"]
}

fn powers() -> Ptau<std::io::Cursor<&'static [u8]>> {
    Ptau::open(open(POWERS)).unwrap()
}

/// The same key from the same circuit and powers, whichever program makes it: all that a contribution
/// leaves as it is, the coefficients byte for byte; and the contribution of snarkjs holds.
#[test]
fn a_new_key_is_the_one_that_snarkjs_makes() {
    for (name, circuit, theirs) in circuits() {
        let (circuit, _) = r1cs::read(open(circuit)).unwrap();
        let mut ours = Vec::new();
        let hash = new_key(&circuit, &mut powers(), &mut ours).unwrap();
        let mut zkey = Zkey::open(open(theirs)).unwrap();
        assert_eq!(hash, zkey.transcript().circuit, "{name}");
        verify(&circuit, &mut powers(), &mut zkey).unwrap();
        for id in [1, 3, 4, 5, 6, 7] {
            let [(start, end), (from, to)] = [&ours[..], theirs].map(|key| section(key, id));
            let same = ours[start..end] == theirs[from..to];
            assert!(same, "{name}: section {id}");
        }
    }
}

/// A ceremony that snarkjs began goes on here, and holds.
#[test]
fn a_ceremony_that_snarkjs_began_is_finished_here() {
    for (name, circuit, theirs) in circuits() {
        let (circuit, _) = r1cs::read(open(circuit)).unwrap();
        let [mut first, mut last] = [(); 2].map(|()| Vec::new());
        let mut from = Zkey::open(open(theirs)).unwrap();
        contribute(&mut from, &mut first, Some("ours"), &mut rng(1)).unwrap();
        let mut from = Zkey::open(open(&first)).unwrap();
        beacon(&mut from, &mut last, None, &[1, 2, 3], 10).unwrap();
        let mut zkey = Zkey::open(open(&last)).unwrap();
        verify(&circuit, &mut powers(), &mut zkey)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The order of terms is the file's, and another order is another file's key.
#[test]
fn terms_keep_the_order_of_their_file() {
    let (name, circuit, theirs) = circuits()[2];
    assert_eq!(name, "unsorted_wires");
    let (circuit, _) = r1cs::read(open(circuit)).unwrap();
    let mut zkey = Zkey::open(open(theirs)).unwrap();
    zkey.check_circuit(&circuit).unwrap();
    let error = zkey.check_circuit(&circuit.r1cs).unwrap_err();
    assert!(
        matches!(
            error,
            FormatError::Disagree {
                what: "a coefficient",
                ..
            }
        ),
        "{error}"
    );
}

/// `0·x` in a linear combination, which some compilers write, is a coefficient of the key.
#[test]
fn a_zero_in_a_circuit_is_kept() {
    let one = Fr::from(1u64);
    let mut rows = Rows::new(2, 2).unwrap();
    let both = [(2, one), (3, one)];
    rows.push([&both, &[(2, one)], &[(1, one)]]).unwrap();
    let mut bytes = Vec::new();
    r1cs::write(&mut bytes, &rows.finish().unwrap()).unwrap();
    // The coefficient of the second term of A.
    let (start, _) = section(&bytes, 2);
    bytes[start + 4 + 36 + 4] = 0;
    let (circuit, _) = r1cs::read(open(&bytes)).unwrap();
    assert_eq!(circuit.r1cs.a().non_zeros(), 1);
    let [mut key, mut next] = [(); 2].map(|()| Vec::new());
    new_key(&circuit, &mut powers(), &mut key).unwrap();
    let mut from = Zkey::open(open(&key)).unwrap();
    let mut values = Vec::new();
    from.coefficients(|one| {
        values.push((one.matrix, one.row, one.wire, one.value));
        Ok(())
    })
    .unwrap();
    assert_eq!(
        values[..3],
        [(0, 0, 2, one), (0, 0, 3, Fr::from(0u64)), (1, 0, 2, one)]
    );
    contribute(&mut from, &mut next, None, &mut rng(1)).unwrap();
    let mut zkey = Zkey::open(open(&next)).unwrap();
    verify(&circuit, &mut powers(), &mut zkey).unwrap();
}

#[test]
fn a_contribution_in_bellmans_form_is_accepted() {
    let (_, circuit, _) = circuits()[0];
    let (circuit, _) = r1cs::read(open(circuit)).unwrap();
    let mut zkey = Zkey::open(open(BELLMAN)).unwrap();
    assert_eq!(zkey.transcript().contributions.len(), 2);
    verify(&circuit, &mut powers(), &mut zkey).unwrap();
    // And the next one, of ours.
    let mut next = Vec::new();
    contribute(&mut zkey, &mut next, None, &mut rng(1)).unwrap();
    let mut zkey = Zkey::open(open(&next)).unwrap();
    verify(&circuit, &mut powers(), &mut zkey).unwrap();
    // Each point of its H counts.
    let (start, end) = section(BELLMAN, 9);
    for place in (start..end).step_by(64) {
        let mut bad = BELLMAN.to_vec();
        let next = if place + 64 < end { place + 64 } else { start };
        bad.copy_within(next..next + 64, place);
        let mut zkey = Zkey::open(open(&bad)).unwrap();
        let error = verify(&circuit, &mut powers(), &mut zkey).unwrap_err();
        assert!(error.to_string().contains("the H query"), "{error}");
    }
}

/// Keys of other proof systems are named for what they are, although their sections are unknown.
#[test]
fn keys_of_other_proof_systems_are_named() {
    let error = Zkey::open(open(PLONK)).unwrap_err();
    assert!(matches!(error, FormatError::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("is for PLONK"), "{error}");
    let (start, _) = section(PLONK, 1);
    for (protocol, name) in [(10u8, "FFLONK"), (7, "number 7")] {
        let mut other = PLONK.to_vec();
        other[start] = protocol;
        let error = Zkey::open(open(&other)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    // Groth16 with sections that it does not have.
    let mut other = PLONK.to_vec();
    other[start] = 1;
    let error = Zkey::open(open(&other)).unwrap_err();
    assert!(
        matches!(error, FormatError::UnknownSection { section: 11, .. }),
        "{error}"
    );
    let key = include_bytes!("../data/plain.plonk_vk.json");
    let error = json::read_verifying_key(key).unwrap_err();
    assert!(error.to_string().contains("is for plonk"), "{error}");
}

/// Sections for custom gates are in every file whose source allows gates; used ones are refused.
#[test]
fn custom_gates_are_refused_where_they_are_used() {
    let (_, good, _) = circuits()[1];
    for id in [4, 5] {
        let (start, end) = section(good, id);
        assert_eq!(good[start..end], [0; 4]);
        let mut used = good.to_vec();
        used[start] = 2;
        let error = r1cs::read(open(&used)).unwrap_err();
        assert!(
            matches!(error, FormatError::CustomGates { count: 2 }),
            "{error}"
        );
        assert!(error.to_string().contains("custom gates"), "{error}");
        // Something behind a count of none.
        let mut longer = good[..end].to_vec();
        longer[start - 8] += 1;
        longer.push(0);
        longer.extend_from_slice(&good[end..]);
        let error = r1cs::read(open(&longer)).unwrap_err();
        assert!(matches!(error, FormatError::Size { .. }), "{error}");
    }
}

/// More private inputs than wires: the compiler removed those that no constraint needs.
#[test]
fn removed_private_inputs_are_no_fault() {
    let (_, good, _) = circuits()[3];
    let (circuit, counts) = r1cs::read(open(good)).unwrap();
    assert_eq!((counts.wires, counts.private_inputs), (1, 2));
    assert_eq!(circuit.r1cs.num_variables(), 1);
    // Public ones are never removed.
    let (start, _) = section(good, 1);
    for at in [40, 44] {
        let mut bad = good.to_vec();
        bad[start + at] = 1;
        let error = r1cs::read(open(&bad)).unwrap_err();
        assert!(error.to_string().contains("public inputs"), "{error}");
    }
}

/// Whoever's spelling, the proof holds under the key, and for no other input.
#[test]
fn proofs_of_other_provers_verify() {
    let keys = [
        include_bytes!("../data/vk.json").as_slice(),
        include_bytes!("../data/vk_bn254.json"),
    ];
    let proofs = [
        include_bytes!("../data/pr.json").as_slice(),
        include_bytes!("../data/pr_bn254.json"),
        include_bytes!("../data/pr_nocurve.json"),
    ];
    let inputs = json::read_public(include_bytes!("../data/pu.json")).unwrap();
    let mut other = inputs.clone();
    other[1] += Fr::from(1u64);
    let mut ids = Vec::new();
    for key in keys {
        let info = KeyInfo {
            name: String::new(),
            shape: Vec::new(),
            fingerprint: [0; 32],
            origin: Origin::Unknown,
        };
        let key = VerifyingKey::new(json::read_verifying_key(key).unwrap(), info).unwrap();
        for proof in proofs {
            let proof = json::read_proof(proof).unwrap();
            prover::verify::verify(&key, &inputs, &proof).unwrap();
            assert!(prover::verify::verify(&key, &other, &proof).is_err());
        }
        ids.push(key.id());
    }
    assert_eq!(ids[0], ids[1]);
}

/// What is written has every value that snarkjs writes, the pairing of α and β included.
#[test]
fn a_verifying_key_is_written_as_snarkjs_writes_it() {
    let theirs = include_bytes!("../data/vk.json");
    let ours = json::verifying_key(&json::read_verifying_key(theirs).unwrap());
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    assert_eq!(value(ours.as_bytes()), value(theirs));
    assert!(
        ours.starts_with(
            "{\n \"protocol\": \"groth16\",\n \"curve\": \"bn128\",\n \"nPublic\": 2,"
        )
    );
    assert!(ours.ends_with("]\n}"));
}
