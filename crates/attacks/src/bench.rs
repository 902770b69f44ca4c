//! Where attacks are run: a compiled shape, the slot under attack, witnesses, verdicts.

use std::{collections::BTreeSet, sync::Arc};

use circuits::{
    account::power_of_two,
    inspect::compile_with,
    num::{Change, Cs, Deviation},
    shapes::{Compiled, by_name},
    transition::BatchValues,
};
use ledger::{field::Fr, shape::Shape, words};
use r1cs::R1csError;

use crate::presented::{Presented, Published, present};

/// Which slot of its kind an attack is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    First,
    /// One in the middle: the second of two, the third of four.
    Middle,
    Last,
}

impl Position {
    pub const ALL: [Self; 3] = [Self::First, Self::Middle, Self::Last];

    /// The place, of so many.
    pub fn of(self, slots: usize) -> usize {
        match self {
            Self::First => 0,
            Self::Middle => slots / 2,
            Self::Last => slots.saturating_sub(1),
        }
    }
}

/// The compiled circuit that attacks are run against, and the slot that they are in.
#[derive(Clone)]
pub struct Workbench {
    shape: Shape,
    compiled: Arc<Compiled>,
    position: Position,
}

/// A witness as a cheating prover has it.
#[derive(Clone, Debug)]
pub struct Witness {
    values: BatchValues,
    deviations: Vec<Deviation>,
    /// Commitment and words as L1 sees them, if not those of the circuit.
    published: Option<Published>,
    /// For a number beyond its range: what a circuit accepts in which it has one bit more.
    beyond: Option<Beyond>,
}

/// Values in which a number has one bit too many.
#[derive(Clone, Debug)]
struct Beyond {
    /// The number's lowest bit.
    first: usize,
    values: BatchValues,
}

/// Two witnesses that differ in one thing.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Must be accepted: what the forgery spoils is all that is wrong with it.
    pub honest: Witness,
    pub forged: Witness,
}

impl Witness {
    /// The witness that follows from `values`.
    pub fn of(values: BatchValues) -> Self {
        Self {
            values,
            deviations: Vec::new(),
            published: None,
            beyond: None,
        }
    }

    /// Writes `value` for a variable; everything after it follows.
    #[must_use]
    pub fn set(self, variable: usize, value: Fr) -> Self {
        self.deviating(variable, Change::Set(value))
    }

    /// Adds `offset` to a variable; everything after it follows.
    #[must_use]
    pub fn add(self, variable: usize, offset: Fr) -> Self {
        self.deviating(variable, Change::Add(offset))
    }

    /// For a number that is beyond its range: lets one of its bits, of which `first` is the lowest,
    /// carry what the others leave of it.
    #[must_use]
    pub fn carry(self, first: usize, bit: usize) -> Self {
        let values = self.values.clone();
        self.deviating(first + bit, Change::Carry)
            .or_beyond(first, values)
    }

    /// Spells a number, from its lowest bit `first` on, with the bits of `shown`, of which bit `at`
    /// makes up for the difference to `value`.
    #[must_use]
    pub fn spell(self, first: usize, bits: usize, (shown, at): (u32, usize), value: u32) -> Self {
        let difference = Fr::from(value) - Fr::from(shown);
        (0..bits)
            .fold(self, |witness, i| {
                witness.set(first + i, Fr::from(shown >> i & 1))
            })
            .add(first + at, difference / power_of_two(at))
    }

    /// For a number whose bits are used one by one: other values, in which it is beyond its range,
    /// that a circuit accepts in which it has one bit more. `first` is its lowest bit.
    #[must_use]
    pub fn or_beyond(mut self, first: usize, values: BatchValues) -> Self {
        self.beyond = Some(Beyond { first, values });
        self
    }

    fn deviating(mut self, variable: usize, change: Change) -> Self {
        self.deviations.push(Deviation { variable, change });
        self
    }

    /// Gives L1 the commitment `c` and `words`, from which it derives `z` and `y`.
    #[must_use]
    pub fn publish(mut self, c: Fr, words: Vec<Fr>) -> Self {
        self.published = Some(Published { c, words });
        self
    }

    /// The lowest bit of a number that is beyond its range, and the witness with which a circuit is
    /// deceived in which that number has one bit more: nothing deviates in it. What it publishes
    /// are that circuit's words, whatever circuit it is shown to.
    pub fn beyond(&self) -> Option<(usize, Self)> {
        let Beyond { first, values } = self.beyond.clone()?;
        let plain = Self::of(values);
        let words = plain.present(|cs| cs.with_widened(Some(first))).words;
        let c = words::commitment(plain.values.shape.id, &words);
        Some((first, plain.publish(c, words)))
    }

    /// What the prover presents to a circuit that a recorder makes: the shape's own, or one in which
    /// a number has one bit more.
    pub fn present(&self, recorder: impl FnOnce(Cs) -> Cs) -> Presented {
        let published = self.published.as_ref();
        present(&self.values, &self.deviations, recorder, published)
    }
}

impl Workbench {
    /// Compiles the shape `tiny`; attacks are in the first slots.
    ///
    /// # Errors
    /// [`R1csError`] if the circuit has no matrices: a fault of the circuit.
    pub fn new() -> Result<Self, R1csError> {
        Self::of(&by_name("tiny").expect("the shape is one of the named ones"))
    }

    /// Compiles a shape with at least two slots of each kind and a tree of depth 4; attacks are in
    /// the first slots.
    ///
    /// # Errors
    /// As [`Workbench::new`].
    pub fn of(shape: &Shape) -> Result<Self, R1csError> {
        Ok(Self {
            shape: *shape,
            compiled: Arc::new(compile_with(shape, Cs::with_places)?),
            position: Position::First,
        })
    }

    /// The same circuit with attacks in other slots.
    #[must_use]
    pub fn at(&self, position: Position) -> Self {
        Self {
            position,
            ..self.clone()
        }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Which of a number's bits is under attack: the lowest in the first slots, the highest in the
    /// last ones.
    pub fn bit(&self, bits: usize) -> usize {
        self.position.of(bits)
    }

    /// The rules that a witness violates.
    pub fn violated(&self, witness: &Witness) -> BTreeSet<String> {
        let assignment = witness.present(|cs| cs).assignment;
        self.compiled.violated_rules(&assignment)
    }

    /// Every rule that has rows of its own, in the order of the circuit.
    pub fn rules(&self) -> Vec<String> {
        let costs = (self.compiled.rules).costs(self.compiled.r1cs.num_constraints());
        costs.into_iter().map(|(rule, _)| rule).collect()
    }

    /// The slot under attack, of those that a rule is in.
    pub fn slot(&self, rule: &str) -> usize {
        self.position.of(self.slots(rule))
    }

    /// The fee slot under attack.
    pub fn fee_slot(&self) -> usize {
        self.slot("collect_fees")
    }

    /// Another fee slot, which is no neighbour of the one under attack if there are more than two.
    pub fn other_fee_slot(&self) -> usize {
        let slots = usize::from(self.shape.fee_slots);
        (self.fee_slot() + slots / 2) % slots
    }

    /// The variable called `name` under `rule` in the slot under attack; of a number, the lowest bit.
    pub fn wire(&self, rule: &str, name: &str) -> usize {
        self.wires(rule, name)[0]
    }

    /// All variables called `name` under `rule` in the slot under attack.
    pub fn wires(&self, rule: &str, name: &str) -> Vec<usize> {
        self.in_slot(rule, self.compiled.rules.named(rule, name))
    }

    /// The witness variables made under `rule` itself in the slot under attack, in order.
    pub fn variables(&self, rule: &str) -> Vec<usize> {
        let all = (self.compiled.rules).variables_of(rule, self.compiled.r1cs.num_witness());
        self.in_slot(rule, all)
    }

    /// The last variable made under `rule` in the slot under attack: the output of a hash.
    pub fn last(&self, rule: &str) -> usize {
        *(self.variables(rule).last()).expect("rules under attack make variables")
    }

    fn in_slot(&self, rule: &str, all: Vec<usize>) -> Vec<usize> {
        let each = all.len() / self.slots(rule);
        let first = self.slot(rule) * each;
        all[first..first + each].to_vec()
    }

    /// How many slots have rows of a rule.
    pub fn slots(&self, rule: &str) -> usize {
        let shape = &self.shape;
        match rule.split('/').next() {
            _ if rule == "header/fee_slot" => shape.fee_slots.into(),
            Some("l1_op") => shape.l1_ops.into(),
            Some("transfer") => shape.transfers.into(),
            Some("withdraw") => shape.withdrawals.into(),
            Some("collect_fees") => shape.fee_slots.into(),
            _ => 1,
        }
    }
}
