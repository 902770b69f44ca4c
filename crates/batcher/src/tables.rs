//! The tables of the database, and what one transaction writes to them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `domain`, `genesis`, `depth`, `head`, `next place`, `role`, `operator` |
//! | `accounts` | index | key 64, token 4, nonce 8, balance 16 |
//! | `nodes` | level·2^32 + group | the group's four nodes; the top seven levels are hashed at start |
//! | `pending` | place in order of arrival | received 8, signed operation 126 |
//! | `verdicts` | operation id | 1, received 8, batch number 8; or 2, received 8, the reason |
//! | `batches` | batch number | the sealed batch |
//! | `times` | batch number | when it was sealed, proven, finalized: 0 or 1 and 8 each |
//! | `witnesses` | batch number | its witness, until it is finalized |
//! | `proofs` | batch number | its proof |
//! | `undo` | batch number | what it takes to undo the batch |
//! | `returned` | order of sealing | a batch that was undone and is to be sealed again |

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ledger::account::Account;
use ledger::field::Fr;
use ledger::state::State;
use ledger::tree::Tree;
use redb::{TableDefinition, WriteTransaction};
use storage::Writer;

use crate::batch::SealedBatch;
use crate::operation::OperationId;
use crate::role::Role;
use crate::rows::{
    BatchTimes, Head, Identity, StoredOperation, StoredOutcome, account_to_bytes, group_to_bytes,
    identity_rows,
};
use crate::undo::{Returned, Undo};

/// Version of the tables and records. A row of `meta` that is new does not change it, if files without the
/// row keep their meaning; whatever is written otherwise than before does.
pub(crate) const FORMAT: u32 = 2;

pub(crate) type Bytes = &'static [u8];
pub(crate) const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
pub(crate) const ACCOUNTS: TableDefinition<'_, u32, Bytes> = TableDefinition::new("accounts");
pub(crate) const PENDING: TableDefinition<'_, u64, Bytes> = TableDefinition::new("pending");
pub(crate) const VERDICTS: TableDefinition<'_, &[u8; 32], Bytes> = TableDefinition::new("verdicts");
pub(crate) const BATCHES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("batches");
pub(crate) const WITNESSES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("witnesses");
pub(crate) const PROOFS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("proofs");
pub(crate) const NODES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("nodes");
pub(crate) const TIMES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("times");
pub(crate) const UNDO: TableDefinition<'_, u64, Bytes> = TableDefinition::new("undo");
pub(crate) const RETURNED: TableDefinition<'_, u64, Bytes> = TableDefinition::new("returned");

/// Name of the row of `meta` with the next operation's place.
pub(crate) const NEXT_PLACE: &str = "next place";
/// Name of the row of `meta` with the role, which older files of the same version lack.
pub(crate) const ROLE: &str = "role";
/// Name of the row of `meta` with the operator's address, where it is not the deployment's first; older
/// files lack it.
pub(crate) const OPERATOR: &str = "operator";

/// A sealed batch with what is written beside it.
pub(crate) struct NewBatch {
    pub(crate) batch: SealedBatch,
    pub(crate) witness: Vec<u8>,
    pub(crate) undo: Undo,
    /// Seconds since 1970.
    pub(crate) sealed: u64,
}

/// An operation that does not wait any more: its place, its id, and what became of it.
pub(crate) type NewOutcome = (u64, OperationId, StoredOutcome);

/// Everything that sealing one batch changes on disk, apart from accounts and nodes.
#[derive(Default)]
pub(crate) struct SealWrites {
    pub(crate) batch: Option<NewBatch>,
    pub(crate) outcomes: Vec<NewOutcome>,
    /// Key of the returned batch that this was made of.
    pub(crate) returned: Option<u64>,
}

/// A batch that L1 has finalized and that was not sealed here, with what is written beside it.
pub(crate) struct FinalizedWrites {
    pub(crate) batch: SealedBatch,
    pub(crate) proof: Vec<u8>,
    /// When L1 accepted it, in seconds since 1970.
    pub(crate) time: u64,
    pub(crate) undo: Undo,
    pub(crate) outcomes: Vec<NewOutcome>,
}

/// Accounts and nodes as they are after a change; `None` is gone.
#[derive(Default)]
pub(crate) struct Changes {
    accounts: Vec<(u32, Option<Account>)>,
    nodes: Vec<(u64, Option<[Fr; 4]>)>,
}

/// Everything that undoing batches changes on disk.
pub(crate) struct ReopenWrites {
    pub(crate) batches: RangeInclusive<u64>,
    pub(crate) changes: Changes,
    /// Operations that wait again.
    pub(crate) operations: Vec<(OperationId, StoredOperation)>,
    pub(crate) returned: Vec<(u64, Returned)>,
    pub(crate) head: Head,
}

impl Changes {
    /// The accounts at these indices and the nodes over them, as the state has them.
    pub(crate) fn of(state: &State, touched: &BTreeSet<u32>) -> Self {
        let accounts = touched
            .iter()
            .map(|index| (*index, state.account(*index).copied()))
            .collect();
        let mut nodes = Vec::new();
        let mut groups: BTreeSet<u32> = touched.iter().map(|index| index >> 2).collect();
        for level in 0..=Tree::first_hashed_level(state.depth()) {
            for group in &groups {
                let stored = state.tree().stored_group(level, *group);
                nodes.push((node_key(level, *group), stored.copied()));
            }
            groups = groups.iter().map(|group| group >> 2).collect();
        }
        Self { accounts, nodes }
    }

    pub(crate) fn write(&self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        let mut accounts = tx.open_table(ACCOUNTS)?;
        for (index, account) in &self.accounts {
            match account {
                Some(account) => accounts.insert(index, account_to_bytes(account).as_slice())?,
                None => accounts.remove(index)?,
            };
        }
        let mut nodes = tx.open_table(NODES)?;
        for (key, group) in &self.nodes {
            match group {
                Some(group) => nodes.insert(key, group_to_bytes(group).as_slice())?,
                None => nodes.remove(key)?,
            };
        }
        Ok(())
    }
}

pub(crate) fn node_key(level: u8, group: u32) -> u64 {
    (u64::from(level) << 32) | u64::from(group)
}

pub(crate) fn put_meta(tx: &WriteTransaction, name: &str, bytes: &[u8]) -> Result<(), redb::Error> {
    tx.open_table(META)?.insert(name, bytes)?;
    Ok(())
}

pub(crate) fn put_head(tx: &WriteTransaction, head: &Head) -> Result<(), redb::Error> {
    put_meta(tx, "head", &head.to_bytes())
}

pub(crate) fn put_times(
    tx: &WriteTransaction,
    number: u64,
    times: BatchTimes,
) -> Result<(), redb::Error> {
    tx.open_table(TIMES)?
        .insert(number, times.to_bytes().as_slice())?;
    Ok(())
}

pub(crate) fn put_outcomes(
    tx: &WriteTransaction,
    outcomes: &[NewOutcome],
) -> Result<(), redb::Error> {
    let mut pending = tx.open_table(PENDING)?;
    let mut verdicts = tx.open_table(VERDICTS)?;
    for (place, id, outcome) in outcomes {
        pending.remove(place)?;
        verdicts.insert(&id.0, outcome.to_bytes().as_slice())?;
    }
    Ok(())
}

pub(crate) fn put_pending<'a>(
    tx: &WriteTransaction,
    operations: impl IntoIterator<Item = &'a StoredOperation>,
) -> Result<(), redb::Error> {
    let mut table = tx.open_table(PENDING)?;
    for operation in operations {
        let mut out = Writer::default();
        operation.write(&mut out);
        table.insert(operation.place, out.finish().as_slice())?;
    }
    Ok(())
}

/// Drops what it takes to undo the batch that leaves the window of `kept` finalized ones.
pub(crate) fn forget_undo(
    tx: &WriteTransaction,
    finalized: u64,
    kept: u64,
) -> Result<(), redb::Error> {
    if let Some(old) = finalized.checked_sub(kept) {
        tx.open_table(UNDO)?.remove(old)?;
    }
    Ok(())
}

pub(crate) fn put_finalized(
    tx: &WriteTransaction,
    writes: &FinalizedWrites,
    kept: u64,
) -> Result<(), redb::Error> {
    let FinalizedWrites {
        batch,
        proof,
        time,
        undo,
        outcomes,
    } = writes;
    let (number, record) = (batch.number(), batch.to_record());
    let times = BatchTimes {
        finalized: Some(*time),
        ..BatchTimes::default()
    };
    put_outcomes(tx, outcomes)?;
    tx.open_table(BATCHES)?.insert(number, record.as_slice())?;
    tx.open_table(PROOFS)?.insert(number, proof.as_slice())?;
    tx.open_table(UNDO)?
        .insert(number, undo.to_record().as_slice())?;
    forget_undo(tx, number, kept)?;
    put_times(tx, number, times)
}

pub(crate) fn add_batch(tx: &WriteTransaction, new: &NewBatch) -> Result<(), redb::Error> {
    let number = new.batch.number();
    let times = BatchTimes {
        sealed: Some(new.sealed),
        ..BatchTimes::default()
    };
    tx.open_table(BATCHES)?
        .insert(number, new.batch.to_record().as_slice())?;
    tx.open_table(WITNESSES)?
        .insert(number, new.witness.as_slice())?;
    tx.open_table(UNDO)?
        .insert(number, new.undo.to_record().as_slice())?;
    put_times(tx, number, times)
}

pub(crate) fn store_state(
    tx: &WriteTransaction,
    identity: &Identity,
    state: &State,
    head: &Head,
) -> Result<(), redb::Error> {
    put_meta(tx, "format", &FORMAT.to_be_bytes())?;
    put_meta(tx, NEXT_PLACE, &0u64.to_be_bytes())?;
    put_meta(tx, ROLE, &[Role::Operator.to_byte()])?;
    for (name, bytes) in identity_rows(identity) {
        put_meta(tx, name, &bytes)?;
    }
    let mut table = tx.open_table(ACCOUNTS)?;
    for (index, account) in state.accounts() {
        table.insert(index, account_to_bytes(account).as_slice())?;
    }
    drop(table);
    let mut table = tx.open_table(NODES)?;
    for level in 0..=Tree::first_hashed_level(state.depth()) {
        for (group, nodes) in state.tree().stored_groups(level) {
            let bytes = group_to_bytes(nodes);
            table.insert(node_key(level, group), bytes.as_slice())?;
        }
    }
    drop(table);
    for table in [BATCHES, TIMES, WITNESSES, PROOFS, PENDING, UNDO, RETURNED] {
        tx.open_table(table).map(drop)?;
    }
    tx.open_table(VERDICTS).map(drop)?;
    put_head(tx, head)
}
