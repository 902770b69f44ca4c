//! Gadgets on their own: their rows, the witness they make, and numbers to try them on.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ark_ff::{AdditiveGroup, Field, PrimeField, UniformRand};
use ark_relations::gr1cs::ConstraintSystem;
use circuits::{
    babyjubjub::{Edwards, subgroup_order},
    num::{Cs, Num},
    shapes::Compiled,
};
use ledger::{babyjubjub::Point, field::Fr};
use num_bigint::BigUint;
use r1cs::R1cs;
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A gadget's rows with their rules, its witness, and what it returned.
pub struct Recorded<T> {
    pub compiled: Compiled,
    pub assignment: Vec<Fr>,
    pub output: T,
}

impl<T> Recorded<T> {
    /// Whether the gadget's own witness satisfies it.
    pub fn holds(&self) -> bool {
        self.compiled.r1cs.is_satisfied(&self.assignment).is_ok()
    }
}

/// Records a gadget alone. What it takes with [`Cs::input`] is held fixed by a verifier.
pub fn record<T>(gadget: impl FnOnce(&Cs) -> T) -> Recorded<T> {
    let rows = ConstraintSystem::<Fr>::new_ref();
    let cs = Cs::with_rows(rows.clone());
    let output = gadget(&cs);
    let compiled = Compiled {
        r1cs: R1cs::from_constraint_system(&rows).unwrap(),
        rules: cs.rule_map(),
    };
    let rows = rows.borrow().unwrap();
    let mut assignment = rows.assignments.instance_assignment.clone();
    assignment.extend_from_slice(&rows.assignments.witness_assignment);
    Recorded {
        compiled,
        assignment,
        output,
    }
}

/// Whether a gadget's own witness satisfies it.
pub fn holds<T>(gadget: impl FnOnce(&Cs) -> T) -> bool {
    record(gadget).holds()
}

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Small, large, or anything.
pub fn field(rng: &mut ChaCha8Rng) -> Fr {
    match rng.gen_range(0..8) {
        0 => Fr::ZERO,
        1 => Fr::ONE,
        2 => -Fr::ONE,
        3 => Fr::from(rng.r#gen::<u64>()),
        _ => Fr::rand(rng),
    }
}

pub fn fields(rng: &mut ChaCha8Rng, count: usize) -> Vec<Fr> {
    (0..count).map(|_| field(rng)).collect()
}

pub fn point(cs: &Cs, point: &Point) -> Edwards {
    Edwards {
        x: cs.input(point.x),
        y: cs.input(point.y),
    }
}

pub fn values(point: &Edwards) -> Point {
    Point {
        x: point.x.value(),
        y: point.y.value(),
    }
}

pub fn inputs(cs: &Cs, values: &[Fr]) -> Vec<Num> {
    values.iter().map(|value| cs.input(*value)).collect()
}

/// `l`.
pub fn order() -> BigUint {
    subgroup_order()
}

/// `r`.
pub fn modulus() -> BigUint {
    BigUint::from(Fr::MODULUS)
}

pub fn power(exponent: usize) -> BigUint {
    BigUint::from(1u8) << exponent
}

pub fn random_below(rng: &mut ChaCha8Rng, limit: &BigUint) -> BigUint {
    let bytes: Vec<u8> = (0..40).map(|_| rng.r#gen()).collect();
    BigUint::from_bytes_le(&bytes) % limit
}

/// The eight points whose order divides the cofactor, the identity first.
pub fn torsion() -> Vec<Point> {
    let order = order();
    let mut bits: Vec<bool> = (0..order.bits()).map(|i| order.bit(i)).collect();
    bits.reverse();
    let times_order = |p: &Point| {
        bits.iter().fold(Point::identity(), |sum, bit| {
            let sum = sum.double();
            if *bit { sum.add(p) } else { sum }
        })
    };
    // l times a point of full order generates them.
    let generator = (1u64..)
        .filter_map(|y| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&y.to_le_bytes());
            Point::unpack(&bytes).ok()
        })
        .map(|p| times_order(&p))
        .find(|p| p.double().double() != Point::identity())
        .unwrap();
    let all: Vec<Point> =
        std::iter::successors(Some(Point::identity()), |p| Some(p.add(&generator)))
            .take(8)
            .collect();
    assert_eq!(all[7].add(&generator), Point::identity());
    all
}
