//! When an operation may do what it does, and where fees go: twin of `ledger::rules`.
//!
//! One function a rule; each records its rows under the rule's name (`Cs::rule`), which is that of
//! `ledger::reject::Reject` where a user's operation can break it. `sender_exists`,
//! `receiver_exists`, `same_token` and `nonce_is_next` need no rows of their own: a slot opens one leaf
//! with the fields that are signed, which `operation` puts together.

use ledger::field::Fr;

use crate::{
    account::{
        BALANCE_BITS, Fields, LeafValues, NONCE_BITS, TOKEN_BITS, if_active, lane, leaves,
        power_of_two, ranged,
    },
    babyjubjub::Edwards,
    num::{Bit, Cs, Num},
    tree::{Written, update},
};

/// What every slot of a batch reads.
#[derive(Clone, Debug)]
pub struct Context {
    /// Levels of the tree.
    pub depth: usize,
    /// The deployment's domain, part of every signed message.
    pub domain: Num,
    /// The batch's timestamp, below `2^40`.
    pub timestamp: Num,
    /// For each fee slot the token it collects; for an unused slot a number that no token has.
    pub fee_tokens: Vec<Num>,
}

/// Constrains every published field of an unused slot to 0 (its index is 0 already).
///
/// Sound because: the fields are ranged, non-negative integers, together below `2^129`, so their sum
/// is 0 in the field only when each is 0.
pub(crate) fn unused_slot_is_zero(cs: &Cs, active: &Bit, fields: &[&Num]) {
    let _scope = cs.rule("unused_slot_is_zero");
    let sum = Num::sum(fields.iter().copied());
    cs.enforce(&sum, active.not().num(), &Num::zero());
}

/// A nonce below `2^40 − 1`, so that the next one is below `2^40`.
pub(crate) fn nonce_with_successor(cs: &Cs, nonce: Fr) -> Num {
    let _scope = cs.rule("nonce_has_successor");
    let bits = cs.named("nonce").bits_of(nonce, NONCE_BITS);
    let set = Num::sum(bits.iter().map(Bit::num));
    cs.enforce_nonzero(&set.plus(-Fr::from(NONCE_BITS as u64)));
    Num::from_bits(&bits)
}

/// `timestamp ≤ valid_until < 2^40`.
///
/// The range of `valid_until` itself matters: `valid_until + 2^40` with `nonce − 1` packs into the
/// same signed message.
pub(crate) fn not_expired(cs: &Cs, valid_until: Fr, timestamp: &Num) -> Num {
    let _scope = cs.rule("not_expired");
    let valid_until = ranged(cs.named("valid_until"), valid_until, NONCE_BITS);
    let left = &valid_until - timestamp;
    let in_range = ranged(cs.named("left"), left.value(), NONCE_BITS);
    cs.enforce_equal(&left, &in_range);
    valid_until
}

/// `balance − amount − fee` is in `[0, 2^128)`; returns the balance before and after.
///
/// Sound because: balances in leaves are below `2^128` and the payment is below `2^139`, so the
/// difference does not wrap around `r` into the range.
pub(crate) fn sender_can_pay(cs: &Cs, balance: Fr, amount: &Num, fee: &Num) -> (Num, Num) {
    let _scope = cs.rule("sender_can_pay");
    let balance = cs.witness(balance);
    let left = &(&balance - amount) - fee;
    let in_range = ranged(cs.named("left"), left.value(), BALANCE_BITS);
    cs.enforce_equal(&left, &in_range);
    (balance, left)
}

/// A non-zero fee selects exactly one used fee slot of the operation's own token; returns what
/// each slot is credited.
///
/// Sound because: the choices are booleans that sum to 1 unless the fee is 0 (when every credit is
/// 0 whatever they are), and an unused slot's token is a number that no ranged token equals.
///
/// That the choices are booleans follows from the other rows too: they add up to 1, and only a slot
/// with the operation's token, of which there is one, can have a choice other than 0.
pub(crate) fn fee_is_credited_once(
    cs: &Cs,
    context: &Context,
    token: &Num,
    fee: &Num,
    choice: &[bool],
) -> Vec<Num> {
    let _scope = cs.rule("fee_is_credited_once");
    let chosen: Vec<Bit> = choice
        .iter()
        .map(|chosen| cs.named("choice").bit(*chosen))
        .collect();
    let none = &Num::one() - &Num::sum(chosen.iter().map(Bit::num));
    cs.enforce(fee, &none, &Num::zero());
    chosen
        .iter()
        .zip(&context.fee_tokens)
        .map(|(chosen, slot_token)| {
            cs.enforce(&(slot_token - token), chosen.num(), &Num::zero());
            cs.named("credit").mul(fee, chosen.num())
        })
        .collect()
}

/// A Create writes the published key, its token with nonce 0, and adds to a balance of 0; the other
/// kinds publish no key.
pub(crate) fn create_writes_published_leaf(
    cs: &Cs,
    create: &Bit,
    (key, published_key): (&Edwards, &[Num; 2]),
    (lane_word, token): (&Num, &Num),
    balance: &Num,
) {
    let _scope = cs.rule("create_writes_published_leaf");
    for (word, coordinate) in published_key.iter().zip([&key.x, &key.y]) {
        cs.enforce(&(coordinate - word), create.num(), &Num::zero());
        cs.enforce(word, create.not().num(), &Num::zero());
    }
    cs.enforce(
        &(lane_word - &lane(token, &Num::zero())),
        create.num(),
        &Num::zero(),
    );
    cs.enforce(balance, create.num(), &Num::zero());
}

/// A ForcedExit names no amount and pays out the balance; returns what is paid out.
pub(crate) fn exit_pays_the_whole_balance(cs: &Cs, exit: &Bit, amount: &Num, balance: &Num) -> Num {
    let _scope = cs.rule("exit_pays_the_whole_balance");
    cs.enforce(amount, exit.num(), &Num::zero());
    cs.named("paid_out").mul(balance, exit.num())
}

/// A fee slot as the witness gives it.
#[derive(Clone, Debug)]
pub struct FeeValues {
    /// Index of the fee account, 0 for an unused slot.
    pub index: Fr,
    /// The account before the batch's fees.
    pub account: LeafValues,
    /// Old children of each hashed level.
    pub path: Vec<[Fr; 4]>,
}

/// A fee slot whose account is opened: the tokens are needed before the first transfer, the update
/// comes after the last withdrawal.
#[derive(Clone, Debug)]
pub struct FeeSlot {
    index_bits: Vec<Bit>,
    used: Bit,
    key: Edwards,
    lane: Num,
    balance: Num,
    path: Vec<[Fr; 4]>,
    /// The index as published in the header.
    pub index: Num,
    /// The account's token; `2^32 + slot` for an unused slot, which no token equals.
    pub token: Num,
}

/// Opens a fee slot: index, token and nonce in range, used exactly when the index is not 0.
pub fn open_fee_slot(cs: &Cs, depth: usize, slot: usize, values: &FeeValues) -> FeeSlot {
    let _scope = cs.rule("fee_slot");
    let index_bits = cs.named("index").bits_of(values.index, 2 * depth);
    let index = Num::from_bits(&index_bits);
    let used = cs.named("used").is_nonzero(&index);
    let account = &values.account;
    let key = Edwards {
        x: cs.witness(account.ax),
        y: cs.witness(account.ay),
    };
    let token = ranged(cs.named("token"), account.token, TOKEN_BITS);
    let nonce = ranged(cs.named("nonce"), account.nonce, NONCE_BITS);
    let balance = cs.witness(account.balance);
    let unused_token = power_of_two(TOKEN_BITS) + Fr::from(slot as u64);
    let slot_token = cs
        .named("slot_token")
        .mul(&token.plus(-unused_token), used.num())
        .plus(unused_token);
    FeeSlot {
        index_bits,
        used,
        key,
        lane: lane(&token, &nonce),
        balance,
        path: values.path.clone(),
        index,
        token: slot_token,
    }
}

/// Constrains the tokens of all fee slots to be pairwise distinct, so that the published words
/// determine which account a fee goes to.
pub fn fee_tokens_are_distinct(cs: &Cs, slots: &[FeeSlot]) {
    let _scope = cs.rule("fee_tokens_are_distinct");
    for (i, first) in slots.iter().enumerate() {
        for second in &slots[i + 1..] {
            cs.enforce_nonzero(&(&first.token - &second.token));
        }
    }
}

/// Credits a fee slot's account with what the batch's operations paid into it.
///
/// Sound because: nothing is ever credited to an unused slot (its token matches no operation's),
/// and the balance stays below `2^128` as in `operation::transfer`.
pub fn collect_fees(cs: &Cs, slot: &FeeSlot, credited: &Num, roots: &mut Vec<Num>) {
    let _scope = cs.rule("collect_fees");
    let new_balance = &slot.balance + credited;
    let old = Fields {
        lane: &slot.lane,
        balance: &slot.balance,
    };
    let (old, new) = leaves(
        cs,
        &slot.key,
        old,
        Fields {
            balance: &new_balance,
            ..old
        },
    );
    let leaves = (
        if_active(cs.named("opened"), &slot.used, &old),
        if_active(cs.named("written"), &slot.used, &new),
    );
    update(
        cs,
        &slot.index_bits,
        &slot.path,
        (&leaves.0, &leaves.1),
        roots,
        Written::Fresh,
    );
}
