//! Finalized batches, as L1 keeps them.
//!
//! A record has what was submitted and when; what it says is read from it anew. Invariant: a batch that is read
//! from a record is of a shape of the deployment, with every value bounded.

use std::ops::Range;

use ledger::words::PublicWords;
use storage::{Reader, Writer};

use crate::bytes::Address;
use crate::error::StoreError;
use crate::genesis::Deployment;
use crate::submission::Submission;

/// A batch that L1 accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizedBatch {
    /// Its number; the first is 1.
    pub number: u64,
    /// The block that has it.
    pub height: u64,
    /// L1's time of that block, seconds since 1970.
    pub time: u64,
    /// Who called: the operator, or whoever submitted in its absence.
    pub submitter: Address,
    /// The queue entries that it consumed.
    pub queue: Range<u64>,
    /// What was submitted: shape, published data, `c`, proof.
    pub submission: Submission,
    /// What the data say: roots, timestamp, operations.
    pub words: PublicWords,
}

impl FinalizedBatch {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self {
            number: _,
            height,
            time,
            submitter,
            queue,
            submission,
            words: _,
        } = self;
        let mut record = Writer::default();
        let out = record.u64(*height).u64(*time);
        let out = out.u64(queue.start).u64(queue.end).put(&submitter.0);
        out.put(&submission.to_bytes()).finish()
    }

    pub(crate) fn from_bytes(
        number: u64,
        bytes: &[u8],
        on: &Deployment,
    ) -> Result<Self, StoreError> {
        let mut reader = Reader::new("a finalized batch", bytes);
        let (height, time) = (reader.u64()?, reader.u64()?);
        let queue = reader.u64()?..reader.u64()?;
        let submitter = reader.bytes()?;
        let submission = Submission::read(&mut reader)?;
        reader.end()?;
        let shape_id = submission.shape_id;
        let listed = on.shape(shape_id).ok_or_else(|| StoreError::Missing {
            what: format!("shape {shape_id} of batch {number}"),
        })?;
        let opened = submission.open(&listed.shape);
        let words = opened
            .map_err(|source| StoreError::Batch { number, source })?
            .words;
        Ok(Self {
            number,
            height,
            time,
            submitter,
            queue,
            submission,
            words,
        })
    }
}
