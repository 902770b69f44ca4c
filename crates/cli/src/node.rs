//! A deployment in its data directory: the embedded L1 and the batcher, opened together.
//!
//! Both live in `D/rollup`, which is put in place whole. Invariant: batcher and L1 have one genesis
//! and one domain; a batch that L1 finalized while the batcher was cut off is noted by
//! [`Node::catch_up`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use batcher::{Batcher, Limits, StoredBatch};
use circuits::shapes;
use l1::bytes::Bytes;
use l1::genesis::{DEFAULT_FREEZE_AFTER, DEFAULT_TIMESTAMP_SLACK, ListedShape, Operator, Token};
use l1::{Address, Deployment, Genesis, GenesisAccount, NativeL1, Parameters};
use ledger::account::Account;
use ledger::eddsa::PrivateKey;
use ledger::shape::Shape;
use prover::key::AllowDevKeys;
use rand::RngCore;
use rand::rngs::OsRng;

use crate::amount::ETH;
use crate::interrupt::{remove_on_interrupt, shield};
use crate::settings::{Settings, make_folder};
use crate::stats::named;
use crate::ui::Ui;
use crate::wallet::Wallet;

/// Index of the operator's fee account, the first of every genesis made here.
pub const FEE_ACCOUNT: u32 = 1;
/// Deposits that may wait for a batch.
const PENDING_CAP: u64 = 1 << 16;
/// Seconds after which waiting operations are sealed into a batch that is not full.
const MAX_AGE: u64 = 60;
/// How much waits at most. One process holds one mempool, whose owner is the only user.
const LIMITS: Limits = Limits {
    operations: 1 << 22,
    per_account: 1 << 20,
    look_ahead: 1 << 20,
};
/// Shape with L1 slots that joins shapes without any.
const COMPANION: &str = "m16";

/// The embedded L1 and the batcher of a data directory.
pub struct Node {
    /// The L1.
    pub l1: NativeL1,
    /// The batcher.
    pub batcher: Batcher,
    /// Who may submit batches.
    pub operator: Wallet,
}

/// A deployment to be made.
pub struct Plan {
    /// The shapes.
    pub shapes: Vec<Shape>,
    /// Tokens by id, ETH first.
    pub tokens: Vec<Token>,
    /// Accounts from index 1, the first the operator's fee account.
    pub accounts: Vec<GenesisAccount>,
    /// The operator's wallet.
    pub operator: Wallet,
    /// Tells deployments apart.
    pub salt: [u8; 32],
}

/// Seconds since 1970.
///
/// # Errors
/// If the clock stands before that.
pub fn now() -> Result<u64> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(time
        .context("the clock stands before 1970; set it")?
        .as_secs())
}

/// 32 bytes from the operating system.
pub fn random_salt() -> [u8; 32] {
    let mut salt = [0; 32];
    OsRng.fill_bytes(&mut salt);
    salt
}

/// The folder of L1 and batcher.
fn rollup_dir(settings: &Settings) -> PathBuf {
    settings.data_dir.join("rollup")
}

/// True if the data directory has a deployment.
pub fn exists(settings: &Settings) -> bool {
    rollup_dir(settings).exists()
}

/// Nothing is imported over a deployment.
///
/// # Errors
/// If the data directory has one.
pub fn check_absent(settings: &Settings) -> Result<()> {
    ensure!(
        !exists(settings),
        "{} has a deployment already; choose another --data-dir",
        settings.data_dir.display()
    );
    Ok(())
}

/// Shapes by name, with one that has L1 slots.
///
/// # Errors
/// If a name is unknown or the shapes differ in depth.
pub fn shapes_by_name(names: &[String], default: &str) -> Result<Vec<Shape>> {
    let names: Vec<&str> = match names {
        [] => vec![default],
        names => names.iter().map(String::as_str).collect(),
    };
    let mut chosen: Vec<Shape> = Vec::new();
    for name in names {
        let shape = named(name)?;
        ensure!(!chosen.contains(&shape), "shape {name} is named twice");
        chosen.push(shape);
    }
    if chosen.iter().all(|shape| shape.l1_ops == 0) {
        chosen.push(named(COMPANION)?);
    }
    let first = chosen[0].depth;
    if let Some(other) = chosen.iter().find(|shape| shape.depth != first) {
        bail!(
            "all shapes of a deployment have one depth: shape {} has {first}, shape {} has {}",
            crate::keys::shape_name(&chosen[0]),
            crate::keys::shape_name(other),
            other.depth
        );
    }
    Ok(chosen)
}

/// The genesis account of a key.
pub fn genesis_account(
    owner: Address,
    token: u32,
    key: &ledger::babyjubjub::Point,
    balance: u128,
) -> GenesisAccount {
    GenesisAccount {
        owner,
        token,
        key: *key,
        q: ledger::babyjubjub::cofactor_inverse_point(key),
        balance,
    }
}

/// The token that every L1 has first.
pub fn eth() -> Token {
    Token {
        name: "ETH".to_owned(),
        address: Bytes([0; 20]),
    }
}

impl Plan {
    /// A deployment without accounts but the operator's.
    pub fn empty(shapes: Vec<Shape>) -> Self {
        let operator = Wallet::random();
        Self {
            shapes,
            tokens: vec![eth()],
            accounts: vec![genesis_account(operator.address, ETH, &operator.public, 0)],
            operator,
            salt: random_salt(),
        }
    }

    fn genesis(&self, ui: Ui) -> Result<Genesis> {
        let mut listed = Vec::new();
        for shape in &self.shapes {
            let name = crate::keys::shape_name(shape);
            let task = ui.task(format!("compiling the circuit of shape {name}"), None);
            let compiled = shapes::compile(shape).with_context(|| format!("shape {name}"))?;
            let fingerprint = Bytes(compiled.r1cs.fingerprint());
            task.done();
            listed.push(ListedShape {
                shape: *shape,
                fingerprint,
            });
        }
        let parameters = Parameters {
            chain_id: 0,
            salt: Bytes(self.salt),
            operator: Operator {
                name: "operator".to_owned(),
                address: self.operator.address,
            },
            shapes: listed,
            l1_fee: 0,
            pending_cap: PENDING_CAP,
            timestamp_slack: DEFAULT_TIMESTAMP_SLACK,
            freeze_after: DEFAULT_FREEZE_AFTER,
            tokens: self.tokens.clone(),
        };
        Genesis::new(parameters, self.accounts.clone()).context("the genesis breaks a rule")
    }
}

/// A deployment being made: dropped without [`Draft::keep`], it is gone.
pub struct Draft {
    /// The deployment.
    pub node: Node,
    folder: tempfile::TempDir,
}

impl Draft {
    /// Makes L1 and batcher in a draft folder of the data directory.
    ///
    /// # Errors
    /// If there is a deployment, or files cannot be made.
    pub fn new(settings: &Settings, plan: Plan) -> Result<Self> {
        check_absent(settings)?;
        make_folder(&settings.data_dir)?;
        let folder = tempfile::Builder::new()
            .prefix(".rollup-draft-")
            .tempdir_in(&settings.data_dir)
            .with_context(|| {
                let place = settings.data_dir.display();
                format!("cannot write to {place}; check that it is writable and has space")
            })?;
        remove_on_interrupt(folder.path());
        let genesis = plan.genesis(settings.ui)?;
        genesis.save(folder.path())?;
        plan.operator.save(&operator_file(folder.path()))?;
        let l1 = NativeL1::create(&l1_file(folder.path()), &genesis, settings.dev_keys)?;
        let configured = batcher_settings(l1.deployment(), &l1)?;
        let accounts = accounts_of(genesis.accounts());
        let batcher = Batcher::create(folder.path(), configured, accounts)?;
        let operator = plan.operator;
        let node = Node {
            l1,
            batcher,
            operator,
        };
        Ok(Self { node, folder })
    }

    /// Puts the deployment in place and opens it there.
    ///
    /// # Errors
    /// If the folder cannot be renamed.
    pub fn keep(self, settings: &Settings) -> Result<Node> {
        let Self { node, folder } = self;
        drop(node);
        let target = rollup_dir(settings);
        {
            let _shield = shield();
            let draft = folder.keep();
            std::fs::rename(&draft, &target)
                .with_context(|| format!("cannot put {} in place", target.display()))?;
        }
        Node::open(settings)
    }
}

fn l1_file(folder: &Path) -> PathBuf {
    folder.join("l1.redb")
}

fn operator_file(folder: &Path) -> PathBuf {
    folder.join("operator.json")
}

/// Accounts as the state has them, index 1 first.
pub fn accounts_of(accounts: &[GenesisAccount]) -> Vec<(u32, Account)> {
    let state =
        |account: &GenesisAccount| Account::new(account.key, account.token, account.balance);
    (1..).zip(accounts.iter().map(state)).collect()
}

/// What the batcher has to know of the L1's deployment.
fn batcher_settings(deployment: &Deployment, l1: &NativeL1) -> Result<batcher::Settings> {
    let operator = deployment.parameters().operator.address;
    let first = l1.registered(FEE_ACCOUNT)?;
    let takes_fees = first.is_some_and(|account| account.owner == operator && account.token == ETH);
    Ok(batcher::Settings {
        domain: l1.domain(),
        genesis: *blake3::hash(&deployment.canonical_bytes()).as_bytes(),
        shapes: (deployment.parameters().shapes.iter())
            .map(|listed| listed.shape)
            .collect(),
        fee_accounts: match takes_fees {
            true => BTreeMap::from([(ETH, FEE_ACCOUNT)]),
            false => BTreeMap::new(),
        },
        limits: LIMITS,
        max_age: MAX_AGE,
        timestamp_slack: deployment.parameters().timestamp_slack,
    })
}

impl Node {
    /// Opens the deployment of the data directory.
    ///
    /// # Errors
    /// If there is none, another process has it open, or a file is damaged or foreign.
    pub fn open(settings: &Settings) -> Result<Self> {
        let folder = rollup_dir(settings);
        if !folder.exists() {
            bail!(
                "there is no deployment in {}; make one with `quire import FILE` or `quire deposit`, or name its directory with --data-dir",
                settings.data_dir.display()
            );
        }
        let l1 =
            NativeL1::open(&l1_file(&folder), AllowDevKeys::Yes).context("cannot open the L1")?;
        // Why: what was registered is checked against what is accepted now, with a better message.
        check_registered_keys(&l1, settings)?;
        let configured = batcher_settings(l1.deployment(), &l1)?;
        let batcher = Batcher::open(&folder, configured).context("cannot open the batcher")?;
        let operator = Wallet::read(&operator_file(&folder))?;
        let mut node = Self {
            l1,
            batcher,
            operator,
        };
        node.catch_up()?;
        Ok(node)
    }

    /// Notes batches that L1 finalized and the batcher was cut off from noting.
    fn catch_up(&mut self) -> Result<()> {
        let last = self.l1.head()?.next_batch - 1;
        for number in self.batcher.status().finalized + 1..=last {
            let StoredBatch::Proved(proved) = self.batcher.batch(number)? else {
                bail!(
                    "L1 finalized batch {number}, which the batcher has no proof of; the two are not of one history: restore both from one backup"
                );
            };
            let on_l1 = self.l1.batch(number)?;
            let data = on_l1.map(|batch| batch.submission.data);
            ensure!(
                data.as_deref() == Some(proved.batch().bytes()),
                "L1 finalized another batch {number} than the batcher sealed; restore both from one backup"
            );
            self.batcher.record_finalized(proved, now()?)?;
        }
        Ok(())
    }

    /// Entries of the L1 queue that no sealed batch has consumed.
    ///
    /// # Errors
    /// If the L1 cannot be read.
    pub fn waiting_queue(&self) -> Result<Vec<batcher::QueueEntry>> {
        let from = self.batcher.status().queue;
        let entries = self.l1.queue(from, usize::MAX)?;
        let entry = |entry: l1::QueueEntry| batcher::QueueEntry {
            number: entry.number,
            op: entry.op,
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// Name of a token.
    pub fn token_name(&self, token: u32) -> String {
        let tokens = &self.l1.deployment().parameters().tokens;
        let listed = usize::try_from(token)
            .ok()
            .and_then(|place| tokens.get(place));
        listed.map_or_else(|| format!("token {token}"), |token| token.name.clone())
    }

    /// The id of a token given by name, id or address.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn token(&self, text: &str) -> Result<u32> {
        let tokens = &self.l1.deployment().parameters().tokens;
        let known = |token: &Token| {
            token.name.eq_ignore_ascii_case(text)
                || token.address.to_string().eq_ignore_ascii_case(text)
        };
        let place = match tokens.iter().position(known) {
            Some(place) => Some(place),
            None => text.parse().ok().filter(|place| *place < tokens.len()),
        };
        place.and_then(|place| u32::try_from(place).ok()).with_context(|| {
            let last = tokens.len() - 1;
            format!("there is no token {text:?}; give ETH, an id from 0 to {last}, or the address of a listed token")
        })
    }

    /// An account of the batcher's state.
    ///
    /// # Errors
    /// If there is none, with what is known of the index.
    pub fn account(&self, index: u32) -> Result<&Account> {
        if let Some(account) = self.batcher.state().account(index) {
            return Ok(account);
        }
        let registered = self.l1.registered(index)?.is_some();
        match registered {
            true => bail!(
                "account {index} waits in the L1 queue; `quire seal --all` executes its deposit"
            ),
            false => bail!("there is no account {index}"),
        }
    }
}

/// A deployment whose keys come from a seeded setup is used only if that is allowed.
fn check_registered_keys(l1: &NativeL1, settings: &Settings) -> Result<()> {
    for listed in &l1.deployment().parameters().shapes {
        if let Some(key) = l1.key(listed.shape.id) {
            key.check_origin(settings.dev_keys).with_context(|| {
                let shape = crate::keys::shape_name(&listed.shape);
                format!("this deployment verifies shape {shape} with an insecure key; for trials add --allow-dev-keys")
            })?;
        }
    }
    Ok(())
}

/// The operator of an import, the same for the same seed.
pub fn imported_operator(seed: &[u8]) -> Wallet {
    Wallet::of(PrivateKey::derive("quire 1 operator of an import", seed))
}
