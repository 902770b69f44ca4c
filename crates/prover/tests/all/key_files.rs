//! Key files: round trips, damage, hostile lengths, and what a setup leaves behind.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ark_bn254::Fr;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInteger, Field, PrimeField, UniformRand};
use prover::key::{
    AllowDevKeys, Degenerate, KeyError, KeyInfo, MAX_CONTRIBUTIONS, Origin, ProvingKey,
    VerifyingKey,
};
use prover::prove::{ProveError, prove};
use prover::setup::setup_insecure_dev;
use prover::verify::verify;
use r1cs::{R1cs, assignment_of};
use rand::SeedableRng;
use rand::rngs::OsRng;
use rand_chacha::ChaCha20Rng;
use tempfile::TempDir;

use crate::chain::Chain;
use crate::fixture::{CHAIN, fixture};

const TINY: Chain = Chain {
    steps: 1,
    start: 2,
    memo: 4,
};
/// Offsets of the header's fields.
const VERSION: usize = 8;
const FLAGS: usize = 12;
const FINGERPRINT: usize = 16;
const COUNTS: usize = 48;
const HEADER: usize = 96;

/// A saved key and everything to load it again.
struct Saved {
    key: ProvingKey,
    fingerprint: [u8; 32],
    bytes: Vec<u8>,
    path: PathBuf,
    directory: TempDir,
}

fn saved(chain: Chain) -> Saved {
    let r1cs = R1cs::of(chain).expect("a small key can be made, saved and read");
    let key = setup_insecure_dev(&r1cs, "tiny", b"one step", 5)
        .expect("a small key can be made, saved and read");
    let directory = TempDir::new().expect("a small key can be made, saved and read");
    let path = directory.path().join("tiny.pk");
    key.save(&path)
        .expect("a small key can be made, saved and read");
    Saved {
        key,
        fingerprint: r1cs.fingerprint(),
        bytes: fs::read(&path).expect("a small key can be made, saved and read"),
        path,
        directory,
    }
}

impl Saved {
    fn load(&self, bytes: &[u8]) -> Result<ProvingKey, KeyError> {
        fs::write(&self.path, bytes).expect("a small key can be made, saved and read");
        ProvingKey::load(&self.path, &self.fingerprint, AllowDevKeys::Yes)
    }

    /// Loads the key after `edit`, the checksum made good again.
    fn load_edited(&self, edit: impl FnOnce(&mut Vec<u8>)) -> Result<ProvingKey, KeyError> {
        let mut bytes = self.bytes.clone();
        bytes.truncate(bytes.len() - 32);
        edit(&mut bytes);
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        self.load(&bytes)
    }

    /// Length of the verifying key inside the file.
    fn verifying_bytes(&self) -> usize {
        self.key.verifying_key().to_bytes().len()
    }
}

#[test]
fn a_loaded_key_equals_the_saved_one_and_proves() {
    let chain = Chain::filling(10);
    let saved = saved(chain);
    let key = ProvingKey::load(&saved.path, &saved.fingerprint, AllowDevKeys::Yes).unwrap();
    assert_eq!(key, saved.key);
    let (r1cs, assignment) = (R1cs::of(chain).unwrap(), assignment_of(chain).unwrap());
    assert_eq!(key.domain_size(), 1 << 10);
    let proof = prove(&key, &r1cs, &assignment, &mut OsRng).unwrap();
    assert_eq!(
        verify(
            key.verifying_key(),
            &assignment[1..r1cs.num_instance()],
            &proof
        ),
        Ok(())
    );
}

#[test]
fn a_verifying_key_file_holds_the_whole_key() {
    let key = fixture(CHAIN).key;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("chain.vk");
    key.verifying_key().save(&path).unwrap();
    let loaded = VerifyingKey::load(&path, AllowDevKeys::Yes).unwrap();
    assert_eq!(loaded.to_bytes(), key.verifying_key().to_bytes());
    assert_eq!(loaded.info(), key.verifying_key().info());
    assert!(matches!(
        VerifyingKey::load(&path, AllowDevKeys::No),
        Err(KeyError::DevKey { .. })
    ));
    assert!(matches!(
        VerifyingKey::load(&directory.path().join("no.vk"), AllowDevKeys::No),
        Err(KeyError::Missing { .. })
    ));
}

#[test]
fn every_flipped_bit_of_a_proving_key_is_found() {
    let saved = saved(TINY);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(&saved.path)
        .unwrap();
    let mut put = |at: usize, byte: u8| {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    let load = || ProvingKey::load(&saved.path, &saved.fingerprint, AllowDevKeys::Yes);
    for (at, byte) in saved.bytes.iter().enumerate() {
        for bit in 0..8 {
            put(at, byte ^ (1 << bit));
            assert!(load().is_err(), "byte {at}, bit {bit}");
        }
        put(at, *byte);
    }
    assert_eq!(load().unwrap(), saved.key);
}

#[test]
fn every_flipped_bit_of_a_verifying_key_is_found() {
    let mut bytes = fixture(TINY).key.verifying_key().to_bytes();
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            VerifyingKey::from_bytes(&bytes, AllowDevKeys::Yes).is_err(),
            "bit {bit}"
        );
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(VerifyingKey::from_bytes(&bytes, AllowDevKeys::Yes).is_ok());
}

#[test]
fn a_truncated_or_extended_key_is_refused_at_every_length() {
    let saved = saved(TINY);
    let size = saved.bytes.len();
    for length in (0..HEADER + 64)
        .chain((HEADER + 64..size).step_by(37))
        .chain([size - 1])
    {
        let error = saved.load(&saved.bytes[..length]).unwrap_err();
        assert!(
            matches!(error, KeyError::Size { got, .. } if got == length as u64),
            "{length}: {error}"
        );
    }
    let longer = [&saved.bytes[..], &[0]].concat();
    assert!(
        matches!(saved.load(&longer), Err(KeyError::Size { expected, .. }) if expected == size as u64)
    );

    let verifying = saved.key.verifying_key().to_bytes();
    for length in 0..verifying.len() {
        assert!(
            VerifyingKey::from_bytes(&verifying[..length], AllowDevKeys::Yes).is_err(),
            "{length}"
        );
    }
    let longer = [&verifying[..], &[0]].concat();
    assert!(matches!(
        VerifyingKey::from_bytes(&longer, AllowDevKeys::Yes),
        Err(KeyError::Size { .. })
    ));
}

/// Refused before anything of that size is allocated: the counts must add up to the file's size.
#[test]
fn hostile_lengths_are_refused() {
    let saved = saved(TINY);
    for field in 0..6 {
        for hostile in [u64::MAX, 1 << 63, 1 << 40, (1 << 32) - 1, 1 << 27, 0] {
            let place = COUNTS + 8 * field;
            let result = saved.load_edited(|bytes| {
                bytes[place..place + 8].copy_from_slice(&hostile.to_le_bytes())
            });
            assert!(result.is_err(), "field {field}, {hostile}");
        }
    }
    let verifying = saved.key.verifying_key().to_bytes();
    let name_length = 48;
    let shape_length = name_length + 4 + "tiny".len();
    let ic_count = shape_length + 4 + "one step".len();
    for place in [name_length, shape_length, ic_count] {
        for hostile in [u32::MAX, 1 << 31, 1 << 16, 5_000, 0] {
            let mut bytes = verifying[..verifying.len() - 32].to_vec();
            bytes[place..place + 4].copy_from_slice(&hostile.to_le_bytes());
            let digest = blake3::hash(&bytes);
            bytes.extend_from_slice(digest.as_bytes());
            assert!(
                VerifyingKey::from_bytes(&bytes, AllowDevKeys::Yes).is_err(),
                "at {place}, {hostile}"
            );
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let saved = saved(TINY);
    let missing = ProvingKey::load(
        Path::new("/nonexistent/key"),
        &saved.fingerprint,
        AllowDevKeys::Yes,
    );
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("run the setup first")
    );
    let foreign = saved
        .load_edited(|bytes| bytes[..8].copy_from_slice(b"zkey\x01\0\0\0"))
        .unwrap_err();
    assert!(
        matches!(foreign, KeyError::ForeignMagic { .. }),
        "{foreign}"
    );
    let older = saved.load_edited(|bytes| bytes[VERSION] = 1).unwrap_err();
    assert!(
        matches!(
            older,
            KeyError::Version {
                expected: 2,
                got: 1,
                ..
            }
        ) && older.to_string().contains("`quire keys setup`"),
        "{older}"
    );
    let flags = saved.load_edited(|bytes| bytes[FLAGS] = 0x81).unwrap_err();
    assert!(
        matches!(flags, KeyError::Flags { flags: 0x81, .. }),
        "{flags}"
    );
    // What only a verifying key can have, in the header or in the key that it holds.
    let found = saved.load_edited(|bytes| bytes[FLAGS] = 2).unwrap_err();
    assert!(
        matches!(
            found,
            KeyError::Flags {
                kind: "proving key",
                flags: 2
            }
        ),
        "{found}"
    );
    let found = {
        let unknown = unknown(saved.key.verifying_key()).to_bytes();
        saved.load_edited(|bytes| bytes[HEADER..HEADER + unknown.len()].copy_from_slice(&unknown))
    };
    assert!(
        matches!(found, Err(KeyError::Inconsistent { what: "origin" })),
        "{found:?}"
    );
    let undeclared = saved.load_edited(|bytes| bytes[FLAGS] = 0).unwrap_err();
    assert!(
        matches!(undeclared, KeyError::Inconsistent { what: "origin" }),
        "{undeclared}"
    );
    let mut bytes = saved.bytes.clone();
    bytes[FINGERPRINT] ^= 1;
    let circuit = saved.load(&bytes).unwrap_err().to_string();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (expected, got) = (
        hex(&saved.fingerprint),
        hex(&bytes[FINGERPRINT..FINGERPRINT + 32]),
    );
    assert!(
        circuit.contains(&format!("expected fingerprint {expected}, got {got}")),
        "{circuit}"
    );
    bytes = saved.bytes.clone();
    bytes[HEADER + saved.verifying_bytes()] ^= 1;
    assert!(matches!(saved.load(&bytes), Err(KeyError::Checksum { .. })));
    let dev = {
        fs::write(&saved.path, &saved.bytes).unwrap();
        ProvingKey::load(&saved.path, &saved.fingerprint, AllowDevKeys::No)
    };
    assert!(matches!(dev, Err(KeyError::DevKey { .. })));
}

/// A key as it is found on a chain.
fn unknown(key: &VerifyingKey) -> VerifyingKey {
    let info = KeyInfo {
        origin: Origin::Unknown,
        ..key.info().clone()
    };
    VerifyingKey::new(key.ark().clone(), info).expect("the points are those of a good key")
}

/// The id is that of the points: what a file says of them does not change it, and another point does.
#[test]
fn a_key_has_one_id_wherever_it_is_found() {
    let key = saved(TINY).key.verifying_key().clone();
    let elsewhere = KeyInfo {
        name: String::new(),
        shape: Vec::new(),
        fingerprint: [0; 32],
        origin: Origin::Unknown,
    };
    let found = VerifyingKey::new(key.ark().clone(), elsewhere).unwrap();
    assert_eq!(found.id(), key.id());
    assert_ne!(found, key);
    let (bytes, points) = (key.to_bytes(), key.point_bytes());
    assert_eq!(blake3::hash(&points).as_bytes(), &key.id());
    assert!(bytes[..bytes.len() - 32].ends_with(&points));
    let mut other = key.ark().clone();
    other.gamma_abc_g1[1] = (-other.gamma_abc_g1[1].into_group()).into();
    let other = VerifyingKey::new(other, key.info().clone()).unwrap();
    assert_ne!(other.id(), key.id());
}

/// How a key was made is in both of its files, with the number of contributions.
#[test]
fn a_ceremonys_key_says_how_many_contributed() {
    let saved = saved(TINY);
    let with = |contributions| {
        let info = KeyInfo {
            origin: Origin::Ceremony { contributions },
            ..saved.key.verifying_key().info().clone()
        };
        ProvingKey::from_ark(saved.key.to_ark(), info)
    };
    for count in [1, 300, MAX_CONTRIBUTIONS] {
        let key = with(count).unwrap();
        key.save(&saved.path).unwrap();
        let back = ProvingKey::load(&saved.path, &saved.fingerprint, AllowDevKeys::No).unwrap();
        assert_eq!(back, key);
        let origin = back.verifying_key().info().origin;
        assert_eq!(
            origin,
            Origin::Ceremony {
                contributions: count
            }
        );
        assert_eq!(key.verifying_key().id(), saved.key.verifying_key().id());
        let bytes = key.verifying_key().to_bytes();
        let flags = bytes[FLAGS..FLAGS + 4].try_into().unwrap();
        assert_eq!(u32::from_le_bytes(flags), 3 + 256 * count);
    }
    for count in [0, MAX_CONTRIBUTIONS + 1] {
        let refused = with(count).unwrap_err();
        assert!(matches!(refused, KeyError::OutOfRange { .. }), "{refused}");
    }
}

/// A device that never ends is no key.
#[cfg(unix)]
#[test]
fn key_files_without_an_end_are_refused() {
    let endless = std::path::Path::new("/dev/zero");
    let refused = VerifyingKey::load(endless, AllowDevKeys::Yes).unwrap_err();
    assert!(matches!(refused, KeyError::TooLong(_)), "{refused}");
    let refused = ProvingKey::load(endless, &[0; 32], AllowDevKeys::Yes).unwrap_err();
    assert!(
        matches!(refused, KeyError::Size { got: 0, .. }),
        "{refused}"
    );
}

/// A key of unknown origin is one for verifying: it keeps its mark, and nothing is deployed with it.
#[test]
fn a_key_found_on_a_chain_is_marked_and_makes_no_proving_key() {
    let saved = saved(TINY);
    let dev = saved.key.verifying_key();
    let key = unknown(dev);
    let bytes = key.to_bytes();
    assert_eq!(bytes[FLAGS..FLAGS + 4], [2, 0, 0, 0]);
    let back = VerifyingKey::from_bytes(&bytes, AllowDevKeys::No).expect("it passes");
    assert_eq!((&back, back.info()), (&key, key.info()));
    assert_eq!(back.info().origin, Origin::Unknown);
    assert_ne!(&back, dev);
    assert!(back.check_origin(AllowDevKeys::No).is_ok());
    let refused = back.check_origin_known();
    assert!(
        matches!(refused, Err(KeyError::UnknownOrigin { .. })),
        "{refused:?}"
    );
    assert!(dev.check_origin_known().is_ok());
    let both = [&bytes[..FLAGS], &[3], &bytes[FLAGS + 1..]].concat();
    let refused = VerifyingKey::from_bytes(&both, AllowDevKeys::Yes);
    assert!(
        matches!(refused, Err(KeyError::Flags { flags: 3, .. })),
        "{refused:?}"
    );
    let proving = ProvingKey::from_ark(saved.key.to_ark(), key.info().clone());
    assert!(
        matches!(proving, Err(KeyError::UnknownOrigin { .. })),
        "no proving key is of unknown origin"
    );
}

/// With a good checksum, what the prover's arithmetic relies on is still checked.
#[test]
fn crafted_contents_are_refused() {
    let saved = saved(TINY);
    let points = HEADER + saved.verifying_bytes();
    let unreduced = saved
        .load_edited(|bytes| bytes[points + 64..points + 96].fill(0xff))
        .unwrap_err();
    assert!(
        matches!(
            unreduced,
            KeyError::RawPoint {
                section: "beta and delta in G1",
                index: 1
            }
        ),
        "{unreduced}"
    );
    let variables = points + 128;
    let swapped = saved
        .load_edited(|bytes| bytes.copy_within(variables..variables + 4, variables + 4))
        .unwrap_err();
    assert!(
        matches!(
            swapped,
            KeyError::VariableList {
                section: "A variables",
                ..
            }
        ),
        "{swapped}"
    );
    let count = saved.bytes[COUNTS + 16..COUNTS + 24].try_into().unwrap();
    let last = variables + 4 * (usize::try_from(u64::from_le_bytes(count)).unwrap() - 1);
    let beyond = saved
        .load_edited(|bytes| bytes[last..last + 4].fill(0xff))
        .unwrap_err();
    assert!(
        matches!(
            beyond,
            KeyError::VariableList {
                section: "A variables",
                ..
            }
        ),
        "{beyond}"
    );
    let other_key = fixture(CHAIN).key.verifying_key().to_bytes();
    let swapped_key = saved.load_edited(|bytes| {
        bytes.splice(HEADER..points, other_key.iter().copied());
        let length = (other_key.len() as u64).to_le_bytes();
        bytes[COUNTS..COUNTS + 8].copy_from_slice(&length);
    });
    assert!(matches!(swapped_key, Err(KeyError::WrongCircuit { .. })));
}

/// Whoever alters `β` or `δ` in G1 and makes the checksum good again gets no key that proves: with `δ` at
/// infinity, and B with it, proofs would verify and their A would be a fixed function of the witness.
#[test]
fn a_key_that_would_not_blind_is_refused() {
    let saved = saved(TINY);
    let points = HEADER + saved.verifying_bytes();
    let unblinded = |error: KeyError| {
        assert!(
            matches!(error, KeyError::Degenerate(Degenerate::Unblinded)),
            "{error}"
        );
    };
    let bad_point = |error: KeyError, fault: &str| {
        assert!(
            matches!(error, KeyError::Degenerate(Degenerate::Point(_))),
            "{error}"
        );
        assert!(error.to_string().contains(fault), "{error}");
    };
    let (beta, delta) = (points..points + 64, points + 64..points + 128);
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| saved.load_edited(edit).unwrap_err();
    let zeros = |range: std::ops::Range<usize>| edited(&|bytes| bytes[range.clone()].fill(0));
    bad_point(zeros(beta.clone()), "beta in G1");
    bad_point(zeros(delta.clone()), "delta in G1");
    bad_point(zeros(points..points + 128), "beta in G1");
    bad_point(edited(&|bytes| bytes[delta.start] ^= 1), "not on the curve");
    // Points of the curve, and not the right ones.
    unblinded(edited(&|bytes| {
        bytes.copy_within(beta.clone(), delta.start)
    }));
    unblinded(edited(&|bytes| {
        bytes.copy_within(delta.clone(), beta.start)
    }));
    let ark = saved.key.to_ark();
    let info = saved.key.verifying_key().info();
    let identity = ark_bn254::G1Affine::identity();
    for (beta, delta) in [
        (ark.beta_g1, -ark.delta_g1),
        (-ark.beta_g1, ark.delta_g1),
        (ark.delta_g1, ark.beta_g1),
    ] {
        let mut key = ark.clone();
        (key.beta_g1, key.delta_g1) = (beta, delta);
        unblinded(ProvingKey::from_ark(key, info.clone()).unwrap_err());
    }
    // Both of another generator: blinded, and no proof.
    let mut key = ark.clone();
    (key.beta_g1, key.delta_g1) = (-ark.beta_g1, -ark.delta_g1);
    let key = ProvingKey::from_ark(key, info.clone()).unwrap();
    let (r1cs, assignment) = (R1cs::of(TINY).unwrap(), assignment_of(TINY).unwrap());
    let error = prove(&key, &r1cs, &assignment, &mut OsRng).unwrap_err();
    assert!(matches!(error, ProveError::SelfCheck(_)), "{error}");
    let mut key = ark.clone();
    (key.delta_g1, key.b_g1_query) = (identity, vec![identity; ark.b_g1_query.len()]);
    bad_point(
        ProvingKey::from_ark(key, info.clone()).unwrap_err(),
        "delta in G1",
    );
}

/// No point of a proof is a function of the witness.
#[test]
fn two_proofs_of_one_witness_have_no_point_in_common() {
    let saved = saved(TINY);
    let (r1cs, assignment) = (R1cs::of(TINY).unwrap(), assignment_of(TINY).unwrap());
    let [first, second] = [(); 2].map(|()| prove(&saved.key, &r1cs, &assignment, &mut OsRng));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.a(), second.a());
    assert_ne!(first.b(), second.b());
    assert_ne!(first.c(), second.c());
}

/// The secrets of a seeded setup are known here: none of them is in the file in any spelling, and a
/// setup leaves nothing but the file.
#[test]
fn a16_a_key_file_holds_no_secret_and_has_no_companion() {
    let saved = saved(TINY);
    let names: Vec<_> = fs::read_dir(saved.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["tiny.pk"]);

    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let secrets: Vec<Fr> = (0..5).map(|_| Fr::rand(&mut rng)).collect();
    let delta_g1 = (ark_bn254::G1Affine::generator() * secrets[4]).into_affine();
    assert_eq!(
        saved.key.to_ark().delta_g1,
        delta_g1,
        "these are the setup's secrets"
    );
    let contains = |needle: &[u8]| {
        saved
            .bytes
            .windows(needle.len())
            .any(|window| window == needle)
    };
    for secret in secrets {
        for value in [secret, secret.inverse().unwrap()] {
            let montgomery: Vec<u8> = value
                .0
                .0
                .iter()
                .flat_map(|limb| limb.to_le_bytes())
                .collect();
            let plain = value.into_bigint();
            for spelling in [montgomery, plain.to_bytes_le(), plain.to_bytes_be()] {
                assert!(!contains(&spelling) && !contains(&spelling[8..24]));
            }
        }
    }
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let saved = saved(TINY);
    let nowhere = saved.directory.path().join("missing").join("tiny.pk");
    assert!(matches!(
        saved.key.save(&nowhere),
        Err(KeyError::Io {
            action: "create a draft of it",
            ..
        })
    ));
    let blocked = saved.directory.path().join("folder");
    fs::create_dir(&blocked).unwrap();
    assert!(matches!(
        saved.key.save(&blocked),
        Err(KeyError::Io {
            action: "put it in place",
            ..
        })
    ));
    assert_eq!(fs::read(&saved.path).unwrap(), saved.bytes);
    assert_eq!(
        fs::read_dir(saved.directory.path()).unwrap().count(),
        2,
        "no temporary file stays"
    );
}
