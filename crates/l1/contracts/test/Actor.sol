// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A contract that calls what it is told, and does what it is told when it is paid. For tests
contract Actor {
    enum Mode {
        Accept,
        Reject,
        /// Loops until no gas is left.
        Burn,
        /// Calls `target` with `payload`; notes whether that succeeded.
        Reenter
    }

    Mode public mode;
    address public target;
    bytes public payload;
    uint256 public succeeded;
    uint256 public failed;

    function set(Mode mode_, address target_, bytes calldata payload_) external {
        (mode, target, payload) = (mode_, target_, payload_);
    }

    function run(address to, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool good, bytes memory result) = to.call{value: value}(data);
        if (!good) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }

    receive() external payable {
        _react();
    }

    function tokensMoved() external {
        _react();
    }

    function _react() private {
        if (mode == Mode.Reject) revert("no");
        while (mode == Mode.Burn) failed++;
        if (mode == Mode.Reenter) {
            (bool good,) = target.call(payload);
            if (good) succeeded++;
            else failed++;
        }
    }
}

/// @title Sends what it has to an address that does not want it. For tests
contract Force {
    constructor(address payable to) payable {
        selfdestruct(to);
    }
}
