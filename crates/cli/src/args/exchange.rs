//! `quire export`, `quire ceremony`, `quire verify-proof`: files of other programs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `quire export …`
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// The constraints of a shape, as .r1cs
    #[command(after_help = "\
Wires are in the circuit's own order: 1, public inputs, witnesses. Label i is wire i.

Examples:
  quire export r1cs --shape tiny --out tiny.r1cs && snarkjs r1cs info tiny.r1cs

JSON: file, bytes, wires, public_inputs, constraints, fingerprint")]
    R1cs(ExportShapeArgs),
    /// The witness of a batch, as .wtns: it holds what the proof hides
    #[command(after_help = "\
The file is readable by you alone. The witness of a batch is kept until the batch is final.

Examples:
  quire export wtns --batch 1 --out batch-1.wtns
  quire export wtns --sample tiny --out tiny.wtns      a made-up full batch, no deployment needed

JSON: file, bytes, wires")]
    Wtns(ExportWitnessArgs),
    /// The proving key of a shape, as .zkey
    #[command(after_help = "\
A key from `quire keys setup` comes from no ceremony: snarkjs proves with it, and there are no
contributions to verify.

Examples:
  quire export zkey --shape tiny --out tiny.zkey

JSON: file, bytes, verifying_key")]
    Zkey(ExportShapeArgs),
    /// A verifying key, as snarkjs' verification_key.json
    #[command(after_help = "\
Examples:
  quire export vkey quire-data/keys/t18.vk --out verification_key.json

JSON: file, bytes, verifying_key")]
    Vkey(ExportKeyArgs),
    /// The proof of a batch, as snarkjs' proof.json; it is verified first
    #[command(after_help = "\
Examples:
  quire export proof quire-data/batches/1 --vk quire-data/keys/t18.vk --out proof.json

JSON: file, bytes, batch")]
    Proof(ExportBatchArgs),
    /// The public inputs of a batch, as snarkjs' public.json; its proof is verified first
    #[command(after_help = "\
Examples:
  quire export public quire-data/batches/1 --vk quire-data/keys/t18.vk --out public.json

JSON: file, bytes, batch")]
    Public(ExportBatchArgs),
}

/// Arguments of `export r1cs` and `export zkey`.
#[derive(Debug, Args)]
pub struct ExportShapeArgs {
    /// The shape
    #[arg(long, value_name = "S")]
    pub shape: String,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `export wtns`.
#[derive(Debug, Args)]
pub struct ExportWitnessArgs {
    /// Number of a batch that is not final
    #[arg(long, value_name = "N", required_unless_present = "sample")]
    pub batch: Option<u64>,
    /// A made-up batch of this shape instead, every slot used
    #[arg(long, value_name = "S", conflicts_with = "batch")]
    pub sample: Option<String>,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `export vkey`.
#[derive(Debug, Args)]
pub struct ExportKeyArgs {
    /// Verifying-key file
    pub vk: PathBuf,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `export proof` and `export public`.
#[derive(Debug, Args)]
pub struct ExportBatchArgs {
    /// Folder of the batch
    pub batch_dir: PathBuf,
    /// Verifying-key file
    #[arg(long, value_name = "FILE")]
    pub vk: PathBuf,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `verify-proof`.
#[derive(Debug, Args)]
pub struct VerifyProofArgs {
    /// verification_key.json
    #[arg(long, value_name = "FILE")]
    pub vkey: PathBuf,
    /// public.json
    #[arg(long, value_name = "FILE")]
    pub public: PathBuf,
    /// proof.json
    #[arg(long, value_name = "FILE")]
    pub proof: PathBuf,
}

/// `quire ceremony …`
#[derive(Debug, Subcommand)]
pub enum CeremonyCommand {
    /// Begin: a key from a circuit and public powers of tau, before anybody contributed
    #[command(after_help = "\
The powers are checked as far as they are used: each section follows from the others. Who
contributed to them is not: take a file of a public ceremony, one power larger than the circuit's
domain. Above 2^16 it must be prepared (`snarkjs powersoftau prepare phase2`).

Examples:
  quire ceremony new --shape t18 --ptau pot19.ptau --out t18-0.zkey

JSON: file, bytes, circuit_hash, constraints, seconds")]
    New(CeremonyNewArgs),
    /// Contribute a secret to a key; it is drawn, used, wiped from memory, and never shown
    #[command(after_help = "\
The key is trustworthy if one contributor was honest. Publish the hash that is printed, so that you
can find your contribution in the finished key. `snarkjs zkey contribute` does the same.

Examples:
  quire ceremony contribute t18-0.zkey --name alice --out t18-1.zkey

JSON: file, bytes, number, name, hash, seconds")]
    Contribute(CeremonyContributeArgs),
    /// Contribute a public random value, last, after everybody else
    #[command(after_help = "\
Examples:
  quire ceremony beacon t18-9.zkey --value 0102…ff --iterations-exp 10 --out t18.zkey

JSON: file, bytes, number, name, hash, seconds")]
    Beacon(CeremonyBeaconArgs),
    /// Check a key: circuit, powers, and every contribution
    #[command(after_help = "\
The circuit is compiled afresh, or read from --r1cs; the powers must be those of `ceremony new`.
Afterwards `quire keys import` makes key files of it.

Examples:
  quire ceremony verify t18.zkey --shape t18 --ptau pot19.ptau

JSON: circuit_hash, contributions (number, name, hash, beacon, iterations_exp), seconds")]
    Verify(CeremonyVerifyArgs),
    /// Make powers of tau for trials, by one party
    #[command(after_help = "\
Whoever runs this could keep the secrets: for trials, and for circuits of up to 2^16 rows.

Examples:
  quire ceremony powers --power 17 --trial --out trial.ptau

JSON: file, bytes, power, seconds")]
    Powers(CeremonyPowersArgs),
}

/// The circuit of a ceremony.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct CircuitArgs {
    /// The shape
    #[arg(long, value_name = "S")]
    pub shape: Option<String>,
    /// Any circuit, from a file
    #[arg(long, value_name = "FILE")]
    pub r1cs: Option<PathBuf>,
}

/// Arguments of `ceremony new`.
#[derive(Debug, Args)]
pub struct CeremonyNewArgs {
    /// The circuit
    #[command(flatten)]
    pub circuit: CircuitArgs,
    /// Powers of tau
    #[arg(long, value_name = "FILE")]
    pub ptau: PathBuf,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `ceremony contribute`.
#[derive(Debug, Args)]
pub struct CeremonyContributeArgs {
    /// The key so far
    pub zkey: PathBuf,
    /// A name that everybody will see
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `ceremony beacon`.
#[derive(Debug, Args)]
pub struct CeremonyBeaconArgs {
    /// The key so far
    pub zkey: PathBuf,
    /// The public value, in hexadecimal, up to 255 bytes
    #[arg(long, value_name = "HEX")]
    pub value: String,
    /// SHA-256 is iterated 2^N times
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u8).range(10..=32))]
    pub iterations_exp: u8,
    /// A name that everybody will see
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `ceremony verify`.
#[derive(Debug, Args)]
pub struct CeremonyVerifyArgs {
    /// The key
    pub zkey: PathBuf,
    /// The circuit
    #[command(flatten)]
    pub circuit: CircuitArgs,
    /// The powers of tau that the key was made from
    #[arg(long, value_name = "FILE")]
    pub ptau: PathBuf,
}

/// Arguments of `ceremony powers`.
#[derive(Debug, Args)]
pub struct CeremonyPowersArgs {
    /// The powers are those of a domain of 2^N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=17))]
    pub power: u32,
    /// These powers are for trials: whoever makes them can forge proofs
    #[arg(long, required = true)]
    pub trial: bool,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `keys import`.
#[derive(Debug, Args)]
pub struct KeyImportArgs {
    /// Key of a ceremony
    pub zkey: PathBuf,
    /// The shape
    #[arg(long, value_name = "S")]
    pub shape: String,
    /// Powers of tau of the ceremony, which is verified in full; without, a development key only
    #[arg(long, value_name = "FILE")]
    pub ptau: Option<PathBuf>,
    /// Replace keys that exist: batches proven with them can then no longer be verified
    #[arg(long)]
    pub force: bool,
}
