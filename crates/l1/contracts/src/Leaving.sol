// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Batches} from "./Batches.sol";
import {IPathHasher} from "./IPathHasher.sol";
import {IRollup} from "./IRollup.sol";

/// @title Leaving without the operator: freeze, exit by Merkle proof, cancelled deposits
/// @dev After a freeze the last root is final. Each account and each waiting entry is paid once,
/// from the part of escrow that held it, to the owner or payer on record.
abstract contract Leaving is Batches {
    /// @inheritdoc IRollup
    function freeze() external locked {
        Head memory h = _loadHead();
        _notFrozen(h);
        if (h.queueHead == h.queueTail) revert QueueEmpty();
        // Sound because: nothing is cancelled yet, so the entry waits, and its block is not after this one.
        uint256 waited = block.timestamp - _timeOf(h.queueHead);
        if (waited <= freezeAfter) revert NotOverdue(waited);
        h.frozen = true;
        _storeHead(h);
        emit Frozen(root, h.queueHead);
    }

    /// @inheritdoc IRollup
    function exit(uint32 index, Leaf calldata leaf, uint256[] calldata siblings)
        external
        locked
        returns (uint128 amount)
    {
        _isFrozen(_loadHead());
        // Sound because: registered indices are below 4^depth, so their 2·depth bits are the path.
        uint256 packed = _registered(index);
        if (packed & EXITED != 0) revert AlreadyExited(index);
        uint32 token = _tokenOf(packed);
        if (leaf.token != token) revert OtherToken(index);
        if (leaf.ax >= R || leaf.ay >= R) revert NotCanonical();
        if (siblings.length != 3 * uint256(depth)) revert BadLength();
        for (uint256 i = 0; i < siblings.length; i++) {
            if (siblings[i] >= R) revert NotCanonical();
        }
        uint256 lane = (uint256(token) << 40) | leaf.nonce;
        uint256[4] memory fields = [leaf.ax, leaf.ay, lane, leaf.balance];
        if (IPathHasher(pathHasher).rootOf(index, fields, siblings) != uint256(root)) revert NotInTree(index);
        _accounts[index] = packed | EXITED;
        amount = leaf.balance;
        emit Exited(index, amount);
        _credit(_ownerOf(packed), token, index, amount);
    }

    /// @inheritdoc IRollup
    function cancelDeposit(uint40 number, Entry calldata entry) external locked returns (uint128 amount) {
        Head memory h = _loadHead();
        _isFrozen(h);
        // Of a consumed or cancelled entry nothing is kept.
        if (_queue[number] != _kept(entry)) revert NotWaiting(number);
        if (entry.kind == FORCED_EXIT) revert NothingToCancel(number);
        _queue[number] = 0;
        h.pendingDeposits--;
        _storeHead(h);
        amount = entry.amount;
        emit DepositCancelled(number, amount);
        // What waited joins the balances for this call, so that one function credits.
        _totals[entry.token].pending -= amount;
        _totals[entry.token].balances += amount;
        _credit(entry.payer, entry.token, entry.index, amount);
    }
}
