//! The accounts that attacks begin with, and words to say what happens to them.

use ark_ff::{AdditiveGroup, Field};
use ledger::{
    eddsa::PrivateKey,
    field::Fr,
    float::{Float16, Float40},
    operation::NO_EXPIRY,
    shape::Shape,
};

use crate::{
    operation::DebitValues,
    shapes::by_name,
    testkit::{Forged, Forger, Start, TRANSFER, WITHDRAW, message, sign},
    transition::BatchValues,
};

/// Which paying side an attack is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender of a transfer.
    Transfer,
    /// The account of a withdrawal.
    Withdrawal,
}

impl Side {
    /// Path of the paying side's rules.
    pub fn path(self) -> &'static str {
        match self {
            Self::Transfer => "transfer/sender",
            Self::Withdrawal => "withdraw/sender",
        }
    }

    /// Path of a rule on this side.
    pub fn rule(self, name: &str) -> String {
        format!("{}/{name}", self.path())
    }

    /// The first slot of this side.
    pub fn slot(self, values: &mut BatchValues) -> &mut DebitValues {
        match self {
            Self::Transfer => &mut values.transfers[0].debit,
            Self::Withdrawal => &mut values.withdrawals[0],
        }
    }

    /// Appends a slot.
    pub fn append(self, batch: &mut Forger, forged: &Forged) {
        match self {
            Self::Transfer => {
                batch.transfer(forged);
            }
            Self::Withdrawal => {
                batch.withdraw(forged);
            }
        }
    }

    /// What the holder of the first slot's account must sign for it.
    pub fn message(self, values: &BatchValues) -> Fr {
        match self {
            Self::Transfer => {
                let slot = &values.transfers[0];
                message(&values.domain, TRANSFER, &slot.debit, slot.to)
            }
            Self::Withdrawal => message(&values.domain, WITHDRAW, &values.withdrawals[0], Fr::ZERO),
        }
    }

    /// Signs the first slot as it stands.
    pub fn sign(self, values: &mut BatchValues, key: &PrivateKey) {
        let message = self.message(values);
        self.slot(values).signature = sign(key, &message);
    }

    /// A batch with one operation of this side.
    pub fn batch(self, forged: &Forged) -> BatchValues {
        let mut batch = world();
        self.append(&mut batch, forged);
        batch.finish()
    }
}

/// The shape under attack.
pub fn tiny() -> Shape {
    by_name("tiny").expect("the shape is one of the named ones")
}

/// An account with nonce 5.
pub fn start(index: u32, token: u32, balance: u128) -> Start {
    Start {
        index,
        token,
        nonce: 5,
        balance,
    }
}

/// Accounts 1 to 3 in token 0, 4 and 5 in token 7; 66 and 67 in token 0, in a subtree of their
/// own. Fees of token 0 go to 1, those of token 7 to 4. The batch's timestamp is 1,000.
pub fn world() -> Forger {
    world_with(&[], &[1, 4])
}

/// [`world`] with more accounts and other fee accounts.
pub fn world_with(more: &[Start], fees: &[u32]) -> Forger {
    let mut accounts = vec![
        start(1, 0, 10),
        start(2, 0, 1_000),
        start(3, 0, 500),
        start(4, 7, 1_000),
        start(5, 7, 500),
        start(66, 0, 1_000),
        start(67, 0, 500),
    ];
    accounts.extend_from_slice(more);
    Forger::new(&tiny(), &accounts, fees)
}

/// A payment without a fee.
pub fn pay(from: u32, to: u32, amount: u128) -> Forged {
    Forged {
        from,
        to,
        amount: Float40::exact(amount).expect("attacks move amounts with few digits"),
        valid_until: NO_EXPIRY,
        ..Forged::default()
    }
}

/// With a fee for a slot.
pub fn with_fee(fee: u128, slot: usize, forged: Forged) -> Forged {
    Forged {
        fee: Float16::exact(fee).expect("attacks pay fees with few digits"),
        fee_slot: Some(slot),
        ..forged
    }
}

/// A key of the thief's own.
pub fn thief() -> PrivateKey {
    PrivateKey::derive("quire attacks thief", &[])
}

/// Makes every unused signed slot the thief's, edits it and signs it: nobody's key is asked for.
pub fn edit_unused(values: &mut BatchValues, edit: impl Fn(&mut DebitValues)) {
    let domain = values.domain;
    let transfers = values.transfers.iter_mut().map(|slot| &mut slot.debit);
    let sides = (transfers.map(|debit| (TRANSFER, debit)))
        .chain(values.withdrawals.iter_mut().map(|debit| (WITHDRAW, debit)));
    for (kind, debit) in sides.filter(|(_, debit)| debit.from == Fr::ZERO) {
        let key = thief().public_key();
        (debit.account.ax, debit.account.ay) = (key.x, key.y);
        edit(debit);
        debit.signature = sign(&thief(), &message(&domain, kind, debit, Fr::ZERO));
    }
}

/// `2^exponent`.
pub fn power(exponent: u64) -> Fr {
    Fr::from(2u64).pow([exponent])
}
