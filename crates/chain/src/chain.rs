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
use crate::rpc::{Range, Rpc};
use crate::sender::{Included, Sender};

/// How often the mirror is brought in line until it has the block of a receipt: a node may lag, and a
/// reorganization may drop the block.
const CATCH_UP: u32 = 10;

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
        let Self {
            access,
            contract,
            mirror: book,
            ..
        } = self;
        let included = access.check_success(included, what, |access, included| {
            let included = follow(access, (book, mirror), included, what)?;
            let mined = &included.mined;
            let refuted = !mined.proven
                && !mined.receipt.status()
                && (has_entry(mirror, mined.time, call)?
                    || has_events(&access.rpc, *contract, book, mined)?);
            Ok((included, refuted))
        })?;
        let outcome = outcome(self.contract, mirror, call, &included, what)?;
        match encoded.acknowledge {
            true => self.unacknowledged.push(included.id),
            false => self.access.sending()?.1.drop_record(included.id)?,
        }
        Ok(Called { outcome, earlier })
    }
}

/// Brings the mirror in line until it has executed the block of a transaction, and returns the transaction with
/// its receipt in that block: a reorganization may have moved it into another.
fn follow(
    access: &mut Access,
    (book, mirror): (&mut Mirror, &mut NativeL1),
    mut included: Included,
    what: &'static str,
) -> Result<Included, ChainError> {
    for attempt in 0..CATCH_UP {
        match book.sync(&access.rpc, mirror) {
            Err(ChainError::Behind { .. }) if attempt + 1 < CATCH_UP => {}
            synced => synced?,
        }
        let mined = &included.mined;
        let (block, events) = ((mined.number, mined.hash), mined.receipt.status());
        match book.has_block(&access.rpc, block, events)? {
            Some(true) => return Ok(included),
            Some(false) => {
                let (rpc, sender) = access.sending()?;
                included = sender.recheck_inclusion(rpc, included.id, what)?;
            }
            None => {}
        }
        let pause = Duration::from_millis(200) * (attempt + 1);
        access.rpc.pause(pause);
    }
    Err(ChainError::Unsteady { attempts: CATCH_UP })
}

/// Whether the mirror has an entry of this time that the call asks for. A call that failed has none.
fn has_entry(mirror: &NativeL1, time: u64, call: Call<'_>) -> Result<bool, ChainError> {
    for number in (0..mirror.head()?.queue_tail).rev() {
        match mirror.queue(number, 1)?.pop() {
            Some(entry) if entry.time > time => {}
            Some(entry) if entry.time == time => {
                if call.asks_for(&entry) {
                    return Ok(true);
                }
            }
            _ => break,
        }
    }
    Ok(false)
}

/// Whether the block of a transaction has events of it, or the node hides events of the block that the mirror has
/// executed: they may be its own. A transaction that failed has none.
fn has_events(
    rpc: &Rpc,
    contract: Address,
    book: &Mirror,
    mined: &Mined,
) -> Result<bool, ChainError> {
    let (number, hash) = (mined.number, mined.receipt.transaction_hash);
    let (logs, _) = rpc.logs(contract, (number, number), None, &mut Range::new())?;
    let ours = logs.iter().any(|log| log.transaction_hash == Some(hash));
    Ok(ours || (logs.len() as u64) < book.events(number))
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
