//! The oracle: who has what, as a plain map and the sentences of the protocol.
//!
//! Naive on purpose: integers of any size, no tree, no overlay, nothing of the ledger's rules, its
//! floats or its order of checks. Where the ledger names one broken rule, the model names all.

use std::collections::{BTreeMap, BTreeSet};

use ledger::operation::{Fields, L1Op, Signable};
use ledger::shape::Shape;
use num_bigint::BigUint;

use crate::step::{Begin, Flaw, Sent, Step};
use crate::world::{limit, public};

/// Names of broken rules; empty when there is none.
pub type Broken = BTreeSet<&'static str>;

const FORTY: u64 = 1 << 40;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Token id.
    pub token: u32,
    /// Operations so far.
    pub nonce: u64,
    /// In the smallest unit.
    pub balance: BigUint,
    /// Number of its key.
    pub owner: u32,
}

/// A fault that can be planted, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// None.
    Nothing,
    /// A self-transfer mints its amount.
    SelfTransferMints,
    /// The last nonce can be used.
    NonceWraps,
}

/// The open batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its shape.
    pub shape: Shape,
    /// Its timestamp.
    pub timestamp: u64,
    /// Token to fee account.
    pub fee_accounts: BTreeMap<u32, u32>,
    /// L1 operations, transfers, withdrawals so far.
    pub counts: [usize; 3],
    /// Fees so far, by token.
    pub owed: BTreeMap<u32, BigUint>,
    /// Index, token and amount of what is paid out, in order.
    pub paid: Vec<(u32, u32, BigUint)>,
}

/// All accounts and the open batch.
#[derive(Clone, Debug)]
pub struct Model {
    /// 4^depth.
    pub leaves: u64,
    /// By index.
    pub accounts: BTreeMap<u32, Holding>,
    /// The open batch.
    pub batch: Batch,
    planted: Planted,
}

/// The fields of a signed operation, and whether the signature is what it should be.
struct Asked {
    fields: Fields,
    to: Option<u32>,
    by: u32,
    genuine: bool,
    value: BigUint,
    fee: BigUint,
}

impl Asked {
    fn of<T: Signable>(sent: &Sent<T>, has_receiver: bool) -> Self {
        let fields = sent.op.fields();
        Self {
            to: has_receiver.then_some(fields.to),
            by: sent.by,
            genuine: sent.flaw == Flaw::None,
            value: float(fields.amount.packed(), 35),
            fee: float(fields.fee.packed(), 11),
            fields,
        }
    }
}

/// `mantissa·10^exponent`.
fn float(packed: u64, mantissa_bits: u32) -> BigUint {
    let mantissa = packed & ((1 << mantissa_bits) - 1);
    let exponent = u32::try_from(packed >> mantissa_bits).expect("five bits");
    BigUint::from(mantissa) * BigUint::from(10u8).pow(exponent)
}

impl Model {
    /// A model that holds `accounts`, with an open batch.
    pub fn new(
        accounts: BTreeMap<u32, Holding>,
        shape: Shape,
        begin: &Begin,
        planted: Planted,
    ) -> Self {
        Self {
            leaves: 4u64.pow(shape.depth.into()),
            accounts,
            batch: open(shape, begin),
            planted,
        }
    }

    /// Executes a step other than [`Step::Begin`], or says why not and changes nothing.
    pub fn push(&mut self, step: &Step) -> Broken {
        match step {
            Step::Begin(_) => Broken::new(),
            Step::L1(op) => self.l1(op),
            Step::Transfer(sent) => self.signed(&Asked::of(sent, true), 1),
            Step::Withdraw(sent) => self.signed(&Asked::of(sent, false), 2),
        }
    }

    /// Credits the fees and begins another batch; what the closed one paid out.
    pub fn close(&mut self, shape: Shape, begin: &Begin) -> Vec<(u32, u32, BigUint)> {
        for (token, fees) in std::mem::take(&mut self.batch.owed) {
            let index = self.batch.fee_accounts[&token];
            self.accounts
                .get_mut(&index)
                .expect("fees have an account")
                .balance += fees;
        }
        std::mem::replace(&mut self.batch, open(shape, begin)).paid
    }

    /// All of a token.
    pub fn supply(&self, token: u32) -> BigUint {
        let held = self.accounts.values().filter(|a| a.token == token);
        let held: BigUint = held.map(|a| &a.balance).sum();
        held + self.batch.owed.get(&token).cloned().unwrap_or_default()
    }

    /// The account that collects fees of a token in the open batch, if it can.
    pub fn fee_account(&self, token: u32) -> Option<u32> {
        let index = *self.batch.fee_accounts.get(&token)?;
        (self.accounts.get(&index)?.token == token).then_some(index)
    }

    /// A slot is left and no operation of a later kind came before.
    fn fits(&self, kind: usize, broken: &mut Broken) {
        let Batch { shape, counts, .. } = &self.batch;
        let slots = [shape.l1_ops, shape.transfers, shape.withdrawals];
        if counts[kind] >= usize::from(slots[kind]) {
            broken.insert("slots_are_left");
        }
        if counts[kind + 1..].iter().any(|count| *count > 0) {
            broken.insert("order_is_kept");
        }
    }

    fn l1(&mut self, op: &L1Op) -> Broken {
        let mut broken = Broken::new();
        self.fits(0, &mut broken);
        let index = op.index();
        if index == 0 || u64::from(index) >= self.leaves {
            broken.insert("l1_index_in_range");
        }
        match (op, self.accounts.get(&index)) {
            (L1Op::Create { .. }, Some(_)) => _ = broken.insert("l1_leaf_was_empty"),
            (L1Op::Create { .. }, None) => {}
            (_, None) => _ = broken.insert("l1_leaf_exists"),
            (_, Some(account)) => {
                if account.token != op.token() {
                    broken.insert("l1_token_agrees");
                }
                if &account.balance + op.amount() >= limit() {
                    broken.insert("l1_balance_in_range");
                }
            }
        }
        if !broken.is_empty() {
            return broken;
        }
        self.batch.counts[0] += 1;
        match *op {
            L1Op::Create {
                token, amount, key, ..
            } => {
                let owner = (0..).find(|owner| public(*owner) == key);
                let holding = Holding {
                    token,
                    nonce: 0,
                    balance: amount.into(),
                    owner: owner.expect("keys have small numbers"),
                };
                self.accounts.insert(index, holding);
            }
            L1Op::TopUp { amount, .. } => {
                self.accounts.get_mut(&index).expect("checked").balance += amount;
            }
            L1Op::ForcedExit { token, .. } => {
                let account = self.accounts.get_mut(&index).expect("checked");
                let paid = std::mem::take(&mut account.balance);
                self.batch.paid.push((index, token, paid));
            }
        }
        broken
    }

    fn signed(&mut self, asked: &Asked, kind: usize) -> Broken {
        let mut broken = Broken::new();
        self.fits(kind, &mut broken);
        self.account_rules(asked, &mut broken);
        let after = self.after(asked);
        let owed = self.owed(asked, &mut broken);
        let Some(after) = after else { return broken };
        self.ranges(&after, &owed, &mut broken);
        if broken.is_empty() {
            self.accounts = after;
            self.batch.owed = owed;
            self.batch.counts[kind] += 1;
            if asked.to.is_none() {
                let paid = (asked.fields.from, asked.fields.token, asked.value.clone());
                self.batch.paid.push(paid);
            }
        }
        broken
    }

    /// What must hold of the sender, the receiver and the signature.
    fn account_rules(&self, asked: &Asked, broken: &mut Broken) {
        let fields = &asked.fields;
        let mut check = |rule, holds: bool| {
            if !holds {
                broken.insert(rule);
            }
        };
        let wide = [fields.nonce, fields.valid_until]
            .iter()
            .any(|n| *n >= FORTY);
        check("field_in_range", !wide);
        check("not_expired", fields.valid_until >= self.batch.timestamp);
        let named = [Some(fields.from), asked.to];
        for index in named.into_iter().flatten() {
            check("index_in_range", u64::from(index) < self.leaves);
            let held = self.accounts.get(&index).map(|account| account.token);
            check("same_token", held.is_none_or(|held| held == fields.token));
        }
        if let Some(to) = asked.to {
            check("receiver_exists", self.accounts.contains_key(&to));
        }
        let Some(sender) = self.accounts.get(&fields.from) else {
            check("sender_exists", false);
            return;
        };
        let signed = asked.genuine && asked.by == sender.owner;
        check("signature_is_valid", signed);
        check("nonce_is_next", fields.nonce == sender.nonce);
        let last = sender.nonce + 1 >= FORTY && self.planted != Planted::NonceWraps;
        check("nonce_has_successor", !last);
        let needed = &asked.value + &asked.fee;
        check("sender_can_pay", sender.balance >= needed);
    }

    /// The accounts afterwards, if sender and receiver exist and the sender can pay.
    fn after(&self, asked: &Asked) -> Option<BTreeMap<u32, Holding>> {
        let mut after = self.accounts.clone();
        let sender = after.get_mut(&asked.fields.from)?;
        let needed = &asked.value + &asked.fee;
        if sender.balance < needed {
            return None;
        }
        sender.balance -= needed;
        sender.nonce += 1;
        if let Some(to) = asked.to {
            after.get_mut(&to)?.balance += &asked.value;
            if to == asked.fields.from && self.planted == Planted::SelfTransferMints {
                after.get_mut(&to)?.balance += &asked.value;
            }
        }
        Some(after)
    }

    /// The fees owed afterwards.
    fn owed(&self, asked: &Asked, broken: &mut Broken) -> BTreeMap<u32, BigUint> {
        let mut owed = self.batch.owed.clone();
        if asked.fee == BigUint::ZERO {
            return owed;
        }
        let token = asked.fields.token;
        if self.fee_account(token).is_none() {
            broken.insert("fee_account_exists");
        }
        let slots = usize::from(self.batch.shape.fee_slots);
        if !owed.contains_key(&token) && owed.len() >= slots {
            broken.insert("fee_slot_is_left");
        }
        *owed.entry(token).or_default() += &asked.fee;
        owed
    }

    /// No balance reaches 2^128, fees included.
    fn ranges(
        &self,
        after: &BTreeMap<u32, Holding>,
        owed: &BTreeMap<u32, BigUint>,
        broken: &mut Broken,
    ) {
        if after.values().any(|account| account.balance >= limit()) {
            broken.insert("receiver_balance_in_range");
        }
        for (token, fees) in owed {
            let index = self.fee_account(*token);
            let account = index.and_then(|index| after.get(&index));
            if account.is_some_and(|account| &account.balance + fees >= limit()) {
                broken.insert("fee_account_balance_in_range");
            }
        }
    }
}

fn open(shape: Shape, begin: &Begin) -> Batch {
    Batch {
        shape,
        timestamp: begin.timestamp,
        fee_accounts: begin.fee_accounts.clone(),
        counts: [0; 3],
        owed: BTreeMap::new(),
        paid: Vec::new(),
    }
}
