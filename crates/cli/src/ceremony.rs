//! `quire ceremony`: keys made by many parties.
//!
//! Secrets come from the operating system, stay in memory that is wiped, and are in no argument,
//! message or file.

use std::time::Instant;

use anyhow::{Context, Result};
use circuits::shapes;
use interop::ceremony::{beacon, contribute, new_key, verify};
use interop::ptau::{Ptau, write_trial};
use interop::r1cs::Circuit;
use interop::transcript::{Contribution, Source};
use interop::zkey::Zkey;
use rand::rngs::OsRng;
use serde::Serialize;

use crate::args::{
    CeremonyBeaconArgs, CeremonyContributeArgs, CeremonyNewArgs, CeremonyPowersArgs,
    CeremonyVerifyArgs, CircuitArgs,
};
use crate::exchange::open;
use crate::fault::Fault;
use crate::files::{Readers, write_new};
use crate::settings::Settings;
use crate::ui::seconds;
use rollup::shape::named;
use rollup::text::{bytes, count};

/// The circuit that was named, or read from a file.
fn circuit(args: &CircuitArgs) -> Result<Circuit> {
    match (&args.shape, &args.r1cs) {
        (Some(name), _) => Ok(shapes::compile(&named(name)?)?.r1cs.into()),
        (None, Some(path)) => {
            let read = interop::r1cs::read(open(path)?);
            let (circuit, _) = read.with_context(|| format!("cannot use {}", path.display()))?;
            Ok(circuit)
        }
        (None, None) => Err(Fault::usage("name the circuit with --shape or --r1cs").into()),
    }
}

/// What `ceremony new` prints.
#[derive(Serialize)]
struct Begun {
    file: String,
    bytes: u64,
    circuit_hash: String,
    constraints: usize,
    seconds: f64,
}

/// `quire ceremony new`.
///
/// # Errors
/// If the powers do not hold or are too few, or the file exists or cannot be written.
pub fn run_new(settings: &Settings, args: &CeremonyNewArgs) -> Result<()> {
    let started = Instant::now();
    let task = settings.ui.task("compiling or reading the circuit", None);
    let circuit = circuit(&args.circuit)?;
    task.doing("the key's points");
    let refused = || format!("cannot use {}", args.ptau.display());
    let mut ptau = Ptau::open(open(&args.ptau)?).with_context(refused)?;
    let (hash, size) = write_new(&args.out, Readers::Everybody, |out| {
        new_key(&circuit, &mut ptau, out).with_context(refused)
    })?;
    task.done();
    let facts = Begun {
        file: args.out.display().to_string(),
        bytes: size,
        circuit_hash: hex::encode(hash),
        constraints: circuit.r1cs.num_constraints(),
        seconds: seconds(started.elapsed()),
    };
    let text = format!(
        "{}: {} constraints, {}\ncircuit hash {}\nnobody contributed yet: anybody can forge proofs for it",
        facts.file,
        count(facts.constraints),
        bytes(size),
        facts.circuit_hash
    );
    settings.ui.result(&facts, text)
}

/// What a contribution prints.
#[derive(Serialize)]
struct Contributed {
    file: String,
    bytes: u64,
    number: usize,
    name: Option<String>,
    hash: String,
    seconds: f64,
}

/// `quire ceremony contribute`.
///
/// # Errors
/// If the key cannot be used, or the file exists or cannot be written.
pub fn run_contribute(settings: &Settings, args: &CeremonyContributeArgs) -> Result<()> {
    let started = Instant::now();
    let task = settings.ui.task("contributing", None);
    let refused = || format!("cannot use {}", args.zkey.display());
    let mut zkey = Zkey::open(open(&args.zkey)?).with_context(refused)?;
    let number = zkey.transcript().contributions.len() + 1;
    let name = args.name.as_deref();
    let (made, size) = write_new(&args.out, Readers::Everybody, |out| {
        contribute(&mut zkey, out, name, &mut OsRng).with_context(refused)
    })?;
    task.done();
    let file = args.out.display().to_string();
    report(settings, file, size, number, &made, started)
}

/// `quire ceremony beacon`.
///
/// # Errors
/// As [`run_contribute`], and if the value is not hexadecimal.
pub fn run_beacon(settings: &Settings, args: &CeremonyBeaconArgs) -> Result<()> {
    let started = Instant::now();
    let digits = args.value.strip_prefix("0x").unwrap_or(&args.value);
    let value = hex::decode(digits)
        .with_context(|| Fault::usage(format!("--value {:?} is not hexadecimal", args.value)))?;
    let task = settings.ui.task("contributing the beacon", None);
    let refused = || format!("cannot use {}", args.zkey.display());
    let mut zkey = Zkey::open(open(&args.zkey)?).with_context(refused)?;
    let number = zkey.transcript().contributions.len() + 1;
    let name = args.name.as_deref();
    let (made, size) = write_new(&args.out, Readers::Everybody, |out| {
        beacon(&mut zkey, out, name, &value, args.iterations_exp).with_context(refused)
    })?;
    task.done();
    let file = args.out.display().to_string();
    report(settings, file, size, number, &made, started)
}

fn report(
    settings: &Settings,
    file: String,
    size: u64,
    number: usize,
    made: &Contribution,
    started: Instant,
) -> Result<()> {
    let facts = Contributed {
        file,
        bytes: size,
        number,
        name: made.name.clone(),
        hash: hex::encode(made.hash()),
        seconds: seconds(started.elapsed()),
    };
    let text = format!(
        "{}: contribution {number}, {}\nhash {}\npublish the hash, to find it in the finished key",
        facts.file,
        bytes(size),
        facts.hash
    );
    settings.ui.result(&facts, text)
}

/// What `ceremony verify` prints.
#[derive(Serialize)]
struct Verified {
    circuit_hash: String,
    contributions: Vec<ContributionFact>,
    seconds: f64,
}

/// A contribution.
#[derive(Serialize)]
struct ContributionFact {
    number: usize,
    name: Option<String>,
    hash: String,
    beacon: Option<String>,
    iterations_exp: Option<u8>,
}

impl ContributionFact {
    fn of(number: usize, contribution: &Contribution) -> Self {
        let (beacon, iterations_exp) = match &contribution.source {
            Source::Person => (None, None),
            Source::Beacon {
                iterations_exp,
                value,
            } => (Some(hex::encode(value)), Some(*iterations_exp)),
        };
        Self {
            number,
            name: contribution.name.clone(),
            hash: hex::encode(contribution.hash()),
            beacon,
            iterations_exp,
        }
    }
}

/// `quire ceremony verify`.
///
/// # Errors
/// With the first thing that does not hold.
pub fn run_verify(settings: &Settings, args: &CeremonyVerifyArgs) -> Result<()> {
    let started = Instant::now();
    let task = settings.ui.task("compiling or reading the circuit", None);
    let circuit = circuit(&args.circuit)?;
    let mut ptau = Ptau::open(open(&args.ptau)?)
        .with_context(|| format!("cannot use {}", args.ptau.display()))?;
    let refused = || format!("{} does not hold", args.zkey.display());
    let mut zkey = Zkey::open(open(&args.zkey)?).with_context(refused)?;
    task.doing("making the key's points again");
    verify(&circuit, &mut ptau, &mut zkey).with_context(refused)?;
    task.done();
    let transcript = zkey.transcript();
    let listed = (1..).zip(&transcript.contributions);
    let facts = Verified {
        circuit_hash: hex::encode(transcript.circuit),
        contributions: listed
            .map(|(number, contribution)| ContributionFact::of(number, contribution))
            .collect(),
        seconds: seconds(started.elapsed()),
    };
    let mut text = format!(
        "{} follows from the circuit, the powers and its contributions\ncircuit hash {}\n",
        args.zkey.display(),
        facts.circuit_hash
    );
    for fact in &facts.contributions {
        // Why: quoted and escaped, so that no name passes as a line of this report.
        let name = fact.name.as_ref();
        let name = name.map_or_else(|| "(no name)".to_owned(), |name| format!("{name:?}"));
        let kind = match &fact.beacon {
            None => String::new(),
            Some(value) => format!(", beacon {value}"),
        };
        text.push_str(&format!("{} {name}{kind}\n  {}\n", fact.number, fact.hash));
    }
    settings.ui.result(&facts, text)
}

/// What `ceremony powers` prints.
#[derive(Serialize)]
struct Powers {
    file: String,
    bytes: u64,
    power: u32,
    seconds: f64,
}

/// `quire ceremony powers`.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn run_powers(settings: &Settings, args: &CeremonyPowersArgs) -> Result<()> {
    let started = Instant::now();
    let task = settings.ui.task("powers of tau for trials", None);
    let ((), size) = write_new(&args.out, Readers::Everybody, |out| {
        Ok(write_trial(out, args.power, &mut OsRng)?)
    })?;
    task.done();
    let facts = Powers {
        file: args.out.display().to_string(),
        bytes: size,
        power: args.power,
        seconds: seconds(started.elapsed()),
    };
    let text = format!(
        "{}: powers of 2^{}, {}, of one party: for trials",
        facts.file,
        facts.power,
        bytes(size)
    );
    settings.ui.result(&facts, text)
}
