//! What happens while a rollup works, for whoever watches: a program's terminal, or a server's log.
//!
//! Every step that takes time, and everything that a caller should be told and that is no error, is one
//! [`Event`] of a callback. Invariant: what is done does not depend on who watches. [`Display`](fmt::Display)
//! says each in words.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use batcher::Reopened;
use l1::{Address, SubmissionRight};
use ledger::time::{Span, Utc};

use crate::amount::Amount;
use crate::follow::Reopening;
use crate::text::right_text;

/// Is called with each event, from any thread.
pub type Watch = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// What happens.
#[derive(Clone, Debug)]
pub enum Event<'e> {
    /// A task begins, with the number of its steps if that is known. Tasks may begin within others.
    Begun(&'e Work, Option<u64>),
    /// So many steps of the last task are done.
    At(u64),
    /// The last task is at this part of its work.
    Doing(&'e Doing),
    /// The last task has ended, done or not.
    Ended,
    /// Something that people should know.
    Note(&'e Note),
}

/// A task.
#[derive(Clone, Debug)]
pub enum Work {
    /// The circuit of a shape is compiled.
    Compile {
        /// Name of the shape.
        shape: String,
    },
    /// The proving key of a shape is loaded.
    LoadKey {
        /// Name of the shape.
        shape: String,
    },
    /// What waits is executed and sealed.
    Seal,
    /// Sealed batches are proven.
    Prove,
    /// Proven batches are submitted.
    Submit,
    /// The database is made from L1's data.
    Restore,
    /// The state is made from L1's data.
    RebuildState,
    /// The key of a shape is checked before it is published.
    CheckKey {
        /// Name of the shape.
        shape: String,
    },
    /// The key files of a shape are read, to be checked.
    ReadKeys {
        /// Name of the shape.
        shape: String,
    },
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile { shape } => write!(f, "compiling the circuit of shape {shape}"),
            Self::LoadKey { shape } => write!(f, "loading the key of shape {shape}"),
            Self::Seal => f.write_str("executing and sealing"),
            Self::Prove => f.write_str("proving"),
            Self::Submit => f.write_str("submitting to L1"),
            Self::Restore => f.write_str("restoring from L1's data"),
            Self::RebuildState => f.write_str("rebuilding the state from L1's data"),
            Self::CheckKey { shape } => write!(f, "checking the key of shape {shape}"),
            Self::ReadKeys { shape } => write!(f, "reading the keys of shape {shape}"),
        }
    }
}

/// A part of a task.
#[derive(Clone, Debug)]
pub enum Doing {
    /// A stage of a batch's proof.
    Stage {
        /// Number of the batch.
        batch: u64,
        stage: prover::prove::Stage,
    },
    /// A batch was submitted and is final.
    Final {
        /// Number of the batch.
        batch: u64,
    },
    /// The circuit of a shape is compiled.
    Compile {
        /// Name of the shape.
        shape: String,
    },
    /// The proving key is loaded.
    LoadProvingKey,
    /// Every point of the key is checked.
    CheckPoints,
    /// An empty batch is proven.
    TrialProof,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { batch, stage } => {
                write!(f, "proving batch {batch}: {}", stage_text(*stage))
            }
            Self::Final { batch } => write!(f, "submitting to L1: batch {batch} is final"),
            Self::Compile { shape } => write!(f, "compiling the circuit of shape {shape}"),
            Self::LoadProvingKey => f.write_str("loading the proving key"),
            Self::CheckPoints => f.write_str("checking every point"),
            Self::TrialProof => f.write_str("a trial proof"),
        }
    }
}

/// A stage of a proof in words.
fn stage_text(stage: prover::prove::Stage) -> &'static str {
    use prover::prove::Stage;
    match stage {
        Stage::Rows => "matrix products",
        Stage::Quotient => "transforms",
        Stage::H => "sum 1 of 5",
        Stage::LAndA => "sums 2 and 3 of 5",
        Stage::B => "sums 4 and 5 of 5",
        Stage::SelfCheck => "verifying",
    }
}

/// Something that people should know and that is no error.
#[derive(Clone, Debug)]
pub enum Note {
    /// Another process has a file open, and this one waits for it.
    Waiting {
        /// How long at most.
        most: Duration,
        /// Which file.
        why: String,
    },
    /// What is read may be old.
    AsWritten {
        /// Why the chain was not asked.
        why: String,
    },
    /// What is read is older than L1.
    Behind {
        /// Batches that L1 has beyond it.
        batches: u64,
        /// Whether the directory seals no batches.
        mirror: bool,
    },
    /// L1 reorganized.
    Lost {
        /// Batches that were final.
        batches: u64,
    },
    /// Batches are open again.
    Reopened {
        reason: Reopening,
        /// What was reopened.
        reopened: Reopened,
    },
    /// Batches of somebody else are final and were executed here.
    Foreign { batches: u64 },
    /// What batches of somebody else did to operations that waited here.
    Overtaken {
        /// Operations that they executed.
        executed: usize,
        /// Operations that they made invalid.
        rejected: usize,
    },
    /// A call was made before, by a command that was interrupted.
    SentEarlier {
        /// Its entry of the L1 queue.
        entry: u64,
    },
    /// A claim was made before, by a command that was interrupted.
    ClaimedEarlier {
        /// What it was paid.
        amount: Amount,
    },
    /// How the proofs of a shape are made, and why so.
    ProofPlan {
        /// Name of the shape.
        shape: String,
        text: String,
    },
    /// A proof is of no use.
    ProofNotKept {
        /// Number of the batch that was reopened while it was proven.
        batch: u64,
    },
    /// A proof is of no use: the batch became final while it was proven.
    FinalWhileProven {
        /// Number of the batch.
        batch: u64,
    },
    /// A mirror is restored where somebody else's wallet lies.
    OthersWallet {
        path: PathBuf,
        /// Whose wallet it is.
        address: Address,
        operator: Address,
    },
    /// Sealing waits, for proving to catch up or for L1 after a reorganization.
    SealingWaits {
        /// For what.
        why: String,
    },
    /// L1 refused batches because it has moved, and the work goes on from there.
    Moved {
        /// What L1 said.
        why: String,
    },
    /// A batch is final.
    Final {
        /// Number of the last final batch.
        batch: u64,
        /// Number of the last sealed batch.
        sealed: u64,
    },
    /// Which operations somebody who is not the operator takes.
    FeesTaken {
        /// Tokens of the accounts that get its fees.
        tokens: Vec<String>,
    },
    /// Tokens in which an operator takes no fees, having no account of them.
    NoFees { tokens: Vec<String> },
    /// Not the operator alone may submit batches.
    Right(SubmissionRight),
    /// The operator has returned to a rollup that others continued.
    Returned {
        /// The last second in which it alone may submit.
        until: u64,
    },
    /// The operator returns once it has a batch.
    ReturnsWithBatch,
    /// The operator cannot return yet.
    ReturnsLater {
        /// From when on it may.
        from: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { most, why } => {
                write!(f, "waiting at most {} s (--wait): {why}", most.as_secs())
            }
            Self::AsWritten { why } => write!(
                f,
                "shown is what was written here last, since the chain was not asked: {why}"
            ),
            Self::Behind { batches, mirror } => write!(
                f,
                "shown are accounts and operations without the last {batches} batches of L1: the next command that writes here, as {}, takes them in",
                match mirror {
                    true => "`quire transfer` with --out FILE",
                    false => "`quire seal`",
                }
            ),
            Self::Lost { batches } => write!(
                f,
                "L1 reorganized and lost {batches} batches that were final; what L1 does not replace is submitted again"
            ),
            Self::Reopened { reason, reopened } => write!(
                f,
                "{}: {} batches are open again, {} operations wait to be sealed again",
                reopening_text(*reason),
                reopened.batches,
                reopened.returned
            ),
            Self::Foreign { batches } => write!(
                f,
                "{batches} batches of another submitter are final on L1 and were executed here"
            ),
            Self::Overtaken { executed, rejected } => write!(
                f,
                "of the operations that waited here, these batches executed {executed} and made {rejected} invalid; `quire tx` says why"
            ),
            Self::SentEarlier { entry } => write!(
                f,
                "an earlier command that was interrupted has sent this already, as entry {entry} of the L1 queue: nothing was sent now; run the command again for another"
            ),
            Self::ClaimedEarlier { amount } => write!(
                f,
                "an earlier command that was interrupted has claimed {amount}"
            ),
            Self::ProofPlan { shape, text } => write!(f, "shape {shape}: {text}"),
            Self::ProofNotKept { batch } => write!(
                f,
                "batch {batch} was opened again while it was proven: its proof is not kept"
            ),
            Self::FinalWhileProven { batch } => write!(
                f,
                "batch {batch} became final while it was proven: its proof is not kept"
            ),
            Self::OthersWallet {
                path,
                address,
                operator,
            } => write!(
                f,
                "{} is the wallet of {address}, the operator of this deployment is {operator}: this becomes a mirror",
                path.display()
            ),
            Self::SealingWaits { why } => f.write_str(why),
            Self::Moved { why } => {
                write!(
                    f,
                    "{why}: L1 has moved meanwhile, and this goes on from there"
                )
            }
            Self::Final { batch, sealed } => write!(f, "batch {batch} of {sealed} is final"),
            Self::FeesTaken { tokens } if tokens.is_empty() => f.write_str(
                "this submitter has no account, so it takes the L1 queue and operations without a fee; a deposit makes an account for the fees of its token",
            ),
            Self::FeesTaken { tokens } => write!(
                f,
                "this submitter takes the L1 queue, operations without a fee, and fees in {}; operations with fees in other tokens wait",
                tokens.join(", ")
            ),
            Self::NoFees { tokens } => write!(
                f,
                "the operator has no account of {}, so operations with such a fee are refused: a deposit of the operator's makes one, as `quire deposit --wallet W --token TOKEN --amount AMOUNT` with its wallet, on a chain with its Ethereum key",
                tokens.join(", ")
            ),
            Self::Right(right) => write!(f, "who may submit batches: {}", right_text(*right)),
            Self::Returned { until } => write!(
                f,
                "others have continued the rollup: this operator has returned, and alone may submit until {}",
                Utc(*until)
            ),
            Self::ReturnsWithBatch => f.write_str(
                "others continue the rollup, and this operator has no batch to submit: it returns once it has one, since its hour would pass for nothing",
            ),
            Self::ReturnsLater { from } => write!(
                f,
                "others continue the rollup, and this operator may return again from {} on: until then batches of others may come before its own",
                Utc(*from)
            ),
        }
    }
}

/// Why batches are open again, in words.
fn reopening_text(reason: Reopening) -> String {
    match reason {
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
    }
}

/// A task under way: its end is told when it is dropped.
pub struct Task<'w> {
    watch: &'w Watch,
    began: Instant,
}

impl<'w> Task<'w> {
    /// Begins a task.
    pub fn begin(watch: &'w Watch, work: &Work, steps: Option<u64>) -> Self {
        watch(Event::Begun(work, steps));
        Self {
            watch,
            began: Instant::now(),
        }
    }

    /// So many steps are done.
    pub fn at(&self, steps: u64) {
        (self.watch)(Event::At(steps));
    }

    /// What is being done now.
    pub fn doing(&self, what: &Doing) {
        (self.watch)(Event::Doing(what));
    }

    /// The end; returns how long it took.
    pub fn done(self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        (self.watch)(Event::Ended);
    }
}
