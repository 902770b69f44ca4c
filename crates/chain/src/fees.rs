//! The fees that a transaction offers.

use crate::error::ChainError;
use crate::rpc::Rpc;

/// The greatest fee for a unit of gas that this program offers, in wei: 2,000 gwei.
const MAX_FEE: u128 = 2_000_000_000_000;

/// The greatest priority fee of a first transaction, in wei, whatever the node suggests: 50 gwei.
const MAX_TIP: u128 = 50_000_000_000;

/// The greatest priority fee of a replacement, unless it is empty, in wei: 200 gwei.
pub(crate) const MAX_RAISED_TIP: u128 = 200_000_000_000;

/// The fees that a transaction offers, in wei for a unit of gas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
}

/// The fees to offer: twice the base fee and the tip, and a quarter above the last offer, which nodes ask of a
/// replacement.
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
