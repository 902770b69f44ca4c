//! What the operating system refused.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What the operating system refused.
#[derive(Debug, Error)]
#[error("{}: cannot {action}: {source}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was attempted.
    pub action: &'static str,
    /// The reason given.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// True if something had the name already.
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }
}

/// The folder that a name is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(crate) fn failed<'p>(
    path: &'p Path,
    action: &'static str,
) -> impl Fn(io::Error) -> FileError + 'p {
    move |source| FileError {
        path: path.to_owned(),
        action,
        source,
    }
}
