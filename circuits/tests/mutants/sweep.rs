//! Forgeries that are made for a row: what the row determines is something else, everything after it
//! follows, and the prover adapts what is its own: the tree that it claims, its signatures, the
//! commitment.

use std::collections::BTreeMap;

use ark_ff::{AdditiveGroup, BigInteger256, Field, PrimeField};
use attacks::{
    Forged, Forger, Presented, Published, Start, Workbench,
    forger::{TRANSFER, WITHDRAW, leaf_hash, message},
    present,
    samples::pay,
};
use circuits::{
    account::LeafValues,
    eddsa::SignatureValues,
    num::{Change, Deviation},
    operation::L1Values,
    transition::BatchValues,
};
use ledger::{
    babyjubjub::{Point, Scalar},
    eddsa::{self, Signature},
    field::Fr,
    words,
};
use num_bigint::BigUint;
use r1cs::Entry;
use rayon::prelude::*;

/// Where the account of the slot under attack is, and whose signatures there are: a factor of a row in
/// a path is 0 for some indices, and of a row in a multiplication for some digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The section: the first part of the rule's path, and whether it is the receiver's.
    pub section: Section,
    /// The slot.
    pub slot: usize,
    /// Which of the variants.
    pub variant: usize,
}

/// Who an account is in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Collector,
    ToppedUp,
    Payer,
    Receiver,
}

/// Subtrees, and leaves within them: first and last of the cached roots, and all digits.
const PLACES: [(u32, u32); 8] = [
    (63, 15),
    (1, 5),
    (3, 10),
    (0, 15),
    (32, 0),
    (62, 10),
    (2, 3),
    (33, 12),
];

impl Spot {
    /// How many variants there are.
    pub const VARIANTS: usize = 2 * PLACES.len();

    /// The place of the slot under attack: a subtree and a leaf.
    fn place(self) -> (u32, u32) {
        PLACES[self.variant % PLACES.len()]
    }
}

/// A batch that uses every slot, each account in a subtree of its own.
pub struct Scene {
    variant: usize,
    bench: Workbench,
    values: BatchValues,
    honest: Presented,
    /// Rows in which a path meets the tree, with the variable of the claimed node.
    meetings: BTreeMap<usize, usize>,
    /// For each transfer and withdrawal the rows that compare R8.
    r8_rows: Vec<[usize; 2]>,
}

/// A forgery, and which rows notice it.
pub struct Forgery {
    pub assignment: Vec<Fr>,
    /// Whether the comparison with R8 notices too.
    pub short_of_r8: bool,
}

/// A signed slot: transfers first.
type Slot = usize;

fn index_of(value: &Fr) -> u32 {
    u32::try_from(value.into_bigint().0[0]).expect("indices have 32 bits")
}

fn secret(slot: Slot) -> Scalar {
    Scalar::from(1_000 + slot as u64)
}

fn nonce_point(variant: usize, slot: Slot) -> (Scalar, Point) {
    let scalar = Scalar::from((77 + slot + 100 * variant) as u64);
    (scalar, Point::base8().mul(&scalar))
}

impl Scene {
    pub fn new(bench: &Workbench, spot: Spot) -> Self {
        let variant = spot.variant;
        let values = batch(bench, spot);
        let honest = present(&values, &[], |cs| cs, None);
        let mut scene = Self {
            variant,
            bench: bench.clone(),
            values,
            honest,
            meetings: BTreeMap::new(),
            r8_rows: Vec::new(),
        };
        assert_eq!(scene.violated(&scene.honest.assignment), [0; 0]);
        scene.find_rows();
        scene
    }

    fn find_rows(&mut self) {
        let compiled = self.bench.compiled();
        let roots = compiled.rules.named("header", "roots")[0];
        let levels = self.values.shape.path_levels();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut r8_rows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for row in 0..compiled.r1cs.num_constraints() {
            let rule = compiled.rules.rule_of(row);
            if rule.ends_with("sender/signature_is_valid") && !self.multiplies(row) {
                r8_rows.entry(rule.to_owned()).or_default().push(row);
            }
            let place = compiled.rules.place_of(row).expect("recorded with places");
            let checks = ["leaf_is_in_tree", "cached_root_is_current"];
            let is_check = checks.iter().any(|check| rule.ends_with(check));
            if !is_check || !source_line(place.file(), place.line()).ends_with("cs.enforce(") {
                continue;
            }
            let nth = seen.entry(rule.to_owned()).or_default();
            let (update, level) = match rule.ends_with("leaf_is_in_tree") {
                true => (*nth / levels, *nth % levels),
                false => (*nth, levels),
            };
            let index = self.index(rule, update) >> (2 * level);
            let node = if level == levels {
                roots + index as usize
            } else {
                compiled.rules.named(rule, "children")[*nth] + (index & 3) as usize
            };
            *nth += 1;
            self.meetings.insert(row, node);
        }
        self.r8_rows = ["transfer", "withdraw"]
            .iter()
            .flat_map(|side| {
                r8_rows[&format!("{side}/sender/signature_is_valid")]
                    .chunks(2)
                    .map(|pair| [pair[0], pair[1]])
                    .collect::<Vec<_>>()
            })
            .collect();
    }

    /// Whether a row has two factors that are not constants.
    fn multiplies(&self, row: usize) -> bool {
        let r1cs = &self.bench.compiled().r1cs;
        !matches!(r1cs.b().row(row), [Entry { column: 0, .. }])
    }

    /// The index that an update under `rule` is for.
    fn index(&self, rule: &str, update: usize) -> u32 {
        let values = &self.values;
        index_of(match rule.split('/').next() {
            Some("l1_op") => &values.l1_ops[update].index,
            Some("transfer") if rule.contains("receiver") => &values.transfers[update].to,
            Some("transfer") => &values.transfers[update].debit.from,
            Some("withdraw") => &values.withdrawals[update].from,
            _ => &values.fees[update].index,
        })
    }

    fn violated(&self, assignment: &[Fr]) -> Vec<usize> {
        violated_rows(&self.bench, assignment)
    }

    /// Forgeries that violate this row and, in the formulas of the curve, the comparison with R8.
    pub fn forgeries(&self, row: usize) -> impl Iterator<Item = Forgery> {
        self.candidates(row)
            .into_iter()
            .filter_map(move |candidate| self.adapt(row, candidate))
    }

    /// Lets everything follow from some deviations, until only `row` notices.
    fn adapt(&self, row: usize, mut deviations: Vec<Deviation>) -> Option<Forgery> {
        let mut values = self.values.clone();
        let mut commitment = None;
        let mut signed = Vec::new();
        for _ in 0..12 {
            let published = commitment.map(|c| Published {
                c,
                words: self.words(&values, &deviations),
            });
            let presented = present(&values, &deviations, |cs| cs, published.as_ref());
            let violated = self.violated(&presented.assignment);
            let rest: Vec<usize> = violated.iter().copied().filter(|at| *at != row).collect();
            let short_of_r8 = !rest.is_empty() && self.only_r8_differs(row, &rest);
            if violated.contains(&row) && (rest.is_empty() || short_of_r8) {
                let false_statement = short_of_r8 || self.is_false(&values, &presented, commitment);
                let assignment = presented.assignment;
                return false_statement.then_some(Forgery {
                    assignment,
                    short_of_r8,
                });
            }
            let mut adapted = false;
            for at in rest {
                if let Some(node) = self.meetings.get(&at) {
                    let missing = self.missing(at, &presented.assignment);
                    deviations.push(Deviation {
                        variable: *node,
                        change: Change::Add(missing),
                    });
                    adapted = true;
                } else if let Some(slot) = self.r8_rows.iter().position(|rows| rows.contains(&at)) {
                    if !signed.contains(&slot) {
                        signed.push(slot);
                        let h = presented.assignment[self.challenge(slot)];
                        sign(&mut values, (self.variant, slot), &h);
                        adapted = true;
                    }
                } else if self.bench.compiled().rules.rule_of(at) == "words" && commitment.is_none()
                {
                    let first = self.bench.compiled().r1cs.num_instance();
                    let output = first + self.bench.last("words/commitment");
                    commitment = Some(presented.assignment[output]);
                    adapted = true;
                }
            }
            if !adapted {
                return None;
            }
        }
        None
    }

    fn words(&self, values: &BatchValues, deviations: &[Deviation]) -> Vec<Fr> {
        present(values, deviations, |cs| cs, None).words
    }

    /// What a claimed node lacks to be the one that the path leads to.
    fn missing(&self, row: usize, assignment: &[Fr]) -> Fr {
        let r1cs = &self.bench.compiled().r1cs;
        let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()]
            .map(|matrix| r1cs.evaluate_row(matrix.row(row), assignment));
        c - a * b
    }

    /// The variable of a slot's challenge.
    fn challenge(&self, slot: Slot) -> usize {
        let transfers = self.values.transfers.len();
        let (side, nth) = match slot.checked_sub(transfers) {
            None => ("transfer", slot),
            Some(nth) => ("withdraw", nth),
        };
        let rule = format!("{side}/sender/signature_is_valid/challenge_hash");
        let compiled = self.bench.compiled();
        let all = (compiled.rules).variables_of(&rule, compiled.r1cs.num_witness());
        let each = all.len() / self.bench.slots(&rule);
        compiled.r1cs.num_instance() + all[(nth + 1) * each - 1]
    }

    /// Whether the rows besides `row`, one of the multiplications of a signature, are the two that
    /// compare their result with R8.
    fn only_r8_differs(&self, row: usize, rest: &[usize]) -> bool {
        let rule = self.bench.compiled().rules.rule_of(row);
        let parts = ["variable_base", "fixed_base", "s_is_below_the_order"];
        let of_curve = rule.contains("signature_is_valid")
            && (parts.iter().any(|part| rule.contains(part))
                || rule.ends_with("signature_is_valid"));
        of_curve
            && (self.r8_rows.iter())
                .any(|rows| rows[1] > row && rest.iter().all(|at| rows.contains(at)))
    }

    /// Whether the statement is false: what follows from the other words is not what they say, or
    /// the commitment is not theirs, or a signature is none.
    fn is_false(
        &self,
        values: &BatchValues,
        presented: &Presented,
        commitment: Option<Fr>,
    ) -> bool {
        let shape = &values.shape;
        let own = |place: usize| {
            let l1 = place.wrapping_sub(shape.header_words());
            [1, 2].contains(&place) || (l1 < shape.l1_words() && l1 % 4 == 3)
        };
        let (said, honest) = (&presented.words, &self.honest.words);
        let same = |place: &usize| said[*place] == honest[*place];
        if !(0..said.len())
            .filter(|place| !own(*place))
            .all(|place| same(&place))
        {
            return false;
        }
        let moved = (0..said.len()).any(|place| !same(&place));
        let committed = commitment.is_none_or(|c| c == words::commitment(shape.id, said));
        let signed = (0..self.r8_rows.len()).all(|slot| is_signed(values, slot));
        moved || !committed || !signed
    }

    /// Changes of the variables that a row determines, which the rows that determine the same ones
    /// do not notice.
    fn candidates(&self, row: usize) -> Vec<Vec<Deviation>> {
        let r1cs = &self.bench.compiled().r1cs;
        if let Some(node) = self.meetings.get(&row) {
            let change = Change::Add(Fr::ONE);
            let variable = *node;
            return vec![vec![Deviation { variable, change }]];
        }
        let newest = |row: usize| {
            [r1cs.a(), r1cs.b(), r1cs.c()]
                .iter()
                .filter_map(|matrix| matrix.row(row).last())
                .map(|entry| entry.column as usize)
                .max()
        };
        let Some(last) = newest(row).filter(|last| *last >= r1cs.num_instance()) else {
            return Vec::new();
        };
        let near = row.saturating_sub(8)..(row + 9).min(r1cs.num_constraints());
        let compares = |at: &usize| self.r8_rows.iter().any(|rows| rows.contains(at));
        let group: Vec<usize> = near
            .filter(|at| newest(*at) == Some(last) && !compares(at))
            .collect();
        let columns: Vec<usize> = (last + 1 - group.len()..=last).collect();
        let mut all = Vec::new();
        if let Some(direction) = self.direction(row, &group, &columns) {
            for factor in [Fr::ONE, -Fr::ONE] {
                let moved = columns
                    .iter()
                    .zip(&direction)
                    .map(|(column, by)| Deviation {
                        variable: column - r1cs.num_instance(),
                        change: Change::Add(*by * factor),
                    });
                all.push(moved.collect());
            }
        }
        all.extend(self.carries(last - r1cs.num_instance(), last));
        all
    }

    /// A bit that is none, and its neighbour, which keeps their sum.
    fn carries(&self, variable: usize, column: usize) -> Vec<Vec<Deviation>> {
        let add = |variable, by: Fr| Deviation {
            variable,
            change: Change::Add(by),
        };
        let half = Fr::from(2u64).inverse().expect("2 is not 0");
        let flip = |column: usize| match self.honest.assignment.get(column) {
            Some(bit) if *bit == Fr::ZERO => Some(Fr::ONE),
            Some(bit) if *bit == Fr::ONE => Some(-Fr::ONE),
            _ => None,
        };
        let mut all = Vec::new();
        if let Some(by) = flip(column + 1) {
            all.push(vec![add(variable, -by.double()), add(variable + 1, by)]);
        }
        if let (Some(by), true) = (flip(column - 1), variable > 0) {
            all.push(vec![add(variable, -by * half), add(variable - 1, by)]);
        }
        all
    }

    /// Of the group's rows only `row` changes along it, to first order.
    fn direction(&self, row: usize, group: &[usize], columns: &[usize]) -> Option<Vec<Fr>> {
        let r1cs = &self.bench.compiled().r1cs;
        let w = &self.honest.assignment;
        let by = |entries: &[Entry], column: usize| {
            (entries.iter())
                .find(|entry| entry.column as usize == column)
                .map_or(Fr::ZERO, |entry| {
                    r1cs.coefficients()[entry.coefficient as usize]
                })
        };
        let derivative = |row: usize| -> Vec<Fr> {
            let [a, b, c] = [r1cs.a(), r1cs.b(), r1cs.c()].map(|matrix| matrix.row(row));
            let (left, right) = (r1cs.evaluate_row(a, w), r1cs.evaluate_row(b, w));
            let at =
                |column: &usize| by(a, *column) * right + by(b, *column) * left - by(c, *column);
            columns.iter().map(at).collect()
        };
        let others: Vec<Vec<Fr>> = group
            .iter()
            .filter(|at| **at != row)
            .map(|at| derivative(*at))
            .collect();
        let direction = kernel(others, columns.len())?;
        let notices: Fr = derivative(row)
            .iter()
            .zip(&direction)
            .map(|(x, y)| *x * y)
            .sum();
        (notices != Fr::ZERO).then_some(direction)
    }
}

/// A vector that is not 0 and that all rows send to 0, if there is one.
fn kernel(mut rows: Vec<Vec<Fr>>, width: usize) -> Option<Vec<Fr>> {
    let mut pivots: Vec<usize> = Vec::new();
    let mut done = 0;
    for column in 0..width {
        let Some(at) = (done..rows.len()).find(|at| rows[*at][column] != Fr::ZERO) else {
            continue;
        };
        rows.swap(done, at);
        let inverse = rows[done][column].inverse().expect("it is not 0");
        rows[done].iter_mut().for_each(|x| *x *= inverse);
        let pivot = rows[done].clone();
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row[column];
            if at != done {
                row.iter_mut()
                    .zip(&pivot)
                    .for_each(|(x, y)| *x -= factor * y);
            }
        }
        pivots.push(column);
        done += 1;
    }
    let free = (0..width).rev().find(|column| !pivots.contains(column))?;
    let mut vector = vec![Fr::ZERO; width];
    vector[free] = Fr::ONE;
    for (row, column) in rows.iter().zip(&pivots) {
        vector[*column] = -row[free];
    }
    Some(vector)
}

/// The rows that an assignment violates.
pub fn violated_rows(bench: &Workbench, assignment: &[Fr]) -> Vec<usize> {
    let compiled = bench.compiled();
    (0..compiled.r1cs.num_constraints())
        .into_par_iter()
        .with_min_len(256)
        .filter(|row| !compiled.row_holds(*row, assignment))
        .collect()
}

/// A line of the source, without what follows it.
pub fn source_line(file: &str, line: u32) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
    text.lines()
        .nth(line as usize - 1)
        .unwrap()
        .trim()
        .to_owned()
}

/// A full batch: TopUps, transfers, withdrawals, fees in four tokens. No two subtrees are equal, and
/// no two leaves around the account of the slot under attack.
fn batch(bench: &Workbench, spot: Spot) -> BatchValues {
    let shape = bench.shape();
    let leaves = u32::try_from(shape.leaves()).unwrap() / u32::try_from(shape.subtrees()).unwrap();
    let (subtree, leaf) = spot.place();
    let mut others = (4..).filter(|other| *other != subtree);
    let mut start = |section: Section, slot: usize, token: usize| {
        let index = if (section, slot) == (spot.section, spot.slot) {
            subtree * leaves + leaf
        } else {
            others.next().unwrap() * leaves + 6
        };
        Start {
            index,
            token: u32::try_from(token).unwrap(),
            nonce: 5,
            balance: 1_000_000,
        }
    };
    let fee_slots = usize::from(shape.fee_slots);
    let transfers = usize::from(shape.transfers);
    let signed = transfers + usize::from(shape.withdrawals);
    let mut starts = |section, count: usize| -> Vec<Start> {
        (0..count)
            .map(|slot| start(section, slot, slot % fee_slots))
            .collect()
    };
    let collectors = starts(Section::Collector, fee_slots);
    let topped_up = starts(Section::ToppedUp, shape.l1_ops.into());
    let payers = starts(Section::Payer, signed);
    let receivers = starts(Section::Receiver, transfers);
    let mut accounts = [&collectors[..], &topped_up, &payers, &receivers].concat();
    let named: Vec<u32> = accounts.iter().map(|start| start.index).collect();
    let around = (0..leaves).map(|leaf| subtree * leaves + leaf);
    let every = (0..u32::try_from(shape.subtrees()).unwrap()).map(|other| other * leaves + 6);
    for index in around.chain(every) {
        if index != 0 && !named.contains(&index) {
            accounts.push(Start {
                index,
                token: 0,
                nonce: 0,
                balance: index.into(),
            });
        }
    }
    let fees: Vec<u32> = collectors.iter().map(|start| start.index).collect();
    let mut batch = Forger::new(shape, &accounts, &fees);
    for (slot, payer) in payers.iter().enumerate() {
        let key = Point::base8().mul(&secret(slot));
        let leaf = LeafValues {
            ax: key.x,
            ay: key.y,
            ..*batch.leaf(payer.index)
        };
        batch.set_up(payer.index, leaf);
    }
    for account in &topped_up {
        top_up(&mut batch, account.index);
    }
    for (slot, payer) in payers.iter().enumerate() {
        let to = receivers.get(slot).map_or(0, |receiver| receiver.index);
        let forged: Forged = pay(payer.index, to, 100, 3, slot % fee_slots);
        if slot < transfers {
            batch.transfer(&forged);
        } else {
            batch.withdraw(&forged);
        }
    }
    let mut values = batch.finish();
    for slot in 0..signed {
        let (_, r8) = nonce_point(spot.variant, slot);
        let h = eddsa::challenge(&r8, &key_of(&values, slot), &message_of(&values, slot));
        sign(&mut values, (spot.variant, slot), &h);
    }
    values
}

fn top_up(batch: &mut Forger, index: u32) {
    let leaf = *batch.leaf(index);
    let slot = L1Values {
        kind: [false, true, false],
        index: Fr::from(index),
        token: leaf.token,
        amount: Fr::from(50u64),
        published_key: (Fr::ZERO, Fr::ZERO),
        key: (leaf.ax, leaf.ay),
        lane: leaf.token * Fr::from(1u64 << 40) + leaf.nonce,
        balance: leaf.balance,
        path: Vec::new(),
    };
    let balance = leaf.balance + slot.amount;
    batch.l1(index, slot, leaf_hash(&LeafValues { balance, ..leaf }));
}

fn debit_of(values: &mut BatchValues, slot: Slot) -> &mut circuits::operation::DebitValues {
    let transfers = values.transfers.len();
    match slot.checked_sub(transfers) {
        None => &mut values.transfers[slot].debit,
        Some(nth) => &mut values.withdrawals[nth],
    }
}

fn key_of(values: &BatchValues, slot: Slot) -> Point {
    let account = debit_of(&mut values.clone(), slot).account;
    Point {
        x: account.ax,
        y: account.ay,
    }
}

fn message_of(values: &BatchValues, slot: Slot) -> Fr {
    let debit = debit_of(&mut values.clone(), slot).clone();
    match values.transfers.get(slot) {
        Some(transfer) => message(&values.domain, TRANSFER, &debit, transfer.to),
        None => message(&values.domain, WITHDRAW, &debit, Fr::ZERO),
    }
}

/// Signs for a challenge, whether or not it is that of the slot's message.
fn sign(values: &mut BatchValues, (variant, slot): (usize, Slot), h: &Fr) {
    let (nonce, r8) = nonce_point(variant, slot);
    let h = Scalar::from(BigUint::from(h.into_bigint()));
    let s = nonce + h * secret(slot) * Scalar::from(8u64);
    let s: BigInteger256 = s.into_bigint();
    debit_of(values, slot).signature = SignatureValues {
        r8: (r8.x, r8.y),
        s,
    };
}

fn is_signed(values: &BatchValues, slot: Slot) -> bool {
    let signature = debit_of(&mut values.clone(), slot).signature;
    let (x, y) = signature.r8;
    let s = BigUint::from(signature.s);
    Signature::from_raw(Point { x, y }, &s).is_ok_and(|signature| {
        eddsa::verify(&key_of(values, slot), &message_of(values, slot), &signature).is_ok()
    })
}
