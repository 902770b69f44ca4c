//! A full batch for measurements: every slot used, always the same.
//!
//! Invariant: it is executed by `ledger`, with true signatures, and depends on the shape alone.

use std::collections::BTreeMap;

use circuits::transition::BatchValues;
use ledger::account::Account;
use ledger::eddsa::PrivateKey;
use ledger::field::Fr;
use ledger::float::{Float16, Float40};
use ledger::operation::{Authorized, L1Op, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::reject::Reject;
use ledger::shape::Shape;
use ledger::state::{GenesisError, State};
use ledger::transition::{AppliedBatch, ApplyError, BatchContext, Operation, apply_batch};
use ledger::words::WordsError;
use rayon::prelude::*;
use thiserror::Error;

/// Why there is no full batch of a shape.
#[derive(Debug, Error)]
pub enum SampleError {
    /// The accounts do not fit the tree.
    #[error("the tree of this shape is too small for a full batch")]
    Tree(#[source] GenesisError),
    /// An operation breaks a rule.
    #[error("an operation of the sample")]
    Operation(#[source] Reject),
    /// The operations do not execute.
    #[error("the sample batch")]
    Batch(#[source] ApplyError),
    /// The batch has no values for the circuit.
    #[error("the sample batch")]
    Values(#[source] WordsError),
}

/// Opening balance of each account.
const BALANCE: u128 = 1_000_000_000_000_000_000;
/// The deployment that does not exist.
const DOMAIN: u64 = 0x0071_7569_7265;

/// A batch with every slot of the shape in use, on a state made for it.
///
/// # Errors
/// [`SampleError`], if the tree is too small for the shape's slots.
pub fn full_batch(shape: &Shape) -> Result<AppliedBatch, SampleError> {
    let l1_ops = u32::from(shape.l1_ops);
    let (transfers, withdrawals) = (u32::from(shape.transfers), u32::from(shape.withdrawals));
    let accounts = 1 + transfers + withdrawals;
    let keys: Vec<PrivateKey> = (1..=accounts)
        .into_par_iter()
        .map(|index| PrivateKey::derive("quire 1 sample account", &index.to_be_bytes()))
        .collect();
    let domain = Fr::from(DOMAIN);
    let key = |index: u32| &keys[index as usize - 1];
    let mut state = State::new(shape.depth);
    let genesis = keys
        .par_iter()
        .map(|key| Account::new(key.public_key(), 0, BALANCE));
    let genesis: Vec<Account> = genesis.collect();
    state
        .insert_genesis((1..).zip(genesis))
        .map_err(SampleError::Tree)?;

    let top_up = |slot: u32| {
        Operation::L1(L1Op::TopUp {
            index: 1 + slot % accounts,
            token: 0,
            amount: 1,
        })
    };
    let mut operations: Vec<Operation> = (0..l1_ops).map(top_up).collect();
    let fee = Float16::round_down(100);
    let amount = Float40::round_down(BALANCE / 7);
    let signed_transfers: Result<Vec<Operation>, SampleError> = (0..transfers)
        .into_par_iter()
        .map(|slot| {
            let from = 2 + slot;
            let to = 1 + (slot + 1) % accounts;
            let (nonce, valid_until, token) = (0, NO_EXPIRY, 0);
            let transfer = Transfer {
                from,
                to,
                amount,
                fee,
                nonce,
                valid_until,
                token,
            };
            authorize(&transfer, key(from), &domain).map(Operation::Transfer)
        })
        .collect();
    operations.extend(signed_transfers?);
    for slot in 0..withdrawals {
        let from = 2 + transfers + slot;
        let (nonce, valid_until, token) = (0, NO_EXPIRY, 0);
        let withdraw = Withdraw {
            from,
            amount,
            fee,
            nonce,
            valid_until,
            token,
        };
        let withdraw = authorize(&withdraw, key(from), &domain)?;
        operations.push(Operation::Withdraw(withdraw));
    }
    let context = BatchContext {
        domain,
        batch_number: 1,
        timestamp: 1_700_000_000,
        fee_accounts: BTreeMap::from([(0, 1)]),
    };
    apply_batch(&mut state, shape, context, &operations).map_err(SampleError::Batch)
}

/// An operation with a signature that was verified.
fn authorize<T: Signable>(
    operation: &T,
    key: &PrivateKey,
    domain: &Fr,
) -> Result<Authorized<T>, SampleError> {
    let signed = operation.sign(key, domain);
    let verified = signed.verify(&key.public_key(), domain);
    verified.map_err(SampleError::Operation)
}

/// The circuit's values of [`full_batch`].
///
/// # Errors
/// As [`full_batch`].
pub fn full_values(shape: &Shape) -> Result<BatchValues, SampleError> {
    BatchValues::of(&full_batch(shape)?.witness).map_err(SampleError::Values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use circuits::shapes::by_name;

    #[test]
    fn every_slot_is_used() {
        for name in ["tiny", "m16"] {
            let shape = by_name(name).unwrap();
            let words = full_batch(&shape).unwrap().words;
            let used = |slots: Vec<bool>| slots.into_iter().filter(|used| *used).count();
            let transfers = words.transfers.iter().map(|slot| !slot.is_unused());
            let withdrawals = words.withdrawals.iter().map(|slot| !slot.is_unused());
            assert_eq!(words.l1_ops.len(), usize::from(shape.l1_ops), "{name}");
            assert_eq!(used(transfers.collect()), shape.transfers.into(), "{name}");
            assert_eq!(
                used(withdrawals.collect()),
                usize::from(shape.withdrawals),
                "{name}"
            );
        }
    }

    #[test]
    fn a_tree_can_be_too_small() {
        let shape = Shape {
            depth: 2,
            ..by_name("t20").unwrap()
        };
        let refused = full_batch(&shape).unwrap_err();
        assert!(matches!(refused, SampleError::Tree(_)), "{refused}");
    }
}
