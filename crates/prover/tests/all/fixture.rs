//! A small circuit with its key and an assignment.

use ark_bn254::Fr;
use prover::key::ProvingKey;
use prover::proof::Proof;
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use r1cs::{R1cs, assignment_of};
use rand::rngs::OsRng;

use crate::chain::Chain;

pub const CHAIN: Chain = Chain {
    steps: 40,
    start: 5,
    memo: 9,
};

pub struct Fixture {
    pub r1cs: R1cs,
    pub key: ProvingKey,
    pub assignment: Vec<Fr>,
}

pub fn fixture(chain: Chain) -> Fixture {
    let r1cs = R1cs::of(chain).expect("the small circuit can be set up and proven");
    let key = setup_insecure_dev(&r1cs, "chain", b"40 steps", 1)
        .expect("the small circuit can be set up and proven");
    Fixture {
        key,
        assignment: assignment_of(chain).expect("the small circuit can be set up and proven"),
        r1cs,
    }
}

impl Fixture {
    pub fn inputs(&self) -> &[Fr] {
        &self.assignment[1..self.r1cs.num_instance()]
    }

    pub fn prove(&self) -> Proof {
        prove(&self.key, &self.r1cs, &self.assignment, &mut OsRng)
            .expect("the small circuit can be set up and proven")
    }
}
