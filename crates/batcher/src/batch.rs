//! A batch's life as types: `OpenBatch → SealedBatch → ProvedBatch → FinalizedBatch`.
//!
//! Invariant: each is made only by consuming the one before (`OpenBatch::seal`,
//! `Batcher::record_proof`, `Batcher::record_finalized`) or by a checked read from the database,
//! and a sealed batch's bytes are those of its words, under its number and this deployment's
//! domain. The proof is bytes here; that it verifies is known to the prover and to L1.

use std::ops::Range;

use ledger::field::Fr;
use ledger::shape::Shape;
use ledger::transition::{AppliedBatch, Payout};
use ledger::words::{PublicWords, WordsError};
use storage::{CodecError, Reader, Writer};

/// A batch that was executed and is fixed: its data can be published, a proof can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    shape: Shape,
    words: PublicWords,
    bytes: Vec<u8>,
    queue: Range<u64>,
    payouts: Vec<Payout>,
}

/// A sealed batch with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedBatch {
    pub(crate) batch: SealedBatch,
    pub(crate) proof: Vec<u8>,
}

/// A batch that L1 has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizedBatch {
    pub(crate) batch: SealedBatch,
    pub(crate) proof: Vec<u8>,
}

/// A batch as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredBatch {
    /// No proof yet.
    Sealed(SealedBatch),
    /// Not on L1 yet.
    Proved(ProvedBatch),
    /// Done.
    Finalized(FinalizedBatch),
}

impl SealedBatch {
    pub(crate) fn new(shape: Shape, applied: &AppliedBatch, queue: Range<u64>) -> Self {
        let batch = Self::from_words(shape, applied.words.clone(), queue, applied.payouts.clone());
        batch.expect("an applied batch has the words of its shape")
    }

    /// A batch that was replayed.
    pub(crate) fn from_words(
        shape: Shape,
        words: PublicWords,
        queue: Range<u64>,
        payouts: Vec<Payout>,
    ) -> Result<Self, WordsError> {
        Ok(Self {
            shape,
            bytes: words.to_bytes(&shape)?,
            words,
            queue,
            payouts,
        })
    }

    /// Number of the batch; the first is 1.
    pub fn number(&self) -> u64 {
        self.words.header.batch_number
    }

    /// The shape whose circuit proves it.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What is published.
    pub fn words(&self) -> &PublicWords {
        &self.words
    }

    /// The published bytes: [`PublicWords::to_bytes`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Numbers of the L1 queue's entries that the batch consumes.
    pub fn queue(&self) -> Range<u64> {
        self.queue.clone()
    }

    /// What becomes claimable on L1.
    pub fn payouts(&self) -> &[Payout] {
        &self.payouts
    }

    /// Root after the batch.
    pub fn new_root(&self) -> Fr {
        self.words.header.new_root
    }

    /// L1 operations, transfers and withdrawals.
    pub fn counts(&self) -> [usize; 3] {
        let PublicWords {
            header: _,
            l1_ops,
            transfers,
            withdrawals,
        } = &self.words;
        [l1_ops.len(), transfers.len(), withdrawals.len()]
    }

    /// `shape id 2 ‖ queue from 8 ‖ queue to 8 ‖ payouts ‖ published bytes ‖ checksum`.
    pub(crate) fn to_record(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u16(self.shape.id);
        out.u64(self.queue.start);
        out.u64(self.queue.end);
        out.count(self.payouts.len());
        for Payout {
            index,
            token,
            amount,
        } in &self.payouts
        {
            out.u32(*index);
            out.u32(*token);
            out.u128(*amount);
        }
        out.put(&self.bytes);
        out.finish_with_checksum()
    }

    /// Reads [`Self::to_record`] and checks that it is batch `number` of the deployment.
    pub(crate) fn from_record(
        record: &[u8],
        number: u64,
        domain: &Fr,
        shapes: &[Shape],
    ) -> Result<Self, CodecError> {
        let mut input = Reader::with_checksum("a sealed batch", record)?;
        let id = input.u16()?;
        let shape = shapes.iter().find(|shape| shape.id == id).copied();
        let shape = shape.ok_or_else(|| input.invalid("shape", format!("{id} is not listed")))?;
        let queue = input.u64()?..input.u64()?;
        let payouts = (0..input.count("payouts")?)
            .map(|_| {
                Ok(Payout {
                    index: input.u32()?,
                    token: input.u32()?,
                    amount: input.u128()?,
                })
            })
            .collect::<Result<Vec<_>, CodecError>>()?;
        let bytes = input.slice(input.left())?.to_vec();
        let words = PublicWords::from_bytes(&bytes, &shape)
            .map_err(|error| input.invalid("published data", error))?;
        if words.header.batch_number != number {
            return Err(input.invalid("batch number", words.header.batch_number));
        }
        if words.header.domain != *domain {
            return Err(input.invalid("domain", words.header.domain));
        }
        Ok(Self {
            shape,
            words,
            bytes,
            queue,
            payouts,
        })
    }
}

impl ProvedBatch {
    /// The sealed batch.
    pub fn batch(&self) -> &SealedBatch {
        &self.batch
    }

    /// The proof as recorded.
    pub fn proof(&self) -> &[u8] {
        &self.proof
    }
}

impl FinalizedBatch {
    /// The sealed batch.
    pub fn batch(&self) -> &SealedBatch {
        &self.batch
    }

    /// The proof as recorded.
    pub fn proof(&self) -> &[u8] {
        &self.proof
    }
}

impl StoredBatch {
    /// The batch, whatever its stage.
    pub fn batch(&self) -> &SealedBatch {
        match self {
            Self::Sealed(batch) => batch,
            Self::Proved(proved) => &proved.batch,
            Self::Finalized(finalized) => &finalized.batch,
        }
    }
}
