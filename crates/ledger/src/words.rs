//! The public words of a batch and its published bytes.
//!
//! Circuit and L1 hold the same list of `n` field elements, `n` fixed by the shape
//! (docs/protocol.md, section 5). [`PublicWords`] is what the words say; one encoder makes them and one
//! strict decoder reads them. Invariant: two different values never have the same words, two
//! different byte strings never the same words, and nothing that the decoder accepts has bits it
//! ignores. Whether the words describe a true transition is left to the circuit, or to `replay`.

use sha3::{Digest, Keccak256};
use thiserror::Error;

use crate::babyjubjub::Point;
use crate::field::{Fr, from_be_bytes, to_be_bytes};
use crate::float::{Float16, Float40};
use crate::operation::{FORTY_BITS, L1Op, keccak_to_field};
use crate::poseidon::compress4;
use crate::shape::{
    FEE_INDICES_IN_HEADER, FEE_INDICES_PER_EXTRA_WORD, HEADER_WORDS, Shape, WORDS_PER_L1_SLOT,
};

/// Bytes of the packed word of an L1 slot: kind 1, index 4, token 4, amount 16.
const L1_PACKED_BYTES: usize = 25;
/// Bytes of one L1 slot in the published data: packed, `Ax`, `Ay`, amount paid out.
pub const L1_SLOT_BYTES: usize = L1_PACKED_BYTES + 32 + 32 + 16;
/// Bytes of one transfer: from 4, to 4, amount 5, fee 2.
pub const TRANSFER_BYTES: usize = 15;
/// Bytes of one withdrawal: index 4, amount 5, fee 2.
pub const WITHDRAWAL_BYTES: usize = 11;
/// Bytes of the packed header word: shape id 2, batch number 5, timestamp 5, four fee indices 16.
const PACKED_HEADER_BYTES: usize = 28;
/// Bytes of a header word with seven more fee indices.
const EXTRA_WORD_BYTES: usize = 28;

/// The batch's place in the chain and its fee accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of the deployment, see [`crate::operation::domain`].
    pub domain: Fr,
    /// Root before the batch.
    pub old_root: Fr,
    /// Root after the batch.
    pub new_root: Fr,
    /// Number of the shape.
    pub shape_id: u16,
    /// Number of the batch, below 2^40; the first is 1.
    pub batch_number: u64,
    /// Seconds since 1970, below 2^40.
    pub timestamp: u64,
    /// For each fee slot of the shape its account, 0 if the slot is unused.
    pub fee_indices: Vec<u32>,
}

/// A used L1 slot: the queue's entry and what it paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Entry {
    /// The operation, as L1's queue has it.
    pub op: L1Op,
    /// The whole balance for a ForcedExit, 0 for everything else.
    pub paid_out: u128,
}

/// What is published of a transfer. All zero: an unused slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferData {
    /// The sender's index, 0 if and only if the slot is unused.
    pub from: u32,
    /// Index of the account that receives.
    pub to: u32,
    /// The amount as signed.
    pub amount: Float40,
    /// The fee as signed.
    pub fee: Float16,
}

/// What is published of a withdrawal. All zero: an unused slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawalData {
    /// The account's index, 0 if and only if the slot is unused.
    pub index: u32,
    /// The amount as signed.
    pub amount: Float40,
    /// The fee as signed.
    pub fee: Float16,
}

/// What the public words of a batch say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicWords {
    /// What the header words say.
    pub header: Header,
    /// The used L1 slots, a prefix of the shape's.
    pub l1_ops: Vec<L1Entry>,
    /// The transfer slots up to the last used one; unused ones may be among them.
    pub transfers: Vec<TransferData>,
    /// The withdrawal slots up to the last used one; unused ones may be among them.
    pub withdrawals: Vec<WithdrawalData>,
}

/// Why words or bytes are not those of a batch of the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WordsError {
    /// The number of words is not the shape's.
    #[error("expected {expected} words, got {got}")]
    WordCount {
        /// Words of the shape.
        expected: usize,
        /// Number of words that were given.
        got: usize,
    },
    /// More entries than slots, or another number of fee indices than fee slots.
    #[error("{section}: the shape has {capacity}, got {got}")]
    Capacity {
        /// Name of the section.
        section: &'static str,
        /// Slots (or words) of the shape.
        capacity: usize,
        /// Number of entries that were given.
        got: usize,
    },
    /// The words are of another shape.
    #[error("expected shape {expected}, got {got}")]
    ShapeId {
        /// Number of the shape that the words are read for.
        expected: u16,
        /// The number in the words.
        got: u16,
    },
    /// A number is wider than its field.
    #[error("{field} is {value}, not below 2^40")]
    TooWide {
        /// Name of the field.
        field: &'static str,
        /// The value that has more than 40 bits.
        value: u64,
    },
    /// Bits above the fields of a word are set.
    #[error("word {word} has bits set above its {bits} bits")]
    SpareBits {
        /// Position of the word.
        word: usize,
        /// Bits that the word may use.
        bits: usize,
    },
    /// A slot that is unused by its index or kind is not all zero.
    #[error("{section} slot {slot} is unused but not all zero")]
    UnusedNotZero {
        /// Name of the section.
        section: &'static str,
        /// Place of the slot in its section, from 0.
        slot: usize,
    },
    /// A used slot has an index that is not an account of the tree.
    #[error("{section} slot {slot}: index {index} is not from 1 to below {leaves}")]
    Index {
        /// Name of the section.
        section: &'static str,
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// Index of the account's leaf.
        index: u32,
        /// Number of leaves, `4^depth`; indices are below it.
        leaves: u64,
    },
    /// The kind of an L1 slot is none of those that exist.
    #[error("L1 slot {slot} has kind {kind}, which is not 0 to 3")]
    Kind {
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// The kind as published; 0 is an unused slot, 1 to 3 are operations.
        kind: u8,
    },
    /// A field of an L1 slot is set that its kind does not have.
    #[error("L1 slot {slot} of kind {kind} has a {field} that is not 0")]
    NotOfKind {
        /// Place of the slot in its section, from 0.
        slot: usize,
        /// The kind as published; 0 is an unused slot, 1 to 3 are operations.
        kind: u8,
        /// Name of the field.
        field: &'static str,
    },
    /// An L1 slot is used after an unused one.
    #[error("L1 slot {slot} is used after an unused one")]
    NotAPrefix {
        /// Place of the slot in its section, from 0.
        slot: usize,
    },
    /// The bytes end early.
    #[error("the data end within {section}: {needed} bytes needed, {left} left")]
    Truncated {
        /// Name of the section.
        section: &'static str,
        /// Bytes that the section still needs.
        needed: usize,
        /// Bytes that are left in the data.
        left: usize,
    },
    /// Bytes follow the last section.
    #[error("{0} bytes follow the data")]
    TrailingBytes(usize),
    /// A section carries a last word that says nothing.
    #[error("{section}: the last of {carried} carried words is zero")]
    ZeroWordCarried {
        /// Name of the section.
        section: &'static str,
        /// Words (L1: slots) carried.
        carried: usize,
    },
    /// 32 bytes that are not below the field's order.
    #[error("{field} is not below the order of the scalar field")]
    NotCanonical {
        /// Name of the field.
        field: &'static str,
    },
}

const L1: &str = "L1";
const TRANSFERS: &str = "transfers";
const WITHDRAWALS: &str = "withdrawals";
const FEES: &str = "fee indices";
const HEADER: &str = "header";

impl TransferData {
    /// A slot that does nothing: all of its fields are 0.
    pub fn unused() -> Self {
        Self::from_bytes(&[0; TRANSFER_BYTES])
    }

    /// True if the slot does nothing.
    pub fn is_unused(&self) -> bool {
        self.from == 0
    }

    /// `from 32 ‖ to 32 ‖ amount 40 ‖ fee 16`.
    pub fn to_bytes(&self) -> [u8; TRANSFER_BYTES] {
        let Self {
            from,
            to,
            amount,
            fee,
        } = self;
        let mut out = Bytes::default();
        out.put(&from.to_be_bytes());
        out.put(&to.to_be_bytes());
        out.put_forty(amount.packed());
        out.put(&fee.packed().to_be_bytes()[6..]);
        out.array()
    }

    /// Reads what [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8; TRANSFER_BYTES]) -> Self {
        let mut from = Reader::new(bytes);
        Self {
            from: from.u32(),
            to: from.u32(),
            amount: from.float40(),
            fee: from.float16(),
        }
    }

    fn check(&self, slot: usize, shape: &Shape) -> Result<(), WordsError> {
        if self.is_unused() {
            return unused_is_zero(TRANSFERS, slot, self == &Self::unused());
        }
        check_index(TRANSFERS, slot, self.from, shape)?;
        check_index(TRANSFERS, slot, self.to, shape)
    }
}

impl WithdrawalData {
    /// A slot that does nothing: all of its fields are 0.
    pub fn unused() -> Self {
        Self::from_bytes(&[0; WITHDRAWAL_BYTES])
    }

    /// True if the slot does nothing.
    pub fn is_unused(&self) -> bool {
        self.index == 0
    }

    /// `index 32 ‖ amount 40 ‖ fee 16`.
    pub fn to_bytes(&self) -> [u8; WITHDRAWAL_BYTES] {
        let Self { index, amount, fee } = self;
        let mut out = Bytes::default();
        out.put(&index.to_be_bytes());
        out.put_forty(amount.packed());
        out.put(&fee.packed().to_be_bytes()[6..]);
        out.array()
    }

    /// Reads what [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8; WITHDRAWAL_BYTES]) -> Self {
        let mut from = Reader::new(bytes);
        Self {
            index: from.u32(),
            amount: from.float40(),
            fee: from.float16(),
        }
    }

    fn check(&self, slot: usize, shape: &Shape) -> Result<(), WordsError> {
        if self.is_unused() {
            return unused_is_zero(WITHDRAWALS, slot, self == &Self::unused());
        }
        check_index(WITHDRAWALS, slot, self.index, shape)
    }
}

impl L1Entry {
    /// The slot's four words: `kind 8 ‖ index 32 ‖ token 32 ‖ amount 128`, `Ax`, `Ay`, paid out.
    pub fn words(&self) -> [Fr; WORDS_PER_L1_SLOT] {
        let [ax, ay] = self.op.key_words();
        [word(&self.packed_bytes()), ax, ay, Fr::from(self.paid_out)]
    }

    fn packed_bytes(&self) -> [u8; L1_PACKED_BYTES] {
        let mut out = Bytes::default();
        out.put(&[self.op.kind()]);
        out.put(&self.op.index().to_be_bytes());
        out.put(&self.op.token().to_be_bytes());
        out.put(&self.op.amount().to_be_bytes());
        out.array()
    }

    fn to_bytes(self) -> [u8; L1_SLOT_BYTES] {
        let [ax, ay] = self.op.key_words();
        let mut out = Bytes::default();
        out.put(&self.packed_bytes());
        out.put(&to_be_bytes(&ax));
        out.put(&to_be_bytes(&ay));
        out.put(&self.paid_out.to_be_bytes());
        out.array()
    }

    /// Reads a slot; `None` if it is unused.
    fn parse(
        slot: usize,
        packed: &[u8; L1_PACKED_BYTES],
        [ax, ay]: [Fr; 2],
        paid_out: u128,
        shape: &Shape,
    ) -> Result<Option<Self>, WordsError> {
        let mut from = Reader::new(packed);
        let [kind] = from.take();
        let (index, token, amount) = (from.u32(), from.u32(), u128::from_be_bytes(from.take()));
        let no_key = ax == Fr::from(0u64) && ay == Fr::from(0u64);
        if kind == 0 {
            let zero = packed == &[0; L1_PACKED_BYTES] && no_key && paid_out == 0;
            return unused_is_zero(L1, slot, zero).map(|()| None);
        }
        let absent = |field, is_zero: bool| match is_zero {
            true => Ok(()),
            false => Err(WordsError::NotOfKind { slot, kind, field }),
        };
        let op = match kind {
            L1Op::CREATE => L1Op::Create {
                index,
                token,
                amount,
                key: Point { x: ax, y: ay },
            },
            L1Op::TOP_UP => L1Op::TopUp {
                index,
                token,
                amount,
            },
            L1Op::FORCED_EXIT => L1Op::ForcedExit { index, token },
            _ => return Err(WordsError::Kind { slot, kind }),
        };
        check_index(L1, slot, index, shape)?;
        absent("key", kind == L1Op::CREATE || no_key)?;
        absent("amount", kind != L1Op::FORCED_EXIT || amount == 0)?;
        absent("payout", kind == L1Op::FORCED_EXIT || paid_out == 0)?;
        Ok(Some(Self { op, paid_out }))
    }

    fn check(&self, slot: usize, shape: &Shape) -> Result<(), WordsError> {
        Self::parse(
            slot,
            &self.packed_bytes(),
            self.op.key_words(),
            self.paid_out,
            shape,
        )
        .map(|_| ())
    }
}

impl Header {
    /// `shape id 16 ‖ batch number 40 ‖ timestamp 40 ‖ four fee indices 32`, missing ones 0.
    fn packed_word(&self) -> Fr {
        let mut out = Bytes::default();
        out.put(&self.shape_id.to_be_bytes());
        out.put_forty(self.batch_number);
        out.put_forty(self.timestamp);
        let first = self.fee_indices.iter().take(FEE_INDICES_IN_HEADER);
        out.put_indices(first, FEE_INDICES_IN_HEADER);
        word(&out.0)
    }

    /// The header words of the shape.
    fn words(&self) -> Vec<Fr> {
        let Self {
            domain,
            old_root,
            new_root,
            shape_id: _,
            batch_number: _,
            timestamp: _,
            fee_indices,
        } = self;
        let mut words = vec![*domain, *old_root, *new_root, self.packed_word()];
        let rest = fee_indices.get(FEE_INDICES_IN_HEADER..).unwrap_or(&[]);
        for indices in rest.chunks(FEE_INDICES_PER_EXTRA_WORD) {
            let mut out = Bytes::default();
            out.put_indices(indices.iter(), FEE_INDICES_PER_EXTRA_WORD);
            words.push(word(&out.0));
        }
        words
    }

    fn from_words(words: &[Fr], shape: &Shape) -> Result<Self, WordsError> {
        let packed = field_bytes::<PACKED_HEADER_BYTES>(words[3], 3)?;
        let mut from = Reader::new(&packed);
        let shape_id = from.u16();
        let (batch_number, timestamp) = (from.forty(), from.forty());
        let mut fee_indices: Vec<u32> = (0..FEE_INDICES_IN_HEADER).map(|_| from.u32()).collect();
        let extra = words.iter().enumerate().take(shape.header_words());
        for (at, word) in extra.skip(HEADER_WORDS) {
            let bytes = field_bytes::<EXTRA_WORD_BYTES>(*word, at)?;
            let mut from = Reader::new(&bytes);
            fee_indices.extend((0..FEE_INDICES_PER_EXTRA_WORD).map(|_| from.u32()));
        }
        let fee_slots = usize::from(shape.fee_slots);
        for (slot, index) in fee_indices.iter().enumerate().skip(fee_slots) {
            unused_is_zero(FEES, slot, *index == 0)?;
        }
        fee_indices.truncate(fee_slots);
        Ok(Self {
            domain: words[0],
            old_root: words[1],
            new_root: words[2],
            shape_id,
            batch_number,
            timestamp,
            fee_indices,
        })
    }

    fn check(&self, shape: &Shape) -> Result<(), WordsError> {
        if self.shape_id != shape.id {
            return Err(WordsError::ShapeId {
                expected: shape.id,
                got: self.shape_id,
            });
        }
        for (field, value) in [
            ("batch number", self.batch_number),
            ("timestamp", self.timestamp),
        ] {
            if value > FORTY_BITS {
                return Err(WordsError::TooWide { field, value });
            }
        }
        let capacity = usize::from(shape.fee_slots);
        let got = self.fee_indices.len();
        if got != capacity {
            return Err(WordsError::Capacity {
                section: FEES,
                capacity,
                got,
            });
        }
        let used = self
            .fee_indices
            .iter()
            .enumerate()
            .filter(|(_, index)| **index != 0);
        used.into_iter()
            .try_for_each(|(slot, index)| check_index(FEES, slot, *index, shape))
    }
}

impl PublicWords {
    /// Checks that the values are those of a batch of the shape.
    ///
    /// # Errors
    /// [`WordsError`].
    pub fn check(&self, shape: &Shape) -> Result<(), WordsError> {
        let Self {
            header,
            l1_ops,
            transfers,
            withdrawals,
        } = self;
        header.check(shape)?;
        check_capacity(L1, usize::from(shape.l1_ops), l1_ops.len())?;
        check_capacity(TRANSFERS, usize::from(shape.transfers), transfers.len())?;
        check_capacity(
            WITHDRAWALS,
            usize::from(shape.withdrawals),
            withdrawals.len(),
        )?;
        for (slot, entry) in l1_ops.iter().enumerate() {
            entry.check(slot, shape)?;
        }
        for (slot, data) in transfers.iter().enumerate() {
            data.check(slot, shape)?;
        }
        for (slot, data) in withdrawals.iter().enumerate() {
            data.check(slot, shape)?;
        }
        Ok(())
    }

    /// The words of the batch: exactly [`Shape::word_count`] of them.
    ///
    /// # Errors
    /// [`WordsError`] if the values are not those of a batch of the shape.
    pub fn encode(&self, shape: &Shape) -> Result<Vec<Fr>, WordsError> {
        self.check(shape)?;
        let Self {
            header,
            l1_ops,
            transfers,
            withdrawals,
        } = self;
        let mut words = header.words();
        words.extend(l1_ops.iter().flat_map(L1Entry::words));
        extend_to(&mut words, shape.header_words() + shape.l1_words());
        words.extend(transfers.chunks(2).map(transfer_word));
        extend_to(&mut words, shape.word_count() - shape.withdrawal_words());
        words.extend(withdrawals.chunks(2).map(withdrawal_word));
        extend_to(&mut words, shape.word_count());
        Ok(words)
    }

    /// Reads words strictly: spare bits, unused slots and fields that a kind does not have are
    /// zero, amounts are below 2^128, indices are accounts of the tree.
    ///
    /// # Errors
    /// [`WordsError`] if the words are not what [`Self::encode`] writes for some batch.
    pub fn decode(words: &[Fr], shape: &Shape) -> Result<Self, WordsError> {
        if words.len() != shape.word_count() {
            return Err(WordsError::WordCount {
                expected: shape.word_count(),
                got: words.len(),
            });
        }
        let header = Header::from_words(words, shape)?;
        let l1_at = shape.header_words();
        let transfers_at = l1_at + shape.l1_words();
        let withdrawals_at = transfers_at + shape.transfer_words();
        let l1_ops = read_l1_slots(&words[..transfers_at], l1_at, shape)?;
        let mut transfers = Vec::with_capacity(usize::from(shape.transfers));
        for (at, word) in words
            .iter()
            .enumerate()
            .take(withdrawals_at)
            .skip(transfers_at)
        {
            let pair = field_bytes::<{ 2 * TRANSFER_BYTES }>(*word, at)?;
            transfers.extend(pair.as_chunks().0.iter().map(TransferData::from_bytes));
        }
        let mut withdrawals = Vec::with_capacity(usize::from(shape.withdrawals));
        for (at, word) in words.iter().enumerate().skip(withdrawals_at) {
            let pair = field_bytes::<{ 2 * WITHDRAWAL_BYTES }>(*word, at)?;
            withdrawals.extend(pair.as_chunks().0.iter().map(WithdrawalData::from_bytes));
        }
        Self::assemble(header, l1_ops, transfers, withdrawals, shape)
    }

    /// The published bytes of the batch: the header's fields, then for each section how much of
    /// it is carried (L1: slots; transfers and withdrawals: words of two) and exactly that much.
    /// What is not carried is zero. Each transfer takes 15 bytes.
    ///
    /// | bytes | field |
    /// |---|---|
    /// | 32, 32, 32 | domain, old root, new root |
    /// | 2, 5, 5 | shape id, batch number, timestamp |
    /// | 4 a fee slot | fee indices |
    /// | 2, 2, 2 | L1 slots, transfer words and withdrawal words carried |
    /// | 105 an L1 slot | kind 1, index 4, token 4, amount 16, `Ax` 32, `Ay` 32, paid out 16 |
    /// | 30 a transfer word | 2 × (from 4, to 4, amount 5, fee 2) |
    /// | 22 a withdrawal word | 2 × (index 4, amount 5, fee 2) |
    ///
    /// # Errors
    /// [`WordsError`] if the values are not those of a batch of the shape.
    pub fn to_bytes(&self, shape: &Shape) -> Result<Vec<u8>, WordsError> {
        self.check(shape)?;
        let Self {
            header,
            l1_ops,
            transfers,
            withdrawals,
        } = self;
        let mut out = Bytes::default();
        for root in [&header.domain, &header.old_root, &header.new_root] {
            out.put(&to_be_bytes(root));
        }
        out.put(&header.shape_id.to_be_bytes());
        out.put_forty(header.batch_number);
        out.put_forty(header.timestamp);
        out.put_indices(header.fee_indices.iter(), header.fee_indices.len());
        let transfers = used_prefix(transfers, |data| !data.is_unused());
        let withdrawals = used_prefix(withdrawals, |data| !data.is_unused());
        for carried in [
            l1_ops.len(),
            transfers.len().div_ceil(2),
            withdrawals.len().div_ceil(2),
        ] {
            let carried = u16::try_from(carried).expect("not above a 16-bit capacity");
            out.put(&carried.to_be_bytes());
        }
        l1_ops.iter().for_each(|entry| out.put(&entry.to_bytes()));
        transfers
            .chunks(2)
            .for_each(|pair| out.put(&transfer_pair(pair)));
        withdrawals
            .chunks(2)
            .for_each(|pair| out.put(&withdrawal_pair(pair)));
        Ok(out.0)
    }

    /// Reads published bytes strictly: exact length, no more carried than the shape has or than
    /// is used, and everything that [`Self::decode`] checks.
    ///
    /// # Errors
    /// [`WordsError`] if the bytes are not what [`Self::to_bytes`] writes for some batch.
    pub fn from_bytes(bytes: &[u8], shape: &Shape) -> Result<Self, WordsError> {
        let mut input = Input(bytes);
        let header = input.header(shape)?;
        let l1_slots = input.count(L1, usize::from(shape.l1_ops))?;
        let transfer_words = input.count(TRANSFERS, shape.transfer_words())?;
        let withdrawal_words = input.count(WITHDRAWALS, shape.withdrawal_words())?;
        let mut l1_ops = Vec::with_capacity(l1_slots);
        for slot in 0..l1_slots {
            let packed = input.take(L1)?;
            let key = [input.field(L1, "Ax")?, input.field(L1, "Ay")?];
            let paid_out = u128::from_be_bytes(input.take(L1)?);
            let entry = L1Entry::parse(slot, &packed, key, paid_out, shape)?;
            l1_ops.push(entry.ok_or(WordsError::ZeroWordCarried {
                section: L1,
                carried: l1_slots,
            })?);
        }
        let mut transfers = Vec::with_capacity(2 * transfer_words);
        for _ in 0..2 * transfer_words {
            transfers.push(TransferData::from_bytes(&input.take(TRANSFERS)?));
        }
        let mut withdrawals = Vec::with_capacity(2 * withdrawal_words);
        for _ in 0..2 * withdrawal_words {
            withdrawals.push(WithdrawalData::from_bytes(&input.take(WITHDRAWALS)?));
        }
        input.end()?;
        let words = Self::assemble(header, l1_ops, transfers, withdrawals, shape)?;
        check_carried(TRANSFERS, transfer_words, words.transfers.len())?;
        check_carried(WITHDRAWALS, withdrawal_words, words.withdrawals.len())?;
        Ok(words)
    }

    /// Trims trailing unused slots and checks everything.
    fn assemble(
        header: Header,
        l1_ops: Vec<L1Entry>,
        mut transfers: Vec<TransferData>,
        mut withdrawals: Vec<WithdrawalData>,
        shape: &Shape,
    ) -> Result<Self, WordsError> {
        let is_empty = |data: &TransferData| data == &TransferData::unused();
        transfers.truncate(used_prefix(&transfers, |data| !is_empty(data)).len());
        let is_empty = |data: &WithdrawalData| data == &WithdrawalData::unused();
        withdrawals.truncate(used_prefix(&withdrawals, |data| !is_empty(data)).len());
        let words = Self {
            header,
            l1_ops,
            transfers,
            withdrawals,
        };
        words.check(shape).map(|()| words)
    }
}

/// `c`: `h₀ = shape id`, `hᵢ₊₁ = compress4(hᵢ, three words)`, the last triple padded with zeros.
pub fn commitment(shape_id: u16, words: &[Fr]) -> Fr {
    let zero = Fr::from(0u64);
    words.chunks(3).fold(Fr::from(shape_id), |h, triple| {
        let at = |place: usize| triple.get(place).copied().unwrap_or(zero);
        compress4(&[h, at(0), at(1), at(2)])
    })
}

/// `z = keccak256(c ‖ w₀ ‖ … ‖ w_{n−1}) >> 6`, 32 bytes each.
///
/// Sound because: `c` fixes the circuit's words before `z` exists, and every word is hashed, those
/// of L1's queue included.
pub fn challenge(c: &Fr, words: &[Fr]) -> Fr {
    let mut keccak = Keccak256::new();
    keccak.update(to_be_bytes(c));
    for word in words {
        keccak.update(to_be_bytes(word));
    }
    keccak_to_field(keccak)
}

/// `y = Σ wᵢ·zⁱ`.
pub fn evaluation(words: &[Fr], z: &Fr) -> Fr {
    words
        .iter()
        .rev()
        .fold(Fr::from(0u64), |sum, word| sum * z + word)
}

fn transfer_pair(pair: &[TransferData]) -> [u8; 2 * TRANSFER_BYTES] {
    let mut out = Bytes::default();
    pair.iter().for_each(|data| out.put(&data.to_bytes()));
    out.0.resize(2 * TRANSFER_BYTES, 0);
    out.array()
}

fn withdrawal_pair(pair: &[WithdrawalData]) -> [u8; 2 * WITHDRAWAL_BYTES] {
    let mut out = Bytes::default();
    pair.iter().for_each(|data| out.put(&data.to_bytes()));
    out.0.resize(2 * WITHDRAWAL_BYTES, 0);
    out.array()
}

fn transfer_word(pair: &[TransferData]) -> Fr {
    word(&transfer_pair(pair))
}

fn withdrawal_word(pair: &[WithdrawalData]) -> Fr {
    word(&withdrawal_pair(pair))
}

/// The slots of `words` from position `at` on: the used ones, which must be a prefix.
fn read_l1_slots(words: &[Fr], at: usize, shape: &Shape) -> Result<Vec<L1Entry>, WordsError> {
    let mut entries = Vec::with_capacity(usize::from(shape.l1_ops));
    for slot in 0..usize::from(shape.l1_ops) {
        let first = at + WORDS_PER_L1_SLOT * slot;
        let packed = field_bytes(words[first], first)?;
        let key = [words[first + 1], words[first + 2]];
        let paid_out = u128::from_be_bytes(field_bytes(words[first + 3], first + 3)?);
        match L1Entry::parse(slot, &packed, key, paid_out, shape)? {
            Some(entry) if entries.len() == slot => entries.push(entry),
            Some(_) => return Err(WordsError::NotAPrefix { slot }),
            None => {}
        }
    }
    Ok(entries)
}

fn check_index(
    section: &'static str,
    slot: usize,
    index: u32,
    shape: &Shape,
) -> Result<(), WordsError> {
    let leaves = shape.leaves();
    if index != 0 && u64::from(index) < leaves {
        Ok(())
    } else {
        Err(WordsError::Index {
            section,
            slot,
            index,
            leaves,
        })
    }
}

fn check_capacity(section: &'static str, capacity: usize, got: usize) -> Result<(), WordsError> {
    if got <= capacity {
        Ok(())
    } else {
        Err(WordsError::Capacity {
            section,
            capacity,
            got,
        })
    }
}

fn check_carried(section: &'static str, carried: usize, slots: usize) -> Result<(), WordsError> {
    if slots.div_ceil(2) == carried {
        Ok(())
    } else {
        Err(WordsError::ZeroWordCarried { section, carried })
    }
}

fn unused_is_zero(section: &'static str, slot: usize, zero: bool) -> Result<(), WordsError> {
    if zero {
        Ok(())
    } else {
        Err(WordsError::UnusedNotZero { section, slot })
    }
}

/// The entries up to the last one that is used.
fn used_prefix<T>(entries: &[T], is_used: impl Fn(&T) -> bool) -> &[T] {
    let end = entries.iter().rposition(is_used).map_or(0, |last| last + 1);
    &entries[..end]
}

fn extend_to(words: &mut Vec<Fr>, len: usize) {
    words.resize(len, Fr::from(0u64));
}

/// The field element of up to 31 big-endian bytes.
fn word(bytes: &[u8]) -> Fr {
    let mut whole = [0; 32];
    whole[32 - bytes.len()..].copy_from_slice(bytes);
    from_be_bytes(&whole).expect("31 bytes are below the field's order")
}

/// The low `N` bytes of a word whose other bytes are zero.
fn field_bytes<const N: usize>(value: Fr, word: usize) -> Result<[u8; N], WordsError> {
    let whole = to_be_bytes(&value);
    let (spare, bytes) = whole.split_at(32 - N);
    if spare.iter().any(|byte| *byte != 0) {
        return Err(WordsError::SpareBits { word, bits: 8 * N });
    }
    Ok(bytes.try_into().expect("split off N bytes"))
}

/// Big-endian bytes under construction.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The low 40 bits.
    fn put_forty(&mut self, value: u64) {
        self.put(&value.to_be_bytes()[3..]);
    }

    fn put_indices<'a>(&mut self, indices: impl Iterator<Item = &'a u32>, fields: usize) {
        let end = self.0.len() + 4 * fields;
        indices.for_each(|index| self.put(&index.to_be_bytes()));
        self.0.resize(end, 0);
    }

    fn array<const N: usize>(self) -> [u8; N] {
        self.0.try_into().expect("the fields add up to the length")
    }
}

/// Fields of a byte array of known layout.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .expect("the layout has this field");
        self.0 = tail;
        *head
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn forty(&mut self) -> u64 {
        let mut whole = [0; 8];
        whole[3..].copy_from_slice(&self.take::<5>());
        u64::from_be_bytes(whole)
    }

    fn float40(&mut self) -> Float40 {
        Float40::from_packed(self.forty()).expect("40 bits are a float40")
    }

    fn float16(&mut self) -> Float16 {
        Float16::from_packed(u64::from(self.u16())).expect("16 bits are a float16")
    }
}

/// Published bytes of unknown length.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self, section: &'static str) -> Result<[u8; N], WordsError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(WordsError::Truncated {
            section,
            needed: N,
            left: self.0.len(),
        })?;
        self.0 = tail;
        Ok(*head)
    }

    fn field(&mut self, section: &'static str, field: &'static str) -> Result<Fr, WordsError> {
        let bytes = self.take(section)?;
        from_be_bytes(&bytes).map_err(|_| WordsError::NotCanonical { field })
    }

    fn header(&mut self, shape: &Shape) -> Result<Header, WordsError> {
        let domain = self.field(HEADER, "domain")?;
        let old_root = self.field(HEADER, "old root")?;
        let new_root = self.field(HEADER, "new root")?;
        let numbers: [u8; 12] = self.take(HEADER)?;
        let mut from = Reader::new(&numbers);
        let (shape_id, batch_number, timestamp) = (from.u16(), from.forty(), from.forty());
        let fee_indices = (0..shape.fee_slots)
            .map(|_| self.take(HEADER).map(u32::from_be_bytes))
            .collect::<Result<_, _>>()?;
        Ok(Header {
            domain,
            old_root,
            new_root,
            shape_id,
            batch_number,
            timestamp,
            fee_indices,
        })
    }

    fn count(&mut self, section: &'static str, capacity: usize) -> Result<usize, WordsError> {
        let got = usize::from(u16::from_be_bytes(self.take(section)?));
        check_capacity(section, capacity, got).map(|()| got)
    }

    fn end(&self) -> Result<(), WordsError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(WordsError::TrailingBytes(self.0.len()))
        }
    }
}
