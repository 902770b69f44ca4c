//! Random steps, made from the model alone: what is good, what is bad in one way, and what is bad
//! by accident. Small numbers of accounts make every overlap of roles common.

use std::collections::{BTreeMap, VecDeque};

use ledger::float::{Float, Float16, Float40};
use ledger::operation::{L1Op, NO_EXPIRY, Transfer, Withdraw};
use num_bigint::BigUint;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::model::{Holding, Model};
use crate::step::{Begin, Flaw, Sent, Step};
use crate::world::{BOUNDED, TOKENS, World, limit, public};

/// Makes the steps of one trace.
pub struct Generator {
    rng: ChaCha8Rng,
    world: &'static World,
    /// Kinds of the open batch's steps to come: 0 L1, 1 transfer, 2 withdrawal.
    plan: VecDeque<usize>,
    sent: Vec<Step>,
    /// Index of the last L1 operation.
    last_l1: u32,
    timestamp: u64,
}

impl Generator {
    /// The generator of a seed.
    pub fn new(world: &'static World, seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            world,
            plan: VecDeque::new(),
            sent: Vec::new(),
            last_l1: 1,
            timestamp: 1_000,
        }
    }

    /// The beginning of a batch.
    pub fn begin(&mut self) -> Begin {
        let rng = &mut self.rng;
        let shape = rng.gen_range(0..self.world.shapes.len());
        let sizes = self.world.shapes[shape];
        self.timestamp += rng.gen_range(0..3);
        let slots = [sizes.l1_ops, sizes.transfers, sizes.withdrawals];
        self.plan.clear();
        for (kind, slots) in slots.into_iter().enumerate() {
            // More than the slots, since much is refused; sometimes too many or none.
            let slots = usize::from(slots).min(8);
            let most = if slots == 0 { 1 } else { slots + slots / 2 + 1 };
            let count = rng.gen_range(0..=most);
            self.plan.extend(std::iter::repeat_n(kind, count));
        }
        if rng.gen_bool(0.1) {
            self.plan.make_contiguous().shuffle(rng);
        }
        if rng.gen_bool(0.05) {
            self.plan.clear();
        }
        let mut fee_accounts: BTreeMap<u32, u32> = TOKENS.into_iter().zip(1..).collect();
        if rng.gen_bool(0.2) {
            fee_accounts.remove(&TOKENS[rng.gen_range(0..4)]);
        }
        if rng.gen_bool(0.1) {
            // An ordinary account collects, or one that does not exist or holds something else.
            fee_accounts.insert(0, [5, 13, 2, 40][rng.gen_range(0..4)]);
        }
        Begin {
            shape,
            timestamp: self.timestamp,
            fee_accounts,
        }
    }

    /// The next step.
    pub fn step(&mut self, model: &Model) -> Step {
        let Some(kind) = self.plan.pop_front() else {
            return Step::Begin(self.begin());
        };
        let step = match kind {
            0 => return Step::L1(self.l1(model)),
            _ if !self.sent.is_empty() && self.rng.gen_bool(0.04) => self.replay(),
            1 => Step::Transfer(self.transfer(model)),
            _ => Step::Withdraw(self.withdraw(model)),
        };
        self.sent.push(step.clone());
        step
    }

    /// Something that was sent before, the last operations more likely.
    fn replay(&mut self) -> Step {
        let recent = self.sent.len().saturating_sub(6);
        let from = if self.rng.gen_bool(0.7) { recent } else { 0 };
        self.sent[self.rng.gen_range(from..self.sent.len())].clone()
    }

    fn l1(&mut self, model: &Model) -> L1Op {
        let last = u32::try_from(model.leaves - 1).expect("at most 4^16 leaves");
        let rng = &mut self.rng;
        let anywhere = [0, last, last.saturating_add(1), u32::MAX][rng.gen_range(0..4)];
        let index = match rng.gen_range(0..20) {
            0 => anywhere,
            1..=6 => self.last_l1,
            7..=13 => rng.gen_range(1..=last.min(40)),
            _ => any_account(rng, model).0,
        };
        self.last_l1 = index;
        let held = model.accounts.get(&index).map(|account| account.token);
        let wrong = rng.gen_bool(0.05);
        let create = if held.is_none() { !wrong } else { wrong };
        let token = match held {
            Some(held) if !rng.gen_bool(0.05) => held,
            _ => TOKENS[rng.gen_range(0..4)],
        };
        if create {
            let owner = if rng.gen_bool(0.1) {
                5
            } else {
                index.min(5_000)
            };
            let amount = deposit(rng, model, token);
            let key = public(if index > 2_000 { 7 } else { owner });
            return L1Op::Create {
                index,
                token,
                amount,
                key,
            };
        }
        if rng.gen_bool(0.35) {
            return L1Op::ForcedExit { index, token };
        }
        let amount = deposit(rng, model, token);
        L1Op::TopUp {
            index,
            token,
            amount,
        }
    }

    fn transfer(&mut self, model: &Model) -> Sent<Transfer> {
        let rng = &mut self.rng;
        let (from, sender) = sender(rng, model, self.last_l1);
        let same: Vec<u32> = model
            .accounts
            .iter()
            .filter(|(_, account)| account.token == sender.token)
            .map(|(index, _)| *index)
            .collect();
        let to = match rng.gen_range(0..10) {
            0 | 1 => from,
            2 => *model.batch.fee_accounts.get(&sender.token).unwrap_or(&from),
            _ => *same.choose(rng).expect("the sender is among them"),
        };
        let (amount, fee) = amounts(rng, &sender.balance);
        let op = Transfer {
            from,
            to,
            amount,
            fee,
            nonce: sender.nonce,
            valid_until: self.expiry(),
            token: sender.token,
        };
        let mut sent = Sent {
            op,
            by: sender.owner,
            flaw: Flaw::None,
        };
        if self.rng.gen_bool(0.33) {
            self.spoil_transfer(&mut sent, model);
        }
        sent
    }

    fn withdraw(&mut self, model: &Model) -> Sent<Withdraw> {
        let (from, sender) = sender(&mut self.rng, model, self.last_l1);
        let (amount, fee) = amounts(&mut self.rng, &sender.balance);
        let op = Withdraw {
            from,
            amount,
            fee,
            nonce: sender.nonce,
            valid_until: self.expiry(),
            token: sender.token,
        };
        let mut sent = Sent {
            op,
            by: sender.owner,
            flaw: Flaw::None,
        };
        if self.rng.gen_bool(0.33) {
            // A withdrawal has what a transfer has but for the receiver.
            let Withdraw {
                from,
                amount,
                fee,
                nonce,
                valid_until,
                token,
            } = op;
            let transfer = Transfer {
                from,
                to: from,
                amount,
                fee,
                nonce,
                valid_until,
                token,
            };
            let mut twin = Sent {
                op: transfer,
                by: sent.by,
                flaw: sent.flaw,
            };
            self.spoil_transfer(&mut twin, model);
            let Transfer {
                from,
                to: _,
                amount,
                fee,
                nonce,
                valid_until,
                token,
            } = twin.op;
            let op = Withdraw {
                from,
                amount,
                fee,
                nonce,
                valid_until,
                token,
            };
            sent = Sent {
                op,
                by: twin.by,
                flaw: twin.flaw,
            };
        }
        sent
    }

    fn expiry(&mut self) -> u64 {
        let (now, rng) = (self.timestamp, &mut self.rng);
        [now, now + 1, NO_EXPIRY, NO_EXPIRY][rng.gen_range(0..4)]
    }

    /// Makes one thing wrong, or nearly so.
    fn spoil_transfer(&mut self, sent: &mut Sent<Transfer>, model: &Model) {
        let last = u32::try_from(model.leaves - 1).expect("at most 4^16 leaves");
        let (now, rng) = (self.timestamp, &mut self.rng);
        let balance = model.accounts.get(&sent.op.from).map(|a| a.balance.clone());
        let balance = u128::try_from(balance.unwrap_or_default()).unwrap_or(u128::MAX);
        let op = &mut sent.op;
        match rng.gen_range(0..22) {
            0 => sent.by = sent.by % 14 + 1,
            1 => sent.flaw = Flaw::Domain,
            2 | 3 => sent.flaw = Flaw::Bit(rng.gen_range(0..240)),
            4 => sent.flaw = Flaw::Scalar,
            5 => op.nonce += 1,
            6 => op.nonce = op.nonce.saturating_sub(1),
            7 => op.nonce = [NO_EXPIRY, NO_EXPIRY + 1, u64::MAX][rng.gen_range(0..3)],
            8 | 9 => op.valid_until = now - 1,
            10 => op.valid_until = NO_EXPIRY + 1,
            11 | 12 => op.token = TOKENS[rng.gen_range(0..4)],
            13 => op.to = any_account(rng, model).0,
            14 => op.to = rng.gen_range(0..=last.min(60)),
            15 => op.from = rng.gen_range(0..=last.min(60)),
            16 => op.from = [0, last.saturating_add(1), u32::MAX][rng.gen_range(0..3)],
            17 => op.to = [0, last, last.saturating_add(1), u32::MAX][rng.gen_range(0..4)],
            18 => op.amount = Float40::from_packed((1 << 40) - 1).expect("40 bits"),
            19 => op.amount = one_more(balance),
            20 => {
                op.amount = Float40::round_down(balance);
                let rest = balance - op.amount.value_u128().expect("rounded down");
                op.fee = Float16::round_down(rest.saturating_add(1));
            }
            _ => op.fee = Float16::from_packed(rng.gen_range(0..1 << 16)).expect("16 bits"),
        }
    }
}

/// Often the account that L1 named last, so that deposits, exits and payments meet.
fn sender(rng: &mut ChaCha8Rng, model: &Model, last_l1: u32) -> (u32, Holding) {
    match model.accounts.get(&last_l1) {
        Some(account) if rng.gen_bool(0.2) => (last_l1, account.clone()),
        _ => any_account(rng, model),
    }
}

/// One of the accounts, the first and the last ones more likely.
fn any_account(rng: &mut ChaCha8Rng, model: &Model) -> (u32, Holding) {
    let all: Vec<(&u32, &Holding)> = model.accounts.iter().collect();
    let place = match rng.gen_range(0..10) {
        0..=4 => rng.gen_range(0..all.len().min(8)),
        5 | 6 => all.len() - 1 - rng.gen_range(0..all.len().min(3)),
        _ => rng.gen_range(0..all.len()),
    };
    let (index, account) = all[place];
    (*index, account.clone())
}

/// The smallest float above a balance.
fn one_more(balance: u128) -> Float40 {
    let exact = Float40::exact(balance.saturating_add(1));
    exact.unwrap_or_else(|| {
        let below = Float40::round_down(balance);
        let (exponent, mantissa) = (below.exponent(), below.mantissa() + 1);
        Float40::from_parts(exponent, mantissa).unwrap_or(below)
    })
}

/// A deposit that L1 would take: the supply of a bounded token stays below 2^128.
fn deposit(rng: &mut ChaCha8Rng, model: &Model, token: u32) -> u128 {
    let amount = match rng.gen_range(0..8) {
        0 => 0,
        1 => 1,
        2 => u128::MAX,
        3 => rng.gen_range(0..10u128.pow(24)),
        _ => rng.gen_range(0..5_000),
    };
    if !BOUNDED.contains(&token) {
        return amount;
    }
    let room = limit() - 1u8 - model.supply(token);
    let room = u128::try_from(room).expect("the supply is not negative");
    amount.min(room)
}

/// An amount and a fee that a balance can pay, in any spelling.
fn amounts(rng: &mut ChaCha8Rng, balance: &BigUint) -> (Float40, Float16) {
    let balance = u128::try_from(balance).expect("balances are below 2^128");
    let fee = match rng.gen_range(0..5) {
        0 | 1 => 0,
        2 => 1,
        3 => rng.gen_range(0..50),
        _ => balance / 100,
    };
    let fee = Float16::round_down(fee.min(balance));
    let left = balance - fee.value_u128().expect("rounded down");
    let amount = match rng.gen_range(0..6) {
        0 => 0,
        1 => left.min(1),
        2 => left,
        3 => left / 2,
        _ => left.min(rng.gen_range(0..1_000)),
    };
    (
        respelled(rng, Float40::round_down(amount)),
        respelled(rng, fee),
    )
}

/// Sometimes another spelling of the same value.
fn respelled<const M: u32>(rng: &mut ChaCha8Rng, float: Float<M>) -> Float<M> {
    let (exponent, mantissa) = (float.exponent(), float.mantissa());
    let other = match rng.gen_range(0..6) {
        0 if mantissa == 0 => Float::from_parts(rng.gen_range(0..32), 0),
        0 if mantissa % 10 == 0 => Float::from_parts(exponent + 1, mantissa / 10),
        1 if exponent > 0 => Float::from_parts(exponent - 1, mantissa * 10),
        _ => Ok(float),
    };
    other.unwrap_or(float)
}
