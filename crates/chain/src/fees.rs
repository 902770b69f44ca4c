//! The fees that a transaction offers.

use crate::error::ChainError;
use crate::rpc::Rpc;

/// Most that is paid for a unit of gas, in wei: 2,000 gwei.
pub const MAX_FEE: u128 = 2_000_000_000_000;

/// Most that is offered to the block's builder for a unit of gas at first, in wei, whatever the node says:
/// 50 gwei.
const MAX_TIP: u128 = 50_000_000_000;

/// Most that it is raised to, but for empty transactions, in wei: 200 gwei.
pub(crate) const MAX_RAISED_TIP: u128 = 200_000_000_000;

/// Fees that are offered, in wei a unit of gas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
}

/// The fees to offer: twice the base fee and the tip, and a quarter above the last offer, so that nodes
/// take it in its place.
pub(crate) fn offer(rpc: &Rpc, last: Option<Offer>) -> Result<Offer, ChainError> {
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
