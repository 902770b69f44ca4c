//! `quire wallet`: private keys in files that only their owner can read.
//!
//! The same wallet signs operations of the rollup and, by the address derived from its key, calls
//! the native L1. Invariant: a private key is written to files of mode 0600 only, and never printed.
//! What a wallet file is, and how it is encrypted, is the duty of the crate `wallet`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use l1::Address;
use ledger::eddsa::PrivateKey;
use ledger::field::to_hex;
use rollup::place::make_folder;
use serde::Serialize;
use wallet::{
    KEY_BYTES, KeyEncryption, Locked, MAX_SEED_BYTES, Protection, SeedError, Wallet, decode_seed,
    encode, encode_seed,
};
use zeroize::Zeroizing;

use crate::args::{ProtectionArgs, SeedFormat, WalletImportArgs, WalletNewArgs, WalletShowArgs};
use crate::fault::{Fault, message};
use crate::files::{refuse_byte_order_mark, refuse_nul};
use crate::interrupt::shield;
use crate::passphrase;
use crate::settings::Settings;
use crate::ui::table;

/// What is shown of a wallet.
#[derive(Serialize)]
struct WalletFacts {
    name: String,
    file: PathBuf,
    public_key: String,
    public_key_x: String,
    public_key_y: String,
    address: Address,
    protection: Protection,
}

/// An entry of `wallet list`.
#[derive(Serialize)]
#[serde(untagged)]
enum Listed {
    /// A wallet.
    Wallet(Box<WalletFacts>),
    /// A file that is none.
    Fault {
        name: String,
        file: PathBuf,
        error: String,
    },
}

/// Reads and unlocks the wallet with this name or path.
///
/// # Errors
/// That says which file was read and what is wrong with it.
pub fn load(settings: &Settings, name: &str) -> Result<Wallet> {
    unlock(settings, &find(settings, name)?)
}

/// Unlocks a wallet with the passphrase that the settings name or somebody types.
///
/// # Errors
/// As [`Locked::unlock`].
pub fn unlock(settings: &Settings, locked: &Locked) -> Result<Wallet> {
    locked.unlock(|| passphrase::existing(settings, &locked.path))
}

/// Reads the wallet with this name or path, without unlocking it.
///
/// # Errors
/// That says which file was read and what is wrong with it.
pub fn find(settings: &Settings, name: &str) -> Result<Locked> {
    let path = wallet_path(settings, name)?;
    ensure!(
        path.exists(),
        Fault::environment(format!(
            "there is no wallet {}; make it with `quire wallet new {name}`",
            path.display()
        ))
    );
    Ok(Locked::read(&path)?)
}

/// `D/wallets/NAME.json` for a plain name, the path itself for a path.
fn wallet_path(settings: &Settings, name: &str) -> Result<PathBuf> {
    if name.contains(['/', '\\']) || name.ends_with(".json") {
        return Ok(PathBuf::from(name));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        bail!(Fault::usage(format!(
            "{name:?} is not a wallet name: use letters, digits, - and _, or a path"
        )));
    }
    Ok(settings.wallets_dir().join(format!("{name}.json")))
}

/// Writes a new file of mode 0600, whole or not at all; an existing file is not replaced.
///
/// # Errors
/// If it exists or cannot be written.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(folder)?;
    let _shield = shield();
    ::files::write_new(path, ::files::Readers::Owner, bytes).map_err(|error| {
        match error.is_taken() {
            true => anyhow!(
                "{} exists and is not replaced; choose another name",
                path.display()
            ),
            false => error.into(),
        }
    })
}

/// How a new wallet is to be kept: encrypted unless it is told otherwise.
fn sealing(settings: &Settings, args: &ProtectionArgs) -> Result<KeyEncryption> {
    if args.no_passphrase {
        return Ok(KeyEncryption::Plain);
    }
    Ok(KeyEncryption::Encrypted(
        passphrase::new(settings)?,
        args.kdf_cost.into(),
    ))
}

/// Writes a new wallet and shows it.
fn keep(settings: &Settings, name: &str, wallet: &Wallet, args: &ProtectionArgs) -> Result<()> {
    let path = wallet_path(settings, name)?;
    // Why: said before a passphrase is asked for; the write refuses as well.
    ensure!(
        !path.exists(),
        "{} exists and is not replaced; choose another name",
        path.display()
    );
    let sealing = sealing(settings, args)?;
    write_secret(&path, &encode(wallet, &sealing)?)?;
    let last = match sealing {
        KeyEncryption::Plain => "NOT ENCRYPTED: whoever reads this file has the key",
        KeyEncryption::Encrypted(..) => {
            "back up file and passphrase: together they are the only copy of the key"
        }
    };
    show(settings, &Locked::read(&path)?, last)
}

/// `quire wallet new`.
///
/// # Errors
/// If the file exists or cannot be written, or there is no passphrase.
pub fn run_new(settings: &Settings, args: &WalletNewArgs) -> Result<()> {
    keep(settings, &args.wallet, &Wallet::random(), &args.protection)
}

/// `quire wallet import`.
///
/// # Errors
/// If what is read is no private key; otherwise as [`run_new`].
pub fn run_import(settings: &Settings, args: &WalletImportArgs) -> Result<()> {
    let seed = read_seed(args)?;
    if args.format == SeedFormat::Text && seed.len() < KEY_BYTES {
        let length = seed.len();
        settings.ui.note(format!(
            "a text of {length} bytes may be guessed: keep money under a key of 32 random bytes"
        ));
    }
    let wallet = Wallet::of(PrivateKey::from_seed(&seed));
    keep(settings, &args.wallet, &wallet, &args.protection)
}

/// Reads a private key; messages do not repeat any of it.
fn read_seed(args: &WalletImportArgs) -> Result<Zeroizing<Vec<u8>>> {
    let (input, place): (Box<dyn Read>, String) = match &args.file {
        Some(path) => {
            let shown = path.display().to_string();
            let file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
            (Box::new(file), shown)
        }
        None => (Box::new(std::io::stdin()), "standard input".to_owned()),
    };
    // The longest spelling is hexadecimal with 0x and a line break.
    let most = 2 * MAX_SEED_BYTES as u64 + 4;
    let mut text = Zeroizing::new(Vec::with_capacity(4 * MAX_SEED_BYTES));
    input
        .take(most + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read {place}"))?;
    refuse_byte_order_mark(&text, &place)?;
    if args.format == SeedFormat::Text && (text.len() as u64) < most {
        refuse_nul(&text, &place)?;
    }
    let seed = decode_seed(&text, args.format.into()).map_err(|error| match error {
        SeedError::Hex => anyhow!("{error}; name another spelling with --format"),
        _ => error.into(),
    });
    seed.with_context(|| Fault::input(format!("{place} does not hold a private key")))
}

/// `quire wallet show`.
///
/// # Errors
/// If it cannot be read, or the export cannot be written.
pub fn run_show(settings: &Settings, args: &WalletShowArgs) -> Result<()> {
    let locked = find(settings, &args.wallet)?;
    let Some(export) = &args.export_private_key else {
        return show(settings, &locked, "");
    };
    let wallet = unlock(settings, &locked)?;
    write_secret(export, &encode_seed(&wallet.key))?;
    let written = format!("private key written to {}", export.display());
    show(settings, &locked, &written)
}

/// `quire wallet list`.
///
/// # Errors
/// If the folder cannot be read.
pub fn run_list(settings: &Settings) -> Result<()> {
    let folder = settings.wallets_dir();
    let listed: Vec<Listed> = files(&folder)?.iter().map(|file| list(file)).collect();
    let shown = folder.display();
    if listed.is_empty() {
        let text = format!("no wallets in {shown}; make one with `quire wallet new NAME`");
        return settings.ui.result(&listed, text);
    }
    let heading = ["wallet", "L1 address", "public key", "private key"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for entry in &listed {
        rows.push(match entry {
            Listed::Wallet(facts) => vec![
                facts.name.clone(),
                facts.address.to_string(),
                facts.public_key.clone(),
                match facts.protection {
                    Protection::Passphrase => "encrypted".to_owned(),
                    Protection::None => "NOT ENCRYPTED".to_owned(),
                },
            ],
            Listed::Fault { name, error, .. } => {
                vec![name.clone(), String::new(), String::new(), error.clone()]
            }
        });
    }
    settings.ui.result(&listed, table(&rows))
}

/// JSON files of a folder that may not exist, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let context = || format!("cannot read the folder {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn list(file: &Path) -> Listed {
    match Locked::read(file) {
        Ok(locked) => Listed::Wallet(Box::new(facts(&locked))),
        Err(error) => Listed::Fault {
            name: name_of(file),
            file: file.to_owned(),
            error: message(&error.into()),
        },
    }
}

fn name_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or(file.as_os_str());
    stem.to_string_lossy().into_owned()
}

fn facts(locked: &Locked) -> WalletFacts {
    WalletFacts {
        name: name_of(&locked.path),
        file: locked.path.clone(),
        public_key: hex::encode(locked.public.pack()),
        public_key_x: to_hex(&locked.public.x),
        public_key_y: to_hex(&locked.public.y),
        address: locked.address,
        protection: locked.protection(),
    }
}

fn show(settings: &Settings, locked: &Locked, last: &str) -> Result<()> {
    let facts = facts(locked);
    let kept = match facts.protection {
        Protection::Passphrase => "encrypted with a passphrase",
        Protection::None => "not encrypted",
    };
    let text = format!(
        "wallet       {}\npublic key   {}\nL1 address   {}\nprivate key  {kept}\n{last}",
        facts.file.display(),
        facts.public_key,
        facts.address
    );
    settings.ui.result(&facts, text)
}
