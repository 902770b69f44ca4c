//! Applying what the contract did in a block.

use alloy::primitives::B256;
use alloy::rpc::types::Log;
use l1::{Address, Blocks, Calls, Deposit, Exit, L1Error, NativeL1, OPERATORS_HOUR};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::operation::L1Op;
use rollup::final_state;

use super::bookkeeping::{Mirror, Stop, disagree};
use crate::error::ChainError;
use crate::events::Event;
use crate::rpc::{BlockId, Rpc};

impl Mirror {
    /// Applies what the contract did in a block, and returns the mirror's height after it.
    pub(super) fn apply<'m>(
        &mut self,
        rpc: &Rpc,
        mirror: &'m NativeL1,
        mut group: Blocks<'m>,
        (block, logs): (BlockId, &[Log]),
    ) -> Result<(Blocks<'m>, u64), Stop> {
        let exits = logs.iter().position(is_exit).unwrap_or(logs.len());
        let (before, exits) = logs.split_at(exits);
        let mut height = 0;
        if !before.is_empty() {
            let calls = |calls: &mut Calls<'_, '_>| self.apply_all(rpc, calls, block, before);
            (group, height) = group.block(block.time, calls)?;
        }
        if !exits.is_empty() {
            // Why: the tree paths of exits are computed from the batches that the mirror has committed.
            group.commit()?;
            self.rebuild_state(mirror, block)?;
            let calls = |calls: &mut Calls<'_, '_>| self.apply_all(rpc, calls, block, exits);
            (group, height) = mirror.begin_blocks()?.block(block.time, calls)?;
        }
        Ok((group, height))
    }

    /// Applies events of a block in their order.
    fn apply_all(
        &mut self,
        rpc: &Rpc,
        calls: &mut Calls<'_, '_>,
        block: BlockId,
        logs: &[Log],
    ) -> Result<u64, Stop> {
        let mut position = 0;
        while let Some(log) = logs.get(position) {
            let event = Event::decode(log)
                .ok_or_else(|| disagree(block, "an event", "it is none that the contract has"))?;
            position += 1;
            if let Event::BatchFinalized { number, .. } = event {
                let hash = log.transaction_hash.ok_or(Stop::Moved)?;
                let same = |log: &&Log| log.transaction_hash == Some(hash);
                let of_transaction = logs[position..].iter().take_while(same);
                let more = of_transaction
                    .filter(|log| matches!(Event::decode(log), Some(Event::BatchFinalized { .. })));
                let count = 1 + more.count();
                self.apply_batches(rpc, calls, block, hash, (number, count))?;
                position = skip_batches(logs, position, hash);
                continue;
            }
            self.apply_event(calls, block, event)?;
        }
        Ok(calls.head().height)
    }

    /// Applies an event other than that of a final batch.
    fn apply_event(
        &mut self,
        calls: &mut Calls<'_, '_>,
        block: BlockId,
        event: Event,
    ) -> Result<(), ChainError> {
        let refused = |what: String| {
            move |error: L1Error| match error {
                L1Error::Refused(refusal) => disagree(block, what, refusal),
                other => other.into(),
            }
        };
        let same = |what: &str, expected: u128, got: u128| match expected == got {
            true => Ok(()),
            false => Err(disagree(
                block,
                what,
                format!("computed {expected}, the contract says {got}"),
            )),
        };
        match event {
            // The constructor adds ETH, which the mirror has from the start.
            Event::TokenAdded { token: 0, .. } | Event::Credited => {}
            Event::BatchFinalized { .. } => {}
            Event::TokenAdded { token, erc20 } => {
                let id = calls.add_token(erc20);
                let id = id.map_err(refused(format!("token {token}")))?;
                same("the id of a token", id.into(), token.into())?;
            }
            Event::Queued {
                number,
                op,
                payer,
                time,
            } => {
                self.unchecked.insert(op.token());
                let what = format!("entry {number} of the queue");
                let applied = apply_entry(calls, op, payer).map_err(refused(what))?;
                let entry = calls.entry(applied)?;
                if (applied, entry.op, entry.time) != (number, op, time) {
                    return Err(disagree(
                        block,
                        format!("entry {number} of the queue"),
                        "it is another",
                    ));
                }
            }
            Event::Claimed {
                owner,
                token,
                amount,
            } => {
                self.unchecked.insert(token);
                let paid = calls.claim(owner, token);
                let paid = paid.map_err(refused(format!("a claim of {owner}")))?;
                same("a claim", paid, amount)?;
            }
            Event::Frozen => calls.freeze().map_err(refused("the freeze".to_owned()))?,
            Event::Exited { index, amount } => {
                let exit = self.exit_of(block, index)?;
                self.unchecked.insert(exit.account.token);
                let paid = calls.exit(&exit);
                let paid = paid.map_err(refused(format!("the exit of account {index}")))?;
                same("an exit", paid, amount)?;
            }
            Event::DepositCancelled { number, amount } => {
                let cancelled = calls.cancel_deposit(number);
                let cancelled = cancelled.map_err(refused(format!("cancelled entry {number}")))?;
                self.unchecked.insert(cancelled.token);
                same("a cancelled deposit", cancelled.amount, amount)?;
            }
            Event::FeesCollected { amount } => {
                same("the operator's fees", calls.collect_fees(), amount)?;
            }
            Event::OperatorReturned { until } => {
                let returned = calls.return_operator(calls.head().operator);
                returned.map_err(refused("the operator's return".to_owned()))?;
                let computed = calls.head().operator_back_at + OPERATORS_HOUR;
                same("the operator's hour", computed.into(), until.into())?;
            }
            Event::OperatorOffered { to } => {
                let offered = calls.offer_operator(calls.head().operator, Some(to));
                offered.map_err(refused(format!("the operator role offered to {to}")))?;
            }
            Event::OperatorChanged { from, to, fees } => {
                self.unchecked.insert(0);
                let what = format!("the operator role that {from} hands over to {to}");
                if calls.head().operator != from {
                    return Err(disagree(block, what, "it is somebody else's"));
                }
                let credited = calls.accept_operator(to).map_err(refused(what))?;
                same("the fees of a former operator", credited, fees)?;
            }
        }
        Ok(())
    }

    /// Computes the account state of the mirror's last root.
    fn rebuild_state(&mut self, mirror: &NativeL1, block: BlockId) -> Result<(), ChainError> {
        let root = mirror.head()?.root;
        if self.state.as_ref().is_none_or(|state| state.root() != root) {
            let state = final_state(mirror, |_| ());
            self.state = Some(state.map_err(|error| disagree(block, "the exits", error))?);
        }
        Ok(())
    }

    /// The exit of an account, with its tree path from the mirror's own state: the arguments of the call are not
    /// known if it went through another contract.
    fn exit_of(&self, block: BlockId, index: u32) -> Result<Exit, ChainError> {
        let wrong =
            |reason: String| disagree(block, format!("the exit of account {index}"), reason);
        let state = self.state.as_ref();
        let state = state.ok_or_else(|| wrong("there is no state".to_owned()))?;
        let proof = state
            .prove(index)
            .map_err(|error| wrong(error.to_string()))?;
        let account = state.account(index).copied();
        Ok(Exit {
            index,
            account: account.ok_or_else(|| wrong("it has no leaf".to_owned()))?,
            siblings: proof.siblings,
        })
    }
}

/// The position of the first event after those of a transaction with batches.
fn skip_batches(logs: &[Log], from: usize, transaction: B256) -> usize {
    let rest = logs[from..].iter();
    from + rest
        .take_while(|log| log.transaction_hash == Some(transaction))
        .count()
}

fn is_exit(log: &Log) -> bool {
    matches!(Event::decode(log), Some(Event::Exited { .. }))
}

/// Adds the same entry to the mirror's queue, and returns its number.
fn apply_entry(calls: &mut Calls<'_, '_>, op: L1Op, payer: Address) -> Result<u64, L1Error> {
    match op {
        L1Op::Create {
            token, amount, key, ..
        } => calls.deposit(&Deposit {
            caller: payer,
            token,
            amount,
            key,
            q: cofactor_inverse_point(&key),
            fee: calls.deployment().parameters().l1_fee,
        }),
        L1Op::TopUp { index, amount, .. } => calls.top_up(payer, index, amount),
        L1Op::ForcedExit { index, .. } => calls.request_exit(payer, index),
    }
}
