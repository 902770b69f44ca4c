//! Malicious witnesses: for every rule of the circuit a theft that breaks this rule and no other.
//!
//! Each [`Attack`] makes two witnesses that differ in one thing: an honest one, which the circuit
//! must accept, and a forged one, in which everything else follows as the best cheating prover
//! would arrange it. The attack is caught when the forged one violates rows of its rule and of no
//! other. That is sharper than "is refused": take the rule away, and the theft goes through.
//!
//! To add one: write a function that makes the [`Pair`] with a [`Forger`], add an [`Attack`] with a
//! name, the path of the rule, rows of the attack list and one sentence on who loses what to the group
//! it belongs to, run `quire attack run NAME`. Two tools get at the
//! rules that no choice of values can break alone: [`Witness::set`] writes a variable of the
//! prover's choice ("this is the hash"), and everything after it follows; [`Witness::publish`]
//! gives L1 other words than the circuit's.
//!
//! An attack runs on any shape with two slots of each kind and a tree of depth 4 or more, in the
//! first, a middle or the last slot ([`Position`]); the slots before it are filled with payments
//! that nobody asks about. `quire attack run` takes the shape `tiny` and its first slots: 2 slots of
//! each kind, 2 fee slots, one cached level, hence four subtrees of 64 leaves. Accounts that are left
//! in a state that fits no tree are put into a subtree that no later slot reads.
//!
//! Variables are found by the names that the circuit gives them ([`Workbench::wire`]). A number
//! beyond its range lets one of its bits carry the rest ([`Witness::carry`]); the same values are
//! what a circuit accepts in which the number has one bit more ([`Witness::beyond`]).

#![allow(
    missing_docs,
    reason = "names of fields and getters say what they are; the head says how a forgery is made"
)]

mod attack;
mod bench;
pub mod forger;
mod header;
mod l1;
mod payments;
mod presented;
pub mod samples;
mod signatures;
mod tree;
mod words;
mod world;

pub use attack::{Attack, UNBREAKABLE_ALONE, Verdict};
pub use bench::{Pair, Position, Witness, Workbench};
pub use forger::{Forged, Forger, Start};
pub use presented::{Presented, Published, forged_assignment, present};

/// Every attack, grouped by what it aims at.
pub fn all() -> Vec<Attack> {
    [
        signatures::attacks(),
        payments::attacks(),
        tree::attacks(),
        l1::attacks(),
        header::attacks(),
        words::attacks(),
    ]
    .concat()
}
