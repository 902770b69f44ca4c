//! The contract and the native L1 side by side: every call to both, and one verdict.

use std::collections::BTreeMap;

use circuits::shapes::by_name;
use evm::chain::CallError;
use evm::sample::{self, CHAIN_ID, OPERATOR, Sealed, World, address, seal, transfer, withdraw};
use l1::bytes::Bytes;
use l1::evm::abi::{self, call, uint};
use l1::evm::calldata::{self, Entry};
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Address, Deposit, Exit, Genesis, L1Error, NativeL1, Parameters, Submission};
use ledger::field::Fr;
use ledger::operation::L1Op;
use ledger::shape::Shape;
use ledger::transition::Operation;
use prover::key::AllowDevKeys;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use tempfile::TempDir;

pub const FEE: u128 = 1_000;
pub const CAP: u64 = 12;
pub const ACTORS: u8 = 5;
pub const TOKENS: u32 = 2;

pub fn tiny() -> Shape {
    by_name("tiny").unwrap()
}

/// Listed too; the same sizes.
pub fn other() -> Shape {
    Shape { id: 2, ..tiny() }
}

/// Listed too; without L1 slots.
pub fn slotless() -> Shape {
    Shape {
        id: 3,
        l1_ops: 0,
        ..tiny()
    }
}

/// All listed shapes.
pub fn shapes() -> [Shape; 3] {
    [tiny(), other(), slotless()]
}

/// What an operation of a user is, before it is signed for a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    from: u32,
    /// `None`: a withdrawal.
    to: Option<u32>,
    token: u32,
    amount: u128,
    fee: u128,
    nonce: u64,
}

impl Wish {
    fn sign(&self, domain: &Fr) -> Operation {
        let Self {
            from,
            to,
            token,
            amount,
            fee,
            nonce,
        } = *self;
        match to {
            Some(to) => transfer(domain, from, (from, to), (token, amount, fee), nonce),
            None => withdraw(domain, from, from, (token, amount, fee), nonce),
        }
    }
}

/// A batch sealed for both deployments.
#[derive(Clone, Debug)]
pub struct TwinBatch {
    pub evm: Sealed,
    pub native: Sealed,
}

pub struct Twins {
    pub world: World,
    pub native: NativeL1,
    pub erc20: Address,
    _folder: TempDir,
}

fn parameters() -> Parameters {
    let listed = |shape| ListedShape {
        shape,
        fingerprint: Bytes([0; 32]),
    };
    let token = |name: &str, byte| Token {
        decimals: None,
        name: name.to_owned(),
        address: Bytes([byte; 20]),
    };
    let config = sample::config(4, FEE);
    Parameters {
        chain_id: 0,
        contract: None,
        salt: Bytes([5; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: OPERATOR,
        },
        shapes: shapes().map(listed).into(),
        l1_fee: FEE,
        pending_cap: CAP,
        timestamp_slack: config.timestamp_slack,
        takeover_after: config.takeover_after,
        freeze_after: config.freeze_after,
        tokens: vec![token("ETH", 0), token("TKN", 0x11)],
    }
}

impl Twins {
    pub fn new() -> Self {
        let config = abi::Config {
            pending_cap: CAP,
            ..sample::config(4, FEE)
        };
        let mut world = World::with(config, &shapes());
        let folder = tempfile::tempdir().unwrap();
        let genesis = Genesis::new(parameters(), Vec::new()).unwrap();
        let path = folder.path().join("l1.redb");
        let mut native = NativeL1::create(&path, &genesis, AllowDevKeys::Yes).unwrap();
        let key = world.trapdoor.key([0; 32]);
        for id in [1, 2, 3] {
            native
                .register_key(OPERATOR, id, &key, sample::START)
                .unwrap();
        }
        let erc20 = plain_token(&mut world);
        Self {
            world,
            native,
            erc20,
            _folder: folder,
        }
    }

    pub fn now(&self) -> u64 {
        self.world.chain.time()
    }

    /// Both agree whether the call happens.
    fn agree<A, B: std::fmt::Debug>(
        &mut self,
        what: &str,
        evm: &Result<A, CallError>,
        native: &Result<B, L1Error>,
    ) -> bool {
        if let Err(L1Error::Store(error)) = native {
            panic!("{what}: {error}");
        }
        if let Err(error @ (CallError::Halted { .. } | CallError::Invalid(_))) = evm {
            panic!("{what}: {error}");
        }
        if evm.is_ok() != native.is_ok() {
            let evm = evm.as_ref().err().map(ToString::to_string);
            panic!("{what}: the contract: {evm:?}; natively: {native:?}");
        }
        evm.is_ok()
    }

    /// Both say the same about everything.
    pub fn compare(&mut self) {
        let (world, native) = (&mut self.world, &self.native);
        let (state, head) = (world.rollup.state(&mut world.chain), native.head().unwrap());
        assert_eq!(state.root, head.root);
        assert_eq!(
            [
                state.next_batch,
                state.timestamp,
                state.queue_head,
                state.queue_tail
            ],
            [
                head.next_batch,
                head.timestamp,
                head.queue_head,
                head.queue_tail
            ]
        );
        assert_eq!(
            (state.next_index, state.pending_deposits),
            (head.next_index, head.pending_deposits)
        );
        assert_eq!(
            (state.frozen, state.taken_over),
            (head.frozen, head.taken_over)
        );
        assert_eq!(
            world.rollup.operator(&mut world.chain),
            (head.operator, head.offered_operator, head.operator_back_at)
        );
        assert_eq!(
            world.rollup.operator_fees(&mut world.chain),
            head.operator_fees
        );
        let audited = native.audit().unwrap();
        let mut eth = head.operator_fees;
        for token in 0..TOKENS {
            let totals = world.rollup.totals(&mut world.chain, token);
            assert_eq!(totals, audited.get(&token).copied().unwrap_or_default());
            if token == 0 {
                eth += totals.escrow;
            } else {
                let balance = token_balance(world, &self.erc20);
                assert_eq!(balance, totals.escrow);
            }
            for owner in (1..=ACTORS).map(address).chain([OPERATOR]) {
                let got = world.rollup.claimable(&mut world.chain, &owner, token);
                assert_eq!(got, native.claimable(owner, token).unwrap());
            }
        }
        assert_eq!(world.chain.balance(&world.rollup.address), eth);
        for index in 0..=u32::try_from(head.next_index).unwrap() {
            let account = world.rollup.account(&mut world.chain, index);
            let registered = native.registered(index).unwrap();
            let (owner, token) = registered.map_or((Bytes([0; 20]), 0), |r| (r.owner, r.token));
            assert_eq!((account.owner, account.token), (owner, token));
            assert_eq!(account.exited, native.exited(index).unwrap());
        }
        for entry in native.queue(0, usize::MAX).unwrap() {
            let waits = entry.number >= head.queue_head && !native.cancelled(entry.number).unwrap();
            let expected = if waits {
                Entry::from(&entry).kept()
            } else {
                Bytes([0; 32])
            };
            let kept = world.rollup.kept(&mut world.chain, entry.number);
            assert_eq!(kept, expected);
        }
    }

    /// The queue as the native L1 has it; the model of the contract's.
    pub fn queue(&self) -> Vec<Entry> {
        self.native
            .queue(0, usize::MAX)
            .unwrap()
            .iter()
            .map(Entry::from)
            .collect()
    }

    fn note_queue(&mut self) {
        self.world.queue = self.queue();
    }

    pub fn deposit(&mut self, deposit: &Deposit) -> bool {
        let now = self.now();
        let evm = self.world.rollup.deposit(&mut self.world.chain, deposit);
        let native = self.native.deposit(deposit, now);
        let happened = self.agree(&format!("{deposit:?}"), &evm, &native);
        self.note_queue();
        happened
    }

    pub fn top_up(&mut self, caller: Address, index: u32, amount: u128, fee: u128) -> bool {
        let now = self.now();
        let token = self
            .world
            .rollup
            .account(&mut self.world.chain, index)
            .token;
        let place = (index, token);
        let evm = self
            .world
            .rollup
            .top_up(&mut self.world.chain, &caller, place, amount, fee);
        let native = self.native.top_up(caller, index, amount, fee, now);
        let happened = self.agree(&format!("top up {index} by {amount}"), &evm, &native);
        self.note_queue();
        happened
    }

    pub fn request_exit(&mut self, caller: Address, index: u32, fee: u128) -> bool {
        let now = self.now();
        let evm = self
            .world
            .rollup
            .request_exit(&mut self.world.chain, &caller, index, fee);
        let native = self.native.request_exit(caller, index, fee, now);
        let happened = self.agree(&format!("exit of {index}"), &evm, &native);
        self.note_queue();
        happened
    }

    pub fn claim(&mut self, caller: Address, token: u32) -> bool {
        let now = self.now();
        let evm = self
            .world
            .rollup
            .claim(&mut self.world.chain, &caller, token);
        let native = self.native.claim(caller, token, now);
        self.agree("claim", &evm, &native)
    }

    pub fn collect_fees(&mut self, caller: Address) -> bool {
        let now = self.now();
        let data = abi::collect_fees(&caller);
        let evm = self
            .world
            .rollup
            .send(&mut self.world.chain, &caller, 0, data);
        let native = self.native.collect_fees(caller, now);
        self.agree("collect fees", &evm, &native)
    }

    pub fn return_operator(&mut self, caller: Address) -> bool {
        let now = self.now();
        let World { rollup, chain, .. } = &mut self.world;
        let evm = rollup.return_operator(chain, &caller);
        let native = self.native.return_operator(caller, now);
        self.agree(&format!("return of {caller}"), &evm, &native)
    }

    pub fn offer_operator(&mut self, caller: Address, to: Option<Address>) -> bool {
        let now = self.now();
        let World { rollup, chain, .. } = &mut self.world;
        let evm = rollup.offer_operator(chain, &caller, to.as_ref());
        let native = self.native.offer_operator(caller, to, now);
        self.agree(&format!("{caller} offers to {to:?}"), &evm, &native)
    }

    pub fn accept_operator(&mut self, caller: Address) -> bool {
        let now = self.now();
        let World { rollup, chain, .. } = &mut self.world;
        let evm = rollup.accept_operator(chain, &caller);
        let native = self.native.accept_operator(caller, now);
        self.agree(&format!("{caller} accepts"), &evm, &native)
    }

    pub fn freeze(&mut self, caller: Address) -> bool {
        let now = self.now();
        let evm = self.world.rollup.freeze(&mut self.world.chain, &caller);
        let native = self.native.freeze(now);
        self.agree("freeze", &evm, &native)
    }

    pub fn exit(&mut self, caller: Address, exit: &Exit) -> bool {
        let now = self.now();
        let evm = self.world.rollup.exit(&mut self.world.chain, &caller, exit);
        let native = self.native.exit(exit, now);
        self.agree(&format!("exit by proof of {}", exit.index), &evm, &native)
    }

    /// The entry as it was queued, or one that never was.
    pub fn cancel(&mut self, caller: Address, number: u64) -> bool {
        let now = self.now();
        let entry = self.native.queue(number, 1).unwrap();
        let none = Entry {
            op: L1Op::TopUp {
                index: 1,
                token: 0,
                amount: 1,
            },
            payer: caller,
            time: now,
        };
        let entry = entry.first().map_or(none, Entry::from);
        let evm = self
            .world
            .rollup
            .cancel_deposit(&mut self.world.chain, &caller, number, &entry);
        let native = self.native.cancel_deposit(number, now);
        self.agree(&format!("cancel {number}"), &evm, &native)
    }

    /// Sends calldata to the contract, and what the native L1 reads from its own to it; why both refuse, as
    /// the native L1 says it.
    pub fn submit(
        &mut self,
        what: &str,
        caller: Address,
        evm: &[u8],
        native: &[u8],
    ) -> Result<(), String> {
        let sent = self
            .world
            .rollup
            .send(&mut self.world.chain, &caller, 0, evm.to_vec());
        let verdict = self.native_verdict(caller, native);
        if let Err(error @ (CallError::Halted { .. } | CallError::Invalid(_))) = &sent {
            panic!("{what}: {error}");
        }
        if sent.is_ok() != verdict.is_ok() {
            let evm = sent.err().map(|error| error.to_string());
            panic!("{what}: the contract: {evm:?}; natively: {verdict:?}");
        }
        verdict
    }

    fn native_verdict(&self, caller: Address, data: &[u8]) -> Result<(), String> {
        let shapes = shapes();
        let shape_of = |id| shapes.iter().find(|shape| shape.id == id);
        let head = self.native.head().unwrap();
        let sent = calldata::decode(data, shape_of, &self.native.domain(), &head.root);
        let sent = sent.map_err(|error| error.to_string())?;
        let claimed: Vec<Entry> = sent
            .iter()
            .flat_map(|batch| batch.entries.clone())
            .collect();
        let queue = self.native.pending(claimed.len()).unwrap();
        if claimed != queue.iter().map(Entry::from).collect::<Vec<_>>() {
            return Err("not the queue's entries".to_owned());
        }
        let submissions: Vec<Submission> = sent.into_iter().map(|batch| batch.submission).collect();
        match self.native.submit_batches(caller, &submissions, self.now()) {
            Ok(_) => Ok(()),
            Err(L1Error::Refused(refusal)) => Err(refusal.to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Random batches that chain, at least one, sealed for both deployments. The shape is `tiny`'s.
    pub fn seal(&self, rng: &mut ChaCha20Rng, count: usize) -> Vec<TwinBatch> {
        let mut batches: Vec<TwinBatch> = Vec::new();
        let mut consumed = self.world.consumed;
        let timestamp = self.timestamp(rng);
        for more in 0..count {
            let state = batches
                .last()
                .map_or(&self.world.state, |batch| &batch.evm.state);
            let waiting = self.world.queue.len() - consumed;
            let entries = rng.gen_range(0..=waiting.min(2));
            let entries = &self.world.queue[consumed..consumed + entries];
            consumed += entries.len();
            let first = |token| {
                let mut of_token = state
                    .accounts()
                    .filter(|(_, account)| account.token == token);
                of_token.next().map(|(index, _)| (token, index))
            };
            let fee_accounts: BTreeMap<u32, u32> = (0..TOKENS).filter_map(first).collect();
            let wishes = wishes(state, entries, &fee_accounts, rng);
            let make = |domain: Fr| {
                let context = ledger::transition::BatchContext {
                    domain,
                    batch_number: self.world.next_batch + u64::try_from(more).unwrap(),
                    timestamp,
                    fee_accounts: fee_accounts.clone(),
                };
                let operations: Vec<Operation> =
                    wishes.iter().map(|wish| wish.sign(&domain)).collect();
                seal(
                    state,
                    &tiny(),
                    context,
                    entries,
                    &operations,
                    &self.world.trapdoor,
                )
            };
            let twin = TwinBatch {
                evm: make(self.world.domain()),
                native: make(self.native.domain()),
            };
            assert_eq!(twin.evm.state.root(), twin.native.state.root());
            batches.push(twin);
        }
        batches
    }

    /// A time that a batch may have: now, or earlier.
    fn timestamp(&self, rng: &mut ChaCha20Rng) -> u64 {
        let (now, last) = (self.now(), self.native.head().unwrap().timestamp);
        let slack = self.world.rollup.config.timestamp_slack;
        match rng.gen_bool(0.7) {
            true => now,
            false => last.max(now - rng.gen_range(0..=slack)),
        }
    }

    /// Takes note of accepted batches.
    pub fn accepted(&mut self, batches: &[TwinBatch]) {
        let sealed: Vec<Sealed> = batches.iter().map(|batch| batch.evm.clone()).collect();
        self.world.accepted(&sealed);
    }
}

/// Up to two transfers and two withdrawals that can execute after the entries.
fn wishes(
    state: &ledger::state::State,
    entries: &[Entry],
    fee_accounts: &BTreeMap<u32, u32>,
    rng: &mut ChaCha20Rng,
) -> Vec<Wish> {
    let exiting = |index: u32| {
        let exits =
            |entry: &Entry| matches!(entry.op, L1Op::ForcedExit { index: i, .. } if i == index);
        entries.iter().any(exits)
    };
    let accounts: Vec<_> = state
        .accounts()
        .filter(|(index, _)| !exiting(*index))
        .collect();
    let mut nonces: BTreeMap<u32, u64> = BTreeMap::new();
    let mut wishes = Vec::new();
    let (transfers, withdrawals) = (rng.gen_range(0..=2), rng.gen_range(0..=2));
    for position in 0..transfers + withdrawals {
        let Some((from, account)) = accounts.choose(rng) else {
            break;
        };
        let receivers: Vec<u32> = accounts
            .iter()
            .filter(|(_, other)| other.token == account.token)
            .map(|(index, _)| *index)
            .collect();
        let nonce = nonces.entry(*from).or_insert(account.nonce);
        let pays_fee = fee_accounts.contains_key(&account.token) && rng.gen_bool(0.5);
        wishes.push(Wish {
            from: *from,
            to: (position < transfers).then(|| *receivers.choose(rng).unwrap()),
            token: account.token,
            amount: rng.gen_range(0..=account.balance / 8),
            fee: if pays_fee { account.balance / 100 } else { 0 },
            nonce: *nonce,
        });
        *nonce += 1;
    }
    wishes
}

/// A token that the contract knows as 1, of which everybody has and allows a lot.
fn plain_token(world: &mut World) -> Address {
    let artifact = l1::evm::artifacts::Artifact {
        name: "PlainToken",
        json: include_str!("../../../l1/contracts/artifacts/PlainToken.json"),
    };
    let erc20 = world
        .chain
        .deploy(&OPERATOR, artifact.bytecode())
        .unwrap()
        .0;
    world
        .rollup
        .send(&mut world.chain, &OPERATOR, 0, abi::add_token(&erc20))
        .unwrap();
    for actor in 1..=ACTORS {
        let who = address(actor);
        let mint = call(
            "mint(address,uint256)",
            &[abi::address(&who), uint(u128::MAX)],
        );
        world.chain.call(&who, &erc20, 0, mint).unwrap();
        let approve = [abi::address(&world.rollup.address), [0xff; 32]];
        let approve = call("approve(address,uint256)", &approve);
        world.chain.call(&who, &erc20, 0, approve).unwrap();
    }
    assert_eq!(world.chain.chain_id(), CHAIN_ID);
    erc20
}

fn token_balance(world: &mut World, erc20: &Address) -> u128 {
    let data = call("balanceOf(address)", &[abi::address(&world.rollup.address)]);
    let output = world.chain.view(erc20, data).unwrap();
    let [balance] = evm::rollup::words(&output);
    evm::rollup::u128_of(&balance)
}
