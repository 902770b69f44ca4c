//! `quire wallet`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `quire wallet …`
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a wallet with a new private key, encrypted, in a file that only you can read
    #[command(after_help = "\
The passphrase is asked twice on the terminal, or taken from --passphrase-file or QUIRE_PASSPHRASE.

Examples:
  quire wallet new alice                         D/wallets/alice.json
  quire wallet new ./alice.json                  a file of your choice
  quire wallet new alice --passphrase-file p.txt
  quire wallet new test --no-passphrase          readable by whoever gets the file: trials only

JSON: name, file, public_key, public_key_x, public_key_y, address, protection")]
    New(WalletNewArgs),
    /// Show a wallet's public key and L1 address
    #[command(after_help = "\
Examples:
  quire wallet show alice
  quire wallet show alice --export-private-key alice.secret

JSON: name, file, public_key, public_key_x, public_key_y, address, protection")]
    Show(WalletShowArgs),
    /// Make a wallet of a private key of circomlib, circomlibjs or zk-kit
    #[command(after_help = "\
The key is read from standard input or a file, never from the command line. It is what
`eddsa.signPoseidon(key, …)` or zk-kit's `signMessage(key, …)` took: bytes in hexadecimal or base64,
or with --format text the very characters of a seed.

Examples:
  quire wallet import alice < key.hex
  quire wallet import alice --file key.b64 --format base64
  printf %s \"$SEED\" | quire wallet import alice --format text

JSON: name, file, public_key, public_key_x, public_key_y, address, protection")]
    Import(WalletImportArgs),
    /// The wallets of the data directory
    #[command(after_help = "\
Examples:
  quire wallet list
  quire wallet list --json

JSON: a list of name, file, public_key, public_key_x, public_key_y, address, protection, and error
for files that are no wallets")]
    List,
}

/// How a new wallet is kept.
#[derive(Debug, Args)]
pub struct ProtectionArgs {
    /// Do not encrypt: whoever reads the file has the key
    #[arg(long, conflicts_with = "kdf_cost")]
    pub no_passphrase: bool,
    /// What each guess of the passphrase costs
    #[arg(long, value_enum, default_value_t = KdfCost::Standard, value_name = "COST")]
    pub kdf_cost: KdfCost,
}

/// Cost of Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KdfCost {
    /// 1 MiB, 1 pass: trials and tests only
    Light,
    /// 64 MiB, 3 passes: RFC 9106's choice for little memory
    Standard,
    /// 256 MiB, 4 passes
    Strong,
}

impl From<KdfCost> for ::wallet::Cost {
    fn from(cost: KdfCost) -> Self {
        match cost {
            KdfCost::Light => Self::Light,
            KdfCost::Standard => Self::Standard,
            KdfCost::Strong => Self::Strong,
        }
    }
}

/// Arguments of `wallet new`.
#[derive(Debug, Args)]
pub struct WalletNewArgs {
    /// Name of the wallet, or a path
    pub wallet: String,
    /// How it is kept
    #[command(flatten)]
    pub protection: ProtectionArgs,
}

/// Arguments of `wallet show`.
#[derive(Debug, Args)]
pub struct WalletShowArgs {
    /// Name of the wallet, or a path
    pub wallet: String,
    /// Write the private key into a new file of mode 0600: in hexadecimal, or as it is if it is text
    #[arg(long, value_name = "FILE")]
    pub export_private_key: Option<PathBuf>,
}

/// Arguments of `wallet import`.
#[derive(Debug, Args)]
pub struct WalletImportArgs {
    /// Name of the wallet, or a path
    pub wallet: String,
    /// File with the private key [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How the private key is written
    #[arg(long, value_enum, default_value_t = SeedFormat::Hex, value_name = "F")]
    pub format: SeedFormat,
    /// How it is kept
    #[command(flatten)]
    pub protection: ProtectionArgs,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeedFormat {
    /// 32 bytes as 64 hexadecimal digits, with or without 0x
    Hex,
    /// 32 bytes in base64
    Base64,
    /// The characters are the key; one line break at the end is left out
    Text,
}

impl From<SeedFormat> for ::wallet::SeedFormat {
    fn from(format: SeedFormat) -> Self {
        match format {
            SeedFormat::Hex => Self::Hex,
            SeedFormat::Base64 => Self::Base64,
            SeedFormat::Text => Self::Text,
        }
    }
}
