//! One verdict: honest, damaged, forged, replayed and misplaced batches through the contract and
//! the native L1, and every other call in between.
//!
//! `QUIRE_VERDICTS` is the number of submissions, by default 300.

use std::collections::BTreeMap;

use evm::sample::{self, OPERATOR, address, prove_again};
use l1::Address;
use l1::evm::calldata::{self, encode_batch, encode_batches};
use l1::{Deposit, Exit, Submission, SubmissionRight};
use ledger::babyjubjub::Point;
use ledger::field::Fr;
use num_bigint::BigUint;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::twins::*;

/// Submissions of one deployment, before it is frozen and left.
const STORY: usize = 100;
/// In a batch of shape `tiny`, after its start: counts, new root, `c`, proof, L1 slots.
const COUNTS: usize = 20;
const NEW_ROOT: usize = 26;
const C: usize = 58;
const PROOF: usize = 90;
const SLOTS: usize = 346;
const SLOT: usize = 130;

const R: &str = "21888242871839275222246405745257275088548364400416034343698204186575808495617";
const P: &str = "21888242871839275222246405745257275088696311157297823662689037894645226208583";

/// One batch's calldata for one deployment, and what is needed to prove it again.
struct Side<'a> {
    twins: &'a Twins,
    native: bool,
}

impl Side<'_> {
    /// Makes the proofs hold for what the calldata say, as far as they can be read.
    fn prove_again(&self, data: &mut [u8]) {
        let shapes = shapes();
        let shape_of = |id| shapes.iter().find(|shape| shape.id == id);
        let Twins { world, native, .. } = self.twins;
        let domain = if self.native {
            native.domain()
        } else {
            world.domain()
        };
        let Ok(batches) = calldata::decode(data, shape_of, &domain, &world.state.root()) else {
            return;
        };
        let single = data[..4] == l1::evm::abi::selector(calldata::SUBMIT_BATCH);
        let mut at = if single { 4 } else { 6 };
        for batch in batches {
            let shape = shape_of(batch.submission.shape_id).unwrap();
            let again = prove_again(&batch.submission, shape, &world.trapdoor);
            data[at + PROOF..at + SLOTS].copy_from_slice(&again.proof);
            at += block_bytes(&data[at..]);
        }
    }
}

fn count_at(block: &[u8], section: usize) -> usize {
    let at = COUNTS + 2 * section;
    usize::from(u16::from_be_bytes([block[at], block[at + 1]]))
}

/// Where the transfer and withdrawal words of a block start, and its end.
fn sections(block: &[u8]) -> [usize; 3] {
    let transfers = SLOTS + SLOT * count_at(block, 0);
    let withdrawals = transfers + 30 * count_at(block, 1);
    [
        transfers,
        withdrawals,
        withdrawals + 22 * count_at(block, 2),
    ]
}

fn block_bytes(block: &[u8]) -> usize {
    sections(block)[2]
}

/// `value + times·modulus`, if it fits 32 bytes.
fn alias(value: &mut [u8], modulus: &str, times: u32) -> bool {
    let modulus: BigUint = modulus.parse().unwrap();
    let bytes = (BigUint::from_bytes_be(value) + modulus * times).to_bytes_be();
    if bytes.len() > 32 {
        return false;
    }
    value.fill(0);
    value[32 - bytes.len()..].copy_from_slice(&bytes);
    true
}

const CHANGES: [&str; 27] = [
    "honest",
    "honest, alone",
    "negated proof",
    "any bit",
    "a bit of the proof",
    "any byte",
    "cut",
    "longer",
    "c + k·r",
    "new root + k·r",
    "key + r",
    "coordinate + p",
    "paid out",
    "paid out, proven",
    "batch number, proven",
    "timestamp, proven",
    "a count",
    "a zero word carried",
    "entries swapped, proven",
    "payer or time of an entry",
    "replayed",
    "other deployment",
    "other shape",
    "other shape, proven",
    "withdrawal, proven",
    "number of batches or call",
    "batches swapped",
];

/// Changes calldata that have at least one batch; the same randomness changes both deployments'.
fn change(name: &str, data: &mut Vec<u8>, rng: &mut ChaCha20Rng, side: &Side<'_>) {
    let single = data[..4] == l1::evm::abi::selector(calldata::SUBMIT_BATCH);
    let at = if single { 4 } else { 6 };
    let [transfers, withdrawals, end] = sections(&data[at..]).map(|offset| at + offset);
    let slots = count_at(&data[at..], 0);
    let pick = rng.gen_range(0..data.len());
    match name {
        "negated proof" => {
            for y in [32, 128, 160] {
                let value = &mut data[at + PROOF + y..][..32];
                let p: BigUint = P.parse().unwrap();
                let bytes = (p - BigUint::from_bytes_be(value)).to_bytes_be();
                value.fill(0);
                value[32 - bytes.len()..].copy_from_slice(&bytes);
            }
        }
        "any bit" => data[pick] ^= 1 << rng.gen_range(0..8),
        "a bit of the proof" => {
            data[at + PROOF + rng.gen_range(0..256)] ^= 1 << rng.gen_range(0..8);
        }
        "any byte" => data[pick] ^= rng.gen_range(1..=255),
        "cut" => {
            let rest = if rng.gen_bool(0.5) {
                pick
            } else {
                data.len() - rng.gen_range(1..40)
            };
            data.truncate(rest);
        }
        "longer" => {
            let fill = if rng.gen_bool(0.5) { 0 } else { rng.r#gen() };
            data.extend(vec![fill; rng.gen_range(1..70)]);
        }
        "c + k·r" => {
            alias(&mut data[at + C..at + PROOF], R, rng.gen_range(1..5));
        }
        "new root + k·r" => {
            alias(&mut data[at + NEW_ROOT..at + C], R, rng.gen_range(1..5));
        }
        "key + r" if slots != 0 => {
            let key = at + SLOTS + 50 + 32 * rng.gen_range(0..2);
            alias(&mut data[key..key + 32], R, 1);
        }
        "coordinate + p" => {
            let coordinate = at + PROOF + 32 * rng.gen_range(0..8);
            alias(
                &mut data[coordinate..coordinate + 32],
                P,
                rng.gen_range(1..5),
            );
        }
        "paid out" | "paid out, proven" if slots != 0 => {
            let paid = at + SLOTS + SLOT * rng.gen_range(0..slots) + 114;
            let value = if rng.gen_bool(0.5) {
                rng.gen_range(0..3)
            } else {
                rng.r#gen::<u128>()
            };
            data[paid..paid + 16].copy_from_slice(&value.to_be_bytes());
            if name.ends_with("proven") {
                side.prove_again(data);
            }
        }
        "batch number, proven" => {
            let number = side.twins.world.next_batch;
            let number = *[0, number - 1, number + 1, (1 << 40) - 1]
                .choose(rng)
                .unwrap();
            data[at + 2..at + 7].copy_from_slice(&number.to_be_bytes()[3..]);
            side.prove_again(data);
        }
        "timestamp, proven" => {
            let (now, last) = (
                side.twins.now(),
                side.twins.native.head().unwrap().timestamp,
            );
            let slack = 86_400;
            let times = [
                now + 1,
                now - slack,
                now - slack - 1,
                last,
                last.max(1) - 1,
                0,
                (1 << 40) - 1,
            ];
            let time = times.choose(rng).unwrap();
            data[at + 7..at + 12].copy_from_slice(&time.to_be_bytes()[3..]);
            side.prove_again(data);
        }
        "a count" => {
            let count = at + COUNTS + 2 * rng.gen_range(0..3) + 1;
            let up = rng.gen_bool(0.5);
            data[count] = if up {
                data[count].wrapping_add(1)
            } else {
                data[count].wrapping_sub(1)
            };
        }
        "a zero word carried" => {
            let (place, bytes, section) = if rng.gen_bool(0.5) {
                (withdrawals, 30, 1)
            } else {
                (end, 22, 2)
            };
            data.splice(place..place, vec![0; bytes]);
            data[at + COUNTS + 2 * section + 1] += 1;
        }
        "entries swapped, proven" if slots == 2 => {
            let (first, second) = (at + SLOTS, at + SLOTS + SLOT);
            let moved: Vec<u8> = data[first..second].to_vec();
            data.copy_within(second..second + SLOT, first);
            data[second..second + SLOT].copy_from_slice(&moved);
            side.prove_again(data);
        }
        "payer or time of an entry" if slots != 0 => {
            let byte = at + SLOTS + 25 + rng.gen_range(0..25);
            data[byte] ^= 1 << rng.gen_range(0..8);
        }
        "other shape" | "other shape, proven" => {
            data[at + 1] = rng.gen_range(0..5);
            if name.ends_with("proven") {
                side.prove_again(data);
            }
        }
        "withdrawal, proven" if withdrawals != end => {
            // Unregistered, too large, or more than there is: what only L1 can refuse.
            match rng.gen_range(0..3) {
                0 => data[withdrawals..withdrawals + 4].copy_from_slice(&255u32.to_be_bytes()),
                1 => data[withdrawals + 4..withdrawals + 9].fill(0xff),
                _ => data[withdrawals + 4] = 0xf0 | (data[withdrawals + 4] & 7),
            }
            side.prove_again(data);
        }
        "number of batches or call" => {
            if single || rng.gen_bool(0.3) {
                let other = if single {
                    calldata::SUBMIT_BATCHES
                } else {
                    calldata::SUBMIT_BATCH
                };
                data[..4].copy_from_slice(&l1::evm::abi::selector(other));
            } else {
                data[5] = rng.gen_range(0..5);
            }
        }
        "batches swapped" if !single && end < data.len() => {
            let second = block_bytes(&data[end..]);
            let moved: Vec<u8> = data[at..end].to_vec();
            let rest: Vec<u8> = data[end..end + second].to_vec();
            data.splice(at..end + second, rest.into_iter().chain(moved));
        }
        _ => assert!(transfers <= end),
    }
}

fn encode(batches: &[TwinBatch], native: bool, alone: bool) -> Vec<u8> {
    let pick = |batch: &TwinBatch| {
        let sealed = if native { &batch.native } else { &batch.evm };
        (sealed.submission.clone(), sealed.entries.clone())
    };
    let parts: Vec<_> = batches.iter().map(pick).collect();
    if alone {
        let (submission, entries) = &parts[0];
        return encode_batch(submission, &tiny(), entries).unwrap();
    }
    let parts: Vec<(&Submission, &[_])> = parts
        .iter()
        .map(|(submission, entries)| (submission, entries.as_slice()))
        .collect();
    encode_batches(&parts, &tiny()).unwrap()
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
}

/// The last accepted calldata of both.
type Last = Option<(Vec<u8>, Vec<u8>)>;

fn attempt(
    twins: &mut Twins,
    rng: &mut ChaCha20Rng,
    last: &mut Last,
    tally: &mut BTreeMap<&'static str, Tally>,
) {
    let (operator, stranger) = (twins.native.operator().unwrap(), anybody(rng));
    let right = twins.native.submission_right(twins.now()).unwrap();
    let often = match right {
        SubmissionRight::Anybody { .. } => 0.6,
        _ => 0.1,
    };
    let by_stranger = stranger != operator && rng.gen_bool(often);
    let caller = if by_stranger { stranger } else { operator };
    let name = match by_stranger && rng.gen_bool(0.5) {
        true => "honest",
        false => CHANGES.choose(rng).unwrap(),
    };
    let alone = name == "honest, alone" || rng.gen_bool(0.6);
    let count = if alone { 1 } else { rng.gen_range(1..=3) };
    let batches = twins.seal(rng, count);
    let (mut evm, mut native) = (
        encode(&batches, false, alone),
        encode(&batches, true, alone),
    );
    let seed: [u8; 32] = rng.r#gen();
    for (data, is_native) in [(&mut evm, false), (&mut native, true)] {
        let side = Side {
            twins,
            native: is_native,
        };
        change(name, data, &mut ChaCha20Rng::from_seed(seed), &side);
    }
    match (name, &last) {
        ("replayed", Some((of_evm, of_native))) => {
            (evm, native) = (of_evm.clone(), of_native.clone());
        }
        ("other deployment", _) => std::mem::swap(&mut evm, &mut native),
        _ => {}
    }
    let (what, name) = match (by_stranger, name.starts_with("honest")) {
        (true, true) => (name, "a stranger's"),
        (true, false) => (name, "a stranger's, changed"),
        (false, _) => (name, name),
    };
    let what = format!("{what} by {caller}, {count} batches, alone: {alone}");
    let verdict = twins.submit(&what, caller, &evm, &native);
    let count = tally.entry(name).or_default();
    match verdict {
        Ok(()) => {
            count.accepted += 1;
            twins.accepted(&batches);
            twins.compare();
            *last = Some((evm, native));
        }
        Err(why) => {
            count.refused += 1;
            // Withdrawals that were changed and proven again pay what the accounts have, which a later batch lacks.
            let emptied = why.contains("all accounts together have");
            assert!(!name.starts_with("honest") || emptied, "{what}: {why}");
        }
    }
}

/// Some other call, good or bad.
fn other_call(twins: &mut Twins, rng: &mut ChaCha20Rng) {
    let caller = address(rng.gen_range(1..=ACTORS));
    let next = u32::try_from(twins.native.head().unwrap().next_index).unwrap();
    let index = rng.gen_range(0..=next);
    let fee = if rng.gen_bool(0.9) { FEE } else { FEE + 1 };
    let amount = match rng.gen_range(0..10) {
        0 => 0,
        1 => 1 << 90,
        _ => rng.gen_range(0..1_000_000),
    };
    let operator = twins.native.operator().unwrap();
    let happened = match rng.gen_range(0..8) {
        0 | 1 => {
            let mut deposit = sample::deposit(caller, next, rng.gen_range(0..3), amount, fee);
            bad_key(&mut deposit, rng);
            if deposit.token == 1 && rng.gen_bool(0.1) {
                deposit.amount = u128::MAX - rng.gen_range(0..1_000_000);
            }
            twins.deposit(&deposit)
        }
        2 => twins.top_up(caller, index, amount, fee),
        3 => {
            let owner = twins
                .native
                .registered(index)
                .unwrap()
                .map_or(caller, |r| r.owner);
            let caller = if rng.gen_bool(0.8) { owner } else { caller };
            twins.request_exit(caller, index, fee)
        }
        4 => twins.claim(anybody(rng), rng.gen_range(0..2)),
        5 if rng.gen_bool(0.5) => twins.collect_fees(operator),
        5 => twins.collect_fees(caller) || (!can_freeze(twins) && twins.freeze(caller)),
        _ => operator_role(twins, operator, rng),
    };
    if happened {
        twins.compare();
    }
}

/// An actor, or whoever was the operator first.
fn anybody(rng: &mut ChaCha20Rng) -> Address {
    match rng.gen_range(0..=ACTORS) {
        0 => OPERATOR,
        actor => address(actor),
    }
}

/// A return or a step of a hand-over, mostly by who may.
fn operator_role(twins: &mut Twins, operator: Address, rng: &mut ChaCha20Rng) -> bool {
    let own = rng.gen_bool(0.8);
    let caller = if own { operator } else { anybody(rng) };
    match rng.gen_range(0..5) {
        0 | 1 => twins.return_operator(caller),
        2 => twins.offer_operator(caller, rng.gen_bool(0.8).then(|| anybody(rng))),
        _ => {
            let offered = twins.native.offered_operator().unwrap();
            twins.accept_operator(offered.filter(|_| own).unwrap_or_else(|| anybody(rng)))
        }
    }
}

/// True if the queue has waited long enough for a freeze, which would be the end of a story.
fn can_freeze(twins: &Twins) -> bool {
    let after = twins.world.rollup.config.freeze_after;
    let oldest = twins.native.pending(1).unwrap();
    let oldest = oldest.first();
    oldest.is_some_and(|entry| twins.now() - entry.time > after)
}

/// Some time passes; sometimes until the oldest entry becomes overdue, or the operator's hour ends, to
/// the second.
fn wait(twins: &mut Twins, rng: &mut ChaCha20Rng) {
    let (now, head) = (twins.now(), twins.native.head().unwrap());
    let oldest = twins.native.pending(1).unwrap();
    let overdue = oldest
        .first()
        .map(|entry| entry.time + twins.world.rollup.config.takeover_after);
    let hour = Some(head.operator_back_at + l1::OPERATORS_HOUR);
    let event = match rng.gen_range(0..20) {
        0..4 => overdue,
        4..6 => hour,
        _ => None,
    };
    let later = event.map(|time| time - 1 + rng.gen_range(0..3));
    let later = later.filter(|time| *time > now);
    let time = later.unwrap_or_else(|| now + rng.gen_range(0..5_000));
    twins.world.chain.set_time(time);
}

/// Sometimes not the key that belongs to `Q`.
fn bad_key(deposit: &mut Deposit, rng: &mut ChaCha20Rng) {
    match rng.gen_range(0..20) {
        0 => deposit.key = Point::identity(),
        1 => deposit.q = deposit.key,
        2 => deposit.q.x += Fr::from(1u64),
        3 => (deposit.key, deposit.q) = (Point::identity(), Point::identity()),
        _ => {}
    }
}

/// Freeze, then exits, cancelled deposits and claims, good and bad.
fn leave(twins: &mut Twins, rng: &mut ChaCha20Rng) {
    let waits = twins.native.pending(1).unwrap().is_empty();
    if waits {
        let owner = twins
            .native
            .registered(1)
            .unwrap()
            .map_or(address(1), |r| r.owner);
        if !twins.request_exit(owner, 1, FEE) {
            let next = u32::try_from(twins.native.head().unwrap().next_index).unwrap();
            twins.deposit(&sample::deposit(owner, next, 0, 5, FEE));
        }
    }
    twins.world.chain.set_time(twins.now() + 7 * 86_400 + 1_000);
    assert!(twins.freeze(address(1)));
    assert!(!twins.freeze(address(1)));
    let batches = twins.seal(rng, 1);
    let [evm, native] = [false, true].map(|native| encode(&batches, native, true));
    assert!(twins.submit("frozen", OPERATOR, &evm, &native).is_err());
    for _ in 0..3 {
        let indices: Vec<u32> = twins
            .world
            .state
            .accounts()
            .map(|(index, _)| index)
            .collect();
        for index in indices {
            let account = *twins.world.state.account(index).unwrap();
            let siblings = twins.world.state.prove(index).unwrap().siblings;
            let mut exit = Exit {
                index,
                account,
                siblings,
            };
            match rng.gen_range(0..8) {
                0 => exit.account.balance += 1,
                1 => exit.account.nonce += 1,
                2 => exit.account.token ^= 1,
                3 => exit.index = rng.gen_range(0..300),
                4 => exit.siblings[rng.gen_range(0..4)][rng.gen_range(0..3)] += Fr::from(1u64),
                5 => exit.siblings.truncate(3),
                _ => {}
            }
            twins.exit(address(2), &exit);
        }
        for _ in 0..6 {
            let number = rng.gen_range(0..=twins.native.head().unwrap().queue_tail);
            twins.cancel(address(3), number);
        }
        for actor in 1..=ACTORS {
            for token in 0..TOKENS {
                twins.claim(address(actor), token);
            }
        }
        other_call(twins, rng);
        twins.compare();
    }
}

#[test]
fn one_verdict() {
    let wanted = std::env::var("QUIRE_VERDICTS").map_or(300, |n| n.parse().unwrap());
    let mut tally = BTreeMap::new();
    for story in 0..wanted / STORY {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::try_from(story).unwrap());
        let mut twins = Twins::new();
        let mut last = None;
        for _ in 0..6 {
            other_call(&mut twins, &mut rng);
        }
        for _ in 0..STORY {
            for _ in 0..rng.gen_range(0..3) {
                other_call(&mut twins, &mut rng);
            }
            wait(&mut twins, &mut rng);
            attempt(&mut twins, &mut rng, &mut last, &mut tally);
        }
        twins.compare();
        leave(&mut twins, &mut rng);
    }
    for (name, Tally { accepted, refused }) in &tally {
        println!("{name:28} accepted {accepted:5} refused {refused:5}");
    }
    let sum = |of: fn(&Tally) -> usize| tally.values().map(of).sum::<usize>();
    let (accepted, refused) = (sum(|t| t.accepted), sum(|t| t.refused));
    println!("{accepted} accepted, {refused} refused, no difference");
    assert!(4 * accepted > refused && refused > accepted);
    let Tally { accepted, refused } = tally["a stranger's"];
    assert!(accepted > 0 && refused > 0);
    for name in ["c + k·r", "other deployment", "batch number, proven"] {
        assert!(tally[name].accepted <= tally[name].refused, "{name}");
    }
}
