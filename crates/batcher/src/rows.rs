//! Rows of the database as values, and their bytes.

use ledger::account::Account;
use ledger::field::Fr;
use ledger::operation::SIGNED_BYTES;
use storage::{CodecError, Reader, Writer};

use crate::operation::SignedOperation;

/// Which deployment a database belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) domain: Fr,
    pub(crate) genesis: [u8; 32],
    pub(crate) depth: u8,
}

/// Where the batcher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Root of the accounts table.
    pub(crate) root: Fr,
    /// Last sealed batch, 0 at the beginning.
    pub(crate) sealed: u64,
    /// Last finalized batch.
    pub(crate) finalized: u64,
    /// Timestamp of the last sealed batch.
    pub(crate) timestamp: u64,
    /// Next entry of the L1 queue to be consumed.
    pub(crate) queue: u64,
}

/// What became of an operation that does not wait any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sealed { batch: u64 },
    Rejected { reason: String },
}

/// An outcome, and when the operation was received, in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredOutcome {
    pub(crate) received: u64,
    /// The account, if the operation is a withdrawal.
    pub(crate) withdrawn_from: Option<u32>,
    pub(crate) outcome: Outcome,
}

/// When a batch took its steps, in seconds since 1970; `None` if it has not, or if nobody here
/// knows, as after a restoration from L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTimes {
    /// When it was sealed.
    pub sealed: Option<u64>,
    /// When its proof was recorded.
    pub proven: Option<u64>,
    /// When L1 accepted it.
    pub finalized: Option<u64>,
}

/// An operation with its place in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredOperation {
    pub(crate) place: u64,
    pub(crate) received: u64,
    pub(crate) operation: SignedOperation,
}

impl Head {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self {
            root,
            sealed,
            finalized,
            timestamp,
            queue,
        } = self;
        let mut out = Writer::default();
        out.fr(&root);
        for number in [sealed, finalized, timestamp, queue] {
            out.u64(number);
        }
        out.finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("the head", bytes);
        let head = Self {
            root: input.fr("root")?,
            sealed: input.u64()?,
            finalized: input.u64()?,
            timestamp: input.u64()?,
            queue: input.u64()?,
        };
        input.end().map(|()| head)
    }
}

impl StoredOutcome {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(match self.outcome {
            Outcome::Sealed { .. } => 1,
            Outcome::Rejected { .. } => 2,
        });
        out.u64(self.received);
        out.u32(self.withdrawn_from.unwrap_or(0));
        match &self.outcome {
            Outcome::Sealed { batch } => out.u64(*batch),
            Outcome::Rejected { reason } => out.put(reason.as_bytes()),
        };
        out.finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("a verdict", bytes);
        let tag = input.u8()?;
        let received = input.u64()?;
        // Index 0 is no account.
        let withdrawn_from = Some(input.u32()?).filter(|index| *index != 0);
        let outcome = match tag {
            1 => Outcome::Sealed {
                batch: input.u64()?,
            },
            2 => {
                let reason = String::from_utf8(input.slice(input.left())?.to_vec());
                let reason = reason.map_err(|error| input.invalid("reason", error))?;
                Outcome::Rejected { reason }
            }
            tag => return Err(input.invalid("kind", tag)),
        };
        input.end()?;
        Ok(Self {
            received,
            withdrawn_from,
            outcome,
        })
    }
}

impl BatchTimes {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self {
            sealed,
            proven,
            finalized,
        } = self;
        let mut out = Writer::default();
        for time in [sealed, proven, finalized] {
            out.u8(u8::from(time.is_some()));
            out.u64(time.unwrap_or(0));
        }
        out.finish()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Reader::new("a batch's times", bytes);
        let mut time = || match (input.u8()?, input.u64()?) {
            (0, 0) => Ok(None),
            (1, time) => Ok(Some(time)),
            (tag, _) => Err(input.invalid("time", tag)),
        };
        let times = Self {
            sealed: time()?,
            proven: time()?,
            finalized: time()?,
        };
        input.end().map(|()| times)
    }
}

impl StoredOperation {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.received);
        let bytes = self.operation.to_bytes();
        out.put(&bytes.expect("the fields of a verified operation have 40 bits"));
    }
}

pub(crate) fn group_to_bytes(group: &[Fr; 4]) -> [u8; 128] {
    let mut bytes = [0; 128];
    for (slot, node) in bytes.chunks_exact_mut(32).zip(group) {
        slot.copy_from_slice(&ledger::field::to_be_bytes(node));
    }
    bytes
}

pub(crate) fn group_from_bytes(bytes: &[u8]) -> Result<[Fr; 4], CodecError> {
    let mut input = Reader::new("a tree node", bytes);
    let mut node = || input.fr("child");
    let group = [node()?, node()?, node()?, node()?];
    input.end().map(|()| group)
}

pub(crate) fn account_to_bytes(account: &Account) -> Vec<u8> {
    let Account {
        key,
        token,
        nonce,
        balance,
    } = account;
    let mut out = Writer::default();
    out.point(key);
    out.u32(*token);
    out.u64(*nonce);
    out.u128(*balance);
    out.finish()
}

pub(crate) fn account_from_bytes(bytes: &[u8]) -> Result<Account, CodecError> {
    let mut input = Reader::new("an account", bytes);
    let account = read_account(&mut input)?;
    input.end().map(|()| account)
}

pub(crate) fn read_account(input: &mut Reader<'_>) -> Result<Account, CodecError> {
    Ok(Account {
        key: input.point_on_curve("key")?,
        token: input.u32()?,
        nonce: input.u64()?,
        balance: input.u128()?,
    })
}

pub(crate) fn stored_operation(place: u64, bytes: &[u8]) -> Result<StoredOperation, CodecError> {
    let mut input = Reader::new("an operation", bytes);
    let operation = read_operation(place, &mut input)?;
    input.end().map(|()| operation)
}

/// Reads what [`StoredOperation::write`] writes.
pub(crate) fn read_operation(
    place: u64,
    input: &mut Reader<'_>,
) -> Result<StoredOperation, CodecError> {
    let received = input.u64()?;
    let operation = SignedOperation::from_bytes(input.slice(SIGNED_BYTES)?)
        .map_err(|error| input.invalid("bytes", error))?;
    Ok(StoredOperation {
        place,
        received,
        operation,
    })
}

pub(crate) fn domain_from_bytes(bytes: &[u8]) -> Result<Fr, CodecError> {
    let mut input = Reader::new("the domain", bytes);
    let domain = input.fr("domain")?;
    input.end().map(|()| domain)
}

pub(crate) fn identity_rows(identity: &Identity) -> [(&'static str, Vec<u8>); 3] {
    let Identity {
        domain,
        genesis,
        depth,
    } = identity;
    let domain = ledger::field::to_be_bytes(domain).to_vec();
    [
        ("domain", domain),
        ("genesis", genesis.to_vec()),
        ("depth", vec![*depth]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_outcomes_round_trip() {
        let head = Head {
            root: Fr::from(7u64),
            sealed: 1,
            finalized: 2,
            timestamp: 3,
            queue: 4,
        };
        assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        for outcome in [
            Outcome::Sealed { batch: 9 },
            Outcome::Rejected {
                reason: "no".to_owned(),
            },
        ] {
            let stored = StoredOutcome {
                withdrawn_from: Some(7),
                received: 5,
                outcome,
            };
            assert_eq!(StoredOutcome::from_bytes(&stored.to_bytes()), Ok(stored));
        }
        assert!(StoredOutcome::from_bytes(&[3; 21]).is_err());
        assert!(StoredOutcome::from_bytes(&[]).is_err());
        let domain = ledger::field::to_be_bytes(&head.root);
        assert_eq!(domain_from_bytes(&domain), Ok(head.root));
        assert!(domain_from_bytes(&[&domain[..], &[0]].concat()).is_err());
        for times in [
            BatchTimes::default(),
            BatchTimes {
                sealed: Some(0),
                proven: None,
                finalized: Some(u64::MAX),
            },
        ] {
            assert_eq!(BatchTimes::from_bytes(&times.to_bytes()), Ok(times));
        }
        assert!(BatchTimes::from_bytes(&[2; 27]).is_err());
    }
}
