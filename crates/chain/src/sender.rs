//! Sending: simulated first, written down before it leaves, then waited for, and forgotten once told.
//!
//! A signed transaction is in the [`Outbox`] before it is sent, and leaves it when its end was told to
//! whoever asked for it. Invariant: the same call made again after any interruption waits for the same
//! transaction, or tells its end, and no second one is sent while the first may still come into a block;
//! what stays behind is replaced only by one of the same nonce, of which the chain takes one. No refusal
//! by a node removes anything: another node may have the transaction.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::consensus::TxEip1559;
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address as EthAddress, TxKind, U256};
use l1::Address;
use l1::evm::calldata::gas_limit;
use rollup::{Standing, Unsettled};

use crate::contract::reason;
use crate::error::ChainError;
use crate::key::EthKey;
use crate::outbox::{After, Attempt, End, Id, Outbox, Record, SignedCall};
use crate::rpc::{Message, Mined, Pushed, Rpc, Simulated, squeezed};

/// Most that is paid for a unit of gas, in wei: 2,000 gwei.
pub const MAX_FEE: u128 = 2_000_000_000_000;
/// Most that is offered to the block's builder for a unit of gas at first, in wei, whatever the node says:
/// 50 gwei.
const MAX_TIP: u128 = 50_000_000_000;
/// Most that it is raised to, but for empty transactions, in wei: 200 gwei.
const MAX_RAISED_TIP: u128 = 200_000_000_000;
/// How often the fee is raised in one command.
const RAISES: u32 = 6;
/// Transactions of a key that may wait when another is sent.
const MAX_WAITING: u64 = 16;
/// Gas of a transaction that does nothing.
const EMPTY_GAS: u64 = 21_000;

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Pause between questions for a receipt, at first and at most.
    pub poll: (Duration, Duration),
    /// Without a receipt, until a higher fee is offered.
    pub silence: Duration,
    /// Without a receipt although the nonce is used up, until this is told.
    pub nonce_used: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            poll: (Duration::from_millis(100), Duration::from_secs(3)),
            silence: Duration::from_secs(60),
            nonce_used: Duration::from_secs(150),
        }
    }
}

/// A transaction to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'a> {
    /// For messages.
    pub(crate) what: &'static str,
    /// The contract; none to make one.
    pub(crate) to: Option<Address>,
    /// Wei.
    pub(crate) value: u128,
    /// The call.
    pub(crate) data: &'a [u8],
    /// The same call again would be another one, so its end is kept until it was told.
    pub(crate) keep: bool,
    /// Gas that it takes at most, whatever others do before it; 0 if that is not known.
    pub(crate) gas_bound: u64,
}

/// A transaction that a block has. Whether it did what it was to do, [`Sender::checked`] tells.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) id: Id,
    pub(crate) mined: Mined,
}

/// Sends the transactions of one key on one chain.
pub(crate) struct Sender {
    key: EthKey,
    chain_id: u64,
    outbox: Outbox,
    pub(crate) patience: Patience,
}

/// What came of waiting.
enum Found {
    /// A block has it.
    Mined(Mined),
    /// A block has the empty transaction in its place.
    Empty(Mined),
    /// The nonce is used up, and there is no receipt.
    NonceUsed,
    /// Nothing in time.
    Nothing,
}

/// How a transaction ended.
enum Ended {
    Mined(Mined),
    Cancelled,
}

/// What a node's refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Waiting does not help.
    Final,
    /// A higher fee helps.
    Fee,
    /// Perhaps a node has it all the same.
    Unclear,
}

/// Fees that are offered, in wei a unit of gas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
}

impl Sender {
    /// A sender whose outbox is in this folder.
    pub(crate) fn new(key: EthKey, chain_id: u64, folder: &Path) -> Result<Self, ChainError> {
        Ok(Self {
            outbox: Outbox::open(folder, chain_id, key.address())?,
            key,
            chain_id,
            patience: Patience::default(),
        })
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// True if the same call was sent before and its end was not told.
    pub(crate) fn has(&self, intent: &Intent<'_>) -> bool {
        self.outbox.find(intent).is_some()
    }

    /// Records, for people.
    pub(crate) fn shown(&self) -> Vec<Unsettled> {
        let mut shown: Vec<Unsettled> = self.outbox.records().iter().map(Record::shown).collect();
        shown.sort_by_key(|record| record.nonce);
        shown
    }

    /// The end of the same call, if it was sent before and its end was not told. It is waited for.
    pub(crate) fn resume(
        &mut self,
        rpc: &Rpc,
        intent: &Intent<'_>,
    ) -> Result<Option<Settled>, ChainError> {
        let Some(id) = self.outbox.find(intent) else {
            return Ok(None);
        };
        tracing::info!(what = intent.what, "found in the outbox");
        // Why first: it comes into no block before those that a reorganization dropped with it.
        self.settle_before(
            rpc,
            self.outbox.get(id).map_or(0, |record| record.call.nonce),
        )?;
        match self.settle(rpc, id, intent.what)? {
            Ended::Mined(mined) => Ok(Some(Settled { id, mined })),
            Ended::Cancelled => Ok(None),
        }
    }

    /// Sends a transaction and waits until a block has it. That it was not sent before, and nothing else
    /// waits, is the caller's to see to: [`Self::resume`], [`Self::settle_before`].
    pub(crate) fn send(&mut self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Settled, ChainError> {
        self.simulate(rpc, self.message(intent))?
            .map_err(|reason| ChainError::Refused {
                what: intent.what,
                reason,
            })?;
        let id = self.prepare(rpc, intent)?;
        self.again(rpc, id, intent.what)
    }

    /// Waits for a transaction of the outbox, perhaps not for the first time: a reorganization may have
    /// dropped its block.
    pub(crate) fn again(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Settled, ChainError> {
        match self.settle(rpc, id, what)? {
            Ended::Mined(mined) => Ok(Settled { id, mined }),
            Ended::Cancelled => Err(ChainError::Cancelled { what }),
        }
    }

    /// A transaction that did what it was to do. One that failed in its block is asked for once more, told,
    /// and forgotten.
    pub(crate) fn checked(
        &mut self,
        rpc: &Rpc,
        settled: Settled,
        what: &'static str,
    ) -> Result<Settled, ChainError> {
        if settled.mined.receipt.status() {
            return Ok(settled);
        }
        rpc.pause(self.patience.poll.1);
        let settled = self.again(rpc, settled.id, what)?;
        if settled.mined.receipt.status() {
            return Ok(settled);
        }
        self.outbox.remove(settled.id)?;
        Err(ChainError::Failed {
            what,
            block: settled.mined.number,
            hash: settled.mined.receipt.transaction_hash.to_string(),
        })
    }

    /// Waits for everything that was sent before with a nonce below `end`. Ends that nobody asked for are
    /// kept.
    pub(crate) fn settle_before(&mut self, rpc: &Rpc, end: u64) -> Result<(), ChainError> {
        for id in self.outbox.ids(end) {
            let Some(record) = self.outbox.get(id) else {
                continue;
            };
            let (keep, shown) = (record.is_kept(), record.shown());
            match self.settle(rpc, id, "an earlier transaction") {
                Ok(Ended::Mined(_)) if !keep => self.outbox.remove(id)?,
                Ok(Ended::Mined(_) | Ended::Cancelled)
                | Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {}
                Err(ChainError::NotMined { hash, said, .. }) => {
                    let why = format!("the node says {said}");
                    return Err(self.earlier(shown.what, hash, why));
                }
                Err(ChainError::WouldFail { hash, reason, .. }) => {
                    let why = format!("it would fail by now: {reason}");
                    return Err(self.earlier(shown.what, hash, why));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets a transaction whose end was told.
    pub(crate) fn forget(&mut self, id: Id) -> Result<(), ChainError> {
        self.outbox.remove(id)
    }

    /// Forgets the contracts that were made: their addresses were told.
    pub(crate) fn creations_told(&mut self) -> Result<(), ChainError> {
        for id in self.outbox.ids(u64::MAX) {
            let record = self.outbox.get(id);
            if record.is_some_and(|record| record.call.to.is_none() && record.end.is_some()) {
                self.outbox.remove(id)?;
            }
        }
        Ok(())
    }

    /// Takes the nonces of everything that waits, and those before them that are free, by empty
    /// transactions, and tells what came of each. What another transaction's nonce keeps out is forgotten.
    pub(crate) fn cancel(&mut self, rpc: &Rpc) -> Result<Vec<Unsettled>, ChainError> {
        let (what, from) = ("the empty transaction", self.address());
        let mut ended = Vec::new();
        for id in self.outbox.ids(u64::MAX) {
            let shown = self.outbox.get(id).map(Record::shown);
            let as_ = |standing| shown.map(|record| Unsettled { standing, ..record });
            match self.look(rpc, id)? {
                // A reorganization may have dropped it since it was seen in a block.
                Found::Nothing => self.outbox.change(id, |record| record.end = None)?,
                found @ Found::Empty(_) => {
                    self.end(rpc, id, what, found)?;
                    ended.extend(as_(Standing::Cancelled));
                }
                Found::Mined(mined) => {
                    self.note(rpc, id, &mined)?;
                    ended.extend(self.in_block(id)?);
                }
                // Why settled: the receipt may only be late.
                Found::NonceUsed => match self.settle(rpc, id, what) {
                    Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {
                        self.outbox.remove(id)?;
                        ended.extend(as_(Standing::NonceUsed));
                    }
                    Ok(Ended::Cancelled) => ended.extend(as_(Standing::Cancelled)),
                    Ok(Ended::Mined(_)) => ended.extend(self.in_block(id)?),
                    Err(error) => return Err(error),
                },
            }
        }
        let waiting = self.outbox.records().iter();
        let waiting = waiting.filter(|record| record.end.is_none());
        let nonces: Vec<u64> = waiting.map(|record| record.call.nonce).collect();
        let (Some(first), Some(last)) = (nonces.iter().min(), nonces.iter().max()) else {
            return Ok(ended);
        };
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let (next, last) = (next.max(self.least_nonce(rpc)?).min(*first), *last);
        // Why bounded: a node that is not synchronised tells of a nonce long ago.
        let waiting = last.saturating_sub(next);
        if waiting > MAX_WAITING {
            return Err(ChainError::Crowded { from, waiting });
        }
        let mut taken = Vec::new();
        for nonce in next..=last {
            taken.push(match self.outbox.waiting(nonce) {
                Some(id) => {
                    if !self.outbox.get(id).is_some_and(Record::is_empty) {
                        self.attempt(rpc, id, true)?;
                    }
                    id
                }
                None => self.prepare_empty(rpc, what, nonce)?,
            });
        }
        // Why the last first: once a gap is filled, what waits behind it would come into the same block.
        for id in taken.iter().rev() {
            self.push(rpc, *id)?;
        }
        for id in taken {
            let shown = self.outbox.get(id).map(Record::shown);
            let as_ = |standing| shown.map(|record| Unsettled { standing, ..record });
            ended.extend(match self.settle(rpc, id, what) {
                Ok(Ended::Mined(_)) => self.in_block(id)?,
                Ok(Ended::Cancelled) => as_(Standing::Cancelled),
                Err(ChainError::Replaced { .. } | ChainError::Cancelled { .. }) => {
                    self.outbox.remove(id)?;
                    as_(Standing::NonceUsed)
                }
                Err(error) => return Err(error),
            });
        }
        Ok(ended)
    }

    /// A transaction that a block had before it was cancelled, for people. It is forgotten, unless whoever
    /// asked for it has to hear more of it.
    fn in_block(&mut self, id: Id) -> Result<Option<Unsettled>, ChainError> {
        let record = self.outbox.get(id);
        let (shown, keep) = (
            record.map(Record::shown),
            record.is_some_and(Record::is_kept),
        );
        if !keep {
            self.outbox.remove(id)?;
        }
        Ok(shown)
    }

    /// Runs a call without sending it; the reason if it would fail.
    fn simulate(&self, rpc: &Rpc, message: Message<'_>) -> Result<Result<(), String>, ChainError> {
        Ok(match rpc.simulate(message, None)? {
            Simulated::Returned(_) => Ok(()),
            Simulated::Reverted(returned) => Err(reason(&returned)),
        })
    }

    fn message<'a>(&self, intent: &Intent<'a>) -> Message<'a> {
        Message {
            from: Some(self.address()),
            to: intent.to,
            value: intent.value,
            data: intent.data,
        }
    }

    /// Signs the transaction and writes it down.
    fn prepare(&mut self, rpc: &Rpc, intent: &Intent<'_>) -> Result<Id, ChainError> {
        let from = self.address();
        let estimated = rpc.estimate_gas(self.message(intent))?;
        let gas = gas_limit(estimated, intent.gas_bound);
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let pending = rpc.nonce(from, BlockNumberOrTag::Pending)?;
        let nonce = pending.max(next).max(self.least_nonce(rpc)?);
        if nonce - next > MAX_WAITING {
            let waiting = nonce - next;
            return Err(ChainError::Crowded { from, waiting });
        }
        let call = SignedCall::new(intent, nonce, gas);
        self.write_down(rpc, intent, call)
    }

    /// Signs the first spelling of a call and writes it down.
    fn write_down(
        &mut self,
        rpc: &Rpc,
        intent: &Intent<'_>,
        call: SignedCall,
    ) -> Result<Id, ChainError> {
        let first = self.sign(&call, offer(rpc, None)?);
        self.outbox.add(Record {
            what: intent.what.to_owned(),
            keep: intent.keep,
            call,
            attempts: vec![first],
            end: None,
        })
    }

    /// What takes a nonce and does nothing.
    fn empty_intent(&self, what: &'static str) -> Intent<'static> {
        Intent {
            what,
            to: Some(self.address()),
            value: 0,
            data: &[],
            keep: false,
            gas_bound: EMPTY_GAS,
        }
    }

    /// A nonce that is not used as far as blocks tell that were seen before. A node without them lags.
    fn least_nonce(&mut self, rpc: &Rpc) -> Result<u64, ChainError> {
        let Some(after) = self.outbox.after() else {
            return Ok(0);
        };
        match rpc.block(after.number)? {
            Some(there) if there.hash == after.hash => return Ok(after.nonce),
            Some(_) => {}
            None => {
                let head = rpc.latest()?;
                if rpc.may_lag(head, after.seen) {
                    let (got, seen) = (head.number, after.number);
                    return Err(ChainError::Behind { got, seen });
                }
            }
        }
        // Its block is not on the chain, or never was, whatever another node said.
        self.outbox.note(None)?;
        Ok(0)
    }

    /// Signs an empty transaction for a nonce that nothing here takes, and writes it down.
    fn prepare_empty(
        &mut self,
        rpc: &Rpc,
        what: &'static str,
        nonce: u64,
    ) -> Result<Id, ChainError> {
        let intent = self.empty_intent(what);
        let call = SignedCall::new(&intent, nonce, EMPTY_GAS);
        self.write_down(rpc, &intent, call)
    }

    /// Adds a spelling that offers more, and writes it down. `false` if no more is paid.
    fn attempt(&mut self, rpc: &Rpc, id: Id, empty: bool) -> Result<bool, ChainError> {
        let Some(record) = self.outbox.get(id) else {
            return Ok(false);
        };
        let last = record.last().map(|last| Offer {
            max_fee: last.max_fee,
            tip: last.tip,
        });
        let offer = match offer(rpc, last) {
            Err(ChainError::TooDear { .. }) if !empty => return Ok(false),
            Ok(offer) if offer.tip > MAX_RAISED_TIP && !empty => return Ok(false),
            offer => offer?,
        };
        let call = match empty {
            true => SignedCall::new(&self.empty_intent(""), record.call.nonce, EMPTY_GAS),
            false => record.call.clone(),
        };
        let attempt = self.sign(&call, offer);
        self.outbox
            .change(id, |record| record.attempts.push(attempt))?;
        Ok(true)
    }

    pub(crate) fn sign(&self, call: &SignedCall, offer: Offer) -> Attempt {
        let to = call.to.map(|to| EthAddress::from(to.0));
        let raw = self.key.sign(TxEip1559 {
            chain_id: self.chain_id,
            nonce: call.nonce,
            gas_limit: call.gas,
            max_fee_per_gas: offer.max_fee,
            max_priority_fee_per_gas: offer.tip,
            to: to.map_or(TxKind::Create, TxKind::Call),
            value: U256::from(call.value),
            access_list: Vec::new().into(),
            input: call.data.clone(),
        });
        let read = Attempt::read(raw.into(), self.chain_id, self.address());
        read.expect("what this key signed is read as such").1
    }

    /// Sends what is written down and waits for it, with more for gas if need be.
    fn settle(&mut self, rpc: &Rpc, id: Id, what: &'static str) -> Result<Ended, ChainError> {
        if let Some(ended) = self.ended(rpc, id, what)? {
            return Ok(ended);
        }
        for raise in 0..=RAISES {
            let refused = match self.push(rpc, id)? {
                Pushed::Taken => None,
                Pushed::Refused(message) => Some((meaning(&message), message)),
            };
            let hopeless = matches!(refused, Some((Refusal::Final, _)));
            let found = self.wait(rpc, id, hopeless)?;
            if let Some(ended) = self.end(rpc, id, what, found)? {
                return Ok(ended);
            }
            if let Some((Refusal::Final | Refusal::Unclear, said)) = refused
                && !self.fees_rose(rpc, id)?
            {
                return Err(self.waits(id, what, &said));
            }
            self.check_gap(rpc, id, what)?;
            if raise == RAISES || !self.raise(rpc, id, what)? {
                break;
            }
        }
        Err(self.waits(id, what, "nothing"))
    }

    /// The end of a transaction as the node knows it now; none if it may still come.
    fn ended(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Option<Ended>, ChainError> {
        let found = self.look(rpc, id)?;
        let known = self.outbox.get(id).and_then(|record| record.end);
        match (found, known) {
            // Why: it was waited for long enough before.
            (Found::NonceUsed, Some(End::NonceUsed)) => self.end(rpc, id, what, Found::NonceUsed),
            (Found::NonceUsed | Found::Nothing, _) => {
                self.outbox.change(id, |record| record.end = None)?;
                Ok(None)
            }
            (found, _) => self.end(rpc, id, what, found),
        }
    }

    /// Writes down what was found.
    fn end(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
        found: Found,
    ) -> Result<Option<Ended>, ChainError> {
        match found {
            Found::Mined(mined) => {
                self.note(rpc, id, &mined)?;
                Ok(Some(Ended::Mined(mined)))
            }
            Found::Empty(mined) => {
                self.note(rpc, id, &mined)?;
                self.outbox.remove(id)?;
                Ok(Some(Ended::Cancelled))
            }
            Found::NonceUsed => {
                let (from, record) = (self.address(), self.outbox.get(id));
                let nonce = record.map_or(0, |record| record.call.nonce);
                if !record.is_some_and(Record::is_kept) {
                    // Why not kept: once more does no harm.
                    self.outbox.remove(id)?;
                    return Err(ChainError::Cancelled { what });
                }
                self.outbox
                    .change(id, |record| record.end = Some(End::NonceUsed))?;
                Err(ChainError::Replaced { what, from, nonce })
            }
            Found::Nothing => Ok(None),
        }
    }

    fn note(&mut self, rpc: &Rpc, id: Id, mined: &Mined) -> Result<(), ChainError> {
        let end = End::InBlock {
            number: mined.number,
            success: mined.receipt.status(),
        };
        let nonce = self.outbox.get(id).map_or(0, |record| record.call.nonce);
        let (next, number) = (nonce + 1, mined.number);
        let known = self.outbox.after();
        let known = known.is_some_and(|after| (after.number, after.nonce) >= (number, next));
        if !known {
            self.outbox.note(Some(After {
                nonce: next,
                number,
                hash: mined.hash,
                seen: rpc.now(),
            }))?;
        }
        self.outbox.change(id, |record| record.end = Some(end))
    }

    /// Sends the last spelling.
    fn push(&self, rpc: &Rpc, id: Id) -> Result<Pushed, ChainError> {
        match self.outbox.get(id).and_then(Record::last) {
            Some(attempt) => rpc.send(&attempt.raw),
            None => Ok(Pushed::Taken),
        }
    }

    /// Looks once for a receipt of any spelling.
    fn look(&self, rpc: &Rpc, id: Id) -> Result<Found, ChainError> {
        let Some(record) = self.outbox.get(id) else {
            return Ok(Found::Nothing);
        };
        // Why first: a nonce that is used up afterwards has its receipt then.
        let next = rpc.nonce(self.address(), BlockNumberOrTag::Latest)?;
        for attempt in record.attempts.iter().rev() {
            if let Some(mined) = rpc.mined(attempt.hash)? {
                return Ok(match attempt.empty {
                    true => Found::Empty(mined),
                    false => Found::Mined(mined),
                });
            }
        }
        Ok(match next > record.call.nonce {
            true => Found::NonceUsed,
            false => Found::Nothing,
        })
    }

    /// Waits for a receipt of any spelling; not long if it is `hopeless`.
    fn wait(&self, rpc: &Rpc, id: Id, hopeless: bool) -> Result<Found, ChainError> {
        let (mut pause, most) = self.patience.poll;
        let begun = Instant::now();
        let mut used_since = None;
        loop {
            match self.look(rpc, id)? {
                Found::NonceUsed => {
                    let since = *used_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.patience.nonce_used {
                        return Ok(Found::NonceUsed);
                    }
                }
                Found::Nothing => {
                    used_since = None;
                    let rose = || self.fees_rose(rpc, id);
                    if hopeless || begun.elapsed() >= self.patience.silence || rose()? {
                        return Ok(Found::Nothing);
                    }
                }
                found => return Ok(found),
            }
            rpc.pause(pause);
            pause = (pause * 2).min(most);
        }
    }

    /// True if blocks cost more than what the last spelling offers: it will not come into one.
    fn fees_rose(&self, rpc: &Rpc, id: Id) -> Result<bool, ChainError> {
        let base = rpc.base_fee()?;
        let last = self.outbox.get(id).and_then(Record::last);
        Ok(last.is_some_and(|last| base > last.max_fee))
    }

    /// Nothing comes into a block while a nonce before it is free.
    fn check_gap(&mut self, rpc: &Rpc, id: Id, what: &'static str) -> Result<(), ChainError> {
        let (from, nonce) = match self.outbox.get(id) {
            Some(record) => (self.address(), record.call.nonce),
            None => return Ok(()),
        };
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let next = next.max(self.least_nonce(rpc)?);
        let ours = |nonce: u64| self.outbox.waiting(nonce).is_some();
        match (next..nonce).all(ours) {
            true => Ok(()),
            false => Err(ChainError::Gap {
                what,
                from,
                nonce,
                next,
            }),
        }
    }

    /// Offers more for the same, if it still does what it was to do. `false` if no more is paid.
    fn raise(&mut self, rpc: &Rpc, id: Id, what: &'static str) -> Result<bool, ChainError> {
        let Some(record) = self.outbox.get(id) else {
            return Ok(false);
        };
        let empty = record.is_empty();
        if !empty {
            let message = Message {
                from: Some(self.address()),
                to: record.call.to,
                value: record.call.value,
                data: &record.call.data,
            };
            let hash = record.shown().hash;
            if let Err(reason) = self.simulate(rpc, message)? {
                // Why once more: it may be in a block meanwhile, and fail a second time for that.
                return match self.look(rpc, id)? {
                    Found::Nothing => Err(ChainError::WouldFail { what, hash, reason }),
                    _ => Ok(true),
                };
            }
        }
        self.attempt(rpc, id, empty)
    }

    fn earlier(&self, what: String, hash: String, why: String) -> ChainError {
        let from = self.address();
        ChainError::Earlier {
            from,
            what,
            hash,
            why,
        }
    }

    fn waits(&self, id: Id, what: &'static str, said: &str) -> ChainError {
        let last = self.outbox.get(id).and_then(Record::last);
        ChainError::NotMined {
            what,
            hash: last.map_or_else(String::new, |attempt| attempt.hash.to_string()),
            fee: last.map_or(0, |attempt| attempt.max_fee),
            said: said.to_owned(),
        }
    }
}

/// The fees to offer: twice the base fee and the tip, and a quarter above the last offer, so that nodes
/// take it in its place.
fn offer(rpc: &Rpc, last: Option<Offer>) -> Result<Offer, ChainError> {
    let (base, tip) = (rpc.base_fee()?, rpc.tip()?);
    let raised = |fee: u128| fee.saturating_add(fee / 4).saturating_add(1);
    let (least_max, least_tip) =
        last.map_or((0, 0), |last| (raised(last.max_fee), raised(last.tip)));
    let tip = tip.min(MAX_TIP).max(least_tip);
    let max_fee = base.saturating_mul(2).saturating_add(tip).max(least_max);
    if max_fee > MAX_FEE {
        return Err(ChainError::TooDear {
            fee: max_fee,
            limit: MAX_FEE,
        });
    }
    Ok(Offer { max_fee, tip })
}

/// What a node's words for a refused transaction mean. Words that are not known may be a gateway's, whose
/// node has the transaction.
fn meaning(message: &str) -> Refusal {
    let message = squeezed(message);
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let fee = ["underpriced", "lessthanblockbasefee", "feecap", "feetoolow"];
    let never = [
        "insufficientfunds",
        "intrinsicgas",
        "exceedsblockgaslimit",
        "gaslimittoohigh",
        "oversizeddata",
        "initcodesize",
        "invalidsender",
        "invalidchainid",
        "typenotsupported",
    ];
    match (has(&never), has(&fee)) {
        (true, _) => Refusal::Final,
        (false, true) => Refusal::Fee,
        (false, false) => Refusal::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use l1::NativeL1;
    use prover::key::AllowDevKeys;

    use super::*;
    use crate::outbox::tests::key;
    use crate::script::{Node, genesis};

    /// A receipt in a block that a node invented, far ahead: what it says of the key's nonces is not held
    /// against the nodes that do not have the block.
    #[test]
    fn a_block_that_a_node_invented_keeps_no_key_from_sending() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("l1.redb");
        let mirror = NativeL1::create(&file, &genesis(), AllowDevKeys::Yes).unwrap();
        let node = Node::new(&mirror);
        let rpc = node.rpc();
        let mut sender = Sender::new(key(folder.path()), 31_337, folder.path()).unwrap();
        assert_eq!(sender.least_nonce(&rpc).unwrap(), 0);
        let seen = node.shown().now;
        let mut invented = After {
            nonce: 8,
            number: 1_000_000,
            hash: B256::repeat_byte(1),
            seen,
        };
        sender.outbox.note(Some(invented)).unwrap();
        let behind = sender.least_nonce(&rpc).unwrap_err();
        assert!(matches!(behind, ChainError::Behind { .. }), "{behind}");
        node.shown().mine_at(seen + 700, &[]);
        assert_eq!(sender.least_nonce(&rpc).unwrap(), 0);
        assert_eq!(sender.outbox.after(), None);
        // A block that the chain has is a bound on the nonce, whatever a node says of it.
        let head = rpc.latest().unwrap();
        (invented.number, invented.hash) = (head.number, head.hash);
        sender.outbox.note(Some(invented)).unwrap();
        assert_eq!(sender.least_nonce(&rpc).unwrap(), 8);
    }
}
