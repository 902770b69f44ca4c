//! Passphrases.

use zeroize::Zeroizing;

use crate::error::PassphraseError;
use crate::format::MAX_PASSPHRASE_BYTES;

/// A passphrase: not empty, and wiped when it is dropped.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// A passphrase of these bytes; `place` is where they came from.
    ///
    /// # Errors
    /// If there are none or too many.
    pub fn new(bytes: Zeroizing<Vec<u8>>, place: &str) -> Result<Self, PassphraseError> {
        let place = || place.to_owned();
        if bytes.is_empty() {
            return Err(PassphraseError::Empty { place: place() });
        }
        if bytes.len() > MAX_PASSPHRASE_BYTES {
            return Err(PassphraseError::TooLong { place: place() });
        }
        Ok(Self(bytes))
    }

    /// Its bytes: a secret.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
