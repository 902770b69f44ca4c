//! `shapes.csv` pins the cost and the fingerprint of every gadget and every named shape. A change
//! to the circuit shows there; `UPDATE_SHAPES=1 cargo test -p circuits --test shape_ledger` rewrites
//! it. Keys carry the fingerprint of their shape and refuse another circuit.

use std::{fmt::Write, fs, path::PathBuf};

use ark_ff::{AdditiveGroup, BigInteger256, Field};
use ark_relations::gr1cs::{ConstraintSystem, SynthesisMode};
use circuits::{
    account::{Fields, leaves},
    babyjubjub::{Edwards, ScalarDigits, mul_base8, mul_by_challenge},
    eddsa::{self, SignatureValues},
    float::{FLOAT16_MANTISSA, FLOAT40_MANTISSA, decode},
    num::{Cs, Num},
    poseidon,
    shapes::{SHAPES, compile},
    transition::INSTANCE_VARIABLES,
    tree::{Written, update},
};
use ledger::{babyjubjub::Point, field::Fr};
use r1cs::R1cs;

type Gadget = (&'static str, fn(&Cs));

const GADGETS: [Gadget; 11] = [
    ("poseidon_compress4", |cs| {
        poseidon::compress4(cs, &[0u64, 1, 2, 3].map(|x| cs.witness(Fr::from(x))));
    }),
    ("poseidon_hash_2", |cs| {
        poseidon::hash(cs, &witnesses(cs, 2));
    }),
    ("poseidon_hash_5", |cs| {
        poseidon::hash(cs, &witnesses(cs, 5));
    }),
    ("float40_decode", |cs| {
        decode(cs, Fr::ZERO, FLOAT40_MANTISSA);
    }),
    ("float16_decode", |cs| {
        decode(cs, Fr::ZERO, FLOAT16_MANTISSA);
    }),
    ("edwards_add", |cs| {
        key(cs).add(cs, &key(cs));
    }),
    ("mul_base8", |cs| {
        mul_base8(
            cs,
            &ScalarDigits::below_the_order(cs, &BigInteger256::default()),
        );
    }),
    ("mul_by_challenge", |cs| {
        mul_by_challenge(cs, &key(cs), &cs.witness(Fr::ONE));
    }),
    ("eddsa_verify", |cs| {
        let signature = SignatureValues {
            r8: (Fr::ZERO, Fr::ONE),
            s: BigInteger256::default(),
        };
        eddsa::verify(cs, &key(cs), &cs.witness(Fr::ONE), &signature);
    }),
    ("leaves", |cs| {
        let [lane, balance, new_balance] = [0u64, 1, 2].map(|x| cs.witness(Fr::from(x)));
        let old = Fields {
            lane: &lane,
            balance: &balance,
        };
        leaves(
            cs,
            &key(cs),
            old,
            Fields {
                balance: &new_balance,
                ..old
            },
        );
    }),
    ("tree_update_depth_12_cached_3", |cs| {
        let index = cs.bits_of(Fr::ZERO, 24);
        let mut roots = witnesses(cs, 64);
        let [old, new] = [0u64, 1].map(|x| cs.witness(Fr::from(x)));
        let path = [[Fr::ZERO; 4]; 9];
        update(cs, &index, &path, (&old, &new), &mut roots, Written::Fresh);
    }),
];

fn witnesses(cs: &Cs, count: u64) -> Vec<Num> {
    (0..count).map(|x| cs.witness(Fr::from(x))).collect()
}

fn key(cs: &Cs) -> Edwards {
    let Point { x, y } = Point::base8();
    Edwards {
        x: cs.witness(x),
        y: cs.witness(y),
    }
}

fn row(name: &str, r1cs: &R1cs) -> String {
    let fingerprint = r1cs
        .fingerprint()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string");
            hex
        });
    format!(
        "{name},{},{},{},{},{},{fingerprint}\n",
        r1cs.num_constraints(),
        r1cs.num_witness(),
        r1cs.a().non_zeros(),
        r1cs.b().non_zeros(),
        r1cs.c().non_zeros(),
    )
}

#[test]
fn every_gadget_and_shape_costs_what_shapes_csv_says() {
    let mut ledger =
        "name,constraints,witnesses,nonzeros_a,nonzeros_b,nonzeros_c,fingerprint\n".to_owned();
    for (name, gadget) in GADGETS {
        let cs = ConstraintSystem::<Fr>::new_ref();
        cs.set_mode(SynthesisMode::Setup);
        gadget(&Cs::with_rows(cs.clone()));
        let r1cs = R1cs::from_constraint_system(&cs).expect("gadgets are small");
        ledger += &row(name, &r1cs);
    }
    for (name, shape) in SHAPES {
        let r1cs = compile(&shape).expect("named shapes compile").r1cs;
        if let Some(log_size) = name
            .strip_prefix(['t', 'm', 'q'])
            .and_then(|n| n.parse::<u32>().ok())
        {
            let size = r1cs.num_constraints() + INSTANCE_VARIABLES;
            assert!(
                size <= 1 << log_size,
                "{name} has {size} rows, more than 2^{log_size}"
            );
            assert!(
                size > 1 << (log_size - 1),
                "{name} does not fill its domain: {size} rows"
            );
        }
        ledger += &row(name, &r1cs);
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shapes.csv");
    if std::env::var_os("UPDATE_SHAPES").is_some() {
        fs::write(&path, &ledger).expect("shapes.csv can be written");
    }
    let pinned = fs::read_to_string(&path).expect("shapes.csv exists");
    assert_eq!(
        ledger, pinned,
        "the circuit changed: see the head of this file"
    );
}

#[test]
fn a_full_t20_batch_costs_at_most_15000_constraints_a_transfer() {
    let (_, t20) = SHAPES
        .iter()
        .find(|(name, _)| *name == "t20")
        .expect("t20 is named");
    let constraints = compile(t20).expect("t20 compiles").r1cs.num_constraints();
    assert!(
        constraints <= 15_000 * usize::from(t20.transfers),
        "{constraints}"
    );
}
