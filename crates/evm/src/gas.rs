//! What each call costs, from receipts.
//!
//! Invariant: every figure is the gas of a transaction that the committed bytecode executed with
//! success, or a difference of two such. Batches hold real signed operations; proofs are made with
//! the known secrets of a key ([`crate::sample::Trapdoor`]) and cost what any proof costs: the
//! precompiles' prices do not depend on the points, only a zero byte in a coordinate is 12 gas
//! cheaper (EIP-2028).

use std::collections::BTreeMap;

use ark_ff::Field;
use circuits::shapes::by_name;
use l1::Exit;
use l1::bytes::Bytes;
use l1::evm::abi::{add_token, address as address_word, call, uint};
use l1::evm::artifacts::{Artifact, PATH_HASHER, ROLLUP};
use l1::evm::calldata::{MAX_GAS, encode_batch};
use ledger::field::{Fr, to_be_bytes};
use ledger::shape::Shape;
use ledger::transition::Operation;
use serde::Serialize;

use crate::chain::MAX_CODE_BYTES;
use crate::sample::{OPERATOR, Sealed, World, address, prove_again, transfer};

/// A plain ERC-20, for comparison.
const PLAIN_TOKEN: Artifact = Artifact {
    name: "PlainToken",
    json: include_str!("../../l1/contracts/artifacts/PlainToken.json"),
};
/// Accounts that pay each other.
const ACCOUNTS: u8 = 32;

/// What a call costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub case: String,
    /// Gas of the receipt.
    pub gas: u64,
    /// Gas for each transfer, where the case has transfers; two decimals.
    pub gas_per_transfer: Option<f64>,
}

/// The figures and what they were measured on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One row a case.
    pub rows: Vec<Row>,
    /// Bytes of the contracts' code (limit 24,576, EIP-170): name and length.
    pub code_bytes: Vec<(String, usize)>,
}

struct Rows(Vec<Row>);

impl Rows {
    fn call(&mut self, case: &str, gas: u64) {
        assert!(
            gas <= MAX_GAS,
            "{case} takes {gas} gas, more than a transaction may"
        );
        self.0.push(Row {
            case: case.to_owned(),
            gas,
            gas_per_transfer: None,
        });
    }

    fn transfers(&mut self, case: &str, gas: u64, transfers: usize) {
        self.call(case, gas);
        let count = u32::try_from(transfers).expect("a batch has fewer transfers");
        let gas = u32::try_from(gas).expect("below the limit of a transaction");
        let hundredths = (f64::from(gas) / f64::from(count) * 100.0).round();
        if let Some(row) = self.0.last_mut() {
            row.gas_per_transfer = Some(hundredths / 100.0);
        }
    }
}

/// Measures every case.
///
/// # Panics
/// If the contract refuses a call or a call takes more than a transaction may.
pub fn measure() -> Report {
    let mut rows = Rows(Vec::new());
    let shape = |name| by_name(name).expect("a named shape");
    let [t20, t22, m20] = ["t20", "t22", "m20"].map(shape);
    let mut world = World::new(&[t20, t22, m20], 1_000);
    rows.call("deploy_path_hasher", world.rollup.hasher_gas);
    rows.call("deploy_rollup", world.rollup.deployment_gas);
    open_accounts(&mut world, &m20, &mut rows);
    batches(&mut world, &[t20, t22], &mut rows);
    tokens(&mut world, &m20, &mut rows);
    operator(&mut world, &m20, &mut rows);
    leave(&mut world, &mut rows);
    plain(&mut world, &mut rows);
    let code = |artifact: &Artifact| {
        let bytes = artifact.deployed_bytecode().len();
        assert!(
            bytes <= MAX_CODE_BYTES,
            "{} has {bytes} bytes of code",
            artifact.name
        );
        (artifact.name.to_owned(), bytes)
    };
    Report {
        rows: rows.0,
        code_bytes: [ROLLUP, PATH_HASHER].iter().map(code).collect(),
    }
}

/// Deposits of all accounts, executed by a batch.
fn open_accounts(world: &mut World, m20: &Shape, rows: &mut Rows) {
    for number in 1..=ACCOUNTS {
        let (_, receipt) = world.deposit(address(number), 0, 10_u128.pow(18));
        if number == ACCOUNTS {
            rows.call("deposit_create_eth", receipt.gas);
        }
    }
    let batch = world.seal(m20, ACCOUNTS.into(), &[]);
    let receipt = world.submit(m20, batch);
    rows.call("m20_32_creates", receipt.gas);
    let receipt = world.top_up(address(1), 2, 5);
    rows.call("top_up_eth", receipt.gas);
    let receipt = world.request_exit(3);
    rows.call("request_exit", receipt.gas);
    let batch = world.seal(m20, 2, &[]);
    let receipt = world.submit(m20, batch);
    rows.call("m20_top_up_and_exit", receipt.gas);
    let receipt = world.rollup.claim(&mut world.chain, &address(3), 0);
    rows.call("claim_eth", receipt.expect("the exit is claimable").gas);
    world.fee_accounts = BTreeMap::from([(0, 1)]);
}

/// As many transfers between the accounts as the shape has, in rounds; amounts and fees differ.
fn payments(world: &World, shape: &Shape, nonces: &mut BTreeMap<u32, u64>) -> Vec<Operation> {
    let domain = world.domain();
    let senders = (4..=u32::from(ACCOUNTS))
        .cycle()
        .take(shape.transfers.into());
    let numbered = (0u32..).zip(senders);
    numbered
        .map(|(position, from)| {
            let nonce = nonces.entry(from).or_default();
            let to = 4 + (from * 7 + position) % (u32::from(ACCOUNTS) - 4);
            let amount = 1_234_567_891 * (u128::from(position) + 11);
            let op = transfer(&domain, from, (from, to), (0, amount, 2_047), *nonce);
            *nonce += 1;
            op
        })
        .collect()
}

fn batches(world: &mut World, [t20, t22]: &[Shape; 2], rows: &mut Rows) {
    let mut nonces = BTreeMap::new();
    rows.call("batch_fixed", without_data(world, t20));
    let ops = payments(world, t20, &mut nonces);
    let full = world.seal(t20, 0, &ops);
    let receipt = world.submit(t20, full);
    rows.transfers("t20_calldata", receipt.gas, ops.len());
    let fixed = without_data(world, t22);
    let ops = payments(world, t22, &mut nonces);
    let full = world.seal(t22, 0, &ops);
    let data = encode_batch(&full.submission, t22, &full.entries).expect("a sealed batch");
    let receipt = world.submit(t22, full);
    rows.transfers("t22_calldata", receipt.gas, ops.len());
    // The rest of the two calls' calldata differs in a few zero bytes of proof and root.
    let published = calldata_gas(&data[data.len() - 15 * ops.len()..]);
    rows.transfers(
        "data_per_transfer",
        receipt.gas - published - fixed,
        ops.len(),
    );
    let mut sealed: Vec<Sealed> = Vec::new();
    let mut transfers = 0;
    for more in 0..8 {
        let ops = payments(world, t20, &mut nonces);
        transfers += ops.len();
        let next = match sealed.last() {
            None => world.seal(t20, 0, &ops),
            Some(last) => world.seal_after(last, world.next_batch + more, t20, &ops),
        };
        sealed.push(next);
    }
    let receipt = world.submit_all(t20, &sealed);
    rows.transfers("aggregated_8x2^20_calldata", receipt.gas, transfers);
}

/// Gas of a batch that publishes nothing but moves the root, as every batch with data does. What it
/// did is dropped.
fn without_data(world: &mut World, shape: &Shape) -> u64 {
    let before = world.chain.snapshot();
    let mut sealed = world.seal(shape, 0, &[]);
    sealed.submission.data[64..96].copy_from_slice(&to_be_bytes(&Fr::from(u128::MAX).square()));
    sealed.submission = prove_again(&sealed.submission, shape, &world.trapdoor);
    let data = encode_batch(&sealed.submission, shape, &sealed.entries).expect("a sealed batch");
    let receipt = world.rollup.send(&mut world.chain, &OPERATOR, 0, data);
    world.chain.restore(&before);
    receipt.expect("the proof holds for what it says").gas
}

/// EIP-2028: 4 for a zero byte, 16 for another.
fn calldata_gas(data: &[u8]) -> u64 {
    data.iter()
        .map(|byte| if *byte == 0 { 4 } else { 16 })
        .sum()
}

/// An ERC-20: added, deposited twice, an exit of it claimed.
fn tokens(world: &mut World, m20: &Shape, rows: &mut Rows) {
    let deployed = world.chain.deploy(&OPERATOR, PLAIN_TOKEN.bytecode());
    let erc20 = deployed.expect("the token deploys").0;
    let rollup = world.rollup.address;
    let send = |world: &mut World, from: u8, to, data| {
        let receipt = world.chain.call(&address(from), to, 0, data);
        receipt.expect("the token takes it").gas
    };
    rows.call("add_token", send(world, 1, &rollup, add_token(&erc20)));
    for who in [1, 2] {
        let mint = call(
            "mint(address,uint256)",
            &[address_word(&address(who)), uint(1 << 80)],
        );
        send(world, 1, &erc20, mint);
        let approve = [address_word(&rollup), uint(1 << 80)];
        send(
            world,
            who,
            &erc20,
            call("approve(address,uint256)", &approve),
        );
    }
    let pay = call(
        "transfer(address,uint256)",
        &[address_word(&address(2)), uint(5)],
    );
    let gas = send(world, 1, &erc20, pay);
    rows.transfers("plain_erc20_transfer", gas, 1);
    let (index, _) = world.deposit(address(1), 1, 1_000);
    let (_, receipt) = world.deposit(address(2), 1, 1_000);
    rows.call("deposit_create_erc20", receipt.gas);
    world.request_exit(index);
    let batch = world.seal(m20, 3, &[]);
    world.submit(m20, batch);
    let receipt = world.rollup.claim(&mut world.chain, &address(1), 1);
    rows.call("claim_erc20", receipt.expect("the exit is claimable").gas);
}

/// A batch of somebody else once the queue is overdue, the operator's return and the batch that ends the
/// take-over; then the operator role is handed over.
fn operator(world: &mut World, m20: &Shape, rows: &mut Rows) {
    world.top_up(address(1), 4, 5);
    let later = world.chain.time() + world.rollup.config.takeover_after + 1;
    world.chain.set_time(later);
    let batch = world.seal(m20, 1, &[]);
    let receipt = world.submit_by(&address(9), m20, batch);
    rows.call("m20_top_up_by_anybody", receipt.gas);
    let World { rollup, chain, .. } = world;
    let receipt = rollup.return_operator(chain, &OPERATOR);
    let receipt = receipt.expect("somebody else's batch is final");
    rows.call("return_operator", receipt.gas);
    let batch = world.seal(m20, 0, &[]);
    world.submit(m20, batch);
    let World { rollup, chain, .. } = world;
    let receipt = rollup.offer_operator(chain, &OPERATOR, Some(&address(9)));
    rows.call("offer_operator", receipt.expect("it is the operator's").gas);
    let receipt = rollup.accept_operator(chain, &address(9));
    rows.call("accept_operator", receipt.expect("it was offered").gas);
}

/// Freeze, an exit by proof, a cancelled deposit.
fn leave(world: &mut World, rows: &mut Rows) {
    let number = u64::try_from(world.queue.len()).expect("few entries");
    world.deposit(address(5), 0, 77);
    let oldest = *world.queue.last().expect("just deposited");
    let later = world.chain.time() + world.rollup.config.freeze_after + 1;
    world.chain.set_time(later);
    let receipt = world.rollup.freeze(&mut world.chain, &address(9));
    rows.call("freeze", receipt.expect("the entry is overdue").gas);
    let exit = Exit {
        index: 6,
        account: *world.state.account(6).expect("an open account"),
        siblings: world.state.prove(6).expect("in the tree").siblings,
    };
    let receipt = world.rollup.exit(&mut world.chain, &address(6), &exit);
    rows.call("exit_frozen", receipt.expect("the path is true").gas);
    let receipt = world
        .rollup
        .cancel_deposit(&mut world.chain, &address(5), number, &oldest);
    rows.call("cancel_deposit", receipt.expect("the deposit waits").gas);
}

/// Ether sent from one account to another.
fn plain(world: &mut World, rows: &mut Rows) {
    let receipt = world
        .chain
        .call(&address(7), &Bytes([0x99; 20]), 5, Vec::new());
    rows.transfers("plain_eth_transfer", receipt.expect("it is paid").gas, 1);
}
