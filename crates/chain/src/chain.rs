//! A rollup's contract on a chain: deployed, and called.
//!
//! Invariants: a node of another chain is refused before anything is asked or sent; a contract is used
//! only if its code is the committed one and its constants are those of the mirror; what a call came to
//! is read from the receipt once the mirror has executed the very block that has it, and stays in the
//! outbox until the caller was told.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::B256;
use l1::bytes::Bytes;
use l1::evm::abi;
use l1::evm::artifacts::{PATH_HASHER, ROLLUP};
use l1::evm::calldata::{ENTRY_BYTES, Entry, carried, encode_batch, encode_batches, gas_bound};
use l1::genesis::Parameters;
use l1::token::TokenDisplay;
use l1::{Address, Genesis, NativeL1, Refusal, StoreError, Submission};
use ledger::shape::Shape;
use ledger::words::PublicWords;
use prover::key::VerifyingKey;
use rollup::{Call, Called, Outcome, SettleError, Settlement, Unsettled};

use crate::contract::{Contract, Event};
use crate::error::ChainError;
use crate::found::Found;
use crate::key::EthKey;
use crate::mirror::Mirror;
use crate::outbox::Id;
use crate::rpc::{Mined, Range, Rpc};
use crate::sender::{Intent, Patience, Sender, Settled};

/// Bytes of a batch besides its published data, at most.
const BATCH_OVERHEAD: usize = 512;
/// Questions until a node that had a transaction's receipt has its block, and blocks that may lose it.
const CATCH_UP: u32 = 10;

/// How a chain is reached.
pub struct Access {
    rpc: Rpc,
    chain_id: u64,
    sender: Option<Sender>,
}

/// A contract and its mirror's bookkeeping.
pub struct Chain {
    access: Access,
    contract: Address,
    mirror: Mirror,
    /// Transactions whose ends were returned and are to be forgotten once they were told.
    untold: Vec<Id>,
}

/// A call as it is sent.
struct Encoded {
    what: &'static str,
    value: u128,
    data: Vec<u8>,
    keep: bool,
    gas_bound: u64,
}

impl Access {
    /// Connects to a node. `key` signs transactions, which are written down in `outbox`, a folder.
    ///
    /// # Errors
    /// [`ChainError`] if the node does not answer, or is on another chain than `expected`.
    pub fn new(
        url: &str,
        expected: Option<u64>,
        key: Option<EthKey>,
        outbox: &Path,
    ) -> Result<Self, ChainError> {
        let rpc = Rpc::new(url)?;
        let got = rpc.chain_id()?;
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            return Err(ChainError::OtherChain { expected, got });
        }
        let sender = key.map(|key| Sender::new(key, got, outbox)).transpose()?;
        Ok(Self {
            rpc,
            chain_id: got,
            sender,
        })
    }

    /// Changes how long is waited for what.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        if let Some(sender) = &mut self.sender {
            sender.patience = patience;
        }
        self
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Id of the chain.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Address of the key that signs.
    ///
    /// # Errors
    /// [`ChainError::NoKey`].
    pub fn caller(&self) -> Result<Address, ChainError> {
        Ok(self.sender()?.address())
    }

    fn sender(&self) -> Result<&Sender, ChainError> {
        self.sender.as_ref().ok_or(ChainError::NoKey)
    }

    /// The node, and who sends.
    fn sending(&mut self) -> Result<(&Rpc, &mut Sender), ChainError> {
        let sender = self.sender.as_mut().ok_or(ChainError::NoKey)?;
        Ok((&self.rpc, sender))
    }

    /// Waits for the same transaction if it was sent before, and sends it if not.
    fn send(&mut self, intent: &Intent<'_>) -> Result<Settled, ChainError> {
        let (rpc, sender) = self.sending()?;
        let settled = match sender.resume(rpc, intent)? {
            Some(settled) => settled,
            None => {
                sender.settle_before(rpc, u64::MAX)?;
                sender.send(rpc, intent)?
            }
        };
        sender.checked(rpc, settled, intent.what)
    }

    /// Makes a contract, and returns its address and the block that has it.
    fn create(&mut self, what: &'static str, code: &[u8]) -> Result<(Address, u64), ChainError> {
        let intent = Intent {
            what,
            to: None,
            value: 0,
            data: code,
            keep: true,
            gas_bound: 0,
        };
        let Mined {
            receipt, number, ..
        } = self.send(&intent)?.mined;
        let address = receipt.contract_address.ok_or(ChainError::NotTheContract {
            contract: Bytes([0; 20]),
            chain_id: self.chain_id,
            reason: format!("the receipt of {what} names no address"),
        })?;
        Ok((Bytes(address.into_array()), number))
    }

    /// Deploys a rollup: `parameters` without chain and contract, shapes with their keys. The caller is
    /// the operator. The same deployment once more is the same, sent or not, until
    /// [`Self::deployment_told`].
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn deploy(
        &mut self,
        parameters: Parameters,
        keys: BTreeMap<u16, VerifyingKey>,
    ) -> Result<Found, ChainError> {
        let (path_hasher, _) = self.create("the path hasher", &PATH_HASHER.bytecode())?;
        let listed = parameters.shapes.iter();
        let shapes: Vec<(Shape, &VerifyingKey)> = listed
            .filter_map(|listed| Some((listed.shape, keys.get(&listed.shape.id)?)))
            .collect();
        let depth = parameters.shapes[0].shape.depth;
        let config = constructed(&parameters, depth, path_hasher);
        let mut code = ROLLUP.bytecode();
        code.extend(abi::constructor(&config, &shapes));
        let (contract, block) = self.create("the deployment", &code)?;
        let before = self.anchor(contract, block)?;
        let parameters = Parameters {
            chain_id: self.chain_id,
            contract: Some(contract),
            ..parameters
        };
        Ok(Found {
            parameters,
            keys,
            before,
            block,
        })
    }

    /// Gives up every transaction that waits: an empty one takes its nonce, unless a block has it first.
    /// What another transaction keeps out for good is forgotten.
    ///
    /// # Errors
    /// [`ChainError`]; those that still wait are kept.
    pub fn cancel(&mut self) -> Result<Vec<Unsettled>, ChainError> {
        let (rpc, sender) = self.sending()?;
        sender.cancel(rpc)
    }

    /// What was deployed is known to the caller.
    ///
    /// # Errors
    /// [`ChainError::Io`].
    pub fn deployment_told(&mut self) -> Result<(), ChainError> {
        self.sending()?.1.creations_told()
    }

    pub(crate) fn not_the_contract(&self, contract: Address, reason: &str) -> ChainError {
        ChainError::NotTheContract {
            contract,
            chain_id: self.chain_id,
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn contract(&self, address: Address, at: Option<B256>) -> Contract<'_> {
        Contract {
            rpc: &self.rpc,
            address,
            at,
        }
    }
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

    /// What a transaction did, as its own events tell, whatever amount arrived. An entry of the queue is the
    /// mirror's.
    fn outcome(
        &self,
        mirror: &NativeL1,
        call: Call<'_>,
        settled: &Settled,
        what: &'static str,
    ) -> Result<Outcome, SettleError> {
        let (receipt, block) = (&settled.mined.receipt, settled.mined.hash);
        let of = Some((receipt.transaction_hash, block));
        let logs = receipt.inner.logs().iter();
        let ours = logs.filter(|log| log.address().into_array() == self.contract.0);
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

    /// Lets the contract take an amount of an ERC-20, if it may not yet.
    fn approve(&mut self, mirror: &NativeL1, token: u32, amount: u128) -> Result<(), ChainError> {
        if token == 0 || amount == 0 {
            return Ok(());
        }
        let tokens = mirror.tokens()?;
        let place = usize::try_from(token)
            .ok()
            .and_then(|place| tokens.get(place));
        let Some(erc20) = place.map(|token| token.address) else {
            let tokens = tokens.len();
            return Err(ChainError::Mirror(
                Refusal::UnknownToken { token, tokens }.into(),
            ));
        };
        let owner = self.access.caller()?;
        let allowed = self
            .access
            .contract(self.contract, None)
            .allowance(erc20, owner)?;
        if allowed >= amount {
            return Ok(());
        }
        // Why 0 first: some tokens refuse to change an allowance that is not 0.
        let steps = [(allowed > 0).then_some(0), Some(amount)];
        for amount in steps.into_iter().flatten() {
            let arguments = [abi::address(&self.contract), abi::uint(amount)];
            let data = abi::call("approve(address,uint256)", &arguments);
            let intent = Intent {
                what: "the approval",
                to: Some(erc20),
                value: 0,
                data: &data,
                keep: false,
                gas_bound: 0,
            };
            let (rpc, sender) = self.access.sending()?;
            let settled = sender.send(rpc, &intent)?;
            let settled = sender.checked(rpc, settled, intent.what)?;
            sender.forget(settled.id)?;
        }
        Ok(())
    }

    /// The call as it is sent. Whether its end is kept until it was told: where the contract would do the
    /// same once more, or the caller has to hear an amount.
    fn encode(&self, mirror: &NativeL1, call: Call<'_>) -> Result<Encoded, ChainError> {
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
            Call::Submit { batches, .. } => {
                ("the batches", 0, self.encode_batches(mirror, batches)?)
            }
            Call::Claim { token, .. } => {
                ("the claim", 0, abi::claim(token, &self.access.caller()?))
            }
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
                let data = abi::collect_fees(&self.access.caller()?);
                ("the collection of fees", 0, data)
            }
            Call::ReturnOperator { .. } => ("the return", 0, abi::return_operator()),
            Call::OfferOperator { to, .. } => ("the offer", 0, abi::offer_operator(to.as_ref())),
            Call::AcceptOperator { .. } => ("the acceptance", 0, abi::accept_operator()),
        };
        let keep = match call {
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
        Ok(Encoded {
            what,
            value,
            data,
            keep,
            gas_bound,
        })
    }

    fn encode_batches(
        &self,
        mirror: &NativeL1,
        batches: &[Submission],
    ) -> Result<Vec<u8>, ChainError> {
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

    fn intent<'a>(&self, encoded: &'a Encoded) -> Intent<'a> {
        Intent {
            what: encoded.what,
            to: Some(self.contract),
            value: encoded.value,
            data: &encoded.data,
            keep: encoded.keep,
            gas_bound: encoded.gas_bound,
        }
    }

    fn make(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Called, SettleError> {
        let encoded = self.encode(mirror, call)?;
        let (what, intent) = (encoded.what, self.intent(&encoded));
        let (rpc, sender) = self.access.sending()?;
        let before = sender.resume(rpc, &intent)?;
        let earlier = before.is_some();
        let settled = match before {
            Some(settled) => settled,
            None => {
                // Why first: what waits may be the approval.
                sender.settle_before(rpc, u64::MAX)?;
                self.approve_for(mirror, call)?;
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
        let outcome = self.outcome(mirror, call, &settled, what)?;
        match encoded.keep {
            true => self.untold.push(settled.id),
            false => self.access.sending()?.1.forget(settled.id)?,
        }
        Ok(Called { outcome, earlier })
    }

    /// Lets the contract take what a call pays in.
    fn approve_for(&mut self, mirror: &NativeL1, call: Call<'_>) -> Result<(), ChainError> {
        match call {
            Call::Deposit(deposit) => self.approve(mirror, deposit.token, deposit.amount),
            Call::TopUp { index, amount, .. } => {
                let registered = mirror.registered(index)?;
                let token = registered.map_or(0, |registered| registered.token);
                self.approve(mirror, token, amount)
            }
            _ => Ok(()),
        }
    }
}

/// What the constructor is given.
pub(crate) fn constructed(parameters: &Parameters, depth: u8, path_hasher: Address) -> abi::Config {
    abi::Config {
        operator: parameters.operator.address,
        salt: parameters.salt,
        l1_fee: parameters.l1_fee,
        pending_cap: parameters.pending_cap,
        timestamp_slack: parameters.timestamp_slack,
        takeover_after: parameters.takeover_after,
        freeze_after: parameters.freeze_after,
        depth,
        path_hasher,
    }
}

/// Parameters as the contract can tell them.
fn unnamed(parameters: &Parameters) -> Parameters {
    let mut parameters = parameters.clone();
    parameters.operator.name = "operator".to_owned();
    parameters.shapes.clear();
    parameters
}

/// For each batch what it credits at most, queue entries and withdrawals, and the bytes of its call data at
/// most.
fn sizes(mirror: &NativeL1, batches: &[Submission]) -> impl Iterator<Item = (usize, usize)> {
    batches.iter().map_while(|batch| {
        let shape = &mirror.deployment().shape(batch.shape_id)?.shape;
        let words = PublicWords::from_bytes(&batch.data, shape).ok()?;
        let entries = words.l1_ops.len();
        let bytes = batch.data.len() + entries * ENTRY_BYTES + BATCH_OVERHEAD;
        Some((entries + words.withdrawals.len(), bytes))
    })
}

/// The genesis of a contract's mirror.
///
/// # Errors
/// [`ChainError`] if its parameters break a rule.
pub fn genesis_of(found: &Found) -> Result<Genesis, ChainError> {
    let genesis = Genesis::new(found.parameters.clone(), Vec::new());
    Ok(genesis.map_err(l1::OpenError::from)?)
}

impl Settlement for Chain {
    fn sync(&mut self, mirror: &mut NativeL1) -> Result<(), SettleError> {
        Ok(self.sync_mirror(mirror)?)
    }

    fn call(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Called, SettleError> {
        self.make(mirror, call)
    }

    fn is_unsettled(&self, mirror: &NativeL1, call: Call<'_>) -> bool {
        let encoded = self.encode(mirror, call);
        let has = |encoded: &Encoded| {
            let sender = self.access.sender.as_ref();
            sender.is_some_and(|sender| sender.has(&self.intent(encoded)))
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
