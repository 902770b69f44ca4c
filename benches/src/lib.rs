//! Accounts and transfers for benchmarks: keys and amounts from fixed seeds.

use ledger::{
    account::Account,
    eddsa::PrivateKey,
    field::Fr,
    float::{Float16, Float40},
    operation::{Authorized, NO_EXPIRY, Signable, Transfer},
    state::State,
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
