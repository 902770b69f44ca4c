//! Where the vectors of the independent implementation are, for every crate that reads them.

use std::path::{Path, PathBuf};

/// The text of a file of the set: of the committed one, or of the one in the folder `VECTORS_DIR`.
/// A relative `VECTORS_DIR` is taken from the workspace's root if it is there, since cargo starts
/// tests in the package's own folder.
pub fn read_vectors(file: &str) -> Result<String, String> {
    let path = vectors_folder().join(file);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn vectors_folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").exists())
        .unwrap_or(package);
    let Some(given) = std::env::var_os("VECTORS_DIR").map(PathBuf::from) else {
        return root.join("crates/ledger/tests/vectors");
    };
    let from_root = root.join(&given);
    if from_root.exists() { from_root } else { given }
}

/// Up to 24 items of a set of any size, the first and the last among them, for tests that do
/// something hundreds of times for each.
pub fn some_of<T>(items: &[T]) -> impl Iterator<Item = (usize, &T)> {
    let wanted = items.len().min(24);
    (0..wanted).map(move |i| {
        let at = if wanted < 2 {
            0
        } else {
            i * (items.len() - 1) / (wanted - 1)
        };
        (at, &items[at])
    })
}
