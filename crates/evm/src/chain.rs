//! An EVM in memory: accounts, calls as transactions, time, snapshots.
//!
//! Invariant: a call is a transaction of its own, with the receipt's gas (refunds, floor and
//! intrinsic costs included); one that fails changes nothing but what the sender paid, which is
//! nothing here: gas has no price.

use l1::Address;
use l1::bytes::Bytes;
use l1::evm::calldata::MAX_GAS;
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::context_interface::ContextTr;
use revm::context_interface::result::{ExecutionResult, Output};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address as RevmAddress, TxKind, U256};
use revm::state::{AccountInfo, Bytecode};
use revm::{ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainnetEvm};
use thiserror::Error;

/// Greatest length of a contract's code (EIP-170).
pub const MAX_CODE_BYTES: usize = 24_576;

type Db = CacheDB<EmptyDB>;

/// A chain in memory.
pub struct Chain {
    evm: MainnetEvm<MainnetContext<Db>>,
}

/// State and block of a chain at some time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    db: Db,
    block: BlockEnv,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub address: Address,
    /// Hash of the signature and indexed fields.
    pub topics: Vec<[u8; 32]>,
    pub data: Vec<u8>,
}

/// What a successful call leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Gas of the receipt.
    pub gas: u64,
    /// Gas before refunds: what the limit of the transaction must cover.
    pub limit: u64,
    pub output: Vec<u8>,
    pub logs: Vec<Log>,
}

/// Why a call did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    #[error("reverted with 0x{}", hex::encode(output))]
    Reverted {
        /// Gas of the receipt.
        gas: u64,
        output: Vec<u8>,
    },
    /// The machine stopped: no gas, or an invalid instruction.
    #[error("halted: {reason}")]
    Halted {
        /// Gas of the receipt.
        gas: u64,
        reason: String,
    },
    /// The transaction is not one that a block may hold.
    #[error("not a valid transaction: {0}")]
    Invalid(String),
}

impl Chain {
    /// A chain without accounts at block 1.
    pub fn new(chain_id: u64, time: u64) -> Self {
        let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA).with_chain_id(chain_id);
        cfg.disable_nonce_check = true;
        let block = BlockEnv {
            number: U256::from(1),
            timestamp: U256::from(time),
            gas_limit: u64::MAX,
            ..BlockEnv::default()
        };
        let context: MainnetContext<Db> = Context::new(Db::default(), SpecId::OSAKA);
        let evm = context.with_cfg(cfg).with_block(block).build_mainnet();
        Self { evm }
    }

    pub fn chain_id(&self) -> u64 {
        self.evm.ctx.cfg.chain_id
    }

    /// Timestamp of the current block, in which all calls happen.
    pub fn time(&self) -> u64 {
        u64::try_from(self.evm.ctx.block.timestamp).expect("set from 64 bits")
    }

    /// Starts the next block with this timestamp.
    pub fn set_time(&mut self, time: u64) {
        self.evm.ctx.block.timestamp = U256::from(time);
        self.evm.ctx.block.number += U256::from(1);
    }

    /// Gives an address this much wei, without code and nonce.
    pub fn fund(&mut self, address: &Address, wei: u128) {
        let info = AccountInfo::from_balance(U256::from(wei));
        self.evm
            .ctx
            .db_mut()
            .insert_account_info(revm_address(address), info);
    }

    /// Wei of an address.
    pub fn balance(&mut self, address: &Address) -> u128 {
        let account = self.evm.ctx.db_mut().load_account(revm_address(address));
        let Ok(account) = account;
        u128::try_from(account.info.balance).expect("a test chain has less than 2^128 wei")
    }

    /// Deploys code with its constructor's arguments.
    pub fn deploy(
        &mut self,
        from: &Address,
        code: Vec<u8>,
    ) -> Result<(Address, Receipt), CallError> {
        self.deploy_with(from, 0, code)
    }

    /// Deploys code and sends it wei.
    pub fn deploy_with(
        &mut self,
        from: &Address,
        wei: u128,
        code: Vec<u8>,
    ) -> Result<(Address, Receipt), CallError> {
        self.create(from, wei, code, MAX_GAS)
    }

    /// Deploys code with this much gas.
    pub fn deploy_with_gas(
        &mut self,
        from: &Address,
        code: Vec<u8>,
        gas: u64,
    ) -> Result<(Address, Receipt), CallError> {
        self.create(from, 0, code, gas)
    }

    fn create(
        &mut self,
        from: &Address,
        wei: u128,
        code: Vec<u8>,
        gas: u64,
    ) -> Result<(Address, Receipt), CallError> {
        let nonce = self.evm.ctx.db_mut().load_account(revm_address(from));
        let Ok(account) = nonce;
        let nonce = account.info.nonce;
        let (receipt, created) = self.transact(from, TxKind::Create, wei, code, gas, nonce)?;
        let address = created.expect("a deployment that succeeds has an address");
        Ok((Bytes(address.into()), receipt))
    }

    /// Calls a contract with the greatest gas limit.
    pub fn call(
        &mut self,
        from: &Address,
        to: &Address,
        wei: u128,
        data: Vec<u8>,
    ) -> Result<Receipt, CallError> {
        self.call_with_gas(from, to, wei, data, MAX_GAS)
    }

    /// Calls a contract.
    pub fn call_with_gas(
        &mut self,
        from: &Address,
        to: &Address,
        wei: u128,
        data: Vec<u8>,
        gas: u64,
    ) -> Result<Receipt, CallError> {
        let kind = TxKind::Call(revm_address(to));
        Ok(self.transact(from, kind, wei, data, gas, 0)?.0)
    }

    fn transact(
        &mut self,
        from: &Address,
        kind: TxKind,
        wei: u128,
        data: Vec<u8>,
        gas_limit: u64,
        nonce: u64,
    ) -> Result<(Receipt, Option<RevmAddress>), CallError> {
        let tx = TxEnv {
            caller: revm_address(from),
            gas_limit,
            gas_price: 0,
            kind,
            value: U256::from(wei),
            data: data.into(),
            nonce,
            chain_id: None,
            ..TxEnv::default()
        };
        let result = self.evm.transact_commit(tx);
        finished(result.map_err(|error| CallError::Invalid(error.to_string()))?)
    }

    /// Calls a contract and forgets what it changed.
    pub fn view(&mut self, to: &Address, data: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let tx = TxEnv {
            gas_limit: MAX_GAS,
            gas_price: 0,
            kind: TxKind::Call(revm_address(to)),
            data: data.into(),
            chain_id: None,
            ..TxEnv::default()
        };
        let result = self.evm.transact(tx);
        let result = result.map_err(|error| CallError::Invalid(error.to_string()))?;
        Ok(finished(result.result)?.0.output)
    }

    /// Makes an address run a contract's code as its own, as an EIP-7702 authorization does.
    pub fn delegate(&mut self, address: &Address, to: &Address) {
        let code = Bytecode::new_eip7702(revm_address(to));
        let db = self.evm.ctx.db_mut();
        let Ok(account) = db.load_account(revm_address(address));
        let info = AccountInfo {
            code_hash: code.hash_slow(),
            code: Some(code),
            ..account.info.clone()
        };
        db.insert_account_info(revm_address(address), info);
    }

    /// State and block as they are.
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            db: self.evm.ctx.db_mut().clone(),
            block: self.evm.ctx.block.clone(),
        }
    }

    /// Goes back (a reorg drops everything since).
    pub fn restore(&mut self, snapshot: &Snapshot) {
        *self.evm.ctx.db_mut() = snapshot.db.clone();
        self.evm.ctx.block = snapshot.block.clone();
    }

    /// Length of a contract's code.
    pub fn code_bytes(&mut self, address: &Address) -> usize {
        let account = self.evm.ctx.db_mut().load_account(revm_address(address));
        let Ok(account) = account;
        let hash = account.info.code_hash;
        let code = self.evm.ctx.db_mut().cache.contracts.get(&hash);
        code.map_or(0, |code| code.original_bytes().len())
    }
}

/// What a transaction came to, with the address of a contract that it made.
fn finished(result: ExecutionResult) -> Result<(Receipt, Option<RevmAddress>), CallError> {
    match result {
        ExecutionResult::Success {
            gas, logs, output, ..
        } => {
            let (output, created) = match output {
                Output::Call(output) => (output, None),
                Output::Create(output, address) => (output, address),
            };
            let receipt = Receipt {
                gas: gas.tx_gas_used(),
                limit: gas.total_gas_spent().max(gas.floor_gas()),
                output: output.to_vec(),
                logs: logs.iter().map(log).collect(),
            };
            Ok((receipt, created))
        }
        ExecutionResult::Revert { gas, output, .. } => Err(CallError::Reverted {
            gas: gas.tx_gas_used(),
            output: output.to_vec(),
        }),
        ExecutionResult::Halt { gas, reason, .. } => Err(CallError::Halted {
            gas: gas.tx_gas_used(),
            reason: format!("{reason:?}"),
        }),
    }
}

fn log(log: &revm::primitives::Log) -> Log {
    Log {
        address: Bytes(log.address.into()),
        topics: log.data.topics().iter().map(|topic| topic.0).collect(),
        data: log.data.data.to_vec(),
    }
}

fn revm_address(address: &Address) -> RevmAddress {
    RevmAddress::from(address.0)
}
