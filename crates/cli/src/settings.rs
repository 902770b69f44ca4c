//! What the global arguments mean: where things are and which keys are accepted.
//!
//! Each setting comes from the first of: flag, environment, configuration file, default. Where it
//! came from is kept for `quire config show`.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use prover::key::AllowDevKeys;
use rollup::{Clock, Place};
use serde::Serialize;

use crate::args::GlobalArgs;
use crate::config::{ConfigFile, Partial, VARIABLES, node_address, variable};
use crate::interrupt::stop;
use crate::link::connect;
use crate::ui::{Format, Style, Ui, paint, table};
use crate::watch::watch;

/// Name of the data directory if none is given.
const DEFAULT_DATA_DIR: &str = "./quire-data";
/// Blocks that must lie on a block of a real chain before it counts, if no number is given.
const CHAIN_CONFIRMATIONS: u64 = 12;
/// Memory for proofs side by side if none is given.
const DEFAULT_MEMORY: &str = "2GiB";

/// The global arguments, resolved.
#[derive(Clone)]
pub struct Settings {
    /// Where results and progress go.
    pub ui: Ui,
    /// Where the deployment is, and how it is used.
    place: Place,
    /// The data directory as chosen, if it was.
    pub chosen_data_dir: Option<PathBuf>,
    /// The keys directory as chosen, if it was.
    chosen_keys_dir: Option<PathBuf>,
    /// Address of a node of the contract's chain. It may hold a password: never shown whole.
    pub l1_url: Option<String>,
    /// File of the Ethereum key.
    pub eth_key_file: Option<PathBuf>,
    /// File with the passphrase of wallets.
    pub passphrase_file: Option<PathBuf>,
    /// Memory for proofs side by side, as typed.
    pub memory: String,
    /// The configuration file that was read.
    config_file: Option<PathBuf>,
    /// Where each value came from, in the order of [`VARIABLES`].
    shown: Vec<Shown>,
}

/// A command works in the place that the settings name.
impl Deref for Settings {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

/// A setting with its origin.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    setting: &'static str,
    value: String,
    source: Source,
    place: String,
}

/// What decided a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Flag,
    Environment,
    File,
    Default,
}

/// What `config show` prints.
#[derive(Serialize)]
struct ConfigFacts<'a> {
    file: &'a Option<PathBuf>,
    settings: &'a [Shown],
}

/// The three sources besides defaults.
struct Layers<'a> {
    flags: Partial,
    environment: Partial,
    file: &'a ConfigFile,
    shown: Vec<Shown>,
}

impl Layers<'_> {
    /// The value that counts, noted for `config show`; `default` is shown where there is none.
    fn pick<T: Clone>(
        &mut self,
        setting: &'static str,
        field: impl Fn(&Partial) -> &Option<T>,
        show: impl Fn(&T) -> String,
        default: String,
    ) -> Option<T> {
        let variable = VARIABLES[self.shown.len()];
        let path = self.file.path.as_ref();
        let file = path.map_or_else(String::new, |path| path.display().to_string());
        let flag = format!("--{}", setting.replace('_', "-"));
        let layers = [
            (field(&self.flags), Source::Flag, flag),
            (
                field(&self.environment),
                Source::Environment,
                variable.to_owned(),
            ),
            (field(&self.file.values), Source::File, file),
        ];
        let found = layers.into_iter().find(|(value, _, _)| value.is_some());
        let (value, source, place) = match found {
            Some((value, source, place)) => (value.clone(), source, place),
            None => (None, Source::Default, String::new()),
        };
        self.shown.push(Shown {
            setting,
            value: value.as_ref().map_or(default, show),
            source,
            place,
        });
        value
    }
}

fn flags(args: &GlobalArgs, memory: Option<&str>) -> Partial {
    Partial {
        data_dir: args.data_dir.clone(),
        keys_dir: args.keys_dir.clone(),
        l1: args.l1.clone(),
        confirmations: args.confirmations,
        passphrase_file: args.passphrase_file.clone(),
        allow_dev_keys: args.allow_dev_keys.then_some(true),
        threads: args.threads,
        memory: memory.map(str::to_owned),
        eth_key_file: args.eth_key_file.clone(),
    }
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

/// A place of L1; of a node's address only scheme and host, since the rest may be a password.
fn shown_l1(l1: &Path) -> String {
    let Some(url) = node_address(l1) else {
        return shown_path(l1);
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

impl Settings {
    /// Works out the global arguments and sets the number of threads. `memory` is the argument of
    /// the commands that have it.
    ///
    /// # Errors
    /// If environment or file are not valid, or the threads cannot be started.
    pub fn resolve(args: &GlobalArgs, memory: Option<&str>) -> Result<Self> {
        let (flags, environment) = (flags(args, memory), Partial::of_environment()?);
        let named = match &args.config {
            Some(path) => Some(path.clone()),
            None => variable("QUIRE_CONFIG")?.map(PathBuf::from),
        };
        let early = flags.data_dir.as_ref().or(environment.data_dir.as_ref());
        let early = early.map_or(Path::new(DEFAULT_DATA_DIR), PathBuf::as_path);
        let file = ConfigFile::find(named.as_deref(), early)?;
        let mut layers = Layers {
            flags,
            environment,
            file: &file,
            shown: Vec::new(),
        };
        let format = match args.json {
            true => Format::Json,
            false => Format::Text,
        };
        let (mut settings, threads) = Self::of(&mut layers, Ui::new(format));
        settings.place.wait = Duration::from_secs(args.wait);
        if args.trust_clock {
            settings.place.clock = Clock::Trusted;
        }
        if let Some(threads) = threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()
                .with_context(|| format!("cannot start {threads} threads"))?;
        }
        tracing::info!(
            data_dir = %settings.data_dir.display(),
            keys_dir = %settings.keys_dir.display(),
            file = ?settings.config_file,
            "settings"
        );
        Ok(settings)
    }

    /// The settings, and the number of threads if one was chosen.
    fn of(layers: &mut Layers<'_>, ui: Ui) -> (Self, Option<u16>) {
        let data_dir = layers.pick(
            "data_dir",
            |from| &from.data_dir,
            |path| shown_path(path),
            DEFAULT_DATA_DIR.to_owned(),
        );
        let base = data_dir.clone().unwrap_or_else(|| DEFAULT_DATA_DIR.into());
        let keys = shown_path(&base.join("keys"));
        let keys_dir = layers.pick(
            "keys_dir",
            |from| &from.keys_dir,
            |path| shown_path(path),
            keys,
        );
        let l1 = shown_path(&Place::of(&base).l1_file);
        let l1_file = layers.pick("l1", |from| &from.l1, |path| shown_l1(path), l1);
        let on_chain = l1_file
            .as_deref()
            .is_some_and(|l1| node_address(l1).is_some());
        let usual = if on_chain { CHAIN_CONFIRMATIONS } else { 0 };
        let confirmations = layers.pick(
            "confirmations",
            |from| &from.confirmations,
            u64::to_string,
            usual.to_string(),
        );
        let passphrase_file = layers.pick(
            "passphrase_file",
            |from| &from.passphrase_file,
            |path| shown_path(path),
            "asked on the terminal".to_owned(),
        );
        let dev_keys = layers.pick(
            "allow_dev_keys",
            |from| &from.allow_dev_keys,
            bool::to_string,
            "false".to_owned(),
        );
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = layers.pick(
            "threads",
            |from| &from.threads,
            u16::to_string,
            cores.to_string(),
        );
        let memory = layers.pick(
            "memory",
            |from| &from.memory,
            String::clone,
            DEFAULT_MEMORY.to_owned(),
        );
        let eth_key_file = layers.pick(
            "eth_key_file",
            |from| &from.eth_key_file,
            |path| shown_path(path),
            "none".to_owned(),
        );
        let mut settings = Self {
            ui,
            place: Place {
                confirmations: confirmations.unwrap_or(usual),
                dev_keys: match dev_keys {
                    Some(true) => AllowDevKeys::Yes,
                    _ => AllowDevKeys::No,
                },
                watch: watch(ui),
                stop: stop(),
                ..Place::of(&base)
            },
            chosen_data_dir: data_dir,
            chosen_keys_dir: keys_dir,
            l1_url: None,
            eth_key_file,
            passphrase_file,
            memory: memory.unwrap_or_else(|| DEFAULT_MEMORY.to_owned()),
            config_file: layers.file.path.clone(),
            shown: std::mem::take(&mut layers.shown),
        };
        settings.use_data_dir(&base);
        if let Some(chosen) = l1_file {
            match node_address(&chosen) {
                Some(url) => {
                    let key = settings.eth_key_file.clone();
                    settings.place.connect = Some(connect(url.to_owned(), key));
                    settings.l1_url = Some(url.to_owned());
                }
                None => settings.place.l1_file = chosen,
            }
        }
        (settings, threads)
    }

    /// Moves to another data directory, with its L1, and its keys unless their place was chosen.
    pub fn use_data_dir(&mut self, data_dir: &Path) {
        let Place {
            data_dir,
            keys_dir,
            l1_file,
            ..
        } = Place::of(data_dir);
        self.place.data_dir = data_dir;
        self.place.keys_dir = self.chosen_keys_dir.clone().unwrap_or(keys_dir);
        self.place.l1_file = l1_file;
    }

    /// As [`Self::use_data_dir`], with keys in the data directory wherever the others are.
    pub fn use_alone(&mut self, data_dir: &Path) {
        self.chosen_keys_dir = None;
        self.use_data_dir(data_dir);
    }

    /// Takes keys from elsewhere.
    pub fn use_keys(&mut self, keys_dir: &Path) {
        self.place.keys_dir = keys_dir.to_owned();
    }

    /// True if the configuration file says where L1 is.
    pub fn l1_from_file(&self) -> bool {
        let l1 = self.shown.iter().find(|shown| shown.setting == "l1");
        l1.is_some_and(|shown| shown.source == Source::File)
    }

    /// The folder of wallets.
    pub fn wallets_dir(&self) -> PathBuf {
        self.data_dir.join("wallets")
    }
}

/// `quire config show`.
///
/// # Errors
/// If standard output cannot be written.
pub fn run_show(settings: &Settings) -> Result<()> {
    let heading = ["setting", "value", "from", "place"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for shown in &settings.shown {
        let source = match shown.source {
            Source::Flag => "flag",
            Source::Environment => "environment",
            Source::File => "file",
            Source::Default => "default",
        };
        rows.push(vec![
            shown.setting.to_owned(),
            shown.value.clone(),
            source.to_owned(),
            shown.place.clone(),
        ]);
    }
    let file = match &settings.config_file {
        Some(path) => format!("configuration file {}", path.display()),
        None => "no configuration file".to_owned(),
    };
    let text = format!("{}{}", table(&rows), paint(Style::Dim, &file));
    let facts = ConfigFacts {
        file: &settings.config_file,
        settings: &settings.shown,
    };
    settings.ui.result(&facts, text)
}
