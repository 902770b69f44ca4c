//! Whether the records of the chain agree with each other: when it is opened, and in an audit.
//!
//! The database's own checksums find damage; these checks find a file that is whole but says two
//! things. Invariant: a chain that opened has a head that follows from its records.

use std::collections::{BTreeMap, BTreeSet};

use ledger::field::to_hex;
use redb::{ReadableTable, ReadableTableMetadata};

use crate::batch::FinalizedBatch;
use crate::error::StoreError;
use crate::escrow::{self, TokenTotals};
use crate::genesis::Deployment;
use crate::head::Head;
use crate::journal::{Block, REORG_WINDOW};
use crate::queue::{self, QueueEntry};
use crate::registry::Registration;
use crate::store::{Snapshot, TIME_LIMIT};

/// All checks of an opened chain.
pub(crate) fn check_chain(snapshot: &Snapshot, deployment: &Deployment) -> Result<(), StoreError> {
    let head = snapshot.head()?;
    check_counts(snapshot, deployment, &head)?;
    check_head(snapshot, deployment, &head)?;
    check_blocks(snapshot, &head)?;
    check_operator(&head)?;
    check_departures(snapshot, deployment, &head)?;
    check_waiting(snapshot, &head)
}

/// The head agrees with the numbers of records.
fn check_counts(
    snapshot: &Snapshot,
    deployment: &Deployment,
    head: &Head,
) -> Result<(), StoreError> {
    let least = u64::from(deployment.accounts().count) + 1;
    let most = ledger::shape::leaves(deployment.depth());
    if !(least..=most).contains(&head.next_index) || head.next_batch == 0 {
        return Err(StoreError::Inconsistent {
            what: "the next index".to_owned(),
            expected: format!("{least} to {most}"),
            got: head.next_index.to_string(),
        });
    }
    let (accounts, entries) = (snapshot.registry()?.len()?, snapshot.queue()?.len()?);
    let batches = snapshot.batches()?.len()?;
    agree("the number of accounts", &(head.next_index - 1), &accounts)?;
    agree("the number of queue entries", &head.queue_tail, &entries)?;
    agree("the number of batches", &(head.next_batch - 1), &batches)
}

/// The head agrees with the last batch.
fn check_head(snapshot: &Snapshot, deployment: &Deployment, head: &Head) -> Result<(), StoreError> {
    let number = head.next_batch - 1;
    let Some(record) = snapshot.batches()?.get(number)? else {
        agree("the timestamp", &0, &head.timestamp)?;
        return agree("the queue's head", &0, &head.queue_head);
    };
    let last = FinalizedBatch::from_bytes(number, record.value(), deployment)?;
    let header = &last.words.header;
    agree("the root", &to_hex(&header.new_root), &to_hex(&head.root))?;
    agree("the timestamp", &header.timestamp, &head.timestamp)?;
    agree("the queue's head", &last.queue.end, &head.queue_head)?;
    not_after("the last batch", last.height, last.time, head)
}

/// Height and time agree with the last entry, the journal and the clock.
fn check_blocks(snapshot: &Snapshot, head: &Head) -> Result<(), StoreError> {
    if let Some(number) = head.queue_tail.checked_sub(1) {
        let QueueEntry { height, time, .. } = queue::entry(&snapshot.queue()?, number)?;
        not_after("the last queue entry", height, time, head)?;
    }
    if snapshot.clock()? >= TIME_LIMIT {
        return Err(StoreError::Inconsistent {
            what: "the clock's offset".to_owned(),
            expected: format!("below {TIME_LIMIT}"),
            got: snapshot.clock()?.to_string(),
        });
    }
    let journal = snapshot.journal()?;
    let (first, last) = (journal.first()?, journal.last()?);
    let (Some((first, _)), Some((last, record))) = (first, last) else {
        return Ok(());
    };
    let blocks = journal.len()?;
    agree("the journal's last block", &head.height, &last.value())?;
    let older = head.height.saturating_sub(first.value());
    let contiguous = older.saturating_add(1);
    agree("the number of blocks in the journal", &contiguous, &blocks)?;
    let before = Block::from_bytes(record.value())?.head.height;
    agree(
        "the height before the last block",
        &head.height.saturating_sub(1),
        &before,
    )?;
    if blocks > REORG_WINDOW {
        return Err(StoreError::Inconsistent {
            what: "the number of blocks in the journal".to_owned(),
            expected: format!("at most {REORG_WINDOW}"),
            got: blocks.to_string(),
        });
    }
    Ok(())
}

/// A rollup that was taken over has a batch, and the operator's last return is not in the future.
fn check_operator(head: &Head) -> Result<(), StoreError> {
    if head.taken_over && head.next_batch == 1 {
        return agree(
            "whether somebody took over before the first batch",
            &false,
            &true,
        );
    }
    if head.operator_back_at <= head.time {
        return Ok(());
    }
    Err(StoreError::Inconsistent {
        what: "the operator's last return".to_owned(),
        expected: format!("at most {}", head.time),
        got: head.operator_back_at.to_string(),
    })
}

/// A record's block is not after the head.
fn not_after(of: &str, height: u64, time: u64, head: &Head) -> Result<(), StoreError> {
    if height <= head.height && time <= head.time {
        return Ok(());
    }
    Err(StoreError::Inconsistent {
        what: format!("block and time of {of}"),
        expected: format!("at most {} and {}", head.height, head.time),
        got: format!("{height} and {time}"),
    })
}

/// The oldest entry of a frozen chain waits and is overdue. A chain that is not frozen has no exits by
/// proof and no cancelled deposits.
fn check_departures(
    snapshot: &Snapshot,
    deployment: &Deployment,
    head: &Head,
) -> Result<(), StoreError> {
    if head.frozen {
        let since = queue::entry(&snapshot.queue()?, head.queue_head)?.time;
        let waited = head.time.saturating_sub(since);
        let overdue = waited > deployment.parameters().freeze_after;
        return agree(
            "whether the queue of a frozen chain was overdue",
            &true,
            &overdue,
        );
    }
    let (exited, cancelled) = (snapshot.exited()?.len()?, snapshot.cancelled()?.len()?);
    agree("the number of exits", &0, &exited)?;
    agree("the number of cancelled deposits", &0, &cancelled)
}

/// The head and the pending exits agree with the entries that wait.
fn check_waiting(snapshot: &Snapshot, head: &Head) -> Result<(), StoreError> {
    let (mut funded, mut exits) = (0, 0);
    let pending_exits = snapshot.pending_exits()?;
    for entry in waiting(snapshot, head)? {
        let QueueEntry { number, op, .. } = entry?;
        if queue::is_funded(&op) {
            funded += 1;
            continue;
        }
        exits += 1;
        let noted = pending_exits.get(op.index())?.map(|noted| noted.value());
        let what = format!("the pending exit of account {}", op.index());
        agree(&what, &number, &noted.unwrap_or(u64::MAX))?;
    }
    agree("the pending deposits", &funded, &head.pending_deposits)?;
    agree("the number of pending exits", &exits, &pending_exits.len()?)
}

/// The entries between head and tail that are not cancelled.
fn waiting(
    snapshot: &Snapshot,
    head: &Head,
) -> Result<impl Iterator<Item = Result<QueueEntry, StoreError>>, StoreError> {
    let (table, cancelled) = (snapshot.queue()?, snapshot.cancelled()?);
    let numbers = head.queue_head..head.queue_tail;
    Ok(
        numbers.filter_map(move |number| match cancelled.get(number) {
            Ok(None) => Some(queue::entry(&table, number)),
            Ok(Some(_)) => None,
            Err(error) => Some(Err(error.into())),
        }),
    )
}

/// Escrow, claimable and pending of every token, compared with the claims and with the entries
/// that wait.
pub(crate) fn audit(snapshot: &Snapshot) -> Result<BTreeMap<u32, TokenTotals>, StoreError> {
    let mut sums = claims_and_queue(snapshot)?;
    let mut totals = BTreeMap::new();
    let table = snapshot.totals()?;
    for record in table.range::<u32>(..)? {
        let token = record?.0.value();
        let kept = escrow::totals(&table, token)?;
        let sum = sums.remove(&token).unwrap_or_default();
        same_totals(token, &sum, &kept)?;
        totals.insert(token, kept);
    }
    for (token, sum) in sums {
        same_totals(token, &sum, &TokenTotals::default())?;
    }
    Ok(totals)
}

/// The first deposited account of each owner in each token is what the registry says.
pub(crate) fn audit_deposited(
    snapshot: &Snapshot,
    deployment: &Deployment,
) -> Result<(), StoreError> {
    let (registry, kept) = (snapshot.registry()?, snapshot.deposited()?);
    let mut seen = BTreeSet::new();
    for record in registry.range(deployment.accounts().count + 1..)? {
        let (index, record) = record?;
        let Registration { owner, token } = Registration::from_bytes(record.value())?;
        if seen.insert((owner, token)) {
            let noted = kept.get((&owner.0, token))?.map(|noted| noted.value());
            let what = format!("the first account of {owner} in token {token}");
            agree(&what, &index.value(), &noted.unwrap_or(0))?;
        }
    }
    let (owners, noted) = (seen.len() as u64, kept.len()?);
    agree("the number of owners and tokens", &owners, &noted)
}

/// For each token the sum of all claims and of the entries that wait; escrow is left 0.
fn claims_and_queue(snapshot: &Snapshot) -> Result<BTreeMap<u32, TokenTotals>, StoreError> {
    let mut sums: BTreeMap<u32, TokenTotals> = BTreeMap::new();
    for record in snapshot.claimable()?.range::<(&[u8; 20], u32)>(..)? {
        let (key, amount) = record?;
        let sum = &mut sums.entry(key.value().1).or_default().claimable;
        *sum = sum.saturating_add(amount.value());
    }
    for entry in waiting(snapshot, &snapshot.head()?)? {
        let op = entry?.op;
        let sum = &mut sums.entry(op.token()).or_default().pending;
        *sum = sum.saturating_add(op.amount());
    }
    Ok(sums)
}

fn same_totals(token: u32, sum: &TokenTotals, kept: &TokenTotals) -> Result<(), StoreError> {
    let what = |name| format!("the {name} total of token {token}");
    agree(&what("claimable"), &sum.claimable, &kept.claimable)?;
    agree(&what("pending"), &sum.pending, &kept.pending)
}

/// Two records say the same.
pub(crate) fn agree<T: PartialEq + ToString>(
    what: &str,
    expected: &T,
    got: &T,
) -> Result<(), StoreError> {
    if expected == got {
        return Ok(());
    }
    Err(StoreError::Inconsistent {
        what: what.to_owned(),
        expected: expected.to_string(),
        got: got.to_string(),
    })
}
