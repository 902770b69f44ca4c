//! What the L1 queue costs: those who fill it, and the operator whose batches empty it.
//!
//! Invariant: every figure is the gas of transactions that the committed bytecode executed with success.
//! Who wants a long queue and nothing else queues many entries in one transaction, from an account with
//! code (EIP-7702): those cost least, and are measured too.

use l1::Address;
use l1::evm::abi;
use ledger::shape::Shape;
use serde::Serialize;

use crate::sample::{World, address};

/// Entries of a transaction that queues many.
const MANY: u8 = 64;
/// What a top-up adds.
const TOP_UP: u128 = 1;
/// Accounts have this many owners: each entry of a batch is somebody else's, as far as that goes.
const OWNERS: u32 = 32;
/// Who queues many entries at once.
const ATTACKER: u8 = 33;

/// An entry of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EntryCost {
    pub entry: &'static str,
    /// Gas of who queues it.
    pub gas: u64,
    /// Gas of the operator: that of a batch full of such entries, divided by their number. `None` where
    /// a line above has it.
    pub operator_gas: Option<u64>,
}

/// Measures the entries that batches of `shape` take.
///
/// # Panics
/// If the contract refuses a call, or the shape has no L1 slots.
pub fn measure(shape: &Shape, l1_fee: u128) -> Vec<EntryCost> {
    assert!(shape.l1_ops > 0, "the shape takes no entries");
    let mut world = World::new(&[*shape], l1_fee);
    let attackers = world.next_index();
    for _ in 0..MANY {
        world.deposit(address(ATTACKER), 0, 1);
    }
    execute(&mut world, shape);
    let opened = world.next_index();
    let deposit = |world: &mut World, number: u32| {
        let (_, receipt) = world.deposit(owner(number), 0, 10_u128.pow(18));
        receipt.gas
    };
    let top_up = |world: &mut World, number: u32| {
        let receipt = world.top_up(owner(number), opened + number, TOP_UP);
        receipt.gas
    };
    let exit = |world: &mut World, number: u32| world.request_exit(opened + number).gas;
    let one_by_one = [
        fill(&mut world, shape, "deposit", deposit),
        fill(&mut world, shape, "top_up", top_up),
        fill(&mut world, shape, "exit_request", exit),
    ];
    let wei = l1_fee + TOP_UP;
    let many = [
        ("top_up_many", abi::top_up(attackers, TOP_UP), wei, 0),
        ("exit_request_many", abi::request_exit(attackers), l1_fee, 1),
    ];
    let many = many.map(|(entry, data, wei, step)| EntryCost {
        entry,
        gas: at_once(&mut world, &data, wei, step),
        operator_gas: None,
    });
    one_by_one.into_iter().chain(many).collect()
}

fn owner(number: u32) -> Address {
    address(u8::try_from(1 + number % OWNERS).expect("fewer than 256 owners"))
}

/// Queues as many entries as a batch takes, and executes them.
fn fill(
    world: &mut World,
    shape: &Shape,
    entry: &'static str,
    queue: impl Fn(&mut World, u32) -> u64,
) -> EntryCost {
    let mut gas = 0;
    for number in 0..u32::from(shape.l1_ops) {
        gas = queue(world, number);
    }
    EntryCost {
        entry,
        gas,
        operator_gas: Some(execute(world, shape) / u64::from(shape.l1_ops)),
    }
}

/// Executes all entries that wait, and gives the gas of the last batch.
fn execute(world: &mut World, shape: &Shape) -> u64 {
    let mut gas = 0;
    while world.consumed < world.queue.len() {
        let entries = (world.queue.len() - world.consumed).min(shape.l1_ops.into());
        let batch = world.seal(shape, entries, &[]);
        gas = world.submit(shape, batch).gas;
    }
    gas
}

/// Gas of an entry where one transaction queues [`MANY`], each for an account `step` further than the one
/// before. What it did is dropped.
fn at_once(world: &mut World, data: &[u8], wei: u128, step: u8) -> u64 {
    let before = world.chain.snapshot();
    let tail = world.rollup.state(&mut world.chain).queue_tail;
    let attacker = address(ATTACKER);
    let code = deployed(&repeated(&world.rollup.address, data, wei, step));
    let contract = world.chain.deploy(&attacker, code);
    let (contract, _) = contract.expect("short code is deployed");
    world.chain.delegate(&attacker, &contract);
    let receipt = world.chain.call(&attacker, &attacker, 0, Vec::new());
    let gas = receipt.expect("every entry is good").gas;
    let queued = world.rollup.state(&mut world.chain).queue_tail - tail;
    assert_eq!(queued, u64::from(MANY), "entries of one transaction");
    world.chain.restore(&before);
    gas / queued
}

/// Code that gives a call [`MANY`] times and reverts if one fails. Its first argument grows by `step`.
fn repeated(to: &Address, data: &[u8], wei: u128, step: u8) -> Vec<u8> {
    // Bytes before the call's data.
    const CODE_BYTES: u8 = 80;
    // Where the loop begins, and where a failed call ends.
    const AGAIN: u8 = 8;
    const FAILED: u8 = 76;
    let length = u8::try_from(data.len()).expect("a call of few words");
    // CODECOPY(0, CODE_BYTES, length); the number of calls that are left; JUMPDEST
    let mut code = vec![0x60, length, 0x60, CODE_BYTES, 0x5f, 0x39, 0x60, MANY, 0x5b];
    // CALL(GAS, to, wei, 0, length, 0, 0)
    code.extend([0x5f, 0x5f, 0x60, length, 0x5f, 0x6f]);
    code.extend(wei.to_be_bytes());
    code.push(0x73);
    code.extend(to.0);
    code.extend([0x5a, 0xf1]);
    // ISZERO; JUMPI to FAILED; MSTORE(4, MLOAD(4) + step)
    code.extend([0x15, 0x60, FAILED, 0x57]);
    code.extend([0x60, 4, 0x51, 0x60, step, 0x01, 0x60, 4, 0x52]);
    // One call less; JUMPI to AGAIN; STOP; JUMPDEST; REVERT(0, 0)
    code.extend([0x60, 1, 0x90, 0x03, 0x80, 0x60, AGAIN, 0x57, 0x00]);
    code.extend([0x5b, 0x5f, 0x5f, 0xfd]);
    code.extend(data);
    code
}

/// Code that deploys `code`: CODECOPY(0, 9, length); RETURN(0, length).
fn deployed(code: &[u8]) -> Vec<u8> {
    let length = u8::try_from(code.len()).expect("short code");
    let mut all = vec![0x60, length, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    all.extend(code);
    all
}
