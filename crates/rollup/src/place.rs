//! Where a deployment is, how it is used, and who watches.
//!
//! Everything lies in one data directory: L1 and batcher in `rollup`, keys in `keys`, folders of proven
//! batches in `batches`; L1 and keys may be elsewhere. One process at a time writes a deployment's files.
//! Invariant: nobody waits for its turn without having been told for what, nor longer than [`Place::wait`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use l1::NativeL1;
use prover::key::AllowDevKeys;

use crate::clock::Clock;
use crate::error::{DeploymentError, LinkError, NoFolder};
use crate::event::{Event, Note, Task, Watch, Work};
use crate::settlement::Link;
use crate::stop::Stop;
use crate::text::message;

/// How often a file that another process has open is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Connects a mirror with its contract.
pub type Connect = Arc<dyn Fn(&Place, &NativeL1) -> Result<Link, LinkError> + Send + Sync>;

/// A data directory and how it is used.
#[derive(Clone)]
pub struct Place {
    /// Everything that is kept.
    pub data_dir: PathBuf,
    /// Where keys are.
    pub keys_dir: PathBuf,
    /// The native L1's file, or that of a contract's mirror.
    pub l1_file: PathBuf,
    /// Connects with the contract; none for a native L1.
    pub connect: Option<Connect>,
    /// Blocks on top of an L1 block before it counts.
    pub confirmations: u64,
    /// Whether keys of a seeded setup are accepted.
    pub dev_keys: AllowDevKeys,
    /// What is believed of the time.
    pub clock: Clock,
    /// How long to wait while another process writes the same files.
    pub wait: Duration,
    /// Who is told what happens.
    pub watch: Watch,
    /// Ends long work early.
    pub stop: Stop,
}

impl Place {
    /// A data directory with everything in it, used on a native L1 without waiting, watched by nobody.
    pub fn of(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            keys_dir: data_dir.join("keys"),
            l1_file: data_dir.join("rollup").join("l1.redb"),
            connect: None,
            confirmations: 0,
            dev_keys: AllowDevKeys::No,
            clock: Clock::default(),
            wait: Duration::ZERO,
            watch: Arc::new(|_| {}),
            stop: Stop::default(),
        }
    }

    /// The folder of L1 and batcher, which is put in place whole.
    pub fn rollup_dir(&self) -> PathBuf {
        self.data_dir.join("rollup")
    }

    /// The plan of a deployment on a chain that was begun.
    pub fn deploying_dir(&self) -> PathBuf {
        self.data_dir.join("deploying")
    }

    /// The folder of a proven batch.
    pub fn batch_folder(&self, number: u64) -> PathBuf {
        self.data_dir.join("batches").join(number.to_string())
    }

    /// True if there is a deployment.
    pub fn has_deployment(&self) -> bool {
        self.rollup_dir().exists()
    }

    /// The same place, for what waits at least so long.
    pub fn waiting_at_least(&self, time: Duration) -> Self {
        Self {
            wait: self.wait.max(time),
            ..self.clone()
        }
    }

    /// The same place, for what does something else where it would have to wait.
    pub fn without_waiting(&self) -> Self {
        Self {
            wait: Duration::ZERO,
            ..self.clone()
        }
    }

    /// Tells whoever watches.
    pub fn note(&self, note: &Note) {
        (self.watch)(Event::Note(note));
    }

    /// Begins something that takes time.
    pub fn task(&self, work: &Work, steps: Option<u64>) -> Task<'_> {
        Task::begin(&self.watch, work, steps)
    }

    /// Opens what another process may have open, waiting for it at most [`Self::wait`].
    ///
    /// # Errors
    /// As `open`; that another process has it open only once the time is up.
    pub fn for_turn<T>(
        &self,
        mut open: impl FnMut() -> Result<T, DeploymentError>,
    ) -> Result<T, DeploymentError> {
        let began = Instant::now();
        let mut said = false;
        loop {
            let error = match open() {
                Err(error) if error.is_in_use() && began.elapsed() < self.wait => error,
                opened => return opened,
            };
            if !said {
                said = true;
                self.note(&Note::Waiting {
                    most: self.wait,
                    why: message(&error),
                });
            }
            sleep(PAUSE);
        }
    }
}

/// Makes a folder with the folders above it.
///
/// # Errors
/// If the operating system refuses.
pub fn make_folder(folder: &Path) -> Result<(), NoFolder> {
    std::fs::create_dir_all(folder).map_err(|source| NoFolder {
        folder: folder.to_owned(),
        source,
    })
}
