//! What it takes to undo a sealed batch, and what is left of it then.
//!
//! Invariant: an [`Undo`] has the accounts before the batch, those that it created as `None`, and
//! its operations in the order in which they were executed; a [`Returned`] batch executes them in
//! that order again, behind the same entries of the L1 queue and in the same shape, so that every
//! operation finds the balances that it found the first time.

use ledger::account::Account;
use storage::{CodecError, Reader, Writer};

use crate::rows::{StoredOperation, account_to_bytes, read_account, read_operation};

/// What it takes to undo a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undo {
    /// Timestamp of the batch before, 0 if there is none.
    pub(crate) timestamp: u64,
    /// Accounts before the batch; `None` is one that it created.
    pub(crate) accounts: Vec<(u32, Option<Account>)>,
    /// Its signed operations in the order of execution.
    pub(crate) operations: Vec<StoredOperation>,
}

/// A batch that was undone and is to be sealed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// Number of its shape.
    pub(crate) shape: u16,
    /// The entry of the L1 queue after the last that it consumed.
    pub(crate) queue_end: u64,
    /// Places in the mempool of its operations in the order of execution.
    pub(crate) places: Vec<u64>,
}

impl Undo {
    /// `timestamp 8 ‖ accounts ‖ operations ‖ checksum`.
    pub(crate) fn to_record(&self) -> Vec<u8> {
        let Self {
            timestamp,
            accounts,
            operations,
        } = self;
        let mut out = Writer::default();
        out.u64(*timestamp);
        out.count(accounts.len());
        for (index, account) in accounts {
            out.u32(*index);
            out.u8(u8::from(account.is_some()));
            if let Some(account) = account {
                out.put(&account_to_bytes(account));
            }
        }
        out.count(operations.len());
        for operation in operations {
            out.u64(operation.place);
            operation.write(&mut out);
        }
        out.finish_with_checksum()
    }

    /// Reads [`Self::to_record`].
    pub(crate) fn from_record(record: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::with_checksum("an undo record", record)?;
        let timestamp = input.u64()?;
        let mut accounts = Vec::new();
        for _ in 0..input.count("accounts")? {
            let (index, tag) = (input.u32()?, input.u8()?);
            let account = match tag {
                0 => None,
                1 => Some(read_account(&mut input)?),
                tag => return Err(input.invalid("account", tag)),
            };
            accounts.push((index, account));
        }
        let mut operations = Vec::new();
        for _ in 0..input.count("operations")? {
            let place = input.u64()?;
            operations.push(read_operation(place, &mut input)?);
        }
        input.end()?;
        Ok(Self {
            timestamp,
            accounts,
            operations,
        })
    }
}

impl Returned {
    /// `shape 2 ‖ queue end 8 ‖ places ‖ checksum`.
    pub(crate) fn to_record(&self) -> Vec<u8> {
        let Self {
            shape,
            queue_end,
            places,
        } = self;
        let mut out = Writer::default();
        out.u16(*shape);
        out.u64(*queue_end);
        out.count(places.len());
        for place in places {
            out.u64(*place);
        }
        out.finish_with_checksum()
    }

    /// Reads [`Self::to_record`].
    pub(crate) fn from_record(record: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::with_checksum("a returned batch", record)?;
        let (shape, queue_end) = (input.u16()?, input.u64()?);
        let mut places = Vec::new();
        for _ in 0..input.count("places")? {
            places.push(input.u64()?);
        }
        input.end()?;
        Ok(Self {
            shape,
            queue_end,
            places,
        })
    }
}
