//! Accounts as leaves: twin of `ledger::account`.

use ark_ff::Field;
use ledger::field::Fr;

use crate::{
    babyjubjub::Edwards,
    num::{Bit, Cs, Num},
    poseidon::{compress4_after_first_sboxes, first_constant, first_sbox},
};

/// Bits of a token id.
pub const TOKEN_BITS: usize = u32::BITS as usize;
/// Bits of a nonce, a timestamp, a batch number.
pub const NONCE_BITS: usize = ledger::account::NONCE_BITS as usize;
/// Bits of a balance or an L1 amount.
pub const BALANCE_BITS: usize = u128::BITS as usize;
/// Bits that an account's index takes where it is signed or published.
pub const INDEX_BITS: usize = u32::BITS as usize;

/// A leaf's preimage as the witness gives it; nothing about it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct LeafValues {
    /// The first coordinate of the account's key.
    pub ax: Fr,
    /// The second coordinate of the account's key.
    pub ay: Fr,
    /// The token's id; the circuit checks that it has 32 bits.
    pub token: Fr,
    /// The nonce; the circuit checks that it has 40 bits.
    pub nonce: Fr,
    /// The balance, below `2^128` in any state that was reached by rules.
    pub balance: Fr,
}

/// The two fields of a leaf that operations change.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// Token and nonce in one number, `token·2^40 + nonce`.
    pub lane: &'a Num,
    /// The balance in the token's smallest unit.
    pub balance: &'a Num,
}

/// `compress4(Ax, Ay, lane, balance)` before and after an operation.
///
/// The key stays, so its S-boxes are shared; so is the lane's where `new.lane` is `old.lane`.
pub fn leaves(cs: &Cs, key: &Edwards, old: Fields, new: Fields) -> (Num, Num) {
    let sbox = |input: &Num, position: usize| {
        first_sbox(cs, input, &Num::constant(first_constant(position)))
    };
    let (x, y) = (sbox(&key.x, 0), sbox(&key.y, 1));
    let old_lane = sbox(old.lane, 2);
    let same_lane = std::ptr::eq(old.lane, new.lane);
    let new_lane = if same_lane {
        old_lane.clone()
    } else {
        sbox(new.lane, 2)
    };
    let [old_balance, new_balance] = [old.balance, new.balance].map(|b| sbox(b, 3));
    let leaf = |lane, balance| {
        compress4_after_first_sboxes(cs, &[x.clone(), y.clone(), lane, balance], &key.x)
    };
    (leaf(old_lane, old_balance), leaf(new_lane, new_balance))
}

/// Token and nonce as a leaf hashes them, `token·2^40 + nonce`.
pub fn lane(token: &Num, nonce: &Num) -> Num {
    nonce.add_scaled(token, power_of_two(NONCE_BITS))
}

/// `Σ bit_i·2^i` of `count` fresh bits: the only way to a number known to be below `2^count`.
#[track_caller]
pub fn ranged(cs: &Cs, value: Fr, count: usize) -> Num {
    Num::from_bits(&cs.bits_of(value, count))
}

/// Fields with the bits that each takes, joined into one number: the first in the highest bits, the last
/// in the lowest.
///
/// The number says what the fields are only if each is below its `2^bits`: that is the caller's part.
pub fn packed<'a, I>(fields: I) -> Num
where
    I: IntoIterator<Item = (&'a Num, usize)>,
    I::IntoIter: DoubleEndedIterator,
{
    let mut below = 0;
    Num::linear(fields.into_iter().rev().map(|(field, bits)| {
        let term = (field, power_of_two(below));
        below += bits;
        term
    }))
}

/// `2^exponent` in the field.
pub fn power_of_two(exponent: usize) -> Fr {
    Fr::from(2u64).pow([exponent as u64])
}

/// `leaf` where the slot is active, the empty leaf 0 where it is not.
#[track_caller]
pub fn if_active(cs: &Cs, active: &Bit, leaf: &Num) -> Num {
    cs.mul(leaf, active.num())
}
