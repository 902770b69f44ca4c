//! Whose database it is, and the byte that says so.

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator's: it acknowledges operations and seals batches.
    Operator,
    /// That of somebody who submits batches while L1 lets anybody: it acknowledges and seals as the
    /// operator's does.
    Taker,
    /// That of somebody who follows L1. What it acknowledged would reach nobody.
    Mirror,
}

const OPERATORS: u8 = 1;
const MIRROR: u8 = 2;
const TAKERS: u8 = 3;

impl Role {
    /// The byte that is stored.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Operator => OPERATORS,
            Self::Mirror => MIRROR,
            Self::Taker => TAKERS,
        }
    }

    /// Reads [`Self::to_byte`].
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            OPERATORS => Some(Self::Operator),
            MIRROR => Some(Self::Mirror),
            TAKERS => Some(Self::Taker),
            _ => None,
        }
    }
}
