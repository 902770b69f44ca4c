//! `quire keys`, and finding the key that a circuit needs.
//!
//! The key files of shape `S` are `S.pk` and `S.vk` in the keys directory. A key is known by the
//! fingerprint of its circuit: a file with the right name and another circuit is refused.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use circuits::shapes;
use ledger::shape::Shape;
use prover::key::{AllowDevKeys, Origin, ProvingKey, VerifyingKey};
use r1cs::R1cs;
use serde::Serialize;

use crate::args::{KeyInfoArgs, SetupArgs};
use crate::settings::Settings;
use crate::ui::{seconds, table};
use rollup::keys::{self, check_absent, finish_interrupted, key_path};
use rollup::shape::named;
use rollup::text::{bytes, count};

/// What a key says about itself.
#[derive(Debug, Serialize)]
pub struct KeyFacts {
    file: PathBuf,
    shape: String,
    id: String,
    fingerprint: String,
    insecure_dev: bool,
    #[serde(flatten)]
    made: Made,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

/// How a key was made, as its file says.
#[derive(Debug, Serialize)]
pub struct Made {
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contributions: Option<u32>,
}

impl Made {
    /// How the key was made.
    pub fn of(key: &VerifyingKey) -> Self {
        let (origin, contributions) = match key.info().origin {
            Origin::Production => ("one_party", None),
            Origin::Ceremony { contributions } => ("ceremony", Some(contributions)),
            Origin::Dev => ("dev", None),
            Origin::Unknown => ("unknown", None),
        };
        Self {
            origin,
            contributions,
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.origin, self.contributions) {
            ("one_party", _) => f.write_str("one party"),
            ("dev", _) => f.write_str("INSECURE DEV"),
            (_, Some(1)) => f.write_str("ceremony, 1 contribution verified"),
            (_, Some(count)) => write!(f, "ceremony, {count} contributions verified"),
            _ => f.write_str("unknown"),
        }
    }
}

/// Makes keys.
///
/// # Errors
/// If keys exist, or files cannot be written.
pub fn run_setup(settings: &Settings, args: &SetupArgs) -> Result<()> {
    let ui = settings.ui;
    let chosen: Vec<(String, Shape)> = (args.shape.iter())
        .map(|name| Ok((name.clone(), named(name)?)))
        .collect::<Result<_>>()?;
    let mut all = Vec::new();
    for (name, shape) in &chosen {
        if !args.force
            && let Some(key) = finish_interrupted(settings, name, shape)?
        {
            ui.note(format!(
                "{} was there without its verifying key, which is written now: nothing else was made",
                key.display()
            ));
            continue;
        }
        check_absent(settings, name, args.force)?;
        let task = ui.task(format!("compiling the circuit of shape {name}"), None);
        let compiled = shapes::compile(shape).with_context(|| format!("shape {name}"))?;
        task.doing(format!(
            "setup of shape {name}: {} constraints",
            count(compiled.r1cs.num_constraints())
        ));
        let facts = make(
            settings,
            name,
            shape,
            &compiled.r1cs,
            args.insecure_dev_seed,
        )?;
        task.done();
        all.push(facts);
    }
    let mut text = describe(&all);
    text.push_str(match args.insecure_dev_seed {
        None => "one party made these keys: whoever ran this could have kept the secrets and forge proofs\n",
        Some(_) => "development keys: anybody can forge proofs; they are refused without --allow-dev-keys\n",
    });
    ui.result(&all, text)
}

/// Makes the key of a circuit and writes its files.
///
/// # Errors
/// If files cannot be written.
fn make(
    settings: &Settings,
    name: &str,
    shape: &Shape,
    r1cs: &R1cs,
    seed: Option<u64>,
) -> Result<KeyFacts> {
    let started = Instant::now();
    let key = keys::make(settings, name, shape, r1cs, seed)?;
    let path = key_path(&settings.keys_dir, name, "pk");
    let mut facts = facts(&path, key.verifying_key())?;
    facts.constraints = Some(r1cs.num_constraints());
    facts.seconds = Some(seconds(started.elapsed()));
    Ok(facts)
}

/// Prints what key files say about themselves.
///
/// # Errors
/// If a file is not a key.
pub fn run_info(settings: &Settings, args: &KeyInfoArgs) -> Result<()> {
    let files = match args.file.is_empty() {
        true => key_files(&settings.keys_dir)?,
        false => args.file.clone(),
    };
    let all: Vec<KeyFacts> = files.iter().map(|file| info(file)).collect::<Result<_>>()?;
    if all.is_empty() {
        let folder = settings.keys_dir.display();
        let text = format!("no keys in {folder}; make some with `quire keys setup --shape t18`");
        return settings.ui.result(&all, text);
    }
    settings.ui.result(&all, describe(&all))
}

/// Verifying keys of a folder that may not exist, by name.
fn key_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let context = || format!("cannot read the keys directory {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|extension| extension == "vk") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn info(file: &Path) -> Result<KeyFacts> {
    // Why: showing a key marked as insecure is not using it.
    let allow = AllowDevKeys::Yes;
    let context = || format!("cannot read the key {}", file.display());
    if file.extension().is_some_and(|extension| extension == "pk") {
        let path = file.with_extension("vk");
        let key = VerifyingKey::load(&path, allow).with_context(context)?;
        let fingerprint = key.info().fingerprint;
        let proving = ProvingKey::load(file, &fingerprint, allow).with_context(context)?;
        return facts(file, proving.verifying_key());
    }
    let key = VerifyingKey::load(file, allow)
        .with_context(|| format!("{}{}", context(), other_kind(file)))?;
    facts(file, &key)
}

/// What a key of other programs is, and what reads it; nothing of any other file.
fn other_kind(file: &Path) -> &'static str {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(4).read_to_end(&mut start));
    match start.as_slice() {
        _ if read.is_err() => "",
        b"zkey" => ", a .zkey of snarkjs, which `quire groth16` and `quire keys import` read",
        [b'{', ..] => {
            ", JSON as snarkjs writes verifying keys, which `quire verify-proof` and `quire groth16 verify` read"
        }
        _ => "",
    }
}

fn facts(file: &Path, key: &VerifyingKey) -> Result<KeyFacts> {
    let metadata = std::fs::metadata(file);
    let info = key.info();
    Ok(KeyFacts {
        file: file.to_owned(),
        shape: info.name.clone(),
        id: key.id_hex(),
        fingerprint: format!("0x{}", hex::encode(info.fingerprint)),
        insecure_dev: info.origin == Origin::Dev,
        made: Made::of(key),
        bytes: metadata
            .with_context(|| format!("cannot read the size of {}", file.display()))?
            .len(),
        constraints: None,
        seconds: None,
    })
}

fn describe(all: &[KeyFacts]) -> String {
    let heading = [
        "shape",
        "file",
        "size",
        "made by",
        "verifying-key id",
        "circuit",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for key in all {
        rows.push(vec![
            key.shape.clone(),
            key.file.display().to_string(),
            bytes(key.bytes),
            key.made.to_string(),
            key.id.chars().take(16).collect(),
            key.fingerprint.chars().take(18).collect(),
        ]);
    }
    let mut text = table(&rows);
    for key in all {
        if let (Some(seconds), Some(constraints)) = (key.seconds, key.constraints) {
            let constraints = count(constraints);
            let line = format!("{}: {constraints} constraints, {seconds:.1} s\n", key.shape);
            text.push_str(&line);
        }
    }
    text
}
