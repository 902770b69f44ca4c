//! A sent operation forced into a witness as the best cheating prover would show it.
//!
//! The same hands show accepted operations, which must satisfy the circuit: a refusal is then the
//! circuit's, not the forger's.

use std::collections::{BTreeMap, BTreeSet};

use ark_ff::{AdditiveGroup, PrimeField};
use attacks::{Forged, Forger, Start, forged_assignment};
use circuits::eddsa::SignatureValues;
use circuits::operation::DebitValues;
use ledger::eddsa::Signature;
use ledger::field::Fr;
use ledger::operation::{Fields, Signable, Transfer};

use crate::model::{Holding, Model};
use crate::step::Sent;
use crate::world::compiled;

/// What a prover shows of an account that is not what the operation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The account as it is.
    Truth,
    /// The nonce and token that were signed.
    WhatWasSigned,
}

/// The rules that the circuit finds violated; `None` if the forger cannot show the operation:
/// the sender has another account's key, or the operation is an unused slot's.
pub fn forge<T: Signable>(model: &Model, sent: &Sent<T>, shown: Shown) -> Option<BTreeSet<String>> {
    let fields = sent.op.fields();
    let (accounts, shape) = (&model.accounts, &model.batch.shape);
    let foreign = |index: u32| accounts.get(&index).is_some_and(|a| a.owner != index);
    if fields.from == 0 || foreign(fields.from) {
        return None;
    }
    let fee_index = model
        .fee_account(fields.token)
        .filter(|_| fields.fee.mantissa() > 0);
    let starts: Vec<Start> = accounts.iter().map(|(i, a)| start(*i, a)).collect();
    let mut forger = Forger::new(shape, &starts, &[fee_index.unwrap_or(0)]);
    forger.values.timestamp = Fr::from(model.batch.timestamp);
    let transfer = fields.kind == Transfer::KIND;
    let forged = Forged {
        from: claimed(&mut forger, model, fields.from, &fields),
        to: if transfer {
            claimed(&mut forger, model, fields.to, &fields)
        } else {
            0
        },
        amount: fields.amount,
        fee: fields.fee,
        valid_until: fields.valid_until,
        fee_slot: fee_index.map(|_| 0),
        ..Forged::default()
    };
    let signature = sent.signed(Fr::ZERO).signature;
    if transfer {
        let slot = forger.transfer(&forged);
        slot.to = Fr::from(fields.to);
        show(&mut slot.debit, &fields, &signature, shown);
    } else {
        show(forger.withdraw(&forged), &fields, &signature, shown);
    }
    let assignment = forged_assignment(&forger.finish(), &[]);
    Some(compiled(shape).violated_rules(&assignment))
}

fn start(index: u32, account: &Holding) -> Start {
    Start {
        index,
        token: account.token,
        nonce: account.nonce,
        balance: u128::try_from(&account.balance).expect("balances are below 2^128"),
    }
}

/// The index whose path is walked: an account that does not exist is claimed to, one beyond the
/// tree borrows the path of the first account.
fn claimed(forger: &mut Forger, model: &Model, index: u32, fields: &Fields) -> u32 {
    let known: &BTreeMap<u32, Holding> = &model.accounts;
    if u64::from(index) >= model.leaves {
        return *known.keys().next().expect("there are accounts");
    }
    if !known.contains_key(&index) {
        forger.claim(&Start {
            index,
            token: fields.token,
            nonce: fields.nonce,
            balance: u128::MAX,
        });
    }
    index
}

/// The index and the signature that were sent, and the account as the prover likes it.
fn show(debit: &mut DebitValues, fields: &Fields, signature: &Signature, shown: Shown) {
    debit.from = Fr::from(fields.from);
    debit.signature = SignatureValues {
        r8: (signature.r8.x, signature.r8.y),
        s: signature.s.into_bigint(),
    };
    if shown == Shown::WhatWasSigned {
        debit.account.nonce = Fr::from(fields.nonce);
        debit.account.token = Fr::from(fields.token);
    }
}
