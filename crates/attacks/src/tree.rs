//! Accounts that the tree does not have, at places where they are not, as they were before.

use circuits::account::LeafValues;
use ledger::{field::Fr, poseidon::compress4};

use crate::{
    attack::{Attack, both_sides},
    bench::{Pair, Witness, Workbench},
    forger::{Forger, leaf_hash},
    world::{
        Side, TWIN, between_twins, pay, published_as, start, thief, transfer_of, twins, with_fee,
        world, world_with,
    },
};

pub(crate) fn attacks() -> Vec<Attack> {
    let one_sided = [
        Attack {
            name: "receiver-in-between",
            rule: "transfer",
            rows: &["B7", "D4", "E2"],
            story: "The index bits add up to the merchant's account 3 and lead between two twin \
                    accounts of the thief: the payment is published and never arrives.",
            make: receiver_in_between,
        },
        Attack {
            name: "phantom-receiver",
            rule: "transfer/receiver/leaf_is_in_tree",
            rows: &["D5"],
            story: "A transfer to an index that was never assigned makes an account out of \
                    nothing, with a balance of the prover's choice.",
            make: phantom_receiver,
        },
        Attack {
            name: "self-transfer-doubles",
            rule: "transfer/receiver/cached_root_is_current",
            rows: &["D1"],
            story: "The sender is shown once more as it was before it paid, as the receiver: its \
                    money doubles.",
            make: self_transfer_doubles,
        },
        Attack {
            name: "receiver-of-the-past",
            rule: "transfer/receiver/cached_root_is_current",
            rows: &["D10", "E6"],
            story: "The second payment of a batch is added to the balance before the first: the \
                    receiver loses the first.",
            make: receiver_of_the_past,
        },
        Attack {
            name: "rewritten-bystander",
            rule: "transfer/sender/cached_root_is_current",
            rows: &["E5"],
            story: "Between two slots the prover's tree makes account 67 rich. Circuits that take \
                    the new root from a path of its own let this pass.",
            make: rewritten_bystander,
        },
        Attack {
            name: "phantom-fee-account",
            rule: "collect_fees/leaf_is_in_tree",
            rows: &["D6"],
            story: "Fees are collected by an account that the tree does not have, with a balance \
                    of the operator's choice.",
            make: phantom_fee_account,
        },
        Attack {
            name: "fee-account-of-the-past",
            rule: "collect_fees/cached_root_is_current",
            rows: &["D2", "E6"],
            story: "Fees are added to the fee account as it was before the batch: what it received \
                    in the batch is lost.",
            make: fee_account_of_the_past,
        },
    ];
    [
        one_sided.to_vec(),
        both_sides!(
            "phantom",
            "/leaf_is_in_tree",
            ["D6"],
            "An account that nobody ever paid for spends a million.",
            phantom
        )
        .to_vec(),
        both_sides!(
            "grafted",
            "/leaf_is_in_tree",
            ["D6"],
            "An account that nobody ever paid for hangs on a branch of the prover's own, in which \
             everything below is as it should be: it spends a million.",
            grafted
        )
        .to_vec(),
        both_sides!(
            "borrowed-balance",
            "/leaf_is_in_tree",
            ["E5"],
            "The account opens with a balance that it does not have.",
            borrowed_balance
        )
        .to_vec(),
        both_sides!(
            "key-takeover",
            "/leaf_is_in_tree",
            ["C8"],
            "The victim's leaf is shown with the thief's key in it: the thief's signature is \
             valid, and the account is the thief's from now on.",
            key_takeover
        )
        .to_vec(),
        both_sides!(
            "neighbours-place",
            "/leaf_is_in_tree",
            ["E3"],
            "The thief's own leaf is shown at the victim's index: it overwrites the victim's.",
            neighbours_place
        )
        .to_vec(),
        both_sides!(
            "spent-twice",
            "/cached_root_is_current",
            ["C6", "E6"],
            "The same slot twice, signature and all: the second opens the account as it was \
             before the first.",
            spent_twice
        )
        .to_vec(),
    ]
    .concat()
}

/// The twins' places are equal up to a bit of the index, which can then be anything. With one bit
/// more, an index `4^depth` further than the true one is published.
fn receiver_in_between(bench: &Workbench) -> Pair {
    let mut batch = twins(bench, 1);
    Side::Transfer.append(bench, &mut batch, &pay(2, TWIN, 100));
    let honest = batch.finish();
    let [between, beyond] = published_as(bench, &honest, |values, index| {
        transfer_of(bench, values).to = index;
        Side::Transfer.sign(bench, values, world(bench).key(2));
    });
    let index = bench.wire("transfer", "to");
    Pair {
        honest: Witness::of(honest),
        forged: between_twins(bench, Witness::of(between), index).or_beyond(index, beyond),
    }
}

/// `slot` appended to a world in which `index` has an account, and to one in which it has none.
fn with_and_without(bench: &Workbench, index: u32, append: impl Fn(&mut Forger)) -> Pair {
    let account = start(index, 0, 1_000_000);
    let mut real = world_with(bench, &[account], [1, 4]);
    append(&mut real);
    let mut forged = world(bench);
    forged.claim(&account);
    append(&mut forged);
    Pair {
        honest: Witness::of(real.finish()),
        forged: Witness::of(forged.finish()),
    }
}

fn phantom(bench: &Workbench, side: Side) -> Pair {
    with_and_without(bench, 9, |batch| {
        side.append(bench, batch, &pay(9, 3, 1_000_000))
    })
}

/// A phantom with the nodes above it, up to the second level in a transfer and up to the last in a
/// withdrawal: only there the tree has another node.
fn grafted(bench: &Workbench, side: Side) -> Pair {
    // Why: a node in the first place of its level is also fed forward, and its change with it.
    let index = 0b01_10_01;
    let payment = pay(index, 3, 1_000_000);
    let mut pair = with_and_without(bench, index, |batch| side.append(bench, batch, &payment));
    let mut batch = world(bench);
    batch.claim(&start(index, 0, 1_000_000));
    side.append(bench, &mut batch, &payment);
    let mut values = batch.finish();
    let debit = side.slot(bench, &mut values);
    let levels = match side {
        Side::Transfer => 1,
        Side::Withdrawal => debit.path.len() - 1,
    };
    let mut node = leaf_hash(&debit.account);
    for (level, children) in debit.path.iter_mut().take(levels).enumerate() {
        children[(index as usize >> (2 * level)) & 3] = node;
        node = compress4(children);
    }
    pair.forged = Witness::of(values);
    pair
}

fn phantom_receiver(bench: &Workbench) -> Pair {
    with_and_without(bench, 9, |batch| {
        Side::Transfer.append(bench, batch, &pay(2, 9, 100));
    })
}

fn borrowed_balance(bench: &Workbench, side: Side) -> Pair {
    let mut batch = world(bench);
    batch.leaf(2).balance = Fr::from(1_000_000u64);
    side.append(bench, &mut batch, &pay(2, 3, 1_000_000));
    Pair {
        honest: Witness::of(side.batch(bench, &pay(2, 3, 1_000))),
        forged: Witness::of(batch.finish()),
    }
}

fn key_takeover(bench: &Workbench, side: Side) -> Pair {
    let mut batch = world(bench);
    let (key, leaf) = (thief().public_key(), batch.leaf(2));
    (leaf.ax, leaf.ay) = (key.x, key.y);
    side.append(bench, &mut batch, &pay(2, 3, 100));
    let mut forged = batch.finish();
    side.sign(bench, &mut forged, &thief());
    Pair {
        honest: Witness::of(side.batch(bench, &pay(2, 3, 100))),
        forged: Witness::of(forged),
    }
}

/// Account 2 is the thief's; it is shown at index 3.
fn neighbours_place(bench: &Workbench, side: Side) -> Pair {
    let mut batch = world(bench);
    *batch.leaf(3) = *world(bench).leaf(2);
    side.append(bench, &mut batch, &pay(3, 1, 100));
    let mut forged = batch.finish();
    side.sign(bench, &mut forged, world(bench).key(2));
    Pair {
        honest: Witness::of(side.batch(bench, &pay(3, 1, 100))),
        forged: Witness::of(forged),
    }
}

fn spent_twice(bench: &Workbench, side: Side) -> Pair {
    let pays = |amounts: [u128; 2]| {
        let mut batch = world(bench);
        let [first, second] = amounts.map(|amount| pay(66, 3, amount));
        side.append_two(bench, &mut batch, [&first, &second]);
        batch.finish()
    };
    let honest = Witness::of(pays([600, 400]));
    let mut values = pays([600, 600]);
    let second = side.second(bench);
    match side {
        Side::Transfer => {
            values.transfers[second].debit = values.transfers[second - 1].debit.clone();
        }
        Side::Withdrawal => values.withdrawals[second] = values.withdrawals[second - 1].clone(),
    }
    Pair {
        honest,
        forged: Witness::of(values),
    }
}

fn self_transfer_doubles(bench: &Workbench) -> Pair {
    let honest = Side::Transfer.batch(bench, &pay(66, 66, 1_000));
    let mut forged = honest.clone();
    let slot = transfer_of(bench, &mut forged);
    slot.receiver = slot.debit.account;
    slot.receiver_path = slot.debit.path.clone();
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

fn receiver_of_the_past(bench: &Workbench) -> Pair {
    let mut batch = world(bench);
    let paid = pay(2, 66, 100);
    Side::Transfer.append_two(bench, &mut batch, [&paid, &paid]);
    let honest = batch.finish();
    let mut forged = honest.clone();
    let second = Side::Transfer.second(bench);
    let first = forged.transfers[second - 1].clone();
    forged.transfers[second].receiver = first.receiver;
    forged.transfers[second].receiver_path = first.receiver_path;
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

/// Account 67 has its money before the attacked slot and nowhere in the slots before.
fn rewritten_bystander(bench: &Workbench) -> Pair {
    let run = |balance: u64| {
        let mut batch = world(bench);
        Side::Transfer.append_first(bench, &mut batch, &pay(66, 3, 100));
        let rich = LeafValues {
            balance: Fr::from(balance),
            ..*batch.leaf(67)
        };
        *batch.leaf(67) = rich;
        batch.rewrite_leaf(67, leaf_hash(&rich));
        Side::Transfer.append_second(bench, &mut batch, &pay(67, 3, u128::from(balance)));
        Witness::of(batch.finish())
    };
    Pair {
        honest: run(500),
        forged: run(1_000_000),
    }
}

fn phantom_fee_account(bench: &Workbench) -> Pair {
    let account = start(9, 0, 1_000_000);
    let paid = with_fee(3, bench.fee_slot(), pay(2, 3, 100));
    let mut real = world_with(bench, &[account], [9, 4]);
    Side::Transfer.append(bench, &mut real, &paid);
    let mut forged = world_with(bench, &[], [0, 4]);
    forged.claim(&account);
    forged.values.fees[bench.fee_slot()].index = Fr::from(9u64);
    Side::Transfer.append(bench, &mut forged, &paid);
    Pair {
        honest: Witness::of(real.finish()),
        forged: Witness::of(forged.finish()),
    }
}

/// The fee account is in a subtree of its own, and receives in the batch.
fn fee_account_of_the_past(bench: &Workbench) -> Pair {
    let mut batch = world_with(bench, &[], [66, 0]);
    let past = *batch.leaf(66);
    let paid = with_fee(3, bench.fee_slot(), pay(2, 66, 100));
    Side::Transfer.append(bench, &mut batch, &paid);
    let honest = batch.finish();
    let mut forged = honest.clone();
    let path = transfer_of(bench, &mut forged).receiver_path.clone();
    let slot = &mut forged.fees[bench.fee_slot()];
    slot.account = past;
    slot.path = path;
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}
