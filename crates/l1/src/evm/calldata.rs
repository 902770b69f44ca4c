//! Batches as the contract takes them, and queue entries as it keeps them.
//!
//! | bytes of a batch | field |
//! |---|---|
//! | 2 | shape id |
//! | 5, 5 | batch number, timestamp |
//! | 4 a fee slot | fee indices |
//! | 2, 2, 2 | L1 slots, transfer words, withdrawal words carried |
//! | 32, 32 | new root, `c` |
//! | 256 | proof |
//! | 130 an L1 slot | queue entry 114, amount paid out 16 |
//! | 30, 22 | a transfer word, a withdrawal word |
//!
//! `submitBatch` is its selector and one batch, `submitBatches` its selector, the number of batches
//! as 2 bytes, and the batches. Domain and old root are not sent: the contract has them. An entry
//! is `kind 1 ‖ index 4 ‖ token 4 ‖ amount 16 ‖ payer 20 ‖ time 5 ‖ Ax 32 ‖ Ay 32`.
//!
//! Invariant: [`decode`] accepts only what encoding its result gives again, and finds in calldata
//! what the contract finds. That the values are those of a batch that L1 accepts is left to L1.

use ledger::babyjubjub::Point;
use ledger::field::{Fr, to_be_bytes};
use ledger::operation::L1Op;
use ledger::shape::Shape;
use ledger::words::{PublicWords, TRANSFER_BYTES, WITHDRAWAL_BYTES, WordsError};
use prover::proof::PROOF_BYTES;
use storage::{CodecError, Reader, Writer};
use thiserror::Error;

use super::keccak::{keccak, selector};
use crate::bytes::{Address, Bytes};
use crate::queue::QueueEntry;
use crate::submission::Submission;

/// Signature of the call for one batch.
pub const SUBMIT_BATCH: &str = "submitBatch()";
/// Signature of the call for several.
pub const SUBMIT_BATCHES: &str = "submitBatches()";
/// Bytes of a packed queue entry.
pub const ENTRY_BYTES: usize = 114;
/// Most gas that a transaction may ask for (EIP-7825).
pub const MAX_GAS: u64 = 1 << 24;
/// Most gas of a batch besides its bytes and what it credits, before refunds.
const GAS_OF_BATCH: u64 = 270_000;
/// Most gas of a queue entry or withdrawal, before refunds: new slots for its owner, changed ones for
/// its token and entry.
const GAS_OF_CREDIT: u64 = 72_000;
/// Most gas of a byte of call data (EIP-7623).
const GAS_OF_BYTE: u64 = 40;
/// Most gas that others can add to a call between its estimate and its block: they take the last of what it
/// adds to, and to fill an empty slot costs 17,100 more than to change a full one (EIP-2200, EIP-2929). Three
/// slots: the two of a token's totals, and the contract's balance in the token, with the 64th part that a
/// call to the token leaves behind (EIP-150).
const GAS_OF_OTHERS: u64 = 3 * 17_100 * 64 / 63 + 1;
/// Most bytes of call data: nodes pass on transactions of up to 128 KiB, signature and all.
const MAX_BYTES: usize = 127 << 10;
/// Bytes of the header of published data before the fee indices.
const DATA_HEADER_BYTES: usize = 108;
/// Bytes of an entry that are published: kind, index, token, amount.
const OP_BYTES: usize = 25;

/// A queue entry, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is to be done.
    pub op: L1Op,
    pub payer: Address,
    /// Timestamp of its block, seconds since 1970.
    pub time: u64,
}

/// A batch from calldata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBatch {
    /// The batch, with domain and old root as the contract has them.
    pub submission: Submission,
    /// The queue entries that it consumes.
    pub entries: Vec<Entry>,
}

/// Why calldata are not batches.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CalldataError {
    /// Neither of the two calls.
    #[error("the call data start with {got}, which is neither submitBatch nor submitBatches")]
    Selector {
        /// The first bytes, in hexadecimal.
        got: String,
    },
    /// No batch.
    #[error("submitBatches carries no batch")]
    NoBatch,
    /// A shape that the deployment does not list.
    #[error("batch {position}: shape {shape_id} is not one of this deployment")]
    UnknownShape { position: usize, shape_id: u16 },
    /// Batches of several shapes in one call.
    #[error("batch {position} has shape {got}, the first has {expected}")]
    MixedShapes {
        position: usize,
        expected: u16,
        got: u16,
    },
    /// More carried than the shape has.
    #[error("batch {position}: {section}: the shape has {capacity}, got {got}")]
    Capacity {
        position: usize,
        section: &'static str,
        /// Slots or words of the shape.
        capacity: usize,
        got: usize,
    },
    /// Bytes are missing or left over, or a queue entry is malformed.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why a batch cannot be encoded for the contract.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The submission's data are not those of a batch of the shape.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The queue entries are not those that the batch consumes.
    #[error(
        "the batch consumes {expected} queue entries, got {got} or others; read the queue again"
    )]
    Entries { expected: usize, got: usize },
    /// More batches than one call can count.
    #[error("one call takes 1 to 65535 batches, got {0}")]
    Count(usize),
}

impl Entry {
    /// The fields, packed.
    pub fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let Self { op, payer, time } = self;
        let [ax, ay] = op.key_words();
        let mut record = Writer::default();
        let out = record.u8(op.kind()).u32(op.index());
        let out = out.u32(op.token()).u128(op.amount()).put(&payer.0);
        let bytes = out.put(&time.to_be_bytes()[3..]).fr(&ax).fr(&ay).finish();
        bytes.try_into().expect("the fields have 114 bytes")
    }

    /// What the contract keeps of the entry while it waits: the first 27 bytes of keccak256 of
    /// [`Self::to_bytes`], then its time in 5 bytes.
    pub fn kept(&self) -> Bytes<32> {
        let mut kept = keccak(&self.to_bytes());
        kept[27..].copy_from_slice(&self.time.to_be_bytes()[3..]);
        Bytes(kept)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (kind, index, token, amount) =
            (reader.u8()?, reader.u32()?, reader.u32()?, reader.u128()?);
        let payer = reader.bytes()?;
        let mut time = [0; 8];
        time[3..].copy_from_slice(&reader.take::<5>()?);
        let key: Point = reader.coordinates("key")?;
        let op = L1Op::from_parts(kind, index, token, amount, key)
            .ok_or_else(|| reader.invalid("kind, or a field that it does not have", kind))?;
        let time = u64::from_be_bytes(time);
        Ok(Self { op, payer, time })
    }
}

impl From<&QueueEntry> for Entry {
    fn from(entry: &QueueEntry) -> Self {
        let QueueEntry {
            number: _,
            op,
            payer,
            height: _,
            time,
        } = *entry;
        Self { op, payer, time }
    }
}

/// Most gas that a batch takes before refunds, whoever is paid: with the worst owners and tokens. Every
/// named shape stays below [`MAX_GAS`], so no deposits and withdrawals make a batch that cannot be sent.
///
/// `credits` are its queue entries and withdrawals, `bytes` those of its call data.
pub fn gas_bound(credits: usize, bytes: usize) -> u64 {
    GAS_OF_BATCH + credits as u64 * GAS_OF_CREDIT + bytes as u64 * GAS_OF_BYTE
}

/// The gas to ask for, so that a call which a node estimated at so much does not run out of it whatever
/// others do before it in its block. `bound` is the most that it can take, where that is known, else 0.
///
/// What a token's own code adds is not known: a quarter of the estimate is added where that is more.
pub fn gas_limit(estimated: u64, bound: u64) -> u64 {
    let more = GAS_OF_OTHERS.max(estimated / 4);
    estimated.saturating_add(more).max(bound).min(MAX_GAS)
}

/// How many batches, from the first on, one transaction can carry: below [`MAX_GAS`] and the 128 KiB
/// that nodes pass on. For each its queue entries and withdrawals, and the bytes of its call data.
pub fn carried(batches: impl IntoIterator<Item = (usize, usize)>) -> usize {
    let (mut gas, mut total) = (0, 0);
    let fits = |&(credits, bytes): &(usize, usize)| {
        gas += gas_bound(credits, bytes);
        total += bytes;
        gas <= MAX_GAS && total <= MAX_BYTES
    };
    batches.into_iter().take_while(fits).count()
}

/// Calldata of `submitBatch`. `entries` are the queue entries that the batch consumes.
pub fn encode_batch(
    submission: &Submission,
    shape: &Shape,
    entries: &[Entry],
) -> Result<Vec<u8>, EncodeError> {
    let mut out = selector(SUBMIT_BATCH).to_vec();
    out.extend(block(submission, shape, entries)?);
    Ok(out)
}

/// Calldata of `submitBatches`: batches of one shape that chain onto each other, each with the
/// queue entries that it consumes.
pub fn encode_batches(
    batches: &[(&Submission, &[Entry])],
    shape: &Shape,
) -> Result<Vec<u8>, EncodeError> {
    let count = u16::try_from(batches.len())
        .ok()
        .filter(|count| *count != 0);
    let count = count.ok_or(EncodeError::Count(batches.len()))?;
    let mut out = selector(SUBMIT_BATCHES).to_vec();
    out.extend(count.to_be_bytes());
    for (submission, entries) in batches {
        out.extend(block(submission, shape, entries)?);
    }
    Ok(out)
}

/// One batch.
fn block(
    submission: &Submission,
    shape: &Shape,
    entries: &[Entry],
) -> Result<Vec<u8>, EncodeError> {
    let Submission {
        shape_id,
        data,
        c,
        proof,
    } = submission;
    let (expected, got) = (shape.id, *shape_id);
    if expected != got {
        return Err(WordsError::ShapeId { expected, got }.into());
    }
    let words = PublicWords::from_bytes(data, shape)?;
    let same = |(slot, entry): (&ledger::words::L1Entry, &Entry)| slot.op == entry.op;
    let (expected, got) = (words.l1_ops.len(), entries.len());
    if expected != got || !words.l1_ops.iter().zip(entries).all(same) {
        return Err(EncodeError::Entries { expected, got });
    }
    let counts = DATA_HEADER_BYTES + 4 * usize::from(shape.fee_slots);
    let slots = counts + 6;
    let rest = slots + expected * ledger::words::L1_SLOT_BYTES;
    let mut out = data[96..slots].to_vec();
    out.extend(to_be_bytes(&words.header.new_root));
    out.extend(c);
    out.extend(proof);
    for (slot, entry) in words.l1_ops.iter().zip(entries) {
        out.extend(entry.to_bytes());
        out.extend(slot.paid_out.to_be_bytes());
    }
    out.extend(&data[rest..]);
    Ok(out)
}

/// Reads the calldata of either call. `domain` is the deployment's, `old_root` the root before the
/// first batch. Values are bounded where they are used: by [`PublicWords::from_bytes`] and L1.
///
/// # Errors
/// [`CalldataError`] unless the bytes are batches of listed shapes, whole and nothing else.
pub fn decode<'s>(
    calldata: &[u8],
    shape_of: impl Fn(u16) -> Option<&'s Shape>,
    domain: &Fr,
    old_root: &Fr,
) -> Result<Vec<SentBatch>, CalldataError> {
    let (head, tail) = calldata.split_at(calldata.len().min(4));
    let mut reader = Reader::new("the call data of batches", tail);
    let count = if head == selector(SUBMIT_BATCH) {
        1
    } else if head == selector(SUBMIT_BATCHES) {
        usize::from(reader.u16()?)
    } else {
        let got = hex::encode(head);
        return Err(CalldataError::Selector { got });
    };
    if count == 0 {
        return Err(CalldataError::NoBatch);
    }
    let mut batches: Vec<SentBatch> = Vec::new();
    let mut root = to_be_bytes(old_root);
    for position in 0..count {
        let shape_id = reader.u16()?;
        let expected = batches
            .first()
            .map_or(shape_id, |first| first.submission.shape_id);
        if shape_id != expected {
            return Err(CalldataError::MixedShapes {
                position,
                expected,
                got: shape_id,
            });
        }
        let shape = shape_of(shape_id);
        let shape = shape.ok_or(CalldataError::UnknownShape { position, shape_id })?;
        let (batch, new_root) = read_batch(&mut reader, position, shape, domain, &root)?;
        root = new_root;
        batches.push(batch);
    }
    reader.end()?;
    Ok(batches)
}

/// Reads a batch after its shape id; returns it with its new root.
fn read_batch(
    reader: &mut Reader<'_>,
    position: usize,
    shape: &Shape,
    domain: &Fr,
    old_root: &[u8; 32],
) -> Result<(SentBatch, [u8; 32]), CalldataError> {
    let numbers = reader.slice(10 + 4 * usize::from(shape.fee_slots))?;
    let counts: [u8; 6] = reader.take()?;
    let count = |at: usize| usize::from(u16::from_be_bytes([counts[at], counts[at + 1]]));
    let (slots, transfers, withdrawals) = (count(0), count(2), count(4));
    for (section, capacity, got) in [
        ("L1", usize::from(shape.l1_ops), slots),
        ("transfers", shape.transfer_words(), transfers),
        ("withdrawals", shape.withdrawal_words(), withdrawals),
    ] {
        if got > capacity {
            return Err(CalldataError::Capacity {
                position,
                section,
                capacity,
                got,
            });
        }
    }
    let new_root: [u8; 32] = reader.take()?;
    let c = reader.take()?;
    let proof = reader.take::<PROOF_BYTES>()?;
    let mut record = Writer::default();
    let data = record.put(&to_be_bytes(domain)).put(old_root);
    let mut data = data.put(&new_root).u16(shape.id).put(numbers).put(&counts);
    let mut entries = Vec::with_capacity(slots);
    for _ in 0..slots {
        let entry = Entry::read(reader)?;
        let [ax, ay] = entry.op.key_words();
        data = data.put(&entry.to_bytes()[..OP_BYTES]).fr(&ax).fr(&ay);
        data = data.put(&reader.take::<16>()?);
        entries.push(entry);
    }
    let carried = 2 * TRANSFER_BYTES * transfers + 2 * WITHDRAWAL_BYTES * withdrawals;
    let data = data.put(reader.slice(carried)?).finish();
    let submission = Submission {
        shape_id: shape.id,
        data,
        c,
        proof,
    };
    Ok((
        SentBatch {
            submission,
            entries,
        },
        new_root,
    ))
}
