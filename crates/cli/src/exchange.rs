//! `quire export`, `verify-proof` and `keys import`: files that other programs read and write.
//!
//! Invariant: a file is written whole or not at all and never replaces another; a witness is readable
//! by its owner alone; nothing secret is printed.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use circuits::shapes;
use circuits::transition::{BatchValues, assignment};
use interop::zkey::Zkey;
use interop::{ceremony, json, r1cs, wtns, zkey};
use l1::submission::BatchFolder;
use measuring::sample::full_values;
use prover::bounded;
use prover::key::{AllowDevKeys, KeyInfo, Origin, ProvingKey, VerifyingKey};
use prover::proof::Proof;
use prover::prove::prove;
use prover::verify::verify;
use rand::rngs::OsRng;
use serde::Serialize;

use crate::args::{
    ExportBatchArgs, ExportKeyArgs, ExportShapeArgs, ExportWitnessArgs, KeyImportArgs,
    VerifyProofArgs,
};
use crate::fault::{Class, Fault};
use crate::files::refuse_byte_order_mark;
use crate::files::{Readers, put_text, write_new};
use crate::settings::Settings;
use crate::ui::seconds;
use rollup::Deployment;
use rollup::keys::{check_absent, key_path, load, put, shape_bytes, shape_of};
use rollup::shape::named;
use rollup::text::{bytes, count};

/// Opens a file that was handed in, to be read at any place. A pipe cannot be, and would be waited for.
///
/// # Errors
/// That names the file.
pub fn open(path: &Path) -> Result<File> {
    let context = || format!("cannot read {}", path.display());
    let known = std::fs::metadata(path).with_context(context)?;
    ensure!(
        known.is_file(),
        Fault::input(format!("{} is no plain file", path.display()))
    );
    File::open(path).with_context(context)
}

/// Reads a text that was handed in.
///
/// # Errors
/// That names the file.
pub fn text(path: &Path) -> Result<Vec<u8>> {
    let text = bounded::read(path, json::FILE)?;
    refuse_byte_order_mark(&text, &path.display().to_string())?;
    Ok(text)
}

/// What an export of constraints prints.
#[derive(Serialize)]
struct ConstraintFacts {
    file: String,
    bytes: u64,
    wires: u32,
    public_inputs: u32,
    constraints: u32,
    fingerprint: String,
}

/// `quire export r1cs`.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn run_r1cs(settings: &Settings, args: &ExportShapeArgs) -> Result<()> {
    let shape = named(&args.shape)?;
    let task = settings.ui.task(
        format!("compiling the circuit of shape {}", args.shape),
        None,
    );
    let compiled = shapes::compile(&shape)?;
    let (counts, size) = write_new(&args.out, Readers::Everybody, |out| {
        r1cs::write(out, &compiled.r1cs)?;
        Ok(r1cs::counts(&compiled.r1cs)?)
    })?;
    task.done();
    let facts = ConstraintFacts {
        file: args.out.display().to_string(),
        bytes: size,
        wires: counts.wires,
        public_inputs: counts.public_inputs,
        constraints: counts.constraints,
        fingerprint: format!("0x{}", hex::encode(compiled.r1cs.fingerprint())),
    };
    let text = format!(
        "{}: {} constraints, {} wires, {} public inputs, {}",
        facts.file,
        count(facts.constraints),
        count(facts.wires),
        facts.public_inputs,
        bytes(size)
    );
    settings.ui.result(&facts, text)
}

/// What an export of a witness prints.
#[derive(Serialize)]
struct WitnessFacts {
    file: String,
    bytes: u64,
    wires: usize,
}

/// `quire export wtns`. The file is the witness in the clear; so are the batch's values and the output
/// buffer in memory, which are not wiped.
///
/// # Errors
/// If the batch has no witness, or the file exists or cannot be written.
pub fn run_wtns(settings: &Settings, args: &ExportWitnessArgs) -> Result<()> {
    let values = match (&args.sample, args.batch) {
        (Some(name), _) => full_values(&named(name)?)?,
        (None, Some(number)) => {
            let deployment = Deployment::read(settings)?;
            let witness = deployment.batcher.witness(number)?;
            BatchValues::of(&witness).context("the witness of the batch")?
        }
        (None, None) => bail!(Fault::usage("name a batch with --batch")),
    };
    let witness = zeroize::Zeroizing::new(assignment(&values));
    let ((), size) = write_new(&args.out, Readers::Owner, |out| {
        Ok(wtns::write(out, &witness)?)
    })?;
    let facts = WitnessFacts {
        file: args.out.display().to_string(),
        bytes: size,
        wires: witness.len(),
    };
    let text = format!(
        "{}: {} wires, {}; it holds what the proof hides",
        facts.file,
        count(facts.wires),
        bytes(size)
    );
    settings.ui.result(&facts, text)
}

/// What an export of a key prints.
#[derive(Serialize)]
struct KeyExport {
    file: String,
    bytes: u64,
    verifying_key: String,
}

impl KeyExport {
    fn report(settings: &Settings, to: &Path, size: u64, key: &VerifyingKey) -> Result<()> {
        let facts = Self {
            file: to.display().to_string(),
            bytes: size,
            verifying_key: key.id_hex(),
        };
        let mut text = format!(
            "{}: verifying key {}, {}",
            facts.file,
            facts.verifying_key,
            bytes(size)
        );
        if key.info().origin == Origin::Dev {
            text.push_str(
                "\na development key: anybody can forge proofs, and the file does not say so",
            );
        }
        settings.ui.result(&facts, text)
    }
}

/// `quire export zkey`.
///
/// # Errors
/// If the key cannot be loaded, or the file exists or cannot be written.
pub fn run_zkey(settings: &Settings, args: &ExportShapeArgs) -> Result<()> {
    let prepared = load(settings, &named(&args.shape)?)?;
    let ((), size) = write_new(&args.out, Readers::Everybody, |out| {
        Ok(zkey::write(out, &prepared.key, &prepared.r1cs)?)
    })?;
    KeyExport::report(settings, &args.out, size, prepared.key.verifying_key())
}

/// `quire export vkey`.
///
/// # Errors
/// If the key cannot be loaded, or the file exists or cannot be written.
pub fn run_vkey(settings: &Settings, args: &ExportKeyArgs) -> Result<()> {
    let key = verifying_key(settings, &args.vk)?;
    let size = put_text(&args.out, &json::verifying_key(key.ark()))?;
    KeyExport::report(settings, &args.out, size, &key)
}

fn verifying_key(settings: &Settings, path: &Path) -> Result<VerifyingKey> {
    VerifyingKey::load(path, settings.dev_keys)
        .with_context(|| format!("cannot use the verifying key {}", path.display()))
}

/// What an export of a batch's proof or inputs prints.
#[derive(Serialize)]
struct BatchExport {
    file: String,
    bytes: u64,
    batch: u64,
}

/// `quire export proof` and, with `inputs`, `quire export public`.
///
/// # Errors
/// If the batch does not verify, or the file exists or cannot be written.
pub fn run_batch(settings: &Settings, args: &ExportBatchArgs, inputs: bool) -> Result<()> {
    let key = verifying_key(settings, &args.vk)?;
    let refused = || format!("{} does not verify", args.batch_dir.display());
    let folder = BatchFolder::load(&args.batch_dir).with_context(refused)?;
    let verified = folder
        .verify(&shape_of(&key)?, &key)
        .with_context(refused)?;
    let text = match inputs {
        true => json::public(&verified.public_inputs),
        false => json::proof(&Proof::from_bytes(&folder.submission.proof)?),
    };
    let facts = BatchExport {
        file: args.out.display().to_string(),
        bytes: put_text(&args.out, &text)?,
        batch: verified.words.header.batch_number,
    };
    let text = format!("{}: batch {}, verified", facts.file, facts.batch);
    settings.ui.result(&facts, text)
}

/// What `verify-proof` prints.
#[derive(Serialize)]
struct ProofFacts {
    verifying_key: String,
    public_inputs: usize,
}

/// `quire verify-proof`.
///
/// # Errors
/// If a file is not what it should be, the key permits forgeries, or the proof does not hold.
pub fn run_verify_proof(settings: &Settings, args: &VerifyProofArgs) -> Result<()> {
    let of = |path: &Path| format!("cannot use {}", path.display());
    let ark = json::read_verifying_key(&text(&args.vkey)?).with_context(|| of(&args.vkey))?;
    let key = VerifyingKey::new(ark, anonymous()).with_context(|| of(&args.vkey))?;
    let public = json::read_public(&text(&args.public)?).with_context(|| of(&args.public))?;
    let proof = json::read_proof(&text(&args.proof)?).with_context(|| of(&args.proof))?;
    verify(&key, &public, &proof).with_context(|| {
        let file = args.proof.display().to_string();
        Fault::new(Class::Refused, format!("{file} does not hold"))
    })?;
    let facts = ProofFacts {
        verifying_key: key.id_hex(),
        public_inputs: public.len(),
    };
    let text = format!(
        "the proof holds for {} public inputs\nverifying key {}",
        facts.public_inputs, facts.verifying_key
    );
    settings.ui.result(&facts, text)
}

/// A verifying key from elsewhere says nothing about itself.
fn anonymous() -> KeyInfo {
    KeyInfo {
        name: String::new(),
        shape: Vec::new(),
        fingerprint: [0; 32],
        origin: Origin::Unknown,
    }
}

/// What `keys import` prints.
#[derive(Serialize)]
struct Imported {
    shape: String,
    proving_key: PathBuf,
    verifying_key: PathBuf,
    id: String,
    contributions: u32,
    ceremony_verified: bool,
    insecure_dev: bool,
    seconds: f64,
}

/// `quire keys import`.
///
/// The file is read once, so what is verified is what is kept. Without the powers it is not known
/// which circuit the key is for, since a `.zkey` does not hold matrix C: a development key.
///
/// # Errors
/// If the key is another circuit's, unfinished, inconsistent, or does not prove; or files exist or
/// cannot be written.
pub fn run_import(settings: &Settings, args: &KeyImportArgs) -> Result<()> {
    let started = Instant::now();
    let shape = named(&args.shape)?;
    let path = |extension| key_path(&settings.keys_dir, &args.shape, extension);
    let (proving_path, verifying_path) = (path("pk"), path("vk"));
    check_absent(settings, &args.shape, args.force)?;
    if args.ptau.is_none() && settings.dev_keys == AllowDevKeys::No {
        bail!(Fault::new(
            Class::Refused,
            "without --ptau nothing says that the key follows from this circuit, nor that its secrets are unknown: hand in the ceremony's powers, or take it as a development key with --allow-dev-keys"
        ));
    }
    let task = settings.ui.task(
        format!("compiling the circuit of shape {}", args.shape),
        None,
    );
    let compiled = shapes::compile(&shape)?;
    let refused = || Fault::input(format!("{} is refused", args.zkey.display()));
    task.doing("reading the key");
    // Why first: what is no key of the circuit is refused by its head, before all of it is read.
    let head = Zkey::open(open(&args.zkey)?).with_context(refused)?;
    head.check_counts(&compiled.r1cs).with_context(refused)?;
    let file = bounded::read(&args.zkey, zkey::file_kind(&compiled.r1cs))?;
    let mut zkey = Zkey::open(Cursor::new(file)).with_context(refused)?;
    zkey.check_circuit(&compiled.r1cs).with_context(refused)?;
    let contributions = u32::try_from(zkey.transcript().contributions.len())?;
    let origin = match args.ptau {
        Some(_) => Origin::Ceremony { contributions },
        None => Origin::Dev,
    };
    let info = KeyInfo {
        name: args.shape.clone(),
        shape: shape_bytes(&shape)?,
        fingerprint: compiled.r1cs.fingerprint(),
        origin,
    };
    if let Some(ptau) = &args.ptau {
        task.doing("verifying the ceremony");
        let mut ptau = interop::ptau::Ptau::open(open(ptau)?)
            .with_context(|| format!("cannot use {}", ptau.display()))?;
        ceremony::verify(&compiled.r1cs, &mut ptau, &mut zkey).with_context(refused)?;
    }
    let key = ProvingKey::from_ark(zkey.proving_key().with_context(refused)?, info)
        .with_context(refused)?;
    task.doing("a trial proof");
    drop(zkey);
    let witness = assignment(&shapes::padding(&shape));
    prove(&key, &compiled.r1cs, &witness, &mut OsRng).with_context(refused)?;
    put(settings, &args.shape, &key)?;
    task.done();
    let facts = Imported {
        shape: args.shape.clone(),
        proving_key: proving_path,
        verifying_key: verifying_path,
        id: key.verifying_key().id_hex(),
        contributions,
        ceremony_verified: args.ptau.is_some(),
        insecure_dev: origin == Origin::Dev,
        seconds: seconds(started.elapsed()),
    };
    let text = format!(
        "{} and its verifying key {}\n{} contributions{}",
        facts.proving_key.display(),
        facts.id,
        facts.contributions,
        match facts.insecure_dev {
            true => ", not verified: a development key, anybody may be able to forge proofs",
            false => ", the ceremony verified in full",
        }
    );
    settings.ui.result(&facts, text)
}
