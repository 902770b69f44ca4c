//! The queue always moves: forced exits, floods, full trees, owners who do nothing or do harm.

use l1::{Genesis, GenesisAccount, Refusal};
use ledger::state::State;
use ledger::transition::Operation;

use crate::fixture::*;

/// Seals, proves and finalizes the next `entries` of the queue with other operations after them.
fn finalize(chain: &Chain, state: &State, entries: usize, others: &[Operation]) -> State {
    let head = chain.head().unwrap();
    let mut ops: Vec<Operation> = chain
        .pending(entries)
        .unwrap()
        .iter()
        .map(|entry| Operation::L1(entry.op))
        .collect();
    assert_eq!(ops.len(), entries);
    ops.extend_from_slice(others);
    let batch = proven(state, chain.domain(), head.next_batch, T1, &ops);
    chain.submit_batch(OPERATOR, &batch.submission, T1).unwrap();
    assert_conserved(chain, &batch.state);
    batch.state
}

/// The account is emptied first; what it gets later in the batch stays or is withdrawn.
#[test]
fn a_forced_exit_of_an_account_whose_balance_moves_in_the_same_batch() {
    let chain = chain_with_key(&genesis());
    chain.request_exit(BOB, 2, FEE, T0).unwrap();
    let domain = chain.domain();
    let others = [
        transfer(&domain, "alice", (1, 2), 300, 0),
        withdraw(&domain, "bob", 2, 100, 0),
    ];
    let state = finalize(&chain, &genesis().state(), 1, &others);
    assert_eq!(chain.claimable(BOB, 0).unwrap(), 500_000 + 100);
    let left = 300 - 100 - 10;
    assert_eq!(state.account(2).unwrap().balance, left);
    // And again: the index has no pending exit any more.
    chain.request_exit(BOB, 2, FEE, T1).unwrap();
    let state = finalize(&chain, &state, 1, &[]);
    assert_eq!(chain.claimable(BOB, 0).unwrap(), 500_000 + 100 + left);
    // An empty account exits with nothing.
    chain.request_exit(BOB, 2, FEE, T1).unwrap();
    finalize(&chain, &state, 1, &[]);
    assert_eq!(chain.claimable(BOB, 0).unwrap(), 500_000 + 100 + left);
}

/// An operator that keeps finalizing, but not the queue, does not escape the freeze.
#[test]
fn g1_a_censored_exit_ends_in_a_freeze() {
    let chain = chain_with_key(&genesis());
    chain.request_exit(BOB, 2, FEE, T0).unwrap();
    let domain = chain.domain();
    let payment = transfer(&domain, "alice", (1, 2), 300, 0);
    let state = finalize(&chain, &genesis().state(), 0, &[payment]);
    let refusal = refused(&chain, |l1| l1.freeze(T0 + FREEZE_AFTER));
    assert!(matches!(refusal, Refusal::NotOverdue { entry: 0, .. }));
    chain.freeze(T0 + FREEZE_AFTER + 1).unwrap();
    let exit = exit_of(&state, 2);
    assert_eq!(chain.exit(&exit, T1).unwrap(), 500_300);
    assert_eq!(chain.claim(BOB, 0, T1).unwrap(), 500_300);
    assert_conserved(&chain, &state);
}

/// Somebody fills the queue with deposits of nothing; exits pass, and batches make room.
#[test]
fn a_flooded_queue_moves_and_exits_are_never_held_up() {
    let chain = chain_with_key(&genesis_with(|parameters| parameters.pending_cap = 2));
    let nothing = deposit_of(CAROL, "carol", 1, 0);
    chain.deposit_all(&[nothing, nothing], T0).unwrap();
    let flooded = |chain: &Chain| {
        let refusal = refused(chain, |l1| l1.deposit(&nothing, T0));
        assert!(matches!(
            refusal,
            Refusal::TooManyPending { pending: 2, cap: 2 }
        ));
    };
    flooded(&chain);
    for (owner, index) in [(BOB, 2), (CAROL, 4), (CAROL, 5)] {
        chain.request_exit(owner, index, FEE, T0).unwrap();
    }
    flooded(&chain);
    let state = finalize(&chain, &genesis().state(), 2, &[]);
    chain.deposit_all(&[nothing, nothing], T1).unwrap();
    flooded(&chain);
    // Bob's exit and that of an account that has nothing, before the new deposits.
    let state = finalize(&chain, &state, 2, &[]);
    assert_eq!(chain.claims().unwrap(), [(BOB, 0, 500_000)]);
    let state = finalize(&chain, &state, 2, &[]);
    finalize(&chain, &state, 1, &[]);
    assert_eq!(chain.pending(9).unwrap(), []);
}

/// 253 accounts of one owner at genesis.
fn crowded() -> Genesis {
    let accounts: Vec<GenesisAccount> = vec![account(ALICE, "alice", 0, 10); 253];
    let mut parameters = parameters();
    parameters.pending_cap = 2;
    Genesis::new(parameters, accounts).unwrap()
}

#[test]
fn one_owner_may_ask_for_all_exits_at_once() {
    let chain = chain(&crowded());
    for index in 1..=253 {
        chain.request_exit(ALICE, index, FEE, T0).unwrap();
    }
    assert_eq!(chain.head().unwrap().queue_tail, 253);
    assert_eq!(chain.head().unwrap().pending_deposits, 0);
}

/// The last two indices are created, refill and exit; a deposit more never enters the queue.
#[test]
fn a_full_tree_keeps_moving() {
    let chain = chain_with_key(&crowded());
    let deposit = deposit_of(CAROL, "carol", 0, 5);
    assert_eq!(chain.deposit_all(&[deposit; 2], T0).unwrap(), [254, 255]);
    let full = |chain: &Chain| {
        let refusal = refused(chain, |l1| l1.deposit(&deposit, T0));
        assert!(matches!(refusal, Refusal::TreeFull { leaves: 256 }));
    };
    full(&chain);
    let state = finalize(&chain, &crowded().state(), 2, &[]);
    full(&chain);
    chain.top_up(ALICE, 255, 3, FEE, T1).unwrap();
    chain.request_exit(CAROL, 255, FEE, T1).unwrap();
    let state = finalize(&chain, &state, 2, &[]);
    assert_eq!(chain.claims().unwrap(), [(CAROL, 0, 8)]);
    // An emptied account keeps its index.
    full(&chain);
    assert_eq!(state.account(255).unwrap().balance, 0);
}

/// Payouts are pulled: an owner that never claims holds nobody up, and loses nothing.
#[test]
fn g6_an_owner_that_never_claims_holds_nobody_up() {
    let chain = chain_with_key(&genesis());
    chain.request_exit(BOB, 2, FEE, T0).unwrap();
    chain.request_exit(ALICE, 1, FEE, T0).unwrap();
    let state = finalize(&chain, &genesis().state(), 2, &[]);
    assert_eq!(chain.claim(ALICE, 0, T1).unwrap(), 1_000_000);
    chain.top_up(ALICE, 2, 5, FEE, T1).unwrap();
    chain.request_exit(BOB, 2, FEE, T1).unwrap();
    finalize(&chain, &state, 2, &[]);
    assert_eq!(chain.claims().unwrap(), [(BOB, 0, 500_005)]);
}
