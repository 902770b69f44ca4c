//! Reads whole files that somebody else names, and never more of them than their kind has.
//!
//! Invariant: at most `most + 1` bytes are read. A file's metadata are not asked: what is not a plain
//! file does not tell its size.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A kind of file with the greatest length that one has.
#[derive(Clone, Copy, Debug)]
pub struct FileKind {
    /// What it is, with its article.
    pub name: &'static str,
    /// Greatest length in bytes.
    pub most: u64,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// The reason that the operating system gave.
        source: io::Error,
    },
    /// The file is longer than any of its kind.
    #[error("{path} has more than {most} bytes, so it is not {name}: hand in another file")]
    TooLong {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// What it should be.
        name: &'static str,
        /// Greatest length in bytes.
        most: u64,
    },
}

/// Reads the whole file at `path`.
///
/// # Errors
/// [`ReadError`].
pub fn read(path: &Path, kind: FileKind) -> Result<Vec<u8>, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(kind.most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 <= kind.most {
        return Ok(bytes);
    }
    Err(ReadError::TooLong {
        path: path.to_owned(),
        name: kind.name,
        most: kind.most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: FileKind = FileKind {
        name: "a word",
        most: 4,
    };

    #[test]
    fn a_file_is_read_up_to_the_longest_of_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"1234").unwrap();
        assert_eq!(read(&path, FOUR).unwrap(), b"1234");
        std::fs::write(&path, b"12345").unwrap();
        let long = read(&path, FOUR).unwrap_err().to_string();
        assert!(
            long.contains("more than 4 bytes, so it is not a word"),
            "{long}"
        );
        let missing = read(&folder.path().join("none"), FOUR).unwrap_err();
        assert!(matches!(missing, ReadError::Io { .. }), "{missing}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_refused() {
        let endless = read(Path::new("/dev/zero"), FOUR).unwrap_err();
        assert!(
            matches!(endless, ReadError::TooLong { most: 4, .. }),
            "{endless}"
        );
    }
}
