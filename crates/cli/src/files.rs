//! New files: whole or not at all, and never in the place of another.

use std::fs::{File, Permissions};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use crate::interrupt::{remove_on_interrupt, shield};

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the user's defaults allow.
    Everybody,
    /// The user alone.
    #[cfg_attr(
        not(feature = "interop"),
        expect(dead_code, reason = "only witnesses that are exported are secret")
    )]
    Owner,
}

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
    let context = || format!("cannot write {}", to.display());
    ensure!(
        !to.exists(),
        "{} exists and is not replaced; name another",
        to.display()
    );
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let draft = {
        let _shield = shield();
        let draft = draft(folder, readers).with_context(context)?;
        remove_on_interrupt(draft.path());
        draft
    };
    let mut out = BufWriter::with_capacity(1 << 20, draft.as_file());
    let written = write(&mut out)?;
    let _shield = shield();
    out.into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .with_context(context)?;
    draft.as_file().sync_all().with_context(context)?;
    draft.persist_noclobber(to).with_context(context)?;
    let size = std::fs::metadata(to).with_context(context)?.len();
    Ok((written, size))
}

#[cfg(unix)]
fn draft(folder: &Path, readers: Readers) -> std::io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match readers {
        Readers::Everybody => 0o666,
        Readers::Owner => 0o600,
    };
    let mut builder = tempfile::Builder::new();
    // The process' mask is applied to this.
    builder.permissions(Permissions::from_mode(mode));
    builder.tempfile_in(folder)
}

#[cfg(not(unix))]
fn draft(folder: &Path, _readers: Readers) -> std::io::Result<NamedTempFile> {
    NamedTempFile::new_in(folder)
}

/// Writes a new text whole or not at all, and returns its size in bytes.
///
/// # Errors
/// As [`write_new`].
pub fn put_text(to: &Path, text: &str) -> Result<u64> {
    use std::io::Write;
    let ((), size) = write_new(to, Readers::Everybody, |out| {
        out.write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", to.display()))
    })?;
    Ok(size)
}
