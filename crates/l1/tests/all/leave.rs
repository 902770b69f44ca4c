//! Freeze, exit by Merkle proof and cancelled deposits: each once, to the last unit, and the
//! attacks on them. G1, G2, G3 and E6 are numbers of the project's list of attacks.

use l1::{Cancelled, Exit, NativeL1, Refusal};
use ledger::account::{Account, NONCE_LIMIT};
use ledger::babyjubjub::Point;
use ledger::field::Fr;
use ledger::tree::ProofError;

use crate::fixture::*;

/// The story after its first batch, frozen: Bob's exit was censored. And two deposits wait.
fn frozen_chain() -> Chain {
    let chain = story_chain();
    chain
        .submit_batch(OPERATOR, &story().first.submission, T1)
        .unwrap();
    chain
        .deposit(&deposit_of(CAROL, "carol", 1, 40), T1)
        .unwrap();
    chain.top_up(ALICE, 4, 7, FEE, T1).unwrap();
    freeze(&chain);
    chain
}

/// The latest time that a block can have.
const LAST: u64 = (1 << 40) - 1;

#[test]
fn g1_freeze_needs_an_entry_that_waited_too_long() {
    let chain = chain_with_key(&genesis());
    let refusal = refused(&chain, |l1| l1.freeze(LAST));
    assert!(matches!(refusal, Refusal::QueueEmpty), "{refusal}");
    fill_queue(&chain);
    for now in [0, T0, T0 + FREEZE_AFTER] {
        let refusal = refused(&chain, |l1| l1.freeze(now));
        let Refusal::NotOverdue {
            entry: 0,
            waited,
            freeze_after: FREEZE_AFTER,
        } = refusal
        else {
            panic!("{refusal}");
        };
        assert_eq!(waited, now.saturating_sub(T0));
    }
    // The operator takes the oldest entries; the next one is younger.
    chain.mine(1, T0 + 500).unwrap();
    chain
        .deposit(&deposit_of(CAROL, "carol", 0, 1), T0 + 500)
        .unwrap();
    let Story { first, second, .. } = story();
    chain.submit_batch(OPERATOR, &first.submission, T1).unwrap();
    chain
        .submit_batch(OPERATOR, &second.submission, T2)
        .unwrap();
    let refusal = refused(&chain, |l1| l1.freeze(T0 + 500 + FREEZE_AFTER));
    assert!(matches!(refusal, Refusal::NotOverdue { entry: 3, .. }));
    chain.advance_time(1).unwrap();
    chain.freeze(T0 + 500 + FREEZE_AFTER).unwrap();
    assert!(chain.head().unwrap().frozen);
    // The clock has been a second ahead since the advance.
    let refusal = refused(&chain, |l1| l1.freeze(LAST - 1));
    assert!(matches!(refusal, Refusal::Frozen));
}

#[test]
fn a_frozen_chain_takes_nothing_but_claims_exits_and_cancellations() {
    let mut chain = frozen_chain();
    let batch = &story().second.submission;
    let bad = l1::Deposit {
        fee: FEE + 1,
        ..deposit_of(CAROL, "carol", 9, 1)
    };
    let frozen = |refusal| assert!(matches!(refusal, Refusal::Frozen), "{refusal}");
    frozen(refused(&chain, |l1| l1.submit_batch(OPERATOR, batch, T2)));
    frozen(refused(&chain, |l1| l1.submit_batches(BOB, &[], T2)));
    frozen(refused(&chain, |l1| l1.deposit(&bad, T2)));
    frozen(refused(&chain, |l1| {
        l1.deposit(&deposit_of(CAROL, "carol", 0, 1), T2)
    }));
    frozen(refused(&chain, |l1| l1.deposit_all(&[], T2)));
    frozen(refused(&chain, |l1| l1.top_up(ALICE, 1, 1, FEE, T2)));
    frozen(refused(&chain, |l1| l1.request_exit(ALICE, 1, FEE, T2)));
    let before = picture(&chain);
    let key = setup().key.verifying_key();
    let again = chain.l1.register_key(OPERATOR, TINY.id, key, T2);
    assert!(matches!(again, Err(l1::L1Error::Refused(Refusal::Frozen))));
    assert_eq!(picture(&chain), before);
    assert_eq!(chain.claim(BOB, 0, T2).unwrap(), 1_000);
    assert_eq!(chain.collect_fees(OPERATOR, T2).unwrap(), 5 * FEE);
    let Chain { l1, folder } = chain;
    let before = picture(&l1);
    drop(l1);
    let path = folder.path().join("l1.redb");
    let l1 = NativeL1::open(&path, prover::key::AllowDevKeys::Yes).unwrap();
    assert_eq!(picture(&l1), before);
    assert!(l1.head().unwrap().frozen);
}

/// Everyone leaves: accounts by proof, payers by cancelling, and the escrow is zero.
#[test]
fn g2_everyone_leaves_and_escrow_is_zero_to_the_last_unit() {
    let chain = frozen_chain();
    let state = &story().first.state;
    assert_conserved(&chain, state);
    let mut paid = [0; 2];
    for (index, account) in state.accounts() {
        let amount = chain.exit(&exit_of(state, index), T2).unwrap();
        assert_eq!(amount, account.balance);
        paid[usize::try_from(account.token).unwrap()] += amount;
        assert!(chain.exited(index).unwrap());
        assert_conserved(&chain, state);
    }
    let deposit = Cancelled {
        payer: CAROL,
        token: 1,
        amount: 40,
    };
    assert_eq!(chain.cancel_deposit(3, T2).unwrap(), deposit);
    let top_up = Cancelled {
        payer: ALICE,
        token: 0,
        amount: 7,
    };
    assert_eq!(chain.cancel_deposit(4, T2).unwrap(), top_up);
    assert_conserved(&chain, state);
    assert_eq!(chain.head().unwrap().pending_deposits, 0);
    for (token, paid) in [(0, paid[0] + 1_000 + 7), (1, paid[1] + 40)] {
        let totals = chain.totals(token).unwrap();
        assert_eq!((totals.escrow, totals.claimable), (paid, paid));
    }
    for (owner, token, amount) in chain.claims().unwrap() {
        assert_eq!(chain.claim(owner, token, T2).unwrap(), amount);
    }
    assert_eq!(chain.claims().unwrap(), []);
    for token in [0, 1] {
        assert_eq!(chain.totals(token).unwrap(), l1::TokenTotals::default());
    }
}

#[test]
fn g2_an_exit_credits_the_registered_owner_alone() {
    let chain = frozen_chain();
    let state = &story().first.state;
    chain.exit(&exit_of(state, 4), T2).unwrap();
    assert_eq!(chain.claimable(CAROL, 0).unwrap(), 5_000);
    assert_eq!(chain.claimable(ALICE, 0).unwrap(), 0);
}

#[test]
fn nobody_leaves_before_the_freeze() {
    let chain = story_chain();
    let exit = exit_of(&genesis().state(), 1);
    let refusal = refused(&chain, |l1| l1.exit(&exit, LAST));
    assert!(matches!(refusal, Refusal::NotFrozen));
    let refusal = refused(&chain, |l1| l1.cancel_deposit(0, LAST));
    assert!(matches!(refusal, Refusal::NotFrozen));
}

/// The refusal of an exit that was changed.
fn changed(chain: &Chain, index: u32, change: impl FnOnce(&mut Exit)) -> Refusal {
    let mut exit = exit_of(&story().first.state, index);
    change(&mut exit);
    refused(chain, |l1| l1.exit(&exit, T2))
}

fn wrong_root(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotInTree(ProofError::WrongRoot { .. }))
}

#[test]
fn an_exit_shows_its_own_leaf() {
    let chain = frozen_chain();
    let state = &story().first.state;
    // A neighbour's leaf, with the own path and with the neighbour's path.
    let refusal = changed(&chain, 1, |exit| exit.account = *state.account(2).unwrap());
    assert!(wrong_root(&refusal), "{refusal}");
    let refusal = changed(&chain, 1, |exit| {
        let Exit {
            account, siblings, ..
        } = exit_of(state, 2);
        *exit = Exit {
            index: 1,
            account,
            siblings,
        };
    });
    assert!(wrong_root(&refusal), "{refusal}");
    // The same account under a neighbour's index: another token, or another path.
    let refusal = changed(&chain, 1, |exit| exit.index = 3);
    assert!(matches!(
        refusal,
        Refusal::OtherToken {
            index: 3,
            expected: 1,
            got: 0
        }
    ));
    let refusal = changed(&chain, 1, |exit| exit.index = 2);
    assert!(wrong_root(&refusal), "{refusal}");
    // Changed fields.
    for change in [
        (|account| account.balance += 1) as fn(&mut Account),
        |account| account.balance -= 1,
        |account| account.balance = u128::MAX,
        |account| account.nonce += 1,
        |account| account.nonce = NONCE_LIMIT - 1,
        |account| account.key = wallet("mallory").public_key(),
        |account| std::mem::swap(&mut account.key.x, &mut account.key.y),
        |account| {
            account.key = Point {
                x: Fr::from(0u64),
                y: Fr::from(0u64),
            }
        },
    ] {
        let refusal = changed(&chain, 1, |exit| change(&mut exit.account));
        assert!(wrong_root(&refusal), "{refusal}");
    }
    // A lane has one encoding: another token with a nonce that makes up for it.
    let refusal = changed(&chain, 3, |exit| {
        exit.account.token = 0;
        exit.account.nonce += NONCE_LIMIT;
    });
    assert!(matches!(refusal, Refusal::OtherToken { .. }), "{refusal}");
    let refusal = changed(&chain, 1, |exit| exit.account.nonce += NONCE_LIMIT);
    let got = NONCE_LIMIT + 1;
    assert!(matches!(refusal, Refusal::NonceOutOfRange { got: g, .. } if g == got));
    assert_eq!(chain.exit(&exit_of(state, 1), T2).unwrap(), 999_710);
}

#[test]
fn an_exit_has_one_index_and_one_depth() {
    let chain = frozen_chain();
    let leaves = 256;
    for times in [1, 2, (1 << 24) - 1] {
        let refusal = changed(&chain, 1, |exit| exit.index += times * 256);
        let ProofError::IndexOutOfRange { index, leaves: l } = not_in_tree(refusal) else {
            panic!("an index of {times} times the leaves more");
        };
        assert_eq!((index, l), (1 + times * 256, leaves));
    }
    for levels in [0, 1, 3, 5, 1_000] {
        let refusal = changed(&chain, 1, |exit| {
            exit.siblings.resize(levels, [Fr::from(0u64); 3]);
        });
        let wrong = ProofError::WrongLength {
            expected: 4,
            got: levels,
        };
        assert_eq!(not_in_tree(refusal), wrong);
    }
    for index in [0, 7, 255] {
        let refusal = changed(&chain, 1, |exit| exit.index = index);
        assert!(matches!(refusal, Refusal::Unregistered { index: i } if i == index));
    }
}

fn not_in_tree(refusal: Refusal) -> ProofError {
    match refusal {
        Refusal::NotInTree(error) => error,
        other => panic!("{other}"),
    }
}

/// The children of a node as the fields of an account: its hash is in the tree, a level higher.
#[test]
fn e1_a_node_cannot_pose_as_a_leaf() {
    let chain = frozen_chain();
    let tree = story().first.state.tree();
    let children = [0, 1, 2, 3].map(|at| tree.get(0, at));
    let siblings = story().first.state.prove(1).unwrap().siblings;
    let key = Point {
        x: children[0],
        y: children[1],
    };
    for levels in [siblings[1..].to_vec(), siblings.clone()] {
        let account = Account {
            key,
            token: 0,
            nonce: 0,
            balance: 0,
        };
        let exit = Exit {
            index: 1,
            account,
            siblings: levels,
        };
        let refusal = refused(&chain, |l1| l1.exit(&exit, T2));
        assert!(matches!(refusal, Refusal::NotInTree(_)), "{refusal}");
    }
}

#[test]
fn e5_every_flipped_sibling_is_refused() {
    let chain = frozen_chain();
    for index in [1, 4] {
        for (level, position) in (0..4).flat_map(|level| [0, 1, 2].map(|at| (level, at))) {
            let refusal = changed(&chain, index, |exit| {
                exit.siblings[level][position] += Fr::from(1u64);
            });
            assert!(wrong_root(&refusal), "{refusal}");
        }
    }
    let refusal = changed(&chain, 1, |exit| exit.siblings[0].reverse());
    assert!(wrong_root(&refusal), "{refusal}");
}

#[test]
fn e6_an_exit_under_an_old_root_is_refused() {
    let chain = frozen_chain();
    let old = exit_of(&genesis().state(), 1);
    assert_eq!(old.account.balance, 1_000_000);
    let refusal = refused(&chain, |l1| l1.exit(&old, T2));
    assert!(wrong_root(&refusal), "{refusal}");
    // A root that was never finalized.
    let next = exit_of(&story().second.state, 1);
    let refusal = refused(&chain, |l1| l1.exit(&next, T2));
    assert!(wrong_root(&refusal), "{refusal}");
}

#[test]
fn an_account_exits_once() {
    let chain = frozen_chain();
    let exit = exit_of(&story().first.state, 1);
    let amount = chain.exit(&exit, T2).unwrap();
    chain.claim(ALICE, 0, T2).unwrap();
    let refusal = refused(&chain, |l1| l1.exit(&exit, T2));
    assert!(matches!(refusal, Refusal::AlreadyExited { index: 1, amount: a } if a == amount));
    // Nor with a leaf of nothing.
    let refusal = changed(&chain, 1, |exit| exit.account.balance = 0);
    assert!(matches!(refusal, Refusal::AlreadyExited { .. }));
}

/// What a batch paid out is no longer in the leaf: an exit after it pays what is left.
#[test]
fn d12_a_payout_in_a_batch_is_not_paid_again() {
    let chain = story_chain();
    let Story { first, second, .. } = story();
    let both = [first, second].map(|batch| batch.submission.clone());
    chain.submit_batches(OPERATOR, &both, T2).unwrap();
    let paid = chain.claimable(BOB, 0).unwrap();
    chain.request_exit(BOB, 2, FEE, T2).unwrap();
    freeze(&chain);
    let state = &second.state;
    assert_eq!(chain.exit(&exit_of(state, 2), T2).unwrap(), 0);
    assert_eq!(chain.claimable(BOB, 0).unwrap(), paid);
    let refusal = refused(&chain, |l1| l1.exit(&exit_of(state, 2), T2));
    assert!(matches!(refusal, Refusal::AlreadyExited { amount: 0, .. }));
    // Before the second batch the account had it all: that leaf is of an old root.
    let refusal = refused(&chain, |l1| l1.exit(&exit_of(&first.state, 2), T2));
    assert!(matches!(refusal, Refusal::AlreadyExited { .. }));
    assert_conserved(&chain, state);
}

#[test]
fn g3_a_deposit_is_cancelled_once_by_whoever_asks_for_its_payer() {
    let chain = frozen_chain();
    let cancel = |number| refused(&chain, |l1| l1.cancel_deposit(number, T2));
    for number in [0, 1, 5, u64::MAX] {
        let refusal = cancel(number);
        let Refusal::NotWaiting {
            number: n,
            head: 2,
            tail: 5,
        } = refusal
        else {
            panic!("{refusal}");
        };
        assert_eq!(n, number);
    }
    assert!(matches!(cancel(2), Refusal::NotADeposit { number: 2 }));
    chain.cancel_deposit(4, T2).unwrap();
    assert_eq!(
        chain.claimable(ALICE, 0).unwrap(),
        7,
        "the payer, not the owner"
    );
    assert!(matches!(cancel(4), Refusal::AlreadyCancelled { number: 4 }));
    chain.claim(ALICE, 0, T2).unwrap();
    assert!(matches!(cancel(4), Refusal::AlreadyCancelled { number: 4 }));
    assert!(chain.cancelled(4).unwrap() && !chain.cancelled(3).unwrap());
    assert_conserved(&chain, &story().first.state);
}

#[test]
fn g3_the_index_of_a_cancelled_deposit_stays_without_an_account() {
    let chain = frozen_chain();
    chain.cancel_deposit(3, T2).unwrap();
    let state = &story().first.state;
    let siblings = state.tree().prove(5).unwrap().siblings;
    let key = wallet("carol").public_key();
    for balance in [0, 40] {
        let account = Account::new(key, 1, balance);
        let exit = Exit {
            index: 5,
            account,
            siblings: siblings.clone(),
        };
        let refusal = refused(&chain, |l1| l1.exit(&exit, T2));
        assert!(wrong_root(&refusal), "{refusal}");
    }
}

#[test]
fn g3_deposits_of_nothing_are_cancelled_for_nothing() {
    let chain = chain(&genesis());
    chain
        .deposit(&deposit_of(CAROL, "carol", 0, 0), T0)
        .unwrap();
    freeze(&chain);
    assert_eq!(chain.cancel_deposit(0, T2).unwrap().amount, 0);
    let refusal = refused(&chain, |l1| l1.cancel_deposit(0, T2));
    assert!(matches!(refusal, Refusal::AlreadyCancelled { .. }));
    assert_eq!(chain.claims().unwrap(), []);
    assert_conserved(&chain, &genesis().state());
}
