//! Where attacks are run: the compiled shape `tiny`, witnesses, verdicts.

use std::collections::BTreeSet;

use ledger::{field::Fr, shape::Shape};

use crate::{
    attacks::{Attack, UNBREAKABLE_ALONE},
    num::{Change, Deviation},
    r1cs::R1csError,
    shapes::{Compiled, by_name, compile},
    testkit::{assignment_for, forged_assignment},
    transition::BatchValues,
};

/// The compiled circuit that attacks are run against.
pub struct Workbench {
    shape: Shape,
    compiled: Compiled,
}

/// A witness as a cheating prover has it.
#[derive(Clone, Debug)]
pub struct Witness {
    values: BatchValues,
    deviations: Vec<Deviation>,
    /// Commitment and words as L1 sees them, if not those of the circuit.
    published: Option<(Fr, Vec<Fr>)>,
}

/// Two witnesses that differ in one thing.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Must be accepted: what the forgery spoils is all that is wrong with it.
    pub honest: Witness,
    /// Must be refused.
    pub forged: Witness,
}

/// What the circuit says to an attack.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Rules that the honest neighbour violates: none, or the attack is badly made.
    pub neighbour: BTreeSet<String>,
    /// Rules that the forgery violates.
    pub violated: BTreeSet<String>,
    /// Whether the neighbour is accepted and the forgery violates its rule and no other.
    pub caught: bool,
}

impl Witness {
    /// The witness that follows from `values`.
    pub fn of(values: BatchValues) -> Self {
        Self {
            values,
            deviations: Vec::new(),
            published: None,
        }
    }

    /// Writes `value` for a variable; everything after it follows.
    #[must_use]
    pub fn set(mut self, variable: usize, value: Fr) -> Self {
        let change = Change::Set(value);
        self.deviations.push(Deviation { variable, change });
        self
    }

    /// Adds `offset` to a variable; everything after it follows.
    #[must_use]
    pub fn add(mut self, variable: usize, offset: Fr) -> Self {
        let change = Change::Add(offset);
        self.deviations.push(Deviation { variable, change });
        self
    }

    /// Gives L1 the commitment `c` and `words`, from which it derives `z` and `y`.
    #[must_use]
    pub fn publish(mut self, c: Fr, words: Vec<Fr>) -> Self {
        self.published = Some((c, words));
        self
    }

    fn assignment(&self) -> Vec<Fr> {
        match &self.published {
            Some((c, words)) => assignment_for(&self.values, &self.deviations, *c, words),
            None => forged_assignment(&self.values, &self.deviations),
        }
    }
}

impl Workbench {
    /// Compiles the shape `tiny`.
    ///
    /// # Errors
    /// [`R1csError`] if the circuit has no matrices: a fault of the circuit.
    pub fn new() -> Result<Self, R1csError> {
        let shape = by_name("tiny").expect("the shape is one of the named ones");
        let compiled = compile(&shape)?;
        Ok(Self { shape, compiled })
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Runs an attack.
    pub fn run(&self, attack: &Attack) -> Verdict {
        let pair = (attack.make)(self);
        let neighbour = self.violated(&pair.honest);
        let violated = self.violated(&pair.forged);
        let caught = neighbour.is_empty()
            && !violated.is_empty()
            && violated.iter().all(|rule| rule == attack.rule);
        Verdict {
            neighbour,
            violated,
            caught,
        }
    }

    /// The rules that a witness violates.
    pub fn violated(&self, witness: &Witness) -> BTreeSet<String> {
        self.compiled.violated_rules(&witness.assignment())
    }

    /// Every rule that has rows of its own, in the order of the circuit.
    pub fn rules(&self) -> Vec<String> {
        let costs = (self.compiled.rules).costs(self.compiled.r1cs.num_constraints());
        costs.into_iter().map(|(rule, _)| rule).collect()
    }

    /// Rules without an attack, those of [`UNBREAKABLE_ALONE`] left out.
    pub fn rules_without(&self, attacks: &[Attack]) -> Vec<String> {
        let known = |rule: &String| {
            attacks.iter().any(|attack| attack.rule == *rule)
                || UNBREAKABLE_ALONE.iter().any(|(path, _)| path == rule)
        };
        self.rules()
            .into_iter()
            .filter(|rule| !known(rule))
            .collect()
    }

    /// The witness variables made under `rule` itself in its slot number `slot`, in order.
    pub fn variables(&self, rule: &str, slot: usize) -> Vec<usize> {
        let all = (self.compiled.rules).variables_of(rule, self.compiled.r1cs.num_witness());
        let slots = self.slots(rule);
        let each = all.len() / slots;
        all[slot * each..(slot + 1) * each].to_vec()
    }

    /// The last variable made under `rule` in a slot: the output of a hash, the leaf written.
    pub fn last(&self, rule: &str, slot: usize) -> usize {
        *(self.variables(rule, slot).last()).expect("rules under attack make variables")
    }

    fn slots(&self, rule: &str) -> usize {
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
