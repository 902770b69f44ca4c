// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// keccak256 of the code of PathHasher, written by build.js.
bytes32 constant PATH_HASHER_CODE_HASH = 0xb28240758dbc59332bffd55abfc49cd6df45b54377a940aaeebeb73ab5eb1870;
