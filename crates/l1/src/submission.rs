//! A proven batch as it is sent to L1, as bytes and as a folder, and its verification.
//!
//! A [`Submission`] holds the published data as `ledger::words` defines them, `c` and the proof.
//! All are bytes from outside: everything is bounded when it is decoded, and before it is reduced
//! (docs/protocol.md, section 7). The data name domain, old root, number and queue entries too, so
//! that they can be verified alone; L1 compares them with its own and takes its own.
//!
//! Invariant: `z` is derived from `c` and all words, `y` from all words at `z`, and nothing of
//! either is taken from the submission (docs/protocol.md, section 5).
//!
//! | bytes | field of an encoded submission |
//! |---|---|
//! | 8, 4 | `"QUIRE-SB"`, version 1 |
//! | 2 | shape id |
//! | 32 | `c` |
//! | 256 | proof |
//! | 4, as many | length of the published data, the data |
//!
//! A batch folder has `data.bin`, `proof.bin` and `batch.json`, which says what the data say in
//! words that people read, with a digest over all three files. Its `queue_from` is known to L1
//! alone: the proof cannot confirm it.

use std::path::{Path, PathBuf};

use ledger::field::{Fr, from_be_bytes, to_be_bytes};
use ledger::shape::Shape;
use ledger::words::{PublicWords, WordsError, challenge, evaluation};
use prover::bounded::{self, FileKind, ReadError};
use prover::key::VerifyingKey;
use prover::proof::{PROOF_BYTES, Proof};
use prover::verify::verify;
use serde::{Deserialize, Serialize};
use storage::{CodecError, Reader, Writer};
use thiserror::Error;

use crate::bytes::Bytes;
use crate::error::BatchFault;

/// Public inputs of a batch proof: `c`, `z`, `y`.
pub const PUBLIC_INPUTS: usize = 3;
/// Version of the encoding of a submission and of a batch folder.
pub const SUBMISSION_VERSION: u32 = 1;
/// Most bytes of published data that are read; the largest shape has less.
pub const MAX_DATA_BYTES: u32 = 1 << 24;
/// Name of the file with the summary.
pub const SUMMARY_FILE: &str = "batch.json";
/// Name of the file with the published data.
pub const DATA_FILE: &str = "data.bin";
/// Name of the file with the proof.
pub const PROOF_FILE: &str = "proof.bin";

const LABEL: &[u8; 8] = b"QUIRE-SB";
const FOLDER_LABEL: &str = "quire/batch folder/1";

/// What the operator sends to L1 for one batch. Nothing in it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    pub shape_id: u16,
    /// The published data, see [`PublicWords::to_bytes`].
    pub data: Vec<u8>,
    /// `c`, the commitment to the words, as 32 big-endian bytes.
    pub c: [u8; 32],
    pub proof: [u8; PROOF_BYTES],
}

/// A submission with every value bounded.
pub(crate) struct Opened {
    pub(crate) words: PublicWords,
    pub(crate) c: Fr,
    pub(crate) proof: Proof,
}

/// A batch whose proof holds for its published data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBatch {
    /// What the data say.
    pub words: PublicWords,
    /// `c`, `z`, `y`.
    pub public_inputs: [Fr; PUBLIC_INPUTS],
}

impl Submission {
    /// The submission of a proven batch.
    ///
    /// # Errors
    /// [`WordsError`] if the words are not those of a batch of the shape.
    pub fn new(
        words: &PublicWords,
        shape: &Shape,
        c: &Fr,
        proof: &Proof,
    ) -> Result<Self, WordsError> {
        Ok(Self {
            shape_id: shape.id,
            data: words.to_bytes(shape)?,
            c: to_be_bytes(c),
            proof: proof.to_bytes(),
        })
    }

    /// The one encoding; see the module's head.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            shape_id,
            data,
            c,
            proof,
        } = self;
        let length = u32::try_from(data.len()).expect("published data have less than 4 GiB");
        let mut record = Writer::default();
        let out = record.put(LABEL).u32(SUBMISSION_VERSION);
        let out = out.u16(*shape_id).put(c).put(proof);
        out.u32(length).put(data).finish()
    }

    /// Reads what [`Self::to_bytes`] writes. The contents are checked when they are used.
    ///
    /// # Errors
    /// [`CodecError`] on another label, version or length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new("a submission", bytes);
        let submission = Self::read(&mut reader)?;
        reader.end()?;
        Ok(submission)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.label(LABEL)?;
        reader.label(&SUBMISSION_VERSION.to_be_bytes())?;
        let (shape_id, c, proof) = (reader.u16()?, reader.take()?, reader.take()?);
        let length = reader.u32()?;
        if length > MAX_DATA_BYTES {
            return Err(reader.invalid("length of the published data", length));
        }
        let length = usize::try_from(length).expect("32 bits fit usize");
        Ok(Self {
            shape_id,
            data: reader.slice(length)?.to_vec(),
            c,
            proof,
        })
    }

    /// Decodes and bounds everything.
    pub(crate) fn open(&self, shape: &Shape) -> Result<Opened, BatchFault> {
        let got = self.shape_id;
        if got != shape.id {
            let expected = shape.id;
            return Err(WordsError::ShapeId { expected, got }.into());
        }
        Ok(Opened {
            words: PublicWords::from_bytes(&self.data, shape)?,
            c: from_be_bytes(&self.c).map_err(|_| BatchFault::CommitmentNotCanonical)?,
            proof: Proof::from_bytes(&self.proof)?,
        })
    }
}

/// `c`, `z`, `y` of a batch, `z` and `y` computed from all its words.
pub(crate) fn public_inputs(
    words: &PublicWords,
    shape: &Shape,
    c: Fr,
) -> Result<[Fr; PUBLIC_INPUTS], WordsError> {
    let words = words.encode(shape)?;
    let z = challenge(&c, &words);
    Ok([c, z, evaluation(&words, &z)])
}

/// Verifies a batch by itself: the proof holds for the published data. Whether it is the next batch
/// of a chain is left to L1; domain and old root are in the words of the result.
pub fn verify_batch(
    submission: &Submission,
    shape: &Shape,
    key: &VerifyingKey,
) -> Result<VerifiedBatch, BatchFault> {
    let Opened { words, c, proof } = submission.open(shape)?;
    let public_inputs = public_inputs(&words, shape, c)?;
    verify(key, &public_inputs, &proof)?;
    Ok(VerifiedBatch {
        words,
        public_inputs,
    })
}

/// The contents of `batch.json`, which repeats what the other files say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Version of the folder's format.
    pub version: u32,
    pub shape_id: u16,
    pub batch_number: u64,
    /// Number of the deployment.
    pub domain: Bytes<32>,
    pub old_root: Bytes<32>,
    pub new_root: Bytes<32>,
    /// Timestamp of the batch, seconds since 1970.
    pub timestamp: u64,
    /// Number of the first queue entry that the batch consumes. Known to L1 alone.
    pub queue_from: u64,
    /// Number of queue entries that the batch consumes.
    pub queue_entries: u64,
    /// The commitment to the words.
    pub c: Bytes<32>,
    /// BLAKE3 of this file with a checksum of zeros, the data and the proof.
    pub checksum: Bytes<32>,
}

/// Why a folder does not hold a batch.
#[derive(Debug, Error)]
pub enum FolderError {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}; check that the folder holds a whole batch", path.display())]
    Io {
        path: PathBuf,
        action: &'static str,
        source: std::io::Error,
    },
    /// The summary does not parse.
    #[error("{}: {source}; export the batch again", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// The summary is not laid out as this program writes it.
    #[error("{}: not in the layout that this program writes; export the batch again", path.display())]
    Layout { path: PathBuf },
    /// Another format version.
    #[error("the batch folder has version {got}, this program reads {expected}; export it again")]
    Version { expected: u32, got: u32 },
    /// A file has another length than it can have.
    #[error("{}: expected {expected} bytes, got {got}", path.display())]
    Length {
        path: PathBuf,
        /// Bytes expected, or at most.
        expected: u64,
        /// Bytes found (of a larger file, those read).
        got: usize,
    },
    /// The files do not belong together, or one is damaged.
    #[error("the batch is damaged: the checksum is {expected}, the files have {got}")]
    Checksum {
        /// The checksum in the summary.
        expected: Bytes<32>,
        got: Bytes<32>,
    },
    /// The summary says something else than the data.
    #[error("the summary and the data of the batch differ in {field}")]
    Disagree { field: &'static str },
    /// The batch does not verify.
    #[error(transparent)]
    Batch(#[from] BatchFault),
}

/// A batch folder that was read. Its contents are not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFolder {
    /// What `batch.json` says.
    pub summary: Summary,
    pub submission: Submission,
}

impl BatchFolder {
    /// A folder for a batch that consumes queue entries from `queue_from` on.
    ///
    /// # Errors
    /// [`BatchFault`] if the submission does not decode as one of the shape.
    pub fn new(submission: Submission, shape: &Shape, queue_from: u64) -> Result<Self, BatchFault> {
        let opened = submission.open(shape)?;
        let mut summary = Summary::of(&opened.words, &submission, queue_from);
        summary.checksum = summary.digest(&submission);
        Ok(Self {
            summary,
            submission,
        })
    }

    /// Writes the three files into `folder`, which is made if it does not exist; the summary last.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), FolderError> {
        let failed = |path: PathBuf, action| {
            move |source| FolderError::Io {
                path,
                action,
                source,
            }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder.into(), "make the folder"))?;
        let files = [
            (DATA_FILE, self.submission.data.as_slice()),
            (PROOF_FILE, &self.submission.proof),
            (SUMMARY_FILE, &self.summary.text()),
        ];
        for (name, bytes) in files {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(failed(path, "write it"))?;
        }
        Ok(())
    }

    /// Reads a folder and checks that its files belong together.
    pub fn load(folder: &Path) -> Result<Self, FolderError> {
        let path = folder.join(SUMMARY_FILE);
        let text = read_at_most(&path, 1 << 16)?;
        let parsed = serde_json::from_slice(&text);
        let summary: Summary = parsed.map_err(|source| FolderError::Json {
            path: path.clone(),
            source,
        })?;
        if summary.version != SUBMISSION_VERSION {
            return Err(FolderError::Version {
                expected: SUBMISSION_VERSION,
                got: summary.version,
            });
        }
        if summary.text() != text {
            return Err(FolderError::Layout { path });
        }
        let submission = Submission {
            shape_id: summary.shape_id,
            data: read_at_most(&folder.join(DATA_FILE), MAX_DATA_BYTES.into())?,
            c: summary.c.0,
            proof: read_proof(&folder.join(PROOF_FILE))?,
        };
        let (expected, got) = (summary.checksum, summary.digest(&submission));
        if expected != got {
            return Err(FolderError::Checksum { expected, got });
        }
        Ok(Self {
            summary,
            submission,
        })
    }

    /// Verifies the batch as [`verify_batch`] does, and that the summary says what the data say.
    ///
    /// # Errors
    /// [`FolderError::Disagree`] or [`FolderError::Batch`].
    pub fn verify(&self, shape: &Shape, key: &VerifyingKey) -> Result<VerifiedBatch, FolderError> {
        let verified = verify_batch(&self.submission, shape, key)?;
        let queue_from = self.summary.queue_from;
        let expected = Summary::of(&verified.words, &self.submission, queue_from);
        match self.summary.difference(&expected) {
            None => Ok(verified),
            Some(field) => Err(FolderError::Disagree { field }),
        }
    }
}

impl Summary {
    /// The summary of a batch, its checksum still zero.
    fn of(words: &PublicWords, submission: &Submission, queue_from: u64) -> Self {
        let header = &words.header;
        let entries = u64::try_from(words.l1_ops.len()).expect("at most the 16-bit capacity");
        Self {
            version: SUBMISSION_VERSION,
            shape_id: header.shape_id,
            batch_number: header.batch_number,
            domain: Bytes(to_be_bytes(&header.domain)),
            old_root: Bytes(to_be_bytes(&header.old_root)),
            new_root: Bytes(to_be_bytes(&header.new_root)),
            timestamp: header.timestamp,
            queue_from,
            queue_entries: entries,
            c: Bytes(submission.c),
            checksum: Bytes([0; 32]),
        }
    }

    /// The first field, checksum aside, in which two summaries differ.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let Self {
            version,
            shape_id,
            batch_number,
            domain,
            old_root,
            new_root,
            timestamp,
            queue_from,
            queue_entries,
            c,
            checksum: _,
        } = self;
        let fields = [
            ("version", *version == other.version),
            ("shape_id", *shape_id == other.shape_id),
            ("batch_number", *batch_number == other.batch_number),
            ("domain", *domain == other.domain),
            ("old_root", *old_root == other.old_root),
            ("new_root", *new_root == other.new_root),
            ("timestamp", *timestamp == other.timestamp),
            ("queue_from", *queue_from == other.queue_from),
            ("queue_entries", *queue_entries == other.queue_entries),
            ("c", *c == other.c),
        ];
        let mut fields = fields.into_iter();
        fields.find(|(_, same)| !same).map(|(field, _)| field)
    }

    /// The one text of the summary.
    fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("text keys and numbers are JSON");
        text.push(b'\n');
        text
    }

    /// The checksum that the summary must have.
    fn digest(&self, submission: &Submission) -> Bytes<32> {
        let mut blank = self.clone();
        blank.checksum = Bytes([0; 32]);
        let mut hasher = blake3::Hasher::new_derive_key(FOLDER_LABEL);
        for part in [blank.text().as_slice(), &submission.data, &submission.proof] {
            let length = u64::try_from(part.len()).expect("a length fits 64 bits");
            hasher.update(&length.to_be_bytes()).update(part);
        }
        Bytes(hasher.finalize().into())
    }
}

fn read_proof(path: &Path) -> Result<[u8; PROOF_BYTES], FolderError> {
    let expected = u64::try_from(PROOF_BYTES).expect("a length fits 64 bits");
    let bytes = read_at_most(path, expected)?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| FolderError::Length {
            path: path.into(),
            expected,
            got: bytes.len(),
        })
}

/// A file of at most `limit` bytes; of a larger one no more is read.
fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, FolderError> {
    let kind = FileKind {
        name: "a file of a batch",
        most: limit,
    };
    bounded::read(path, kind).map_err(|error| match error {
        ReadError::Io { path, source } => FolderError::Io {
            path,
            action: "read it",
            source,
        },
        ReadError::TooLong { path, most, .. } => FolderError::Length {
            path,
            expected: most,
            got: usize::try_from(most).map_or(usize::MAX, |most| most.saturating_add(1)),
        },
    })
}
