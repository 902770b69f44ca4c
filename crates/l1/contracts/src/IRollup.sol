// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The rollup on Ethereum, as callers see it
/// @notice The rules are those of the native L1 (docs/protocol.md, section 6). Integers are
/// big-endian. `r` is the order of BN254's scalar field.
/// @dev `submitBatch` and `submitBatches` take packed bytes after the selector instead of ABI
/// arguments: one batch has exactly one encoding, so that whoever restores the state from calldata
/// reads what this contract read. A batch is
///
/// | bytes | field |
/// |---|---|
/// | 2 | shape id |
/// | 5, 5 | batch number, timestamp |
/// | 4 a fee slot | fee indices |
/// | 2, 2, 2 | L1 slots, transfer words, withdrawal words carried |
/// | 32, 32 | new root, `c`, both below `r` |
/// | 256 | proof: A.x A.y B.x1 B.x0 B.y1 B.y0 C.x C.y |
/// | 130 an L1 slot | queue entry: kind 1, index 4, token 4, amount 16, payer 20, time 5, Ax 32, Ay 32; then amount paid out 16 |
/// | 30 a transfer word | 2 x (from 4, to 4, amount 5, fee 2) |
/// | 22 a withdrawal word | 2 x (index 4, amount 5, fee 2) |
///
/// `submitBatch`: selector, one batch. `submitBatches`: selector, number of batches 2, the batches.
/// Nothing follows. The last transfer word and the last withdrawal word that are carried are not 0.
interface IRollup {
    /// @notice What a deployment is fixed to.
    struct Config {
        /// The first operator, who submits batches from a plain account.
        address operator;
        /// Tells deployments apart that agree in all else.
        bytes32 salt;
        /// Price of deposit, topUp and requestExit in wei.
        uint128 l1Fee;
        /// Most Creates and TopUps that may wait.
        uint40 pendingCap;
        /// Seconds that a batch's timestamp may lie before the block's.
        uint40 timestampSlack;
        /// Seconds that the oldest entry may wait before anyone may submit batches: more than
        /// timestampSlack, at least 7,200.
        uint40 takeoverAfter;
        /// Seconds that the oldest entry may wait before anyone may freeze: at least twice
        /// takeoverAfter, at most 90 days.
        uint40 freezeAfter;
        /// Levels of the account tree, 1 to 16.
        uint8 depth;
        /// A deployed PathHasher: its code hash is checked.
        address pathHasher;
    }

    /// @notice A shape that batches may have, with its verifying key.
    struct Shape {
        uint16 id;
        uint16 l1Ops;
        /// Even.
        uint16 transfers;
        /// Even.
        uint16 withdrawals;
        /// At least 1.
        uint8 feeSlots;
        /// alpha 64, beta 128, gamma 128, delta 128, IC0 to IC3 64 each: 704 bytes, points as in a
        /// proof.
        bytes key;
    }

    /// @notice A queue entry, whole. The contract keeps its time and 27 bytes of its hash; `Queued` emits
    /// all fields.
    struct Entry {
        /// 1 Create, 2 TopUp, 3 ForcedExit.
        uint8 kind;
        uint32 index;
        uint32 token;
        uint128 amount;
        address payer;
        /// Timestamp of its block.
        uint40 time;
        /// The key of a Create, else 0.
        uint256 ax;
        uint256 ay;
    }

    /// @notice What a leaf of the account tree commits to.
    struct Leaf {
        uint256 ax;
        uint256 ay;
        uint32 token;
        uint40 nonce;
        uint128 balance;
    }

    /// @notice A token has an id.
    event TokenAdded(uint32 indexed token, address indexed erc20);
    /// @notice An entry waits. Its hash is keccak256 of its fields, packed, in the order of `Entry`.
    event Queued(
        uint40 indexed number,
        uint32 indexed index,
        address indexed payer,
        uint8 kind,
        uint32 token,
        uint128 amount,
        uint40 time,
        uint256 ax,
        uint256 ay
    );
    /// @notice A batch is final. Its data are the transaction's calldata; `position` is its place
    /// there, from 0. Entries below `queueHead` are consumed.
    event BatchFinalized(uint40 indexed number, bytes32 newRoot, uint40 queueHead, uint16 position);
    /// @notice A withdrawal, an exit or a cancelled deposit became claimable.
    event Credited(address indexed owner, uint32 indexed token, uint32 indexed index, uint128 amount);
    /// @notice A claim was paid.
    event Claimed(address indexed owner, uint32 indexed token, address indexed to, uint256 amount);
    /// @notice No batch follows. The last root is final.
    event Frozen(bytes32 root, uint40 queueHead);
    /// @notice An account left by proof.
    event Exited(uint32 indexed index, uint128 amount);
    /// @notice A waiting deposit or top-up went back to its payer.
    event DepositCancelled(uint40 indexed number, uint128 amount);
    /// @notice The operator took the fees.
    event FeesCollected(address indexed to, uint256 amount);
    /// @notice The operator returned. Until this time, included, it alone may submit batches.
    event OperatorReturned(address indexed operator, uint256 until);
    /// @notice The operator offers its role to an address, or withdraws the offer (address 0).
    event OperatorOffered(address indexed to);
    /// @notice The operator role was handed over. What the operator before could collect is claimable by it.
    event OperatorChanged(address indexed from, address indexed to, uint256 fees);

    error NotOperator();
    error NotPlainAccount();
    error NotOpen();
    error OperatorsHour(uint256 until);
    error OverdueLeftBehind(uint40 number);
    error NothingToReturnTo();
    error ReturnTooSoon(uint256 again);
    error OfferedToItself();
    error NotOffered();
    error IsFrozen();
    error NotFrozen();
    error Reentered();
    error WrongPayment(uint256 expected, uint256 got);
    error UnknownToken(uint32 token);
    error TokenKnown(address erc20);
    error NotAToken(address erc20);
    error TokenFailed(address erc20);
    error BadKey();
    error TreeFull();
    error Unregistered(uint32 index);
    error NotOwner(uint32 index);
    error ZeroTopUp();
    error ExitIsPending(uint32 index);
    error TooManyPending(uint40 cap);
    error EscrowFull(uint32 token);
    error NoBatch();
    error MixedShapes(uint16 expected, uint16 got);
    error UnknownShape(uint16 shape);
    error BadLength();
    error TooManyCarried();
    error NotCanonical();
    error WrongBatchNumber(uint40 expected, uint40 got);
    error BadTimestamp(uint256 earliest, uint256 latest, uint256 got);
    error QueueTooShort(uint40 pending);
    error NotTheQueueEntry(uint40 number);
    error PaysOutWrongly(uint40 number);
    error ZeroWordCarried();
    error WithdrawalTooLarge(uint32 index);
    error PaysTooMuch(uint32 token);
    error ProofRejected();
    error NothingToClaim();
    error PaymentFailed();
    error QueueEmpty();
    error NotOverdue(uint256 waited);
    error NotWaiting(uint40 number);
    error NothingToCancel(uint40 number);
    error AlreadyExited(uint32 index);
    error OtherToken(uint32 index);
    error NonceOutOfRange();
    error NotInTree(uint32 index);
    error BadShape(uint16 shape);
    error BadVerifyingKey(uint16 shape);
    error BadConfig();

    /// @notice Gives an ERC-20 the next token id, once. Anyone may. ETH has id 0.
    function addToken(address erc20) external returns (uint32 token);

    /// @notice Queues a Create at the next index, which the caller owns. For ETH (token 0) send
    /// l1Fee + amount, else send l1Fee and approve `amount`; what arrives is credited.
    /// @param qx,qy Q with A = 8Q on Baby Jubjub, circomlib's coordinates.
    function deposit(uint32 token, uint128 amount, uint256 ax, uint256 ay, uint256 qx, uint256 qy)
        external
        payable
        returns (uint32 index);

    /// @notice Queues a TopUp of an account, whoever owns it. Pay as for a deposit.
    function topUp(uint32 index, uint128 amount) external payable returns (uint40 number);

    /// @notice Queues a ForcedExit of the caller's account. Send l1Fee.
    function requestExit(uint32 index) external payable returns (uint40 number);

    /// @notice Finalizes the next batch, packed after the selector. The operator may always; anybody may
    /// while the oldest entry has waited longer than takeoverAfter at the batch's timestamp, and once a
    /// batch of somebody else was final, until a batch of the operator leaves no such entry; but not for
    /// an hour after the operator returned. While such entries wait, a batch of somebody else fills the
    /// L1 slots of its shape with them. From plain accounts only.
    function submitBatch() external;

    /// @notice Finalizes the next batches of one shape, packed after the selector, all or nothing.
    function submitBatches() external;

    /// @notice Pays everything claimable by the caller of a token to `to`.
    function claim(uint32 token, address to) external returns (uint256 amount);

    /// @notice Pays the operator's fees to `to`. Only the operator.
    function collectFees(address to) external returns (uint256 amount);

    /// @notice The operator returns: for an hour it alone may submit batches. Only while they are open to
    /// anybody, and at most once in takeoverAfter.
    function returnOperator() external;

    /// @notice The operator offers its role to an address; 0 withdraws the offer.
    function offerOperator(address to) external;

    /// @notice Takes the operator role that was offered to the caller, a plain account. Fees from before become
    /// claimable by the operator before.
    function acceptOperator() external;

    /// @notice Freezes for good, once the oldest entry has waited longer than freezeAfter. Anyone may.
    function freeze() external;

    /// @notice When frozen: credits an account under the last root to its registered owner, once.
    /// @param siblings Three a level, from the leaf upwards, in order of position.
    function exit(uint32 index, Leaf calldata leaf, uint256[] calldata siblings) external returns (uint128 amount);

    /// @notice When frozen: credits a waiting Create or TopUp to its payer, once.
    function cancelDeposit(uint40 number, Entry calldata entry) external returns (uint128 amount);

    /// @notice Root of the account tree.
    function root() external view returns (bytes32);
    /// @notice Where the chain stands.
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
        );
    /// @notice Escrow of a token is the sum of the three.
    function totals(uint32 token) external view returns (uint128 balances, uint128 claims, uint128 pending);
    /// @notice What an owner may claim of a token.
    function claimable(address owner, uint32 token) external view returns (uint256);
    /// @notice Registration of an index; owner 0 if there is none.
    function account(uint32 index)
        external
        view
        returns (address owner, uint32 token, bool exitPending, bool exited);
    /// @notice The first 27 bytes of the hash of a waiting entry, and its time; 0 if consumed, cancelled
    /// or not there yet.
    function queueEntry(uint40 number) external view returns (bytes27 hash, uint40 time);
    /// @notice Number of token ids, ETH included.
    function tokenCount() external view returns (uint32);
    /// @notice Contract of a token; 0 for ETH.
    function tokenAddress(uint32 token) external view returns (address);
    /// @notice Id of an ERC-20; 0 if it has none.
    function tokenId(address erc20) external view returns (uint32);
    /// @notice Fees that the operator may collect, in wei; not part of escrow.
    function operatorFees() external view returns (uint256);
    /// @notice Sizes of a shape and the contract whose code is 0x00 and its prepared key.
    function shape(uint16 id)
        external
        view
        returns (uint16 l1Ops, uint16 transfers, uint16 withdrawals, uint8 feeSlots, address key);

    function domain() external view returns (uint256);
    /// @notice The operator now.
    function operator() external view returns (address);
    /// @notice The address to which the operator offers its role, 0 if none.
    function offeredOperator() external view returns (address);
    /// @notice When an operator returned last, 0 if none did.
    function operatorBackAt() external view returns (uint40);
    function salt() external view returns (bytes32);
    function l1Fee() external view returns (uint128);
    function pendingCap() external view returns (uint40);
    function timestampSlack() external view returns (uint40);
    function takeoverAfter() external view returns (uint40);
    function freezeAfter() external view returns (uint40);
    function depth() external view returns (uint8);
    function pathHasher() external view returns (address);
}
