// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Groth16 over BN254 with three public inputs and a key kept as code
/// @dev A prepared key is -alpha 64, beta 128, -gamma 128, -delta 128, IC0 to IC3 64 each, so that
/// a proof holds if e(A, B)·e(-alpha, beta)·e(L, -gamma)·e(C, -delta) = 1 with
/// L = IC0 + c·IC1 + z·IC2 + y·IC3 (Groth, ePrint 2016/260, section 3.2). Points are as in EIP-197.
/// The precompiles refuse coordinates that are not below p, points off their curve, and points of
/// the second group outside its subgroup; every call's success and length is checked. A precompile
/// that gets too little gas fails as one that refuses its input does: where that may be the reason,
/// there is no answer.
library Groth16 {
    uint256 private constant P = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 internal constant KEY_BYTES = 704;

    /// Gas with which, at twice the prices of EIP-1108, a check of one proof ends; of a batch of proofs
    /// besides what each takes; and with which a key is checked and stored.
    uint256 private constant ENOUGH = 500_000;
    uint256 private constant ENOUGH_FOR_EACH = 100_000;
    uint256 private constant ENOUGH_TO_STORE = 1_200_000;

    /// A precompile failed that may have had too little gas. That says nothing about the proof or key.
    error Starved();

    /// @notice Checks a key as it is given (not negated) and puts it into a new contract's code,
    /// prepared.
    /// @dev Refused: points that no precompile takes or that are infinite; beta, gamma, delta equal
    /// up to sign; alpha, beta, delta equal to the generators up to sign; two IC points equal up to
    /// sign. Each of these lets somebody prove false statements (crates/prover/src/key.rs).
    /// @return stored The contract, or 0 if the key is bad.
    function store(bytes memory key) internal returns (address stored) {
        bool enough = gasleft() > ENOUGH_TO_STORE;
        if (key.length != KEY_BYTES) return address(0);
        if (_isGood(key)) stored = _put(key);
        if (stored == address(0) && !enough) revert Starved();
    }

    function _put(bytes memory key) private returns (address stored) {
        _negate(key, 32);
        _negate(key, 256);
        _negate(key, 288);
        _negate(key, 384);
        _negate(key, 416);
        // PUSH2 705, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN; then code.
        bytes memory init = abi.encodePacked(hex"6102c180600a3d393df3", hex"00", key);
        assembly ("memory-safe") {
            stored := create(0, add(init, 0x20), mload(init))
        }
    }

    /// @notice True if the proof at this place of calldata holds.
    function holds(address key, uint256 proof, uint256 c, uint256 z, uint256 y) internal view returns (bool good) {
        bool enough = gasleft() > ENOUGH;
        assembly ("memory-safe") {
            let m := mload(0x40)
            // Pairs at m (768 bytes), the key at k; IC0 serves as the sum.
            let k := add(m, 768)
            extcodecopy(key, k, 1, KEY_BYTES)
            calldatacopy(m, proof, 192)
            mcopy(add(m, 192), k, 192)
            mcopy(add(m, 448), add(k, 192), 128)
            calldatacopy(add(m, 576), add(proof, 192), 64)
            mcopy(add(m, 640), add(k, 320), 128)
            // A factor lies after its point and is overwritten by nothing that is still needed.
            let sum := add(k, 448)
            let term := add(k, 704)
            mcopy(term, add(k, 512), 64)
            mstore(add(term, 64), c)
            good := staticcall(gas(), 7, term, 96, add(sum, 64), 64)
            good := and(good, staticcall(gas(), 6, sum, 128, sum, 64))
            mcopy(term, add(k, 576), 64)
            mstore(add(term, 64), z)
            good := and(good, staticcall(gas(), 7, term, 96, add(sum, 64), 64))
            good := and(good, staticcall(gas(), 6, sum, 128, sum, 64))
            mcopy(term, add(k, 640), 64)
            mstore(add(term, 64), y)
            good := and(good, staticcall(gas(), 7, term, 96, add(sum, 64), 64))
            good := and(good, staticcall(gas(), 6, sum, 128, add(m, 384), 64))
            good := and(good, staticcall(gas(), 8, m, 768, 0, 32))
            good := and(good, eq(returndatasize(), 32))
            good := and(good, eq(mload(0), 1))
            // No honest proof has a point at infinity, and the native verifier takes none.
            let any := or(calldataload(proof), calldataload(add(proof, 32)))
            good := and(good, iszero(iszero(any)))
            any := or(calldataload(add(proof, 192)), calldataload(add(proof, 224)))
            good := and(good, iszero(iszero(any)))
            any := or(calldataload(add(proof, 64)), calldataload(add(proof, 96)))
            any := or(any, or(calldataload(add(proof, 128)), calldataload(add(proof, 160))))
            good := and(good, iszero(iszero(any)))
        }
        if (!good && !enough) revert Starved();
    }

    /// @notice True if all proofs hold, up to a chance of 2^-127: each equation is raised to its own
    /// power, low 128 bits of keccak256(T, j) and not 0, with T the hash of everything that the
    /// equations depend on (`label` tells the deployment and the shape, and with it the key).
    /// @param statements For each proof A 64, B 128, C 64, c, z, y: 352 bytes; nothing else.
    function allHold(address key, bytes32 label, bytes memory statements) internal view returns (bool good) {
        bool enough = gasleft() > ENOUGH + ENOUGH_FOR_EACH * (statements.length / 352);
        assembly ("memory-safe") {
            let n := div(mload(statements), 352)
            let from := add(statements, 32)
            let m := mload(0x40)
            mstore(m, label)
            mstore(add(m, 32), keccak256(from, mload(statements)))
            // T and j side by side at t; four factors of IC after them.
            let t := m
            mstore(t, keccak256(m, 64))
            let s := add(m, 64)
            mstore(s, 0)
            mstore(add(s, 32), 0)
            mstore(add(s, 64), 0)
            mstore(add(s, 96), 0)
            // The sum of rho·C, 64, and room for a point and its factor, 96.
            let sum := add(s, 128)
            mstore(sum, 0)
            mstore(add(sum, 32), 0)
            let term := add(sum, 64)
            let k := add(term, 96)
            extcodecopy(key, k, 1, KEY_BYTES)
            let pairs := add(k, KEY_BYTES)
            let pair := pairs
            good := 1
            // A precompile that fails keeps all the gas it was given: nothing is called after one.
            for { let j := 0 } and(good, lt(j, n)) { j := add(j, 1) } {
                mstore(add(t, 32), j)
                let rho := and(keccak256(t, 64), 0xffffffffffffffffffffffffffffffff)
                good := and(good, iszero(iszero(rho)))
                good := and(good, iszero(iszero(or(mload(from), mload(add(from, 32))))))
                let any := or(or(mload(add(from, 64)), mload(add(from, 96))), mload(add(from, 128)))
                good := and(good, iszero(iszero(or(any, mload(add(from, 160))))))
                good := and(good, iszero(iszero(or(mload(add(from, 192)), mload(add(from, 224))))))
                mcopy(term, from, 64)
                mstore(add(term, 64), rho)
                if good { good := staticcall(gas(), 7, term, 96, pair, 64) }
                mcopy(add(pair, 64), add(from, 64), 128)
                mcopy(term, add(from, 192), 64)
                if good { good := staticcall(gas(), 7, term, 96, term, 64) }
                if good { good := staticcall(gas(), 6, sum, 128, sum, 64) }
                mstore(s, add(mload(s), rho))
                let offset := add(from, 256)
                mstore(add(s, 32), addmod(mload(add(s, 32)), mulmod(rho, mload(offset), R), R))
                mstore(add(s, 64), addmod(mload(add(s, 64)), mulmod(rho, mload(add(offset, 32)), R), R))
                mstore(add(s, 96), addmod(mload(add(s, 96)), mulmod(rho, mload(add(offset, 64)), R), R))
                from := add(from, 352)
                pair := add(pair, 192)
            }
            if good {
                // (sum of rho)·(-alpha), beta
                mcopy(term, k, 64)
                mstore(add(term, 64), mload(s))
                good := and(good, staticcall(gas(), 7, term, 96, pair, 64))
                mcopy(add(pair, 64), add(k, 64), 128)
                // sum of rho·C, -delta
                mcopy(add(pair, 192), sum, 64)
                mcopy(add(pair, 256), add(k, 320), 128)
                // L, -gamma
                mstore(sum, 0)
                mstore(add(sum, 32), 0)
                for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                    mcopy(term, add(k, add(448, mul(64, i))), 64)
                    mstore(add(term, 64), mload(add(s, mul(32, i))))
                    good := and(good, staticcall(gas(), 7, term, 96, term, 64))
                    good := and(good, staticcall(gas(), 6, sum, 128, sum, 64))
                }
                mcopy(add(pair, 384), sum, 64)
                mcopy(add(pair, 448), add(k, 192), 128)
                good := and(good, staticcall(gas(), 8, pairs, mul(192, add(n, 3)), 0, 32))
                good := and(good, eq(returndatasize(), 32))
                good := and(good, eq(mload(0), 1))
            }
        }
        if (!good && !enough) revert Starved();
    }

    /// Replaces a y-coordinate (or half of one) of the key by its negative.
    function _negate(bytes memory key, uint256 offset) private pure {
        assembly ("memory-safe") {
            let place := add(add(key, 32), offset)
            let value := mload(place)
            if value { mstore(place, sub(P, value)) }
        }
    }

    function _word(bytes memory key, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(key, 32), offset))
        }
    }

    function _isGood(bytes memory key) private view returns (bool) {
        // Second group: pairs (g, X), (-g, X) multiply to 1 if X is in the subgroup.
        bytes memory pairs = new bytes(6 * 192);
        for (uint256 i = 0; i < 6; i++) {
            assembly ("memory-safe") {
                let pair := add(add(pairs, 32), mul(192, i))
                mstore(pair, 1)
                mstore(add(pair, 32), 2)
                if and(i, 1) { mstore(add(pair, 32), sub(P, 2)) }
                mcopy(add(pair, 64), add(add(key, 96), mul(128, div(i, 2))), 128)
            }
        }
        (bool good, bytes memory result) = address(8).staticcall(pairs);
        if (!good || result.length != 32 || abi.decode(result, (uint256)) != 1) return false;
        uint256[3] memory xs;
        for (uint256 i = 0; i < 3; i++) {
            (uint256 x1, uint256 x0) = (_word(key, 64 + 128 * i), _word(key, 96 + 128 * i));
            if (x1 | x0 | _word(key, 128 + 128 * i) | _word(key, 160 + 128 * i) == 0) return false;
            xs[i] = uint256(keccak256(abi.encode(x1, x0)));
        }
        // The generator of the second group (EIP-197), by its x-coordinate.
        uint256 generator = uint256(
            keccak256(
                abi.encode(
                    0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2,
                    0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed
                )
            )
        );
        if (xs[0] == xs[1] || xs[0] == xs[2] || xs[1] == xs[2]) return false;
        if (xs[0] == generator || xs[2] == generator) return false;
        // First group: the addition precompile takes points of the curve alone.
        for (uint256 i = 0; i < 5; i++) {
            uint256 offset = i == 0 ? 0 : 384 + 64 * i;
            (uint256 x, uint256 y) = (_word(key, offset), _word(key, offset + 32));
            if (x | y == 0) return false;
            (good, result) = address(6).staticcall(abi.encode(x, y, 0, 0));
            if (!good || result.length != 64) return false;
            if (i == 0 && x == 1) return false;
            for (uint256 j = 1; j < i; j++) {
                if (_word(key, 384 + 64 * j) == x) return false;
            }
        }
        return true;
    }
}
