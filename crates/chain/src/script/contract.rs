//! The contract of a chain in memory.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address as EthAddress, B256, LogData};
use alloy::rpc::types::Log;
use l1::bytes::Bytes;
use l1::evm::abi::{self, Word};
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Address, Genesis, NativeL1, Parameters};
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::field::{Fr, to_be_bytes};
use ledger::shape::Shape;

use crate::contract::ContractState;
use crate::events::{QUEUED, TOKEN_ADDED, topic};

pub(crate) const L1_FEE: u128 = 3;
pub(crate) const CONTRACT: Address = Bytes([0xcc; 20]);
const PAYER: Address = Bytes([0xaa; 20]);
const FREEZE_AFTER: u64 = 604_800;

/// What somebody else does, who is never short of money and asks nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Lists the next token.
    AddToken,
    /// A deposit of a token into the next account.
    Deposit(u32, u128),
    /// A top-up of an account.
    TopUp(u32, u128),
    /// The rollup is frozen.
    Freeze,
    /// Another program sends a transaction with this key.
    UseNonce(Address),
}

/// What the constructor fixed.
#[derive(Clone)]
pub(super) struct Fixed {
    parameters: Parameters,
    domain: Fr,
    depth: u8,
}

/// Contract and accounts after a block.
#[derive(Clone)]
pub(super) struct State {
    pub(super) standing: ContractState,
    /// Token and owner of each account, from index 1.
    accounts: Vec<(u32, Address)>,
    pub(super) pending: BTreeMap<u32, u128>,
    /// Times of the queue's entries.
    entries: Vec<u64>,
    /// Accounts whose exit waits.
    exiting: BTreeSet<u32>,
    /// What the contract may take of an ERC-20 from an owner.
    allowances: BTreeMap<(Address, Address), u128>,
    nonces: BTreeMap<Address, u64>,
}

/// A call of a contract.
pub(super) struct Sent<'a> {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: u128,
    pub(super) data: &'a [u8],
}

/// An entry of the queue before it has a number.
struct Entry {
    kind: u128,
    index: u32,
    token: u32,
    amount: u128,
    key: [Word; 2],
    payer: Address,
}

impl Fixed {
    pub(super) fn of(mirror: &NativeL1) -> Self {
        Self {
            parameters: mirror.deployment().parameters().clone(),
            domain: mirror.domain(),
            depth: mirror.deployment().depth(),
        }
    }
}

impl State {
    pub(super) fn new(mirror: &NativeL1) -> Self {
        let mut standing = ContractState::of(mirror).unwrap();
        standing.tokens = 1;
        Self {
            standing,
            accounts: Vec::new(),
            pending: BTreeMap::new(),
            entries: Vec::new(),
            exiting: BTreeSet::new(),
            allowances: BTreeMap::new(),
            nonces: BTreeMap::new(),
        }
    }

    pub(super) fn nonce(&self, of: Address) -> u64 {
        self.nonces.get(&of).copied().unwrap_or(0)
    }

    pub(super) fn use_nonce(&mut self, of: Address) {
        *self.nonces.entry(of).or_default() += 1;
    }

    /// What somebody else does in a block of this time.
    pub(super) fn act(&mut self, act: Act, time: u64, logs: &mut Vec<Log>) {
        match act {
            Act::AddToken => self.add_token(logs),
            Act::Deposit(token, amount) => {
                let key = key();
                let key = [to_be_bytes(&key.x), to_be_bytes(&key.y)];
                self.deposit((token, amount), key, PAYER, time, logs);
            }
            Act::TopUp(index, amount) => self.top_up((index, amount), PAYER, time, logs),
            Act::Freeze => self.freeze(logs),
            Act::UseNonce(of) => self.use_nonce(of),
        }
    }

    fn add_token(&mut self, logs: &mut Vec<Log>) {
        let token = u32::try_from(self.standing.tokens).unwrap();
        self.standing.tokens += 1;
        let topics = [number_word(token.into()), abi::address(&erc20(token))];
        emit(logs, TOKEN_ADDED, &topics, &[]);
    }

    fn freeze(&mut self, logs: &mut Vec<Log>) {
        self.standing.frozen = true;
        emit(logs, "Frozen(bytes32,uint40)", &[], &[]);
    }

    fn deposit(
        &mut self,
        (token, amount): (u32, u128),
        key: [Word; 2],
        payer: Address,
        time: u64,
        logs: &mut Vec<Log>,
    ) {
        self.accounts.push((token, payer));
        self.standing.next_index += 1;
        let entry = Entry {
            kind: 1,
            index: u32::try_from(self.standing.next_index - 1).unwrap(),
            token,
            amount,
            key,
            payer,
        };
        self.queue(&entry, time, logs);
    }

    fn top_up(
        &mut self,
        (index, amount): (u32, u128),
        payer: Address,
        time: u64,
        logs: &mut Vec<Log>,
    ) {
        let place = usize::try_from(index - 1).unwrap();
        let entry = Entry {
            kind: 2,
            index,
            token: self.accounts[place].0,
            amount,
            key: [[0; 32]; 2],
            payer,
        };
        self.queue(&entry, time, logs);
    }

    fn queue(&mut self, entry: &Entry, time: u64, logs: &mut Vec<Log>) {
        let standing = &mut self.standing;
        let number = standing.queue_tail;
        standing.queue_tail += 1;
        standing.operator_fees += L1_FEE;
        if entry.kind < 3 {
            standing.pending_deposits += 1;
            *self.pending.entry(entry.token).or_default() += entry.amount;
        }
        self.entries.push(time);
        let topics = [
            number_word(number.into()),
            number_word(entry.index.into()),
            abi::address(&entry.payer),
        ];
        let numbers = [entry.kind, entry.token.into(), entry.amount, time.into()];
        let mut data: Vec<Word> = numbers.map(number_word).to_vec();
        data.extend(entry.key);
        emit(logs, QUEUED, &topics, &data);
    }

    /// Runs a call in a block of this time.
    ///
    /// # Errors
    /// What a refused call returns.
    pub(super) fn run(
        &mut self,
        sent: &Sent<'_>,
        time: u64,
        logs: &mut Vec<Log>,
    ) -> Result<(), Vec<u8>> {
        let is = |signature: &str| sent.data.starts_with(&abi::selector(signature));
        let (words, _) = sent.data.get(4..).unwrap_or_default().as_chunks::<32>();
        if sent.to != CONTRACT {
            if is("approve(address,uint256)") {
                let allowed = number_of(&words[1]);
                self.allowances.insert((sent.to, sent.from), allowed);
            }
            return Ok(());
        }
        let refuse = |signature: &str, words: &[Word]| Err(abi::call(signature, words));
        if is("addToken(address)") {
            self.add_token(logs);
            return Ok(());
        }
        if is("freeze()") {
            let oldest = self.entries.first();
            if oldest.is_none_or(|oldest| oldest + FREEZE_AFTER > time) {
                return refuse("NotOverdue(uint256)", &[number_word(0)]);
            }
            self.freeze(logs);
            return Ok(());
        }
        if self.standing.frozen {
            return refuse("IsFrozen()", &[]);
        }
        if is("deposit(uint32,uint128,uint256,uint256,uint256,uint256)") {
            let (token, amount) = (small_of(&words[0]), number_of(&words[1]));
            self.pay(sent, token, amount)?;
            self.deposit((token, amount), [words[2], words[3]], sent.from, time, logs);
            return Ok(());
        }
        if is("topUp(uint32,uint128)") {
            let (index, amount) = (small_of(&words[0]), number_of(&words[1]));
            let account = self.accounts.get(usize::try_from(index).unwrap() - 1);
            let Some((token, _)) = account.copied() else {
                return refuse("Unregistered(uint32)", &[number_word(index.into())]);
            };
            self.pay(sent, token, amount)?;
            self.top_up((index, amount), sent.from, time, logs);
            return Ok(());
        }
        if is("requestExit(uint32)") {
            let index = small_of(&words[0]);
            let account = self.accounts[usize::try_from(index).unwrap() - 1];
            if account.1 != sent.from {
                return refuse("NotOwner(uint32)", &[number_word(index.into())]);
            }
            if !self.exiting.insert(index) {
                return refuse("ExitIsPending(uint32)", &[number_word(index.into())]);
            }
            let entry = Entry {
                kind: 3,
                index,
                token: account.0,
                amount: 0,
                key: [[0; 32]; 2],
                payer: sent.from,
            };
            self.queue(&entry, time, logs);
            return Ok(());
        }
        refuse("NothingToClaim()", &[])
    }

    /// What a call pays in arrives.
    fn pay(&mut self, sent: &Sent<'_>, token: u32, amount: u128) -> Result<(), Vec<u8>> {
        let expected = L1_FEE + if token == 0 { amount } else { 0 };
        if sent.value != expected {
            let words = [expected, sent.value].map(number_word);
            return Err(abi::call("WrongPayment(uint256,uint256)", &words));
        }
        if token == 0 {
            return Ok(());
        }
        let erc20 = erc20(token);
        let allowed = self.allowances.entry((erc20, sent.from)).or_default();
        match allowed.checked_sub(amount) {
            Some(left) => *allowed = left,
            None => return Err(abi::call("TokenFailed(address)", &[abi::address(&erc20)])),
        }
        Ok(())
    }

    /// What a view returns, and its name; none if it is no view.
    pub(super) fn view(
        &self,
        fixed: &Fixed,
        to: Address,
        input: &[u8],
    ) -> Option<(&'static str, Vec<Word>)> {
        let (selector, arguments) = input.split_at_checked(4)?;
        let (arguments, _) = arguments.as_chunks::<32>();
        let (standing, parameters) = (&self.standing, &fixed.parameters);
        let words = |numbers: &[u128]| numbers.iter().copied().map(number_word).collect();
        let offered = standing.offered_operator.unwrap_or(Bytes([0; 20]));
        let one: [(&str, Word); 15] = [
            ("root", to_be_bytes(&standing.root)),
            ("operatorFees", number_word(standing.operator_fees)),
            ("operator", abi::address(&standing.operator)),
            ("offeredOperator", abi::address(&offered)),
            (
                "operatorBackAt",
                number_word(standing.operator_back_at.into()),
            ),
            ("tokenCount", number_word(standing.tokens.into())),
            ("domain", to_be_bytes(&fixed.domain)),
            ("depth", number_word(fixed.depth.into())),
            ("salt", parameters.salt.0),
            ("l1Fee", number_word(parameters.l1_fee)),
            ("pendingCap", number_word(parameters.pending_cap.into())),
            (
                "timestampSlack",
                number_word(parameters.timestamp_slack.into()),
            ),
            (
                "takeoverAfter",
                number_word(parameters.takeover_after.into()),
            ),
            ("freezeAfter", number_word(parameters.freeze_after.into())),
            ("pathHasher", [0; 32]),
        ];
        let is = |name: &str| abi::selector(name) == selector;
        if is("allowance(address,address)") {
            let owner = Bytes(*arguments[0].last_chunk::<20>()?);
            let allowed = self.allowances.get(&(to, owner)).copied().unwrap_or(0);
            return Some(("allowance", words(&[allowed])));
        }
        for (name, word) in one {
            if is(&format!("{name}()")) {
                return Some((name, vec![word]));
            }
        }
        if is("head()") {
            let numbers = [
                standing.next_batch,
                standing.timestamp,
                standing.queue_head,
                standing.queue_tail,
                standing.next_index,
                standing.pending_deposits,
                standing.frozen.into(),
                standing.taken_over.into(),
            ];
            return Some(("head", words(&numbers.map(u128::from))));
        }
        if is("totals(uint32)") {
            let pending = self.pending.get(&small_of(&arguments[0]));
            return Some(("totals", words(&[0, 0, pending.copied().unwrap_or(0)])));
        }
        None
    }
}

fn emit(logs: &mut Vec<Log>, event: &str, indexed: &[Word], data: &[Word]) {
    let topics = std::iter::once(topic(event)).chain(indexed.iter().map(B256::from));
    let index = logs.len() as u64;
    let data = LogData::new_unchecked(topics.collect(), data.concat().into());
    let inner = alloy::primitives::Log {
        address: EthAddress::from(CONTRACT.0),
        data,
    };
    logs.push(Log {
        inner,
        transaction_hash: Some(B256::repeat_byte(1)),
        log_index: Some(index),
        ..Log::default()
    });
}

fn number_word(number: u128) -> Word {
    abi::uint(number)
}

fn number_of(word: &Word) -> u128 {
    u128::from_be_bytes(*word.last_chunk::<16>().unwrap())
}

fn small_of(word: &Word) -> u32 {
    u32::from_be_bytes(*word.last_chunk::<4>().unwrap())
}

/// The address of a token.
pub(crate) fn erc20(token: u32) -> Address {
    let mut address = [0xee; 20];
    address[16..].copy_from_slice(&token.to_be_bytes());
    Bytes(address)
}

fn key() -> Point {
    PrivateKey::derive("quire chain tests", b"1").public_key()
}

/// The deployment that the script's chain has.
pub(crate) fn genesis() -> Genesis {
    let shape = Shape {
        id: 17,
        depth: 12,
        fee_slots: 3,
        l1_ops: 4,
        transfers: 0,
        withdrawals: 2,
        cached_levels: 3,
    };
    let parameters = Parameters {
        chain_id: 31_337,
        contract: Some(CONTRACT),
        salt: Bytes([7; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: Bytes([0x0a; 20]),
        },
        shapes: vec![ListedShape {
            shape,
            fingerprint: Bytes([0; 32]),
        }],
        l1_fee: L1_FEE,
        pending_cap: 1 << 32,
        timestamp_slack: 3_600,
        takeover_after: 259_200,
        freeze_after: FREEZE_AFTER,
        tokens: vec![Token::eth()],
    };
    Genesis::new(parameters, Vec::new()).unwrap()
}
