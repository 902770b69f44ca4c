//! One trace through everything: the model, the native transition, the circuit, and a restore from
//! published bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use ark_ff::Field;
use circuits::transition::{BatchValues, assignment};
use ledger::account::Account;
use ledger::field::Fr;
use ledger::operation::{Authorized, L1Op, Signable, Signed};
use ledger::reject::{DoesNotFit, L1Violation, Reject};
use ledger::replay::replay;
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{
    AppliedBatch, ApplyError, BatchContext, Operation, PushError, Transition, apply_batch,
};
use ledger::words::{self, PublicWords};
use num_bigint::BigUint;

use crate::forge::{Shown, forge};
use crate::model::{Broken, Holding, Model, Planted};
use crate::step::{Begin, Sent, Step};
use crate::world::{BOUNDED, COMPARED, TOKENS, World, compiled, limit, our_domain, public};

/// How often what happened.
pub type Counts = BTreeMap<String, u64>;

/// How much of what is checked for a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Through {
    /// Model, ledger and restore.
    Ledger,
    /// Also every batch through its circuit.
    Batches,
    /// Also single operations forced into witnesses.
    Everything,
}

/// A disagreement, in words.
pub type Verdict = Result<(), String>;

/// A batch as the prover gets it.
pub struct Provable {
    /// Its shape.
    pub shape: Shape,
    /// The full assignment.
    pub assignment: Vec<Fr>,
    /// `c`, `z`, `y`, computed from the published bytes.
    pub public_inputs: [Fr; 3],
}

/// A trace under way.
pub struct Run {
    world: &'static World,
    /// The oracle.
    pub model: Model,
    state: State,
    restored: State,
    batch: Option<Transition>,
    context: BatchContext,
    accepted: Vec<Operation>,
    /// A rejected operation and how many were accepted before it.
    rejected: Option<(usize, Operation)>,
    at_begin: BTreeMap<u32, Holding>,
    steps: u64,
    through: Through,
    /// What happened so far.
    pub counts: Counts,
    /// The last batch with a transfer.
    pub provable: Option<Provable>,
}

fn equal<T: PartialEq + Debug + ?Sized>(what: &str, expected: &T, got: &T) -> Verdict {
    if expected == got {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, got {got:?}"))
    }
}

fn holds(what: &str, condition: bool) -> Verdict {
    if condition {
        Ok(())
    } else {
        Err(what.to_owned())
    }
}

fn account(holding: &Holding) -> Account {
    Account {
        key: public(holding.owner),
        token: holding.token,
        nonce: holding.nonce,
        balance: u128::try_from(&holding.balance).expect("balances are below 2^128"),
    }
}

impl Run {
    /// Accounts in place and the first batch open.
    pub fn new(
        world: &'static World,
        genesis: &BTreeMap<u32, Holding>,
        begin: &Begin,
        (planted, through): (Planted, Through),
    ) -> Self {
        let mut state = State::new(world.depth);
        let accounts = genesis.iter().map(|(index, held)| (*index, account(held)));
        state.insert_genesis(accounts).expect("genesis is good");
        let shape = world.shapes[begin.shape];
        let mut run = Self {
            world,
            model: Model::new(genesis.clone(), shape, begin, planted),
            restored: state.clone(),
            state,
            batch: None,
            context: context(0, begin),
            accepted: Vec::new(),
            rejected: None,
            at_begin: BTreeMap::new(),
            steps: 0,
            through,
            counts: Counts::new(),
            provable: None,
        };
        run.open(shape, begin);
        run
    }

    fn open(&mut self, shape: Shape, begin: &Begin) {
        self.context = context(self.context.batch_number + 1, begin);
        let batch = Transition::begin(&self.state, &shape, self.context.clone());
        self.batch = Some(batch.expect("shape and context are good"));
        self.at_begin = self.model.accounts.clone();
        self.accepted.clear();
        self.rejected = None;
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// Executes one step everywhere.
    pub fn step(&mut self, step: &Step) -> Verdict {
        self.steps += 1;
        match step {
            Step::Begin(begin) => return self.close(begin),
            Step::L1(op) => self.l1(step, op)?,
            Step::Transfer(sent) => {
                self.count_overlaps(sent.op.from, Some(sent.op.to));
                self.signed(step, sent, Operation::Transfer)?;
            }
            Step::Withdraw(sent) => {
                self.count_overlaps(sent.op.from, None);
                self.signed(step, sent, Operation::Withdraw)?;
            }
        }
        Ok(())
    }

    fn count_overlaps(&mut self, from: u32, to: Option<u32>) {
        let token = self.model.accounts.get(&from).map(|a| a.token);
        let fees = token.and_then(|token| self.model.batch.fee_accounts.get(&token).copied());
        if fees == Some(from) {
            self.count("overlap: sender is fee account");
        }
        if to.is_some() && fees == to {
            self.count("overlap: receiver is fee account");
        }
        if to == Some(from) {
            self.count("overlap: self-transfer");
        }
        let touched = |kind: u8| {
            let ops = self.accepted.iter();
            ops.filter(
                |op| matches!(op, Operation::L1(op) if op.kind() == kind && op.index() == from),
            )
            .count()
        };
        let all = [L1Op::CREATE, L1Op::TOP_UP, L1Op::FORCED_EXIT].map(|kind| touched(kind) > 0);
        if all[0] {
            self.count("overlap: sender created in this batch");
        }
        if all[1] && all[2] {
            self.count("overlap: sender topped up and exited in this batch");
        }
    }

    fn l1(&mut self, step: &Step, op: &L1Op) -> Verdict {
        let before = self.accounts_now();
        let batch = self.batch.as_mut().expect("a batch is open");
        let outcome = batch.push_l1(&self.state, op);
        if outcome.is_ok() {
            self.accepted.push(Operation::L1(*op));
        }
        self.judge(step, &outcome, &before)
    }

    fn signed<T: Signable + PartialEq + Debug>(
        &mut self,
        step: &Step,
        sent: &Sent<T>,
        operation: fn(Authorized<T>) -> Operation,
    ) -> Verdict {
        let before = self.accounts_now();
        let model_before = self.model.clone();
        let signed = over_the_wire(sent.signed(our_domain()))?;
        let from = sent.op.fields().from;
        let key = self.model.accounts.get(&from).map_or(sent.by, |a| a.owner);
        let authorized = signed.verify(&public(key), &our_domain());
        let outcome = match authorized {
            Ok(authorized) => self.push(operation(authorized)),
            Err(reject) => {
                self.under_another_key(&signed, sent, operation)?;
                Err(PushError::Rejected(reject))
            }
        };
        self.judge(step, &outcome, &before)?;
        if !matches!(outcome, Err(PushError::DoesNotFit(_))) {
            self.force(&model_before, sent, &outcome)?;
        }
        Ok(())
    }

    fn push(&mut self, operation: Operation) -> Result<(), PushError> {
        let batch = self.batch.as_mut().expect("a batch is open");
        let outcome = batch.push(&self.state, &operation);
        match &outcome {
            Ok(()) => self.accepted.push(operation),
            Err(PushError::Rejected(_)) => {
                self.rejected = Some((self.accepted.len(), operation));
            }
            Err(_) => {}
        }
        outcome
    }

    /// An operation that is authorised under the key, or for the deployment, of somebody's choice
    /// gets no further.
    fn under_another_key<T: Signable>(
        &mut self,
        signed: &Signed<T>,
        sent: &Sent<T>,
        operation: fn(Authorized<T>) -> Operation,
    ) -> Verdict {
        for domain in [our_domain(), our_domain() + Fr::ONE] {
            if let Ok(authorized) = signed.verify(&public(sent.by), &domain) {
                let before = self.accounts_now();
                let outcome = self.push(operation(authorized));
                holds(
                    "authorised under another key, and accepted",
                    outcome.is_err(),
                )?;
                equal("accounts", &before, &self.accounts_now())?;
                self.count("authorised under another key");
            }
        }
        Ok(())
    }

    /// The ledger's verdict is the model's, and a refusal leaves no trace.
    fn judge(
        &mut self,
        step: &Step,
        outcome: &Result<(), PushError>,
        before: &BTreeMap<u32, Account>,
    ) -> Verdict {
        let broken = self.model.push(step);
        let after = self.accounts_now();
        match outcome {
            Ok(()) => {
                equal("accepted, but the model says", &Broken::new(), &broken)?;
                self.count(kind(step));
                self.same_accounts(&after)?;
            }
            Err(error) => {
                let rule = rule(error);
                if !broken.contains(rule) {
                    return Err(format!("refused by {rule}, the model says {broken:?}"));
                }
                equal("accounts after a refusal", before, &after)?;
                self.count(format!("refused: {rule}"));
                self.range_needs_excess(rule)?;
            }
        }
        let counts = self.batch.as_ref().expect("a batch is open").counts();
        equal("operations", &self.model.batch.counts, &counts)
    }

    /// Balances reach 2^128 only in a token of which there is more than L1 lets in: why the
    /// circuit needs no check of its own.
    fn range_needs_excess(&self, rule: &str) -> Verdict {
        let full = TOKENS
            .iter()
            .any(|token| self.model.supply(*token) >= limit());
        holds(
            "a balance out of range within L1's bound",
            rule.starts_with("l1") || !rule.ends_with("balance_in_range") || full,
        )?;
        let bounded = BOUNDED
            .iter()
            .all(|token| self.model.supply(*token) < limit());
        holds("the supply of a bounded token", bounded)
    }

    /// The circuit refuses what the ledger rejects and accepts what it accepts.
    fn force<T: Signable>(
        &mut self,
        model: &Model,
        sent: &Sent<T>,
        outcome: &Result<(), PushError>,
    ) -> Verdict {
        if self.through < Through::Everything {
            return Ok(());
        }
        let rule = match outcome {
            Ok(()) if self.steps.is_multiple_of(4) => "accepted",
            Ok(()) => return Ok(()),
            Err(error) => rule(error),
        };
        // L1's bound on escrow keeps these, not the circuit.
        if rule.ends_with("balance_in_range") {
            return Ok(());
        }
        let shown = if self.steps.is_multiple_of(2) {
            Shown::Truth
        } else {
            Shown::WhatWasSigned
        };
        let Some(violated) = forge(model, sent, shown) else {
            return Ok(());
        };
        self.count(format!("forced: {rule}"));
        if outcome.is_ok() {
            return equal(
                "the circuit refuses an accepted operation",
                &BTreeSet::new(),
                &violated,
            );
        }
        let what = format!("{rule} is broken ({shown:?} shown) and the circuit satisfied");
        holds(&what, !violated.is_empty())
    }

    /// Every account as the open batch has left it.
    fn accounts_now(&self) -> BTreeMap<u32, Account> {
        let batch = self.batch.as_ref().expect("a batch is open");
        let created = self.accepted.iter().filter_map(|op| match op {
            Operation::L1(op) => Some(op.index()),
            _ => None,
        });
        let known: BTreeSet<u32> = self
            .state
            .accounts()
            .map(|(i, _)| i)
            .chain(created)
            .collect();
        let now = |index: u32| batch.account(&self.state, index).map(|a| (index, *a));
        known.into_iter().filter_map(now).collect()
    }

    fn same_accounts(&self, got: &BTreeMap<u32, Account>) -> Verdict {
        let model = self.model.accounts.iter();
        let expected: BTreeMap<u32, Account> = model.map(|(i, held)| (*i, account(held))).collect();
        let differs = |index: &&u32| expected.get(*index) != got.get(*index);
        let indices: BTreeSet<&u32> = expected.keys().chain(got.keys()).filter(differs).collect();
        let of = |all: &BTreeMap<u32, Account>| -> Vec<(u32, Option<Account>)> {
            let account = |index: &&u32| (**index, all.get(*index).copied());
            indices.iter().map(account).collect()
        };
        equal("accounts", &of(&expected), &of(got))
    }

    /// Finishes the batch, compares everything, and opens the next.
    pub fn close(&mut self, next: &Begin) -> Verdict {
        let batch = self.batch.take().expect("a batch is open");
        let shape = *batch.shape();
        let before = self.state.clone();
        let applied = batch
            .finish(&mut self.state)
            .map_err(|error| error.to_string())?;
        let next_shape = self.world.shapes[next.shape];
        let paid = self.model.close(next_shape, next);
        let now = self.state.accounts().map(|(i, a)| (i, *a)).collect();
        self.same_accounts(&now)?;
        let payouts = applied
            .payouts
            .iter()
            .map(|p| (p.index, p.token, BigUint::from(p.amount)));
        equal("payouts", &paid, &payouts.collect())?;
        self.as_a_list(&shape, &before, &applied)?;
        let words = self.restore(&shape, &applied)?;
        self.leaves(&before, &words)?;
        conservation(&before, &self.state, &words, &applied)?;
        if self.through >= Through::Batches {
            self.circuit(&shape, &words, &applied)?;
        }
        self.count(format!("batches of shape {}", shape.id));
        if self.accepted.is_empty() {
            self.count("empty batches");
        }
        self.open(next_shape, next);
        Ok(())
    }

    /// The operations as one list lead to the same batch; with a rejected one among them, nowhere.
    fn as_a_list(&mut self, shape: &Shape, before: &State, applied: &AppliedBatch) -> Verdict {
        let mut copy = before.clone();
        let again = apply_batch(&mut copy, shape, self.context.clone(), &self.accepted);
        equal("the list as a batch", &Ok(applied.clone()), &again)?;
        equal("the state after the list", &self.state, &copy)?;
        let Some((place, operation)) = self.rejected else {
            return Ok(());
        };
        let mut list = self.accepted.clone();
        list.insert(place, operation);
        let mut copy = before.clone();
        let refused = apply_batch(&mut copy, shape, self.context.clone(), &list);
        let named =
            matches!(refused, Err(ApplyError::Operation { position, .. }) if position == place);
        holds("a list with a rejected operation", named)?;
        equal("the state after a refused list", before, &copy)
    }

    /// The published bytes alone lead to the same state.
    fn restore(&mut self, shape: &Shape, applied: &AppliedBatch) -> Result<PublicWords, String> {
        let bytes = applied
            .words
            .to_bytes(shape)
            .map_err(|error| error.to_string())?;
        let words = PublicWords::from_bytes(&bytes, shape).map_err(|error| error.to_string())?;
        equal("decoded words", &applied.words, &words)?;
        let payouts = replay(&words, shape, &mut self.restored).map_err(|e| e.to_string())?;
        equal("payouts of the replay", &applied.payouts, &payouts)?;
        equal("the restored state", &self.state, &self.restored)?;
        Ok(words)
    }

    /// The tree differs in exactly those leaves that the words name and whose accounts changed.
    fn leaves(&self, before: &State, words: &PublicWords) -> Verdict {
        let named: BTreeSet<u32> = (words.l1_ops.iter().map(|entry| entry.op.index()))
            .chain(words.transfers.iter().flat_map(|data| [data.from, data.to]))
            .chain(words.withdrawals.iter().map(|data| data.index))
            .chain(words.header.fee_indices.iter().copied())
            .collect();
        let (old, new) = (&self.at_begin, &self.model.accounts);
        let expected: BTreeSet<u32> = old
            .keys()
            .chain(new.keys())
            .copied()
            .filter(|index| old.get(index) != new.get(index))
            .collect();
        let last = u32::try_from(self.model.leaves - 1).expect("at most 4^16 leaves");
        let most = u32::try_from(self.model.leaves.min(COMPARED)).expect("small");
        let changed: BTreeSet<u32> = (0..most)
            .chain([last])
            .chain(new.keys().copied())
            .filter(|index| before.tree().leaf(*index) != self.state.tree().leaf(*index))
            .collect();
        equal("changed leaves", &expected, &changed)?;
        let unnamed: Vec<&u32> = changed.difference(&named).collect();
        equal(
            "leaves that changed without being named",
            &Vec::new(),
            &unnamed,
        )
    }

    /// The batch is provable, for the public inputs that L1 computes from the published bytes.
    fn circuit(&mut self, shape: &Shape, words: &PublicWords, applied: &AppliedBatch) -> Verdict {
        let values = BatchValues::of(&applied.witness).map_err(|error| error.to_string())?;
        let full = assignment(&values);
        let words = words.encode(shape).map_err(|error| error.to_string())?;
        let c = words::commitment(shape.id, &words);
        let z = words::challenge(&c, &words);
        let y = words::evaluation(&words, &z);
        equal("public inputs", &[Fr::ONE, c, z, y][..], &full[..4])?;
        let violated = compiled(shape).violated_rules(&full);
        equal(
            "violated rules of a valid batch",
            &BTreeSet::new(),
            &violated,
        )?;
        if self.model_has_transfer() {
            self.provable = Some(Provable {
                shape: *shape,
                assignment: full,
                public_inputs: [c, z, y],
            });
        }
        Ok(())
    }

    fn model_has_transfer(&self) -> bool {
        self.accepted
            .iter()
            .any(|op| matches!(op, Operation::Transfer(_)))
    }
}

fn context(batch_number: u64, begin: &Begin) -> BatchContext {
    BatchContext {
        domain: our_domain(),
        batch_number,
        timestamp: begin.timestamp,
        fee_accounts: begin.fee_accounts.clone(),
    }
}

/// To bytes and back; what has no bytes is refused for its width.
fn over_the_wire<T: Signable + PartialEq + Debug>(signed: Signed<T>) -> Result<Signed<T>, String> {
    let fields = signed.op.fields();
    let Ok(bytes) = signed.to_bytes() else {
        let wide = fields.nonce >= 1 << 40 || fields.valid_until >= 1 << 40;
        return if wide {
            Ok(signed)
        } else {
            Err("no bytes for a signed operation".to_owned())
        };
    };
    let back = Signed::from_bytes(&bytes).map_err(|error| error.to_string())?;
    equal("a signed operation from its bytes", &signed, &back)?;
    Ok(back)
}

/// Per token, what there was and what came in equals what there is and what went out.
fn conservation(
    before: &State,
    after: &State,
    words: &PublicWords,
    applied: &AppliedBatch,
) -> Verdict {
    let supply = |state: &State, token: u32| -> BigUint {
        let held = state.accounts().filter(|(_, a)| a.token == token);
        held.map(|(_, a)| BigUint::from(a.balance)).sum()
    };
    for token in TOKENS {
        let deposits = words
            .l1_ops
            .iter()
            .filter(|entry| entry.op.token() == token);
        let deposited: BigUint = deposits.map(|e| BigUint::from(e.op.amount())).sum();
        let payouts = applied
            .payouts
            .iter()
            .filter(|payout| payout.token == token);
        let paid: BigUint = payouts.map(|p| BigUint::from(p.amount)).sum();
        let (had, has) = (supply(before, token), supply(after, token));
        equal("conservation", &(had + deposited), &(has + paid))?;
    }
    Ok(())
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Begin(_) => "begin",
        Step::L1(L1Op::Create { .. }) => "executed: create",
        Step::L1(L1Op::TopUp { .. }) => "executed: top-up",
        Step::L1(L1Op::ForcedExit { .. }) => "executed: forced exit",
        Step::Transfer(_) => "executed: transfer",
        Step::Withdraw(_) => "executed: withdraw",
    }
}

/// The model's name of the rule that the ledger names.
fn rule(error: &PushError) -> &'static str {
    match error {
        PushError::Rejected(reject) => match reject {
            Reject::FieldInRange { .. } => "field_in_range",
            Reject::IndexInRange { .. } => "index_in_range",
            Reject::SenderExists { .. } => "sender_exists",
            Reject::ReceiverExists { .. } => "receiver_exists",
            Reject::SameToken { .. } => "same_token",
            Reject::SignatureIsValid { .. } => "signature_is_valid",
            Reject::NonceIsNext { .. } => "nonce_is_next",
            Reject::NonceHasSuccessor { .. } => "nonce_has_successor",
            Reject::NotExpired { .. } => "not_expired",
            Reject::SenderCanPay { .. } => "sender_can_pay",
            Reject::ReceiverBalanceInRange { .. } => "receiver_balance_in_range",
            Reject::FeeAccountBalanceInRange { .. } => "fee_account_balance_in_range",
        },
        PushError::DoesNotFit(fault) => match fault {
            DoesNotFit::L1OpsFull { .. }
            | DoesNotFit::TransfersFull { .. }
            | DoesNotFit::WithdrawalsFull { .. } => "slots_are_left",
            DoesNotFit::OutOfOrder { .. } => "order_is_kept",
            DoesNotFit::NoFeeSlot { .. } => "fee_slot_is_left",
            DoesNotFit::NoFeeAccount { .. } => "fee_account_exists",
        },
        PushError::L1(violation) => match violation {
            L1Violation::IndexOutOfRange { .. } => "l1_index_in_range",
            L1Violation::LeafOccupied { .. } => "l1_leaf_was_empty",
            L1Violation::LeafEmpty { .. } => "l1_leaf_exists",
            L1Violation::TokenDiffers { .. } => "l1_token_agrees",
            L1Violation::BalanceOverflow { .. } => "l1_balance_in_range",
        },
        PushError::State(_) => "the batch belongs to the state",
    }
}
