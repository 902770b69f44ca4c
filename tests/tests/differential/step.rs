//! What a trace is made of.

use ark_ff::Field;
use ledger::field::Fr;
use ledger::operation::{L1Op, Signable, Signed, Transfer, Withdraw};
use ledger::poseidon;
use std::collections::BTreeMap;

use crate::world::key;

/// One step of a trace. Every list of steps is a trace: what does not fit is refused.
#[derive(Clone, Debug)]
pub enum Step {
    /// Closes the batch that is open and begins another.
    Begin(Begin),
    /// The next entry of the queue, or something that L1 never accepts.
    L1(L1Op),
    /// A transfer that somebody sends.
    Transfer(Sent<Transfer>),
    /// A withdrawal that somebody sends.
    Withdraw(Sent<Withdraw>),
}

/// How a batch begins.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Which of the world's shapes.
    pub shape: usize,
    /// The batch's timestamp.
    pub timestamp: u64,
    /// Token to fee account.
    pub fee_accounts: BTreeMap<u32, u32>,
}

/// An operation and how it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent<T> {
    /// The operation.
    pub op: T,
    /// Number of the key that signs.
    pub by: u32,
    /// What is wrong with the signature, apart from the key.
    pub flaw: Flaw,
}

/// A flaw of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// None.
    None,
    /// Made for another deployment.
    Domain,
    /// Made for an operation that differs in this bit of the packed form, from 0 to 239.
    Bit(u32),
    /// Another S.
    Scalar,
}

impl<T: Signable> Sent<T> {
    /// The operation with the signature, flaw included, for a deployment.
    pub fn signed(&self, domain: Fr) -> Signed<T> {
        let (domain, packed) = match self.flaw {
            Flaw::Domain => (domain + Fr::ONE, self.op.packed()),
            Flaw::Bit(bit) => (domain, self.op.packed() + Fr::from(2u64).pow([bit.into()])),
            Flaw::None | Flaw::Scalar => (domain, self.op.packed()),
        };
        let mut signature = key(self.by).sign(&poseidon::hash(&[domain, packed]));
        if self.flaw == Flaw::Scalar {
            signature.s += ledger::babyjubjub::Scalar::ONE;
        }
        Signed {
            op: self.op,
            signature,
        }
    }
}
