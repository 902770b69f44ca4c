//! What the contract says: its events, views and errors, decoded, and whether it is ours.
//!
//! Invariant: every word is bounded before it becomes a number of fewer bits; the code at an address
//! counts as the rollup only if it is the committed one, constructor constants aside.

use alloy::primitives::B256;
use alloy::rpc::types::Log;
use ark_bn254::{G1Affine, G2Affine};
use l1::bytes::Bytes;
use l1::evm::abi::{self, Word, keccak};
use l1::evm::artifacts::{Artifact, ROLLUP};
use l1::genesis::Parameters;
use l1::token::TokenDisplay;
use l1::{Address, NativeL1, TokenTotals};
use ledger::babyjubjub::Point;
use ledger::field::{Fr, from_be_bytes, to_hex};
use ledger::operation::L1Op;
use ledger::shape::Shape;
use prover::key::{KeyInfo, VerifyingKey};
use prover::proof::{decode_g1, decode_g2};
use serde::Deserialize;

use crate::error::ChainError;
use crate::rpc::{Message, Rpc, Simulated};

/// An event that changes the mirror, or tells what a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    TokenAdded {
        token: u32,
        erc20: Address,
    },
    Queued {
        number: u64,
        op: L1Op,
        payer: Address,
        time: u64,
    },
    BatchFinalized {
        number: u64,
        position: u16,
    },
    Credited,
    Claimed {
        owner: Address,
        token: u32,
        amount: u128,
    },
    Frozen,
    Exited {
        index: u32,
        amount: u128,
    },
    DepositCancelled {
        number: u64,
        amount: u128,
    },
    FeesCollected {
        amount: u128,
    },
    OperatorReturned {
        until: u64,
    },
    OperatorOffered {
        to: Address,
    },
    OperatorChanged {
        from: Address,
        to: Address,
        fees: u128,
    },
}

/// Signature of the event that every deployment begins with.
pub(crate) const TOKEN_ADDED: &str = "TokenAdded(uint32,address)";
pub(crate) const QUEUED: &str =
    "Queued(uint40,uint32,address,uint8,uint32,uint128,uint40,uint256,uint256)";
const BATCH_FINALIZED: &str = "BatchFinalized(uint40,bytes32,uint40,uint16)";
const CREDITED: &str = "Credited(address,uint32,uint32,uint128)";
const CLAIMED: &str = "Claimed(address,uint32,address,uint256)";
const FROZEN: &str = "Frozen(bytes32,uint40)";
const EXITED: &str = "Exited(uint32,uint128)";
const DEPOSIT_CANCELLED: &str = "DepositCancelled(uint40,uint128)";
const FEES_COLLECTED: &str = "FeesCollected(address,uint256)";
const OPERATOR_RETURNED: &str = "OperatorReturned(address,uint256)";
const OPERATOR_OFFERED: &str = "OperatorOffered(address)";
const OPERATOR_CHANGED: &str = "OperatorChanged(address,address,uint256)";

/// The topic of a signature.
pub(crate) fn topic(signature: &str) -> B256 {
    B256::from(keccak(signature.as_bytes()))
}

/// Words of an event or answer, taken in order.
struct Words(std::vec::IntoIter<Word>);

impl Words {
    fn word(&mut self) -> Option<Word> {
        self.0.next()
    }

    fn uint(&mut self) -> Option<u128> {
        let word = self.word()?;
        let (high, low) = word.split_first_chunk::<16>()?;
        let low: [u8; 16] = low.try_into().ok()?;
        (*high == [0; 16]).then(|| u128::from_be_bytes(low))
    }

    fn small<T: TryFrom<u128>>(&mut self) -> Option<T> {
        T::try_from(self.uint()?).ok()
    }

    fn address(&mut self) -> Option<Address> {
        let word = self.word()?;
        let (high, low) = word.split_first_chunk::<12>()?;
        let low: [u8; 20] = low.try_into().ok()?;
        (*high == [0; 12]).then_some(Bytes(low))
    }

    fn field(&mut self) -> Option<Fr> {
        from_be_bytes(&self.word()?).ok()
    }
}

impl Event {
    /// Reads a log of the contract; `None` if it is not one of its events.
    pub(crate) fn decode(log: &Log) -> Option<Self> {
        let signature = *log.topics().first()?;
        let mut words: Vec<Word> = log.topics()[1..].iter().map(|topic| topic.0).collect();
        let data = &log.inner.data.data;
        if data.len() % 32 != 0 {
            return None;
        }
        words.extend(
            data.chunks_exact(32)
                .filter_map(|word| Word::try_from(word).ok()),
        );
        let mut words = Words(words.into_iter());
        let is = |text: &str| topic(text) == signature;
        if is(TOKEN_ADDED) {
            let (token, erc20) = (words.small()?, words.address()?);
            return Some(Self::TokenAdded { token, erc20 });
        }
        if is(QUEUED) {
            return queued(&mut words);
        }
        if is(BATCH_FINALIZED) {
            let number = words.small()?;
            let (_root, _queue_head) = (words.word()?, words.word()?);
            let position = words.small()?;
            return Some(Self::BatchFinalized { number, position });
        }
        if is(CREDITED) {
            return Some(Self::Credited);
        }
        if is(CLAIMED) {
            let (owner, token, _to) = (words.address()?, words.small()?, words.word()?);
            let amount = words.uint()?;
            return Some(Self::Claimed {
                owner,
                token,
                amount,
            });
        }
        if is(FROZEN) {
            return Some(Self::Frozen);
        }
        if is(EXITED) {
            let (index, amount) = (words.small()?, words.uint()?);
            return Some(Self::Exited { index, amount });
        }
        if is(DEPOSIT_CANCELLED) {
            let (number, amount) = (words.small()?, words.uint()?);
            return Some(Self::DepositCancelled { number, amount });
        }
        if is(FEES_COLLECTED) {
            let (_to, amount) = (words.word()?, words.uint()?);
            return Some(Self::FeesCollected { amount });
        }
        if is(OPERATOR_RETURNED) {
            let (_operator, until) = (words.word()?, words.small()?);
            return Some(Self::OperatorReturned { until });
        }
        if is(OPERATOR_OFFERED) {
            let to = words.address()?;
            return Some(Self::OperatorOffered { to });
        }
        if is(OPERATOR_CHANGED) {
            let (from, to, fees) = (words.address()?, words.address()?, words.uint()?);
            return Some(Self::OperatorChanged { from, to, fees });
        }
        None
    }
}

fn queued(words: &mut Words) -> Option<Event> {
    let (number, index, payer) = (words.small()?, words.small()?, words.address()?);
    let (kind, token, amount) = (words.small::<u8>()?, words.small()?, words.uint()?);
    let time = words.small()?;
    let key = Point {
        x: words.field()?,
        y: words.field()?,
    };
    let op = L1Op::from_parts(kind, index, token, amount, key)?;
    Some(Event::Queued {
        number,
        op,
        payer,
        time,
    })
}

/// The address that is nobody's.
const NOBODY: Address = Bytes([0; 20]);

/// Where the contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) root: Fr,
    pub(crate) next_batch: u64,
    pub(crate) timestamp: u64,
    pub(crate) queue_head: u64,
    pub(crate) queue_tail: u64,
    pub(crate) next_index: u64,
    pub(crate) pending_deposits: u64,
    pub(crate) frozen: bool,
    pub(crate) operator_fees: u128,
    pub(crate) operator: Address,
    pub(crate) offered_operator: Option<Address>,
    pub(crate) taken_over: bool,
    pub(crate) operator_back_at: u64,
    pub(crate) tokens: u64,
}

impl Standing {
    /// The mirror's.
    pub(crate) fn of(mirror: &NativeL1) -> Result<Self, ChainError> {
        let head = mirror.head()?;
        Ok(Self {
            root: head.root,
            next_batch: head.next_batch,
            timestamp: head.timestamp,
            queue_head: head.queue_head,
            queue_tail: head.queue_tail,
            next_index: head.next_index,
            pending_deposits: head.pending_deposits,
            frozen: head.frozen,
            operator_fees: head.operator_fees,
            operator: head.operator,
            offered_operator: head.offered_operator,
            taken_over: head.taken_over,
            operator_back_at: head.operator_back_at,
            tokens: mirror.token_count()? as u64,
        })
    }

    /// The first difference, in words.
    pub(crate) fn difference(&self, contract: &Self) -> Option<String> {
        let (a, b) = (self, contract);
        let (root_a, root_b) = (to_hex(&a.root), to_hex(&b.root));
        let number = |value: u64| value.to_string();
        let offered = |to: Option<Address>| to.map_or("nobody".to_owned(), |to| to.to_string());
        let pairs = [
            ("root", root_a, root_b),
            ("next batch", number(a.next_batch), number(b.next_batch)),
            ("timestamp", number(a.timestamp), number(b.timestamp)),
            ("queue head", number(a.queue_head), number(b.queue_head)),
            ("queue tail", number(a.queue_tail), number(b.queue_tail)),
            ("next index", number(a.next_index), number(b.next_index)),
            (
                "pending deposits",
                number(a.pending_deposits),
                number(b.pending_deposits),
            ),
            ("tokens", number(a.tokens), number(b.tokens)),
            ("frozen", a.frozen.to_string(), b.frozen.to_string()),
            (
                "operator fees",
                a.operator_fees.to_string(),
                b.operator_fees.to_string(),
            ),
            ("operator", a.operator.to_string(), b.operator.to_string()),
            (
                "offered operator",
                offered(a.offered_operator),
                offered(b.offered_operator),
            ),
            (
                "taken over",
                a.taken_over.to_string(),
                b.taken_over.to_string(),
            ),
            (
                "last return",
                number(a.operator_back_at),
                number(b.operator_back_at),
            ),
        ];
        let differs = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
        differs.map(|(name, ours, theirs)| {
            format!("{name}: computed {ours}, the contract has {theirs}")
        })
    }
}

/// The contract, for reading.
#[derive(Clone, Copy)]
pub(crate) struct Contract<'a> {
    pub(crate) rpc: &'a Rpc,
    pub(crate) address: Address,
    /// The block in whose state it is read; the last if none.
    pub(crate) at: Option<B256>,
}

impl Contract<'_> {
    /// The words that a view returns.
    fn view(&self, signature: &'static str, arguments: &[Word]) -> Result<Vec<Word>, ChainError> {
        self.ask(self.address, signature, arguments)
    }

    fn ask(
        &self,
        to: Address,
        signature: &'static str,
        arguments: &[Word],
    ) -> Result<Vec<Word>, ChainError> {
        let data = abi::call(signature, arguments);
        let message = Message {
            from: None,
            to: Some(to),
            value: 0,
            data: &data,
        };
        match self.rpc.simulate(message, self.at)? {
            Simulated::Returned(bytes) => Ok(bytes
                .chunks_exact(32)
                .filter_map(|word| Word::try_from(word).ok())
                .collect()),
            Simulated::Reverted(_) => Ok(Vec::new()),
        }
    }

    fn one<T>(
        &self,
        signature: &'static str,
        arguments: &[Word],
        read: impl Fn(&mut Words) -> Option<T>,
    ) -> Result<T, ChainError> {
        let words = self.view(signature, arguments)?;
        read(&mut Words(words.into_iter())).ok_or_else(|| self.strange(signature))
    }

    fn strange(&self, view: &str) -> ChainError {
        ChainError::NotTheContract {
            contract: self.address,
            chain_id: 0,
            reason: format!("it does not answer {view}"),
        }
    }

    /// Root, head and fees.
    pub(crate) fn standing(&self) -> Result<Standing, ChainError> {
        let root = self.one("root()", &[], Words::field)?;
        let operator_fees = self.one("operatorFees()", &[], Words::uint)?;
        let tokens = self.one("tokenCount()", &[], Words::small)?;
        let operator = self.one("operator()", &[], Words::address)?;
        let offered = self.one("offeredOperator()", &[], Words::address)?;
        let operator_back_at = self.one("operatorBackAt()", &[], Words::small)?;
        self.one("head()", &[], |words| {
            Some(Standing {
                root,
                next_batch: words.small()?,
                timestamp: words.small()?,
                queue_head: words.small()?,
                queue_tail: words.small()?,
                next_index: words.small()?,
                pending_deposits: words.small()?,
                frozen: words.uint()? != 0,
                taken_over: words.uint()? != 0,
                operator_fees,
                operator,
                offered_operator: Some(offered).filter(|offered| *offered != NOBODY),
                operator_back_at,
                tokens,
            })
        })
    }

    /// Money of a token.
    pub(crate) fn totals(&self, token: u32) -> Result<TokenTotals, ChainError> {
        self.one("totals(uint32)", &[abi::uint(token.into())], |words| {
            let (balances, claimable, pending) = (words.uint()?, words.uint()?, words.uint()?);
            let escrow = balances.checked_add(claimable)?.checked_add(pending)?;
            Some(TokenTotals {
                escrow,
                claimable,
                pending,
            })
        })
    }

    /// What the constructor fixed, shapes aside; names are this program's. Who the first operator was the
    /// contract does not tell.
    pub(crate) fn parameters(
        &self,
        chain_id: u64,
        first_operator: Address,
    ) -> Result<Parameters, ChainError> {
        let operator = l1::genesis::Operator {
            name: "operator".to_owned(),
            address: first_operator,
        };
        Ok(Parameters {
            chain_id,
            contract: Some(self.address),
            salt: Bytes(self.one("salt()", &[], Words::word)?),
            operator,
            shapes: Vec::new(),
            l1_fee: self.one("l1Fee()", &[], Words::uint)?,
            pending_cap: self.one("pendingCap()", &[], Words::small)?,
            timestamp_slack: self.one("timestampSlack()", &[], Words::small)?,
            takeover_after: self.one("takeoverAfter()", &[], Words::small)?,
            freeze_after: self.one("freezeAfter()", &[], Words::small)?,
            tokens: vec![l1::genesis::Token::eth()],
        })
    }

    /// What operations are signed for.
    pub(crate) fn domain(&self) -> Result<Fr, ChainError> {
        self.one("domain()", &[], Words::field)
    }

    /// Levels of the account tree.
    pub(crate) fn depth(&self) -> Result<u8, ChainError> {
        self.one("depth()", &[], Words::small)
    }

    /// The contract that hashes tree paths.
    pub(crate) fn path_hasher(&self) -> Result<Address, ChainError> {
        self.one("pathHasher()", &[], Words::address)
    }

    /// Where the key of a shape lies, if the contract lists the shape with these sizes.
    pub(crate) fn key_of(&self, shape: &Shape) -> Result<Option<Address>, ChainError> {
        let id = abi::uint(shape.id.into());
        let read = |words: &mut Words| {
            let sizes: [u16; 3] = [words.small()?, words.small()?, words.small()?];
            Some((sizes, words.small::<u8>()?, words.address()?))
        };
        let (sizes, fee_slots, key) = self.one("shape(uint16)", &[id], read)?;
        let same = sizes == [shape.l1_ops, shape.transfers, shape.withdrawals]
            && fee_slots == shape.fee_slots;
        Ok((same && key != Bytes([0; 20])).then_some(key))
    }

    /// The verifying key of a listed shape, from the chain alone.
    pub(crate) fn verifying_key(
        &self,
        shape: &Shape,
        info: KeyInfo,
    ) -> Result<Option<VerifyingKey>, ChainError> {
        let Some(place) = self.key_of(shape)? else {
            return Ok(None);
        };
        let code = self.rpc.code(place)?;
        let ark = prepared_key(&code).ok_or_else(|| self.strange("shape(uint16)"))?;
        Ok(Some(VerifyingKey::new(ark, info)?))
    }

    /// What an ERC-20 lets this contract take from an owner.
    pub(crate) fn allowance(&self, erc20: Address, owner: Address) -> Result<u128, ChainError> {
        let arguments = [abi::address(&owner), abi::address(&self.address)];
        let words = self.ask(erc20, "allowance(address,address)", &arguments)?;
        // Why the greatest: an allowance beyond 128 bits lets take any amount.
        Ok(match words.first() {
            Some(_) => Words(words.into_iter()).uint().unwrap_or(u128::MAX),
            None => 0,
        })
    }

    /// What an ERC-20 says of itself. It may be anybody's: what fails, or cannot be shown, is none.
    pub(crate) fn token_display(&self, erc20: Address) -> Result<TokenDisplay, ChainError> {
        let decimals = self.rpc.look(erc20, &abi::call("decimals()", &[]))?;
        let decimals = <[u8; 32]>::try_from(decimals).ok();
        let decimals = decimals.and_then(|word| Words(vec![word].into_iter()).small());
        let symbol = self.rpc.look(erc20, &abi::call("symbol()", &[]))?;
        Ok(TokenDisplay::new(symbol_of(&symbol), decimals))
    }

    /// The code at the address is the committed rollup's, constructor constants aside.
    pub(crate) fn check_code(&self, chain_id: u64) -> Result<(), ChainError> {
        let code = self.rpc.code(self.address)?;
        let reason = if code.is_empty() {
            "no contract is there"
        } else if !same_code(&ROLLUP, &code) {
            "its code is not that of this program's contract"
        } else {
            return Ok(());
        };
        Err(ChainError::NotTheContract {
            contract: self.address,
            chain_id,
            reason: reason.to_owned(),
        })
    }
}

/// True if the code is the artifact's, but for constants that the constructor puts in.
fn same_code(artifact: &Artifact, code: &[u8]) -> bool {
    const PUSH32: u8 = 0x7f;
    let expected = artifact.deployed_bytecode();
    if expected.len() != code.len() {
        return false;
    }
    let mut at = 0;
    while at < expected.len() {
        if expected[at] != code[at] {
            return false;
        }
        let constant = expected.get(at + 1..at + 33);
        let is_constant = expected[at] == PUSH32 && constant == Some(&[0; 32][..]);
        at += if is_constant { 33 } else { 1 };
    }
    true
}

/// A key as the contract keeps it: a stop, then `−α β −γ −δ IC0 … IC3`.
fn prepared_key(code: &[u8]) -> Option<ark_groth16::VerifyingKey<ark_bn254::Bn254>> {
    let (stop, key) = code.split_first()?;
    if *stop != 0 || key.len() != 704 {
        return None;
    }
    let g1 = |at: usize| -> Option<G1Affine> { decode_g1("the key", key.get(at..at + 64)?).ok() };
    let g2 = |at: usize| -> Option<G2Affine> { decode_g2("the key", key.get(at..at + 128)?).ok() };
    let inputs = (0..4).map(|place| g1(448 + 64 * place));
    Some(ark_groth16::VerifyingKey {
        alpha_g1: -g1(0)?,
        beta_g2: g2(64)?,
        gamma_g2: -g2(192)?,
        delta_g2: -g2(320)?,
        gamma_abc_g1: inputs.collect::<Option<Vec<_>>>()?,
    })
}

#[derive(Deserialize)]
struct Abi {
    abi: Vec<AbiItem>,
}

#[derive(Deserialize)]
struct AbiItem {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<AbiInput>,
}

#[derive(Deserialize)]
struct AbiInput {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What the contract's error says, and what to do.
pub(crate) fn reason(returned: &Result<Vec<u8>, String>) -> String {
    let bytes = match returned {
        Ok(bytes) => bytes,
        Err(words) => return words.clone(),
    };
    let (selector, data) = bytes.split_at(bytes.len().min(4));
    let abi: Abi = serde_json::from_str(ROLLUP.json).expect("the committed artifact has an ABI");
    let errors = abi.abi.iter().filter(|item| item.kind == "error");
    for error in errors {
        let types: Vec<&str> = error
            .inputs
            .iter()
            .map(|input| input.kind.as_str())
            .collect();
        let signature = format!("{}({})", error.name, types.join(","));
        if abi::selector(&signature) != selector {
            continue;
        }
        let values = error.inputs.iter().zip(data.chunks_exact(32));
        let shown: Vec<String> = values.map(|(input, word)| shown(input, word)).collect();
        let mut text = error.name.clone();
        if !shown.is_empty() {
            text.push_str(&format!(" ({})", shown.join(", ")));
        }
        return match advice(&error.name) {
            "" => text,
            advice => format!("{text}: {advice}"),
        };
    }
    match bytes.is_empty() {
        true => {
            "it gives no reason; a token that refuses, or a balance that is too small".to_owned()
        }
        false => format!(
            "it returns 0x{}",
            hex::encode(&bytes[..bytes.len().min(68)])
        ),
    }
}

fn shown(input: &AbiInput, word: &[u8]) -> String {
    let digits = hex::encode(word);
    let digits = digits.trim_start_matches('0');
    let value = match input.kind.as_str() {
        "address" => format!("0x{}", hex::encode(&word[12..])),
        _ => match u128::from_str_radix(digits, 16) {
            Ok(number) => number.to_string(),
            Err(_) if digits.is_empty() => "0".to_owned(),
            Err(_) => format!("0x{digits}"),
        },
    };
    format!("{} {value}", input.name)
}

/// What to do about an error of the contract.
fn advice(name: &str) -> &'static str {
    match name {
        "NotOperator" => "only the operator may do this: use its Ethereum key",
        "NotPlainAccount" => "use an account without code, which signs the transaction itself",
        "NotOpen" => {
            "only the operator may submit batches, as long as the queue does not wait too long; `quire l1 status` says from when on anybody may"
        }
        "OperatorsHour" => {
            "the operator has returned and is alone until then; try again afterwards"
        }
        "OverdueLeftBehind" => {
            "queue entries are overdue: take as many of them as the shape has L1 slots"
        }
        "NothingToReturnTo" => "batches are the operator's alone: submit them",
        "ReturnTooSoon" => "until then submit as anybody may",
        "OfferedToItself" => "offer the office to another address",
        "NotOffered" => "the operator has to offer its office to this address first",
        "Starved" => "the transaction needs more gas; nothing is said about the proof",
        "IsFrozen" => "the rollup is frozen for good: leave with `quire exit plan`",
        "NotFrozen" => "ask for an exit through the queue; after the deadline `quire freeze`",
        "Unregistered" => "give the index that the deposit returned",
        "NotOwner" => "use the Ethereum key of the account's owner",
        "ExitIsPending" => "the account's exit waits in the queue already",
        "TooManyPending" => "wait until a batch has consumed some of the queue",
        "WrongBatchNumber" => {
            "another batch was final first: another operator may be at work; run the command again to follow the chain"
        }
        "BadTimestamp" => "the batch is too old or too young for the chain; run `quire run` again",
        "NothingToClaim" => "a withdrawal is claimable once its batch is final",
        "QueueEmpty" => {
            "nothing waits, so nobody can freeze; `quire exit request` puts something there"
        }
        "NotOverdue" => "the operator still has time; wait until the deadline",
        "AlreadyExited" => "the account has left before",
        "NotInTree" | "OtherToken" => "make the plan again with `quire exit plan`",
        "TokenFailed" => "the token refuses the payment: check balance and approval",
        _ => "",
    }
}

/// The text that a token's `symbol()` returns: a string, or as the first tokens did it 32 bytes.
fn symbol_of(returned: &[u8]) -> Option<String> {
    let text = match returned.split_first_chunk::<32>()? {
        (word, []) => {
            let end = word.iter().position(|byte| *byte == 0).unwrap_or(32);
            let (text, rest) = word.split_at(end);
            rest.iter().all(|byte| *byte == 0).then_some(text)?
        }
        (offset, rest) => {
            let small = |word: &Word| Words(vec![*word].into_iter()).small::<usize>();
            let (length, text) = rest.split_first_chunk::<32>()?;
            (small(offset)? == 32).then_some(())?;
            text.get(..small(length)?)?
        }
    };
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_read_as_tokens_return_them() {
        let word = |bytes: &[u8]| {
            let mut word = [0; 32];
            word[..bytes.len()].copy_from_slice(bytes);
            word
        };
        let number = |number: u8| {
            let mut word = [0; 32];
            word[31] = number;
            word
        };
        let string =
            |offset, length, text: &[u8]| [number(offset), number(length), word(text)].concat();
        for (returned, expected) in [
            (string(32, 4, b"USDC"), Some("USDC")),
            (string(32, 0, b""), Some("")),
            (word(b"MKR").to_vec(), Some("MKR")),
            (word(b"").to_vec(), Some("")),
            (string(64, 4, b"USDC"), None),
            (string(32, 33, b"USDC"), None),
            (string(32, 2, &[0xff, 0xfe]), None),
            (word(b"A\0B").to_vec(), None),
            (Vec::new(), None),
            (vec![0; 31], None),
            (vec![0xff; 96], None),
        ] {
            assert_eq!(symbol_of(&returned).as_deref(), expected, "{returned:?}");
        }
    }
}
