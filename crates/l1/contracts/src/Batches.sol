// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Groth16} from "./Groth16.sol";
import {IRollup} from "./IRollup.sol";
import {Operator} from "./Operator.sol";

/// @title Batches: published data, public inputs, verification, what a batch moves
/// @dev Domain, batch number, old root and queue entries are this contract's own; every value that
/// the caller supplies is bounded before it is reduced. `z` is hashed from `c` and all words of
/// the shape, zeros included, and nothing of `z` and `y` is supplied (docs/protocol.md, section 5).
/// Nothing is called but precompiles, and a failure undoes everything: state is written on the way.
abstract contract Batches is Operator {
    /// Bytes after a batch's fee indices and before its L1 slots: counts, new root, `c`, proof.
    uint256 private constant FIXED_BYTES = 6 + 32 + 32 + 256;
    uint256 private constant ENTRY_BYTES = 114;
    /// Where an entry has its time.
    uint256 private constant TIME_OFFSET = 45;
    uint256 private constant SLOT_BYTES = ENTRY_BYTES + 16;

    /// What the batches of one call share.
    struct Work {
        uint16 shape;
        ListedShape sizes;
        Head head;
        uint256 root;
        /// The caller is the operator.
        bool byOperator;
        /// Memory: `c`, then the words. Made once, used for each batch.
        uint256 buffer;
    }

    /// Where the sections of a batch lie in calldata, and how much of them is carried.
    struct Sections {
        uint256 proof;
        uint256 slots;
        uint256 slotCount;
        uint256 transfers;
        uint256 transferCount;
        uint256 withdrawals;
        uint256 withdrawalCount;
        uint256 end;
    }

    /// @inheritdoc IRollup
    function submitBatch() external {
        if (msg.data.length < 6) revert BadLength();
        Work memory work = _begin(uint16(_load(4, 2)));
        (uint256 end, uint256 proof, uint256 c, uint256 z, uint256 y) = _batch(work, 4, 0);
        if (end != msg.data.length) revert BadLength();
        if (!Groth16.holds(work.sizes.key, proof, c, z, y)) revert ProofRejected();
        _end(work);
    }

    /// @inheritdoc IRollup
    function submitBatches() external {
        if (msg.data.length < 8) revert BadLength();
        uint256 count = _load(4, 2);
        if (count == 0) revert NoBatch();
        Work memory work = _begin(uint16(_load(6, 2)));
        // Each batch has at least its header, so a count that is not true ends soon.
        if (count * (16 + FIXED_BYTES) > msg.data.length) revert BadLength();
        bytes memory statements = new bytes(352 * count);
        uint256 offset = 6;
        for (uint256 position = 0; position < count; position++) {
            if (position != 0) {
                if (offset + 2 > msg.data.length) revert BadLength();
                uint16 got = uint16(_load(offset, 2));
                if (got != work.shape) revert MixedShapes(work.shape, got);
            }
            (uint256 end, uint256 proof, uint256 c, uint256 z, uint256 y) = _batch(work, offset, position);
            offset = end;
            assembly ("memory-safe") {
                let to := add(add(statements, 32), mul(352, position))
                calldatacopy(to, proof, 256)
                mstore(add(to, 256), c)
                mstore(add(to, 288), z)
                mstore(add(to, 320), y)
            }
        }
        if (offset != msg.data.length) revert BadLength();
        bytes32 label = keccak256(abi.encodePacked("quire/1 batches", domain, work.shape, count));
        if (!Groth16.allHold(work.sizes.key, label, statements)) revert ProofRejected();
        _end(work);
    }

    function _begin(uint16 shape_) private view returns (Work memory work) {
        _plainAccount();
        work.head = _loadHead();
        _notFrozen(work.head);
        (address operator_, uint256 backAt) = _loadOperator();
        work.byOperator = msg.sender == operator_;
        if (!work.byOperator && backAt != 0 && block.timestamp <= backAt + OPERATORS_HOUR) {
            revert OperatorsHour(backAt + OPERATORS_HOUR);
        }
        work.shape = shape_;
        work.sizes = _loadShape(shape_);
        if (work.sizes.key == address(0)) revert UnknownShape(shape_);
        work.root = uint256(root);
        uint256 bytes_ = 32 * (1 + _wordCount(work.sizes));
        uint256 buffer;
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore(0x40, add(buffer, bytes_))
        }
        work.buffer = buffer;
    }

    function _end(Work memory work) private {
        root = bytes32(work.root);
        _storeHead(work.head);
    }

    /// @notice Checks everything about the batch at `offset` but its proof, executes it, and returns
    /// where it ends, where its proof is, and its public inputs.
    function _batch(Work memory work, uint256 offset, uint256 position)
        private
        returns (uint256 end, uint256 proof, uint256 c, uint256 z, uint256 y)
    {
        Sections memory s = _sections(work.sizes, offset);
        _place(work.head, offset);
        _checkTurn(work);
        uint256 newRoot = _load(s.proof - 64, 32);
        c = _load(s.proof - 32, 32);
        if (newRoot >= R || c >= R) revert NotCanonical();
        uint256 header = _headerWords(work, offset, c, newRoot);
        uint256 words = work.buffer + 32;
        uint256 slots = words + 32 * header;
        uint256 transfers = slots + 128 * uint256(work.sizes.l1Ops);
        uint256 withdrawals = transfers + 16 * uint256(work.sizes.transfers);
        uint256 last = withdrawals + 16 * uint256(work.sizes.withdrawals);
        uint256 slotsEnd = _slots(work.head, s, slots);
        _endTurn(work, s.slotCount);
        _zero(slotsEnd, transfers);
        uint256 transfersEnd = _copyTransfers(s.transfers, s.transferCount, transfers);
        _zero(transfersEnd, withdrawals);
        uint256 withdrawalsEnd = _withdraw(s, withdrawals);
        _zero(withdrawalsEnd, last);
        assembly ("memory-safe") {
            z := shr(6, keccak256(sub(words, 32), sub(last, sub(words, 32))))
        }
        y = _horner(withdrawals, withdrawalsEnd, z, 0);
        y = _skip(y, z, withdrawals - transfersEnd);
        y = _horner(transfers, transfersEnd, z, y);
        y = _skip(y, z, transfers - slotsEnd);
        y = _horner(words, slotsEnd, z, y) % R;
        work.root = newRoot;
        uint40 number = work.head.nextBatch++;
        emit BatchFinalized(number, bytes32(newRoot), work.head.queueHead, uint16(position));
        return (s.end, s.proof, c, z, y);
    }

    /// @notice Whether the next batch is the caller's, at the batch's own time.
    function _checkTurn(Work memory work) private view {
        Head memory h = work.head;
        if (!work.byOperator && !h.takenOver && !_isOverdue(h, h.timestamp)) revert NotOpen();
    }

    /// @notice What follows from whose batch it is, once it has consumed its entries: somebody else
    /// leaves nothing overdue behind for which the shape has a slot.
    function _endTurn(Work memory work, uint256 used) private view {
        Head memory h = work.head;
        if (work.byOperator) {
            h.takenOver = h.takenOver && _isOverdue(h, block.timestamp);
            return;
        }
        bool full = used != 0 && used == work.sizes.l1Ops;
        if (!full && _isOverdue(h, h.timestamp)) revert OverdueLeftBehind(h.queueHead);
        h.takenOver = true;
    }

    /// @notice Lengths: what is carried is not more than the shape has, and the batch lies within
    /// calldata.
    function _sections(ListedShape memory sizes, uint256 offset) private pure returns (Sections memory s) {
        uint256 counts = offset + 12 + 4 * uint256(sizes.feeSlots);
        s.proof = counts + 70;
        s.slots = counts + FIXED_BYTES;
        if (s.slots > msg.data.length) revert BadLength();
        s.slotCount = _load(counts, 2);
        s.transferCount = _load(counts + 2, 2);
        s.withdrawalCount = _load(counts + 4, 2);
        if (
            s.slotCount > sizes.l1Ops || 2 * s.transferCount > sizes.transfers
                || 2 * s.withdrawalCount > sizes.withdrawals
        ) revert TooManyCarried();
        s.transfers = s.slots + SLOT_BYTES * s.slotCount;
        s.withdrawals = s.transfers + 30 * s.transferCount;
        s.end = s.withdrawals + 22 * s.withdrawalCount;
        if (s.end > msg.data.length) revert BadLength();
        if (s.transferCount != 0 && _load(s.withdrawals - 30, 30) == 0) revert ZeroWordCarried();
        if (s.withdrawalCount != 0 && _load(s.end - 22, 22) == 0) revert ZeroWordCarried();
    }

    /// @notice The batch is the next one, and its timestamp is neither before the last one's nor
    /// too old nor in the future.
    function _place(Head memory h, uint256 offset) private view {
        uint40 number = uint40(_load(offset + 2, 5));
        if (number != h.nextBatch) revert WrongBatchNumber(h.nextBatch, number);
        uint40 timestamp = uint40(_load(offset + 7, 5));
        uint256 earliest = block.timestamp > timestampSlack ? block.timestamp - timestampSlack : 0;
        if (earliest < h.timestamp) earliest = h.timestamp;
        if (timestamp < earliest || timestamp > block.timestamp) {
            revert BadTimestamp(earliest, block.timestamp, timestamp);
        }
        h.timestamp = timestamp;
    }

    /// @notice Writes `c` and the header words; returns the number of header words.
    function _headerWords(Work memory work, uint256 offset, uint256 c, uint256 newRoot)
        private
        view
        returns (uint256 count)
    {
        uint256 buffer = work.buffer;
        uint256 fees = work.sizes.feeSlots;
        uint256 oldRoot = work.root;
        uint256 domain_ = domain;
        // The fee indices follow the numbers in calldata as they do in the word; those that the
        // shape does not have are 0.
        uint256 packed = _leading(_load(offset, 28), 4, fees);
        assembly ("memory-safe") {
            mstore(buffer, c)
            mstore(add(buffer, 32), domain_)
            mstore(add(buffer, 64), oldRoot)
            mstore(add(buffer, 96), newRoot)
            mstore(add(buffer, 128), packed)
        }
        count = 4;
        for (uint256 done = 4; done < fees; done += 7) {
            packed = _leading(_load(offset + 12 + 4 * done, 28), 7, fees - done);
            count++;
            assembly ("memory-safe") {
                mstore(add(buffer, mul(32, count)), packed)
            }
        }
    }

    /// @notice The word without the low ones of its `fields` 32-bit fields, of which `used` remain.
    function _leading(uint256 word, uint256 fields, uint256 used) private pure returns (uint256) {
        if (used >= fields) return word;
        uint256 spare = 32 * (fields - used);
        return (word >> spare) << spare;
    }

    /// @notice Consumes the queue entries that the batch carries and writes their words.
    function _slots(Head memory h, Sections memory s, uint256 to) private returns (uint256) {
        if (s.slotCount > h.queueTail - h.queueHead) revert QueueTooShort(h.queueTail - h.queueHead);
        for (uint256 offset = s.slots; offset < s.transfers; offset += SLOT_BYTES) {
            uint40 number = h.queueHead++;
            uint256 place = to;
            uint256 hash;
            assembly ("memory-safe") {
                let m := mload(0x40)
                calldatacopy(m, offset, ENTRY_BYTES)
                hash := keccak256(m, ENTRY_BYTES)
            }
            uint256 kept = (hash & ~uint256(type(uint40).max)) | _load(offset + TIME_OFFSET, 5);
            if (uint256(_queue[number]) != kept) revert NotTheQueueEntry(number);
            _queue[number] = 0;
            uint256 packed = _load(offset, 25);
            uint256 paid = _load(offset + ENTRY_BYTES, 16);
            uint256 ax = _load(offset + 50, 32);
            uint256 ay = _load(offset + 82, 32);
            assembly ("memory-safe") {
                mstore(place, packed)
                mstore(add(place, 32), ax)
                mstore(add(place, 64), ay)
                mstore(add(place, 96), paid)
            }
            _execute(h, number, packed, uint128(paid));
            to += 128;
        }
        return to;
    }

    /// @param packed kind 8, index 32, token 32, amount 128.
    function _execute(Head memory h, uint40 number, uint256 packed, uint128 paid) private {
        uint32 index = uint32(packed >> 160);
        uint32 token = uint32(packed >> 128);
        if (packed >> 192 == FORCED_EXIT) {
            uint256 account_ = _accounts[index];
            _accounts[index] = account_ & ~EXIT_PENDING;
            _credit(_ownerOf(account_), token, index, paid);
        } else {
            if (paid != 0) revert PaysOutWrongly(number);
            h.pendingDeposits--;
            Totals storage totals_ = _totals[token];
            totals_.pending -= uint128(packed);
            totals_.balances += uint128(packed);
        }
    }

    /// @notice Writes the transfer words. Their meaning is the circuit's.
    function _copyTransfers(uint256 from, uint256 count, uint256 to) private pure returns (uint256 end) {
        assembly ("memory-safe") {
            end := add(to, mul(32, count))
            let whole := add(to, mul(32, and(count, not(7))))
            for {} lt(to, whole) {} {
                mstore(to, shr(16, calldataload(from)))
                mstore(add(to, 32), shr(16, calldataload(add(from, 30))))
                mstore(add(to, 64), shr(16, calldataload(add(from, 60))))
                mstore(add(to, 96), shr(16, calldataload(add(from, 90))))
                mstore(add(to, 128), shr(16, calldataload(add(from, 120))))
                mstore(add(to, 160), shr(16, calldataload(add(from, 150))))
                mstore(add(to, 192), shr(16, calldataload(add(from, 180))))
                mstore(add(to, 224), shr(16, calldataload(add(from, 210))))
                to := add(to, 256)
                from := add(from, 240)
            }
            for {} lt(to, end) {} {
                mstore(to, shr(16, calldataload(from)))
                to := add(to, 32)
                from := add(from, 30)
            }
        }
    }

    /// @notice Writes the withdrawal words and credits the owners of the accounts.
    function _withdraw(Sections memory s, uint256 to) private returns (uint256) {
        for (uint256 offset = s.withdrawals; offset < s.end; offset += 22) {
            uint256 word = _load(offset, 22);
            assembly ("memory-safe") {
                mstore(to, word)
            }
            _withdrawal(word >> 88);
            _withdrawal(word & ((1 << 88) - 1));
            to += 32;
        }
        return to;
    }

    /// @param data index 32, amount 40 (exponent 5, mantissa 35), fee 16. All 0 if index is 0, by
    /// the circuit.
    function _withdrawal(uint256 data) private {
        uint32 index = uint32(data >> 56);
        if (index == 0) return;
        uint256 amount = ((data >> 16) & ((1 << 35) - 1)) * 10 ** ((data >> 51) & 31);
        if (amount > type(uint128).max) revert WithdrawalTooLarge(index);
        uint256 packed = _registered(index);
        _credit(_ownerOf(packed), _tokenOf(packed), index, uint128(amount));
    }

    /// @notice Zeroes memory.
    function _zero(uint256 from, uint256 to) private pure {
        assembly ("memory-safe") {
            calldatacopy(from, calldatasize(), sub(to, from))
        }
    }

    /// @notice Horner's rule over the words from `end` down to `from`, not reduced at the end.
    /// @dev Words and products are below r, so a sum is below 2r and does not overflow.
    function _horner(uint256 from, uint256 end, uint256 z, uint256 y) private pure returns (uint256) {
        assembly ("memory-safe") {
            let r := R
            for { let whole := add(from, and(sub(end, from), 255)) } gt(end, whole) {} {
                end := sub(end, 256)
                y := add(mulmod(y, z, r), mload(add(end, 224)))
                y := add(mulmod(y, z, r), mload(add(end, 192)))
                y := add(mulmod(y, z, r), mload(add(end, 160)))
                y := add(mulmod(y, z, r), mload(add(end, 128)))
                y := add(mulmod(y, z, r), mload(add(end, 96)))
                y := add(mulmod(y, z, r), mload(add(end, 64)))
                y := add(mulmod(y, z, r), mload(add(end, 32)))
                y := add(mulmod(y, z, r), mload(end))
            }
            for {} gt(end, from) {} {
                end := sub(end, 32)
                y := add(mulmod(y, z, r), mload(end))
            }
        }
        return y;
    }

    /// @notice y·z^words for a gap of zero words, given in bytes.
    function _skip(uint256 y, uint256 z, uint256 bytes_) private pure returns (uint256) {
        if (y == 0) return 0;
        for (uint256 words = bytes_ / 32; words != 0; words >>= 1) {
            if (words & 1 != 0) y = mulmod(y, z, R);
            z = mulmod(z, z, R);
        }
        return y;
    }

    function _wordCount(ListedShape memory sizes) private pure returns (uint256) {
        uint256 fees = sizes.feeSlots;
        uint256 extra = fees > 4 ? (fees + 2) / 7 : 0;
        return 4 + extra + 4 * uint256(sizes.l1Ops) + sizes.transfers / 2 + sizes.withdrawals / 2;
    }

    /// @notice `bytes_` bytes of calldata as an integer; what is beyond its end reads as 0.
    function _load(uint256 offset, uint256 bytes_) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, mul(8, bytes_)), calldataload(offset))
        }
    }
}
