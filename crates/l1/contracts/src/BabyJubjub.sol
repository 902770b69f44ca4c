// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The check of a deposit's key on Baby Jubjub (EIP-2494), in circomlib's coordinates
library BabyJubjub {
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    uint256 private constant A = 168700;
    uint256 private constant D = 168696;

    /// @notice True if all coordinates are below r, Q is on the curve, A = 8Q and A is not (0, 1).
    /// @dev 8Q is in the prime subgroup whatever Q is. Doubling is complete: a is a square and d
    /// is not (Bernstein, Birkner, Joye, Lange, Peters, "Twisted Edwards Curves", section 6).
    function keyIsGood(uint256 ax, uint256 ay, uint256 qx, uint256 qy) internal pure returns (bool good) {
        assembly ("memory-safe") {
            let r := R
            good := and(and(lt(ax, r), lt(ay, r)), and(lt(qx, r), lt(qy, r)))
            let xx := mulmod(qx, qx, r)
            let yy := mulmod(qy, qy, r)
            let left := addmod(mulmod(A, xx, r), yy, r)
            let right := addmod(1, mulmod(D, mulmod(xx, yy, r), r), r)
            good := and(good, eq(left, right))
            let z := 1
            for { let i := 0 } lt(i, 3) { i := add(i, 1) } {
                xx := mulmod(qx, qx, r)
                yy := mulmod(qy, qy, r)
                let axx := mulmod(A, xx, r)
                let f := addmod(axx, yy, r)
                let zz := mulmod(z, z, r)
                let j := addmod(f, sub(r, addmod(zz, zz, r)), r)
                // (x + y)^2 - x^2 - y^2 = 2xy
                let xy := mulmod(qx, qy, r)
                qx := mulmod(addmod(xy, xy, r), j, r)
                qy := mulmod(f, addmod(axx, sub(r, yy), r), r)
                z := mulmod(f, j, r)
            }
            good := and(good, and(eq(mulmod(ax, z, r), qx), eq(mulmod(ay, z, r), qy)))
            good := and(good, iszero(and(iszero(ax), eq(ay, 1))))
        }
    }
}
