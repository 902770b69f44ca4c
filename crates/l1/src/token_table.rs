//! The tokens of a chain: which id each has, and what is kept of how it is shown.
//!
//! Invariant: ids are given once, in order; those of the genesis come first.

use std::collections::BTreeMap;

use redb::{ReadableTable, ReadableTableMetadata};
use storage::{CodecError, Reader};

use crate::bytes::Address;
use crate::error::{L1Error, Refusal, StoreError};
use crate::genesis::{Deployment, Token};
use crate::native::NativeL1;
use crate::store::{Snapshot, Tx, put_token_display, transact};
use crate::token::TokenDisplay;

impl NativeL1 {
    /// All tokens by id: those of the genesis, then those that were added.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens = self.deployment.parameters().tokens.clone();
        let snapshot = Snapshot::begin(&self.db)?;
        let (table, shown) = (snapshot.tokens()?, snapshot.token_displays()?);
        for record in table.range::<u32>(..)? {
            let (id, address) = record?;
            let address = token_address(address.value())?;
            let display = shown.as_ref().map(|table| table.get(&address.0));
            let display = match display.transpose()?.flatten() {
                Some(record) => TokenDisplay::from_record(record.value())?,
                None => TokenDisplay::default(),
            };
            let name = display.symbol().map(str::to_owned);
            tokens.push(Token {
                name: name.unwrap_or_else(|| format!("token {}", id.value())),
                decimals: display.decimals(),
                address,
            });
        }
        Ok(tokens)
    }

    pub fn token_count(&self) -> Result<usize, StoreError> {
        let added = Snapshot::begin(&self.db)?.tokens()?.len()?;
        count_tokens(&self.deployment, added)
    }

    /// Gives an ERC-20 the next token id, which is returned. A contract's tokens only: those of a
    /// native L1 are fixed by its genesis.
    ///
    /// # Errors
    /// [`Refusal::TokensFixed`], [`Refusal::TokenKnown`].
    pub fn add_token(&self, token: Address, now: u64) -> Result<u32, L1Error> {
        if !self.deployment.is_on_chain() {
            return Err(Refusal::TokensFixed { token }.into());
        }
        let tokens = self.tokens()?;
        if let Some(known) = tokens.iter().position(|known| known.address == token) {
            let (token, address) = (known, token);
            return Err(Refusal::TokenKnown { token, address }.into());
        }
        let id = u32::try_from(tokens.len()).expect("a contract has less than 2^32 tokens");
        transact(&self.db, now, |tx| {
            tx.tokens.insert(id, token.0.as_slice())?;
            Ok(id)
        })
    }

    /// What a token of a contract said of itself when it was asked; none if it was not asked.
    pub fn token_display(&self, token: Address) -> Result<Option<TokenDisplay>, StoreError> {
        let Some(table) = Snapshot::begin(&self.db)?.token_displays()? else {
            return Ok(None);
        };
        let record = table.get(&token.0)?;
        let display = record.map(|record| TokenDisplay::from_record(record.value()));
        Ok(display.transpose()?)
    }

    /// Keeps what a token says of itself, and replaces what it said before. This is no part of the chain:
    /// no block has it, and no reorganization drops it.
    pub fn keep_token_display(
        &self,
        token: Address,
        display: &TokenDisplay,
    ) -> Result<(), StoreError> {
        put_token_display(&self.db, &token, &display.to_record())
    }
}

impl Tx<'_> {
    pub(crate) fn token_count(&self, on: &Deployment) -> Result<usize, StoreError> {
        count_tokens(on, self.tokens.len()?)
    }

    /// Ids of all tokens.
    pub(crate) fn tokens_by_address(
        &self,
        on: &Deployment,
    ) -> Result<BTreeMap<Address, u32>, StoreError> {
        let listed = on.parameters().tokens.iter();
        let mut tokens: BTreeMap<Address, u32> =
            listed.map(|token| token.address).zip(0..).collect();
        for record in self.tokens.range::<u32>(..)? {
            let (id, address) = record?;
            tokens.insert(token_address(address.value())?, id.value());
        }
        Ok(tokens)
    }
}

/// Tokens of a deployment to which so many were added.
fn count_tokens(on: &Deployment, added: u64) -> Result<usize, StoreError> {
    let listed = on.parameters().tokens.len();
    let count = usize::try_from(added)
        .ok()
        .and_then(|added| listed.checked_add(added));
    count.ok_or_else(|| StoreError::Missing {
        what: format!("the addresses of {added} tokens"),
    })
}

/// The address of a token that was added.
fn token_address(record: &[u8]) -> Result<Address, CodecError> {
    let mut reader = Reader::new("a token", record);
    let address = reader.bytes()?;
    reader.end()?;
    Ok(address)
}
