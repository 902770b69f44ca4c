//! Operations that were acknowledged and are not executed yet.
//!
//! Every account's operations stand in nonce order; the one with the account's next nonce is
//! ready unless it expired, later ones wait, gaps included, up to a bounded distance. Invariants:
//! one operation per account and nonce, and the one that was acknowledged first stays unless its
//! signer replaces it (`Mempool::room_for`); what is held has a good signature or is marked as still to be checked; places are
//! given in order of arrival and never change; an operation that expired by some clock is set aside
//! and comes back if the clock was wrong. What survives a restart is left to `store`, execution to
//! `fill`.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use ledger::account::Account;
use ledger::babyjubjub::Point;
use ledger::field::Fr;
use ledger::float::Float16;
use ledger::operation::{Fields, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::reject::Reject;
use ledger::shape::leaves;
use ledger::transition::{Operation, State};
use rayon::prelude::*;
use thiserror::Error;

use crate::operation::{OperationId, SignedOperation};
use crate::rows::{Outcome, StoredOperation, StoredOutcome};
use crate::tables::NewOutcome;

/// How much is held. What is held already stays when a limit is lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations in all.
    pub operations: usize,
    /// Operations of one sender.
    pub per_account: usize,
    /// How far a nonce may be ahead of the account's: below `next nonce + look_ahead`.
    pub look_ahead: u64,
}

impl Default for Limits {
    /// 262,144 operations in all, 4,096 of one sender.
    fn default() -> Self {
        Self {
            operations: 1 << 18,
            per_account: 1 << 12,
            look_ahead: 1 << 12,
        }
    }
}

/// Why an operation was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The operation is bad and stays so for this state.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// Another operation of the account has the nonce, and this one pays too little to replace it.
    #[error(
        "nonce {nonce} of account {index} is taken by operation {by}, which waits: {}",
        replaced_for(*least_fee)
    )]
    NonceTaken {
        index: u32,
        nonce: u64,
        /// The operation that has it.
        by: OperationId,
        /// The least fee of an operation that replaces it, if fees are taken in its token.
        least_fee: Option<u128>,
    },
    /// The nonce is too far ahead of the account's.
    #[error("nonce {nonce} of account {index} is {look_ahead} or more ahead of {next}")]
    NonceTooFarAhead {
        index: u32,
        /// The operation's nonce.
        nonce: u64,
        /// The account's next nonce.
        next: u64,
        /// The bound.
        look_ahead: u64,
    },
    /// The sender has too many operations waiting: try again later.
    #[error("account {index} has {limit} operations waiting, which is the limit")]
    AccountFull { index: u32, limit: usize },
    /// Too many operations wait: try again later.
    #[error("{limit} operations wait, which is the limit")]
    Full { limit: usize },
    /// There is nobody to pay a fee in this token to.
    #[error(
        "fees are not taken in token {token}, of which the operator has no account: sign a fee of 0, or ask the operator to make one by a deposit of its own"
    )]
    FeeTokenNotTaken { token: u32 },
    /// No shape of the deployment has slots for operations of this kind.
    #[error("no shape of the deployment has slots for operations of kind {kind}")]
    KindNotTaken {
        /// Kind as signed: 1 transfer, 2 withdrawal.
        kind: u8,
    },
    /// Nobody else would see the operation.
    #[error(
        "this database is a mirror and acknowledges nothing: hand the operation to the operator"
    )]
    Mirror,
}

/// How an operation that waits is replaced.
fn replaced_for(least_fee: Option<u128>) -> String {
    match least_fee {
        Some(least) => format!("to replace it, sign a fee of at least {least} units"),
        None => "to cancel it, sign a transfer of 0 to the account itself".to_owned(),
    }
}

/// What room for an operation depends on besides the mempool.
pub(crate) struct Room<'a> {
    /// The account's next nonce.
    pub(crate) next: u64,
    pub(crate) now: u64,
    /// Whether fees are taken in a token.
    pub(crate) takes_fees: &'a dyn Fn(u32) -> bool,
}

/// What intake looks at besides the mempool.
pub(crate) struct Surroundings<'a> {
    pub(crate) state: &'a State,
    pub(crate) domain: &'a Fr,
    pub(crate) fee_accounts: &'a BTreeMap<u32, u32>,
    /// Kinds for which some shape has slots.
    pub(crate) kinds: &'a BTreeSet<u8>,
    pub(crate) now: u64,
}

/// An operation that passed every check that does not depend on its neighbours.
pub(crate) enum Screened {
    /// Held already, or executed.
    Known(OperationId),
    /// The nonce is used, by this very operation or by another.
    Used(OperationId, Reject),
    /// New, with a good signature.
    New(OperationId, Operation),
}

/// An operation as held.
#[derive(Clone, Copy)]
enum Held {
    /// The signature verified.
    Verified(Operation),
    /// Read back from disk, not verified since.
    Stored(SignedOperation),
}

/// One operation that waits.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: OperationId,
    pub(crate) fields: Fields,
    /// Seconds since 1970.
    pub(crate) received: u64,
    held: Held,
}

impl Entry {
    pub(crate) fn verified(id: OperationId, operation: Operation, received: u64) -> Self {
        Self {
            id,
            fields: fields(&operation),
            received,
            held: Held::Verified(operation),
        }
    }

    pub(crate) fn stored(id: OperationId, signed: SignedOperation, received: u64) -> Self {
        Self {
            id,
            fields: signed.fields(),
            received,
            held: Held::Stored(signed),
        }
    }

    /// The operation with its signature.
    pub(crate) fn signed(&self) -> SignedOperation {
        match &self.held {
            Held::Verified(operation) => signed(operation),
            Held::Stored(signed) => *signed,
        }
    }

    pub(crate) fn is_withdrawal(&self) -> bool {
        self.fields.kind == Withdraw::KIND
    }

    /// The account that pays, if the operation is a withdrawal.
    pub(crate) fn withdrawn_from(&self) -> Option<u32> {
        self.is_withdrawal().then_some(self.fields.from)
    }

    /// The operation with a signature that verified under the sender's key; `sender` is its account,
    /// which may be of another key by the time that it executes.
    pub(crate) fn authorized(
        &self,
        sender: Option<&Account>,
        domain: &Fr,
    ) -> Result<Operation, Reject> {
        match &self.held {
            Held::Verified(operation) => Ok(*operation),
            Held::Stored(signed) => {
                let index = self.fields.from;
                let sender = sender.ok_or(Reject::SenderExists { index })?;
                signed.verify(&sender.key, domain)
            }
        }
    }
}

fn fields(operation: &Operation) -> Fields {
    match operation {
        Operation::Transfer(transfer) => transfer.op().fields(),
        Operation::Withdraw(withdraw) => withdraw.op().fields(),
        Operation::L1(_) => unreachable!("L1 operations have no signature and are never held"),
    }
}

fn signed(operation: &Operation) -> SignedOperation {
    match operation {
        Operation::Transfer(transfer) => (*transfer.signed()).into(),
        Operation::Withdraw(withdraw) => (*withdraw.signed()).into(),
        Operation::L1(_) => unreachable!("L1 operations have no signature and are never held"),
    }
}

/// Transfers and withdrawals that are ready, counted as far as anybody needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Transfers that can follow one another in one batch.
    pub transfers: usize,
    /// Withdrawals that can follow them.
    pub withdrawals: usize,
}

/// The operations that wait.
pub struct Mempool {
    limits: Limits,
    /// By place: the order of arrival.
    entries: BTreeMap<u64, Entry>,
    places: BTreeMap<OperationId, u64>,
    /// Sender → nonce → place.
    accounts: BTreeMap<u32, BTreeMap<u64, u64>>,
    /// Places of operations whose nonce is the account's and that have not expired at `time`.
    ready: BTreeSet<u64>,
    /// `valid_until` and place of operations that expire.
    expiring: BTreeSet<(u64, u64)>,
    /// Places of operations whose signature is still to be checked.
    unverified: BTreeSet<u64>,
    withdrawals: usize,
    next_place: u64,
    /// The time at which expiry is judged.
    time: u64,
}

impl Mempool {
    /// Nothing waits; the next operation to arrive gets the place `next_place`.
    pub(crate) fn new(limits: Limits, next_place: u64) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            places: BTreeMap::new(),
            accounts: BTreeMap::new(),
            ready: BTreeSet::new(),
            expiring: BTreeSet::new(),
            unverified: BTreeSet::new(),
            withdrawals: 0,
            next_place,
            time: 0,
        }
    }

    /// Operations that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True if the operation waits.
    pub fn contains(&self, id: &OperationId) -> bool {
        self.places.contains_key(id)
    }

    /// The nonce that the sender's next operation should have: after the account's `next` nonce
    /// and everything that waits without a gap.
    pub fn next_nonce(&self, index: u32, next: u64) -> u64 {
        let waiting = self.accounts.get(&index);
        let gap = |nonce: &u64| !waiting.is_some_and(|nonces| nonces.contains_key(nonce));
        (next..).find(gap).unwrap_or(next)
    }

    /// Operations behind a nonce that none has, `next` being the nonce of each account.
    pub(crate) fn stranded(&self, next: impl Fn(u32) -> u64) -> usize {
        let of = |(index, nonces): (&u32, &BTreeMap<u64, u64>)| {
            let free = self.next_nonce(*index, next(*index));
            nonces.range(free..).count()
        };
        self.accounts.iter().map(of).sum()
    }

    /// Checks an operation alone, its signature last. Pure, so that many are checked side by side.
    pub(crate) fn screen(
        &self,
        signed: &SignedOperation,
        around: &Surroundings<'_>,
    ) -> Result<Screened, Refusal> {
        let fields = signed.fields();
        let id = signed.id(around.domain);
        if self.contains(&id) {
            return Ok(Screened::Known(id));
        }
        let index = fields.from;
        let account = around.state.account(index);
        let account = account.ok_or(Reject::SenderExists { index })?;
        if fields.nonce < account.nonce {
            let (expected, got) = (account.nonce, fields.nonce);
            let reject = Reject::NonceIsNext {
                index,
                expected,
                got,
            };
            return Ok(Screened::Used(id, reject));
        }
        well_placed(&fields, account.token, around)?;
        let room = Room {
            next: account.nonce,
            now: around.now,
            takes_fees: &|token| around.fee_accounts.contains_key(&token),
        };
        self.room_for(&fields, &room)?;
        let operation = signed.verify(&account.key, around.domain)?;
        Ok(Screened::New(id, operation))
    }

    /// The checks that depend on what else waits, and the place of the operation that is replaced.
    ///
    /// As wallets know it: a signer replaces an operation by one of the same nonce whose fee is higher
    /// by a tenth at least. One that expired is replaced by any. Where no fee is taken, a transfer of
    /// nothing to the account itself replaces whatever is not one.
    pub(crate) fn room_for(
        &self,
        fields: &Fields,
        room: &Room<'_>,
    ) -> Result<Option<u64>, Refusal> {
        let Fields {
            from: index, nonce, ..
        } = *fields;
        let Room { next, now, .. } = *room;
        let waiting = self.accounts.get(&index);
        if let Some(place) = waiting.and_then(|nonces| nonces.get(&nonce)) {
            let Entry {
                id: by,
                fields: waits,
                ..
            } = self.entries[place];
            let least_fee = (room.takes_fees)(waits.token).then(|| least_fee(&waits));
            let replaces = match &least_fee {
                Some(least) => fee_of(fields) >= *least,
                None => is_cancel(fields) && !is_cancel(&waits),
            };
            if waits.valid_until < now || replaces {
                return Ok(Some(*place));
            }
            return Err(Refusal::NonceTaken {
                index,
                nonce,
                by,
                least_fee,
            });
        }
        let look_ahead = self.limits.look_ahead;
        if nonce.saturating_sub(next) >= look_ahead {
            return Err(Refusal::NonceTooFarAhead {
                index,
                nonce,
                next,
                look_ahead,
            });
        }
        if waiting.map_or(0, BTreeMap::len) >= self.limits.per_account {
            let limit = self.limits.per_account;
            return Err(Refusal::AccountFull { index, limit });
        }
        if self.entries.len() >= self.limits.operations {
            let limit = self.limits.operations;
            return Err(Refusal::Full { limit });
        }
        Ok(None)
    }

    /// All that wait, in order of arrival: id, operation, and when it was received.
    pub fn iter(&self) -> impl Iterator<Item = (OperationId, SignedOperation, u64)> + '_ {
        let entries = self.entries.values();
        entries.map(|entry| (entry.id, entry.signed(), entry.received))
    }

    /// Adds an operation whose account has the nonce `next`, at the next place.
    pub(crate) fn insert(&mut self, entry: Entry, next: u64) -> u64 {
        let place = self.next_place;
        self.insert_at(place, entry, Some(next));
        place
    }

    /// Where the next operation to arrive is placed.
    pub(crate) fn next_place(&self) -> u64 {
        self.next_place
    }

    /// Adds an operation at a place that is free. Its account has the nonce `next`, or is `None`
    /// as long as it does not exist again after batches were undone.
    pub(crate) fn insert_at(&mut self, place: u64, entry: Entry, next: Option<u64>) {
        self.next_place = self.next_place.max(place + 1);
        let Fields {
            from,
            nonce,
            valid_until,
            ..
        } = entry.fields;
        self.places.insert(entry.id, place);
        self.accounts.entry(from).or_default().insert(nonce, place);
        if Some(nonce) == next && valid_until >= self.time {
            self.ready.insert(place);
        }
        if valid_until != NO_EXPIRY {
            self.expiring.insert((valid_until, place));
        }
        if matches!(entry.held, Held::Stored(_)) {
            self.unverified.insert(place);
        }
        self.withdrawals += usize::from(entry.is_withdrawal());
        self.entries.insert(place, entry);
    }

    /// Takes an operation out. The one after it does not become ready by that: see
    /// [`Self::advance`].
    pub(crate) fn remove(&mut self, place: u64) -> Option<Entry> {
        let entry = self.entries.remove(&place)?;
        let Fields {
            from,
            nonce,
            valid_until,
            ..
        } = entry.fields;
        self.places.remove(&entry.id);
        if let Some(nonces) = self.accounts.get_mut(&from) {
            nonces.remove(&nonce);
            if nonces.is_empty() {
                self.accounts.remove(&from);
            }
        }
        self.ready.remove(&place);
        self.expiring.remove(&(valid_until, place));
        self.unverified.remove(&place);
        self.withdrawals -= usize::from(entry.is_withdrawal());
        Some(entry)
    }

    /// The account's nonce has become `next`: the operation that has it is ready unless it expired.
    pub(crate) fn advance(&mut self, index: u32, next: u64) {
        if let Some(place) = self.place_of(index, next)
            && !self.is_expired(place)
        {
            self.ready.insert(place);
        }
    }

    /// True if the operation at a place expired before the time at which expiry is judged.
    fn is_expired(&self, place: u64) -> bool {
        self.entries[&place].fields.valid_until < self.time
    }

    /// Judges expiry at `time`: operations that expired before it are not ready, and those that a
    /// clock which was ahead had made expire are ready again. Nothing is dropped.
    pub(crate) fn judge_expiry_at(&mut self, time: u64, state: &State) {
        let changed = self.time.min(time)..self.time.max(time);
        let changed = self.expiring.range((changed.start, 0)..(changed.end, 0));
        let places: Vec<u64> = changed.map(|(_, place)| *place).collect();
        self.time = time;
        for place in places {
            let Fields { from, nonce, .. } = self.entries[&place].fields;
            let is_next = state
                .account(from)
                .is_some_and(|account| account.nonce == nonce);
            match is_next && !self.is_expired(place) {
                true => self.ready.insert(place),
                false => self.ready.remove(&place),
            };
        }
    }

    /// The place of the sender's operation with this nonce.
    pub(crate) fn place_of(&self, index: u32, nonce: u64) -> Option<u64> {
        self.accounts.get(&index)?.get(&nonce).copied()
    }

    /// Places of operations of accounts that do not exist, with the reason to drop them.
    pub(crate) fn without_account(&self, state: &State) -> Vec<(u64, Reject)> {
        let missing = |index: &u32| state.account(*index).is_none();
        let accounts = self.accounts.iter().filter(|(index, _)| missing(index));
        let of_account = |(index, nonces): (&u32, &BTreeMap<u64, u64>)| {
            let reject = Reject::SenderExists { index: *index };
            let places = nonces.values().copied();
            places
                .map(move |place| (place, reject.clone()))
                .collect::<Vec<_>>()
        };
        accounts.flat_map(of_account).collect()
    }

    /// Places of the sender's operations that its key did not sign, with the reason to drop them.
    pub(crate) fn not_signed_by(&self, index: u32, key: &Point, domain: &Fr) -> Vec<(u64, Reject)> {
        let places: Vec<u64> = match self.accounts.get(&index) {
            Some(nonces) => nonces.values().copied().collect(),
            None => return Vec::new(),
        };
        // Why not the entry's own verification: it may be of the account's former key.
        let refused = |place: &u64| {
            let signed = self.entries[place].signed();
            let reject = signed.verify(key, domain).err()?;
            Some((*place, reject))
        };
        places.par_iter().filter_map(refused).collect()
    }

    /// The same operations, and others at places that are free, over another state. Those of
    /// accounts that do not exist are not ready. Expiry is to be judged anew.
    pub(crate) fn moved(
        self,
        others: impl IntoIterator<Item = (u64, Entry)>,
        state: &State,
    ) -> Self {
        let mut pool = Self::new(self.limits, self.next_place);
        for (place, entry) in self.entries.into_iter().chain(others) {
            let account = state.account(entry.fields.from);
            pool.insert_at(place, entry, account.map(|account| account.nonce));
        }
        pool
    }

    /// Takes out the operation at a place, if there is one: as it was stored, and what became of it.
    pub(crate) fn take_out(
        &mut self,
        place: u64,
        outcome: Outcome,
    ) -> Option<(StoredOperation, NewOutcome)> {
        let entry = self.remove(place)?;
        let received = entry.received;
        let operation = StoredOperation {
            place,
            received,
            operation: entry.signed(),
        };
        let stored = StoredOutcome {
            received,
            withdrawn_from: entry.withdrawn_from(),
            outcome,
        };
        Some((operation, (place, entry.id, stored)))
    }

    /// The operation with this id, if it waits.
    pub(crate) fn get(&self, id: &OperationId) -> Option<&Entry> {
        self.entry(*self.places.get(id)?)
    }

    pub(crate) fn entry(&self, place: u64) -> Option<&Entry> {
        self.entries.get(&place)
    }

    /// The first ready place that is not before `from`.
    pub(crate) fn first_ready(&self, from: u64) -> Option<u64> {
        self.ready.range(from..).next().copied()
    }

    /// Withdrawals that wait, ready or not.
    pub(crate) fn withdrawals(&self) -> usize {
        self.withdrawals
    }

    /// The ready operation that arrived first.
    pub(crate) fn oldest_ready(&self) -> Option<&Entry> {
        self.first_ready(0).and_then(|place| self.entry(place))
    }

    /// When the operation that arrived last was received.
    pub(crate) fn last_received(&self) -> Option<u64> {
        let (_, entry) = self.entries.last_key_value()?;
        Some(entry.received)
    }

    /// Places of operations that expire before `time`.
    pub(crate) fn expired(&self, time: u64) -> Vec<u64> {
        let expired = self.expiring.range(..(time, 0));
        expired.map(|(_, place)| *place).collect()
    }

    /// Counts what is ready, no further than `most` of each kind.
    pub(crate) fn ready(&self, most: Ready) -> Ready {
        let mut ready = Ready::default();
        let most_withdrawals = most.withdrawals.min(self.withdrawals);
        for place in &self.ready {
            if ready.transfers >= most.transfers && ready.withdrawals >= most_withdrawals {
                break;
            }
            self.count_chain(*place, most, &mut ready);
        }
        Ready {
            transfers: ready.transfers.min(most.transfers),
            withdrawals: ready.withdrawals.min(most.withdrawals),
        }
    }

    /// Counts an account's operations from a ready one on: transfers, then withdrawals; a transfer
    /// after a withdrawal is for the next batch.
    fn count_chain(&self, place: u64, most: Ready, ready: &mut Ready) {
        let Fields { from, nonce, .. } = self.entries[&place].fields;
        let mut in_withdrawals = false;
        for nonce in nonce.. {
            let place = self.place_of(from, nonce);
            let Some(place) = place.filter(|place| !self.is_expired(*place)) else {
                return;
            };
            let withdrawal = self.entries[&place].is_withdrawal();
            if in_withdrawals && !withdrawal {
                return;
            }
            in_withdrawals = withdrawal;
            let (count, most) = match withdrawal {
                true => (&mut ready.withdrawals, most.withdrawals),
                false => (&mut ready.transfers, most.transfers),
            };
            if *count >= most {
                return;
            }
            *count += 1;
        }
    }

    /// Checks, in parallel, the first `count` signatures that were not checked since a restart.
    /// An operation whose signature is bad stays unchecked and is refused when it is taken.
    pub(crate) fn verify_stored(&mut self, count: usize, state: &State, domain: &Fr) {
        let places: Vec<u64> = self.unverified.iter().take(count).copied().collect();
        self.verify_at(places, state, domain);
    }

    /// Checks, in parallel, the signatures at these places that were not checked yet.
    pub(crate) fn verify_at(&mut self, mut places: Vec<u64>, state: &State, domain: &Fr) {
        places.retain(|place| self.unverified.contains(place));
        let authorized = |place: &u64| {
            let entry = &self.entries[place];
            let sender = state.account(entry.fields.from);
            (*place, entry.authorized(sender, domain).ok())
        };
        let verified: Vec<(u64, Option<Operation>)> = places.par_iter().map(authorized).collect();
        for (place, operation) in verified {
            self.unverified.remove(&place);
            if let (Some(operation), Some(entry)) = (operation, self.entries.get_mut(&place)) {
                entry.held = Held::Verified(operation);
            }
        }
    }
}

/// The fee in the token's smallest unit.
fn fee_of(fields: &Fields) -> u128 {
    let fee = fields.fee.value_u128();
    fee.expect("the largest float16 is 2047 · 10^31, below 2^128")
}

/// The least fee of an operation that replaces one that waits: a tenth more, and more.
fn least_fee(waits: &Fields) -> u128 {
    let fee = fee_of(waits);
    fee + fee.div_ceil(10).max(1)
}

/// The lowest fee that can be signed and replaces an operation that waits; `None` if there is none.
pub fn replacing_fee(waits: &Fields) -> Option<Float16> {
    let least = least_fee(waits);
    let steps = iter::successors(Some(1u128), |step| step.checked_mul(10));
    let candidates = iter::once(0).chain(steps);
    let mut fees = candidates.map(|step| Float16::round_down(least.saturating_add(step)));
    fees.find(|fee| fee.value_u128().is_some_and(|fee| fee >= least))
}

/// A transfer of nothing to the account itself: all that it does is use the nonce.
fn is_cancel(fields: &Fields) -> bool {
    fields.kind == Transfer::KIND && fields.from == fields.to && fields.amount.mantissa() == 0
}

/// The checks on an operation's own fields.
fn well_placed(fields: &Fields, held: u32, around: &Surroundings<'_>) -> Result<(), Refusal> {
    let Fields {
        kind,
        from: index,
        to,
        fee,
        token,
        valid_until,
        ..
    } = *fields;
    let leaves = leaves(around.state.depth());
    if u64::from(to) >= leaves {
        return Err(Reject::IndexInRange { index: to, leaves }.into());
    }
    if held != token {
        let signed = token;
        return Err(Reject::SameToken {
            index,
            held,
            signed,
        }
        .into());
    }
    if valid_until < around.now {
        let timestamp = around.now;
        return Err(Reject::NotExpired {
            valid_until,
            timestamp,
        }
        .into());
    }
    if fee.mantissa() != 0 && !around.fee_accounts.contains_key(&token) {
        return Err(Refusal::FeeTokenNotTaken { token });
    }
    if !around.kinds.contains(&kind) {
        return Err(Refusal::KindNotTaken { kind });
    }
    Ok(())
}
