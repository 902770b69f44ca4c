//! Histories of transfers, replayed as a rollup's life.
//!
//! A CSV file, plain or gzip, becomes genesis accounts and signed transfers: one account per
//! (address, token), keys derived from the import's seed, opening balances such that the history plays
//! out. Its first line names the columns; `token`, `from`, `to` and `amount` are used, wherever they
//! stand, others are passed over. A token is `ETH`, the same as the address of zeros, or an address.
//! Nonces count per rollup account in file order. Amounts that float40 cannot hold are rounded down.
//! Fees are 10 basis points of the amount, rounded down to float16, in ETH, and zero in other tokens.
//!
//! Invariants: imported and rejected rows add up to all rows; a rejected row leaves no trace;
//! every balance of the history, and every token's sum of opening balances, is below 2^128, so
//! nothing that was imported is rejected when it executes in file order.

#![allow(missing_docs, reason = "what a name says is not said again")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use files::{Class, Classified};
use flate2::bufread::MultiGzDecoder;
use ledger::account::Account;
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::field::Fr;
use ledger::float::{Float16, Float40};
use ledger::operation::{NO_EXPIRY, Signable, Signed, Transfer};
use ledger::shape::leaves;
use rayon::prelude::*;
use thiserror::Error;

/// The columns that are used.
const COLUMNS: [&str; 4] = ["token", "from", "to", "amount"];

/// Where the columns stand in a row.
struct Columns {
    /// Of each of [`COLUMNS`].
    places: [usize; 4],
    /// Columns of a row, those that are passed over counted.
    count: usize,
}

/// Index of the account that gets the fees.
pub const FEE_ACCOUNT: u32 = 1;

/// Token id of ETH.
pub const ETH: u32 = 0;

/// A thousandth of an amount is its fee: 10 basis points.
const AMOUNT_PER_FEE: u128 = 1000;

/// Most bytes of text, unpacked, so that a small packed file does not fill the memory.
const MOST_BYTES: u64 = 1 << 30;

/// Most bytes of a line, for the same reason; a row of the table has less than 300.
const MOST_LINE: usize = 1 << 16;

/// Most rejected rows whose reason is kept; all are counted.
const MOST_REASONS: usize = 1000;

/// Transfers that are signed at a time.
const SIGNED_AT_ONCE: usize = 1024;

/// The address that stands for ETH.
const ZEROS: [u8; 20] = [0; 20];

/// What some programs write before a text.
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// First two bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What an import is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions<'a> {
    /// Secret from which all wallet keys are derived.
    pub seed: &'a [u8],
    /// Levels of the account tree, 1 to 16.
    pub depth: u8,
    /// L1 address of the operator, which owns the fee account.
    pub operator: [u8; 20],
    /// Most rows that are read; all if none.
    pub limit: Option<u64>,
}

/// What a token is on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token {
    /// The coin of the chain.
    Eth,
    /// A contract.
    Erc20([u8; 20]),
}

/// An account that exists from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// The account's index, from 1 without gaps.
    pub index: u32,
    /// Its owner on L1.
    pub owner: [u8; 20],
    /// Token id.
    pub token: u32,
    /// The key that signs for it; in the prime subgroup.
    pub key: Point,
    /// Opening balance.
    pub balance: u128,
}

/// A row that is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Its line in the file, the header being 1.
    pub line: u64,
    pub reason: RowError,
}

/// Why a row is not imported.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowError {
    /// Another number of columns than the first line.
    #[error("expected {expected} columns, got {got}")]
    Columns {
        /// Columns of the first line.
        expected: usize,
        /// Columns of the row.
        got: usize,
    },
    /// Neither `ETH` nor an address.
    #[error("token is neither ETH nor 0x and 40 hex digits: {text:?}")]
    Token {
        /// What it says.
        text: String,
    },
    /// Not an address.
    #[error("{column} is not 0x and 40 hex digits: {text:?}")]
    Address {
        /// Name of the column.
        column: &'static str,
        /// What it says.
        text: String,
    },
    /// Not a whole number below 2^128.
    #[error("amount is not a whole number below 2^128: {text:?}")]
    Amount {
        /// What it says.
        text: String,
    },
    /// The sender would need more than exists.
    #[error("opening balances of token {token} would reach 2^128")]
    Supply { token: u32 },
    /// No index is left for a new account.
    #[error("all {leaves} indices of the tree are taken")]
    TreeFull {
        /// `4^depth`.
        leaves: u64,
    },
}

/// Why a file is not imported at all.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read, or is damaged.
    #[error("{}: {source}: check that the file exists and is whole", path.display())]
    Io {
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The first line does not name a column that is used, or names it twice.
    #[error("{}: line 1 has to name the columns {} once each, and names {column} {times} times: {found:?}", path.display(), COLUMNS.join(", "))]
    Header {
        column: &'static str,
        /// How often it is named.
        times: usize,
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The file is too large.
    #[error("{}: more than {MOST_BYTES} bytes of text: import it in parts", path.display())]
    TooLarge { path: PathBuf },
    /// The depth is not one that trees have.
    #[error("depth must be 1 to {}, got {}", ledger::shape::MAX_DEPTH, .0)]
    Depth(u8),
}

impl Classified for ImportError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Class::Environment,
            Self::Header { .. } | Self::TooLarge { .. } | Self::Depth { .. } => Class::Input,
        }
    }
}

impl Classified for RowError {
    fn class(&self) -> Class {
        match self {
            Self::Columns { .. }
            | Self::Token { .. }
            | Self::Address { .. }
            | Self::Amount { .. }
            | Self::Supply { .. }
            | Self::TreeFull { .. } => Class::Input,
        }
    }
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Rows of the file, the header not counted.
    pub rows: u64,
    /// Rows that became transfers.
    pub imported: u64,
    /// Rows that did not.
    pub rejected: u64,
    /// Imported rows whose amount was rounded down.
    pub rounded: u64,
    /// Accounts, one per (address, token); the fee account is one more.
    pub accounts: usize,
    /// Tokens, ETH counted.
    pub tokens: usize,
}

/// An account while the history is read.
struct Wallet {
    address: [u8; 20],
    token: u32,
    opening: u128,
    balance: u128,
    nonce: u64,
}

/// A row that parsed.
struct Row {
    token: Token,
    from: [u8; 20],
    to: [u8; 20],
    amount: u128,
}

/// A history that was read: accounts with their keys, and transfers to be signed.
pub struct Import {
    seed: Vec<u8>,
    operator: [u8; 20],
    leaves: u64,
    tokens: Vec<Token>,
    token_ids: BTreeMap<Token, u32>,
    supply: Vec<u128>,
    wallets: Vec<Wallet>,
    indices: BTreeMap<([u8; 20], u32), u32>,
    transfers: Vec<Transfer>,
    /// The line of each transfer.
    lines: Vec<u64>,
    rejected: Vec<RejectedRow>,
    summary: ImportSummary,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eth => f.write_str("ETH"),
            Self::Erc20(address) => write!(f, "0x{}", hex::encode(address)),
        }
    }
}

/// Text whose lines have at most [`MOST_LINE`] bytes; longer ones are an error.
struct ShortLines<R> {
    text: R,
    /// The line that is being read, and its bytes so far.
    line: u64,
    length: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        for byte in &buffer[..count] {
            (self.line, self.length) = match byte {
                b'\n' => (self.line + 1, 0),
                _ => (self.line, self.length + 1),
            };
            if self.length > MOST_LINE {
                let what = format!("line {} has more than {MOST_LINE} bytes", self.line);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(count)
    }
}

impl Import {
    /// Reads a file as [`Self::parse`] does.
    ///
    /// # Errors
    /// [`ImportError`]. Rows that do not parse are no error: they are counted and listed.
    pub fn read(path: &Path, options: &ImportOptions<'_>) -> Result<Self, ImportError> {
        let file = File::open(path).map_err(|source| ImportError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(file, path, options)
    }

    /// Reads text, packed with gzip or plain: told apart by its first two bytes. `path` is for
    /// messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(
        bytes: impl Read,
        path: &Path,
        options: &ImportOptions<'_>,
    ) -> Result<Self, ImportError> {
        let io_error = |source| ImportError::Io {
            path: path.to_owned(),
            source,
        };
        let mut bytes = BufReader::new(bytes);
        match bytes.fill_buf().map_err(io_error)?.starts_with(&GZIP) {
            true => Self::parse_text(MultiGzDecoder::new(bytes), path, options),
            false => Self::parse_text(bytes, path, options),
        }
    }

    fn parse_text(
        text: impl Read,
        path: &Path,
        options: &ImportOptions<'_>,
    ) -> Result<Self, ImportError> {
        if options.depth == 0 || options.depth > ledger::shape::MAX_DEPTH {
            return Err(ImportError::Depth(options.depth));
        }
        let text = ShortLines {
            text,
            line: 1,
            length: 0,
        };
        let mut limited = text.take(MOST_BYTES + 1);
        let mut import = Self::empty(options);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(false)
            .from_reader(&mut limited);
        let mut record = ByteRecord::new();
        let csv_error = |error: csv::Error| ImportError::Io {
            path: path.to_owned(),
            source: error.into(),
        };
        reader.read_byte_record(&mut record).map_err(csv_error)?;
        let columns = Columns::of(&record).map_err(|(column, times)| ImportError::Header {
            column,
            times,
            path: path.to_owned(),
            found: text_of(&record.iter().collect::<Vec<_>>().join(&b","[..])),
        })?;
        let most = options.limit.unwrap_or(u64::MAX);
        while import.summary.rows < most
            && reader.read_byte_record(&mut record).map_err(csv_error)?
        {
            import.row(&columns, &record);
        }
        drop(reader);
        if limited.limit() == 0 {
            let path = path.to_owned();
            return Err(ImportError::TooLarge { path });
        }
        import.summary.accounts = import.wallets.len();
        import.summary.tokens = import.tokens.len();
        Ok(import)
    }

    fn empty(options: &ImportOptions<'_>) -> Self {
        Self {
            seed: options.seed.to_vec(),
            operator: options.operator,
            leaves: leaves(options.depth),
            tokens: vec![Token::Eth],
            token_ids: BTreeMap::from([(Token::Eth, ETH)]),
            supply: vec![0],
            wallets: Vec::new(),
            indices: BTreeMap::new(),
            transfers: Vec::new(),
            lines: Vec::new(),
            rejected: Vec::new(),
            summary: ImportSummary::default(),
        }
    }

    fn row(&mut self, columns: &Columns, record: &ByteRecord) {
        self.summary.rows += 1;
        let line = record.position().map_or(0, csv::Position::line);
        match columns.row(record).and_then(|row| self.add(&row)) {
            Ok(()) => {
                self.summary.imported += 1;
                self.lines.push(line);
            }
            Err(reason) => {
                self.summary.rejected += 1;
                if self.rejected.len() < MOST_REASONS {
                    self.rejected.push(RejectedRow { line, reason });
                }
            }
        }
    }

    /// Adds a transfer, or nothing at all.
    fn add(&mut self, row: &Row) -> Result<(), RowError> {
        let amount = Float40::round_down(row.amount);
        let value = amount
            .value_u128()
            .expect("rounding down keeps it below 2^128");
        let fee = match row.token {
            Token::Eth => Float16::round_down(value / AMOUNT_PER_FEE),
            Token::Erc20(_) => Float16::default(),
        };
        let paid = fee
            .value_u128()
            .expect("at most a thousandth of the amount");
        let (token, supply) = self.check(row, value, paid)?;
        if token == self.tokens.len() {
            self.tokens.push(row.token);
            self.supply.push(0);
        }
        self.supply[token] = supply;
        let token = u32::try_from(token).expect("there are fewer tokens than indices");
        self.token_ids.insert(row.token, token);
        let from = self.index(row.from, token);
        let to = self.index(row.to, token);
        let nonce = self.pay(from, to, value, paid);
        self.transfers.push(Transfer {
            from,
            to,
            amount,
            fee,
            nonce,
            valid_until: NO_EXPIRY,
            token,
        });
        self.summary.rounded += u64::from(value != row.amount);
        Ok(())
    }

    /// The row's token, and the sum of its opening balances with the row.
    fn check(&self, row: &Row, amount: u128, fee: u128) -> Result<(usize, u128), RowError> {
        let known = self.token_ids.get(&row.token).copied();
        let wallet = |address: [u8; 20]| {
            let index = self.indices.get(&(address, known?))?;
            self.wallets.get(place(*index))
        };
        let new = match (wallet(row.from), wallet(row.to)) {
            (None, None) if row.from != row.to => 2,
            (Some(_), Some(_)) => 0,
            _ => 1,
        };
        // Indices 0 and FEE_ACCOUNT are not for wallets.
        let used = u64::try_from(self.wallets.len() + 2).unwrap_or(u64::MAX);
        if used.saturating_add(new) > self.leaves {
            let leaves = self.leaves;
            return Err(RowError::TreeFull { leaves });
        }
        let token = known.map_or(self.tokens.len(), |token| {
            usize::try_from(token).expect("32 bits fit")
        });
        let reported = u32::try_from(token).unwrap_or(u32::MAX);
        let over = RowError::Supply { token: reported };
        let balance = wallet(row.from).map_or(0, |wallet| wallet.balance);
        let needed = amount.checked_add(fee).ok_or(over.clone())?;
        let supply = self.supply.get(token).copied().unwrap_or(0);
        let supply = supply
            .checked_add(needed.saturating_sub(balance))
            .ok_or(over)?;
        Ok((token, supply))
    }

    /// The index of an address's account for a token, a new one if there is none.
    fn index(&mut self, address: [u8; 20], token: u32) -> u32 {
        let next = self.wallets.len() + place_offset();
        let next = u32::try_from(next).expect("the tree has room");
        let index = *self.indices.entry((address, token)).or_insert(next);
        if index == next {
            self.wallets.push(Wallet {
                address,
                token,
                opening: 0,
                balance: 0,
                nonce: 0,
            });
        }
        index
    }

    /// Moves money, from the opening balance where it is short, and returns the sender's nonce.
    fn pay(&mut self, from: u32, to: u32, amount: u128, fee: u128) -> u64 {
        let sender = &mut self.wallets[place(from)];
        let needed = amount + fee;
        let short = needed.saturating_sub(sender.balance);
        sender.opening += short;
        sender.balance = sender.balance + short - needed;
        let nonce = sender.nonce;
        sender.nonce += 1;
        self.wallets[place(to)].balance += amount;
        nonce
    }

    /// What the import came to.
    pub fn summary(&self) -> ImportSummary {
        self.summary
    }

    /// The rejected rows, as far as their reasons are kept: the first thousand.
    pub fn rejected(&self) -> &[RejectedRow] {
        &self.rejected
    }

    /// The tokens by id.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Token → fee account.
    pub fn fee_accounts(&self) -> BTreeMap<u32, u32> {
        BTreeMap::from([(ETH, FEE_ACCOUNT)])
    }

    /// The accounts in order of index: the operator's fee account, then every (address, token) in
    /// order of first appearance. Keys are derived in parallel.
    pub fn genesis(&self) -> Vec<GenesisAccount> {
        let fee_account = GenesisAccount {
            index: FEE_ACCOUNT,
            owner: self.operator,
            token: ETH,
            key: self.key(FEE_ACCOUNT).public_key(),
            balance: 0,
        };
        let wallet = |(index, wallet): (u32, &Wallet)| GenesisAccount {
            index,
            owner: wallet.address,
            token: wallet.token,
            key: self.key(index).public_key(),
            balance: wallet.opening,
        };
        let indexed: Vec<(u32, &Wallet)> = (FEE_ACCOUNT + 1..).zip(&self.wallets).collect();
        let mut accounts = vec![fee_account];
        accounts.par_extend(indexed.into_par_iter().map(wallet));
        accounts
    }

    /// The private key of an account of [`Self::genesis`]: derived from the seed, the owner's
    /// address and the token's, whatever its index.
    ///
    /// # Panics
    /// If there is no such account.
    pub fn key(&self, index: u32) -> PrivateKey {
        if index == FEE_ACCOUNT {
            let material = [&self.seed[..], &self.operator].concat();
            return PrivateKey::derive("quire/1 imported fee account key", &material);
        }
        let Wallet { address, token, .. } = &self.wallets[place(index)];
        let token = self.tokens[usize::try_from(*token).expect("32 bits fit")];
        let (tag, contract) = match token {
            Token::Eth => (0, [0; 20]),
            Token::Erc20(contract) => (1, contract),
        };
        let material = [&self.seed[..], address, &[tag], &contract].concat();
        PrivateKey::derive("quire/1 imported account key", &material)
    }

    /// The line of a transfer, counted from 0 in file order.
    pub fn line(&self, transfer: usize) -> Option<u64> {
        self.lines.get(transfer).copied()
    }

    /// The transfers in file order, not signed.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The transfers in file order, signed for a deployment: in parallel, some at a time.
    pub fn signed(&self, domain: Fr) -> impl Iterator<Item = Signed<Transfer>> + '_ {
        self.transfers
            .chunks(SIGNED_AT_ONCE)
            .flat_map(move |chunk| {
                let sign = |transfer: &Transfer| transfer.sign(&self.key(transfer.from), &domain);
                chunk.par_iter().map(sign).collect::<Vec<_>>()
            })
    }
}

impl GenesisAccount {
    /// The account as the state has it.
    pub fn account(&self) -> Account {
        Account::new(self.key, self.token, self.balance)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.seed);
    }
}

/// Index of the first wallet.
fn place_offset() -> usize {
    usize::try_from(FEE_ACCOUNT + 1).expect("32 bits fit")
}

/// A wallet's place in the list.
fn place(index: u32) -> usize {
    usize::try_from(index).expect("32 bits fit") - place_offset()
}

impl Columns {
    /// The columns that the first line names, or the first that it does not name once, with how often.
    fn of(header: &ByteRecord) -> Result<Self, (&'static str, usize)> {
        let mut places = [0; 4];
        for (name, place) in COLUMNS.into_iter().zip(&mut places) {
            let named = header.iter().enumerate();
            let named = named.filter(|(at, text)| {
                let text = match at {
                    0 => text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text),
                    _ => text,
                };
                text == name.as_bytes()
            });
            let mut named = named.map(|(at, _)| at);
            match (named.next(), named.count()) {
                (Some(at), 0) => *place = at,
                (first, more) => return Err((name, usize::from(first.is_some()) + more)),
            }
        }
        let count = header.len();
        Ok(Self { places, count })
    }

    fn row(&self, record: &ByteRecord) -> Result<Row, RowError> {
        let (expected, got) = (self.count, record.len());
        if got != expected {
            return Err(RowError::Columns { expected, got });
        }
        let [token, from, to, amount] = self.places.map(|place| &record[place]);
        let party = |column: &'static str, text: &[u8]| {
            address(text).ok_or_else(|| RowError::Address {
                column,
                text: text_of(text),
            })
        };
        Ok(Row {
            token: token_of(token)?,
            from: party("from", from)?,
            to: party("to", to)?,
            amount: number(amount).ok_or_else(|| RowError::Amount {
                text: text_of(amount),
            })?,
        })
    }
}

/// `ETH`, or an address, of which that of zeros is ETH's.
fn token_of(text: &[u8]) -> Result<Token, RowError> {
    if text == b"ETH" {
        return Ok(Token::Eth);
    }
    match address(text) {
        Some(ZEROS) => Ok(Token::Eth),
        Some(address) => Ok(Token::Erc20(address)),
        None => Err(RowError::Token {
            text: text_of(text),
        }),
    }
}

/// Decimal digits and nothing else.
fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}

/// `0x` and 40 hex digits in either case.
fn address(text: &[u8]) -> Option<[u8; 20]> {
    let mut address = [0; 20];
    hex::decode_to_slice(text.strip_prefix(b"0x")?, &mut address).ok()?;
    Some(address)
}

/// A column for a message: what is not text is replaced, what is long is cut.
fn text_of(bytes: &[u8]) -> String {
    let shown = bytes.get(..80).unwrap_or(bytes);
    String::from_utf8_lossy(shown).into_owned()
}
