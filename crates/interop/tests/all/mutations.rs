//! Every reader on files that are nearly right: refused with a reason, or the same meaning.

use interop::FormatError;
use interop::ptau::Ptau;
use interop::zkey::Zkey;
use interop::{r1cs, wtns};
use rand_chacha::rand_core::RngCore;

use crate::forger::sections;
use crate::sample::{assignment, circuit, final_key, open, powers, rng};

/// A circuit with terms out of order.
const UNSORTED: &[u8] = include_bytes!("../data/unsorted_wires.r1cs");

type Check = fn(&[u8]) -> Result<(), FormatError>;

fn read_r1cs(bytes: &[u8]) -> Result<(), FormatError> {
    r1cs::read(open(bytes)).map(drop)
}

fn read_wtns(bytes: &[u8]) -> Result<(), FormatError> {
    wtns::read(open(bytes)).map(drop)
}

fn read_zkey(bytes: &[u8]) -> Result<(), FormatError> {
    let mut zkey = Zkey::open(open(bytes))?;
    zkey.coefficients(|_| Ok(()))?;
    zkey.proving_key().map(drop)
}

fn read_ptau(bytes: &[u8]) -> Result<(), FormatError> {
    let mut ptau = Ptau::open(open(bytes))?;
    let (_alpha, _beta, _beta_g2) = ptau.fixed()?;
    let all = ptau.tau_g1(0, (2 << ptau.power()) - 1)?;
    assert!(!all.is_empty());
    ptau.bases(ptau.power()).map(drop)
}

fn files() -> Vec<(&'static str, Vec<u8>, Check)> {
    let powers = powers(3);
    let (mut constraints, mut witness) = (Vec::new(), Vec::new());
    r1cs::write(&mut constraints, &circuit()).unwrap();
    wtns::write(&mut witness, &assignment()).unwrap();
    vec![
        ("r1cs", constraints, read_r1cs as Check),
        ("r1cs", UNSORTED.to_vec(), read_r1cs),
        ("wtns", witness, read_wtns),
        ("zkey", final_key(&powers), read_zkey),
        ("ptau", powers, read_ptau),
    ]
}

/// Cut anywhere, or with something behind it.
#[test]
fn files_that_are_cut_off_are_refused() {
    for (name, good, check) in files() {
        check(&good).unwrap();
        let step = (good.len() / 150).max(1);
        for length in (0..good.len()).step_by(step).chain([good.len() - 1]) {
            assert!(check(&good[..length]).is_err(), "{name} of {length} bytes");
        }
        let longer = [&good[..], &[0]].concat();
        assert!(
            matches!(check(&longer), Err(FormatError::Size { .. })),
            "{name}"
        );
    }
}

/// Magic, version, number of sections, and each section missing, twice, unknown, too long, too short.
#[test]
fn tables_of_sections_are_checked() {
    for (name, good, check) in files() {
        for (at, expected) in [(0, "starts with"), (4, "version")] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let error = check(&bad).unwrap_err();
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
        for count in [0u32, u32::MAX] {
            let mut bad = good.clone();
            bad[8..12].copy_from_slice(&count.to_le_bytes());
            assert!(check(&bad).is_err(), "{name} with {count} sections");
        }
        for (id, start, end) in sections(&good) {
            let head = start - 12;
            let mut missing = [&good[..head], &good[end..]].concat();
            missing[8] -= 1;
            // What this program does not use may be missing.
            let optional = (name, id) == ("ptau", 7);
            assert_eq!(check(&missing).is_ok(), optional, "{name} without {id}");
            let mut twice = [&good[..end], &good[head..]].concat();
            twice[8] += 1;
            let error = check(&twice).unwrap_err();
            assert!(
                matches!(error, FormatError::DuplicateSection { .. }),
                "{error}"
            );
            let mut unknown = good.clone();
            unknown[head] = 99;
            let error = check(&unknown).unwrap_err();
            assert!(
                matches!(error, FormatError::UnknownSection { .. }),
                "{error}"
            );
            for size in [0u64, (end - start) as u64 - 1, 1 << 40, u64::MAX] {
                let mut bad = good.clone();
                bad[head + 4..head + 12].copy_from_slice(&size.to_le_bytes());
                assert!(check(&bad).is_err(), "{name}: section {id} of {size}");
            }
        }
    }
}

/// Every byte of every header, and of what follows a good many.
#[test]
fn headers_are_checked_byte_by_byte() {
    for (name, good, check) in files() {
        let (_, start, end) = sections(&good)[usize::from(name == "zkey")];
        let mut accepted = Vec::new();
        for at in start..end {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if check(&bad).is_ok() {
                    accepted.push(at - start);
                }
            }
        }
        accepted.dedup();
        // What the constraints leave open: how wires are split, and how many labels there were.
        let free: Vec<usize> = match name {
            "r1cs" => accepted
                .iter()
                .copied()
                .filter(|at| !(40..60).contains(at))
                .collect(),
            // The ceremony's own power, which is larger or equal.
            "ptau" => accepted
                .iter()
                .copied()
                .filter(|at| !(40..44).contains(at))
                .collect(),
            _ => accepted,
        };
        assert!(free.is_empty(), "{name}: {free:?}");
    }
}

/// Points off the curve and outside the subgroup, and coordinates that are not reduced.
#[test]
fn points_are_checked_wherever_they_stand() {
    for (name, good, check) in files().into_iter().skip(3) {
        for (id, start, end) in sections(&good) {
            let skipped = match name {
                "zkey" => matches!(id, 1 | 2 | 4 | 10),
                _ => matches!(id, 1 | 7),
            };
            if skipped {
                continue;
            }
            // A coordinate of the last point, and the whole point.
            for (at, bytes) in [
                (end - 64, vec![0xff; 32]),
                (end - 64, 1u8.to_le_bytes().to_vec()),
            ] {
                let mut bad = good.clone();
                bad[at..at + bytes.len()].copy_from_slice(&bytes);
                let result = check(&bad);
                // Only what is used is read of the powers.
                let used = name == "zkey" || matches!(id, 2 | 6 | 12 | 13 | 14 | 15);
                let refused = matches!(result, Err(FormatError::Point { .. }));
                assert!(refused || !used, "{name}: section {id} at {}", at - start);
            }
        }
    }
    outside_the_subgroup();
}

fn outside_the_subgroup() {
    use ark_bn254::{Fq2, G2Affine};
    use interop::error::PointFault;
    use interop::points::{Infinity, Point};
    let mut x = 1u64;
    let point = loop {
        let found = G2Affine::get_point_from_x_unchecked(Fq2::from(x), false);
        match found {
            Some(point) if !point.is_in_correct_subgroup_assuming_on_curve() => break point,
            _ => x += 1,
        }
    };
    let mut bytes = Vec::new();
    point.encode(&mut bytes);
    assert_eq!(
        G2Affine::decode(&bytes, Infinity::Refused),
        Err(PointFault::NotInSubgroup)
    );
    assert_eq!(
        G2Affine::decode(&[0; 128], Infinity::Refused),
        Err(PointFault::Infinity)
    );
    assert!(G2Affine::decode(&[0; 128], Infinity::Allowed).is_ok());
    assert_eq!(
        G2Affine::decode(&bytes[..127], Infinity::Allowed),
        Err(PointFault::Coordinate)
    );
}

/// Random changes with a fixed seed: never a panic, and never memory beyond the file's size.
#[test]
fn random_changes_are_survived() {
    let mut rng = rng(6);
    for (name, good, check) in files() {
        let mut refused = 0;
        for _ in 0..150 {
            let mut bytes = good.clone();
            for _ in 0..1 + rng.next_u32() % 3 {
                let at = usize::try_from(rng.next_u64() % bytes.len() as u64).unwrap();
                bytes[at] = u8::try_from(rng.next_u32() % 256).unwrap();
            }
            refused += u32::from(check(&bytes).is_err());
        }
        assert!(refused > 50, "{name}: {refused}");
    }
}
