//! The registry: who owns an account on L1, and which token it holds.
//!
//! Invariant: an index is registered once and never changes; genesis has 1 to G, deposits get
//! G + 1, G + 2, … in the order of their calls (docs/protocol.md, sections 2 and 6). Whoever takes
//! fees looks its accounts up by owner, so what others deposit costs it nothing.

use redb::ReadableTable;
use storage::{CodecError, Reader, Writer};

use crate::bytes::Address;
use crate::error::StoreError;
use crate::store::Tx;

/// What L1 knows about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Who may exit and claim: the caller of the deposit.
    pub owner: Address,
    /// The token that the account holds.
    pub token: u32,
}

impl Registration {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { owner, token } = self;
        Writer::default().put(&owner.0).u32(token).finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new("a registry entry", bytes);
        let registration = Self {
            owner: reader.bytes()?,
            token: reader.u32()?,
        };
        reader.end()?;
        Ok(registration)
    }
}

/// The registration of `index`, if there is one.
pub(crate) fn registration(
    table: &impl ReadableTable<u32, &'static [u8]>,
    index: u32,
) -> Result<Option<Registration>, StoreError> {
    let record = table.get(index)?;
    let read = record.map(|record| Registration::from_bytes(record.value()));
    Ok(read.transpose()?)
}

impl Tx<'_> {
    /// Registers the next index, which the caller has checked to be in the tree.
    pub(crate) fn register(&mut self, registration: Registration) -> Result<u32, StoreError> {
        let index = u32::try_from(self.head.next_index).expect("checked to be below 4^16");
        self.registry
            .insert(index, registration.to_bytes().as_slice())?;
        self.head.next_index += 1;
        Ok(index)
    }

    /// Notes an account that a deposit opened, if it is the owner's first of the token.
    pub(crate) fn note_deposited(
        &mut self,
        owner: &Address,
        token: u32,
        index: u32,
    ) -> Result<(), StoreError> {
        let key = (&owner.0, token);
        if self.deposited.get(key)?.is_none() {
            self.deposited.insert(key, index)?;
        }
        Ok(())
    }
}
