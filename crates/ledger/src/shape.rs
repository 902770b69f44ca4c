//! Shapes: the sizes that fix a circuit.
//!
//! A shape says how many slots of each kind a batch has, how deep the account tree is and how many
//! of its top levels are cached (docs/protocol.md, section 4). Invariant: a `Shape` that passed
//! [`Shape::validate`] (every one read by serde has) has a word layout without gaps and index
//! widths that fit 32 bits. Which circuit and which key belong to a shape is left to others.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The deepest account tree that 32-bit indices can address: 4^16 leaves.
pub const MAX_DEPTH: u8 = 16;

/// The most top levels that may be cached: 4^4 = 256 subtree roots.
pub const MAX_CACHED_LEVELS: u8 = 4;

/// Header words that every shape has: domain, old root, new root and the packed numbers.
pub const HEADER_WORDS: usize = 4;

/// Fee indices that share the fourth header word with the packed numbers.
pub const FEE_INDICES_IN_HEADER: usize = 4;

/// Fee indices in each further header word.
pub const FEE_INDICES_PER_EXTRA_WORD: usize = 7;

/// Words of one L1 slot: packed, `Ax`, `Ay`, amount paid out.
pub const WORDS_PER_L1_SLOT: usize = 4;

/// The sizes of a batch, fixed for a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Shape {
    /// Number under which L1 knows the shape; it is the first value of the word chain.
    pub id: u16,
    /// Levels of the account tree, 1 to 16; the tree has `4^depth` leaves.
    pub depth: u8,
    /// Slots for operations of the L1 queue.
    pub l1_ops: u16,
    /// Slots for transfers, an even number.
    pub transfers: u16,
    /// Slots for withdrawals, an even number.
    pub withdrawals: u16,
    /// Slots for fee accounts, at least 1.
    pub fee_slots: u8,
    /// Top levels whose nodes are hashed once a batch: less than `depth` and at most 4.
    pub cached_levels: u8,
}

/// A shape as typed, before its checks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    id: u16,
    depth: u8,
    l1_ops: u16,
    transfers: u16,
    withdrawals: u16,
    fee_slots: u8,
    cached_levels: u8,
}

impl TryFrom<Unchecked> for Shape {
    type Error = ShapeError;

    fn try_from(raw: Unchecked) -> Result<Self, ShapeError> {
        let Unchecked {
            id,
            depth,
            l1_ops,
            transfers,
            withdrawals,
            fee_slots,
            cached_levels,
        } = raw;
        let shape = Self {
            id,
            depth,
            l1_ops,
            transfers,
            withdrawals,
            fee_slots,
            cached_levels,
        };
        shape.validate().map(|()| shape)
    }
}

/// Why sizes do not make a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// The depth is 0 or more than 32-bit indices can address.
    #[error("depth must be 1 to {MAX_DEPTH}, got {0}")]
    Depth(u8),
    /// Every level would be cached, or too many.
    #[error(
        "cached levels must be below the depth {depth} and at most {MAX_CACHED_LEVELS}, got {cached_levels}"
    )]
    CachedLevels {
        /// The depth of the tree.
        depth: u8,
        /// The levels asked for.
        cached_levels: u8,
    },
    /// Two transfers share a word, so their number is even.
    #[error("the number of transfers must be even, got {0}")]
    OddTransfers(u16),
    /// Two withdrawals share a word, so their number is even.
    #[error("the number of withdrawals must be even, got {0}")]
    OddWithdrawals(u16),
    /// A batch needs somewhere to credit fees.
    #[error("a shape has at least 1 fee slot, got 0")]
    NoFeeSlot,
}

impl Shape {
    /// Checks the sizes against the rules of section 4.
    ///
    /// # Errors
    /// The first [`ShapeError`] that applies.
    pub fn validate(&self) -> Result<(), ShapeError> {
        if self.depth == 0 || self.depth > MAX_DEPTH {
            return Err(ShapeError::Depth(self.depth));
        }
        if self.cached_levels >= self.depth || self.cached_levels > MAX_CACHED_LEVELS {
            return Err(ShapeError::CachedLevels {
                depth: self.depth,
                cached_levels: self.cached_levels,
            });
        }
        if !self.transfers.is_multiple_of(2) {
            return Err(ShapeError::OddTransfers(self.transfers));
        }
        if !self.withdrawals.is_multiple_of(2) {
            return Err(ShapeError::OddWithdrawals(self.withdrawals));
        }
        if self.fee_slots == 0 {
            return Err(ShapeError::NoFeeSlot);
        }
        Ok(())
    }

    /// Number of leaves, `4^depth`.
    pub fn leaves(&self) -> u64 {
        leaves(self.depth)
    }

    /// Number of cached subtree roots, `4^cached_levels`.
    pub fn subtrees(&self) -> usize {
        1 << (2 * usize::from(self.cached_levels))
    }

    /// Levels below the cached ones: the siblings that an update carries.
    pub fn path_levels(&self) -> usize {
        usize::from(self.depth - self.cached_levels)
    }

    /// Leaf updates of a batch: one an L1 slot, two a transfer, one a withdrawal, one a fee slot.
    pub fn updates(&self) -> usize {
        usize::from(self.l1_ops)
            + 2 * usize::from(self.transfers)
            + usize::from(self.withdrawals)
            + usize::from(self.fee_slots)
    }

    /// Header words beyond the first four: `⌈(fee_slots − 4) / 7⌉`, 0 up to four fee slots.
    pub fn extra_header_words(&self) -> usize {
        usize::from(self.fee_slots)
            .saturating_sub(FEE_INDICES_IN_HEADER)
            .div_ceil(FEE_INDICES_PER_EXTRA_WORD)
    }

    /// Words before the first L1 slot.
    pub fn header_words(&self) -> usize {
        HEADER_WORDS + self.extra_header_words()
    }

    /// Words of all L1 slots.
    pub fn l1_words(&self) -> usize {
        WORDS_PER_L1_SLOT * usize::from(self.l1_ops)
    }

    /// Words of all transfers.
    pub fn transfer_words(&self) -> usize {
        usize::from(self.transfers) / 2
    }

    /// Words of all withdrawals.
    pub fn withdrawal_words(&self) -> usize {
        usize::from(self.withdrawals) / 2
    }

    /// `n`, the number of public words of the shape.
    pub fn word_count(&self) -> usize {
        self.header_words() + self.l1_words() + self.transfer_words() + self.withdrawal_words()
    }
}

/// Number of leaves of a tree of `depth` levels, `4^depth`.
pub fn leaves(depth: u8) -> u64 {
    1 << (2 * u32::from(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Shape = Shape {
        id: 7,
        depth: 12,
        l1_ops: 6,
        transfers: 6,
        withdrawals: 2,
        fee_slots: 4,
        cached_levels: 3,
    };

    #[test]
    fn words_are_counted_by_section() {
        assert_eq!(GOOD.word_count(), 4 + 24 + 3 + 1);
        let slots = |fee_slots| Shape { fee_slots, ..GOOD }.extra_header_words();
        assert_eq!([1, 4, 5, 11, 12, 255].map(slots), [0, 0, 1, 1, 2, 36]);
        assert_eq!(GOOD.updates(), 6 + 12 + 2 + 4);
        assert_eq!(GOOD.subtrees(), 64);
    }

    #[test]
    fn bad_sizes_are_refused() {
        let error = |shape: Shape| shape.validate().expect_err("the shape is bad");
        assert_eq!(GOOD.validate(), Ok(()));
        assert_eq!(error(Shape { depth: 0, ..GOOD }), ShapeError::Depth(0));
        assert_eq!(error(Shape { depth: 17, ..GOOD }), ShapeError::Depth(17));
        for (depth, cached_levels) in [(3, 3), (12, 5), (1, 1)] {
            let shape = Shape {
                depth,
                cached_levels,
                ..GOOD
            };
            assert_eq!(
                error(shape),
                ShapeError::CachedLevels {
                    depth,
                    cached_levels
                }
            );
        }
        let odd = Shape {
            transfers: 3,
            ..GOOD
        };
        assert_eq!(error(odd), ShapeError::OddTransfers(3));
        let odd = Shape {
            withdrawals: 1,
            ..GOOD
        };
        assert_eq!(error(odd), ShapeError::OddWithdrawals(1));
        let none = Shape {
            fee_slots: 0,
            ..GOOD
        };
        assert_eq!(error(none), ShapeError::NoFeeSlot);
    }

    #[test]
    fn serde_checks_sizes() {
        let text = serde_json::to_string(&GOOD).unwrap();
        assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), GOOD);
        let odd = text.replace("\"transfers\":6", "\"transfers\":7");
        assert_ne!(odd, text);
        let error = serde_json::from_str::<Shape>(&odd).unwrap_err();
        assert!(error.to_string().contains("even, got 7"), "{error}");
    }
}
