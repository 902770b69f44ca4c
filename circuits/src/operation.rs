//! The slots of a batch in constraints: twin of `ledger::operation` and of the effects in
//! `ledger::rules`; when an effect may happen is said in `rules`.
//!
//! Every slot runs in full. An unused one has index 0 (kind 0 for L1 slots), all its words are
//! constrained to zero, and it replaces the empty leaf 0 by itself; signatures of unused slots are
//! real ones, by a padding key.

use ark_ff::Field;
use ledger::{
    field::Fr,
    operation::{L1Op, Signable, Transfer, Withdraw},
};

use crate::{
    account::{
        BALANCE_BITS, Fields, INDEX_BITS, LeafValues, NONCE_BITS, TOKEN_BITS, if_active, lane,
        leaves, packed, ranged,
    },
    babyjubjub::Edwards,
    eddsa::{self, SignatureValues},
    float::{self, FLOAT16, FLOAT16_MANTISSA, FLOAT40, FLOAT40_MANTISSA, Float},
    num::{Bit, Cs, Num},
    poseidon,
    rules::{
        Context, create_writes_published_leaf, exit_pays_the_whole_balance, fee_is_credited_once,
        nonce_with_successor, not_expired, sender_can_pay, unused_slot_is_zero,
    },
    tree::{Written, update},
};

/// The signed operation of a transfer or withdrawal slot, with its account, as the witness gives
/// them.
#[derive(Clone, Debug)]
pub struct DebitValues {
    /// Index of the paying account.
    pub from: Fr,
    /// The amount in its packed form, a float40.
    pub amount: Fr,
    /// The fee in its packed form, a float16.
    pub fee: Fr,
    /// Last timestamp at which the operation may execute.
    pub valid_until: Fr,
    /// The account before the operation.
    pub account: LeafValues,
    /// Old children of each hashed level, from the leaves up.
    pub path: Vec<[Fr; 4]>,
    /// The account holder's signature.
    pub signature: SignatureValues,
    /// For each fee slot, whether it collects this fee.
    pub fee_choice: Vec<bool>,
}

/// A transfer slot as the witness gives it.
#[derive(Clone, Debug)]
pub struct TransferValues {
    /// What the sender signed, with its account.
    pub debit: DebitValues,
    /// Index of the receiving account.
    pub to: Fr,
    /// The receiver's account after the sender's update (its token field is not read: the sender's
    /// token takes its place).
    pub receiver: LeafValues,
    /// Old children of each hashed level of the receiver's path.
    pub receiver_path: Vec<[Fr; 4]>,
}

/// An L1 slot as the witness gives it.
#[derive(Clone, Debug)]
pub struct L1Values {
    /// Create, TopUp, ForcedExit, one-hot; none for an unused slot.
    pub kind: [bool; 3],
    /// Index of the account.
    pub index: Fr,
    /// Token of the account.
    pub token: Fr,
    /// Amount deposited, 0 for a ForcedExit.
    pub amount: Fr,
    /// The published key words: the new key of a Create, otherwise zeros.
    pub published_key: (Fr, Fr),
    /// Key of the leaf that is opened or written.
    pub key: (Fr, Fr),
    /// Lane of that leaf, carried unopened by TopUp and ForcedExit.
    pub lane: Fr,
    /// Balance before the operation.
    pub balance: Fr,
    /// Old children of each hashed level.
    pub path: Vec<[Fr; 4]>,
}

/// What a transfer or withdrawal slot leaves behind.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The slot's share of its published word, before the pair is joined.
    pub published: Num,
    /// For each fee slot what this slot pays into it.
    pub credits: Vec<Num>,
}

/// Bits of an operation's kind.
const KIND_BITS: usize = u8::BITS as usize;

/// A transfer: the sender pays `amount + fee`, the receiver gets `amount`.
///
/// Rule `receiver_balance_in_range` has no constraint. Sound because: L1 keeps the escrow of each
/// token below `2^128` and the state conserves value, so the sum of all balances of a token, and
/// with it every single one, stays below `2^128`; the batcher checks it natively all the same.
pub fn transfer(
    cs: &Cs,
    context: &Context,
    values: &TransferValues,
    roots: &mut Vec<Num>,
) -> Outcome {
    let _scope = cs.rule("transfer");
    let to_bits = cs.named("to").bits_of(values.to, 2 * context.depth);
    let to = Num::from_bits(&to_bits);
    let debit = debit(cs, context, &values.debit, (Transfer::KIND, &to), roots);

    let _scope = cs.rule("receiver");
    let receiver = &values.receiver;
    let key = Edwards {
        x: cs.witness(receiver.ax),
        y: cs.witness(receiver.ay),
    };
    // same_token: the receiver's lane is opened with the sender's token and a nonce in range.
    let receiver_lane = lane(
        &debit.token,
        &ranged(cs.named("nonce"), receiver.nonce, NONCE_BITS),
    );
    let balance = cs.witness(receiver.balance);
    let new_balance = &balance + &debit.amount.value;
    let old = Fields {
        lane: &receiver_lane,
        balance: &balance,
    };
    let (old, new) = leaves(
        cs,
        &key,
        old,
        Fields {
            balance: &new_balance,
            ..old
        },
    );
    let leaves = (
        if_active(cs.named("opened"), &debit.active, &old),
        if_active(cs.named("written"), &debit.active, &new),
    );
    update(
        cs,
        &to_bits,
        &values.receiver_path,
        (&leaves.0, &leaves.1),
        roots,
        Written::Fresh,
    );

    let published = packed([
        (&debit.from, INDEX_BITS),
        (&to, INDEX_BITS),
        (&debit.amount.packed, FLOAT40),
        (&debit.fee.packed, FLOAT16),
    ]);
    Outcome {
        published,
        credits: debit.credits,
    }
}

/// A withdrawal: the account pays `amount + fee`, L1 makes `amount` claimable by its owner.
pub fn withdraw(cs: &Cs, context: &Context, values: &DebitValues, roots: &mut Vec<Num>) -> Outcome {
    let _scope = cs.rule("withdraw");
    let debit = debit(cs, context, values, (Withdraw::KIND, &Num::zero()), roots);
    let published = packed([
        (&debit.from, INDEX_BITS),
        (&debit.amount.packed, FLOAT40),
        (&debit.fee.packed, FLOAT16),
    ]);
    Outcome {
        published,
        credits: debit.credits,
    }
}

/// The paying side of a slot, constrained.
struct Debit {
    active: Bit,
    from: Num,
    token: Num,
    amount: Float,
    fee: Float,
    credits: Vec<Num>,
}

/// The paying side: ranges, expiry, nonce, signature, balance, fee and the leaf's update.
///
/// `kind` is the signed kind with the signed receiver.
fn debit(
    cs: &Cs,
    context: &Context,
    values: &DebitValues,
    kind: (u8, &Num),
    roots: &mut Vec<Num>,
) -> Debit {
    let _scope = cs.rule("sender");
    let account = &values.account;
    let from_bits = cs.named("from").bits_of(values.from, 2 * context.depth);
    let from = Num::from_bits(&from_bits);
    // The flag of index 0 is 0 for another reason as well: the slot opens flag times a hash.
    let active = cs.named("active").is_nonzero(&from);
    let amount = float::decode(cs, values.amount, FLOAT40_MANTISSA);
    let fee = float::decode(cs, values.fee, FLOAT16_MANTISSA);
    unused_slot_is_zero(cs, &active, &[kind.1, &amount.packed, &fee.packed]);
    let key = Edwards {
        x: cs.witness(account.ax),
        y: cs.witness(account.ay),
    };
    let token = ranged(cs.named("token"), account.token, TOKEN_BITS);
    let nonce = nonce_with_successor(cs, account.nonce);
    let valid_until = not_expired(cs, values.valid_until, &context.timestamp);

    let signed = packed([
        (&Num::constant(Fr::from(kind.0)), KIND_BITS),
        (&from, INDEX_BITS),
        (kind.1, INDEX_BITS),
        (&amount.packed, FLOAT40),
        (&fee.packed, FLOAT16),
        (&nonce, NONCE_BITS),
        (&valid_until, NONCE_BITS),
        (&token, TOKEN_BITS),
    ]);
    let message = {
        let _scope = cs.rule("message_hash");
        poseidon::hash(cs, &[context.domain.clone(), signed])
    };
    eddsa::verify(cs, &key, &message, &values.signature);

    let (balance, new_balance) = sender_can_pay(cs, account.balance, &amount.value, &fee.value);
    let credits = fee_is_credited_once(cs, context, &token, &fee.value, &values.fee_choice);

    let lanes = [&nonce, &nonce.plus(Fr::ONE)].map(|nonce| lane(&token, nonce));
    let old = Fields {
        lane: &lanes[0],
        balance: &balance,
    };
    let (old, new) = leaves(
        cs,
        &key,
        old,
        Fields {
            lane: &lanes[1],
            balance: &new_balance,
        },
    );
    let leaves = (
        if_active(cs.named("opened"), &active, &old),
        if_active(cs.named("written"), &active, &new),
    );
    // A transfer updates a second account right after.
    let written = if kind.0 == Transfer::KIND {
        Written::Combined
    } else {
        Written::Fresh
    };
    update(
        cs,
        &from_bits,
        &values.path,
        (&leaves.0, &leaves.1),
        roots,
        written,
    );
    Debit {
        active,
        from,
        token,
        amount,
        fee,
        credits,
    }
}

/// An L1 operation: Create, TopUp, ForcedExit, or an unused slot. Returns its four words.
///
/// The words come from L1's own queue; the circuit splits them without ambiguity (every field has
/// its range) and applies them. It relies on L1 for what it does not check: an active slot's index
/// is one that L1 assigned, never 0 (a leaf there would make every unused slot unsatisfiable), the
/// token of a TopUp or ForcedExit is the registered one, a Create's key is `8·Q` and not the
/// identity, escrow of each token is below `2^128` (no balance is ranged here), and `paid out` is
/// below `2^128` and 0 for the other kinds.
pub fn l1_op(cs: &Cs, context: &Context, values: &L1Values, roots: &mut Vec<Num>) -> [Num; 4] {
    let _scope = cs.rule("l1_op");
    // Nothing else makes the kinds booleans: kinds of any fractions that add up to 1 can be published
    // as 3. Their sum's own row follows from the others: with a sum of 2 or 3 the index is 0, and the
    // slot opens a hash there, or twice one, where the tree has 0. So does a Create's boolean alone,
    // but not together with another kind's: with a sum of 1 the kind is 4, with 0 the index is 0.
    let kinds = values.kind.map(|kind| cs.named("kind").bit(kind));
    let [create, top_up, exit] = &kinds;
    let active = Bit::at_most_one(cs, &kinds);
    let index_bits = cs.named("index").bits_of(values.index, 2 * context.depth);
    let index = Num::from_bits(&index_bits);
    let token = ranged(cs.named("token"), values.token, TOKEN_BITS);
    let amount = ranged(cs.named("amount"), values.amount, BALANCE_BITS);
    let key = Edwards {
        x: cs.witness(values.key.0),
        y: cs.witness(values.key.1),
    };
    let published_key = [
        cs.witness(values.published_key.0),
        cs.witness(values.published_key.1),
    ];
    let lane_word = cs.witness(values.lane);
    let balance = cs.witness(values.balance);
    unused_slot_is_zero(cs, &active, &[&index, &token, &amount]);
    create_writes_published_leaf(
        cs,
        create,
        (&key, &published_key),
        (&lane_word, &token),
        &balance,
    );
    let paid_out = exit_pays_the_whole_balance(cs, exit, &amount, &balance);
    let new_balance = &(&balance + &amount) - &paid_out;
    let old = Fields {
        lane: &lane_word,
        balance: &balance,
    };
    let (old, new) = leaves(
        cs,
        &key,
        old,
        Fields {
            balance: &new_balance,
            ..old
        },
    );
    let existing = {
        // leaf_was_empty: a Create opens the empty leaf 0, the other two a leaf that exists.
        let exists = top_up.num() + exit.num();
        cs.named("opened").mul(&old, &exists)
    };
    let leaves = (existing, if_active(cs.named("written"), &active, &new));
    update(
        cs,
        &index_bits,
        &values.path,
        (&leaves.0, &leaves.1),
        roots,
        Written::Fresh,
    );

    let numbers = [L1Op::CREATE, L1Op::TOP_UP, L1Op::FORCED_EXIT].map(Fr::from);
    let kind = Num::linear(kinds.iter().map(Bit::num).zip(numbers));
    let head = packed([
        (&kind, KIND_BITS),
        (&index, INDEX_BITS),
        (&token, TOKEN_BITS),
        (&amount, BALANCE_BITS),
    ]);
    let [x, y] = published_key;
    [head, x, y, paid_out]
}
