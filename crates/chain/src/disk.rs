//! Small files beside the mirror and the outbox, written whole or not at all.

use std::path::Path;

use files::FileError;

use crate::error::ChainError;

/// Most bytes of a file that is read: transactions that carry batches are long.
const MAX_BYTES: usize = 1 << 28;

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

/// Reads a small file that this program wrote, and at most a bounded part of what lies there.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>, ChainError> {
    let read = files::read_at_most(path, MAX_BYTES).map_err(refused)?;
    read.ok_or_else(|| ChainError::File {
        path: path.into(),
        reason: format!(
            "it has more than {MAX_BYTES} bytes, and this program writes fewer: move it away"
        ),
    })
}

/// Replaces a file as a whole. Only its owner may read it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ChainError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(io(folder, "make the folder"))?;
    let written = files::replace(path, files::Readers::Owner, bytes);
    written.map_err(refused)
}

/// What the operating system refused.
pub(crate) fn refused(error: FileError) -> ChainError {
    ChainError::Io {
        path: error.path,
        action: error.action,
        source: error.source,
    }
}
