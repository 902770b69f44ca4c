//! Batches and their proofs without the accounts: what can be done with a database while nobody has it
//! open as a whole.
//!
//! Proving takes minutes, and other processes take operations meanwhile. Invariant: a proof is kept for
//! the batch that it was made for, or refused.

use std::path::Path;

use crate::batch::SealedBatch;
use crate::error::{OpenError, StageError};
use crate::rows::{BatchTimes, Head};
use crate::settings::Settings;
use crate::store::Store;

/// A database that is open for one proof.
pub struct Proofs<'a> {
    settings: &'a Settings,
    store: Store,
    head: Head,
}

/// Sealed batches as they are on disk.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) store: &'a Store,
    pub(crate) head: Head,
}

impl<'a> Proofs<'a> {
    /// Opens the database in a folder. Neither pages nor accounts are looked at: whoever sealed the
    /// batch had the database open.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, settings: &'a Settings) -> Result<Self, OpenError> {
        let store = Store::open_again(folder, &settings.identity(settings.depth()?))?;
        let head = store.head()?;
        Ok(Self {
            settings,
            store,
            head,
        })
    }

    fn records(&self) -> Records<'_> {
        Records {
            settings: self.settings,
            store: &self.store,
            head: self.head,
        }
    }

    /// The sealed batch with this number, which is not final.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn batch(&self, number: u64) -> Result<SealedBatch, StageError> {
        let expected = self.head.finalized + 1;
        match number < expected {
            true => Err(StageError::OutOfOrder { number, expected }),
            false => self.records().sealed(number),
        }
    }

    /// As [`Batcher::record_proof`](crate::Batcher::record_proof).
    ///
    /// # Errors
    /// [`StageError`].
    pub fn record(&self, batch: &SealedBatch, proof: &[u8], now: u64) -> Result<(), StageError> {
        self.records().record_proof(batch, proof, now)
    }
}

impl Records<'_> {
    pub(crate) fn sealed(&self, number: u64) -> Result<SealedBatch, StageError> {
        let sealed = self.head.sealed;
        let missing = StageError::NoBatch { number, sealed };
        if number == 0 || number > sealed {
            return Err(missing);
        }
        let record = self.store.batch(number)?.ok_or(missing)?;
        let Settings { domain, shapes, .. } = self.settings;
        SealedBatch::from_record(&record, number, domain, shapes)
            .map_err(|error| self.store.record("batch", number, error).into())
    }

    /// A batch from elsewhere is not taken for ours.
    pub(crate) fn check_same(&self, batch: &SealedBatch) -> Result<(), StageError> {
        let number = batch.number();
        if &self.sealed(number)? == batch {
            Ok(())
        } else {
            Err(StageError::OtherBatch { number })
        }
    }

    pub(crate) fn record_proof(
        &self,
        batch: &SealedBatch,
        proof: &[u8],
        now: u64,
    ) -> Result<(), StageError> {
        self.check_same(batch)?;
        let number = batch.number();
        let expected = self.head.finalized + 1;
        if number < expected {
            return Err(StageError::OutOfOrder { number, expected });
        }
        let times = BatchTimes {
            proven: Some(now),
            ..self.store.times(number)?
        };
        Ok(self.store.add_proof(number, proof, times)?)
    }
}
