//! Transactions that were sent and whose outcome is unacknowledged, as they are printed.

use rollup::{TransactionStatus, Unacknowledged};
use serde::Serialize;

/// A transaction whose outcome is unacknowledged.
#[derive(Serialize)]
pub struct UnacknowledgedFacts {
    what: String,
    nonce: u64,
    hash: String,
    status: &'static str,
    block: Option<u64>,
}

impl From<Unacknowledged> for UnacknowledgedFacts {
    fn from(of: Unacknowledged) -> Self {
        let (status, block) = match of.status {
            TransactionStatus::Waits => ("waits", None),
            TransactionStatus::InBlock(number) => ("in a block", Some(number)),
            TransactionStatus::Failed(number) => ("failed", Some(number)),
            TransactionStatus::NonceUsed => ("nonce used by another", None),
            TransactionStatus::Cancelled => ("cancelled", None),
        };
        Self {
            what: of.what,
            nonce: of.nonce,
            hash: of.hash,
            status,
            block,
        }
    }
}

impl UnacknowledgedFacts {
    /// A line for people.
    pub fn line(&self) -> String {
        let block = self
            .block
            .map_or(String::new(), |block| format!(" {block}"));
        let Self {
            what,
            nonce,
            hash,
            status,
            ..
        } = self;
        format!("{what}, nonce {nonce}, {hash}: {status}{block}\n")
    }
}
