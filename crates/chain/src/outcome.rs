//! The outcome of a call.

use l1::{Address, NativeL1};
use rollup::{Call, Outcome, SettleError};

use crate::events::Event;
use crate::sender::Included;

/// The outcome of a call, from the events of its transaction, whatever amount arrived. A queue entry has to be
/// the mirror's.
pub(crate) fn outcome(
    contract: Address,
    mirror: &NativeL1,
    call: Call<'_>,
    included: &Included,
    what: &'static str,
) -> Result<Outcome, SettleError> {
    let (receipt, block) = (&included.mined.receipt, included.mined.hash);
    let of = Some((receipt.transaction_hash, block));
    let logs = receipt.inner.logs().iter();
    let ours = logs.filter(|log| log.address().into_array() == contract.0);
    let ours = ours.filter(|log| log.transaction_hash.zip(log.block_hash) == of);
    for event in ours.filter_map(Event::decode) {
        match event {
            Event::Queued {
                number,
                op,
                payer,
                time,
            } => {
                let entry = mirror.queue(number, 1)?.pop();
                let same = entry.is_some_and(|entry| {
                    (entry.op, entry.payer, entry.time) == (op, payer, time)
                        && call.asks_for(&entry)
                });
                return match same {
                    true => Ok(Outcome::Entry(number)),
                    false => Err(SettleError::Dropped { what }),
                };
            }
            Event::Claimed { amount, .. }
            | Event::Exited { amount, .. }
            | Event::DepositCancelled { amount, .. }
            | Event::FeesCollected { amount } => return Ok(Outcome::Amount(amount)),
            _ => {}
        }
    }
    Ok(Outcome::Done)
}
