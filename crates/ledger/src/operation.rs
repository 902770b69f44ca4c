//! Operations: what L1's queue asks for and what account keys sign.
//!
//! A signed operation is packed into 240 bits, `kind 8 ‖ from 32 ‖ to 32 ‖ amount 40 ‖ fee 16 ‖
//! nonce 40 ‖ valid_until 40 ‖ token 32`; its message is `Poseidon(domain, packed)`
//! (docs/protocol.md, section 3). Invariant: the signature covers domain, kind and token, and an
//! [`Authorized`] operation exists only after its signature verified. Whether it can execute is
//! left to `transition`.

use ark_ff::{BigInteger, PrimeField};
use num_bigint::BigUint;
use sha3::{Digest, Keccak256};
use thiserror::Error;

use crate::babyjubjub::Point;
use crate::eddsa::{PrivateKey, Signature, SignatureError, verify};
use crate::field::{Fr, from_be_bytes, to_be_bytes};
use crate::float::{Float16, Float40};
use crate::poseidon;
use crate::reject::Reject;

/// The largest 40-bit number.
pub const FORTY_BITS: u64 = (1 << 40) - 1;

/// `valid_until` of an operation that never expires.
pub const NO_EXPIRY: u64 = FORTY_BITS;

/// Bytes of a packed operation.
pub const PACKED_BYTES: usize = 30;

/// Bytes of a signed operation: packed, `R8x`, `R8y`, `S`.
pub const SIGNED_BYTES: usize = PACKED_BYTES + 3 * 32;

/// The number of a deployment, signed with every operation:
/// `keccak256("quire/1" ‖ chain_id ‖ contract ‖ salt) >> 6`, `chain_id` as 32 bytes.
pub fn domain(chain_id: u64, contract: &[u8; 20], salt: &[u8; 32]) -> Fr {
    let mut keccak = Keccak256::new();
    keccak.update(b"quire/1");
    keccak.update([0; 24]);
    keccak.update(chain_id.to_be_bytes());
    keccak.update(contract);
    keccak.update(salt);
    keccak_to_field(keccak)
}

/// The upper 250 bits of a Keccak-256 digest, which are below the field's order.
pub(crate) fn keccak_to_field(keccak: Keccak256) -> Fr {
    let digest: [u8; 32] = keccak.finalize().into();
    let mut shifted = [0; 32];
    let mut carry = 0;
    for (out, byte) in shifted.iter_mut().zip(digest) {
        *out = carry | (byte >> 6);
        carry = byte << 2;
    }
    from_be_bytes(&shifted).expect("250 bits are below the field's order")
}

/// An operation of the L1 queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L1Op {
    /// A new account at an index that L1 assigned.
    Create {
        /// Index of the account's leaf, from 1 to below `4^depth`.
        index: u32,
        /// Id of the token, from L1's registry.
        token: u32,
        /// Balance that the account opens with, in the token's smallest unit.
        amount: u128,
        /// Key of the account; L1 has checked that it is in the prime subgroup.
        key: Point,
    },
    /// More balance for an account.
    TopUp {
        /// Index of the account's leaf, from 1 to below `4^depth`.
        index: u32,
        /// Token id as registered on L1.
        token: u32,
        /// Added to the balance.
        amount: u128,
    },
    /// Pays out the whole balance of an account, whatever it is.
    ForcedExit {
        /// Index of the account's leaf, from 1 to below `4^depth`.
        index: u32,
        /// Token id as registered on L1.
        token: u32,
    },
}

impl L1Op {
    /// Kind of a Create in the words.
    pub const CREATE: u8 = 1;
    /// Kind of a TopUp in the words.
    pub const TOP_UP: u8 = 2;
    /// Kind of a ForcedExit in the words.
    pub const FORCED_EXIT: u8 = 3;

    /// The operation with these published parts; none if there is no such kind, or it does not have
    /// one of them: only a Create has a key, and a ForcedExit no amount.
    pub fn from_parts(kind: u8, index: u32, token: u32, amount: u128, key: Point) -> Option<Self> {
        let op = match kind {
            Self::CREATE => Self::Create {
                index,
                token,
                amount,
                key,
            },
            Self::TOP_UP => Self::TopUp {
                index,
                token,
                amount,
            },
            Self::FORCED_EXIT => Self::ForcedExit { index, token },
            _ => return None,
        };
        (op.key_words() == [key.x, key.y] && op.amount() == amount).then_some(op)
    }

    /// The kind as published.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Create { .. } => Self::CREATE,
            Self::TopUp { .. } => Self::TOP_UP,
            Self::ForcedExit { .. } => Self::FORCED_EXIT,
        }
    }

    /// Index of the leaf of the account that the operation is about.
    pub fn index(&self) -> u32 {
        match self {
            Self::Create { index, .. }
            | Self::TopUp { index, .. }
            | Self::ForcedExit { index, .. } => *index,
        }
    }

    /// Token id as registered on L1.
    pub fn token(&self) -> u32 {
        match self {
            Self::Create { token, .. }
            | Self::TopUp { token, .. }
            | Self::ForcedExit { token, .. } => *token,
        }
    }

    /// The amount paid in: 0 for a ForcedExit.
    pub fn amount(&self) -> u128 {
        match self {
            Self::Create { amount, .. } | Self::TopUp { amount, .. } => *amount,
            Self::ForcedExit { .. } => 0,
        }
    }

    /// The key's coordinates as published: zero unless the operation is a Create.
    pub fn key_words(&self) -> [Fr; 2] {
        match self {
            Self::Create { key, .. } => [key.x, key.y],
            Self::TopUp { .. } | Self::ForcedExit { .. } => [Fr::from(0u64); 2],
        }
    }
}

/// A payment from one account to another of the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Index of the account that pays.
    pub from: u32,
    /// Index of the account that receives.
    pub to: u32,
    /// What the receiver gets.
    pub amount: Float40,
    /// What the fee account gets on top.
    pub fee: Float16,
    /// The sender's nonce, below 2^40.
    pub nonce: u64,
    /// Last batch timestamp at which the operation executes, below 2^40; [`NO_EXPIRY`] for ever.
    pub valid_until: u64,
    /// Token that sender and receiver hold.
    pub token: u32,
}

/// A payment to the owner of the account on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdraw {
    /// Index of the account that pays and whose owner claims on L1.
    pub from: u32,
    /// What becomes claimable on L1.
    pub amount: Float40,
    /// What the fee account gets on top.
    pub fee: Float16,
    /// The account's nonce, below 2^40.
    pub nonce: u64,
    /// Last batch timestamp at which the operation executes, below 2^40; [`NO_EXPIRY`] for ever.
    pub valid_until: u64,
    /// Token that the account holds.
    pub token: u32,
}

/// The fields that every signed operation has, in the order in which they are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Number of the kind of operation, [`Signable::KIND`].
    pub kind: u8,
    /// Index of the account that pays.
    pub from: u32,
    /// The receiver's index, 0 for a withdrawal.
    pub to: u32,
    /// Amount that leaves the account, the fee apart.
    pub amount: Float40,
    /// Fee that the account pays in addition.
    pub fee: Float16,
    /// Operations that the account signed and executed before this one, below 2^40.
    pub nonce: u64,
    /// Last timestamp at which the operation executes.
    pub valid_until: u64,
    /// Id of the token, which must be the account's.
    pub token: u32,
}

/// Why bytes or text are not a signed operation.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OperationError {
    /// Another number of bytes than [`SIGNED_BYTES`].
    #[error("expected {SIGNED_BYTES} bytes, got {0}")]
    Length(usize),
    /// The kind is another operation's, or none.
    #[error("expected operation kind {expected}, got {got}")]
    Kind {
        /// The kind asked for.
        expected: u8,
        /// The kind in the bytes.
        got: u8,
    },
    /// A withdrawal has no receiver.
    #[error("a withdrawal has no receiver, got {0}")]
    ReceiverOfWithdrawal(u32),
    /// A coordinate of R8 is not below the field's order.
    #[error("{field} of the signature is not below the field's order")]
    Coordinate {
        /// Name of the coordinate.
        field: &'static str,
    },
    /// R8 or S are not those of any signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A field does not parse.
    #[error("{field} is not valid: {text}")]
    Text {
        /// Name of the field.
        field: &'static str,
        /// What the field says, as it stands in the text.
        text: String,
    },
    /// An amount is not what its float spelling says.
    #[error("{field}: the packed form says {expected}, got {got}")]
    Disagree {
        /// Name of the field.
        field: &'static str,
        /// The value of the packed form.
        expected: String,
        /// What the field says.
        got: String,
    },
    /// A number is wider than its field.
    #[error("{field} is {value}, not below 2^40")]
    TooWide {
        /// Name of the field.
        field: &'static str,
        /// The value that does not fit.
        value: u64,
    },
}

mod sealed {
    /// Only the operations of this module are signed.
    pub trait Sealed {}
    impl Sealed for super::Transfer {}
    impl Sealed for super::Withdraw {}
}

/// What account keys sign: [`Transfer`] and [`Withdraw`].
pub trait Signable: sealed::Sealed + Copy + Sized {
    /// The operation's number, part of what is signed.
    const KIND: u8;

    /// All signed fields, in the form common to both kinds.
    fn fields(&self) -> Fields;

    /// The operation with these fields.
    ///
    /// # Errors
    /// [`OperationError`] if the fields are those of another kind.
    fn from_fields(fields: Fields) -> Result<Self, OperationError>;

    /// The 240 bits as a field element. Injective while nonce and expiry have 40 bits, which
    /// [`Signed::verify`] and all decoders check.
    fn packed(&self) -> Fr {
        let Fields {
            kind,
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        } = self.fields();
        let push =
            |packed: Fr, value: u64, bits: u32| packed * Fr::from(1u64 << bits) + Fr::from(value);
        let packed = push(Fr::from(kind), u64::from(from), 32);
        let packed = push(packed, u64::from(to), 32);
        let packed = push(packed, amount.packed(), 40);
        let packed = push(packed, fee.packed(), 16);
        let packed = push(packed, nonce, 40);
        let packed = push(packed, valid_until, 40);
        push(packed, u64::from(token), 32)
    }

    /// What is signed: `Poseidon(domain, packed)`.
    fn message(&self, domain: &Fr) -> Fr {
        poseidon::hash(&[*domain, self.packed()])
    }

    /// The operation's identity: BLAKE3 of domain and packed, 32 bytes each. Independent of the
    /// signature, of which there are many for one operation.
    fn id(&self, domain: &Fr) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&to_be_bytes(domain));
        hasher.update(&to_be_bytes(&self.packed()));
        hasher.finalize().into()
    }

    /// Signs the operation for a deployment.
    fn sign(self, key: &PrivateKey, domain: &Fr) -> Signed<Self> {
        Signed {
            signature: key.sign(&self.message(domain)),
            op: self,
        }
    }
}

impl Signable for Transfer {
    const KIND: u8 = 1;

    fn fields(&self) -> Fields {
        let Self {
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        } = *self;
        Fields {
            kind: Self::KIND,
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, OperationError> {
        let Fields {
            kind,
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        } = fields;
        check_kind(Self::KIND, kind)?;
        Ok(Self {
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        })
    }
}

impl Signable for Withdraw {
    const KIND: u8 = 2;

    fn fields(&self) -> Fields {
        let Self {
            from,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        } = *self;
        Fields {
            kind: Self::KIND,
            from,
            to: 0,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, OperationError> {
        let Fields {
            kind,
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        } = fields;
        check_kind(Self::KIND, kind)?;
        if to != 0 {
            return Err(OperationError::ReceiverOfWithdrawal(to));
        }
        Ok(Self {
            from,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        })
    }
}

fn check_kind(expected: u8, got: u8) -> Result<(), OperationError> {
    if got == expected {
        Ok(())
    } else {
        Err(OperationError::Kind { expected, got })
    }
}

impl Fields {
    /// `nonce` and `valid_until` have 40 bits.
    fn too_wide(&self) -> Option<(&'static str, u64)> {
        [("nonce", self.nonce), ("valid_until", self.valid_until)]
            .into_iter()
            .find(|(_, value)| *value > FORTY_BITS)
    }

    /// Refuses numbers that would overlap when packed.
    pub(crate) fn check_width(&self) -> Result<(), OperationError> {
        match self.too_wide() {
            None => Ok(()),
            Some((field, value)) => Err(OperationError::TooWide { field, value }),
        }
    }
}

/// An operation with a signature that nobody has checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// The operation that the signature is for.
    pub op: T,
    /// A claim that the sender signed it.
    pub signature: Signature,
}

/// An operation whose signature verified under a key, for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorized<T> {
    signed: Signed<T>,
    key: Point,
    domain: Fr,
}

impl<T: Signable> Signed<T> {
    /// Checks the ranges and the signature. That `key` is the sender's is the caller's claim; it
    /// is checked again when the operation executes.
    ///
    /// # Errors
    /// [`Reject::FieldInRange`], [`Reject::SignatureIsValid`].
    pub fn verify(&self, key: &Point, domain: &Fr) -> Result<Authorized<T>, Reject> {
        let fields = self.op.fields();
        if let Some((field, value)) = fields.too_wide() {
            return Err(Reject::FieldInRange { field, value });
        }
        verify(key, &self.op.message(domain), &self.signature).map_err(|error| {
            Reject::SignatureIsValid {
                index: fields.from,
                reason: error.into(),
            }
        })?;
        Ok(Authorized {
            signed: *self,
            key: *key,
            domain: *domain,
        })
    }

    /// The packed operation, then `R8x`, `R8y` and `S` as 32 bytes each.
    ///
    /// # Errors
    /// [`OperationError::TooWide`] if nonce or expiry have more than 40 bits.
    pub fn to_bytes(&self) -> Result<[u8; SIGNED_BYTES], OperationError> {
        self.op.fields().check_width()?;
        let mut bytes = [0; SIGNED_BYTES];
        let (packed, rest) = bytes.split_at_mut(PACKED_BYTES);
        packed.copy_from_slice(&to_be_bytes(&self.op.packed())[32 - PACKED_BYTES..]);
        let Signature { r8, s } = &self.signature;
        rest[..32].copy_from_slice(&to_be_bytes(&r8.x));
        rest[32..64].copy_from_slice(&to_be_bytes(&r8.y));
        rest[64..].copy_from_slice(&s.into_bigint().to_bytes_be());
        Ok(bytes)
    }

    /// Reads what [`Self::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`OperationError`] for another length or kind, or numbers that are not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OperationError> {
        let bytes: &[u8; SIGNED_BYTES] = bytes
            .try_into()
            .map_err(|_| OperationError::Length(bytes.len()))?;
        let (packed, rest) = bytes.split_at(PACKED_BYTES);
        let op = T::from_fields(unpack(packed))?;
        let (numbers, _) = rest.as_chunks::<32>();
        let coordinate = |place: usize, field| {
            from_be_bytes(&numbers[place]).map_err(|_| OperationError::Coordinate { field })
        };
        let r8 = Point {
            x: coordinate(0, "R8x")?,
            y: coordinate(1, "R8y")?,
        };
        let signature = Signature::from_raw(r8, &BigUint::from_bytes_be(&numbers[2]))?;
        Ok(Self { op, signature })
    }
}

/// The fields of [`PACKED_BYTES`] bytes.
fn unpack(packed: &[u8]) -> Fields {
    let number = |from: usize, bytes: usize| {
        packed[from..from + bytes]
            .iter()
            .fold(0u64, |number, byte| (number << 8) | u64::from(*byte))
    };
    let short = |from| u32::try_from(number(from, 4)).expect("four bytes are 32 bits");
    Fields {
        kind: packed[0],
        from: short(1),
        to: short(5),
        amount: Float40::from_packed(number(9, 5)).expect("five bytes are a float40"),
        fee: Float16::from_packed(number(14, 2)).expect("two bytes are a float16"),
        nonce: number(16, 5),
        valid_until: number(21, 5),
        token: short(26),
    }
}

impl<T: Signable> Authorized<T> {
    /// The operation, whose signature was verified.
    pub fn op(&self) -> &T {
        &self.signed.op
    }

    /// The signature that verified.
    pub fn signature(&self) -> &Signature {
        &self.signed.signature
    }

    /// Operation and signature, to be sent or stored.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// The key under which it verified.
    pub fn key(&self) -> &Point {
        &self.key
    }

    /// The domain for which it verified.
    pub fn domain(&self) -> &Fr {
        &self.domain
    }
}
