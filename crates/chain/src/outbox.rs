//! The outbox of a key on a chain: every call whose transaction was signed and whose outcome the caller has not
//! acknowledged.
//!
//! It is a file, written before a transaction is sent and before anything that is learnt of it is used.
//! Invariant: a call that is not in it was never sent, or its outcome was acknowledged; one process at a time
//! has it open.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use alloy::consensus::{Signed as SignedTransaction, TxEip1559};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{B256, Bytes as Data};
use l1::Address;
use l1::bytes::Bytes;
use l1::checked;
use rollup::{TransactionStatus, Unacknowledged};
use serde::{Deserialize, Serialize};

use crate::disk::{io, read_small, write_whole};
use crate::error::ChainError;

/// Version of the file.
const VERSION: u32 = 3;

/// A transaction to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'a> {
    pub(crate) what: &'static str,
    /// The contract that is called; none if one is created.
    pub(crate) to: Option<Address>,
    /// Wei.
    pub(crate) value: u128,
    pub(crate) data: &'a [u8],
    /// The caller has to acknowledge the outcome: the same call made twice would happen twice.
    pub(crate) acknowledge: bool,
    /// The most gas that it can use, whatever others do before it; 0 if that is not known.
    pub(crate) gas_bound: u64,
}

/// The outbox, and the lock on it.
pub(crate) struct Outbox {
    file: PathBuf,
    chain_id: u64,
    from: Address,
    nonce_floor: Option<NonceFloor>,
    /// In the order in which they were signed.
    records: Vec<Record>,
    /// Held as long as the outbox is open.
    _lock: File,
}

/// The content of the file. Names that differ from those of the code are those of its version.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    chain_id: u64,
    from: Address,
    #[serde(rename = "after")]
    nonce_floor: Option<NonceFloor>,
    records: Vec<Stored>,
}

/// A record as the file has it. Everything else is read from the signed bytes, so that nothing can differ
/// from what was signed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    what: String,
    #[serde(rename = "keep")]
    acknowledge: bool,
    /// The first transaction and its replacements, as they were signed (EIP-2718).
    attempts: Vec<Data>,
    #[serde(rename = "end")]
    outcome: Option<KnownOutcome>,
}

/// The least nonce that may be free: this block has the transaction of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NonceFloor {
    pub(crate) nonce: u64,
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// When the block was seen, by the system's clock.
    pub(crate) seen: u64,
}

/// A call whose transaction was signed, and whose outcome was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) what: String,
    /// The caller has to acknowledge the outcome: the same call made twice would happen twice.
    pub(crate) acknowledge: bool,
    pub(crate) call: SignedCall,
    /// The first transaction and its replacements, of which the last offers most.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) outcome: Option<KnownOutcome>,
}

/// What a transaction does, fees aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedCall {
    /// None if a contract is created.
    pub(crate) to: Option<Address>,
    /// Wei.
    pub(crate) value: u128,
    pub(crate) data: Data,
    pub(crate) nonce: u64,
    pub(crate) gas: u64,
}

/// A signed transaction: the first of a call, or a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) hash: B256,
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
    pub(crate) raw: Data,
    /// It uses the nonce and does nothing else.
    pub(crate) empty: bool,
}

/// The outcome of a call as it was last seen; a reorganization may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub(crate) enum KnownOutcome {
    InBlock {
        number: u64,
        success: bool,
    },
    /// The nonce is used, and the node has no receipt.
    NonceUsed,
}

/// Names a record: the hash of its first transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(B256);

impl SignedCall {
    /// The call that an intent asks for.
    pub(crate) fn new(intent: &Intent<'_>, nonce: u64, gas: u64) -> Self {
        Self {
            to: intent.to,
            value: intent.value,
            data: Data::copy_from_slice(intent.data),
            nonce,
            gas,
        }
    }

    /// True if it does nothing but take the nonce.
    fn is_empty(&self, from: Address) -> bool {
        self.to == Some(from) && self.value == 0 && self.data.is_empty()
    }
}

impl Attempt {
    /// A signed transaction of a key on a chain, from its bytes, and what it does. None if it is another
    /// key's, for another chain, or none.
    pub(crate) fn read(raw: Data, chain_id: u64, from: Address) -> Option<(SignedCall, Self)> {
        let signed = SignedTransaction::<TxEip1559>::decode_2718_exact(&raw).ok()?;
        let hash = signed.signature_hash();
        let signer = signed
            .signature()
            .recover_address_from_prehash(&hash)
            .ok()?;
        let transaction = signed.tx();
        if Bytes(signer.into_array()) != from
            || transaction.chain_id != chain_id
            || !transaction.access_list.is_empty()
        {
            return None;
        }
        let call = SignedCall {
            to: transaction.to.to().map(|to| Bytes(to.into_array())),
            value: u128::try_from(transaction.value).ok()?,
            data: transaction.input.clone(),
            nonce: transaction.nonce,
            gas: transaction.gas_limit,
        };
        let attempt = Self {
            hash: *signed.hash(),
            max_fee: transaction.max_fee_per_gas,
            tip: transaction.max_priority_fee_per_gas,
            empty: call.is_empty(from),
            raw,
        };
        Some((call, attempt))
    }
}

impl Record {
    /// A record from the file; none if its transactions are not one and its replacements: each of the same call
    /// or empty, of the same nonce, and offering more than the one before.
    fn read(stored: Stored, chain_id: u64, from: Address) -> Option<Self> {
        let Stored {
            what,
            acknowledge,
            attempts,
            outcome,
        } = stored;
        let mut signed = attempts.into_iter();
        let (call, first) = Attempt::read(signed.next()?, chain_id, from)?;
        let mut attempts = vec![first];
        for raw in signed {
            let (again, attempt) = Attempt::read(raw, chain_id, from)?;
            let last = attempts.last()?;
            let same = if attempt.empty {
                again.nonce == call.nonce
            } else {
                again == call && !last.empty
            };
            if !same || attempt.max_fee <= last.max_fee || attempt.tip < last.tip {
                return None;
            }
            attempts.push(attempt);
        }
        Some(Self {
            what,
            acknowledge,
            call,
            attempts,
            outcome,
        })
    }

    fn stored(&self) -> Stored {
        Stored {
            what: self.what.clone(),
            acknowledge: self.acknowledge,
            attempts: (self.attempts.iter())
                .map(|attempt| attempt.raw.clone())
                .collect(),
            outcome: self.outcome,
        }
    }

    fn id(&self) -> Id {
        Id(self.attempts.first().map_or(B256::ZERO, |first| first.hash))
    }

    /// The last of the transactions, which offers most.
    pub(crate) fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// True if the last replacement is an empty transaction.
    pub(crate) fn is_empty(&self) -> bool {
        self.last().is_some_and(|last| last.empty)
    }

    /// True if the record stays until the caller acknowledges the outcome.
    pub(crate) fn needs_acknowledgement(&self) -> bool {
        self.acknowledge && !self.attempts.iter().all(|attempt| attempt.empty)
    }

    fn is(&self, intent: &Intent<'_>) -> bool {
        let call = &self.call;
        (call.to, call.value) == (intent.to, intent.value) && *call.data == *intent.data
    }

    /// The record as people see it.
    pub(crate) fn summary(&self) -> Unacknowledged {
        Unacknowledged {
            what: self.what.clone(),
            nonce: self.call.nonce,
            hash: self
                .last()
                .map_or_else(String::new, |last| last.hash.to_string()),
            status: match self.outcome {
                None => TransactionStatus::Waits,
                Some(KnownOutcome::InBlock {
                    number,
                    success: true,
                }) => TransactionStatus::InBlock(number),
                Some(KnownOutcome::InBlock {
                    number,
                    success: false,
                }) => TransactionStatus::Failed(number),
                Some(KnownOutcome::NonceUsed) => TransactionStatus::NonceUsed,
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
        let (nonce_floor, records) = match read_small(&file) {
            Err(ChainError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                (None, Vec::new())
            }
            read => decode(&file, &read?, chain_id, from)?,
        };
        Ok(Self {
            file,
            chain_id,
            from,
            nonce_floor,
            records,
            _lock: lock,
        })
    }

    /// The records, in the order in which they were signed.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Names of the records whose nonce is below `end`, by nonce.
    pub(crate) fn ids(&self, end: u64) -> Vec<Id> {
        let mut records: Vec<&Record> = self.records().iter().collect();
        records.retain(|record| record.call.nonce < end);
        records.sort_by_key(|record| record.call.nonce);
        records.into_iter().map(Record::id).collect()
    }

    /// The least nonce that may be free, if a block with a transaction of the key was seen.
    pub(crate) fn nonce_floor(&self) -> Option<NonceFloor> {
        self.nonce_floor
    }

    /// Records the least nonce that may be free, or that no such block is known.
    pub(crate) fn set_nonce_floor(&mut self, floor: Option<NonceFloor>) -> Result<(), ChainError> {
        if self.nonce_floor == floor {
            return Ok(());
        }
        self.nonce_floor = floor;
        self.save()
    }

    /// The record of the same call.
    pub(crate) fn find(&self, intent: &Intent<'_>) -> Option<Id> {
        let mut same = self.records().iter().filter(|record| record.is(intent));
        same.next().map(Record::id)
    }

    /// The pending record of a nonce.
    pub(crate) fn pending(&self, nonce: u64) -> Option<Id> {
        let mut pending = (self.records().iter()).filter(|record| record.outcome.is_none());
        pending
            .find(|record| record.call.nonce == nonce)
            .map(Record::id)
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Record> {
        self.records().iter().find(|record| record.id() == id)
    }

    /// Adds a record, which has at least one transaction.
    pub(crate) fn add(&mut self, record: Record) -> Result<Id, ChainError> {
        let id = record.id();
        self.records.push(record);
        self.save()?;
        Ok(id)
    }

    pub(crate) fn change(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), ChainError> {
        let mut records = self.records.iter_mut();
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

    pub(crate) fn remove(&mut self, id: Id) -> Result<(), ChainError> {
        self.records.retain(|record| record.id() != id);
        self.save()
    }

    fn save(&self) -> Result<(), ChainError> {
        let content = Content {
            version: VERSION,
            chain_id: self.chain_id,
            from: self.from,
            nonce_floor: self.nonce_floor,
            records: self.records.iter().map(Record::stored).collect(),
        };
        let json = checked::seal(&content).expect("text and numbers are JSON");
        write_whole(&self.file, &json)
    }
}

fn decode(
    file: &Path,
    bytes: &[u8],
    chain_id: u64,
    from: Address,
) -> Result<(Option<NonceFloor>, Vec<Record>), ChainError> {
    let bad = |reason: &str| ChainError::File {
        path: file.into(),
        reason: format!(
            "{reason}; it says which transactions are pending, and without it a deposit could be made twice: see on the chain what the last transactions of this key did and that none of them waits, then move the file away"
        ),
    };
    let content: Content = checked::open(bytes).map_err(|error| bad(&error.to_string()))?;
    if (content.version, content.chain_id, content.from) != (VERSION, chain_id, from) {
        return Err(bad("the outbox of another key, chain or version"));
    }
    let records = content.records.into_iter();
    let records = records.map(|stored| Record::read(stored, chain_id, from));
    match records.collect::<Option<Vec<_>>>() {
        Some(records) => Ok((content.nonce_floor, records)),
        None => Err(bad("a record is not of transactions that this key signed")),
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fees::Offer;
    use crate::key::EthKey;
    use crate::sender::Sender;

    const CHAIN: u64 = 31_337;
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    /// The key of the tests, from a file in this folder.
    pub(crate) fn key(folder: &Path) -> EthKey {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("key");
        std::fs::write(&path, KEY).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        EthKey::load(&path).unwrap()
    }

    const DEPOSIT: Intent<'static> = Intent {
        what: "the deposit",
        to: Some(Bytes([0xc0; 20])),
        value: 3_000_000_000_000_000_000,
        data: &[0xab; 164],
        acknowledge: true,
        gas_bound: 0,
    };

    fn offers(max_fee: u128) -> Offer {
        Offer {
            max_fee,
            tip: max_fee / 2,
        }
    }

    /// An outbox with a deposit that was offered twice, one whose nonce an empty transaction takes, and a
    /// contract that a block has.
    fn outbox(folder: &Path) -> (PathBuf, Vec<Record>) {
        let sender = Sender::new(key(folder), CHAIN, folder).unwrap();
        let from = sender.address();
        let record = |what: &str, call: SignedCall, attempts: Vec<Attempt>| Record {
            what: what.to_owned(),
            acknowledge: true,
            call,
            attempts,
            outcome: None,
        };
        let deposit = SignedCall::new(&DEPOSIT, 7, 190_000);
        let twice = vec![
            sender.sign(&deposit, offers(10)),
            sender.sign(&deposit, offers(13)),
        ];
        let given_up = SignedCall {
            nonce: 8,
            ..deposit.clone()
        };
        let empty = SignedCall {
            to: Some(from),
            value: 0,
            data: Data::new(),
            nonce: 8,
            gas: 21_000,
        };
        let replaced = vec![
            sender.sign(&given_up, offers(10)),
            sender.sign(&empty, offers(20)),
        ];
        let creation = SignedCall {
            to: None,
            nonce: 9,
            ..deposit.clone()
        };
        let made = vec![sender.sign(&creation, offers(10))];
        drop(sender);
        let mut outbox = Outbox::open(folder, CHAIN, from).unwrap();
        let after = NonceFloor {
            nonce: 7,
            number: 12,
            hash: B256::repeat_byte(9),
            seen: 1_700_000_000,
        };
        outbox.set_nonce_floor(Some(after)).unwrap();
        outbox.add(record("the deposit", deposit, twice)).unwrap();
        outbox
            .add(record("the deposit", given_up, replaced))
            .unwrap();
        let id = outbox.add(record("the contract", creation, made)).unwrap();
        let outcome = KnownOutcome::InBlock {
            number: 12,
            success: true,
        };
        outbox
            .change(id, |record| record.outcome = Some(outcome))
            .unwrap();
        (outbox.file.clone(), outbox.records.clone())
    }

    /// What opening a file comes to.
    fn reopened(file: &Path, bytes: &[u8]) -> Result<Vec<Record>, ChainError> {
        std::fs::write(file, bytes).unwrap();
        let folder = file.parent().unwrap();
        let from = key(folder).address();
        Ok(Outbox::open(folder, CHAIN, from)?.records.clone())
    }

    #[test]
    fn an_outbox_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (file, records) = outbox(folder.path());
        let bytes = std::fs::read(&file).unwrap();
        let read = reopened(&file, &bytes).unwrap();
        assert_eq!(read, records);
        assert!(read[0].is(&DEPOSIT) && !read[0].is_empty());
        assert!(read[1].is(&DEPOSIT) && read[1].is_empty());
        assert!(read[2].call.to.is_none());
    }

    #[test]
    fn whatever_bit_of_the_outbox_is_flipped_no_call_is_another_or_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (file, records) = outbox(folder.path());
        let good = std::fs::read(&file).unwrap();
        let (from, mut refused) = (key(folder.path()).address(), 0);
        // Why each fifth: to recover signers takes a while.
        for bit in (0..8 * good.len()).step_by(5) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match decode(&file, &bad, CHAIN, from) {
                Ok((after, read)) => {
                    assert_eq!(read, records, "bit {bit}");
                    assert_eq!(after.map(|after| after.number), Some(12), "bit {bit}");
                }
                Err(error) => {
                    assert!(error.to_string().contains("move the file away"), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > good.len(), "{refused} of {}", 8 * good.len() / 5);
        // Half a file is none: it is written whole.
        assert!(reopened(&file, &good[..good.len() / 2]).is_err());
        assert!(reopened(&file, &[]).is_err());
    }

    /// With a checksum that is right: what counts is what was signed.
    #[test]
    fn a_record_that_its_key_did_not_sign_is_refused_whatever_the_checksum_says() {
        let folder = tempfile::tempdir().unwrap();
        let (file, records) = outbox(folder.path());
        let from = key(folder.path()).address();
        let read = |change: &dyn Fn(&mut Content)| {
            let mut content = Content {
                version: VERSION,
                chain_id: CHAIN,
                from,
                nonce_floor: None,
                records: records.iter().map(Record::stored).collect(),
            };
            change(&mut content);
            decode(&file, &checked::seal(&content).unwrap(), CHAIN, from)
        };
        assert_eq!(read(&|_| ()).unwrap().1, records);
        for (record, attempt) in [(0, 0), (0, 1), (1, 1), (2, 0)] {
            let length = records[record].attempts[attempt].raw.len();
            for bit in (0..8 * length).step_by(21) {
                let changed = read(&|content| {
                    let raw = &mut content.records[record].attempts[attempt];
                    let mut bytes = raw.to_vec();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    *raw = bytes.into();
                });
                assert!(changed.is_err(), "record {record}, {attempt}, bit {bit}");
            }
        }
        let mixed = |content: &mut Content| {
            let other = content.records[1].attempts[0].clone();
            content.records[0].attempts.push(other);
        };
        assert!(read(&mixed).is_err(), "transactions of two calls");
        let unordered = |content: &mut Content| content.records[0].attempts.reverse();
        assert!(read(&unordered).is_err(), "offers that fall");
        let bare = |content: &mut Content| content.records[0].attempts.clear();
        assert!(read(&bare).is_err(), "nothing was signed");
        let elsewhere = |content: &mut Content| content.chain_id = 1;
        assert!(read(&elsewhere).is_err(), "another chain");
        let older = |content: &mut Content| content.version = 2;
        assert!(read(&older).is_err(), "another version");
    }
}
