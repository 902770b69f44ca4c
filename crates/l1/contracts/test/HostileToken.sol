// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

interface IHooks {
    function tokensMoved() external;
}

/// @title A token that misbehaves as it is told. For tests
/// @dev Everybody may mint and needs no allowance.
contract HostileToken {
    enum Mode {
        Plain,
        /// A tenth of every transfer disappears.
        Fee,
        /// Moves nothing and returns false.
        False,
        /// Returns no value.
        Silent,
        /// Calls `target` with `payload` before it moves, and fails if that call does.
        Reenter,
        /// Loops until no gas is left.
        Burn,
        /// Calls `tokensMoved` of sender and receiver if they are contracts, like ERC-777.
        Hooks,
        /// Takes twice the amount from the sender.
        Overdraw,
        /// Moves, then returns 100 KB.
        Bomb,
        /// Moves, then returns 2.
        Two,
        /// `balanceOf` answers 2^200 more after each transfer.
        Inflate,
        /// `balanceOf` answers less after a transfer to us.
        Shrink,
        /// Reverts.
        Revert,
        /// Credits one unit more than was sent, like tokens that round up.
        More
    }

    Mode public mode;
    address public target;
    bytes public payload;
    /// Since the last `set`.
    uint256 public moves;
    mapping(address => uint256) internal _balances;

    function set(Mode mode_, address target_, bytes calldata payload_) external {
        (mode, target, payload, moves) = (mode_, target_, payload_, 0);
    }

    function mint(address to, uint256 value) external {
        _balances[to] += value;
    }

    function balanceOf(address of_) external view returns (uint256) {
        if (mode == Mode.Inflate) return _balances[of_] + (moves << 200);
        if (mode == Mode.Shrink && moves != 0) return 0;
        return _balances[of_];
    }

    function allowance(address, address) external pure returns (uint256) {
        return type(uint256).max;
    }

    function transfer(address to, uint256 value) external {
        _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private {
        Mode m = mode;
        moves++;
        if (m == Mode.False) _return(0);
        if (m == Mode.Revert) revert("no");
        while (m == Mode.Burn) moves++;
        if (m == Mode.Reenter) {
            (bool good,) = target.call(payload);
            require(good, "the call back failed");
        }
        _balances[from] -= m == Mode.Overdraw ? 2 * value : value;
        if (m == Mode.Fee) _balances[to] += value - value / 10;
        else _balances[to] += m == Mode.More ? value + 1 : value;
        if (m == Mode.Hooks) {
            (bool good,) = from.call(abi.encodeCall(IHooks.tokensMoved, ()));
            (good,) = to.call(abi.encodeCall(IHooks.tokensMoved, ()));
        }
        if (m == Mode.Silent) return;
        if (m == Mode.Bomb) {
            assembly ("memory-safe") {
                mstore(mload(0x40), 1)
                return(mload(0x40), 100000)
            }
        }
        _return(m == Mode.Two ? 2 : 1);
    }

    function _return(uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(0, value)
            return(0, 32)
        }
    }
}
