//! Words of events and of what views return, read in order.
//!
//! Invariant: every word is bounded before it becomes a number of fewer bits.

use l1::Address;
use l1::bytes::Bytes;
use l1::evm::abi::Word;
use ledger::field::{Fr, from_be_bytes};

/// Words of an event or answer, taken in order.
pub(crate) struct Words(pub(crate) std::vec::IntoIter<Word>);

impl Words {
    pub(crate) fn word(&mut self) -> Option<Word> {
        self.0.next()
    }

    pub(crate) fn uint(&mut self) -> Option<u128> {
        let word = self.word()?;
        let (high, low) = word.split_first_chunk::<16>()?;
        let low: [u8; 16] = low.try_into().ok()?;
        (*high == [0; 16]).then(|| u128::from_be_bytes(low))
    }

    pub(crate) fn small<T: TryFrom<u128>>(&mut self) -> Option<T> {
        T::try_from(self.uint()?).ok()
    }

    pub(crate) fn address(&mut self) -> Option<Address> {
        let word = self.word()?;
        let (high, low) = word.split_first_chunk::<12>()?;
        let low: [u8; 20] = low.try_into().ok()?;
        (*high == [0; 12]).then_some(Bytes(low))
    }

    pub(crate) fn field(&mut self) -> Option<Fr> {
        from_be_bytes(&self.word()?).ok()
    }
}
