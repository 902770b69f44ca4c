//! Amounts as people write them.

use anyhow::{Context, Result, bail, ensure};
use ledger::float::{Float16, Float40};
use ledger::operation::FORTY_BITS;

use crate::exit::Fault;

/// Units by name with their decimal places.
const UNITS: [(&str, usize); 3] = [("gwei", 9), ("wei", 0), ("eth", 18)];
/// Decimal places of ETH.
const ETH_PLACES: usize = 18;
/// Token id of ETH.
pub const ETH: u32 = 0;

/// Reads `12`, `1.5eth` or `20 gwei` as a number of the smallest unit.
///
/// # Errors
/// If the text is no amount below 2^128, or has a fraction of the smallest unit.
pub fn parse(text: &str) -> Result<u128> {
    let spelled = || {
        Fault::usage(format!(
            "{text:?} is not an amount: write 12, 20gwei or 1.5eth"
        ))
    };
    let lower = text.trim().to_ascii_lowercase();
    let unit = UNITS.iter().find(|(name, _)| lower.ends_with(name));
    let (name, places) = unit.copied().unwrap_or(("", 0));
    let number = lower[..lower.len() - name.len()].trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let dotted = number.contains('.');
    ensure!(
        !whole.is_empty() && is_digits(whole) && is_digits(fraction),
        spelled()
    );
    ensure!(!(dotted && fraction.is_empty()), spelled());
    let significant = fraction.trim_end_matches('0');
    if significant.len() > places {
        bail!(Fault::usage(format!(
            "{text:?} is not a whole number of the smallest unit"
        )));
    }
    let digits = format!("{whole}{significant:0<places$}");
    let value = digits.trim_start_matches('0');
    match value {
        "" => Ok(0),
        value => value.parse().with_context(|| {
            Fault::usage(format!("{text:?} is not below 2^128 of the smallest unit"))
        }),
    }
}

/// An amount as a signed operation spells it.
///
/// # Errors
/// If float40 cannot hold it; the message names the nearest amount below.
pub fn float40(value: u128) -> Result<Float40> {
    let float = Float40::round_down(value);
    let nearest = float
        .value_u128()
        .context("rounding down keeps amounts in range")?;
    ensure!(
        nearest == value,
        Fault::usage(format!(
            "a signed amount has 35 bits of precision: {value} cannot be written, the nearest below is {nearest}"
        ))
    );
    Ok(float)
}

/// A fee as a signed operation spells it.
///
/// # Errors
/// If float16 cannot hold it; the message names the nearest fee below.
pub fn float16(value: u128) -> Result<Float16> {
    let float = Float16::round_down(value);
    let nearest = float
        .value_u128()
        .context("rounding down keeps fees in range")?;
    ensure!(
        nearest == value,
        Fault::usage(format!(
            "a fee has 11 bits of precision: {value} cannot be written, the nearest below is {nearest}"
        ))
    );
    Ok(float)
}

/// An expiry or nonce: below 2^40.
///
/// # Errors
/// If it is not.
pub fn forty_bits(what: &str, value: u64) -> Result<u64> {
    ensure!(
        value <= FORTY_BITS,
        Fault::usage(format!("{what} must be below 2^40, got {value}"))
    );
    Ok(value)
}

/// An amount for people: ETH with its decimal point, other tokens in their smallest unit.
pub fn show(token: u32, name: &str, value: u128) -> String {
    if token != ETH {
        return format!("{value} of token {token} ({name})");
    }
    let digits = format!("{value:0>width$}", width = ETH_PLACES + 1);
    let (whole, fraction) = digits.split_at(digits.len() - ETH_PLACES);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole} ETH"),
        fraction => format!("{whole}.{fraction} ETH"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_their_units() {
        for (text, expected) in [
            ("0", 0),
            ("007", 7),
            ("12", 12),
            ("3 wei", 3),
            ("20gwei", 20_000_000_000),
            ("1.5eth", 1_500_000_000_000_000_000),
            ("0.000000000000000001 ETH", 1),
            ("340282366920938463463374607431768211455", u128::MAX),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
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
            "0.0000000000000000001eth",
            "340282366920938463463374607431768211456",
            "１",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_as_they_are_read() {
        assert_eq!(show(ETH, "ETH", 1_500_000_000_000_000_000), "1.5 ETH");
        assert_eq!(show(ETH, "ETH", 1), "0.000000000000000001 ETH");
        assert_eq!(show(ETH, "ETH", 0), "0 ETH");
        assert_eq!(show(3, "0xab", 12), "12 of token 3 (0xab)");
    }

    #[test]
    fn what_floats_cannot_hold_is_refused_with_the_nearest_below() {
        assert!(float40(1_500_000_000_000_000_000).is_ok());
        let error = float40(34_359_738_375).unwrap_err().to_string();
        assert!(error.contains("34359738370"), "{error}");
        let error = float16(20_471).unwrap_err().to_string();
        assert!(error.contains("20470"), "{error}");
        assert!(forty_bits("the nonce", 1 << 40).is_err());
    }
}
