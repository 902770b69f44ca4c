//! Values of arguments that are not given, where several commands have the argument.

/// What L1 takes for a deposit, top-up or exit request if nothing is named: `quire bench queue` shows
/// what it protects from.
pub const L1_FEE: &str = "0.0001eth";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollup::amount::Amount;
    use rollup::create::DEFAULT_L1_FEE;

    #[test]
    fn the_fee_is_that_of_a_deployment_which_names_none() {
        let fee = Amount::parse_eth(super::L1_FEE).unwrap();
        assert_eq!(fee.value(), DEFAULT_L1_FEE);
    }
}
