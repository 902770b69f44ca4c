//! A rollup's contract on a chain, called.
//!
//! Invariants: a contract is used only if its code is the committed one and its constants are those of the
//! mirror; what a call came to is read from the receipt once the mirror has executed the very block that
//! has it, and stays in the outbox until the caller was told.

use std::path::Path;
use std::time::Duration;

use l1::evm::calldata::carried;
use l1::genesis::Parameters;
use l1::token::TokenDisplay;
use l1::{Address, NativeL1, Submission};
use rollup::{Call, Called, SettleError, Settlement, Unsettled};

use crate::access::Access;
use crate::calls::{Encoded, sizes};
use crate::error::ChainError;
use crate::mirror::Mirror;
use crate::outbox::Id;
use crate::outcome::outcome;
use crate::rpc::{Mined, Range, Rpc};
use crate::sender::{Sender, Settled};

/// Questions until a node that had a transaction's receipt has its block, and blocks that may lose it.
const CATCH_UP: u32 = 10;

/// A contract and its mirror's bookkeeping.
pub struct Chain {
    access: Access,
    contract: Address,
    mirror: Mirror,
    /// Transactions whose ends were returned and are to be forgotten once they were told.
    untold: Vec<Id>,
}

impl Chain {
    /// Takes up a mirror's contract, checking that it is the mirror's. The mirror is brought in line
    /// with [`Settlement::sync`].
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn open(access: Access, file: &Path, mirror: &NativeL1) -> Result<Self, ChainError> {
        let contract = mirror.deployment().contract();
        let parameters = mirror.deployment().parameters();
        let (expected, got) = (parameters.chain_id, access.chain_id);
        if expected != got {
            return Err(ChainError::OtherChain { expected, got });
        }
        let bookkeeping = Mirror::open(file, mirror)?;
        let view = access.contract(contract, None);
        view.check_code(got)?;
        let same = view.domain()? == mirror.domain()
            && view.depth()? == mirror.deployment().depth()
            && view.parameters(got, parameters.operator.address)? == unnamed(parameters);
        if !same {
            return Err(
                access.not_the_contract(contract, "its constants are not those of the mirror")
            );
        }
        for listed in &parameters.shapes {
            let id = listed.shape.id;
            let ours = mirror.key(id);
            let info = ours.map(|key| key.info().clone());
            let theirs = match info {
                Some(info) => view.verifying_key(&listed.shape, info)?,
                None => None,
            };
            if theirs.as_ref() != ours {
                let reason = format!("its verifying key of shape {id} is not that of the mirror");
                return Err(access.not_the_contract(contract, &reason));
            }
        }
        Ok(Self {
            access,
            contract,
            mirror: bookkeeping,
            untold: Vec::new(),
        })
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.access.rpc
    }

    fn sync_mirror(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        self.mirror.sync(&self.access.rpc, mirror)
    }

    /// Brings the mirror in line until it has the block of a transaction, and returns the transaction as
    /// that block has it: a reorganization may move it into another.
    fn follow(
        &mut self,
        mirror: &mut NativeL1,
        mut settled: Settled,
        what: &'static str,
    ) -> Result<Settled, ChainError> {
        for attempt in 0..CATCH_UP {
            match self.sync_mirror(mirror) {
                Err(ChainError::Behind { .. }) if attempt + 1 < CATCH_UP => {}
                synced => synced?,
            }
            let Mined {
                number,
                hash,
                receipt,
            } = &settled.mined;
            let (block, events) = ((*number, *hash), receipt.status());
            let there = self.mirror.has_block(&self.access.rpc, block, events)?;
            match there {
                Some(true) => return Ok(settled),
                Some(false) => {
                    let (rpc, sender) = self.access.sending()?;
                    settled = sender.again(rpc, settled.id, what)?;
                }
                None => {}
            }
            let pause = Duration::from_millis(200) * (attempt + 1);
            self.access.rpc.pause(pause);
        }
        Err(ChainError::Unsteady { attempts: CATCH_UP })
    }

    /// A transaction of which a receipt says that it failed has no events. A node that contradicts itself is
    /// not believed: the same call again would be made twice.
    fn check_failed(&self, settled: &Settled) -> Result<(), ChainError> {
        let Mined {
            number, receipt, ..
        } = &settled.mined;
        let (rpc, hash) = (&self.access.rpc, receipt.transaction_hash);
        let (logs, _) = rpc.logs(self.contract, (*number, *number), None, &mut Range::new())?;
        match logs.iter().any(|log| log.transaction_hash == Some(hash)) {
            true => Err(rpc.strange(
                "eth_getTransactionReceipt",
                format!("the failure of {hash}, which has events in block {number}"),
            )),
            false => Ok(()),
        }
    }

    fn make(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Called, SettleError> {
        let encoded = Encoded::of(&self.access, mirror, call)?;
        let (what, intent) = (encoded.what, encoded.intent(self.contract));
        let (rpc, sender) = self.access.sending()?;
        let before = sender.resume(rpc, &intent)?;
        let earlier = before.is_some();
        let settled = match before {
            Some(settled) => settled,
            None => {
                // Why first: what waits may be the approval.
                sender.settle_before(rpc, u64::MAX)?;
                self.access.approve_for(self.contract, mirror, call)?;
                let (rpc, sender) = self.access.sending()?;
                sender.send(rpc, &intent)?
            }
        };
        let mut settled = self.follow(mirror, settled, what)?;
        if !settled.mined.receipt.status() {
            self.check_failed(&settled)?;
            let (rpc, sender) = self.access.sending()?;
            settled = sender.checked(rpc, settled, what)?;
            // What seemed to have failed may be in another block.
            settled = self.follow(mirror, settled, what)?;
        }
        let outcome = outcome(self.contract, mirror, call, &settled, what)?;
        match encoded.keep {
            true => self.untold.push(settled.id),
            false => self.access.sending()?.1.forget(settled.id)?,
        }
        Ok(Called { outcome, earlier })
    }
}

/// Parameters as the contract can tell them.
fn unnamed(parameters: &Parameters) -> Parameters {
    let mut parameters = parameters.clone();
    parameters.operator.name = "operator".to_owned();
    parameters.shapes.clear();
    parameters
}

impl Settlement for Chain {
    fn sync(&mut self, mirror: &mut NativeL1) -> Result<(), SettleError> {
        Ok(self.sync_mirror(mirror)?)
    }

    fn call(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Called, SettleError> {
        self.make(mirror, call)
    }

    fn is_unsettled(&self, mirror: &NativeL1, call: Call<'_>) -> bool {
        let encoded = Encoded::of(&self.access, mirror, call);
        let has = |encoded: &Encoded| {
            let sender = self.access.sender.as_ref();
            sender.is_some_and(|sender| sender.has(&encoded.intent(self.contract)))
        };
        encoded.as_ref().is_ok_and(has)
    }

    fn told(&mut self) -> Result<(), SettleError> {
        for id in std::mem::take(&mut self.untold) {
            self.access.sending()?.1.forget(id)?;
        }
        Ok(())
    }

    fn unsettled(&self) -> Vec<Unsettled> {
        let sender = self.access.sender.as_ref();
        sender.map_or(Vec::new(), Sender::shown)
    }

    fn caller(&self) -> Result<Address, SettleError> {
        Ok(self.access.caller()?)
    }

    fn time(&self) -> u64 {
        self.mirror.time()
    }

    fn confirmed_height(&self, confirmations: u64) -> Option<u64> {
        self.mirror.confirmed_height(confirmations)
    }

    fn blocks_on(&self, height: u64) -> u64 {
        self.mirror.blocks_on(height)
    }

    fn token_display(&self, erc20: Address) -> Result<TokenDisplay, SettleError> {
        Ok(self
            .access
            .contract(self.contract, None)
            .token_display(erc20)?)
    }

    fn at_once(&self, mirror: &NativeL1, batches: &[Submission]) -> usize {
        carried(sizes(mirror, batches))
    }
}
