// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {IRollup} from "./IRollup.sol";

interface IERC20 {
    function balanceOf(address of_) external view returns (uint256);
}

/// @title Tokens and what is held of them
/// @dev ERC-20s are hostile: what counts is how our balance moves, under the lock. The fees of L1
/// operations are not part of escrow.
abstract contract Escrow is Base {
    /// @inheritdoc IRollup
    function addToken(address erc20) external locked returns (uint32 token) {
        if (erc20.code.length == 0) revert NotAToken(erc20);
        if (tokenId[erc20] != 0) revert TokenKnown(erc20);
        token = uint32(_tokens.length);
        if (token == type(uint32).max) revert UnknownToken(token);
        _tokens.push(erc20);
        tokenId[erc20] = token;
        emit TokenAdded(token, erc20);
    }

    /// @inheritdoc IRollup
    function claim(uint32 token, address to) external locked returns (uint256 amount) {
        amount = _claimable[msg.sender][token];
        if (amount == 0) revert NothingToClaim();
        _claimable[msg.sender][token] = 0;
        // Sound because: claims are part of the claimable total, which is below 2^128.
        _totals[token].claimable -= uint128(amount);
        emit Claimed(msg.sender, token, to, amount);
        if (token == 0) _sendEth(to, amount);
        else _sendToken(_tokens[token], to, amount);
    }

    /// @inheritdoc IRollup
    function collectFees(address to) external locked returns (uint256 amount) {
        if (msg.sender != operator()) revert NotOperator();
        amount = _takeFees();
        emit FeesCollected(to, amount);
        _sendEth(to, amount);
    }

    /// @notice Every entry paid `l1Fee`: what of it was not collected.
    function operatorFees() public view returns (uint256) {
        return uint256(_loadHead().queueTail) * l1Fee - _feesCollected;
    }

    /// @notice What the operator could collect, which from now on is collected.
    function _takeFees() internal returns (uint256 amount) {
        amount = operatorFees();
        _feesCollected += amount;
    }

    function _fits(uint32 token, uint256 escrow) internal pure {
        if (escrow > type(uint128).max) revert EscrowFull(token);
    }

    /// @notice Takes the fee and `amount` of a token from the caller and adds what arrived to the
    /// pending total.
    function _receive(uint32 token, uint128 amount) internal returns (uint128 received) {
        // ETH is listed from the start; reading the list would cost 2,100 gas.
        if (token != 0 && token >= _tokens.length) revert UnknownToken(token);
        if (token == 0) {
            _pay(uint256(l1Fee) + amount);
            received = amount;
        } else {
            _pay(l1Fee);
            received = amount == 0 ? 0 : _takeToken(token, amount);
        }
        Totals storage totals_ = _totals[token];
        (uint128 balances, uint128 pending) = (totals_.balances, totals_.pending);
        _fits(token, uint256(balances) + pending + totals_.claimable + received);
        (totals_.balances, totals_.pending) = (balances, pending + received);
    }

    /// @notice The caller sends exactly this much ETH.
    function _pay(uint256 expected) internal view {
        if (msg.value != expected) revert WrongPayment(expected, msg.value);
    }

    /// @notice An amount of the accounts' balances becomes claimable.
    function _credit(address owner, uint32 token, uint32 index, uint128 amount) internal {
        if (amount == 0) return;
        Totals storage totals_ = _totals[token];
        if (amount > totals_.balances) revert PaysTooMuch(token);
        totals_.balances -= amount;
        totals_.claimable += amount;
        _claimable[owner][token] += amount;
        emit Credited(owner, token, index, amount);
    }

    function _takeToken(uint32 token, uint128 amount) private returns (uint128) {
        address erc20 = _tokens[token];
        uint256 before = IERC20(erc20).balanceOf(address(this));
        _callToken(erc20, abi.encodeWithSelector(0x23b872dd, msg.sender, address(this), amount));
        uint256 afterwards = IERC20(erc20).balanceOf(address(this));
        if (afterwards < before) revert TokenFailed(erc20);
        uint256 received = afterwards - before;
        _fits(token, received);
        return uint128(received);
    }

    function _sendToken(address erc20, address to, uint256 amount) private {
        uint256 before = IERC20(erc20).balanceOf(address(this));
        _callToken(erc20, abi.encodeWithSelector(0xa9059cbb, to, amount));
        uint256 afterwards = IERC20(erc20).balanceOf(address(this));
        if (afterwards < before && before - afterwards > amount) revert TokenFailed(erc20);
    }

    /// @notice A call that returns nothing or true. That there is code, `balanceOf` has checked.
    function _callToken(address erc20, bytes memory data) private {
        bool good;
        assembly ("memory-safe") {
            good := call(gas(), erc20, 0, add(data, 0x20), mload(data), 0, 0x20)
            // Only the first word of what is returned is looked at: no copy of a bomb.
            switch returndatasize()
            case 0 {}
            default { good := and(good, and(gt(returndatasize(), 0x1f), eq(mload(0), 1))) }
        }
        if (!good) revert TokenFailed(erc20);
    }

    function _sendEth(address to, uint256 amount) private {
        bool good;
        assembly ("memory-safe") {
            good := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!good) revert PaymentFailed();
    }
}
