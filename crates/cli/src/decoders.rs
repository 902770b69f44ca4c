//! The formats that only the program reads, for the fuzzer.

use std::path::Path;

use ledger::eddsa::PrivateKey;
use wallet::{KeyEncryption, Locked, Passphrase, Protection, Wallet, encode};
use zeroize::Zeroizing;

use crate::config::{Partial, parse};
use crate::operations;

/// The wallet file of a private key that everybody knows, not encrypted.
///
/// # Errors
/// Never: a wallet has a text.
pub fn plain_wallet(seed: &[u8]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    Ok(encode(
        &Wallet::of(PrivateKey::from_seed(seed)),
        &KeyEncryption::Plain,
    )?)
}

/// Reads a wallet file; true if it is one. A plain one is opened, written and read again.
///
/// # Panics
/// If the wallet changes on the way.
pub fn wallet(text: &[u8]) -> bool {
    let path = Path::new("fuzzed.json");
    let Ok(locked) = Locked::parse(path, text) else {
        return false;
    };
    // Deriving a key takes as long as the file says, within bounds: not here.
    if locked.protection() == Protection::None {
        let nobody = || -> anyhow::Result<Passphrase> { unreachable!("nothing is encrypted") };
        let wallet = locked.unlock(nobody).expect("its key was checked");
        let again: Zeroizing<Vec<u8>> =
            encode(&wallet, &KeyEncryption::Plain).expect("a wallet has a text");
        let back = Locked::parse(path, &again).expect("what is written can be read");
        assert_eq!((back.public, back.address), (locked.public, locked.address));
    }
    true
}

/// Reads a file of signed operations; true if it is one. They are written in both forms and read again.
///
/// # Panics
/// If an operation changes on the way.
pub fn operations(bytes: &[u8]) -> bool {
    let Ok(operations) = operations::read(bytes) else {
        return false;
    };
    let (mut records, mut texts) = (Vec::new(), Vec::new());
    for operation in &operations {
        records.extend(operation.to_bytes().expect("what was read can be written"));
        texts.extend(operations::json_of(operation).expect("an operation has a text"));
    }
    for written in [records, texts] {
        let again = operations::read(&written).expect("what is written can be read");
        assert_eq!(again, operations);
    }
    true
}

/// Reads a configuration file; true if it is one that says something.
pub fn config(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| parse(text).is_ok_and(|values| values != Partial::default()))
}
