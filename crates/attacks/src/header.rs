//! Lies about where a batch starts, when it happens and who collects its fees.

use ark_ff::{AdditiveGroup, Field};
use circuits::{account::LeafValues, num::Cs, transition::BatchCircuit};
use ledger::field::Fr;

use crate::{
    attack::Attack,
    bench::{Pair, Witness, Workbench},
    forger::{Forged, Forger, leaf_hash},
    world::{
        Side, TWIN, between_twins, edit_unused, empty_path, pay, power, published_as, start, twins,
        with_fee, world, world_with,
    },
};

pub(crate) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "time-before-zero",
            rule: "header",
            rows: &["B7"],
            story: "Batch B at time t packs like batch B + 1 at t − 2^40: every expired payment is \
                    valid again.",
            make: time_before_zero,
        },
        Attack {
            name: "invented-state",
            rule: "header/cached_levels",
            rows: &["B1", "E5"],
            story: "The batch starts from a tree of the prover's invention under L1's root: the \
                    thief has a million and withdraws it.",
            make: invented_state,
        },
        Attack {
            name: "fees-in-the-wrong-token",
            rule: "header/fee_slot",
            rows: &["B7", "D11"],
            story: "A fee account in token 7 opens as one in token 0, with a nonce beyond 40 bits: \
                    fees paid in one token are collected in another.",
            make: fees_in_the_wrong_token,
        },
        Attack {
            name: "fees-into-nothing",
            rule: "header/fee_slot",
            rows: &["D11"],
            story: "An unused fee slot claims token 0: the sender pays fees that no account gets.",
            make: fees_into_nothing,
        },
        Attack {
            name: "fees-collected-as-another-token",
            rule: "header/fee_slot",
            rows: &["D11"],
            story: "A fee slot says token 0 and opens an account in token 7: fees paid in one token \
                    are collected in another.",
            make: fees_collected_as_another_token,
        },
        Attack {
            name: "two-accounts-for-one-token",
            rule: "header/fee_tokens_are_distinct",
            rows: &["D11"],
            story: "Two accounts collect fees of the same token: the published data no longer say \
                    who got which, and nobody can rebuild the balances.",
            make: two_accounts_for_one_token,
        },
        Attack {
            name: "self-made-fees",
            rule: "collect_fees",
            rows: &["B1", "D3"],
            story: "The operator's fee account is written with a million more than the fees.",
            make: self_made_fees,
        },
        Attack {
            name: "fee-account-in-between",
            rule: "header/fee_slot",
            rows: &["B7", "D4", "E2"],
            story: "The index bits add up to the published account and lead between two others: \
                    the fees never arrive.",
            make: fee_account_in_between,
        },
        Attack {
            name: "fee-account-of-no-token",
            rule: "header/fee_slot",
            rows: &["D11"],
            story: "A fee account opens in a token beyond 32 bits, which may be the number that \
                    stands for an unused slot.",
            make: fee_account_of_no_token,
        },
        Attack {
            name: "fee-account-that-is-not-there",
            rule: "header/fee_slot",
            rows: &["D8"],
            story: "A fee account is published that nobody has, and nothing is opened for it: \
                    whoever rebuilds the state stumbles over it.",
            make: fee_account_that_is_not_there,
        },
    ]
}

fn time_before_zero(bench: &Workbench) -> Pair {
    let batch = |valid_until| {
        let mut batch = world(bench);
        batch.transfer(&Forged {
            valid_until,
            ..pay(2, 3, 100)
        });
        let mut values = batch.finish();
        edit_unused(&mut values, |slot| slot.valid_until = Fr::from(valid_until));
        values
    };
    let honest = Witness::of(batch(1_000));
    let mut values = batch(500);
    values.batch_number += Fr::ONE;
    values.timestamp -= power(40);
    let forged = Witness::of(values).carry(bench.wire("header", "timestamp"), bench.bit(40));
    Pair { honest, forged }
}

fn invented_state(bench: &Workbench) -> Pair {
    let steal = |mut batch: Forger, amount| {
        Side::Withdrawal.append(bench, &mut batch, &pay(2, 0, amount));
        batch.finish()
    };
    let honest = steal(world(bench), 1_000);
    let old_root = BatchCircuit(honest.clone()).record(&Cs::values_only())[1];
    let mut invented = world(bench);
    let rich = LeafValues {
        balance: Fr::from(1_000_000u64),
        ..*invented.leaf(2)
    };
    invented.set_up(2, rich);
    let forged = steal(invented, 1_000_000);
    let root = bench.last("header/cached_levels");
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged).set(root, old_root),
    }
}

/// Account 4, in token 7, opens as one in token 6.
fn fees_in_the_wrong_token(bench: &Workbench) -> Pair {
    let batch = || world_with(bench, &[start(9, 6, 500), start(10, 6, 500)], [4, 0]);
    let fee = |forged| with_fee(3, bench.fee_slot(), forged);
    let mut honest = batch();
    Side::Transfer.append(bench, &mut honest, &fee(pay(5, 4, 100)));
    let mut forged = batch();
    let leaf = forged.leaf(4);
    leaf.nonce += power(40);
    leaf.token -= Fr::ONE;
    Side::Transfer.append(bench, &mut forged, &fee(pay(9, 10, 100)));
    let nonce = bench.wire("header/fee_slot", "nonce");
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).carry(nonce, bench.bit(40)),
    }
}

fn fees_into_nothing(bench: &Workbench) -> Pair {
    let mut honest = world_with(bench, &[], [0, 4]);
    Side::Transfer.append(bench, &mut honest, &pay(2, 3, 100));
    let mut forged = world_with(bench, &[], [0, 4]);
    let slot = bench.fee_slot();
    Side::Transfer.append(bench, &mut forged, &with_fee(3, slot, pay(2, 3, 100)));
    // (token − unused token)·use, which makes the slot's token 0.
    let product = bench.wire("header/fee_slot", "slot_token");
    let unused_token = power(32) + Fr::from(slot as u64);
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).set(product, -unused_token),
    }
}

fn fees_collected_as_another_token(bench: &Workbench) -> Pair {
    let slot = bench.fee_slot();
    let batch = |from, to| {
        let mut batch = world_with(bench, &[], [4, 0]);
        Side::Transfer.append(bench, &mut batch, &with_fee(3, slot, pay(from, to, 100)));
        Witness::of(batch.finish())
    };
    let product = bench.wire("header/fee_slot", "slot_token");
    let unused_token = power(32) + Fr::from(slot as u64);
    Pair {
        honest: batch(5, 4),
        forged: batch(2, 3).set(product, -unused_token),
    }
}

fn two_accounts_for_one_token(bench: &Workbench) -> Pair {
    let batch = |token| {
        let mut batch = world_with(bench, &[start(9, token, 0)], [1, 9]);
        let paid = with_fee(3, bench.fee_slot(), pay(2, 3, 100));
        Side::Transfer.append(bench, &mut batch, &paid);
        Witness::of(batch.finish())
    };
    Pair {
        honest: batch(8),
        forged: batch(0),
    }
}

fn self_made_fees(bench: &Workbench) -> Pair {
    let values = world_with(bench, &[], [66, 0]).finish();
    let rich = LeafValues {
        balance: Fr::from(1_001_000u64),
        ..values.fees[bench.fee_slot()].account
    };
    let honest = Witness::of(values);
    let written = bench.wire("collect_fees", "written");
    Pair {
        forged: honest.clone().set(written, leaf_hash(&rich)),
        honest,
    }
}

/// The twins get what is published as account 3's. With one bit more, an index `4^depth` further
/// than the true one is published.
fn fee_account_in_between(bench: &Workbench) -> Pair {
    let mut batch = twins(bench, TWIN);
    let paid = with_fee(3, bench.fee_slot(), pay(2, 1, 100));
    Side::Transfer.append(bench, &mut batch, &paid);
    let honest = batch.finish();
    let index = bench.wire("header/fee_slot", "index");
    let [between, beyond] = published_as(bench, &honest, |values, index| {
        values.fees[bench.fee_slot()].index = index;
    });
    Pair {
        honest: Witness::of(honest),
        forged: between_twins(bench, Witness::of(between), index).or_beyond(index, beyond),
    }
}

/// A fee account in token `2^32 + 7` collects nothing; no such token can be registered.
fn fee_account_of_no_token(bench: &Workbench) -> Pair {
    let batch = |token: Fr| {
        let mut batch = world_with(bench, &[], [4, 0]);
        let leaf = LeafValues {
            token,
            ..*batch.leaf(4)
        };
        batch.set_up(4, leaf);
        Witness::of(batch.finish())
    };
    let first = bench.wire("header/fee_slot", "token");
    Pair {
        honest: batch(Fr::from(7u64)),
        forged: batch(power(32) + Fr::from(7u64)).carry(first, bench.bit(32)),
    }
}

/// A fee account that the tree does not have is published and not opened.
fn fee_account_that_is_not_there(bench: &Workbench) -> Pair {
    let honest = Witness::of(world_with(bench, &[], [0, 4]).finish());
    let mut batch = world_with(bench, &[], [0, 4]);
    batch.values.fees[bench.fee_slot()].index = Fr::from(130u64);
    let mut values = batch.finish();
    values.fees[bench.fee_slot()].path = empty_path(bench);
    let used = bench.wire("header/fee_slot", "used");
    Pair {
        honest,
        forged: Witness::of(values)
            .set(used, Fr::ZERO)
            .set(used + 1, Fr::ZERO),
    }
}
