//! `quire wallet`: a private key in a file that only its owner can read.
//!
//! The same wallet signs operations of the rollup and, by the address derived from its key, calls
//! the native L1. Invariant: a private key is written to files of mode 0600 only, and never printed.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use l1::Address;
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::field::to_hex;
use rand::RngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::args::{WalletNewArgs, WalletShowArgs};
use crate::interrupt::shield;
use crate::settings::{Settings, make_folder};

/// Version of the wallet file.
const VERSION: u32 = 1;
/// Most bytes of a wallet file that are read.
const MAX_BYTES: u64 = 1 << 16;

/// A private key with what follows from it.
pub struct Wallet {
    /// The key that signs.
    pub key: PrivateKey,
    /// Its public key.
    pub public: Point,
    /// The address that calls L1.
    pub address: Address,
}

/// A wallet file. Public key and address repeat what the private key says and must agree.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct WalletFile {
    version: u32,
    public_key: String,
    #[zeroize(skip)]
    address: Address,
    private_key: String,
}

/// What is shown of a wallet.
#[derive(Serialize)]
struct WalletFacts {
    file: PathBuf,
    public_key: String,
    public_key_x: String,
    public_key_y: String,
    address: Address,
}

impl Wallet {
    /// The wallet of a private key.
    pub fn of(key: PrivateKey) -> Self {
        let public = key.public_key();
        Self {
            address: address_of(&public),
            key,
            public,
        }
    }

    /// A wallet with a key from the operating system's randomness.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(&mut *bytes);
        Self::of(PrivateKey(*bytes))
    }

    /// Reads the wallet with this name or path.
    ///
    /// # Errors
    /// That says which file was read and what is wrong with it.
    pub fn load(settings: &Settings, name: &str) -> Result<Self> {
        let path = wallet_path(settings, name)?;
        ensure!(
            path.exists(),
            "there is no wallet {}; make it with `quire wallet new {name}`",
            path.display()
        );
        Self::read(&path)
    }

    /// Reads a wallet file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display();
        let context = || format!("cannot read the wallet {file}");
        let size = std::fs::metadata(path).with_context(context)?.len();
        ensure!(
            size <= MAX_BYTES,
            "{file} has {size} bytes: this is not a wallet"
        );
        let text = Zeroizing::new(std::fs::read(path).with_context(context)?);
        // Why: the parser's own message could repeat a part of the private key.
        let parsed: WalletFile = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            anyhow::anyhow!("{file} is not a wallet (line {line}, column {column}); restore it from a backup, or make another with `quire wallet new`")
        })?;
        Self::decode(&parsed).with_context(|| format!("the wallet {file} cannot be used"))
    }

    fn decode(file: &WalletFile) -> Result<Self> {
        let got = file.version;
        ensure!(
            got == VERSION,
            "it has format version {got}, this program reads {VERSION}"
        );
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(file.private_key.as_str(), &mut *bytes)
            .ok()
            .context("its private key is not 64 hexadecimal digits")?;
        let wallet = Self::of(PrivateKey(*bytes));
        let public_key = hex::encode(wallet.public.pack());
        ensure!(
            file.public_key == public_key && file.address == wallet.address,
            "its private key belongs to public key {public_key} and address {}, it says {} and {}",
            wallet.address,
            file.public_key,
            file.address
        );
        Ok(wallet)
    }

    /// Writes a new wallet file of mode 0600.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = WalletFile {
            version: VERSION,
            public_key: hex::encode(self.public.pack()),
            address: self.address,
            private_key: hex::encode(self.key.0),
        };
        let mut text = Zeroizing::new(
            serde_json::to_vec_pretty(&file).context("cannot write the wallet as JSON")?,
        );
        text.push(b'\n');
        write_secret(path, &text)
    }
}

/// The L1 address of a public key: the first 20 bytes of BLAKE3 in `derive_key` mode.
fn address_of(key: &Point) -> Address {
    let digest = blake3::derive_key("quire 1 native L1 address", &key.pack());
    let (head, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    l1::bytes::Bytes(*head)
}

/// `D/wallets/NAME.json` for a plain name, the path itself for a path.
fn wallet_path(settings: &Settings, name: &str) -> Result<PathBuf> {
    if name.contains(['/', '\\']) || name.ends_with(".json") {
        return Ok(PathBuf::from(name));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        bail!("{name:?} is not a wallet name: use letters, digits, - and _, or a path");
    }
    Ok(settings.wallets_dir().join(format!("{name}.json")))
}

/// Writes a new file of mode 0600, whole or not at all; an existing file is not replaced.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(folder)?;
    let _shield = shield();
    // Temporary files are made with mode 0600.
    let context = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(
                "{} exists and is not replaced; choose another name",
                path.display()
            )
        }
        Err(error) => Err(error.error).with_context(context),
    }
}

/// Makes a wallet.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn run_new(settings: &Settings, args: &WalletNewArgs) -> Result<()> {
    let path = wallet_path(settings, &args.wallet)?;
    let wallet = Wallet::random();
    wallet.save(&path)?;
    show(
        settings,
        path,
        &wallet,
        "keep this file secret and backed up: it is the only copy of the key",
    )
}

/// Shows a wallet.
///
/// # Errors
/// If it cannot be read, or the export cannot be written.
pub fn run_show(settings: &Settings, args: &WalletShowArgs) -> Result<()> {
    let wallet = Wallet::load(settings, &args.wallet)?;
    let path = wallet_path(settings, &args.wallet)?;
    let Some(export) = &args.export_private_key else {
        return show(settings, path, &wallet, "");
    };
    let mut text = Zeroizing::new(hex::encode(wallet.key.0));
    text.push('\n');
    write_secret(export, text.as_bytes())?;
    let written = format!("private key written to {}", export.display());
    show(settings, path, &wallet, &written)
}

fn show(settings: &Settings, file: PathBuf, wallet: &Wallet, last: &str) -> Result<()> {
    let facts = WalletFacts {
        file,
        public_key: hex::encode(wallet.public.pack()),
        public_key_x: to_hex(&wallet.public.x),
        public_key_y: to_hex(&wallet.public.y),
        address: wallet.address,
    };
    let text = format!(
        "wallet      {}\npublic key  {}\nL1 address  {}\n{last}",
        facts.file.display(),
        facts.public_key,
        facts.address
    );
    settings.ui.result(&facts, text)
}
