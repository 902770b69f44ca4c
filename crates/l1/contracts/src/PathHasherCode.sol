// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// keccak256 of the code of PathHasher, written by build.js.
bytes32 constant PATH_HASHER_CODE_HASH = 0x025accd5672859e5eeb76c3dffe9c874799b8a41dc9d538a9f39883daf7d1c79;
