//! The outbox of a key on a chain: every transaction that was signed and whose end nobody was told yet.
//!
//! A file, written before a transaction leaves and before anything that is learnt of it is used. Invariant:
//! a call that is not in it was never sent, or its end was told; one process at a time has it.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use alloy::primitives::{B256, Bytes as Data};
use l1::Address;
use node::{Standing, Unsettled};
use serde::{Deserialize, Serialize};

use crate::error::ChainError;
use crate::sender::Intent;

/// Version of the file.
const VERSION: u32 = 2;

/// The outbox, and the lock on it.
pub(crate) struct Outbox {
    file: PathBuf,
    content: Content,
    /// Held as long as the outbox is open.
    _lock: File,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    chain_id: u64,
    from: Address,
    /// What a node that lags does not know of the key's nonces.
    after: Option<After>,
    /// In the order in which they were signed.
    records: Vec<Record>,
}

/// A nonce that is not used as far as this block tells, which has the transaction of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    pub(crate) nonce: u64,
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// A transaction that was signed and may be on its way, or has come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) what: String,
    pub(crate) to: Option<Address>,
    /// Wei, in decimal digits.
    value: String,
    pub(crate) data: Data,
    /// Kept until its end was told: the same call again would be another one.
    pub(crate) keep: bool,
    pub(crate) nonce: u64,
    pub(crate) gas: u64,
    /// Every spelling that was signed, the last offers most.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) end: Option<End>,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    pub(crate) hash: B256,
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
    pub(crate) raw: Data,
    /// It does nothing but take the nonce.
    pub(crate) empty: bool,
}

/// What is known of the end of a transaction; a reorganization may prove it wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub(crate) enum End {
    /// A block has it.
    InBlock { number: u64, success: bool },
    /// The nonce is used up, and the node knows no receipt.
    NonceUsed,
}

/// Names a record: the hash of its first spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(B256);

impl Record {
    /// A record without a spelling.
    pub(crate) fn new(intent: &Intent<'_>, nonce: u64, gas: u64) -> Self {
        Self {
            what: intent.what.to_owned(),
            to: intent.to,
            value: intent.value.to_string(),
            data: Data::copy_from_slice(intent.data),
            keep: intent.keep,
            nonce,
            gas,
            attempts: Vec::new(),
            end: None,
        }
    }

    fn id(&self) -> Id {
        Id(self.attempts.first().map_or(B256::ZERO, |first| first.hash))
    }

    /// Wei.
    pub(crate) fn value(&self) -> u128 {
        self.value.parse().unwrap_or(u128::MAX)
    }

    /// The last spelling.
    pub(crate) fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// True if an empty transaction is to take the nonce.
    pub(crate) fn is_empty(&self) -> bool {
        self.last().is_some_and(|last| last.empty)
    }

    /// True if the end of the call has to be told: the same call again would be another one.
    pub(crate) fn is_kept(&self) -> bool {
        self.keep && !self.attempts.iter().all(|attempt| attempt.empty)
    }

    fn is(&self, intent: &Intent<'_>) -> bool {
        self.to == intent.to && self.value == intent.value.to_string() && *self.data == *intent.data
    }

    /// For people.
    pub(crate) fn shown(&self) -> Unsettled {
        Unsettled {
            what: self.what.clone(),
            nonce: self.nonce,
            hash: self
                .last()
                .map_or_else(String::new, |last| last.hash.to_string()),
            standing: match self.end {
                None => Standing::Waits,
                Some(End::InBlock {
                    number,
                    success: true,
                }) => Standing::InBlock(number),
                Some(End::InBlock {
                    number,
                    success: false,
                }) => Standing::Failed(number),
                Some(End::NonceUsed) => Standing::NonceUsed,
            },
        }
    }
}

impl Outbox {
    /// Opens the outbox of a key on a chain, in a folder.
    pub(crate) fn open(folder: &Path, chain_id: u64, from: Address) -> Result<Self, ChainError> {
        std::fs::create_dir_all(folder).map_err(io(folder, "make the folder"))?;
        let file = folder.join(format!("outbox-{chain_id}-{from}.json"));
        let lock = lock(&file.with_extension("lock"))?;
        let empty = Content {
            version: VERSION,
            chain_id,
            from,
            after: None,
            records: Vec::new(),
        };
        let content = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => empty,
            read => decode(&file, &read.map_err(io(&file, "read it"))?, &empty)?,
        };
        Ok(Self {
            file,
            content,
            _lock: lock,
        })
    }

    /// The records, in the order in which they were signed.
    pub(crate) fn records(&self) -> &[Record] {
        &self.content.records
    }

    /// Names of the records whose nonce is below `end`, by nonce.
    pub(crate) fn ids(&self, end: u64) -> Vec<Id> {
        let mut records: Vec<&Record> = self.records().iter().collect();
        records.retain(|record| record.nonce < end);
        records.sort_by_key(|record| record.nonce);
        records.into_iter().map(Record::id).collect()
    }

    /// The last transaction that a block was seen to have.
    pub(crate) fn after(&self) -> Option<After> {
        self.content.after
    }

    /// Notes a transaction that a block has.
    pub(crate) fn note(&mut self, after: After) -> Result<(), ChainError> {
        if self.content.after == Some(after) {
            return Ok(());
        }
        self.content.after = Some(after);
        self.save()
    }

    /// The record of the same call.
    pub(crate) fn find(&self, intent: &Intent<'_>) -> Option<Id> {
        let mut same = self.records().iter().filter(|record| record.is(intent));
        same.next().map(Record::id)
    }

    /// The record that takes a nonce and may still come into a block.
    pub(crate) fn waiting(&self, nonce: u64) -> Option<Id> {
        let mut waiting = (self.records().iter()).filter(|record| record.end.is_none());
        waiting.find(|record| record.nonce == nonce).map(Record::id)
    }

    /// A record that is there.
    pub(crate) fn get(&self, id: Id) -> Option<&Record> {
        self.records().iter().find(|record| record.id() == id)
    }

    /// Adds a record, which has a spelling.
    pub(crate) fn add(&mut self, record: Record) -> Result<Id, ChainError> {
        let id = record.id();
        self.content.records.push(record);
        self.save()?;
        Ok(id)
    }

    /// Changes a record.
    pub(crate) fn change(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), ChainError> {
        let mut records = self.content.records.iter_mut();
        let Some(record) = records.find(|record| record.id() == id) else {
            return Ok(());
        };
        let before = record.clone();
        change(record);
        match *record == before {
            true => Ok(()),
            false => self.save(),
        }
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, id: Id) -> Result<(), ChainError> {
        self.content.records.retain(|record| record.id() != id);
        self.save()
    }

    fn save(&self) -> Result<(), ChainError> {
        let json = serde_json::to_vec_pretty(&self.content).expect("text and numbers are JSON");
        write_whole(&self.file, &json)
    }
}

fn decode(file: &Path, bytes: &[u8], empty: &Content) -> Result<Content, ChainError> {
    let bad = |reason: &str| ChainError::File {
        path: file.into(),
        reason: format!(
            "{reason}; it tells which transactions are on their way: before you move it away, see on the chain that none of its key waits"
        ),
    };
    let content: Content = serde_json::from_slice(bytes)
        .map_err(|error| bad(&format!("no outbox of this version: {error}")))?;
    let whose = |content: &Content| (content.version, content.chain_id, content.from);
    if whose(&content) != whose(empty) {
        return Err(bad("the outbox of another key, chain or version"));
    }
    let sound =
        |record: &Record| !record.attempts.is_empty() && record.value.parse::<u128>().is_ok();
    match content.records.iter().all(sound) {
        true => Ok(content),
        false => Err(bad("a record without a signed transaction or an amount")),
    }
}

fn lock(path: &Path) -> Result<File, ChainError> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).open(path);
    let file = file.map_err(io(path, "open it"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ChainError::InUse { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(io(path, "lock it")(error)),
    }
}

pub(crate) fn io<'p>(
    path: &'p Path,
    action: &'static str,
) -> impl Fn(std::io::Error) -> ChainError + 'p {
    move |source| ChainError::Io {
        path: path.into(),
        action,
        source,
    }
}

/// Writes a file whole or not at all, readable by its owner alone, and makes it durable.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ChainError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(io(folder, "make the folder"))?;
    let written = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    written().map_err(io(path, "write it"))
}
