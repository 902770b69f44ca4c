//! The journal of blocks: what each of the last blocks changed, so that it can be undone.
//!
//! A [`Logged`] table remembers the value that every key had before the block; the values of all
//! tables and the head before the block are one record of the journal. Invariant: undoing the last
//! block leaves exactly the records that were there before it, whatever the block did.
//!
//! | bytes | field of a journal record |
//! |---|---|
//! | [`HEAD_BYTES`] | the head before the block |
//! | 4 | number of changes |
//! | 1, 2, as many | for each change: table, length of the key, key |
//! | 1 | 1 if the key had a value, else 0 |
//! | 4, as many | then the length of the value and the value |

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Deref;

use redb::{Key, Table, Value};
use storage::{CodecError, Reader, Writer};

use crate::error::StoreError;
use crate::head::{HEAD_BYTES, Head};

/// Blocks that can be undone: a reorg goes no deeper.
pub const REORG_WINDOW: u64 = 256;

const WHAT: &str = "a journal record";

/// The values that keys of one table had before the block, none for a key that was not there.
pub(crate) type Before = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A table that remembers what it was before the block. Reading goes to the table itself.
pub(crate) struct Logged<'t, K: Key + 'static, V: Value + 'static> {
    table: Table<'t, K, V>,
    before: Before,
    logs: bool,
}

impl<'t, K: Key + 'static, V: Value + 'static> Logged<'t, K, V> {
    /// A table that remembers changes if `logs`. Genesis is not a block and cannot be undone.
    pub(crate) fn new(table: Table<'t, K, V>, logs: bool) -> Self {
        Self {
            table,
            before: Before::new(),
            logs,
        }
    }

    /// Sets the value of a key.
    pub(crate) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<(), StoreError> {
        let bytes = bytes_of::<K>(key.borrow());
        let before = self.table.insert(key, value)?;
        let before = before.map(|value| bytes_of::<V>(&value.value()));
        self.remember(bytes, before);
        Ok(())
    }

    /// Removes a key; true if it was there.
    pub(crate) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<bool, StoreError> {
        let bytes = bytes_of::<K>(key.borrow());
        let before = self.table.remove(key)?;
        let before = before.map(|value| bytes_of::<V>(&value.value()));
        let was_there = before.is_some();
        self.remember(bytes, before);
        Ok(was_there)
    }

    fn remember(&mut self, key: Vec<u8>, before: Option<Vec<u8>>) {
        if self.logs {
            self.before.entry(key).or_insert(before);
        }
    }
}

impl<'t, K: Key + 'static, V: Value + 'static> Deref for Logged<'t, K, V> {
    type Target = Table<'t, K, V>;

    fn deref(&self) -> &Table<'t, K, V> {
        &self.table
    }
}

fn bytes_of<T: Value>(value: &T::SelfType<'_>) -> Vec<u8> {
    T::as_bytes(value).as_ref().to_vec()
}

/// A logged table of any types.
pub(crate) trait Undo {
    /// Takes what the table remembers.
    fn take(&mut self) -> Before;

    /// Gives a key the value that it had before, or removes it.
    fn put_back(&mut self, key: &[u8], before: Option<&[u8]>) -> Result<(), StoreError>;
}

impl<K: Key + 'static, V: Value + 'static> Undo for Logged<'_, K, V> {
    fn take(&mut self) -> Before {
        std::mem::take(&mut self.before)
    }

    fn put_back(&mut self, key: &[u8], before: Option<&[u8]>) -> Result<(), StoreError> {
        has_width::<K>("key", key)?;
        let key = K::from_bytes(key);
        match before {
            Some(value) => {
                has_width::<V>("value", value)?;
                self.table.insert(key, V::from_bytes(value))?;
            }
            None => {
                self.table.remove(key)?;
            }
        }
        Ok(())
    }
}

/// Types of fixed width decode bytes of that width only.
fn has_width<T: Value>(field: &'static str, bytes: &[u8]) -> Result<(), CodecError> {
    match T::fixed_width() {
        Some(width) if width != bytes.len() => {
            Err(Reader::new(WHAT, bytes).invalid(field, hex::encode(bytes)))
        }
        _ => Ok(()),
    }
}

/// One change: position of the table, key, value before.
pub(crate) type Change = (u8, Vec<u8>, Option<Vec<u8>>);

/// What one block changed.
pub(crate) struct Block {
    /// The head before it.
    pub(crate) head: Head,
    /// The keys that it changed.
    pub(crate) changes: Vec<Change>,
}

impl Block {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.changes.len()).expect("a block changes less than 2^32 keys");
        let mut record = Writer::default();
        let start = record.put(&self.head.to_bytes()).u32(count);
        let each = self.changes.iter();
        each.fold(start, |out, (table, key, before)| {
            let length = u16::try_from(key.len()).expect("keys have less than 64 KiB");
            let out = out.u8(*table).u16(length).put(key);
            match before {
                None => out.u8(0),
                Some(value) => {
                    let length = u32::try_from(value.len()).expect("records have less than 4 GiB");
                    out.u8(1).u32(length).put(value)
                }
            }
        })
        .finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(WHAT, bytes);
        let head = Head::from_bytes(reader.slice(HEAD_BYTES)?)?;
        let count = reader.u32()?;
        let changes = (0..count).map(|_| read_change(&mut reader));
        let changes = changes.collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { head, changes })
    }
}

fn read_change(reader: &mut Reader<'_>) -> Result<Change, CodecError> {
    let table = reader.u8()?;
    let length = usize::from(reader.u16()?);
    let key = reader.slice(length)?.to_vec();
    let before = match reader.u8()? {
        0 => None,
        1 => {
            let length = usize::try_from(reader.u32()?).expect("32 bits fit usize");
            Some(reader.slice(length)?.to_vec())
        }
        other => return Err(reader.invalid("whether a value was there", other)),
    };
    Ok((table, key, before))
}
