//! Calls of L1 as transactions to the contract.

use l1::evm::abi;
use l1::evm::calldata::{ENTRY_BYTES, Entry, encode_batch, encode_batches, gas_bound};
use l1::{Address, NativeL1, Refusal, StoreError, Submission};
use ledger::words::PublicWords;
use rollup::Call;

use crate::access::Access;
use crate::error::ChainError;
use crate::outbox::Intent;

/// The most bytes of a batch besides its published data.
const BATCH_OVERHEAD: usize = 512;

/// A call, encoded for the contract.
pub(crate) struct Encoded {
    pub(crate) what: &'static str,
    pub(crate) value: u128,
    pub(crate) data: Vec<u8>,
    pub(crate) acknowledge: bool,
    pub(crate) gas_bound: u64,
}

impl Encoded {
    /// Encodes a call. The caller has to acknowledge its outcome if the contract would do the same a second time,
    /// or if the outcome is an amount.
    pub(crate) fn of(
        access: &Access,
        mirror: &NativeL1,
        call: Call<'_>,
    ) -> Result<Self, ChainError> {
        let fee = mirror.deployment().parameters().l1_fee;
        let value = |token: u32, amount: u128| match token {
            0 => fee.saturating_add(amount),
            _ => fee,
        };
        let (what, value, data) = match call {
            Call::Deposit(deposit) => {
                let l1::Deposit {
                    token,
                    amount,
                    key,
                    q,
                    ..
                } = deposit;
                let data = abi::deposit(*token, *amount, key, q);
                ("the deposit", value(*token, *amount), data)
            }
            Call::TopUp { index, amount, .. } => {
                let registered = mirror.registered(index)?;
                let registered = registered.ok_or(Refusal::Unregistered { index });
                let token = registered.map_err(l1::L1Error::from)?.token;
                (
                    "the top-up",
                    value(token, amount),
                    abi::top_up(index, amount),
                )
            }
            Call::RequestExit { index, .. } => ("the request", fee, abi::request_exit(index)),
            Call::Submit { batches, .. } => ("the batches", 0, encode_all(mirror, batches)?),
            Call::Claim { token, .. } => ("the claim", 0, abi::claim(token, &access.caller()?)),
            Call::Freeze => ("the freeze", 0, abi::freeze()),
            Call::Exit(exit) => ("the exit", 0, abi::exit(exit)),
            Call::CancelDeposit(number) => {
                let entry = mirror.queue(number, 1)?;
                let entry = entry.first().ok_or_else(|| StoreError::Missing {
                    what: format!("queue entry {number}"),
                })?;
                let data = abi::cancel_deposit(number, &Entry::from(entry));
                ("the cancelled deposit", 0, data)
            }
            Call::AddToken(erc20) => ("the new token", 0, abi::add_token(&erc20)),
            Call::CollectFees { .. } => {
                let data = abi::collect_fees(&access.caller()?);
                ("the collection of fees", 0, data)
            }
            Call::ReturnOperator { .. } => ("the return", 0, abi::return_operator()),
            Call::OfferOperator { to, .. } => ("the offer", 0, abi::offer_operator(to.as_ref())),
            Call::AcceptOperator { .. } => ("the acceptance", 0, abi::accept_operator()),
        };
        let acknowledge = match call {
            Call::Deposit(_)
            | Call::TopUp { .. }
            | Call::RequestExit { .. }
            | Call::Claim { .. }
            | Call::CollectFees { .. } => true,
            Call::Submit { .. }
            | Call::Freeze
            | Call::Exit(_)
            | Call::CancelDeposit(_)
            | Call::AddToken(_)
            | Call::ReturnOperator { .. }
            | Call::OfferOperator { .. }
            | Call::AcceptOperator { .. } => false,
        };
        let gas_bound = match call {
            Call::Submit { batches, .. } => sizes(mirror, batches)
                .map(|(credits, bytes)| gas_bound(credits, bytes))
                .sum(),
            _ => 0,
        };
        Ok(Self {
            what,
            value,
            data,
            acknowledge,
            gas_bound,
        })
    }

    pub(crate) fn intent(&self, contract: Address) -> Intent<'_> {
        Intent {
            what: self.what,
            to: Some(contract),
            value: self.value,
            data: &self.data,
            acknowledge: self.acknowledge,
            gas_bound: self.gas_bound,
        }
    }
}

fn encode_all(mirror: &NativeL1, batches: &[Submission]) -> Result<Vec<u8>, ChainError> {
    let shape_id = batches.first().map_or(0, |batch| batch.shape_id);
    let listed = mirror.deployment().shape(shape_id);
    let listed = listed.ok_or(Refusal::UnknownShape { shape_id });
    let shape = &listed.map_err(l1::L1Error::from)?.shape;
    let mut next = mirror.head()?.queue_head;
    let mut entries: Vec<Vec<Entry>> = Vec::with_capacity(batches.len());
    for batch in batches {
        let words = PublicWords::from_bytes(&batch.data, shape);
        let words = words.map_err(l1::evm::calldata::EncodeError::from)?;
        let queue = mirror.queue(next, words.l1_ops.len())?;
        next += words.l1_ops.len() as u64;
        entries.push(queue.iter().map(Entry::from).collect());
    }
    if let ([batch], [entries]) = (batches, entries.as_slice()) {
        return Ok(encode_batch(batch, shape, entries)?);
    }
    let all: Vec<(&Submission, &[Entry])> = (batches.iter())
        .zip(entries.iter().map(Vec::as_slice))
        .collect();
    Ok(encode_batches(&all, shape)?)
}

/// For each batch the most credits (queue entries and withdrawals) and the most bytes of call data.
pub(crate) fn sizes(
    mirror: &NativeL1,
    batches: &[Submission],
) -> impl Iterator<Item = (usize, usize)> {
    batches.iter().map_while(|batch| {
        let shape = &mirror.deployment().shape(batch.shape_id)?.shape;
        let words = PublicWords::from_bytes(&batch.data, shape).ok()?;
        let entries = words.l1_ops.len();
        let bytes = batch.data.len() + entries * ENTRY_BYTES + BATCH_OVERHEAD;
        Some((entries + words.withdrawals.len(), bytes))
    })
}
