//! Wallet files: a private key with its public key and address, plain or encrypted.
//!
//! JSON with `version`, `public_key` (packed, hexadecimal), `address`, and in version 1
//! `private_key` in hexadecimal, in version 2 `crypto`: Argon2id (RFC 9106, version 0x13) makes a
//! key of the passphrase, XChaCha20-Poly1305 encrypts the private key with it. Authenticated with
//! it, and so bound to it, are `"quire wallet 2" ‖ packed public key 32 ‖ address 20 ‖ memory_kib
//! ‖ passes ‖ lanes`, integers with 4 bytes, big-endian.
//!
//! Invariant: the costs in a file are bounded before memory is taken; a decrypted key has the
//! public key of its file; no message repeats a part of a private key or passphrase.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use argon2::{Algorithm, Argon2, Params};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use l1::Address;
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use rand::RngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::args::KdfCost;
use crate::exit::Fault;
use crate::passphrase::Passphrase;
use crate::wallet::{Wallet, address_of};

/// Most bytes of a wallet file that are read.
const MAX_BYTES: u64 = 1 << 16;
/// Most bytes of a private key.
pub const MAX_SEED_BYTES: usize = 1024;
/// Version of a file with the private key as it is.
const PLAIN: u32 = 1;
/// Version of a file with an encrypted private key.
const ENCRYPTED: u32 = 2;
/// Start of what is authenticated with the private key.
const LABEL: &[u8] = b"quire wallet 2";
const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20poly1305";
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
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
pub enum Sealing {
    /// As it is.
    Plain,
    /// Encrypted.
    Encrypted(Passphrase, KdfCost),
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
pub fn encode(wallet: &Wallet, sealing: &Sealing) -> Result<Zeroizing<Vec<u8>>> {
    let (version, private_key, crypto) = match sealing {
        Sealing::Plain => (PLAIN, Some(hex::encode(wallet.key.seed())), None),
        Sealing::Encrypted(passphrase, cost) => {
            let crypto = Crypto::encrypt(wallet, passphrase, *cost)?;
            (ENCRYPTED, None, Some(crypto))
        }
    };
    let file = WalletFile {
        version,
        public_key: hex::encode(wallet.public.pack()),
        address: wallet.address,
        private_key,
        crypto,
    };
    let text = serde_json::to_vec_pretty(&file).context("cannot write the wallet as JSON")?;
    let mut text = Zeroizing::new(text);
    text.push(b'\n');
    Ok(text)
}

/// Refuses a text that an editor began with a byte order mark: it would become part of what the text
/// says, unseen.
///
/// # Errors
/// That names the place.
pub fn refuse_byte_order_mark(text: &[u8], place: &str) -> Result<()> {
    ensure!(
        !files::has_byte_order_mark(text),
        Fault::input(format!(
            "{place} begins with a byte order mark, which an editor put there: save it without"
        ))
    );
    Ok(())
}

/// The bytes of a file with a secret, bounded; `what` it should be is told in errors.
///
/// # Errors
/// If it cannot be read or is too long.
pub fn read_bytes(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let shown = path.display();
    let context = || format!("cannot read the {what} {shown}");
    // Why: what is not a plain file does not tell its size.
    let file = std::fs::File::open(path).with_context(context)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 17));
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        Fault::input(format!(
            "{shown} has more than {MAX_BYTES} bytes: this is not a {what}"
        ))
    );
    refuse_byte_order_mark(&bytes, &shown.to_string())?;
    Ok(bytes)
}

impl Locked {
    /// Reads a wallet file.
    ///
    /// # Errors
    /// That says which file was read and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_bytes(path, "wallet")?;
        tracing::debug!(file = %path.display(), "wallet read");
        Self::parse(path, &text)
    }

    /// The wallet of a file's bytes; `path` is where they came from.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let shown = path.display();
        // Why: the parser's own message could repeat a part of the private key.
        let parsed: WalletFile = serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Fault::input(format!("{shown} is not a wallet (line {line}, column {column}); restore it from a backup, or make another with `quire wallet new`"))
        })?;
        Self::decode(path, &parsed)
            .with_context(|| Fault::input(format!("the wallet {shown} cannot be used")))
    }

    fn decode(path: &Path, file: &WalletFile) -> Result<Self> {
        let secret = match (file.version, &file.private_key, &file.crypto) {
            (PLAIN, Some(digits), None) => Secret::Plain(plain_key(digits)?),
            (ENCRYPTED, None, Some(crypto)) => {
                crypto.check()?;
                Secret::Encrypted(Box::new(crypto.clone()))
            }
            (PLAIN | ENCRYPTED, ..) => bail!("it does not have the fields of its version"),
            (got, ..) => {
                bail!("it has format version {got}, this program reads {PLAIN} and {ENCRYPTED}")
            }
        };
        let mut packed = [0; 32];
        hex::decode_to_slice(&file.public_key, &mut packed)
            .ok()
            .context("its public key is not 64 hexadecimal digits")?;
        let public = Point::unpack(&packed).context("its public key")?;
        let locked = Self {
            path: path.to_owned(),
            public,
            address: file.address,
            secret,
        };
        if let Secret::Plain(key) = &locked.secret {
            locked.check(key)?;
        }
        let expected = address_of(&public);
        ensure!(
            file.address == expected,
            "its public key belongs to address {expected}, it says {}",
            file.address
        );
        Ok(locked)
    }

    /// How its private key is kept.
    pub fn protection(&self) -> Protection {
        match self.secret {
            Secret::Plain(_) => Protection::None,
            Secret::Encrypted(_) => Protection::Passphrase,
        }
    }

    /// The wallet; `passphrase` is asked for only if the file is encrypted.
    ///
    /// # Errors
    /// If the passphrase is wrong or the file was changed: the two cannot be told apart.
    pub fn unlock(&self, passphrase: impl FnOnce() -> Result<Passphrase>) -> Result<Wallet> {
        let key = match &self.secret {
            Secret::Plain(key) => key.clone(),
            Secret::Encrypted(crypto) => {
                let context = || format!("cannot unlock {}", self.path.display());
                let seed = crypto.decrypt(&self.public, &self.address, &passphrase()?);
                PrivateKey::from_seed(&seed.with_context(context)?)
            }
        };
        self.check(&key)?;
        Ok(Wallet::of(key))
    }

    /// The private key must be that of the public key.
    fn check(&self, key: &PrivateKey) -> Result<()> {
        let expected = hex::encode(key.public_key().pack());
        let got = hex::encode(self.public.pack());
        ensure!(
            expected == got,
            Fault::input(format!(
                "its private key belongs to public key {expected}, it says {got}"
            ))
        );
        Ok(())
    }
}

fn plain_key(digits: &str) -> Result<PrivateKey> {
    let seed = hex::decode(digits).map(Zeroizing::new).ok();
    let seed = seed.filter(|seed| (1..=MAX_SEED_BYTES).contains(&seed.len()));
    let seed = seed.with_context(|| {
        format!(
            "its private key is not an even number of hexadecimal digits, at most {}",
            2 * MAX_SEED_BYTES
        )
    })?;
    Ok(PrivateKey::from_seed(&seed))
}

impl KdfCost {
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
    fn encrypt(wallet: &Wallet, passphrase: &Passphrase, cost: KdfCost) -> Result<Self> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        OsRng.fill_bytes(&mut salt);
        OsRng.fill_bytes(&mut nonce);
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
        let cipher = crypto.cipher(passphrase, &salt)?;
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| anyhow!("the private key cannot be encrypted"))?;
        crypto.ciphertext = hex::encode(sealed);
        Ok(crypto)
    }

    /// Bounds everything, before memory is taken.
    fn check(&self) -> Result<()> {
        ensure!(
            self.kdf == KDF && self.cipher == CIPHER,
            "it is encrypted with {:?} and {:?}, this program reads {KDF} and {CIPHER}",
            self.kdf,
            self.cipher
        );
        let (memory, passes, lanes) = (self.memory_kib, self.passes, self.lanes);
        let work = u64::from(memory) * u64::from(passes);
        let bounded = (8 * lanes.min(MAX_LANES)..=MAX_MEMORY_KIB).contains(&memory)
            && (1..=MAX_PASSES).contains(&passes)
            && (1..=MAX_LANES).contains(&lanes)
            && work <= MAX_WORK_KIB;
        ensure!(
            bounded,
            "its key derivation asks for {memory} KiB, {passes} passes and {lanes} lanes, which is out of bounds"
        );
        Ok(())
    }

    /// What is authenticated with the private key.
    fn bound(&self, public: &Point, address: &Address) -> Vec<u8> {
        let mut bytes = [LABEL, &public.pack(), &address.0].concat();
        for number in [self.memory_kib, self.passes, self.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    fn cipher(&self, passphrase: &Passphrase, salt: &[u8]) -> Result<XChaCha20Poly1305> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let params = params.map_err(|error| anyhow!("the key derivation: {error}"))?;
        let argon = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon
            .hash_password_into(passphrase.bytes(), salt, &mut *key)
            .map_err(|error| anyhow!("the key derivation: {error}"))?;
        Ok(XChaCha20Poly1305::new(&(*key).into()))
    }

    fn decrypt(
        &self,
        public: &Point,
        address: &Address,
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        let decoded = hex::decode_to_slice(&self.salt, &mut salt)
            .and_then(|()| hex::decode_to_slice(&self.nonce, &mut nonce))
            .and_then(|()| hex::decode(&self.ciphertext));
        let sealed =
            decoded.map_err(|error| Fault::input(format!("salt, nonce or ciphertext: {error}")))?;
        let aad = self.bound(public, address);
        let payload = Payload {
            msg: &sealed,
            aad: &aad,
        };
        let opened = self
            .cipher(passphrase, &salt)?
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new);
        Ok(opened.map_err(|_| Fault::input("the passphrase is wrong, or the file was changed"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(passphrase: &str) -> (Wallet, serde_json::Value) {
        let wallet = Wallet::of(PrivateKey::derive("quire cli keystore tests", b"1"));
        let sealing = Sealing::Encrypted(Passphrase::of_test(passphrase), KdfCost::Light);
        let bytes = encode(&wallet, &sealing).unwrap();
        (wallet, serde_json::from_slice(&bytes).unwrap())
    }

    fn opened(json: &serde_json::Value, passphrase: &str) -> Result<Wallet> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.json");
        std::fs::write(&path, json.to_string()).unwrap();
        Locked::read(&path)?.unlock(|| Ok(Passphrase::of_test(passphrase)))
    }

    #[test]
    fn the_right_passphrase_opens_and_no_other() {
        let (wallet, json) = sealed("correct horse");
        assert!(!json.to_string().contains(&hex::encode(wallet.key.seed())));
        let got = opened(&json, "correct horse").unwrap();
        assert_eq!(got.key.seed(), wallet.key.seed());
        let error = opened(&json, "correct horsf").err().unwrap();
        assert_eq!(crate::exit::class_of(&error), crate::exit::Class::Input);
        assert!(crate::exit::message(&error).contains("passphrase is wrong"));
        let (_, again) = sealed("correct horse");
        assert_ne!(json["crypto"]["ciphertext"], again["crypto"]["ciphertext"]);
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
            let message = crate::exit::message(&error);
            assert!(
                message.contains("out of bounds"),
                "{field} {value}: {message}"
            );
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
        let plain = encode(&wallet, &Sealing::Plain).unwrap().to_vec();
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
