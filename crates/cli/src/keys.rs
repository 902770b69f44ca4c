//! `quire keys`, and finding the key that a circuit needs.
//!
//! The key files of shape `S` are `S.pk` and `S.vk` in the keys directory. A key is known by the
//! fingerprint of its circuit: a file with the right name and another circuit is refused.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use circuits::shapes;
use ledger::shape::Shape;
use prover::key::{AllowDevKeys, Origin, ProvingKey, VerifyingKey};
use prover::setup::{setup, setup_insecure_dev};
use r1cs::R1cs;
use serde::Serialize;

use crate::args::{KeyInfoArgs, SetupArgs};
use crate::exit::Fault;
use crate::interrupt::shield;
use crate::settings::{Settings, make_folder};
use crate::stats::named;
use crate::ui::{bytes, count, seconds, table};

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

/// A circuit with its proving key.
pub struct Prepared {
    /// Name of the shape.
    pub name: String,
    /// The shape.
    pub shape: Shape,
    /// The circuit's matrices.
    pub r1cs: R1cs,
    /// Its key.
    pub key: ProvingKey,
}

/// The name under which the keys of a shape are kept.
pub fn shape_name(shape: &Shape) -> String {
    shapes::name_of(shape).map_or_else(|| format!("shape-{}", shape.id), str::to_owned)
}

/// The bytes that describe a shape in its keys: JSON.
///
/// # Errors
/// If the shape cannot be written as JSON.
pub fn shape_bytes(shape: &Shape) -> Result<Vec<u8>> {
    serde_json::to_vec(shape).context("cannot describe the shape")
}

/// The shape that a verifying key names, which is not yet known to be that of its circuit.
///
/// # Errors
/// If the key's description is not a shape.
pub fn shape_of(key: &VerifyingKey) -> Result<Shape> {
    serde_json::from_slice(&key.info().shape).with_context(|| {
        format!(
            "the key {} does not say which shape it is for",
            key.id_hex()
        )
    })
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
        if !args.force && finish_interrupted(settings, name, shape)? {
            continue;
        }
        check_absent(settings, name, args.force)?;
        let task = ui.task(format!("compiling the circuit of shape {name}"), None);
        let compiled = shapes::compile(shape).with_context(|| format!("shape {name}"))?;
        task.doing(format!(
            "setup of shape {name}: {} constraints",
            count(compiled.r1cs.num_constraints())
        ));
        let (_, facts) = make(
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
pub fn make(
    settings: &Settings,
    name: &str,
    shape: &Shape,
    r1cs: &R1cs,
    seed: Option<u64>,
) -> Result<(ProvingKey, KeyFacts)> {
    make_folder(&settings.keys_dir)?;
    check_writable(&settings.keys_dir)?;
    let started = Instant::now();
    let description = shape_bytes(shape)?;
    let made = match seed {
        None => setup(r1cs, name, &description),
        Some(seed) => setup_insecure_dev(r1cs, name, &description, seed),
    };
    let key = made.with_context(|| format!("the setup of shape {name} failed"))?;
    put(settings, name, &key)?;
    let path = key_path(&settings.keys_dir, name, "pk");
    let mut facts = facts(&path, key.verifying_key())?;
    facts.constraints = Some(r1cs.num_constraints());
    facts.seconds = Some(seconds(started.elapsed()));
    Ok((key, facts))
}

/// A setup that was interrupted between its two files is finished: the verifying key is part of the
/// proving key. True if there was one.
fn finish_interrupted(settings: &Settings, name: &str, shape: &Shape) -> Result<bool> {
    let [pk, vk] = ["pk", "vk"].map(|extension| key_path(&settings.keys_dir, name, extension));
    if !pk.exists() || vk.exists() {
        return Ok(false);
    }
    let prepared = load(settings, shape)?;
    prepared.key.verifying_key().save(&vk)?;
    settings.ui.note(format!(
        "{} was there without its verifying key, which is written now: nothing else was made",
        pk.display()
    ));
    Ok(true)
}

/// Refuses to replace either file of a key, unless told to.
///
/// # Errors
/// That names the file.
pub fn check_absent(settings: &Settings, name: &str, force: bool) -> Result<()> {
    let paths = ["pk", "vk"].map(|extension| key_path(&settings.keys_dir, name, extension));
    match paths.iter().find(|path| path.exists() && !force) {
        None => Ok(()),
        Some(path) => {
            let path = path.display();
            bail!("{path} exists: keys are not replaced unless told with --force")
        }
    }
}

/// Writes both files of a key.
///
/// # Errors
/// If files cannot be written.
pub fn put(settings: &Settings, name: &str, key: &ProvingKey) -> Result<()> {
    make_folder(&settings.keys_dir)?;
    let _shield = shield();
    key.save(&key_path(&settings.keys_dir, name, "pk"))?;
    key.verifying_key()
        .save(&key_path(&settings.keys_dir, name, "vk"))?;
    Ok(())
}

/// Fails early rather than after a long setup.
fn check_writable(folder: &Path) -> Result<()> {
    tempfile::NamedTempFile::new_in(folder)
        .map(drop)
        .with_context(|| {
            let folder = folder.display();
            format!("cannot write to the keys directory {folder}; choose another with --keys-dir")
        })
}

/// The file of a shape's key.
pub fn key_path(folder: &Path, name: &str, extension: &str) -> PathBuf {
    folder.join(format!("{name}.{extension}"))
}

/// Compiles the circuit of a shape and loads its proving key.
///
/// # Errors
/// That says which file was looked for, what is wrong with it and what to do.
pub fn load(settings: &Settings, shape: &Shape) -> Result<Prepared> {
    let name = shape_name(shape);
    let path = key_path(&settings.keys_dir, &name, "pk");
    check_exists(&path, &name)?;
    let compiled = shapes::compile(shape).with_context(|| format!("shape {name}"))?;
    let key = ProvingKey::load(&path, &compiled.r1cs.fingerprint(), settings.dev_keys)
        .with_context(|| advice(&path, &name))?;
    Ok(Prepared {
        name,
        shape: *shape,
        r1cs: compiled.r1cs,
        key,
    })
}

/// A missing key is said with what to do.
pub fn check_exists(path: &Path, name: &str) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    bail!(Fault::environment(format!(
        "there is no key for shape {name}: {} does not exist; make it with `quire keys setup --shape {name}` or point --keys-dir at it",
        path.display()
    )))
}

fn advice(path: &Path, name: &str) -> String {
    let path = path.display();
    format!("the key {path} cannot be used for shape {name}")
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
    let key = VerifyingKey::load(file, allow).with_context(context)?;
    facts(file, &key)
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
