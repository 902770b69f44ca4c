//! Where calls of L1 go: to the native L1, or to a contract of which the native L1 is the mirror.
//!
//! A contract's mirror is a native L1 made from the contract's deployment, to which every transaction of
//! the contract is applied in the order of the chain. Everything is read from it, so every command and
//! every check is the same for both. Invariant: the native L1 of a contract changes only by what its
//! [`Settlement`] found on the chain; what a caller wants is sent to the chain and comes back from there.

use files::AnyClassified;
use l1::token::TokenDisplay;
use l1::{
    Address, Confirmed, Deposit, Exit, FinalizedBatch, L1Error, NativeL1, QueueEntry, StoreError,
    Submission,
};
use ledger::operation::L1Op;
use thiserror::Error;

/// A call that changes L1.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A deposit into a new account.
    Deposit(&'a Deposit),
    /// An addition to an account.
    TopUp {
        /// Who calls and pays.
        caller: Address,
        index: u32,
        /// How much, in the token's smallest unit.
        amount: u128,
    },
    /// A request for the whole balance of an account.
    RequestExit {
        /// Who calls: the account's owner.
        caller: Address,
        index: u32,
    },
    /// The next batches, of one shape.
    Submit {
        /// Who calls: the operator, or anybody while batches are open.
        caller: Address,
        batches: &'a [Submission],
    },
    /// Payment of everything that the caller may claim of a token.
    Claim {
        /// Who calls and is paid.
        caller: Address,
        token: u32,
    },
    /// The end, for good.
    Freeze,
    /// An account under the last root of a frozen L1 is paid out.
    Exit(&'a Exit),
    /// A waiting deposit of a frozen L1 is given back; the number of its queue entry.
    CancelDeposit(u64),
    /// An ERC-20 gets the next token id.
    AddToken(Address),
    /// The operator is paid the fees kept so far.
    CollectFees {
        /// Who calls: the operator.
        caller: Address,
    },
    /// The operator returns: for an hour it alone may submit batches.
    ReturnOperator {
        /// Who calls: the operator.
        caller: Address,
    },
    /// The operator offers its role to an address, or withdraws the offer.
    OfferOperator {
        /// Who calls: the operator.
        caller: Address,
        /// Whom it is offered; none withdraws an offer.
        to: Option<Address>,
    },
    /// The address to which the operator role was offered takes it.
    AcceptOperator {
        /// Who calls: the new operator.
        caller: Address,
    },
}

impl Call<'_> {
    /// True if this entry of the queue is what the call asks for: after a reorganization another may
    /// stand in its place. Whatever amount arrived: tokens pay out less than was sent, or more.
    pub fn asks_for(&self, entry: &QueueEntry) -> bool {
        match (self, &entry.op) {
            (Self::Deposit(deposit), L1Op::Create { token, key, .. }) => {
                (entry.payer, *token, key) == (deposit.caller, deposit.token, &deposit.key)
            }
            (Self::TopUp { caller, index, .. }, L1Op::TopUp { .. })
            | (Self::RequestExit { caller, index }, L1Op::ForcedExit { .. }) => {
                (entry.payer, entry.op.index()) == (*caller, *index)
            }
            _ => false,
        }
    }
}

/// What a call came to, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// What it came to.
    pub outcome: Outcome,
    /// The same call had been made before, by a command that ended without telling its caller: this is
    /// what became of it, and nothing was sent now.
    pub earlier: bool,
}

/// A transaction that was signed and whose outcome is unacknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    pub what: String,
    pub nonce: u64,
    /// Hash of the transaction, of that which offers most.
    pub hash: String,
    pub status: TransactionStatus,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// It may come into a block.
    Waits,
    /// This block has it.
    InBlock(u64),
    /// This block has it, and it failed there: only gas was paid.
    Failed(u64),
    /// Another transaction has its nonce, or the node has lost what it knew of it.
    NonceUsed,
    /// An empty transaction took its nonce: it never happened.
    Cancelled,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An entry of the queue, by its number.
    Entry(u64),
    /// An amount that was paid or credited.
    Amount(u128),
    /// Nothing to tell.
    Done,
}

/// Why a call did not happen, or nobody knows whether it did.
#[derive(Debug, Error)]
pub enum SettleError {
    /// L1 refuses, or its file cannot be read or written.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The chain, or what lies between it and this program.
    #[error(transparent)]
    Chain(AnyClassified),
    /// The call was in a block that the chain has dropped again.
    #[error(
        "the chain has dropped the block with {what} again: run the command once more, which finds out where it stands"
    )]
    Dropped {
        /// What was called.
        what: &'static str,
    },
}

impl From<StoreError> for SettleError {
    fn from(error: StoreError) -> Self {
        Self::L1(error.into())
    }
}

/// A contract on a chain, seen through one of the chain's nodes.
pub trait Settlement: Send {
    /// Brings the mirror in line with the chain.
    ///
    /// # Errors
    /// [`SettleError`]; what was applied before stays, and is what the chain had.
    fn sync(&mut self, mirror: &mut NativeL1) -> Result<(), SettleError>;

    /// Sends a call, waits until a block has it, and brings the mirror in line.
    ///
    /// # Errors
    /// [`SettleError`]. After one of the network the call may still come into a block: the same call
    /// once more finds it and is not sent twice, until [`Self::acknowledge`] says that its outcome is known.
    fn call(&mut self, mirror: &mut NativeL1, call: Call<'_>) -> Result<Called, SettleError>;

    /// True if the same call was made before and its outcome is unacknowledged.
    fn is_unacknowledged(&self, mirror: &NativeL1, call: Call<'_>) -> bool;

    /// The outcomes of the calls before were reported to whoever asked: the same call from now on is
    /// another one.
    ///
    /// # Errors
    /// [`SettleError`] if that cannot be written down.
    fn acknowledge(&mut self) -> Result<(), SettleError>;

    /// Transactions of the key that signs whose outcome is unacknowledged, by nonce.
    fn unacknowledged(&self) -> Vec<Unacknowledged>;

    /// Who calls: the address of the key that signs transactions.
    ///
    /// # Errors
    /// If there is no key.
    fn caller(&self) -> Result<Address, SettleError>;

    /// Timestamp of the chain's last block at the last [`Self::sync`], seconds since 1970.
    fn time(&self) -> u64;

    /// The mirror's height at the last block of the chain that has at least so many on top; none if the
    /// chain is shorter.
    fn confirmed_height(&self, confirmations: u64) -> Option<u64>;

    /// Blocks of the chain on top of the one whose events the mirror applied as its block of this height.
    fn blocks_on(&self, height: u64) -> u64;

    /// What an ERC-20 says of itself: nothing that cannot be shown, and nothing if it fails.
    ///
    /// # Errors
    /// If the chain cannot be reached.
    fn token_display(&self, erc20: Address) -> Result<TokenDisplay, SettleError>;

    /// How many of the batches, from the first on, one transaction can carry.
    fn at_once(&self, mirror: &NativeL1, batches: &[Submission]) -> usize;
}

/// Where calls go.
#[derive(Default)]
pub struct Link(Option<Box<dyn Settlement>>);

impl Link {
    /// To a contract.
    pub fn to(chain: Box<dyn Settlement>) -> Self {
        Self(Some(chain))
    }

    /// True if calls go to a contract.
    pub fn is_remote(&self) -> bool {
        self.0.is_some()
    }

    /// Brings a mirror in line with its chain. A native L1 is its own truth.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn sync(&mut self, l1: &mut NativeL1) -> Result<(), SettleError> {
        match &mut self.0 {
            Some(chain) => chain.sync(l1),
            None => Ok(()),
        }
    }

    /// Who calls: `own` on a native L1, else the address of the key that signs transactions.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn caller(&self, own: Address) -> Result<Address, SettleError> {
        match &self.0 {
            Some(chain) => chain.caller(),
            None => Ok(own),
        }
    }

    /// L1's time when the system's clock says `now`: on a chain that of its last block.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn time(&self, l1: &NativeL1, now: u64) -> Result<u64, StoreError> {
        match &self.0 {
            Some(chain) => l1.time(chain.time()),
            None => l1.time(now),
        }
    }

    /// Queue entries and batches that have at least so many blocks on top of theirs: blocks of the chain,
    /// where there is one.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn confirmed(&self, l1: &NativeL1, confirmations: u64) -> Result<Confirmed, StoreError> {
        let Some(chain) = &self.0 else {
            return l1.confirmed(confirmations);
        };
        match chain.confirmed_height(confirmations) {
            Some(height) => l1.confirmed(l1.head()?.height.saturating_sub(height)),
            None => Ok(Confirmed {
                queue_tail: 0,
                batches: 0,
            }),
        }
    }

    /// Blocks on top of L1's block of this height: blocks of the chain, where there is one.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn blocks_on(&self, l1: &NativeL1, height: u64) -> Result<u64, StoreError> {
        match &self.0 {
            Some(chain) => Ok(chain.blocks_on(height)),
            None => Ok(l1.head()?.height.saturating_sub(height)),
        }
    }

    /// What an ERC-20 says of itself; none on a native L1.
    ///
    /// # Errors
    /// If the chain cannot be reached.
    pub fn token_display(&self, erc20: Address) -> Result<Option<TokenDisplay>, SettleError> {
        let chain = self.0.as_ref();
        chain.map(|chain| chain.token_display(erc20)).transpose()
    }

    /// Asks a token of a contract what it says of itself, unless that is known, and keeps it.
    ///
    /// # Errors
    /// If the chain cannot be reached, or the mirror not be written.
    pub fn learn_token(&self, l1: &NativeL1, erc20: Address) -> Result<(), SettleError> {
        if l1.token_display(erc20)?.is_some() {
            return Ok(());
        }
        match self.token_display(erc20)? {
            Some(display) => Ok(l1.keep_token_display(erc20, &display)?),
            None => Ok(()),
        }
    }

    /// How many of the batches can be submitted in one call.
    pub fn at_once(&self, l1: &NativeL1, batches: &[Submission]) -> usize {
        match &self.0 {
            Some(chain) => chain.at_once(l1, batches).max(1),
            None => batches.len(),
        }
    }

    /// Makes a call. Once its outcome was reported, [`Self::acknowledge`] is to be called.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn call(
        &mut self,
        l1: &mut NativeL1,
        call: Call<'_>,
        now: u64,
    ) -> Result<Called, SettleError> {
        match &mut self.0 {
            Some(chain) => chain.call(l1, call),
            None => Ok(Called {
                outcome: native_call(l1, call, now)?,
                earlier: false,
            }),
        }
    }

    /// True if the same call was made before and its outcome is unacknowledged.
    pub fn is_unacknowledged(&self, l1: &NativeL1, call: Call<'_>) -> bool {
        let chain = self.0.as_ref();
        chain.is_some_and(|chain| chain.is_unacknowledged(l1, call))
    }

    /// The outcomes of the calls before were reported: the same call from now on is another one.
    ///
    /// # Errors
    /// [`SettleError`] if that cannot be written down.
    pub fn acknowledge(&mut self) -> Result<(), SettleError> {
        match &mut self.0 {
            Some(chain) => chain.acknowledge(),
            None => Ok(()),
        }
    }

    /// Transactions whose outcome is unacknowledged.
    pub fn unacknowledged(&self) -> Vec<Unacknowledged> {
        self.0
            .as_ref()
            .map_or(Vec::new(), |chain| chain.unacknowledged())
    }

    /// Submits batches and returns them as L1 has them.
    ///
    /// # Errors
    /// [`SettleError`]; none of them is final if L1 refuses.
    pub fn submit(
        &mut self,
        l1: &mut NativeL1,
        caller: Address,
        batches: &[Submission],
        now: u64,
    ) -> Result<Vec<FinalizedBatch>, SettleError> {
        let first = l1.head()?.next_batch;
        self.call(l1, Call::Submit { caller, batches }, now)?;
        let finalized = l1.batches(first, batches.len())?;
        let same = |(on_l1, sent): (&FinalizedBatch, &Submission)| on_l1.submission == *sent;
        if finalized.len() == batches.len() && finalized.iter().zip(batches).all(same) {
            return Ok(finalized);
        }
        Err(SettleError::Dropped {
            what: "the batches",
        })
    }
}

/// Makes a call of a native L1.
pub(crate) fn native_call(l1: &NativeL1, call: Call<'_>, now: u64) -> Result<Outcome, L1Error> {
    let fee = l1.deployment().parameters().l1_fee;
    Ok(match call {
        Call::Deposit(deposit) => {
            l1.deposit(deposit, now)?;
            Outcome::Entry(l1.head()?.queue_tail - 1)
        }
        Call::TopUp {
            caller,
            index,
            amount,
        } => Outcome::Entry(l1.top_up(caller, index, amount, fee, now)?),
        Call::RequestExit { caller, index } => {
            Outcome::Entry(l1.request_exit(caller, index, fee, now)?)
        }
        Call::Submit { caller, batches } => {
            l1.submit_batches(caller, batches, now)?;
            Outcome::Done
        }
        Call::Claim { caller, token } => Outcome::Amount(l1.claim(caller, token, now)?),
        Call::Freeze => {
            l1.freeze(now)?;
            Outcome::Done
        }
        Call::Exit(exit) => Outcome::Amount(l1.exit(exit, now)?),
        Call::CancelDeposit(number) => Outcome::Amount(l1.cancel_deposit(number, now)?.amount),
        Call::AddToken(token) => {
            l1.add_token(token, now)?;
            Outcome::Done
        }
        Call::CollectFees { caller } => Outcome::Amount(l1.collect_fees(caller, now)?),
        Call::ReturnOperator { caller } => {
            l1.return_operator(caller, now)?;
            Outcome::Done
        }
        Call::OfferOperator { caller, to } => {
            l1.offer_operator(caller, to, now)?;
            Outcome::Done
        }
        Call::AcceptOperator { caller } => {
            l1.accept_operator(caller, now)?;
            Outcome::Done
        }
    })
}
