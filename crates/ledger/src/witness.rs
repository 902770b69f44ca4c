//! What the batch circuit is shown.
//!
//! Every vector is exactly as long as the shape's capacity: unused slots are filled with padding,
//! so that a witness never changes which constraints exist (docs/protocol.md, sections 4 and 5).
//! Invariant: a padding slot updates index 0 from the empty leaf to the empty leaf, and padding
//! transfers and withdrawals carry a true signature of a public key. What the circuit checks is
//! left to it.

use std::sync::LazyLock;

use crate::account::Account;
pub use crate::account::Leaf;
use crate::babyjubjub::Point;
use crate::eddsa::{PrivateKey, Signature};
use crate::field::Fr;
use crate::float::{Float16, Float40};
use crate::operation::{L1Op, NO_EXPIRY, Signable, Signed, Transfer, Withdraw};
use crate::shape::Shape;
use crate::tree::Update;
use crate::words::Header;

/// Everything that the circuit of `shape` needs to know about one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchWitness {
    /// The shape, which fixes the length of every list below.
    pub shape: Shape,
    /// The header that the batch publishes.
    pub header: Header,
    /// Roots of the cached subtrees before the batch, `4^cached_levels`.
    pub old_subtrees: Vec<Fr>,
    /// As many L1 slots as the shape has.
    pub l1_ops: Vec<L1SlotWitness>,
    /// As many transfer slots as the shape has.
    pub transfers: Vec<TransferSlotWitness>,
    /// As many withdrawal slots as the shape has.
    pub withdrawals: Vec<WithdrawalSlotWitness>,
    /// As many fee slots as the shape has.
    pub fees: Vec<FeeSlotWitness>,
}

/// What the circuit is shown of an L1 slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L1SlotWitness {
    /// The operation; `None` if the slot is unused.
    pub op: Option<L1Op>,
    /// The whole balance for a ForcedExit, else 0.
    pub paid_out: u128,
    /// Preimage of the leaf before; `None` if it was empty.
    pub old: Option<Leaf>,
    /// The update of the account's leaf: its path, and the roots before and after.
    pub update: Update,
}

/// What the circuit is shown of a transfer slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSlotWitness {
    /// The transfer; [`padding_transfer`] if the slot is unused.
    pub transfer: Transfer,
    /// The signature by the key of the account that pays.
    pub signature: Signature,
    /// The sender's account before the operation.
    pub sender: Account,
    /// The sender's path and roots.
    pub sender_update: Update,
    /// The receiver before: after the sender's update, if it is the same account.
    pub receiver: Account,
    /// The receiver's path and roots.
    pub receiver_update: Update,
    /// The fee slot that is credited; `None` if the fee is 0.
    pub fee_slot: Option<usize>,
}

/// What the circuit is shown of a withdrawal slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalSlotWitness {
    /// The withdrawal; [`padding_withdrawal`] if the slot is unused.
    pub withdraw: Withdraw,
    /// The signature by the key of the account that pays.
    pub signature: Signature,
    /// The account before the operation.
    pub account: Account,
    /// The account's path and roots.
    pub update: Update,
    /// The fee slot that is credited; `None` if the fee is 0.
    pub fee_slot: Option<usize>,
}

/// What the circuit is shown of a fee slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeSlotWitness {
    /// The fee account before it is credited; `None` if the slot is unused.
    pub account: Option<Account>,
    /// The batch's fees in the account's token.
    pub credited: u128,
    /// The account's path and roots.
    pub update: Update,
}

/// The key that signs padding. Everybody can make it: no account's key is derived so.
static PADDING_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::derive("quire/1 padding key", &[]));

/// The public half of the padding key.
static PADDING_POINT: LazyLock<Point> = LazyLock::new(|| PADDING_KEY.public_key());

/// The account that padding slots show: the padding key, token, nonce and balance 0.
pub fn padding_account() -> Account {
    Account::new(*PADDING_POINT, 0, 0)
}

/// The transfer of an unused slot: from 0 to 0, nothing, no expiry.
pub fn padding_transfer() -> Transfer {
    Transfer {
        from: 0,
        to: 0,
        amount: Float40::default(),
        fee: Float16::default(),
        nonce: 0,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

/// The withdrawal of an unused slot: from 0, nothing, no expiry.
pub fn padding_withdrawal() -> Withdraw {
    Withdraw {
        from: 0,
        amount: Float40::default(),
        fee: Float16::default(),
        nonce: 0,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

/// Signs a padding operation for a domain.
pub fn sign_padding<T: Signable>(op: T, domain: &Fr) -> Signed<T> {
    op.sign(&PADDING_KEY, domain)
}
