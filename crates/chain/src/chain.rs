//! Calls of a rollup's contract on a chain.
//!
//! Invariants: a contract is used only if its code is the committed one and its constants are those of the
//! mirror; the outcome of a call is read from its receipt once the mirror has executed exactly the block that
//! includes it, and the record stays in the outbox until the caller has acknowledged the outcome.

use std::path::Path;
use std::time::Duration;

use l1::evm::calldata::carried;
use l1::genesis::Parameters;
use l1::token::TokenDisplay;
use l1::{Address, NativeL1, Submission};
use rollup::{Call, Called, SettleError, Settlement, Unacknowledged};

use crate::access::Access;
use crate::blocks::Mined;
use crate::calls::{Encoded, sizes};
use crate::error::ChainError;
use crate::mirror::Mirror;
use crate::outbox::Id;
use crate::outcome::outcome;
use crate::rpc::Range;
use crate::sender::{Included, Sender};

/// How often the mirror is brought in line until it has the block of a receipt: a node may lag, and a
/// reorganization may drop the block.
const CATCH_UP: u32 = 10;

/// How often a reported failure is checked while receipts and events contradict one another.
const RECHECKS: u32 = 4;

/// A contract and its mirror's bookkeeping.
pub struct Chain {
    access: Access,
    contract: Address,
    mirror: Mirror,
    /// Transactions whose outcomes were returned and not yet acknowledged.
    unacknowledged: Vec<Id>,
}

impl Chain {
    /// Opens the contract of a mirror, and checks that code and constants are those of the mirror.
    /// [`Settlement::sync`] brings the mirror in line.
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
            unacknowledged: Vec::new(),
        })
    }

    fn sync_mirror(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        self.mirror.sync(&self.access.rpc, mirror)
    }

    /// Brings the mirror in line until it has executed the block of a transaction, and returns the transaction with
    /// its receipt in that block: a reorganization may have moved it into another.
    fn follow(
        &mut self,
        mirror: &mut NativeL1,
        mut included: Included,
        what: &'static str,
    ) -> Result<Included, ChainError> {
        for attempt in 0..CATCH_UP {
            match self.sync_mirror(mirror) {
                Err(ChainError::Behind { .. }) if attempt + 1 < CATCH_UP => {}
                synced => synced?,
            }
            let Mined {
                number,
                hash,
                receipt,
            } = &included.mined;
            let (block, events) = ((*number, *hash), receipt.status());
            let there = self.mirror.has_block(&self.access.rpc, block, events)?;
            match there {
                Some(true) => return Ok(included),
                Some(false) => {
                    let (rpc, sender) = self.access.sending()?;
                    included = sender.recheck_inclusion(rpc, included.id, what)?;
                }
                None => {}
            }
            let pause = Duration::from_millis(200) * (attempt + 1);
            self.access.rpc.pause(pause);
        }
        Err(ChainError::Unsteady { attempts: CATCH_UP })
    }

    /// Checks a receipt that says that the call failed. If the block has events of the transaction, the receipt is
    /// false, perhaps because nodes at one address contradict one another, and it is queried again. If the block
    /// has none, the failure is reported and the record dropped, once a second query says the same.
    fn check_failure(
        &mut self,
        mirror: &mut NativeL1,
        mut included: Included,
        what: &'static str,
    ) -> Result<Included, ChainError> {
        for attempt in 1..=RECHECKS {
            let refuted = self.has_events(&included)?;
            if refuted && attempt == RECHECKS {
                let (number, hash) = (
                    included.mined.number,
                    included.mined.receipt.transaction_hash,
                );
                let reason = format!("the failure of {hash}, which has events in block {number}");
                let method = "eth_getTransactionReceipt";
                return Err(self.access.rpc.bad_answer(method, reason));
            }
            let (rpc, sender) = self.access.sending()?;
            included = match refuted {
                true => {
                    rpc.pause(sender.patience.poll.1);
                    sender.recheck_inclusion(rpc, included.id, what)?
                }
                false => sender.check_success(rpc, included, what)?,
            };
            // Why: the transaction may be in another block by now.
            included = self.follow(mirror, included, what)?;
            if included.mined.receipt.status() {
                return Ok(included);
            }
        }
        Err(ChainError::Unsteady { attempts: RECHECKS })
    }

    /// Whether the block of a transaction has events of it. A transaction that failed has none.
    fn has_events(&self, included: &Included) -> Result<bool, ChainError> {
        let number = included.mined.number;
        let (rpc, hash) = (&self.access.rpc, included.mined.receipt.transaction_hash);
        let (logs, _) = rpc.logs(self.contract, (number, number), None, &mut Range::new())?;
        Ok(logs.iter().any(|log| log.transaction_hash == Some(hash)))
    }

    fn make(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Called, SettleError> {
        let encoded = Encoded::of(&self.access, mirror, call)?;
        let (what, intent) = (encoded.what, encoded.intent(self.contract));
        let (rpc, sender) = self.access.sending()?;
        let before = sender.resume(rpc, &intent)?;
        let earlier = before.is_some();
        let included = match before {
            Some(included) => included,
            None => {
                // Why before the approval: a pending transaction may be an approval.
                sender.wait_for_earlier(rpc, u64::MAX)?;
                self.access.approve_for(self.contract, mirror, call)?;
                let (rpc, sender) = self.access.sending()?;
                sender.send(rpc, &intent)?
            }
        };
        let mut included = self.follow(mirror, included, what)?;
        if !included.mined.receipt.status() {
            included = self.check_failure(mirror, included, what)?;
        }
        let outcome = outcome(self.contract, mirror, call, &included, what)?;
        match encoded.acknowledge {
            true => self.unacknowledged.push(included.id),
            false => self.access.sending()?.1.drop_record(included.id)?,
        }
        Ok(Called { outcome, earlier })
    }
}

/// The parameters without what the contract does not know: the operator's name, and its list of shapes.
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

    fn is_unacknowledged(&self, mirror: &NativeL1, call: Call<'_>) -> bool {
        let encoded = Encoded::of(&self.access, mirror, call);
        let has = |encoded: &Encoded| {
            let sender = self.access.sender.as_ref();
            sender.is_some_and(|sender| sender.has(&encoded.intent(self.contract)))
        };
        encoded.as_ref().is_ok_and(has)
    }

    fn acknowledge(&mut self) -> Result<(), SettleError> {
        for id in std::mem::take(&mut self.unacknowledged) {
            self.access.sending()?.1.drop_record(id)?;
        }
        Ok(())
    }

    fn unacknowledged(&self) -> Vec<Unacknowledged> {
        let sender = self.access.sender.as_ref();
        sender.map_or(Vec::new(), Sender::summaries)
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
