//! Small files beside the mirror, whole or not at all.

use std::path::Path;

use crate::error::ChainError;

pub(crate) fn io<'p>(
    path: &'p Path,
    action: &'static str,
) -> impl Fn(std::io::Error) -> ChainError + 'p {
    move |source| ChainError::Io {
        path: path.into(),
        action,
        source,
    }
}

/// Writes a file whole, in the stead of one that is there, readable by its owner alone.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ChainError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(io(folder, "make the folder"))?;
    let written = files::replace(path, files::Readers::Owner, bytes);
    written.map_err(|error| ChainError::Io {
        path: error.path,
        action: error.action,
        source: error.source,
    })
}
