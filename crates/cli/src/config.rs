//! The configuration file and the environment, read and checked; nothing is decided here.
//!
//! One file is read: that of `--config` or `QUIRE_CONFIG`, else `D/quire.toml`, else the user's.
//! Invariant: a key or value that this program does not know is an error with its line, so that a
//! misspelt setting never has no effect. Which source wins is the duty of `settings`.

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::fault::Fault;

/// Name of the file in a data directory.
pub const FILE_NAME: &str = "quire.toml";
/// Most bytes of a configuration file that are read.
const MAX_BYTES: u64 = 1 << 20;

/// Settings as a file or the environment has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partial {
    /// Everything that is kept.
    pub data_dir: Option<PathBuf>,
    /// Where keys are.
    pub keys_dir: Option<PathBuf>,
    /// The native L1's file, or the address of a node.
    pub l1: Option<PathBuf>,
    /// Blocks that must lie on an L1 block before it counts.
    pub confirmations: Option<u64>,
    /// File with the passphrase of wallets.
    pub passphrase_file: Option<PathBuf>,
    /// Whether keys of a seeded setup are accepted.
    pub allow_dev_keys: Option<bool>,
    /// Threads to use.
    pub threads: Option<u16>,
    /// Memory for proofs side by side.
    pub memory: Option<String>,
    /// File of the Ethereum key.
    pub eth_key_file: Option<PathBuf>,
}

/// A file that was read.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// Where it is; none if there is none.
    pub path: Option<PathBuf>,
    /// What it says, relative paths taken from its folder.
    pub values: Partial,
}

/// The variables of [`Partial`]'s fields, in order.
pub const VARIABLES: [&str; 9] = [
    "QUIRE_DATA_DIR",
    "QUIRE_KEYS_DIR",
    "QUIRE_L1",
    "QUIRE_CONFIRMATIONS",
    "QUIRE_PASSPHRASE_FILE",
    "QUIRE_ALLOW_DEV_KEYS",
    "QUIRE_THREADS",
    "QUIRE_MEMORY",
    "QUIRE_ETH_KEY_FILE",
];

/// The text of a variable; none if it is unset or empty.
///
/// # Errors
/// If it is not UTF-8.
pub fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!(Fault::usage(format!("{name} is not UTF-8"))),
    }
}

fn path_variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

fn parsed<T: std::str::FromStr>(name: &str, expected: &str) -> Result<Option<T>> {
    let Some(text) = variable(name)? else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => bail!(Fault::usage(format!(
            "{name} is {text:?}: expected {expected}"
        ))),
    }
}

impl Partial {
    /// What the environment says.
    ///
    /// # Errors
    /// If a variable does not parse.
    pub fn of_environment() -> Result<Self> {
        let [
            data_dir,
            keys_dir,
            l1,
            confirmations,
            passphrase_file,
            dev_keys,
            threads,
            memory,
            eth_key_file,
        ] = VARIABLES;
        Ok(Self {
            data_dir: path_variable(data_dir),
            keys_dir: path_variable(keys_dir),
            l1: path_variable(l1),
            confirmations: parsed(confirmations, "a number of blocks")?,
            passphrase_file: path_variable(passphrase_file),
            allow_dev_keys: parsed(dev_keys, "true or false")?,
            threads: threads_in_range(parsed(threads, "1 to 1024")?, threads)?,
            memory: variable(memory)?,
            eth_key_file: path_variable(eth_key_file),
        })
    }

    /// Takes relative paths from a folder.
    fn relative_to(mut self, folder: &Path) -> Self {
        let paths = [
            &mut self.data_dir,
            &mut self.keys_dir,
            &mut self.l1,
            &mut self.passphrase_file,
            &mut self.eth_key_file,
        ];
        let paths = paths.into_iter().flatten();
        for path in paths.filter(|path| node_address(path).is_none()) {
            *path = folder.join(&*path);
        }
        self
    }
}

/// The address of a node, if that is what was given as the place of L1.
pub fn node_address(l1: &Path) -> Option<&str> {
    let text = l1.to_str()?;
    let schemes = ["http://", "https://", "ws://", "wss://"];
    schemes
        .iter()
        .any(|scheme| text.starts_with(scheme))
        .then_some(text)
}

/// Whether something has this name, also a link that leads nowhere: it is read or refused, never passed over.
fn is_there(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
        ),
    }
}

/// Bounds a number of threads.
fn threads_in_range(threads: Option<u16>, place: &str) -> Result<Option<u16>> {
    if let Some(got) = threads {
        ensure!(
            (1..=1024).contains(&got),
            Fault::usage(format!("{place}: threads go from 1 to 1024, got {got}"))
        );
    }
    Ok(threads)
}

impl ConfigFile {
    /// Finds and reads the file. `named` is what `--config` or `QUIRE_CONFIG` say, `data_dir` the
    /// data directory as flags, environment and default have it.
    ///
    /// # Errors
    /// If a named file does not exist, or a file does not parse; the line is named.
    pub fn find(named: Option<&Path>, data_dir: &Path) -> Result<Self> {
        if let Some(path) = named {
            return Self::read(path);
        }
        let own = data_dir.join(FILE_NAME);
        if is_there(&own) {
            let file = Self::read(&own)?;
            // Why not allow_dev_keys: a data directory can come from somebody else, who could then
            // forge proofs that its user takes for good; nor eth_key_file: its node could have
            // the user's own key sign.
            let forbidden = [
                ("data_dir", file.values.data_dir.is_some()),
                ("allow_dev_keys", file.values.allow_dev_keys.is_some()),
                ("eth_key_file", file.values.eth_key_file.is_some()),
            ];
            if let Some((name, _)) = forbidden.into_iter().find(|(_, set)| *set) {
                bail!(Fault::usage(format!(
                    "{}: {name} cannot be set in the data directory's own file; remove it, or name the file with --config",
                    own.display()
                )));
            }
            return Ok(file);
        }
        match user_file() {
            Some(path) if is_there(&path) => Self::read(&path),
            _ => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let context = || Fault::usage(format!("cannot read the configuration {shown}"));
        // Why: what is not a plain file does not tell its size.
        let file = std::fs::File::open(path).with_context(context)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(context)?;
        ensure!(
            bytes.len() as u64 <= MAX_BYTES,
            Fault::usage(format!(
                "{shown} has more than {MAX_BYTES} bytes: this is no configuration"
            ))
        );
        // A mark of UTF-8 is no part of TOML, and skipped by its reader.
        let text = std::str::from_utf8(&bytes).ok().with_context(|| {
            Fault::usage(format!(
                "the configuration {shown} is not UTF-8: save it as such"
            ))
        })?;
        let values = parse(text).with_context(context)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            path: Some(path.to_owned()),
            values: values.relative_to(folder),
        })
    }
}

/// Reads the text of a file.
///
/// # Errors
/// With the line.
pub fn parse(text: &str) -> Result<Partial> {
    let values: Partial = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = 1 + text.as_bytes()[..start]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Fault::usage(format!("line {line}: {}", error.message()))
    })?;
    threads_in_range(values.threads, "threads")?;
    Ok(values)
}

/// `$XDG_CONFIG_HOME/quire/config.toml`, or below `~/.config`.
fn user_file() -> Option<PathBuf> {
    let base = path_variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| path_variable("HOME").map(|home| home.join(".config")))?;
    Some(base.join("quire/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_refused_with_its_line() {
        let text = "# comment\nkeys_dir = \"k\"\nconfirmations = 6\nallow_dev_keys = true\n";
        let values = parse(text).unwrap().relative_to(Path::new("/etc"));
        assert_eq!(values.keys_dir.unwrap(), PathBuf::from("/etc/k"));
        assert_eq!(
            (values.confirmations, values.allow_dev_keys),
            (Some(6), Some(true))
        );
        for (text, expected) in [
            ("threads = 2\nkeysdir = \"k\"", ["line 2", "keysdir"]),
            ("\n\nthreads = \"two\"", ["line 3", "invalid type"]),
            ("threads = 0", ["threads", "got 0"]),
            ("confirmations = -1", ["line 1", "-1"]),
            ("threads = 1\nthreads = 2", ["line 2", "duplicate"]),
            ("[keys]\ndir = \"k\"", ["line 1", "keys"]),
            ("threads = ", ["line 1", ""]),
        ] {
            let message = crate::fault::message(&parse(text).unwrap_err());
            assert!(
                expected.iter().all(|part| message.contains(part)),
                "{text:?}: {message}"
            );
        }
    }
}
