//! The batch circuit: twin of `ledger::transition`.
//!
//! Sections run in batch order — header, L1 operations, transfers, withdrawals, fees, commitment —
//! and every update chains onto the cached roots left by the one before. Public inputs are `c`, `z`
//! and `y`.
//!
//! [`BatchCircuit`] is the circuit for arkworks (setup, matrices, tests). [`assignment`] computes
//! only the witness, slots in parallel; a test keeps the two equal.

use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError};
use ledger::{
    field::Fr,
    shape::Shape,
    words::{TRANSFER_BYTES, WITHDRAWAL_BYTES},
};
use rayon::prelude::*;

use crate::{
    account::{NONCE_BITS, ranged},
    num::{Cs, Num, RuleMap},
    operation::{DebitValues, L1Values, Outcome, TransferValues, l1_op, transfer, withdraw},
    rules::{Context, FeeSlot, FeeValues, collect_fees, fee_tokens_are_distinct, open_fee_slot},
    tree::root_of,
    words::{HeaderVar, commitment, evaluation, header_words, pair_words},
};

/// Instance variables: the constant 1, `c`, `z`, `y`.
pub const INSTANCE_VARIABLES: usize = 4;

/// Everything the circuit is shown; nothing in it is trusted.
///
/// Lengths are those of the shape, padding included: they decide which constraints exist.
#[derive(Clone, Debug)]
pub struct BatchValues {
    /// The shape that fixes the circuit.
    pub shape: Shape,
    /// The deployment's domain, part of every signed message.
    pub domain: Fr,
    /// Number of the batch.
    pub batch_number: Fr,
    /// Timestamp of the batch.
    pub timestamp: Fr,
    /// The `4^K` subtree roots before the batch.
    pub roots: Vec<Fr>,
    /// As many fee slots as the shape has.
    pub fees: Vec<FeeValues>,
    /// As many L1 slots as the shape has.
    pub l1_ops: Vec<L1Values>,
    /// As many transfer slots as the shape has.
    pub transfers: Vec<TransferValues>,
    /// As many withdrawal slots as the shape has.
    pub withdrawals: Vec<DebitValues>,
    /// The commitment to the words: public.
    pub c: Fr,
    /// The challenge that L1 derives from commitment and words: public.
    pub z: Fr,
    /// The evaluation of the words at the challenge: public.
    pub y: Fr,
    /// For [`assignment`] only: the subtree root that each update writes, in update order.
    pub written_roots: Vec<WrittenRoot>,
}

/// A subtree root after an update, with its place among the cached roots.
#[derive(Clone, Copy, Debug)]
pub struct WrittenRoot {
    /// Place among the `4^K` cached roots.
    pub place: usize,
    /// The root after the update.
    pub root: Fr,
}

/// The batch circuit with its values.
#[derive(Clone, Debug)]
pub struct BatchCircuit(pub BatchValues);

impl BatchCircuit {
    /// Records the circuit in `cs` and returns the rule that each row belongs to.
    pub fn synthesize(&self, cs: ConstraintSystemRef<Fr>) -> RuleMap {
        let cs = Cs::with_rows(cs);
        self.record(&cs);
        cs.rule_map()
    }

    /// Records the circuit, slot after slot, and returns the published words it computed.
    pub fn record(&self, cs: &Cs) -> Vec<Fr> {
        let values = &self.0;
        let mut opened = open(cs, values);
        let mut roots = opened.roots.clone();
        for slot in &values.l1_ops {
            opened
                .words
                .extend(l1_op(cs, &opened.context, slot, &mut roots));
        }
        let transfers: Vec<Outcome> = values
            .transfers
            .iter()
            .map(|slot| transfer(cs, &opened.context, slot, &mut roots))
            .collect();
        let withdrawals: Vec<Outcome> = values
            .withdrawals
            .iter()
            .map(|slot| withdraw(cs, &opened.context, slot, &mut roots))
            .collect();
        close(cs, opened, roots, &transfers, &withdrawals)
    }
}

impl ConstraintSynthesizer<Fr> for BatchCircuit {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        self.synthesize(cs);
        Ok(())
    }
}

/// The beginning of a batch, constrained.
struct Opened {
    context: Context,
    fee_slots: Vec<FeeSlot>,
    header: HeaderVar,
    c: Num,
    z: Num,
    y: Num,
    roots: Vec<Num>,
    /// Words of the L1 slots.
    words: Vec<Num>,
}

/// Public inputs, header fields, cached roots and fee accounts.
fn open(cs: &Cs, values: &BatchValues) -> Opened {
    let _scope = cs.rule("header");
    let (c, z, y) = (cs.input(values.c), cs.input(values.z), cs.input(values.y));
    let depth = usize::from(values.shape.depth);
    let domain = cs.witness(values.domain);
    // L1 forms the word that holds the number, and the word's other fields are in range: this one is
    // what L1 says even without its own range.
    let batch_number = ranged(cs.named("batch_number"), values.batch_number, NONCE_BITS);
    let timestamp = ranged(cs.named("timestamp"), values.timestamp, NONCE_BITS);
    cs.named("roots");
    let roots: Vec<Num> = values.roots.iter().map(|root| cs.witness(*root)).collect();
    let old_root = {
        let _scope = cs.rule("cached_levels");
        root_of(cs, &roots)
    };
    let fee_slots: Vec<FeeSlot> = values
        .fees
        .iter()
        .enumerate()
        .map(|(i, slot)| open_fee_slot(cs, depth, i, slot))
        .collect();
    fee_tokens_are_distinct(cs, &fee_slots);
    let header = HeaderVar {
        domain: domain.clone(),
        old_root,
        new_root: Num::zero(),
        shape_id: values.shape.id,
        batch_number,
        timestamp: timestamp.clone(),
        fee_indices: fee_slots.iter().map(|slot| slot.index.clone()).collect(),
    };
    let fee_tokens = fee_slots.iter().map(|slot| slot.token.clone()).collect();
    let context = Context {
        depth,
        domain,
        timestamp,
        fee_tokens,
    };
    Opened {
        context,
        fee_slots,
        header,
        c,
        z,
        y,
        roots,
        words: Vec::new(),
    }
}

/// Fees, the new root, the commitment and the evaluation; returns the words.
fn close(
    cs: &Cs,
    opened: Opened,
    mut roots: Vec<Num>,
    transfers: &[Outcome],
    withdrawals: &[Outcome],
) -> Vec<Fr> {
    let Opened {
        fee_slots,
        mut header,
        c,
        z,
        y,
        words: l1_words,
        ..
    } = opened;
    for (i, slot) in fee_slots.iter().enumerate() {
        let credits = transfers
            .iter()
            .chain(withdrawals)
            .map(|outcome| &outcome.credits[i]);
        collect_fees(cs, slot, &Num::sum(credits), &mut roots);
    }
    let _scope = cs.rule("words");
    header.new_root = {
        let _scope = cs.rule("cached_levels");
        root_of(cs, &roots)
    };
    let published = |outcomes: &[Outcome]| -> Vec<Num> {
        outcomes
            .iter()
            .map(|outcome| outcome.published.clone())
            .collect()
    };
    let mut words = header_words(&header);
    words.extend(l1_words);
    words.extend(pair_words(&published(transfers), 8 * TRANSFER_BYTES));
    words.extend(pair_words(&published(withdrawals), 8 * WITHDRAWAL_BYTES));
    cs.enforce_equal(&commitment(cs, header.shape_id, &words), &c);
    cs.enforce_equal(&evaluation(cs, &words, &z), &y);
    words.iter().map(Num::value).collect()
}

/// The full assignment `1, c, z, y, witness…` of the circuit for `values`, slots in parallel.
///
/// Each slot is synthesised on its own with the cached roots that `values.written_roots` says it
/// meets. Should they be wrong the assignment violates the circuit; nothing rests on them.
pub fn assignment(values: &BatchValues) -> Vec<Fr> {
    let start = Cs::values_only();
    let mut opened = open(&start, values);
    let before_slot = roots_before_each_slot(values);
    let context = &opened.context;
    let l1_count = values.l1_ops.len();
    let transfer_count = values.transfers.len();
    let slots: Vec<(Vec<Fr>, SlotOutcome)> = before_slot[..before_slot.len() - 1]
        .par_iter()
        .enumerate()
        .map(|(i, roots)| {
            let cs = Cs::values_only();
            let mut roots: Vec<Num> = roots.iter().map(|root| cs.input(*root)).collect();
            let outcome = if i < l1_count {
                SlotOutcome::L1(l1_op(&cs, context, &values.l1_ops[i], &mut roots))
            } else if i < l1_count + transfer_count {
                let slot = &values.transfers[i - l1_count];
                SlotOutcome::Signed(transfer(&cs, context, slot, &mut roots))
            } else {
                let slot = &values.withdrawals[i - l1_count - transfer_count];
                SlotOutcome::Signed(withdraw(&cs, context, slot, &mut roots))
            };
            (cs.into_values(), outcome)
        })
        .collect();

    let mut signed = Vec::with_capacity(slots.len() - l1_count);
    let mut blocks = Vec::with_capacity(slots.len());
    for (block, outcome) in slots {
        blocks.push(block);
        match outcome {
            SlotOutcome::L1(words) => opened.words.extend(words),
            SlotOutcome::Signed(outcome) => signed.push(outcome),
        }
    }
    let end = Cs::values_only();
    let last = before_slot
        .last()
        .expect("there is a state after the last slot");
    let roots = last.iter().map(|root| end.input(*root)).collect();
    let (transfers, withdrawals) = signed.split_at(transfer_count);
    close(&end, opened, roots, transfers, withdrawals);

    let mut all = vec![Fr::from(1u64), values.c, values.z, values.y];
    all.extend(start.into_values());
    all.extend(blocks.into_iter().flatten());
    all.extend(end.into_values());
    all
}

enum SlotOutcome {
    L1([Num; 4]),
    Signed(Outcome),
}

/// The cached roots before each L1, transfer and withdrawal slot, and after the last of them.
fn roots_before_each_slot(values: &BatchValues) -> Vec<Vec<Fr>> {
    let updates = std::iter::repeat_n(1, values.l1_ops.len())
        .chain(std::iter::repeat_n(2, values.transfers.len()))
        .chain(std::iter::repeat_n(1, values.withdrawals.len()));
    let mut written = values.written_roots.iter();
    let mut roots = values.roots.clone();
    let mut all = vec![roots.clone()];
    for count in updates {
        for update in written.by_ref().take(count) {
            roots[update.place] = update.root;
        }
        all.push(roots.clone());
    }
    all
}
