//! The keys of shapes, in the keys directory: `S.pk` and `S.vk` are those of shape `S`.
//!
//! Invariant: a key is known by the fingerprint of its circuit: a file with the right name and another
//! circuit is refused. Whether a key is L1's is checked before anything is proven with it.

use std::io;
use std::path::{Path, PathBuf};

use circuits::shapes::{Compiled, compile};
use l1::{Address, L1Error, NativeL1};
use ledger::shape::Shape;
use prover::key::{KeyError, ProvingKey, VerifyingKey};
use prover::setup::{SetupError, setup, setup_insecure_dev};
use r1cs::{R1cs, R1csError};
use thiserror::Error;

use crate::error::NoFolder;
use crate::place::{Place, make_folder};
use crate::shape::shape_name;

/// Why a key is not there, not used or not made.
#[derive(Debug, Error)]
pub enum KeysError {
    /// There is no key.
    #[error(
        "there is no key for shape {shape}: {} does not exist; make it with `quire keys setup --shape {shape}` or point --keys-dir at it",
        path.display()
    )]
    Missing {
        /// Name of the shape.
        shape: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is no key, and L1 verifies with one.
    #[error(
        "there is no key for shape {shape}: {} does not exist; L1 verifies with key {id}, which no setup makes a second time: get its files from the operator (`quire keys export`), point --keys-dir at them and check them with `quire keys verify --shape {shape}`",
        path.display()
    )]
    NotGot {
        /// Name of the shape.
        shape: String,
        /// Where it was looked for.
        path: PathBuf,
        /// Id of L1's key.
        id: String,
    },
    /// A circuit does not compile.
    #[error("shape {shape}")]
    Compile {
        /// Name of the shape.
        shape: String,
        source: R1csError,
    },
    /// A key file does not hold, or is for another circuit.
    #[error("the key {} cannot be used for shape {shape}", path.display())]
    Unusable {
        path: PathBuf,
        /// Name of the shape.
        shape: String,
        source: KeyError,
    },
    /// L1 has no key, and the file cannot be used.
    #[error("L1 has no verifying key for shape {shape}, and {} cannot be used", path.display())]
    Unregistered {
        path: PathBuf,
        /// Name of the shape.
        shape: String,
        source: KeyError,
    },
    /// L1 verifies with another key.
    #[error(
        "L1 verifies shape {shape} with key {expected}, the keys directory has {got}; point --keys-dir at the former"
    )]
    Other {
        /// Name of the shape.
        shape: String,
        /// Id of L1's key.
        expected: String,
        /// Id of the key in the directory.
        got: String,
    },
    /// L1 does not take a key.
    #[error("L1 refused the key {}", path.display())]
    Refused { path: PathBuf, source: L1Error },
    /// A shape cannot be written into its key.
    #[error("cannot describe the shape")]
    Description { source: serde_json::Error },
    /// A key does not say which shape it is for.
    #[error("the key {id} does not say which shape it is for")]
    NoShape {
        /// Id of the key.
        id: String,
        /// What its description is not.
        source: serde_json::Error,
    },
    /// A key is there already.
    #[error(
        "{} exists: keys are not replaced unless told with --force; `quire keys info` says what they are",
        path.display()
    )]
    Exists { path: PathBuf },
    /// There is no key of a circuit.
    #[error("the setup of shape {shape} failed")]
    Setup {
        /// Name of the shape.
        shape: String,
        source: SetupError,
    },
    /// The keys directory cannot be written to.
    #[error(
        "cannot write to the keys directory {}; choose another with --keys-dir",
        folder.display()
    )]
    ReadOnly { folder: PathBuf, source: io::Error },
    /// The keys directory cannot be made.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// A key does not hold, or cannot be written.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A circuit with its proving key.
pub struct Prepared {
    /// Name of the shape.
    pub name: String,
    pub shape: Shape,
    /// The circuit's matrices.
    pub r1cs: R1cs,
    pub key: ProvingKey,
}

/// The file of a shape's key.
pub fn key_path(folder: &Path, name: &str, extension: &str) -> PathBuf {
    folder.join(format!("{name}.{extension}"))
}

/// The bytes that describe a shape in its keys: JSON.
///
/// # Errors
/// [`KeysError::Description`].
pub fn shape_bytes(shape: &Shape) -> Result<Vec<u8>, KeysError> {
    serde_json::to_vec(shape).map_err(|source| KeysError::Description { source })
}

/// The shape that a verifying key names, which is not yet known to be that of its circuit.
///
/// # Errors
/// [`KeysError::NoShape`].
pub fn shape_of(key: &VerifyingKey) -> Result<Shape, KeysError> {
    serde_json::from_slice(&key.info().shape).map_err(|source| KeysError::NoShape {
        id: key.id_hex(),
        source,
    })
}

/// The circuit of a shape.
///
/// # Errors
/// [`KeysError::Compile`].
pub fn compiled(shape: &Shape) -> Result<Compiled, KeysError> {
    compile(shape).map_err(|source| KeysError::Compile {
        shape: shape_name(shape),
        source,
    })
}

/// A missing key is said with what to do.
///
/// # Errors
/// [`KeysError::Missing`].
pub fn check_exists(path: &Path, name: &str) -> Result<(), KeysError> {
    match path.exists() {
        true => Ok(()),
        false => Err(KeysError::Missing {
            shape: name.to_owned(),
            path: path.to_owned(),
        }),
    }
}

/// As [`check_exists`], of the proving key of a deployment.
///
/// # Errors
/// [`KeysError::NotGot`] if L1 has the key, else [`KeysError::Missing`].
pub(crate) fn check_got(place: &Place, l1: &NativeL1, shape: &Shape) -> Result<(), KeysError> {
    let name = shape_name(shape);
    let path = key_path(&place.keys_dir, &name, "pk");
    match l1.key(shape.id) {
        Some(key) if !path.exists() => Err(KeysError::NotGot {
            shape: name,
            path,
            id: key.id_hex(),
        }),
        _ => check_exists(&path, &name),
    }
}

/// Refuses to replace either file of a key, unless told to.
///
/// # Errors
/// [`KeysError::Exists`].
pub fn check_absent(place: &Place, name: &str, force: bool) -> Result<(), KeysError> {
    let paths = ["pk", "vk"].map(|extension| key_path(&place.keys_dir, name, extension));
    paths.iter().for_each(|path| files::remove_drafts(path));
    match paths.into_iter().find(|path| path.exists() && !force) {
        None => Ok(()),
        Some(path) => Err(KeysError::Exists { path }),
    }
}

/// Compiles the circuit of a shape and loads its proving key.
///
/// # Errors
/// That says which file was looked for, what is wrong with it and what to do.
pub fn load(place: &Place, shape: &Shape) -> Result<Prepared, KeysError> {
    let name = shape_name(shape);
    let path = key_path(&place.keys_dir, &name, "pk");
    check_exists(&path, &name)?;
    let r1cs = compiled(shape)?.r1cs;
    let key = ProvingKey::load(&path, &r1cs.fingerprint(), place.dev_keys);
    let key = key.map_err(|source| KeysError::Unusable {
        path,
        shape: name.clone(),
        source,
    })?;
    Ok(Prepared {
        name,
        shape: *shape,
        r1cs,
        key,
    })
}

/// Makes the key of a circuit and writes its files; the same key each time for the same seed, which
/// anybody can forge proofs for.
///
/// # Errors
/// If files cannot be written.
pub fn make(
    place: &Place,
    name: &str,
    shape: &Shape,
    r1cs: &R1cs,
    seed: Option<u64>,
) -> Result<ProvingKey, KeysError> {
    make_folder(&place.keys_dir)?;
    check_writable(&place.keys_dir, name)?;
    let description = shape_bytes(shape)?;
    let made = match seed {
        None => setup(r1cs, name, &description),
        Some(seed) => setup_insecure_dev(r1cs, name, &description, seed),
    };
    let key = made.map_err(|source| KeysError::Setup {
        shape: name.to_owned(),
        source,
    })?;
    put(place, name, &key)?;
    Ok(key)
}

/// A setup that was interrupted between its two files is finished: the verifying key is part of the
/// proving key. Returns the proving key's file if there was one.
///
/// # Errors
/// If the proving key does not hold, or the verifying key cannot be written.
pub fn finish_interrupted(
    place: &Place,
    name: &str,
    shape: &Shape,
) -> Result<Option<PathBuf>, KeysError> {
    let [pk, vk] = ["pk", "vk"].map(|extension| key_path(&place.keys_dir, name, extension));
    if !pk.exists() || vk.exists() {
        return Ok(None);
    }
    let prepared = load(place, shape)?;
    prepared.key.verifying_key().save(&vk)?;
    Ok(Some(pk))
}

/// Writes both files of a key.
///
/// # Errors
/// If files cannot be written.
pub fn put(place: &Place, name: &str, key: &ProvingKey) -> Result<(), KeysError> {
    make_folder(&place.keys_dir)?;
    let _shield = place.stop.shield();
    key.save(&key_path(&place.keys_dir, name, "pk"))?;
    key.verifying_key()
        .save(&key_path(&place.keys_dir, name, "vk"))?;
    Ok(())
}

/// Fails early rather than after a long setup.
fn check_writable(folder: &Path, name: &str) -> Result<(), KeysError> {
    // Why a draft of the key: one that a killed setup leaves is removed by the next.
    match files::Draft::begin(&key_path(folder, name, "pk"), files::Readers::Everybody) {
        Ok(_) => Ok(()),
        Err(error) => Err(KeysError::ReadOnly {
            folder: folder.to_owned(),
            source: error.source,
        }),
    }
}

/// A proof under another key than L1's would be refused: said before it is made.
///
/// # Errors
/// [`KeysError::Other`].
pub(crate) fn check_registered(l1: &NativeL1, prepared: &Prepared) -> Result<(), KeysError> {
    let ours = prepared.key.verifying_key();
    match l1.key(prepared.shape.id) {
        // Why the points: what a mirror's key says of itself may not be on the chain.
        Some(registered) if registered.ark() != ours.ark() => Err(KeysError::Other {
            shape: prepared.name.clone(),
            expected: registered.id_hex(),
            got: ours.id_hex(),
        }),
        _ => Ok(()),
    }
}

/// Registers the verifying key of a shape with a native L1 that has none.
///
/// # Errors
/// If there is no such key, its origin is not accepted, or L1 refuses.
pub(crate) fn register(
    place: &Place,
    l1: &mut NativeL1,
    shape: &Shape,
    (operator, time): (Address, u64),
) -> Result<(), KeysError> {
    let name = shape_name(shape);
    let path = key_path(&place.keys_dir, &name, "vk");
    let key = VerifyingKey::load(&path, place.dev_keys);
    let key = key.map_err(|source| KeysError::Unregistered {
        path: path.clone(),
        shape: name,
        source,
    })?;
    key.check_origin(place.dev_keys)?;
    key.check_origin_known()?;
    let registered = l1.register_key(operator, shape.id, &key, time);
    registered.map_err(|source| KeysError::Refused { path, source })
}
