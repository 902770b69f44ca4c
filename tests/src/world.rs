//! A small deployment for whole-system stories: the `tiny` shape with real proofs, a handful of
//! accounts in two tokens, everything derived from fixed seeds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use batcher::{Batcher, Limits};
use circuits::shapes::{by_name, compile};
use l1::bytes::Bytes;
use l1::genesis::{ListedShape, Operator, Token};
use l1::{Address, Deposit, Genesis, GenesisAccount, NativeL1, Parameters};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::eddsa::PrivateKey;
use ledger::float::{Float16, Float40};
use ledger::operation::{NO_EXPIRY, Signable, Transfer, Withdraw};
use ledger::shape::Shape;
use prover::key::{AllowDevKeys, ProvingKey};
use prover::prove::prove;
use prover::setup::setup_insecure_dev;
use r1cs::R1cs;
use rand::RngCore;
use rollup::Rollup;
use rollup::restore::genesis_accounts;

/// Who submits batches.
pub const OPERATOR: Address = Bytes([0xee; 20]);
/// The fee account.
pub const FEE_ACCOUNT: u32 = 1;
/// Accounts that exist from the start, the fee account included; the last two hold token 1.
pub const GENESIS: u32 = 9;
/// What each of them but the fee account begins with.
pub const OPENING: u128 = 1_000_000_000_000;
/// Price of an L1 operation.
pub const L1_FEE: u128 = 10;
/// When everything begins, in seconds since 1970.
pub const START: u64 = 1_700_000_000;
/// Δ: a day.
pub const SLACK: u64 = 86_400;
/// Seconds that the queue may wait for the operator: three days.
pub const TAKEOVER_AFTER: u64 = 3 * 86_400;
/// Seconds that the queue may wait: a week.
pub const FREEZE_AFTER: u64 = 7 * 86_400;

/// The shape of all batches.
pub fn shape() -> Shape {
    by_name("tiny").expect("the tiny shape is named")
}

/// The private key of the account that was made as number `number`.
pub fn key_of(number: u32) -> PrivateKey {
    PrivateKey::derive("quire whole-system test", &number.to_be_bytes())
}

/// The L1 address that owns what key `number` signs for.
pub fn owner_of(number: u32) -> Address {
    let mut bytes = [0xa0; 20];
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    Bytes(bytes)
}

/// The token of a genesis account.
pub fn token_of(index: u32) -> u32 {
    u32::from(index + 2 > GENESIS)
}

/// Circuit and keys of the shape.
pub struct Keys {
    /// The circuit.
    pub r1cs: R1cs,
    /// The proving key, from a fixed seed.
    pub key: ProvingKey,
}

impl Keys {
    /// Compiles the circuit and makes the key.
    ///
    /// # Errors
    /// If the circuit does not compile.
    pub fn make() -> Result<Self> {
        let r1cs = compile(&shape()).context("the circuit")?.r1cs;
        let key = setup_insecure_dev(&r1cs, "tiny", &[], 1)?;
        Ok(Self { r1cs, key })
    }

    /// Compiles the circuit and loads the key.
    ///
    /// # Errors
    /// If the file is not a key.
    pub fn load(path: &Path) -> Result<Self> {
        let r1cs = compile(&shape()).context("the circuit")?.r1cs;
        let key = ProvingKey::load(path, &r1cs.fingerprint(), AllowDevKeys::Yes)?;
        Ok(Self { r1cs, key })
    }
}

/// The file of L1 in a data directory.
pub fn l1_file(folder: &Path) -> PathBuf {
    folder.join("l1.redb")
}

/// The deployment's genesis.
///
/// # Errors
/// If it breaks a rule.
pub fn genesis(fingerprint: [u8; 32]) -> Result<Genesis> {
    let account = |index: u32| {
        let key = key_of(index).public_key();
        let (owner, balance) = match index {
            FEE_ACCOUNT => (OPERATOR, 0),
            _ => (owner_of(index), OPENING),
        };
        GenesisAccount {
            owner,
            token: token_of(index),
            key,
            q: cofactor_inverse_point(&key),
            balance,
        }
    };
    let token = |name: &str, byte| Token {
        decimals: None,
        name: name.to_owned(),
        address: Bytes([byte; 20]),
    };
    let parameters = Parameters {
        chain_id: 0,
        contract: None,
        salt: Bytes([7; 32]),
        operator: Operator {
            name: "operator".to_owned(),
            address: OPERATOR,
        },
        shapes: vec![ListedShape {
            shape: shape(),
            fingerprint: Bytes(fingerprint),
        }],
        l1_fee: L1_FEE,
        pending_cap: 100,
        timestamp_slack: SLACK,
        takeover_after: TAKEOVER_AFTER,
        freeze_after: FREEZE_AFTER,
        tokens: vec![token("ETH", 0), token("ONE", 1)],
    };
    Ok(Genesis::new(
        parameters,
        (1..=GENESIS).map(account).collect(),
    )?)
}

/// Makes the deployment in a folder.
///
/// # Errors
/// If files cannot be made.
pub fn create(folder: &Path, keys: &Keys, confirmations: u64) -> Result<Rollup> {
    let genesis = genesis(keys.r1cs.fingerprint())?;
    let mut l1 = NativeL1::create(&l1_file(folder), &genesis, AllowDevKeys::Yes)?;
    l1.register_key(OPERATOR, shape().id, keys.key.verifying_key(), START)?;
    let accounts = genesis_accounts(&l1)?;
    let batcher = Batcher::create(folder, settings(&l1)?, accounts)?;
    Ok(Rollup::new(l1, batcher, confirmations))
}

/// Opens the deployment in a folder and follows L1.
///
/// # Errors
/// If files are missing or damaged.
pub fn open(folder: &Path, confirmations: u64, now: u64) -> Result<Rollup> {
    let l1 = NativeL1::open(&l1_file(folder), AllowDevKeys::Yes)?;
    let settings = settings(&l1)?;
    let mut rollup = Rollup::open(l1, folder, settings, confirmations)?;
    rollup.follow(now)?;
    Ok(rollup)
}

/// The batcher's settings: everything that waits is due.
///
/// # Errors
/// If L1 cannot be read.
pub fn settings(l1: &NativeL1) -> Result<batcher::Settings> {
    Ok(rollup::settings(l1, Limits::default(), 0)?)
}

/// A deposit that makes an account for key `number`.
pub fn deposit(number: u32, token: u32, amount: u128) -> Deposit {
    let key = key_of(number).public_key();
    Deposit {
        caller: owner_of(number),
        token,
        amount,
        key,
        q: cofactor_inverse_point(&key),
        fee: L1_FEE,
    }
}

/// A payment without expiry; the amount is rounded down to a float.
pub fn transfer(from: u32, to: u32, amount: u128, nonce: u64, token: u32) -> Transfer {
    Transfer {
        from,
        to,
        amount: Float40::round_down(amount),
        fee: Float16::round_down(u128::from(token == 0)),
        nonce,
        valid_until: NO_EXPIRY,
        token,
    }
}

/// A withdrawal without expiry and fee; the amount is rounded down to a float.
pub fn withdraw(from: u32, amount: u128, nonce: u64, token: u32) -> Withdraw {
    Withdraw {
        from,
        amount: Float40::round_down(amount),
        fee: Float16::round_down(0),
        nonce,
        valid_until: NO_EXPIRY,
        token,
    }
}

/// Signs with the key of account `number`.
pub fn sign<O: Signable>(op: O, number: u32, rollup: &Rollup) -> ledger::operation::Signed<O> {
    op.sign(&key_of(number), &rollup.l1.domain())
}

/// Proves one sealed batch and notes the proof.
///
/// # Errors
/// If there is no such batch.
pub fn prove_batch(
    rollup: &mut Rollup,
    keys: &Keys,
    number: u64,
    now: u64,
    rng: &mut (impl RngCore + rand::CryptoRng),
) -> Result<()> {
    let task = rollup.to_prove(number)?;
    let proof = prove(&keys.key, &keys.r1cs, &task.assignment, rng)?;
    rollup.keep_proof(&task, &proof, now)?;
    Ok(())
}

/// Seals, proves and submits until nothing waits.
///
/// # Errors
/// If a step fails.
pub fn finish(
    rollup: &mut Rollup,
    keys: &Keys,
    now: u64,
    rng: &mut (impl RngCore + rand::CryptoRng),
) -> Result<()> {
    loop {
        rollup.follow(now)?;
        let sealed = rollup.seal(rollup::SealLimit::All, now, |_| {})?;
        for number in rollup.batcher.unproved()? {
            prove_batch(rollup, keys, number, now, rng)?;
        }
        let submitted = rollup.submit(OPERATOR, usize::MAX, now)?;
        if sealed.batches == 0 && submitted.is_empty() {
            return Ok(());
        }
    }
}
