//! Values of arguments that are not given, where several commands have the argument.

/// What L1 takes for a deposit, top-up or exit request if nothing is named: `quire bench queue` shows
/// what it protects from.
pub const L1_FEE: &str = "0.0001eth";
