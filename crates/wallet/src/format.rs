//! Numbers and names of the formats: of wallet files, passphrases and the text of keys.

/// Bytes of a private key that is not a text.
pub const KEY_BYTES: usize = 32;
/// Most bytes of a private key.
pub const MAX_SEED_BYTES: usize = 1024;
/// Most bytes of a passphrase.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;
/// Version of a wallet file with the private key as it is.
pub(crate) const PLAIN: u32 = 1;
/// Version of a wallet file with an encrypted private key.
pub(crate) const ENCRYPTED: u32 = 2;
/// The one key derivation.
pub(crate) const KDF: &str = "argon2id";
/// The one cipher.
pub(crate) const CIPHER: &str = "xchacha20poly1305";
/// Bytes of a salt of the key derivation.
pub(crate) const SALT_BYTES: usize = 16;
/// Bytes of a nonce of the cipher.
pub(crate) const NONCE_BYTES: usize = 24;
