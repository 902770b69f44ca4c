//! The transition: every rule at its edge, conservation, and the witness read back as the circuit
//! reads it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use ledger::account::{Account, NONCE_LIMIT, leaf_or_empty};
use ledger::field::Fr;
use ledger::float::{Float16, Float40};
use ledger::operation::{L1Op, Signable, Transfer, Withdraw, domain};
use ledger::poseidon::compress4;
use ledger::reject::{DoesNotFit, L1Violation, Reject, SignatureFault};
use ledger::replay::{self, ReplayError, replay, replay_many};
use ledger::shape::Shape;
use ledger::state::{GenesisError, State};
use ledger::transition::{
    AppliedBatch, ApplyError, BatchContext, BeginError, FinishError, Operation, Payout, PushError,
    Transition, apply_batch,
};
use ledger::tree::Update;
use ledger::witness::{padding_account, padding_transfer, padding_withdrawal};
use ledger::words::{PublicWords, TransferData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::*;

/// Follows the witness as the circuit does: leaves from preimages, two roots from each path, every
/// subtree root chained, the cached top hashed at the start and at the end.
fn follow_witness(batch: &AppliedBatch) {
    let witness = &batch.witness;
    let shape = &witness.shape;
    let mut subtrees = witness.old_subtrees.clone();
    assert_eq!(top(&subtrees), witness.header.old_root);
    let mut step = |update: &Update, old: Fr, new: Fr| {
        assert_eq!(update.children.len(), shape.path_levels());
        assert_eq!(
            update.roots(old, new),
            (update.old_subtree, update.new_subtree)
        );
        let at = usize::try_from(update.subtree()).unwrap();
        assert_eq!(subtrees[at], update.old_subtree);
        subtrees[at] = update.new_subtree;
    };
    let zero = Fr::from(0u64);
    assert_eq!(witness.l1_ops.len(), usize::from(shape.l1_ops));
    for slot in &witness.l1_ops {
        let old = slot.old.map_or(zero, |leaf| leaf.hash());
        let new = match (slot.op, slot.old) {
            (None, None) => zero,
            (
                Some(L1Op::Create {
                    token, amount, key, ..
                }),
                None,
            ) => Account::new(key, token, amount).leaf(),
            (Some(L1Op::TopUp { amount, .. }), Some(mut leaf)) => {
                leaf.balance += Fr::from(amount);
                leaf.hash()
            }
            (Some(L1Op::ForcedExit { .. }), Some(mut leaf)) => {
                leaf.balance -= Fr::from(slot.paid_out);
                assert_eq!(leaf.balance, zero);
                leaf.hash()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(slot.update.index, slot.op.map_or(0, |op| op.index()));
        step(&slot.update, old, new);
    }
    let mut fees = vec![0; usize::from(shape.fee_slots)];
    let mut collect = |slot: Option<usize>, fee: u128| match slot {
        Some(slot) => fees[slot] += fee,
        None => assert_eq!(fee, 0),
    };
    assert_eq!(witness.transfers.len(), usize::from(shape.transfers));
    for slot in &witness.transfers {
        let op = slot.transfer;
        let signed = ledger::operation::Signed {
            op,
            signature: slot.signature,
        };
        signed
            .verify(&slot.sender.key, &witness.header.domain)
            .unwrap();
        assert_eq!(
            (slot.sender_update.index, slot.receiver_update.index),
            (op.from, op.to)
        );
        if op.from == 0 {
            assert_eq!(op, padding_transfer());
            assert_eq!(
                (slot.sender, slot.receiver),
                (padding_account(), padding_account())
            );
            step(&slot.sender_update, zero, zero);
            step(&slot.receiver_update, zero, zero);
            continue;
        }
        let (value, fee) = (
            op.amount.value_u128().unwrap(),
            op.fee.value_u128().unwrap(),
        );
        let mut sender = slot.sender;
        assert_eq!((sender.nonce, sender.token), (op.nonce, op.token));
        sender.nonce += 1;
        sender.balance -= value + fee;
        step(&slot.sender_update, slot.sender.leaf(), sender.leaf());
        let mut receiver = slot.receiver;
        assert_eq!(receiver.token, op.token);
        receiver.balance += value;
        step(&slot.receiver_update, slot.receiver.leaf(), receiver.leaf());
        collect(slot.fee_slot, fee);
    }
    assert_eq!(witness.withdrawals.len(), usize::from(shape.withdrawals));
    for slot in &witness.withdrawals {
        let op = slot.withdraw;
        let signed = ledger::operation::Signed {
            op,
            signature: slot.signature,
        };
        signed
            .verify(&slot.account.key, &witness.header.domain)
            .unwrap();
        assert_eq!(slot.update.index, op.from);
        if op.from == 0 {
            assert_eq!(
                (op, slot.account),
                (padding_withdrawal(), padding_account())
            );
            step(&slot.update, zero, zero);
            continue;
        }
        let (value, fee) = (
            op.amount.value_u128().unwrap(),
            op.fee.value_u128().unwrap(),
        );
        let mut account = slot.account;
        assert_eq!((account.nonce, account.token), (op.nonce, op.token));
        account.nonce += 1;
        account.balance -= value + fee;
        step(&slot.update, slot.account.leaf(), account.leaf());
        collect(slot.fee_slot, fee);
    }
    assert_eq!(witness.fees.len(), usize::from(shape.fee_slots));
    for (slot, fees) in witness.fees.iter().zip(fees) {
        assert_eq!(slot.credited, fees);
        let after = slot.account.map(|account| Account {
            balance: account.balance + slot.credited,
            ..account
        });
        let old = leaf_or_empty(slot.account.as_ref());
        step(&slot.update, old, leaf_or_empty(after.as_ref()));
    }
    let indices: Vec<u32> = witness.fees.iter().map(|slot| slot.update.index).collect();
    assert_eq!(indices, witness.header.fee_indices);
    assert_eq!(top(&subtrees), witness.header.new_root);
}

fn top(nodes: &[Fr]) -> Fr {
    match nodes {
        [root] => *root,
        _ => top(&nodes
            .as_chunks()
            .0
            .iter()
            .map(compress4)
            .collect::<Vec<_>>()),
    }
}

/// The root over a state's accounts, by recursion over all positions.
fn naive_root(state: &State, level: u8, position: u32) -> Fr {
    if level == 0 {
        return leaf_or_empty(state.account(position));
    }
    compress4(&[0, 1, 2, 3].map(|digit| naive_root(state, level - 1, 4 * position + digit)))
}

/// Finishes a batch and checks everything that must hold of every batch: the tree, the witness,
/// the words, replay, and conservation.
fn finish(transition: Transition, state: &mut State) -> AppliedBatch {
    let before = state.clone();
    let batch = transition.finish(state).unwrap();
    assert_eq!(batch.new_root, state.root());
    assert_eq!(state.root(), naive_root(state, state.depth(), 0));
    assert_eq!(batch.words.header, batch.witness.header);
    follow_witness(&batch);
    let shape = &batch.witness.shape;
    let words = batch.words.encode(shape).unwrap();
    assert_eq!(words.len(), shape.word_count());
    let read = ledger::words::PublicWords::decode(&words, shape).unwrap();
    assert_eq!(read, batch.words);
    let bytes = batch.words.to_bytes(shape).unwrap();
    let read = ledger::words::PublicWords::from_bytes(&bytes, shape).unwrap();
    assert_eq!(read, batch.words);
    let mut replayed = before.clone();
    assert_eq!(replay(&read, shape, &mut replayed).unwrap(), batch.payouts);
    assert_eq!(&replayed, state);
    let mut expected = supply(&before);
    for slot in &batch.words.l1_ops {
        *expected.entry(slot.op.token()).or_default() += slot.op.amount();
    }
    for payout in &batch.payouts {
        *expected.get_mut(&payout.token).unwrap() -= payout.amount;
    }
    assert_eq!(supply(state), expected);
    batch
}

fn rejected(result: Result<(), PushError>) -> Reject {
    match result {
        Err(PushError::Rejected(reject)) => reject,
        other => panic!("{other:?} is not a Reject"),
    }
}

fn unfit(result: Result<(), PushError>) -> DoesNotFit {
    match result {
        Err(PushError::DoesNotFit(unfit)) => unfit,
        other => panic!("{other:?} is not a DoesNotFit"),
    }
}

fn l1_violation(result: Result<(), PushError>) -> L1Violation {
    match result {
        Err(PushError::L1(violation)) => violation,
        other => panic!("{other:?} is not an L1Violation"),
    }
}

/// Accounts 1, 2 (token 0) with 1000 each, 3 (token 0, no balance), 4 (token 1).
fn four() -> State {
    state(4, &[(1, 0, 1000), (2, 0, 1000), (3, 0, 0), (4, 1, 1000)])
}

fn balance(state: &State, index: u32) -> u128 {
    state.account(index).unwrap().balance
}

#[test]
fn empty_batch_moves_nothing() {
    let mut state = four();
    let before = state.clone();
    let batch = finish(begin(&state, &[]), &mut state);
    assert_eq!(state, before);
    assert_eq!(batch.words.header.old_root, batch.words.header.new_root);
    assert!(batch.words.transfers.is_empty() && batch.payouts.is_empty());
}

#[test]
fn all_kinds_in_one_batch() {
    let mut state = four();
    let mut batch = begin(&state, &[(0, 3)]);
    batch.push_l1(&state, &create(20, 0, 50)).unwrap();
    let top_up = L1Op::TopUp {
        index: 20,
        token: 0,
        amount: 25,
    };
    batch.push_l1(&state, &top_up).unwrap();
    let exit = L1Op::ForcedExit { index: 4, token: 1 };
    batch.push_l1(&state, &exit).unwrap();
    batch.push_l1(&state, &exit).unwrap();
    batch
        .push_transfer(&state, &authorize(transfer(20, 1, 60, 5, 0)))
        .unwrap();
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 1060, 0, 0)))
        .unwrap();
    batch
        .push_withdraw(&state, &authorize(withdraw(2, 2000, 7, 0)))
        .unwrap();
    assert_eq!(batch.counts(), [4, 2, 1]);
    let batch = finish(batch, &mut state);
    let balances = [1, 2, 3, 4, 20].map(|index| balance(&state, index));
    assert_eq!(balances, [0, 53, 12, 0, 10]);
    let payout = |index, token, amount| Payout {
        index,
        token,
        amount,
    };
    let expected = [payout(4, 1, 1000), payout(4, 1, 0), payout(2, 0, 2000)];
    assert_eq!(batch.payouts, expected);
    assert_eq!(batch.words.header.fee_indices, [3, 0]);
}

#[test]
fn overlapping_roles_conserve_value() {
    // (from, to, fee account): self-transfer, sender = fee account, receiver = fee account, all.
    for (from, to, collector) in [(1, 1, 3), (1, 2, 1), (1, 2, 2), (1, 1, 1), (1, 3, 1)] {
        for (value, fee_value) in [(0, 0), (0, 7), (993, 7), (1000, 0), (333, 11)] {
            let mut state = four();
            let mut batch = begin(&state, &[(0, collector)]);
            let op = transfer(from, to, value, fee_value, 0);
            batch.push_transfer(&state, &authorize(op)).unwrap();
            finish(batch, &mut state);
            let mut expected = BTreeMap::from([(1, 1000), (2, 1000), (3, 0)]);
            *expected.get_mut(&from).unwrap() -= u128::from(value) + u128::from(fee_value);
            *expected.get_mut(&to).unwrap() += u128::from(value);
            *expected.get_mut(&collector).unwrap() += u128::from(fee_value);
            for (index, expected) in expected {
                assert_eq!(balance(&state, index), expected, "{from} {to} {collector}");
            }
            assert_eq!(state.account(1).unwrap().nonce, 1);
        }
    }
}

#[test]
fn coins_received_in_a_batch_can_be_spent_in_it_but_fees_cannot() {
    let mut state = four();
    let mut batch = begin(&state, &[(0, 3)]);
    batch
        .push_transfer(&state, &authorize(transfer(1, 3, 500, 9, 0)))
        .unwrap();
    batch
        .push_transfer(&state, &authorize(transfer(3, 2, 500, 0, 0)))
        .unwrap();
    let reject = rejected(batch.push_transfer(&state, &authorize(transfer(3, 2, 1, 0, 1))));
    let expected = Reject::SenderCanPay {
        index: 3,
        balance: 0,
        amount: Some(1),
        fee: 0,
    };
    assert_eq!(reject, expected);
    finish(batch, &mut state);
    assert_eq!(
        [1, 2, 3].map(|index| balance(&state, index)),
        [491, 1500, 9]
    );
}

#[test]
fn index_in_range() {
    let state = four();
    let mut batch = begin(&state, &[]);
    for (from, to) in [(256, 1), (1, 256), (1, u32::MAX)] {
        let index = from.max(to);
        let op = authorize(transfer(from, to, 1, 0, 0));
        let expected = Reject::IndexInRange { index, leaves: 256 };
        assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
    }
    let op = authorize(withdraw(256, 1, 0, 0));
    let expected = Reject::IndexInRange {
        index: 256,
        leaves: 256,
    };
    assert_eq!(rejected(batch.push_withdraw(&state, &op)), expected);
    assert!(batch.is_empty());
}

#[test]
fn sender_exists_and_receiver_exists() {
    let state = four();
    let mut batch = begin(&state, &[]);
    for index in [0, 5, 255] {
        let op = authorize(transfer(index, 1, 0, 0, 0));
        let expected = Reject::SenderExists { index };
        assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
        let op = authorize(withdraw(index, 0, 0, 0));
        assert_eq!(rejected(batch.push_withdraw(&state, &op)), expected);
        let op = authorize(transfer(1, index, 0, 0, 0));
        let expected = Reject::ReceiverExists { index };
        assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
    }
    assert!(batch.is_empty());
}

#[test]
fn same_token_of_sender_receiver_and_operation() {
    let state = four();
    let mut batch = begin(&state, &[]);
    let op = authorize(transfer(1, 4, 0, 0, 0));
    let expected = Reject::SameToken {
        index: 4,
        held: 1,
        signed: 0,
    };
    assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
    let expected = Reject::SameToken {
        index: 1,
        held: 0,
        signed: 1,
    };
    let op = Transfer {
        token: 1,
        ..transfer(1, 2, 0, 0, 0)
    };
    assert_eq!(
        rejected(batch.push_transfer(&state, &authorize(op))),
        expected
    );
    let op = Withdraw {
        token: 1,
        ..withdraw(1, 0, 0, 0)
    };
    assert_eq!(
        rejected(batch.push_withdraw(&state, &authorize(op))),
        expected
    );
}

#[test]
fn signature_is_valid() {
    let state = four();
    let mut batch = begin(&state, &[]);
    let op = authorize_as(transfer(1, 2, 1, 0, 0), 2);
    let expected = Reject::SignatureIsValid {
        index: 1,
        reason: SignatureFault::OtherKey,
    };
    assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
    let other = domain(31338, &[7; 20], &[9; 32]);
    let op = withdraw(1, 1, 0, 0).sign(&key(1), &other);
    let op = op.verify(&public(1), &other).unwrap();
    let expected = Reject::SignatureIsValid {
        index: 1,
        reason: SignatureFault::OtherDomain,
    };
    assert_eq!(rejected(batch.push_withdraw(&state, &op)), expected);
    assert!(batch.is_empty());
}

#[test]
fn nonce_is_next_and_has_a_successor() {
    let mut state = State::new(4);
    let last = Account {
        nonce: NONCE_LIMIT - 1,
        ..account(2, 0, 10)
    };
    let fresh = Account {
        nonce: NONCE_LIMIT - 2,
        ..account(1, 0, 10)
    };
    state.insert_genesis([(1, fresh), (2, last)]).unwrap();
    let mut batch = begin(&state, &[]);
    for got in [0, NONCE_LIMIT - 3, NONCE_LIMIT - 1] {
        let expected = Reject::NonceIsNext {
            index: 1,
            expected: NONCE_LIMIT - 2,
            got,
        };
        let op = authorize(transfer(1, 2, 1, 0, got));
        assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
        let op = authorize(withdraw(1, 1, 0, got));
        assert_eq!(rejected(batch.push_withdraw(&state, &op)), expected);
    }
    let op = authorize(transfer(1, 2, 1, 0, NONCE_LIMIT - 2));
    batch.push_transfer(&state, &op).unwrap();
    for index in [1, 2] {
        let expected = Reject::NonceHasSuccessor {
            index,
            nonce: NONCE_LIMIT - 1,
        };
        let op = authorize(transfer(index, 1, 0, 0, NONCE_LIMIT - 1));
        assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
        let op = authorize(withdraw(index, 0, 0, NONCE_LIMIT - 1));
        assert_eq!(rejected(batch.push_withdraw(&state, &op)), expected);
    }
    finish(batch, &mut state);
    let exit = L1Op::ForcedExit { index: 2, token: 0 };
    let mut batch = begin(&state, &[]);
    batch.push_l1(&state, &exit).unwrap();
    assert_eq!(finish(batch, &mut state).payouts[0].amount, 11);
}

#[test]
fn not_expired() {
    let state = four();
    let mut batch = begin(&state, &[]);
    let expiring = |valid_until, nonce| Transfer {
        valid_until,
        ..transfer(1, 2, 1, 0, nonce)
    };
    let expected = Reject::NotExpired {
        valid_until: 999,
        timestamp: 1000,
    };
    let op = authorize(expiring(999, 0));
    assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
    batch
        .push_transfer(&state, &authorize(expiring(1000, 0)))
        .unwrap();
    batch
        .push_transfer(&state, &authorize(expiring(1001, 1)))
        .unwrap();
    let op = Withdraw {
        valid_until: 999,
        ..withdraw(1, 1, 0, 2)
    };
    assert_eq!(
        rejected(batch.push_withdraw(&state, &authorize(op))),
        expected
    );
}

#[test]
fn sender_can_pay() {
    let state = four();
    let mut batch = begin(&state, &[(0, 3)]);
    let expected = |amount, fee| Reject::SenderCanPay {
        index: 1,
        balance: 1000,
        amount,
        fee,
    };
    for (value, fee_value) in [(1001, 0), (1000, 1), (0, 1001), (1, 1000)] {
        let op = authorize(transfer(1, 1, value, fee_value, 0));
        let expected = expected(Some(u128::from(value)), u128::from(fee_value));
        assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
        let op = authorize(withdraw(1, value, fee_value, 0));
        assert_eq!(rejected(batch.push_withdraw(&state, &op)), expected);
    }
    // 2^35 − 1 times 10^31 is far beyond 2^128; 10^31 times the largest fee mantissa is not.
    let beyond = Transfer {
        amount: Float40::from_packed((1 << 40) - 1).unwrap(),
        fee: Float16::from_packed(u64::from(u16::MAX)).unwrap(),
        ..transfer(1, 2, 0, 0, 0)
    };
    let reject = rejected(batch.push_transfer(&state, &authorize(beyond)));
    assert_eq!(reject, expected(None, 2047 * 10u128.pow(31)));
    assert!(reject.to_string().contains("2^128 or more"));
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 990, 10, 0)))
        .unwrap();
    batch
        .push_withdraw(&state, &authorize(withdraw(2, 1980, 10, 0)))
        .unwrap();
}

#[test]
fn receiver_balance_in_range() {
    let full = u128::MAX - 10;
    let state = state(4, &[(1, 0, 1000), (2, 0, full)]);
    let mut batch = begin(&state, &[]);
    let expected = Reject::ReceiverBalanceInRange {
        index: 2,
        balance: full,
        amount: 11,
    };
    let op = authorize(transfer(1, 2, 11, 0, 0));
    assert_eq!(rejected(batch.push_transfer(&state, &op)), expected);
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 10, 0, 0)))
        .unwrap();
    batch
        .push_transfer(&state, &authorize(transfer(2, 2, 1000, 0, 0)))
        .unwrap();
}

#[test]
fn fee_account_balance_in_range() {
    let full = u128::MAX - 10;
    let mut state = state(4, &[(1, 0, 1000), (2, 0, 1000), (3, 0, full)]);
    let mut batch = begin(&state, &[(0, 3)]);
    let expected = |balance, fees| Reject::FeeAccountBalanceInRange {
        index: 3,
        balance,
        fees,
    };
    let op = authorize(transfer(1, 2, 1, 11, 0));
    assert_eq!(
        rejected(batch.push_transfer(&state, &op)),
        expected(full, 11)
    );
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 1, 6, 0)))
        .unwrap();
    let op = authorize(transfer(1, 3, 5, 0, 1));
    assert_eq!(
        rejected(batch.push_transfer(&state, &op)),
        expected(full + 5, 6)
    );
    let op = authorize(withdraw(1, 0, 5, 1));
    assert_eq!(
        rejected(batch.push_withdraw(&state, &op)),
        expected(full, 11)
    );
    batch
        .push_transfer(&state, &authorize(transfer(1, 3, 4, 0, 1)))
        .unwrap();
    finish(batch, &mut state);
    assert_eq!(balance(&state, 3), u128::MAX);
}

#[test]
fn numbers_wider_than_their_fields_never_authorize() {
    let late = Transfer {
        valid_until: 1 << 40,
        ..transfer(1, 2, 1, 0, 0)
    };
    let far = transfer(1, 2, 1, 0, 1 << 40);
    for (op, field) in [(late, "valid_until"), (far, "nonce")] {
        let verdict = op
            .sign(&key(1), &test_domain())
            .verify(&public(1), &test_domain());
        let value = 1 << 40;
        assert_eq!(verdict.unwrap_err(), Reject::FieldInRange { field, value });
    }
}

#[test]
fn full_slots_do_not_fit() {
    let mut state = four();
    let mut batch = begin(&state, &[]);
    for index in 10..14 {
        batch.push_l1(&state, &create(index, 0, 1)).unwrap();
    }
    let op = create(14, 0, 1);
    let expected = DoesNotFit::L1OpsFull { capacity: 4 };
    assert_eq!(unfit(batch.push_l1(&state, &op)), expected);
    for nonce in 0..8 {
        batch
            .push_transfer(&state, &authorize(transfer(1, 2, 1, 0, nonce)))
            .unwrap();
    }
    let op = authorize(transfer(1, 2, 1, 0, 8));
    let expected = DoesNotFit::TransfersFull { capacity: 8 };
    assert_eq!(unfit(batch.push_transfer(&state, &op)), expected);
    for nonce in 8..12 {
        batch
            .push_withdraw(&state, &authorize(withdraw(1, 1, 0, nonce)))
            .unwrap();
    }
    let op = authorize(withdraw(1, 1, 0, 12));
    let expected = DoesNotFit::WithdrawalsFull { capacity: 4 };
    assert_eq!(unfit(batch.push_withdraw(&state, &op)), expected);
    finish(batch, &mut state);
}

#[test]
fn batch_order_is_kept() {
    let state = four();
    let mut batch = begin(&state, &[]);
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 1, 0, 0)))
        .unwrap();
    let (what, after) = ("an L1 operation", "a transfer");
    let expected = DoesNotFit::OutOfOrder { what, after };
    assert_eq!(unfit(batch.push_l1(&state, &create(9, 0, 1))), expected);
    batch
        .push_withdraw(&state, &authorize(withdraw(1, 1, 0, 1)))
        .unwrap();
    let after = "a withdrawal";
    let expected = DoesNotFit::OutOfOrder { what, after };
    assert_eq!(unfit(batch.push_l1(&state, &create(9, 0, 1))), expected);
    let what = "a transfer";
    let expected = DoesNotFit::OutOfOrder { what, after };
    let op = authorize(transfer(1, 2, 1, 0, 2));
    assert_eq!(unfit(batch.push_transfer(&state, &op)), expected);
}

#[test]
fn fee_slots_run_out_and_fee_accounts_may_be_missing() {
    let accounts: Vec<(u32, u32, u128)> = (1..=6).map(|index| (index, index % 3, 1000)).collect();
    let mut state = state(4, &accounts);
    let mut batch = begin(&state, &[(0, 3), (1, 1), (2, 2)]);
    let paying = |index: u32, fee_value, nonce| Transfer {
        token: index % 3,
        ..transfer(index, index, 1, fee_value, nonce)
    };
    batch
        .push_transfer(&state, &authorize(paying(4, 1, 0)))
        .unwrap();
    batch
        .push_transfer(&state, &authorize(paying(5, 2, 0)))
        .unwrap();
    let expected = DoesNotFit::NoFeeSlot {
        token: 0,
        fee_slots: 2,
    };
    let op = authorize(paying(6, 3, 0));
    assert_eq!(unfit(batch.push_transfer(&state, &op)), expected);
    batch
        .push_transfer(&state, &authorize(paying(6, 0, 0)))
        .unwrap();
    batch
        .push_transfer(&state, &authorize(paying(4, 4, 1)))
        .unwrap();
    let done = finish(batch, &mut state);
    assert_eq!(done.words.header.fee_indices, [1, 2]);
    assert_eq!([1, 2].map(|index| balance(&state, index)), [1005, 1002]);
    // No account for the token; one that does not exist; one of another token; index 0.
    for fee_accounts in [&[][..], &[(1, 77)], &[(1, 2)], &[(1, 0)]] {
        let mut batch = begin(&state, fee_accounts);
        let op = authorize(paying(4, 1, 2));
        let expected = DoesNotFit::NoFeeAccount { token: 1 };
        assert_eq!(unfit(batch.push_transfer(&state, &op)), expected);
        let op = Withdraw {
            token: 1,
            ..withdraw(4, 1, 1, 2)
        };
        assert_eq!(unfit(batch.push_withdraw(&state, &authorize(op))), expected);
    }
}

#[test]
fn fixed_fee_slots() {
    let mut state = four();
    let fixed = |state: &State, indices: &[u32]| {
        Transition::begin_with_fee_indices(state, &SHAPE, context(&[(0, 3)]), indices)
    };
    let error = BeginError::FeeIndices {
        expected: 2,
        got: 1,
    };
    assert_eq!(fixed(&state, &[1]).err(), Some(error));
    let batch = fixed(&state, &[0, 99]).unwrap();
    let error = FinishError::NoFeeAccount { slot: 1, index: 99 };
    assert_eq!(batch.finish(&mut state).unwrap_err(), error);
    let batch = fixed(&state, &[1, 2]).unwrap();
    let error = FinishError::FeeTokenTwice { slot: 1, token: 0 };
    assert_eq!(batch.finish(&mut state).unwrap_err(), error);
    assert_eq!(state, four());
    let mut batch = fixed(&state, &[0, 2]).unwrap();
    batch
        .push_transfer(&state, &authorize(transfer(1, 3, 1, 9, 0)))
        .unwrap();
    let done = finish(batch, &mut state);
    assert_eq!(done.witness.transfers[0].fee_slot, Some(1));
    assert_eq!(balance(&state, 2), 1009);
    let mut batch = fixed(&state, &[4, 0]).unwrap();
    let op = authorize(transfer(1, 3, 1, 9, 1));
    let expected = DoesNotFit::NoFeeSlot {
        token: 0,
        fee_slots: 2,
    };
    assert_eq!(unfit(batch.push_transfer(&state, &op)), expected);
    finish(batch, &mut state);
}

#[test]
fn l1_violations_are_not_rejects() {
    let state = state(4, &[(1, 0, 1000), (2, 0, u128::MAX - 10)]);
    let mut batch = begin(&state, &[]);
    batch.push_l1(&state, &create(9, 0, 1)).unwrap();
    for index in [1, 9] {
        let violation = l1_violation(batch.push_l1(&state, &create(index, 0, 1)));
        assert_eq!(violation, L1Violation::LeafOccupied { index });
    }
    for index in [0, 256] {
        let violation = l1_violation(batch.push_l1(&state, &create(index, 0, 1)));
        let leaves = 256;
        assert_eq!(violation, L1Violation::IndexOutOfRange { index, leaves });
    }
    let top_up = |index, token, amount| L1Op::TopUp {
        index,
        token,
        amount,
    };
    let exit = |index, token| L1Op::ForcedExit { index, token };
    for op in [top_up(7, 0, 1), exit(7, 0)] {
        let violation = l1_violation(batch.push_l1(&state, &op));
        assert_eq!(violation, L1Violation::LeafEmpty { index: 7 });
    }
    for op in [top_up(1, 5, 1), exit(1, 5)] {
        let expected = L1Violation::TokenDiffers {
            index: 1,
            held: 0,
            registered: 5,
        };
        assert_eq!(l1_violation(batch.push_l1(&state, &op)), expected);
    }
    let expected = L1Violation::BalanceOverflow {
        index: 2,
        balance: u128::MAX - 10,
        amount: 11,
    };
    assert_eq!(
        l1_violation(batch.push_l1(&state, &top_up(2, 0, 11))),
        expected
    );
    batch.push_l1(&state, &top_up(2, 0, 10)).unwrap();
    assert_eq!(batch.counts(), [2, 0, 0]);
}

#[test]
fn batches_begin_only_on_what_fits() {
    let state = four();
    let error =
        |shape: Shape, context: BatchContext| Transition::begin(&state, &shape, context).err();
    let good = || context(&[]);
    let odd = Shape {
        transfers: 3,
        ..SHAPE
    };
    assert!(matches!(error(odd, good()), Some(BeginError::Shape(_))));
    let deep = Shape { depth: 5, ..SHAPE };
    let expected = BeginError::Depth { shape: 5, state: 4 };
    assert_eq!(error(deep, good()), Some(expected));
    for batch_number in [0, 1 << 40] {
        let context = BatchContext {
            batch_number,
            ..good()
        };
        let expected = BeginError::BatchNumber(batch_number);
        assert_eq!(error(SHAPE, context), Some(expected));
    }
    let context = BatchContext {
        timestamp: 1 << 40,
        ..good()
    };
    let expected = BeginError::Timestamp(1 << 40);
    assert_eq!(error(SHAPE, context), Some(expected));
}

#[test]
fn a_batch_belongs_to_the_state_it_began_on() {
    let mut state = four();
    let mut first = begin(&state, &[]);
    let mut second = begin(&state, &[]);
    let op = authorize(transfer(1, 2, 1, 0, 0));
    first.push_transfer(&state, &op).unwrap();
    finish(first, &mut state);
    let push = second.push_transfer(&state, &op);
    assert!(matches!(push, Err(PushError::State(_))), "{push:?}");
    let before = state.clone();
    let finish = second.finish(&mut state);
    assert!(matches!(finish, Err(FinishError::State(_))), "{finish:?}");
    assert_eq!(state, before);
}

#[test]
fn apply_batch_names_the_first_bad_operation_and_changes_nothing() {
    let mut state = four();
    let before = state.clone();
    let good = Operation::Transfer(authorize(transfer(1, 2, 1, 0, 0)));
    let bad = Operation::Withdraw(authorize(withdraw(3, 1, 0, 0)));
    let operations = [Operation::L1(create(9, 0, 5)), good, bad, bad];
    let error = apply_batch(&mut state, &SHAPE, context(&[]), &operations).unwrap_err();
    let source = PushError::Rejected(Reject::SenderCanPay {
        index: 3,
        balance: 0,
        amount: Some(1),
        fee: 0,
    });
    assert_eq!(
        error,
        ApplyError::Operation {
            position: 2,
            source
        }
    );
    assert_eq!(
        error.to_string(),
        "operation 2: sender 3 has 0 units, needs 1 units and a fee of 0 units"
    );
    assert_eq!(state, before);
    let batch = apply_batch(&mut state, &SHAPE, context(&[]), &operations[..2]).unwrap();
    assert_eq!(batch.new_root, state.root());
    assert_ne!(state.root(), before.root());
}

#[test]
fn genesis_is_checked_and_all_or_nothing() {
    let mut state = four();
    let before = state.clone();
    let leaves = 256;
    for index in [0, 256] {
        let error = state.insert_genesis([(9, account(9, 0, 1)), (index, account(9, 0, 1))]);
        assert_eq!(error, Err(GenesisError::IndexOutOfRange { index, leaves }));
    }
    let error = state.insert_genesis([(9, account(9, 0, 1)), (4, account(4, 0, 1))]);
    assert_eq!(error, Err(GenesisError::Taken { index: 4 }));
    let error = state.insert_genesis([(9, account(9, 0, 1)), (9, account(9, 0, 1))]);
    assert_eq!(error, Err(GenesisError::Taken { index: 9 }));
    let nonce = NONCE_LIMIT;
    let wide = Account {
        nonce,
        ..account(9, 0, 1)
    };
    let error = state.insert_genesis([(9, wide)]);
    assert_eq!(error, Err(GenesisError::NonceTooWide { index: 9, nonce }));
    assert_eq!(state, before);
    state.insert_genesis([(9, account(9, 0, 1))]).unwrap();
    assert_eq!(state.root(), naive_root(&state, 4, 0));
}

#[test]
fn replay_refuses_words_that_lead_elsewhere() {
    let mut state = four();
    let before = state.clone();
    let mut batch = begin(&state, &[(0, 3)]);
    let exit = L1Op::ForcedExit { index: 4, token: 1 };
    batch.push_l1(&state, &exit).unwrap();
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 60, 5, 0)))
        .unwrap();
    batch
        .push_withdraw(&state, &authorize(withdraw(2, 20, 7, 0)))
        .unwrap();
    let words = finish(batch, &mut state).words;
    let error = |change: &dyn Fn(&mut ledger::words::PublicWords)| {
        let mut words = words.clone();
        change(&mut words);
        let mut state = before.clone();
        let error = replay(&words, &SHAPE, &mut state).unwrap_err();
        assert_eq!(state, before);
        error
    };
    let paid = error(&|words| words.l1_ops[0].paid_out = 999);
    let expected = ReplayError::PaidOut {
        slot: 0,
        expected: 1000,
        got: 999,
    };
    assert_eq!(paid, expected);
    let sent = error(&|words| words.transfers[0].amount = amount(61));
    assert!(matches!(sent, ReplayError::NewRoot { .. }), "{sent}");
    let poor = error(&|words| words.transfers[0].amount = amount(996));
    assert!(
        matches!(poor, ReplayError::Rejected { slot: 0, .. }),
        "{poor}"
    );
    let unfunded = error(&|words| words.header.fee_indices = vec![0, 0]);
    assert!(
        matches!(unfunded, ReplayError::Fee { slot: 0, .. }),
        "{unfunded}"
    );
    let twice = error(&|words| words.header.fee_indices = vec![3, 2]);
    assert_eq!(twice, ReplayError::FeeTokenTwice { slot: 1, token: 0 });
    let absent = error(&|words| words.header.fee_indices = vec![3, 99]);
    assert_eq!(absent, ReplayError::NoFeeAccount { slot: 1, index: 99 });
    let moved = error(&|words| words.header.old_root = Fr::from(1u64));
    assert!(matches!(moved, ReplayError::OldRoot { .. }), "{moved}");
    let renamed = error(&|words| words.header.shape_id = 4);
    assert!(matches!(renamed, ReplayError::Words(_)), "{renamed}");
    let created = error(&|words| words.l1_ops[0].op = create(4, 1, 0));
    assert!(matches!(created, ReplayError::Words(_)), "{created}");
    let deep = Shape { depth: 5, ..SHAPE };
    let expected = ReplayError::Depth { shape: 5, state: 4 };
    assert_eq!(replay(&words, &deep, &mut before.clone()), Err(expected));
}

#[test]
fn replay_skips_unused_slots_among_used_ones() {
    let mut state = four();
    let mut replayed = state.clone();
    let mut batch = begin(&state, &[(0, 3)]);
    batch
        .push_transfer(&state, &authorize(transfer(1, 2, 60, 5, 0)))
        .unwrap();
    batch
        .push_withdraw(&state, &authorize(withdraw(2, 20, 7, 0)))
        .unwrap();
    let mut words = finish(batch, &mut state).words;
    words
        .transfers
        .insert(0, ledger::words::TransferData::unused());
    words
        .withdrawals
        .insert(0, ledger::words::WithdrawalData::unused());
    let bytes = words.to_bytes(&SHAPE).unwrap();
    let words = ledger::words::PublicWords::from_bytes(&bytes, &SHAPE).unwrap();
    assert_eq!(words.transfers.len(), 2);
    replay(&words, &SHAPE, &mut replayed).unwrap();
    assert_eq!(replayed, state);
}

/// A transfer or withdrawal that is good or, about as often, breaks some rule.
fn random_op(rng: &mut ChaCha8Rng, state: &State, batch: &Transition) -> Operation {
    let from = if rng.gen_bool(0.95) {
        rng.gen_range(1..9)
    } else {
        rng.gen_range(0..300)
    };
    let to = match rng.gen_range(0..10) {
        0 => from,
        1 => rng.gen_range(0..300),
        _ => 1 + (from + 1) % 2 + 2 * rng.gen_range(0..4),
    };
    let account = batch.account(state, from).copied();
    let (balance, nonce, token) = account.map_or((5, 0, 0), |a| (a.balance, a.nonce, a.token));
    let most = u64::try_from(balance).unwrap();
    let value = if rng.gen_bool(0.9) {
        rng.gen_range(0..=most)
    } else {
        most + 1
    };
    let fee_value = if rng.gen_bool(0.5) {
        0
    } else {
        rng.gen_range(0..20)
    };
    let nonce = if rng.gen_bool(0.95) { nonce } else { nonce + 1 };
    let token = if rng.gen_bool(0.95) { token } else { token + 1 };
    let valid_until = if rng.gen_bool(0.95) {
        1_000 + rng.gen_range(0..9)
    } else {
        999
    };
    let signer = if rng.gen_bool(0.97) { from } else { from + 1 };
    if rng.gen_bool(0.8) {
        let op = Transfer {
            token,
            valid_until,
            ..transfer(from, to, value, fee_value, nonce)
        };
        Operation::Transfer(authorize_as(op, signer))
    } else {
        let op = Withdraw {
            token,
            valid_until,
            ..withdraw(from, value, fee_value, nonce)
        };
        Operation::Withdraw(authorize_as(op, signer))
    }
}

fn random_l1_op(rng: &mut ChaCha8Rng, state: &State, batch: &Transition) -> L1Op {
    let index = rng.gen_range(1..13);
    let amount = rng.gen_range(0..1000);
    match batch.account(state, index) {
        None => create(index, index % 2, amount),
        Some(account) if rng.gen_bool(0.3) => L1Op::ForcedExit {
            index,
            token: account.token,
        },
        Some(account) => L1Op::TopUp {
            index,
            token: account.token,
            amount,
        },
    }
}

/// Random batches of all kinds, one after another; `finish` checks each of them.
#[test]
fn random_batches_keep_every_invariant() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let accounts: Vec<(u32, u32, u128)> = (1..9).map(|index| (index, index % 2, 10_000)).collect();
    let mut state = state(4, &accounts);
    let (mut executed, mut refused) = (0, 0);
    for round in 0..90u8 {
        let shape = Shape {
            cached_levels: round % 4,
            fee_slots: 1 + round % 3,
            ..SHAPE
        };
        let fee_accounts = &[(0, 2), (1, 1)][..usize::from(round % 2) + 1];
        let mut batch = Transition::begin(&state, &shape, context(fee_accounts)).unwrap();
        for _ in 0..rng.gen_range(0..5) {
            let op = random_l1_op(&mut rng, &state, &batch);
            batch.push_l1(&state, &op).unwrap();
        }
        for _ in 0..rng.gen_range(0..20) {
            let op = random_op(&mut rng, &state, &batch);
            let counts = batch.counts();
            match batch.push(&state, &op) {
                Ok(()) => executed += 1,
                Err(PushError::Rejected(_) | PushError::DoesNotFit(_)) => {
                    refused += 1;
                    assert_eq!(batch.counts(), counts);
                }
                Err(other) => panic!("{other}"),
            }
        }
        finish(batch, &mut state);
    }
    assert!(executed > 200 && refused > 200, "{executed} {refused}");
}

/// Random batches and the states between them, the first state before all.
fn random_history(seed: u64, batches: usize) -> (Vec<State>, Vec<AppliedBatch>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let accounts: Vec<(u32, u32, u128)> = (1..9).map(|index| (index, index % 2, 10_000)).collect();
    let mut state = state(4, &accounts);
    let (mut states, mut applied) = (vec![state.clone()], Vec::new());
    for _ in 0..batches {
        let mut batch = Transition::begin(&state, &SHAPE, context(&[(0, 2), (1, 1)])).unwrap();
        for _ in 0..rng.gen_range(0..5) {
            let op = random_l1_op(&mut rng, &state, &batch);
            batch.push_l1(&state, &op).unwrap();
        }
        for _ in 0..rng.gen_range(0..20) {
            let op = random_op(&mut rng, &state, &batch);
            // Why: refused operations leave no trace, which another test shows.
            batch.push(&state, &op).unwrap_or_default();
        }
        let touched = batch.touched();
        applied.push(batch.finish(&mut state).unwrap());
        assert_eq!(touched, replay::touched(&applied.last().unwrap().words));
        states.push(state.clone());
    }
    (states, applied)
}

#[test]
fn batches_put_back_leave_the_state_before_them() {
    for seed in 10..16 {
        let (states, applied) = random_history(seed, 12);
        let last = states.last().unwrap();
        for (at, before) in states.iter().enumerate() {
            let undone = applied[at..].iter().zip(&states[at..]);
            let accounts = undone.flat_map(|(batch, before)| {
                let touched = replay::touched(&batch.words);
                touched
                    .into_iter()
                    .map(|index| (index, before.account(index).copied()))
            });
            let mut state = last.clone();
            state.put_back(accounts).unwrap();
            assert!(&state == before, "seed {seed}, batch {at}");
            assert_eq!(state.check(), Ok(()));
        }
    }
    let mut state = state(4, &[(1, 0, 5)]);
    let before = state.clone();
    let leaves = 256;
    let error = state.put_back([(1, None), (256, None)]).unwrap_err();
    let index = 256;
    assert_eq!(error, GenesisError::IndexOutOfRange { index, leaves });
    assert!(state == before, "all or nothing");
}

#[test]
fn many_batches_replayed_at_once_are_those_replayed_one_by_one() {
    let (states, applied) = random_history(20, 30);
    let words: Vec<PublicWords> = applied.iter().map(|batch| batch.words.clone()).collect();
    let list = |words: &[PublicWords]| -> Vec<(PublicWords, Shape)> {
        words.iter().map(|words| (words.clone(), SHAPE)).collect()
    };
    let many = |words: &[PublicWords], state: &mut State| {
        let list = list(words);
        let list: Vec<_> = list.iter().map(|(words, shape)| (words, shape)).collect();
        replay_many(&list, state)
    };
    for group in [1, 7, 30] {
        let mut state = states[0].clone();
        let mut replayed = Vec::new();
        for words in words.chunks(group) {
            replayed.extend(many(words, &mut state).unwrap());
        }
        assert!(&state == states.last().unwrap());
        let expected: Vec<_> = applied.iter().map(|batch| batch.payouts.clone()).collect();
        let payouts = replayed.iter().map(|batch| batch.payouts.clone());
        assert_eq!(payouts.collect::<Vec<_>>(), expected);
        for (batch, before) in replayed.into_iter().zip(&states).rev() {
            state.put_back(batch.before).unwrap();
            assert!(&state == before, "the accounts before a batch of {group}");
        }
    }
    assert_eq!(many(&[], &mut states[0].clone()), Ok(Vec::new()));
    let mut found = 0;
    for bad in 0..words.len() {
        let mut words = words.clone();
        // Why: the amount of a payment to oneself moves nothing.
        let moves = |data: &&mut TransferData| {
            data.from != data.to && data.amount.value_u128().is_some_and(|value| value > 2)
        };
        let Some(transfer) = words[bad].transfers.iter_mut().find(moves) else {
            continue;
        };
        let value = u64::try_from(transfer.amount.value_u128().unwrap()).unwrap();
        transfer.amount = amount(value / 2 + 1);
        let mut state = states[0].clone();
        let error = many(&words, &mut state).unwrap_err();
        assert_eq!(error.position, bad, "{error}");
        assert!(state == states[0], "all or nothing");
        found += 1;
    }
    assert!(found > 6, "{found}");
}
