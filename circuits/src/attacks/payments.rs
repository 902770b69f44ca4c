//! Spending what one does not have: balances, nonces, time, fees, unused slots.

use ark_ff::{AdditiveGroup, Field};
use ledger::{field::Fr, float::Float40, shape::Shape};

use super::{
    Attack, Pair, Witness, Workbench, both_sides,
    world::{Side, pay, power, start, thief, tiny, with_fee, world, world_with},
};
use crate::{
    account::LeafValues,
    float::FLOAT40_MANTISSA,
    operation::DebitValues,
    testkit::{Forged, Start, leaf_hash},
    transition::BatchValues,
};

/// Variables of a paying side before its token's bits: index bits, inverse, activity, key.
fn before_token(shape: &Shape) -> usize {
    2 * usize::from(shape.depth) + 4
}

pub(super) fn attacks() -> Vec<Attack> {
    let one_sided = [
        Attack {
            name: "transfer-of-another-token",
            rule: "transfer/sender",
            rows: &["B7"],
            story: "Worthless coins of token 7 arrive as token 8: the prover moves part of the \
                    nonce into a fraction of the token id.",
            make: other_token_of_the_sender,
        },
        Attack {
            name: "received-as-another-token",
            rule: "transfer/receiver",
            rows: &["B7"],
            story: "Coins of token 0 are credited to an account in token 7, whose lane opens as \
                    token 0 with a nonce beyond 40 bits.",
            make: other_token_of_the_receiver,
        },
        Attack {
            name: "doubled-credit",
            rule: "transfer/receiver",
            rows: &["B1", "D3"],
            story: "The receiver is credited with more than was paid: money from nothing, and \
                    whoever leaves last finds the escrow empty.",
            make: doubled_credit,
        },
    ];
    [
        one_sided.to_vec(),
        both_sides!(
            "overdraft",
            "/sender_can_pay",
            ["B5"],
            "The account pays one more than it has: its balance becomes r − 1.",
            overdraft
        )
        .to_vec(),
        both_sides!(
            "overdraft-by-the-fee",
            "/sender_can_pay",
            ["B5"],
            "The account has the amount and not the fee: its balance becomes r − 1.",
            overdraft_by_the_fee
        )
        .to_vec(),
        both_sides!(
            "balance-wrap",
            "/sender_can_pay",
            ["B4", "B5"],
            "The largest amount there is, 10^31 times 2^35: no balance below 2^128 pays for it.",
            balance_wrap
        )
        .to_vec(),
        both_sides!(
            "negative-amount",
            "/float_is_in_range",
            ["B5", "B7"],
            "The packed amount reads 100 and its bits give −343,597,382,680: the payer is paid.",
            negative_amount
        )
        .to_vec(),
        both_sides!(
            "spent-and-kept",
            "",
            ["B1", "D3"],
            "The payer's leaf is written with the balance it had: the same coins are spent again \
             and again.",
            spent_and_kept
        )
        .to_vec(),
        both_sides!(
            "last-nonce",
            "/nonce_has_successor",
            ["C6"],
            "Nonce 2^40 − 1 is followed by 2^40, which reads as nonce 0 of the next token: the \
             balance changes its token.",
            last_nonce
        )
        .to_vec(),
        both_sides!(
            "expired",
            "/not_expired",
            ["C5"],
            "A payment is executed after the last second for which the holder signed it.",
            expired
        )
        .to_vec(),
        both_sides!(
            "borrowed-nonce",
            "/not_expired",
            ["C6", "B7"],
            "(nonce, expiry + 2^40) packs like (nonce + 1, expiry): an expired payment is executed \
             early, with a nonce that it was not signed for.",
            borrowed_nonce
        )
        .to_vec(),
        both_sides!(
            "fee-to-nobody",
            "/fee_is_credited_once",
            ["D11"],
            "The sender pays a fee that nobody gets: less is in accounts than in escrow.",
            fee_to_nobody
        )
        .to_vec(),
        both_sides!(
            "fee-in-another-token",
            "/fee_is_credited_once",
            ["D11"],
            "The fee is paid in token 0 and collected in token 7.",
            fee_in_another_token
        )
        .to_vec(),
        both_sides!(
            "fee-multiplied",
            "/fee_is_credited_once",
            ["D11", "D3"],
            "A fee of 3 is collected as 1,000: money from nothing for the operator.",
            fee_multiplied
        )
        .to_vec(),
        both_sides!(
            "fee-chosen-twice",
            "/fee_is_credited_once",
            ["D11", "D3"],
            "One fee is collected by two accounts.",
            fee_chosen_twice
        )
        .to_vec(),
        both_sides!(
            "unused-slot-pays",
            "/unused_slot_is_zero",
            ["D8"],
            "A slot that no account pays for publishes an amount: L1 pays it out, or whoever \
             rebuilds the state stumbles over it.",
            unused_slot_pays
        )
        .to_vec(),
        both_sides!(
            "unused-slot-charges",
            "/unused_slot_is_zero",
            ["D8"],
            "A slot that no account pays for publishes a fee.",
            unused_slot_charges
        )
        .to_vec(),
    ]
    .concat()
}

fn overdraft(_: &Workbench, side: Side) -> Pair {
    by_one_thing(side, pay(2, 3, 1_000), pay(2, 3, 1_001))
}

fn overdraft_by_the_fee(_: &Workbench, side: Side) -> Pair {
    by_one_thing(
        side,
        with_fee(1, 0, pay(2, 3, 999)),
        with_fee(1, 0, pay(2, 3, 1_000)),
    )
}

fn balance_wrap(_: &Workbench, side: Side) -> Pair {
    let largest = Forged {
        amount: Float40::from_packed((1 << 40) - 1).expect("40 bits"),
        ..pay(2, 3, 0)
    };
    by_one_thing(side, pay(2, 3, 1_000), largest)
}

/// Mantissa − 2^35 under exponent 1 packs like the mantissa under exponent 0.
fn negative_amount(bench: &Workbench, side: Side) -> Pair {
    let executed = (Fr::from(100u64) - power(35)) * Fr::from(10u64);
    let values = side.batch(&Forged {
        executed: Some(executed),
        ..pay(2, 3, 100)
    });
    let bits = bench.variables(&side.rule("float_is_in_range"), 0);
    let forged = Witness::of(values)
        .add(bits[FLOAT40_MANTISSA - 1], -Fr::from(2u64))
        .set(bits[FLOAT40_MANTISSA], Fr::ONE);
    let honest = Witness::of(side.batch(&pay(2, 3, 100)));
    Pair { honest, forged }
}

fn spent_and_kept(bench: &Workbench, side: Side) -> Pair {
    let mut leaf = *world().leaf(2);
    leaf.nonce += Fr::ONE;
    let values = side.batch(&Forged {
        written: Some(leaf),
        ..pay(2, 3, 100)
    });
    Pair {
        honest: Witness::of(side.batch(&pay(2, 3, 100))),
        forged: Witness::of(values).set(bench.last(side.path(), 0), leaf_hash(&leaf)),
    }
}

/// `token·2^40 + nonce` of the sender and of a receiver in the next token, both opened under a
/// token between the two.
fn other_token_of_the_sender(bench: &Workbench) -> Pair {
    let batch = |token| {
        let receiver = Start {
            nonce: 0,
            ..start(9, token, 0)
        };
        world_with(&[receiver], &[])
    };
    let mut honest = batch(7);
    honest.transfer(&pay(4, 9, 100));

    let fraction = Fr::from(5u64) * power(40).inverse().expect("not zero");
    let token = Fr::from(7u64) + fraction;
    let mut forged = batch(8);
    for (index, nonce) in [(4, Fr::ZERO), (9, power(40) - Fr::from(5u64))] {
        let leaf = forged.leaf(index);
        (leaf.token, leaf.nonce) = (token, nonce);
    }
    forged.transfer(&pay(4, 9, 100)).debit.account.token = Fr::from(7u64);
    let lowest_bit = bench.variables("transfer/sender", 0)[before_token(bench.shape())];
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).add(lowest_bit, fraction),
    }
}

fn other_token_of_the_receiver(bench: &Workbench) -> Pair {
    let mut batch = world();
    let leaf = batch.leaf(5);
    leaf.nonce += leaf.token * power(40);
    leaf.token = Fr::ZERO;
    batch.transfer(&pay(2, 5, 100)).receiver.nonce = Fr::from(5u64);
    // Two variables of the key come first; 7·2^40 = 14·2^39.
    let highest_bit = bench.variables("transfer/receiver", 0)[2 + 39];
    Pair {
        honest: Witness::of(Side::Transfer.batch(&pay(2, 3, 100))),
        forged: Witness::of(batch.finish()).add(highest_bit, Fr::from(14u64)),
    }
}

fn doubled_credit(bench: &Workbench) -> Pair {
    let values = Side::Transfer.batch(&pay(2, 67, 100));
    let credited = LeafValues {
        balance: Fr::from(700u64),
        ..values.transfers[0].receiver
    };
    let honest = Witness::of(values);
    let written = bench.last("transfer/receiver", 0);
    Pair {
        forged: honest.clone().set(written, leaf_hash(&credited)),
        honest,
    }
}

fn last_nonce(_: &Workbench, side: Side) -> Pair {
    let last = (1 << 40) - 1;
    let [honest, forged] = [last - 1, last].map(|nonce| {
        let account = Start {
            nonce,
            ..start(9, 0, 1_000)
        };
        let mut batch = world_with(&[account], &[]);
        side.append(&mut batch, &pay(9, 3, 100));
        Witness::of(batch.finish())
    });
    Pair { honest, forged }
}

fn expired(_: &Workbench, side: Side) -> Pair {
    let until = |valid_until| Forged {
        valid_until,
        ..pay(2, 3, 100)
    };
    by_one_thing(side, until(1_000), until(999))
}

fn borrowed_nonce(bench: &Workbench, side: Side) -> Pair {
    let expired = Forged {
        valid_until: 500,
        ..pay(2, 3, 100)
    };
    let mut later = world();
    later.leaf(2).nonce += Fr::ONE;
    side.append(&mut later, &expired);
    let mut values = side.batch(&expired);
    side.slot(&mut values).signature = side.slot(&mut later.finish()).signature;
    let highest_bit = bench.variables(&side.rule("not_expired"), 0)[39];
    Pair {
        honest: Witness::of(side.batch(&pay(2, 3, 100))),
        forged: Witness::of(values).add(highest_bit, Fr::from(2u64)),
    }
}

fn paying_a_fee() -> Forged {
    with_fee(3, 0, pay(2, 3, 100))
}

fn fee_to_nobody(_: &Workbench, side: Side) -> Pair {
    let unpaid = Forged {
        fee_slot: None,
        ..paying_a_fee()
    };
    by_one_thing(side, paying_a_fee(), unpaid)
}

fn fee_in_another_token(_: &Workbench, side: Side) -> Pair {
    by_one_thing(side, paying_a_fee(), with_fee(3, 1, pay(2, 3, 100)))
}

fn fee_multiplied(bench: &Workbench, side: Side) -> Pair {
    let mut batch = world();
    side.append(&mut batch, &paying_a_fee());
    batch.credit(0, Fr::from(997u64));
    let variables = bench.variables(&side.rule("fee_is_credited_once"), 0);
    // One choice for each fee slot, then one credit for each.
    let credit = variables[usize::from(tiny().fee_slots)];
    Pair {
        honest: Witness::of(side.batch(&paying_a_fee())),
        forged: Witness::of(batch.finish()).set(credit, Fr::from(1_000u64)),
    }
}

fn fee_chosen_twice(_: &Workbench, side: Side) -> Pair {
    let mut batch = world();
    side.append(&mut batch, &paying_a_fee());
    batch.credit(1, Fr::from(3u64));
    let mut forged = batch.finish();
    side.slot(&mut forged).fee_choice = vec![true, true];
    Pair {
        honest: Witness::of(side.batch(&paying_a_fee())),
        forged: Witness::of(forged),
    }
}

/// The first unused slot of a side, edited and signed by the thief, whose key nobody asks for.
fn unused(side: Side, collected: u64, edit: impl Fn(&mut DebitValues)) -> Pair {
    let honest = thiefs_unused_slot(side, 0);
    let mut values = thiefs_unused_slot(side, collected);
    edit(side.slot(&mut values));
    side.sign(&mut values, &thief());
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(values),
    }
}

fn thiefs_unused_slot(side: Side, collected: u64) -> BatchValues {
    let mut batch = world();
    batch.credit(0, Fr::from(collected));
    let mut values = batch.finish();
    let slot = side.slot(&mut values);
    let key = thief().public_key();
    (slot.account.ax, slot.account.ay) = (key.x, key.y);
    slot.account.balance = Fr::from(10u64);
    side.sign(&mut values, &thief());
    values
}

fn unused_slot_pays(_: &Workbench, side: Side) -> Pair {
    unused(side, 0, |slot| slot.amount = Fr::ONE)
}

/// The fee is collected, so that nothing else is wrong with it.
fn unused_slot_charges(_: &Workbench, side: Side) -> Pair {
    unused(side, 1, |slot| {
        slot.fee = Fr::ONE;
        slot.fee_choice = vec![true, false];
    })
}

/// Two batches with one operation each.
fn by_one_thing(side: Side, honest: Forged, forged: Forged) -> Pair {
    Pair {
        honest: Witness::of(side.batch(&honest)),
        forged: Witness::of(side.batch(&forged)),
    }
}
