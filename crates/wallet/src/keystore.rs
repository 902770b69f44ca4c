//! Wallet files: a private key with its public key and address, plain or encrypted.
//!
//! JSON with `version`, `public_key` (packed, hexadecimal), `address`, and in version 1
//! `private_key` in hexadecimal, in version 2 `crypto`: Argon2id (RFC 9106, version 0x13) makes a
//! key of the passphrase, XChaCha20-Poly1305 encrypts the private key with it. Authenticated with
//! it, and so bound to it, are `"quire wallet 2" ‖ packed public key 32 ‖ address 20 ‖ memory_kib
//! ‖ passes ‖ lanes`, integers with 4 bytes, big-endian. Examples of the format, good and damaged, are in `vectors/`.
//!
//! Invariant: the costs in a file are bounded before memory is taken; a decrypted key has the
//! public key of its file; no message repeats a part of a private key or passphrase.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ledger::babyjubjub::Point;
use ledger::bytes::Address;
use ledger::eddsa::PrivateKey;
use rand::RngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{FileFault, WalletError};
use crate::format::{CIPHER, ENCRYPTED, KDF, MAX_SEED_BYTES, NONCE_BYTES, PLAIN, SALT_BYTES};
use crate::passphrase::Passphrase;
use crate::secret::read_secret;
use crate::seed::from_hex;
use crate::wallet::{Wallet, address_of};

/// Start of what is authenticated with the private key.
const LABEL: &[u8] = b"quire wallet 2";
/// Most memory of the key derivation: 1 GiB.
const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes of the key derivation.
const MAX_PASSES: u32 = 32;
/// Most lanes of the key derivation.
const MAX_LANES: u32 = 4;
/// Most memory times passes: seconds, not minutes.
const MAX_WORK_KIB: u64 = 1 << 22;

/// How the private key in a file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Encrypted with a passphrase.
    Passphrase,
    /// As it is: whoever reads the file has the key.
    None,
}

/// How a private key is to be kept.
pub enum KeyEncryption {
    /// As it is.
    Plain,
    /// Encrypted.
    Encrypted(Passphrase, Cost),
}

/// What each guess of a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// 1 MiB, 1 pass: trials and tests only.
    Light,
    /// 64 MiB, 3 passes: RFC 9106's choice for little memory.
    Standard,
    /// 256 MiB, 4 passes.
    Strong,
}

/// A wallet file as JSON. Of `private_key` and `crypto` there is one, as the version says.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct WalletFile {
    version: u32,
    public_key: String,
    #[zeroize(skip)]
    address: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    #[zeroize(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    crypto: Option<Crypto>,
}

/// An encrypted private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crypto {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
    ciphertext: String,
}

/// A wallet file that was read. Its public key is certain once it was unlocked.
pub struct Locked {
    /// Where it is.
    pub path: PathBuf,
    /// The public key that it names.
    pub public: Point,
    /// Its address.
    pub address: Address,
    secret: Secret,
}

enum Secret {
    Plain(PrivateKey),
    Encrypted(Box<Crypto>),
}

/// The bytes of a new wallet file: a secret.
///
/// # Errors
/// If the key cannot be derived for lack of memory.
pub fn encode(wallet: &Wallet, sealing: &KeyEncryption) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
    OsRng.fill_bytes(&mut salt);
    OsRng.fill_bytes(&mut nonce);
    encode_with(wallet, sealing, &salt, nonce)
}

/// As [`encode`], with the salt and the nonce that it draws.
pub(crate) fn encode_with(
    wallet: &Wallet,
    sealing: &KeyEncryption,
    salt: &[u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let (version, private_key, crypto) = match sealing {
        KeyEncryption::Plain => (PLAIN, Some(hex::encode(wallet.key.seed())), None),
        KeyEncryption::Encrypted(passphrase, cost) => {
            let crypto = Crypto::encrypt(wallet, passphrase, *cost, salt, nonce);
            (ENCRYPTED, None, Some(crypto.map_err(WalletError::Encrypt)?))
        }
    };
    let file = WalletFile {
        version,
        public_key: hex::encode(wallet.public.pack()),
        address: wallet.address,
        private_key,
        crypto,
    };
    // Why at once: a text that grows leaves a part of the private key in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 13));
    serde_json::to_writer_pretty(&mut *text, &file).expect("texts and numbers have a JSON");
    text.push(b'\n');
    Ok(text)
}

impl Locked {
    /// Reads a wallet file.
    ///
    /// # Errors
    /// That says which file was read and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, WalletError> {
        let text = read_secret(path, "wallet")?;
        tracing::debug!(file = %path.display(), "wallet read");
        Self::parse(path, &text)
    }

    /// The wallet of a file's bytes; `path` is where they came from.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, WalletError> {
        // Why: the parser's own message could repeat a part of the private key.
        let parsed = serde_json::from_slice(text).map_err(|error| WalletError::NotAWallet {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        Self::decode(path, &parsed).map_err(|fault| WalletError::Unusable {
            path: path.to_owned(),
            fault,
        })
    }

    fn decode(path: &Path, file: &WalletFile) -> Result<Self, FileFault> {
        let secret = match (file.version, &file.private_key, &file.crypto) {
            (PLAIN, Some(digits), None) => Secret::Plain(plain_key(digits)?),
            (ENCRYPTED, None, Some(crypto)) => {
                crypto.check()?;
                Secret::Encrypted(Box::new(crypto.clone()))
            }
            (PLAIN | ENCRYPTED, ..) => return Err(FileFault::Fields),
            (got, ..) => return Err(FileFault::Version { got }),
        };
        let mut packed = [0; 32];
        hex::decode_to_slice(&file.public_key, &mut packed)
            .map_err(|_| FileFault::PublicKeyDigits)?;
        let public = Point::unpack(&packed).map_err(FileFault::PublicKey)?;
        let locked = Self {
            path: path.to_owned(),
            public,
            address: file.address,
            secret,
        };
        if let Secret::Plain(key) = &locked.secret {
            locked.check(key)?;
        }
        let (expected, got) = (address_of(&public), file.address);
        if got != expected {
            return Err(FileFault::OtherAddress { expected, got });
        }
        Ok(locked)
    }

    /// How its private key is kept.
    pub fn protection(&self) -> Protection {
        match self.secret {
            Secret::Plain(_) => Protection::None,
            Secret::Encrypted(_) => Protection::Passphrase,
        }
    }

    /// The wallet; `passphrase` is called only if the file is encrypted.
    ///
    /// # Errors
    /// Those of `passphrase`; [`WalletError::Unlock`] if the passphrase is wrong or the file was changed,
    /// which cannot be told apart.
    pub fn unlock<E: From<WalletError>>(
        &self,
        passphrase: impl FnOnce() -> Result<Passphrase, E>,
    ) -> Result<Wallet, E> {
        let unlocked = match &self.secret {
            Secret::Plain(key) => Ok(key.clone()),
            Secret::Encrypted(crypto) => self.decrypt(crypto, &passphrase()?),
        };
        let key = unlocked.map_err(|fault| WalletError::Unlock {
            path: self.path.clone(),
            fault,
        })?;
        Ok(Wallet::of(key))
    }

    fn decrypt(&self, crypto: &Crypto, passphrase: &Passphrase) -> Result<PrivateKey, FileFault> {
        let seed = crypto.decrypt(&self.public, &self.address, passphrase)?;
        let key = private_key(&seed)?;
        self.check(&key)?;
        Ok(key)
    }

    /// The private key must be that of the public key.
    fn check(&self, key: &PrivateKey) -> Result<(), FileFault> {
        let expected = hex::encode(key.public_key().pack());
        let got = hex::encode(self.public.pack());
        match expected == got {
            true => Ok(()),
            false => Err(FileFault::OtherKey { expected, got }),
        }
    }
}

fn plain_key(digits: &str) -> Result<PrivateKey, FileFault> {
    let seed = from_hex(digits.as_bytes()).ok_or(FileFault::PrivateKey)?;
    private_key(&seed)
}

/// A private key of a length that can be exported and imported again.
fn private_key(seed: &[u8]) -> Result<PrivateKey, FileFault> {
    match (1..=MAX_SEED_BYTES).contains(&seed.len()) {
        true => Ok(PrivateKey::from_seed(seed)),
        false => Err(FileFault::PrivateKey),
    }
}

impl Cost {
    /// Memory in KiB and passes; one lane.
    fn parameters(self) -> (u32, u32) {
        match self {
            Self::Light => (1 << 10, 1),
            Self::Standard => (1 << 16, 3),
            Self::Strong => (1 << 18, 4),
        }
    }
}

impl Crypto {
    fn encrypt(
        wallet: &Wallet,
        passphrase: &Passphrase,
        cost: Cost,
        salt: &[u8; SALT_BYTES],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Self, FileFault> {
        let (memory_kib, passes) = cost.parameters();
        let mut crypto = Self {
            kdf: KDF.to_owned(),
            memory_kib,
            passes,
            lanes: 1,
            salt: hex::encode(salt),
            cipher: CIPHER.to_owned(),
            nonce: hex::encode(nonce),
            ciphertext: String::new(),
        };
        let aad = crypto.bound(&wallet.public, &wallet.address);
        let payload = Payload {
            msg: wallet.key.seed(),
            aad: &aad,
        };
        let cipher = crypto.cipher(passphrase, salt)?;
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
        crypto.ciphertext = hex::encode(sealed.map_err(|_| FileFault::Cipher)?);
        Ok(crypto)
    }

    /// Bounds everything, before memory is taken.
    fn check(&self) -> Result<(), FileFault> {
        if self.kdf != KDF || self.cipher != CIPHER {
            return Err(FileFault::Algorithms {
                kdf: self.kdf.clone(),
                cipher: self.cipher.clone(),
            });
        }
        let (memory_kib, passes, lanes) = (self.memory_kib, self.passes, self.lanes);
        let work = u64::from(memory_kib) * u64::from(passes);
        let bounded = (8 * lanes.min(MAX_LANES)..=MAX_MEMORY_KIB).contains(&memory_kib)
            && (1..=MAX_PASSES).contains(&passes)
            && (1..=MAX_LANES).contains(&lanes)
            && work <= MAX_WORK_KIB;
        match bounded {
            true => Ok(()),
            false => Err(FileFault::Costs {
                memory_kib,
                passes,
                lanes,
            }),
        }
    }

    /// What is authenticated with the private key.
    fn bound(&self, public: &Point, address: &Address) -> Vec<u8> {
        let mut bytes = [LABEL, &public.pack(), &address.0].concat();
        for number in [self.memory_kib, self.passes, self.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    fn cipher(&self, passphrase: &Passphrase, salt: &[u8]) -> Result<XChaCha20Poly1305, FileFault> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let params = params.map_err(FileFault::Derivation)?;
        let argon = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon
            .hash_password_into(passphrase.bytes(), salt, &mut *key)
            .map_err(FileFault::Derivation)?;
        Ok(XChaCha20Poly1305::new(&(*key).into()))
    }

    fn decrypt(
        &self,
        public: &Point,
        address: &Address,
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<Vec<u8>>, FileFault> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        let sealed = hex::decode_to_slice(&self.salt, &mut salt)
            .and_then(|()| hex::decode_to_slice(&self.nonce, &mut nonce))
            .and_then(|()| hex::decode(&self.ciphertext))
            .map_err(FileFault::Digits)?;
        let aad = self.bound(public, address);
        let payload = Payload {
            msg: &sealed,
            aad: &aad,
        };
        let opened = self
            .cipher(passphrase, &salt)?
            .decrypt(&XNonce::from(nonce), payload);
        opened
            .map(Zeroizing::new)
            .map_err(|_| FileFault::Passphrase)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn of_test(text: &str) -> Passphrase {
        Passphrase::new(text.as_bytes().to_vec().into(), "a test").unwrap()
    }

    fn sealed(passphrase: &str) -> (Wallet, serde_json::Value) {
        let wallet = Wallet::of(PrivateKey::derive("quire cli keystore tests", b"1"));
        let sealing = KeyEncryption::Encrypted(of_test(passphrase), Cost::Light);
        let bytes = encode(&wallet, &sealing).unwrap();
        (wallet, serde_json::from_slice(&bytes).unwrap())
    }

    fn opened(json: &serde_json::Value, passphrase: &str) -> Result<Wallet, WalletError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.json");
        std::fs::write(&path, json.to_string()).unwrap();
        Locked::read(&path)?.unlock(|| Ok(of_test(passphrase)))
    }

    #[test]
    fn the_right_passphrase_opens_and_no_other() {
        let (wallet, json) = sealed("correct horse");
        assert!(!json.to_string().contains(&hex::encode(wallet.key.seed())));
        let got = opened(&json, "correct horse").unwrap();
        assert_eq!(got.key.seed(), wallet.key.seed());
        let error = opened(&json, "correct horsf").err().unwrap();
        let wrong =
            matches!(&error, WalletError::Unlock { fault, .. } if *fault == FileFault::Passphrase);
        assert!(wrong, "{error:?}");
        let (_, again) = sealed("correct horse");
        assert_ne!(json["crypto"]["ciphertext"], again["crypto"]["ciphertext"]);
    }

    /// A key that no text could be imported for is refused, encrypted or not.
    #[test]
    fn keys_have_1_to_1024_bytes() {
        let refused = |error: &WalletError| {
            let (WalletError::Unlock { fault, .. } | WalletError::Unusable { fault, .. }) = error
            else {
                return false;
            };
            *fault == FileFault::PrivateKey
        };
        for (length, allowed) in [
            (0, false),
            (1, true),
            (MAX_SEED_BYTES, true),
            (MAX_SEED_BYTES + 1, false),
        ] {
            let wallet = Wallet::of(PrivateKey::from_seed(&vec![7; length]));
            for sealing in [
                KeyEncryption::Plain,
                KeyEncryption::Encrypted(of_test("p"), Cost::Light),
            ] {
                let bytes = encode(&wallet, &sealing).unwrap();
                let got = opened(&serde_json::from_slice(&bytes).unwrap(), "p");
                let right = match &got {
                    Ok(got) => allowed && got.key.seed() == wallet.key.seed(),
                    Err(error) => !allowed && refused(error),
                };
                assert!(right, "{length}: {:?}", got.err());
            }
        }
    }

    /// Public key, address, costs, salt, nonce, ciphertext and tag: whatever is changed, it stays
    /// shut.
    #[test]
    fn every_field_is_authenticated() {
        let (_, json) = sealed("p");
        let other = Wallet::of(PrivateKey::derive("quire cli keystore tests", b"2"));
        let flipped = |text: &str| {
            let mut bytes = hex::decode(text).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            hex::encode(bytes).into()
        };
        for field in ["salt", "nonce", "ciphertext"] {
            let mut changed = json.clone();
            changed["crypto"][field] = flipped(json["crypto"][field].as_str().unwrap());
            assert!(opened(&changed, "p").is_err(), "{field}");
        }
        let mut changed = json.clone();
        changed["crypto"]["passes"] = 2.into();
        assert!(opened(&changed, "p").is_err());
        let mut changed = json.clone();
        changed["public_key"] = hex::encode(other.public.pack()).into();
        assert!(opened(&changed, "p").is_err(), "without its address");
        changed["address"] = other.address.to_string().into();
        assert!(opened(&changed, "p").is_err(), "with its address");
        assert!(opened(&json, "p").is_ok());
    }

    /// Costs out of bounds are refused before any memory is taken.
    #[test]
    fn costs_are_bounded() {
        let (_, json) = sealed("p");
        for (field, value) in [
            ("memory_kib", u32::MAX),
            ("memory_kib", MAX_MEMORY_KIB + 1),
            ("memory_kib", 7),
            ("passes", 0),
            ("passes", u32::MAX),
            ("lanes", 0),
            ("lanes", 5),
        ] {
            let mut changed = json.clone();
            changed["crypto"][field] = value.into();
            let error = opened(&changed, "p").err().unwrap();
            let bounded = matches!(
                &error,
                WalletError::Unusable {
                    fault: FileFault::Costs { .. },
                    ..
                }
            );
            assert!(bounded, "{field} {value}: {error:?}");
        }
        let mut slow = json.clone();
        slow["crypto"]["memory_kib"] = MAX_MEMORY_KIB.into();
        slow["crypto"]["passes"] = MAX_PASSES.into();
        assert!(opened(&slow, "p").is_err());
    }

    /// Of a wallet, plain or encrypted: public key and address are told without a passphrase, and
    /// money is paid to them.
    #[test]
    fn whatever_bit_of_a_wallet_is_flipped_it_names_the_same_key_or_is_refused() {
        let (wallet, json) = sealed("p");
        let encrypted = serde_json::to_vec_pretty(&json).unwrap();
        let plain = encode(&wallet, &KeyEncryption::Plain).unwrap().to_vec();
        for (good, least) in [(plain, 5), (encrypted, 3)] {
            let mut refused = 0;
            // Why each third: to check a key takes a while.
            for bit in (0..8 * good.len()).step_by(3) {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                match Locked::parse(Path::new("w.json"), &bad) {
                    Ok(read) => {
                        assert_eq!(read.public, wallet.public, "bit {bit}");
                        assert_eq!(read.address, wallet.address, "bit {bit}");
                    }
                    Err(_) => refused += 1,
                }
            }
            assert!(3 * refused > least * good.len(), "{refused}");
        }
    }

    #[test]
    fn versions_and_their_fields_go_together() {
        let (_, json) = sealed("p");
        for change in [
            ("version", serde_json::Value::from(1)),
            ("version", 3.into()),
            ("private_key", "00".into()),
            ("more", "x".into()),
        ] {
            let mut changed = json.clone();
            changed[change.0] = change.1;
            assert!(opened(&changed, "p").is_err(), "{}", change.0);
        }
    }
}
