//! A rollup with accounts and batches of real, signed operations, for tests and gas figures.
//!
//! Proofs come from a key whose secrets are known ([`Trapdoor`]): whoever knows them can prove
//! anything (Groth, ePrint 2016/260, section 3.1, the simulator), so that L1's own rules can be
//! tested one by one, and batches of any shape cost no proving. Such a proof has the length of any
//! other and costs L1 the same gas. A deployment in use never has such a key: setup forgets the
//! secrets. Invariant: every batch made here is executed by `ledger`, with true signatures.

use std::collections::BTreeMap;

use ark_bn254::{Bn254, Fr as Scalar, G1Projective, G2Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{Field, UniformRand};
use l1::bytes::Bytes;
use l1::evm::abi::Config;
use l1::evm::calldata::{Entry, encode_batch, encode_batches};
use l1::{Address, Deposit, Submission};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::eddsa::PrivateKey;
use ledger::field::{Fr, from_be_bytes, to_be_bytes};
use ledger::float::{Float16, Float40};
use ledger::operation::{Authorized, L1Op, NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::shape::Shape;
use ledger::state::State;
use ledger::transition::{BatchContext, Operation, apply_batch};
use ledger::words::{PublicWords, challenge, commitment, evaluation};
use prover::key::{KeyInfo, Origin, VerifyingKey};
use prover::proof::{PROOF_BYTES, Proof};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::chain::{Chain, Receipt};
use crate::rollup::{Rollup, deploy};

/// Public inputs of a batch proof: `c`, `z`, `y`.
const INPUTS: usize = 3;

/// The secrets of a key, from which any statement can be proven.
#[derive(Clone, Debug)]
pub struct Trapdoor {
    alpha: Scalar,
    beta: Scalar,
    gamma: Scalar,
    delta: Scalar,
    ic: [Scalar; INPUTS + 1],
}

impl Trapdoor {
    /// Secrets from a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut next = || Scalar::rand(&mut rng);
        Self {
            alpha: next(),
            beta: next(),
            gamma: next(),
            delta: next(),
            ic: [next(), next(), next(), next()],
        }
    }

    /// The key, marked as one from a development setup.
    pub fn key(&self, fingerprint: [u8; 32]) -> VerifyingKey {
        let g1 = |scalar: &Scalar| (G1Projective::generator() * scalar).into_affine();
        let g2 = |scalar: &Scalar| (G2Projective::generator() * scalar).into_affine();
        let ark = ark_groth16::VerifyingKey::<Bn254> {
            alpha_g1: g1(&self.alpha),
            beta_g2: g2(&self.beta),
            gamma_g2: g2(&self.gamma),
            delta_g2: g2(&self.delta),
            gamma_abc_g1: self.ic.iter().map(g1).collect(),
        };
        let info = KeyInfo {
            name: "trapdoor".to_owned(),
            shape: Vec::new(),
            fingerprint,
            origin: Origin::Dev,
        };
        VerifyingKey::new(ark, info).expect("random points make a key without faults")
    }

    /// A proof for these public inputs, whatever they say.
    pub fn prove(&self, inputs: &[Fr; INPUTS], rng: &mut ChaCha20Rng) -> Proof {
        let (a, b) = (Scalar::rand(rng), Scalar::rand(rng));
        let sum = self.ic[0]
            + self.ic[1..]
                .iter()
                .zip(inputs)
                .map(|(x, y)| *x * y)
                .sum::<Scalar>();
        let delta_inverse = self.delta.inverse().expect("a random secret is not 0");
        let c = (a * b - self.alpha * self.beta - sum * self.gamma) * delta_inverse;
        let (g1, g2) = (G1Projective::generator(), G2Projective::generator());
        let points = (
            (g1 * a).into_affine(),
            (g2 * b).into_affine(),
            (g1 * c).into_affine(),
        );
        Proof::new(points.0, points.1, points.2).expect("random points are finite")
    }

    /// The bytes of a proof that satisfies the equation with `C` at infinity, which no decoder takes.
    pub fn prove_with_infinite_c(&self, inputs: &[Fr; INPUTS]) -> [u8; PROOF_BYTES] {
        let sum = self.ic[0]
            + self.ic[1..]
                .iter()
                .zip(inputs)
                .map(|(x, y)| *x * y)
                .sum::<Scalar>();
        let b = self.alpha * self.beta + sum * self.gamma;
        let (g1, g2) = (G1Projective::generator(), G2Projective::generator());
        let (a, b) = (g1.into_affine(), (g2 * b).into_affine());
        let proof = Proof::new(a, b, a).expect("a random combination is finite");
        let mut bytes = proof.to_bytes();
        bytes[192..].fill(0);
        bytes
    }
}

/// The words that published bytes carry, without any check of what they say.
///
/// # Panics
/// If the bytes have another length than their counts say.
pub fn raw_words(data: &[u8], shape: &Shape) -> Vec<Fr> {
    let mut rest = data;
    let mut take = |bytes: usize| {
        let (head, tail) = rest.split_at(bytes);
        rest = tail;
        let mut word = [0; 32];
        word[32 - bytes..].copy_from_slice(head);
        word
    };
    let word = |bytes: [u8; 32]| from_be_bytes(&bytes).expect("a word below r");
    let mut words = vec![word(take(32)), word(take(32)), word(take(32))];
    let mut numbers = take(12)[20..].to_vec();
    for _ in 0..shape.fee_slots {
        numbers.extend(&take(4)[28..]);
    }
    numbers.resize(12 + 4 * 4 + 28 * shape.extra_header_words(), 0);
    for chunk in numbers.chunks(28) {
        let mut bytes = [0; 32];
        bytes[4..].copy_from_slice(chunk);
        words.push(word(bytes));
    }
    let mut count = || {
        let bytes = take(2);
        usize::from(u16::from_be_bytes([bytes[30], bytes[31]]))
    };
    let (slots, transfers, withdrawals) = (count(), count(), count());
    for _ in 0..slots {
        words.extend([25, 32, 32, 16].map(|bytes| word(take(bytes))));
    }
    let zero = Fr::from(0u64);
    words.resize(shape.header_words() + shape.l1_words(), zero);
    words.extend((0..transfers).map(|_| word(take(30))));
    words.resize(shape.word_count() - shape.withdrawal_words(), zero);
    words.extend((0..withdrawals).map(|_| word(take(22))));
    words.resize(shape.word_count(), zero);
    words
}

/// `c`, `z`, `y` of words with this `c`.
pub fn inputs_of(words: &[Fr], c: Fr) -> [Fr; INPUTS] {
    let z = challenge(&c, words);
    [c, z, evaluation(words, &z)]
}

/// An account key by number.
pub fn wallet(number: u32) -> PrivateKey {
    PrivateKey::derive("quire evm samples", &number.to_be_bytes())
}

/// An address by number.
pub fn address(number: u8) -> Address {
    let mut bytes = [number; 20];
    bytes[0] = 0xaa;
    Bytes(bytes)
}

/// A deposit with the key of a wallet.
pub fn deposit(caller: Address, key: u32, token: u32, amount: u128, fee: u128) -> Deposit {
    let key = wallet(key).public_key();
    Deposit {
        caller,
        token,
        amount,
        key,
        q: cofactor_inverse_point(&key),
        fee,
    }
}

/// A signed transfer of a wallet's account.
pub fn transfer(
    domain: &Fr,
    key: u32,
    (from, to): (u32, u32),
    (token, amount, fee): (u32, u128, u128),
    nonce: u64,
) -> Operation {
    let op = Transfer {
        from,
        to,
        amount: Float40::round_down(amount),
        fee: Float16::round_down(fee),
        nonce,
        valid_until: NO_EXPIRY,
        token,
    };
    Operation::Transfer(authorize(&op, key, domain))
}

/// A signed withdrawal of a wallet's account.
pub fn withdraw(
    domain: &Fr,
    key: u32,
    from: u32,
    (token, amount, fee): (u32, u128, u128),
    nonce: u64,
) -> Operation {
    let op = Withdraw {
        from,
        amount: Float40::round_down(amount),
        fee: Float16::round_down(fee),
        nonce,
        valid_until: NO_EXPIRY,
        token,
    };
    Operation::Withdraw(authorize(&op, key, domain))
}

/// An operation with a signature of a wallet, verified.
fn authorize<T: Signable>(op: &T, key: u32, domain: &Fr) -> Authorized<T> {
    let key = wallet(key);
    let signed = op.sign(&key, domain).verify(&key.public_key(), domain);
    signed.expect("a signature of the key verifies")
}

/// A proven batch, the queue entries that it consumes and the state that it leaves.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub submission: Submission,
    /// The queue entries that it consumes.
    pub entries: Vec<Entry>,
    pub state: State,
}

/// Executes operations in a batch and proves it with the trapdoor.
///
/// # Panics
/// If an operation is refused.
pub fn seal(
    before: &State,
    shape: &Shape,
    context: BatchContext,
    entries: &[Entry],
    operations: &[Operation],
    trapdoor: &Trapdoor,
) -> Sealed {
    let mut state = before.clone();
    let mut all: Vec<Operation> = entries
        .iter()
        .map(|entry| Operation::L1(entry.op))
        .collect();
    all.extend(operations);
    let seed = context.batch_number;
    let applied = apply_batch(&mut state, shape, context, &all);
    let words = applied.expect("the operations can execute").words;
    Sealed {
        submission: prove(&words, shape, trapdoor, seed),
        entries: entries.to_vec(),
        state,
    }
}

/// The submission of some words, proven with the trapdoor.
///
/// # Panics
/// If the words are not those of a batch of the shape.
pub fn prove(words: &PublicWords, shape: &Shape, trapdoor: &Trapdoor, seed: u64) -> Submission {
    let list = words.encode(shape).expect("the words are those of a batch");
    let c = commitment(shape.id, &list);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let proof = trapdoor.prove(&inputs_of(&list, c), &mut rng);
    Submission::new(words, shape, &c, &proof).expect("the words are those of a batch")
}

/// The same submission with a proof that holds for what it says now.
///
/// # Panics
/// If `c` is not below `r` or the data have another length than their counts say.
pub fn prove_again(submission: &Submission, shape: &Shape, trapdoor: &Trapdoor) -> Submission {
    let words = raw_words(&submission.data, shape);
    let c = from_be_bytes(&submission.c).expect("c is below r");
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let proof = trapdoor.prove(&inputs_of(&words, c), &mut rng);
    Submission {
        proof: proof.to_bytes(),
        ..submission.clone()
    }
}

/// A deployed rollup whose whole queue and state are known.
pub struct World {
    pub chain: Chain,
    pub rollup: Rollup,
    /// The rollup's accounts after the last accepted batch.
    pub state: State,
    /// Every queue entry so far.
    pub queue: Vec<Entry>,
    /// Those that batches consumed.
    pub consumed: usize,
    /// Number of the next batch.
    pub next_batch: u64,
    /// For each token the account that gets fees.
    pub fee_accounts: BTreeMap<u32, u32>,
    /// The secrets of all keys.
    pub trapdoor: Trapdoor,
}

/// The operator of every [`World`].
pub const OPERATOR: Address = Bytes([0xee; 20]);
/// Chain id of every [`World`].
pub const CHAIN_ID: u64 = 31_337;
/// Time at which every [`World`] starts.
pub const START: u64 = 1_800_000_000;

/// The configuration of every [`World`]; the path hasher's address is filled in when it is deployed.
pub fn config(depth: u8, l1_fee: u128) -> Config {
    Config {
        operator: OPERATOR,
        salt: Bytes([7; 32]),
        l1_fee,
        pending_cap: 1_000,
        timestamp_slack: 86_400,
        takeover_after: 3 * 86_400,
        freeze_after: 7 * 86_400,
        depth,
        path_hasher: Bytes([0; 20]),
    }
}

impl World {
    /// Deploys a rollup with these shapes, which have one depth.
    ///
    /// # Panics
    /// If there is no shape or the constructor refuses.
    pub fn new(shapes: &[Shape], l1_fee: u128) -> Self {
        let depth = shapes.first().expect("at least one shape").depth;
        Self::with(config(depth, l1_fee), shapes)
    }

    /// Deploys a rollup with this configuration and these shapes.
    ///
    /// # Panics
    /// If the constructor refuses.
    pub fn with(config: Config, shapes: &[Shape]) -> Self {
        let mut chain = Chain::new(CHAIN_ID, START);
        let depth = config.depth;
        for number in 0..=40 {
            chain.fund(&address(number), 1 << 100);
        }
        chain.fund(&OPERATOR, 1 << 100);
        let trapdoor = Trapdoor::new(1);
        let key = trapdoor.key([0; 32]);
        let shapes: Vec<(Shape, &VerifyingKey)> =
            shapes.iter().map(|shape| (*shape, &key)).collect();
        let rollup = deploy(&mut chain, &OPERATOR, config, &shapes);
        Self {
            chain,
            rollup: rollup.expect("the constructor takes good keys and shapes"),
            state: State::new(depth),
            queue: Vec::new(),
            consumed: 0,
            next_batch: 1,
            fee_accounts: BTreeMap::new(),
            trapdoor,
        }
    }

    /// What operations are signed for.
    pub fn domain(&self) -> Fr {
        self.rollup.domain(&self.chain)
    }

    /// Deposits; the key is that of the wallet with the account's number.
    ///
    /// # Panics
    /// If the contract refuses.
    pub fn deposit(&mut self, owner: Address, token: u32, amount: u128) -> (u32, Receipt) {
        let index = self.next_index();
        let deposit = deposit(owner, index, token, amount, self.rollup.config.l1_fee);
        let receipt = self.rollup.deposit(&mut self.chain, &deposit);
        self.queue.push(Entry {
            op: L1Op::Create {
                index,
                token,
                amount,
                key: deposit.key,
            },
            payer: owner,
            time: self.chain.time(),
        });
        (index, receipt.expect("the deposit is good"))
    }

    /// The index that the next deposit gets.
    pub fn next_index(&self) -> u32 {
        let creates = |entry: &&Entry| matches!(entry.op, L1Op::Create { .. });
        let count = self.queue.iter().filter(creates).count();
        u32::try_from(count + 1).expect("few accounts")
    }

    /// Asks for an exit.
    ///
    /// # Panics
    /// If the contract refuses.
    pub fn request_exit(&mut self, index: u32) -> Receipt {
        let account = self.rollup.account(&mut self.chain, index);
        let fee = self.rollup.config.l1_fee;
        let receipt = self
            .rollup
            .request_exit(&mut self.chain, &account.owner, index, fee);
        self.queue.push(Entry {
            op: L1Op::ForcedExit {
                index,
                token: account.token,
            },
            payer: account.owner,
            time: self.chain.time(),
        });
        receipt.expect("the owner asks")
    }

    /// Tops an account up.
    ///
    /// # Panics
    /// If the contract refuses.
    pub fn top_up(&mut self, payer: Address, index: u32, amount: u128) -> Receipt {
        let token = self.rollup.account(&mut self.chain, index).token;
        let fee = self.rollup.config.l1_fee;
        let receipt = self
            .rollup
            .top_up(&mut self.chain, &payer, (index, token), amount, fee);
        self.queue.push(Entry {
            op: L1Op::TopUp {
                index,
                token,
                amount,
            },
            payer,
            time: self.chain.time(),
        });
        receipt.expect("the account exists")
    }

    /// What the next batch is sealed in.
    pub fn context(&self) -> BatchContext {
        BatchContext {
            domain: self.domain(),
            batch_number: self.next_batch,
            timestamp: self.chain.time(),
            fee_accounts: self.fee_accounts.clone(),
        }
    }

    /// Seals the next batch with some entries of the queue and operations.
    pub fn seal(&self, shape: &Shape, entries: usize, operations: &[Operation]) -> Sealed {
        let entries = &self.queue[self.consumed..self.consumed + entries];
        seal(
            &self.state,
            shape,
            self.context(),
            entries,
            operations,
            &self.trapdoor,
        )
    }

    /// Seals a batch after others that are not yet sent.
    pub fn seal_after(
        &self,
        last: &Sealed,
        number: u64,
        shape: &Shape,
        operations: &[Operation],
    ) -> Sealed {
        let context = BatchContext {
            batch_number: number,
            ..self.context()
        };
        seal(&last.state, shape, context, &[], operations, &self.trapdoor)
    }

    /// Sends a batch alone.
    ///
    /// # Panics
    /// If the contract refuses.
    pub fn submit(&mut self, shape: &Shape, sealed: Sealed) -> Receipt {
        self.submit_by(&OPERATOR, shape, sealed)
    }

    /// Lets somebody send a batch alone.
    ///
    /// # Panics
    /// If the contract refuses.
    pub fn submit_by(&mut self, caller: &Address, shape: &Shape, sealed: Sealed) -> Receipt {
        let data = encode_batch(&sealed.submission, shape, &sealed.entries);
        let data = data.expect("a sealed batch can be encoded");
        let receipt = self.rollup.send(&mut self.chain, caller, 0, data);
        self.accepted(&[sealed]);
        receipt.expect("the batch is good")
    }

    /// Sends several batches in one call.
    ///
    /// # Panics
    /// If the contract refuses.
    pub fn submit_all(&mut self, shape: &Shape, sealed: &[Sealed]) -> Receipt {
        let batches: Vec<(&Submission, &[Entry])> = sealed
            .iter()
            .map(|batch| (&batch.submission, batch.entries.as_slice()))
            .collect();
        let data = encode_batches(&batches, shape).expect("sealed batches can be encoded");
        let receipt = self.rollup.send(&mut self.chain, &OPERATOR, 0, data);
        self.accepted(sealed);
        receipt.expect("the batches are good")
    }

    /// Takes note of batches that the contract accepted.
    pub fn accepted(&mut self, sealed: &[Sealed]) {
        for batch in sealed {
            self.consumed += batch.entries.len();
            self.next_batch += 1;
            self.state = batch.state.clone();
        }
    }

    /// The root that the state has, as the contract's word.
    pub fn root(&self) -> [u8; 32] {
        to_be_bytes(&self.state.root())
    }
}
