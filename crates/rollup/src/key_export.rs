//! The keys of a deployment, as files for everybody.
//!
//! Who wants to continue a rollup without its operator needs the proving keys: L1 has the verifying
//! keys alone. Invariants: what is published are the keys that L1 verifies batches with, whole and
//! with their SHA-256, one of a seeded setup only where that is allowed; a file that is there is
//! not replaced.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use files::{Class, Classified, Draft, FileError, Readers};
use l1::NativeL1;
use ledger::shape::Shape;
use prover::key::{ProvingKey, VerifyingKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::error::NoFolder;
use crate::event::Work;
use crate::key_check::{KeyCheckError, check_on_l1};
use crate::keys::{check_exists, compiled, key_path};
use crate::place::{Place, make_folder};
use crate::shape::shape_name;

/// Name of the list of checksums, as `sha256sum --check` reads it.
pub const CHECKSUMS: &str = "SHA256SUMS";
/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// Why keys are not exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The folder has such a file, with other contents.
    #[error("{} exists and is not replaced; name another folder", path.display())]
    Taken { path: PathBuf },
    /// A key does not hold, or is not L1's.
    #[error(transparent)]
    Check(#[from] KeyCheckError),
    /// The two files of a key are of different setups.
    #[error(
        "{} and {} are not of one setup; copy both files of one",
        proving.display(), verifying.display()
    )]
    TwoSetups {
        proving: PathBuf,
        verifying: PathBuf,
    },
    /// Somebody writes the keys.
    #[error("{} was changed while it was copied", path.display())]
    Changed { path: PathBuf },
    /// A file cannot be read, or its copy not written.
    #[error("cannot copy {}", path.display())]
    Copy { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The folder cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// A file cannot be put in place.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Classified for ExportError {
    fn class(&self) -> Class {
        match self {
            Self::Taken { .. } => Class::Usage,
            Self::Check(error) => error.class(),
            Self::TwoSetups { .. } => Class::Input,
            Self::Changed { .. } => Class::Environment,
            Self::Copy { source, .. } | Self::Write { source, .. } => source.class(),
            Self::Folder(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// A published file.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedFile {
    pub file: String,
    /// Name of the shape.
    pub shape: String,
    /// Id of the key.
    pub id: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Writes the keys of all shapes that L1 lists into a folder, with their checksums.
///
/// # Errors
/// If a key is missing or is not L1's, or the folder has such files already.
pub fn export(
    place: &Place,
    l1: &NativeL1,
    folder: &Path,
) -> Result<Vec<ExportedFile>, ExportError> {
    let listed = &l1.deployment().parameters().shapes;
    let mut keys = Vec::new();
    for shape in listed.iter().map(|listed| listed.shape) {
        let key = check(place, l1, &shape)?;
        keys.push((shape_name(&shape), key));
    }
    make_folder(folder)?;
    let list = folder.join(CHECKSUMS);
    if list.exists() {
        return Err(ExportError::Taken { path: list });
    }
    let mut files = Vec::new();
    for (name, key) in &keys {
        for kind in ["pk", "vk"] {
            let from = key_path(&place.keys_dir, name, kind);
            let (bytes, sha256) = copy(place, &from, &key_path(folder, name, kind))?;
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
    write_new(place, &list, |out| {
        let written = out.write_all(sums.as_bytes());
        written.map_err(|source| ExportError::Write {
            path: list.clone(),
            source,
        })
    })?;
    Ok(files)
}

/// The key of a shape, if both of its files hold it and L1 verifies with it.
fn check(place: &Place, l1: &NativeL1, shape: &Shape) -> Result<VerifyingKey, ExportError> {
    let name = shape_name(shape);
    let (proving, verifying) = (
        key_path(&place.keys_dir, &name, "pk"),
        key_path(&place.keys_dir, &name, "vk"),
    );
    let unusable = |path: &Path, source| KeyCheckError::Unusable {
        path: path.to_owned(),
        source,
    };
    check_exists(&proving, &name).map_err(KeyCheckError::Keys)?;
    let task = place.task(&Work::CheckKey { shape: name }, None);
    let key = VerifyingKey::load(&verifying, place.dev_keys)
        .map_err(|source| unusable(&verifying, source))?;
    check_on_l1(l1, shape, &key)?;
    let circuit = compiled(shape).map_err(KeyCheckError::Keys)?.r1cs;
    let whole = ProvingKey::load(&proving, &circuit.fingerprint(), place.dev_keys)
        .map_err(|source| unusable(&proving, source))?;
    if whole.verifying_key().ark() != key.ark() {
        return Err(ExportError::TwoSetups { proving, verifying });
    }
    task.done();
    Ok(key)
}

/// Copies a file, unless it is there already; returns its length and SHA-256.
fn copy(place: &Place, from: &Path, to: &Path) -> Result<(u64, String), ExportError> {
    let whole = pass(from, &mut io::sink())?;
    if to.exists() {
        return match pass(to, &mut io::sink())? == whole {
            true => Ok(whole),
            false => Err(ExportError::Taken {
                path: to.to_owned(),
            }),
        };
    }
    match write_new(place, to, |out| pass(from, out))? == whole {
        true => Ok(whole),
        false => Err(ExportError::Changed {
            path: from.to_owned(),
        }),
    }
}

/// Passes a file on; returns its length and SHA-256.
fn pass(from: &Path, to: &mut impl Write) -> Result<(u64, String), ExportError> {
    let failed = |source| ExportError::Copy {
        path: from.to_owned(),
        source,
    };
    let mut input = File::open(from).map_err(failed)?;
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read]).map_err(failed)?;
        length += read as u64;
    }
    Ok((length, hex::encode(hash.finalize())))
}

/// Writes a new file whole or not at all. An interruption ends `write` and removes the draft; only putting
/// the file in place is shielded from it.
fn write_new<T>(
    place: &Place,
    to: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let draft = {
        let _shield = place.stop.shield();
        let draft = Draft::begin(to, Readers::Everybody)?;
        place.stop.remove_at_end(draft.path());
        draft
    };
    let mut out = BufWriter::with_capacity(CHUNK, draft.file());
    let written = write(&mut out)?;
    let _shield = place.stop.shield();
    out.flush().map_err(|source| ExportError::Write {
        path: to.to_owned(),
        source,
    })?;
    drop(out);
    draft.put_new()?;
    Ok(written)
}
