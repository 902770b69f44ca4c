//! The generated verifier, and that generated sources are the committed ones.

use std::path::Path;

use ark_bn254::{Bn254, Fr as Scalar};
use ark_ff::PrimeField;
use ark_serialize::CanonicalSerialize;
use evm::chain::{CallError, Chain};
use evm::sample::{OPERATOR, START, Trapdoor};
use l1::evm::abi::call;
use l1::evm::artifacts::Artifact;
use l1::evm::verifier::{VerifierError, from_arkworks, solidity};
use ledger::field::{Fr, to_be_bytes};
use num_bigint::BigUint;
use prover::proof::{PROOF_BYTES, Proof};
use prover::verify::verify;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const SIGNATURE: &str = "verify(uint256[8],uint256[3])";

#[test]
fn generated_sources_are_the_committed_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../l1/contracts");
    for (file, text) in evm::generated() {
        let committed = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(committed == text, "{file}: run make contracts");
    }
}

struct Sample {
    chain: Chain,
    at: l1::Address,
    trapdoor: Trapdoor,
}

fn sample() -> Sample {
    let mut chain = Chain::new(1, START);
    let artifact = Artifact {
        name: "SampleVerifier",
        json: include_str!("../../../l1/contracts/artifacts/SampleVerifier.json"),
    };
    let at = chain.deploy(&OPERATOR, artifact.bytecode()).unwrap().0;
    let trapdoor = Trapdoor::new(evm::SAMPLE_VERIFIER_SEED);
    Sample {
        chain,
        at,
        trapdoor,
    }
}

impl Sample {
    fn says(&mut self, proof: &[u8; PROOF_BYTES], inputs: &[[u8; 32]]) -> Result<bool, CallError> {
        let mut words: Vec<[u8; 32]> = proof.as_chunks().0.to_vec();
        words.extend(inputs);
        let output = self.chain.view(&self.at, call(SIGNATURE, &words))?;
        Ok(output[31] == 1)
    }
}

#[test]
fn a3_a4_a5_a14_the_generated_verifier_takes_proof_and_inputs_and_nothing_else() {
    let mut sample = sample();
    let inputs = [3u64, 5, 7].map(Fr::from);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let proof = sample.trapdoor.prove(&inputs, &mut rng).to_bytes();
    let words = inputs.map(|input| to_be_bytes(&input));
    assert_eq!(sample.says(&proof, &words), Ok(true));
    let r = BigUint::from(Scalar::MODULUS);
    for position in 0..3 {
        let mut changed = words;
        changed[position][31] += 1;
        assert_eq!(sample.says(&proof, &changed), Ok(false));
        for times in 1u32..=4 {
            let value = BigUint::from_bytes_be(&words[position]) + &r * times;
            let mut changed = words;
            changed[position].copy_from_slice(&value.to_bytes_be());
            crate::attacks::refused(sample.says(&proof, &changed), "NotCanonical()");
        }
    }
    let whole = call(SIGNATURE, &[proof.as_chunks().0, words.as_slice()].concat());
    for length in (4..whole.len()).step_by(7) {
        assert!(
            sample
                .chain
                .view(&sample.at, whole[..length].to_vec())
                .is_err()
        );
    }
    let longer = [whole.as_slice(), &[0; 32]].concat();
    crate::attacks::refused(sample.chain.view(&sample.at, longer), "BadLength()");
}

/// A verdict that depends on how much gas the caller gives would be the caller's.
#[test]
fn a14_the_generated_verifier_that_is_starved_gives_no_verdict() {
    let mut sample = sample();
    let inputs = [3u64, 5, 7].map(Fr::from);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let proof = sample.trapdoor.prove(&inputs, &mut rng).to_bytes();
    let words = inputs.map(|input| to_be_bytes(&input));
    let data = call(SIGNATURE, &[proof.as_chunks().0, words.as_slice()].concat());
    let (mut answers, mut silent) = (0, 0);
    for gas in (30_000..500_000).step_by(499) {
        let called = (sample.chain).call_with_gas(&OPERATOR, &sample.at, 0, data.clone(), gas);
        match called {
            Ok(receipt) => {
                assert_eq!(receipt.output[31], 1, "{gas}");
                answers += 1;
            }
            Err(_) => silent += 1,
        }
    }
    assert!(answers > 100 && silent > 100);
    // With gas enough a point that is none is an answer, and the answer is no.
    let mut bad = data;
    bad[4 + 64 + 31] ^= 1;
    let mut told = 0;
    for gas in (30_000..800_000).step_by(4_999) {
        if let Ok(receipt) =
            (sample.chain).call_with_gas(&OPERATOR, &sample.at, 0, bad.clone(), gas)
        {
            assert_eq!(receipt.output[31], 0, "{gas}");
            told += 1;
        }
    }
    assert!(told > 20);
}

#[test]
fn a13_the_generated_verifier_and_this_prover_agree() {
    let mut sample = sample();
    let key = sample.trapdoor.key([0; 32]);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..300 {
        let mut inputs: [Fr; 3] = std::array::from_fn(|_| Fr::from(rng.r#gen::<u64>()));
        let mut proof = sample.trapdoor.prove(&inputs, &mut rng).to_bytes();
        match rng.gen_range(0..5) {
            0 => {}
            1 => inputs[rng.gen_range(0..3)] += Fr::from(1u64),
            2 => proof[64 * rng.gen_range(0..3)..][..64].fill(0),
            _ => proof[rng.gen_range(0..256)] ^= 1 << rng.gen_range(0..8),
        }
        let words = inputs.map(|input| to_be_bytes(&input));
        let here =
            Proof::from_bytes(&proof).is_ok_and(|proof| verify(&key, &inputs, &proof).is_ok());
        assert_eq!(sample.says(&proof, &words), Ok(here));
        *(if here { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 30 && bad > 100);
}

#[test]
fn keys_of_arkworks_are_read_in_both_encodings_and_checked() {
    let key = Trapdoor::new(9).key([0; 32]);
    let (mut compressed, mut plain) = (Vec::new(), Vec::new());
    key.ark().serialize_compressed(&mut compressed).unwrap();
    key.ark().serialize_uncompressed(&mut plain).unwrap();
    let read = from_arkworks(&compressed).unwrap();
    assert_eq!(read.id(), key.id());
    let text = solidity(&read, "V").unwrap();
    assert_eq!(
        text,
        solidity(&from_arkworks(&plain).unwrap(), "V").unwrap()
    );
    assert!(text.contains("uint256[3] calldata inputs"));
    plain.push(0);
    assert!(matches!(
        from_arkworks(&plain),
        Err(VerifierError::Arkworks(_))
    ));
    let mut ark: ark_groth16::VerifyingKey<Bn254> = key.ark().clone();
    ark.delta_g2 = ark.gamma_g2;
    let mut unfinished = Vec::new();
    ark.serialize_compressed(&mut unfinished).unwrap();
    assert!(matches!(
        from_arkworks(&unfinished),
        Err(VerifierError::Key(_))
    ));
    for name in ["", "1", "a b", "é"] {
        assert!(matches!(solidity(&key, name), Err(VerifierError::Name(_))));
    }
}
