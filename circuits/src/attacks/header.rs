//! Lies about where a batch starts, when it happens and who collects its fees.

use ark_ff::{AdditiveGroup, Field};
use ledger::field::Fr;

use super::{
    Attack, Pair, Witness, Workbench,
    world::{Side, edit_unused, pay, power, start, tiny, with_fee, world, world_with},
};
use crate::{
    account::LeafValues,
    num::Cs,
    testkit::{Forged, leaf_hash},
    transition::BatchCircuit,
};

pub(super) fn attacks() -> Vec<Attack> {
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
    ]
}

fn time_before_zero(bench: &Workbench) -> Pair {
    let batch = |valid_until| {
        let mut values = Side::Transfer.batch(&Forged {
            valid_until,
            ..pay(2, 3, 100)
        });
        edit_unused(&mut values, |slot| slot.valid_until = Fr::from(valid_until));
        values
    };
    let honest = Witness::of(batch(1_000));
    let mut values = batch(500);
    values.batch_number += Fr::ONE;
    // The domain, 40 bits of the batch number, 40 of the timestamp.
    let highest_bit = bench.variables("header", 0)[1 + 40 + 39];
    let forged = Witness::of(values).add(highest_bit, -Fr::from(2u64));
    Pair { honest, forged }
}

fn invented_state(bench: &Workbench) -> Pair {
    let steal = |mut batch: crate::testkit::Forger, amount| {
        batch.withdraw(&pay(2, 0, amount));
        batch.finish()
    };
    let honest = steal(world(), 1_000);
    let old_root = BatchCircuit(honest.clone()).record(&Cs::values_only())[1];
    let mut invented = world();
    let rich = LeafValues {
        balance: Fr::from(1_000_000u64),
        ..*invented.leaf(2)
    };
    invented.set_up(2, rich);
    let forged = steal(invented, 1_000_000);
    let root = bench.last("header/cached_levels", 0);
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged).set(root, old_root),
    }
}

fn fees_in_the_wrong_token(bench: &Workbench) -> Pair {
    let batch = || world_with(&[], &[0, 4]);
    let mut honest = batch();
    honest.transfer(&with_fee(3, 1, pay(5, 4, 100)));
    let mut forged = batch();
    let leaf = forged.leaf(4);
    leaf.nonce += leaf.token * power(40);
    leaf.token = Fr::ZERO;
    forged.transfer(&with_fee(3, 1, pay(2, 3, 100)));
    // Index bits, inverse, use, key, 32 bits of the token, 40 of the nonce; 7·2^40 = 14·2^39.
    let before_nonce = 2 * usize::from(tiny().depth) + 4 + 32;
    let highest_bit = bench.variables("header/fee_slot", 1)[before_nonce + 39];
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).add(highest_bit, Fr::from(14u64)),
    }
}

fn fees_into_nothing(bench: &Workbench) -> Pair {
    let mut honest = world_with(&[], &[0, 4]);
    honest.transfer(&pay(2, 3, 100));
    let mut forged = world_with(&[], &[0, 4]);
    forged.transfer(&with_fee(3, 0, pay(2, 3, 100)));
    // (token − 2^32)·use, which makes the slot's token 0.
    let product = bench.last("header/fee_slot", 0);
    Pair {
        honest: Witness::of(honest.finish()),
        forged: Witness::of(forged.finish()).set(product, -power(32)),
    }
}

fn two_accounts_for_one_token(_: &Workbench) -> Pair {
    let batch = |token| {
        let mut batch = world_with(&[start(9, token, 0)], &[1, 9]);
        batch.transfer(&with_fee(3, 0, pay(2, 3, 100)));
        Witness::of(batch.finish())
    };
    Pair {
        honest: batch(8),
        forged: batch(0),
    }
}

fn self_made_fees(bench: &Workbench) -> Pair {
    let values = world().finish();
    let rich = LeafValues {
        balance: Fr::from(1_001_000u64),
        ..values.fees[1].account
    };
    let honest = Witness::of(values);
    let written = bench.last("collect_fees", 1);
    Pair {
        forged: honest.clone().set(written, leaf_hash(&rich)),
        honest,
    }
}
