//! Amounts with their tokens, as people write and read them.
//!
//! Invariant: an amount is printed with its token, by [`Amount`] alone: in text with the token's decimal
//! point and symbol, in JSON as a decimal string in the smallest unit. Where a token's decimals are not
//! known, its amounts are counted in units, the smallest there are.

use std::fmt;
use std::num::ParseIntError;
use std::sync::Arc;

use files::{Class, Classified};
use l1::genesis::Token as Listed;
use l1::token::{ETH_DECIMALS, check_symbol};
use l1::{Address, NativeL1};
use ledger::float::{Float16, Float40};
use ledger::operation::FORTY_BITS;
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Token id of ETH.
pub const ETH: u32 = 0;
/// Units of ETH besides its symbol, with their decimal places.
const ETH_UNITS: [(&str, usize); 2] = [("gwei", 9), ("wei", 0)];
/// What amounts of every token can be counted in.
const SMALLEST: [&str; 2] = ["units", "unit"];

/// A token as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: u32,
    /// Its address on the chain that it comes from.
    pub address: Option<Address>,
    symbol: Option<String>,
    decimals: Option<u8>,
    /// The name of the genesis, which older ones have in the symbol's stead.
    name: String,
    /// True if another token has the symbol too.
    shared: bool,
}

/// A token in JSON: beside amounts of it, which are in its smallest unit.
#[derive(Clone, Debug, Serialize)]
pub struct TokenFacts {
    token: u32,
    symbol: Option<String>,
    pub decimals: Option<u8>,
}

/// The tokens of a deployment.
#[derive(Debug)]
pub struct Tokens(Vec<Arc<Token>>);

/// An amount of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    value: u128,
    token: Arc<Token>,
}

/// Why a text names no token, or no amount, or a number cannot be signed.
#[derive(Debug, Error)]
pub enum AmountError {
    /// Several tokens are named so.
    #[error("{count} tokens are called {text:?}: {all}; name one by its id or address")]
    Ambiguous {
        text: String,
        count: usize,
        /// All of them, with what tells them apart.
        all: String,
    },
    /// No token is named so.
    #[error(
        "there is no token {text:?}; give ETH, an id from 0 to {last}, or the symbol or address of a listed token"
    )]
    NoToken {
        text: String,
        /// The largest id.
        last: usize,
    },
    /// The text is not a number with a unit.
    #[error("{text:?} is not an amount: write {example}")]
    NotAnAmount { text: String, example: String },
    /// The unit is not one of the token.
    #[error("{text:?} is an amount of {unit:?}, and the token is {token}: write {example}")]
    Unit {
        text: String,
        unit: String,
        /// The token, with its address.
        token: String,
        example: String,
    },
    /// The smallest unit is divided.
    #[error("{text:?} is not a whole number of the smallest unit of {token}: write {example}")]
    Fraction {
        text: String,
        token: String,
        example: String,
    },
    /// Amounts are below 2^128.
    #[error("{text:?} is not below 2^128 of the smallest unit")]
    TooLarge { text: String, source: ParseIntError },
    /// A signed operation has fewer digits.
    #[error("{precision}: {amount} cannot be written, the nearest below is {nearest}")]
    Precision {
        /// What its precision is, in words.
        precision: &'static str,
        amount: Amount,
        nearest: Amount,
    },
    /// Expiries and nonces are below 2^40.
    #[error("{what} must be below 2^40, got {value}")]
    FortyBits { what: &'static str, value: u64 },
}

impl Classified for AmountError {
    fn class(&self) -> Class {
        match self {
            Self::NoToken { .. } => Class::Refused,
            Self::Ambiguous { .. }
            | Self::NotAnAmount { .. }
            | Self::Unit { .. }
            | Self::Fraction { .. }
            | Self::TooLarge { .. }
            | Self::Precision { .. }
            | Self::FortyBits { .. } => Class::Usage,
        }
    }
}

impl Token {
    /// The coin of the chain.
    pub fn eth() -> Self {
        Self {
            id: ETH,
            address: None,
            symbol: Some("ETH".to_owned()),
            decimals: Some(ETH_DECIMALS),
            name: "ETH".to_owned(),
            shared: false,
        }
    }

    fn listed(id: u32, token: &Listed) -> Self {
        if id == ETH {
            return Self::eth();
        }
        Self {
            id,
            address: Some(token.address),
            symbol: Some(token.name.clone()).filter(|name| check_symbol(name).is_ok()),
            decimals: token.decimals,
            name: token.name.clone(),
            shared: false,
        }
    }

    /// A token of which nothing is known.
    fn unknown(id: u32) -> Self {
        Self {
            id,
            address: None,
            symbol: None,
            decimals: None,
            name: String::new(),
            shared: false,
        }
    }

    /// The token in JSON.
    pub fn facts(&self) -> TokenFacts {
        TokenFacts {
            token: self.id,
            symbol: self.symbol.clone(),
            decimals: self.decimals,
        }
    }

    /// Symbol and id or address: what tells it from every other token.
    pub fn described(&self) -> String {
        match self.address {
            Some(address) => format!("{self} ({address})"),
            None => self.to_string(),
        }
    }

    /// Whether a text names it, ids aside.
    fn is_named(&self, text: &str) -> bool {
        let same = |name: &str| name.eq_ignore_ascii_case(text);
        let address = self.address.map(|address| address.to_string());
        same(&self.name) || same(&self.to_string()) || address.as_deref().is_some_and(same)
    }

    /// The decimal places of a unit in which its amounts can be written.
    fn places(&self, unit: &str) -> Option<usize> {
        let same = |name: &str| name.eq_ignore_ascii_case(unit);
        if unit.is_empty() || SMALLEST.into_iter().any(same) {
            return Some(0);
        }
        // Why not a name that is no symbol: `1E+18` would be 1 of a token of that name.
        let is_hidden = self.symbol.is_none() && same(&self.name);
        let own = self.decimals.filter(|_| self.is_named(unit) && !is_hidden);
        let of_eth = || ETH_UNITS.into_iter().find(|(name, _)| same(name));
        match own {
            Some(decimals) => Some(decimals.into()),
            None if self.id == ETH => of_eth().map(|(_, places)| places),
            None => None,
        }
    }

    /// How an amount of it is written.
    fn example(&self) -> String {
        match (self.decimals, self.id) {
            (Some(_), ETH) => "12, 20gwei or 1.5eth".to_owned(),
            (Some(0), _) | (None, _) => "12, in its smallest unit".to_owned(),
            (Some(_), _) if self.symbol.is_some() => {
                format!("12, in its smallest unit, or \"1.5 {self}\"")
            }
            (Some(_), _) => "12, in its smallest unit".to_owned(),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) if self.shared => write!(f, "{symbol}#{}", self.id),
            Some(symbol) => f.write_str(symbol),
            None => write!(f, "token {}", self.id),
        }
    }
}

impl Tokens {
    /// The tokens of an L1.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn of(l1: &NativeL1) -> Result<Self, l1::StoreError> {
        Ok(Self::listed(&l1.tokens()?))
    }

    /// The tokens of a list, by id.
    pub fn listed(listed: &[Listed]) -> Self {
        let mut tokens: Vec<Token> = (0..)
            .zip(listed)
            .map(|(id, token)| Token::listed(id, token))
            .collect();
        let symbols = tokens.iter().filter_map(|token| token.symbol.as_ref());
        let mut symbols: Vec<String> = symbols.map(|symbol| symbol.to_ascii_lowercase()).collect();
        symbols.sort_unstable();
        for token in &mut tokens {
            let symbol = token
                .symbol
                .as_ref()
                .map(|symbol| symbol.to_ascii_lowercase());
            token.shared = symbol.is_some_and(|symbol| {
                let first = symbols.partition_point(|other| *other < symbol);
                symbols.get(first + 1) == Some(&symbol)
            });
        }
        Self(tokens.into_iter().map(Arc::new).collect())
    }

    /// The token with this id.
    pub fn get(&self, id: u32) -> Arc<Token> {
        let listed = usize::try_from(id).ok().and_then(|place| self.0.get(place));
        listed.map_or_else(|| Arc::new(Token::unknown(id)), Arc::clone)
    }

    /// An amount of the token with this id.
    pub fn amount(&self, id: u32, value: u128) -> Amount {
        Amount::of(&self.get(id), value)
    }

    /// The tokens by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.0.iter()
    }

    /// The token that a text names: its symbol, address or id.
    ///
    /// # Errors
    /// [`AmountError::NoToken`]; [`AmountError::Ambiguous`] if several have the symbol.
    pub fn named(&self, text: &str) -> Result<Arc<Token>, AmountError> {
        let named: Vec<&Arc<Token>> = self.0.iter().filter(|token| token.is_named(text)).collect();
        if let [token] = named[..] {
            return Ok(Arc::clone(token));
        }
        if !named.is_empty() {
            let all: Vec<String> = named.iter().map(|token| token.described()).collect();
            return Err(AmountError::Ambiguous {
                text: text.to_owned(),
                count: named.len(),
                all: all.join(", "),
            });
        }
        let id: Option<u32> = text.parse().ok();
        let known = id.and_then(|id| self.0.get(usize::try_from(id).ok()?));
        known.map(Arc::clone).ok_or_else(|| AmountError::NoToken {
            text: text.to_owned(),
            last: self.0.len().saturating_sub(1),
        })
    }
}

/// The text of a rule that rejects an operation, which knows no tokens and counts `units`, with its amounts
/// in the token of the account that it names.
///
/// # Errors
/// If L1 cannot be read.
pub fn rule_text(l1: &NativeL1, text: &str) -> Result<String, l1::StoreError> {
    let words: Vec<&str> = text.split(' ').collect();
    let named = words.windows(2).find_map(|pair| {
        let is_account = ["sender", "receiver", "account"].contains(&pair[0]);
        pair[1].parse().ok().filter(|_: &u32| is_account)
    });
    let Some(account) = named
        .map(|index| l1.registered(index))
        .transpose()?
        .flatten()
    else {
        return Ok(text.to_owned());
    };
    let token = Tokens::of(l1)?.get(account.token);
    Ok(spelled(&words, &token))
}

/// Words in which numbers of `units` are amounts of a token.
fn spelled(words: &[&str], token: &Arc<Token>) -> String {
    let (mut out, mut rest) = (Vec::new(), words);
    while let [word, after @ ..] = rest {
        let value: Option<u128> = word.parse().ok();
        let unit = after.first().and_then(|unit| unit.strip_prefix("units"));
        match value.zip(unit) {
            Some((value, punctuation)) => {
                out.push(format!("{}{punctuation}", Amount::of(token, value)));
                rest = &after[1..];
            }
            None => {
                out.push((*word).to_owned());
                rest = after;
            }
        }
    }
    out.join(" ")
}

impl Amount {
    /// So many of the token's smallest unit.
    pub fn of(token: &Arc<Token>, value: u128) -> Self {
        let token = Arc::clone(token);
        Self { value, token }
    }

    /// So many wei.
    pub fn wei(value: u128) -> Self {
        Self::of(&Arc::new(Token::eth()), value)
    }

    /// Reads an amount of ETH as [`Self::parse`] does.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_eth(text: &str) -> Result<Self, AmountError> {
        Self::parse(&Arc::new(Token::eth()), text)
    }

    /// Reads `12`, `1.5eth`, `20 gwei` or `1.5 USDC`. A number without a unit is one of the token's smallest
    /// unit.
    ///
    /// # Errors
    /// If the text is no amount of the token below 2^128, or has a fraction of its smallest unit.
    pub fn parse(token: &Arc<Token>, text: &str) -> Result<Self, AmountError> {
        let (whole, fraction, unit) = split(text).ok_or_else(|| AmountError::NotAnAmount {
            text: text.to_owned(),
            example: token.example(),
        })?;
        let places = token.places(unit).ok_or_else(|| AmountError::Unit {
            text: text.to_owned(),
            unit: unit.to_owned(),
            token: token.described(),
            example: token.example(),
        })?;
        let significant = fraction.trim_end_matches('0');
        if significant.len() > places {
            return Err(AmountError::Fraction {
                text: text.to_owned(),
                token: token.to_string(),
                example: token.example(),
            });
        }
        let digits = format!("{whole}{significant:0<places$}");
        let value = match digits.trim_start_matches('0') {
            "" => 0,
            digits => digits.parse().map_err(|source| AmountError::TooLarge {
                text: text.to_owned(),
                source,
            })?,
        };
        Ok(Self::of(token, value))
    }

    /// Its token.
    pub fn token(&self) -> &Arc<Token> {
        &self.token
    }

    /// The number of the smallest unit.
    pub fn value(&self) -> u128 {
        self.value
    }

    /// The token in JSON.
    pub fn facts(&self) -> TokenFacts {
        self.token.facts()
    }

    /// The amount as a signed operation spells it.
    ///
    /// # Errors
    /// If float40 cannot hold it; the message names the nearest amount below.
    pub fn float40(&self) -> Result<Float40, AmountError> {
        let float = Float40::round_down(self.value);
        self.check_exact(
            float.value_u128(),
            "a signed amount has 35 bits of precision",
        )?;
        Ok(float)
    }

    /// The fee as a signed operation spells it.
    ///
    /// # Errors
    /// If float16 cannot hold it; the message names the nearest fee below.
    pub fn float16(&self) -> Result<Float16, AmountError> {
        let float = Float16::round_down(self.value);
        self.check_exact(float.value_u128(), "a fee has 11 bits of precision")?;
        Ok(float)
    }

    fn check_exact(&self, below: Option<u128>, precision: &'static str) -> Result<(), AmountError> {
        // Why never the default: rounding down keeps amounts in range.
        let nearest = Self::of(&self.token, below.unwrap_or_default());
        if nearest == *self {
            return Ok(());
        }
        Err(AmountError::Precision {
            precision,
            amount: self.clone(),
            nearest,
        })
    }

    /// The number with its decimal point.
    fn number(&self, decimals: u8) -> String {
        let places = usize::from(decimals);
        let digits = format!("{:0>width$}", self.value, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, token } = self;
        match (token.decimals, &token.symbol) {
            (Some(decimals), Some(_)) => write!(f, "{} {token}", self.number(decimals)),
            (Some(decimals), None) => write!(f, "{} of {token}", self.number(decimals)),
            (None, _) if *value == 1 => write!(f, "1 unit of {token}"),
            (None, _) => write!(f, "{value} units of {token}"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.value)
    }
}

/// The digits before and after the point of a number, and its unit.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let typed = text.trim();
    let end = typed.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = typed.split_at(end.unwrap_or(typed.len()));
    let unit = unit.trim_start();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let dotted = number.contains('.');
    let is_number = !(whole.is_empty() || fraction.contains('.') || dotted && fraction.is_empty());
    let readable = unit.chars().all(|c| !c.is_whitespace());
    (is_number && readable).then_some((whole, fraction, unit))
}

/// An expiry or nonce: below 2^40.
///
/// # Errors
/// If it is not.
pub fn forty_bits(what: &'static str, value: u64) -> Result<u64, AmountError> {
    match value {
        0..=FORTY_BITS => Ok(value),
        _ => Err(AmountError::FortyBits { what, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l1::bytes::Bytes;

    fn tokens() -> Tokens {
        let token = |name: &str, decimals, byte| Listed {
            name: name.to_owned(),
            decimals,
            address: Bytes([byte; 20]),
        };
        Tokens::listed(&[
            token("ETH", None, 0),
            token("USDC", Some(6), 1),
            token("1INCH", Some(18), 2),
            token("usdc", Some(18), 3),
            token("token 4", Some(2), 4),
            token("an old name", None, 5),
            token("PTS", Some(0), 6),
            token("MAX", Some(77), 7),
            token("OLD", None, 8),
        ])
    }

    fn read(token: u32, text: &str) -> Result<u128, AmountError> {
        Ok(Amount::parse(&tokens().get(token), text)?.value())
    }

    #[test]
    fn amounts_are_read_in_their_units() {
        for (token, text, expected) in [
            (ETH, "0", 0),
            (ETH, "007", 7),
            (ETH, "12", 12),
            (ETH, "3 wei", 3),
            (ETH, "3 units", 3),
            (ETH, "20gwei", 20_000_000_000),
            (ETH, "1.5eth", 1_500_000_000_000_000_000),
            (ETH, "0.000000000000000001 ETH", 1),
            (ETH, "340282366920938463463374607431768211455", u128::MAX),
            (1, "1.5usdc#1", 1_500_000),
            (1, "12", 12),
            (2, "5 1inch", 5_000_000_000_000_000_000),
            (4, "12 units", 12),
            (6, "7 PTS", 7),
            (
                7,
                "0.00000000000000000000000000000000000000000000000000000000000000000000000000001MAX",
                1,
            ),
        ] {
            assert_eq!(read(token, text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "eth",
            ".5eth",
            "1.eth",
            "-1",
            "+1",
            "1e18",
            "0x10",
            "1 2",
            "1.5",
            "1.5wei",
            "1.2.3eth",
            "1 e t h",
            "0.0000000000000000001eth",
            "340282366920938463463374607431768211456",
            "１",
            "1 USDC",
            "1 usdc#1",
        ] {
            assert!(read(ETH, text).is_err(), "{text}");
        }
        for (token, text) in [
            (1, "1eth"),
            (1, "1gwei"),
            (1, "1.5 inch"),
            (2, "51inch"),
            (6, "1.5pts"),
            (8, "1old"),
        ] {
            let error = read(token, text).unwrap_err().to_string();
            let token = tokens().get(token);
            assert!(error.contains(&token.to_string()), "{error}");
        }
        let both = read(1, "1eth").unwrap_err().to_string();
        assert!(
            both.contains("\"eth\"") && both.contains("USDC#1 (0x0101"),
            "{both}"
        );
    }

    #[test]
    fn amounts_are_shown_as_they_are_read() {
        let tokens = tokens();
        for (token, value, expected) in [
            (ETH, 1_500_000_000_000_000_000, "1.5 ETH"),
            (ETH, 1, "0.000000000000000001 ETH"),
            (ETH, 0, "0 ETH"),
            (1, 1_500_000, "1.5 USDC#1"),
            (3, 1, "0.000000000000000001 usdc#3"),
            (4, 150, "1.5 of token 4"),
            (5, 1, "1 unit of token 5"),
            (6, 7, "7 PTS"),
            (8, 12, "12 units of OLD"),
            (99, 12, "12 units of token 99"),
        ] {
            let shown = tokens.amount(token, value).to_string();
            assert_eq!(shown, expected);
            if let Ok(again) = Amount::parse(&tokens.get(token), &shown) {
                assert_eq!(again.value(), value);
            }
        }
        let json = serde_json::to_string(&tokens.amount(1, 1_500_000)).unwrap();
        assert_eq!(json, "\"1500000\"");
    }

    #[test]
    fn a_token_is_named_by_symbol_id_or_address() {
        let tokens = tokens();
        let id = |text: &str| tokens.named(text).map(|token| token.id);
        let address = Bytes([5; 20]).to_string();
        for (text, expected) in [
            ("eth", 0),
            ("0", 0),
            ("usdc#3", 3),
            ("3", 3),
            ("1inch", 2),
            ("an old name", 5),
            (&address, 5),
        ] {
            assert_eq!(id(text).unwrap(), expected, "{text}");
        }
        let error = id("USDC").unwrap_err().to_string();
        assert!(
            error.contains("USDC#1 (0x01") && error.contains("usdc#3 (0x03"),
            "{error}"
        );
        for text in ["9", "-1", "dai", "0x00"] {
            assert!(id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_floats_cannot_hold_is_refused_with_the_nearest_below() {
        assert!(Amount::wei(1_500_000_000_000_000_000).float40().is_ok());
        let error = Amount::wei(34_359_738_375)
            .float40()
            .unwrap_err()
            .to_string();
        assert!(error.contains("0.00000003435973837 ETH"), "{error}");
        let error = tokens()
            .amount(6, 20_471)
            .float16()
            .unwrap_err()
            .to_string();
        assert!(error.contains("20470 PTS"), "{error}");
        assert!(forty_bits("the nonce", 1 << 40).is_err());
    }
}
