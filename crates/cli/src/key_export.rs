//! `quire keys export`: the keys of a deployment, as files for everybody.
//!
//! Who wants to continue a rollup without its operator needs the proving keys: L1 has the verifying
//! keys alone. Invariants: what is published are the keys that L1 verifies batches with, whole and
//! with their SHA-256, one of a seeded setup only where that is allowed; a file that is there is
//! not replaced.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use circuits::shapes;
use l1::NativeL1;
use ledger::shape::Shape;
use prover::key::{ProvingKey, VerifyingKey};
use rollup::L1;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::args::KeyExportArgs;
use crate::fault::Fault;
use crate::files::{Readers, put_text, write_new};
use crate::settings::Settings;
use rollup::keys::{check_exists, key_path};
use rollup::place::make_folder;
use rollup::shape::shape_name;
use rollup::text::{bytes, count};

/// Name of the list of checksums, as `sha256sum --check` reads it.
pub const CHECKSUMS: &str = "SHA256SUMS";
/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// What `keys export` prints.
#[derive(Serialize)]
struct Exported {
    folder: PathBuf,
    files: Vec<ExportedFile>,
}

/// A published file.
#[derive(Serialize)]
struct ExportedFile {
    file: String,
    shape: String,
    id: String,
    bytes: u64,
    sha256: String,
}

/// `quire keys export`.
///
/// # Errors
/// If a key is missing or is not L1's, or the folder has such files already.
pub fn run(settings: &Settings, args: &KeyExportArgs) -> Result<()> {
    let l1 = L1::look(settings)?;
    let listed = &l1.deployment().parameters().shapes;
    let mut keys = Vec::new();
    for shape in listed.iter().map(|listed| listed.shape) {
        let key = check(settings, &l1, &shape)?;
        keys.push((shape_name(&shape), key));
    }
    make_folder(&args.folder)?;
    let list = args.folder.join(CHECKSUMS);
    ensure!(!list.exists(), taken(&list));
    let mut files = Vec::new();
    for (name, key) in &keys {
        for kind in ["pk", "vk"] {
            let from = key_path(&settings.keys_dir, name, kind);
            let to = key_path(&args.folder, name, kind);
            let (bytes, sha256) = copy(&from, &to)?;
            files.push(ExportedFile {
                file: format!("{name}.{kind}"),
                shape: name.clone(),
                id: key.id_hex(),
                bytes,
                sha256,
            });
        }
    }
    // Why last: with it the folder is whole; without it the same command can be given again.
    let sums: String = (files.iter())
        .map(|file| format!("{}  {}\n", file.sha256, file.file))
        .collect();
    put_text(&list, &sums)?;
    let facts = Exported {
        folder: args.folder.clone(),
        files,
    };
    settings.ui.result(&facts, describe(&facts))
}

/// The key of a shape, if both of its files hold it and L1 verifies with it.
fn check(settings: &Settings, l1: &NativeL1, shape: &Shape) -> Result<VerifyingKey> {
    let name = shape_name(shape);
    let (proving, verifying) = (
        key_path(&settings.keys_dir, &name, "pk"),
        key_path(&settings.keys_dir, &name, "vk"),
    );
    check_exists(&proving, &name)?;
    let task = settings
        .ui
        .task(format!("checking the key of shape {name}"), None);
    let key = VerifyingKey::load(&verifying, settings.dev_keys)
        .with_context(|| format!("{} does not hold", verifying.display()))?;
    check_on_l1(l1, shape, &key)?;
    let compiled = shapes::compile(shape).with_context(|| format!("shape {name}"))?;
    let whole = ProvingKey::load(&proving, &compiled.r1cs.fingerprint(), settings.dev_keys)
        .with_context(|| format!("{} does not hold", proving.display()))?;
    ensure!(
        whole.verifying_key().ark() == key.ark(),
        Fault::input(format!(
            "{} and {} are not of one setup; copy both files of one",
            proving.display(),
            verifying.display()
        ))
    );
    task.done();
    Ok(key)
}

/// Refuses a key that is not the one that L1 verifies the shape with, and says whether L1 has one.
///
/// # Errors
/// If L1 does not list the shape or has another key.
pub fn check_on_l1(l1: &NativeL1, shape: &Shape, key: &VerifyingKey) -> Result<bool> {
    let name = shape_name(shape);
    let listed = l1.deployment().shape(shape.id);
    ensure!(
        listed.is_some_and(|listed| listed.shape == *shape),
        Fault::usage(format!(
            "the deployment of this L1 does not list shape {name}"
        ))
    );
    let Some(registered) = l1.key(shape.id) else {
        return Ok(false);
    };
    // Why the points: what a mirror's key says of itself may not be on the chain.
    ensure!(
        registered.ark() == key.ark(),
        Fault::input(format!(
            "L1 verifies shape {name} with key {}, the file has {}: it proves nothing for this deployment; ask for a copy of the former",
            registered.id_hex(),
            key.id_hex()
        ))
    );
    Ok(true)
}

fn taken(path: &Path) -> Fault {
    Fault::usage(format!(
        "{} exists and is not replaced; name another folder",
        path.display()
    ))
}

/// Copies a file, unless it is there already; returns its length and SHA-256.
fn copy(from: &Path, to: &Path) -> Result<(u64, String)> {
    let (length, sum) = pass(from, &mut std::io::sink())?;
    if to.exists() {
        ensure!(
            pass(to, &mut std::io::sink())? == (length, sum.clone()),
            taken(to)
        );
        return Ok((length, sum));
    }
    let (copied, _) = write_new(to, Readers::Everybody, |out| pass(from, out))?;
    ensure!(
        copied == (length, sum),
        Fault::environment(format!(
            "{} was changed while it was copied",
            from.display()
        ))
    );
    Ok(copied)
}

/// Passes a file on; returns its length and SHA-256.
fn pass(from: &Path, to: &mut impl Write) -> Result<(u64, String)> {
    let context = || format!("cannot copy {}", from.display());
    let mut input = File::open(from).with_context(context)?;
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).with_context(context)?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read]).with_context(context)?;
        length += read as u64;
    }
    Ok((length, hex::encode(hash.finalize())))
}

fn describe(facts: &Exported) -> String {
    let mut text = String::new();
    for file in &facts.files {
        text.push_str(&format!(
            "{}  {}  {}\n",
            file.sha256,
            file.file,
            bytes(file.bytes)
        ));
    }
    text.push_str(&format!(
        "{} files in {}, with {CHECKSUMS}; publish the folder: without the proving keys nobody can continue the rollup in the operator's absence",
        count(facts.files.len()),
        facts.folder.display()
    ));
    text
}
