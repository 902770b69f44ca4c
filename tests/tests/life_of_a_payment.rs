//! Money enters by a deposit, is paid on, comes out by a withdrawal and a forced exit, and at every
//! step L1's escrow equals what the batcher holds, what is claimable and what is still queued.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use batcher::batch::{SealedBatch, StoredBatch};
use batcher::batcher::{Batcher, Settings, Verdict};
use batcher::mempool::Limits;
use batcher::operation::SignedOperation;
use batcher::seal::QueueEntry;
use circuits::r1cs::R1cs;
use circuits::shapes::{by_name, compile};
use circuits::transition::{BatchValues, assignment};
use l1::bytes::Bytes;
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Address, Deposit, Genesis, GenesisAccount, NativeL1, Parameters, Submission};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::eddsa::PrivateKey;
use ledger::float::{Float16, Float40};
use ledger::operation::{NO_EXPIRY, Signable, Transfer, Withdraw};
use prover::key::{AllowDevKeys, ProvingKey};
use prover::proof::Proof;
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use rand::rngs::OsRng;

const OPERATOR: Address = Bytes([0xee; 20]);
const ALICE: Address = Bytes([0xa1; 20]);
const BOB: Address = Bytes([0xb0; 20]);
const FEE_ACCOUNT: u32 = 1;
const L1_FEE: u128 = 10;
const NOW: u64 = 1_700_000_000;

struct Proving {
    r1cs: R1cs,
    key: ProvingKey,
}

fn proving() -> &'static Proving {
    static PROVING: OnceLock<Proving> = OnceLock::new();
    PROVING.get_or_init(|| {
        let r1cs = compile(&by_name("tiny").unwrap()).unwrap().r1cs;
        let key = setup_insecure_dev(&r1cs, "tiny", &[], 1).unwrap();
        Proving { r1cs, key }
    })
}

fn wallet(name: &str) -> PrivateKey {
    PrivateKey::derive("quire story", name.as_bytes())
}

struct System {
    l1: NativeL1,
    batcher: Batcher,
    genesis_accounts: Vec<(u32, ledger::account::Account)>,
}

impl System {
    fn new(folder: &Path) -> Self {
        let shape = by_name("tiny").unwrap();
        let fees = wallet("operator").public_key();
        let accounts = vec![GenesisAccount {
            owner: OPERATOR,
            token: 0,
            key: fees,
            q: cofactor_inverse_point(&fees),
            balance: 0,
        }];
        let parameters = Parameters {
            chain_id: 0,
            salt: Bytes([7; 32]),
            operator: Operator {
                name: "operator".to_owned(),
                address: OPERATOR,
            },
            shapes: vec![ListedShape {
                shape,
                fingerprint: Bytes(proving().r1cs.fingerprint()),
            }],
            l1_fee: L1_FEE,
            pending_cap: 100,
            timestamp_slack: 86_400,
            freeze_after: 7 * 86_400,
            tokens: vec![Token {
                name: "ETH".to_owned(),
                address: Bytes([0; 20]),
            }],
        };
        let genesis = Genesis::new(parameters, accounts).unwrap();
        let mut l1 =
            NativeL1::create(&folder.join("l1.redb"), &genesis, AllowDevKeys::Yes).unwrap();
        l1.register_key(OPERATOR, shape.id, proving().key.verifying_key(), NOW)
            .unwrap();
        let genesis_accounts: Vec<_> = genesis
            .state()
            .accounts()
            .map(|(index, account)| (index, *account))
            .collect();
        let settings = Settings {
            domain: l1.domain(),
            genesis: [1; 32],
            shapes: vec![shape],
            fee_accounts: BTreeMap::from([(0, FEE_ACCOUNT)]),
            limits: Limits::default(),
            max_age: 60,
            timestamp_slack: l1::genesis::DEFAULT_TIMESTAMP_SLACK,
            undo_window: 64,
        };
        let batcher = Batcher::create(folder, settings, genesis_accounts.clone()).unwrap();
        Self {
            l1,
            batcher,
            genesis_accounts,
        }
    }

    fn deposit(&self, owner: Address, name: &str, amount: u128) -> u32 {
        let key = wallet(name).public_key();
        let q = cofactor_inverse_point(&key);
        self.l1
            .deposit(
                &Deposit {
                    caller: owner,
                    token: 0,
                    amount,
                    key,
                    q,
                    fee: L1_FEE,
                },
                NOW,
            )
            .unwrap()
    }

    /// Seals one batch, proves it, submits it, and notes that it is final.
    fn advance(&mut self, now: u64) -> SealedBatch {
        let queue: Vec<QueueEntry> = self
            .l1
            .pending(100)
            .unwrap()
            .iter()
            .map(|entry| QueueEntry {
                number: entry.number,
                op: entry.op,
            })
            .collect();
        let sealed = self
            .batcher
            .seal(&queue, now)
            .unwrap()
            .expect("something waits");
        let values = BatchValues::of(&self.batcher.witness(sealed.number()).unwrap()).unwrap();
        let proof: Proof = prove(
            &proving().key,
            &proving().r1cs,
            &assignment(&values),
            &mut OsRng,
        )
        .unwrap();
        let proved = self
            .batcher
            .record_proof(sealed.clone(), proof.to_bytes().to_vec(), now)
            .unwrap();
        let submission =
            Submission::new(sealed.words(), sealed.shape(), &values.c, &proof).unwrap();
        self.l1.submit_batch(OPERATOR, &submission, now).unwrap();
        // The same submission again: the root has moved.
        self.l1
            .submit_batch(OPERATOR, &submission, now)
            .unwrap_err();
        self.batcher.record_finalized(proved, now).unwrap();
        self.assert_balanced();
        sealed
    }

    /// Escrow = balances + claimable + pending, and both sides have one root.
    fn assert_balanced(&self) {
        assert_eq!(self.l1.head().unwrap().root, self.batcher.state().root());
        let balances = self.batcher.supply().get(&0).copied().unwrap_or(0);
        let totals = self.l1.totals(0).unwrap();
        assert_eq!(totals.balances(), balances);
        assert_eq!(totals.escrow, balances + totals.claimable + totals.pending);
    }

    fn balance(&self, index: u32) -> u128 {
        self.batcher
            .state()
            .account(index)
            .expect("the account exists")
            .balance
    }
}

fn transfer(from: u32, to: u32, amount: u128, fee: u128, nonce: u64) -> Transfer {
    Transfer {
        from,
        to,
        amount: Float40::exact(amount).unwrap(),
        fee: Float16::exact(fee).unwrap(),
        nonce,
        valid_until: NO_EXPIRY,
        token: 0,
    }
}

#[test]
fn life_of_a_payment() {
    let folder = tempfile::tempdir().unwrap();
    let mut system = System::new(folder.path());
    let domain = system.l1.domain();

    let alice = system.deposit(ALICE, "alice", 1_000);
    let bob = system.deposit(BOB, "bob", 50);
    assert_eq!((alice, bob), (2, 3));
    system.advance(NOW);
    assert_eq!(system.balance(alice), 1_000);

    // A payment, and one that Alice cannot afford: it is dropped and blocks nobody.
    let good = transfer(alice, bob, 600, 7, 0).sign(&wallet("alice"), &domain);
    let unaffordable = transfer(alice, bob, 600, 7, 1).sign(&wallet("alice"), &domain);
    let from_bob = transfer(bob, alice, 100, 0, 0).sign(&wallet("bob"), &domain);
    let operations = [good, unaffordable, from_bob].map(SignedOperation::from);
    let ids: Vec<_> = system
        .batcher
        .submit_many(&operations, NOW)
        .unwrap()
        .into_iter()
        .map(|verdict| verdict.unwrap())
        .collect();
    system.advance(NOW + 60);
    assert_eq!(system.balance(alice), 1_000 - 607 + 100);
    assert_eq!(system.balance(bob), 50 + 600 - 100);
    assert_eq!(system.balance(FEE_ACCOUNT), 7);
    let verdicts: Vec<_> = ids
        .iter()
        .map(|id| system.batcher.verdict(id).unwrap().unwrap())
        .collect();
    assert_eq!(verdicts[0], Verdict::Finalized { batch: 2 });
    assert!(
        matches!(verdicts[1], Verdict::Rejected { .. }),
        "{verdicts:?}"
    );
    assert_eq!(verdicts[2], Verdict::Finalized { batch: 2 });

    // Money leaves: Bob withdraws, Alice asks L1 for everything she has.
    let withdrawal = Withdraw {
        from: bob,
        amount: Float40::exact(500).unwrap(),
        fee: Float16::exact(3).unwrap(),
        nonce: 1,
        valid_until: NO_EXPIRY,
        token: 0,
    };
    let signed = withdrawal.sign(&wallet("bob"), &domain);
    system
        .batcher
        .submit(signed.into(), NOW + 60)
        .unwrap()
        .unwrap();
    system.l1.request_exit(BOB, alice, L1_FEE, NOW).unwrap_err();
    system.l1.request_exit(ALICE, alice, L1_FEE, NOW).unwrap();
    system.advance(NOW + 120);
    assert_eq!(system.balance(alice), 0);
    assert_eq!(system.l1.claim(BOB, 0, NOW).unwrap(), 500);
    assert_eq!(system.l1.claim(ALICE, 0, NOW).unwrap(), 493);
    assert_eq!(system.l1.claim(ALICE, 0, NOW).unwrap_or(0), 0);
    system.assert_balanced();
    assert_eq!(system.l1.totals(0).unwrap().escrow, 1_050 - 993);

    // After a restart everything is where it was, and follows from the published bytes alone.
    let settings = system.batcher.settings().clone();
    let roots = system
        .batcher
        .audit(system.genesis_accounts.clone())
        .unwrap();
    assert_eq!(roots.last(), Some(&system.l1.head().unwrap().root));
    drop(system.batcher);
    let reopened = Batcher::open(folder.path(), settings).unwrap();
    assert_eq!(Some(&reopened.state().root()), roots.last());
    assert!(matches!(
        reopened.batch(3).unwrap(),
        StoredBatch::Finalized(_)
    ));
}
