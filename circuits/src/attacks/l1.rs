//! Cheating those whose operations come through L1's queue.

use ark_ff::{AdditiveGroup, Field};
use ledger::{
    babyjubjub::{Point, Scalar},
    field::Fr,
    poseidon,
};

use super::{
    Attack, Pair, Witness, Workbench,
    world::{power, start, world, world_with},
};
use crate::{
    operation::L1Values,
    testkit::{Forger, leaf_hash},
};

const CREATE: [bool; 3] = [true, false, false];
const TOP_UP: [bool; 3] = [false, true, false];
const EXIT: [bool; 3] = [false, false, true];

pub(super) fn attacks() -> Vec<Attack> {
    let create_rule = "l1_op/create_writes_published_leaf";
    let exit_rule = "l1_op/exit_pays_the_whole_balance";
    let unused = "l1_op/unused_slot_is_zero";
    vec![
        Attack {
            name: "stolen-deposit",
            rule: create_rule,
            rows: &["D7"],
            story: "The account that Alice paid for on L1 is made for the thief's key.",
            make: |_| bent_create(|slot| slot.key = key(2)),
        },
        Attack {
            name: "deposit-under-half-a-key",
            rule: create_rule,
            rows: &["D7"],
            story: "Only the ordinate of Alice's key is changed: her deposit is lost.",
            make: |_| bent_create(|slot| slot.key.1 += Fr::ONE),
        },
        Attack {
            name: "deposit-into-another-token",
            rule: create_rule,
            rows: &["D7"],
            story: "A deposit of token 7 makes an account in token 0.",
            make: |_| bent_create(|slot| slot.lane = Fr::ZERO),
        },
        Attack {
            name: "deposit-on-top-of-nothing",
            rule: create_rule,
            rows: &["D3"],
            story: "A new account begins with a million more than was deposited.",
            make: |_| bent_create(|slot| slot.balance = Fr::from(1_000_000u64)),
        },
        Attack {
            name: "key-without-a-create",
            rule: create_rule,
            rows: &["F1"],
            story: "A TopUp publishes a key: who reads the data takes it for the account's.",
            make: key_without_a_create,
        },
        Attack {
            name: "half-a-key-without-a-create",
            rule: create_rule,
            rows: &["F1"],
            story: "The same with the second word only.",
            make: half_a_key_without_a_create,
        },
        Attack {
            name: "inflated-deposit",
            rule: "l1_op",
            rows: &["B7", "D3"],
            story: "Token 7 and amount 250 pack like token 6 and amount 250 + 2^128: the depositor \
                    of a worthless token gets all of another.",
            make: inflated_deposit,
        },
        Attack {
            name: "inflated-top-up",
            rule: "l1_op",
            rows: &["B1", "D3"],
            story: "50 are paid on L1 and 5,000 are written.",
            make: inflated_top_up,
        },
        Attack {
            name: "exit-and-stay",
            rule: "l1_op",
            rows: &["B1", "D12"],
            story: "The balance is paid out on L1 and stays in the leaf: the next exit pays it \
                    again.",
            make: exit_and_stay,
        },
        Attack {
            name: "exit-with-a-deposit",
            rule: exit_rule,
            rows: &["D3"],
            story: "A ForcedExit claims to have deposited 50 that stay in the account.",
            make: exit_with_a_deposit,
        },
        Attack {
            name: "exit-with-everything",
            rule: exit_rule,
            rows: &["B1", "D3"],
            story: "An account of 1,000 leaves with a million: it is taken from everybody else's \
                    escrow.",
            make: exit_with_everything,
        },
        Attack {
            name: "phantom-exit",
            rule: "l1_op/leaf_is_in_tree",
            rows: &["D6"],
            story: "A ForcedExit pays out an account that the tree does not have.",
            make: phantom_exit,
        },
        Attack {
            name: "create-over-an-account",
            rule: "l1_op/leaf_is_in_tree",
            rows: &["D7", "E4"],
            story: "A Create overwrites an account that exists: its holder loses everything.",
            make: create_over_an_account,
        },
        Attack {
            name: "node-as-leaf",
            rule: "l1_op/leaf_is_in_tree",
            rows: &["E1"],
            story: "Four sibling leaves are read as key, lane and balance of one account: a \
                    ForcedExit pays out a hash.",
            make: node_as_leaf,
        },
        Attack {
            name: "top-up-of-the-past",
            rule: "l1_op/cached_root_is_current",
            rows: &["E6"],
            story: "The second TopUp is made to the account as it was before the first: the first \
                    is lost.",
            make: top_up_of_the_past,
        },
        Attack {
            name: "unused-l1-slot-with-an-amount",
            rule: unused,
            rows: &["D8"],
            story: "A slot without an operation publishes an amount.",
            make: |_| bent_unused(|slot| slot.amount = Fr::ONE),
        },
        Attack {
            name: "unused-l1-slot-with-a-token",
            rule: unused,
            rows: &["D8"],
            story: "A slot without an operation publishes a token.",
            make: |_| bent_unused(|slot| slot.token = Fr::ONE),
        },
        Attack {
            name: "unused-l1-slot-with-a-key",
            rule: create_rule,
            rows: &["D8"],
            story: "A slot without an operation publishes a key.",
            make: |_| bent_unused(|slot| slot.published_key.0 = Fr::ONE),
        },
    ]
}

/// An L1 slot under construction.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) values: L1Values,
}

impl Slot {
    /// The leaf that the operation writes, as the circuit computes it.
    pub(super) fn written(&self) -> Fr {
        let slot = &self.values;
        let paid_out = if slot.kind == EXIT {
            slot.balance
        } else {
            Fr::ZERO
        };
        self.written_with(slot.balance + slot.amount - paid_out)
    }

    fn written_with(&self, balance: Fr) -> Fr {
        let slot = &self.values;
        poseidon::compress4(&[slot.key.0, slot.key.1, slot.lane, balance])
    }

    fn append(self, batch: &mut Forger, index: u32) {
        let written = self.written();
        batch.l1(index, self.values, written);
    }
}

fn key(secret: u64) -> (Fr, Fr) {
    let point = Point::base8().mul(&Scalar::from(secret));
    (point.x, point.y)
}

/// A Create, with the key of a small secret.
pub(super) fn create(index: u32, token: u64, amount: u64, secret: u64) -> Slot {
    let token = Fr::from(token);
    Slot {
        values: L1Values {
            kind: CREATE,
            index: Fr::from(index),
            token,
            amount: Fr::from(amount),
            published_key: key(secret),
            key: key(secret),
            lane: token * power(40),
            balance: Fr::ZERO,
            path: Vec::new(),
        },
    }
}

/// A TopUp or ForcedExit of an account as it stands.
fn existing(batch: &mut Forger, index: u32, kind: [bool; 3], amount: u64) -> Slot {
    let leaf = *batch.leaf(index);
    Slot {
        values: L1Values {
            kind,
            index: Fr::from(index),
            token: leaf.token,
            amount: Fr::from(amount),
            published_key: (Fr::ZERO, Fr::ZERO),
            key: (leaf.ax, leaf.ay),
            lane: leaf.token * power(40) + leaf.nonce,
            balance: leaf.balance,
            path: Vec::new(),
        },
    }
}

/// A batch with one L1 operation.
fn alone(slot: Slot, index: u32) -> Witness {
    let mut batch = world();
    slot.append(&mut batch, index);
    Witness::of(batch.finish())
}

fn bent_create(bend: fn(&mut L1Values)) -> Pair {
    let honest = create(9, 7, 250, 1);
    let mut forged = honest.clone();
    bend(&mut forged.values);
    Pair {
        honest: alone(honest, 9),
        forged: alone(forged, 9),
    }
}

fn bent_existing(kind: [bool; 3], amount: u64, bend: impl Fn(&mut L1Values)) -> Pair {
    let honest = existing(&mut world(), 66, kind, amount);
    let mut forged = honest.clone();
    bend(&mut forged.values);
    Pair {
        honest: alone(honest, 66),
        forged: alone(forged, 66),
    }
}

fn bent_unused(bend: fn(&mut L1Values)) -> Pair {
    let honest = world().finish();
    let mut forged = honest.clone();
    bend(&mut forged.l1_ops[0]);
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

fn key_without_a_create(_: &Workbench) -> Pair {
    bent_existing(TOP_UP, 50, |slot| slot.published_key.0 = slot.key.0)
}

fn half_a_key_without_a_create(_: &Workbench) -> Pair {
    bent_existing(TOP_UP, 50, |slot| slot.published_key.1 = slot.key.1)
}

/// One kind bit for each kind, index bits, 32 bits of the token, 128 of the amount.
fn inflated_deposit(bench: &Workbench) -> Pair {
    let mut slot = create(9, 7, 250, 1);
    let honest = alone(slot.clone(), 9);
    slot.values.token = Fr::from(6u64);
    slot.values.lane = Fr::from(6u64) * power(40);
    let written = slot.written_with(Fr::from(250u64) + power(128));
    let mut batch = world();
    batch.l1(9, slot.values, written);
    let before_amount = 3 + 2 * usize::from(bench.shape().depth) + 32;
    let highest_bit = bench.variables("l1_op", 0)[before_amount + 127];
    Pair {
        honest,
        forged: Witness::of(batch.finish()).add(highest_bit, Fr::from(2u64)),
    }
}

fn inflated_top_up(bench: &Workbench) -> Pair {
    let slot = existing(&mut world(), 66, TOP_UP, 50);
    let written = slot.written_with(Fr::from(6_000u64));
    let honest = alone(slot, 66);
    Pair {
        forged: honest.clone().set(bench.last("l1_op", 0), written),
        honest,
    }
}

fn exit_and_stay(bench: &Workbench) -> Pair {
    let slot = existing(&mut world(), 66, EXIT, 0);
    let honest = alone(slot, 66);
    let kept = leaf_hash(world().leaf(66));
    Pair {
        forged: honest.clone().set(bench.last("l1_op", 0), kept),
        honest,
    }
}

fn exit_with_a_deposit(_: &Workbench) -> Pair {
    bent_existing(EXIT, 0, |slot| slot.amount = Fr::from(50u64))
}

fn exit_with_everything(bench: &Workbench) -> Pair {
    let slot = existing(&mut world(), 66, EXIT, 0);
    let paid_out = bench.last("l1_op/exit_pays_the_whole_balance", 0);
    let honest = alone(slot, 66);
    Pair {
        forged: honest.clone().set(paid_out, Fr::from(1_000_000u64)),
        honest,
    }
}

fn phantom_exit(_: &Workbench) -> Pair {
    let phantom = start(9, 0, 1_000_000);
    let mut real = world_with(&[phantom], &[1, 4]);
    existing(&mut real, 9, EXIT, 0).append(&mut real, 9);
    let mut forged = world();
    forged.claim(&phantom);
    existing(&mut forged, 9, EXIT, 0).append(&mut forged, 9);
    Pair {
        honest: Witness::of(real.finish()),
        forged: Witness::of(forged.finish()),
    }
}

fn create_over_an_account(_: &Workbench) -> Pair {
    Pair {
        honest: alone(create(9, 0, 250, 2), 9),
        forged: alone(create(2, 0, 250, 2), 2),
    }
}

fn node_as_leaf(_: &Workbench) -> Pair {
    let exit = |slot: Slot| {
        let mut batch = world_with(&[], &[0, 4]);
        slot.append(&mut batch, 1);
        Witness::of(batch.finish())
    };
    let honest = exit(existing(&mut world(), 1, EXIT, 0));
    let leaves = [1, 2, 3].map(|index| leaf_hash(world().leaf(index)));
    let mut slot = existing(&mut world(), 1, EXIT, 0);
    slot.values.key = (Fr::ZERO, leaves[0]);
    slot.values.lane = leaves[1];
    slot.values.balance = leaves[2];
    Pair {
        honest,
        forged: exit(slot),
    }
}

fn top_up_of_the_past(_: &Workbench) -> Pair {
    let mut batch = world();
    existing(&mut batch, 66, TOP_UP, 50).append(&mut batch, 66);
    batch.leaf(66).balance += Fr::from(50u64);
    existing(&mut batch, 66, TOP_UP, 50).append(&mut batch, 66);
    let honest = batch.finish();
    let mut forged = honest.clone();
    forged.l1_ops[1] = forged.l1_ops[0].clone();
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}
