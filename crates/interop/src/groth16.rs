//! Proofs of circom's circuits: what `snarkjs groth16 setup` and `prove`, and rapidsnark, do.
//!
//! A [`CircuitKey`] is a proving key with its circuit's matrices, read from a `.zkey` ([`CircuitKey::of_zkey`])
//! or from a file that is loaded at the disk's speed ([`CircuitKey::read`]). A `.zkey` holds A and B alone:
//! which constraint a witness violates is known only where the circuit was handed in as well.
//!
//! The file of a circuit key is, with integers little-endian: `"QUIRE-CK" ‖ version u32 ‖ bytes of the
//! matrices u64 ‖ the matrices, as r1cs::R1cs writes them ‖ the file of the proving key`. The proving key has
//! the fingerprint of the matrices, its shape is one byte, 1 if C is known and else 0, and its checksum is over
//! all of its own bytes: nothing in the file can change unnoticed.
//!
//! Invariant: a proof that is returned was verified under the key's own verifying key, so a witness that does
//! not satisfy the circuit never gives one. No error holds a value of a witness.
//! How the key's secrets were chosen is left to others: a `.zkey` alone does not tell, so its key is one for
//! development.

use std::collections::HashSet;
use std::io::{self, Cursor, Read, Seek, Write};
use std::path::Path;

use ark_bn254::Fr;
use ark_ff::Field;
use prover::bounded::FileKind;
use prover::key::{AllowDevKeys, KeyError, KeyInfo, Origin, ProvingKey, VerifyingKey};
use prover::proof::Proof;
use prover::prove::{ProveError, prove};
use prover::setup::{SetupError, setup};
use r1cs::{R1cs, R1csError, Rows};
use rand::{CryptoRng, RngCore};

use crate::ceremony::{CeremonyError, contribute, new_key};
use crate::error::FormatError;
use crate::points::FIELD_BYTES;
use crate::ptau::Ptau;
use crate::r1cs::{Circuit, Ordered};
use crate::transcript::Contribution;
use crate::zkey::{self, Coefficient, Zkey};

/// Version of a circuit key's encoding; another version is refused.
pub const CIRCUIT_KEY_VERSION: u32 = 1;
/// What the file of a circuit key starts with.
pub const MAGIC: &[u8; 8] = b"QUIRE-CK";
/// Bytes before the matrices.
const HEAD_BYTES: u64 = 8 + 4 + 8;
/// Bytes of a witness file that are not its values, and some to spare.
const WITNESS_FRAME_BYTES: u64 = 1 << 10;

/// Why there is no key or no proof.
#[derive(Debug, thiserror::Error)]
pub enum Groth16Error {
    /// A file is not what it should be.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The matrices cannot be used.
    #[error(transparent)]
    Matrices(#[from] R1csError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No key was made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The powers of tau or the first contribution were refused.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    /// There is no proof, for a reason other than the witness.
    #[error(transparent)]
    Prove(ProveError),
    /// The last rows of a `.zkey` are not those that tie the public inputs.
    #[error(
        "the last rows of the zkey file do not tie its public inputs one by one, as snarkjs writes them: make the key again with snarkjs or with `quire groth16 setup`"
    )]
    Untied,
    /// The key's matrices are not those of the circuit.
    #[error(
        "the key is of another circuit than the r1cs file: its matrices A and B are others; hand in the files of one compilation"
    )]
    OtherCircuit,
    /// The file of a circuit key is damaged, cut off or of another kind.
    #[error(
        "the file of the circuit key {fault}: convert the .zkey again with `quire groth16 key convert`"
    )]
    KeyFile {
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The file of a circuit key was not read or written.
    #[error(
        "the file of the circuit key cannot be {action}: {source}; check the disk and the path"
    )]
    Io {
        /// What was attempted, as a participle.
        action: &'static str,
        /// The reason that the operating system gave.
        source: io::Error,
    },
    /// The witness has another length than the circuit has wires.
    #[error(
        "the witness has {got} values and the circuit {expected} wires: hand in a witness of the circuit that the key is for"
    )]
    WitnessLength {
        /// Wires of the circuit.
        expected: usize,
        /// Values of the witness.
        got: usize,
    },
    /// The first value of the witness is not 1.
    #[error("the first value of the witness is not the constant 1: calculate the witness again")]
    NotOne,
    /// The witness violates a constraint.
    #[error("the witness violates constraint {row}")]
    Unsatisfied {
        /// The first violated constraint, from 0.
        row: usize,
    },
    /// The witness is good and the proof is not.
    #[error(
        "no proof: the witness satisfies the circuit, and what was made of it does not verify. The key is damaged or was not made for this circuit; make it again"
    )]
    BadKey,
    /// What was made of the witness is no proof, and the key does not tell why.
    #[error(
        "no proof: what was made of this witness does not verify. The witness does not satisfy the circuit, or the key is damaged; hand in the circuit with --r1cs to be told the violated constraint"
    )]
    Unproven,
}

type Result<T> = std::result::Result<T, Groth16Error>;

/// What a proof is checked against and handed out with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The proof, which was verified.
    pub proof: Proof,
    /// The public inputs, outputs first, without the constant 1.
    pub public: Vec<Fr>,
}

/// A proving key with the matrices of its circuit.
#[derive(Clone, Debug)]
pub struct CircuitKey {
    key: ProvingKey,
    /// The matrices that the key is bound to.
    r1cs: R1cs,
    /// Whether C is among them, and not empty because no file had it.
    has_c: bool,
    /// The whole circuit, where it came later than the key.
    circuit: Option<R1cs>,
}

impl CircuitKey {
    /// The key of a `.zkey`, for proofs that are verified: points are not checked to be on their curve; see
    /// [`Zkey::proving_key_unchecked`]. Where `circuit` is known the key must have its matrices.
    ///
    /// # Errors
    /// [`Groth16Error::Format`], [`Groth16Error::Untied`], [`Groth16Error::OtherCircuit`], and
    /// [`Groth16Error::Key`] for a key that permits forgeries.
    pub fn of_zkey<R: Read + Seek>(zkey: &mut Zkey<R>, circuit: Option<R1cs>) -> Result<Self> {
        let (r1cs, has_c) = matrices(zkey, circuit)?;
        let key = zkey.proving_key_unchecked()?;
        let key = ProvingKey::from_ark(key, info(&r1cs, has_c, Origin::Dev))?;
        Ok(Self::of(key, r1cs, has_c))
    }

    /// The key of a `.zkey`, every point checked, to be kept. `origin` is what its file will say of how the
    /// secrets were chosen: of a ceremony only if `ceremony::verify` accepted the key for the circuit.
    ///
    /// # Errors
    /// As [`CircuitKey::of_zkey`].
    pub fn convert<R: Read + Seek>(
        zkey: &mut Zkey<R>,
        circuit: Option<R1cs>,
        origin: Origin,
    ) -> Result<Self> {
        let (r1cs, has_c) = matrices(zkey, circuit)?;
        let key = ProvingKey::from_ark(zkey.proving_key()?, info(&r1cs, has_c, origin))?;
        Ok(Self::of(key, r1cs, has_c))
    }

    fn of(key: ProvingKey, r1cs: R1cs, has_c: bool) -> Self {
        let circuit = None;
        Self {
            key,
            r1cs,
            has_c,
            circuit,
        }
    }

    /// Reads the file of a circuit key, which has `size` bytes; `path` appears in errors. Development keys are
    /// taken: whether to trust a key is for whoever verifies.
    ///
    /// # Errors
    /// [`Groth16Error::KeyFile`], [`Groth16Error::Matrices`], [`Groth16Error::Key`], [`Groth16Error::Io`].
    pub fn read(input: &mut (dyn Read + Send), size: u64, path: &Path) -> Result<Self> {
        let refused = |fault| Groth16Error::KeyFile { fault };
        if size < HEAD_BYTES {
            return Err(refused("is cut off"));
        }
        let mut fill = |bytes: &mut [u8]| {
            let read = input.read_exact(bytes);
            read.map_err(|source| Groth16Error::Io {
                action: "read",
                source,
            })
        };
        let (mut magic, mut word, mut length) = ([0; 8], [0; 4], [0; 8]);
        fill(&mut magic)?;
        if magic != *MAGIC {
            return Err(refused("does not start as one does"));
        }
        fill(&mut word)?;
        if u32::from_le_bytes(word) != CIRCUIT_KEY_VERSION {
            return Err(refused("has another version than this program reads"));
        }
        fill(&mut length)?;
        let length = u64::from_le_bytes(length);
        let key_size = (size - HEAD_BYTES).checked_sub(length);
        let key_size = key_size.ok_or_else(|| refused("is cut off"))?;
        // Why: the counts have to add up before there is memory for what they announce.
        let mut head = [0; R1cs::HEAD_BYTES];
        if length < head.len() as u64 {
            return Err(refused("is damaged"));
        }
        fill(&mut head)?;
        if length != R1cs::announced_bytes(&head) {
            return Err(refused("is damaged"));
        }
        let rest = length - head.len() as u64;
        let too_large = || refused("has matrices that do not fit into memory");
        let mut bytes = head.to_vec();
        let reserved = usize::try_from(rest).map(|rest| bytes.try_reserve_exact(rest));
        reserved
            .map_err(|_| too_large())?
            .map_err(|_| too_large())?;
        let read = (&mut *input).take(rest).read_to_end(&mut bytes);
        read.map_err(|source| Groth16Error::Io {
            action: "read",
            source,
        })?;
        if bytes.len() as u64 != length {
            return Err(refused("is cut off"));
        }
        let r1cs = R1cs::from_bytes(&bytes)?;
        drop(bytes);
        let allow = AllowDevKeys::Yes;
        let key = ProvingKey::read(input, key_size, path, &r1cs.fingerprint(), allow)?;
        let has_c = match key.verifying_key().info().shape.as_slice() {
            [0] => false,
            [1] => true,
            _ => return Err(refused("holds a key of something else")),
        };
        Ok(Self::of(key, r1cs, has_c))
    }

    /// Writes the file of the circuit key.
    ///
    /// # Errors
    /// [`Groth16Error::Io`].
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let matrices = self.r1cs.to_bytes();
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&CIRCUIT_KEY_VERSION.to_le_bytes());
        head.extend_from_slice(&(matrices.len() as u64).to_le_bytes());
        let written = out.write_all(&head).and_then(|()| out.write_all(&matrices));
        let written = written.and_then(|()| self.key.write(out));
        written.map_err(|source| Groth16Error::Io {
            action: "written",
            source,
        })
    }

    /// The key together with its whole circuit.
    ///
    /// # Errors
    /// [`Groth16Error::OtherCircuit`] unless the key was made for `circuit`.
    pub fn with_circuit(mut self, circuit: R1cs) -> Result<Self> {
        let same = match self.has_c {
            true => self.r1cs.fingerprint() == circuit.fingerprint(),
            false => is_of(&self.r1cs, &circuit),
        };
        if !same {
            return Err(Groth16Error::OtherCircuit);
        }
        self.circuit = Some(circuit);
        Ok(self)
    }

    /// The verifying key of the same setup.
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// Wires of the circuit: values of a witness.
    pub fn wires(&self) -> usize {
        self.r1cs.num_variables()
    }

    /// Number of constraints.
    pub fn constraints(&self) -> usize {
        self.r1cs.num_constraints()
    }

    /// The whole circuit, if it is known: then a violated constraint is named.
    pub fn circuit(&self) -> Option<&R1cs> {
        let own = self.has_c.then_some(&self.r1cs);
        self.circuit.as_ref().or(own)
    }

    /// Files of witnesses of the circuit.
    pub fn witness_file(&self) -> FileKind {
        FileKind {
            name: "a witness of the key's circuit",
            most: (self.wires() * FIELD_BYTES) as u64 + WITNESS_FRAME_BYTES,
        }
    }

    /// The wires of a constraint in the order of A, B and C, each once, without the constant 1.
    ///
    /// # Panics
    /// If there is no such constraint.
    pub fn wires_of(&self, row: usize) -> Vec<u32> {
        let circuit = self.circuit().unwrap_or(&self.r1cs);
        let mut wires = Vec::new();
        for matrix in [circuit.a(), circuit.b(), circuit.c()] {
            let columns = matrix.row(row).iter().map(|entry| entry.column);
            wires.extend(columns.filter(|column| *column > 0));
        }
        let mut seen = HashSet::new();
        wires.retain(|wire| seen.insert(*wire));
        wires
    }

    /// Proves that `witness` satisfies the circuit. `rng` blinds the proof; pass the operating system's.
    ///
    /// # Errors
    /// [`Groth16Error::WitnessLength`], [`Groth16Error::NotOne`]; [`Groth16Error::Unsatisfied`] where the
    /// circuit is known, else [`Groth16Error::Unproven`]; [`Groth16Error::BadKey`], [`Groth16Error::Prove`].
    pub fn prove(&self, witness: &[Fr], rng: &mut (impl RngCore + CryptoRng)) -> Result<Proved> {
        let (expected, got) = (self.wires(), witness.len());
        if expected != got {
            return Err(Groth16Error::WitnessLength { expected, got });
        }
        if witness[0] != Fr::ONE {
            return Err(Groth16Error::NotOne);
        }
        if let Some(circuit) = self.circuit() {
            let satisfied = circuit.is_satisfied(witness);
            satisfied.map_err(|row| Groth16Error::Unsatisfied { row })?;
        }
        let proof = prove(&self.key, &self.r1cs, witness, rng).map_err(|error| match error {
            // Why not the row that it names: without C it is none.
            ProveError::Unsatisfied { .. } | ProveError::SelfCheck(_) | ProveError::Point(_) => {
                match self.circuit() {
                    Some(_) => Groth16Error::BadKey,
                    None => Groth16Error::Unproven,
                }
            }
            other => Groth16Error::Prove(other),
        })?;
        let public = witness[1..self.r1cs.num_instance()].to_vec();
        Ok(Proved { proof, public })
    }
}

/// What the key of a circuit says about itself.
fn info(r1cs: &R1cs, has_c: bool, origin: Origin) -> KeyInfo {
    KeyInfo {
        name: String::new(),
        shape: vec![u8::from(has_c)],
        fingerprint: r1cs.fingerprint(),
        origin,
    }
}

/// A verifying key from another program's file, which says nothing about itself.
///
/// # Errors
/// [`KeyError::Degenerate`] for a key that permits forgeries.
pub fn foreign_verifying_key(
    key: ark_groth16::VerifyingKey<ark_bn254::Bn254>,
) -> std::result::Result<VerifyingKey, KeyError> {
    let info = KeyInfo {
        name: String::new(),
        shape: Vec::new(),
        fingerprint: [0; 32],
        origin: Origin::Unknown,
    };
    VerifyingKey::new(key, info)
}

/// The key's matrices: those of `circuit`, or A and B as the key has them. True if C is among them.
fn matrices<R: Read + Seek>(zkey: &mut Zkey<R>, circuit: Option<R1cs>) -> Result<(R1cs, bool)> {
    let own = own_matrices(zkey)?;
    zkey.check_counts(&own)?;
    match circuit {
        None => Ok((own, false)),
        Some(circuit) if is_of(&own, &circuit) => Ok((circuit, true)),
        Some(_) => Err(Groth16Error::OtherCircuit),
    }
}

/// Whether `own`, which lacks C, is otherwise `circuit`. In both coefficients are numbered by their first use,
/// first in A and then in B.
fn is_of(own: &R1cs, circuit: &R1cs) -> bool {
    let counts = |r1cs: &R1cs| (r1cs.num_instance(), r1cs.num_witness());
    counts(own) == counts(circuit)
        && own.a() == circuit.a()
        && own.b() == circuit.b()
        && circuit.coefficients().starts_with(own.coefficients())
}

/// A and B of a key without the rows that tie the public inputs; C is empty.
fn own_matrices<R: Read + Seek>(zkey: &mut Zkey<R>) -> Result<R1cs> {
    let (wires, instance) = {
        let header = zkey.header();
        (header.wires as usize, header.public as usize + 1)
    };
    let mut terms: Vec<Coefficient> = Vec::new();
    zkey.coefficients(|one| {
        let place = |of: &Coefficient| (of.matrix, of.row, of.wire);
        // Why here too: a hole in a file reads as one term without end.
        if terms.last().is_some_and(|last| place(last) == place(&one)) {
            return Err(repeated());
        }
        terms.push(one);
        Ok(())
    })?;
    // Programs write rows in ascending order; the format does not ask for it.
    if !terms.is_sorted_by_key(|one| one.row) {
        terms.sort_by_key(|one| one.row);
    }
    let rows = terms.last().map_or(0, |one| one.row as usize + 1);
    let constraints = rows.checked_sub(instance).ok_or(Groth16Error::Untied)?;
    let mut system = Rows::new(instance, wires - instance)?;
    let mut rest = terms.as_slice();
    let mut row_terms: [Vec<(u32, Fr)>; 2] = Default::default();
    for row in 0..rows {
        row_terms.iter_mut().for_each(Vec::clear);
        let length = rest
            .iter()
            .take_while(|one| one.row as usize == row)
            .count();
        let (of_row, after) = rest.split_at(length);
        rest = after;
        for one in of_row {
            row_terms[usize::from(one.matrix == 1)].push((one.wire, one.value));
        }
        for terms in &mut row_terms {
            terms.sort_unstable_by_key(|(wire, _)| *wire);
            if terms.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(repeated().into());
            }
        }
        let [a, b] = &row_terms;
        match row.checked_sub(constraints) {
            None => system.push([a, b, &[]])?,
            Some(input) => {
                let tied =
                    matches!(a[..], [(wire, value)] if wire as usize == input && value == Fr::ONE);
                if !tied || !b.is_empty() {
                    return Err(Groth16Error::Untied);
                }
            }
        }
    }
    Ok(system.finish()?)
}

/// The refusal of a wire that occurs twice in a row of A or B, which programs read in two ways.
fn repeated() -> FormatError {
    FormatError::OutOfRange {
        kind: zkey::KIND.name,
        what: "the number of terms of one wire in a row",
        got: 2,
        allowed: "one".to_owned(),
    }
}

/// Makes a key from the circuit alone and writes it as a `.zkey` without contributions; returns its verifying
/// key. Whoever runs this could keep the secrets.
///
/// # Errors
/// [`Groth16Error::Setup`], [`Groth16Error::Format`].
pub fn setup_alone(circuit: &Circuit, out: impl Write) -> Result<VerifyingKey> {
    let key = setup(&circuit.r1cs, "", b"")?;
    zkey::write(out, &key, &circuit.r1cs)?;
    Ok(key.verifying_key().clone())
}

/// Makes a key from powers of tau and writes it as a `.zkey` with one contribution, from `rng`, which should be
/// the operating system's. Whoever runs this could keep the secret.
///
/// # Errors
/// [`Groth16Error::Ceremony`], [`Groth16Error::Format`].
pub fn setup_from_powers<'a, R: Read + Seek>(
    circuit: impl Into<Ordered<'a>>,
    ptau: &mut Ptau<R>,
    out: impl Write,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Contribution> {
    let mut first = Vec::new();
    new_key(circuit, ptau, &mut first)?;
    let mut first = Zkey::open(Cursor::new(first))?;
    Ok(contribute(&mut first, out, None, rng)?)
}
