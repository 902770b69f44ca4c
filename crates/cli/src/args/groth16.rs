//! `quire groth16 …`: proofs of circom's circuits.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `quire groth16 …`
#[derive(Debug, Subcommand)]
pub enum Groth16Command {
    /// Prove a witness of circom, as `snarkjs groth16 prove` and rapidsnark do
    #[command(after_help = "\
Files are those of snarkjs, and the four names may stand alone in its order and rapidsnark's: key, witness,
proof, public inputs. Proof and public inputs replace files that are there. The key is a .zkey, or what
`quire groth16 key convert` made of one, which loads faster. A proof is verified before it is written, so a
witness that does not satisfy the circuit never gives one. With --r1cs the witness is checked first, and the
violated constraint is named; with --sym by the names of its signals. No value of a witness is printed.

Files of an earlier run stay as they are where a witness is refused, and the message says so.

With --batch every NAME.wtns of a folder is proven, in the order of names, into NAME.proof.json and
NAME.public.json beside it. A witness that is refused or cannot be read is listed, and the others are proven; only
a proof that cannot be written ends the run.

Examples:
  quire groth16 prove --zkey circuit.zkey --wtns witness.wtns --proof proof.json --public public.json
  quire groth16 prove circuit.zkey witness.wtns proof.json public.json
  quire groth16 prove circuit.zkey witness.wtns proof.json public.json --r1cs circuit.r1cs --sym circuit.sym
  quire groth16 prove --key circuit.qk --batch witnesses

JSON: verifying_key, witness_checked (against --r1cs, or the circuit in a converted key), load_seconds, seconds,
proofs: a list of witness, proof, public, public_inputs, proving_seconds, refused (the reason, or null)")]
    Prove(Groth16ProveArgs),
    /// Verify a proof of snarkjs, rapidsnark or this program
    #[command(after_help = "\
The three names may stand alone in the order of snarkjs. A key that permits forgeries is refused, whoever made
it.

Examples:
  quire groth16 verify --vk verification_key.json --public public.json --proof proof.json
  quire groth16 verify verification_key.json public.json proof.json
  quire groth16 verify --vk circuit.zkey --public public.json --proof proof.json

JSON: verifying_key, public_inputs")]
    Verify(Groth16VerifyArgs),
    /// Make a circuit's key, by one party: whoever runs this could keep the secrets
    #[command(after_help = "\
From the circuit alone one party makes all of the key, and the .zkey has no contributions. With --ptau the first
phase is that of the powers of tau, as in `snarkjs groth16 setup`, and one party makes the only contribution;
more follow with `quire ceremony contribute` or `snarkjs zkey contribute`.

Examples:
  quire groth16 setup --r1cs circuit.r1cs --zkey circuit.zkey --vk verification_key.json
  quire groth16 setup --r1cs circuit.r1cs --ptau pot16.ptau --zkey circuit.zkey

JSON: zkey, bytes, vk (the file, or null), verifying_key, constraints, contributions, seconds")]
    Setup(Groth16SetupArgs),
    /// Keys of circuits: convert them, export what verifies
    #[command(subcommand)]
    Key(Groth16KeyCommand),
    /// A proof as the arguments of a contract's verifyProof, as `snarkjs zkey export soliditycalldata`
    #[command(after_help = "\
Examples:
  quire groth16 calldata --public public.json --proof proof.json
  quire groth16 calldata public.json proof.json
  quire groth16 calldata public.json proof.json --vk verification_key.json      verified first

JSON: calldata, verified")]
    Calldata(Groth16CalldataArgs),
}

/// `quire groth16 key …`
#[derive(Debug, Subcommand)]
pub enum Groth16KeyCommand {
    /// Check a .zkey and write it in the form that loads at the disk's speed
    #[command(after_help = "\
Every point is checked once. With --r1cs the circuit is kept in the file, so that `quire groth16 prove` names a
violated constraint. With --ptau too the ceremony is verified in full, and the key says how many contributions it
has; without, the key says that it is for development, since a .zkey alone does not tell for which circuit it is.

Examples:
  quire groth16 key convert circuit.zkey --out circuit.qk
  quire groth16 key convert circuit.zkey --r1cs circuit.r1cs --out circuit.qk
  quire groth16 key convert circuit.zkey --r1cs circuit.r1cs --ptau pot16.ptau --out circuit.qk

JSON: file, bytes, verifying_key, constraints, witness_checked (whether the circuit is kept), origin (dev,
ceremony), contributions, seconds")]
    Convert(Groth16ConvertArgs),
    /// Write the verifying key, as snarkjs' verification_key.json
    #[command(after_help = "\
Examples:
  quire groth16 key export circuit.zkey --out verification_key.json

JSON: file, bytes, verifying_key, public_inputs")]
    Export(Groth16KeyExportArgs),
}

/// Arguments of `groth16 prove`.
#[derive(Debug, Args)]
pub struct Groth16ProveArgs {
    /// Key, witness, proof and public inputs, without the flags
    #[arg(num_args = 4, value_name = "FILE", conflicts_with_all = ["zkey", "wtns", "proof", "public", "batch"])]
    pub files: Vec<PathBuf>,
    /// Proving key: a .zkey, or a converted one
    #[arg(
        long,
        visible_alias = "key",
        value_name = "FILE",
        required_unless_present = "files"
    )]
    pub zkey: Option<PathBuf>,
    /// Witness, as circom's programs write it
    #[arg(long, value_name = "FILE", required_unless_present_any = ["files", "batch"])]
    pub wtns: Option<PathBuf>,
    /// Proof to write, proof.json
    #[arg(long, value_name = "FILE", required_unless_present_any = ["files", "batch"])]
    pub proof: Option<PathBuf>,
    /// Public inputs to write, public.json
    #[arg(long, value_name = "FILE", required_unless_present_any = ["files", "batch"])]
    pub public: Option<PathBuf>,
    /// Folder of witnesses, all of them proven with one loading of the key
    #[arg(long, value_name = "DIR", conflicts_with_all = ["wtns", "proof", "public"])]
    pub batch: Option<PathBuf>,
    /// The circuit: the witness is checked first, and a violated constraint named
    #[arg(long, value_name = "FILE")]
    pub r1cs: Option<PathBuf>,
    /// Names of the circuit's signals
    #[arg(long, value_name = "FILE")]
    pub sym: Option<PathBuf>,
}

/// Arguments of `groth16 verify`.
#[derive(Debug, Args)]
pub struct Groth16VerifyArgs {
    /// Verifying key, public inputs and proof, without the flags
    #[arg(num_args = 3, value_name = "FILE", conflicts_with_all = ["vk", "public", "proof"])]
    pub files: Vec<PathBuf>,
    /// Verifying key: verification_key.json, a .zkey, or a converted key
    #[arg(
        long,
        visible_alias = "vkey",
        value_name = "FILE",
        required_unless_present = "files"
    )]
    pub vk: Option<PathBuf>,
    /// public.json
    #[arg(long, value_name = "FILE", required_unless_present = "files")]
    pub public: Option<PathBuf>,
    /// proof.json
    #[arg(long, value_name = "FILE", required_unless_present = "files")]
    pub proof: Option<PathBuf>,
}

/// Arguments of `groth16 setup`.
#[derive(Debug, Args)]
pub struct Groth16SetupArgs {
    /// The circuit
    #[arg(long, value_name = "FILE")]
    pub r1cs: PathBuf,
    /// Powers of tau: the key follows from them, and one party adds a contribution
    #[arg(long, value_name = "FILE")]
    pub ptau: Option<PathBuf>,
    /// Key to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub zkey: PathBuf,
    /// Verifying key to write, verification_key.json; it must not exist
    #[arg(long, value_name = "FILE")]
    pub vk: Option<PathBuf>,
}

/// Arguments of `groth16 key convert`.
#[derive(Debug, Args)]
pub struct Groth16ConvertArgs {
    /// Key of snarkjs
    pub zkey: PathBuf,
    /// The circuit, kept with the key
    #[arg(long, value_name = "FILE")]
    pub r1cs: Option<PathBuf>,
    /// Powers of tau that the key was made from: the ceremony is verified
    #[arg(long, value_name = "FILE", requires = "r1cs")]
    pub ptau: Option<PathBuf>,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `groth16 key export`.
#[derive(Debug, Args)]
pub struct Groth16KeyExportArgs {
    /// A .zkey, or a converted key
    pub key: PathBuf,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `groth16 calldata`.
#[derive(Debug, Args)]
pub struct Groth16CalldataArgs {
    /// Public inputs and proof, without the flags
    #[arg(num_args = 2, value_name = "FILE", conflicts_with_all = ["public", "proof"])]
    pub files: Vec<PathBuf>,
    /// public.json
    #[arg(long, value_name = "FILE", required_unless_present = "files")]
    pub public: Option<PathBuf>,
    /// proof.json
    #[arg(long, value_name = "FILE", required_unless_present = "files")]
    pub proof: Option<PathBuf>,
    /// Verifying key under which the proof is verified first
    #[arg(long, visible_alias = "vkey", value_name = "FILE")]
    pub vk: Option<PathBuf>,
}
