//! Batches for searches over every variable: of shape `tiny` one that uses every slot and one that
//! uses half of them, and one of a shape with what production shapes have.

use ark_ff::AdditiveGroup;
use circuits::{
    account::{NONCE_BITS, power_of_two},
    operation::L1Values,
    shapes::by_name,
    transition::BatchValues,
};
use ledger::{
    eddsa::PrivateKey,
    field::Fr,
    float::{Float16, Float40},
    operation::NO_EXPIRY,
    shape::Shape,
};

use crate::forger::{Forged, Forger, Start};

/// The shape of most samples.
pub fn tiny() -> Shape {
    by_name("tiny").expect("a sample's numbers are in range")
}

/// A shape with what production shapes have and `tiny` has not (three cached levels, four fee slots,
/// slots between the first and the last), as small as that can be.
pub fn wide() -> Shape {
    Shape {
        id: 90,
        depth: 5,
        l1_ops: 3,
        transfers: 4,
        withdrawals: 4,
        fee_slots: 4,
        cached_levels: 3,
    }
}

/// A transfer or withdrawal that does not expire.
pub fn pay(from: u32, to: u32, amount: u128, fee: u128, slot: usize) -> Forged {
    Forged {
        from,
        to,
        amount: Float40::exact(amount).expect("a sample's numbers are in range"),
        fee: Float16::exact(fee).expect("a sample's numbers are in range"),
        valid_until: NO_EXPIRY,
        fee_slot: (fee > 0).then_some(slot),
        ..Forged::default()
    }
}

/// Five accounts of two tokens, and the accounts that collect fees.
pub fn world(fees: &[u32]) -> Forger {
    let start = |index, token, balance| Start {
        index,
        token,
        nonce: 5,
        balance,
    };
    let accounts = [
        start(1, 0, 10),
        start(2, 0, 1_000),
        start(3, 0, 500),
        start(4, 7, 1_000),
        start(5, 7, 500),
    ];
    Forger::new(&tiny(), &accounts, fees)
}

/// A TopUp (kind 1) or ForcedExit (kind 2) of an account, executed.
pub fn l1(batch: &mut Forger, index: u32, kind: usize, amount: u64) {
    let leaf = *batch.leaf(index);
    let slot = batch.existing(index, [0, 1, 2].map(|i| i == kind), amount);
    let balance = if kind == 2 {
        Fr::ZERO
    } else {
        leaf.balance + Fr::from(amount)
    };
    batch.leaf(index).balance = balance;
    let written = ledger::poseidon::compress4(&[leaf.ax, leaf.ay, slot.lane, balance]);
    batch.l1(index, slot, written);
}

/// A Create at an empty index, executed.
pub fn create(batch: &mut Forger, index: u32) {
    let point = PrivateKey::derive("deviations", &[]).public_key();
    let lane = Fr::from(7u64) * power_of_two(NONCE_BITS);
    let slot = L1Values {
        kind: [true, false, false],
        index: Fr::from(index),
        token: Fr::from(7u64),
        amount: Fr::from(250u64),
        published_key: (point.x, point.y),
        key: (point.x, point.y),
        lane,
        balance: Fr::ZERO,
        path: Vec::new(),
    };
    let written = ledger::poseidon::compress4(&[point.x, point.y, lane, slot.amount]);
    batch.l1(index, slot, written);
}

/// Every slot used: Create and TopUp, two transfers (one to the sender itself), two withdrawals,
/// two fee accounts.
pub fn full() -> BatchValues {
    let mut batch = world(&[1, 4]);
    create(&mut batch, 9);
    l1(&mut batch, 2, 1, 50);
    batch.transfer(&pay(2, 3, 100, 3, 0));
    batch.transfer(&pay(5, 5, 100, 2, 1));
    batch.withdraw(&pay(3, 0, 599, 1, 0));
    batch.withdraw(&pay(4, 0, 17, 1, 1));
    batch.finish()
}

/// Every slot of the shape [`wide`] used: all three L1 operations, four transfers, withdrawals and fee
/// accounts in four tokens.
pub fn wide_full() -> BatchValues {
    let start = |index, token, balance| Start {
        index,
        token,
        nonce: 5,
        balance,
    };
    let accounts: Vec<Start> = (0..4)
        .flat_map(|token| {
            [
                start(1 + token, token, 10),
                start(17 + token, token, 1_000),
                start(300 + 40 * token, token, 500),
            ]
        })
        .collect();
    let mut batch = Forger::new(&wide(), &accounts, &[1, 2, 3, 4]);
    create(&mut batch, 700);
    l1(&mut batch, 300, 1, 50);
    l1(&mut batch, 340, 2, 0);
    for (slot, token) in (0..4).enumerate() {
        batch.transfer(&pay(17 + token, 300 + 40 * token, 100, 3, slot));
    }
    for (slot, token) in (0..4).enumerate() {
        batch.withdraw(&pay(17 + token, 0, 17, 1, slot));
    }
    batch.finish()
}

/// Half used: a ForcedExit, one transfer without a fee, one withdrawal, no fee account.
pub fn half() -> BatchValues {
    let mut batch = world(&[0, 0]);
    l1(&mut batch, 4, 2, 0);
    batch.transfer(&pay(2, 3, 100, 0, 0));
    batch.withdraw(&pay(3, 0, 599, 0, 0));
    batch.finish()
}

/// Dimensions in which the witness of [`full`] can move, to first order, while the public inputs stay:
/// the field elements that are the prover's own, less one for each equation that ties them together.
/// No other variable moves.
pub fn open_dimensions() -> usize {
    let updates = 2 + 2 * 2 + 2 + 2;
    let given = [
        1 + 4,           // domain, cached roots
        updates * 3 * 4, // children
        2 * 6,           // L1 slots: two keys, lane, balance
        2 * (5 + 3),     // transfers: R8, key, balance; the receiver's key and balance
        2 * 5,           // withdrawals: R8, key, balance
        2 * 3,           // fee accounts: key, balance
    ];
    let tied = [
        updates * (3 + 1), // the old node among its siblings, the cached root
        4 * (2 + 1 + 1),   // R8; the challenge and what is left of the balance are made of bits
        4 + 2,             // Create: key, lane, balance; TopUp: no key
        2,                 // c and y
    ];
    given.iter().sum::<usize>() - tied.iter().sum::<usize>()
}
