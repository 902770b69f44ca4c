//! Keccak-256, and the selectors that Ethereum's ABI makes with it.

use sha3::{Digest, Keccak256};

/// 32 bytes, big-endian.
pub type Word = [u8; 32];

/// Keccak-256.
pub fn keccak(bytes: &[u8]) -> Word {
    Keccak256::digest(bytes).into()
}

/// The first four bytes of the hash of a signature.
pub fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = keccak(signature.as_bytes());
    [a, b, c, d]
}
