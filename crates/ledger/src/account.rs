//! Accounts and their leaves.
//!
//! One account holds one token. Its leaf is `compress4(Ax, Ay, token·2^40 + nonce, balance)`, and
//! an empty leaf is 0 (docs/protocol.md, section 2). Invariant: `nonce < 2^40`, so the lane is an
//! injective pairing of token and nonce. That the key lies in the prime subgroup is checked where
//! keys enter (L1), not here.

use crate::babyjubjub::Point;
use crate::field::Fr;
use crate::poseidon::compress4;

/// Bits of a nonce.
pub const NONCE_BITS: u32 = 40;

/// The first number that is not a nonce, `2^40`.
pub const NONCE_LIMIT: u64 = 1 << NONCE_BITS;

/// What a leaf commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The key that signs for the account.
    pub key: Point,
    /// Token id, from L1's registry; 0 is ETH.
    pub token: u32,
    /// Operations signed and executed so far, below [`NONCE_LIMIT`].
    pub nonce: u64,
    /// Balance in the token's smallest unit.
    pub balance: u128,
}

/// The preimage of a leaf, as the four inputs of `compress4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// First coordinate of the key.
    pub ax: Fr,
    /// Second coordinate of the key.
    pub ay: Fr,
    /// Token and nonce in one number, `token·2^40 + nonce`.
    pub lane: Fr,
    /// The balance in the token's smallest unit.
    pub balance: Fr,
}

impl Leaf {
    /// The leaf's value in the tree.
    pub fn hash(&self) -> Fr {
        let Self {
            ax,
            ay,
            lane,
            balance,
        } = self;
        compress4(&[*ax, *ay, *lane, *balance])
    }
}

impl Account {
    /// A new account: nonce 0 and an opening balance.
    pub fn new(key: Point, token: u32, balance: u128) -> Self {
        Self {
            key,
            token,
            nonce: 0,
            balance,
        }
    }

    /// Token and nonce as the leaf hashes them, `token·2^40 + nonce`.
    pub fn lane(&self) -> Fr {
        Fr::from((u128::from(self.token) << NONCE_BITS) + u128::from(self.nonce))
    }

    /// The four values that the leaf hashes.
    pub fn preimage(&self) -> Leaf {
        let Self {
            key,
            token: _,
            nonce: _,
            balance,
        } = self;
        Leaf {
            ax: key.x,
            ay: key.y,
            lane: self.lane(),
            balance: Fr::from(*balance),
        }
    }

    /// The leaf's value in the tree.
    pub fn leaf(&self) -> Fr {
        self.preimage().hash()
    }
}

/// The leaf of an account that may be absent: 0 when it is.
pub fn leaf_or_empty(account: Option<&Account>) -> Fr {
    account.map_or(Fr::from(0u64), Account::leaf)
}
