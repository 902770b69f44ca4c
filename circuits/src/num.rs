//! The vocabulary of the circuit: [`Cs`] records constraints, [`Num`] is a linear combination with
//! its value, [`Bit`] a boolean-constrained one.
//!
//! Invariants kept here:
//!
//! * A `Num` holds only instance and witness variables, never arkworks' symbolic linear
//!   combinations. Nothing has to be inlined before proving, and a tampered assignment is
//!   re-evaluated from the matrices instead of from values cached at synthesis.
//! * Which constraints exist never depends on a value: the same calls in the same order make the
//!   same rows, whatever the witness holds ("total synthesis").
//! * A `Bit` can only be made by constraining it.
//!
//! Why not `ark_r1cs_std::fields::fp::FpVar`: see `docs/decisions.md`, "Linear combinations".

use std::{cell::RefCell, panic::Location, rc::Rc};

use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField, Zero};
use ark_relations::gr1cs::{ConstraintSystemRef, LinearCombination, Variable};
use ledger::field::Fr;

/// Where constraints and values go.
///
/// With an arkworks constraint system attached it records rows; without one it only computes the
/// witness, which is what proving needs once the matrices are known.
#[derive(Clone)]
pub struct Cs {
    rows: Option<ConstraintSystemRef<Fr>>,
    values: Rc<RefCell<Vec<Fr>>>,
    deviations: Option<Rc<[Deviation]>>,
    rules: Rc<RefCell<Rules>>,
    /// A number, by its first variable, that has one bit more than the circuit says.
    widened: Option<usize>,
}

/// One witness variable that a cheating prover sets as it likes, everything after it following.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// Place of the variable in allocation order.
    pub variable: usize,
    /// What becomes of its honest value.
    pub change: Change,
}

/// What becomes of an honest value.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// This is added to it.
    Add(Fr),
    /// This takes its place.
    Set(Fr),
    /// A bit of a number holds what the number's other bits leave of it, however much that is: a
    /// number beyond its range, in a circuit that does not make this bit a boolean.
    Carry,
}

impl Change {
    /// Changes a value; what a bit that carries holds is known only with the number's other bits.
    pub fn apply(self, value: &mut Fr) {
        match self {
            Self::Add(offset) => *value += offset,
            Self::Set(chosen) => *value = chosen,
            Self::Carry => {}
        }
    }
}

/// Which rule each row and variable belongs to: a stack of names, the numbers of rows and witness
/// variables at which the stack changed, and variables that have names of their own.
#[derive(Default)]
struct Rules {
    stack: Vec<&'static str>,
    marks: Vec<Mark>,
    names: Vec<Name>,
    /// For each row the place in the source that records it, where that is asked for.
    places: Option<Vec<&'static Location<'static>>>,
}

/// A variable with a name under a rule.
#[derive(Clone, Debug)]
struct Name {
    path: String,
    name: &'static str,
    variable: usize,
}

/// From this row and this witness variable on, the rule is `path`.
#[derive(Clone, Debug)]
struct Mark {
    row: usize,
    variable: usize,
    path: String,
}

/// The rule names of a synthesised circuit, by row and by witness variable.
#[derive(Clone, Debug, Default)]
pub struct RuleMap {
    marks: Vec<Mark>,
    names: Vec<Name>,
    places: Vec<&'static Location<'static>>,
}

impl RuleMap {
    /// The rule that row `row` belongs to, as a path such as `transfer/sender_can_pay`.
    pub fn rule_of(&self, row: usize) -> &str {
        match self.marks.partition_point(|mark| mark.row <= row) {
            0 => "",
            i => &self.marks[i - 1].path,
        }
    }

    /// The place in the source that records a row, if the circuit was recorded with places.
    pub fn place_of(&self, row: usize) -> Option<&'static Location<'static>> {
        self.places.get(row).copied()
    }

    /// The variables that have a name under the rule `path`, slot after slot.
    pub fn names(&self, path: &str) -> Vec<(&'static str, usize)> {
        (self.names.iter())
            .filter(|named| named.path == path)
            .map(|named| (named.name, named.variable))
            .collect()
    }

    /// The variables called `name` under the rule `path`, slot after slot.
    pub fn named(&self, path: &str, name: &str) -> Vec<usize> {
        let all = self.names(path).into_iter();
        all.filter(|(known, _)| *known == name)
            .map(|(_, variable)| variable)
            .collect()
    }

    /// The witness variables made under the rule `path` itself (not under a rule within it), by
    /// their places in allocation order, given how many the circuit has.
    pub fn variables_of(&self, path: &str, variables: usize) -> Vec<usize> {
        let ends = self.marks.iter().skip(1).map(|mark| mark.variable);
        (self.marks.iter().zip(ends.chain([variables])))
            .filter(|(mark, _)| mark.path == path)
            .flat_map(|(mark, end)| mark.variable..end)
            .collect()
    }

    /// The number of rows of each rule path, given the total number of rows, in order of first
    /// appearance.
    pub fn costs(&self, rows: usize) -> Vec<(String, usize)> {
        let mut order: Vec<(String, usize)> = Vec::new();
        let mut place = std::collections::BTreeMap::new();
        for (i, mark) in self.marks.iter().enumerate() {
            let end = self.marks.get(i + 1).map_or(rows, |next| next.row);
            if end == mark.row {
                continue;
            }
            let at = *place.entry(mark.path.clone()).or_insert_with(|| {
                order.push((mark.path.clone(), 0));
                order.len() - 1
            });
            order[at].1 += end - mark.row;
        }
        order
    }
}

/// Ends the rule that [`Cs::rule`] began when it goes out of scope.
pub struct RuleScope<'a>(&'a Cs);

impl Drop for RuleScope<'_> {
    fn drop(&mut self) {
        self.0.rules.borrow_mut().stack.pop();
        self.0.mark();
    }
}

impl Cs {
    /// A recorder of rows and values on an arkworks constraint system.
    pub fn with_rows(cs: ConstraintSystemRef<Fr>) -> Self {
        Self {
            rows: Some(cs),
            values: Rc::default(),
            deviations: None,
            rules: Rc::default(),
            widened: None,
        }
    }

    /// A recorder of witness values only.
    pub fn values_only() -> Self {
        Self {
            rows: None,
            values: Rc::default(),
            deviations: None,
            rules: Rc::default(),
            widened: None,
        }
    }

    /// A recorder of witness values that departs from the honest ones at some variables.
    pub fn values_deviating(deviations: &[Deviation]) -> Self {
        Self {
            deviations: (!deviations.is_empty()).then(|| deviations.into()),
            ..Self::values_only()
        }
    }

    /// The same recorder for a weaker circuit, in which the number that begins with the variable
    /// `first` has one bit more: a circuit for tests, which must notice the difference.
    #[must_use]
    pub fn with_widened(self, first: Option<usize>) -> Self {
        let widened = first;
        Self { widened, ..self }
    }

    /// The same recorder, noting for each row the place in the source that records it.
    #[must_use]
    pub fn with_places(self) -> Self {
        self.rules.borrow_mut().places = Some(Vec::new());
        self
    }

    /// The witness values recorded by a values-only recorder, in allocation order.
    pub fn into_values(self) -> Vec<Fr> {
        std::mem::take(&mut self.values.borrow_mut())
    }

    /// The arkworks system that rows are recorded in.
    #[cfg(feature = "arkworks")]
    pub(crate) fn rows(&self) -> Option<&ConstraintSystemRef<Fr>> {
        self.rows.as_ref()
    }

    /// Names the rule that the rows recorded until the returned scope ends belong to.
    pub fn rule(&self, name: &'static str) -> RuleScope<'_> {
        self.rules.borrow_mut().stack.push(name);
        self.mark();
        RuleScope(self)
    }

    fn mark(&self) {
        if let Some(cs) = &self.rows {
            let mut rules = self.rules.borrow_mut();
            let path = rules.stack.join("/");
            rules.marks.push(Mark {
                row: cs.num_constraints(),
                variable: cs.num_witness_variables(),
                path,
            });
        }
    }

    /// The rule names recorded so far.
    pub fn rule_map(&self) -> RuleMap {
        let rules = self.rules.borrow();
        RuleMap {
            marks: rules.marks.clone(),
            names: rules.names.clone(),
            places: rules.places.clone().unwrap_or_default(),
        }
    }

    /// Gives the next variable a name under the current rule, by which tests find it.
    pub fn named(&self, name: &'static str) -> &Self {
        if let Some(cs) = &self.rows {
            let mut rules = self.rules.borrow_mut();
            let path = rules.stack.join("/");
            rules.names.push(Name {
                path,
                name,
                variable: cs.num_witness_variables(),
            });
        }
        self
    }

    /// The number that the next variable will have, in allocation order.
    fn next_variable(&self) -> usize {
        match &self.rows {
            Some(cs) => cs.num_witness_variables(),
            None => self.values.borrow().len(),
        }
    }

    /// A fresh witness variable.
    pub fn witness(&self, mut value: Fr) -> Num {
        let terms = match &self.rows {
            Some(cs) => {
                let variable = cs
                    .new_witness_variable(|| Ok(value))
                    .expect("the value is always given");
                vec![(variable, Fr::ONE)]
            }
            None => {
                let mut values = self.values.borrow_mut();
                for deviation in self.deviations.iter().flat_map(|all| all.iter()) {
                    if deviation.variable == values.len() {
                        deviation.change.apply(&mut value);
                    }
                }
                values.push(value);
                Vec::new()
            }
        };
        Num {
            value,
            terms,
            constant: false,
        }
    }

    /// A public input. Values-only recorders leave public inputs to the caller.
    pub fn input(&self, value: Fr) -> Num {
        let terms = match &self.rows {
            Some(cs) => {
                let variable = cs
                    .new_input_variable(|| Ok(value))
                    .expect("the value is always given");
                vec![(variable, Fr::ONE)]
            }
            None => Vec::new(),
        };
        Num {
            value,
            terms,
            constant: false,
        }
    }

    /// Constrains `a · b = c`.
    ///
    /// Keep the operand with fewer new variables in `b`: every variable that occurs in the B
    /// matrix costs the prover a G2 point.
    #[track_caller]
    pub fn enforce(&self, a: &Num, b: &Num, c: &Num) {
        if let Some(cs) = &self.rows {
            if let Some(places) = &mut self.rules.borrow_mut().places {
                places.push(Location::caller());
            }
            cs.enforce_r1cs_constraint(|| a.lc(), || b.lc(), || c.lc())
                .expect("the R1CS predicate is always registered");
        }
    }

    /// Constrains `a · b = c` with a `c` that is only worked out where rows are recorded.
    #[track_caller]
    pub fn enforce_with(&self, a: &Num, b: &Num, c: impl FnOnce() -> Num) {
        if self.rows.is_some() {
            self.enforce(a, b, &c());
        }
    }

    /// `a · b` as a fresh variable (a scaled copy when one of them is a constant).
    #[track_caller]
    pub fn mul(&self, a: &Num, b: &Num) -> Num {
        if b.constant {
            return a.scale(b.value);
        }
        if a.constant {
            return b.scale(a.value);
        }
        let product = self.witness(a.value * b.value);
        self.enforce(a, b, &product);
        product
    }

    /// Constrains `a = b`.
    #[track_caller]
    pub fn enforce_equal(&self, a: &Num, b: &Num) {
        self.enforce(&(a - b), &Num::one(), &Num::zero());
    }

    /// Constrains `a = 0`.
    #[track_caller]
    pub fn enforce_zero(&self, a: &Num) {
        self.enforce(a, &Num::one(), &Num::zero());
    }

    /// Constrains `a ≠ 0` by exhibiting its inverse.
    #[track_caller]
    pub fn enforce_nonzero(&self, a: &Num) {
        let inverse = self.witness(a.value.inverse().unwrap_or(Fr::ZERO));
        self.enforce(&inverse, a, &Num::one());
    }

    /// `numerator / denominator` as a fresh variable; unsatisfiable for a zero denominator under a
    /// non-zero numerator.
    ///
    /// With both zero the quotient is free: callers state why that cannot happen.
    #[track_caller]
    pub fn quotient(&self, numerator: &Num, denominator: &Num) -> Num {
        let inverse = denominator.value.inverse().unwrap_or(Fr::ZERO);
        let quotient = self.witness(numerator.value * inverse);
        self.enforce(denominator, &quotient, numerator);
        quotient
    }

    /// A fresh bit: constrains `b · (1 − b) = 0`.
    #[track_caller]
    pub fn bit(&self, value: bool) -> Bit {
        self.boolean(Fr::from(value))
    }

    /// A fresh variable, constrained to be a bit, whatever it is.
    #[track_caller]
    fn boolean(&self, value: Fr) -> Bit {
        let bit = self.witness(value);
        self.enforce(&bit, &(&Num::one() - &bit), &Num::zero());
        Bit(bit)
    }

    /// The `count` lowest bits of the canonical integer behind `value`, lowest first, as fresh
    /// bits. Nothing ties them to any variable: the caller uses [`Num::from_bits`].
    #[track_caller]
    pub fn bits_of(&self, value: Fr, count: usize) -> Vec<Bit> {
        let first = self.next_variable();
        let count = count + usize::from(self.widened == Some(first));
        let integer = value.into_bigint();
        let mut honest: Vec<Fr> = (0..count).map(|i| Fr::from(integer.get_bit(i))).collect();
        if let Some(at) = self.carrying(first, count) {
            let power = |i: usize| Fr::from(2u64).pow([i as u64]);
            let sum: Fr = (honest.iter().enumerate())
                .map(|(i, bit)| *bit * power(i))
                .sum();
            let rest = (value - sum) * power(at).inverse().expect("powers of 2 are not 0");
            honest[at] += rest;
        }
        let mut bits = Vec::with_capacity(count);
        for value in honest {
            bits.push(self.boolean(value));
        }
        bits
    }

    /// The bit, of `count` that begin with the variable `first`, that a cheating prover lets carry
    /// what is left of the number.
    fn carrying(&self, first: usize, count: usize) -> Option<usize> {
        (self.deviations.iter().flat_map(|all| all.iter()))
            .filter(|deviation| matches!(deviation.change, Change::Carry))
            .find_map(|deviation| deviation.variable.checked_sub(first))
            .filter(|at| *at < count)
    }

    /// One exactly when `a ≠ 0`: `a · inverse = flag` and `a · (1 − flag) = 0`.
    ///
    /// Sound because: `a = 0` forces the flag to 0 by the first constraint, `a ≠ 0` forces it to 1
    /// by the second. The inverse is free only when `a = 0`, where it is used nowhere else.
    #[track_caller]
    pub fn is_nonzero(&self, a: &Num) -> Bit {
        let inverse = self.witness(a.value.inverse().unwrap_or(Fr::ZERO));
        let flag = self.witness(Fr::from(!a.value.is_zero()));
        self.enforce(&inverse, a, &flag);
        self.enforce(a, &(&Num::one() - &flag), &Num::zero());
        Bit(flag)
    }
}

/// A linear combination of variables together with its value.
#[derive(Clone, Debug)]
pub struct Num {
    value: Fr,
    /// Sorted by variable, no duplicates; empty when only values are computed.
    terms: Vec<(Variable, Fr)>,
    /// Whether this is a constant of the circuit (known without the terms).
    constant: bool,
}

impl Num {
    /// The constant `value`, a multiple of the variable 1.
    pub fn constant(value: Fr) -> Self {
        let terms = if value.is_zero() {
            Vec::new()
        } else {
            vec![(Variable::One, value)]
        };
        Self {
            value,
            terms,
            constant: true,
        }
    }

    /// The constant 0, a combination without terms.
    pub fn zero() -> Self {
        Self::constant(Fr::ZERO)
    }

    /// The constant 1, the variable that is always 1.
    pub fn one() -> Self {
        Self::constant(Fr::ONE)
    }

    /// The value under the witness given at synthesis.
    pub fn value(&self) -> Fr {
        self.value
    }

    /// Whether this is a constant of the circuit.
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    /// The single variable this is, if it is one with coefficient 1.
    pub fn variable(&self) -> Option<Variable> {
        match self.terms.as_slice() {
            [(variable, coefficient)] if *coefficient == Fr::ONE => Some(*variable),
            _ => None,
        }
    }

    /// The combination times a constant; no row is needed.
    pub fn scale(&self, factor: Fr) -> Self {
        if factor.is_zero() {
            return Self {
                value: Fr::ZERO,
                terms: Vec::new(),
                constant: self.constant,
            };
        }
        let terms = self.terms.iter().map(|(v, c)| (*v, *c * factor)).collect();
        Self {
            value: self.value * factor,
            terms,
            constant: self.constant,
        }
    }

    /// `self + factor · other`.
    pub fn add_scaled(&self, other: &Self, factor: Fr) -> Self {
        Self {
            value: self.value + other.value * factor,
            terms: merge(&self.terms, &other.terms, factor),
            constant: self.constant && other.constant,
        }
    }

    /// The combination plus a constant; no row is needed.
    pub fn plus(&self, value: Fr) -> Self {
        self + &Self::constant(value)
    }

    /// The sum of `terms`.
    pub fn sum<'a>(terms: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::linear(terms.into_iter().map(|term| (term, Fr::ONE)))
    }

    /// `Σ coefficient · term`, built at once (repeated addition would be quadratic).
    pub fn linear<'a>(terms: impl IntoIterator<Item = (&'a Self, Fr)>) -> Self {
        let mut value = Fr::ZERO;
        let mut constant = true;
        let mut all: Vec<(Variable, Fr)> = Vec::new();
        for (term, coefficient) in terms {
            value += term.value * coefficient;
            constant &= term.constant;
            all.extend(term.terms.iter().map(|(v, c)| (*v, *c * coefficient)));
        }
        Self {
            value,
            terms: merged(all),
            constant,
        }
    }

    /// `Σ bits[i] · 2^i`, lowest bit first.
    pub fn from_bits(bits: &[Bit]) -> Self {
        let mut power = Fr::ONE;
        Self::linear(bits.iter().map(|bit| {
            let term = (&bit.0, power);
            power.double_in_place();
            term
        }))
    }

    /// A linear combination with its value; terms in any order, a variable any number of times.
    #[cfg(feature = "arkworks")]
    pub(crate) fn from_terms(value: Fr, terms: Vec<(Variable, Fr)>) -> Self {
        Self {
            value,
            terms: merged(terms),
            constant: false,
        }
    }

    pub(crate) fn lc(&self) -> LinearCombination<Fr> {
        LinearCombination(self.terms.iter().map(|(v, c)| (*c, *v)).collect())
    }
}

/// The terms sorted, each variable once, without zeros.
fn merged(mut terms: Vec<(Variable, Fr)>) -> Vec<(Variable, Fr)> {
    terms.sort_unstable_by_key(|(variable, _)| *variable);
    terms.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    terms.retain(|(_, coefficient)| !coefficient.is_zero());
    terms
}

/// `a + factor · b` of two sorted term lists.
fn merge(a: &[(Variable, Fr)], b: &[(Variable, Fr)], factor: Fr) -> Vec<(Variable, Fr)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if j == b.len() || (i < a.len() && a[i].0 < b[j].0) {
            out.push(a[i]);
            i += 1;
        } else if i == a.len() || b[j].0 < a[i].0 {
            out.push((b[j].0, b[j].1 * factor));
            j += 1;
        } else {
            let coefficient = a[i].1 + b[j].1 * factor;
            if !coefficient.is_zero() {
                out.push((a[i].0, coefficient));
            }
            i += 1;
            j += 1;
        }
    }
    out
}

impl std::ops::Add for &Num {
    type Output = Num;
    fn add(self, other: &Num) -> Num {
        self.add_scaled(other, Fr::ONE)
    }
}

impl std::ops::Sub for &Num {
    type Output = Num;
    fn sub(self, other: &Num) -> Num {
        self.add_scaled(other, -Fr::ONE)
    }
}

/// `table[low + 2·high]` for constants, given the product of the two bits.
pub fn bilinear(table: &[Fr; 4], low: &Num, high: &Num, both: &Num) -> Num {
    let [t0, t1, t2, t3] = *table;
    Num::linear([(low, t1 - t0), (high, t2 - t0), (both, t3 - t2 - t1 + t0)]).plus(t0)
}

/// A [`Num`] that is constrained to 0 or 1.
#[derive(Clone, Debug)]
pub struct Bit(Num);

impl Bit {
    /// The bit as a number.
    pub fn num(&self) -> &Num {
        &self.0
    }

    /// The opposite bit, `1 − self`; no row is needed.
    pub fn not(&self) -> Bit {
        Bit(&Num::one() - &self.0)
    }

    /// The sum of bits of which at most one can be set.
    ///
    /// Sound because: constrains `s · (1 − s) = 0`, so the sum itself is 0 or 1; the bits are
    /// booleans and fewer than the field's characteristic, so at most one is 1.
    #[track_caller]
    pub fn at_most_one(cs: &Cs, bits: &[Bit]) -> Bit {
        let sum = Num::sum(bits.iter().map(Bit::num));
        cs.enforce(&sum, &(&Num::one() - &sum), &Num::zero());
        Bit(sum)
    }

    /// The value under the witness given at synthesis (false for anything but 1).
    pub fn value(&self) -> bool {
        self.0.value == Fr::ONE
    }
}
