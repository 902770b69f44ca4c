//! Wallet files that a program in another language made (`vectors/make.py`): good ones with their
//! passphrases and keys, and damaged ones with the fault that must be found.

use std::path::{Path, PathBuf};

use ledger::eddsa::PrivateKey;
use serde_json::Value;

use crate::error::{FileFault, WalletError};
use crate::format::{NONCE_BYTES, SALT_BYTES};
use crate::keystore::{Cost, KeyEncryption, Locked, encode_with};
use crate::passphrase::Passphrase;
use crate::wallet::Wallet;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn vectors(kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("wallets.json")).unwrap();
    let mut vectors: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(vectors[kind].take()).unwrap()
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap()
}

fn passphrase(vector: &Value) -> Result<Passphrase, WalletError> {
    let words = text(vector, "passphrase").as_bytes().to_vec();
    Ok(Passphrase::new(words.into(), "the vectors").unwrap())
}

#[test]
fn good_files_hold_their_keys() {
    let good = vectors("good");
    assert_eq!(good.len(), 4);
    for vector in good {
        let name = text(&vector, "file");
        let locked = Locked::read(&folder().join(name)).unwrap();
        assert_eq!(hex::encode(locked.public.pack()), vector["public_key"]);
        assert_eq!(locked.address.to_string(), vector["address"]);
        let wallet = locked.unlock(|| passphrase(&vector)).unwrap();
        assert_eq!(hex::encode(wallet.key.seed()), vector["private_key"]);
    }
}

/// What this crate writes of the same key, salt and nonce is the same file, byte for byte.
#[test]
fn files_are_written_as_they_are_specified() {
    let seed = |vector: &Value| hex::decode(text(vector, "private_key")).unwrap();
    for vector in vectors("good") {
        let name = text(&vector, "file");
        let cost = match name {
            "plain.json" => None,
            "light.json" => Some(Cost::Light),
            "standard.json" => Some(Cost::Standard),
            // Files of several lanes are read and not made.
            "lanes.json" => continue,
            name => panic!("{name} is not known"),
        };
        let expected = std::fs::read(folder().join(name)).unwrap();
        let file: Value = serde_json::from_slice(&expected).unwrap();
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        let mut sealing = KeyEncryption::Plain;
        if let Some(cost) = cost {
            hex::decode_to_slice(text(&file["crypto"], "salt"), &mut salt).unwrap();
            hex::decode_to_slice(text(&file["crypto"], "nonce"), &mut nonce).unwrap();
            sealing = KeyEncryption::Encrypted(passphrase(&vector).unwrap(), cost);
        }
        let wallet = Wallet::of(PrivateKey::from_seed(&seed(&vector)));
        let written = encode_with(&wallet, &sealing, &salt, nonce).unwrap();
        assert_eq!(*written, expected, "{name}");
    }
}

#[test]
fn damaged_files_are_refused_for_their_fault() {
    let damaged = vectors("damaged");
    assert_eq!(damaged.len(), 23);
    for vector in damaged {
        let name = text(&vector, "name");
        let bytes = serde_json::to_vec(&vector["wallet"]).unwrap();
        let read = Locked::parse(Path::new("w.json"), &bytes);
        // Only what is authenticated, or decoded with it, may be found as late as when it is unlocked.
        let late = vector["passphrase"].is_string();
        assert_eq!(read.is_ok(), late, "{name}");
        let error = read
            .and_then(|locked| locked.unlock(|| passphrase(&vector)))
            .err()
            .unwrap();
        assert_eq!(fault_of(&error), text(&vector, "fault"), "{name}");
    }
}

fn fault_of(error: &WalletError) -> &'static str {
    let fault = match error {
        WalletError::NotAWallet { .. } => return "NotAWallet",
        WalletError::Unusable { fault, .. } | WalletError::Unlock { fault, .. } => fault,
        other => panic!("{other}"),
    };
    match fault {
        FileFault::Version { .. } => "Version",
        FileFault::Fields => "Fields",
        FileFault::PrivateKey => "PrivateKey",
        FileFault::PublicKeyDigits => "PublicKeyDigits",
        FileFault::PublicKey(_) => "PublicKey",
        FileFault::OtherKey { .. } => "OtherKey",
        FileFault::OtherAddress { .. } => "OtherAddress",
        FileFault::Algorithms { .. } => "Algorithms",
        FileFault::Costs { .. } => "Costs",
        FileFault::Digits(_) => "Digits",
        FileFault::Derivation(_) => "Derivation",
        FileFault::Cipher => "Cipher",
        FileFault::Passphrase => "Passphrase",
    }
}
