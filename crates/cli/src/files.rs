//! New files: whole or not at all, and never in the place of another. Texts that are handed in.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub use ::files::Readers;
use anyhow::{Context, Result, ensure};

use crate::fault::Fault;
use crate::interrupt::stop;

/// Writes a new file whole or not at all, and returns its size in bytes. An interruption ends `write`
/// and removes the draft; only putting the file in place is shielded from it.
///
/// # Errors
/// If the file exists or cannot be written, and those of `write` as they are.
pub fn write_new<T>(
    to: &Path,
    readers: Readers,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<T>,
) -> Result<(T, u64)> {
    ensure!(
        !to.exists(),
        "{} exists and is not replaced; name another",
        to.display()
    );
    let written = rollup::new_file::write_new(&stop(), to, readers, write)?;
    let size = std::fs::metadata(to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok((written, size.len()))
}

/// Writes a new text whole or not at all, and returns its size in bytes.
///
/// # Errors
/// As [`write_new`].
pub fn put_text(to: &Path, text: &str) -> Result<u64> {
    let ((), size) = write_new(to, Readers::Everybody, |out| {
        out.write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", to.display()))
    })?;
    Ok(size)
}

/// Refuses a text that an editor began with a byte order mark: it would become part of what the text
/// says, unseen.
///
/// # Errors
/// That names the place.
pub fn refuse_byte_order_mark(text: &[u8], place: &str) -> Result<()> {
    ensure!(
        !::files::has_byte_order_mark(text),
        Fault::input(format!(
            "{place} begins with a byte order mark, which an editor put there: save it without"
        ))
    );
    Ok(())
}

/// Refuses a secret in text that has NUL bytes, as UTF-16 has without its mark: nobody could type it.
///
/// # Errors
/// That names the place.
pub fn refuse_nul(text: &[u8], place: &str) -> Result<()> {
    ensure!(
        !text.contains(&0),
        Fault::input(format!(
            "{place} has NUL bytes, as texts in UTF-16 have: save it in UTF-8"
        ))
    );
    Ok(())
}
