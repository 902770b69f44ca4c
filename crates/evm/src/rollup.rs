//! The rollup deployed on a [`Chain`], with its calls and its answers as types.
//!
//! Invariant: nothing here computes what the contract should say; answers are its own words.

use l1::Address;
use l1::bytes::Bytes;
use l1::evm::abi::{self, Config, Word, call, uint};
use l1::evm::artifacts::{PATH_HASHER, ROLLUP};
use l1::evm::calldata::Entry;
use l1::{Deposit, Exit, TokenTotals};
use ledger::field::{Fr, from_be_bytes};
use ledger::shape::Shape;
use prover::key::VerifyingKey;

use crate::chain::{CallError, Chain, Receipt};

#[derive(Clone, Debug)]
pub struct Rollup {
    pub address: Address,
    /// What its constructor was given.
    pub config: Config,
    /// Gas of its deployment, the path hasher's aside.
    pub deployment_gas: u64,
    /// Gas of the path hasher's deployment.
    pub hasher_gas: u64,
}

/// Where the contract stands; the fields of `head()` and `root()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Root of the account tree.
    pub root: Fr,
    /// Number of the next batch.
    pub next_batch: u64,
    /// Timestamp of the last batch.
    pub timestamp: u64,
    /// First queue entry that is not consumed.
    pub queue_head: u64,
    /// Number that the next entry gets.
    pub queue_tail: u64,
    /// Index that the next account gets.
    pub next_index: u64,
    /// Creates and TopUps that wait.
    pub pending_deposits: u64,
    /// True after a freeze.
    pub frozen: bool,
    /// True if a batch of somebody else was final and the operator is not back.
    pub taken_over: bool,
}

/// Registration of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Owner; zero if the index is not registered.
    pub owner: Address,
    pub token: u32,
    pub exit_pending: bool,
    pub exited: bool,
}

/// Deploys the path hasher and a rollup that uses it. `config.path_hasher` is filled in.
///
/// # Errors
/// [`CallError`] if the constructor refuses.
pub fn deploy(
    chain: &mut Chain,
    from: &Address,
    config: Config,
    shapes: &[(Shape, &VerifyingKey)],
) -> Result<Rollup, CallError> {
    let (path_hasher, hasher) = chain.deploy(from, PATH_HASHER.bytecode())?;
    let config = Config {
        path_hasher,
        ..config
    };
    let (address, receipt) = deploy_code(chain, from, &abi::constructor(&config, shapes))?;
    Ok(Rollup {
        address,
        config,
        deployment_gas: receipt.gas,
        hasher_gas: hasher.gas,
    })
}

/// Deploys a rollup with encoded constructor arguments.
///
/// # Errors
/// [`CallError`] if the constructor refuses.
pub fn deploy_code(
    chain: &mut Chain,
    from: &Address,
    arguments: &[u8],
) -> Result<(Address, Receipt), CallError> {
    let mut code = ROLLUP.bytecode();
    code.extend(arguments);
    chain.deploy(from, code)
}

impl Rollup {
    /// The number that operations are signed for.
    pub fn domain(&self, chain: &Chain) -> Fr {
        ledger::operation::domain(chain.chain_id(), &self.address.0, &self.config.salt.0)
    }

    /// Any call, with wei.
    pub fn send(
        &self,
        chain: &mut Chain,
        from: &Address,
        wei: u128,
        data: Vec<u8>,
    ) -> Result<Receipt, CallError> {
        chain.call(from, &self.address, wei, data)
    }

    /// `deposit`, with the fee and amount that the deposit names.
    pub fn deposit(&self, chain: &mut Chain, deposit: &Deposit) -> Result<Receipt, CallError> {
        let Deposit {
            caller,
            token,
            amount,
            key,
            q,
            fee,
        } = deposit;
        let wei = if *token == 0 {
            fee.saturating_add(*amount)
        } else {
            *fee
        };
        self.send(chain, caller, wei, abi::deposit(*token, *amount, key, q))
    }

    /// `topUp` of an account of a token.
    pub fn top_up(
        &self,
        chain: &mut Chain,
        caller: &Address,
        (index, token): (u32, u32),
        amount: u128,
        fee: u128,
    ) -> Result<Receipt, CallError> {
        let wei = if token == 0 {
            fee.saturating_add(amount)
        } else {
            fee
        };
        self.send(chain, caller, wei, abi::top_up(index, amount))
    }

    pub fn request_exit(
        &self,
        chain: &mut Chain,
        caller: &Address,
        index: u32,
        fee: u128,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, fee, abi::request_exit(index))
    }

    /// `claim` to the caller's own address.
    pub fn claim(
        &self,
        chain: &mut Chain,
        caller: &Address,
        token: u32,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::claim(token, caller))
    }

    pub fn freeze(&self, chain: &mut Chain, caller: &Address) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::freeze())
    }

    pub fn return_operator(
        &self,
        chain: &mut Chain,
        caller: &Address,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::return_operator())
    }

    pub fn offer_operator(
        &self,
        chain: &mut Chain,
        caller: &Address,
        to: Option<&Address>,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::offer_operator(to))
    }

    pub fn accept_operator(
        &self,
        chain: &mut Chain,
        caller: &Address,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::accept_operator())
    }

    pub fn exit(
        &self,
        chain: &mut Chain,
        caller: &Address,
        exit: &Exit,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::exit(exit))
    }

    pub fn cancel_deposit(
        &self,
        chain: &mut Chain,
        caller: &Address,
        number: u64,
        entry: &Entry,
    ) -> Result<Receipt, CallError> {
        self.send(chain, caller, 0, abi::cancel_deposit(number, entry))
    }

    /// Root and head.
    ///
    /// # Panics
    /// If the contract does not answer as its interface says.
    pub fn state(&self, chain: &mut Chain) -> State {
        let [root] = self.words(chain, &call("root()", &[]));
        let head = self.words::<8>(chain, &call("head()", &[]));
        let [
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending,
            frozen,
            taken_over,
        ] = head.map(|word| u64_of(&word));
        State {
            root: from_be_bytes(&root).expect("the contract keeps roots below r"),
            next_batch,
            timestamp,
            queue_head,
            queue_tail,
            next_index,
            pending_deposits: pending,
            frozen: frozen == 1,
            taken_over: taken_over == 1,
        }
    }

    /// Totals of a token.
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn totals(&self, chain: &mut Chain, token: u32) -> TokenTotals {
        let words = self.words::<3>(chain, &call("totals(uint32)", &[uint(token.into())]));
        let [balances, claimable, pending] = words.map(|word| u128_of(&word));
        TokenTotals {
            escrow: balances + claimable + pending,
            claimable,
            pending,
        }
    }

    /// What an owner may claim.
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn claimable(&self, chain: &mut Chain, owner: &Address, token: u32) -> u128 {
        let data = call(
            "claimable(address,uint32)",
            &[abi::address(owner), uint(token.into())],
        );
        let [amount] = self.words(chain, &data);
        u128_of(&amount)
    }

    /// Registration of an index.
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn account(&self, chain: &mut Chain, index: u32) -> Account {
        let [owner, token, pending, exited] =
            self.words(chain, &call("account(uint32)", &[uint(index.into())]));
        Account {
            owner: address_of(&owner),
            token: u32::try_from(u64_of(&token)).expect("token ids have 32 bits"),
            exit_pending: u64_of(&pending) == 1,
            exited: u64_of(&exited) == 1,
        }
    }

    /// What is kept of a waiting entry, else 0; see [`Entry::kept`].
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn kept(&self, chain: &mut Chain, number: u64) -> Bytes<32> {
        let data = call("queueEntry(uint40)", &[uint(number.into())]);
        let [mut kept, time] = self.words(chain, &data);
        assert_eq!(kept[27..], [0; 5], "a hash of 27 bytes");
        kept[27..].copy_from_slice(&time[27..]);
        Bytes(kept)
    }

    /// The operator, the address to which it offers its role, and when an operator returned last.
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn operator(&self, chain: &mut Chain) -> (Address, Option<Address>, u64) {
        let [operator] = self.words(chain, &call("operator()", &[]));
        let [offered] = self.words(chain, &call("offeredOperator()", &[]));
        let [back_at] = self.words(chain, &call("operatorBackAt()", &[]));
        let offered = Some(address_of(&offered)).filter(|offered| *offered != l1::NOBODY);
        (address_of(&operator), offered, u64_of(&back_at))
    }

    /// Fees that wait for the operator.
    ///
    /// # Panics
    /// As [`Self::state`].
    pub fn operator_fees(&self, chain: &mut Chain) -> u128 {
        let [fees] = self.words(chain, &call("operatorFees()", &[]));
        u128_of(&fees)
    }

    fn words<const N: usize>(&self, chain: &mut Chain, data: &[u8]) -> [Word; N] {
        let output = chain.view(&self.address, data.to_vec());
        words(&output.expect("views of the contract do not fail"))
    }
}

/// `N` words of an answer.
///
/// # Panics
/// If it has another length.
pub fn words<const N: usize>(output: &[u8]) -> [Word; N] {
    let (words, rest) = output.as_chunks::<32>();
    assert!(rest.is_empty(), "an answer is whole words");
    words
        .try_into()
        .expect("an answer has as many words as its interface says")
}

/// A word that has an integer below 2^64.
///
/// # Panics
/// If it is larger.
pub fn u64_of(word: &Word) -> u64 {
    u64::try_from(u128_of(word)).expect("the interface says less than 2^64")
}

/// A word that has an integer below 2^128.
///
/// # Panics
/// If it is larger.
pub fn u128_of(word: &Word) -> u128 {
    let (high, low) = word.split_at(16);
    assert_eq!(high, [0; 16], "the interface says less than 2^128");
    u128::from_be_bytes(low.try_into().expect("half a word"))
}

/// A word that has an address.
pub fn address_of(word: &Word) -> Address {
    let (_, tail) = word.split_at(12);
    Bytes(tail.try_into().expect("20 bytes"))
}
