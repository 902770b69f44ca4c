//! The rollup's state transition as R1CS: the same meaning as `ledger`, file for file.
//!
//! For every rule there is a native check in `ledger`, a constraint here under the same name
//! (`Cs::rule`), and a forgery in the crate `attacks` that must fail. `shapes.csv` pins the size and the
//! fingerprint of every circuit.

pub mod account;
#[cfg(feature = "arkworks")]
pub mod arkworks;
pub mod babyjubjub;
pub mod compare;
pub mod eddsa;
pub mod float;
pub mod inspect;
pub mod num;
pub mod operation;
pub mod poseidon;
pub mod rules;
pub mod shapes;
pub mod transition;
pub mod tree;
pub mod witness;
pub mod words;
