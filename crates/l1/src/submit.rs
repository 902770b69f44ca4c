//! Batches on their way into L1: rebuilt from L1's own data, executed, verified, finalized.
//!
//! Invariant: the root moves only here, to the root that a verified batch names, and with it the queue and
//! the claims.

use ledger::field::{Fr, to_hex};
use ledger::shape::Shape;
use ledger::words::{Header, L1Entry, PublicWords};
use prover::key::VerifyingKey;
use prover::proof::Proof;
use prover::verify::{verify, verify_many};

use crate::batch::FinalizedBatch;
use crate::bytes::Address;
use crate::error::{BatchError, BatchFault, L1Error, Refusal, StoreError};
use crate::head::Head;
use crate::native::NativeL1;
use crate::queue;
use crate::registry::{self, Registration};
use crate::store::{Tx, rehearse, transact};
use crate::submission::{Opened, PUBLIC_INPUTS, Submission, public_inputs};

impl NativeL1 {
    /// Finalizes the next batch; see [`Self::submit_batches`].
    ///
    /// # Errors
    /// As [`Self::submit_batches`].
    pub fn submit_batch(
        &self,
        caller: Address,
        submission: &Submission,
        now: u64,
    ) -> Result<FinalizedBatch, L1Error> {
        let batches = self.submit_batches(caller, std::slice::from_ref(submission), now)?;
        Ok(batches
            .into_iter()
            .next()
            .expect("one batch was submitted and accepted"))
    }

    /// Finalizes the next batches, which have one shape and chain onto each other: all or nothing.
    /// Several proofs are verified in one check. Whoever [`Self::submission_right`] names may call; the
    /// rule is applied to each batch as those before it left L1.
    ///
    /// # Errors
    /// [`Refusal`]: not the caller's right, no batch, unknown shape, no key, a batch that is malformed or
    /// not the next, or proofs that do not hold.
    pub fn submit_batches(
        &self,
        caller: Address,
        submissions: &[Submission],
        now: u64,
    ) -> Result<Vec<FinalizedBatch>, L1Error> {
        self.check_right(caller, now)?;
        let shape_id = one_shape(submissions)?;
        let shape = &self.listed(shape_id)?.shape;
        let key = self.usable_key(shape_id)?;
        let execute_all = |tx: &mut Tx<'_>| self.execute_all(tx, caller, submissions, shape);
        // Why twice: no lock is held while proofs are verified, which takes all threads.
        // Sound because: what L1 rebuilds equals what was submitted, or the execution fails. So
        // both executions have the same public inputs, though the chain may move in between.
        let rehearsed = rehearse(&self.db, now, execute_all)?;
        let proofs: Vec<ProofToVerify> = rehearsed.into_iter().map(|(_, proof)| proof).collect();
        verify_proofs(key, &proofs)?;
        let executed = transact(&self.db, now, execute_all)?;
        Ok(executed.into_iter().map(|(batch, _)| batch).collect())
    }

    /// As [`Self::submit_batches`], in a transaction that is open.
    pub(crate) fn submit_in(
        &self,
        tx: &mut Tx<'_>,
        caller: Address,
        submissions: &[Submission],
    ) -> Result<Vec<FinalizedBatch>, L1Error> {
        let shape_id = one_shape(submissions)?;
        let (shape, key) = (&self.listed(shape_id)?.shape, self.usable_key(shape_id)?);
        let executed = self.execute_all(tx, caller, submissions, shape)?;
        let (batches, proofs): (Vec<_>, Vec<_>) = executed.into_iter().unzip();
        verify_proofs(key, &proofs)?;
        Ok(batches)
    }

    /// Executes batches of one shape; their proofs are still to be verified.
    fn execute_all(
        &self,
        tx: &mut Tx<'_>,
        caller: Address,
        submissions: &[Submission],
        shape: &Shape,
    ) -> Result<Vec<(FinalizedBatch, ProofToVerify)>, L1Error> {
        tx.check_right(caller, self.deployment.parameters())?;
        let each = submissions.iter().enumerate();
        each.map(|(position, submission)| {
            let executed = self.execute(tx, caller, submission, shape);
            executed.map_err(|error| error.at(position))
        })
        .collect()
    }

    /// Checks everything about a batch but its proof, and executes it in the transaction.
    fn execute(
        &self,
        tx: &mut Tx<'_>,
        caller: Address,
        submission: &Submission,
        shape: &Shape,
    ) -> Result<(FinalizedBatch, ProofToVerify), BatchError> {
        let Opened { words, c, proof } = submission.open(shape)?;
        let parameters = self.deployment.parameters();
        let words = rebuild(tx, self.domain, words, parameters.timestamp_slack)?;
        tx.check_turn(caller, words.header.timestamp, parameters)?;
        let inputs = public_inputs(&words, shape, c)?;
        let batch = FinalizedBatch {
            number: words.header.batch_number,
            height: tx.head.height,
            time: tx.head.time,
            submitter: caller,
            queue: tx.head.queue_head..tx.head.queue_head,
            submission: submission.clone(),
            words,
        };
        let batch = apply(tx, batch)?;
        let slots = (usize::from(shape.l1_ops), batch.words.l1_ops.len());
        tx.end_turn(caller, slots, parameters)?;
        Ok((batch, (inputs, proof)))
    }
}

/// Public inputs and the proof for them.
type ProofToVerify = ([Fr; PUBLIC_INPUTS], Proof);

fn one_shape(submissions: &[Submission]) -> Result<u16, Refusal> {
    let expected = submissions.first().ok_or(Refusal::NoBatch)?.shape_id;
    let ids = submissions.iter().map(|submission| submission.shape_id);
    match ids.enumerate().find(|(_, got)| *got != expected) {
        None => Ok(expected),
        Some((position, got)) => Err(Refusal::MixedShapes {
            position,
            expected,
            got,
        }),
    }
}

fn verify_proofs(key: &VerifyingKey, proofs: &[ProofToVerify]) -> Result<(), Refusal> {
    match proofs {
        [(inputs, proof)] => verify(key, inputs, proof)?,
        _ => verify_many(key, proofs)?,
    }
    Ok(())
}

/// The words of the next batch, with everything that L1 knows taken from L1.
fn rebuild(
    tx: &Tx<'_>,
    domain: Fr,
    claimed: PublicWords,
    slack: u64,
) -> Result<PublicWords, BatchError> {
    let PublicWords {
        header,
        l1_ops,
        transfers,
        withdrawals,
    } = claimed;
    let Header {
        domain: claimed_domain,
        old_root,
        new_root,
        shape_id,
        batch_number,
        timestamp,
        fee_indices,
    } = header;
    let head = &tx.head;
    let now = head.time;
    same_place(head, domain, claimed_domain, batch_number, old_root)?;
    let earliest = head.timestamp.max(now.saturating_sub(slack));
    if timestamp < earliest || timestamp > now {
        let fault = BatchFault::Timestamp {
            earliest,
            latest: now,
            got: timestamp,
        };
        return Err(fault.into());
    }
    Ok(PublicWords {
        header: Header {
            domain,
            old_root: head.root,
            new_root,
            shape_id,
            batch_number: head.next_batch,
            timestamp,
            fee_indices,
        },
        l1_ops: next_entries(tx, &l1_ops)?,
        transfers,
        withdrawals,
    })
}

fn same_place(
    head: &Head,
    domain: Fr,
    claimed_domain: Fr,
    batch_number: u64,
    old_root: Fr,
) -> Result<(), BatchFault> {
    if claimed_domain != domain {
        return Err(BatchFault::Domain {
            expected: to_hex(&domain),
            got: to_hex(&claimed_domain),
        });
    }
    if batch_number != head.next_batch {
        return Err(BatchFault::Number {
            expected: head.next_batch,
            got: batch_number,
        });
    }
    if old_root != head.root {
        return Err(BatchFault::OldRoot {
            expected: to_hex(&head.root),
            got: to_hex(&old_root),
        });
    }
    Ok(())
}

/// The next queue entries, as many as the batch has, with the amounts that it pays out.
fn next_entries(tx: &Tx<'_>, claimed: &[L1Entry]) -> Result<Vec<L1Entry>, BatchError> {
    let pending = tx.head.queue_tail - tx.head.queue_head;
    let got = claimed.len();
    if u64::try_from(got).map_or(true, |got| got > pending) {
        return Err(BatchFault::QueueTooShort { pending, got }.into());
    }
    let numbers = tx.head.queue_head..;
    let slots = numbers.zip(claimed).enumerate();
    slots
        .map(|(slot, (number, claimed))| {
            let op = queue::entry(&*tx.queue, number)?.op;
            if op != claimed.op {
                let entry = number;
                return Err(BatchFault::NotTheQueueEntry { slot, entry }.into());
            }
            let paid_out = claimed.paid_out;
            Ok(L1Entry { op, paid_out })
        })
        .collect()
}

/// Moves the root, consumes the queue, credits payouts and stores the batch.
fn apply(tx: &mut Tx<'_>, mut batch: FinalizedBatch) -> Result<FinalizedBatch, BatchError> {
    for entry in &batch.words.l1_ops {
        tx.consume(&entry.op)?;
        tx.pay(entry.op.index(), entry.paid_out)?;
    }
    for (slot, data) in batch.words.withdrawals.iter().enumerate() {
        if data.is_unused() {
            continue;
        }
        let amount = data.amount.value_u128();
        let amount = amount.ok_or(BatchFault::WithdrawalTooLarge { slot })?;
        let index = data.index;
        if registry::registration(&*tx.registry, index)?.is_none() {
            return Err(BatchFault::WithdrawalUnregistered { slot, index }.into());
        }
        tx.pay(index, amount)?;
    }
    batch.queue.end = tx.head.queue_head;
    tx.head.root = batch.words.header.new_root;
    tx.head.timestamp = batch.words.header.timestamp;
    tx.head.next_batch += 1;
    let record = batch.to_bytes();
    tx.batches.insert(batch.number, record.as_slice())?;
    Ok(batch)
}

impl Tx<'_> {
    /// Makes an amount claimable for the owner of an index, which is registered.
    fn pay(&mut self, index: u32, amount: u128) -> Result<(), BatchError> {
        let registered = registry::registration(&*self.registry, index)?;
        let Registration { owner, token } = registered.ok_or_else(|| StoreError::Missing {
            what: format!("the registration of account {index}"),
        })?;
        let credited = self.balances_to_claimable(&owner, token, amount)?;
        Ok(credited.map_err(|balances| BatchFault::PaysTooMuch {
            token,
            balances,
            amount,
        })?)
    }
}
