//! Which nonces of the key are used, and which are free.

use alloy::eips::BlockNumberOrTag;

use crate::error::ChainError;
use crate::outbox::Id;
use crate::rpc::Rpc;
use crate::sender::Sender;

/// Pending transactions of a key at which no other is sent.
pub(crate) const MAX_WAITING: u64 = 16;

impl Sender {
    /// The least nonce that may be free, from the last block in which a transaction of the key was seen. A node
    /// that does not have this block lags, or the block was dropped.
    pub(crate) fn least_nonce(&mut self, rpc: &Rpc) -> Result<u64, ChainError> {
        let Some(floor) = self.outbox.nonce_floor() else {
            return Ok(0);
        };
        match rpc.block(floor.number)? {
            Some(there) if there.hash == floor.hash => return Ok(floor.nonce),
            Some(_) => {}
            None => {
                let head = rpc.latest()?;
                if rpc.may_lag(head, floor.seen) {
                    let (got, seen) = (head.number, floor.number);
                    return Err(ChainError::Behind { got, seen });
                }
            }
        }
        // Its block is not on the chain, or never was, whatever another node said.
        self.outbox.set_nonce_floor(None)?;
        Ok(0)
    }

    /// Checks that the outbox has a transaction for each free nonce before this one: without them no block can
    /// include it.
    pub(crate) fn check_gap(
        &mut self,
        rpc: &Rpc,
        id: Id,
        what: &'static str,
    ) -> Result<(), ChainError> {
        let (from, nonce) = match self.outbox.get(id) {
            Some(record) => (self.address(), record.call.nonce),
            None => return Ok(()),
        };
        let next = rpc.nonce(from, BlockNumberOrTag::Latest)?;
        let next = next.max(self.least_nonce(rpc)?);
        let ours = |nonce: u64| self.outbox.pending(nonce).is_some();
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
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use l1::NativeL1;
    use prover::key::AllowDevKeys;

    use super::*;
    use crate::outbox::NonceFloor;
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
        let mut invented = NonceFloor {
            nonce: 8,
            number: 1_000_000,
            hash: B256::repeat_byte(1),
            seen,
        };
        sender.outbox.set_nonce_floor(Some(invented)).unwrap();
        let behind = sender.least_nonce(&rpc).unwrap_err();
        assert!(matches!(behind, ChainError::Behind { .. }), "{behind}");
        node.shown().mine_at(seen + 700, &[]);
        assert_eq!(sender.least_nonce(&rpc).unwrap(), 0);
        assert_eq!(sender.outbox.nonce_floor(), None);
        // By a clock that was a month ahead.
        invented.seen = node.shown().now + 30 * 24 * 60 * 60;
        sender.outbox.set_nonce_floor(Some(invented)).unwrap();
        assert_eq!(sender.least_nonce(&rpc).unwrap(), 0);
        // A block that the chain has is a bound on the nonce, whatever a node says of it.
        let head = rpc.latest().unwrap();
        (invented.number, invented.hash) = (head.number, head.hash);
        sender.outbox.set_nonce_floor(Some(invented)).unwrap();
        assert_eq!(sender.least_nonce(&rpc).unwrap(), 8);
    }
}
