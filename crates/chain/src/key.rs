//! The secp256k1 key that signs transactions, read from a file of its own.
//!
//! Invariant: the key is neither an argument nor in a message, and lives in memory that is wiped; a file
//! that others may read is refused.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::signers::local::PrivateKeySigner;
use l1::Address;
use l1::bytes::Bytes;
use zeroize::Zeroizing;

use crate::error::ChainError;

/// The most bytes of a key file that are read.
const MAX_BYTES: u64 = 256;

/// A key of an externally owned account.
pub struct EthKey(PrivateKeySigner);

impl EthKey {
    /// Reads a file of 64 hexadecimal digits, with or without `0x` and a line break.
    ///
    /// # Errors
    /// [`ChainError::Io`], [`ChainError::Key`], also if others may read the file.
    pub fn load(path: &Path) -> Result<Self, ChainError> {
        let io = |source| ChainError::Io {
            path: path.into(),
            action: "read it",
            source,
        };
        let bad = |reason: &str| ChainError::Key {
            path: path.into(),
            reason: reason.to_owned(),
        };
        let file = File::open(path).map_err(io)?;
        if others_may_read(&file).map_err(io)? {
            return Err(bad("others may read it"));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(512));
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(io)?;
        if files::has_byte_order_mark(&text) {
            return Err(bad(
                "it begins with a byte order mark, which an editor put there: save it without",
            ));
        }
        let digits = text.trim_ascii();
        let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, secret.as_mut_slice()).map_err(|_| bad("it holds no key"))?;
        let signer = PrivateKeySigner::from_slice(secret.as_slice());
        Ok(Self(
            signer.map_err(|_| bad("its number is no key of secp256k1"))?,
        ))
    }

    pub fn address(&self) -> Address {
        Bytes(self.0.address().into_array())
    }

    /// Signs a transaction, and returns it as nodes take it (EIP-2718).
    pub(crate) fn sign(&self, mut transaction: TxEip1559) -> Vec<u8> {
        let signature = self.0.sign_transaction_sync(&mut transaction);
        let signature = signature.expect("a key in memory signs any transaction of its chain");
        transaction.into_signed(signature).encoded_2718()
    }
}

#[cfg(unix)]
fn others_may_read(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &File) -> std::io::Result<bool> {
    Ok(false)
}
