//! Cheating those whose operations come through L1's queue.

use ark_ff::{AdditiveGroup, Field};
use circuits::{operation::L1Values, transition::BatchValues};
use ledger::{
    babyjubjub::{Point, Scalar},
    field::Fr,
    poseidon,
};

use crate::{
    attack::Attack,
    bench::{Pair, Witness, Workbench},
    forger::{Forger, Start, leaf_hash},
    world::{
        TWIN, between_twins, empty_path, filler, pay, power, published_as, start, twins, world,
        world_with,
    },
};

const CREATE: [bool; 3] = [true, false, false];
const TOP_UP: [bool; 3] = [false, true, false];
const EXIT: [bool; 3] = [false, false, true];

pub(crate) fn attacks() -> Vec<Attack> {
    let create_rule = "l1_op/create_writes_published_leaf";
    let exit_rule = "l1_op/exit_pays_the_whole_balance";
    let unused = "l1_op/unused_slot_is_zero";
    vec![
        Attack {
            name: "stolen-deposit",
            rule: create_rule,
            rows: &["D7"],
            story: "The account that Alice paid for on L1 is made for the thief's key.",
            make: |bench| bent_create(bench, |slot| slot.key = key(2)),
        },
        Attack {
            name: "deposit-under-half-a-key",
            rule: create_rule,
            rows: &["D7"],
            story: "Only the ordinate of Alice's key is changed: her deposit is lost.",
            make: |bench| bent_create(bench, |slot| slot.key.1 += Fr::ONE),
        },
        Attack {
            name: "deposit-under-another-abscissa",
            rule: create_rule,
            rows: &["D7"],
            story: "Only the abscissa is changed.",
            make: |bench| bent_create(bench, |slot| slot.key.0 += Fr::ONE),
        },
        Attack {
            name: "deposit-into-another-token",
            rule: create_rule,
            rows: &["D7"],
            story: "A deposit of token 7 makes an account in token 0.",
            make: |bench| bent_create(bench, |slot| slot.lane = Fr::ZERO),
        },
        Attack {
            name: "deposit-on-top-of-nothing",
            rule: create_rule,
            rows: &["D3"],
            story: "A new account begins with a million more than was deposited.",
            make: |bench| bent_create(bench, |slot| slot.balance = Fr::from(1_000_000u64)),
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
            name: "top-up-of-the-neighbour",
            rule: "l1_op",
            rows: &["B7", "D3"],
            story: "Index 67 and token 0 pack like index 66 and token 2^32: what was paid for one \
                    account is credited to its neighbour.",
            make: neighbours_deposit,
        },
        Attack {
            name: "deposit-in-between",
            rule: "l1_op",
            rows: &["B7", "D4", "E2"],
            story: "The index bits add up to the victim's account and lead between two others: the \
                    deposit never arrives.",
            make: deposit_in_between,
        },
        Attack {
            name: "exit-burned-by-fractions",
            rule: "l1_op",
            rows: &["B7", "D12"],
            story: "Fractional kinds that add up to 1 publish a ForcedExit that pays nothing and \
                    empties the account.",
            make: burned_by_fractions,
        },
        Attack {
            name: "leaf-at-index-zero",
            rule: "l1_op",
            rows: &["B7", "D8"],
            story: "Kinds (1, 1, −1) publish an unused slot and write a leaf at index 0: from then \
                    on no batch with an unused slot can be proven.",
            make: leaf_at_index_zero,
        },
        Attack {
            name: "account-by-a-top-up",
            rule: "l1_op",
            rows: &["B7", "D6"],
            story: "Kinds (1, −1, 1) publish a TopUp of nothing and make an account under nobody's \
                    key where none was: the index cannot be given to its depositor.",
            make: account_by_a_top_up,
        },
        Attack {
            name: "unused-l1-slot-with-an-index",
            rule: unused,
            rows: &["D8"],
            story: "A slot without an operation publishes an index.",
            make: unused_slot_with_an_index,
        },
        Attack {
            name: "unused-l1-slot-with-an-amount",
            rule: unused,
            rows: &["D8"],
            story: "A slot without an operation publishes an amount.",
            make: |bench| bent_unused(bench, |slot| slot.amount = Fr::ONE),
        },
        Attack {
            name: "unused-l1-slot-with-a-token",
            rule: unused,
            rows: &["D8"],
            story: "A slot without an operation publishes a token.",
            make: |bench| bent_unused(bench, |slot| slot.token = Fr::ONE),
        },
        Attack {
            name: "unused-l1-slot-with-a-key",
            rule: create_rule,
            rows: &["D8"],
            story: "A slot without an operation publishes a key.",
            make: |bench| bent_unused(bench, |slot| slot.published_key.0 = Fr::ONE),
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
    pub(crate) fn written(&self) -> Fr {
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

    /// Appends it in the slot under attack.
    pub(crate) fn append(self, bench: &Workbench, batch: &mut Forger, index: u32) {
        let written = self.written();
        self.append_in(bench, batch, bench.slot("l1_op"), (index, written));
    }

    /// Appends it in a slot, after TopUps that nobody asks about; `leaf` is what becomes of which.
    fn append_in(self, bench: &Workbench, batch: &mut Forger, slot: usize, leaf: (u32, Fr)) {
        while batch.used()[0] < slot {
            let filler = filler(bench);
            let top_up = existing(batch, filler, TOP_UP, 1);
            let written = top_up.written();
            batch.leaf(filler).balance += Fr::ONE;
            batch.l1(filler, top_up.values, written);
        }
        batch.l1(leaf.0, self.values, leaf.1);
    }
}

fn key(secret: u64) -> (Fr, Fr) {
    let point = Point::base8().mul(&Scalar::from(secret));
    (point.x, point.y)
}

/// A Create, with the key of a small secret.
pub(crate) fn create(index: u32, token: u64, amount: u64, secret: u64) -> Slot {
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
    Slot {
        values: batch.existing(index, kind, amount),
    }
}

/// A batch with one L1 operation.
fn alone(bench: &Workbench, slot: Slot, index: u32) -> Witness {
    let mut batch = world(bench);
    slot.append(bench, &mut batch, index);
    Witness::of(batch.finish())
}

fn bent_create(bench: &Workbench, bend: fn(&mut L1Values)) -> Pair {
    let honest = create(9, 7, 250, 1);
    let mut forged = honest.clone();
    bend(&mut forged.values);
    Pair {
        honest: alone(bench, honest, 9),
        forged: alone(bench, forged, 9),
    }
}

fn bent_existing(
    bench: &Workbench,
    kind: [bool; 3],
    amount: u64,
    bend: impl Fn(&mut L1Values),
) -> Pair {
    let honest = existing(&mut world(bench), 66, kind, amount);
    let mut forged = honest.clone();
    bend(&mut forged.values);
    Pair {
        honest: alone(bench, honest, 66),
        forged: alone(bench, forged, 66),
    }
}

fn bent_unused(bench: &Workbench, bend: fn(&mut L1Values)) -> Pair {
    let honest = world(bench).finish();
    let mut forged = honest.clone();
    bend(&mut forged.l1_ops[bench.slot("l1_op")]);
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

fn key_without_a_create(bench: &Workbench) -> Pair {
    bent_existing(bench, TOP_UP, 50, |slot| slot.published_key.0 = slot.key.0)
}

fn half_a_key_without_a_create(bench: &Workbench) -> Pair {
    bent_existing(bench, TOP_UP, 50, |slot| slot.published_key.1 = slot.key.1)
}

/// In a batch with one L1 operation, whose leaf becomes one with another balance.
fn written_as(bench: &Workbench, slot: Slot, index: u32, balance: Fr) -> BatchValues {
    let mut batch = world(bench);
    let written = slot.written_with(balance);
    slot.append_in(bench, &mut batch, bench.slot("l1_op"), (index, written));
    batch.finish()
}

fn inflated_deposit(bench: &Workbench) -> Pair {
    let mut slot = create(9, 7, 250, 1);
    let honest = alone(bench, slot.clone(), 9);
    slot.values.token = Fr::from(6u64);
    slot.values.lane = Fr::from(6u64) * power(40);
    slot.values.amount += power(128);
    let amount = slot.values.amount;
    let values = written_as(bench, slot, 9, amount);
    let first = bench.wire("l1_op", "amount");
    Pair {
        honest,
        forged: Witness::of(values).carry(first, bench.bit(128)),
    }
}

/// Index 67 and token 0 pack like index 66 and token `2^32`.
fn neighbours_deposit(bench: &Workbench) -> Pair {
    let honest = existing(&mut world(bench), 67, TOP_UP, 50);
    let mut forged = existing(&mut world(bench), 66, TOP_UP, 50);
    forged.values.token += power(32);
    let first = bench.wire("l1_op", "token");
    Pair {
        honest: alone(bench, honest, 67),
        forged: alone(bench, forged, 66).carry(first, bench.bit(32)),
    }
}

/// Index 3 is published, and the twins' places are written to. With one bit more, an index `4^depth`
/// further than the true one is published.
fn deposit_in_between(bench: &Workbench) -> Pair {
    let mut batch = twins(bench, 1);
    existing(&mut batch, TWIN, TOP_UP, 50).append(bench, &mut batch, TWIN);
    let honest = batch.finish();
    let [between, beyond] = published_as(bench, &honest, |values, index| {
        values.l1_ops[bench.slot("l1_op")].index = index;
    });
    let index = bench.wire("l1_op", "index");
    Pair {
        honest: Witness::of(honest),
        forged: between_twins(bench, Witness::of(between), index).or_beyond(index, beyond),
    }
}

/// Kinds that are no booleans: what the slot says and what it does follow from them.
fn with_kinds(bench: &Workbench, values: BatchValues, kinds: [Fr; 3]) -> Witness {
    let wires = bench.wires("l1_op", "kind");
    (wires.iter().zip(kinds)).fold(Witness::of(values), |witness, (wire, kind)| {
        witness.set(*wire, kind)
    })
}

/// An account under the key (0, 0) in token `token`, with nothing in it.
fn nobodys(token: Fr) -> (L1Values, Fr) {
    let lane = token * power(40);
    let values = L1Values {
        kind: [false; 3],
        index: Fr::ZERO,
        token,
        amount: Fr::ZERO,
        published_key: (Fr::ZERO, Fr::ZERO),
        key: (Fr::ZERO, Fr::ZERO),
        lane,
        balance: Fr::ZERO,
        path: Vec::new(),
    };
    (
        values,
        poseidon::compress4(&[Fr::ZERO, Fr::ZERO, lane, Fr::ZERO]),
    )
}

/// Kinds `(x, −2x, 1 + x)` add up to 1 and are published as 3. With `x ≠ 0` the slot opens
/// `(1 − x)` times the hash of an empty account under the key (0, 0): the right `x` makes that the
/// victim's leaf.
fn burned_by_fractions(bench: &Workbench) -> Pair {
    let honest = alone(bench, existing(&mut world(bench), 66, EXIT, 0), 66);
    let victim = leaf_hash(world(bench).leaf(66));
    let (mut values, empty) = nobodys(Fr::ZERO);
    values.index = Fr::from(66u64);
    let x = Fr::ONE - victim / empty;
    let mut batch = world(bench);
    let slot = Slot { values };
    slot.append_in(bench, &mut batch, bench.slot("l1_op"), (66, empty));
    Pair {
        honest,
        forged: with_kinds(bench, batch.finish(), [x, -x.double(), Fr::ONE + x]),
    }
}

/// Kinds (1, 1, −1) add up to 1 and are published as 0, with nothing else. Every later slot is in
/// use: an unused one finds the leaf and cannot be satisfied.
fn leaf_at_index_zero(bench: &Workbench) -> Pair {
    let shape = *bench.shape();
    let batch = |written: Fr| {
        let collectors: Vec<Start> = (0..u32::from(shape.fee_slots))
            .map(|i| start(140 + i, 100 + i, 0))
            .collect();
        let mut batch = world_with(bench, &collectors, [1, 4]);
        for (slot, collector) in batch.values.fees.iter_mut().zip(&collectors) {
            slot.index = Fr::from(collector.index);
        }
        let (values, _) = nobodys(Fr::ZERO);
        let slot = Slot { values };
        slot.append_in(bench, &mut batch, bench.slot("l1_op"), (0, written));
        while batch.used()[0] < usize::from(shape.l1_ops) {
            let top_up = existing(&mut batch, 66, TOP_UP, 0);
            let written = top_up.written();
            batch.l1(66, top_up.values, written);
        }
        for _ in 0..shape.transfers {
            batch.transfer(&pay(2, 2, 1));
        }
        for _ in 0..shape.withdrawals {
            batch.withdraw(&pay(2, 0, 1));
        }
        batch.finish()
    };
    let (_, leaf) = nobodys(Fr::ZERO);
    Pair {
        honest: Witness::of(batch(Fr::ZERO)),
        forged: with_kinds(bench, batch(leaf), [Fr::ONE, Fr::ONE, -Fr::ONE]),
    }
}

/// Kinds (1, −1, 1) add up to 1 and are published as 2: a TopUp of nothing.
fn account_by_a_top_up(bench: &Workbench) -> Pair {
    let batch = |index: u32, token: u64| {
        let (mut values, written) = nobodys(Fr::from(token));
        values.index = Fr::from(index);
        let mut batch = world(bench);
        let slot = Slot { values };
        slot.append_in(bench, &mut batch, bench.slot("l1_op"), (index, written));
        batch.finish()
    };
    Pair {
        honest: alone(bench, existing(&mut world(bench), 66, TOP_UP, 0), 66),
        forged: with_kinds(bench, batch(130, 7), [Fr::ONE, -Fr::ONE, Fr::ONE]),
    }
}

fn inflated_top_up(bench: &Workbench) -> Pair {
    let slot = existing(&mut world(bench), 66, TOP_UP, 50);
    let written = slot.written_with(Fr::from(6_000u64));
    let honest = alone(bench, slot, 66);
    Pair {
        forged: honest.clone().set(bench.wire("l1_op", "written"), written),
        honest,
    }
}

fn exit_and_stay(bench: &Workbench) -> Pair {
    let slot = existing(&mut world(bench), 66, EXIT, 0);
    let honest = alone(bench, slot, 66);
    let kept = leaf_hash(world(bench).leaf(66));
    Pair {
        forged: honest.clone().set(bench.wire("l1_op", "written"), kept),
        honest,
    }
}

fn exit_with_a_deposit(bench: &Workbench) -> Pair {
    bent_existing(bench, EXIT, 0, |slot| slot.amount = Fr::from(50u64))
}

fn exit_with_everything(bench: &Workbench) -> Pair {
    let slot = existing(&mut world(bench), 66, EXIT, 0);
    let paid_out = bench.wire("l1_op/exit_pays_the_whole_balance", "paid_out");
    let honest = alone(bench, slot, 66);
    Pair {
        forged: honest.clone().set(paid_out, Fr::from(1_000_000u64)),
        honest,
    }
}

fn phantom_exit(bench: &Workbench) -> Pair {
    let phantom = start(9, 0, 1_000_000);
    let mut real = world_with(bench, &[phantom], [1, 4]);
    existing(&mut real, 9, EXIT, 0).append(bench, &mut real, 9);
    let mut forged = world(bench);
    forged.claim(&phantom);
    existing(&mut forged, 9, EXIT, 0).append(bench, &mut forged, 9);
    Pair {
        honest: Witness::of(real.finish()),
        forged: Witness::of(forged.finish()),
    }
}

fn create_over_an_account(bench: &Workbench) -> Pair {
    Pair {
        honest: alone(bench, create(9, 0, 250, 2), 9),
        forged: alone(bench, create(2, 0, 250, 2), 2),
    }
}

fn node_as_leaf(bench: &Workbench) -> Pair {
    let exit = |slot: Slot| {
        let mut batch = world_with(bench, &[], [0, 4]);
        slot.append(bench, &mut batch, 1);
        Witness::of(batch.finish())
    };
    let honest = exit(existing(&mut world(bench), 1, EXIT, 0));
    let leaves = [1, 2, 3].map(|index| leaf_hash(world(bench).leaf(index)));
    let mut slot = existing(&mut world(bench), 1, EXIT, 0);
    slot.values.key = (Fr::ZERO, leaves[0]);
    slot.values.lane = leaves[1];
    slot.values.balance = leaves[2];
    Pair {
        honest,
        forged: exit(slot),
    }
}

fn top_up_of_the_past(bench: &Workbench) -> Pair {
    let mut batch = world(bench);
    let second = bench.slot("l1_op").max(1);
    for slot in [second - 1, second] {
        let top_up = existing(&mut batch, 66, TOP_UP, 50);
        let written = top_up.written();
        batch.leaf(66).balance += Fr::from(50u64);
        top_up.append_in(bench, &mut batch, slot, (66, written));
    }
    let honest = batch.finish();
    let mut forged = honest.clone();
    forged.l1_ops[second] = forged.l1_ops[second - 1].clone();
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}

/// An index of an empty place, with an empty path.
fn unused_slot_with_an_index(bench: &Workbench) -> Pair {
    let honest = world(bench).finish();
    let mut forged = honest.clone();
    let slot = &mut forged.l1_ops[bench.slot("l1_op")];
    slot.index = Fr::from(130u64);
    slot.path = empty_path(bench);
    Pair {
        honest: Witness::of(honest),
        forged: Witness::of(forged),
    }
}
