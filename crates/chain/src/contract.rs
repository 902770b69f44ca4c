//! The contract's views, and the check of its code.
//!
//! Invariant: the code at an address counts as the rollup only if it is the committed one, constructor
//! constants aside.

use alloy::primitives::B256;
use ark_bn254::{G1Affine, G2Affine};
use l1::bytes::Bytes;
use l1::evm::abi::{self, Word};
use l1::evm::artifacts::{Artifact, ROLLUP};
use l1::genesis::Parameters;
use l1::token::TokenDisplay;
use l1::{Address, NOBODY, NativeL1, TokenTotals};
use ledger::field::{Fr, to_hex};
use ledger::shape::Shape;
use prover::key::{KeyInfo, VerifyingKey};
use prover::proof::{decode_g1, decode_g2};

use crate::error::ChainError;
use crate::rpc::{Message, Rpc, Simulated};
use crate::words::Words;

/// The state of the contract, accounts and tokens aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContractState {
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

impl ContractState {
    /// The same of the mirror.
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

/// A contract whose views are called.
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
        read(&mut Words(words.into_iter())).ok_or_else(|| self.bad_answer(signature))
    }

    fn bad_answer(&self, view: &str) -> ChainError {
        ChainError::NotTheContract {
            contract: self.address,
            chain_id: 0,
            reason: format!("it does not answer {view}"),
        }
    }

    /// Root, head and fees.
    pub(crate) fn standing(&self) -> Result<ContractState, ChainError> {
        let root = self.one("root()", &[], Words::field)?;
        let operator_fees = self.one("operatorFees()", &[], Words::uint)?;
        let tokens = self.one("tokenCount()", &[], Words::small)?;
        let operator = self.one("operator()", &[], Words::address)?;
        let offered = self.one("offeredOperator()", &[], Words::address)?;
        let operator_back_at = self.one("operatorBackAt()", &[], Words::small)?;
        self.one("head()", &[], |words| {
            Some(ContractState {
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

    /// The totals of a token.
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

    /// What the constructor fixed, without the shapes. The contract does not know who the first operator was.
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

    /// The domain for which operations are signed.
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

    /// The address that holds the key of a shape, if the contract lists the shape with these sizes.
    pub(crate) fn key_of(&self, shape: &Shape) -> Result<Option<Address>, ChainError> {
        let id = abi::uint(shape.id.into());
        let read = |words: &mut Words| {
            let sizes: [u16; 3] = [words.small()?, words.small()?, words.small()?];
            Some((sizes, words.small::<u8>()?, words.address()?))
        };
        let (sizes, fee_slots, key) = self.one("shape(uint16)", &[id], read)?;
        let same = sizes == [shape.l1_ops, shape.transfers, shape.withdrawals]
            && fee_slots == shape.fee_slots;
        Ok((same && key != NOBODY).then_some(key))
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
        let ark = prepared_key(&code).ok_or_else(|| self.bad_answer("shape(uint16)"))?;
        Ok(Some(VerifyingKey::new(ark, info)?))
    }

    /// The allowance of this contract for an owner's ERC-20.
    pub(crate) fn allowance(&self, erc20: Address, owner: Address) -> Result<u128, ChainError> {
        let arguments = [abi::address(&owner), abi::address(&self.address)];
        let words = self.ask(erc20, "allowance(address,address)", &arguments)?;
        // Why: an allowance of more than 128 bits is enough for any amount.
        Ok(match words.first() {
            Some(_) => Words(words.into_iter()).uint().unwrap_or(u128::MAX),
            None => 0,
        })
    }

    /// Symbol and decimals of an ERC-20. The token may be hostile: what fails or cannot be shown is left out.
    pub(crate) fn token_display(&self, erc20: Address) -> Result<TokenDisplay, ChainError> {
        let decimals = self
            .rpc
            .bounded_view(erc20, &abi::call("decimals()", &[]))?;
        let decimals = <[u8; 32]>::try_from(decimals).ok();
        let decimals = decimals.and_then(|word| Words(vec![word].into_iter()).small());
        let symbol = self.rpc.bounded_view(erc20, &abi::call("symbol()", &[]))?;
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
