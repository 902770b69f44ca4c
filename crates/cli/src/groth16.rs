//! `quire groth16`: proofs of circom's circuits, with the files of snarkjs and rapidsnark.
//!
//! Invariant: a proof that is written was verified under the key, with the public inputs that are written
//! beside it. Proof and public inputs replace files that are there, each in one step; every other file that
//! is written is a new one. A witness that is refused leaves the files of an earlier one as they are, and the
//! refusal says so: they are a proof that holds, and belong to whoever keeps them. No value of a witness is
//! printed, and its bytes and values are wiped; what is computed from them is not, nor what reading leaves
//! behind.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use interop::ceremony;
use interop::groth16::{
    CircuitKey, Groth16Error, MAGIC, Proved, foreign_verifying_key, setup_alone, setup_from_powers,
};
use interop::ptau::Ptau;
use interop::r1cs::Circuit;
use interop::zkey::{Zkey, file_kind};
use interop::{calldata, json, sym, wtns};
use ledger::field::Fr;
use prover::bounded;
use prover::key::{Degenerate, MAX_IC_POINTS, Origin, VerifyingKey};
use prover::proof::Proof;
use prover::verify::verify;
use rand::rngs::OsRng;
use rollup::text::{bytes, count};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{
    Groth16CalldataArgs, Groth16Command, Groth16ConvertArgs, Groth16KeyCommand,
    Groth16KeyExportArgs, Groth16ProveArgs, Groth16SetupArgs, Groth16VerifyArgs,
};
use crate::exchange::{open, text};
use crate::fault::{Class, Fault};
use crate::files::{Readers, put_text, write_new};
use crate::interrupt::shield;
use crate::keys::Made;
use crate::settings::Settings;
use crate::ui::{Task, seconds};

/// Names of signals that a message shows.
const MOST_SIGNALS: usize = 8;

/// `quire groth16 …`.
///
/// # Errors
/// As the commands say.
pub fn run(settings: &Settings, command: &Groth16Command) -> Result<()> {
    match command {
        Groth16Command::Prove(args) => run_prove(settings, args),
        Groth16Command::Verify(args) => run_verify(settings, args),
        Groth16Command::Setup(args) => run_setup(settings, args),
        Groth16Command::Key(Groth16KeyCommand::Convert(args)) => run_convert(settings, args),
        Groth16Command::Key(Groth16KeyCommand::Export(args)) => run_export(settings, args),
        Groth16Command::Calldata(args) => run_calldata(settings, args),
    }
}

fn unusable(path: &Path) -> String {
    format!("cannot use {}", path.display())
}

/// A file that holds a key, by what it starts with.
enum KeyFile {
    Zkey(File),
    Converted(File),
    /// Whatever it is: JSON, if it is a key.
    Other,
}

fn key_file(path: &Path) -> Result<KeyFile> {
    let mut file = open(path)?;
    let mut start = Vec::new();
    let read = file
        .by_ref()
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start);
    read.and_then(|_| file.rewind())
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(match start.as_slice() {
        start if start == MAGIC => KeyFile::Converted(file),
        start if start.starts_with(b"zkey") => KeyFile::Zkey(file),
        _ => KeyFile::Other,
    })
}

fn converted(mut file: File, path: &Path) -> Result<CircuitKey> {
    let size = file.metadata().with_context(|| unusable(path))?.len();
    CircuitKey::read(&mut file, size, path).with_context(|| unusable(path))
}

/// A key for proofs, with the circuit where one is named.
fn proving_key(path: &Path, r1cs: Option<&Path>, task: &Task) -> Result<CircuitKey> {
    let circuit = r1cs.map(circuit).transpose()?.map(|circuit| circuit.r1cs);
    task.doing("loading the key");
    match key_file(path)? {
        KeyFile::Converted(file) => {
            let key = converted(file, path)?;
            match circuit {
                None => Ok(key),
                Some(circuit) => key.with_circuit(circuit).with_context(|| unusable(path)),
            }
        }
        // Why the others too: the message says what the file starts with.
        KeyFile::Zkey(_) | KeyFile::Other => {
            let mut zkey = Zkey::open(open(path)?).with_context(|| unusable(path))?;
            CircuitKey::of_zkey(&mut zkey, circuit).with_context(|| unusable(path))
        }
    }
}

fn circuit(path: &Path) -> Result<Circuit> {
    let (circuit, _) = interop::r1cs::read(open(path)?).with_context(|| unusable(path))?;
    Ok(circuit)
}

fn verifying_key(path: &Path) -> Result<VerifyingKey> {
    let ark = match key_file(path)? {
        KeyFile::Converted(file) => return Ok(converted(file, path)?.verifying_key().clone()),
        KeyFile::Zkey(file) => Zkey::open(file).and_then(|mut zkey| zkey.verifying_key()),
        KeyFile::Other => json::read_verifying_key(&text(path)?),
    };
    let key = foreign_verifying_key(ark.with_context(|| unusable(path))?);
    key.with_context(|| unusable(path))
}

/// What `groth16 prove` prints.
#[derive(Serialize)]
struct ProveFacts {
    verifying_key: String,
    witness_checked: bool,
    load_seconds: f64,
    seconds: f64,
    proofs: Vec<ProofFacts>,
}

/// What became of a witness.
#[derive(Serialize)]
struct ProofFacts {
    witness: PathBuf,
    proof: PathBuf,
    public: PathBuf,
    public_inputs: usize,
    proving_seconds: f64,
    refused: Option<String>,
}

/// A witness, and where its proof and public inputs go.
struct Job {
    witness: PathBuf,
    proof: PathBuf,
    public: PathBuf,
}

fn run_prove(settings: &Settings, args: &Groth16ProveArgs) -> Result<()> {
    let started = Instant::now();
    let (key_path, jobs) = jobs(args)?;
    let inputs = [Some(&key_path), args.r1cs.as_ref(), args.sym.as_ref()];
    let inputs: Vec<&PathBuf> = inputs.into_iter().flatten().collect();
    for job in &jobs {
        job.check(&inputs)?;
    }
    // Why: what is missing is said before anything is computed.
    let sym = args.sym.as_deref();
    sym.map(open).transpose()?;
    let task = settings.ui.task("reading the circuit and the key", None);
    let key = proving_key(&key_path, args.r1cs.as_deref(), &task)?;
    ensure!(
        args.sym.is_none() || key.circuit().is_some(),
        Fault::usage(
            "--sym names the signals of a violated constraint, which this key does not tell: hand in the circuit with --r1cs"
        )
    );
    let loaded = started.elapsed();
    let mut proofs = Vec::new();
    let mut unwritten = None;
    for job in &jobs {
        task.doing(format!("proving {}", job.witness.display()));
        let begun = Instant::now();
        let proven = match args.batch {
            Some(_) => job.check_witness().and_then(|()| job.prove(&key, sym)),
            None => job.prove(&key, sym),
        };
        let (public_inputs, refused) = match proven.map_err(|error| job.left_alone(error)) {
            Ok(proved) => {
                match job.write(&proved) {
                    Err(error) if args.batch.is_none() => return Err(error),
                    // Why not the others: a disk that is full fails them too.
                    Err(error) => {
                        unwritten = Some(error);
                        break;
                    }
                    Ok(()) => {}
                }
                (proved.public.len(), None)
            }
            // Only of many is one left out.
            Err(error) if args.batch.is_none() => return Err(error),
            Err(error) => (0, Some(crate::fault::message(&error))),
        };
        proofs.push(ProofFacts {
            witness: job.witness.clone(),
            proof: job.proof.clone(),
            public: job.public.clone(),
            public_inputs,
            proving_seconds: seconds(begun.elapsed()),
            refused,
        });
    }
    task.done();
    let refused = proofs.iter().filter(|one| one.refused.is_some()).count();
    let facts = ProveFacts {
        verifying_key: key.verifying_key().id_hex(),
        witness_checked: key.circuit().is_some(),
        load_seconds: seconds(loaded),
        seconds: seconds(started.elapsed()),
        proofs,
    };
    settings.ui.result(&facts, describe(&facts))?;
    let (tried, all) = (facts.proofs.len(), jobs.len());
    if let Some(error) = unwritten {
        return Err(error.context(format!(
            "{} of {all} witnesses are not proven: writing failed",
            all - tried
        )));
    }
    ensure!(refused == 0, "{refused} of {all} witnesses were refused");
    Ok(())
}

/// The key, and what is to be proven.
fn jobs(args: &Groth16ProveArgs) -> Result<(PathBuf, Vec<Job>)> {
    if let [key, witness, proof, public] = args.files.as_slice() {
        let job = Job {
            witness: witness.clone(),
            proof: proof.clone(),
            public: public.clone(),
        };
        return Ok((key.clone(), vec![job]));
    }
    let missing = || Fault::usage("name the files with --zkey, --wtns, --proof and --public");
    let key = args.zkey.clone().ok_or_else(missing)?;
    if let Some(folder) = &args.batch {
        return Ok((key, jobs_of(folder)?));
    }
    let [Some(witness), Some(proof), Some(public)] = [&args.wtns, &args.proof, &args.public] else {
        bail!(missing());
    };
    let job = Job {
        witness: witness.clone(),
        proof: proof.clone(),
        public: public.clone(),
    };
    Ok((key, vec![job]))
}

/// Every witness of a folder, in the order of names.
fn jobs_of(folder: &Path) -> Result<Vec<Job>> {
    let context = || format!("cannot read {}", folder.display());
    let mut witnesses = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|it| it == "wtns") {
            witnesses.push(path);
        }
    }
    witnesses.sort();
    ensure!(
        !witnesses.is_empty(),
        Fault::input(format!(
            "{} has no file that ends with .wtns",
            folder.display()
        ))
    );
    let jobs = witnesses.into_iter().map(|witness| Job {
        proof: witness.with_extension("proof.json"),
        public: witness.with_extension("public.json"),
        witness,
    });
    Ok(jobs.collect())
}

/// The one path of a file, whether it is there or not.
fn real(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let whole = || {
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    };
    let there = std::fs::canonicalize(path).ok();
    there.or_else(whole).unwrap_or_else(|| path.to_owned())
}

impl Job {
    /// Refuses to write over what is read, over one file twice, or over what is no plain file.
    fn check(&self, inputs: &[&PathBuf]) -> Result<()> {
        let inputs = inputs.iter().copied().chain([&self.witness]);
        let read: Vec<PathBuf> = inputs.map(|path| real(path)).collect();
        for out in [&self.proof, &self.public] {
            let name = out.display();
            ensure!(
                !read.contains(&real(out)),
                Fault::usage(format!(
                    "{name} is read and would be replaced: name another"
                ))
            );
            // Why not what a link leads to: the link itself would be replaced, /dev/stdout among them.
            let kind = std::fs::symlink_metadata(out).map(|known| known.file_type());
            ensure!(
                kind.map_or(true, |kind| kind.is_file()),
                Fault::usage(format!(
                    "{name} is no plain file and is not replaced: name another"
                ))
            );
        }
        ensure!(
            real(&self.proof) != real(&self.public),
            Fault::usage("proof and public inputs need two files")
        );
        Ok(())
    }

    /// Refuses a witness that is no plain file: a pipe without a writer would hold up the others.
    fn check_witness(&self) -> Result<()> {
        let name = self.witness.display();
        let known = std::fs::metadata(&self.witness);
        let known = known.with_context(|| format!("cannot read {name}"))?;
        ensure!(
            known.is_file(),
            Fault::input(format!("{name} is no plain file"))
        );
        Ok(())
    }

    /// A refusal, which says that files of an earlier witness are still there.
    fn left_alone(&self, error: anyhow::Error) -> anyhow::Error {
        let outputs = [&self.proof, &self.public].into_iter();
        let left: Vec<String> = outputs
            .filter(|path| path.exists())
            .map(|path| path.display().to_string())
            .collect();
        if left.is_empty() {
            return error;
        }
        let class = crate::fault::class_of(&error);
        let left = left.join(" and ");
        error.context(Fault::new(
            class,
            format!("no proof was made, and {left} of an earlier run are left as they were"),
        ))
    }

    /// Proves the witness.
    fn prove(&self, key: &CircuitKey, sym: Option<&Path>) -> Result<Proved> {
        let context = || unusable(&self.witness);
        let read = bounded::read(&self.witness, key.witness_file())?;
        let read = Zeroizing::new(read);
        let witness = wtns::read(Cursor::new(read.as_slice())).with_context(context)?;
        let witness = Zeroizing::new(witness);
        match key.prove(&witness, &mut OsRng) {
            Err(Groth16Error::Unsatisfied { row }) => {
                let violated = violated(key, row, sym);
                Err(Groth16Error::Unsatisfied { row }).with_context(|| {
                    format!("{} is no witness: {violated}", self.witness.display())
                })
            }
            other => other.with_context(context),
        }
    }

    /// Writes the proof and its public inputs.
    fn write(&self, proved: &Proved) -> Result<()> {
        let _shield = shield();
        let public = json::public(&proved.public);
        ::files::replace(&self.public, Readers::Everybody, public.as_bytes())?;
        let proof = json::proof(&proved.proof);
        ::files::replace(&self.proof, Readers::Everybody, proof.as_bytes())?;
        Ok(())
    }
}

/// The signals of a violated constraint; by their wires, and with the reason, if their names cannot be read.
fn violated(key: &CircuitKey, row: usize, sym: Option<&Path>) -> String {
    let wires = key.wires_of(row);
    let shown = &wires[..wires.len().min(MOST_SIGNALS)];
    let names = |path: &Path| {
        sym::names(BufReader::new(open(path)?), shown).with_context(|| unusable(path))
    };
    let (names, nameless) = match sym.map(names).transpose() {
        Ok(names) => (names.unwrap_or_default(), String::new()),
        Err(error) => (
            Default::default(),
            format!("; no names: {}", crate::fault::message(&error)),
        ),
    };
    let name = |wire: &u32| match names.get(wire) {
        Some(name) => format!("{name:?}"),
        None => format!("wire {wire}"),
    };
    let mut text: Vec<String> = shown.iter().map(name).collect();
    if wires.len() > shown.len() {
        text.push(format!("{} more", wires.len() - shown.len()));
    }
    match text.is_empty() {
        true => "a constraint without signals does not hold".to_owned(),
        false => format!(
            "a constraint of {} does not hold{nameless}",
            text.join(", ")
        ),
    }
}

fn describe(facts: &ProveFacts) -> String {
    let mut text = String::new();
    for one in &facts.proofs {
        text.push_str(&match &one.refused {
            None => format!(
                "{}, verified, with {} public inputs in {}, {:.2} s\n",
                one.proof.display(),
                count(one.public_inputs),
                one.public.display(),
                one.proving_seconds
            ),
            Some(reason) => format!("refused: {reason}\n"),
        });
    }
    text.push_str(&format!(
        "the key was loaded in {:.2} s",
        facts.load_seconds
    ));
    text
}

/// What `groth16 verify` prints.
#[derive(Serialize)]
struct VerifyFacts {
    verifying_key: String,
    public_inputs: usize,
}

fn run_verify(settings: &Settings, args: &Groth16VerifyArgs) -> Result<()> {
    let (vk, public, proof) = match (args.files.as_slice(), &args.vk, &args.public, &args.proof) {
        ([vk, public, proof], ..) | ([], Some(vk), Some(public), Some(proof)) => {
            (vk, public, proof)
        }
        _ => bail!(Fault::usage(
            "name the files with --vk, --public and --proof"
        )),
    };
    let key = verifying_key(vk)?;
    let (inputs, read) = read_both(public, proof)?;
    check(&key, &inputs, &read, proof)?;
    let facts = VerifyFacts {
        public_inputs: inputs.len(),
        verifying_key: key.id_hex(),
    };
    let text = format!("the proof holds for {} public inputs", facts.public_inputs);
    settings.ui.result(&facts, text)
}

/// Public inputs and proof, each read once: what is checked is what is used.
fn read_both(public: &Path, proof: &Path) -> Result<(Vec<Fr>, Proof)> {
    let inputs = json::read_public(&text(public)?).with_context(|| unusable(public))?;
    let read = json::read_proof(&text(proof)?).with_context(|| unusable(proof))?;
    Ok((inputs, read))
}

/// Refuses a proof, of the file `from`, that does not hold.
fn check(key: &VerifyingKey, inputs: &[Fr], proof: &Proof, from: &Path) -> Result<()> {
    verify(key, inputs, proof).with_context(|| {
        let file = from.display().to_string();
        Fault::new(Class::Refused, format!("{file} does not hold"))
    })
}

/// What `groth16 setup` prints.
#[derive(Serialize)]
struct SetupFacts {
    zkey: PathBuf,
    bytes: u64,
    vk: Option<PathBuf>,
    verifying_key: String,
    constraints: usize,
    contributions: usize,
    seconds: f64,
}

fn run_setup(settings: &Settings, args: &Groth16SetupArgs) -> Result<()> {
    let started = Instant::now();
    // Why first: a setup takes long, and its key would lie there without the other file.
    for out in [Some(&args.zkey), args.vk.as_ref()].into_iter().flatten() {
        let name = out.display();
        ensure!(
            !out.exists(),
            "{name} exists and is not replaced; name another"
        );
    }
    let same = args
        .vk
        .as_ref()
        .is_some_and(|vk| real(vk) == real(&args.zkey));
    ensure!(!same, Fault::usage("the two keys need two files"));
    let task = settings.ui.task("reading the circuit", None);
    let circuit = circuit(&args.r1cs)?;
    let (got, limit) = (circuit.r1cs.num_instance(), MAX_IC_POINTS);
    if got > limit {
        return Err(Degenerate::IcCount { got, limit }).with_context(|| unusable(&args.r1cs));
    }
    let constraints = circuit.r1cs.num_constraints();
    task.doing(format!("setup: {} constraints", count(constraints)));
    let ((), size) = write_new(&args.zkey, Readers::Everybody, |out| {
        match &args.ptau {
            None => {
                setup_alone(&circuit, out).with_context(|| unusable(&args.r1cs))?;
            }
            Some(path) => {
                let mut ptau = Ptau::open(open(path)?).with_context(|| unusable(path))?;
                setup_from_powers(&circuit, &mut ptau, out, &mut OsRng)
                    .with_context(|| unusable(path))?;
            }
        }
        Ok(())
    })?;
    let key = verifying_key(&args.zkey)?;
    if let Some(vk) = &args.vk {
        put_text(vk, &json::verifying_key(key.ark()))?;
    }
    task.done();
    let facts = SetupFacts {
        zkey: args.zkey.clone(),
        bytes: size,
        vk: args.vk.clone(),
        verifying_key: key.id_hex(),
        constraints,
        contributions: usize::from(args.ptau.is_some()),
        seconds: seconds(started.elapsed()),
    };
    let text = format!(
        "{}: {} constraints, {}, verifying key {}\none party made this key: whoever ran this could have kept the secrets and forge proofs",
        facts.zkey.display(),
        count(constraints),
        bytes(size),
        facts.verifying_key
    );
    settings.ui.result(&facts, text)
}

/// What `groth16 key convert` prints.
#[derive(Serialize)]
struct ConvertFacts {
    file: PathBuf,
    bytes: u64,
    verifying_key: String,
    constraints: usize,
    witness_checked: bool,
    #[serde(flatten)]
    made: Made,
    seconds: f64,
}

fn run_convert(settings: &Settings, args: &Groth16ConvertArgs) -> Result<()> {
    let started = Instant::now();
    let refused = || Fault::input(format!("{} is refused", args.zkey.display()));
    let task = settings.ui.task("reading the circuit and the key", None);
    let circuit = args.r1cs.as_deref().map(circuit).transpose()?;
    let mut zkey = Zkey::open(open(&args.zkey)?).with_context(refused)?;
    let (key, origin) = match (&args.ptau, circuit) {
        (Some(path), Some(circuit)) => {
            zkey.check_counts(&circuit.r1cs).with_context(refused)?;
            // Why in memory: what is verified is what is kept.
            let file = bounded::read(&args.zkey, file_kind(&circuit))?;
            let mut zkey = Zkey::open(Cursor::new(file)).with_context(refused)?;
            task.doing("verifying the ceremony");
            let mut ptau = Ptau::open(open(path)?).with_context(|| unusable(path))?;
            ceremony::verify(&circuit, &mut ptau, &mut zkey).with_context(refused)?;
            let contributions = u32::try_from(zkey.transcript().contributions.len())?;
            let origin = Origin::Ceremony { contributions };
            (
                CircuitKey::convert(&mut zkey, Some(circuit.r1cs), origin),
                origin,
            )
        }
        (_, circuit) => {
            task.doing("checking every point of the key");
            let circuit = circuit.map(|circuit| circuit.r1cs);
            (
                CircuitKey::convert(&mut zkey, circuit, Origin::Dev),
                Origin::Dev,
            )
        }
    };
    let key = key.with_context(refused)?;
    let ((), size) = write_new(&args.out, Readers::Everybody, |out| Ok(key.write(out)?))?;
    task.done();
    let facts = ConvertFacts {
        file: args.out.clone(),
        bytes: size,
        verifying_key: key.verifying_key().id_hex(),
        constraints: key.constraints(),
        witness_checked: key.circuit().is_some(),
        made: Made::of(key.verifying_key()),
        seconds: seconds(started.elapsed()),
    };
    let text = format!(
        "{}: {} constraints, {}, verifying key {}\n{}",
        facts.file.display(),
        count(facts.constraints),
        bytes(size),
        facts.verifying_key,
        match origin {
            Origin::Ceremony { contributions } =>
                format!("{contributions} contributions, the ceremony verified in full"),
            _ =>
                "no ceremony was verified: whether anybody can forge proofs is not known".to_owned(),
        }
    );
    settings.ui.result(&facts, text)
}

/// What `groth16 key export` prints.
#[derive(Serialize)]
struct ExportFacts {
    file: PathBuf,
    bytes: u64,
    verifying_key: String,
    public_inputs: usize,
}

fn run_export(settings: &Settings, args: &Groth16KeyExportArgs) -> Result<()> {
    let key = verifying_key(&args.key)?;
    let facts = ExportFacts {
        bytes: put_text(&args.out, &json::verifying_key(key.ark()))?,
        file: args.out.clone(),
        verifying_key: key.id_hex(),
        public_inputs: key.num_inputs(),
    };
    let text = format!(
        "{}: verifying key {}, {}",
        facts.file.display(),
        facts.verifying_key,
        bytes(facts.bytes)
    );
    settings.ui.result(&facts, text)
}

/// What `groth16 calldata` prints.
#[derive(Serialize)]
struct CalldataFacts {
    calldata: String,
    verified: bool,
}

fn run_calldata(settings: &Settings, args: &Groth16CalldataArgs) -> Result<()> {
    let (public, proof) = match (args.files.as_slice(), &args.public, &args.proof) {
        ([public, proof], ..) | ([], Some(public), Some(proof)) => (public, proof),
        _ => bail!(Fault::usage("name the files with --public and --proof")),
    };
    let (inputs, read) = read_both(public, proof)?;
    if let Some(vk) = &args.vk {
        check(&verifying_key(vk)?, &inputs, &read, proof)?;
    }
    let facts = CalldataFacts {
        calldata: calldata::calldata(&read, &inputs),
        verified: args.vk.is_some(),
    };
    settings.ui.raw(&facts, &facts.calldata)
}
