//! Attacks on money going in and out of the deployed bytecode: tokens that lie, receivers that call
//! back, floods, reorgs; and the escrow after long random sequences of calls. Names begin with the
//! attack's number in the project's list (docs/soundness.md).

use std::collections::BTreeMap;

use circuits::shapes::by_name;
use evm::chain::{CallError, Chain};
use evm::rollup::{u128_of, words};
use evm::sample::{self, OPERATOR, Sealed, World, address, deposit, transfer, withdraw};
use l1::Address;
use l1::evm::abi::{self, call, uint};
use l1::evm::artifacts::Artifact;
use l1::evm::calldata::{MAX_GAS, encode_batch, gas_bound, gas_limit};
use ledger::babyjubjub::Point;
use ledger::field::{Fr, to_be_bytes};
use ledger::shape::Shape;
use num_bigint::BigUint;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::attacks::refused;

const FEE: u128 = 1_000;

/// `HostileToken.Mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Plain,
    Fee,
    False,
    Silent,
    Reenter,
    Burn,
    Hooks,
    Overdraw,
    Bomb,
    Two,
    Inflate,
    Shrink,
    Revert,
    More,
}

/// `Actor.Mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Accept,
    Reject,
    Burn,
    Reenter,
}

fn tiny() -> Shape {
    by_name("tiny").unwrap()
}

fn artifact(name: &'static str, json: &'static str) -> Vec<u8> {
    Artifact { name, json }.bytecode()
}

/// A contract that calls what it is told.
pub fn actor(chain: &mut Chain) -> Address {
    let code = artifact(
        "Actor",
        include_str!("../../../l1/contracts/artifacts/Actor.json"),
    );
    chain.deploy(&OPERATOR, code).unwrap().0
}

fn hostile(chain: &mut Chain) -> Address {
    let json = include_str!("../../../l1/contracts/artifacts/HostileToken.json");
    chain
        .deploy(&OPERATOR, artifact("HostileToken", json))
        .unwrap()
        .0
}

/// Words, then a byte string as the last argument.
fn with_bytes(signature: &str, words: &[[u8; 32]], bytes: &[u8]) -> Vec<u8> {
    let at = u128::try_from(32 * (words.len() + 1)).unwrap();
    let mut data = call(signature, words);
    data.extend(uint(at));
    data.extend(uint(u128::try_from(bytes.len()).unwrap()));
    data.extend(bytes);
    data.resize(data.len().next_multiple_of(32) + 4, 0);
    data
}

/// `Actor.run`.
pub fn run(to: &Address, wei: u128, data: &[u8]) -> Vec<u8> {
    with_bytes(
        "run(address,uint256,bytes)",
        &[abi::address(to), uint(wei)],
        data,
    )
}

fn set(chain: &mut Chain, of: &Address, mode: u8, target: &Address, payload: &[u8]) {
    let data = with_bytes(
        "set(uint8,address,bytes)",
        &[uint(mode.into()), abi::address(target)],
        payload,
    );
    chain.call(&OPERATOR, of, 0, data).unwrap();
}

fn mint(chain: &mut Chain, token: &Address, to: &Address, amount: u128) {
    let data = call("mint(address,uint256)", &[abi::address(to), uint(amount)]);
    chain.call(&OPERATOR, token, 0, data).unwrap();
}

fn held(chain: &mut Chain, token: &Address, of: &Address) -> u128 {
    let output = chain
        .view(token, call("balanceOf(address)", &[abi::address(of)]))
        .unwrap();
    let [balance] = words(&output);
    u128_of(&balance)
}

/// A world with a hostile token as token 1, of which the first actors have a lot.
fn with_token() -> (World, Address) {
    let mut world = World::new(&[tiny()], FEE);
    let token = hostile(&mut world.chain);
    let add = abi::add_token(&token);
    world
        .rollup
        .send(&mut world.chain, &address(1), 0, add)
        .unwrap();
    for who in 1..=5 {
        mint(&mut world.chain, &token, &address(who), 1 << 80);
    }
    (world, token)
}

fn put(world: &mut World, who: u8, token: u32, amount: u128) -> Result<u64, CallError> {
    let deposit = deposit(address(who), world.next_index(), token, amount, FEE);
    let receipt = world.rollup.deposit(&mut world.chain, &deposit);
    receipt.map(|receipt| receipt.gas)
}

#[test]
fn g9_what_is_credited_is_what_arrived() {
    let (mut world, token) = with_token();
    let rollup = world.rollup.address;
    let cases = [
        (Token::Plain, Some(1_000)),
        (Token::Fee, Some(900)),
        (Token::More, Some(1_001)),
        (Token::Silent, Some(1_000)),
        (Token::Bomb, Some(1_000)),
        (Token::Hooks, Some(1_000)),
        (Token::False, None),
        (Token::Two, None),
        (Token::Revert, None),
        (Token::Inflate, None),
        (Token::Shrink, None),
        (Token::Burn, None),
    ];
    let start = world.chain.snapshot();
    for (mode, credited) in cases {
        world.chain.restore(&start);
        assert!(put(&mut world, 1, 1, 5_000).is_ok());
        set(&mut world.chain, &token, mode as u8, &rollup, &[]);
        let result = put(&mut world, 1, 1, 1_000);
        let totals = world.rollup.totals(&mut world.chain, 1);
        assert_eq!(result.is_ok(), credited.is_some(), "{mode:?}: {result:?}");
        assert_eq!(totals.pending, 5_000 + credited.unwrap_or(0), "{mode:?}");
        set(&mut world.chain, &token, 0, &rollup, &[]);
        assert_eq!(
            held(&mut world.chain, &token, &rollup),
            totals.escrow,
            "{mode:?}"
        );
    }
    // Nothing arrives: a top-up is refused, a deposit opens an empty account.
    world.chain.restore(&start);
    put(&mut world, 1, 1, 0).unwrap();
    refused(
        world
            .rollup
            .top_up(&mut world.chain, &address(1), (1, 1), 0, FEE),
        "ZeroTopUp()",
    );
}

/// Claims of a token by two owners in one world, ready to be paid.
fn claims(mode: Token) -> (World, Address, Result<evm::chain::Receipt, CallError>) {
    let (mut world, token) = with_token();
    for who in [1, 2] {
        world.deposit(address(who), 1, 1_000);
    }
    world.deposit(address(3), 1, 9_000);
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit(&tiny(), batch);
    let domain = world.domain();
    let ops = [
        withdraw(&domain, 1, 1, (1, 400, 0), 0),
        withdraw(&domain, 2, 2, (1, 300, 0), 0),
    ];
    let batch = world.seal(&tiny(), 1, &ops);
    world.submit(&tiny(), batch);
    let rollup = world.rollup.address;
    let payload = abi::claim(1, &address(1));
    set(&mut world.chain, &token, mode as u8, &rollup, &payload);
    let result = world.rollup.claim(&mut world.chain, &address(1), 1);
    (world, token, result)
}

#[test]
fn g6_g9_a_claim_pays_once_and_never_more() {
    for (mode, paid) in [
        (Token::Plain, true),
        (Token::Fee, true),
        (Token::More, true),
        (Token::Silent, true),
        (Token::Bomb, true),
        (Token::Hooks, true),
        (Token::False, false),
        (Token::Two, false),
        (Token::Revert, false),
        (Token::Overdraw, false),
        (Token::Burn, false),
        (Token::Reenter, false),
        (Token::Shrink, false),
    ] {
        let (mut world, token, result) = claims(mode);
        assert_eq!(result.is_ok(), paid, "{mode:?}: {result:?}");
        let rollup = world.rollup.address;
        let left = world.rollup.claimable(&mut world.chain, &address(1), 1);
        assert_eq!(left, if paid { 0 } else { 400 }, "{mode:?}");
        // The other owner is paid all the same once the token behaves.
        set(&mut world.chain, &token, 0, &rollup, &[]);
        world
            .rollup
            .claim(&mut world.chain, &address(2), 1)
            .unwrap();
        let escrow = world.rollup.totals(&mut world.chain, 1).escrow;
        assert_eq!(escrow, held(&mut world.chain, &token, &rollup), "{mode:?}");
    }
}

#[test]
fn g6_a_token_that_calls_back_meets_the_lock() {
    let (mut world, token) = with_token();
    let rollup = world.rollup.address;
    put(&mut world, 1, 1, 1_000).unwrap();
    let good = deposit(address(1), 9, 1, 0, FEE);
    let entry = l1::evm::calldata::Entry {
        op: ledger::operation::L1Op::TopUp {
            index: 1,
            token: 1,
            amount: 1,
        },
        payer: address(1),
        time: 1,
    };
    let exit = l1::Exit {
        index: 1,
        account: ledger::account::Account::new(good.key, 1, 0),
        siblings: Vec::new(),
    };
    for payload in [
        abi::deposit(1, 0, &good.key, &good.q),
        abi::top_up(1, 1),
        abi::request_exit(1),
        abi::claim(1, &address(1)),
        abi::collect_fees(&address(1)),
        abi::add_token(&address(1)),
        abi::freeze(),
        abi::cancel_deposit(0, &entry),
        abi::exit(&exit),
        l1::evm::abi::selector("submitBatch()").to_vec(),
    ] {
        set(
            &mut world.chain,
            &token,
            Token::Reenter as u8,
            &rollup,
            &payload,
        );
        assert!(put(&mut world, 1, 1, 10).is_err());
    }
    // Views answer.
    set(
        &mut world.chain,
        &token,
        Token::Reenter as u8,
        &rollup,
        &call("root()", &[]),
    );
    put(&mut world, 1, 1, 10).unwrap();
    assert_eq!(world.rollup.totals(&mut world.chain, 1).pending, 1_010);
}

/// An actor that owns account 1 with 1,000 wei, of which 600 are claimable; account 2 likewise
/// belongs to an ordinary address.
fn owned_by_an_actor() -> (World, Address) {
    let mut world = World::new(&[tiny()], FEE);
    let owner = actor(&mut world.chain);
    let rollup = world.rollup.address;
    let opened = deposit(owner, 1, 0, 1_000, FEE);
    let data = run(
        &rollup,
        1_000 + FEE,
        &abi::deposit(0, 1_000, &opened.key, &opened.q),
    );
    world
        .chain
        .call(&address(3), &owner, 1_000 + FEE, data)
        .unwrap();
    world.queue.push(l1::evm::calldata::Entry {
        op: ledger::operation::L1Op::Create {
            index: 1,
            token: 0,
            amount: 1_000,
            key: opened.key,
        },
        payer: owner,
        time: world.chain.time(),
    });
    world.deposit(address(2), 0, 1_000);
    let domain = world.domain();
    let ops = [
        withdraw(&domain, 1, 1, (0, 600, 0), 0),
        withdraw(&domain, 2, 2, (0, 600, 0), 0),
    ];
    let batch = world.seal(&tiny(), 2, &ops);
    world.submit(&tiny(), batch);
    (world, owner)
}

#[test]
fn g6_receivers_that_reject_burn_or_call_back_harm_nobody_else() {
    for (reaction, paid) in [
        (Reaction::Accept, true),
        (Reaction::Reject, false),
        (Reaction::Burn, false),
        (Reaction::Reenter, true),
    ] {
        let (mut world, owner) = owned_by_an_actor();
        let rollup = world.rollup.address;
        let before = world.chain.balance(&rollup);
        let claim = abi::claim(0, &owner);
        set(&mut world.chain, &owner, reaction as u8, &rollup, &claim);
        let data = run(&rollup, 0, &claim);
        let result = world.chain.call(&address(3), &owner, 0, data);
        assert_eq!(result.is_ok(), paid, "{reaction:?}");
        let taken = if paid { 600 } else { 0 };
        assert_eq!(world.chain.balance(&owner), taken, "{reaction:?}");
        assert_eq!(world.chain.balance(&rollup), before - taken, "{reaction:?}");
        if reaction == Reaction::Reenter {
            let [failed] = words(&world.chain.view(&owner, call("failed()", &[])).unwrap());
            let [succeeded] = words(&world.chain.view(&owner, call("succeeded()", &[])).unwrap());
            assert_eq!((u128_of(&failed), u128_of(&succeeded)), (1, 0));
        }
        world
            .rollup
            .claim(&mut world.chain, &address(2), 0)
            .unwrap();
        // A claim may go elsewhere.
        if !paid {
            let data = run(&rollup, 0, &abi::claim(0, &address(7)));
            let before = world.chain.balance(&address(7));
            world.chain.call(&address(3), &owner, 0, data).unwrap();
            assert_eq!(world.chain.balance(&address(7)), before + 600);
        }
        assert_eq!(world.rollup.totals(&mut world.chain, 0).claimable, 0);
    }
}

#[test]
fn g3_keys_that_are_not_of_the_prime_subgroup_do_not_enter() {
    let mut world = World::new(&[tiny()], FEE);
    let good = deposit(address(1), 1, 0, 5, FEE);
    let identity = Point::identity();
    let order_two = Point {
        x: Fr::from(0u64),
        y: -Fr::from(1u64),
    };
    let mut off = good.q;
    off.x += Fr::from(1u64);
    let torsion = good.key.add(&order_two);
    for (key, q) in [
        (identity, identity),
        (identity, order_two),
        (order_two, order_two),
        (order_two, good.q),
        (torsion, good.q),
        (good.key, off),
        (good.key, good.key),
        (good.key.neg(), good.q),
        (
            Point {
                x: Fr::from(0u64),
                y: Fr::from(0u64),
            },
            Point {
                x: Fr::from(0u64),
                y: Fr::from(0u64),
            },
        ),
    ] {
        let data = abi::deposit(0, 5, &key, &q);
        refused(
            world
                .rollup
                .send(&mut world.chain, &address(1), FEE + 5, data),
            "BadKey()",
        );
    }
    // 8Q is in the subgroup whatever torsion Q has.
    let data = abi::deposit(0, 5, &good.key, &good.q.add(&order_two));
    world
        .rollup
        .send(&mut world.chain, &address(1), FEE + 5, data)
        .unwrap();
    let data = abi::deposit(0, 5, &good.key, &good.q);
    for coordinate in 2..6 {
        let at = 4 + 32 * coordinate;
        let value = BigUint::from_bytes_be(&data[at..at + 32]);
        let r = BigUint::from(<Fr as ark_ff::PrimeField>::MODULUS);
        let mut aliased = data.clone();
        let bytes = (value + r).to_bytes_be();
        aliased[at..at + 32].fill(0);
        aliased[at + 32 - bytes.len()..at + 32].copy_from_slice(&bytes);
        refused(
            world
                .rollup
                .send(&mut world.chain, &address(1), FEE + 5, aliased),
            "BadKey()",
        );
    }
    world
        .rollup
        .send(&mut world.chain, &address(1), FEE + 5, data)
        .unwrap();
}

#[test]
fn g3_amounts_payments_and_places_at_the_edges() {
    let (mut world, token) = with_token();
    put(&mut world, 1, 0, 0).unwrap();
    refused(put(&mut world, 1, 2, 5), "UnknownToken(uint32)");
    refused(put(&mut world, 1, u32::MAX, 5), "UnknownToken(uint32)");
    let good = deposit(address(1), 2, 0, 5, FEE);
    for wei in [0, FEE, FEE + 4, FEE + 6] {
        let data = abi::deposit(0, 5, &good.key, &good.q);
        refused(
            world.rollup.send(&mut world.chain, &address(1), wei, data),
            "WrongPayment(uint256,uint256)",
        );
    }
    refused(
        world
            .rollup
            .request_exit(&mut world.chain, &address(1), 1, FEE + 1),
        "WrongPayment(uint256,uint256)",
    );
    refused(
        world
            .rollup
            .request_exit(&mut world.chain, &address(2), 1, FEE),
        "NotOwner(uint32)",
    );
    refused(
        world
            .rollup
            .request_exit(&mut world.chain, &address(1), 2, FEE),
        "Unregistered(uint32)",
    );
    refused(
        world
            .rollup
            .request_exit(&mut world.chain, &address(1), 0, FEE),
        "Unregistered(uint32)",
    );
    refused(
        world
            .rollup
            .top_up(&mut world.chain, &address(1), (9, 0), 5, FEE),
        "Unregistered(uint32)",
    );
    world
        .rollup
        .request_exit(&mut world.chain, &address(1), 1, FEE)
        .unwrap();
    refused(
        world
            .rollup
            .request_exit(&mut world.chain, &address(1), 1, FEE),
        "ExitIsPending(uint32)",
    );
    // The escrow of a token stays below 2^128.
    mint(&mut world.chain, &token, &address(6), u128::MAX);
    put(&mut world, 6, 1, u128::MAX).unwrap();
    refused(put(&mut world, 1, 1, 1), "EscrowFull(uint32)");
    put(&mut world, 1, 1, 0).unwrap();
    let rollup = world.rollup.address;
    assert_eq!(held(&mut world.chain, &token, &rollup), u128::MAX);
    // Tokens are contracts and have one id.
    for (erc20, error) in [
        (token, "TokenKnown(address)"),
        (address(1), "NotAToken(address)"),
    ] {
        let data = abi::add_token(&erc20);
        refused(
            world.rollup.send(&mut world.chain, &address(1), 0, data),
            error,
        );
    }
}

#[test]
fn g_floods_are_bounded_and_exits_always_enter() {
    let config = abi::Config {
        pending_cap: 3,
        ..sample::config(4, FEE)
    };
    let mut world = World::with(config, &[tiny()]);
    for who in 1..=3 {
        world.deposit(address(who), 0, 10);
    }
    refused(put(&mut world, 4, 0, 10), "TooManyPending(uint40)");
    refused(
        world
            .rollup
            .top_up(&mut world.chain, &address(1), (1, 0), 5, FEE),
        "TooManyPending(uint40)",
    );
    for index in 1..=3 {
        world.request_exit(index);
    }
    let batch = world.seal(&tiny(), 2, &[]);
    world.submit(&tiny(), batch);
    put(&mut world, 4, 0, 10).unwrap();
}

#[test]
fn g_a_full_tree_takes_no_deposit() {
    let shape = Shape {
        id: 9,
        depth: 1,
        cached_levels: 0,
        ..tiny()
    };
    let mut world = World::with(sample::config(1, FEE), &[shape]);
    for who in 1..=3 {
        world.deposit(address(who), 0, 10);
    }
    refused(put(&mut world, 4, 0, 10), "TreeFull()");
    world.request_exit(3);
}

#[test]
fn g4_g5_reorgs_of_deposits_and_batches() {
    let mut world = World::new(&[tiny()], FEE);
    world.deposit(address(1), 0, 1_000);
    let before_deposit = world.chain.snapshot();
    world.deposit(address(2), 0, 500);
    let sealed = world.seal(&tiny(), 2, &[]);
    let data = encode_batch(&sealed.submission, &tiny(), &sealed.entries).unwrap();
    // The deposit is dropped and another takes its place: the batch that spent it is refused.
    let with_deposit = world.chain.snapshot();
    world.chain.restore(&before_deposit);
    let rollup = world.rollup.address;
    refused(
        world.chain.call(&OPERATOR, &rollup, 0, data.clone()),
        "QueueTooShort(uint40)",
    );
    put(&mut world, 3, 0, 500).unwrap();
    refused(
        world.chain.call(&OPERATOR, &rollup, 0, data.clone()),
        "NotTheQueueEntry(uint40)",
    );
    // The batch is dropped: it can be sent again, once.
    world.chain.restore(&with_deposit);
    world
        .chain
        .call(&OPERATOR, &rollup, 0, data.clone())
        .unwrap();
    world.chain.restore(&with_deposit);
    world
        .chain
        .call(&OPERATOR, &rollup, 0, data.clone())
        .unwrap();
    refused(
        world.chain.call(&OPERATOR, &rollup, 0, data),
        "WrongBatchNumber(uint40,uint40)",
    );
    assert_eq!(world.rollup.totals(&mut world.chain, 0).balances(), 1_500);
}

#[test]
fn g_freeze_needs_an_entry_that_waited_too_long() {
    let mut world = World::new(&[tiny()], FEE);
    let (anyone, week) = (address(9), 7 * 86_400);
    world.deposit(address(1), 0, 10);
    let start = world.chain.time();
    world.chain.set_time(start + 100);
    world.deposit(address(2), 0, 10);
    let oldest = world.queue[0];
    world.chain.set_time(start + week);
    refused(
        world.rollup.freeze(&mut world.chain, &anyone),
        "NotOverdue(uint256)",
    );
    refused(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &anyone, 0, &oldest),
        "NotFrozen()",
    );
    world.chain.set_time(start + week + 1);
    let batch = world.seal(&tiny(), 2, &[]);
    let snapshot = world.chain.snapshot();
    world.rollup.freeze(&mut world.chain, &anyone).unwrap();
    let data = encode_batch(&batch.submission, &tiny(), &batch.entries).unwrap();
    refused(
        world.rollup.send(&mut world.chain, &OPERATOR, 0, data),
        "IsFrozen()",
    );
    refused(put(&mut world, 3, 0, 5), "IsFrozen()");
    refused(world.rollup.freeze(&mut world.chain, &anyone), "IsFrozen()");
    // A cancelled entry is one that waits, as it was queued, and a deposit.
    refused(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &anyone, 1, &oldest),
        "NotWaiting(uint40)",
    );
    refused(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &anyone, 7, &oldest),
        "NotWaiting(uint40)",
    );
    let richer = l1::evm::calldata::Entry {
        op: ledger::operation::L1Op::TopUp {
            index: 1,
            token: 0,
            amount: 1 << 90,
        },
        ..oldest
    };
    refused(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &anyone, 0, &richer),
        "NotWaiting(uint40)",
    );
    world
        .rollup
        .cancel_deposit(&mut world.chain, &anyone, 0, &oldest)
        .unwrap();
    refused(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &anyone, 0, &oldest),
        "NotWaiting(uint40)",
    );
    // In time, the batch goes through and nothing is left to freeze.
    world.chain.restore(&snapshot);
    world.submit(&tiny(), batch);
    refused(
        world.rollup.freeze(&mut world.chain, &anyone),
        "QueueEmpty()",
    );
}

#[test]
fn g_a_waiting_exit_is_not_cancelled() {
    let mut world = World::new(&[tiny()], FEE);
    world.deposit(address(1), 0, 10);
    let batch = world.seal(&tiny(), 1, &[]);
    world.submit(&tiny(), batch);
    world.request_exit(1);
    let exit = world.queue[1];
    let later = world.chain.time() + 7 * 86_400 + 1;
    world.chain.set_time(later);
    world.rollup.freeze(&mut world.chain, &address(9)).unwrap();
    refused(
        world
            .rollup
            .cancel_deposit(&mut world.chain, &address(1), 1, &exit),
        "NothingToCancel(uint40)",
    );
}

#[test]
fn g_ether_that_is_forced_in_is_nobodys() {
    let mut world = World::new(&[tiny()], FEE);
    world.deposit(address(1), 0, 10);
    let rollup = world.rollup.address;
    assert!(
        world
            .chain
            .call(&address(2), &rollup, 5, Vec::new())
            .is_err()
    );
    let json = include_str!("../../../l1/contracts/artifacts/Force.json");
    let mut code = artifact("Force", json);
    code.extend(abi::address(&rollup));
    world
        .chain
        .deploy_with(&address(2), 1_000_000, code)
        .unwrap();
    assert_eq!(world.chain.balance(&rollup), 10 + FEE + 1_000_000);
    assert_eq!(world.rollup.totals(&mut world.chain, 0).escrow, 10);
    assert_eq!(world.rollup.operator_fees(&mut world.chain), FEE);
}

/// A batch with every exit and withdrawal of another owner and another token: each makes two new slots.
fn dearest(shape: Shape) -> (usize, Sealed, World) {
    let mut world = World::new(&[shape], FEE);
    let (entries, drawn) = (u32::from(shape.l1_ops), u32::from(shape.withdrawals));
    let code = artifact(
        "HostileToken",
        include_str!("../../../l1/contracts/artifacts/HostileToken.json"),
    );
    let owner = |number: u32| {
        let mut bytes = [0xab; 20];
        bytes[16..].copy_from_slice(&number.to_be_bytes());
        l1::bytes::Bytes(bytes)
    };
    for number in 1..=entries + drawn {
        let (token, _) = world.chain.deploy(&OPERATOR, code.clone()).unwrap();
        let add = abi::add_token(&token);
        world
            .rollup
            .send(&mut world.chain, &OPERATOR, 0, add)
            .unwrap();
        mint(&mut world.chain, &token, &owner(number), 1 << 60);
        world.chain.fund(&owner(number), 1 << 60);
        world.deposit(owner(number), number, 1_000);
    }
    for taken in [shape.l1_ops, shape.withdrawals] {
        let batch = world.seal(&shape, taken.into(), &[]);
        world.submit(&shape, batch);
    }
    for index in 1..=entries {
        world.request_exit(index);
    }
    let domain = world.domain();
    let operations: Vec<_> = (entries + 1..=entries + drawn)
        .map(|index| withdraw(&domain, index, index, (index, 10, 0), 0))
        .collect();
    let batch = world.seal(&shape, shape.l1_ops.into(), &operations);
    (usize::from(shape.l1_ops + shape.withdrawals), batch, world)
}

#[test]
fn g8_the_dearest_batches_stay_below_the_limit_of_a_transaction() {
    for name in ["m18", "m20", "m22", "q18"] {
        let shape = by_name(name).unwrap();
        let (credits, batch, mut world) = dearest(shape);
        let bytes = encode_batch(&batch.submission, &shape, &batch.entries).unwrap();
        let bound = gas_bound(credits, bytes.len());
        let receipt = world.submit(&shape, batch);
        println!(
            "the dearest batch of {name}: {} gas, limit {}, bound {bound}",
            receipt.gas, receipt.limit
        );
        assert!(receipt.limit <= bound, "{} > {bound}", receipt.limit);
        assert!(bound <= MAX_GAS, "{name}: {bound}");
    }
}

/// What a deposit and a top-up of a token take before refunds; nothing happens.
fn limits(world: &mut World, token: u32, account: u32) -> [u64; 2] {
    let (before, payer) = (world.chain.snapshot(), address(1));
    let deposit = deposit(payer, 99, token, 100, FEE);
    let made = world.rollup.deposit(&mut world.chain, &deposit);
    let made = made.unwrap().limit;
    world.chain.restore(&before);
    let added = (world.rollup).top_up(&mut world.chain, &payer, (account, token), 100, FEE);
    let added = added.unwrap().limit;
    world.chain.restore(&before);
    [made, added]
}

/// A node estimates a call while others have money in its token; before its block they take all of it, and
/// the call fills slots that are empty now.
#[test]
fn g8_whatever_others_take_before_it_a_call_has_enough_gas() {
    let mut world = World::new(&[tiny()], FEE);
    let json = include_str!("../../../l1/contracts/artifacts/PlainToken.json");
    let code = artifact("PlainToken", json);
    let (erc20, _) = world.chain.deploy(&OPERATOR, code).unwrap();
    let add = abi::add_token(&erc20);
    (world.rollup)
        .send(&mut world.chain, &OPERATOR, 0, add)
        .unwrap();
    let rollup = world.rollup.address;
    for who in [1, 2] {
        mint(&mut world.chain, &erc20, &address(who), 1 << 80);
        let approve = call(
            "approve(address,uint256)",
            &[abi::address(&rollup), uint(1 << 80)],
        );
        (world.chain)
            .call(&address(who), &erc20, 0, approve)
            .unwrap();
    }
    for token in [0, 1] {
        let (account, _) = world.deposit(address(1), token, 0);
        let (others, _) = world.deposit(address(2), token, 1_000);
        let batch = world.seal(&tiny(), 2, &[]);
        world.submit(&tiny(), batch);
        let estimated = limits(&mut world, token, account);
        world.request_exit(others);
        let batch = world.seal(&tiny(), 1, &[]);
        world.submit(&tiny(), batch);
        (world.rollup)
            .claim(&mut world.chain, &address(2), token)
            .unwrap();
        assert_eq!(world.rollup.totals(&mut world.chain, token).escrow, 0);
        let needed = limits(&mut world, token, account);
        for (estimated, needed) in estimated.into_iter().zip(needed) {
            let limit = gas_limit(estimated, 0);
            println!("token {token}: {estimated} estimated, {needed} needed, {limit} asked for");
            assert!(needed >= estimated + 17_100, "others make it dearer");
            assert!(needed <= limit, "{needed} > {limit}");
        }
    }
}

/// The contract's own money covers what it owes, for ETH exactly.
fn solvent(world: &mut World, tokens: &[Address], forced: u128) {
    let rollup = world.rollup.address;
    let eth = world.rollup.totals(&mut world.chain, 0).escrow;
    let fees = world.rollup.operator_fees(&mut world.chain);
    assert_eq!(world.chain.balance(&rollup), eth + fees + forced);
    for (id, token) in (1..).zip(tokens) {
        let escrow = world.rollup.totals(&mut world.chain, id).escrow;
        let owned = held(&mut world.chain, token, &rollup);
        assert!(owned >= escrow, "token {id}: {owned} of {escrow}");
    }
}

#[test]
fn g_escrow_covers_balances_claims_and_pending_through_long_random_sequences() {
    for seed in 0..4 {
        let mut rng = ChaCha20Rng::seed_from_u64(1_000 + seed);
        let mut world = World::new(&[tiny()], FEE);
        let rollup = world.rollup.address;
        let tokens: Vec<Address> = (0..3).map(|_| hostile(&mut world.chain)).collect();
        for token in &tokens {
            let add = abi::add_token(token);
            world
                .rollup
                .send(&mut world.chain, &OPERATOR, 0, add)
                .unwrap();
            for who in 1..=5 {
                mint(&mut world.chain, token, &address(who), 1 << 90);
            }
        }
        let modes = [
            Token::Plain,
            Token::Plain,
            Token::Fee,
            Token::False,
            Token::Silent,
            Token::Reenter,
            Token::Overdraw,
            Token::Bomb,
            Token::Revert,
        ];
        let mut batches = 0;
        for _ in 0..150 {
            let who = rng.gen_range(1..=5);
            match rng.gen_range(0..8) {
                0 => {
                    let payload = abi::claim(rng.gen_range(0..4), &address(who));
                    let mode = *modes.choose(&mut rng).unwrap() as u8;
                    set(
                        &mut world.chain,
                        tokens.choose(&mut rng).unwrap(),
                        mode,
                        &rollup,
                        &payload,
                    );
                }
                1 | 2 => put_and_note(
                    &mut world,
                    who,
                    rng.gen_range(0..4),
                    rng.gen_range(0..1_000),
                ),
                3 => {
                    let next = world.next_index();
                    if next > 1 {
                        let index = rng.gen_range(1..next);
                        let owner = world.rollup.account(&mut world.chain, index);
                        if !owner.exit_pending {
                            world.request_exit(index);
                        }
                    }
                }
                4 | 5 => {
                    for token in 0..4 {
                        let claimed = world.rollup.claim(&mut world.chain, &address(who), token);
                        if let Err(CallError::Invalid(error)) = claimed {
                            panic!("{error}");
                        }
                    }
                }
                _ => {
                    let waiting = (world.queue.len() - world.consumed).min(2);
                    let exiting = |index: u32| {
                        world.queue[world.consumed..world.consumed + waiting]
                            .iter()
                            .any(|entry| entry.op.index() == index)
                    };
                    let domain = world.domain();
                    let mut ops = Vec::new();
                    for (index, account) in world
                        .state
                        .accounts()
                        .filter(|(index, _)| !exiting(*index))
                        .take(2)
                    {
                        let amount = account.balance / 3;
                        ops.push(withdraw(
                            &domain,
                            index,
                            index,
                            (account.token, amount, 0),
                            account.nonce,
                        ));
                    }
                    let first = world.state.accounts().find(|(index, account)| {
                        !exiting(*index) && account.balance > 3 && ops.is_empty()
                    });
                    if let Some((index, account)) = first {
                        ops.insert(
                            0,
                            transfer(
                                &domain,
                                index,
                                (index, index),
                                (account.token, 1, 0),
                                account.nonce,
                            ),
                        );
                    }
                    let batch = world.seal(&tiny(), waiting, &ops);
                    world.submit(&tiny(), batch);
                    batches += 1;
                }
            }
            solvent(&mut world, &tokens, 0);
            let mut sums: BTreeMap<u32, u128> = BTreeMap::new();
            for (_, account) in world.state.accounts() {
                *sums.entry(account.token).or_default() += account.balance;
            }
            for token in 0..4 {
                let totals = world.rollup.totals(&mut world.chain, token);
                assert_eq!(totals.balances(), sums.get(&token).copied().unwrap_or(0));
                let claims: u128 = (1..=5)
                    .map(|who| {
                        world
                            .rollup
                            .claimable(&mut world.chain, &address(who), token)
                    })
                    .sum();
                assert_eq!(totals.claimable, claims);
                let waiting = world.queue[world.consumed..].iter();
                let pending: u128 = waiting
                    .filter(|entry| entry.op.token() == token)
                    .map(|entry| entry.op.amount())
                    .sum();
                assert_eq!(totals.pending, pending);
            }
        }
        assert!(batches > 10);
        assert_eq!(
            to_be_bytes(&world.rollup.state(&mut world.chain).root),
            world.root()
        );
    }
}

/// Deposits, and notes the entry with the amount that arrived if it was accepted.
fn put_and_note(world: &mut World, who: u8, token: u32, amount: u128) {
    let before = world.rollup.totals(&mut world.chain, token).pending;
    let index = world.next_index();
    let wanted = deposit(address(who), index, token, amount, FEE);
    if world.rollup.deposit(&mut world.chain, &wanted).is_ok() {
        let arrived = world.rollup.totals(&mut world.chain, token).pending - before;
        world.queue.push(l1::evm::calldata::Entry {
            op: ledger::operation::L1Op::Create {
                index,
                token,
                amount: arrived,
                key: wanted.key,
            },
            payer: address(who),
            time: world.chain.time(),
        });
    }
}
