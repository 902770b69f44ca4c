//! Accounts that the tree does not have, at places where they are not, as they were before.

use ledger::field::Fr;

use super::{
    Attack, Pair, Witness, Workbench, both_sides,
    world::{Side, pay, start, thief, with_fee, world, world_with},
};
use crate::{
    account::LeafValues,
    testkit::{Forger, leaf_hash},
};

pub(super) fn attacks() -> Vec<Attack> {
    let one_sided = [
        Attack {
            name: "receiver-in-between",
            rule: "transfer",
            rows: &["B7", "E2"],
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

/// Twins at 130 and 194: their subtrees are equal, so bit 6 can be anything, and it is what makes
/// the bits add up to 3.
fn receiver_in_between(bench: &Workbench) -> Pair {
    let twins = || {
        let mut batch = world();
        let leaf = *batch.leaf(3);
        batch.set_up(130, leaf);
        batch.set_up(194, leaf);
        batch
    };
    let mut honest = twins();
    honest.transfer(&pay(2, 130, 100));
    let mut batch = twins();
    batch.transfer(&pay(2, 130, 100));
    let mut values = batch.finish();
    values.transfers[0].to = Fr::from(3u64);
    Side::Transfer.sign(&mut values, world().key(2));
    let between = (Fr::from(3u64) - Fr::from(130u64)) / Fr::from(64u64);
    let bits = [0u64, 1, 0, 0, 0, 0, 0, 1].map(Fr::from);
    let variables = bench.variables("transfer", 0);
    let forged = (bits.iter().zip(&variables)).fold(Witness::of(values), |witness, (bit, at)| {
        witness.set(*at, *bit)
    });
    Pair {
        honest: Witness::of(honest.finish()),
        forged: forged.set(variables[6], between),
    }
}

/// `slot` appended to a world in which `index` has an account, and to one in which it has none.
fn with_and_without(index: u32, append: impl Fn(&mut Forger)) -> Pair {
    let account = start(index, 0, 1_000_000);
    let mut real = world_with(&[account], &[1, 4]);
    append(&mut real);
    let mut forged = world();
    forged.claim(&account);
    append(&mut forged);
    Pair {
        honest: Witness::of(real.finish()),
        forged: Witness::of(forged.finish()),
    }
}

fn phantom(_: &Workbench, side: Side) -> Pair {
    with_and_without(9, |batch| side.append(batch, &pay(9, 3, 1_000_000)))
}

fn phantom_receiver(_: &Workbench) -> Pair {
    with_and_without(9, |batch| {
        batch.transfer(&pay(2, 9, 100));
    })
}

fn borrowed_balance(_: &Workbench, side: Side) -> Pair {
    let mut batch = world();
    batch.leaf(2).balance = Fr::from(1_000_000u64);
    side.append(&mut batch, &pay(2, 3, 1_000_000));
    Pair {
        honest: Witness::of(side.batch(&pay(2, 3, 1_000))),
        forged: Witness::of(batch.finish()),
    }
}

fn key_takeover(_: &Workbench, side: Side) -> Pair {
    let mut batch = world();
    let (key, leaf) = (thief().public_key(), batch.leaf(2));
    (leaf.ax, leaf.ay) = (key.x, key.y);
    side.append(&mut batch, &pay(2, 3, 100));
    let mut forged = batch.finish();
    side.sign(&mut forged, &thief());
    Pair {
        honest: Witness::of(side.batch(&pay(2, 3, 100))),
        forged: Witness::of(forged),
    }
}

/// Account 2 is the thief's; it is shown at index 3.
fn neighbours_place(_: &Workbench, side: Side) -> Pair {
    let mut batch = world();
    *batch.leaf(3) = *world().leaf(2);
    side.append(&mut batch, &pay(3, 1, 100));
    let mut forged = batch.finish();
    side.sign(&mut forged, world().key(2));
    Pair {
        honest: Witness::of(side.batch(&pay(3, 1, 100))),
        forged: Witness::of(forged),
    }
}

fn spent_twice(_: &Workbench, side: Side) -> Pair {
    let mut batch = world();
    side.append(&mut batch, &pay(66, 3, 600));
    side.append(&mut batch, &pay(66, 3, 400));
    let honest = Witness::of(batch.finish());
    let mut batch = world();
    side.append(&mut batch, &pay(66, 3, 600));
    side.append(&mut batch, &pay(66, 3, 600));
    let mut values = batch.finish();
    match side {
        Side::Transfer => values.transfers[1].debit = values.transfers[0].debit.clone(),
        Side::Withdrawal => values.withdrawals[1] = values.withdrawals[0].clone(),
    }
    Pair {
        honest,
        forged: Witness::of(values),
    }
}

fn self_transfer_doubles(_: &Workbench) -> Pair {
    let honest = Side::Transfer.batch(&pay(66, 66, 1_000));
    let mut forged = honest.clone();
    let slot = &mut forged.transfers[0];
    slot.receiver = slot.debit.account;
    slot.receiver_path = slot.debit.path.clone();
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

fn receiver_of_the_past(_: &Workbench) -> Pair {
    let mut batch = world();
    batch.transfer(&pay(2, 66, 100));
    batch.transfer(&pay(2, 66, 100));
    let honest = batch.finish();
    let mut forged = honest.clone();
    let first = forged.transfers[0].clone();
    forged.transfers[1].receiver = first.receiver;
    forged.transfers[1].receiver_path = first.receiver_path;
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

fn rewritten_bystander(_: &Workbench) -> Pair {
    let run = |balance: u64| {
        let mut batch = world();
        batch.transfer(&pay(66, 3, 100));
        let rich = LeafValues {
            balance: Fr::from(balance),
            ..*batch.leaf(67)
        };
        *batch.leaf(67) = rich;
        batch.rewrite_leaf(67, leaf_hash(&rich));
        batch.transfer(&pay(67, 3, u128::from(balance)));
        Witness::of(batch.finish())
    };
    Pair {
        honest: run(500),
        forged: run(1_000_000),
    }
}

fn phantom_fee_account(_: &Workbench) -> Pair {
    let account = start(9, 0, 1_000_000);
    let paid = with_fee(3, 0, pay(2, 3, 100));
    let mut real = world_with(&[account], &[9, 4]);
    real.transfer(&paid);
    let mut forged = world_with(&[], &[0, 4]);
    forged.claim(&account);
    forged.values.fees[0].index = Fr::from(9u64);
    forged.transfer(&paid);
    Pair {
        honest: Witness::of(real.finish()),
        forged: Witness::of(forged.finish()),
    }
}

/// The fee account of the second slot is in a subtree of its own, and receives in the batch.
fn fee_account_of_the_past(_: &Workbench) -> Pair {
    let mut batch = world_with(&[], &[0, 66]);
    let past = *batch.leaf(66);
    batch.transfer(&with_fee(3, 1, pay(2, 66, 100)));
    let honest = batch.finish();
    let mut forged = honest.clone();
    forged.fees[1].account = past;
    forged.fees[1].path = forged.transfers[0].receiver_path.clone();
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}
