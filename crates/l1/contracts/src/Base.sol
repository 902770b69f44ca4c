// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRollup} from "./IRollup.sol";

/// @title What all parts share: constants of the deployment, state, the lock
/// @dev No owner, no proxy, no other verifier: what a deployment fixes stays. Who the operator is
/// changes by its own offer alone. Invariant: for each token, escrow = balances + claimable +
/// pending, below 2^128 (docs/protocol.md, section 6).
abstract contract Base is IRollup {
    /// Order of BN254's scalar field.
    uint256 internal constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

    uint8 internal constant CREATE = 1;
    uint8 internal constant TOP_UP = 2;
    uint8 internal constant FORCED_EXIT = 3;

    /// Above the owner (160 bits) and the token (32 bits) of an account.
    uint256 internal constant EXIT_PENDING = 1 << 192;
    uint256 internal constant EXITED = 1 << 193;

    /// Seconds for which an operator that returned is alone.
    uint256 internal constant OPERATORS_HOUR = 1 hours;
    uint256 private constant MOST_FREEZE_AFTER = 90 days;

    struct Head {
        uint40 nextBatch;
        uint40 timestamp;
        uint40 queueHead;
        uint40 queueTail;
        uint40 nextIndex;
        uint40 pendingDeposits;
        bool frozen;
        /// A batch of somebody else was final and the operator is not back.
        bool takenOver;
    }

    struct Totals {
        uint128 balances;
        uint128 pending;
        uint128 claimable;
    }

    struct ListedShape {
        uint16 l1Ops;
        uint16 transfers;
        uint16 withdrawals;
        uint8 feeSlots;
        /// Its code is 0x00 and the prepared key; 0: no such shape.
        address key;
    }

    bytes32 public immutable salt;
    uint128 public immutable l1Fee;
    uint40 public immutable pendingCap;
    uint40 public immutable timestampSlack;
    uint40 public immutable takeoverAfter;
    uint40 public immutable freezeAfter;
    uint8 public immutable depth;
    uint256 public immutable domain;
    address public immutable pathHasher;

    bytes32 public root;
    /// `Head`, packed: the first field lowest, 40 bits each, then two of one bit.
    uint256 private _packedHead;
    /// The operator (160 bits) and when an operator returned last (40 bits), 0 if none did.
    uint256 private _packedOperator;
    address public offeredOperator;
    /// Of each waiting entry the first 27 bytes of its hash, then its time.
    mapping(uint256 number => bytes32) internal _queue;
    mapping(uint256 index => uint256) internal _accounts;
    mapping(uint256 token => Totals) internal _totals;
    mapping(address owner => mapping(uint256 token => uint256)) internal _claimable;
    /// `ListedShape`, packed: sizes above the key's address.
    mapping(uint256 id => uint256) private _packedShapes;
    address[] internal _tokens;
    mapping(address erc20 => uint32) public tokenId;
    uint256 internal _feesCollected;
    bool private transient _entered;

    constructor(Config memory config) {
        if (config.operator == address(0) || config.depth == 0 || config.depth > 16) revert BadConfig();
        if (config.takeoverAfter <= config.timestampSlack) revert BadConfig();
        // An operator that returns as often as it may leaves everybody half of the time.
        if (config.takeoverAfter < 2 * OPERATORS_HOUR) revert BadConfig();
        if (config.freezeAfter < 2 * uint256(config.takeoverAfter)) revert BadConfig();
        if (config.freezeAfter > MOST_FREEZE_AFTER) revert BadConfig();
        _storeOperator(config.operator, 0);
        salt = config.salt;
        l1Fee = config.l1Fee;
        pendingCap = config.pendingCap;
        timestampSlack = config.timestampSlack;
        takeoverAfter = config.takeoverAfter;
        freezeAfter = config.freezeAfter;
        depth = config.depth;
        pathHasher = config.pathHasher;
        domain = uint256(keccak256(abi.encodePacked("quire/1", block.chainid, address(this), config.salt))) >> 6;
    }

    /// One lock over every call that pays, is paid or credits.
    modifier locked() {
        if (_entered) revert Reentered();
        _entered = true;
        _;
        _entered = false;
    }

    function _loadHead() internal view returns (Head memory h) {
        uint256 packed = _packedHead;
        h.nextBatch = uint40(packed);
        h.timestamp = uint40(packed >> 40);
        h.queueHead = uint40(packed >> 80);
        h.queueTail = uint40(packed >> 120);
        h.nextIndex = uint40(packed >> 160);
        h.pendingDeposits = uint40(packed >> 200);
        h.frozen = packed & (1 << 240) != 0;
        h.takenOver = packed & (1 << 241) != 0;
    }

    function _storeHead(Head memory h) internal {
        uint256 packed = uint256(h.nextBatch) | (uint256(h.timestamp) << 40) | (uint256(h.queueHead) << 80);
        packed |= (uint256(h.queueTail) << 120) | (uint256(h.nextIndex) << 160);
        packed |= (uint256(h.pendingDeposits) << 200) | (uint256(h.frozen ? 1 : 0) << 240);
        _packedHead = packed | (uint256(h.takenOver ? 1 : 0) << 241);
    }

    /// @inheritdoc IRollup
    function operator() public view returns (address operator_) {
        (operator_,) = _loadOperator();
    }

    function _loadOperator() internal view returns (address operator_, uint256 backAt) {
        uint256 packed = _packedOperator;
        return (address(uint160(packed)), packed >> 160);
    }

    function _storeOperator(address operator_, uint256 backAt) internal {
        _packedOperator = uint256(uint160(operator_)) | (backAt << 160);
    }

    /// @notice Time of a waiting entry.
    function _timeOf(uint40 number) internal view returns (uint256) {
        return uint40(uint256(_queue[number]));
    }

    function _loadShape(uint16 id) internal view returns (ListedShape memory s) {
        uint256 packed = _packedShapes[id];
        s.key = address(uint160(packed));
        s.l1Ops = uint16(packed >> 160);
        s.transfers = uint16(packed >> 176);
        s.withdrawals = uint16(packed >> 192);
        s.feeSlots = uint8(packed >> 208);
    }

    function _storeShape(uint16 id, ListedShape memory s) internal {
        uint256 packed = uint256(uint160(s.key)) | (uint256(s.l1Ops) << 160) | (uint256(s.transfers) << 176);
        _packedShapes[id] = packed | (uint256(s.withdrawals) << 192) | (uint256(s.feeSlots) << 208);
    }

    function _notFrozen(Head memory head_) internal pure {
        if (head_.frozen) revert IsFrozen();
    }

    function _isFrozen(Head memory head_) internal pure {
        if (!head_.frozen) revert NotFrozen();
    }

    /// @return packed Owner, token and flags of an index, which is registered.
    function _registered(uint256 index) internal view returns (uint256 packed) {
        packed = _accounts[index];
        if (packed == 0) revert Unregistered(uint32(index));
    }

    function _ownerOf(uint256 packed) internal pure returns (address) {
        return address(uint160(packed));
    }

    function _tokenOf(uint256 packed) internal pure returns (uint32) {
        return uint32(packed >> 160);
    }

    function _time() internal view returns (uint40) {
        return uint40(block.timestamp);
    }
}
