//! From the ledger's witness to the circuit's values.
//!
//! [`BatchValues::of`] copies; it checks nothing, since the circuit trusts nothing.

use ark_ff::{AdditiveGroup, PrimeField};
use ledger::{
    account::Account,
    babyjubjub::Point,
    eddsa::Signature,
    field::Fr,
    operation::L1Op,
    tree::Update,
    witness::{
        BatchWitness, FeeSlotWitness, L1SlotWitness, TransferSlotWitness, WithdrawalSlotWitness,
        padding_account,
    },
    words::{self, L1Entry, PublicWords, TransferData, WithdrawalData, WordsError},
};

use crate::{
    account::{LeafValues, NONCE_BITS, power_of_two},
    eddsa::SignatureValues,
    operation::{DebitValues, L1Values, TransferValues},
    rules::FeeValues,
    transition::{BatchValues, WrittenRoot},
};

impl BatchValues {
    /// The circuit's values for a batch, with `c`, `z` and `y` of the words that it publishes.
    ///
    /// # Errors
    /// [`WordsError`] when the witness is not one of its own shape.
    pub fn of(witness: &BatchWitness) -> Result<Self, WordsError> {
        let BatchWitness {
            shape,
            header,
            old_subtrees,
            l1_ops,
            transfers,
            withdrawals,
            fees,
        } = witness;
        let words = public_words(witness).encode(shape)?;
        let c = words::commitment(shape.id, &words);
        let z = words::challenge(&c, &words);
        let y = words::evaluation(&words, &z);
        let fee_slots = fees.len();
        let updates = (l1_ops.iter().map(|slot| &slot.update))
            .chain(
                transfers
                    .iter()
                    .flat_map(|s| [&s.sender_update, &s.receiver_update]),
            )
            .chain(withdrawals.iter().map(|slot| &slot.update));
        Ok(Self {
            shape: *shape,
            domain: header.domain,
            batch_number: Fr::from(header.batch_number),
            timestamp: Fr::from(header.timestamp),
            roots: old_subtrees.clone(),
            fees: fees.iter().map(fee_values).collect(),
            l1_ops: l1_ops.iter().map(l1_values).collect(),
            transfers: transfers
                .iter()
                .map(|slot| transfer_values(slot, fee_slots))
                .collect(),
            withdrawals: withdrawals
                .iter()
                .map(|slot| withdraw_values(slot, fee_slots))
                .collect(),
            c,
            z,
            y,
            written_roots: updates.map(written_root).collect(),
        })
    }

    /// The public inputs in the order of the instance variables: `c`, `z`, `y`.
    pub fn public_inputs(&self) -> [Fr; 3] {
        [self.c, self.z, self.y]
    }
}

/// What a batch with this witness publishes.
pub fn public_words(witness: &BatchWitness) -> PublicWords {
    let l1_ops = witness.l1_ops.iter().filter_map(|slot| {
        slot.op.map(|op| L1Entry {
            op,
            paid_out: slot.paid_out,
        })
    });
    let transfers = witness.transfers.iter().map(|slot| {
        let op = &slot.transfer;
        TransferData {
            from: op.from,
            to: op.to,
            amount: op.amount,
            fee: op.fee,
        }
    });
    let withdrawals = witness.withdrawals.iter().map(|slot| {
        let op = &slot.withdraw;
        WithdrawalData {
            index: op.from,
            amount: op.amount,
            fee: op.fee,
        }
    });
    PublicWords {
        header: witness.header.clone(),
        l1_ops: l1_ops.collect(),
        transfers: up_to_last(transfers, TransferData::is_unused),
        withdrawals: up_to_last(withdrawals, WithdrawalData::is_unused),
    }
}

/// The slots up to the last used one.
fn up_to_last<T>(slots: impl Iterator<Item = T>, is_unused: impl Fn(&T) -> bool) -> Vec<T> {
    let mut slots: Vec<T> = slots.collect();
    let used = slots
        .iter()
        .rposition(|slot| !is_unused(slot))
        .map_or(0, |last| last + 1);
    slots.truncate(used);
    slots
}

fn written_root(update: &Update) -> WrittenRoot {
    let place = usize::try_from(update.subtree()).expect("at most 256 cached roots");
    WrittenRoot {
        place,
        root: update.new_subtree,
    }
}

fn leaf_values(account: &Account) -> LeafValues {
    let Account {
        key,
        token,
        nonce,
        balance,
    } = account;
    LeafValues {
        ax: key.x,
        ay: key.y,
        token: Fr::from(*token),
        nonce: Fr::from(*nonce),
        balance: Fr::from(*balance),
    }
}

fn signature_values(signature: &Signature) -> SignatureValues {
    let Point { x, y } = signature.r8;
    SignatureValues {
        r8: (x, y),
        s: signature.s.into_bigint(),
    }
}

fn fee_choice(slot: Option<usize>, slots: usize) -> Vec<bool> {
    (0..slots).map(|i| Some(i) == slot).collect()
}

fn transfer_values(slot: &TransferSlotWitness, fee_slots: usize) -> TransferValues {
    let op = &slot.transfer;
    TransferValues {
        debit: DebitValues {
            from: Fr::from(op.from),
            amount: Fr::from(op.amount.packed()),
            fee: Fr::from(op.fee.packed()),
            valid_until: Fr::from(op.valid_until),
            account: leaf_values(&slot.sender),
            path: slot.sender_update.children.clone(),
            signature: signature_values(&slot.signature),
            fee_choice: fee_choice(slot.fee_slot, fee_slots),
        },
        to: Fr::from(op.to),
        receiver: leaf_values(&slot.receiver),
        receiver_path: slot.receiver_update.children.clone(),
    }
}

fn withdraw_values(slot: &WithdrawalSlotWitness, fee_slots: usize) -> DebitValues {
    let op = &slot.withdraw;
    DebitValues {
        from: Fr::from(op.from),
        amount: Fr::from(op.amount.packed()),
        fee: Fr::from(op.fee.packed()),
        valid_until: Fr::from(op.valid_until),
        account: leaf_values(&slot.account),
        path: slot.update.children.clone(),
        signature: signature_values(&slot.signature),
        fee_choice: fee_choice(slot.fee_slot, fee_slots),
    }
}

fn fee_values(slot: &FeeSlotWitness) -> FeeValues {
    FeeValues {
        index: Fr::from(slot.update.index),
        account: leaf_values(&slot.account.unwrap_or_else(padding_account)),
        path: slot.update.children.clone(),
    }
}

fn l1_values(slot: &L1SlotWitness) -> L1Values {
    let path = slot.update.children.clone();
    let Some(op) = slot.op else {
        let key = padding_account().key;
        return L1Values {
            kind: [false; 3],
            index: Fr::ZERO,
            token: Fr::ZERO,
            amount: Fr::ZERO,
            published_key: (Fr::ZERO, Fr::ZERO),
            key: (key.x, key.y),
            lane: Fr::ZERO,
            balance: Fr::ZERO,
            path,
        };
    };
    let [word_x, word_y] = op.key_words();
    let token = Fr::from(op.token());
    // A Create opens no leaf; it writes the published key, the token's first lane, the amount.
    let (key, lane, balance) = match &slot.old {
        Some(old) => ((old.ax, old.ay), old.lane, old.balance),
        None => ((word_x, word_y), token * power_of_two(NONCE_BITS), Fr::ZERO),
    };
    L1Values {
        kind: [L1Op::CREATE, L1Op::TOP_UP, L1Op::FORCED_EXIT].map(|kind| kind == op.kind()),
        index: Fr::from(op.index()),
        token,
        amount: Fr::from(op.amount()),
        published_key: (word_x, word_y),
        key,
        lane,
        balance,
        path,
    }
}
