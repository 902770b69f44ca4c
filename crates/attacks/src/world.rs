//! The accounts that attacks begin with, and words to say what happens to them.

use ark_ff::{AdditiveGroup, Field};
use circuits::{
    operation::{DebitValues, TransferValues},
    transition::BatchValues,
};
use ledger::{
    eddsa::PrivateKey,
    field::Fr,
    float::{Float16, Float40},
    operation::NO_EXPIRY,
    tree::empty_root,
};

use crate::{
    bench::{Position, Witness, Workbench},
    forger::{Forged, Forger, Start, TRANSFER, WITHDRAW, message, sign},
};

/// Which paying side an attack is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender of a transfer.
    Transfer = 1,
    /// The account of a withdrawal.
    Withdrawal = 2,
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

    /// The slot under attack.
    pub fn slot<'a>(self, bench: &Workbench, values: &'a mut BatchValues) -> &'a mut DebitValues {
        let slot = bench.slot(self.path());
        match self {
            Self::Transfer => &mut values.transfers[slot].debit,
            Self::Withdrawal => &mut values.withdrawals[slot],
        }
    }

    /// Appends an operation in the slot under attack.
    pub fn append(self, bench: &Workbench, batch: &mut Forger, forged: &Forged) {
        self.append_in(bench, batch, bench.slot(self.path()), forged);
    }

    /// Appends two operations, the second in the slot under attack or, if that is the first slot of
    /// all, in the one after it.
    pub fn append_two(self, bench: &Workbench, batch: &mut Forger, forged: [&Forged; 2]) {
        self.append_first(bench, batch, forged[0]);
        self.append_second(bench, batch, forged[1]);
    }

    /// The first of two; see [`Side::append_two`].
    pub fn append_first(self, bench: &Workbench, batch: &mut Forger, forged: &Forged) {
        self.append_in(bench, batch, self.second(bench) - 1, forged);
    }

    /// The second of two; see [`Side::append_two`].
    pub fn append_second(self, bench: &Workbench, batch: &mut Forger, forged: &Forged) {
        self.append_in(bench, batch, self.second(bench), forged);
    }

    /// The slot of the second of two operations; see [`Side::append_two`].
    pub fn second(self, bench: &Workbench) -> usize {
        bench.slot(self.path()).max(1)
    }

    fn append_in(self, bench: &Workbench, batch: &mut Forger, slot: usize, forged: &Forged) {
        while batch.used()[self as usize] < slot {
            let filler = filler(bench);
            self.push(batch, &pay(filler, filler, 1));
        }
        self.push(batch, forged);
    }

    fn push(self, batch: &mut Forger, forged: &Forged) {
        match self {
            Self::Transfer => {
                batch.transfer(forged);
            }
            Self::Withdrawal => {
                batch.withdraw(forged);
            }
        }
    }

    /// What the holder of the account in the slot under attack must sign for it.
    pub fn message(self, bench: &Workbench, values: &BatchValues) -> Fr {
        let slot = bench.slot(self.path());
        match self {
            Self::Transfer => {
                let slot = &values.transfers[slot];
                message(&values.domain, TRANSFER, &slot.debit, slot.to)
            }
            Self::Withdrawal => {
                let slot = &values.withdrawals[slot];
                message(&values.domain, WITHDRAW, slot, Fr::ZERO)
            }
        }
    }

    /// Signs the slot under attack as it stands.
    pub fn sign(self, bench: &Workbench, values: &mut BatchValues, key: &PrivateKey) {
        let message = self.message(bench, values);
        self.slot(bench, values).signature = sign(key, &message);
    }

    /// A batch with one operation of this side, in the slot under attack.
    pub fn batch(self, bench: &Workbench, forged: &Forged) -> BatchValues {
        let mut batch = world(bench);
        self.append(bench, &mut batch, forged);
        batch.finish()
    }
}

/// The transfer in the slot under attack.
pub fn transfer_of<'a>(bench: &Workbench, values: &'a mut BatchValues) -> &'a mut TransferValues {
    &mut values.transfers[bench.slot("transfer")]
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

/// An account of nobody's interest, whose operations fill the slots before the one under attack.
pub fn filler(bench: &Workbench) -> u32 {
    u32::try_from(bench.shape().leaves() - 1).expect("trees have at most 2^32 leaves")
}

/// Accounts 1 to 3 in token 0, 4 and 5 in token 7; 66 and 67 in token 0, in a subtree of their
/// own. Fees of token 0 go to 1, in the fee slot under attack, those of token 7 to 4, in another.
/// The batch's timestamp is 1,000.
pub fn world(bench: &Workbench) -> Forger {
    world_with(bench, &[], [1, 4])
}

/// [`world`] with more accounts and other accounts in the two fee slots.
pub fn world_with(bench: &Workbench, more: &[Start], fees: [u32; 2]) -> Forger {
    let mut accounts = vec![
        start(1, 0, 10),
        start(2, 0, 1_000),
        start(3, 0, 500),
        start(4, 7, 1_000),
        start(5, 7, 500),
        start(66, 0, 1_000),
        start(67, 0, 500),
    ];
    if bench.position() != Position::First {
        accounts.push(start(filler(bench), 0, 1_000));
    }
    accounts.extend_from_slice(more);
    let mut fee_indices = vec![0; bench.shape().fee_slots.into()];
    fee_indices[bench.fee_slot()] = fees[0];
    fee_indices[bench.other_fee_slot()] = fees[1];
    Forger::new(bench.shape(), &accounts, &fee_indices)
}

/// One of two accounts whose places are equal up to one bit of their indices.
pub const TWIN: u32 = 130;

/// Twin accounts, like account 3, at two places whose indices differ in the bit under attack; fees go
/// to `collector` and to 4.
pub fn twins(bench: &Workbench, collector: u32) -> Forger {
    let mut batch = world_with(bench, &[], [collector, 4]);
    batch.set_up_twin(3, TWIN);
    batch.set_up_twin(3, TWIN ^ 1 << bench.bit(index_bits(bench)));
    batch
}

fn index_bits(bench: &Workbench) -> usize {
    2 * usize::from(bench.shape().depth)
}

/// A batch in which an operation on [`TWIN`] is published as one on account 3, and one in which it
/// is published as one on an index beyond the tree.
pub fn published_as(
    bench: &Workbench,
    honest: &BatchValues,
    publish: impl Fn(&mut BatchValues, Fr),
) -> [BatchValues; 2] {
    let beyond = Fr::from(TWIN) + Fr::from(bench.shape().leaves());
    [Fr::from(3u64), beyond].map(|index| {
        let mut values = honest.clone();
        publish(&mut values, index);
        values
    })
}

/// Spells an index, from its lowest bit `first` on, as that of [`TWIN`] with a bit, at which the twins
/// differ, that makes it 3.
pub fn between_twins(bench: &Workbench, witness: Witness, first: usize) -> Witness {
    let bits = index_bits(bench);
    witness.spell(first, bits, (TWIN, bench.bit(bits)), 3)
}

/// Old children of each hashed level in a subtree without accounts.
pub fn empty_path(bench: &Workbench) -> Vec<[Fr; 4]> {
    let levels = u8::try_from(bench.shape().path_levels()).expect("trees have few levels");
    (0..levels).map(|level| [empty_root(level); 4]).collect()
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
