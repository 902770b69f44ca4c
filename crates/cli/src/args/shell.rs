//! `quire config`, `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `quire config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting with its value and where it came from
    #[command(after_help = "\
One file is read: the one that --config or QUIRE_CONFIG names; else D/quire.toml; else
$XDG_CONFIG_HOME/quire/config.toml (~/.config without XDG_CONFIG_HOME). Keys of the file: data_dir,
keys_dir, l1, confirmations, passphrase_file, allow_dev_keys, threads, memory, eth_key_file. Environment:
the same names in capitals after QUIRE_, and QUIRE_PASSPHRASE.

Examples:
  quire config show
  QUIRE_THREADS=2 quire config show --config ./quire.toml
  quire config show --json

JSON: file, settings: a list of setting, value, source (flag, environment, file or default), place")]
    Show,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command, such as `keys setup` [default: quire itself]
    #[arg(conflicts_with = "dir")]
    pub command: Vec<String>,
    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
