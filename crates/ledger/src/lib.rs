//! What the rollup means: fields, hash, signatures, accounts, tree, operations and rules, pure of
//! any input or output.

pub mod account;
pub mod babyjubjub;
pub mod bytes;
pub mod eddsa;
pub mod field;
pub mod float;
pub mod operation;
pub mod operation_text;
pub mod poseidon;
pub mod reject;
pub mod replay;
mod rules;
pub mod shape;
pub mod state;
pub mod time;
pub mod transition;
pub mod tree;
pub mod witness;
pub mod words;
