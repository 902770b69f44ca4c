//! Full batches of any shape for benchmarks: every slot used, keys and amounts from fixed seeds.

use std::collections::BTreeMap;

use ledger::{
    account::Account,
    eddsa::PrivateKey,
    field::Fr,
    float::{Float16, Float40},
    operation::{Authorized, L1Op, NO_EXPIRY, Signable, Transfer, Withdraw},
    shape::Shape,
    transition::{AppliedBatch, BatchContext, State, Transition},
};

/// Index of the account that collects fees.
const FEE_ACCOUNT: u32 = 1;
/// Accounts besides the fee account, at indices 2 and up.
pub const ACCOUNTS: u32 = 1_000;
/// Opening balance of every account.
const BALANCE: u128 = 1 << 100;

/// A state with a fee account and [`ACCOUNTS`] accounts of token 0, and what signs for them.
pub struct World {
    /// The state.
    pub state: State,
    /// The deployment's domain.
    pub domain: Fr,
    keys: Vec<PrivateKey>,
    nonces: Vec<u64>,
}

impl World {
    /// The state at depth `depth`, from fixed seeds.
    pub fn new(depth: u8) -> Self {
        let key = |index: u32| PrivateKey::derive("quire benchmark account", &index.to_be_bytes());
        let keys: Vec<PrivateKey> = (0..=ACCOUNTS + FEE_ACCOUNT).map(key).collect();
        let accounts = keys.iter().zip(0u32..).skip(1);
        let mut state = State::new(depth);
        state
            .insert_genesis(
                accounts.map(|(key, index)| (index, Account::new(key.public_key(), 0, BALANCE))),
            )
            .expect("fixed accounts fit the tree");
        let nonces = vec![0; keys.len()];
        Self {
            state,
            domain: Fr::from(0x51_5549_5245u64),
            keys,
            nonces,
        }
    }

    /// `count` transfers that can execute in order, with their signatures verified.
    pub fn transfers(&mut self, count: u32) -> Vec<Authorized<Transfer>> {
        (0..count)
            .map(|i| {
                let (from, to) = (2 + i % ACCOUNTS, 2 + (i * 7 + 3) % ACCOUNTS);
                let op = Transfer {
                    from,
                    to,
                    amount: Float40::round_down(1_000_000 + u128::from(i)),
                    fee: Float16::round_down(1_000),
                    nonce: self.next_nonce(from),
                    valid_until: NO_EXPIRY,
                    token: 0,
                };
                self.authorize(op, from)
            })
            .collect()
    }

    /// `count` withdrawals, likewise.
    pub fn withdrawals(&mut self, count: u32) -> Vec<Authorized<Withdraw>> {
        (0..count)
            .map(|i| {
                let from = 2 + (i * 11) % ACCOUNTS;
                let op = Withdraw {
                    from,
                    amount: Float40::round_down(500_000),
                    fee: Float16::round_down(1_000),
                    nonce: self.next_nonce(from),
                    valid_until: NO_EXPIRY,
                    token: 0,
                };
                self.authorize(op, from)
            })
            .collect()
    }

    /// A batch of `shape` with every slot used, applied to the state.
    pub fn full_batch(&mut self, shape: &Shape) -> AppliedBatch {
        let transfers = self.transfers(u32::from(shape.transfers));
        let withdrawals = self.withdrawals(u32::from(shape.withdrawals));
        let context = BatchContext {
            domain: self.domain,
            batch_number: 1,
            timestamp: 1_700_000_000,
            fee_accounts: BTreeMap::from([(0, FEE_ACCOUNT)]),
        };
        let mut batch = Transition::begin(&self.state, shape, context).expect("the shape fits");
        let first_free = FEE_ACCOUNT + ACCOUNTS + 1;
        for i in 0..u32::from(shape.l1_ops) {
            let key = PrivateKey::derive("quire benchmark deposit", &i.to_be_bytes()).public_key();
            let op = L1Op::Create {
                index: first_free + i,
                token: 0,
                amount: BALANCE,
                key,
            };
            batch
                .push_l1(&self.state, &op)
                .expect("new indices are free");
        }
        for op in &transfers {
            batch
                .push_transfer(&self.state, op)
                .expect("funded and in nonce order");
        }
        for op in &withdrawals {
            batch
                .push_withdraw(&self.state, op)
                .expect("funded and in nonce order");
        }
        batch
            .finish(&mut self.state)
            .expect("one fee account was chosen as needed")
    }

    fn next_nonce(&mut self, index: u32) -> u64 {
        let nonce = &mut self.nonces[index as usize];
        *nonce += 1;
        *nonce - 1
    }

    fn authorize<T: Signable>(&self, op: T, index: u32) -> Authorized<T> {
        let key = &self.keys[index as usize];
        op.sign(key, &self.domain)
            .verify(&key.public_key(), &self.domain)
            .expect("signed a line above")
    }
}
