//! The mirror against a node in memory that lies, lags, reorganizes, and a program that is killed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use l1::NativeL1;
use prover::key::AllowDevKeys;
use tempfile::TempDir;

use super::bookkeeping::Mirror;
use super::checkpoints::{Checkpoints, checkpoints_file};
use super::create::create_mirror;
use super::follow::GROUP;
use crate::contract::ContractState;
use crate::error::ChainError;
use crate::script::{Act, L1_FEE, Node, Shown, genesis};

use Act::{AddToken, Deposit as Put, TopUp};

/// A mirror and its file.
struct Life {
    folder: TempDir,
    mirror: NativeL1,
    book: Mirror,
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("l1.redb")
}

impl Life {
    /// A mirror of a chain that has nothing but the contract.
    fn begin() -> (Self, Node) {
        let folder = tempfile::tempdir().unwrap();
        let genesis = genesis();
        let draft = tempfile::tempdir().unwrap();
        let empty = NativeL1::create(&file(&draft), &genesis, AllowDevKeys::Yes).unwrap();
        let node = Node::new(&empty);
        let before = node.rpc().latest().unwrap();
        let path = file(&folder);
        let mirror = create_mirror(&path, &genesis, &BTreeMap::new(), before).unwrap();
        let book = Mirror::open(&path, &mirror).unwrap();
        let life = Self {
            folder,
            mirror,
            book,
        };
        (life, node)
    }

    fn sync(&mut self, node: &Node) -> Result<(), ChainError> {
        self.book.sync(&node.rpc(), &mut self.mirror)
    }

    /// A new program opens what the one before left.
    fn reopen(self) -> Self {
        let Self {
            folder,
            mirror,
            book,
        } = self;
        drop((mirror, book));
        let path = file(&folder);
        let mirror = NativeL1::open(&path, AllowDevKeys::Yes).unwrap();
        let book = Mirror::open(&path, &mirror).unwrap();
        Self {
            folder,
            mirror,
            book,
        }
    }

    /// The mirror has what the node's chain has.
    fn check(&self, node: &Node) {
        let (standing, pending) = node.shown().standing();
        assert_eq!(ContractState::of(&self.mirror).unwrap(), standing);
        for (token, amount) in pending {
            assert_eq!(self.mirror.totals(token).unwrap().pending, amount);
        }
        let written = Checkpoints::load(&file(&self.folder)).unwrap();
        assert_eq!(written, self.book.checkpoints);
        assert_eq!(written.last().height, self.mirror.head().unwrap().height);
        assert_eq!(written.last().number, node.shown().head());
        assert_eq!(
            written.last().hash,
            node.shown().hash(written.last().number)
        );
    }
}

fn mine(node: &Node, blocks: &[&[Act]]) {
    let mut shown = node.shown();
    blocks.iter().for_each(|acts| shown.mine(acts));
}

/// How often something was asked since the last time.
fn asked(node: &Node, what: &str) -> u64 {
    node.shown().asked.remove(what).unwrap_or(0)
}

/// A mirror with two accounts, in step with its chain.
fn with_accounts() -> (Life, Node) {
    let (mut life, node) = Life::begin();
    mine(
        &node,
        &[&[], &[Put(0, 70), AddToken], &[], &[Put(1, 30)], &[]],
    );
    life.sync(&node).unwrap();
    life.check(&node);
    (life, node)
}

#[test]
fn a_mirror_follows_and_many_calls_of_a_block_are_one_block_of_it() {
    let (mut life, node) = with_accounts();
    assert_eq!(life.mirror.head().unwrap().height, 2);
    mine(
        &node,
        &[&[TopUp(1, 1), TopUp(2, 2), AddToken, Put(2, 3)], &[]],
    );
    life.sync(&node).unwrap();
    life.check(&node);
    let head = life.mirror.head().unwrap();
    assert_eq!((head.height, head.operator_fees), (3, 5 * L1_FEE));
    let entries = life.mirror.queue(2, 3).unwrap();
    assert!(entries.iter().all(|entry| entry.height == 3));
    // The same again asks for no block twice and changes nothing.
    let before = life.book.checkpoints.clone();
    life.sync(&node).unwrap();
    assert_eq!(life.book.checkpoints, before);
}

#[test]
fn a_false_last_block_far_ahead_is_not_kept_against_an_honest_node() {
    let (mut life, node) = with_accounts();
    let liar = node.copy();
    liar.shown().invent(1_000_000, &[]);
    // It tells of its block whatever it is asked: nothing but the chain itself refutes it.
    life.sync(&liar).unwrap();
    assert!(life.book.checkpoints.last().number > 1_000_000);
    life = life.reopen();
    life.sync(&node).unwrap();
    life.check(&node);
    // By the same program, too, and whether the honest node has moved on or not.
    liar.shown().now = node.shown().now;
    life.sync(&liar).unwrap();
    mine(&node, &[&[TopUp(1, 5)], &[]]);
    life.sync(&node).unwrap();
    life.check(&node);
}

#[test]
fn a_false_event_far_ahead_is_dropped_once_an_honest_node_cannot_be_behind() {
    let (mut life, node) = with_accounts();
    let liar = node.copy();
    liar.shown().invent(1_000_000, &[Put(0, 1_000_000)]);
    life.sync(&liar).unwrap();
    assert_eq!(life.mirror.head().unwrap().queue_tail, 3, "believed");
    // At first the honest node might only be behind.
    let begun = liar.shown().now;
    node.shown().now = begun;
    let behind = life.sync(&node).unwrap_err();
    assert!(matches!(behind, ChainError::Behind { .. }), "{behind}");
    // A node whose last block is old is behind, however long it takes.
    node.shown().now = begun + 100_000;
    let behind = life.sync(&node).unwrap_err();
    assert!(matches!(behind, ChainError::Behind { .. }), "{behind}");
    assert_eq!(life.mirror.head().unwrap().queue_tail, 3, "nothing changed");
    // One whose last block is new does not lack what was seen long ago: it never was.
    node.shown().mine_at(begun + 100_000, &[TopUp(1, 1)]);
    life = life.reopen();
    life.sync(&node).unwrap();
    life.check(&node);
}

#[test]
fn a_block_whose_hash_or_parent_is_wrong_is_not_believed() {
    let (mut life, node) = with_accounts();
    let before = life.book.checkpoints.clone();
    let liar = node.copy();
    liar.shown().invent(50, &[]);
    let last = liar.shown().head();
    // The block before it has another hash than the one that it names.
    liar.shown()
        .tamper(last - 1, |header| header.timestamp += 1);
    let error = life.sync(&liar).unwrap_err();
    assert!(matches!(error, ChainError::Unsteady { .. }), "{error}");
    // Its hash is not that of its header.
    let liar = node.copy();
    liar.shown().lie_about_hash();
    let error = life.sync(&liar).unwrap_err();
    assert!(
        error.to_string().contains("where its header has"),
        "{error}"
    );
    assert_eq!(life.book.checkpoints, before);
    life.sync(&node).unwrap();
    life.check(&node);
}

#[test]
fn what_a_reorganization_costs_depends_on_what_it_moved() {
    let (mut life, node) = Life::begin();
    let tokens = [AddToken; 200];
    mine(
        &node,
        &[&tokens, &tokens, &[Put(0, 9), Put(7, 5), Put(399, 1)], &[]],
    );
    life.sync(&node).unwrap();
    asked(&node, "totals");
    mine(&node, &[&[TopUp(2, 1)], &[]]);
    life.sync(&node).unwrap();
    assert_eq!(asked(&node, "totals"), 2, "ETH and the token that moved");
    for _ in 0..3 {
        node.shown().fork(2);
        mine(&node, &[&[TopUp(3, 1), AddToken], &[], &[]]);
        life.sync(&node).unwrap();
        life.check(&node);
        let tokens = asked(&node, "totals");
        assert!(
            tokens <= 3,
            "{tokens}: of 400 two were moved, before or after"
        );
        // Not what was read before either.
        life = life.reopen();
        life.sync(&node).unwrap();
        assert!(asked(&node, "totals") <= 3);
    }
}

/// A seeded sequence of numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn random_acts(dice: &mut Dice, shown: &Shown) -> Vec<Act> {
    let (standing, _) = shown.standing();
    let mut accounts = u32::try_from(standing.next_index - 1).unwrap();
    let mut tokens = u32::try_from(standing.tokens).unwrap();
    let mut acts = Vec::new();
    for _ in 0..dice.below(4) {
        acts.push(match dice.below(4) {
            0 if tokens < 20 => {
                tokens += 1;
                AddToken
            }
            1 | 2 if accounts > 0 => {
                let index = 1 + u32::try_from(dice.below(accounts.into())).unwrap();
                TopUp(index, 1 + u128::from(dice.below(9)))
            }
            _ => {
                accounts += 1;
                let token = u32::try_from(dice.below(tokens.into())).unwrap();
                Put(token, dice.below(9).into())
            }
        });
    }
    acts
}

/// Blocks, reorganizations at every depth, programs that were killed between the two files, and blocks
/// that were lies.
#[test]
fn whatever_happens_the_mirror_ends_where_the_chain_does() {
    for seed in 0..4 {
        let mut dice = Dice(seed);
        let (mut life, node) = Life::begin();
        for step in 0..40 {
            let old = std::fs::read(checkpoints_file(&file(&life.folder))).unwrap();
            match dice.below(5) {
                0 => {
                    let mut shown = node.shown();
                    let deep = (shown.head() - 100).min(12);
                    let blocks = dice.below(deep + 1);
                    shown.fork(blocks);
                    (0..=blocks).for_each(|_| {
                        let acts = random_acts(&mut dice, &shown);
                        shown.mine(&acts);
                    });
                }
                1 => {
                    let liar = node.copy();
                    let acts = random_acts(&mut dice, &liar.shown());
                    let ahead = 2 + dice.below(9);
                    liar.shown().invent(ahead, &acts);
                    life.sync(&liar).unwrap();
                    let mut shown = node.shown();
                    (0..ahead + 2).for_each(|_| shown.mine(&[]));
                }
                _ => {
                    for _ in 0..dice.below(9) {
                        let acts = random_acts(&mut dice, &node.shown());
                        node.shown().mine(&acts);
                    }
                }
            }
            life.sync(&node)
                .unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
            life.check(&node);
            if dice.below(3) == 0 {
                // As if it had been killed before the checkpoints were written.
                let path = checkpoints_file(&file(&life.folder));
                let Life {
                    folder,
                    mirror,
                    book,
                } = life;
                drop((mirror, book));
                std::fs::write(path, &old).unwrap();
                let mirror = NativeL1::open(&file(&folder), AllowDevKeys::Yes).unwrap();
                let book = Mirror::open(&file(&folder), &mirror).unwrap();
                life = Life {
                    folder,
                    mirror,
                    book,
                };
                life.sync(&node).unwrap();
                life.check(&node);
            }
        }
    }
}

#[test]
fn more_blocks_than_are_written_together_are_resumed_after_a_failure_in_their_midst() {
    let (mut life, node) = with_accounts();
    for amount in 1..=3 * GROUP {
        node.shown().mine(&[TopUp(1, amount as u128)]);
    }
    // The node fails in the midst of a group that is not on disk.
    let failing = node.copy();
    let number = failing.shown().head() - 20;
    failing.shown().lose(number);
    let error = life.sync(&failing).unwrap_err();
    assert!(matches!(error, ChainError::Unsteady { .. }), "{error}");
    let height = life.mirror.head().unwrap().height;
    assert_eq!(height, 2 + 2 * GROUP as u64, "whole groups");
    assert_eq!(life.book.checkpoints.last().height, height);
    life = life.reopen();
    asked(&node, "eth_getBlockByNumber");
    life.sync(&node).unwrap();
    life.check(&node);
    let blocks = asked(&node, "eth_getBlockByNumber");
    assert!(
        blocks < 2 * GROUP as u64,
        "{blocks}: what is on disk is not read again"
    );
}

#[test]
fn a_reorganization_of_blocks_full_of_events_is_undone_and_not_read_anew() {
    let (mut life, node) = with_accounts();
    for _ in 0..3 {
        node.shown().mine(&[TopUp(1, 1); 300]);
    }
    life.sync(&node).unwrap();
    life.check(&node);
    node.shown().fork(2);
    mine(&node, &[&[TopUp(1, 2); 200], &[], &[]]);
    asked(&node, "eth_getLogs");
    asked(&node, "eth_getBlockByNumber");
    life.sync(&node).unwrap();
    life.check(&node);
    assert!(asked(&node, "eth_getBlockByNumber") < 16);
}

#[test]
fn whatever_bit_of_the_checkpoints_is_flipped_they_are_the_same_or_refused() {
    let (life, _) = with_accounts();
    let path = checkpoints_file(&file(&life.folder));
    let good = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        match Checkpoints::decode(&path, &bad) {
            Ok(read) => assert_eq!(read, life.book.checkpoints, "bit {bit}"),
            Err(error) => {
                assert!(error.to_string().contains("quire l1 connect"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 6 * good.len());
}

/// Events a second, through the whole mirror but the network: `cargo test --release -p chain -- --ignored
/// --nocapture events_a_second`.
#[test]
#[ignore = "a measurement"]
fn events_a_second() {
    let blocks: u32 = 20_000;
    for each in [1, 10] {
        let (mut life, node) = with_accounts();
        for _ in 0..blocks / each {
            let acts = vec![TopUp(1, 1); usize::try_from(each).unwrap()];
            node.shown().mine(&acts);
        }
        let begun = std::time::Instant::now();
        life.sync(&node).unwrap();
        let rate = f64::from(blocks) / begun.elapsed().as_secs_f64();
        println!("{each} events a block, together: {rate:.0} events a second");
        life.check(&node);
    }
    let (life, _) = with_accounts();
    let events = 2_000;
    let begun = std::time::Instant::now();
    for _ in 0..events {
        let payer = l1::bytes::Bytes([0xaa; 20]);
        life.mirror.top_up(payer, 1, 1, L1_FEE, 0).unwrap();
    }
    let rate = f64::from(events) / begun.elapsed().as_secs_f64();
    println!("each event a commit of its own: {rate:.0} events a second");
}
