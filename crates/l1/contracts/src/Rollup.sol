// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Groth16} from "./Groth16.sol";
import {IPathHasher} from "./IPathHasher.sol";
import {Leaving} from "./Leaving.sol";
import {PATH_HASHER_CODE_HASH} from "./PathHasherCode.sol";
import {IRollup} from "./IRollup.sol";

/// @title The rollup: everything that a deployment fixes, and reading
contract Rollup is Leaving {
    /// @dev Refused: shapes with one id, odd capacities, no fee slot, no shape with L1 slots, and
    /// verifying keys with which false statements can be proven.
    constructor(Config memory config, Shape[] memory shapes) Base(config) {
        if (config.pathHasher.codehash != PATH_HASHER_CODE_HASH) revert BadConfig();
        root = bytes32(IPathHasher(config.pathHasher).emptyRoot(config.depth));
        Head memory h;
        (h.nextBatch, h.nextIndex) = (1, 1);
        _storeHead(h);
        _tokens.push(address(0));
        bool consumesQueue = false;
        for (uint256 i = 0; i < shapes.length; i++) {
            Shape memory s = shapes[i];
            if (_loadShape(s.id).key != address(0)) revert BadShape(s.id);
            if (s.transfers % 2 != 0 || s.withdrawals % 2 != 0 || s.feeSlots == 0) revert BadShape(s.id);
            address key = Groth16.store(s.key);
            if (key == address(0)) revert BadVerifyingKey(s.id);
            _storeShape(s.id, ListedShape(s.l1Ops, s.transfers, s.withdrawals, s.feeSlots, key));
            consumesQueue = consumesQueue || s.l1Ops != 0;
        }
        if (!consumesQueue) revert BadConfig();
        emit TokenAdded(0, address(0));
    }

    /// @inheritdoc IRollup
    function head()
        external
        view
        returns (
            uint40 nextBatch,
            uint40 timestamp,
            uint40 queueHead,
            uint40 queueTail,
            uint40 nextIndex,
            uint40 pendingDeposits,
            bool frozen,
            bool takenOver
        )
    {
        Head memory h = _loadHead();
        (nextBatch, timestamp, queueHead, queueTail) = (h.nextBatch, h.timestamp, h.queueHead, h.queueTail);
        (nextIndex, pendingDeposits, frozen, takenOver) = (h.nextIndex, h.pendingDeposits, h.frozen, h.takenOver);
    }

    /// @inheritdoc IRollup
    function operatorBackAt() external view returns (uint40) {
        (, uint256 backAt) = _loadOperator();
        return uint40(backAt);
    }

    /// @inheritdoc IRollup
    function totals(uint32 token) external view returns (uint128 balances, uint128 claims, uint128 pending) {
        Totals memory t = _totals[token];
        return (t.balances, t.claimable, t.pending);
    }

    /// @inheritdoc IRollup
    function claimable(address owner, uint32 token) external view returns (uint256) {
        return _claimable[owner][token];
    }

    /// @inheritdoc IRollup
    function account(uint32 index)
        external
        view
        returns (address owner, uint32 token, bool exitPending, bool exited)
    {
        uint256 packed = _accounts[index];
        return (_ownerOf(packed), _tokenOf(packed), packed & EXIT_PENDING != 0, packed & EXITED != 0);
    }

    /// @inheritdoc IRollup
    function queueEntry(uint40 number) external view returns (bytes27 hash, uint40 time) {
        return (bytes27(_queue[number]), uint40(_timeOf(number)));
    }

    /// @inheritdoc IRollup
    function tokenCount() external view returns (uint32) {
        return uint32(_tokens.length);
    }

    /// @inheritdoc IRollup
    function tokenAddress(uint32 token) external view returns (address) {
        if (token >= _tokens.length) revert UnknownToken(token);
        return _tokens[token];
    }

    /// @inheritdoc IRollup
    function shape(uint16 id)
        external
        view
        returns (uint16 l1Ops, uint16 transfers, uint16 withdrawals, uint8 feeSlots, address key)
    {
        ListedShape memory s = _loadShape(id);
        return (s.l1Ops, s.transfers, s.withdrawals, s.feeSlots, s.key);
    }
}
