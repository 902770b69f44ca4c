//! Writes small gadgets as `.r1cs` files for a solver, one folder for each question:
//!
//! ```sh
//! cargo run --release -p interop --example gadgets -- FOLDER
//! ```
//!
//! * `unique/`: the last wire follows from the public inputs. Two assignments with equal public inputs
//!   and different last wires must not exist.
//! * `impossible/`: no assignment may exist at all.
//! * `planted/`: like `unique/`, with a constraint left out. Two such assignments must be found.
//!
//! `tests/interop/solve.py` reads the files and asks cvc5.
#![allow(clippy::unwrap_used, reason = "an example fails by panicking")]

use std::fs::{File, create_dir_all};
use std::io::BufWriter;
use std::path::Path;

use ark_bn254::Fr;
use ark_ff::Field;
use ark_relations::gr1cs::ConstraintSystem;
use circuits::compare::{enforce_at_least, enforce_at_most};
use circuits::num::{Bit, Cs, Num};
use circuits::poseidon;
use r1cs::R1cs;

/// A gadget with what it returns, if that should be unique.
type Gadget = fn(&Cs) -> Option<Num>;

const GADGETS: [(&str, &str, Gadget); 8] = [
    ("unique", "is_nonzero", is_nonzero),
    ("unique", "bits_of_4", |cs| Some(bits(cs, 4))),
    ("unique", "at_most_one_of_4", at_most_one),
    ("unique", "s_box", s_box),
    ("impossible", "12_at_most_9", |cs| compare(cs, 12, true)),
    ("impossible", "8_at_least_9", |cs| compare(cs, 8, false)),
    ("planted", "bits_of_4", loose_bits),
    ("planted", "is_nonzero", loose_is_nonzero),
];

fn main() {
    let folder = std::env::args().nth(1).expect("name a folder");
    for (question, name, gadget) in GADGETS {
        let rows = ConstraintSystem::<Fr>::new_ref();
        let cs = Cs::with_rows(rows.clone());
        if let Some(result) = gadget(&cs) {
            let last = cs.witness(result.value());
            cs.enforce_equal(&last, &result);
        }
        let r1cs = R1cs::from_constraint_system(&rows).unwrap();
        let folder = Path::new(&folder).join(question);
        create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.r1cs"));
        let file = BufWriter::new(File::create(&path).unwrap());
        interop::r1cs::write(file, &r1cs).unwrap();
        let (rows, wires) = (r1cs.num_constraints(), r1cs.num_variables());
        println!("{}: {rows} constraints, {wires} wires", path.display());
    }
}

/// `Σ bitᵢ·3ⁱ`: tells all bits.
fn told(bits: &[Bit]) -> Num {
    let weights = (0..bits.len() as u64).map(|i| Fr::from(3u64).pow([i]));
    Num::linear(bits.iter().map(Bit::num).zip(weights))
}

fn is_nonzero(cs: &Cs) -> Option<Num> {
    let flag = cs.is_nonzero(&cs.input(Fr::from(5u64)));
    Some(flag.num().clone())
}

/// The bits of an input.
fn bits(cs: &Cs, count: usize) -> Num {
    let value = Fr::from(0b1011u64);
    let bits = cs.bits_of(value, count);
    cs.enforce_equal(&Num::from_bits(&bits), &cs.input(value));
    told(&bits)
}

fn at_most_one(cs: &Cs) -> Option<Num> {
    let bits: Vec<Bit> = (0..4).map(|i| cs.bit(i == 2)).collect();
    let some = Bit::at_most_one(cs, &bits);
    // Which one is told by the sum of positions; that it is one, by the gadget.
    let place = Num::linear((bits.iter().map(Bit::num)).zip((1u64..).map(Fr::from)));
    cs.enforce_equal(&place, &cs.input(Fr::from(3u64)));
    Some(&told(&bits) + some.num())
}

/// `(x + 7)⁵` as a hash has it.
fn s_box(cs: &Cs) -> Option<Num> {
    let x = cs.input(Fr::from(3u64));
    Some(poseidon::first_sbox(cs, &x, &Num::constant(Fr::from(7u64))))
}

/// A number of four bits beside 9.
fn compare(cs: &Cs, value: u64, at_most: bool) -> Option<Num> {
    let value = Fr::from(value);
    let bits = cs.bits_of(value, 4);
    cs.enforce_equal(&Num::from_bits(&bits), &Num::constant(value));
    match at_most {
        true => enforce_at_most(cs, &bits, &9u8.into()),
        false => enforce_at_least(cs, &bits, &9u8.into()),
    }
    None
}

/// Bits of which the lowest may be anything.
fn loose_bits(cs: &Cs) -> Option<Num> {
    let value = Fr::from(0b1011u64);
    let lowest = cs.witness(Fr::ONE);
    let high = cs.bits_of(Fr::from(0b101u64), 3);
    let two = Fr::from(2u64);
    let all = lowest.add_scaled(&Num::from_bits(&high), two);
    cs.enforce_equal(&all, &cs.input(value));
    Some(told(&high).add_scaled(&lowest, -Fr::ONE))
}

/// The flag without its second constraint.
fn loose_is_nonzero(cs: &Cs) -> Option<Num> {
    let a = cs.input(Fr::from(5u64));
    let inverse = cs.witness(Fr::from(5u64).inverse().unwrap());
    let flag = cs.witness(Fr::ONE);
    cs.enforce(&inverse, &a, &flag);
    Some(flag)
}
