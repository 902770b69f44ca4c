//! Who may submit, as a random walk: the contract, the native L1 and a third account of the rule, which
//! this file is, say the same about every batch, return, hand-over and freeze.
//!
//! Time goes to the seconds at which something changes (the oldest entry overdue, or waiting long enough
//! for a freeze; the operator's hour over; its next return; a timestamp too old), one before and one
//! after; batches have timestamps of now, the oldest that L1 takes, and the first at which the oldest
//! entry is overdue. `QUIRE_WALK` is the number of steps, by default 300.

use std::collections::BTreeMap;

use evm::sample::{OPERATOR, Sealed, address, seal};
use l1::evm::calldata::{encode_batch, encode_batches};
use l1::{Address, NOBODY, OPERATORS_HOUR, Submission};
use ledger::shape::Shape;
use ledger::transition::BatchContext;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::twins::*;

/// Steps of one deployment at most.
const STORY: usize = 150;

/// The rule, told once more.
#[derive(Clone, Debug)]
struct Rule {
    slack: u64,
    takeover_after: u64,
    freeze_after: u64,
    operator: Address,
    offered: Option<Address>,
    /// When an operator returned last.
    back_at: Option<u64>,
    taken_over: bool,
    frozen: bool,
    /// Of the last batch.
    timestamp: u64,
    /// When the entries that wait were queued.
    waiting: Vec<u64>,
}

/// A batch as far as the rule looks at it.
#[derive(Clone, Copy, Debug)]
struct Plan {
    shape: Shape,
    timestamp: u64,
    entries: usize,
}

impl Rule {
    fn overdue(&self, at: u64) -> bool {
        let oldest = self.waiting.first();
        oldest.is_some_and(|since| at > since + self.takeover_after)
    }

    fn alone(&self, now: u64) -> bool {
        self.back_at
            .is_some_and(|back| now <= back + OPERATORS_HOUR)
    }

    /// The rule after these batches in one call; none if the call is refused.
    fn after(&self, caller: Address, plans: &[Plan], now: u64) -> Option<Self> {
        let mut rule = self.clone();
        let stranger = caller != self.operator;
        if self.frozen || (stranger && self.alone(now)) {
            return None;
        }
        for plan in plans {
            let Plan {
                shape,
                timestamp,
                entries,
            } = *plan;
            if timestamp > now || timestamp < now - self.slack || timestamp < rule.timestamp {
                return None;
            }
            if stranger && !rule.taken_over && !rule.overdue(timestamp) {
                return None;
            }
            rule.timestamp = timestamp;
            rule.waiting.drain(..entries);
            if stranger {
                let has_room = shape.l1_ops == 0 || entries < usize::from(shape.l1_ops);
                if has_room && rule.overdue(timestamp) {
                    return None;
                }
                rule.taken_over = true;
            } else if !rule.overdue(now) {
                rule.taken_over = false;
            }
        }
        Some(rule)
    }

    fn after_return(&self, caller: Address, now: u64) -> Option<Self> {
        let open = self.taken_over || self.overdue(now);
        let early = self
            .back_at
            .is_some_and(|back| now < back + self.takeover_after);
        let refused = self.frozen || caller != self.operator || !open || early;
        (!refused).then(|| Self {
            back_at: Some(now),
            ..self.clone()
        })
    }

    fn after_offer(&self, caller: Address, to: Option<Address>) -> Option<Self> {
        let refused = self.frozen || caller != self.operator || to == Some(caller);
        (!refused).then(|| Self {
            offered: to.filter(|to| *to != NOBODY),
            ..self.clone()
        })
    }

    fn after_acceptance(&self, caller: Address) -> Option<Self> {
        let refused = self.frozen || self.offered != Some(caller);
        (!refused).then(|| Self {
            operator: caller,
            offered: None,
            ..self.clone()
        })
    }

    fn after_freeze(&self, now: u64) -> Option<Self> {
        let oldest = self.waiting.first();
        let late = oldest.is_some_and(|since| now - since > self.freeze_after);
        (!self.frozen && late).then(|| Self {
            frozen: true,
            ..self.clone()
        })
    }
}

struct Walk {
    twins: Twins,
    rule: Rule,
    rng: ChaCha20Rng,
    /// How often each kind of step happened, and was refused.
    tally: BTreeMap<&'static str, [usize; 2]>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut twins = Twins::new();
        let config = &twins.world.rollup.config;
        let rule = Rule {
            slack: config.timestamp_slack,
            takeover_after: config.takeover_after,
            freeze_after: config.freeze_after,
            operator: OPERATOR,
            offered: None,
            back_at: None,
            taken_over: false,
            frozen: false,
            timestamp: 0,
            waiting: Vec::new(),
        };
        for key in 1..=ACTORS {
            let owner = address(key);
            assert!(twins.deposit(&evm::sample::deposit(owner, key.into(), 0, 1_000, FEE)));
        }
        let waiting = vec![twins.now(); ACTORS.into()];
        Self {
            twins,
            rule: Rule { waiting, ..rule },
            rng: ChaCha20Rng::seed_from_u64(seed),
            tally: BTreeMap::new(),
        }
    }

    fn anybody(&mut self) -> Address {
        let number = self.rng.gen_range(0..=ACTORS);
        match number {
            0 => OPERATOR,
            number => address(number),
        }
    }

    /// The rule and both L1s agree about what happened.
    fn agree(&mut self, what: &'static str, happened: bool, expected: Option<Rule>, how: &str) {
        assert_eq!(
            happened,
            expected.is_some(),
            "{what} {how}: {:?}",
            self.rule
        );
        let [yes, no] = self.tally.entry(what).or_default();
        *if happened { yes } else { no } += 1;
        self.rule = expected.unwrap_or_else(|| self.rule.clone());
        if !happened {
            return;
        }
        let head = self.twins.native.head().unwrap();
        let Rule {
            operator,
            offered,
            back_at,
            taken_over,
            frozen,
            timestamp,
            waiting,
            ..
        } = &self.rule;
        assert_eq!(
            (
                head.operator,
                head.offered_operator,
                head.operator_back_at,
                head.taken_over,
                head.frozen,
                head.timestamp,
                head.queue_tail - head.queue_head
            ),
            (
                *operator,
                *offered,
                back_at.unwrap_or(0),
                *taken_over,
                *frozen,
                *timestamp,
                waiting.len() as u64
            ),
            "{what} {how}"
        );
        self.twins.compare();
    }

    fn step(&mut self) {
        let now = self.twins.now();
        match self.rng.gen_range(0..20) {
            0..4 => self.queue(),
            4..8 => self.wait(),
            8..15 => self.batches(),
            15..17 => {
                let caller = self.mostly_operator();
                let expected = self.rule.after_return(caller, now);
                let happened = self.twins.return_operator(caller);
                self.agree("return", happened, expected, &caller.to_string());
            }
            17 => {
                let caller = self.mostly_operator();
                let to = match self.rng.gen_range(0..8) {
                    0 => None,
                    1 => Some(NOBODY),
                    2 => Some(caller),
                    _ => Some(self.anybody()),
                };
                let expected = self.rule.after_offer(caller, to);
                let happened = self.twins.offer_operator(caller, to);
                self.agree("offer", happened, expected, &format!("{caller} to {to:?}"));
            }
            18 => {
                let anybody = self.anybody();
                let offered = self.rule.offered.filter(|_| self.rng.gen_bool(0.7));
                let caller = offered.unwrap_or(anybody);
                let expected = self.rule.after_acceptance(caller);
                let happened = self.twins.accept_operator(caller);
                self.agree("acceptance", happened, expected, &caller.to_string());
            }
            _ => {
                let caller = self.anybody();
                let expected = self.rule.after_freeze(now);
                let happened = self.twins.freeze(caller);
                self.agree("freeze", happened, expected, &caller.to_string());
            }
        }
    }

    fn mostly_operator(&mut self) -> Address {
        let anybody = self.anybody();
        match self.rng.gen_bool(0.8) {
            true => self.rule.operator,
            false => anybody,
        }
    }

    fn queue(&mut self) {
        let index = self.rng.gen_range(1..=ACTORS);
        let happened = match self.rng.gen_bool(0.5) {
            true => self.twins.top_up(address(index), index.into(), 7, FEE),
            false => self.twins.request_exit(address(index), index.into(), FEE),
        };
        if happened {
            self.rule.waiting.push(self.twins.now());
        }
    }

    /// Until about the second at which something changes, or a little.
    fn wait(&mut self) {
        let (now, rule) = (self.twins.now(), &self.rule);
        let oldest = rule.waiting.first();
        let second = rule.waiting.get(1);
        let events = [
            oldest.map(|since| since + rule.takeover_after),
            second.map(|since| since + rule.takeover_after),
            oldest
                .filter(|_| self.rng.gen_bool(0.1))
                .map(|since| since + rule.freeze_after),
            rule.back_at.map(|back| back + OPERATORS_HOUR),
            rule.back_at.map(|back| back + rule.takeover_after),
            Some(rule.timestamp + rule.slack),
        ];
        let event = events.choose(&mut self.rng).copied().flatten();
        let event = event.map(|at| at - 1 + self.rng.gen_range(0..3));
        let event = event.filter(|at| *at >= now && self.rng.gen_bool(0.8));
        let time = event.unwrap_or_else(|| now + self.rng.gen_range(0..2_000));
        self.twins.world.chain.set_time(time);
    }

    /// One to three batches in a call, with whatever shape, entries and timestamps.
    fn batches(&mut self) {
        let is_open = self.rule.taken_over || self.rule.overdue(self.twins.now());
        let caller = match self.rng.gen_bool(if is_open { 0.8 } else { 0.4 }) {
            true => self.anybody(),
            false => self.rule.operator,
        };
        let serves = is_open || self.rng.gen_bool(0.2);
        let shape = *[tiny(), tiny(), slotless()].choose(&mut self.rng).unwrap();
        let count = match self.rng.gen_bool(0.6) {
            true => 1,
            false => self.rng.gen_range(2..=3),
        };
        let (now, mut plans) = (self.twins.now(), Vec::new());
        let (mut waiting, mut last) = (self.rule.waiting.clone(), self.rule.timestamp);
        for _ in 0..count {
            let most = waiting.len().min(shape.l1_ops.into());
            let entries = match (serves, self.rng.gen_bool(0.7)) {
                (false, _) => 0,
                (true, true) => most,
                (true, false) => self.rng.gen_range(0..=most),
            };
            let opens = waiting.first().map(|at| at + self.rule.takeover_after + 1);
            let earliest = last.max(now - self.rule.slack);
            let times = [
                Some(now),
                Some(now),
                Some(earliest),
                opens,
                opens.map(|at| at - 1),
            ];
            let timestamp = times.choose(&mut self.rng).copied().flatten();
            let timestamp = timestamp.unwrap_or(now).clamp(earliest.min(now), now);
            waiting.drain(..entries);
            last = timestamp;
            plans.push(Plan {
                shape,
                timestamp,
                entries,
            });
        }
        let [evm, native] = [false, true].map(|native| self.sealed(&plans, native));
        let [of_evm, of_native] = [&evm, &native].map(|sealed| encoded(sealed, &shape));
        let how = format!("by {caller} at {now}: {plans:?}");
        let what = match caller == self.rule.operator {
            true => "an operator's batches",
            false => "a stranger's batches",
        };
        let expected = self.rule.after(caller, &plans, now);
        let verdict = self.twins.submit(&how, caller, &of_evm, &of_native);
        let happened = verdict.is_ok();
        if happened {
            self.twins.world.accepted(&evm);
        }
        self.agree(what, happened, expected, &how);
    }

    fn sealed(&self, plans: &[Plan], native: bool) -> Vec<Sealed> {
        let world = &self.twins.world;
        let domain = match native {
            true => self.twins.native.domain(),
            false => world.domain(),
        };
        let (mut consumed, mut batch_number) = (world.consumed, world.next_batch);
        let mut sealed: Vec<Sealed> = Vec::new();
        for plan in plans {
            let state = sealed.last().map_or(&world.state, |last| &last.state);
            let context = BatchContext {
                domain,
                batch_number,
                timestamp: plan.timestamp,
                fee_accounts: BTreeMap::new(),
            };
            let entries = &world.queue[consumed..consumed + plan.entries];
            let next = seal(state, &plan.shape, context, entries, &[], &world.trapdoor);
            sealed.push(next);
            consumed += plan.entries;
            batch_number += 1;
        }
        sealed
    }
}

fn encoded(sealed: &[Sealed], shape: &Shape) -> Vec<u8> {
    if let [one] = sealed {
        return encode_batch(&one.submission, shape, &one.entries).unwrap();
    }
    let parts: Vec<(&Submission, &[_])> = sealed
        .iter()
        .map(|batch| (&batch.submission, batch.entries.as_slice()))
        .collect();
    encode_batches(&parts, shape).unwrap()
}

#[test]
fn one_rule() {
    let wanted = std::env::var("QUIRE_WALK").map_or(300, |steps| steps.parse().unwrap());
    let (mut tally, mut done): (BTreeMap<&str, [usize; 2]>, usize) = Default::default();
    for seed in 0.. {
        let mut walk = Walk::new(seed);
        for _ in 0..STORY {
            walk.step();
            done += 1;
            // A frozen L1 refuses everything, which is told a few times.
            if done >= wanted || (walk.rule.frozen && walk.rng.gen_bool(0.1)) {
                break;
            }
        }
        for (what, [yes, no]) in walk.tally {
            let [all_yes, all_no] = tally.entry(what).or_default();
            *all_yes += yes;
            *all_no += no;
        }
        if done >= wanted {
            break;
        }
    }
    for (what, [yes, no]) in &tally {
        println!("{what:24} happened {yes:6}, refused {no:6}");
    }
    let often = wanted.div_ceil(100);
    for what in ["a stranger's batches", "return", "offer"] {
        let [yes, no] = tally[what];
        assert!(yes >= often && no >= often, "{what}: {yes}, {no}");
    }
    let [yes, no] = tally["acceptance"];
    assert!(yes > 0 && no > 0, "acceptance: {yes}, {no}");
    // What is rare happens both ways in a long walk (`QUIRE_WALK=3000`).
    if wanted >= 3_000 {
        for what in ["an operator's batches", "freeze"] {
            let [yes, no] = tally[what];
            assert!(yes > 0 && no > 0, "{what}: {yes}, {no}");
        }
    }
}
