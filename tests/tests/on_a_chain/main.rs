//! The rollup settled by its contract on a real node: life, reorganizations, and a network that fails,
//! forgets and lies. `make evm` runs this; it needs `anvil`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod node;
mod operator_role;
mod sending;
mod taking_over;
mod tokens;
mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use batcher::Batcher;
use chain::{Access, Chain, ChainError, EthKey, Found, Patience, create_mirror, genesis_of};
use l1::bytes::Bytes;
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Deposit, NativeL1, Parameters};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::operation::L1Op;
use prover::key::{AllowDevKeys, KeyInfo};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rollup::{
    Call, Called, Clock, ClockError, FollowError, Link, Outcome, Reopening, Rollup, RollupError,
    SealLimit, SettleError, Settlement, Wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::world::{
    FREEZE_AFTER, Keys, L1_FEE, SLACK, TAKEOVER_AFTER, key_of, settings, shape, sign, transfer,
    withdraw,
};

use crate::node::{Anvil, Fate, Wire, changing_receipts, error, faithful};

/// Keys of the first two accounts of every development chain.
const ETH_KEYS: [&str; 2] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
];

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::make().unwrap())
}

/// The file of an Ethereum key, which nobody else may read.
fn key_file(folder: &Path, number: usize) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(format!("eth-{number}.key"));
    let mut options = std::fs::OpenOptions::new();
    let opened = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path);
    std::io::Write::write_all(&mut opened.unwrap(), ETH_KEYS[number].as_bytes()).unwrap();
    path
}

fn access(url: &str, folder: &Path, expected: Option<u64>) -> Result<Access, ChainError> {
    let key = EthKey::load(&key_file(folder, 0))?;
    let access = Access::new(url, expected, Some(key), &folder.join("ethereum"))?;
    Ok(access.with_patience(HURRIED))
}

/// What else takes minutes.
const HURRIED: Patience = Patience {
    poll: (Duration::from_millis(100), Duration::from_millis(500)),
    silence: Duration::from_millis(400),
    nonce_used: Duration::from_millis(600),
    pace: 10,
};

fn parameters(access: &Access) -> Parameters {
    Parameters {
        chain_id: 0,
        contract: None,
        salt: Bytes([7; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: access.caller().unwrap(),
        },
        shapes: vec![ListedShape {
            shape: shape(),
            fingerprint: Bytes(keys().r1cs.fingerprint()),
        }],
        l1_fee: L1_FEE,
        pending_cap: 100,
        timestamp_slack: SLACK,
        takeover_after: TAKEOVER_AFTER,
        freeze_after: FREEZE_AFTER,
        tokens: vec![Token {
            decimals: None,
            name: "ETH".to_owned(),
            address: Bytes([0; 20]),
        }],
    }
}

/// A deployment with its data.
struct Life {
    node: Anvil,
    folder: TempDir,
    found: Found,
    rollup: Rollup,
    rng: ChaCha20Rng,
}

fn l1_file(folder: &Path) -> PathBuf {
    folder.join("l1.redb")
}

/// Makes mirror and batcher in a folder.
fn make(folder: &Path, found: &Found) {
    let genesis = genesis_of(found).unwrap();
    let mirror = create_mirror(&l1_file(folder), &genesis, &found.keys, found.before).unwrap();
    Batcher::create(folder, settings(&mirror).unwrap(), Vec::new()).unwrap();
}

/// Opens what [`make`] made, through this node.
fn open(folder: &Path, url: &str, confirmations: u64) -> Result<Rollup, FollowError> {
    let mirror = NativeL1::open(&l1_file(folder), AllowDevKeys::Yes).unwrap();
    let chain_id = mirror.deployment().parameters().chain_id;
    let access = access(url, folder, Some(chain_id)).map_err(SettleError::from)?;
    let chain = Chain::open(access, &l1_file(folder), &mirror).map_err(SettleError::from)?;
    let mut link = Link::to(Box::new(chain));
    let mut mirror = mirror;
    link.sync(&mut mirror)?;
    let settings = settings(&mirror).unwrap();
    let rollup = Rollup::open(mirror, folder, settings, confirmations).unwrap();
    // Why trusted: a test has no clock of its own to compare the chain's with.
    let mut rollup = rollup.with_link(link).with_clock(Clock::Trusted);
    rollup.follow(0)?;
    Ok(rollup)
}

impl Life {
    /// A deployment without an account.
    fn begin(confirmations: u64) -> Self {
        Self::on(Anvil::start(&[]), confirmations)
    }

    /// The same on a node that is there already.
    fn on(node: Anvil, confirmations: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut access = access(&node.url, folder.path(), None).unwrap();
        let key = keys().key.verifying_key().clone();
        let found = access.deploy(parameters(&access), BTreeMap::from([(shape().id, key)]));
        let found = found.unwrap();
        access.acknowledge_deployment().unwrap();
        drop(access);
        make(folder.path(), &found);
        let rollup = open(folder.path(), &node.url, confirmations).unwrap();
        Self {
            node,
            folder,
            found,
            rollup,
            rng: ChaCha20Rng::seed_from_u64(7),
        }
    }

    /// The same with accounts 1, of the fees, and 2 and 3, executed.
    fn with_accounts() -> Self {
        let mut life = Self::begin(0);
        for (number, amount) in [(1, 0), (2, 1_000_000), (3, 500_000)] {
            assert_eq!(life.deposit(number, amount).unwrap().op.index(), number);
        }
        life.reopen();
        life.finish();
        life
    }

    /// Closes everything and opens it again, so that fee accounts are known.
    fn reopen(&mut self) {
        let url = self.node.url.clone();
        self.reopen_over(&url).unwrap();
    }

    fn reopen_over(&mut self, url: &str) -> Result<(), FollowError> {
        let confirmations = self.rollup.confirmations();
        self.close();
        self.rollup = open(self.folder.path(), url, confirmations)?;
        Ok(())
    }

    /// Gives the files free; a stand-in takes the rollup's place.
    fn close(&mut self) {
        let empty = tempfile::tempdir().unwrap();
        make(empty.path(), &self.found);
        let mirror = NativeL1::open(&l1_file(empty.path()), AllowDevKeys::Yes).unwrap();
        let batcher_settings = settings(&mirror).unwrap();
        let other = Rollup::open(mirror, empty.path(), batcher_settings, 0).unwrap();
        drop(std::mem::replace(&mut self.rollup, other));
    }

    /// Makes a call and hears what it came to.
    fn call(&mut self, call: Call<'_>) -> Result<Outcome, SettleError> {
        let called = self.call_untold(call)?;
        self.rollup.link.acknowledge()?;
        Ok(called.outcome)
    }

    /// Makes a call and ends before anybody hears of it.
    fn call_untold(&mut self, call: Call<'_>) -> Result<Called, SettleError> {
        self.rollup.link.call(&mut self.rollup.l1, call, 0)
    }

    fn deposit(&mut self, number: u32, amount: u128) -> Result<l1::QueueEntry, SettleError> {
        let (entry, _) = self.deposit_untold(number, 0, amount)?;
        self.rollup.link.acknowledge()?;
        Ok(entry)
    }

    /// A deposit that nobody hears of, and whether an earlier command had made it.
    fn deposit_untold(
        &mut self,
        number: u32,
        token: u32,
        amount: u128,
    ) -> Result<(l1::QueueEntry, bool), SettleError> {
        let key = key_of(number).public_key();
        let deposit = Deposit {
            caller: self.rollup.link.caller(Bytes([0; 20]))?,
            token,
            amount,
            key,
            q: cofactor_inverse_point(&key),
            fee: L1_FEE,
        };
        let Called { outcome, earlier } = self.call_untold(Call::Deposit(&deposit))?;
        let Outcome::Entry(entry) = outcome else {
            panic!("a deposit makes an entry");
        };
        Ok((self.rollup.l1.queue(entry, 1)?.remove(0), earlier))
    }

    fn seal_and_prove(&mut self) -> u64 {
        self.rollup.follow(0).unwrap();
        let sealed = self.rollup.seal(SealLimit::All, 0, |_| {}).unwrap();
        for number in self.rollup.batcher.unproved().unwrap() {
            tests::world::prove_batch(&mut self.rollup, keys(), number, 0, &mut self.rng).unwrap();
        }
        sealed.batches
    }

    fn submit(&mut self) -> Result<usize, RollupError> {
        let operator = self.rollup.link.caller(Bytes([0; 20]))?;
        Ok(self.rollup.submit(operator, usize::MAX, 0)?.len())
    }

    fn finish(&mut self) {
        self.seal_and_prove();
        while self.submit().unwrap() > 0 {}
    }

    fn pay(&mut self, from: u32, to: u32, amount: u128, nonce: u64) {
        let signed = sign(transfer(from, to, amount, nonce, 0), from, &self.rollup);
        self.rollup
            .batcher
            .submit(signed.into(), 0)
            .unwrap()
            .unwrap();
    }

    fn control(&self, method: &'static str, params: Value) -> Value {
        chain::Rpc::new(&self.node.url)
            .unwrap()
            .control(method, params)
            .unwrap()
    }

    /// The chain forgets what it had since a snapshot and goes on with empty blocks.
    fn replace_since(&self, snapshot: &Value) {
        self.control("evm_revert", json!([snapshot]));
        self.control("anvil_mine", json!([3]));
    }

    fn balance(&self, index: u32) -> u128 {
        self.rollup.batcher.state().account(index).unwrap().balance
    }

    /// Batches and queue entries of the mirror.
    fn standing(&self) -> (u64, u64) {
        let head = self.rollup.l1.head().unwrap();
        (head.next_batch - 1, head.queue_tail)
    }
}

/// The error of the chain in an error of any layer.
fn chain_error(error: &SettleError) -> &ChainError {
    let SettleError::Chain(inner) = error else {
        panic!("not an error of the chain: {error}");
    };
    inner.get().downcast_ref().unwrap()
}

fn follow_error(error: &FollowError) -> &ChainError {
    let FollowError::Settle(inner) = error else {
        panic!("not an error of the chain: {error}");
    };
    chain_error(inner)
}

#[test]
fn deposits_transfers_withdrawals_and_claims_are_settled_by_the_contract() {
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    let signed = sign(withdraw(3, 300_000, 0, 0), 3, &life.rollup);
    life.rollup
        .batcher
        .submit(signed.into(), 0)
        .unwrap()
        .unwrap();
    life.finish();
    assert_eq!((life.balance(2), life.balance(3)), (998_999, 201_000));
    assert_eq!(life.balance(1), 1, "the fee");
    let caller = life.rollup.link.caller(Bytes([0; 20])).unwrap();
    assert_eq!(
        life.call(Call::Claim { caller, token: 0 }).unwrap(),
        Outcome::Amount(300_000)
    );
    let refused = life.call(Call::Claim { caller, token: 0 }).unwrap_err();
    assert!(
        matches!(chain_error(&refused), ChainError::Refused { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("NothingToClaim"), "{refused}");
    let fees = life.call(Call::CollectFees { caller }).unwrap();
    assert_eq!(fees, Outcome::Amount(3 * L1_FEE));
    let audit = life.rollup.audit(rollup::Depth::Replay).unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

#[test]
fn a_mirror_made_from_the_chain_alone_is_the_operators() {
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    life.finish();
    let folder = tempfile::tempdir().unwrap();
    let access = access(&life.node.url, folder.path(), None).unwrap();
    let contract = life.found.parameters.contract.unwrap();
    let listed = access.listed(contract, &[shape()]).unwrap();
    let info = KeyInfo {
        ..keys().key.verifying_key().info().clone()
    };
    let found = access.find(contract, &[(listed[0], info)], 0).unwrap();
    assert_eq!(found.keys, life.found.keys);
    assert_eq!(found.before, life.found.before);
    let genesis = genesis_of(&found).unwrap();
    let file = l1_file(folder.path());
    let mut mirror = create_mirror(&file, &genesis, &found.keys, found.before).unwrap();
    let mut chain = Chain::open(access, &file, &mirror).unwrap();
    chain.sync(&mut mirror).unwrap();
    assert_eq!(mirror.head().unwrap(), life.rollup.l1.head().unwrap());
    assert_eq!(mirror.audit().unwrap(), life.rollup.l1.audit().unwrap());
    let batcher = rollup::restore(&mirror, folder.path(), settings(&mirror).unwrap(), |_| {});
    let root = life.rollup.batcher.status().state_root;
    assert_eq!(batcher.unwrap().status().state_root, root);
}

#[test]
fn a_deposit_is_spendable_once_enough_blocks_of_the_chain_lie_on_it() {
    let mut life = Life::begin(3);
    life.deposit(1, 5).unwrap();
    for missing in [3, 2, 1] {
        assert!(life.rollup.waiting_queue().unwrap().is_empty(), "{missing}");
        // Whatever asks is told: no batch, and for what it waits.
        let sealed = life.rollup.seal(SealLimit::All, 0, |_| {}).unwrap();
        assert_eq!(sealed.batches, 0);
        let wait = Wait::Confirmations {
            entries: 0..1,
            blocks: 3 - missing,
            needed: 3,
        };
        assert_eq!(life.rollup.waits(0).unwrap(), [wait]);
        life.control("anvil_mine", json!([1]));
        life.rollup.follow(0).unwrap();
    }
    assert_eq!(life.rollup.waiting_queue().unwrap().len(), 1);
    let wait = Wait::Sealing {
        entries: 1,
        operations: 0,
        anybody: false,
    };
    assert_eq!(life.rollup.waits(0).unwrap(), [wait]);
}

/// A last block far ahead, as one node tells it once; everything else is the chain's.
#[test]
fn a_false_last_block_is_not_kept_against_an_honest_node() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, |method, params, answer| {
        if method == "eth_getBlockByNumber" && params[0] == "latest" {
            answer["result"]["number"] = json!("0xf4240");
        }
        Fate::Arrives
    });
    let refused = life.reopen_over(&wire.url).unwrap_err();
    let strange = matches!(follow_error(&refused), ChainError::Answer { .. });
    assert!(strange, "{refused}");
    life.reopen();
    assert_eq!(life.standing(), (2, 3));
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    // Blocks that were there and are gone, without events: the chain was cut short.
    let before = life.control("evm_snapshot", json!([]));
    life.control("anvil_mine", json!([20]));
    life.rollup.follow(0).unwrap();
    life.control("evm_revert", json!([before]));
    life.rollup.follow(0).unwrap();
    assert_eq!(life.deposit(5, 8).unwrap().number, 4);
}

#[test]
fn a_reorganized_deposit_rolls_back_with_what_rests_on_it() {
    let mut life = Life::with_accounts();
    let before = life.control("evm_snapshot", json!([]));
    life.deposit(4, 700_000).unwrap();
    life.seal_and_prove();
    assert!(life.rollup.batcher.state().account(4).is_some());
    life.replace_since(&before);
    let followed = life.rollup.follow(0).unwrap();
    assert!(followed.reopened.is_some(), "the batch is open again");
    assert_eq!(life.standing(), (2, 3));
    assert!(life.rollup.batcher.state().account(4).is_none());
    // The index goes to whoever comes next, and the rollup goes on.
    assert_eq!(life.deposit(5, 9).unwrap().op.index(), 4);
    life.finish();
    assert_eq!(life.balance(4), 9);
}

#[test]
fn a_batch_that_the_chain_lost_is_submitted_again() {
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    life.seal_and_prove();
    let before = life.control("evm_snapshot", json!([]));
    assert_eq!(life.submit().unwrap(), 1);
    assert_eq!(life.standing().0, 3);
    life.replace_since(&before);
    assert_eq!(life.rollup.follow(0).unwrap().lost, 1);
    assert_eq!(life.standing().0, 2);
    assert_eq!(life.submit().unwrap(), 1);
    assert_eq!(life.standing().0, 3);
    assert_eq!(life.balance(3), 501_000);
}

#[test]
fn blocks_that_are_replaced_by_others_are_followed() {
    let mut life = Life::begin(0);
    for number in 1..=6 {
        life.deposit(number, u128::from(number)).unwrap();
    }
    let first = life.rollup.l1.queue(0, 6).unwrap();
    // The last four blocks come again without the transactions that they had.
    life.control("anvil_reorg", json!([4, []]));
    life.rollup.follow(0).unwrap();
    let left = life.rollup.l1.queue(0, 6).unwrap();
    assert_eq!(left, first[..2]);
    assert_eq!(life.deposit(9, 9).unwrap().number, 2);
    life.finish();
    assert_eq!(life.balance(3), 9);
}

/// Blocks that were a month ahead, which the chain does not have any more: the batch that was sealed by
/// them is sealed again, and nobody has to wait for a month.
#[test]
fn a_batch_sealed_by_blocks_from_the_future_is_sealed_again() {
    const MONTH: u64 = 30 * 86_400;
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    let snapshot = life.control("evm_snapshot", json!([]));
    life.control("evm_increaseTime", json!([MONTH]));
    life.control("anvil_mine", json!([1]));
    assert_eq!(life.seal_and_prove(), 1);
    let number = life.rollup.batcher.status().sealed;
    let header = |life: &Life| {
        let batch = life.rollup.batcher.batch(number).unwrap();
        batch.batch().words().header.timestamp
    };
    let ahead = header(&life);
    life.replace_since(&snapshot);
    let followed = life.rollup.follow(0).unwrap();
    let (reason, _) = followed.reopened.unwrap();
    assert!(
        matches!(reason, Reopening::AheadOfTime { batch, .. } if batch == number),
        "{reason:?}"
    );
    life.finish();
    assert!(header(&life) + MONTH / 2 < ahead);
    assert_eq!(life.rollup.batcher.status().finalized, number);
    assert_eq!(life.balance(3), 501_000);
}

/// The node's blocks are a month ahead of the system's clock, so one of the two is wrong.
#[test]
fn nothing_is_sealed_by_blocks_that_are_ahead_of_the_systems_clock() {
    const MONTH: u64 = 30 * 86_400;
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    life.control("evm_increaseTime", json!([MONTH]));
    life.control("anvil_mine", json!([1]));
    life.rollup.follow(0).unwrap();
    let now = life.rollup.l1_time(0).unwrap() - MONTH;
    let empty = tempfile::tempdir().unwrap();
    make(empty.path(), &life.found);
    let other = open(empty.path(), &life.node.url, 0).unwrap();
    let trusting = std::mem::replace(&mut life.rollup, other);
    life.rollup = trusting.with_clock(Clock::Checked);
    let refused = life.rollup.seal(SealLimit::All, now, |_| {}).err().unwrap();
    assert!(
        matches!(refused, RollupError::Clock(ClockError::BlockAhead { .. })),
        "{refused}"
    );
    // A system's clock that agrees, or one that is ahead itself, is no reason to wait.
    let sealed = life.rollup.seal(SealLimit::All, now + MONTH, |_| {});
    assert_eq!(sealed.unwrap().batches, 1);
}

#[test]
fn a_node_of_another_chain_or_without_the_contract_is_refused_at_start() {
    let life = Life::begin(0);
    let other = Anvil::start(&["--chain-id", "5"]);
    let refused = access(&other.url, life.folder.path(), Some(31_337))
        .err()
        .unwrap();
    let expected = ChainError::OtherChain {
        expected: 31_337,
        got: 5,
    };
    assert_eq!(refused.to_string(), expected.to_string());
    // The same chain id, another history.
    let fresh = Anvil::start(&[]);
    let elsewhere = tempfile::tempdir().unwrap();
    let access = access(&fresh.url, elsewhere.path(), Some(31_337)).unwrap();
    let refused = Chain::open(access, &l1_file(life.folder.path()), &life.rollup.l1)
        .err()
        .unwrap();
    assert!(
        matches!(refused, ChainError::NotTheContract { .. }),
        "{refused}"
    );
}

#[test]
fn a_chain_that_was_reset_is_not_followed() {
    let mut life = Life::with_accounts();
    life.control("anvil_reset", json!([]));
    let error = life.rollup.follow(0).unwrap_err();
    assert!(
        matches!(follow_error(&error), ChainError::DeploymentGone { .. }),
        "{error}"
    );
    // Nothing was dropped: the mirror is as it was.
    assert_eq!(life.standing(), (2, 3));
}

#[test]
fn a_connection_that_fails_now_and_then_is_tried_again() {
    let mut life = Life::with_accounts();
    let asked = AtomicU32::new(0);
    let wire = Wire::to(&life.node, move |_, _, _| {
        match asked.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Fate::Lost,
            _ => Fate::Arrives,
        }
    });
    life.reopen_over(&wire.url).unwrap();
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    life.rollup.follow(0).unwrap();
    assert_eq!(
        life.standing(),
        (2, 4),
        "one deposit, though answers were lost"
    );
}

#[test]
fn a_program_that_dies_between_sending_and_receipt_sends_nothing_twice() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    // The transaction arrives, and from then on nothing is heard from the node any more.
    let mut sent = false;
    wire.set(move |method, _, _| {
        sent |= method == "eth_sendRawTransaction";
        match sent {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    });
    let error = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&error), ChainError::Unreachable { .. }),
        "{error}"
    );
    // The same command again, by a new program.
    life.reopen();
    assert_eq!(life.standing(), (2, 4), "it had arrived");
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert_eq!(life.standing(), (2, 4), "and is not sent again");
    // The outbox is empty: the same deposit once more is another one.
    assert_eq!(life.deposit(4, 7).unwrap().number, 4);
}

#[test]
fn a_transaction_that_never_arrived_is_sent_by_the_next_command() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    life.pay(2, 3, 1_000, 0);
    life.seal_and_prove();
    // The node takes a transaction, says so and forgets it.
    let id = life.control("evm_snapshot", json!([]));
    let mut sent = false;
    wire.set(move |method, _, _| {
        sent |= method == "eth_sendRawTransaction";
        match sent {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    });
    life.submit().unwrap_err();
    life.replace_since(&id);
    // Another call of the same key first settles what was under way, then goes its own way.
    life.reopen();
    assert_eq!(life.standing(), (2, 3));
    life.deposit(4, 7).unwrap();
    assert_eq!(life.standing(), (3, 4), "both are there, each once");
    assert_eq!(life.rollup.follow(0).unwrap().finalized, 1);
    assert_eq!(life.submit().unwrap(), 0);
}

#[test]
fn a_transaction_that_a_node_may_have_is_not_forgotten_when_another_refuses_it() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    life.control("evm_setAutomine", json!([false]));
    let mut sent = false;
    wire.set(move |method, _, _| {
        sent |= method == "eth_sendRawTransaction";
        match sent {
            true => Fate::Lost,
            false => Fate::Arrives,
        }
    });
    life.deposit(4, 7).unwrap_err();
    wire.set(|method, _, answer| {
        if method == "eth_sendRawTransaction" {
            *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error("insufficient funds for gas * price + value") });
        }
        Fate::Arrives
    });
    let refused = life.deposit(4, 7).unwrap_err();
    assert!(matches!(chain_error(&refused), ChainError::NotMined { .. }));
    wire.set(faithful);
    life.control("evm_setAutomine", json!([true]));
    life.control("evm_mine", json!([]));
    let before = life.standing().1;
    assert_eq!(life.deposit(4, 7).unwrap().number, before);
    assert_eq!(life.standing().1, before + 1, "it happened once");
}

#[test]
fn an_absurd_estimate_of_gas_is_refused() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    for gas in ["0xffffffffffffffff", "0x1000001"] {
        wire.set(move |method, _, answer| {
            if method == "eth_estimateGas" {
                answer["result"] = json!(gas);
            }
            Fate::Arrives
        });
        let refused = life.deposit(4, 7).unwrap_err();
        assert!(matches!(chain_error(&refused), ChainError::Answer { .. }));
    }
    wire.set(faithful);
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
}

#[test]
fn an_underpriced_transaction_is_offered_more() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    // The last block takes next to nothing, the next one, which comes once the transaction is sent, four gwei.
    let next_fee = "anvil_setNextBlockBaseFeePerGas";
    life.control(next_fee, json!(["0x1"]));
    life.control("evm_mine", json!([]));
    life.control(next_fee, json!(["0xee6b2800"]));
    let url = life.node.url.clone();
    let offers = std::sync::Arc::new(AtomicU32::new(0));
    let counter = offers.clone();
    wire.set(move |method, _, answer| {
        let offered = counter.load(Ordering::SeqCst);
        if method == "eth_maxPriorityFeePerGas" && offered == 0 {
            answer["result"] = json!("0x1");
        }
        if method == "eth_sendRawTransaction" {
            counter.store(offered + 1, Ordering::SeqCst);
            if offered == 0 {
                let rpc = chain::Rpc::new(&url).unwrap();
                rpc.control("evm_mine", json!([])).unwrap();
            }
        }
        Fate::Arrives
    });
    assert_eq!(life.deposit(4, 7).unwrap().number, 3);
    assert!(offers.load(Ordering::SeqCst) > 1, "the first was taken");
}

#[test]
fn a_node_that_hides_events_or_changes_them_is_caught() {
    let mut life = Life::with_accounts();
    let wire = Wire::to(&life.node, faithful);
    life.reopen_over(&wire.url).unwrap();
    wire.set(|method, _, answer| {
        if method == "eth_getLogs" {
            answer["result"] = json!([]);
        }
        Fate::Arrives
    });
    let error = life.deposit(4, 7).unwrap_err();
    assert!(
        matches!(chain_error(&error), ChainError::Disagree { .. }),
        "{error}"
    );
    // One more unit than was paid.
    wire.set(|method, _, answer| {
        if method == "eth_getLogs" {
            for log in answer["result"].as_array_mut().unwrap() {
                let data = log["data"].as_str().unwrap();
                let amount = format!("{:064x}", 7);
                let more = format!("{:064x}", 8);
                log["data"] = json!(data.replacen(&amount, &more, 1));
            }
        }
        Fate::Arrives
    });
    let error = life.rollup.follow(0).unwrap_err();
    assert!(
        matches!(follow_error(&error), ChainError::Disagree { .. }),
        "{error}"
    );
    // A node that tells what there is: nothing of the lies stayed.
    wire.set(faithful);
    life.rollup.follow(0).unwrap();
    let entry = life.rollup.l1.queue(3, 1).unwrap().remove(0);
    assert!(matches!(entry.op, L1Op::Create { amount: 7, .. }));
}

#[test]
fn a_node_that_changes_a_batch_is_caught() {
    let mut life = Life::with_accounts();
    life.pay(2, 3, 1_000, 0);
    life.finish();
    let wire = Wire::to(&life.node, |method, _, answer| {
        if method == "eth_getTransactionByHash" && answer["result"]["to"].is_string() {
            let input = answer["result"]["input"].as_str().unwrap().to_owned();
            // The last byte is of the transfer's fee.
            let (kept, last) = input.split_at(input.len() - 2);
            let other = if last == "00" { "01" } else { "00" };
            answer["result"]["input"] = json!(format!("{kept}{other}"));
        }
        Fate::Arrives
    });
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &life.found);
    let error = open(folder.path(), &wire.url, 0).err().unwrap();
    assert!(
        matches!(follow_error(&error), ChainError::Disagree { .. }),
        "{error}"
    );
}

#[test]
fn of_two_operators_one_is_first_and_the_other_follows() {
    let mut life = Life::with_accounts();
    let folder = tempfile::tempdir().unwrap();
    let genesis = genesis_of(&life.found).unwrap();
    let file = l1_file(folder.path());
    let found = &life.found;
    let mut mirror = create_mirror(&file, &genesis, &found.keys, found.before).unwrap();
    let access = access(&life.node.url, folder.path(), None).unwrap();
    Chain::open(access, &file, &mirror)
        .unwrap()
        .sync(&mut mirror)
        .unwrap();
    drop(rollup::restore(&mirror, folder.path(), settings(&mirror).unwrap(), |_| {}).unwrap());
    drop(mirror);
    let mut other = Life {
        node: Anvil::start(&[]),
        found: life.found.clone(),
        rollup: open(folder.path(), &life.node.url, 0).unwrap(),
        folder,
        rng: ChaCha20Rng::seed_from_u64(8),
    };
    life.pay(2, 3, 1_000, 0);
    other.pay(2, 3, 2_000, 0);
    life.seal_and_prove();
    other.seal_and_prove();
    assert_eq!(life.submit().unwrap(), 1);
    let refused = other.submit().unwrap_err();
    assert!(
        refused.to_string().contains("WrongBatchNumber"),
        "{refused}"
    );
    let followed = other.rollup.follow(0).unwrap();
    assert_eq!(
        (followed.applied.batches, followed.applied.rejected),
        (1, 1)
    );
    assert_eq!(other.rollup.batcher.state(), life.rollup.batcher.state());
}

#[test]
fn a_mirror_that_fell_behind_or_ran_ahead_of_its_checkpoints_is_mended() {
    let mut life = Life::with_accounts();
    let file = l1_file(life.folder.path());
    let checkpoints = life.folder.path().join("l1.redb.chain.json");
    life.close();
    let early = (
        std::fs::read(&file).unwrap(),
        std::fs::read(&checkpoints).unwrap(),
    );
    life.reopen();
    life.deposit(4, 7).unwrap();
    let standing = life.standing();
    // As after a crash between the two files.
    life.close();
    std::fs::write(&checkpoints, &early.1).unwrap();
    life.reopen();
    assert_eq!(life.standing(), standing);
    // As after a restored backup of one of them.
    life.close();
    std::fs::write(&file, &early.0).unwrap();
    life.reopen();
    assert_eq!(life.standing(), standing);
    life.finish();
    assert_eq!(life.balance(4), 7);
}

#[test]
fn a_call_is_refused_with_the_contracts_reason_before_anything_is_sent() {
    let mut life = Life::with_accounts();
    let nonce = |life: &Life| {
        let caller = life.rollup.link.caller(Bytes([0; 20])).unwrap();
        life.control("eth_getTransactionCount", json!([caller, "latest"]))
    };
    let before = nonce(&life);
    let caller = life.rollup.link.caller(Bytes([0; 20])).unwrap();
    life.call(Call::RequestExit { caller, index: 2 }).unwrap();
    let refused = life
        .call(Call::RequestExit { caller, index: 2 })
        .unwrap_err();
    assert!(
        refused.to_string().contains("ExitIsPending (index 2)"),
        "{refused}"
    );
    let refused = life.call(Call::Freeze).unwrap_err();
    assert!(refused.to_string().contains("NotOverdue"), "{refused}");
    assert_ne!(nonce(&life), before, "the first was sent");
    let sent = nonce(&life);
    life.call(Call::Freeze).unwrap_err();
    assert_eq!(nonce(&life), sent);
}

#[test]
fn the_words_of_a_node_are_passed_on_and_its_address_is_not() {
    let (life, elsewhere) = (Life::begin(0), tempfile::tempdir().unwrap());
    let wire = Wire::to(&life.node, |method, _, answer| {
        if method == "eth_getBlockByNumber" {
            *answer =
                json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error("quota exceeded") });
        }
        Fate::Arrives
    });
    let url = format!("{}/v2/secret-token", wire.url);
    let access = access(&url, elsewhere.path(), None).unwrap();
    let error = access.rpc().latest().unwrap_err().to_string();
    assert!(
        error.contains("quota exceeded") && !error.contains("secret-token"),
        "{error}"
    );
    wire.set(|_, _, _| Fate::Lost);
    let error = access.rpc().latest().unwrap_err().to_string();
    assert!(
        error.contains("does not answer") && !error.contains("secret-token"),
        "{error}"
    );
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(folder.path(), 1);
    assert!(EthKey::load(&file).is_ok());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = EthKey::load(&file).err().unwrap().to_string();
    assert!(
        refused.contains("others may read it") && !refused.contains(&ETH_KEYS[1][..8]),
        "{refused}"
    );
}
