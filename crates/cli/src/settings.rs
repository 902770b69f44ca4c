//! What the global arguments mean: where things are and which keys are accepted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prover::key::AllowDevKeys;

use crate::args::Cli;
use crate::ui::{Format, Ui};

/// Name of the data directory if none is given.
const DEFAULT_DATA_DIR: &str = "./quire-data";

/// The global arguments, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where results and progress go.
    pub ui: Ui,
    /// Everything that is kept.
    pub data_dir: PathBuf,
    /// The data directory as typed, if it was.
    pub chosen_data_dir: Option<PathBuf>,
    /// Where keys are.
    pub keys_dir: PathBuf,
    /// The keys directory as typed, if it was.
    chosen_keys_dir: Option<PathBuf>,
    /// Whether keys of a seeded setup are accepted.
    pub dev_keys: AllowDevKeys,
}

impl Settings {
    /// Works out the global arguments and sets the number of threads.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn resolve(cli: &Cli) -> Result<Self> {
        if let Some(threads) = cli.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()
                .with_context(|| format!("cannot start {threads} threads"))?;
        }
        let format = match cli.json {
            true => Format::Json,
            false => Format::Text,
        };
        let dev_keys = match cli.allow_dev_keys {
            true => AllowDevKeys::Yes,
            false => AllowDevKeys::No,
        };
        let data_dir = cli.data_dir.clone();
        let mut settings = Self {
            ui: Ui::new(format),
            data_dir: PathBuf::new(),
            chosen_data_dir: data_dir.clone(),
            keys_dir: PathBuf::new(),
            chosen_keys_dir: cli.keys_dir.clone(),
            dev_keys,
        };
        settings.use_data_dir(&data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()));
        Ok(settings)
    }

    /// Moves to another data directory, with its keys unless their directory was typed.
    pub fn use_data_dir(&mut self, data_dir: &Path) {
        self.data_dir = data_dir.to_owned();
        let keys_dir = self.chosen_keys_dir.clone();
        self.keys_dir = keys_dir.unwrap_or_else(|| data_dir.join("keys"));
    }

    /// The folder of a proven batch.
    pub fn batch_folder(&self, number: u64) -> PathBuf {
        self.data_dir.join("batches").join(number.to_string())
    }

    /// The folder of wallets.
    pub fn wallets_dir(&self) -> PathBuf {
        self.data_dir.join("wallets")
    }
}

/// Makes a folder with the folders above it.
///
/// # Errors
/// If the operating system refuses.
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| {
        let folder = folder.display();
        format!("cannot make the folder {folder}; check that the place is writable and has space")
    })
}
