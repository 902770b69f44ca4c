//! Wallets: a private key with what follows from it, the files that hold it, and the passphrase that
//! protects it.
//!
//! The same private key signs operations of the rollup and, by the address derived from it, calls the
//! native L1. This crate reads, decrypts and encodes wallet files; it asks nobody for a passphrase and
//! prints nothing, so a server, a test or another program can use it as the command line does.
//!
//! ```
//! use wallet::{Cost, Locked, Passphrase, Sealing, Wallet};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("alice.json");
//! let alice = Wallet::random();
//! let passphrase = || -> Result<Passphrase, Box<dyn std::error::Error>> {
//!     Ok(Passphrase::new(b"correct horse".to_vec().into(), "an example")?)
//! };
//! let text = wallet::encode(&alice, &Sealing::Encrypted(passphrase()?, Cost::Light))?;
//! files::write_new(&path, files::Readers::Owner, &text)?;
//!
//! let locked = Locked::read(&path)?;
//! assert_eq!(locked.address, alice.address);
//! let opened = locked.unlock(passphrase)?;
//! assert_eq!(opened.key.seed(), alice.key.seed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: no message, trace or error repeats a part of a private key or passphrase; both are held
//! in memory that is wiped.

mod error;
mod keystore;
mod passphrase;
mod secret;
mod seed;
#[cfg(test)]
mod vectors;

use ledger::babyjubjub::Point;
use ledger::bytes::{Address, Bytes};
use ledger::eddsa::PrivateKey;
use rand::RngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

pub use error::{FileFault, PassphraseError, SeedError, WalletError};
pub use keystore::{Cost, Locked, Protection, Sealing, encode};
pub use passphrase::{MAX_PASSPHRASE_BYTES, Passphrase};
pub use secret::read_secret;
pub use seed::{KEY_BYTES, MAX_SEED_BYTES, SeedFormat, decode_seed, encode_seed};

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
