//! A rollup's contract on a chain: deployed, and called.
//!
//! Invariants: a node of another chain is refused before anything is asked or sent; a contract is used
//! only if its code is the committed one and its constants are those of the mirror; what a call came to
//! is read from the receipt, and the mirror is brought in line before the caller hears of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::B256;
use alloy::rpc::types::TransactionReceipt;
use l1::bytes::Bytes;
use l1::evm::abi;
use l1::evm::artifacts::{PATH_HASHER, ROLLUP};
use l1::evm::calldata::{ENTRY_BYTES, Entry, carried, encode_batch, encode_batches};
use l1::genesis::Parameters;
use l1::{Address, Genesis, NativeL1, Refusal, StoreError, Submission};
use ledger::shape::Shape;
use ledger::words::PublicWords;
use node::{Call, Outcome, SettleError, Settlement};
use prover::key::VerifyingKey;

use crate::contract::{Contract, Event};
use crate::error::ChainError;
use crate::found::Found;
use crate::key::EthKey;
use crate::mirror::Mirror;
use crate::rpc::Rpc;
use crate::sender::{Intent, Sender};

/// Bytes of a batch besides its published data, at most.
const BATCH_OVERHEAD: usize = 512;
/// Questions until a node that had a transaction's receipt has its block.
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
        Ok(Self {
            rpc,
            chain_id: got,
            sender: key.map(|key| Sender::new(key, got, outbox)),
        })
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

    fn send(
        &self,
        what: &'static str,
        to: Option<Address>,
        value: u128,
        data: &[u8],
    ) -> Result<TransactionReceipt, ChainError> {
        let intent = Intent {
            what,
            to,
            value,
            data,
        };
        self.sender()?.send(&self.rpc, intent)
    }

    /// Deploys a rollup: `parameters` without chain and contract, shapes with their keys. The caller is
    /// the operator.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn deploy(
        &self,
        parameters: Parameters,
        keys: BTreeMap<u16, VerifyingKey>,
    ) -> Result<Found, ChainError> {
        let hasher = self.send("the path hasher", None, 0, &PATH_HASHER.bytecode())?;
        let path_hasher = created(&hasher, self.chain_id)?;
        let listed = parameters.shapes.iter();
        let shapes: Vec<(Shape, &VerifyingKey)> = listed
            .filter_map(|listed| Some((listed.shape, keys.get(&listed.shape.id)?)))
            .collect();
        let config = abi::Config {
            operator: parameters.operator.address,
            salt: parameters.salt,
            l1_fee: parameters.l1_fee,
            pending_cap: parameters.pending_cap,
            timestamp_slack: parameters.timestamp_slack,
            freeze_after: parameters.freeze_after,
            depth: parameters.shapes[0].shape.depth,
            path_hasher,
        };
        let mut code = ROLLUP.bytecode();
        code.extend(abi::constructor(&config, &shapes));
        let receipt = self.send("the deployment", None, 0, &code)?;
        let contract = created(&receipt, self.chain_id)?;
        let block = receipt.block_number.unwrap_or(0);
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

fn created(receipt: &TransactionReceipt, chain_id: u64) -> Result<Address, ChainError> {
    let address = receipt
        .contract_address
        .map(|address| Bytes(address.into_array()));
    address.ok_or(ChainError::NotTheContract {
        contract: Bytes([0; 20]),
        chain_id,
        reason: "the receipt of its deployment names no address".to_owned(),
    })
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
            && view.parameters(got)? == unnamed(parameters);
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
        })
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.access.rpc
    }

    fn sync_mirror(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        self.mirror.sync(&self.access.rpc, mirror)
    }

    /// Brings the mirror in line until it has the block of a receipt.
    fn follow(
        &mut self,
        mirror: &mut NativeL1,
        receipt: &TransactionReceipt,
    ) -> Result<(), ChainError> {
        let number = receipt.block_number.unwrap_or(0);
        for attempt in 0..CATCH_UP {
            self.sync_mirror(mirror)?;
            if self.mirror.head() >= number {
                return Ok(());
            }
            self.access
                .rpc
                .pause(Duration::from_millis(200) * (attempt + 1));
        }
        Err(ChainError::Unsteady { attempts: CATCH_UP })
    }

    fn events(&self, receipt: &TransactionReceipt) -> Vec<Event> {
        let ours = receipt.inner.logs().iter();
        let ours = ours.filter(|log| log.address().into_array() == self.contract.0);
        ours.filter_map(Event::decode).collect()
    }

    /// Lets the contract take an amount of an ERC-20, if it may not yet.
    fn approve(&self, mirror: &NativeL1, token: u32, amount: u128) -> Result<(), ChainError> {
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
        let approve = |amount: u128| {
            let arguments = [abi::address(&self.contract), abi::uint(amount)];
            let data = abi::call("approve(address,uint256)", &arguments);
            self.access.send("the approval", Some(erc20), 0, &data)
        };
        // Why: some tokens refuse to change an allowance that is not 0.
        if allowed > 0 {
            approve(0)?;
        }
        approve(amount)?;
        Ok(())
    }

    /// Call data, value and a name.
    fn encode(
        &self,
        mirror: &NativeL1,
        call: Call<'_>,
    ) -> Result<(&'static str, u128, Vec<u8>), ChainError> {
        let fee = mirror.deployment().parameters().l1_fee;
        let value = |token: u32, amount: u128| match token {
            0 => fee.saturating_add(amount),
            _ => fee,
        };
        Ok(match call {
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
            Call::Freeze => {
                let oldest = mirror.pending(1)?;
                let oldest = oldest.first().ok_or(Refusal::QueueEmpty);
                let oldest = oldest.map_err(l1::L1Error::from)?;
                ("the freeze", 0, abi::freeze(&Entry::from(oldest)))
            }
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

    fn make(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Outcome, ChainError> {
        match call {
            Call::Deposit(deposit) => self.approve(mirror, deposit.token, deposit.amount)?,
            Call::TopUp { index, amount, .. } => {
                let token = mirror
                    .registered(index)?
                    .map_or(0, |registered| registered.token);
                self.approve(mirror, token, amount)?;
            }
            _ => {}
        }
        let (what, value, data) = self.encode(mirror, call)?;
        let receipt = self.access.send(what, Some(self.contract), value, &data)?;
        self.follow(mirror, &receipt)?;
        let outcome = self
            .events(&receipt)
            .into_iter()
            .find_map(|event| match event {
                Event::Queued { number, .. } => Some(Outcome::Entry(number)),
                Event::Claimed { amount, .. }
                | Event::Exited { amount, .. }
                | Event::DepositCancelled { amount, .. }
                | Event::FeesCollected { amount } => Some(Outcome::Amount(amount)),
                _ => None,
            });
        Ok(outcome.unwrap_or(Outcome::Done))
    }
}

/// Parameters as the contract can tell them.
fn unnamed(parameters: &Parameters) -> Parameters {
    let mut parameters = parameters.clone();
    parameters.operator.name = "operator".to_owned();
    parameters.shapes.clear();
    parameters
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

    fn call(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Outcome, SettleError> {
        Ok(self.make(mirror, call)?)
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

    fn at_once(&self, mirror: &NativeL1, batches: &[Submission]) -> usize {
        let sizes = batches.iter().map_while(|batch| {
            let shape = &mirror.deployment().shape(batch.shape_id)?.shape;
            let words = PublicWords::from_bytes(&batch.data, shape).ok()?;
            let entries = words.l1_ops.len();
            let bytes = batch.data.len() + entries * ENTRY_BYTES + BATCH_OVERHEAD;
            Some((entries + words.withdrawals.len(), bytes))
        });
        carried(sizes)
    }
}
