//! A full batch for measurements: every slot used, always the same.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use circuits::transition::BatchValues;
use ledger::account::Account;
use ledger::eddsa::PrivateKey;
use ledger::field::Fr;
use ledger::float::{Float16, Float40};
use ledger::operation::{L1Op, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{AppliedBatch, BatchContext, Operation, apply_batch};
use rayon::prelude::*;

/// Opening balance of each account.
const BALANCE: u128 = 1_000_000_000_000_000_000;
/// The deployment that does not exist.
const DOMAIN: u64 = 0x0071_7569_7265;

/// A batch with every slot of the shape in use, on a state made for it.
///
/// # Errors
/// If the tree is too small for the shape's slots.
pub fn full_batch(shape: &Shape) -> Result<AppliedBatch> {
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
        .context("the tree of this shape is too small for a full batch")?;

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
    let signed_transfers: Result<Vec<Operation>> = (0..transfers)
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
            let signed = transfer.sign(key(from), &domain);
            let authorized = signed.verify(&key(from).public_key(), &domain);
            Ok(Operation::Transfer(
                authorized.context("a transfer of the sample")?,
            ))
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
        let signed = withdraw.sign(key(from), &domain);
        let authorized = signed.verify(&key(from).public_key(), &domain);
        operations.push(Operation::Withdraw(
            authorized.context("a withdrawal of the sample")?,
        ));
    }
    let context = BatchContext {
        domain,
        batch_number: 1,
        timestamp: 1_700_000_000,
        fee_accounts: BTreeMap::from([(0, 1)]),
    };
    apply_batch(&mut state, shape, context, &operations).context("the sample batch")
}

/// The circuit's values of [`full_batch`].
///
/// # Errors
/// As [`full_batch`].
pub fn full_values(shape: &Shape) -> Result<BatchValues> {
    BatchValues::of(&full_batch(shape)?.witness).context("the sample batch")
}
