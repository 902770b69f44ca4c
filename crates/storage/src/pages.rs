//! The pages of a database, checked beside whoever writes it and without a change to its file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{
    DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    StorageError, TransactionError,
};

use crate::builder::backend_builder;

/// Bytes at the beginning of a file that every commit changes.
const HEAD: u64 = 4096;
/// Where in these bytes redb says which commit holds (`god byte` in its documents of the format).
const STATE_AT: usize = 9;
/// The bit of this byte that is set until a commit is on the disk: readers see the one before it.
const UNFLUSHED: u8 = 8;
/// How often a file is copied that another process writes meanwhile.
const ATTEMPTS: u32 = 3;
/// The longest file that is copied into memory.
const MOST: u64 = 1 << 30;
/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

/// Begins to read a `redb` database, and verifies the checksum of every page of what it reads, in a copy in
/// memory: redb verifies pages only where it may write, and a program that only reads would show what it makes
/// of a flipped bit.
///
/// A file that another process commits to all the while is left to that process, which verified it when it
/// opened it; so is one of more than 1 GiB to whoever writes it next.
///
/// # Errors
/// If the file cannot be read, or a page is not what was written.
pub(crate) fn begin_read_verified(
    path: &Path,
    database: &ReadOnlyDatabase,
) -> Result<ReadTransaction, DatabaseError> {
    let (transaction, copy) = begin_with_copy(path, database)?;
    copy.map(check_pages).transpose()?;
    Ok(transaction)
}

/// Verifies every page of the last commit; the commit before it does not do instead.
fn check_pages(copy: InMemoryBackend) -> Result<(), DatabaseError> {
    let mut builder = backend_builder();
    builder.set_check_integrity_on_open(true);
    builder.create_with_backend(copy).map(drop)
}

/// What is in a database, and a copy of its file at this very moment, if it could be had: no commit began to hold
/// between the beginning of the transaction and the end of the copy. What a commit wrote is not overwritten
/// before the next one.
fn begin_with_copy(
    path: &Path,
    database: &ReadOnlyDatabase,
) -> Result<(ReadTransaction, Option<InMemoryBackend>), DatabaseError> {
    let mut file = File::open(path).map_err(StorageError::Io)?;
    for _ in 0..ATTEMPTS {
        let before = head_of(&mut file)?;
        let is_flushed = (before.get(STATE_AT)).is_some_and(|state| state & UNFLUSHED == 0);
        if !is_flushed {
            continue;
        }
        let transaction = begin_read(database)?;
        let length = file.metadata().map_err(StorageError::Io)?.len();
        if length > MOST {
            return Ok((transaction, None));
        }
        let copy = copy_of(&mut file, length).map_err(StorageError::Io)?;
        let mut copied = vec![0; before.len()];
        let is_whole = copy.read(0, &mut copied).is_ok();
        if is_whole && copied == before && head_of(&mut file)? == before {
            return Ok((transaction, Some(copy)));
        }
    }
    Ok((begin_read(database)?, None))
}

fn begin_read(database: &ReadOnlyDatabase) -> Result<ReadTransaction, StorageError> {
    database.begin_read().map_err(|error| match error {
        TransactionError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    })
}

/// The first bytes of a file, or all of a shorter one.
fn head_of(file: &mut File) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0));
    let read = read.and_then(|_| file.take(HEAD).read_to_end(&mut bytes));
    read.map_err(StorageError::Io)?;
    Ok(bytes)
}

/// A copy of so many bytes of a file in memory, once and no more. Where the file is shorter by now, the rest
/// is zeros.
fn copy_of(file: &mut File, length: u64) -> io::Result<InMemoryBackend> {
    let copy = InMemoryBackend::new();
    copy.set_len(length)?;
    file.seek(SeekFrom::Start(0))?;
    let (mut chunk, mut at, mut left) = (vec![0; CHUNK], 0, file.take(length));
    loop {
        match left.read(&mut chunk)? {
            0 => return Ok(copy),
            read => {
                copy.write(at, &chunk[..read])?;
                at += u64::try_from(read).map_err(io::Error::other)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use redb::{Builder, Database, ReadableTable, TableDefinition};

    use super::*;
    use crate::builder::file_builder;

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");
    const ROUNDS: u8 = 3;

    /// What a program that only reads finds, if it may.
    fn rows(path: &Path) -> Result<Vec<Vec<u8>>, DatabaseError> {
        let database = file_builder().open_read_only(path)?;
        let (transaction, copy) = begin_with_copy(path, &database)?;
        check_pages(copy.unwrap())?;
        let table = transaction.open_table(TABLE).unwrap();
        let rows = table.iter().unwrap();
        Ok(rows.map(|row| row.unwrap().1.value().to_vec()).collect())
    }

    fn in_memory(bytes: &[u8]) -> InMemoryBackend {
        let memory = InMemoryBackend::new();
        memory.set_len(bytes.len() as u64).unwrap();
        memory.write(0, bytes).unwrap();
        memory
    }

    /// The copy is the file, however many chunks that are, and zeros where the file ends early.
    #[test]
    fn a_copy_has_every_byte_of_the_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * CHUNK + 77).collect();
        fs::write(&path, &bytes).unwrap();
        for shorter in [0, 1, CHUNK, bytes.len()] {
            let mut file = File::open(&path).unwrap();
            let length = bytes.len() - shorter;
            let copy = copy_of(&mut file, length as u64).unwrap();
            let mut copied = vec![0; length];
            copy.read(0, &mut copied).unwrap();
            assert!(copied == bytes[..length], "{shorter}");
            assert_eq!(copy.len().unwrap(), length as u64);
        }
        let copy = copy_of(&mut File::open(&path).unwrap(), bytes.len() as u64 + 9).unwrap();
        let mut rest = [1; 9];
        copy.read(bytes.len() as u64, &mut rest).unwrap();
        assert_eq!(rest, [0; 9]);
    }

    /// While a commit is on its way, nothing is copied.
    #[test]
    fn a_file_whose_commit_is_not_on_the_disk_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        fill(&file_builder().create(&path).unwrap());
        let database = file_builder().open_read_only(&path).unwrap();
        assert!(begin_with_copy(&path, &database).unwrap().1.is_some());
        let mut bytes = fs::read(&path).unwrap();
        bytes[STATE_AT] |= UNFLUSHED;
        let other = folder.path().join("other");
        fs::write(&other, bytes).unwrap();
        assert!(begin_with_copy(&other, &database).unwrap().1.is_none());
    }

    /// Commits every row anew, round after round.
    fn fill(database: &Database) {
        for round in 0..ROUNDS {
            let transaction = database.begin_write().unwrap();
            let mut table = transaction.open_table(TABLE).unwrap();
            for key in 0..200 {
                table.insert(key, [round; 40].as_slice()).unwrap();
            }
            drop(table);
            transaction.commit().unwrap();
        }
    }

    /// Where the rows of the last commit are.
    fn last_rows(bytes: &[u8]) -> Vec<usize> {
        let row = [ROUNDS - 1; 40];
        let found = bytes.windows(row.len()).enumerate();
        let found = found.filter(|(_, window)| *window == row);
        found.map(|(at, _)| at).collect()
    }

    #[test]
    fn a_flipped_bit_is_seen_by_who_only_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let database = file_builder().create(&path).unwrap();
        fill(&database);
        // Beside the process that writes, and after it.
        let expected = rows(&path).unwrap();
        assert_eq!(expected, vec![vec![2; 40]; 200]);
        drop(database);
        let good = fs::read(&path).unwrap();
        assert_eq!(rows(&path).unwrap(), expected);
        assert_eq!(fs::read(&path).unwrap(), good, "nothing was written");
        let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
        let mut refused = 0;
        for (turn, at) in used.iter().step_by(used.len() / 150).enumerate() {
            let mut bad = good.clone();
            bad[*at] ^= 1 << (turn % 8);
            fs::write(&path, bad).unwrap();
            match rows(&path) {
                Ok(rows) => assert_eq!(rows, expected, "byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 20, "{refused}");
    }

    /// The commit before the last one is whole, and does not do instead of it.
    #[test]
    fn every_flipped_bit_of_the_last_commit_is_seen_while_its_writer_runs() {
        for two_phases in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("db");
            // A commit of one phase, as redb makes it unless others may read beside the writer.
            let builder = match two_phases {
                true => file_builder(),
                false => Builder::new(),
            };
            let database = builder.create(&path).unwrap();
            fill(&database);
            let good = fs::read(&path).unwrap();
            check_pages(in_memory(&good)).unwrap();
            let places = last_rows(&good);
            assert!(places.len() >= 200, "{}", places.len());
            for (turn, at) in places.iter().step_by(7).enumerate() {
                let mut bad = good.clone();
                bad[*at] ^= 1 << (turn % 8);
                let checked = check_pages(in_memory(&bad));
                assert!(checked.is_err(), "{two_phases}: byte {at}");
            }
        }
    }
}
