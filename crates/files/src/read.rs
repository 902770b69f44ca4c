//! Reading what a user hands in: bounded, whatever the file is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{FileError, failed};

/// What some editors put before a text. It is no part of it.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// True if a text begins with a byte order mark, of UTF-8 or UTF-16.
///
/// Where a text is a secret or is parsed, the mark would become part of it or of its first field: such
/// files are refused, since a mark that is cut off silently changes what the same bytes meant before.
pub fn has_byte_order_mark(text: &[u8]) -> bool {
    [BYTE_ORDER_MARK, b"\xff\xfe", b"\xfe\xff"]
        .iter()
        .any(|mark| text.starts_with(mark))
}

/// Reads a file of at most `limit` bytes; `None` if it has more. Its size is not asked for: what is not a
/// plain file does not know it.
///
/// # Errors
/// [`FileError`].
pub fn read_at_most(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(failed(path, "open it"))?;
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = file.take(bound).read_to_end(&mut bytes);
    read.map_err(failed(path, "read it"))?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn reading_is_bounded_whatever_the_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"four").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap().unwrap(), b"four");
        assert_eq!(read_at_most(&path, 3).unwrap(), None);
        assert!(read_at_most(&folder.path().join("none"), 3).is_err());
        #[cfg(unix)]
        assert_eq!(read_at_most(Path::new("/dev/zero"), 1 << 16).unwrap(), None);
    }

    #[test]
    fn marks_are_seen() {
        for marked in [&b"\xef\xbb\xbfx"[..], b"\xff\xfex\0", b"\xfe\xff\0x"] {
            assert!(has_byte_order_mark(marked));
        }
        for plain in [&b""[..], b"x", b"\xef\xbb", b"\xff"] {
            assert!(!has_byte_order_mark(plain));
        }
    }
}
