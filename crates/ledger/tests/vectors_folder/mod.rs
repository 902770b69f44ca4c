//! Where the vectors are.

use std::path::PathBuf;

/// The folder of the vectors. A relative `VECTORS_DIR` is taken from the workspace's root if it is
/// there, since cargo starts tests in the package's own folder.
pub fn vectors_folder() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let Some(given) = std::env::var_os("VECTORS_DIR").map(PathBuf::from) else {
        return package.join("tests/vectors");
    };
    let from_root = package.join("../..").join(&given);
    if from_root.exists() { from_root } else { given }
}
