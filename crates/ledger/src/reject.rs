//! Why an operation does not execute.
//!
//! [`Reject`] says that the user's operation is bad and is to be dropped; each variant bears the
//! name of the rule that does not hold, a sentence that is true when it does. [`DoesNotFit`] says
//! that the operation is fine but not in this batch: keep it. [`L1Violation`] says that the L1
//! queue holds something that L1's own rules exclude: no batch can go on, raise an alarm. The
//! three are never mixed.

use thiserror::Error;

use crate::eddsa::SignatureError;
use crate::time::Utc;

/// The rule that a user's operation breaks (docs/protocol.md, section 3).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reject {
    /// `field_in_range`: nonces and expiry times have 40 bits.
    #[error("{field} is {value}, not below 2^40")]
    FieldInRange {
        /// Name of the field.
        field: &'static str,
        /// The value that has more than 40 bits.
        value: u64,
    },
    /// `index_in_range`: every index is one of the tree's leaves.
    #[error("index {index} is not below {leaves}, the number of accounts")]
    IndexInRange {
        /// Index of the account's leaf.
        index: u32,
        /// Number of leaves, `4^depth`; indices are below it.
        leaves: u64,
    },
    /// `sender_exists`: the sender's leaf is not empty.
    #[error("sender {index} does not exist")]
    SenderExists {
        /// Index of the account that pays.
        index: u32,
    },
    /// `receiver_exists`: the receiver's leaf is not empty.
    #[error("receiver {index} does not exist")]
    ReceiverExists {
        /// Index of the account that receives.
        index: u32,
    },
    /// `same_token`: the signed token is the one that the account holds.
    #[error("account {index} holds token {held}, the operation moves token {signed}")]
    SameToken {
        /// The sender's or the receiver's index.
        index: u32,
        /// Token that the account holds.
        held: u32,
        /// Token that the operation moves.
        signed: u32,
    },
    /// `signature_is_valid`: the sender's key signed this operation for this domain.
    #[error("the signature of sender {index} is not valid: {reason}")]
    SignatureIsValid {
        /// Index of the account that pays.
        index: u32,
        /// What is wrong with it.
        reason: SignatureFault,
    },
    /// `nonce_is_next`: the nonce is the account's.
    #[error("nonce of account {index}: expected {expected}, got {got}")]
    NonceIsNext {
        /// Index of the account that pays.
        index: u32,
        /// The account's nonce, which the next operation must have.
        expected: u64,
        /// The nonce that was signed.
        got: u64,
    },
    /// `nonce_has_successor`: the nonce after the operation is below 2^40.
    #[error("account {index} has used its last nonce, {nonce}")]
    NonceHasSuccessor {
        /// Index of the account that pays.
        index: u32,
        /// The account's nonce, the last below 2^40.
        nonce: u64,
    },
    /// `not_expired`: the batch's timestamp is not after `valid_until`.
    #[error("valid until {}, the batch's time is {}", Utc(*.valid_until), Utc(*.timestamp))]
    NotExpired {
        /// Seconds since 1970, the last at which the operation executes.
        valid_until: u64,
        /// The batch's timestamp, in seconds since 1970.
        timestamp: u64,
    },
    /// `sender_can_pay`: amount and fee do not exceed the balance.
    #[error("sender {index} has {balance} units, needs {} units and a fee of {fee} units", describe(.amount))]
    SenderCanPay {
        /// Index of the account that pays.
        index: u32,
        /// What the account has, in the token's smallest unit.
        balance: u128,
        /// The amount; `None` when it is 2^128 or more.
        amount: Option<u128>,
        /// The fee, in the token's smallest unit.
        fee: u128,
    },
    /// `receiver_balance_in_range`: the receiver's balance stays below 2^128.
    #[error("receiver {index} has {balance} units, {amount} more would reach 2^128")]
    ReceiverBalanceInRange {
        /// Index of the account that receives.
        index: u32,
        /// What the receiver has before, in the token's smallest unit.
        balance: u128,
        /// The amount to be received, in the token's smallest unit.
        amount: u128,
    },
    /// `fee_account_balance_in_range`: the fee account can take the batch's fees.
    #[error("fee account {index} has {balance} units, fees of {fees} more would reach 2^128")]
    FeeAccountBalanceInRange {
        /// The fee account's index.
        index: u32,
        /// Its balance before fees.
        balance: u128,
        /// Fees of the batch so far, this operation's included.
        fees: u128,
    },
}

fn describe(amount: &Option<u128>) -> String {
    amount.map_or_else(|| "2^128 or more".to_owned(), |amount| amount.to_string())
}

/// What is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// It does not verify, or is not in canonical form.
    #[error(transparent)]
    Invalid(#[from] SignatureError),
    /// It was verified under a key that is not the account's.
    #[error("it was made with another account's key")]
    OtherKey,
    /// It was verified for another deployment.
    #[error("it was made for another domain")]
    OtherDomain,
}

/// Why a good operation has no place in this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DoesNotFit {
    /// All L1 slots are taken.
    #[error("all {capacity} L1 slots are taken")]
    L1OpsFull {
        /// L1 slots of the shape.
        capacity: u16,
    },
    /// All transfer slots are taken.
    #[error("all {capacity} transfer slots are taken")]
    TransfersFull {
        /// Transfer slots of the shape.
        capacity: u16,
    },
    /// All withdrawal slots are taken.
    #[error("all {capacity} withdrawal slots are taken")]
    WithdrawalsFull {
        /// Withdrawal slots of the shape.
        capacity: u16,
    },
    /// The batch already has operations that execute after one of this kind.
    #[error("{what} cannot follow {after}")]
    OutOfOrder {
        /// Kind of the operation.
        what: &'static str,
        /// Kind that the batch already has.
        after: &'static str,
    },
    /// All fee slots serve other tokens.
    #[error("no fee slot of {fee_slots} serves token {token}")]
    NoFeeSlot {
        /// Token of the fee.
        token: u32,
        /// Fee slots of the shape.
        fee_slots: u8,
    },
    /// There is no account to credit fees of this token to.
    #[error("no fee account holds token {token}")]
    NoFeeAccount {
        /// Token of the fee.
        token: u32,
    },
}

/// Something in the L1 queue that L1 never accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum L1Violation {
    /// The index is 0 or not one of the tree's leaves.
    #[error("L1 operation on index {index}, which is not from 1 to below {leaves}")]
    IndexOutOfRange {
        /// Index of the account's leaf.
        index: u32,
        /// Number of leaves, `4^depth`; indices are below it.
        leaves: u64,
    },
    /// `leaf_was_empty` does not hold: a Create on an account that exists.
    #[error("L1 creates account {index}, which exists")]
    LeafOccupied {
        /// Index of the account's leaf.
        index: u32,
    },
    /// A TopUp or ForcedExit of an account that does not exist.
    #[error("L1 operates on account {index}, which does not exist")]
    LeafEmpty {
        /// Index of the account's leaf.
        index: u32,
    },
    /// L1's registry and the leaf disagree about the token.
    #[error("account {index} holds token {held}, L1 has it registered with token {registered}")]
    TokenDiffers {
        /// Index of the account's leaf.
        index: u32,
        /// Token in the leaf.
        held: u32,
        /// Token in L1's registry.
        registered: u32,
    },
    /// More than L1's bound on the escrow of a token.
    #[error("account {index} has {balance} units, a top-up of {amount} would reach 2^128")]
    BalanceOverflow {
        /// Index of the account's leaf.
        index: u32,
        /// What the account has before, in the token's smallest unit.
        balance: u128,
        /// Amount of the top-up.
        amount: u128,
    },
}
