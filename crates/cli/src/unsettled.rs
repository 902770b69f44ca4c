//! Transactions that were sent and whose end nobody was told yet, as they are printed.

use rollup::{Standing, Unsettled};
use serde::Serialize;

/// A transaction whose end nobody was told yet.
#[derive(Serialize)]
pub struct UnsettledFacts {
    what: String,
    nonce: u64,
    hash: String,
    standing: &'static str,
    block: Option<u64>,
}

impl From<Unsettled> for UnsettledFacts {
    fn from(of: Unsettled) -> Self {
        let (standing, block) = match of.standing {
            Standing::Waits => ("waits", None),
            Standing::InBlock(number) => ("in a block", Some(number)),
            Standing::Failed(number) => ("failed", Some(number)),
            Standing::NonceUsed => ("nonce used by another", None),
            Standing::Cancelled => ("cancelled", None),
        };
        Self {
            what: of.what,
            nonce: of.nonce,
            hash: of.hash,
            standing,
            block,
        }
    }
}

impl UnsettledFacts {
    /// A line for people.
    pub fn line(&self) -> String {
        let block = self
            .block
            .map_or(String::new(), |block| format!(" {block}"));
        let Self {
            what,
            nonce,
            hash,
            standing,
            ..
        } = self;
        format!("{what}, nonce {nonce}, {hash}: {standing}{block}\n")
    }
}
