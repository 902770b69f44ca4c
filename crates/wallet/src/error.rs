//! What can be wrong with a wallet file, a passphrase, or the text of a private key.

use std::io;
use std::path::PathBuf;

use ledger::babyjubjub::PointError;
use ledger::bytes::Address;
use thiserror::Error;

use crate::format::{CIPHER, ENCRYPTED, KDF, MAX_PASSPHRASE_BYTES, MAX_SEED_BYTES, PLAIN};

/// Why a wallet file could not be read, unlocked or encoded.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The operating system does not give the file.
    #[error("cannot read the {what} {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// The reason given.
        #[source]
        source: io::Error,
    },
    /// The file is longer than any of its kind.
    #[error("{} has more than {most} bytes: this is not a {what}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Most bytes that are read.
        most: usize,
    },
    /// An editor put a mark before the text, which would become part of the secret.
    #[error(
        "{} begins with a byte order mark, which an editor put there: save it without",
        path.display()
    )]
    ByteOrderMark {
        /// The file.
        path: PathBuf,
    },
    /// The file is not the JSON of a wallet. The parser's own message is left out: it could repeat a part
    /// of the private key.
    #[error(
        "{} is not a wallet (line {line}, column {column}); restore it from a backup, or make another \
         with `quire wallet new`",
        path.display()
    )]
    NotAWallet {
        /// The file.
        path: PathBuf,
        /// Where the parser stopped.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The fields of the file contradict one another, or are of a version that is not known.
    #[error("the wallet {} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: FileFault,
    },
    /// The private key in the file was not decrypted.
    #[error("cannot unlock {}", path.display())]
    Unlock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        fault: FileFault,
    },
    /// A new wallet file could not be made.
    #[error("the private key cannot be encrypted")]
    Encrypt(#[source] FileFault),
}

/// What is wrong with the fields of a wallet file.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FileFault {
    /// The version is not known.
    #[error("it has format version {got}, this program reads {PLAIN} and {ENCRYPTED}")]
    Version {
        /// The version that the file names.
        got: u32,
    },
    /// A field of the version is missing, or one of the other version is there.
    #[error("it does not have the fields of its version")]
    Fields,
    /// Not the digits of a private key.
    #[error(
        "its private key is not one of 1 to {MAX_SEED_BYTES} bytes, two hexadecimal digits each"
    )]
    PrivateKey,
    /// Not the digits of a public key.
    #[error("its public key is not 64 hexadecimal digits")]
    PublicKeyDigits,
    /// The public key is not a point.
    #[error("its public key")]
    PublicKey(#[source] PointError),
    /// The private key is another one's.
    #[error("its private key belongs to public key {expected}, it says {got}")]
    OtherKey {
        /// The public key of the private key, packed, in hexadecimal.
        expected: String,
        /// The public key that the file names.
        got: String,
    },
    /// The address is another one's.
    #[error("its public key belongs to address {expected}, it says {got}")]
    OtherAddress {
        /// The address of the public key.
        expected: Address,
        /// The address that the file names.
        got: Address,
    },
    /// Another key derivation or cipher.
    #[error("it is encrypted with {kdf:?} and {cipher:?}, this program reads {KDF} and {CIPHER}")]
    Algorithms {
        /// The key derivation that the file names.
        kdf: String,
        /// The cipher that the file names.
        cipher: String,
    },
    /// The key derivation would take too much memory or time, or too little.
    #[error(
        "its key derivation asks for {memory_kib} KiB, {passes} passes and {lanes} lanes, which is out \
         of bounds"
    )]
    Costs {
        /// Memory.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// Salt, nonce or ciphertext are not hexadecimal digits of the right number.
    #[error("salt, nonce or ciphertext: {0}")]
    Digits(hex::FromHexError),
    /// The key derivation failed, for lack of memory.
    #[error("the key derivation: {0}")]
    Derivation(argon2::Error),
    /// The cipher refused, which it does for texts of many gigabytes alone.
    #[error("the cipher refused")]
    Cipher,
    /// The passphrase is not the file's, or the file was changed: the two cannot be told apart.
    #[error("the passphrase is wrong, or the file was changed")]
    Passphrase,
}

/// Why bytes are not a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PassphraseError {
    /// There are none.
    #[error("the passphrase from {place} is empty")]
    Empty {
        /// Where it came from.
        place: String,
    },
    /// There are too many.
    #[error("the passphrase from {place} has more than {MAX_PASSPHRASE_BYTES} bytes")]
    TooLong {
        /// Where it came from.
        place: String,
    },
}

/// Why a text is not a private key. No message repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SeedError {
    /// Empty or too long.
    #[error("a text of 1 to {MAX_SEED_BYTES} bytes was expected")]
    Text,
    /// Not hexadecimal, or of another length.
    #[error("64 hexadecimal digits were expected")]
    Hex,
    /// Not base64, or of another length.
    #[error("32 bytes in base64, with padding, were expected")]
    Base64,
}
