//! Signed operations of either kind, and their identity.
//!
//! Invariant: an id is that of the operation, not of its signature, so one operation signed twice
//! is one operation. Whether a signature is good is decided by `ledger`.

use std::fmt;
use std::str::FromStr;

use ledger::babyjubjub::Point;
use ledger::field::Fr;
use ledger::operation::{Fields, OperationError, Signable, Signed, Transfer, Withdraw};
use ledger::reject::Reject;
use ledger::transition::Operation;
use thiserror::Error;

/// BLAKE3 of the domain and the packed operation. Shown in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId(pub [u8; 32]);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Why a text is not an operation id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("an operation id is 64 hexadecimal digits, got {got:?}")]
pub struct NotAnId {
    /// The text.
    pub got: String,
}

impl FromStr for OperationId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut id = [0; 32];
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, &mut id).map_err(|_| NotAnId { got: text.into() })?;
        Ok(Self(id))
    }
}

/// A transfer or withdrawal with a signature that nobody has checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedOperation {
    /// A payment within the rollup.
    Transfer(Signed<Transfer>),
    /// A payment to the account's owner on L1.
    Withdraw(Signed<Withdraw>),
}

impl From<Signed<Transfer>> for SignedOperation {
    fn from(signed: Signed<Transfer>) -> Self {
        Self::Transfer(signed)
    }
}

impl From<Signed<Withdraw>> for SignedOperation {
    fn from(signed: Signed<Withdraw>) -> Self {
        Self::Withdraw(signed)
    }
}

impl SignedOperation {
    /// The operation's fields.
    pub fn fields(&self) -> Fields {
        match self {
            Self::Transfer(signed) => signed.op.fields(),
            Self::Withdraw(signed) => signed.op.fields(),
        }
    }

    /// The operation's identity in a deployment, whatever its signature.
    pub fn id(&self, domain: &Fr) -> OperationId {
        OperationId(match self {
            Self::Transfer(signed) => signed.op.id(domain),
            Self::Withdraw(signed) => signed.op.id(domain),
        })
    }

    /// [`Signed::to_bytes`].
    ///
    /// # Errors
    /// [`OperationError::TooWide`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, OperationError> {
        match self {
            Self::Transfer(signed) => signed.to_bytes().map(Vec::from),
            Self::Withdraw(signed) => signed.to_bytes().map(Vec::from),
        }
    }

    /// Reads what [`Self::to_bytes`] writes; the first byte is the kind.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OperationError> {
        match bytes.first() {
            Some(&Withdraw::KIND) => Signed::from_bytes(bytes).map(Self::Withdraw),
            _ => Signed::from_bytes(bytes).map(Self::Transfer),
        }
    }

    /// Checks ranges and signature.
    ///
    /// # Errors
    /// [`Reject::FieldInRange`], [`Reject::SignatureIsValid`].
    pub fn verify(&self, key: &Point, domain: &Fr) -> Result<Operation, Reject> {
        match self {
            Self::Transfer(signed) => signed.verify(key, domain).map(Operation::Transfer),
            Self::Withdraw(signed) => signed.verify(key, domain).map(Operation::Withdraw),
        }
    }
}
