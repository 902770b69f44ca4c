//! A proof about other words than the published ones.

use ark_ff::{AdditiveGroup, Field};
use ledger::{field::Fr, words};

use super::{
    Attack, Pair, Witness, Workbench,
    l1::create,
    world::{Side, edit_unused, pay, tiny, world},
};
use crate::{
    num::Cs,
    transition::{BatchCircuit, BatchValues},
};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "other-data",
            rule: "words",
            rows: &["F1"],
            story: "L1 is shown a transfer to account 1 and a proof of one to account 3: whoever \
                    rebuilds the state from L1 gets other balances, and nobody can leave.",
            make: other_data,
        },
        Attack {
            name: "other-data-own-commitment",
            rule: "words",
            rows: &["F1"],
            story: "The same, with a commitment to the data that L1 is shown.",
            make: other_data_own_commitment,
        },
        Attack {
            name: "words-after-the-challenge",
            rule: "words/commitment",
            rows: &["A17", "F1"],
            story: "The commitment is a number chosen first, so z is known before the circuit's \
                    words are: Alice's deposit goes to the thief's key, and a word that nobody \
                    looks at makes up for the difference.",
            make: words_after_the_challenge,
        },
        Attack {
            name: "false-evaluation",
            rule: "words/evaluation",
            rows: &["B1", "F1"],
            story: "The circuit's words are others than L1's, and the prover writes L1's \
                    evaluation where that of its own belongs.",
            make: false_evaluation,
        },
        Attack {
            name: "false-new-root",
            rule: "words/cached_levels",
            rows: &["B1", "E5"],
            story: "Every slot is in order, and the root that L1 keeps is of a tree in which \
                    everything belongs to the prover.",
            make: false_new_root,
        },
    ]
}

fn words_of(values: &BatchValues) -> Vec<Fr> {
    BatchCircuit(values.clone()).record(&Cs::values_only())
}

fn transfer_to(to: u32) -> BatchValues {
    Side::Transfer.batch(&pay(2, to, 100))
}

fn other_data(_: &Workbench) -> Pair {
    let proven = words_of(&transfer_to(3));
    shown(words::commitment(tiny().id, &proven))
}

fn other_data_own_commitment(_: &Workbench) -> Pair {
    shown(words::commitment(tiny().id, &words_of(&transfer_to(1))))
}

/// A proof of a transfer to 3, shown with the words of one to 1.
fn shown(c: Fr) -> Pair {
    let honest = Witness::of(transfer_to(3));
    Pair {
        forged: honest.clone().publish(c, words_of(&transfer_to(1))),
        honest,
    }
}

/// The domain is the word that makes up for the difference: in a batch without signed operations
/// it only reaches the unused slots' signatures, which the prover makes.
fn words_after_the_challenge(bench: &Workbench) -> Pair {
    let batch = |secret: u64| {
        let mut batch = world();
        let slot = create(9, 7, 250, secret);
        let written = slot.written();
        batch.l1(9, slot.values, written);
        let mut values = batch.finish();
        edit_unused(&mut values, |_| ());
        values
    };
    let (alice, mut thief) = (batch(1), batch(2));
    let mut executed = words_of(&thief);
    let mut published = words_of(&alice);
    published[2] = executed[2];
    let c = Fr::from(42u64);
    let z = words::challenge(&c, &published);
    executed[0] = Fr::ZERO;
    let rest = words::evaluation(&executed, &z);
    thief.domain = words::evaluation(&published, &z) - rest;
    edit_unused(&mut thief, |_| ());
    let commitment = bench.last("words/commitment", 0);
    Pair {
        honest: Witness::of(alice),
        forged: Witness::of(thief).set(commitment, c).publish(c, published),
    }
}

fn false_evaluation(bench: &Workbench) -> Pair {
    let values = transfer_to(3);
    let own = words_of(&values);
    let published = words_of(&transfer_to(1));
    let c = words::commitment(tiny().id, &own);
    let z = words::challenge(&c, &published);
    // The last product of Horner's rule; the first word is added to it.
    let product = words::evaluation(&published, &z) - own[0];
    let last = bench.last("words/evaluation", 0);
    let honest = Witness::of(values);
    Pair {
        forged: honest.clone().set(last, product).publish(c, published),
        honest,
    }
}

fn false_new_root(bench: &Workbench) -> Pair {
    let honest = Witness::of(transfer_to(3));
    let mut rich = world();
    let mut leaf = *rich.leaf(2);
    leaf.balance = Fr::from(1u64 << 60).square();
    rich.set_up(2, leaf);
    let root = words_of(&rich.finish())[1];
    Pair {
        forged: honest
            .clone()
            .set(bench.last("words/cached_levels", 0), root),
        honest,
    }
}
