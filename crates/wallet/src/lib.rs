//! Wallets: a private key with what follows from it, the files that hold it, and the passphrase that
//! protects it.
//!
//! The same private key signs operations of the rollup and, by the address derived from it, calls the
//! native L1. This crate reads, decrypts and encodes wallet files; it asks nobody for a passphrase and
//! prints nothing, so a server, a test or another program can use it as the command line does.
//!
//! ```
//! use wallet::{Cost, Locked, Passphrase, KeyEncryption, Wallet};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("alice.json");
//! let alice = Wallet::random();
//! let passphrase = || -> Result<Passphrase, Box<dyn std::error::Error>> {
//!     Ok(Passphrase::new(b"correct horse".to_vec().into(), "an example")?)
//! };
//! let text = wallet::encode(&alice, &KeyEncryption::Encrypted(passphrase()?, Cost::Light))?;
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

mod class;
mod error;
mod format;
mod keystore;
mod passphrase;
mod secret;
mod seed;
#[cfg(test)]
mod vectors;
mod wallet;

pub use error::{FileFault, PassphraseError, SeedError, WalletError};
pub use format::{KEY_BYTES, MAX_PASSPHRASE_BYTES, MAX_SEED_BYTES};
pub use keystore::{Cost, KeyEncryption, Locked, Protection, encode};
pub use passphrase::Passphrase;
pub use secret::read_secret;
pub use seed::{SeedFormat, decode_seed, encode_seed};
pub use wallet::{Wallet, address_of};
