//! Money enters by a deposit, is paid on, comes out by a withdrawal and a forced exit, and at every
//! step L1's escrow equals what the batcher holds, what is claimable and what is still queued.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use batcher::{SealedBatch, StoredBatch, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rollup::rollup::submission;
use rollup::{Depth, Rollup, SealLimit};
use tests::world::{
    FEE_ACCOUNT, GENESIS, Keys, L1_FEE, OPENING, OPERATOR, START, create, deposit, open, owner_of,
    prove_batch, sign, transfer, withdraw,
};

const ALICE: u32 = GENESIS + 1;
const BOB: u32 = GENESIS + 2;
/// What the genesis accounts of token 0 have together.
const BEFORE: u128 = 6 * OPENING;

struct System {
    rollup: Rollup,
    keys: Keys,
    rng: ChaCha20Rng,
}

impl System {
    fn new(folder: &Path) -> Self {
        let keys = Keys::make().unwrap();
        Self {
            rollup: create(folder, &keys, 0).unwrap(),
            keys,
            rng: ChaCha20Rng::seed_from_u64(5),
        }
    }

    /// Seals one batch, proves it and submits it, and the same submission once more.
    fn advance(&mut self, now: u64) -> SealedBatch {
        let Self { rollup, keys, rng } = self;
        let mut sealed = None;
        let one = SealLimit::Batches(1);
        rollup
            .seal(one, now, |batch| sealed = Some(batch.clone()))
            .unwrap();
        let sealed = sealed.expect("something waits");
        prove_batch(rollup, keys, sealed.number(), now, rng).unwrap();
        let submitted = rollup.submit(OPERATOR, 1, now).unwrap();
        let again = submission(submitted[0].batch(), submitted[0].proof()).unwrap();
        rollup.l1.submit_batch(OPERATOR, &again, now).unwrap_err();
        self.assert_balanced();
        sealed
    }

    /// Escrow = balances + claimable + pending, and both sides have one root.
    fn assert_balanced(&self) {
        let audit = self.rollup.audit(Depth::Replay).unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        let totals = self.rollup.l1.totals(0).unwrap();
        assert_eq!(totals.balances(), audit.supply[&0]);
        assert_eq!(
            totals.escrow,
            audit.supply[&0] + totals.claimable + totals.pending
        );
        let head = self.rollup.l1.head().unwrap();
        assert_eq!(head.root, self.rollup.batcher.state().root());
    }

    fn balance(&self, index: u32) -> u128 {
        let account = self.rollup.batcher.state().account(index);
        account.expect("the account exists").balance
    }
}

#[test]
fn life_of_a_payment() {
    let folder = tempfile::tempdir().unwrap();
    let mut system = System::new(folder.path());
    let l1 = &system.rollup.l1;
    assert_eq!(l1.deposit(&deposit(ALICE, 0, 1_000), START).unwrap(), ALICE);
    assert_eq!(l1.deposit(&deposit(BOB, 0, 50), START).unwrap(), BOB);
    system.advance(START);
    assert_eq!(system.balance(ALICE), 1_000);

    // A payment, and one that Alice cannot afford: it is dropped and blocks nobody. Fees are 1.
    let pay =
        |from, to, amount, nonce| sign(transfer(from, to, amount, nonce, 0), from, &system.rollup);
    let operations = [
        pay(ALICE, BOB, 600, 0).into(),
        pay(ALICE, BOB, 600, 1).into(),
        pay(BOB, ALICE, 100, 0).into(),
    ];
    let batcher = &mut system.rollup.batcher;
    let ids = batcher.submit_many(&operations, START).unwrap();
    let ids: Vec<_> = ids.into_iter().map(Result::unwrap).collect();
    system.advance(START + 60);
    assert_eq!(system.balance(ALICE), 1_000 - 601 + 100);
    assert_eq!(system.balance(BOB), 50 + 600 - 101);
    assert_eq!(system.balance(FEE_ACCOUNT), 2);
    let verdicts = ids.iter().map(|id| system.rollup.batcher.verdict(id));
    let verdicts: Vec<_> = verdicts.map(|verdict| verdict.unwrap().unwrap()).collect();
    assert_eq!(verdicts[0], Verdict::Finalized { batch: 2 });
    assert!(
        matches!(verdicts[1], Verdict::Rejected { .. }),
        "{verdicts:?}"
    );
    assert_eq!(verdicts[2], Verdict::Finalized { batch: 2 });

    // Money leaves: Bob withdraws, Alice asks L1 for everything she has. Only she can.
    let signed = sign(withdraw(BOB, 500, 1, 0), BOB, &system.rollup);
    let batcher = &mut system.rollup.batcher;
    batcher.submit(signed.into(), START + 60).unwrap().unwrap();
    let (alice, bob) = (owner_of(ALICE), owner_of(BOB));
    let l1 = &system.rollup.l1;
    l1.request_exit(bob, ALICE, L1_FEE, START).unwrap_err();
    l1.request_exit(alice, ALICE, L1_FEE, START).unwrap();
    system.advance(START + 120);
    assert_eq!(system.balance(ALICE), 0);
    let l1 = &system.rollup.l1;
    assert_eq!(l1.claim(bob, 0, START).unwrap(), 500);
    assert_eq!(l1.claim(alice, 0, START).unwrap(), 499);
    l1.claim(alice, 0, START).unwrap_err();
    system.assert_balanced();
    let escrow = system.rollup.l1.totals(0).unwrap().escrow;
    assert_eq!(escrow, BEFORE + 1_050 - 999);

    // After a restart everything is where it was.
    let state = system.rollup.batcher.state().clone();
    drop(system.rollup);
    let rollup = open(folder.path(), 0, START).unwrap();
    assert_eq!(rollup.batcher.state(), &state);
    let last = rollup.batcher.batch(3).unwrap();
    assert!(matches!(last, StoredBatch::Finalized(_)));
}
