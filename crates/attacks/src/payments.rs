//! Spending what one does not have: balances, nonces, time, fees, unused slots.

use ark_ff::{AdditiveGroup, Field};
use circuits::{
    account::LeafValues,
    float::{EXPONENT, FLOAT40_MANTISSA},
    operation::DebitValues,
    transition::BatchValues,
};
use ledger::{
    field::Fr,
    float::{Float16, Float40},
};

use crate::{
    attack::{Attack, both_sides},
    bench::{Pair, Witness, Workbench},
    forger::{Forged, Forger, Start, leaf_hash},
    world::{
        Side, TWIN, between_twins, empty_path, pay, power, published_as, start, thief, transfer_of,
        twins, with_fee, world, world_with,
    },
};

pub(crate) fn attacks() -> Vec<Attack> {
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
            name: "unused-slot-names-a-receiver",
            rule: "transfer/sender/unused_slot_is_zero",
            rows: &["D8"],
            story: "A slot that no account pays for publishes a receiver.",
            make: unused_slot_names_a_receiver,
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
            "longer-mantissa",
            "/float_is_in_range",
            ["B5"],
            "The holder signed 10, spelled 1·10^1; read as a mantissa of 36 bits it is \
             34,359,738,369.",
            longer_mantissa
        )
        .to_vec(),
        both_sides!(
            "longer-exponent",
            "/float_is_in_range",
            ["B5"],
            "The amount's exponent borrows from the field above it: 1 becomes 10^32.",
            longer_exponent
        )
        .to_vec(),
        both_sides!(
            "longer-fee-mantissa",
            "/float_is_in_range",
            ["B5", "D11"],
            "The holder signed a fee of 10, spelled 1·10^1; read as a mantissa of 12 bits it is \
             2,049.",
            longer_fee_mantissa
        )
        .to_vec(),
        both_sides!(
            "longer-fee-exponent",
            "/float_is_in_range",
            ["B5", "D11"],
            "The fee's exponent borrows from the amount above it: a fee of 1 becomes 10^32.",
            longer_fee_exponent
        )
        .to_vec(),
        both_sides!(
            "in-between",
            "",
            ["B7", "D4", "E2"],
            "The index bits add up to one account of the thief's and lead between two others: what it \
             pays is published and charged to none.",
            in_between
        )
        .to_vec(),
        both_sides!(
            "published-and-not-executed",
            "",
            ["D8"],
            "A slot names an account that nobody has and executes nothing: whoever rebuilds the \
             state stumbles over it.",
            published_and_not_executed
        )
        .to_vec(),
        both_sides!(
            "of-no-token",
            "",
            ["B7"],
            "An account opens in a token beyond 32 bits, which may be the number that stands for \
             an unused fee slot.",
            of_no_token
        )
        .to_vec(),
        both_sides!(
            "nonce-from-the-token",
            "/nonce_has_successor",
            ["B7", "C6"],
            "An account of token 7 opens as one of token 6 with a nonce beyond 40 bits: worthless \
             coins are spent as others.",
            nonce_from_the_token
        )
        .to_vec(),
        both_sides!(
            "late-by-a-bit",
            "/not_expired",
            ["B4", "C5"],
            "An expired payment is executed: the bits of what is left of its time add up to −1.",
            late_by_a_bit
        )
        .to_vec(),
        both_sides!(
            "overdraft-by-a-bit",
            "/sender_can_pay",
            ["B4", "B5"],
            "The account pays one more than it has: the bits of what is left of its balance add up \
             to −1.",
            overdraft_by_a_bit
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

fn overdraft(bench: &Workbench, side: Side) -> Pair {
    by_one_thing(bench, side, pay(2, 3, 1_000), pay(2, 3, 1_001))
}

fn overdraft_by_the_fee(bench: &Workbench, side: Side) -> Pair {
    by_one_thing(
        bench,
        side,
        with_fee(1, bench.fee_slot(), pay(2, 3, 999)),
        with_fee(1, bench.fee_slot(), pay(2, 3, 1_000)),
    )
}

fn balance_wrap(bench: &Workbench, side: Side) -> Pair {
    let largest = Forged {
        amount: Float40::from_packed((1 << 40) - 1).expect("40 bits"),
        ..pay(2, 3, 0)
    };
    by_one_thing(bench, side, pay(2, 3, 1_000), largest)
}

/// Mantissa − 2^35 under exponent 1 packs like the mantissa under exponent 0.
fn negative_amount(bench: &Workbench, side: Side) -> Pair {
    let executed = (Fr::from(100u64) - power(35)) * Fr::from(10u64);
    let values = side.batch(
        bench,
        &Forged {
            executed: Some(executed),
            ..pay(2, 3, 100)
        },
    );
    let rule = side.rule("float_is_in_range");
    let highest_bit = bench.wire(&rule, "mantissa") + FLOAT40_MANTISSA - 1;
    // What is left for the exponent is 1 by itself.
    let forged = Witness::of(values).add(highest_bit, -Fr::from(2u64));
    let honest = Witness::of(side.batch(bench, &pay(2, 3, 100)));
    Pair { honest, forged }
}

fn spent_and_kept(bench: &Workbench, side: Side) -> Pair {
    let mut leaf = *world(bench).leaf(2);
    leaf.nonce += Fr::ONE;
    let values = side.batch(
        bench,
        &Forged {
            written: Some(leaf),
            ..pay(2, 3, 100)
        },
    );
    Pair {
        honest: Witness::of(side.batch(bench, &pay(2, 3, 100))),
        forged: Witness::of(values).set(bench.wire(side.path(), "written"), leaf_hash(&leaf)),
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
        world_with(bench, &[receiver], [0, 0])
    };
    let mut honest = batch(7);
    Side::Transfer.append(bench, &mut honest, &pay(4, 9, 100));

    let fraction = Fr::from(5u64) * power(40).inverse().expect("not zero");
    let token = Fr::from(7u64) + fraction;
    let mut forged = batch(8);
    for (index, nonce) in [(4, Fr::ZERO), (9, power(40) - Fr::from(5u64))] {
        let leaf = forged.leaf(index);
        (leaf.token, leaf.nonce) = (token, nonce);
    }
    Side::Transfer.append(bench, &mut forged, &pay(4, 9, 100));
    let mut forged = forged.finish();
    Side::Transfer.slot(bench, &mut forged).account.token = Fr::from(7u64);
    let lowest_bit = bench.wire("transfer/sender", "token");
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged).add(lowest_bit, fraction),
    }
}

/// Account 5, in token 7, opens as one in token 6.
fn other_token_of_the_receiver(bench: &Workbench) -> Pair {
    let batch = || world_with(bench, &[start(9, 6, 500)], [0, 0]);
    let mut honest = batch();
    Side::Transfer.append(bench, &mut honest, &pay(9, 9, 100));
    let mut forged = batch();
    let leaf = forged.leaf(5);
    leaf.nonce += power(40);
    leaf.token -= Fr::ONE;
    Side::Transfer.append(bench, &mut forged, &pay(9, 5, 100));
    let (first, bit) = (bench.wire("transfer/receiver", "nonce"), bench.bit(40));
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).carry(first, bit),
    }
}

fn doubled_credit(bench: &Workbench) -> Pair {
    let mut values = Side::Transfer.batch(bench, &pay(2, 67, 100));
    let credited = LeafValues {
        balance: Fr::from(700u64),
        ..transfer_of(bench, &mut values).receiver
    };
    let honest = Witness::of(values);
    let written = bench.wire("transfer/receiver", "written");
    Pair {
        forged: honest.clone().set(written, leaf_hash(&credited)),
        honest,
    }
}

fn last_nonce(bench: &Workbench, side: Side) -> Pair {
    let last = (1 << 40) - 1;
    let [honest, forged] = [last - 1, last].map(|nonce| {
        let account = Start {
            nonce,
            ..start(9, 0, 1_000)
        };
        let mut batch = world_with(bench, &[account], [0, 0]);
        side.append(bench, &mut batch, &pay(9, 3, 100));
        Witness::of(batch.finish())
    });
    Pair { honest, forged }
}

fn expired(bench: &Workbench, side: Side) -> Pair {
    let until = |valid_until| Forged {
        valid_until,
        ..pay(2, 3, 100)
    };
    by_one_thing(bench, side, until(1_000), until(999))
}

fn borrowed_nonce(bench: &Workbench, side: Side) -> Pair {
    let expired = Forged {
        valid_until: 500,
        ..pay(2, 3, 100)
    };
    let mut later = world(bench);
    later.leaf(2).nonce += Fr::ONE;
    side.append(bench, &mut later, &expired);
    let mut values = side.batch(bench, &expired);
    side.slot(bench, &mut values).signature = side.slot(bench, &mut later.finish()).signature;
    side.slot(bench, &mut values).valid_until += power(40);
    let (first, bit) = (
        bench.wire(&side.rule("not_expired"), "valid_until"),
        bench.bit(40),
    );
    Pair {
        honest: Witness::of(side.batch(bench, &pay(2, 3, 100))),
        forged: Witness::of(values).carry(first, bit),
    }
}

fn paying_a_fee(bench: &Workbench) -> Forged {
    with_fee(3, bench.fee_slot(), pay(2, 3, 100))
}

fn fee_to_nobody(bench: &Workbench, side: Side) -> Pair {
    let unpaid = Forged {
        fee_slot: None,
        ..paying_a_fee(bench)
    };
    by_one_thing(bench, side, paying_a_fee(bench), unpaid)
}

/// The slot under attack collects token 7, the other one token 0.
fn fee_in_another_token(bench: &Workbench, side: Side) -> Pair {
    let batch = |slot| {
        let mut batch = world_with(bench, &[], [4, 1]);
        side.append(bench, &mut batch, &with_fee(3, slot, pay(2, 3, 100)));
        Witness::of(batch.finish())
    };
    Pair {
        honest: batch(bench.other_fee_slot()),
        forged: batch(bench.fee_slot()),
    }
}

fn fee_multiplied(bench: &Workbench, side: Side) -> Pair {
    let mut batch = world(bench);
    side.append(bench, &mut batch, &paying_a_fee(bench));
    batch.credit(bench.fee_slot(), Fr::from(997u64));
    let credits = bench.wires(&side.rule("fee_is_credited_once"), "credit");
    let credit = credits[bench.fee_slot()];
    Pair {
        honest: Witness::of(side.batch(bench, &paying_a_fee(bench))),
        forged: Witness::of(batch.finish()).set(credit, Fr::from(1_000u64)),
    }
}

fn fee_chosen_twice(bench: &Workbench, side: Side) -> Pair {
    let mut batch = world(bench);
    side.append(bench, &mut batch, &paying_a_fee(bench));
    batch.credit(bench.other_fee_slot(), Fr::from(3u64));
    let mut forged = batch.finish();
    let choice = &mut side.slot(bench, &mut forged).fee_choice;
    choice[bench.other_fee_slot()] = true;
    Pair {
        honest: Witness::of(side.batch(bench, &paying_a_fee(bench))),
        forged: Witness::of(forged),
    }
}

/// The first unused slot of a side, edited and signed by the thief, whose key nobody asks for.
fn unused(bench: &Workbench, side: Side, collected: u64, edit: impl Fn(&mut DebitValues)) -> Pair {
    let honest = thiefs_unused_slot(bench, side, 0);
    let mut values = thiefs_unused_slot(bench, side, collected);
    edit(side.slot(bench, &mut values));
    side.sign(bench, &mut values, &thief());
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(values),
    }
}

fn thiefs_unused_slot(bench: &Workbench, side: Side, collected: u64) -> BatchValues {
    let mut batch = world(bench);
    batch.credit(bench.fee_slot(), Fr::from(collected));
    let mut values = batch.finish();
    let slot = side.slot(bench, &mut values);
    let key = thief().public_key();
    (slot.account.ax, slot.account.ay) = (key.x, key.y);
    slot.account.balance = Fr::from(10u64);
    side.sign(bench, &mut values, &thief());
    values
}

fn unused_slot_pays(bench: &Workbench, side: Side) -> Pair {
    unused(bench, side, 0, |slot| slot.amount = Fr::ONE)
}

/// The fee is collected, so that nothing else is wrong with it.
fn unused_slot_charges(bench: &Workbench, side: Side) -> Pair {
    unused(bench, side, 1, |slot| {
        slot.fee = Fr::ONE;
        slot.fee_choice[bench.fee_slot()] = true;
    })
}

/// Two batches with one operation each.
fn by_one_thing(bench: &Workbench, side: Side, honest: Forged, forged: Forged) -> Pair {
    Pair {
        honest: Witness::of(side.batch(bench, &honest)),
        forged: Witness::of(side.batch(bench, &forged)),
    }
}

fn unused_slot_names_a_receiver(bench: &Workbench) -> Pair {
    let honest = thiefs_unused_slot(bench, Side::Transfer, 0);
    let mut values = honest.clone();
    let slot = transfer_of(bench, &mut values);
    // The receiver of an unused slot is not opened either: its place must be empty.
    slot.to = Fr::from(130u64);
    slot.receiver_path = empty_path(bench);
    Side::Transfer.sign(bench, &mut values, &thief());
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(values),
    }
}

/// The twins have the key of account 3, under whose index they are published. With one bit more,
/// an index `4^depth` further than the true one is published.
fn in_between(bench: &Workbench, side: Side) -> Pair {
    let mut batch = twins(bench, 1);
    side.append(bench, &mut batch, &pay(TWIN, 2, 100));
    let honest = batch.finish();
    let forged = published_as(bench, &honest, |values, index| {
        side.slot(bench, values).from = index;
        side.sign(bench, values, world(bench).key(3));
    });
    let [between, beyond] = forged;
    let index = bench.wire(side.path(), "from");
    Pair {
        honest: Witness::of(honest),
        forged: between_twins(bench, Witness::of(between), index).or_beyond(index, beyond),
    }
}

/// Index 130 is empty: the slot opens nothing there.
fn published_and_not_executed(bench: &Workbench, side: Side) -> Pair {
    let honest = thiefs_unused_slot(bench, side, 0);
    let mut values = honest.clone();
    let slot = side.slot(bench, &mut values);
    slot.from = Fr::from(130u64);
    slot.path = empty_path(bench);
    side.sign(bench, &mut values, &thief());
    let active = bench.wire(side.path(), "active");
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(values)
            .set(active, Fr::ZERO)
            .set(active + 1, Fr::ZERO),
    }
}

fn of_no_token(bench: &Workbench, side: Side) -> Pair {
    let batch = |token: Fr| {
        let mut batch = world(bench);
        for index in [4, 5] {
            let leaf = LeafValues {
                token,
                ..*batch.leaf(index)
            };
            batch.set_up(index, leaf);
        }
        // Their fee account is in token 7 still.
        batch.values.fees[bench.other_fee_slot()].index = Fr::ZERO;
        side.append(bench, &mut batch, &pay(4, 5, 100));
        Witness::of(batch.finish())
    };
    let (first, bit) = (bench.wire(side.path(), "token"), bench.bit(32));
    Pair {
        honest: batch(Fr::from(7u64)),
        forged: batch(power(32) + Fr::from(7u64)).carry(first, bit),
    }
}

fn nonce_from_the_token(bench: &Workbench, side: Side) -> Pair {
    let batch = || world_with(bench, &[start(9, 6, 500)], [0, 0]);
    let mut honest = batch();
    side.append(bench, &mut honest, &pay(9, 9, 100));
    let mut forged = batch();
    let leaf = forged.leaf(4);
    leaf.nonce += power(40);
    leaf.token -= Fr::ONE;
    side.append(bench, &mut forged, &pay(4, 9, 100));
    let (first, bit) = (
        bench.wire(&side.rule("nonce_has_successor"), "nonce"),
        bench.bit(40),
    );
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).carry(first, bit),
    }
}

fn late_by_a_bit(bench: &Workbench, side: Side) -> Pair {
    let until = |valid_until| Forged {
        valid_until,
        ..pay(2, 3, 100)
    };
    let (first, bit) = (bench.wire(&side.rule("not_expired"), "left"), bench.bit(40));
    let Pair { honest, forged } = by_one_thing(bench, side, until(1_000), until(999));
    Pair {
        honest,
        forged: forged.carry(first, bit),
    }
}

/// A circuit with one bit more takes a balance of `2^128` and more.
fn overdraft_by_a_bit(bench: &Workbench, side: Side) -> Pair {
    let mut rich = world(bench);
    let leaf = LeafValues {
        balance: power(128) + Fr::from(500u64),
        ..*rich.leaf(2)
    };
    rich.set_up(2, leaf);
    side.append(bench, &mut rich, &pay(2, 3, 100));
    let (first, bit) = (
        bench.wire(&side.rule("sender_can_pay"), "left"),
        bench.bit(128),
    );
    let Pair { honest, forged } = by_one_thing(bench, side, pay(2, 3, 1_000), pay(2, 3, 1_001));
    Pair {
        honest,
        forged: forged.carry(first, bit).or_beyond(first, rich.finish()),
    }
}

/// An account that can pay `10^32` and a fee of `10^32`.
fn whale(bench: &Workbench) -> Forger {
    world_with(bench, &[start(9, 0, 1 << 110)], [1, 4])
}

/// `10^32`, and what a bit of an exponent stands for that carries 32.
fn longer_exponents(bit: usize) -> [Fr; 2] {
    let power_of_ten = |exponent| Fr::from(10u64).pow([exponent]);
    let carried = Fr::from(32u64 >> bit) * (power_of_ten(1 << bit) - Fr::ONE) + Fr::ONE;
    [power_of_ten(32), carried]
}

fn longer_mantissa(bench: &Workbench, side: Side) -> Pair {
    let ten = Float40::from_packed(1 << 35 | 1).expect("40 bits");
    let batch = |executed| {
        let mut batch = whale(bench);
        let forged = Forged {
            amount: ten,
            executed: Some(executed),
            ..pay(9, 3, 0)
        };
        side.append(bench, &mut batch, &forged);
        Witness::of(batch.finish())
    };
    let (first, bit) = (
        bench.wires(&side.rule("float_is_in_range"), "mantissa")[0],
        bench.bit(35),
    );
    Pair {
        honest: batch(Fr::from(10u64)),
        forged: batch(power(35) + Fr::ONE).carry(first, bit),
    }
}

fn longer_exponent(bench: &Workbench, side: Side) -> Pair {
    let batch = |executed| {
        let mut batch = whale(bench);
        let forged = Forged {
            executed: Some(executed),
            ..pay(9, 3, 1)
        };
        side.append(bench, &mut batch, &forged);
        batch.finish()
    };
    let [wider, carried] = longer_exponents(bench.bit(EXPONENT)).map(|executed| {
        let mut values = batch(executed);
        side.slot(bench, &mut values).amount += power(40);
        side.sign(bench, &mut values, whale(bench).key(9));
        values
    });
    let (first, bit) = (
        bench.wires(&side.rule("float_is_in_range"), "exponent")[0],
        bench.bit(EXPONENT),
    );
    Pair {
        honest: Witness::of(batch(Fr::ONE)),
        forged: Witness::of(carried)
            .carry(first, bit)
            .or_beyond(first, wider),
    }
}

/// A payment of 100 whose fee is published as `published` and executed as `executed`.
fn with_executed_fee(
    bench: &Workbench,
    side: Side,
    published: Float16,
    executed: Fr,
) -> BatchValues {
    let mut batch = whale(bench);
    let leaf = *batch.leaf(9);
    let slot = bench.fee_slot();
    let forged = Forged {
        fee: published,
        fee_slot: Some(slot),
        written: Some(LeafValues {
            nonce: leaf.nonce + Fr::ONE,
            balance: leaf.balance - Fr::from(100u64) - executed,
            ..leaf
        }),
        ..pay(9, 3, 100)
    };
    side.append(bench, &mut batch, &forged);
    batch.credit(slot, executed - Fr::from(published.value()));
    batch.finish()
}

fn longer_fee_mantissa(bench: &Workbench, side: Side) -> Pair {
    let ten = Float16::from_packed(1 << 11 | 1).expect("16 bits");
    let batch = |executed| Witness::of(with_executed_fee(bench, side, ten, executed));
    let (first, bit) = (
        bench.wires(&side.rule("float_is_in_range"), "mantissa")[1],
        bench.bit(11),
    );
    Pair {
        honest: batch(Fr::from(10u64)),
        forged: batch(power(11) + Fr::ONE).carry(first, bit),
    }
}

fn longer_fee_exponent(bench: &Workbench, side: Side) -> Pair {
    let one = Float16::exact(1).expect("16 bits");
    let [wider, carried] = longer_exponents(bench.bit(EXPONENT)).map(|executed| {
        let mut values = with_executed_fee(bench, side, one, executed);
        side.slot(bench, &mut values).fee += power(16);
        side.sign(bench, &mut values, whale(bench).key(9));
        values
    });
    let (first, bit) = (
        bench.wires(&side.rule("float_is_in_range"), "exponent")[1],
        bench.bit(EXPONENT),
    );
    Pair {
        honest: Witness::of(with_executed_fee(bench, side, one, Fr::ONE)),
        forged: Witness::of(carried)
            .carry(first, bit)
            .or_beyond(first, wider),
    }
}
