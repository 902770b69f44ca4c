//! How tokens are shown: symbol and decimal places.
//!
//! Both are display data, which no rule of the rollup looks at: those of a native L1 stand in its genesis,
//! those of an ERC-20 are what it says of itself, and whoever made it chose them. Invariant: a symbol that
//! passes [`check_symbol`] is a short word of ASCII characters that is neither a number nor ETH's.

use std::fmt;

use storage::{CodecError, Reader, Writer};
use thiserror::Error;

/// Most characters of a symbol.
pub const MAX_SYMBOL: usize = 16;
/// Most decimal places: those that 256 bits have.
pub const MAX_DECIMALS: u8 = 77;
/// Decimal places of ETH.
pub const ETH_DECIMALS: u8 = 18;

/// Words that an amount of another token is not to be mistaken for.
const RESERVED: [&str; 8] = [
    "eth", "ether", "ethereum", "wei", "gwei", "unit", "units", "token",
];

/// Why a text is not a symbol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SymbolError {
    /// Empty, or too long.
    #[error("a symbol has 1 to {MAX_SYMBOL} characters, got {got}")]
    Length { got: usize },
    /// A character that can be mistaken for another.
    #[error("a symbol has letters and digits of ASCII, and . - _ + $ besides; got {got:?}")]
    Character { got: char },
    /// A number, or the end of one.
    #[error("{got:?} can be read as a part of a number, which a symbol cannot")]
    Number { got: String },
    /// ETH, one of its units, or a word of this program.
    #[error("{got:?} looks like {like:?}, which is no symbol of a token besides ETH")]
    LooksLike { got: String, like: &'static str },
}

/// Whether a text can stand as the unit of an amount.
pub fn check_symbol(text: &str) -> Result<(), SymbolError> {
    let got = text.chars().count();
    if got == 0 || got > MAX_SYMBOL {
        return Err(SymbolError::Length { got });
    }
    let allowed =
        |character: &char| character.is_ascii_alphanumeric() || ".-_+$".contains(*character);
    if let Some(got) = text.chars().find(|character| !allowed(character)) {
        return Err(SymbolError::Character { got });
    }
    if reads_like_a_number(&text.to_ascii_lowercase()) {
        return Err(SymbolError::Number { got: text.into() });
    }
    // Digits that are used for letters, and what stands between letters.
    let folded: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| match character {
            '3' => 'e',
            '7' => 't',
            '1' => 'i',
            '0' => 'o',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    match RESERVED.into_iter().find(|word| *word == folded) {
        Some(like) => Err(SymbolError::LooksLike {
            got: text.into(),
            like,
        }),
        None => Ok(()),
    }
}

/// True for what reads as a number with digits before it, be it an exponent (`1E+18`) or the rest of one in
/// hexadecimal (`0xAA`), for an address, and for what has no letter.
fn reads_like_a_number(lower: &str) -> bool {
    let is_exponent = lower.strip_prefix('e').is_some_and(|rest| {
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let is_hexadecimal = lower
        .strip_prefix('x')
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let first = lower.chars().next().unwrap_or('.');
    is_exponent
        || is_hexadecimal
        || lower.starts_with("0x")
        || !(first.is_ascii_alphanumeric() || first == '$')
        || !lower.contains(|c: char| c.is_ascii_alphabetic())
}

/// What an ERC-20 says of itself, as far as it can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenDisplay {
    symbol: Option<String>,
    decimals: Option<u8>,
}

impl TokenDisplay {
    /// Keeps a symbol that passes [`check_symbol`] and decimals up to [`MAX_DECIMALS`].
    pub fn new(symbol: Option<String>, decimals: Option<u8>) -> Self {
        Self {
            symbol: symbol.filter(|symbol| check_symbol(symbol).is_ok()),
            decimals: decimals.filter(|decimals| *decimals <= MAX_DECIMALS),
        }
    }

    pub fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    pub fn decimals(&self) -> Option<u8> {
        self.decimals
    }

    pub(crate) fn to_record(&self) -> Vec<u8> {
        let symbol = self.symbol().unwrap_or_default();
        let decimals = self.decimals.unwrap_or(u8::MAX);
        Writer::default()
            .u8(decimals)
            .put(symbol.as_bytes())
            .finish()
    }

    pub(crate) fn from_record(bytes: &[u8]) -> Result<Self, CodecError> {
        let what = "what a token is shown as";
        let mut reader = Reader::new(what, bytes);
        let decimals = Some(reader.u8()?).filter(|decimals| *decimals != u8::MAX);
        let symbol = String::from_utf8_lossy(reader.slice(bytes.len() - 1)?).into_owned();
        reader.end()?;
        let symbol = Some(symbol).filter(|symbol| !symbol.is_empty());
        // Why: earlier versions kept some of the symbols that read like numbers.
        let is_number = symbol
            .as_deref()
            .is_some_and(|symbol| matches!(check_symbol(symbol), Err(SymbolError::Number { .. })));
        let display = Self::new(symbol, decimals);
        match is_number || display.to_record() == bytes {
            true => Ok(display),
            false => Err(CodecError::Invalid {
                what,
                field: "symbol or decimals",
                text: hex::encode(bytes),
            }),
        }
    }
}

impl fmt::Display for TokenDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol().unwrap_or("a token without a symbol"))?;
        match self.decimals {
            Some(decimals) => write!(f, " with {decimals} decimals"),
            None => f.write_str(" without decimals"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_short_words_and_not_eth() {
        for good in [
            "USDC",
            "stETH",
            "WETH",
            "1INCH",
            "UNI-V2",
            "$WIF",
            "yv.USD_1+",
            "BEE",
            "XRP",
            "EUR",
            "exit1",
        ] {
            assert_eq!(check_symbol(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "SEVENTEENLETTERS7",
            "US DC",
            "USD\u{421}",
            "USD\u{20ae}0",
            "\u{395}TH",
            "A\u{202e}B",
            "A#1",
            "A\n",
            "12",
            "1.5",
            ".5",
            "-A",
            "e18",
            "E6",
            "E+18",
            "e-5",
            "e",
            "E",
            "x",
            "X0",
            "x10",
            "xAA",
            "XDC",
            "0x1f",
            "ETH",
            "eth",
            "3TH",
            "37h",
            "E.T.H",
            "$ETH",
            "Gwei",
            "gw3i",
            "W-E-I",
            "w31",
            "Ether",
            "units",
            "token",
            "t0ken",
        ] {
            assert!(check_symbol(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_is_read_back_and_nothing_else() {
        let all = [
            (None, None),
            (Some("USDC"), Some(6)),
            (Some("ETH"), Some(78)),
            (None, Some(0)),
            (Some("A"), None),
        ];
        for (symbol, decimals) in all {
            let display = TokenDisplay::new(symbol.map(str::to_owned), decimals);
            let record = display.to_record();
            assert_eq!(TokenDisplay::from_record(&record), Ok(display));
        }
        let earlier = TokenDisplay::from_record(&[6, b'x', b'1', b'0']);
        assert_eq!(earlier, Ok(TokenDisplay::new(None, Some(6))));
        let hostile = TokenDisplay::new(Some("ETH".to_owned()), Some(78));
        assert_eq!(hostile, TokenDisplay::default());
        for record in [&b""[..], &[6, b'E', b'T', b'H'], &[78], &[6, 0xff]] {
            assert!(TokenDisplay::from_record(record).is_err(), "{record:?}");
        }
    }
}
