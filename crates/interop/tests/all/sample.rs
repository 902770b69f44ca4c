//! A small circuit with every kind of coefficient, its keys and files.

use std::io::Cursor;

use ark_bn254::Fr;
use ark_ff::Field;
use interop::ceremony;
use interop::ptau::{self, Ptau};
use interop::zkey::Zkey;
use r1cs::{R1cs, Rows};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// An open file in memory.
pub fn open(bytes: &[u8]) -> Cursor<&[u8]> {
    Cursor::new(bytes)
}

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// `z = x⁵ + 7x + y·2^200 - 3`, two public inputs `z`, `y`, witnesses `x`, `x²`, `x⁴`.
pub fn circuit() -> R1cs {
    let one = Fr::ONE;
    let [seven, three, large] = [Fr::from(7u64), Fr::from(3u64), Fr::from(2u64).pow([200])];
    let (z, y, x, x2, x4) = (1, 2, 3, 4, 5);
    let mut rows = Rows::new(3, 3).unwrap();
    rows.push([&[(x, one)], &[(x, one)], &[(x2, one)]]).unwrap();
    rows.push([&[(x2, one)], &[(x2, one)], &[(x4, one)]])
        .unwrap();
    let rest = [(z, one), (x, -seven), (y, -large), (0, three)];
    rows.push([&[(x4, one)], &[(x, one)], &rest]).unwrap();
    rows.finish().unwrap()
}

/// A satisfying assignment.
pub fn assignment() -> Vec<Fr> {
    let (x, y) = (Fr::from(11u64), Fr::from(5u64));
    let (x2, x4) = (x.square(), x.square().square());
    let z = x4 * x + Fr::from(7u64) * x + y * Fr::from(2u64).pow([200]) - Fr::from(3u64);
    vec![Fr::ONE, z, y, x, x2, x4]
}

/// A file of trial powers.
pub fn powers(power: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    ptau::write_trial(&mut bytes, power, &mut rng(7)).unwrap();
    bytes
}

/// The key before any contribution.
pub fn initial_key(powers: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut ptau = Ptau::open(open(powers)).unwrap();
    ceremony::new_key(&circuit(), &mut ptau, &mut bytes).unwrap();
    bytes
}

/// The key after two people and a beacon.
pub fn final_key(powers: &[u8]) -> Vec<u8> {
    let mut key = initial_key(powers);
    for (seed, name) in [(1, Some("first")), (2, None)] {
        let mut next = Vec::new();
        let mut from = Zkey::open(open(&key)).unwrap();
        ceremony::contribute(&mut from, &mut next, name, &mut rng(seed)).unwrap();
        key = next;
    }
    let mut last = Vec::new();
    let mut from = Zkey::open(open(&key)).unwrap();
    ceremony::beacon(&mut from, &mut last, Some("beacon"), &[1, 2, 3], 10).unwrap();
    last
}
