// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BabyJubjub} from "./BabyJubjub.sol";
import {Escrow} from "./Escrow.sol";
import {IRollup} from "./IRollup.sol";

/// @title The queue of L1 operations
/// @dev Whatever enters can execute, so that nothing accepted here blocks a batch: index and token
/// come from the registry, keys are checked, amounts are in escrow. Of an entry its time and 27
/// bytes of its hash are kept; `Queued` emits its fields, and whoever uses it brings it whole.
abstract contract Queue is Escrow {
    /// @inheritdoc IRollup
    function deposit(uint32 token, uint128 amount, uint256 ax, uint256 ay, uint256 qx, uint256 qy)
        external
        payable
        locked
        returns (uint32 index)
    {
        Head memory h = _loadHead();
        _notFrozen(h);
        if (!BabyJubjub.keyIsGood(ax, ay, qx, qy)) revert BadKey();
        if (h.nextIndex >= 1 << (2 * depth)) revert TreeFull();
        _countPending(h);
        amount = _receive(token, amount);
        index = uint32(h.nextIndex++);
        _accounts[index] = uint256(uint160(msg.sender)) | (uint256(token) << 160);
        _append(h, Entry(CREATE, index, token, amount, msg.sender, _time(), ax, ay));
    }

    /// @inheritdoc IRollup
    function topUp(uint32 index, uint128 amount) external payable locked returns (uint40 number) {
        Head memory h = _loadHead();
        _notFrozen(h);
        uint32 token = _tokenOf(_registered(index));
        _countPending(h);
        amount = _receive(token, amount);
        if (amount == 0) revert ZeroTopUp();
        return _append(h, Entry(TOP_UP, index, token, amount, msg.sender, _time(), 0, 0));
    }

    /// @inheritdoc IRollup
    function requestExit(uint32 index) external payable locked returns (uint40 number) {
        Head memory h = _loadHead();
        _notFrozen(h);
        _pay(l1Fee);
        uint256 packed = _registered(index);
        if (_ownerOf(packed) != msg.sender) revert NotOwner(index);
        if (packed & EXIT_PENDING != 0) revert ExitIsPending(index);
        _accounts[index] = packed | EXIT_PENDING;
        return _append(h, Entry(FORCED_EXIT, index, _tokenOf(packed), 0, msg.sender, _time(), 0, 0));
    }

    function _countPending(Head memory h) private view {
        if (h.pendingDeposits >= pendingCap) revert TooManyPending(pendingCap);
        h.pendingDeposits++;
    }

    /// @notice Appends an entry and stores the head.
    function _append(Head memory h, Entry memory entry) private returns (uint40 number) {
        number = h.queueTail++;
        _queue[number] = _kept(entry);
        _storeHead(h);
        emit Queued(
            number,
            entry.index,
            entry.payer,
            entry.kind,
            entry.token,
            entry.amount,
            entry.time,
            entry.ax,
            entry.ay
        );
    }

    /// @notice What is kept of an entry: the first 27 bytes of keccak256 of its fields, packed in 114
    /// bytes, then its time.
    function _kept(Entry memory e) internal pure returns (bytes32) {
        bytes memory packed = abi.encodePacked(e.kind, e.index, e.token, e.amount, e.payer, e.time, e.ax, e.ay);
        return bytes32((uint256(keccak256(packed)) & ~uint256(type(uint40).max)) | e.time);
    }
}
