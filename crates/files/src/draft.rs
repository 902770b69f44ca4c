//! Drafts, and how they get their names.

use std::ffi::OsString;
use std::fs::{self, File, FileType, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};

use crate::error::{FileError, failed, folder_of};

/// How many drafts are made before one is locked: a sweep of another process has to hit each in the moment
/// between.
const ATTEMPTS: u32 = 100;

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
        let made = first_kept(|| {
            step()?;
            let file = builder.tempfile_in(folder)?;
            let claim = claim(file.as_file(), file.path());
            Ok((claim != Claim::Others).then_some(file))
        });
        Ok(Self {
            file: made.map_err(failed(path, "create a draft of it"))?,
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
        let made = first_kept(|| {
            step()?;
            let folder = Builder::new().prefix(&prefix).tempdir_in(parent)?;
            match File::open(folder.path()) {
                Ok(lock) if claim(&lock, folder.path()) == Claim::Others => Ok(None),
                Ok(lock) => Ok(Some((folder, Some(lock)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                // Some systems open no folders: there, drafts of folders are not swept either.
                Err(_) => Ok(Some((folder, None))),
            }
        });
        let (folder, lock) = made.map_err(failed(path, "create a draft of it"))?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            lock,
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
        // Held until the draft is gone.
        let Some((_lock, kind)) = lock_of(&path) else {
            continue;
        };
        match kind.is_dir() {
            true => fs::remove_dir_all(&path).unwrap_or_default(),
            false => fs::remove_file(&path).unwrap_or_default(),
        }
    }
}

/// The lock of a draft, if nobody else has it, and what the draft is: a file or a folder. Whatever else has
/// such a name, as a pipe, whose opening would wait, or a link to somewhere, is no draft.
fn lock_of(path: &Path) -> Option<(File, FileType)> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return None;
    }
    let file = File::open(path).ok()?;
    (claim(&file, path) == Claim::Ours).then_some((file, kind))
}

/// Whose a draft is after an attempt to lock it.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    /// This process has the lock.
    Ours,
    /// Somebody else has the lock, or had it and took the draft's name away.
    Others,
    /// Nobody's: files have no locks here, so drafts are not swept either.
    Nobodys,
}

/// Tries to lock what was opened at a path.
fn claim(file: &File, path: &Path) -> Claim {
    match file.try_lock() {
        Ok(()) if has_name(file, path) => Claim::Ours,
        Ok(()) | Err(TryLockError::WouldBlock) => Claim::Others,
        Err(TryLockError::Error(_)) => Claim::Nobodys,
    }
}

/// True if a path still leads to the open file or folder, and not to another that was made since.
#[cfg(unix)]
fn has_name(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let opened = file.metadata().map(identity);
    let named = fs::symlink_metadata(path).map(identity);
    matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
}

#[cfg(not(unix))]
fn has_name(_: &File, path: &Path) -> bool {
    path.exists()
}

/// The first new draft that was locked before another process took it for one that was left, and swept it.
fn first_kept<D>(mut make: impl FnMut() -> io::Result<Option<D>>) -> io::Result<D> {
    for _ in 0..ATTEMPTS {
        if let Some(draft) = make()? {
            return Ok(draft);
        }
    }
    Err(io::Error::other("other processes remove each draft of it"))
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
    #[cfg(unix)]
    use std::sync::atomic::{AtomicBool, Ordering};
    #[cfg(target_os = "linux")]
    use std::{sync::mpsc, time::Duration};

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

    /// A sweep of another process may come between the making of a draft and its lock.
    #[cfg(unix)]
    #[test]
    fn a_draft_is_kept_while_others_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    remove_drafts(&path);
                }
            });
            let lost = (0..500).find(|_| {
                // Why not unwrapped: the other thread ends when it is told.
                let drafts = (
                    Draft::begin(&path, Readers::Owner),
                    FolderDraft::begin(&path),
                );
                let (Ok(file), Ok(inner)) = drafts else {
                    return true;
                };
                let is_kept = has_name(file.file(), file.path());
                !is_kept
                    || !inner
                        .lock
                        .is_some_and(|lock| has_name(&lock, inner.folder.path()))
            });
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(lost, None);
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_draft_whose_name_is_anothers_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".f.draft-a");
        let make = || {
            fs::create_dir(&path).unwrap();
            File::open(&path).unwrap()
        };
        let first = make();
        fs::remove_dir(&path).unwrap();
        assert_eq!(claim(&first, &path), Claim::Others);
        let second = make();
        assert_eq!(claim(&first, &path), Claim::Others);
        assert_eq!(claim(&second, &path), Claim::Ours);
        assert!(lock_of(&path).is_none());
        let mut tries = 0;
        let third = first_kept(|| {
            tries += 1;
            Ok((tries == 3).then_some(tries))
        });
        assert_eq!(third.unwrap(), 3);
        assert!(first_kept(|| Ok(None::<()>)).is_err());
    }

    /// The opening of a pipe waits until somebody writes.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_neither_a_file_nor_a_folder_is_no_draft() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("f"), folder.path().join("other"));
        let [pipe, link] =
            ["pipe", "link"].map(|name| folder.path().join(format!(".f.draft-{name}")));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::write(&other, b"of somebody").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            remove_drafts(&path);
            ended.send(()).unwrap_or_default();
        });
        end.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(
            names(folder.path()),
            [".f.draft-link", ".f.draft-pipe", "other"]
        );
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
