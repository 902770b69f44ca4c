//! The generated contract `PathHasher.sol`: `compress4` in Solidity's assembly, unrolled.
//!
//! Invariant: the committed file is what [`solidity`] writes from the constants of
//! `ledger::poseidon`; a test compares them. The permutation has the optimised form described there.
//!
//! Sums are reduced late: a product modulo `r` is below `r`, and five times `r` is below 2^256, so
//! four products and a constant may be added before the next multiplication reduces them. Lanes 1
//! to 3 enter the partial rounds below `4r` and grow by less than `r` a round; the first round and
//! every fourth after it reduce them, so that they stay below `4r`, and `5r` with the constant that
//! follows the last.

use std::fmt::Write;

use ledger::field::{Fr, to_hex};
use ledger::poseidon::{Params, params};

/// The lanes that only grow are reduced in every such partial round, the first included.
const REDUCE_EVERY: usize = 4;

/// The source of the contract.
pub fn solidity() -> String {
    let params = params(4);
    HEAD.replace("PERMUTATION\n", &permutation(params))
        .replace("MDS\n", &matrix(&params.mds))
        .replace("PRE_SPARSE\n", &matrix(&params.pre_sparse))
}

/// The text around the rounds.
const HEAD: &str = r#"// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Generated from the constants of crates/ledger/src/poseidon.rs by crates/l1/src/evm/path_hasher.rs.

import {IPathHasher} from "./IPathHasher.sol";

/// @title Hashes of the account tree, unrolled
/// @dev Sums are reduced late: five times r is below 2^256.
contract PathHasher is IPathHasher {
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

    /// @inheritdoc IPathHasher
    function rootOf(uint256 index, uint256[4] calldata leaf, uint256[] calldata siblings)
        external
        pure
        returns (uint256 node)
    {
        node = _compress4(leaf[0], leaf[1], leaf[2], leaf[3]);
        for (uint256 i = 0; i < siblings.length; i += 3) {
            uint256 position = index & 3;
            index >>= 2;
            (uint256 a, uint256 b, uint256 c) = (siblings[i], siblings[i + 1], siblings[i + 2]);
            uint256 d = node;
            // The node goes to its position, the siblings keep their order.
            if (position < 3) (c, d) = (d, c);
            if (position < 2) (b, c) = (c, b);
            if (position < 1) (a, b) = (b, a);
            node = _compress4(a, b, c, d);
        }
    }

    /// @inheritdoc IPathHasher
    function emptyRoot(uint256 depth) external pure returns (uint256 node) {
        for (uint256 i = 0; i < depth; i++) {
            node = _compress4(node, node, node, node);
        }
    }

    function _compress4(uint256 x0, uint256 x1, uint256 x2, uint256 x3) private pure returns (uint256 result) {
        assembly ("memory-safe") {
            function power5(x, r) -> x5 {
                x5 := mulmod(x, x, r)
                x5 := mulmod(mulmod(x5, x5, r), x, r)
            }
            function mds(t0, t1, t2, t3, r) -> s0, s1, s2, s3 {
MDS
            }
            function preSparse(t0, t1, t2, t3, r) -> s0, s1, s2, s3 {
PRE_SPARSE
            }
            function permute(s0, s1, s2, s3, r) -> first {
PERMUTATION
            }
            result := addmod(x0, permute(x0, x1, x2, x3, R), R)
        }
    }
}
"#;

/// `s := matrix · t`.
fn matrix(rows: &[Vec<Fr>]) -> String {
    let mut out = String::new();
    for (lane, row) in rows.iter().enumerate() {
        line(&mut out, &format!("s{lane} := {}", dot(row)));
    }
    out
}

/// The sum of four products, below 4r.
fn dot(row: &[Fr]) -> String {
    let product = |k: usize| format!("mulmod(t{k}, {}, r)", to_hex(&row[k]));
    format!(
        "add(add({}, {}), add({}, {}))",
        product(0),
        product(1),
        product(2),
        product(3)
    )
}

fn permutation(params: &Params) -> String {
    let mut out = String::new();
    let last_of_half = params.first_constants.len() - 1;
    for (round, constants) in params.first_constants.iter().enumerate() {
        let matrix = if round == last_of_half {
            "preSparse"
        } else {
            "mds"
        };
        full_round(&mut out, constants, matrix);
    }
    line(&mut out, "let x");
    for round in 0..params.partial_rounds {
        partial_round(&mut out, params, round);
    }
    for constants in &params.last_constants[..last_of_half] {
        full_round(&mut out, constants, "mds");
    }
    let last = &params.last_constants[last_of_half];
    let inputs: Vec<String> = (0..4).map(|lane| powered(lane, &last[lane])).collect();
    let products: Vec<String> = inputs
        .iter()
        .zip(&params.mds[0])
        .map(|(input, entry)| format!("mulmod({input}, {}, r)", to_hex(entry)))
        .collect();
    let sum = format!(
        "first := add(add({}, {}), add({}, {}))",
        products[0], products[1], products[2], products[3]
    );
    line(&mut out, &sum);
    out
}

fn powered(lane: usize, constant: &Fr) -> String {
    format!("power5(add(s{lane}, {}), r)", to_hex(constant))
}

fn full_round(out: &mut String, constants: &[Fr], matrix: &str) {
    for (lane, constant) in constants.iter().enumerate() {
        line(out, &format!("s{lane} := {}", powered(lane, constant)));
    }
    line(
        out,
        &format!("s0, s1, s2, s3 := {matrix}(s0, s1, s2, s3, r)"),
    );
}

/// `x = (s0 + constant)⁵`; `s0 = row · (x, s1, s2, s3)`; `sⱼ += colⱼ·x`.
fn partial_round(out: &mut String, params: &Params, round: usize) {
    let sparse = &params.sparse[round];
    let constant = to_hex(&params.partial_constants[round]);
    line(out, &format!("s0 := add(s0, {constant})"));
    line(out, "x := mulmod(s0, s0, r)");
    line(out, "x := mulmod(mulmod(x, x, r), s0, r)");
    let product = |from: &str, entry: &Fr| format!("mulmod({from}, {}, r)", to_hex(entry));
    let sum = format!(
        "s0 := add(add({}, {}), add({}, {}))",
        product("x", &sparse.row[0]),
        product("s1", &sparse.row[1]),
        product("s2", &sparse.row[2]),
        product("s3", &sparse.row[3]),
    );
    line(out, &sum);
    let reduced = round.is_multiple_of(REDUCE_EVERY);
    for lane in 1..4 {
        let grown = product("x", &sparse.col[lane - 1]);
        let text = if reduced {
            format!("s{lane} := addmod(s{lane}, {grown}, r)")
        } else {
            format!("s{lane} := add(s{lane}, {grown})")
        };
        line(out, &text);
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "                {text}").expect("writing to a string does not fail");
}
