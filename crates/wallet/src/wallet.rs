//! A private key with its public key and address.

use ledger::babyjubjub::Point;
use ledger::bytes::{Address, Bytes};
use ledger::eddsa::PrivateKey;
use rand::RngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::format::KEY_BYTES;

/// A private key with what follows from it.
pub struct Wallet {
    /// The key that signs.
    pub key: PrivateKey,
    /// Its public key.
    pub public: Point,
    /// The address that calls the native L1.
    pub address: Address,
}

impl Wallet {
    /// The wallet of a private key.
    pub fn of(key: PrivateKey) -> Self {
        let public = key.public_key();
        Self {
            address: address_of(&public),
            key,
            public,
        }
    }

    /// A wallet with a key from the operating system's randomness.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        OsRng.fill_bytes(&mut *bytes);
        Self::of(PrivateKey::from_seed(&*bytes))
    }
}

/// The native L1 address of a public key: the first 20 bytes of BLAKE3 in `derive_key` mode.
pub fn address_of(key: &Point) -> Address {
    let digest = blake3::derive_key("quire 1 native L1 address", &key.pack());
    let (head, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    Bytes(*head)
}
