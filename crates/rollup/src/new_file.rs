//! New files that take a while to write: whole or not at all, and never in the place of another.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use files::{Draft, FileError, Readers};

use crate::stop::Stop;

/// Bytes that are handed to the operating system at once.
const BUFFER: usize = 1 << 20;

/// Writes a new file. An end that is asked for meanwhile ends `write` and removes the draft; only putting
/// the file in place is shielded from it. If `write` fails, nothing is put in place.
///
/// # Errors
/// [`FileError`] if something has the name or the file cannot be written, and those of `write` as they are.
pub fn write_new<T, E: From<FileError>>(
    stop: &Stop,
    to: &Path,
    readers: Readers,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<T, E>,
) -> Result<T, E> {
    let draft = {
        let _shield = stop.shield();
        let draft = Draft::begin(to, readers)?;
        stop.remove_at_end(draft.path());
        draft
    };
    let mut out = BufWriter::with_capacity(BUFFER, draft.file());
    let written = write(&mut out)?;
    let _shield = stop.shield();
    out.flush().map_err(|source| FileError {
        path: to.to_owned(),
        action: "write it",
        source,
    })?;
    drop(out);
    draft.put_new()?;
    Ok(written)
}
