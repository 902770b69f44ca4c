//! A history of transfers becomes a deployment with its operations waiting.
//!
//! Invariant: the same rows and seed give the same accounts, keys and operations. Whoever knows the seed
//! has every key, the operator's too.

use std::path::{Path, PathBuf};

use batcher::SignedOperation;
use files::{Class, Classified};
use histories::{Import, ImportError, ImportOptions, ImportSummary};
use l1::bytes::Bytes;
use l1::genesis::{DEFAULT_FREEZE_AFTER, DEFAULT_TAKEOVER_AFTER, DEFAULT_TIMESTAMP_SLACK, Token};
use ledger::eddsa::PrivateKey;
use ledger::shape::Shape;
use rayon::prelude::*;
use thiserror::Error;
use wallet::{KeyEncryption, Wallet, WalletError};
use zeroize::Zeroizing;

use crate::clock::{ClockError, now};
use crate::create::{OperatorKey, PENDING_CAP, Plan, genesis_account};
use crate::rollup::Rollup;
use crate::text::count;

/// Operations that are handed to the batcher at a time, in one transaction.
pub const SUBMIT_AT_ONCE: usize = 1024;
/// Rejected rows that are listed for people.
pub const SHOWN: usize = 10;

/// Why a history does not become a deployment.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The file is not a table of transfers.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The file is empty.
    #[error("{file} has no rows that could be imported")]
    NoRows { file: String },
    /// Each row was rejected.
    #[error(
        "none of the {} rows of {file} can be imported, and no deployment was made:{first}",
        count(*.rows)
    )]
    NoneImported {
        rows: u64,
        file: String,
        /// The first rows with their reasons, each on a line.
        first: String,
    },
    /// ETH is among the tokens of contracts.
    #[error("ETH is listed twice")]
    EthTwice,
    /// The operator's wallet cannot be encoded.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The clock cannot be read.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The batcher's database cannot be written.
    #[error(transparent)]
    Batcher(#[from] batcher::StoreError),
    /// The batcher does not acknowledge a transfer.
    #[error("the batcher refused the transfer of line {line}")]
    Refused { line: u64, source: batcher::Refusal },
}

impl Classified for HistoryError {
    fn class(&self) -> Class {
        match self {
            Self::Import(error) => error.class(),
            Self::NoRows { .. } | Self::NoneImported { .. } => Class::Input,
            Self::EthTwice => Class::Refused,
            Self::Wallet(error) => error.class(),
            Self::Clock(error) => error.class(),
            Self::Batcher(error) => error.class(),
            Self::Refused { source, .. } => source.class(),
        }
    }
}

/// Where transfers are read from.
pub enum Source {
    /// A CSV file, perhaps packed.
    File(PathBuf),
    /// The workload that comes with the program: its bytes.
    Workload(&'static [u8]),
}

/// A history with the deployment that it is imported into.
pub struct History {
    pub import: Import,
    pub shapes: Vec<Shape>,
    /// Tokens of the file whose symbol and decimals were declared.
    declared: Vec<Token>,
    seed: Zeroizing<Vec<u8>>,
}

impl History {
    /// Reads rows, at most `limit` of them.
    ///
    /// # Errors
    /// If the file is not a table of transfers, or none of its rows can be imported.
    pub fn read(
        source: &Source,
        limit: Option<u64>,
        shapes: Vec<Shape>,
        seed: &[u8],
    ) -> Result<Self, HistoryError> {
        let operator = imported_operator(seed);
        let options = ImportOptions {
            seed,
            depth: shapes[0].depth,
            operator: operator.address.0,
            limit,
        };
        let import = match source {
            Source::File(path) => Import::read(path, &options)?,
            Source::Workload(bytes) => {
                let path = Path::new("the workload that comes with the program");
                Import::parse(*bytes, path, &options)?
            }
        };
        if import.summary().imported == 0 {
            return Err(nothing_imported(source, &import));
        }
        Ok(Self {
            import,
            shapes,
            declared: Vec::new(),
            seed: Zeroizing::new(seed.to_vec()),
        })
    }

    /// Names tokens of the file, and returns those that it does not have.
    pub fn declare(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        let listed = |token: &Token| {
            let token = histories::Token::Erc20(token.address.0);
            self.import.tokens().contains(&token)
        };
        let (declared, foreign) = tokens.into_iter().partition(listed);
        self.declared = declared;
        foreign
    }

    /// The deployment in which the history plays out.
    ///
    /// # Errors
    /// If there are more tokens than ids.
    pub fn plan(&self, salt: [u8; 32]) -> Result<Plan, HistoryError> {
        let mut tokens = vec![Token::eth()];
        for token in self.import.tokens().iter().skip(1) {
            let histories::Token::Erc20(address) = token else {
                return Err(HistoryError::EthTwice);
            };
            let address = Bytes(*address);
            let declared = self.declared.iter().find(|token| token.address == address);
            tokens.push(declared.cloned().unwrap_or_else(|| Token {
                name: token.to_string(),
                decimals: None,
                address,
            }));
        }
        let accounts = self.import.genesis();
        let accounts = accounts
            .par_iter()
            .map(|account| {
                let owner = Bytes(account.owner);
                genesis_account(owner, account.token, &account.key, account.balance)
            })
            .collect();
        Ok(Plan {
            shapes: self.shapes.clone(),
            tokens,
            accounts,
            operator: OperatorKey::of(&imported_operator(&self.seed), &KeyEncryption::Plain)?,
            salt,
            l1_fee: 0,
            pending_cap: PENDING_CAP,
            timestamp_slack: DEFAULT_TIMESTAMP_SLACK,
            takeover_after: DEFAULT_TAKEOVER_AFTER,
            freeze_after: DEFAULT_FREEZE_AFTER,
        })
    }

    /// Signs every transfer and hands it to the batcher, durably.
    ///
    /// # Errors
    /// If the batcher refuses an operation or cannot write.
    pub fn submit(
        &self,
        rollup: &mut Rollup,
        mut on_progress: impl FnMut(u64),
    ) -> Result<(), HistoryError> {
        let domain = rollup.l1.domain();
        let mut operations = self.import.signed(domain).map(SignedOperation::from);
        let mut done: usize = 0;
        loop {
            let chunk: Vec<_> = operations.by_ref().take(SUBMIT_AT_ONCE).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            for verdict in rollup.batcher.submit_many(&chunk, now()?)? {
                verdict.map_err(|source| HistoryError::Refused {
                    line: self.import.line(done).unwrap_or_default(),
                    source,
                })?;
                done += 1;
            }
            on_progress(done as u64);
        }
    }
}

/// The operator of an import, the same for the same seed: whoever knows the seed has its key, so
/// its wallet is kept plain.
fn imported_operator(seed: &[u8]) -> Wallet {
    Wallet::of(PrivateKey::derive("quire 1 operator of an import", seed))
}

/// The failure of an import of which nothing is left.
fn nothing_imported(source: &Source, import: &Import) -> HistoryError {
    let file = match source {
        Source::File(path) => path.display().to_string(),
        Source::Workload(_) => "the workload".to_owned(),
    };
    let ImportSummary { rows, .. } = import.summary();
    if rows == 0 {
        return HistoryError::NoRows { file };
    }
    let first = import.rejected().iter().take(SHOWN);
    let lines = first.map(|row| format!("\n  line {}: {}", row.line, row.reason));
    HistoryError::NoneImported {
        rows,
        file,
        first: lines.collect(),
    }
}
