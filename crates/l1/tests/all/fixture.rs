//! A small deployment with a queue and proven batches for it, made once for all tests.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use circuits::shapes::compile;
use circuits::transition::{BatchValues, assignment};
use l1::Head;
use l1::bytes::Bytes;
use l1::genesis::{ListedShape, Operator, Token};
use l1::{
    Address, Deposit, Exit, FinalizedBatch, Genesis, GenesisAccount, L1Error, NativeL1, Parameters,
    QueueEntry, Refusal, Registration, Submission, TokenTotals,
};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::eddsa::PrivateKey;
use ledger::field::Fr;
use ledger::float::{Float16, Float40};
use ledger::operation::{L1Op, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{BatchContext, Operation, apply_batch};
use ledger::words::PublicWords;
use prover::key::{AllowDevKeys, ProvingKey};
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use r1cs::R1cs;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;

/// Accepted everywhere; has a key.
pub const TINY: Shape = Shape {
    id: 1,
    depth: 4,
    l1_ops: 2,
    transfers: 2,
    withdrawals: 2,
    fee_slots: 2,
    cached_levels: 1,
};
/// Listed, with another circuit's fingerprint and no key.
pub const OTHER: Shape = Shape { id: 2, ..TINY };

pub const OPERATOR: Address = Bytes([0xee; 20]);
pub const ALICE: Address = Bytes([0xa1; 20]);
pub const BOB: Address = Bytes([0xb0; 20]);
pub const CAROL: Address = Bytes([0xca; 20]);

pub const FEE: u128 = 1_000;
pub const CAP: u64 = 300;
pub const SLACK: u64 = 86_400;
pub const TAKEOVER_AFTER: u64 = 3 * 86_400;
pub const FREEZE_AFTER: u64 = 7 * 86_400;
/// The system's time when the queue is filled, ten minutes before the first batch.
pub const T0: u64 = T1 - 600;
/// L1's time when the first batch is sealed; the second is sealed a minute later.
pub const T1: u64 = 1_700_000_000;
pub const T2: u64 = T1 + 60;

pub struct Setup {
    pub r1cs: R1cs,
    pub key: ProvingKey,
}

/// The tiny circuit with its development key.
pub fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let r1cs = compile(&TINY).unwrap().r1cs;
        let key = setup_insecure_dev(&r1cs, "tiny", b"tiny", 7).unwrap();
        Setup { r1cs, key }
    })
}

/// The L2 key of a person.
pub fn wallet(name: &str) -> PrivateKey {
    PrivateKey::derive("quire l1 tests", name.as_bytes())
}

pub fn account(owner: Address, name: &str, token: u32, balance: u128) -> GenesisAccount {
    let key = wallet(name).public_key();
    GenesisAccount {
        owner,
        token,
        key,
        q: cofactor_inverse_point(&key),
        balance,
    }
}

/// Index 1: Alice, ETH; 2: Bob, ETH; 3: Alice, token 1.
pub fn accounts() -> Vec<GenesisAccount> {
    vec![
        account(ALICE, "alice", 0, 1_000_000),
        account(BOB, "bob", 0, 500_000),
        account(ALICE, "alice", 1, 77),
    ]
}

pub fn parameters() -> Parameters {
    Parameters {
        chain_id: 0,
        contract: None,
        salt: Bytes([5; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: OPERATOR,
        },
        shapes: vec![
            ListedShape {
                shape: TINY,
                fingerprint: Bytes(setup().r1cs.fingerprint()),
            },
            ListedShape {
                shape: OTHER,
                fingerprint: Bytes([9; 32]),
            },
        ],
        l1_fee: FEE,
        pending_cap: CAP,
        timestamp_slack: SLACK,
        takeover_after: TAKEOVER_AFTER,
        freeze_after: FREEZE_AFTER,
        tokens: vec![
            Token {
                decimals: None,
                name: "ETH".to_owned(),
                address: Bytes([0; 20]),
            },
            Token {
                decimals: None,
                name: "TKN".to_owned(),
                address: Bytes([0x11; 20]),
            },
        ],
    }
}

pub fn genesis() -> Genesis {
    Genesis::new(parameters(), accounts()).unwrap()
}

pub fn genesis_with(change: impl FnOnce(&mut Parameters)) -> Genesis {
    let mut parameters = parameters();
    change(&mut parameters);
    Genesis::new(parameters, accounts()).unwrap()
}

/// A chain in a folder that goes away with it.
pub struct Chain {
    pub l1: NativeL1,
    pub folder: TempDir,
}

impl std::ops::Deref for Chain {
    type Target = NativeL1;

    fn deref(&self) -> &NativeL1 {
        &self.l1
    }
}

pub fn chain(genesis: &Genesis) -> Chain {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l1.redb");
    let l1 = NativeL1::create(&path, genesis, AllowDevKeys::Yes).unwrap();
    Chain { l1, folder }
}

/// A chain with the tiny shape's key.
pub fn chain_with_key(genesis: &Genesis) -> Chain {
    let mut chain = chain(genesis);
    let key = setup().key.verifying_key();
    chain.l1.register_key(OPERATOR, TINY.id, key, T0).unwrap();
    chain
}

pub fn deposit_of(caller: Address, name: &str, token: u32, amount: u128) -> Deposit {
    let key = wallet(name).public_key();
    Deposit {
        caller,
        token,
        amount,
        key,
        q: cofactor_inverse_point(&key),
        fee: FEE,
    }
}

/// The queue of the story: Carol deposits and gets index 4, Alice tops Bob's account up, Bob asks
/// to exit.
pub fn fill_queue(l1: &NativeL1) {
    assert_eq!(
        l1.deposit(&deposit_of(CAROL, "carol", 0, 5_000), T0)
            .unwrap(),
        4
    );
    assert_eq!(l1.top_up(ALICE, 2, 100, FEE, T0).unwrap(), 1);
    assert_eq!(l1.request_exit(BOB, 2, FEE, T0).unwrap(), 2);
}

/// The story's chain: key registered, queue filled, nothing submitted.
pub fn story_chain() -> Chain {
    let chain = chain_with_key(&genesis());
    fill_queue(&chain);
    chain
}

/// A proven batch with the state that it leaves.
pub struct Proven {
    pub words: PublicWords,
    pub submission: Submission,
    pub state: State,
}

pub fn transfer(
    domain: &Fr,
    who: &str,
    (from, to): (u32, u32),
    amount: u128,
    nonce: u64,
) -> Operation {
    let op = Transfer {
        from,
        to,
        amount: Float40::exact(amount).unwrap(),
        fee: Float16::exact(10).unwrap(),
        nonce,
        valid_until: NO_EXPIRY,
        token: 0,
    };
    let key = wallet(who);
    let signed = op.sign(&key, domain);
    Operation::Transfer(signed.verify(&key.public_key(), domain).unwrap())
}

pub fn withdraw(domain: &Fr, who: &str, from: u32, amount: u128, nonce: u64) -> Operation {
    let op = Withdraw {
        from,
        amount: Float40::exact(amount).unwrap(),
        fee: Float16::exact(10).unwrap(),
        nonce,
        valid_until: NO_EXPIRY,
        token: 0,
    };
    let key = wallet(who);
    let signed = op.sign(&key, domain);
    Operation::Withdraw(signed.verify(&key.public_key(), domain).unwrap())
}

/// Seals and proves a batch on `before`.
pub fn proven(
    before: &State,
    domain: Fr,
    number: u64,
    timestamp: u64,
    ops: &[Operation],
) -> Proven {
    let mut state = before.clone();
    let context = BatchContext {
        domain,
        batch_number: number,
        timestamp,
        fee_accounts: BTreeMap::from([(0, 1)]),
    };
    let applied = apply_batch(&mut state, &TINY, context, ops).unwrap();
    let values = BatchValues::of(&applied.witness).unwrap();
    let Setup { r1cs, key } = setup();
    let mut rng = ChaCha20Rng::seed_from_u64(number);
    let proof = prove(key, r1cs, &assignment(&values), &mut rng).unwrap();
    let submission = Submission::new(&applied.words, &TINY, &values.c, &proof).unwrap();
    Proven {
        words: applied.words,
        submission,
        state,
    }
}

/// The story's queue as operations.
pub fn queue_ops() -> [L1Op; 3] {
    let chain = chain(&genesis());
    fill_queue(&chain);
    let entries = chain.queue(0, 3).unwrap();
    [entries[0].op, entries[1].op, entries[2].op]
}

/// Two chained batches, and another first batch on the same root.
pub struct Story {
    pub first: Proven,
    pub second: Proven,
    pub fork: Proven,
}

/// First: Carol's deposit, the top-up, Alice pays Bob 300, Bob withdraws 1,000. Second: Bob's
/// exit, Carol pays Alice 2,000. Fork: Carol's deposit alone.
pub fn story() -> &'static Story {
    static STORY: OnceLock<Story> = OnceLock::new();
    STORY.get_or_init(|| {
        let genesis = genesis();
        let (state, domain) = (genesis.state(), genesis.deployment().domain());
        let [create, top_up, exit] = queue_ops().map(Operation::L1);
        let ops = [
            create,
            top_up,
            transfer(&domain, "alice", (1, 2), 300, 0),
            withdraw(&domain, "bob", 2, 1_000, 0),
        ];
        let first = proven(&state, domain, 1, T1, &ops);
        let ops = [exit, transfer(&domain, "carol", (4, 1), 2_000, 0)];
        let second = proven(&first.state, domain, 2, T2, &ops);
        let fork = proven(&state, domain, 1, T1, &[create]);
        Story {
            first,
            second,
            fork,
        }
    })
}

/// Everything that a chain says about itself.
#[derive(Debug, PartialEq)]
pub struct Picture {
    head: Head,
    totals: BTreeMap<u32, TokenTotals>,
    queue: Vec<QueueEntry>,
    registry: Vec<Option<Registration>>,
    batches: Vec<FinalizedBatch>,
    claims: Vec<(Address, u32, u128)>,
    exited: Vec<bool>,
    cancelled: Vec<bool>,
    keys: Vec<Option<String>>,
}

pub fn picture(l1: &NativeL1) -> Picture {
    let head = l1.head().unwrap();
    let claims = l1.claims().unwrap();
    for (owner, token, amount) in &claims {
        assert_eq!(l1.claimable(*owner, *token).unwrap(), *amount);
    }
    let indices = 0..=u32::try_from(head.next_index).unwrap();
    let numbers = 0..head.queue_tail;
    Picture {
        head,
        totals: l1.audit().unwrap(),
        queue: l1.queue(0, usize::MAX).unwrap(),
        exited: indices
            .clone()
            .map(|index| l1.exited(index).unwrap())
            .collect(),
        registry: indices.map(|index| l1.registered(index).unwrap()).collect(),
        batches: l1.batches(0, usize::MAX).unwrap(),
        cancelled: numbers
            .map(|number| l1.cancelled(number).unwrap())
            .collect(),
        claims,
        keys: [1, 2].map(|id| l1.key(id).map(|key| key.id_hex())).into(),
    }
}

/// Makes a call that must be refused and must leave no trace.
pub fn refused<T>(l1: &NativeL1, call: impl FnOnce(&NativeL1) -> Result<T, L1Error>) -> Refusal {
    let before = picture(l1);
    let Err(L1Error::Refused(refusal)) = call(l1) else {
        panic!("the call was not refused");
    };
    assert_eq!(picture(l1), before, "after {refusal}");
    refusal
}

/// The fault of a single batch that must be refused without a trace.
pub fn fault(l1: &NativeL1, submission: &Submission, now: u64) -> l1::BatchFault {
    match refused(l1, |l1| l1.submit_batch(OPERATOR, submission, now)) {
        Refusal::Batch { position: 0, fault } => fault,
        Refusal::Proof(fault) => l1::BatchFault::NotProven(fault),
        other => panic!("refused for {other}"),
    }
}

/// For each token what all accounts of a state have that did not exit after a freeze.
pub fn balances(l1: &NativeL1, state: &State) -> BTreeMap<u32, u128> {
    let mut sums = BTreeMap::new();
    for (index, account) in state.accounts() {
        let sum: &mut u128 = sums.entry(account.token).or_default();
        if !l1.exited(index).unwrap() {
            *sum += account.balance;
        }
    }
    sums
}

/// The exit of an account with the path that the state shows.
pub fn exit_of(state: &State, index: u32) -> Exit {
    Exit {
        index,
        account: *state.account(index).unwrap(),
        siblings: state.prove(index).unwrap().siblings,
    }
}

/// Freezes the chain for the oldest entry, which waits since [`T0`] or later.
pub fn freeze(l1: &NativeL1) {
    l1.advance_time(FREEZE_AFTER + 1_000).unwrap();
    l1.freeze(T1).unwrap();
}

/// `escrow = balances + claimable + pending`, with the balances of the state itself.
pub fn assert_conserved(l1: &NativeL1, state: &State) {
    assert_eq!(l1.head().unwrap().root, state.root());
    let kept = l1.audit().unwrap();
    let kept: BTreeMap<u32, u128> = kept
        .iter()
        .map(|(t, totals)| (*t, totals.balances()))
        .collect();
    assert_eq!(kept, balances(l1, state));
}

/// The position of an item for which `accepted` holds, searched with all threads. Plain threads:
/// verification runs in rayon's pool, where waiting calls would pile up on each other.
pub fn find_accepted<T: Sync>(items: &[T], accepted: impl Fn(&T) -> bool + Sync) -> Option<usize> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let accepted = &accepted;
        let search = |first: usize| {
            let mut own = items.iter().enumerate().skip(first).step_by(threads);
            own.find(|(_, item)| accepted(item)).map(|(at, _)| at)
        };
        let searches: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || search(first)))
            .collect();
        let found = searches.into_iter().map(|search| search.join().unwrap());
        found.collect::<Vec<_>>().into_iter().flatten().next()
    })
}
