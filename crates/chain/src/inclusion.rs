//! Waiting until a block has a transaction.

use std::time::Instant;

use alloy::eips::BlockNumberOrTag;

use crate::error::ChainError;
use crate::outbox::{After, End, Id, Record};
use crate::replies::{Refusal, meaning};
use crate::rpc::{Mined, Pushed, Rpc};
use crate::sender::{Ended, Found, Sender};

/// How often the fee is raised in one command.
const RAISES: u32 = 6;

impl Sender {
    /// Sends what is written down and waits for it, with more for gas if need be.
    pub(crate) fn settle(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<Ended, ChainError> {
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
    pub(crate) fn ended(
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
    pub(crate) fn end(
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

    pub(crate) fn note(&mut self, rpc: &Rpc, id: Id, mined: &Mined) -> Result<(), ChainError> {
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
    pub(crate) fn push(&self, rpc: &Rpc, id: Id) -> Result<Pushed, ChainError> {
        match self.outbox.get(id).and_then(Record::last) {
            Some(attempt) => rpc.send(&attempt.raw),
            None => Ok(Pushed::Taken),
        }
    }

    /// Looks once for a receipt of any spelling.
    pub(crate) fn look(&self, rpc: &Rpc, id: Id) -> Result<Found, ChainError> {
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
    pub(crate) fn wait(&self, rpc: &Rpc, id: Id, hopeless: bool) -> Result<Found, ChainError> {
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

    pub(crate) fn waits(&self, id: Id, what: &'static str, said: &str) -> ChainError {
        let last = self.outbox.get(id).and_then(Record::last);
        ChainError::NotMined {
            what,
            hash: last.map_or_else(String::new, |attempt| attempt.hash.to_string()),
            fee: last.map_or(0, |attempt| attempt.max_fee),
            said: said.to_owned(),
        }
    }
}
