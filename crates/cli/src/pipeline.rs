//! `quire seal`, `prove`, `submit` and `run`: batches from waiting operations to finality.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use batcher::{Proofs, StoredBatch};
use batcher::{SealError, StageError};
use files::FolderDraft;
use l1::Submission;
use l1::submission::BatchFolder;
use ledger::field::to_hex;
use ledger::witness::BatchWitness;
use prover::key::VerifyingKey;
use prover::proof::Proof;
use prover::prove::Stage;
use prover::schedule::{Follow, ManyError, Plan, bytes_per_proof, prove_many};
use rollup::rollup::{ToProve, to_keep};
use rollup::{RollupError, SealLimit, Wait};
use serde::Serialize;

use crate::args::{ProveArgs, RunArgs, SealArgs, SubmitArgs};
use crate::deployment::{Node, Paused, now, rollup_dir};
use crate::exit::Fault;
use crate::interrupt::{is_wanted, shield};
use crate::keys::{self, Prepared};
use crate::settings::{Settings, make_folder};
use crate::turn::for_turn;
use crate::ui::{Task, count, seconds};
use crate::waits;

/// Batches that are submitted to L1 in one call, their proofs checked together.
const SUBMIT_AT_ONCE: usize = rollup::rollup::SUBMIT_AT_ONCE;

/// How long a finished proof waits for its turn at least: it cost more than that.
const PATIENCE: Duration = Duration::from_secs(600);

/// What sealing came to.
#[derive(Clone, Debug, Serialize)]
pub struct Sealed {
    /// Batches sealed.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// Withdrawals in them.
    pub withdrawals: usize,
    /// L1 operations in them.
    pub l1_ops: usize,
    /// Operations dropped as invalid.
    pub dropped: usize,
    /// Operations that still wait.
    pub waiting: usize,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
    /// Root after the last batch.
    pub state_root: String,
    /// Time that it took.
    pub seconds: f64,
}

/// What proving came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proved {
    /// Batches proven.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// Time for witnesses and proofs.
    pub proving_seconds: f64,
    /// Time that all of it took, keys included.
    pub seconds: f64,
    /// Proofs made side by side.
    pub side_by_side: usize,
    /// Whether witnesses were made ahead of the proof before.
    pub ahead: bool,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
}

/// What submission came to.
#[derive(Clone, Debug, Serialize)]
pub struct Submitted {
    /// Batches finalized.
    pub batches: u64,
    /// Transfers in them.
    pub transfers: usize,
    /// L1's root.
    pub finalized_root: String,
    /// What waits, and for what.
    pub waits: Vec<Wait>,
    /// Time that it took.
    pub seconds: f64,
}

/// What `run` came to.
#[derive(Default, Serialize)]
struct Ran {
    batches: u64,
    transfers: usize,
    finalized_root: String,
    seconds: f64,
    proving_seconds: f64,
    dropped: usize,
    waits: Vec<Wait>,
    side_by_side: usize,
}

/// Seals batches.
///
/// # Errors
/// If the batcher cannot write or the L1 queue does not fit it.
pub fn seal(settings: &Settings, node: &mut Node, limit: SealLimit) -> Result<Sealed> {
    let started = Instant::now();
    let waiting = node.batcher.status().waiting + node.waiting_queue()?.len();
    let what = "executing and sealing";
    let task = settings.ui.task(what, Some(waiting as u64));
    let mut done = 0;
    let summary = node.seal(limit, now()?, |batch| {
        done += batch.counts().iter().sum::<usize>() as u64;
        task.at(done);
    })?;
    task.done();
    Ok(Sealed {
        batches: summary.batches,
        transfers: summary.transfers,
        withdrawals: summary.withdrawals,
        l1_ops: summary.l1_ops,
        dropped: summary.dropped,
        waiting: summary.waiting,
        waits: node.waits()?,
        state_root: to_hex(&summary.state_root),
        seconds: seconds(started.elapsed()),
    })
}

/// How batches are to be proven.
#[derive(Clone, Copy)]
pub struct Order {
    /// Batches at most.
    pub limit: u64,
    /// Memory that proofs may take besides keys, in bytes.
    pub memory: usize,
    /// Whether to say which way was chosen, and why.
    pub explain: bool,
}

/// Keys that were loaded, by shape id.
pub type Keys = BTreeMap<u16, Prepared>;

/// A batch to be proven, with all that its proof takes.
struct Work {
    number: u64,
    shape_id: u16,
    witness: BatchWitness,
}

/// Proves sealed batches, oldest first; Ctrl-C stops within a stage. Other commands write the
/// deployment's files while proofs are made: the node is given back as it is then.
///
/// # Errors
/// If a key is missing or wrong, a proof fails, or files cannot be written. Proofs made before are
/// kept.
pub fn prove(
    settings: &Settings,
    mut node: Node,
    order: Order,
    keys: &mut Keys,
) -> Result<(Node, Proved)> {
    let started = Instant::now();
    let unproved = node.batcher.unproved()?;
    let limit = usize::try_from(order.limit).unwrap_or(usize::MAX);
    let mut rest = &unproved[..unproved.len().min(limit)];
    let mut proved = Proved::default();
    let patient = settings.waiting_at_least(PATIENCE);
    load_keys(settings, &node, rest, keys)?;
    let task = settings.ui.task("proving", Some(rest.len() as u64));
    loop {
        let (work, later) = take_work(&node, rest)?;
        rest = later;
        let Some(first) = work.first() else {
            break;
        };
        load_keys(settings, &node, &[first.number], keys)?;
        let prepared = keys.get(&first.shape_id).context("the key was loaded")?;
        let plan = plan(prepared, order.memory, work.len())?;
        if order.explain {
            let name = &prepared.name;
            settings
                .ui
                .note(format!("shape {name}: {}", plan.explain().trim_end()));
        }
        proved.side_by_side = proved.side_by_side.max(plan.way.side_by_side);
        proved.ahead |= plan.way.ahead;
        let clock = Instant::now();
        let keeper = Keeper {
            settings: &patient,
            time: node.l1_time(now()?)?,
            since: clock,
            paused: node.pause(),
        };
        tracing::info!(
            batches = work.len(),
            "proving; other commands may write meanwhile"
        );
        prove_work(&keeper, prepared, (&work, &plan), &task, &mut proved)?;
        proved.proving_seconds += clock.elapsed().as_secs_f64();
        node = keeper.paused.resume(&patient)?;
    }
    task.done();
    proved.proving_seconds = seconds(Duration::from_secs_f64(proved.proving_seconds));
    proved.seconds = seconds(started.elapsed());
    proved.waits = node.waits()?;
    Ok((node, proved))
}

/// The first of these batches that have one shape, a bounded number, and those that are left. A batch
/// that is not there any more, or has a proof, was dealt with by another command meanwhile.
fn take_work<'n>(node: &Node, numbers: &'n [u64]) -> Result<(Vec<Work>, &'n [u64])> {
    let mut work: Vec<Work> = Vec::new();
    for (place, number) in numbers.iter().enumerate() {
        if *number > node.batcher.status().sealed {
            return Ok((work, &[]));
        }
        let StoredBatch::Sealed(batch) = node.batcher.batch(*number)? else {
            continue;
        };
        let shape_id = batch.shape().id;
        let other_shape = work.first().is_some_and(|first| first.shape_id != shape_id);
        if other_shape || work.len() == SUBMIT_AT_ONCE {
            return Ok((work, &numbers[place..]));
        }
        work.push(Work {
            number: *number,
            shape_id,
            witness: node.batcher.witness(*number)?,
        });
    }
    Ok((work, &[]))
}

/// Loads the keys of the batches' shapes and checks them against those that L1 has.
fn load_keys(settings: &Settings, node: &Node, numbers: &[u64], keys: &mut Keys) -> Result<()> {
    for number in numbers {
        let shape = *node.batcher.batch(*number)?.batch().shape();
        if keys.contains_key(&shape.id) {
            continue;
        }
        let name = keys::shape_name(&shape);
        let task = settings
            .ui
            .task(format!("loading the key of shape {name}"), None);
        let prepared = keys::load(settings, &shape)?;
        let took = seconds(task.done());
        tracing::info!(shape = name, seconds = took, "proving key loaded");
        check_registered(node, &prepared)?;
        keys.insert(shape.id, prepared);
    }
    Ok(())
}

/// A proof under another key than L1's would be refused: said before it is made.
fn check_registered(node: &Node, prepared: &Prepared) -> Result<()> {
    let ours = prepared.key.verifying_key();
    match node.l1.key(prepared.shape.id) {
        // Why the points: what a mirror's key says of itself may not be on the chain.
        Some(registered) if registered.ark() != ours.ark() => bail!(
            "L1 verifies shape {} with key {}, the keys directory has {}; point --keys-dir at the former",
            prepared.name,
            registered.id_hex(),
            ours.id_hex()
        ),
        _ => Ok(()),
    }
}

/// How so many proofs are made within the memory bound.
fn plan(prepared: &Prepared, memory: usize, count: usize) -> Result<Plan> {
    Plan::new(&prepared.key, count, memory).with_context(|| {
        let needed = crate::ui::bytes(bytes_per_proof(&prepared.key) as u64);
        format!(
            "--memory is too small for shape {}, which needs {needed}",
            prepared.name
        )
    })
}

/// Proves batches of one shape and keeps each proof as soon as those before it are kept.
fn prove_work(
    keeper: &Keeper<'_>,
    prepared: &Prepared,
    (work, plan): (&[Work], &Plan),
    task: &Task,
    proved: &mut Proved,
) -> Result<()> {
    // Why a shield: Ctrl-C then stops the proofs, which keeps those that are finished.
    let _shield = shield();
    let begun = Mutex::new(BTreeMap::new());
    let begun = || begun.lock().unwrap_or_else(PoisonError::into_inner);
    let witness = |index: usize| {
        let Work {
            number, witness, ..
        } = &work[index];
        let mut of = ToProve::of(*number, witness)?;
        let assignment = std::mem::take(&mut of.assignment);
        begun().insert(index, of);
        Ok(assignment)
    };
    let on_stage = |index: usize, stage| {
        let number = work[index].number;
        task.doing(format!("proving batch {number}: {}", said(stage)));
    };
    let mut done = proved.batches;
    let finished = |index: usize, proof: Proof| {
        let of = begun().remove(&index).context("the proof was begun")?;
        if let Some(transfers) = keeper.keep(&of, &proof)? {
            proved.transfers += transfers;
            proved.batches += 1;
        }
        tracing::info!(batch = of.number, "proven");
        done += 1;
        task.at(done);
        Ok(())
    };
    let follow = Follow {
        on_stage: Some(&on_stage),
        cancel: Some(is_wanted()),
    };
    let result = prove_many(
        (&prepared.key, &prepared.r1cs),
        plan,
        witness,
        follow,
        finished,
    );
    result.map_err(|error| match error {
        ManyError::Prove { index, source } => {
            let number = work[index].number;
            anyhow::Error::new(source).context(format!("batch {number} was not proven"))
        }
        ManyError::Caller(error) => error,
    })
}

/// A stage in words.
fn said(stage: Stage) -> &'static str {
    match stage {
        Stage::Rows => "matrix products",
        Stage::Quotient => "transforms",
        Stage::H => "sum 1 of 5",
        Stage::L => "sum 2 of 5",
        Stage::A => "sum 3 of 5",
        Stage::BInG1 => "sum 4 of 5",
        Stage::BInG2 => "sum 5 of 5",
        Stage::SelfCheck => "verifying",
    }
}

/// Keeps proofs while the deployment's files are closed.
struct Keeper<'a> {
    settings: &'a Settings,
    /// L1's time when the files were closed.
    time: u64,
    since: Instant,
    paused: Paused,
}

impl Keeper<'_> {
    /// Writes the batch's folder, then notes the proof; returns the transfers in it. None if the batch
    /// was opened again or became final meanwhile: then the proof is of no use.
    fn keep(&self, of: &ToProve, proof: &Proof) -> Result<Option<usize>> {
        let (settings, number) = (self.settings, of.number);
        let folder = rollup_dir(settings);
        let proofs = for_turn(settings, || {
            let proofs = Proofs::open(&folder, &self.paused.batcher);
            proofs.context("cannot open the batcher")
        })?;
        let time = self.time.saturating_add(self.since.elapsed().as_secs());
        let batch = match to_keep(&proofs, of) {
            Ok(batch) => batch,
            Err(RollupError::Stage(StageError::NoBatch { .. } | StageError::OtherBatch { .. })) => {
                settings.ui.note(format!(
                    "batch {number} was opened again while it was proven: its proof is not kept"
                ));
                return Ok(None);
            }
            Err(RollupError::Stage(StageError::OutOfOrder { .. })) => {
                settings.ui.note(format!(
                    "batch {number} became final while it was proven: its proof is not kept"
                ));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let submission = Submission::new(batch.words(), batch.shape(), &of.c, proof)?;
        let folder = BatchFolder::new(submission, batch.shape(), batch.queue().start)?;
        put_folder(&folder, &settings.batch_folder(number))?;
        proofs.record(&batch, &proof.to_bytes(), time)?;
        Ok(Some(batch.counts()[1]))
    }
}

/// Puts a batch folder in place whole, in the stead of what is there.
///
/// # Errors
/// If files cannot be written.
pub fn put_folder(folder: &BatchFolder, target: &Path) -> Result<()> {
    ensure!(
        target.file_name().is_some(),
        Fault::usage(format!("{} does not name a folder", target.display()))
    );
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(parent)?;
    let _shield = shield();
    let draft = FolderDraft::begin(target)?;
    folder.save(draft.path())?;
    Ok(draft.replace()?)
}

/// Submits proven batches, oldest first.
///
/// # Errors
/// If L1 refuses, or a key is missing. Batches finalized before stay so.
pub fn submit(settings: &Settings, node: &mut Node, limit: u64) -> Result<Submitted> {
    let started = Instant::now();
    let (mut batches, mut transfers) = (0, 0);
    let task = settings.ui.task("submitting to L1", None);
    while batches < limit {
        let at_once = usize::try_from(limit - batches)
            .unwrap_or(SUBMIT_AT_ONCE)
            .min(SUBMIT_AT_ONCE);
        let Some(next) = node.next_proved(1)?.pop() else {
            break;
        };
        if !node.link.is_remote() {
            register_key(settings, node, next.batch().shape())?;
        }
        let submitter = node.submitter()?;
        let group = node.submit(submitter, at_once, now()?).with_context(|| {
            format!("L1 refused batch {} or a later one", next.batch().number())
        })?;
        for proved in &group {
            transfers += proved.batch().counts()[1];
            batches += 1;
        }
        let last = node.batcher.status().finalized;
        tracing::info!(last, "final on L1");
        task.doing(format!("submitting to L1: batch {last} is final"));
    }
    task.done();
    Ok(Submitted {
        batches,
        transfers,
        finalized_root: to_hex(&node.l1.head()?.root),
        waits: node.waits()?,
        seconds: seconds(started.elapsed()),
    })
}

/// Registers the verifying key of a shape with L1 if it has none.
fn register_key(settings: &Settings, node: &mut Node, shape: &ledger::shape::Shape) -> Result<()> {
    if node.l1.key(shape.id).is_some() {
        return Ok(());
    }
    let name = keys::shape_name(shape);
    let path = settings.keys_dir.join(format!("{name}.vk"));
    let key = VerifyingKey::load(&path, settings.dev_keys).with_context(|| {
        format!(
            "L1 has no verifying key for shape {name}, and {} cannot be used",
            path.display()
        )
    })?;
    key.check_origin(settings.dev_keys)?;
    key.check_origin_known()?;
    let (operator, time) = (node.operator()?, node.time_to_keep(now()?)?);
    node.l1
        .register_key(operator, shape.id, &key, time)
        .with_context(|| format!("L1 refused the key {}", path.display()))
}

/// Reads `3GiB`, `512MiB` or a number of bytes.
///
/// # Errors
/// If the text is neither.
pub fn memory(text: &str) -> Result<usize> {
    let units = [
        ("gib", 1usize << 30),
        ("mib", 1 << 20),
        ("kib", 1 << 10),
        ("", 1),
    ];
    let lower = text.trim().to_ascii_lowercase();
    let (name, unit) = units
        .into_iter()
        .find(|(name, _)| lower.ends_with(name))
        .context("the last unit fits every text")?;
    let number: Option<usize> = lower[..lower.len() - name.len()].trim_end().parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .with_context(|| {
            Fault::usage(format!(
                "{text:?} is not an amount of memory: write 3GiB, 512MiB or bytes"
            ))
        })
}

/// `quire seal`.
///
/// # Errors
/// As [`seal`].
pub fn run_seal(settings: &Settings, args: &SealArgs) -> Result<()> {
    let mut node = Node::open_operators(settings)?;
    let limit = match (args.all, args.max_batches) {
        (true, None) => SealLimit::All,
        (_, Some(limit)) => SealLimit::Batches(limit),
        (false, None) => SealLimit::Due,
    };
    let sealed = seal(settings, &mut node, limit)?;
    let rate = sealed.transfers as f64 / sealed.seconds.max(1e-3);
    let text = format!(
        "{} batches sealed: {} transfers, {} withdrawals, {} L1 operations; {} dropped, {} wait\n\
         state root {}\n{:.1} s, {rate:.0} transfers a second{}{}",
        count(sealed.batches),
        count(sealed.transfers),
        count(sealed.withdrawals),
        count(sealed.l1_ops),
        count(sealed.dropped),
        count(sealed.waiting),
        sealed.state_root,
        sealed.seconds,
        waits::dropped(sealed.dropped),
        waits::lines(&sealed.waits),
    );
    settings.ui.result(&sealed, text)
}

/// `quire prove`.
///
/// # Errors
/// As [`prove`].
pub fn run_prove(settings: &Settings, args: &ProveArgs) -> Result<()> {
    let memory = memory(&settings.memory)?;
    let node = Node::open_operators(settings)?;
    let order = Order {
        limit: args.max_batches.unwrap_or(u64::MAX),
        memory,
        explain: args.explain,
    };
    let (_node, proved) = prove(settings, node, order, &mut Keys::new())?;
    let text = format!(
        "{} batches proven with {} transfers, {} at once, in {:.1} s; folders in {}{}",
        count(proved.batches),
        count(proved.transfers),
        proved.side_by_side,
        proved.proving_seconds,
        settings.data_dir.join("batches").display(),
        waits::lines(&proved.waits),
    );
    settings.ui.result(&proved, text)
}

/// `quire submit`.
///
/// # Errors
/// As [`submit`].
pub fn run_submit(settings: &Settings, args: &SubmitArgs) -> Result<()> {
    let mut node = Node::open_operators(settings)?;
    node.unlock_operator(settings)?;
    let submitted = submit(settings, &mut node, args.max_batches.unwrap_or(u64::MAX))?;
    let text = format!(
        "{} batches finalized with {} transfers\nfinalized root {}{}",
        count(submitted.batches),
        count(submitted.transfers),
        submitted.finalized_root,
        waits::lines(&submitted.waits),
    );
    settings.ui.result(&submitted, text)
}

/// `quire run`.
///
/// # Errors
/// As [`seal`], [`prove`] and [`submit`], and if whoever submits here may not; what was done before
/// stays done.
pub fn run_all(settings: &Settings, args: &RunArgs) -> Result<()> {
    let memory = memory(&settings.memory)?;
    let node = match args.take_over {
        true => Node::open_to_take_over(settings, args.wallet.as_deref())?,
        false => {
            let mut node = Node::open_operators(settings)?;
            node.unlock_operator(settings)?;
            node
        }
    };
    let mut running = Running {
        limit: args.prove.max_batches.unwrap_or(u64::MAX),
        order: Order {
            limit: 0,
            memory,
            explain: args.prove.explain,
        },
        keys: Keys::new(),
        ran: Ran::default(),
    };
    let started = Instant::now();
    let node = running.run(settings, node)?;
    let facts = Ran {
        finalized_root: to_hex(&node.l1.head()?.root),
        seconds: seconds(started.elapsed()),
        waits: node.waits()?,
        ..running.ran
    };
    let text = format!(
        "{} batches finalized with {} transfers in {:.1} s, {:.1} s of it proving\nfinalized root {}{}{}",
        count(facts.batches),
        count(facts.transfers),
        facts.seconds,
        facts.proving_seconds,
        facts.finalized_root,
        waits::dropped(facts.dropped),
        waits::lines(&facts.waits),
    );
    settings.ui.result(&facts, text)
}

/// `quire run` under way.
struct Running {
    /// Batches to be finalized at most.
    limit: u64,
    order: Order,
    keys: Keys,
    ran: Ran,
}

impl Running {
    /// Seals, proves and submits until nothing is left.
    ///
    /// Why a loop: sealing pauses while proving is far behind and goes on once it has caught up, and
    /// somebody else's batch may come before.
    fn run(&mut self, settings: &Settings, mut node: Node) -> Result<Node> {
        while self.left() > 0 {
            node.follow_l1(settings)?;
            node.begin_turn(settings)?;
            let to_seal = match self.limit {
                u64::MAX => SealLimit::All,
                _ => SealLimit::Batches(self.left().saturating_sub(open_batches(&node))),
            };
            match seal(settings, &mut node, to_seal) {
                Ok(sealed) => self.ran.dropped += sealed.dropped,
                Err(error) if is_paused(&error) => settings.ui.note(error.to_string()),
                Err(error) => return Err(error),
            }
            if open_batches(&node) == 0 {
                return Ok(node);
            }
            while self.left() > 0 && open_batches(&node) > 0 {
                node = self.prove_and_submit(settings, node)?;
            }
        }
        Ok(node)
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.ran.batches)
    }

    fn prove_and_submit(&mut self, settings: &Settings, node: Node) -> Result<Node> {
        let limit = self.left().min(SUBMIT_AT_ONCE as u64);
        let order = Order {
            limit,
            ..self.order
        };
        let (mut node, proved) = prove(settings, node, order, &mut self.keys)?;
        node.follow_l1(settings)?;
        node.begin_turn(settings)?;
        let before = node.batcher.status();
        let submitted = match submit(settings, &mut node, limit) {
            Ok(submitted) => submitted,
            Err(error) => {
                node.follow_l1(settings)?;
                if node.batcher.status() == before {
                    return Err(error);
                }
                settings.ui.note(format!(
                    "{error:#}: L1 has moved meanwhile, and this goes on from there"
                ));
                return Ok(node);
            }
        };
        self.ran.batches += submitted.batches;
        self.ran.transfers += submitted.transfers;
        self.ran.proving_seconds += proved.proving_seconds;
        self.ran.side_by_side = self.ran.side_by_side.max(proved.side_by_side);
        let status = node.batcher.status();
        settings.ui.note(format!(
            "batch {} of {} is final",
            status.finalized, status.sealed
        ));
        Ok(node)
    }
}

/// True if sealing waits: for proving to catch up, or for L1 after a reorg.
fn is_paused(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(
            RollupError::Seal(SealError::Paused { .. })
                | RollupError::Unconfirmed { .. }
                | RollupError::OverdueUnconfirmed { .. }
        )
    )
}

/// Batches that are sealed and not finalized.
fn open_batches(node: &Node) -> u64 {
    let status = node.batcher.status();
    status.sealed - status.finalized
}
