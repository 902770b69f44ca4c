//! A proof about other words than the published ones.

use ark_ff::{AdditiveGroup, Field};
use circuits::{
    num::Cs,
    transition::{BatchCircuit, BatchValues},
};
use ledger::{field::Fr, words};

use crate::{
    attack::Attack,
    bench::{Pair, Witness, Workbench},
    l1::create,
    world::{Side, edit_unused, pay, world},
};

pub(crate) fn attacks() -> Vec<Attack> {
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
            name: "another-commitment",
            rule: "words",
            rows: &["A17", "F1"],
            story: "The same with the number where L1 reads the commitment, and the true one in \
                    the circuit.",
            make: another_commitment,
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

fn transfer_to(bench: &Workbench, to: u32) -> BatchValues {
    Side::Transfer.batch(bench, &pay(2, to, 100))
}

fn other_data(bench: &Workbench) -> Pair {
    let proven = words_of(&transfer_to(bench, 3));
    shown(bench, words::commitment(bench.shape().id, &proven))
}

fn other_data_own_commitment(bench: &Workbench) -> Pair {
    shown(
        bench,
        words::commitment(bench.shape().id, &words_of(&transfer_to(bench, 1))),
    )
}

/// A proof of a transfer to 3, shown with the words of one to 1.
fn shown(bench: &Workbench, c: Fr) -> Pair {
    let honest = Witness::of(transfer_to(bench, 3));
    Pair {
        forged: honest.clone().publish(c, words_of(&transfer_to(bench, 1))),
        honest,
    }
}

/// A batch that makes the thief's account under the words of one that makes Alice's, with a
/// commitment that was chosen before them.
///
/// The domain is the word that makes up for the difference: in a batch without signed operations
/// it only reaches the unused slots' signatures, which the prover makes.
fn chosen_commitment(bench: &Workbench) -> (Witness, Witness, Fr) {
    let batch = |secret: u64| {
        let mut batch = world(bench);
        create(9, 7, 250, secret).append(bench, &mut batch, 9);
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
    (
        Witness::of(alice),
        Witness::of(thief).publish(c, published),
        c,
    )
}

fn words_after_the_challenge(bench: &Workbench) -> Pair {
    let (honest, forged, c) = chosen_commitment(bench);
    Pair {
        honest,
        forged: forged.set(bench.last("words/commitment"), c),
    }
}

fn another_commitment(bench: &Workbench) -> Pair {
    let (honest, forged, _) = chosen_commitment(bench);
    Pair { honest, forged }
}

/// Any product of Horner's rule can make up for the difference between the two evaluations.
fn false_evaluation(bench: &Workbench) -> Pair {
    let batch = |to| {
        let mut batch = world(bench);
        batch.transfer(&pay(2, to, 100));
        // The last word is not 0: it stands in the first product.
        for _ in 0..bench.shape().withdrawals {
            batch.withdraw(&pay(66, 0, 1));
        }
        batch.finish()
    };
    let values = batch(3);
    let own = words_of(&values);
    let published = words_of(&batch(1));
    let c = words::commitment(bench.shape().id, &own);
    let z = words::challenge(&c, &published);
    let difference = words::evaluation(&published, &z) - words::evaluation(&own, &z);
    let products = bench.variables("words/evaluation");
    let at = bench.position().of(products.len());
    let weight = z.pow([(products.len() - 1 - at) as u64]);
    let honest = Witness::of(values);
    Pair {
        forged: honest
            .clone()
            .add(products[at], difference / weight)
            .publish(c, published),
        honest,
    }
}

fn false_new_root(bench: &Workbench) -> Pair {
    let honest = Witness::of(transfer_to(bench, 3));
    let mut rich = world(bench);
    let mut leaf = *rich.leaf(2);
    leaf.balance = Fr::from(1u64 << 60).square();
    rich.set_up(2, leaf);
    let root = words_of(&rich.finish())[1];
    Pair {
        forged: honest.clone().set(bench.last("words/cached_levels"), root),
        honest,
    }
}
