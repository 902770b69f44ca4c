//! Creating and opening when storage fails, a name is taken, or another process is at work.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::{ReadableTable, StorageBackend, TableDefinition, WriteTransaction};
use storage::{BeginError, Contents, Database, NewDatabase, OpenError, Pages};

static CONTENTS: Contents = Contents {
    name: "test database",
    version: 7,
    if_missing: "make it",
    if_taken: "take another name",
    if_other_version: "use another program",
    if_damaged: "restore it",
};

const ROWS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("rows");

/// Where redb keeps which commit of a file holds.
const STATE_AT: usize = 9;
/// The bit there that says that it was made in two phases.
const TWO_PHASES: u8 = 4;

fn fill(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut rows = transaction.open_table(ROWS)?;
    for key in 0..100 {
        rows.insert(key, [7; 1000].as_slice())?;
    }
    Ok(())
}

fn rows(database: &Database) -> usize {
    let transaction = database.begin_read().unwrap();
    let rows = transaction.open_table(ROWS).unwrap();
    rows.iter().unwrap().count()
}

fn create(path: &Path) -> Result<Database, OpenError> {
    let new = NewDatabase::begin(path, &CONTENTS)?;
    fill(new.transaction()).map_err(|error| new.failed(error))?;
    new.finish()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// What was written, and what of it a flush has put on the disk.
#[derive(Debug, Default)]
struct State {
    written: Vec<u8>,
    durable: Vec<u8>,
    /// Calls until the plug is pulled.
    left: Option<usize>,
}

/// A disk in memory whose plug can be pulled.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        match &mut state.left {
            Some(0) => return Err(io::Error::other("the plug was pulled")),
            Some(left) => *left -= 1,
            None => {}
        }
        change(&mut state);
        Ok(())
    }

    fn after_power_is_back(&self) -> Self {
        let durable = self.0.lock().unwrap().durable.clone();
        Self(Arc::new(Mutex::new(State {
            written: durable.clone(),
            durable,
            left: None,
        })))
    }
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.0.lock().unwrap().written.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let bytes = state.written.get(at(offset)..at(offset) + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(|state| state.written.resize(at(length), 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|state| state.durable.clone_from(&state.written))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|state| {
            let end = at(offset) + data.len();
            if state.written.len() < end {
                state.written.resize(end, 0);
            }
            state.written[at(offset)..end].copy_from_slice(data);
        })
    }
}

/// Whenever a write or flush fails, creation fails; when it succeeds, the database is on the disk.
#[test]
fn a_database_that_was_created_is_on_the_disk() {
    let path = Path::new("d");
    let create = |disk: &Disk| {
        let new = NewDatabase::begin_on(disk.clone(), path, &CONTENTS)?;
        fill(new.transaction()).map_err(|error| new.failed(error))?;
        new.finish()
    };
    let mut failures = 0;
    for calls in 0.. {
        let disk = Disk::default();
        disk.0.lock().unwrap().left = Some(calls);
        match create(&disk) {
            Err(error) => {
                assert!(
                    matches!(error, OpenError::Io { .. } | OpenError::Damaged { .. }),
                    "{error}"
                );
                failures += 1;
            }
            Ok(_still_open) => {
                // The power fails while the database is open.
                let disk = disk.after_power_is_back();
                let opened = Database::open_on(disk, path, &CONTENTS).unwrap();
                assert_eq!(rows(&opened), 100);
                break;
            }
        }
    }
    assert!(failures > 5, "{failures} calls failed");
}

#[test]
fn a_database_that_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let new = NewDatabase::begin(&path, &CONTENTS).unwrap();
    fill(new.transaction()).unwrap();
    assert!(!path.exists());
    drop(new);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_file_that_came_to_be_meanwhile_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let new = NewDatabase::begin(&path, &CONTENTS).unwrap();
    fs::write(&path, b"of somebody else").unwrap();
    let error = new.finish().err().unwrap();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    let error = create(&path).err().unwrap();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"of somebody else");
    assert_eq!(names(folder.path()), ["d"]);
}

#[test]
fn one_writes_and_others_read_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let writer = create(&path).unwrap();
    let second = Database::open(&path, &CONTENTS, Pages::Trusted)
        .err()
        .unwrap();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    let mut reader = Database::open_to_read(&path, &CONTENTS).unwrap();
    assert!(writer.is_writable() && !reader.is_writable());
    assert!(matches!(
        reader.begin_write().err(),
        Some(BeginError::ReadOnly)
    ));
    let transaction = writer.begin_write().unwrap();
    transaction.open_table(ROWS).unwrap().remove(0).unwrap();
    transaction.commit().unwrap();
    assert_eq!((rows(&writer), rows(&reader)), (99, 100));
    reader.renew().unwrap();
    assert_eq!(rows(&reader), 99);
    drop((writer, reader));
    let verified = Database::open(&path, &CONTENTS, Pages::Verified).unwrap();
    assert_eq!(rows(&verified), 99);
}

#[test]
fn what_is_no_database_of_this_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Database::open(&folder.path().join(name), &CONTENTS, Pages::Verified);
    assert!(matches!(
        open("none").err(),
        Some(OpenError::Missing { .. })
    ));
    fs::write(folder.path().join("empty"), b"").unwrap();
    fs::write(folder.path().join("text"), [b'x'; 5000]).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for name in ["empty", "text", "folder"] {
        let error = open(name).err().unwrap();
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    }
    let database = create(&folder.path().join("d")).unwrap();
    database.check_version(&7u32.to_be_bytes()).unwrap();
    let error = database.check_version(&8u32.to_be_bytes()).unwrap_err();
    assert!(
        matches!(error, OpenError::Version { found: 8, .. }),
        "{error}"
    );
    let error = database.check_version(&[7]).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

/// Whoever may write repairs what a process that was killed left, and takes no commit back for that: where
/// pages of the last one are damaged, the file is refused as damaged, by those who read as by those who write.
#[test]
fn a_commit_is_not_taken_back_by_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let writer = create(&path).unwrap();
    let transaction = writer.begin_write().unwrap();
    let mut table = transaction.open_table(ROWS).unwrap();
    table.insert(1000, [9; 1000].as_slice()).unwrap();
    drop(table);
    transaction.commit().unwrap();
    // As the process would leave it if it were killed now.
    let left = fs::read(&path).unwrap();
    drop(writer);
    type Open = fn(&Path) -> Result<Database, OpenError>;
    let opens: [Open; 3] = [
        |path| Database::open(path, &CONTENTS, Pages::Verified),
        |path| Database::open(path, &CONTENTS, Pages::Trusted),
        |path| Database::open_to_read(path, &CONTENTS),
    ];
    let row = left.windows(1000).position(|bytes| bytes == [9; 1000]);
    for open in opens {
        fs::write(&path, &left).unwrap();
        assert_eq!(rows(&open(&path).unwrap()), 101);
        let mut bad = left.clone();
        bad[row.unwrap()] ^= 1;
        // The bit that says that the commit was made in two phases; without it redb takes the commit back.
        for state in [left[STATE_AT], left[STATE_AT] & !TWO_PHASES] {
            bad[STATE_AT] = state;
            fs::write(&path, &bad).unwrap();
            let error = open(&path).err().unwrap();
            assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        }
    }
}

/// The library's words for a damaged head mean nothing to who has to do something about it.
#[test]
fn a_damaged_head_is_told_in_words_of_this_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(create(&path).unwrap());
    let good = fs::read(&path).unwrap();
    let mut seen = 0;
    for at in (0..512).filter(|at| good[*at] != 0) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let opened = [
            Database::open(&path, &CONTENTS, Pages::Verified).err(),
            Database::open_to_read(&path, &CONTENTS).err(),
        ];
        for error in opened.into_iter().flatten() {
            let said = error.to_string();
            let is_ours = !said.contains("Primary") && !said.contains("slot");
            assert!(is_ours, "byte {at}: {said}");
            seen += usize::from(said.contains("the record of its last commit is not"));
        }
    }
    assert!(seen > 0);
}
