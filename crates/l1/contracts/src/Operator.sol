// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRollup} from "./IRollup.sol";
import {Queue} from "./Queue.sol";

/// @title Who may submit batches, and who has the operator role
/// @dev Batches are open to anybody while the oldest entry is overdue and, once a batch of somebody else
/// is final, until a batch of the operator leaves nothing overdue. The operator may always submit, and
/// nobody can keep it out: `returnOperator` depends on no root. A hand-over does not begin the time
/// between two returns anew, or an operator could hand over to itself for ever and be alone.
abstract contract Operator is Queue {
    /// @inheritdoc IRollup
    function returnOperator() external {
        _plainAccount();
        Head memory h = _loadHead();
        _notFrozen(h);
        (address operator_, uint256 backAt) = _loadOperator();
        if (msg.sender != operator_) revert NotOperator();
        if (!h.takenOver && !_isOverdue(h, block.timestamp)) revert NothingToReturnTo();
        uint256 again = backAt + takeoverAfter;
        if (backAt != 0 && block.timestamp < again) revert ReturnTooSoon(again);
        _storeOperator(operator_, block.timestamp);
        emit OperatorReturned(operator_, block.timestamp + OPERATORS_HOUR);
    }

    /// @inheritdoc IRollup
    function offerOperator(address to) external {
        _notFrozen(_loadHead());
        if (msg.sender != operator()) revert NotOperator();
        if (msg.sender == to) revert OfferedToItself();
        offeredOperator = to;
        emit OperatorOffered(to);
    }

    /// @inheritdoc IRollup
    function acceptOperator() external locked {
        _plainAccount();
        _notFrozen(_loadHead());
        if (msg.sender != offeredOperator) revert NotOffered();
        (address before, uint256 backAt) = _loadOperator();
        uint256 fees = _takeFees();
        // Fees are outside escrow; what may be claimed is part of it.
        Totals storage totals_ = _totals[0];
        (uint128 balances, uint128 claims) = (totals_.balances, totals_.claimable);
        _fits(0, uint256(balances) + totals_.pending + claims + fees);
        totals_.claimable = claims + uint128(fees);
        _claimable[before][0] += fees;
        offeredOperator = address(0);
        _storeOperator(msg.sender, backAt);
        emit OperatorChanged(before, msg.sender, fees);
    }

    /// @notice Not through another contract or delegated code, where the data would not be the
    /// transaction's calldata.
    function _plainAccount() internal view {
        if (msg.sender != tx.origin || msg.sender.code.length != 0) revert NotPlainAccount();
    }

    /// @notice True if an entry waits and at `time` has waited longer than `takeoverAfter`.
    function _isOverdue(Head memory h, uint256 time) internal view returns (bool) {
        return h.queueHead != h.queueTail && time > _timeOf(h.queueHead) + takeoverAfter;
    }
}
