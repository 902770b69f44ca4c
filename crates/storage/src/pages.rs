//! The pages of a database, checked beside whoever writes it and without a change to its file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, DatabaseError, StorageBackend, StorageError};

/// Bytes at the beginning of a file that every commit changes.
const HEAD: u64 = 4096;
/// How often a file is copied that another process writes meanwhile.
const ATTEMPTS: u32 = 3;
/// The longest file that is copied into memory.
const MOST: u64 = 1 << 30;

/// Verifies the checksum of every page of a `redb` database, in a copy in memory: redb verifies pages only
/// where it may write, and a program that only reads would show what it makes of a flipped bit.
///
/// A file that another process commits to all the while is left to that process, which verified it when it
/// opened it; so is one of more than 1 GiB to whoever writes it next.
///
/// # Errors
/// If the file cannot be read, or a page is not what was written.
pub(crate) fn check_pages(path: &Path) -> Result<(), DatabaseError> {
    let Some(copy) = copy_of(path).map_err(StorageError::Io)? else {
        return Ok(());
    };
    let memory = InMemoryBackend::new();
    let length = u64::try_from(copy.len()).unwrap_or(u64::MAX);
    let filled = memory.set_len(length).and_then(|()| memory.write(0, &copy));
    filled.map_err(StorageError::Io)?;
    drop(copy);
    let mut builder = Builder::new();
    builder.set_check_integrity_on_open(true);
    builder.create_with_backend(memory).map(drop)
}

/// The bytes of a file between two commits. What is in them is not written anew before the next commit.
fn copy_of(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    for _ in 0..ATTEMPTS {
        let length = file.metadata()?.len();
        if length > MOST {
            return Ok(None);
        }
        let before = read(&mut file, HEAD)?;
        let copy = read(&mut file, length)?;
        if read(&mut file, HEAD)? == before && copy.starts_with(&before) {
            return Ok(Some(copy));
        }
    }
    Ok(None)
}

/// So many bytes from the beginning of a file, or fewer if it is shorter.
fn read(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use redb::{ConcurrencyMode, ReadableDatabase, ReadableTable, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        builder
    }

    /// What a program that only reads finds, if it may.
    fn rows(path: &Path) -> Result<Vec<Vec<u8>>, DatabaseError> {
        let database = builder().open_read_only(path)?;
        let transaction = database.begin_read().unwrap();
        check_pages(path)?;
        let table = transaction.open_table(TABLE).unwrap();
        let rows = table.iter().unwrap();
        Ok(rows.map(|row| row.unwrap().1.value().to_vec()).collect())
    }

    #[test]
    fn a_flipped_bit_is_seen_by_who_only_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let database = builder().create(&path).unwrap();
        for round in 0..3u8 {
            let transaction = database.begin_write().unwrap();
            let mut table = transaction.open_table(TABLE).unwrap();
            for key in 0..200 {
                table.insert(key, [round; 40].as_slice()).unwrap();
            }
            drop(table);
            transaction.commit().unwrap();
        }
        // Beside the process that writes, and after it.
        let expected = rows(&path).unwrap();
        assert_eq!(expected, vec![vec![2; 40]; 200]);
        drop(database);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(rows(&path).unwrap(), expected);
        assert_eq!(std::fs::read(&path).unwrap(), good, "nothing was written");
        let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
        let mut refused = 0;
        for (turn, at) in used.iter().step_by(used.len() / 150).enumerate() {
            let mut bad = good.clone();
            bad[*at] ^= 1 << (turn % 8);
            std::fs::write(&path, bad).unwrap();
            match rows(&path) {
                Ok(rows) => assert_eq!(rows, expected, "byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 20, "{refused}");
    }
}
