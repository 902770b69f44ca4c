// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Hashes of the account tree
/// @dev `compress4(x0..x3) = P(x0..x3)[0] + x0` over BN254's scalar field, P Poseidon's permutation
/// of width 4 with circomlib's constants. Inputs are below r: whoever calls checks it.
interface IPathHasher {
    /// @notice The root above a leaf.
    /// @param index Its base-4 digits, lowest first, are the positions of the path's nodes.
    /// @param leaf The four inputs of the leaf's hash.
    /// @param siblings Three a level, from the leaf upwards.
    function rootOf(uint256 index, uint256[4] calldata leaf, uint256[] calldata siblings)
        external
        pure
        returns (uint256);

    /// @notice The root of an empty tree.
    function emptyRoot(uint256 depth) external pure returns (uint256);
}
