//! What the mirror of a contract needs besides single calls: a block with many calls, many blocks that
//! become durable together, and which tokens blocks moved.
//!
//! Invariant: of blocks that were begun together all are on disk or none; each has a record of the journal
//! of its own and can be undone by itself.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, Value, WriteTransaction};

use crate::batch::FinalizedBatch;
use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::genesis::Deployment;
use crate::head::Head;
use crate::journal::Block;
use crate::leave::{Cancelled, Exit};
use crate::native::NativeL1;
use crate::queue::{self, Deposit, QueueEntry, check_deposit};
use crate::registry::{Registration, registration};
use crate::store::{Snapshot, TOTALS_PLACE, Tx};
use crate::submission::Submission;

/// Blocks that become durable together. If this is dropped without [`Blocks::commit`], none is written.
pub struct Blocks<'l> {
    l1: &'l NativeL1,
    txn: WriteTransaction,
    /// Tokens by address, once one is added.
    tokens: Option<BTreeMap<Address, u32>>,
}

/// The calls of one block.
pub struct Calls<'b, 't> {
    l1: &'b NativeL1,
    tx: Tx<'t>,
    tokens: &'b mut Option<BTreeMap<Address, u32>>,
}

impl NativeL1 {
    /// Begins blocks that become durable together. Nothing else writes meanwhile, and readers see what was
    /// before.
    pub fn begin_blocks(&self) -> Result<Blocks<'_>, StoreError> {
        Ok(Blocks {
            l1: self,
            txn: self.db.begin_write()?,
            tokens: None,
        })
    }

    /// Tokens of which the blocks after a height moved money, or `None` if the journal does not reach back that far.
    pub fn tokens_moved_after(&self, height: u64) -> Result<Option<BTreeSet<u32>>, StoreError> {
        let snapshot = Snapshot::begin(&self.db)?;
        let (head, journal) = (snapshot.head()?.height, snapshot.journal()?);
        let oldest = journal
            .first()?
            .map_or(head + 1, |(oldest, _)| oldest.value());
        if height > head || oldest > height + 1 {
            return Ok(None);
        }
        let mut tokens = BTreeSet::new();
        for record in journal.range(height + 1..)? {
            let block = Block::from_bytes(record?.1.value())?;
            let totals = block.changes.into_iter();
            let totals = totals.filter(|(table, ..)| *table == TOTALS_PLACE);
            tokens.extend(totals.map(|(_, token, _)| <u32 as Value>::from_bytes(&token)));
        }
        Ok(Some(tokens))
    }

    /// Tokens of which money was ever moved.
    pub fn tokens_ever_moved(&self) -> Result<BTreeSet<u32>, StoreError> {
        let totals = Snapshot::begin(&self.db)?.totals()?;
        let tokens = totals.range::<u32>(..)?;
        tokens.map(|record| Ok(record?.0.value())).collect()
    }
}

impl Blocks<'_> {
    /// Makes the next block, at `now` by the system's clock. An error gives up all blocks that were begun
    /// together: only what was committed before is left.
    ///
    /// # Errors
    /// Those of the calls, or [`StoreError`].
    pub fn block<T, E: From<StoreError> + From<Refusal>>(
        mut self,
        now: u64,
        calls: impl FnOnce(&mut Calls<'_, '_>) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let result = {
            let mut block = Calls {
                l1: self.l1,
                tx: Tx::next::<E>(&self.txn, now)?,
                tokens: &mut self.tokens,
            };
            let result = calls(&mut block)?;
            block.tx.end_block()?;
            result
        };
        Ok((self, result))
    }

    /// Makes the blocks durable.
    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.txn.commit()?)
    }
}

/// Each call as that of the same name of [`NativeL1`], with its refusals.
impl<'b> Calls<'b, '_> {
    /// What the chain was made from.
    pub fn deployment(&self) -> &'b Deployment {
        self.l1.deployment()
    }

    /// Where the chain stands after the calls so far.
    pub fn head(&self) -> &Head {
        &self.tx.head
    }

    /// An entry of the queue.
    pub fn entry(&self, number: u64) -> Result<QueueEntry, StoreError> {
        queue::entry(&*self.tx.queue, number)
    }

    /// Owner and token of an account, if the index is assigned.
    pub fn registered(&self, index: u32) -> Result<Option<Registration>, StoreError> {
        registration(&*self.tx.registry, index)
    }

    /// A deposit; returns the number of its queue entry.
    pub fn deposit(&mut self, deposit: &Deposit) -> Result<u64, L1Error> {
        let on = self.l1.deployment();
        let tokens = self.tx.token_count(on)?;
        check_deposit(on.parameters(), tokens, deposit)?;
        let number = self.tx.head.queue_tail;
        self.tx.deposit(on, deposit)?;
        Ok(number)
    }

    /// A top-up; returns the number of its queue entry.
    pub fn top_up(&mut self, caller: Address, index: u32, amount: u128) -> Result<u64, L1Error> {
        let on = self.l1.deployment();
        let fee = on.parameters().l1_fee;
        self.tx.top_up(on, caller, index, amount, fee)
    }

    /// A request for an exit; returns the number of its queue entry.
    pub fn request_exit(&mut self, caller: Address, index: u32) -> Result<u64, L1Error> {
        let on = self.l1.deployment();
        let fee = on.parameters().l1_fee;
        self.tx.request_exit(on, caller, index, fee)
    }

    /// A new token; returns its id.
    pub fn add_token(&mut self, token: Address) -> Result<u32, L1Error> {
        let on = self.l1.deployment();
        if !on.is_on_chain() {
            return Err(Refusal::TokensFixed { token }.into());
        }
        if self.tokens.is_none() {
            *self.tokens = Some(self.tx.tokens_by_address(on)?);
        }
        let known = self.tokens.get_or_insert_default();
        if let Some(id) = known.get(&token) {
            let (id, address) = (usize::try_from(*id).expect("32 bits fit usize"), token);
            return Err(Refusal::TokenKnown { token: id, address }.into());
        }
        let id = u32::try_from(self.tx.token_count(on)?);
        let id = id.expect("a contract has less than 2^32 tokens");
        self.tx.tokens.insert(id, token.0.as_slice())?;
        known.insert(token, id);
        Ok(id)
    }

    /// A claim; returns what is paid.
    pub fn claim(&mut self, caller: Address, token: u32) -> Result<u128, L1Error> {
        self.tx.claim(&caller, token)
    }

    /// The collection of fees by the operator; returns what is paid.
    pub fn collect_fees(&mut self) -> u128 {
        std::mem::take(&mut self.tx.head.operator_fees)
    }

    pub fn return_operator(&mut self, caller: Address) -> Result<(), L1Error> {
        let takeover_after = self.l1.deployment().parameters().takeover_after;
        self.tx.return_operator(caller, takeover_after)
    }

    /// The offer of the operator role.
    pub fn offer_operator(&mut self, caller: Address, to: Option<Address>) -> Result<(), L1Error> {
        Ok(self.tx.offer_operator(caller, to)?)
    }

    /// The acceptance of the operator role; returns the fees that the operator before may claim.
    pub fn accept_operator(&mut self, caller: Address) -> Result<u128, L1Error> {
        self.tx.accept_operator(caller)
    }

    /// Batches, in the order of their numbers.
    pub fn submit_batches(
        &mut self,
        caller: Address,
        submissions: &[Submission],
    ) -> Result<Vec<FinalizedBatch>, L1Error> {
        self.l1.submit_in(&mut self.tx, caller, submissions)
    }

    pub fn freeze(&mut self) -> Result<(), L1Error> {
        let freeze_after = self.l1.deployment().parameters().freeze_after;
        self.tx.freeze(freeze_after)
    }

    /// An exit from a frozen chain; returns what becomes claimable.
    pub fn exit(&mut self, exit: &Exit) -> Result<u128, L1Error> {
        self.tx.exit(self.l1.deployment().depth(), exit)
    }

    /// A waiting deposit that is given back.
    pub fn cancel_deposit(&mut self, number: u64) -> Result<Cancelled, L1Error> {
        self.tx.cancel_deposit(number)
    }
}
