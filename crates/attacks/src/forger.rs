//! Batches made without any of the ledger's checks.
//!
//! [`Forger`] builds the circuit's values slot by slot with field arithmetic where the ledger would
//! refuse: balances may wrap, nonces repeat, tokens differ. Paths, leaves, roots, words and public
//! inputs all follow consistently, so a forgery breaks the one rule it is about and nothing else.

use std::collections::BTreeMap;

use ark_ff::{AdditiveGroup, BigInteger256, Field, PrimeField};
use circuits::{
    account::{LeafValues, NONCE_BITS, power_of_two},
    eddsa::SignatureValues,
    operation::{DebitValues, L1Values, TransferValues},
    shapes::padding,
    transition::BatchValues,
};
use ledger::{
    eddsa::PrivateKey,
    field::Fr,
    float::{Float16, Float40},
    poseidon,
    shape::Shape,
    tree::Tree,
};

/// A transfer (or, without a receiver, a withdrawal) as a cheating prover would have it.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    pub from: u32,
    pub to: u32,
    pub amount: Float40,
    pub fee: Float16,
    pub valid_until: u64,
    /// The fee slot chosen.
    pub fee_slot: Option<usize>,
    /// What moves instead of the published amount.
    pub executed: Option<Fr>,
    /// What is written over the paying account instead of what it has left.
    pub written: Option<LeafValues>,
}

impl Forged {
    fn executed(&self) -> Fr {
        self.executed
            .unwrap_or_else(|| Fr::from(self.amount.value()))
    }
}

/// Signed kind of a transfer.
pub const TRANSFER: u64 = 1;
/// Signed kind of a withdrawal.
pub const WITHDRAW: u64 = 2;

/// The message that the slot's signature must be for, over field elements of any size.
pub fn message(domain: &Fr, kind: u64, debit: &DebitValues, to: Fr) -> Fr {
    let packed = [
        (Fr::from(kind), 232),
        (debit.from, 200),
        (to, 168),
        (debit.amount, 128),
        (debit.fee, 112),
        (debit.account.nonce, 72),
        (debit.valid_until, 32),
        (debit.account.token, 0),
    ];
    let packed = packed
        .iter()
        .map(|(field, shift)| *field * power_of_two(*shift))
        .sum();
    poseidon::hash(&[*domain, packed])
}

/// A signature by `key` as the witness has it.
pub fn sign(key: &PrivateKey, message: &Fr) -> SignatureValues {
    let signature = key.sign(message);
    SignatureValues {
        r8: (signature.r8.x, signature.r8.y),
        s: signature.s.into_bigint(),
    }
}

/// A batch under forgery; see the module's head. Slots are appended in batch order.
pub struct Forger {
    /// The values so far; what is left of them at the end is padding.
    pub values: BatchValues,
    tree: Tree,
    leaves: BTreeMap<u32, LeafValues>,
    keys: BTreeMap<u32, PrivateKey>,
    /// What each fee slot is owed.
    credits: Vec<Fr>,
    l1_ops: Vec<L1Values>,
    transfers: Vec<TransferValues>,
    withdrawals: Vec<DebitValues>,
}

/// An account to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Index, at least 1.
    pub index: u32,
    pub token: u32,
    pub nonce: u64,
    pub balance: u128,
}

impl Start {
    fn account(&self) -> (LeafValues, PrivateKey) {
        let key = PrivateKey::derive("quire testkit account", &self.index.to_be_bytes());
        let point = key.public_key();
        let leaf = LeafValues {
            ax: point.x,
            ay: point.y,
            token: Fr::from(self.token),
            nonce: Fr::from(self.nonce),
            balance: Fr::from(self.balance),
        };
        (leaf, key)
    }
}

impl Forger {
    /// A batch of `shape` at timestamp 1,000 on a tree that holds `accounts`, whose keys derive
    /// from their indices; `fee_indices` are the accounts of the fee slots in order (0: unused).
    pub fn new(shape: &Shape, accounts: &[Start], fee_indices: &[u32]) -> Self {
        let mut tree = Tree::new(shape.depth);
        let mut leaves = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for start in accounts {
            let (leaf, key) = start.account();
            tree.update(start.index, leaf_hash(&leaf))
                .expect("the index is within the tree");
            leaves.insert(start.index, leaf);
            keys.insert(start.index, key);
        }
        let mut values = padding(shape);
        values.timestamp = Fr::from(1_000u64);
        values.roots = tree
            .subtrees(shape.cached_levels)
            .expect("fewer levels than the tree");
        for (slot, index) in values.fees.iter_mut().zip(fee_indices) {
            slot.index = Fr::from(*index);
            if let Some(leaf) = leaves.get(index) {
                slot.account = *leaf;
            }
        }
        let credits = vec![Fr::ZERO; values.fees.len()];
        let (l1_ops, transfers, withdrawals) = Default::default();
        Self {
            values,
            tree,
            leaves,
            keys,
            credits,
            l1_ops,
            transfers,
            withdrawals,
        }
    }

    /// Puts another leaf into the tree that the batch begins with; before any slot is appended.
    pub fn set_up(&mut self, index: u32, leaf: LeafValues) {
        self.replace(index, leaf);
        let cached = self.values.shape.cached_levels;
        self.values.roots = self
            .tree
            .subtrees(cached)
            .expect("fewer levels than the tree");
    }

    /// Puts an account like that at `from`, with its key, at another index of the tree that the batch
    /// begins with.
    pub fn set_up_twin(&mut self, from: u32, index: u32) {
        self.keys.insert(index, self.keys[&from].clone());
        self.set_up(index, self.leaves[&from]);
    }

    /// The current leaf of an account, open to tampering.
    pub fn leaf(&mut self, index: u32) -> &mut LeafValues {
        self.leaves.get_mut(&index).expect("the account exists")
    }

    /// Claims an account at an index at which the tree has nothing.
    pub fn claim(&mut self, start: &Start) {
        let (leaf, key) = start.account();
        self.leaves.insert(start.index, leaf);
        self.keys.insert(start.index, key);
    }

    /// Changes a leaf of the prover's own tree behind the circuit's back.
    pub fn rewrite_leaf(&mut self, index: u32, leaf: Fr) {
        self.write(index, leaf);
    }

    /// L1 operations, transfers and withdrawals appended so far.
    pub fn used(&self) -> [usize; 3] {
        let Self {
            l1_ops,
            transfers,
            withdrawals,
            ..
        } = self;
        [l1_ops.len(), transfers.len(), withdrawals.len()]
    }

    /// The slot of a TopUp or ForcedExit of an account as it stands, without its path.
    pub fn existing(&mut self, index: u32, kind: [bool; 3], amount: u64) -> L1Values {
        let leaf = *self.leaf(index);
        L1Values {
            kind,
            index: Fr::from(index),
            token: leaf.token,
            amount: Fr::from(amount),
            published_key: (Fr::ZERO, Fr::ZERO),
            key: (leaf.ax, leaf.ay),
            lane: lane_of(&leaf),
            balance: leaf.balance,
            path: Vec::new(),
        }
    }

    /// The signing key of an account.
    pub fn key(&self, index: u32) -> &PrivateKey {
        &self.keys[&index]
    }

    /// Appends a transfer, signed by the sender for its current nonce and token.
    pub fn transfer(&mut self, forged: &Forged) -> &mut TransferValues {
        self.pad_l1();
        let debit = self.debit(forged, TRANSFER);
        let receiver = self.leaves[&forged.to];
        let balance = receiver.balance + forged.executed();
        let receiver_path = self.replace(
            forged.to,
            LeafValues {
                balance,
                ..receiver
            },
        );
        let to = Fr::from(forged.to);
        self.transfers.push(TransferValues {
            debit,
            to,
            receiver,
            receiver_path,
        });
        self.transfers.last_mut().expect("just pushed")
    }

    /// Appends a withdrawal; `forged.to` is not used.
    pub fn withdraw(&mut self, forged: &Forged) -> &mut DebitValues {
        self.pad_transfers();
        let debit = self.debit(
            &Forged {
                to: 0,
                ..forged.clone()
            },
            WITHDRAW,
        );
        self.withdrawals.push(debit);
        self.withdrawals.last_mut().expect("just pushed")
    }

    /// Appends an L1 operation: its path is filled in, and the leaf at `index` becomes `written`.
    pub fn l1(&mut self, index: u32, values: L1Values, written: Fr) -> &mut L1Values {
        let path = self.write(index, written);
        self.l1_ops.push(L1Values { path, ..values });
        self.l1_ops.last_mut().expect("just pushed")
    }

    /// The values, padded, fees credited; unused slots keep the padding's signatures.
    pub fn finish(mut self) -> BatchValues {
        self.pad_transfers();
        let used = self.withdrawals.len();
        for slot in used..self.values.withdrawals.len() {
            let path = self.path_of_empty();
            let padding = self.values.withdrawals[slot].clone();
            self.withdrawals.push(DebitValues { path, ..padding });
        }
        for slot in 0..self.values.fees.len() {
            let index = self.values.fees[slot].index;
            let known = self
                .leaves
                .keys()
                .copied()
                .find(|known| Fr::from(*known) == index);
            let Some(index) = known else {
                self.values.fees[slot].path = self.path_of_empty();
                continue;
            };
            let account = self.leaves[&index];
            let balance = account.balance + self.credits[slot];
            self.values.fees[slot].account = account;
            self.values.fees[slot].path = self.replace(index, LeafValues { balance, ..account });
        }
        self.values.l1_ops = self.l1_ops;
        self.values.transfers = self.transfers;
        self.values.withdrawals = self.withdrawals;
        self.values
    }

    fn pad_l1(&mut self) {
        while self.l1_ops.len() < self.values.l1_ops.len() {
            let path = self.path_of_empty();
            self.l1_ops.push(L1Values {
                path,
                ..self.values.l1_ops[0].clone()
            });
        }
    }

    fn pad_transfers(&mut self) {
        self.pad_l1();
        while self.transfers.len() < self.values.transfers.len() {
            let mut padding = self.values.transfers[self.transfers.len()].clone();
            padding.debit.path = self.path_of_empty();
            padding.receiver_path = self.path_of_empty();
            self.transfers.push(padding);
        }
    }

    /// The path of index 0 as padding slots show it.
    fn path_of_empty(&self) -> Vec<[Fr; 4]> {
        let mut path = self.tree.path(0).expect("index 0 is within every tree");
        path.truncate(self.hashed_levels());
        path
    }

    fn hashed_levels(&self) -> usize {
        usize::from(self.values.shape.depth - self.values.shape.cached_levels)
    }

    fn debit(&mut self, forged: &Forged, kind: u64) -> DebitValues {
        let account = self.leaves[&forged.from];
        let fee_slots = self.values.fees.len();
        let mut debit = DebitValues {
            from: Fr::from(forged.from),
            amount: Fr::from(forged.amount.packed()),
            fee: Fr::from(forged.fee.packed()),
            valid_until: Fr::from(forged.valid_until),
            account,
            path: Vec::new(),
            signature: SignatureValues {
                r8: (Fr::ZERO, Fr::ONE),
                s: BigInteger256::default(),
            },
            fee_choice: (0..fee_slots).map(|i| Some(i) == forged.fee_slot).collect(),
        };
        let message = message(&self.values.domain, kind, &debit, Fr::from(forged.to));
        debit.signature = sign(&self.keys[&forged.from], &message);
        let fee = Fr::from(forged.fee.value());
        let written = forged.written.unwrap_or(LeafValues {
            nonce: account.nonce + Fr::ONE,
            balance: account.balance - forged.executed() - fee,
            ..account
        });
        debit.path = self.replace(forged.from, written);
        if let Some(slot) = forged.fee_slot {
            self.credits[slot] += fee;
        }
        debit
    }

    /// Credits a fee slot with what nobody paid.
    pub fn credit(&mut self, slot: usize, amount: Fr) {
        self.credits[slot] += amount;
    }

    /// Replaces an account's leaf and returns the path of the update.
    fn replace(&mut self, index: u32, leaf: LeafValues) -> Vec<[Fr; 4]> {
        self.leaves.insert(index, leaf);
        self.write(index, leaf_hash(&leaf))
    }

    fn write(&mut self, index: u32, leaf: Fr) -> Vec<[Fr; 4]> {
        let levels = self.hashed_levels();
        let mut update = self
            .tree
            .update(index, leaf)
            .expect("the index is within the tree");
        update.children.truncate(levels);
        update.children
    }
}

/// `compress4(Ax, Ay, token·2^40 + nonce, balance)` over field elements of any size.
pub fn leaf_hash(leaf: &LeafValues) -> Fr {
    poseidon::compress4(&[leaf.ax, leaf.ay, lane_of(leaf), leaf.balance])
}

fn lane_of(leaf: &LeafValues) -> Fr {
    leaf.token * power_of_two(NONCE_BITS) + leaf.nonce
}
