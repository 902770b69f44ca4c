//! A deployment in its data directory: the embedded L1 and the batcher, opened together.
//!
//! Both live in `D/rollup`, which is put in place whole. Invariant: batcher and L1 have one genesis
//! and one domain; whatever L1 did without the batcher is followed by [`Node::follow_l1`].

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use batcher::store::FILE_NAME;
use batcher::{Batcher, Limits, Reopened, Role};
use circuits::shapes;
use files::FolderDraft;
use l1::bytes::Bytes;
use l1::genesis::{
    DEFAULT_FREEZE_AFTER, DEFAULT_TAKEOVER_AFTER, DEFAULT_TIMESTAMP_SLACK, ListedShape, Operator,
    Token,
};
use l1::{Address, Genesis, GenesisAccount, NativeL1, Parameters, SubmissionRight};
use ledger::account::Account;
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::shape::Shape;
use ledger::time::Span;
use prover::key::AllowDevKeys;
use rand::RngCore;
use rand::rngs::OsRng;
use rollup::restore::genesis_accounts;
use rollup::{Call, Called, Clock, Followed, Link, Outcome, Reopening, Rollup, SettleError};
use wallet::{Locked, Protection, Sealing, Wallet, encode};
use zeroize::Zeroizing;

use crate::amount::{Amount, ETH, Token as AmountToken, Tokens};
use crate::args::L1_FEE;
use crate::exit::{Class, Fault};
use crate::interrupt::{remove_on_interrupt, shield};
use crate::settings::{Settings, make_folder};
use crate::stats::named;
use crate::turn::for_turn;
use crate::ui::Ui;
use crate::waits;
use crate::wallet::{unlock, write_secret};

/// Deposits that may wait for a batch.
pub const PENDING_CAP: u64 = 1 << 16;
/// Seconds after which waiting operations are sealed into a batch that is not full.
const MAX_AGE: u64 = 60;
/// How much waits at most. One process holds one mempool, whose owner is the only user.
const LIMITS: Limits = Limits {
    operations: 1 << 22,
    per_account: 1 << 20,
    look_ahead: 1 << 20,
};
/// The address that is nobody's.
const NOBODY: Address = Bytes([0; 20]);
/// Shape with L1 slots that joins shapes without any.
const COMPANION: &str = "q18";

/// The embedded L1 and the batcher of a data directory, and the operator's wallet.
pub struct Node {
    rollup: Rollup,
    /// The operator's wallet, locked until [`Node::unlock_operator`]. On a contract it is that of the
    /// fee accounts, and only who made the deployment has it.
    operator: Option<Locked>,
    unlocked: Option<Wallet>,
    role: Role,
}

/// L1 by itself, to be read as a native L1.
pub struct L1 {
    /// The native L1, or the mirror of a contract.
    pub native: NativeL1,
    /// Where calls go.
    pub link: Link,
    clock: Clock,
}

impl Deref for L1 {
    type Target = NativeL1;

    fn deref(&self) -> &NativeL1 {
        &self.native
    }
}

impl L1 {
    /// Makes a call. Once its end is printed, [`Self::told`] is to be called.
    ///
    /// # Errors
    /// If L1 refuses, or a contract's chain cannot be reached.
    pub fn call(&mut self, call: Call<'_>) -> Result<Called> {
        let now = self.time_to_keep()?;
        Ok(self.link.call(&mut self.native, call, now)?)
    }

    /// As [`Self::call`], for calls that queue an entry, which is returned, with whether an earlier command
    /// had made the call.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn queue_entry(
        &mut self,
        settings: &Settings,
        call: Call<'_>,
    ) -> Result<(l1::QueueEntry, bool)> {
        let dropped = || SettleError::Dropped { what: "the entry" };
        let Called { outcome, earlier } = self.call(call)?;
        let Outcome::Entry(number) = outcome else {
            bail!(dropped());
        };
        let entry = self.native.queue(number, 1)?.pop();
        let entry = entry.filter(|entry| call.asks_for(entry));
        let entry = entry.ok_or_else(dropped)?;
        if earlier {
            settings.ui.note(format!(
                "an earlier command that was interrupted has sent this already, as entry {number} of the L1 queue: nothing was sent now; run the command again for another"
            ));
        }
        Ok((entry, earlier))
    }

    /// Asks a token of a contract for its symbol and decimals, unless they are known.
    ///
    /// # Errors
    /// If the chain cannot be reached.
    pub fn learn_token(&self, token: &AmountToken) -> Result<()> {
        if let Some(address) = token.address {
            self.link.learn_token(&self.native, address)?;
        }
        Ok(())
    }

    /// The token that a text names, with its symbol and decimals: those that are kept, if the token says the
    /// same now. A node or token that lied once could else change what the digits of an amount mean.
    ///
    /// # Errors
    /// If there is none, it says something else than before, or the chain cannot be reached.
    pub fn token(&self, text: &str) -> Result<Rc<AmountToken>> {
        let token = Tokens::of(self)?.named(text)?;
        self.learn_token(&token)?;
        if let Some(address) = token.address
            && let Some(said) = self.link.token_display(address)?
            && let Some(kept) = self.native.token_display(address)?
        {
            ensure!(
                said == kept,
                "{address} was {kept} when it was asked first, and says now that it is {said}: a node or the token lies about what amounts mean; once you know which, `quire l1 add-token {address}` keeps what it says"
            );
        }
        Ok(Tokens::of(self)?.get(token.id))
    }

    /// What the calls came to was printed.
    ///
    /// # Errors
    /// If that cannot be written down.
    pub fn told(&mut self) -> Result<()> {
        Ok(self.link.told()?)
    }

    /// L1's time.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn time_now(&self) -> Result<u64> {
        Ok(self.link.time(&self.native, now()?)?)
    }

    /// Who may submit batches now.
    ///
    /// # Errors
    /// If L1 cannot be read.
    pub fn submission_right(&self) -> Result<SubmissionRight> {
        let time = match self.link.is_remote() {
            true => self.time_now()?,
            false => now()?,
        };
        Ok(self.native.submission_right(time)?)
    }

    /// The system's time, for a block of a native L1: refused if it jumped. A chain keeps its own.
    ///
    /// # Errors
    /// If it jumped, or L1 cannot be read.
    pub fn time_to_keep(&self) -> Result<u64> {
        let now = now()?;
        if !self.link.is_remote() {
            self.clock.time(&self.native, &self.link, 0, now)?;
        }
        Ok(now)
    }

    /// Who calls: the wallet's address on a native L1, the Ethereum key's on a contract.
    ///
    /// # Errors
    /// If neither is named.
    pub fn caller(&self, settings: &Settings, wallet: Option<&str>) -> Result<Address> {
        if self.link.is_remote() {
            return Ok(self.link.caller(Bytes([0; 20]))?);
        }
        let name = wallet.with_context(|| {
            Fault::usage("name the wallet of the account's owner with --wallet")
        })?;
        Ok(crate::wallet::load(settings, name)?.address)
    }
}

/// A deployment whose files are closed for a while.
pub struct Paused {
    /// What the batcher has to know.
    pub batcher: batcher::Settings,
    /// Who submits, if that is not the operator.
    submitter: Option<Address>,
    unlocked: Option<Wallet>,
}

impl Paused {
    /// Opens the deployment again.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn resume(self, settings: &Settings) -> Result<Node> {
        let mut node = Node::open(settings)?;
        node.unlocked = self.unlocked;
        if let Some(submitter) = self.submitter {
            node.work_for(submitter);
            node.follow_l1(settings)?;
        }
        Ok(node)
    }
}

/// L1 and batcher are reached through their rollup.
impl Deref for Node {
    type Target = Rollup;

    fn deref(&self) -> &Rollup {
        &self.rollup
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Rollup {
        &mut self.rollup
    }
}

/// The operator of a deployment to be made.
pub struct OperatorKey {
    /// Public key of the first account.
    pub public: Point,
    /// Who may submit batches.
    pub address: Address,
    /// The wallet file that the deployment gets.
    pub file: Zeroizing<Vec<u8>>,
}

/// A deployment to be made.
pub struct Plan {
    /// The shapes.
    pub shapes: Vec<Shape>,
    /// Tokens by id, ETH first.
    pub tokens: Vec<Token>,
    /// Accounts from index 1, the first the operator's fee account.
    pub accounts: Vec<GenesisAccount>,
    /// The operator.
    pub operator: OperatorKey,
    /// Tells deployments apart.
    pub salt: [u8; 32],
    /// What L1 takes for an operation.
    pub l1_fee: u128,
    /// Deposits that may wait for a batch.
    pub pending_cap: u64,
    /// Seconds by which a batch's timestamp may lie before L1's time.
    pub timestamp_slack: u64,
    /// Seconds that the oldest queue entry may wait before anybody may submit batches.
    pub takeover_after: u64,
    /// Seconds that the oldest queue entry may wait before anybody may freeze L1.
    pub freeze_after: u64,
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
pub fn rollup_dir(settings: &Settings) -> PathBuf {
    settings.data_dir.join("rollup")
}

/// Refuses if the data directory has no deployment.
fn check_present(settings: &Settings) -> Result<()> {
    ensure!(
        exists(settings),
        Fault::environment(format!(
            "there is no deployment in {}; make one with `quire init`, or name its directory with --data-dir",
            settings.data_dir.display()
        ))
    );
    Ok(())
}

/// True if the data directory has a deployment.
pub fn exists(settings: &Settings) -> bool {
    rollup_dir(settings).exists()
}

/// Where a deployment on a chain that was begun has its plan.
pub fn deploying_dir(settings: &Settings) -> PathBuf {
    settings.data_dir.join("deploying")
}

/// Nothing is made over a deployment, or beside one that was begun.
///
/// # Errors
/// If the data directory has one.
pub fn check_absent(settings: &Settings) -> Result<()> {
    let begun = deploying_dir(settings);
    ensure!(
        !begun.exists(),
        "{} has a deployment on a chain that was begun: finish it with the same `quire l1 deploy`, or choose another --data-dir; moving it away gives it up",
        begun.display()
    );
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
pub fn genesis_account(owner: Address, token: u32, key: &Point, balance: u128) -> GenesisAccount {
    GenesisAccount {
        owner,
        token,
        key: *key,
        q: ledger::babyjubjub::cofactor_inverse_point(key),
        balance,
    }
}

impl OperatorKey {
    /// An operator whose wallet is kept as told.
    ///
    /// # Errors
    /// If the wallet cannot be encrypted.
    pub fn of(wallet: &Wallet, sealing: &Sealing) -> Result<Self> {
        Ok(Self {
            public: wallet.public,
            address: wallet.address,
            file: encode(wallet, sealing)?,
        })
    }
}

impl Plan {
    /// A deployment without accounts but the operator's fee account in ETH.
    pub fn empty(shapes: Vec<Shape>, operator: OperatorKey) -> Self {
        Self {
            shapes,
            tokens: vec![Token::eth()],
            accounts: vec![genesis_account(operator.address, ETH, &operator.public, 0)],
            operator,
            salt: random_salt(),
            l1_fee: Amount::parse_eth(L1_FEE)
                .expect("the default is an amount")
                .value(),
            pending_cap: PENDING_CAP,
            timestamp_slack: DEFAULT_TIMESTAMP_SLACK,
            takeover_after: DEFAULT_TAKEOVER_AFTER,
            freeze_after: DEFAULT_FREEZE_AFTER,
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
            contract: None,
            salt: Bytes(self.salt),
            operator: Operator {
                name: "operator".to_owned(),
                address: self.operator.address,
            },
            shapes: listed,
            l1_fee: self.l1_fee,
            pending_cap: self.pending_cap,
            timestamp_slack: self.timestamp_slack,
            takeover_after: self.takeover_after,
            freeze_after: self.freeze_after,
            tokens: self.tokens.clone(),
        };
        Genesis::new(parameters, self.accounts.clone()).context("the genesis breaks a rule")
    }
}

/// A deployment being made: dropped without [`Draft::keep`], it is gone.
pub struct Draft {
    /// The deployment.
    pub node: Node,
    folder: FolderDraft,
}

impl Draft {
    /// Makes L1 and batcher in a draft folder of the data directory.
    ///
    /// # Errors
    /// If there is a deployment, or files cannot be made.
    pub fn new(settings: &Settings, plan: Plan) -> Result<Self> {
        check_absent(settings)?;
        ensure!(
            settings.l1_url.is_none(),
            Fault::usage(
                "--l1 names a node, and this makes a native L1: leave it out, or use `quire l1 deploy`"
            )
        );
        let (expected, got) = (l1_file(&rollup_dir(settings)), &settings.l1_file);
        ensure!(
            *got == expected,
            Fault::usage(format!(
                "a new deployment has its L1 in {}; leave --l1 out, got {}",
                expected.display(),
                got.display()
            ))
        );
        make_folder(&settings.data_dir)?;
        let folder = FolderDraft::begin(&rollup_dir(settings))?;
        remove_on_interrupt(folder.path());
        let genesis = plan.genesis(settings.ui)?;
        genesis.save(folder.path())?;
        write_secret(&operator_file(folder.path()), &plan.operator.file)?;
        let l1 = NativeL1::create(&l1_file(folder.path()), &genesis, settings.dev_keys)?;
        let accounts = genesis_accounts(&l1)?;
        let batcher = Batcher::create(folder.path(), batcher_settings(&l1)?, accounts)?;
        let node = Node {
            rollup: Rollup::new(l1, batcher, settings.confirmations),
            operator: Some(Locked::read(&operator_file(folder.path()))?),
            unlocked: None,
            role: Role::Operator,
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
        {
            let _shield = shield();
            folder.put_new()?;
        }
        Node::open(settings)
    }
}

fn l1_file(folder: &Path) -> PathBuf {
    folder.join("l1.redb")
}

/// The operator's wallet in the folder of a deployment.
pub fn operator_file(folder: &Path) -> PathBuf {
    folder.join("operator.json")
}

/// What the batcher has to know of the L1's deployment.
///
/// # Errors
/// If L1 cannot be read.
pub fn batcher_settings(l1: &NativeL1) -> Result<batcher::Settings> {
    Ok(rollup::settings(l1, LIMITS, MAX_AGE)?)
}

/// Opens the L1 by itself: neither the batcher's database nor the operator is needed.
///
/// # Errors
/// If there is none, another process has it open, or it is damaged.
pub fn open_l1(settings: &Settings) -> Result<L1> {
    tracing::debug!(l1 = %settings.l1_file.display(), "opening L1");
    if settings.l1_url.is_some() && !settings.l1_file.exists() {
        bail!(Fault::environment(format!(
            "there is no mirror of a contract in {}; make it with `quire l1 connect CONTRACT`, or deploy one with `quire l1 deploy`",
            settings.data_dir.display()
        )));
    }
    let mut native = for_turn(settings, || {
        let native = NativeL1::open(&settings.l1_file, AllowDevKeys::Yes);
        native.context("cannot open the L1")
    })?;
    let mut link = for_turn(settings, || link(settings, &native))?;
    link.sync(&mut native)?;
    Ok(L1 {
        native,
        link,
        clock: settings.clock,
    })
}

/// L1 as its file has it: it can be read while another process writes it, by a user who may not write
/// it, and without a node.
///
/// # Errors
/// If there is none, or it is damaged.
pub fn read_l1(settings: &Settings) -> Result<L1> {
    tracing::debug!(l1 = %settings.l1_file.display(), "opening L1");
    let native = for_turn(settings, || {
        let native = NativeL1::open_to_read(&settings.l1_file, AllowDevKeys::Yes);
        native.context("cannot open the L1")
    })?;
    Ok(L1 {
        native,
        link: Link::default(),
        clock: settings.clock,
    })
}

/// L1 as it is now, if it can be asked and nobody writes its file; else as its file has it.
///
/// # Errors
/// As [`read_l1`].
pub fn look_at_l1(settings: &Settings) -> Result<L1> {
    if settings.l1_url.is_none() {
        return read_l1(settings);
    }
    open_l1(&settings.without_waiting()).or_else(|error| {
        if !settings.l1_file.exists() {
            return Err(error);
        }
        note_as_written(settings, &error);
        read_l1(settings)
    })
}

/// Says that what is shown may be old, and why.
fn note_as_written(settings: &Settings, error: &anyhow::Error) {
    let why = crate::exit::message(error);
    settings.ui.note(format!(
        "shown is what was written here last, since the chain was not asked: {why}"
    ));
}

/// Where calls go: what L1's file says and what `--l1` says have to go together.
fn link(settings: &Settings, native: &NativeL1) -> Result<Link> {
    let parameters = native.deployment().parameters();
    match (&settings.l1_url, parameters.contract) {
        (None, None) => Ok(Link::default()),
        (Some(_), Some(_)) => crate::contract::link(settings, native),
        (None, Some(contract)) => bail!(Fault::usage(format!(
            "this deployment is the contract {contract} on chain {}: name a node of the chain with --l1 http://HOST",
            parameters.chain_id
        ))),
        (Some(_), None) => bail!(Fault::usage(format!(
            "the deployment in {} has a native L1, and --l1 names a node: leave it out, or choose another --data-dir",
            settings.data_dir.display()
        ))),
    }
}

impl Node {
    /// Opens the deployment of the data directory.
    ///
    /// # Errors
    /// If there is none, another process has it open, or a file is damaged or foreign.
    pub fn open(settings: &Settings) -> Result<Self> {
        let folder = rollup_dir(settings);
        check_present(settings)?;
        let L1 {
            native: l1, link, ..
        } = open_l1(settings)?;
        // Why: what was registered is checked against what is accepted now, with a better message.
        check_registered_keys(&l1, settings)?;
        let configured = batcher_settings(&l1)?;
        let batcher = for_turn(settings, || {
            Batcher::open(&folder, configured.clone()).context("cannot open the batcher")
        })?;
        let role = batcher.role().unwrap_or_else(|| role_of_old(&folder, &l1));
        let operator = operator_wallet(&folder, &l1, &batcher, role)?;
        let mut node = Self {
            rollup: Rollup::new(l1, batcher, settings.confirmations)
                .with_link(link)
                .with_clock(settings.clock),
            operator,
            unlocked: None,
            role,
        };
        if node.role() == Role::Taker {
            // Why: whoever takes over names itself in `run`; until then no account takes fees.
            node.rollup.work_for(NOBODY);
        }
        node.follow_l1(settings)?;
        if !node.may_acknowledge()? {
            node.batcher.rest();
        }
        Ok(node)
    }

    /// True if what is acknowledged here reaches L1: the directory is that of L1's operator, or of somebody
    /// who takes over while anybody may.
    fn may_acknowledge(&self) -> Result<bool> {
        Ok(match self.role() {
            Role::Operator => operator_of_batcher(&self.l1, &self.batcher) == self.l1.operator()?,
            Role::Taker => matches!(
                self.submission_right(now()?)?,
                SubmissionRight::Anybody { .. }
            ),
            Role::Mirror => false,
        })
    }

    /// As [`Self::open`], for what the operator alone does: acknowledging, sealing, proving, submitting.
    ///
    /// # Errors
    /// Also if the data directory is a mirror.
    pub fn open_operators(settings: &Settings) -> Result<Self> {
        let folder = rollup_dir(settings);
        let has = |name: &str| folder.join(name).exists();
        let is_mirror = has("l1.redb") && !has(FILE_NAME) && !operator_file(&folder).exists();
        let node = match is_mirror {
            true => None,
            false => Some(Self::open(settings)?),
        };
        let since = match &node {
            Some(node) if node.role() != Role::Mirror => "",
            Some(node) if node.role == Role::Taker => " since batches are its operator's again",
            Some(node) if node.role == Role::Operator => " since the operator role was handed over",
            _ => "",
        };
        node.filter(|node| node.role() != Role::Mirror)
            .with_context(|| {
                let place = settings.data_dir.display();
                Fault::new(
                    Class::Refused,
                    format!("{place} is a mirror of the deployment{since}, and only its operator accepts, seals, proves and submits: name the operator's --data-dir; in the operator's absence `quire run --take-over` continues the rollup"),
                )
            })
    }

    /// Whether the data directory is the operator's, a taker's or a mirror.
    pub fn role(&self) -> Role {
        self.batcher.role().unwrap_or(self.role)
    }

    /// Who submits: the operator, or whoever takes over.
    ///
    /// # Errors
    /// If the operator's wallet is locked, or the Ethereum key is not the operator's.
    pub fn submitter(&self) -> Result<Address> {
        match self.rollup.submitter() {
            Some(NOBODY) => bail!(Fault::usage(
                "this directory is not the operator's: submit with `quire run --take-over`"
            )),
            Some(submitter) => Ok(submitter),
            None => self.operator(),
        }
    }

    /// The deployment of the data directory as its files have it: it can be read while another process
    /// writes them, by a user who may not write them, without a node and without L1's agreement.
    ///
    /// # Errors
    /// If there is none, or a file is damaged or foreign.
    pub fn read(settings: &Settings) -> Result<Self> {
        check_present(settings)?;
        let L1 {
            native: mut l1,
            link,
            ..
        } = read_l1(settings)?;
        check_registered_keys(&l1, settings)?;
        let configured = batcher_settings(&l1)?;
        let mut batcher = for_turn(settings, || {
            let batcher = Batcher::open_to_read(&rollup_dir(settings), configured.clone());
            batcher.context("cannot open the batcher")
        })?;
        // Why: what L1 did before the batcher noted it is not to be missing.
        l1.renew()?;
        batcher.finalized_at_most(l1.head()?.next_batch - 1);
        let role = batcher
            .role()
            .unwrap_or_else(|| role_of_old(&rollup_dir(settings), &l1));
        Ok(Self {
            role,
            rollup: Rollup::new(l1, batcher, settings.confirmations).with_link(link),
            operator: None,
            unlocked: None,
        })
    }

    /// The deployment as it is now, if the chain can be asked and nobody writes the files; else as its
    /// files have it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn look(settings: &Settings) -> Result<Self> {
        if settings.l1_url.is_none() {
            return Self::read(settings);
        }
        Self::open(&settings.without_waiting()).or_else(|error| {
            note_as_written(settings, &error);
            Self::read(settings)
        })
    }

    /// Closes the files, so that other commands have their turn.
    pub fn pause(self) -> Paused {
        Paused {
            batcher: self.rollup.batcher.settings().clone(),
            submitter: self.rollup.submitter(),
            unlocked: self.unlocked,
        }
    }

    /// Brings the batcher in line with L1, and tells what that changed.
    ///
    /// # Errors
    /// If the two are not of one history.
    pub fn follow_l1(&mut self, settings: &Settings) -> Result<()> {
        let followed = self.rollup.follow(now()?)?;
        let Followed {
            finalized,
            lost,
            applied,
            reopened,
        } = followed;
        tracing::info!(
            finalized,
            lost,
            applied = applied.batches,
            reopened = reopened.is_some(),
            "followed L1"
        );
        if lost > 0 {
            settings.ui.note(format!(
                "L1 reorganized and lost {lost} batches that were final; what L1 does not replace is submitted again"
            ));
        }
        if let Some((reason, reopened)) = reopened {
            tell_reopened(settings, reason, reopened)?;
        }
        if applied.batches > 0 {
            settings.ui.note(format!(
                "{} batches of another submitter are final on L1 and were executed here",
                applied.batches
            ));
        }
        if applied.executed + applied.rejected > 0 {
            settings.ui.note(format!(
                "of the operations that waited here, these batches executed {} and made {} invalid; `quire tx` says why",
                applied.executed, applied.rejected
            ));
        }
        Ok(())
    }

    /// Unlocks the operator's wallet, asking for its passphrase if it has one.
    ///
    /// # Errors
    /// If the passphrase is missing or wrong.
    pub fn unlock_operator(&mut self, settings: &Settings) -> Result<()> {
        match &self.operator {
            Some(locked) if !self.link.is_remote() => {
                self.unlocked = Some(unlock(settings, locked)?);
                Ok(())
            }
            _ => self.operator().map(drop),
        }
    }

    /// The operator's address, once its wallet is unlocked; on a contract the Ethereum key's.
    ///
    /// # Errors
    /// If it is locked, or the Ethereum key is not the operator's.
    pub fn operator(&self) -> Result<Address> {
        if self.link.is_remote() {
            let (caller, named) = (self.link.caller(Bytes([0; 20]))?, self.l1.operator()?);
            ensure!(
                caller == named,
                "the Ethereum key is that of {caller}, the operator of this deployment is {named}: name the operator's with --eth-key-file"
            );
            return Ok(caller);
        }
        let wallet = self.unlocked.as_ref();
        let wallet = wallet.with_context(|| {
            Fault::environment("the operator's wallet is not in this data directory: name the operator's --data-dir, or take over with `quire run --take-over`")
        })?;
        Ok(wallet.address)
    }

    /// How the operator's wallet is kept.
    pub fn operator_protection(&self) -> Protection {
        self.operator
            .as_ref()
            .map_or(Protection::None, Locked::protection)
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
            true if self.role == Role::Mirror => bail!(
                "account {index} waits in the L1 queue, until the operator's next batch is final"
            ),
            true => {
                let wait = self.wait_of_deposit(index)?;
                let why = wait.map_or_else(String::new, |wait| waits::line(&wait));
                bail!("the deposit of account {index} is in no batch yet: {why}")
            }
            false => bail!("there is no account {index}"),
        }
    }
}

/// The role of a database that was made before roles were kept: of those that were restored from a chain,
/// only the operator's have its wallet.
fn role_of_old(folder: &Path, l1: &NativeL1) -> Role {
    match l1.deployment().is_on_chain() && !operator_file(folder).exists() {
        true => Role::Mirror,
        false => Role::Operator,
    }
}

/// The operator whose directory it is, if it is an operator's: L1's may be another by now.
fn operator_of_batcher(l1: &NativeL1, batcher: &Batcher) -> Address {
    let first = l1.deployment().parameters().operator.address;
    batcher.operator().map_or(first, Bytes)
}

/// The operator's wallet. On a native L1 it is who may submit; on a contract that is the Ethereum key, and
/// the wallet may be elsewhere. A mirror has none, nor has an operator that handed its role over.
fn operator_wallet(
    folder: &Path,
    l1: &NativeL1,
    batcher: &Batcher,
    role: Role,
) -> Result<Option<Locked>> {
    let (file, on_chain) = (operator_file(folder), l1.deployment().is_on_chain());
    if !file.exists() && (on_chain || role != Role::Operator) {
        return Ok(None);
    }
    if on_chain {
        return Ok(Some(Locked::read(&file)?));
    }
    let operator = Locked::read(&file).with_context(|| {
        Fault::damaged("the operator's wallet, without which nothing can be submitted")
    })?;
    let (named, own) = (l1.operator()?, operator_of_batcher(l1, batcher));
    if operator.address != named && own != named {
        return Ok(None);
    }
    ensure!(
        operator.address == named,
        Fault::damaged(format!(
            "{} is the wallet of {}, the operator of this deployment is {named}; restore it from a backup",
            operator.path.display(),
            operator.address
        ))
    );
    Ok(Some(operator))
}

/// Tells why batches are open again, and removes their exports.
fn tell_reopened(settings: &Settings, reason: Reopening, reopened: Reopened) -> Result<()> {
    let why = match reason {
        Reopening::Replaced { batch } => format!("L1 has another batch {batch} than this database"),
        Reopening::QueueChanged { batch } => {
            format!("L1 reorganized the queue entries of batch {batch}")
        }
        Reopening::Outlived { batch, .. } => format!("batch {batch} is too old for L1"),
        Reopening::BeforeOpen { batch, .. } => {
            format!("batch {batch} was sealed when only the operator might submit")
        }
        Reopening::OverdueLeftBehind { batch, entry } => format!(
            "batch {batch} leaves the overdue entry {entry} of the queue behind, which L1 takes from the operator alone"
        ),
        Reopening::AheadOfTime {
            batch,
            timestamp,
            latest,
        } => format!(
            "batch {batch} was sealed by a clock that was {} ahead of L1's time",
            Span(timestamp - latest)
        ),
    };
    settings.ui.note(format!(
        "{why}: {} batches are open again, {} operations wait to be sealed again",
        reopened.batches, reopened.returned
    ));
    let first = reason.batch();
    (first..first + reopened.batches).try_for_each(|number| remove_folder(settings, number))
}

/// Removes the export of a batch that was reopened: another one gets its number.
fn remove_folder(settings: &Settings, number: u64) -> Result<()> {
    let folder = settings.batch_folder(number);
    match folder.exists() {
        true => std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display())),
        false => Ok(()),
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

/// The operator of an import, the same for the same seed: whoever knows the seed has its key, so
/// its wallet is kept plain.
pub fn imported_operator(seed: &[u8]) -> Wallet {
    Wallet::of(PrivateKey::derive("quire 1 operator of an import", seed))
}
