//! A rollup's contract that somebody else deployed, found on the chain.
//!
//! Invariant: a contract is found only if an account, not another contract, created it with exactly this
//! program's creation code and the arguments that agree with its views and keys. So the constructor that ran is
//! this program's, its checks were made, and the contract's storage has only what it wrote and what this
//! program's code did since. The code alone proves neither: another constructor could return the same code.

use std::collections::BTreeMap;

use alloy::consensus::Transaction as _;
use alloy::eips::Encodable2718 as _;
use alloy::primitives::{B256, keccak256};
use alloy::rpc::types::Log;
use l1::Address;
use l1::bytes::Bytes;
use l1::evm::abi::{self, Word};
use l1::evm::artifacts::ROLLUP;
use l1::genesis::ListedShape;
use ledger::shape::Shape;
use prover::key::KeyInfo;

use crate::access::{Access, Found, constructed};
use crate::blocks::Mined;
use crate::error::ChainError;
use crate::events::{TOKEN_ADDED, topic};
use crate::rpc::Range;

/// The transaction that created a contract.
struct Creation {
    block: u64,
    /// Creation code and arguments.
    input: Vec<u8>,
}

impl Access {
    /// Checks the code of a contract, and returns the known shapes that it lists.
    ///
    /// # Errors
    /// [`ChainError::NotTheContract`].
    pub fn listed(&self, contract: Address, known: &[Shape]) -> Result<Vec<Shape>, ChainError> {
        let view = self.contract(contract, None);
        view.check_code(self.chain_id())?;
        let depth = view.depth()?;
        let mut listed = Vec::new();
        for shape in known.iter().filter(|shape| shape.depth == depth) {
            if view.key_of(shape)?.is_some() {
                listed.push(*shape);
            }
        }
        match listed.is_empty() {
            false => Ok(listed),
            true => {
                Err(self.not_the_contract(contract, "it lists no shape that this program knows"))
            }
        }
    }

    /// Reads from the chain alone what a contract fixed, with its verifying keys. `listed` are its shapes, with the
    /// information that is kept beside their keys; `from` is the number of a block before its deployment.
    ///
    /// # Errors
    /// [`ChainError::NotTheContract`] if it is no rollup of these shapes alone, or was not created by
    /// this program's constructor.
    pub fn find(
        &self,
        contract: Address,
        listed: &[(Shape, KeyInfo)],
        from: u64,
    ) -> Result<Found, ChainError> {
        let refused = |reason: &str| self.not_the_contract(contract, reason);
        let view = self.contract(contract, None);
        let Creation { block, input } = self.creation(contract, from)?;
        let code = ROLLUP.bytecode();
        let arguments = input.strip_prefix(code.as_slice()).ok_or_else(|| {
            refused("other code than this program's created it, and may have put anything into its storage")
        })?;
        let ids = shape_ids(arguments)
            .ok_or_else(|| refused("the arguments of its constructor list no shapes"))?;
        let operator = first_operator(arguments)
            .ok_or_else(|| refused("the arguments of its constructor name no operator"))?;
        let mut parameters = view.parameters(self.chain_id(), operator)?;
        let mut keys = BTreeMap::new();
        for id in &ids {
            let unknown = || {
                let reason = format!("it lists shape {id}, which this program does not know");
                self.not_the_contract(contract, &reason)
            };
            let known = listed.iter().find(|(shape, _)| shape.id == *id);
            let (shape, info) = known.ok_or_else(unknown)?;
            let key = view.verifying_key(shape, info.clone())?;
            keys.insert(*id, key.ok_or_else(unknown)?);
            parameters.shapes.push(ListedShape {
                shape: *shape,
                fingerprint: Bytes(info.fingerprint),
            });
        }
        let config = constructed(&parameters, view.depth()?, view.path_hasher()?);
        let shapes = parameters.shapes.iter().map(|listed| listed.shape);
        let shapes = shapes.filter_map(|shape| Some((shape, keys.get(&shape.id)?)));
        let told = abi::constructor(&config, &shapes.collect::<Vec<_>>());
        if arguments != told {
            return Err(refused(
                "the arguments of its constructor are not what it tells of itself",
            ));
        }
        Ok(Found {
            parameters,
            keys,
            before: self.anchor(contract, block)?,
            block,
        })
    }

    /// The transaction that created a contract: the one with its first `TokenAdded`.
    fn creation(&self, contract: Address, from: u64) -> Result<Creation, ChainError> {
        let refused = |reason: &str| self.not_the_contract(contract, reason);
        let (hash, block) = self.first_token(contract, from)?;
        let transaction = self.rpc().transaction(hash)?;
        let transaction = transaction.ok_or_else(|| {
            let reason = format!("nothing for transaction {hash}, which has events");
            self.rpc().bad_answer("eth_getTransactionByHash", reason)
        })?;
        // Why the hash is computed: only the constructor's arguments name the first operator.
        if keccak256(transaction.inner.encoded_2718()) != hash {
            let reason = "another transaction than was asked for";
            return Err(self.rpc().bad_answer("eth_getTransactionByHash", reason));
        }
        let mined = self.rpc().mined(hash)?;
        let mined = mined.filter(|mined| (mined.number, mined.hash) == (block.number, block.hash));
        let Some(Mined { receipt, .. }) = mined else {
            return Err(ChainError::Unsteady { attempts: 1 });
        };
        let by = |creator: Address| {
            let reason = format!(
                "another contract, {creator}, created it, and only one that an account deployed itself can be checked"
            );
            self.not_the_contract(contract, &reason)
        };
        match transaction.to().map(|to| Bytes(to.into_array())) {
            Some(to) if to == contract => {
                return Err(refused(&format!(
                    "its first event in or after block {from} is of a call: name a block before its deployment with --from-block; if you did, other code than this program's created it"
                )));
            }
            Some(to) => return Err(by(to)),
            None => {}
        }
        // Why computed: no root of its block covers the address that a receipt names.
        let signed = transaction.inner.inner();
        let hash = signed.signature_hash();
        let signer = signed.signature().recover_address_from_prehash(&hash);
        let signer = signer.map_err(|error| {
            let reason = format!("a transaction that nobody signed ({error})");
            self.rpc().bad_answer("eth_getTransactionByHash", reason)
        })?;
        let created = Bytes(signer.create(transaction.nonce()).into_array());
        match (created == contract, receipt.status()) {
            (true, true) => Ok(Creation {
                block: block.number,
                input: transaction.input().to_vec(),
            }),
            (true, false) => Err(refused("the receipt of its deployment says that it failed")),
            (false, _) => Err(by(created)),
        }
    }

    /// Transaction and block of the contract's first `TokenAdded`, which its constructor emits.
    fn first_token(&self, contract: Address, from: u64) -> Result<(B256, Place), ChainError> {
        let latest = self.rpc().latest()?.number;
        if from > latest {
            let reason =
                format!("it is looked for from block {from} on, and the chain's last is {latest}");
            return Err(self.not_the_contract(contract, &reason));
        }
        let (mut at, mut range) = (from, Range::new());
        while at <= latest {
            let topic = Some(topic(TOKEN_ADDED));
            let (logs, to) = self.rpc().logs(contract, (at, latest), topic, &mut range)?;
            let asked =
                |log: &Log| place(log).filter(|(_, place)| (at..=to).contains(&place.number));
            let places: Option<Vec<_>> = logs.iter().map(asked).collect();
            let places = places.ok_or_else(|| {
                let reason = format!("events that are not of {contract} in blocks {at} to {to}");
                self.rpc().bad_answer("eth_getLogs", reason)
            })?;
            if let Some((hash, place)) = places.into_iter().min_by_key(|(_, place)| place.order()) {
                return Ok((hash, place));
            }
            at = to + 1;
        }
        let reason = format!("its deployment is not in blocks {from} to {latest}");
        Err(self.not_the_contract(contract, &reason))
    }
}

/// The place of an event on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    number: u64,
    hash: B256,
    index: u64,
}

impl Place {
    fn order(&self) -> (u64, u64) {
        (self.number, self.index)
    }
}

/// Transaction and place of an event that a block has.
fn place(log: &Log) -> Option<(B256, Place)> {
    let place = Place {
        number: log.block_number?,
        hash: log.block_hash?,
        index: log.log_index?,
    };
    (!log.removed).then_some((log.transaction_hash?, place))
}

/// The first operator, from the constructor's arguments: the contract knows only the present one.
fn first_operator(arguments: &[u8]) -> Option<Address> {
    let (words, _) = arguments.as_chunks::<32>();
    let (_, address) = words.first()?.split_last_chunk::<20>()?;
    Some(Bytes(*address))
}

/// Ids of the shapes in the constructor's arguments, in their order; see [`abi::constructor`].
fn shape_ids(arguments: &[u8]) -> Option<Vec<u16>> {
    /// Words before the number of shapes: the configuration, and where the list starts.
    const BEFORE: usize = abi::CONFIG_WORDS as usize + 1;
    let (words, _) = arguments.as_chunks::<32>();
    let list = words.get(BEFORE + 1..)?;
    let count = small(words.get(BEFORE)?)?;
    let starts = list.get(..count)?.iter().map(|start| {
        let start = small(start)?;
        let id = list.get(start / 32).filter(|_| start % 32 == 0)?;
        u16::try_from(small(id)?).ok()
    });
    starts.collect()
}

/// A word that is a number of 32 bits.
fn small(word: &Word) -> Option<usize> {
    let (high, low) = word.split_last_chunk::<4>()?;
    let number = u32::from_be_bytes(*low);
    usize::try_from(number)
        .ok()
        .filter(|_| high.iter().all(|byte| *byte == 0))
}
