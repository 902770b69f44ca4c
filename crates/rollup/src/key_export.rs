//! The keys of a deployment, as files for everybody.
//!
//! Who wants to continue a rollup without its operator needs the proving keys: L1 has the verifying
//! keys alone. Invariants: what is published are the keys that L1 verifies batches with, whole and
//! with their SHA-256, one of a seeded setup only where that is allowed; a file that is there is
//! not replaced.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use files::{Class, Classified, FileError, Readers};
use l1::NativeL1;
use ledger::shape::Shape;
use prover::key::{ProvingKey, VerifyingKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::error::NoFolder;
use crate::event::Work;
use crate::key_check::{KeyCheckError, check_on_l1};
use crate::keys::{check_got, compiled, key_path};
use crate::new_file::write_new;
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
    write_new(&place.stop, &list, Readers::Everybody, |out| {
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
    check_got(place, l1, shape).map_err(KeyCheckError::Keys)?;
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

/// A file's length and SHA-256.
type Identity = (u64, String);

/// Copies a file, unless it is there already; returns what it is.
fn copy(place: &Place, from: &Path, to: &Path) -> Result<Identity, ExportError> {
    let whole = pass(from, &mut io::sink())?;
    match is_there(to, &whole)? {
        true => Ok(whole),
        false => publish(place, from, to, whole),
    }
}

/// True if a file is there already. What has its name and is anything else is not read to the end:
/// it may have none.
fn is_there(to: &Path, whole: &Identity) -> Result<bool, ExportError> {
    let path = to.to_owned();
    let there = match to.symlink_metadata() {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(ExportError::Copy { path, source }),
    };
    let alike = there.is_file() && there.len() == whole.0;
    match alike && pass(to, &mut io::sink())? == *whole {
        true => Ok(true),
        false => Err(ExportError::Taken { path }),
    }
}

/// Copies a file that was found to be `whole`. A copy of anything else is not put in place.
fn publish(
    place: &Place,
    from: &Path,
    to: &Path,
    whole: Identity,
) -> Result<Identity, ExportError> {
    write_new(&place.stop, to, Readers::Everybody, |out| {
        match pass(from, out)? == whole {
            true => Ok(whole),
            false => Err(ExportError::Changed {
                path: from.to_owned(),
            }),
        }
    })
}

/// Passes a file on; returns its length and SHA-256.
fn pass(from: &Path, to: &mut impl Write) -> Result<Identity, ExportError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_key_that_changes_while_it_is_copied_is_not_published() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path());
        let (from, to) = (folder.path().join("key"), folder.path().join("out/key"));
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::write(&from, b"whole").unwrap();
        let whole = pass(&from, &mut io::sink()).unwrap();
        std::fs::write(&from, b"torn").unwrap();
        let torn = publish(&place, &from, &to, whole.clone()).unwrap_err();
        assert!(matches!(torn, ExportError::Changed { .. }), "{torn}");
        let left = std::fs::read_dir(folder.path().join("out")).unwrap();
        assert_eq!(left.count(), 0, "no copy and no draft");
        std::fs::write(&from, b"whole").unwrap();
        assert_eq!(publish(&place, &from, &to, whole.clone()).unwrap(), whole);
        assert_eq!(copy(&place, &from, &to).unwrap(), whole);
    }

    #[cfg(unix)]
    #[test]
    fn what_has_the_name_of_a_copy_is_not_read_without_an_end() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path());
        let [from, zeros, link, pipe] =
            ["key", "zeros", "link", "pipe"].map(|name| folder.path().join(name));
        std::fs::write(&from, b"whole").unwrap();
        symlink("/dev/zero", &zeros).unwrap();
        symlink(&from, &link).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for to in [&zeros, &link, &pipe, folder.path()] {
            let taken = copy(&place, &from, to).unwrap_err();
            assert!(matches!(taken, ExportError::Taken { .. }), "{taken}");
        }
    }
}
