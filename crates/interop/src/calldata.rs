//! The arguments of a generated contract's `verifyProof`, as `snarkjs zkey export soliditycalldata` prints
//! them: `a`, `b` with the imaginary parts first (EIP-197), `c`, and the public inputs.

use ark_bn254::Fr;
use prover::proof::{Proof, encode_g1, encode_g2, encode_public_input};

/// The text, byte for byte as snarkjs', without a line break.
pub fn calldata(proof: &Proof, inputs: &[Fr]) -> String {
    let (a, b, c) = (
        words(&encode_g1(proof.a())),
        words(&encode_g2(proof.b())),
        words(&encode_g1(proof.c())),
    );
    let inputs: Vec<String> = inputs
        .iter()
        .flat_map(|input| words(&encode_public_input(input)))
        .collect();
    format!(
        "[{}, {}],[[{}, {}],[{}, {}]],[{}, {}],[{}]",
        a[0],
        a[1],
        b[0],
        b[1],
        b[2],
        b[3],
        c[0],
        c[1],
        inputs.join(",")
    )
}

/// Words of 32 bytes as JSON strings of hexadecimal digits.
fn words(bytes: &[u8]) -> Vec<String> {
    let digits = |word: &[u8]| word.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |digits: String| format!("\"0x{digits}\"");
    bytes.chunks(32).map(|word| text(digits(word))).collect()
}
