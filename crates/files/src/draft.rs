//! Drafts, and how they get their names.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};

use crate::error::{FileError, failed, folder_of};

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the user's defaults allow.
    Everybody,
    /// The user alone.
    Owner,
}

/// A file that is being made.
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// An empty draft in the folder of `path`, which exists. What killed programs left of the same name
    /// is removed.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn begin(path: &Path, readers: Readers) -> Result<Self, FileError> {
        let folder = folder_of(path);
        let prefix = prefix_of(path);
        sweep(folder, &prefix);
        let mut builder = Builder::new();
        builder.prefix(&prefix);
        readable_by(&mut builder, readers);
        let made = step().and_then(|()| builder.tempfile_in(folder));
        let file = made.map_err(failed(path, "create a draft of it"))?;
        // Where there are no locks, drafts are not swept either.
        file.as_file().try_lock().unwrap_or_default();
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// The draft, to be written.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Where the draft lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name. What has the name already stays.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::is_taken`] if something has the name.
    pub fn put_new(self) -> Result<(), FileError> {
        let Self { file, path } = self;
        sync(file.as_file()).map_err(failed(&path, "flush it"))?;
        let put = step().and_then(|()| file.persist_noclobber(&path).map_err(|error| error.error));
        put.map_err(failed(&path, "put it in place"))?;
        sync_folder(folder_of(&path))
    }

    /// Gives the file its name. What has the name already is replaced in one step.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn replace(self) -> Result<(), FileError> {
        let Self { file, path } = self;
        sync(file.as_file()).map_err(failed(&path, "flush it"))?;
        let put = step().and_then(|()| file.persist(&path).map_err(|error| error.error));
        put.map_err(failed(&path, "put it in place"))?;
        sync_folder(folder_of(&path))
    }

    fn of(path: &Path, readers: Readers, bytes: &[u8]) -> Result<Self, FileError> {
        let draft = Self::begin(path, readers)?;
        let written = step().and_then(|()| draft.file().write_all(bytes));
        written.map_err(failed(path, "write it"))?;
        Ok(draft)
    }
}

/// Writes a new file; see [`Draft::put_new`].
///
/// # Errors
/// [`FileError`].
pub fn write_new(path: &Path, readers: Readers, bytes: &[u8]) -> Result<(), FileError> {
    Draft::of(path, readers, bytes)?.put_new()
}

/// Writes a file, in the stead of one that is there; see [`Draft::replace`].
///
/// # Errors
/// [`FileError`].
pub fn replace(path: &Path, readers: Readers, bytes: &[u8]) -> Result<(), FileError> {
    Draft::of(path, readers, bytes)?.replace()
}

/// A folder that is being made.
pub struct FolderDraft {
    folder: TempDir,
    path: PathBuf,
    /// Held as long as the draft is one.
    lock: Option<File>,
}

impl FolderDraft {
    /// An empty draft in the folder of `path`, which exists. What killed programs left of the same name
    /// is removed.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn begin(path: &Path) -> Result<Self, FileError> {
        let (parent, prefix) = (folder_of(path), prefix_of(path));
        sweep(parent, &prefix);
        let made = step().and_then(|()| Builder::new().prefix(&prefix).tempdir_in(parent));
        let folder = made.map_err(failed(path, "create a draft of it"))?;
        Ok(Self {
            lock: lock_of(folder.path()),
            folder,
            path: path.to_owned(),
        })
    }

    /// Where the draft lies: everything in it is part of the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder its name. What has the name already stays, but for an empty folder.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::is_taken`] if something has the name.
    pub fn put_new(self) -> Result<(), FileError> {
        let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
        if self.path.exists() && !is_empty(&self.path) {
            return Err(failed(&self.path, "put it in place")(taken()));
        }
        self.put()
    }

    /// Gives the folder its name. What has the name already is replaced in one step where the system can
    /// exchange two names, as Linux can on most file systems. Elsewhere it is set aside first, and removed
    /// when the new folder is in place: killed between the two, there is neither.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn replace(self) -> Result<(), FileError> {
        if !self.path.exists() {
            return self.put();
        }
        sync_all(self.folder.path()).map_err(failed(&self.path, "flush it"))?;
        let exchanged = step().and_then(|()| exchange(self.folder.path(), &self.path));
        match exchanged {
            Ok(()) => {
                sync_folder(folder_of(&self.path))?;
                // What was replaced has the draft's name now. If it stays, it is swept as a draft is.
                fs::remove_dir_all(self.folder.keep()).unwrap_or_default();
                Ok(())
            }
            Err(error) if cannot_exchange(&error) => self.replace_in_two_steps(),
            Err(error) => Err(failed(&self.path, "put it in place")(error)),
        }
    }

    fn replace_in_two_steps(self) -> Result<(), FileError> {
        let path = self.path.clone();
        let aside = Self::begin(&path)?;
        let old = aside.path().join("old");
        let moved = step().and_then(|()| fs::rename(&path, &old));
        moved.map_err(failed(&path, "set it aside"))?;
        let put = self.put();
        if put.is_err() {
            fs::rename(&old, &path).map_err(failed(&path, "put it back"))?;
        }
        put
    }

    /// Gives one file of the draft, which is whole, on disk and perhaps open, the name instead; the rest
    /// of the draft goes. What has the name already stays.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::is_taken`] if something has the name.
    pub fn put_file_new(self, file: &str) -> Result<(), FileError> {
        let Self { folder, path, lock } = self;
        // Why: a hard link, unlike a rename, never replaces a file that came to be meanwhile.
        let linked = step().and_then(|()| fs::hard_link(folder.path().join(file), &path));
        linked.map_err(failed(&path, "put it in place"))?;
        let removed = step().and_then(|()| folder.close());
        removed.map_err(failed(&path, "remove its draft"))?;
        drop(lock);
        sync_folder(folder_of(&path))
    }

    /// Gives one file of the draft, which is whole and perhaps open, the name instead; the rest of the draft
    /// goes. What has the name already is replaced in one step.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn replace_with_file(self, file: &str) -> Result<(), FileError> {
        let Self { folder, path, lock } = self;
        let file = folder.path().join(file);
        let synced = File::open(&file).and_then(|file| sync(&file));
        synced.map_err(failed(&path, "flush it"))?;
        let put = step().and_then(|()| fs::rename(&file, &path));
        put.map_err(failed(&path, "put it in place"))?;
        sync_folder(folder_of(&path))?;
        let removed = step().and_then(|()| folder.close());
        removed.map_err(failed(&path, "remove its draft"))?;
        drop(lock);
        Ok(())
    }

    fn put(self) -> Result<(), FileError> {
        let Self { folder, path, lock } = self;
        sync_all(folder.path()).map_err(failed(&path, "flush it"))?;
        let put = step().and_then(|()| fs::rename(folder.path(), &path));
        put.map_err(failed(&path, "put it in place"))?;
        // The draft's name is gone: there is nothing to remove.
        drop((folder.keep(), lock));
        sync_folder(folder_of(&path))
    }
}

/// Removes a folder with all that is in it. Killed on the way, the whole folder is there or none of it.
///
/// # Errors
/// [`FileError`].
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    let gone = FolderDraft::begin(path)?;
    let moved = step().and_then(|()| fs::rename(path, gone.path().join("old")));
    moved.map_err(failed(path, "remove it"))?;
    sync_folder(folder_of(path))?;
    let removed = step().and_then(|()| gone.folder.close());
    removed.map_err(failed(path, "remove it"))
}

/// Exchanges the names of two folders in one step.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True if the system or the file system has no such call.
fn cannot_exchange(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = step().and_then(|()| File::open(folder)?.sync_all());
    synced.map_err(failed(folder, "flush it"))
}

/// Makes everything in a folder durable, its own names included.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_all(&entry.path())?,
            false => sync(&File::open(entry.path())?)?,
        }
    }
    sync(&File::open(folder)?)
}

fn sync(file: &File) -> io::Result<()> {
    step()?;
    file.sync_all()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// What the names of drafts of `path` begin with.
fn prefix_of(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".draft-");
    prefix
}

/// Removes the drafts of a file or folder that killed programs left; one that another process still writes
/// stays. For whoever refuses to write because the name is taken: else the next draft does it.
pub fn remove_drafts(path: &Path) {
    sweep(folder_of(path), &prefix_of(path));
}

/// Removes drafts that nobody writes any more. One that cannot be removed is in nobody's way.
fn sweep(folder: &Path, prefix: &OsString) {
    let prefix = prefix.as_encoded_bytes();
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(prefix) {
            continue;
        }
        let path = entry.path();
        if lock_of(&path).is_none() {
            continue;
        }
        match path.is_dir() {
            true => fs::remove_dir_all(&path).unwrap_or_default(),
            false => fs::remove_file(&path).unwrap_or_default(),
        }
    }
}

/// The lock of a draft, if no other process has it.
fn lock_of(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

#[cfg(unix)]
fn readable_by(builder: &mut Builder<'_, '_>, readers: Readers) {
    use std::os::unix::fs::PermissionsExt;
    let mode = match readers {
        Readers::Everybody => 0o666,
        Readers::Owner => 0o600,
    };
    // The process' mask is applied to this.
    builder.permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn readable_by(_: &mut Builder<'_, '_>, _: Readers) {}

/// Every step that changes what is on disk asks here first, so that a test can pull the plug.
#[cfg(not(test))]
fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use tests::step;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Steps until the plug is pulled.
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub(super) fn step() -> io::Result<()> {
        LEFT.with(|left| match left.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the plug was pulled")),
            Some(more) => {
                left.set(Some(more - 1));
                Ok(())
            }
        })
    }

    /// Runs a call with the plug pulled before each of its steps in turn; `check` sees whether it ended.
    /// Returns the number of steps.
    fn at_every_step(
        mut call: impl FnMut() -> Result<(), FileError>,
        mut check: impl FnMut(bool),
    ) -> u32 {
        for steps in 0.. {
            LEFT.set(Some(steps));
            let ended = call().is_ok();
            LEFT.set(None);
            check(ended);
            if ended {
                return steps;
            }
        }
        unreachable!("every call ends")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let steps = at_every_step(
            || {
                // Killed after the name was given: the next try finds the file.
                if path.exists() {
                    fs::remove_file(&path).unwrap();
                }
                write_new(&path, Readers::Owner, b"whole")
            },
            |ended| {
                let there = path.exists();
                assert!(there || !ended);
                assert!(!there || fs::read(&path).unwrap() == b"whole");
            },
        );
        assert_eq!(steps, 5, "create, write, flush, name, flush the folder");
        let error = write_new(&path, Readers::Owner, b"other").unwrap_err();
        assert!(error.is_taken(), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn a_file_is_replaced_by_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"old").unwrap();
        at_every_step(
            || replace(&path, Readers::Everybody, b"new and longer"),
            |ended| {
                let read = fs::read(&path).unwrap();
                assert!(read == b"new and longer" || (!ended && read == b"old"));
            },
        );
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn a_file_of_a_draft_is_put_in_place_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let put = |bytes: &[u8]| {
            let draft = FolderDraft::begin(&path)?;
            fs::write(draft.path().join("inner"), bytes).unwrap();
            draft.put_file_new("inner")
        };
        at_every_step(
            || {
                if path.exists() {
                    fs::remove_file(&path).unwrap();
                }
                put(b"whole")
            },
            |ended| {
                assert!(path.exists() || !ended);
                assert!(!path.exists() || fs::read(&path).unwrap() == b"whole");
            },
        );
        assert!(put(b"other").unwrap_err().is_taken());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn what_a_killed_program_left_is_removed_where_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"whole").unwrap();
        let written = Draft::begin(&path, Readers::Owner).unwrap();
        fs::write(folder.path().join(".f.draft-killed"), b"half").unwrap();
        fs::create_dir_all(folder.path().join(".f.draft-folder/old")).unwrap();
        remove_drafts(&path);
        let left = written.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(names(folder.path()), [left, "f"]);
    }

    fn fill(draft: &FolderDraft, text: &str) {
        fs::create_dir(draft.path().join("inner")).unwrap();
        fs::write(draft.path().join("inner/f"), text).unwrap();
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let inner = path.join("inner/f");
        at_every_step(
            || {
                if path.exists() {
                    fs::remove_dir_all(&path).unwrap();
                }
                let draft = FolderDraft::begin(&path)?;
                fill(&draft, "whole");
                draft.put_new()
            },
            |ended| {
                assert!(path.exists() || !ended);
                assert!(!path.exists() || fs::read(&inner).unwrap() == b"whole");
            },
        );
        let draft = FolderDraft::begin(&path).unwrap();
        fill(&draft, "other");
        assert!(draft.put_new().unwrap_err().is_taken());
        at_every_step(
            || {
                let draft = FolderDraft::begin(&path)?;
                fill(&draft, "new");
                draft.replace()
            },
            |ended| {
                let read = fs::read(&inner).unwrap_or_default();
                let neither = read.is_empty() && !can_exchange(folder.path());
                assert!(read == b"new" || (!ended && (read == b"whole" || neither)));
            },
        );
        assert_eq!(names(folder.path()), ["f"]);
    }

    fn can_exchange(folder: &Path) -> bool {
        let [one, other] = ["one", "other"].map(|name| folder.join(name));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        let exchanged = exchange(&one, &other).is_ok();
        fs::remove_dir(one).unwrap();
        fs::remove_dir(other).unwrap();
        exchanged
    }

    /// Where names cannot be exchanged, the old folder comes back if the new one cannot be put in place.
    #[test]
    fn in_two_steps_a_folder_is_there_unless_killed_between_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let draft = FolderDraft::begin(&path).unwrap();
        fill(&draft, "old");
        draft.put_new().unwrap();
        let steps = at_every_step(
            || {
                let draft = FolderDraft::begin(&path)?;
                fill(&draft, "new");
                draft.replace_in_two_steps()
            },
            |ended| {
                let read = fs::read(path.join("inner/f")).unwrap();
                assert!(read == b"new" || (!ended && read == b"old"));
            },
        );
        assert!(steps > 5, "{steps}");
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn a_file_of_a_draft_replaces_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"old").unwrap();
        let steps = at_every_step(
            || {
                let draft = FolderDraft::begin(&path)?;
                fs::write(draft.path().join("inner"), b"new and longer").unwrap();
                fs::write(draft.path().join("beside"), b"goes").unwrap();
                draft.replace_with_file("inner")
            },
            |ended| {
                let read = fs::read(&path).unwrap();
                assert!(read == b"new and longer" || (!ended && read == b"old"));
            },
        );
        assert_eq!(
            steps, 5,
            "create, flush, name, flush the folder, remove the draft"
        );
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn a_removed_folder_is_whole_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        at_every_step(
            || {
                if !path.exists() {
                    let draft = FolderDraft::begin(&path)?;
                    fill(&draft, "whole");
                    draft.put_new()?;
                }
                remove_folder(&path)
            },
            |ended| {
                assert!(!path.exists() || !ended);
                assert!(!path.exists() || fs::read(path.join("inner/f")).unwrap() == b"whole");
            },
        );
        assert!(remove_folder(&path).is_err());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    /// A draft that a killed program left is removed by the next; one that is being written is not.
    #[test]
    fn drafts_that_nobody_writes_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let left = folder.path().join(".f.draft-left");
        fs::write(&left, b"half").unwrap();
        fs::create_dir(folder.path().join(".f.draft-folder")).unwrap();
        fs::write(folder.path().join(".f.draft-folder/inner"), b"half").unwrap();
        let other = folder.path().join(".g.draft-left");
        fs::write(&other, b"of another name").unwrap();
        let (file, inner) = (
            Draft::begin(&path, Readers::Owner).unwrap(),
            FolderDraft::begin(&path).unwrap(),
        );
        let third = Draft::begin(&path, Readers::Owner).unwrap();
        assert!(file.path().exists() && inner.path().exists() && third.path().exists());
        assert!(!left.exists() && other.exists());
        assert_eq!(names(folder.path()).len(), 4);
        file.put_new().unwrap();
        assert!(third.put_new().unwrap_err().is_taken());
    }

    #[cfg(unix)]
    #[test]
    fn who_may_read_is_as_told() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, Readers::Owner, b"s").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
