//! Steps of a sealed batch: it is read, proven, finalized.
//!
//! The witness of a batch is written when the batch is sealed and deleted when it is finalized, so
//! a proof can be made at any time between, whatever was sealed on top and across restarts.

use std::collections::BTreeSet;

use ledger::witness::BatchWitness;
use storage::CodecError;

use crate::batch::{FinalizedBatch, ProvedBatch, SealedBatch, StoredBatch};
use crate::batcher::Batcher;
use crate::error::{StageError, StoreError};
use crate::proofs::Records;
use crate::rows::{BatchTimes, Head};
use crate::witness_codec;

impl Batcher {
    /// A batch at the stage that it has reached.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn batch(&self, number: u64) -> Result<StoredBatch, StageError> {
        let batch = self.sealed_record(number)?;
        let proof = self.store.proof(number)?;
        Ok(match proof {
            None => StoredBatch::Sealed(batch),
            Some(proof) if number <= self.head.finalized => {
                StoredBatch::Finalized(FinalizedBatch { batch, proof })
            }
            Some(proof) => StoredBatch::Proved(ProvedBatch { batch, proof }),
        })
    }

    /// Timestamp of the batch after `number`, if it is sealed.
    pub(crate) fn timestamp_after(&self, number: u64) -> Result<Option<u64>, StageError> {
        if number >= self.head.sealed {
            return Ok(None);
        }
        let batch = self.sealed_record(number + 1)?;
        Ok(Some(batch.words().header.timestamp))
    }

    fn records(&self) -> Records<'_> {
        Records {
            settings: &self.settings,
            store: &self.store,
            head: self.head,
        }
    }

    pub(crate) fn sealed_record(&self, number: u64) -> Result<SealedBatch, StageError> {
        self.records().sealed(number)
    }

    /// What the circuit is shown for a batch that is not finalized.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn witness(&self, number: u64) -> Result<BatchWitness, StageError> {
        let batch = self.sealed_record(number)?;
        let bytes = self.store.witness(number)?;
        let bytes = bytes.ok_or(StageError::NoWitness { number })?;
        let witness = witness_codec::decode(&bytes, batch.shape());
        let witness = witness.map_err(|error| self.store.record("witness", number, error))?;
        if witness.header != batch.words().header {
            let source = CodecError::Invalid {
                what: "a witness",
                field: "header",
                text: "not that of the batch".to_owned(),
            };
            return Err(self.store.record("witness", number, source).into());
        }
        Ok(witness)
    }

    /// Sealed batches without a proof, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unproved(&self) -> Result<Vec<u64>, StoreError> {
        let proved: BTreeSet<u64> = self
            .store
            .proofs_after(self.head.finalized)?
            .into_iter()
            .collect();
        let open = self.head.finalized + 1..=self.head.sealed;
        Ok(open.filter(|number| !proved.contains(number)).collect())
    }

    /// Notes the proof of a sealed batch, made by `now`, in seconds since 1970. That it verifies is the
    /// caller's to know. Batches are proved in any order; a proof of a batch that has one replaces it.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn record_proof(
        &mut self,
        batch: SealedBatch,
        proof: Vec<u8>,
        now: u64,
    ) -> Result<ProvedBatch, StageError> {
        self.check_running()?;
        let kept = self.records().record_proof(&batch, &proof, now);
        self.stopped |= matches!(kept, Err(StageError::Store(StoreError::Database { .. })));
        kept.map(|()| ProvedBatch { batch, proof })
    }

    /// Notes that L1 has accepted a proved batch at `time`, in seconds since 1970, deletes its
    /// witness, and drops operations that expired before its timestamp. In order, once each. What it
    /// takes to undo the batch is kept until [`crate::Settings::undo_window`] more are finalized.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn record_finalized(
        &mut self,
        proved: ProvedBatch,
        time: u64,
    ) -> Result<FinalizedBatch, StageError> {
        self.check_running()?;
        let ProvedBatch { batch, proof } = proved;
        self.records().check_same(&batch)?;
        let (number, expected) = (batch.number(), self.head.finalized + 1);
        if number != expected {
            return Err(StageError::OutOfOrder { number, expected });
        }
        let head = Head {
            finalized: number,
            ..self.head
        };
        let times = BatchTimes {
            finalized: Some(time),
            ..self.store.times(number)?
        };
        let oldest = self.timestamp_after(number)?;
        let expired = self.expired(batch.words().header.timestamp);
        let outcomes = self.drop_operations(expired);
        self.store
            .finalize(number, self.settings.undo_window, (times, &outcomes), &head)
            .inspect_err(|_| self.stopped = true)?;
        self.head = head;
        self.oldest = oldest;
        Ok(FinalizedBatch { batch, proof })
    }

    /// Bytes of all witnesses that are held.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn witness_bytes(&self) -> Result<u64, StoreError> {
        self.store.witness_bytes()
    }
}
